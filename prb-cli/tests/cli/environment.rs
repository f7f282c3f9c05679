//! `prb` by environment variables alone, as the containers of PRB v2 and v3 are.

use crate::asked::Side;
use crate::calls;
use crate::mistakes::one_line;
use crate::place::{Place, Running};
use crate::port::Port;
use crate::redis_server::Redis;
use crate::run::until_computing;
use crate::trade::{listening, until_ready};
use crate::world::{World, in_time, until_or};
use prb_cli::deployment::Deployment;
use prb_core::lifecycle::Stage;
use prb_devnet::network;
use serde_json::Value;

/// Nobody in the network of whoever tests.
const NO_MDNS: (&str, &str) = ("PHALA_WALKIE_DISABLE_MDNS_DISCOVERY", "true");

async fn until_logged(running: &Running, words: &[&str]) {
    until_or("it says so", async || running.logged(words), || running.log().join("\n")).await;
}

/// Data provider, lifecycle and trader of v2, each without a file and without arguments; the latter two share a folder. The lifecycle
/// finds its provider as in v2, by a boot node. Also v2_f085, v2_f086.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f47_the_services_of_v2_work_together_by_their_environment_alone() {
    let Some(redis) = Redis::start() else { return };
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    let nodes = [("PHALA_CHAIN_ENDPOINT", para.as_str()), ("PHALA_PARENT_CHAIN_ENDPOINT", relay.as_str())];

    let port = Port::keep();
    let multiaddr = format!("/ip4/127.0.0.1/tcp/{}", port.addr.port());
    let mut provider = Place::without_file();
    let blobs = provider.path("blobs").display().to_string();
    let own = [
        ("PHALA_MODULE", "data_provider"),
        ("NODE_ENV", "production"),
        ("PHALA_BRIDGE_IDENTITY", "cluster_1"),
        ("PHALA_LOCAL_DB_PATH", blobs.as_str()),
        // The guides name a port; any free one does here.
        ("PRB_SERVE_LISTEN", "127.0.0.1:0"),
        ("PHALA_WALKIE_LISTEN_ADDRESSES", multiaddr.as_str()),
        // Tests that run beside this one are of the same chain.
        NO_MDNS,
    ];
    provider.set_environment(&[&nodes[..], &own].concat());
    let providing = provider.start(&[], "info");
    until_logged(&providing, &["serving", "address="]).await;
    let told = providing.log().iter().filter(|line| line.contains("NODE_ENV has no effect")).count();
    assert_eq!(told, 1);
    assert!(!providing.logged(&["PHALA_BRIDGE_IDENTITY has no effect"]));
    until_logged(&providing, &["the peer-to-peer network is joined", "cluster_1"]).await;

    let mut place = Place::without_file();
    let database = place.path("data/local.db").display().to_string();
    let redis_url = redis.url();
    let shared = [
        ("PHALA_LOCAL_DB_PATH", database.as_str()),
        ("PHALA_Q_REDIS_ENDPOINT", redis_url.as_str()),
        ("PRB_TRANSACTIONS_GATHER_MS", "100"),
        ("PRB_FEED_INFO_SECONDS", "1"),
        ("PHALA_PRPC_REQUEST_TIMEOUT", "60000"),
        ("PHALA_RUNNER_MAX_WORKER_NUMBER", "100"),
    ];
    place.set_environment(&[&nodes[..], &shared].concat());
    place.add_alice().await;
    place.add_worker("w", &world.workers[0].url()).await;
    let own = [("PHALA_MODULE", "trade"), ("PRB_API_TRADE_LISTEN", "127.0.0.1:0")];
    place.set_environment(&[&nodes[..], &shared, &own].concat());
    let trading = place.start(&[], "info");
    let own = [
        ("PHALA_MODULE", "lifecycle"),
        ("PHALA_BRIDGE_IDENTITY", "cluster_1"),
        ("PHALA_WALKIE_LISTEN_ADDRESSES", "/ip4/127.0.0.1/tcp/0"),
        ("PHALA_WALKIE_BOOT_NODES", multiaddr.as_str()),
        NO_MDNS,
    ];
    place.set_environment(&[&nodes[..], &shared, &own].concat());
    let running = place.start(&[], "info");
    let logs = || [providing.log(), trading.log(), running.log()].concat();
    until_computing(&world, &world.workers, logs).await;
    assert!(running.logged(&["a data provider is found"]) && running.logged(&["a data provider answers"]));
    assert!(running.logged(&["Got my peer id"]) && trading.logged(&["trading"]));
    until_ready(listening(&trading).await, &trading, None).await;
    assert!(!place.path("data/blobs").exists(), "a lifecycle with a provider stores nothing");
    for service in [running, trading, providing] {
        let (code, log) = service.end("-TERM").await;
        assert_eq!(code, Some(0), "{}", log.join("\n"));
    }
    world.halt_chains().await;
}

