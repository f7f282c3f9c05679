//! Light workers behind one listener: the counters, refusals and messages of a worker, and what was measured.
#![allow(clippy::unwrap_used, missing_docs)]

mod worker_support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prb_devnet::worker::scale::WorkerRegistrationInfoV2;
use prb_devnet::worker::{Fleet, FleetConfig, pb};
use prb_worker::{Options, PrpcDriver};
use prost::Message;
use worker_support::vectors::*;
use worker_support::*;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

async fn fleet(workers: usize) -> Fleet {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    Fleet::start(FleetConfig { workers, ..FleetConfig::default() }, any_port).await.unwrap()
}

/// A call on a connection of its own. An error means that no answer came.
async fn call(
    fleet: &Fleet,
    worker: usize,
    method: &str,
    body: Vec<u8>,
) -> hyper::Result<(StatusCode, Bytes)> {
    let url = fleet.url(worker);
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("/{path}/prpc/PhactoryAPI.{method}")).header("host", host);
    let (head, body) =
        sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok((head.status, body))
}

async fn ok<R: Message + Default>(fleet: &Fleet, worker: usize, method: &str, request: &impl Message) -> R {
    let (status, body) = call(fleet, worker, method, request.encode_to_vec()).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{method}: {body:?}");
    R::decode(body).unwrap()
}

async fn refused(fleet: &Fleet, worker: usize, method: &str, request: &impl Message) -> String {
    let (status, body) = call(fleet, worker, method, request.encode_to_vec()).await.unwrap();
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method}");
    pb::PrpcError::decode(body).unwrap().message
}

fn headers(text: &str) -> pb::HeadersToSync {
    pb::HeadersToSync { encoded_headers: unhex(text), encoded_authority_set_change: None }
}

fn para() -> pb::ParaHeadersToSync {
    pb::ParaHeadersToSync { encoded_headers: unhex(T4_PARA), proof: para_proof() }
}

fn blocks() -> pb::Blocks {
    pb::Blocks { encoded_blocks: unhex(T6_BLOCKS) }
}

fn counters(fleet: &Fleet, worker: usize) -> (u32, u32, u32) {
    let info = fleet.info(worker);
    (info.headernum, info.para_headernum, info.blocknum)
}

/// The expected run of the protocol's test vectors.
async fn feed(fleet: &Fleet, worker: usize) {
    let request = pb::InitRuntimeRequest { debug_set_key: None, ..init_request() };
    let _: pb::InitRuntimeResponse = ok(fleet, worker, "InitRuntime", &request).await;
    let synced: pb::SyncedTo = ok(fleet, worker, "SyncHeader", &headers(T3_HEADERS)).await;
    assert_eq!(synced.synced_to, 102);
    let synced: pb::SyncedTo = ok(fleet, worker, "SyncHeader", &headers(T4_HEADERS)).await;
    assert_eq!(synced.synced_to, 103);
    let synced: pb::SyncedTo = ok(fleet, worker, "SyncParaHeader", &para()).await;
    assert_eq!(synced.synced_to, 2);
    let synced: pb::SyncedTo = ok(fleet, worker, "DispatchBlocks", &blocks()).await;
    assert_eq!(synced.synced_to, 2);
    assert_eq!(counters(fleet, worker), (104, 3, 3));
}

#[tokio::test]
async fn light_workers_go_through_the_expected_run_each_with_a_key_of_its_own() {
    let fleet = fleet(3).await;
    for worker in 0..3 {
        assert_eq!(counters(&fleet, worker), (0, 0, 0));
        feed(&fleet, worker).await;
        let info = fleet.info(worker);
        assert_eq!(info.current_block_time, 1_700_000_012_000);
        let registration: pb::InitRuntimeResponse =
            ok(&fleet, worker, "GetRuntimeInfo", &pb::GetRuntimeInfoRequest::default()).await;
        let read: WorkerRegistrationInfoV2 = decode(&hex::encode(registration.encoded_runtime_info));
        assert_eq!(info.public_key, Some(hex::encode(read.pubkey)));
        assert!(registration.attestation.is_some());
        assert_eq!(fleet.account(worker).requests, 6);
    }
    let keys: std::collections::BTreeSet<_> = (0..3).map(|worker| fleet.info(worker).public_key).collect();
    assert_eq!(keys.len(), 3);
    fleet.stop().await;
}

