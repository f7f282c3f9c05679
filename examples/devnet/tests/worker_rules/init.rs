//! Initialisation.

use codec::Encode;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{AttestationMode, Error, Restart, WorkerConfig};

use crate::solo::*;
use crate::worker_support::vectors::*;
use crate::worker_support::*;

#[test]
fn a_second_initialisation_is_refused() {
    let mut worker = Worker::init();
    let again = worker.call::<pb::InitRuntimeResponse>("InitRuntime", &init_request());
    assert_eq!(refused(again), "Runtime already initialized");
}

#[test]
fn calls_that_need_a_runtime_say_so_before_initialisation() {
    let mut worker = Worker::fresh();
    let needs = "Runtime not initialized";
    assert_eq!(refused(worker.sync_header(&t3())), needs);
    assert_eq!(refused(worker.sync_para(&para_headers(), &para_proof())), needs);
    assert_eq!(refused(worker.dispatch(&blocks())), needs);
    assert_eq!(refused(worker.call::<pb::SyncedTo>("TakeCheckpoint", &pb::Empty {})), needs);
    let info =
        worker.call::<pb::InitRuntimeResponse>("GetRuntimeInfo", &pb::GetRuntimeInfoRequest::default());
    assert_eq!(refused(info), needs);
    let egress: pb::GetEgressMessagesResponse = worker.call("GetEgressMessages", &pb::Empty {}).unwrap();
    assert_eq!(egress.encoded_messages, [0]);
    let endpoint: pb::GetEndpointResponse = worker.call("GetEndpointInfo", &pb::Empty {}).unwrap();
    assert_eq!(endpoint, pb::GetEndpointResponse::default());
    let echo = pb::EchoMessage { echo_msg: vec![1, 2] };
    assert_eq!(worker.call::<pb::EchoMessage>("Echo", &echo), Ok(echo));
}

#[test]
fn undecodable_initialisation_data_is_a_decode_error() {
    let broken = [
        pb::InitRuntimeRequest { encoded_genesis_info: vec![1], ..init_request() },
        pb::InitRuntimeRequest { encoded_genesis_state: vec![4], ..init_request() },
        pb::InitRuntimeRequest { encoded_operator: Some(vec![1]), ..init_request() },
        pb::InitRuntimeRequest { attestation_provider: Some(vec![9]), ..init_request() },
    ];
    for request in broken {
        let result = Worker::fresh().call::<pb::InitRuntimeResponse>("InitRuntime", &request);
        assert!(matches!(result, Err(Error::Decode(_))), "{result:?}");
    }
}

#[test]
fn a_seed_of_another_length_is_refused() {
    let request = pb::InitRuntimeRequest { debug_set_key: Some(vec![1; 31]), ..init_request() };
    let result = Worker::fresh().call::<pb::InitRuntimeResponse>("InitRuntime", &request);
    assert!(refused(result).contains("InvalidSeedLength"));
}

#[test]
fn an_injected_key_excludes_attestation_also_after_a_restart() {
    let config = WorkerConfig { attestation: AttestationMode::Ias, ..Default::default() };
    let mut worker = Worker::new(config);
    let ias = Some(AttestationProvider::Ias.encode());
    let request = pb::InitRuntimeRequest { attestation_provider: ias.clone(), ..init_request() };
    let text = "RA is disallowed when debug_set_key is enabled";
    assert_eq!(refused(worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request)), text);
    assert!(!worker.0.info().initialized);
    // The key was sealed all the same.
    let request = pb::InitRuntimeRequest { debug_set_key: None, ..request };
    assert_eq!(refused(worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request)), text);
}

#[test]
fn a_provider_the_platform_lacks_is_refused_and_can_be_retried_without() {
    let mut solo = Solo::unstarted(seeded());
    let text = refused(solo.init(Some(AttestationProvider::Ias), None));
    assert!(text.contains("Unsupported attestation provider: Ias"), "{text}");
    assert!(solo.init(None, None).is_ok());
}

#[test]
fn the_sealed_key_survives_a_restart_and_serves_one_chain_only() {
    let mut worker = Worker::fresh();
    let request = pb::InitRuntimeRequest { debug_set_key: None, ..init_request() };
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).unwrap();
    let key = worker.0.info().public_key;
    worker.0.restart(Restart::LoseState).unwrap();
    assert!(!worker.0.info().initialized);

    let mut genesis = genesis_info();
    genesis.block_header.number = 99;
    let other_chain = pb::InitRuntimeRequest { encoded_genesis_info: genesis.encode(), ..request.clone() };
    let text = refused(worker.call::<pb::InitRuntimeResponse>("InitRuntime", &other_chain));
    assert!(text.starts_with("Genesis block hash mismatches with saved keys, expected "), "{text}");

    let mut pairs: StorageState = decode(T5_STATE);
    pairs[0].1 = 2004u32.encode();
    let other_para = pb::InitRuntimeRequest { encoded_genesis_state: pairs.encode(), ..request.clone() };
    let text = refused(worker.call::<pb::InitRuntimeResponse>("InitRuntime", &other_para));
    assert_eq!(text, "Parachain id mismatches, saved: 2035, in state: 2004");

    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).unwrap();
    assert_eq!(worker.0.info().public_key, key);
}

#[test]
fn a_standalone_genesis_state_must_have_the_root_of_its_header() {
    let mut solo = Solo::unstarted(seeded());
    solo.state.insert(vec![1], vec![1]);
    let wrong = Vec::from_iter(&solo.state).encode();
    solo.state.remove(&vec![1]);
    let request = pb::InitRuntimeRequest { encoded_genesis_state: wrong, ..solo.init_request() };
    let result = solo.worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request);
    assert_eq!(refused(result), "state root mismatch");
    // In parachain mode nothing is compared yet.
    let request = pb::InitRuntimeRequest { is_parachain: true, ..request };
    assert!(solo.worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).is_ok());
}

#[test]
fn a_standalone_worker_counts_from_header_0_and_knows_no_para_headers() {
    let mut solo = Solo::unstarted(seeded());
    solo.init(None, None).unwrap();
    assert_eq!(solo.worker.counters(), (0, 0, 1));
    assert_eq!(refused(solo.worker.sync_para(&para_headers(), &para_proof())), "ChainModeMismatch");
    let batch = solo.sync_genesis();
    assert_eq!(solo.worker.sync_header(&batch), Ok(1));
    assert_eq!(solo.worker.counters(), (2, 0, 1));
    assert!(!solo.worker.0.info().waiting_for_paraheaders);
    let block = solo.empty_block_1();
    assert_eq!(solo.worker.dispatch(&[block]), Ok(1));
}