/// Where it looks for no data provider it ingests; with v2's built-in trader it needs no Redis.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f47_a_lifecycle_of_v2_that_is_told_of_no_provider_does_everything_itself() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    let mut place = Place::without_file();
    let data = place.path("data").display().to_string();
    let all = [
        ("PHALA_CHAIN_ENDPOINT", para.as_str()),
        ("PHALA_PARENT_CHAIN_ENDPOINT", relay.as_str()),
        ("PHALA_LOCAL_DB_PATH", data.as_str()),
        ("USE_BUILT_IN_TRADER", "true"),
        ("PHALA_Q_REDIS_ENDPOINT", "redis://127.0.0.1:9"),
        ("PRB_TRANSACTIONS_GATHER_MS", "100"),
        ("PHALA_MODULE", "lifecycle"),
        ("PRB_P2P_ENABLED", "false"),
    ];
    place.set_environment(&all);
    place.add_alice().await;
    place.add_worker("w", &world.workers[0].url()).await;

    place.set_environment(&[&all[..], &[("PHALA_LIFECYCLE_CONFIG_MODE", "true")]].concat());
    let resting = place.start(&[], "info");
    until_logged(&resting, &["PHALA_LIFECYCLE_CONFIG_MODE", "nothing is run"]).await;
    assert_eq!(place.ok(&["worker", "list"]).await.lines().count(), 1);
    assert_eq!(resting.end("-TERM").await.0, Some(0));
    assert!(world.workers[0].calls().is_empty(), "the worker was left alone");

    place.set_environment(&all);
    let running = place.start(&[], "info");
    until_computing(&world, &world.workers, || running.log()).await;
    assert!(running.logged(&["PHALA_Q_REDIS_ENDPOINT has no effect", "without Redis"]));
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

/// The manager of v3: a command, and its options as variables; nodes in its own file.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f47_the_manager_of_v3_works_by_its_environment_and_its_data_sources() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let mut place = Place::without_file();
    let side = |url: String| {
        format!(
            "  select_policy: Failover\n  data_sources:\n    - !SubstrateWebSocketSource\n      endpoint: {url}\n      pruned: false\n"
        )
    };
    let sources = place.path("ds.yml");
    let text =
        format!("relaychain:\n{}parachain:\n{}", side(world.url(Side::Relay)), side(world.url(Side::Para)));
    std::fs::write(&sources, text).unwrap();
    let (sources, data) = (sources.display().to_string(), place.path("data").display().to_string());
    place.set_environment(&[
        ("DB_PATH", &data),
        ("DATA_SOURCE_CONFIG_PATH", &sources),
        ("MGMT_DISABLE_MDNS", "true"),
        ("DISABLE_FAST_SYNC", "true"),
        ("CACHE_SIZE", "67108864"),
        ("VERIFY_SAVED_HEADERS", "true"),
        ("PRB_TRANSACTIONS_GATHER_MS", "100"),
    ]);
    place.add_alice().await;
    place.add_worker("w", &world.workers[0].url()).await;
    let running = place.start(&["run"], "info");
    until_computing(&world, &world.workers, || running.log()).await;
    assert!(running.logged(&["MGMT_DISABLE_MDNS has no effect"]));
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

/// `PHALA_SYNC_ONLY`, as what it becomes.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f28_a_fleet_that_is_only_kept_in_step_is_never_put_to_work() {
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let mut config = world.config();
    config.fleet.sync_only = true;
    let deployment = Deployment::start(&config).await.unwrap();
    let in_step = async || {
        let status = deployment.bridge().workers_status();
        status.len() == 2 && status.iter().all(|worker| worker.stage == Stage::SyncOnly)
    };
    until_or("both are in step", in_step, || format!("{:#?}", deployment.bridge().workers_status())).await;
    in_time("it stops", deployment.stop()).await;
    world.halt_chains().await;
    assert!(calls::made(world.network.para()).is_empty());
}

