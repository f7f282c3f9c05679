//! The chain and worker types against published encodings: hashes, layouts, keys.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Debug;

use codec::{Decode, DecodeAll, Encode};
use prb_core::{
    id::{AccountId, Hash, Height, WorkerKey},
    storage_key,
    types::{
        attestation::{
            AttestationProvider, AttestationReport, Collateral, SgxV30QuoteCollateral,
            VersionedWorkerEndpoints, WorkerEndpointPayload, WorkerRegistrationInfo,
            WorkerRegistrationInfoV2,
        },
        grandpa::{AuthoritySetChange, FinalityProof, Justification, ScheduledChange, precommit_payload},
        header::{DigestItem, GRANDPA_ENGINE, Header},
        message::{EgressMessages, Message, MessageOrigin, SignedMessage},
        sync::{BlockHeaderWithChanges, GenesisBlockInfo, HeaderToSync, StorageChanges, StorageState},
    },
};
use vectors::*;

// The one copy of the values; compiled in from the test kit's source so that these tests need no feature.
#[path = "../src/testkit/conform/worker/vectors.rs"]
#[allow(dead_code, unreachable_pub)]
mod vectors;

const EXTRINSICS_ROOT: &str = "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314";

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn hash(text: &str) -> Hash {
    text.parse().unwrap()
}

fn key() -> WorkerKey {
    WORKER_KEY.parse().unwrap()
}

/// Decodes all of a vector and checks that it encodes to the same bytes.
fn both_ways<T: Decode + Encode + Debug>(text: &str) -> T {
    let value = T::decode_all(&mut &unhex(text)[..]).unwrap();
    assert_eq!(hex::encode(value.encode()), text, "{value:?}");
    value
}

mod headers {
    use super::*;

    #[test]
    fn a_header_with_every_kind_of_item_decodes_and_hashes() {
        let header: Header = both_ways(T1_HEADER);
        assert_eq!(header.parent_hash, hash(RELAY_101));
        assert_eq!((header.number, header.height()), (102, Height(102)));
        assert_eq!(header.state_root, Hash([0x22; 32]));
        assert_eq!(header.extrinsics_root, hash(EXTRINSICS_ROOT));
        assert_eq!(header.digest.len(), 3);
        assert_eq!(header.digest[0], DigestItem::PreRuntime(*b"BABE", vec![1, 2, 3]));
        assert_eq!(header.digest[1], DigestItem::Consensus(GRANDPA_ENGINE, unhex(T1_LOG)));
        assert_eq!(header.digest[2], DigestItem::Seal(*b"BABE", vec![9; 64]));
        assert_eq!(header.hash(), hash(RELAY_102));
        assert_eq!(header.block_ref().hash, Hash::of(&unhex(T1_HEADER)));
    }

    #[test]
    fn a_scheduled_change_is_found_in_the_digest() {
        let header: Header = both_ways(T1_HEADER);
        let change = header.scheduled_change().unwrap();
        assert_eq!((change.next_authorities.len(), change.delay), (3, 0));
        assert!(change.next_authorities.iter().all(|(_, weight)| *weight == 1));
        assert_eq!(change.next_authorities[0].0[..4], unhex("6e7a1cdd"));
        assert_eq!(hex::encode(change.to_log()), T1_LOG);
        assert_eq!(ScheduledChange::from_log(&unhex(T1_LOG)), Some(change));
    }

    #[test]
    fn other_grandpa_logs_and_other_engines_are_no_scheduled_change() {
        let forced = [vec![2, 0, 0, 0, 0], unhex(T1_LOG)[1..].to_vec()].concat();
        let broken = unhex(T1_LOG)[..20].to_vec();
        let mut header = Header::numbered(Height(1));
        header.digest = vec![
            DigestItem::Consensus(GRANDPA_ENGINE, forced),
            DigestItem::Consensus(GRANDPA_ENGINE, broken),
            DigestItem::Consensus(GRANDPA_ENGINE, vec![]),
            DigestItem::Consensus(*b"BABE", unhex(T1_LOG)),
            DigestItem::PreRuntime(GRANDPA_ENGINE, unhex(T1_LOG)),
            DigestItem::RuntimeEnvironmentUpdated,
            DigestItem::Other(unhex(T1_LOG)),
        ];
        assert_eq!(header.scheduled_change(), None);
        header.digest.push(DigestItem::Consensus(GRANDPA_ENGINE, unhex(T1_LOG)));
        assert!(header.scheduled_change().is_some(), "what does not decode is skipped, not the end");
    }

