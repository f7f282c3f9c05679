//! The command line.

mod check;
mod examples;
mod identity;
mod inventory;
mod v3;

pub use check::CheckArgs;
pub use identity::{IdentityCommand, MigrateCommand};
pub use inventory::{
    HandoverArgs, InventoryCommand, OperatorCommand, PoolCommand, PoolSetArgs, WorkerCommand, WorkerSetArgs,
};
pub use v3::{AccountType, ConfigArgs, ConfigCommand, PidArgs, PoolArgs, WorkerArgs};

use clap::{Args, Parser, Subcommand};
use prb_core::{id::JobId, port::Stream};
use std::{net::SocketAddr, path::PathBuf};

/// Bridges a relay chain, a Phala-like parachain and their TEE workers.
///
/// `prb run` follows both chains, verifies and stores their finalized data, brings every worker of the inventory
/// to work and relays their messages as transactions.
#[derive(Debug, Parser)]
#[command(name = "prb", version, propagate_version = true, after_long_help = FIRST_STEPS)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, short, global = true, env = "PRB_CONFIG", default_value = "prb.toml")]
    pub config: PathBuf,
    /// File whose first line is the passphrase of the identity; /dev/fd/3 for a descriptor. Without it, it is asked for on
    /// the terminal where the identity has one. Also PRB_PASSPHRASE_FILE.
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// What to do. Without it the service is run that PHALA_MODULE names.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const FIRST_STEPS: &str = "\
First steps:
  1. Write prb.toml:
       [chain]
       relay = \"ws://10.0.0.2:9945\"   # a relay chain archive node
       para = \"ws://10.0.0.2:9944\"    # a parachain archive node, at best with Phala's RPC extension
  2. prb operator add main
  3. prb pool add 42 --operator main
  4. prb worker add rack1-07 --endpoint http://10.0.0.17:8000 --pool 42 --stake 1500
  5. prb run

chain.relay and chain.para take a list of nodes too, the preferred one first: [\"ws://a:9944\", \"ws://b:9944\"].
RUST_LOG, where it is set, wins over log.filter of the configuration.

Every key of the configuration is an environment variable too: PRB_ and its path, like PRB_CHAIN_RELAY (several with commas
between them) or PRB_FEED_REQUEST_MIB. The variables of PRB v2 and v3 are understood. An option wins over PRB_* and PHALA_*
variables, those over the file, that over other variables of v2 and v3 (DB_PATH, CACHE_SIZE, ...), those over the default;
`prb check --show` prints what takes effect and where it comes from.";

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: ingest, feed, operate, in-process trader.
    ///
    /// Changes to the inventory take effect while it runs. It answers HTTP on 127.0.0.1:3001, or where section `[api]` says: the
    /// management API of PRB v3, prb's own under /v1, a page for browsers under /monitor/, /healthz, /readyz and /metrics. SIGINT or
    /// SIGTERM stops it in order.
    Run(RunArgs),
    /// Keep workers in step and at work with data from providers: nothing is ingested, no chain data is kept here.
    ///
    /// The same as `prb run` with a section `[providers]`. It starts without any provider and waits for one; any of them
    /// may stop and come back. SIGHUP reads the addresses in the configuration again. With a section `[p2p]` it finds providers by
    /// itself, beside those that are named, and peers that may manage pools and workers.
    Lifecycle(LifecycleArgs),
    /// Serve verified data to other machines: ingest and an HTTP server, no workers, no transactions.
    ///
    /// Two nodes are enough, or another data provider to mirror, named here or in the configuration. Besides prb's own routes it answers the read API of
    /// headers-cache. With a section `[p2p]` lifecycle managers find it. SIGINT or SIGTERM stops it in order.
    DataProvider(DataProviderArgs),
    /// Show how far a running `prb data-provider` is: heights, finalized heads, blocks per second, what is left, and how
    /// the nodes stand that it asks.
    ///
    /// `prb run` and `prb lifecycle` are none: their API answers at /v1/workers and /readyz. Without an address the one of `serve.listen` is
    /// asked, as the configuration has it: the file, or variables where there is none; 127.0.0.1:8012 where there is neither.
    Status(StatusArgs),
    /// Make the transactions of a `prb lifecycle` or `prb run` whose configuration has a section `[redis]`.
    ///
    /// Both name the same Redis server and namespace; the operators' secrets are here, in this inventory. A second one
    /// stands by, and takes over when the first one is gone. It answers HTTP on 127.0.0.1:3003, or where `api.trade_listen` says:
    /// /healthz, /readyz, /metrics and /v1/transactions. SIGINT or SIGTERM stops it in order.
    Trade,
    /// The pages of the monitor by themselves: of managers elsewhere, and of peers.
    ///
    /// It listens on 127.0.0.1:3000, needs no configuration and keeps nothing. `[monitor] managers` names managers: `prb run`,
    /// `prb lifecycle`, or those of PRB v3. `prb run` and `prb lifecycle` have the pages too. SIGINT or SIGTERM stops it in order.
    #[command(after_help = examples::MONITOR)]
    Monitor(MonitorArgs),
    /// Transactions: list them, hold them back.
    #[command(subcommand, after_help = examples::TX)]
    Tx(TxCommand),
    /// Check everything that the configuration names, and show what it means: one line each, and a failure if anything is
    /// wrong.
    ///
    /// Nodes, data providers and declared workers are asked what they are and how far they have come, files are read, and
    /// the addresses of sections `[serve]` and `[p2p]` are tried, and boot nodes dialled. Nothing is changed.
    Check(CheckArgs),
    /// Operators: the accounts that sign.
    #[command(subcommand, after_help = examples::OPERATOR)]
    Operator(OperatorCommand),
    /// Stake pools.
    #[command(subcommand, after_help = examples::POOL)]
    Pool(PoolCommand),
    /// Workers.
    #[command(subcommand, after_help = examples::WORKER)]
    Worker(WorkerCommand),
    /// Operators, pools and workers from and to a file.
    #[command(subcommand, after_help = examples::INVENTORY)]
    Inventory(InventoryCommand),
    /// The key that operators' secrets are encrypted with: show, back up, restore, protect or exchange it.
    #[command(subcommand, visible_alias = "key", after_help = examples::IDENTITY)]
    Identity(IdentityCommand),
    /// Take operators, pools and workers over from PRB v2 or v3.
    #[command(subcommand, after_help = examples::MIGRATE)]
    Migrate(MigrateCommand),
    /// The commands of PRB v3's `prb-config`, with the same options and the same JSON; `check` and `show` are `prb check`.
    ///
    /// They work beside a running `prb run`, which takes the changes up. Where a command of v3 fails, {"message": ...} is printed
    /// and the exit code is 1.
    #[command(after_help = examples::CONFIG)]
    Config(ConfigArgs),
    /// The store on disk: look into it, copy it to and from archives, make it smaller.
    ///
    /// stat, verify, inspect and export only read, and work beside a running `prb run` or `prb data-provider`. import and
    /// prune write, and want it stopped.
    Store(StoreArgs),
    /// Print the completions of a shell.
    ///
    /// For example `prb completions bash > /etc/bash_completion.d/prb`.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one for each command.
    ///
    /// For example `prb man /usr/local/share/man/man1`.
    Man {
        /// Folder to write to. It is made where there is none.
        folder: PathBuf,
    },
}

