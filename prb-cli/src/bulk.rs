//! Many pools and workers at once: files of CSV, YAML and JSON to changes, and back.
//!
//! JSON is read as the YAML that it is, so that every mistake has its line.

use crate::{
    inventory::{Change, InventoryError, Pool, PoolSet, Refused, Snapshot, WorkerRecord, WorkerSet},
    units,
};
use prb_core::fault::unusable;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 64 << 20;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Workers only, one per line.
    Csv,
    /// Lists `pools` and `workers`.
    Yaml,
    /// The same.
    Json,
}

impl Format {
    /// The format that a file's name tells.
    pub fn of(path: &Path) -> Result<Self, BulkError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            _ => Err(BulkError::Ending(path.to_owned())),
        }
    }
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// Its name does not say what it is.
    #[error("{0}: its name must end in .csv, .yaml, .yml or .json")]
    Ending(PathBuf),
    /// It cannot be read.
    #[error("{}", unusable("read", path, cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It cannot be written.
    #[error("{}", unusable("write", path, cause))]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is too large.
    #[error("{0} has more than 64 MiB; split it")]
    TooLarge(PathBuf),
    /// Something in it cannot be used. Nothing is changed.
    #[error("{path}, line {line}: {cause}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: u64,
        /// Why not.
        cause: String,
    },
    /// What is there has no such form.
    #[error("the inventory cannot be written down: {0}")]
    Unwritable(String),
}

/// A pool in a file. What is left out stays as it is, or is as for a new one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PoolRow {
    pid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    enabled: Option<bool>,
    sync_only: Option<bool>,
}

/// A worker in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WorkerRow {
    name: String,
    endpoint: String,
    pool: u64,
    /// In PHA, or in planck if it says so.
    stake: Option<String>,
    enabled: Option<bool>,
    sync_only: Option<bool>,
    gatekeeper: Option<bool>,
    /// Separated by semicolons, so that they are one column of CSV.
    tags: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    pools: Vec<Spanned<PoolRow>>,
    #[serde(default)]
    workers: Vec<Spanned<WorkerRow>>,
}

/// What a file says, each entry with its line.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    pools: Vec<(u64, PoolRow)>,
    workers: Vec<(u64, WorkerRow)>,
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Rows, BulkError> {
    let unreadable = |cause| BulkError::Unreadable { path: path.to_owned(), cause };
    let format = Format::of(path)?;
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(BulkError::TooLarge(path.to_owned()));
    }
    parse(path, format, &fs::read_to_string(path).map_err(unreadable)?)
}

/// Reads the text of a file; `path` is where mistakes are said to be.
pub(crate) fn parse(path: &Path, format: Format, text: &str) -> Result<Rows, BulkError> {
    let mut rows = Rows { path: path.to_owned(), pools: Vec::new(), workers: Vec::new() };
    match format {
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new()
                .trim(csv::Trim::All)
                .comment(Some(b'#'))
                .from_reader(text.as_bytes());
            let headers = reader.headers().map_err(|error| rows.csv_error(&error))?.clone();
            for record in reader.records() {
                let record = record.map_err(|error| rows.csv_error(&error))?;
                let line = record.position().map_or(0, csv::Position::line);
                let row = record.deserialize(Some(&headers)).map_err(|error| rows.csv_error(&error))?;
                rows.workers.push((line, row));
            }
        }
        Format::Yaml | Format::Json => {
            // Between values JSON may have tabs, where YAML has not; within them neither has.
            let spaced = if format == Format::Json { text.replace('\t', " ") } else { text.to_owned() };
            let document: Document =
                serde_saphyr::from_str(&spaced).map_err(|error| rows.yaml_error(&error))?;
            rows.pools = document.pools.into_iter().map(with_line).collect();
            rows.workers = document.workers.into_iter().map(with_line).collect();
        }
    }
    Ok(rows)
}

fn with_line<T>(row: Spanned<T>) -> (u64, T) {
    (row.referenced.line(), row.value)
}

impl Rows {
    /// One change for each entry, pools first.
    pub fn changes(&self, known: &Snapshot) -> Result<Vec<Change>, BulkError> {
        let (mut pools, mut workers) = (BTreeMap::new(), BTreeMap::new());
        let mut changes = Vec::with_capacity(self.pools.len() + self.workers.len());
        for (line, row) in &self.pools {
            if let Some(before) = pools.insert(row.pid, line) {
                return Err(self.error(*line, format!("pool {} is in line {before} already", row.pid)));
            }
            changes.push(row.change(known));
        }
        let names: BTreeSet<&str> = known.workers.iter().map(|worker| worker.name.as_str()).collect();
        for (line, row) in &self.workers {
            if let Some(before) = workers.insert(&row.name, line) {
                return Err(self.error(*line, format!("worker {} is in line {before} already", row.name)));
            }
            let change = row.change(names.contains(row.name.as_str()));
            changes.push(change.map_err(|error| self.error(*line, error.to_string()))?);
        }
        Ok(changes)
    }

