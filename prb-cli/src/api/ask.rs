//! What is asked, read out of a request.

use super::{
    bulk::{Action, Bulk, MOST},
    events::Topics,
    monitor::Asset,
    reply::Reply,
    route::{Route, Verb},
};
use crate::{bulk::Format, queue, v3};
use hyper::{HeaderMap, StatusCode, header};
use prb_core::{
    command::{Command, MAX_ENDPOINT_BYTES, MAX_ENDPOINTS},
    id::JobId,
};
use schemars::JsonSchema;
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
    History(String),
    Tags(String, Vec<String>),
    Bulk(Bulk),
    Pools,
    Operators,
    RemoveOperator(String),
    /// Pools and workers in this text, or only what would become of it.
    Import(Format, String, bool),
    Export(Format),
    Transactions(Filter, Page),
    Pause(bool),
    Drop(JobId),
    Events(Topics),
    Log,
    SetLog(String),
    OpenApi,
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
    /// A tag of a worker.
    pub(super) tag: Option<String>,
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

/// Workers by their ids.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Ids {
    ids: Vec<String>,
}

/// Endpoints of several workers.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Requests {
    requests: Vec<EndpointsOf>,
}

/// Endpoints of a worker.
#[derive(Deserialize, JsonSchema)]
pub(super) struct EndpointsOf {
    id: String,
    endpoints: Vec<String>,
}

/// 1 to 16 endpoints of 1 to 512 bytes each.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoints {
    endpoints: Vec<String>,
}

/// All tags of a worker: at most 16 of 1 to 32 letters, digits, `-`, `_`, `.` and `:`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetTags {
    tags: Vec<String>,
}

/// What is to be logged.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetFilter {
    /// As `log.filter`: `info,prb_chain=debug`.
    filter: String,
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
                let (filter, page) = rows(query, &["state", "pool", "name", "tag"])?;
                Self::Workers(filter, page)
            }
            Route::Worker(worker) => Self::Worker(worker),
            Route::Command(worker, Verb::Endpoints) => {
                let Endpoints { endpoints } = json(headers, body)?;
                Self::Command(worker, Command::PublishEndpoints(checked(endpoints)?))
            }
            Route::Command(worker, verb) => Self::Command(worker, verb.command()),
            Route::History(worker) => Self::History(worker),
            Route::Tags(worker) => {
                let SetTags { tags } = json(headers, body)?;
                Self::Tags(worker, tags)
            }
            Route::Bulk => Self::Bulk(bulk(json(headers, body)?)?),
            Route::Pools => Self::Pools,
            Route::Operators => Self::Operators,
            Route::RemoveOperator(name) => Self::RemoveOperator(name),
            Route::Import => {
                let dry_run = option(query, "dry_run", |value| value.parse().ok(), "true or false")?;
                let text = String::from_utf8(body.to_vec()).map_err(|_| bad("the body is no UTF-8 text"))?;
                Self::Import(format_of(headers)?, text, dry_run.unwrap_or_default())
            }
            Route::Export => {
                let format = option(query, "format", format_named, "csv, yaml or json")?;
                Self::Export(format.unwrap_or(Format::Yaml))
            }
            Route::Transactions => {
                let (filter, page) = rows(query, &["state", "pool"])?;
                Self::Transactions(filter, page)
            }
            Route::Pause(paused) => Self::Pause(paused),
            Route::Drop(job) => Self::Drop(queue::job(&job).map_err(|_| {
                let message =
                    format!("there is no transaction {:?}; /v1/transactions lists them", short(&job));
                Reply::error(StatusCode::NOT_FOUND, "TransactionNotFound", message)
            })?),
            Route::Events => {
                let wanted = "some of overview, workers, transactions, inventory, with commas between them";
                Self::Events(option(query, "topics", Topics::named, wanted)?.unwrap_or(Topics::ALL))
            }
            Route::Log => Self::Log,
            Route::SetLog => {
                let SetFilter { filter } = json(headers, body)?;
                Self::SetLog(filter)
            }
            Route::OpenApi => Self::OpenApi,
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
            Self::Kick => Command::StopWorker { remove_checkpoints: false },
        }
    }
}

/// A body, with the status codes of v3 where it is none: 415, 400 where it is no JSON, 422 where it is other JSON.
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Reply> {
    if kind_of(headers) != "application/json" {
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

/// Something for many workers, within its bounds.
fn bulk(bulk: Bulk) -> Result<Bulk, Reply> {
    if bulk.ids.len() > MOST {
        return Err(bad(format!("at most {MOST} workers at once; ask several times")));
    }
    match (bulk.action, &bulk.tag) {
        (Action::Tag | Action::Untag, None) => {
            Err(bad("say which tag: {\"action\":\"tag\",\"ids\":[...],\"tag\":\"...\"}"))
        }
        (Action::Tag | Action::Untag, Some(_)) | (_, None) => Ok(bulk),
        (_, Some(_)) => Err(bad("a tag is for the actions tag and untag")),
    }
}

/// The only thing that a query may say, if it says it.
fn option<T>(
    query: Option<&str>,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
    wanted: &str,
) -> Result<Option<T>, Reply> {
    let mut said = None;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if key != name {
            return Err(bad(format!("there is no {:?} to ask for: {name}", short(&key))));
        }
        let refused = || bad(format!("{name} must be {wanted}, is {:?}", short(&value)));
        said = Some(read(&value).ok_or_else(refused)?);
    }
    Ok(said)
}

fn format_named(name: &str) -> Option<Format> {
    Some(match name {
        "csv" => Format::Csv,
        "yaml" => Format::Yaml,
        "json" => Format::Json,
        _ => return None,
    })
}

/// How a body with pools and workers is written.
fn format_of(headers: &HeaderMap) -> Result<Format, Reply> {
    Ok(match kind_of(headers).as_str() {
        "text/csv" => Format::Csv,
        "application/yaml" | "application/x-yaml" | "text/yaml" => Format::Yaml,
        "application/json" => Format::Json,
        _ => {
            let message = "the body must be CSV, YAML or JSON, with `Content-Type: text/csv`, `application/yaml` or \
                           `application/json`";
            return Err(Reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
        }
    })
}

/// What a body is said to be, in small letters and without parameters.
fn kind_of(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
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
            "tag" if fields.contains(&"tag") => filter.tag = Some(value.into_owned()),
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
mod tests;
