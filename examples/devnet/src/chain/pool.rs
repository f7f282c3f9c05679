//! The transaction pool: ready and future transactions by tags, bans, limits, watchers.

mod report;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use sp_core::H256;
use sp_runtime::transaction_validity::{TransactionValidity, ValidTransaction};
use tokio::sync::mpsc;

pub use report::{PoolConfig, PoolError, TxStatus};

/// Statuses one watcher can fall behind by. A transaction has at most a handful.
pub(super) const WATCH_BUFFER: usize = 64;
/// Blocks a refused transaction stays banned (Substrate: half an hour).
const BAN_BLOCKS: u32 = 150;
/// Blocks after inclusion until a watcher hears `finalityTimeout` (Substrate's `MAX_FINALITY_WATCHERS`).
const FINALITY_TIMEOUT: u32 = 512;
/// Waiting transactions validated again after each block.
const RECHECKED_PER_BLOCK: usize = 64;

/// What authoring found about a pool transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Included,
    Future,
    Invalid,
}

type Watchers = Vec<mpsc::Sender<TxStatus>>;

struct Entry {
    raw: Arc<[u8]>,
    valid: ValidTransaction,
    missing: HashSet<Vec<u8>>,
    expires: u64,
    order: u64,
    checked: u64,
    watchers: Watchers,
}

struct Landed {
    number: u32,
    block: H256,
    raw: Arc<[u8]>,
    watchers: Watchers,
}

/// Ready and future transactions of one chain.
pub(super) struct Pool {
    limits: PoolConfig,
    ready: HashMap<H256, Entry>,
    provided: HashMap<Vec<u8>, H256>,
    future: HashMap<H256, Entry>,
    banned: BTreeMap<H256, u32>,
    landed: Vec<Landed>,
    /// Tags of the latest two blocks: met for a transaction that was validated before them.
    recent: [HashSet<Vec<u8>>; 2],
    height: u32,
    imports: u64,
    crowded_out: u64,
}

impl Pool {
    pub(super) fn new(limits: PoolConfig) -> Self {
        Self {
            limits,
            ready: HashMap::new(),
            provided: HashMap::new(),
            future: HashMap::new(),
            banned: BTreeMap::new(),
            landed: Vec::new(),
            recent: Default::default(),
            height: 0,
            imports: 0,
            crowded_out: 0,
        }
    }

    /// Exchanges the limits. What is too much already goes when the next transaction comes.
    pub(super) fn set_limits(&mut self, limits: PoolConfig) {
        self.limits = limits;
    }

    /// Transactions that were refused or dropped for lack of room.
    pub(super) fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    /// Refuses what is banned or already here, before the runtime is asked.
    pub(super) fn check_known(&self, hash: H256) -> Result<(), PoolError> {
        if self.banned.get(&hash).is_some_and(|until| *until > self.height) {
            return Err(PoolError::Banned);
        }
        if self.ready.contains_key(&hash) || self.future.contains_key(&hash) {
            return Err(PoolError::AlreadyImported(hash));
        }
        Ok(())
    }

    pub(super) fn ban(&mut self, hash: H256, number: u32) {
        if self.banned.len() >= 2 * self.limits.ready {
            self.banned.clear();
        }
        self.banned.insert(hash, number + BAN_BLOCKS);
    }

    pub(super) fn import(
        &mut self,
        hash: H256,
        raw: Arc<[u8]>,
        valid: ValidTransaction,
        number: u32,
        watchers: Watchers,
    ) -> Result<H256, PoolError> {
        self.check_known(hash)?;
        if valid.requires.iter().any(|tag| valid.provides.contains(tag)) {
            return Err(PoolError::Cycle);
        }
        let met = |tag: &Vec<u8>| {
            self.provided.contains_key(tag) || self.recent.iter().any(|tags| tags.contains(tag))
        };
        let missing: HashSet<_> = valid.requires.iter().filter(|tag| !met(tag)).cloned().collect();
        self.imports += 1;
        let expires = u64::from(number).saturating_add(valid.longevity);
        let entry =
            Entry { raw, valid, missing, expires, order: self.imports, checked: self.imports, watchers };
        if !entry.missing.is_empty() {
            if self.future.len() >= self.limits.future {
                self.ban(hash, number);
                self.crowded_out += 1;
                return Err(PoolError::ImmediatelyDropped);
            }
            tell(&entry.watchers, &TxStatus::Future);
            self.future.insert(hash, entry);
            return Ok(hash);
        }
        self.make_ready(hash, entry)?;
        self.promote(&[]);
        self.enforce_limit(hash)?;
        Ok(hash)
    }

