//! What has changed of workers since they were looked at last.

use super::{Place, Stand};
use crate::v3::status::{State, WorkerStatus, last_message};
use prb_core::port::WorkerInfo;
use serde_json::json;
use std::collections::BTreeMap;

/// How each worker stood, by name.
#[derive(Default)]
pub struct Changes(BTreeMap<String, Known>);

#[derive(Default)]
struct Known {
    told: Option<(State, String)>,
    place: Option<Place>,
    /// It was seen without a runtime.
    was_fresh: bool,
    /// It was at the tip.
    synced: bool,
}

impl Changes {
    /// Statuses of the workers whose state or last message is another one, as v3 posts them, and places of those that are
    /// elsewhere, as pherry posts them, by name.
    pub fn of(&mut self, stand: Stand<'_>) -> (Vec<String>, Vec<(String, Place)>) {
        let (mut statuses, mut places) = (Vec::new(), Vec::new());
        let mut before = std::mem::take(&mut self.0);
        for seen in stand.workers {
            let name = seen.worker.name.to_string();
            let mut known = before.remove(&name).unwrap_or_default();
            if let Some(record) = stand.inventory.and_then(|inventory| inventory.worker(&name)) {
                let unfit = stand.unfit.and_then(|unfit| unfit.get(&name));
                let told = Some((State::of(record, Some(seen), unfit), last_message(Some(seen))));
                if known.told != told {
                    known.told = told;
                    // None of its types fails to become JSON.
                    statuses.extend(serde_json::to_string(&WorkerStatus::of(record, Some(seen), unfit)));
                }
            }
            if let Some(info) = &seen.info {
                known.was_fresh |= !info.initialized;
                known.synced |= seen.at_tip;
                let place = known.place_of(info);
                if known.place.as_ref() != Some(&place) {
                    known.place = Some(place.clone());
                    places.push((name.clone(), place));
                }
            }
            self.0.insert(name, known);
        }
        (statuses, places)
    }
}

impl Known {
    fn place_of(&self, info: &WorkerInfo) -> Place {
        json!({
            "headernum": info.headernum.0,
            "blocknum": info.blocknum.0,
            "pruntime_initialized": info.initialized,
            "pruntime_new_init": info.initialized && self.was_fresh,
            "initial_sync_finished": self.synced,
        })
    }
}
