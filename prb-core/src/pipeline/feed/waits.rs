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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

impl Waits {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Why a worker stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    /// For what it waits, in words.
    pub(super) why: String,
    /// Whether every worker waits for the same sooner or later: what the store lacks. A worker that is ahead of the store may be the
    /// only one.
    pub(super) common: bool,
}

/// One worker among those of a bridge. Gone, it waits no longer.
pub(super) struct Waiter {
    waits: Arc<Waits>,
    name: WorkerName,
    announcer: Announcer,
}

impl Waiter {
    pub(super) fn new(waits: Arc<Waits>, name: WorkerName, announcer: Announcer) -> Self {
        Self { waits, name, announcer }
    }

    /// The worker waits for this, or for nothing. Tells what there is to tell; why the worker stands still, if it has for
    /// long.
    pub(super) fn note(&self, wait: Option<Wait>, coverage: Option<&Coverage>) -> Option<Stuck> {
        let now = self.waits.clock.now();
        let mut known = self.waits.known();
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
                    self.announcer.tell(Event::Stalled { what: WORKERS, cause: waiting.to_string() });
                    metrics::gauge!("prb_stalled", "what" => WORKERS).set(1.0);
                }
            }
            Some(Word::Over(after)) => self.tell_over(after),
        }
        let own = known.waiting.get(&self.name).filter(|since| now.since(since.since) >= PATIENCE)?;
        let (wait, _) = own.wait;
        let why = format!("waiting for {}", waiting(wait, coverage).what);
        Some(Stuck { why, common: matches!(wait, Wait::Changes(_) | Wait::Empty) })
    }

    /// The worker waits no longer and will not come back to say so. If it was the last one, nobody may be left who would
    /// find out that it is over.
    pub(super) fn leave(&self) {
        let now = self.waits.clock.now();
        let mut known = self.waits.known();
        known.waiting.remove(&self.name);
        if known.waiting.is_empty()
            && let Some(after) = known.stall.end(now)
        {
            self.tell_over(after);
        }
    }

    fn tell_over(&self, after: Duration) {
        info!(seconds = after.as_secs(), "no worker waits for the store any longer");
        self.announcer.tell(Event::Resumed { what: WORKERS });
        metrics::gauge!("prb_stalled", "what" => WORKERS).set(0.0);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
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

    fn waiters(names: &[&str], announcer: &Announcer) -> Vec<Waiter> {
        let waits = Arc::<Waits>::default();
        let named =
            |name: &&str| Waiter::new(waits.clone(), WorkerName::new(*name).unwrap(), announcer.clone());
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
        let announcer = Announcer::default();
        let two = waiters(&["a", "b"], &announcer);
        let wait = async |seconds: u64, wait: Option<Wait>| {
            for _ in 0..seconds {
                advance(Duration::from_secs(1)).await;
                two.iter().for_each(|waiter| drop(waiter.note(wait, None)));
            }
        };
        let told_of = told(&announcer, async || wait(200, Some(BEHIND)).await).await;
        let cause = "store: waiting for relay block 9: the store is behind the worker".to_owned();
        assert_eq!(told_of, [Event::Stalled { what: WORKERS, cause }]);
        assert!(two[0].note(Some(BEHIND), None).unwrap().why.contains("relay block 9"));
        let over = told(&announcer, async || wait(30, None).await).await;
        assert_eq!(over, [Event::Resumed { what: WORKERS }]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_store_lacks_is_common_to_all_and_being_ahead_of_it_is_not() {
        let announcer = Announcer::default();
        for (wait, common) in [(Wait::Empty, true), (Wait::Changes(Height(4)), true), (BEHIND, false)] {
            let one = waiters(&["a"], &announcer).remove(0);
            assert_eq!(one.note(Some(wait), None), None);
            advance(PATIENCE).await;
            assert_eq!(one.note(Some(wait), None).unwrap().common, common, "{wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_for_a_moment_in_turn_are_no_trouble() {
        let announcer = Announcer::default();
        let two = waiters(&["a", "b"], &announcer);
        let told = told(&announcer, async || {
            for second in 0..100 {
                advance(Duration::from_secs(1)).await;
                for (index, waiter) in two.iter().enumerate() {
                    let waits = second / 9 % 2 == index;
                    waiter.note(waits.then_some(Wait::Empty), None);
                }
            }
        });
        assert_eq!(told.await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_once_the_last_one_that_waits_is_gone_and_not_before() {
        let announcer = Announcer::default();
        let mut two = waiters(&["a", "b"], &announcer);
        let waiting = async |two: &[Waiter]| {
            for _ in 0..20 {
                advance(Duration::from_secs(1)).await;
                two.iter().for_each(|waiter| drop(waiter.note(Some(BEHIND), None)));
            }
        };
        waiting(&two).await;
        let last = two.remove(0);
        // One is let go, the other disabled.
        assert_eq!(told(&announcer, async || two.clear()).await, []);
        let over = [Event::Resumed { what: WORKERS }];
        assert_eq!(told(&announcer, async || last.leave()).await, over);
        assert_eq!(told(&announcer, async || last.leave()).await, []);
        // Enabled again, it is told anew, and gone at the moment that it need not wait any more.
        let again = told(&announcer, async || waiting(std::slice::from_ref(&last)).await).await;
        assert!(matches!(again.as_slice(), [Event::Stalled { what: WORKERS, .. }]), "{again:?}");
        last.note(None, None);
        assert_eq!(told(&announcer, async || drop(last)).await, over);
    }
}
