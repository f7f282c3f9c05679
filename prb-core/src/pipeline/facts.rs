//! The facts board: what the chain says of all workers, read once per finalized block for all of them together.

use super::{STEP_LIMIT, events::Announcer, stalled::Stalled};
use crate::{
    backoff::{Backoff, Pace},
    id::{BlockRef, Height, PoolId, WorkerKey},
    lifecycle::{BadFact, Facts},
    port::{ChainState, StateError},
    progress::{LOOK, PATIENCE, Waiting, Word},
    storage_key::{self, StorageKey},
    types::message::MessageOrigin,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Whom a row of the board is about: a worker, and the pool it is wanted in.
pub type Subject = (WorkerKey, PoolId);

/// What the chain says of a worker.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its facts.
    pub facts: Facts,
    /// The next message the chain takes of it.
    pub next_sequence: u64,
}

/// What the chain said of all workers after one block.
#[derive(Clone, Debug, Default)]
pub struct Page {
    block: Height,
    rows: BTreeMap<Subject, Result<Row, BadFact>>,
}

impl Page {
    /// What it says of a worker, none if that was not asked for yet.
    pub fn row(&self, subject: &Subject) -> Option<Result<Row, BadFact>> {
        self.rows.get(subject).cloned()
    }
}

/// The latest page, or why there is none.
pub type Posted = Option<Result<Arc<Page>, Arc<StateError>>>;

/// Reads for everybody and shows what it read.
pub struct Board {
    state: Arc<dyn ChainState>,
    wanted: Mutex<BTreeMap<Subject, usize>>,
    asked: Notify,
    posted: watch::Sender<Posted>,
    announcer: Announcer,
}

/// Keeps a worker on the board.
pub struct Interest {
    board: Arc<Board>,
    subject: Subject,
}

impl Interest {
    /// Whom it is about.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut wanted = self.board.wanted();
        if let Some(count) = wanted.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                wanted.remove(&self.subject);
            }
        }
    }
}

/// Workers whose facts are read in one call: about 80 KiB of keys.
const CHUNK: usize = 250;

/// Reads in a row that the state went on under.
const MAX_MOVED: u32 = 3;

impl Board {
    /// An empty board in front of `state`. That this does not answer for long is told.
    pub fn new(state: Arc<dyn ChainState>, announcer: Announcer) -> Self {
        let (asked, posted) = (Notify::new(), watch::channel(None).0);
        Self { state, wanted: Mutex::default(), asked, posted, announcer }
    }

    /// Puts a worker on the board for as long as the answer is kept.
    pub fn want(self: &Arc<Self>, subject: Subject) -> Interest {
        let before = {
            let mut wanted = self.wanted();
            let count = wanted.entry(subject).or_default();
            *count += 1;
            *count - 1
        };
        if before == 0 {
            self.asked.notify_one();
        }
        Interest { board: self.clone(), subject }
    }

    /// The board from now on.
    pub fn watch(&self) -> watch::Receiver<Posted> {
        self.posted.subscribe()
    }

