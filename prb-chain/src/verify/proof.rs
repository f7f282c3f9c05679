//! Read proofs of state tries (pRuntime's light client; trie nodes by hash, in any order).

use super::layout::{Blake2b256, Codec, EMPTY_NODE, Layout, NodeHash, empty_root};
use codec::{Decode, Encode};
use hash_db::{HashDBRef, Prefix};
use prb_core::{
    id::Hash,
    storage_key,
    types::{
        grandpa::{AuthorityList, AuthoritySet},
        sync::GenesisBlockInfo,
    },
};
use std::collections::HashMap;
use trie_db::{NodeCodec, Trie, TrieDBBuilder, TrieError};

/// Why a proof does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof lacks a node on the way to the key, so it shows neither a value nor its absence.
    #[error("the proof lacks trie node {0}")]
    MissingNode(Hash),
    /// A node of the proof is not a trie node.
    #[error("trie node {hash} of the proof does not decode")]
    BadNode {
        /// Hash of the node.
        hash: Hash,
    },
    /// The trie has a shape that keys of whole bytes cannot lead to.
    #[error("the proof is not a state trie: {0}")]
    BadTrie(String),
}

/// Reads `key` from the trie with this root: its value, or none where the proof shows that it has none.
///
/// Both state versions are understood. Nodes that are not needed are tolerated.
pub fn read<N: AsRef<[u8]>>(root: Hash, proof: &[N], key: &[u8]) -> Result<Option<Vec<u8>>, ProofError> {
    Proof::new(proof).read(root, key)
}

/// Nodes of a proof by hash, to read several keys.
pub struct Proof<'a>(HashMap<NodeHash, &'a [u8]>);

impl<'a> Proof<'a> {
    /// Hashes the nodes.
    pub fn new<N: AsRef<[u8]>>(nodes: &'a [N]) -> Self {
        Self(nodes.iter().map(|node| (Hash::of(node.as_ref()).0, node.as_ref())).collect())
    }

    /// As [`read`].
    pub fn read(&self, root: Hash, key: &[u8]) -> Result<Option<Vec<u8>>, ProofError> {
        TrieDBBuilder::<Layout>::new(self, &root.0).build().get(key).map_err(|error| match *error {
            TrieError::InvalidStateRoot(hash) | TrieError::IncompleteDatabase(hash) => {
                ProofError::MissingNode(Hash(hash))
            }
            TrieError::DecoderError(hash, _) => ProofError::BadNode { hash: Hash(hash) },
            other => ProofError::BadTrie(other.to_string()),
        })
    }
}

impl HashDBRef<Blake2b256, Vec<u8>> for Proof<'_> {
    fn get(&self, key: &NodeHash, _prefix: Prefix<'_>) -> Option<Vec<u8>> {
        match self.0.get(key) {
            Some(node) => Some(node.to_vec()),
            None => (*key == Codec::hashed_null_node()).then(|| EMPTY_NODE.to_vec()),
        }
    }

    fn contains(&self, key: &NodeHash, _prefix: Prefix<'_>) -> bool {
        self.0.contains_key(key) || *key == empty_root()
    }
}

/// Why an authority set is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The proof does not answer.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Neither `Grandpa.Authorities` nor the legacy key has a value.
    #[error(
        "the state holds no authority list, neither in Grandpa.Authorities nor under :grandpa_authorities"
    )]
    Absent,
    /// The state holds another list.
    #[error("the state holds another authority list than the one given ({given} voters)")]
    OtherList {
        /// Voters in the list given.
        given: usize,
    },
    /// The state holds another set id.
    #[error("the state holds set id {proven}, given is {given}")]
    OtherId {
        /// `Grandpa.CurrentSetId`.
        proven: u64,
        /// Id of the set given.
        given: u64,
    },
    /// The weights sum to zero or overflow: such a set can finalize nothing, and workers abort on it.
    #[error("the weights of the authority list sum to zero or overflow")]
    BadWeights,
}

/// Checks that `set` is the authority set in the state with this root: `Grandpa.Authorities`, or where that is
/// proven absent the legacy key, whose value has a version byte in front. The set id is compared where the proof
/// shows it; a proof need not.
pub fn authorities<N: AsRef<[u8]>>(
    root: Hash,
    set: &AuthoritySet,
    proof: &[N],
) -> Result<(), AuthorityError> {
    let proof = Proof::new(proof);
    let list = match proof.read(root, &storage_key::grandpa_authorities())? {
        Some(list) => list,
        None => match proof.read(root, storage_key::LEGACY_GRANDPA_AUTHORITIES)? {
            Some(versioned) if !versioned.is_empty() => versioned[1..].to_vec(),
            _ => return Err(AuthorityError::Absent),
        },
    };
    if list != set.list.encode() {
        return Err(AuthorityError::OtherList { given: set.list.len() });
    }
    if total_weight(&set.list).is_none() {
        return Err(AuthorityError::BadWeights);
    }
    match proof.read(root, &storage_key::grandpa_current_set_id()) {
        Ok(Some(id)) => {
            let proven = u64::decode(&mut id.as_slice())
                .map_err(|_| ProofError::BadTrie("Grandpa.CurrentSetId is not a u64".to_owned()))?;
            if proven == set.id { Ok(()) } else { Err(AuthorityError::OtherId { proven, given: set.id }) }
        }
        Ok(None) | Err(ProofError::MissingNode(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// [`authorities`] of a worker's genesis, against the state root of its header.
pub fn genesis(genesis: &GenesisBlockInfo) -> Result<(), AuthorityError> {
    authorities(genesis.block_header.state_root, &genesis.authority_set, &genesis.proof)
}

/// Sum of the weights; none if it is zero or overflows u64.
pub(super) fn total_weight(list: &AuthorityList) -> Option<u64> {
    let total = list.iter().try_fold(0u64, |sum, (_, weight)| sum.checked_add(*weight))?;
    (total > 0).then_some(total)
}
