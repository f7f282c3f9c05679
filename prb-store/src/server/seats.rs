//! Places for connections: so many in all, and so many of one address.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds how many connections there are.
#[derive(Debug)]
pub struct Seats {
    free: Arc<Semaphore>,
    per_peer: usize,
    peers: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A connection's place, free again when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    peer: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Seats {
    /// So many in all, and so many of one address.
    pub fn new(all: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(all)), per_peer, peers: Mutex::default() })
    }

    /// A place for a connection from there, none if there are too many.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        let place = self.free.clone().try_acquire_owned().ok()?;
        let mut peers = self.peers();
        let taken = peers.get(&peer).copied().unwrap_or_default();
        if taken >= self.per_peer {
            return None;
        }
        peers.insert(peer, taken + 1);
        Some(Seat { seats: self.clone(), peer, _place: place })
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = self.seats.peers();
        if let Some(taken) = peers.get_mut(&self.peer) {
            *taken -= 1;
            if *taken == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_for_each_address_and_are_free_again() {
        let seats = Seats::new(3, 2);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let (one, same, other) = (at("10.0.0.1"), at("::ffff:10.0.0.1"), at("10.0.0.2"));
        let first = seats.take(one).unwrap();
        let second = seats.take(same).unwrap();
        assert!(seats.take(one).is_none(), "two of one address, however it is written");
        let third = seats.take(other).unwrap();
        assert!(seats.take(other).is_none(), "three in all");
        drop(first);
        assert!(seats.take(one).is_some());
        drop((second, third));
        assert!(seats.peers().is_empty(), "nothing is kept of who is gone");
        let none = Seats::new(3, 0);
        assert!(none.take(one).is_none() && none.peers().is_empty(), "nor of who was turned away");
    }
}
