//! A source that stalls while `prb run` runs: what it mends by itself, and what it tells people.

use crate::asked::Side;
use crate::hooks::Hooks;
use crate::http::ask;
use crate::place::{Place, Running};
use crate::trade::{listening, until_ready};
use crate::world::{World, until_or};
use prb_devnet::network;
use prb_devnet::rpc::Fault;
use serde_json::Value;
use std::net::SocketAddr;

/// Told of alerts, and asked over HTTP.
async fn watched(world: &World, alerts: &Hooks) -> (Place, Running, SocketAddr) {
    let place = Place::new();
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    place.configure(&format!(
        "data_dir = \"data\"\n[chain]\nrelay = \"{relay}\"\npara = \"{para}\"\n[api]\nlisten = [\"127.0.0.1:0\"]\n\
         [notify]\nalert_urls = [\"{}\"]\nafter_seconds = 1\n",
        alerts.url
    ));
    let running = place.run("info");
    let at = listening(&running).await;
    (place, running, at)
}

async fn readiness(at: SocketAddr) -> (u16, String) {
    ask(at, "GET", "/readyz", "").await
}

/// Last relay block in the store, as the API tells it.
async fn stored(at: SocketAddr) -> u64 {
    let (_, body) = ask(at, "GET", "/v1/overview", "").await;
    let said: Value = serde_json::from_str(&body).unwrap();
    said["heights"]["relay"][1].as_u64().unwrap_or_default()
}

/// The sum of a metric over its labels.
async fn metric(at: SocketAddr, name: &str) -> f64 {
    let (_, text) = ask(at, "GET", "/metrics", "").await;
    let of = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
    of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn x23_v3_f50_a_source_that_stalls_is_one_alert_and_not_ready_until_it_is_back() {
    let mut world = World::new(network::Config::default(), 40, 0).await;
    world.run_chains();
    let alerts = Hooks::serve().await;
    let (_place, running, at) = watched(&world, &alerts).await;
    until_ready(at, &running, None).await;

    // Both nodes hold their connections and answer nothing.
    world.asked.play(|_, _, _| Some(Fault::Drop));
    let unready = async || {
        let (status, body) = readiness(at).await;
        status == 503 && body.contains("stand still") && body.contains("ws://127.0.0.1:")
    };
    until_or("it is not ready, and says whom it waits for", unready, || running.log().join("\n")).await;
    assert_eq!(ask(at, "GET", "/healthz", "").await.0, 200, "the process is well");
    assert!(metric(at, "prb_stalled").await >= 1.0);
    let raised = async || !alerts.posted().is_empty();
    until_or("it is told", raised, || running.log().join("\n")).await;
    // Ingest gives up its question later, and has its own words for the same.
    let failed = async || running.logged(&["ingest has trouble"]);
    until_or("the question has failed as well", failed, || running.log().join("\n")).await;

    world.asked.be_honest();
    until_ready(at, &running, None).await;
    let back = stored(at).await;
    until_or("it gets on", async || stored(at).await > back + 5, || running.log().join("\n")).await;
    assert_eq!(metric(at, "prb_stalled").await, 0.0);
    let over = async || alerts.posted().iter().any(|alert| alert.json()["state"] == "over");
    until_or("its end is told", over, || format!("{:?}\n{}", alerts.posted(), running.log().join("\n")))
        .await;
    // Whatever else there is to tell is posted before it ends.
    assert_eq!(running.end("-TERM").await.0, Some(0));
    let told: Vec<Value> = alerts.posted().iter().map(|alert| alert.json()).collect();
    let [raised, over] = &told[..] else { panic!("one alert and one notice that it is over: {told:#?}") };
    assert_eq!((&raised["state"], &raised["kind"]), (&"raised".into(), &"stall".into()), "{raised}");
    assert_eq!((&over["state"], &over["kind"]), (&"over".into(), &"stall".into()), "{over}");
    assert_eq!((&over["subject"], &over["since"]), (&raised["subject"], &raised["since"]));
    assert!(raised["cause"].as_str().unwrap().contains("ws://127.0.0.1:"), "{raised}");
    world.halt_chains().await;
}

/// A node that announces nothing any more while it answers: the stream is replaced, blocks are asked for, nobody is called.
#[tokio::test(flavor = "multi_thread")]
async fn x23_a_stream_that_stalls_is_replaced_before_anybody_is_told() {
    let mut world = World::new(network::Config::default(), 40, 0).await;
    world.run_chains();
    let alerts = Hooks::serve().await;
    let (_place, running, at) = watched(&world, &alerts).await;
    until_ready(at, &running, None).await;
    world.asked.play(|_, method, _| (method == "chain_finalizedHead").then_some(Fault::Drop));
    let replaced = async || metric(at, "prb_source_stalled_total").await >= 1.0;
    until_or("the silent stream is replaced", replaced, || running.log().join("\n")).await;
    assert!(running.logged(&["WARN", "the node does not announce its finalized heads"]));
    let goal = u64::from(world.network.relay().finalized_number());
    until_or("it gets on", async || stored(at).await > goal, || running.log().join("\n")).await;
    assert_eq!(readiness(at).await.0, 200);
    assert_eq!(running.end("-TERM").await.0, Some(0));
    assert!(alerts.posted().is_empty(), "{:?}", alerts.posted());
    world.halt_chains().await;
}
