//! The pipelines joined: one source, one store, one sink, many workers.

mod supervise;

use self::supervise::{CRASHED, Ward, join, supervised};
use super::{
    events::{Announcer, Event, Events},
    facts::Board,
    feed::{Depot, Feed, FeedOptions},
    ingest::{Ingest, IngestOptions},
    operate::{Desk, JobNumbers, Operate, OperateOptions, told},
    repair::Repairing,
    worker::{NotOrdered, Worker, WorkerCell, WorkerStatus},
};
use crate::{
    accept::Verifier,
    command::Command,
    id::WorkerName,
    lifecycle::Goal,
    outbox::{NotNext, OutboxLimits},
    port::{BlobStore, BlockSource, ChainState, CollateralSource, TxSink, WorkerDriver},
    progress::Following,
    types::message::MessageOrigin,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How a bridge works.
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgeOptions {
    /// Source → store.
    pub ingest: IngestOptions,
    /// Store → worker.
    pub feed: FeedOptions,
    /// Worker → transactions.
    pub operate: OperateOptions,
    /// Bounds on messages under way.
    pub outbox: OutboxLimits,
}

/// Puts a [`Bridge`] together. What is left out is not run: without a source nothing is ingested, without sink and
/// state workers are fed only.
#[derive(Default)]
pub struct BridgeBuilder {
    source: Option<(Arc<dyn BlockSource>, Box<dyn Verifier>)>,
    store: Option<Arc<dyn BlobStore>>,
    sink: Option<Arc<dyn TxSink>>,
    state: Option<Arc<dyn ChainState>>,
    collateral: Option<Arc<dyn CollateralSource>>,
    workers: Vec<(Worker, Arc<dyn WorkerDriver>)>,
    options: BridgeOptions,
    era: Option<u64>,
}

impl BridgeBuilder {
    /// Where blocks come from, and who checks them.
    #[must_use]
    pub fn source(mut self, source: impl BlockSource + 'static, verifier: impl Verifier + 'static) -> Self {
        self.source = Some((Arc::new(source), Box::new(verifier)));
        self
    }

    /// Where verified data is kept.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn BlobStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Where calls become transactions.
    #[must_use]
    pub fn sink(mut self, sink: Arc<dyn TxSink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// What is on chain now.
    #[must_use]
    pub fn state(mut self, state: Arc<dyn ChainState>) -> Self {
        self.state = Some(state);
        self
    }

    /// Where what vouches for DCAP quotes comes from. Without it workers that can attest with DCAP alone are not
    /// registered.
    #[must_use]
    pub fn collateral(mut self, collateral: Arc<dyn CollateralSource>) -> Self {
        self.collateral = Some(collateral);
        self
    }

    /// A worker to begin with; more can be added while the bridge runs.
    #[must_use]
    pub fn worker(mut self, worker: Worker, driver: impl WorkerDriver + 'static) -> Self {
        self.workers.push((worker, Arc::new(driver)));
        self
    }

    /// How to work.
    #[must_use]
    pub fn options(mut self, options: BridgeOptions) -> Self {
        self.options = options;
        self
    }

    /// What tells this life's jobs from those of other lives: a sink remembers job ids and takes one that it knows as
    /// done. Microseconds since the Unix epoch at the start unless told; tests that replay a run tell it.
    #[must_use]
    pub fn era(mut self, era: u64) -> Self {
        self.era = Some(era);
        self
    }

    /// Starts everything. Must be called within a tokio runtime.
    pub async fn start(self) -> Result<Bridge, BridgeError> {
        let store = self.store.ok_or(BridgeError::NoStore)?;
        let announcer = Announcer::default();
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        let depot = Depot::new(&self.options.feed, self.state.clone(), self.collateral.is_some());
        let operator = match (self.sink, self.state) {
            (Some(sink), Some(state)) => {
                let numbers = JobNumbers::new(self.era.unwrap_or_else(microseconds_since_epoch));
                let desk = Arc::new(Desk::new(sink.clone(), numbers, self.options.outbox, announcer.clone()));
                let (follower, token, interval) = (desk.clone(), stop.clone(), self.options.operate.interval);
                tasks.push(supervised(Ward::new("mail desk", &stop, &announcer), move || {
                    let (follower, token) = (follower.clone(), token.clone());
                    async move { follower.run(interval, token).await }
                }));
                let board = Arc::new(Board::new(state.clone(), announcer.clone()));
                let (reader, token) = (board.clone(), stop.clone());
                tasks.push(supervised(Ward::new("facts board", &stop, &announcer), move || {
                    let (reader, token) = (reader.clone(), token.clone());
                    async move { reader.run(interval, token).await }
                }));
                Some(Operator { sink, state, desk, board, collateral: self.collateral })
            }
            (None, None) => None,
            _ => return Err(BridgeError::HalfAnOperator),
        };
        let failure = Arc::new(Mutex::new(None));
        let (mut store, mut following) = (store, None);
        if let Some((source, verifier)) = self.source {
            store = Arc::new(Repairing::new(store, source.clone()));
            let ingest = Ingest::new(source, store.clone(), verifier, self.options.ingest, announcer.clone());
            following = Some(ingest.following());
            let trouble = Event::IngestTrouble { cause: CRASHED.to_owned() };
            let ward = Ward::new("ingest", &stop, &announcer).telling(trouble, Event::IngestRecovered);
            let ingest = Arc::new(tokio::sync::Mutex::new(ingest));
            let (token, failure, announcer) = (stop.clone(), failure.clone(), announcer.clone());
            tasks.push(supervised(ward, move || {
                let (ingest, token) = (ingest.clone(), token.clone());
                let (failure, announcer) = (failure.clone(), announcer.clone());
                async move {
                    let Err(cause) = ingest.lock().await.run(token).await else { return };
                    error!(%cause, "ingest ended");
                    announcer.tell(Event::IngestTrouble { cause: cause.to_string() });
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause.to_string());
                }
            }));
        }
        let bridge = Bridge {
            store,
            depot: Arc::new(depot),
            operator,
            options: self.options,
            announcer,
            stop,
            failure,
            following,
            tasks: Mutex::new(tasks),
            workers: Mutex::default(),
        };
        for (worker, driver) in self.workers {
            bridge.add(worker, driver)?;
        }
        Ok(bridge)
    }
}

struct Operator {
    sink: Arc<dyn TxSink>,
    state: Arc<dyn ChainState>,
    desk: Arc<Desk>,
    board: Arc<Board>,
    collateral: Option<Arc<dyn CollateralSource>>,
}

struct Running {
    cell: Arc<WorkerCell>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// An era that no earlier life had, on a machine whose clock does not go back. Where it does, the desk takes the era
/// after the last one that the sink knows.
fn microseconds_since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// A running bridge. Everything can change while it runs.
pub struct Bridge {
    store: Arc<dyn BlobStore>,
    depot: Arc<Depot>,
    operator: Option<Operator>,
    options: BridgeOptions,
    announcer: Announcer,
    stop: CancellationToken,
    failure: Arc<Mutex<Option<String>>>,
    following: Option<watch::Receiver<Following>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    workers: Mutex<BTreeMap<WorkerName, Running>>,
}

/// Why a bridge does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No store was given.
    #[error("a bridge needs a store; give it one with `BridgeBuilder::store`")]
    NoStore,
    /// Sink and chain state belong together.
    #[error(
        "operating workers needs both a transaction sink and a chain state; give the bridge both, or neither to feed only"
    )]
    HalfAnOperator,
    /// A worker with that name runs already.
    #[error("there is a worker named {0} already")]
    Exists(WorkerName),
    /// There is no such worker.
    #[error("there is no worker named {0}")]
    Unknown(WorkerName),
    /// Commands and messages need somebody who operates.
    #[error("this bridge feeds workers only; give it a transaction sink and a chain state to command them")]
    FeedsOnly,
    /// Commands of that worker wait already.
    #[error("too many commands to {0} wait already; wait until some are done")]
    TooManyCommands(WorkerName),
    /// The message is not the one that all others wait behind.
    #[error(transparent)]
    NotNext(#[from] NotNext),
}

