//! What is answered is what `/v1/openapi.json` says.

use super::Place;
use serde_json::{Value, json};

/// Whether a value is as a schema says; else where it is not, and why. Knows as much of JSON Schema as schemas here use.
fn check(value: &Value, schema: &Value, document: &Value, at: &str) -> Result<(), String> {
    let wrong = |why: String| Err(format!("{at}: {why}: {value}"));
    let Some(schema) = schema.as_object() else { return Ok(()) };
    for (word, said) in schema {
        match word.as_str() {
            "$ref" => {
                let path = said.as_str().unwrap().trim_start_matches('#');
                check(value, document.pointer(path).ok_or(format!("{path} is not there"))?, document, at)?;
            }
            "anyOf" | "oneOf" => {
                let of = said.as_array().unwrap();
                let why: Vec<_> = of.iter().filter_map(|one| check(value, one, document, at).err()).collect();
                if why.len() == of.len() {
                    return wrong(format!("none of {why:?}"));
                }
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("{other}"),
                };
                if !said.as_array().map_or_else(|| is(said), |types| types.iter().any(is)) {
                    return wrong(format!("no {said}"));
                }
            }
            "const" if value != said => return wrong(format!("not {said}")),
            "enum" if !said.as_array().unwrap().contains(value) => return wrong(format!("not in {said}")),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(item, said, document, &format!("{at}[{index}]"))?;
                }
            }
            "minItems" | "maxItems" => {
                let count = value.as_array().map_or(0, Vec::len) as u64;
                let fits = if word == "minItems" {
                    count >= said.as_u64().unwrap()
                } else {
                    count <= said.as_u64().unwrap()
                };
                if value.is_array() && !fits {
                    return wrong(format!("{word} {said}"));
                }
            }
            "required" => {
                for name in said.as_array().unwrap().iter().filter(|_| value.is_object()) {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return wrong(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match said.get(name) {
                        Some(said) => check(value, said, document, &format!("{at}.{name}"))?,
                        None => return wrong(format!("nobody speaks of {name}")),
                    }
                }
            }
            "additionalProperties" if !schema.contains_key("properties") => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    check(value, said, document, &format!("{at}.{name}"))?;
                }
            }
            "const"
            | "enum"
            | "additionalProperties"
            | "description"
            | "title"
            | "format"
            | "minimum"
            | "maximum"
            | "default" => {}
            other => panic!("{at}: a schema says {other}, which this test does not know"),
        }
    }
    Ok(())
}

/// Whether an answer is one that the description of its route has.
fn is_described(document: &Value, method: &str, route: &str, answer: &super::Answer) {
    let operation = &document["paths"][route][method.to_ascii_lowercase()];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{method} {route}: {} is not described: {answer:?}", answer.status);
    for (kind, content) in response["content"].as_object().unwrap() {
        if answer.has(&format!("content-type: {kind}")) {
            let schema = &content["schema"];
            // Other text than JSON has no more to it.
            let value = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
            return check(&value, schema, document, &format!("{method} {route}")).unwrap();
        }
    }
    panic!("{method} {route}: its type is not described: {answer:?}");
}

