//! How fast the state copy follows a chain, against `sp-trie` with the same changes one by one:
//! `cargo bench -p prb-chain --bench state_copy`.
//!
//! Blocks that change 380 of 300,000 keys, about as many as a busy Phala block does, on nodes in memory.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/nodes/mod.rs"]
mod nodes;
mod timed;

use codec::Encode;
use criterion::Criterion;
use nodes::Nodes;
use prb_chain::state_copy::StateCopy;
use prb_core::{
    accept::BlockChanges,
    id::{Hash, Height},
    storage_key,
    types::sync::{StorageChanges, StorageCollection},
};
use sp_core::Blake2Hasher;
use sp_trie::{PrefixedMemoryDB, TrieMut, trie_types::TrieDBMutBuilderV0};
use timed::{tell, timed};

const KEYS: u32 = 300_000;
const CHANGED: u32 = 380;
/// Blocks that change the same keys to and fro.
const BLOCKS: u8 = 2;

fn main() {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..KEYS).map(|index| (key(index), vec![index as u8; 48])).collect();
    let (mut db, mut root) = (PrefixedMemoryDB::<Blake2Hasher>::default(), Default::default());
    let mut trie = TrieDBMutBuilderV0::new(&mut db, &mut root).build();
    for (key, value) in &pairs {
        trie.insert(key, value).unwrap();
    }
    drop(trie);
    let apply = |db: &mut PrefixedMemoryDB<Blake2Hasher>, root: &mut _, delta: &StorageCollection| {
        let mut trie = TrieDBMutBuilderV0::from_existing(db, root).build();
        for (key, value) in delta {
            trie.insert(key, value.as_ref().unwrap()).unwrap();
        }
    };
    let blocks: Vec<(StorageCollection, BlockChanges)> = (0..BLOCKS)
        .map(|round| {
            let delta: StorageCollection =
                (0..CHANGED).map(|index| (key(index * 787 % KEYS), Some(vec![200 + round; 48]))).collect();
            apply(&mut db, &mut root, &delta);
            let changes =
                StorageChanges { main_storage_changes: delta.clone(), child_storage_changes: Vec::new() };
            let block =
                BlockChanges { height: Height(1), root: Hash(root.0), changes: changes.encode().into() };
            (delta, block)
        })
        .collect();

    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let (mut at, loaded) = copy.load(pairs).unwrap();
    nodes.commit(&loaded);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("state_copy");
    group.sample_size(20);
    let mut turn = 0;
    let ours = timed(&mut group, "apply", || {
        let (_, block) = &blocks[turn % blocks.len()];
        turn += 1;
        nodes.commit(&copy.apply(at, std::slice::from_ref(block)).unwrap());
        at = block.root;
    });
    let mut turn = 0;
    let theirs = timed(&mut group, "sp-trie", || {
        let (delta, block) = &blocks[turn % blocks.len()];
        turn += 1;
        apply(&mut db, &mut root, delta);
        assert_eq!(root.0, block.root.0);
    });
    tell("a block of the state copy", ours, theirs);
    group.finish();
    criterion.final_summary();
}

fn key(index: u32) -> Vec<u8> {
    let mut key = storage_key::plain("Pallet", if index.is_multiple_of(3) { "One" } else { "Two" });
    key.extend(&Hash::of(&index.encode()).0[..16]);
    key.extend(index.encode());
    key
}
