//! Writing: one transaction at a time, on one thread.

use super::{
    Inner, closed,
    env::{self, Tables, digest_key, larger, map_size, meta},
    fail::step,
    options::LmdbOptions,
    pack::Packing,
    read,
    space::{self, WriterLock},
    value::{self, Table},
};
use crate::{
    extent::{Extent, Root},
    nodes,
};
use codec::Encode;
use heed::{MdbError, PutFlags, RwTxn};
use prb_core::{
    fault::unusable,
    id::{Hash, Height},
    port::{Append, Blob, NodeChange, RelayAppend, StoreError, Stream},
};
use std::{
    io::ErrorKind,
    path::Path,
    sync::{PoisonError, atomic::Ordering},
};
use tracing::{info, warn};

/// After how many writes dead readers are looked for. They keep pages from being used again, which nothing else
/// shows before the map is full.
const STALE_READERS_EVERY: u64 = 64;

/// Why a transaction failed.
#[derive(Debug)]
pub(super) enum Failure {
    Store(StoreError),
    Heed(heed::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        Self::Heed(error)
    }
}

impl Failure {
    /// The error of the port; `folder` tells a full device from a broken one.
    pub(super) fn into_error(self, folder: &Path) -> StoreError {
        let error = match self {
            Self::Store(error) => return error,
            Self::Heed(error) => error,
        };
        match &error {
            heed::Error::Io(io) if is_full(io, folder) => StoreError::DiskFull,
            heed::Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound | MdbError::Invalid) => {
                StoreError::Broken { what: format!("the data file in {} ({error})", folder.display()) }
            }
            heed::Error::Io(io) => StoreError::Backend(unusable("use", folder, io)),
            _ => StoreError::Backend(error.to_string()),
        }
    }
}

/// Whether `error` means that the device is full. LMDB reports a write that was cut short as an I/O error without
/// a reason, which is what the last free bytes of a device look like.
fn is_full(error: &std::io::Error, folder: &Path) -> bool {
    const EIO: i32 = 5;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => true,
        _ => error.raw_os_error() == Some(EIO) && space::is_exhausted(folder),
    }
}

