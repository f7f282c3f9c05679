//! Where calls become transactions.

use crate::{
    fault::Fault,
    id::{BlockRef, Hash, Height, JobId, PoolId},
    tx::{Call, CallKey},
};
use async_trait::async_trait;
use codec::{Decode, Encode};
use std::fmt;

/// Turns calls into signed extrinsics and knows what became of each.
///
/// # Contract
///
/// - `submit` is idempotent by job id: the same id again changes nothing and answers the same.
/// - `submit` returns once the job is written down durably; it does not wait for the chain. A full queue answers
///   [`SinkError::Busy`] and keeps nothing.
/// - Every call ends within the sink's own deadline. After [`SinkError::Unreachable`], [`SinkError::Journal`] or a
///   dropped future the sink may have the job or not; the caller submits it again by the same id.
/// - Jobs of one pool reach the chain in the order they were submitted, and so do the calls of a job.
/// - Every job ends in exactly one [`Outcome`], which never changes afterwards, also across restarts.
/// - Nothing is sent twice while an earlier sending may still be included.
/// - `settled_at` covers every outcome that was answered, and every job that is not unsettled any more; it never goes
///   back, also across restarts.
#[async_trait]
pub trait TxSink: Send + Sync {
    /// Accepts a job: `calls` (at least one) on behalf of `pool`.
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError>;

    /// How a job stands, none if this sink never accepted it (or forgot it long after its end).
    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError>;

    /// Jobs without an outcome, of this and earlier lives of the process.
    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError>;

    /// The highest block that an outcome names, of this and earlier lives, and that decides an unknown one of an earlier
    /// life ([`Self::decided_at`]); block 0 while there is none. Older chain state does not show yet what was done:
    /// whoever decides from it does it again.
    async fn settled_at(&self) -> Result<Height, SinkError>;

    /// Of a job that ended as [`Outcome::Unknown`]: the block from whose state on the chain shows what it did. Nothing
    /// of it happens later. None where this sink cannot tell: then only the effect itself shows it.
    async fn decided_at(&self, _job: JobId) -> Result<Option<Height>, SinkError> {
        Ok(None)
    }

    /// The highest era of all jobs that this sink remembers, none while it remembers none (or does not tell). A life
    /// with the same era would have its jobs taken as done.
    async fn last_era(&self) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }
}

/// A job that has no outcome yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// The job.
    pub job: JobId,
    /// Whose it is.
    pub pool: PoolId,
    /// What its calls are about.
    pub keys: Vec<CallKey>,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum JobState {
    /// Queued or sent, not final.
    Pending,
    /// Ended.
    Ended(Outcome),
}

/// The end of a job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Included in a finalized block.
    Finalized {
        /// Where.
        block: BlockRef,
        /// Hash of the extrinsic.
        extrinsic: Hash,
        /// What became of each call, in their order.
        results: Vec<CallResult>,
    },
    /// The chain refused it; it was not and will not be included. The text says why and what to do.
    Rejected(String),
    /// Its mortality passed without inclusion.
    Expired,
    /// Nobody can tell (for example an immortal extrinsic whose nonce was used by another program).
    Unknown(String),
}

/// What became of one call of a finalized extrinsic.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CallResult {
    /// Dispatched.
    Ok,
    /// Dispatched with an error.
    Failed(DispatchError),
}

/// Why a call failed on chain, by name from the metadata of the block's runtime.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DispatchError {
    /// Pallet, none for errors of the runtime itself.
    pub pallet: Option<String>,
    /// Error variant.
    pub error: String,
}

impl DispatchError {
    /// Whether it is this error of this pallet.
    pub fn is(&self, pallet: &str, error: &str) -> bool {
        self.pallet.as_deref() == Some(pallet) && self.error == error
    }
}

impl fmt::Display for DispatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pallet {
            Some(pallet) => write!(f, "{pallet}.{}", self.error),
            None => f.write_str(&self.error),
        }
    }
}

/// Why a sink did not accept a job or cannot tell its outcome.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The queue is full.
    #[error("{waiting} jobs wait already; try again when some are done")]
    Busy {
        /// Length of the queue.
        waiting: usize,
    },
    /// The pool has no operator key.
    #[error("pool {0} has no operator; add one with `prb operator add`")]
    NoOperator(PoolId),
    /// The job cannot be made into a transaction.
    #[error("job cannot be sent: {0}")]
    Bad(String),
    /// The journal cannot be written or read.
    #[error("journal: {0}")]
    Journal(String),
    /// The sink is out of reach.
    #[error("sink is not reachable: {0}")]
    Unreachable(String),
}

impl SinkError {
    /// What may be done about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Busy { .. } | Self::Journal(_) | Self::Unreachable(_) => Fault::Retry,
            Self::NoOperator(_) | Self::Bad(_) => Fault::Stop,
        }
    }
}
