//! What ingest waits for, as seen from beside it. Pure.

use crate::{
    id::Height,
    port::{
        Tips,
        source::{Peer, Side},
    },
    progress::{CHAIN_PATIENCE, PATIENCE, SLOW_PATIENCE, Waiting},
};
use std::time::Duration;

/// A parachain node finalizes what the relay chain names a moment later than a relay node.
const PARA_SLACK: u32 = 2;

/// How far ingest has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Here {
    pub(super) relay: Height,
    /// Last parachain header, none before block 0.
    pub(super) para: Option<Height>,
    pub(super) changes: Height,
    /// Whether blocks are finalized by a relay chain.
    pub(super) parachain: bool,
}

impl Here {
    /// The last block whose storage changes are to be stored.
    pub(super) fn blocks(self) -> Option<Height> {
        if self.parachain { self.para } else { Some(self.relay) }
    }
}

/// What ingest itself has met.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// What failed last, none once all is well.
    pub(super) trouble: Option<String>,
    /// Whether questions about relay headers are not answered.
    pub(super) away: bool,
    /// Whether the source has nothing justified after what is stored.
    pub(super) unjustified: bool,
}

/// How ingest stands.
pub(super) struct View<'a> {
    /// None while the store is empty.
    pub(super) here: Option<Here>,
    /// Finalized heads as they were told last.
    pub(super) tips: Option<Tips>,
    /// How long they have not been told.
    pub(super) silent: Duration,
    /// Name of the source as a whole.
    pub(super) endpoint: String,
    pub(super) peers: &'a [Peer],
    /// Who is asked and follows another fork than what is stored, and what shows it.
    pub(super) fork: Option<(&'a Peer, &'a str)>,
    pub(super) notes: Notes,
}

impl View<'_> {
    /// What the next relay headers wait for.
    pub(super) fn relay(&self) -> Waiting {
        if let Some((peer, found)) = self.fork {
            return Waiting {
                endpoint: peer.name.clone(),
                there: peer.head.map(|head| head.height),
                what: "a node of the stored chain".to_owned(),
                cause: Some(found.to_owned()),
                remedy: "name nodes of this chain; if it was started anew, choose another data_dir",
                patience: PATIENCE,
            };
        }
        if self.silent >= PATIENCE {
            return self.answer();
        }
        let Some((here, tips)) = self.here.zip(self.tips) else {
            let what = if self.here.is_some() { "finalized heads" } else { "what the chain begins with" };
            return self.waiting(Side::Relay, what.to_owned(), BUSY, self.slow());
        };
        if tips.relay < here.relay {
            return self.behind(Side::Relay);
        }
        if here.para.is_some_and(|para| here.parachain && para.since(tips.para) > PARA_SLACK) {
            return self.behind(Side::Para);
        }
        let next = here.relay.next();
        if tips.relay == here.relay {
            let remedy = "see whether the node has peers and the chain finalizes blocks";
            return self.waiting(
                Side::Relay,
                format!("finalized relay block {next}"),
                remedy,
                CHAIN_PATIENCE,
            );
        }
        if self.notes.unjustified {
            let remedy =
                "some nodes keep a justification every 512 blocks only; name one that follows finality";
            let what = format!("a justification of relay block {next} or later");
            return self.waiting(Side::Relay, what, remedy, CHAIN_PATIENCE);
        }
        self.waiting(Side::Relay, format!("relay headers from {next}"), BUSY, self.slow())
    }

    /// What the next storage changes wait for, none where all are stored whose headers are.
    pub(super) fn changes(&self) -> Option<Waiting> {
        let here = self.here.filter(|here| here.blocks().is_some_and(|last| here.changes < last))?;
        if self.silent >= PATIENCE {
            return Some(self.answer());
        }
        let what = format!("storage changes of block {}", here.changes.next());
        Some(self.waiting(Side::Para, what, BUSY, self.slow()))
    }

    /// Somebody does not answer.
    fn answer(&self) -> Waiting {
        let open = self.peers.iter().filter_map(|peer| Some((peer, peer.open?)));
        let longest = open.max_by_key(|(_, (_, since))| *since);
        let (endpoint, there, what) = match longest {
            Some((peer, (kind, since))) => {
                let what = format!("an answer about {kind}, asked for {} s ago", since.as_secs());
                (peer.name.clone(), peer.head.map(|head| head.height), what)
            }
            None => (
                self.endpoint.clone(),
                self.tips.map(|tips| tips.relay),
                "an answer about finalized heads".into(),
            ),
        };
        let remedy = "see whether it runs and can be reached, restart it, or name another beside it";
        Waiting { endpoint, there, what, cause: self.notes.trouble.clone(), remedy, patience: PATIENCE }
    }

    /// A node has less than is stored.
    fn behind(&self, side: Side) -> Waiting {
        let what = format!("the {side} node to catch up with what is stored");
        let remedy = "wait until it has synced, or name a node that is at the tip";
        self.waiting(side, what, remedy, PATIENCE)
    }

    fn waiting(&self, side: Side, what: String, remedy: &'static str, patience: Duration) -> Waiting {
        let of_side = |peer: &&Peer| peer.side == side;
        let asked = self.peers.iter().filter(of_side).find(|peer| peer.in_use);
        let asked = asked.or_else(|| self.peers.iter().find(of_side));
        Waiting {
            endpoint: asked.map_or_else(|| self.endpoint.clone(), |peer| peer.name.clone()),
            there: self.tips.map(|tips| if side == Side::Relay { tips.relay } else { tips.para }),
            what,
            cause: self.notes.trouble.clone(),
            remedy,
            patience,
        }
    }

    /// How long an answer may take that is on its way. After a failure it is not.
    fn slow(&self) -> Duration {
        if self.notes.trouble.is_some() { PATIENCE } else { SLOW_PATIENCE }
    }
}

