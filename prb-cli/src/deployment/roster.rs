//! Making the running operators and workers those of the inventory.

use super::{Data, Deployment, DeploymentError, Keys};
use crate::{
    commands::{self, CommandError},
    config::{self, Config, ConfigError},
    inventory::{Change, Inventory, Operator, Pool, WorkerRecord},
    roster::{Placed, Step, Unfit, plan, step},
    units,
};
use prb_core::pipeline::{BridgeError, Worker};
use prb_worker::{PrpcDriver, Tcp};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tracing::{info, warn};

/// How often the inventory is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Who runs.
pub(super) struct Roster {
    keys: Keys,
    /// What is wanted of all workers.
    fleet: config::Fleet,
    /// Revision of the inventory that was applied last.
    revision: Option<u64>,
    /// The workers that were taken on.
    workers: BTreeMap<String, Placed>,
}

/// How workers are reached.
pub(super) struct Reach {
    options: prb_worker::Options,
    connector: Arc<Tcp>,
}

impl Reach {
    pub(super) fn of(config: &config::Workers) -> Result<Self, ConfigError> {
        Ok(Self { options: config.options(), connector: Arc::new(config.connector()?) })
    }
}

impl Roster {
    /// Nobody yet.
    pub(super) fn new(keys: Keys, fleet: config::Fleet) -> Self {
        Self { keys, fleet, revision: None, workers: BTreeMap::new() }
    }

    /// Its keys, for the next one.
    pub(super) fn into_keys(self) -> Keys {
        self.keys
    }
}

impl Deployment {
    /// Makes the running workers and operators those of the inventory. A record that cannot be used is reported and
    /// left out; it does not disturb the others.
    pub async fn apply_inventory(&self) -> Result<(), DeploymentError> {
        let mut roster = self.roster.lock().await;
        let snapshot = self.inventory.snapshot()?;
        roster.keys.follow(&snapshot);
        let mut wanted = plan(&snapshot, roster.keys.unusable());
        for placed in wanted.workers.values_mut() {
            placed.goal.min_score = roster.fleet.min_score;
            placed.goal.sync_only |= roster.fleet.sync_only;
        }
        let running: Vec<Placed> = roster.workers.values().cloned().collect();
        for old in running {
            let name = old.name.as_str();
            match step(&old, wanted.workers.get(name)) {
                Step::Keep => {}
                Step::NewGoal(new) => {
                    // What is being sent to the worker goes on.
                    self.bridge.change_worker(&old.name, new.goal.clone())?;
                    roster.workers.insert(name.to_owned(), new.clone());
                }
                Step::Replace | Step::LetGo => {
                    match self.bridge.remove_worker(&old.name).await {
                        // One that is gone already was let go by a run of this that was dropped.
                        Ok(()) | Err(BridgeError::Unknown(_)) => drop(roster.workers.remove(name)),
                        Err(cause) => return Err(cause.into()),
                    }
                }
            }
        }
        for (name, placed) in wanted.workers {
            if roster.workers.contains_key(&name) {
                continue;
            }
            match self.take_on(&placed) {
                Ok(()) => drop(roster.workers.insert(name, placed)),
                Err(cause) => {
                    drop(wanted.unfit.insert(name, Unfit { fed: false, why: cause.to_string() }));
                }
            }
        }
        self.tell_unfit(wanted.unfit);
        roster.revision = Some(snapshot.revision);
        Ok(())
    }

    /// Workers of the inventory that are not at work as it says, by name, and why.
    pub fn unfit(&self) -> BTreeMap<String, Unfit> {
        self.unfit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn tell_unfit(&self, unfit: BTreeMap<String, Unfit>) {
        let mut known = self.unfit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (worker, Unfit { fed, why }) in &unfit {
            if known.get(worker).is_none_or(|known| known.why != *why) {
                warn!(
                    worker,
                    why,
                    fed,
                    "{}",
                    if *fed { "worker is only kept in step" } else { "worker left out" }
                );
            }
        }
        *known = unfit;
    }

    fn take_on(&self, placed: &Placed) -> Result<(), DeploymentError> {
        let Reach { options, connector } = &self.reach;
        let driver = PrpcDriver::with_connector(&placed.endpoint, options.clone(), connector.clone());
        let driver = driver.map_err(|cause| DeploymentError::Worker {
            worker: placed.name.to_string(),
            cause: cause.to_string(),
        })?;
        let worker = Worker { name: placed.name.clone(), goal: placed.goal.clone(), debug_key: None };
        Ok(self.bridge.add_worker(worker, driver)?)
    }

    /// Follows the inventory until going on is useless; the error says why.
    pub async fn follow(&self) -> DeploymentError {
        let mut trouble = None;
        loop {
            if let Some(failure) = self.failure() {
                return failure;
            }
            // The same words every second would bury the others.
            match self.catch_up().await {
                Ok(()) if trouble.take().is_some() => info!("the inventory is applied again"),
                Ok(()) => {}
                Err(cause) => {
                    let cause = cause.to_string();
                    if trouble.as_ref() != Some(&cause) {
                        warn!(cause, "inventory not applied, trying again");
                    }
                    trouble = Some(cause);
                }
            }
            self.obey().await;
            self.tell();
            tokio::time::sleep(INTERVAL).await;
        }
    }

    pub(super) async fn catch_up(&self) -> Result<(), DeploymentError> {
        // Without any data every worker would only say that it gets none.
        if matches!(&self.data, Data::Providers(providers) if !providers.store().is_ready()) {
            return Ok(());
        }
        let found = self.inventory.revision()?;
        let is_done = {
            let roster = self.roster.lock().await;
            roster.revision == Some(found) && !roster.keys.want_another_look()
        };
        if is_done {
            return Ok(());
        }
        self.apply_inventory().await
    }
}

/// Puts what the configuration declares into the inventory, unless it is there.
pub(crate) fn declare(config: &Config, inventory: &Inventory) -> Result<(), DeploymentError> {
    let (declared, known) = (&config.inventory, inventory.snapshot()?);
    let mut changes = Vec::new();
    let operators: Vec<_> =
        declared.operators.iter().filter(|operator| known.operator(&operator.name).is_none()).collect();
    let keys = if operators.is_empty() {
        None
    } else {
        Some(config.keyring().open_to_seal(inventory).map_err(CommandError::from)?)
    };
    for operator in operators {
        if let Some((identity, _)) = &keys {
            let (account, secret) = commands::seal(identity, &operator.name, &operator.development_uri)?;
            changes.push(Change::AddOperator(Operator {
                name: operator.name.clone(),
                account,
                proxied: None,
                secret,
            }));
        }
    }
    for pool in declared.pools.iter().filter(|pool| known.pool(pool.pid).is_none()) {
        let operator = Some(pool.operator.clone());
        changes.push(Change::AddPool(Pool { sync_only: pool.sync_only, ..Pool::new(pool.pid, operator) }));
    }
    for worker in declared.workers.iter().filter(|worker| known.worker(&worker.name).is_none()) {
        let stake = units::stake(&worker.stake).map_err(CommandError::from)?;
        let record = WorkerRecord::new(worker.name.as_str(), worker.endpoint.as_str(), worker.pool, stake);
        changes.push(Change::AddWorker(record));
    }
    inventory.apply(&changes)?;
    Ok(())
}
