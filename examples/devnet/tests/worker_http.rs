//! The dev worker's listener: routes, status codes, limits, faults and restarts.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../prb-chain/tests/port/mod.rs"]
mod port;
mod worker_support;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use codec::Encode;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use port::Port;
use prb_devnet::worker::scale::{SyncHeaderReq, SyncParachainHeaderReq};
use prb_devnet::worker::{
    AttestationMode, Error, Fault, FaultRule, Restart, WorkerConfig, WorkerHandle, WorkerServer, pb,
};
use prost::Message;
use serde_json::Value;
use sp_core::{Pair, sr25519};
use tokio::net::TcpStream;
use worker_support::vectors::*;
use worker_support::*;

async fn start() -> WorkerHandle {
    start_with(WorkerConfig::default()).await
}

async fn start_with(config: WorkerConfig) -> WorkerHandle {
    WorkerServer::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

/// Sends one request on its own connection. An error means that no answer came.
async fn send(worker: &WorkerHandle, request: Request<Full<Bytes>>) -> hyper::Result<Response<Bytes>> {
    let stream = TcpStream::connect(worker.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}

fn post(path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(path).header("host", "worker").body(Full::new(body.into())).unwrap()
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "worker").body(Full::default()).unwrap()
}

async fn call(worker: &WorkerHandle, method: &str, request: &impl Message) -> hyper::Result<Response<Bytes>> {
    send(worker, post(&format!("/prpc/PhactoryAPI.{method}"), request.encode_to_vec())).await
}

async fn ok(worker: &WorkerHandle, method: &str, request: &impl Message) -> Bytes {
    let answer = call(worker, method, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{method}: {:?}", answer.body());
    answer.into_body()
}

async fn info(worker: &WorkerHandle) -> pb::PhactoryInfo {
    pb::PhactoryInfo::decode(ok(worker, "GetInfo", &pb::Empty {}).await).unwrap()
}

fn error_of(answer: Response<Bytes>) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, pb::PrpcError::decode(answer.into_body()).unwrap().message)
}

fn headers(batch: &[prb_devnet::worker::scale::HeaderToSync]) -> pb::HeadersToSync {
    pb::HeadersToSync { encoded_headers: batch.encode(), ..Default::default() }
}

/// Feeds the vectors up to block `to` (1 or 2).
async fn feed(worker: &WorkerHandle, to: usize) {
    ok(worker, "InitRuntime", &init_request()).await;
    ok(worker, "SyncHeader", &headers(&t3())).await;
    ok(worker, "SyncHeader", &headers(&t4())).await;
    let para = pb::ParaHeadersToSync { encoded_headers: para_headers().encode(), proof: para_proof() };
    ok(worker, "SyncParaHeader", &para).await;
    ok(worker, "DispatchBlocks", &pb::Blocks { encoded_blocks: blocks()[..to].encode() }).await;
}

