//! Seats for what goes on at once: so many in all, so many for each peer.

use libp2p::PeerId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Seats {
    all: Arc<Semaphore>,
    each: usize,
    /// Only of peers that have a seat or wait for one.
    peers: Mutex<HashMap<PeerId, Arc<Semaphore>>>,
}

/// Taken until it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    peer: PeerId,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Seats {
    pub(super) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all: Arc::new(Semaphore::new(all)), each, peers: Mutex::default() })
    }

    /// Waits for a seat. One peer that wants many keeps no other from its own.
    pub(super) async fn take(self: &Arc<Self>, peer: PeerId) -> Seat {
        let mut seat = Seat { seats: self.clone(), peer, permits: None };
        let own = self.of(peer).acquire_owned().await.expect("never closed");
        let all = self.all.clone().acquire_owned().await.expect("never closed");
        seat.permits = Some((own, all));
        seat
    }

    /// A seat, if there is one.
    pub(super) fn try_take(self: &Arc<Self>, peer: PeerId) -> Option<Seat> {
        let mut seat = Seat { seats: self.clone(), peer, permits: None };
        let own = self.of(peer).try_acquire_owned().ok()?;
        seat.permits = Some((own, self.all.clone().try_acquire_owned().ok()?));
        Some(seat)
    }

    fn of(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.permits = None;
        let mut peers = self.seats.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has or awaits one of its permits holds the semaphore too.
        if peers.get(&self.peer).is_some_and(|own| Arc::strong_count(own) == 1) {
            peers.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn one_peer_cannot_take_the_seats_of_another() {
        let seats = Seats::new(3, 2);
        let (greedy, modest) = (PeerId::random(), PeerId::random());
        let _first = seats.take(greedy).await;
        let second = seats.take(greedy).await;
        assert!(seats.try_take(greedy).is_none());
        let third = seats.try_take(modest).unwrap();
        assert!(seats.try_take(modest).is_none(), "all are taken");
        drop(second);
        assert!(seats.try_take(modest).is_some());
        drop(third);
    }

    #[tokio::test]
    async fn peers_without_a_seat_are_forgotten() {
        let seats = Seats::new(1, 1);
        let seat = seats.take(PeerId::random()).await;
        assert!(seats.take(PeerId::random()).now_or_never().is_none(), "it gives up waiting");
        assert_eq!(seats.peers.lock().unwrap().len(), 1);
        drop(seat);
        assert!(seats.peers.lock().unwrap().is_empty());
    }
}
