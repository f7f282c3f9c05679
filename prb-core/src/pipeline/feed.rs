//! Store → worker: bring one worker to the tip and keep it there.

mod assembly;
mod depot;
mod queue;
mod send;
mod waits;

pub use self::depot::Depot;

use self::{
    assembly::Assembly,
    queue::Limit,
    send::{Ready, Silences, heard},
    waits::{Stuck, Waiter},
};
use super::{
    Clock, Hints, STEP_LIMIT,
    events::{Announcer, Event},
    worker::{Seen, WorkerCell},
};
use crate::{
    backoff::{Backoff, Pace},
    fault::Fault,
    plan::{Cannot, Plan, Portion, Wait},
    port::{BlobStore, Coverage, StoreError, Stream, WorkerError, WorkerInfo},
    progress::Causes,
    span::Span,
    surprise::{Surprise, changes},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How to feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// Most bytes of storage changes in one request. More is faster while catching up; the worker is deaf for as
    /// long as it works on a request. Typical: 4 MiB.
    pub block_bytes: usize,
    /// Most blocks in one request.
    pub blocks: u32,
    /// How long a worker should take for a request of storage changes; one that takes longer gets less at once, so
    /// that it stays responsive, one that is quick gets more. Shorter costs more requests. Typical: 2 s.
    pub request_time: Duration,
    /// A worker that lacks no more than so many blocks of either chain is at the tip: what it is sent never waits for
    /// workers that catch up. Typical: 32.
    pub near: u32,
    /// Most bytes under way at once to all workers that catch up. Less makes them wait for each other, more takes
    /// memory and network from those at the tip. Typical: 256 MiB.
    pub catch_up_bytes: usize,
    /// Most bytes under way at once to all workers that are initialised or loaded with a state: a state is tens to
    /// hundreds of megabytes. Typical: 1 GiB.
    pub load_bytes: usize,
    /// A fresh worker with at least so many blocks before it is loaded with the newest state that the bridge's chain
    /// state has; none gives every worker every block. That state must be verified (a copy is): one that is wrong is
    /// found out by the worker, which then has to be reset. Typical: 2000.
    pub fast_sync: Option<u32>,
    /// How often an idle worker is asked how it is. Typical: 5 s.
    pub info_interval: Duration,
    /// Pauses after failures.
    pub pace: Pace,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            block_bytes: 4 << 20,
            blocks: 256,
            request_time: Duration::from_secs(2),
            near: 32,
            catch_up_bytes: 128 << 20,
            load_bytes: 1 << 30,
            fast_sync: None,
            info_interval: Duration::from_secs(5),
            pace: Pace::default(),
        }
    }
}

/// How long a worker counts as at the tip while it takes what has come since. Without it every block would take each
/// worker from its stage to `Syncing` and back, and forget the pauses after its failures.
const TIP_GRACE: Duration = Duration::from_secs(30);

/// Another program that feeds the worker is told again after it has not been noticed for so long.
const RIVAL_GONE: Duration = Duration::from_secs(600);

/// Plans in a row that the store was replaced under before it counts as a failure.
const MAX_STALE: u32 = 3;

/// The feed pipeline of one worker.
pub struct Feed {
    cell: Arc<WorkerCell>,
    assembly: Assembly,
    depot: Arc<Depot>,
    announcer: Announcer,
    info: Option<WorkerInfo>,
    info_due: Instant,
    /// Whether it was sent something since it was asked how it is.
    moved: bool,
    /// How much it gets at once.
    portion: Portion,
    /// The next request, if it comes out where that is for.
    ready: Option<Ready>,
    /// Failed attempts to load it with a state, since it was initialised.
    failed_loads: u32,
    /// Its last words, with what it has accepted since.
    known: Option<WorkerInfo>,
    /// The end of a call that may have moved it on is not known.
    unsure: bool,
    /// When another program was noticed last that feeds it.
    rival_seen: Option<Instant>,
    /// When the worker had everything last.
    tip_seen: Option<Instant>,
    waiter: Waiter,
    /// Until when a step must have got an answer.
    limit: Limit,
    /// What it has waited for for long.
    stuck: Option<Stuck>,
    /// In which queue it has waited for long, which is nobody's fault.
    queued: Option<String>,
    /// What was told of calls that take long.
    silences: Silences,
    /// What was told of its failures.
    causes: Causes,
    clock: Clock,
}

/// Why a worker is not fed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The worker failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The worker's state does not fit the data.
    #[error(transparent)]
    Cannot(#[from] Cannot),
    /// The worker claims success and stands where it stood.
    #[error(
        "the worker answered as if it had taken what it was sent ({sent}), and did not move; see its log"
    )]
    Stuck {
        /// What was sent.
        sent: &'static str,
    },
    /// The store does not hold what it says it covers.
    #[error("the store lacks what its coverage promises the worker; another provider may have it")]
    Lacking,
    /// A run of headers that cannot be divided is larger than workers take.
    #[error("{stream} {span} exceed what a worker takes in one request")]
    TooLarge {
        /// Which stream.
        stream: Stream,
        /// Which headers.
        span: Span,
    },
    /// A store or driver that never answers, against its contract.
    #[error("neither store nor worker driver has answered for {} s; please report this with the log", STEP_LIMIT.as_secs())]
    Stalled,
}

