//! Where verified data is kept, each item once, as the exact bytes that travel to a worker.

use super::source::{ChainIdentity, Genesis};
use crate::{
    fault::Fault,
    id::{BlockRef, Hash, Height},
    span::Span,
    types::{grandpa::AuthoritySet, sync::ChangesForm},
};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Decode, Encode};
use std::{fmt, sync::Arc};

/// Verified data of one pair of chains.
///
/// # Contract
///
/// - `append` is atomic: after an error or a crash the store holds all of it or nothing of it. Data and
///   [`Cursor`] commit together.
/// - Every stream is contiguous. An append that would leave a hole or overwrite a height is refused with
///   [`StoreError::Gap`], whatever else it holds. What a stream begins with may be dropped (pruned); its coverage then
///   begins later, and whoever needs the earlier part is told so by the planner.
/// - The first append carries the genesis; data of another chain is refused with [`StoreError::ForeignChain`].
/// - Of justifications, para heads and set changes, those at a block that closes an authority set stay for ever.
///   Those at the open tip are replaced by the next relay append, in the same transaction.
/// - `read` answers a prefix of the asked range in ascending order: at least one item if the first height is
///   covered, then as many as fit `max_bytes`. It never answers bytes that fail their checksum
///   ([`StoreError::Damaged`] instead). Heights that are not covered answer an empty list.
/// - The cursor of an append names the last stored heights. One without `state` drops the nodes of the state copy.
/// - Every call ends: a store on another machine has a deadline ([`StoreError::Unreachable`]), `wait` a patience of
///   its own. An append whose future is dropped is done or not done; the cursor tells.
/// - Readers never wait for the writer and see the state before or after an append, never a mix.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// The genesis of the stored chain, none while the store is empty.
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError>;

    /// What is contiguous and verified, none while the store is empty.
    async fn coverage(&self) -> Result<Option<Coverage>, StoreError>;

    /// How far verification has come, none while the store is empty. A read-only store may answer none.
    async fn cursor(&self) -> Result<Option<Cursor>, StoreError>;

    /// The justified relay blocks at or after `from`, ascending, at most `limit`.
    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError>;

    /// Items of `span`: see the contract.
    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError>;

    /// Adds verified data.
    async fn append(&self, append: Append) -> Result<(), StoreError>;

    /// Puts `blob` over the stored item of its height, which is damaged. A header is checked by the caller: it has
    /// the hash that its successor names. Anything else must have the digest of the item as it was appended, or is
    /// refused with [`StoreError::Unrepairable`]. A store that cannot repair is [`StoreError::ReadOnly`].
    async fn repair(&self, stream: Stream, blob: Blob) -> Result<(), StoreError> {
        let _ = (stream, blob);
        Err(StoreError::ReadOnly)
    }

    /// Returns when coverage may differ from `known`. A hint: it may return early.
    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError>;
}

/// The streams, keyed by block number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// SCALE relay headers, from the block after the start block.
    RelayHeaders,
    /// Encoded justifications, at rungs only.
    Justifications,
    /// [`ProvenHead`], at rungs whose relay state holds a parachain head.
    ParaHeads,
    /// SCALE [`AuthoritySetChange`](crate::types::grandpa::AuthoritySetChange), at rungs that close a set, where
    /// the source could prove it.
    SetChanges,
    /// SCALE parachain headers, from block 0.
    ParaHeaders,
    /// SCALE [`StorageChanges`](crate::types::sync::StorageChanges) of parachain blocks, from block 1.
    Changes,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RelayHeaders,
        Self::Justifications,
        Self::ParaHeads,
        Self::SetChanges,
        Self::ParaHeaders,
        Self::Changes,
    ];

    /// Its name in commands, errors and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RelayHeaders => "relay-headers",
            Self::Justifications => "justifications",
            Self::ParaHeads => "para-heads",
            Self::SetChanges => "set-changes",
            Self::ParaHeaders => "para-headers",
            Self::Changes => "changes",
        }
    }

    /// Whether it has items at some heights only; the others have one at every height they cover.
    pub const fn is_sparse(self) -> bool {
        matches!(self, Self::Justifications | Self::ParaHeads | Self::SetChanges)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One stored item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its block.
    pub height: Height,
    /// The bytes that travel. Clones share them.
    pub bytes: Bytes,
}

/// A justified relay block: where a batch of relay headers for a worker may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rung {
    /// The relay block.
    pub at: Height,
    /// Number of the parachain head in its state, none if there is none.
    pub para: Option<Height>,
    /// Whether it announces the next authority set, so that no batch may reach past it.
    pub closes_set: bool,
}

/// A parachain head with its proof, as [`Stream::ParaHeads`] holds it: number u32 ‖ `Vec` of proof nodes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProvenHead {
    /// Number of the head.
    pub number: Height,
    /// Trie nodes that prove it against the relay block's state root.
    pub proof: Vec<Vec<u8>>,
}

/// What is contiguous and verified; none where a stream is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Coverage {
    /// Which chains.
    pub identity: ChainIdentity,
    /// Whether blocks are finalized by a relay chain.
    pub parachain: bool,
    /// Relay headers.
    pub relay: Option<Span>,
    /// Parachain headers.
    pub para: Option<Span>,
    /// Storage changes.
    pub changes: Option<Span>,
    /// Whether storage changes were checked against state roots.
    pub state_verified: bool,
    /// Of which form the storage changes are, none where there are none.
    pub changes_form: Option<ChangesForm>,
}

