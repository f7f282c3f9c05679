//! Dials under way. Decides only.
//!
//! Each address is a dial of its own, so that a wrong one costs nothing but itself. The one that was good last is tried
//! alone, then all others at once; the first that is there wins.

use super::streams::{Refused, Reply};
use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Dials {
    dials: HashMap<ConnectionId, Target>,
    attempts: HashMap<PeerId, Attempt>,
}

/// What a dial is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Peer(PeerId, Multiaddr),
    /// A boot node, by its place.
    Boot(usize),
}

/// To reach a peer.
struct Attempt {
    waiting: Vec<Reply>,
    flying: usize,
    later: Vec<Multiaddr>,
    reason: String,
}

impl Dials {
    /// Whoever wants a stream to `peer` waits for a dial that is under way. Gives it back if there is none.
    pub(super) fn wait(&mut self, peer: &PeerId, reply: Reply) -> Option<Reply> {
        let Some(attempt) = self.attempts.get_mut(peer) else { return Some(reply) };
        attempt.waiting.retain(|waiting| !waiting.is_closed());
        if attempt.waiting.len() < MOST_WAITING {
            attempt.waiting.push(reply);
        } else {
            let _ = reply.send(Err(Refused::Failed("too many calls wait for it".into())));
        }
        None
    }

    /// Begins an attempt, with what is tried once nothing flies.
    pub(super) fn begin(&mut self, peer: PeerId, reply: Reply, later: Vec<Multiaddr>) {
        let reason = "no address of it is known".into();
        self.attempts.insert(peer, Attempt { waiting: vec![reply], flying: 0, later, reason });
    }

    /// What is dialled once nothing flies for this peer any more.
    pub(super) fn next_wave(&mut self, peer: &PeerId) -> Vec<Multiaddr> {
        let idle = self.attempts.get_mut(peer).filter(|attempt| attempt.flying == 0);
        idle.map(|attempt| std::mem::take(&mut attempt.later)).unwrap_or_default()
    }

    pub(super) fn flies(&mut self, dial: ConnectionId, target: Target) {
        if let Target::Peer(peer, _) = &target
            && let Some(attempt) = self.attempts.get_mut(peer)
        {
            attempt.flying += 1;
        }
        self.dials.insert(dial, target);
    }

    /// It did not even begin.
    pub(super) fn grounded(&mut self, peer: &PeerId, reason: String) {
        if let Some(attempt) = self.attempts.get_mut(peer) {
            attempt.reason = reason;
        }
    }

    /// It failed. What it was for; whether to go on with `next_wave` is for the caller to ask.
    pub(super) fn failed(&mut self, dial: ConnectionId, reason: &str) -> Option<Target> {
        let target = self.dials.remove(&dial)?;
        if let Target::Peer(peer, _) = &target
            && let Some(attempt) = self.attempts.get_mut(peer)
        {
            attempt.flying = attempt.flying.saturating_sub(1);
            attempt.reason = reason.into();
        }
        Some(target)
    }

    /// It is there.
    pub(super) fn landed(&mut self, dial: ConnectionId) -> Option<Target> {
        self.dials.remove(&dial)
    }

    /// Ends the attempt to reach this peer; those who waited.
    pub(super) fn reached(&mut self, peer: &PeerId) -> Vec<Reply> {
        self.attempts.remove(peer).map(|attempt| attempt.waiting).unwrap_or_default()
    }

    /// Ends the attempt to reach this peer, if nothing flies and nothing is left to try.
    pub(super) fn give_up(&mut self, peer: &PeerId) {
        let is_over = |attempt: &mut Attempt| attempt.flying == 0 && attempt.later.is_empty();
        if self.attempts.get_mut(peer).is_some_and(is_over)
            && let Some(attempt) = self.attempts.remove(peer)
        {
            for reply in attempt.waiting {
                let _ = reply.send(Err(Refused::Failed(attempt.reason.clone())));
            }
        }
    }
}

/// Who waits for one peer.
const MOST_WAITING: usize = 256;
