//! Which data providers among the peers are read from, and which are shown the token.

use crate::config::{ConfigError, P2p};
use prb_p2p::PeerId;
use std::collections::BTreeSet;

/// How far a provider that was found is trusted. What workers are fed comes from who is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// Not at all: anybody could be it.
    Stranger,
    /// It is read from, as the configuration wants it, though anybody could be it.
    Read,
    /// It is of this cluster: the token is shown to it, too.
    Own,
}

/// Who is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// Whether strangers are kept out of the network.
    closed: bool,
    listed: BTreeSet<PeerId>,
    /// Whether strangers are read from.
    strangers: bool,
}

impl Trusted {
    /// Whom a configuration trusts.
    pub(crate) fn of(p2p: &P2p) -> Result<Self, ConfigError> {
        Ok(Self { closed: p2p.is_closed(), listed: p2p.listed()?, strangers: p2p.trust_found })
    }

    /// How far a peer is.
    pub(crate) fn trust(&self, peer: &PeerId) -> Trust {
        match (self.closed || self.is_listed(peer), self.strangers) {
            (true, _) => Trust::Own,
            (false, true) => Trust::Read,
            (false, false) => Trust::Stranger,
        }
    }

    /// Whether the configuration names it.
    pub(crate) fn is_listed(&self, peer: &PeerId) -> bool {
        self.listed.contains(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x18_strangers_are_neither_read_from_nor_shown_the_token_unless_they_are_kept_out_anyway() {
        use Trust::{Own, Read, Stranger};
        let (member, manager, other) = (PeerId::random(), PeerId::random(), PeerId::random());
        let open =
            P2p { members: vec![member.to_string()], managers: vec![manager.to_string()], ..P2p::default() };
        let key = Some("swarm.key".into());
        for (p2p, trust) in [
            (P2p::default(), [Stranger, Stranger, Stranger]),
            (open.clone(), [Own, Own, Stranger]),
            (P2p { trust_found: true, ..open.clone() }, [Own, Own, Read]),
            (P2p { trust_found: true, ..P2p::default() }, [Read, Read, Read]),
            (P2p { only_members: true, ..open }, [Own, Own, Own]),
            (P2p { pre_shared_key_file: key.clone(), ..P2p::default() }, [Own, Own, Own]),
            (P2p { pre_shared_key_file: key, trust_found: true, ..P2p::default() }, [Own, Own, Own]),
        ] {
            let trusted = Trusted::of(&p2p).unwrap();
            assert_eq!([member, manager, other].map(|peer| trusted.trust(&peer)), trust, "{p2p:?}");
        }
    }
}
