//! Loading a state instead of syncing from the start.

use codec::Encode;
use prb_devnet::worker::Error;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;

use crate::solo::*;
use crate::worker_support::vectors::*;
use crate::worker_support::*;

fn load(worker: &mut Worker, number: u32, pairs: &StorageState) -> Result<pb::Empty, Error> {
    let request = pb::ChainState { block_number: number, encoded_state: pairs.encode() };
    worker.call("LoadChainState", &request)
}

/// The state after block 1 of the vectors.
fn state_1() -> StorageState {
    let mut pairs: Pairs = decode::<StorageState>(T5_STATE).into_iter().collect();
    for (key, value) in blocks()[0].storage_changes.main_storage_changes.clone() {
        pairs.insert(key, value.unwrap());
    }
    pairs.into_iter().collect()
}

#[test]
fn a_state_can_be_loaded_and_is_proven_by_the_header_of_its_block() {
    let mut worker = Worker::init();
    load(&mut worker, 1, &state_1()).unwrap();
    assert_eq!(worker.counters(), (101, 1, 2));
    let info = worker.0.info();
    assert!(!info.can_load_chain_state);
    assert_eq!(info.system.unwrap().genesis_block, 1);
    worker.sync_header(&t3()).unwrap();
    worker.sync_header(&t4()).unwrap();
    assert_eq!(worker.sync_para(&para_headers(), &para_proof()), Ok(2));
    assert_eq!(worker.dispatch(&blocks()), Ok(2));
}

#[test]
fn a_loaded_state_that_is_wrong_is_found_at_the_first_block() {
    let mut worker = Worker::init();
    load(&mut worker, 1, &decode(T5_STATE)).unwrap();
    worker.sync_header(&t3()).unwrap();
    worker.sync_header(&t4()).unwrap();
    worker.sync_para(&para_headers(), &para_proof()).unwrap();
    let text = refused(worker.dispatch(&blocks()));
    assert!(text.starts_with("StateRootMismatch block=1 expected=0x785255ae"), "{text}");
}

#[test]
fn loading_a_state_is_refused_with_the_reason_that_comes_first() {
    let mut worker = Worker::init();
    assert_eq!(refused(load(&mut worker, 0, &state_1())), "Can not load chain state from block 0");
    assert_eq!(refused(load(&mut Worker::fresh(), 1, &state_1())), "System is uninitialized");
    let mut other = state_1();
    other.retain(|(at, _)| *at != key("ParachainInfo", "ParachainId"));
    let text = refused(load(&mut worker, 1, &other));
    assert_eq!(text, "Loading different parachain state, loading=0, init=2035");
    let mut registered = state_1();
    let pubkey = hex::decode(worker.0.info().public_key.unwrap()).unwrap();
    registered.push((map_key("PhalaRegistry", "Workers", &pubkey), vec![1]));
    let text = refused(load(&mut worker, 1, &registered));
    assert_eq!(text, "Failed to load state: the worker is already registered at block 1");
    // None of these used up the permission; a load does, and so does a header.
    load(&mut worker, 1, &state_1()).unwrap();
    assert_eq!(refused(load(&mut worker, 2, &state_1())), "Can not load chain state");
    assert_eq!(refused(load(&mut Worker::at_103(), 0, &state_1())), "Can not load chain state");
}
