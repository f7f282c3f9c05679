//! Trie nodes of every block of one chain, by hash, never pruned.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use hash_db::{Hasher as _, Prefix};
use sp_core::H256;
use sp_runtime::traits::BlakeTwo256;
use sp_state_machine::{DBValue, DefaultError, TrieBackend, TrieBackendBuilder, TrieBackendStorage};
use sp_trie::PrefixedMemoryDB;

use super::lock;

/// One shared node map: equal nodes of different blocks, and of main and child tries, are stored once.
#[derive(Default)]
pub struct Nodes(RwLock<HashMap<H256, DBValue>>);

/// A [`Nodes`] map seen at one state root.
pub type State = TrieBackend<SharedNodes, BlakeTwo256>;

/// The handle a [`State`] reads through.
#[derive(Clone)]
pub struct SharedNodes(Arc<Nodes>);

impl Nodes {
    /// The state whose trie root is `root`.
    pub fn at(self: &Arc<Self>, root: H256) -> State {
        TrieBackendBuilder::new(SharedNodes(self.clone()), root).build()
    }

    /// How many distinct nodes are stored.
    pub fn len(&self) -> usize {
        lock::read(&self.0).len()
    }

    /// Whether nothing is stored yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps what a block added. Removals are ignored: older blocks still need the nodes.
    pub(super) fn absorb(&self, mut transaction: PrefixedMemoryDB<BlakeTwo256>) {
        let mut nodes = lock::write(&self.0);
        for (value, references) in transaction.drain().into_values() {
            if references > 0 {
                nodes.entry(BlakeTwo256::hash(&value)).or_insert(value);
            }
        }
    }
}

impl TrieBackendStorage<BlakeTwo256> for SharedNodes {
    fn get(&self, key: &H256, _prefix: Prefix<'_>) -> Result<Option<DBValue>, DefaultError> {
        Ok(lock::read(&self.0.0).get(key).cloned())
    }
}
