//! `prb monitor` as a process.

use crate::{
    http::ask,
    mistakes::one_line,
    place::{Place, Running},
    redis_server::Redis,
    world::until,
};
use serde_json::Value;
use std::net::SocketAddr;

/// Where it says that its pages are.
async fn address(running: &Running) -> SocketAddr {
    let said = || {
        let log = running.log();
        let line = log.iter().find(|line| line.contains(" is at http://"))?.clone();
        line.rsplit("http://").next()?.trim().trim_end_matches('/').parse().ok()
    };
    until("it says where it is", async || said().is_some()).await;
    said().unwrap()
}

async fn json(at: SocketAddr, path: &str) -> Value {
    let (status, body) = ask(at, "GET", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f070_v3_f60_a_monitor_runs_without_a_configuration_and_ends_in_order() {
    let mut place = Place::without_file();
    std::fs::write(place.path("wm.yml"), "- name: Rack 1\n  endpoint: http://127.0.0.1:9\n  proxied: true\n")
        .unwrap();
    // Neighbours are nobody's business here.
    place.set_environment(&[("PRB_P2P_MDNS", "false")]);
    let running = place.start(&["monitor", "--listen", "127.0.0.1:0", "--managers", "wm.yml"], "info");
    let at = address(&running).await;
    let managers = json(at, "/v1/managers").await;
    assert_eq!(managers["managers"][0]["base"], "/managers/rack-1/");
    assert_eq!(ask(at, "GET", "/managers/rack-1/v1/overview", "").await.0, 502);
    assert_eq!(json(at, "/ptp/discover").await["dataProviders"], serde_json::json!([]));
    assert_eq!(json(at, "/readyz").await["ready"], true);
    let (status, metrics) = ask(at, "GET", "/metrics", "").await;
    assert!(status == 200 && metrics.contains("prb_api_answers_total{status=\"502\"} 1"), "{metrics}");
    let (status, page) = ask(at, "GET", "/monitor/", "").await;
    assert!(status == 200 && page.contains("<title>"), "{page}");
    let taken = place.prb(&["monitor", "--listen", &at.to_string()]).await;
    one_line(&taken, &["monitor.listen", &at.to_string()]);
    let (code, log) = running.end("-TERM").await;
    assert_eq!(code, Some(0), "{}", log.join("\n"));
    assert!(!log.iter().any(|line| line.contains("WARN")), "{}", log.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f057_v2_f080_the_arena_of_v2_shows_the_queue_and_changes_nothing() {
    let Some(redis) = Redis::start() else { return };
    let mut place = Place::without_file();
    let url = redis.url();
    place.set_environment(&[
        ("PHALA_MODULE", "utils/arena"),
        ("REDIS_ENDPOINT", url.as_str()),
        ("PRB_MONITOR_QUEUE_LISTEN", "127.0.0.1:0"),
    ]);
    let running = place.start(&[], "info");
    let at = address(&running).await;
    let said = json(at, "/v1/transactions").await;
    assert_eq!(said["transactions"], serde_json::json!([]));
    assert!(said["queue"]["trouble"].as_str().unwrap().contains("no trader is at work"), "{said}");
    assert_eq!(redis.command("EXISTS prb:asks"), ":0", "nothing was asked of nobody");
    let (status, _) = ask(at, "POST", "/v1/transactions/pause", "").await;
    assert_eq!(status, 404);
    assert_eq!(ask(at, "GET", "/", "").await.0, 307);
    assert_eq!(running.end("-INT").await.0, Some(0));

    place.set_environment(&[]);
    let none = place.prb(&["monitor", "--queue"]).await;
    one_line(&none, &["redis", "PHALA_Q_REDIS_ENDPOINT"]);
}
