//! Toy cryptography of the fakes: shaped like the real thing, checked like the real thing, forgeable by anybody.
//!
//! - A relay state is one node, the SCALE list of its key/value pairs; its root is the node's hash, and the node
//!   itself is the read proof.
//! - A justification is a real one in which all of the set vote, with hashes for signatures.
//! - The parachain's state root is the hash of the pairs at block 0, and after that a chain of hashes over the
//!   storage changes.

use crate::{
    accept::{BlockChanges, Refusal, Verifier},
    id::{BlockRef, Hash, Height, WorkerKey},
    port::NodeChange,
    storage_key::{self, StorageKey},
    types::{
        grandpa::{AuthorityId, AuthoritySet, Commit, Justification, SignedPrecommit, precommit_payload},
        message::{MessageOrigin, SignedMessage},
        sync::{GenesisBlockInfo, StorageState},
    },
};
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};
use std::collections::BTreeMap;

/// Blocks from the registration of a worker to its benchmark message.
pub const BENCHMARK_BLOCKS: u32 = 2;

/// Topic of benchmark messages; their payload is the score, u32.
pub const BENCHMARK_TOPIC: &[u8] = b"^phala/registry/event";

/// Topic of all other messages.
pub const CHAT_TOPIC: &[u8] = b"phala/mining/report";

/// What a parachain block tells workers, as the SCALE list at [`events_key`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToyEvent {
    /// A worker was registered; without a score it starts its benchmark.
    Registered {
        /// Which.
        worker: WorkerKey,
        /// Whether it has no score yet.
        benchmark: bool,
    },
    /// A worker's session started.
    Started(WorkerKey),
    /// A worker's session stopped.
    Stopped(WorkerKey),
    /// Computing workers answer with a message.
    Challenge,
    /// Whoever speaks for the sender queues so many messages.
    Speak(MessageOrigin, u32),
}

/// Where a block's [`ToyEvent`]s are.
pub fn events_key() -> StorageKey {
    storage_key::plain("Toy", "Events")
}

/// Where a state after block 0 keeps its root: root ‖ hash of (root, the other pairs). No block changes it.
fn root_key() -> StorageKey {
    storage_key::plain("Toy", "Root")
}

/// The state root after a block that changed `changes` (SCALE) on top of `root`.
pub fn next_root(root: Hash, changes: &[u8]) -> Hash {
    Hash::of(&(root, changes).encode())
}

/// Notes the root of a state after block 0 in the state itself, so that [`pairs_root`] finds it in an export.
pub(super) fn seal(root: Hash, state: &mut BTreeMap<StorageKey, Bytes>) {
    state.remove(&root_key());
    let pairs: StorageState = state.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
    let seal = Hash::of(&(root, &pairs).encode());
    state.insert(root_key(), (root, seal).encode().into());
}

/// The root of a state given as pairs in byte order: the sealed one if it holds it, else the hash of the pairs.
pub fn pairs_root(pairs: &[u8]) -> Hash {
    let sealed = || {
        let mut decoded = StorageState::decode_all(&mut &*pairs).ok()?;
        let place = decoded.iter().position(|(key, _)| *key == root_key())?;
        let (_, value) = decoded.remove(place);
        let (root, seal) = <(Hash, Hash)>::decode_all(&mut value.as_slice()).ok()?;
        (seal == Hash::of(&(root, &decoded).encode())).then_some(root)
    };
    sealed().unwrap_or_else(|| Hash::of(pairs))
}

/// An encoded [`Justification`] of `target` by all of `set`; its round is the set's id.
pub fn justification(set: &AuthoritySet, target: BlockRef) -> Bytes {
    let precommits = set.list.iter().map(|(id, _)| SignedPrecommit {
        target_hash: target.hash,
        target_number: target.height.0,
        signature: vote(set, target, id),
        id: *id,
    });
    let commit =
        Commit { target_hash: target.hash, target_number: target.height.0, precommits: precommits.collect() };
    Justification { round: set.id, commit, votes_ancestries: Vec::new() }.encode().into()
}

/// A voter's signature: 64 bytes that follow from what a real one signs and from its id.
fn vote(set: &AuthoritySet, target: BlockRef, id: &AuthorityId) -> [u8; 64] {
    let payload = precommit_payload(target.hash, target.height.0, set.id, set.id);
    let digest = Hash::of(&(payload.as_slice(), id).encode()).0;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&digest);
    signature[32..].copy_from_slice(&Hash::of(&digest).0);
    signature
}

