//! GRANDPA justifications: the published vectors with their variants, and agreement with the reference implementation.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod vectors;

use codec::{Decode, Encode};
use ed25519_zebra::{SigningKey, VerificationKey, VerificationKeyBytes};
use prb_chain::verify::justification::{JustificationError, check, check_decoded, threshold};
use prb_core::{
    id::{BlockRef, Hash, Height},
    types::{
        grandpa::{AuthoritySet, Commit, Justification, SignedPrecommit, precommit_payload},
        header::Header,
        sync::{GenesisBlockInfo, HeaderToSync},
    },
};
use proptest::prelude::*;

fn decode<T: Decode>(hex: &str) -> T {
    T::decode(&mut hex::decode(hex).unwrap().as_slice()).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from([seed; 32])
}

fn id(seed: u8) -> [u8; 32] {
    VerificationKeyBytes::from(&key(seed)).into()
}

/// The set that finalizes 101 and 102.
fn set_a() -> AuthoritySet {
    decode::<GenesisBlockInfo>(vectors::GENESIS_INFO).authority_set
}

/// The set that header 102 announces.
fn set_b() -> AuthoritySet {
    let header: Header = decode(vectors::HEADER_102);
    AuthoritySet { list: header.scheduled_change().unwrap().next_authorities, id: 8 }
}

fn batch(hex: &str) -> (Vec<Header>, BlockRef, Justification) {
    let batch: Vec<HeaderToSync> = decode(hex);
    let last = batch.last().unwrap();
    let justification = Justification::decode(&mut last.justification.as_deref().unwrap()).unwrap();
    (batch.iter().map(|item| item.header.clone()).collect(), last.header.block_ref(), justification)
}

fn vote(seed: u8, target: BlockRef, round: u64, set_id: u64) -> SignedPrecommit {
    let payload = precommit_payload(target.hash, target.height.0, round, set_id);
    SignedPrecommit {
        target_hash: target.hash,
        target_number: target.height.0,
        signature: key(seed).sign(&payload).to_bytes(),
        id: id(seed),
    }
}

#[test]
fn the_vectors_are_justified_by_their_sets() {
    let (_, target, justification) = batch(vectors::BATCH_102);
    assert_eq!(check(&set_a(), target, &justification.encode()), Ok(()));
    let (_, target, justification) = batch(vectors::BATCH_103);
    assert_eq!(check(&set_b(), target, &justification.encode()), Ok(()));
}

#[test]
fn the_signed_bytes_are_those_of_the_vector() {
    let (_, target, justification) = batch(vectors::BATCH_102);
    let payload = precommit_payload(target.hash, target.height.0, justification.round, 7);
    assert_eq!(hex::encode(payload), vectors::VOTE_102);
}

#[test]
fn bytes_that_are_no_justification_are_refused() {
    let (_, target, justification) = batch(vectors::BATCH_102);
    let encoded = justification.encode();
    let cut = check(&set_a(), target, &encoded[..encoded.len() - 2]);
    assert!(matches!(cut, Err(JustificationError::Undecodable(_))), "{cut:?}");
}

#[test]
fn a_justification_of_another_block_is_refused() {
    let (headers, _, justification) = batch(vectors::BATCH_102);
    let refused = check_decoded(&set_a(), headers[0].block_ref(), &justification);
    assert!(matches!(refused, Err(JustificationError::WrongTarget { .. })), "{refused:?}");
}

#[test]
fn two_of_four_votes_are_below_the_threshold() {
    let (_, target, mut justification) = batch(vectors::BATCH_102);
    justification.commit.precommits.truncate(2);
    assert_eq!(
        check_decoded(&set_a(), target, &justification),
        Err(JustificationError::BelowThreshold { weight: 2, threshold: 3, set_id: 7 })
    );
}

#[test]
fn no_votes_are_no_justification() {
    let (_, target, mut justification) = batch(vectors::BATCH_102);
    justification.commit.precommits.clear();
    assert_eq!(
        check_decoded(&set_a(), target, &justification),
        Err(JustificationError::NoVotes { set_id: 7 })
    );
}

#[test]
fn another_set_id_makes_every_signature_bad() {
    let (_, target, justification) = batch(vectors::BATCH_102);
    let wrong = AuthoritySet { id: 8, ..set_a() };
    let refused = check_decoded(&wrong, target, &justification);
    assert!(
        matches!(refused, Err(JustificationError::BadSignature { index: 0, set_id: 8, .. })),
        "{refused:?}"
    );
}

