//! What an operator may tell a worker to do, and whether that can be done now.

use crate::{
    id::{PoolId, WorkerKey},
    lifecycle::{Facts, Goal},
    moment::utc,
    port::WorkerInfo,
    tx::Call,
    types::facts::SessionState,
};

/// Something to do once for a worker, besides what its goal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Forget failures, pauses and what commands stopped, and ask the worker anew.
    Restart,
    /// Register it with a fresh attestation, whatever its stage.
    Register,
    /// Let it sign these endpoints and publish them on chain.
    PublishEndpoints(Vec<String>),
    /// Let it write a checkpoint.
    TakeCheckpoint,
    /// Stop computing. The stake stays locked for the cool-down; then it is reclaimed, and the worker stays idle until
    /// it is restarted, its goal changes or the bridge is started again. To keep it out for good, change its goal.
    StopComputing,
    /// Remove it from its pool. It stays out as after [`Self::StopComputing`].
    RemoveFromPool,
    /// Reclaim the stake of a stopped worker whose cool-down is over.
    Reclaim,
    /// End the worker's process. Whatever looks after the worker starts it again.
    StopWorker {
        /// Begin from nothing then.
        remove_checkpoints: bool,
    },
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Nothing is asked of anybody.
    BeginAnew,
    /// Attestation of the worker, then a registration.
    Register,
    /// Signature of the worker, then a publication.
    Publish(Vec<String>),
    /// `TakeCheckpoint`.
    Checkpoint,
    /// `Stop`.
    StopWorker {
        /// Without its checkpoints.
        remove_checkpoints: bool,
    },
    /// A transaction.
    Submit(Call),
}

/// Why a command cannot be carried out now. No fee is paid for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotCommand {
    /// The operator switched it off.
    #[error("the worker is disabled; enable it first")]
    Disabled,
    /// It is not reachable.
    #[error("the worker is not reachable; see that it runs, and give the command again")]
    Away,
    /// It has no runtime.
    #[error("the worker is not initialised yet; wait until it has been")]
    NotInitialized,
    /// Nobody has seen its key.
    #[error("the worker's key is not known, for it was not reachable since this program started")]
    NoKey,
    /// It came back with another key while the command was carried out.
    #[error("the worker has another key than before; command it again once it is registered with that")]
    OtherKey,
    /// The chain does not know it.
    #[error("the worker is not registered; register it first")]
    NotRegistered,
    /// It is in no pool, or in another one.
    #[error(
        "the worker is not in pool {0}; wait until it has been added, or correct its pool in the inventory"
    )]
    NotInPool(PoolId),
    /// There is nothing to stop.
    #[error("the worker does not compute, so there is nothing to stop")]
    NotComputing,
    /// A pool keeps what computes or cools down.
    #[error("the worker computes or cools down; stop it, and remove it when its stake was reclaimed")]
    NotIdle,
    /// There is nothing to reclaim.
    #[error("the worker is not cooling down, so there is nothing to reclaim")]
    NotCoolingDown,
    /// Its stake is locked still.
    #[error("the worker's stake is locked until {}; give the command again then", utc(*until))]
    StillLocked {
        /// Unix seconds.
        until: u64,
    },
    /// There is nothing to publish, or too much.
    #[error("give 1 to {MAX_ENDPOINTS} endpoints of at most {MAX_ENDPOINT_BYTES} bytes each")]
    BadEndpoints,
}

/// Most endpoints of a worker.
pub const MAX_ENDPOINTS: usize = 16;

/// Longest endpoint, bytes.
pub const MAX_ENDPOINT_BYTES: usize = 512;

impl Command {
    /// Its name in status, logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Register => "register",
            Self::PublishEndpoints(_) => "publish endpoints",
            Self::TakeCheckpoint => "take checkpoint",
            Self::StopComputing => "stop computing",
            Self::RemoveFromPool => "remove from pool",
            Self::Reclaim => "reclaim",
            Self::StopWorker { .. } => "stop worker",
        }
    }

    /// Whether it comes to a transaction, so that no other call about the worker may be under way.
    pub const fn is_transaction(&self) -> bool {
        matches!(
            self,
            Self::Register
                | Self::PublishEndpoints(_)
                | Self::StopComputing
                | Self::RemoveFromPool
                | Self::Reclaim
        )
    }

    /// Whether it is judged by the chain.
    pub const fn needs_facts(&self) -> bool {
        matches!(self, Self::PublishEndpoints(_) | Self::StopComputing | Self::RemoveFromPool | Self::Reclaim)
    }

    /// Whether, once done, the worker is not to be put to work again unasked.
    pub const fn halts(&self) -> bool {
        matches!(self, Self::StopComputing | Self::RemoveFromPool)
    }

    /// What it comes to. `info` are the worker's words, none while it is away; `key` is its key, as far as it was ever
    /// seen; `facts` are wanted where [`Self::needs_facts`].
    pub fn errand(
        &self,
        goal: &Goal,
        info: Option<&WorkerInfo>,
        key: Option<WorkerKey>,
        facts: &Facts,
    ) -> Result<Errand, CannotCommand> {
        let pool = goal.pool;
        let in_pool = || {
            let worker = key.ok_or(CannotCommand::NoKey)?;
            match facts.assignment {
                Some(assigned) if assigned == pool => Ok(worker),
                _ => Err(CannotCommand::NotInPool(pool)),
            }
        };
        let reachable = || match info {
            _ if goal.disabled => Err(CannotCommand::Disabled),
            None => Err(CannotCommand::Away),
            Some(info) => Ok(info),
        };
        let ready = || match reachable()?.initialized {
            true => Ok(()),
            false => Err(CannotCommand::NotInitialized),
        };
        match self {
            Self::Restart => Ok(Errand::BeginAnew),
            Self::Register => ready().map(|()| Errand::Register),
            Self::PublishEndpoints(endpoints) => {
                let fits = |endpoint: &String| (1..=MAX_ENDPOINT_BYTES).contains(&endpoint.len());
                if !(1..=MAX_ENDPOINTS).contains(&endpoints.len()) || !endpoints.iter().all(fits) {
                    return Err(CannotCommand::BadEndpoints);
                }
                ready()?;
                match facts.entry {
                    Some(_) => Ok(Errand::Publish(endpoints.clone())),
                    None => Err(CannotCommand::NotRegistered),
                }
            }
            Self::TakeCheckpoint => ready().map(|()| Errand::Checkpoint),
            Self::StopWorker { remove_checkpoints } => {
                reachable().map(|_| Errand::StopWorker { remove_checkpoints: *remove_checkpoints })
            }
            Self::StopComputing => {
                let worker = in_pool()?;
                match facts.is_computing() {
                    true => Ok(Errand::Submit(Call::StopComputing { pool, worker })),
                    false => Err(CannotCommand::NotComputing),
                }
            }
            Self::RemoveFromPool => {
                let worker = in_pool()?;
                match facts.state() {
                    None | Some(SessionState::Ready) => {
                        Ok(Errand::Submit(Call::RemoveWorker { pool, worker }))
                    }
                    Some(_) => Err(CannotCommand::NotIdle),
                }
            }
            Self::Reclaim => {
                let worker = in_pool()?;
                match facts.cool_down_end() {
                    None if facts.state() != Some(SessionState::WorkerCoolingDown) => {
                        Err(CannotCommand::NotCoolingDown)
                    }
                    Some(until) if facts.now < until => Err(CannotCommand::StillLocked { until }),
                    _ => Ok(Errand::Submit(Call::ReclaimWorker { pool, worker })),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
