//! Request bodies are the naive encoding byte for byte, made of the caller's memory.
#![allow(clippy::unwrap_used, missing_docs)]

use codec::{DecodeAll, Encode};
use prb_core::{
    Bytes,
    id::{AccountId, Height},
    port::worker::{BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest},
    testkit::conform::worker::vectors::*,
    types::{
        attestation::AttestationProvider,
        grandpa::{AuthoritySet, AuthoritySetChange},
        header::{DigestItem, Header},
        sync::{BlockHeaderWithChanges, HeaderToSync, StorageChanges},
    },
};
use prb_worker::request::{self, Body};
use proptest::{collection::vec, option, prelude::*};
use prost::Message;

fn joined(body: &Body) -> Vec<u8> {
    let bytes = body.parts().concat();
    assert_eq!(bytes.len() as u64, body.len());
    assert!(body.parts().iter().all(|part| !part.is_empty()));
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// Whether `part` travels as the very memory it was handed in.
fn travels(body: &Body, part: &Bytes) -> bool {
    body.parts().iter().any(|sent| sent.as_ptr() == part.as_ptr() && sent.len() == part.len())
}

fn relay(items: &[HeaderToSync]) -> HeadersRequest {
    HeadersRequest {
        headers: items.iter().map(|item| item.header.encode().into()).collect(),
        justification: items.last().and_then(|item| item.justification.clone()).unwrap_or_default().into(),
        set_change: None,
    }
}

#[test]
fn framing_samples_are_reproduced() {
    assert!(joined(&request::empty()).is_empty());
    assert!(request::empty().is_empty());
    let operator = AccountId([0x77; 32]);
    assert_eq!(
        joined(&request::runtime_info(true, Some(operator))),
        [unhex("08011220"), vec![0x77; 32]].concat()
    );
    assert!(joined(&request::runtime_info(false, None)).is_empty());
    assert_eq!(joined(&request::stop(true)), unhex("0801"));
    assert!(joined(&request::stop(false)).is_empty());

    let init = joined(&request::init(InitRequest {
        genesis_info: unhex(T2_GENESIS).into(),
        genesis_state: unhex(T5_STATE).into(),
        operator: None,
        is_parachain: true,
        attestation_provider: None,
        debug_key: Some(unhex(WORKER_SEED)[..].try_into().unwrap()),
    }));
    let by_hand = [
        &unhex("12fb04")[..],
        &unhex(T2_GENESIS),
        &unhex("1a20"),
        &unhex(WORKER_SEED),
        &unhex("228401"),
        &unhex(T5_STATE),
        &unhex("3001"),
    ]
    .concat();
    assert_eq!(init, by_hand);

    let batch = Vec::<HeaderToSync>::decode_all(&mut &unhex(T3_HEADERS)[..]).unwrap();
    assert_eq!(joined(&request::headers(relay(&batch))), [unhex("0ada06"), unhex(T3_HEADERS)].concat());
}

#[test]
fn vectors_are_framed_from_their_items() {
    let batch = Vec::<HeaderToSync>::decode_all(&mut &unhex(T4_HEADERS)[..]).unwrap();
    let para = Vec::<Header>::decode_all(&mut &unhex(T4_PARA_HEADERS)[..]).unwrap();
    let proof = [T4_PROOF_1, T4_PROOF_2, T4_PROOF_3].map(unhex);
    let combined = request::combined(
        relay(&batch),
        ParaHeadersRequest {
            headers: para.iter().map(|header| header.encode().into()).collect(),
            proof: proof.iter().cloned().map(Bytes::from).collect(),
        },
    );
    let naive = naive::Combined {
        encoded_relaychain_headers: unhex(T4_HEADERS),
        authority_set_change: None,
        encoded_parachain_headers: unhex(T4_PARA_HEADERS),
        proof: proof.to_vec(),
    };
    assert_eq!(joined(&combined), naive.encode_to_vec());

    let blocks = Vec::<BlockHeaderWithChanges>::decode_all(&mut &unhex(T6_BLOCKS)[..]).unwrap();
    let items = blocks.iter().map(|block| BlockItem {
        header: block.block_header.encode().into(),
        changes: block.storage_changes.encode().into(),
    });
    let naive = naive::Blocks { encoded_blocks: unhex(T6_BLOCKS) };
    assert_eq!(joined(&request::blocks(items.collect())), naive.encode_to_vec());
}

#[test]
fn endpoints_are_a_list_of_strings() {
    let endpoints = vec!["http://192.0.2.1:8000".to_owned(), String::new()];
    let naive = naive::Bytes1 { value: endpoints.encode() };
    assert_eq!(joined(&request::endpoints(&endpoints)), naive.encode_to_vec());
}

#[test]
fn blobs_travel_as_the_memory_they_came_in() {
    let part = |byte: u8| Bytes::from(vec![byte; 100_000]);
    let (a, b, c, d) = (part(1), part(2), part(3), part(4));
    let relay = HeadersRequest {
        headers: vec![a.clone(), b.clone()],
        justification: c.clone(),
        set_change: Some(d.clone()),
    };
    let body = request::headers(relay.clone());
    assert!([&a, &b, &c, &d].into_iter().all(|part| travels(&body, part)));

    let (e, f) = (part(5), part(6));
    let para = ParaHeadersRequest { headers: vec![e.clone()], proof: vec![f.clone()] };
    let body = request::para_headers(para.clone());
    assert!(travels(&body, &e) && travels(&body, &f));
    let body = request::combined(relay, para);
    assert!([&a, &b, &c, &d, &e, &f].into_iter().all(|part| travels(&body, part)));

    let body = request::blocks(vec![BlockItem { header: a.clone(), changes: b.clone() }]);
    assert!(travels(&body, &a) && travels(&body, &b));
    assert!(travels(&request::chain_state(Height(1), a.clone()), &a));
    let body = request::init(InitRequest {
        genesis_info: a.clone(),
        genesis_state: b.clone(),
        operator: None,
        is_parachain: false,
        attestation_provider: None,
        debug_key: None,
    });
    assert!(travels(&body, &a) && travels(&body, &b));
}

#[test]
fn a_body_for_many_workers_holds_its_blobs_once() {
    let blob = Bytes::from(vec![9; 1 << 20]);
    let items = vec![BlockItem { header: Bytes::from_static(b"h"), changes: blob.clone() }];
    let bodies: Vec<_> = (0..500).map(|_| request::blocks(items.clone())).collect();
    assert!(bodies.iter().all(|body| travels(body, &blob)));
    let own: usize = bodies
        .iter()
        .flat_map(Body::parts)
        .filter(|part| part.as_ptr() != blob.as_ptr())
        .map(Bytes::len)
        .sum();
    assert!(own < 500 * 16, "framing of 500 bodies takes {own} bytes");
}

fn header() -> impl Strategy<Value = Header> {
    (any::<[u8; 32]>(), any::<u32>(), any::<[u8; 32]>(), vec(vec(any::<u8>(), 0..80), 0..3)).prop_map(
        |(hash, number, root, logs)| Header {
            parent_hash: hash.into(),
            number,
            state_root: root.into(),
            extrinsics_root: hash.into(),
            digest: logs.into_iter().map(|log| DigestItem::PreRuntime(*b"BABE", log)).collect(),
        },
    )
}

/// Lengths around the places where compact and varint lengths grow.
fn blob() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..70), (0_usize..20_000).prop_map(|len| vec![0xab; len])]
}

