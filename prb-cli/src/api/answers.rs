//! What prb's own routes answer, as types: an answer is their serialisation, and `/v1/openapi.json` has their schemas.
//!
//! What is not known is null. Planck are decimal strings, since programs read large numbers as floating point.

use crate::{deployment::SourceStatus, queue::TransactionRow};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Why something is refused, or failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Failure {
    /// Always true.
    pub(super) error: bool,
    /// What kind of failure.
    pub(super) code: String,
    /// Why, and what to do.
    pub(super) message: String,
    /// Always empty: PRB v3's readers look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backtrace: Option<&'static str>,
}

/// Whether the process goes on.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    pub(super) ok: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// Whether it gets on.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ready {
    pub(super) ready: bool,
    /// Why it does not.
    pub(super) reasons: Vec<String>,
}

/// The build, as PRB v3 tells it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct GitRevision {
    pub(super) git_revision: &'static str,
}

/// The build.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Version {
    pub(super) version: &'static str,
    /// The revision that it was built from, where the build knows it.
    pub(super) git_revision: Option<&'static str>,
}

/// How everything is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Overview {
    pub(super) version: &'static str,
    /// Whether it gets on.
    pub(super) ready: bool,
    /// Why it does not.
    pub(super) reasons: Vec<String>,
    /// What is stored; none before anything is.
    pub(super) heights: Option<StoredHeights>,
    /// Whether there is a parachain beside the relay chain.
    pub(super) parachain: Option<bool>,
    /// Finalized heads as nodes told them last; none where data comes from providers.
    pub(super) finalized: Option<Finalized>,
    pub(super) sources: Vec<SourceStatus>,
    pub(super) workers: WorkerCounts,
    /// None where they are made by another process.
    pub(super) transactions: Option<TransactionCounts>,
}

/// First and last height of each stream.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StoredHeights {
    pub(super) relay: Option<[u32; 2]>,
    pub(super) para: Option<[u32; 2]>,
    pub(super) changes: Option<[u32; 2]>,
}

/// Finalized heights.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Finalized {
    pub(super) relay: u32,
    pub(super) para: u32,
}

/// Workers by stage.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WorkerCounts {
    pub(super) total: usize,
    pub(super) in_trouble: usize,
    /// How many are at each stage, by its name; `NotRunning` are those that do not run.
    pub(super) stages: BTreeMap<&'static str, usize>,
}

/// Managers whose workers are shown here.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Managers {
    pub(super) managers: Vec<ManagerHere>,
}

/// One of them.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct ManagerHere {
    /// `this` is the bridge that answers.
    pub(super) name: String,
    /// What goes before every path.
    pub(super) base: String,
}

/// Transactions by state.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TransactionCounts {
    pub(super) paused: bool,
    pub(super) states: BTreeMap<&'static str, usize>,
}

/// Some of the workers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Workers {
    /// How many there are of those that were asked for.
    pub(super) total: usize,
    pub(super) offset: usize,
    pub(super) limit: usize,
    pub(super) workers: Vec<Worker>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Worker {
    /// A UUID.
    pub(super) id: String,
    pub(super) name: String,
    /// Base URL of its private port.
    pub(super) endpoint: String,
    /// `pid` of its pool.
    pub(super) pool: u64,
    /// Planck.
    pub(super) stake: String,
    pub(super) enabled: bool,
    pub(super) sync_only: bool,
    pub(super) gatekeeper: bool,
    pub(super) tags: Vec<String>,
    /// None while it does not run.
    pub(super) stage: Option<&'static str>,
    pub(super) at_tip: bool,
    /// Why it does not get on.
    pub(super) trouble: Option<String>,
    /// What its turn to be fed waits for.
    pub(super) waits: Option<String>,
    /// Whether it is fed.
    pub(super) kept_in_step: bool,
    pub(super) heights: Option<WorkerHeights>,
    /// Blocks that are stored and that it has not got.
    pub(super) blocks_left: Option<u32>,
    pub(super) eta_seconds: Option<u64>,
    /// Hex.
    pub(super) public_key: Option<String>,
    pub(super) version: Option<String>,
    pub(super) git_revision: Option<String>,
    pub(super) memory: Option<Memory>,
    pub(super) initial_score: Option<u32>,
    pub(super) session: Option<Session>,
    /// Its messages that the finalized chain has taken.
    pub(super) messages_synced: Option<u64>,
    pub(super) commands_waiting: usize,
    pub(super) last_message: Option<LastMessage>,
}

