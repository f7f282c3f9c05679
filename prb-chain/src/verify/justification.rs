//! GRANDPA justifications, accepted exactly as pRuntime's light client accepts them
//! (`finality_grandpa::validate_commit` and `sc_consensus_grandpa::GrandpaJustification::verify_with_voter_set`).
//!
//! In two cases this check refuses what that one accepts in some orders of the votes: a member's vote whose number
//! is not that of its block ([`JustificationError::WrongNumber`]), and several branches with enough votes because more
//! than a third equivocated ([`JustificationError::Ambiguous`]). No honest node passes on the first, and the second
//! means that finality itself is broken; up to a third of equivocators changes nothing. This check never accepts what
//! that one refuses, so nothing is stored that a worker would stop at.

mod votes;

use super::proof::total_weight;
use codec::Decode;
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use prb_core::{
    id::{BlockRef, Hash, Height},
    types::grandpa::{AuthorityId, AuthoritySet, Justification, precommit_payload},
};
use rand_core::OsRng;
use std::collections::HashMap;
use votes::{Ancestries, Misfit, Tally};

/// Why a justification does not finalize a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JustificationError {
    /// Not a justification.
    #[error("does not decode: {0}")]
    Undecodable(String),
    /// The authority set can finalize nothing.
    #[error("weights of authority set {set_id} sum to zero or overflow")]
    BadSet {
        /// Id of the set.
        set_id: u64,
    },
    /// It finalizes another block.
    #[error("commits to {committed}, expected {expected}")]
    WrongTarget {
        /// Target of the commit.
        committed: BlockRef,
        /// The block that was to be justified.
        expected: BlockRef,
    },
    /// Nobody in the set voted.
    #[error("no vote by a member of set {set_id}")]
    NoVotes {
        /// Id of the set.
        set_id: u64,
    },
    /// It is larger than any real one, and would take a multiple of that in memory.
    #[error("has {bytes} bytes, more than {MAX_BYTES}; ask another endpoint")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A member's vote does not descend from the lowest of the members' votes.
    #[error("vote of {voter} for {target} does not descend from {base}, the lowest vote")]
    NotDescendant {
        /// Who voted.
        voter: Hash,
        /// For which block.
        target: BlockRef,
        /// Lowest block voted for.
        base: BlockRef,
    },
    /// A member's vote has another number than its block.
    #[error(
        "vote of {voter} names {told}, whose number is {actual}; workers accept that in some orders of the votes \
         only, so it is refused: ask another endpoint"
    )]
    WrongNumber {
        /// Who voted.
        voter: Hash,
        /// The vote.
        told: BlockRef,
        /// Number of that block, by its distance from the lowest vote.
        actual: Height,
    },
    /// Too little weight voted.
    #[error("votes weigh {weight}, threshold of set {set_id} is {threshold}")]
    BelowThreshold {
        /// Weight of distinct voters.
        weight: u64,
        /// Needed weight.
        threshold: u64,
        /// Id of the set.
        set_id: u64,
    },
    /// The highest block that enough voters support is another one.
    #[error("highest block with enough votes is {highest}, not the target {target}")]
    NotHighest {
        /// The highest supported block.
        highest: BlockRef,
        /// Target of the commit.
        target: BlockRef,
    },
    /// Several blocks without a common descendant have enough votes: more than a third of the weight equivocated.
    #[error(
        "{one} and {other} both have enough votes, for more than a third of set {set_id} voted twice; which of them \
         workers take depends on the order of the votes, so it is refused: ask another endpoint"
    )]
    Ambiguous {
        /// One of the highest blocks.
        one: BlockRef,
        /// Another.
        other: BlockRef,
        /// Id of the set.
        set_id: u64,
    },
    /// A signature is wrong, whoever made it.
    #[error("vote {index} (voter {voter}) has no valid signature for round {round} of set {set_id}")]
    BadSignature {
        /// Position in the list of precommits.
        index: usize,
        /// Who is said to have voted.
        voter: Hash,
        /// Round of the justification.
        round: u64,
        /// Id of the set.
        set_id: u64,
    },
    /// A vote target is not connected to the lowest target by the ancestry headers.
    #[error("vote {index} for {target} is not connected to the lowest target by the ancestry headers")]
    BrokenAncestry {
        /// Position in the list of precommits.
        index: usize,
        /// Its target.
        target: BlockRef,
    },
    /// The ancestry holds headers that no vote needs.
    #[error("{unused} ancestry headers are not used by any vote")]
    UnusedAncestry {
        /// How many.
        unused: usize,
    },
}

/// Largest encoding that is decoded. 1,000 votes take 132 KB, a header that announces 1,000 voters 40 KB; a header of
/// one-byte digest items takes 32 times its encoding in memory.
const MAX_BYTES: usize = 8 << 20;

/// Smallest weight that finalizes: all but less than a third (`finality_grandpa::VoterSet::threshold`).
pub const fn threshold(total: u64) -> u64 {
    total - total.saturating_sub(1) / 3
}

