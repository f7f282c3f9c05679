//! What is on disk.

use super::*;
use crate::{identity::Identity, secret::Sealed};
use prb_core::id::AccountId;
use serde_json::{Value, json};

fn operator(name: &str) -> Operator {
    let secret = Sealed::seal(&Identity::generate().unwrap(), name, b"//Alice").unwrap();
    Operator { name: name.into(), account: AccountId([1; 32]), proxied: None, secret }
}

fn filled(path: &Path) -> Inventory {
    let inventory = Inventory::open(path).unwrap();
    let worker = WorkerRecord::new("w1", "http://127.0.0.1:8000", 2, 5);
    inventory
        .apply(&[
            Change::AddOperator(operator("alice")),
            Change::AddPool(Pool::new(10, Some("alice".into()))),
            Change::AddPool(Pool::new(2, Some("alice".into()))),
            Change::AddWorker(worker),
        ])
        .unwrap();
    inventory
}

#[test]
fn v3_f40_what_is_added_is_there_after_reopening_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let written = filled(folder.path()).snapshot().unwrap();
    let snapshot = Inventory::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.pools.iter().map(|pool| pool.pid).collect::<Vec<_>>(), [2, 10]);
    assert_eq!((&snapshot.pools, &snapshot.workers), (&written.pools, &written.workers));
    assert_eq!(snapshot.operators, written.operators);
    assert_eq!(snapshot.revision, 1, "changes that are made together are one revision");
}

#[test]
fn a_list_of_changes_is_made_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = filled(folder.path());
    let before = inventory.snapshot().unwrap();
    let refused = inventory
        .apply(&[
            Change::RemoveWorker("w1".into()),
            Change::RemovePool(2),
            Change::AddWorker(WorkerRecord::new("w2", "http://127.0.0.1:8001", 2, 5)),
        ])
        .unwrap_err();
    let InventoryError::Refused(refused) = refused else { panic!("{refused}") };
    assert_eq!((refused.at, refused.why), (2, Refusal::Missing { kind: "pool", name: "2".into() }));
    let after = inventory.snapshot().unwrap();
    assert_eq!((after.workers, after.pools, after.revision), (before.workers, before.pools, 1));
}

#[test]
fn a_worker_that_is_renamed_is_there_once_and_a_change_to_the_same_is_no_revision() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = filled(folder.path());
    let rename = WorkerSet { name: Some("w9".into()), ..WorkerSet::default() };
    inventory.apply(&[Change::SetWorker("w1".into(), rename.clone())]).unwrap();
    let snapshot = inventory.snapshot().unwrap();
    assert_eq!(snapshot.workers.iter().map(|worker| worker.name.as_str()).collect::<Vec<_>>(), ["w9"]);
    assert_eq!(snapshot.revision, 2);
    let again = inventory.apply(&[Change::SetWorker("w9".into(), rename)]).unwrap();
    assert!(!again[0].changed());
    assert_eq!(inventory.revision().unwrap(), 2);
}

/// Makes an inventory as releases before format 2 did.
fn of_format_1(path: &Path) {
    let inventory = Inventory::open(path).unwrap();
    let mut txn = inventory.env.write_txn().unwrap();
    let plain = |name| -> Database<Str, SerdeJson<Value>> {
        inventory.env.open_database(&inventory.env.read_txn().unwrap(), Some(name)).unwrap().unwrap()
    };
    let sealed = operator("alice").secret;
    let alice = json!({ "name": "alice", "account": AccountId([1; 32]).to_string(), "proxied": null, "secret": sealed });
    plain("operators").put(&mut txn, "alice", &alice).unwrap();
    let pool = json!({ "pid": 7, "operator": "alice", "sync_only": true });
    plain("pools").put(&mut txn, &pool_key(7), &pool).unwrap();
    for name in ["w1", "w2"] {
        let worker = json!({
            "name": name, "endpoint": "http://127.0.0.1:8000", "pool": 7, "stake": "5", "sync_only": false,
        });
        plain("workers").put(&mut txn, name, &worker).unwrap();
    }
    inventory.meta.put(&mut txn, FORMAT_KEY, &1).unwrap();
    txn.commit().unwrap();
}

#[test]
fn the_inventory_of_an_older_release_is_brought_up_to_date_once() {
    let folder = tempfile::tempdir().unwrap();
    of_format_1(folder.path());
    let first = Inventory::open(folder.path()).unwrap().snapshot().unwrap();
    let pool = &first.pools[0];
    assert_eq!(
        (pool.pid, pool.operator.as_deref(), pool.enabled, pool.sync_only),
        (7, Some("alice"), true, true)
    );
    assert_eq!(first.workers.len(), 2);
    assert!(first.workers.iter().all(|worker| worker.enabled && !worker.gatekeeper && worker.stake == 5));
    assert_ne!(first.workers[0].id, first.workers[1].id);
    let second = Inventory::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!((first.pools, first.workers), (second.pools, second.workers), "ids stay");
}

