//! What is done to many workers at once, and with the whole inventory.

use super::{
    answers::{BulkResult, Done, Imported, ImportedEntry, Results, Tags},
    fleet::Fleet,
    reply::Reply,
};
use crate::{
    bulk::{self, BulkError, Format},
    deployment::Deployment,
    inventory::{
        Affected, Change, Inventory, InventoryError, Record, Refusal, Refused, Snapshot, WorkerRecord,
        WorkerSet, apply,
    },
};
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use prb_core::{command::Command, id::WorkerName, pipeline::BridgeError};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};
use tracing::info;
use uuid::Uuid;

/// Most workers of one request.
pub(super) const MOST: usize = 10_000;

/// Where mistakes of an import are said to be, before the line.
const PLACE: &str = "import";

/// What is done to each of several workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Restart,
    Register,
    Checkpoint,
    /// End the worker's process, with its checkpoints left; whatever looks after it starts it again.
    Kick,
    Enable,
    Disable,
    /// Out of the inventory; what it does on chain is not touched.
    Remove,
    Tag,
    Untag,
}

/// Something to do to several workers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    pub(super) action: Action,
    /// Ids or names, at most 10,000.
    pub(super) ids: Vec<String>,
    /// The tag that is put on or taken off.
    #[serde(default)]
    pub(super) tag: Option<String>,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error("it crashed: {0}; please report this with the log")]
    Crashed(#[from] tokio::task::JoinError),
}

/// Does it to each of them. One that it cannot be done to is no reason not to do it to the others.
pub(super) async fn carry_out(bulk: Bulk, deployment: &Deployment) -> Result<Reply, Failed> {
    info!(action = ?bulk.action, workers = bulk.ids.len(), "to many workers over the API");
    let results = match bulk.action.command() {
        Some(command) => command_all(&bulk.ids, &command, deployment)?,
        None => in_thread(deployment, move |inventory| change_all(&bulk, inventory)).await??,
    };
    Ok(Reply::ok(&Results { results }))
}

impl Action {
    /// What is commanded; none where it is a change to the inventory.
    fn command(self) -> Option<Command> {
        Some(match self {
            Self::Restart => Command::Restart,
            Self::Register => Command::Register,
            Self::Checkpoint => Command::TakeCheckpoint,
            Self::Kick => Command::StopWorker { remove_checkpoints: false },
            Self::Enable | Self::Disable | Self::Remove | Self::Tag | Self::Untag => return None,
        })
    }
}

fn command_all(
    ids: &[String],
    command: &Command,
    deployment: &Deployment,
) -> Result<Vec<BulkResult>, InventoryError> {
    let fleet = Fleet::of(deployment)?;
    let known = Known::of(&fleet.snapshot);
    let give = |id: &String| {
        let record = known.find(id).ok_or_else(|| there_is_no(id))?;
        let worker = WorkerName::new(record.name.as_str()).map_err(|cause| cause.to_string())?;
        deployment.bridge().command(&worker, command.clone()).map_err(|cause| match cause {
            BridgeError::Unknown(_) => fleet.unfit.get(&record.name).map_or_else(
                || "the worker is not taken on yet; ask again in a moment".to_owned(),
                |unfit| unfit.why.clone(),
            ),
            cause => cause.to_string(),
        })
    };
    let result = |id: &String| {
        let given = give(id);
        BulkResult { id: id.clone(), ok: given.is_ok(), message: given.err() }
    };
    Ok(ids.iter().map(result).collect())
}