#[test]
fn one_bad_signature_among_many_is_named() {
    let (_, target, mut justification) = batch(vectors::BATCH_102);
    justification.commit.precommits[1].signature[3] ^= 1;
    let refused = check_decoded(&set_a(), target, &justification);
    let voter = Hash(id(2));
    assert_eq!(refused, Err(JustificationError::BadSignature { index: 1, voter, round: 3, set_id: 7 }));
}

#[test]
fn votes_only_for_a_descendant_do_not_finalize_the_target() {
    let (_, target, mut justification) = batch(vectors::BATCH_103);
    let child = justification.votes_ancestries[0].block_ref();
    justification.commit.precommits = [5, 6, 7].map(|seed| vote(seed, child, 1, 8)).to_vec();
    assert_eq!(
        check_decoded(&set_b(), target, &justification),
        Err(JustificationError::NotHighest { highest: child, target })
    );
}

#[test]
fn ancestry_that_no_vote_needs_is_refused() {
    let (_, target, mut justification) = batch(vectors::BATCH_103);
    justification.commit.precommits = [5, 6, 7].map(|seed| vote(seed, target, 1, 8)).to_vec();
    assert_eq!(
        check_decoded(&set_b(), target, &justification),
        Err(JustificationError::UnusedAncestry { unused: 1 })
    );
}

#[test]
fn a_vote_without_its_ancestry_is_refused() {
    let (_, target, mut justification) = batch(vectors::BATCH_103);
    justification.votes_ancestries.clear();
    let refused = check_decoded(&set_b(), target, &justification);
    assert!(matches!(refused, Err(JustificationError::NotDescendant { .. })), "{refused:?}");
}

#[test]
fn a_validly_signed_vote_of_a_stranger_is_tolerated_and_a_badly_signed_one_is_not() {
    let (_, target, mut justification) = batch(vectors::BATCH_102);
    justification.commit.precommits.push(vote(99, target, 3, 7));
    assert_eq!(check_decoded(&set_a(), target, &justification), Ok(()));

    justification.commit.precommits[3].signature[0] ^= 1;
    let refused = check_decoded(&set_a(), target, &justification);
    assert!(matches!(refused, Err(JustificationError::BadSignature { index: 3, .. })), "{refused:?}");
}

#[test]
fn a_strangers_vote_below_everyone_needs_ancestry_too() {
    let (headers, target, mut justification) = batch(vectors::BATCH_102);
    justification.commit.precommits.push(vote(99, headers[0].block_ref(), 3, 7));
    let refused = check_decoded(&set_a(), target, &justification);
    assert!(matches!(refused, Err(JustificationError::BrokenAncestry { index: 0, .. })), "{refused:?}");

    justification.votes_ancestries.push(headers[1].clone());
    assert_eq!(check_decoded(&set_a(), target, &justification), Ok(()));
}

#[test]
fn an_equivocator_counts_for_every_block() {
    let (headers, target, mut justification) = batch(vectors::BATCH_102);
    justification.commit.precommits.push(vote(1, headers[0].block_ref(), 3, 7));
    justification.votes_ancestries.push(headers[1].clone());
    assert_eq!(check_decoded(&set_a(), target, &justification), Ok(()));
}

#[test]
fn a_vote_whose_number_is_not_its_blocks_is_refused_and_the_refusal_says_so() {
    let (_, target, mut justification) = batch(vectors::BATCH_102);
    let told = BlockRef { height: target.height.next(), ..target };
    justification.commit.precommits[1] = vote(2, told, 3, 7);
    let refused = check_decoded(&set_a(), target, &justification).unwrap_err();
    let voter = Hash(id(2));
    assert_eq!(refused, JustificationError::WrongNumber { voter, told, actual: target.height });
    let text = refused.to_string();
    assert!(text.contains("whose number is 102") && text.contains("another endpoint"), "{text}");
}

