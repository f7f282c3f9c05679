//! Reading an archive.

use super::{ArchiveError, MANIFEST, MAX_MANIFEST, Manifest, Place, Segment, manifest::Piece, segment};
use bytes::Bytes;
use prb_core::{
    id::Height,
    port::{Blob, Genesis, Stream},
    span::Span,
    wire,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};
use tracing::warn;

/// How often a file that came damaged over the network is asked for.
const ATTEMPTS: u32 = 3;

/// Longest time for the manifest, however often it is asked for: somebody waits to learn whether there is an archive.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(60);

/// Segments of a stream that are held in memory. Two: the parachain head of a batch may lie behind the end of the segment
/// that the headers before it are in.
const HELD: usize = 2;

/// The items of segments, and where each begins; the one that was used last is the last.
type Held = Vec<(u32, Arc<Vec<Blob>>)>;

/// An archive that is read. Of each stream the two segments that were used last are held in memory, and no other.
#[derive(Debug)]
pub struct Archive {
    place: Place,
    manifest: Manifest,
    held: [Mutex<Held>; Stream::ALL.len()],
    files: AtomicU64,
    bytes: AtomicU64,
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Archive {
    /// Reads the manifest at `place`.
    pub async fn open(place: Place) -> Result<Self, ArchiveError> {
        let text = timeout(MANIFEST_PATIENCE, place.get(MANIFEST, MAX_MANIFEST)).await;
        let text = text.unwrap_or_else(|_| {
            let cause = format!("not there within {MANIFEST_PATIENCE:?}");
            Err(ArchiveError::Unreachable { place: place.name(), name: MANIFEST.to_owned(), cause })
        })?;
        let text = text.ok_or_else(|| ArchiveError::None { place: place.name() })?;
        let manifest = Manifest::parse(&place.name(), &text)?;
        let (files, bytes) = (AtomicU64::new(1), AtomicU64::new(text.len() as u64));
        Ok(Self { place, manifest, held: Default::default(), files, bytes })
    }

    /// What it says that it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is, for errors and logs.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// How much of it was read so far.
    pub fn fetched(&self) -> Fetched {
        Fetched { files: self.files.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// The genesis. It is of the chains that the manifest names; nothing else about it is checked.
    pub async fn genesis(&self) -> Result<Genesis, ArchiveError> {
        let name = self.manifest.genesis_name();
        let decode = |plain: Bytes| {
            let genesis: Genesis = wire::open("genesis", &plain).map_err(|error| error.to_string())?;
            let chain = &self.manifest.chain;
            let same = (genesis.identity(), genesis.start().height.0, genesis.parachain)
                == (chain.identity(), chain.start_height, chain.parachain);
            if same { Ok(genesis) } else { Err("is of other chains than the manifest".to_owned()) }
        };
        self.file(&name, &self.manifest.genesis, decode).await
    }

    /// All items of a stream without gaps at `span`; an error if it does not hold all of them.
    pub async fn items(&self, stream: Stream, span: Span) -> Result<Vec<Bytes>, ArchiveError> {
        let mut items = Vec::with_capacity(usize::try_from(span.count()).unwrap_or(0).min(1 << 16));
        let mut next = Some(span);
        while let Some(rest) = next {
            let segment = self.manifest.segment(stream, rest.first()).ok_or_else(|| {
                let name = format!("{stream} at {}", rest.first());
                ArchiveError::Missing { place: self.name(), name }
            })?;
            let held = self.segment(stream, segment).await?;
            let last = rest.last().0.min(segment.last);
            let (from, to) = (rest.first().0 - segment.first, last - segment.first);
            // Whole: a segment of such a stream was checked to have an item at each height.
            let slice = held.get(from as usize..=to as usize).unwrap_or_default();
            items.extend(slice.iter().map(|blob| blob.bytes.clone()));
            next = rest.skip(last - rest.first().0 + 1);
        }
        Ok(items)
    }

    /// The first item of a stream at or after `from`, none if it holds none.
    pub async fn next_item(&self, stream: Stream, from: Height) -> Result<Option<Blob>, ArchiveError> {
        let mut from = from;
        while let Some(segment) = self.manifest.segment(stream, from) {
            let held = self.segment(stream, segment).await?;
            if let Some(found) = held.get(held.partition_point(|blob| blob.height < from)) {
                return Ok(Some(found.clone()));
            }
            from = Height(segment.last).next();
        }
        Ok(None)
    }

    /// The item of a stream at `height`, none if it holds none.
    pub async fn item(&self, stream: Stream, height: Height) -> Result<Option<Bytes>, ArchiveError> {
        let Some(segment) = self.manifest.segment(stream, height) else { return Ok(None) };
        let held = self.segment(stream, segment).await?;
        let found = held.binary_search_by_key(&height, |blob| blob.height).ok();
        Ok(found.map(|index| held[index].bytes.clone()))
    }

    async fn segment(&self, stream: Stream, segment: &Segment) -> Result<Arc<Vec<Blob>>, ArchiveError> {
        let mut held = self.held[stream as usize].lock().await;
        if let Some(index) = held.iter().position(|(first, _)| *first == segment.first) {
            let found = held.remove(index);
            let blobs = found.1.clone();
            held.push(found);
            return Ok(blobs);
        }
        // Makes room first.
        if held.len() >= HELD {
            held.remove(0);
        }
        let decode = |plain: Bytes| {
            let span = segment.span().ok_or("covers nothing")?;
            let blobs = wire::decode_frames(stream, span, plain).map_err(|error| error.to_string())?;
            let found = blobs.len() as u64;
            if found == segment.items {
                Ok(Arc::new(blobs))
            } else {
                Err(format!("holds {found} items, the manifest says {}", segment.items))
            }
        };
        let blobs = self.file(&segment.name(stream), &segment.piece, decode).await?;
        held.push((segment.first, blobs.clone()));
        Ok(blobs)
    }

    /// What `decode` makes of the content of a file.
    async fn file<T: Send + 'static>(
        &self,
        name: &str,
        piece: &Piece,
        decode: impl Fn(Bytes) -> Result<T, String>,
    ) -> Result<T, ArchiveError> {
        let cap = usize::try_from(piece.bytes).unwrap_or(usize::MAX);
        let mut attempt = 1;
        loop {
            let missing = || ArchiveError::Missing { place: self.name(), name: name.to_owned() };
            let file = self.place.get(name, cap).await?.ok_or_else(missing)?;
            self.files.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(file.len() as u64, Ordering::Relaxed);
            let piece = *piece;
            let unpacked = tokio::task::spawn_blocking(move || segment::unpack(&piece, file)).await;
            let unpacked = unpacked.map_err(|error| ArchiveError::Backend(error.to_string()))?;
            match unpacked.and_then(&decode) {
                Ok(content) => return Ok(content),
                Err(cause) if self.place.is_far() && attempt < ATTEMPTS => {
                    metrics::counter!("prb_archive_damaged_total").increment(1);
                    warn!(name, %cause, "a file of the archive came damaged, asking again");
                    attempt += 1;
                }
                Err(cause) => {
                    metrics::counter!("prb_archive_damaged_total").increment(1);
                    return Err(ArchiveError::Damaged { place: self.name(), name: name.to_owned(), cause });
                }
            }
        }
    }
}
