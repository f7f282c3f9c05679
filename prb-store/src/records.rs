//! Record files of headers-cache (`headers-cache grab`, `import`): `genesis.bin`, `headers.bin`, `parachain-headers.bin`
//! and `storage-changes.bin`.
//!
//! A file is a row of records: length u32 big-endian ‖ SCALE. Every record begins with a header, so its block is known
//! without knowing its kind. `genesis.bin` is one bare value (`GenesisBlockInfo`). Files may be split at any record; the
//! parts carry the name of the whole with something behind it, as `headers-cache split` names them.
//!
//! | File | Record |
//! |---|---|
//! | `headers.bin` | header ‖ `Option` of the encoded justification ‖ `Option` of number u32 and read proof of the parachain head ‖ `Option<AuthoritySetChange>` |
//! | `parachain-headers.bin` | header |
//! | `storage-changes.bin` | header of which only number and state root count ‖ `StorageChanges` |
//!
//! What a store needs and these files do not hold: the hash of relay block 0, the parachain's id, and its whole state
//! at block 0.

mod export;

pub use export::{RecordsExported, export};

use bytes::Bytes;
use codec::{Compact, Decode, DecodeAll, Encode};
use prb_core::{
    fault::unusable,
    id::Height,
    port::store::ProvenHead,
    span::Span,
    types::{
        grandpa::AuthoritySetChange,
        header::Header,
        sync::{GenesisBlockInfo, StorageChanges},
    },
    wire::MAX_BLOB_BYTES,
};
use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Name of the genesis record's file.
pub const GENESIS: &str = "genesis.bin";
/// Largest record, bytes: the largest item, a justification or a header, and the rest with room to spare.
const MAX_RECORD: u32 = MAX_BLOB_BYTES + (4 << 20);
/// Largest genesis record, bytes.
const MAX_GENESIS: u64 = 16 << 20;
/// Every so many records the place of one is remembered.
const INDEXED: u32 = 512;
/// A header's parent hash, before its number.
const PARENT: usize = 32;
/// Bytes of a record that hold its number.
const NUMBER: usize = PARENT + 5;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Relay headers with what belongs to justified ones.
    Headers,
    /// Parachain headers.
    ParaHeaders,
    /// Storage changes.
    Changes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Headers, Self::ParaHeaders, Self::Changes];

    /// The file's usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers.bin",
            Self::ParaHeaders => "parachain-headers.bin",
            Self::Changes => "storage-changes.bin",
        }
    }
}

/// Why record files cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// There are none.
    #[error("{folder} holds no {name}; write it with `headers-cache grab`")]
    None {
        /// The folder.
        folder: String,
        /// Which file.
        name: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{}", unusable("use", Path::new(path), cause))]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Records do not follow one another.
    #[error("{path}: block {found} where block {expected} belongs; `headers-cache inspect` shows the gaps")]
    Gap {
        /// Which file.
        path: String,
        /// Which block belongs there.
        expected: u32,
        /// Which is there.
        found: u32,
    },
    /// A record is not one.
    #[error("{path}: no record at byte {at}: {cause}")]
    Malformed {
        /// Which file.
        path: String,
        /// Where the record begins.
        at: u64,
        /// Why not.
        cause: String,
    },
    /// The files are of other chains.
    #[error(
        "{path} is of the chain that starts at {found}, expected is {expected}; use another folder or store"
    )]
    ForeignChain {
        /// Which file.
        path: String,
        /// Start of its chain.
        found: String,
        /// Expected start.
        expected: String,
    },
    /// There are files, and nothing says of which chain.
    #[error(
        "{folder} holds record files and no {GENESIS} that says of which chain; use an empty or new folder"
    )]
    Unnamed {
        /// The folder.
        folder: String,
    },
    /// Somebody else writes there.
    #[error("{folder} is being written by another process; wait for it")]
    Busy {
        /// The folder.
        folder: String,
    },
    /// Nothing to export.
    #[error("nothing to export yet: the store holds no whole authority set")]
    Nothing,
    /// The store does not reach back to what the files lack.
    #[error(
        "{name} needs block {needed}, the store begins at {first}; export from a store that was not pruned"
    )]
    Pruned {
        /// Which file.
        name: &'static str,
        /// First block it lacks.
        needed: u32,
        /// First block of the store.
        first: u32,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] prb_core::port::StoreError),
    /// The process cannot do it.
    #[error("record files: {0}")]
    Backend(String),
}

