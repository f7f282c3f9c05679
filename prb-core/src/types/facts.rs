//! What the parachain's storage says about workers, sessions and accounts.
//!
//! Decoders read the fields they need from the start and ignore trailing bytes, so a runtime that appends
//! fields is understood.

use super::attestation::AttestationProvider;
use crate::id::{AccountId, WorkerKey};
use codec::{Decode, Encode};

/// `PhalaRegistry.Workers` (`phala_types::WorkerInfoV2`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerEntry {
    /// Identity key.
    pub pubkey: WorkerKey,
    /// Key for key agreement.
    pub ecdh_pubkey: [u8; 32],
    /// Version at registration.
    pub runtime_version: u32,
    /// Unix seconds.
    pub last_updated: u64,
    /// Who may add it to a pool.
    pub operator: Option<AccountId>,
    /// Who vouched for it.
    pub attestation_provider: Option<AttestationProvider>,
    /// 1 (best) to 5, 128 for none.
    pub confidence_level: u8,
    /// Benchmark result, none until the first.
    pub initial_score: Option<u32>,
}

/// State of a computing session (`pallet_phala::compute::computation::WorkerState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SessionState {
    /// Bound to a pool, not computing.
    #[codec(index = 0)]
    Ready,
    /// Computing.
    #[codec(index = 1)]
    WorkerIdle,
    /// Not used by the chain.
    #[codec(index = 2)]
    Active,
    /// Computing, but silent.
    #[codec(index = 3)]
    WorkerUnresponsive,
    /// Stopped, stake locked until the cool-down has passed.
    #[codec(index = 4)]
    WorkerCoolingDown,
}

/// `PhalaComputation.Sessions`, its first fields.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    /// What it is doing.
    pub state: SessionState,
    /// Initial value, U64F64 bits.
    pub ve: u128,
    /// Current value, U64F64 bits.
    pub v: u128,
    /// Unix seconds of the last update of `v`.
    pub v_updated_at: u64,
    /// Score at start.
    pub p_init: u32,
    /// Score lately.
    pub p_instant: u32,
    /// Iterations reported.
    pub iterations: u64,
    /// Unix seconds.
    pub working_start_time: u64,
    /// Unix seconds.
    pub challenge_time_last: u64,
    /// Unix seconds.
    pub cool_down_start: u64,
    /// Planck.
    pub total_reward: u128,
}

/// `System.Account`, its fields.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AccountInfo {
    /// Next nonce.
    pub nonce: u32,
    /// Reference counts.
    pub consumers: u32,
    /// Reference counts.
    pub providers: u32,
    /// Reference counts.
    pub sufficients: u32,
    /// Spendable planck, locks aside.
    pub free: u128,
    /// Reserved planck.
    pub reserved: u128,
    /// Frozen part of `free`, planck.
    pub frozen: u128,
    /// Flags.
    pub flags: u128,
}
