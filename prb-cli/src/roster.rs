//! Which workers run, and to what end: a function of the inventory and of which operators can sign.

use crate::inventory::{Operator, Pool, Snapshot, WorkerRecord, normal_endpoint};
use prb_core::{
    id::{AccountId, WorkerName},
    lifecycle::Goal,
};
use std::collections::BTreeMap;

/// A worker as it should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: WorkerName,
    /// Base URL of its private port.
    pub endpoint: String,
    /// What is wanted of it.
    pub goal: Goal,
}

/// Why a worker of the inventory is not at work as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Whether it is kept in step all the same.
    pub fed: bool,
    /// The reason, with the remedy.
    pub why: String,
}

/// Who runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Workers to run, by name.
    pub workers: BTreeMap<String, Placed>,
    /// Workers that do not run, or only in part, by name.
    pub unfit: BTreeMap<String, Unfit>,
}

/// What a change of the inventory means for a worker that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing.
    Keep,
    /// Something else is wanted of it; it is fed on.
    NewGoal(&'a Placed),
    /// It is somewhere else.
    Replace,
    /// It is let go.
    LetGo,
}

/// What to do with a worker that runs as `old` when `new` is wanted.
pub fn step<'a>(old: &Placed, new: Option<&'a Placed>) -> Step<'a> {
    match new {
        None => Step::LetGo,
        Some(new) if new == old => Step::Keep,
        Some(new) if new.endpoint == old.endpoint => Step::NewGoal(new),
        Some(_) => Step::Replace,
    }
}

/// The workers that should run; disabled ones are among them, and nothing is sent to those. `unusable` says of operators by
/// name why they cannot sign: their workers are kept in step, so that nothing is to be caught up once they can.
pub fn plan(snapshot: &Snapshot, unusable: &BTreeMap<String, String>) -> Plan {
    let pools: BTreeMap<u64, &Pool> = snapshot.pools.iter().map(|pool| (pool.pid, pool)).collect();
    let operators: BTreeMap<&str, &Operator> =
        snapshot.operators.iter().map(|operator| (operator.name.as_str(), operator)).collect();
    let (mut plan, mut endpoints) = (Plan::default(), BTreeMap::new());
    for worker in &snapshot.workers {
        let mut unfit = |fed, why| drop(plan.unfit.insert(worker.name.clone(), Unfit { fed, why }));
        let (name, pool) = match (WorkerName::new(worker.name.as_str()), pools.get(&worker.pool)) {
            (Ok(name), Some(pool)) => (name, *pool),
            (Err(cause), _) => {
                unfit(false, cause.to_string());
                continue;
            }
            (_, None) => {
                unfit(false, format!("there is no pool {}; see `prb pool list`", worker.pool));
                continue;
            }
        };
        let disabled = disabled(worker, pool);
        if disabled.is_none()
            && let Some(other) = endpoints.insert(normal_endpoint(&worker.endpoint), &worker.name)
        {
            let remedy = "change one with `prb worker set NAME --endpoint URL`";
            unfit(false, format!("worker {other} has the same endpoint; {remedy}"));
            continue;
        }
        let sync_only = worker.sync_only || pool.sync_only;
        let signing = signs(pool, &operators, unusable);
        match (&disabled, &signing) {
            (Some(why), _) => unfit(false, why.clone()),
            (None, Err(why)) if !sync_only => unfit(true, why.clone()),
            _ => {}
        }
        let goal = Goal {
            sync_only: sync_only || signing.is_err(),
            unsigned: signing.is_err(),
            gatekeeper: worker.gatekeeper,
            disabled: disabled.is_some(),
            ..Goal::new(pool.on_chain(), signing.unwrap_or_default(), worker.stake)
        };
        let placed = Placed { name, endpoint: worker.endpoint.clone(), goal };
        plan.workers.insert(worker.name.clone(), placed);
    }
    plan
}

/// Why nothing is to be sent to a worker, if so.
fn disabled(worker: &WorkerRecord, pool: &Pool) -> Option<String> {
    if !worker.enabled {
        return Some(format!("it is disabled; `prb worker enable {}`", worker.name));
    }
    (!pool.enabled).then(|| format!("pool {0} is disabled; `prb pool enable {0}`", pool.pid))
}

