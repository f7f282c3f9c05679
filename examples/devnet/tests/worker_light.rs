//! The dev worker's light client: one test per rule of header sync, finality and set changes.
#![allow(clippy::unwrap_used, missing_docs)]

mod worker_support;

use codec::Encode;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{Error, WorkerConfig};
use proptest::prelude::*;
use sp_core::{H256, Pair};
use sp_runtime::generic::DigestItem;
use sp_runtime::traits::BlakeTwo256;
use sp_trie::{LayoutV1, MemoryDB, TrieDBMutBuilder, TrieMut};
use worker_support::*;

const COMMIT: &str =
    "HeaderValidateFailed(bad justification for header: invalid commit in grandpa justification)";

/// Relay state with the given pairs, of state version 1: root and all nodes.
fn relay_state(pairs: &[(&[u8], Vec<u8>)]) -> (H256, Vec<Vec<u8>>) {
    let (mut nodes, mut root) = (MemoryDB::<BlakeTwo256>::default(), H256::zero());
    {
        let mut trie = TrieDBMutBuilder::<LayoutV1<BlakeTwo256>>::new(&mut nodes, &mut root).build();
        for (key, value) in pairs {
            trie.insert(key, value).unwrap();
        }
    }
    let proof = nodes.drain().into_values().map(|(node, _)| node).collect();
    (root, proof)
}

fn list(weights: &[(u8, u64)]) -> AuthorityList {
    weights.iter().map(|(n, weight)| (authority(*n).public().0, *weight)).collect()
}

fn authorities_key() -> Vec<u8> {
    unhex("5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d")
}

/// A genesis at relay block 100 with these weighted authorities and set id 7.
fn genesis_of(set: &AuthorityList, key: &[u8], value: Vec<u8>) -> GenesisBlockInfo {
    let (root, proof) = relay_state(&[(key, value), (b"other", vec![1; 40])]);
    GenesisBlockInfo {
        block_header: header(H256::repeat_byte(0xaa), 100, root),
        authority_set: AuthoritySet { list: set.clone(), id: 7 },
        proof,
    }
}

fn init(config: WorkerConfig, genesis: &GenesisBlockInfo) -> Result<Worker, Error> {
    let mut worker = Worker::new(config);
    let request = pb::InitRuntimeRequest { encoded_genesis_info: genesis.encode(), ..init_request() };
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request)?;
    Ok(worker)
}

fn old_style() -> WorkerConfig {
    WorkerConfig { version: "2.1.0".parse().unwrap(), ..Default::default() }
}

/// A worker whose relay set has these weights, and its genesis header.
fn worker_with(weights: &[(u8, u64)]) -> (Worker, Header) {
    let set = list(weights);
    let genesis = genesis_of(&set, &authorities_key(), set.encode());
    (init(WorkerConfig::default(), &genesis).unwrap(), genesis.block_header)
}

/// `count` headers on top of `parent`.
fn chain(parent: &Header, count: usize) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for _ in 0..count {
        let last = headers.last().unwrap_or(parent);
        headers.push(header(last.hash(), last.number + 1, H256::repeat_byte(last.number as u8)));
    }
    headers
}

fn change(next: &AuthorityList, delay: u32) -> DigestItem {
    let log = ConsensusLog::ScheduledChange { next_authorities: next.clone(), delay };
    DigestItem::Consensus(*b"FRNK", log.encode())
}

// The initial proof.

#[test]
fn a_genesis_proven_by_the_legacy_key_is_accepted_and_its_version_byte_ignored() {
    let set = list(&[(1, 1)]);
    for byte in [1u8, 9] {
        let genesis = genesis_of(&set, b":grandpa_authorities", (byte, &set).encode());
        assert!(init(WorkerConfig::default(), &genesis).is_ok());
    }
}

