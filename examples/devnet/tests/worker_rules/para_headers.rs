//! Parachain headers, alone and combined with relay headers.

use codec::Encode;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use sp_core::H256;

use crate::worker_support::vectors::*;
use crate::worker_support::*;

#[test]
fn an_empty_or_known_para_batch_succeeds_without_looking_at_the_proof() {
    let mut worker = Worker::at_103();
    assert_eq!(worker.sync_para(&[], &[]), Ok(u32::MAX), "the real worker wraps below 0");
    assert!(worker.0.info().waiting_for_paraheaders);
    let mut worker = Worker::at_para_2();
    assert_eq!(worker.sync_para(&para_headers(), &[]), Ok(2));
}

#[test]
fn a_gap_in_para_headers_is_a_number_mismatch_told_before_anything_else() {
    let mut worker = Worker::init();
    assert_eq!(refused(worker.sync_para(&para_headers()[1..], &[])), "BlockNumberMismatch");
    assert_eq!(refused(worker.sync_para(&para_headers(), &[])), "RelaychainHeaderNotSynced");
}

#[test]
fn a_broken_link_between_para_headers_is_a_hash_mismatch_and_keeps_the_relay_root() {
    let mut worker = Worker::at_103();
    let mut headers = para_headers();
    headers[1].state_root = H256::zero();
    assert_eq!(refused(worker.sync_para(&headers, &para_proof())), "HeaderHashMismatch");
    assert!(worker.0.info().waiting_for_paraheaders);
    assert_eq!(worker.sync_para(&para_headers(), &para_proof()), Ok(2));
}

#[test]
fn a_wrong_proof_is_told_before_a_broken_link() {
    let mut worker = Worker::at_103();
    let mut headers = para_headers();
    headers[1].state_root = H256::zero();
    let text = refused(worker.sync_para(&headers, &para_proof()[..2]));
    assert!(text.starts_with("StorageProofFailed(Failed to read value from trie: "), "{text}");
}

#[test]
fn a_proof_that_there_is_no_head_is_an_unavailable_value() {
    // A worker of another parachain, at a relay root that holds a head for 2035 only.
    let mut worker = Worker::fresh();
    let mut pairs: StorageState = decode(T5_STATE);
    pairs[0].1 = 9u32.encode();
    let request = pb::InitRuntimeRequest { encoded_genesis_state: pairs.encode(), ..init_request() };
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).unwrap();
    worker.sync_header(&t3()).unwrap();
    worker.sync_header(&t4()).unwrap();
    let text = refused(worker.sync_para(&para_headers(), &para_proof()));
    assert_eq!(text, "StorageProofFailed(storage value unavailable)");
}

#[test]
fn proof_nodes_may_come_in_any_order_and_with_needless_ones() {
    let mut worker = Worker::at_103();
    let mut proof = para_proof();
    proof.reverse();
    proof.push(vec![9; 50]);
    assert_eq!(worker.sync_para(&para_headers(), &proof), Ok(2));
}

#[test]
fn a_combined_call_advances_both_chains() {
    let mut worker = Worker::init();
    let mut call = |relay: Vec<HeaderToSync>, para: Vec<Header>| {
        let request = pb::CombinedHeadersToSync {
            encoded_relaychain_headers: relay.encode(),
            encoded_parachain_headers: para.encode(),
            proof: para_proof(),
            ..Default::default()
        };
        worker
            .call("SyncCombinedHeaders", &request)
            .map(|reply: pb::HeadersSyncedTo| (reply.relaychain_synced_to, reply.parachain_synced_to))
    };
    assert_eq!(call(t3(), vec![]), Ok((102, u32::MAX)));
    assert_eq!(call(t4(), para_headers()), Ok((103, 2)));
    assert_eq!(call(vec![], vec![]), Ok((103, 2)));
}

#[test]
fn a_combined_call_keeps_the_relay_headers_when_the_para_headers_fail() {
    let mut worker = Worker::init();
    worker.sync_header(&t3()).unwrap();
    let request = pb::CombinedHeadersToSync {
        encoded_relaychain_headers: t4().encode(),
        encoded_parachain_headers: para_headers()[..2].encode(),
        proof: para_proof(),
        ..Default::default()
    };
    let text = refused(worker.call::<pb::HeadersSyncedTo>("SyncCombinedHeaders", &request));
    assert_eq!(text, "StorageProofFailed(storage value mismatch)");
    assert_eq!(worker.counters(), (104, 0, 1));
}
