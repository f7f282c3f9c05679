//! The folder that an archive is written into.

use super::{ExportOptions, ExportStep, Exported, Exporting};
use crate::archive::{
    ArchiveError, FORMAT, MANIFEST, MAX_MANIFEST, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, Manifest, Segment,
    manifest::{Chain, Piece, first_height},
    segment,
};
use prb_core::{
    id::{Hash, Height},
    port::{Coverage, Genesis, Stream},
    span::Span,
    types::sync::ChangesForm,
    wire,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often the manifest is written while segments are added.
const PUBLISHED: Duration = Duration::from_secs(10);
/// The file whose lock the exporting process holds.
pub(crate) const LOCK_FILE: &str = ".export.lock";
/// Ending of files that are not whole yet.
const PART: &str = ".part";

/// What a stream of the archive lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// The last segment, if it is shorter than wished: it is written again with what follows.
    pub(super) tail: Option<Segment>,
    /// The heights of what is written: from the beginning of that segment.
    pub(super) span: Span,
}

impl Gap {
    /// The first height that is not in the archive.
    pub(super) fn needed(&self) -> Height {
        self.tail.map_or(self.span.first(), |tail| Height(tail.last).next())
    }
}

/// Puts files into the folder.
pub(super) struct Writer {
    folder: PathBuf,
    manifest: Manifest,
    /// Names in the manifest that was there at the beginning: readers may still be at it.
    before: BTreeSet<String>,
    published: Instant,
    done: Exported,
    /// Folders with names that may not be on disk yet.
    unsafe_folders: BTreeSet<PathBuf>,
    /// What is to be written again.
    pub(super) lost: Vec<Lost>,
    _lock: File,
}

/// A segment whose file is gone or damaged.
pub(super) struct Lost {
    pub(super) stream: Stream,
    pub(super) name: String,
    /// The last height of the stream in the manifest that was there at the beginning.
    pub(super) last: u32,
}

