//! Reading storage proofs: trie nodes in any order, of either state version.

use sp_core::H256;
use sp_runtime::traits::BlakeTwo256;
use sp_trie::{EMPTY_PREFIX, HashDBT, LayoutV1, MemoryDB, Trie, TrieDBBuilder};

/// Why a proof did not give what was asked of it. The texts are those of the real light client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A node on the path is not part of the proof, or is malformed.
    #[error("Failed to read value from trie: {0}")]
    Unresolvable(String),
    /// The proof shows that the key has no value.
    #[error("storage value unavailable")]
    Missing,
    /// The proof shows another value than the one claimed.
    #[error("storage value mismatch")]
    Mismatch,
}

/// A trie made of the nodes of a proof, opened at a root.
pub(crate) struct ProofTrie {
    nodes: MemoryDB<BlakeTwo256>,
    root: H256,
}

impl ProofTrie {
    pub(crate) fn new(root: H256, proof: &[Vec<u8>]) -> Self {
        let mut nodes = MemoryDB::default();
        for node in proof {
            nodes.insert(EMPTY_PREFIX, node);
        }
        Self { nodes, root }
    }

    /// The value at `key`; `None` only if the trie proves that there is none.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ProofError> {
        // The layout of version 1 reads both versions: the node header tells where a value lives.
        TrieDBBuilder::<LayoutV1<BlakeTwo256>>::new(&self.nodes, &self.root)
            .build()
            .get(key)
            .map_err(|error| ProofError::Unresolvable(error.to_string()))
    }

    /// Checks that the value at `key` is exactly `expected`.
    pub(crate) fn check(&self, key: &[u8], expected: &[u8]) -> Result<(), ProofError> {
        match self.get(key)? {
            None => Err(ProofError::Missing),
            Some(value) if value == expected => Ok(()),
            Some(_) => Err(ProofError::Mismatch),
        }
    }
}