/// Changes those that can be changed, in one transaction.
fn change_all(bulk: &Bulk, inventory: &Inventory) -> Result<Vec<BulkResult>, InventoryError> {
    let mut results = Vec::with_capacity(bulk.ids.len());
    let made = inventory.change_each(|snapshot| {
        let (known, mut seen, mut changes) = (Known::of(snapshot), BTreeSet::new(), Vec::new());
        for id in &bulk.ids {
            let record = known.find(id);
            let message = match record {
                Some(record) if seen.insert(record.id) => {
                    changes.push(bulk.change(record));
                    None
                }
                Some(_) => Some("it is named twice".to_owned()),
                None => Some(there_is_no(id)),
            };
            results.push(BulkResult { id: id.clone(), ok: message.is_none(), message });
        }
        changes
    })?;
    for (result, made) in results.iter_mut().filter(|result| result.ok).zip(made) {
        let text = made.as_ref().map(Affected::text).unwrap_or_else(|why| why.to_string());
        (result.ok, result.message) = (made.is_ok(), Some(text));
    }
    Ok(results)
}

impl Bulk {
    /// What it means for a worker of the inventory.
    fn change(&self, record: &WorkerRecord) -> Change {
        let enabled = |enabled| WorkerSet { enabled: Some(enabled), ..WorkerSet::default() };
        let tags = |tags| WorkerSet { tags: Some(tags), ..WorkerSet::default() };
        let tag = self.tag.clone().unwrap_or_default();
        let set = match self.action {
            Action::Remove => return Change::RemoveWorker(record.name.clone()),
            Action::Enable => enabled(true),
            Action::Disable => enabled(false),
            Action::Tag => tags(record.tags.iter().cloned().chain([tag]).collect()),
            Action::Untag => tags(record.tags.iter().filter(|has| **has != tag).cloned().collect()),
            // Commands change nothing of it.
            Action::Restart | Action::Register | Action::Checkpoint | Action::Kick => WorkerSet::default(),
        };
        Change::SetWorker(record.name.clone(), set)
    }
}

/// Workers by id and by name.
struct Known<'s> {
    ids: HashMap<Uuid, &'s WorkerRecord>,
    names: HashMap<&'s str, &'s WorkerRecord>,
}

impl<'s> Known<'s> {
    fn of(snapshot: &'s Snapshot) -> Self {
        let workers = snapshot.workers.iter();
        Self {
            ids: workers.clone().map(|record| (record.id, record)).collect(),
            names: workers.map(|record| (record.name.as_str(), record)).collect(),
        }
    }

    fn find(&self, worker: &str) -> Option<&'s WorkerRecord> {
        let by_id = worker.parse().ok().and_then(|id: Uuid| self.ids.get(&id));
        by_id.or_else(|| self.names.get(worker)).copied()
    }
}

/// A reason that may quote whatever was sent.
fn short(text: &str) -> String {
    text.chars().take(1000).collect()
}

fn there_is_no(worker: &str) -> String {
    format!("there is no worker {}", worker.chars().take(128).collect::<String>())
}

/// Gives a worker these tags.
pub(super) async fn tag(worker: String, tags: Vec<String>, deployment: &Deployment) -> Result<Reply, Failed> {
    let snapshot = deployment.snapshot()?;
    let Some(name) = Known::of(&snapshot).find(&worker).map(|record| record.name.clone()) else {
        return Ok(Reply::error(StatusCode::NOT_FOUND, "WorkerNotFound", there_is_no(&worker)));
    };
    let set = WorkerSet { tags: Some(tags), ..WorkerSet::default() };
    let made =
        in_thread(deployment, move |inventory| inventory.apply(&[Change::SetWorker(name, set)])).await?;
    Ok(match made.map(|mut made| made.pop().and_then(|affected| affected.after)) {
        Ok(Some(Record::Worker(record))) => {
            info!(worker = record.name, "tagged over the API");
            Reply::ok(&Tags { tags: record.tags })
        }
        Ok(_) => Reply::error(StatusCode::NOT_FOUND, "WorkerNotFound", there_is_no(&worker)),
        Err(InventoryError::Refused(refused)) => self::refused(&refused),
        Err(cause) => return Err(cause.into()),
    })
}

