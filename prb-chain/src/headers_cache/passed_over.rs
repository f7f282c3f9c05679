//! Whether the nodes beside a headers-cache are asked in its place.

use super::locked;
use prb_core::{
    backoff::{Backoff, Pace},
    port::SourceError,
};
use std::{sync::Mutex, time::Duration};
use tokio::time::Instant;

/// How long the nodes are preferred after an answer of the cache was refused.
const DISTRUST: Duration = Duration::from_secs(30);

/// How long the nodes are asked instead after the cache failed: growing, for an answer that never comes costs
/// [`HttpOptions::answer_timeout`] each time.
const PASSED_OVER: Pace = Pace { first: Duration::from_secs(10), longest: Duration::from_secs(600) };

/// A failure so long after the one before is the first again.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A cache that is passed over at times.
pub(super) struct PassedOver(Mutex<Pause>);

struct Pause {
    /// Until then: the cache failed, or an answer of it was refused.
    until: Option<Instant>,
    backoff: Backoff,
}

impl PassedOver {
    /// Not yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Pause { until: None, backoff: Backoff::new(PASSED_OVER, 0) }))
    }

    /// Whether it is at present.
    pub(super) fn is_on(&self) -> bool {
        locked(&self.0).until.is_some_and(|until| Instant::now() < until)
    }

    /// An answer of it was refused.
    pub(super) fn distrust(&self) {
        let until = Instant::now() + DISTRUST;
        let mut passed_over = locked(&self.0);
        passed_over.until = passed_over.until.max(Some(until));
    }

    /// Passes the cache over for a while if this may happen again at every question.
    pub(super) fn failed(&self, error: &SourceError) {
        let lasting = matches!(
            error,
            SourceError::Timeout { .. }
                | SourceError::Unreachable { .. }
                | SourceError::Bad { .. }
                | SourceError::TooLarge { .. }
                | SourceError::Foreign { .. }
        );
        let now = Instant::now();
        let mut passed_over = locked(&self.0);
        // Of several questions that failed together one counts.
        if !lasting || passed_over.until.is_some_and(|until| now < until) {
            tracing::debug!(%error, "asking the nodes instead");
            return;
        }
        if passed_over.until.is_some_and(|until| now.saturating_duration_since(until) > FORGOTTEN) {
            passed_over.backoff.succeeded();
        }
        let pause = passed_over.backoff.failed();
        passed_over.until = Some(now + pause);
        metrics::counter!("prb_headers_cache_passed_over_total").increment(1);
        match passed_over.backoff.failures() {
            1 => {
                tracing::warn!(cause = %error, "the headers-cache fails; the nodes are asked instead for a while")
            }
            failures => tracing::debug!(%error, failures, ?pause, "the headers-cache fails still"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_failures_together_count_once() {
        let passed_over = PassedOver::new();
        let until = |until| locked(&passed_over.0).until = until;
        let pause = || locked(&passed_over.0).until.unwrap().saturating_duration_since(Instant::now());
        let late = SourceError::Timeout { endpoint: "cache".into(), what: "it".into(), seconds: 60 };
        passed_over.failed(&late);
        passed_over.failed(&late);
        assert_eq!(locked(&passed_over.0).backoff.failures(), 1);
        let first = pause();
        for _ in 0..3 {
            until(Some(Instant::now()));
            passed_over.failed(&late);
        }
        assert!(passed_over.is_on() && pause() > first * 3, "{first:?}, {:?}", pause());
        // What it lacks is no failure.
        until(None);
        passed_over.failed(&SourceError::Missing { endpoint: "cache".into(), what: "it".into() });
        assert!(!passed_over.is_on());
        passed_over.distrust();
        assert!(passed_over.is_on());
    }
}
