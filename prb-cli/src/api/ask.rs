//! What is asked, read out of a request.

use super::{
    monitor::Asset,
    reply::Reply,
    route::{Route, Verb},
};
use crate::v3;
use hyper::{HeaderMap, StatusCode, header};
use prb_core::command::{Command, MAX_ENDPOINT_BYTES, MAX_ENDPOINTS};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::error::Category;

/// Rows of a page unless told.
const PAGE: usize = 100;
/// Most rows of a page.
const MOST_ROWS: usize = 1000;
/// The command that holds a secret.
const SECRET: &str = "SetPoolOperator";

/// A question or an order.
#[derive(Debug)]
pub(super) enum Asked {
    Health,
    Ready,
    Metrics,
    WmStatus,
    WmRestart,
    Config(Box<v3::Command>),
    WorkersStatus,
    /// Commands to workers by their ids, as v3 gives them: whatever becomes of them shows in the workers' last messages.
    Orders(Vec<(String, Command)>),
    TxStatus,
    Version,
    Overview,
    Workers(Filter, Page),
    Worker(String),
    Command(String, Command),
    Pools,
    Operators,
    Transactions(Filter, Page),
    Pause(bool),
    Entrance,
    QueueEntrance,
    /// A file of the monitor, and whether who asks has it already.
    Monitor(&'static Asset, bool),
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Stage of a worker, or what a transaction stands at.
    pub(super) state: Option<String>,
    pub(super) pool: Option<u64>,
    /// A part of the name.
    pub(super) name: Option<String>,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Page {
    /// These rows of all.
    pub(super) fn of<T>(self, rows: Vec<T>) -> Vec<T> {
        rows.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Deserialize)]
struct Requests {
    requests: Vec<EndpointsOf>,
}

#[derive(Deserialize)]
struct EndpointsOf {
    id: String,
    endpoints: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoints {
    endpoints: Vec<String>,
}

impl Asked {
    /// What a request to `route` asks for.
    pub(super) fn read(
        route: Route,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, Reply> {
        Ok(match route {
            Route::Health => Self::Health,
            Route::Ready => Self::Ready,
            Route::Metrics => Self::Metrics,
            Route::WmStatus => Self::WmStatus,
            Route::WmRestart => Self::WmRestart,
            Route::WmConfig => Self::Config(json(headers, body)?),
            Route::WorkersStatus => Self::WorkersStatus,
            Route::WorkersOrder(Verb::Endpoints) => {
                let Requests { requests } = json(headers, body)?;
                let order = |EndpointsOf { id, endpoints }| (id, Command::PublishEndpoints(endpoints));
                Self::Orders(requests.into_iter().map(order).collect())
            }
            Route::WorkersOrder(verb) => {
                let Ids { ids } = json(headers, body)?;
                Self::Orders(ids.into_iter().map(|id| (id, verb.command())).collect())
            }
            Route::TxStatus => Self::TxStatus,
            Route::Version => Self::Version,
            Route::Overview => Self::Overview,
            Route::Workers => {
                let (filter, page) = rows(query, &["state", "pool", "name"])?;
                Self::Workers(filter, page)
            }
            Route::Worker(worker) => Self::Worker(worker),
            Route::Command(worker, Verb::Endpoints) => {
                let Endpoints { endpoints } = json(headers, body)?;
                Self::Command(worker, Command::PublishEndpoints(checked(endpoints)?))
            }
            Route::Command(worker, verb) => Self::Command(worker, verb.command()),
            Route::Pools => Self::Pools,
            Route::Operators => Self::Operators,
            Route::Transactions => {
                let (filter, page) = rows(query, &["state", "pool"])?;
                Self::Transactions(filter, page)
            }
            Route::Pause(paused) => Self::Pause(paused),
            Route::Entrance => Self::Entrance,
            Route::Queue => Self::QueueEntrance,
            // Not asked of this program.
            Route::Elsewhere(_) => return Err(Reply::empty(StatusCode::NOT_FOUND)),
            Route::Monitor(asset) => Self::Monitor(asset, asset.is_held(headers)),
        })
    }
}

impl Verb {
    fn command(self) -> Command {
        match self {
            Self::Restart => Command::Restart,
            Self::Register => Command::Register,
            Self::Endpoints => Command::PublishEndpoints(Vec::new()),
            Self::Checkpoint => Command::TakeCheckpoint,
        }
    }
}

/// A body, with the status codes of v3 where it is none: 415, 400 where it is no JSON, 422 where it is other JSON.
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Reply> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "the body must be JSON, with `Content-Type: application/json`";
        return Err(Reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {} column {}", error.line(), error.column());
        match error.classify() {
            // What it says may quote the body.
            Category::Data if contains(body, SECRET) => {
                let message = format!(
                    "{SECRET} is not understood at {at}; it takes pid (a number), account (a string), account_type (\"Seed\" \
                     or \"SecretKey\"), and proxied_account_id (a string) if it is a proxy"
                );
                Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "BadRequest", message)
            }
            Category::Data => {
                Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "BadRequest", short(&error.to_string()))
            }
            _ => {
                let message = format!("the body is no JSON: {}", short(&error.to_string()));
                Reply::error(StatusCode::BAD_REQUEST, "BadRequest", message)
            }
        }
    })
}

