//! Changes to the inventory as values: what is asked for, what it comes to, why it is refused.

use super::{Operator, Pool, Record, Snapshot, WorkerRecord, normal_endpoint};
use crate::{secret::Sealed, units};
use prb_core::id::{AccountId, WorkerName};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One change. What a `Set…` leaves out stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add an operator.
    AddOperator(Operator),
    /// Change the operator of this name.
    SetOperator(String, OperatorSet),
    /// Remove the operator of this name, which no pool uses.
    RemoveOperator(String),
    /// Add a pool.
    AddPool(Pool),
    /// Change the pool with this pid.
    SetPool(u64, PoolSet),
    /// Remove the pool with this pid, which no worker is in.
    RemovePool(u64),
    /// Add a worker.
    AddWorker(WorkerRecord),
    /// Change the worker of this name.
    SetWorker(String, WorkerSet),
    /// Remove the worker of this name.
    RemoveWorker(String),
}

/// What may be changed of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorSet {
    /// Its secret and the account that belongs to it.
    pub key: Option<(AccountId, Sealed)>,
    /// On whose behalf it signs, if on somebody's.
    pub proxied: Option<Option<AccountId>>,
}

/// What may be changed of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSet {
    /// What people call it.
    pub name: Option<String>,
    /// Its operator, if it has one.
    pub operator: Option<Option<String>>,
    /// Whether anything is sent to its workers.
    pub enabled: Option<bool>,
    /// Whether they are only kept in step.
    pub sync_only: Option<bool>,
}

/// What may be changed of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerSet {
    /// Its name.
    pub name: Option<String>,
    /// Base URL of its private port.
    pub endpoint: Option<String>,
    /// `pid` of its pool.
    pub pool: Option<u64>,
    /// Stake, planck.
    pub stake: Option<u128>,
    /// Whether anything is sent to it.
    pub enabled: Option<bool>,
    /// Whether it is only kept in step.
    pub sync_only: Option<bool>,
    /// Whether it is a gatekeeper.
    pub gatekeeper: Option<bool>,
    /// All of its tags.
    pub tags: Option<Vec<String>>,
}

/// Most tags of a worker.
pub const MAX_TAGS: usize = 16;

/// Longest tag, characters.
pub const MAX_TAG: usize = 32;

/// What a change came to: a record before and after it. Both are there and equal where nothing had to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// As it was; none if it is new.
    pub before: Option<Record>,
    /// As it is; none if it was removed.
    pub after: Option<Record>,
}

impl Affected {
    /// Whether it made a difference.
    pub fn changed(&self) -> bool {
        self.before != self.after
    }

    /// What was done, for people.
    pub fn text(&self) -> String {
        match (&self.before, &self.after) {
            (None, Some(after)) => after.added(),
            (Some(before), None) => before.removed(),
            (Some(before), Some(after)) if self.changed() => {
                format!(
                    "{} {} changed: {}",
                    before.kind(),
                    before.name(),
                    differences(before, after).join(", ")
                )
            }
            (Some(same), Some(_)) => format!("{} {} is like that already", same.kind(), same.name()),
            (None, None) => String::new(),
        }
    }

    /// What was done, for programs: `{"added": …}`, `{"changed": …}`, `{"unchanged": …}` or `{"removed": …}`.
    pub fn json(&self) -> Value {
        match (&self.before, &self.after) {
            (None, Some(after)) => json!({ "added": after.view() }),
            (Some(before), None) => json!({ "removed": before.view() }),
            (_, Some(after)) if self.changed() => json!({ "changed": after.view() }),
            (_, after) => json!({ "unchanged": after.as_ref().map(Record::view) }),
        }
    }
}

/// What differs, field by field. A secret is named and not shown.
fn differences(before: &Record, after: &Record) -> Vec<String> {
    let (old, new) = (before.view(), after.view());
    // A field that has no value is left out of a record.
    let fields: BTreeSet<&String> =
        [&old, &new].into_iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    let mut differences: Vec<String> = fields
        .into_iter()
        .filter(|field| old[field.as_str()] != new[field.as_str()])
        .map(|field| {
            let (old, new) = (&old[field.as_str()], &new[field.as_str()]);
            format!("{field} {} -> {}", shown(field, old), shown(field, new))
        })
        .collect();
    if let (Record::Operator(before), Record::Operator(after)) = (before, after)
        && before.secret != after.secret
    {
        differences.push("its secret".to_owned());
    }
    differences
}

