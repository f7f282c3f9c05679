//! `prb run` as a process of its own, against a dev network.

use crate::asked::Side;
use crate::calls;
use crate::http::ask;
use crate::mistakes::one_line;
use crate::place::{Place, Running};
use crate::world::{World, until, until_or};
use prb_core::id::{PoolId, WorkerKey};
use prb_core::lifecycle::Facts;
use prb_core::types::facts::SessionState;
use prb_devnet::network::{self, Devnet};
use prb_devnet::worker::{Fault, FaultRule, WorkerHandle};
use std::net::SocketAddr;

/// Whether the finalized chain says that a worker computes.
pub fn computes(network: &Devnet, worker: &WorkerHandle) -> bool {
    computes_in(network, worker, PoolId(1))
}

/// The same, in another pool.
pub fn computes_in(network: &Devnet, worker: &WorkerHandle, pool: PoolId) -> bool {
    let Some(key) = worker.info().public_key else { return false };
    let key = WorkerKey(hex::decode(key).unwrap().try_into().unwrap());
    let at = network.para().finalized();
    let read = |key: &prb_core::storage_key::StorageKey| {
        network.para().read(key, Some(at.hash)).unwrap().map(Into::into)
    };
    let values: Vec<_> = Facts::keys(&key, pool).iter().map(read).collect();
    let facts = Facts::decode(prb_core::id::Height(at.header.number), &values).unwrap();
    facts.session.is_some_and(|session| session.state == SessionState::WorkerIdle)
}

/// Waits until all of these compute.
pub async fn until_computing(world: &World, workers: &[WorkerHandle], log: impl Fn() -> Vec<String>) {
    let all = async || workers.iter().all(|worker| computes(&world.network, worker));
    until_or("the workers compute", all, || log().join("\n")).await;
}

