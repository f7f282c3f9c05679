//! What topics carry (`phala-types::messaging`).

use super::WorkerPublicKey;
use codec::{Decode, Encode};
use sp_core::U256;

/// Topic of [`SystemEvent`].
pub const SYSTEM_EVENT_TOPIC: &[u8] = b"phala/system/event";
/// Topic of [`RegistryEvent`].
pub const REGISTRY_EVENT_TOPIC: &[u8] = b"^phala/registry/event";
/// Topic of [`WorkingReportEvent`].
pub const WORKING_REPORT_TOPIC: &[u8] = b"phala/mining/report";
/// Topic of [`WorkingInfoUpdateEvent`].
pub const WORKING_UPDATE_TOPIC: &[u8] = b"^phala/mining/update";

/// Chain to worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SystemEvent {
    /// To one worker.
    #[codec(index = 0)]
    WorkerEvent {
        /// The addressee.
        pubkey: WorkerPublicKey,
        /// What happened to it.
        event: WorkerEvent,
    },
    /// To every worker whose key falls under the target.
    #[codec(index = 1)]
    HeartbeatChallenge {
        /// Random.
        seed: U256,
        /// Workers with `blake2_256(key) xor seed <= online_target` answer.
        online_target: U256,
    },
}

/// What happened to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WorkerEvent {
    /// It was registered.
    #[codec(index = 0)]
    Registered {
        /// Its confidence level.
        confidence_level: u8,
    },
    /// It shall measure its speed.
    #[codec(index = 1)]
    BenchStart {
        /// Blocks to measure.
        duration: u32,
    },
    /// Its score.
    #[codec(index = 2)]
    BenchScore(u32),
    /// Its session began computing.
    #[codec(index = 3)]
    Started {
        /// Number of the session.
        session_id: u32,
        /// Initial value, U64F64 bits.
        init_v: u128,
        /// Initial score.
        init_p: u32,
    },
    /// Its session stopped.
    #[codec(index = 4)]
    Stopped,
    /// It missed heartbeats.
    #[codec(index = 5)]
    EnterUnresponsive,
    /// It is back.
    #[codec(index = 6)]
    ExitUnresponsive,
}

/// Worker to registry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RegistryEvent {
    /// A finished benchmark.
    #[codec(index = 0)]
    BenchReport {
        /// Chain time of its start, in milliseconds.
        start_time: u64,
        /// Iterations since.
        iterations: u64,
    },
    /// The first gatekeeper's master key.
    #[codec(index = 1)]
    MasterPubkey {
        /// The key.
        master_pubkey: WorkerPublicKey,
    },
}

/// Worker to computation pallet and gatekeepers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WorkingReportEvent {
    /// Answer to a challenge, first generation.
    #[codec(index = 0)]
    Heartbeat {
        /// Number of the session.
        session_id: u32,
        /// Block of the challenge.
        challenge_block: u32,
        /// Chain time of that block, in milliseconds.
        challenge_time: u64,
        /// Iterations since the session started computing.
        iterations: u64,
    },
    /// Answer to a challenge, second generation.
    #[codec(index = 1)]
    HeartbeatV2 {
        /// Number of the session.
        session_id: u32,
        /// Block of the challenge.
        challenge_block: u32,
        /// Chain time of that block, in milliseconds.
        challenge_time: u64,
        /// Iterations since the session started computing.
        iterations: u64,
        /// Clusters the worker serves.
        n_clusters: u32,
        /// Contracts the worker runs.
        n_contracts: u32,
    },
}

/// Gatekeeper to computation pallet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkingInfoUpdateEvent {
    /// Block the report is about.
    pub block_number: u32,
    /// Its time, in milliseconds.
    pub timestamp_ms: u64,
    /// Workers that went offline.
    pub offline: Vec<WorkerPublicKey>,
    /// Workers that came back.
    pub recovered_to_online: Vec<WorkerPublicKey>,
    /// Rewards.
    pub settle: Vec<SettleInfo>,
}

/// Reward of one worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SettleInfo {
    /// The worker.
    pub pubkey: WorkerPublicKey,
    /// New value, U64F64 bits.
    pub v: u128,
    /// Payout, U64F64 bits of tokens.
    pub payout: u128,
    /// Treasury part, U64F64 bits of tokens.
    pub treasury: u128,
}
