//! How blocks are made.

use super::{Block, ChainBuilder, Inner, Queued, RelayBlock};
use crate::{
    id::{BlockRef, Hash, Height, JobId, PoolId},
    port::{CallResult, Outcome},
    storage_key,
    testkit::{
        runtime::{Runtime, State},
        sink::JobFault,
        toy::{self, ToyEvent},
    },
    tx::Call,
    types::{
        grandpa::{AuthoritySet, ScheduledChange},
        header::{DigestItem, GRANDPA_ENGINE, Header},
        sync::{StorageChanges, StorageState},
    },
};
use bytes::Bytes;
use codec::Encode;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Parachain blocks after which a job that is never included is given up.
const MORTALITY: u32 = 4;

/// Set id at the start block.
const FIRST_SET: u64 = 7;

const VOTERS: u8 = 3;

/// What a block did: its root, its changes, the state after it, and the jobs in it.
pub(super) struct Done {
    pub(super) root: Hash,
    pub(super) changes: Bytes,
    pub(super) state: State,
    jobs: Vec<(JobId, Hash, Vec<CallResult>)>,
    /// Of the extrinsics that its author put in.
    pub(super) results: Vec<Vec<CallResult>>,
}

impl Inner {
    pub(super) fn new(options: ChainBuilder) -> Self {
        let set = Arc::new(authorities(options.seed, FIRST_SET));
        let state: State = [
            (storage_key::parachain_id(), options.para_id.encode()),
            (storage_key::timestamp_now(), 0u64.encode()),
            (storage_key::cool_down_period(), options.cool_down.encode()),
            (storage_key::plain("Toy", "Seed"), options.seed.encode()),
            (storage_key::grandpa_authorities(), set.list.encode()),
            (storage_key::grandpa_current_set_id(), set.id.encode()),
        ]
        .into_iter()
        .map(|(key, value)| (key, Bytes::from(value)))
        .collect();
        let pairs: StorageState = state.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
        let pairs = Bytes::from(pairs.encode());
        let root = Hash::of(&pairs);
        let block_zero = Header { state_root: root, ..Header::numbered(Height(0)) };
        let first = Block {
            at: block_zero.block_ref(),
            header: block_zero.encode().into(),
            root,
            changes: Bytes::new(),
            state: Arc::new(state),
        };
        let (start, node) = if options.solo {
            (block_zero, pairs)
        } else {
            let node = relay_state(options.start, &set, None);
            let parent_hash = Hash::of(&("before the start", options.seed).encode());
            let start = Header {
                parent_hash,
                state_root: Hash::of(&node),
                ..Header::numbered(Height(options.start))
            };
            (start, node)
        };
        let start = RelayBlock {
            at: start.block_ref(),
            header: start.encode().into(),
            signers: set.clone(),
            announces: None,
            state: node,
            head: None,
        };
        Self {
            options,
            relay: vec![start],
            blocks: vec![first],
            drafts: VecDeque::new(),
            authored: 0,
            set,
            queue: Vec::new(),
            ended: BTreeMap::new(),
            events: Vec::new(),
            free_stake: u128::MAX,
            meddling: Vec::new(),
            poison: BTreeSet::new(),
        }
    }

    /// Adds a relay block with what it brings.
    pub(super) fn grow(&mut self) {
        let parent = self.relay_tip().at;
        let height = parent.height.next();
        let age = height.0 - self.options.start;
        let signers = self.set.clone();
        let mut digest = vec![DigestItem::PreRuntime(*b"BABE", age.encode())];
        let announces = (self.options.rotate_every > 0 && age.is_multiple_of(self.options.rotate_every))
            .then(|| Arc::new(authorities(self.options.seed, signers.id + 1)));
        if let Some(next) = &announces {
            let change = ScheduledChange { next_authorities: next.list.clone(), delay: 0 };
            digest.push(DigestItem::Consensus(GRANDPA_ENGINE, change.to_log()));
            self.set = next.clone();
        }
        let extrinsics_root = Hash::of(&(self.options.seed, height).encode());
        let head_of = |root| Header {
            parent_hash: parent.hash,
            number: height.0,
            state_root: root,
            extrinsics_root,
            digest,
        };
        let (header, state, head) = if self.options.solo {
            let done = self.execute(&[]);
            let header = head_of(done.root);
            self.finish(&header, done);
            (header, Bytes::new(), None)
        } else {
            let head = age.checked_sub(self.options.para_after).map(|since| {
                if since > 0 && since.is_multiple_of(self.options.para_every) {
                    self.para_block();
                }
                self.blocks.len() as u32 - 1
            });
            let node = relay_state(
                height.0,
                &self.set,
                head.map(|head| (self.options.para_id, &self.blocks[head as usize].header)),
            );
            (head_of(Hash::of(&node)), node, head)
        };
        self.relay.push(RelayBlock {
            at: header.block_ref(),
            header: header.encode().into(),
            signers,
            announces,
            state,
            head,
        });
    }

    fn para_block(&mut self) {
        if self.options.authored {
            self.finalize_draft();
            return;
        }
        let done = self.execute(&[]);
        let parent = self.best().at;
        let header = Header {
            parent_hash: parent.hash,
            number: parent.height.0 + 1,
            state_root: done.root,
            extrinsics_root: Hash::of(&done.changes),
            digest: vec![DigestItem::Seal(*b"aura", vec![0; 64])],
        };
        self.finish(&header, done);
    }

