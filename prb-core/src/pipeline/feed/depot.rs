//! What the feeds of a bridge have in common: bounds on what is under way to all workers together, and states that
//! several of them are loaded with, and who waits for the store.

use super::{FeedOptions, waits::Waits};
use crate::{
    id::{Height, WorkerKey},
    plan::load_at,
    port::{ChainState, StateError},
    storage_key,
};
use bytes::Bytes;
use codec::Decode;
use std::{
    sync::{Arc, Mutex as Lock, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::{info, warn};

/// What the feeds of one bridge share.
pub struct Depot {
    pub(super) catch_up: Gate,
    pub(super) load: Gate,
    pub(super) states: Option<States>,
    pub(super) has_collateral: bool,
    pub(super) waits: Arc<Waits>,
}

impl Depot {
    /// For feeds with these options. Without `state` every worker gets every block; `has_collateral` says whether
    /// workers may attest with DCAP.
    pub fn new(options: &FeedOptions, state: Option<Arc<dyn ChainState>>, has_collateral: bool) -> Self {
        Self {
            catch_up: Gate::new("catch-up", options.catch_up_bytes),
            load: Gate::new("load", options.load_bytes),
            states: state.map(|chain| States { chain, kept: Mutex::default() }),
            has_collateral,
            waits: Arc::default(),
        }
    }
}

/// A bound on bytes under way. Who comes first goes first, so nobody waits for ever.
pub(super) struct Gate {
    kind: &'static str,
    turns: Arc<Semaphore>,
    all: u32,
    /// When anybody had to wait last.
    crowded: Lock<Option<Instant>>,
}

/// Bytes under way, until dropped.
pub(super) struct Pass {
    kind: &'static str,
    turns: OwnedSemaphorePermit,
}

/// What a gate counts in.
const UNIT: usize = 1024;

/// That workers wait for each other is told again after nobody has had to for so long.
const CROWD_GONE: Duration = Duration::from_secs(300);

impl Gate {
    fn new(kind: &'static str, bytes: usize) -> Self {
        let all = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 3);
        Self { kind, turns: Arc::new(Semaphore::new(all as usize)), all, crowded: Lock::default() }
    }

    /// Waits until there is room for `bytes` more; for what exceeds all room, until nothing else is under way.
    pub(super) async fn enter(&self, bytes: usize) -> Pass {
        // Whoever waits is served before those who only try, so nobody is overtaken by this.
        if let Some(pass) = self.try_enter(bytes) {
            return pass;
        }
        self.tell();
        match self.turns.clone().acquire_many_owned(self.turns_for(bytes)).await {
            Ok(turns) => self.pass(turns),
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// The same if there is room at once.
    pub(super) fn try_enter(&self, bytes: usize) -> Option<Pass> {
        self.turns.clone().try_acquire_many_owned(self.turns_for(bytes)).ok().map(|turns| self.pass(turns))
    }

    /// What whoever waits for it waits for.
    pub(super) fn queue(&self) -> String {
        let Self { kind, all, .. } = self;
        let mebibytes = (*all as usize * UNIT).div_ceil(1 << 20);
        format!(
            "waiting in the {kind} queue: as much as may be at once ({mebibytes} MiB) is under way to other workers"
        )
    }

    /// Counts one that has to wait, and tells of the first of many.
    fn tell(&self) {
        let (kind, room) = (self.kind, self.all as usize * UNIT);
        metrics::counter!("prb_feed_waits_total", "kind" => kind).increment(1);
        let last = self.crowded.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if last.is_none_or(|last| last.elapsed() >= CROWD_GONE) {
            info!(kind, room, "many workers want data at once: some wait until others have theirs");
        }
    }

    fn turns_for(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.all)
    }

    fn pass(&self, turns: OwnedSemaphorePermit) -> Pass {
        metrics::gauge!("prb_feed_under_way_bytes", "kind" => self.kind).increment(weight(&turns));
        Pass { kind: self.kind, turns }
    }
}

impl Pass {
    /// Gives back what exceeds `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let excess = self.turns.num_permits().saturating_sub(bytes.div_ceil(UNIT).max(1));
        if let Some(turns) = self.turns.split(excess) {
            drop(Self { kind: self.kind, turns });
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        metrics::gauge!("prb_feed_under_way_bytes", "kind" => self.kind).decrement(weight(&self.turns));
    }
}

fn weight(turns: &OwnedSemaphorePermit) -> f64 {
    (turns.num_permits() * UNIT) as f64
}

/// States to load workers with.
pub(super) struct States {
    chain: Arc<dyn ChainState>,
    /// The state that was read last, while anybody holds it, and for a while. Locked while one is read, so that many who want one at
    /// once make one read.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    state: Weak<LoadState>,
    failed: Option<Instant>,
}

/// A state.
pub(super) struct LoadState {
    /// After which block.
    pub(super) block: Height,
    /// SCALE [`StorageState`](crate::types::sync::StorageState).
    pub(super) pairs: Bytes,
}

/// An older state that somebody still loads is as good as the newest one: the blocks between are few.
const STILL_NEW: u32 = 300;

/// How long a state is kept for workers that want one a little later.
const KEEP: Duration = Duration::from_secs(60);

/// Reads of a state that moves on meanwhile.
const ATTEMPTS: usize = 3;

/// A state that could not be read is not tried again for so long: workers get their blocks instead.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

impl States {
    /// A state to load the worker `key` with that saves at least `ahead` blocks, none if there is none.
    pub(super) async fn for_worker(&self, key: &WorkerKey, ahead: u32) -> Option<Arc<LoadState>> {
        let mut kept = self.kept.lock().await;
        if kept.failed.is_some_and(|failed| failed.elapsed() < AFTER_FAILURE) {
            return None;
        }
        for attempt in 1.. {
            match self.read(&kept.state, key, ahead).await {
                Ok(state) => {
                    kept.failed = None;
                    if let Some(state) = &state {
                        kept.state = Arc::downgrade(state);
                    }
                    return state;
                }
                // The newest state was another one a moment ago.
                Err(StateError::NotKept { .. }) if attempt < ATTEMPTS => {}
                Err(cause) => {
                    warn!(%cause, "no state to load fresh workers with; they get every block");
                    kept.failed = Some(Instant::now());
                    return None;
                }
            }
        }
        None
    }

    async fn read(
        &self,
        kept: &Weak<LoadState>,
        key: &WorkerKey,
        ahead: u32,
    ) -> Result<Option<Arc<LoadState>>, StateError> {
        let keys = [storage_key::registry_worker(key), storage_key::worker_added_at(key)];
        let (newest, values) = self.chain.read(&keys, None).await?;
        let [entry, added] = values.as_slice() else {
            return Err(StateError::Damaged("another number of values than keys".to_owned()));
        };
        let added = match (entry, added) {
            (None, _) => None,
            // When it was registered is not known.
            (Some(_), None) => return Ok(None),
            (Some(_), Some(added)) => Some(
                Height::decode(&mut added.as_ref())
                    .map_err(|error| StateError::Damaged(format!("PhalaRegistry.WorkerAddedAt: {error}")))?,
            ),
        };
        let Some(block) = load_at(newest.height, added, ahead) else { return Ok(None) };
        let good = |state: &Arc<LoadState>| {
            state.block <= block
                && (added.is_none() || state.block == block)
                && state.block.0.saturating_add(STILL_NEW) >= block.0
        };
        if let Some(state) = kept.upgrade().filter(good) {
            return Ok(Some(state));
        }
        let pairs = match self.chain.pairs(block).await {
            // Nobody keeps the state from before it was registered: that is for this worker alone.
            Err(StateError::NotKept { .. }) if added.is_some() => return Ok(None),
            pairs => pairs?,
        };
        info!(%block, bytes = pairs.len(), "read a state to load fresh workers with");
        let state = Arc::new(LoadState { block, pairs });
        let kept = state.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEEP).await;
            drop(kept);
        });
        Ok(Some(state))
    }
}
