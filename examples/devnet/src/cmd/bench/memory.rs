//! Memory of a data provider, a process of its own, while it ingests and serves.

use super::{
    Scale,
    report::{Goal, Report},
    world::{World, content::Dice},
};
use anyhow::Context;
use clap::Args;
use prb_cli::{config::Config, data_provider::DataProvider};
use prb_core::{
    id::Height,
    port::{BlobStore, Stream},
    span::Span,
};
use prb_store::{RemoteOptions, RemoteStore};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::sleep,
};

#[derive(Debug, Args)]
pub(crate) struct ProviderArgs {
    /// WebSocket URL of the relay chain's node.
    #[arg(long)]
    relay: String,
    /// WebSocket URL of the parachain's node.
    #[arg(long)]
    para: String,
    /// Where it keeps its data.
    #[arg(long)]
    data_dir: PathBuf,
}

/// Most memory that a provider may take, MB: its caches, and what answers and appends under way hold.
const MOST_MB: f64 = 512.0;

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Items that a client reads at once, and its pause before the next.
const ITEMS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(200);

/// Longest time without progress.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a data provider until its standard input ends.
pub(super) async fn provider(args: ProviderArgs) -> anyhow::Result<()> {
    crate::cmd::start_logs(std::io::stderr);
    let mut config = Config::for_nodes(args.data_dir, args.relay, args.para);
    config.serve.listen = crate::cmd::local(0);
    // All clients have one address here.
    (config.serve.connections, config.serve.connections_per_peer) = (4096, 4096);
    let provider = DataProvider::start(&config).await?;
    crate::cmd::say(&provider.address().to_string());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let ended = tokio::select! {
        _ = lines.next_line() => Ok(()),
        cause = provider.ended() => Err(cause),
    };
    provider.stop().await;
    Ok(ended?)
}

/// What a process takes, MB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// All of it, pages of mapped files included.
    pub(super) resident: f64,
    /// Of it, what is not a file's.
    pub(super) anonymous: f64,
}

pub(super) async fn run(scale: &Scale, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let shape = scale.memory;
    report.part(&format!(
        "memory of a provider process while it ingests {} relay headers and serves {} clients",
        shape.relay_blocks, scale.clients
    ));
    let world = World::start(shape).await.context("making the chains")?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bench", "provider", "--relay", &world.relay_url(), "--para", &world.para_url(), "--data-dir"])
        .arg(folder.join("provider"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting the provider")?;
    let output = child.stdout.take().context("the provider has no output")?;
    let address = BufReader::new(output).lines().next_line().await?.context("the provider did not start")?;
    let url = format!("http://{address}");
    let mut clients = JoinSet::new();
    for seed in 0..scale.clients {
        let options = RemoteOptions { cache_bytes: 1 << 20, connections: 1, ..RemoteOptions::default() };
        let client = RemoteStore::new(options);
        client.add_provider(&url)?;
        clients.spawn(read_on(client, Dice(seed as u64)));
    }
    let begun = Instant::now();
    let samples = watched(&child, &url, shape.relay_blocks).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut well = 0;
    clients.abort_all();
    while let Some(ended) = clients.join_next().await {
        match ended {
            Ok(failed) => return Err(failed.context("a client failed")),
            Err(_) => well += 1, // aborted
        }
    }
    anyhow::ensure!(well == scale.clients, "a client is gone");
    drop(child.stdin.take());
    let ended = child.wait().await?;
    anyhow::ensure!(ended.success(), "the provider ended with {ended}");
    world.stop().await;

    let peak = |of: fn(&Memory) -> f64, samples: &[Memory]| samples.iter().map(of).fold(0.0, f64::max);
    let (early, late) = samples.split_at(samples.len() / 2);
    let growth = peak(|memory| memory.anonymous, late) - peak(|memory| memory.anonymous, early);
    report.figure("provider_seconds", "seconds", seconds);
    report.goal(
        "provider_rss_mb",
        "most resident memory, MB, pages of the store's file included",
        peak(|memory| memory.resident, &samples),
        Goal::AtMost(MOST_MB),
    );
    report.figure("provider_anonymous_mb", "of it not the file's", peak(|memory| memory.anonymous, &samples));
    report.figure(
        "provider_growth_mb",
        "most in the second half over most in the first, MB, not the file's",
        growth,
    );
    Ok(())
}

/// Memory at even intervals until the provider has all relay headers.
async fn watched(child: &Child, url: &str, relay_blocks: u32) -> anyhow::Result<Vec<Memory>> {
    let process = child.id().context("the provider ended")?;
    let follower = RemoteStore::new(RemoteOptions::default());
    follower.add_provider(url)?;
    let mut samples = Vec::new();
    let mut progress = (0, Instant::now());
    loop {
        let coverage = follower.coverage().await.ok().flatten();
        let stored = coverage.and_then(|coverage| coverage.relay).map_or(0, |span| span.count());
        // What it takes before it has begun says nothing about growth.
        if stored > 0 {
            samples.push(memory(process)?);
        }
        if stored >= u64::from(relay_blocks) {
            return Ok(samples);
        }
        if stored > progress.0 {
            progress = (stored, Instant::now());
        }
        anyhow::ensure!(progress.1.elapsed() < PATIENCE, "the provider stands at {stored} relay headers");
        sleep(INTERVAL).await;
    }
}

/// Reads here and there of what the provider has, until it fails.
async fn read_on(client: RemoteStore, mut dice: Dice) -> anyhow::Error {
    client.ready().await;
    loop {
        match read_once(&client, &mut dice).await {
            Ok(()) => sleep(PAUSE).await,
            Err(error) => return error,
        }
    }
}

async fn read_once(client: &RemoteStore, dice: &mut Dice) -> anyhow::Result<()> {
    let Some(coverage) = client.coverage().await? else { return Ok(()) };
    for (stream, held) in [(Stream::RelayHeaders, coverage.relay), (Stream::Changes, coverage.changes)] {
        let Some(held) = held else { continue };
        let first = held.first().0 + dice.below(held.count() as u32);
        let last = first.saturating_add(ITEMS).min(held.last().0);
        if let Some(span) = Span::new(Height(first), Height(last)) {
            client.read(stream, span, usize::MAX).await?;
        }
    }
    Ok(())
}

/// What a process takes at this moment.
pub(super) fn memory(process: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))
        .context("reading the memory of a process, which needs Linux")?;
    let mb = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024.0 / 1e6)
    };
    let resident = mb("VmRSS").context("no VmRSS in /proc")?;
    Ok(Memory { resident, anonymous: mb("RssAnon").context("no RssAnon in /proc")? })
}
