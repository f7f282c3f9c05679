//! Call and payload vectors against real Khala metadata (spec 1251).
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use codec::{Decode, Encode};
use prb_chain::{
    calls::{self, CallError, Runtime, Terms, extrinsic},
    keys::Signer,
};
use prb_core::{
    id::{AccountId, Hash, Height, PoolId, WorkerKey},
    tx::{Call, Mortality, Period},
    types::{
        attestation::{VersionedWorkerEndpoints, WorkerEndpointPayload, WorkerRegistrationInfoV2},
        message::{Message, MessageOrigin, SignedMessage},
    },
};
use scale_info::{TypeDef, TypeDefPrimitive};
use std::path::PathBuf;
use subxt::{
    Metadata,
    ext::frame_metadata::{
        RuntimeMetadata, RuntimeMetadataPrefixed,
        v14::{RuntimeMetadataV14, SignedExtensionMetadata},
    },
};

const WORKER: WorkerKey = WorkerKey([0x11; 32]);
const POOL: PoolId = PoolId(1);

/// Bytes of Khala's metadata, none (said aloud) where the data folder is missing.
fn bytes() -> Option<Vec<u8>> {
    let folder = std::env::var_os("PRB_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = folder.join("khala-metadata.scale");
    std::fs::read(&path)
        .inspect_err(|error| {
            eprintln!("SKIPPED: {} is not readable ({error}); set PRB_TEST_DATA", path.display())
        })
        .ok()
}

fn khala() -> Option<Metadata> {
    Some(Metadata::decode(&mut &bytes()?[..]).unwrap())
}

/// Khala's metadata after `change`.
fn changed(change: impl FnOnce(&mut RuntimeMetadataV14)) -> Option<Metadata> {
    let RuntimeMetadata::V14(mut v14) = RuntimeMetadataPrefixed::decode(&mut &bytes()?[..]).unwrap().1 else {
        panic!("the file holds version 14")
    };
    change(&mut v14);
    Some(Metadata::from_v14(v14).unwrap())
}

fn hexed(call: &Call, metadata: &Metadata) -> String {
    hex::encode(calls::encode(call, metadata).unwrap())
}

fn ones(n: usize) -> String {
    "11".repeat(n)
}

#[test]
fn stake_pool_calls_encode_as_the_vectors_say() {
    let Some(khala) = khala() else { return };
    let pid = "0100000000000000";
    let add = Call::AddWorker { pool: POOL, worker: WORKER };
    let start = Call::StartComputing { pool: POOL, worker: WORKER, stake: 1500 * 10u128.pow(12) };
    let stop = Call::StopComputing { pool: POOL, worker: WORKER };
    let reclaim = Call::ReclaimWorker { pool: POOL, worker: WORKER };
    assert_eq!(hexed(&add, &khala), format!("5d01{pid}{}", ones(32)));
    assert_eq!(hexed(&start, &khala), format!("5d0d{pid}{}00c029f73d5405000000000000000000", ones(32)));
    assert_eq!(hexed(&stop, &khala), format!("5d0e{pid}{}", ones(32)));
    assert_eq!(hexed(&reclaim, &khala), format!("5d0f{pid}{}", ones(32)));
    let remove = Call::RemoveWorker { pool: POOL, worker: WORKER };
    assert_eq!(hexed(&remove, &khala), format!("5d02{pid}{}", ones(32)));
    let restart = Call::RestartComputing { pool: POOL, worker: WORKER, stake: 1 };
    assert_eq!(hexed(&restart, &khala), format!("5d11{pid}{}01{}", ones(32), "00".repeat(15)));
    assert_eq!(hexed(&Call::CheckWithdraw { pool: POOL }, &khala), format!("5d08{pid}"));
    let unbind = Call::Unbind { session: AccountId([0x11; 32]) };
    assert_eq!(hexed(&unbind, &khala), format!("5701{}", ones(32)));
}

#[test]
fn batches_and_proxied_batches_encode_as_the_vectors_say() {
    let Some(khala) = khala() else { return };
    let items: Vec<Vec<u8>> =
        [Call::AddWorker { pool: POOL, worker: WORKER }, Call::StopComputing { pool: POOL, worker: WORKER }]
            .iter()
            .map(|call| calls::encode(call, &khala).unwrap())
            .collect();
    let batch = calls::force_batch(&items, &khala).unwrap();
    let one = ones(32);
    assert_eq!(hex::encode(&batch), format!("0304085d010100000000000000{one}5d0e0100000000000000{one}"));
    let proxied = calls::proxy(&AccountId([0x22; 32]), batch.clone(), &khala).unwrap();
    assert_eq!(hex::encode(proxied), format!("050000{}00{}", "22".repeat(32), hex::encode(batch)));
}

#[test]
fn messages_endpoints_and_registrations_encode_as_the_vectors_say() {
    let Some(khala) = khala() else { return };
    let message = Call::SyncMessage(SignedMessage {
        message: Message {
            sender: MessageOrigin::Worker(WORKER),
            destination: b"phala/mining/report".to_vec(),
            payload: vec![1, 2],
        },
        sequence: 7,
        signature: vec![0xaa; 64],
    });
    assert_eq!(
        hexed(&message, &khala),
        format!(
            "550002{}4c7068616c612f6d696e696e672f7265706f727408010207000000000000000101{}",
            ones(32),
            "aa".repeat(64)
        )
    );
    let endpoint = Call::UpdateEndpoint {
        worker: WORKER,
        payload: WorkerEndpointPayload {
            pubkey: WORKER,
            versioned_endpoints: VersionedWorkerEndpoints::V1(vec!["http://a.b".into()]),
            signing_time: 1_700_000_000_000,
        }
        .encode(),
        signature: vec![0xaa; 64],
    };
    assert_eq!(
        hexed(&endpoint, &khala),
        format!("5608{}000428687474703a2f2f612e620068e5cf8b0100000101{}", ones(32), "aa".repeat(64))
    );
    assert_eq!(
        hexed(&registration(vec![0]), &khala),
        format!(
            "5607020000000401{0}{0}{1}08040000000100000001{2}d40700000100000000",
            ones(32),
            "33".repeat(32),
            "22".repeat(32)
        )
    );
}

fn registration(attestation: Vec<u8>) -> Call {
    let info = WorkerRegistrationInfoV2 {
        version: 2,
        machine_id: vec![1],
        pubkey: WORKER,
        ecdh_pubkey: WORKER.0,
        genesis_block_hash: Hash([0x33; 32]),
        features: vec![4, 1],
        operator: Some(AccountId([0x22; 32])),
        para_id: 2004,
        max_consensus_version: 1,
    };
    Call::RegisterWorkerV2 { worker: WORKER, runtime_info: info.encode(), attestation }
}

#[test]
fn evidence_that_the_runtime_does_not_know_is_refused_by_name() {
    let Some(khala) = khala() else { return };
    // Some(SgxDcap { quote: [], collateral: None }), which spec 1251 does not have.
    let error = calls::encode(&registration(vec![1, 1, 0, 0]), &khala).unwrap_err();
    assert!(
        matches!(error, CallError::Argument { call: "register_worker_v2", argument: "attestation", .. }),
        "{error}"
    );
    let trailing = calls::encode(&registration(vec![0, 9]), &khala).unwrap_err();
    assert!(trailing.to_string().contains("1 bytes too many"), "{trailing}");
}

fn terms() -> Terms {
    Terms {
        nonce: 5,
        mortality: Mortality::at(Height(101), Period::new(4).unwrap()),
        birth_hash: Hash([0xbb; 32]),
        genesis: Hash([0xaa; 32]),
        tip: 0,
    }
}

#[test]
fn the_signing_payload_is_the_vector() {
    let Some(metadata) = khala() else { return };
    let call = calls::encode(&Call::StopComputing { pool: POOL, worker: WORKER }, &metadata).unwrap();
    let runtime = Runtime { metadata: metadata.into(), spec_version: 1251, transaction_version: 6 };
    let payload = extrinsic::signing_payload(&call, &runtime, &terms()).unwrap();
    assert_eq!(payload.len(), 118);
    assert_eq!(
        hex::encode(payload),
        format!("{}11001400e304000006000000{}{}", hex::encode(&call), "aa".repeat(32), "bb".repeat(32))
    );
}

#[test]
fn a_metadata_hash_extension_adds_its_bytes() {
    let Some(metadata) = with_extension("CheckMetadataHash") else { return };
    let call = calls::encode(&Call::StopComputing { pool: POOL, worker: WORKER }, &metadata).unwrap();
    let runtime = Runtime { metadata: metadata.into(), spec_version: 1290, transaction_version: 6 };
    let payload = extrinsic::signing_payload(&call, &runtime, &terms()).unwrap();
    assert_eq!(payload.len(), 120);
    assert_eq!(
        hex::encode(payload),
        format!("{}11001400000a05000006000000{}{}00", hex::encode(&call), "aa".repeat(32), "bb".repeat(32))
    );
}

#[test]
fn an_unknown_extension_with_content_is_refused() {
    let Some(metadata) = with_extension("CheckTheWeather") else { return };
    let runtime = Runtime { metadata: metadata.into(), spec_version: 1290, transaction_version: 6 };
    assert_eq!(
        extrinsic::signing_payload(&[0, 0], &runtime, &terms()),
        Err(CallError::Extension("CheckTheWeather".into()))
    );
}

/// Khala's metadata with a tenth extension: `u8` extra, `Option<[u8; 32]>` additional.
fn with_extension(identifier: &str) -> Option<Metadata> {
    changed(|v14| {
        let types = &v14.types.types;
        let is_hash = |id: u32| {
            let ty = &types[id as usize].ty;
            ty.path.segments.last().is_some_and(|name| name == "H256" || name == "AccountId32")
                || matches!(&ty.type_def, TypeDef::Array(array) if array.len == 32)
        };
        let byte = types.iter().find(|ty| matches!(ty.ty.type_def, TypeDef::Primitive(TypeDefPrimitive::U8)));
        let option = types.iter().find(|ty| {
            ty.ty.path.segments.last().is_some_and(|name| name == "Option")
                && ty.ty.type_params.iter().any(|param| param.ty.is_some_and(|inner| is_hash(inner.id)))
        });
        let (extra, additional) = (byte.unwrap().id, option.unwrap().id);
        v14.extrinsic.signed_extensions.push(SignedExtensionMetadata {
            identifier: identifier.into(),
            ty: extra.into(),
            additional_signed: additional.into(),
        });
    })
}

#[test]
fn the_extrinsic_has_the_layout_of_version_four() {
    let Some(metadata) = khala() else { return };
    let call = calls::encode(&Call::StopComputing { pool: POOL, worker: WORKER }, &metadata).unwrap();
    let runtime = Runtime { metadata: metadata.into(), spec_version: 1251, transaction_version: 6 };
    let signer = Signer::from_uri("//Alice").unwrap();
    let signed = extrinsic::sign(&call, &signer, &runtime, &terms()).unwrap();

    assert_eq!(signed.bytes.len(), 147);
    assert_eq!(signed.bytes[..4], [0x45, 0x02, 0x84, 0x00]);
    assert_eq!(signed.bytes[4..36], signer.account().0);
    assert_eq!(signed.bytes[36], 1);
    assert_eq!(hex::encode(&signed.bytes[101..105]), "11001400");
    assert_eq!(signed.bytes[105..], call);
    assert_eq!(signed.hash, Hash::of(&signed.bytes));

    let payload = extrinsic::signing_payload(&call, &runtime, &terms()).unwrap();
    assert!(verifies(&signer, &payload, &signed.bytes[37..101]));
}

#[test]
fn a_long_payload_is_signed_by_its_hash() {
    let Some(metadata) = khala() else { return };
    let stop = calls::encode(&Call::StopComputing { pool: POOL, worker: WORKER }, &metadata).unwrap();
    let batch = calls::force_batch(&vec![stop; 10], &metadata).unwrap();
    let runtime = Runtime { metadata: metadata.into(), spec_version: 1251, transaction_version: 6 };
    let signer = Signer::from_uri("//Alice").unwrap();
    let signed = extrinsic::sign(&batch, &signer, &runtime, &terms()).unwrap();
    let payload = extrinsic::signing_payload(&batch, &runtime, &terms()).unwrap();
    assert!(payload.len() > 256);
    assert!(verifies(&signer, &Hash::of(&payload).0, &signed.bytes[37..101]));
}

fn verifies(signer: &Signer, message: &[u8], signature: &[u8]) -> bool {
    let signature = subxt_signer::sr25519::Signature(signature.try_into().unwrap());
    subxt_signer::sr25519::verify(&signature, message, &subxt_signer::sr25519::PublicKey(signer.account().0))
}

#[test]
fn a_runtime_without_the_call_is_named() {
    let renamed = changed(|v14| {
        v14.pallets.iter_mut().filter(|p| p.name == "PhalaMq").for_each(|p| p.name = "Mq".into());
    });
    let Some(renamed) = renamed else { return };
    let call = Call::SyncMessage(SignedMessage {
        message: Message { sender: MessageOrigin::Gatekeeper, destination: vec![], payload: vec![] },
        sequence: 0,
        signature: vec![],
    });
    assert_eq!(
        calls::encode(&call, &renamed),
        Err(CallError::Missing { pallet: "PhalaMq", call: "sync_offchain_message" })
    );
}

#[test]
fn a_call_with_other_arguments_is_refused() {
    let renamed = changed(|v14| {
        let call = |ty: &&mut scale_info::PortableType| {
            ty.ty.path.segments.join("::").ends_with("stake_pool_v2::pallet::Call")
        };
        let ty = v14.types.types.iter_mut().find(call).unwrap();
        let TypeDef::Variant(variants) = &mut ty.ty.type_def else { panic!("calls are an enum") };
        let stop = variants.variants.iter_mut().find(|v| v.name == "stop_computing").unwrap();
        stop.fields[1].name = Some("session".into());
    });
    let Some(renamed) = renamed else { return };
    let error = calls::encode(&Call::StopComputing { pool: POOL, worker: WORKER }, &renamed).unwrap_err();
    assert!(error.to_string().contains("takes (pid, session), prb knows (pid, worker)"), "{error}");
}
