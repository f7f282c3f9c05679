//! The configuration as it takes effect, and where each value comes from.

use super::{
    Config, Origin,
    keys::{KEYS, Kind, LISTS},
};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes every value that takes effect, a line or an object each, without secrets.
pub fn show(config: &Config, as_json: bool, out: &mut dyn Write) -> io::Result<()> {
    let rows = rows(config);
    if as_json {
        let object = |(key, value, origin): &(&str, Value, Origin)| {
            let (origin, name) = match origin {
                Origin::Flag(name) => ("flag", Some(name)),
                Origin::Environment(name) => ("environment", Some(name)),
                Origin::File => ("file", None),
                Origin::Default => ("default", None),
            };
            json!({ "key": key, "value": value, "origin": origin, "name": name })
        };
        let rows: Vec<Value> = rows.iter().map(object).collect();
        return writeln!(out, "{}", json!({ "settings": rows, "remarks": config.remarks() }));
    }
    for (key, value, origin) in &rows {
        let origin = match origin {
            Origin::Flag(name) => format!("flag {name}"),
            Origin::Environment(name) => format!("environment {name}"),
            Origin::File => "file".to_owned(),
            Origin::Default => "default".to_owned(),
        };
        writeln!(out, "{key:<28} {:<32} ({origin})", text(value))?;
    }
    config.remarks().iter().try_for_each(|remark| writeln!(out, "note: {remark}"))
}

/// Sections that are not there have no rows.
fn rows(config: &Config) -> Vec<(&'static str, Value, Origin)> {
    let all = serde_json::to_value(config).unwrap_or_default();
    let value = |key: &str| all.pointer(&format!("/{}", key.replace('.', "/"))).cloned();
    let mut rows: Vec<_> = KEYS
        .iter()
        .filter_map(|(key, kind)| {
            Some((*key, without_secrets(*kind, value(key)?), config.origins.of(key).clone()))
        })
        .collect();
    for key in LISTS {
        let declared = value(key).and_then(|list| list.as_array().map(Vec::len)).unwrap_or_default();
        rows.push((key, json!(declared), config.origins.of(key).clone()));
    }
    rows
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn without_secrets(kind: Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Url | Kind::Urls, Value::String(url)) => json!(place(&url)),
        (Kind::Urls, Value::Array(urls)) => {
            urls.into_iter().map(|url| without_secrets(Kind::Url, url)).collect()
        }
        (_, value) => value,
    }
}

/// Scheme, host and port of an address. What else is in it may be a user, a password or the key of a service.
pub(crate) fn place(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "…".to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A password may hold what ends a host: nobody can tell then where it ends.
    if path.contains('@') {
        return format!("{scheme}://…");
    }
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(_, host)| ("…@", host));
    let path = if path.trim_matches('/').is_empty() { "" } else { "/…" };
    format!("{scheme}://{user}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_in_an_address_is_left_out() {
        for (url, expected) in [
            ("ws://10.0.0.2:9944", "ws://10.0.0.2:9944"),
            ("ws://10.0.0.2:9944/", "ws://10.0.0.2:9944"),
            ("wss://rpc.example/key", "wss://rpc.example/…"),
            ("https://hooks.example?token=key", "https://hooks.example/…"),
            ("redis://:password@10.0.0.5:6379/0", "redis://…@10.0.0.5:6379/…"),
            ("redis://user:pass@word@host", "redis://…@host"),
            ("redis://:abc/def@10.0.0.5:6379", "redis://…"),
            ("redis://:abc?def@10.0.0.5:6379/0", "redis://…"),
            ("redis://user:abc#def@10.0.0.5", "redis://…"),
            ("https://hooks.example/@someone", "https://…"),
            ("password", "…"),
        ] {
            assert_eq!(place(url), expected, "{url}");
        }
    }
}
