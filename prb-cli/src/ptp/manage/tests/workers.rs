use super::*;
use crate::inventory::{Change, Pool};

fn place() -> Place {
    let place = Place::new();
    place.inventory.apply(&[2, 3].map(|pid| Change::AddPool(Pool::new(pid, None)))).unwrap();
    place
}

fn worker(number: u32) -> Value {
    json!({
        "pid": 2, "name": format!("test-node-{number}"), "endpoint": format!("http://path.to.worker{number}:8000"),
        "enabled": true, "stake": "4000000000000000",
    })
}

fn but(mut worker: Value, field: &str, value: Value) -> Value {
    worker[field] = value;
    worker
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn item(id: Value, worker: Value) -> Value {
    json!({ "items": [{ "id": id, "worker": worker }] })
}

#[tokio::test]
async fn v2_f046_workers_are_imported_as_the_guides_have_it() {
    let place = place();
    let created = place.ok(Method::CreateWorker, json!({ "workers": [worker(1), worker(2)] })).await;
    let row = |number: u32| {
        json!({
            "pid": "2", "name": format!("test-node-{number}"), "endpoint": format!("http://path.to.worker{number}:8000"),
            "enabled": true, "deleted": false, "stake": "4000000000000000", "syncOnly": false,
        })
    };
    assert_eq!(without_ids(created.clone()), json!({ "workers": [row(1), row(2)] }));
    assert_eq!(place.ok(Method::ListWorker, json!({})).await, created);
    let mut quiet = worker(3);
    quiet.as_object_mut().unwrap().remove("enabled");
    let created = place.ok(Method::CreateWorker, json!({ "workers": [quiet] })).await;
    assert_eq!(created["workers"][0]["enabled"], json!(false), "as in v2");
}

#[tokio::test]
async fn v2_f046_of_several_workers_all_are_created_or_none() {
    let place = place();
    place.ok(Method::CreateWorker, json!({ "workers": [worker(1)] })).await;
    for (second, kind, words) in [
        (but(worker(9), "pid", json!(7)), ErrorKind::NotFound, "no pool 7"),
        (worker(1), ErrorKind::Duplicated, "test-node-1"),
        (worker(8), ErrorKind::Duplicated, "test-node-8"),
        (
            but(worker(9), "endpoint", json!("http://path.to.worker1:8000/")),
            ErrorKind::Duplicated,
            "endpoint",
        ),
        (but(worker(9), "endpoint", json!("nowhere")), ErrorKind::Server, "nowhere"),
        (but(worker(9), "endpoint", Value::Null), ErrorKind::Server, "endpoint is missing"),
        (but(worker(9), "name", Value::Null), ErrorKind::Server, "name is missing"),
        (but(worker(9), "pid", Value::Null), ErrorKind::Server, "pid is missing"),
        (but(worker(9), "stake", Value::Null), ErrorKind::Server, "stake is missing"),
        (but(worker(9), "stake", json!("1.5")), ErrorKind::Server, "\"1.5\" is not a whole number of planck"),
        (but(worker(9), "stake", json!("0")), ErrorKind::Server, "stake of 0"),
    ] {
        let body = json!({ "workers": [worker(8), second] });
        let (found, text) = place.refused(Method::CreateWorker, body).await;
        assert!(found == kind && text.starts_with("workers[1]: ") && text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn v2_f046_a_worker_is_changed_or_deleted_by_uuid_or_name() {
    let place = place();
    let created =
        place.ok(Method::CreateWorker, json!({ "workers": [worker(1), worker(2), worker(3)] })).await;
    let uuid = &created["workers"][0]["uuid"];
    let moved = but(but(worker(4), "pid", json!(3)), "syncOnly", json!(true));
    let answer = place.ok(Method::UpdateWorker, item(json!({ "uuid": uuid, "name": "x" }), moved)).await;
    let row = &answer["workers"][0];
    assert_eq!((&row["uuid"], &row["name"], &row["pid"]), (uuid, &json!("test-node-4"), &json!("3")));
    assert_eq!(row["syncOnly"], json!(true));

    let off = but(worker(2), "enabled", json!(false));
    let both = json!({ "items": [
        { "id": { "name": "test-node-2" }, "worker": off },
        { "id": { "name": "test-node-3" }, "worker": { "deleted": true } },
    ] });
    let answer = place.ok(Method::UpdateWorker, both).await;
    assert_eq!(answer["workers"].as_array().unwrap().len(), 1, "what is deleted is not echoed");
    assert_eq!(answer["workers"][0]["enabled"], json!(false));
    let listed = place.ok(Method::ListWorker, json!({})).await;
    assert_eq!(listed["workers"].as_array().unwrap().len(), 2);

    for (id, kind, words) in [
        (json!({ "name": "x" }), ErrorKind::NotFound, "no worker x"),
        (json!({ "uuid": "x" }), ErrorKind::NotFound, "ListWorker"),
        (json!({ "pid": 2 }), ErrorKind::Server, "id is missing"),
        (json!({ "name": "test-node-4" }), ErrorKind::Duplicated, "test-node-2"),
    ] {
        let (found, text) = place.refused(Method::UpdateWorker, item(id, worker(2))).await;
        assert!(found == kind && text.starts_with("items[0]: ") && text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_gatekeeper_stays_one_whatever_v2_says_of_it() {
    let place = place();
    place.ok(Method::CreateWorker, json!({ "workers": [worker(1)] })).await;
    let set = crate::inventory::WorkerSet { gatekeeper: Some(true), ..Default::default() };
    place.inventory.apply(&[Change::SetWorker("test-node-1".to_owned(), set)]).unwrap();
    place.ok(Method::UpdateWorker, item(json!({ "name": "test-node-1" }), worker(1))).await;
    assert!(place.inventory.snapshot().unwrap().workers[0].gatekeeper);
}

#[tokio::test]
async fn many_workers_come_in_one_call() {
    let place = place();
    let workers: Vec<_> = (0..MAX_WORKERS as u32).map(worker).collect();
    let created = place.ok(Method::CreateWorker, json!({ "workers": workers })).await;
    assert_eq!(created["workers"].as_array().unwrap().len(), MAX_WORKERS);
}
