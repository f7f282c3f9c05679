//! The reference deployment of prb: configuration, inventory and services around the libraries.
//!
//! Thin on purpose: the work is in `prb-core` and its adapters; here they are joined.
//!
//! A configuration comes from a file and the environment, and starts a [`Deployment`](deployment::Deployment):
//!
//! ```
//! use prb_cli::config::{Config, Environment, Purpose, Sources};
//!
//! let environment = Environment::of([
//!     ("PRB_CHAIN_RELAY", "ws://10.0.0.2:9945"),
//!     ("PRB_CHAIN_PARA", "ws://10.0.0.2:9944,ws://10.0.0.3:9944"),
//! ]);
//! let config = Config::load_for(&Sources { file: "prb.toml".into(), environment }, Purpose::Run)?;
//! assert_eq!(config.chain.para.all().len(), 2);
//! // Within a tokio runtime: `Deployment::start(&config).await?`.
//! # Ok::<(), prb_cli::config::ConfigError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod api;
pub mod archive_source;
pub mod args;
pub mod bulk;
pub mod check;
pub mod commands;
pub mod config;
pub mod data_provider;
pub mod deployment;
pub mod identity;
pub mod inventory;
mod lasting;
pub mod logs;
pub mod manual;
pub mod migrate;
pub mod monitor;
pub mod ptp;
pub mod queue;
pub mod roster;
pub mod secret;
mod source;
pub mod status;
pub mod store_commands;
mod supervise;
pub mod telemetry;
pub mod token;
pub mod trade;
pub mod units;
pub mod v3;
pub mod webhook;

/// Sees to it that the allocator of this process makes no use of huge pages, on Linux. Programs call it first.
///
/// An allocator with threads touches a little of many pages: as huge ones they made a bridge of 1,000 workers take more than
/// twice the memory at the tip, and nothing measurably faster. mimalloc decides before `main`, from a variable of the
/// environment, so where nobody has set that this replaces the process by the same program with it: same process id,
/// arguments and open files. Where that is not possible only the memory is lost.
pub fn prefer_small_pages() {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        const VARIABLE: &str = "MIMALLOC_ALLOW_THP";
        let Ok(program) = std::env::current_exe() else { return };
        if std::env::var_os(VARIABLE).is_some() {
            return;
        }
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let _ = command.args(arguments).env(VARIABLE, "0").exec();
    }
}
