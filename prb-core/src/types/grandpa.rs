//! GRANDPA authority sets and justifications.

use super::header::Header;
use crate::id::Hash;
use codec::{Decode, Encode};

/// An ed25519 public key of a GRANDPA voter.
pub type AuthorityId = [u8; 32];

/// Voters with their weights (`sp_consensus_grandpa::AuthorityList`).
pub type AuthorityList = Vec<(AuthorityId, u64)>;

/// The voters that finalize, and how many sets came before them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthoritySet {
    /// The voters.
    pub list: AuthorityList,
    /// `Grandpa.CurrentSetId` while they are in charge.
    pub id: u64,
}

/// Proof nodes of a state trie, in any order (`sp_trie::StorageProof` as Phala encodes it).
pub type StorageProof = Vec<Vec<u8>>;

/// A new authority set with the read proof older workers (up to 2.1.0) ask for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthoritySetChange {
    /// The incoming set.
    pub authority_set: AuthoritySet,
    /// Read proof of the authority keys at the change block.
    pub authority_proof: StorageProof,
}

/// The digest's announcement of the next authorities (`sp_consensus_grandpa::ConsensusLog::ScheduledChange`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ScheduledChange {
    /// The incoming voters.
    pub next_authorities: AuthorityList,
    /// Blocks after this one until they take over; workers accept only 0.
    pub delay: u32,
}

impl ScheduledChange {
    /// Index of the variant in `ConsensusLog`.
    const LOG_INDEX: u8 = 1;

    /// Reads the payload of a GRANDPA consensus digest item, none if it is another variant or does not decode.
    pub fn from_log(log: &[u8]) -> Option<Self> {
        let mut rest = log.strip_prefix(&[Self::LOG_INDEX])?;
        Self::decode(&mut rest).ok()
    }

    /// The payload of the consensus digest item that announces it.
    pub fn to_log(&self) -> Vec<u8> {
        let mut log = vec![Self::LOG_INDEX];
        self.encode_to(&mut log);
        log
    }
}

/// Proof that a block is final (`sc_consensus_grandpa::GrandpaJustification`, the payload under engine `FRNK`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Justification {
    /// Voting round.
    pub round: u64,
    /// Who voted for what.
    pub commit: Commit,
    /// Headers that lead from vote targets down to the lowest of them.
    pub votes_ancestries: Vec<Header>,
}

/// The precommits of a round (`finality_grandpa::Commit`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Commit {
    /// Hash of the finalized block.
    pub target_hash: Hash,
    /// Its number, fixed width.
    pub target_number: u32,
    /// Signed votes, 132 bytes each.
    pub precommits: Vec<SignedPrecommit>,
}

/// One signed vote (`finality_grandpa::SignedPrecommit`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedPrecommit {
    /// Hash of the block voted for.
    pub target_hash: Hash,
    /// Its number.
    pub target_number: u32,
    /// ed25519 signature over [`precommit_payload`].
    pub signature: [u8; 64],
    /// The voter.
    pub id: AuthorityId,
}

/// The 53 bytes a voter signs: `01` (precommit) ‖ target hash ‖ target number u32 ‖ round u64 ‖ set id u64
/// (`sp_consensus_grandpa::localized_payload`).
pub fn precommit_payload(target_hash: Hash, target_number: u32, round: u64, set_id: u64) -> [u8; 53] {
    let mut payload = [0; 53];
    payload[0] = 1;
    payload[1..33].copy_from_slice(&target_hash.0);
    payload[33..37].copy_from_slice(&target_number.to_le_bytes());
    payload[37..45].copy_from_slice(&round.to_le_bytes());
    payload[45..53].copy_from_slice(&set_id.to_le_bytes());
    payload
}

/// Answer of `grandpa_proveFinality` (`sc_consensus_grandpa::FinalityProof`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FinalityProof {
    /// The justified block.
    pub block: Hash,
    /// Encoded [`Justification`] of it.
    pub justification: Vec<u8>,
    /// Headers after the block asked for, up to and including `block`.
    pub unknown_headers: Vec<Header>,
}