impl Bridge {
    /// Puts a bridge together.
    pub fn builder() -> BridgeBuilder {
        BridgeBuilder::default()
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        self.announcer.events()
    }

    /// The store. With a source, damage on disk is repaired as it is met by reading.
    pub fn store(&self) -> &Arc<dyn BlobStore> {
        &self.store
    }

    /// Why ingest has ended for good, if it has: the store is another chain's, damaged, of a newer format, or
    /// not verified so far.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What ingest follows, as it learns that; none without a source.
    pub fn following(&self) -> Option<watch::Receiver<Following>> {
        self.following.clone()
    }

    /// Takes a worker on.
    pub fn add_worker(&self, worker: Worker, driver: impl WorkerDriver + 'static) -> Result<(), BridgeError> {
        self.add(worker, Arc::new(driver))
    }

    fn add(&self, worker: Worker, driver: Arc<dyn WorkerDriver>) -> Result<(), BridgeError> {
        let name = worker.name.clone();
        let mut workers = self.workers();
        if workers.contains_key(&name) {
            return Err(BridgeError::Exists(name));
        }
        let cell = Arc::new(WorkerCell::new(worker, driver));
        let stop = self.stop.child_token();
        let (store, options, announcer) = (self.store.clone(), self.options, self.announcer.clone());
        let (fed, token, depot) = (cell.clone(), stop.clone(), self.depot.clone());
        let feed = move || {
            let (cell, store, depot) = (fed.clone(), store.clone(), depot.clone());
            Feed::new(cell, store, depot, options.feed, announcer.clone()).run(token.clone())
        };
        let ward = || {
            let trouble = Event::WorkerTrouble { worker: name.clone(), cause: CRASHED.to_owned() };
            let recovered = Event::WorkerRecovered { worker: name.clone() };
            Ward::new(name.as_str(), &stop, &self.announcer).telling(trouble, recovered)
        };
        let mut tasks = vec![supervised(ward(), feed)];
        if let Some(operator) = &self.operator {
            let (state, sink, desk) = (operator.state.clone(), operator.sink.clone(), operator.desk.clone());
            let (board, collateral) = (operator.board.clone(), operator.collateral.clone());
            let (operated, token, announcer) = (cell.clone(), stop.clone(), self.announcer.clone());
            let operate = move || {
                let (state, sink, desk, board) = (state.clone(), sink.clone(), desk.clone(), board.clone());
                Operate::new(operated.clone(), state, sink, desk, board, options.operate, announcer.clone())
                    .attesting(collateral.clone())
                    .run(token.clone())
            };
            tasks.push(supervised(ward(), operate));
        }
        info!(worker = %name, endpoint = %cell.driver.endpoint(), "worker taken on");
        workers.insert(name, Running { cell, stop, tasks });
        Ok(())
    }