    /// A refusal of one of the changes, as a mistake in its line.
    pub fn refused(&self, error: InventoryError) -> Result<BulkError, InventoryError> {
        match error {
            InventoryError::Refused(Refused { at, why }) => {
                let lines =
                    self.pools.iter().map(|(line, _)| line).chain(self.workers.iter().map(|(line, _)| line));
                let line = lines.copied().nth(at).unwrap_or_default();
                Ok(self.error(line, why.to_string()))
            }
            other => Err(other),
        }
    }

    fn error(&self, line: u64, cause: String) -> BulkError {
        BulkError::Line { path: self.path.clone(), line, cause }
    }

    fn csv_error(&self, error: &csv::Error) -> BulkError {
        let cause = match error.kind() {
            csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("it has {len} values, and the first line names {expected_len}")
            }
            _ => error.to_string(),
        };
        self.error(error.position().map_or(1, csv::Position::line), cause)
    }

    fn yaml_error(&self, error: &serde_saphyr::Error) -> BulkError {
        let line = error.location().map_or(1, |location| location.line());
        // The rest shows the place in the text.
        let cause = error.without_snippet().to_string();
        self.error(line, cause.lines().next().unwrap_or_default().to_owned())
    }
}

impl PoolRow {
    fn change(&self, known: &Snapshot) -> Change {
        let Self { pid, operator, name, enabled, sync_only } = self.clone();
        if known.pool(pid).is_some() {
            return Change::SetPool(pid, PoolSet { name, operator: operator.map(Some), enabled, sync_only });
        }
        let pool = Pool::new(pid, operator);
        let (enabled, sync_only) = (enabled.unwrap_or(pool.enabled), sync_only.unwrap_or(pool.sync_only));
        Change::AddPool(Pool { name: name.unwrap_or_default(), enabled, sync_only, ..pool })
    }

    fn of(pool: &Pool) -> Self {
        Self {
            pid: pool.pid,
            operator: pool.operator.clone(),
            name: Some(pool.name.clone()).filter(|name| !name.is_empty()),
            enabled: Some(pool.enabled),
            sync_only: Some(pool.sync_only),
        }
    }
}

impl WorkerRow {
    fn change(&self, is_known: bool) -> Result<Change, units::BadAmount> {
        let Self { name, endpoint, pool, stake, enabled, sync_only, gatekeeper, tags } = self.clone();
        let stake = stake.as_deref().map(units::stake).transpose()?;
        let tags = tags.as_deref().map(tags_in);
        if is_known {
            let (endpoint, pool) = (Some(endpoint), Some(pool));
            let set = WorkerSet { name: None, endpoint, pool, stake, enabled, sync_only, gatekeeper, tags };
            return Ok(Change::SetWorker(name, set));
        }
        let worker = WorkerRecord::new(name, endpoint, pool, stake.unwrap_or_default());
        Ok(Change::AddWorker(WorkerRecord {
            enabled: enabled.unwrap_or(worker.enabled),
            sync_only: sync_only.unwrap_or(worker.sync_only),
            gatekeeper: gatekeeper.unwrap_or(worker.gatekeeper),
            tags: tags.unwrap_or_default(),
            ..worker
        }))
    }

    fn of(worker: &WorkerRecord) -> Self {
        Self {
            name: worker.name.clone(),
            endpoint: worker.endpoint.clone(),
            pool: worker.pool,
            stake: Some(units::format(worker.stake)),
            enabled: Some(worker.enabled),
            sync_only: Some(worker.sync_only),
            gatekeeper: Some(worker.gatekeeper),
            tags: Some(worker.tags.join(";")),
        }
    }
}

fn tags_in(text: &str) -> Vec<String> {
    text.split(';').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// The text of a file with all pools and workers (CSV: workers).
pub fn write(snapshot: &Snapshot, format: Format) -> Result<String, BulkError> {
    #[derive(Serialize)]
    struct Written {
        pools: Vec<PoolRow>,
        workers: Vec<WorkerRow>,
    }
    let unwritable = |error: &dyn std::fmt::Display| BulkError::Unwritable(error.to_string());
    let workers: Vec<WorkerRow> = snapshot.workers.iter().map(WorkerRow::of).collect();
    let written = Written { pools: snapshot.pools.iter().map(PoolRow::of).collect(), workers };
    match format {
        Format::Json => {
            serde_json::to_string_pretty(&written).map(|text| text + "\n").map_err(|error| unwritable(&error))
        }
        Format::Yaml => serde_saphyr::to_string(&written).map_err(|error| unwritable(&error)),
        Format::Csv => {
            // A name that looks like a comment is quoted.
            let mut writer = csv::WriterBuilder::new().comment(Some(b'#')).from_writer(Vec::new());
            written
                .workers
                .iter()
                .try_for_each(|row| writer.serialize(row))
                .map_err(|error| unwritable(&error))?;
            let bytes = writer.into_inner().map_err(|error| unwritable(&error))?;
            String::from_utf8(bytes).map_err(|error| unwritable(&error))
        }
    }
}

#[cfg(test)]
mod tests;
