//! Operators, pools and workers, in a small durable database of their own.
//!
//! Several processes may use it at the same time: commands change it while `prb run` follows.

mod change;
mod format;
mod record;

pub use change::{
    Affected, Change, MAX_TAG, MAX_TAGS, OperatorSet, PoolSet, Refusal, Refused, WorkerSet, apply, apply_each,
};
pub use record::{Operator, Pool, Record, WorkerRecord};

use format::{FORMAT, PLAIN};

use heed::{
    Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn,
    types::{SerdeJson, Str},
};
use prb_core::fault::unusable;
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Operators by name.
    pub operators: Vec<Operator>,
    /// Pools by id.
    pub pools: Vec<Pool>,
    /// Workers by name.
    pub workers: Vec<WorkerRecord>,
    /// Rises with every change.
    pub revision: u64,
}

impl Snapshot {
    /// The operator of this name.
    pub fn operator(&self, name: &str) -> Option<&Operator> {
        self.operators.iter().find(|operator| operator.name == name)
    }

    /// The pool with this pid.
    pub fn pool(&self, pid: u64) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.pid == pid)
    }

    /// The worker of this name.
    pub fn worker(&self, name: &str) -> Option<&WorkerRecord> {
        self.workers.iter().find(|worker| worker.name == name)
    }

    /// What to do next where there are no workers.
    pub fn next_step(&self) -> Option<&'static str> {
        match (self.operators.is_empty(), self.pools.is_empty(), self.workers.is_empty()) {
            (.., false) => None,
            (true, ..) => Some("begin with `prb operator add`, then `prb pool add` and `prb worker add`"),
            (_, true, _) => Some("go on with `prb pool add`, then `prb worker add`"),
            _ => Some("go on with `prb worker add`"),
        }
    }
}

/// What a look from outside shows, whatever release wrote it.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Operators by name.
    pub operators: Vec<Operator>,
    /// How many pools there are.
    pub pools: u64,
    /// How many workers.
    pub workers: u64,
    /// Format on disk.
    pub format: u64,
}

impl Looked {
    /// What becomes of an inventory of an earlier release.
    pub fn outlook(&self) -> Option<String> {
        (self.format < PLAIN).then(|| {
            format!(
                "the inventory has format {}; the first command that uses it brings it to format {PLAIN}, which earlier \
                 releases refuse",
                self.format
            )
        })
    }
}

/// The database.
#[derive(Clone)]
pub struct Inventory {
    env: Env,
    operators: Table<Operator>,
    pools: Table<Pool>,
    workers: Table<WorkerRecord>,
    meta: Table<u64>,
    path: PathBuf,
}

/// Why the inventory refuses.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// A change does not fit what is there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Written by a newer release.
    #[error("inventory in {path} has format {found}, this release reads up to {FORMAT}; upgrade prb")]
    NewerFormat {
        /// Its folder.
        path: PathBuf,
        /// Format on disk.
        found: u64,
    },
    /// The database failed.
    #[error("{}", database(path, cause))]
    Database {
        /// Its folder.
        path: PathBuf,
        /// What it said.
        cause: heed::Error,
    },
}

/// Records by their names.
type Table<T> = Database<Str, SerdeJson<T>>;

/// Room for about a hundred thousand workers.
const MAP_BYTES: usize = 256 << 20;
const REVISION: &str = "revision";

const FORMAT_KEY: &str = "format";

