//! The JSON of v3, as its reference has it.

use super::*;
use crate::{inventory::WorkerRecord, roster::Unfit};
use prb_core::{
    id::{AccountId, Hash, Height, PoolId, WorkerKey, WorkerName},
    lifecycle::{Facts, Goal},
    outbox::SenderStatus,
    pipeline::{Message, Worker, WorkerStatus as Seen},
};
use serde_json::{Value, json};

/// A worker of the inventory that runs and stands like this.
pub(in crate::api) fn seen(name: &str, stage: Stage) -> Seen {
    let goal = Goal::new(PoolId(1), AccountId::default(), 5);
    Seen {
        worker: Worker { name: WorkerName::new(name).unwrap(), goal, debug_key: None },
        endpoint: "http://10.0.0.2:8000".to_owned(),
        stage,
        info: None,
        at_tip: false,
        trouble: None,
        waits: None,
        messages_synced: 0,
        facts: None,
        sender: SenderStatus::default(),
        last_message: None,
        commands: 0,
    }
}

/// A fleet of workers that run and stand like these.
pub(in crate::api) fn fleet(running: Vec<Seen>) -> Fleet {
    let mut fleet = Fleet::default();
    for seen in running {
        let name = seen.worker.name.to_string();
        let record = WorkerRecord::new(
            name.as_str(),
            format!("http://10.0.0.2:8000/{name}"),
            1,
            5_000_000_000_000_000,
        );
        fleet.snapshot.workers.push(record);
        fleet.running.insert(name, seen);
    }
    fleet
}

fn status(fleet: &Fleet) -> Value {
    serde_json::from_str(&serde_json::to_string(&WorkersStatus::of(fleet)).unwrap()).unwrap()
}

fn state(seen: Seen) -> Value {
    status(&fleet(vec![seen]))["workers"][0]["state"].clone()
}

#[test]
fn v3_f23_each_stage_has_its_name_in_v3_and_trouble_is_an_error_with_its_words() {
    for (stage, expected) in [
        (Stage::Disabled, json!("Disabled")),
        (Stage::Starting, json!("Starting")),
        (Stage::Initializing, json!("Synchronizing")),
        (Stage::Syncing, json!("Synchronizing")),
        (Stage::SyncOnly, json!("Synchronizing")),
        (Stage::Registering, json!("Preparing")),
        (Stage::Gatekeeper, json!("GatekeeperWorking")),
        (Stage::AwaitingScore, json!("Preparing")),
        (Stage::JoiningPool, json!("Preparing")),
        (Stage::StartingComputing, json!("Preparing")),
        (Stage::Working, json!("Working")),
        (Stage::Unresponsive, json!("Working")),
        (Stage::CoolingDown, json!("Working")),
        (Stage::InAnotherPool, json!({ "HasError": "the worker is in another pool; remove it there" })),
    ] {
        assert_eq!(state(seen("w", stage)), expected, "{stage}");
    }
    let troubled = Seen { trouble: Some("it hangs".to_owned()), ..seen("w", Stage::Working) };
    assert_eq!(state(troubled), json!({ "HasError": "it hangs" }));
}

#[test]
fn v3_f23_workers_that_do_not_run_are_listed_with_the_reason() {
    let mut fleet =
        fleet(vec![seen("off", Stage::Starting), seen("new", Stage::Starting), seen("odd", Stage::Starting)]);
    fleet.running.clear();
    fleet.snapshot.workers[0].enabled = false;
    fleet.unfit.insert("odd".to_owned(), Unfit { fed: false, why: "there is no pool 1".to_owned() });
    let status = status(&fleet);
    let states: Vec<_> = (0..3).map(|at| status["workers"][at]["state"].clone()).collect();
    assert_eq!(states, [json!("Disabled"), json!("Starting"), json!({ "HasError": "there is no pool 1" })]);
}

/// Also v3_f37.
#[test]
fn v3_f23_a_worker_is_written_as_v3_writes_it() {
    let id = |byte| [byte; 32];
    let info = WorkerInfo {
        initialized: true,
        registered: true,
        genesis_block_hash: Some(Hash(id(1))),
        public_key: Some(WorkerKey(id(2))),
        ecdh_public_key: Some(id(3)),
        headernum: Height(101),
        para_headernum: Height(51),
        blocknum: Height(50),
        state_root: Some(Hash(id(4))),
        pending_messages: 7,
        score: 1450,
        version: "2.2.0".to_owned(),
        git_revision: "abc".to_owned(),
        gatekeeper: Gatekeeper { role: GatekeeperRole::Active, master_key: Some(id(5)) },
        supported_attestation_methods: vec!["epid".to_owned(), "dcap".to_owned()],
        max_pink_runtime: "1.2".to_owned(),
        genesis_block: Height(9),
        ..WorkerInfo::default()
    };
    let message = Message { at: 1_717_052_462_007, text: "it has a checkpoint of block 50".to_owned() };
    let status = status(&fleet(vec![Seen {
        info: Some(info),
        last_message: Some(message),
        ..seen("w1", Stage::Working)
    }]));
    let mut worker = status["workers"][0].clone();
    let record = worker["worker"].take();
    assert!(record["id"].as_str().is_some_and(|id| uuid::Uuid::parse_str(id).is_ok()));
    assert_eq!(
        (&record["name"], &record["stake"], &record["pid"]),
        (&json!("w1"), &json!("5000000000000000"), &json!(1))
    );
    let key = |byte: &str| byte.repeat(32);
    let gatekeeper = json!({ "role": 2, "master_public_key": key("05") });
    let expected = json!({
        "worker": null,
        "state": "Working",
        "last_message": "[05-30 07:01:02] it has a checkpoint of block 50",
        "session_info": null,
        "phactory_info": {
            "initialized": true, "registered": true, "genesis_block_hash": key("01"), "public_key": key("02"),
            "ecdh_public_key": key("03"), "headernum": 101, "para_headernum": 51, "blocknum": 50, "state_root": key("04"),
            "dev_mode": false, "pending_messages": 7, "score": 1450, "gatekeeper": gatekeeper, "version": "2.2.0",
            "git_revision": "abc",
            "memory_usage": { "rust_used": 0, "rust_peak_used": 0, "total_peak_used": 0, "free": 0, "rust_spike": 0 },
            "waiting_for_paraheaders": false,
            "system": {
                "registered": true, "public_key": key("02"), "ecdh_public_key": key("03"), "gatekeeper": gatekeeper,
                "number_of_clusters": 0, "number_of_contracts": 0, "max_supported_consensus_version": 0, "genesis_block": 9,
            },
            "can_load_chain_state": false, "safe_mode_level": 0, "current_block_time": 0,
            "max_supported_pink_runtime_version": "1.2", "supported_attestation_methods": ["epid", "dcap"],
            "live_sidevm_instances": 0, "query_timeout": 0,
        },
    });
    assert_eq!(worker, expected);
}