#[test]
fn more_than_a_third_of_equivocators_is_refused_by_name_only_where_they_support_two_branches() {
    const TARGET: usize = 1;
    let recipe = |votes: &[(usize, usize)]| Recipe {
        weights: vec![1; 4],
        parents: vec![0, 0],
        votes: votes.iter().map(|(voter, block)| (*voter, *block, false)).collect(),
        target: TARGET,
        spoilt_headers: Vec::new(),
    };
    // One of four votes for both branches: tolerated.
    let one = [(0, 0), (0, 1), (1, 1), (2, 1)];
    let (set, target, justification, _) = build(&recipe(&one));
    assert_eq!(check_decoded(&set, target, &justification), Ok(()));
    // Two of four do: both branches reach three.
    let two = [(0, 0), (0, 1), (1, 2), (1, 1), (2, 1), (3, 2)];
    let (set, target, justification, _) = build(&recipe(&two));
    let refused = check_decoded(&set, target, &justification).unwrap_err();
    assert!(matches!(refused, JustificationError::Ambiguous { set_id: 5, .. }), "{refused:?}");
    assert!(refused.to_string().contains("more than a third of set 5 voted twice"), "{refused}");
}

#[test]
fn a_justification_beyond_all_size_is_not_decoded() {
    let (_, target, justification) = batch(vectors::BATCH_102);
    let mut encoded = justification.encode();
    encoded.resize(9 << 20, 0);
    let refused = check(&set_a(), target, &encoded);
    assert!(matches!(refused, Err(JustificationError::TooLarge { .. })), "{refused:?}");
}

#[test]
fn a_set_change_in_the_middle_of_a_batch_fails_under_the_old_set() {
    let (_, target, justification) = batch(vectors::BATCH_103);
    assert_eq!(
        check_decoded(&set_a(), target, &justification),
        Err(JustificationError::NoVotes { set_id: 7 })
    );
}

#[test]
fn a_set_without_weight_finalizes_nothing() {
    let (_, target, justification) = batch(vectors::BATCH_102);
    for weights in [[0, 0, 0, 0], [u64::MAX, 1, 1, 1]] {
        let mut set = set_a();
        set.list.iter_mut().zip(weights).for_each(|(voter, weight)| voter.1 = weight);
        assert_eq!(
            check_decoded(&set, target, &justification),
            Err(JustificationError::BadSet { set_id: 7 })
        );
    }
}

#[test]
fn thresholds_leave_out_less_than_a_third() {
    let expected = [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 3),
        (6, 5),
        (7, 5),
        (10, 7),
        (100, 67),
        (297, 199),
        (300, 201),
        (1000, 667),
    ];
    for (total, needed) in expected {
        assert_eq!(threshold(total), needed, "of {total}");
    }
}

/// The reference: `finality-grandpa`'s commit check, with the checks that Substrate's light client puts around it.
mod reference {
    use super::*;
    use finality_grandpa as grandpa;
    use std::collections::{HashMap, HashSet};

    struct Chain(HashMap<Hash, Header>);

    // `finality-grandpa` orders block hashes.
    impl grandpa::Chain<Hash, u32> for Chain {
        fn ancestry(&self, base: Hash, block: Hash) -> Result<Vec<Hash>, grandpa::Error> {
            let mut route = Vec::new();
            let mut current = block;
            while current != base {
                current = self.0.get(&current).ok_or(grandpa::Error::NotDescendent)?.parent_hash;
                route.push(current);
            }
            route.pop();
            Ok(route)
        }
    }

    pub fn accepts(set: &AuthoritySet, target: BlockRef, justification: &Justification) -> bool {
        let commit = &justification.commit;
        if (commit.target_hash, commit.target_number) != (target.hash, target.height.0) {
            return false;
        }
        let Some(voters) = grandpa::voter_set::VoterSet::new(set.list.iter().copied()) else { return false };
        let headers = justification.votes_ancestries.iter().map(|header| (header.hash(), header.clone()));
        let chain = Chain(headers.collect());
        let precommits = commit.precommits.iter().map(|signed| grandpa::SignedPrecommit {
            precommit: grandpa::Precommit {
                target_hash: signed.target_hash,
                target_number: signed.target_number,
            },
            signature: signed.signature,
            id: signed.id,
        });
        let reference = grandpa::Commit {
            target_hash: commit.target_hash,
            target_number: commit.target_number,
            precommits: precommits.collect(),
        };
        match grandpa::validate_commit(&reference, &voters, &chain) {
            Ok(result) if result.is_valid() => {}
            _ => return false,
        }
        let base = commit.precommits.iter().min_by_key(|signed| signed.target_number).unwrap().target_hash;
        let mut visited = HashSet::new();
        for signed in &commit.precommits {
            let payload =
                precommit_payload(signed.target_hash, signed.target_number, justification.round, set.id);
            let valid = VerificationKey::try_from(signed.id)
                .and_then(|key| key.verify(&signed.signature.into(), &payload))
                .is_ok();
            if !valid {
                return false;
            }
            if signed.target_hash != base {
                let Ok(route) = grandpa::Chain::ancestry(&chain, base, signed.target_hash) else {
                    return false;
                };
                visited.insert(signed.target_hash);
                visited.extend(route);
            }
        }
        visited == chain.0.keys().copied().collect()
    }
}