#[tokio::test]
async fn a_light_worker_refuses_gaps_and_what_comes_too_early_and_takes_repetitions() {
    let fleet = fleet(1).await;
    assert_eq!(refused(&fleet, 0, "SyncHeader", &headers(T3_HEADERS)).await, "Runtime not initialized");
    let request = pb::InitRuntimeRequest { debug_set_key: None, ..init_request() };
    let _: pb::InitRuntimeResponse = ok(&fleet, 0, "InitRuntime", &request).await;
    assert_eq!(refused(&fleet, 0, "InitRuntime", &request).await, "Runtime already initialized");
    assert_eq!(refused(&fleet, 0, "SyncHeader", &headers(T4_HEADERS)).await, "BlockNumberMismatch");
    assert_eq!(refused(&fleet, 0, "SyncParaHeader", &para()).await, "RelaychainHeaderNotSynced");
    for _ in 0..2 {
        let _: pb::SyncedTo = ok(&fleet, 0, "SyncHeader", &headers(T3_HEADERS)).await;
        assert_eq!(counters(&fleet, 0).0, 103);
    }
    assert_eq!(refused(&fleet, 0, "DispatchBlocks", &blocks()).await, "NoStateRoot");
    fleet.stop().await;
}

#[tokio::test]
async fn workers_leave_come_back_lose_their_state_and_keep_their_key() {
    let fleet = fleet(2).await;
    feed(&fleet, 0).await;
    let key = fleet.info(0).public_key;
    fleet.leave(0..1);
    assert!(call(&fleet, 0, "GetInfo", Vec::new()).await.is_err());
    let _: pb::PhactoryInfo = ok(&fleet, 1, "GetInfo", &pb::Empty {}).await;
    fleet.come_back(0..1);
    let info: pb::PhactoryInfo = ok(&fleet, 0, "GetInfo", &pb::Empty {}).await;
    assert_eq!((info.public_key, info.blocknum), (key.clone(), 3));
    fleet.lose_state(0..1);
    assert_eq!(counters(&fleet, 0), (0, 0, 0));
    feed(&fleet, 0).await;
    assert_eq!(fleet.info(0).public_key, key);
    fleet.stop().await;
}

#[tokio::test]
async fn time_and_bytes_are_accounted_for() {
    let fleet = fleet(1).await;
    let begun = Instant::now();
    fleet.set_work(0, Duration::from_millis(20));
    feed(&fleet, 0).await;
    let account = fleet.account(0);
    let sent = [headers(T3_HEADERS).encoded_len(), headers(T4_HEADERS).encoded_len(), para().encoded_len()];
    assert!(account.bytes_in > sent.iter().sum::<usize>() as u64);
    let feeding = account.feeding.unwrap();
    assert_eq!(feeding.blocks, 2);
    assert!(feeding.worked >= Duration::from_millis(40) && feeding.worked <= feeding.ended - feeding.began);
    let arrived = account.arrived(102).unwrap();
    assert!(arrived >= begun && arrived <= account.arrived(103).unwrap());
    assert!(account.arrived(104).is_none());
    fleet.stop().await;
}

#[tokio::test]
async fn who_is_asked_for_is_a_matter_of_the_path() {
    let fleet = fleet(1).await;
    let (status, _) = call(&fleet, 1, "GetInfo", Vec::new()).await.unwrap();
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = call(&fleet, 0, "NoSuchMethod", Vec::new()).await.unwrap();
    assert_eq!(status, StatusCode::NOT_FOUND);
    // The bridge's own driver takes such addresses.
    assert!(PrpcDriver::new(&fleet.url(0), Options::default()).is_ok());
    fleet.stop().await;
}
