//! The three counters of a worker and the roots that wait between them: relay headers prove
//! parachain headers, whose state roots prove the blocks.

use std::collections::VecDeque;

use codec::{Decode, Encode};
use sp_core::H256;

use super::error::{Error, Result};
use super::keys;
use super::light::{LightClient, LightError};
use super::proof::ProofTrie;
use super::scale::{AuthoritySetChange, BlockHeaderWithChanges, Header, HeaderToSync, StorageChanges};
use super::state::ChainState;
use super::version::Version;

/// Light client, counters and queued roots.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Synchronizer {
    /// Rules of the relay chain (or the only chain, standalone).
    pub light: LightClient,
    /// `true`: relay headers prove parachain headers; `false`: one chain only.
    pub parachain: bool,
    /// Next relay header number.
    pub header_next: u32,
    /// Next parachain header number.
    pub para_next: u32,
    /// Next block number.
    pub block_next: u32,
    /// State root of the last relay header that no parachain batch used yet.
    pub relay_root: Option<H256>,
    /// State roots of authenticated blocks that were not dispatched yet, oldest first.
    roots: VecDeque<H256>,
    /// Whether the initial state was compared with an authenticated root.
    pub genesis_validated: bool,
}

impl Synchronizer {
    /// State after `InitRuntime`. `genesis_number` is the number of the relay genesis header.
    #[must_use]
    pub fn new(light: LightClient, parachain: bool, genesis_number: u32) -> Self {
        Self {
            light,
            parachain,
            header_next: if parachain { genesis_number.wrapping_add(1) } else { 0 },
            para_next: 0,
            block_next: 1,
            relay_root: None,
            roots: VecDeque::new(),
            genesis_validated: false,
        }
    }

    /// Starts from the state after block `number` instead of block 0 (fast sync).
    pub fn load_state_at(&mut self, number: u32) -> Result<()> {
        let fresh =
            self.block_next == 1 && if self.parachain { self.para_next == 0 } else { self.header_next == 0 };
        if !fresh {
            return Err(Error::app("Failed to set synchronizer state"));
        }
        if self.parachain {
            self.para_next = number;
        }
        self.block_next = number.wrapping_add(1);
        Ok(())
    }

    /// `SyncHeader`: returns the last accepted number.
    pub fn sync_header(
        &mut self,
        version: Version,
        mut headers: Vec<HeaderToSync>,
        change: Option<AuthoritySetChange>,
    ) -> Result<u32> {
        headers.retain(|item| item.header.number >= self.header_next);
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(self.header_next.wrapping_sub(1));
        };
        if first.header.number != self.header_next {
            return Err(Error::app("BlockNumberMismatch"));
        }
        let justification =
            last.justification.as_deref().ok_or_else(|| Error::app("MissingJustification"))?;
        check_links(headers.iter().map(|item| &item.header))?;
        self.light.accept(version, &headers, justification, change).map_err(header_error)?;
        let (number, root) = (last.header.number, last.header.state_root);
        self.header_next = number.wrapping_add(1);
        if self.parachain {
            self.relay_root = Some(root);
        } else {
            let from = self.block_next.wrapping_sub(1);
            let fresh = headers.iter().filter(|item| item.header.number >= from);
            self.roots.extend(fresh.map(|item| item.header.state_root));
        }
        Ok(number)
    }

    /// `SyncParaHeader`: returns the last accepted number.
    pub fn sync_para_header(
        &mut self,
        para_id: u32,
        mut headers: Vec<Header>,
        proof: &[Vec<u8>],
    ) -> Result<u32> {
        if !self.parachain {
            return Err(Error::app("ChainModeMismatch"));
        }
        headers.retain(|header| header.number >= self.para_next);
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(self.para_next.wrapping_sub(1));
        };
        if first.number != self.para_next {
            return Err(Error::app("BlockNumberMismatch"));
        }
        let root = self.relay_root.ok_or_else(|| Error::app("RelaychainHeaderNotSynced"))?;
        // The head is stored as bytes, so the value is a compact length and the header.
        ProofTrie::new(root, proof)
            .check(&keys::para_head(para_id), &last.encode().encode())
            .map_err(|error| Error::app(format!("StorageProofFailed({error})")))?;
        check_links(headers.iter())?;
        let number = last.number;
        self.roots.extend(headers.iter().map(|header| header.state_root));
        self.relay_root = None;
        self.para_next = number.wrapping_add(1);
        Ok(number)
    }

    /// Applies the next block to `state` if its root is the authenticated one. The number must have
    /// been compared with [`Self::block_next`] by [`Self::check_number`].
    pub fn apply_block(&mut self, state: &mut ChainState, changes: &StorageChanges) -> Result<()> {
        if !self.genesis_validated {
            self.expect_root(self.block_next.wrapping_sub(1), state.root())?;
            self.roots.pop_front();
            self.genesis_validated = true;
        }
        if self.roots.is_empty() {
            return Err(no_root());
        }
        let prepared = state.prepare(changes).map_err(Error::App)?;
        self.expect_root(self.block_next, prepared.root())?;
        state.adopt(prepared);
        self.roots.pop_front();
        self.block_next = self.block_next.wrapping_add(1);
        Ok(())
    }

    /// Refuses any block but the next.
    pub fn check_number(&self, block: &BlockHeaderWithChanges) -> Result<()> {
        if block.block_header.number == self.block_next {
            Ok(())
        } else {
            Err(Error::app("BlockNumberMismatch"))
        }
    }

    fn expect_root(&self, block: u32, actual: H256) -> Result<()> {
        let expected = *self.roots.front().ok_or_else(no_root)?;
        if expected == actual {
            return Ok(());
        }
        Err(Error::app(format!("StateRootMismatch block={block} expected={expected:?} actual={actual:?}")))
    }
}

/// Every header must name the hash of the one before it.
fn check_links<'a>(headers: impl Iterator<Item = &'a Header>) -> Result<()> {
    let mut previous = None;
    for header in headers {
        if previous.is_some_and(|hash| hash != header.parent_hash) {
            return Err(Error::app("HeaderHashMismatch"));
        }
        previous = Some(header.hash());
    }
    Ok(())
}

fn header_error(error: LightError) -> Error {
    match error {
        LightError::Panic => Error::Abort(error.to_string()),
        error => Error::app(format!("HeaderValidateFailed({error})")),
    }
}

fn no_root() -> Error {
    Error::app("NoStateRoot")
}
