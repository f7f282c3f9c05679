//! Keys and bytes against values computed for the live chains.

use super::super::types::*;
use super::super::*;
use super::util::*;
use codec::{Decode, Encode};
use frame_support::Hashable;
use sp_core::{H256, sr25519};
use sp_runtime::MultiAddress;

fn worker() -> sr25519::Public {
    sr25519::Public::from_raw([0x11; 32])
}

fn key(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}

#[test]
fn storage_prefixes_are_those_of_the_live_chains() {
    let prefix = |pallet: &str, item: &str| {
        key(frame_support::storage::storage_prefix(pallet.as_bytes(), item.as_bytes()))
    };
    let names = [
        ("PhalaMq", "OffchainIngress", "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cf"),
        ("Proxy", "Proxies", "1809d78346727a0ef58c0fa03bafa3231d885dcfb277f185f2d8e62a5f290c85"),
    ];
    for (pallet, item, expected) in names {
        assert_eq!(prefix(pallet, item), expected);
    }
    let plain = [
        (
            info::ParachainId::<Runtime>::hashed_key(),
            "0d715f2646c8f85767b5d2764bb2782604a74d81251e398fd8a0a4d55023bb3f",
        ),
        (
            parachain_system::ValidationData::<Runtime>::hashed_key(),
            "45323df7cc47150b3930e2666b0aa313d422e17d2affdce4a912d187a734dd67",
        ),
        (
            parachain_system::LastRelayChainBlockNumber::<Runtime>::hashed_key(),
            "45323df7cc47150b3930e2666b0aa313a2bca190d36bd834cc73a38fc213ecbd",
        ),
        (
            mq::OutboundMessages::<Runtime>::hashed_key(),
            "2f039a6a7f13e94b9545257e54062a048a395e6242c6813b196ca31ed0547ea7",
        ),
        (
            mq::QueuedOutboundMessage::<Runtime>::hashed_key(),
            "2f039a6a7f13e94b9545257e54062a04a83ed686d6e9434c653fa485343b5c0f",
        ),
        (
            registry::PRuntimeAllowList::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef5d47f95f0853ff036b3ceee7b36fb2df",
        ),
        (
            registry::RelaychainGenesisBlockHashAllowList::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef0075b640390226cc595d3a36245085e9",
        ),
        (
            registry::BenchmarkDuration::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef3dbb1eb5e7b3ed3b0a620234c2d5930a",
        ),
        (
            registry::Gatekeeper::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef0edb71e0fd7a93f4398de44cdc838483",
        ),
        (
            registry::GatekeeperMasterPubkey::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef2a50ec1d417225346d3e8784102969d2",
        ),
        (
            registry::GatekeeperLaunchedAt::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aeff8958b864086f32691bf78cbe28bcbb9",
        ),
        (
            registry::MinimumPRuntimeVersion::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef42d38e6758c0e459de06887c9b2d74ed",
        ),
        (
            registry::PRuntimeConsensusVersion::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aefd18ee39f23f9cf03719569c4f13f83f2",
        ),
        (
            registry::TrustedNtpServers::<Runtime>::hashed_key(),
            "0d746931e7a6bfd47fbcccfd71984aef3dedcd073791edea626f1a779c353a27",
        ),
        (
            computation::CoolDownPeriod::<Runtime>::hashed_key(),
            "b71c310d8c830d345ee1c1b84566a8d13621662dc0372018ee7c335e6740fdf0",
        ),
        (
            computation::TokenomicParameters::<Runtime>::hashed_key(),
            "b71c310d8c830d345ee1c1b84566a8d101fcc41548ec01285ffcc5b6baff016a",
        ),
        (
            computation::OnlineWorkers::<Runtime>::hashed_key(),
            "b71c310d8c830d345ee1c1b84566a8d10c4994f56a54991512c49a193d7df1a1",
        ),
        (
            computation::HeartbeatPaused::<Runtime>::hashed_key(),
            "b71c310d8c830d345ee1c1b84566a8d1252c677f6ef9505d26b2c6ffc28adf70",
        ),
        (
            computation::ExpectedHeartbeatCount::<Runtime>::hashed_key(),
            "b71c310d8c830d345ee1c1b84566a8d111c92a2f48eeb8c7eb8c994b0789193c",
        ),
        (
            computation::NextSessionId::<Runtime>::hashed_key(),
            "b71c310d8c830d345ee1c1b84566a8d14e555456aa6665fea9349e828234520c",
        ),
        (
            base_pool::PoolCount::<Runtime>::hashed_key(),
            "00f8eafbad3b4a32114491ad7e124914e6a0f1f3d55c5dd789d90bb7accd9ee4",
        ),
    ];
    for (made, expected) in plain {
        assert_eq!(key(made), expected);
    }
}

