//! How much of everything.

use std::time::Duration;

/// What peers may cost, and how patient a node is with them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request that is read, bytes.
    ///
    /// Pools and workers of one call must fit. Typical: 4 MiB.
    pub largest_request: usize,
    /// Largest answer that is read or given, bytes. Read is no more than the method has
    /// ([`Method::largest_answer`](crate::method::Method::largest_answer)).
    ///
    /// The genesis of a data provider must fit. Typical: 64 MiB.
    pub largest_answer: usize,
    /// Longest time until a connection is set up: TCP, pre-shared key, Noise and muxer together.
    ///
    /// What a silent connection costs. Typical: 10 s.
    pub setup: Duration,
    /// Longest time to open a stream to a peer, dialling it included.
    ///
    /// Typical: 15 s.
    pub open: Duration,
    /// Longest time until a request has arrived whole.
    ///
    /// What a slow caller costs. Typical: 20 s.
    pub request: Duration,
    /// Longest time the service may take for an answer.
    ///
    /// Typical: 60 s.
    pub service: Duration,
    /// Longest time until an answer was taken by the caller.
    ///
    /// Shorter breaks large answers over slow lines. Typical: 120 s.
    pub answer: Duration,
    /// Longest time for a call, from first to last.
    ///
    /// Typical: 120 s.
    pub call: Duration,
    /// Longest time for a `Hello`.
    ///
    /// Typical: 20 s.
    pub hello: Duration,
    /// Answers of peers that may be large (lists and blobs), read at once, in all, bytes. More wait.
    ///
    /// Each takes what it may be at most. At least `largest_answer`. Typical: 256 MiB.
    pub read_bytes: usize,
    /// Calls of ours under way at once, in all. More wait.
    pub calls: usize,
    /// Calls of ours under way at once to one peer. More wait.
    ///
    /// Fewer than `streams_per_connection`: all go on one connection. Typical: 8.
    pub calls_per_peer: usize,
    /// Calls of peers answered at once, in all. More wait.
    pub answers: usize,
    /// Calls of one peer answered at once. More wait.
    pub answers_per_peer: usize,
    /// Answers on their way to peers at once, in all, bytes. More wait.
    ///
    /// At least `largest_answer`. Typical: 256 MiB.
    pub answer_bytes: usize,
    /// Calls of peers that wait or are answered, in all. More are refused.
    pub waiting: usize,
    /// Calls of one peer that wait or are answered. More are refused.
    pub waiting_per_peer: usize,
    /// Connections that peers opened, in all. More are refused.
    pub connections: u32,
    /// What peers may send that is not read, on connections that they opened and again on those that this node opened,
    /// bytes. Each connection takes what it may hold at most: with yamux 256 KiB per stream, 8 MiB; with
    /// mplex, that of nodes of PRB v2, 35 MiB.
    /// More connections are refused.
    ///
    /// Typical: 1 GiB, for 128 connections with yamux or 29 with mplex.
    pub unread_bytes: usize,
    /// Connections with one peer. More are refused.
    ///
    /// Nodes of PRB v2 open one per call. Typical: 16.
    pub connections_per_peer: u32,
    /// Connections of peers that are not set up yet. More are refused.
    pub connections_pending: u32,
    /// Streams on one connection; with mplex no more than 16. Typical: 32.
    pub streams_per_connection: usize,
    /// Peers that are remembered. Typical: 1024.
    pub peers: usize,
    /// How often a peer is asked who it is. Found out by this: one that is gone without a word.
    ///
    /// Typical: 30 s.
    pub refresh: Duration,
    /// How often peers are asked for peers they know. Typical: 30 s.
    pub search: Duration,
    /// First pause before somebody who did not answer is dialled again; it doubles each time. Typical: 1 s.
    pub first_pause: Duration,
    /// Longest such pause. Typical: 60 s.
    pub longest_pause: Duration,
    /// How long a peer that is not reached stays listed. Typical: 10 min.
    pub forget: Duration,
    /// How long a connection on which nothing happens stays open.
    ///
    /// Longer than `refresh`, or each refresh dials. Typical: 2 min.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            largest_request: 4 << 20,
            largest_answer: 64 << 20,
            setup: Duration::from_secs(10),
            open: Duration::from_secs(15),
            request: Duration::from_secs(20),
            service: Duration::from_secs(60),
            answer: Duration::from_secs(120),
            call: Duration::from_secs(120),
            hello: Duration::from_secs(20),
            read_bytes: 256 << 20,
            calls: 256,
            calls_per_peer: 8,
            answers: 64,
            answers_per_peer: 16,
            answer_bytes: 256 << 20,
            waiting: 1024,
            waiting_per_peer: 128,
            connections: 1024,
            unread_bytes: 1 << 30,
            connections_per_peer: 16,
            connections_pending: 256,
            streams_per_connection: 32,
            peers: 1024,
            refresh: Duration::from_secs(30),
            search: Duration::from_secs(30),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            forget: Duration::from_secs(600),
            idle: Duration::from_secs(120),
        }
    }
}
