//! The keys of a configuration, each with how its value is written where there is only text.

use std::net::SocketAddr;
use toml::Value;

/// How a value is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// Anything.
    Text,
    /// An IP address with a port.
    Listen,
    /// An address, which may hold a secret.
    Url,
    /// Addresses with commas between them, which may hold secrets.
    Urls,
    /// Anything, with commas between.
    List,
}

use Kind::{Flag, List, Listen, Number, Text, Url, Urls};

/// Lists of tables, which have to stand in a file.
pub(super) const LISTS: [&str; 4] =
    ["inventory.operators", "inventory.pools", "inventory.workers", "monitor.managers"];

/// All of them but [`LISTS`].
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("data_dir", Text),
    ("passphrase_file", Text),
    ("chain.relay", Urls),
    ("chain.para", Urls),
    ("chain.parachain", Flag),
    ("chain.mirror", Url),
    ("chain.mirror_token_file", Text),
    ("chain.headers_cache", Url),
    ("chain.verify_state", Flag),
    ("chain.start.number", Number),
    ("chain.start.hash", Text),
    ("feed.request_mib", Number),
    ("feed.info_seconds", Number),
    ("feed.fast_sync", Flag),
    ("feed.fast_sync_blocks", Number),
    ("feed.catch_up_mib", Number),
    ("feed.load_mib", Number),
    ("feed.cache_mib", Number),
    ("workers.connect_seconds", Number),
    ("workers.read_seconds", Number),
    ("workers.work_seconds", Number),
    ("workers.load_seconds", Number),
    ("workers.idle_reuse_seconds", Number),
    ("workers.ca_file", Text),
    ("attestation.pccs_url", Url),
    ("attestation.timeout_seconds", Number),
    ("attestation.ca_file", Text),
    ("fleet.min_score", Number),
    ("fleet.sync_only", Flag),
    ("transactions.mortality", Number),
    ("transactions.gather_ms", Number),
    ("transactions.tip", Text),
    ("transactions.raise_tip", Text),
    ("transactions.raise_tip_daily", Text),
    ("transactions.low_balance", Text),
    ("transactions.dry_run", Flag),
    ("redis.url", Url),
    ("redis.namespace", Text),
    ("redis.lease_seconds", Number),
    ("notify.urls", Urls),
    ("notify.alert_urls", Urls),
    ("notify.pherry_urls", Urls),
    ("notify.token_file", Text),
    ("notify.token_header", Text),
    ("notify.ca_file", Text),
    ("notify.after_seconds", Number),
    ("notify.timeout_seconds", Number),
    ("notify.attempts", Number),
    ("notify.queue", Number),
    ("serve.listen", Listen),
    ("serve.token_file", Text),
    ("serve.metrics", Flag),
    ("serve.metrics_listen", Listen),
    ("serve.tls_certificate", Text),
    ("serve.tls_key", Text),
    ("serve.response_mib", Number),
    ("serve.memory_mib", Number),
    ("serve.session_memory_mib", Number),
    ("serve.cache_mib", Number),
    ("serve.connections", Number),
    ("serve.connections_per_peer", Number),
    ("providers.urls", Urls),
    ("providers.token_file", Text),
    ("providers.ca_file", Text),
    ("providers.cache_mib", Number),
    ("providers.cache_seconds", Number),
    ("p2p.enabled", Flag),
    ("p2p.listen", List),
    ("p2p.boot_nodes", List),
    ("p2p.mdns", Flag),
    ("p2p.bridge_identity", Text),
    ("p2p.ignore_bridge_identity", Flag),
    ("p2p.identity_dir", Text),
    ("p2p.pre_shared_key_file", Text),
    ("p2p.members", List),
    ("p2p.only_members", Flag),
    ("p2p.managers", List),
    ("p2p.local_manages", Flag),
    ("p2p.allow_unauthenticated", Flag),
    ("p2p.trust_found", Flag),
    ("api.enabled", Flag),
    ("api.listen", List),
    ("api.trade_listen", List),
    ("api.token_file", Text),
    ("api.allow_unauthenticated", Flag),
    ("api.allow_from", List),
    ("api.allow_hosts", List),
    ("monitor.enabled", Flag),
    ("monitor.listen", Listen),
    ("monitor.queue_listen", Listen),
    ("monitor.managers_file", Text),
    ("monitor.ca_file", Text),
    ("log.filter", Text),
    ("log.json", Flag),
];