/// How far verification has come: everything needed to go on after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cursor {
    /// Last verified relay block (the start block at first).
    pub relay: BlockRef,
    /// The set that finalizes the blocks after it.
    pub authorities: AuthoritySet,
    /// Last verified parachain header, none before block 0.
    pub para: Option<BlockRef>,
    /// Last parachain block whose changes are stored (0 at first: the genesis state).
    pub changes: Height,
    /// State root after `state.0`: the block the state copy stands at, none when state verification is off.
    pub state: Option<(Height, Hash)>,
}

/// What one transaction adds. Absent parts leave their stream alone.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// The genesis, in the first append only.
    pub genesis: Option<Genesis>,
    /// Relay headers up to a justified one.
    pub relay: Option<RelayAppend>,
    /// SCALE parachain headers in ascending order.
    pub para_headers: Vec<Blob>,
    /// SCALE storage changes in ascending order.
    pub changes: Vec<Blob>,
    /// Their form; none stands for [`ChangesForm::Mixed`].
    pub changes_form: Option<ChangesForm>,
    /// Changes to the nodes of the state copy.
    pub nodes: Vec<NodeChange>,
    /// How far verification has come with this append; required.
    pub cursor: Option<Cursor>,
}

/// A verified run of relay headers with what belongs to its last block.
#[derive(Clone, Debug)]
pub struct RelayAppend {
    /// SCALE headers in ascending order, at least one.
    pub headers: Vec<Blob>,
    /// Encoded justification of the last one.
    pub justification: Bytes,
    /// Parachain head in the last one's state.
    pub para_head: Option<ProvenHead>,
    /// SCALE authority-set change, where the last one closes a set and the source proved it.
    pub set_change: Option<Bytes>,
    /// Whether the last one closes a set.
    pub closes_set: bool,
}

/// A change to one trie node of the state copy, by its BLAKE2b-256 hash. Nodes that several places of the trie
/// share are counted; changes of one node in one append add up, and a count of 0 deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// Hash of the node.
    pub hash: Hash,
    /// How many references came (positive) or went (negative).
    pub references: i32,
    /// The node, whenever `references` is positive.
    pub node: Option<Bytes>,
}

/// Trie nodes of the verified state copy, by hash. The writing side is [`Append::nodes`].
pub trait NodeStore: Send + Sync {
    /// The node with this hash, none if the copy has no such node.
    fn node(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError>;
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data belongs to other chains than the store.
    #[error(
        "store holds chain {stored:?}, refused data of {offered:?}; use another data directory for another network"
    )]
    ForeignChain {
        /// Identity in the store.
        stored: Box<ChainIdentity>,
        /// Identity of what was offered.
        offered: Box<ChainIdentity>,
    },
    /// The append does not continue the stream.
    #[error("{stream}: next height is {expected}, refused {offered}")]
    Gap {
        /// Which stream.
        stream: Stream,
        /// Next height of the stream.
        expected: Height,
        /// First offending height.
        offered: Height,
    },
    /// The append contradicts itself.
    #[error("append is not consistent: {0}")]
    Inconsistent(String),
    /// Bytes on disk do not match their checksum.
    #[error(
        "{stream} at {height} is damaged on disk; restore the data directory from a copy, or start with an empty one"
    )]
    Damaged {
        /// Which stream.
        stream: Stream,
        /// Which item.
        height: Height,
    },
    /// What was offered for a damaged item is not known to be what was stored.
    #[error("{stream} at {height} cannot be repaired: {why}")]
    Unrepairable {
        /// Which stream.
        stream: Stream,
        /// Which item.
        height: Height,
        /// Why not.
        why: &'static str,
    },
    /// What the store knows of itself does not match its checksum.
    #[error("{what} is damaged on disk; restore the data directory from a copy, or start with an empty one")]
    Broken {
        /// Which record.
        what: String,
    },
    /// Written by a newer release.
    #[error("store has format {found}, this release reads up to {known}; upgrade prb")]
    NewerFormat {
        /// Format on disk.
        found: u32,
        /// Newest known format.
        known: u32,
    },
    /// Another process writes to the store.
    #[error("{path} is in use by another process; stop it or use another data directory")]
    Locked {
        /// The store's folder.
        path: String,
    },
    /// The map is full and could not grow.
    #[error("store map of {bytes} bytes is full; raise its limit, or free space on its disk")]
    MapFull {
        /// Size of the map.
        bytes: u64,
    },
    /// No space left on the device.
    #[error("no space left for the store; free some, writing goes on by itself")]
    DiskFull,
    /// This store only reads.
    #[error("this store is read-only; append to the one it reads from")]
    ReadOnly,
    /// A provider did not answer.
    #[error("no provider answers: {0}")]
    Unreachable(String),
    /// Anything else of the backend.
    #[error("store: {0}")]
    Backend(String),
}

impl StoreError {
    /// What may be done about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::MapFull { .. } | Self::DiskFull | Self::Unreachable(_) | Self::Backend(_) => Fault::Retry,
            Self::Gap { .. } => Fault::Reread,
            Self::ForeignChain { .. }
            | Self::Inconsistent(_)
            | Self::Damaged { .. }
            | Self::Unrepairable { .. }
            | Self::Broken { .. }
            | Self::NewerFormat { .. }
            | Self::Locked { .. }
            | Self::ReadOnly => Fault::Stop,
        }
    }
}
