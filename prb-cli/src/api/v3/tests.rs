//! The JSON of v3, as its reference has it.

use super::*;
pub(in crate::api) use crate::v3::status::tests::seen;
use crate::{inventory::WorkerRecord, roster::Unfit};
use prb_core::{id::PoolId, lifecycle::Stage, pipeline::WorkerStatus as Seen};
use serde_json::{Value, json};
use std::sync::Arc;

/// A fleet of workers that run and stand like these.
pub(in crate::api) fn fleet(running: Vec<Seen>) -> Fleet {
    let mut fleet = Fleet::default();
    for seen in running {
        let name = seen.worker.name.to_string();
        let record = WorkerRecord::new(
            name.as_str(),
            format!("http://10.0.0.2:8000/{name}"),
            1,
            5_000_000_000_000_000,
        );
        Arc::make_mut(&mut fleet.snapshot).workers.push(record);
        fleet.running.insert(name, seen);
    }
    fleet
}

fn status(fleet: &Fleet) -> Value {
    serde_json::from_str(&serde_json::to_string(&WorkersStatus::of(fleet)).unwrap()).unwrap()
}

#[test]
fn v3_f23_workers_that_do_not_run_are_listed_with_the_reason() {
    let mut fleet =
        fleet(vec![seen("off", Stage::Starting), seen("new", Stage::Starting), seen("odd", Stage::Starting)]);
    fleet.running.clear();
    Arc::make_mut(&mut fleet.snapshot).workers[0].enabled = false;
    fleet.unfit.insert("odd".to_owned(), Unfit { fed: false, why: "there is no pool 1".to_owned() });
    let status = status(&fleet);
    let states: Vec<_> = (0..3).map(|at| status["workers"][at]["state"].clone()).collect();
    assert_eq!(states, [json!("Disabled"), json!("Starting"), json!({ "HasError": "there is no pool 1" })]);
}

fn entry(number: u64, stand: Stand) -> Entry {
    Entry {
        job: JobId { era: 1_700_000_000_000_000, number },
        pool: Some(PoolId(3)),
        stand,
        description: "register worker w".to_owned(),
        accepted: Some(1_717_052_460_000),
        sent: None,
        ended: None,
        extrinsic: None,
        message: None,
    }
}

#[test]
fn v3_f36_transactions_are_written_as_v3_writes_them() {
    let done = Entry { ended: Some(1_717_052_462_007), ..entry(0, Stand::Done) };
    let failed = Entry {
        message: Some("BadSequence".to_owned()),
        ended: Some(1_717_052_463_000),
        ..entry(1, Stand::Failed)
    };
    let sent = Entry { sent: Some(1_717_052_461_000), pool: None, ..entry(2, Stand::Sent) };
    let status = TxStatus::of(&[done, failed, sent, entry(3, Stand::Waiting)]);
    let status: Value = serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap();
    let tx = |number: u64, pid: u64, state: Value| {
        json!({
            "id": 1_700_000_000_000_000 + number, "state": state, "desc": "register worker w", "pid": pid,
            "created_at": "2024-05-30T07:01:00.000Z",
        })
    };
    let error = json!({ "Error": { "updated_at": "2024-05-30T07:01:03.000Z", "message": "BadSequence" } });
    let success = json!({ "Success": { "updated_at": "2024-05-30T07:01:02.007Z" } });
    assert_eq!(
        status,
        json!({
            "tx_count": 4,
            "running_txs": [tx(2, 0, json!("Running"))],
            "pending_txs": [tx(3, 3, json!("Pending"))],
            "past_txs": [tx(1, 3, error), tx(0, 3, success)],
        })
    );
}
