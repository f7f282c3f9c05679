//! Against a stub that answers as v3 does.

use crate::inventory::{Change, Inventory, Operator};
use crate::migrate::{Taken, from_v3};
use crate::secret::Sealed;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

const ALICE: &str = "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2";

/// Serves `answers`, one connection each; gives back what was posted.
fn manager(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.ends_with(b"null}") {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "the request ends early: {}", String::from_utf8_lossy(&request));
                request.extend_from_slice(&piece[..read]);
            }
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
            asked.push(String::from_utf8(request).unwrap());
        }
        asked
    });
    (url, serving)
}

fn worker(name: &str, stake: &str, gatekeeper: bool) -> Value {
    json!({
        "id": "4f1d2c64-5a0e-4c37-9d53-9f4d1f0c2b10", "name": name, "endpoint": format!("http://{name}:8000/"), "stake": stake,
        "pid": 1, "enabled": true, "sync_only": false, "gatekeeper": gatekeeper,
    })
}

fn pools() -> String {
    let id = "0a52a8a4-ff3c-4c6b-8a4e-0d3a1b1f8f00";
    let workers = [worker("w1", "1500000000000000", false), worker("gk", "0", true)];
    json!([
        { "id": id, "name": "north", "pid": 1, "enabled": true, "sync_only": false, "workers": workers },
        { "id": id, "name": "south", "pid": 2, "enabled": false, "sync_only": true, "workers": [] },
    ])
    .to_string()
}

fn operators() -> String {
    let operator = |pid: u64, proxied: Value| json!({ "pid": pid, "operator_account_id": ALICE, "proxied_account_id": proxied });
    let bob = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
    json!([operator(1, Value::Null), operator(2, json!(bob))]).to_string()
}

fn migrate(
    inventory: &Inventory,
    answers: Vec<(u16, String)>,
    dry_run: bool,
) -> (Result<Taken, String>, Vec<String>) {
    let (url, serving) = manager(answers);
    let taken = from_v3(inventory, &url, dry_run).map_err(|error| error.to_string());
    (taken, serving.join().unwrap())
}

#[test]
fn v3_f40_pools_and_workers_are_taken_over_and_operators_found_by_their_account() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(folder.path()).unwrap();
    let account = crate::account::parse(ALICE).unwrap();
    let operator = Operator { name: "main".into(), account, proxied: None, secret: Sealed::lost() };
    inventory.apply(&[Change::AddOperator(operator)]).unwrap();
    let answers = || vec![(200, pools()), (200, operators())];

    let (shown, _) = migrate(&inventory, answers(), true);
    assert_eq!((shown.unwrap().affected.len(), inventory.revision().unwrap()), (5, 1));
    let (taken, asked) = migrate(&inventory, answers(), false);
    let taken = taken.unwrap();
    for (request, command) in asked.iter().zip(["GetAllPoolsWithWorkers", "GetAllPoolOperators"]) {
        assert!(request.starts_with("POST /wm/config HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("content-type: application/json") && request.contains(command), "{request}");
    }
    let snapshot = inventory.snapshot().unwrap();
    let (north, south) = (snapshot.pool(1).unwrap(), snapshot.pool(2).unwrap());
    assert_eq!((north.operator.as_deref(), south.operator.as_deref()), (Some("main"), None));
    assert_eq!((south.name.as_str(), south.enabled, south.sync_only), ("south", false, true));
    let (w1, gatekeeper) = (snapshot.worker("w1").unwrap(), snapshot.worker("gk").unwrap());
    assert_eq!((w1.stake, w1.pool, gatekeeper.gatekeeper), (1_500_000_000_000_000, 1, true));
    assert_eq!(taken.remaining.len(), 1);
    assert!(taken.remaining[0].contains("prb pool set 2 --operator NAME"), "{:?}", taken.remaining);
}

#[test]
fn a_gatekeeper_that_is_only_kept_in_step_comes_as_what_nothing_is_sent_for() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(folder.path()).unwrap();
    let mut both = worker("gk", "0", true);
    both["sync_only"] = true.into();
    let pool =
        json!([{ "id": "a", "name": "p", "pid": 1, "enabled": true, "sync_only": false, "workers": [both] }]);
    let taken = migrate(&inventory, vec![(200, pool.to_string()), (200, "[]".to_owned())], false).0.unwrap();
    let worker = inventory.snapshot().unwrap().worker("gk").unwrap().clone();
    assert_eq!((worker.sync_only, worker.gatekeeper), (true, false));
    assert!(taken.remaining[0].contains("prb worker set gk --sync-only=false --gatekeeper"), "{taken:?}");
}

#[test]
fn a_manager_that_fails_or_is_none_is_told_of_and_nothing_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(folder.path()).unwrap();
    let cases = [
        (vec![(418, String::new())], "it answers 418"),
        (vec![(200, "{}".to_owned())], "not that of PRB v3"),
        (vec![(200, pools()), (500, "{}".to_owned())], "it answers 500"),
        (vec![(200, pools().replace("\"1500000000000000\"", "\"much\"")), (200, operators())], "planck"),
    ];
    for (answers, reason) in cases {
        let refused = migrate(&inventory, answers, false).0.unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    let unreachable =
        [("https://h", "must be like http://"), ("http://127.0.0.1:1", "refused"), ("h", "must be like")];
    for (url, reason) in unreachable {
        let refused = from_v3(&inventory, url, false).unwrap_err().to_string();
        assert!(refused.contains(url) && refused.contains(reason), "{refused}");
    }
    assert_eq!(inventory.revision().unwrap(), 0);
}