/// What a random justification is made of.
#[derive(Clone, Debug)]
struct Recipe {
    /// Weights of voters with seeds 1...
    weights: Vec<u64>,
    /// Parent (as index, always lower) of each block but the first.
    parents: Vec<usize>,
    /// (voter, block, spoil the signature) of each vote; voters beyond the set are strangers.
    votes: Vec<(usize, usize, bool)>,
    target: usize,
    /// Headers left out of or added to what the votes need.
    spoilt_headers: Vec<usize>,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (2usize..9, 1usize..8)
        .prop_flat_map(|(blocks, voters)| {
            // Mostly a chain, sometimes a fork; mostly votes near the target.
            let parents: Vec<_> =
                (1..blocks).map(|block| prop_oneof![6 => Just(block - 1), 1 => 0..block].boxed()).collect();
            let weights = prop::collection::vec(prop_oneof![6 => Just(1u64), 1 => 0u64..4], voters);
            let target = 0..blocks;
            (weights, parents, target).prop_flat_map(move |(weights, parents, target)| {
                let block = prop_oneof![6 => Just(target), 3 => target..blocks, 1 => 0..blocks];
                let every = (0..voters).prop_shuffle_votes(block.clone().boxed(), voters);
                let extra = prop::collection::vec((0..voters + 2, block, prop::bool::weighted(0.02)), 0..3);
                let spoilt = prop::collection::vec(0..blocks, 0..=1)
                    .prop_flat_map(|spoilt| prop_oneof![7 => Just(Vec::new()), 1 => Just(spoilt)]);
                (Just(weights), Just(parents), every, extra, Just(target), spoilt)
            })
        })
        .prop_map(|(weights, parents, mut votes, extra, target, spoilt_headers)| {
            votes.extend(extra);
            Recipe { weights, parents, votes, target, spoilt_headers }
        })
}

trait ShuffleVotes {
    fn prop_shuffle_votes(
        self,
        block: BoxedStrategy<usize>,
        voters: usize,
    ) -> BoxedStrategy<Vec<(usize, usize, bool)>>;
}

impl ShuffleVotes for std::ops::Range<usize> {
    /// One vote of most voters, in any order.
    fn prop_shuffle_votes(
        self,
        block: BoxedStrategy<usize>,
        voters: usize,
    ) -> BoxedStrategy<Vec<(usize, usize, bool)>> {
        let votes: Vec<_> =
            self.map(|voter| (Just(voter), block.clone(), prop::bool::weighted(0.02))).collect();
        (votes.prop_shuffle(), 0..=voters / 3)
            .prop_map(|(mut votes, absent)| {
                votes.truncate(votes.len() - absent);
                votes
            })
            .boxed()
    }
}

