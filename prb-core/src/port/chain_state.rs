//! What is on the parachain now.

use crate::{
    fault::Fault,
    id::{BlockRef, Height},
    storage_key::StorageKey,
};
use async_trait::async_trait;
use bytes::Bytes;

/// Storage of the parachain at finalized blocks.
///
/// # Contract
///
/// - `read` answers one value per key, in the order of the keys, all of the same block: the one returned.
/// - With `at` absent the block is the newest finalized one this state knows; it never goes back.
/// - Every call ends within the state's own deadline: [`StateError::Unreachable`].
/// - A state that cannot answer for an old block says [`StateError::NotKept`].
#[async_trait]
pub trait ChainState: Send + Sync {
    /// Values of `keys` at finalized block `at` (the newest if absent), none where the key is absent.
    async fn read(
        &self,
        keys: &[StorageKey],
        at: Option<Height>,
    ) -> Result<(BlockRef, Vec<Option<Bytes>>), StateError>;

    /// At most `limit` keys that start with `prefix`, in byte order, after `after`.
    async fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        at: Option<Height>,
    ) -> Result<Vec<StorageKey>, StateError>;

    /// All pairs of the main trie at `at`: SCALE [`StorageState`](crate::types::sync::StorageState), for fast sync.
    async fn pairs(&self, at: Height) -> Result<Bytes, StateError>;
}

/// Why a state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No block is known yet.
    #[error("no finalized state yet; it appears once the first block is synced")]
    Empty,
    /// The state of that block is not kept here.
    #[error("the state of block {at} is not kept here; ask an archive node")]
    NotKept {
        /// The block asked for.
        at: Height,
    },
    /// Nobody answered.
    #[error("chain state is not reachable: {0}")]
    Unreachable(String),
    /// The state is damaged or the answer makes no sense.
    #[error("chain state is damaged: {0}")]
    Damaged(String),
}

impl StateError {
    /// What may be done about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Empty | Self::Unreachable(_) => Fault::Retry,
            Self::NotKept { .. } | Self::Damaged(_) => Fault::Stop,
        }
    }
}
