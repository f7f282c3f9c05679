//! What peers ask of a lifecycle manager and have done by it: pools, workers and how those are, as in PRB v2.
//!
//! The methods and their messages are v2's, so its monitor and scripts made for it work; what they come to is changes of
//! the inventory and commands of the bridge, as over the API. Everything in one call is done, or nothing is.

mod act;
mod error;
mod pools;
mod state;
mod workers;

use self::error::ManageError;
use crate::{
    deployment::Deployment,
    identity::Keyring,
    inventory::{Inventory, Snapshot},
};
use prb_core::command::Command;
use prb_p2p::{
    message::{CreatePool, CreateWorker, ResponseError, UpdatePool, UpdateWorker, UuidQueryRequest},
    method::Method,
};
use prost::{Message, bytes::Bytes};
use std::sync::Arc;

/// Whether a peer may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// It may look.
    Look,
    /// It may look and change.
    Manage,
}

impl Permission {
    /// That of a peer: one on this machine where those may, one that the configuration lists, or any if it says so.
    pub(crate) const fn of(is_local: bool, is_listed: bool, allow_unauthenticated: bool) -> Self {
        if is_local || is_listed || allow_unauthenticated { Self::Manage } else { Self::Look }
    }

    /// Whether it is enough for this method.
    const fn covers(self, method: Method) -> bool {
        matches!(self, Self::Manage) || !method.manages()
    }
}

/// What is managed.
pub(crate) enum Management {
    /// Everything of a deployment that runs.
    Running(Arc<Deployment>),
    /// Records only: nothing runs.
    Resting {
        /// What has them.
        inventory: Inventory,
        /// Seals secrets of operators.
        keyring: Arc<Keyring>,
    },
}

impl Management {
    /// Does what the peer with this id asks, if it may have it done.
    pub(crate) async fn answer(
        &self,
        peer: &str,
        permission: Permission,
        method: Method,
        data: Bytes,
    ) -> Result<Bytes, ResponseError> {
        let answered = match permission.covers(method) {
            true => self.carry_out(method, data).await,
            false => Err(ManageError::Unauthorized { peer: peer.to_owned(), method: method.name() }),
        };
        answered.map_err(ResponseError::from)
    }

    /// What a call is answered while there is nothing to manage.
    pub(crate) fn standing_by() -> ResponseError {
        ManageError::StandingBy.into()
    }

    async fn carry_out(&self, method: Method, data: Bytes) -> Result<Bytes, ManageError> {
        match method {
            Method::ListPool => Ok(encoded(&pools::list(self.snapshot()?.as_ref()))),
            Method::ListWorker => Ok(encoded(&workers::list(self.snapshot()?.as_ref()))),
            Method::CreatePool | Method::UpdatePool | Method::CreateWorker | Method::UpdateWorker => {
                self.change(method, data).await
            }
            Method::RestartWorker => self.act(method, &Command::Restart, &data),
            Method::RefreshRaAndRestartWorker => self.act(method, &Command::Register, &data),
            Method::KickWorker => self.act(method, &Command::StopWorker { remove_checkpoints: false }, &data),
            Method::GetWorkerStatus => {
                let deployment = self.running(method)?;
                let UuidQueryRequest { ids } = decoded(&data)?;
                Ok(encoded(&act::status(deployment, &ids)?))
            }
            _ => Err(ManageError::NotAnswered(method.name())),
        }
    }

    /// Changes records. It may wait for other processes that use the inventory, so it has a thread of its own.
    async fn change(&self, method: Method, data: Bytes) -> Result<Bytes, ManageError> {
        let (inventory, keyring) = match self {
            Self::Running(deployment) => (deployment.inventory().clone(), deployment.keyring().clone()),
            Self::Resting { inventory, keyring } => (inventory.clone(), keyring.clone()),
        };
        let change = move || match method {
            Method::CreatePool => {
                let CreatePool { pools } = decoded(&data)?;
                Ok(encoded(&pools::create(&inventory, &keyring, &pools)?))
            }
            Method::UpdatePool => {
                let UpdatePool { items } = decoded(&data)?;
                Ok(encoded(&pools::update(&inventory, &keyring, &items)?))
            }
            Method::CreateWorker => {
                let CreateWorker { workers } = decoded(&data)?;
                Ok(encoded(&workers::create(&inventory, &workers)?))
            }
            Method::UpdateWorker => {
                let UpdateWorker { items } = decoded(&data)?;
                Ok(encoded(&workers::update(&inventory, &items)?))
            }
            _ => Err(ManageError::NotAnswered(method.name())),
        };
        tokio::task::spawn_blocking(change).await.map_err(|cause| ManageError::Crashed(cause.to_string()))?
    }

    fn act(&self, method: Method, command: &Command, data: &[u8]) -> Result<Bytes, ManageError> {
        let deployment = self.running(method)?;
        let UuidQueryRequest { ids } = decoded(data)?;
        Ok(encoded(&act::command(deployment, command, &ids)?))
    }

    fn running(&self, method: Method) -> Result<&Deployment, ManageError> {
        match self {
            Self::Running(deployment) => Ok(deployment),
            Self::Resting { .. } => Err(ManageError::NothingRuns(method.name())),
        }
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, ManageError> {
        Ok(match self {
            Self::Running(deployment) => deployment.snapshot()?,
            Self::Resting { inventory, .. } => inventory.snapshot()?.into(),
        })
    }
}

/// Most pools in one call.
const MAX_POOLS: usize = 1_000;
/// Most workers in one call.
const MAX_WORKERS: usize = 10_000;

fn bounded(found: usize, most: usize) -> Result<(), ManageError> {
    if found > most { Err(ManageError::TooMany { found, most }) } else { Ok(()) }
}

fn decoded<M: Message + Default>(data: &[u8]) -> Result<M, ManageError> {
    M::decode(data).map_err(ManageError::Malformed)
}

fn encoded(answer: &impl Message) -> Bytes {
    answer.encode_to_vec().into()
}

#[cfg(test)]
mod tests;
