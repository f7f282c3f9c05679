//! GRANDPA justifications and the rules under which one finalises its target.

use std::collections::{HashMap, HashSet};

use codec::{Decode, Encode};
use finality_grandpa::voter_set::VoterSet;
use finality_grandpa::{Chain, Commit, Error as GrandpaError, validate_commit};
use sp_core::{H256, Pair, ed25519};

use crate::worker::scale::{AuthoritySet, Header};

use super::LightError;

/// Why a justification does not finalise its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JustificationError {
    /// The commit is for another block.
    #[error("invalid commit target in grandpa justification")]
    Target,
    /// The votes do not add up to a commit on the target.
    #[error("invalid commit in grandpa justification")]
    Commit,
    /// A signature is wrong (also one of a non-member).
    #[error("invalid signature for precommit in grandpa justification")]
    Signature,
    /// A vote does not lead back to the base through the attached headers.
    #[error("invalid precommit ancestry proof in grandpa justification")]
    Ancestry,
    /// A header is attached that no vote needs.
    #[error("invalid precommit ancestries in grandpa justification with unused headers")]
    UnusedHeaders,
}

/// Payload a relay node attaches to a block under the engine id `FRNK`.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Justification {
    /// Round the precommits were cast in.
    pub round: u64,
    /// Target and signed precommits.
    pub commit: Commit<H256, u32, ed25519::Signature, ed25519::Public>,
    /// Headers between the lowest vote and the higher ones.
    pub votes_ancestries: Vec<Header>,
}

impl Justification {
    /// Checks that this finalises `target` under `set`.
    pub fn verify(&self, target: (H256, u32), set: &AuthoritySet) -> Result<(), LightError> {
        if (self.commit.target_hash, self.commit.target_number) != target {
            return Err(JustificationError::Target.into());
        }
        let weights = set.list.iter().map(|(id, weight)| (ed25519::Public::from_raw(*id), *weight));
        let voters = VoterSet::new(weights).ok_or(LightError::Panic)?;
        let ancestry = Ancestry::new(&self.votes_ancestries);
        // Counts members only: weights, equivocations, and that the highest block with enough of them
        // is the target itself.
        match validate_commit(&self.commit, &voters, &ancestry) {
            Ok(result) if result.is_valid() => {}
            _ => return Err(JustificationError::Commit.into()),
        }
        self.check_every_vote(&ancestry, set.id).map_err(Into::into)
    }

    /// Signatures and ancestries of all precommits, those of non-members included.
    fn check_every_vote(&self, ancestry: &Ancestry, set_id: u64) -> Result<(), JustificationError> {
        let base = self
            .commit
            .precommits
            .iter()
            .map(|signed| &signed.precommit)
            .min_by_key(|vote| vote.target_number)
            .map(|vote| vote.target_hash)
            .ok_or(JustificationError::Commit)?;
        let mut visited = HashSet::new();
        for signed in &self.commit.precommits {
            let vote = &signed.precommit;
            let message = vote_message(vote.target_hash, vote.target_number, self.round, set_id);
            if !ed25519::Pair::verify(&signed.signature, message, &signed.id) {
                return Err(JustificationError::Signature);
            }
            if vote.target_hash == base {
                continue;
            }
            let route =
                ancestry.ancestry(base, vote.target_hash).map_err(|_| JustificationError::Ancestry)?;
            visited.insert(vote.target_hash);
            visited.extend(route);
        }
        if ancestry.parents.keys().copied().collect::<HashSet<_>>() == visited {
            Ok(())
        } else {
            Err(JustificationError::UnusedHeaders)
        }
    }
}

/// The 53 bytes a voter signs (`sp_consensus_grandpa::localized_payload` of a precommit): index 1 of
/// the message, target hash and number, round and set id, integers little-endian.
#[must_use]
pub fn vote_message(target: H256, number: u32, round: u64, set_id: u64) -> Vec<u8> {
    (1u8, target, number, round, set_id).encode()
}

/// Parent links of the headers attached to a justification.
struct Ancestry {
    parents: HashMap<H256, H256>,
}

impl Ancestry {
    fn new(headers: &[Header]) -> Self {
        Self { parents: headers.iter().map(|header| (header.hash(), header.parent_hash)).collect() }
    }
}

impl Chain<H256, u32> for Ancestry {
    /// The blocks strictly between `block` and `base`, highest first.
    fn ancestry(&self, base: H256, block: H256) -> Result<Vec<H256>, GrandpaError> {
        let mut route = Vec::new();
        let mut current = block;
        while current != base {
            current = *self.parents.get(&current).ok_or(GrandpaError::NotDescendent)?;
            route.push(current);
        }
        route.pop();
        Ok(route)
    }
}
