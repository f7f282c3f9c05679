//! Workers that run: how they are, and what they are told.

use super::{
    MAX_WORKERS, bounded,
    error::ManageError,
    state::{self, Seen},
    workers::Known,
};
use crate::{deployment::Deployment, inventory::WorkerRecord, roster::Unfit};
use prb_core::{command::Command, id::WorkerName, pipeline};
use prb_p2p::message::WorkerStateUpdate;
use std::collections::{BTreeMap, HashMap};

/// How these workers are; all of them if none is named.
pub(super) fn status(deployment: &Deployment, ids: &[String]) -> Result<WorkerStateUpdate, ManageError> {
    bounded(ids.len(), MAX_WORKERS)?;
    let snapshot = deployment.snapshot()?;
    let now = Now::of(deployment);
    if ids.is_empty() {
        return Ok(now.states(&snapshot.workers));
    }
    let known = Known::of(&snapshot);
    let named = ids.iter().map(|id| known.worker(id)).collect::<Result<Vec<_>, _>>()?;
    Ok(now.states(named))
}

/// Tells each of these workers something, if all of them can be told; how they are at that moment.
pub(super) fn command(
    deployment: &Deployment,
    command: &Command,
    ids: &[String],
) -> Result<WorkerStateUpdate, ManageError> {
    bounded(ids.len(), MAX_WORKERS)?;
    let snapshot = deployment.snapshot()?;
    let (known, now) = (Known::of(&snapshot), Now::of(deployment));
    let named = ids.iter().enumerate().map(|(at, id)| {
        let ready = known.worker(id).and_then(|record| Ok((record, now.runs(record)?)));
        ready.map_err(|cause| cause.within("ids", at))
    });
    let named = named.collect::<Result<Vec<_>, _>>()?;
    for (told, (_, name)) in named.iter().enumerate() {
        let given = deployment.bridge().command(name, command.clone());
        given.map_err(|cause| ManageError::NotCommanded { told, cause })?;
    }
    Ok(now.states(named.into_iter().map(|(record, _)| record)))
}

/// What is known of those that run at one moment.
struct Now {
    running: HashMap<String, pipeline::WorkerStatus>,
    unfit: BTreeMap<String, Unfit>,
}

impl Now {
    fn of(deployment: &Deployment) -> Self {
        let status = deployment.bridge().workers_status().into_iter();
        Self {
            running: status.map(|status| (status.worker.name.to_string(), status)).collect(),
            unfit: deployment.unfit(),
        }
    }

    /// The name of a worker that runs; else why it does not.
    fn runs(&self, record: &WorkerRecord) -> Result<WorkerName, ManageError> {
        let idle = |why: &str| ManageError::Idle { worker: record.name.clone(), why: why.to_owned() };
        let unfit = self.unfit.get(&record.name).filter(|unfit| !unfit.fed);
        if let Some(unfit) = unfit {
            return Err(idle(&unfit.why));
        }
        if !self.running.contains_key(&record.name) {
            return Err(idle("it is not taken on yet; ask again in a moment"));
        }
        WorkerName::new(record.name.as_str()).map_err(|cause| idle(&cause.to_string()))
    }

    fn states<'s>(&self, records: impl IntoIterator<Item = &'s WorkerRecord>) -> WorkerStateUpdate {
        let state = |record: &WorkerRecord| {
            let (status, unfit) = (self.running.get(&record.name), self.unfit.get(&record.name));
            state::of(Seen { record, status, unfit })
        };
        WorkerStateUpdate { worker_states: records.into_iter().map(state).collect() }
    }
}