fn shown(field: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if field == "stake" => text.parse().map_or_else(|_| text.clone(), units::format),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(|item| shown(field, item)).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something with that name is there.
    #[error(
        "there is {kind} {name} already; change it with `prb {kind} set`, remove it first or choose another name"
    )]
    Exists {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Nothing with that name is there.
    #[error("there is no {kind} {name}; see `prb {kind} list`")]
    Missing {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Something else needs it.
    #[error("{kind} {name} is used by {user}; remove that first")]
    InUse {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Who needs it.
        user: String,
    },
    /// Another worker is there already.
    #[error(
        "{endpoint} is the endpoint of worker {user} already, and two of the inventory's workers would be one; give this \
         one its own, or remove {user} first"
    )]
    EndpointInUse {
        /// The endpoint.
        endpoint: String,
        /// Name of the worker that is there.
        user: String,
    },
    /// A worker that is to compute must have a stake.
    #[error(
        "worker {worker} has a stake of 0, with which nothing can be started; give the stake in PHA (`1500`) or planck \
         (10^-12 PHA, `1500000000000000planck`), or say --sync-only if it is only to be kept in step"
    )]
    NoStake {
        /// Its name.
        worker: String,
    },
    /// A worker cannot be both.
    #[error(
        "worker {worker} cannot be sync-only and a gatekeeper at once: nothing is sent to the chain for one that is only \
         kept in step, and a gatekeeper must be registered there; choose --sync-only or --gatekeeper"
    )]
    BothModes {
        /// Its name.
        worker: String,
    },
    /// A value cannot be used.
    #[error("{0}")]
    Invalid(String),
}

/// Why none of several changes is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// Which of them is refused, counted from 0.
    pub at: usize,
    /// Why.
    pub why: Refusal,
}

/// Makes all of `changes`, in this order, or none of them.
pub fn apply(snapshot: &mut Snapshot, changes: &[Change]) -> Result<Vec<Affected>, Refused> {
    let mut draft = Draft::of(snapshot);
    let affected =
        changes.iter().enumerate().map(|(at, change)| draft.make(change).map_err(|why| Refused { at, why }));
    let affected = affected.collect::<Result<Vec<_>, _>>()?;
    draft.into_snapshot(snapshot);
    Ok(affected)
}

/// Makes those of `changes` that can be made, in this order, and says of each what it came to or why it is refused.
pub fn apply_each(snapshot: &mut Snapshot, changes: &[Change]) -> Vec<Result<Affected, Refusal>> {
    let mut draft = Draft::of(snapshot);
    let made = changes.iter().map(|change| draft.make(change)).collect();
    draft.into_snapshot(snapshot);
    made
}

/// A snapshot in which things are found by what they are known by.
struct Draft {
    operators: BTreeMap<String, Operator>,
    pools: BTreeMap<u64, Pool>,
    workers: BTreeMap<String, WorkerRecord>,
    /// Name of the worker at each endpoint.
    endpoints: BTreeMap<String, String>,
}

impl Draft {
    fn of(snapshot: &Snapshot) -> Self {
        let workers = snapshot.workers.iter();
        Self {
            operators: snapshot.operators.iter().map(|one| (one.name.clone(), one.clone())).collect(),
            pools: snapshot.pools.iter().map(|one| (one.pid, one.clone())).collect(),
            endpoints: workers
                .clone()
                .map(|one| (normal_endpoint(&one.endpoint), one.name.clone()))
                .collect(),
            workers: workers.map(|one| (one.name.clone(), one.clone())).collect(),
        }
    }

    fn into_snapshot(self, snapshot: &mut Snapshot) {
        snapshot.operators = self.operators.into_values().collect();
        snapshot.pools = self.pools.into_values().collect();
        snapshot.workers = self.workers.into_values().collect();
    }

