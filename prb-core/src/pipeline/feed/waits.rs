//! Workers that wait for the store for long. They are told together: hundreds may wait for the same.

use super::Wait;
use crate::{
    id::{Height, WorkerName},
    moment::Moment,
    pipeline::{
        Clock,
        events::{Announcer, Event},
    },
    port::Coverage,
    progress::{PATIENCE, Stall, Waiting, Word},
    span::Span,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tracing::{info, warn};

/// Which workers of a bridge wait for what, since when.
#[derive(Debug)]
pub(super) struct Waits {
    clock: Clock,
    known: Mutex<Known>,
}

impl Default for Waits {
    fn default() -> Self {
        Self { clock: Clock::start(), known: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Known {
    waiting: BTreeMap<WorkerName, Since>,
    stall: Stall<()>,
}

/// One worker's wait.
#[derive(Clone, Copy, Debug)]
struct Since {
    /// What it wants, and how far the store is where that counts as getting on.
    wait: (Wait, Option<Height>),
    since: Moment,
}

/// One worker among those of a bridge. Gone, it waits no longer.
pub(super) struct Waiter {
    waits: Arc<Waits>,
    name: WorkerName,
}

impl Waiter {
    pub(super) fn new(waits: Arc<Waits>, name: WorkerName) -> Self {
        Self { waits, name }
    }

    /// The worker waits for this, or for nothing. Tells what there is to tell; why the worker stands still, if it has for
    /// long.
    pub(super) fn note(
        &self,
        wait: Option<Wait>,
        coverage: Option<&Coverage>,
        announcer: &Announcer,
    ) -> Option<String> {
        let now = self.waits.clock.now();
        let mut known = self.waits.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        match wait.map(|wait| key(wait, coverage)) {
            None => drop(known.waiting.remove(&self.name)),
            Some(wait) => {
                let began = known.waiting.get(&self.name).filter(|since| since.wait == wait);
                let since = began.map_or(now, |began| began.since);
                known.waiting.insert(self.name.clone(), Since { wait, since });
            }
        }
        let stuck = known.waiting.iter().filter(|(_, since)| now.since(since.since) >= PATIENCE);
        let longest = stuck.clone().min_by_key(|(_, since)| since.since);
        let lacking = longest.map(|(_, since)| waiting(since.wait.0, coverage));
        match known.stall.observe(now, (), lacking.as_ref()) {
            None => {}
            Some(Word::Stalled(_)) => {
                if let Some(((worker, since), waiting)) = longest.zip(lacking) {
                    let (workers, seconds) = (stuck.count(), now.since(since.since).as_secs());
                    let Waiting { there, what: waiting_for, remedy, .. } = &waiting;
                    let (store, position) =
                        (there.map(|there| there.0), position(since.wait.0).map(|at| at.0));
                    warn!(
                        workers, %worker, worker_needs = position, store, waiting_for, seconds, remedy,
                        "workers wait for the store"
                    );
                    announcer.tell(Event::Stalled { what: WORKERS, cause: waiting.to_string() });
                    metrics::gauge!("prb_stalled", "what" => WORKERS).set(1.0);
                }
            }
            Some(Word::Over(after)) => {
                info!(seconds = after.as_secs(), "no worker waits for the store any longer");
                announcer.tell(Event::Resumed { what: WORKERS });
                metrics::gauge!("prb_stalled", "what" => WORKERS).set(0.0);
            }
        }
        let own = known.waiting.get(&self.name).filter(|since| now.since(since.since) >= PATIENCE)?;
        Some(format!("waiting for {}", waiting(own.wait.0, coverage).what))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waits.known.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.name);
    }
}

const WORKERS: &str = "workers";

/// What a wait is known by. A store that brings storage changes gets on; one that is behind the worker may never catch
/// up, however much it gets.
fn key(wait: Wait, coverage: Option<&Coverage>) -> (Wait, Option<Height>) {
    match wait {
        Wait::Changes(_) => (wait, coverage.and_then(|coverage| coverage.changes).map(Span::last)),
        Wait::Store { worker, .. } => (Wait::Store { worker, store: Height(0) }, None),
        Wait::Empty => (wait, None),
    }
}

/// The block that the worker needs.
fn position(wait: Wait) -> Option<Height> {
    match wait {
        Wait::Changes(block) => Some(block),
        Wait::Store { worker, .. } => Some(worker),
        Wait::Empty => None,
    }
}

fn waiting(wait: Wait, coverage: Option<&Coverage>) -> Waiting {
    let last = |span: fn(&Coverage) -> Option<Span>| coverage.and_then(span).map(Span::last);
    let (there, what, remedy) = match wait {
        Wait::Changes(block) => (
            last(|coverage| coverage.changes),
            format!("storage changes of block {block}, which the store does not have yet"),
            "see what the log says of the node or data provider that they come from",
        ),
        Wait::Store { worker, .. } => (
            last(|coverage| coverage.relay),
            format!("relay block {worker}: the store is behind the worker"),
            "wait until the store has caught up, or name a node or data provider that is at the tip",
        ),
        Wait::Empty => (
            None,
            "the first data: the store is empty".to_owned(),
            "see what the log says of nodes or data providers",
        ),
    };
    // How long each worker has waited counts, not how long anybody has.
    Waiting { endpoint: "store".to_owned(), there, what, cause: None, remedy, patience: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn waiters(names: &[&str]) -> Vec<Waiter> {
        let waits = Arc::<Waits>::default();
        let named = |name: &&str| Waiter::new(waits.clone(), WorkerName::new(*name).unwrap());
        names.iter().map(named).collect()
    }

    async fn told(announcer: &Announcer, act: impl AsyncFnOnce()) -> Vec<Event> {
        let mut events = announcer.events();
        act().await;
        announcer.tell(Event::IngestRecovered);
        let mut told = Vec::new();
        while let Some(event) = events.next().await.filter(|event| *event != Event::IngestRecovered) {
            told.push(event);
        }
        told
    }

    const BEHIND: Wait = Wait::Store { worker: Height(9), store: Height(5) };

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_are_told_once_and_that_nobody_does_any_longer() {
        let (two, announcer) = (waiters(&["a", "b"]), Announcer::default());
        let wait = async |seconds: u64, wait: Option<Wait>| {
            for _ in 0..seconds {
                advance(Duration::from_secs(1)).await;
                two.iter().for_each(|waiter| drop(waiter.note(wait, None, &announcer)));
            }
        };
        let told_of = told(&announcer, async || wait(200, Some(BEHIND)).await).await;
        let cause = "store: waiting for relay block 9: the store is behind the worker".to_owned();
        assert_eq!(told_of, [Event::Stalled { what: WORKERS, cause }]);
        assert!(two[0].note(Some(BEHIND), None, &announcer).unwrap().contains("relay block 9"));
        let over = told(&announcer, async || wait(30, None).await).await;
        assert_eq!(over, [Event::Resumed { what: WORKERS }]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_for_a_moment_in_turn_are_no_trouble() {
        let (two, announcer) = (waiters(&["a", "b"]), Announcer::default());
        let told = told(&announcer, async || {
            for second in 0..100 {
                advance(Duration::from_secs(1)).await;
                for (index, waiter) in two.iter().enumerate() {
                    let waits = second / 9 % 2 == index;
                    waiter.note(waits.then_some(Wait::Empty), None, &announcer);
                }
            }
        });
        assert_eq!(told.await, []);
    }
}
