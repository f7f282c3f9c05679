//! The API over real sockets, with a deployment whose nodes and workers are down.

mod described;
mod events;
mod hostile;
mod inventory;
mod managers;
mod monitor;
mod own;
mod ptp;
mod resting;
mod strangers;
mod v3;

use super::*;
use crate::config::{DeclaredOperator, DeclaredPool, DeclaredWorker};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// Longest time that anything may take. Generous: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(60);

const NOBODY: &str = "127.0.0.1:9";
const JSON: (&str, &str) = ("content-type", "application/json");

impl Api {
    /// Without an address of the monitor's own.
    fn with(config: &config::Api, limits: Limits) -> Result<Self, ApiError> {
        Self::begin(config, &config::Monitor::default(), limits)
    }
}

/// A deployment and its API.
struct Place {
    folder: TempDir,
    deployment: Arc<Deployment>,
    api: Api,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn has(&self, header: &str) -> bool {
        self.head.to_ascii_lowercase().contains(&header.to_ascii_lowercase())
    }

    /// The reason of a refusal.
    fn message(&self) -> String {
        let said = self.json();
        assert_eq!(said["error"], true, "{said}");
        said["message"].as_str().unwrap().to_owned()
    }
}

fn here() -> config::Api {
    config::Api { listen: Some(vec!["127.0.0.1:0".parse().unwrap()]), ..config::Api::default() }
}

impl Place {
    /// Two workers of a pool of `alice`.
    async fn new() -> Self {
        Self::with(&here(), Limits::default()).await
    }

    async fn with(api: &config::Api, limits: Limits) -> Self {
        Self::over(tempfile::tempdir().unwrap(), api, limits).await
    }

    /// With what the folder holds already.
    async fn over(folder: TempDir, api: &config::Api, limits: Limits) -> Self {
        let node = format!("ws://{NOBODY}");
        let mut config = Config::for_nodes(folder.path().to_owned(), node.as_str(), node.as_str());
        let operator = DeclaredOperator { name: "alice".into(), development_uri: "//Alice".into() };
        config.inventory.operators.push(operator);
        config.inventory.pools.push(DeclaredPool { pid: 1, operator: "alice".into(), sync_only: false });
        config.inventory.workers = ["w1", "w2"].map(worker).into();
        let deployment = Arc::new(Deployment::start(&config).await.unwrap());
        let api = Api::with(api, limits).unwrap();
        api.attach(deployment.clone()).await;
        Self { folder, deployment, api }
    }

