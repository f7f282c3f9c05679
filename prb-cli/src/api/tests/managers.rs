//! A monitor by itself, and managers that answer as they should or do not.

mod broken;

use super::{Answer, JSON, PATIENCE, Place, ask, here};
use crate::{
    api::{Api, Bound, Limits, Page, Root, managers, managers::Managers, subject::Subject},
    config,
};
use hyper::Method;
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

/// A manager that answers everything in the same way, and what it was asked.
struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Answers with these bytes, then with more of `rest` for as long as it is read, after `go`.
    async fn new(answer: &str, rest: &'static [u8], go: Arc<Notify>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, answer) = (Arc::<Mutex<Vec<String>>>::default(), answer.to_owned());
        let said = heard.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = request(&mut stream).await;
                said.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                if !rest.is_empty() {
                    go.notified().await;
                    while stream.write_all(rest).await.is_ok() {}
                }
            }
        });
        Self { address, heard, task }
    }

    async fn answering(answer: &str) -> Self {
        Self::new(answer, b"", Arc::default()).await
    }

    fn url(&self) -> String {
        format!("http://{}/base/", self.address)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request with as much body as its head says.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let mut some = [0; 4096];
        let count = stream.read(&mut some).await.unwrap();
        read.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

fn manager(name: &str, url: &str) -> config::Manager {
    config::Manager { name: name.to_owned(), url: url.to_owned(), token_file: None }
}

/// Times that pass only where something is awaited in vain.
const PATIENT: managers::Limits = managers::Limits { begin: PATIENCE, silence: PATIENCE, bytes: 1 << 20 };

/// A monitor of these.
fn monitor(api: &config::Api, managers: Vec<config::Manager>, limits: managers::Limits) -> Api {
    monitor_within(api, managers, limits, Limits::default())
}

fn monitor_within(
    api: &config::Api,
    managers: Vec<config::Manager>,
    limits: managers::Limits,
    own: Limits,
) -> Api {
    let mut managers = Managers::open(&config::Monitor { managers, ..config::Monitor::default() }).unwrap();
    managers.limits = limits;
    let listen = "127.0.0.1:0".parse().unwrap();
    let page = Page { root: Root::Monitor, key: "monitor.listen", listen, named: true };
    let (none, bound) = (Vec::new(), Bound::default());
    Api::listen(api, none, bound, vec![page], Subject::Monitor, managers, own).unwrap()
}

/// Asks the monitor, and takes its answer for whole only if it is.
async fn asked(api: &Api, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut answer = ask(api.monitor().unwrap(), method, path, headers, body).await;
    if answer.has("transfer-encoding: chunked") {
        let (mut rest, mut whole) = (answer.body.as_str(), String::new());
        while let Some((size, more)) = rest.split_once("\r\n").filter(|(size, _)| *size != "0") {
            let size = usize::from_str_radix(size, 16).unwrap();
            whole += &more[..size];
            rest = &more[size + 2..];
        }
        assert_eq!(rest, "0\r\n\r\n", "it broke off");
        answer.body = whole;
    }
    answer
}

async fn get(api: &Api, path: &str) -> Answer {
    asked(api, "GET", path, &[], "").await
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\nset-cookie: a=b\r\n\
                    x-powered-by: x\r\netag: \"7\"\r\n\r\n{\"ok\":true}";

#[tokio::test]
async fn v3_f60_managers_are_chosen_by_name_and_shown_by_one_monitor() {
    let (first, second) = (Place::new().await, Place::new().await);
    let url = |place: &Place| format!("http://{}", place.address());
    let all = vec![manager("Rack 1", &url(&first)), manager("rack2", &url(&second))];
    let api = monitor(&here(), all.clone(), managers::Limits::default());
    let listed = json!({ "managers": [
        { "name": "Rack 1", "base": "/managers/rack-1/" }, { "name": "rack2", "base": "/managers/rack2/" },
    ] });
    assert_eq!(get(&api, "/v1/managers").await.json(), listed);
    let workers = get(&api, "/managers/rack-1/v1/workers?limit=1&name=w2").await.json();
    assert_eq!((&workers["total"], &workers["workers"][0]["name"]), (&json!(1), &json!("w2")));
    // What is changed is changed with one of them.
    let paused = asked(&api, "POST", "/managers/rack2/v1/transactions/pause", &[], "").await;
    assert_eq!((paused.status, paused.json()), (200, json!({ "paused": true })));
    let other = get(&api, "/managers/rack-1/v1/transactions").await.json();
    assert_eq!(
        (other["paused"].as_bool(), second.get("/v1/transactions").await.json()["paused"].as_bool()),
        (Some(false), Some(true))
    );
    let pools = asked(&api, "POST", "/managers/rack2/wm/config", &[JSON], "{\"GetAllPools\":null}").await;
    assert!(
        pools.status == 200 && pools.has("content-type: text/plain") && pools.json()[0]["pid"] == 1,
        "{pools:?}"
    );
    // Refusals come through as they are.
    let refused = get(&api, "/managers/rack2/v1/workers/w9").await;
    assert!(refused.status == 404 && refused.message().contains("there is no worker w9"), "{refused:?}");
    assert_eq!(get(&api, "/managers/rack2/nothing").await.status, 418);
    for path in ["/managers/rack3/v1/workers", "/managers//v1/workers", "/managers"] {
        assert!([404, 418].contains(&get(&api, path).await.status), "{path}");
    }
    // By itself it has pages, and nothing else.
    assert_eq!(get(&api, "/monitor/").await.status, 200);
    assert_eq!((get(&api, "/healthz").await.status, get(&api, "/readyz").await.status), (200, 200));
    assert!(get(&api, "/v1/workers").await.message().contains("/v1/managers"));

    // A bridge that is told of managers shows itself first.
    let beside = config::Monitor { managers: all, ..config::Monitor::default() };
    let both = Api::begin(&here(), &beside, Limits::default()).unwrap();
    let listed = ask(both.addresses()[0], "GET", "/v1/managers", &[], "").await.json();
    assert_eq!(listed["managers"][0], json!({ "name": "this", "base": "/" }));
    assert_eq!(listed["managers"].as_array().unwrap().len(), 3);
    both.stop().await;
    api.stop().await;
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn v3_f61_a_request_is_forwarded_with_the_managers_token_and_nothing_that_is_not_its_business() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "the-managers-own-token\n").unwrap();
    let fake = Fake::answering(FINE).await;
    let with_token = config::Manager { token_file: Some(file.clone()), ..manager("a", &fake.url()) };
    let api = monitor(&here(), vec![with_token, manager("b", &fake.url())], managers::Limits::default());
    let at = api.monitor().unwrap();
    let own = at.to_string();
    let headers = [
        JSON,
        ("cookie", "secret=1"),
        ("origin", &format!("http://{own}")),
        ("if-none-match", "\"7\""),
        ("authorization", "Bearer shown-by-the-browser"),
    ];
    let answer = asked(&api, "PUT", "/managers/a/workers/re%20start?x=%2F&y", &headers, "{\"ids\":[]}").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"ok\":true}"), "{answer:?}");
    assert!(answer.has("content-type: application/json") && answer.has("etag: \"7\""), "{answer:?}");
    assert!(!answer.has("set-cookie") && !answer.has("x-powered-by"), "{answer:?}");
    // Whatever it is, no browser takes it for a page of ours.
    assert!(answer.has("content-security-policy: default-src 'none'") && answer.has("nosniff"), "{answer:?}");
    let heard = fake.heard().remove(0);
    assert!(heard.starts_with("PUT /base/workers/re%20start?x=%2F&y HTTP/1.1\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n{\"ids\":[]}"), "{heard}");
    for there in [
        &format!("host: {}", fake.address),
        "authorization: Bearer the-managers-own-token",
        "content-type: application/json",
        "if-none-match: \"7\"",
    ] {
        assert!(heard.contains(there), "{there}: {heard}");
    }
    for kept in ["cookie", "origin", "shown-by-the-browser"] {
        assert!(!heard.contains(kept), "{kept}: {heard}");
    }
    // Without a token of its own it is shown the browser's.
    ask(at, "GET", "/managers/b/", &headers[4..], "").await;
    let heard = fake.heard().remove(1);
    assert!(heard.starts_with("GET /base/ HTTP") && heard.contains("Bearer shown-by-the-browser"), "{heard}");
    api.stop().await;

    // But never what is meant for the monitor itself.
    let guarded = config::Api { token_file: Some(file), ..here() };
    let api = monitor(&guarded, vec![manager("b", &fake.url())], managers::Limits::default());
    let token = [("authorization", "Bearer the-managers-own-token")];
    assert_eq!(ask(api.monitor().unwrap(), "GET", "/managers/b/", &token, "").await.status, 200);
    assert!(!fake.heard().remove(2).contains("authorization"));
    api.stop().await;
}

