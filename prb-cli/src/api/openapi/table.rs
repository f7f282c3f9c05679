//! All routes that programs use: what they are for, what they take and what they answer.
//!
//! What is listed here is what `Route` finds, and what docs/api.md lists; tests compare them.

use super::super::{
    answers::{self, Done, Failure},
    ask::{Endpoints, Ids, Requests, SetFilter, SetTags},
    bulk::Bulk,
    v3::{TxStatus, WorkersStatus},
};
use crate::v3::{Command, OperatorView, PoolView, WorkerView};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A route.
pub(super) struct Entry {
    pub(super) method: &'static str,
    /// What varies stands between braces.
    pub(super) path: &'static str,
    /// What it answers or does, as docs/api.md has it for prb's own.
    pub(super) summary: &'static str,
    pub(super) query: &'static [Query],
    pub(super) body: Option<Body>,
    /// With which statuses it answers this.
    pub(super) statuses: &'static [u16],
    pub(super) answer: Content,
    /// Statuses of refusals that others do not have.
    pub(super) errors: &'static [u16],
}

/// Something that a query may say.
pub(super) struct Query {
    pub(super) name: &'static str,
    /// Its type in JSON Schema.
    pub(super) kind: &'static str,
    pub(super) help: &'static str,
}

/// A body.
pub(super) enum Body {
    Json(Of),
    /// Text of one of these types.
    File(&'static [&'static str]),
}

/// What is in an answer.
pub(super) enum Content {
    Json(Of),
    /// JSON that is called text, as v3 does.
    Shown(Of),
    /// Text of one of these types.
    Text(&'static [&'static str]),
}

/// The schema of a type.
type Of = fn(&mut SchemaGenerator) -> Schema;

pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn json<T: JsonSchema>() -> Content {
    Content::Json(schema::<T>)
}

const fn body<T: JsonSchema>() -> Option<Body> {
    Some(Body::Json(schema::<T>))
}

impl Entry {
    const fn new(method: &'static str, path: &'static str, summary: &'static str, answer: Content) -> Self {
        let (query, errors): (&[Query], &[u16]) = (&[], &[]);
        Self { method, path, summary, query, body: None, statuses: &[200], answer, errors }
    }

    const fn get(path: &'static str, summary: &'static str, answer: Content) -> Self {
        Self::new("GET", path, summary, answer)
    }

    const fn put(path: &'static str, summary: &'static str, body: Option<Body>, answer: Content) -> Self {
        Self { body, ..Self::new("PUT", path, summary, answer) }
    }

    const fn post(path: &'static str, summary: &'static str, body: Option<Body>, answer: Content) -> Self {
        Self { body, ..Self::new("POST", path, summary, answer) }
    }

    /// A command to a worker.
    const fn command(path: &'static str, summary: &'static str, body: Option<Body>) -> Self {
        let taken = json::<answers::Taken>();
        Self { statuses: &[202], errors: &[404, 409, 429], ..Self::post(path, summary, body, taken) }
    }

    const fn asking(self, query: &'static [Query]) -> Self {
        Self { query, ..self }
    }

    const fn failing(self, errors: &'static [u16]) -> Self {
        Self { errors, ..self }
    }

    const fn with_statuses(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    /// Names of what varies in the path.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
    }

    /// The path of something by the name `x`.
    pub(super) fn sample(&self) -> String {
        let segments =
            self.path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }

    /// What it belongs to.
    pub(super) fn group(&self) -> &'static str {
        match self.path.split('/').nth(1) {
            Some("v1") => "prb",
            Some("wm" | "workers" | "tx") => "PRB v3",
            _ => "services",
        }
    }
}

