//! Names of things: heights, hashes, accounts, workers, pools, jobs.

use codec::{Decode, Encode};
use std::{fmt, str::FromStr};

/// A block number of either chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Height(pub u32);

impl Height {
    /// The block after this one. Saturates at `u32::MAX`, which no chain reaches.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The block before this one, none for block 0.
    pub const fn prev(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// How many blocks lie between `earlier` and this one; 0 if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<u32> for Height {
    type Output = Self;

    fn add(self, blocks: u32) -> Self {
        Self(self.0.saturating_add(blocks))
    }
}

impl From<u32> for Height {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = BadHex;

            fn from_str(text: &str) -> Result<Self, BadHex> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
                    .map_err(|_| BadHex(text.to_owned()))?;
                Ok(Self(bytes))
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

bytes32! {
    /// A BLAKE2b-256 hash: of a block header, a trie node or a state root.
    Hash
}
bytes32! {
    /// An account of the parachain (`AccountId32`).
    AccountId
}
bytes32! {
    /// A worker's sr25519 identity key.
    WorkerKey
}

impl Hash {
    /// BLAKE2b-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = blake2b_simd::Params::new().hash_length(32).hash(bytes);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_bytes());
        Self(hash)
    }
}

/// A text that is not 32 bytes of hex.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not 64 hex digits (with or without 0x)")]
pub struct BadHex(String);

/// A block by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlockRef {
    /// Its number.
    pub height: Height,
    /// The hash of its header.
    pub hash: Hash,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.height, self.hash)
    }
}

/// A stake pool, by its `pid` on chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PoolId(pub u64);

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A worker, by the name its operator gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(String);

impl WorkerName {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// A name of 1 to [`Self::MAX_LEN`] bytes without control characters.
    pub fn new(name: impl Into<String>) -> Result<Self, BadName> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::MAX_LEN || name.chars().any(char::is_control) {
            return Err(BadName(name));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A worker name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker name {0:?} must have 1 to 128 bytes and no control characters")]
pub struct BadName(String);

/// A batch of calls handed to a transaction sink, unique for ever.
///
/// `era` differs between lives of the process that numbers the jobs (for example its start time in
/// microseconds), `number` counts within one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct JobId {
    /// The life of the submitting process.
    pub era: u64,
    /// The job's number within it.
    pub number: u64,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.era, self.number)
    }
}
