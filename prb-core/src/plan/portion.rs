//! How much of the storage changes a worker gets at once.

use std::time::Duration;

/// Bytes of storage changes for a worker's next request, by how long it took for those before.
///
/// A worker answers nobody while it works on a request, so one that is slow gets less at once: it then sees its
/// heartbeat challenges in time. A request that failed says that less may be better, too, and one that hangs holds little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    bytes: usize,
    most: usize,
}

/// Below this a request costs more than what is in it.
const LEAST: usize = 64 << 10;

/// For a worker nothing is known of.
const FIRST: usize = 1 << 20;

impl Portion {
    /// For a worker that was sent nothing yet and never gets more than `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { bytes: FIRST.min(most), most }
    }

    /// Most bytes of the next request.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The worker took `sent` bytes within `elapsed`, and `wanted` is how long a request should take.
    pub fn took(&mut self, sent: usize, elapsed: Duration, wanted: Duration) {
        if elapsed > wanted {
            let fitting = sent as f64 * wanted.as_secs_f64() / elapsed.as_secs_f64();
            self.bytes = self.bytes.min(fitting as usize).max(self.least());
        } else if elapsed < wanted / 2 && sent >= self.bytes / 2 {
            self.bytes = self.bytes.saturating_mul(2).min(self.most);
        }
    }

    /// A request failed.
    pub fn failed(&mut self) {
        self.bytes = self.least();
    }

    fn least(&self) -> usize {
        LEAST.min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const WANTED: Duration = Duration::from_secs(2);

    #[test]
    fn a_portion_follows_the_pace_of_its_worker() {
        // The portion before, bytes sent, how long that took in ms, the portion after.
        for (before, sent, millis, after) in [
            (MIB, MIB, 100, 2 * MIB),
            (4 * MIB, 4 * MIB, 100, 4 * MIB),
            (MIB, MIB, 1_500, MIB),
            (MIB, MIB / 4, 100, MIB),
            (4 * MIB, 4 * MIB, 4_000, 2 * MIB),
            (4 * MIB, 4 * MIB, 80_000, 4 * MIB / 40),
            (4 * MIB, 1_000, 60_000, LEAST),
            (LEAST, LEAST, 60_000, LEAST),
            (MIB, 3 * MIB, 2_500, MIB),
        ] {
            let mut portion = Portion { bytes: before, most: 4 * MIB };
            portion.took(sent, Duration::from_millis(millis), WANTED);
            assert_eq!(portion.bytes(), after, "{before} {sent} {millis}");
        }
    }

    #[test]
    fn a_portion_never_exceeds_its_limit_and_comes_back_after_a_failure() {
        assert_eq!(Portion::new(30_000).bytes(), 30_000);
        let mut portion = Portion::new(4 * MIB);
        assert_eq!(portion.bytes(), FIRST);
        portion.failed();
        assert_eq!(portion.bytes(), LEAST);
        for _ in 0..10 {
            portion.took(portion.bytes(), Duration::ZERO, WANTED);
        }
        assert_eq!(portion.bytes(), 4 * MIB);
        let mut small = Portion::new(1_000);
        small.failed();
        assert_eq!(small.bytes(), 1_000);
    }
}
