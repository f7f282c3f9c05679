//! `GET /v1/openapi.json`: the routes as OpenAPI 3.1, written from the table of routes and the types of bodies and answers.

mod table;

use self::table::{Body, Content, Entry, TABLE};
use super::{access::Aim, route::Route};
use hyper::{Method, body::Bytes};
use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Where schemas are that have a name.
const SCHEMAS: &str = "/components/schemas";

/// The description of the API as JSON.
pub(super) fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| described().to_string().into());
    DOCUMENT.clone()
}

fn described() -> Value {
    let (mut read, mut written) = (generator(Contract::Deserialize), generator(Contract::Serialize));
    let failure = table::failure(&mut written);
    let mut paths = Map::new();
    for entry in TABLE {
        let at = paths.entry(entry.path).or_insert_with(|| json!({}));
        at[entry.method.to_ascii_lowercase()] = operation(entry, &failure, &mut read, &mut written);
    }
    let mut schemas = written.take_definitions(true);
    schemas.extend(read.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "prb",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The management API of a bridge; docs/api.md says who may do what.",
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Not needed on the machine itself, nor at addresses in api.allow_from.",
                },
            },
        },
        // One or the other: with the token, or from where none is needed.
        "security": [{ "token": [] }, {}],
    })
}

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
        settings.contract = contract;
    });
    settings.into_generator()
}

fn operation(
    entry: &Entry,
    failure: &schemars::Schema,
    read: &mut SchemaGenerator,
    written: &mut SchemaGenerator,
) -> Value {
    let mut operation = json!({
        "operationId": operation_id(entry),
        "summary": entry.summary,
        "tags": [entry.group()],
        "parameters": parameters(entry),
    });
    if let Some(body) = &entry.body {
        operation["requestBody"] = json!({ "required": true, "content": content_of_body(body, read) });
    }
    let mut responses = Map::new();
    for status in errors(entry) {
        let content = json!({ "application/json": { "schema": failure } });
        responses.insert(status.to_string(), json!({ "description": reason(status), "content": content }));
    }
    for status in entry.statuses {
        let content = content_of(&entry.answer, written);
        responses.insert(status.to_string(), json!({ "description": reason(*status), "content": content }));
    }
    operation["responses"] = Value::Object(responses);
    operation
}

/// `getV1WorkersWorker` of `GET /v1/workers/{worker}`.
fn operation_id(entry: &Entry) -> String {
    let words = entry.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    entry.method.to_ascii_lowercase() + &words.map(capital).collect::<String>()
}

fn parameters(entry: &Entry) -> Vec<Value> {
    let of_path = entry
        .path_parameters()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let of_query = entry.query.iter().map(|query| {
        json!({
            "name": query.name, "in": "query", "required": false, "description": query.help,
            "schema": { "type": query.kind },
        })
    });
    of_path.chain(of_query).collect()
}

fn content_of_body(body: &Body, read: &mut SchemaGenerator) -> Value {
    match body {
        Body::Json(schema) => json!({ "application/json": { "schema": schema(read) } }),
        Body::File(kinds) => texts(kinds),
    }
}

fn content_of(content: &Content, written: &mut SchemaGenerator) -> Value {
    match content {
        Content::Json(schema) => json!({ "application/json": { "schema": schema(written) } }),
        Content::Shown(schema) => json!({ "text/plain": { "schema": schema(written) } }),
        Content::Text(kinds) => texts(kinds),
    }
}

/// Text of these types; JSON is whatever it is.
fn texts(kinds: &[&str]) -> Value {
    let schema =
        |kind: &str| if kind == "application/json" { json!({}) } else { json!({ "type": "string" }) };
    let kinds = kinds.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": schema(kind) })));
    Value::Object(kinds.collect())
}

/// Statuses of refusals: the route's own, and those of everything like it.
fn errors(entry: &Entry) -> Vec<u16> {
    let method = Method::from_bytes(entry.method.as_bytes()).unwrap_or_default();
    let mut errors = [entry.errors, &[401, 503, 504]].concat();
    if let Ok(route) = Route::find(&method, &entry.sample()) {
        if route.aim() != Aim::Probe {
            errors.push(403);
        }
        if route.has_body() {
            errors.extend([400, 408, 413, 415, 422]);
        }
    }
    errors
}

/// What a status says.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "It is so, or was done.",
        202 => "It was taken; what comes of it shows later.",
        400 => "What is asked makes no sense.",
        401 => "The token is missing or wrong.",
        403 => "A page of somebody else asks, or it is asked by a name that is not its own.",
        404 => "There is no such thing.",
        405 => "There is nothing to restart.",
        408 => "The body did not arrive in time.",
        409 => "It cannot be done now.",
        413 => "The body is too large.",
        415 => "The body's type is another one.",
        422 => "What is in the body cannot be used.",
        429 => "Too many wait already.",
        500 => "It failed.",
        503 => "Nothing runs, it does not get on, or too many ask.",
        504 => "It was not done in time.",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