    #[test]
    fn digest_items_have_their_indices() {
        let cases = [
            (DigestItem::Other(vec![1]), "000401"),
            (DigestItem::Consensus(*b"FRNK", vec![1]), "0446524e4b0401"),
            (DigestItem::Seal(*b"BABE", vec![1]), "05424142450401"),
            (DigestItem::PreRuntime(*b"BABE", vec![1]), "06424142450401"),
            (DigestItem::RuntimeEnvironmentUpdated, "08"),
        ];
        for (item, encoded) in cases {
            assert_eq!(both_ways::<DigestItem>(encoded), item);
        }
        assert!(DigestItem::decode_all(&mut &[1_u8][..]).is_err());
    }

    #[test]
    fn numbers_are_compact() {
        for (number, encoded) in
            [(0_u32, "00"), (102, "9901"), (8_325_312, "0223fc01"), (u32::MAX, "03ffffffff")]
        {
            let header = Header::numbered(Height(number)).encode();
            assert_eq!(header[32..header.len() - 65], unhex(encoded), "{number}");
        }
    }
}

mod grandpa {
    use super::*;

    #[test]
    fn genesis_block_info_decodes() {
        let genesis: GenesisBlockInfo = both_ways(T2_GENESIS);
        assert_eq!(genesis.block_header.hash(), hash(RELAY_100));
        assert_eq!(genesis.block_header.parent_hash, Hash([0xaa; 32]));
        assert_eq!((genesis.authority_set.id, genesis.authority_set.list.len()), (7, 4));
        assert_eq!(genesis.proof.len(), 4);
        assert_eq!(genesis.proof[0], genesis.authority_set.list.encode(), "the list is a node of its own");
        assert!(genesis.proof.iter().any(|node| Hash::of(node) == genesis.block_header.state_root));
    }

    #[test]
    fn the_first_batch_links_and_is_justified() {
        let batch: Vec<HeaderToSync> = both_ways(T3_HEADERS);
        assert_eq!(batch.len(), 2);
        assert_eq!(batch[0].header.parent_hash, hash(RELAY_100));
        assert_eq!(batch[0].header.hash(), hash(RELAY_101));
        assert_eq!(batch[0].justification, None);
        assert_eq!(hex::encode(batch[1].header.encode()), T1_HEADER);

        let justification: Justification = both_ways(&hex::encode(batch[1].justification.clone().unwrap()));
        assert_eq!(justification.round, 3);
        assert_eq!(justification.commit.target_hash, hash(RELAY_102));
        assert_eq!(justification.commit.target_number, 102);
        assert_eq!(justification.commit.precommits.len(), 3);
        assert!(justification.votes_ancestries.is_empty());
        for precommit in &justification.commit.precommits {
            assert_eq!(precommit.encoded_size(), 132);
            let signed = precommit_payload(precommit.target_hash, precommit.target_number, 3, 7);
            assert_eq!(hex::encode(signed), T3_SIGNED);
        }
    }

    #[test]
    fn the_second_batch_carries_an_ancestry() {
        let batch: Vec<HeaderToSync> = both_ways(T4_HEADERS);
        assert_eq!(batch.len(), 1);
        assert_eq!((batch[0].header.parent_hash, batch[0].header.hash()), (hash(RELAY_102), hash(RELAY_103)));
        let justification: Justification = both_ways(&hex::encode(batch[0].justification.clone().unwrap()));
        assert_eq!((justification.round, justification.votes_ancestries.len()), (1, 1));
        assert_eq!(justification.votes_ancestries[0].hash(), hash(RELAY_104));
        assert_eq!(justification.commit.precommits[2].target_hash, hash(RELAY_104));
        assert_eq!(justification.commit.precommits[2].target_number, 104);
    }

    #[test]
    fn the_signed_payload_of_a_live_height_has_its_layout() {
        let payload = precommit_payload(Hash([0xcc; 32]), 8_325_312, 42, 3228);
        let expected = format!("01{}c0087f002a000000000000009c0c000000000000", "cc".repeat(32));
        assert_eq!(hex::encode(payload), expected);
    }

    #[test]
    fn set_changes_and_finality_proofs_are_their_fields_in_order() {
        let genesis: GenesisBlockInfo = both_ways(T2_GENESIS);
        let change = AuthoritySetChange {
            authority_set: genesis.authority_set.clone(),
            authority_proof: genesis.proof.clone(),
        };
        let header = genesis.block_header.encode();
        assert_eq!(change.encode(), unhex(T2_GENESIS)[header.len()..], "the tail of the genesis info");

        let batch: Vec<HeaderToSync> = both_ways(T3_HEADERS);
        let justification = batch[1].justification.clone().unwrap();
        let proof = FinalityProof {
            block: hash(RELAY_102),
            justification: justification.clone(),
            unknown_headers: vec![batch[1].header.clone()],
        };
        let by_hand = [unhex(RELAY_102), justification.encode(), vec![4], unhex(T1_HEADER)].concat();
        assert_eq!(both_ways::<FinalityProof>(&hex::encode(by_hand)), proof);
    }
}