/// What `POST /wm/config` answers, each command its own.
fn config_answer(generator: &mut SchemaGenerator) -> Schema {
    let pool = generator.subschema_for::<PoolView>();
    let pools = generator.subschema_for::<Vec<PoolView>>();
    let worker = generator.subschema_for::<WorkerView>();
    let operator = generator.subschema_for::<OperatorView>();
    let operators = generator.subschema_for::<Vec<OperatorView>>();
    let done = generator.subschema_for::<Done>();
    json_schema!({ "anyOf": [pool, pools, worker, operator, operators, done] })
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

const fn query(name: &'static str, kind: &'static str, help: &'static str) -> Query {
    Query { name, kind, help }
}

const OFFSET: Query = query("offset", "integer", "How many rows to leave out first.");
const LIMIT: Query = query("limit", "integer", "Most rows, 1 to 1000; 100 unless told.");
const POOL: Query = query("pool", "integer", "Only of the pool with this pid.");

/// What inventories are written in.
const FILES: &[&str] = &["text/csv", "application/yaml", "application/json"];

/// Every route but those of the pages, in the order of docs/api.md.
pub(super) const TABLE: &[Entry] = &[
    // For what watches over services.
    Entry::get("/healthz", "whether the process goes on", json::<answers::Health>()).with_statuses(&[200, 503]),
    Entry::get("/readyz", "whether it gets on", json::<answers::Ready>()).with_statuses(&[200, 503]),
    Entry::get("/metrics", "what is counted, for Prometheus", Content::Text(&["text/plain"])),
    // Of PRB v3.
    Entry::get("/wm/status", "the build", json::<answers::GitRevision>()),
    Entry::put("/wm/restart", "nothing: there is nothing to restart", None, json::<Done>()).with_statuses(&[405]),
    Entry::post(
        "/wm/config",
        "a command of configuration",
        body::<Command>(),
        Content::Shown(config_answer),
    )
    .failing(&[500]),
    Entry::get("/workers/status", "all workers", json::<WorkersStatus>()).failing(&[500]),
    Entry::put("/workers/restart", "workers begin anew", body::<Ids>(), json::<Done>()).failing(&[500]),
    Entry::put("/workers/force_register", "workers are registered again", body::<Ids>(), json::<Done>())
        .failing(&[500]),
    Entry::put("/workers/update_endpoints", "endpoints are published", body::<Requests>(), json::<Done>())
        .failing(&[500]),
    Entry::put("/workers/take_checkpoint", "workers write checkpoints", body::<Ids>(), json::<Done>())
        .failing(&[500]),
    Entry::get("/tx/status", "transactions", json::<TxStatus>()).failing(&[500]),
    // prb's own.
    Entry::get("/v1/version", "version, and revision where the build knows it", json::<answers::Version>()),
    Entry::get(
        "/v1/managers",
        "the managers that are shown here, and what goes before every path for each of them; the bridge itself is `this`",
        json::<answers::Managers>(),
    ),
    Entry::get(
        "/v1/overview",
        "whether it is ready, and why not; heights stored and finalized, sources, workers by stage, transactions by state",
        json::<answers::Overview>(),
    )
    .failing(&[500]),
    Entry::get(
        "/v1/events",
        "server-sent events: what changes, as it does",
        Content::Text(&["text/event-stream"]),
    )
    .asking(&[query("topics", "string", "Some of overview, workers, transactions, inventory, with commas between them.")])
    .failing(&[400]),
    Entry::get("/v1/workers", "some of the workers, with `total`", json::<answers::Workers>())
        .asking(&[
            OFFSET,
            LIMIT,
            query("state", "string", "Only those at this stage, or NotRunning."),
            POOL,
            query("name", "string", "Only those with this in their names."),
            query("tag", "string", "Only those with this tag."),
        ])
        .failing(&[400, 500]),
    Entry::get(
        "/v1/workers/{worker}",
        "stage, heights, `blocks_left`, `eta_seconds`, session, memory, trouble, what its turn `waits` for, last message",
        json::<answers::Worker>(),
    )
    .failing(&[404, 500]),
    Entry::get("/v1/workers/{worker}/history", "where it was, and what happened to it", json::<answers::History>())
        .failing(&[404, 500]),
    Entry::command("/v1/workers/{worker}/restart", "it forgets failures and pauses, and is asked anew", None),
    Entry::command("/v1/workers/{worker}/register", "it is registered again", None),
    Entry::command("/v1/workers/{worker}/checkpoint", "it writes a checkpoint", None),
    Entry::command("/v1/workers/{worker}/kick", "its process ends, with its checkpoints left", None),
    Entry::command("/v1/workers/{worker}/endpoint", "its endpoints are published on chain", body::<Endpoints>()),
    Entry::put("/v1/workers/{worker}/tags", "all of its tags", body::<SetTags>(), json::<answers::Tags>())
        .failing(&[404, 500]),
    Entry::post("/v1/workers/bulk", "something to many workers", body::<Bulk>(), json::<answers::Results>())
        .failing(&[500]),
    Entry::get("/v1/pools", "all pools", json::<answers::Pools>()).failing(&[500]),
    Entry::get(
        "/v1/operators",
        "of operators name, account and proxied account (hex, and SS58 as `address` and `proxied_address`), pools and \
         `fees_paid` in planck",
        json::<answers::Operators>(),
    )
    .failing(&[500]),
    Entry::new("DELETE", "/v1/operators/{operator}", "removes one that no pool uses", json::<Done>())
        .failing(&[404, 409, 500]),
    Entry::post(
        "/v1/inventory/import",
        "adds and changes pools and workers, all or none",
        Some(Body::File(FILES)),
        json::<answers::Imported>(),
    )
    .asking(&[query("dry_run", "boolean", "Only say what would be done.")])
    .failing(&[500]),
    Entry::get("/v1/inventory/export", "pools and workers (CSV: workers)", Content::Text(FILES))
        .asking(&[query("format", "string", "csv, yaml or json; yaml unless told.")])
        .failing(&[400, 500]),
    Entry::get("/v1/transactions", "newest first, as `prb tx list --json`", json::<answers::Transactions>())
        .asking(&[OFFSET, LIMIT, query("state", "string", "Only those that stand at this."), POOL])
        .failing(&[400, 409]),
    Entry::post("/v1/transactions/pause", "as `prb tx pause`", None, json::<answers::Paused>())
        .failing(&[409, 500]),
    Entry::post("/v1/transactions/resume", "as `prb tx resume`", None, json::<answers::Paused>())
        .failing(&[409, 500]),
    Entry::post("/v1/transactions/{id}/drop", "as `prb tx drop`: one that waits is not sent", None, json::<Done>())
        .failing(&[404, 409, 500]),
    Entry::get("/v1/log", "what is logged", json::<answers::LogFilter>()).failing(&[409]),
    Entry::put("/v1/log", "logs this from now on", body::<SetFilter>(), json::<answers::LogFilter>())
        .failing(&[409]),
    Entry::get("/v1/openapi.json", "all of this as OpenAPI 3.1", Content::Json(any_object)),
];

/// A refusal.
pub(super) fn failure(generator: &mut SchemaGenerator) -> Schema {
    schema::<Failure>(generator)
}