#[test]
fn map_keys_hash_and_carry_the_key() {
    let suffix = format!("c99bd9a68183033a{}", "11".repeat(32));
    let session = AccountId::new([0x11; 32]);
    let maps = [
        (
            registry::Workers::<Runtime>::hashed_key_for(worker()),
            "0d746931e7a6bfd47fbcccfd71984aef1bf55d6b9732eb86723ccad1af88b985",
        ),
        (
            registry::WorkerAddedAt::<Runtime>::hashed_key_for(worker()),
            "0d746931e7a6bfd47fbcccfd71984aef3db1fe26055215b99e474bea4561d945",
        ),
        (
            registry::Endpoints::<Runtime>::hashed_key_for(worker()),
            "0d746931e7a6bfd47fbcccfd71984aef256502b006697fb142d2eb87ba5e1ca1",
        ),
        (
            computation::WorkerBindings::<Runtime>::hashed_key_for(worker()),
            "b71c310d8c830d345ee1c1b84566a8d129508a101b262c94ae3b928a07bb3cd5",
        ),
        (
            computation::SessionBindings::<Runtime>::hashed_key_for(&session),
            "b71c310d8c830d345ee1c1b84566a8d1f730b98b55de37c6483a133f09f7ed41",
        ),
        (
            computation::Sessions::<Runtime>::hashed_key_for(&session),
            "b71c310d8c830d345ee1c1b84566a8d1028685274e698e781f7f2766cba0cc83",
        ),
        (
            computation::Stakes::<Runtime>::hashed_key_for(&session),
            "b71c310d8c830d345ee1c1b84566a8d199631790894601a7ff7dac1d1ca231bc",
        ),
        (
            stake_pool::WorkerAssignments::<Runtime>::hashed_key_for(worker()),
            "75e3ed3f59e45643ed1149ad80929c1b19607b9c9a8737bdc9a8097e5575f8df",
        ),
        (
            stake_pool::SubAccountPreimages::<Runtime>::hashed_key_for(&session),
            "75e3ed3f59e45643ed1149ad80929c1ba4424e2b46f112453da5fbcd38078da1",
        ),
    ];
    for (made, prefix) in maps {
        assert_eq!(key(made), format!("{prefix}{suffix}"));
    }
    assert_eq!(
        key(mq::OffchainIngress::<Runtime>::hashed_key_for(MessageOrigin::Worker(worker()))),
        format!(
            "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cfc5f9f6c8eb13673702{}",
            "11".repeat(32)
        )
    );
    assert_eq!(
        key(mq::OffchainIngress::<Runtime>::hashed_key_for(MessageOrigin::Gatekeeper)),
        "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cf0f974013a815ff5005"
    );
    assert_eq!(
        key(base_pool::Pools::<Runtime>::hashed_key_for(1)),
        "00f8eafbad3b4a32114491ad7e1249144c72016d74b63ae83d79b02efdb5528e9599a4a217cb299f0100000000000000"
    );
    assert_eq!(
        key(frame_system::Account::<Runtime>::hashed_key_for(&session)),
        format!(
            "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da97f9c299f1d9bbe856fbf2c98f0f91435{}",
            "11".repeat(32)
        )
    );
    let measurement = vec![7u8, 8];
    assert_eq!(
        key(registry::PRuntimeAddedAt::<Runtime>::hashed_key_for(&measurement)),
        format!(
            "0d746931e7a6bfd47fbcccfd71984aef1cfabdf4d02cfcbc334606ddde6404c2{}",
            key(measurement.twox_64_concat())
        )
    );
    assert_eq!(
        key(assets::Account::<Runtime>::hashed_key_for(assets::WPHA, &session)),
        format!(
            "682a59d51ab9e48a8c8cc418ff9708d2b99d880ec681799c0cf30e8886371da9{}{}",
            key(assets::WPHA.blake2_128_concat()),
            key(session.blake2_128_concat()),
        )
    );
}

