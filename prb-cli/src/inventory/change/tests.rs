//! What changes come to, and which are refused.

use super::*;

fn operator(name: &str) -> Operator {
    Operator { name: name.into(), account: AccountId([1; 32]), proxied: None, secret: Sealed::lost() }
}

fn worker(name: &str) -> WorkerRecord {
    WorkerRecord::new(name, format!("http://127.0.0.1:8000/{name}"), 1, 5)
}

fn pool(pid: u64) -> Pool {
    Pool::new(pid, Some("alice".into()))
}

/// Operator alice, her pools 1 and 2, worker w1 in pool 1.
fn snapshot() -> Snapshot {
    Snapshot {
        operators: vec![operator("alice")],
        pools: vec![pool(1), Pool { sync_only: true, ..pool(2) }],
        workers: vec![worker("w1")],
        revision: 0,
    }
}

fn set(set: WorkerSet) -> Change {
    Change::SetWorker("w1".into(), set)
}

#[test]
fn each_change_says_what_it_came_to() {
    let mut snapshot = snapshot();
    let stake = |stake| WorkerSet { stake: Some(stake), ..WorkerSet::default() };
    let changes = [
        (Change::AddWorker(worker("w2")), "worker w2 added with a stake of 0.000000000005 PHA"),
        (set(stake(2_000_000_000_000)), "worker w1 changed: stake 0.000000000005 PHA -> 2 PHA"),
        (set(stake(2_000_000_000_000)), "worker w1 is like that already"),
        (
            set(WorkerSet { pool: Some(2), enabled: Some(false), ..Default::default() }),
            "worker w1 changed: enabled true -> false, pool 1 -> 2",
        ),
        (
            Change::SetPool(
                1,
                PoolSet { name: Some("north".into()), operator: Some(None), ..Default::default() },
            ),
            "pool 1 changed: name none -> north, operator alice -> none",
        ),
        (
            Change::RemoveWorker("w2".into()),
            "worker w2 at http://127.0.0.1:8000/w2 removed; what it does on chain is not touched",
        ),
        (Change::RemovePool(1), "pool 1 removed"),
        (
            Change::AddPool(Pool::new(3, None)),
            "pool 3 added; it has no operator, so its workers are only kept in step",
        ),
    ];
    for (change, text) in changes {
        assert_eq!(apply(&mut snapshot, &[change]).unwrap()[0].text(), text);
    }
}

#[test]
fn a_secret_that_is_replaced_is_named_and_not_shown() {
    let identity = crate::identity::Identity::generate().unwrap();
    let secret = Sealed::seal(&identity, "alice", b"//Alice").unwrap();
    let key = Some((AccountId([2; 32]), secret.clone()));
    let change = Change::SetOperator("alice".into(), OperatorSet { key, proxied: None });
    let affected = apply(&mut snapshot(), &[change]).unwrap();
    let said = format!("{}{}{:?}", affected[0].text(), affected[0].json(), affected[0]);
    assert!(said.contains("its secret") && said.contains(&AccountId([2; 32]).to_string()), "{said}");
    let serde_json::Value::String(bytes) = json!(secret) else { panic!() };
    assert!(!said.contains(&bytes), "{said}");
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let at = |endpoint: &str| set(WorkerSet { endpoint: Some(endpoint.into()), ..Default::default() });
    let stake_0 = WorkerSet { stake: Some(0), ..Default::default() };
    let cases: &[(&[Change], &str)] = &[
        (&[Change::AddOperator(operator("alice"))], "there is operator alice already"),
        (&[Change::AddOperator(operator(""))], "operator name \"\" must have"),
        (&[Change::AddPool(pool(1))], "there is pool 1 already"),
        (&[Change::AddPool(Pool::new(3, Some("bob".into())))], "there is no operator bob"),
        (&[Change::SetPool(3, PoolSet::default())], "there is no pool 3"),
        (&[Change::RemovePool(1)], "pool 1 is used by worker w1"),
        (&[Change::RemoveOperator("alice".into())], "operator alice is used by pool 1"),
        (&[Change::RemoveOperator("bob".into())], "there is no operator bob"),
        (&[Change::AddWorker(worker("w1"))], "there is worker w1 already"),
        (&[Change::AddWorker(WorkerRecord { pool: 9, ..worker("w2") })], "there is no pool 9"),
        (&[Change::AddWorker(WorkerRecord { stake: 0, ..worker("w2") })], "a stake of 0"),
        (
            &[
                Change::AddWorker(worker("w2")),
                Change::SetWorker("w2".into(), WorkerSet { name: Some("w1".into()), ..Default::default() }),
            ],
            "there is worker w1 already",
        ),
        (&[set(stake_0)], "a stake of 0"),
        (&[at("ftp://h")], "scheme"),
        (
            &[Change::AddWorker(worker("w2")), at("http://127.0.0.1:8000/w2/")],
            "is the endpoint of worker w2 already",
        ),
        (&[Change::RemoveWorker("w1".into()), Change::RemoveWorker("w1".into())], "there is no worker w1"),
    ];
    for (changes, reason) in cases {
        let mut snapshot = snapshot();
        let before = format!("{snapshot:?}");
        let refused = apply(&mut snapshot, changes).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
        assert_eq!(refused.at, changes.len() - 1);
        assert_eq!(format!("{snapshot:?}"), before, "{refused}");
    }
}

