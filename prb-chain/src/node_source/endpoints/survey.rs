//! What is known of endpoints without their being needed: their heads, and what they have not answered.

use super::{Endpoint, Endpoints, Known, Node, locked};
use crate::node_source::{roster, standing::Kind};
use futures::future::join_all;
use prb_core::{
    id::{BlockRef, Height},
    port::{SourceError, source::Peer},
};
use std::{sync::Mutex, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// A question under way; answered or given up when dropped.
pub(super) struct Open<'a> {
    known: &'a Mutex<Known>,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        locked(self.known).open.remove(&self.number);
    }
}

impl<N: Node> Endpoints<N> {
    pub(super) fn open(&self, index: usize, kind: Kind, begun: Instant) -> Open<'_> {
        let mut known = self.known();
        known.asked += 1;
        let number = known.asked;
        known.open.insert(number, (index, kind, begun));
        Open { known: &self.known, number }
    }

    /// The finalized height.
    pub(in crate::node_source) async fn tip(&self) -> Result<Height, SourceError> {
        let (index, head) = self.ask(Kind::Tip, None, Node::head).await?;
        self.heard(index, head);
        Ok(head.height)
    }

    /// It tells its finalized head.
    fn heard(&self, index: usize, head: BlockRef) {
        self.known().standings[index].heard(head);
        let labels = [("chain", self.chain.to_owned()), ("endpoint", self.endpoints[index].name.clone())];
        metrics::gauge!("prb_source_height", &labels).set(head.height.0);
    }

    /// How all of them stand.
    pub(in crate::node_source) fn peers(&self) -> Vec<Peer> {
        let (now, current) = (self.now(), self.current());
        let known = self.known();
        let peer = |(index, endpoint): (usize, &Endpoint<N>)| {
            let standing = &known.standings[index];
            // To be told of news takes as long as there are none.
            let open = known.open.values().filter(|(whose, kind, _)| *whose == index && *kind != Kind::News);
            let longest = open.min_by_key(|(.., begun)| *begun);
            Peer {
                name: endpoint.name.clone(),
                side: self.side,
                head: standing.head(),
                in_use: index == current,
                open: longest.map(|(_, kind, begun)| (kind.name(), begun.elapsed())),
                trouble: standing.trouble(now),
            }
        };
        self.endpoints.iter().enumerate().map(peer).collect()
    }

    /// What was found of the head that one of them told, see [`BlockSource::judge`](prb_core::port::BlockSource::judge).
    pub(in crate::node_source) fn judge(&self, peer: &Peer, because: Option<&str>) {
        let named = self.endpoints.iter().position(|endpoint| endpoint.name == peer.name);
        if let Some(index) = named.filter(|_| peer.side == self.side) {
            self.note(index, |standing, now| standing.judged(now, because).into_iter().collect());
        }
    }

    /// Asks every endpoint for its finalized head, again and again: whether it lives, what it is, and how far it is
    /// behind. Each is asked by itself, so nobody waits for one that hangs.
    pub(in crate::node_source) async fn survey(&self, interval: Duration) {
        let looks = (0..self.endpoints.len()).map(|index| async move {
            loop {
                self.look(index).await;
                sleep(interval).await;
            }
        });
        join_all(looks).await;
    }

    async fn look(&self, index: usize) {
        let patience = self.look_patience;
        let head = timeout(patience, self.ask_one(Kind::Tip, index, Node::head)).await;
        let late = |_| SourceError::Timeout {
            endpoint: self.endpoints[index].name.clone(),
            what: format!("finalized {} head", self.chain),
            seconds: patience.as_secs(),
        };
        match head.map(|(_, head)| head).unwrap_or_else(|elapsed| Err(late(elapsed))) {
            Ok(head) => {
                self.note(index, |standing, now| standing.answered(now, Kind::Tip));
                self.heard(index, head);
                self.compare(index);
            }
            Err(cause) => self.failed(Kind::Tip, index, &cause),
        }
    }

    /// Compares the height that was told just now with the best that was told before: an older one would look behind
    /// where it is not.
    fn compare(&self, told: usize) {
        let best = roster::best(&self.known().standings, self.now());
        let Some(best) = best else { return };
        self.note(told, |standing, now| standing.compared(now, best, self.slack).into_iter().collect());
        self.best.send_if_modified(|known| std::mem::replace(known, best) < best);
    }
}