    /// Puts an entry whose requirements are met among the ready ones, replacing cheaper ones with its tags.
    fn make_ready(&mut self, hash: H256, entry: Entry) -> Result<(), PoolError> {
        let mut replaced: Vec<_> =
            entry.valid.provides.iter().filter_map(|tag| self.provided.get(tag)).copied().collect();
        replaced.sort_unstable();
        replaced.dedup();
        let old = replaced.iter().fold(0u64, |sum, old| sum.saturating_add(self.ready[old].valid.priority));
        if !replaced.is_empty() && old >= entry.valid.priority {
            return Err(PoolError::PriorityTooLow { old, new: entry.valid.priority });
        }
        let mut orphaned = Vec::new();
        for gone in replaced {
            if let Some(old) = self.take_ready(gone) {
                tell(&old.watchers, &TxStatus::Usurped(hash));
                orphaned
                    .extend(old.valid.provides.into_iter().filter(|tag| !entry.valid.provides.contains(tag)));
            }
        }
        for tag in &entry.valid.provides {
            self.provided.insert(tag.clone(), hash);
        }
        tell(&entry.watchers, &TxStatus::Ready);
        self.ready.insert(hash, entry);
        self.drop_dependents(orphaned);
        Ok(())
    }

    /// Moves future transactions whose last missing tags are now provided, or were by a block (`landed`).
    fn promote(&mut self, landed: &[Vec<u8>]) {
        loop {
            let provided = &self.provided;
            let mut movable = None;
            for (hash, entry) in &mut self.future {
                entry.missing.retain(|tag| !landed.contains(tag) && !provided.contains_key(tag));
                if entry.missing.is_empty()
                    && movable.is_none_or(|(order, _): (u64, H256)| entry.order < order)
                {
                    movable = Some((entry.order, *hash));
                }
            }
            let Some((_, hash)) = movable else { return };
            if let Some(entry) = self.future.remove(&hash) {
                let watchers = entry.watchers.clone();
                if self.make_ready(hash, entry).is_err() {
                    tell(&watchers, &TxStatus::Dropped);
                }
            }
        }
    }

    fn enforce_limit(&mut self, newest: H256) -> Result<(), PoolError> {
        while self.ready.len() > self.limits.ready {
            let worst = self
                .ready
                .iter()
                .min_by_key(|(_, entry)| (entry.valid.priority, Reverse(entry.order)))
                .map(|(hash, _)| *hash);
            let Some(worst) = worst else { return Ok(()) };
            self.ban(worst, self.height);
            self.crowded_out += 1;
            self.remove(worst, &TxStatus::Dropped);
        }
        if self.ready.contains_key(&newest) { Ok(()) } else { Err(PoolError::ImmediatelyDropped) }
    }

    fn take_ready(&mut self, hash: H256) -> Option<Entry> {
        let entry = self.ready.remove(&hash)?;
        for tag in &entry.valid.provides {
            if self.provided.get(tag) == Some(&hash) {
                self.provided.remove(tag);
            }
        }
        Some(entry)
    }

    /// Takes a transaction and what depends on it out.
    fn remove(&mut self, hash: H256, status: &TxStatus) {
        if let Some(entry) = self.future.remove(&hash) {
            tell(&entry.watchers, status);
        }
        if let Some(entry) = self.take_ready(hash) {
            tell(&entry.watchers, status);
            self.drop_dependents(entry.valid.provides);
        }
    }

    fn drop_dependents(&mut self, tags: Vec<Vec<u8>>) {
        for tag in tags {
            let dependent: Vec<_> = self
                .ready
                .iter()
                .filter(|(_, entry)| entry.valid.requires.contains(&tag))
                .map(|(hash, _)| *hash)
                .collect();
            for hash in dependent {
                self.remove(hash, &TxStatus::Invalid);
            }
        }
    }

    /// Ready transactions as a block takes them: by dependency, then priority, then age.
    pub(super) fn in_order(&self) -> Vec<(H256, Arc<[u8]>)> {
        let mut blockers: HashMap<H256, usize> = HashMap::new();
        let mut unlocks: HashMap<H256, Vec<H256>> = HashMap::new();
        let mut heap = BinaryHeap::new();
        let rank = |hash: H256| {
            let entry = &self.ready[&hash];
            (entry.valid.priority, Reverse(entry.expires), Reverse(entry.order), hash)
        };
        for (hash, entry) in &self.ready {
            let needs: HashSet<_> =
                entry.valid.requires.iter().filter_map(|tag| self.provided.get(tag)).copied().collect();
            if needs.is_empty() {
                heap.push(rank(*hash));
            }
            for need in &needs {
                unlocks.entry(*need).or_default().push(*hash);
            }
            blockers.insert(*hash, needs.len());
        }
        let mut order = Vec::with_capacity(self.ready.len());
        while let Some((.., hash)) = heap.pop() {
            order.push((hash, self.ready[&hash].raw.clone()));
            for next in unlocks.remove(&hash).unwrap_or_default() {
                if let Some(left) = blockers.get_mut(&next) {
                    *left -= 1;
                    if *left == 0 {
                        heap.push(rank(next));
                    }
                }
            }
        }
        order
    }

    /// Ready ones in order, then future ones.
    pub(super) fn all(&self) -> Vec<Arc<[u8]>> {
        let mut future: Vec<_> = self.future.values().collect();
        future.sort_by_key(|entry| entry.order);
        let ready = self.in_order().into_iter().map(|(_, raw)| raw);
        ready.chain(future.into_iter().map(|entry| entry.raw.clone())).collect()
    }

