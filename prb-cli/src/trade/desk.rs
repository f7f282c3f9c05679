//! A trader as others see it: how it is, what it has done, and whether it sends.

use super::pulse::Pulse;
use prb_chain::{
    journal::{Dropped, Entry, JournalError},
    redis_queue::Space,
    trader::Trader,
};
use prb_core::{id::JobId, moment::Moment};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// How often Redis and the node are asked how they are.
const LOOK: Duration = Duration::from_secs(5);

/// Longest time that either may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running trader.
pub(crate) struct Desk {
    trader: Arc<Trader>,
    pulse: Mutex<Pulse>,
    begun: Instant,
}

impl Desk {
    pub(super) fn of(trader: Arc<Trader>) -> Self {
        Self { trader, pulse: Mutex::default(), begun: Instant::now() }
    }

    /// Asks Redis and the node how they are for as long as it is awaited.
    pub(super) async fn watch(&self, space: &Space) {
        let redis = async {
            loop {
                let answer = in_time(space.ping()).await;
                self.pulse().hear_redis(self.now(), answer);
                sleep(LOOK).await;
            }
        };
        let node = async {
            loop {
                let head = in_time(self.trader.finalized()).await;
                self.pulse().hear_node(self.now(), head.map(|head| head.height));
                sleep(LOOK).await;
            }
        };
        tokio::join!(redis, node);
    }

    /// Who keeps it from getting on, and how.
    pub(super) fn troubles(&self) -> Vec<(&'static str, String)> {
        self.pulse().troubles(self.now())
    }

    /// Why it does not get on; nothing if it does.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.failure().into_iter().collect();
        reasons.extend(self.troubles().into_iter().map(|(_, cause)| cause));
        reasons.extend(self.trader.held().map(|why| format!("nothing is sent: {why}")));
        reasons
    }

    /// Why going on is useless, if it is.
    pub(crate) fn failure(&self) -> Option<String> {
        self.trader.failure()
    }

    /// Whether transactions are paused, and those that are known.
    pub(crate) fn journal(&self) -> (bool, Vec<Entry>) {
        self.trader.journal().read(|image| (image.paused(), image.entries()))
    }

    /// Whether transactions are paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.trader.journal().read(|image| image.paused())
    }

    /// Sends no transactions from now on, or sends them again.
    pub(crate) async fn pause(&self, paused: bool) -> Result<(), JournalError> {
        self.trader.pause(paused).await.map(drop)
    }

    /// Ends a transaction that waits as rejected.
    pub(crate) async fn drop_job(&self, job: JobId) -> Result<Dropped, JournalError> {
        self.trader.drop_job(job).await
    }

    fn now(&self) -> Moment {
        Moment(self.begun.elapsed())
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T, E: ToString>(answer: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|cause| cause.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