impl Inventory {
    /// The inventory in the folder `path`, which is created if need be.
    #[allow(unsafe_code)]
    pub fn open(path: &Path) -> Result<Self, InventoryError> {
        let failed = |cause| InventoryError::Database { path: path.to_owned(), cause };
        std::fs::create_dir_all(path).map_err(|error| failed(error.into()))?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(4);
        // SAFETY: the files are changed through LMDB only, which is what heed asks for.
        let env = unsafe { options.open(path) }.map_err(failed)?;
        let mut txn = env.write_txn().map_err(failed)?;
        let opened = (|| {
            Ok((
                env.create_database(&mut txn, Some("operators"))?,
                env.create_database(&mut txn, Some("pools"))?,
                env.create_database(&mut txn, Some("workers"))?,
                env.create_database(&mut txn, Some("meta"))?,
            ))
        })();
        let (operators, pools, workers, meta): (_, Table<Pool>, Table<WorkerRecord>, Table<u64>) =
            opened.map_err(failed)?;
        match meta.get(&txn, FORMAT_KEY).map_err(failed)? {
            Some(found) if found > FORMAT => {
                return Err(InventoryError::NewerFormat { path: path.to_owned(), found });
            }
            Some(PLAIN..) => {}
            found => {
                if let Some(found) = found {
                    let (pools, workers) = (pools.remap_data_type(), workers.remap_data_type());
                    format::migrate(found, pools, workers, &mut txn).map_err(failed)?;
                }
                meta.put(&mut txn, FORMAT_KEY, &PLAIN).map_err(failed)?;
            }
        }
        txn.commit().map_err(failed)?;
        // A process that was killed while it read would keep pages from being used again.
        env.clear_stale_readers().map_err(failed)?;
        Ok(Self { env, operators, pools, workers, meta, path: path.to_owned() })
    }

    /// Looks at the inventory in the folder `path` without changing or making anything; none if there is none yet.
    #[allow(unsafe_code)]
    pub fn look(path: &Path) -> Result<Option<Looked>, InventoryError> {
        let data = std::fs::metadata(path.join("data.mdb"));
        if data.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let failed = |cause| InventoryError::Database { path: path.to_owned(), cause };
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(4);
        // SAFETY: as in `open`; the flag only takes rights away.
        let env = unsafe { options.flags(EnvFlags::READ_ONLY).open(path) }.map_err(failed)?;
        let txn = env.read_txn().map_err(failed)?;
        let meta: Option<Table<u64>> = env.open_database(&txn, Some("meta")).map_err(failed)?;
        let found = meta.map(|meta| meta.get(&txn, FORMAT_KEY)).transpose().map_err(failed)?.flatten();
        let format = found.unwrap_or(PLAIN);
        if format > FORMAT {
            return Err(InventoryError::NewerFormat { path: path.to_owned(), found: format });
        }
        let looked = (|| {
            // Operators are the same in all formats so far; of the others no more is read than how many there are.
            let operators: Option<Table<Operator>> = env.open_database(&txn, Some("operators"))?;
            let pools: Option<Table<Pool>> = env.open_database(&txn, Some("pools"))?;
            let workers: Option<Table<WorkerRecord>> = env.open_database(&txn, Some("workers"))?;
            Ok(Looked {
                operators: operators.map(|table| all(table, &txn)).transpose()?.unwrap_or_default(),
                pools: pools.map(|table| table.len(&txn)).transpose()?.unwrap_or_default(),
                workers: workers.map(|table| table.len(&txn)).transpose()?.unwrap_or_default(),
                format,
            })
        })();
        looked.map(Some).map_err(failed)
    }

    /// Everything in it.
    pub fn snapshot(&self) -> Result<Snapshot, InventoryError> {
        self.failing(|| {
            let txn = self.env.read_txn()?;
            self.read(&txn)
        })
    }

    /// Rises with every change; cheap to ask.
    pub fn revision(&self) -> Result<u64, InventoryError> {
        self.failing(|| {
            let txn = self.env.read_txn()?;
            Ok(self.meta.get(&txn, REVISION)?.unwrap_or_default())
        })
    }

    /// Makes all of these changes, in this order, or none of them.
    pub fn apply(&self, changes: &[Change]) -> Result<Vec<Affected>, InventoryError> {
        self.change(|_| Ok::<_, InventoryError>(changes.to_vec()))
    }

    /// Makes the changes that `decide` answers to what is there, with nobody else changing it in between.
    pub fn change<E: From<InventoryError>>(
        &self,
        decide: impl FnOnce(&Snapshot) -> Result<Vec<Change>, E>,
    ) -> Result<Vec<Affected>, E> {
        let failed = |cause| E::from(InventoryError::Database { path: self.path.clone(), cause });
        let txn = self.env.write_txn().map_err(failed)?;
        let mut snapshot = self.read(&txn).map_err(failed)?;
        let changes = decide(&snapshot)?;
        let affected = apply(&mut snapshot, &changes).map_err(InventoryError::from)?;
        self.commit(txn, &snapshot, affected.iter()).map_err(failed)?;
        Ok(affected)
    }

