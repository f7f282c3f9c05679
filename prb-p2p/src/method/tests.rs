use super::Method;
use crate::message::{
    CreatePool, CreateWorker, UuidQueryRequest, WorkerState, WorkerStateUpdate, WorkerStatus,
};
use prost::Message as _;
use serde_json::{Value, json};

#[test]
fn a_method_is_found_by_its_own_name_alone() {
    for method in Method::ALL {
        assert_eq!(Method::find(method.name()), Some(method));
    }
    for name in ["", "hello", "Hello ", "DropDatabase"] {
        assert_eq!(Method::find(name), None);
    }
}

#[test]
fn what_only_looks_does_not_manage() {
    let looking: Vec<_> =
        Method::ALL.into_iter().filter(|method| !method.manages()).map(Method::name).collect();
    assert_eq!(
        looking,
        [
            "Hello",
            "Auth",
            "GetDataProviderInfo",
            "GetBlobByKey",
            "WantBlob",
            "GetBlobWithToken",
            "ListPool",
            "ListWorker",
            "GetWorkerStatus",
        ]
    );
}

#[test]
fn v2_f045_the_body_of_the_guides_that_imports_pools_is_read() {
    let body = r#"{"pools":[{"pid":2,"name":"test2","owner":{"mnemonic":"<12 or 24 words>"},"enabled":true,"realPhalaSs58":"<SS58 address>"}]}"#;
    let wire = Method::CreatePool.request_from_json(&serde_json::from_str(body).unwrap()).unwrap();
    let read = CreatePool::decode(wire).unwrap();
    let pool = &read.pools[0];
    assert_eq!((read.pools.len(), pool.pid, pool.name()), (1, Some(2), "test2"));
    assert_eq!(pool.owner.as_ref().map(|owner| owner.mnemonic()), Some("<12 or 24 words>"));
    assert_eq!((pool.enabled, pool.real_phala_ss58()), (Some(true), "<SS58 address>"));
}

#[test]
fn v2_f046_the_body_of_the_guides_that_imports_workers_is_read() {
    let body = r#"{"workers":[{"pid":2,"name":"test-node-1","endpoint":"http://path.to.worker1:8000","enabled":true,"stake":"4000000000000000"},{"pid":2,"name":"test-node-2","endpoint":"http://path.to.worker2:8000","enabled":true,"stake":"4000000000000000"}]}"#;
    let wire = Method::CreateWorker.request_from_json(&serde_json::from_str(body).unwrap()).unwrap();
    let read = CreateWorker::decode(wire).unwrap();
    assert_eq!(read.workers.len(), 2);
    let worker = &read.workers[1];
    assert_eq!(
        (worker.pid, worker.name(), worker.endpoint()),
        (Some(2), "test-node-2", "http://path.to.worker2:8000")
    );
    assert_eq!((worker.enabled, worker.stake(), worker.sync_only), (Some(true), "4000000000000000", None));
}

#[test]
fn requests_and_answers_are_those_of_the_method() {
    let ids = Method::KickWorker.request_from_json(&json!({ "ids": ["a", "b"] })).unwrap();
    assert_eq!(UuidQueryRequest::decode(ids).unwrap().ids, ["a", "b"]);
    let state = WorkerState { status: Some(WorkerStatus::PreActive.into()), ..WorkerState::default() };
    let answer = WorkerStateUpdate { worker_states: vec![state] }.encode_to_vec();
    let shown = Method::GetWorkerStatus.answer_to_json(&answer).unwrap();
    assert_eq!(shown, json!({ "workerStates": [{ "status": "S_PRE_ACTIVE" }] }));
}

#[test]
fn an_empty_request_is_no_bytes_and_an_empty_list_an_empty_object() {
    for body in [Value::Null, json!({}), json!({ "of": "no concern" })] {
        assert!(Method::ListPool.request_from_json(&body).unwrap().is_empty());
    }
    assert_eq!(Method::ListPool.answer_to_json(&[]).unwrap(), json!({}));
    assert!(Method::ListPool.request_from_json(&json!("ListPool")).is_err());
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    for answer in [&[0x0a, 5][..], &[0x0a, 2, 0x18, 0xff], b"<html>"] {
        assert!(Method::ListPool.answer_to_json(answer).is_err(), "{answer:?}");
    }
}

#[test]
fn x19_only_lists_and_blobs_may_be_large() {
    for method in Method::ALL {
        let most = match method.name() {
            "Hello" | "Auth" | "GetDataProviderInfo" | "WantBlob" => 64 << 10,
            "GetBlobByKey" | "GetBlobWithToken" => 64 << 20,
            _ => 16 << 20,
        };
        assert_eq!(method.largest_answer(), most, "{}", method.name());
    }
}
