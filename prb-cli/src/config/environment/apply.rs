//! What the environment makes of a configuration.

use super::{
    BUILT_IN_TRADER, CONFIG_MODE, DATA_SOURCES, ENFORCE_SCORE, Effect, Environment, KEEP_ALIVE,
    KEEP_ALIVE_TIMEOUT, MIN_SCORE, MODULE, Remark, Service, TABLE, Variable, is_generic, is_known, of_key,
    table::{milliseconds, words_left_out},
};
use crate::config::{
    ConfigError, Origin,
    data_sources::DataSources,
    keys::{KEYS, flag, nearest},
    origin::Origins,
};
use std::{collections::BTreeMap, path::Path};
use toml::{Table, Value};

/// Where v2's containers keep what lasts, and where its data provider did.
const V2_DATA: &str = "/var/data";
const V2_PROVIDER_DATA: &str = "/var/data/0";
/// Where v2's services kept the keys that peers know them by.
const V2_PEER_KEYS: &str = "/var/data/keys/id";
/// Where v2's data provider served.
const V2_LISTEN: &str = "0.0.0.0:8012";
/// The score that v2 enforced unless another one was given.
const V2_SCORE: u32 = 50;

/// Why a setting of `[providers]` does nothing.
const NO_PROVIDERS: &str = "nothing is read from data providers here: there are no providers.urls";
/// Why a setting of `[p2p]` does nothing.
const NO_NETWORK: &str = "no peer-to-peer network is joined here: there is no section [p2p]";

/// Variables that say by themselves that the network is to be joined, beside `PHALA_MODULE`.
const JOINING: [&str; 7] = [
    "PRB_P2P_ENABLED",
    "PRB_P2P_LISTEN",
    "PRB_P2P_BOOT_NODES",
    "PHALA_WALKIE_LISTEN_ADDRESSES",
    "PHALA_WALKIE_BOOT_NODES",
    "PTP_LISTEN_ADDRESSES",
    "PTP_BOOT_NODES",
];

/// Values by key, each with its variable, and what is to be told.
#[derive(Debug)]
pub(in crate::config) struct Given<'f> {
    /// What the file says.
    file: &'f Table,
    /// Whether the command line names data providers.
    fed: bool,
    /// Whether the peer-to-peer network is meant to be joined.
    joins: bool,
    settings: BTreeMap<&'static str, (Value, String)>,
    pub(in crate::config) remarks: Vec<Remark>,
}