    /// Looks for a later block every `interval` until stopped.
    pub async fn run(&self, interval: Duration, stop: CancellationToken) {
        let mut backoff = Backoff::new(Pace { first: interval, ..Pace::default() }, 0);
        let mut pause = interval;
        let mut silence = Silence::new(self.announcer.clone());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.asked.notified(), if backoff.failures() == 0 => {}
            }
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = timeout(STEP_LIMIT, silence.during(self.look())) => looked,
            };
            let nothing = || StateError::Unreachable(format!("no answer for {} s", STEP_LIMIT.as_secs()));
            pause = match looked.unwrap_or_else(|_| Err(nothing())) {
                Ok(page) => {
                    backoff.succeeded();
                    silence.is_over();
                    if let Some(page) = page {
                        self.posted.send_replace(Some(Ok(Arc::new(page))));
                    }
                    interval
                }
                Err(error) => {
                    debug!(cause = %error, "cannot read the facts of workers, trying again");
                    metrics::counter!("prb_facts_failures_total").increment(1);
                    silence.because(&error);
                    self.posted.send_replace(Some(Err(Arc::new(error))));
                    backoff.failed()
                }
            };
        }
    }

    /// The next page, none while nobody wants anything that is not posted.
    async fn look(&self) -> Result<Option<Page>, StateError> {
        let wanted: BTreeSet<Subject> = self.wanted().keys().copied().collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut moved = 0;
        loop {
            // Read with every chunk by value of block: cheap, and it says whether there is anything to read.
            let globals = [storage_key::cool_down_period(), storage_key::timestamp_now()];
            let (head, globals) = self.state.read(&globals, None).await?;
            match self.page(head, &globals, &wanted).await {
                Err(StateError::NotKept { .. }) if moved < MAX_MOVED => moved += 1,
                page => return page,
            }
        }
    }

    async fn page(
        &self,
        head: BlockRef,
        globals: &[Option<Bytes>],
        wanted: &BTreeSet<Subject>,
    ) -> Result<Option<Page>, StateError> {
        let posted = self.posted.borrow().clone();
        let mut page = match posted {
            Some(Ok(page)) if page.block == head.height => (*page).clone(),
            _ => Page { block: head.height, ..Page::default() },
        };
        page.rows.retain(|subject, _| wanted.contains(subject));
        let missing: Vec<Subject> =
            wanted.iter().filter(|subject| !page.rows.contains_key(subject)).copied().collect();
        if missing.is_empty() {
            return Ok(None);
        }
        for chunk in missing.chunks(CHUNK) {
            let keys: Vec<StorageKey> = chunk.iter().flat_map(keys).collect();
            let (block, values) = self.state.read(&keys, Some(head.height)).await?;
            if block != head {
                return Err(StateError::NotKept { at: head.height });
            }
            metrics::counter!("prb_facts_reads_total").increment(1);
            for (subject, values) in chunk.iter().zip(values.chunks(KEYS)) {
                page.rows.insert(*subject, row(head.height, values, globals));
            }
        }
        Ok(Some(page))
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<Subject, usize>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells that chain state does not come for long, whoever it is that fails or hangs, and when it comes again.
struct Silence {
    /// Good answers so far.
    answers: u64,
    cause: Option<String>,
    stall: Stalled<u64>,
}

impl Silence {
    fn new(announcer: Announcer) -> Self {
        Self { answers: 0, cause: None, stall: Stalled::new(CHAIN_STATE, announcer) }
    }

    /// Waits for an answer, and looks meanwhile how long that takes.
    async fn during<T>(&mut self, looking: impl Future<Output = T>) -> T {
        let mut looking = pin!(looking);
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                looked = &mut looking => return looked,
                _ = looks.tick() => { self.look(true); }
            }
        }
    }

    fn because(&mut self, error: &StateError) {
        // Nothing is there yet, and everybody answers.
        match error {
            StateError::Empty => self.is_over(),
            error => self.cause = Some(error.to_string()),
        }
    }

    fn is_over(&mut self) {
        (self.answers, self.cause) = (self.answers + 1, None);
        self.look(false);
    }

    fn look(&mut self, is_waiting: bool) -> Option<Word> {
        let waiting = Waiting {
            endpoint: CHAIN_STATE.to_owned(),
            there: None,
            what: "what the chain says of workers".to_owned(),
            cause: self.cause.clone(),
            remedy: "see whether the parachain's node (chain.para) runs and answers, or name another one",
            patience: PATIENCE,
        };
        let word = self.stall.observe(self.answers, is_waiting.then_some(&waiting));
        match word {
            None => {}
            Some(Word::Stalled(still)) => {
                let Waiting { what: waiting_for, cause, remedy, .. } = waiting;
                warn!(waiting_for, cause, seconds = still.as_secs(), remedy, "chain state does not come");
            }
            Some(Word::Over(after)) => info!(seconds = after.as_secs(), "chain state comes again"),
        }
        word
    }
}

const CHAIN_STATE: &str = "chain state";

/// Keys of a worker besides those that are the same for all.
const KEYS: usize = Facts::OWN_KEYS + 1;

fn keys((worker, pool): &Subject) -> Vec<StorageKey> {
    let mut keys = Facts::keys(worker, *pool);
    keys.truncate(Facts::OWN_KEYS);
    keys.push(storage_key::offchain_ingress(&MessageOrigin::Worker(*worker)));
    keys
}

fn row(block: Height, values: &[Option<Bytes>], globals: &[Option<Bytes>]) -> Result<Row, BadFact> {
    let (own, next) = values.split_at(Facts::OWN_KEYS.min(values.len()));
    let all: Vec<Option<Bytes>> = own.iter().chain(globals).cloned().collect();
    Ok(Row {
        facts: Facts::decode(block, &all)?,
        next_sequence: next_sequence(next.first().and_then(Option::as_ref))?,
    })
}

/// `OffchainIngress`: absent is 0.
pub(super) fn next_sequence(value: Option<&Bytes>) -> Result<u64, BadFact> {
    value.map_or(Ok(0), |value| BadFact::decode("PhalaMq.OffchainIngress", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::events::Event;
    use tokio::time::{advance, sleep};

    #[tokio::test(start_paused = true)]
    async fn chain_state_that_hangs_is_told_after_ten_seconds_and_that_it_comes_again() {
        let announcer = Announcer::default();
        let mut events = announcer.events();
        let mut silence = Silence::new(announcer);
        silence.is_over();
        silence.during(sleep(Duration::from_secs(9))).await;
        assert!(!silence.stall.is_told());
        silence.is_over();
        silence.during(sleep(Duration::from_secs(13))).await;
        assert!(silence.stall.is_told());
        silence.because(&StateError::Unreachable("refused".to_owned()));
        silence.is_over();
        advance(PATIENCE).await;
        assert!(matches!(silence.look(false), Some(Word::Over(_))));
        silence.because(&StateError::Empty);
        assert_eq!(silence.look(false), None, "an empty state is no fault of anybody");
        // Nobody looks any more while it stands still again.
        silence.during(sleep(Duration::from_secs(13))).await;
        drop(silence);
        for _ in 0..2 {
            assert!(matches!(events.next().await, Some(Event::Stalled { what: CHAIN_STATE, .. })));
            assert_eq!(events.next().await, Some(Event::Resumed { what: CHAIN_STATE }));
        }
        assert_eq!(events.next().await, None);
    }
}