#[test]
fn v3_f23_what_is_not_known_is_null_and_no_message_is_empty() {
    let fresh = Seen { info: Some(WorkerInfo::default()), ..seen("w", Stage::Initializing) };
    let status = status(&fleet(vec![fresh, seen("x", Stage::Starting)]));
    let info = &status["workers"][0]["phactory_info"];
    for field in ["genesis_block_hash", "public_key", "ecdh_public_key", "system"] {
        assert_eq!(info[field], Value::Null, "{field}");
    }
    assert!(info["memory_usage"].is_object() && info["state_root"] == "" && info["gatekeeper"]["role"] == 0);
    let away = &status["workers"][1];
    assert_eq!(
        (&away["phactory_info"], &away["session_info"], &away["last_message"]),
        (&Value::Null, &Value::Null, &json!(""))
    );
}

#[test]
fn v3_f38_sessions_are_written_with_their_whole_numbers() {
    let session = Session {
        state: SessionState::WorkerUnresponsive,
        ve: u128::MAX,
        v: 1 << 64,
        v_updated_at: 1,
        p_init: 2,
        p_instant: 3,
        iterations: 4,
        working_start_time: 5,
        challenge_time_last: 6,
        cool_down_start: 7,
        total_reward: 8,
    };
    let facts = Facts { session: Some(session), ..Facts::default() };
    let fleet = fleet(vec![Seen { facts: Some(facts), ..seen("w", Stage::Unresponsive) }]);
    let text = serde_json::to_string(&WorkersStatus::of(&fleet)).unwrap();
    let expected = "\"session_info\":{\"state\":\"WorkerUnresponsive\",\"ve\":340282366920938463463374607431768211455,\
                    \"v\":18446744073709551616,\"v_updated_at\":1,\"benchmark\":{\"p_init\":2,\"p_instant\":3,\"iterations\":4,\
                    \"working_start_time\":5,\"challenge_time_last\":6},\"cool_down_start\":7,\"stats\":{\"total_reward\":8}}";
    assert!(text.contains(expected), "{text}");
    for (state, name) in [
        (SessionState::Ready, "Ready"),
        (SessionState::WorkerIdle, "WorkerIdle"),
        (SessionState::Active, "_Unused"),
        (SessionState::WorkerCoolingDown, "WorkerCoolingDown"),
    ] {
        assert_eq!(session_state(state), name);
    }
}

fn entry(number: u64, stand: Stand) -> Entry {
    Entry {
        job: JobId { era: 1_700_000_000_000_000, number },
        pool: Some(PoolId(3)),
        stand,
        description: "register worker w".to_owned(),
        accepted: Some(1_717_052_460_000),
        sent: None,
        ended: None,
        extrinsic: None,
        message: None,
    }
}

#[test]
fn v3_f36_transactions_are_written_as_v3_writes_them() {
    let done = Entry { ended: Some(1_717_052_462_007), ..entry(0, Stand::Done) };
    let failed = Entry {
        message: Some("BadSequence".to_owned()),
        ended: Some(1_717_052_463_000),
        ..entry(1, Stand::Failed)
    };
    let sent = Entry { sent: Some(1_717_052_461_000), pool: None, ..entry(2, Stand::Sent) };
    let status = TxStatus::of(&[done, failed, sent, entry(3, Stand::Waiting)]);
    let status: Value = serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap();
    let tx = |number: u64, pid: u64, state: Value| {
        json!({
            "id": 1_700_000_000_000_000 + number, "state": state, "desc": "register worker w", "pid": pid,
            "created_at": "2024-05-30T07:01:00.000Z",
        })
    };
    let error = json!({ "Error": { "updated_at": "2024-05-30T07:01:03.000Z", "message": "BadSequence" } });
    let success = json!({ "Success": { "updated_at": "2024-05-30T07:01:02.007Z" } });
    assert_eq!(
        status,
        json!({
            "tx_count": 4,
            "running_txs": [tx(2, 0, json!("Running"))],
            "pending_txs": [tx(3, 3, json!("Pending"))],
            "past_txs": [tx(1, 3, error), tx(0, 3, success)],
        })
    );
}
