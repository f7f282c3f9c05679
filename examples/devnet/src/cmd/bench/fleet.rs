//! `bench fleet`: one bridge, a process of its own, and many light workers.

mod bridge;
mod messages;
mod tip;
mod world;

use self::{bridge::Bridge, world::World};
use super::report::{Goal, Report};
use crate::cmd::{counted, say};
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::time::sleep;

pub(super) use self::bridge::{BridgeArgs, run as bridge};

#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// How many workers.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=5000))]
    workers: u32,
    /// Write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Time between relay blocks while the tip is measured, milliseconds; live chains take 6000.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..=60_000))]
    block_time_ms: Option<u64>,
    /// Small amounts, to see that everything works; the figures mean nothing.
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Workers of the first bridge.
    first: usize,
    /// GRANDPA authorities.
    authorities: u32,
    /// Relay blocks per authority set.
    set_blocks: u32,
    /// Time between relay blocks while the tip is measured.
    pace: Duration,
    /// The same while workers come to work.
    brisk: Duration,
    /// Relay blocks in which the tip is measured.
    tip_blocks: usize,
    /// Messages queued at once.
    messages: usize,
    /// Relay blocks that absent workers miss.
    missed: u32,
    /// Time that a worker works on a block while it catches up.
    work: Duration,
}

const FULL: Scale = Scale {
    first: 100,
    authorities: 300,
    set_blocks: 600,
    pace: Duration::from_secs(6),
    brisk: Duration::from_millis(1000),
    tip_blocks: 12,
    messages: 1000,
    missed: 1000,
    // What a real worker takes.
    work: Duration::from_micros(3400),
};

const QUICK: Scale = Scale {
    first: 2,
    authorities: 4,
    set_blocks: 20,
    pace: Duration::from_millis(300),
    brisk: Duration::from_millis(200),
    tip_blocks: 4,
    messages: 20,
    missed: 30,
    work: Duration::from_millis(5),
};

/// Workers that come only to catch up: one that works on blocks, and one that does not.
const LATE: usize = 2;

/// Time between relay blocks that are made to be missed.
const HURRY: Duration = Duration::from_millis(20);

/// Longest time without progress.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most memory of the bridge, MB.
const MOST_MB: f64 = 512.0;

pub(super) async fn run(args: FleetArgs) -> anyhow::Result<()> {
    crate::cmd::start_logs(std::io::stderr);
    let begun = Instant::now();
    let mut scale = if args.quick { QUICK } else { FULL };
    scale.pace = args.block_time_ms.map_or(scale.pace, Duration::from_millis);
    let workers = args.workers as usize;
    scale.first = scale.first.min(workers);
    enough_files(workers)?;
    let mut report = Report::new();
    if cfg!(debug_assertions) {
        say("built without --release: the figures say nothing");
    }
    report.note("workers", workers as f64);
    report.note("block_time_ms", scale.pace.as_secs_f64() * 1000.0);
    let world = World::start(workers + LATE, &scale).await?;
    world.fleet.leave(workers..workers + LATE);

    // The first bridge knows some of the workers only.
    report.part(&format!("{} at the tip", counted(scale.first as u64, "worker")));
    let bridge = Bridge::start(&world, scale.first).await?;
    at_work(&world, &scale, 0..scale.first, &mut report, "first").await?;
    world.clock.pace(Some(scale.pace));
    tip::steady(&world, &bridge, &scale, 0..scale.first, &mut report, "first").await?;
    bridge.stop().await?;

    // The next one takes over where it was, and brings the others to work.
    report.part(&format!("a bridge that starts again, and {}", counted(workers as u64, "worker")));
    let restarted = Instant::now();
    let bridge = Bridge::start(&world, workers + LATE).await?;
    report.figure("restart_s", "start of the bridge until it runs, s", restarted.elapsed().as_secs_f64());
    at_work(&world, &scale, 0..workers, &mut report, "all").await?;
    report.figure("startup_rss_mb", "most resident memory meanwhile, MB", bridge.peak().resident);

    report.part(&format!("{} at the tip", counted(workers as u64, "worker")));
    world.clock.pace(Some(scale.pace));
    tip::steady(&world, &bridge, &scale, 0..workers, &mut report, "tip").await?;
    messages::drain(&world, &scale, workers, &mut report).await?;
    outage(&world, &bridge, &scale, workers, &mut report).await?;
    catch_up(&world, &scale, workers, &mut report).await?;
    bridge.stop().await?;
    world.stop().await?;
    report.note("seconds", begun.elapsed().as_secs_f64());
    say(&format!("\ndone in {:.0} s", begun.elapsed().as_secs_f64()));
    report.write(args.json.as_deref())
}

/// Waits until workers compute on chain, from wherever they are.
async fn at_work(
    world: &World,
    scale: &Scale,
    workers: Range<usize>,
    report: &mut Report,
    name: &str,
) -> anyhow::Result<()> {
    world.clock.pace(Some(scale.brisk));
    let computing = || workers.clone().filter(|worker| world.fleet.computes(*worker)).count();
    let took = until("workers compute", workers.len(), computing).await?;
    report.figure(&format!("{name}_at_work_s"), "from nothing until all compute, s", took.as_secs_f64());
    Ok(())
}

