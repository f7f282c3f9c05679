//! The JSON of v3, as its reference has it.

use super::*;
use crate::identity::Passphrase;
use tempfile::TempDir;

/// Account of `//Alice` on Phala.
const ALICE: &str = "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2";
/// Its secret key: scalar and nonce seed as `sp_core` writes them.
const ALICE_KEY: &str = "98319d4ff8a9508c4bb0cf0b5a78d760a0b2082c02775e6e82370816fedfff48925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011";

struct Place {
    _folder: TempDir,
    inventory: Inventory,
    keyring: Keyring,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inventory = Inventory::open(&folder.path().join("inventory")).unwrap();
        let keyring = Keyring::new(folder.path().join("identity.key"), Passphrase::default());
        Self { _folder: folder, inventory, keyring }
    }

    fn run(&self, body: Value) -> Result<Option<Value>, String> {
        let command: Command = serde_json::from_value(body).map_err(|error| error.to_string())?;
        run(&self.inventory, &self.keyring, &command).map_err(|error| error.to_string())
    }

    /// The answer without ids, which must be uuids.
    fn ok(&self, body: Value) -> Value {
        let mut answer = self.run(body).unwrap().unwrap();
        without_ids(&mut answer);
        answer
    }
}

fn without_ids(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        Value::Object(fields) => {
            if let Some(id) = fields.get_mut("id") {
                assert!(uuid::Uuid::parse_str(id.as_str().unwrap()).is_ok(), "{id}");
                *id = json!("uuid");
            }
            fields.values_mut().for_each(without_ids);
        }
        _ => {}
    }
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn pool(name: &str, enabled: bool, workers: Value) -> Value {
    json!({ "id": "uuid", "name": name, "pid": 1, "enabled": enabled, "sync_only": false, "workers": workers })
}

/// Also v3_f42.
#[test]
fn v3_f41_each_command_is_answered_with_the_exact_json() {
    let place = Place::new();
    let add =
        json!({ "AddPool": { "name": "p", "pid": 1, "disabled": false, "sync_only": false, "unknown": 1 } });
    assert_eq!(place.ok(add), pool("p", true, Value::Null));
    let fields = json!({
        "name": "w", "endpoint": "http://h:8000", "stake": "1", "pid": 1, "disabled": false, "sync_only": false, "gatekeeper": false,
    });
    let worker = json!({
        "id": "uuid", "name": "w", "endpoint": "http://h:8000/", "stake": "1", "pid": 1, "enabled": true, "sync_only": false,
        "gatekeeper": false,
    });
    assert_eq!(place.ok(json!({ "AddWorker": fields })), worker);
    assert_eq!(place.ok(json!({ "GetPool": { "pid": 1 } })), pool("p", true, Value::Null));
    assert_eq!(place.ok(json!({ "GetPoolWithWorkers": { "pid": 1 } })), pool("p", true, json!([worker])));
    for all in [json!("GetAllPools"), json!({ "GetAllPools": null })] {
        assert_eq!(place.ok(all), json!([pool("p", true, Value::Null)]));
    }
    assert_eq!(place.ok(json!("GetAllPoolsWithWorkers")), json!([pool("p", true, json!([worker]))]));
    assert!(place.run(json!({ "GetAllPools": {} })).is_err());
    assert_eq!(place.run(json!({ "GetPool": { "pid": 9 } })), Ok(None));

    let update = json!({ "UpdatePool": { "name": "q", "pid": 1, "disabled": true, "sync_only": false } });
    assert_eq!(place.ok(update), pool("q", false, Value::Null));
    let update = json!({ "UpdateWorker": {
        "name": "w", "new_name": "v", "endpoint": "https://h:443/base/", "stake": "340282366920938463463374607431768211455",
        "pid": 1, "disabled": true, "sync_only": false, "gatekeeper": true,
    } });
    let worker = json!({
        "id": "uuid", "name": "v", "endpoint": "https://h/base", "stake": "340282366920938463463374607431768211455", "pid": 1,
        "enabled": false, "sync_only": false, "gatekeeper": true,
    });
    assert_eq!(place.ok(update), worker);

    assert_eq!(place.ok(json!("GetAllPoolOperators")), json!([]));
    assert!(place.run(json!({ "GetPoolOperator": { "pid": 1 } })).unwrap_err().contains("SetPoolOperator"));
    let set = |account: &str, kind: &str, proxied: Value| json!({ "SetPoolOperator": { "pid": 1, "account": account, "account_type": kind, "proxied_account_id": proxied } });
    let operator =
        |proxied: Value| json!({ "pid": 1, "operator_account_id": ALICE, "proxied_account_id": proxied });
    assert_eq!(place.ok(set("//Alice", "Seed", Value::Null)), operator(Value::Null));
    let by_key = set(ALICE_KEY, "SecretKey", json!("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"));
    let answered = place.ok(by_key);
    assert_eq!(answered, operator(json!("43qsYbZGLn2xzNuurY6BY4QNDSUU7gLEcXuckpm6B3DEmEx9")));
    assert_eq!(place.ok(json!({ "GetPoolOperator": { "pid": 1 } })), answered);
    assert_eq!(place.ok(json!("GetAllPoolOperators")), json!([answered]));

    let worker = place.inventory.snapshot().unwrap().workers[0].name.clone();
    assert_eq!(place.ok(json!({ "RemoveWorker": { "name": worker } })), json!({ "ok": true }));
    assert_eq!(place.ok(json!({ "RemovePool": { "pid": 1 } })), json!({ "ok": true }));
    assert_eq!(place.ok(json!("GetAllPools")), json!([]));
}

