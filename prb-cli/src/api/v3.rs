//! What PRB v3 answers, to the letter: names of fields, forms of states and numbers.

use super::{
    fleet::{Fleet, Row},
    times::{month_and_day, rfc3339},
};
use crate::v3::WorkerView;
use prb_chain::journal::{Entry, Stand};
use prb_core::{
    id::JobId,
    lifecycle::Stage,
    port::{
        WorkerInfo,
        worker::{Gatekeeper, GatekeeperRole},
    },
    types::facts::{Session, SessionState},
};
use serde::Serialize;

/// Ended transactions that are listed; the journal keeps more, which `prb tx list` shows.
const PAST: usize = 1000;

/// `GET /workers/status`.
#[derive(Debug, Serialize)]
pub(super) struct WorkersStatus {
    workers: Vec<WorkerStatus>,
}

#[derive(Debug, Serialize)]
struct WorkerStatus {
    worker: WorkerView,
    state: State,
    phactory_info: Option<PhactoryInfo>,
    last_message: String,
    session_info: Option<SessionInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum State {
    Starting,
    Synchronizing,
    Preparing,
    Working,
    GatekeeperWorking,
    Disabled,
    HasError(String),
}

impl State {
    fn of(row: Row<'_>) -> Self {
        if !row.record.enabled {
            return Self::Disabled;
        }
        if let Some(trouble) = row.trouble() {
            return Self::HasError(trouble.to_owned());
        }
        match row.status.map(|status| status.stage) {
            Some(Stage::Disabled) => Self::Disabled,
            None | Some(Stage::Starting) => Self::Starting,
            Some(Stage::Initializing | Stage::Syncing | Stage::SyncOnly) => Self::Synchronizing,
            Some(
                Stage::Registering | Stage::AwaitingScore | Stage::JoiningPool | Stage::StartingComputing,
            ) => Self::Preparing,
            // Whatever its session is, v3 calls it that; the session tells.
            Some(Stage::Working | Stage::Unresponsive | Stage::CoolingDown) => Self::Working,
            Some(Stage::Gatekeeper) => Self::GatekeeperWorking,
            Some(Stage::InAnotherPool) => {
                Self::HasError("the worker is in another pool; remove it there".to_owned())
            }
        }
    }
}

impl WorkersStatus {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self { workers: fleet.rows().map(WorkerStatus::of).collect() }
    }
}

impl WorkerStatus {
    fn of(row: Row<'_>) -> Self {
        let status = row.status;
        let message = status.and_then(|status| status.last_message.as_ref());
        let session = status.and_then(|status| status.facts.as_ref()?.session.as_ref());
        Self {
            worker: WorkerView::of(row.record),
            state: State::of(row),
            phactory_info: status.and_then(|status| status.info.as_ref()).map(PhactoryInfo::of),
            last_message: message
                .map(|message| format!("[{}] {}", month_and_day(message.at), message.text))
                .unwrap_or_default(),
            session_info: session.map(SessionInfo::of),
        }
    }
}

#[derive(Debug, Serialize)]
struct PhactoryInfo {
    initialized: bool,
    registered: bool,
    genesis_block_hash: Option<String>,
    public_key: Option<String>,
    ecdh_public_key: Option<String>,
    headernum: u32,
    para_headernum: u32,
    blocknum: u32,
    state_root: String,
    dev_mode: bool,
    pending_messages: u64,
    score: u64,
    gatekeeper: GatekeeperStatus,
    version: String,
    git_revision: String,
    memory_usage: MemoryUsage,
    waiting_for_paraheaders: bool,
    system: Option<SystemInfo>,
    can_load_chain_state: bool,
    safe_mode_level: u32,
    current_block_time: u64,
    max_supported_pink_runtime_version: String,
    supported_attestation_methods: Vec<String>,
    live_sidevm_instances: u32,
    query_timeout: u32,
}

#[derive(Clone, Debug, Serialize)]
struct GatekeeperStatus {
    role: u8,
    master_public_key: String,
}

#[derive(Debug, Serialize)]
struct MemoryUsage {
    rust_used: u64,
    rust_peak_used: u64,
    total_peak_used: u64,
    free: u64,
    rust_spike: u64,
}

#[derive(Debug, Serialize)]
struct SystemInfo {
    registered: bool,
    public_key: String,
    ecdh_public_key: String,
    gatekeeper: GatekeeperStatus,
    number_of_clusters: u64,
    number_of_contracts: u64,
    max_supported_consensus_version: u32,
    genesis_block: u32,
}

