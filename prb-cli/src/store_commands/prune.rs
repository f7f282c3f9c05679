//! `prb store prune`.

use super::{
    StoreCommandError,
    progress::{Meter, Step},
    show::size,
};
use crate::{config::Config, inventory::Inventory};
use prb_core::{id::Height, port::WorkerDriver};
use prb_store::{LmdbOptions, LmdbStore, PruneError, PrunePlan};
use prb_worker::PrpcDriver;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Write};

#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) below: Option<Height>,
    pub(super) keep: Option<u32>,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) ignore_workers: bool,
    pub(super) compact: bool,
    pub(super) json: bool,
}

pub(super) async fn prune(
    config: &Config,
    options: Options,
    out: &mut dyn Write,
) -> Result<(), StoreCommandError> {
    let folder = config.blobs_dir();
    let store = if options.dry_run {
        LmdbStore::open_read_only(folder, LmdbOptions::default())?
    } else {
        LmdbStore::must_be_in(&folder)?;
        LmdbStore::open(folder, LmdbOptions::default())?
    };
    let before = store.stat()?;
    let below = match (options.below, options.keep) {
        (Some(below), _) => below,
        (None, keep) => {
            let last =
                before.coverage.and_then(|coverage| coverage.changes).ok_or(PruneError::Nothing)?.last();
            Height((last.0 + 1).saturating_sub(keep.unwrap_or(u32::MAX).max(1)))
        }
    };
    let plan = store.plan_prune(below)?;
    if !options.ignore_workers && !plan.is_empty() {
        all_have_passed(config, below, options.dry_run).await?;
    }
    if !options.json {
        show(&plan, out)?;
    }
    if !options.dry_run && !plan.is_empty() {
        if !options.yes && !agreed(out)? {
            return Err(StoreCommandError::NotAgreed);
        }
        let mut meter = Meter::on_standard_error();
        let pruned = store.prune(&plan, &mut |at| {
            let (what, did) = (at.stream.to_string(), "items dropped");
            meter.show(&Step { what, did, done: at.done, of: at.of, bytes: 0 });
        });
        meter.end();
        pruned?;
    }
    if !options.dry_run && options.compact {
        store.compact().await?;
    }
    let after = store.stat()?;
    store.close().await?;
    if options.json {
        let dropped: serde_json::Map<_, _> = plan
            .parts()
            .into_iter()
            .map(|(stream, span)| {
                let span = span.map(|span| json!({"first": span.first().0, "last": span.last().0}));
                (stream.name().to_owned(), json!(span))
            })
            .collect();
        let answer = json!({
            "dry_run": options.dry_run,
            "below": below.0,
            "dropped": dropped,
            "file_bytes_before": before.file_bytes,
            "file_bytes": after.file_bytes,
            "free_bytes": after.free_bytes,
        });
        writeln!(out, "{answer}")?;
    } else if options.dry_run {
        writeln!(out, "nothing is dropped: this was a dry run")?;
    } else {
        writeln!(
            out,
            "the file has {}, of it {} free: the store uses them again{}",
            size(after.file_bytes),
            size(after.free_bytes),
            if options.compact { "" } else { ", --compact gives them back to the disk" }
        )?;
    }
    Ok(())
}

fn show(plan: &PrunePlan, out: &mut dyn Write) -> io::Result<()> {
    if plan.is_empty() {
        writeln!(out, "there is nothing before block {}", plan.below)?;
    }
    for (stream, span) in plan.parts() {
        if let Some(span) = span {
            writeln!(out, "{:<15} {span} ({} items)", stream.name(), span.count())?;
        }
    }
    Ok(())
}

fn agreed(out: &mut dyn Write) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    write!(out, "drop all of that? Only nodes and archives have it then [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Refuses where a worker of the inventory may still need what comes before `below`, and where none can be asked: a data
/// provider does not know who is fed from it. A dry run needs nobody's word for that.
async fn all_have_passed(config: &Config, below: Height, dry_run: bool) -> Result<(), StoreCommandError> {
    let folder = config.inventory_dir();
    // A data provider has none, and none is made for it.
    let mut workers: Vec<(String, String)> = config
        .inventory
        .workers
        .iter()
        .map(|worker| (worker.name.clone(), worker.endpoint.clone()))
        .collect();
    if folder.exists() {
        let known = Inventory::open(&folder)?.snapshot()?.workers;
        workers.extend(known.into_iter().map(|worker| (worker.name, worker.endpoint)));
    }
    if workers.is_empty() && !dry_run {
        return Err(StoreCommandError::NoWorkers);
    }
    for (worker, endpoint) in workers {
        let stands = match PrpcDriver::new(&endpoint, Default::default()) {
            Err(cause) => Err(cause.to_string()),
            Ok(driver) => driver.info().await.map_err(|cause| cause.to_string()),
        };
        let stands = match stands {
            Ok(info) if info.initialized && info.blocknum >= below => continue,
            Ok(info) if info.initialized => format!("needs block {}", info.blocknum),
            Ok(_) => "is not initialised and needs everything".to_owned(),
            Err(cause) => format!("does not say where it stands: {cause}"),
        };
        return Err(StoreCommandError::Worker { worker, stands });
    }
    Ok(())
}