#[tokio::test]
async fn v3_f61_the_paths_of_v3s_monitor_lead_to_known_managers_and_nowhere_else() {
    let (fake, stranger) = (Fake::answering(FINE).await, Fake::answering(FINE).await);
    let api = monitor(&here(), vec![manager("a", &fake.url())], managers::Limits::default());
    let escaped = |url: &str| url.replace(':', "%3A").replace('/', "%2F");
    let at = api.monitor().unwrap();
    let path = format!("/api/p/{}/workers/status", escaped(&fake.url()));
    assert_eq!(ask(at, "GET", &path, &[("content-type", "text/plain")], "").await.status, 200);
    let heard = fake.heard().remove(0);
    assert!(heard.starts_with("GET /base/workers/status HTTP"), "{heard}");
    assert!(heard.contains("content-type: application/json"), "v3 says so of everything: {heard}");
    for url in [
        stranger.url(),
        "http://169.254.169.254/".to_owned(),
        "http://localhost:3001".to_owned(),
        String::new(),
    ] {
        let refused = get(&api, &format!("/api/p/{}/workers/status", escaped(&url))).await;
        assert!([404, 418].contains(&refused.status), "{url}: {refused:?}");
    }
    for path in ["..", "%2e%2e/x", "a/../../x", "%2E./x", "a%2F..%2Fx", "..%5Cx"] {
        let refused = get(&api, &format!("/managers/a/{path}")).await;
        assert_eq!(refused.status, 404, "{path}: {refused:?}");
    }
    assert_eq!((stranger.heard().len(), fake.heard().len()), (0, 1));
    api.stop().await;
}

