//! The protocol's test vectors T1 to T11 against the dev worker, with every negative variant.
#![allow(clippy::unwrap_used, missing_docs)]

mod worker_support;

use codec::{Decode, Encode};
use prb_devnet::worker::light::justification::{Justification, vote_message};
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prost::Message as _;
use sp_core::{H256, Pair, U256, sr25519};
use sp_crypto_hashing::blake2_256;
use sp_runtime::generic::DigestItem;
use worker_support::vectors::*;
use worker_support::*;

const PK: &str = "3a3d45dc55b57bf542f4c6ff41af080ec675317f4ed50ae1d2713bf9f892692d";

fn verifies(signature: &[u8], message: &[u8]) -> bool {
    let signature = sr25519::Signature::try_from(signature).unwrap();
    sr25519::Pair::verify(&signature, message, &sr25519::Public::from_raw(decode(PK)))
}

#[test]
fn the_dev_seed_gives_the_documented_identity() {
    let worker = Worker::init();
    let info = worker.0.info();
    assert_eq!(info.public_key.as_deref(), Some(PK));
    assert_eq!(info.ecdh_public_key.as_deref(), Some(PK));
    assert!(info.dev_mode);
    assert_eq!(
        hex::encode(blake2_256(&unhex(PK))),
        "d088091ea80d7a808632aa4edb43a3bd5a195253d9f13554a03e8264fd0ee740"
    );
    let origin = MessageOrigin::Worker(decode(PK)).encode();
    assert_eq!(hex::encode(origin), format!("02{PK}"));
}

#[test]
fn the_expanded_secret_gives_the_same_identity_as_its_seed() {
    let secret = "1e4dfc9e79d85d1cc4c0ab23f966ba89cab178d31ce9515d2b3cc76f0c9f430a\
                  bc545075d7ce4333786a73bd01715a14bc541d837cb8a819f6207986ad5d053a";
    let mut worker = Worker::fresh();
    let request = pb::InitRuntimeRequest { debug_set_key: Some(unhex(secret)), ..init_request() };
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).unwrap();
    assert_eq!(worker.0.info().public_key.as_deref(), Some(PK));
}

#[test]
fn t1_header_with_a_scheduled_change_decodes_and_hashes() {
    let header: Header = decode(T1_HEADER);
    assert_eq!(header.number, 102);
    assert_eq!(header.encode(), unhex(T1_HEADER));
    assert_eq!(header.digest.logs.len(), 3);
    assert_eq!(header.digest.logs[1], DigestItem::Consensus(*b"FRNK", unhex(T1_LOG)));
    let ConsensusLog::ScheduledChange { next_authorities, delay } = decode(T1_LOG) else { panic!() };
    let expected: Vec<_> = [5, 6, 7].map(|n| (authority(n).public().0, 1)).to_vec();
    assert_eq!((next_authorities, delay), (expected, 0));

    let hash = |text| decode::<H256>(text);
    let t3 = t3();
    assert_eq!(
        genesis_info().block_header.hash(),
        hash("4914c8f94eb8a69d499c1c2799874590b2376cf12f099b14fad435275cf1d5c9")
    );
    assert_eq!(t3[0].header.hash(), hash("dae3a30b643af3f111ec72c2607e2f76709987282a9e14399a0672305eba88eb"));
    assert_eq!(t3[1].header.hash(), hash("435ccb5dcd6ab3762fbcf56a3e36f485ec9bd964757c2960a6769d83b8cda462"));
    assert_eq!(t3[1].header, header);
    assert_eq!(
        t4()[0].header.hash(),
        hash("94531b2fcb2b6b7ca00b3125589ec9cbdb7d91e7d9a1468e1cdf9e2322de28fb")
    );
    assert_eq!(header_104().hash(), hash("44fc27f114c78736dc870b002a318ba8d64a4227f24c6db8ac1a93596d0b73d1"));
    let para = para_headers();
    assert_eq!(para[0].hash(), hash("5d856da286b6ae0c7ae4dfa3ae510b277f584a82c53623b86567040d0dab3d0f"));
    assert_eq!(para[1].hash(), hash("261938ba49833dfb62e11405a312430aae27125bbf49be29754edce2819f52e5"));
    assert_eq!(para[2].hash(), hash("39a76b84bcde858ea114fd5fc19624b2b2ccde41c76bb0e7ca82cfa773ebc95c"));
}

