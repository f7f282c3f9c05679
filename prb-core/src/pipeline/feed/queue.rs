//! Waiting for a turn at a gate. However long that takes, the worker is asked how it is, and nobody is to blame.

use super::{
    Feed, FeedError, STEP_LIMIT,
    depot::{Gate, Pass},
};
use crate::{id::WorkerKey, plan::Position, port::WorkerInfo, progress::PATIENCE};
use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Until when store or driver must have answered.
#[derive(Clone, Debug)]
pub(super) struct Limit(Arc<Mutex<Instant>>);

impl Limit {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// What `step` comes to, none if nobody has answered for [`STEP_LIMIT`].
    pub(super) async fn keep<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        self.renew();
        let mut step = pin!(step);
        loop {
            let end = self.end();
            match timeout_at(end, &mut step).await {
                Ok(done) => return Some(done),
                Err(_) if self.end() > end => {}
                Err(_) => return None,
            }
        }
    }

    /// The time counts from now on: what passed was not theirs.
    fn renew(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + STEP_LIMIT;
    }

    fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Waits until there is room at `gate` for `bytes` more to the worker, which stands at `info`. None if what it was to
    /// be sent must be planned anew: it is elsewhere by now, or not to be fed any more.
    pub(super) async fn queue(
        &mut self,
        gate: &Gate,
        bytes: usize,
        info: &WorkerInfo,
    ) -> Result<Option<Pass>, FeedError> {
        let (cell, begun) = (self.cell.clone(), Instant::now());
        let mut entering = pin!(gate.enter(bytes));
        loop {
            let pass = tokio::select! {
                biased;
                pass = &mut entering => Some(pass),
                () = sleep_until(self.info_due) => None,
                () = cell.nudged() => None,
            };
            self.limit.renew();
            if let Some(pass) = pass {
                self.waits(None, None);
                return Ok(pass);
            }
            if cell.goal().disabled {
                return Ok(None);
            }
            self.info = None;
            if place(&self.info().await?) != place(info) {
                self.stuck = None;
                return Ok(None);
            }
            self.waiter.note(None, None);
            if begun.elapsed() >= PATIENCE {
                self.stuck = Some(gate.queue());
            }
            self.publish(false);
        }
    }
}

/// What decides what a worker is sent.
fn place(info: &WorkerInfo) -> (bool, Option<WorkerKey>, Position) {
    (info.initialized, info.public_key, Position::from(info))
}
