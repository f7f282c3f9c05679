//! The management API while workers are brought to work.

use crate::http::ask;
use crate::world::{ANY, World, in_time, name, until, until_or};
use prb_cli::{api::Api, deployment::Deployment};
use prb_devnet::network;
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};

async fn get(at: SocketAddr, path: &str) -> Value {
    let (status, body) = ask(at, "GET", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f23_v3_f24_v3_f38_workers_are_followed_to_work_and_restarted_over_http() {
    let mut world = World::new(network::Config::default(), 30, 2).await;
    world.run_chains();
    let mut config = world.config();
    config.api.listen = Some(vec![ANY]);
    let deployment = Arc::new(Deployment::start(&config).await.unwrap());
    let api = Api::start(&config).unwrap();
    api.attach(deployment.clone()).await;
    let at = api.addresses()[0];

    let working = async || {
        let said = get(at, "/workers/status").await;
        let workers = said["workers"].as_array().unwrap().clone();
        workers.len() == 2
            && workers.iter().all(|one| {
                one["state"] == "Working"
                    && one["session_info"]["state"] == "WorkerIdle"
                    && one["phactory_info"]["registered"] == true
            })
    };
    until_or("both work", working, || format!("{:#?}", deployment.bridge().workers_status())).await;
    let ready = async || ask(at, "GET", "/readyz", "").await.0 == 200;
    until("it is ready", ready).await;

    let said = get(at, "/workers/status").await;
    let first = &said["workers"][0];
    assert_eq!((&first["worker"]["name"], &first["worker"]["pid"]), (&json!(name(0)), &json!(1)));
    let score = first["session_info"]["benchmark"]["p_init"].as_u64();
    assert!(score.is_some_and(|score| score > 0), "{first}");
    assert!(first["phactory_info"]["blocknum"].as_u64() > Some(10), "{first}");

    // Restarted by its id; the other one is left alone.
    let ids = json!({ "ids": [first["worker"]["id"]] }).to_string();
    assert_eq!(ask(at, "PUT", "/workers/restart", &ids).await, (200, "{\"ok\":true}".to_owned()));
    let message = async |index: usize| {
        let said = get(at, "/workers/status").await;
        said["workers"][index]["last_message"].as_str().unwrap().to_owned()
    };
    until("the restart is told", async || message(0).await.ends_with("restart: it begins anew")).await;
    assert!(!message(1).await.contains("restart"));
    until("both work still", working).await;

    let own = get(at, "/v1/workers?state=Working").await;
    assert_eq!(own["total"], 2, "{own}");
    let settled = async || {
        let past = get(at, "/tx/status").await["past_txs"].as_array().unwrap().clone();
        past.iter().any(|tx| tx["pid"] == 1 && tx["state"]["Success"]["updated_at"].is_string())
    };
    until("a transaction is listed with its end", settled).await;

    api.stop().await;
    let deployment = Arc::into_inner(deployment).unwrap();
    in_time("the bridge stops", deployment.stop()).await;
    world.halt_chains().await;
}
