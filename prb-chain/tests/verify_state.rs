//! The state copy: vectors, child tries, pruning, and agreement with `sp-trie` on random histories.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod nodes;
mod vectors;

use codec::{Decode, Encode};
use nodes::Nodes;
use prb_chain::{
    state_copy::{CHILD_ROOT_PREFIX, StateCopy, StateCopyError, StateReader},
    verify::CryptoVerifier,
};
use prb_core::{
    Bytes,
    accept::{BlockChanges, Refusal, Verifier},
    id::{Hash, Height},
    port::{NodeStore, StoreError},
    types::sync::{BlockHeaderWithChanges, StorageChanges, StorageCollection, StorageState},
};
use proptest::prelude::*;
use sp_core::Blake2Hasher;
use sp_trie::{LayoutV0, TrieConfiguration};
use std::{collections::BTreeMap, sync::Arc};

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

fn root(hex: &str) -> Hash {
    hex.parse().unwrap()
}

fn vector_blocks() -> Vec<BlockChanges> {
    let blocks =
        Vec::<BlockHeaderWithChanges>::decode(&mut hex::decode(vectors::BLOCKS).unwrap().as_slice()).unwrap();
    let roots = vectors::PARA_ROOTS[1..].iter();
    blocks
        .iter()
        .zip(roots)
        .map(|(item, hex)| block(item.block_header.number, root(hex), &item.storage_changes))
        .collect()
}

fn block(height: u32, root: Hash, changes: &StorageChanges) -> BlockChanges {
    BlockChanges { height: Height(height), root, changes: changes.encode().into() }
}

fn main_changes(delta: &[(&[u8], Option<&[u8]>)]) -> StorageChanges {
    let main = delta.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
    StorageChanges { main_storage_changes: main, child_storage_changes: Vec::new() }
}

fn oracle(pairs: &Pairs) -> Hash {
    Hash(LayoutV0::<Blake2Hasher>::trie_root(pairs.iter()).0)
}

#[test]
fn the_vectors_lead_to_their_roots() {
    let nodes = Nodes::default();
    let mut verifier = CryptoVerifier::with_state(nodes.shared());
    let (genesis, changes) = verifier.load_state(&hex::decode(vectors::PARA_STATE).unwrap()).unwrap();
    assert_eq!(genesis, root(vectors::PARA_ROOTS[0]));
    nodes.commit(&changes);

    let changes = verifier.apply_changes(genesis, &vector_blocks()).unwrap();
    nodes.commit(&changes);
    let reader = StateReader::new(nodes.shared());
    let timestamp = prb_core::storage_key::timestamp_now();
    let read = reader.get(root(vectors::PARA_ROOTS[2]), &[timestamp]).unwrap();
    assert_eq!(read, [Some(Bytes::from(1_700_000_012_000u64.encode()))]);
}

#[test]
fn changes_of_another_block_are_refused_and_leave_the_copy_alone() {
    let nodes = Nodes::default();
    let mut verifier = CryptoVerifier::with_state(nodes.shared());
    let (genesis, changes) = verifier.load_state(&hex::decode(vectors::PARA_STATE).unwrap()).unwrap();
    nodes.commit(&changes);
    let blocks = vector_blocks();
    let swapped = BlockChanges { changes: blocks[1].changes.clone(), ..blocks[0].clone() };
    match verifier.apply_changes(genesis, &[swapped]) {
        Err(Refusal::Failed { check: "state root", height: Height(1), .. }) => {}
        other => panic!("{other:?}"),
    }
    let second_wrong = [blocks[0].clone(), BlockChanges { root: Hash([9; 32]), ..blocks[1].clone() }];
    match verifier.apply_changes(genesis, &second_wrong) {
        Err(Refusal::Failed { check: "state root", height: Height(2), .. }) => {}
        other => panic!("{other:?}"),
    }
    nodes.commit(&verifier.apply_changes(genesis, &blocks).unwrap());
}

#[test]
fn a_state_with_child_tries_is_refused_at_the_start() {
    let pairs: StorageState = vec![
        (b":child_storage:default:contract".to_vec(), vec![7; 32]),
        (b"key".to_vec(), b"value".to_vec()),
    ];
    let mut copy = StateCopy::new(Nodes::default().shared());
    assert!(matches!(copy.load(pairs.clone()), Err(StateCopyError::ChildTries { tries: 1 })));
    let mut verifier = CryptoVerifier::with_state(Nodes::default().shared());
    let refused = verifier.load_state(&pairs.encode()).unwrap_err();
    assert!(refused.to_string().contains("verify_state = false"), "{refused}");
}

#[test]
fn repeated_keys_are_refused() {
    let pairs = vec![(b"key".to_vec(), b"1".to_vec()), (b"key".to_vec(), b"2".to_vec())];
    let refused = StateCopy::new(Nodes::default().shared()).load(pairs);
    assert!(matches!(refused, Err(StateCopyError::RepeatedKeys { keys: 1 })));
}

