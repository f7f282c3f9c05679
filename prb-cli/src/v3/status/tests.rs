//! A worker in the JSON of v3, as its reference has it.

use super::*;
use prb_core::{
    id::{AccountId, Hash, Height, PoolId, WorkerKey, WorkerName},
    lifecycle::{Facts, Goal},
    outbox::SenderStatus,
    pipeline::{Message, Worker},
};

/// A worker of the inventory that runs and stands like this.
pub(crate) fn seen(name: &str, stage: Stage) -> Seen {
    let goal = Goal::new(PoolId(1), AccountId::default(), 5);
    Seen {
        worker: Worker { name: WorkerName::new(name).unwrap(), goal, debug_key: None },
        endpoint: "http://10.0.0.2:8000".to_owned(),
        stage,
        info: None,
        at_tip: false,
        trouble: None,
        starved: false,
        waits: None,
        messages_synced: 0,
        facts: None,
        sender: SenderStatus::default(),
        last_message: None,
        commands: 0,
    }
}

/// Its entry in the inventory.
fn record() -> WorkerRecord {
    WorkerRecord::new("w1", "http://10.0.0.2:8000", 1, 5_000_000_000_000_000)
}

fn status(seen: &Seen) -> Value {
    let status = WorkerStatus::of(&record(), Some(seen), None);
    serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap()
}

fn state(seen: &Seen) -> Value {
    status(seen)["state"].clone()
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
        assert_eq!(state(&seen("w", stage)), expected, "{stage}");
    }
    let troubled = Seen { trouble: Some("it hangs".to_owned()), ..seen("w", Stage::Working) };
    assert_eq!(state(&troubled), json!({ "HasError": "it hangs" }));
    let unfit = Unfit { fed: true, why: "no operator".to_owned() };
    let has = |record: &WorkerRecord, seen: Option<&Seen>| State::of(record, seen, Some(&unfit));
    assert_eq!(has(&record(), Some(&troubled)), State::HasError("no operator".to_owned()), "it comes first");
    assert_eq!(has(&record(), Some(&seen("w", Stage::Disabled))), State::Disabled);
    assert_eq!(has(&WorkerRecord { enabled: false, ..record() }, Some(&troubled)), State::Disabled);
    assert_eq!(State::of(&record(), None, None), State::Starting);
}

/// Also v3_f37 and v3_f50.
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
    let seen = Seen { info: Some(info), last_message: Some(message), ..seen("w1", Stage::Working) };
    let mut worker = status(&seen);
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
    let fresh = status(&Seen { info: Some(WorkerInfo::default()), ..seen("w", Stage::Initializing) });
    let info = &fresh["phactory_info"];
    for field in ["genesis_block_hash", "public_key", "ecdh_public_key", "system"] {
        assert_eq!(info[field], Value::Null, "{field}");
    }
    assert!(info["memory_usage"].is_object() && info["state_root"] == "" && info["gatekeeper"]["role"] == 0);
    let away = status(&seen("x", Stage::Starting));
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
    let seen = Seen { facts: Some(facts), ..seen("w", Stage::Unresponsive) };
    let text = serde_json::to_string(&WorkerStatus::of(&record(), Some(&seen), None)).unwrap();
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

#[test]
fn times_are_written_as_v3_does() {
    assert_eq!(month_and_day(1_717_052_462_007), "05-30 07:01:02");
    assert_eq!(month_and_day(0), "01-01 00:00:00");
}