    /// Whether a ready transaction provides `tag`.
    pub(super) fn provides(&self, tag: &[u8]) -> bool {
        self.provided.contains_key(tag)
    }

    pub(super) fn clear(&mut self) {
        let all: Vec<_> = self.ready.keys().chain(self.future.keys()).copied().collect();
        for hash in all {
            self.remove(hash, &TxStatus::Dropped);
        }
    }

    /// Takes in a new block. Returns a few waiting transactions that should be validated again.
    pub(super) fn on_block(
        &mut self,
        number: u32,
        block: H256,
        verdicts: Vec<(H256, Verdict)>,
    ) -> Vec<(H256, Arc<[u8]>)> {
        self.height = number;
        let mut doubtful = Vec::new();
        let mut landed_tags = Vec::new();
        for (hash, verdict) in verdicts {
            match verdict {
                Verdict::Included => {
                    if let Some(entry) = self.take_ready(hash) {
                        tell(&entry.watchers, &TxStatus::InBlock(block));
                        landed_tags.extend(entry.valid.provides);
                        self.landed.push(Landed { number, block, raw: entry.raw, watchers: entry.watchers });
                    }
                }
                Verdict::Invalid => {
                    self.ban(hash, number);
                    self.remove(hash, &TxStatus::Invalid);
                }
                Verdict::Future => doubtful.extend(self.ready.get(&hash).map(|e| (hash, e.raw.clone()))),
            }
        }
        self.promote(&landed_tags);
        self.recent.swap(0, 1);
        self.recent[1] = landed_tags.into_iter().collect();
        self.banned.retain(|_, until| *until > number);
        let expired: Vec<_> = self
            .ready
            .iter()
            .chain(&self.future)
            .filter(|(_, entry)| entry.expires <= u64::from(number))
            .map(|(hash, _)| *hash)
            .collect();
        for hash in expired {
            self.remove(hash, &TxStatus::Invalid);
        }
        self.landed.retain(|landed| {
            let late = landed.number + FINALITY_TIMEOUT <= number;
            if late {
                tell(&landed.watchers, &TxStatus::FinalityTimeout(landed.block));
            }
            !late
        });
        doubtful.extend(self.longest_waiting());
        doubtful
    }

    fn longest_waiting(&self) -> Vec<(H256, Arc<[u8]>)> {
        let mut waiting: Vec<_> = self.ready.iter().chain(&self.future).collect();
        waiting.sort_unstable_by_key(|(_, entry)| entry.checked);
        waiting.truncate(RECHECKED_PER_BLOCK);
        waiting.into_iter().map(|(hash, entry)| (*hash, entry.raw.clone())).collect()
    }

    /// What the runtime says now about a waiting transaction (`None`: it panicked).
    pub(super) fn recheck(&mut self, hash: H256, number: u32, checked: Option<TransactionValidity>) {
        let Some(Ok(valid)) = checked else {
            self.ban(hash, number);
            return self.remove(hash, &TxStatus::Invalid);
        };
        let was_ready = self.ready.contains_key(&hash);
        let Some(mut entry) = self.take_ready(hash).or_else(|| self.future.remove(&hash)) else { return };
        entry.expires = u64::from(number).saturating_add(valid.longevity);
        entry.missing =
            valid.requires.iter().filter(|tag| !self.provided.contains_key(*tag)).cloned().collect();
        entry.valid = valid;
        self.imports += 1;
        entry.checked = self.imports;
        if !entry.missing.is_empty() {
            if was_ready {
                tell(&entry.watchers, &TxStatus::Future);
            }
            self.future.insert(hash, entry);
        } else if was_ready {
            for tag in &entry.valid.provides {
                self.provided.insert(tag.clone(), hash);
            }
            self.ready.insert(hash, entry);
        } else {
            let watchers = entry.watchers.clone();
            if self.make_ready(hash, entry).is_err() {
                tell(&watchers, &TxStatus::Dropped);
            }
            self.promote(&[]);
        }
    }

    /// Tells watchers of blocks up to `number`; `canonical` gives the hash at a height.
    pub(super) fn on_finalized(&mut self, number: u32, canonical: &dyn Fn(u32) -> Option<H256>) {
        self.landed.retain(|landed| {
            let done = landed.number <= number;
            if done && canonical(landed.number) == Some(landed.block) {
                tell(&landed.watchers, &TxStatus::Finalized(landed.block));
            }
            !done
        });
    }

    /// Takes back the transactions of an abandoned block.
    pub(super) fn retract(&mut self, block: H256) -> Vec<(Vec<u8>, Watchers)> {
        let (back, kept) = std::mem::take(&mut self.landed).into_iter().partition(|l| l.block == block);
        self.landed = kept;
        let back: Vec<Landed> = back;
        back.into_iter()
            .map(|landed| {
                tell(&landed.watchers, &TxStatus::Retracted(block));
                (landed.raw.to_vec(), landed.watchers)
            })
            .collect()
    }
}

/// A watcher that does not read loses statuses rather than blocking the chain.
pub(super) fn tell(watchers: &Watchers, status: &TxStatus) {
    for watcher in watchers {
        let _ = watcher.try_send(status.clone());
    }
}