#[test]
fn session_accounts_and_pool_tags_match() {
    assert_eq!(
        key(session_account(1, &worker())),
        "73706d2f9f199315f5f1c1e93dbbe328b4e92a8aef04a4b1479b557d8c99f8d7"
    );
    assert_eq!(
        key(mq::pool_tag(&MessageOrigin::Worker(worker()), 7)),
        format!("5c5068616c614d714f6666636861696e4d6573736167657302{}0700000000000000", "11".repeat(32))
    );
}

#[test]
fn calls_encode_as_on_khala() {
    let ones = "11".repeat(32);
    let encode = |call: RuntimeCall| key(call.encode());
    let add: RuntimeCall = stake_pool::Call::add_worker { pid: 1, pubkey: worker() }.into();
    assert_eq!(encode(add.clone()), format!("5d010100000000000000{ones}"));
    let start = stake_pool::Call::start_computing { pid: 1, worker: worker(), stake: 1500 * UNIT };
    assert_eq!(encode(start.into()), format!("5d0d0100000000000000{ones}00c029f73d5405000000000000000000"));
    let stop: RuntimeCall = stake_pool::Call::stop_computing { pid: 1, worker: worker() }.into();
    assert_eq!(encode(stop.clone()), format!("5d0e0100000000000000{ones}"));
    let reclaim = stake_pool::Call::reclaim_pool_worker { pid: 1, worker: worker() };
    assert_eq!(encode(reclaim.into()), format!("5d0f0100000000000000{ones}"));
    let batch: RuntimeCall = pallet_utility::Call::force_batch { calls: vec![add, stop] }.into();
    let batch_hex = format!("0304085d010100000000000000{ones}5d0e0100000000000000{ones}");
    assert_eq!(encode(batch.clone()), batch_hex);
    let real = MultiAddress::Id(AccountId::new([0x22; 32]));
    let proxy = pallet_proxy::Call::proxy { real, force_proxy_type: None, call: Box::new(batch) };
    assert_eq!(encode(proxy.into()), format!("050000{}00{batch_hex}", "22".repeat(32)));
    let signed_message = SignedMessage {
        message: Message {
            sender: MessageOrigin::Worker(worker()),
            destination: b"phala/mining/report".to_vec(),
            payload: vec![1, 2],
        },
        sequence: 7,
        signature: vec![0xaa; 64],
    };
    assert_eq!(
        encode(mq::Call::sync_offchain_message { signed_message }.into()),
        format!(
            "550002{ones}4c7068616c612f6d696e696e672f7265706f727408010207000000000000000101{}",
            "aa".repeat(64)
        )
    );
    let endpoint_payload = WorkerEndpointPayload {
        pubkey: worker(),
        versioned_endpoints: VersionedWorkerEndpoints::V1(vec!["http://a.b".into()]),
        signing_time: 1_700_000_000_000,
    };
    let signature = vec![0xaa; 64];
    assert_eq!(
        encode(registry::Call::update_worker_endpoint { endpoint_payload, signature }.into()),
        format!("5608{ones}000428687474703a2f2f612e620068e5cf8b0100000101{}", "aa".repeat(64))
    );
    let pruntime_info = WorkerRegistrationInfoV2 {
        version: 2,
        machine_id: vec![1],
        pubkey: worker(),
        ecdh_pubkey: worker(),
        genesis_block_hash: H256::repeat_byte(0x33),
        features: vec![4, 1],
        operator: Some(AccountId::new([0x22; 32])),
        para_id: 2004,
        max_consensus_version: 1,
    };
    assert_eq!(
        encode(registry::Call::register_worker_v2 { pruntime_info, attestation: None }.into()),
        format!(
            "5607020000000401{ones}{ones}{}08040000000100000001{}d40700000100000000",
            "33".repeat(32),
            "22".repeat(32)
        )
    );
}