#[test]
fn t2_genesis_info_decodes_to_the_documented_set() {
    let info = genesis_info();
    assert_eq!(info.encode(), unhex(T2_GENESIS));
    assert_eq!(info.block_header.number, 100);
    assert_eq!(info.authority_set.id, 7);
    let expected: Vec<_> = [1, 2, 3, 4].map(|n| (authority(n).public().0, 1)).to_vec();
    assert_eq!(info.authority_set.list, expected);
    assert_eq!(info.proof.len(), 4);
}

#[test]
fn t3_and_t4_justifications_decode_and_their_votes_are_over_the_documented_bytes() {
    let headers = t3();
    assert!(headers[0].justification.is_none());
    let bytes = headers[1].justification.clone().unwrap();
    let justification = Justification::decode(&mut &bytes[..]).unwrap();
    assert_eq!(justification.encode(), bytes);
    assert_eq!(justification.round, 3);
    assert_eq!(justification.commit.precommits.len(), 3);
    assert_eq!(hex::encode(vote_message(headers[1].header.hash(), 102, 3, 7)), T3_SIGNED);

    let bytes = t4()[0].justification.clone().unwrap();
    let justification = Justification::decode(&mut &bytes[..]).unwrap();
    assert_eq!(justification.encode(), bytes);
    assert_eq!(justification.votes_ancestries.len(), 1);
}

#[test]
fn t5_state_and_t6_blocks_give_the_documented_roots() {
    let mut worker = Worker::at_para_2();
    let root = |worker: &Worker| worker.0.info().state_root;
    assert_eq!(root(&worker), "a56217f8aa36a5e277bc0c0d87a1a30f44172c9f3316054c797635ee17f8fec0");
    assert_eq!(worker.dispatch(&blocks()[..1]), Ok(1));
    assert_eq!(root(&worker), "785255aef2c1c45e8c6b8a9e750c11781aeb6ddf22b82a55add8d6572223f3fc");
    assert_eq!(worker.dispatch(&blocks()[1..]), Ok(2));
    assert_eq!(root(&worker), "773e4b64436d66879ed127f644e2b27f526c3fdd67b84d96c84b938b27fb5898");
}

#[test]
fn t6_changes_and_messages_have_the_documented_bytes() {
    let blocks = blocks();
    assert_eq!(blocks.encode(), unhex(T6_BLOCKS));
    assert_eq!(blocks[1].storage_changes.encode(), unhex(T6_CHANGES_2));
    let message: Message = decode(T6_MESSAGE);
    assert_eq!(message.sender, MessageOrigin::Pallet(b"PhalaRegistry".to_vec()));
    let event = SystemEvent::decode(&mut &message.payload[..]).unwrap();
    let expected = WorkerEvent::Registered { confidence_level: 1 };
    assert_eq!(event, SystemEvent::WorkerEvent { pubkey: decode(PK), event: expected });
}

#[test]
fn t7_registration_info_has_the_documented_bytes_and_digest() {
    let config = prb_devnet::worker::WorkerConfig { features: [8, 2], ..Default::default() };
    let mut worker = Worker::new(config);
    let request = pb::InitRuntimeRequest { encoded_operator: Some(vec![0x77; 32]), ..init_request() };
    let reply: pb::InitRuntimeResponse = worker.call("InitRuntime", &request).unwrap();
    assert_eq!(hex::encode(&reply.encoded_runtime_info), T7_REGISTRATION);
    assert_eq!(
        hex::encode(blake2_256(&reply.encoded_runtime_info)),
        "24afaf033225a30545bca5e9178cb12cc1aff86ac3f441768e519ab6e3409033"
    );
}