impl PhactoryInfo {
    fn of(info: &WorkerInfo) -> Self {
        let public_key = info.public_key.map(|key| hex::encode(key.0));
        let ecdh_public_key = info.ecdh_public_key.map(hex::encode);
        let gatekeeper = GatekeeperStatus::of(&info.gatekeeper);
        let memory = &info.memory;
        Self {
            initialized: info.initialized,
            registered: info.registered,
            genesis_block_hash: info.genesis_block_hash.map(|hash| hex::encode(hash.0)),
            headernum: info.headernum.0,
            para_headernum: info.para_headernum.0,
            blocknum: info.blocknum.0,
            state_root: info.state_root.map(|root| hex::encode(root.0)).unwrap_or_default(),
            dev_mode: info.dev_mode,
            pending_messages: info.pending_messages,
            score: info.score,
            gatekeeper: gatekeeper.clone(),
            version: info.version.clone(),
            git_revision: info.git_revision.clone(),
            memory_usage: MemoryUsage {
                rust_used: memory.used,
                rust_peak_used: memory.peak,
                total_peak_used: memory.process_peak,
                free: memory.free,
                rust_spike: memory.spike,
            },
            waiting_for_paraheaders: info.waiting_for_paraheaders,
            // A worker without a runtime has none.
            system: info.initialized.then(|| SystemInfo {
                registered: info.registered,
                public_key: public_key.clone().unwrap_or_default(),
                ecdh_public_key: ecdh_public_key.clone().unwrap_or_default(),
                gatekeeper,
                number_of_clusters: info.clusters,
                number_of_contracts: info.contracts,
                max_supported_consensus_version: info.max_consensus_version,
                genesis_block: info.genesis_block.0,
            }),
            public_key,
            ecdh_public_key,
            can_load_chain_state: info.can_load_chain_state,
            safe_mode_level: info.safe_mode_level,
            current_block_time: info.current_block_time,
            max_supported_pink_runtime_version: info.max_pink_runtime.clone(),
            supported_attestation_methods: info.supported_attestation_methods.clone(),
            live_sidevm_instances: info.live_sidevms,
            query_timeout: info.query_timeout,
        }
    }
}

impl GatekeeperStatus {
    fn of(gatekeeper: &Gatekeeper) -> Self {
        let role = match gatekeeper.role {
            GatekeeperRole::None => 0,
            GatekeeperRole::Dummy => 1,
            GatekeeperRole::Active => 2,
        };
        Self { role, master_public_key: gatekeeper.master_key.map(hex::encode).unwrap_or_default() }
    }
}

#[derive(Debug, Serialize)]
struct SessionInfo {
    state: &'static str,
    ve: u128,
    v: u128,
    v_updated_at: u64,
    benchmark: Benchmark,
    cool_down_start: u64,
    stats: Stats,
}

#[derive(Debug, Serialize)]
struct Benchmark {
    p_init: u32,
    p_instant: u32,
    iterations: u64,
    working_start_time: u64,
    challenge_time_last: u64,
}

#[derive(Debug, Serialize)]
struct Stats {
    total_reward: u128,
}

impl SessionInfo {
    fn of(session: &Session) -> Self {
        Self {
            state: session_state(session.state),
            ve: session.ve,
            v: session.v,
            v_updated_at: session.v_updated_at,
            benchmark: Benchmark {
                p_init: session.p_init,
                p_instant: session.p_instant,
                iterations: session.iterations,
                working_start_time: session.working_start_time,
                challenge_time_last: session.challenge_time_last,
            },
            cool_down_start: session.cool_down_start,
            stats: Stats { total_reward: session.total_reward },
        }
    }
}

/// Its name on chain.
pub(super) const fn session_state(state: SessionState) -> &'static str {
    match state {
        SessionState::Ready => "Ready",
        SessionState::WorkerIdle => "WorkerIdle",
        SessionState::Active => "_Unused",
        SessionState::WorkerUnresponsive => "WorkerUnresponsive",
        SessionState::WorkerCoolingDown => "WorkerCoolingDown",
    }
}

/// `GET /tx/status`.
#[derive(Debug, Serialize)]
pub(super) struct TxStatus {
    tx_count: usize,
    running_txs: Vec<Tx>,
    pending_txs: Vec<Tx>,
    past_txs: Vec<Tx>,
}

#[derive(Debug, Serialize)]
struct Tx {
    id: u64,
    state: TxState,
    desc: String,
    pid: u64,
    created_at: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
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
