//! Who peers are: asking them, finding more of them, forgetting them.

use super::{MOST_GREETINGS, Node};
use crate::network::{CallError, Peer, PeerId, book::News, client::Greeting, meter};
use futures::FutureExt as _;
use libp2p::kad::{GetClosestPeersError, GetClosestPeersOk, PeerInfo, QueryResult};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

impl Node {
    /// Asks those whose turn it is who they are.
    pub(super) fn greet(&mut self, now: Instant) {
        for peer in self.book.due(now, MOST_GREETINGS) {
            let (greeter, me) = (self.greeter.clone(), self.me.clone());
            self.greetings.spawn(caught(peer, async move { greeter.greet(peer, me).await }));
        }
    }

    pub(super) fn greeted(&mut self, peer: PeerId, greeting: Greeting) {
        let now = Instant::now();
        match greeting {
            Greeting::Told(told) => {
                let news = self.book.answered(now, told.clone());
                tell(news, &told);
                if news != News::Same {
                    self.publish();
                }
                self.route(&peer);
            }
            Greeting::Lied(says) => {
                meter::refused("lied");
                if self.book.lied(now, &peer) {
                    warn!(%peer, says, "refused a peer that says it is another one");
                }
                self.swarm.behaviour_mut().kad.remove_peer(&peer);
                self.publish();
            }
            Greeting::Failed(error) => self.unanswered_greeting(now, peer, &error),
        }
    }

    fn unanswered_greeting(&mut self, now: Instant, peer: PeerId, error: &CallError) {
        debug!(%peer, %error, "a peer did not say who it is");
        if self.book.failed(now, &peer) {
            info!(%peer, reason = %error, "lost a peer");
            self.publish();
        }
        self.swarm.behaviour_mut().kad.remove_peer(&peer);
        // A connection on which nothing comes twice is dead, though nobody said so.
        if *error == CallError::Timeout && self.book.failures(&peer) > 1 {
            for link in self.links.remove(&peer).unwrap_or_default() {
                self.swarm.close_connection(link);
            }
        }
    }

    /// Forgets peers that have been gone for long.
    pub(super) fn forget(&mut self, now: Instant) {
        let (gone, listed) = self.book.forget(now);
        for peer in &gone {
            debug!(%peer, "forgot a peer");
            self.swarm.behaviour_mut().kad.remove_peer(peer);
        }
        if listed {
            self.publish();
        }
        self.is_full &= gone.is_empty();
    }

    /// Lets peers of the DHT know of this one, and asks it for others.
    pub(super) fn route(&mut self, peer: &PeerId) {
        let Some(address) = self.book.route(peer).cloned() else { return };
        let kad = &mut self.swarm.behaviour_mut().kad;
        let is_known = kad
            .kbucket(*peer)
            .is_some_and(|bucket| bucket.iter().any(|entry| entry.node.key.preimage() == peer));
        kad.add_address(peer, address);
        if !is_known {
            self.next_search = self.next_search.min(Instant::now() + SEARCH_SOON);
        }
    }

    /// Asks peers for the peers they know.
    pub(super) fn search(&mut self, now: Instant) {
        if self.search.is_some() || now < self.next_search {
            return;
        }
        self.next_search = now + self.limits.search;
        let kad = &mut self.swarm.behaviour_mut().kad;
        let is_alone = kad.kbuckets().next().is_none();
        if !is_alone {
            // Every other time around a random place, so that all of a large network are met.
            self.searches = self.searches.wrapping_add(1);
            let target = if self.searches % 2 == 1 { self.own } else { PeerId::random() };
            self.search = Some(kad.get_closest_peers(target));
        }
    }

    /// Peers that were found.
    pub(super) fn searched(&mut self, result: QueryResult) {
        let (QueryResult::GetClosestPeers(Ok(GetClosestPeersOk { peers, .. }))
        | QueryResult::GetClosestPeers(Err(GetClosestPeersError::Timeout { peers, .. }))) = result
        else {
            return;
        };
        for PeerInfo { peer_id, addrs } in peers {
            if self.links.contains_key(&peer_id) {
                continue;
            }
            let addresses: Vec<_> = addrs.into_iter().filter(|address| self.may_be_at(address)).collect();
            self.hear(peer_id, &addresses);
        }
    }
}

/// A greeting that panics is one that failed, so that the peer is asked again.
async fn caught(peer: PeerId, greeting: impl Future<Output = Greeting>) -> (PeerId, Greeting) {
    let greeting = AssertUnwindSafe(greeting).catch_unwind().await.unwrap_or_else(|_| {
        error!(%peer, "asking a peer who it is panicked; this is a fault of the program");
        Greeting::Failed(CallError::BadAnswer("reading it failed; the log says more".into()))
    });
    (peer, greeting)
}

fn tell(news: News, told: &Peer) {
    let Peer { id, hostname, role, chain_identity, bridge_identity, address, .. } = told;
    let words = match news {
        News::Same => return,
        News::Found => "found a peer",
        News::Back => "a peer is back",
        News::Changed => "a peer changed",
    };
    info!(peer = %id, hostname, role, chain_identity, bridge_identity, %address, "{words}");
}

/// Until a peer that is new in the DHT is asked for others, so that several are asked at once.
const SEARCH_SOON: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_greeting_that_panics_is_reported_as_failed() {
        let peer = PeerId::random();
        let (of, greeting) = caught(peer, async { panic!("a fault") }).await;
        assert!(of == peer && matches!(greeting, Greeting::Failed(CallError::BadAnswer(_))));
    }
}
