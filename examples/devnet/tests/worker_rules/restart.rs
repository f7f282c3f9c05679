//! Checkpoints, restarts, versions and shared memory.

use codec::Encode;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{Error, NodeStore, Restart, Version, WorkerConfig};

use crate::solo::*;
use crate::worker_support::*;

#[test]
fn a_restart_restores_the_newest_checkpoint_and_forbids_loading_a_state() {
    let mut worker = Worker::at_para_2();
    worker.dispatch(&blocks()[..1]).unwrap();
    let before = worker.0.info();
    let taken: pb::SyncedTo = worker.call("TakeCheckpoint", &pb::Empty {}).unwrap();
    assert_eq!(taken.synced_to, 1);
    worker.dispatch(&blocks()).unwrap();
    worker.0.restart(Restart::FromCheckpoint).unwrap();
    let after = worker.0.info();
    assert!(!after.can_load_chain_state);
    assert_eq!(
        pb::PhactoryInfo { memory_usage: None, ..after },
        pb::PhactoryInfo { memory_usage: None, ..before }
    );
    assert_eq!(worker.dispatch(&blocks()), Ok(2));
    assert!(worker.0.info().registered);
}

#[test]
fn a_restart_without_checkpoint_is_uninitialised_and_may_load_a_state() {
    let mut worker = Worker::done();
    worker.0.restart(Restart::FromCheckpoint).unwrap();
    assert_eq!(worker.counters(), (0, 0, 0));
    assert!(worker.0.info().can_load_chain_state);
}

#[test]
fn a_checkpoint_of_a_newer_version_is_refused() {
    let mut worker = Worker::done();
    worker.call::<pb::SyncedTo>("TakeCheckpoint", &pb::Empty {}).unwrap();
    let old: Version = "2.1.0".parse().unwrap();
    assert!(worker.0.change_version(old).is_err());
    assert!(worker.0.change_version(Version::CURRENT).is_ok());
    assert!(worker.0.info().registered);
}

#[test]
fn stop_never_answers_and_removes_checkpoints_on_request() {
    for (remove_checkpoints, initialised) in [(false, true), (true, false)] {
        let mut worker = Worker::done();
        worker.call::<pb::SyncedTo>("TakeCheckpoint", &pb::Empty {}).unwrap();
        let request = pb::StopOptions { remove_checkpoints };
        assert!(matches!(worker.call::<pb::Empty>("Stop", &request), Err(Error::Abort(_))));
        worker.0.restart(Restart::FromCheckpoint).unwrap();
        assert_eq!(worker.0.info().initialized, initialised);
    }
}

#[test]
fn automatic_checkpoints_are_taken_during_dispatch() {
    let interval = Some(std::time::Duration::from_secs(1800));
    let mut solo = Solo::start(WorkerConfig { checkpoint_interval: interval, ..seeded() }, None);
    solo.events(&[]);
    solo.worker.0.set_time(1_700_000_000 + 1800);
    solo.events(&[]);
    let at = solo.worker.counters();
    solo.events(&[]);
    solo.worker.0.restart(Restart::FromCheckpoint).unwrap();
    assert_eq!(solo.worker.counters(), at);
}

#[test]
fn network_settings_are_kept_in_checkpoints() {
    let mut worker = Worker::done();
    let none: pb::NetworkConfigResponse = worker.call("GetNetworkConfig", &pb::Empty {}).unwrap();
    assert_eq!(none.config, None);
    let config = pb::NetworkConfig { all_proxy: "socks5://127.0.0.1:1".into(), i2p_proxy: String::new() };
    worker.call::<pb::Empty>("ConfigNetwork", &config).unwrap();
    worker.call::<pb::SyncedTo>("TakeCheckpoint", &pb::Empty {}).unwrap();
    worker.0.restart(Restart::FromCheckpoint).unwrap();
    let after: pb::NetworkConfigResponse = worker.call("GetNetworkConfig", &pb::Empty {}).unwrap();
    assert_eq!(after.config, Some(config));
}

#[test]
fn storage_proofs_are_for_safe_mode_only() {
    let result = Worker::init().call::<pb::Empty>("LoadStorageProof", &pb::StorageProof::default());
    assert_eq!(refused(result), "Can not load storage proof when safe_mode_level < 2");
}

#[test]
fn an_old_worker_lacks_the_new_methods_and_fields() {
    let mut worker = Worker::new(WorkerConfig { version: "2.0.1".parse().unwrap(), ..Default::default() });
    let result = worker.call::<pb::Empty>("DcapHandoverCreateChallenge", &pb::Empty {});
    assert_eq!(result, Err(Error::MethodNotFound));
    let info = worker.0.info();
    assert_eq!(info.version, "2.0.1");
    assert!(info.supported_attestation_methods.is_empty());
    assert_eq!(info.query_timeout, 0);
    let dcap = Some(AttestationProvider::Dcap.encode());
    let request = pb::InitRuntimeRequest { attestation_provider: dcap, ..init_request() };
    let result = worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request);
    assert!(matches!(result, Err(Error::Decode(_))));
}

#[test]
fn workers_share_equal_nodes_and_give_them_back() {
    let nodes = NodeStore::default();
    let config = || WorkerConfig { nodes: nodes.clone(), ..Default::default() };
    let run = || {
        let mut worker = Worker::new(config());
        worker.call::<pb::InitRuntimeResponse>("InitRuntime", &init_request()).unwrap();
        worker.sync_header(&t3()).unwrap();
        worker.sync_header(&t4()).unwrap();
        worker.sync_para(&para_headers(), &para_proof()).unwrap();
        worker.dispatch(&blocks()).unwrap();
        worker
    };
    let first = run();
    let alone = (nodes.len(), nodes.bytes());
    assert!(alone.0 > 0);
    let second = run();
    assert_eq!((nodes.len(), nodes.bytes()), alone);
    drop(first);
    assert_eq!((nodes.len(), nodes.bytes()), alone);
    assert!(second.0.info().registered);
    drop(second);
    assert!(nodes.is_empty());
    assert_eq!(nodes.bytes(), 0);
}
