//! What the driver makes of a worker's replies.
#![allow(clippy::unwrap_used, missing_docs)]

use codec::{Compact, DecodeAll, Encode};
use prb_core::{
    Bytes,
    handover::Means,
    id::{Hash, Height, WorkerKey},
    port::worker::{Attestation, Gatekeeper, GatekeeperRole, MemoryUsage, WorkerInfo},
    testkit::conform::worker::vectors::*,
    types::message::{EgressMessages, MessageOrigin},
};
use prb_worker::{
    reply::{self, BadReply},
    request,
};

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// A length-delimited field.
fn field(tag: u32, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(value.as_ref().len() as u64, &mut out);
    out.extend_from_slice(value.as_ref());
    out
}

/// A number field.
fn number(tag: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::Varint, &mut out);
    prost::encoding::encode_varint(value, &mut out);
    out
}

#[test]
fn a_full_info_is_read() {
    let body = [
        number(1, 1),
        field(4, RELAY_100),
        field(5, "ff"),
        field(6, WORKER_KEY),
        number(7, 104),
        number(8, 3),
        number(9, 2),
        field(10, "00"),
        number(11, 1),
        number(12, 7),
        number(13, 1_234),
        field(14, [8, 0]),
        field(15, "2.2.0"),
        field(16, "abcdef"),
        field(18, []),
        number(21, 1),
        field(23, [number(1, 1), field(2, WORKER_KEY), number(5, 1)].concat()),
        number(24, 1),
        number(25, 2),
        number(26, 1_700_000_012_000),
        field(28, "none"),
        field(28, "dcap"),
        number(30, 10),
    ]
    .concat();
    assert_eq!(
        reply::info(&body).unwrap(),
        WorkerInfo {
            initialized: true,
            registered: true,
            genesis_block_hash: Some(RELAY_100.parse().unwrap()),
            public_key: Some(WORKER_KEY.parse().unwrap()),
            headernum: Height(104),
            para_headernum: Height(3),
            blocknum: Height(2),
            waiting_for_paraheaders: true,
            can_load_chain_state: true,
            pending_messages: 7,
            score: 1_234,
            dev_mode: true,
            version: "2.2.0".into(),
            git_revision: "abcdef".into(),
            safe_mode_level: 2,
            current_block_time: 1_700_000_012_000,
            supported_attestation_methods: vec!["none".into(), "dcap".into()],
            ecdh_public_key: WORKER_KEY.parse().ok().map(|key: WorkerKey| key.0),
            clusters: 1,
            query_timeout: 10,
            ..WorkerInfo::default()
        }
    );
}

#[test]
fn v3_f37_everything_a_worker_says_of_itself_is_read() {
    let gatekeeper = |role| [number(1, role), field(2, WORKER_KEY)].concat();
    let body = |role| {
        let system = [
            field(3, RELAY_100),
            field(4, gatekeeper(role)),
            number(5, 1),
            number(6, 12),
            number(7, 3),
            number(8, 4_000),
        ];
        [
            field(10, RELAY_100),
            field(14, gatekeeper(1)),
            field(18, [number(1, 10), number(2, 20), number(3, 30), number(4, 40), number(5, 50)].concat()),
            field(23, system.concat()),
            field(27, "1.2"),
            number(29, 6),
            number(30, 10),
            number(31, 99),
        ]
        .concat()
    };
    let key: WorkerKey = WORKER_KEY.parse().unwrap();
    let root: Hash = RELAY_100.parse().unwrap();
    for (number, role) in [
        (0, GatekeeperRole::None),
        (1, GatekeeperRole::Dummy),
        (2, GatekeeperRole::Active),
        (9, GatekeeperRole::None),
    ] {
        assert_eq!(
            reply::info(&body(number)).unwrap(),
            WorkerInfo {
                ecdh_public_key: Some(root.0),
                state_root: Some(root),
                gatekeeper: Gatekeeper { role, master_key: Some(key.0) },
                memory: MemoryUsage { used: 10, peak: 20, process_peak: 30, free: 40, spike: 50 },
                clusters: 1,
                contracts: 12,
                max_consensus_version: 3,
                genesis_block: Height(4_000),
                max_pink_runtime: "1.2".into(),
                live_sidevms: 6,
                query_timeout: 10,
                ..WorkerInfo::default()
            }
        );
    }
    let before_system = field(14, gatekeeper(2));
    assert_eq!(reply::info(&before_system).unwrap().gatekeeper.role, GatekeeperRole::Active);
}