    /// Makes a change, or nothing of it.
    fn make(&mut self, change: &Change) -> Result<Affected, Refusal> {
        match change {
            Change::AddOperator(operator) => {
                check_name("operator", &operator.name)?;
                absent("operator", self.operators.contains_key(&operator.name), &operator.name)?;
                self.operators.insert(operator.name.clone(), operator.clone());
                Ok(added(Record::Operator(operator.clone())))
            }
            Change::SetOperator(name, set) => {
                let operator = self.operators.get_mut(name).ok_or_else(|| missing("operator", name))?;
                let before = operator.clone();
                if let Some((account, secret)) = &set.key {
                    (operator.account, operator.secret) = (*account, secret.clone());
                }
                assign(&mut operator.proxied, set.proxied.as_ref());
                Ok(set_to(Record::Operator(before), Record::Operator(operator.clone())))
            }
            Change::RemoveOperator(name) => {
                if let Some(pool) = self.pools.values().find(|pool| pool.operator.as_ref() == Some(name)) {
                    return Err(in_use("operator", name, format!("pool {}", pool.pid)));
                }
                let operator = self.operators.remove(name).ok_or_else(|| missing("operator", name))?;
                Ok(removed(Record::Operator(operator)))
            }
            Change::AddPool(pool) => {
                absent("pool", self.pools.contains_key(&pool.pid), &pool.pid)?;
                self.check_pool(pool)?;
                self.pools.insert(pool.pid, pool.clone());
                Ok(added(Record::Pool(pool.clone())))
            }
            Change::SetPool(pid, set) => {
                let before = self.pools.get(pid).ok_or_else(|| missing("pool", pid))?.clone();
                let mut pool = before.clone();
                assign(&mut pool.name, set.name.as_ref());
                assign(&mut pool.operator, set.operator.as_ref());
                assign(&mut pool.enabled, set.enabled.as_ref());
                assign(&mut pool.sync_only, set.sync_only.as_ref());
                self.check_pool(&pool)?;
                self.pools.insert(*pid, pool.clone());
                Ok(set_to(Record::Pool(before), Record::Pool(pool)))
            }
            Change::RemovePool(pid) => {
                if let Some(worker) = self.workers.values().find(|worker| worker.pool == *pid) {
                    return Err(in_use("pool", pid, format!("worker {}", worker.name)));
                }
                let pool = self.pools.remove(pid).ok_or_else(|| missing("pool", pid))?;
                Ok(removed(Record::Pool(pool)))
            }
            Change::AddWorker(worker) => {
                absent("worker", self.workers.contains_key(&worker.name), &worker.name)?;
                Ok(added(Record::Worker(self.place(worker.clone(), None)?)))
            }
            Change::SetWorker(name, set) => {
                let before = self.workers.get(name).ok_or_else(|| missing("worker", name))?.clone();
                let mut worker = before.clone();
                assign(&mut worker.name, set.name.as_ref());
                assign(&mut worker.endpoint, set.endpoint.as_ref());
                assign(&mut worker.pool, set.pool.as_ref());
                assign(&mut worker.stake, set.stake.as_ref());
                assign(&mut worker.enabled, set.enabled.as_ref());
                assign(&mut worker.sync_only, set.sync_only.as_ref());
                assign(&mut worker.gatekeeper, set.gatekeeper.as_ref());
                assign(&mut worker.tags, set.tags.as_ref());
                if worker.name != before.name {
                    absent("worker", self.workers.contains_key(&worker.name), &worker.name)?;
                }
                self.displace(&before);
                let placed = self.place(worker, Some(&before)).inspect_err(|_| self.put_back(&before));
                Ok(set_to(Record::Worker(before.clone()), Record::Worker(placed?)))
            }
            Change::RemoveWorker(name) => {
                let worker = self.workers.get(name).ok_or_else(|| missing("worker", name))?.clone();
                self.displace(&worker);
                Ok(removed(Record::Worker(worker)))
            }
        }
    }

    fn check_pool(&self, pool: &Pool) -> Result<(), Refusal> {
        if !pool.name.is_empty() {
            check_name("pool", &pool.name)?;
        }
        if let Some(name) = pool.operator.as_ref().filter(|name| !self.operators.contains_key(*name)) {
            return Err(missing("operator", name));
        }
        let mut workers = self.workers.values().filter(|worker| worker.pool == pool.pid);
        workers.try_for_each(|worker| check_stake(worker, pool))
    }

