//! A deployment whose nodes and workers are down.

use super::*;
use crate::config::{Config, DeclaredOperator, DeclaredPool, DeclaredWorker};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest time that anything may take. Generous: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    folder: TempDir,
    deployment: Arc<Deployment>,
    management: Management,
}

impl Running {
    /// Two workers of a pool of `alice`.
    async fn new() -> Self {
        let (folder, node) = (tempfile::tempdir().unwrap(), "ws://127.0.0.1:9");
        let mut config = Config::for_nodes(folder.path().to_owned(), node, node);
        let operator = DeclaredOperator { name: "alice".into(), development_uri: "//Alice".into() };
        config.inventory.operators.push(operator);
        config.inventory.pools.push(DeclaredPool { pid: 1, operator: "alice".into(), sync_only: false });
        config.inventory.workers = ["w1", "w2"]
            .map(|name| DeclaredWorker {
                name: name.into(),
                endpoint: format!("http://127.0.0.1:9/{name}"),
                pool: 1,
                stake: "5000".into(),
            })
            .into();
        let deployment = Arc::new(Deployment::start(&config).await.unwrap());
        let management = Management::Running(deployment.clone());
        Self { folder, deployment, management }
    }

    async fn call(&self, method: Method, body: Value) -> Result<Value, ResponseError> {
        call(&self.management, method, &body).await
    }

    async fn states(&self, body: Value) -> Vec<Value> {
        let answer = self.call(Method::GetWorkerStatus, body).await.unwrap();
        answer["workerStates"].as_array().unwrap().clone()
    }

    /// The uuid of a worker.
    async fn id(&self, name: &str) -> Value {
        let states = self.states(json!({})).await;
        states.iter().find(|state| state["worker"]["name"] == name).unwrap()["worker"]["uuid"].clone()
    }

    /// Waits until something of this deployment is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Deployment) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.deployment) {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the last message of a worker holds these words.
    async fn told(&self, name: &str, words: &str) {
        let has = |deployment: &Deployment| {
            let workers = deployment.bridge().workers_status();
            let worker = workers.into_iter().find(|status| status.worker.name.as_str() == name);
            worker.and_then(|status| status.last_message).is_some_and(|message| message.text.contains(words))
        };
        self.until(words, has).await;
    }

    async fn end(self) {
        let Self { folder, deployment, management } = self;
        drop(management);
        let deployment = Arc::into_inner(deployment).expect("nothing else holds it");
        timeout(PATIENCE, deployment.stop()).await.unwrap();
        drop(folder);
    }
}

/// Also v2_f108, v2_f109.
#[tokio::test]
async fn v2_f107_workers_are_restarted_registered_anew_and_kicked() {
    let running = Running::new().await;
    let (first, second) = (running.id("w1").await, running.id("w2").await);
    for (method, ids, words) in [
        (Method::RestartWorker, json!([first, second]), "restart"),
        (Method::RefreshRaAndRestartWorker, json!([second]), "register"),
        (Method::KickWorker, json!([second]), "stop"),
    ] {
        let answer = running.call(method, json!({ "ids": ids })).await.unwrap();
        let states = answer["workerStates"].as_array().unwrap();
        let told: Vec<_> = states.iter().map(|state| state["worker"]["uuid"].clone()).collect();
        assert_eq!(json!(told), ids, "their state at that moment");
        running.told("w2", words).await;
    }
    running.end().await;
}

#[tokio::test]
async fn v2_f109_nobody_is_kicked_unless_all_can_be() {
    let running = Running::new().await;
    let first = running.id("w1").await;
    let error = running.call(Method::KickWorker, json!({ "ids": [first, "none"] })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("ids[1]: there is no worker none"), "{error}");
    let answer = running.call(Method::KickWorker, json!({ "ids": [] })).await.unwrap();
    assert_eq!(answer, json!({}), "whoever names none means none");
    let off = json!({ "items": [{ "id": { "name": "w2" }, "worker": {
        "pid": 1, "name": "w2", "endpoint": "http://127.0.0.1:9/w2", "stake": "5", "enabled": false,
    } }] });
    running.call(Method::UpdateWorker, off).await.unwrap();
    running.deployment.apply_inventory().await.unwrap();
    let both = json!({ "ids": [first, running.id("w2").await] });
    let error = running.call(Method::KickWorker, both).await.unwrap_err();
    assert!(error.message().contains("ids[1]: worker w2: it is disabled"), "{error}");
    let states = running.deployment.bridge().workers_status();
    assert!(states.iter().all(|status| status.commands == 0 && status.last_message.is_none()));
    running.end().await;
}

#[tokio::test]
async fn v2_f110_all_workers_or_those_that_are_named_tell_how_they_are() {
    let running = Running::new().await;
    let all = running.states(json!({})).await;
    assert_eq!(all.len(), 2);
    let second = &all[1]["worker"];
    assert_eq!(
        (&second["name"], &second["pid"], &second["stake"]),
        (&json!("w2"), &json!("1"), &json!("5000000000000000"))
    );
    let named = running.states(json!({ "ids": [second["uuid"]] })).await;
    assert_eq!((named.len(), &named[0]["worker"]), (1, second));
    let error = running.call(Method::GetWorkerStatus, json!({ "ids": ["x"] })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    running
        .until("that it is away is told", |deployment| {
            deployment.bridge().workers_status().iter().all(|status| status.trouble.is_some())
        })
        .await;
    let away = running.states(json!({ "ids": [second["uuid"]] })).await;
    assert_eq!(away[0]["status"], json!("S_ERROR"));
    assert!(away[0]["lastMessage"].as_str().is_some_and(|message| !message.is_empty()));
    running.end().await;
}

#[tokio::test]
async fn v2_f046_what_peers_create_runs_without_a_restart() {
    let running = Running::new().await;
    let pool =
        json!({ "pools": [{ "pid": 2, "name": "p", "owner": { "mnemonic": "//Bob" }, "enabled": true }] });
    running.call(Method::CreatePool, pool).await.unwrap();
    let worker = json!({ "workers": [{
        "pid": 2, "name": "w3", "endpoint": "http://127.0.0.1:9/w3", "enabled": true, "stake": "4000000000000000",
    }] });
    running.call(Method::CreateWorker, worker).await.unwrap();
    running.deployment.apply_inventory().await.unwrap();
    let states = running.states(json!({})).await;
    assert_eq!(states.len(), 3);
    assert!(
        running.deployment.bridge().workers_status().iter().any(|status| status.worker.name.as_str() == "w3")
    );
    running.call(Method::RestartWorker, json!({ "ids": [states[2]["worker"]["uuid"]] })).await.unwrap();
    running.end().await;
}