/// Checks that the encoded `justification` finalizes `target` under `set`.
pub fn check(set: &AuthoritySet, target: BlockRef, justification: &[u8]) -> Result<(), JustificationError> {
    if justification.len() > MAX_BYTES {
        return Err(JustificationError::TooLarge { bytes: justification.len() });
    }
    let justification = Justification::decode(&mut &*justification)
        .map_err(|error| JustificationError::Undecodable(error.to_string()))?;
    check_decoded(set, target, &justification)
}

/// [`check`] of a decoded justification.
pub fn check_decoded(
    set: &AuthoritySet,
    target: BlockRef,
    justification: &Justification,
) -> Result<(), JustificationError> {
    let commit = &justification.commit;
    let committed = BlockRef { height: Height(commit.target_number), hash: commit.target_hash };
    if committed != target {
        return Err(JustificationError::WrongTarget { committed, expected: target });
    }
    let Some(total) = total_weight(&set.list) else {
        return Err(JustificationError::BadSet { set_id: set.id });
    };
    let ancestries = Ancestries::new(&justification.votes_ancestries);
    weight(set, threshold(total), target, justification, &ancestries)?;
    signatures(set.id, justification)?;
    ancestry(set.id, justification, &ancestries)
}

/// The highest block with enough weight behind it must be the target.
fn weight(
    set: &AuthoritySet,
    threshold: u64,
    target: BlockRef,
    justification: &Justification,
    ancestries: &Ancestries,
) -> Result<(), JustificationError> {
    let mut weights: HashMap<AuthorityId, u64> = HashMap::with_capacity(set.list.len());
    for (id, weight) in set.list.iter().filter(|(_, weight)| *weight > 0) {
        *weights.entry(*id).or_default() += weight;
    }
    let members =
        || justification.commit.precommits.iter().filter(|precommit| weights.contains_key(&precommit.id));
    let Some(lowest) = members().min_by_key(|precommit| precommit.target_number) else {
        return Err(JustificationError::NoVotes { set_id: set.id });
    };
    let base = BlockRef { height: Height(lowest.target_number), hash: lowest.target_hash };
    let mut tally = Tally::new(base, ancestries);
    for precommit in members() {
        let vote = BlockRef { height: Height(precommit.target_number), hash: precommit.target_hash };
        let voter = Hash(precommit.id);
        tally.add(precommit.id, weights[&precommit.id], vote, &precommit.signature).map_err(|misfit| {
            match misfit {
                Misfit::NotDescendant => JustificationError::NotDescendant { voter, target: vote, base },
                Misfit::Number(actual) => JustificationError::WrongNumber { voter, told: vote, actual },
            }
        })?;
    }
    if tally.weight() < threshold {
        return Err(JustificationError::BelowThreshold { weight: tally.weight(), threshold, set_id: set.id });
    }
    match tally.highest(threshold)[..] {
        [highest] if highest == target => Ok(()),
        [one, other, ..] => Err(JustificationError::Ambiguous { one, other, set_id: set.id }),
        // The base has all the weight behind it, so there is at least one.
        ref highest => {
            Err(JustificationError::NotHighest { highest: highest.first().copied().unwrap_or(base), target })
        }
    }
}

/// Every signature must hold, members' or not: all at once, and one by one only to name the culprit.
fn signatures(set_id: u64, justification: &Justification) -> Result<(), JustificationError> {
    let round = justification.round;
    let items: Vec<batch::Item> = justification
        .commit
        .precommits
        .iter()
        .map(|vote| {
            let payload = precommit_payload(vote.target_hash, vote.target_number, round, set_id);
            let key = VerificationKeyBytes::from(vote.id);
            batch::Item::from((key, Signature::from_bytes(&vote.signature), &payload))
        })
        .collect();
    let mut verifier = batch::Verifier::new();
    for item in &items {
        verifier.queue(item.clone());
    }
    if verifier.verify(OsRng).is_ok() {
        return Ok(());
    }
    for (index, item) in items.into_iter().enumerate() {
        if item.verify_single().is_err() {
            let voter = Hash(justification.commit.precommits[index].id);
            return Err(JustificationError::BadSignature { index, voter, round, set_id });
        }
    }
    // The batch equation holds for every list of valid signatures (ZIP-215), so this is not reached.
    Ok(())
}

/// The ancestry headers must be exactly those between the vote targets and the lowest of all targets.
fn ancestry(
    set_id: u64,
    justification: &Justification,
    ancestries: &Ancestries,
) -> Result<(), JustificationError> {
    let precommits = &justification.commit.precommits;
    let Some(lowest) = precommits.iter().min_by_key(|precommit| precommit.target_number) else {
        return Err(JustificationError::NoVotes { set_id });
    };
    let mut walk = ancestries.walk(lowest.target_hash);
    for (index, precommit) in precommits.iter().enumerate() {
        if walk.distance(precommit.target_hash).is_none() {
            let target = BlockRef { height: Height(precommit.target_number), hash: precommit.target_hash };
            return Err(JustificationError::BrokenAncestry { index, target });
        }
    }
    match ancestries.len() - walk.passed() {
        0 => Ok(()),
        unused => Err(JustificationError::UnusedAncestry { unused }),
    }
}
