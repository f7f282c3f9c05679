//! Registration info and attestation.

use codec::Decode;
use prb_core::attestation::{PckCa, PlatformKind, lacks};
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{AttestationMode, Error, WorkerConfig};
use sp_core::{Pair, sr25519};
use sp_crypto_hashing::blake2_256;

use crate::solo::*;
use crate::worker_support::*;

fn runtime_info(worker: &mut Worker, request: &pb::GetRuntimeInfoRequest) -> pb::InitRuntimeResponse {
    worker.call("GetRuntimeInfo", request).unwrap()
}

#[test]
fn there_is_no_attestation_before_the_first_block() {
    let mut worker = Worker::at_para_2();
    let request = pb::GetRuntimeInfoRequest::default();
    assert!(runtime_info(&mut worker, &request).attestation.is_none());
    worker.dispatch(&blocks()[..1]).unwrap();
    let attestation = runtime_info(&mut worker, &request).attestation.unwrap();
    assert_eq!(attestation.encoded_report, [0]);
    assert_eq!(attestation.provider, "null");
    assert_eq!((attestation.version, attestation.payload), (1, None));
}

#[test]
fn an_ias_attestation_commits_to_the_registration_info_and_is_signed_by_the_worker() {
    let config = WorkerConfig { attestation: AttestationMode::Ias, measurement: vec![4; 4], ..seeded() };
    assert_eq!(Worker::new(config.clone()).0.info().supported_attestation_methods, ["none", "epid"]);
    let mut solo = Solo::start(config, Some(AttestationProvider::Ias));
    let reply = runtime_info(&mut solo.worker, &pb::GetRuntimeInfoRequest::default());
    let attestation = reply.attestation.unwrap();
    assert_eq!(attestation.provider, "\"ias\"");
    let report = Option::<AttestationReport>::decode(&mut &attestation.encoded_report[..]).unwrap();
    let Some(AttestationReport::SgxIas { ra_report, signature, raw_signing_cert }) = report else { panic!() };
    assert_eq!(ra_report, blake2_256(&reply.encoded_runtime_info));
    assert_eq!(raw_signing_cert, [4; 4]);
    let signature = sr25519::Signature::try_from(&signature[..]).unwrap();
    assert!(sr25519::Pair::verify(&signature, &ra_report, &sr25519::Public::from_raw(solo.pubkey())));
}

#[test]
fn a_dcap_attestation_has_no_collateral() {
    let config = WorkerConfig { attestation: AttestationMode::Dcap, measurement: vec![4; 2], ..seeded() };
    let mut solo = Solo::start(config, Some(AttestationProvider::Dcap));
    let reply = runtime_info(&mut solo.worker, &pb::GetRuntimeInfoRequest::default());
    let report = reply.attestation.unwrap().encoded_report;
    let encoded = report.clone();
    let report = Option::<AttestationReport>::decode(&mut &report[..]).unwrap();
    let Some(AttestationReport::SgxDcap { quote, collateral: None }) = report else { panic!() };
    let digest = blake2_256(&reply.encoded_runtime_info);
    assert_eq!((&quote[..2], &quote[368..400]), (&[3, 0][..], &digest[..]));
    let signature = sr25519::Signature::try_from(&quote[436..500]).unwrap();
    assert!(sr25519::Pair::verify(&signature, digest, &sr25519::Public::from_raw(solo.pubkey())));
    assert_eq!(quote[1012..1018], [2, 0, 4, 4, 5, 0], "measurement, and that certificates follow");
    let kind = PlatformKind { fmspc: [0x00, 0x90, 0x6e, 0xa1, 0x00, 0x00], ca: PckCa::Processor };
    assert_eq!(lacks(&encoded), Ok(Some(kind)), "as the bridge reads it");
}

#[test]
fn an_operator_replaces_the_former_one_and_is_kept() {
    let mut worker = Worker::done();
    let request = pb::GetRuntimeInfoRequest { encoded_operator: Some(vec![9; 32]), ..Default::default() };
    let operator = |reply: pb::InitRuntimeResponse| {
        WorkerRegistrationInfoV2::decode(&mut &reply.encoded_runtime_info[..]).unwrap().operator
    };
    assert_eq!(operator(runtime_info(&mut worker, &request)), Some([9; 32]));
    let keep = pb::GetRuntimeInfoRequest::default();
    assert_eq!(operator(runtime_info(&mut worker, &keep)), Some([9; 32]));
    let short = pb::GetRuntimeInfoRequest { encoded_operator: Some(vec![9; 31]), ..Default::default() };
    let result = worker.call::<pb::InitRuntimeResponse>("GetRuntimeInfo", &short);
    assert!(matches!(result, Err(Error::Decode(_))));
}

#[test]
fn an_attestation_is_cached_for_an_hour_unless_refreshed() {
    let mut worker = Worker::done();
    let get = |worker: &mut Worker, force_refresh_ra, now| {
        worker.0.set_time(now);
        let request = pb::GetRuntimeInfoRequest { force_refresh_ra, ..Default::default() };
        runtime_info(worker, &request).attestation.unwrap().timestamp
    };
    let start = 1_800_000_000;
    assert_eq!(get(&mut worker, false, start), start);
    assert_eq!(get(&mut worker, false, start + 3600), start);
    assert_eq!(get(&mut worker, false, start + 3601), start + 3601);
    assert_eq!(get(&mut worker, true, start + 3602), start + 3602);
}