#[test]
fn t8_a_benchmark_report_is_queued_in_the_documented_form() {
    let mut worker = Worker::done();
    let reply: pb::GetEgressMessagesResponse = worker.call("GetEgressMessages", &pb::Empty {}).unwrap();
    let groups =
        Vec::<(MessageOrigin, Vec<SignedMessage>)>::decode(&mut &reply.encoded_messages[..]).unwrap();
    let [(MessageOrigin::Worker(pk), messages)] = &groups[..] else { panic!("{groups:?}") };
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(hex::encode(pk), PK);
    let sample: SignedMessage = decode(T8_MESSAGE);
    assert_eq!(message.message.destination, sample.message.destination);
    assert_eq!(message.sequence, 0);
    // 12 seconds of chain time at a score of 800 per 6 seconds.
    let report = RegistryEvent::BenchReport { start_time: 1_700_000_000_000, iterations: 1600 };
    assert_eq!(message.message.payload, report.encode());
    assert!(verifies(&message.signature, &(&message.message, message.sequence).encode()));

    assert_eq!((&sample.message, sample.sequence).encode(), unhex(T8_SIGNED));
    assert!(verifies(&sample.signature, &unhex(T8_SIGNED)));
    let group = vec![(MessageOrigin::Worker(decode(PK)), vec![sample])];
    assert_eq!(group.encode(), unhex(T8_EGRESS));
}

#[test]
fn t8_heartbeat_payloads_have_the_documented_bytes() {
    let heartbeat = WorkingReportEvent::HeartbeatV2 {
        session_id: 5,
        challenge_block: 2,
        challenge_time: 1_700_000_012_000,
        iterations: 42,
        n_clusters: 0,
        n_contracts: 0,
    };
    let expected = "010500000002000000e096e5cf8b0100002a000000000000000000000000000000";
    assert_eq!(hex::encode(heartbeat.encode()), expected);
    let challenge = SystemEvent::HeartbeatChallenge { seed: U256::one(), online_target: U256::MAX };
    let expected = format!("0101{}{}", "00".repeat(31), "ff".repeat(32));
    assert_eq!(hex::encode(challenge.encode()), expected);
}

#[test]
fn t9_an_endpoint_is_signed_in_the_documented_form() {
    let mut worker = Worker::done();
    let request = pb::AddEndpointRequest {
        encoded_endpoint_type: EndpointType::Http.encode(),
        endpoint: "http://192.0.2.1:8000".into(),
    };
    let reply: pb::GetEndpointResponse = worker.call("AddEndpoint", &request).unwrap();
    assert_eq!(hex::encode(reply.encoded_endpoint_payload.unwrap()), T9_PAYLOAD);
    assert!(verifies(&reply.signature.unwrap(), &unhex(T9_SIGNED)));
    assert!(verifies(&unhex(T9_SIGNATURE), &unhex(T9_SIGNED)));
}

#[test]
fn t10_protobuf_messages_have_the_documented_bytes() {
    let bytes = |message: &dyn Fn() -> Vec<u8>| hex::encode(message());
    assert_eq!(bytes(&|| pb::SyncedTo { synced_to: 102 }.encode_to_vec()), "0866");
    assert_eq!(bytes(&|| pb::SyncedTo { synced_to: 0 }.encode_to_vec()), "");
    assert_eq!(bytes(&|| pb::Empty {}.encode_to_vec()), "");
    let synced = pb::HeadersSyncedTo { relaychain_synced_to: 103, parachain_synced_to: 2 };
    assert_eq!(hex::encode(synced.encode_to_vec()), "08671002");
    let error = pb::PrpcError { message: "BlockNumberMismatch".into() };
    assert_eq!(hex::encode(error.encode_to_vec()), "0a13426c6f636b4e756d6265724d69736d61746368");
    let info = pb::GetRuntimeInfoRequest { force_refresh_ra: true, encoded_operator: Some(vec![0x77; 32]) };
    assert_eq!(hex::encode(info.encode_to_vec()), format!("08011220{}", "77".repeat(32)));
    let endpoint =
        pb::AddEndpointRequest { encoded_endpoint_type: vec![1], endpoint: "http://192.0.2.1:8000".into() };
    assert_eq!(hex::encode(endpoint.encode_to_vec()), "0a01011215687474703a2f2f3139322e302e322e313a38303030");
    let init = hex::encode(init_request().encode_to_vec());
    assert!(init.starts_with("12fb04") && init.ends_with("3001"), "{init}");
    let headers = pb::HeadersToSync { encoded_headers: unhex(T3_HEADERS), ..Default::default() };
    assert_eq!(hex::encode(headers.encode_to_vec()), format!("0ada06{T3_HEADERS}"));
}