fn set_change() -> impl Strategy<Value = AuthoritySetChange> {
    (vec((any::<[u8; 32]>(), any::<u64>()), 0..4), any::<u64>(), vec(blob(), 0..3)).prop_map(
        |(list, id, authority_proof)| AuthoritySetChange {
            authority_set: AuthoritySet { list, id },
            authority_proof,
        },
    )
}

/// A relay batch: the request and its naive parts.
fn relay_batch() -> impl Strategy<Value = (HeadersRequest, Vec<u8>, Option<Vec<u8>>)> {
    (vec(header(), 0..70), blob(), option::of(set_change())).prop_map(|(headers, justification, change)| {
        let last = headers.len().saturating_sub(1);
        let naive: Vec<_> = headers
            .iter()
            .enumerate()
            .map(|(at, header)| HeaderToSync {
                header: header.clone(),
                justification: (at == last).then(|| justification.clone()),
            })
            .collect();
        let change = change.map(|change| change.encode());
        let request = HeadersRequest {
            headers: headers.iter().map(|header| header.encode().into()).collect(),
            justification: justification.into(),
            set_change: change.clone().map(Bytes::from),
        };
        (request, naive.encode(), change)
    })
}

fn para_batch() -> impl Strategy<Value = (ParaHeadersRequest, Vec<u8>, Vec<Vec<u8>>)> {
    (vec(header(), 0..70), vec(blob(), 0..5)).prop_map(|(headers, proof)| {
        let request = ParaHeadersRequest {
            headers: headers.iter().map(|header| header.encode().into()).collect(),
            proof: proof.iter().cloned().map(Bytes::from).collect(),
        };
        (request, headers.encode(), proof)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn relay_headers_equal_the_naive_encoding((request, encoded_headers, change) in relay_batch()) {
        let naive = naive::Headers { encoded_headers, encoded_authority_set_change: change };
        prop_assert_eq!(joined(&request::headers(request)), naive.encode_to_vec());
    }

    #[test]
    fn para_headers_equal_the_naive_encoding((request, encoded_headers, proof) in para_batch()) {
        let naive = naive::ParaHeaders { encoded_headers, proof };
        prop_assert_eq!(joined(&request::para_headers(request)), naive.encode_to_vec());
    }

    #[test]
    fn combined_headers_equal_the_naive_encoding(
        (relay, encoded_relaychain_headers, authority_set_change) in relay_batch(),
        (para, encoded_parachain_headers, proof) in para_batch(),
    ) {
        let naive = naive::Combined {
            encoded_relaychain_headers, authority_set_change, encoded_parachain_headers, proof,
        };
        prop_assert_eq!(joined(&request::combined(relay, para)), naive.encode_to_vec());
    }

    #[test]
    fn blocks_equal_the_naive_encoding(
        blocks in vec((header(), vec((blob(), option::of(blob())), 0..4)), 0..10),
    ) {
        let blocks: Vec<_> = blocks
            .into_iter()
            .map(|(block_header, changes)| BlockHeaderWithChanges {
                block_header,
                storage_changes: StorageChanges {
                    main_storage_changes: changes,
                    child_storage_changes: Vec::new(),
                },
            })
            .collect();
        let items = blocks.iter().map(|block| BlockItem {
            header: block.block_header.encode().into(),
            changes: block.storage_changes.encode().into(),
        });
        let naive = naive::Blocks { encoded_blocks: blocks.encode() };
        prop_assert_eq!(joined(&request::blocks(items.collect())), naive.encode_to_vec());
    }

    #[test]
    fn init_equals_the_naive_encoding(
        info in blob(), state in blob(), operator in option::of(any::<[u8; 32]>()), is_parachain: bool,
        provider in option::of(prop_oneof![
            Just(AttestationProvider::Root), Just(AttestationProvider::Ias), Just(AttestationProvider::Dcap)
        ]),
        debug_key in option::of(any::<[u8; 32]>()),
    ) {
        let naive = naive::Init {
            skip_ra: false,
            encoded_genesis_info: info.clone(),
            debug_set_key: debug_key.map(Vec::from),
            encoded_genesis_state: state.clone(),
            encoded_operator: operator.map(Vec::from),
            is_parachain,
            attestation_provider: provider.map(|provider| provider.encode()),
        };
        let request = InitRequest {
            genesis_info: info.into(),
            genesis_state: state.into(),
            operator: operator.map(AccountId),
            is_parachain,
            attestation_provider: provider,
            debug_key,
        };
        prop_assert_eq!(joined(&request::init(request)), naive.encode_to_vec());
    }

    #[test]
    fn chain_states_equal_the_naive_encoding(block_number: u32, state in blob()) {
        let naive = naive::ChainState { block_number, encoded_state: state.clone() };
        prop_assert_eq!(joined(&request::chain_state(Height(block_number), state.into())), naive.encode_to_vec());
    }
}

/// The messages as the schema has them, encoded by prost.
mod naive {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Headers {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) encoded_headers: Vec<u8>,
        #[prost(bytes = "vec", optional, tag = "2")]
        pub(super) encoded_authority_set_change: Option<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ParaHeaders {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) encoded_headers: Vec<u8>,
        #[prost(bytes = "vec", repeated, tag = "2")]
        pub(super) proof: Vec<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Combined {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) encoded_relaychain_headers: Vec<u8>,
        #[prost(bytes = "vec", optional, tag = "2")]
        pub(super) authority_set_change: Option<Vec<u8>>,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) encoded_parachain_headers: Vec<u8>,
        #[prost(bytes = "vec", repeated, tag = "4")]
        pub(super) proof: Vec<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Blocks {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) encoded_blocks: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Init {
        #[prost(bool, tag = "1")]
        pub(super) skip_ra: bool,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) encoded_genesis_info: Vec<u8>,
        #[prost(bytes = "vec", optional, tag = "3")]
        pub(super) debug_set_key: Option<Vec<u8>>,
        #[prost(bytes = "vec", tag = "4")]
        pub(super) encoded_genesis_state: Vec<u8>,
        #[prost(bytes = "vec", optional, tag = "5")]
        pub(super) encoded_operator: Option<Vec<u8>>,
        #[prost(bool, tag = "6")]
        pub(super) is_parachain: bool,
        #[prost(bytes = "vec", optional, tag = "7")]
        pub(super) attestation_provider: Option<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ChainState {
        #[prost(uint32, tag = "1")]
        pub(super) block_number: u32,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) encoded_state: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Bytes1 {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) value: Vec<u8>,
    }
}