impl Writer {
    /// Finds out what is there, and leaves it as it is.
    pub(super) fn open(
        folder: &Path,
        genesis: &Genesis,
        coverage: &Coverage,
        options: ExportOptions,
    ) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|cause| failed(folder, cause))?;
        // Nothing is put where something else is, not even the lock.
        if read_manifest(folder)?.is_none() {
            not_something_else(folder)?;
        }
        let lock = lock(folder)?;
        let chain = chain(genesis);
        let text = read_manifest(folder)?;
        let form = coverage.changes_form.unwrap_or(ChangesForm::Written);
        let mut writer = Self {
            folder: folder.to_owned(),
            manifest: Manifest {
                format: FORMAT,
                chain,
                changes_form: form.name().to_owned(),
                state_verified: coverage.state_verified,
                segment_bytes: options.segment_bytes.clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES) as u64,
                genesis: segment::pack(Vec::new())?.0,
                streams: BTreeMap::new(),
            },
            before: BTreeSet::new(),
            published: Instant::now(),
            done: Exported::default(),
            unsafe_folders: BTreeSet::new(),
            lost: Vec::new(),
            _lock: lock,
        };
        if let Some(text) = text {
            let manifest = Manifest::parse(&folder.display().to_string(), &text)?;
            if manifest.chain != chain {
                let (found, expected) = (Box::new(manifest.chain), Box::new(chain));
                return Err(ArchiveError::ForeignChain { found, expected });
            }
            writer.before = manifest.names().collect();
            writer.manifest = manifest;
            writer.manifest.state_verified &= coverage.state_verified;
            let before = ChangesForm::named(&writer.manifest.changes_form).unwrap_or(ChangesForm::Mixed);
            writer.manifest.changes_form = before.and(form).name().to_owned();
        }
        Ok(writer)
    }

    /// Writes the genesis and the first manifest.
    pub(super) fn begin(&mut self, genesis: &Genesis) -> Result<(), ArchiveError> {
        let (piece, file) = segment::pack(wire::seal(genesis).to_vec())?;
        self.manifest.genesis = piece;
        let name = self.manifest.genesis_name();
        self.put(&name, &file)?;
        self.publish()
    }

    pub(super) fn segment_bytes(&self) -> usize {
        usize::try_from(self.manifest.segment_bytes).unwrap_or(MAX_SEGMENT_BYTES)
    }

    /// Takes segments out of the manifest whose files are gone or damaged, with all that follow.
    pub(super) async fn forget_lost(
        &mut self,
        quick: bool,
        progress: &mut (dyn FnMut(Exporting) + Send),
    ) -> Result<(), ArchiveError> {
        let of = self.manifest.streams.values().map(|segments| segments.len() as u64).sum();
        let (step, mut done, mut bytes) = (ExportStep::Checking, 0, 0);
        for stream in Stream::ALL {
            let segments = self.manifest.segments(stream).to_vec();
            let Some(last) = segments.last().map(|segment| segment.last) else { continue };
            for (at, segment) in segments.into_iter().enumerate() {
                let (name, piece) = (segment.name(stream), segment.piece);
                let path = self.folder.join(&name);
                let looked = tokio::task::spawn_blocking(move || is_whole(&path, &piece, quick)).await;
                if !looked.map_err(|error| ArchiveError::Backend(error.to_string()))?? {
                    self.manifest.streams.entry(stream.name().to_owned()).or_default().truncate(at);
                    self.lost.push(Lost { stream, name, last });
                    break;
                }
                if !quick {
                    (done, bytes) = (done + 1, bytes + piece.bytes);
                    progress(Exporting { step, stream, done, of, bytes });
                }
            }
        }
        Ok(())
    }

    /// The frames of a segment.
    pub(super) async fn content(&self, stream: Stream, segment: Segment) -> Result<Vec<u8>, ArchiveError> {
        let (place, name) = (self.folder.display().to_string(), segment.name(stream));
        let path = self.folder.join(&name);
        let work = tokio::task::spawn_blocking(move || {
            let file = fs::read(&path).map_err(|cause| failed(&path, cause))?;
            let frames = segment::unpack(&segment.piece, file.into());
            frames.map_err(|cause| ArchiveError::Damaged { place, name, cause })
        });
        Ok(work.await.map_err(|error| ArchiveError::Backend(error.to_string()))??.into())
    }

    /// What a stream lacks up to `limit`. A last segment that is shorter than wished is written again with what
    /// follows, unless nothing does.
    pub(super) fn missing(&self, stream: Stream, limit: Option<Height>) -> Option<Gap> {
        let (limit, last) = (limit?, self.manifest.segments(stream).last().copied());
        let tail = last.filter(|last| last.piece.plain < self.manifest.segment_bytes);
        let first = match (last, tail) {
            (None, _) => first_height(stream, self.manifest.chain.start_height),
            (Some(last), _) if last.last >= limit.0 => return None,
            (_, Some(tail)) => Height(tail.first),
            (Some(last), None) => Height(last.last).next(),
        };
        Span::new(first, limit).map(|span| Gap { tail, span })
    }

    pub(super) fn add(
        &mut self,
        stream: Stream,
        range: Span,
        items: u64,
        frames: Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let (piece, file) = segment::pack(frames)?;
        let segment = Segment { first: range.first().0, last: range.last().0, items, piece };
        self.put(&segment.name(stream), &file)?;
        let segments = self.manifest.streams.entry(stream.name().to_owned()).or_default();
        segments.retain(|old| old.last < segment.first);
        segments.push(segment);
        if self.published.elapsed() >= PUBLISHED {
            self.publish()?;
        }
        Ok(())
    }

    /// Writes a file under its final name, unless it is there already.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        // Files get their names when they are whole, and may be damaged later.
        let is_long = fs::metadata(&path).is_ok_and(|file| file.len() == bytes.len() as u64);
        if is_long && fs::read(&path).is_ok_and(|file| file == bytes) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            if !parent.exists() {
                fs::create_dir_all(parent).map_err(|cause| failed(parent, cause))?;
                self.unsafe_folders.insert(self.folder.clone());
            }
            self.unsafe_folders.insert(parent.to_owned());
        }
        write(&path, bytes)?;
        self.done.files += 1;
        self.done.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes the manifest, once everything it names is on disk.
    fn publish(&mut self) -> Result<(), ArchiveError> {
        while let Some(folder) = self.unsafe_folders.pop_first() {
            sync_names(&folder)?;
        }
        write(&self.folder.join(MANIFEST), self.manifest.text()?.as_bytes())?;
        sync_names(&self.folder)?;
        self.published = Instant::now();
        Ok(())
    }

    /// Writes the last manifest and removes what nobody needs.
    pub(super) fn finish(mut self) -> Result<(Manifest, Exported), ArchiveError> {
        self.publish()?;
        let named: BTreeSet<_> = self.manifest.names().collect();
        let folders = Stream::ALL.map(Stream::name).into_iter().chain(["genesis"]);
        for folder in folders {
            let path = self.folder.join(folder);
            let files = match fs::read_dir(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                files => files.map_err(|cause| failed(&path, cause))?,
            };
            for file in files {
                let file = file.map_err(|cause| failed(&path, cause))?;
                let Ok(name) = file.file_name().into_string() else { continue };
                let full = format!("{folder}/{name}");
                if is_ours(&name) && !named.contains(&full) && !self.before.contains(&full) {
                    fs::remove_file(file.path()).map_err(|cause| failed(&file.path(), cause))?;
                    self.done.removed += 1;
                }
            }
        }
        Ok((self.manifest, self.done))
    }
}

