use super::super::types::*;
use super::super::*;
use super::util::*;
use codec::Encode;
use sp_core::{H256, Pair};
use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie};

#[test]
fn a_worker_registers_measures_joins_and_computes() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        let key = worker.key();
        let messages = block(1, || {
            call(Charlie, worker.register(Alice)).unwrap();
            assert!(events().contains(&RuntimeEvent::PhalaRegistry(registry::Event::WorkerAdded {
                pubkey: key,
                attestation_provider: None,
                confidence_level: 128,
            })));
            assert_eq!(name(call(Alice, add(&worker))), (93, "BenchmarkMissing"));
        });
        assert_eq!(
            told(&messages, &key),
            [WorkerEvent::Registered { confidence_level: 128 }, WorkerEvent::BenchStart { duration: 2 }]
        );
        assert!(
            messages
                .iter()
                .take(2)
                .all(|message| { message.sender == MessageOrigin::Pallet(b"PhalaRegistry".to_vec()) })
        );
        assert_eq!(registry::WorkerAddedAt::<Runtime>::get(key), Some(1));

        let messages = block(2, || {
            call(Bob, worker.bench_report(START_MS + BLOCK_MS, 1200)).unwrap();
            let set = registry::Event::InitialScoreSet { pubkey: key, init_score: 600 };
            assert!(events().contains(&RuntimeEvent::PhalaRegistry(set)));
        });
        assert_eq!(told(&messages, &key), [WorkerEvent::BenchScore(600)]);
        assert!(!messages.iter().any(Message::is_on_chain_only));

        let session = session_account(1, &key);
        let messages = block(3, || {
            call(Alice, add(&worker)).unwrap();
            assert_eq!(computation::WorkerBindings::<Runtime>::get(key).as_ref(), Some(&session));
            assert_eq!(stake_pool::SubAccountPreimages::<Runtime>::get(&session), Some((1, key)));
            // 100 times the root of 600 is 2449.5 PHA.
            assert_eq!(name(call(Alice, start(&worker, 2449))), (87, "InsufficientStake"));
            assert_eq!(name(call(Alice, start(&worker, 100_000))), (87, "TooMuchStake"));
            assert_eq!(name(call(Alice, start(&worker, 1 << 40))), (93, "InsufficientFreeStake"));
            call(Alice, start(&worker, 2450)).unwrap();
            assert_eq!(name(call(Alice, start(&worker, 2450))), (87, "WorkerNotReady"));
        });
        let [WorkerEvent::Started { session_id: 0, init_v, init_p: 600 }] = told(&messages, &key)[..] else {
            panic!("started: {messages:?}");
        };
        let info = computation::Sessions::<Runtime>::get(&session).unwrap();
        assert_eq!((info.state, info.ve, info.v), (WorkerState::WorkerIdle, init_v, init_v));
        assert_eq!(info.encode().len(), 97);
        assert_eq!(computation::Stakes::<Runtime>::get(&session), Some(2450 * UNIT));
        assert_eq!(computation::OnlineWorkers::<Runtime>::get(), 1);
        let pool = base_pool::Pallet::<Runtime>::stake_pool(1).unwrap();
        assert_eq!(assets::Pallet::<Runtime>::balance(&pool.lock_account), 2450 * UNIT);

        // A heartbeat 24 seconds after the start: 1440 iterations are a score of 360.
        block(5, || {
            let heartbeat = WorkingReportEvent::HeartbeatV2 {
                session_id: 0,
                challenge_block: 5,
                challenge_time: START_MS + 5 * BLOCK_MS,
                iterations: 1440,
                n_clusters: 0,
                n_contracts: 0,
            };
            let signed_message = worker.message(WORKING_REPORT_TOPIC, &heartbeat);
            call(Bob, mq::Call::sync_offchain_message { signed_message }).unwrap();
            let updated = computation::Event::BenchmarkUpdated { session: session.clone(), p_instant: 360 };
            assert!(events().contains(&RuntimeEvent::PhalaComputation(updated)));
        });
    });
}

#[test]
fn a_second_registration_keeps_score_and_key_and_takes_the_operator() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        benchmarked(&mut worker);
        let messages = block(3, || call(Bob, worker.register(Charlie)).unwrap());
        assert_eq!(told(&messages, &worker.key()).len(), 2);
        let info = registry::Workers::<Runtime>::get(worker.key()).unwrap();
        assert_eq!((info.initial_score, info.operator), (Some(600), Some(Charlie.to_account_id())));
        assert_eq!(registry::WorkerAddedAt::<Runtime>::get(worker.key()), Some(1));
        block(4, || {
            assert_eq!(name(call(Alice, add(&worker))), (93, "UnauthorizedOperator"));
            assert_eq!(name(call(Charlie, add(&worker))), (93, "UnauthorizedPoolOwner"));
        });
    });
}

