//! The state copy on a real Phala development chain: genesis and the changes of 50 blocks against their state roots.
//!
//! The data is found through `PRB_TEST_DATA` (default: `../shared/data` beside the workspace).
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, unreachable_pub)]

mod nodes;

use codec::Encode;
use nodes::Nodes;
use prb_chain::state_copy::{StateCopy, StateReader};
use prb_core::{
    accept::BlockChanges,
    id::{Hash, Height},
    storage_key,
    types::sync::{StorageChanges, StorageCollection},
};
use serde_json::Value;
use std::{io::Read, path::PathBuf};

/// The folder with the data, none (said aloud) if it is missing.
fn data() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let folder = std::env::var_os("PRB_TEST_DATA").map_or_else(|| PathBuf::from(default), PathBuf::from);
    if folder.join("phala-dev-genesis.json.gz").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no real chain data in {}; set PRB_TEST_DATA", folder.display());
    None
}

fn json(folder: &std::path::Path, name: &str) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(folder.join(name)).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

fn collection(value: &Value) -> StorageCollection {
    let pairs = value.as_array().unwrap().iter();
    pairs.map(|pair| (bytes(&pair[0]), (!pair[1].is_null()).then(|| bytes(&pair[1])))).collect()
}

struct Real {
    genesis: Vec<(Vec<u8>, Vec<u8>)>,
    root: Hash,
    blocks: Vec<BlockChanges>,
}

fn real() -> Option<Real> {
    let folder = data()?;
    let genesis = json(&folder, "phala-dev-genesis.json.gz");
    let top = genesis["genesis"]["raw"]["top"].as_object().unwrap();
    let genesis = top.iter().map(|(key, value)| (hex::decode(&key[2..]).unwrap(), bytes(value))).collect();
    let roots = std::fs::read_to_string(folder.join("phala-dev-state-roots.txt")).unwrap();
    let roots: Vec<Hash> = roots.lines().map(|line| line.parse().unwrap()).collect();
    let changes = json(&folder, "phala-dev-storage-changes.json.gz");
    let blocks = (1..roots.len())
        .map(|number| {
            let item = &changes["result"][number];
            assert!(item["childStorageChanges"].as_array().unwrap().is_empty());
            let changes = StorageChanges {
                main_storage_changes: collection(&item["mainStorageChanges"]),
                child_storage_changes: Vec::new(),
            };
            BlockChanges {
                height: Height(number as u32),
                root: roots[number],
                changes: changes.encode().into(),
            }
        })
        .collect();
    Some(Real { genesis, root: roots[0], blocks })
}

#[test]
fn all_state_roots_of_a_real_chain_come_out() {
    let Some(real) = real() else { return };
    assert_eq!(real.blocks.len(), 50);
    for batch in [1, 7, 50] {
        let nodes = Nodes::default();
        let mut copy = StateCopy::new(nodes.shared());
        let (mut root, changes) = copy.load(real.genesis.clone()).unwrap();
        assert_eq!(root, real.root);
        nodes.commit(&changes);
        for blocks in real.blocks.chunks(batch) {
            nodes.commit(&copy.apply(root, blocks).unwrap());
            root = blocks.last().unwrap().root;
        }
        let reader = StateReader::new(nodes.shared());
        let read = reader.get(root, &[storage_key::timestamp_now(), b"nothing here".to_vec()]).unwrap();
        assert!(read[0].is_some() && read[1].is_none());
    }
}

#[test]
fn one_changed_byte_in_a_real_block_is_noticed() {
    let Some(mut real) = real() else { return };
    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let (root, changes) = copy.load(real.genesis).unwrap();
    nodes.commit(&changes);
    let mut forged = real.blocks[9].changes.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    real.blocks[9].changes = forged.into();
    let refused = copy.apply(root, &real.blocks).unwrap_err().to_string();
    assert!(refused.contains("block 10"), "{refused}");
}
