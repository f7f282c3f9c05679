//! The monitor's files.

use super::{Place, ask, here};
use crate::{
    api::{Api, serve::Limits},
    config,
};
use serde_json::{Value, json};

#[tokio::test]
async fn the_pages_are_served_with_their_types_and_a_strict_policy() {
    let place = Place::new().await;
    let entrance = place.get("/monitor").await;
    assert!(entrance.status == 307 && entrance.has("location: monitor/"), "{entrance:?}");
    for (path, kind) in [
        ("/monitor/", "text/html"),
        ("/monitor/app.js", "text/javascript"),
        ("/monitor/style.css", "text/css"),
        ("/monitor/icon.svg", "image/svg+xml"),
    ] {
        let file = place.get(path).await;
        assert!(file.status == 200 && file.has(&format!("content-type: {kind}")), "{path}: {}", file.head);
        for header in [
            "content-security-policy: default-src 'self';",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "x-frame-options: DENY",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-cache",
        ] {
            assert!(file.has(header), "{path}: {header}: {}", file.head);
        }
        let tag = file.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let same = place.ask("GET", path, &[("if-none-match", tag)], "").await;
        assert!(same.status == 304 && same.body.is_empty() && same.has(tag), "{same:?}");
        let head = place.ask("HEAD", path, &[], "").await;
        assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    }
    for (method, path, status) in [
        ("GET", "/monitor/none.js", 404),
        ("GET", "/monitor/../Cargo.toml", 418),
        ("POST", "/monitor/", 405),
        ("DELETE", "/monitor/app.js", 405),
        ("GET", "/", 418),
    ] {
        assert_eq!(place.ask(method, path, &[], "").await.status, status, "{method} {path}");
    }
    place.end().await;
}

#[tokio::test]
async fn at_its_own_address_the_monitor_is_the_root_and_has_the_api_beside_it() {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let monitor = config::Monitor { listen: any, queue_listen: any, ..config::Monitor::default() };
    let api = Api::begin(&here(), &monitor, Limits::default()).unwrap();
    let own = api.monitor().unwrap();
    let root = ask(own, "GET", "/", &[], "").await;
    assert!(root.status == 307 && root.has("location: monitor/"), "{root:?}");
    assert_eq!(ask(own, "GET", "/monitor/", &[], "").await.status, 200, "also while it stands by");
    assert_eq!(ask(own, "GET", "/wm/status", &[], "").await.status, 200);
    assert_eq!(ask(own, "POST", "/", &[], "").await.status, 405);
    assert_eq!(ask(api.addresses()[0], "GET", "/", &[], "").await.status, 418);

    let queue = ask(api.queue().unwrap(), "GET", "/", &[], "").await;
    assert!(queue.status == 307 && queue.has("location: monitor/#/transactions"), "{queue:?}");

    for key in ["monitor.listen", "monitor.queue_listen"] {
        let listen = Some(own);
        let taken = match key {
            "monitor.listen" => config::Monitor { listen, ..config::Monitor::default() },
            _ => config::Monitor { queue_listen: listen, ..config::Monitor::default() },
        };
        let refused = Api::begin(&here(), &taken, Limits::default()).err().unwrap().to_string();
        assert!(refused.contains(key) && refused.contains(&own.to_string()), "{refused}");
    }
    api.stop().await;
}

#[tokio::test]
async fn the_pages_want_no_token_and_what_they_show_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a-token-of-some-length\n").unwrap();
    let place = Place::with(&config::Api { token_file: Some(file), ..here() }, Limits::default()).await;
    let away = [("x-forwarded-for", "10.0.0.9")];
    assert_eq!(place.ask("GET", "/monitor/", &away, "").await.status, 200);
    assert_eq!(place.ask("GET", "/v1/overview", &away, "").await.status, 401);
    place.end().await;
}

#[tokio::test]
async fn the_overview_tells_what_is_there_and_why_it_does_not_get_on() {
    let place = Place::new().await;
    let said = place.get("/v1/overview").await.json();
    assert_eq!((&said["ready"], &said["heights"]), (&json!(false), &Value::Null));
    assert!(said["reasons"].to_string().contains("there is no data yet"), "{said}");
    assert_eq!((&said["workers"]["total"], &said["transactions"]["paused"]), (&json!(2), &json!(false)));
    place.end().await;
}
