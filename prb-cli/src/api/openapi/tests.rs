use super::*;
use std::collections::BTreeSet;

const ROUTES: &str = include_str!("../route.rs");

/// Variants that stand in an enum of the source: `    Name,` and `    Name(…),`.
fn variants(of: &str) -> BTreeSet<String> {
    let body = ROUTES.split(&format!("enum {of} {{\n")).nth(1).unwrap().split("\n}").next().unwrap();
    let names = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    names.map(|line| line.split(['(', ',']).next().unwrap().to_owned()).collect()
}

fn found(entry: &Entry) -> Route {
    let method = Method::from_bytes(entry.method.as_bytes()).unwrap();
    Route::find(&method, &entry.sample())
        .unwrap_or_else(|reply| panic!("{} {} is answered {}", entry.method, entry.path, reply.status))
}

#[test]
fn every_route_of_the_table_is_found_and_every_one_that_is_found_is_in_the_table() {
    let (mut routes, mut verbs) = (BTreeSet::new(), BTreeSet::new());
    for entry in TABLE {
        let route = found(entry);
        if let Route::Command(_, verb) = &route {
            verbs.insert(format!("{verb:?}"));
        }
        let name = format!("{route:?}").split(['(', ' ']).next().unwrap().to_owned();
        routes.insert(name);
        assert_eq!(entry.body.is_some(), route.has_body(), "{} {}", entry.method, entry.path);
        assert!(!route.is_public() && (entry.method == "GET" || route.changes() || entry.statuses == [405]));
    }
    // Pages are nobody's interface.
    let listed: BTreeSet<String> = variants("Route")
        .into_iter()
        .filter(|name| !["Entrance", "Monitor", "Queue"].contains(&name.as_str()))
        .collect();
    assert_eq!(routes, listed);
    assert_eq!(verbs, variants("Verb"));
    let all: BTreeSet<(&str, &str)> = TABLE.iter().map(|entry| (entry.method, entry.path)).collect();
    assert_eq!(all.len(), TABLE.len(), "none twice");
}

#[test]
fn the_document_about_the_api_lists_what_is_in_the_table() {
    let text = include_str!("../../../../docs/api.md");
    let (mut own, mut v3) = (BTreeSet::new(), BTreeSet::new());
    // `prb trade` has some of them, listed apart.
    for line in text.lines().filter(|line| !line.ends_with("| as above |")) {
        let Some((method, rest)) = line.strip_prefix("| ").and_then(|line| line.split_once(" `/")) else {
            continue;
        };
        let paths = rest.split("` |").next().unwrap().split("`, `/");
        if rest.starts_with("v1/") {
            own.insert(line.to_owned());
        } else if ["wm/", "workers/", "tx/"].iter().any(|of_v3| rest.starts_with(of_v3)) {
            v3.extend(paths.map(|path| format!("{method} /{path}")));
        }
    }
    let is_own = |entry: &&Entry| entry.path.starts_with("/v1/");
    let row = |entry: &Entry| format!("| {} `{}` | {} |", entry.method, entry.path, entry.summary);
    assert_eq!(own, TABLE.iter().filter(is_own).map(row).collect());
    let is_v3 = |entry: &&Entry| entry.group() == "PRB v3";
    let path = |entry: &Entry| format!("{} {}", entry.method, entry.path);
    assert_eq!(v3, TABLE.iter().filter(is_v3).map(path).collect());
}

#[test]
fn the_description_is_whole() {
    let said: Value = serde_json::from_slice(&document()).unwrap();
    assert_eq!(
        (&said["openapi"], &said["info"]["version"]),
        (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let mut ids = BTreeSet::new();
    for entry in TABLE {
        let operation = &said["paths"][entry.path][entry.method.to_ascii_lowercase()];
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
        assert_eq!(operation["requestBody"].is_object(), entry.body.is_some(), "{operation}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert_ne!(response["description"], "", "{status}: {operation}");
        }
    }
    // Whatever is referred to is there.
    let text = said.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for reference in references {
        assert!(said.pointer(reference).is_some(), "{reference}");
        count += 1;
    }
    assert!(count > 30, "{count}");
    let words = &said["components"]["schemas"]["OperatorFields"]["properties"]["account"];
    assert_eq!(words["type"], "string");
}
