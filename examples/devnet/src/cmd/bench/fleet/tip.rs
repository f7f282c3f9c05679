//! Delays at the tip: from the moment a relay head is final until a worker has the first bytes of the request with it.

use super::{MOST_MB, PATIENCE, Scale, bridge::Bridge, until, world::World};
use crate::cmd::bench::report::{Goal, Report};
use anyhow::ensure;
use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// Delays of every head at every worker, sorted.
pub(super) struct Delays(Vec<Duration>);

impl Delays {
    /// The delay that `part` of them do not exceed, ms.
    fn at(&self, part: f64) -> f64 {
        1000.0 * self.0[((self.0.len() - 1) as f64 * part).round() as usize].as_secs_f64()
    }

    pub(super) fn report(&self, name: &str, whose: &str, report: &mut Report) {
        report.figure(
            &format!("{name}_p50_ms"),
            &format!("{whose}: head final until first bytes, median ms"),
            self.at(0.5),
        );
        report.figure(&format!("{name}_p99_ms"), "99th of a hundred, ms", self.at(0.99));
        report.figure(&format!("{name}_most_ms"), "the last, ms", self.at(1.0));
    }
}

/// Watches the next `heads` relay heads on their way to workers that are at the tip.
pub(super) async fn watch(world: &World, workers: Range<usize>, heads: usize) -> anyhow::Result<Delays> {
    let since = Instant::now();
    until("heads become final", heads, || world.clock.finals(since).len()).await?;
    let mut finals = world.clock.finals(since);
    finals.truncate(heads);
    let arrived = |(number, _): &(u32, Instant)| {
        workers.clone().filter(|worker| world.fleet.account(*worker).arrived(*number).is_some()).count()
    };
    if let Some(last) = finals.last() {
        until("workers have the last head", workers.len(), || arrived(last)).await?;
    }
    let mut delays = Vec::new();
    for worker in workers {
        let account = world.fleet.account(worker);
        for (number, at) in &finals {
            let arrived = account.arrived(*number);
            delays.extend(arrived.map(|arrived| arrived.saturating_duration_since(*at)));
        }
    }
    ensure!(!delays.is_empty(), "no head in {PATIENCE:?}");
    delays.sort_unstable();
    Ok(Delays(delays))
}

/// The steady state: delays, memory, processor time.
pub(super) async fn steady(
    world: &World,
    bridge: &Bridge,
    scale: &Scale,
    workers: Range<usize>,
    report: &mut Report,
    name: &str,
) -> anyhow::Result<()> {
    world.at_tip(workers.clone()).await?;
    bridge.forget_peak();
    let (cpu, begun) = (bridge.cpu()?, Instant::now());
    let delays = watch(world, workers, scale.tip_blocks).await?;
    let cpu = (bridge.cpu()? - cpu) / begun.elapsed().as_secs_f64();
    let bounds = [("p50_ms", 0.5, 60.0), ("p99_ms", 0.99, 250.0)];
    for (figure, part, bound) in bounds {
        let text = format!("head final until first bytes at a worker, {figure}");
        report.goal(&format!("{name}_{figure}"), &text, delays.at(part), Goal::AtMost(bound));
    }
    report.figure(&format!("{name}_most_ms"), "the last, ms", delays.at(1.0));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let (memory, cpu) = (bridge.peak(), cpu / cores);
    // The figures of all workers are those that everybody looks for.
    let prefix = if name == "tip" { String::new() } else { format!("{name}_") };
    let text = "most resident memory of the bridge, MB, pages of the store's file included";
    report.goal(&format!("{prefix}rss_mb"), text, memory.resident, Goal::AtMost(MOST_MB));
    report.figure(&format!("{prefix}anonymous_mb"), "of it not the file's", memory.anonymous);
    report.figure(&format!("{prefix}cpu_share"), "share of all processor time that it takes", cpu);
    Ok(())
}
