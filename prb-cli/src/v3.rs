//! The configuration commands of PRB v3: the JSON it takes and answers, translated to changes of the inventory.
//!
//! `prb config` and any listener that speaks v3 share these functions. Forms are those of `POST /wm/config`: an externally
//! tagged command, unknown fields ignored. Stakes are in planck.

pub mod status;

use crate::{
    account::{self, BadAccount, PHALA_PREFIX},
    commands::{self, CommandError},
    identity::{Identity, Keyring},
    inventory::{
        Change, Inventory, InventoryError, Operator, OperatorSet, Pool, PoolSet, Snapshot, WorkerRecord,
        WorkerSet,
    },
};
use prb_core::id::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use zeroize::Zeroizing;

/// A configuration command.
#[derive(Debug, Deserialize)]
pub enum Command {
    /// Add a pool.
    AddPool(PoolFields),
    /// Write all values of a pool.
    UpdatePool(PoolFields),
    /// Remove a pool.
    RemovePool(Pid),
    /// Answer a pool.
    GetPool(Pid),
    /// Answer a pool with its workers.
    GetPoolWithWorkers(Pid),
    /// Answer all pools.
    GetAllPools,
    /// Answer all pools with their workers.
    GetAllPoolsWithWorkers,
    /// Add a worker.
    AddWorker(WorkerFields),
    /// Write all values of a worker.
    UpdateWorker(WorkerFields),
    /// Remove a worker.
    RemoveWorker {
        /// Its name.
        name: String,
    },
    /// Answer all pool operators.
    GetAllPoolOperators,
    /// Answer a pool's operator.
    GetPoolOperator(Pid),
    /// Set a pool's operator.
    SetPoolOperator(OperatorFields),
}

/// A pool by its pid.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Pid {
    /// The pool.
    pub pid: u64,
}

/// All values of a pool.
#[derive(Clone, Debug, Deserialize)]
pub struct PoolFields {
    /// Its name.
    pub name: String,
    /// Its pid.
    pub pid: u64,
    /// Whether its workers are left out.
    pub disabled: bool,
    /// Whether they are only kept in step.
    pub sync_only: bool,
}

/// All values of a worker.
#[derive(Clone, Debug, Deserialize)]
pub struct WorkerFields {
    /// Its name.
    pub name: String,
    /// Another name, for an update.
    pub new_name: Option<String>,
    /// Base URL.
    pub endpoint: String,
    /// Stake, planck.
    pub stake: String,
    /// Its pool.
    pub pid: u64,
    /// Whether it is left out.
    pub disabled: bool,
    /// Whether it is only kept in step.
    pub sync_only: bool,
    /// Whether it is a gatekeeper.
    pub gatekeeper: bool,
}

/// A pool's operator.
#[derive(Deserialize)]
pub struct OperatorFields {
    /// The pool.
    pub pid: u64,
    /// The secret, wiped from memory after use.
    #[serde(deserialize_with = "wiped")]
    pub account: Zeroizing<String>,
    /// What it is.
    pub account_type: SecretType,
    /// On whose behalf it signs, SS58.
    pub proxied_account_id: Option<String>,
}

fn wiped<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl fmt::Debug for OperatorFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorFields").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// What a secret is. Both forms are told apart by themselves too; the type is only checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SecretType {
    /// Mnemonic, seed or derivation URI.
    Seed,
    /// Hex of 64 bytes.
    SecretKey,
}

/// Why a command is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The inventory, the secret or the identity.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The stake is no number of planck.
    #[error("stake {0:?} is not a whole number of planck (10^-12 PHA) from 0 to 2^128 - 1")]
    Stake(String),
    /// The secret is not what it is said to be.
    #[error("account is {0}; account_type says otherwise")]
    SecretType(&'static str),
    /// The pool has none.
    #[error("pool {0} has no operator; set one with SetPoolOperator")]
    NoOperator(u64),
}

impl From<InventoryError> for ConfigError {
    fn from(error: InventoryError) -> Self {
        CommandError::from(error).into()
    }
}

impl From<BadAccount> for ConfigError {
    fn from(error: BadAccount) -> Self {
        CommandError::from(error).into()
    }
}

/// Carries a command out. None is the answer to a pool that is not there.
pub fn run(
    inventory: &Inventory,
    keyring: &Keyring,
    command: &Command,
) -> Result<Option<Value>, ConfigError> {
    let keys = match command {
        Command::SetPoolOperator(_) => Some(keyring.open_to_seal(inventory).map_err(CommandError::from)?),
        _ => None,
    };
    let identity = keys.as_ref().map(|(identity, _locked)| identity);
    inventory.change(|snapshot| changes(snapshot, identity, command))?;
    answer(&inventory.snapshot()?, command)
}