const BUSY: &str = "see the cause, or whether the node is busy; name another beside it";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BlockRef, Hash};

    fn peer(name: &str, side: Side, open: Option<u64>) -> Peer {
        let open = open.map(|seconds| ("storage changes", Duration::from_secs(seconds)));
        let head = Some(BlockRef { height: Height(90), hash: Hash([9; 32]) });
        Peer { name: name.to_owned(), side, head, in_use: true, open, trouble: None }
    }

    fn here(relay: u32, para: u32, changes: u32) -> Here {
        Here { relay: Height(relay), para: Some(Height(para)), changes: Height(changes), parachain: true }
    }

    fn tips(relay: u32, para: u32) -> Tips {
        Tips { relay: Height(relay), para: Height(para) }
    }

    fn view<'a>(here: Here, tips: Tips, peers: &'a [Peer]) -> View<'a> {
        View {
            here: Some(here),
            tips: Some(tips),
            silent: Duration::ZERO,
            endpoint: "all".to_owned(),
            peers,
            fork: None,
            notes: Notes::default(),
        }
    }

    /// Whom relay headers wait for, for what, and for how many seconds that is no trouble.
    fn said(waiting: &Waiting) -> (&str, &str, u64) {
        (&waiting.endpoint, &waiting.what, waiting.patience.as_secs())
    }

    #[test]
    fn what_relay_headers_wait_for_follows_from_how_far_both_are() {
        let peers = [peer("r", Side::Relay, None), peer("p", Side::Para, None)];
        let mut view = view(here(100, 50, 50), tips(100, 50), &peers);
        assert_eq!(said(&view.relay()), ("r", "finalized relay block 101", 120));
        view.tips = Some(tips(200, 80));
        assert_eq!(said(&view.relay()), ("r", "relay headers from 101", 30));
        assert_eq!(view.relay().there, Some(Height(200)));
        view.notes.trouble = Some("r: refuses".to_owned());
        assert_eq!(said(&view.relay()), ("r", "relay headers from 101", 10));
        assert_eq!(view.relay().cause.as_deref(), Some("r: refuses"));
        view.notes.unjustified = true;
        assert_eq!(said(&view.relay()), ("r", "a justification of relay block 101 or later", 120));
        view.tips = Some(tips(99, 50));
        assert_eq!(said(&view.relay()), ("r", "the relay chain node to catch up with what is stored", 10));
        view.tips = Some(tips(100, 48));
        assert_eq!(said(&view.relay()).1, "finalized relay block 101", "a moment later");
        view.tips = Some(tips(100, 47));
        assert_eq!(said(&view.relay()), ("p", "the parachain node to catch up with what is stored", 10));
        assert_eq!(view.relay().there, Some(Height(47)));
        view.here = None;
        assert_eq!(said(&view.relay()).1, "what the chain begins with");
    }

    #[test]
    fn who_does_not_answer_is_named_with_what_it_was_asked() {
        let peers = [peer("r", Side::Relay, Some(3)), peer("p", Side::Para, Some(12))];
        let mut view = view(here(100, 50, 50), tips(100, 50), &peers);
        view.silent = Duration::from_secs(9);
        assert_eq!(said(&view.relay()).0, "r");
        view.silent = PATIENCE;
        assert_eq!(said(&view.relay()), ("p", "an answer about storage changes, asked for 12 s ago", 10));
        view.peers = &[];
        assert_eq!(said(&view.relay()), ("all", "an answer about finalized heads", 10));
    }

    #[test]
    fn who_is_of_another_fork_is_told_as_such() {
        let peers = [peer("r", Side::Relay, None)];
        let mut view = view(here(100, 50, 50), tips(90, 50), &peers);
        view.fork = Some((&peers[0], "its block 90 is 0x09, the store holds 0x01"));
        let waiting = view.relay();
        assert_eq!(said(&waiting), ("r", "a node of the stored chain", 10));
        assert_eq!(
            waiting.to_string(),
            "r: waiting for a node of the stored chain: its block 90 is 0x09, the store holds 0x01"
        );
    }

    #[test]
    fn storage_changes_wait_for_those_whose_headers_are_stored() {
        let peers = [peer("r", Side::Relay, None), peer("p", Side::Para, None)];
        assert_eq!(view(here(100, 50, 50), tips(200, 90), &peers).changes(), None);
        let waiting = view(here(100, 50, 49), tips(200, 90), &peers).changes().unwrap();
        assert_eq!(said(&waiting), ("p", "storage changes of block 50", 30));
        let solo = Here { parachain: false, para: None, ..here(100, 0, 99) };
        assert!(view(solo, tips(100, 100), &peers).changes().is_some());
        let none = Here { para: None, ..here(100, 0, 0) };
        assert_eq!(view(none, tips(200, 90), &peers).changes(), None);
    }
}
