//! The commands of `prb-devnet`.

mod bench;
mod browser;
mod control;
mod demo;
mod network_args;
mod progress;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use network_args::NetworkArgs;
use prb_devnet::{
    network::{Devnet, Solo},
    pccs::PccsStub,
    worker::{AttestationMode, Fleet, FleetConfig, WorkerConfig, WorkerServer},
};
use std::{
    io::{IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;

/// A development network for prb: a relay chain, a parachain and TEE workers that validate everything they are fed.
#[derive(Debug, Parser)]
#[command(name = "prb-devnet", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  prb-devnet demo --workers 20 --json demo.json
  prb-devnet demo --dcap
  prb-devnet up                                    # then open http://127.0.0.1:3000/
  prb-devnet up --block-time-ms 1000 --monitor-port 0 --api-port 0
  prb-devnet chain --challenge-deadline 10 --cool-down 300 --upgrade-at 200
  prb-devnet bench data --json bench.json

Exit code: 0 when done, or when stopped after everything worked; 1 with the reason on standard error; 2 for
arguments that make no sense. RUST_LOG=prb_core=debug and the like show more.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start both chains, workers and the bridge; exit 0 when every worker works.
    Demo(demo::DemoArgs),
    /// The same as demo, with the monitor in a browser, until interrupted.
    Up {
        #[command(flatten)]
        demo: demo::DemoArgs,
        #[command(flatten)]
        browser: browser::BrowserArgs,
    },
    /// Run only the two chains, each with JSON-RPC on a websocket port.
    Chain(ChainArgs),
    /// Run one dev worker.
    Worker(WorkerArgs),
    /// Measure, each figure beside a baseline measured in the same run. Build with --release.
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[derive(Debug, Args)]
struct ChainArgs {
    /// Port of the relay chain's JSON-RPC; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9945)]
    relay_port: u16,
    /// Port of the parachain's JSON-RPC; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9944)]
    para_port: u16,
    /// One chain that finalizes itself, with no relay chain (`parachain = false` in prb.toml), on --para-port.
    #[arg(long, conflicts_with_all = ["relay_port", "crowd", "upgrade_at"])]
    solo: bool,
    /// Address of a port that takes orders for the chains; a GET lists them. For development only.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "solo")]
    control: Option<SocketAddr>,
    /// Address of a PCCS that vouches for every worker that attests with DCAP (`prb-devnet worker --dcap`).
    #[arg(long, value_name = "ADDRESS")]
    pccs: Option<SocketAddr>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Time between a worker's checkpoints (pRuntime's default).
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, Args)]
struct WorkerArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Folder of its sealed key and of checkpoints, taken every half hour; without it both are lost at exit.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Its benchmark score; the chain lets no worker compute below 50.
    #[arg(long, value_name = "SCORE", default_value_t = 800)]
    score: u32,
    /// It attests with DCAP: prb.toml must name a PCCS in `attestation.pccs_url` (`prb-devnet chain --pccs`).
    #[arg(long, conflicts_with = "light")]
    dcap: bool,
    /// Run so many light workers instead, at the paths /0, /1, ...: they believe what they are fed, keep nothing at exit,
    /// and have the same keys every time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000), conflicts_with = "data_dir")]
    light: Option<u32>,
    /// Address of a port that takes orders for the worker; a GET lists them. For development only.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "light")]
    control: Option<SocketAddr>,
}

pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Demo(args) => demo::run(args, demo::Afterwards::Exit).await,
        Command::Up { demo, browser } => demo::run(demo, demo::Afterwards::Stay(browser)).await,
        Command::Chain(args) => chain(args).await,
        Command::Worker(args) => worker(args).await,
        Command::Bench(what) => bench::run(what).await,
    }
}

async fn chain(args: ChainArgs) -> anyhow::Result<()> {
    start_logs(std::io::stderr);
    if let Some(address) = args.pccs {
        say(&format!("PCCS        {}", start_pccs(address).await?));
    }
    if args.solo {
        let chain = Arc::new(Solo::new(args.network.config()).context("starting the chain")?);
        let node = chain.serve(local(args.para_port)).await.context(in_use("para", args.para_port))?;
        say(&format!("solo chain  {}\nstop with Ctrl-C", node.url()));
        chain.run(args.network.block_time(), interrupted()).await.context("making blocks")?;
        node.stop().await;
        return Ok(());
    }
    let network = Arc::new(Devnet::new(args.network.config()).context("starting the chains")?);
    let relay =
        network.serve_relay(local(args.relay_port)).await.context(in_use("relay", args.relay_port))?;
    let para = network.serve_para(local(args.para_port)).await.context(in_use("para", args.para_port))?;
    let seed = args.network.seed();
    say(&format!("relay chain {}\nparachain   {}", relay.url(), para.url()));
    say(&format!(
        "their blocks 0 are of seed {seed}: begin with the same ones again by --seed {seed}\nstop with Ctrl-C"
    ));
    let orders = control::chain(network.clone());
    let run = network.run(args.network.block_time(), interrupted());
    control::beside(args.control, orders, control::CHAIN_HELP, run).await?.context("making blocks")?;
    relay.stop().await;
    para.stop().await;
    Ok(())
}

async fn worker(args: WorkerArgs) -> anyhow::Result<()> {
    start_logs(std::io::stderr);
    let listening = || format!("listening on {}; is another program there?", args.listen);
    if let Some(count) = args.light {
        let config = FleetConfig { workers: count as usize, score: args.score, ..FleetConfig::default() };
        let fleet = Fleet::start(config, args.listen).await.with_context(listening)?;
        say(&format!("{} from {}", counted(count.into(), "light worker"), fleet.url(0)));
        say("stop with Ctrl-C");
        interrupted().await;
        fleet.stop().await;
        return Ok(());
    }
    let config = WorkerConfig {
        score: args.score,
        attestation: if args.dcap { AttestationMode::Dcap } else { AttestationMode::None },
        data_dir: args.data_dir.clone(),
        checkpoint_interval: Some(CHECKPOINT_INTERVAL),
        ..WorkerConfig::default()
    };
    let worker = WorkerServer::start(config, args.listen).await.with_context(listening)?;
    say(&format!("dev worker {}\nstop with Ctrl-C", worker.url()));
    let worker = Arc::new(worker);
    control::beside(args.control, control::worker(worker.clone()), control::WORKER_HELP, interrupted())
        .await?;
    // Nobody else has it once the control port is closed; if not, it stops with the process.
    if let Ok(worker) = Arc::try_unwrap(worker) {
        worker.stop().await;
    }
    Ok(())
}

/// Starts a PCCS that serves as long as the program runs; where its addresses begin.
async fn start_pccs(address: SocketAddr) -> anyhow::Result<String> {
    let listening = || format!("opening {address} for the PCCS; is another program there?");
    let listener = TcpListener::bind(address).await.with_context(listening)?;
    let url = format!("http://{}/sgx/certification/v4", listener.local_addr()?);
    tokio::spawn(async move {
        if let Err(error) = PccsStub::default().serve(listener).await {
            tracing::error!(%error, "the PCCS ended");
        }
    });
    Ok(url)
}

fn in_use(which: &str, port: u16) -> String {
    format!("opening the {which} port {port}; choose another with --{which}-port")
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Done when the user (SIGINT) or the system (SIGTERM) wants the program to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

fn start_logs(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let ansi = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(writer);
    // Somebody who embeds the commands may have set logs up before.
    let _ = logs.try_init();
}

/// `count` and what is counted.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A line for people.
fn say(text: &str) {
    // A closed standard output must not stop a network that others use.
    let _ = writeln!(std::io::stdout(), "{text}");
}
