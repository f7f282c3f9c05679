//! `prb worker handover`.

use super::{CommandError, told};
use crate::{
    args::HandoverArgs,
    config::{Config, ConfigError},
    deployment::para_nodes,
    inventory::{Change, Inventory, Snapshot, WorkerRecord, WorkerSet, normal_endpoint},
    roster,
};
use prb_chain::chain_state::RpcChainState;
use prb_core::{
    handover::{CannotHandOver, Means, Situation, means},
    id::{Height, WorkerKey},
    pipeline::{HandoverError, hand_over},
    port::{ChainState, StateError, WorkerDriver, WorkerError, WorkerInfo},
    storage_key,
};
use prb_worker::{BadEndpoint, PrpcDriver};
use serde_json::json;
use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

/// Why a key does not move.
#[derive(Debug, thiserror::Error)]
pub enum HandoverFailure {
    /// A bridge is at work on a worker.
    #[error(
        "worker {0} is enabled, and a bridge may be at work on it; `prb worker disable {0}` first, and enable what has the \
         key afterwards"
    )]
    Enabled(String),
    /// Somebody feeds a worker.
    #[error("the worker at {0} moves on by itself: another program feeds it; stop that first")]
    Fed(String),
    /// One worker cannot be both.
    #[error("old and new worker are the same one, {0}; the new one is another program at another port")]
    OneWorker(String),
    /// Somebody has changed the inventory meanwhile.
    #[error(
        "the entry of worker {0} has changed meanwhile; nothing was handed over: see `prb worker list`, and begin again"
    )]
    Moved(String),
    /// Nobody of that name.
    #[error("there is no worker {0}; see `prb worker list`, or give a base URL like http://10.0.0.17:8001")]
    Unknown(String),
    /// The key is in another pool.
    #[error(
        "worker {new} is of pool {new_pool} and {old} of pool {old_pool}, where the key is; `prb worker set {new} --pool \
         {old_pool}`"
    )]
    OtherPool {
        /// Name of the one with the key.
        old: String,
        /// Its pool.
        old_pool: u64,
        /// Name of the one that is to get it.
        new: String,
        /// Its pool.
        new_pool: u64,
    },
    /// No node.
    #[error("the chain must be asked how far it is; name a node of the parachain in `chain.para`")]
    NoNode,
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be used.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// A worker could not be asked what it is.
    #[error("{0}; nothing has changed")]
    Worker(#[from] WorkerError),
    /// The chain could not be asked.
    #[error("{0}; nothing has changed")]
    Chain(#[from] StateError),
    /// It would do harm, or no good.
    #[error(transparent)]
    Cannot(#[from] CannotHandOver),
    /// It was begun, and failed.
    #[error(transparent)]
    Broke(#[from] HandoverError),
}

/// Gives the key of one worker to another.
pub async fn handover(
    config: &Config,
    inventory: &Inventory,
    args: &HandoverArgs,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let snapshot = inventory.snapshot()?;
    let (old, new) = (Party::named(&args.old, &snapshot)?, Party::named(&args.new, &snapshot)?);
    check_entries(&snapshot, &old, &new)?;
    if config.chain.para.is_empty() {
        return Err(HandoverFailure::NoNode.into());
    }
    let chain = RpcChainState::new(para_nodes(config));
    let (old_driver, new_driver) = (old.driver(config)?, new.driver(config)?);
    let first = ask(&chain, &old_driver, &new_driver).await?;
    first.means()?;
    tokio::time::sleep(Duration::from_secs(args.watch)).await;
    let now = ask(&chain, &old_driver, &new_driver).await?;
    for (then, now, party) in [(&first.old, &now.old, &old), (&first.new, &now.new, &new)] {
        if counters(then) != counters(now) {
            return Err(HandoverFailure::Fed(party.endpoint.clone()).into());
        }
    }
    let means = now.means()?;
    // All of that took time, in which a worker may have been enabled.
    let (old, new) = again(&inventory.snapshot()?, args, &old, &new)?;
    if args.dry_run {
        return Ok(tell(out, args, &now, &old, &new, true)?);
    }
    let handed = hand_over(&old_driver, &new_driver, means).await;
    let half = match handed {
        Ok(()) => None,
        // The key has moved all the same, so the entry goes with it: nobody may feed the old one.
        Err(cause @ HandoverError::NotStopped(_)) => Some(cause),
        Err(cause) => return Err(HandoverFailure::from(cause).into()),
    };
    if half.is_none() {
        tell(out, args, &now, &old, &new, false)?;
    }
    let moved = old.record.filter(|_| new.record.is_none());
    if let Some(record) = &moved {
        let set = WorkerSet { endpoint: Some(new.endpoint), ..WorkerSet::default() };
        told(out, args.output, &inventory.apply(&[Change::SetWorker(record.name.clone(), set)])?)?;
    }
    if let Some(cause) = half {
        return Err(HandoverFailure::from(cause).into());
    }
    if let Some(record) = moved.or(new.record).filter(|_| !args.output.json) {
        writeln!(out, "put it to work: prb worker enable {}", record.name)?;
    }
    Ok(())
}

/// A worker by its name or its address.
#[derive(Debug)]
struct Party {
    endpoint: String,
    /// Its entry, if it has one.
    record: Option<WorkerRecord>,
}

impl Party {
    fn named(text: &str, snapshot: &Snapshot) -> Result<Self, HandoverFailure> {
        if let Some(record) = snapshot.worker(text) {
            return Ok(Self { endpoint: record.endpoint.clone(), record: Some(record.clone()) });
        }
        if !text.contains("://") {
            return Err(HandoverFailure::Unknown(text.to_owned()));
        }
        let at = normal_endpoint(text);
        let record = snapshot.workers.iter().find(|record| normal_endpoint(&record.endpoint) == at).cloned();
        Ok(Self { endpoint: text.to_owned(), record })
    }

    fn driver(&self, config: &Config) -> Result<PrpcDriver, HandoverFailure> {
        let connector = Arc::new(config.workers.connector()?);
        Ok(PrpcDriver::with_connector(&self.endpoint, config.workers.options(), connector)?)
    }

    /// What people call it.
    fn shown(&self) -> String {
        match &self.record {
            Some(record) => format!("{} ({})", record.name, self.endpoint),
            None => self.endpoint.clone(),
        }
    }
}

/// Whether the inventory says that nobody is at work on either.
fn check_entries(snapshot: &Snapshot, old: &Party, new: &Party) -> Result<(), HandoverFailure> {
    if normal_endpoint(&old.endpoint) == normal_endpoint(&new.endpoint) {
        return Err(HandoverFailure::OneWorker(old.endpoint.clone()));
    }
    // Whatever entry has the address: there may be several, of which some are disabled.
    let parties = [old, new].map(|party| normal_endpoint(&party.endpoint));
    let plan = roster::plan(snapshot, &BTreeMap::new());
    for placed in plan.workers.values().filter(|placed| !placed.goal.disabled) {
        if parties.contains(&normal_endpoint(&placed.endpoint)) {
            return Err(HandoverFailure::Enabled(placed.name.to_string()));
        }
    }
    match (&old.record, &new.record) {
        (Some(old), Some(new)) if old.pool != new.pool => Err(HandoverFailure::OtherPool {
            old: old.name.clone(),
            old_pool: old.pool,
            new: new.name.clone(),
            new_pool: new.pool,
        }),
        _ => Ok(()),
    }
}

/// The two as the inventory has them by now, if it says of them what it said before.
fn again(
    snapshot: &Snapshot,
    args: &HandoverArgs,
    old: &Party,
    new: &Party,
) -> Result<(Party, Party), HandoverFailure> {
    let at_present = |text: &str, party: &Party| -> Result<Party, HandoverFailure> {
        let now = Party::named(text, snapshot)?;
        let same = normal_endpoint(&now.endpoint) == normal_endpoint(&party.endpoint);
        if same { Ok(now) } else { Err(HandoverFailure::Moved(text.to_owned())) }
    };
    let (old, new) = (at_present(&args.old, old)?, at_present(&args.new, new)?);
    check_entries(snapshot, &old, &new)?;
    Ok((old, new))
}

/// What the two and the chain say.
struct Words {
    old: WorkerInfo,
    new: WorkerInfo,
    tip: Height,
    new_is_registered: bool,
}

impl Words {
    fn means(&self) -> Result<Means, HandoverFailure> {
        let Self { old, new, tip, new_is_registered } = self;
        let situation = Situation { old, new, tip: *tip, new_is_registered: *new_is_registered };
        Ok(means(situation)?)
    }
}

async fn ask(chain: &dyn ChainState, old: &PrpcDriver, new: &PrpcDriver) -> Result<Words, HandoverFailure> {
    let (old, new) = (old.info().await?, new.info().await?);
    let key = new.public_key.or(old.public_key).unwrap_or_default();
    let (head, values) = chain.read(&[storage_key::registry_worker(&key)], None).await?;
    let new_is_registered = new.public_key.is_some() && values.iter().any(Option::is_some);
    Ok(Words { old, new, tip: head.height, new_is_registered })
}

/// What changes when a worker is fed.
fn counters(info: &WorkerInfo) -> (bool, Option<WorkerKey>, [Height; 3]) {
    (info.initialized, info.public_key, [info.headernum, info.para_headernum, info.blocknum])
}

fn tell(
    out: &mut dyn Write,
    args: &HandoverArgs,
    words: &Words,
    old: &Party,
    new: &Party,
    dry: bool,
) -> std::io::Result<()> {
    let key = words.old.public_key.unwrap_or_default();
    if args.output.json {
        let what = if dry { "can_be_handed_over" } else { "handed_over" };
        let told = json!({ what: { "key": key.to_string(), "old": old.endpoint, "new": new.endpoint } });
        return writeln!(out, "{told}");
    }
    let (from, to) = (old.shown(), new.shown());
    if dry {
        return writeln!(out, "key {key} can be handed over from {from} to {to}");
    }
    writeln!(out, "key {key} handed over from {from} to {to}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::OutputArgs, inventory::Pool};

    fn snapshot() -> Snapshot {
        let worker = |name: &str, port: u16, pool, enabled| WorkerRecord {
            enabled,
            ..WorkerRecord::new(name, format!("http://h:{port}"), pool, 5)
        };
        Snapshot {
            pools: vec![
                Pool::new(1, None),
                Pool { enabled: false, ..Pool::new(2, None) },
                Pool::new(3, None),
            ],
            workers: vec![
                worker("off", 8001, 1, false),
                worker("on", 8002, 1, true),
                worker("in-pool-off", 8003, 2, true),
                worker("also-off", 8004, 1, false),
                worker("elsewhere", 8005, 3, false),
            ],
            ..Snapshot::default()
        }
    }

    /// Nobody feeds what the inventory has disabled.
    #[test]
    fn v3_f89_workers_that_a_bridge_may_be_at_work_on_are_refused() {
        // Old, new: what is refused.
        for (old, new, refused) in [
            ("off", "http://h:9000", ""),
            ("http://h:9001", "http://h:9000", ""),
            ("in-pool-off", "http://h:9000", ""),
            ("off", "also-off", ""),
            ("on", "http://h:9000", "`prb worker disable on` first"),
            ("off", "on", "`prb worker disable on` first"),
            ("http://H:8002/", "http://h:9000", "`prb worker disable on` first"),
            ("off", "http://h:8002", "`prb worker disable on` first"),
            ("off", "off", "the same one"),
            ("off", "HTTP://h:8001/", "the same one"),
            ("http://h:9000", "http://h:9000", "the same one"),
            ("off", "elsewhere", "`prb worker set elsewhere --pool 1`"),
            ("nobody", "off", "there is no worker nobody"),
            ("off", "h:9000", "there is no worker h:9000"),
        ] {
            let snapshot = snapshot();
            let checked = Party::named(old, &snapshot).and_then(|old| {
                let new = Party::named(new, &snapshot)?;
                check_entries(&snapshot, &old, &new)
            });
            let told = checked.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(told.contains(refused) && told.is_empty() == refused.is_empty(), "{old} {new}: {told}");
        }
    }

    #[test]
    fn what_has_changed_while_workers_were_watched_is_looked_at_again() {
        let args = HandoverArgs {
            old: "off".to_owned(),
            new: "http://h:9000".to_owned(),
            watch: 0,
            dry_run: false,
            output: OutputArgs { json: false },
        };
        let before = snapshot();
        let party = |text: &str| Party::named(text, &before).unwrap();
        let (old, new) = (party(&args.old), party(&args.new));
        let refused = |change: &dyn Fn(&mut Snapshot)| {
            let mut after = snapshot();
            change(&mut after);
            again(&after, &args, &old, &new).map_or_else(|error| error.to_string(), |_| String::new())
        };
        assert_eq!(refused(&|_| {}), "");
        assert!(refused(&|after| after.workers[0].enabled = true).contains("`prb worker disable off` first"));
        assert!(
            refused(&|after| after.workers[0].endpoint = "http://h:9".to_owned()).contains("has changed")
        );
        assert!(refused(&|after| drop(after.workers.remove(0))).contains("there is no worker off"));
        // Another entry with the address of a disabled one.
        assert!(
            refused(&|after| after.workers[1].endpoint = "http://H:8001/".to_owned())
                .contains("`prb worker disable on` first")
        );
        let added = |after: &mut Snapshot| {
            after.workers.push(WorkerRecord::new("taken", "http://h:9000", 1, 5));
        };
        assert!(refused(&added).contains("`prb worker disable taken` first"));
    }
}
