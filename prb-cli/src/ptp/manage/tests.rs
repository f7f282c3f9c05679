//! Management as a peer sees it: JSON of v2 in and out, through the wire.

mod pools;
mod running;
mod workers;

use super::*;
use crate::identity::Passphrase;
use prb_p2p::message::ErrorKind;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Any key that is in no use.
const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

/// Records in a folder, of which nothing runs.
struct Place {
    _folder: TempDir,
    inventory: Inventory,
    keyring: Arc<Keyring>,
    management: Management,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inventory = Inventory::open(&folder.path().join("inventory")).unwrap();
        let keyring = Arc::new(Keyring::new(folder.path().join("identity.key"), Passphrase::default()));
        let management = Management::Resting { inventory: inventory.clone(), keyring: keyring.clone() };
        Self { _folder: folder, inventory, keyring, management }
    }

    async fn call(&self, method: Method, body: Value) -> Result<Value, ResponseError> {
        call(&self.management, method, &body).await
    }

    async fn ok(&self, method: Method, body: Value) -> Value {
        self.call(method, body).await.unwrap()
    }

    /// The kind of failure, and its words.
    async fn refused(&self, method: Method, body: Value) -> (ErrorKind, String) {
        let before = self.inventory.revision().unwrap();
        let error = self.call(method, body).await.unwrap_err();
        assert_eq!(self.inventory.revision().unwrap(), before, "all or nothing: {error}");
        (error.kind(), error.message().to_owned())
    }
}

async fn call(management: &Management, method: Method, body: &Value) -> Result<Value, ResponseError> {
    let data = method.request_from_json(body).unwrap();
    let answer = management.answer(PEER, Permission::Manage, method, data).await?;
    Ok(method.answer_to_json(&answer).unwrap())
}

/// Ids are made up; they must be uuids.
fn without_ids(mut list: Value) -> Value {
    for rows in list.as_object_mut().unwrap().values_mut() {
        for row in rows.as_array_mut().unwrap() {
            assert!(uuid::Uuid::parse_str(row["uuid"].as_str().unwrap()).is_ok());
            row.as_object_mut().unwrap().remove("uuid");
        }
    }
    list
}

#[test]
fn x18_only_who_is_here_or_listed_or_everybody_if_so_configured_may_change_anything() {
    use Permission::{Look, Manage};
    for (is_local, is_listed, is_open, permission) in [
        (false, false, false, Look),
        (true, false, false, Manage),
        (false, true, false, Manage),
        (false, false, true, Manage),
        (true, true, true, Manage),
    ] {
        assert_eq!(Permission::of(is_local, is_listed, is_open), permission);
    }
    for method in Method::ALL {
        assert!(Manage.covers(method));
        assert_eq!(Look.covers(method), !method.manages(), "{method:?}");
    }
}

#[tokio::test]
async fn x18_a_stranger_looks_and_changes_nothing_and_is_told_how_to_be_listed() {
    let place = Place::new();
    let body = json!({ "pools": [{ "pid": 1, "name": "p", "owner": { "mnemonic": "//Alice" } }] });
    for method in Method::ALL.into_iter().filter(|method| method.manages()) {
        let data = Method::CreatePool.request_from_json(&body).unwrap();
        let error = place.management.answer(PEER, Permission::Look, method, data).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.message().contains("p2p.managers") && error.message().contains(PEER), "{error}");
    }
    assert_eq!(place.inventory.revision().unwrap(), 0);
    let answer = place.management.answer(PEER, Permission::Look, Method::ListPool, Bytes::new()).await;
    assert!(answer.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_sent_is_never_logged() {
    let observed = prb_core::testkit::Observed::begin();
    let place = Place::new();
    let pool =
        |secret: &str| json!({ "pools": [{ "pid": 1, "name": "p", "owner": { "mnemonic": secret } }] });
    place.call(Method::CreatePool, pool("sesame open")).await.unwrap_err();
    place.ok(Method::CreatePool, pool("//Alice//sesame")).await;
    let elsewhere = json!({ "pools": [{ "pid": 2, "name": "q", "owner": { "mnemonic": "//Bob" }, "realPhalaSs58": "sesame" }] });
    let error = place.call(Method::CreatePool, elsewhere).await.unwrap_err();
    assert!(error.message().contains("pools[0]: \"sesame\" is no account"), "{error}");
    assert!(observed.lines(&["sesame"]).is_empty());
}

#[tokio::test]
async fn x20_what_is_no_request_or_too_much_of_one_is_refused() {
    let place = Place::new();
    let garbage = Bytes::from_static(&[0x0a, 0xff]);
    let error =
        place.management.answer(PEER, Permission::Manage, Method::CreatePool, garbage).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Server && error.message().contains("not understood"), "{error}");
    for (method, list, most) in [
        (Method::CreatePool, "pools", MAX_POOLS),
        (Method::UpdatePool, "items", MAX_POOLS),
        (Method::CreateWorker, "workers", MAX_WORKERS),
        (Method::UpdateWorker, "items", MAX_WORKERS),
    ] {
        let (kind, text) = place.refused(method, json!({ list: vec![json!({}); most + 1] })).await;
        assert!(kind == ErrorKind::Server && text.contains(&format!("at most {most}")), "{text}");
    }
    let long = json!({ "items": [{ "id": { "name": "x".repeat(1 << 20) }, "worker": {} }] });
    let (_, text) = place.refused(Method::UpdateWorker, long).await;
    assert!(text.len() <= 1_000, "what was sent is not sent back");
}

#[tokio::test]
async fn in_config_mode_records_are_kept_and_nothing_is_told_to_workers() {
    let place = Place::new();
    assert_eq!(place.ok(Method::ListPool, json!({})).await, json!({}));
    assert_eq!(place.ok(Method::ListWorker, json!({})).await, json!({}));
    for method in [
        Method::RestartWorker,
        Method::RefreshRaAndRestartWorker,
        Method::KickWorker,
        Method::GetWorkerStatus,
    ] {
        let (kind, text) = place.refused(method, json!({})).await;
        assert!(kind == ErrorKind::NotFound && text.contains("config mode"), "{text}");
    }
    for method in [Method::Auth, Method::GetDataProviderInfo, Method::WantBlob] {
        assert_eq!(place.refused(method, json!({})).await.0, ErrorKind::NotFound);
    }
    assert!(Management::standing_by().message().contains("ask again"));
}
