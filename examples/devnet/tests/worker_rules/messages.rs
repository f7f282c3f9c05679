//! What the chain tells a worker, and what the worker answers.

use codec::{Decode, Encode};
use prb_devnet::worker::WorkerConfig;
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use sp_core::{Pair, U256, sr25519};
use sp_crypto_hashing::blake2_256;

use crate::solo::*;

#[test]
fn a_worker_ignores_events_of_others_and_of_senders_that_are_no_pallets() {
    let mut solo = Solo::start(seeded(), None);
    let registered = WorkerEvent::Registered { confidence_level: 1 };
    solo.events(&[SystemEvent::WorkerEvent { pubkey: [1; 32], event: registered.clone() }]);
    let message = Message {
        sender: MessageOrigin::Worker([1; 32]),
        destination: b"phala/system/event".to_vec(),
        payload: solo.mine(registered.clone()).encode(),
    };
    let mut block = solo.next(Vec::new(), &[]);
    let value = vec![message].encode();
    let at = key("PhalaMq", "OutboundMessages");
    solo.state.insert(at.clone(), value.clone());
    solo.last.state_root = root_of(&solo.state);
    block.storage_changes.main_storage_changes.push((at, Some(value)));
    solo.worker.sync_header(&[solo.justified()]).unwrap();
    solo.worker.dispatch(&[block]).unwrap();
    solo.step(Vec::new(), &[("phala/system/event", vec![99]), ("other", vec![])]).unwrap();
    assert!(!solo.worker.0.info().registered);
    let mine = solo.mine(registered);
    solo.events(&[mine]);
    assert!(solo.worker.0.info().registered);
}

#[test]
fn a_benchmark_reports_after_its_duration_in_proportion_to_chain_time() {
    let mut solo = Solo::start(WorkerConfig { score: 300, ..seeded() }, None);
    let bench = solo.mine(WorkerEvent::BenchStart { duration: 3 });
    solo.events(&[bench]);
    let start = solo.time;
    let state = |solo: &mut Solo| -> pb::WorkerState {
        let request = pb::GetWorkerStateRequest { public_key: solo.pubkey().to_vec() };
        solo.worker.call("GetWorkerState", &request).unwrap()
    };
    let bench = state(&mut solo).bench_state.unwrap();
    assert_eq!((bench.start_time, bench.duration), (start, 3));
    solo.events(&[]);
    solo.events(&[]);
    assert!(solo.sent().is_empty());
    solo.events(&[]);
    let [message] = &solo.sent()[..] else { panic!() };
    assert_eq!(message.message.destination, b"^phala/registry/event");
    let report = RegistryEvent::decode(&mut &message.message.payload[..]).unwrap();
    // 36 seconds at 300 per 6 seconds.
    assert_eq!(report, RegistryEvent::BenchReport { start_time: start, iterations: 1800 });
    assert!(state(&mut solo).bench_state.is_none());
    assert_eq!(solo.worker.0.info().score, 300);
}

#[test]
fn a_heartbeat_answers_a_challenge_that_hits_the_worker_while_it_works() {
    let mut solo = Solo::start(seeded(), None);
    let id = U256::from_big_endian(&blake2_256(&solo.pubkey()));
    let hit = challenge(U256::zero(), U256::MAX);
    let register = solo.mine(WorkerEvent::Registered { confidence_level: 1 });
    solo.events(&[register, hit.clone()]);
    assert!(solo.sent().is_empty(), "registered but not working");
    let start = solo.mine(started(5));
    solo.events(&[start]);
    // The distance is 1 with this seed: out of reach at target 0, within at 1.
    solo.events(&[challenge(id ^ U256::one(), U256::zero())]);
    assert!(solo.sent().is_empty());
    solo.events(&[challenge(id ^ U256::one(), U256::one())]);
    let [message] = &solo.sent()[..] else { panic!() };
    assert_eq!(message.message.destination, b"phala/mining/report");
    let heartbeat = WorkingReportEvent::decode(&mut &message.message.payload[..]).unwrap();
    let expected = WorkingReportEvent::HeartbeatV2 {
        session_id: 5,
        challenge_block: solo.last.number,
        challenge_time: solo.time,
        // 24 seconds at 800 per 6 seconds.
        iterations: 3200,
        n_clusters: 0,
        n_contracts: 0,
    };
    assert_eq!(heartbeat, expected);
}

#[test]
fn an_unresponsive_or_stopped_worker_keeps_silent() {
    let mut solo = Solo::start(seeded(), None);
    let hit = challenge(U256::zero(), U256::MAX);
    let mine = |solo: &Solo, event| solo.mine(event);
    let register = mine(&solo, WorkerEvent::Registered { confidence_level: 1 });
    let start = mine(&solo, started(1));
    let enter = mine(&solo, WorkerEvent::EnterUnresponsive);
    let exit = mine(&solo, WorkerEvent::ExitUnresponsive);
    let stop = mine(&solo, WorkerEvent::Stopped);
    solo.events(&[register, start, enter, hit.clone()]);
    assert!(solo.sent().is_empty());
    solo.events(&[exit, hit.clone(), stop, hit]);
    assert_eq!(solo.sent().len(), 1);
}

#[test]
fn messages_are_numbered_signed_and_purged_when_the_chain_has_them() {
    let mut solo = Solo::start(seeded(), None);
    assert!(solo.egress().is_empty());
    let hit = challenge(U256::zero(), U256::MAX);
    let register = solo.mine(WorkerEvent::Registered { confidence_level: 1 });
    let start = solo.mine(started(1));
    solo.events(&[register, start, hit.clone(), hit.clone(), hit.clone()]);
    let sequences = |solo: &mut Solo| solo.sent().iter().map(|m| m.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(&mut solo), [0, 1, 2]);
    let public = sr25519::Public::from_raw(solo.pubkey());
    for message in solo.sent() {
        let signed = (&message.message, message.sequence).encode();
        let signature = sr25519::Signature::try_from(&message.signature[..]).unwrap();
        assert!(sr25519::Pair::verify(&signature, signed, &public));
    }
    let taken = solo.ingress(2);
    solo.step(taken, &[]).unwrap();
    assert_eq!(sequences(&mut solo), [2]);
    let taken = solo.ingress(3);
    solo.step(taken, &[]).unwrap();
    assert_eq!(solo.egress(), [(MessageOrigin::Worker(solo.pubkey()), vec![])], "an empty group stays");
    assert_eq!(solo.worker.0.info().pending_messages, 0);
    solo.events(&[hit]);
    assert_eq!(sequences(&mut solo), [3]);
}
