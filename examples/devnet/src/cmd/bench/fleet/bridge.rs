//! The bridge that is measured: a process of its own.

use super::{
    PATIENCE,
    world::{World, pool_of, pools},
};
use crate::cmd::bench::memory::{Memory, memory};
use anyhow::{Context, ensure};
use clap::Args;
use prb_cli::{
    config::{Config, Declared, DeclaredOperator, DeclaredPool, DeclaredWorker},
    deployment::Deployment,
};
use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

#[derive(Debug, Args)]
pub(crate) struct BridgeArgs {
    /// WebSocket URL of the relay chain's node.
    #[arg(long)]
    relay: String,
    /// WebSocket URL of the parachain's node.
    #[arg(long)]
    para: String,
    /// Where it keeps its data.
    #[arg(long)]
    data_dir: PathBuf,
    /// URL of the fleet; worker `n` is below it at `/n`.
    #[arg(long)]
    fleet: String,
    /// How many of its workers.
    #[arg(long)]
    workers: usize,
}

const STAKE: &str = "5000";

/// Runs a bridge until its standard input ends. All settings but those of the network are the defaults.
pub(crate) async fn run(args: BridgeArgs) -> anyhow::Result<()> {
    crate::cmd::start_logs(std::io::stderr);
    let mut config = Config::for_nodes(args.data_dir, args.relay, args.para);
    let worker = |index| DeclaredWorker {
        name: format!("light-{index:04}"),
        endpoint: format!("{}/{index}", args.fleet),
        pool: pool_of(index),
        stake: STAKE.into(),
    };
    let pool = |pid| DeclaredPool { pid, operator: "alice".into(), sync_only: false };
    config.inventory = Declared {
        operators: vec![DeclaredOperator { name: "alice".into(), development_uri: "//Alice".into() }],
        pools: (1..=pools(args.workers) as u64).map(pool).collect(),
        workers: (0..args.workers).map(worker).collect(),
    };
    let deployment = Deployment::start(&config).await?;
    crate::cmd::say("running");
    // The end of the input means that nobody needs this process any more, however that came about.
    BufReader::new(tokio::io::stdin()).lines().next_line().await?;
    deployment.stop().await;
    Ok(())
}

/// The process, watched.
pub(super) struct Bridge {
    child: Child,
    peak: Arc<Mutex<Memory>>,
    watcher: JoinHandle<()>,
}

/// How often its memory is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Clock ticks per second in `/proc` (`USER_HZ`, the same on all common platforms).
const TICKS: f64 = 100.0;

impl Bridge {
    /// Starts a bridge for the first `workers` of a world. It finds what an earlier one left.
    pub(super) async fn start(world: &World, workers: usize) -> anyhow::Result<Self> {
        let fleet = world.fleet.url(0);
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["bench", "bridge", "--relay", &world.relay.url(), "--para", &world.para.url()])
            .args(["--fleet", fleet.trim_end_matches("/0"), "--workers", &workers.to_string(), "--data-dir"])
            .arg(world.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // A thousand workers that leave are a thousand warnings.
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error");
        }
        let mut child = command.spawn().context("starting the bridge")?;
        let output = child.stdout.take().context("the bridge has no output")?;
        let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await;
        line.context("the bridge does not start")??.context("the bridge did not start")?;
        let process = child.id().context("the bridge ended")?;
        let peak = Arc::<Mutex<Memory>>::default();
        let watcher = tokio::spawn(watch(process, peak.clone()));
        Ok(Self { child, peak, watcher })
    }

    /// The most memory since the start, or since [`Self::forget_peak`].
    pub(super) fn peak(&self) -> Memory {
        *self.peak.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget_peak(&self) {
        *self.peak.lock().unwrap_or_else(PoisonError::into_inner) = Memory::default();
    }

    /// Processor time so far, seconds.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        let process = self.child.id().context("the bridge ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))
            .context("reading the bridge's processor time, which needs Linux")?;
        // After the name, which may contain anything, come state and ten more fields, then user and system time.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().skip(11);
        let ticks: Vec<f64> = fields.take(2).filter_map(|field| field.parse().ok()).collect();
        ensure!(ticks.len() == 2, "/proc/{process}/stat has another form");
        Ok(ticks.iter().sum::<f64>() / TICKS)
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let ended = timeout(PATIENCE, self.child.wait()).await.context("the bridge does not end")??;
        self.watcher.abort();
        ensure!(ended.success(), "the bridge ended with {ended}");
        Ok(())
    }
}

async fn watch(process: u32, peak: Arc<Mutex<Memory>>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let Ok(seen) = memory(process) else { return };
        let mut peak = peak.lock().unwrap_or_else(PoisonError::into_inner);
        peak.resident = peak.resident.max(seen.resident);
        peak.anonymous = peak.anonymous.max(seen.anonymous);
    }
}