    /// Lets a worker go; returns once nothing is sent to it any more. What it does on chain is not touched.
    pub async fn remove_worker(&self, name: &WorkerName) -> Result<(), BridgeError> {
        let running = self.workers().remove(name).ok_or_else(|| BridgeError::Unknown(name.clone()))?;
        running.stop.cancel();
        let _leave = Leave { cell: running.cell, announcer: &self.announcer };
        join(running.tasks).await;
        info!(worker = %name, "worker let go");
        Ok(())
    }

    /// Wants something else of a worker from now on; what is being sent to it goes on undisturbed.
    pub fn change_worker(&self, name: &WorkerName, goal: Goal) -> Result<(), BridgeError> {
        self.cell(name)?.set_goal(goal);
        info!(worker = %name, "worker has another goal");
        Ok(())
    }

    /// Has a worker do something once. Commands of a worker are carried out one after the other; what came of each is
    /// told as [`Event::CommandEnded`] and kept as the worker's last message.
    pub fn command(&self, name: &WorkerName, command: Command) -> Result<(), BridgeError> {
        let cell = self.cell(name)?;
        if self.operator.is_none() {
            return Err(BridgeError::FeedsOnly);
        }
        cell.order(command).map_err(|refused| match refused {
            NotOrdered::Full => BridgeError::TooManyCommands(name.clone()),
            NotOrdered::Gone => BridgeError::Unknown(name.clone()),
        })
    }

    /// Stops submitting a sender's next message, which the chain refuses at a fee each time. The chain takes a sender's
    /// messages in sequence and without gaps: none can be left out, so all behind this one wait until it is offered
    /// again, or somebody else gets it through.
    pub fn set_message_aside(&self, sender: &MessageOrigin, sequence: u64) -> Result<(), BridgeError> {
        let operator = self.operator.as_ref().ok_or(BridgeError::FeedsOnly)?;
        operator.desk.set_aside(sender, sequence)?;
        info!(?sender, sequence, "message set aside");
        Ok(())
    }

    /// Offers a sender's next message at once, whatever pauses its failures have earned, also if it was set aside.
    pub fn offer_message_again(&self, sender: &MessageOrigin, sequence: u64) -> Result<(), BridgeError> {
        let operator = self.operator.as_ref().ok_or(BridgeError::FeedsOnly)?;
        Ok(operator.desk.offer_again(sender, sequence)?)
    }

    fn cell(&self, name: &WorkerName) -> Result<Arc<WorkerCell>, BridgeError> {
        let workers = self.workers();
        workers
            .get(name)
            .map(|running| running.cell.clone())
            .ok_or_else(|| BridgeError::Unknown(name.clone()))
    }

    /// How all workers stand, by name.
    pub fn workers_status(&self) -> Vec<WorkerStatus> {
        self.workers().values().map(|running| running.cell.status()).collect()
    }

    /// Stops everything in order and waits for it, within a bounded time.
    pub async fn stop(&self) {
        self.stop.cancel();
        let workers = std::mem::take(&mut *self.workers());
        let (_leaves, tasks): (Vec<_>, Vec<_>) = workers
            .into_values()
            .map(|running| (Leave { cell: running.cell, announcer: &self.announcer }, running.tasks))
            .unzip();
        let mut tasks: Vec<_> = tasks.into_iter().flatten().collect();
        tasks.append(&mut self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        join(tasks).await;
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<WorkerName, Running>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop.cancel();
        // Taken out first: who is told may ask how workers stand.
        let workers = std::mem::take(&mut *self.workers());
        for running in workers.into_values() {
            drop(Leave { cell: running.cell, announcer: &self.announcer });
        }
    }
}

/// A worker that is let go: in the end, also where nobody waits for that, its commands have ended.
struct Leave<'a> {
    cell: Arc<WorkerCell>,
    announcer: &'a Announcer,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        for command in self.cell.drop_orders() {
            told(&self.cell, self.announcer, &command, Err("the worker was let go first".to_owned()));
        }
    }
}