/// The last blocks that a worker has; none before the first.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct WorkerHeights {
    pub(super) relay: Option<u32>,
    pub(super) para: Option<u32>,
    pub(super) blocks: Option<u32>,
}

/// Memory of a worker, bytes.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Memory {
    pub(super) used: u64,
    pub(super) peak: u64,
    pub(super) process_peak: u64,
}

/// What a worker computes with.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Session {
    /// Its name on chain.
    pub(super) state: &'static str,
    /// Bits of a fixed-point number with 64 of them behind the point, as are `ve` and `total_reward`.
    pub(super) v: String,
    pub(super) ve: String,
    pub(super) p_init: u32,
    pub(super) p_instant: u32,
    pub(super) iterations: u64,
    pub(super) total_reward: String,
}

/// The last thing that was worth telling of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct LastMessage {
    /// RFC 3339.
    pub(super) at: String,
    pub(super) text: String,
}

/// Where a worker was over time, oldest first.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(super) struct History {
    /// Every ten seconds for an hour, every minute for a day.
    pub(super) points: Vec<HistoryPoint>,
    /// The last of them.
    pub(super) events: Vec<HistoryEvent>,
}

/// Where a worker was at a time.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct HistoryPoint {
    /// Unix seconds.
    pub(super) at: u32,
    /// Its last relay header.
    pub(super) relay: Option<u32>,
    /// Its last parachain header.
    pub(super) para: Option<u32>,
    /// Its last block.
    pub(super) blocks: Option<u32>,
    /// The last block that there was for it.
    pub(super) tip: Option<u32>,
}

/// What happened to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct HistoryEvent {
    /// Unix seconds.
    pub(super) at: u64,
    /// The stage that it was at then.
    pub(super) stage: &'static str,
    pub(super) text: String,
}

/// All pools.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pools {
    pub(super) pools: Vec<Pool>,
}

/// A pool.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pool {
    /// A UUID.
    pub(super) id: String,
    /// Its number on chain.
    pub(super) pid: u64,
    pub(super) name: String,
    /// Name of its operator.
    pub(super) operator: Option<String>,
    pub(super) enabled: bool,
    pub(super) sync_only: bool,
    /// How many workers are in it.
    pub(super) workers: usize,
}

/// All operators.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Operators {
    pub(super) operators: Vec<Operator>,
}

/// Who signs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Operator {
    pub(super) name: String,
    /// Account of its key, hex.
    pub(super) account: String,
    /// On whose behalf it signs, hex.
    pub(super) proxied: Option<String>,
    /// The same as SS58 of Phala.
    pub(super) address: String,
    pub(super) proxied_address: Option<String>,
    /// `pid` of its pools.
    pub(super) pools: Vec<u64>,
    /// Planck; none where that is not known here.
    pub(super) fees_paid: Option<String>,
}

/// Some of the transactions, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Transactions {
    pub(super) paused: bool,
    pub(super) total: usize,
    pub(super) offset: usize,
    pub(super) limit: usize,
    pub(super) transactions: Vec<TransactionRow>,
}

/// Whether transactions are paused.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Paused {
    pub(super) paused: bool,
}

/// A command was taken; what comes of it is the worker's last message.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Taken {
    pub(super) ok: bool,
    /// The worker's name.
    pub(super) worker: String,
    pub(super) command: &'static str,
}

/// It was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Done {
    pub(super) ok: bool,
}

/// What became of each worker, in the order in which they were named.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Results {
    pub(super) results: Vec<BulkResult>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct BulkResult {
    /// As it was named.
    pub(super) id: String,
    pub(super) ok: bool,
    /// What was done, or why nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// A worker's tags.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tags {
    pub(super) tags: Vec<String>,
}

/// What an import did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Imported {
    /// Nothing was changed.
    pub(super) dry_run: bool,
    /// How many entries change something.
    pub(super) changed: usize,
    /// What each entry comes to, in the file's order, pools first.
    pub(super) entries: Vec<ImportedEntry>,
}

/// What an entry comes to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ImportedEntry {
    pub(super) changed: bool,
    pub(super) text: String,
}

/// What is logged.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LogFilter {
    pub(super) filter: String,
}