#[test]
fn an_empty_state_can_be_filled_and_emptied() {
    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let (empty, changes) = copy.load(Vec::new()).unwrap();
    assert_eq!((empty, changes.len()), (oracle(&Pairs::new()), 0));

    let pairs = Pairs::from([(b"key".to_vec(), vec![5; 50])]);
    let filled = block(1, oracle(&pairs), &main_changes(&[(b"key", Some(&[5; 50]))]));
    nodes.commit(&copy.apply(empty, std::slice::from_ref(&filled)).unwrap());
    assert_eq!(nodes.len(), 1);
    let emptied = block(2, empty, &main_changes(&[(b"key", None)]));
    nodes.commit(&copy.apply(filled.root, &[emptied]).unwrap());
    assert_eq!(nodes.len(), 0);
}

#[test]
fn what_comes_and_goes_within_a_batch_leaves_no_trace() {
    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let pairs = Pairs::from([(b"a".to_vec(), vec![1; 40]), (b"b".to_vec(), vec![2; 40])]);
    let (genesis, changes) = copy.load(pairs.clone().into_iter().collect()).unwrap();
    nodes.commit(&changes);
    let mut with = pairs.clone();
    with.insert(b"c".to_vec(), vec![3; 40]);
    let blocks = [
        block(1, oracle(&with), &main_changes(&[(b"c", Some(&[3; 40]))])),
        block(2, genesis, &main_changes(&[(b"c", None)])),
    ];
    assert_eq!(copy.apply(genesis, &blocks).unwrap(), []);
}

#[test]
fn a_lost_node_is_reported_as_our_own_damage() {
    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let (genesis, changes) = copy.load(vec![(b"key".to_vec(), vec![5; 50])]).unwrap();
    nodes.commit(&changes);
    nodes.remove(genesis);
    let mut verifier = CryptoVerifier::with_state(nodes.shared());
    let refused = verifier
        .apply_changes(genesis, &[block(1, Hash::default(), &main_changes(&[(b"key", None)]))])
        .unwrap_err();
    assert!(matches!(refused, Refusal::Store(StoreError::Broken { .. })), "{refused}");
}

/// A node store whose disk fails.
struct Failing;

impl NodeStore for Failing {
    fn node(&self, _: &Hash) -> Result<Option<Bytes>, StoreError> {
        Err(StoreError::Backend("input/output error".into()))
    }
}

#[test]
fn a_store_that_fails_is_not_taken_for_a_damaged_copy() {
    let child = (b"child".to_vec(), vec![(b"key".to_vec(), Some(vec![1]))]);
    let with_child = StorageChanges { main_storage_changes: vec![], child_storage_changes: vec![child] };
    for changes in [with_child, main_changes(&[(b"key", Some(b"value"))])] {
        let mut verifier = CryptoVerifier::with_state(Arc::new(Failing));
        let refused = verifier.apply_changes(Hash([7; 32]), &[block(1, Hash([8; 32]), &changes)]);
        assert!(
            matches!(&refused, Err(Refusal::Store(StoreError::Backend(text))) if text.contains("input")),
            "{refused:?}"
        );
    }
}

#[test]
fn a_key_that_no_node_can_hold_is_the_sources_fault_however_it_comes() {
    let nodes = Nodes::default();
    let mut verifier = CryptoVerifier::with_state(nodes.shared());
    let (genesis, changes) = verifier.load_state(&hex::decode(vectors::PARA_STATE).unwrap()).unwrap();
    nodes.commit(&changes);
    // The second part would read what the first wrote.
    let part = |last: u8| {
        let key = [vec![5; 40_000], vec![last]].concat();
        (b"child".to_vec(), vec![(key, Some(vec![1; 40]))])
    };
    let changes =
        StorageChanges { main_storage_changes: vec![], child_storage_changes: vec![part(1), part(2)] };
    let refused = verifier.apply_changes(genesis, &[block(1, Hash([8; 32]), &changes)]);
    assert!(matches!(refused, Err(Refusal::Failed { .. })), "{refused:?}");
}

#[test]
fn keys_that_nest_without_end_are_refused() {
    let mut copy = StateCopy::new(Nodes::default().shared());
    let (empty, _) = copy.load(Vec::new()).unwrap();
    let key = vec![0x11; 2_000];
    let main = (1..key.len()).map(|len| (key[..len].to_vec(), Some(vec![1]))).collect();
    let changes = StorageChanges { main_storage_changes: main, child_storage_changes: Vec::new() };
    let refused = copy.apply(empty, &[block(1, empty, &changes)]);
    assert!(matches!(refused, Err(StateCopyError::TooDeep { .. })), "{refused:?}");
}