/// The account that owns a pool for which somebody can sign; else why nobody can.
fn signs(
    pool: &Pool,
    operators: &BTreeMap<&str, &Operator>,
    unusable: &BTreeMap<String, String>,
) -> Result<AccountId, String> {
    let Some(operator) = pool.operator.as_deref().and_then(|name| operators.get(name)) else {
        return Err(format!("pool {0} has no operator; `prb pool set {0} --operator NAME`", pool.pid));
    };
    match unusable.get(&operator.name) {
        Some(cause) => Err(format!("operator {} cannot sign: {cause}", operator.name)),
        None => Ok(operator.owner()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Sealed;

    fn operator(name: &str, account: u8) -> Operator {
        Operator {
            name: name.into(),
            account: AccountId([account; 32]),
            proxied: None,
            secret: Sealed::lost(),
        }
    }

    fn worker(name: &str, pool: u64) -> WorkerRecord {
        WorkerRecord::new(name, format!("http://{name}:8000"), pool, 5)
    }

    /// Pool 1 of alice, pool 2 of bob for someone else, pool 3 of nobody; a worker in each.
    fn snapshot() -> Snapshot {
        Snapshot {
            operators: vec![
                operator("alice", 1),
                Operator { proxied: Some(AccountId([9; 32])), ..operator("bob", 2) },
            ],
            pools: vec![
                Pool::new(1, Some("alice".into())),
                Pool::new(2, Some("bob".into())),
                Pool::new(3, None),
            ],
            workers: vec![worker("w1", 1), worker("w2", 2), worker("w3", 3)],
            revision: 1,
        }
    }

    fn unusable(name: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), "no key".to_owned())])
    }

    #[test]
    fn every_worker_gets_the_goal_of_its_record_pool_and_operator() {
        let plan = plan(&snapshot(), &BTreeMap::new());
        let goal = |name: &str| plan.workers[name].goal.clone();
        assert_eq!(
            (goal("w1").operator, goal("w1").sync_only, goal("w1").stake),
            (AccountId([1; 32]), false, 5)
        );
        assert_eq!(goal("w2").operator, AccountId([9; 32]), "the pool's owner is the proxied account");
        assert!(goal("w3").sync_only && goal("w3").unsigned, "nobody can sign for it");
        assert!(!goal("w1").unsigned && !goal("w2").unsigned);
        assert_eq!(plan.unfit.keys().collect::<Vec<_>>(), ["w3"]);
        assert!(plan.unfit["w3"].fed && plan.unfit["w3"].why.contains("pool set 3 --operator"));
    }

    /// Also v3_f28, v3_f29.
    #[test]
    fn v3_f30_what_is_disabled_is_sent_nothing_and_what_is_sync_only_is_only_fed() {
        type Case<'a> = (fn(&mut Snapshot), &'a str, (bool, bool, bool));
        let cases: &[Case<'_>] = &[
            (
                |at| at.workers[0].enabled = false,
                "it is disabled; `prb worker enable w1`",
                (true, false, false),
            ),
            (
                |at| at.pools[0].enabled = false,
                "pool 1 is disabled; `prb pool enable 1`",
                (true, false, false),
            ),
            (|at| at.workers[0].sync_only = true, "", (false, true, false)),
            (|at| at.pools[0].sync_only = true, "", (false, true, false)),
            (|at| at.workers[0].gatekeeper = true, "", (false, false, true)),
        ];
        for (change, why, flags) in cases {
            let mut snapshot = snapshot();
            change(&mut snapshot);
            let plan = plan(&snapshot, &BTreeMap::new());
            let goal = &plan.workers["w1"].goal;
            assert_eq!((goal.disabled, goal.sync_only, goal.gatekeeper), *flags, "{why}");
            assert!(!goal.unsigned, "its messages are carried");
            assert_eq!(plan.unfit.get("w1").map_or("", |unfit| unfit.why.as_str()), *why);
            let other = &plan.workers["w2"].goal;
            assert!(!other.sync_only && !other.disabled, "others go on");
        }
    }

    #[test]
    fn an_operator_that_cannot_sign_touches_its_own_workers_only_and_they_are_kept_in_step() {
        let (all, some) = (plan(&snapshot(), &BTreeMap::new()), plan(&snapshot(), &unusable("alice")));
        assert_eq!(some.workers["w2"], all.workers["w2"]);
        assert!(some.workers["w1"].goal.sync_only && some.workers["w1"].goal.unsigned);
        assert_eq!(some.unfit["w1"], Unfit { fed: true, why: "operator alice cannot sign: no key".into() });
    }

    #[test]
    fn of_two_workers_at_one_endpoint_one_runs() {
        let mut snapshot = snapshot();
        snapshot.workers[1].endpoint = "http://W1:8000/".into();
        let plan = plan(&snapshot, &BTreeMap::new());
        assert_eq!(plan.workers.keys().collect::<Vec<_>>(), ["w1", "w3"]);
        assert!(plan.unfit["w2"].why.contains("worker w1 has the same endpoint"));
        snapshot.workers[0].enabled = false;
        let plan = super::plan(&snapshot, &BTreeMap::new());
        assert!(plan.workers["w1"].goal.disabled && !plan.workers["w2"].goal.disabled);
    }

    #[test]
    fn each_change_means_the_least_for_a_worker_that_runs() {
        let now = plan(&snapshot(), &BTreeMap::new()).workers["w1"].clone();
        let goal = |change: fn(&mut Goal)| {
            let mut placed = now.clone();
            change(&mut placed.goal);
            placed
        };
        let (stake, idle) = (goal(|goal| goal.stake = 6), goal(|goal| goal.disabled = true));
        let owner = goal(|goal| goal.operator = AccountId([7; 32]));
        let elsewhere = Placed { endpoint: "http://elsewhere".into(), ..now.clone() };
        let cases = [
            (Some(&now), Step::Keep),
            (Some(&stake), Step::NewGoal(&stake)),
            (Some(&idle), Step::NewGoal(&idle)),
            (Some(&owner), Step::NewGoal(&owner)),
            (Some(&elsewhere), Step::Replace),
            (None, Step::LetGo),
        ];
        for (new, expected) in cases {
            assert_eq!(step(&now, new), expected, "{new:?}");
        }
    }
}