#[test]
fn only_what_is_to_compute_needs_a_stake() {
    let idle = |name: &str| WorkerRecord { stake: 0, ..worker(name) };
    let fine = [
        Change::AddWorker(WorkerRecord { sync_only: true, ..idle("a") }),
        Change::AddWorker(WorkerRecord { gatekeeper: true, ..idle("b") }),
        Change::AddWorker(WorkerRecord { pool: 2, ..idle("c") }),
    ];
    let mut snapshot = snapshot();
    apply(&mut snapshot, &fine).unwrap();
    let at_work = Change::SetPool(2, PoolSet { sync_only: Some(false), ..Default::default() });
    let refused = apply(&mut snapshot, &[at_work]).unwrap_err();
    assert_eq!(refused.why, Refusal::NoStake { worker: "c".into() });
}

#[test]
fn a_gatekeeper_is_not_only_kept_in_step_unless_it_was_before() {
    let both = |name: &str| WorkerRecord { sync_only: true, gatekeeper: true, ..worker(name) };
    let mut snapshot = snapshot();
    let refused = apply(&mut snapshot, &[Change::AddWorker(both("a"))]).unwrap_err();
    assert_eq!(refused.why, Refusal::BothModes { worker: "a".into() });
    let set =
        |sync_only, gatekeeper, enabled| WorkerSet { sync_only, gatekeeper, enabled, ..Default::default() };
    for made in [set(Some(true), Some(true), None), set(None, Some(true), None)] {
        let first = Change::SetWorker("w1".into(), set(Some(true), None, None));
        let refused = apply(&mut snapshot, &[first, Change::SetWorker("w1".into(), made)]).unwrap_err();
        assert!(refused.to_string().contains("choose --sync-only or --gatekeeper"), "{refused}");
    }
    // An earlier release took it.
    snapshot.workers.push(both("old"));
    apply(&mut snapshot, &[Change::SetWorker("old".into(), set(None, None, Some(false)))]).unwrap();
    apply(&mut snapshot, &[Change::SetWorker("old".into(), set(Some(false), None, None))]).unwrap();
}

#[test]
fn one_endpoint_is_one_worker_however_it_is_written() {
    let at = |name: &str, endpoint: &str| {
        Change::AddWorker(WorkerRecord { endpoint: endpoint.into(), ..worker(name) })
    };
    let mut snapshot = snapshot();
    apply(&mut snapshot, &[at("w2", "http://Host")]).unwrap();
    for same in ["http://host:80", "HTTP://HOST/", "http://host:80/"] {
        let refused = apply(&mut snapshot, &[at("w3", same)]).unwrap_err();
        assert_eq!(refused.why, Refusal::EndpointInUse { endpoint: same.into(), user: "w2".into() });
    }
    for other in ["http://host:8000", "http://host/base", "http://host/Base"] {
        apply(&mut snapshot, &[at(other, other)]).unwrap();
    }
}

#[test]
fn tags_are_kept_once_and_in_order_and_bounded() {
    let tagged = |tags: &[&str]| {
        set(WorkerSet { tags: Some(tags.iter().map(|&tag| tag.into()).collect()), ..Default::default() })
    };
    let mut snapshot = snapshot();
    let affected = apply(&mut snapshot, &[tagged(&["rack-1", " gpu ", "rack-1"])]).unwrap();
    assert_eq!(affected[0].text(), "worker w1 changed: tags none -> gpu;rack-1");
    assert_eq!(snapshot.workers[0].tags, ["gpu", "rack-1"]);
    let many: Vec<String> = (0..=MAX_TAGS).map(|tag| format!("t{tag}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = "x".repeat(MAX_TAG + 1);
    for (tags, reason) in [
        (&[""][..], "1 to 32 characters"),
        (&["a b"], "\"a b\""),
        (&["a;b"], "letters, digits"),
        (&["ä"], "letters, digits"),
        (&[long.as_str()], "1 to 32 characters"),
        (&many, "at most 16 tags"),
    ] {
        let refused = apply(&mut snapshot, &[tagged(tags)]).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    let none = apply(&mut snapshot, &[tagged(&[])]).unwrap();
    assert_eq!(none[0].text(), "worker w1 changed: tags gpu;rack-1 -> none");
    // As releases before tags wrote it.
    let record = serde_json::to_value(&snapshot.workers[0]).unwrap();
    assert!(record.get("tags").is_none(), "{record}");
    assert_eq!(serde_json::from_value::<WorkerRecord>(record).unwrap(), snapshot.workers[0]);
}

#[test]
fn of_several_changes_those_are_made_that_can_be() {
    let mut snapshot = snapshot();
    let at = |name: &str, endpoint: &str| {
        Change::SetWorker(name.into(), WorkerSet { endpoint: Some(endpoint.into()), ..Default::default() })
    };
    let changes = [
        Change::AddWorker(worker("w2")),
        at("w1", "http://127.0.0.1:8000/w2"),
        Change::RemoveWorker("w9".into()),
        at("w1", "http://127.0.0.1:8000/w3"),
        at("w2", "http://127.0.0.1:8000/w1"),
    ];
    let made = apply_each(&mut snapshot, &changes);
    let oks: Vec<bool> = made.iter().map(Result::is_ok).collect();
    assert_eq!(oks, [true, false, false, true, true], "{made:?}");
    let endpoints: Vec<&str> = snapshot.workers.iter().map(|worker| worker.endpoint.as_str()).collect();
    assert_eq!(endpoints, ["http://127.0.0.1:8000/w3", "http://127.0.0.1:8000/w1"]);
}
