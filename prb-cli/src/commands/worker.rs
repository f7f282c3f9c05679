//! `prb worker`.

use super::{CommandError, missing, opened, shown, told};
use crate::{
    args::{WorkerCommand, WorkerSetArgs},
    config::Config,
    inventory::{Change, WorkerRecord, WorkerSet},
    roster, units,
};
use serde_json::json;
use std::{collections::BTreeMap, io::Write};

/// Carries out a worker command.
pub fn worker(config: &Config, command: WorkerCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    let inventory = opened(config)?;
    let enabled = |names: Vec<String>, enabled| -> Vec<Change> {
        let set =
            |name| Change::SetWorker(name, WorkerSet { enabled: Some(enabled), ..WorkerSet::default() });
        names.into_iter().map(set).collect()
    };
    let (changes, output) = match command {
        WorkerCommand::Add { name, endpoint, pool, stake, tags, sync_only, gatekeeper, disabled, output } => {
            let record = WorkerRecord::new(name, endpoint, pool, units::stake(&stake)?);
            let record = WorkerRecord { enabled: !disabled, sync_only, gatekeeper, tags, ..record };
            (vec![Change::AddWorker(record)], output)
        }
        WorkerCommand::Set(args) => {
            let WorkerSetArgs { name, new_name, endpoint, pool, stake, .. } = args;
            let WorkerSetArgs { tags, no_tags, sync_only, gatekeeper, output, .. } = args;
            let stake = stake.as_deref().map(units::stake).transpose()?;
            let tags = (no_tags || !tags.is_empty()).then_some(tags);
            let enabled = None;
            let set =
                WorkerSet { name: new_name, endpoint, pool, stake, enabled, sync_only, gatekeeper, tags };
            (vec![Change::SetWorker(name, set)], output)
        }
        WorkerCommand::Enable { names, output } => (enabled(names, true), output),
        WorkerCommand::Disable { names, output } => (enabled(names, false), output),
        WorkerCommand::Handover(args) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(super::handover(config, &inventory, &args, out));
        }
        WorkerCommand::Remove { name, output } => (vec![Change::RemoveWorker(name)], output),
        WorkerCommand::List { tags, output } => {
            let snapshot = inventory.snapshot()?;
            let has_all = |worker: &&WorkerRecord| tags.iter().all(|tag| worker.tags.contains(tag));
            let listed: Vec<&WorkerRecord> = snapshot.workers.iter().filter(has_all).collect();
            if output.json {
                writeln!(out, "{}", json!(listed))?;
                return Ok(());
            }
            let unfit = roster::plan(&snapshot, &BTreeMap::new()).unfit;
            for worker in listed {
                // Being disabled is in the line.
                let why = unfit.get(&worker.name).filter(|_| worker.enabled);
                let why = why.map(|unfit| format!("  ({})", unfit.why)).unwrap_or_default();
                writeln!(out, "{}{why}", line(worker))?;
            }
            return Ok(());
        }
        WorkerCommand::Show { name, output } => {
            let snapshot = inventory.snapshot()?;
            let worker = snapshot.worker(&name).ok_or_else(|| missing("worker", &name))?;
            let unfit = roster::plan(&snapshot, &BTreeMap::new()).unfit;
            let mut view = json!(worker);
            view["unfit"] = json!(unfit.get(&name).map(|unfit| unfit.why.as_str()));
            return Ok(shown(out, output, &view)?);
        }
    };
    Ok(told(out, output, &inventory.apply(&changes)?)?)
}

/// A worker in a list.
fn line(worker: &WorkerRecord) -> String {
    let stake = units::format(worker.stake);
    let mut line = format!("{}  {}  pool {}  {stake}", worker.name, worker.endpoint, worker.pool);
    let flags =
        [(worker.sync_only, "sync only"), (worker.gatekeeper, "gatekeeper"), (!worker.enabled, "disabled")];
    for (applies, word) in flags {
        if applies {
            line = format!("{line}  {word}");
        }
    }
    if !worker.tags.is_empty() {
        line = format!("{line}  [{}]", worker.tags.join(";"));
    }
    line
}
