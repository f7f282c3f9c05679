//! `prb pool`.

use super::{CommandError, missing, opened, shown, told};
use crate::{
    args::{PoolCommand, PoolSetArgs},
    config::Config,
    inventory::{Change, Pool, PoolSet},
};
use serde_json::json;
use std::io::Write;

/// Carries out a pool command.
pub fn pool(config: &Config, command: PoolCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    let inventory = opened(config)?;
    let enabled = |pids: Vec<u64>, enabled| -> Vec<Change> {
        let set = |pid| Change::SetPool(pid, PoolSet { enabled: Some(enabled), ..PoolSet::default() });
        pids.into_iter().map(set).collect()
    };
    let (changes, output) = match command {
        PoolCommand::Add { pid, operator, name, sync_only, disabled, output } => {
            let pool = Pool { name, enabled: !disabled, sync_only, ..Pool::new(pid, Some(operator)) };
            (vec![Change::AddPool(pool)], output)
        }
        PoolCommand::Set(PoolSetArgs { pid, operator, no_operator, name, sync_only, output }) => {
            let operator = operator.map(Some).or(no_operator.then_some(None));
            (vec![Change::SetPool(pid, PoolSet { name, operator, enabled: None, sync_only })], output)
        }
        PoolCommand::Enable { pids, output } => (enabled(pids, true), output),
        PoolCommand::Disable { pids, output } => (enabled(pids, false), output),
        PoolCommand::Remove { pid, output } => (vec![Change::RemovePool(pid)], output),
        PoolCommand::List(output) => {
            let pools = inventory.snapshot()?.pools;
            if output.json {
                writeln!(out, "{}", json!(pools))?;
                return Ok(());
            }
            return Ok(pools.iter().try_for_each(|pool| writeln!(out, "{}", line(pool)))?);
        }
        PoolCommand::Show { pid, output } => {
            let snapshot = inventory.snapshot()?;
            let pool = snapshot.pool(pid).ok_or_else(|| missing("pool", &pid.to_string()))?;
            let workers = snapshot.workers.iter().filter(|worker| worker.pool == pid);
            let mut view = json!(pool);
            view["workers"] = workers.map(|worker| worker.name.as_str()).collect();
            return Ok(shown(out, output, &view)?);
        }
    };
    Ok(told(out, output, &inventory.apply(&changes)?)?)
}

/// A pool in a list.
fn line(pool: &Pool) -> String {
    let mut line = match &pool.operator {
        Some(operator) => format!("{}  operator {operator}", pool.pid),
        None => format!("{}  no operator", pool.pid),
    };
    for (applies, word) in [
        (!pool.name.is_empty(), pool.name.as_str()),
        (pool.sync_only, "sync only"),
        (!pool.enabled, "disabled"),
    ] {
        if applies {
            line = format!("{line}  {word}");
        }
    }
    line
}
