//! Writing record files.

use super::{GENESIS, Kind, Part, RecordsError, failed};
use crate::archive::{LOCK_FILE, last_set, lock_folder};
use codec::{Compact, Encode};
use prb_core::{
    id::Height,
    port::{Blob, BlobStore, Coverage, Genesis, Rung, StoreError, Stream},
    span::Span,
};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// How much is read from the store at once, bytes.
const CHUNK: usize = 4 << 20;

/// What an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsExported {
    /// Records added.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Brings the record files in `folder` up to the newest whole authority set of `store`; begins them where there are
/// none. Records are only ever added, so an interrupted export goes on where it was. Files that were split are not
/// continued. `progress` is told the kind, the records done and to do, and the bytes written.
pub async fn export(
    store: &dyn BlobStore,
    folder: &Path,
    progress: &mut (dyn FnMut(Kind, u64, u64, u64) + Send),
) -> Result<RecordsExported, RecordsError> {
    let coverage = store.coverage().await?.ok_or(RecordsError::Nothing)?;
    let genesis = store.genesis().await?.ok_or(RecordsError::Nothing)?;
    let end = last_set(store).await?.ok_or(RecordsError::Nothing)?;
    fs::create_dir_all(folder).map_err(|cause| failed(folder, cause))?;
    let _lock = lock(folder)?;
    begin(folder, &genesis)?;
    let mut done = RecordsExported::default();
    let mut work = Vec::new();
    for kind in Kind::ALL {
        let path = folder.join(kind.name());
        let held = if path.exists() { Part::scan(path.clone())? } else { None };
        let next = held.as_ref().map_or(first(kind, &genesis), |held| held.span.last().next());
        let whole = held.map_or(0, |held| held.end);
        let span = last(kind, end, &coverage).and_then(|last| Span::new(next, last));
        work.extend(span.map(|span| (kind, path, whole, span)));
    }
    let of = work.iter().map(|(_, _, _, span)| span.count()).sum();
    for (kind, _, _, span) in &work {
        reaches_back(*kind, span.first(), &coverage)?;
    }
    for (kind, path, whole, span) in work {
        let mut file = Appending::open(path, whole)?;
        let mut rest = Some(span);
        while let Some(left) = rest {
            let records = records(store, kind, left, coverage.parachain).await?;
            let count = records.len() as u32;
            file = file.add(records).await?;
            (done.records, done.bytes) = (done.records + u64::from(count), done.bytes + file.added);
            file.added = 0;
            progress(kind, done.records, of, done.bytes);
            rest = left.skip(count);
        }
        file.finish().await?;
    }
    Ok(done)
}

/// Keeps other exports out of the folder for as long as the file is open.
fn lock(folder: &Path) -> Result<File, RecordsError> {
    let lock = lock_folder(folder).map_err(|cause| failed(&folder.join(LOCK_FILE), cause))?;
    lock.ok_or_else(|| RecordsError::Busy { folder: folder.display().to_string() })
}

/// Writes the genesis record, or checks the one that is there.
fn begin(folder: &Path, genesis: &Genesis) -> Result<(), RecordsError> {
    let path = folder.join(GENESIS);
    match super::read_genesis(folder)? {
        Some(found) if found.block_header != genesis.relay.block_header => {
            let (found, expected) = (found.block_header.hash().to_string(), genesis.start().hash.to_string());
            Err(RecordsError::ForeignChain { path: path.display().to_string(), found, expected })
        }
        Some(_) => Ok(()),
        None if super::are_in(folder) => Err(RecordsError::Unnamed { folder: folder.display().to_string() }),
        None => {
            let part = folder.join("genesis.bin.part");
            let written = File::create(&part).and_then(|mut file| {
                file.write_all(&genesis.relay.encode())?;
                file.sync_all()?;
                fs::rename(&part, &path)
            });
            written.map_err(|cause| failed(&path, cause))
        }
    }
}

fn first(kind: Kind, genesis: &Genesis) -> Height {
    match kind {
        Kind::Headers => genesis.start().height.next(),
        Kind::ParaHeaders => Height(0),
        Kind::Changes => Height(1),
    }
}

fn last(kind: Kind, end: Rung, coverage: &Coverage) -> Option<Height> {
    let para = if coverage.parachain { end.para } else { Some(end.at) };
    match kind {
        Kind::Headers => Some(end.at),
        Kind::ParaHeaders => end.para.filter(|_| coverage.parachain),
        Kind::Changes => Some(coverage.changes?.last().min(para?)),
    }
}

