//! Writing an archive into a folder.

mod writer;

pub(crate) use writer::{LOCK_FILE, lock_folder};

use super::{ArchiveError, Manifest, Segment, segment};
use prb_core::{
    id::Height,
    port::{BlobStore, Coverage, Rung, StoreError, Stream},
    span::Span,
    wire::FrameHead,
};
use std::path::Path;
use writer::{Gap, Writer};

/// How much is read from the store at once, bytes.
const CHUNK: usize = 4 << 20;
/// Rungs read at once.
const RUNGS: usize = 1000;

/// How to export.
#[derive(Clone, Copy, Debug)]
pub struct ExportOptions {
    /// Wished size of a segment, bytes of frames. Larger ones compress better; who imports holds a few of them in
    /// memory. An archive keeps the size it began with. Typical: 8 MiB.
    pub segment_bytes: usize,
    /// Take files that are there and have their length for whole, without reading them. Saves the time of reading the
    /// whole archive; one that was damaged on its disk stays damaged. Typical: false.
    pub quick: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, quick: false }
    }
}

/// What an export is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportStep {
    /// Reading the files that are there.
    Checking,
    /// Adding what they lack.
    Writing,
}

/// How far an export has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exporting {
    /// What it is at.
    pub step: ExportStep,
    /// Which stream it is at.
    pub stream: Stream,
    /// Files checked or blocks written, of all streams.
    pub done: u64,
    /// How many there are to do, of all streams.
    pub of: u64,
    /// Bytes read of files or items.
    pub bytes: u64,
}

/// What an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Old files removed.
    pub removed: u64,
}

/// Brings the archive in `folder` up to the newest whole authority set of `store`; begins one where there is none.
///
/// Killed at any moment it goes on where it was. A manifest is written only once every file that it names is safe on
/// disk. Memory: one segment and what it compresses to.
pub async fn export(
    store: &dyn BlobStore,
    folder: &Path,
    options: ExportOptions,
    progress: &mut (dyn FnMut(Exporting) + Send),
) -> Result<(Manifest, Exported), ArchiveError> {
    let coverage = store.coverage().await?.ok_or(ArchiveError::Nothing)?;
    let genesis = store.genesis().await?.ok_or(ArchiveError::Nothing)?;
    let end = last_set(store).await?.ok_or(ArchiveError::Nothing)?;
    let mut writer = Writer::open(folder, &genesis, &coverage, options)?;
    writer.forget_lost(options.quick, progress).await?;
    let gaps = Stream::ALL.map(|stream| (stream, writer.missing(stream, limit(stream, end, &coverage))));
    // An archive that cannot be brought up to the store stays as it is.
    for (stream, gap) in &gaps {
        if let Some(gap) = gap {
            reaches_back(*stream, gap.needed(), &coverage)?;
        }
    }
    for lost in &writer.lost {
        if limit(lost.stream, end, &coverage).is_none_or(|limit| limit.0 < lost.last) {
            let (place, name) = (folder.display().to_string(), lost.name.clone());
            let cause = "is lost or damaged, and the store ends before what comes after it".to_owned();
            return Err(ArchiveError::Damaged { place, name, cause });
        }
    }
    writer.begin(&genesis)?;
    let of = gaps.iter().flat_map(|(_, gap)| gap).map(|gap| gap.span.count()).sum();
    let (step, stream) = (ExportStep::Writing, Stream::RelayHeaders);
    let mut seen = Exporting { step, stream, done: 0, of, bytes: 0 };
    for (stream, gap) in gaps {
        let Some(mut gap) = gap else { continue };
        seen.stream = stream;
        progress(seen);
        let tail = match gap.tail {
            None => None,
            Some(segment) => match writer.content(stream, segment).await {
                Ok(frames) => Some((segment, frames)),
                // What the store has can be read there as well.
                Err(cause) => {
                    reaches_back(stream, gap.span.first(), &coverage).map(|()| None).or(Err(cause))?
                }
            },
        };
        if tail.is_none() {
            gap.tail = None;
        }
        writer = add(store, writer, &gap, tail, &mut seen, progress).await?;
    }
    let finish = tokio::task::spawn_blocking(move || writer.finish());
    finish.await.map_err(|error| ArchiveError::Backend(error.to_string()))?
}

