//! Workers of the inventory beside what is known of those that run.

use crate::{
    deployment::Deployment,
    inventory::{InventoryError, Snapshot, WorkerRecord},
    roster::Unfit,
};
use prb_core::pipeline::WorkerStatus;
use std::{collections::BTreeMap, sync::Arc};

/// The stage of a worker that does not run.
pub(super) const NOT_RUNNING: &str = "NotRunning";

/// All of them at one moment.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) snapshot: Arc<Snapshot>,
    /// Those that run, by name.
    pub(super) running: BTreeMap<String, WorkerStatus>,
    /// Those that are not at work as the inventory says, by name.
    pub(super) unfit: BTreeMap<String, Unfit>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'f> {
    pub(super) record: &'f WorkerRecord,
    /// None while it does not run.
    pub(super) status: Option<&'f WorkerStatus>,
    pub(super) unfit: Option<&'f Unfit>,
}

impl Fleet {
    pub(super) fn of(deployment: &Deployment) -> Result<Self, InventoryError> {
        let status = deployment.bridge().workers_status().into_iter();
        Ok(Self {
            snapshot: deployment.snapshot()?,
            running: status.map(|status| (status.worker.name.to_string(), status)).collect(),
            unfit: deployment.unfit(),
        })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.snapshot.workers.iter().map(|record| self.row(record))
    }

    /// A worker by its id or its name.
    pub(super) fn find(&self, worker: &str) -> Option<Row<'_>> {
        let id = worker.parse::<uuid::Uuid>().ok();
        let by_id = id.and_then(|id| self.snapshot.workers.iter().find(|record| record.id == id));
        by_id.or_else(|| self.snapshot.worker(worker)).map(|record| self.row(record))
    }

    fn row<'f>(&'f self, record: &'f WorkerRecord) -> Row<'f> {
        let (status, unfit) = (self.running.get(&record.name), self.unfit.get(&record.name));
        Row { record, status, unfit }
    }
}

impl Row<'_> {
    /// The name of its stage, `NotRunning` where it does not run.
    pub(super) fn stage(&self) -> &'static str {
        self.status.map_or(NOT_RUNNING, |status| status.stage.name())
    }

    /// Why it does not get on, if it does not.
    pub(super) fn trouble(&self) -> Option<&str> {
        let unfit = self.unfit.map(|unfit| unfit.why.as_str());
        unfit.or_else(|| self.status?.trouble.as_deref())
    }
}