    /// Makes those of the changes that `decide` answers to what is there which can be made, and says of each what became of
    /// it.
    pub fn change_each(
        &self,
        decide: impl FnOnce(&Snapshot) -> Vec<Change>,
    ) -> Result<Vec<Result<Affected, Refusal>>, InventoryError> {
        self.failing(|| {
            let txn = self.env.write_txn()?;
            let mut snapshot = self.read(&txn)?;
            let changes = decide(&snapshot);
            let made = apply_each(&mut snapshot, &changes);
            self.commit(txn, &snapshot, made.iter().flatten())?;
            Ok(made)
        })
    }

    /// Writes down what was changed, if anything was. `snapshot` is what came of it, with the revision that it had before.
    fn commit<'a>(
        &self,
        mut txn: RwTxn<'_>,
        snapshot: &Snapshot,
        affected: impl Iterator<Item = &'a Affected> + Clone,
    ) -> heed::Result<()> {
        if !affected.clone().any(Affected::changed) {
            return Ok(());
        }
        affected.into_iter().try_for_each(|one| self.store(&mut txn, one))?;
        self.meta.put(&mut txn, FORMAT_KEY, &format::needed(snapshot))?;
        self.meta.put(&mut txn, REVISION, &(snapshot.revision + 1))?;
        txn.commit()
    }

    fn read(&self, txn: &RoTxn<'_>) -> heed::Result<Snapshot> {
        Ok(Snapshot {
            operators: all(self.operators, txn)?,
            pools: all(self.pools, txn)?,
            workers: all(self.workers, txn)?,
            revision: self.meta.get(txn, REVISION)?.unwrap_or_default(),
        })
    }

    fn store(&self, txn: &mut RwTxn<'_>, affected: &Affected) -> heed::Result<()> {
        match &affected.before {
            Some(Record::Operator(operator)) => drop(self.operators.delete(txn, &operator.name)?),
            Some(Record::Pool(pool)) => drop(self.pools.delete(txn, &pool_key(pool.pid))?),
            Some(Record::Worker(worker)) => drop(self.workers.delete(txn, &worker.name)?),
            None => {}
        }
        match &affected.after {
            Some(Record::Operator(operator)) => self.operators.put(txn, &operator.name, operator),
            Some(Record::Pool(pool)) => self.pools.put(txn, &pool_key(pool.pid), pool),
            Some(Record::Worker(worker)) => self.workers.put(txn, &worker.name, worker),
            None => Ok(()),
        }
    }

    fn failing<T>(&self, run: impl FnOnce() -> heed::Result<T>) -> Result<T, InventoryError> {
        run().map_err(|cause| InventoryError::Database { path: self.path.clone(), cause })
    }
}

/// What a failing database says, with what to do about it.
fn database(path: &Path, cause: &heed::Error) -> String {
    use heed::MdbError as Mdb;
    let remedy = match cause {
        heed::Error::Io(cause) => return unusable("use the inventory in", path, cause),
        heed::Error::Mdb(Mdb::Corrupted | Mdb::PageNotFound | Mdb::Invalid | Mdb::Panic)
        | heed::Error::Decoding(_) => {
            "it is damaged: put back a copy of the folder, or move it away and make it again with `prb inventory import`"
        }
        heed::Error::Mdb(Mdb::MapFull) => "it is full: remove what is not needed",
        heed::Error::Mdb(Mdb::ReadersFull) => "too many commands read it at once: try again",
        _ => "try again; if that does not help, put back a copy of the folder",
    };
    format!("inventory in {}: {cause}; {remedy}", path.display())
}

fn all<T: Serialize + DeserializeOwned + 'static>(
    database: Table<T>,
    txn: &RoTxn<'_>,
) -> heed::Result<Vec<T>> {
    database.iter(txn)?.map(|entry| entry.map(|(_, value)| value)).collect()
}

/// Zero-padded, so that key order is number order.
fn pool_key(pid: u64) -> String {
    format!("{pid:020}")
}

/// An endpoint in a form in which equal ones are equal: the host in small letters, no default port, no last slash.
pub(crate) fn normal_endpoint(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let scheme = scheme.to_ascii_lowercase();
    let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    format!("{scheme}://{authority}{}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
