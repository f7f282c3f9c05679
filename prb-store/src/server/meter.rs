//! How fast coverage grows.

use prb_core::{port::Coverage, span::Span};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Time between samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// Samples kept: a minute.
const KEPT: usize = 13;

/// Heights at one time.
struct Sample {
    at: Instant,
    heights: [Option<u32>; 3],
}

/// The last minute.
#[derive(Default)]
pub(super) struct Meter(Mutex<VecDeque<Sample>>);

impl Meter {
    pub(super) fn sample(&self, coverage: &Coverage) {
        let mut samples = self.samples();
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(Sample { at: Instant::now(), heights: heights(coverage) });
    }

    /// Blocks per second of each chain over the last minute, null until that is known.
    pub(super) fn rates(&self) -> Value {
        let samples = self.samples();
        let rate = |which: usize| {
            let (old, new) = (samples.front()?, samples.back()?);
            let seconds = new.at.duration_since(old.at).as_secs_f64();
            let blocks = new.heights[which]?.checked_sub(old.heights[which]?)?;
            (seconds > 0.0).then(|| f64::from(blocks) / seconds)
        };
        json!({ "relay": rate(0), "para": rate(1), "changes": rate(2) })
    }

    fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn heights(coverage: &Coverage) -> [Option<u32>; 3] {
    [coverage.relay, coverage.para, coverage.changes].map(|span| span.map(|span: Span| span.last().0))
}