#[tokio::test]
async fn v3_f47_what_takes_effect_is_shown_with_its_origin_and_without_secrets() {
    let mut place = Place::without_file();
    place.configure(
        "[chain]\nrelay = \"ws://127.0.0.1:9\"\npara = \"wss://rpc.example/KEY\"\n[feed]\nrequest_mib = 2\n\
         [redis]\nurl = \"redis://:SECRET@127.0.0.1:9/0\"\n",
    );
    place.set_environment(&[
        ("PHALA_PRPC_REQUEST_TIMEOUT", "60000"),
        ("PRB_FEED_LOAD_MIB", "512"),
        ("WEBHOOK_URL", "https://hooks.example/SECRET"),
        ("NODE_ENV", "production"),
    ]);
    let text = place.ok(&["check", "--show", "--passphrase-file", "pass"]).await;
    let line = |key: &str| {
        text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in {text}"))
    };
    for (key, value, origin) in [
        ("workers.read_seconds", " 60 ", "(environment PHALA_PRPC_REQUEST_TIMEOUT)"),
        ("feed.load_mib", " 512 ", "(environment PRB_FEED_LOAD_MIB)"),
        ("feed.request_mib", " 2 ", "(file)"),
        ("feed.info_seconds", " 5 ", "(default)"),
        ("passphrase_file", " pass ", "(flag --passphrase-file)"),
        ("chain.para", " wss://rpc.example/… ", "(file)"),
        ("redis.url", " redis://…@127.0.0.1:9/… ", "(file)"),
        ("notify.urls", " https://hooks.example/… ", "(environment WEBHOOK_URL)"),
        ("chain.mirror ", " none ", "(default)"),
    ] {
        assert!(line(key).contains(value) && line(key).ends_with(origin), "{}", line(key));
    }
    assert!(text.contains("note: environment variable NODE_ENV has no effect"), "{text}");
    assert!(!text.contains("SECRET") && !text.contains("KEY"), "{text}");
    let json: Value = serde_json::from_str(&place.ok(&["check", "--show", "--json"]).await).unwrap();
    let row =
        json["settings"].as_array().unwrap().iter().find(|row| row["key"] == "workers.read_seconds").unwrap();
    assert_eq!(
        (&row["value"], &row["origin"], &row["name"]),
        (&60.into(), &"environment".into(), &"PHALA_PRPC_REQUEST_TIMEOUT".into())
    );
    // What cannot be used is shown as well, and fails.
    place.set_environment(&[("PHALA_PRPC_REQUEST_TIMEOUT", "4000000")]);
    let done = place.prb(&["check", "--show"]).await;
    assert_eq!(done.code, Some(1));
    assert!(
        done.stdout.contains("workers.read_seconds")
            && done.stderr.contains("PHALA_PRPC_REQUEST_TIMEOUT: workers.read_seconds"),
        "{done:?}"
    );
}

#[tokio::test]
async fn v3_f47_what_is_wrong_with_a_variable_is_one_line_with_its_name() {
    let mut place = Place::new();
    for (variables, words) in [
        (
            &[("PHALA_CHAIN_ENDPOINT", "http://x")][..],
            &["environment variable PHALA_CHAIN_ENDPOINT", "WebSocket"][..],
        ),
        (
            &[("PHALA_LOCAL_DB_PATH", "/a"), ("PRB_DATA_DIR", "/b")],
            &["PHALA_LOCAL_DB_PATH", "PRB_DATA_DIR", "unset one"],
        ),
        (&[("DISABLE_FAST_SYNC", "yes")], &["DISABLE_FAST_SYNC", "true or false"]),
    ] {
        place.set_environment(variables);
        one_line(&place.prb(&["run"]).await, words);
    }
    place.set_environment(&[("PHALA_MODULE", "fetch")]);
    one_line(&place.prb(&[]).await, &["PHALA_MODULE", "fetch"]);
    place.set_environment(&[]);
    let done = place.prb(&[]).await;
    assert!(done.code == Some(2) && done.stderr.contains("Usage: prb"), "{done:?}");
}
