//! Workers of the inventory.

use super::{MAX_WORKERS, bounded, error::ManageError};
use crate::inventory::{
    Affected, Change, Inventory, InventoryError, Record, Snapshot, WorkerRecord, WorkerSet,
};
use prb_p2p::message::{QueryIdentity, UpdateWorkerItem, Worker as Wire, WorkerList};
use std::collections::HashMap;
use uuid::Uuid;

/// All workers.
pub(super) fn list(snapshot: &Snapshot) -> WorkerList {
    WorkerList { workers: snapshot.workers.iter().map(row).collect() }
}

/// A worker as v2 writes it.
pub(super) fn row(worker: &WorkerRecord) -> Wire {
    Wire {
        uuid: Some(worker.id.to_string()),
        pid: Some(worker.pool),
        name: Some(worker.name.clone()),
        endpoint: Some(worker.endpoint.clone()),
        enabled: Some(worker.enabled),
        deleted: Some(false),
        stake: Some(worker.stake.to_string()),
        sync_only: Some(worker.sync_only),
    }
}

/// Adds workers.
pub(super) fn create(inventory: &Inventory, workers: &[Wire]) -> Result<WorkerList, ManageError> {
    at_once(inventory, "workers", workers, |_, worker| {
        let Values { pool, name, endpoint, stake } = values(worker)?;
        let (enabled, sync_only) = (worker.enabled(), worker.sync_only());
        let record = WorkerRecord::new(name, endpoint, pool, stake);
        Ok(Change::AddWorker(WorkerRecord { enabled, sync_only, ..record }))
    })
}

/// Changes or removes workers, each named as it is before the call.
pub(super) fn update(inventory: &Inventory, items: &[UpdateWorkerItem]) -> Result<WorkerList, ManageError> {
    at_once(inventory, "items", items, |known, item| {
        let present = known.found(item.id.as_ref())?.name.clone();
        let worker = item.worker.as_ref().ok_or(ManageError::Wanted("worker"))?;
        if worker.deleted() {
            return Ok(Change::RemoveWorker(present));
        }
        let Values { pool, name, endpoint, stake } = values(worker)?;
        let set = WorkerSet {
            name: Some(name),
            endpoint: Some(endpoint),
            pool: Some(pool),
            stake: Some(stake),
            enabled: Some(worker.enabled()),
            sync_only: Some(worker.sync_only()),
            // v2 knows of no gatekeepers.
            gatekeeper: None,
            tags: None,
        };
        Ok(Change::SetWorker(present, set))
    })
}

/// Makes the change that `decide` answers to each item; all of them or none. Those that are left are shown.
fn at_once<T>(
    inventory: &Inventory,
    list: &'static str,
    items: &[T],
    decide: impl Fn(&Known<'_>, &T) -> Result<Change, ManageError>,
) -> Result<WorkerList, ManageError> {
    bounded(items.len(), MAX_WORKERS)?;
    let changed = inventory.change(|snapshot| {
        let known = Known::of(snapshot);
        let decided = items.iter().enumerate();
        decided.map(|(at, item)| decide(&known, item).map_err(|cause| cause.within(list, at))).collect()
    });
    let affected = changed.map_err(|cause: ManageError| match cause {
        // There is one change to each item.
        ManageError::Inventory(InventoryError::Refused(refused)) => {
            let at = refused.at;
            ManageError::from(InventoryError::Refused(refused)).within(list, at)
        }
        other => other,
    })?;
    let workers = affected.iter().filter_map(|Affected { after, .. }| match after {
        Some(Record::Worker(worker)) => Some(row(worker)),
        _ => None,
    });
    Ok(WorkerList { workers: workers.collect() })
}

/// Workers by what they are known by.
pub(super) struct Known<'s> {
    by_id: HashMap<Uuid, &'s WorkerRecord>,
    by_name: HashMap<&'s str, &'s WorkerRecord>,
}

impl<'s> Known<'s> {
    pub(super) fn of(snapshot: &'s Snapshot) -> Self {
        let workers = &snapshot.workers;
        Self {
            by_id: workers.iter().map(|worker| (worker.id, worker)).collect(),
            by_name: workers.iter().map(|worker| (worker.name.as_str(), worker)).collect(),
        }
    }

    /// The worker with this id.
    pub(super) fn worker(&self, uuid: &str) -> Result<&'s WorkerRecord, ManageError> {
        let found = uuid.parse().ok().and_then(|id: Uuid| self.by_id.get(&id)).copied();
        found.ok_or_else(|| missing(uuid))
    }

    /// The worker that is meant: by uuid, else by name.
    fn found(&self, id: Option<&QueryIdentity>) -> Result<&'s WorkerRecord, ManageError> {
        match id.map(|id| (id.uuid(), id.name())) {
            None | Some(("", "")) => Err(ManageError::Wanted("id")),
            Some(("", name)) => self.by_name.get(name).copied().ok_or_else(|| missing(name)),
            Some((uuid, _)) => self.worker(uuid),
        }
    }
}

fn missing(wanted: &str) -> ManageError {
    ManageError::Missing { kind: "worker", wanted: wanted.to_owned(), list: "ListWorker" }
}

/// What a record must have.
struct Values {
    pool: u64,
    name: String,
    endpoint: String,
    stake: u128,
}

fn values(worker: &Wire) -> Result<Values, ManageError> {
    let text = |field: &'static str, text: &str| match text {
        "" => Err(ManageError::Wanted(field)),
        text => Ok(text.to_owned()),
    };
    let stake = text("stake", worker.stake().trim())?;
    Ok(Values {
        pool: worker.pid.ok_or(ManageError::Wanted("pid"))?,
        name: text("name", worker.name())?,
        endpoint: text("endpoint", worker.endpoint())?,
        stake: stake.parse().map_err(|_| ManageError::Stake(stake))?,
    })
}
