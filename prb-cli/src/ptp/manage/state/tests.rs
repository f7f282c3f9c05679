use super::*;
use crate::v3::status::tests::seen;
use prb_core::{
    id::WorkerKey, lifecycle::Facts, pipeline::Message, port::WorkerInfo, types::facts::SessionState,
};

fn record() -> WorkerRecord {
    WorkerRecord::new("w", "http://10.0.0.2:8000", 1, 5_000_000_000_000_000)
}

fn state(status: Option<&pipeline::WorkerStatus>, unfit: Option<&Unfit>) -> WorkerState {
    of(Seen { record: &record(), status, unfit })
}

#[test]
fn v2_f110_each_stage_has_its_state_in_v2() {
    let expected = |stage: Stage| match stage {
        Stage::Disabled => WorkerStatus::Idle,
        Stage::Starting => WorkerStatus::Starting,
        Stage::Initializing => WorkerStatus::Starting,
        Stage::Syncing => WorkerStatus::Synching,
        Stage::SyncOnly => WorkerStatus::Synched,
        Stage::Registering => WorkerStatus::PreActive,
        Stage::Gatekeeper => WorkerStatus::Active,
        Stage::AwaitingScore => WorkerStatus::PreActive,
        Stage::JoiningPool => WorkerStatus::PreActive,
        Stage::StartingComputing => WorkerStatus::PreActive,
        Stage::Working => WorkerStatus::Active,
        Stage::Unresponsive => WorkerStatus::Active,
        Stage::CoolingDown => WorkerStatus::Active,
        Stage::InAnotherPool => WorkerStatus::Error,
    };
    for stage in Stage::ALL {
        assert_eq!(state(Some(&seen("w", stage)), None).status(), expected(stage), "{stage}");
    }
    assert_eq!(state(None, None).status(), WorkerStatus::Idle, "it is not taken on yet");
}

#[test]
fn v2_f110_a_worker_that_does_not_get_on_says_why() {
    let troubled =
        pipeline::WorkerStatus { trouble: Some("it hangs".to_owned()), ..seen("w", Stage::Working) };
    let unfit = Unfit { fed: true, why: "no operator".to_owned() };
    for (status, unfit, expected, why) in [
        (Some(&troubled), None, WorkerStatus::Error, "it hangs"),
        (Some(&troubled), Some(&unfit), WorkerStatus::Error, "no operator"),
        (None, Some(&unfit), WorkerStatus::Error, "no operator"),
        (Some(&seen("w", Stage::Disabled)), Some(&unfit), WorkerStatus::Idle, "no operator"),
        (Some(&seen("w", Stage::InAnotherPool)), None, WorkerStatus::Error, "remove it there"),
    ] {
        let state = state(status, unfit);
        assert_eq!(state.status(), expected);
        assert!(state.last_message().contains(why), "{state:?}");
    }
    let off = WorkerRecord { enabled: false, ..record() };
    let state = of(Seen { record: &off, status: Some(&troubled), unfit: None });
    assert_eq!((state.status(), state.worker.unwrap().enabled), (WorkerStatus::Idle, Some(false)));
}

#[test]
fn v2_f110_a_state_has_all_that_v2_tells() {
    let info = WorkerInfo {
        initialized: true,
        public_key: Some(WorkerKey([2; 32])),
        headernum: Height(101),
        para_headernum: Height(0),
        blocknum: Height(51),
        version: "2.2.0".to_owned(),
        ..WorkerInfo::default()
    };
    let facts = Facts { session: Some(session()), ..Facts::default() };
    let message = Message { at: 1_717_052_462_007, text: "it computes".to_owned() };
    let status = pipeline::WorkerStatus {
        info: Some(info),
        facts: Some(facts),
        last_message: Some(message),
        ..seen("w", Stage::Working)
    };
    let record = record();
    let state = of(Seen { record: &record, status: Some(&status), unfit: None });
    let account = session_account(PoolId(1), &WorkerKey([2; 32]));
    let mut shown = state.to_json();
    let session = shown["sessionInfoJson"].take();
    assert_eq!(
        shown,
        json!({
            "status": "S_ACTIVE",
            "parentHeaderSynchedTo": 100,
            "paraHeaderSynchedTo": -1,
            "paraBlockDispatchedTo": 50,
            "initialized": true,
            "worker": {
                "uuid": record.id.to_string(), "pid": "1", "name": "w", "endpoint": "http://10.0.0.2:8000",
                "enabled": true, "deleted": false, "stake": "5000000000000000", "syncOnly": false,
            },
            "publicKey": "02".repeat(32),
            "lastMessage": "[05-30 07:01:02] it computes",
            "sessionInfoJson": null,
            "workerAccountId": address(&account, PHALA_PREFIX),
        })
    );
    let session: Value = serde_json::from_str(session.as_str().unwrap()).unwrap();
    assert_eq!(session["runtimeInfo"]["paraHeadernum"], 0);
    assert_eq!(session["raw"]["benchmark"]["pInit"], 2000);
    assert_eq!(
        (&session["v"], &session["benchmark"]["pInit"], &session["stats"]["totalReward"]),
        (&json!("1.50000000"), &json!("2,000"), &json!("1.5 PHA"))
    );
}

#[test]
fn v2_f110_what_is_not_known_is_absent() {
    let away = state(Some(&seen("w", Stage::Starting)), None).to_json();
    let known: Vec<_> = away.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, ["status", "worker"].map(str::to_owned));

    let fresh =
        pipeline::WorkerStatus { info: Some(WorkerInfo::default()), ..seen("w", Stage::Initializing) };
    let fresh = state(Some(&fresh), None);
    assert_eq!((fresh.initialized, fresh.parent_header_synched_to), (Some(false), None));
    let info: Value = serde_json::from_str(fresh.session_info_json()).unwrap();
    let parts: Vec<_> = info.as_object().unwrap().keys().cloned().collect();
    assert_eq!(parts, ["runtimeInfo"], "before the chain says something");
}

#[test]
fn values_have_eight_decimals_and_numbers_groups_of_three() {
    for (bits, text) in [
        (0, "0.00000000"),
        (1 << 64, "1.00000000"),
        (3 << 63, "1.50000000"),
        (u128::from(u64::MAX), "1.00000000"),
        ((1 << 64) / 3, "0.33333333"),
        (u128::MAX, "18446744073709551616.00000000"),
    ] {
        assert_eq!(value_text(bits), text);
    }
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number as u64), text);
    }
    for (name, expected) in [("blocknum", "blocknum"), ("ecdh_public_key", "ecdhPublicKey")] {
        assert_eq!(camel(name), expected);
    }
}

fn session() -> Session {
    Session {
        state: SessionState::WorkerIdle,
        ve: 1 << 64,
        v: 3 << 63,
        v_updated_at: 1_700_000_000,
        p_init: 2000,
        p_instant: 3000,
        iterations: 4,
        working_start_time: 5,
        challenge_time_last: 6,
        cool_down_start: 7,
        total_reward: 1_500_000_000_000,
    }
}