/// A record of `headers.bin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayRecord {
    /// SCALE header.
    pub header: Bytes,
    /// Encoded justification.
    pub justification: Option<Bytes>,
    /// Parachain head in the block's state.
    pub para_head: Option<ProvenHead>,
    /// The incoming authority set with its proof.
    pub set_change: Option<AuthoritySetChange>,
}

impl RelayRecord {
    /// Reads a record to its last byte.
    pub fn decode(record: &Bytes) -> Option<Self> {
        let (header, mut rest) = split_header(record)?;
        type Tail = (Option<Vec<u8>>, Option<ProvenHead>, Option<AuthoritySetChange>);
        let (justification, para_head, set_change) = Tail::decode_all(&mut rest).ok()?;
        Some(Self { header, justification: justification.map(Bytes::from), para_head, set_change })
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        self.justification.as_ref().map(|bytes| bytes.to_vec()).encode_to(&mut bytes);
        self.para_head.encode_to(&mut bytes);
        self.set_change.encode_to(&mut bytes);
        bytes
    }
}

/// The SCALE header of a record of `parachain-headers.bin`.
pub fn para_header(record: &Bytes) -> Option<Bytes> {
    let (header, rest) = split_header(record)?;
    rest.is_empty().then_some(header)
}

/// The SCALE storage changes of a record of `storage-changes.bin`.
pub fn storage_changes(record: &Bytes) -> Option<Bytes> {
    let (header, mut rest) = split_header(record)?;
    StorageChanges::decode_all(&mut rest).ok()?;
    Some(record.slice(header.len()..))
}

/// Reads `genesis.bin` in `folder`, none if there is none.
pub fn read_genesis(folder: &Path) -> Result<Option<GenesisBlockInfo>, RecordsError> {
    let path = folder.join(GENESIS);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|cause| failed(&path, cause))?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_GENESIS).read_to_end(&mut bytes).map_err(|cause| failed(&path, cause))?;
    let genesis = GenesisBlockInfo::decode_all(&mut bytes.as_slice());
    genesis.map(Some).map_err(|error| malformed(&path, 0, error.to_string()))
}

/// Whether `folder` holds record files.
pub fn are_in(folder: &Path) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| Kind::ALL.iter().any(|kind| name.to_string_lossy().starts_with(kind.name())))
}

/// The records of one kind in a folder: one file, or its parts.
#[derive(Debug)]
pub struct Records {
    kind: Kind,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    span: Span,
    /// Places of records `span.first() + n * INDEXED`.
    index: Vec<u64>,
    /// Where whole records end.
    end: u64,
}

impl Records {
    /// Looks through the files of `kind` in `folder`: every record's length and number, not its content. Blocks must
    /// follow one another. A record that is cut off at the end of a file, as a killed grab leaves it, is left out.
    /// This blocks.
    pub fn open(folder: &Path, kind: Kind) -> Result<Self, RecordsError> {
        let entries = fs::read_dir(folder).map_err(|cause| failed(folder, cause))?;
        let mut parts = Vec::new();
        for entry in entries {
            let path = entry.map_err(|cause| failed(folder, cause))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(kind.name()) {
                parts.extend(Part::scan(path)?);
            }
        }
        parts.sort_by_key(|part| part.span.first());
        for pair in parts.windows(2) {
            let (expected, found) = (pair[0].span.last().next().0, pair[1].span.first().0);
            if expected != found {
                return Err(RecordsError::Gap { path: pair[1].path.display().to_string(), expected, found });
            }
        }
        if parts.is_empty() {
            return Err(RecordsError::None { folder: folder.display().to_string(), name: kind.name() });
        }
        Ok(Self { kind, parts })
    }

    /// Blocks they hold.
    pub fn span(&self) -> Span {
        let (first, last) = (&self.parts[0], &self.parts[self.parts.len() - 1]);
        Span::new(first.span.first(), last.span.last()).unwrap_or(first.span)
    }

    /// Where they are.
    pub fn name(&self) -> String {
        self.parts[0].path.display().to_string()
    }

    /// Hands the records from `from` on to `take`, in order, until it has enough (false) or there are no more. This
    /// blocks.
    pub fn visit(
        &self,
        from: Height,
        take: &mut dyn FnMut(Height, Bytes) -> Result<bool, String>,
    ) -> Result<(), RecordsError> {
        let mut next = from;
        for part in self.parts.iter().filter(|part| part.span.last() >= from) {
            if !part.span.contains(next) || !part.visit(next, take)? {
                return Ok(());
            }
            next = part.span.last().next();
        }
        Ok(())
    }