#[test]
fn signed_messages_match_the_worker_vector() {
    let key = hex::decode("3a3d45dc55b57bf542f4c6ff41af080ec675317f4ed50ae1d2713bf9f892692d").unwrap();
    let signature = "ba87600800ad489f7e767827731b350de23f6997bcb8511c6316299fa6488e4a206a2b229836ac1ad900ecf564c0234041a3d0e4f2f6715127b049038242898f";
    let event = RegistryEvent::BenchReport { start_time: 1_700_000_000_000, iterations: 1234 };
    let sender = MessageOrigin::Worker(sr25519::Public::try_from(&key[..]).unwrap());
    let signed = SignedMessage {
        message: Message {
            sender: sender.clone(),
            destination: REGISTRY_EVENT_TOPIC.to_vec(),
            payload: event.encode(),
        },
        sequence: 0,
        signature: hex::decode(signature).unwrap(),
    };
    assert_eq!(
        hex::encode(signed.signed_bytes()),
        "023a3d45dc55b57bf542f4c6ff41af080ec675317f4ed50ae1d2713bf9f892692d545e7068616c612f72656769737472792f6576656e7444000068e5cf8b010000d2040000000000000000000000000000"
    );
    // The chain accepts the worker's own signature; the worker is unknown, which is the handler's matter.
    ext(&GenesisConfig::default()).execute_with(|| {
        block(1, || {
            let signed_message = signed.clone();
            let call_ = mq::Call::sync_offchain_message { signed_message };
            call(sp_keyring::Sr25519Keyring::Bob, call_).unwrap();
        });
        assert_eq!(mq::OffchainIngress::<Runtime>::get(sender), Some(1));
    });
}

#[test]
fn payloads_encode_as_the_protocol_says() {
    let challenge = SystemEvent::HeartbeatChallenge { seed: 1.into(), online_target: sp_core::U256::MAX };
    assert_eq!(key(challenge.encode()), format!("0101{}{}", "00".repeat(31), "ff".repeat(32)));
    let heartbeat = WorkingReportEvent::HeartbeatV2 {
        session_id: 5,
        challenge_block: 2,
        challenge_time: 1_700_000_012_000,
        iterations: 42,
        n_clusters: 0,
        n_contracts: 0,
    };
    assert_eq!(key(heartbeat.encode()), "010500000002000000e096e5cf8b0100002a000000000000000000000000000000");
    assert_eq!(MessageOrigin::Reserved.encode(), [255]);
}

#[test]
fn values_lie_as_bridges_read_them() {
    ext(&GenesisConfig::default()).execute_with(|| {
        block(1, || ());
        let raw = |key: &str| sp_io::storage::get(&hex::decode(key).unwrap()).unwrap().to_vec();
        let data = raw("45323df7cc47150b3930e2666b0aa313d422e17d2affdce4a912d187a734dd67");
        let read = <(Vec<u8>, u32, H256, u32)>::decode(&mut &data[..]).unwrap();
        assert_eq!(read, (vec![1, 2, 3], 11, H256::repeat_byte(9), 5 << 20));
        let now = raw("f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb");
        assert_eq!(now, (START_MS + BLOCK_MS).encode());
        let pool = raw("00f8eafbad3b4a32114491ad7e1249144c72016d74b63ae83d79b02efdb5528e9599a4a217cb299f0100000000000000");
        let alice = sp_keyring::Sr25519Keyring::Alice.to_account_id();
        assert_eq!((pool[0], &pool[1..9], &pool[9..41]), (0, &1u64.encode()[..], alice.as_ref()));
        let account = base_pool::pool_account(1, &alice);
        let free = sp_io::storage::get(&assets::Account::<Runtime>::hashed_key_for(assets::WPHA, &account));
        assert_eq!(free.unwrap()[..16], (10_000_000 * UNIT).encode());
        let params = raw("b71c310d8c830d345ee1c1b84566a8d101fcc41548ec01285ffcc5b6baff016a");
        assert_eq!(params.len(), 13 * 16 + 4);
    });
}
