//! Nodes that a network begins with. They are dialled for ever. Decides only.

use super::{Limits, StartError, address};
use libp2p::{Multiaddr, PeerId};
use std::time::Duration;
use tokio::time::Instant;

/// A boot node.
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) address: Multiaddr,
    /// Who should be there, if that is said.
    pub(super) named: Option<PeerId>,
    /// Who was there last.
    pub(super) found: Option<PeerId>,
    /// When to look at it next; none while it is dialled.
    next: Option<Instant>,
    failures: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Boot {
    pub(super) fn new(now: Instant, address: &Multiaddr, limits: &Limits) -> Result<Self, StartError> {
        let (bare, named) = address::parse(address).ok_or_else(|| StartError::BootNode(address.clone()))?;
        let Limits { first_pause, longest_pause, .. } = *limits;
        Ok(Self {
            address: bare,
            named,
            found: None,
            next: Some(now),
            failures: 0,
            first_pause,
            longest_pause,
        })
    }

    /// Whether to dial it; not while there is a connection to it. If so, the outcome is to be reported.
    pub(super) fn is_due(&mut self, now: Instant, is_linked: impl FnOnce(&PeerId) -> bool) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        let linked = self.named.or(self.found).is_some_and(|peer| is_linked(&peer));
        self.next = linked.then(|| now + self.first_pause);
        !linked
    }

    pub(super) fn connected(&mut self, now: Instant, peer: PeerId) {
        self.found = Some(peer);
        self.failures = 0;
        self.next = Some(now + self.first_pause);
    }

    /// It is this node itself, and never dialled again.
    pub(super) fn give_up(&mut self) {
        self.next = None;
    }

    /// True if it went well before.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let pause = self.first_pause.saturating_mul(1 << (self.failures - 1).min(16)).min(self.longest_pause);
        self.next = Some(now + pause);
        self.failures == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(now: Instant) -> Boot {
        Boot::new(now, &"/ip4/10.0.0.1/tcp/1".parse().unwrap(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_boot_node_is_dialled_for_ever_and_ever_more_rarely() {
        let mut now = Instant::now();
        let (mut boot, mut pauses) = (boot(now), Vec::new());
        assert!(boot.is_due(now, |_| false));
        for _ in 0..8 {
            assert!(!boot.is_due(now, |_| false), "it is dialled once at a time");
            assert_eq!(boot.failed(now), pauses.is_empty(), "told once");
            let before = now;
            while !boot.is_due(now, |_| false) {
                now += Duration::from_secs(1);
            }
            pauses.push((now - before).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_boot_node_is_dialled_again_once_its_connection_is_gone() {
        let now = Instant::now();
        let mut boot = boot(now);
        assert!(boot.is_due(now, |_| true), "nobody knows yet who is there");
        boot.connected(now, PeerId::random());
        let later = now + Duration::from_secs(1);
        assert!(!boot.is_due(now, |_| false));
        assert!(!boot.is_due(later, |_| true));
        assert!(boot.is_due(later + Duration::from_secs(1), |_| false));
        assert!(boot.failed(later), "that is worth a line");
    }

    #[test]
    fn a_boot_node_that_is_this_node_is_dialled_once() {
        let now = Instant::now();
        let mut boot = boot(now);
        assert!(boot.is_due(now, |_| false));
        boot.give_up();
        assert!(!boot.is_due(now + Duration::from_secs(3600), |_| false));
    }

    #[test]
    fn a_boot_node_without_a_tcp_port_is_refused() {
        let address = "/ip4/10.0.0.1/udp/1/quic-v1".parse().unwrap();
        let refused = Boot::new(Instant::now(), &address, &Limits::default()).unwrap_err();
        assert!(refused.to_string().contains("/ip4/10.0.0.1/udp/1/quic-v1"), "{refused}");
    }
}
