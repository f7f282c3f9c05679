//! What is told of readers that do what they should not: once while it lasts.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Trouble of a kind is over when there was none of it for so long.
const OVER: Duration = Duration::from_secs(60);

/// The kinds of trouble that there were, with when they were there last. A flood must not fill the log.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<&'static str, Instant>>);

impl Troubles {
    /// Whether trouble of this kind begins. If not, somebody was told of it already.
    pub fn begins(&self, kind: &'static str) -> bool {
        let now = Instant::now();
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, now);
        last.is_none_or(|last| now.duration_since(last) >= OVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_told_once_while_it_lasts_and_again_when_it_comes_back() {
        let troubles = Troubles::default();
        assert!(troubles.begins("stall") && troubles.begins("flood"), "each kind");
        for _ in 0..10 {
            advance(OVER / 2).await;
            assert!(!troubles.begins("stall"));
        }
        advance(OVER).await;
        assert!(troubles.begins("stall"));
    }
}
