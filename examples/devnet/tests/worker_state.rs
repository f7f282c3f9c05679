//! The dev worker's trie against the state roots of a real chain.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod worker_support;

use std::io::Read;
use std::path::PathBuf;

use prb_devnet::worker::NodeStore;
use prb_devnet::worker::scale::StorageChanges;
use prb_devnet::worker::state::ChainState;
use serde_json::Value;
use worker_support::unhex;

fn folder() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("PRB_TEST_DATA").map_or_else(default, PathBuf::from)
}

fn json(name: &str) -> Option<Value> {
    let file = match std::fs::File::open(folder().join(name)) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("SKIPPED: {name} is not readable ({error}); set PRB_TEST_DATA to its folder");
            return None;
        }
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn bytes(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap().strip_prefix("0x").unwrap())
}

#[test]
fn fifty_blocks_of_a_real_chain_give_its_roots() {
    let Some(genesis) = json("phala-dev-genesis.json.gz") else { return };
    let changes = json("phala-dev-storage-changes.json.gz").unwrap();
    let roots = std::fs::read_to_string(folder().join("phala-dev-state-roots.txt")).unwrap();
    let top = genesis["genesis"]["raw"]["top"].as_object().unwrap();
    let pairs = top.iter().map(|(key, value)| (bytes(&Value::from(key.as_str())), bytes(value))).collect();
    let nodes = NodeStore::default();
    let mut state = ChainState::from_pairs(&nodes, pairs).unwrap();
    for (block, root) in roots.lines().enumerate() {
        if block > 0 {
            let main = changes["result"][block]["mainStorageChanges"].as_array().unwrap();
            let main = main.iter().map(|pair| {
                let value = if pair[1].is_null() { None } else { Some(bytes(&pair[1])) };
                (bytes(&pair[0]), value)
            });
            let delta = StorageChanges { main_storage_changes: main.collect(), ..Default::default() };
            let prepared = state.prepare(&delta).unwrap();
            state.adopt(prepared);
        }
        let root = unhex(root.trim().trim_start_matches("0x"));
        assert_eq!(state.root().as_bytes(), root, "block {block}");
    }
    // The trie of fifty blocks later is no bigger than one built anew.
    let fresh = NodeStore::default();
    let again = ChainState::from_pairs(&fresh, state.pairs()).unwrap();
    assert_eq!(again.root(), state.root());
    assert_eq!((fresh.len(), fresh.bytes()), (nodes.len(), nodes.bytes()));
}
