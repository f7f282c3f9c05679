//! The folder of a store: its lock, free space, and compaction.

use super::{Inner, closed, env, env::Tables, write::Failure};
use heed::CompactionOption;
use prb_core::{fault::unusable, port::StoreError};
use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Seek, SeekFrom, Write},
    path::Path,
    sync::PoisonError,
};

/// LMDB's data file.
pub(super) const DATA_FILE: &str = "data.mdb";
/// The file whose lock the writing process holds.
const LOCK_FILE: &str = "writer.lock";
/// The file whose lock reading processes share.
const READERS_FILE: &str = "readers.lock";
/// Where compaction writes; leftovers of an interrupted one are removed.
const COMPACT_FILE: &str = "data.mdb.compact";
/// Where free space is tried out.
const PROBE_FILE: &str = "space.probe";

/// What the lock's file holds while the store is open for writing, or after it was not closed in order.
const OPEN: &[u8] = b"open\n";

/// The held lock. It goes with the process, also in a crash.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
    /// Whether the store was opened under it.
    opened: bool,
}

impl WriterLock {
    /// Notes that the store is open; whether it was not closed in order the last time: its process was killed, or
    /// crashed. A note that cannot be written costs a line of the log, no more.
    pub(super) fn open(&mut self) -> bool {
        self.opened = true;
        let was_left = self.file.metadata().is_ok_and(|file| file.len() > 0);
        let _ = self.file.write_all(OPEN);
        was_left
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        if self.opened {
            let _ = self.file.set_len(0);
        }
        // Closing the file is not enough: a child process that is just being started holds a copy of it for a
        // moment. If unlocking fails, closing is what is left.
        let _ = self.file.unlock();
    }
}

/// Creates `folder` where it does not exist, and takes its lock.
pub(super) fn lock(folder: &Path) -> Result<WriterLock, StoreError> {
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    if let Some(parent) = folder.parent().filter(|parent| is_new && !parent.as_os_str().is_empty()) {
        sync_names(parent)?;
    }
    let path = folder.join(LOCK_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| failed(folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(WriterLock { file, opened: false }),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(failed(folder, &error)),
    }
}

/// The held lock of a process that only reads, shared with others of its kind.
#[derive(Debug)]
pub(super) struct ReaderLock {
    /// Closing it frees the lock, see [`WriterLock`] for why that does not matter here.
    _file: File,
}

/// Takes the lock of those who only read: while one holds it, the data file is not exchanged.
pub(super) fn lock_reading(folder: &Path) -> Result<ReaderLock, StoreError> {
    if !is_there(folder)? {
        return Err(no_store(folder));
    }
    let path = folder.join(READERS_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| failed(folder, &error))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(ReaderLock { _file: file }),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Backend(format!("{} is being compacted; try again later", folder.display())))
        }
        Err(TryLockError::Error(error)) => Err(failed(folder, &error)),
    }
}

/// Whether there is a store in `folder`; an error where that cannot be seen.
pub(super) fn is_there(folder: &Path) -> Result<bool, StoreError> {
    match fs::metadata(folder.join(DATA_FILE)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(folder, &error)),
    }
}

/// What is said where there is none.
pub(super) fn no_store(folder: &Path) -> StoreError {
    StoreError::Backend(format!(
        "{} holds no store yet; check data_dir, or begin one with `prb run`, `prb data-provider` or `prb store import`",
        folder.display()
    ))
}

/// Keeps processes that only read from opening the data file, refused while one has it open. LMDB's lock file tells
/// them which version is current, and that is another one in an exchanged file.
fn lock_exchange(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(READERS_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| failed(folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(failed(folder, &error)),
    }
}

/// Makes the names of new files durable, as syncing the files does not.
pub(super) fn sync_names(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))
}

/// Removes what an interrupted process left.
pub(super) fn remove_leftovers(folder: &Path) -> Result<(), StoreError> {
    for name in [COMPACT_FILE, PROBE_FILE] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(folder, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether nothing can be written where the data file ends, for want of space or because no file may be larger.
pub(super) fn is_exhausted(folder: &Path) -> bool {
    let path = folder.join(PROBE_FILE);
    let end = fs::metadata(folder.join(DATA_FILE)).map_or(0, |file| file.len());
    let written = File::create(&path).and_then(|mut file| {
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&[0xa5; 64 << 10])?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    written.is_err_and(|error| is_full(&error))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn failed(folder: &Path, error: &io::Error) -> StoreError {
    if is_full(error) {
        return StoreError::DiskFull;
    }
    StoreError::Backend(unusable("use", folder, error))
}

impl Inner {
    pub(super) fn compact(&self) -> Result<(), StoreError> {
        if self.read_only.is_some() {
            return Err(StoreError::ReadOnly);
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.revive(&writer)?;
        let _alone = lock_exchange(&self.folder)?;
        let copy = self.folder.join(COMPACT_FILE);
        {
            let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            let tables = gate.as_ref().ok_or_else(closed)?;
            let file = tables.env.copy_to_path(&copy, CompactionOption::Enabled);
            let file = file.map_err(|error| Failure::from(error).into_error(&self.folder))?;
            file.sync_all().map_err(|error| failed(&self.folder, &error))?;
        }
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.exchange(&mut gate, || {
            fs::rename(&copy, self.folder.join(DATA_FILE))?;
            File::open(&self.folder)?.sync_all()
        })
    }

    /// Closes the environment, does `between`, and opens it again, whatever came of that. Where that fails, the next
    /// write tries again. The caller holds the writer's mutex.
    pub(super) fn exchange(
        &self,
        gate: &mut Option<Tables>,
        between: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), StoreError> {
        drop(gate.take().ok_or_else(closed)?);
        self.dictionaries.clear();
        let done = between().map_err(|error| failed(&self.folder, &error));
        let tables = env::open(&self.folder, &self.options);
        *gate = Some(tables.map_err(|failure| failure.into_error(&self.folder))?);
        done
    }
}