#[test]
fn t11_the_documented_run_gives_the_documented_replies_and_counters() {
    let mut worker = Worker::fresh();
    let info = worker.0.info();
    assert_eq!(worker.counters(), (0, 0, 0));
    assert!(info.can_load_chain_state && !info.initialized && info.system.is_none());

    let reply: pb::InitRuntimeResponse = worker.call("InitRuntime", &init_request()).unwrap();
    assert!(hex::encode(&reply.encoded_genesis_block_hash).starts_with("4914c8f9"));
    assert!(reply.attestation.is_none());
    assert_eq!(worker.counters(), (101, 0, 1));
    let info = worker.0.info();
    assert!(info.dev_mode && info.initialized && info.state_root.starts_with("a56217f8"));

    assert_eq!(worker.sync_header(&t3()), Ok(102));
    assert_eq!(worker.counters(), (103, 0, 1));
    let info = worker.0.info();
    assert!(info.waiting_for_paraheaders && !info.can_load_chain_state);
    assert_eq!(worker.sync_header(&t3()), Ok(102));
    assert_eq!(worker.counters(), (103, 0, 1));

    assert_eq!(refused(worker.dispatch(&blocks())), "NoStateRoot");
    let text = refused(worker.sync_para(&para_headers(), &para_proof()));
    assert!(text.starts_with("StorageProofFailed(Failed to read value from trie: "), "{text}");
    assert_eq!(worker.counters(), (103, 0, 1));

    assert_eq!(worker.sync_header(&t4()), Ok(103));
    assert_eq!(worker.counters(), (104, 0, 1));
    assert!(worker.0.info().waiting_for_paraheaders);
    assert_eq!(worker.sync_para(&para_headers(), &para_proof()), Ok(2));
    assert_eq!(worker.counters(), (104, 3, 1));
    assert!(!worker.0.info().waiting_for_paraheaders);

    let header_3 = header(para_headers()[2].hash(), 3, H256::zero());
    assert_eq!(refused(worker.sync_para(&[header_3], &para_proof())), "RelaychainHeaderNotSynced");

    assert_eq!(worker.dispatch(&blocks()), Ok(2));
    assert_eq!(worker.counters(), (104, 3, 3));
    let info = worker.0.info();
    assert!(info.registered && info.system.unwrap().registered);
    assert_eq!(info.pending_messages, 1);
    assert_eq!(info.current_block_time, 1_700_000_012_000);
}

// The negative variants of T11, each from where the positive step would succeed.

#[test]
fn t4_before_t3_is_a_number_mismatch() {
    assert_eq!(refused(Worker::init().sync_header(&t4())), "BlockNumberMismatch");
}

#[test]
fn t3_without_its_justified_header_misses_a_justification() {
    assert_eq!(refused(Worker::init().sync_header(&t3()[..1])), "MissingJustification");
}

const BAD: &str = "HeaderValidateFailed(bad justification for header: ";

#[test]
fn t3_justified_by_two_of_four_is_an_invalid_commit() {
    let mut batch = t3();
    let last = batch[1].header.clone();
    batch[1] = with(&last, Some(&justify(&last, 7, 3, &[(1, &last), (2, &last)], &[])));
    let text = refused(Worker::init().sync_header(&batch));
    assert_eq!(text, format!("{BAD}invalid commit in grandpa justification)"));
}

