//! What prb's own routes answer.

use super::{
    ask::{Filter, Page},
    fleet::{Fleet, Row},
    pace::Pace,
    times::rfc3339,
};
use crate::{
    account::{PHALA_PREFIX, address},
    queue::as_json,
    v3::status::session_state,
};
use prb_chain::journal::{Entry, Fees};
use prb_core::{id::Height, port::Coverage, progress::Leg};
use serde_json::{Value, json};

/// Text that tells this build: the revision it was made of, where whoever built it said so (`PRB_GIT_REVISION`), else its version.
pub(super) const REVISION: &str = match option_env!("PRB_GIT_REVISION") {
    Some(revision) => revision,
    None => concat!("prb-", env!("CARGO_PKG_VERSION")),
};

/// `GET /v1/version`.
pub(super) fn version() -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION"), "git_revision": option_env!("PRB_GIT_REVISION") })
}

/// `GET /v1/workers`.
pub(super) fn workers(
    fleet: &Fleet,
    filter: &Filter,
    page: Page,
    coverage: Option<&Coverage>,
    pace: &Pace,
) -> Value {
    let wanted: Vec<Row<'_>> = fleet.rows().filter(|row| is_wanted(*row, filter)).collect();
    let total = wanted.len();
    let rows = page.of(wanted).into_iter().map(|row| worker(row, coverage, pace));
    let Page { offset, limit } = page;
    json!({ "total": total, "offset": offset, "limit": limit, "workers": rows.collect::<Vec<_>>() })
}

fn is_wanted(row: Row<'_>, filter: &Filter) -> bool {
    let Filter { state, pool, name } = filter;
    let stage = row.status.map_or("NotRunning", |status| status.stage.name());
    state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(stage))
        && pool.is_none_or(|pool| row.record.pool == pool)
        && name.as_ref().is_none_or(|part| row.record.name.contains(part.as_str()))
}