    /// The records of `span`, all of them, none if they are not all there. This blocks.
    pub fn read(&self, span: Span) -> Result<Option<Vec<Bytes>>, RecordsError> {
        if !self.span().covers(span) {
            return Ok(None);
        }
        let mut records = Vec::new();
        self.visit(span.first(), &mut |height, record| {
            records.push(record);
            Ok(height < span.last())
        })?;
        Ok(Some(records))
    }

    /// Which kind they are.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Part {
    /// Looks through a file, none if it holds no whole record.
    fn scan(path: PathBuf) -> Result<Option<Self>, RecordsError> {
        let len = fs::metadata(&path).map_err(|cause| failed(&path, cause))?.len();
        let mut file =
            BufReader::with_capacity(64 << 10, File::open(&path).map_err(|cause| failed(&path, cause))?);
        let (mut at, mut span, mut index): (u64, Option<Span>, Vec<u64>) = (0, None, Vec::new());
        while let Some(record) = length(&mut file, &path, at)? {
            let end = at + 4 + u64::from(record);
            if end > len {
                break;
            }
            let mut head = [0; NUMBER];
            let head = &mut head[..NUMBER.min(record as usize)];
            file.read_exact(head).map_err(|cause| failed(&path, cause))?;
            let number = number(head).ok_or_else(|| malformed(&path, at, "no header".to_owned()))?;
            let expected = span.map_or(number, |span| span.last().next().0);
            if number != expected {
                return Err(RecordsError::Gap { path: path.display().to_string(), expected, found: number });
            }
            let first = span.map_or(Height(number), Span::first);
            if (number - first.0).is_multiple_of(INDEXED) {
                index.push(at);
            }
            span = Span::new(first, Height(number));
            let rest = i64::from(record) - head.len() as i64;
            file.seek_relative(rest).map_err(|cause| failed(&path, cause))?;
            at = end;
        }
        Ok(span.map(|span| Self { path, span, index, end: at }))
    }

    /// Whether `take` wants more at the end.
    fn visit(
        &self,
        from: Height,
        take: &mut dyn FnMut(Height, Bytes) -> Result<bool, String>,
    ) -> Result<bool, RecordsError> {
        let path = &self.path;
        let mut file =
            BufReader::with_capacity(256 << 10, File::open(path).map_err(|cause| failed(path, cause))?);
        let place = (from.0 - self.span.first().0) / INDEXED;
        let mut at = self.index.get(place as usize).copied().unwrap_or_default();
        file.seek(SeekFrom::Start(at)).map_err(|cause| failed(path, cause))?;
        let mut height = Height(self.span.first().0 + place * INDEXED);
        while at < self.end {
            let Some(record) = length(&mut file, path, at)? else { break };
            if height < from {
                file.seek_relative(i64::from(record)).map_err(|cause| failed(path, cause))?;
            } else {
                let mut bytes = vec![0; record as usize];
                file.read_exact(&mut bytes).map_err(|cause| failed(path, cause))?;
                if number(&bytes) != Some(height.0) {
                    return Err(malformed(path, at, "the file has changed".to_owned()));
                }
                if !take(height, bytes.into()).map_err(|cause| malformed(path, at, cause))? {
                    return Ok(false);
                }
            }
            at += 4 + u64::from(record);
            height = height.next();
        }
        Ok(true)
    }
}

/// Length of the next record, none at the end of the file.
fn length(file: &mut impl Read, path: &Path, at: u64) -> Result<Option<u32>, RecordsError> {
    let mut bytes = [0; 4];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(|cause| failed(path, cause))?,
    }
    let record = u32::from_be_bytes(bytes);
    if record > MAX_RECORD {
        return Err(malformed(path, at, format!("it claims {record} bytes, at most {MAX_RECORD} are taken")));
    }
    Ok(Some(record))
}

/// The number in the header that a record begins with.
fn number(record: &[u8]) -> Option<u32> {
    Some(Compact::<u32>::decode(&mut record.get(PARENT..)?).ok()?.0)
}

/// The header that a record begins with, and what follows it.
fn split_header(record: &Bytes) -> Option<(Bytes, &[u8])> {
    let mut rest = record.as_ref();
    Header::decode(&mut rest).ok()?;
    Some((record.slice(..record.len() - rest.len()), rest))
}

fn failed(path: &Path, cause: io::Error) -> RecordsError {
    RecordsError::Io { path: path.display().to_string(), cause }
}

fn malformed(path: &Path, at: u64, cause: String) -> RecordsError {
    RecordsError::Malformed { path: path.display().to_string(), at, cause }
}
