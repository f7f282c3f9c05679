//! Peers over HTTP, by a network of three nodes on this machine.

use super::{Answer, JSON, PATIENCE, ask, here};
use crate::api::{Api, Bound, Limits, Page, Root, managers::Managers, subject::Subject};
use async_trait::async_trait;
use hyper::body::Bytes;
use prb_p2p::{
    Caller, Identity, Me, Network, Options, PeerId, Service,
    message::{
        ErrorKind, Pool, PoolList, ResponseError, Role, Worker, WorkerList, WorkerState, WorkerStateUpdate,
    },
    method::Method,
};
use prost::Message as _;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

/// Answers some methods, and keeps what it was asked.
#[derive(Default)]
struct Manager {
    heard: Mutex<Vec<(Method, Bytes)>>,
}

#[async_trait]
impl Service for Manager {
    async fn answer(&self, _: &Caller, method: Method, data: Bytes) -> Result<Bytes, ResponseError> {
        self.heard.lock().unwrap().push((method, data.clone()));
        let pool = Pool {
            pid: Some(1 << 60),
            name: Some("test2".to_owned()),
            enabled: Some(false),
            ..Pool::default()
        };
        match method {
            Method::ListPool | Method::CreatePool => {
                Ok(PoolList { pools: vec![pool] }.encode_to_vec().into())
            }
            // An empty list is nothing on the wire.
            Method::ListWorker => Ok(WorkerList::default().encode_to_vec().into()),
            // As it was sent: both messages are the same on the wire.
            Method::CreateWorker => Ok(data),
            Method::GetWorkerStatus => {
                let worker = Worker { name: Some("w".to_owned()), ..Worker::default() };
                let state = WorkerState { status: Some(5), worker: Some(worker), ..WorkerState::default() };
                Ok(WorkerStateUpdate { worker_states: vec![state] }.encode_to_vec().into())
            }
            Method::KickWorker => Err(ResponseError::new(ErrorKind::NotFound, "no such worker")),
            Method::RestartWorker => Ok(Bytes::from_static(b"\xff\xff")),
            _ => Err(ResponseError::new(ErrorKind::Server, "nothing of the kind")),
        }
    }
}

async fn node(role: Role, hostname: &str, boot: &[Network], service: Arc<Manager>) -> Network {
    let me = Me {
        role,
        hostname: hostname.to_owned(),
        chain_identity: "0x77".to_owned(),
        bridge_identity: "production".to_owned(),
    };
    let options = Options {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        boot_nodes: boot.iter().flat_map(Network::listening).collect(),
        mdns: false,
        ..Options::new(Identity::random(), me)
    };
    Network::start(options, service).await.unwrap()
}

/// A lifecycle manager, a data provider, and a monitor that found both.
struct World {
    manager: Arc<Manager>,
    others: Vec<Network>,
    api: Api,
}

impl World {
    async fn new() -> Self {
        let manager = Arc::<Manager>::default();
        let first = node(Role::LifecycleManager, "lm1", &[], manager.clone()).await;
        let second = node(Role::DataProvider, "dp1", &[], Arc::default()).await;
        let others = vec![first, second];
        let network = node(Role::Client, "monitor", &others, Arc::default()).await;
        let mut changes = network.changes();
        let both = changes.wait_for(|_| network.peers().len() == 2);
        timeout(PATIENCE, both).await.expect("it finds both").unwrap();
        let api = alone();
        api.join(network);
        Self { manager, others, api }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.api.monitor().unwrap(), method, path, headers, body).await
    }

    /// Asks the lifecycle manager.
    async fn proxy(&self, name: &str, body: &str) -> Answer {
        self.ask("POST", &self.path(name), &[JSON], body).await
    }

    fn path(&self, name: &str) -> String {
        format!("/ptp/proxy/{}/{name}", self.others[0].peer_id())
    }

    fn heard(&self) -> usize {
        self.manager.heard.lock().unwrap().len()
    }

    async fn end(self) {
        self.api.stop().await;
        for other in self.others {
            other.stop().await;
        }
    }
}

