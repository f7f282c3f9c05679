//! Computation sessions and the parameters of the economy.

use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// State of a computation session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
pub enum WorkerState {
    /// Bound, not computing.
    #[codec(index = 0)]
    Ready,
    /// Computing.
    #[codec(index = 1)]
    WorkerIdle,
    /// Retired.
    #[codec(index = 2)]
    WorkerActive,
    /// Computing, but heartbeats are missing.
    #[codec(index = 3)]
    WorkerUnresponsive,
    /// Stopped; the stake is locked until the cool-down ends.
    #[codec(index = 4)]
    WorkerCoolingDown,
}

impl WorkerState {
    /// Whether the session computes.
    pub fn is_computing(self) -> bool {
        matches!(self, Self::WorkerIdle | Self::WorkerUnresponsive)
    }
}

/// Performance of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Benchmark {
    /// Score at start.
    pub p_init: u32,
    /// Score of the last heartbeat interval.
    pub p_instant: u32,
    /// Iterations at the last heartbeat.
    pub iterations: u64,
    /// Unix seconds of the start.
    pub working_start_time: u64,
    /// Unix seconds of the last answered challenge.
    pub challenge_time_last: u64,
}

/// Earnings of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct SessionStats {
    /// In planck.
    pub total_reward: u128,
}

/// A computation session (`PhalaComputation.Sessions`), 97 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct SessionInfo {
    /// State.
    pub state: WorkerState,
    /// Value at start, U64F64 bits.
    pub ve: u128,
    /// Value now, U64F64 bits.
    pub v: u128,
    /// Unix seconds.
    pub v_updated_at: u64,
    /// Performance.
    pub benchmark: Benchmark,
    /// Unix seconds; 0 when not cooling down.
    pub cool_down_start: u64,
    /// Earnings.
    pub stats: SessionStats,
}

/// The parameters of the economy (`PhalaComputation.TokenomicParameters`). All `u128` are U64F64 bits.
#[allow(missing_docs, reason = "the names are those of the tokenomic model, which defines them")]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct TokenomicParams {
    pub pha_rate: u128,
    pub rho: u128,
    pub budget_per_block: u128,
    pub v_max: u128,
    pub cost_k: u128,
    pub cost_b: u128,
    pub slash_rate: u128,
    pub treasury_ratio: u128,
    pub heartbeat_window: u32,
    pub rig_k: u128,
    pub rig_b: u128,
    pub re: u128,
    pub k: u128,
    pub kappa: u128,
}