#[tokio::test]
async fn v3_f61_nothing_is_forwarded_for_who_may_not_ask_it_here() {
    let fake = Fake::answering(FINE).await;
    let api = monitor(&here(), vec![manager("a", &fake.url())], managers::Limits::default());
    let at = api.monitor().unwrap();
    let rebound = format!("evil.example:{}", at.port());
    for (headers, status) in [
        (("origin", "https://evil.example"), 403),
        (("host", rebound.as_str()), 403),
        (("x-forwarded-for", "10.0.0.9"), 401),
    ] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
            let refused = ask(at, method, "/managers/a/wm/config", &[headers, JSON], "{}").await;
            assert_eq!(refused.status, status, "{method} {headers:?}: {refused:?}");
        }
    }
    // What a peer is told to do is a change by whatever method, however it is written and whoever passes it on.
    let escaped = "/api/p/http%3A%2F%2Fb";
    for path in [
        "/ptp/proxy/P/KickWorker",
        "/ptp/proxy/P/Kick%57orker",
        "/%70tp/proxy/P/KickWorker",
        "//ptp//proxy/P/KickWorker/",
        "/ptp/proxy/P/SomethingOfALaterRelease",
        "/managers/b/managers/c/ptp/proxy/P/RestartWorker",
        "/wm/restart",
        "/v1/nothing",
    ] {
        let by_method = !path.contains("proxy");
        for method in if by_method { ["PUT", "POST", "BREW"] } else { ["GET", "HEAD", "OPTIONS"] } {
            let headers = [("x-forwarded-for", "10.0.0.9"), JSON];
            let path = format!("/managers/a{path}");
            let refused = ask(at, method, &path, &headers, "{\"ids\":[\"x\"]}").await;
            assert_eq!(refused.status, 401, "{method} {path}: {refused:?}");
        }
    }
    let of_v3 = format!("{escaped}/managers/b/ptp/proxy/P/KickWorker");
    let refused = ask(at, "GET", &of_v3, &[("x-forwarded-for", "10.0.0.9"), JSON], "{\"ids\":[]}").await;
    assert_eq!(refused.status, 401, "{refused:?}");
    // A name that pretends to be this machine reads nothing with a manager's token either.
    let refused = ask(at, "GET", "/managers/a/v1/workers", &[("host", rebound.as_str())], "").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(fake.heard().len(), 0);
    // What reads is passed on for whoever may read, without anything that could be taken for an order.
    let away = [("x-forwarded-for", "10.0.0.9"), JSON];
    for (method, path) in
        [("GET", "/v1/workers"), ("POST", "/ptp/proxy/P/ListWorker"), ("GET", "/ptp/discover")]
    {
        let answer = ask(at, method, &format!("/managers/a{path}"), &away, "{\"ids\":[]}").await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        let heard = fake.heard().pop().unwrap();
        assert_eq!(heard.ends_with("{\"ids\":[]}"), method == "POST", "{heard}");
    }
    assert_eq!(fake.heard().len(), 3);
    api.stop().await;
}

#[test]
fn a_path_through_very_many_managers_is_judged_as_others_are() {
    let mut segments = ["managers", "m"].repeat(2000);
    segments.extend(["ptp", "proxy", "P"]);
    for (method, changes) in [("KickWorker", true), ("ListWorker", false)] {
        let segments = [segments.as_slice(), &[method]].concat();
        let way = managers::Way::new(&Method::GET, managers::Whom::Named("a".to_owned()), &segments).unwrap();
        assert_eq!(way.changes, changes, "{method}");
    }
}

#[tokio::test]
async fn v3_f61_events_are_passed_on_as_they_come() {
    let go = Arc::new(Notify::new());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: first\ndata: {}\n\n";
    let fake = Fake::new(head, b"event: more\ndata: {}\n\n", go.clone()).await;
    let api = monitor(&here(), vec![manager("a", &fake.url())], managers::Limits { bytes: 64, ..PATIENT });
    let mut stream = TcpStream::connect(api.monitor().unwrap()).await.unwrap();
    let ask = format!("GET /managers/a/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", api.monitor().unwrap());
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut read = String::new();
    let mut until = async |word: &str, least: usize| {
        while read.matches(word).count() < least {
            let mut some = vec![0; 65_536];
            let count = timeout(PATIENCE, stream.read(&mut some)).await.unwrap().unwrap();
            assert!(count > 0, "it ended: {read}");
            read += &String::from_utf8_lossy(&some[..count]);
        }
    };
    until("event: first", 1).await;
    go.notify_one();
    // More than an answer that has an end may have.
    until("event: more", 100).await;
    api.stop().await;
}
