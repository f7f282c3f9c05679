//! Worker and chain facts → transactions: register workers, add them to their pool, start them, relay their
//! messages.

mod desk;
mod orders;

pub use desk::{Desk, JobNumbers};
pub(super) use orders::told;

use self::orders::Order;
use super::{
    Clock, STEP_LIMIT,
    events::{Announcer, Event},
    facts::{Board, Interest, Posted, Row, Subject, next_sequence},
    worker::{Operated, Seen, WorkerCell},
};
use crate::{
    attestation::{self, BadQuote},
    backoff::Pace,
    command::CannotCommand,
    fault::Fault,
    id::{JobId, PoolId, WorkerKey},
    lifecycle::{Action, BadFact, Facts, Goal, Lifecycle, Stage},
    port::{
        CallResult, ChainState, CollateralError, CollateralSource, JobState, Outcome, SinkError, StateError,
        TxSink, WorkerError, worker::Attestation,
    },
    progress::Causes,
    storage_key,
    tx::{Call, CallKey},
    types::message::{EgressMessages, MessageOrigin},
};
use codec::Encode;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How to operate.
#[derive(Clone, Copy, Debug)]
pub struct OperateOptions {
    /// How often jobs under way are looked at, and idle workers judged again. Typical: 1 s.
    pub interval: Duration,
    /// Pauses after failures.
    pub pace: Pace,
}

impl Default for OperateOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), pace: Pace::default() }
    }
}

/// The operate pipeline of one worker.
pub struct Operate {
    cell: Arc<WorkerCell>,
    state: Arc<dyn ChainState>,
    sink: Arc<dyn TxSink>,
    desk: Arc<Desk>,
    board: Arc<Board>,
    posted: watch::Receiver<Posted>,
    interest: Option<Interest>,
    options: OperateOptions,
    announcer: Announcer,
    collateral: Option<Arc<dyn CollateralSource>>,
    clock: Clock,
    lifecycle: Lifecycle,
    /// What was wanted at the last look.
    goal: Goal,
    /// What the chain said at the last look.
    facts: Option<Facts>,
    /// The worker's key when it was last reachable.
    last_key: Option<WorkerKey>,
    remarked: Option<String>,
    /// What was told of its trouble.
    causes: Causes,
    order: Option<Order>,
    /// What was decided of the pending job.
    decided: Option<Decided>,
    recovered: bool,
}

/// What stays as it was decided, whatever is wanted of the worker by now.
#[derive(Clone)]
struct Decided {
    /// The pool that signs.
    pool: PoolId,
    /// The call, while it is not known whether the sink has accepted it.
    unconfirmed: Option<Call>,
}

/// Why a worker is not operated.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The worker failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The chain's state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The sink failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The chain's state could not be read for anybody.
    #[error("{0}")]
    Facts(Arc<StateError>),
    /// The chain's state could not be understood.
    #[error(transparent)]
    Fact(#[from] BadFact),
    /// A command cannot be carried out now.
    #[error(transparent)]
    Command(#[from] CannotCommand),
    /// The worker cannot attest yet.
    #[error("the worker cannot give its attestation yet; if that stays so, see its log")]
    NoAttestation,
    /// The worker's quote cannot be used.
    #[error(transparent)]
    Quote(#[from] BadQuote),
    /// There is no collateral for its quote.
    #[error(transparent)]
    Collateral(#[from] CollateralError),
    /// Nobody is asked for collateral.
    #[error(
        "the worker attests with DCAP, which the chain takes with collateral only; name a PCCS in `attestation.pccs_url`"
    )]
    NoCollateralSource,
    /// The worker answered without its key.
    #[error("the worker is initialised and does not say its public key yet; if that stays so, see its log")]
    NoKey,
    /// A driver, chain state or sink that never answers, against its contract.
    #[error(
        "neither worker driver, chain state nor transaction sink has answered for {} s; please report this with the log",
        STEP_LIMIT.as_secs()
    )]
    Stalled,
}