#[test]
fn deprecated_fields_stand_in_where_there_is_no_system() {
    let body = [number(2, 1), field(5, format!("0x{WORKER_KEY}"))].concat();
    let info = reply::info(&body).unwrap();
    assert!(info.registered);
    assert_eq!(info.public_key, Some(WORKER_KEY.parse::<WorkerKey>().unwrap()));
    let body = [field(4, ""), field(5, ""), field(23, [])].concat();
    let info = reply::info(&body).unwrap();
    assert_eq!((info.public_key, info.genesis_block_hash), (None, None));
    assert_eq!(reply::info(&[]).unwrap(), WorkerInfo::default());
}

#[test]
fn keys_that_are_no_hex_are_named() {
    let error = reply::info(&field(5, "not hex")).unwrap_err();
    assert_eq!(error, BadReply::Hex { field: "public_key", text: "not hex".into() });
    let error = reply::info(&field(4, "ab".repeat(5_000))).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn bodies_that_are_no_messages_are_refused() {
    let garbage: &[u8] = &[0x0a, 0xff];
    assert!(matches!(reply::info(garbage), Err(BadReply::Protobuf(_))));
    assert!(matches!(reply::synced_to(garbage), Err(BadReply::Protobuf(_))));
    assert!(matches!(reply::runtime_info(Bytes::from_static(garbage)), Err(BadReply::Protobuf(_))));
    assert_eq!(reply::error_message(garbage), None);
    assert_eq!(
        reply::error_message(&unhex("0a13426c6f636b4e756d6265724d69736d61746368")).as_deref(),
        Some("BlockNumberMismatch")
    );
}

fn runtime(attestation: Option<Vec<u8>>) -> Bytes {
    let mut body = [
        field(1, unhex(T7_REGISTRATION)),
        field(2, unhex(RELAY_100)),
        field(3, unhex(WORKER_KEY)),
        field(4, unhex(WORKER_KEY)),
    ]
    .concat();
    body.extend(attestation.map(|value| field(5, value)).unwrap_or_default());
    body.into()
}

#[test]
fn registration_info_keeps_its_exact_bytes() {
    let info = reply::runtime_info(runtime(None)).unwrap();
    assert_eq!(info.encoded_runtime_info, unhex(T7_REGISTRATION));
    assert_eq!(info.genesis_block_hash, RELAY_100.parse().unwrap());
    assert_eq!(info.public_key, WORKER_KEY.parse().unwrap());
    assert_eq!(info.attestation, None);
}

#[test]
fn attestation_is_read_in_its_new_and_its_old_form() {
    let new = [number(1, 1), field(2, "\"dcap\""), number(4, 1_700_000_000), field(5, [1, 1, 0, 0])].concat();
    let info = reply::runtime_info(runtime(Some(new))).unwrap();
    assert_eq!(info.attestation, Some(Attestation::Report(Bytes::from_static(&[1, 1, 0, 0]))));

    let payload = [field(1, "{}"), field(2, [2]), field(3, [3])].concat();
    let old = [number(1, 1), field(2, "SGX"), field(3, payload), number(4, 1)].concat();
    let info = reply::runtime_info(runtime(Some(old))).unwrap();
    assert_eq!(
        info.attestation,
        Some(Attestation::Legacy {
            report: "{}".into(),
            signature: Bytes::from_static(&[2]),
            signing_cert: Bytes::from_static(&[3]),
        })
    );
    assert_eq!(reply::runtime_info(runtime(Some(number(1, 1)))), Err(BadReply::Missing("encoded_report")));
}

#[test]
fn runtime_info_without_keys_or_content_is_refused() {
    assert_eq!(reply::runtime_info(Bytes::new()), Err(BadReply::Missing("encoded_runtime_info")));
    let body = [field(1, [1]), field(2, [0; 31])].concat();
    assert_eq!(
        reply::runtime_info(body.into()),
        Err(BadReply::Size { field: "encoded_genesis_block_hash", expected: 32, found: 31 })
    );
}

#[test]
fn egress_messages_are_decoded_whole() {
    let expected = EgressMessages::decode_all(&mut &unhex(T8_EGRESS)[..]).unwrap();
    let body = Bytes::from(field(1, unhex(T8_EGRESS)));
    assert_eq!(reply::egress_messages(body, 4096).unwrap(), expected);
    let groups = vec![(MessageOrigin::Gatekeeper, vec![])];
    assert_eq!(reply::egress_messages(field(1, groups.encode()).into(), 4096).unwrap(), groups);

    let trailing = [unhex(T8_EGRESS), vec![0]].concat();
    assert!(matches!(reply::egress_messages(field(1, trailing).into(), 4096), Err(BadReply::Scale { .. })));
    assert_eq!(reply::egress_messages(Bytes::new(), 4096), Err(BadReply::Missing("encoded_messages")));
}

#[test]
fn few_bytes_cannot_become_much_memory() {
    // Groups of two bytes each, and a count that promises four billion.
    let groups = [Compact(1_000_000_u32).encode(), [5, 0].repeat(1_000_000)].concat();
    assert_eq!(
        reply::egress_messages(field(1, groups).into(), 2_000_000),
        Err(BadReply::TooMany { budget: 2_000_000 })
    );
    let promise = Compact(u32::MAX).encode();
    assert!(matches!(reply::egress_messages(field(1, promise).into(), 4096), Err(BadReply::Scale { .. })));
}

#[test]
fn signed_endpoints_need_payload_and_signature() {
    let both = [field(1, unhex(T9_PAYLOAD)), field(2, unhex(T9_SIGNATURE))].concat();
    let signed = reply::signed_endpoints(both.into()).unwrap();
    assert_eq!(signed.payload, unhex(T9_PAYLOAD));
    assert_eq!(signed.signature[..], unhex(T9_SIGNATURE)[..]);
    assert_eq!(reply::signed_endpoints(field(1, [1]).into()), Err(BadReply::Missing("signature")));
    assert_eq!(
        reply::signed_endpoints([field(1, [1]), field(2, [0; 63])].concat().into()),
        Err(BadReply::Size { field: "signature", expected: 64, found: 63 })
    );
}

#[test]
fn counters_are_read() {
    assert_eq!(reply::synced_to(&unhex("0866")), Ok(Some(Height(102))));
    assert_eq!(reply::synced_to(&[]), Ok(Some(Height(0))));
    assert_eq!(reply::headers_synced_to(&unhex("08671002")), Ok((Some(Height(103)), Some(Height(2)))));
    assert_eq!(reply::checkpoint(&unhex("0802")), Ok(Height(2)));
}

#[test]
fn v3_f89_what_one_worker_says_for_the_other_is_passed_on_as_it_came() {
    let handler = [7; 90];
    // An attestation with a field that is not known here.
    let attestation =
        [number(1, 1), field(2, "\"dcap\""), field(5, [1, 2, 3]), number(4, 99), field(77, "new")].concat();
    for means in [Means::Ias, Means::Dcap] {
        let body: Bytes = [field(1, handler), field(2, &attestation)].concat().into();
        let response = reply::challenge_response(means, body.clone()).unwrap();
        assert_eq!((response.means, &response.encoded[..]), (means, &handler[..]));
        assert_eq!(request::handover(response.encoded, response.evidence).parts().concat(), body);
        let key = reply::sealed_key(means, body.clone()).unwrap();
        assert_eq!(request::handover(key.encoded, key.evidence).parts().concat(), body);
        // Development workers attest nothing.
        let bare: Bytes = field(1, handler).into();
        let response = reply::challenge_response(means, bare.clone()).unwrap();
        assert_eq!(response.evidence, None);
        assert_eq!(request::handover(response.encoded, None).parts().concat(), bare);
        let challenge = reply::challenge(means, bare.clone()).unwrap();
        assert_eq!(request::handover(challenge.encoded, None).parts().concat(), bare);
    }
}

#[test]
fn v3_f89_an_answer_without_what_it_is_for_is_none() {
    let evidence: Bytes = field(2, "report").into();
    let challenge = reply::challenge(Means::Ias, Bytes::new());
    assert_eq!(challenge.unwrap_err(), BadReply::Missing("encoded_challenge"));
    let response = reply::challenge_response(Means::Ias, evidence.clone());
    assert_eq!(response.unwrap_err(), BadReply::Missing("encoded_challenge_handler"));
    assert_eq!(
        reply::sealed_key(Means::Dcap, evidence).unwrap_err(),
        BadReply::Missing("encoded_worker_key")
    );
    assert!(matches!(
        reply::sealed_key(Means::Dcap, field(1, [])[..1].to_vec().into()),
        Err(BadReply::Protobuf(_))
    ));
}