fn build(recipe: &Recipe) -> (AuthoritySet, BlockRef, Justification, Vec<Header>) {
    const FIRST: u32 = 1000;
    let mut headers: Vec<Header> = vec![Header::numbered(Height(FIRST))];
    for (index, parent) in recipe.parents.iter().enumerate() {
        let parent = headers[*parent].block_ref();
        let extrinsics_root = Hash([index as u8 + 1; 32]);
        headers.push(Header {
            parent_hash: parent.hash,
            extrinsics_root,
            ..Header::numbered(parent.height.next())
        });
    }
    let list =
        recipe.weights.iter().enumerate().map(|(voter, weight)| (id(voter as u8 + 1), *weight)).collect();
    let set = AuthoritySet { list, id: 5 };
    let target = headers[recipe.target].block_ref();
    let precommits: Vec<SignedPrecommit> = recipe
        .votes
        .iter()
        .map(|(voter, block, spoil)| {
            let mut vote = vote(*voter as u8 + 1, headers[*block].block_ref(), 9, 5);
            vote.signature[5] ^= u8::from(*spoil);
            vote
        })
        .collect();
    // What the votes need, then spoilt.
    let lowest = recipe.votes.iter().map(|(_, block, _)| *block).min_by_key(|block| headers[*block].number);
    let mut needed = std::collections::BTreeSet::new();
    for (_, block, _) in &recipe.votes {
        let mut block = *block;
        while Some(block) != lowest && block != 0 {
            needed.insert(block);
            block = recipe.parents[block - 1];
        }
    }
    for spoilt in &recipe.spoilt_headers {
        if !needed.remove(spoilt) {
            needed.insert(*spoilt);
        }
    }
    let votes_ancestries = needed.into_iter().map(|block| headers[block].clone()).collect();
    let commit = Commit { target_hash: target.hash, target_number: target.height.0, precommits };
    (set, target, Justification { round: 9, commit, votes_ancestries }, headers)
}

/// Whether more weight equivocated than GRANDPA tolerates: then several blocks may be supported, the reference
/// picks one, and this check accepts none.
fn too_many_equivocators(set: &AuthoritySet, justification: &Justification) -> bool {
    let total: u64 = set.list.iter().map(|(_, weight)| weight).sum();
    let votes = &justification.commit.precommits;
    let equivocating: u64 = set
        .list
        .iter()
        .filter(|(id, _)| {
            let mut own = votes.iter().filter(|vote| vote.id == *id);
            let first = own.next();
            own.any(|vote| Some(vote) != first)
        })
        .map(|(_, weight)| weight)
        .sum();
    total > 0 && equivocating > total - threshold(total)
}

#[test]
fn the_check_agrees_with_the_reference_implementation() {
    use proptest::test_runner::{Config, TestRunner};
    const CASES: u32 = 6_000;
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let accepted = std::cell::Cell::new(0u32);
    runner
        .run(&recipe(), |recipe| {
            let (set, target, justification, _) = build(&recipe);
            let ours = check_decoded(&set, target, &justification);
            let theirs = reference::accepts(&set, target, &justification);
            if too_many_equivocators(&set, &justification) {
                // Never more than the reference accepts.
                prop_assert!(theirs || ours.is_err(), "accepted what the reference refuses");
            } else {
                prop_assert_eq!(ours.is_ok(), theirs, "{:?}", ours);
            }
            accepted.set(accepted.get() + u32::from(ours.is_ok()));
            Ok(())
        })
        .unwrap();
    // The generator must reach both answers often, or agreement means nothing.
    assert!((CASES / 5..CASES * 4 / 5).contains(&accepted.get()), "{} of {CASES} accepted", accepted.get());
}

#[test]
fn a_thousand_votes_with_long_ancestry_are_checked_at_once() {
    const VOTERS: usize = 700;
    let mut headers = vec![Header::numbered(Height(50))];
    for _ in 0..300 {
        let parent = headers.last().unwrap().block_ref();
        headers.push(Header { parent_hash: parent.hash, ..Header::numbered(parent.height.next()) });
    }
    let keys: Vec<SigningKey> =
        (0..VOTERS).map(|index| SigningKey::from(Hash::of(&(index as u32).encode()).0)).collect();
    let list = keys.iter().map(|key| (VerificationKeyBytes::from(key).into(), 1)).collect();
    let set = AuthoritySet { list, id: 3 };
    let target = headers[0].block_ref();
    let precommits = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            // Two thirds vote for the target, the others for blocks above it.
            let block = if index % 3 == 0 { headers[1 + index % 300].block_ref() } else { target };
            let payload = precommit_payload(block.hash, block.height.0, 1, 3);
            SignedPrecommit {
                target_hash: block.hash,
                target_number: block.height.0,
                signature: key.sign(&payload).to_bytes(),
                id: VerificationKeyBytes::from(key).into(),
            }
        })
        .collect();
    let commit = Commit { target_hash: target.hash, target_number: target.height.0, precommits };
    // Index modulo 300 is at most 297 for multiples of 3.
    let votes_ancestries = headers[1..=298].to_vec();
    let justification = Justification { round: 1, commit, votes_ancestries };
    assert_eq!(check_decoded(&set, target, &justification), Ok(()));
    assert!(reference::accepts(&set, target, &justification));
}