/// Whether a file is there and is what the manifest says; if `quick`, as far as its length tells.
fn is_whole(path: &Path, piece: &Piece, quick: bool) -> Result<bool, ArchiveError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file if file.as_ref().is_ok_and(|file| file.len() != piece.bytes) => return Ok(false),
        file => file.map_err(|cause| failed(path, cause))?,
    };
    if quick {
        return Ok(true);
    }
    let file = fs::read(path).map_err(|cause| failed(path, cause))?;
    Ok(Hash::of(&file) == piece.hash)
}

fn chain(genesis: &Genesis) -> Chain {
    let identity = genesis.identity();
    Chain {
        relay_chain: identity.relay_chain,
        start: identity.start,
        start_height: genesis.start().height.0,
        para_genesis: identity.para_genesis,
        para_id: identity.para_id,
        parachain: genesis.parachain,
    }
}

/// Whether an export may have written a file of this name: it ends with a hash, and maybe with more.
fn is_ours(name: &str) -> bool {
    let stem = name.strip_suffix(PART).unwrap_or(name);
    let stem = stem.strip_suffix(".zst").unwrap_or(stem);
    let hash = stem.rsplit('-').next().unwrap_or_default();
    hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn not_something_else(folder: &Path) -> Result<(), ArchiveError> {
    let entries = fs::read_dir(folder).map_err(|cause| failed(folder, cause))?;
    for entry in entries {
        let name = entry.map_err(|cause| failed(folder, cause))?.file_name();
        // An export that was killed before its first manifest leaves no more than these.
        let known = [LOCK_FILE, "genesis", "manifest.json.part"];
        if !known.iter().any(|known| name == *known) {
            return Err(ArchiveError::NotEmpty { folder: folder.display().to_string() });
        }
    }
    Ok(())
}

fn read_manifest(folder: &Path) -> Result<Option<Vec<u8>>, ArchiveError> {
    let path = folder.join(MANIFEST);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|cause| failed(&path, cause))?,
    };
    let mut text = Vec::new();
    file.take(MAX_MANIFEST as u64).read_to_end(&mut text).map_err(|cause| failed(&path, cause))?;
    Ok(Some(text))
}

fn lock(folder: &Path) -> Result<File, ArchiveError> {
    match lock_folder(folder).map_err(|cause| failed(&folder.join(LOCK_FILE), cause))? {
        Some(file) => Ok(file),
        None => Err(ArchiveError::Busy { folder: folder.display().to_string() }),
    }
}

/// Keeps other exports out of a folder for as long as the file is open, none if another one is at it.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_FILE))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

/// Writes a file that has its name only once all of it is on disk.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    let part = PathBuf::from(part);
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    written.map_err(|cause| failed(path, cause))
}

/// Makes the names of new files durable, as syncing the files does not.
fn sync_names(folder: &Path) -> Result<(), ArchiveError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|cause| failed(folder, cause))
}

fn failed(path: &Path, cause: io::Error) -> ArchiveError {
    ArchiveError::Io { path: path.display().to_string(), cause }
}