#[test]
fn t3_under_a_wrong_set_id_has_invalid_signatures() {
    let mut genesis = genesis_info();
    genesis.authority_set.id = 8;
    let mut worker = Worker::fresh();
    let request = pb::InitRuntimeRequest { encoded_genesis_info: genesis.encode(), ..init_request() };
    worker.call::<pb::InitRuntimeResponse>("InitRuntime", &request).unwrap();
    let text = refused(worker.sync_header(&t3()));
    assert_eq!(text, format!("{BAD}invalid signature for precommit in grandpa justification)"));
}

#[test]
fn t4_with_all_votes_above_the_target_is_an_invalid_commit() {
    let mut worker = Worker::init();
    worker.sync_header(&t3()).unwrap();
    let (target, above) = (t4()[0].header.clone(), header_104());
    let votes = [(5, &above), (6, &above), (7, &above)];
    for ancestries in [vec![], vec![&above]] {
        let batch = [with(&target, Some(&justify(&target, 8, 1, &votes, &ancestries)))];
        let text = refused(worker.sync_header(&batch));
        assert_eq!(text, format!("{BAD}invalid commit in grandpa justification)"));
    }
}

#[test]
fn t4_with_a_needless_ancestor_has_unused_headers() {
    let mut worker = Worker::init();
    worker.sync_header(&t3()).unwrap();
    let (target, above) = (t4()[0].header.clone(), header_104());
    let votes = [(5, &target), (6, &target), (7, &target)];
    let batch = [with(&target, Some(&justify(&target, 8, 1, &votes, &[&above])))];
    let text = refused(worker.sync_header(&batch));
    let expected = "invalid precommit ancestries in grandpa justification with unused headers";
    assert_eq!(text, format!("{BAD}{expected})"));
}

#[test]
fn t3_with_a_signed_vote_of_a_non_member_is_accepted() {
    let mut batch = t3();
    let last = batch[1].header.clone();
    let votes = [(1, &last), (2, &last), (3, &last), (9, &last)];
    batch[1] = with(&last, Some(&justify(&last, 7, 3, &votes, &[])));
    assert_eq!(Worker::init().sync_header(&batch), Ok(102));
}

#[test]
fn t3_with_an_equivocation_is_accepted() {
    let mut batch = t3();
    let (first, last) = (batch[0].header.clone(), batch[1].header.clone());
    let votes = [(1, &last), (1, &first), (2, &last), (3, &last)];
    batch[1] = with(&last, Some(&justify(&last, 7, 3, &votes, &[&last])));
    assert_eq!(Worker::init().sync_header(&batch), Ok(102));
}

#[test]
fn a_set_change_in_the_middle_of_a_batch_is_an_invalid_commit() {
    let mut batch = t3();
    batch[1].justification = None;
    batch.extend(t4());
    let text = refused(Worker::init().sync_header(&batch));
    assert_eq!(text, format!("{BAD}invalid commit in grandpa justification)"));
}

#[test]
fn t6_with_the_changes_of_block_2_in_block_1_is_a_root_mismatch() {
    let mut worker = Worker::at_para_2();
    let mut blocks = blocks();
    blocks[0].storage_changes = blocks[1].storage_changes.clone();
    let text = refused(worker.dispatch(&blocks[..1]));
    assert!(text.starts_with("StateRootMismatch block=1 expected=0x785255ae"), "{text}");
    assert!(text.contains(" actual=0x"), "{text}");
}

#[test]
fn para_headers_short_of_the_proven_head_are_a_value_mismatch() {
    let mut worker = Worker::at_103();
    let text = refused(worker.sync_para(&para_headers()[..2], &para_proof()));
    assert_eq!(text, "StorageProofFailed(storage value mismatch)");
    assert_eq!(worker.sync_para(&para_headers(), &para_proof()), Ok(2));
}
