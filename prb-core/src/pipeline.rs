//! The three pipelines, generic over the ports, and the bridge that joins them.
//!
//! - [`ingest`]: source → store, everything verified;
//! - [`feed`]: store → worker;
//! - [`operate`]: worker and chain facts → transactions.
//!
//! Each can be run alone. Decisions are made by the pure modules; here is the ordinary async code around them.
//! Time is tokio's, so tests run on its paused clock.

pub mod bridge;
pub mod events;
pub mod facts;
pub mod feed;
pub mod handover;
pub mod ingest;
pub mod operate;
mod repair;
mod stalled;
pub mod worker;

pub use bridge::{Bridge, BridgeBuilder, BridgeError};
pub use events::{Event, Events};
pub use handover::{HandoverError, hand_over};
pub use tokio_util::sync::CancellationToken;
pub use worker::{Message, Seen, Worker, WorkerStatus};

use crate::moment::Moment;
use std::time::Duration;
use tokio::time::Instant;

/// Tokio's clock as the decisions see it.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(self) -> Moment {
        Moment(self.0.elapsed())
    }
}

/// Longest step of a pipeline: far above every adapter's own deadline (the longest, of a worker that loads a whole
/// state behind another call, is under an hour). A step that takes longer waits for an adapter that broke its
/// contract; it is dropped, told and taken again, so that nothing stands still for ever.
const STEP_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// Follows hints that something may have changed, without spinning where they come early and bring nothing.
#[derive(Debug, Default)]
struct Hints {
    /// Hints in a row that brought nothing.
    empty: u32,
}

impl Hints {
    /// Waits for the next hint, after a pause if the ones before it brought nothing.
    async fn next<E>(&mut self, hint: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let pause = match self.empty {
            0 => Duration::ZERO,
            empty => Duration::from_millis(5 << empty.min(8)),
        };
        tokio::time::sleep(pause).await;
        // A source or store has a patience of its own; one that has none is no reason never to look again.
        tokio::time::timeout(STEP_LIMIT, hint).await.unwrap_or(Ok(()))?;
        self.empty = self.empty.saturating_add(1);
        Ok(())
    }

    /// The last hint was true: something had changed.
    fn fulfilled(&mut self) {
        self.empty = 0;
    }
}
