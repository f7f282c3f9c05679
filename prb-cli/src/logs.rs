//! Where logs go: standard error, as text or JSON lines; and what is logged, which can be changed while a program runs.

use crate::config::Log;
use std::{io::IsTerminal, sync::OnceLock};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Registry, filter::filter_fn, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Why logs cannot be set up, or their filter not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be understood.
    #[error("{origin} {filter:?}: {cause}; write for example `info` or `info,prb_chain=debug`")]
    Filter {
        /// Who says it: `RUST_LOG` or `log.filter`, or who changes it.
        origin: &'static str,
        /// The filter.
        filter: String,
        /// Why not.
        cause: String,
    },
    /// It is too long.
    #[error("a log filter has at most {MAX_FILTER} bytes")]
    TooLong,
    /// Logs were set up before.
    #[error("logs are set up already")]
    Twice,
    /// Somebody else set them up, or nobody.
    #[error("the logs of this program were not set up by prb, so their filter cannot be changed here")]
    NotOurs,
}

/// Longest filter that is taken while a program runs, bytes.
const MAX_FILTER: usize = 1024;

/// Whether the filter that would be used is one. `RUST_LOG` wins over the configuration.
pub(crate) fn check(config: &Log) -> Result<(), LogError> {
    filter(config).map(drop)
}

fn filter(config: &Log) -> Result<EnvFilter, LogError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    match environment {
        Some(filter) => parsed("RUST_LOG", &filter),
        None => parsed("log.filter", &config.filter),
    }
}

fn parsed(origin: &'static str, filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|error| {
        let cause = error.to_string();
        LogError::Filter { origin, filter: filter.to_owned(), cause }
    })
}

/// Whether a line may be written if the filter lets it. Below INFO the transport to nodes repeats addresses with the passwords
/// and keys in them. What libp2p informs and warns of are its own workings, like a table of peers that is empty at the start;
/// prb says itself what matters of them.
fn is_wanted(metadata: &Metadata<'_>) -> bool {
    let (level, module) = (*metadata.level(), metadata.module_path().unwrap_or_default());
    if module.starts_with("jsonrpsee_client_transport") {
        return level <= Level::INFO;
    }
    !(module.starts_with("libp2p") && [Level::INFO, Level::WARN].contains(&level))
}

/// Sends logs to standard error. `RUST_LOG` wins over the configuration.
pub fn start(config: &Log) -> Result<(), LogError> {
    let (filter, control) = Control::of(filter(config)?);
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(is_wanted));
    let ansi = std::io::stderr().is_terminal();
    let started = if config.json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(ansi).with_writer(std::io::stderr)).try_init()
    };
    started.map_err(|_| LogError::Twice)?;
    // Whoever was first here was first there.
    let _ = CONTROL.set(control);
    Ok(())
}

/// That of this process.
static CONTROL: OnceLock<Control<Registry>> = OnceLock::new();

/// What is logged.
struct Control<S>(reload::Handle<EnvFilter, S>);

impl<S: Subscriber> Control<S> {
    fn of(filter: EnvFilter) -> (reload::Layer<EnvFilter, S>, Self) {
        let (layer, handle) = reload::Layer::new(filter);
        (layer, Self(handle))
    }

    fn set(&self, filter: EnvFilter) -> Result<(), LogError> {
        self.0.reload(filter).map_err(|_| LogError::NotOurs)
    }

    fn filter(&self) -> Result<String, LogError> {
        self.0.with_current(ToString::to_string).map_err(|_| LogError::NotOurs)
    }
}

/// What is logged: the filter in use.
pub fn current() -> Result<String, LogError> {
    CONTROL.get().ok_or(LogError::NotOurs)?.filter()
}

/// Logs what this filter says from now on, until the program ends or it is [followed](follow) or changed again. One that cannot
/// be understood changes nothing.
pub fn change(filter: &str) -> Result<String, LogError> {
    if filter.len() > MAX_FILTER {
        return Err(LogError::TooLong);
    }
    let control = CONTROL.get().ok_or(LogError::NotOurs)?;
    control.set(parsed("filter", filter)?)?;
    control.filter()
}

/// Logs what the configuration (or `RUST_LOG`) says again.
pub fn follow(config: &Log) -> Result<String, LogError> {
    let control = CONTROL.get().ok_or(LogError::NotOurs)?;
    control.set(filter(config)?)?;
    control.filter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_logged_changes_while_a_program_runs_and_a_wrong_filter_changes_nothing() {
        let written = Written::default();
        let (filter, control) = Control::of(parsed("log.filter", "info").unwrap());
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(fmt::layer().with_ansi(false).with_writer(move || writer.clone()));
        let guard = tracing::subscriber::set_default(subscriber);
        tracing::debug!("first");
        control.set(parsed("filter", "warn,prb_cli=debug").unwrap()).unwrap();
        tracing::debug!("second");
        let said = control.filter().unwrap();
        assert!(said.contains("prb_cli=debug") && said.contains("warn"), "{said}");
        let refused = parsed("filter", "prb_cli=loud").unwrap_err().to_string();
        assert!(refused.contains("prb_cli=loud") && refused.contains("for example"), "{refused}");
        tracing::debug!("third");
        drop(guard);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("first") && text.contains("second") && text.contains("third"), "{text}");
    }
}
