//! `prb check`, which is `prb config check` and `prb config show` too.

use super::{Command, ConfigArgs, ConfigCommand, OutputArgs};
use clap::Args;
use std::path::PathBuf;

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Ask nobody over the network.
    #[arg(long)]
    pub offline: bool,
    /// Address of a data provider, besides those in the configuration, as `prb lifecycle --provider` has it: checks what
    /// that needs. May be given several times.
    #[arg(long = "provider", value_name = "URL")]
    pub providers: Vec<String>,
    /// Only show every setting that takes effect and where it comes from: flag, environment, file or default. Secrets are
    /// left out.
    #[arg(long, conflicts_with = "offline")]
    pub show: bool,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// The data directory that `prb config` was told.
    #[arg(skip)]
    pub data_dir: Option<PathBuf>,
}

impl CheckArgs {
    const fn of(output: OutputArgs) -> Self {
        Self { offline: false, providers: Vec::new(), show: false, output, data_dir: None }
    }
}

impl Command {
    /// What is meant: `prb config check` and `prb config show` are `prb check` and `prb check --show`.
    pub fn meant(self) -> Self {
        let Self::Config(ConfigArgs { db_path, command }) = self else { return self };
        match command {
            ConfigCommand::Check(args) => Self::Check(CheckArgs { data_dir: db_path, ..args }),
            ConfigCommand::Show(output) => {
                Self::Check(CheckArgs { data_dir: db_path, show: true, ..CheckArgs::of(output) })
            }
            command => Self::Config(ConfigArgs { db_path, command }),
        }
    }
}
