//! What prb's own routes answer.

use super::{
    answers::{
        LastMessage, Memory, Operator, Operators, Pool, Pools, Session, Transactions, Version, Worker,
        WorkerHeights, Workers,
    },
    ask::{Filter, Page},
    fleet::{Fleet, Row},
    pace::Pace,
    times::rfc3339,
};
use crate::{
    account::{PHALA_PREFIX, address},
    queue::TransactionRow,
    v3::status::session_state,
};
use prb_chain::journal::{Entry, Fees};
use prb_core::{
    id::Height,
    port::{Coverage, WorkerInfo},
    progress::Leg,
    types::facts,
};

/// Text that tells this build: the revision it was made of, where whoever built it said so (`PRB_GIT_REVISION`), else its version.
pub(super) const REVISION: &str = match option_env!("PRB_GIT_REVISION") {
    Some(revision) => revision,
    None => concat!("prb-", env!("CARGO_PKG_VERSION")),
};

/// `GET /v1/version`.
pub(super) fn version() -> Version {
    Version { version: env!("CARGO_PKG_VERSION"), git_revision: option_env!("PRB_GIT_REVISION") }
}

/// `GET /v1/workers`.
pub(super) fn workers(
    fleet: &Fleet,
    filter: &Filter,
    page: Page,
    coverage: Option<&Coverage>,
    pace: &Pace,
) -> Workers {
    let wanted: Vec<Row<'_>> = fleet.rows().filter(|row| is_wanted(*row, filter)).collect();
    let Page { offset, limit } = page;
    let total = wanted.len();
    let workers = page.of(wanted).into_iter().map(|row| worker(row, coverage, pace)).collect();
    Workers { total, offset, limit, workers }
}

fn is_wanted(row: Row<'_>, filter: &Filter) -> bool {
    let Filter { state, pool, name, tag } = filter;
    state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(row.stage()))
        && pool.is_none_or(|pool| row.record.pool == pool)
        && name.as_ref().is_none_or(|part| row.record.name.contains(part.as_str()))
        && tag.as_ref().is_none_or(|tag| row.record.tags.contains(tag))
}

/// `GET /v1/workers/{id or name}`.
pub(super) fn worker(row: Row<'_>, coverage: Option<&Coverage>, pace: &Pace) -> Worker {
    let Row { record, status, unfit } = row;
    let info = status.and_then(|status| status.info.as_ref());
    let facts = status.and_then(|status| status.facts.as_ref());
    let message = status.and_then(|status| status.last_message.as_ref());
    let leg = info.zip(tip(coverage)).map(|(info, tip)| Leg {
        here: info.blocknum,
        // The worker names the next block that it wants.
        there: Height(tip.saturating_add(1)),
    });
    let eta = leg.and_then(|leg| pace.eta(&record.name, leg));
    Worker {
        id: record.id.to_string(),
        name: record.name.clone(),
        endpoint: record.endpoint.clone(),
        pool: record.pool,
        stake: record.stake.to_string(),
        enabled: record.enabled,
        sync_only: record.sync_only,
        gatekeeper: record.gatekeeper,
        tags: record.tags.clone(),
        stage: status.map(|status| status.stage.name()),
        at_tip: status.is_some_and(|status| status.at_tip),
        trouble: row.trouble().map(str::to_owned),
        waits: status.and_then(|status| status.waits.clone()),
        kept_in_step: status.is_some() && unfit.is_none_or(|unfit| unfit.fed),
        heights: info.map(heights),
        blocks_left: leg.map(Leg::left),
        eta_seconds: eta.map(|eta| eta.as_secs_f64().ceil() as u64),
        public_key: info.and_then(|info| info.public_key).map(|key| key.to_string()),
        version: info.map(|info| info.version.clone()),
        git_revision: info.map(|info| info.git_revision.clone()),
        memory: info.map(|info| Memory {
            used: info.memory.used,
            peak: info.memory.peak,
            process_peak: info.memory.process_peak,
        }),
        initial_score: facts.and_then(|facts| facts.entry.as_ref()?.initial_score),
        session: facts.and_then(|facts| facts.session.as_ref()).map(session),
        messages_synced: status.map(|status| status.messages_synced),
        commands_waiting: status.map_or(0, |status| status.commands),
        last_message: message
            .map(|message| LastMessage { at: rfc3339(message.at), text: message.text.clone() }),
    }
}

/// The last block that there is for workers.
pub(super) fn tip(coverage: Option<&Coverage>) -> Option<u32> {
    coverage.and_then(|coverage| coverage.changes).map(|changes| changes.last().0)
}

