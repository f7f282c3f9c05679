//! What a node shows of itself.

use super::{Multiaddr, Peer, meter};
use std::sync::{PoisonError, RwLock};
use tokio::sync::watch;

pub(super) struct Shared {
    peers: RwLock<Vec<Peer>>,
    listening: RwLock<Vec<Multiaddr>>,
    changes: watch::Sender<u64>,
    ended: watch::Sender<bool>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            peers: RwLock::default(),
            listening: RwLock::default(),
            changes: watch::Sender::new(0),
            ended: watch::Sender::new(false),
        }
    }
}

impl Shared {
    pub(super) fn peers(&self) -> Vec<Peer> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn listening(&self) -> Vec<Multiaddr> {
        self.listening.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Shows these peers.
    pub(super) fn list(&self, peers: Vec<Peer>) {
        meter::listed(&peers);
        *self.peers.write().unwrap_or_else(PoisonError::into_inner) = peers;
        self.changes.send_modify(|count| *count += 1);
    }

    /// Shows these addresses.
    pub(super) fn listen(&self, addresses: Vec<Multiaddr>) {
        *self.listening.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// The node is gone.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits until it is.
    pub(super) async fn ended(&self) {
        // The sender is here.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}