    /// Puts a worker into the draft, if it may be there, and answers it as it is there. What it was `before` it may stay: inventories of earlier
    /// releases may have two workers at one endpoint, and gatekeepers that are only kept in step.
    fn place(
        &mut self,
        mut worker: WorkerRecord,
        before: Option<&WorkerRecord>,
    ) -> Result<WorkerRecord, Refusal> {
        check_name("worker", &worker.name)?;
        worker.tags = checked_tags(&worker.tags)?;
        let endpoint = worker.endpoint.parse::<prb_worker::Endpoint>();
        endpoint.map_err(|error| Refusal::Invalid(error.to_string()))?;
        let pool = self.pools.get(&worker.pool).ok_or_else(|| missing("pool", &worker.pool))?;
        check_stake(&worker, pool)?;
        let is_both = |worker: &WorkerRecord| worker.sync_only && worker.gatekeeper;
        if is_both(&worker) && !before.is_some_and(is_both) {
            return Err(Refusal::BothModes { worker: worker.name });
        }
        let endpoint = normal_endpoint(&worker.endpoint);
        match self.endpoints.get(&endpoint) {
            None => drop(self.endpoints.insert(endpoint, worker.name.clone())),
            Some(_) if before.is_some_and(|before| normal_endpoint(&before.endpoint) == endpoint) => {}
            Some(user) => {
                return Err(Refusal::EndpointInUse { endpoint: worker.endpoint, user: user.clone() });
            }
        }
        self.workers.insert(worker.name.clone(), worker.clone());
        Ok(worker)
    }

    /// Puts a worker back that was taken out.
    fn put_back(&mut self, worker: &WorkerRecord) {
        self.endpoints.entry(normal_endpoint(&worker.endpoint)).or_insert_with(|| worker.name.clone());
        self.workers.insert(worker.name.clone(), worker.clone());
    }

    /// Takes a worker out of it.
    fn displace(&mut self, worker: &WorkerRecord) {
        let endpoint = normal_endpoint(&worker.endpoint);
        if self.endpoints.get(&endpoint) == Some(&worker.name) {
            self.endpoints.remove(&endpoint);
        }
        self.workers.remove(&worker.name);
    }
}

fn check_stake(worker: &WorkerRecord, pool: &Pool) -> Result<(), Refusal> {
    if worker.stake > 0 || worker.sync_only || worker.gatekeeper || pool.sync_only {
        return Ok(());
    }
    Err(Refusal::NoStake { worker: worker.name.clone() })
}

/// Whether something may be called that.
pub(super) fn check_name(kind: &'static str, name: &str) -> Result<(), Refusal> {
    WorkerName::new(name).map(drop).map_err(|_| {
        Refusal::Invalid(format!("{kind} name {name:?} must have 1 to 128 bytes and no control characters"))
    })
}

/// Tags as they are kept: each once and in order.
fn checked_tags(tags: &[String]) -> Result<Vec<String>, Refusal> {
    let tags: BTreeSet<&str> = tags.iter().map(|tag| tag.trim()).collect();
    let fits = |tag: &&str| {
        (1..=MAX_TAG).contains(&tag.len())
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
    };
    if let Some(bad) = tags.iter().find(|tag| !fits(tag)) {
        let shown: String = bad.chars().take(MAX_TAG).collect();
        let message = format!("tag {shown:?} must have 1 to {MAX_TAG} characters: letters, digits, - _ . :");
        return Err(Refusal::Invalid(message));
    }
    if tags.len() > MAX_TAGS {
        return Err(Refusal::Invalid(format!("a worker has at most {MAX_TAGS} tags; leave some out")));
    }
    Ok(tags.into_iter().map(str::to_owned).collect())
}

fn assign<T: Clone>(field: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

fn added(record: Record) -> Affected {
    Affected { before: None, after: Some(record) }
}

fn set_to(before: Record, after: Record) -> Affected {
    Affected { before: Some(before), after: Some(after) }
}

fn removed(record: Record) -> Affected {
    Affected { before: Some(record), after: None }
}

fn absent(kind: &'static str, is_there: bool, name: &impl ToString) -> Result<(), Refusal> {
    if is_there { Err(Refusal::Exists { kind, name: name.to_string() }) } else { Ok(()) }
}

fn missing(kind: &'static str, name: &(impl ToString + ?Sized)) -> Refusal {
    Refusal::Missing { kind, name: name.to_string() }
}

fn in_use(kind: &'static str, name: &impl ToString, user: String) -> Refusal {
    Refusal::InUse { kind, name: name.to_string(), user }
}

#[cfg(test)]
mod tests;