/// Removes an operator that no pool uses.
pub(super) async fn remove_operator(name: String, deployment: &Deployment) -> Result<Reply, Failed> {
    let change = Change::RemoveOperator(name.clone());
    match in_thread(deployment, move |inventory| inventory.apply(&[change])).await? {
        Ok(_) => {
            info!(operator = name, "removed over the API");
            Ok(Reply::ok(&Done { ok: true }))
        }
        Err(InventoryError::Refused(refused)) => Ok(self::refused(&refused)),
        Err(cause) => Err(cause.into()),
    }
}

fn refused(Refused { why, .. }: &Refused) -> Reply {
    let (status, code) = match why {
        Refusal::Missing { .. } => (StatusCode::NOT_FOUND, "NotFound"),
        Refusal::InUse { .. } => (StatusCode::CONFLICT, "Conflict"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "BadRequest"),
    };
    Reply::error(status, code, short(&why.to_string()))
}

/// Adds and changes pools and workers as a text says: all of them or none.
pub(super) async fn import(
    format: Format,
    text: String,
    dry_run: bool,
    deployment: &Deployment,
) -> Result<Reply, Failed> {
    let imported =
        in_thread(deployment, move |inventory| imported(format, &text, dry_run, inventory)).await?;
    Ok(match imported {
        Ok(affected) => {
            let entry = |one: &Affected| ImportedEntry { changed: one.changed(), text: one.text() };
            let entries: Vec<_> = affected.iter().map(entry).collect();
            let changed = entries.iter().filter(|entry| entry.changed).count();
            if !dry_run {
                info!(changed, "imported over the API");
            }
            Reply::ok(&Imported { dry_run, changed, entries })
        }
        Err(ImportError::Rows(cause)) => {
            Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "BadRequest", short(&cause.to_string()))
        }
        Err(ImportError::Inventory(cause)) => return Err(cause.into()),
    })
}

/// Why an import is not made.
enum ImportError {
    Rows(BulkError),
    Inventory(InventoryError),
}

impl From<InventoryError> for ImportError {
    fn from(cause: InventoryError) -> Self {
        Self::Inventory(cause)
    }
}

fn imported(
    format: Format,
    text: &str,
    dry_run: bool,
    inventory: &Inventory,
) -> Result<Vec<Affected>, ImportError> {
    let rows = bulk::parse(Path::new(PLACE), format, text).map_err(ImportError::Rows)?;
    let changes = |snapshot: &Snapshot| rows.changes(snapshot).map_err(ImportError::Rows);
    let made = if dry_run {
        let mut snapshot = inventory.snapshot()?;
        let changes = changes(&snapshot)?;
        apply(&mut snapshot, &changes).map_err(|refused| InventoryError::from(refused).into())
    } else {
        inventory.change(changes)
    };
    made.map_err(|error| match error {
        // With its line.
        ImportError::Inventory(cause) => {
            rows.refused(cause).map_or_else(ImportError::Inventory, ImportError::Rows)
        }
        error => error,
    })
}

/// All pools and workers (CSV: workers) as a file that can be imported.
pub(super) fn export(format: Format, deployment: &Deployment) -> Result<Reply, Failed> {
    let (kind, file) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"inventory.csv\""),
        Format::Yaml => ("application/yaml", "attachment; filename=\"inventory.yaml\""),
        Format::Json => ("application/json", "attachment; filename=\"inventory.json\""),
    };
    Ok(match bulk::write(&*deployment.snapshot()?, format) {
        Ok(text) => {
            Reply::whole(kind, text).with_value(header::CONTENT_DISPOSITION, HeaderValue::from_static(file))
        }
        Err(cause) => Reply::server_error(cause),
    })
}

/// Changes to the inventory may wait for other processes that use it, so they have a thread of their own.
async fn in_thread<T: Send + 'static>(
    deployment: &Deployment,
    run: impl FnOnce(&Inventory) -> T + Send + 'static,
) -> Result<T, Failed> {
    let inventory = deployment.inventory().clone();
    Ok(tokio::task::spawn_blocking(move || run(&inventory)).await?)
}
