//! What a light worker got, when, and what it did with its time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Arrivals kept per worker; more are forgotten, the oldest first.
const MOST_ARRIVALS: usize = 1024;

/// Traffic and time of one worker.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Requests answered.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes_in: u64,
    /// Bytes of the answers' bodies.
    pub bytes_out: u64,
    /// Requests that brought relay headers, oldest first.
    pub arrivals: VecDeque<Arrival>,
    /// How it was fed since it was initialised last.
    pub feeding: Option<Feeding>,
}

/// A request with relay headers that the worker took.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The last of the headers.
    pub relay: u32,
    /// When the head of the request was there.
    pub at: Instant,
}

/// The time between the initialisation of a worker and its latest block.
#[derive(Clone, Copy, Debug)]
pub struct Feeding {
    /// When it had answered `InitRuntime`.
    pub began: Instant,
    /// When it had answered the latest `DispatchBlocks`.
    pub ended: Instant,
    /// Of that time, what it spent working on blocks.
    pub worked: Duration,
    /// Blocks it took.
    pub blocks: u32,
}

impl Feeding {
    /// A worker that was initialised just now.
    pub(super) fn from_now() -> Self {
        let now = Instant::now();
        Self { began: now, ended: now, worked: Duration::ZERO, blocks: 0 }
    }
}

impl Account {
    pub(super) fn arrival(&mut self, relay: u32, at: Instant) {
        if self.arrivals.len() == MOST_ARRIVALS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(Arrival { relay, at });
    }

    /// When the first request came that carried relay header `number` or one above it.
    #[must_use]
    pub fn arrived(&self, number: u32) -> Option<Instant> {
        self.arrivals.iter().find(|arrival| arrival.relay >= number).map(|arrival| arrival.at)
    }
}
