//! `prb trade` answers HTTP as a lifecycle does.

use crate::asked::Side;
use crate::http::ask;
use crate::place::{Place, Running};
use crate::redis_server::Redis;
use crate::world::{World, in_time, until_or};
use prb_chain::journal::{Journal, Record};
use prb_devnet::network;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A trader that was at work last in this namespace: another one would wait for blocks.
async fn at_work_last(world: &World, redis: &Redis, more: &str) -> Place {
    let place = Place::new();
    place.configure(&format!(
        "data_dir = \"data\"\n[chain]\npara = \"{}\"\n[redis]\nurl = \"{}\"\n[api]\nlisten = [\"127.0.0.1:9\"]\n\
         trade_listen = [\"127.0.0.1:0\"]\n{more}",
        world.url(Side::Para),
        redis.url()
    ));
    place.add_alice().await;
    let journal = Journal::open(place.path("data/transactions.journal")).unwrap();
    journal.write(vec![Record::Name([7; 16])]).await.unwrap();
    assert_eq!(redis.command(&format!("SET prb:journal {}", "07".repeat(16))), "+OK");
    place
}

/// A lifecycle whose trader is another process: what it feeds goes on without Redis, but nothing is sent.
#[tokio::test(flavor = "multi_thread")]
async fn x22_a_lifecycle_without_its_redis_is_not_ready_and_names_it_until_it_is_back() {
    let Some(mut redis) = Redis::start() else { return };
    let mut world = World::new(network::Config::default(), 40, 0).await;
    world.run_chains();
    let place = Place::new();
    place.configure(&format!(
        "data_dir = \"data\"\n[chain]\nrelay = \"{}\"\npara = \"{}\"\n[redis]\nurl = \"{}\"\n[api]\nlisten = [\"127.0.0.1:0\"]\n",
        world.url(Side::Relay),
        world.url(Side::Para),
        redis.url()
    ));
    let running = place.run("info");
    let at = listening(&running).await;
    until_ready(at, &running, None).await;
    redis.down();
    until_ready(at, &running, Some("redis does not answer")).await;
    assert_eq!(ask(at, "GET", "/healthz", "").await.0, 200, "nothing is wrong with the process");
    redis.up();
    until_ready(at, &running, None).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

/// Where the API of a process listens.
pub async fn listening(running: &Running) -> SocketAddr {
    let listens = async || running.logged(&["the API listens"]);
    until_or("it listens", listens, || running.log().join("\n")).await;
    let log = running.log();
    let line = log.iter().find(|line| line.contains("the API listens")).unwrap();
    line.split("address=").nth(1).unwrap().trim().parse().unwrap()
}

async fn get(at: SocketAddr, path: &str) -> (u16, Value) {
    let (status, body) = ask(at, "GET", path, "").await;
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

/// Waits until it is ready, or not ready for a reason with these words.
pub async fn until_ready(at: SocketAddr, running: &Running, words: Option<&str>) {
    let what = words.map_or_else(|| "it is ready".to_owned(), |words| format!("it tells {words}"));
    let stands = async || {
        let (status, said) = get(at, "/readyz").await;
        match words {
            None => status == 200,
            Some(words) => status == 503 && said["reasons"].to_string().contains(words),
        }
    };
    until_or(&what, stands, || running.log().join("\n")).await;
}

/// Asks as a proxy does for somebody elsewhere; the status.
async fn asked_from_elsewhere(at: SocketAddr, method: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nx-forwarded-for: 203.0.113.7\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time("it answers", stream.read_to_string(&mut answer)).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f053_a_trader_answers_http_by_the_rules_of_the_api() {
    let Some(redis) = Redis::start() else { return };
    let mut world = World::new(network::Config::default(), 40, 0).await;
    world.run_chains();
    let place = at_work_last(&world, &redis, "").await;
    let running = place.start(&["trade"], "info");
    let at = listening(&running).await;
    assert!(!running.logged(&["the monitor is at"]), "there is nothing for it to show");
    until_ready(at, &running, None).await;
    assert_eq!(get(at, "/healthz").await, (200, json!({ "ok": true })));
    assert_eq!(get(at, "/v1/version").await.1["version"], env!("CARGO_PKG_VERSION"));
    let (status, metrics) = ask(at, "GET", "/metrics", "").await;
    assert_eq!(status, 200);
    for name in ["prb_build_info{version=", "prb_redis_up{role=\"service\"} 1", "prb_redis_lease_held{"] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} in {metrics}");
    }

    for method in ["pause", "resume", "1-1/drop"] {
        let path = format!("/v1/transactions/{method}");
        assert_eq!(asked_from_elsewhere(at, "POST", &path).await, 401, "{path}");
    }
    assert_eq!(get(at, "/readyz").await.1["paused"], false, "nobody elsewhere has changed it");
    let (status, said) = ask(at, "POST", "/v1/transactions/pause", "").await;
    assert_eq!((status, said), (200, "{\"paused\":true}".to_owned()));
    assert_eq!(get(at, "/readyz").await, (200, json!({ "ready": true, "reasons": [], "paused": true })));
    let (status, said) = ask(at, "POST", "/v1/transactions/1-1/drop", "").await;
    assert!(status == 404 && said.contains("no transaction 1-1 is known"), "{said}");
    let (_, said) = get(at, "/v1/transactions").await;
    assert_eq!((&said["paused"], &said["total"]), (&json!(true), &json!(0)));
    assert!(place.ok(&["tx", "list"]).await.starts_with("paused"), "it is the journal's");
    assert_eq!(ask(at, "POST", "/v1/transactions/resume", "").await.0, 200);
    assert_eq!(get(at, "/readyz").await.1["paused"], false);
    assert_eq!(get(at, "/tx/status").await.0, 200);
    let (status, said) = get(at, "/v1/workers").await;
    assert!(status == 404 && said["message"].as_str().unwrap().contains("prb lifecycle"), "{said}");
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x22_x23_a_trader_without_redis_or_node_is_not_ready_until_they_are_back() {
    let Some(mut redis) = Redis::start() else { return };
    let mut world = World::new(network::Config::default(), 40, 0).await;
    world.run_chains();
    let alerts = crate::hooks::Hooks::serve().await;
    let notify = format!("[notify]\nalert_urls = [\"{}\"]\nafter_seconds = 1\n", alerts.url);
    let place = at_work_last(&world, &redis, &notify).await;
    let running = place.start(&["trade"], "info");
    let at = listening(&running).await;
    until_ready(at, &running, None).await;

    // The node holds the connection and answers nothing.
    world.asked.play(|side, _, _| (side == Side::Para).then_some(prb_devnet::rpc::Fault::Drop));
    until_ready(at, &running, Some("node does not answer")).await;
    world.asked.be_honest();
    until_ready(at, &running, None).await;

    redis.down();
    until_ready(at, &running, Some("redis does not answer")).await;
    assert_eq!(ask(at, "GET", "/healthz", "").await.0, 200, "nothing is wrong with the process");
    redis.up();
    // It has lost its name in Redis, so it waits until what another one may have sent has passed.
    until_ready(at, &running, None).await;

    let subjects = [("node", "raised"), ("node", "over"), ("redis", "raised"), ("redis", "over")];
    let posted = || {
        let all = alerts.posted();
        let of = all.iter().map(|alert| alert.json()).filter(|alert| alert["kind"] == "trader");
        of.map(|alert| {
            let text = |key: &str| alert[key].as_str().unwrap().to_owned();
            (text("subject"), text("state"))
        })
        .collect::<Vec<_>>()
    };
    until_or("all is told", async || posted().len() >= 4, || format!("{:?}", posted())).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    assert_eq!(
        posted(),
        subjects.map(|(subject, state)| (subject.to_owned(), state.to_owned())),
        "each once"
    );
    world.halt_chains().await;
}
