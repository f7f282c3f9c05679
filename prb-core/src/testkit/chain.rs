//! A relay chain with a parachain (or a standalone chain) in memory.

mod build;
mod drafts;

use self::drafts::Draft;
use super::{runtime::State, sink::JobFault, toy::ToyEvent};
use crate::{
    id::{AccountId, BlockRef, Hash, Height, JobId, PoolId, WorkerKey},
    port::{Genesis, Outcome, Tips},
    storage_key,
    tx::Call,
    types::{
        facts::{Session, SessionState, WorkerEntry},
        grandpa::AuthoritySet,
        message::MessageOrigin,
        sync::{GenesisBlockInfo, StorageState},
    },
};
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// How a [`FakeChain`] grows.
#[derive(Clone, Debug)]
pub struct ChainBuilder {
    seed: u64,
    start: u32,
    pub(super) para_id: u32,
    rotate_every: u32,
    para_every: u32,
    para_after: u32,
    challenge_every: u32,
    padding: usize,
    solo: bool,
    authored: bool,
    cool_down: u64,
    pub(super) pools: BTreeMap<PoolId, AccountId>,
}

impl ChainBuilder {
    /// Seconds for which the stake of a stopped worker is locked; a block is 12 s later than the one before. 60 unless
    /// told.
    #[must_use]
    pub fn cool_down(mut self, seconds: u64) -> Self {
        self.cool_down = seconds;
        self
    }

    /// Number of the relay chain's start block. 100 unless told.
    #[must_use]
    pub fn start_at(mut self, number: u32) -> Self {
        self.start = number;
        self
    }

    /// Every so many relay blocks one announces the next authority set; 0 for never. 10 unless told.
    #[must_use]
    pub fn rotate_every(mut self, blocks: u32) -> Self {
        self.rotate_every = blocks;
        self
    }

    /// Every so many relay blocks one includes a parachain block. 2 unless told.
    #[must_use]
    pub fn para_every(mut self, blocks: u32) -> Self {
        self.para_every = blocks.max(1);
        self
    }

    /// Relay blocks after the start block until the relay state holds a parachain head. 2 unless told.
    #[must_use]
    pub fn para_after(mut self, blocks: u32) -> Self {
        self.para_after = blocks;
        self
    }

    /// Every so many parachain blocks, computing workers have to answer a challenge; 0 for never. 5 unless told.
    #[must_use]
    pub fn challenge_every(mut self, blocks: u32) -> Self {
        self.challenge_every = blocks;
        self
    }

    /// Bytes that each parachain block changes besides what it has to. 0 unless told.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    /// A stake pool and its owner. Pool 1, owned by [`FakeChain::OWNER`], is always there.
    #[must_use]
    pub fn pool(mut self, pool: PoolId, owner: AccountId) -> Self {
        self.pools.insert(pool, owner);
        self
    }

    /// Parachain blocks are made by [`FakeChain::author`] alone; when one is due, the oldest that is not finalized yet is.
    #[must_use]
    pub fn authored(mut self) -> Self {
        self.authored = true;
        self
    }

    /// One chain that finalizes itself, from block 0, instead of a relay chain with a parachain.
    #[must_use]
    pub fn solo(mut self) -> Self {
        (self.solo, self.start) = (true, 0);
        self
    }

    /// The chain, which holds its start block only.
    pub fn build(self) -> FakeChain {
        let (version, _) = watch::channel(());
        FakeChain { inner: Arc::new(Mutex::new(Inner::new(self))), version }
    }
}

/// A relay chain with a parachain, always finalized to its tip but for what was [authored](Self::author) on top. Clones
/// share the chain.
#[derive(Clone)]
pub struct FakeChain {
    inner: Arc<Mutex<Inner>>,
    version: watch::Sender<()>,
}

pub(super) struct Inner {
    pub(super) options: ChainBuilder,
    /// The start block and those after it.
    pub(super) relay: Vec<RelayBlock>,
    /// Blocks with state: the parachain's, or the standalone chain's. From block 0.
    pub(super) blocks: Vec<Block>,
    /// Those built on them that are not finalized, the oldest first.
    drafts: VecDeque<Draft>,
    /// Blocks authored so far, on whatever fork.
    authored: u64,
    /// The set in charge after the last relay block.
    pub(super) set: Arc<AuthoritySet>,
    pub(super) queue: Vec<Queued>,
    pub(super) ended: BTreeMap<JobId, Outcome>,
    pub(super) events: Vec<ToyEvent>,
    pub(super) free_stake: u128,
    /// What others do in the next block.
    pub(super) meddling: Vec<Meddling>,
    /// Messages that the chain refuses.
    pub(super) poison: BTreeSet<(MessageOrigin, u64)>,
}

