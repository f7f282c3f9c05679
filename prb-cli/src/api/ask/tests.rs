use super::*;
use hyper::header::HeaderValue;
use serde_json::Value;

const JSON: &str = "application/json";

fn read(route: Route, kind: &'static str, body: &str) -> Result<Asked, (u16, String)> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Asked::read(route, None, &headers, body.as_bytes()).map_err(|reply| {
        let said: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(said["error"], true);
        (reply.status.as_u16(), said["message"].as_str().unwrap().to_owned())
    })
}

fn refused(route: Route, kind: &'static str, body: &str) -> (u16, String) {
    read(route, kind, body).unwrap_err()
}

#[test]
fn x19_bodies_that_are_none_are_refused_with_their_reason() {
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"AddPool\":{}", "{\"a\":".repeat(50_000));
    for (kind, body, status, words) in [
        ("text/plain", "{}", 415, "Content-Type"),
        ("", "{}", 415, "Content-Type"),
        (JSON, "", 400, "no JSON"),
        (JSON, "{\"AddPool\":", 400, "no JSON"),
        (JSON, &deep, 400, "expected value"),
        (JSON, &nested, 400, "EOF"),
        (JSON, "{\"GetAllPools\":{}}", 422, "expected unit"),
        (JSON, "{\"Sell\":null}", 422, "unknown variant"),
        (JSON, "{\"GetPool\":{}}", 422, "missing field `pid`"),
        (JSON, "{\"GetPool\":{\"pid\":\"1\"}}", 422, "expected u64"),
        (JSON, "{\"GetPool\":{\"pid\":-1}}", 422, "expected u64"),
        (JSON, "[]", 400, "expected value"),
    ] {
        let (found, message) = refused(Route::WmConfig, kind, body);
        let shown: String = body.chars().take(40).collect();
        assert!(message.contains(words) && message.len() < 1000, "{shown}: {message}");
        assert_eq!(found, status, "{shown}");
    }
    let ids = refused(Route::WorkersOrder(Verb::Restart), JSON, "{\"ids\":\"w\"}");
    assert_eq!(ids.0, 422);
}

#[test]
fn a_secret_is_never_quoted() {
    for body in [
        "{\"SetPoolOperator\":{\"pid\":\"hidden words\",\"account\":\"hidden\",\"account_type\":\"Seed\"}}",
        "{\"SetPoolOperator\":{\"pid\":1,\"account\":\"x\",\"account_type\":\"hidden\"}}",
        "{\"SetPoolOperator\":\"hidden\"}",
    ] {
        let (status, message) = refused(Route::WmConfig, JSON, body);
        assert!(
            status == 422 && !message.contains("hidden") && message.contains("account_type"),
            "{message}"
        );
    }
}

#[test]
fn v3_f41_commands_are_read_as_v3_writes_them() {
    for (kind, body) in [
        (JSON, "{\"GetAllPools\":null}"),
        ("application/json; charset=utf-8", "\"GetAllPools\""),
        ("Application/JSON", "{\"RemovePool\":{\"pid\":1,\"more\":true}}"),
    ] {
        assert!(matches!(read(Route::WmConfig, kind, body), Ok(Asked::Config(_))), "{body}");
    }
}

#[test]
fn v3_f26_endpoints_of_several_workers_are_read() {
    let body = "{\"requests\":[{\"id\":\"a\",\"endpoints\":[\"http://x\"]},{\"id\":\"b\",\"endpoints\":[]}]}";
    let Ok(Asked::Orders(orders)) = read(Route::WorkersOrder(Verb::Endpoints), JSON, body) else { panic!() };
    let endpoints = |of: &[&str]| Command::PublishEndpoints(of.iter().map(|&one| one.into()).collect());
    assert_eq!(orders, [("a".to_owned(), endpoints(&["http://x"])), ("b".to_owned(), endpoints(&[]))]);
    let one = Route::Command("w".to_owned(), Verb::Endpoints);
    assert_eq!(refused(one.clone(), JSON, "{\"endpoints\":[]}").0, 400);
    assert!(read(one, JSON, "{\"endpoints\":[\"http://x\"]}").is_ok());
}

#[test]
fn pages_and_filters_are_read_and_what_there_is_not_is_refused() {
    let read = |query| rows(Some(query), &["state", "pool", "name"]).map_err(|reply| reply.status.as_u16());
    let (filter, page) = read("limit=5&offset=10&state=Working&pool=7&name=rack%201").unwrap();
    assert_eq!(page, Page { offset: 10, limit: 5 });
    assert_eq!((filter.pool, filter.name.as_deref()), (Some(7), Some("rack 1")));
    assert_eq!(rows(None, &[]).unwrap(), (Filter::default(), Page { offset: 0, limit: PAGE }));
    assert_eq!(Page { offset: 1, limit: 2 }.of(vec![1, 2, 3, 4]), [2, 3]);
    for query in ["limit=0", "limit=1001", "limit=x", "offset=-1", "pool=a", "sort=name", "state"] {
        let expected = if query == "state" { Ok(()) } else { Err(400) };
        assert_eq!(read(query).map(drop), expected, "{query}");
    }
}

#[test]
fn what_is_done_to_many_workers_and_what_a_query_says_alone_is_read() {
    let bulk = |body: &str| read(Route::Bulk, JSON, body).map(|asked| format!("{asked:?}"));
    assert!(bulk("{\"action\":\"untag\",\"ids\":[\"w\"],\"tag\":\"t\"}").unwrap().contains("Untag"));
    for (body, status) in [
        ("{\"action\":\"untag\",\"ids\":[]}", 400),
        ("{\"action\":\"kick\",\"ids\":[],\"tag\":\"t\"}", 400),
        ("{\"action\":\"Kick\",\"ids\":[]}", 422),
        ("{\"action\":\"kick\",\"ids\":[],\"more\":1}", 422),
    ] {
        assert_eq!(bulk(body).unwrap_err().0, status, "{body}");
    }
    let dry_run = |query| {
        let read = |value: &str| value.parse::<bool>().ok();
        option(Some(query), "dry_run", read, "true or false").map_err(|reply| reply.status.as_u16())
    };
    for (query, expected) in [
        ("", Ok(None)),
        ("dry_run=true", Ok(Some(true))),
        ("dry_run=false", Ok(Some(false))),
        ("dry_run=1", Err(400)),
        ("dry", Err(400)),
    ] {
        assert_eq!(dry_run(query), expected, "{query}");
    }
    let headers =
        |kind: &'static str| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    for (kind, expected) in [
        ("text/csv; charset=utf-8", Some(Format::Csv)),
        ("Application/YAML", Some(Format::Yaml)),
        ("application/json", Some(Format::Json)),
        ("text/plain", None),
    ] {
        assert_eq!(format_of(&headers(kind)).ok(), expected, "{kind}");
    }
    assert_eq!(
        Topics::named("overview,workers,transactions"),
        Some(Topics::ALL),
        "workers are of the inventory"
    );
    assert_eq!((Topics::named("peers"), Topics::named("")), (None, None));
}
