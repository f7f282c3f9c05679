//! What is done to many workers at once, and with the whole inventory.

use super::{JSON, Place};
use serde_json::{Value, json};

const CSV: (&str, &str) = ("content-type", "text/csv; charset=utf-8");
const YAML: (&str, &str) = ("content-type", "application/yaml");

impl Place {
    /// What became of each.
    async fn bulk(&self, body: Value) -> Vec<(String, bool, String)> {
        let answer = self.post("/v1/workers/bulk", &body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let said = answer.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let results = said["results"].as_array().unwrap().iter();
        results.map(|row| (text(&row["id"]), row["ok"].as_bool().unwrap(), text(&row["message"]))).collect()
    }

    async fn tags(&self, worker: &str) -> Value {
        self.get(&format!("/v1/workers/{worker}")).await.json()["tags"].clone()
    }
}

#[tokio::test]
async fn commands_are_given_to_many_workers_and_each_says_what_became_of_it() {
    let place = Place::new().await;
    let id = place.id("w2").await;
    let [first, second, third] =
        &place.bulk(json!({ "action": "checkpoint", "ids": ["w1", id, "w9"] })).await[..]
    else {
        panic!()
    };
    assert!(first.1 && second.1 && second.0 == id, "{first:?} {second:?}");
    assert!(!third.1 && third.2.contains("there is no worker w9"), "{third:?}");
    place.told("w1", "checkpoint").await;
    place.told("w2", "checkpoint").await;
    assert_eq!(place.bulk(json!({ "action": "kick", "ids": [] })).await, []);
    let kicked = place.post("/v1/workers/w1/kick", "").await;
    assert_eq!((kicked.status, &kicked.json()["command"]), (202, &json!("stop worker")));
    place.told("w1", "stop worker").await;
    place.end().await;
}

#[tokio::test]
async fn many_workers_are_switched_tagged_and_removed_in_one_step() {
    let place = Place::new().await;
    let ids = ["w1", "w9", "w2", "w1"];
    let done = place.bulk(json!({ "action": "disable", "ids": ids })).await;
    let oks: Vec<_> = done.iter().map(|(_, ok, _)| *ok).collect();
    assert_eq!(oks, [true, false, true, false], "{done:?}");
    assert!(done[0].2.contains("enabled true -> false") && done[3].2.contains("twice"), "{done:?}");
    let revision = place.deployment.inventory().revision().unwrap();
    place.bulk(json!({ "action": "enable", "ids": ["w1", "w2"] })).await;
    assert_eq!(place.deployment.inventory().revision().unwrap(), revision + 1);

    place.bulk(json!({ "action": "tag", "ids": ["w1", "w2"], "tag": "rack-1" })).await;
    let done = place.bulk(json!({ "action": "tag", "ids": ["w1"], "tag": "a b" })).await;
    assert!(!done[0].1 && done[0].2.contains("letters, digits"), "{done:?}");
    let set = place.put("/v1/workers/w2/tags", "{\"tags\":[\"z\",\"rack-1\",\"z\"]}").await;
    assert_eq!((set.status, set.json()), (200, json!({ "tags": ["rack-1", "z"] })));
    let found = place.get("/v1/workers?tag=z").await.json();
    assert_eq!((&found["total"], &found["workers"][0]["name"]), (&json!(1), &json!("w2")));
    place.bulk(json!({ "action": "untag", "ids": ["w1", "w2"], "tag": "rack-1" })).await;
    assert_eq!((place.tags("w1").await, place.tags("w2").await), (json!([]), json!(["z"])));
    for (body, status, words) in [
        ("{\"tags\":[\"\"]}".to_owned(), 422, "1 to 32 characters"),
        (
            json!({ "tags": (0..17).map(|tag| format!("t{tag}")).collect::<Vec<_>>() }).to_string(),
            422,
            "at most 16",
        ),
        ("{\"tags\":\"z\"}".to_owned(), 422, "sequence"),
    ] {
        let answer = place.put("/v1/workers/w1/tags", &body).await;
        assert!(answer.status == status && answer.message().contains(words), "{answer:?}");
    }
    assert_eq!(place.put("/v1/workers/w9/tags", "{\"tags\":[]}").await.status, 404);

    let done = place.bulk(json!({ "action": "remove", "ids": ["w1", "w2"] })).await;
    assert!(done.iter().all(|(_, ok, _)| *ok), "{done:?}");
    assert_eq!(place.get("/v1/workers").await.json()["total"], 0);
    for (body, status, words) in [
        (json!({ "action": "tag", "ids": [] }), 400, "which tag"),
        (json!({ "action": "kick", "ids": [], "tag": "t" }), 400, "tag and untag"),
        (json!({ "action": "restart", "ids": vec!["w"; 10_001] }), 400, "at most 10000"),
        (json!({ "action": "sell", "ids": [] }), 422, "sell"),
    ] {
        let answer = place.post("/v1/workers/bulk", &body.to_string()).await;
        assert!(answer.status == status && answer.message().contains(words), "{answer:?}");
    }
    place.end().await;
}

#[tokio::test]
async fn v2_f045_pools_and_workers_come_and_go_as_files_over_http() {
    let place = Place::new().await;
    let import = async |query: &str, kind: (&str, &str), body: &str| {
        place.ask("POST", &format!("/v1/inventory/import{query}"), &[kind], body).await
    };
    let csv = "name,endpoint,pool,stake,tags\nw1,http://10.0.0.1:8000,1,5000,gpu;rack-1\nw3,http://10.0.0.3:8000,1,5000,\n";
    let tried = import("?dry_run=true", CSV, csv).await.json();
    assert_eq!((&tried["dry_run"], &tried["changed"]), (&json!(true), &json!(2)));
    assert!(tried["entries"][1]["text"].as_str().unwrap().contains("worker w3 added"), "{tried}");
    assert_eq!(place.get("/v1/workers").await.json()["total"], 2, "only tried");
    let done = import("", CSV, csv).await.json();
    assert_eq!((&done["dry_run"], &done["changed"]), (&json!(false), &json!(2)));
    assert_eq!(place.tags("w1").await, json!(["gpu", "rack-1"]));
    // What was written can be read, and changes nothing then.
    for (format, kind) in [("csv", CSV), ("yaml", YAML), ("json", JSON)] {
        let written = place.get(&format!("/v1/inventory/export?format={format}")).await;
        assert!(
            written.has("content-disposition: attachment") && written.body.contains("rack-1"),
            "{written:?}"
        );
        assert!(!written.body.contains("alice") || format != "csv", "{written:?}");
        let read = import("", kind, &written.body).await.json();
        assert_eq!(read["changed"], 0, "{format}: {read}");
    }
    let remove = async |name: &str| place.ask("DELETE", &format!("/v1/operators/{name}"), &[], "").await;
    let used = remove("alice").await;
    assert!(used.status == 409 && used.message().contains("used by pool 1"), "{used:?}");
    assert_eq!(remove("bob").await.status, 404);
    let set = crate::inventory::PoolSet { operator: Some(None), ..Default::default() };
    place.deployment.inventory().apply(&[crate::inventory::Change::SetPool(1, set)]).unwrap();
    assert_eq!(remove("alice").await.json(), json!({ "ok": true }));
    assert_eq!(place.get("/v1/operators").await.json()["operators"], json!([]));
    place.end().await;
}

#[tokio::test]
async fn x19_imports_that_are_none_are_refused_with_their_line_and_change_nothing() {
    let place = Place::new().await;
    let deep = "[".repeat(200_000);
    // A billion of laughs.
    let mut laughs = "workers:\n- &a0 {name: w, endpoint: 'http://h', pool: 1}\n".to_owned();
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        laughs += &format!("- &a{level} [{alias}, {alias}, {alias}, {alias}]\n");
    }
    let head = "name,endpoint,pool,stake\n";
    for (kind, body, status, words) in [
        (CSV, format!("{head}w3,http://h,9,5\n"), 422, "import, line 2: there is no pool 9"),
        (CSV, format!("{head}w3,http://h\n"), 422, "import, line 2"),
        (CSV, format!("{head}{}\n", "\u{0}".repeat(1000)), 422, "import, line 2"),
        (CSV, format!("{head}{},http://h,1,5\n", "w".repeat(100_000)), 422, "import, line 2"),
        (YAML, deep.clone(), 422, "import"),
        (YAML, laughs, 422, "import"),
        (JSON, deep, 422, "import"),
        (JSON, "{\"workers\":[{\"name\":\"w\"}]}".to_owned(), 422, "endpoint"),
        (("content-type", "application/xml"), "<a/>".to_owned(), 415, "text/csv"),
        (CSV, "x".repeat((2 << 20) + 1), 413, "bytes"),
    ] {
        let answer = place.ask("POST", "/v1/inventory/import", &[kind], &body).await;
        assert!(answer.status == status && answer.message().contains(words), "{words}: {}", answer.body);
        assert!(answer.body.len() < 2000, "{}", answer.body.len());
    }
    let wrong = place.ask("POST", "/v1/inventory/import?dry_run=perhaps", &[CSV], head).await;
    assert!(wrong.status == 400 && wrong.message().contains("true or false"), "{wrong:?}");
    assert_eq!(place.get("/v1/workers").await.json()["total"], 2);
    place.end().await;
}
