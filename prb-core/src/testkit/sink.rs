//! A transaction sink with a script.

use super::{FakeChain, chain::Queued, hook::Hook};
use crate::{
    id::{Height, JobId, PoolId},
    port::{JobState, Outcome, SinkError, TxSink, Unsettled, sink::DispatchError},
    tx::{Call, CallKey},
    types::message::MessageOrigin,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A call of a [`FakeSink`], as its hook sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkCall {
    /// `submit`.
    Submit(JobId, PoolId, Vec<Call>),
    /// `outcome`.
    Outcome(JobId),
    /// `unsettled`.
    Unsettled,
    /// `settled_at`.
    SettledAt,
    /// `decided_at`.
    DecidedAt(JobId),
    /// `last_era`.
    LastEra,
}

/// What goes wrong with a call of a [`FakeSink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkFault {
    /// The queue is full; nothing is kept.
    Busy,
    /// The sink cannot be reached; nothing is kept.
    Unreachable,
    /// The job is accepted, and the answer is lost.
    LostReply,
    /// The journal cannot be written; nothing is kept.
    Journal,
    /// The pool has no operator.
    NoOperator,
    /// No answer for so long; then the sink cannot be reached.
    Hang(Duration),
}

/// What becomes of an accepted job, unless it is simply included in the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFault {
    /// Included so many blocks later.
    Slow(u32),
    /// Never included; expires after some blocks.
    Expire,
    /// The chain refuses it with these words.
    Reject(String),
    /// Included, and every call fails so.
    Fail(DispatchError),
    /// Nobody can tell. It lands so many blocks later, or never.
    Unknown {
        /// Blocks until it lands after all.
        lands_after: Option<u32>,
    },
}

/// [`TxSink`] of a [`FakeChain`], with an operator for each of its pools: jobs are executed when the chain grows. Clones share the journal, so a second
/// life of a bridge can be given the same sink.
///
/// # Panics
///
/// `submit` panics if a call comes while another one about the same thing is under way, or (messages) may still land.
#[derive(Clone)]
pub struct FakeSink {
    chain: FakeChain,
    hook: Hook<SinkCall, SinkFault>,
    fate: Hook<SinkCall, JobFault>,
    journal: Arc<Mutex<Journal>>,
}

#[derive(Default)]
struct Journal {
    jobs: BTreeMap<JobId, (PoolId, Vec<Call>)>,
    /// In the order of their acceptance.
    accepted: Vec<JobId>,
    /// Of jobs whose fate nobody can tell: from which block on the state shows it.
    decided: BTreeMap<JobId, Height>,
    violations: Vec<String>,
}

impl FakeSink {
    /// A sink in front of `chain`.
    pub fn new(chain: &FakeChain) -> Self {
        Self { chain: chain.clone(), hook: Hook::default(), fate: Hook::default(), journal: Arc::default() }
    }

    /// What goes wrong with calls of the sink.
    pub fn hook(&self) -> &Hook<SinkCall, SinkFault> {
        &self.hook
    }

    /// What goes wrong with accepted jobs; asked with [`SinkCall::Submit`].
    pub fn fate(&self) -> &Hook<SinkCall, JobFault> {
        &self.fate
    }

    /// All accepted jobs, in order.
    pub fn jobs(&self) -> Vec<(JobId, PoolId, Vec<Call>)> {
        let journal = self.journal();
        let job = |id: &JobId| journal.jobs.get(id).map(|(pool, calls)| (*id, *pool, calls.clone()));
        journal.accepted.iter().filter_map(job).collect()
    }

    /// All accepted calls, in order, by pallet and name.
    pub fn calls(&self) -> Vec<(&'static str, &'static str)> {
        self.jobs().iter().flat_map(|(_, _, calls)| calls.iter().map(Call::names)).collect()
    }

    /// Sequences of all accepted messages of a sender, in order.
    pub fn sequences(&self, sender: &MessageOrigin) -> Vec<u64> {
        let jobs = self.jobs();
        let calls = jobs.iter().flat_map(|(_, _, calls)| calls);
        calls
            .filter_map(|call| match call.key() {
                CallKey::Message(origin, sequence) if origin == *sender => Some(sequence),
                _ => None,
            })
            .collect()
    }

    /// Calls that came while another one about the same thing was under way. Each has panicked too, though perhaps
    /// in a task that nobody looked at.
    pub fn violations(&self) -> Vec<String> {
        self.journal().violations.clone()
    }