/// The changes that a command asks for; none if it only asks. `identity` seals the secret of an operator.
pub fn changes(
    snapshot: &Snapshot,
    identity: Option<&Identity>,
    command: &Command,
) -> Result<Vec<Change>, ConfigError> {
    Ok(match command {
        Command::AddPool(PoolFields { name, pid, disabled, sync_only }) => {
            let (name, pool) = (name.clone(), Pool::new(*pid, None));
            vec![Change::AddPool(Pool { name, enabled: !disabled, sync_only: *sync_only, ..pool })]
        }
        Command::UpdatePool(PoolFields { name, pid, disabled, sync_only }) => {
            let (enabled, sync_only) = (Some(!disabled), Some(*sync_only));
            vec![Change::SetPool(
                *pid,
                PoolSet { name: Some(name.clone()), operator: None, enabled, sync_only },
            )]
        }
        Command::RemovePool(Pid { pid }) => vec![Change::RemovePool(*pid)],
        Command::AddWorker(worker) => {
            let record = WorkerRecord::new(
                worker.name.as_str(),
                worker.endpoint.as_str(),
                worker.pid,
                worker.stake()?,
            );
            let WorkerFields { disabled, sync_only, gatekeeper, .. } = *worker;
            vec![Change::AddWorker(WorkerRecord { enabled: !disabled, sync_only, gatekeeper, ..record })]
        }
        Command::UpdateWorker(worker) => {
            let set = WorkerSet {
                name: worker.new_name.clone(),
                endpoint: Some(worker.endpoint.clone()),
                pool: Some(worker.pid),
                stake: Some(worker.stake()?),
                enabled: Some(!worker.disabled),
                sync_only: Some(worker.sync_only),
                gatekeeper: Some(worker.gatekeeper),
            };
            vec![Change::SetWorker(worker.name.clone(), set)]
        }
        Command::RemoveWorker { name } => vec![Change::RemoveWorker(name.clone())],
        Command::SetPoolOperator(operator) => match identity {
            Some(identity) => operator.changes(snapshot, identity)?,
            None => Vec::new(),
        },
        _ => Vec::new(),
    })
}

impl WorkerFields {
    fn stake(&self) -> Result<u128, ConfigError> {
        self.stake.trim().parse().map_err(|_| ConfigError::Stake(self.stake.clone()))
    }
}

impl OperatorFields {
    /// v3 has one key for each pool; here pools with one key share an operator.
    fn changes(&self, snapshot: &Snapshot, identity: &Identity) -> Result<Vec<Change>, ConfigError> {
        let looks_like = match self.account.trim().trim_start_matches("0x") {
            digits if digits.len() == 128 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                SecretType::SecretKey
            }
            _ => SecretType::Seed,
        };
        if looks_like != self.account_type {
            let found =
                if looks_like == SecretType::Seed { "no hex of 64 bytes" } else { "the hex of 64 bytes" };
            return Err(ConfigError::SecretType(found));
        }
        let proxied = self.proxied_account_id.as_deref().map(account::parse).transpose()?;
        sign_with(snapshot, identity, self.pid, &self.account, proxied)
    }
}

/// The changes after which this secret signs for a pool, on behalf of `proxied` if that is somebody. Pools with the same
/// of both share an operator.
pub(crate) fn sign_with(
    snapshot: &Snapshot,
    identity: &Identity,
    pid: u64,
    secret: &str,
    proxied: Option<AccountId>,
) -> Result<Vec<Change>, ConfigError> {
    let name = free_name(snapshot, &format!("pool-{pid}"));
    let (account, sealed) = commands::seal(identity, &name, secret)?;
    let to =
        |name: String| Change::SetPool(pid, PoolSet { operator: Some(Some(name)), ..PoolSet::default() });
    // Whoever sends a secret again may want to replace one that does not open any more.
    let opens = |operator: &&Operator| operator.secret.open(identity, &operator.name).is_ok();
    let same = |operator: &&Operator| operator.account == account && operator.proxied == proxied;
    if let Some(operator) = snapshot.operators.iter().filter(same).find(opens) {
        return Ok(vec![to(operator.name.clone())]);
    }
    let present = snapshot.pool(pid).and_then(|pool| pool.operator.clone());
    let users =
        |name: &str| snapshot.pools.iter().filter(|pool| pool.operator.as_deref() == Some(name)).count();
    if let Some(name) = present.filter(|name| users(name) == 1) {
        let key = Some(commands::seal(identity, &name, secret)?);
        return Ok(vec![Change::SetOperator(name, OperatorSet { key, proxied: Some(proxied) })]);
    }
    let operator = Operator { name: name.clone(), account, proxied, secret: sealed };
    Ok(vec![Change::AddOperator(operator), to(name)])
}