mod state {
    use super::*;

    #[test]
    fn para_headers_link_and_end_at_the_proven_head() {
        let headers: Vec<Header> = both_ways(T4_PARA_HEADERS);
        let hashes: Vec<_> = headers.iter().map(Header::hash).collect();
        assert_eq!(hashes, PARA_HASHES.map(hash));
        assert!(headers.windows(2).all(|pair| pair[1].parent_hash == pair[0].hash()));
        assert_eq!(headers[0].parent_hash, Hash::default());
        assert_eq!(
            headers[2].encode().encode(),
            unhex(T4_PROOF_3),
            "the stored value is the header as bytes"
        );
    }

    #[test]
    fn the_proofs_root_is_the_relay_state_root() {
        let batch: Vec<HeaderToSync> = both_ways(T4_HEADERS);
        assert_eq!(Hash::of(&unhex(T4_PROOF_2)), batch[0].header.state_root);
        let leaf = unhex(T4_PROOF_1);
        assert!(leaf.ends_with(&Hash::of(&unhex(T4_PROOF_3)).0), "the leaf names the value's node");
    }

    #[test]
    fn storage_state_decodes() {
        let state: StorageState = both_ways(T5_STATE);
        assert_eq!(state.len(), 3);
        assert_eq!(state[0], (storage_key::parachain_id(), 2035_u32.encode()));
        assert_eq!(
            state[1],
            (storage_key::plain("PhalaRegistry", "MinimumPRuntimeVersion"), (0_u32, 0_u32, 0_u32).encode())
        );
        assert_eq!(state[2], (b":code".to_vec(), (0..0x28).collect::<Vec<u8>>()));
    }

    #[test]
    fn storage_changes_decode() {
        let changes: StorageChanges = both_ways(T6_CHANGES_2);
        let outbound = storage_key::plain("PhalaMq", "OutboundMessages");
        assert_eq!(
            changes.main_storage_changes,
            [(outbound, None), (storage_key::timestamp_now(), Some(1_700_000_012_000_u64.encode()))]
        );
        assert!(changes.child_storage_changes.is_empty());
    }

    #[test]
    fn child_changes_are_by_trie_key() {
        let changes = StorageChanges {
            main_storage_changes: vec![],
            child_storage_changes: vec![(vec![7], vec![(vec![1], Some(vec![2])), (vec![3], None)])],
        };
        assert_eq!(both_ways::<StorageChanges>("00040407080401010402040300"), changes);
    }

    #[test]
    fn blocks_carry_numbered_headers() {
        let blocks: Vec<BlockHeaderWithChanges> = both_ways(T6_BLOCKS);
        assert_eq!(blocks.len(), 2);
        for (block, number) in blocks.iter().zip([1, 2]) {
            assert_eq!(block.block_header, Header::numbered(Height(number)));
        }
        assert_eq!(hex::encode(blocks[1].storage_changes.encode()), T6_CHANGES_2);
        let outbound = storage_key::plain("PhalaMq", "OutboundMessages");
        let (found, value) = &blocks[0].storage_changes.main_storage_changes[0];
        assert_eq!(*found, outbound);
        let messages = Vec::<Message>::decode_all(&mut &value.clone().unwrap()[..]).unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!(hex::encode(messages[0].encode()), T6_MESSAGE);
    }

    #[test]
    fn a_message_of_a_pallet_decodes() {
        let message: Message = both_ways(T6_MESSAGE);
        assert_eq!(message.sender, MessageOrigin::Pallet(b"PhalaRegistry".to_vec()));
        assert_eq!(message.destination, b"phala/system/event");
        // WorkerEvent (0) ‖ key ‖ Registered (0) ‖ confidence level 1.
        assert_eq!(message.payload, [&[0], &key().0[..], &[0, 1]].concat());
    }
}

mod workers {
    use super::*;

