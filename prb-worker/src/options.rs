//! What an operator may tune about calls to a worker.

use std::time::Duration;

/// Limits of a driver's calls. The defaults suit workers in the same data centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Longest time to open a connection.
    ///
    /// Longer delays the notice that a worker is down, shorter gives up on far or busy machines. Typical: 5 s.
    pub connect_timeout: Duration,
    /// Longest time of a whole call, by kind of call.
    pub deadlines: Deadlines,
    /// Largest reply, by kind of call.
    pub reply_caps: ReplyCaps,
    /// Slowest transfer that is still waited for, in both directions.
    pub minimum_rate: MinimumRate,
    /// How long an idle connection is used again.
    ///
    /// A worker closes connections that were idle for 5 s; one used just then fails although the worker is well, so
    /// this must be shorter. Zero opens a connection per call. Typical: 4 s.
    pub idle_reuse: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            deadlines: Deadlines::default(),
            reply_caps: ReplyCaps::default(),
            minimum_rate: MinimumRate::default(),
            idle_reuse: Duration::from_secs(4),
        }
    }
}

/// Longest time of a call from its turn to the last byte of the reply: connecting, sending, working, receiving.
///
/// Longer hides a hung worker, shorter breaks a busy one. Waiting for the call before it does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// `GetInfo`, `GetEgressMessages`, `SignEndpointInfo`, `Stop`. Typical: 30 s.
    pub read: Duration,
    /// Header sync, `DispatchBlocks`, `GetRuntimeInfo` (it may fetch an attestation), `TakeCheckpoint`, the calls of a key
    /// handover (likewise). Typical: 180 s.
    pub work: Duration,
    /// `InitRuntime` and `LoadChainState`, which carry and hash a whole chain state. Typical: 1800 s.
    pub load: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            work: Duration::from_secs(180),
            load: Duration::from_secs(1800),
        }
    }
}

/// Largest reply that is read, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyCaps {
    /// `InitRuntime`, `GetRuntimeInfo`, `GetEgressMessages`. Also bounds the memory that decoded messages take.
    /// Typical: 100 MiB.
    pub runtime: usize,
    /// Every other call, and the text of every error. Typical: 64 KiB.
    pub other: usize,
}

impl Default for ReplyCaps {
    fn default() -> Self {
        Self { runtime: 100 << 20, other: 64 << 10 }
    }
}

/// At least `bytes` in each `window`, or the call ends; the time a worker works between request and reply is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinimumRate {
    /// Bytes that must move per window. Zero switches the check off. Typical: 1 KiB.
    pub bytes: u64,
    /// Longer forgives longer gaps. Typical: 10 s.
    pub window: Duration,
}

impl Default for MinimumRate {
    fn default() -> Self {
        Self { bytes: 1024, window: Duration::from_secs(10) }
    }
}