#[test]
fn registration_is_refused_in_the_order_of_the_checks() {
    let config = GenesisConfig {
        relaychain_genesis_hashes: vec![H256::repeat_byte(0x33)],
        pruntime_allow_list: vec![b"measured".to_vec()],
        switches: Switches {
            none_attestation_enabled: false,
            verify_relaychain_genesis: true,
            verify_pruntime: true,
            ..Default::default()
        },
        ..Default::default()
    };
    ext(&config).execute_with(|| {
        let worker = Worker::new(7);
        let register = |info: &WorkerRegistrationInfoV2, attestation| {
            let pruntime_info = info.clone();
            call(Bob, registry::Call::register_worker_v2 { pruntime_info, attestation })
        };
        let dcap = |info: &WorkerRegistrationInfoV2, measurement: &[u8]| {
            let hash = sp_crypto_hashing::blake2_256(&info.encode());
            let quote = dcap_quote(&hash, &worker.pair.sign(&hash).0, measurement);
            Some(AttestationReport::SgxDcap { quote, collateral: Some(Collateral::SgxV30(collateral())) })
        };
        block(1, || {
            let info = worker.info(Alice);
            assert_eq!(name(register(&info, None)).1, "NoneAttestationDisabled");
            let bare = Some(AttestationReport::SgxDcap { quote: vec![0; 96], collateral: None });
            assert_eq!(name(register(&info, bare)), (86, "UnsupportedAttestationType"));
            let mut forged = dcap(&info, b"measured");
            if let Some(AttestationReport::SgxDcap { quote, .. }) = &mut forged {
                quote[440] ^= 1;
            }
            assert_eq!(name(register(&info, forged)).1, "InvalidDCAPQuote");
            let mut short = dcap(&info, b"measured");
            if let Some(AttestationReport::SgxDcap { quote, .. }) = &mut short {
                quote.pop();
            }
            assert_eq!(name(register(&info, short)).1, "InvalidDCAPQuote");
            let mut unfounded = dcap(&info, b"measured");
            if let Some(AttestationReport::SgxDcap { collateral, .. }) = &mut unfounded {
                let part = SgxV30QuoteCollateral { tcb_info: String::new(), ..self::collateral() };
                *collateral = Some(Collateral::SgxV30(part));
            }
            assert_eq!(name(register(&info, unfounded)).1, "InvalidDCAPQuote");
            assert_eq!(name(register(&info, dcap(&info, b"other"))).1, "PRuntimeRejected");
            let other = WorkerRegistrationInfoV2 { version: 1, ..info.clone() };
            let of_another = dcap(&other, b"measured");
            assert_eq!(name(register(&info, of_another)).1, "InvalidRuntimeInfoHash");
            let elsewhere =
                WorkerRegistrationInfoV2 { para_id: 1, genesis_block_hash: H256::zero(), ..info.clone() };
            let report = dcap(&elsewhere, b"measured");
            assert_eq!(name(register(&elsewhere, report)).1, "ParachainIdMismatch");
            let late = WorkerRegistrationInfoV2 { para_id: 2035, ..elsewhere };
            let report = dcap(&late, b"measured");
            assert_eq!(name(register(&late, report)).1, "GenesisBlockHashRejected");
            register(&info, dcap(&info, b"measured")).unwrap();
        });
        let stored = registry::Workers::<Runtime>::get(worker.key()).unwrap();
        assert_eq!(stored.attestation_provider, Some(AttestationProvider::Dcap));
        assert_eq!(stored.confidence_level, 1);
    });
}

/// A quote up to its authentication data.
fn dcap_quote(hash: &[u8; 32], signature: &[u8; 64], measurement: &[u8]) -> Vec<u8> {
    let mut quote = vec![0; 1012];
    quote[0] = 3;
    quote[368..400].copy_from_slice(hash);
    quote[436..500].copy_from_slice(signature);
    quote.extend(u16::try_from(measurement.len()).unwrap().to_le_bytes());
    quote.extend_from_slice(measurement);
    quote
}

fn collateral() -> SgxV30QuoteCollateral {
    let text = || "x".to_owned();
    SgxV30QuoteCollateral {
        pck_crl_issuer_chain: text(),
        root_ca_crl: text(),
        pck_crl: text(),
        tcb_info_issuer_chain: text(),
        tcb_info: text(),
        tcb_info_signature: vec![1],
        qe_identity_issuer_chain: text(),
        qe_identity: text(),
        qe_identity_signature: vec![1],
    }
}

#[test]
fn an_old_worker_registers_with_a_signed_report() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let worker = Worker::new(7);
        let info = worker.info(Alice);
        let pruntime_info = WorkerRegistrationInfo {
            version: info.version,
            machine_id: info.machine_id,
            pubkey: info.pubkey,
            ecdh_pubkey: info.ecdh_pubkey,
            genesis_block_hash: info.genesis_block_hash,
            features: info.features,
            operator: info.operator,
        };
        let register = |ra_report: Vec<u8>, signature: Vec<u8>| {
            let raw_signing_cert = Vec::new();
            let attestation = Attestation::SgxIas { ra_report, signature, raw_signing_cert };
            let pruntime_info = pruntime_info.clone();
            call(Bob, registry::Call::register_worker { pruntime_info, attestation })
        };
        let hash = sp_crypto_hashing::blake2_256(&pruntime_info.encode()).to_vec();
        let signature = worker.pair.sign(&hash).0.to_vec();
        block(1, || {
            assert_eq!(name(register(vec![1], signature.clone())).1, "InvalidReport");
            assert_eq!(name(register(vec![1; 32], signature.clone())).1, "InvalidIASSigningCert");
            register(hash, signature).unwrap();
        });
        let stored = registry::Workers::<Runtime>::get(worker.key()).unwrap();
        assert_eq!(stored.attestation_provider, Some(AttestationProvider::Ias));
    });
}

