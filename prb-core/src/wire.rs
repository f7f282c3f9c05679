//! What a data provider and its readers say to each other over HTTP: routes, headers and record layouts.
//!
//! # Routes
//!
//! All are `GET`. Numbers are decimal.
//!
//! | Path | Answer |
//! |---|---|
//! | [`INFO`] | JSON for people and programs: chain, heights, targets, rates |
//! | [`COVERAGE`]`?known=<etag>&wait=<seconds>` | a record of `Option<`[`Coverage`](crate::port::Coverage)`>`; 304 if it is still `known` after `wait` |
//! | [`GENESIS`] | a record of [`Genesis`](crate::port::Genesis); 404 while there is none |
//! | [`RUNGS`]`?from=<height>&limit=<count>` | a record of `Vec<`[`Rung`](crate::port::Rung)`>`, at most [`MAX_RUNGS`] |
//! | [`BLOBS`]`/<stream>/<first>/<last>?max_bytes=<bytes>` | [`frames`](FrameHead) in ascending order; [`END`] says why the answer ends |
//!
//! Every answer about a chain carries [`CHAIN`], so that a reader never mixes two chains behind one address. With
//! `Accept-Encoding: zstd` bodies may come as one zstd frame.

mod frames;
mod record;
mod stranger;

pub use frames::{FrameHead, MAX_BLOB_BYTES, decode_frames};
pub use record::{open, seal};
pub use stranger::stranger;

use crate::{id::Hash, port::Stream, port::source::ChainIdentity};
use codec::Encode;
use std::fmt;

/// What the provider is and how it stands, as JSON.
pub const INFO: &str = "/v1/info";
/// What is contiguous and verified; can be waited on.
pub const COVERAGE: &str = "/v1/coverage";
/// What workers and stores start from.
pub const GENESIS: &str = "/v1/genesis";
/// Justified relay blocks.
pub const RUNGS: &str = "/v1/rungs";
/// Items of a stream.
pub const BLOBS: &str = "/v1/blobs";

/// Response header: [`chain_tag`] of the chain the answer is about.
pub const CHAIN: &str = "prb-chain";
/// Response header of [`BLOBS`]: an [`End`].
pub const END: &str = "prb-end";

/// Most rungs in one answer.
pub const MAX_RUNGS: usize = 1000;
/// Longest wait for news of the coverage, seconds.
pub const MAX_WAIT_SECONDS: u64 = 60;

/// Name of a chain on the wire: hex of BLAKE2b-256 of its SCALE identity.
pub fn chain_tag(identity: &ChainIdentity) -> String {
    hex::encode(Hash::of(&identity.encode()).0)
}

/// The stream with that [`name`](Stream::name).
pub fn stream_named(name: &str) -> Option<Stream> {
    Stream::ALL.into_iter().find(|stream| stream.name() == name)
}

/// Number of a stream in checksums. It may never change.
pub(crate) const fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::RelayHeaders => 1,
        Stream::Justifications => 2,
        Stream::ParaHeads => 3,
        Stream::SetChanges => 4,
        Stream::ParaHeaders => 5,
        Stream::Changes => 6,
    }
}

/// Why an answer of items ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no more of the range.
    Complete,
    /// The next item does not fit the reader's limit.
    Budget,
    /// The provider's own limit; ask for the rest.
    Cut,
    /// The provider's next item is damaged; ask another.
    Damaged,
}

impl End {
    const ALL: [Self; 4] = [Self::Complete, Self::Budget, Self::Cut, Self::Damaged];

    /// Its name in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Budget => "budget",
            Self::Cut => "cut",
            Self::Damaged => "damaged",
        }
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.name() == name)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends inside an item.
    #[error("answer ends inside an item")]
    Truncated,
    /// An item says it is larger than any may be.
    #[error("item at {height} claims {bytes} bytes, at most {MAX_BLOB_BYTES} are taken")]
    TooLarge {
        /// Which item.
        height: u32,
        /// Claimed size.
        bytes: u32,
    },
    /// An item does not match its checksum.
    #[error("{what} does not match its checksum")]
    Checksum {
        /// Which.
        what: String,
    },
    /// An item is not one of those asked for, or not in order.
    #[error("item at {found} where {expected} belongs")]
    Order {
        /// What belongs there.
        expected: u32,
        /// What is there.
        found: u32,
    },
    /// A record is not what it should be.
    #[error("{what} does not decode")]
    Malformed {
        /// Which record.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests;