/// `GET /v1/workers/{id or name}`.
pub(super) fn worker(row: Row<'_>, coverage: Option<&Coverage>, pace: &Pace) -> Value {
    let Row { record, status, unfit } = row;
    let mut value = json!(record);
    let info = status.and_then(|status| status.info.as_ref());
    let last = |next: Height| next.0.checked_sub(1);
    let tip = coverage.and_then(|coverage| coverage.changes).map(|changes| changes.last());
    let leg = info.zip(tip).map(|(info, tip)| Leg {
        here: info.blocknum,
        // The worker names the next block that it wants.
        there: Height(tip.0.saturating_add(1)),
    });
    let eta = leg.and_then(|leg| pace.eta(&record.name, leg));
    let facts = status.and_then(|status| status.facts.as_ref());
    let session = facts.and_then(|facts| facts.session.as_ref()).map(|session| {
        json!({
            "state": session_state(session.state),
            "v": session.v.to_string(),
            "ve": session.ve.to_string(),
            "p_init": session.p_init,
            "p_instant": session.p_instant,
            "iterations": session.iterations,
            "total_reward": session.total_reward.to_string(),
        })
    });
    let more = json!({
        "stage": status.map(|status| status.stage.name()),
        "at_tip": status.is_some_and(|status| status.at_tip),
        "trouble": row.trouble(),
        "waits": status.and_then(|status| status.waits.as_deref()),
        "kept_in_step": status.is_some() && unfit.is_none_or(|unfit| unfit.fed),
        "heights": info.map(|info| json!({
            "relay": last(info.headernum), "para": last(info.para_headernum), "blocks": last(info.blocknum),
        })),
        "blocks_left": leg.map(Leg::left),
        "eta_seconds": eta.map(|eta| eta.as_secs_f64().ceil() as u64),
        "public_key": info.and_then(|info| info.public_key).map(|key| key.to_string()),
        "version": info.map(|info| info.version.as_str()),
        "git_revision": info.map(|info| info.git_revision.as_str()),
        "memory": info.map(|info| json!({
            "used": info.memory.used, "peak": info.memory.peak, "process_peak": info.memory.process_peak,
        })),
        "initial_score": facts.and_then(|facts| facts.entry.as_ref()?.initial_score),
        "session": session,
        "messages_synced": status.map(|status| status.messages_synced),
        "commands_waiting": status.map_or(0, |status| status.commands),
        "last_message": status.and_then(|status| status.last_message.as_ref()).map(|message| json!({
            "at": rfc3339(message.at), "text": message.text,
        })),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    value
}

/// `GET /v1/pools`.
pub(super) fn pools(fleet: &Fleet) -> Value {
    let snapshot = &fleet.snapshot;
    let pools = snapshot.pools.iter().map(|pool| {
        let mut value = json!(pool);
        let workers = snapshot.workers.iter().filter(|worker| worker.pool == pool.pid).count();
        if let Value::Object(value) = &mut value {
            value.insert("workers".to_owned(), json!(workers));
        }
        value
    });
    json!({ "pools": pools.collect::<Vec<_>>() })
}

/// `GET /v1/operators`: nothing of their secrets. `fees` were paid, if that is known here.
pub(super) fn operators(fleet: &Fleet, fees: Option<&Fees>) -> Value {
    let snapshot = &fleet.snapshot;
    let operators = snapshot.operators.iter().map(|operator| {
        let mut value = operator.view();
        let is_its = |name: &Option<String>| name.as_ref() == Some(&operator.name);
        let pools = snapshot.pools.iter().filter(|pool| is_its(&pool.operator)).map(|pool| pool.pid);
        if let Value::Object(value) = &mut value {
            value.insert("pools".to_owned(), pools.collect());
            value.insert("address".to_owned(), json!(address(&operator.account, PHALA_PREFIX)));
            let proxied = operator.proxied.map(|account| address(&account, PHALA_PREFIX));
            value.insert("proxied_address".to_owned(), json!(proxied));
            let paid = fees.map(|fees| fees.accounts.get(&operator.account).copied().unwrap_or_default());
            value.insert("fees_paid".to_owned(), json!(paid.map(|planck| planck.to_string())));
        }
        value
    });
    json!({ "operators": operators.collect::<Vec<_>>() })
}

/// `GET /v1/transactions`, newest first.
pub(super) fn transactions(paused: bool, entries: Vec<Entry>, filter: &Filter, page: Page) -> Value {
    let is_wanted = |entry: &Entry| {
        let Filter { state, pool, .. } = filter;
        state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(entry.stand.name()))
            && pool.is_none_or(|pool| entry.pool.is_some_and(|of| of.0 == pool))
    };
    let wanted: Vec<Entry> = entries.into_iter().rev().filter(is_wanted).collect();
    let total = wanted.len();
    let rows: Vec<Value> = page.of(wanted).iter().map(as_json).collect();
    let Page { offset, limit } = page;
    json!({ "paused": paused, "total": total, "offset": offset, "limit": limit, "transactions": rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::v3::tests::{fleet, seen},
        inventory::{Operator, Pool},
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
        Arc::make_mut(&mut fleet.snapshot).workers[3].pool = 2;
        fleet.running.remove("rack1-02");
        let names = |filter: Filter, page: Page| -> (u64, Vec<String>) {
            let said = workers(&fleet, &filter, page, None, &Pace::default());
            let rows = said["workers"].as_array().unwrap().iter();
            (
                said["total"].as_u64().unwrap(),
                rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect(),
            )
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
        let said = worker(by_name, Some(&covering(250)), &pace);
        assert_eq!(said["heights"], json!({ "relay": 100, "para": null, "blocks": 50 }));
        assert_eq!((&said["blocks_left"], &said["eta_seconds"]), (&json!(200), &json!(100)));
        assert_eq!(said["memory"], json!({ "used": 0, "peak": 0, "process_peak": 0 }));
        assert_eq!((&said["stage"], &said["stake"]), (&json!("Syncing"), &json!("5000000000000000")));
        let by_id = fleet.find(&by_name.record.id.to_string()).unwrap();
        assert_eq!(by_id.record.name, "w");
        assert!(fleet.find("v").is_none());
        let unknown = worker(by_name, None, &pace);
        assert_eq!((&unknown["blocks_left"], &unknown["eta_seconds"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn v2_f030_pools_and_operators_are_listed_without_secrets() {
        let mut fleet = fleet(vec![seen("w", Stage::Working)]);
        let secret: Sealed = serde_json::from_value(json!("5ea1ed5ea1ed")).unwrap();
        let snapshot = Arc::make_mut(&mut fleet.snapshot);
        snapshot.operators.push(Operator {
            name: "main".to_owned(),
            account: AccountId::default(),
            proxied: None,
            secret,
        });
        snapshot.pools.push(Pool::new(1, Some("main".to_owned())));
        snapshot.pools.push(Pool::new(2, None));
        let said = pools(&fleet);
        assert_eq!((&said["pools"][0]["workers"], &said["pools"][1]["workers"]), (&json!(1), &json!(0)));
        let mut fees = Fees::default();
        assert_eq!(operators(&fleet, None)["operators"][0]["fees_paid"], Value::Null);
        fees.accounts.insert(AccountId::default(), u128::MAX);
        let said = operators(&fleet, Some(&fees));
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
        let said = worker(fleet.find("w").unwrap(), None, &Pace::default());
        assert_eq!((&said["trouble"], &said["kept_in_step"]), (&json!("no operator"), &json!(true)));
    }
}