#[test]
fn an_endpoint_needs_a_fresh_signature_of_a_registered_worker() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let worker = Worker::new(7);
        let update = |signing_time: u64, tamper: bool| {
            let endpoint_payload = WorkerEndpointPayload {
                pubkey: worker.key(),
                versioned_endpoints: VersionedWorkerEndpoints::V1(vec!["http://a.b".into()]),
                signing_time,
            };
            let mut signed = vec![0xff, 0x02];
            signed.extend(endpoint_payload.encode());
            let mut signature = worker.pair.sign(&signed).0.to_vec();
            signature[0] ^= u8::from(tamper);
            call(Bob, registry::Call::update_worker_endpoint { endpoint_payload, signature })
        };
        let now = START_MS + BLOCK_MS;
        block(1, || {
            assert_eq!(name(update(now - 1, true)).1, "InvalidSignature");
            assert_eq!(name(update(now, false)).1, "InvalidEndpointSigningTime");
            assert_eq!(name(update(now - 14_400_001, false)).1, "InvalidEndpointSigningTime");
            assert_eq!(name(update(now - 1, false)).1, "InvalidPubKey");
            call(Bob, worker.register(Alice)).unwrap();
            update(now - 1, false).unwrap();
        });
        assert!(registry::Endpoints::<Runtime>::contains_key(worker.key()));
    });
}

#[test]
fn queue_messages_are_checked_by_origin_topic_sequence_and_signature() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        let sync = |signed_message: &SignedMessage| {
            let signed_message = signed_message.clone();
            call(Bob, mq::Call::sync_offchain_message { signed_message })
        };
        block(1, || {
            let good = worker.message(REGISTRY_EVENT_TOPIC, &());
            let mut bad = good.clone();
            bad.message.sender = MessageOrigin::Pallet(b"x".to_vec());
            assert_eq!(name(sync(&bad)), (85, "BadSender"));
            let mut bad = good.clone();
            bad.message.destination = b"~no".to_vec();
            assert_eq!(name(sync(&bad)), (85, "BadDestination"));
            let mut bad = good.clone();
            bad.sequence = 1;
            assert_eq!(name(sync(&bad)), (85, "BadSequence"));
            let mut bad = good.clone();
            bad.message.sender = MessageOrigin::Gatekeeper;
            assert_eq!(name(sync(&bad)), (86, "MasterKeyUninitialized"));
            let mut bad = good.clone();
            bad.message.sender = MessageOrigin::Cluster(H256::zero());
            assert_eq!(name(sync(&bad)), (86, "UnknownCluster"));
            let mut bad = good.clone();
            bad.signature.pop();
            assert_eq!(name(sync(&bad)), (86, "InvalidSignatureLength"));
            let mut bad = good.clone();
            bad.signature[3] ^= 1;
            assert_eq!(name(sync(&bad)), (86, "InvalidSignature"));
            // The handler cannot read it: the sequence grows all the same.
            sync(&good).unwrap();
            assert_eq!(name(sync(&good)), (85, "BadSequence"));
        });
        let sender = MessageOrigin::Worker(worker.key());
        assert_eq!(mq::OffchainIngress::<Runtime>::get(&sender), Some(1));
    });
}

#[test]
fn a_message_a_handler_refuses_is_still_echoed_and_leaves_no_trace() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        let messages = block(1, || {
            let heartbeat = WorkingReportEvent::Heartbeat {
                session_id: 0,
                challenge_block: 1,
                challenge_time: START_MS,
                iterations: 1,
            };
            let signed_message = worker.message(WORKING_REPORT_TOPIC, &heartbeat);
            call(Bob, mq::Call::sync_offchain_message { signed_message }).unwrap();
        });
        assert_eq!(messages[0].sender, MessageOrigin::Worker(worker.key()));
        let messages = block(2, || {
            mq::Pallet::<Runtime>::queue::<PhalaRegistry>(b"phala/later", &7u8);
        });
        assert!(messages.iter().all(|message| message.destination == SYSTEM_EVENT_TOPIC));
        let messages = block(3, || ());
        assert_eq!(messages[0].destination, b"phala/later");
        let messages = block(4, || ());
        assert!(messages.iter().all(|message| message.destination == SYSTEM_EVENT_TOPIC));
    });
}

#[test]
fn scores_use_whole_seconds_and_are_capped() {
    assert_eq!(registry::benchmark_score(24_999, 240), 60);
    assert_eq!(registry::benchmark_score(10, 7), 42);
    assert_eq!(registry::benchmark_score(1000, u64::MAX), 6000);
}