/// What somebody else does on a [`FakeChain`].
#[derive(Clone, Debug)]
pub enum Meddling {
    /// A call by another program. What comes of it is not told.
    Call(Call),
    /// A gatekeeper marks a computing worker as silent, or as heard of again.
    Silent {
        /// Its pool.
        pool: PoolId,
        /// The worker.
        worker: WorkerKey,
        /// Whether it is silent.
        silent: bool,
    },
    /// A worker's first benchmark came out so.
    Score {
        /// The worker.
        worker: WorkerKey,
        /// Its score.
        score: u32,
    },
}

pub(super) struct RelayBlock {
    pub(super) at: BlockRef,
    pub(super) header: Bytes,
    /// The set that finalizes it.
    pub(super) signers: Arc<AuthoritySet>,
    /// Whether it announces the next set, which is then in its state.
    pub(super) announces: Option<Arc<AuthoritySet>>,
    /// The only node of its state.
    pub(super) state: Bytes,
    /// Number of the parachain head in its state.
    pub(super) head: Option<u32>,
}

pub(super) struct Block {
    pub(super) at: BlockRef,
    pub(super) header: Bytes,
    pub(super) root: Hash,
    pub(super) changes: Bytes,
    pub(super) state: Arc<State>,
}

/// A job on its way into a block.
pub(super) struct Queued {
    pub(super) job: JobId,
    pub(super) pool: PoolId,
    pub(super) calls: Vec<Call>,
    pub(super) fault: Option<JobFault>,
    pub(super) since: u32,
}

impl FakeChain {
    /// Owner of pool 1.
    pub const OWNER: AccountId = AccountId([0xaa; 32]);

    /// A small chain with the usual habits.
    pub fn new(seed: u64) -> Self {
        Self::builder(seed).build()
    }

    /// A chain whose hashes follow from `seed`.
    pub fn builder(seed: u64) -> ChainBuilder {
        ChainBuilder {
            seed,
            start: 100,
            para_id: 2035,
            rotate_every: 10,
            para_every: 2,
            para_after: 2,
            challenge_every: 5,
            padding: 0,
            solo: false,
            authored: false,
            cool_down: 60,
            pools: BTreeMap::from([(PoolId(1), Self::OWNER)]),
        }
    }

    /// Adds (and finalizes) so many relay blocks, with the parachain blocks and the queued jobs they bring.
    pub fn advance(&self, blocks: u32) {
        {
            let mut inner = self.inner();
            for _ in 0..blocks {
                inner.grow();
            }
        }
        self.version.send_replace(());
    }

