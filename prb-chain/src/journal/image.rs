//! What the records of a journal add up to.

use super::{Record, Sent, view::describe};
use codec::{Decode, Encode};
use prb_core::{
    id::{AccountId, Hash, Height, JobId, PoolId},
    port::{CallResult, JobState, Outcome},
    tx::{Call, CallKey},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many ended jobs are remembered.
pub const ENDED_KEPT: usize = 10_000;

/// A job without an outcome.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whose it is.
    pub pool: PoolId,
    /// What it does.
    pub calls: Vec<Call>,
    /// Its place in the order of acceptance.
    pub place: u64,
    /// The extrinsic that carries it, none while it waits.
    pub extrinsic: Option<Hash>,
    /// What its calls are about.
    pub keys: BTreeSet<CallKey>,
    /// About the bytes of its calls.
    pub bytes: usize,
    /// When it was accepted: milliseconds since 1970, 0 if that was not written down.
    pub accepted: u64,
    /// When the extrinsic that carries it was written down, likewise; 0 while it waits.
    pub sent: u64,
}

/// What is remembered of a job that ended. Times are milliseconds since 1970, 0 if not written down.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Past {
    /// Whose it was, none if that was not written down.
    pub pool: Option<PoolId>,
    /// What it did, in words; bounded.
    pub description: String,
    /// When it was accepted.
    pub accepted: u64,
    /// When its last extrinsic was written down, 0 if it was in none.
    pub sent: u64,
    /// When its end was written down.
    pub ended: u64,
    /// The extrinsic that carried it.
    pub extrinsic: Option<Hash>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Fees paid, planck, tips included, over all lives of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// By who paid.
    pub accounts: BTreeMap<AccountId, u128>,
    /// By the pool it was paid for; a batch is shared by calls.
    pub pools: BTreeMap<PoolId, u128>,
}

impl Fees {
    fn add(&mut self, account: AccountId, planck: u128, pools: &[(PoolId, u128)]) {
        if planck > 0 {
            let sum = self.accounts.entry(account).or_default();
            *sum = sum.saturating_add(planck);
        }
        for (pool, share) in pools {
            let sum = self.pools.entry(*pool).or_default();
            *sum = sum.saturating_add(*share);
        }
    }

    /// Records that rebuild it.
    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let accounts = self.accounts.iter().map(|(account, planck)| (*account, *planck, vec![]));
        let pools = self.pools.iter().map(|(pool, share)| (*pool, *share)).collect::<Vec<_>>();
        let pools = (!pools.is_empty()).then_some((AccountId::default(), 0, pools));
        accounts.chain(pools).map(|(account, planck, pools)| Record::Fee { account, planck, pools })
    }
}

/// Jobs, extrinsics that may still be included, and how the last jobs ended.
#[derive(Debug, Default)]
pub struct Image {
    chain: Option<Hash>,
    name: Option<[u8; 16]>,
    jobs: BTreeMap<JobId, Job>,
    waiting: BTreeMap<u64, JobId>,
    sent: BTreeMap<Hash, Sent>,
    ended: BTreeMap<JobId, Past>,
    ended_order: VecDeque<JobId>,
    settled_at: Height,
    /// What others did, which no outcome names.
    settled_by_others: Height,
    /// Of jobs of unknown fate in this life: the last block that could hold their extrinsic.
    decided: BTreeMap<JobId, Height>,
    places: u64,
    totals: Totals,
    fees: Fees,
    /// Tips offered on a day.
    tips: (u64, u128),
    paused: bool,
    /// When what is applied was written.
    now: u64,
}

/// Extrinsics counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sent.
    pub submitted: u64,
    /// Of these, included in a finalized block.
    pub finalized: u64,
    /// Extrinsics that were not included, and calls of included ones that failed.
    pub failed: u64,
}

impl Totals {
    /// Counts an extrinsic by the outcomes of its jobs.
    fn count<'a>(&mut self, outcomes: impl Iterator<Item = &'a Outcome>) {
        let mut included = false;
        for outcome in outcomes {
            if let Outcome::Finalized { results, .. } = outcome {
                included = true;
                self.failed += results.iter().filter(|result| **result != CallResult::Ok).count() as u64;
            }
        }
        self.finalized += u64::from(included);
        self.failed += u64::from(!included);
    }
}

impl Image {
    /// What was sent in this life of the process.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Starts counting: what was replayed belongs to earlier lives.
    pub(super) fn begin_life(&mut self) {
        // Nobody remembers what is waited for: nothing is decided before it has come.
        let decided = self.decided.values().max().copied().unwrap_or_default();
        self.settled_at = self.settled_at.max(decided);
        self.totals = Totals { submitted: 0, finalized: 0, failed: 0 };
    }

