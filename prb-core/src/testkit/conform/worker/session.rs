//! A worker that is led as it should be, and one that is not.

use super::{Bench, vectors::*};
use crate::{
    id::{Hash, Height, WorkerKey},
    port::worker::{
        Attestation, BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest, Refusal, WorkerDriver,
        WorkerError, WorkerInfo,
    },
    types::{
        attestation::{VersionedWorkerEndpoints, WorkerEndpointPayload, WorkerRegistrationInfoV2},
        header::Header,
        message::MessageOrigin,
        sync::{BlockHeaderWithChanges, HeaderToSync},
    },
};
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};

const H: fn(u32) -> Height = Height;

pub(super) async fn a_fresh_worker_is_described(bench: &impl Bench) {
    let driver = bench.driver();
    let info = driver.info().await.expect("GetInfo of a fresh worker answers");
    assert!(!info.initialized && !info.registered, "a fresh worker is neither initialised nor registered");
    assert_eq!(
        (info.headernum, info.para_headernum, info.blocknum),
        (H(0), H(0), H(0)),
        "counters before init are 0"
    );
    assert_eq!((info.public_key, info.genesis_block_hash), (None, None), "it has no key and no genesis yet");
    assert!(info.can_load_chain_state, "a fresh worker would take a chain state");
    assert!(!info.needs_set_change(), "the bench's worker is of version 2.2.0");
    assert_eq!(driver.egress_messages().await, Ok(Vec::new()), "it has nothing to say");
    refused(driver.runtime_info(false, None).await, Refusal::NotInitialized);
    refused(driver.take_checkpoint().await, Refusal::NotInitialized);
    refused(driver.dispatch(blocks()).await, Refusal::NotInitialized);
}

pub(super) async fn a_worker_is_led_from_init_to_registration(bench: &impl Bench) {
    let driver = bench.driver();
    let runtime = driver.init(init()).await.expect("InitRuntime with the worker's seed succeeds");
    assert_eq!(runtime.genesis_block_hash, hash(RELAY_100), "the start header's hash is answered");
    assert_eq!(runtime.public_key, key(), "the key of the seed is answered");
    assert_eq!(runtime.attestation, None, "no attestation before the first block");
    let registration = WorkerRegistrationInfoV2::decode(&mut &runtime.encoded_runtime_info[..])
        .expect("registration info is SCALE");
    assert_eq!((registration.pubkey, registration.para_id), (key(), 2035));

    let info = counters(&*driver, 101, 0, 1).await;
    assert!(info.initialized && info.dev_mode && !info.registered);
    assert_eq!((info.public_key, info.genesis_block_hash), (Some(key()), Some(hash(RELAY_100))));

    assert_eq!(driver.sync_headers(headers(T3_HEADERS)).await, Ok(Some(H(102))));
    assert_eq!(driver.sync_headers(headers(T3_HEADERS)).await, Ok(Some(H(102))), "known headers are skipped");
    let info = counters(&*driver, 103, 0, 1).await;
    assert!(info.waiting_for_paraheaders && !info.can_load_chain_state);

    assert_eq!(
        driver.sync_combined(headers(T4_HEADERS), para_headers()).await,
        Ok((Some(H(103)), Some(H(2)))),
        "a combined call answers both positions"
    );
    assert!(!counters(&*driver, 104, 3, 1).await.waiting_for_paraheaders);

    assert_eq!(driver.dispatch(blocks()).await, Ok(Some(H(2))));
    let info = counters(&*driver, 104, 3, 3).await;
    assert!(info.registered, "the worker has seen its registration");
    assert_eq!(info.current_block_time, 1_700_000_012_000);
    assert_eq!(info.pending_messages, 1, "the benchmark's report waits");

    let egress = driver.egress_messages().await.expect("GetEgressMessages answers");
    let mine: Vec<_> = egress.iter().filter(|(_, messages)| !messages.is_empty()).collect();
    assert_eq!(mine.len(), 1, "one sender has messages");
    assert_eq!(mine[0].0, MessageOrigin::Worker(key()));
    assert_eq!((mine[0].1.len(), mine[0].1[0].sequence), (1, 0), "its sequence starts at 0");
    assert_eq!(mine[0].1[0].signature.len(), 64);

    let operator = crate::id::AccountId([0x77; 32]);
    let runtime = driver.runtime_info(true, Some(operator)).await.expect("GetRuntimeInfo answers");
    assert_eq!(
        runtime.attestation,
        Some(Attestation::Report(Bytes::from_static(&[0]))),
        "without provider the report is an encoded none"
    );
    let registration = WorkerRegistrationInfoV2::decode(&mut &runtime.encoded_runtime_info[..])
        .expect("registration info is SCALE");
    assert_eq!(registration.operator, Some(operator), "the operator of the call is taken");

    let endpoint = "http://192.0.2.1:8000".to_owned();
    let signed = driver.sign_endpoints(vec![endpoint.clone()]).await.expect("SignEndpointInfo answers");
    let payload = WorkerEndpointPayload::decode_all(&mut &signed.payload[..]).expect("the payload is SCALE");
    assert_eq!(payload.pubkey, key());
    assert_eq!(payload.versioned_endpoints, VersionedWorkerEndpoints::V1(vec![endpoint]));

    assert_eq!(driver.take_checkpoint().await, Ok(H(2)), "the checkpoint holds block 2");
}