fn place(world: &World) -> Place {
    Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para))
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f043_the_inventory_is_followed_while_it_runs() {
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let place = place(&world);
    let mut running = place.run("info");
    until("it runs without any worker", async || running.logged(&["running", "workers=0"])).await;

    place.add_alice().await;
    place.add_worker("first", &world.workers[0].url()).await;
    until("the first is taken on", async || running.logged(&["worker taken on", "first"])).await;
    until_computing(&world, &world.workers[..1], || running.log()).await;
    place.add_worker("second", &world.workers[1].url()).await;
    until_computing(&world, &world.workers, || running.log()).await;

    place.ok(&["worker", "remove", "first"]).await;
    until("the first is let go", async || running.logged(&["worker let go", "first"])).await;
    let second_goes_on = async || {
        let goal = world.workers[1].info().blocknum + 3;
        until("the second goes on", async || world.workers[1].info().blocknum > goal).await;
    };
    // What was on its way to the first has arrived by then.
    second_goes_on().await;
    let calls = world.workers[0].calls();
    second_goes_on().await;
    assert_eq!(world.workers[0].calls(), calls, "nothing is sent to a worker that was let go");
    assert!(computes(&world.network, &world.workers[0]), "what it does on chain is not touched");

    assert!(running.runs());
    let (code, log) = running.end("-TERM").await;
    assert_eq!(code, Some(0), "{}", log.join("\n"));
    assert!(log.iter().any(|line| line.contains("stopping")));
    world.halt_chains().await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (2, 2, 2), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_time_whatever_it_is_at() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    let place = place(&world);
    place.add_alice().await;
    place.add_worker("dead", "http://127.0.0.1:9").await;
    place.add_worker("deaf", &world.workers[0].url()).await;
    // A worker that never answers, nodes that never answer, then no nodes at all.
    world.workers[0].add_fault(FaultRule::always(Fault::Hang));
    world.asked.play(|_, _, _| Some(prb_devnet::rpc::Fault::Drop));
    let calls = || world.workers[0].calls().values().sum::<u64>();
    for signal in ["-TERM", "-INT"] {
        let (running, before) = (place.run("info"), calls());
        until("the worker is called", async || calls() > before).await;
        assert_eq!(running.end(signal).await.0, Some(0));
    }
    world.down(Side::Relay).await;
    world.down(Side::Para).await;
    let running = place.run("info");
    until("it has trouble", async || running.logged(&["ingest has trouble"])).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f85_the_example_configuration_runs_as_it_is_but_for_its_addresses() {
    let mut world = World::new(network::Config::default(), 30, 1).await;
    world.run_chains();
    let text = include_str!("../../../examples/devnet/prb.toml")
        .replace("ws://127.0.0.1:9945", &world.url(Side::Relay))
        .replace("ws://127.0.0.1:9944", &world.url(Side::Para))
        .replace("http://127.0.0.1:8000", &world.workers[0].url())
        + "[api]\nlisten = [\"127.0.0.1:0\"]\n";
    let place = Place::new();
    place.configure(&text);
    let checked = place.ok(&["check"]).await;
    assert!(checked.contains("1 operators, 1 pools, 1 workers"), "{checked}");
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    what_watches_over_it_is_answered(&running).await;
    assert_eq!(running.end("-INT").await.0, Some(0));
    // What it declares is in the inventory now, and is not added twice.
    assert_eq!(place.ok(&["worker", "list"]).await.lines().count(), 1);
    world.halt_chains().await;
}

/// Health, readiness and metrics of a process.
async fn what_watches_over_it_is_answered(running: &Running) {
    let log = running.log();
    let line = log.iter().find(|line| line.contains("the API listens")).unwrap();
    let at: SocketAddr = line.split("address=").nth(1).unwrap().trim().parse().unwrap();
    assert_eq!(ask(at, "GET", "/healthz", "").await.0, 200);
    until("it is ready", async || ask(at, "GET", "/readyz", "").await.0 == 200).await;
    let (status, metrics) = ask(at, "GET", "/metrics", "").await;
    assert_eq!(status, 200);
    for name in ["prb_build_info{version=", "prb_worker_calls_total{", "prb_workers{stage=\"Working\"}"] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_the_api_that_somebody_named_must_be_had() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap();
    let nodes = "[chain]\nrelay = \"ws://127.0.0.1:9\"\npara = \"ws://127.0.0.1:9\"\n";
    let place = Place::new();
    place.configure(&format!("data_dir = \"data\"\n{nodes}[api]\nlisten = [\"{taken}\"]\n"));
    let done = place.prb(&["run"]).await;
    one_line(&done, &["api.listen", &taken.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_another_network_is_told_in_one_line_and_left_alone() {
    let world = World::new(network::Config::default(), 40, 0).await;
    let mut config = network::Config::default().authorities(5);
    config.para.load_accounts = 3;
    let other = World::new(config, 40, 0).await;
    let place = place(&world);
    let running = place.run("info");
    until("something is stored", async || running.logged(&["store begins"])).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    let journal = || std::fs::read(place.path("data/transactions.journal")).unwrap();

    place.use_nodes(&other.url(Side::Relay), &other.url(Side::Para));
    let done = place.prb(&["run"]).await;
    let hash = |world: &World| prb_core::id::Hash(world.network.relay().block_at(0).unwrap().hash.0);
    let expected = format!(
        "prb: data directory data: it holds relay chain {}, the nodes are {} ({}); choose another data_dir or the right nodes",
        hash(&world),
        hash(&other),
        other.url(Side::Relay)
    );
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stderr.lines().last(), Some(expected.as_str()), "{done:?}");
    let kept = journal();

    // The store is of the other network, the journal of this one: files that do not belong together.
    std::fs::remove_dir_all(place.path("data/blobs")).unwrap();
    let running = place.run("info");
    until("something is stored", async || running.logged(&["store begins"])).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    assert_eq!(journal(), kept);
    let done = place.prb(&["run"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    let last = done.stderr.lines().last().unwrap();
    assert!(last.contains("data directory data: the store holds parachain"), "{done:?}");
    assert!(last.contains("put back the files that belong together"), "{done:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_log_filter_again_and_a_wrong_one_changes_nothing() {
    let place = Place::new();
    let text = std::fs::read_to_string(place.path("prb.toml")).unwrap();
    let mut running = place.run("");
    let logged = async |what: &str, words: &[&str]| {
        until_or(what, async || running.logged(words), || running.log().join("\n")).await;
    };
    logged("it runs", &["running"]).await;
    place.configure(&format!("{text}[log]\nfilter = \"info,prb_cli=debug\"\n"));
    running.signal("-HUP").await;
    logged("it logs more", &["logs follow the configuration again", "prb_cli=debug"]).await;
    place.configure(&format!("{text}[log]\nfilter = \"prb_cli=loud\"\n"));
    running.signal("-HUP").await;
    logged("the mistake is told", &["WARN", "logs stay as they were", "prb_cli=loud"]).await;
    assert!(running.runs());
    assert_eq!(running.end("-TERM").await.0, Some(0));
}
