//! The store on disk: one LMDB environment in one folder.

mod env;
mod fail;
mod options;
mod pack;
mod prune;
mod read;
mod space;
mod stat;
mod value;
mod verify;
mod write;

pub use env::FORMAT;
#[cfg(any(test, feature = "testkit"))]
pub use fail::{FailPoint, Failing, Step};
pub use options::LmdbOptions;
pub use prune::{PruneError, PrunePlan, Pruning};
pub use stat::{Stat, StoredItem, TableStat};
pub use verify::{Damage, Part, Progress, Tally, Verification};

use crate::memory::changed;
use async_trait::async_trait;
use bytes::Bytes;
use env::Tables;
use heed::{RoTxn, WithoutTls};
use pack::{Dictionaries, Press};
use prb_core::{
    id::{Hash, Height},
    port::{Append, Blob, BlobStore, Coverage, Cursor, Genesis, NodeStore, Rung, StoreError, Stream},
    span::Span,
};
use space::{ReaderLock, WriterLock};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, AtomicU64},
    },
};
use tokio::sync::watch;
use tracing::{field::display, warn};
use write::Failure;

/// A store on disk. Clones share it; the last one dropped closes it.
///
/// The folder holds LMDB's `data.mdb` and `lock.mdb`, and `writer.lock`, which the writing process holds, and empties
/// when it closes the store.
/// Every commit is durable when it returns. The asynchronous methods need a tokio runtime, for they do the work
/// on its blocking threads; a future that is dropped before it is ready does not stop the work.
#[derive(Clone, Debug)]
pub struct LmdbStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    options: LmdbOptions,
    /// The open environment, none once closed. Transactions run under the read side; who changes the map under
    /// everyone's feet takes the write side.
    gate: RwLock<Option<Tables>>,
    /// In a store that only reads: what keeps others from exchanging its file.
    read_only: Option<ReaderLock>,
    /// Held by whoever writes; holds the folder's lock, none once closed. Stands below `gate`, for the environment
    /// is closed before the folder is free.
    writer: Mutex<Option<WriterLock>>,
    /// What the writer compresses with. Stands below `gate`.
    press: Mutex<Press>,
    /// What readers decompress with.
    dictionaries: Dictionaries,
    /// How many write transactions there were.
    writes: AtomicU64,
    /// Whether the last one found no space.
    full: AtomicBool,
    coverage: watch::Sender<Option<Coverage>>,
    /// The genesis while somebody uses it: it carries the whole state at block 0.
    genesis: Mutex<Weak<Genesis>>,
}

/// How many items a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Items of each stream, in the order of [`Stream::ALL`].
    pub streams: [(Stream, u64); Stream::ALL.len()],
    /// Justified blocks that a batch may end at.
    pub rungs: u64,
    /// Nodes of the state copy.
    pub nodes: u64,
}

impl LmdbStore {
    /// Opens the store in `folder`, creates it where there is none.
    ///
    /// This blocks. It refuses a folder that another process (or another store of this one) writes to, data of
    /// a newer release, and data of other chains than [`LmdbOptions::identity`]. Data of an older release is
    /// brought to the present format first.
    pub fn open(folder: impl AsRef<Path>, options: LmdbOptions) -> Result<Self, StoreError> {
        let folder = folder.as_ref().to_owned();
        let mut writer = space::lock(&folder)?;
        space::remove_leftovers(&folder)?;
        let tables = env::open(&folder, &options).map_err(|failure| failure.into_error(&folder))?;
        space::sync_names(&folder)?;
        let coverage = {
            let reader = tables.env.read_txn().map_err(|error| Failure::from(error).into_error(&folder))?;
            read::coverage(&tables, &reader).map_err(|failure| failure.into_error(&folder))?
        };
        if writer.open() {
            metrics::counter!("prb_store_unclean_opens_total").increment(1);
            let last = |span: Option<Span>| span.map(|span| display(span.last()));
            warn!(
                folder = %folder.display(),
                relay = coverage.and_then(|coverage| last(coverage.relay)),
                changes = coverage.and_then(|coverage| last(coverage.changes)),
                "the store was not closed in order, its process was killed or crashed; all that was committed is there"
            );
        }
        Ok(Self {
            inner: Arc::new(Inner {
                folder,
                options,
                gate: RwLock::new(Some(tables)),
                read_only: None,
                writer: Mutex::new(Some(writer)),
                press: Mutex::default(),
                dictionaries: Dictionaries::default(),
                writes: AtomicU64::default(),
                full: AtomicBool::default(),
                coverage: watch::Sender::new(coverage),
                genesis: Mutex::default(),
            }),
        })
    }

