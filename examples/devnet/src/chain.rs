//! One chain of the dev network: blocks, every past state, authoring, and the transaction pool.
//!
//! Not generic: the runtime is a [`Runtime`] descriptor and headers are the usual `u32`/BlakeTwo256 ones, so
//! the relay chain and the parachain are two values of the same type. State version (trie layout) comes from
//! the runtime's own `Core_version`.

mod author;
mod exec;
pub(crate) mod lock;
mod nodes;
mod pool;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};

use codec::{Decode, Encode};
use sp_core::H256;
use sp_core::storage::{StateVersion, Storage};
use sp_runtime::traits::{BlakeTwo256, Hash as _};
use sp_runtime::{ConsensusEngineId, generic};
use sp_state_machine::Backend as _;
use sp_version::RuntimeVersion;
use tokio::sync::broadcast;

pub use author::{AuthorError, BlockInput};
pub use exec::{CallError, Runtime};
pub use nodes::{Nodes, SharedNodes, State};
pub use pool::{PoolConfig, PoolError, TxStatus};
pub use state::StateError;

/// Headers of both chains.
pub type Header = generic::Header<u32, BlakeTwo256>;

/// Key and new value (`None`: deleted) of the keys a block wrote.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Keys and values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What one block wrote, in overlay form: a key rewritten with the value it had may appear.
///
/// Its SCALE encoding is the `StorageChanges` of Phala's `pha_getStorageChangesAt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct StorageChanges {
    /// Main trie.
    pub main: Changes,
    /// Child tries by unprefixed child-trie id (default namespace).
    pub child: Vec<(Vec<u8>, Changes)>,
}

/// A block with what it wrote.
#[derive(Debug, Clone)]
pub struct Block {
    /// blake2-256 of the SCALE header.
    pub hash: H256,
    /// The header, seal included.
    pub header: Header,
    /// Extrinsics, each with its compact length prefix.
    pub extrinsics: Vec<Vec<u8>>,
    /// What the block wrote; block 0: the whole genesis main trie.
    pub changes: StorageChanges,
    runtime: Runtime,
}

/// What subscribers hear.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new best block.
    Best(Arc<Block>),
    /// The finalized head moved to this block; heights in between are not announced.
    Finalized(Arc<Block>),
    /// A GRANDPA justification was made (SCALE `GrandpaJustification`).
    Justification(Arc<Vec<u8>>),
    /// The runtime was exchanged.
    Runtime,
}

/// Blocks, states and pool of one chain. Shared behind an `Arc`; all methods take `&self`.
pub struct Chain {
    nodes: Arc<Nodes>,
    state_version: StateVersion,
    next_runtime: RwLock<Runtime>,
    ledger: RwLock<Ledger>,
    authoring: Mutex<()>,
    pool: Mutex<pool::Pool>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct Ledger {
    blocks: HashMap<H256, Arc<Block>>,
    canon: Vec<Arc<Block>>,
    finalized: u32,
    justifications: BTreeMap<u32, Vec<(ConsensusEngineId, Vec<u8>)>>,
}

impl Chain {
    /// A chain with only its genesis block.
    pub fn new(runtime: Runtime, genesis: &Storage, pool: PoolConfig) -> Result<Self, CallError> {
        let nodes = Arc::new(Nodes::default());
        let empty = nodes.at(sp_trie::empty_trie_root::<sp_trie::LayoutV1<BlakeTwo256>>());
        let version: RuntimeVersion =
            exec::Execution::new(runtime, nodes.at(*empty.root())).typed("Core_version", &())?;
        let state_version = version.state_version();

        let main = genesis.top.iter().map(|(key, value)| (&key[..], Some(&value[..])));
        let child = genesis.children_default.values().map(|child| {
            (&child.child_info, child.data.iter().map(|(key, value)| (&key[..], Some(&value[..]))))
        });
        let (state_root, transaction) = empty.full_storage_root(main, child, state_version);
        nodes.absorb(transaction);

        let extrinsics_root = BlakeTwo256::ordered_trie_root(Vec::new(), state_version);
        let header = Header {
            parent_hash: H256::zero(),
            number: 0,
            state_root,
            extrinsics_root,
            digest: Default::default(),
        };
        let main = nodes
            .at(state_root)
            .pairs(Default::default())
            .and_then(|pairs| pairs.map(|pair| pair.map(|(key, value)| (key, Some(value)))).collect())
            .expect("every node of the genesis trie was stored just above");
        let block = Arc::new(Block {
            hash: header.hash(),
            header,
            extrinsics: Vec::new(),
            changes: StorageChanges { main, child: Vec::new() },
            runtime,
        });
        let ledger = Ledger {
            blocks: HashMap::from([(block.hash, block.clone())]),
            canon: vec![block],
            ..Ledger::default()
        };
        Ok(Self {
            nodes,
            state_version,
            next_runtime: RwLock::new(runtime),
            ledger: RwLock::new(ledger),
            authoring: Mutex::new(()),
            pool: Mutex::new(pool::Pool::new(pool)),
            events: broadcast::channel(1024).0,
        })
    }