/// Which store, and what to do with it.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// Folder of everything prb keeps; wins over the configuration, which may then be missing.
    #[arg(long, global = true)]
    pub data_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What `prb run` is told on the command line.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct RunArgs {
    /// Encode, sign, estimate and log every transaction, and send none, as `transactions.dry_run` does.
    #[arg(long)]
    pub dry_run: bool,
}

/// What a lifecycle is told on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct LifecycleArgs {
    /// What `prb run` is told.
    #[command(flatten)]
    pub run: RunArgs,
    /// Address of a data provider, besides those in the configuration. May be given several times.
    #[arg(long = "provider", value_name = "URL")]
    pub providers: Vec<String>,
}

/// What a monitor is told on the command line; it wins over the configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct MonitorArgs {
    /// Address to listen on instead of 127.0.0.1:3000, with --queue of 127.0.0.1:4567.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// YAML file that lists managers with `name` and `endpoint`, as the wm.yml of PRB v3's monitor does; besides those that the
    /// configuration names.
    #[arg(long, value_name = "FILE")]
    pub managers: Option<PathBuf>,
    /// Show only the queue of a trader of its own, which the section `[redis]` or PHALA_Q_REDIS_ENDPOINT names: what waits and what
    /// is under way. Nothing is changed there.
    #[arg(long, conflicts_with = "managers")]
    pub queue: bool,
}

/// What a data provider is told on the command line; it wins over the configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct DataProviderArgs {
    /// WebSocket URL of a relay chain archive node. With --para no configuration file is needed. May be given several
    /// times, the preferred node first.
    #[arg(long)]
    pub relay: Vec<String>,
    /// WebSocket URL of a parachain archive node, at best with Phala's RPC extension. May be given several times.
    #[arg(long)]
    pub para: Vec<String>,
    /// Take blocks from another prb data provider (for example http://10.0.0.3:8012; http only), verified like a
    /// node's, and ask no nodes. No configuration file is needed.
    #[arg(long, value_name = "URL", conflicts_with_all = ["relay", "para", "headers_cache"])]
    pub mirror: Option<String>,
    /// Take from a headers-cache server what it has (for example http://10.0.0.4:21111; http only), verified like a
    /// node's, and the rest from the nodes.
    #[arg(long, value_name = "URL")]
    pub headers_cache: Option<String>,
    /// Address to serve on. Typical: 127.0.0.1:8012; 0.0.0.0:8012 lets other machines read.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Folder of everything prb keeps.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// Whom to ask how far it is.