impl FeedError {
    /// What kind it is, for metrics.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Worker(error) => error.kind(),
            Self::Store(_) => "store",
            Self::Cannot(_) => "cannot",
            Self::Stuck { .. } => "stuck",
            Self::Lacking => "lacking",
            Self::TooLarge { .. } => "headers_too_large",
            Self::Stalled => "stalled",
        }
    }
}

/// What a step did.
enum Step {
    /// Something was sent.
    Sent,
    /// There is nothing to send until the store has more than this, and whether something is lacking.
    Idle(Option<Coverage>, Option<Wait>),
    /// What the plan needed was replaced meanwhile; plan again.
    Stale,
    /// The worker, or what is wanted of it, is another than before a wait; begin anew.
    Again,
}

impl Feed {
    /// Feeds the worker of `cell` from `store`. `depot` is shared by all feeds of a bridge.
    pub fn new(
        cell: Arc<WorkerCell>,
        store: Arc<dyn BlobStore>,
        depot: Arc<Depot>,
        options: FeedOptions,
        announcer: Announcer,
    ) -> Self {
        let waiter = Waiter::new(depot.waits.clone(), cell.worker.name.clone(), announcer.clone());
        Self {
            cell,
            assembly: Assembly { store, options },
            depot,
            announcer,
            info: None,
            info_due: Instant::now(),
            moved: false,
            portion: Portion::new(options.block_bytes),
            ready: None,
            failed_loads: 0,
            known: None,
            unsure: false,
            rival_seen: None,
            tip_seen: None,
            waiter,
            limit: Limit::new(),
            stuck: None,
            queued: None,
            silences: Silences::new(),
            causes: Causes::default(),
            clock: Clock::start(),
        }
    }