impl Inner {
    pub(super) fn append(&self, append: &Append) -> Result<(), StoreError> {
        // Kept until readers are told, so that an older coverage never follows a newer one.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let added = self.write_under(&writer, |tables, txn| {
            let packing = Packing::begin(&self.press, tables, txn, self.options.compress)?;
            add(tables, txn, packing, append, &self.options)
        });
        match added {
            Ok(after) => {
                let cursor = append.cursor.as_ref().expect("checked to be there");
                self.coverage.send_replace(after.coverage(cursor));
                self.show_size();
                Ok(())
            }
            Err(error) => {
                // A commit that failed in its very last write may still have reached the disk.
                if let Ok(coverage) = self.read(read::coverage) {
                    self.coverage.send_replace(coverage);
                }
                Err(error)
            }
        }
    }

    /// Puts `blob` over the stored item of its height.
    pub(super) fn repair(&self, stream: Stream, blob: &Blob) -> Result<(), StoreError> {
        self.write(|tables, txn| {
            let target = tables.stream(stream);
            if target.get(txn, &blob.height.0)?.is_none() {
                let expected = target.last(txn)?.map_or(Height(0), |(last, _)| Height(last));
                return Err(StoreError::Gap { stream, expected, offered: blob.height }.into());
            }
            check_digest(tables, txn, stream, blob)?;
            let mut packing = Packing::begin(&self.press, tables, txn, self.options.compress)?;
            // What the writer remembers of dictionaries may be all that is whole of them.
            packing.forget();
            let (key, mut scratch) = (blob.height.0.to_be_bytes(), Vec::new());
            let sealed = packing.seal(tables, txn, (stream, &key), &blob.bytes, &mut scratch)?;
            target.put(txn, &blob.height.0, sealed)?;
            let record = packing.record().encode();
            let sealed = value::seal(&mut scratch, Table::Meta, meta::PACKING.as_bytes(), &[&record]);
            Ok(tables.meta.put(txn, meta::PACKING, sealed)?)
        })
    }

    /// Runs `work` in a write transaction and commits it. Where the map is full it is enlarged and `work` runs
    /// again, in a transaction of its own.
    pub(super) fn write<T>(
        &self,
        work: impl FnMut(&Tables, &mut RwTxn<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.write_under(&self.writer.lock().unwrap_or_else(PoisonError::into_inner), work)
    }

    /// As [`Self::write`], for who holds the writer's mutex.
    pub(super) fn write_under<T>(
        &self,
        writer: &Option<WriterLock>,
        mut work: impl FnMut(&Tables, &mut RwTxn<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        if self.read_only.is_some() {
            return Err(StoreError::ReadOnly);
        }
        self.revive(writer)?;
        let answer = self.write_locked(&mut work);
        self.note_space(answer.as_ref().err());
        answer
    }

    /// The caller holds the writer's mutex.
    fn write_locked<T>(
        &self,
        work: &mut impl FnMut(&Tables, &mut RwTxn<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut looked_for_stale = false;
        if self.writes.fetch_add(1, Ordering::Relaxed) % STALE_READERS_EVERY == STALE_READERS_EVERY - 1 {
            self.clear_stale_readers()?;
        }
        loop {
            let done = {
                let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
                let tables = gate.as_ref().ok_or_else(closed)?;
                tables.env.write_txn().map_err(Failure::from).and_then(|mut txn| {
                    let answer = work(tables, &mut txn)?;
                    txn.commit()?;
                    step!(self.options, Committed);
                    Ok(answer)
                })
            };
            match done {
                Ok(answer) => return Ok(answer),
                Err(Failure::Heed(heed::Error::Mdb(MdbError::MapFull))) => {
                    // What a dead reader kept from being used again may be all that is needed.
                    let cleared = !looked_for_stale && self.clear_stale_readers()? > 0;
                    looked_for_stale = true;
                    if !cleared {
                        self.grow()?;
                    }
                }
                Err(failure) => {
                    if matches!(failure, Failure::Heed(heed::Error::Mdb(MdbError::Panic))) {
                        self.reopen()?;
                    }
                    return Err(failure.into_error(&self.folder));
                }
            }
        }
    }

    /// Frees the places of readers whose processes are gone; how many there were.
    pub(super) fn clear_stale_readers(&self) -> Result<usize, StoreError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let tables = gate.as_ref().ok_or_else(closed)?;
        let cleared = tables.env.clear_stale_readers();
        let cleared = cleared.map_err(|error| Failure::from(error).into_error(&self.folder))?;
        if cleared > 0 {
            metrics::counter!("prb_store_stale_readers_total").increment(cleared as u64);
            warn!(
                readers = cleared,
                "processes that read the store died, the pages they held are free again"
            );
        }
        Ok(cleared)
    }

    /// Shows how large the data file is.
    fn show_size(&self) {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        // Where it is not known, what was appended is stored all the same.
        if let Some(Ok(bytes)) = gate.as_ref().map(|tables| tables.env.real_disk_size()) {
            metrics::gauge!("prb_store_bytes").set(bytes as f64);
        }
    }

    /// Says when the store runs out of space, and when it has some again.
    fn note_space(&self, error: Option<&StoreError>) {
        let what = match error {
            Some(StoreError::DiskFull) => "disk",
            Some(StoreError::MapFull { .. }) => "map",
            Some(_) => return,
            None => {
                if self.full.swap(false, Ordering::Relaxed) {
                    metrics::gauge!("prb_store_full").set(0.0);
                    info!(folder = %self.folder.display(), "the store has space again");
                }
                return;
            }
        };
        metrics::counter!("prb_store_full_total", "what" => what).increment(1);
        metrics::gauge!("prb_store_full").set(1.0);
        if let (false, Some(cause)) = (self.full.swap(true, Ordering::Relaxed), error) {
            warn!(folder = %self.folder.display(), %cause, "the store is full, nothing is added until there is space");
        }
    }

    /// Enlarges the map; the caller holds the writer's mutex and no transaction.
    fn grow(&self) -> Result<(), StoreError> {
        // Every transaction runs under the read side of this gate, so holding the write side means there is none.
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let tables = gate.as_ref().ok_or_else(closed)?;
        let bytes = larger(tables.env.info().map_size as u64, &self.options)?;
        // SAFETY: LMDB asks that no transaction is active, see above.
        #[allow(unsafe_code, reason = "heed leaves it to the caller that no transaction is active")]
        let resized = unsafe { tables.env.resize(map_size(bytes)) };
        resized.map_err(|error| Failure::from(error).into_error(&self.folder))?;
        info!(bytes, "store map enlarged");
        Ok(())
    }

    /// Opens the environment where an earlier attempt to do so failed. A closed store, which has given up the
    /// folder's lock, stays closed.
    pub(super) fn revive(&self, writer: &Option<WriterLock>) -> Result<(), StoreError> {
        if writer.is_none() || self.gate.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let tables = env::open(&self.folder, &self.options);
        let tables = tables.map_err(|failure| failure.into_error(&self.folder))?;
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Some(tables);
        Ok(())
    }

    /// Opens the environment again after LMDB gave up on it (it could not write its root page); the caller holds
    /// the writer's mutex and no transaction.
    fn reopen(&self) -> Result<(), StoreError> {
        warn!(folder = %self.folder.display(), "LMDB gave up on its file, opening it again");
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.exchange(&mut gate, || Ok(()))
    }
}

/// Checks `append` and writes all of it; the extent after it.
fn add(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    packing: Packing<'_>,
    append: &Append,
    options: &LmdbOptions,
) -> Result<Extent, Failure> {
    let before = read::extent(tables, txn)?;
    let after = before.after(append)?;
    let mut writer = Writer { tables, txn, packing, scratch: Vec::new() };
    step!(options, Checked);
    if let (None, Some(genesis)) = (&before.root, &append.genesis) {
        writer.large_record(meta::GENESIS, genesis)?;
        writer.record(meta::ROOT, &Root::of(genesis))?;
    }
    step!(options, Genesis);
    if let Some(relay) = &append.relay {
        if let Some(tip) = before.open_tip {
            writer.remove_rung(tip)?;
        }
        step!(options, OpenTip);
        writer.items(Stream::RelayHeaders, &relay.headers)?;
        step!(options, RelayHeaders);
        writer.rung(relay)?;
        step!(options, Rung);
    }
    writer.items(Stream::ParaHeaders, &append.para_headers)?;
    step!(options, ParaHeaders);
    writer.items(Stream::Changes, &append.changes)?;
    if let Some(form) = after.changes_form.filter(|_| after.changes_form != before.changes_form) {
        writer.record(meta::CHANGES_FORM, &form)?;
    }
    step!(options, Changes);
    if let Some(cursor) = &append.cursor {
        if cursor.state.is_none() && !tables.nodes.is_empty(writer.txn)? {
            tables.nodes.clear(writer.txn)?;
        }
        writer.nodes(&append.nodes)?;
        step!(options, Nodes);
        writer.record(meta::CURSOR, cursor)?;
        writer.record(meta::PACKING, &writer.packing.record())?;
    }
    step!(options, Cursor);
    Ok(after)
}

/// Refuses what is not known to be the item that was appended.
fn check_digest(tables: &Tables, txn: &RwTxn<'_>, stream: Stream, blob: &Blob) -> Result<(), Failure> {
    let Some(key) = digest_key(stream, blob.height) else { return Ok(()) };
    let unrepairable = |why| StoreError::Unrepairable { stream, height: blob.height, why };
    let stored = tables.digests.get(txn, &key)?;
    let stored = stored.ok_or_else(|| unrepairable("it was stored by a release that kept no digests"))?;
    let digest = value::open(Table::Digests, &key, stored);
    let digest = digest.ok_or_else(|| unrepairable("its digest is damaged too"))?;
    if digest != Hash::of(&blob.bytes).0 {
        return Err(unrepairable("what the source answers is not what was verified").into());
    }
    Ok(())
}

/// What an append writes through; one buffer serves all values.
struct Writer<'a, 'e> {
    tables: &'a Tables,
    txn: &'a mut RwTxn<'e>,
    packing: Packing<'a>,
    scratch: Vec<u8>,
}

impl Writer<'_, '_> {
    fn items(&mut self, stream: Stream, blobs: &[Blob]) -> Result<(), Failure> {
        blobs.iter().try_for_each(|blob| self.item(stream, blob.height, &blob.bytes))
    }

    /// Adds an item behind the last of its stream, which packs pages full.
    fn item(&mut self, stream: Stream, height: Height, bytes: &[u8]) -> Result<(), Failure> {
        let key = height.0.to_be_bytes();
        let sealed = self.packing.seal(self.tables, self.txn, (stream, &key), bytes, &mut self.scratch)?;
        let target = self.tables.stream(stream);
        target.put_with_flags(self.txn, PutFlags::APPEND, &height.0, sealed)?;
        if let Some(key) = digest_key(stream, height) {
            let sealed = value::seal(&mut self.scratch, Table::Digests, &key, &[&Hash::of(bytes).0]);
            self.tables.digests.put(self.txn, &key, sealed)?;
        }
        self.packing.added(self.tables, self.txn, stream, bytes.len())
    }

    fn rung(&mut self, relay: &RelayAppend) -> Result<(), Failure> {
        let Some(at) = relay.headers.last().map(|last| last.height) else { return Ok(()) };
        self.item(Stream::Justifications, at, &relay.justification)?;
        if let Some(head) = &relay.para_head {
            self.item(Stream::ParaHeads, at, &head.encode())?;
        }
        if let Some(change) = &relay.set_change {
            self.item(Stream::SetChanges, at, change)?;
        }
        let rung = (relay.para_head.as_ref().map(|head| head.number), relay.closes_set).encode();
        let sealed = value::seal(&mut self.scratch, Table::Rungs, &at.0.to_be_bytes(), &[&rung]);
        Ok(self.tables.rungs.put_with_flags(self.txn, PutFlags::APPEND, &at.0, sealed)?)
    }

    fn remove_rung(&mut self, at: Height) -> Result<(), Failure> {
        for stream in [Stream::Justifications, Stream::ParaHeads, Stream::SetChanges] {
            self.tables.stream(stream).delete(self.txn, &at.0)?;
            if let Some(key) = digest_key(stream, at) {
                self.tables.digests.delete(self.txn, &key)?;
            }
        }
        self.tables.rungs.delete(self.txn, &at.0)?;
        Ok(())
    }

    fn nodes(&mut self, changes: &[NodeChange]) -> Result<(), Failure> {
        for net in nodes::net(changes)? {
            let stored = read::counted_node(self.tables, self.txn, &net.hash)?;
            let count = net.count(stored.map_or(0, |(count, _)| count))?;
            if count == 0 {
                self.tables.nodes.delete(self.txn, &net.hash.0)?;
                continue;
            }
            let node = stored.map(|(_, node)| node).or(net.node.map(|node| node.as_ref()));
            let parts: [&[u8]; 2] = [&count.to_le_bytes(), node.unwrap_or_default()];
            let sealed = value::seal(&mut self.scratch, Table::Nodes, &net.hash.0, &parts);
            self.tables.nodes.put(self.txn, &net.hash.0, sealed)?;
        }
        Ok(())
    }

    fn large_record(&mut self, key: &str, record: &impl Encode) -> Result<(), Failure> {
        let sealed =
            self.packing.seal_record(Table::Meta, key.as_bytes(), &record.encode(), &mut self.scratch);
        Ok(self.tables.meta.put(self.txn, key, sealed)?)
    }

    fn record(&mut self, key: &str, record: &impl Encode) -> Result<(), Failure> {
        let sealed = value::seal(&mut self.scratch, Table::Meta, key.as_bytes(), &[&record.encode()]);
        Ok(self.tables.meta.put(self.txn, key, sealed)?)
    }
}
