//! Where a worker is on its way from nothing to `Working`, and what to do next.
//!
//! The stage is a function of what is observed: the worker's own words, whether it is at the tip, and the
//! finalized chain. Nothing is remembered that could get stuck; only a call under way and the pauses after
//! failures are, so every failure has a way back and a restart needs no memory at all.
//!
//! Pauses after a fee belong to the call that was paid for: they outlast a worker that comes and goes, and a call
//! whose effect somebody else undoes earns them too.

mod facts;
mod hint;
mod stage;
mod step;

pub use facts::{BadFact, Facts};
pub use hint::with_hint;
pub use stage::Stage;
pub use step::{PAID_PAUSE, Step};

use crate::{
    backoff::{Backoff, Pace},
    id::{AccountId, Height, JobId, PoolId, WorkerKey},
    lifecycle::step::PaidCalls,
    moment::{Moment, utc},
    port::{CallResult, Outcome, WorkerInfo},
    tx::Call,
};
use std::time::Duration;

/// What the operator wants of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Pool to join.
    pub pool: PoolId,
    /// Account that owns the pool: the signer's, or the proxied one.
    pub operator: AccountId,
    /// Stake to compute with, planck (10^-12 PHA). A worker that computes with less is restarted with this much; one
    /// that computes with more is told and left alone.
    pub stake: u128,
    /// Keep it in step with the chain and carry its messages if the chain knows it; neither register it nor touch pools.
    pub sync_only: bool,
    /// Nobody can sign for the pool, so nothing is sent to the chain for it. With [`Self::sync_only`].
    pub unsigned: bool,
    /// It serves as a gatekeeper: being registered is all that is wanted of it, and no pool is touched.
    pub gatekeeper: bool,
    /// Keep it in the list and send it nothing at all.
    pub disabled: bool,
    /// Lowest benchmark score to put it to work with. The chain refuses less than 50 at a fee; registering again does
    /// not change a score. What computes already is left alone. None: whatever the chain takes.
    pub min_score: Option<u32>,
}

impl Goal {
    /// To compute in `pool` of `operator` with `stake` planck, whatever its score.
    pub const fn new(pool: PoolId, operator: AccountId, stake: u128) -> Self {
        Self {
            pool,
            operator,
            stake,
            sync_only: false,
            unsigned: false,
            gatekeeper: false,
            disabled: false,
            min_score: None,
        }
    }
}

/// What to do for a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask it for registration info and attestation, and submit the registration.
    Register,
    /// Submit this call.
    Submit(Call),
}

/// The way of one worker.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    pending: Option<Pending>,
    /// Facts must be at least this new to judge what calls changed.
    settled_at: Height,
    backoff: Backoff,
    not_before: Moment,
    /// What failed without a fee.
    failure: Option<String>,
    /// The failure is of looking at worker, chain or sink, so it is over once a look succeeds.
    stumbled: bool,
    /// Calls that the chain charges for.
    paid: PaidCalls,
    /// The key they were made for.
    key: Option<WorkerKey>,
    /// What is to be done next, whether or not it may be done yet.
    wanted: Option<Step>,
    /// Why nothing is to be done though the worker does not work.
    waiting: Option<String>,
    /// A command took it out of work: it is not put to work again unasked.
    halted: bool,
    stage: Stage,
    stage_since: Moment,
    /// Since when the facts are older than what was settled.
    stale_since: Option<Moment>,
    /// Block since which the chain knows the worker for this operator while the worker does not know itself.
    unseen_since: Option<Height>,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    job: JobId,
    /// Which of the worker's own steps it is; none of a command's, or of an earlier life's.
    step: Option<Step>,
    by_command: bool,
}

/// Blocks after its registration within which a worker at the tip should have seen it; then it is registered again.
const REGISTRATION_PATIENCE: u32 = 8;

/// How long a worker may wait for what comes by itself (its score, a look at its own registration) before that is told.
const WAITING_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How long chain state may be older than the last call's block before that is told.
const STALE_PATIENCE: Duration = Duration::from_secs(10 * 60);

impl Lifecycle {
    /// A worker nobody has heard of. Different workers take different seeds.
    pub fn new(pace: Pace, seed: u64) -> Self {
        Self {
            pending: None,
            settled_at: Height(0),
            backoff: Backoff::new(pace, seed),
            not_before: Moment::default(),
            failure: None,
            stumbled: false,
            paid: PaidCalls::new(pace, seed),
            key: None,
            wanted: None,
            waiting: None,
            halted: false,
            stage: Stage::Starting,
            stage_since: Moment::default(),
            stale_since: None,
            unseen_since: None,
        }
    }

