//! Nodes of the state copy while a batch is applied: what it adds and drops, over a cache, over the store.

use super::StateCopyError;
use crate::verify::layout::{Blake2b256, EMPTY_NODE, NodeHash, empty_root};
use hash_db::{AsHashDB, HashDB, HashDBRef, Prefix};
use prb_core::{
    Bytes,
    id::Hash,
    port::{NodeChange, NodeStore, StoreError},
};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Maps by node hash. The hash is uniform already: its first bytes serve.
type ByHash<V> = HashMap<NodeHash, V, BuildHasherDefault<FirstBytes>>;

#[derive(Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// Arrays announce their length first, which says nothing here.
    fn write_usize(&mut self, _len: usize) {}
}

/// What a cached node takes beside its bytes: map entry and handle.
const OVERHEAD: usize = 100;

/// Recently used nodes, in two generations: what is not used while the young one fills up is forgotten.
pub(super) struct NodeCache {
    young: ByHash<Bytes>,
    old: ByHash<Bytes>,
    young_bytes: usize,
    limit: usize,
}

impl NodeCache {
    /// Room for about `bytes` of nodes.
    pub(super) fn new(bytes: usize) -> Self {
        Self { young: ByHash::default(), old: ByHash::default(), young_bytes: 0, limit: bytes / 2 }
    }

    fn get(&mut self, hash: &NodeHash) -> Option<Bytes> {
        if let Some(node) = self.young.get(hash) {
            return Some(node.clone());
        }
        let node = self.old.remove(hash)?;
        self.put(*hash, node.clone());
        Some(node)
    }

    fn put(&mut self, hash: NodeHash, node: Bytes) {
        let size = node.len() + OVERHEAD;
        if self.young.insert(hash, node).is_none() {
            self.young_bytes += size;
        }
        if self.young_bytes > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    fn forget(&mut self, hash: &NodeHash) {
        self.old.remove(hash);
        if let Some(node) = self.young.remove(hash) {
            self.young_bytes = self.young_bytes.saturating_sub(node.len() + OVERHEAD);
        }
    }
}

/// References that came and went, with the node where one came.
#[derive(Default)]
struct Delta {
    references: i32,
    node: Option<Bytes>,
}

/// The node database that `trie-db` writes to.
pub(super) struct Overlay<'a> {
    nodes: &'a dyn NodeStore,
    deltas: ByHash<Delta>,
    shared: Mutex<Shared<'a>>,
}

/// What reading changes.
struct Shared<'a> {
    cache: &'a mut NodeCache,
    /// First failure of the store; `trie-db` can only be told that a node is missing.
    error: Option<StoreError>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(nodes: &'a dyn NodeStore, cache: &'a mut NodeCache) -> Self {
        Self { nodes, deltas: ByHash::default(), shared: Mutex::new(Shared { cache, error: None }) }
    }

    /// Failure of the store since the last call.
    pub(super) fn take_error(&mut self) -> Option<StoreError> {
        self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).error.take()
    }

    /// The node changes, in the order of their hashes.
    pub(super) fn finish(mut self) -> Result<Vec<NodeChange>, StoreError> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        let cache = &mut *self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).cache;
        let mut changes = Vec::with_capacity(self.deltas.len());
        for (hash, delta) in self.deltas {
            let node = match delta.references {
                0 => continue,
                1.. => delta.node,
                _ => None,
            };
            match &node {
                Some(node) => cache.put(hash, node.clone()),
                None => cache.forget(&hash),
            }
            changes.push(NodeChange { hash: Hash(hash), references: delta.references, node });
        }
        changes.sort_unstable_by_key(|change| change.hash);
        Ok(changes)
    }

    fn shared(&self) -> MutexGuard<'_, Shared<'a>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reference to a node comes.
    pub(super) fn add_reference(&mut self, hash: NodeHash, node: Vec<u8>) {
        let delta = self.deltas.entry(hash).or_default();
        delta.references += 1;
        delta.node.get_or_insert_with(|| node.into());
    }

    /// A reference to a node goes.
    pub(super) fn drop_reference(&mut self, hash: &NodeHash) {
        self.deltas.entry(*hash).or_default().references -= 1;
    }

    /// Why [`Self::find`] found nothing.
    pub(super) fn lacks(&mut self, hash: &NodeHash) -> StateCopyError {
        match self.take_error() {
            Some(error) => error.into(),
            None => StateCopyError::MissingNode { hash: Hash(*hash) },
        }
    }

    /// The node with this hash; none if there is none, or the store failed.
    pub(super) fn find(&self, hash: &NodeHash) -> Option<Bytes> {
        if let Some(Delta { node: Some(node), .. }) = self.deltas.get(hash) {
            return Some(node.clone());
        }
        if *hash == empty_root() {
            return Some(Bytes::from_static(EMPTY_NODE));
        }
        let mut shared = self.shared();
        if let Some(node) = shared.cache.get(hash) {
            return Some(node);
        }
        match self.nodes.node(&Hash(*hash)) {
            Ok(node) => {
                let node = node?;
                shared.cache.put(*hash, node.clone());
                Some(node)
            }
            Err(error) => {
                shared.error.get_or_insert(error);
                None
            }
        }
    }
}

impl HashDB<Blake2b256, Vec<u8>> for Overlay<'_> {
    fn get(&self, key: &NodeHash, _prefix: Prefix<'_>) -> Option<Vec<u8>> {
        self.find(key).map(|node| node.to_vec())
    }

    fn contains(&self, key: &NodeHash, _prefix: Prefix<'_>) -> bool {
        self.find(key).is_some()
    }

    fn insert(&mut self, prefix: Prefix<'_>, node: &[u8]) -> NodeHash {
        let hash = Hash::of(node).0;
        self.emplace(hash, prefix, node.to_vec());
        hash
    }

    fn emplace(&mut self, key: NodeHash, _prefix: Prefix<'_>, node: Vec<u8>) {
        if node == EMPTY_NODE {
            return;
        }
        self.add_reference(key, node);
    }

    fn remove(&mut self, key: &NodeHash, _prefix: Prefix<'_>) {
        if *key != empty_root() {
            self.drop_reference(key);
        }
    }
}

impl HashDBRef<Blake2b256, Vec<u8>> for Overlay<'_> {
    fn get(&self, key: &NodeHash, prefix: Prefix<'_>) -> Option<Vec<u8>> {
        HashDB::get(self, key, prefix)
    }

    fn contains(&self, key: &NodeHash, prefix: Prefix<'_>) -> bool {
        HashDB::contains(self, key, prefix)
    }
}

impl AsHashDB<Blake2b256, Vec<u8>> for Overlay<'_> {
    fn as_hash_db(&self) -> &dyn HashDB<Blake2b256, Vec<u8>> {
        self
    }

    fn as_hash_db_mut<'b>(&'b mut self) -> &'b mut (dyn HashDB<Blake2b256, Vec<u8>> + 'b) {
        self
    }
}
