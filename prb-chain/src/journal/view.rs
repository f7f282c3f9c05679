//! The journal for people and programs: what each job is, where it stands, since when.

use super::{Image, Past};
use prb_core::{
    id::{Hash, JobId, PoolId},
    port::{CallResult, Outcome},
    tx::Call,
    types::message::MessageOrigin,
};

/// Most bytes of a description.
const DESCRIPTION: usize = 200;

/// Calls that a description names; of more it says how many.
const NAMED: usize = 2;

/// A job in a list. Times are milliseconds since 1970, UTC, none where unknown or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The job.
    pub job: JobId,
    /// Whose it is, none if that was not written down.
    pub pool: Option<PoolId>,
    /// Where it stands.
    pub stand: Stand,
    /// What it does, in words.
    pub description: String,
    /// When it was accepted.
    pub accepted: Option<u64>,
    /// When its extrinsic was written down to be sent.
    pub sent: Option<u64>,
    /// When its end was written down.
    pub ended: Option<u64>,
    /// The extrinsic that carries it, or did.
    pub extrinsic: Option<Hash>,
    /// Why it did not do what it should, if it did not; else the block it is in, if it is.
    pub message: Option<String>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// In no extrinsic.
    Waiting,
    /// In an extrinsic that may be included.
    Sent,
    /// Finalized, every call dispatched.
    Done,
    /// Finalized, with calls that failed.
    Failed,
    /// Not included, and it will not be.
    Rejected,
    /// Its mortality passed.
    Expired,
    /// Nobody can tell.
    Unknown,
}

impl Stand {
    /// Its name in lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Whether an outcome is still to come.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Sent)
    }
}

impl Image {
    /// All jobs that are known: ended ones in the order of their ends, then open ones in the order of acceptance.
    pub fn entries(&self) -> Vec<Entry> {
        let mut open: Vec<&JobId> = self.open().map(|(job, _)| job).collect();
        open.sort_by_key(|job| self.job(job).map(|job| job.place));
        self.ended().map(|(job, _)| job).chain(open).filter_map(|job| self.entry(job)).collect()
    }

    /// One job, none if it is not known.
    pub fn entry(&self, id: &JobId) -> Option<Entry> {
        if let Some(job) = self.job(id) {
            return Some(Entry {
                job: *id,
                pool: Some(job.pool),
                stand: if job.extrinsic.is_some() { Stand::Sent } else { Stand::Waiting },
                description: describe(&job.calls),
                accepted: known(job.accepted),
                sent: known(job.sent),
                ended: None,
                extrinsic: job.extrinsic,
                message: None,
            });
        }
        let past = self.past(id)?;
        let (stand, message) = end(past);
        Some(Entry {
            job: *id,
            pool: past.pool,
            stand,
            description: past.description.clone(),
            accepted: known(past.accepted),
            sent: known(past.sent),
            ended: known(past.ended),
            extrinsic: past.extrinsic,
            message,
        })
    }
}

fn known(time: u64) -> Option<u64> {
    (time > 0).then_some(time)
}

fn end(past: &Past) -> (Stand, Option<String>) {
    match &past.outcome {
        Outcome::Finalized { block, results, .. } => {
            let errors: Vec<String> = results
                .iter()
                .filter_map(|result| match result {
                    CallResult::Failed(error) => Some(error.to_string()),
                    CallResult::Ok => None,
                })
                .collect();
            match errors.first() {
                None => (Stand::Done, Some(format!("in block {}", block.height))),
                Some(first) if results.len() == 1 => (Stand::Failed, Some(first.clone())),
                Some(first) => {
                    let text =
                        format!("{} of {} calls failed, the first with {first}", errors.len(), results.len());
                    (Stand::Failed, Some(text))
                }
            }
        }
        Outcome::Rejected(why) => (Stand::Rejected, Some(why.clone())),
        Outcome::Expired => (Stand::Expired, Some("not included within its mortality".to_owned())),
        Outcome::Unknown(why) => (Stand::Unknown, Some(why.clone())),
    }
}

/// What calls do, in at most 200 bytes.
pub fn describe(calls: &[Call]) -> String {
    let mut text = calls.iter().take(NAMED).map(words).collect::<Vec<_>>().join("; ");
    if calls.len() > NAMED {
        text = format!("{} calls: {text}; …", calls.len());
    }
    let mut end = text.len().min(DESCRIPTION);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn words(call: &Call) -> String {
    match call {
        Call::RegisterWorker { worker, .. } | Call::RegisterWorkerV2 { worker, .. } => {
            format!("register worker {worker}")
        }
        Call::UpdateEndpoint { worker, .. } => format!("update endpoint of worker {worker}"),
        Call::SyncMessage(signed) => {
            format!("message {} of {}", signed.sequence, origin(&signed.message.sender))
        }
        Call::AddWorker { pool, worker } => format!("add worker {worker} to pool {pool}"),
        Call::RemoveWorker { pool, worker } => format!("remove worker {worker} from pool {pool}"),
        Call::StartComputing { pool, worker, stake } => {
            format!("start worker {worker} of pool {pool} with {stake} planck")
        }
        Call::StopComputing { pool, worker } => format!("stop worker {worker} of pool {pool}"),
        Call::ReclaimWorker { pool, worker } => format!("reclaim worker {worker} of pool {pool}"),
        Call::RestartComputing { pool, worker, stake } => {
            format!("restart worker {worker} of pool {pool} with {stake} planck")
        }
        Call::CheckWithdraw { pool } => format!("check withdrawals of pool {pool}"),
        Call::Unbind { session } => format!("unbind session {session}"),
    }
}

pub(crate) fn origin(sender: &MessageOrigin) -> String {
    match sender {
        MessageOrigin::Worker(worker) => format!("worker {worker}"),
        MessageOrigin::Contract(id) => format!("contract {id}"),
        MessageOrigin::Cluster(id) => format!("cluster {id}"),
        MessageOrigin::AccountId(account) => format!("account {account}"),
        MessageOrigin::Gatekeeper => "the gatekeepers".to_owned(),
        MessageOrigin::Pallet(_) => "a pallet".to_owned(),
        MessageOrigin::MultiLocation(_) => "another chain".to_owned(),
        MessageOrigin::Reserved => "nobody".to_owned(),
    }
}
