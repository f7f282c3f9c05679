//! What the environment makes of a configuration.

use super::{
    BUILT_IN_TRADER, CONFIG_MODE, DATA_SOURCES, ENFORCE_SCORE, Effect, Environment, KEEP_ALIVE,
    KEEP_ALIVE_TIMEOUT, MIN_SCORE, MODULE, Service, TABLE, Variable, is_known, of_key, table::milliseconds,
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
/// Where v2's data provider served.
const V2_LISTEN: &str = "0.0.0.0:8012";
/// The score that v2 enforced unless another one was given.
const V2_SCORE: u32 = 50;

/// Values by key, each with its variable, and what is to be told.
#[derive(Debug, Default)]
pub(in crate::config) struct Given {
    settings: BTreeMap<&'static str, (Value, String)>,
    pub(in crate::config) remarks: Vec<String>,
}

impl Environment {
    /// What it says, beside what a file says.
    pub(in crate::config) fn given(&self, file: &Table) -> Result<Given, ConfigError> {
        let mut given = Given::default();
        for (key, kind) in KEYS {
            let name = of_key(key);
            if let Some(value) = self.get(&name) {
                let value = kind.parse(value).map_err(|cause| bad(&name, &cause))?;
                given.set(key, value, &name)?;
            }
        }
        for variable in TABLE {
            for name in variable.names {
                if let Some(value) = self.get(name) {
                    given.take(variable, name, value, file)?;
                }
            }
        }
        self.data_sources(&mut given)?;
        self.trader(&mut given)?;
        self.score(&mut given)?;
        self.keep_alive(&mut given)?;
        self.service_defaults(&mut given, file)?;
        self.misspelt(&mut given);
        // Told by who runs; here it only must be one of both.
        self.is_true(CONFIG_MODE)?;
        Ok(given)
    }

    /// The nodes of v3's file, unless they are named otherwise.
    fn data_sources(&self, given: &mut Given) -> Result<(), ConfigError> {
        const NAME: &str = DATA_SOURCES;
        let Some(path) = self.get(NAME) else { return Ok(()) };
        let found = DataSources::in_file(Path::new(path)).map_err(|cause| bad(NAME, &cause))?;
        let list = |urls: Vec<String>| Value::Array(urls.into_iter().map(Value::String).collect());
        given.set("chain.relay", list(found.relay), NAME)?;
        given.set("chain.para", list(found.para), NAME)?;
        match found.headers_cache {
            Some(url) => given.set("chain.headers_cache", Value::String(url), NAME),
            None => Ok(()),
        }
    }

    /// A built-in trader needs no Redis.
    fn trader(&self, given: &mut Given) -> Result<(), ConfigError> {
        const QUEUE: &str = "PHALA_Q_REDIS_ENDPOINT";
        if self.is_true(BUILT_IN_TRADER)? && self.get(QUEUE).is_some() {
            given.settings.remove("redis.url");
            given.remark(
                QUEUE,
                "USE_BUILT_IN_TRADER is true: transactions are made in this process, without Redis",
            );
        }
        Ok(())
    }

    /// A lowest score holds workers only where it is enforced.
    fn score(&self, given: &mut Given) -> Result<(), ConfigError> {
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
    fn keep_alive(&self, given: &mut Given) -> Result<(), ConfigError> {
        const KEY: &str = "workers.idle_reuse_seconds";
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
    fn service_defaults(&self, given: &mut Given, file: &Table) -> Result<(), ConfigError> {
        let Some(service) = self.service()? else { return Ok(()) };
        let is_provider = service == Service::DataProvider;
        let folder = if is_provider { V2_PROVIDER_DATA } else { V2_DATA };
        let in_file = |section: &str, name: &str| match section {
            "" => file.contains_key(name),
            _ => file.get(section).is_some_and(|section| section.get(name).is_some()),
        };
        for (section, name, key, value) in [
            ("", "data_dir", "data_dir", Some(folder)),
            ("serve", "listen", "serve.listen", is_provider.then_some(V2_LISTEN)),
        ] {
            if let Some(value) = value
                && !in_file(section, name)
                && !given.settings.contains_key(key)
            {
                given.set(key, Value::String(value.to_owned()), MODULE)?;
            }
        }
        Ok(())
    }

    /// Names like those of variables that are known.
    fn misspelt(&self, given: &mut Given) {
        let known: Vec<String> = KEYS
            .iter()
            .map(|(key, _)| of_key(key))
            .chain(TABLE.iter().flat_map(|variable| variable.names).map(|name| (*name).to_owned()))
            .filter(|name| name.contains('_'))
            .collect();
        for name in self.0.keys().filter(|name| name.starts_with("PRB_") || name.starts_with("PHALA_")) {
            if is_known(name) {
                continue;
            }
            if let Some(known) = nearest(name, known.iter().map(String::as_str)) {
                given
                    .remarks
                    .push(format!("environment variable {name} is not known; did you mean {known}?"));
            }
        }
    }
}

impl Given {
    fn take(
        &mut self,
        variable: &Variable,
        name: &str,
        value: &str,
        file: &Table,
    ) -> Result<(), ConfigError> {
        let checked = || flag(value).map_err(|cause| bad(name, &cause));
        match &variable.effect {
            Effect::Read => {}
            Effect::None(why) => self.remark(name, why),
            Effect::Flag(why) => {
                checked()?;
                self.remark(name, why);
            }
            Effect::Refused(why) => {
                if checked()? {
                    return Err(bad(name, why));
                }
            }
            Effect::Sets(keys) => {
                for (key, parser) in *keys {
                    let Some(value) = parser(value).map_err(|cause| bad(name, &cause))? else { continue };
                    // By itself it does not turn this into one that reads from data providers.
                    if key.starts_with("providers.") && !self.has_providers(file) {
                        if keys.len() == 1 {
                            self.remark(
                                name,
                                "nothing is read from data providers here: there are no providers.urls",
                            );
                        }
                        continue;
                    }
                    self.set(key, value, name)?;
                }
            }
        }
        Ok(())
    }

    fn has_providers(&self, file: &Table) -> bool {
        file.contains_key("providers") || self.settings.keys().any(|key| key.starts_with("providers."))
    }

    fn set(&mut self, key: &'static str, value: Value, name: &str) -> Result<(), ConfigError> {
        if let Some((known, other)) = self.settings.get(key)
            && *known != value
        {
            return Err(bad(name, &format!("{key} is something else by {other}; unset one of them")));
        }
        self.settings.entry(key).or_insert((value, name.to_owned()));
        Ok(())
    }

    fn remark(&mut self, name: &str, why: &str) {
        self.remarks.push(format!("environment variable {name} has no effect: {why}"));
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

fn bad(name: &str, cause: &str) -> ConfigError {
    ConfigError::Variable { name: name.to_owned(), cause: cause.to_owned() }
}