pub(super) async fn refusals_of_a_session_are_told_by_kind(bench: &impl Bench) {
    let driver = bench.driver();
    driver.init(init()).await.expect("InitRuntime succeeds");
    refused(driver.init(init()).await, Refusal::OutOfStep);
    refused(driver.sync_headers(headers(T4_HEADERS)).await, Refusal::OutOfStep);
    let mut broken = headers(T3_HEADERS);
    broken.justification = broken.justification.slice(..broken.justification.len() - 1);
    refused(driver.sync_headers(broken).await, Refusal::BadData);
    counters(&*driver, 101, 0, 1).await;

    refused(driver.sync_para_headers(para_headers()).await, Refusal::OutOfStep);
    driver.sync_headers(headers(T3_HEADERS)).await.expect("the first batch is accepted");
    refused(driver.dispatch(blocks()).await, Refusal::OutOfStep);
    refused(driver.sync_para_headers(para_headers()).await, Refusal::BadData);
    driver.sync_headers(headers(T4_HEADERS)).await.expect("the second batch is accepted");
    let mut short = para_headers();
    short.headers.pop();
    refused(driver.sync_para_headers(short).await, Refusal::BadData);
    driver.sync_para_headers(para_headers()).await.expect("the proven headers are accepted");
    let mut wrong = blocks();
    wrong[0].changes = wrong[1].changes.clone();
    refused(driver.dispatch(wrong).await, Refusal::BadData);
    driver.dispatch(blocks()).await.expect("the right changes are accepted");
}

pub(super) async fn nothing_accepted_is_none(bench: &impl Bench) {
    let driver = bench.driver();
    driver.init(init()).await.expect("InitRuntime succeeds");
    let nothing = ParaHeadersRequest { headers: Vec::new(), proof: Vec::new() };
    assert_eq!(
        driver.sync_para_headers(nothing.clone()).await,
        Ok(None),
        "no parachain header was accepted yet"
    );
    assert_eq!(
        driver.sync_combined(headers(T3_HEADERS), nothing).await,
        Ok((Some(H(102)), None)),
        "relay progress is told although the parachain has none"
    );
    assert_eq!(driver.dispatch(Vec::new()).await, Ok(Some(H(0))), "block 0 is the state given at init");
}

pub(super) async fn a_chain_state_is_loaded(bench: &impl Bench) {
    let driver = bench.driver();
    refused(driver.load_chain_state(H(5), unhex(T5_STATE)).await, Refusal::NotInitialized);
    driver.init(init()).await.expect("InitRuntime succeeds");
    refused(driver.load_chain_state(H(0), unhex(T5_STATE)).await, Refusal::BadData);
    driver.load_chain_state(H(5), unhex(T5_STATE)).await.expect("a fresh worker takes a state");
    counters(&*driver, 101, 5, 6).await;
    refused(driver.load_chain_state(H(5), unhex(T5_STATE)).await, Refusal::OutOfStep);
}

/// What `InitRuntime` gets in the vectors.
pub(super) fn init() -> InitRequest {
    InitRequest {
        genesis_info: unhex(T2_GENESIS),
        genesis_state: unhex(T5_STATE),
        operator: None,
        is_parachain: true,
        attestation_provider: None,
        debug_key: Some(unhex(WORKER_SEED)[..].try_into().expect("the seed has 32 bytes")),
    }
}

/// A relay batch of the vectors, taken apart.
pub(super) fn headers(vector: &str) -> HeadersRequest {
    let mut items = Vec::<HeaderToSync>::decode_all(&mut &unhex(vector)[..]).expect("the vector decodes");
    let justification = items.last_mut().and_then(|last| last.justification.take());
    HeadersRequest {
        headers: items.iter().map(|item| item.header.encode().into()).collect(),
        justification: justification.expect("the last header is justified").into(),
        set_change: None,
    }
}

fn para_headers() -> ParaHeadersRequest {
    let headers = Vec::<Header>::decode_all(&mut &unhex(T4_PARA_HEADERS)[..]).expect("the vector decodes");
    ParaHeadersRequest {
        headers: headers.iter().map(|header| header.encode().into()).collect(),
        proof: [T4_PROOF_1, T4_PROOF_2, T4_PROOF_3].map(unhex).into(),
    }
}

fn blocks() -> Vec<BlockItem> {
    Vec::<BlockHeaderWithChanges>::decode_all(&mut &unhex(T6_BLOCKS)[..])
        .expect("the vector decodes")
        .into_iter()
        .map(|block| BlockItem {
            header: block.block_header.encode().into(),
            changes: block.storage_changes.encode().into(),
        })
        .collect()
}

async fn counters(driver: &dyn WorkerDriver, headers: u32, para_headers: u32, blocks: u32) -> WorkerInfo {
    let info = driver.info().await.expect("GetInfo answers");
    assert_eq!(
        (info.headernum, info.para_headernum, info.blocknum),
        (H(headers), H(para_headers), H(blocks)),
        "next header, parachain header and block"
    );
    info
}

fn refused<T: std::fmt::Debug>(answer: Result<T, WorkerError>, kind: Refusal) {
    match answer {
        Err(WorkerError::Refused { refusal, .. }) if refusal == kind => {}
        other => panic!("a refusal of kind {kind:?} is due, not {other:?}"),
    }
}

fn unhex(text: &str) -> Bytes {
    hex::decode(text).expect("vectors are hex").into()
}

fn hash(text: &str) -> Hash {
    text.parse().expect("vectors are hex")
}

fn key() -> WorkerKey {
    WORKER_KEY.parse().expect("vectors are hex")
}