    fn address(&self) -> SocketAddr {
        self.api.addresses()[0]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.address(), method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    async fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[JSON], body).await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[JSON], body).await
    }

    /// v3's id of a worker.
    async fn id(&self, name: &str) -> String {
        let status = self.get("/workers/status").await.json();
        let all = status["workers"].as_array().unwrap().clone();
        let found = all.iter().find(|row| row["worker"]["name"] == name).unwrap();
        found["worker"]["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a worker's last message holds these words.
    async fn told(&self, name: &str, words: &str) {
        let begun = Instant::now();
        loop {
            let status = self.get("/workers/status").await.json();
            let row = status["workers"].as_array().unwrap().iter().find(|row| row["worker"]["name"] == name);
            let message = row.unwrap()["last_message"].as_str().unwrap().to_owned();
            if message.contains(words) {
                return assert!(message.starts_with('['), "{message}");
            }
            assert!(begun.elapsed() < PATIENCE, "not told: {words}, but {message:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends everything in order, which takes back what the API held.
    async fn end(self) {
        let Self { folder, deployment, api } = self;
        api.stop().await;
        let deployment = Arc::into_inner(deployment).expect("nothing of the API holds it");
        timeout(PATIENCE, deployment.stop()).await.unwrap();
        drop(folder);
    }
}

fn worker(name: &str) -> DeclaredWorker {
    let endpoint = format!("http://{NOBODY}/{name}");
    DeclaredWorker { name: name.into(), endpoint, pool: 1, stake: "5000".into() }
}

fn said(addresses: &[SocketAddr], named: bool) -> Listen<'_> {
    Listen { key: "api.listen", addresses, named }
}

/// Sends a request on a connection of its own.
async fn ask(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        request += &format!("host: {at}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n{body}", body.len());
    send(at, request.as_bytes()).await
}

/// Sends bytes, and reads until the other side ends the connection.
async fn send(at: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(at).await.unwrap();
    // Who is refused before all was sent may find the connection broken.
    let _ = stream.write_all(bytes).await;
    answered(&mut stream).await
}

async fn answered(stream: &mut TcpStream) -> Answer {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the connection ends in time");
    let text = String::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn v3_f48_it_listens_at_several_addresses_and_says_which_it_cannot_have() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let config = config::Api { listen: Some(vec![any, any]), ..config::Api::default() };
    let api = Api::with(&config, Limits::default()).unwrap();
    let [first, second] = *api.addresses() else { panic!("{:?}", api.addresses()) };
    for address in [first, second] {
        assert_eq!(ask(address, "GET", "/wm/status", &[], "").await.status, 200);
    }

    // One that somebody named must be had; the default one need not.
    let taken = config::Api { listen: Some(vec![first]), ..config::Api::default() };
    let refused = Api::with(&taken, Limits::default()).err().unwrap().to_string();
    assert!(refused.contains("api.listen") && refused.contains(&first.to_string()), "{refused}");
    let (listeners, bound) = super::listeners(said(&[first], false)).unwrap();
    assert!(listeners.is_empty() && bound.addresses.is_empty() && bound.missed.is_some());

    // Both families at one port, where there are both.
    let (_kept, bound) = super::listeners(said(&["0.0.0.0:0".parse().unwrap()], true)).unwrap();
    let same = format!("[::]:{}", bound.addresses[0].port()).parse().unwrap();
    let there = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert!(!there || super::listeners(said(&[same], true)).is_ok(), "IPv6 beside IPv4");

    let off = Api::with(&config::Api::off(), Limits::default()).unwrap();
    assert!(off.addresses().is_empty());
    api.stop().await;
    assert!(TcpStream::connect(first).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_default_address_that_is_taken_is_told_once_with_the_remedy() {
    let observed = prb_core::testkit::Observed::begin();
    let place = Place::new().await;
    let mut api = Api::with(&config::Api::off(), Limits::default()).unwrap();
    let taken = place.address();
    api.bound = super::listeners(said(&[taken], false)).unwrap().1;
    for _ in 0..2 {
        api.attach(place.deployment.clone()).await;
        api.detach().await;
    }
    let told = observed.lines(&["WARN", "there is no API", &taken.to_string(), "enabled = false"]);
    assert_eq!(told.len(), 1, "{told:?}");
    place.end().await;
}

#[tokio::test]
async fn default_addresses_of_pages_that_are_taken_are_told_once_and_are_no_failure() {
    let observed = prb_core::testkit::Observed::begin();
    let place = Place::new().await;
    let mut api = Api::with(&here(), Limits::default()).unwrap();
    let taken = place.address();
    for root in [Root::Monitor, Root::Queue] {
        let page = |named| Page { root, key: "monitor.listen", listen: taken, named };
        assert!(matches!(api.bound.page(&page(false)), Ok(None)));
        assert!(api.bound.page(&page(true)).is_err());
    }
    assert!(api.monitor().is_none() && api.queue().is_none());
    for _ in 0..2 {
        api.attach(place.deployment.clone()).await;
        api.detach().await;
    }
    let told = observed.lines(&["WARN", "only at the API's address", &taken.to_string(), "enabled = false"]);
    assert_eq!(told.len(), 1, "{told:?}");
    place.end().await;
}

#[test]
fn pages_have_default_addresses_where_the_api_has_its_own() {
    let of = |api: &config::Api, monitor: &config::Monitor| -> Vec<(u16, bool)> {
        super::pages(Listen::of(api), monitor, false)
            .iter()
            .map(|page| (page.listen.port(), page.named))
            .collect()
    };
    let (default, none) = (config::Api::default(), config::Monitor::default());
    let named = config::Monitor { listen: Some("127.0.0.1:9".parse().unwrap()), ..none.clone() };
    let on = config::Monitor { enabled: Some(true), ..none.clone() };
    let off = config::Monitor { enabled: Some(false), ..named.clone() };
    assert_eq!(of(&default, &none), [(3000, false), (4567, false)]);
    assert_eq!(of(&default, &named), [(9, true), (4567, false)]);
    assert_eq!(of(&here(), &none), []);
    assert_eq!(of(&here(), &named), [(9, true)]);
    assert_eq!(of(&here(), &on), [(3000, false), (4567, false)]);
    assert_eq!(of(&default, &off), []);
    let elsewhere = super::pages(Listen::of(&default), &none, true);
    assert_eq!(elsewhere.len(), 1, "`prb trade` has the page of its transactions");
}

#[tokio::test]
async fn it_stands_by_until_something_runs_and_lets_go_of_it() {
    let api = Api::with(&here(), Limits::default()).unwrap();
    let at = api.addresses()[0];
    assert_eq!(ask(at, "GET", "/healthz", &[], "").await.status, 200, "standing by is no fault");
    let ready = ask(at, "GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &Value::Bool(false)));
    assert_eq!(ask(at, "GET", "/workers/status", &[], "").await.status, 503);
    api.stop().await;

    let place = Place::new().await;
    assert_eq!(place.get("/workers/status").await.status, 200);
    place.api.detach().await;
    assert_eq!(place.get("/workers/status").await.status, 503);
    place.api.attach(place.deployment.clone()).await;
    assert_eq!(place.get("/workers/status").await.status, 200);
    place.end().await;
}

#[tokio::test]
async fn a_bridge_without_nodes_is_alive_and_not_ready_and_says_why() {
    let place = Place::new().await;
    assert_eq!(place.get("/healthz").await.json(), serde_json::json!({ "ok": true }));
    let ready = place.get("/readyz").await;
    let reasons = ready.json()["reasons"].to_string();
    assert!(ready.status == 503 && reasons.contains("there is no data yet"), "{reasons}");
    let begun = Instant::now();
    while !place.get("/readyz").await.body.contains(NOBODY) {
        assert!(begun.elapsed() < PATIENCE, "the node that is down is named");
        sleep(Duration::from_millis(50)).await;
    }
    // Nothing records metrics in a test.
    assert_eq!(place.get("/metrics").await.status, 503);
    place.end().await;
}