/// Nearly all workers are gone for a while and come back in one moment.
async fn outage(
    world: &World,
    bridge: &Bridge,
    scale: &Scale,
    workers: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let stay = 0..(workers / 10).max(1);
    let gone = stay.end..workers;
    report.part(&format!(
        "{} return at once, {} relay blocks behind; {} stay",
        counted(gone.len() as u64, "worker"),
        scale.missed,
        stay.len()
    ));
    world.fleet.leave(gone.clone());
    let first = world.network.relay().finalized_number();
    world.clock.pace(Some(HURRY));
    let missed = || (world.network.relay().finalized_number() - first).min(scale.missed) as usize;
    until("relay blocks are missed", scale.missed as usize, missed).await?;
    world.clock.pace(Some(scale.brisk));
    world.at_tip(stay.clone()).await?;
    let before = tip::watch(world, stay.clone(), scale.tip_blocks).await?;
    before.report("outage_before", "those who stay, before the return", report);

    bridge.forget_peak();
    let (bytes, begun) = (world.fleet.bytes_in(), Instant::now());
    world.fleet.come_back(gone.clone());
    let watching = tip::watch(world, stay.clone(), scale.tip_blocks);
    let (during, drained) = tokio::join!(watching, world.at_tip(gone.clone()));
    drained?;
    let seconds = begun.elapsed().as_secs_f64();
    report.figure("outage_drain_s", "from the return until all are at the tip, s", seconds);
    report.figure(
        "outage_mb_per_s",
        "of it, MB/s to all workers",
        (world.fleet.bytes_in() - bytes) as f64 / 1e6 / seconds,
    );
    report.goal(
        "outage_rss_mb",
        "most resident memory of the bridge meanwhile, MB",
        bridge.peak().resident,
        Goal::AtMost(MOST_MB),
    );
    during?.report("outage_during", "those who stayed, meanwhile", report);
    Ok(())
}

/// Two workers come from nothing to the tip of chains that stand still, one after the other.
async fn catch_up(world: &World, scale: &Scale, workers: usize, report: &mut Report) -> anyhow::Result<()> {
    world.clock.pace(None);
    let blocks = world.network.para().finalized_number();
    report.part(&format!("a worker catches up {blocks} blocks"));
    let (working, idle) = (workers, workers + 1);
    world.fleet.set_work(working, scale.work);
    for worker in [working, idle] {
        world.fleet.come_back(worker..worker + 1);
        world.at_tip(worker..worker + 1).await?;
    }
    let feeding = |worker| world.fleet.account(worker).feeding.context("the worker was not fed");
    let (working, idle) = (feeding(working)?, feeding(idle)?);
    let whole = (working.ended - working.began).as_secs_f64();
    report.figure(
        "catchup_work_ms",
        "work of the worker on a block, ms",
        1000.0 * working.worked.as_secs_f64() / f64::from(working.blocks.max(1)),
    );
    report.goal(
        "catchup_overhead",
        "time that the bridge adds, share of the work",
        whole / working.worked.as_secs_f64() - 1.0,
        Goal::AtMost(0.05),
    );
    let seconds = (idle.ended - idle.began).as_secs_f64();
    report.figure(
        "catchup_blocks_per_s",
        "blocks per second to a worker that does nothing",
        f64::from(idle.blocks) / seconds,
    );
    Ok(())
}

/// Polls until `count` is `goal`, and shows how far it is. Returns how long it took.
async fn until(what: &str, goal: usize, count: impl Fn() -> usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut bar = Meter::new(what, goal);
    let mut progress = (0, Instant::now());
    loop {
        let done = count();
        bar.show(done);
        if done >= goal {
            bar.finish();
            return Ok(begun.elapsed());
        }
        if done > progress.0 {
            progress = (done, Instant::now());
        }
        ensure!(progress.1.elapsed() < PATIENCE, "{what}: {done} of {goal}, and no more since {PATIENCE:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Meter {
    what: String,
    goal: usize,
    bar: Option<ProgressBar>,
    told: Instant,
}

/// Time between plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

impl Meter {
    fn new(what: &str, goal: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(goal as u64).with_message(what.to_owned());
            match ProgressStyle::with_template("  [{bar:24}] {pos}/{len} {msg} {elapsed}") {
                Ok(style) => bar.with_style(style.progress_chars("=> ")),
                Err(_) => bar,
            }
        });
        Self { what: what.to_owned(), goal, bar, told: Instant::now() }
    }

    fn show(&mut self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        } else if self.told.elapsed() >= LINE_INTERVAL {
            self.told = Instant::now();
            say(&format!("  {}: {done} of {}", self.what, self.goal));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Each worker is a connection in either process.
fn enough_files(workers: usize) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").context("reading limits, which needs Linux")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most: usize =
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(usize::MAX);
    let needed = workers * 3 / 2 + 200;
    ensure!(
        most >= needed,
        "{most} open files are not enough for {workers} workers; raise it: ulimit -n {needed}"
    );
    Ok(())
}