/// The newest rung that closes an authority set.
pub(crate) async fn last_set(store: &dyn BlobStore) -> Result<Option<Rung>, StoreError> {
    let (mut from, mut last) = (Height(0), None);
    loop {
        let rungs = store.rungs(from, RUNGS).await?;
        let Some(newest) = rungs.last() else { return Ok(last) };
        from = newest.at.next();
        last = rungs.iter().rev().find(|rung| rung.closes_set).copied().or(last);
    }
}

/// The last height of a stream that goes into an archive which ends at `end`.
fn limit(stream: Stream, end: Rung, coverage: &Coverage) -> Option<Height> {
    let para = if coverage.parachain { end.para } else { Some(end.at) };
    match stream {
        Stream::ParaHeaders => end.para.filter(|_| coverage.parachain),
        Stream::Changes => Some(coverage.changes?.last().min(para?)),
        _ => Some(end.at),
    }
}

/// Refuses a store that does not hold what is missing.
fn reaches_back(stream: Stream, needed: Height, coverage: &Coverage) -> Result<(), ArchiveError> {
    let held = match stream {
        Stream::RelayHeaders => coverage.relay,
        Stream::ParaHeaders => coverage.para,
        Stream::Changes => coverage.changes,
        _ => return Ok(()),
    };
    match held.map(Span::first).filter(|first| needed < *first) {
        Some(first) => Err(ArchiveError::Pruned { stream, needed: needed.0, first: first.0 }),
        None => Ok(()),
    }
}

/// Adds the items of a gap in segments, after the frames of the short segment at its beginning; the last one ends where
/// the gap does, whatever its size.
async fn add(
    store: &dyn BlobStore,
    mut writer: Writer,
    gap: &Gap,
    tail: Option<(Segment, Vec<u8>)>,
    seen: &mut Exporting,
    progress: &mut (dyn FnMut(Exporting) + Send),
) -> Result<Writer, ArchiveError> {
    let stream = seen.stream;
    let wished = writer.segment_bytes();
    let (span, mut first) = (gap.span, gap.span.first());
    let mut from = Span::new(gap.needed(), span.last());
    seen.done += u64::from(gap.needed().since(first));
    let (mut items, mut frames) = tail.map_or_else(Default::default, |(tail, frames)| (tail.items, frames));
    while let Some(rest) = from {
        let blobs = store.read(stream, rest, CHUNK).await?;
        if blobs.is_empty() && !stream.is_sparse() {
            return Err(StoreError::Damaged { stream, height: rest.first() }.into());
        }
        // A stream with items at some heights only has none behind these.
        let done = blobs.last().map_or(span.last(), |last| last.height);
        for blob in blobs {
            let (frame, height) = (FrameHead::LEN + blob.bytes.len(), blob.height);
            frames.reserve(frame);
            segment::push(&mut frames, stream, &blob);
            items += 1;
            seen.bytes += blob.bytes.len() as u64;
            if frames.len() >= wished {
                let range = Span::new(first, height);
                writer = written(writer, stream, range, items, std::mem::take(&mut frames)).await?;
                (first, items) = (height.next(), 0);
            }
        }
        seen.done += u64::from(done.since(rest.first())) + 1;
        progress(*seen);
        from = Span::new(done.next(), span.last());
    }
    if let Some(range) = Span::new(first, span.last()) {
        writer = written(writer, stream, Some(range), items, frames).await?;
    }
    Ok(writer)
}

/// Adds a segment on a thread that may block.
async fn written(
    mut writer: Writer,
    stream: Stream,
    range: Option<Span>,
    items: u64,
    frames: Vec<u8>,
) -> Result<Writer, ArchiveError> {
    let work = tokio::task::spawn_blocking(move || {
        let range = range.ok_or_else(|| ArchiveError::Backend(format!("{stream} is not in order")))?;
        writer.add(stream, range, items, frames)?;
        Ok(writer)
    });
    work.await.map_err(|error| ArchiveError::Backend(error.to_string()))?
}