    /// Where the worker is, as of the last [`Self::decide`].
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Why it does not get on: something failed and has not succeeded since, or it waits for somebody.
    pub fn trouble(&self) -> Option<&str> {
        let paid = || self.wanted.and_then(|step| self.paid.cause(step));
        self.failure.as_deref().or(self.waiting.as_deref()).or_else(paid)
    }

    /// The call whose effect somebody else undid soon after, if the last [`Self::decide`] found one. Asked once each.
    pub fn take_undone(&mut self) -> Option<Step> {
        self.paid.take_undone()
    }

    /// The call under way, if any.
    pub fn pending(&self) -> Option<JobId> {
        self.pending.map(|pending| pending.job)
    }

    /// Takes note of what is observed and answers what to do now, if anything.
    pub fn decide(
        &mut self,
        now: Moment,
        goal: &Goal,
        info: Option<&WorkerInfo>,
        at_tip: bool,
        facts: Option<&Facts>,
    ) -> Option<Action> {
        let stage = Stage::of(goal, info, at_tip, facts);
        if stage != self.stage {
            (self.stage, self.stage_since) = (stage, now);
            self.backoff.succeeded();
            self.not_before = Moment::default();
            self.failure = None;
        }
        (self.wanted, self.waiting) = (None, None);
        let (info, facts) = (info?, facts?);
        if info.public_key.is_some() && info.public_key != self.key {
            self.key = info.public_key;
            self.paid.forget();
        }
        self.unseen_since = is_unseen(goal, info, facts).then(|| self.unseen_since.unwrap_or(facts.block));
        self.stale_since = (facts.block < self.settled_at).then(|| self.stale_since.unwrap_or(now));
        let worker = info.public_key?;
        let next = self.next_step(goal, info, facts);
        self.waiting = self.waits_for(now, goal, facts, next);
        self.wanted = next.filter(|_| !self.is_halted_at(stage));
        let Some(step) = self.wanted else {
            if self.pending.is_none() && !self.stumbled {
                self.failure = None; // what failed is not wanted any more
            }
            return None;
        };
        if self.pending.is_some() || self.stale_since.is_some() {
            return None;
        }
        let ours = facts.entry.as_ref().is_some_and(|entry| entry.operator == Some(goal.operator));
        let may = self.paid.may(now, step, step == Step::Register && ours);
        if !may || now < self.not_before {
            return None;
        }
        let (pool, stake) = (goal.pool, goal.stake);
        Some(match step {
            Step::Register => Action::Register,
            Step::Join => Action::Submit(Call::AddWorker { pool, worker }),
            Step::Start => Action::Submit(Call::StartComputing { pool, worker, stake }),
            Step::Restake => Action::Submit(Call::RestartComputing { pool, worker, stake }),
            Step::Reclaim => Action::Submit(Call::ReclaimWorker { pool, worker }),
        })
    }

    /// What leads on from the present stage.
    fn next_step(&self, goal: &Goal, info: &WorkerInfo, facts: &Facts) -> Option<Step> {
        match self.stage {
            Stage::Registering => {
                let patient = |since| info.blocknum < since + REGISTRATION_PATIENCE;
                (!self.unseen_since.is_some_and(patient)).then_some(Step::Register)
            }
            Stage::JoiningPool => Some(Step::Join),
            Stage::StartingComputing => Some(Step::Start),
            Stage::CoolingDown => facts.is_cooled_down().then_some(Step::Reclaim),
            Stage::Working => facts.stake.is_some_and(|stake| stake < goal.stake).then_some(Step::Restake),
            _ => None,
        }
    }

    fn is_halted_at(&self, stage: Stage) -> bool {
        self.halted && matches!(stage, Stage::JoiningPool | Stage::StartingComputing)
    }

