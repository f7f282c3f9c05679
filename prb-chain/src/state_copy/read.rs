//! Reads of the state copy.

use super::StateCopyError;
use crate::verify::layout::{Blake2b256, EMPTY_NODE, Layout, NodeHash, empty_root};
use codec::{Compact, Encode};
use hash_db::{HashDBRef, Prefix};
use prb_core::{
    Bytes,
    id::Hash,
    port::{NodeStore, StoreError},
};
use std::sync::{Arc, Mutex, PoisonError};
use trie_db::{Trie, TrieDB, TrieDBBuilder};

/// Why a read failed: [`StateCopyError::MissingNode`] while the copy moves on means that the root is not kept any
/// more.
pub type ReadError = StateCopyError;

/// Reads the state with a given root. Cheap to clone; reads never wait for the writer.
#[derive(Clone)]
pub struct StateReader {
    nodes: Arc<dyn NodeStore>,
}

impl StateReader {
    /// Reads from these nodes.
    pub fn new(nodes: Arc<dyn NodeStore>) -> Self {
        Self { nodes }
    }

    /// Values of `keys`, in their order, none where a key is absent.
    pub fn get<K: AsRef<[u8]>>(&self, root: Hash, keys: &[K]) -> Result<Vec<Option<Bytes>>, ReadError> {
        self.with_trie(root, |trie| {
            keys.iter().map(|key| Ok(trie.get(key.as_ref())?.map(Bytes::from))).collect()
        })
    }

    /// At most `limit` keys that start with `prefix`, in byte order, after `after`.
    pub fn keys(
        &self,
        root: Hash,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        self.with_trie(root, |trie| {
            let mut iter = trie.key_iter()?;
            let from = after.filter(|after| *after >= prefix).unwrap_or(prefix);
            iter.seek(from)?;
            let mut keys = Vec::new();
            for key in iter {
                let key = key?;
                if keys.len() == limit || !key.starts_with(prefix) {
                    break;
                }
                if after.is_none_or(|after| key.as_slice() > after) {
                    keys.push(key);
                }
            }
            Ok(keys)
        })
    }

    /// All pairs, SCALE [`StorageState`](prb_core::types::sync::StorageState), refused above `max_bytes`.
    pub fn pairs(&self, root: Hash, max_bytes: usize) -> Result<Bytes, ReadError> {
        self.with_trie(root, |trie| {
            let (mut count, mut pairs) = (0u32, Vec::new());
            for item in trie.iter()? {
                let (key, value) = item?;
                key.encode_to(&mut pairs);
                value.encode_to(&mut pairs);
                count += 1;
                if pairs.len() > max_bytes {
                    return Err(StateCopyError::TooLarge { max_bytes });
                }
            }
            let mut encoded = Compact(count).encode();
            encoded.append(&mut pairs);
            Ok(encoded.into())
        })
    }

    fn with_trie<T>(
        &self,
        root: Hash,
        read: impl FnOnce(&TrieDB<'_, '_, Layout>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let nodes = Nodes { nodes: self.nodes.as_ref(), error: Mutex::new(None) };
        let answer = read(&TrieDBBuilder::<Layout>::new(&nodes, &root.0).build());
        match nodes.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.into()),
            None => answer,
        }
    }
}

/// A node store as `trie-db` reads it; remembers why a node could not be read.
struct Nodes<'a> {
    nodes: &'a dyn NodeStore,
    error: Mutex<Option<StoreError>>,
}

impl HashDBRef<Blake2b256, Vec<u8>> for Nodes<'_> {
    fn get(&self, key: &NodeHash, _prefix: Prefix<'_>) -> Option<Vec<u8>> {
        if *key == empty_root() {
            return Some(EMPTY_NODE.to_vec());
        }
        self.nodes
            .node(&Hash(*key))
            .unwrap_or_else(|error| {
                *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            })
            .map(|node| node.to_vec())
    }

    fn contains(&self, key: &NodeHash, prefix: Prefix<'_>) -> bool {
        HashDBRef::get(self, key, prefix).is_some()
    }
}
