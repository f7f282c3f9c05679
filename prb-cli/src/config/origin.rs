//! Where the values of a configuration come from.

use super::{ConfigError, Environment, keys};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What a configuration is read from. A flag wins over variables whose names are prb's (`PRB_*`, `PHALA_*`), those over the
/// file, that over other variables of PRB v2 and v3, those over the default.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file.
    pub file: PathBuf,
    /// What the environment says.
    pub environment: Environment,
}

/// The file unless another one is named; it may be missing where the environment says enough.
const DEFAULT_FILE: &str = "prb.toml";

impl Sources {
    /// A file alone.
    pub fn file(path: &Path) -> Self {
        Self { file: path.to_owned(), environment: Environment::default() }
    }

    /// Whether the file may be missing.
    pub(crate) fn stand_alone(&self) -> bool {
        self.file == Path::new(DEFAULT_FILE) && self.environment.says_enough()
    }

    /// Makes something of them, without the variables that it cannot be made with and that may be left out.
    pub(crate) fn made<T>(&self, make: impl Fn(&Self) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
        let mut sources = self.clone();
        // Each round there is one less.
        loop {
            match make(&sources) {
                Err(ConfigError::Variable { name, cause })
                    if sources.environment.leave_out(&name, &cause) => {}
                made => return made,
            }
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line: this option.
    Flag(String),
    /// This environment variable.
    Environment(String),
    /// The file.
    File,
    /// Nobody says anything.
    Default,
}

/// Where values come from, by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Everything that a file says.
    pub(super) fn of_file(table: &toml::Table) -> Self {
        Self(keys::paths(table).into_iter().map(|key| (key, Origin::File)).collect())
    }

    pub(super) fn set(&mut self, key: &str, origin: Origin) {
        self.0.insert(key.to_owned(), origin);
    }

    pub(super) fn of(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    /// An error about a value, by the name of the variable that the value comes from.
    pub(super) fn named(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Invalid { key, cause } => match self.of(key) {
                Origin::Environment(name) => {
                    ConfigError::Variable { name: name.clone(), cause: format!("{key}: {cause}") }
                }
                _ => ConfigError::Invalid { key, cause },
            },
            other => other,
        }
    }
}
