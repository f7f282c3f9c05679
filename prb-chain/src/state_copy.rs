//! A copy of the parachain's state, kept in step block by block.
//!
//! State version 0 (all values inline), as pRuntime computes it. The nodes lie in a [`NodeStore`] by hash, and only
//! those of the newest state: every step answers which references came and which went.

mod overlay;
mod read;
mod update;

pub use read::{ReadError, StateReader};

use crate::verify::layout::{Layout, NodeHash, empty_root};
use codec::DecodeAll;
use overlay::{NodeCache, Overlay};
use prb_core::{
    accept::BlockChanges,
    id::{Hash, Height},
    port::{NodeChange, NodeStore, StoreError},
    types::sync::StorageChanges,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use trie_db::{Trie, TrieBuilder, TrieDBBuilder, TrieError, trie_visit};
use update::{Delta, update};

/// Where the main trie keeps roots of child tries: this ‖ the un-prefixed child key
/// (`sp_core::storage::well_known_keys::DEFAULT_CHILD_STORAGE_KEY_PREFIX`).
pub const CHILD_ROOT_PREFIX: &[u8] = b":child_storage:default:";

/// Prefix of all child-trie roots, whatever their kind.
const ANY_CHILD_PREFIX: &[u8] = b":child_storage:";

/// Default memory for recently used nodes, bytes.
const CACHE_BYTES: usize = 128 << 20;

/// The state copy.
///
/// # Contract
///
/// The node changes of a call belong into the node store before the next call builds on them. The newest ones are
/// also remembered in memory, so a store that commits one call behind is served too.
pub struct StateCopy {
    nodes: Arc<dyn NodeStore>,
    cache: NodeCache,
}

impl StateCopy {
    /// A copy whose nodes are in `nodes`.
    pub fn new(nodes: Arc<dyn NodeStore>) -> Self {
        Self::with_cache(nodes, CACHE_BYTES)
    }

    /// As [`Self::new`], with another amount of memory for recently used nodes. Less means more reads of the store;
    /// typical: 128 MiB.
    pub fn with_cache(nodes: Arc<dyn NodeStore>, bytes: usize) -> Self {
        Self { nodes, cache: NodeCache::new(bytes) }
    }

    /// Builds the state from all pairs of its main trie: the root and the nodes.
    ///
    /// Pairs do not hold the contents of child tries, so a state that has some is refused.
    pub fn load(
        &mut self,
        pairs: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(Hash, Vec<NodeChange>), StateCopyError> {
        let given = pairs.len();
        let pairs: BTreeMap<Vec<u8>, Vec<u8>> = pairs.into_iter().collect();
        if pairs.len() != given {
            return Err(StateCopyError::RepeatedKeys { keys: given - pairs.len() });
        }
        let children =
            pairs.range(ANY_CHILD_PREFIX.to_vec()..).take_while(|(key, _)| key.starts_with(ANY_CHILD_PREFIX));
        match children.count() {
            0 => {}
            tries => return Err(StateCopyError::ChildTries { tries }),
        }
        let mut overlay = Overlay::new(self.nodes.as_ref(), &mut self.cache);
        let mut builder = TrieBuilder::<Layout, _>::new(&mut overlay);
        trie_visit::<Layout, _, _, _, _>(pairs.iter(), &mut builder);
        let root = builder.root.unwrap_or_else(empty_root);
        Ok((Hash(root), overlay.finish()?))
    }

    /// Applies the changes of consecutive blocks on top of the state with this root. After each the root must be
    /// the block's; at the first that is not, the copy stays where it was.
    pub fn apply(&mut self, root: Hash, blocks: &[BlockChanges]) -> Result<Vec<NodeChange>, StateCopyError> {
        let mut overlay = Overlay::new(self.nodes.as_ref(), &mut self.cache);
        let mut root = root.0;
        for block in blocks {
            let changes = StorageChanges::decode_all(&mut block.changes.as_ref()).map_err(|error| {
                StateCopyError::Undecodable { height: block.height, cause: error.to_string() }
            })?;
            let stepped = step(&mut overlay, root, changes);
            // `trie-db` can only be told that a node is missing when the store failed.
            if let Some(error) = overlay.take_error() {
                return Err(error.into());
            }
            root = stepped?;
            if root != block.root.0 {
                return Err(StateCopyError::RootMismatch {
                    height: block.height,
                    expected: block.root,
                    computed: Hash(root),
                });
            }
        }
        Ok(overlay.finish()?)
    }
}

/// Applies one block: child tries first, their roots into the main trie, then the main changes.
fn step(
    overlay: &mut Overlay<'_>,
    root: NodeHash,
    changes: StorageChanges,
) -> Result<NodeHash, StateCopyError> {
    let mut children: HashMap<Vec<u8>, NodeHash> = HashMap::new();
    for (child, delta) in changes.child_storage_changes {
        let key = [CHILD_ROOT_PREFIX, &child].concat();
        let before = match children.get(&key) {
            Some(root) => *root,
            None => child_root(overlay, &root, &key)?,
        };
        let after = update(overlay, before, delta.into_iter().collect())?;
        children.insert(key, after);
    }
    let mut delta: Delta = children
        .into_iter()
        .map(|(key, root)| (key, (root != empty_root()).then(|| root.to_vec())))
        .collect();
    delta.extend(changes.main_storage_changes);
    update(overlay, root, delta)
}

/// Root of a child trie, that of the empty trie if there is none.
fn child_root(overlay: &Overlay<'_>, root: &NodeHash, key: &[u8]) -> Result<NodeHash, StateCopyError> {
    match TrieDBBuilder::<Layout>::new(overlay, root).build().get(key)? {
        None => Ok(empty_root()),
        Some(value) => {
            value.try_into().map_err(|value: Vec<u8>| StateCopyError::BadChildRoot { len: value.len() })
        }
    }
}

/// Why the state copy does not take a step.
#[derive(Debug, thiserror::Error)]
pub enum StateCopyError {
    /// The changes lead elsewhere than the block says.
    #[error("changes of block {height} lead to state root {computed}, its header says {expected}")]
    RootMismatch {
        /// The block.
        height: Height,
        /// Root in its header.
        expected: Hash,
        /// Root the changes lead to.
        computed: Hash,
    },
    /// Not SCALE storage changes.
    #[error("changes of block {height} do not decode: {cause}")]
    Undecodable {
        /// The block.
        height: Height,
        /// What the decoder says.
        cause: String,
    },
    /// A list of pairs repeats keys.
    #[error("{keys} keys come more than once")]
    RepeatedKeys {
        /// How many.
        keys: usize,
    },
    /// The start state has child tries, whose contents the pairs do not hold.
    #[error(
        "the start state has {tries} child tries, whose contents no node answers with the pairs; \
         set verify_state = false to follow this chain without a state copy"
    )]
    ChildTries {
        /// How many.
        tries: usize,
    },
    /// A child-trie root has not 32 bytes.
    #[error("a child trie's root has {len} bytes instead of 32")]
    BadChildRoot {
        /// Its length.
        len: usize,
    },
    /// The changes have a key longer than any real chain's.
    #[error("the changes have a key of {len} bytes")]
    LongKey {
        /// Its length.
        len: usize,
    },
    /// The changes nest keys deeper than any real chain does.
    #[error("the changes nest trie nodes more than {depth} deep")]
    TooDeep {
        /// How deep.
        depth: usize,
    },
    /// The store has lost a node of the copy.
    #[error("trie node {hash} is missing")]
    MissingNode {
        /// Its hash.
        hash: Hash,
    },
    /// The pairs of a state are more than was asked for.
    #[error("the state has more than {max_bytes} bytes")]
    TooLarge {
        /// The cap.
        max_bytes: usize,
    },
    /// A node in the store is not a trie node.
    #[error("{0}")]
    BadTrie(String),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Box<TrieError<NodeHash, crate::verify::BadNode>>> for StateCopyError {
    fn from(error: Box<TrieError<NodeHash, crate::verify::BadNode>>) -> Self {
        match *error {
            TrieError::InvalidStateRoot(hash) | TrieError::IncompleteDatabase(hash) => {
                Self::MissingNode { hash: Hash(hash) }
            }
            other => Self::BadTrie(other.to_string()),
        }
    }
}
