//! The command line of PRB v3's `prb-config`.

use super::{CheckArgs, OutputArgs};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Which inventory, and what to do with it.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// Folder of everything prb keeps; wins over the configuration, which may then be missing. Without it v3's DB_PATH says it
    /// where nothing else does.
    #[arg(long, short = 'd', visible_alias = "data-dir")]
    pub db_path: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// Commands of `prb-config`, and two about the configuration itself.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check everything that the configuration names, as `prb check` does.
    Check(CheckArgs),
    /// Show every setting that takes effect and where it comes from, as `prb check --show` does.
    Show(OutputArgs),
    /// Add a pool.
    AddPool(PoolArgs),
    /// Change a pool: all values are written.
    UpdatePool(PoolArgs),
    /// Remove a pool that has no workers.
    RemovePool(PidArgs),
    /// Print a pool.
    GetPool(PidArgs),
    /// Print a pool with its workers.
    GetPoolWithWorkers(PidArgs),
    /// Print all pools.
    GetAllPools,
    /// Print all pools with their workers.
    GetAllPoolsWithWorkers,
    /// Add a worker.
    AddWorker(WorkerArgs),
    /// Change a worker: all values are written.
    UpdateWorker {
        /// Another name.
        #[arg(long)]
        new_name: Option<String>,
        /// Its values.
        #[command(flatten)]
        worker: WorkerArgs,
    },
    /// Remove a worker.
    RemoveWorker {
        /// Its name.
        #[arg(long, short)]
        name: String,
    },
    /// Print all pool operators.
    GetAllPoolOperators,
    /// Print a pool's operator.
    GetPoolOperator(PidArgs),
    /// Set a pool's operator.
    SetPoolOperator {
        /// The pool.
        #[arg(long, short)]
        pid: u64,
        /// The secret: mnemonic, seed or derivation URI, or hex of a secret key. Others may see it in the list of processes: `prb
        /// operator add` asks for it.
        #[arg(long, short)]
        account: String,
        /// What the secret is.
        #[arg(long, short = 't', default_value = "seed")]
        account_type: AccountType,
        /// On whose behalf it signs, SS58.
        #[arg(long, short = 'x')]
        proxied_account_id: Option<String>,
    },
}

/// A pool by its pid.
#[derive(Clone, Copy, Debug, Args)]
pub struct PidArgs {
    /// The pool.
    #[arg(long, short)]
    pub pid: u64,
}

/// All values of a pool.
#[derive(Clone, Debug, Args)]
pub struct PoolArgs {
    /// Its name.
    #[arg(long, short)]
    pub name: String,
    /// Its pid on chain.
    #[arg(long, short)]
    pub pid: u64,
    /// Do not take its workers on.
    #[arg(long, short)]
    pub disabled: bool,
    /// Only keep its workers in step with the chain.
    #[arg(long, short)]
    pub sync_only: bool,
}

/// All values of a worker.
#[derive(Clone, Debug, Args)]
pub struct WorkerArgs {
    /// Its name.
    #[arg(long, short)]
    pub name: String,
    /// Base URL of its private port.
    #[arg(long, short)]
    pub endpoint: String,
    /// Stake, planck (10^-12 PHA).
    #[arg(long, short = 't')]
    pub stake: String,
    /// Its pool.
    #[arg(long, short)]
    pub pid: u64,
    /// Do not take it on.
    #[arg(long, short)]
    pub disabled: bool,
    /// Only keep it in step with the chain.
    #[arg(long, short)]
    pub sync_only: bool,
    /// It is a gatekeeper.
    #[arg(long, short)]
    pub gatekeeper: bool,
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccountType {
    /// Mnemonic, seed or derivation URI.
    Seed,
    /// Hex of a secret key of 64 bytes.
    SecretKey,
}