    /// Runs the next block with a state: queued jobs, what its author puts in, events, time.
    pub(super) fn execute(&mut self, extrinsics: &[Vec<Call>]) -> Done {
        let parent = self.best();
        let number = parent.at.height.0 + 1;
        let now = u64::from(number) * 12_000;
        let parent_root = parent.root;
        let state = (*parent.state).clone();
        let mut runtime = Runtime {
            state,
            changes: BTreeMap::new(),
            events: std::mem::take(&mut self.events),
            start: self.relay[0].at.hash,
            now,
            owners: &self.options.pools,
            free_stake: self.free_stake,
            poison: &self.poison,
        };
        runtime.put(storage_key::timestamp_now(), now.encode());
        if self.options.padding > 0 {
            let padding = vec![number as u8; self.options.padding];
            runtime.put(storage_key::plain("Toy", "Padding"), padding);
        }
        std::mem::take(&mut self.meddling).iter().for_each(|meddling| runtime.meddle(meddling));
        let mut jobs = Vec::new();
        let mut held: BTreeSet<PoolId> = BTreeSet::new();
        let mut left = Vec::new();
        for job in std::mem::take(&mut self.queue) {
            // What is of unknown fate has left the sink's hands: it waits for nobody, and lands in time or never.
            let adrift = matches!(job.fault, Some(JobFault::Unknown { .. }));
            if held.contains(&job.pool) && !adrift {
                left.push(job);
                continue;
            }
            let (age, at) = (number - job.since, job.job);
            match &job.fault {
                Some(JobFault::Slow(blocks)) if age <= *blocks => {
                    held.insert(job.pool);
                    left.push(job);
                }
                Some(JobFault::Expire) if age <= MORTALITY => {
                    held.insert(job.pool);
                    left.push(job);
                }
                Some(JobFault::Expire) => {
                    self.ended.insert(at, Outcome::Expired);
                }
                Some(JobFault::Reject(why)) => {
                    self.ended.insert(at, Outcome::Rejected(why.clone()));
                }
                Some(JobFault::Fail(error)) => {
                    let results = vec![CallResult::Failed(error.clone()); job.calls.len()];
                    jobs.push((at, extrinsic(&job), results));
                }
                Some(JobFault::Unknown { lands_after }) => {
                    self.ended.entry(at).or_insert_with(|| Outcome::Unknown("scripted".into()));
                    match lands_after {
                        Some(blocks) if age <= *blocks => left.push(job),
                        Some(_) => job.calls.iter().for_each(|call| drop(runtime.dispatch(call))),
                        None => {}
                    }
                }
                None | Some(JobFault::Slow(_)) => {
                    let results = job.calls.iter().map(|call| runtime.dispatch(call)).collect();
                    jobs.push((at, extrinsic(&job), results));
                }
            }
        }
        self.queue = left;
        let mut apply = |calls: &Vec<Call>| calls.iter().map(|call| runtime.dispatch(call)).collect();
        let results = extrinsics.iter().map(&mut apply).collect();
        if self.options.challenge_every > 0 && number.is_multiple_of(self.options.challenge_every) {
            runtime.events.push(ToyEvent::Challenge);
        }
        let events = runtime.events.encode();
        runtime.put(toy::events_key(), events);
        let changes = StorageChanges {
            main_storage_changes: runtime.changes.into_iter().collect(),
            child_storage_changes: Vec::new(),
        };
        let changes = Bytes::from(changes.encode());
        let root = toy::next_root(parent_root, &changes);
        toy::seal(root, &mut runtime.state);
        Done { root, changes, state: runtime.state, jobs, results }
    }

    fn finish(&mut self, header: &Header, done: Done) {
        let at = header.block_ref();
        for (job, extrinsic, results) in done.jobs {
            self.ended.insert(job, Outcome::Finalized { block: at, extrinsic, results });
        }
        self.blocks.push(Block {
            at,
            header: header.encode().into(),
            root: done.root,
            changes: done.changes,
            state: Arc::new(done.state),
        });
    }
}

fn extrinsic(job: &Queued) -> Hash {
    Hash::of(&(job.job, &job.calls).encode())
}

fn authorities(seed: u64, id: u64) -> AuthoritySet {
    let list = (0..VOTERS).map(|voter| (Hash::of(&(seed, id, voter).encode()).0, 1)).collect();
    AuthoritySet { list, id }
}

/// The only node of a relay state. The number makes it differ from all others.
fn relay_state(number: u32, set: &AuthoritySet, head: Option<(u32, &Bytes)>) -> Bytes {
    let mut pairs: StorageState = vec![
        (storage_key::plain("System", "Number"), number.encode()),
        (storage_key::grandpa_authorities(), set.list.encode()),
        (storage_key::grandpa_current_set_id(), set.id.encode()),
    ];
    if let Some((para_id, header)) = head {
        pairs.push((storage_key::para_head(para_id), header.as_ref().encode()));
    }
    pairs.encode().into()
}

impl Inner {
    /// A reference to a stored block, for the source.
    pub(in crate::testkit) fn block_ref(&self, height: Height) -> Option<BlockRef> {
        self.blocks.get(height.0 as usize).map(|block| block.at)
    }
}
