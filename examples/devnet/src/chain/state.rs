//! Reading any past state: values, keys, proofs, runtime calls.

use codec::{Decode, Encode};
use sp_core::H256;
use sp_core::storage::ChildInfo;
use sp_state_machine::{
    Backend as _, IterArgs, prove_child_read_on_trie_backend, prove_read_on_trie_backend,
};
use sp_version::RuntimeVersion;

use super::exec::{CallError, Execution};
use super::nodes::State;
use super::{Block, Chain, Pairs, StorageChanges};
use std::sync::Arc;

/// Why a state question has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// No block has this hash.
    #[error("Header was not found in the database: {0:?}")]
    UnknownBlock(H256),
    /// The trie does not hold together.
    #[error("Trie lookup error: {0}")]
    Trie(String),
    /// The range runs from a higher to a lower block.
    #[error("Cannot resolve a block range ['{from:?}' ... '{to:?}]: from number > to number")]
    Backwards {
        /// First block asked for.
        from: H256,
        /// Last block asked for.
        to: H256,
    },
    /// More than [`Chain::MAX_CHANGES_SPAN`] blocks between the ends.
    #[error("Resource limited, Too large number of blocks.")]
    TooManyBlocks,
    /// Block 0 was reached before `from`.
    #[error("Error occurred while processing the block {0:?}: not an ancestor of the range's end")]
    NotAncestor(H256),
    /// A runtime call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Chain {
    /// Largest difference of heights in [`Chain::changes_between`] (Phala's `pha_getStorageChanges` limit).
    pub const MAX_CHANGES_SPAN: u32 = 10_000;

    /// The block `at`, or the best one.
    pub fn block_or_best(&self, at: Option<H256>) -> Result<Arc<Block>, StateError> {
        match at {
            None => Ok(self.best()),
            Some(hash) => self.block(hash).ok_or(StateError::UnknownBlock(hash)),
        }
    }

    /// The state after block `at` (best when `None`).
    pub fn state(&self, at: Option<H256>) -> Result<State, StateError> {
        Ok(self.nodes.at(self.block_or_best(at)?.header.state_root))
    }

    /// The value of `key` after block `at`.
    pub fn read(&self, key: &[u8], at: Option<H256>) -> Result<Option<Vec<u8>>, StateError> {
        self.state(at)?.storage(key).map_err(StateError::Trie)
    }

    /// The value of `key`, decoded; `None` when absent or undecodable.
    pub fn read_as<T: Decode>(&self, key: &[u8], at: Option<H256>) -> Option<T> {
        T::decode(&mut &self.read(key, at).ok()??[..]).ok()
    }

    /// Trie nodes proving the values (or absence) of `keys` after block `at`.
    pub fn prove_read(&self, keys: &[Vec<u8>], at: Option<H256>) -> Result<Vec<Vec<u8>>, StateError> {
        let proof = prove_read_on_trie_backend(&self.state(at)?, keys)
            .map_err(|error| StateError::Trie(error.to_string()))?;
        Ok(proof.into_iter_nodes().collect())
    }

    /// Like [`Chain::prove_read`] for one child trie of the default namespace.
    pub fn prove_child_read(
        &self,
        child: &[u8],
        keys: &[Vec<u8>],
        at: Option<H256>,
    ) -> Result<Vec<Vec<u8>>, StateError> {
        let proof = prove_child_read_on_trie_backend(&self.state(at)?, &ChildInfo::new_default(child), keys)
            .map_err(|error| StateError::Trie(error.to_string()))?;
        Ok(proof.into_iter_nodes().collect())
    }

    /// The value of `key` in a child trie of the default namespace.
    pub fn read_child(
        &self,
        child: &[u8],
        key: &[u8],
        at: Option<H256>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        self.state(at)?.child_storage(&ChildInfo::new_default(child), key).map_err(StateError::Trie)
    }

    /// Up to `count` keys with `prefix`, in order, after `start` (excluded); `child` selects a child trie.
    pub fn keys_paged(
        &self,
        child: Option<&[u8]>,
        prefix: &[u8],
        count: usize,
        start: Option<&[u8]>,
        at: Option<H256>,
    ) -> Result<Vec<Vec<u8>>, StateError> {
        let state = self.state(at)?;
        let mut args = IterArgs::default();
        args.prefix = Some(prefix);
        args.start_at = start.filter(|start| !start.is_empty());
        args.start_at_exclusive = true;
        args.child_info = child.map(ChildInfo::new_default);
        let keys = state.keys(args).map_err(StateError::Trie)?;
        keys.take(count).collect::<Result<_, _>>().map_err(StateError::Trie)
    }

    /// Every key and value with `prefix` of the main trie, in order.
    pub fn pairs(&self, prefix: &[u8], at: Option<H256>) -> Result<Pairs, StateError> {
        let state = self.state(at)?;
        let mut args = IterArgs::default();
        args.prefix = Some(prefix);
        let pairs = state.pairs(args).map_err(StateError::Trie)?;
        pairs.collect::<Result<_, _>>().map_err(StateError::Trie)
    }

    /// Calls a runtime API method on the state after block `at`; nothing it writes is kept.
    pub fn call(&self, method: &str, args: &[u8], at: Option<H256>) -> Result<Vec<u8>, StateError> {
        let block = self.block_or_best(at)?;
        let mut execution = Execution::new(block.runtime, self.nodes.at(block.header.state_root));
        Ok(execution.call(method, args)?)
    }

    /// [`Chain::call`] with SCALE types.
    pub fn call_typed<T: Decode>(
        &self,
        method: &str,
        args: &impl Encode,
        at: Option<H256>,
    ) -> Result<T, StateError> {
        Ok(super::exec::decode(method, &self.call(method, &args.encode(), at)?)?)
    }

    /// The runtime version in force after block `at`.
    pub fn runtime_version(&self, at: Option<H256>) -> Result<RuntimeVersion, StateError> {
        self.call_typed("Core_version", &(), at)
    }

    /// The blocks `from ..= to`, ascending, found by walking parents from `to`.
    pub fn changes_between(&self, from: H256, to: H256) -> Result<Vec<Arc<Block>>, StateError> {
        let known = |hash| self.block(hash).ok_or(StateError::UnknownBlock(hash));
        let (first, last) = (known(from)?, known(to)?);
        let Some(span) = last.header.number.checked_sub(first.header.number) else {
            return Err(StateError::Backwards { from, to });
        };
        if span > Self::MAX_CHANGES_SPAN {
            return Err(StateError::TooManyBlocks);
        }
        let mut blocks = vec![last];
        for _ in 0..span {
            let parent = blocks.last().expect("starts with one block").header.parent_hash;
            blocks.push(known(parent)?);
        }
        if blocks.last().is_none_or(|block| block.hash != from) {
            return Err(StateError::NotAncestor(from));
        }
        blocks.reverse();
        Ok(blocks)
    }

    /// What block `at` wrote.
    pub fn changes(&self, at: H256) -> Result<StorageChanges, StateError> {
        Ok(self.block_or_best(Some(at))?.changes.clone())
    }
}
