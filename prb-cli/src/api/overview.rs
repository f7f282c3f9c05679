//! What `GET /v1/overview` answers: how everything is, for one look.

use super::{
    answers::{Finalized, Overview, StoredHeights, TransactionCounts, WorkerCounts},
    fleet::Fleet,
};
use crate::deployment::SourceStatus;
use prb_chain::journal::Entry;
use prb_core::{
    port::{Coverage, Tips},
    span::Span,
};
use std::collections::BTreeMap;

/// What is known beside the fleet.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Why the bridge does not get on.
    pub(super) reasons: Vec<String>,
    pub(super) coverage: Option<Coverage>,
    pub(super) tips: Option<Tips>,
    pub(super) sources: Vec<SourceStatus>,
    /// Whether transactions are paused, and those that are known; none where they are made elsewhere.
    pub(super) journal: Option<(bool, Vec<Entry>)>,
}

/// How everything is.
pub(super) fn view(fleet: &Fleet, seen: Seen) -> Overview {
    let Seen { reasons, coverage, tips, sources, journal } = seen;
    let mut workers = WorkerCounts { total: 0, in_trouble: 0, stages: BTreeMap::new() };
    for row in fleet.rows() {
        workers.total += 1;
        workers.in_trouble += usize::from(row.record.enabled && row.trouble().is_some());
        *workers.stages.entry(row.stage()).or_default() += 1;
    }
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        ready: reasons.is_empty(),
        reasons,
        heights: coverage.as_ref().map(|coverage| StoredHeights {
            relay: span(coverage.relay),
            para: span(coverage.para),
            changes: span(coverage.changes),
        }),
        parachain: coverage.map(|coverage| coverage.parachain),
        finalized: tips.map(|tips| Finalized { relay: tips.relay.0, para: tips.para.0 }),
        sources,
        workers,
        transactions: journal.map(|(paused, entries)| transactions(paused, &entries)),
    }
}

/// First and last height.
fn span(span: Option<Span>) -> Option<[u32; 2]> {
    span.map(|span| [span.first().0, span.last().0])
}

fn transactions(paused: bool, entries: &[Entry]) -> TransactionCounts {
    let mut states = BTreeMap::new();
    for entry in entries {
        *states.entry(entry.stand.name()).or_default() += 1;
    }
    TransactionCounts { paused, states }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::v3::tests::{fleet, seen},
        roster::Unfit,
    };
    use prb_core::{id::Height, lifecycle::Stage};
    use serde_json::{Value, json};

    #[test]
    fn workers_are_counted_by_stage_and_those_in_trouble() {
        let mut fleet = fleet(vec![
            seen("w1", Stage::Working),
            seen("w2", Stage::Working),
            seen("w3", Stage::Syncing),
            seen("w4", Stage::Syncing),
        ]);
        fleet.running.remove("w4");
        fleet.unfit.insert("w4".to_owned(), Unfit { fed: false, why: "no operator".to_owned() });
        let said = json!(view(&fleet, Seen::default()));
        let expected = json!({
            "total": 4, "in_trouble": 1, "stages": { "NotRunning": 1, "Syncing": 1, "Working": 2 },
        });
        assert_eq!(said["workers"], expected);
        // Nobody has to look after one that is switched off.
        std::sync::Arc::make_mut(&mut fleet.snapshot).workers[3].enabled = false;
        assert_eq!(view(&fleet, Seen::default()).workers.in_trouble, 0);
    }

    #[test]
    fn what_is_not_known_is_null_and_a_reason_is_told() {
        let nothing = json!(view(&Fleet::default(), Seen::default()));
        for key in ["heights", "finalized", "transactions", "parachain"] {
            assert_eq!(nothing[key], Value::Null, "{key}");
        }
        assert_eq!(nothing["ready"], true);
        let tips = Tips { relay: Height(9), para: Height(7) };
        let seen = Seen {
            reasons: vec!["there is no data yet".to_owned()],
            tips: Some(tips),
            journal: Some((true, Vec::new())),
            ..Seen::default()
        };
        let said = json!(view(&Fleet::default(), seen));
        assert_eq!((&said["ready"], &said["reasons"][0]), (&json!(false), &json!("there is no data yet")));
        assert_eq!(said["finalized"], json!({ "relay": 9, "para": 7 }));
        assert_eq!(said["transactions"], json!({ "paused": true, "states": {} }));
    }
}