fn reaches_back(kind: Kind, needed: Height, coverage: &Coverage) -> Result<(), RecordsError> {
    let held = match kind {
        Kind::Headers => coverage.relay,
        Kind::ParaHeaders => coverage.para,
        Kind::Changes => coverage.changes,
    };
    match held.map(Span::first).filter(|first| needed < *first) {
        Some(first) => Err(RecordsError::Pruned { name: kind.name(), needed: needed.0, first: first.0 }),
        None => Ok(()),
    }
}

/// The next records of `span`, at least one.
async fn records(
    store: &dyn BlobStore,
    kind: Kind,
    span: Span,
    parachain: bool,
) -> Result<Vec<Vec<u8>>, RecordsError> {
    let items = async |stream, span, bytes| {
        let blobs = store.read(stream, span, bytes).await?;
        match blobs.is_empty() {
            true => Err(StoreError::Damaged { stream, height: span.first() }),
            false => Ok(blobs),
        }
    };
    let mut records = Vec::new();
    match kind {
        Kind::Headers => {
            for header in items(Stream::RelayHeaders, span, CHUNK / 8).await? {
                records.push(relay_record(store, &header).await?);
            }
        }
        Kind::ParaHeaders => {
            let headers = items(Stream::ParaHeaders, span, CHUNK).await?;
            records.extend(headers.into_iter().map(|header| header.bytes.to_vec()));
        }
        Kind::Changes => {
            let changes = items(Stream::Changes, span, CHUNK).await?;
            let stream = if parachain { Stream::ParaHeaders } else { Stream::RelayHeaders };
            let span = span.take(changes.len() as u32);
            let headers = items(stream, span, usize::MAX).await?;
            for (header, changes) in headers.into_iter().zip(changes) {
                let damaged = StoreError::Damaged { stream, height: header.height };
                let mut record = numbered(&header).ok_or(damaged)?;
                record.extend_from_slice(&changes.bytes);
                records.push(record);
            }
        }
    }
    Ok(records)
}

async fn relay_record(store: &dyn BlobStore, header: &Blob) -> Result<Vec<u8>, StoreError> {
    let mut record = header.bytes.to_vec();
    let one = async |stream| {
        let read = store.read(stream, Span::one(header.height), 0).await?;
        Ok::<_, StoreError>(read.into_iter().next().map(|blob| blob.bytes))
    };
    let Some(justification) = one(Stream::Justifications).await? else {
        record.extend([0, 0, 0]);
        return Ok(record);
    };
    record.push(1);
    Compact(justification.len() as u32).encode_to(&mut record);
    record.extend_from_slice(&justification);
    for stream in [Stream::ParaHeads, Stream::SetChanges] {
        match one(stream).await? {
            Some(item) => {
                record.push(1);
                record.extend_from_slice(&item);
            }
            None => record.push(0),
        }
    }
    Ok(record)
}

/// A header with nothing but the number and the state root of `header`, as headers-cache keeps it with changes.
fn numbered(header: &Blob) -> Option<Vec<u8>> {
    const HASH: usize = 32;
    let number = Compact(header.height.0).encode();
    let root = header.bytes.get(HASH + number.len()..)?.get(..HASH)?;
    Some([&[0; HASH], number.as_slice(), root, &[0; HASH], &[0]].concat())
}

/// A file that records are added to.
struct Appending {
    path: Arc<PathBuf>,
    file: BufWriter<File>,
    added: u64,
}

impl Appending {
    /// Continues behind the first `whole` bytes.
    fn open(path: PathBuf, whole: u64) -> Result<Self, RecordsError> {
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let opened = opened.and_then(|mut file| {
            file.set_len(whole)?;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(whole))?;
            Ok(file)
        });
        let file = opened.map_err(|cause| failed(&path, cause))?;
        Ok(Self { path: Arc::new(path), file: BufWriter::with_capacity(1 << 20, file), added: 0 })
    }

    async fn add(self, records: Vec<Vec<u8>>) -> Result<Self, RecordsError> {
        self.blocking(move |this| {
            for record in records {
                this.file.write_all(&(record.len() as u32).to_be_bytes())?;
                this.file.write_all(&record)?;
                this.added += 4 + record.len() as u64;
            }
            Ok(())
        })
        .await
    }

    async fn finish(self) -> Result<(), RecordsError> {
        let finished = self.blocking(|this| {
            this.file.flush()?;
            this.file.get_ref().sync_all()
        });
        finished.await.map(drop)
    }

    async fn blocking(
        mut self,
        work: impl FnOnce(&mut Self) -> std::io::Result<()> + Send + 'static,
    ) -> Result<Self, RecordsError> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut self).map(|()| self)).await;
        done.map_err(|error| RecordsError::Backend(error.to_string()))?.map_err(|cause| failed(&path, cause))
    }
}