    /// Feeds until stopped, whatever the worker does.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(self.assembly.options.pace, self.cell.seed());
        let mut hints = Hints::default();
        let mut idle_at = None;
        let mut stale = 0;
        loop {
            if self.cell.goal().disabled {
                self.stand_by(&stop).await;
                if stop.is_cancelled() {
                    return;
                }
                continue;
            }
            let limit = self.limit.clone();
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = limit.keep(self.step()) => step.unwrap_or(Err(FeedError::Stalled)),
            };
            stale = if matches!(step, Ok(Step::Stale)) { stale + 1 } else { 0 };
            let pause = match step {
                Ok(Step::Again) => continue,
                Ok(Step::Stale) if stale < MAX_STALE => continue,
                Ok(Step::Stale) => {
                    self.trouble(&FeedError::Lacking, backoff.failures());
                    backoff.failed()
                }
                Ok(Step::Sent) => {
                    self.recovered(&mut backoff);
                    self.waits(None, None);
                    continue;
                }
                Ok(Step::Idle(known, wait)) => {
                    self.recovered(&mut backoff);
                    self.waits(wait, known.as_ref());
                    if idle_at != Some(known) {
                        hints.fulfilled();
                        idle_at = Some(known);
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = changed(&mut hints, self.assembly.store.wait(known)) => {}
                        () = tokio::time::sleep_until(self.info_due) => self.info = None,
                        () = self.cell.nudged() => self.info = None,
                    }
                    continue;
                }
                Err(error) => {
                    self.trouble(&error, backoff.failures());
                    backoff.failed()
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.cell.nudged() => {}
            }
        }
    }

    /// Sends nothing to a disabled worker until it is enabled.
    async fn stand_by(&mut self, stop: &CancellationToken) {
        (self.info, self.tip_seen, self.ready) = (None, None, None);
        (self.stuck, self.queued) = (None, None);
        self.waiter.leave();
        self.cell.publish(Seen::default());
        let mut goal = self.cell.watch_goal();
        tokio::select! {
            () = stop.cancelled() => {}
            // The sender lives in the cell, so this cannot fail.
            _ = goal.wait_for(|goal| !goal.disabled) => {}
        }
    }

    async fn step(&mut self) -> Result<Step, FeedError> {
        let ready = self.ready.take();
        if self.info_due <= Instant::now() {
            self.info = None;
        }
        let info = self.info().await?;
        if let Some(request) = ready.and_then(|ready| ready.fitting(&info)) {
            let sent = self.deliver(request, &info).await;
            return self.noted(sent);
        }
        let coverage = self.assembly.store.coverage().await?;
        if !info.initialized {
            return self.init(&info, coverage).await;
        }
        let plan = self.assembly.plan(&info, coverage.as_ref()).await?;
        debug!(worker = %self.cell.worker.name, ?plan, "plan");
        match (plan, &coverage) {
            (Plan::AtTip, _) => {
                // What the worker says of itself must be as new as its position before anybody acts on it.
                if self.moved {
                    self.info = None;
                    self.info().await?;
                }
                self.publish(true);
                Ok(Step::Idle(coverage, None))
            }
            (Plan::Cannot(cannot), _) => Err(cannot.into()),
            (Plan::Wait(wait), _) => {
                self.publish(false);
                Ok(Step::Idle(coverage, Some(wait)))
            }
            (_, None) => {
                self.publish(false);
                Ok(Step::Idle(coverage, Some(Wait::Empty)))
            }
            (plan, Some(coverage)) => {
                // What it waited for is there, however long the rest takes.
                self.waits(None, None);
                if let Some(step) = self.load(&info, coverage).await? {
                    return Ok(step);
                }
                let sent = self.follow(plan, &info, coverage).await;
                self.noted(sent)
            }
        }
    }

    /// What the worker accepted of a refused request is not known.
    fn noted(&mut self, sent: Result<Step, FeedError>) -> Result<Step, FeedError> {
        if sent.is_err() {
            self.info = None;
        }
        sent
    }

    async fn info(&mut self) -> Result<WorkerInfo, FeedError> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        let info = heard(&self.cell, &mut self.silences, "how it is", self.cell.driver.info()).await?;
        self.info_due = Instant::now() + self.assembly.options.info_interval;
        self.moved = false;
        self.compare(&info);
        Ok(self.info.insert(info).clone())
    }

    /// Tells what changed by no doing of ours.
    fn compare(&mut self, info: &WorkerInfo) {
        let unsure = std::mem::take(&mut self.unsure);
        let Some(known) = self.known.replace(info.clone()) else { return };
        if let Some(now) = &mut self.known {
            // Without its state it does not say its key until it is initialised; whether it is the same shows then.
            now.public_key = now.public_key.or(known.public_key);
        }
        for surprise in changes(&known, info, unsure) {
            let worker = &self.cell.worker.name;
            metrics::counter!("prb_worker_surprises_total", "kind" => surprise.kind()).increment(1);
            if surprise == Surprise::MovedAlone {
                let seen = self.rival_seen.replace(Instant::now());
                if seen.is_some_and(|seen| seen.elapsed() < RIVAL_GONE) {
                    debug!(%worker, %surprise, "worker has changed again");
                    continue;
                }
            }
            warn!(%worker, %surprise, "worker has changed");
            self.cell.say(surprise.to_string());
            self.announcer.tell(Event::WorkerChanged { worker: worker.clone(), surprise });
        }
    }

    fn publish(&mut self, at_tip: bool) {
        if at_tip {
            self.tip_seen = Some(Instant::now());
        }
        let at_tip = self.tip_seen.is_some_and(|seen| seen.elapsed() < TIP_GRACE);
        let (trouble, starved) = self.lacks();
        let waits = self.queued.clone();
        self.cell.publish(Seen { info: self.info.clone(), at_tip, trouble, starved, waits });
    }

    /// The worker waits for this, or for nothing.
    fn waits(&mut self, wait: Option<Wait>, coverage: Option<&Coverage>) {
        let stuck = self.waiter.note(wait, coverage);
        if stuck != self.stuck {
            self.stuck = stuck;
            let (trouble, starved) = self.lacks();
            self.cell.publish(Seen { trouble, starved, ..self.cell.seen() });
        }
    }

    /// What it waits for for long, and whether that is what all workers lack.
    fn lacks(&self) -> (Option<String>, bool) {
        let stuck = self.stuck.as_ref();
        (stuck.map(|stuck| stuck.why.clone()), stuck.is_some_and(|stuck| stuck.common))
    }

    fn recovered(&mut self, backoff: &mut Backoff) {
        if backoff.failures() > 0 {
            self.causes.forget();
            info!(worker = %self.cell.worker.name, "fed again");
            self.announcer.tell(Event::WorkerRecovered { worker: self.cell.worker.name.clone() });
        }
        backoff.succeeded();
    }

    fn trouble(&mut self, error: &FeedError, earlier_failures: u32) {
        metrics::counter!("prb_feed_failures_total", "cause" => error.kind()).increment(1);
        let worker = &self.cell.worker.name;
        (self.tip_seen, self.ready) = (None, None);
        (self.stuck, self.queued) = (None, None);
        self.waiter.note(None, None);
        match self.causes.tell(self.clock.now(), &error.to_string()) {
            false => {}
            true if earlier_failures == 0 => {
                warn!(%worker, cause = %error, "worker is not fed, trying again")
            }
            true => info!(%worker, cause = %error, earlier_failures, "worker still is not fed"),
        }
        self.announcer.tell(Event::WorkerTrouble { worker: worker.clone(), cause: error.to_string() });
        // What is the matter may be put right by resetting the worker: it is asked anew, whatever failed.
        let info = self.info.take();
        let is_away = matches!(error, FeedError::Worker(error) if error.fault() != Fault::Retry);
        let info = info.filter(|_| !is_away);
        let trouble = Some(error.to_string());
        self.cell.publish(Seen { info, trouble, ..Seen::default() });
    }
}

/// Returns at a hint that the store has changed; never if the hint fails, for then the store is looked at when the
/// worker is.
async fn changed(hints: &mut Hints, hint: impl Future<Output = Result<(), StoreError>>) {
    if hints.next(hint).await.is_err() {
        std::future::pending::<()>().await;
    }
}