/// Whether `justification` finalizes `target` under `set`; the error says what is wrong with it.
pub fn check_justification(
    set: &AuthoritySet,
    target: BlockRef,
    justification: &[u8],
) -> Result<(), &'static str> {
    let Justification { commit, .. } = Justification::decode_all(&mut &*justification)
        .map_err(|_| "error decoding justification for header")?;
    if (commit.target_hash, commit.target_number) != (target.hash, target.height.0) {
        return Err("invalid commit target in grandpa justification");
    }
    let votes_for = |vote: &SignedPrecommit, id| {
        vote.id == id && vote.target_hash == target.hash && vote.target_number == target.height.0
    };
    if !set.list.iter().all(|(id, _)| commit.precommits.iter().any(|vote| votes_for(vote, *id))) {
        return Err("invalid commit in grandpa justification");
    }
    if commit.precommits.iter().any(|precommit| precommit.signature != vote(set, target, &precommit.id)) {
        return Err("invalid signature for precommit in grandpa justification");
    }
    Ok(())
}

/// The value of `key` under `root`, read through a proof (one node).
pub fn read_proof(
    root: Hash,
    proof: &[impl AsRef<[u8]>],
    key: &[u8],
) -> Result<Option<Vec<u8>>, &'static str> {
    let node = proof.iter().find(|node| Hash::of(node.as_ref()) == root).ok_or("no node of the root")?;
    let pairs = StorageState::decode_all(&mut node.as_ref()).map_err(|_| "node does not decode")?;
    Ok(pairs.into_iter().find(|(found, _)| found == key).map(|(_, value)| value))
}

/// Signs a message: 64 bytes that follow from its content and its sender.
pub fn sign(message: &mut SignedMessage) {
    message.signature = signature(message);
}

/// Whether a message carries its sender's signature.
pub fn is_signed(message: &SignedMessage) -> bool {
    message.signature == signature(message)
}

fn signature(message: &SignedMessage) -> Vec<u8> {
    let digest = Hash::of(&(&message.message, message.sequence).encode());
    [digest.0, Hash::of(&digest.0).0].concat()
}

/// Checks the toys. It keeps no state copy: the cursor's root is all it needs.
#[derive(Clone, Copy, Debug)]
pub struct ToyVerifier {
    state: bool,
}

impl ToyVerifier {
    /// Checks everything.
    pub const fn new() -> Self {
        Self { state: true }
    }

    /// Checks everything but storage changes.
    pub const fn without_state() -> Self {
        Self { state: false }
    }
}

impl Default for ToyVerifier {
    fn default() -> Self {
        Self::new()
    }
}

fn failed(check: &'static str, height: Height, cause: impl Into<String>) -> Refusal {
    Refusal::Failed { check, height, cause: cause.into() }
}

impl Verifier for ToyVerifier {
    fn justification(
        &self,
        set: &AuthoritySet,
        target: BlockRef,
        justification: &[u8],
    ) -> Result<(), Refusal> {
        check_justification(set, target, justification)
            .map_err(|cause| failed("justification", target.height, cause))
    }

    fn authorities(&self, genesis: &GenesisBlockInfo) -> Result<(), Refusal> {
        const CHECK: &str = "authority proof";
        let (root, height) = (genesis.block_header.state_root, genesis.block_header.height());
        let read =
            |key: &[u8]| read_proof(root, &genesis.proof, key).map_err(|cause| failed(CHECK, height, cause));
        if read(&storage_key::grandpa_authorities())? != Some(genesis.authority_set.list.encode()) {
            return Err(failed(CHECK, height, "another list is in the state"));
        }
        if read(&storage_key::grandpa_current_set_id())? != Some(genesis.authority_set.id.encode()) {
            return Err(failed(CHECK, height, "another set id is in the state"));
        }
        Ok(())
    }

    fn read_proof(&self, root: Hash, proof: &[Bytes], key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        read_proof(root, proof, key).map_err(|cause| failed("read proof", Height(0), cause))
    }

    fn verifies_state(&self) -> bool {
        self.state
    }

    fn load_state(&mut self, pairs: &[u8]) -> Result<(Hash, Vec<NodeChange>), Refusal> {
        Ok((pairs_root(pairs), Vec::new()))
    }

    fn apply_changes(&mut self, root: Hash, blocks: &[BlockChanges]) -> Result<Vec<NodeChange>, Refusal> {
        let mut root = root;
        for block in blocks {
            root = next_root(root, &block.changes);
            if root != block.root {
                let cause = format!("changes lead to {root}, the header says {}", block.root);
                return Err(failed("state root", block.height, cause));
            }
        }
        Ok(Vec::new())
    }
}