impl Environment {
    /// What it says, beside what a file says.
    pub(in crate::config) fn given<'f>(&self, file: &'f Table) -> Result<Given<'f>, ConfigError> {
        let joins = self.joining
            || JOINING.iter().any(|name| self.get(name).is_some())
            || self.joins()?
            || file.contains_key("p2p");
        let mut given = Given { file, fed: self.fed, joins, settings: BTreeMap::new(), remarks: Vec::new() };
        for (name, cause) in &self.left_out {
            given.warn(name, &format!("is left out: {cause}"));
        }
        // Addresses of providers come before what else is said of them.
        for (key, kind) in KEYS {
            let name = of_key(key);
            let Some(value) = self.get(&name) else { continue };
            let value = kind.parse(value).map_err(|cause| bad(&name, &cause))?;
            match given.idle(key) {
                Some(why) => given.remark(&name, why),
                None => given.set(key, value, &name)?,
            }
        }
        // Names that are meant for prb come before those that only fill.
        for generic in [false, true] {
            for variable in TABLE {
                for name in variable.names.iter().filter(|name| is_generic(name) == generic) {
                    if let Some(value) = self.get(name) {
                        given.take(variable, name, value)?;
                    }
                }
            }
        }
        self.data_sources(&mut given)?;
        self.trader(&mut given)?;
        self.score(&mut given)?;
        self.keep_alive(&mut given)?;
        self.service_defaults(&mut given)?;
        self.misspelt(&mut given);
        // Told by who runs; here it only must be one of both.
        self.is_true(CONFIG_MODE)?;
        Ok(given)
    }

    /// The nodes of v3's file, unless they are named otherwise.
    fn data_sources(&self, given: &mut Given<'_>) -> Result<(), ConfigError> {
        const NAME: &str = DATA_SOURCES;
        let Some(path) = self.get(NAME) else { return Ok(()) };
        // Nodes of two places together may be those of two networks.
        let nodes = ["chain.relay", "chain.para", "chain.mirror"];
        if let Some(winner) = nodes.into_iter().find_map(|key| given.says(key)) {
            given.aside(NAME, &format!("has no effect: {winner} says whom to ask"));
            return Ok(());
        }
        let found = DataSources::in_file(Path::new(path)).map_err(|cause| bad(NAME, &cause))?;
        let list = |urls: Vec<String>| Value::Array(urls.into_iter().map(Value::String).collect());
        given.set("chain.relay", list(found.relay), NAME)?;
        given.set("chain.para", list(found.para), NAME)?;
        match found.headers_cache {
            Some(url) if given.may_set("chain.headers_cache", NAME) => {
                given.set("chain.headers_cache", Value::String(url), NAME)
            }
            _ => Ok(()),
        }
    }

    /// A built-in trader needs no Redis.
    fn trader(&self, given: &mut Given<'_>) -> Result<(), ConfigError> {
        const KEY: &str = "redis.url";
        if given.file_says("redis") || self.get(&of_key(KEY)).is_some() {
            if self.get(BUILT_IN_TRADER) == Some("true") {
                given.aside(BUILT_IN_TRADER, "has no effect: redis.url names a trader of its own");
            }
            return Ok(());
        }
        if self.is_true(BUILT_IN_TRADER)? {
            let of_redis: Vec<&str> =
                given.settings.keys().copied().filter(|key| key.starts_with("redis.")).collect();
            for key in of_redis {
                if let Some((_, name)) = given.settings.remove(key) {
                    given.remark(
                        &name,
                        "USE_BUILT_IN_TRADER is true: transactions are made in this process, without Redis",
                    );
                }
            }
        }
        Ok(())
    }

    /// A lowest score holds workers only where it is enforced.
    fn score(&self, given: &mut Given<'_>) -> Result<(), ConfigError> {
        let score = match self.get(MIN_SCORE) {
            Some(score) => score.parse().map_err(|_| bad(MIN_SCORE, "must be a whole number"))?,
            None => V2_SCORE,
        };
        if self.is_true(ENFORCE_SCORE)? {
            let name = if self.get(MIN_SCORE).is_some() { MIN_SCORE } else { ENFORCE_SCORE };
            let score = if score == 0 { V2_SCORE } else { score };
            return given.set("fleet.min_score", Value::Integer(score.into()), name);
        }
        if self.get(MIN_SCORE).is_some() {
            given.remark(
                MIN_SCORE,
                "no worker is held for its score unless PHALA_ENFORCE_MIN_BENCH_SCORE is true",
            );
        }
        Ok(())
    }

    /// Connections are kept unless that is switched off.
    fn keep_alive(&self, given: &mut Given<'_>) -> Result<(), ConfigError> {
        const KEY: &str = "workers.idle_reuse_seconds";
        let mut lost = false;
        for name in [KEEP_ALIVE, KEEP_ALIVE_TIMEOUT] {
            lost |= self.get(name).is_some() && !given.may_set(KEY, name);
        }
        if lost {
            return Ok(());
        }
        if self.get(KEEP_ALIVE).is_some() && !self.is_true(KEEP_ALIVE)? {
            return given.set(KEY, Value::Integer(0), KEEP_ALIVE);
        }
        let Some(timeout) = self.get(KEEP_ALIVE_TIMEOUT) else { return Ok(()) };
        match milliseconds(timeout).map_err(|cause| bad(KEEP_ALIVE_TIMEOUT, &cause))? {
            Some(seconds) => given.set(KEY, seconds, KEEP_ALIVE_TIMEOUT),
            None => Ok(()),
        }
    }

    /// Where v2's services kept and served their data, unless something says otherwise.
    fn service_defaults(&self, given: &mut Given<'_>) -> Result<(), ConfigError> {
        let Some(service) = self.service()? else { return Ok(()) };
        let is_provider = service == Service::DataProvider;
        // v2 read from whoever was there, and its guides list nobody. Whoever says more of the network lists whom he trusts.
        let trusts_all = service == Service::Lifecycle
            && !given.file_says("p2p")
            && !given.settings.contains_key("p2p.members");
        let folder = if is_provider { V2_PROVIDER_DATA } else { V2_DATA };
        let text = |text: &str| Value::String(text.to_owned());
        for (key, value) in [
            ("data_dir", Some(text(folder))),
            ("serve.listen", is_provider.then(|| text(V2_LISTEN))),
            ("p2p.enabled", self.joins()?.then_some(Value::Boolean(true))),
            ("p2p.identity_dir", self.joins()?.then(|| text(V2_PEER_KEYS))),
            ("p2p.trust_found", trusts_all.then_some(Value::Boolean(true))),
        ] {
            // What is kept elsewhere is no volume of v2's with its keys.
            let elsewhere = key == "p2p.identity_dir" && !given.is_kept_in(Path::new(V2_DATA));
            if let Some(value) = value
                && !elsewhere
                && !given.file_says(key)
                && !given.settings.contains_key(key)
            {
                given.set(key, value, MODULE)?;
            }
        }
        Ok(())
    }

    /// Names like those of variables that are known.
    fn misspelt(&self, given: &mut Given<'_>) {
        let known: Vec<String> = KEYS
            .iter()
            .map(|(key, _)| of_key(key))
            .chain(TABLE.iter().flat_map(|variable| variable.names).map(|name| (*name).to_owned()))
            .filter(|name| name.contains('_'))
            .collect();
        for name in
            self.variables.keys().filter(|name| name.starts_with("PRB_") || name.starts_with("PHALA_"))
        {
            if is_known(name) {
                continue;
            }
            if let Some(known) = nearest(name, known.iter().map(String::as_str)) {
                given.warn(name, &format!("is not known; did you mean {known}?"));
            }
        }
    }
}

