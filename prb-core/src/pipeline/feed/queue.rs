//! Waiting for a turn at a gate. However long that takes, the worker is asked how it is, and nobody is to blame.

use super::{
    Feed, FeedError, STEP_LIMIT,
    depot::{Gate, Pass},
};
use crate::{id::WorkerKey, pipeline::worker::Seen, plan::Position, port::WorkerInfo, progress::PATIENCE};
use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

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

/// How a wait at a gate ended.
pub(super) enum Turn {
    /// There was no need to wait.
    AtOnce(Pass),
    /// There is room now. What the store has may be more than it was.
    Waited(Pass),
    /// What the worker was to be sent must be planned anew: it is elsewhere by now, or not to be fed any more.
    Gone,
}

impl Feed {
    /// Waits until there is room at `gate` for `bytes` more to the worker, which stands at `info`.
    pub(super) async fn queue(
        &mut self,
        gate: &Gate,
        bytes: usize,
        info: &WorkerInfo,
    ) -> Result<Turn, FeedError> {
        if let Some(pass) = gate.try_enter(bytes) {
            return Ok(if self.is_called() { Turn::AtOnce(pass) } else { Turn::Gone });
        }
        let (cell, begun) = (self.cell.clone(), Instant::now());
        let mut entering = pin!(gate.enter(bytes));
        loop {
            let mut pass = tokio::select! {
                biased;
                pass = &mut entering => Some(pass),
                () = sleep_until(self.info_due) => None,
                () = cell.nudged() => None,
            };
            self.limit.renew();
            if cell.goal().disabled {
                return Ok(self.gone());
            }
            if pass.is_none() {
                self.info = None;
                let Some((now, turn)) = self.ask_in(entering.as_mut()).await? else {
                    return Ok(self.gone());
                };
                if place(&now) != place(info) {
                    return Ok(self.gone());
                }
                pass = turn;
            }
            if let Some(pass) = pass {
                return Ok(if self.is_called() { Turn::Waited(pass) } else { self.gone() });
            }
            self.waiter.note(None, None);
            if begun.elapsed() >= PATIENCE {
                self.queued = Some(gate.queue());
            }
            self.publish(false);
        }
    }

    /// Asks the worker how it is, and has its turn if that comes meanwhile. None if the turn came and the worker was silent
    /// for so long that others go first.
    async fn ask_in(
        &mut self,
        mut entering: Pin<&mut impl Future<Output = Pass>>,
    ) -> Result<Option<(WorkerInfo, Option<Pass>)>, FeedError> {
        let mut asking = pin!(self.info());
        let pass = tokio::select! {
            biased;
            info = &mut asking => return Ok(Some((info?, None))),
            pass = &mut entering => pass,
        };
        match timeout(PATIENCE, &mut asking).await {
            Ok(info) => Ok(Some((info?, Some(pass)))),
            Err(_) => {
                drop(pass);
                asking.await?;
                Ok(None)
            }
        }
    }

    /// It has its turn; whether it is still to be fed.
    fn is_called(&mut self) -> bool {
        self.leave_queue();
        self.waits(None, None);
        !self.cell.goal().disabled
    }

    fn gone(&mut self) -> Turn {
        self.leave_queue();
        Turn::Gone
    }

    fn leave_queue(&mut self) {
        if self.queued.take().is_some() {
            self.cell.publish(Seen { waits: None, ..self.cell.seen() });
        }
    }
}

/// What decides what a worker is sent.
fn place(info: &WorkerInfo) -> (bool, Option<WorkerKey>, Position) {
    (info.initialized, info.public_key, Position::from(info))
}
