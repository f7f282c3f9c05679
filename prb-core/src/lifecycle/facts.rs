//! What the finalized chain says of a worker.

use super::Goal;
use crate::{
    id::{Height, PoolId, WorkerKey},
    storage_key::{self, StorageKey},
    types::facts::{Session, SessionState, WorkerEntry},
};
use bytes::Bytes;
use codec::Decode;

/// What the finalized chain says of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The block they are read at.
    pub block: Height,
    /// Its registration.
    pub entry: Option<WorkerEntry>,
    /// The pool it was added to.
    pub assignment: Option<PoolId>,
    /// Its session in the goal's pool.
    pub session: Option<Session>,
    /// Planck that it computes with, or that are locked while it cools down.
    pub stake: Option<u128>,
    /// Seconds for which the stake of a stopped worker is locked.
    pub cool_down: Option<u64>,
    /// The chain's time, Unix seconds.
    pub now: u64,
}

impl Facts {
    /// How many of [`Self::keys`], from the first, are the worker's own. The others are the same for all workers.
    pub const OWN_KEYS: usize = 4;

    /// The storage keys to read, in the order [`Self::decode`] takes their values.
    pub fn keys(worker: &WorkerKey, pool: PoolId) -> Vec<StorageKey> {
        let session = storage_key::session_account(pool, worker);
        vec![
            storage_key::registry_worker(worker),
            storage_key::worker_assignment(worker),
            storage_key::session(&session),
            storage_key::stake(&session),
            storage_key::cool_down_period(),
            storage_key::timestamp_now(),
        ]
    }

    /// Reads the values of [`Self::keys`]; the error names the item that does not decode.
    pub fn decode(block: Height, values: &[Option<Bytes>]) -> Result<Self, BadFact> {
        fn item<T: Decode>(
            values: &[Option<Bytes>],
            index: usize,
            name: &'static str,
        ) -> Result<Option<T>, BadFact> {
            let value = values.get(index).and_then(Option::as_ref);
            value.map(|value| BadFact::decode(name, value)).transpose()
        }
        Ok(Self {
            block,
            entry: item(values, 0, "PhalaRegistry.Workers")?,
            assignment: item(values, 1, "PhalaStakePoolv2.WorkerAssignments")?,
            session: item(values, 2, "PhalaComputation.Sessions")?,
            stake: item(values, 3, "PhalaComputation.Stakes")?,
            cool_down: item(values, 4, "PhalaComputation.CoolDownPeriod")?,
            now: item::<u64>(values, 5, "Timestamp.Now")?.unwrap_or_default() / 1000,
        })
    }

    /// Whether it computes, silent or not.
    pub fn is_computing(&self) -> bool {
        matches!(
            self.state(),
            Some(SessionState::WorkerIdle | SessionState::Active | SessionState::WorkerUnresponsive)
        )
    }

    /// Unix seconds at which its stake can be reclaimed, none unless it is cooling down and the chain says for how long.
    pub fn cool_down_end(&self) -> Option<u64> {
        let session =
            self.session.as_ref().filter(|session| session.state == SessionState::WorkerCoolingDown)?;
        Some(session.cool_down_start.saturating_add(self.cool_down?))
    }

    /// Whether its stake can be reclaimed now.
    pub fn is_cooled_down(&self) -> bool {
        self.cool_down_end().is_some_and(|end| self.now >= end)
    }

    /// State of its session in the goal's pool.
    pub fn state(&self) -> Option<SessionState> {
        self.session.as_ref().map(|session| session.state)
    }

    /// Something an operator may want to know though nothing is wrong: a stake is never lowered unasked.
    pub fn remark(&self, goal: &Goal) -> Option<String> {
        let stake = self.stake.filter(|stake| self.is_computing() && *stake > goal.stake)?;
        Some(format!(
            "it computes with {stake} planck, more than the {} that are configured; a stake is never lowered unasked: \
             to lower it, stop the worker and let it start again after its cool-down",
            goal.stake
        ))
    }
}

/// A storage value with an unknown layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} has an unknown layout ({cause}); this release may be too old for the runtime")]
pub struct BadFact {
    name: &'static str,
    cause: String,
}

impl BadFact {
    /// Decodes the value of the storage item `name`; the error names it.
    pub(crate) fn decode<T: Decode>(name: &'static str, value: &[u8]) -> Result<T, Self> {
        T::decode(&mut &*value).map_err(|error| Self { name, cause: error.to_string() })
    }
}
