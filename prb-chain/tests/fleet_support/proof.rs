//! What must hold, whatever goes wrong: looked at as it happens, and once more from the finalized chain in the end.

use super::{extrinsic::Extrinsic, node::Node};
use prb_chain::journal::{Journal, Past};
use prb_core::{
    id::{AccountId, Hash, Height, JobId},
    port::{CallResult, JobState, Outcome},
    tx::{Call, CallKey},
    types::message::MessageOrigin,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

/// Clones are the same record.
#[derive(Clone)]
pub struct Proof {
    node: Node,
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    /// Jobs that the trader accepted, in order.
    jobs: Vec<(JobId, Vec<Call>)>,
    /// Outcomes as they were first told.
    told: BTreeMap<JobId, Outcome>,
    /// What was sent and may still be included.
    live: BTreeMap<Hash, Extrinsic>,
    /// What no node took.
    refused: BTreeSet<Hash>,
    violations: Vec<String>,
}

/// A job that an extrinsic carried, and its end.
type Carried<'a> = (&'a JobId, &'a Vec<Call>, Outcome);

impl Proof {
    pub fn new(node: Node) -> Self {
        Self { node, record: Arc::default() }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// A job is handed in: nothing about the same thing may be open.
    pub fn offered(&self, job: JobId, calls: &[Call], journal: &Journal) {
        let keys: BTreeSet<CallKey> = calls.iter().map(Call::key).collect();
        let clash = journal.read(|image| {
            let mut others = image.open().filter(|(other, _)| **other != job);
            others.find(|(_, open)| !open.keys.is_disjoint(&keys)).map(|(other, _)| *other)
        });
        if let Some(other) = clash {
            self.record()
                .violations
                .push(format!("{job} is about something that {other} is about: {keys:?}"));
        }
    }

    /// The trader has the job.
    pub fn accepted(&self, job: JobId, calls: Vec<Call>) {
        let mut record = self.record();
        if record.jobs.iter().all(|(known, _)| *known != job) {
            record.jobs.push((job, calls));
        }
    }

    /// An outcome is told: always the same.
    pub fn told(&self, job: JobId, outcome: &Outcome) {
        let mut record = self.record();
        let first = record.told.entry(job).or_insert_with(|| outcome.clone()).clone();
        if first != *outcome {
            record.violations.push(format!("{job} ended as {first:?} and then as {outcome:?}"));
        }
    }

    /// Something is about to be given to a node for the first time.
    pub fn attempt(&self, bytes: &[u8], journal: &Journal) {
        let finalized = self.node.finalized();
        let read = self.node.read(bytes, self.node.chain.best().height.next());
        let mut guard = self.record();
        let record = &mut *guard;
        let new = match read {
            Ok(extrinsic) => extrinsic,
            Err(why) => return record.violations.push(format!("block {finalized}: sent though {why}")),
        };
        record
            .live
            .retain(|_, live| finalized < live.last_valid && live.nonce >= self.node.nonce(&live.signer));
        let keys: BTreeSet<CallKey> = new.calls.iter().map(Call::key).collect();
        for live in record.live.values() {
            let (nonce, hash) = (live.nonce, live.hash);
            if live.signer == new.signer && nonce == new.nonce {
                record.violations.push(format!("{} for nonce {nonce}, which {hash} has", new.hash));
            }
            if live.calls.iter().any(|call| keys.contains(&call.key())) {
                record.violations.push(format!("{} again while {hash} may be included: {keys:?}", new.hash));
            }
        }
        if record.refused.contains(&new.hash) || record.live.contains_key(&new.hash) {
            record.violations.push(format!("{} is given to a node as if it were new", new.hash));
        }
        // What the last life wrote down and could not send any more counts as sent: its bytes are given later.
        let held: BTreeSet<u32> = journal.read(|image| {
            image.sent().filter(|sent| sent.signer == new.signer).map(|sent| sent.nonce).collect()
        });
        if let Some(gap) = (self.node.nonce(&new.signer)..new.nonce).find(|nonce| !held.contains(nonce)) {
            record.violations.push(format!("nonce {} behind a gap at {gap}", new.nonce));
        }
        record.live.insert(new.hash, new);
    }

    /// The answer proves that nobody has it.
    pub fn refused(&self, hash: Hash) {
        let mut record = self.record();
        record.live.remove(&hash);
        record.refused.insert(hash);
    }

    /// Compares what was told with the finalized chain; how many jobs there were. `journal` is that of the last life.
    pub fn conclude(&self, journal: &Journal) -> usize {
        let record = self.record();
        assert_eq!(record.violations, Vec::<String>::new());
        let included = self.included();
        let mut carried = BTreeMap::<Hash, Vec<Carried<'_>>>::new();
        for (job, calls) in &record.jobs {
            let Some(Past { outcome, extrinsic, .. }) = journal.read(|image| image.past(job).cloned()) else {
                let state = journal.read(|image| image.state(job));
                assert!(!matches!(state, Some(JobState::Ended(_))));
                panic!("{job} has not ended: {state:?}");
            };
            if let Some(told) = record.told.get(job) {
                assert_eq!(*told, outcome, "{job} ended twice");
            }
            match (&outcome, extrinsic) {
                (Outcome::Finalized { .. }, None) => panic!("{job} is in no extrinsic: {outcome:?}"),
                (Outcome::Finalized { .. } | Outcome::Unknown(_), Some(hash)) => {
                    carried.entry(hash).or_default().push((job, calls, outcome));
                }
                (_, Some(hash)) => {
                    assert!(!included.contains_key(&hash), "{job} is in a block: {outcome:?}");
                }
                (_, None) => {}
            }
        }
        for (hash, jobs) in &carried {
            let Some((at, extrinsic, results)) = included.get(hash) else {
                let unknown = jobs.iter().all(|(_, _, outcome)| matches!(outcome, Outcome::Unknown(_)));
                assert!(unknown, "in no block: {jobs:?}");
                continue;
            };
            let calls: Vec<&Call> = jobs.iter().flat_map(|(_, calls, _)| calls.iter()).collect();
            assert_eq!(calls, extrinsic.calls.iter().collect::<Vec<_>>(), "calls of {hash}");
            let mut rest = &results[..];
            for (job, calls, outcome) in jobs {
                let (mine, later) = rest.split_at(calls.len());
                rest = later;
                let results = mine.to_vec();
                let truth = Outcome::Finalized { block: *at, extrinsic: *hash, results };
                assert!(
                    *outcome == truth || matches!(outcome, Outcome::Unknown(_)),
                    "{job}: {outcome:?}, {truth:?}"
                );
            }
        }
        for hash in included.keys() {
            assert!(carried.contains_key(hash), "{hash} is in a block, and no job tells of it");
        }
        record.jobs.len()
    }

    /// Every extrinsic of the finalized chain. Each is there once, nonces have no gap, and no message was paid for after
    /// the chain had taken it.
    fn included(&self) -> BTreeMap<Hash, (prb_core::id::BlockRef, Extrinsic, Vec<CallResult>)> {
        let mut included = BTreeMap::new();
        let mut nonces: BTreeMap<AccountId, u32> = BTreeMap::new();
        let mut taken: BTreeMap<MessageOrigin, u64> = BTreeMap::new();
        for height in 1..=self.node.finalized().0 {
            let body = self.node.body(Height(height));
            for (extrinsic, results) in body.extrinsics {
                let nonce = nonces.entry(extrinsic.signer).or_default();
                assert_eq!(extrinsic.nonce, *nonce, "nonces of {}", extrinsic.signer);
                *nonce += 1;
                for (call, result) in extrinsic.calls.iter().zip(&results) {
                    let Call::SyncMessage(signed) = call else { continue };
                    let (sender, sequence) = (&signed.message.sender, signed.sequence);
                    let next = taken.entry(sender.clone()).or_default();
                    assert!(sequence >= *next, "block {height}: message {sequence} of {sender:?} again");
                    if *result == CallResult::Ok {
                        assert_eq!(sequence, *next, "block {height}: messages of {sender:?}");
                        *next += 1;
                    }
                }
                let before = included.insert(extrinsic.hash, (body.at, extrinsic, results));
                assert!(before.is_none(), "block {height}: an extrinsic again");
            }
        }
        included
    }
}
