//! Changing operators, pools and workers: one by one, from files, and while `prb run` follows.

use crate::inventory::parsed;
use crate::mistakes::one_line;
use crate::place::Place;
use crate::run::until_computing;
use crate::world::{World, until};
use prb_devnet::network;
use serde_json::{Value, json};
use std::fs;

const KEY_OF_ALICE: &str = "98319d4ff8a9508c4bb0cf0b5a78d760a0b2082c02775e6e82370816fedfff48925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011";

/// Also v2_f045, v2_f046.
#[tokio::test]
async fn v2_f031_pools_and_workers_are_changed_and_every_command_says_what_it_did() {
    let place = Place::new();
    place.add_alice().await;
    place.add_worker("w1", "http://127.0.0.1:8000").await;
    let cases: &[(&[&str], &str)] = &[
        (&["worker", "set", "w1", "--stake", "6000"], "worker w1 changed: stake 5000 PHA -> 6000 PHA\n"),
        (&["worker", "set", "w1", "--sync-only"], "worker w1 changed: sync_only false -> true\n"),
        (&["worker", "set", "w1", "--sync-only=false"], "worker w1 changed: sync_only true -> false\n"),
        (&["worker", "disable", "w1"], "worker w1 changed: enabled true -> false\n"),
        (&["worker", "disable", "w1"], "worker w1 is like that already\n"),
        (&["worker", "list"], "w1  http://127.0.0.1:8000  pool 1  6000 PHA  disabled\n"),
        (&["worker", "enable", "w1"], "worker w1 changed: enabled false -> true\n"),
        (
            &["pool", "set", "1", "--name", "north", "--no-operator"],
            "pool 1 changed: name none -> north, operator alice -> none\n",
        ),
        (
            &["worker", "list"],
            "w1  http://127.0.0.1:8000  pool 1  6000 PHA  (pool 1 has no operator; `prb pool set 1 --operator NAME`)\n",
        ),
        (&["pool", "set", "1", "--operator", "alice"], "pool 1 changed: operator none -> alice\n"),
        (&["pool", "disable", "1"], "pool 1 changed: enabled true -> false\n"),
        (&["pool", "list"], "1  operator alice  north  disabled\n"),
        (&["pool", "enable", "1"], "pool 1 changed: enabled false -> true\n"),
        (
            &["worker", "set", "w1", "--new-name", "w2", "--endpoint", "http://127.0.0.1:8001"],
            "worker w1 changed: endpoint http://127.0.0.1:8000 -> http://127.0.0.1:8001, name w1 -> w2\n",
        ),
        (&["operator", "set", "alice", "--not-proxied"], "operator alice is like that already\n"),
    ];
    for (arguments, said) in cases {
        assert_eq!(place.ok(arguments).await, *said, "{arguments:?}");
    }
    let changed = parsed(&place.ok(&["worker", "set", "w2", "--gatekeeper", "--json"]).await);
    assert_eq!(
        (&changed["changed"]["name"], &changed["changed"]["gatekeeper"]),
        (&json!("w2"), &json!(true))
    );
    let shown = parsed(&place.ok(&["pool", "show", "1", "--json"]).await);
    assert_eq!((&shown["workers"], &shown["name"]), (&json!(["w2"]), &json!("north")));
    let shown = place.ok(&["worker", "show", "w2"]).await;
    assert!(shown.lines().any(|line| line == "stake       6000 PHA"), "{shown}");
    assert_eq!(parsed(&place.ok(&["operator", "show", "alice", "--json"]).await)["pools"], json!([1]));

    one_line(&place.prb(&["worker", "set", "w9", "--stake", "1"]).await, &["there is no worker w9"]);
    one_line(&place.prb(&["worker", "set", "w2", "--pool", "7"]).await, &["there is no pool 7"]);
    one_line(&place.prb(&["worker", "show", "w9"]).await, &["there is no worker w9"]);
    let nothing = place.prb(&["worker", "set", "w2"]).await;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}

#[tokio::test]
async fn v3_f45_an_operator_may_be_given_as_the_hex_of_its_secret_key_and_get_another_secret() {
    let place = Place::new();
    let alice = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
    let added = place.prb_with(&["operator", "add", "main"], &format!("0x{KEY_OF_ALICE}\n")).await;
    assert_eq!(added.stdout, format!("operator main signs as {alice}\n"), "{added:?}");
    let set = place.prb_with(&["operator", "set", "main", "--secret"], "//Bob\n").await;
    let bob = "0x8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48";
    assert_eq!(
        set.stdout,
        format!("operator main changed: account {alice} -> {bob}, its secret\n"),
        "{set:?}"
    );
    let set = place.prb_with(&["operator", "set", "main", "--secret", "--json"], KEY_OF_ALICE).await;
    assert_eq!(
        parsed(&set.stdout),
        json!({ "changed": { "name": "main", "account": alice, "proxied": null } })
    );
    one_line(&place.prb_with(&["operator", "set", "main", "--secret"], "junk").await, &["key is neither"]);
    one_line(&place.prb_with(&["operator", "set", "bob", "--secret"], "//Bob").await, &["no operator bob"]);
    for (_, content) in place.files() {
        assert!(!content.windows(64).any(|window| window == &KEY_OF_ALICE.as_bytes()[..64]));
    }
}

