//! Where logs go: standard error, as text or JSON lines.

use crate::config::Log;
use std::io::IsTerminal;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be understood.
    #[error("{origin} {filter:?}: {cause}; write for example `info` or `info,prb_chain=debug`")]
    Filter {
        /// Who says it: `RUST_LOG` or `log.filter`.
        origin: &'static str,
        /// The filter.
        filter: String,
        /// Why not.
        cause: String,
    },
    /// Logs were set up before.
    #[error("logs are set up already")]
    Twice,
}

/// Whether the filter that would be used is one. `RUST_LOG` wins over the configuration.
pub(crate) fn check(config: &Log) -> Result<(), LogError> {
    filter(config).map(drop)
}

fn filter(config: &Log) -> Result<EnvFilter, LogError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let (origin, filter) = match environment {
        Some(filter) => ("RUST_LOG", filter),
        None => ("log.filter", config.filter.clone()),
    };
    EnvFilter::try_new(&filter).map_err(|error| {
        let cause = error.to_string();
        LogError::Filter { origin, filter: filter.clone(), cause }
    })
}

/// Whether a line may be written whatever the filter says: below INFO the transport to nodes repeats addresses with the
/// passwords and keys in them.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let module = metadata.module_path().unwrap_or_default();
    *metadata.level() <= Level::INFO || !module.starts_with("jsonrpsee_client_transport")
}

/// Sends logs to standard error. `RUST_LOG` wins over the configuration.
pub fn start(config: &Log) -> Result<(), LogError> {
    let registry = tracing_subscriber::registry().with(filter(config)?).with(filter_fn(is_harmless));
    let ansi = std::io::stderr().is_terminal();
    let started = if config.json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(ansi).with_writer(std::io::stderr)).try_init()
    };
    started.map_err(|_| LogError::Twice)
}
