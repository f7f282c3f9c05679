//! What PRB v3 answers, to the letter: names of fields, forms of states and numbers.

use super::{fleet::Fleet, times::rfc3339};
use crate::v3::status::WorkerStatus;
use prb_chain::journal::{Entry, Stand};
use prb_core::id::JobId;
use schemars::JsonSchema;
use serde::Serialize;

/// Ended transactions that are listed; the journal keeps more, which `prb tx list` shows.
const PAST: usize = 1000;

/// `GET /workers/status`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WorkersStatus {
    workers: Vec<WorkerStatus>,
}

impl WorkersStatus {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self {
            workers: fleet.rows().map(|row| WorkerStatus::of(row.record, row.status, row.unfit)).collect(),
        }
    }
}

/// `GET /tx/status`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TxStatus {
    tx_count: usize,
    running_txs: Vec<Tx>,
    pending_txs: Vec<Tx>,
    past_txs: Vec<Tx>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Tx {
    id: u64,
    state: TxState,
    desc: String,
    pid: u64,
    created_at: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
enum TxState {
    Pending,
    Running,
    Success { updated_at: String },
    Error { updated_at: String, message: String },
}

impl TxStatus {
    /// Of a journal's entries: ended ones in the order of their ends, then open ones in the order of acceptance.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let all = |stand: Stand| entries.iter().filter(move |entry| entry.stand == stand).map(Tx::of);
        let past = entries.iter().rev().filter(|entry| !entry.stand.is_open());
        Self {
            tx_count: entries.len(),
            running_txs: all(Stand::Sent).collect(),
            pending_txs: all(Stand::Waiting).collect(),
            past_txs: past.take(PAST).map(Tx::of).collect(),
        }
    }
}

impl Tx {
    fn of(entry: &Entry) -> Self {
        let updated_at = rfc3339(entry.ended.or(entry.sent).or(entry.accepted).unwrap_or_default());
        let state = match entry.stand {
            Stand::Waiting => TxState::Pending,
            Stand::Sent => TxState::Running,
            Stand::Done => TxState::Success { updated_at },
            Stand::Failed | Stand::Rejected | Stand::Expired | Stand::Unknown => {
                let why = entry.message.as_deref().unwrap_or_else(|| entry.stand.name());
                TxState::Error { updated_at, message: why.to_owned() }
            }
        };
        Self {
            id: number(entry.job),
            state,
            desc: entry.description.clone(),
            // Readers fail on null.
            pid: entry.pool.map_or(0, |pool| pool.0),
            created_at: rfc3339(entry.accepted.or(entry.sent).or(entry.ended).unwrap_or_default()),
        }
    }
}

/// A number for a job that stays the same and is exact in every reader: eras are microseconds apart, and a life makes far
/// fewer jobs than microseconds pass.
fn number(job: JobId) -> u64 {
    job.era.wrapping_add(job.number) & ((1 << 53) - 1)
}

#[cfg(test)]
pub(super) mod tests;