#[tokio::test]
async fn v2_f046_many_workers_are_imported_at_once_or_not_at_all() {
    let place = Place::new();
    place.add_alice().await;
    let rows: String =
        (0..300).map(|at| format!("w{at:03},http://10.0.{}.{}:8000,1,1500\n", at / 100, at % 100)).collect();
    let file = place.path("workers.csv");
    fs::write(&file, format!("name,endpoint,pool,stake\n{rows}w300,http://10.0.0.0:8000,1,1\n")).unwrap();
    one_line(
        &place.prb(&["inventory", "import", "workers.csv"]).await,
        &["workers.csv, line 302", "endpoint of worker w000"],
    );
    assert_eq!(place.ok(&["worker", "list"]).await, "");
    fs::write(&file, format!("name,endpoint,pool,stake\n{rows}")).unwrap();
    let shown = place.ok(&["inventory", "import", "workers.csv", "--dry-run"]).await;
    assert!(shown.ends_with("300 of 300 would be changed; nothing is (--dry-run)\n"), "{shown}");
    assert_eq!(place.ok(&["worker", "list"]).await, "");
    let done = place.ok(&["inventory", "import", "workers.csv"]).await;
    assert!(
        done.starts_with("worker w000 added with a stake of 1500 PHA\n")
            && done.ends_with("300 of 300 changed\n")
    );
    assert_eq!(place.ok(&["worker", "list"]).await.lines().count(), 300);

    let exported = place.ok(&["inventory", "export", "all.yaml"]).await;
    assert_eq!(exported, "written to all.yaml\n");
    let text = fs::read_to_string(place.path("all.yaml")).unwrap();
    assert!(text.contains("w299") && !text.contains("secret"), "{text}");
    let again = place.ok(&["inventory", "import", "all.yaml"]).await;
    assert!(again.ends_with("0 of 301 changed\n"), "{again}");
    let json = place.ok(&["inventory", "import", "all.yaml", "--json"]).await;
    assert!(json.lines().all(|line| parsed(line).get("unchanged").is_some()), "{json}");
}