#[derive(Clone, Debug, Default, Args)]
pub struct StatusArgs {
    /// Its address, for example http://10.0.0.3:8012.
    pub url: Option<String>,
    /// File that holds the token it wants.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the certificates that vouch for an https address; the system's are believed without it.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Print JSON for programs.
    #[arg(long)]
    pub json: bool,
}

/// How a command answers.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// Print JSON for programs.
    #[arg(long)]
    pub json: bool,
}

/// Store commands.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreCommand {
    /// Show what the store holds and what takes how much of the disk.
    Stat(OutputArgs),
    /// Read everything and check it: checksums, compression, holes. Names what is damaged, and fails if anything is.
    Verify(OutputArgs),
    /// Show one item.
    Inspect {
        /// Its stream: relay-headers, justifications, para-heads, set-changes, para-headers or changes.
        #[arg(value_parser = crate::store_commands::stream)]
        stream: Stream,
        /// Its block number.
        height: u32,
        /// Print its bytes in hex too.
        #[arg(long)]
        hex: bool,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Write the store into files that any static HTTP server or object store can hold, or add to them.
    ///
    /// Whole authority sets are exported: up to the newest relay block that closes one. Files are never changed once they
    /// have their names, except manifest.json; a later export adds what came since. Interrupted, it goes on where it was.
    Export {
        /// Folder to write to. It is made where there is none.
        folder: PathBuf,
        /// `archive`, or `headers-cache` for the record files of headers-cache (genesis.bin, headers.bin,
        /// parachain-headers.bin, storage-changes.bin).
        #[arg(long, default_value = "archive")]
        format: FilesFormat,
        /// Size of an archive's segments before compression. An archive keeps the size it began with.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
        segment_mib: u8,
        /// Do not read the files that are there: those of the right length are taken for whole. Faster, and what was
        /// damaged on disk stays so.
        #[arg(long)]
        quick: bool,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Fill the store from an archive, or from record files of headers-cache.
    ///
    /// Everything is verified as if a node had answered it: header links, justifications, proofs, and storage changes
    /// against state roots unless chain.verify_state is off. Interrupted, it goes on where it was. What comes after the
    /// archive's end is fetched from nodes by `prb run` or `prb data-provider`. An http or https address leads to an
    /// archive. Record files lack what a store begins with (hash of relay block 0, id and state of the parachain at its
    /// block 0): where the store is empty, that is asked of the configured nodes.
    Import {
        /// Folder, or address of an archive like `https://example.org/khala`.
        from: String,
        /// What it is. Looked up where it is not told.
        #[arg(long)]
        format: Option<FilesFormat>,
        /// PEM file of the certificates that vouch for an https address; the system's are believed without it.
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Drop what no worker needs any more: storage changes and headers before a parachain block.
    ///
    /// Workers that have dispatched all blocks below it can still be fed; others are told that the store begins later, and so
    /// is every worker that starts anew. The genesis and what closes authority sets stay. The workers of the inventory are
    /// asked where they stand first. The space is used again by the store; --compact gives it back to the disk.
    #[command(group = clap::ArgGroup::new("where").required(true).args(["below", "keep"]))]
    Prune {
        /// Drop what comes before this parachain block.
        #[arg(long)]
        below: Option<u32>,
        /// Keep so many of the newest blocks of storage changes.
        #[arg(long)]
        keep: Option<u32>,
        /// Only show what would be dropped.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        /// Do not ask the workers of the inventory where they stand: nobody needs what is dropped. Needed where the
        /// inventory has none, as on a data provider, which does not know who is fed from it.
        #[arg(long)]
        ignore_workers: bool,
        /// Rewrite the file without its free space afterwards. Needs as much free disk space as the store uses then.
        #[arg(long)]
        compact: bool,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
}

/// Files that hold a store's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FilesFormat {
    /// prb's own.
    Archive,
    /// Record files of headers-cache.
    HeadersCache,
}

/// Commands about transactions. They work beside a running `prb run`, `prb lifecycle` or `prb trade`, and without.
#[derive(Clone, Debug, Subcommand)]
pub enum TxCommand {
    /// List transactions: those that ended last, then those that are under way or wait.
    List {
        /// Most that are listed.
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show one of them.
    Show {
        /// Its id, as the list has it.
        #[arg(value_parser = crate::queue::job)]
        job: JobId,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Drop one that still waits: it ends as rejected. What is in an extrinsic is ended by the chain alone.
    Drop {
        /// Its id, as the list has it.
        #[arg(value_parser = crate::queue::job)]
        job: JobId,
    },
    /// Show the fees paid so far, tips included, by account and by pool.
    Fees(OutputArgs),
    /// Send nothing from now on, also after a restart. What is under way is still settled.
    Pause,
    /// Send again.
    Resume,
}