/// The last blocks that a worker has, which names the next ones that it wants.
pub(super) fn heights(info: &WorkerInfo) -> WorkerHeights {
    let last = |next: Height| next.0.checked_sub(1);
    WorkerHeights {
        relay: last(info.headernum),
        para: last(info.para_headernum),
        blocks: last(info.blocknum),
    }
}

fn session(session: &facts::Session) -> Session {
    Session {
        state: session_state(session.state),
        v: session.v.to_string(),
        ve: session.ve.to_string(),
        p_init: session.p_init,
        p_instant: session.p_instant,
        iterations: session.iterations,
        total_reward: session.total_reward.to_string(),
    }
}

/// `GET /v1/pools`.
pub(super) fn pools(fleet: &Fleet) -> Pools {
    let snapshot = &fleet.snapshot;
    let pools = snapshot.pools.iter().map(|pool| Pool {
        id: pool.id.to_string(),
        pid: pool.pid,
        name: pool.name.clone(),
        operator: pool.operator.clone(),
        enabled: pool.enabled,
        sync_only: pool.sync_only,
        workers: snapshot.workers.iter().filter(|worker| worker.pool == pool.pid).count(),
    });
    Pools { pools: pools.collect() }
}

/// `GET /v1/operators`: nothing of their secrets. `fees` were paid, if that is known here.
pub(super) fn operators(fleet: &Fleet, fees: Option<&Fees>) -> Operators {
    let snapshot = &fleet.snapshot;
    let operators = snapshot.operators.iter().map(|operator| {
        let is_its = |name: &Option<String>| name.as_ref() == Some(&operator.name);
        let paid = fees.map(|fees| fees.accounts.get(&operator.account).copied().unwrap_or_default());
        Operator {
            name: operator.name.clone(),
            account: operator.account.to_string(),
            proxied: operator.proxied.map(|account| account.to_string()),
            address: address(&operator.account, PHALA_PREFIX),
            proxied_address: operator.proxied.map(|account| address(&account, PHALA_PREFIX)),
            pools: snapshot.pools.iter().filter(|pool| is_its(&pool.operator)).map(|pool| pool.pid).collect(),
            fees_paid: paid.map(|planck| planck.to_string()),
        }
    });
    Operators { operators: operators.collect() }
}

