//! How a worker is, as v2 writes it.

use super::workers;
use crate::{
    account::{PHALA_PREFIX, address},
    inventory::WorkerRecord,
    roster::Unfit,
    units,
    v3::status::{last_message, said, session_state},
};
use prb_core::{
    id::{Height, PoolId},
    lifecycle::Stage,
    pipeline,
    storage_key::session_account,
    types::facts::Session,
};
use prb_p2p::message::{WorkerState, WorkerStatus};
use serde_json::{Map, Value, json};

/// A worker of the inventory, and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'f> {
    pub(super) record: &'f WorkerRecord,
    /// None while it does not run.
    pub(super) status: Option<&'f pipeline::WorkerStatus>,
    /// Why it is not at work as the inventory says.
    pub(super) unfit: Option<&'f Unfit>,
}

/// All of it.
pub(super) fn of(seen: Seen<'_>) -> WorkerState {
    let Seen { record, status, .. } = seen;
    let (stand, why) = stand(seen);
    let info = status.and_then(|status| status.info.as_ref());
    let facts = status.and_then(|status| status.facts.as_ref());
    let key = info.and_then(|info| info.public_key);
    let session = facts.and_then(|facts| facts.session.as_ref());
    let account = key.zip(session).map(|(key, _)| session_account(PoolId(record.pool), &key));
    let started = info.filter(|info| info.initialized);
    WorkerState {
        status: Some(stand.into()),
        parent_header_synched_to: started.map(|info| last(info.headernum)),
        para_header_synched_to: started.map(|info| last(info.para_headernum)),
        para_block_dispatched_to: started.map(|info| last(info.blocknum)),
        initialized: info.map(|info| info.initialized),
        worker: Some(workers::row(record)),
        public_key: key.map(|key| hex::encode(key.0)),
        last_message: why.or_else(|| Some(last_message(status)).filter(|message| !message.is_empty())),
        session_info_json: info.map(|info| session_info(session, said(info))),
        worker_account_id: account.map(|account| address(&account, PHALA_PREFIX)),
    }
}

/// v2's name for what is done with a worker, and why it does not get on.
///
/// What v2 calls kicked is a worker that was told to stop: it is away, and starts again when its process does.
fn stand(seen: Seen<'_>) -> (WorkerStatus, Option<String>) {
    let Seen { record, status, unfit } = seen;
    let stage = status.map(|status| status.stage);
    let trouble = unfit.map(|unfit| &unfit.why).or_else(|| status?.trouble.as_ref()).cloned();
    match stage {
        _ if !record.enabled => (WorkerStatus::Idle, trouble),
        Some(Stage::Disabled) => (WorkerStatus::Idle, trouble),
        _ if trouble.is_some() => (WorkerStatus::Error, trouble),
        None => (WorkerStatus::Idle, None),
        Some(Stage::Starting | Stage::Initializing) => (WorkerStatus::Starting, None),
        Some(Stage::Syncing) => (WorkerStatus::Synching, None),
        Some(Stage::SyncOnly) => (WorkerStatus::Synched, None),
        Some(Stage::Registering | Stage::AwaitingScore | Stage::JoiningPool | Stage::StartingComputing) => {
            (WorkerStatus::PreActive, None)
        }
        // Whatever its session is; the session tells.
        Some(Stage::Working | Stage::Unresponsive | Stage::CoolingDown | Stage::Gatekeeper) => {
            (WorkerStatus::Active, None)
        }
        Some(Stage::InAnotherPool) => {
            (WorkerStatus::Error, Some("the worker is in another pool; remove it there".to_owned()))
        }
    }
}

/// The last height that a worker has, of the next one that it names; -1 if it has none.
fn last(next: Height) -> i32 {
    i32::try_from(i64::from(next.0) - 1).unwrap_or(i32::MAX)
}

/// JSON for people: the session on chain with numbers as text, the same with plain values as `raw`, and what the worker
/// says of itself as `runtimeInfo`.
fn session_info(session: Option<&Session>, said: Value) -> String {
    let mut all = session.map(for_people).unwrap_or_default();
    if let Some(session) = session {
        all.insert("raw".to_owned(), raw(session));
    }
    all.insert("runtimeInfo".to_owned(), in_camel_case(said));
    format!("{:#}", Value::Object(all))
}

fn for_people(session: &Session) -> Map<String, Value> {
    let value = json!({
        "state": session_state(session.state),
        "v": value_text(session.v),
        "ve": value_text(session.ve),
        "vUpdatedAt": grouped(session.v_updated_at),
        "benchmark": {
            "pInit": grouped(session.p_init),
            "pInstant": grouped(session.p_instant),
            "iterations": grouped(session.iterations),
            "workingStartTime": grouped(session.working_start_time),
            "challengeTimeLast": grouped(session.challenge_time_last),
        },
        "coolDownStart": grouped(session.cool_down_start),
        "stats": { "totalReward": units::format(session.total_reward) },
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Numbers of 128 bits are strings: other programs would lose digits.
fn raw(session: &Session) -> Value {
    json!({
        "state": session_state(session.state),
        "v": session.v.to_string(),
        "ve": session.ve.to_string(),
        "vUpdatedAt": session.v_updated_at,
        "benchmark": {
            "pInit": session.p_init,
            "pInstant": session.p_instant,
            "iterations": session.iterations,
            "workingStartTime": session.working_start_time,
            "challengeTimeLast": session.challenge_time_last,
        },
        "coolDownStart": session.cool_down_start,
        "stats": { "totalReward": session.total_reward.to_string() },
    })
}

/// U64F64 bits with 8 decimals.
fn value_text(bits: u128) -> String {
    const ONE: u128 = 100_000_000;
    let (whole, fraction) = (bits >> 64, bits & u128::from(u64::MAX));
    let rounded = whole * ONE + ((fraction * ONE + (1 << 63)) >> 64);
    format!("{}.{:08}", rounded / ONE, rounded % ONE)
}

/// A number in groups of three digits, `1,234,567`.
fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same with names like `paraHeadernum`.
fn in_camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (camel(&name), in_camel_case(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(in_camel_case).collect(),
        other => other,
    }
}

fn camel(name: &str) -> String {
    let mut upper = false;
    let letters = name.chars().filter_map(|letter| {
        let wanted = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = letter == '_';
        (!upper).then_some(wanted)
    });
    letters.collect()
}

#[cfg(test)]
mod tests;