    #[test]
    fn registration_info_and_its_digest() {
        let info: WorkerRegistrationInfoV2 = both_ways(T7_REGISTRATION);
        assert_eq!(
            info,
            WorkerRegistrationInfoV2 {
                version: 2 << 16 | 2 << 8,
                machine_id: vec![],
                pubkey: key(),
                ecdh_pubkey: key().0,
                genesis_block_hash: hash(RELAY_100),
                features: vec![8, 2],
                operator: Some(AccountId([0x77; 32])),
                para_id: 2035,
                max_consensus_version: 0,
            }
        );
        assert_eq!(
            Hash::of(&unhex(T7_REGISTRATION)),
            hash("24afaf033225a30545bca5e9178cb12cc1aff86ac3f441768e519ab6e3409033")
        );
        let old = WorkerRegistrationInfo::decode(&mut &unhex(T7_REGISTRATION)[..]).unwrap();
        let encoded = old.encode();
        assert_eq!(
            encoded,
            unhex(T7_REGISTRATION)[..encoded.len()],
            "the old form is a prefix of the new one"
        );
        assert_eq!(encoded.len() + 8, unhex(T7_REGISTRATION).len());
    }

    #[test]
    fn attestation_types_have_their_indices() {
        assert_eq!(both_ways::<AttestationProvider>("00"), AttestationProvider::Root);
        assert_eq!(both_ways::<AttestationProvider>("01"), AttestationProvider::Ias);
        assert_eq!(both_ways::<AttestationProvider>("02"), AttestationProvider::Dcap);
        assert_eq!(both_ways::<Option<AttestationReport>>("00"), None);
        assert_eq!(
            both_ways::<Option<AttestationReport>>("0100040104020403"),
            Some(AttestationReport::SgxIas {
                ra_report: vec![1],
                signature: vec![2],
                raw_signing_cert: vec![3],
            })
        );
        assert_eq!(
            both_ways::<Option<AttestationReport>>("0101040100"),
            Some(AttestationReport::SgxDcap { quote: vec![1], collateral: None })
        );
        let letter = |letter: char| letter.to_string();
        assert_eq!(
            both_ways::<AttestationReport>("0104010100046104620463046404650401046604670402"),
            AttestationReport::SgxDcap {
                quote: vec![1],
                collateral: Some(Collateral::SgxV30(SgxV30QuoteCollateral {
                    pck_crl_issuer_chain: letter('a'),
                    root_ca_crl: letter('b'),
                    pck_crl: letter('c'),
                    tcb_info_issuer_chain: letter('d'),
                    tcb_info: letter('e'),
                    tcb_info_signature: vec![1],
                    qe_identity_issuer_chain: letter('f'),
                    qe_identity: letter('g'),
                    qe_identity_signature: vec![2],
                }))
            }
        );
    }

    #[test]
    fn egress_messages_decode() {
        let message: SignedMessage = both_ways(T8_MESSAGE);
        assert_eq!(message.message.sender, MessageOrigin::Worker(key()));
        assert_eq!(message.message.destination, b"^phala/registry/event");
        assert_eq!(message.sequence, 0);
        assert_eq!(message.signature.len(), 64);
        // BenchReport (0) ‖ start time ‖ iterations.
        assert_eq!(message.message.payload, (0_u8, 1_700_000_000_000_u64, 1234_u64).encode());
        assert_eq!(hex::encode((&message.message, message.sequence).encode()), T8_SIGNED);
        let groups: EgressMessages = both_ways(T8_EGRESS);
        assert_eq!(groups, [(MessageOrigin::Worker(key()), vec![message])]);
    }

    #[test]
    fn origins_have_their_indices() {
        let ones = "11".repeat(32);
        let cases = [
            (MessageOrigin::Pallet(vec![1]), "000401".to_owned()),
            (MessageOrigin::Contract(Hash([0x11; 32])), format!("01{ones}")),
            (MessageOrigin::Worker(WorkerKey([0x11; 32])), format!("02{ones}")),
            (MessageOrigin::AccountId(AccountId([0x11; 32])), format!("03{ones}")),
            (MessageOrigin::MultiLocation(vec![1]), "040401".to_owned()),
            (MessageOrigin::Gatekeeper, "05".to_owned()),
            (MessageOrigin::Cluster(Hash([0x11; 32])), format!("06{ones}")),
            (MessageOrigin::Reserved, "ff".to_owned()),
        ];
        for (origin, encoded) in cases {
            assert_eq!(both_ways::<MessageOrigin>(&encoded), origin);
        }
    }

    #[test]
    fn endpoint_payloads_decode() {
        let payload: WorkerEndpointPayload = both_ways(T9_PAYLOAD);
        assert_eq!(payload.pubkey, key());
        assert_eq!(
            payload.versioned_endpoints,
            VersionedWorkerEndpoints::V1(vec!["http://192.0.2.1:8000".into()])
        );
        assert_eq!(payload.signing_time, 1_700_000_012_000);
        assert_eq!(format!("ff02{T9_PAYLOAD}"), T9_SIGNED);
    }
}
