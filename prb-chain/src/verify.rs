//! Cryptographic checks of what a node answers: GRANDPA justifications, read proofs, authority lists, and the state
//! copy that storage changes are applied to.

pub mod justification;
pub(crate) mod layout;
pub mod proof;

pub use layout::BadNode;

use crate::state_copy::{StateCopy, StateCopyError};
use codec::DecodeAll;
use prb_core::{
    Bytes,
    accept::{BlockChanges, Refusal, Verifier},
    id::{BlockRef, Hash, Height},
    port::{NodeChange, NodeStore, StoreError},
    types::{
        grandpa::AuthoritySet,
        sync::{GenesisBlockInfo, StorageState},
    },
};
use std::sync::Arc;

/// [`Verifier`] with real cryptography, with or without a copy of the parachain's state.
pub struct CryptoVerifier {
    state: Option<StateCopy>,
}

impl CryptoVerifier {
    /// Checks storage changes against a state copy whose nodes `nodes` keeps.
    pub fn with_state(nodes: Arc<dyn NodeStore>) -> Self {
        Self { state: Some(StateCopy::new(nodes)) }
    }

    /// Checks storage changes against this state copy.
    pub fn with_copy(copy: StateCopy) -> Self {
        Self { state: Some(copy) }
    }

    /// Checks signatures, links and proofs only; storage changes are believed.
    pub fn without_state() -> Self {
        Self { state: None }
    }

    fn state(&mut self) -> Result<&mut StateCopy, Refusal> {
        self.state.as_mut().ok_or_else(|| {
            StoreError::Inconsistent("there is no state copy: verify_state is off".to_owned()).into()
        })
    }
}

impl Verifier for CryptoVerifier {
    fn justification(
        &self,
        set: &AuthoritySet,
        target: BlockRef,
        justification: &[u8],
    ) -> Result<(), Refusal> {
        justification::check(set, target, justification)
            .map_err(|error| failed("justification", target.height, error))
    }

    fn authorities(&self, genesis: &GenesisBlockInfo) -> Result<(), Refusal> {
        proof::genesis(genesis)
            .map_err(|error| failed("authority proof", genesis.block_header.height(), error))
    }

    fn read_proof(&self, root: Hash, proof: &[Bytes], key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        // The caller knows the height; a proof alone does not.
        proof::read(root, proof, key)
            .map_err(|error| failed("read proof", Height(0), format!("under root {root}: {error}")))
    }

    fn verifies_state(&self) -> bool {
        self.state.is_some()
    }

    fn load_state(&mut self, pairs: &[u8]) -> Result<(Hash, Vec<NodeChange>), Refusal> {
        const CHECK: &str = "parachain genesis state";
        let pairs =
            StorageState::decode_all(&mut &*pairs).map_err(|error| failed(CHECK, Height(0), error))?;
        self.state()?.load(pairs).map_err(|error| refusal(CHECK, Height(0), error))
    }

    fn apply_changes(&mut self, root: Hash, blocks: &[BlockChanges]) -> Result<Vec<NodeChange>, Refusal> {
        let first = blocks.first().map_or(Height(0), |block| block.height);
        self.state()?.apply(root, blocks).map_err(|error| refusal("state root", first, error))
    }
}

fn refusal(check: &'static str, height: Height, error: StateCopyError) -> Refusal {
    match error {
        StateCopyError::Store(error) => Refusal::Store(error),
        // The copy is ours: whatever the source says, a hole in it or bytes that are no node are not its fault, and
        // do not mend themselves.
        StateCopyError::MissingNode { .. } | StateCopyError::BadTrie(_) => {
            Refusal::Store(StoreError::Broken { what: format!("the state copy ({error})") })
        }
        StateCopyError::RootMismatch { height, .. } => failed(check, height, error),
        StateCopyError::Undecodable { height, .. } => failed("storage changes", height, error),
        error => failed(check, height, error),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "an error ends in the words of this one")]
fn failed(check: &'static str, height: Height, cause: impl ToString) -> Refusal {
    Refusal::Failed { check, height, cause: cause.to_string() }
}
