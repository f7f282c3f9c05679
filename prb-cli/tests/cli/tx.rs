//! Transactions as operators look at them and hold them back, and the trader as a process of its own.

use crate::asked::Side;
use crate::calls;
use crate::mistakes::one_line;
use crate::place::{Place, Running};
use crate::redis_server::Redis;
use crate::run::until_computing;
use crate::world::{World, name, until, until_or};
use prb_chain::journal::{Journal, Record};
use prb_devnet::network;
use serde_json::Value;

/// Nodes of the parachain: one that nobody serves, then the real one.
fn configuration(world: &World, more: &str) -> String {
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    format!(
        "data_dir = \"data\"\n\
         [chain]\nrelay = \"{relay}\"\npara = [\"ws://127.0.0.1:9\", \"{para}\"]\n\
         [api]\nenabled = false\n[feed]\ninfo_seconds = 1\n\
         [transactions]\ngather_ms = 100\n{more}"
    )
}

async fn listed(place: &Place) -> Value {
    serde_json::from_str(&place.ok(&["tx", "list", "--json"]).await).unwrap()
}

/// The first transaction in this state.
async fn first(place: &Place, state: &str) -> Option<Value> {
    let list = listed(place).await;
    list["transactions"].as_array().unwrap().iter().find(|row| row["state"] == state).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f36_without_any_trader_the_queue_is_empty_and_can_be_paused() {
    let place = Place::new();
    place.add_alice().await;
    assert_eq!(place.ok(&["tx", "list"]).await, "no transactions\n");
    let refused = place.prb(&["tx", "show", "1-1"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("no transaction 1-1 is known"), "{refused:?}");
    assert_eq!(place.prb(&["tx", "drop", "1-1"]).await.code, Some(1));
    assert_eq!(place.prb(&["tx", "show", "one"]).await.code, Some(2));
    place.ok(&["tx", "pause"]).await;
    assert!(place.ok(&["tx", "list"]).await.starts_with("paused: nothing is sent"));
    assert_eq!(listed(&place).await["paused"], true);
    place.ok(&["tx", "resume"]).await;
    assert_eq!(listed(&place).await["paused"], false);
    assert_eq!(place.ok(&["tx", "fees", "--json"]).await, "{\"accounts\":[],\"pools\":[]}\n");
}

/// The first of two parachain nodes is down from the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f36_transactions_are_paused_dropped_and_listed_beside_a_running_bridge() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    let place = Place::new();
    place.configure(&configuration(&world, "low_balance = \"999999999\"\n"));
    place.add_alice().await;
    place.add_worker(&name(0), &world.workers[0].url()).await;
    place.ok(&["tx", "pause"]).await;
    world.run_chains();
    let running = place.run("info");
    until_or(
        "a registration waits",
        async || first(&place, "waiting").await.is_some(),
        || running.log().join("\n"),
    )
    .await;
    assert!(running.logged(&["WARN", "transactions are paused"]));
    let waiting = first(&place, "waiting").await.unwrap();
    assert_eq!((&waiting["pool"], &waiting["extrinsic"]), (&Value::from(1), &Value::Null));
    let id = waiting["id"].as_str().unwrap();
    assert_eq!(place.ok(&["tx", "drop", id]).await, format!("{id} is dropped\n"));
    let dropped: Value = serde_json::from_str(&place.ok(&["tx", "show", id, "--json"]).await).unwrap();
    assert_eq!(
        (&dropped["state"], &dropped["message"]),
        (&"rejected".into(), &"dropped by the operator".into())
    );
    assert!(dropped["description"].as_str().unwrap().starts_with("register worker 0x"));
    assert!(calls::made(world.network.para()).is_empty());
    place.ok(&["tx", "resume"]).await;
    until_computing(&world, &world.workers, || running.log()).await;
    until("the fees are known", async || place.ok(&["tx", "fees"]).await.contains("pool 1  ")).await;
    let done = first(&place, "done").await.unwrap();
    assert!(done["ended"].as_str().unwrap().ends_with('Z'));
    let shown = place.ok(&["tx", "show", done["id"].as_str().unwrap()]).await;
    assert!(shown.contains(done["extrinsic"].as_str().unwrap()), "{shown}");
    until("the low balance is told", async || running.logged(&["WARN", "PHA left, less than"])).await;
    assert!(running.logged(&["WARN", "transactions go through another node"]));
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (1, 1, 1), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_the_whole_bridge_sends_nothing() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    let place = Place::new();
    place.configure(&configuration(&world, ""));
    place.add_alice().await;
    place.add_worker(&name(0), &world.workers[0].url()).await;
    world.run_chains();
    let running = place.start(&["run", "--dry-run"], "info");
    until_or(
        "it tells a registration",
        async || running.logged(&["dry run: not submitted"]),
        || running.log().join("\n"),
    )
    .await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    assert!(calls::made(world.network.para()).is_empty());
    assert_eq!(listed(&place).await["transactions"], Value::Array(vec![]));
}

/// A trader needs nodes of the parachain only.
fn without_relay(place: &Place) {
    let text = std::fs::read_to_string(place.path("prb.toml")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("relay")).collect();
    place.configure(&lines.join("\n"));
}

/// A folder with an operator, a worker, and a namespace of this server.
async fn with_redis(world: &World, redis: &Redis) -> Place {
    let place = Place::new();
    let section = format!("[redis]\nurl = \"{}\"\nlease_seconds = 10\n", redis.url());
    place.configure(&configuration(world, &section));
    place.add_alice().await;
    place.add_worker(&name(0), &world.workers[0].url()).await;
    place
}

/// `prb run` and `prb trade`, each with folders of its own; v2_f034, v2_f052, v2_f055 as well.
#[tokio::test(flavor = "multi_thread")]
async fn v2_f053_a_bridge_and_its_trader_work_as_processes_of_their_own() {
    let Some(redis) = Redis::start() else { return };
    let mut world = World::new(network::Config::default(), 40, 1).await;
    let (lifecycle, trader) = (with_redis(&world, &redis).await, with_redis(&world, &redis).await);
    let spare = with_redis(&world, &redis).await;
    without_relay(&trader);
    // It was at work last: another one would wait for blocks, and the chain stands still.
    let journal = Journal::open(trader.path("data/transactions.journal")).unwrap();
    journal.write(vec![Record::Name([7; 16])]).await.unwrap();
    drop(journal);
    assert_eq!(redis.command(&format!("SET prb:journal {}", "07".repeat(16))), "+OK");
    let running = lifecycle.run("info");
    let trading = trader.start(&["trade"], "info");
    let told = |running: &Running| running.log().join("\n");
    // The chain stands still: the registration gets no further than the pool.
    let sent = async || calls::registrations(&world.network.para().pending()) == 1;
    until_or("the registration is in the pool", sent, || told(&running) + &told(&trading)).await;
    assert_eq!(redis.command("FLUSHALL"), "+OK");
    let back = async || {
        redis.command("EXISTS prb:journal") == ":1" && redis.command("EXISTS prb:lease:lifecycle") == ":1"
    };
    until_or("both are at work still", back, || told(&running) + &told(&trading)).await;
    trading.kill().await;
    let standing_by = spare.run("info");
    until_or(
        "a second lifecycle stands by",
        async || standing_by.logged(&["standing by"]),
        || told(&standing_by),
    )
    .await;
    assert!(!standing_by.logged(&["running", "workers=1"]));
    world.run_chains();
    let trading = trader.start(&["trade"], "info");
    until_computing(&world, &world.workers, || running.log()).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    until_or(
        "the second takes over",
        async || standing_by.logged(&["running", "workers=1"]),
        || told(&standing_by),
    )
    .await;
    until("every message is taken", async || world.workers[0].info().pending_messages == 0).await;
    assert_eq!(standing_by.end("-TERM").await.0, Some(0));
    assert_eq!(trading.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (1, 1, 1), "{made:?}");
    assert!(first(&trader, "done").await.is_some());
    assert!(!lifecycle.path("data/transactions.journal").exists(), "there is one journal, the trader's");
}

/// Nobody may be there to unlock its identity again.
#[tokio::test(flavor = "multi_thread")]
async fn v2_f054_a_lifecycle_that_comes_to_work_again_needs_no_passphrase_again() {
    let Some(redis) = Redis::start() else { return };
    let (place, url) = (Place::new(), redis.url());
    std::fs::write(place.path("passphrase"), "once\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(place.path("passphrase"), private).unwrap();
    }
    place.configure(&format!(
        "data_dir = \"data\"\npassphrase_file = \"passphrase\"\n\
         [chain]\nrelay = \"ws://127.0.0.1:9\"\npara = \"ws://127.0.0.1:9\"\n\
         [redis]\nurl = \"{url}\"\nlease_seconds = 2\n"
    ));
    place.add_alice().await;
    let mut running = place.start(&["lifecycle"], "info");
    let rounds = |running: &Running, words: &[&str]| {
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        running.log().iter().filter(has_all).count()
    };
    let begun = ["running", "workers=0"];
    until_or("it runs", async || rounds(&running, &begun) == 1, || running.log().join("\n")).await;
    std::fs::remove_file(place.path("passphrase")).unwrap();
    // Another one has the lease for a while.
    assert_eq!(redis.command("SET prb:lease:lifecycle another"), "+OK");
    let stopped = async || running.logged(&["another lifecycle took over"]) && running.logged(&["stopped"]);
    until_or("it stands by", stopped, || running.log().join("\n")).await;
    assert_eq!(redis.command("DEL prb:lease:lifecycle"), ":1");
    until_or("it runs again", async || rounds(&running, &begun) == 2, || running.log().join("\n")).await;
    assert!(running.runs());
    assert_eq!(running.end("-TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trader_of_its_own_wants_to_know_its_redis() {
    let refused = Place::new().prb(&["trade"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("[redis]"), "{refused:?}");
}

/// A trader at an address that nobody serves.
fn with_trader_elsewhere(more: &str) -> Place {
    let place = Place::new();
    place.configure(&format!(
        "data_dir = \"data\"\n\
         [chain]\nrelay = \"ws://127.0.0.1:9\"\npara = \"ws://127.0.0.1:9\"\n\
         [redis]\nurl = \"redis://127.0.0.1:9\"\n{more}"
    ));
    place
}

#[tokio::test]
async fn transactions_of_a_trader_elsewhere_are_not_held_back_here() {
    let place = with_trader_elsewhere("");
    for command in [["tx", "list"], ["tx", "fees"], ["tx", "pause"], ["tx", "resume"]] {
        let refused = place.prb(&command).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("run this where `prb trade` runs"), "{refused:?}");
    }
    assert!(!place.path("data/transactions.journal").exists());
}

#[tokio::test]
async fn a_mistyped_data_directory_is_told_and_holds_no_journal_afterwards() {
    let place = Place::new();
    for _ in 0..2 {
        for command in [
            &["tx", "pause"][..],
            &["tx", "resume"],
            &["tx", "list"],
            &["tx", "fees"],
            &["tx", "drop", "1-1"],
        ] {
            let refused = place.prb(command).await;
            one_line(&refused, &["data_dir data holds neither", "check data_dir", "prb operator add"]);
        }
        let made = std::fs::read_dir(place.path("data")).map_or(0, Iterator::count);
        assert_eq!(made, 0, "nothing was made");
        // The second time it is there, and empty.
        std::fs::create_dir_all(place.path("data")).unwrap();
    }
    std::fs::remove_dir(place.path("data")).unwrap();
    std::fs::write(place.path("data"), "in the way").unwrap();
    one_line(
        &place.prb(&["tx", "pause"]).await,
        &["cannot look for data", "Not a directory", "move it away"],
    );
}

#[tokio::test]
async fn a_trader_of_its_own_makes_no_dry_run() {
    let place = with_trader_elsewhere("[transactions]\ndry_run = true\n");
    let refused = place.prb(&["trade"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("transactions.dry_run"), "{refused:?}");
    assert!(!place.path("data/transactions.journal").exists());
}