    /// Adds a relay block every `period` of tokio's clock until the answer is dropped.
    pub fn pulse(&self, period: Duration) -> Pulse {
        let chain = self.clone();
        Pulse(tokio::spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                chain.advance(1);
            }
        }))
    }

    /// What workers and stores start from.
    pub fn genesis(&self) -> Genesis {
        let inner = self.inner();
        let (start, first) = (&inner.relay[0], &inner.blocks[0]);
        let pairs: StorageState =
            first.state.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
        Genesis {
            relay_chain: Hash::of(&("relay chain", inner.options.seed).encode()),
            relay: GenesisBlockInfo {
                block_header: decoded(&start.header),
                authority_set: (*inner.first_set()).clone(),
                proof: vec![start.state.to_vec()],
            },
            para_header: decoded(&first.header),
            para_state: pairs.encode().into(),
            para_id: inner.options.para_id,
            parachain: !inner.options.solo,
        }
    }

    /// The start block.
    pub fn start(&self) -> BlockRef {
        self.inner().relay[0].at
    }

    /// The finalized heads. Of a standalone chain both are the same.
    pub fn tips(&self) -> Tips {
        let inner = self.inner();
        Tips { relay: inner.relay_tip().at.height, para: inner.blocks[inner.blocks.len() - 1].at.height }
    }

    /// The relay blocks that announce the next authority set.
    pub fn set_changes(&self) -> Vec<Height> {
        let inner = self.inner();
        let announcing = inner.relay.iter().filter(|block| block.announces.is_some());
        announcing.map(|block| block.at.height).collect()
    }

    /// SCALE header of a relay block.
    pub fn relay_header(&self, height: Height) -> Option<Bytes> {
        self.inner().relay_block(height).map(|block| block.header.clone())
    }

    /// SCALE header of a parachain block.
    pub fn para_header(&self, height: Height) -> Option<Bytes> {
        self.inner().blocks.get(height.0 as usize).map(|block| block.header.clone())
    }

    /// All pairs after a block of the chain with the state, SCALE
    /// [`StorageState`].
    pub fn pairs(&self, height: Height) -> Option<Bytes> {
        self.inner().pairs(height)
    }

    /// SCALE storage changes of a block of the chain with the state.
    pub fn changes(&self, height: Height) -> Option<Bytes> {
        self.inner().blocks.get(height.0 as usize).map(|block| block.changes.clone())
    }

    /// Whoever speaks for `sender` queues so many messages once it has the next block.
    pub fn prompt(&self, sender: MessageOrigin, messages: u32) {
        self.inner().events.push(ToyEvent::Speak(sender, messages));
    }

    /// Somebody else does this in the next block.
    pub fn meddle(&self, meddling: Meddling) {
        self.inner().meddling.push(meddling);
    }

    /// From now on the chain refuses this message, until it is [healed](Self::heal).
    pub fn poison(&self, sender: MessageOrigin, sequence: u64) {
        self.inner().poison.insert((sender, sequence));
    }

    /// No message is refused for itself any more.
    pub fn heal(&self) {
        self.inner().poison.clear();
    }

    /// Stake that a worker of a pool computes with or has locked, at the tip.
    pub fn stake(&self, pool: PoolId, worker: &WorkerKey) -> Option<u128> {
        self.value(&storage_key::stake(&storage_key::session_account(pool, worker)))
    }

    /// Free stake of every pool, planck; unlimited at first.
    pub fn set_free_stake(&self, stake: u128) {
        self.inner().free_stake = stake;
    }

    /// Registration of a worker at the tip.
    pub fn entry(&self, worker: &WorkerKey) -> Option<WorkerEntry> {
        self.value(&storage_key::registry_worker(worker))
    }

    /// Session of a worker in a pool at the tip.
    pub fn session(&self, pool: PoolId, worker: &WorkerKey) -> Option<SessionState> {
        let key = storage_key::session(&storage_key::session_account(pool, worker));
        self.value::<Session>(&key).map(|session| session.state)
    }

    /// Messages taken from a sender, at the tip.
    pub fn taken(&self, sender: &MessageOrigin) -> u64 {
        self.value(&storage_key::offchain_ingress(sender)).unwrap_or_default()
    }

    /// The end of a job that the chain has decided, for tests of sinks.
    pub fn outcome(&self, job: JobId) -> Option<Outcome> {
        self.inner().ended.get(&job).cloned()
    }

    /// Returns when the chain has grown since the receiver last looked.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.version.subscribe()
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value<T: Decode>(&self, key: &[u8]) -> Option<T> {
        let inner = self.inner();
        let value = inner.blocks[inner.blocks.len() - 1].state.get(key)?;
        T::decode(&mut value.as_ref()).ok()
    }
}

impl Inner {
    pub(super) fn relay_tip(&self) -> &RelayBlock {
        &self.relay[self.relay.len() - 1]
    }

    pub(super) fn relay_block(&self, height: Height) -> Option<&RelayBlock> {
        self.relay.get(height.0.checked_sub(self.options.start)? as usize)
    }

    pub(super) fn is_solo(&self) -> bool {
        self.options.solo
    }

    /// All pairs after a block, for fast sync.
    pub(super) fn pairs(&self, height: Height) -> Option<Bytes> {
        let block = self.blocks.get(height.0 as usize)?;
        let pairs: StorageState =
            block.state.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
        Some(pairs.encode().into())
    }

    fn first_set(&self) -> Arc<AuthoritySet> {
        self.relay.get(1).map_or_else(|| self.set.clone(), |block| block.signers.clone())
    }
}

pub(super) fn decoded<T: DecodeAll>(bytes: &Bytes) -> T {
    T::decode_all(&mut bytes.as_ref()).expect("encoded by the chain itself")
}

/// Grows a chain until dropped.
#[derive(Debug)]
pub struct Pulse(tokio::task::JoinHandle<()>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}