#[test]
fn v3_f46_what_cannot_be_used_is_refused_with_its_reason() {
    let place = Place::new();
    let add =
        |pid: u64| json!({ "AddPool": { "name": "p", "pid": pid, "disabled": false, "sync_only": false } });
    place.ok(add(1));
    let worker = |name: &str, endpoint: &str, stake: &str, pid: u64| {
        json!({ "AddWorker": {
            "name": name, "endpoint": endpoint, "stake": stake, "pid": pid, "disabled": false, "sync_only": false,
            "gatekeeper": false,
        } })
    };
    place.ok(worker("w", "http://h", "1", 1));
    let set = |kind: &str, account: &str| json!({ "SetPoolOperator": { "pid": 1, "account": account, "account_type": kind } });
    let mut both = worker("v", "http://i", "1", 1);
    (both["AddWorker"]["sync_only"], both["AddWorker"]["gatekeeper"]) = (true.into(), true.into());
    let cases = [
        (both, "sync-only and a gatekeeper at once"),
        (add(1), "there is pool 1 already"),
        (worker("w", "http://i", "1", 1), "there is worker w already"),
        (worker("v", "http://h/", "1", 1), "endpoint of worker w already"),
        (worker("v", "ftp://i", "1", 1), "scheme"),
        (worker("v", "http://i", "1.5", 1), "planck"),
        (worker("v", "http://i", "340282366920938463463374607431768211456", 1), "planck"),
        (worker("v", "http://i", "0", 1), "a stake of 0"),
        (worker("v", "http://i", "1", 2), "there is no pool 2"),
        (json!({ "RemovePool": { "pid": 1 } }), "used by worker w"),
        (json!({ "RemovePool": { "pid": 2 } }), "there is no pool 2"),
        (json!({ "RemoveWorker": { "name": "v" } }), "there is no worker v"),
        (set("SecretKey", "//Alice"), "no hex of 64 bytes"),
        (set("Seed", ALICE_KEY), "the hex of 64 bytes"),
        (set("Seed", "no such phrase"), "key is neither"),
        (
            json!({ "AddPool": { "name": "p", "pid": "1", "disabled": false, "sync_only": false } }),
            "invalid type",
        ),
        (json!({ "AddPool": { "name": "p", "pid": 3, "disabled": false } }), "missing field `sync_only`"),
        (json!({ "Shutdown": null }), "unknown variant"),
    ];
    for (body, reason) in cases {
        let refused = place.run(body.clone()).unwrap_err();
        assert!(refused.contains(reason), "{body} {refused}");
    }
    assert_eq!(place.inventory.revision().unwrap(), 2);
}

/// Also v3_f31.
#[test]
fn v3_f44_pools_with_one_key_share_an_operator_and_part_when_one_gets_another() {
    let place = Place::new();
    for pid in 1..=3 {
        place.ok(json!({ "AddPool": { "name": "", "pid": pid, "disabled": false, "sync_only": false } }));
    }
    let set = |pid: u64, account: &str| {
        place.ok(json!({ "SetPoolOperator": { "pid": pid, "account": account, "account_type": "Seed" } }))
    };
    let operators = || {
        let snapshot = place.inventory.snapshot().unwrap();
        snapshot.pools.into_iter().map(|pool| pool.operator.unwrap_or_default()).collect::<Vec<_>>()
    };
    set(1, "//Alice");
    set(2, "//Alice");
    assert_eq!(operators(), ["pool-1", "pool-1", ""]);
    set(1, "//Bob");
    assert_eq!(operators(), ["pool-1-2", "pool-1", ""], "pool 2 keeps its key");
    set(1, "//Charlie");
    assert_eq!(operators(), ["pool-1-2", "pool-1", ""], "who has an operator alone gets another key for it");
    let snapshot = place.inventory.snapshot().unwrap();
    assert_eq!(snapshot.operators.len(), 2);
    let identity = place.keyring.open(&snapshot.operators).unwrap();
    let opened = |name: &str| snapshot.operator(name).unwrap().secret.open(&identity, name).unwrap();
    assert_eq!((opened("pool-1").as_str(), opened("pool-1-2").as_str()), ("//Alice", "//Charlie"));
}

#[test]
fn a_secret_is_shown_by_no_command() {
    let body = json!({ "SetPoolOperator": { "pid": 1, "account": "//hunter2", "account_type": "Seed" } });
    let command: Command = serde_json::from_value(body).unwrap();
    assert!(!format!("{command:?}").contains("hunter2"));
}