#[tokio::test]
async fn v3_f42_the_commands_of_prb_config_print_its_json() {
    let place = Place::new();
    let config = |arguments: &[&str]| {
        let arguments: Vec<String> =
            ["config", "--db-path", "other"].iter().chain(arguments).map(|&one| one.to_owned()).collect();
        let place = &place;
        async move { place.prb(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let ok = async |arguments: &[&str]| -> Value {
        let done = config(arguments).await;
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        if done.stdout.is_empty() { Value::Null } else { parsed(&done.stdout) }
    };
    let pool = ok(&["add-pool", "-n", "p", "-p", "1", "-s"]).await;
    let expected = json!({ "id": pool["id"], "name": "p", "pid": 1, "enabled": true, "sync_only": true, "workers": null });
    assert_eq!(pool, expected);
    assert_eq!(ok(&["update-pool", "-n", "p", "-p", "1"]).await["sync_only"], false);
    let worker =
        ok(&["add-worker", "-n", "w", "-e", "http://h:8000", "-t", "5000000000000000", "-p", "1", "-d"])
            .await;
    let expected = json!({
        "id": worker["id"], "name": "w", "endpoint": "http://h:8000/", "stake": "5000000000000000", "pid": 1,
        "enabled": false, "sync_only": false, "gatekeeper": false,
    });
    assert_eq!(worker, expected);
    let update =
        ["update-worker", "-n", "w", "--new-name", "v", "-e", "http://h:8000", "-t", "1", "-p", "1", "-g"];
    assert_eq!(ok(&update).await["name"], "v");
    assert_eq!(ok(&["get-pool", "-p", "9"]).await, Value::Null);
    assert_eq!(ok(&["get-all-pools-with-workers"]).await[0]["workers"][0]["stake"], "1");
    let operator = ok(&[
        "set-pool-operator",
        "-p",
        "1",
        "-a",
        "//Alice",
        "-x",
        "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
    ])
    .await;
    assert_eq!(operator["operator_account_id"], "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2");
    assert_eq!(ok(&["get-all-pool-operators"]).await, json!([operator]));
    let by_key = ["set-pool-operator", "-p", "1", "-a", KEY_OF_ALICE, "-t", "secret-key"];
    assert_eq!(ok(&by_key).await["proxied_account_id"], Value::Null);
    assert_eq!(ok(&["get-pool-operator", "-p", "1"]).await["pid"], 1);
    let refused = config(&["remove-pool", "-p", "1"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(parsed(&refused.stdout)["message"].as_str().unwrap().contains("used by worker v"), "{refused:?}");
    assert_eq!(ok(&["remove-worker", "-n", "v"]).await, Value::Null);
    assert_eq!(ok(&["remove-pool", "-p", "1"]).await, Value::Null);
    assert_eq!(ok(&["get-all-pools"]).await, json!([]));
    assert!(!place.path("data").exists() && place.path("other/inventory").exists());
}

/// Also v2_f043, v3_f30, v3_f28.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f43_what_is_changed_is_followed_and_what_cannot_be_used_disturbs_nobody() {
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let place =
        Place::with_nodes(&world.url(crate::asked::Side::Relay), &world.url(crate::asked::Side::Para));
    place.add_alice().await;
    place.add_worker("good", &world.workers[0].url()).await;
    let lost = place.prb_with(&["operator", "add", "lost"], "//Bob\n").await;
    assert_eq!(lost.code, Some(0), "{lost:?}");
    place.ok(&["pool", "add", "2", "--operator", "lost"]).await;
    let url = world.workers[1].url();
    place
        .ok(&["worker", "add", "poor", "--endpoint", &url, "--pool", "2", "--stake", "1", "--disabled"])
        .await;
    // The secret of one operator does not open.
    spoil(&place, "lost");

    let running = place.run("info");
    until("the other is told of", async || {
        running.logged(&["worker left out", "poor", "disabled"])
            && running.logged(&["operator cannot sign", "lost"])
    })
    .await;
    until_computing(&world, &world.workers[..1], || running.log()).await;
    assert!(world.workers[1].calls().is_empty(), "nothing is sent to a disabled worker");

    place.ok(&["worker", "enable", "poor"]).await;
    until("it is kept in step, though nobody can sign for it", async || {
        running.logged(&["worker is only kept in step", "poor", "operator lost cannot sign"])
            && world.workers[1].info().blocknum > 10
    })
    .await;
    place.ok(&["pool", "disable", "2"]).await;
    until("its pool is disabled", async || {
        running.logged(&["worker left out", "poor", "pool 2 is disabled"])
    })
    .await;
    let further = async || {
        let goal = world.workers[0].info().blocknum + 3;
        until("the good one goes on", async || world.workers[0].info().blocknum > goal).await;
    };
    until("that is followed", async || running.logged(&["worker has another goal", "poor"])).await;
    further().await;
    let calls = world.workers[1].calls();
    further().await;
    assert_eq!(world.workers[1].calls(), calls, "nothing is sent to a worker of a disabled pool");
    place.ok(&["worker", "remove", "poor"]).await;
    until("it is let go", async || running.logged(&["worker let go", "poor"])).await;
    further().await;
    let touched =
        |line: &String| line.contains("good") && (line.contains("let go") || line.contains("another goal"));
    assert!(!running.log().iter().any(touched), "{}", running.log().join("\n"));
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f047_a_worker_gets_to_work_through_a_proxy() {
    use prb_devnet::runtime::para::ProxyType;
    let account = |uri: &str| {
        let pair = <sp_core::sr25519::Pair as sp_core::Pair>::from_string(uri, None).unwrap();
        sp_core::crypto::AccountId32::from(sp_core::Pair::public(&pair))
    };
    let mut config = network::Config::default();
    config.para.proxies.push((account("//Alice"), account("//Bob"), ProxyType::StakePoolManager));
    let mut world = World::new(config, 30, 1).await;
    world.run_chains();
    let place =
        Place::with_nodes(&world.url(crate::asked::Side::Relay), &world.url(crate::asked::Side::Para));
    let owner = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let added = place.prb_with(&["operator", "add", "proxy", "--proxied", owner], "//Bob\n").await;
    assert_eq!(added.code, Some(0), "{added:?}");
    place.ok(&["pool", "add", "1", "--operator", "proxy"]).await;
    place.add_worker("w", &world.workers[0].url()).await;
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

/// Makes the secret of an operator one that does not open.
fn spoil(place: &Place, name: &str) {
    use prb_cli::inventory::{Change, Inventory, OperatorSet};
    let inventory = Inventory::open(&place.path("data/inventory")).unwrap();
    let account = inventory.snapshot().unwrap().operator(name).unwrap().account;
    let foreign = prb_cli::identity::Identity::generate().unwrap();
    let secret = prb_cli::secret::Sealed::seal(&foreign, name, b"//Bob").unwrap();
    let set = OperatorSet { key: Some((account, secret)), proxied: None };
    inventory.apply(&[Change::SetOperator(name.to_owned(), set)]).unwrap();
}