#[test]
fn keys_are_paged_by_prefix_in_order() {
    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let pairs: Vec<_> = (0..50u8).map(|index| (vec![b'p', index % 5, index], vec![index; 3])).collect();
    let (root, changes) = copy.load(pairs.clone()).unwrap();
    nodes.commit(&changes);
    let reader = StateReader::new(nodes.shared());
    let expected: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).filter(|key| key[1] == 3).collect();
    let mut paged = Vec::new();
    loop {
        let page = reader.keys(root, &[b'p', 3], paged.last().map(Vec::as_slice), 4).unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 4);
        paged.extend(page);
    }
    assert_eq!(paged, expected);
    assert!(reader.keys(root, b"q", None, 10).unwrap().is_empty());

    let all = StorageState::decode(&mut reader.pairs(root, 1 << 20).unwrap().as_ref()).unwrap();
    let mut sorted = pairs;
    sorted.sort();
    assert_eq!(all, sorted);
    assert!(matches!(reader.pairs(root, 10), Err(StateCopyError::TooLarge { max_bytes: 10 })));
}

/// One step of a random history.
#[derive(Clone, Debug)]
struct Step {
    main: StorageCollection,
    child: Vec<(Vec<u8>, StorageCollection)>,
    /// Whether this block is committed together with the next.
    joined: bool,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0x11u8), Just(0x12), Just(0x21), Just(0xf1)], 1..5)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    // Few values, so that equal nodes appear at several places; long ones, so that they are nodes of their own.
    prop_oneof![
        3 => (0u8..3).prop_map(|byte| vec![byte; 40]),
        2 => prop::collection::vec(any::<u8>(), 0..6),
        1 => prop::collection::vec(any::<u8>(), 30..70),
    ]
}

fn delta(size: usize) -> impl Strategy<Value = StorageCollection> {
    prop::collection::vec((key(), prop::option::weighted(0.6, value())), 0..size)
}

fn history() -> impl Strategy<Value = (Pairs, Vec<Step>)> {
    let child = (prop::sample::select(vec![b"one".to_vec(), b"two".to_vec()]), delta(6));
    let step = (delta(12), prop::collection::vec(child, 0..2), any::<bool>())
        .prop_map(|(main, child, joined)| Step { main, child, joined });
    (prop::collection::btree_map(key(), value(), 0..30), prop::collection::vec(step, 1..12))
}

fn apply(pairs: &mut Pairs, delta: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in delta {
        match value {
            Some(value) => pairs.insert(key.clone(), value.clone()),
            None => pairs.remove(key),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_lead_to_the_roots_of_the_oracle((start, steps) in history(), small_cache in any::<bool>()) {
        let nodes = Nodes::default();
        let mut copy = StateCopy::with_cache(nodes.shared(), if small_cache { 300 } else { 1 << 20 });
        let (mut root, changes) = copy.load(start.clone().into_iter().collect()).unwrap();
        prop_assert_eq!(root, oracle(&start));
        nodes.commit(&changes);

        let (mut main, mut children) = (start, BTreeMap::<Vec<u8>, Pairs>::new());
        let mut batch = Vec::new();
        let last = steps.len() - 1;
        for (number, step) in steps.into_iter().enumerate() {
            for (child, delta) in &step.child {
                let pairs = children.entry(child.clone()).or_default();
                apply(pairs, delta);
                let key = [CHILD_ROOT_PREFIX, child].concat();
                if pairs.is_empty() {
                    main.remove(&key);
                } else {
                    main.insert(key, oracle(pairs).0.to_vec());
                }
            }
            apply(&mut main, &step.main);
            let changes = StorageChanges { main_storage_changes: step.main, child_storage_changes: step.child };
            batch.push(block(number as u32 + 1, oracle(&main), &changes));
            if !step.joined || number == last {
                let changes = copy.apply(root, &batch).unwrap();
                nodes.commit(&changes);
                root = batch.last().unwrap().root;
                batch.clear();
            }
        }

        // The store holds exactly the nodes of the newest state, counted as a fresh load counts them.
        let fresh = Nodes::default();
        let mut rebuilt = StateCopy::new(fresh.shared());
        let without_children: Vec<_> = main.iter().filter(|(key, _)| !key.starts_with(b":child")).map(|(key, value)| (key.clone(), value.clone())).collect();
        if without_children.len() == main.len() {
            let (_, changes) = rebuilt.load(without_children).unwrap();
            fresh.commit(&changes);
            prop_assert_eq!(nodes.counts(), fresh.counts());
        }
        let reader = StateReader::new(nodes.shared());
        let all = StorageState::decode(&mut reader.pairs(root, 1 << 20).unwrap().as_ref()).unwrap();
        prop_assert_eq!(all, main.into_iter().collect::<Vec<_>>());
    }
}
