//! Calls, batches, nonces and outcomes: what is decided about transactions.
//!
//! A job becomes a [`Part`] of a [`batch`], a batch becomes an extrinsic with a nonce of its [`lane`] and a
//! [`mortality`]; what a node says to it is a [`refusal`], what became of it is [`settle`](mod@settle)d from finalized blocks.

pub mod batch;
pub mod lane;
pub mod mortality;
pub mod refusal;
pub mod settle;

pub use batch::{Limits, Part, compose};
pub use lane::{Lane, LaneError, Live};
pub use mortality::{BadPeriod, Mortality, Period};
pub use refusal::{Refusal, Remedy};
pub use settle::{Fate, Seen, settle};

use crate::{
    id::{AccountId, PoolId, WorkerKey},
    types::message::{MessageOrigin, SignedMessage},
};
use codec::{Decode, Encode};

/// What to do on chain, apart from how a runtime numbers it. `prb-chain` encodes it by name against live metadata.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Call {
    /// `PhalaRegistry.register_worker`.
    RegisterWorker {
        /// Whose registration it is.
        worker: WorkerKey,
        /// SCALE `WorkerRegistrationInfo`, byte by byte as the worker gave it.
        runtime_info: Vec<u8>,
        /// SCALE `Attestation` (v1 call): `00` ‖ report ‖ signature ‖ certificate.
        attestation: Vec<u8>,
    },
    /// `PhalaRegistry.register_worker_v2`.
    RegisterWorkerV2 {
        /// Whose registration it is.
        worker: WorkerKey,
        /// SCALE `WorkerRegistrationInfoV2`, byte by byte as the worker gave it.
        runtime_info: Vec<u8>,
        /// SCALE `Option<AttestationReport>`.
        attestation: Vec<u8>,
    },
    /// `PhalaRegistry.update_worker_endpoint`. Not allowed through a stake-pool proxy; any signer may send it.
    UpdateEndpoint {
        /// Whose endpoint it is.
        worker: WorkerKey,
        /// SCALE `WorkerEndpointPayload`.
        payload: Vec<u8>,
        /// sr25519 signature of the worker, 64 bytes.
        signature: Vec<u8>,
    },
    /// `PhalaMq.sync_offchain_message`.
    SyncMessage(SignedMessage),
    /// `PhalaStakePoolv2.add_worker`.
    AddWorker {
        /// Pool.
        pool: PoolId,
        /// Worker.
        worker: WorkerKey,
    },
    /// `PhalaStakePoolv2.remove_worker`.
    RemoveWorker {
        /// Pool.
        pool: PoolId,
        /// Worker.
        worker: WorkerKey,
    },
    /// `PhalaStakePoolv2.start_computing`.
    StartComputing {
        /// Pool.
        pool: PoolId,
        /// Worker.
        worker: WorkerKey,
        /// Planck (10^-12 PHA).
        stake: u128,
    },
    /// `PhalaStakePoolv2.stop_computing`.
    StopComputing {
        /// Pool.
        pool: PoolId,
        /// Worker.
        worker: WorkerKey,
    },
    /// `PhalaStakePoolv2.reclaim_pool_worker`.
    ReclaimWorker {
        /// Pool.
        pool: PoolId,
        /// Worker.
        worker: WorkerKey,
    },
    /// `PhalaStakePoolv2.restart_computing`.
    RestartComputing {
        /// Pool.
        pool: PoolId,
        /// Worker.
        worker: WorkerKey,
        /// Planck, more than before.
        stake: u128,
    },
    /// `PhalaStakePoolv2.check_and_maybe_force_withdraw`.
    CheckWithdraw {
        /// Pool.
        pool: PoolId,
    },
    /// `PhalaComputation.unbind`.
    Unbind {
        /// Session account.
        session: AccountId,
    },
}

/// What a call is about: two calls with the same key must not be under way at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum CallKey {
    /// Registration of a worker.
    Register(WorkerKey),
    /// Endpoint of a worker.
    Endpoint(WorkerKey),
    /// One message of a sender.
    Message(MessageOrigin, u64),
    /// A worker's place in a pool or its session.
    Session(WorkerKey),
    /// Maintenance of a pool.
    Pool(PoolId),
    /// A session account.
    Unbind(AccountId),
}

impl Call {
    /// What it is about.
    pub fn key(&self) -> CallKey {
        match self {
            Self::RegisterWorker { worker, .. } | Self::RegisterWorkerV2 { worker, .. } => {
                CallKey::Register(*worker)
            }
            Self::UpdateEndpoint { worker, .. } => CallKey::Endpoint(*worker),
            Self::SyncMessage(signed) => CallKey::Message(signed.message.sender.clone(), signed.sequence),
            Self::AddWorker { worker, .. }
            | Self::RemoveWorker { worker, .. }
            | Self::StartComputing { worker, .. }
            | Self::StopComputing { worker, .. }
            | Self::ReclaimWorker { worker, .. }
            | Self::RestartComputing { worker, .. } => CallKey::Session(*worker),
            Self::CheckWithdraw { pool } => CallKey::Pool(*pool),
            Self::Unbind { session } => CallKey::Unbind(*session),
        }
    }

    /// Whether a stake-pool proxy (`StakePoolManager`) lets it through. What it does not let through is signed by
    /// the operator for itself.
    pub const fn through_proxy(&self) -> bool {
        !matches!(self, Self::UpdateEndpoint { .. })
    }

    /// Pallet and call, as the metadata names them.
    pub const fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::RegisterWorker { .. } => ("PhalaRegistry", "register_worker"),
            Self::RegisterWorkerV2 { .. } => ("PhalaRegistry", "register_worker_v2"),
            Self::UpdateEndpoint { .. } => ("PhalaRegistry", "update_worker_endpoint"),
            Self::SyncMessage(_) => ("PhalaMq", "sync_offchain_message"),
            Self::AddWorker { .. } => ("PhalaStakePoolv2", "add_worker"),
            Self::RemoveWorker { .. } => ("PhalaStakePoolv2", "remove_worker"),
            Self::StartComputing { .. } => ("PhalaStakePoolv2", "start_computing"),
            Self::StopComputing { .. } => ("PhalaStakePoolv2", "stop_computing"),
            Self::ReclaimWorker { .. } => ("PhalaStakePoolv2", "reclaim_pool_worker"),
            Self::RestartComputing { .. } => ("PhalaStakePoolv2", "restart_computing"),
            Self::CheckWithdraw { .. } => ("PhalaStakePoolv2", "check_and_maybe_force_withdraw"),
            Self::Unbind { .. } => ("PhalaComputation", "unbind"),
        }
    }
}