#[test]
fn an_old_worker_reads_only_the_legacy_key_and_compares_its_version_byte() {
    let set = list(&[(1, 1)]);
    let legacy = |byte: u8| genesis_of(&set, b":grandpa_authorities", (byte, &set).encode());
    assert!(init(old_style(), &legacy(1)).is_ok());
    assert!(matches!(init(old_style(), &legacy(2)).err(), Some(Error::Abort(_))));
    let new = genesis_of(&set, &authorities_key(), set.encode());
    assert!(matches!(init(old_style(), &new).err(), Some(Error::Abort(_))));
}

#[test]
fn a_wrong_authority_list_or_an_incomplete_proof_aborts_the_worker() {
    let set = list(&[(1, 1), (2, 1)]);
    let good = genesis_of(&set, &authorities_key(), set.encode());
    let mut other_list = good.clone();
    other_list.authority_set.list.swap(0, 1);
    let mut no_proof = good.clone();
    no_proof.proof.clear();
    let mut other_root = good.clone();
    other_root.block_header.state_root = H256::zero();
    for bad in [other_list, no_proof, other_root] {
        assert!(matches!(init(WorkerConfig::default(), &bad).err(), Some(Error::Abort(_))));
    }
    let mut extra = good;
    extra.proof.push(vec![1, 2, 3]);
    assert!(init(WorkerConfig::default(), &extra).is_ok());
}

#[test]
fn the_set_id_is_not_proven() {
    let set = list(&[(1, 1)]);
    let mut genesis = genesis_of(&set, &authorities_key(), set.encode());
    genesis.authority_set.id = 12345;
    assert!(init(WorkerConfig::default(), &genesis).is_ok());
}

#[test]
fn a_set_without_weight_aborts_at_the_next_justification() {
    let (mut worker, genesis) = worker_with(&[(1, 0)]);
    let next = &chain(&genesis, 1)[0];
    let batch = [with(next, Some(&justify(next, 7, 1, &[(1, next)], &[])))];
    assert!(matches!(worker.sync_header(&batch), Err(Error::Abort(_))));
}

// Header batches.

#[test]
fn known_headers_are_dropped_whatever_their_content() {
    let mut worker = Worker::at_103();
    let mut known = t3();
    known[0].header.state_root = H256::repeat_byte(1);
    known[1].justification = None;
    assert_eq!(worker.sync_header(&known), Ok(103));
    assert_eq!(worker.sync_header(&[]), Ok(103));
}

#[test]
fn a_batch_that_starts_with_known_headers_is_accepted_from_the_next_one_on() {
    let mut worker = Worker::init();
    worker.sync_header(&t3()).unwrap();
    let mut batch = t3();
    batch.extend(t4());
    assert_eq!(worker.sync_header(&batch), Ok(103));
}

#[test]
fn a_gap_is_a_number_mismatch() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let headers = chain(&genesis, 2);
    let batch = [with(&headers[1], Some(&justify(&headers[1], 7, 1, &[(1, &headers[1])], &[])))];
    assert_eq!(refused(worker.sync_header(&batch)), "BlockNumberMismatch");
}

#[test]
fn a_broken_link_inside_a_batch_is_a_hash_mismatch() {
    let mut worker = Worker::init();
    let mut batch = t3();
    batch[0].header.state_root = H256::zero();
    assert_eq!(refused(worker.sync_header(&batch)), "HeaderHashMismatch");
}

#[test]
fn a_missing_justification_is_told_before_a_broken_link() {
    let mut worker = Worker::init();
    let mut batch = t3();
    batch[0].header.state_root = H256::zero();
    batch[1].justification = None;
    assert_eq!(refused(worker.sync_header(&batch)), "MissingJustification");
}

#[test]
fn a_batch_that_does_not_attach_to_the_finalised_header_has_no_ancestry() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let mut elsewhere = genesis.clone();
    elsewhere.state_root = H256::zero();
    let headers = chain(&elsewhere, 2);
    let last = &headers[1];
    let batch = [with(&headers[0], None), with(last, Some(&justify(last, 7, 1, &[(1, last)], &[])))];
    assert_eq!(refused(worker.sync_header(&batch)), "HeaderValidateFailed(invalid ancestry proof)");
}