fn contains(body: &[u8], word: &str) -> bool {
    body.windows(word.len()).any(|window| window == word.as_bytes())
}

/// A text that may quote whatever was sent.
fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

fn bad(message: impl Into<String>) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "BadRequest", message)
}

fn checked(endpoints: Vec<String>) -> Result<Vec<String>, Reply> {
    let fits = |endpoint: &String| (1..=MAX_ENDPOINT_BYTES).contains(&endpoint.len());
    if (1..=MAX_ENDPOINTS).contains(&endpoints.len()) && endpoints.iter().all(fits) {
        return Ok(endpoints);
    }
    Err(bad(format!("give 1 to {MAX_ENDPOINTS} endpoints of 1 to {MAX_ENDPOINT_BYTES} bytes each")))
}

/// Which rows a query wants; it may filter by these fields.
fn rows(query: Option<&str>, fields: &[&str]) -> Result<(Filter, Page), Reply> {
    let (mut filter, mut page) = (Filter::default(), Page { offset: 0, limit: PAGE });
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let number = || {
            let parsed = value.parse::<u64>();
            parsed.map_err(|_| bad(format!("{name} must be a whole number, is {:?}", short(&value))))
        };
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        match &*name {
            "offset" => page.offset = count(number()?),
            "limit" => page.limit = count(number()?),
            "state" if fields.contains(&"state") => filter.state = Some(value.into_owned()),
            "name" if fields.contains(&"name") => filter.name = Some(value.into_owned()),
            "pool" if fields.contains(&"pool") => filter.pool = Some(number()?),
            other => {
                let known = fields.join(", ");
                return Err(bad(format!(
                    "there is no {:?} to ask for: offset, limit, {known}",
                    short(other)
                )));
            }
        }
    }
    if !(1..=MOST_ROWS).contains(&page.limit) {
        return Err(bad(format!("limit must be 1 to {MOST_ROWS}")));
    }
    Ok((filter, page))
}

#[cfg(test)]
mod tests {
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
        let body =
            "{\"requests\":[{\"id\":\"a\",\"endpoints\":[\"http://x\"]},{\"id\":\"b\",\"endpoints\":[]}]}";
        let Ok(Asked::Orders(orders)) = read(Route::WorkersOrder(Verb::Endpoints), JSON, body) else {
            panic!()
        };
        let endpoints = |of: &[&str]| Command::PublishEndpoints(of.iter().map(|&one| one.into()).collect());
        assert_eq!(orders, [("a".to_owned(), endpoints(&["http://x"])), ("b".to_owned(), endpoints(&[]))]);
        let one = Route::Command("w".to_owned(), Verb::Endpoints);
        assert_eq!(refused(one.clone(), JSON, "{\"endpoints\":[]}").0, 400);
        assert!(read(one, JSON, "{\"endpoints\":[\"http://x\"]}").is_ok());
    }

    #[test]
    fn pages_and_filters_are_read_and_what_there_is_not_is_refused() {
        let read =
            |query| rows(Some(query), &["state", "pool", "name"]).map_err(|reply| reply.status.as_u16());
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
}
