//! The routes of PRB v3.

use super::{JSON, Place, here};
use crate::api::serve::Limits;
use serde_json::{Value, json};

const ALICE: &str = "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2";
const KEY_OF_ALICE: &str = "98319d4ff8a9508c4bb0cf0b5a78d760a0b2082c02775e6e82370816fedfff48925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011";

#[tokio::test]
async fn v3_f49_the_build_is_told_and_what_there_is_not_is_answered_as_v3_does() {
    let place = Place::new().await;
    let status = place.get("/wm/status").await;
    assert_eq!(status.status, 200);
    assert!(
        status.json()["git_revision"].as_str().is_some_and(|revision| !revision.is_empty()),
        "{status:?}"
    );
    assert_eq!(place.get("/v1/version").await.json()["version"], env!("CARGO_PKG_VERSION"));
    let restart = place.ask("PUT", "/wm/restart", &[], "").await;
    assert_eq!((restart.status, restart.json()), (405, json!({ "ok": true })));
    for (method, path, status) in
        [("GET", "/", 418), ("GET", "/nothing", 418), ("GET", "/wm/config", 405), ("POST", "/tx/status", 405)]
    {
        let answer = place.ask(method, path, &[], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{method} {path}");
    }
    place.end().await;
}

/// Also v2_f031, v3_f43.
#[tokio::test]
async fn v3_f41_all_commands_of_configuration_are_carried_out_over_http() {
    let place = Place::new().await;
    let run = async |command: Value| {
        let answer = place.post("/wm/config", &command.to_string()).await;
        assert_eq!(answer.status, 200, "{command}: {answer:?}");
        assert!(answer.has("content-type: text/plain; charset=utf-8"), "{answer:?}");
        answer.json()
    };
    let pool = json!({ "name": "p", "pid": 2, "disabled": false, "sync_only": false });
    assert_eq!(run(json!({ "AddPool": pool })).await["name"], "p");
    let pool = json!({ "name": "q", "pid": 2, "disabled": true, "sync_only": true });
    assert_eq!(run(json!({ "UpdatePool": pool })).await["enabled"], false);
    assert_eq!(run(json!({ "GetPool": { "pid": 2 } })).await["workers"], Value::Null);
    assert_eq!(run(json!({ "GetPoolWithWorkers": { "pid": 2 } })).await["workers"], json!([]));
    assert_eq!(run(json!({ "GetAllPools": null })).await.as_array().unwrap().len(), 2);
    let all = run(json!("GetAllPoolsWithWorkers")).await;
    assert_eq!(all[0]["workers"][1]["name"], "w2", "{all}");
    let fields = |name: &str, stake: &str, new: Option<&str>| {
        json!({
            "name": name, "new_name": new, "endpoint": "http://h:8000", "stake": stake, "pid": 2, "disabled": false,
            "sync_only": false, "gatekeeper": false,
        })
    };
    let added = run(json!({ "AddWorker": fields("w3", "7", None) })).await;
    assert_eq!((&added["stake"], &added["endpoint"]), (&json!("7"), &json!("http://h:8000/")));
    let updated = run(json!({ "UpdateWorker": fields("w3", "8", Some("w4")) })).await;
    assert_eq!((&updated["name"], &updated["id"]), (&json!("w4"), &added["id"]));
    let set =
        json!({ "pid": 2, "account": KEY_OF_ALICE, "account_type": "SecretKey", "proxied_account_id": null });
    let operator = json!({ "pid": 2, "operator_account_id": ALICE, "proxied_account_id": null });
    assert_eq!(run(json!({ "SetPoolOperator": set })).await, operator);
    assert_eq!(run(json!({ "GetPoolOperator": { "pid": 2 } })).await, operator);
    assert_eq!(run(json!({ "GetAllPoolOperators": null })).await.as_array().unwrap().len(), 2);

    // What was changed is followed without a restart.
    place.deployment.apply_inventory().await.unwrap();
    let names: Vec<_> =
        place.deployment.bridge().workers_status().iter().map(|one| one.worker.name.to_string()).collect();
    assert_eq!(names, ["w1", "w2", "w4"]);

    let refused = async |command: Value, status: u16, words: &str| {
        let answer = place.post("/wm/config", &command.to_string()).await;
        assert_eq!(answer.status, status, "{command}: {answer:?}");
        assert!(answer.message().contains(words), "{command}: {answer:?}");
        answer.json()
    };
    // PRB v3 ended at this one.
    let failed = refused(json!({ "RemoveWorker": { "name": "w9" } }), 500, "w9").await;
    assert_eq!((&failed["code"], &failed["backtrace"]), (&json!("ServerError"), &json!("")));
    refused(json!({ "RemovePool": { "pid": 2 } }), 500, "w4").await;
    refused(json!({ "GetPool": { "pid": 9 } }), 500, "there is no pool 9").await;
    refused(json!({ "GetPool": {} }), 422, "pid").await;
    refused(json!({ "Sell": null }), 422, "Sell").await;
    assert_eq!(run(json!({ "RemoveWorker": { "name": "w4" } })).await, json!({ "ok": true }));
    assert_eq!(run(json!({ "RemovePool": { "pid": 2 } })).await, json!({ "ok": true }));

    let plain = place.ask("POST", "/wm/config", &[("content-type", "text/plain")], "\"GetAllPools\"").await;
    assert_eq!(plain.status, 415, "{plain:?}");
    place.end().await;
}

#[tokio::test]
async fn i8_a_secret_that_was_given_is_in_no_answer() {
    let place = Place::new().await;
    let words = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let set = |kind: &str| {
        json!({ "SetPoolOperator": { "pid": 1, "account": words, "account_type": kind } }).to_string()
    };
    let mut said = vec![
        place.post("/wm/config", &set("SecretKey")).await.body,
        place.post("/wm/config", &set("sausage")).await.body,
        place.post("/wm/config", &set("Seed").replace("legal", "sausage")).await.body,
        place.post("/wm/config", &set("Seed")).await.body,
    ];
    assert!(said[3].contains("operator_account_id"), "{}", said[3]);
    for path in [
        "/workers/status",
        "/tx/status",
        "/v1/workers",
        "/v1/pools",
        "/v1/operators",
        "/v1/transactions",
        "/readyz",
    ] {
        said.push(place.get(path).await.body);
    }
    for command in ["GetAllPools", "GetAllPoolsWithWorkers", "GetAllPoolOperators"] {
        said.push(place.post("/wm/config", &json!(command).to_string()).await.body);
    }
    let sealed = place.deployment.inventory().snapshot().unwrap().operators;
    let sealed: Vec<_> = sealed.iter().map(|one| serde_json::to_value(&one.secret).unwrap()).collect();
    for body in said {
        assert!(!body.contains("sausage"), "{body}");
        assert!(sealed.iter().all(|secret| !body.contains(secret.as_str().unwrap())), "{body}");
    }
    place.end().await;
}

#[tokio::test]
async fn v3_f23_workers_and_their_states_are_told_over_http() {
    let place = Place::new().await;
    place
        .deployment
        .inventory()
        .apply(&[crate::inventory::Change::SetWorker(
            "w2".to_owned(),
            crate::inventory::WorkerSet { enabled: Some(false), ..Default::default() },
        )])
        .unwrap();
    place.deployment.apply_inventory().await.unwrap();
    let answer = place.get("/workers/status").await;
    assert!(answer.status == 200 && answer.has("content-type: application/json"), "{answer:?}");
    let said = answer.json();
    let [first, second] = said["workers"].as_array().unwrap().as_slice() else { panic!("{said}") };
    assert_eq!((&first["worker"]["name"], &second["worker"]["name"]), (&json!("w1"), &json!("w2")));
    assert_eq!((&second["state"], &first["phactory_info"]), (&json!("Disabled"), &Value::Null));
    let mut keys: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["last_message", "phactory_info", "session_info", "state", "worker"]);
    // One that is away is told with the reason.
    let begun = tokio::time::Instant::now();
    while !place.get("/workers/status").await.json()["workers"][0]["state"]["HasError"].is_string() {
        assert!(begun.elapsed() < super::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    place.end().await;
}

#[tokio::test]
async fn v3_f24_workers_are_restarted_over_http() {
    let place = Place::new().await;
    let ids = json!({ "ids": [place.id("w1").await, "no such id"] }).to_string();
    let answer = place.put("/workers/restart", &ids).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
    place.told("w1", "restart").await;
    let answer = place.put("/workers/restart", "{\"ids\":[\"no such id\"]}").await;
    assert_eq!(answer.status, 200, "v3 only says that it has heard");
    assert_eq!(place.put("/workers/restart", "{\"ids\":7}").await.status, 422);
    assert_eq!(place.put("/workers/restart", "{").await.status, 400);
    place.end().await;
}

/// What comes of each shows as the last message.
#[tokio::test]
async fn v3_f25_v3_f26_v3_f27_commands_to_workers_are_taken_over_http() {
    let place = Place::with(&here(), Limits::default()).await;
    let (first, second) = (place.id("w1").await, place.id("w2").await);
    let ok = json!({ "ok": true });
    let registered = place.put("/workers/force_register", &json!({ "ids": [first] }).to_string()).await;
    assert_eq!((registered.status, registered.json()), (200, ok.clone()));
    place.told("w1", "register").await;
    let requests = json!({ "requests": [{ "id": second, "endpoints": ["http://10.0.0.2:8000"] }] });
    let updated = place.put("/workers/update_endpoints", &requests.to_string()).await;
    assert_eq!((updated.status, updated.json()), (200, ok.clone()));
    place.told("w2", "endpoints").await;
    let taken = place.put("/workers/take_checkpoint", &json!({ "ids": [first, second] }).to_string()).await;
    assert_eq!((taken.status, taken.json()), (200, ok));
    place.told("w1", "checkpoint").await;
    place.told("w2", "checkpoint").await;
    place.end().await;
}

#[tokio::test]
async fn v3_f36_the_list_of_transactions_is_told_over_http() {
    let place = Place::new().await;
    let none = json!({ "tx_count": 0, "running_txs": [], "pending_txs": [], "past_txs": [] });
    assert_eq!(place.get("/tx/status").await.json(), none);
    assert!(place.path("transactions.journal").exists());
    place.end().await;
}

/// Also v3_f62, v3_f63 and v3_f64: every call of v3's monitor (4.8), with what it reads of the answers. Its proxy and its client
/// send `null` where a command takes nothing, and a user agent's headers.
#[tokio::test]
async fn v3_f65_every_call_of_v3s_monitor_is_answered_as_it_reads_it() {
    let place = Place::new().await;
    let headers = [JSON, ("accept", "application/json, text/plain, */*"), ("user-agent", "axios/1.4.0")];
    let send = async |method: &str, path: &str, body: &Value| {
        place.ask(method, path, &headers, &body.to_string()).await
    };
    let run = async |command: Value| {
        let answer = send("POST", "/wm/config", &command).await;
        assert_eq!(answer.status, 200, "{command}: {answer:?}");
        answer.json()
    };
    // Status / Workers.
    let said = place.ask("GET", "/workers/status", &headers[1..], "").await.json();
    let row = &said["workers"][0];
    assert!(row["worker"]["id"].is_string() && row["worker"]["name"].is_string(), "{row}");
    assert!(
        row["worker"]["pid"].is_u64() && row["worker"]["stake"].is_string(),
        "null or a number ends it: {row}"
    );
    assert!(row["state"].is_string() || row["state"]["HasError"].is_string(), "{row}");
    assert!(row["last_message"].is_string(), "{row}");
    for field in ["phactory_info", "session_info"] {
        assert!(row.as_object().unwrap().contains_key(field), "{field}: {row}");
    }
    let ids = json!({ "ids": [row["worker"]["id"]] });
    for action in ["restart", "force_register", "take_checkpoint"] {
        assert_eq!(send("PUT", &format!("/workers/{action}"), &ids).await.status, 200, "{action}");
    }
    // Status / Transactions.
    let said = place.get("/tx/status").await.json();
    for list in ["running_txs", "pending_txs", "past_txs"] {
        assert!(said[list].is_array(), "{list}: {said}");
    }
    assert!(said["tx_count"].is_u64(), "{said}");
    // Inventory / Pools.
    let pool = json!({ "pid": 7, "name": "seven", "sync_only": false, "disabled": false });
    run(json!({ "AddPool": pool })).await;
    let pool = json!({ "pid": 7, "name": "7", "sync_only": true, "disabled": true });
    run(json!({ "UpdatePool": pool })).await;
    let pools = run(json!({ "GetAllPools": null })).await;
    let seventh = pools.as_array().unwrap().iter().find(|pool| pool["pid"] == 7).unwrap();
    assert_eq!(
        (&seventh["name"], &seventh["enabled"], &seventh["sync_only"]),
        (&json!("7"), &json!(false), &json!(true))
    );
    assert!(seventh["id"].is_string(), "{seventh}");
    // Inventory / Workers: all fields are sent, the name as it was.
    let fields = |name: &str| {
        json!({
            "name": name, "pid": 7, "endpoint": "http://10.0.0.9:8000", "stake": "30000000000000000", "disabled": false,
            "gatekeeper": false, "sync_only": false,
        })
    };
    run(json!({ "AddWorker": fields("w7") })).await;
    let mut renamed = fields("w7");
    renamed["new_name"] = json!("w8");
    run(json!({ "UpdateWorker": renamed })).await;
    let pools = run(json!({ "GetAllPoolsWithWorkers": null })).await;
    for pool in pools.as_array().unwrap() {
        for worker in pool["workers"].as_array().expect("never null") {
            for (field, is_right) in [
                ("id", worker["id"].is_string()),
                ("name", worker["name"].is_string()),
                ("pid", worker["pid"].is_u64()),
                ("endpoint", worker["endpoint"].is_string()),
                ("stake", worker["stake"].is_string()),
                ("enabled", worker["enabled"].is_boolean()),
                ("gatekeeper", worker["gatekeeper"].is_boolean()),
                ("sync_only", worker["sync_only"].is_boolean()),
            ] {
                assert!(is_right, "{field}: {worker}");
            }
        }
    }
    // On an error it shows `response.data.message`.
    let twice = send("POST", "/wm/config", &json!({ "AddWorker": fields("w8") })).await;
    assert!(twice.status == 500 && twice.message().contains("worker w8"), "{twice:?}");
    run(json!({ "RemoveWorker": { "name": "w8" } })).await;
    // Inventory / Pool operators: without a proxied account the field is left out, null or empty text.
    for (proxied, expected) in [(json!(null), Value::Null), (json!(ALICE), json!(ALICE))] {
        let set =
            json!({ "pid": 7, "account": "//Bob", "account_type": "Seed", "proxied_account_id": proxied });
        run(json!({ "SetPoolOperator": set })).await;
        let operators = run(json!({ "GetAllPoolOperators": null })).await;
        let of_pool = operators.as_array().unwrap().iter().find(|operator| operator["pid"] == 7).unwrap();
        assert!(of_pool["operator_account_id"].is_string(), "{of_pool}");
        assert_eq!(of_pool["proxied_account_id"], expected);
    }
    run(json!({ "RemovePool": { "pid": 7 } })).await;
    place.end().await;
}

/// What the script that moves v2's deployments to v3 posts (4.5).
#[tokio::test]
async fn v3_f54_the_calls_of_v3s_migration_script_are_taken() {
    let place = Place::new().await;
    let pool = json!({ "name": "v2 pool", "pid": 42, "disabled": false, "sync_only": false });
    let operator = json!({ "pid": 42, "account": KEY_OF_ALICE, "account_type": "SecretKey", "proxied_account_id": ALICE });
    let worker = json!({
        "name": "v2-worker", "endpoint": "http://10.0.0.42:8000", "stake": "5000000000000000", "pid": 42,
        "disabled": false, "sync_only": false, "gatekeeper": false,
    });
    for command in
        [json!({ "AddPool": pool }), json!({ "SetPoolOperator": operator }), json!({ "AddWorker": worker })]
    {
        let answer = place.post("/wm/config", &command.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let said =
        place.post("/wm/config", &json!({ "GetPoolWithWorkers": { "pid": 42 } }).to_string()).await.json();
    assert_eq!((&said["name"], &said["workers"][0]["name"]), (&json!("v2 pool"), &json!("v2-worker")));
    place.end().await;
}
