//! Who pauses after a failure, and until when.

use crate::{
    backoff::{Backoff, Pace},
    pipeline::{Clock, Hints},
    progress::Causes,
};
use tokio::time::Instant;

/// Pauses after failures. Relay headers and storage changes pause apart: one may fail for long, for example on a
/// node without the method, and must not hold the other back.
pub(super) struct Pauses {
    /// Of the store and of whatever concerns both.
    pub(super) all: Pause,
    pub(super) relay: Pause,
    pub(super) changes: Pause,
    /// Hints of the source that its tip has moved.
    pub(super) hints: Hints,
    /// Whether trouble was told and recovery was not.
    pub(super) troubled: bool,
    /// What was told of it.
    causes: Causes,
    clock: Clock,
}

pub(super) struct Pause {
    pub(super) backoff: Backoff,
    until: Option<Instant>,
}

impl Pauses {
    pub(super) fn new(pace: Pace) -> Self {
        let pause = |seed| Pause { backoff: Backoff::new(pace, seed), until: None };
        Self {
            all: pause(0x1267),
            relay: pause(0x1268),
            changes: pause(0x1269),
            hints: Hints::default(),
            troubled: false,
            causes: Causes::default(),
            clock: Clock::start(),
        }
    }

    /// Whether a cause is to be told now.
    pub(super) fn tell(&mut self, cause: &str) -> bool {
        self.causes.tell(self.clock.now(), cause)
    }

    /// Trouble is over.
    pub(super) fn recovered(&mut self) {
        self.troubled = false;
        self.causes.forget();
    }

    /// Whether nothing has failed since it last succeeded.
    pub(super) fn are_forgotten(&self) -> bool {
        [&self.all, &self.relay, &self.changes].iter().all(|pause| pause.backoff.failures() == 0)
    }
}

impl Pause {
    pub(super) fn failed(&mut self) {
        self.until = Some(Instant::now() + self.backoff.failed());
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff.succeeded();
        self.until = None;
    }

    /// When it ends, if it has not.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.until().is_none()
    }
}