#[test]
fn two_workers_at_one_endpoint_of_an_older_release_can_be_told_apart_again() {
    let folder = tempfile::tempdir().unwrap();
    of_format_1(folder.path());
    let inventory = Inventory::open(folder.path()).unwrap();
    let disabled = WorkerSet { enabled: Some(false), ..WorkerSet::default() };
    inventory.apply(&[Change::SetWorker("w1".into(), disabled)]).unwrap();
    let moved = WorkerSet { endpoint: Some("http://127.0.0.1:8001".into()), ..WorkerSet::default() };
    inventory.apply(&[Change::SetWorker("w2".into(), moved)]).unwrap();
    let back = WorkerSet { endpoint: Some("http://127.0.0.1:8000".into()), ..WorkerSet::default() };
    inventory.apply(&[Change::SetWorker("w2".into(), back)]).unwrap_err();
}

#[test]
fn the_inventory_of_a_newer_release_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(folder.path()).unwrap();
    let mut txn = inventory.env.write_txn().unwrap();
    inventory.meta.put(&mut txn, FORMAT_KEY, &(FORMAT + 1)).unwrap();
    txn.commit().unwrap();
    drop(inventory);
    let refused = Inventory::open(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("has format 4") && refused.contains("upgrade"), "{refused}");
}

/// What releases before tags read up to.
const BEFORE_TAGS: u64 = 2;

#[test]
fn tags_raise_the_format_that_older_releases_refuse_and_it_is_theirs_again_without() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = filled(folder.path());
    let format = || {
        let txn = inventory.env.read_txn().unwrap();
        inventory.meta.get(&txn, FORMAT_KEY).unwrap().unwrap()
    };
    let stored = || {
        let txn = inventory.env.read_txn().unwrap();
        inventory.workers.remap_data_type::<SerdeJson<Value>>().get(&txn, "w1").unwrap().unwrap()
    };
    let tag = |tags: &[&str]| {
        let tags = Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
        inventory
            .apply(&[Change::SetWorker("w1".into(), WorkerSet { tags, ..WorkerSet::default() })])
            .unwrap();
    };
    let rename = |name: &str| {
        let set = WorkerSet { name: Some(name.into()), ..WorkerSet::default() };
        Change::SetWorker(if name == "w1" { "w2" } else { "w1" }.into(), set)
    };
    // Fields that they know; they take a record with any other for damaged.
    let fields = ["enabled", "endpoint", "gatekeeper", "id", "name", "pool", "stake", "sync_only"];
    let is_readable_by_them = || {
        let mut found: Vec<_> = stored().as_object().unwrap().keys().cloned().collect();
        found.sort();
        format() == BEFORE_TAGS && found == fields
    };
    inventory.apply(&[rename("w2")]).unwrap();
    inventory.change_each(|_| vec![rename("w1")]).unwrap();
    assert!(is_readable_by_them(), "{} {}", format(), stored());
    tag(&[]);
    assert!(is_readable_by_them(), "nothing was written");

    tag(&["gpu"]);
    assert!(format() > BEFORE_TAGS, "they say which release to use, not that it is damaged");
    inventory.apply(&[Change::RemovePool(10)]).unwrap();
    assert!(format() > BEFORE_TAGS, "whatever is changed beside them");

    tag(&[]);
    assert!(is_readable_by_them(), "{} {}", format(), stored());
    inventory
        .apply(&[Change::AddWorker(WorkerRecord {
            tags: vec!["gpu".into()],
            ..WorkerRecord::new("w3", "http://127.0.0.1:8003", 2, 5)
        })])
        .unwrap();
    assert!(format() > BEFORE_TAGS);
    drop(inventory);
    assert!(Inventory::look(folder.path()).unwrap().unwrap().outlook().is_none());
    let opened = Inventory::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(opened.workers.iter().map(|worker| worker.tags.len()).sum::<usize>(), 1);
}

#[test]
fn a_look_changes_nothing_and_understands_older_formats() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Inventory::look(folder.path()).unwrap().is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
    of_format_1(folder.path());
    let before = std::fs::read(folder.path().join("data.mdb")).unwrap();
    for _ in 0..2 {
        let looked = Inventory::look(folder.path()).unwrap().unwrap();
        assert_eq!((looked.operators.len(), looked.pools, looked.workers, looked.format), (1, 1, 2, 1));
        assert!(looked.outlook().unwrap().contains("format 2"));
    }
    assert_eq!(std::fs::read(folder.path().join("data.mdb")).unwrap(), before);
    drop(Inventory::open(folder.path()).unwrap());
    assert!(Inventory::look(folder.path()).unwrap().unwrap().outlook().is_none());
}
