//! A worker's status as PRB v3 writes it.

use crate::{inventory::WorkerRecord, queue::utc, roster::Unfit, v3::WorkerView};
use prb_core::{
    lifecycle::Stage,
    pipeline::{Message, WorkerStatus as Seen},
    port::{
        WorkerInfo,
        worker::{Gatekeeper, GatekeeperRole},
    },
    types::facts::{Session, SessionState},
};
use serde::Serialize;
use serde_json::{Value, json};

/// The object that v3's webhook posts.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerStatus {
    worker: WorkerView,
    state: State,
    phactory_info: Option<Value>,
    last_message: String,
    session_info: Option<SessionInfo>,
}

/// A worker's state by its name in v3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) enum State {
    Starting,
    Synchronizing,
    Preparing,
    Working,
    GatekeeperWorking,
    Disabled,
    HasError(String),
}

/// Some of its values are larger than JSON numbers usually are, and written as such.
#[derive(Clone, Debug, Serialize)]
struct SessionInfo {
    state: &'static str,
    ve: u128,
    v: u128,
    v_updated_at: u64,
    benchmark: Value,
    cool_down_start: u64,
    stats: Stats,
}

#[derive(Clone, Debug, Serialize)]
struct Stats {
    total_reward: u128,
}

impl WorkerStatus {
    /// Of a worker of the inventory that runs.
    pub fn of(record: &WorkerRecord, seen: &Seen, unfit: Option<&Unfit>) -> Self {
        let session = seen.facts.as_ref().and_then(|facts| facts.session.as_ref());
        Self {
            worker: WorkerView::of(record),
            state: State::of(record, seen, unfit),
            phactory_info: seen.info.as_ref().map(phactory_info),
            last_message: seen.last_message.as_ref().map(last_message).unwrap_or_default(),
            session_info: session.map(SessionInfo::of),
        }
    }
}

impl State {
    pub(super) fn of(record: &WorkerRecord, seen: &Seen, unfit: Option<&Unfit>) -> Self {
        let trouble = unfit.map(|unfit| &unfit.why).or(seen.trouble.as_ref());
        match (seen.stage, trouble) {
            (Stage::Disabled, _) => Self::Disabled,
            _ if !record.enabled => Self::Disabled,
            (_, Some(why)) => Self::HasError(why.clone()),
            (Stage::Starting, _) => Self::Starting,
            (Stage::Initializing | Stage::Syncing | Stage::SyncOnly, _) => Self::Synchronizing,
            (
                Stage::Registering | Stage::AwaitingScore | Stage::JoiningPool | Stage::StartingComputing,
                _,
            ) => Self::Preparing,
            // Whatever its session is, v3 calls it that; the session tells.
            (Stage::Working | Stage::Unresponsive | Stage::CoolingDown, _) => Self::Working,
            (Stage::Gatekeeper, _) => Self::GatekeeperWorking,
            (Stage::InAnotherPool, _) => {
                Self::HasError("the worker is in another pool; remove it there".to_owned())
            }
        }
    }
}

/// `[05-30 07:01:02] text`, UTC.
pub(super) fn last_message(message: &Message) -> String {
    let time = utc(message.at);
    let day = time.split_once('-').map_or("", |(_, rest)| rest);
    format!("[{}] {}", day.trim_end_matches('Z').replacen('T', " ", 1), message.text)
}

fn phactory_info(info: &WorkerInfo) -> Value {
    let key = info.public_key.map(|key| hex::encode(key.0));
    let ecdh_key = info.ecdh_public_key.map(hex::encode);
    let gatekeeper = gatekeeper(&info.gatekeeper);
    let memory = &info.memory;
    let system = json!({
        "registered": info.registered,
        "public_key": key.clone().unwrap_or_default(),
        "ecdh_public_key": ecdh_key.clone().unwrap_or_default(),
        "gatekeeper": gatekeeper,
        "number_of_clusters": info.clusters,
        "number_of_contracts": info.contracts,
        "max_supported_consensus_version": info.max_consensus_version,
        "genesis_block": info.genesis_block.0,
    });
    json!({
        "initialized": info.initialized,
        "registered": info.registered,
        "genesis_block_hash": info.genesis_block_hash.map(|hash| hex::encode(hash.0)),
        "public_key": key,
        "ecdh_public_key": ecdh_key,
        "headernum": info.headernum.0,
        "para_headernum": info.para_headernum.0,
        "blocknum": info.blocknum.0,
        "state_root": info.state_root.map(|root| hex::encode(root.0)).unwrap_or_default(),
        "dev_mode": info.dev_mode,
        "pending_messages": info.pending_messages,
        "score": info.score,
        "gatekeeper": gatekeeper,
        "version": info.version,
        "git_revision": info.git_revision,
        "memory_usage": {
            "rust_used": memory.used,
            "rust_peak_used": memory.peak,
            "total_peak_used": memory.process_peak,
            "free": memory.free,
            "rust_spike": memory.spike,
        },
        "waiting_for_paraheaders": info.waiting_for_paraheaders,
        // A worker without a runtime has none.
        "system": info.initialized.then_some(system),
        "can_load_chain_state": info.can_load_chain_state,
        "safe_mode_level": info.safe_mode_level,
        "current_block_time": info.current_block_time,
        "max_supported_pink_runtime_version": info.max_pink_runtime,
        "supported_attestation_methods": info.supported_attestation_methods,
        "live_sidevm_instances": info.live_sidevms,
        "query_timeout": info.query_timeout,
    })
}

fn gatekeeper(gatekeeper: &Gatekeeper) -> Value {
    let role = match gatekeeper.role {
        GatekeeperRole::None => 0,
        GatekeeperRole::Dummy => 1,
        GatekeeperRole::Active => 2,
    };
    json!({ "role": role, "master_public_key": gatekeeper.master_key.map(hex::encode).unwrap_or_default() })
}

impl SessionInfo {
    fn of(session: &Session) -> Self {
        Self {
            state: match session.state {
                SessionState::Ready => "Ready",
                SessionState::WorkerIdle => "WorkerIdle",
                SessionState::Active => "_Unused",
                SessionState::WorkerUnresponsive => "WorkerUnresponsive",
                SessionState::WorkerCoolingDown => "WorkerCoolingDown",
            },
            ve: session.ve,
            v: session.v,
            v_updated_at: session.v_updated_at,
            benchmark: json!({
                "p_init": session.p_init,
                "p_instant": session.p_instant,
                "iterations": session.iterations,
                "working_start_time": session.working_start_time,
                "challenge_time_last": session.challenge_time_last,
            }),
            cool_down_start: session.cool_down_start,
            stats: Stats { total_reward: session.total_reward },
        }
    }
}
