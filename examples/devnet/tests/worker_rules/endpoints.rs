//! Endpoints and their signatures.

use codec::{Decode, Encode};
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;

use crate::worker_support::*;

#[test]
fn endpoints_are_kept_one_per_type_and_signed_in_type_order() {
    let mut worker = Worker::done();
    let mut add = |kind: EndpointType, endpoint: &str| {
        let request =
            pb::AddEndpointRequest { encoded_endpoint_type: kind.encode(), endpoint: endpoint.to_owned() };
        let reply: pb::GetEndpointResponse = worker.call("AddEndpoint", &request).unwrap();
        let payload = reply.encoded_endpoint_payload.unwrap();
        let payload = WorkerEndpointPayload::decode(&mut &payload[..]).unwrap();
        let VersionedWorkerEndpoints::V1(list) = payload.versioned_endpoints;
        list
    };
    assert_eq!(add(EndpointType::Http, "a"), ["a"]);
    assert_eq!(add(EndpointType::I2p, "b"), ["b", "a"]);
    assert_eq!(add(EndpointType::Http, "c"), ["b", "c"]);
    let cached: pb::GetEndpointResponse = worker.call("GetEndpointInfo", &pb::Empty {}).unwrap();
    assert_eq!(worker.call("GetEndpointInfo", &pb::Empty {}), Ok(cached.clone()));
    let fresh: pb::GetEndpointResponse = worker.call("RefreshEndpointSigningTime", &pb::Empty {}).unwrap();
    assert_ne!(fresh.signature, cached.signature, "sr25519 signatures are randomised");
}

#[test]
fn a_list_is_signed_without_being_stored_and_must_not_be_too_large() {
    let mut worker = Worker::done();
    let sign = |worker: &mut Worker, list: Vec<String>| {
        let request = pb::SignEndpointsRequest { encoded_endpoints: list.encode() };
        worker.call::<pb::GetEndpointResponse>("SignEndpointInfo", &request)
    };
    assert!(sign(&mut worker, vec!["x".into()]).unwrap().signature.is_some());
    let stored: pb::GetEndpointResponse = worker.call("GetEndpointInfo", &pb::Empty {}).unwrap();
    assert_eq!(stored, pb::GetEndpointResponse::default());
    // 32 key + 1 version + 1 count + 2 length + 8 time.
    assert!(sign(&mut worker, vec!["x".repeat(2048 - 44)]).is_ok());
    assert_eq!(refused(sign(&mut worker, vec!["x".repeat(2048 - 43)])), "Endpoints too large");
}

#[test]
fn an_endpoint_added_before_initialisation_is_stored_but_not_signed() {
    let mut worker = Worker::fresh();
    let request = pb::AddEndpointRequest { encoded_endpoint_type: vec![1], endpoint: "a".into() };
    let result = worker.call::<pb::GetEndpointResponse>("AddEndpoint", &request);
    assert_eq!(refused(result), "Runtime not initialized");
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &init_request()).unwrap();
    let info: pb::GetEndpointResponse = worker.call("GetEndpointInfo", &pb::Empty {}).unwrap();
    assert!(info.signature.is_some());
}
