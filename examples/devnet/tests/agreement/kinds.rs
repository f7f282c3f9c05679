//! Kinds of cases: what is interesting about one, and where the two sides may differ.

use std::collections::{HashMap, HashSet};

use codec::{Decode, Encode};
use finality_grandpa::SignedPrecommit;
use prb_core::types::grandpa::AuthoritySet;
use prb_devnet::worker::light::justification::Justification;
use sp_core::{H256, ed25519};

use crate::recipe::Case;

type Signed = SignedPrecommit<H256, u32, ed25519::Signature, ed25519::Public>;

/// Where the two may differ: the bridge may refuse what the worker accepts, never the other way round.
///
/// Both take misbehaving members, and in both the answer of `finality-grandpa`, which decides in the worker,
/// depends on the order of the votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lenient {
    /// More than a third equivocates, so that several branches can have the threshold.
    Equivocators,
    /// A member's vote carries a number that is not its block's. No node passes such a vote on.
    Numbers,
}

/// Whether the case is one of them.
pub fn lenient(case: &Case) -> Option<Lenient> {
    let justification = Justification::decode(&mut &case.justification[..]).ok()?;
    let weights = weights(&case.set);
    let members: Vec<&Signed> =
        justification.commit.precommits.iter().filter(|vote| weights.contains_key(&vote.id.0)).collect();
    let numbers: HashMap<H256, u32> = case.tree.iter().map(|header| (header.hash(), header.number)).collect();
    let misnumbered = |vote: &&Signed| {
        let vote = &vote.precommit;
        numbers.get(&vote.target_hash).is_some_and(|number| *number != vote.target_number)
    };
    if members.iter().any(misnumbered) {
        return Some(Lenient::Numbers);
    }
    let equivocating: u64 = weights
        .iter()
        .filter(|(id, _)| {
            let mut own = members.iter().filter(|vote| vote.id.0 == **id);
            let first = own.next();
            own.any(|vote| Some(vote) != first)
        })
        .map(|(_, weight)| weight)
        .sum();
    let total: u64 = weights.values().sum();
    (total > 0 && equivocating > (total - 1) / 3).then_some(Lenient::Equivocators)
}

/// Members with their weights; nothing where they overflow.
fn weights(set: &AuthoritySet) -> HashMap<[u8; 32], u64> {
    let mut weights = HashMap::new();
    if set.list.iter().try_fold(0u64, |sum, (_, weight)| sum.checked_add(*weight)).is_none() {
        return weights;
    }
    for (id, weight) in set.list.iter().filter(|(_, weight)| *weight > 0) {
        *weights.entry(*id).or_default() += weight;
    }
    weights
}

/// What makes an accepted justification interesting.
pub fn features(case: &Case, verdict: &AuthoritySet) -> Vec<&'static str> {
    let justification = Justification::decode(&mut &case.justification[..]).unwrap();
    let votes = &justification.commit.precommits;
    let weights = weights(&case.set);
    let listed: HashSet<_> = case.set.list.iter().map(|(id, _)| *id).collect();
    let distinct: HashSet<_> = votes.iter().map(Encode::encode).collect();
    let voters: HashSet<_> = votes.iter().map(|vote| vote.id.0).collect();
    let parents: HashMap<_, _> = case.tree.iter().map(|header| (header.hash(), header.parent_hash)).collect();
    let above = |low: H256, mut high: H256| {
        while high != low {
            match parents.get(&high) {
                Some(parent) => high = *parent,
                None => return false,
            }
        }
        true
    };
    let target = justification.commit.target_hash;
    let targets: Vec<_> = votes.iter().map(|vote| vote.precommit.target_hash).collect();
    let has = |name, holds: bool| holds.then_some(name);
    [
        has("votes for descendants", targets.iter().any(|vote| *vote != target && above(target, *vote))),
        has("votes for ancestors", targets.iter().any(|vote| *vote != target && above(*vote, target))),
        has("votes for forks", targets.iter().any(|vote| !above(*vote, target) && !above(target, *vote))),
        has("repeated votes", distinct.len() < votes.len()),
        has("equivocators", voters.len() < distinct.len()),
        has("outsiders", voters.iter().any(|id| !listed.contains(id))),
        has("votes without weight", voters.iter().any(|id| listed.contains(id) && !weights.contains_key(id))),
        has("voters listed twice", listed.len() < case.set.list.len()),
        has("unequal weights", weights.values().collect::<HashSet<_>>().len() > 1),
        has("absent voters", weights.keys().any(|id| !voters.contains(id))),
        has("keys of small order", votes.iter().any(|vote| vote.signature.0[32..] == [0; 32])),
        has("a set change", *verdict != case.set),
        has("bytes left over", justification.encode().len() < case.justification.len()),
    ]
    .into_iter()
    .flatten()
    .collect()
}