impl Operate {
    /// Operates the worker of `cell`. `desk` and `board` are shared by all workers of a bridge.
    pub fn new(
        cell: Arc<WorkerCell>,
        state: Arc<dyn ChainState>,
        sink: Arc<dyn TxSink>,
        desk: Arc<Desk>,
        board: Arc<Board>,
        options: OperateOptions,
        announcer: Announcer,
    ) -> Self {
        let lifecycle = Lifecycle::new(options.pace, cell.seed());
        Self {
            goal: cell.goal(),
            facts: None,
            last_key: None,
            remarked: None,
            causes: Causes::default(),
            order: None,
            posted: board.watch(),
            interest: None,
            board,
            cell,
            state,
            sink,
            desk,
            options,
            announcer,
            collateral: None,
            clock: Clock::start(),
            lifecycle,
            decided: None,
            recovered: false,
        }
    }

    /// The same with a source of what vouches for DCAP quotes.
    #[must_use]
    pub fn attesting(mut self, collateral: Option<Arc<dyn CollateralSource>>) -> Self {
        self.collateral = collateral;
        self
    }

    /// Operates until stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut seen, mut goal, mut posted) =
            (self.cell.watch(), self.cell.watch_goal(), self.board.watch());
        let cell = self.cell.clone();
        loop {
            let now = seen.borrow_and_update().clone();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.turn(&now) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = seen.changed() => {}
                _ = goal.changed() => {}
                _ = posted.changed() => {}
                () = cell.ordered() => {}
                () = tokio::time::sleep(self.options.interval) => {}
            }
        }
    }

    /// Looks once at everything and does what is to be done; failures are noted and tried again.
    async fn turn(&mut self, seen: &Seen) {
        let before = (self.lifecycle.stage(), self.lifecycle.trouble().map(str::to_owned));
        let step = tokio::time::timeout(STEP_LIMIT, self.step(seen)).await;
        if let Err(error) = step.unwrap_or(Err(OperateError::Stalled)) {
            let empty = matches!(&error, OperateError::Facts(error) if matches!(**error, StateError::Empty));
            let patient = empty
                || matches!(&error, OperateError::State(StateError::Empty) | OperateError::NoAttestation)
                || matches!(&error, OperateError::Sink(error) if error.fault() == Fault::Retry);
            if !patient {
                metrics::counter!("prb_operate_failures_total").increment(1);
            }
            self.lifecycle.stumbled(self.clock.now(), error.to_string());
        } else {
            self.lifecycle.went_on(self.clock.now());
        }
        self.announce(before);
    }

    async fn step(&mut self, seen: &Seen) -> Result<(), OperateError> {
        let goal = self.cell.goal();
        if goal != self.goal {
            // Whatever was in the way may not be any more.
            self.lifecycle.begin_anew();
            self.goal = goal.clone();
        }
        let settled = self.settle().await;
        self.obey(seen).await;
        settled?;
        let Some(info) = seen.info.as_ref().filter(|info| info.initialized && seen.at_tip && !goal.disabled)
        else {
            self.lifecycle.decide(self.clock.now(), &goal, seen.info.as_ref(), seen.at_tip, None);
            return Ok(());
        };
        let key = info.public_key.ok_or(OperateError::NoKey)?;
        self.last_key = Some(key);
        self.recover(key).await?;
        let Some(Row { facts, next_sequence }) = self.row((key, goal.pool))? else { return Ok(()) };
        let origin = MessageOrigin::Worker(key);
        self.desk.chain_takes(&origin, next_sequence, facts.block);
        self.remark(facts.remark(&goal));

        // After the state was read: what is settled later is still unsettled, and so pending, for this life.
        let settled = self.sink.settled_at().await?;
        self.lifecycle.settled_to(settled);
        let action = self.lifecycle.decide(self.clock.now(), &goal, Some(info), true, Some(&facts));
        if let Some(undone) = self.lifecycle.take_undone() {
            metrics::counter!("prb_calls_undone_total", "call" => undone.name()).increment(1);
        }
        let is_current = facts.block >= settled;
        let posts = info.pending_messages > 0 && !goal.unsigned && is_current && facts.entry.is_some();
        self.facts = Some(facts);
        if let Some(action) = action {
            let call = match action {
                Action::Register => self.registration(&goal).await?,
                Action::Submit(call) => call,
            };
            let job = self.desk.next_job();
            info!(worker = %self.cell.worker.name, pool = %goal.pool, %job, call = call.names().1, "submitting");
            self.lifecycle.submitted(job);
            self.submit(job, goal.pool, call).await?;
        }
        if posts {
            self.relay_messages(goal.pool, &origin).await?;
        }
        Ok(())
    }

    /// What the board says of the worker, none until it says something.
    fn row(&mut self, subject: Subject) -> Result<Option<Row>, OperateError> {
        if self.interest.as_ref().is_none_or(|interest| *interest.subject() != subject) {
            self.interest = Some(self.board.want(subject));
        }
        let posted = self.posted.borrow().clone();
        match posted {
            None => Ok(None),
            Some(Err(error)) => Err(OperateError::Facts(error)),
            Some(Ok(page)) => Ok(page.row(&subject).transpose()?),
        }
    }

    /// Says once what an operator may want to know though nothing is wrong.
    fn remark(&mut self, remark: Option<String>) {
        if remark != self.remarked {
            if let Some(remark) = &remark {
                info!(worker = %self.cell.worker.name, %remark, "remark");
                self.cell.say(remark.clone());
            }
            self.remarked = remark;
        }
    }

    /// Hands a job to the sink. Where the sink may have accepted it in spite of an error, it is the pending one all
    /// the same, and is handed in again by its id: another job with the same call would be a second sending.
    async fn submit(&mut self, job: JobId, pool: PoolId, call: Call) -> Result<(), OperateError> {
        // Noted first, for the future may be dropped while the sink is at it.
        self.decided = Some(Decided { pool, unconfirmed: Some(call.clone()) });
        match self.sink.submit(job, pool, vec![call]).await {
            Ok(()) => {
                self.decided = Some(Decided { pool, unconfirmed: None });
                Ok(())
            }
            Err(error) if desk::may_be_accepted(&error) => Err(error.into()),
            Err(error) => {
                if error.fault() == Fault::Stop {
                    metrics::counter!("prb_operate_failures_total").increment(1);
                }
                self.ended(&Outcome::Rejected(error.to_string()));
                Ok(())
            }
        }
    }

    /// Takes the job of an earlier life as the pending one, so that nothing under way is submitted again.
    async fn recover(&mut self, worker: WorkerKey) -> Result<(), OperateError> {
        if self.recovered {
            return Ok(());
        }
        self.desk.recover().await?;
        let unsettled = self.sink.unsettled().await?;
        let keys = [CallKey::Register(worker), CallKey::Session(worker), CallKey::Endpoint(worker)];
        let ours = unsettled.iter().find(|job| job.keys.iter().any(|key| keys.contains(key)));
        if let Some(job) = ours {
            info!(worker = %self.cell.worker.name, job = %job.job, "a call of an earlier run is still under way");
            self.lifecycle.recovered(job.job);
            self.decided = Some(Decided { pool: job.pool, unconfirmed: None });
        }
        self.recovered = true;
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), OperateError> {
        let pending = self.lifecycle.pending().zip(self.decided.clone());
        let Some((job, Decided { pool, unconfirmed })) = pending else { return Ok(()) };
        let outcome = match self.sink.outcome(job).await? {
            Some(JobState::Pending) => return Ok(()),
            Some(JobState::Ended(outcome)) => outcome,
            None => match unconfirmed {
                Some(call) => return self.submit(job, pool, call).await,
                None => Outcome::Rejected(
                    "the transaction sink does not know the job any more; the chain shows whether it was carried out"
                        .into(),
                ),
            },
        };
        if matches!(outcome, Outcome::Unknown(_))
            && let Some(decided) = self.sink.decided_at(job).await?
        {
            self.lifecycle.settled_to(decided);
        }
        self.ended(&outcome);
        self.announcer.tell(Event::JobEnded { job, pool, outcome });
        Ok(())
    }

    /// The pending job ended.
    fn ended(&mut self, outcome: &Outcome) {
        self.decided = None;
        let result = first_result(outcome);
        self.lifecycle.ended(self.clock.now(), outcome, result);
        self.order_ended(outcome, result);
    }

    async fn registration(&self, goal: &Goal) -> Result<Call, OperateError> {
        let info = self.cell.driver.runtime_info(true, Some(goal.operator)).await?;
        let (worker, runtime_info) = (info.public_key, info.encoded_runtime_info.to_vec());
        match info.attestation.ok_or(OperateError::NoAttestation)? {
            Attestation::Report(report) => {
                let attestation = self.with_collateral(&report).await?;
                Ok(Call::RegisterWorkerV2 { worker, runtime_info, attestation })
            }
            Attestation::Legacy { report, signature, signing_cert } => {
                // `Attestation::SgxIas` of the first registration call.
                let mut attestation = vec![0];
                (report.to_vec(), signature.to_vec(), signing_cert.to_vec()).encode_to(&mut attestation);
                Ok(Call::RegisterWorker { worker, runtime_info, attestation })
            }
        }
    }

    /// A worker's report as the chain takes it: one that lacks collateral would only cost a fee.
    async fn with_collateral(&self, report: &[u8]) -> Result<Vec<u8>, OperateError> {
        let Some(kind) = attestation::lacks(report)? else { return Ok(report.to_vec()) };
        let source = self.collateral.as_ref().ok_or(OperateError::NoCollateralSource)?;
        Ok(attestation::complete(report, &*source.collateral(kind).await?))
    }

    async fn relay_messages(&self, pool: PoolId, own: &MessageOrigin) -> Result<(), OperateError> {
        let held = self.cell.driver.egress_messages().await?;
        self.learn_sequences(&held, own).await?;
        self.desk.post(self.clock.now(), pool, &held).await?;
        Ok(())
    }

    /// Reads the chain's next sequence of senders other than the worker itself (clusters, contracts, gatekeepers).
    async fn learn_sequences(&self, held: &EgressMessages, own: &MessageOrigin) -> Result<(), OperateError> {
        let others: Vec<_> =
            held.iter().filter(|(origin, messages)| origin != own && !messages.is_empty()).collect();
        if others.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = others.iter().map(|(origin, _)| storage_key::offchain_ingress(origin)).collect();
        let (block, values) = self.state.read(&keys, None).await?;
        for ((origin, _), value) in others.iter().zip(&values) {
            self.desk.chain_takes(origin, next_sequence(value.as_ref())?, block.height);
        }
        Ok(())
    }

    fn announce(&mut self, (stage, trouble): (Stage, Option<String>)) {
        let worker = &self.cell.worker.name;
        let (to, now) = (self.lifecycle.stage(), self.lifecycle.trouble().map(str::to_owned));
        let sender = self.last_key.map(|key| self.desk.status(&MessageOrigin::Worker(key)));
        // Before it is told: who is told looks here.
        self.cell.set_operated(Operated {
            stage: Some(to),
            trouble: now.clone(),
            facts: self.facts.clone(),
            sender: sender.unwrap_or_default(),
        });
        if to != stage {
            info!(%worker, from = %stage, %to, "stage");
            self.cell.say(format!("{stage} → {to}"));
            self.announcer.tell(Event::WorkerStage { worker: worker.clone(), from: stage, to });
        }
        match (&trouble, &now) {
            (old, Some(cause)) if old.as_ref() != Some(cause) => {
                // Heights and the like in its words change from one attempt to the next.
                if self.causes.tell(self.clock.now(), cause) {
                    warn!(%worker, stage = %to, %cause, "worker does not get on");
                }
                self.cell.say(cause.clone());
                self.announcer.tell(Event::WorkerTrouble { worker: worker.clone(), cause: cause.clone() });
            }
            (Some(_), None) => {
                self.causes.forget();
                self.announcer.tell(Event::WorkerRecovered { worker: worker.clone() });
            }
            _ => {}
        }
    }
}

/// Lifecycle jobs have one call.
fn first_result(outcome: &Outcome) -> Option<&CallResult> {
    match outcome {
        Outcome::Finalized { results, .. } => results.first(),
        _ => None,
    }
}