/// `base`, or `base-2`, `base-3`, … if there is an operator of that name.
pub(crate) fn free_name(snapshot: &Snapshot, base: &str) -> String {
    let names = std::iter::once(base.to_owned()).chain((2_u64..).map(|number| format!("{base}-{number}")));
    names.into_iter().find(|name| snapshot.operator(name).is_none()).unwrap_or_default()
}

/// What a command is answered, once its changes are made.
pub fn answer(snapshot: &Snapshot, command: &Command) -> Result<Option<Value>, ConfigError> {
    let pool =
        |pid: u64, with_workers| snapshot.pool(pid).map(|pool| pool_view(snapshot, pool, with_workers));
    let pools = |with_workers| -> Value {
        snapshot.pools.iter().map(|pool| json!(pool_view(snapshot, pool, with_workers))).collect()
    };
    Ok(match command {
        Command::AddPool(PoolFields { pid, .. })
        | Command::UpdatePool(PoolFields { pid, .. })
        | Command::GetPool(Pid { pid }) => pool(*pid, false).map(|pool| json!(pool)),
        Command::GetPoolWithWorkers(Pid { pid }) => pool(*pid, true).map(|pool| json!(pool)),
        Command::GetAllPools => Some(pools(false)),
        Command::GetAllPoolsWithWorkers => Some(pools(true)),
        Command::AddWorker(worker) | Command::UpdateWorker(worker) => {
            let name = worker.new_name.as_ref().filter(|_| matches!(command, Command::UpdateWorker(_)));
            snapshot.worker(name.unwrap_or(&worker.name)).map(|worker| json!(WorkerView::of(worker)))
        }
        Command::RemovePool(_) | Command::RemoveWorker { .. } => Some(json!({ "ok": true })),
        Command::GetAllPoolOperators => {
            let views = snapshot.pools.iter().filter_map(|pool| operator_view(snapshot, pool));
            Some(views.map(|view| json!(view)).collect())
        }
        Command::GetPoolOperator(Pid { pid }) | Command::SetPoolOperator(OperatorFields { pid, .. }) => {
            let view = snapshot.pool(*pid).and_then(|pool| operator_view(snapshot, pool));
            Some(json!(view.ok_or(ConfigError::NoOperator(*pid))?))
        }
    })
}

/// A pool as v3 writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Its own id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its pid.
    pub pid: u64,
    /// Whether anything is sent to its workers.
    pub enabled: bool,
    /// Whether they are only kept in step.
    pub sync_only: bool,
    /// Its workers, where they were asked for.
    pub workers: Option<Vec<WorkerView>>,
}

/// A worker as v3 writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its own id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Base URL; one without a path ends with a slash.
    pub endpoint: String,
    /// Stake, planck.
    pub stake: String,
    /// Its pool; null in the type, never in practice.
    pub pid: Option<u64>,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// Whether it is only kept in step.
    pub sync_only: bool,
    /// Whether it is a gatekeeper.
    pub gatekeeper: bool,
}

impl WorkerView {
    /// A worker of the inventory.
    pub fn of(worker: &WorkerRecord) -> Self {
        let endpoint = crate::inventory::normal_endpoint(&worker.endpoint);
        let has_path = endpoint.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        Self {
            id: worker.id.to_string(),
            name: worker.name.clone(),
            endpoint: if has_path { endpoint } else { endpoint + "/" },
            stake: worker.stake.to_string(),
            pid: Some(worker.pool),
            enabled: worker.enabled,
            sync_only: worker.sync_only,
            gatekeeper: worker.gatekeeper,
        }
    }
}

/// A pool's operator as v3 writes it: addresses of Phala.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorView {
    /// The pool.
    pub pid: u64,
    /// Who signs.
    pub operator_account_id: String,
    /// On whose behalf.
    pub proxied_account_id: Option<String>,
}

fn pool_view(snapshot: &Snapshot, pool: &Pool, with_workers: bool) -> PoolView {
    let workers = snapshot.workers.iter().filter(|worker| worker.pool == pool.pid).map(WorkerView::of);
    PoolView {
        id: pool.id.to_string(),
        name: pool.name.clone(),
        pid: pool.pid,
        enabled: pool.enabled,
        sync_only: pool.sync_only,
        workers: with_workers.then(|| workers.collect()),
    }
}

fn operator_view(snapshot: &Snapshot, pool: &Pool) -> Option<OperatorView> {
    let address = |account: &AccountId| account::address(account, PHALA_PREFIX);
    let operator = snapshot.operator(pool.operator.as_deref()?)?;
    Some(OperatorView {
        pid: pool.pid,
        operator_account_id: address(&operator.account),
        proxied_account_id: operator.proxied.as_ref().map(address),
    })
}

#[cfg(test)]
mod tests;