impl Given<'_> {
    fn take(&mut self, variable: &Variable, name: &str, value: &str) -> Result<(), ConfigError> {
        let checked = || flag(value).map_err(|cause| bad(name, &cause));
        match &variable.effect {
            Effect::Read => {}
            Effect::None(why) => self.remark(name, why),
            Effect::Flag(why) => {
                if !is_generic(name) {
                    checked()?;
                }
                self.remark(name, why);
            }
            Effect::Refused(why) => {
                if checked()? {
                    return Err(bad(name, why));
                }
            }
            Effect::Sets(keys) => {
                for (key, parser) in *keys {
                    if let Some(why) = self.idle(key) {
                        if !is_generic(name) {
                            parser(value).map_err(|cause| bad(name, &cause))?;
                        }
                        if keys.len() == 1 {
                            self.remark(name, why);
                        }
                        continue;
                    }
                    if !self.may_set(key, name) {
                        continue;
                    }
                    let Some(parsed) = parser(value).map_err(|cause| bad(name, &cause))? else { continue };
                    if *key == "p2p.boot_nodes" {
                        self.leave_out(name, value);
                    }
                    self.set(key, parsed, name)?;
                }
            }
        }
        Ok(())
    }

    /// Tells which parts of boot nodes are taken for nothing.
    fn leave_out(&mut self, name: &str, value: &str) {
        for word in words_left_out(value) {
            let what = format!(
                "has {word:?} where the id of a boot node belongs; it is left out, and whoever answers there is taken"
            );
            self.warn(name, &what);
        }
    }

    /// Why a variable of this key does nothing, if it does: by itself it neither turns this into one that reads from data
    /// providers, nor opens a port to the world.
    fn idle(&self, key: &str) -> Option<&'static str> {
        if is_of_providers(key) && !self.has_providers() {
            return Some(NO_PROVIDERS);
        }
        (key.starts_with("p2p.") && !self.joins).then_some(NO_NETWORK)
    }

    fn has_providers(&self) -> bool {
        self.fed || self.file_says("providers") || self.settings.contains_key("providers.urls")
    }

    /// Whether the file has a key, or a section.
    fn file_says(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| self.file.get(part));
        parts.fold(first, |section, part| section?.get(part)).is_some()
    }

    /// Whether data is in this folder.
    fn is_kept_in(&self, folder: &Path) -> bool {
        let said =
            self.settings.get("data_dir").map(|(value, _)| value).or_else(|| self.file.get("data_dir"));
        said.and_then(Value::as_str).is_some_and(|data| Path::new(data).starts_with(folder))
    }

    /// Whether a variable may set a key: what may be meant for any program only fills what nothing else says, which is told.
    fn may_set(&mut self, key: &str, name: &str) -> bool {
        if !is_generic(name) {
            return true;
        }
        let winner = self.says(key);
        if let Some(winner) = &winner {
            self.aside(name, &format!("has no effect: {winner} says what {key} is"));
        }
        winner.is_none()
    }

    /// Who says what a key is, if that is said by the file or by a variable that is meant for prb.
    fn says(&self, key: &str) -> Option<String> {
        let by = self.settings.get(key).map(|(_, name)| name).filter(|name| !is_generic(name));
        by.cloned().or_else(|| self.file_says(key).then(|| "the file".to_owned()))
    }

    fn set(&mut self, key: &'static str, value: Value, name: &str) -> Result<(), ConfigError> {
        if let Some((known, other)) = self.settings.get(key)
            && *known != value
        {
            return Err(bad(name, &format!("{key} is something else by {other}; unset one of them")));
        }
        if key == "data_dir" && is_generic(name) {
            self.aside(name, "says where data_dir is: nothing else does");
        }
        self.settings.entry(key).or_insert((value, name.to_owned()));
        Ok(())
    }

    /// A variable does nothing.
    fn remark(&mut self, name: &str, why: &str) {
        let why = format!("has no effect: {why}");
        if is_generic(name) { self.aside(name, &why) } else { self.warn(name, &why) }
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.tell(name, what, false);
    }

    fn aside(&mut self, name: &str, what: &str) {
        self.tell(name, what, true);
    }

    fn tell(&mut self, name: &str, what: &str, aside: bool) {
        self.remarks.push(Remark { text: format!("environment variable {name} {what}"), aside });
    }

    /// Writes everything into a table, over what is there.
    pub(in crate::config) fn apply(&self, table: &mut Table, origins: &mut Origins) {
        for (key, (value, name)) in &self.settings {
            if put(table, key, value) {
                origins.set(key, Origin::Environment(name.clone()));
            }
        }
    }
}

/// Whether there was a place for it: where a section should be may be something else, which is the file's mistake.
fn put(table: &mut Table, key: &str, value: &Value) -> bool {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value.clone());
            true
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            section.as_table_mut().is_some_and(|section| put(section, rest, value))
        }
    }
}

/// Whether a key says how providers are read: no more than that, so it does not name any.
fn is_of_providers(key: &str) -> bool {
    key.starts_with("providers.") && key != "providers.urls"
}

fn bad(name: &str, cause: &str) -> ConfigError {
    ConfigError::Variable { name: name.to_owned(), cause: cause.to_owned() }
}
