//! The environment: every key of the configuration as a variable, and the variables of PRB v2 and v3.
//!
//! A key is `PRB_` and its path in capitals: `chain.para` is `PRB_CHAIN_PARA`. What v2 and v3 call it is in one table.

mod apply;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Effect, TABLE, Variable};

use super::{ConfigError, keys};
use std::collections::BTreeMap;

/// Variables and their values. One that is empty is as good as one that is not there.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

/// What a container of PRB v2 is to be (`PHALA_MODULE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `prb data-provider`.
    DataProvider,
    /// `prb lifecycle`, or `prb run` where no data provider is named.
    Lifecycle,
    /// `prb trade`.
    Trade,
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
        Self(variables.filter(|(_, value): &(String, String)| !value.trim().is_empty()).collect())
    }

    /// The value of a variable.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// Whether a variable is `true`; an error if it is neither that nor `false`.
    fn is_true(&self, name: &str) -> Result<bool, ConfigError> {
        let flag = self.get(name).map_or(Ok(false), keys::flag);
        flag.map_err(|cause| ConfigError::Variable { name: name.to_owned(), cause })
    }

    /// Whether anything in it says what a configuration is made of.
    pub(super) fn sets_anything(&self) -> bool {
        let sets = |variable: &&Variable| !matches!(variable.effect, Effect::None(_));
        let known = TABLE.iter().filter(sets).flat_map(|variable| variable.names).copied();
        known
            .map(str::to_owned)
            .chain(keys::KEYS.iter().map(|(key, _)| of_key(key)))
            .any(|name| self.0.contains_key(&name))
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
            "utils/arena" => {
                refused("the queue has no page here; `prb tx list` shows it where the trader runs")
            }
            "monitor" => refused(
                "the monitor is no part of this program; `prb status` and `prb worker list` show what it did",
            ),
            "data_provider/io/server"
            | "data_provider/fetch_block"
            | "data_provider/make_blob"
            | "lifecycle/runner"
            | "trade/trader" => {
                refused("what this was is a part of data_provider, lifecycle or trade; name that")
            }
            _ => refused("must be data_provider, lifecycle or trade"),
        }
    }

    /// Whether nothing is to be run beside the management (`PHALA_LIFECYCLE_CONFIG_MODE`).
    pub fn is_config_mode(&self) -> Result<bool, ConfigError> {
        self.is_true(CONFIG_MODE)
    }
}

const MODULE: &str = "PHALA_MODULE";
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

/// Whether prb knows a variable.
pub fn is_known(name: &str) -> bool {
    READ_ELSEWHERE.contains(&name)
        || TABLE.iter().any(|variable| variable.names.contains(&name))
        || keys::KEYS.iter().any(|(key, _)| of_key(key) == name)
}