#[test]
fn justifications_on_headers_before_the_last_are_ignored() {
    let mut worker = Worker::init();
    let mut batch = t3();
    batch[0].justification = Some(vec![1, 2, 3]);
    assert_eq!(worker.sync_header(&batch), Ok(102));
}

#[test]
fn a_refused_batch_changes_nothing() {
    let mut worker = Worker::init();
    let mut batch = t3();
    batch[1].justification = t4()[0].justification.clone();
    refused(worker.sync_header(&batch));
    assert_eq!(worker.counters(), (101, 0, 1));
    assert!(!worker.0.info().waiting_for_paraheaders);
    assert_eq!(worker.sync_header(&t3()), Ok(102));
}

#[test]
fn a_failed_header_sync_still_forbids_loading_a_state() {
    let mut worker = Worker::init();
    refused(worker.sync_header(&t4()));
    assert!(!worker.0.info().can_load_chain_state);
}

#[test]
fn undecodable_headers_are_a_decode_error_and_do_not_forbid_loading_a_state() {
    let mut worker = Worker::init();
    let request = pb::HeadersToSync { encoded_headers: vec![0xff; 3], ..Default::default() };
    let result = worker.call::<pb::SyncedTo>("SyncHeader", &request);
    assert!(matches!(result, Err(Error::Decode(_))));
    let request =
        pb::HeadersToSync { encoded_headers: t3().encode(), encoded_authority_set_change: Some(vec![1]) };
    assert!(matches!(worker.call::<pb::SyncedTo>("SyncHeader", &request), Err(Error::Decode(_))));
    assert!(worker.0.info().can_load_chain_state);
}

#[test]
fn bytes_after_the_headers_are_ignored() {
    let mut worker = Worker::init();
    let mut encoded_headers = t3().encode();
    encoded_headers.extend([7; 5]);
    let request = pb::HeadersToSync { encoded_headers, ..Default::default() };
    let reply: pb::SyncedTo = worker.call("SyncHeader", &request).unwrap();
    assert_eq!(reply.synced_to, 102);
}

// Justifications.

#[test]
fn undecodable_justifications_are_told_apart() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let next = &chain(&genesis, 1)[0];
    let item = HeaderToSync { header: next.clone(), justification: Some(vec![1, 2]) };
    let expected = "HeaderValidateFailed(error decoding justification for header)";
    assert_eq!(refused(worker.sync_header(&[item])), expected);
}

#[test]
fn a_commit_for_another_block_has_an_invalid_target() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let headers = chain(&genesis, 2);
    let other = justify(&headers[0], 7, 1, &[(1, &headers[0])], &[]);
    let batch = [with(&headers[0], None), with(&headers[1], Some(&other))];
    let expected = "HeaderValidateFailed(bad justification for header: \
                    invalid commit target in grandpa justification)";
    assert_eq!(refused(worker.sync_header(&batch)), expected);
}

