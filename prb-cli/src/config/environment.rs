//! The environment: every key of the configuration as a variable, and the variables of PRB v2 and v3.
//!
//! A key is `PRB_` and its path in capitals: `chain.para` is `PRB_CHAIN_PARA`. What v2 and v3 call it is in one table.
//!
//! Names that begin with `PRB_` or `PHALA_` are meant for prb, and win over the file. Others of v2 and v3, like `DB_PATH`, may
//! be meant for any program: they only fill what nothing else says.

mod apply;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Effect, TABLE, Variable};

use super::{ConfigError, keys};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, ops::Deref};

/// Variables and their values. One that is empty is as good as one that is not there.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Whether what a name of any program says is left out where it cannot be used.
    forgiving: bool,
    /// What was left out so, and why.
    left_out: BTreeMap<String, String>,
    /// Whether the command line names data providers.
    fed: bool,
    /// Whether the command joins the peer-to-peer network by itself.
    joining: bool,
}

/// What is to be told of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Remark {
    text: String,
    #[serde(skip)]
    aside: bool,
}

impl Remark {
    /// Whether nobody has to look: the name may be meant for another program.
    pub const fn is_aside(&self) -> bool {
        self.aside
    }
}

impl Deref for Remark {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a container of PRB v2 is to be (`PHALA_MODULE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `prb data-provider`.
    DataProvider,
    /// `prb lifecycle`, or `prb run` where no data provider is named and none is looked for.
    Lifecycle,
    /// `prb trade`.
    Trade,
    /// `prb monitor`.
    Monitor,
    /// `prb monitor --queue`.
    Queue,
}

/// Variables that prb reads elsewhere.
pub const READ_ELSEWHERE: [&str; 3] = ["PRB_CONFIG", "RUST_LOG", "RUST_BACKTRACE"];

/// In front of the name of every key.
const PREFIX: &str = "PRB_";

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::of(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// These variables.
    pub fn of(variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(_, value): &(String, String)| !value.trim().is_empty()).collect();
        Self { variables, ..Self::default() }
    }

    /// For what is no service: what a name of any program says and cannot be used is only told.
    pub fn forgiving(self) -> Self {
        Self { forgiving: true, ..self }
    }

    /// Where the command line names data providers: what is said of reading from them has a meaning then.
    pub(crate) fn fed(self) -> Self {
        Self { fed: true, ..self }
    }

    /// For a command that joins the peer-to-peer network unless told: what is said of that has a meaning then.
    pub(crate) fn joining(self) -> Self {
        Self { joining: true, ..self }
    }

    /// Leaves out a variable that cannot be used, if that may be.
    pub(super) fn leave_out(&mut self, name: &str, cause: &str) -> bool {
        let may = self.forgiving && is_generic(name) && self.variables.remove(name).is_some();
        if may {
            self.left_out.insert(name.to_owned(), cause.to_owned());
        }
        may
    }

    /// The value of a variable.
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim())
    }

    /// Whether a variable is `true`; an error if it is neither that nor `false`.
    fn is_true(&self, name: &str) -> Result<bool, ConfigError> {
        let flag = self.get(name).map_or(Ok(false), keys::flag);
        flag.map_err(|cause| ConfigError::Variable { name: name.to_owned(), cause })
    }

    /// Whether it says what a configuration is made of: where data is, whom it comes from, or which service this is.
    pub(super) fn says_enough(&self) -> bool {
        let makes = |key: &str| {
            matches!(key, "data_dir" | "chain.relay" | "chain.para" | "chain.mirror" | "providers.urls")
        };
        let sets = |variable: &&Variable| match &variable.effect {
            Effect::Sets(keys) => keys.iter().any(|(key, _)| makes(key)),
            _ => false,
        };
        let of_others =
            TABLE.iter().filter(sets).flat_map(|variable| variable.names).copied().map(str::to_owned);
        let own = keys::KEYS.iter().filter(|(key, _)| makes(key)).map(|(key, _)| of_key(key));
        let together = [DATA_SOURCES, MODULE].map(str::to_owned);
        of_others.chain(own).chain(together).any(|name| self.variables.contains_key(&name))
    }

    /// Which service `PHALA_MODULE` names, if it names one.
    pub fn service(&self) -> Result<Option<Service>, ConfigError> {
        let Some(module) = self.get(MODULE) else { return Ok(None) };
        let refused = |cause: &str| {
            Err(ConfigError::Variable { name: MODULE.to_owned(), cause: format!("{module}: {cause}") })
        };
        match module {
            "data_provider" => Ok(Some(Service::DataProvider)),
            "lifecycle" => Ok(Some(Service::Lifecycle)),
            "trade" => Ok(Some(Service::Trade)),
            "monitor" => Ok(Some(Service::Monitor)),
            "utils/arena" => Ok(Some(Service::Queue)),
            "data_provider/io/server"
            | "data_provider/fetch_block"
            | "data_provider/make_blob"
            | "lifecycle/runner"
            | "trade/trader" => {
                refused("what this was is a part of data_provider, lifecycle or trade; name that")
            }
            _ => refused("must be data_provider, lifecycle, trade, monitor or utils/arena"),
        }
    }

    /// The port of v2's monitor. The name may be meant for any program, so `prb monitor` alone looks at it.
    pub fn monitor_port(&self) -> Result<Option<u16>, ConfigError> {
        let Some(port) = self.get(PORT) else { return Ok(None) };
        let port = port.parse().map(|port| Some(port).filter(|port| *port != 0));
        let cause = "must be a port, 1 to 65535".to_owned();
        port.map_err(|_| ConfigError::Variable { name: PORT.to_owned(), cause })
    }

    /// The Redis server of v2's page of the queue, where `PHALA_Q_REDIS_ENDPOINT` names none; likewise.
    pub fn queue_redis(&self) -> Result<Option<&str>, ConfigError> {
        let default = || Ok((self.service()? == Some(Service::Queue)).then_some(V2_QUEUE_REDIS));
        self.get(QUEUE_REDIS).map_or_else(default, |url| Ok(Some(url)))
    }

    /// Whether this is a service of v2 that finds others, and is found.
    pub(super) fn joins(&self) -> Result<bool, ConfigError> {
        Ok(matches!(self.service()?, Some(Service::DataProvider | Service::Lifecycle)))
    }

    /// Whether nothing is to be run beside the management (`PHALA_LIFECYCLE_CONFIG_MODE`).
    pub fn is_config_mode(&self) -> Result<bool, ConfigError> {
        self.is_true(CONFIG_MODE)
    }
}

const MODULE: &str = "PHALA_MODULE";
const PORT: &str = "PORT";
const QUEUE_REDIS: &str = "REDIS_ENDPOINT";
/// What v2's page of the queue asked unless told.
const V2_QUEUE_REDIS: &str = "redis://redis-q:6379/";
const CONFIG_MODE: &str = "PHALA_LIFECYCLE_CONFIG_MODE";
const BUILT_IN_TRADER: &str = "USE_BUILT_IN_TRADER";
const ENFORCE_SCORE: &str = "PHALA_ENFORCE_MIN_BENCH_SCORE";
const MIN_SCORE: &str = "PHALA_MIN_BENCH_SCORE";
const KEEP_ALIVE: &str = "WORKER_KEEPALIVE_ENABLED";
const KEEP_ALIVE_TIMEOUT: &str = "WORKER_KEEPALIVE_TIMEOUT";
const DATA_SOURCES: &str = "DATA_SOURCE_CONFIG_PATH";

/// The variable of a key.
pub fn of_key(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Whether a name may be meant for any program: what it says only fills what nothing else says.
pub fn is_generic(name: &str) -> bool {
    !name.starts_with(PREFIX) && !name.starts_with("PHALA_")
}

/// Whether prb knows a variable.
pub fn is_known(name: &str) -> bool {
    READ_ELSEWHERE.contains(&name)
        || TABLE.iter().any(|variable| variable.names.contains(&name))
        || keys::KEYS.iter().any(|(key, _)| of_key(key) == name)
}