    /// Forgets a job as if it had never been accepted.
    pub fn forget(&self, job: JobId) {
        let mut journal = self.journal();
        journal.jobs.remove(&job);
        journal.accepted.retain(|accepted| *accepted != job);
        self.chain.inner().queue.retain(|queued| queued.job != job);
    }

    async fn meet(&self, call: &SinkCall) -> Result<bool, SinkError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match self.hook.ask(call) {
            Some(SinkFault::Busy) => Err(SinkError::Busy { waiting: 1000 }),
            Some(SinkFault::Unreachable) => Err(SinkError::Unreachable("scripted".into())),
            Some(SinkFault::Journal) => Err(SinkError::Journal("scripted".into())),
            Some(SinkFault::NoOperator) => match call {
                SinkCall::Submit(_, pool, _) => Err(SinkError::NoOperator(*pool)),
                _ => Ok(false),
            },
            Some(SinkFault::Hang(time)) => {
                tokio::time::sleep(time).await;
                Err(SinkError::Unreachable("scripted silence".into()))
            }
            Some(SinkFault::LostReply) => Ok(true),
            None => Ok(false),
        }
    }

    fn accept(&self, call: &SinkCall, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        if calls.is_empty() {
            return Err(SinkError::Bad("a job needs at least one call".into()));
        }
        if !self.chain.inner().options.pools.contains_key(&pool) {
            return Err(SinkError::NoOperator(pool));
        }
        let mut journal = self.journal();
        if journal.jobs.contains_key(&job) {
            return Ok(());
        }
        let fault = self.fate.ask(call);
        let mut inner = self.chain.inner();
        for queued in &inner.queue {
            if !journal.jobs.contains_key(&queued.job) {
                continue; // of another sink on this chain
            }
            let open = !inner.ended.contains_key(&queued.job);
            for key in calls.iter().map(Call::key) {
                // One that ended as unknown may still land: no message may be sent again until it has.
                let held = open || matches!(key, CallKey::Message(..));
                if held && queued.calls.iter().any(|call| call.key() == key) {
                    let violation = format!("{job}: {key:?} is under way in {} already", queued.job);
                    journal.violations.push(violation.clone());
                    panic!("{violation}");
                }
            }
        }
        let since = inner.blocks[inner.blocks.len() - 1].at.height.0;
        if let Some(JobFault::Unknown { lands_after }) = &fault {
            journal.decided.insert(job, Height(since + lands_after.unwrap_or_default() + 1));
        }
        inner.queue.push(Queued { job, pool, calls: calls.clone(), fault, since });
        journal.jobs.insert(job, (pool, calls));
        journal.accepted.push(job);
        Ok(())
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TxSink for FakeSink {
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        let call = SinkCall::Submit(job, pool, calls.clone());
        let lost = self.meet(&call).await?;
        self.accept(&call, job, pool, calls)?;
        if lost { Err(SinkError::Unreachable("scripted loss of the reply".into())) } else { Ok(()) }
    }

    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError> {
        self.meet(&SinkCall::Outcome(job)).await?;
        if !self.journal().jobs.contains_key(&job) {
            return Ok(None);
        }
        Ok(Some(self.chain.outcome(job).map_or(JobState::Pending, JobState::Ended)))
    }

    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError> {
        self.meet(&SinkCall::Unsettled).await?;
        let journal = self.journal();
        let inner = self.chain.inner();
        let open = journal.accepted.iter().filter(|job| !inner.ended.contains_key(job));
        Ok(open
            .filter_map(|job| {
                let (pool, calls) = journal.jobs.get(job)?;
                Some(Unsettled { job: *job, pool: *pool, keys: calls.iter().map(Call::key).collect() })
            })
            .collect())
    }

    async fn settled_at(&self) -> Result<Height, SinkError> {
        self.meet(&SinkCall::SettledAt).await?;
        let journal = self.journal();
        let inner = self.chain.inner();
        let ends = journal.accepted.iter().filter_map(|job| match inner.ended.get(job)? {
            Outcome::Finalized { block, .. } => Some(block.height),
            Outcome::Unknown(_) => journal.decided.get(job).copied(),
            Outcome::Rejected(_) | Outcome::Expired => None,
        });
        Ok(ends.max().unwrap_or_default())
    }

    async fn decided_at(&self, job: JobId) -> Result<Option<Height>, SinkError> {
        self.meet(&SinkCall::DecidedAt(job)).await?;
        Ok(self.journal().decided.get(&job).copied())
    }

    async fn last_era(&self) -> Result<Option<u64>, SinkError> {
        self.meet(&SinkCall::LastEra).await?;
        Ok(self.journal().jobs.keys().map(|job| job.era).max())
    }
}