impl Kind {
    /// The value that a text means.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        Ok(match self {
            Flag => Value::Boolean(flag(text)?),
            Number => {
                let number = text.parse::<u32>();
                Value::Integer(
                    number.map_err(|_| format!("must be a whole number, 0 to {}", u32::MAX))?.into(),
                )
            }
            Text | Url => Value::String(text.to_owned()),
            Listen => {
                let parsed = text.parse::<SocketAddr>();
                parsed.map_err(|_| "must be an IP address with a port, like 0.0.0.0:8012".to_owned())?;
                Value::String(text.to_owned())
            }
            Urls | List => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
        })
    }
}

/// `true` or `false`, and nothing else.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

/// Paths of everything that a table holds, but for what is in lists.
pub(super) fn paths(table: &toml::Table) -> Vec<String> {
    fn visit(table: &toml::Table, base: &str, found: &mut Vec<String>) {
        for (name, value) in table {
            let path = format!("{base}{name}");
            match value {
                Value::Table(inner) if !inner.is_empty() => visit(inner, &format!("{path}."), found),
                _ => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    visit(table, "", &mut found);
    found
}

/// What is meant, probably, by the first key of a table that is not known.
pub(super) fn instead_of_unknown(table: &toml::Table) -> Option<String> {
    let sections: Vec<&str> = KEYS.iter().filter_map(|(key, _)| Some(key.rsplit_once('.')?.0)).collect();
    let is_known = |path: &str| {
        let is_section = sections.contains(&path) || path == "inventory" || path.starts_with("inventory.");
        is_section || LISTS.contains(&path) || KEYS.iter().any(|(key, _)| *key == path)
    };
    for path in paths(table) {
        // Of `provider.urls` the section is wrong.
        if let Some((section, _)) = path.rsplit_once('.')
            && !is_known(section)
        {
            return nearest(section, sections.iter().copied()).map(str::to_owned);
        }
        if is_known(&path) {
            continue;
        }
        let leaf = |path: &'_ str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let elsewhere = || KEYS.iter().map(|(key, _)| *key).find(|key| leaf(key) == leaf(&path));
        return nearest(&path, KEYS.iter().map(|(key, _)| *key)).or_else(elsewhere).map(str::to_owned);
    }
    None
}

/// The known name that is so like `name` that it may be meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 2.min(known.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use std::collections::BTreeSet;

    /// Paths of everything that a value has, be it null.
    fn all(value: &serde_json::Value, base: &str, found: &mut BTreeSet<String>) {
        for (name, value) in value.as_object().unwrap() {
            let path = format!("{base}{name}");
            match value {
                serde_json::Value::Object(_) => all(value, &format!("{path}."), found),
                _ => drop(found.insert(path)),
            }
        }
    }

    #[test]
    fn the_list_has_every_key_and_no_other() {
        let text = "[chain.start]\nnumber = 1\nhash = \"x\"\n[redis]\nurl = \"redis://a\"\n[providers]\n";
        let config: Config = toml::from_str(text).unwrap();
        let mut there = BTreeSet::new();
        all(&serde_json::to_value(&config).unwrap(), "", &mut there);
        there.retain(|key| !LISTS.contains(&key.as_str()));
        let listed: BTreeSet<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(there, listed);
    }

    #[test]
    fn text_becomes_what_the_key_holds() {
        assert_eq!(Flag.parse("true"), Ok(Value::Boolean(true)));
        assert!(Flag.parse("yes").unwrap_err().contains("true or false"));
        assert_eq!(Number.parse("7"), Ok(Value::Integer(7)));
        assert!(Number.parse("-1").unwrap_err().contains("whole number"));
        assert!(Listen.parse("8012").is_err() && Listen.parse("[::]:8012").is_ok());
        assert_eq!(Urls.parse("ws://a, ws://b,"), Ok(vec!["ws://a", "ws://b"].into()));
    }
}