#[tokio::test]
async fn a_whole_run_works_over_http() {
    let worker = start().await;
    feed(&worker, 2).await;
    let info = info(&worker).await;
    assert_eq!((info.headernum, info.para_headernum, info.blocknum), (104, 3, 3));
    assert!(info.registered);
    assert_eq!(info, worker.info());
    assert_eq!(worker.calls()["SyncHeader"], 2);
    assert_eq!(worker.peak_in_flight(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn answers_carry_request_ids_that_count_by_two_and_the_binary_content_type() {
    let worker = start().await;
    for id in ["0", "2", "4"] {
        let answer = call(&worker, "GetInfo", &pb::Empty {}).await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], id);
        assert!(answer.headers()["x-cost-time"].to_str().unwrap().parse::<u64>().is_ok());
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    }
}

#[tokio::test]
async fn an_answer_may_have_no_bytes_at_all() {
    let worker = start().await;
    feed(&worker, 1).await;
    let known = pb::Blocks { encoded_blocks: vec![0] };
    assert_eq!(ok(&worker, "DispatchBlocks", &known).await, pb::SyncedTo { synced_to: 1 }.encode_to_vec());
    assert!(ok(&worker, "ConfigNetwork", &pb::NetworkConfig::default()).await.is_empty());
    assert!(ok(&worker, "Echo", &pb::EchoMessage::default()).await.is_empty());
}

#[tokio::test]
async fn errors_have_their_status_and_a_prpc_error() {
    let worker = start().await;
    let unknown = call(&worker, "NoSuchMethod", &pb::Empty {}).await.unwrap();
    assert_eq!(error_of(unknown), (404, "Method Not Found".into()));
    let other_service = send(&worker, post("/prpc/Other.GetInfo", vec![])).await.unwrap();
    assert_eq!(error_of(other_service), (404, "Method Not Found".into()));
    let garbage = send(&worker, post("/prpc/PhactoryAPI.SyncHeader", vec![0xff; 9])).await.unwrap();
    let (status, text) = error_of(garbage);
    assert_eq!(status, 400);
    assert!(text.starts_with("DecodeError("), "{text}");
    let broken = pb::Blocks { encoded_blocks: vec![4, 0] };
    let (status, text) = error_of(call(&worker, "DispatchBlocks", &broken).await.unwrap());
    assert_eq!(status, 400);
    assert!(text.starts_with("DecodeError("), "{text}");
    let early = call(&worker, "SyncHeader", &headers(&t3())).await.unwrap();
    assert_eq!(error_of(early), (500, "Runtime not initialized".into()));
}

#[tokio::test]
async fn a_path_without_route_is_a_page() {
    let worker = start().await;
    for request in [get("/"), post("/nothing", vec![]), get("/bin_api/sync_header"), post("/kick", vec![])] {
        let answer = send(&worker, request).await.unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    }
}

#[tokio::test]
async fn a_body_above_the_methods_limit_is_too_large() {
    let worker = start().await;
    for (method, limit) in [("GetInfo", 1 << 10), ("AddEndpoint", 10 << 10), ("NoSuchMethod", 1 << 20)] {
        let path = format!("/prpc/PhactoryAPI.{method}");
        let within = send(&worker, post(&path, vec![0xff; limit])).await.unwrap();
        assert_ne!(within.status(), 413, "{method}");
        let above = send(&worker, post(&path, vec![0xff; limit + 1])).await.unwrap();
        assert_eq!(above.status(), 413, "{method}");
        assert_eq!(&above.body()[..], b"Entity too large");
    }
}

#[tokio::test]
async fn unknown_fields_of_newer_clients_are_skipped() {
    let worker = start().await;
    // Field 999, varint 1.
    let answer = send(&worker, post("/prpc/PhactoryAPI.GetInfo", vec![0xb8, 0x3e, 0x01])).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn json_mode_works_by_query_by_content_type_and_by_get() {
    let worker = start().await;
    let path = "/prpc/PhactoryAPI.GetInfo";
    let mut typed = post(path, vec![]);
    typed.headers_mut().insert("content-type", "application/json".parse().unwrap());
    for request in [get(path), post("/prpc/PhactoryAPI.GetInfo?json", vec![]), typed] {
        let answer = send(&worker, request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        let value: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(value["initialized"], false);
        assert_eq!(value["version"], "2.2.0");
        assert_eq!(value["system"], Value::Null);
    }
    let body = br#"{"echo_msg": [1, 2, 3]}"#.to_vec();
    let answer = send(&worker, post("/prpc/PhactoryAPI.Echo?json=true", body)).await.unwrap();
    assert_eq!(&answer.body()[..], br#"{"echo_msg":[1,2,3]}"#);
    let answer = send(&worker, get("/prpc/PhactoryAPI.TakeCheckpoint")).await.unwrap();
    assert_eq!(answer.status(), 500);
    let value: Value = serde_json::from_slice(answer.body()).unwrap();
    assert!(value["error"].as_str().unwrap().contains("Runtime not initialized"));
}

#[tokio::test]
async fn json_mode_never_shows_the_attestation() {
    let worker = start().await;
    feed(&worker, 1).await;
    let binary = ok(&worker, "GetRuntimeInfo", &pb::GetRuntimeInfoRequest::default()).await;
    assert!(pb::InitRuntimeResponse::decode(binary).unwrap().attestation.is_some());
    let answer = send(&worker, get("/prpc/PhactoryAPI.GetRuntimeInfo")).await.unwrap();
    let value: Value = serde_json::from_slice(answer.body()).unwrap();
    assert!(value.get("attestation").is_none());
    assert!(value["encoded_public_key"].is_array());
}

#[tokio::test]
async fn info_is_readable_json() {
    let worker = start().await;
    let answer = send(&worker, get("/info")).await.unwrap();
    let value: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(value["can_load_chain_state"], true);
    assert!(answer.body().contains(&b'\n'));
}

fn envelope(answer: &Response<Bytes>) -> (String, String, Option<String>) {
    assert_eq!(answer.status(), 200);
    let value: Value = serde_json::from_slice(answer.body()).unwrap();
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    (text("status").unwrap(), text("payload").unwrap(), text("signature"))
}

#[tokio::test]
async fn bin_api_feeds_a_worker_and_signs_its_answers() {
    let worker = start().await;
    let sync = SyncHeaderReq { headers: t3(), authority_set_change: None };
    let early = send(&worker, post("/bin_api/sync_header", sync.encode())).await.unwrap();
    let expected = r#"{"message":"Runtime not initialized"}"#;
    assert_eq!(envelope(&early), ("error".into(), expected.into(), None));

    ok(&worker, "InitRuntime", &init_request()).await;
    let answer = send(&worker, post("/bin_api/sync_header", sync.encode())).await.unwrap();
    let (status, payload, signature) = envelope(&answer);
    assert_eq!((status.as_str(), payload.as_str()), ("ok", r#"{"synced_to":102}"#));
    let signature = sr25519::Signature::try_from(&unhex(&signature.unwrap())[..]).unwrap();
    let key = unhex(&worker.info().public_key.unwrap());
    let key = sr25519::Public::from_raw(key.try_into().unwrap());
    let signed = [&[0xff, 1], payload.as_bytes()].concat();
    assert!(sr25519::Pair::verify(&signature, signed, &key));

    let broken = send(&worker, post("/bin_api/sync_header", vec![1])).await.unwrap();
    let (status, payload, signature) = envelope(&broken);
    let expected = r#"{"message":"Decode input parameter failed"}"#;
    assert_eq!((status.as_str(), payload.as_str(), signature.is_some()), ("error", expected, true));

    let sync = SyncHeaderReq { headers: t4(), authority_set_change: None };
    send(&worker, post("/bin_api/sync_header", sync.encode())).await.unwrap();
    let para = SyncParachainHeaderReq { headers: para_headers(), proof: para_proof() };
    let answer = send(&worker, post("/bin_api/sync_para_header", para.encode())).await.unwrap();
    assert_eq!(envelope(&answer).1, r#"{"synced_to":2}"#);
    let answer = send(&worker, post("/bin_api/dispatch_block", unhex(T6_BLOCKS))).await.unwrap();
    assert_eq!(envelope(&answer).1, r#"{"dispatched_to":2}"#);
    let answer = send(&worker, get("/get_info")).await.unwrap();
    let payload: Value = serde_json::from_str(&envelope(&answer).1).unwrap();
    assert_eq!(payload["blocknum"], 3);
}

#[tokio::test]
async fn stop_closes_the_connection_and_the_worker_comes_back_from_its_checkpoint() {
    let worker = start().await;
    feed(&worker, 1).await;
    ok(&worker, "TakeCheckpoint", &pb::Empty {}).await;
    ok(&worker, "DispatchBlocks", &pb::Blocks { encoded_blocks: unhex(T6_BLOCKS) }).await;
    assert!(call(&worker, "Stop", &pb::StopOptions::default()).await.is_err());
    let info = info(&worker).await;
    assert_eq!((info.blocknum, info.can_load_chain_state), (2, false));
}

#[tokio::test]
async fn an_abort_drops_the_connection_and_the_state_but_not_the_key() {
    let worker = start().await;
    let request = pb::InitRuntimeRequest { debug_set_key: None, ..init_request() };
    ok(&worker, "InitRuntime", &request).await;
    let key = worker.info().public_key;
    worker.reboot(Restart::LoseState).unwrap();
    let mut genesis = genesis_info();
    genesis.proof.clear();
    let bad = pb::InitRuntimeRequest { encoded_genesis_info: genesis.encode(), ..request.clone() };
    assert!(call(&worker, "InitRuntime", &bad).await.is_err());
    assert!(!info(&worker).await.initialized);
    ok(&worker, "InitRuntime", &request).await;
    assert_eq!(worker.info().public_key, key);
    worker.change_key(Some([8; 32]));
    ok(&worker, "InitRuntime", &request).await;
    assert_ne!(worker.info().public_key, key);
}

#[tokio::test]
async fn a_reboot_drops_open_connections() {
    let worker = start().await;
    let stream = TcpStream::connect(worker.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = || post("/prpc/PhactoryAPI.GetInfo", vec![]);
    let answer = sender.send_request(request()).await.unwrap();
    answer.into_body().collect().await.unwrap();
    worker.reboot(Restart::FromCheckpoint).unwrap();
    let _ = connection.await.unwrap();
    assert!(sender.send_request(request()).await.is_err());
    assert!(call(&worker, "GetInfo", &pb::Empty {}).await.is_ok());
}

#[tokio::test]
async fn faults_act_on_their_method_as_often_as_asked() {
    let worker = start().await;
    let fault = Fault::Error { status: 500, message: "boom".into() };
    worker.add_fault(FaultRule { method: Some("Echo".into()), times: Some(2), fault });
    for _ in 0..2 {
        let answer = call(&worker, "Echo", &pb::EchoMessage::default()).await.unwrap();
        assert_eq!(error_of(answer), (500, "boom".into()));
        ok(&worker, "GetInfo", &pb::Empty {}).await;
    }
    ok(&worker, "Echo", &pb::EchoMessage::default()).await;

    worker.add_fault(FaultRule::once("Echo", Fault::Drop));
    assert!(call(&worker, "Echo", &pb::EchoMessage::default()).await.is_err());
    worker.add_fault(FaultRule::once("Echo", Fault::Garbage(vec![0xff])));
    assert_eq!(ok(&worker, "Echo", &pb::EchoMessage::default()).await[..], [0xff]);

    worker.add_fault(FaultRule::once("InitRuntime", Fault::DropAnswer));
    assert!(call(&worker, "InitRuntime", &init_request()).await.is_err());
    assert!(worker.info().initialized, "the call took effect");
    worker.add_fault(FaultRule::once("Echo", Fault::Abort));
    assert!(call(&worker, "Echo", &pb::EchoMessage::default()).await.is_err());
    assert!(!worker.info().initialized);
}

#[tokio::test]
async fn a_hanging_call_ends_without_answer_when_the_faults_are_cleared() {
    let worker = start().await;
    worker.add_fault(FaultRule::always(Fault::Hang));
    let mut hanging = std::pin::pin!(call(&worker, "GetInfo", &pb::Empty {}));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut hanging).await.is_err());
    worker.clear_faults();
    assert!(hanging.await.is_err());
    ok(&worker, "GetInfo", &pb::Empty {}).await;
}

#[tokio::test]
async fn a_slow_answer_arrives_whole_at_about_the_given_speed() {
    let worker = start().await;
    worker.add_fault(FaultRule::once("Echo", Fault::Slow { bytes_per_second: 2000 }));
    let began = std::time::Instant::now();
    let echo = pb::EchoMessage { echo_msg: vec![5; 600] };
    assert_eq!(ok(&worker, "Echo", &echo).await, echo.encode_to_vec());
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stopped_worker_frees_its_port_even_while_a_call_hangs() {
    let port = Port::keep();
    let addr = port.addr;
    let worker = WorkerServer::start(WorkerConfig::default(), addr).await.unwrap();
    worker.add_fault(FaultRule::always(Fault::Hang));
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let hanging = tokio::spawn(sender.send_request(post("/prpc/PhactoryAPI.GetInfo", vec![])));
    while !worker.calls().contains_key("GetInfo") {
        tokio::task::yield_now().await;
    }
    worker.stop().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_worker_with_a_folder_keeps_key_and_checkpoints_across_processes() {
    let dir = tempfile::tempdir().unwrap();
    let config = || WorkerConfig { data_dir: Some(dir.path().to_owned()), ..Default::default() };
    let worker = start_with(config()).await;
    feed(&worker, 1).await;
    assert_eq!(worker.take_checkpoint(), Ok(1));
    assert!(dir.path().join("checkpoint.seal-000000001.info.json").exists());
    let before = worker.info();
    worker.stop().await;

    let worker = start_with(config()).await;
    let after = worker.info();
    assert_eq!((after.blocknum, &after.public_key), (2, &before.public_key));
    ok(&worker, "DispatchBlocks", &pb::Blocks { encoded_blocks: unhex(T6_BLOCKS) }).await;
    assert!(call(&worker, "Stop", &pb::StopOptions { remove_checkpoints: true }).await.is_err());
    assert!(!dir.path().join("checkpoint.seal-000000001").exists());
    worker.stop().await;

    let worker = start_with(config()).await;
    assert!(!worker.info().initialized);
    let request = pb::InitRuntimeRequest { debug_set_key: None, ..init_request() };
    ok(&worker, "InitRuntime", &request).await;
    assert_eq!(worker.info().public_key, before.public_key);
}

#[tokio::test]
async fn a_checkpoint_taken_again_at_the_same_block_replaces_the_former_one_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let config = || WorkerConfig { data_dir: Some(dir.path().to_owned()), ..Default::default() };
    let proxied = |host: &str| pb::NetworkConfig { all_proxy: host.into(), i2p_proxy: String::new() };
    let worker = start_with(config()).await;
    feed(&worker, 1).await;
    for host in ["one", "two"] {
        ok(&worker, "ConfigNetwork", &proxied(host)).await;
        worker.take_checkpoint().unwrap();
    }
    worker.stop().await;
    let worker = start_with(config()).await;
    let kept = ok(&worker, "GetNetworkConfig", &pb::Empty {}).await;
    assert_eq!(pb::NetworkConfigResponse::decode(kept).unwrap().config, Some(proxied("two")));
}

#[tokio::test]
async fn a_checkpoint_that_can_not_be_read_fails_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = || WorkerConfig { data_dir: Some(dir.path().to_owned()), ..Default::default() };
    let worker = start_with(config()).await;
    feed(&worker, 1).await;
    worker.take_checkpoint().unwrap();
    worker.stop().await;
    std::fs::write(dir.path().join("checkpoint.seal-000000001"), [1, 2, 3]).unwrap();
    let started = WorkerServer::start(config(), SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let text = started.err().unwrap().to_string();
    assert!(text.contains("checkpoint of block 1 can not be loaded"), "{text}");
}

#[tokio::test]
async fn another_version_takes_over_the_state_if_it_is_not_older() {
    let old = WorkerConfig { version: "2.1.0".parse().unwrap(), ..Default::default() };
    let worker = start_with(WorkerConfig { attestation: AttestationMode::Ias, ..old }).await;
    assert!(worker.info().supported_attestation_methods.is_empty());
    worker.change_version("2.2.0".parse().unwrap()).unwrap();
    assert_eq!(info(&worker).await.supported_attestation_methods, ["none", "epid"]);
    feed(&worker, 1).await;
    worker.take_checkpoint().unwrap();
    assert!(matches!(worker.change_version("2.1.0".parse().unwrap()), Err(Error::App(_))));
    assert!(!worker.info().initialized);
}

#[tokio::test]
async fn many_workers_run_in_one_process() {
    let config = WorkerConfig::default();
    let mut workers = Vec::new();
    for _ in 0..50 {
        workers.push(start_with(config.clone()).await);
    }
    for worker in &workers {
        feed(worker, 2).await;
    }
    assert!(workers.iter().all(|worker| worker.info().registered));
    for worker in workers {
        worker.stop().await;
    }
    assert!(config.nodes.is_empty(), "all shared nodes were given back");
}
