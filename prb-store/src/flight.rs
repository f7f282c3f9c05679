//! One question at a time about the same thing.

use prb_core::id::Height;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::Instant,
};

/// About what: a kind of question and the height it begins at.
pub(crate) type Key = (u8, Height);

/// How the last question about a thing failed.
type Failed = Option<(Instant, String)>;

/// Questions under way.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Key, Arc<AsyncMutex<Failed>>>>);

/// A turn to ask.
pub(crate) struct Turn<'a> {
    last: OwnedMutexGuard<Failed>,
    since: Instant,
    _ticket: Ticket<'a>,
}

struct Ticket<'a> {
    flights: &'a Flights,
    key: Key,
    gate: Option<Arc<AsyncMutex<Failed>>>,
}

impl Flights {
    /// Waits until nobody asks about `key`.
    pub(crate) async fn turn(&self, key: Key) -> Turn<'_> {
        let since = Instant::now();
        let gate = self.gates().entry(key).or_default().clone();
        let ticket = Ticket { flights: self, key, gate: Some(gate.clone()) };
        Turn { last: gate.lock_owned().await, since, _ticket: ticket }
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<Key, Arc<AsyncMutex<Failed>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// How the question failed while this turn was waited for: asking again at once would take as long again.
    pub(crate) fn failed_meanwhile(&self) -> Option<String> {
        self.last.as_ref().filter(|(at, _)| *at > self.since).map(|(_, cause)| cause.clone())
    }

    /// Tells those who wait.
    pub(crate) fn failed(&mut self, cause: &str) {
        *self.last = Some((Instant::now(), cause.to_owned()));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut gates = self.flights.gates();
        self.gate = None;
        if gates.get(&self.key).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{advance, timeout};

    const KEY: Key = (1, Height(7));

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_one_after_the_other_and_nothing_is_left() {
        let flights = Flights::default();
        let mut first = flights.turn(KEY).await;
        assert!(timeout(Duration::from_secs(1), flights.turn(KEY)).await.is_err(), "it waits");
        let other = flights.turn((1, Height(8))).await;
        drop(other);
        let second = flights.turn(KEY);
        let second = async {
            let turn = second.await;
            turn.failed_meanwhile()
        };
        let ask = async {
            advance(Duration::from_secs(3)).await;
            first.failed("nobody answers");
            drop(first);
        };
        let (told, ()) = tokio::join!(second, ask);
        assert_eq!(told.as_deref(), Some("nobody answers"));
        assert!(flights.gates().is_empty());
        assert_eq!(flights.turn(KEY).await.failed_meanwhile(), None, "later questions are asked");
    }
}