    /// The trie layout of every state of this chain.
    pub fn state_version(&self) -> StateVersion {
        self.state_version
    }

    /// The runtime the next block will be built with.
    pub fn runtime(&self) -> Runtime {
        *lock::read(&self.next_runtime)
    }

    /// Exchanges the runtime, as an upgrade enacted after the current best block would. Blocks up to then
    /// keep answering calls with the runtime they were built with.
    pub fn upgrade(&self, runtime: Runtime) {
        *lock::write(&self.next_runtime) = runtime;
        let _ = self.events.send(Event::Runtime);
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> H256 {
        lock::read(&self.ledger).canon[0].hash
    }

    /// The best block.
    pub fn best(&self) -> Arc<Block> {
        lock::read(&self.ledger).canon.last().expect("block 0 always exists").clone()
    }

    /// Height of the finalized head.
    pub fn finalized_number(&self) -> u32 {
        lock::read(&self.ledger).finalized
    }

    /// The finalized head.
    pub fn finalized(&self) -> Arc<Block> {
        let ledger = lock::read(&self.ledger);
        ledger.canon[ledger.finalized as usize].clone()
    }

    /// The block at `number` on the best chain.
    pub fn block_at(&self, number: u32) -> Option<Arc<Block>> {
        lock::read(&self.ledger).canon.get(number as usize).cloned()
    }

    /// The block with this hash, abandoned forks included.
    pub fn block(&self, hash: H256) -> Option<Arc<Block>> {
        lock::read(&self.ledger).blocks.get(&hash).cloned()
    }

    /// The block with this hash if it is on the best chain.
    pub fn canonical(&self, hash: H256) -> Option<Arc<Block>> {
        let block = self.block(hash)?;
        self.block_at(block.header.number).filter(|found| found.hash == hash)
    }

    /// Justifications stored with the block at `number`, as (engine id, bytes).
    pub fn justifications(&self, number: u32) -> Vec<(ConsensusEngineId, Vec<u8>)> {
        lock::read(&self.ledger).justifications.get(&number).cloned().unwrap_or_default()
    }

    /// Stores `bytes` as the justification of the block at `number` for `engine`, replacing an older one.
    pub fn store_justification(&self, number: u32, engine: ConsensusEngineId, bytes: Vec<u8>) {
        let mut ledger = lock::write(&self.ledger);
        let stored = ledger.justifications.entry(number).or_default();
        stored.retain(|(id, _)| *id != engine);
        stored.push((engine, bytes));
    }

    /// Forgets the justifications of the block at `number`.
    pub fn forget_justifications(&self, number: u32) {
        lock::write(&self.ledger).justifications.remove(&number);
    }

    /// Tells `grandpa_subscribeJustifications` subscribers.
    pub fn announce_justification(&self, bytes: Vec<u8>) {
        let _ = self.events.send(Event::Justification(Arc::new(bytes)));
    }

    /// Moves the finalized head to `number` and says so; lower or unknown heights change nothing.
    /// Returns whether it moved.
    pub fn finalize(&self, number: u32) -> bool {
        let head = {
            let mut ledger = lock::write(&self.ledger);
            if number <= ledger.finalized || number as usize >= ledger.canon.len() {
                return false;
            }
            ledger.finalized = number;
            ledger.canon[number as usize].clone()
        };
        let canonical = |number| self.block_at(number).map(|block| block.hash);
        lock::mutex(&self.pool).on_finalized(number, &canonical);
        let _ = self.events.send(Event::Finalized(head));
        true
    }

    /// Abandons the best chain above `number` (at least the finalized height): those blocks stay readable by
    /// hash, as blocks of a lost fork do, and their pool transactions are retracted and queued again, or
    /// reported `invalid` where they were good for the lost fork only.
    pub fn abandon_above(&self, number: u32) {
        let _authoring = lock::mutex(&self.authoring);
        let abandoned = {
            let mut ledger = lock::write(&self.ledger);
            let keep = number.max(ledger.finalized) as usize + 1;
            if keep >= ledger.canon.len() {
                return;
            }
            ledger.canon.split_off(keep)
        };
        for block in abandoned.iter().rev() {
            let raws = lock::mutex(&self.pool).retract(block.hash);
            for (raw, watchers) in raws {
                if self.import(raw, watchers.clone()).is_err() {
                    pool::tell(&watchers, &TxStatus::Invalid);
                }
            }
        }
    }

    /// Events from now on. A slow reader loses the oldest ones.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