    /// Opens the store in `folder` for reading only, also while another process writes to it. What that process
    /// adds is seen by later reads; [`BlobStore::coverage`] and [`BlobStore::wait`] stay at what was there when it
    /// was opened, and [`BlobStore::append`] is refused.
    ///
    /// This blocks. It refuses a folder without a store, and data of a newer or older release.
    pub fn open_read_only(folder: impl AsRef<Path>, options: LmdbOptions) -> Result<Self, StoreError> {
        let folder = folder.as_ref().to_owned();
        let lock = space::lock_reading(&folder)?;
        let tables = env::open_read_only(&folder, &options).map_err(|failure| failure.into_error(&folder))?;
        let store = Self {
            inner: Arc::new(Inner {
                folder,
                options,
                gate: RwLock::new(Some(tables)),
                read_only: Some(lock),
                writer: Mutex::new(None),
                press: Mutex::default(),
                dictionaries: Dictionaries::default(),
                writes: AtomicU64::default(),
                full: AtomicBool::default(),
                coverage: watch::Sender::new(None),
                genesis: Mutex::default(),
            }),
        };
        store.inner.coverage.send_replace(store.inner.read(read::coverage)?);
        Ok(store)
    }

    /// Fails, with what to do about it, unless there is a store in `folder`. Nothing is opened or made.
    pub fn must_be_in(folder: impl AsRef<Path>) -> Result<(), StoreError> {
        let folder = folder.as_ref();
        if space::is_there(folder)? { Ok(()) } else { Err(space::no_store(folder)) }
    }

    /// The folder it is in.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// Size of the data file, in bytes. Pages that became free stay in it until [`Self::compact`].
    pub async fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.read_with(|tables, _| Ok(tables.env.real_disk_size()?)).await
    }

    /// How many items it holds.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.read_with(read::counts).await
    }

    /// Rewrites the data file without its free pages. Writing waits meanwhile, reading only for the moment in
    /// which the files are exchanged. Needs as much free space as the store uses.
    pub async fn compact(&self) -> Result<(), StoreError> {
        self.blocking(Inner::compact).await
    }

    /// Closes the store for all clones, after what is under way, and frees its folder for another process. What
    /// is asked later is answered with an error.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.blocking(|inner| {
            inner.close();
            Ok(())
        })
        .await
    }

    /// Runs `work` on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| StoreError::Backend(format!("its thread is gone: {error}")))?
    }

    async fn read_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tables, &RoTxn<'_, WithoutTls>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(move |inner| inner.read(work)).await
    }
}

#[async_trait]
impl BlobStore for LmdbStore {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        if let Some(genesis) = self.inner.genesis().upgrade() {
            return Ok(Some(genesis));
        }
        self.blocking(|inner| {
            let genesis = inner.read(read::genesis)?.map(Arc::new);
            if let Some(genesis) = &genesis {
                *inner.genesis() = Arc::downgrade(genesis);
            }
            Ok(genesis)
        })
        .await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        Ok(*self.inner.coverage.borrow())
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.read_with(read::cursor).await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.read_with(move |tables, txn| read::rungs(tables, txn, from, limit)).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        self.blocking(move |inner| {
            inner.read(|tables, txn| read::items(tables, txn, &inner.dictionaries, stream, span, max_bytes))
        })
        .await
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.append(&append)).await
    }

    async fn repair(&self, stream: Stream, blob: Blob) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.repair(stream, &blob)).await
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        changed(&self.inner.coverage, known).await;
        Ok(())
    }
}

impl NodeStore for LmdbStore {
    fn node(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        self.inner.read(|tables, txn| read::node(tables, txn, hash))
    }
}

impl Inner {
    /// Runs `work` in a read transaction.
    fn read<T>(
        &self,
        work: impl FnOnce(&Tables, &RoTxn<'_, WithoutTls>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.follow_map()?;
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let tables = gate.as_ref().ok_or_else(closed)?;
        let txn = match tables.env.read_txn() {
            // Processes that died with a read under way leave their places taken.
            Err(heed::Error::Mdb(heed::MdbError::ReadersFull)) => {
                self.clear_stale_readers()?;
                tables.env.read_txn()
            }
            answer => answer,
        };
        let answer = txn.map_err(Failure::from).and_then(|txn| work(tables, &txn));
        answer.map_err(|failure| failure.into_error(&self.folder))
    }

    /// In a store that only reads: takes over the size of the map where the writing process has enlarged it.
    fn follow_map(&self) -> Result<(), StoreError> {
        if self.read_only.is_none() {
            return Ok(());
        }
        {
            let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            let tables = gate.as_ref().ok_or_else(closed)?;
            if !matches!(tables.env.read_txn(), Err(heed::Error::Mdb(heed::MdbError::MapResized))) {
                return Ok(());
            }
        }
        // As for the writer: whoever holds the write side knows that there is no transaction.
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let tables = gate.as_ref().ok_or_else(closed)?;
        env::adopt_map_size(tables).map_err(|failure| failure.into_error(&self.folder))
    }

    fn genesis(&self) -> MutexGuard<'_, Weak<Genesis>> {
        self.genesis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.gate.write().unwrap_or_else(PoisonError::into_inner).take();
        writer.take();
    }
}

fn closed() -> StoreError {
    StoreError::Backend("it is closed".to_owned())
}

#[cfg(test)]
mod tests;