    /// What a worker waits for that does not come, or comes by somebody's hand only.
    fn waits_for(&self, now: Moment, goal: &Goal, facts: &Facts, next: Option<Step>) -> Option<String> {
        let late = now.since(self.stage_since) >= WAITING_PATIENCE;
        if self.is_halted_at(self.stage) {
            return Some("it was stopped by command; restart it to put it to work again".to_owned());
        }
        if self.stale_since.is_some_and(|since| now.since(since) >= STALE_PATIENCE) {
            return Some(format!(
                "its last call was settled in block {}, and the chain state at hand is of block {}: the node or the \
                 store is behind",
                self.settled_at, facts.block
            ));
        }
        match self.stage {
            Stage::Registering if next.is_none() && late => {
                Some("it is registered on chain and has not seen that itself; see its log".to_owned())
            }
            Stage::AwaitingScore => match facts.entry.as_ref().and_then(|entry| entry.initial_score) {
                Some(score) => Some(format!(
                    "its score of {score} is below the minimum of {}; it is not put to work",
                    goal.min_score.unwrap_or_default()
                )),
                None if late => Some(
                    "its benchmark result is not on chain yet; see whether its messages get through, and its log"
                        .to_owned(),
                ),
                None => None,
            },
            Stage::InAnotherPool => facts.assignment.map(|pool| {
                format!(
                    "it is in pool {pool} and wanted in pool {}; remove it there, or change its pool here",
                    goal.pool
                )
            }),
            Stage::CoolingDown if next.is_none() => Some(match facts.cool_down_end() {
                Some(end) => format!("it was stopped; its stake is locked until {}", utc(end)),
                None => "it was stopped, and the chain does not say how long its stake is locked".to_owned(),
            }),
            Stage::Unresponsive => Some(
                "the chain marked it as unresponsive: its heartbeats do not arrive; see its log and whether its \
                 messages get through"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// A job of an earlier life about the worker is under way.
    pub fn recovered(&mut self, job: JobId) {
        self.pending = Some(Pending { job, step: None, by_command: false });
    }

    /// The action's job is handed to the sink.
    pub fn submitted(&mut self, job: JobId) {
        if self.pending() != Some(job) {
            self.pending = Some(Pending { job, step: self.wanted, by_command: false });
        }
    }

    /// A command's job is under way: nothing else about the worker may be meanwhile.
    pub fn commanded(&mut self, job: JobId) {
        if self.pending() != Some(job) {
            self.pending = Some(Pending { job, step: None, by_command: true });
        }
    }

    /// The job ended; `result` is what became of the worker's call in it.
    pub fn ended(&mut self, now: Moment, outcome: &Outcome, result: Option<&CallResult>) {
        let Some(Pending { step, by_command, .. }) = self.pending.take() else { return };
        if let Outcome::Finalized { block, .. } = outcome {
            self.settled_to(block.height);
        }
        if by_command {
            return; // who gave it is told
        }
        match (outcome, result) {
            (Outcome::Finalized { .. }, Some(CallResult::Ok)) => {
                self.unseen_since = None;
                self.failure = None;
                if let Some(step) = step {
                    self.paid.succeeded(now, step);
                }
            }
            (Outcome::Finalized { .. }, Some(CallResult::Failed(error))) => match step {
                Some(step) => self.paid.failed(now, step, with_hint(error)),
                None => self.failed(now, with_hint(error)),
            },
            (Outcome::Finalized { .. }, None) => {
                self.failed(now, "the call is missing from its own batch".into())
            }
            (Outcome::Rejected(why), _) => self.failed(now, why.clone()),
            (Outcome::Expired, _) => {
                self.failed(now, "the transaction was not included in time; it is sent again".into());
            }
            (Outcome::Unknown(why), _) => {
                self.failed(now, format!("the fate of the transaction is unknown: {why}"))
            }
        }
    }

    /// Calls of this or an earlier life are settled up to this block: older facts do not show all that was done.
    pub fn settled_to(&mut self, block: Height) {
        self.settled_at = self.settled_at.max(block);
    }

    /// The action could not be taken; it is tried again after a growing pause.
    pub fn failed(&mut self, now: Moment, why: String) {
        self.not_before = now + self.backoff.failed();
        (self.failure, self.stumbled) = (Some(why), false);
    }

    /// Worker, chain or sink could not be asked; that is over at the next [`Self::went_on`].
    pub fn stumbled(&mut self, now: Moment, why: String) {
        self.failed(now, why);
        self.stumbled = true;
    }

    /// Everything could be asked, and what was due was done.
    pub fn went_on(&mut self, now: Moment) {
        if self.stumbled && now >= self.not_before {
            (self.failure, self.stumbled) = (None, false);
            self.backoff.succeeded();
        }
    }

    /// A command took it out of work: it is not put to work again before [`Self::begin_anew`].
    pub fn halt(&mut self) {
        self.halted = true;
    }

    /// Forgets all failures and pauses, and what commands stopped: what is wanted is tried at once.
    pub fn begin_anew(&mut self) {
        self.backoff.succeeded();
        self.not_before = Moment::default();
        self.failure = None;
        self.paid.forget();
        self.halted = false;
    }
}

/// Whether the chain knows the worker for this operator and the worker has not seen that block (or forgot it).
fn is_unseen(goal: &Goal, info: &WorkerInfo, facts: &Facts) -> bool {
    !info.registered && facts.entry.as_ref().is_some_and(|entry| entry.operator == Some(goal.operator))
}

#[cfg(test)]
mod tests;
