//! Archives: verified chain data in files that never change, for any static HTTP server, CDN or object store.
//!
//! An archive is a folder:
//!
//! | Name | Content |
//! |---|---|
//! | `manifest.json` | A [`Manifest`]: which chains, which segments. The only file that is ever replaced |
//! | `genesis/<hash>[.zst]` | A record (`prb_core::wire::seal`) of the genesis |
//! | `<stream>/<first>-<last>-<hash>[.zst]` | A segment: the stream's items at `first..=last` as frames (`prb_core::wire`) |
//! | `.export.lock` | Empty: the export that is at work holds its lock. Readers do not need it |
//!
//! Heights have ten digits. The hash is BLAKE2b-256 of the file's bytes, so a name never stands for other bytes.
//! `.zst` is one zstd frame that says how long its content is; a file is compressed where that makes it smaller.
//!
//! An archive holds whole authority sets: it ends at the newest stored relay block that closes one, with the parachain
//! headers and storage changes up to the parachain head proven there. What comes later would still be replaced.
//!
//! A segment ends with the first item that brings its frames to [`Manifest::segment_bytes`]. So the same data makes
//! the same segments whenever it is exported. Only the last one of each stream may be shorter; a later export replaces
//! it by a longer one. Files that neither the present manifest nor the one before names are removed.
//!
//! Nothing in an archive is trusted by who reads it: hashes only say that bytes arrived as they were written. Who
//! imports checks the data itself, as if a node had answered it.

mod export;
mod http;
mod manifest;
mod place;
mod reader;
mod segment;

pub use export::{ExportOptions, ExportStep, Exported, Exporting, export};
pub(crate) use export::{LOCK_FILE, last_set, lock_folder};
pub(crate) use http::shown;
pub use manifest::{Chain, Manifest, Piece, Segment};
pub use place::Place;
pub use reader::{Archive, Fetched};

use prb_core::{
    fault::unusable,
    port::{StoreError, Stream},
};
use std::path::Path;

/// The format this release writes and reads.
pub const FORMAT: u32 = 1;
/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// Largest manifest that is read, bytes: about 300,000 segments.
pub(crate) const MAX_MANIFEST: usize = 64 << 20;
/// Largest content of a file, bytes. A segment ends at its first item past the wished size, so one item may make it
/// this much larger.
pub(crate) const MAX_PLAIN: usize = MAX_SEGMENT_BYTES + prb_core::wire::MAX_BLOB_BYTES as usize + 64;
/// Largest wished size of a segment, bytes.
pub(crate) const MAX_SEGMENT_BYTES: usize = 64 << 20;
/// Smallest wished size of a segment, bytes.
pub(crate) const MIN_SEGMENT_BYTES: usize = 1 << 10;

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is none.
    #[error("{place} holds no archive: it has no {MANIFEST}")]
    None {
        /// Where.
        place: String,
    },
    /// Not a place where archives can be.
    #[error("{place:?} is no place of an archive: {cause}")]
    BadPlace {
        /// The text.
        place: String,
        /// Why not.
        cause: String,
    },
    /// Written by a newer release.
    #[error("archive has format {found}, this release reads up to {FORMAT}; upgrade prb")]
    NewerFormat {
        /// Its format.
        found: u32,
    },
    /// The manifest cannot be used.
    #[error("{place}: {MANIFEST} cannot be used: {cause}")]
    Malformed {
        /// Where.
        place: String,
        /// Why not.
        cause: String,
    },
    /// It is of other chains.
    #[error("archive is of another network: {}; use the archive of the store's own network", found.unlike(expected))]
    ForeignChain {
        /// Chain of the archive.
        found: Box<Chain>,
        /// Chain that was expected.
        expected: Box<Chain>,
    },
    /// A file is not what the manifest says.
    #[error("{name} in {place} {cause}; write the archive again from a store that verifies")]
    Damaged {
        /// Where.
        place: String,
        /// Which file.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A file that the manifest names is not there.
    #[error("{place} lacks {name}; if it was just written again, run the command again")]
    Missing {
        /// Where.
        place: String,
        /// Which file.
        name: String,
    },
    /// A file is larger than any may be, or than the manifest says.
    #[error("{name} in {place} is larger than the {cap} bytes it may have")]
    TooLarge {
        /// Where.
        place: String,
        /// Which file.
        name: String,
        /// Most bytes.
        cap: usize,
    },
    /// The server does not answer.
    #[error("{place}: no {name}: {cause}; run the command again to go on where it was")]
    Unreachable {
        /// Where.
        place: String,
        /// What was asked for.
        name: String,
        /// Why not.
        cause: String,
    },
    /// The folder holds something else.
    #[error("{folder} is not empty and holds no archive; name an empty or new folder")]
    NotEmpty {
        /// The folder.
        folder: String,
    },
    /// Somebody else writes there.
    #[error("{folder} is being written by another process; wait for it")]
    Busy {
        /// The folder.
        folder: String,
    },
    /// The store does not reach back to what the archive lacks.
    #[error(
        "the archive needs {stream} from {needed}, the store begins at {first}; export from a store that was not pruned"
    )]
    Pruned {
        /// Which stream.
        stream: Stream,
        /// First height the archive lacks.
        needed: u32,
        /// First height of the store.
        first: u32,
    },
    /// Nothing to export.
    #[error("nothing to export yet: the store holds no whole authority set")]
    Nothing,
    /// A folder or file cannot be read or written.
    #[error("{}", unusable("use", Path::new(path), cause))]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The process cannot do it.
    #[error("archive: {0}")]
    Backend(String),
}
