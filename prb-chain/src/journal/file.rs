//! The journal's file.
//!
//! `prbjrnl2`, then frames: length u32 ‖ CRC-32C of the body u32 ‖ CRC-32C of these 8 bytes u32 (all little-endian) ‖
//! body, that many bytes of SCALE records. A frame is written and synced as one, so only the last can be incomplete:
//! what does not read as a frame and has no head of a frame anywhere behind it was cut off by a crash, anything else
//! is damage. When much of the file is history, a new one is written beside it, synced, and renamed over it.

use super::{Image, JournalError, Record};
use codec::{Decode, Encode};
use prb_core::fault::unusable;
use std::{
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"prbjrnl2";
const FRAME_HEAD: usize = 12;

/// A new file is written in frames of about this size; one record may make a frame larger.
const FRAME_BYTES: usize = 16 << 20;

/// The file is rewritten when it is this much longer than after its last rewriting, and at least twice as long.
const HISTORY: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    /// Bytes known to be durable.
    len: u64,
    /// Length after the last rewriting.
    base: u64,
    /// After a failed sync nobody knows what is on disk: the next write starts a new file.
    doubtful: bool,
    /// Held for its lock.
    _lock: fs::File,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<(Self, Image), JournalError> {
        let io = |error: io::Error| failed(path, &error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let lock =
            private().create(true).truncate(false).write(true).open(beside(path, "lock")).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => JournalError::Locked { path: path.display().to_string() },
            fs::TryLockError::Error(error) => io(error),
        })?;
        let mut file =
            private().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let mut image = Image::default();
        // A crash during creation leaves less than the beginning, or zeros in its place.
        let begun = bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes);
        let len = if begun || (bytes.len() <= MAGIC.len() && bytes.iter().all(|&byte| byte == 0)) {
            file.set_len(0).map_err(io)?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            file.write_all(MAGIC).map_err(io)?;
            file.sync_all().map_err(io)?;
            sync_folder(path).map_err(io)?;
            MAGIC.len()
        } else {
            let len = replay(&bytes, &mut image, path)?;
            if len < bytes.len() {
                tracing::warn!(
                    path = %path.display(), dropped = bytes.len() - len,
                    "the last journal write was cut off by a crash; dropped"
                );
                file.set_len(len as u64).map_err(io)?;
                file.sync_all().map_err(io)?;
            }
            len
        };
        file.seek(SeekFrom::Start(len as u64)).map_err(io)?;
        let opened =
            Self { path: path.to_owned(), file, len: len as u64, base: 0, doubtful: false, _lock: lock };
        Ok((opened, image))
    }

    /// Makes records durable. `snapshot` says what was known before them.
    pub(super) fn append<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
        snapshot: impl FnOnce() -> Vec<Record>,
    ) -> Result<(), JournalError> {
        let added = frame(records);
        let much_history = self.len > self.base.saturating_mul(2).max(self.base + HISTORY);
        let outcome = if self.doubtful || much_history {
            self.rewrite(&snapshot(), &added)
        } else {
            self.extend(&added)
        };
        outcome.map_err(|error| failed(&self.path, &error))
    }

    fn extend(&mut self, added: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(added) {
            // What went through is cut off again, so that the next frame follows the last whole one.
            let back = self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
            self.doubtful = back.is_err();
            return Err(error);
        }
        if let Err(error) = self.file.sync_data() {
            self.doubtful = true;
            return Err(error);
        }
        self.len += added.len() as u64;
        Ok(())
    }

    fn rewrite(&mut self, known: &[Record], added: &[u8]) -> io::Result<()> {
        let copy = beside(&self.path, "new");
        let mut file = private().create(true).truncate(true).read(true).write(true).open(&copy)?;
        file.write_all(MAGIC)?;
        let mut rest = known;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|record| {
                bytes += record.encoded_size();
                bytes <= FRAME_BYTES
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            file.write_all(&frame(now.iter()))?;
            rest = later;
        }
        let base = file.stream_position()?;
        file.write_all(added)?;
        file.sync_all()?;
        fs::rename(&copy, &self.path)?;
        // From here on the new file is the journal, synced or not: go on with it.
        self.len = file.stream_position()?;
        (self.file, self.base) = (file, base);
        self.doubtful = true;
        sync_folder(&self.path)?;
        self.doubtful = false;
        Ok(())
    }
}

/// What the file at `path` holds, without keeping anybody from it; none if there is no file.
pub(super) fn look(path: &Path) -> Result<Option<Image>, JournalError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| failed(path, &error))?,
    };
    let mut image = Image::default();
    if bytes.len() > MAGIC.len() {
        // What is being written at this moment looks like a write that was cut off.
        replay(&bytes, &mut image, path)?;
    }
    Ok(Some(image))
}

/// Reads frames into `image`; the length of what is whole.
fn replay(bytes: &[u8], image: &mut Image, path: &Path) -> Result<usize, JournalError> {
    if !bytes.starts_with(MAGIC) {
        return Err(JournalError::Foreign { path: path.display().to_string() });
    }
    let mut at = MAGIC.len();
    while at < bytes.len() {
        let damaged = || JournalError::Damaged { path: path.display().to_string(), at: at as u64 };
        let rest = &bytes[at..];
        let body = match head(rest) {
            Some((len, sum)) => match rest[FRAME_HEAD..].get(..len) {
                Some(body) if crc32c::crc32c(body) == sum => body,
                // The last frame, of which not everything came through; the head went first.
                Some(_) if FRAME_HEAD + len == rest.len() => break,
                None => break,
                Some(_) => return Err(damaged()),
            },
            None if (1..rest.len()).any(|later| head(&rest[later..]).is_some()) => return Err(damaged()),
            None => break,
        };
        let mut records = body;
        while !records.is_empty() {
            image.apply(Record::decode(&mut records).map_err(|_| damaged())?);
        }
        at += FRAME_HEAD + body.len();
    }
    Ok(at)
}

/// Length and checksum of the body of the frame that begins here, none if none does.
fn head(bytes: &[u8]) -> Option<(usize, u32)> {
    let head: &[u8; FRAME_HEAD] = bytes.first_chunk()?;
    let (told, sum) = head.split_at(8);
    let word = |bytes: &[u8]| bytes.first_chunk().copied().map(u32::from_le_bytes);
    let len = word(told)?;
    (len > 0 && word(sum)? == crc32c::crc32c(told)).then_some((len as usize, word(&told[4..])?))
}

fn frame<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<u8> {
    let mut bytes = vec![0; FRAME_HEAD];
    records.for_each(|record| record.encode_to(&mut bytes));
    let body = &bytes[FRAME_HEAD..];
    let (len, sum) = (body.len() as u32, crc32c::crc32c(body));
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..8]);
    bytes[8..FRAME_HEAD].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Only the owner needs to read it.
fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

fn failed(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Io { path: path.display().to_string(), error: unusable("use", path, error) }
}
