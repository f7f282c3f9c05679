//! Whoever has no permission, at every port that answers HTTP.

use super::{Answer, Listen, Place, here, send};
use crate::{
    api::{Api, serve::Limits},
    config::{self, Config},
    data_provider::DataProvider,
};
use prb_p2p::method::Method;
use std::net::SocketAddr;

/// What docs/api.md lists, as method and path; a name stands for each part in braces.
fn routes() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in include_str!("../../../../docs/api.md").lines() {
        let Some(cell) = line.strip_prefix("| ").and_then(|row| row.split(" |").next()) else { continue };
        let Some((method, paths)) = cell.split_once(' ') else { continue };
        // v3's restart does nothing, and says so to everybody.
        if !["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method) || paths.contains("/wm/restart") {
            continue;
        }
        let mut last = String::new();
        for path in paths.split('`').skip(1).step_by(2).filter(|path| path.starts_with('/')) {
            let whole = ["/v1", "/wm", "/workers/", "/tx", "/ptp", "/p/", "/managers"];
            let path = match last.rsplit_once('/') {
                // `/a/b`, `/c` is `/a/c`.
                Some((folder, _)) if !whole.iter().any(|whole| path.starts_with(whole)) => {
                    format!("{folder}{path}")
                }
                _ => path.to_owned(),
            };
            let parts: Vec<&str> =
                path.split('/').map(|part| if part.starts_with('{') { "w1" } else { part }).collect();
            found.push((method.to_owned(), parts.join("/")));
            last = path;
        }
    }
    // What peers are told to do, which is so by any method.
    for name in Method::ALL.iter().filter(|method| method.manages()).map(|method| method.name()) {
        found.extend(["GET", "POST"].map(|method| (method.to_owned(), format!("/ptp/proxy/w1/{name}"))));
    }
    found
}

/// Asks as a proxy does for somebody elsewhere, or with a token that is none.
async fn asked(at: SocketAddr, method: &str, path: &str, more: &str) -> Answer {
    // What would be done if it were taken.
    let body = match path {
        "/wm/config" => "{\"RemovePool\":{\"pid\":1}}",
        "/workers/update_endpoints" => "{\"requests\":[]}",
        path if path.starts_with("/workers/") => "{\"ids\":[]}",
        path if path.ends_with("/endpoint") => "{\"endpoints\":[\"http://10.0.0.9\"]}",
        _ => "{}",
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-type: application/json\r\n{more}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    send(at, request.as_bytes()).await
}

const ELSEWHERE: &str = "x-forwarded-for: 203.0.113.7\r\n";
const WRONG_TOKEN: &str =
    "x-forwarded-for: 203.0.113.7\r\nauthorization: Bearer another-token-of-this-length\r\n";
/// A page of somebody else, in a browser on this machine.
const FOREIGN_PAGE: &str = "origin: https://evil.example\r\n";

#[tokio::test]
async fn x18_without_permission_nothing_is_changed_on_any_port() {
    let routes = routes();
    let changes: Vec<_> =
        routes.iter().filter(|(method, path)| method != "GET" || path.starts_with("/ptp/")).collect();
    let known = [
        "/ptp/proxy/w1/KickWorker",
        "/wm/config",
        "/workers/restart",
        "/v1/workers/w1/checkpoint",
        "/v1/transactions/resume",
    ];
    for path in known {
        assert!(changes.iter().any(|(_, known)| known == path), "{path} in {changes:?}");
    }
    let place = Place::new().await;
    let token = place.path("api.token");
    std::fs::write(&token, "a-token-of-some-length\n").unwrap();
    let with_token = config::Api { token_file: Some(token), ..here() };
    let apis = [&here(), &with_token].map(|config| {
        let monitor =
            config::Monitor { listen: Some("127.0.0.1:0".parse().unwrap()), ..config::Monitor::default() };
        Api::begin(config, &monitor, Limits::default()).unwrap()
    });
    let trader = config::Api { trade_listen: here().listen, ..config::Api::default() };
    let none = config::Monitor::default();
    let of_trader =
        Api::at(Listen::of_trader(&trader), &trader, &none, Vec::new(), Limits::default()).unwrap();
    for api in &apis {
        api.attach(place.deployment.clone()).await;
    }

    let before = place.deployment.inventory().revision().unwrap();
    for api in apis.iter().chain([&of_trader]) {
        for at in api.addresses().iter().copied().chain(api.monitor()) {
            for (method, path) in &changes {
                for stranger in [ELSEWHERE, WRONG_TOKEN, FOREIGN_PAGE] {
                    let answer = asked(at, method, path, stranger).await;
                    assert!([401, 403].contains(&answer.status), "{method} {path} {stranger}: {answer:?}");
                }
            }
        }
    }
    let workers = place.get("/workers/status").await.json();
    assert!(workers["workers"].as_array().unwrap().iter().all(|row| row["last_message"] == ""), "{workers}");
    assert_eq!(place.deployment.inventory().revision().unwrap(), before, "the inventory is as it was");
    assert_eq!(place.get("/v1/transactions").await.json()["paused"], false);

    // What may be read holds no secret, and with a token nothing is read without it.
    let operators = &place.deployment.snapshot().unwrap().operators;
    let sealed = serde_json::to_value(&operators[0].secret).unwrap();
    let sealed = sealed.as_str().unwrap();
    // A stream of events does not end; it has what the others have.
    for (method, path) in routes.iter().filter(|(method, path)| method == "GET" && !path.ends_with("/events"))
    {
        let answer = asked(apis[0].addresses()[0], method, path, ELSEWHERE).await;
        assert!(!answer.body.contains(sealed) && !answer.body.contains("//Alice"), "{path}: {answer:?}");
        assert_eq!(asked(apis[1].addresses()[0], method, path, ELSEWHERE).await.status, 401, "{path}");
    }
    for api in apis.into_iter().chain([of_trader]) {
        api.stop().await;
    }
    place.end().await;
}

/// A data provider has nothing that could be changed.
#[tokio::test]
async fn x18_a_data_provider_takes_no_orders() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
    config.serve.listen = "127.0.0.1:0".parse().unwrap();
    config.serve.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let provider = DataProvider::start(&config).await.unwrap();
    for at in [Some(provider.address()), provider.metrics_address()].into_iter().flatten() {
        for (method, path) in routes().iter().filter(|(method, _)| method != "GET") {
            let answer = asked(at, method, path, "").await;
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
        }
    }
    provider.stop().await;
}
