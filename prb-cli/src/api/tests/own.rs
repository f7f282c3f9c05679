//! prb's own routes.

use super::{Place, ask, here};
use crate::{api::serve::Limits, config};
use prb_chain::journal::{BY_OPERATOR, Journal, Record, Sent};
use prb_core::{
    id::{AccountId, Hash, Height, JobId, PoolId, WorkerKey},
    tx::Call,
};
use serde_json::{Value, json};

#[tokio::test]
async fn v2_f030_workers_pools_and_operators_are_told_over_http() {
    let place = Place::new().await;
    let all = place.get("/v1/workers").await.json();
    assert_eq!((&all["total"], &all["workers"][0]["name"]), (&json!(2), &json!("w1")));
    let one = place.get("/v1/workers?offset=1&limit=1&pool=1").await.json();
    assert_eq!((&one["total"], &one["workers"][0]["name"]), (&json!(2), &json!("w2")));
    assert_eq!(place.get("/v1/workers?state=Working").await.json()["total"], 0);
    assert_eq!(place.get("/v1/workers?name=2").await.json()["workers"][0]["name"], "w2");
    let id = place.id("w2").await;
    for path in ["/v1/workers/w2".to_owned(), format!("/v1/workers/{id}")] {
        let said = place.get(&path).await.json();
        assert_eq!((&said["id"], &said["pool"], &said["heights"]), (&json!(id), &json!(1), &Value::Null));
    }
    let pools = place.get("/v1/pools").await.json();
    assert_eq!((&pools["pools"][0]["operator"], &pools["pools"][0]["workers"]), (&json!("alice"), &json!(2)));
    let operators = place.get("/v1/operators").await.json();
    assert_eq!(
        (&operators["operators"][0]["name"], &operators["operators"][0]["pools"]),
        (&json!("alice"), &json!([1]))
    );
    for (path, status, words) in [
        ("/v1/workers?limit=0", 400, "limit"),
        ("/v1/workers?sort=name", 400, "sort"),
        ("/v1/workers/w9", 404, "there is no worker w9"),
        ("/v1/nothing", 404, "no such path"),
    ] {
        let answer = place.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.message().contains(words), "{path}: {answer:?}");
    }
    place.end().await;
}

#[tokio::test]
async fn commands_to_a_worker_are_taken_by_name_and_refused_for_one_that_there_is_not() {
    let place = Place::new().await;
    let taken = place.post("/v1/workers/w1/checkpoint", "").await;
    assert_eq!((taken.status, &taken.json()["worker"]), (202, &json!("w1")));
    place.told("w1", "checkpoint").await;
    let taken = place.post("/v1/workers/w1/endpoint", "{\"endpoints\":[\"http://10.0.0.2\"]}").await;
    assert_eq!(taken.status, 202, "{taken:?}");
    for (path, body, status, words) in [
        ("/v1/workers/w9/restart", "", 404, "there is no worker w9"),
        ("/v1/workers/w1/endpoint", "{\"endpoints\":[]}", 400, "endpoints"),
        ("/v1/workers/w1/endpoint", "{\"endpoints\":[1]}", 422, "string"),
    ] {
        let answer = place.post(path, body).await;
        assert!(answer.status == status && answer.message().contains(words), "{path}: {answer:?}");
    }
    place.end().await;
}

#[tokio::test]
async fn transactions_are_paused_and_sent_again_over_http() {
    let place = Place::new().await;
    for (verb, paused) in [("pause", true), ("pause", true), ("resume", false)] {
        let answer = place.post(&format!("/v1/transactions/{verb}"), "").await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "paused": paused })));
        assert_eq!(place.get("/v1/transactions").await.json()["paused"], paused);
    }
    let said = place.get("/v1/transactions?state=done&pool=1&limit=5").await.json();
    assert_eq!(said, json!({ "paused": false, "total": 0, "offset": 0, "limit": 5, "transactions": [] }));
    place.end().await;
}

#[tokio::test]
async fn v2_f139_a_transaction_that_waits_is_dropped_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let [waits, goes] = [1, 2].map(|number| JobId { era: 31, number });
    let accepted = |job: JobId| {
        let calls = vec![Call::AddWorker { pool: PoolId(1), worker: WorkerKey([job.number as u8; 32]) }];
        Record::Accepted { job, pool: PoolId(1), calls }
    };
    let bytes = vec![4, 0];
    let sent = Sent {
        hash: Hash::of(&bytes),
        signer: AccountId([9; 32]),
        nonce: 0,
        birth: Height(100),
        period: 32,
        bytes,
        proxied: false,
        batched: false,
        jobs: vec![(goes, 1)],
    };
    let journal = Journal::open(folder.path().join("transactions.journal")).unwrap();
    journal.write(vec![accepted(waits), accepted(goes), Record::Sent(sent)]).await.unwrap();
    drop(journal);
    let place = Place::over(folder, &here(), Limits::default()).await;
    for (id, status, words) in [
        (goes.to_string(), 409, "is under way"),
        ("1f-9".to_owned(), 404, "no transaction"),
        ("x".to_owned(), 404, "no transaction"),
        (waits.to_string(), 200, ""),
        (waits.to_string(), 409, "has ended"),
    ] {
        let answer = place.post(&format!("/v1/transactions/{id}/drop"), "").await;
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        assert!(words.is_empty() || answer.message().contains(words), "{id}: {answer:?}");
    }
    let said = place.get("/v1/transactions?state=rejected").await.json();
    let row = &said["transactions"][0];
    let expected = (&json!(1), &json!(waits.to_string()), &json!(BY_OPERATOR));
    assert_eq!((&said["total"], &row["id"], &row["message"]), expected);
    assert_eq!(place.get("/v1/transactions?state=waiting").await.json()["total"], 0);
    place.end().await;
}