    /// Hash of block 0 of the chain that the journal is about, none before the first node was met.
    pub const fn chain(&self) -> Option<Hash> {
        self.chain
    }

    /// What tells this journal from others, none before it was needed.
    pub const fn name(&self) -> Option<[u8; 16]> {
        self.name
    }

    /// How a job stands, none if it is not known.
    pub fn state(&self, job: &JobId) -> Option<JobState> {
        if self.jobs.contains_key(job) {
            return Some(JobState::Pending);
        }
        self.ended.get(job).map(|past| JobState::Ended(past.outcome.clone()))
    }

    /// A job without an outcome.
    pub fn job(&self, job: &JobId) -> Option<&Job> {
        self.jobs.get(job)
    }

    /// Jobs without an outcome.
    pub fn open(&self) -> impl Iterator<Item = (&JobId, &Job)> {
        self.jobs.iter()
    }

    /// Jobs that are in no extrinsic, in the order they were accepted.
    pub fn waiting(&self) -> impl Iterator<Item = (&JobId, &Job)> {
        self.waiting.values().filter_map(|id| self.jobs.get_key_value(id))
    }

    /// How many jobs are in no extrinsic.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// About the bytes of the calls of all jobs that are in no extrinsic.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting().map(|(_, job)| job.bytes).sum()
    }

    /// Extrinsics that may still be included.
    pub fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.sent.values()
    }

    /// The highest block that an outcome names, that decides an unknown one of an earlier life, or at which what others did
    /// had ended. The last ended jobs hold it, so it outlives a restart.
    pub fn settled_at(&self) -> Height {
        self.settled_at.max(self.settled_by_others)
    }

    /// Of a job that ended as unknown: the last block that could hold its extrinsic, or a later one where it ended in an
    /// earlier life.
    pub fn decided_at(&self, job: &JobId) -> Option<Height> {
        let earlier = || {
            let past = self.ended.get(job).filter(|past| matches!(past.outcome, Outcome::Unknown(_)));
            past.map(|_| self.settled_at())
        };
        self.decided.get(job).copied().or_else(earlier)
    }

    /// The highest era of the jobs that are remembered.
    pub fn last_era(&self) -> Option<u64> {
        let (open, ended) = (self.jobs.keys().next_back(), self.ended.keys().next_back());
        open.max(ended).map(|job| job.era)
    }

    /// The last ended jobs, oldest first.
    pub fn ended(&self) -> impl DoubleEndedIterator<Item = (&JobId, &Past)> {
        self.ended_order.iter().filter_map(|job| self.ended.get_key_value(job))
    }

    /// What is remembered of an ended job.
    pub fn past(&self, job: &JobId) -> Option<&Past> {
        self.ended.get(job)
    }

    /// Whether nothing is to be sent.
    pub const fn paused(&self) -> bool {
        self.paused
    }

    /// What was paid.
    pub const fn fees(&self) -> &Fees {
        &self.fees
    }

    /// Planck offered as tips on a day (days since 1970, UTC) to outbid others.
    pub const fn tips_on(&self, day: u64) -> u128 {
        if self.tips.0 == day { self.tips.1 } else { 0 }
    }

    pub(super) fn apply_all(&mut self, records: Vec<Record>) -> Vec<bool> {
        records.into_iter().map(|record| self.apply(record)).collect()
    }

    /// Takes a record in; whether it told something new. Records that contradict what is known tell nothing.
    pub(super) fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::Chain(hash) => {
                let told = self.chain.is_none();
                self.chain.get_or_insert(hash);
                told
            }
            Record::Accepted { job, pool, calls } => {
                if self.state(&job).is_some() {
                    return false;
                }
                let place = self.places;
                self.places += 1;
                let keys = calls.iter().map(Call::key).collect();
                let bytes = calls.iter().map(Encode::encoded_size).sum();
                self.waiting.insert(place, job);
                let accepted = self.now;
                let job_of = Job { pool, calls, place, extrinsic: None, keys, bytes, accepted, sent: 0 };
                self.jobs.insert(job, job_of);
                true
            }
            Record::Now(at) => {
                self.now = at;
                false
            }
            Record::Past { job, past } => !self.ended.contains_key(&job) && self.remember(job, past),
            Record::Name(name) => {
                let told = self.name.is_none();
                self.name.get_or_insert(name);
                told
            }
            Record::Paused(paused) => std::mem::replace(&mut self.paused, paused) != paused,
            Record::Settled(height) => {
                let told = height > self.settled_by_others;
                self.settled_by_others = self.settled_by_others.max(height);
                told
            }
            Record::Fee { account, planck, pools } => {
                self.fees.add(account, planck, &pools);
                true
            }
            Record::Tip { day, planck } => {
                self.tips = (day, self.tips_on(day).saturating_add(planck));
                true
            }
            Record::TipReturned { day, planck } => {
                let counted = self.tips.0 == day;
                if counted {
                    self.tips.1 = self.tips.1.saturating_sub(planck);
                }
                counted
            }
            Record::Sent(sent) => {
                self.totals.submitted += u64::from(!self.sent.contains_key(&sent.hash));
                for (id, _) in &sent.jobs {
                    if let Some(job) = self.jobs.get_mut(id) {
                        job.extrinsic = Some(sent.hash);
                        job.sent = self.now;
                        self.waiting.remove(&job.place);
                    }
                }
                self.sent.insert(sent.hash, sent).is_none()
            }
            Record::Withdrawn(hash) => {
                let Some(sent) = self.sent.remove(&hash) else { return false };
                self.totals.submitted = self.totals.submitted.saturating_sub(1);
                for (id, _) in sent.jobs {
                    if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.extrinsic == Some(hash)) {
                        job.extrinsic = None;
                        job.sent = 0;
                        self.waiting.insert(job.place, id);
                    }
                }
                true
            }
            Record::Ended { extrinsic, outcomes } => {
                let sent = extrinsic.and_then(|hash| self.sent.remove(&hash));
                let mut told = sent.is_some();
                if told {
                    self.totals.count(outcomes.iter().map(|(_, outcome)| outcome));
                }
                for (id, outcome) in outcomes {
                    // Only its extrinsic ends a job that is in one: whoever rejects it otherwise came too late.
                    let under_way = self.jobs.get(&id).and_then(|job| job.extrinsic);
                    if extrinsic.is_some() || under_way.is_none() {
                        if let (Some(sent), Outcome::Unknown(_)) = (&sent, &outcome) {
                            self.decided.insert(id, sent.birth + sent.period);
                        }
                        told |= self.end(id, outcome);
                    }
                }
                told
            }
        }
    }

    fn end(&mut self, id: JobId, outcome: Outcome) -> bool {
        // An outcome never changes.
        if self.ended.contains_key(&id) {
            return false;
        }
        let job = self.jobs.remove(&id);
        if let Some(job) = &job {
            self.waiting.remove(&job.place);
        }
        let carried = job.as_ref().and_then(|job| job.extrinsic);
        let extrinsic = match &outcome {
            Outcome::Finalized { extrinsic, .. } => Some(*extrinsic),
            _ => carried,
        };
        let past = Past {
            pool: job.as_ref().map(|job| job.pool),
            description: job.as_ref().map(|job| describe(&job.calls)).unwrap_or_default(),
            accepted: job.as_ref().map_or(0, |job| job.accepted),
            sent: job.as_ref().map_or(0, |job| job.sent),
            ended: self.now,
            extrinsic,
            outcome,
        };
        self.remember(id, past)
    }

    fn remember(&mut self, id: JobId, past: Past) -> bool {
        if let Outcome::Finalized { block, .. } = &past.outcome {
            self.settled_at = self.settled_at.max(block.height);
        }
        self.ended.insert(id, past);
        self.ended_order.push_back(id);
        while self.ended_order.len() > ENDED_KEPT {
            if let Some(oldest) = self.ended_order.pop_front() {
                self.ended.remove(&oldest);
                self.decided.remove(&oldest);
            }
        }
        true
    }

    /// Records that rebuild this image.
    pub(super) fn snapshot(&self) -> Vec<Record> {
        let mut by_place: Vec<(&JobId, &Job)> = self.jobs.iter().collect();
        by_place.sort_by_key(|(_, job)| job.place);
        let mut records: Vec<Record> = self.chain.map(Record::Chain).into_iter().collect();
        records.extend(self.name.map(Record::Name));
        records.push(Record::Paused(self.paused));
        // Whoever reads it is another life, which waits for the blocks that decide.
        let settled = self.decided.values().copied().fold(self.settled_by_others, Height::max);
        if settled > Height(0) {
            records.push(Record::Settled(settled));
        }
        records.extend(self.fees.records());
        if self.tips.1 > 0 {
            records.push(Record::Tip { day: self.tips.0, planck: self.tips.1 });
        }
        records.extend(self.ended().map(|(job, past)| Record::Past { job: *job, past: past.clone() }));
        for (id, job) in by_place {
            records.push(Record::Now(job.accepted));
            records.push(Record::Accepted { job: *id, pool: job.pool, calls: job.calls.clone() });
        }
        for sent in self.sent.values() {
            let at = sent.jobs.iter().find_map(|(job, _)| Some(self.jobs.get(job)?.sent));
            records.push(Record::Now(at.unwrap_or_default()));
            records.push(Record::Sent(sent.clone()));
        }
        records.push(Record::Now(self.now));
        records
    }
}
