//! Blocks: numbers, roots, child tries, and what the chain demands of a worker.

use codec::Encode;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{Error, Restart, WorkerConfig};

use crate::solo::*;
use crate::worker_support::vectors::*;
use crate::worker_support::*;

#[test]
fn known_blocks_are_dropped_and_gaps_refused() {
    let mut worker = Worker::at_para_2();
    assert_eq!(worker.dispatch(&[]), Ok(0));
    assert_eq!(refused(worker.dispatch(&blocks()[1..])), "BlockNumberMismatch");
    let mut swapped = blocks();
    swapped.reverse();
    assert_eq!(refused(worker.dispatch(&swapped)), "BlockNumberMismatch");
    worker.dispatch(&blocks()).unwrap();
    assert_eq!(worker.dispatch(&blocks()), Ok(2));
}

#[test]
fn blocks_before_a_refused_one_stay_applied() {
    let mut worker = Worker::at_para_2();
    let mut batch = blocks();
    batch[1].storage_changes = StorageChanges::default();
    let text = refused(worker.dispatch(&batch));
    assert!(text.starts_with("StateRootMismatch block=2 expected=0x773e4b64"), "{text}");
    assert_eq!(worker.counters(), (104, 3, 2));
    assert_eq!(worker.dispatch(&blocks()), Ok(2));
}

#[test]
fn a_block_without_an_authenticated_header_has_no_root() {
    let mut worker = Worker::done();
    let mut block = blocks()[1].clone();
    block.block_header.number = 3;
    assert_eq!(refused(worker.dispatch(&[block])), "NoStateRoot");
}

#[test]
fn a_wrong_initial_state_is_found_at_the_first_block() {
    let mut worker = Worker::fresh();
    let mut pairs: StorageState = decode(T5_STATE);
    pairs[2].1[0] ^= 1;
    let request = pb::InitRuntimeRequest { encoded_genesis_state: pairs.encode(), ..init_request() };
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).unwrap();
    worker.sync_header(&t3()).unwrap();
    worker.sync_header(&t4()).unwrap();
    worker.sync_para(&para_headers(), &para_proof()).unwrap();
    let text = refused(worker.dispatch(&blocks()));
    assert!(text.starts_with("StateRootMismatch block=0 expected=0xa56217f8"), "{text}");
    assert_eq!(worker.counters(), (104, 3, 1));
}

#[test]
fn child_tries_count_into_the_root() {
    let mut solo = Solo::start(seeded(), None);
    let at = [&b":child_storage:default:"[..], b"c"].concat();
    let mut child = Pairs::new();
    let put = |child: &mut Pairs, delta: &[(u8, Option<u8>)]| -> StorageCollection {
        let big = |n: u8| vec![n; 50];
        for (key, value) in delta {
            match value {
                Some(value) => child.insert(big(*key), big(*value)),
                None => child.remove(&big(*key)),
            };
        }
        delta.iter().map(|(key, value)| (big(*key), value.map(big))).collect()
    };
    let steps: [&[(u8, Option<u8>)]; 4] =
        [&[(1, Some(1)), (2, Some(2))], &[(1, Some(9)), (3, Some(3))], &[(2, None)], &[(1, None), (3, None)]];
    for delta in steps {
        let delta = put(&mut child, delta);
        if child.is_empty() {
            solo.state.remove(&at);
        } else {
            solo.state.insert(at.clone(), root_of(&child).as_bytes().to_vec());
        }
        let mut block = solo.next(Vec::new(), &[]);
        block.storage_changes.child_storage_changes = vec![(b"c".to_vec(), delta)];
        solo.worker.sync_header(&[solo.justified()]).unwrap();
        let mut without = block.clone();
        without.storage_changes.child_storage_changes.clear();
        assert!(refused(solo.worker.dispatch(&[without])).starts_with("StateRootMismatch"));
        assert!(solo.worker.dispatch(&[block]).is_ok());
        // A checkpoint carries child tries as well.
        solo.worker.call::<pb::SyncedTo>("TakeCheckpoint", &pb::Empty {}).unwrap();
        solo.worker.0.restart(Restart::FromCheckpoint).unwrap();
    }
}

#[test]
fn the_chain_may_demand_a_newer_worker_which_then_aborts() {
    let minimum = |version: (u32, u32, u32)| vec![(key("PhalaRegistry", "MinimumPRuntimeVersion"), version)];
    let set = |pairs: Vec<(Vec<u8>, (u32, u32, u32))>| -> StorageCollection {
        pairs.into_iter().map(|(key, value)| (key, Some(value.encode()))).collect()
    };
    let config = WorkerConfig { measurement: vec![5], ..seeded() };
    let mut solo = Solo::start(config, None);
    assert!(solo.step(set(minimum((2, 2, 0))), &[]).is_ok());
    let allowed = vec![(key("PhalaRegistry", "PRuntimeAllowList"), Some(vec![vec![5u8]].encode()))];
    assert!(solo.step([set(minimum((2, 2, 1))), allowed].concat(), &[]).is_ok());
    let forbidden = vec![(key("PhalaRegistry", "PRuntimeAllowList"), None)];
    assert!(matches!(solo.step(forbidden, &[]), Err(Error::Abort(_))));

    let mut solo = Solo::start(seeded(), None);
    let consensus = vec![(key("PhalaRegistry", "PRuntimeConsensusVersion"), Some(1u32.encode()))];
    assert!(matches!(solo.step(consensus, &[]), Err(Error::Abort(_))));
}