#[tokio::test]
async fn nothing_is_changed_for_pages_from_elsewhere_nor_for_strangers_behind_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a-token-of-some-length\n").unwrap();
    let config = config::Api { token_file: Some(file), ..here() };
    let place = Place::with(&config, Limits::default()).await;
    let pause = async |headers: &[(&str, &str)]| {
        ask(place.address(), "POST", "/v1/transactions/pause", headers, "").await
    };
    let paused = async || place.get("/v1/transactions").await.json()["paused"] == true;
    let port = place.address().port().to_string();
    let rebound = format!("evil.example:{port}");
    for (headers, status) in [
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("host", rebound.as_str())], 403),
        (vec![("x-forwarded-for", "10.0.0.9")], 401),
        (vec![("x-forwarded-for", "10.0.0.9"), ("authorization", "Bearer another-token-entirely")], 401),
    ] {
        let answer = pause(&headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
        assert!(!answer.message().is_empty() && !paused().await, "{headers:?}");
        assert!(!answer.has("access-control-allow"), "no page is invited");
    }
    let read = place.ask("GET", "/v1/workers", &[("x-forwarded-for", "10.0.0.9")], "").await;
    assert!(read.status == 401 && read.has("www-authenticate: Bearer"), "{read:?}");
    let token = ("authorization", "Bearer a-token-of-some-length");
    assert_eq!(pause(&[("x-forwarded-for", "10.0.0.9"), token]).await.status, 200);
    assert!(paused().await);
    place.end().await;

    let missing = config::Api { token_file: Some(folder.path().join("none")), ..here() };
    let refused = crate::api::Api::with(&missing, Limits::default()).err().unwrap().to_string();
    assert!(refused.contains("api.token_file"), "{refused}");
}

#[tokio::test]
async fn v2_f140_where_a_worker_was_and_what_happened_to_it_is_told() {
    let place = Place::new().await;
    let begun = tokio::time::Instant::now();
    let said = loop {
        let said = place.get("/v1/workers/w1/history").await.json();
        if !said["points"].as_array().unwrap().is_empty() {
            break said;
        }
        assert!(begun.elapsed() < super::PATIENCE, "it is looked at: {said}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let point = &said["points"][0];
    assert!(point["at"].as_u64().is_some_and(|at| at > 1_700_000_000), "{said}");
    for height in ["relay", "para", "blocks", "tip"] {
        assert_eq!(point[height], Value::Null, "{height}: nobody knows");
    }
    assert!(said["events"][0]["text"].as_str().unwrap().contains("Starting"), "{said}");
    assert_eq!(said["events"][0]["stage"], "Starting");
    // What an operator commanded is told within a look.
    place.post("/v1/workers/w1/checkpoint", "").await;
    while !place.get("/v1/workers/w1/history").await.json()["events"].to_string().contains("checkpoint") {
        assert!(begun.elapsed() < super::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(place.get("/v1/workers/w9/history").await.status, 404);
    place.end().await;
}

#[tokio::test]
async fn what_is_logged_is_told_and_changed_and_a_wrong_filter_changes_nothing() {
    let place = Place::new().await;
    let nobodys = place.get("/v1/log").await;
    assert!(nobodys.status == 409 && nobodys.message().contains("not set up by prb"), "{nobodys:?}");
    let quiet = config::Log { filter: "off".to_owned(), ..config::Log::default() };
    crate::logs::start(&quiet).unwrap();
    // `RUST_LOG` may say something else.
    let begun = json!({ "filter": crate::logs::current().unwrap() });
    assert_eq!(place.get("/v1/log").await.json(), begun);
    let set = async |filter: &str| place.put("/v1/log", &json!({ "filter": filter }).to_string()).await;
    let changed = set("error,prb_core=off").await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let filter = place.get("/v1/log").await.json()["filter"].as_str().unwrap().to_owned();
    assert!(filter.contains("prb_core=off") && filter.contains("error"), "{filter}");
    for (wrong, words) in [("prb_core=loud", "prb_core=loud"), (&"x".repeat(2000), "at most 1024")] {
        let refused = set(wrong).await;
        assert!(refused.status == 422 && refused.message().contains(words), "{refused:?}");
    }
    assert_eq!(place.get("/v1/log").await.json()["filter"], *filter, "as it was");
    crate::logs::follow(&quiet).unwrap();
    assert_eq!(place.get("/v1/log").await.json(), begun);
    place.end().await;
}