#[test]
fn a_bad_signature_is_refused_even_if_the_others_suffice() {
    for forged in [3, 4, 9] {
        let (mut worker, genesis) = worker_with(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
        let next = &chain(&genesis, 1)[0];
        let votes = [(1, next), (2, next), (3, next), (4, next), (9, next)];
        let mut justification = justify(next, 7, 1, &votes, &[]);
        for signed in &mut justification.commit.precommits {
            if signed.id == authority(forged).public() {
                signed.signature.0[5] ^= 1;
            }
        }
        let text = refused(worker.sync_header(&[with(next, Some(&justification))]));
        assert!(text.contains("invalid signature for precommit"), "{forged}: {text}");
    }
}

#[test]
fn the_threshold_is_the_total_less_a_third_of_the_total_less_one() {
    for (members, threshold) in [(1u8, 1u8), (2, 2), (3, 3), (4, 3), (7, 5), (10, 7)] {
        let weights: Vec<_> = (1..=members).map(|n| (n, 1)).collect();
        for (voters, ok) in [(threshold - 1, false), (threshold, true)] {
            let (mut worker, genesis) = worker_with(&weights);
            let next = &chain(&genesis, 1)[0];
            let votes: Vec<_> = (1..=voters).map(|n| (n, next)).collect();
            let result = worker.sync_header(&[with(next, Some(&justify(next, 7, 1, &votes, &[])))]);
            match ok {
                true => assert_eq!(result, Ok(101), "{voters} of {members}"),
                false => assert_eq!(refused(result), COMMIT, "{voters} of {members}"),
            }
        }
    }
}

#[test]
fn weights_count_and_repeated_members_add_up() {
    // Total 10, threshold 7: member 1 has 4 + 3.
    let weights = [(1, 4), (2, 1), (3, 2), (1, 3), (4, 0)];
    for (voters, ok) in [(vec![1], true), (vec![2, 3, 4], false)] {
        let (mut worker, genesis) = worker_with(&weights);
        let next = &chain(&genesis, 1)[0];
        let votes: Vec<_> = voters.iter().map(|n| (*n, next)).collect();
        let result = worker.sync_header(&[with(next, Some(&justify(next, 7, 1, &votes, &[])))]);
        assert_eq!(result.is_ok(), ok, "{voters:?}");
    }
}

#[test]
fn a_repeated_vote_counts_once() {
    let (mut worker, genesis) = worker_with(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    let next = &chain(&genesis, 1)[0];
    let mut justification = justify(next, 7, 1, &[(1, next), (2, next)], &[]);
    let first = justification.commit.precommits[0].clone();
    justification.commit.precommits.push(first);
    assert_eq!(refused(worker.sync_header(&[with(next, Some(&justification))])), COMMIT);
}

#[test]
fn an_equivocator_counts_for_every_block_and_further_votes_are_ignored() {
    let (mut worker, genesis) = worker_with(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    let headers = chain(&genesis, 3);
    let (base, target, above) = (&headers[0], &headers[1], &headers[2]);
    // 1 equivocates thrice and is counted once; with 2 and 3 that is the threshold.
    let votes = [(1, base), (1, above), (1, target), (2, target), (3, target)];
    let good = justify(target, 7, 1, &votes, &[target, above]);
    let batch = [with(base, None), with(target, Some(&good))];
    assert_eq!(worker.sync_header(&batch), Ok(102));

    let (mut worker, _) = worker_with(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    let short = justify(target, 7, 1, &votes[..4], &[target, above]);
    let batch = [with(base, None), with(target, Some(&short))];
    assert_eq!(refused(worker.sync_header(&batch)), COMMIT);
}

#[test]
fn the_later_votes_of_equivocators_bring_no_block_in() {
    // Threshold 5 of 7: 3 and 4 equivocate and count for every block, so the highest block is the highest among the
    // first votes: the one that both name first, whatever they name afterwards.
    let weights = [(1, 1), (2, 1), (3, 3), (4, 2)];
    let (mut worker, genesis) = worker_with(&weights);
    let headers = chain(&genesis, 3);
    let (first, second, third) = (&headers[0], &headers[1], &headers[2]);
    let votes = [(3, first), (3, second), (4, first), (4, third)];
    let above = justify(third, 7, 1, &votes, &[second, third]);
    let batch = [with(first, None), with(second, None), with(third, Some(&above))];
    assert_eq!(refused(worker.sync_header(&batch)), COMMIT);

    let good = justify(first, 7, 1, &votes, &[second, third]);
    assert_eq!(worker.sync_header(&[with(first, Some(&good))]), Ok(101));
}

#[test]
fn votes_above_the_target_count_for_it_when_their_headers_are_attached() {
    let (mut worker, genesis) = worker_with(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    let headers = chain(&genesis, 3);
    let votes = [(1, &headers[0]), (2, &headers[1]), (3, &headers[2])];
    let good = justify(&headers[0], 7, 1, &votes, &[&headers[1], &headers[2]]);
    let batch = |justification| [with(&headers[0], Some(justification))];
    assert_eq!(worker.sync_header(&batch(&good)), Ok(101));

    let (mut worker, _) = worker_with(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    let hole = justify(&headers[0], 7, 1, &votes, &[&headers[2]]);
    assert_eq!(refused(worker.sync_header(&batch(&hole))), COMMIT);
}

#[test]
fn a_non_members_vote_off_the_chain_has_an_invalid_ancestry() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let next = &chain(&genesis, 1)[0];
    let stray = header(H256::repeat_byte(3), 150, H256::zero());
    let votes = [(1, next), (9, &stray)];
    let text = refused(worker.sync_header(&[with(next, Some(&justify(next, 7, 1, &votes, &[])))]));
    let expected = "HeaderValidateFailed(bad justification for header: \
                    invalid precommit ancestry proof in grandpa justification)";
    assert_eq!(text, expected);
}

#[test]
fn votes_of_non_members_only_are_no_commit() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let next = &chain(&genesis, 1)[0];
    for votes in [&[(9, next)][..], &[]] {
        let batch = [with(next, Some(&justify(next, 7, 1, votes, &[])))];
        assert_eq!(refused(worker.sync_header(&batch)), COMMIT);
    }
}

// Authority changes.

#[test]
fn the_first_scheduled_change_of_the_last_header_takes_effect() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let mut last = chain(&genesis, 1).remove(0);
    let forced = ConsensusLog::ForcedChange { median: 1, next_authorities: list(&[(8, 1)]), delay: 0 };
    last.digest.logs = vec![
        DigestItem::PreRuntime(*b"BABE", vec![1]),
        DigestItem::Consensus(*b"BABE", vec![1]),
        DigestItem::Consensus(*b"FRNK", vec![77]),
        DigestItem::Consensus(*b"FRNK", forced.encode()),
        change(&list(&[(2, 1)]), 0),
        change(&list(&[(3, 1)]), 0),
    ];
    let sync = |worker: &mut Worker, header: &Header, id, voter| {
        worker.sync_header(&[with(header, Some(&justify(header, id, 1, &[(voter, header)], &[])))])
    };
    assert_eq!(refused(sync(&mut worker, &last, 8, 2)), COMMIT, "the old set finalises the change");
    assert_eq!(sync(&mut worker, &last, 7, 1), Ok(101));
    let next = &chain(&last, 1)[0];
    assert_eq!(refused(sync(&mut worker, next, 7, 1)), COMMIT);
    assert!(refused(sync(&mut worker, next, 7, 2)).contains("invalid signature"));
    assert_eq!(sync(&mut worker, next, 8, 2), Ok(102));
}

#[test]
fn a_scheduled_change_with_a_delay_is_refused_and_changes_nothing() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let mut last = chain(&genesis, 1).remove(0);
    last.digest.logs = vec![change(&list(&[(2, 1)]), 1), change(&list(&[(3, 1)]), 0)];
    let batch = [with(&last, Some(&justify(&last, 7, 1, &[(1, &last)], &[])))];
    let text = refused(worker.sync_header(&batch));
    assert_eq!(text, "HeaderValidateFailed(scheduled change should not have delay)");
    let other = &chain(&genesis, 1)[0];
    let batch = [with(other, Some(&justify(other, 7, 1, &[(1, other)], &[])))];
    assert_eq!(worker.sync_header(&batch), Ok(101));
}

#[test]
fn a_new_worker_ignores_the_change_in_the_request() {
    let (mut worker, genesis) = worker_with(&[(1, 1)]);
    let next = &chain(&genesis, 1)[0];
    let batch = vec![with(next, Some(&justify(next, 7, 1, &[(1, next)], &[])))];
    let wrong = AuthoritySetChange {
        authority_set: AuthoritySet { list: list(&[(9, 1)]), id: 99 },
        authority_proof: Vec::new(),
    };
    let request = pb::HeadersToSync {
        encoded_headers: batch.encode(),
        encoded_authority_set_change: Some(wrong.encode()),
    };
    let reply: pb::SyncedTo = worker.call("SyncHeader", &request).unwrap();
    assert_eq!(reply.synced_to, 101);
}

/// An old worker at its genesis, a header whose state holds the set {2}, and the proof of it.
fn old_worker_at_a_change() -> (Worker, Header, AuthoritySetChange) {
    let set = list(&[(1, 1)]);
    let genesis = genesis_of(&set, b":grandpa_authorities", (1u8, &set).encode());
    let worker = init(old_style(), &genesis).unwrap();
    let next_set = list(&[(2, 1)]);
    let (root, proof) = relay_state(&[(b":grandpa_authorities", (1u8, &next_set).encode())]);
    let change = header(genesis.block_header.hash(), 101, root);
    let authority_set = AuthoritySet { list: next_set, id: 8 };
    (worker, change, AuthoritySetChange { authority_set, authority_proof: proof })
}

fn sync_old(
    worker: &mut Worker,
    header: &Header,
    (id, voter): (u64, u8),
    change: Option<&AuthoritySetChange>,
) -> Result<u32, Error> {
    let batch = vec![with(header, Some(&justify(header, id, 1, &[(voter, header)], &[])))];
    let request = pb::HeadersToSync {
        encoded_headers: batch.encode(),
        encoded_authority_set_change: change.map(Encode::encode),
    };
    worker.call("SyncHeader", &request).map(|reply: pb::SyncedTo| reply.synced_to)
}

#[test]
fn an_old_worker_changes_sets_by_the_proof_in_the_request() {
    let (mut worker, header, change) = old_worker_at_a_change();
    assert_eq!(sync_old(&mut worker, &header, (7, 1), Some(&change)), Ok(101));
    let next = &chain(&header, 1)[0];
    assert_eq!(refused(sync_old(&mut worker, next, (7, 1), None)), COMMIT);
    assert_eq!(sync_old(&mut worker, next, (8, 2), None), Ok(102));
}

#[test]
fn an_old_worker_does_not_read_digests() {
    let (mut worker, mut header, _) = old_worker_at_a_change();
    header.digest.logs = vec![change(&list(&[(2, 1)]), 0)];
    assert_eq!(sync_old(&mut worker, &header, (7, 1), None), Ok(101));
    let next = &chain(&header, 1)[0];
    assert_eq!(sync_old(&mut worker, next, (7, 1), None), Ok(102));
}

#[test]
fn an_old_worker_names_what_is_wrong_with_a_change_and_is_then_stuck() {
    let (_, _, good) = old_worker_at_a_change();
    let mut wrong_id = good.clone();
    wrong_id.authority_set.id = 9;
    let mut wrong_list = good.clone();
    wrong_list.authority_set.list = list(&[(3, 1)]);
    let expected = ["unexpected validator set id", "validator set mismatch"];
    for (bad, text) in [wrong_id, wrong_list].iter().zip(expected) {
        let (mut worker, header, _) = old_worker_at_a_change();
        let refusal = refused(sync_old(&mut worker, &header, (7, 1), Some(bad)));
        assert_eq!(refusal, format!("HeaderValidateFailed({text})"));
        assert_eq!(worker.counters().0, 101);
        // The finalised header went ahead of the counter: the same header does not attach any more.
        let again = refused(sync_old(&mut worker, &header, (7, 1), Some(&good)));
        assert_eq!(again, "HeaderValidateFailed(invalid ancestry proof)");
    }
}

#[test]
fn an_old_worker_says_when_the_legacy_key_is_missing() {
    let (mut worker, mut header, mut change) = old_worker_at_a_change();
    let (root, proof) = relay_state(&[(&authorities_key(), change.authority_set.list.encode())]);
    header.state_root = root;
    change.authority_proof = proof;
    let text = refused(sync_old(&mut worker, &header, (7, 1), Some(&change)));
    assert_eq!(text, "HeaderValidateFailed(storage value unavailable)");
}

// The commit rule against a direct reading of its description.

/// Highest block with enough weight, by counting every block on the votes' paths. `Err` if two branches
/// have enough, which takes more than a third of equivocators: the rule does not say which one wins.
fn finalised(
    tree: &[(usize, Header)],
    weights: &[(u8, u64)],
    votes: &[(u8, usize)],
) -> Result<Option<usize>, ()> {
    let Some(base) = votes.iter().map(|(_, at)| *at).min_by_key(|at| tree[*at].1.number) else {
        return Ok(None);
    };
    let is_above = |mut at: usize, low: usize| {
        while at != low && at != 0 {
            at = tree[at].0;
        }
        at == low
    };
    if !votes.iter().all(|(_, at)| is_above(*at, base)) {
        return Ok(None);
    }
    let total: u64 = weights.iter().map(|(_, w)| w).sum();
    let threshold = total - (total - 1) / 3;
    let weight_of = |block: usize| -> u64 {
        let counts = |n: u8| {
            let cast: Vec<_> = votes.iter().filter(|(m, _)| *m == n).map(|(_, at)| *at).collect();
            let equivocated = cast.iter().any(|at| *at != cast[0]);
            !cast.is_empty() && (equivocated || is_above(cast[0], block))
        };
        weights.iter().filter(|(n, _)| counts(*n)).map(|(_, w)| w).sum()
    };
    // A voter's later votes make it an equivocator but bring no block in.
    let first_votes: std::collections::BTreeMap<u8, usize> = votes.iter().rev().copied().collect();
    let on_a_path =
        |block: usize| is_above(block, base) && first_votes.values().any(|at| is_above(*at, block));
    let enough: Vec<_> = (1..tree.len()).filter(|b| on_a_path(*b) && weight_of(*b) >= threshold).collect();
    let top = enough.iter().copied().max_by_key(|b| tree[*b].1.number);
    let Some(top) = top else { return Ok(None) };
    if enough.iter().all(|b| is_above(top, *b)) { Ok(Some(top)) } else { Err(()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_commit_is_accepted_exactly_when_its_target_is_the_highest_block_with_the_threshold(
        forks in prop::collection::vec(0usize..3, 4),
        weights in prop::collection::vec(1u64..4, 4),
        votes in prop::collection::vec((1u8..6, 1usize..6), 3..8),
        target in 1usize..6,
    ) {
        let weights: Vec<(u8, u64)> = (1..).zip(weights).collect();
        let (mut worker, genesis) = worker_with(&weights);
        // Block 1 on the genesis; each further block on one of the last three.
        let first = chain(&genesis, 1).remove(0);
        let mut tree = vec![(0, genesis), (0, first)];
        for back in forks {
            let parent = tree.len() - 1 - back.min(tree.len() - 2);
            let mut block = chain(&tree[parent].1, 1).remove(0);
            block.extrinsics_root = H256::from_low_u64_be(tree.len() as u64);
            tree.push((parent, block));
        }
        let members: Vec<_> = votes.iter().copied().filter(|(n, _)| *n <= 4).collect();
        let Ok(expected) = finalised(&tree, &weights, &members) else { return Ok(()) };
        // Attach exactly the headers between the lowest vote and the others.
        let base = members.iter().map(|(_, at)| *at).min_by_key(|at| tree[*at].1.number).unwrap_or(0);
        let mut needed = std::collections::BTreeSet::new();
        for (_, at) in &members {
            let mut at = *at;
            while at != base && at != 0 {
                needed.insert(at);
                at = tree[at].0;
            }
        }
        let headers: Vec<_> = needed.iter().map(|at| &tree[*at].1).collect();
        let cast: Vec<_> = members.iter().map(|(n, at)| (*n, &tree[*at].1)).collect();
        let target_header = tree[target].1.clone();
        let justification = justify(&target_header, 7, 1, &cast, &headers);
        let mut batch = vec![with(&target_header, Some(&justification))];
        let mut at = tree[target].0;
        while at != 0 {
            batch.insert(0, with(&tree[at].1, None));
            at = tree[at].0;
        }
        let result = worker.sync_header(&batch);
        if expected == Some(target) {
            prop_assert_eq!(result, Ok(target_header.number));
        } else {
            prop_assert_eq!(refused(result), COMMIT);
        }
    }
}