/// `GET /v1/transactions`, newest first.
pub(super) fn transactions(paused: bool, entries: Vec<Entry>, filter: &Filter, page: Page) -> Transactions {
    let is_wanted = |entry: &Entry| {
        let Filter { state, pool, .. } = filter;
        state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(entry.stand.name()))
            && pool.is_none_or(|pool| entry.pool.is_some_and(|of| of.0 == pool))
    };
    let wanted: Vec<Entry> = entries.into_iter().rev().filter(is_wanted).collect();
    let Page { offset, limit } = page;
    let total = wanted.len();
    let transactions = page.of(wanted).iter().map(TransactionRow::of).collect();
    Transactions { paused, total, offset, limit, transactions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::v3::tests::{fleet, seen},
        inventory,
        roster::Unfit,
        secret::Sealed,
    };
    use prb_core::{
        id::{AccountId, Hash},
        lifecycle::Stage,
        moment::Moment,
        pipeline::WorkerStatus,
        port::{WorkerInfo, source::ChainIdentity},
        span::Span,
    };
    use serde_json::{Value, json};
    use std::{sync::Arc, time::Duration};

    const ALL: Page = Page { offset: 0, limit: 100 };

    fn covering(last: u32) -> Coverage {
        let zero = Hash([0; 32]);
        Coverage {
            identity: ChainIdentity { relay_chain: zero, start: zero, para_genesis: zero, para_id: 1 },
            parachain: true,
            relay: None,
            para: None,
            changes: Span::new(Height(1), Height(last)),
            state_verified: true,
            changes_form: None,
        }
    }

    #[test]
    fn v2_f030_workers_are_filtered_and_come_in_pages() {
        let mut fleet = fleet(vec![
            seen("rack1-01", Stage::Working),
            seen("rack1-02", Stage::Syncing),
            seen("rack2-01", Stage::Working),
            seen("rack2-02", Stage::Working),
        ]);
        let changed = Arc::make_mut(&mut fleet.snapshot);
        changed.workers[3].pool = 2;
        changed.workers[0].tags = vec!["gpu".to_owned()];
        fleet.running.remove("rack1-02");
        let names = |filter: Filter, page: Page| -> (usize, Vec<String>) {
            let said = workers(&fleet, &filter, page, None, &Pace::default());
            (said.total, said.workers.into_iter().map(|row| row.name).collect())
        };
        let state = |state: &str| Filter { state: Some(state.to_owned()), ..Filter::default() };
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let all = ["rack1-01", "rack1-02", "rack2-01", "rack2-02"];
        for (filter, page, total, expected) in [
            (Filter::default(), ALL, 4, &all[..]),
            (Filter::default(), Page { offset: 1, limit: 2 }, 4, &all[1..3]),
            (Filter::default(), Page { offset: 9, limit: 2 }, 4, &[]),
            (state("working"), ALL, 3, &["rack1-01", "rack2-01", "rack2-02"]),
            (state("NotRunning"), ALL, 1, &["rack1-02"]),
            (Filter { pool: Some(2), ..Filter::default() }, ALL, 1, &["rack2-02"]),
            (Filter { tag: Some("gpu".to_owned()), ..Filter::default() }, ALL, 1, &all[..1]),
            (Filter { pool: Some(1), ..state("Working") }, ALL, 2, &["rack1-01", "rack2-01"]),
            (Filter { name: Some("rack1".to_owned()), ..Filter::default() }, ALL, 2, &all[..2]),
        ] {
            assert_eq!(names(filter, page), (total, owned(expected)));
        }
    }

    #[test]
    fn v2_f030_a_worker_tells_how_far_it_is_and_for_how_long() {
        let info = WorkerInfo {
            headernum: Height(101),
            para_headernum: Height(0),
            blocknum: Height(51),
            ..WorkerInfo::default()
        };
        let fleet = fleet(vec![WorkerStatus { info: Some(info), ..seen("w", Stage::Syncing) }]);
        let mut pace = Pace::default();
        for (second, height) in [(0, 31), (10, 51)] {
            pace.look(Moment(Duration::from_secs(second)), [("w".to_owned(), Height(height))]);
        }
        let by_name = fleet.find("w").unwrap();
        let said = json!(worker(by_name, Some(&covering(250)), &pace));
        assert_eq!(said["heights"], json!({ "relay": 100, "para": null, "blocks": 50 }));
        assert_eq!((&said["blocks_left"], &said["eta_seconds"]), (&json!(200), &json!(100)));
        assert_eq!(said["memory"], json!({ "used": 0, "peak": 0, "process_peak": 0 }));
        assert_eq!((&said["stage"], &said["stake"]), (&json!("Syncing"), &json!("5000000000000000")));
        let by_id = fleet.find(&by_name.record.id.to_string()).unwrap();
        assert_eq!(by_id.record.name, "w");
        assert!(fleet.find("v").is_none());
        let unknown = json!(worker(by_name, None, &pace));
        assert_eq!((&unknown["blocks_left"], &unknown["eta_seconds"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn v2_f030_pools_and_operators_are_listed_without_secrets() {
        let mut fleet = fleet(vec![seen("w", Stage::Working)]);
        let secret: Sealed = serde_json::from_value(json!("5ea1ed5ea1ed")).unwrap();
        let snapshot = Arc::make_mut(&mut fleet.snapshot);
        snapshot.operators.push(inventory::Operator {
            name: "main".to_owned(),
            account: AccountId::default(),
            proxied: None,
            secret,
        });
        snapshot.pools.push(inventory::Pool::new(1, Some("main".to_owned())));
        snapshot.pools.push(inventory::Pool::new(2, None));
        let said = json!(pools(&fleet));
        assert_eq!((&said["pools"][0]["workers"], &said["pools"][1]["workers"]), (&json!(1), &json!(0)));
        let mut fees = Fees::default();
        assert_eq!(operators(&fleet, None).operators[0].fees_paid, None);
        fees.accounts.insert(AccountId::default(), u128::MAX);
        let said = json!(operators(&fleet, Some(&fees)));
        let main = &said["operators"][0];
        assert_eq!((&main["name"], &main["pools"]), (&json!("main"), &json!([1])));
        assert_eq!(
            (&main["fees_paid"], &main["proxied_address"]),
            (&json!(u128::MAX.to_string()), &Value::Null)
        );
        assert_eq!(main["address"], json!(address(&AccountId::default(), PHALA_PREFIX)));
        let all = said.to_string();
        assert!(!all.contains("secret") && !all.contains("5ea1ed"), "{all}");
    }

    #[test]
    fn a_worker_that_is_left_out_says_why() {
        let mut fleet = fleet(vec![seen("w", Stage::Syncing)]);
        fleet.unfit.insert("w".to_owned(), Unfit { fed: true, why: "no operator".to_owned() });
        let said = json!(worker(fleet.find("w").unwrap(), None, &Pace::default()));
        assert_eq!((&said["trouble"], &said["kept_in_step"]), (&json!("no operator"), &json!(true)));
    }
}
