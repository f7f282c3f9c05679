//! Operators, pools and workers.

use super::OutputArgs;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;

/// Operator commands.
#[derive(Clone, Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add an operator. The secret is asked for on the terminal, or read from standard input when that is no
    /// terminal: a mnemonic, a 0x seed, a derivation URI like //Alice, or a secret key of 64 bytes as 128 hex digits. It is
    /// kept encrypted.
    Add {
        /// A name of your choice.
        name: String,
        /// The pool owner's account (hex, or SS58 of any prefix) if the operator is its proxy.
        #[arg(long)]
        proxied: Option<String>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Change an operator: its secret, or on whose behalf it signs. Its pools use what is new at once.
    #[command(group = ArgGroup::new("what").required(true).multiple(true).args(["secret", "proxied", "not_proxied"]))]
    Set {
        /// Its name.
        name: String,
        /// Read another secret, as `prb operator add` does.
        #[arg(long)]
        secret: bool,
        /// The pool owner's account that it is a proxy of.
        #[arg(long)]
        proxied: Option<String>,
        /// It signs for itself.
        #[arg(long, conflicts_with = "proxied")]
        not_proxied: bool,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List operators; secrets are never shown.
    List(OutputArgs),
    /// Show an operator.
    Show {
        /// Its name.
        name: String,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Remove an operator that no pool uses.
    Remove {
        /// Its name.
        name: String,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Pool commands.
#[derive(Clone, Debug, Subcommand)]
pub enum PoolCommand {
    /// Add a stake pool.
    Add {
        /// Its pid on chain.
        pid: u64,
        /// Name of its operator.
        #[arg(long)]
        operator: String,
        /// What you call it.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Only keep its workers in step with the chain, and carry the messages of those that are registered.
        #[arg(long)]
        sync_only: bool,
        /// Send nothing to its workers yet.
        #[arg(long)]
        disabled: bool,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Change a pool. Its workers follow at once.
    Set(PoolSetArgs),
    /// Put the workers of pools to work.
    Enable {
        /// Their pids.
        #[arg(required = true)]
        pids: Vec<u64>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Send nothing to the workers of pools; they stay listed. What they do on chain is not touched.
    Disable {
        /// Their pids.
        #[arg(required = true)]
        pids: Vec<u64>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List pools.
    List(OutputArgs),
    /// Show a pool and its workers.
    Show {
        /// Its pid.
        pid: u64,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Remove a pool that no worker uses.
    Remove {
        /// Its pid.
        pid: u64,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// What is changed of a pool.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["operator", "no_operator", "name", "sync_only"]))]
pub struct PoolSetArgs {
    /// Its pid.
    pub pid: u64,
    /// Name of its operator.
    #[arg(long)]
    pub operator: Option<String>,
    /// It has no operator; its workers are only kept in step then.
    #[arg(long, conflicts_with = "operator")]
    pub no_operator: bool,
    /// What you call it.
    #[arg(long)]
    pub name: Option<String>,
    /// Only keep its workers in step with the chain, and carry the messages of those that are registered.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub sync_only: Option<bool>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Worker commands.
#[derive(Clone, Debug, Subcommand)]
pub enum WorkerCommand {
    /// Add a worker.
    Add {
        /// A name of your choice.
        name: String,
        /// Base URL of its private port, for example http://10.0.0.17:8000. No two workers have the same.
        #[arg(long)]
        endpoint: String,
        /// pid of its pool.
        #[arg(long)]
        pool: u64,
        /// Stake to start computing with, in PHA (`1500`, `1500.25`) or planck (`1500000000000000planck`). Not needed
        /// with --sync-only or --gatekeeper, nor in a pool that was added with --sync-only.
        #[arg(long, default_value = "0", hide_default_value = true)]
        stake: String,
        /// A word of your choice to find it by; may be repeated.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Only keep it in step with the chain, and carry its messages if it is registered.
        #[arg(long)]
        sync_only: bool,
        /// It is a gatekeeper: register it, and never add it to the pool.
        #[arg(long)]
        gatekeeper: bool,
        /// Send nothing to it yet.
        #[arg(long)]
        disabled: bool,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Change a worker. It follows at once.
    Set(WorkerSetArgs),
    /// Put workers to work.
    Enable {
        /// Their names.
        #[arg(required = true)]
        names: Vec<String>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Send nothing to workers; they stay listed. What they do on chain is not touched.
    Disable {
        /// Their names.
        #[arg(required = true)]
        names: Vec<String>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List workers.
    List {
        /// Only those with this tag; with each of them if it is repeated.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show a worker.
    Show {
        /// Its name.
        name: String,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Give a worker's key to another worker program on the same machine, which takes its place on chain.
    ///
    /// The new one has the old one's registration, score, pool, session, stake and messages then: nothing is registered
    /// again, and nothing is stopped on chain. So a new version of pRuntime takes over from the one before it.
    #[command(after_long_help = HANDOVER_STEPS)]
    Handover(HandoverArgs),
    /// Remove a worker. What it does on chain is not touched.
    Remove {
        /// Its name.
        name: String,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}

const HANDOVER_STEPS: &str = "\
Steps:
  1. Let OLD be at work and at the tip, and start the new program beside it, at another port of the same machine.
  2. prb worker disable rack1-07
  3. prb worker handover rack1-07 http://10.0.0.17:8001
     The entry rack1-07 is at the new address from then on; the old program is stopped.
  4. prb worker enable rack1-07
     The bridge initialises the new program and feeds it from the block that registered the key.

Where NEW is in the inventory too, disable it as well: both entries stay as they are, enable NEW and remove OLD.

What is refused, before anything is asked of either: a worker that is enabled here or that somebody feeds (each worker
takes one call at a time, from one program); an OLD without a key or far behind the chain; a NEW of another network, or one
that is registered itself, for it loses its own key. A program that was not initialised yet does not say what key it has:
take one that never was at work. The workers have conditions of their own: the same machine, and a NEW that the chain
allowed later than OLD.

The key is encrypted by the one enclave for the other. Until NEW has it nothing has changed, and the command may be
repeated. Afterwards never feed OLD again: two workers with one key harm each other.";

/// Which workers, and how.
#[derive(Clone, Debug, Args)]
pub struct HandoverArgs {
    /// The worker that has the key: a name of the inventory, or the base URL of its private port.
    pub old: String,
    /// The worker that gets it: likewise.
    pub new: String,
    /// Only check whether it can be done.
    #[arg(long)]
    pub dry_run: bool,
    /// How long to watch first that nobody feeds either of them. A chain at work moves a worker within 12 s.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(..=600))]
    pub watch: u64,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is changed of a worker.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["new_name", "endpoint", "pool", "stake", "tags", "no_tags", "sync_only", "gatekeeper"]))]
pub struct WorkerSetArgs {
    /// Its name.
    pub name: String,
    /// Another name.
    #[arg(long)]
    pub new_name: Option<String>,
    /// Base URL of its private port.
    #[arg(long)]
    pub endpoint: Option<String>,
    /// pid of its pool.
    #[arg(long)]
    pub pool: Option<u64>,
    /// Stake, in PHA (`1500`) or planck (`1500000000000000planck`). The chain takes a higher one for a worker that computes,
    /// and never a lower one.
    #[arg(long)]
    pub stake: Option<String>,
    /// Its tags, which replace those it has; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// It has no tags.
    #[arg(long, conflicts_with = "tags")]
    pub no_tags: bool,
    /// Only keep it in step with the chain, and carry its messages if it is registered.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub sync_only: Option<bool>,
    /// It is a gatekeeper: register it, and never add it to the pool.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub gatekeeper: Option<bool>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Many at once.
#[derive(Clone, Debug, Subcommand)]
pub enum InventoryCommand {
    /// Add and change pools and workers as a file says: all of them or none.
    ///
    /// What is not there is added, what is there is changed where the file says something else, and nothing is removed.
    /// CSV has one worker per line, with the columns name, endpoint, pool, stake, and if you like enabled, sync_only,
    /// gatekeeper, tags (separated by semicolons). YAML and JSON have lists `pools` (pid, operator, name, enabled, sync_only) and `workers`. A stake is in PHA
    /// (`1500`) or planck (`1500000000000000planck`). Operators are named, not imported: secrets do not belong in such files.
    Import {
        /// The file; its name ends in .csv, .yaml, .yml or .json.
        file: PathBuf,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Write pools and workers (CSV: workers) into a file that can be imported, or to standard output. No secrets.
    Export {
        /// The file; its name ends in .csv, .yaml, .yml or .json. Without one, YAML goes to standard output.
        file: Option<PathBuf>,
    },
}