fn alone() -> Api {
    let page = Page {
        root: Root::Monitor,
        key: "monitor.listen",
        listen: "127.0.0.1:0".parse().unwrap(),
        named: true,
    };
    let (managers, bound) = (Managers::default(), Bound::default());
    Api::listen(&here(), Vec::new(), bound, vec![page], Subject::Monitor, managers, Limits::default())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_there_is_no_network_the_reason_is_answered() {
    let api = alone();
    let said = async || {
        let answer = ask(api.monitor().unwrap(), "POST", "/ptp/discover", &[JSON], "{}").await;
        assert_eq!(answer.status, 503);
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    assert!(said().await.contains("is off here"), "{}", said().await);
    let (telling, trouble) = tokio::sync::watch::channel(String::new());
    api.joining(trouble);
    telling.send_replace("chain.para: no answer".to_owned());
    assert!(said().await.ends_with("not joined yet: chain.para: no answer"), "{}", said().await);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f075_peers_that_were_found_are_listed_by_any_method() {
    let world = World::new().await;
    let shown = |peer: &Network, hostname: &str, role: i32| {
        json!({
            "peerId": peer.peer_id().to_string(),
            "hostname": hostname,
            "role": role,
            "chainIdentity": "0x77",
            "bridgeIdentity": "production",
            "remoteAddr": peer.listening()[0].to_string(),
        })
    };
    let expected = json!({
        "dataProviders": [shown(&world.others[1], "dp1", 1)],
        "lifecycleManagers": [shown(&world.others[0], "lm1", 3)],
    });
    for (method, body) in [("POST", ""), ("GET", ""), ("PUT", "{}"), ("POST", "nonsense")] {
        let found = world.ask(method, "/ptp/discover", &[JSON], body).await;
        assert_eq!((found.status, found.json()), (200, expected.clone()), "{method}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f076_methods_of_peers_are_called_with_json_as_v2_has_it() {
    let world = World::new().await;
    let data = async |name: &str, body: &str| {
        let answer = world.proxy(name, body).await;
        let said = answer.json();
        assert_eq!(
            (answer.status, &said["hasError"], said.get("error")),
            (200, &json!(false), None),
            "{said}"
        );
        let meta = &said["meta"];
        assert!(meta["createdAt"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{meta}");
        assert!(meta["requestNonce"].is_string() && meta["nonce"].is_string(), "{meta}");
        assert_eq!((&meta["hasError"], meta.as_object().unwrap().len()), (&json!(false), 4));
        said["data"].clone()
    };
    // Numbers of 64 bits are text, what was written is there also where it is the default, what was not is absent.
    let pools = json!({ "pools": [{ "pid": "1152921504606846976", "name": "test2", "enabled": false }] });
    for body in ["", "{}"] {
        assert_eq!(data("ListPool", body).await, pools);
    }
    assert_eq!(data("ListWorker", "{}").await, json!({}));
    let states = data("GetWorkerStatus", "{\"ids\":[\"a\"]}").await;
    assert_eq!(states["workerStates"][0]["status"], "S_ACTIVE");
    // Any method, and no type: nothing is read then, and nothing is needed.
    for method in ["GET", "PUT", "DELETE"] {
        let answer = world.ask(method, &world.path("ListPool"), &[], "pid=1").await;
        assert_eq!((answer.status, &answer.json()["data"]), (200, &pools), "{method}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f077_the_import_bodies_of_the_guides_are_taken_as_they_are() {
    let world = World::new().await;
    let pool = r#"{"pools":[{"pid":2,"name":"test2","owner":{"mnemonic":"a b c"},"enabled":true,"realPhalaSs58":"45"}]}"#;
    let worker = |name: &str| {
        format!(
            r#"{{"pid":2,"name":"{name}","endpoint":"http://path.to.worker1:8000","enabled":true,"stake":"4000000000000000"}}"#
        )
    };
    let workers = format!("{{\"workers\":[{},{}]}}", worker("test-node-1"), worker("test-node-2"));
    assert_eq!(world.proxy("CreatePool", pool).await.json()["hasError"], false);
    let said = world.proxy("CreateWorker", &workers).await.json();
    let mut expected: Value = serde_json::from_str(&workers).unwrap();
    for worker in expected["workers"].as_array_mut().unwrap() {
        worker["pid"] = json!("2");
    }
    assert_eq!(said["data"], expected);
    let heard = world.manager.heard.lock().unwrap()[0].1.clone();
    let pools = PoolList::decode(heard).unwrap().pools;
    assert_eq!((pools[0].pid, pools[0].real_phala_ss58.as_deref()), (Some(2), Some("45")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f076_what_a_peer_refuses_and_what_does_not_get_there_is_told_as_in_v2() {
    let world = World::new().await;
    let refused = world.proxy("KickWorker", "{\"ids\":[\"x\"]}").await;
    let said = refused.json();
    assert_eq!((refused.status, said.get("data")), (200, None));
    assert_eq!(
        (&said["hasError"], &said["error"]),
        (&json!(true), &json!({ "type": 2, "message": "no such worker" }))
    );
    assert_eq!(
        (&said["meta"]["hasError"], &said["meta"]["error"]),
        (&json!(true), &json!({ "type": "NOT_FOUND", "message": "no such worker" }))
    );
    for (name, body) in [
        ("Sell", "{}"),
        ("constructor", "{}"),
        ("CreatePool", "{\"pools\":7}"),
        ("CreatePool", "[]"),
        // Its answer is none.
        ("RestartWorker", "{\"ids\":[\"x\"]}"),
    ] {
        let failed = world.proxy(name, body).await;
        let said = failed.json();
        if (name, body) == ("CreatePool", "[]") && said["hasError"] == false {
            continue; // a list holds no fields: an empty request
        }
        assert_eq!(
            (failed.status, &said["hasError"], &said["meta"], said.get("data")),
            (200, &json!(true), &Value::Null, None),
            "{name} {body}: {said}"
        );
        assert!(!said["error"]["message"].as_str().unwrap().is_empty());
    }
    // Nobody but who was found is asked.
    for peer in [PeerId::random().to_string(), "QmNobody".to_owned(), "http:%2F%2F10.0.0.1".to_owned()] {
        let unknown = world.ask("POST", &format!("/ptp/proxy/{peer}/ListPool"), &[JSON], "{}").await;
        assert_eq!((unknown.status, unknown.json()), (500, json!({})), "{peer}");
    }
    for path in ["/ptp", "/ptp/", "/ptp/proxy", "/ptp/proxy/x", "/ptp/proxy/x/y/z", "/ptp/discover/x"] {
        assert_eq!(world.ask("POST", path, &[JSON], "{}").await.status, 404, "{path}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_at_a_peer_is_a_change_whatever_method_it_comes_by() {
    let world = World::new().await;
    let body = "{\"pools\":[]}";
    for method in ["POST", "GET", "PUT", "OPTIONS"] {
        for (headers, status) in [
            (("origin", "https://evil.example"), 403),
            (("host", "evil.example:3000"), 403),
            (("x-forwarded-for", "10.0.0.9"), 401),
        ] {
            let refused = world.ask(method, &world.path("CreatePool"), &[headers, JSON], body).await;
            assert_eq!(refused.status, status, "{method} {headers:?}");
        }
    }
    // A page may make a browser ask so without saying whose page it is.
    for name in ["CreatePool", "KickWorker", "RestartWorker", "UpdateWorker"] {
        let refused = world.ask("GET", &world.path(name), &[], "").await;
        assert!(refused.status == 405 && refused.has("allow: POST"), "{name}: {refused:?}");
    }
    // What is no JSON by its type would be a change of nothing.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(world.ask("POST", &world.path("CreatePool"), &form, body).await.status, 415);
    assert_eq!(world.heard(), 0);
    // Reads are for whoever may read.
    let away = [("x-forwarded-for", "10.0.0.9")];
    assert_eq!(world.ask("POST", &world.path("ListPool"), &away, "").await.status, 200);
    assert_eq!(
        world.ask("GET", &world.path("CreatePool"), &[JSON], body).await.status,
        200,
        "with a body it is meant"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x19_bodies_for_peers_are_no_larger_than_in_v2_and_what_is_none_is_refused() {
    let world = World::new().await;
    let padded = |bytes: usize| format!("{{\"ids\":[]{}}}", " ".repeat(bytes - 10));
    assert_eq!(world.proxy("GetWorkerStatus", &padded(100 << 10)).await.status, 200);
    for path in [world.path("GetWorkerStatus"), "/ptp/discover".to_owned()] {
        let refused = world.ask("POST", &path, &[JSON], &padded((100 << 10) + 1)).await;
        assert!(refused.status == 413 && refused.message().contains("102400 bytes"), "{refused:?}");
    }
    let heard = world.heard();
    for body in ["{\"ids\":", "7", "\"x\"", "\u{0}", &"[".repeat(50_000)] {
        let refused = world.proxy("GetWorkerStatus", body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    assert_eq!(world.heard(), heard);
    world.end().await;
}

#[tokio::test]
async fn without_a_network_it_says_so() {
    let api = alone();
    for path in ["/ptp/discover", "/ptp/proxy/x/ListPool"] {
        let answer = ask(api.monitor().unwrap(), "POST", path, &[JSON], "{}").await;
        assert!(answer.status == 503 && answer.message().contains("peer-to-peer"), "{answer:?}");
    }
    api.stop().await;
}
