//! Asking providers until one answers: the next one when one fails, and also when one is silent.

use super::{
    Inner,
    provider::{Failure, Provider},
};
use futures::future::{BoxFuture, select_all};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// When something of an answer was seen last.
#[derive(Clone)]
pub(super) struct Pulse(Arc<Mutex<Life>>);

struct Life {
    at: Instant,
    /// Whether the question has gone out; before that the silence is ours.
    begun: bool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Life { at: Instant::now(), begun: false })))
    }

    /// Something was seen.
    pub(super) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Life { at: Instant::now(), begun: true };
    }

    fn has_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begun
    }

    /// Returns once nothing was seen for `patience`.
    async fn silent_for(&self, patience: Duration) {
        loop {
            let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).at + patience;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// A question to several providers, best first.
pub(super) struct Asking<'a, T> {
    store: &'a Inner,
    ask: Box<dyn Fn(Arc<Provider>, Pulse) -> Asked<'a, T> + Send + Sync + 'a>,
    waiting: VecDeque<Arc<Provider>>,
    under_way: Vec<Flight<'a, T>>,
    /// Whether anybody has answered or failed.
    answered: bool,
}

/// The answer of one.
pub(super) type Asked<'a, T> = BoxFuture<'a, Result<T, Failure>>;

struct Flight<'a, T> {
    provider: Arc<Provider>,
    pulse: Pulse,
    future: Asked<'a, T>,
}

impl<'a, T> Asking<'a, T> {
    pub(super) fn new(
        store: &'a Inner,
        candidates: Vec<Arc<Provider>>,
        ask: impl Fn(Arc<Provider>, Pulse) -> Asked<'a, T> + Send + Sync + 'a,
    ) -> Self {
        Self { store, ask: Box::new(ask), waiting: candidates.into(), under_way: Vec::new(), answered: false }
    }

    /// The next answer or failure, none once everybody was asked. What is still under way when this is dropped is
    /// given up.
    pub(super) async fn next(&mut self) -> Option<(Arc<Provider>, Result<T, Failure>)> {
        let patience = self.store.options.hedge_after;
        loop {
            if self.under_way.is_empty() && !self.ask_next() {
                return None;
            }
            // With others left, silence brings in the next. With an answer there already that did not do, the
            // silent one is not waited for any longer. A single provider has all the time of its deadlines.
            let watched = if self.waiting.is_empty() {
                self.answered.then_some(0)
            } else {
                Some(self.under_way.len() - 1)
            };
            let silence = watched.map(|at| self.under_way[at].pulse.clone());
            let silence = async {
                match silence {
                    Some(pulse) => pulse.silent_for(patience).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                (answer, at, _) = select_all(self.under_way.iter_mut().map(|flight| &mut flight.future)) => {
                    let flight = self.under_way.swap_remove(at);
                    self.answered = true;
                    return Some((flight.provider, answer));
                }
                () = silence => {}
            }
            if self.waiting.is_empty() {
                let flight = self.under_way.remove(0);
                let cause = format!("no answer for {patience:?} while others answered");
                return Some((flight.provider, Err(Failure::Silent(cause))));
            }
            if let Some(silent) = self.under_way.last().filter(|flight| flight.pulse.has_begun()) {
                self.store.slow(&silent.provider, patience);
            }
            self.ask_next();
        }
    }

    fn ask_next(&mut self) -> bool {
        let Some(provider) = self.waiting.pop_front() else { return false };
        let pulse = Pulse::new();
        let future = (self.ask)(provider.clone(), pulse.clone());
        self.under_way.push(Flight { provider, pulse, future });
        true
    }
}
