//! Growing pauses between attempts, with jitter from a seed so that a run can be replayed.

use std::time::Duration;

/// How pauses grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// First pause. Typical: 500 ms.
    pub first: Duration,
    /// Longest pause. Longer hides that the cause is gone, shorter hammers what is down. Typical: 30 s.
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

/// Pauses of one party that fails: each about twice the one before, spread by up to a quarter either way so that
/// parties that failed together do not return together.
#[derive(Clone, Debug)]
pub struct Backoff {
    pace: Pace,
    failures: u32,
    seed: u64,
}

impl Backoff {
    /// No failures yet. Different parties take different seeds.
    pub const fn new(pace: Pace, seed: u64) -> Self {
        Self { pace, failures: 0, seed }
    }

    /// Counts a failure and answers how long to wait.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.pace.first.saturating_mul(1 << self.failures.min(20)).min(self.pace.longest);
        self.failures = self.failures.saturating_add(1);
        let spread = self.random() % 501; // thousandths: 750 to 1250
        doubled.mul_f64((750 + spread) as f64 / 1000.0)
    }

    /// Forgets past failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::new(Pace::default(), seed);
        (0..count).map(|_| backoff.failed()).collect()
    }

    #[test]
    fn pauses_grow_to_the_longest_and_stay_within_a_quarter() {
        for (failure, pause) in pauses(7, 12).into_iter().enumerate() {
            let exact = Duration::from_millis(500).saturating_mul(1 << failure).min(Duration::from_secs(30));
            assert!(pause >= exact.mul_f64(0.75) && pause <= exact.mul_f64(1.25), "{failure}: {pause:?}");
        }
    }

    #[test]
    fn the_same_seed_replays_and_another_differs() {
        assert_eq!(pauses(1, 5), pauses(1, 5));
        assert_ne!(pauses(1, 5), pauses(2, 5));
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::new(Pace::default(), 3);
        for _ in 0..9 {
            backoff.failed();
        }
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_millis(625));
    }
}
