use super::*;
use crate::{
    account::{PHALA_PREFIX, address, parse},
    inventory::{Change, WorkerRecord},
};

/// The phrase of development accounts.
const MNEMONIC: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const ALICE: &str = "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2";
const ALICE_POLKADOT: &str = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
const BOB: &str = "43qsYbZGLn2xzNuurY6BY4QNDSUU7gLEcXuckpm6B3DEmEx9";

fn pool(pid: u64, mnemonic: &str) -> Value {
    json!({ "pid": pid, "name": format!("pool {pid}"), "owner": { "mnemonic": mnemonic }, "enabled": true })
}

fn full(pid: u64, name: &str) -> Value {
    json!({ "pid": pid, "name": name, "owner": {}, "enabled": true, "syncOnly": false })
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn item(id: Value, pool: Value) -> Value {
    json!({ "items": [{ "id": id, "pool": pool }] })
}

/// The accounts that sign, with the one that owns, by the pid of their pools.
fn signers(place: &Place) -> Vec<(u64, String, Option<String>)> {
    let snapshot = place.inventory.snapshot().unwrap();
    let identity = place.keyring.existing(&snapshot.operators).unwrap();
    let signer = |pid: u64, name: &str| {
        let operator = snapshot.operator(name).unwrap();
        let signer = operator.secret.signer(&identity, name).unwrap();
        assert_eq!(signer.account(), operator.account, "its secret is that of its account");
        let text = |account| address(&account, PHALA_PREFIX);
        (pid, text(operator.account), operator.proxied.map(text))
    };
    let pools = snapshot.pools.iter().filter_map(|pool| Some((pool.pid, pool.operator.as_deref()?)));
    pools.map(|(pid, name)| signer(pid, name)).collect()
}

fn operators(place: &Place) -> usize {
    place.inventory.snapshot().unwrap().operators.len()
}

#[tokio::test]
async fn v2_f045_pools_are_imported_as_the_guides_have_it() {
    let place = Place::new();
    let body = json!({ "pools": [
        { "pid": 2, "name": "test2", "owner": { "mnemonic": MNEMONIC }, "enabled": true, "realPhalaSs58": BOB },
        { "pid": "3", "name": "test3", "owner": { "mnemonic": "//Alice" }, "syncOnly": true, "uuid": "of no concern" },
    ] });
    let created = place.ok(Method::CreatePool, body).await;
    let root = prb_chain::keys::Signer::from_text(MNEMONIC).unwrap().account();
    let owner = json!({ "ss58Phala": address(&root, PHALA_PREFIX), "ss58Polkadot": address(&root, 0) });
    let alice = json!({ "ss58Phala": ALICE, "ss58Polkadot": ALICE_POLKADOT });
    assert_eq!(
        without_ids(created.clone()),
        json!({ "pools": [
            { "owner": owner, "pid": "2", "name": "test2", "enabled": true, "deleted": false, "realPhalaSs58": BOB, "syncOnly": false },
            { "owner": alice, "pid": "3", "name": "test3", "enabled": false, "deleted": false, "syncOnly": true },
        ] })
    );
    assert_eq!(place.ok(Method::ListPool, json!({})).await, created, "listed without its secrets");
    assert_eq!(signers(&place)[1], (3, ALICE.to_owned(), None));
}

#[tokio::test]
async fn v2_f045_pools_with_one_key_share_an_operator() {
    let place = Place::new();
    let shared = json!({ "pools": [pool(1, "//Alice"), pool(2, " //Alice "), pool(3, "//Bob")] });
    place.ok(Method::CreatePool, shared).await;
    assert_eq!(operators(&place), 2);
    place.ok(Method::CreatePool, json!({ "pools": [pool(4, "//Bob")] })).await;
    let mut proxy = pool(5, "//Bob");
    proxy["realPhalaSs58"] = json!(ALICE);
    place.ok(Method::CreatePool, json!({ "pools": [proxy] })).await;
    assert_eq!(operators(&place), 3);
    let expected =
        [(1, ALICE, None), (2, ALICE, None), (3, BOB, None), (4, BOB, None), (5, BOB, Some(ALICE))];
    let expected = expected.map(|(pid, signs, owns)| (pid, signs.to_owned(), owns.map(str::to_owned)));
    assert_eq!(signers(&place), expected);
}

#[tokio::test]
async fn v2_f045_of_several_pools_all_are_created_or_none() {
    let place = Place::new();
    place.ok(Method::CreatePool, json!({ "pools": [pool(1, "//Alice")] })).await;
    let mut same_name = pool(2, "//Bob");
    same_name["name"] = json!("pool 1");
    let mut same_pid = pool(1, "//Bob");
    same_pid["name"] = json!("another");
    let nameless = json!({ "pid": 2, "owner": { "mnemonic": "//Bob" } });
    let with_key = |key: &str| json!({ "pid": 2, "name": "b", "owner": { "mnemonic": key } });
    let mut nobody = pool(2, "//Bob");
    nobody["realPhalaSs58"] = json!("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ");
    for (second, kind, words) in [
        (same_pid, ErrorKind::Duplicated, "there is pool 1 already"),
        (pool(8, "//Bob"), ErrorKind::Duplicated, "pool 8"),
        (same_name, ErrorKind::Duplicated, "called pool 1"),
        (nameless, ErrorKind::Server, "name is missing"),
        (with_key(" "), ErrorKind::Server, "owner.mnemonic is missing"),
        (with_key("drive obey"), ErrorKind::Server, "mnemonic"),
        (nobody, ErrorKind::Server, "is no account"),
        (json!({ "name": "b", "owner": { "mnemonic": "//Bob" } }), ErrorKind::Server, "pid is missing"),
    ] {
        let body = json!({ "pools": [pool(8, "//Charlie"), second] });
        let (found, text) = place.refused(Method::CreatePool, body).await;
        assert!(found == kind && text.starts_with("pools[1]: ") && text.contains(words), "{text}");
        assert!(!text.contains("drive"), "{text}");
    }
    assert_eq!(operators(&place), 1);
}

#[tokio::test]
async fn v2_f045_a_pool_is_changed_by_uuid_name_or_pid_and_keeps_its_key() {
    let place = Place::new();
    let created =
        place.ok(Method::CreatePool, json!({ "pools": [pool(1, "//Alice"), pool(2, "//Alice")] })).await;
    let uuid = &created["pools"][0]["uuid"];
    for (id, name) in [
        (json!({ "uuid": uuid }), "by uuid"),
        (json!({ "uuid": uuid, "name": "another", "pid": 2 }), "uuid first"),
        (json!({ "name": "uuid first", "pid": 2 }), "by name"),
        (json!({ "pid": "1" }), "by pid"),
    ] {
        let answer = place.ok(Method::UpdatePool, item(id, full(1, name))).await;
        assert_eq!((&answer["pools"][0]["uuid"], &answer["pools"][0]["name"]), (uuid, &json!(name)));
        assert_eq!(answer["pools"].as_array().unwrap().len(), 1);
    }
    // What a full record leaves out is off, as in v2.
    let answer = place.ok(Method::UpdatePool, item(json!({ "pid": 1 }), json!({ "name": "off" }))).await;
    assert_eq!(answer["pools"][0]["enabled"], json!(false));
    assert_eq!(signers(&place)[0], (1, ALICE.to_owned(), None));

    // The key goes on, on behalf of somebody else; the other pool with it is not touched.
    let mut proxy = full(1, "proxy");
    proxy["realPhalaSs58"] = json!(BOB);
    let answer = place.ok(Method::UpdatePool, item(json!({ "pid": 1 }), proxy)).await;
    assert_eq!(answer["pools"][0]["realPhalaSs58"], json!(BOB));
    let bob = Some(BOB.to_owned());
    assert_eq!(signers(&place), [(1, ALICE.to_owned(), bob), (2, ALICE.to_owned(), None)]);

    // Both get another one in one call, the second after the first.
    let new = |pid: u64, key: &str| json!({ "id": { "pid": pid }, "pool": pool(pid, key) });
    let both = json!({ "items": [new(1, "//Bob"), new(2, "//Charlie"), new(1, "//Alice")] });
    place.ok(Method::UpdatePool, both).await;
    let found = signers(&place);
    assert_eq!((&found[0], found[1].1 == ALICE), (&(1, ALICE.to_owned(), None), false));
}

#[tokio::test]
async fn v2_f045_what_cannot_be_changed_of_a_pool_is_refused() {
    let place = Place::new();
    place.ok(Method::CreatePool, json!({ "pools": [pool(1, "//Alice"), pool(2, "//Alice")] })).await;
    let twins = [3, 4].map(|pid| {
        let twin =
            crate::inventory::Pool { name: "twin".to_owned(), ..crate::inventory::Pool::new(pid, None) };
        Change::AddPool(twin)
    });
    place.inventory.apply(&twins).unwrap();
    let mut proxy = full(3, "three");
    proxy["realPhalaSs58"] = json!(BOB);
    let one = json!({ "pid": 1 });
    for (id, pool, kind, words) in [
        (json!({ "pid": 9 }), full(9, "x"), ErrorKind::NotFound, "no pool 9"),
        (json!({ "uuid": "x" }), full(1, "x"), ErrorKind::NotFound, "ListPool"),
        (json!({ "name": "x" }), full(1, "x"), ErrorKind::NotFound, "no pool x"),
        (json!({ "name": "twin" }), full(3, "x"), ErrorKind::Server, "uuid or pid"),
        (json!({}), full(1, "x"), ErrorKind::Server, "id is missing"),
        (one.clone(), full(7, "x"), ErrorKind::Server, "create one with pid 7"),
        (one.clone(), full(1, "pool 2"), ErrorKind::Duplicated, "called pool 2"),
        (one, full(1, ""), ErrorKind::Server, "name is missing"),
        (json!({ "pid": 3 }), proxy, ErrorKind::Server, "owner.mnemonic is missing"),
    ] {
        let (found, text) = place.refused(Method::UpdatePool, item(id, pool)).await;
        assert!(found == kind && text.starts_with("items[0]: ") && text.contains(words), "{text}");
    }
    let listed = place.ok(Method::ListPool, json!({})).await;
    assert_eq!(listed["pools"][2]["owner"], json!({}), "there for readers, and empty");
}

#[tokio::test]
async fn v2_f045_a_pool_is_deleted_once_no_worker_is_in_it() {
    let place = Place::new();
    place.ok(Method::CreatePool, json!({ "pools": [pool(1, "//Alice")] })).await;
    place.inventory.apply(&[Change::AddWorker(WorkerRecord::new("w", "http://w:8000", 1, 5))]).unwrap();
    let delete = item(json!({ "pid": 1 }), json!({ "deleted": true }));
    let (kind, text) = place.refused(Method::UpdatePool, delete.clone()).await;
    assert!(kind == ErrorKind::Server && text.contains("used by worker w"), "{text}");
    place.inventory.apply(&[Change::RemoveWorker("w".to_owned())]).unwrap();
    assert_eq!(place.ok(Method::UpdatePool, delete).await, json!({}), "it is not echoed");
    assert_eq!(place.ok(Method::ListPool, json!({})).await, json!({}));
    assert_eq!(parse(ALICE).unwrap(), place.inventory.snapshot().unwrap().operators[0].account, "it stays");
}
