//! The worker's GRANDPA light client: follows finalised relay headers and the authority set.

pub mod justification;

use codec::{Decode, Encode};
use sp_core::H256;
use sp_runtime::generic::DigestItem;

use self::justification::{Justification, JustificationError};
use super::keys;
use super::proof::{ProofError, ProofTrie};
use super::scale::{
    AuthorityList, AuthoritySet, AuthoritySetChange, ConsensusLog, GenesisBlockInfo, Header, HeaderToSync,
};
use super::version::Version;

/// Engine id of GRANDPA in digests (`sp_consensus_grandpa::GRANDPA_ENGINE_ID`).
const FRNK: [u8; 4] = *b"FRNK";

/// Why a batch of relay headers was refused. Texts as inside `HeaderValidateFailed(..)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// The last header does not descend from the last finalised one through the batch.
    #[error("invalid ancestry proof")]
    InvalidAncestry,
    /// The justification bytes do not decode.
    #[error("error decoding justification for header")]
    DecodeJustification,
    /// The justification does not finalise the last header.
    #[error("bad justification for header: {0}")]
    BadJustification(#[from] JustificationError),
    /// A scheduled change with a delay, which live chains never make.
    #[error("scheduled change should not have delay")]
    DelayedChange,
    /// Old style: the new set id is not the current one plus one.
    #[error("unexpected validator set id")]
    UnexpectedSetId,
    /// Old style: the proven list is another one.
    #[error("validator set mismatch")]
    SetMismatch,
    /// Old style: the proof could not be read.
    #[error("{0}")]
    Proof(ProofError),
    /// The tracked set has no weight or too much of it; the real worker panics here.
    #[error("authority set without usable weight")]
    Panic,
}

/// Last finalised header and the set that finalises the next one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LightClient {
    last_hash: H256,
    set: AuthoritySet,
}

impl LightClient {
    /// Starts from a trusted header, checking the authority list (never its id) against the header's
    /// state root.
    pub fn new(version: Version, genesis: GenesisBlockInfo) -> Result<Self, LightError> {
        let root = genesis.block_header.state_root;
        check_list(version, root, &genesis.proof, &genesis.authority_set.list)?;
        Ok(Self { last_hash: genesis.block_header.hash(), set: genesis.authority_set })
    }

    /// The set whose justification the next batch needs.
    #[must_use]
    pub fn authority_set(&self) -> &AuthoritySet {
        &self.set
    }

    /// Accepts a non-empty batch whose parent links were checked and whose last header carries
    /// `justification`.
    ///
    /// New style: nothing changes on failure. Old style: the finalised header has already advanced
    /// when the authority change is refused, as in the workers of that time.
    pub fn accept(
        &mut self,
        version: Version,
        batch: &[HeaderToSync],
        justification: &[u8],
        change: Option<AuthoritySetChange>,
    ) -> Result<(), LightError> {
        let last = &batch.last().expect("the caller checked that the batch is not empty").header;
        let last_hash = last.hash();
        self.check_ancestry(batch)?;
        let justification =
            Justification::decode(&mut &*justification).map_err(|_| LightError::DecodeJustification)?;
        justification.verify((last_hash, last.number), &self.set)?;
        if version.is_new_style() {
            if let Some(next) = scheduled_change(last)? {
                self.set = AuthoritySet { list: next, id: self.set.id.wrapping_add(1) };
            }
            self.last_hash = last_hash;
        } else {
            self.last_hash = last_hash;
            if let Some(change) = change {
                self.change_set_old_style(version, last.state_root, change)?;
            }
        }
        Ok(())
    }

    /// Walks from the last header back to a child of the last finalised header.
    fn check_ancestry(&self, batch: &[HeaderToSync]) -> Result<(), LightError> {
        let mut wanted = None;
        for header in batch.iter().rev().map(|item| &item.header) {
            if wanted.is_some_and(|wanted| header.hash() != wanted) {
                return Err(LightError::InvalidAncestry);
            }
            if header.parent_hash == self.last_hash {
                return Ok(());
            }
            wanted = Some(header.parent_hash);
        }
        Err(LightError::InvalidAncestry)
    }

    fn change_set_old_style(
        &mut self,
        version: Version,
        root: H256,
        change: AuthoritySetChange,
    ) -> Result<(), LightError> {
        if change.authority_set.id != self.set.id.wrapping_add(1) {
            return Err(LightError::UnexpectedSetId);
        }
        check_list(version, root, &change.authority_proof, &change.authority_set.list)?;
        self.set = change.authority_set;
        Ok(())
    }
}

/// Checks a claimed authority list against a state root.
fn check_list(
    version: Version,
    root: H256,
    proof: &[Vec<u8>],
    list: &AuthorityList,
) -> Result<(), LightError> {
    let trie = ProofTrie::new(root, proof);
    let list = list.encode();
    let get = |key: &[u8]| trie.get(key).map_err(LightError::Proof);
    let stored = if version.is_new_style() { get(&keys::authorities())? } else { None };
    let matches = match stored {
        Some(value) => value == list,
        None => {
            let legacy = get(keys::GRANDPA_AUTHORITIES)?.ok_or(LightError::Proof(ProofError::Missing))?;
            match legacy.split_first() {
                // The old workers compare the version byte as well, the new ones skip it.
                Some((byte, rest)) => rest == list && (version.is_new_style() || *byte == 1),
                None => false,
            }
        }
    };
    if matches { Ok(()) } else { Err(LightError::SetMismatch) }
}

/// The authorities announced by the first scheduled change in the digest of `header`.
fn scheduled_change(header: &Header) -> Result<Option<AuthorityList>, LightError> {
    let change = header.digest.logs.iter().find_map(|item| match item {
        DigestItem::Consensus(FRNK, data) => match ConsensusLog::decode(&mut &data[..]) {
            Ok(ConsensusLog::ScheduledChange { next_authorities, delay }) => Some((next_authorities, delay)),
            _ => None,
        },
        _ => None,
    });
    match change {
        None => Ok(None),
        Some((_, delay)) if delay != 0 => Err(LightError::DelayedChange),
        Some((list, _)) => Ok(Some(list)),
    }
}