#[test]
fn the_check_finds_what_is_not_as_described() {
    let document = json!({ "a": { "type": "object", "properties": { "n": { "type": ["integer", "null"] } }, "required": ["n"] } });
    let schema = json!({ "type": "array", "items": { "$ref": "#/a" }, "minItems": 1 });
    let is = |value: Value| check(&value, &schema, &document, "").is_ok();
    assert!(is(json!([{ "n": 1 }, { "n": null }])));
    for wrong in [
        json!([]),
        json!({}),
        json!([{ "n": "1" }]),
        json!([{}]),
        json!([{ "n": 1, "m": 2 }]),
        json!([{ "n": 1.5 }]),
    ] {
        assert!(!is(wrong.clone()), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_answered_is_as_the_description_says() {
    let place = Place::new().await;
    let answer = place.get("/v1/openapi.json").await;
    let document = answer.json();
    is_described(&document, "GET", "/v1/openapi.json", &answer);
    for (route, path) in [
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
        ("/metrics", "/metrics"),
        ("/wm/status", "/wm/status"),
        ("/workers/status", "/workers/status"),
        ("/tx/status", "/tx/status"),
        ("/v1/version", "/v1/version"),
        ("/v1/overview", "/v1/overview"),
        ("/v1/events", "/v1/events?topics=nothing"),
        ("/v1/workers", "/v1/workers"),
        ("/v1/workers", "/v1/workers?limit=0"),
        ("/v1/workers/{worker}", "/v1/workers/w1"),
        ("/v1/workers/{worker}", "/v1/workers/w9"),
        ("/v1/workers/{worker}/history", "/v1/workers/w1/history"),
        ("/v1/workers/{worker}/history", "/v1/workers/w9/history"),
        ("/v1/pools", "/v1/pools"),
        ("/v1/operators", "/v1/operators"),
        ("/v1/inventory/export", "/v1/inventory/export"),
        ("/v1/inventory/export", "/v1/inventory/export?format=csv"),
        ("/v1/inventory/export", "/v1/inventory/export?format=json"),
        ("/v1/inventory/export", "/v1/inventory/export?format=xml"),
        ("/v1/transactions", "/v1/transactions"),
        ("/v1/log", "/v1/log"),
    ] {
        is_described(&document, "GET", route, &place.get(path).await);
    }
    let id = place.id("w1").await;
    let ids = json!({ "ids": [id] }).to_string();
    let requests = json!({ "requests": [{ "id": id, "endpoints": ["http://h"] }] }).to_string();
    let bulk = |action: &str| json!({ "action": action, "ids": [id, "none"] }).to_string();
    let rows = "{\"workers\":[{\"name\":\"w3\",\"endpoint\":\"http://h3\",\"pool\":1,\"stake\":\"5\"}]}";
    for (method, route, path, body) in [
        ("PUT", "/wm/restart", "/wm/restart", ""),
        ("POST", "/wm/config", "/wm/config", "\"GetAllPoolsWithWorkers\""),
        ("POST", "/wm/config", "/wm/config", "{\"GetPoolOperator\":{\"pid\":1}}"),
        ("POST", "/wm/config", "/wm/config", "{\"GetPool\":{\"pid\":9}}"),
        ("POST", "/wm/config", "/wm/config", "{"),
        ("PUT", "/workers/restart", "/workers/restart", &ids),
        ("PUT", "/workers/force_register", "/workers/force_register", &ids),
        ("PUT", "/workers/take_checkpoint", "/workers/take_checkpoint", &ids),
        ("PUT", "/workers/update_endpoints", "/workers/update_endpoints", &requests),
        ("POST", "/v1/workers/{worker}/restart", "/v1/workers/w1/restart", ""),
        ("POST", "/v1/workers/{worker}/register", "/v1/workers/w1/register", ""),
        ("POST", "/v1/workers/{worker}/checkpoint", "/v1/workers/w1/checkpoint", ""),
        ("POST", "/v1/workers/{worker}/kick", "/v1/workers/w1/kick", ""),
        ("POST", "/v1/workers/{worker}/kick", "/v1/workers/w9/kick", ""),
        (
            "POST",
            "/v1/workers/{worker}/endpoint",
            "/v1/workers/w1/endpoint",
            "{\"endpoints\":[\"http://h\"]}",
        ),
        ("PUT", "/v1/workers/{worker}/tags", "/v1/workers/w1/tags", "{\"tags\":[\"gpu\"]}"),
        ("PUT", "/v1/workers/{worker}/tags", "/v1/workers/w1/tags", "{\"tags\":[\"a b\"]}"),
        ("POST", "/v1/workers/bulk", "/v1/workers/bulk", &bulk("restart")),
        ("POST", "/v1/workers/bulk", "/v1/workers/bulk", &bulk("disable")),
        ("POST", "/v1/workers/bulk", "/v1/workers/bulk", &bulk("sell")),
        ("DELETE", "/v1/operators/{operator}", "/v1/operators/alice", ""),
        ("DELETE", "/v1/operators/{operator}", "/v1/operators/bob", ""),
        ("POST", "/v1/inventory/import", "/v1/inventory/import?dry_run=true", rows),
        ("POST", "/v1/inventory/import", "/v1/inventory/import", "{\"workers\":[{}]}"),
        ("POST", "/v1/transactions/pause", "/v1/transactions/pause", ""),
        ("POST", "/v1/transactions/resume", "/v1/transactions/resume", ""),
        ("POST", "/v1/transactions/{id}/drop", "/v1/transactions/1-1/drop", ""),
        // Another test looks at what is logged.
        ("PUT", "/v1/log", "/v1/log", "{\"filter\":\"prb_core=loud\"}"),
    ] {
        let answer = place.ask(method, path, &[super::JSON], body).await;
        is_described(&document, method, route, &answer);
    }
    place.end().await;
}
