//! A worker's status as PRB v3 writes it, for whoever asks (`GET /workers/status`) and for whom it is posted to.

use super::WorkerView;
use crate::{inventory::WorkerRecord, queue::utc, roster::Unfit};
use prb_core::{
    lifecycle::Stage,
    pipeline::WorkerStatus as Seen,
    port::{
        WorkerInfo,
        worker::{Gatekeeper, GatekeeperRole},
    },
    types::facts::{Session, SessionState},
};
use serde::Serialize;
use serde_json::{Value, json};

/// A worker with everything that is known of it.
#[derive(Debug, Serialize)]
pub struct WorkerStatus {
    worker: WorkerView,
    state: State,
    phactory_info: Option<PhactoryInfo>,
    last_message: String,
    session_info: Option<SessionInfo>,
}

/// A worker's state by its name in v3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum State {
    /// It is not reached yet.
    Starting,
    /// It is behind.
    Synchronizing,
    /// It is registered, added to its pool and started.
    Preparing,
    /// It computes.
    Working,
    /// It is a gatekeeper.
    GatekeeperWorking,
    /// Nothing is sent to it.
    Disabled,
    /// It does not get on, for this reason.
    HasError(String),
}

impl WorkerStatus {
    /// Of a worker of the inventory; `seen` where it runs, `unfit` where it is not at work as the inventory says.
    pub fn of(record: &WorkerRecord, seen: Option<&Seen>, unfit: Option<&Unfit>) -> Self {
        let session = seen.and_then(|seen| seen.facts.as_ref()?.session.as_ref());
        Self {
            worker: WorkerView::of(record),
            state: State::of(record, seen, unfit),
            phactory_info: seen.and_then(|seen| seen.info.as_ref()).map(PhactoryInfo::of),
            last_message: last_message(seen),
            session_info: session.map(SessionInfo::of),
        }
    }
}

impl State {
    /// Likewise.
    pub fn of(record: &WorkerRecord, seen: Option<&Seen>, unfit: Option<&Unfit>) -> Self {
        let stage = seen.map(|seen| seen.stage);
        if !record.enabled || stage == Some(Stage::Disabled) {
            return Self::Disabled;
        }
        let trouble = unfit.map(|unfit| &unfit.why).or_else(|| seen?.trouble.as_ref());
        if let Some(trouble) = trouble {
            return Self::HasError(trouble.clone());
        }
        match stage {
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

/// A worker's last message as `[05-30 07:01:02] text`, UTC; empty where there is none.
pub fn last_message(seen: Option<&Seen>) -> String {
    let message = seen.and_then(|seen| seen.last_message.as_ref());
    message.map(|message| format!("[{}] {}", month_and_day(message.at), message.text)).unwrap_or_default()
}

/// A time in milliseconds since 1970 as `05-30 07:01:02`.
fn month_and_day(milliseconds: u64) -> String {
    let text = utc(milliseconds);
    let date = text.split_once('-').map_or("", |(_, rest)| rest);
    date.trim_end_matches('Z').replacen('T', " ", 1)
}

/// Everything a worker says of itself, by the names of its own protocol.
pub(crate) fn said(info: &WorkerInfo) -> Value {
    json!(PhactoryInfo::of(info))
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
pub(crate) const fn session_state(state: SessionState) -> &'static str {
    match state {
        SessionState::Ready => "Ready",
        SessionState::WorkerIdle => "WorkerIdle",
        SessionState::Active => "_Unused",
        SessionState::WorkerUnresponsive => "WorkerUnresponsive",
        SessionState::WorkerCoolingDown => "WorkerCoolingDown",
    }
}

#[cfg(test)]
pub(crate) mod tests;
