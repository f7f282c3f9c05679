//! The inventory over the API while nothing is run.

use super::{JSON, ask, here};
use crate::api::serve::Limits;
use crate::{api::Api, config::Config, inventory::Inventory};
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn v2_f036_the_inventory_is_changed_over_http_while_nothing_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
    let inventory = Inventory::open(&config.inventory_dir()).unwrap();
    let api = Api::with(&here(), Limits::default()).unwrap();
    let at = api.addresses()[0];
    assert_eq!(ask(at, "GET", "/v1/pools", &[], "").await.status, 503, "it stands by");

    api.rest(inventory.clone(), Arc::new(config.keyring()));
    let change = json!({ "AddPool": { "name": "p", "pid": 2, "disabled": false, "sync_only": true } });
    let changed = ask(at, "POST", "/wm/config", &[JSON], &change.to_string()).await;
    assert_eq!((changed.status, &changed.json()["name"]), (200, &json!("p")));
    assert_eq!(inventory.snapshot().unwrap().pools.len(), 1);
    let pools = ask(at, "GET", "/v1/pools", &[], "").await;
    assert_eq!((pools.status, pools.json()["pools"].as_array().map(Vec::len)), (200, Some(1)), "{pools:?}");
    assert_eq!(ask(at, "GET", "/healthz", &[], "").await.status, 200);
    for (method, path) in [("GET", "/readyz"), ("GET", "/v1/workers"), ("PUT", "/workers/restart")] {
        let refused = ask(at, method, path, &[JSON], "{\"ids\":[]}").await;
        assert_eq!(refused.status, 503, "{path}: {refused:?}");
        let said: Value = refused.json();
        assert!(said.to_string().contains("nothing is run"), "{said}");
    }
    api.stop().await;
}
