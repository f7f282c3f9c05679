//! The dev network: relay chain and parachain in lockstep, stepped by hand or by a timer.
//!
//! Time is virtual: every relay block is six seconds after its parent whatever the clock says. A para block is
//! built on a relay parent, enters a later relay block's `Paras.Heads` by inherent, and is final when a finalized
//! relay block names it. Two networks with equal configurations, seeds and transactions have equal blocks (the
//! transfers of [`Config::transfers_per_block`] are not equal: sr25519 signatures are randomised).

mod config;
mod gatekeeper;
mod load;
mod solo;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codec::{Decode, Encode};
use sp_core::{H256, Pair as _, storage::Storage};
use sp_runtime::DigestItem;

use crate::chain::{AuthorError, Block, BlockInput, CallError, Chain, Header, Runtime, lock};
use crate::finality::Finalizer;
use crate::rpc::{Node, NodeConfig, RpcServer};
use crate::runtime::control::Control;
use crate::runtime::para::Edition;
use crate::runtime::para::types::PersistedValidationData;
use crate::runtime::{authorities_for, para, relay};
pub use config::Config;
use gatekeeper::Gatekeeper;
pub use load::sign_para_call;
use load::{Crowd, Load};
pub use solo::Solo;

/// Milliseconds of chain time per relay block, as on Kusama and Polkadot.
pub const RELAY_BLOCK_MS: u64 = 6000;

/// `max_pov_size` in the validation data (Polkadot's: 5 MiB).
const MAX_POV_SIZE: u32 = 5 * 1024 * 1024;

/// `ParachainSystem.ValidationData` of the para runtime.
const VALIDATION_DATA: &str = "45323df7cc47150b3930e2666b0aa313d422e17d2affdce4a912d187a734dd67";

/// `Paras.Heads` of the relay runtime.
const PARAS_HEADS: &str = "cd710b30bd2eab0352ddcc26417aa1941b3c252fcb29d88eff4f3de5de4476c3";

/// Where the seed is kept in the state, which no pallet looks at.
const SEED_KEY: &[u8] = b":prb_devnet_seed";

/// Names of the para runtimes before and after an upgrade.
const FIRST: &str = "para";
const UPGRADED: &str = "para upgraded";

/// What one step made.
#[derive(Debug, Clone)]
pub struct Step {
    /// The new relay block.
    pub relay: Arc<Block>,
    /// The para block built on it, if it was one's turn.
    pub para: Option<Arc<Block>>,
}

/// Both chains, and what drives them.
pub struct Devnet {
    config: Config,
    relay: Arc<Chain>,
    para: Arc<Chain>,
    finalizer: Arc<Finalizer>,
    relay_node: Arc<Node>,
    para_node: Arc<Node>,
    schedule: Mutex<Schedule>,
}

#[derive(Default)]
struct Schedule {
    /// Para heads and the relay block each goes into, ascending.
    candidates: VecDeque<(u32, Vec<u8>)>,
    load: Load,
    crowd: Crowd,
    gatekeeper: Option<Gatekeeper>,
    orders: Orders,
    para_paused: bool,
    /// Times the relay chain left a fork, so that blocks of the next one differ.
    forks: u32,
}

/// What the next blocks do besides the usual.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// Authority change to begin in the next relay block.
    pub rotation: Option<relay::Rotation>,
    /// Parameter changes in the next relay block.
    pub relay: Control,
    /// Parameter changes in the next para block.
    pub para: Control,
    /// The next para block upgrades the runtime to [`para::upgraded`].
    pub upgrade: bool,
}

impl Devnet {
    /// Both chains at genesis.
    pub fn new(config: Config) -> Result<Self, CallError> {
        let mut para_genesis = config.para.clone();
        para_genesis.load_accounts =
            para_genesis.load_accounts.max(load::accounts(config.transfers_per_block, config.crowd));
        let gatekeeper = (config.challenge_deadline > 0).then(|| Gatekeeper::new(config.challenge_deadline));
        if gatekeeper.is_some() {
            para_genesis.gatekeeper_master_pubkey = Some(gatekeeper::master_key().public());
        }
        let crowd = Crowd::of(config.crowd);
        let schedule = Schedule { gatekeeper, crowd, ..Schedule::default() };
        let relay_runtime = Runtime { name: "relay", dispatch: relay::dispatch };
        let para_runtime = Runtime { name: FIRST, dispatch: para::dispatch };
        let relay_genesis = seeded(relay::genesis(&config.relay), config.seed);
        let para_genesis = seeded(para::genesis(&para_genesis), config.seed);
        let relay = Arc::new(Chain::new(relay_runtime, &relay_genesis, config.pool)?);
        let para = Arc::new(Chain::new(para_runtime, &para_genesis, config.pool)?);
        let finalizer = Arc::new(Finalizer::new(relay.clone(), authorities_for, config.finality.clone()));
        let node = |chain_name: &str, token: &str, ss58_format| NodeConfig {
            chain_name: chain_name.to_owned(),
            ss58_format,
            token: token.to_owned(),
            phala_extension: false,
            archive: false,
        };
        let relay_node = Node::new(relay.clone(), Some(finalizer.clone()), node("prb dev relay", "KSM", 42));
        let para_config = NodeConfig {
            phala_extension: config.phala_extension,
            archive: config.archive,
            ..node("prb dev para", "PHA", para::SS58_PREFIX)
        };
        let para_node = Node::new(para.clone(), None, para_config);
        Ok(Self {
            config,
            relay,
            para,
            finalizer,
            relay_node: Arc::new(relay_node),
            para_node: Arc::new(para_node),
            schedule: Mutex::new(schedule),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The relay chain.
    pub fn relay(&self) -> &Arc<Chain> {
        &self.relay
    }

    /// The parachain.
    pub fn para(&self) -> &Arc<Chain> {
        &self.para
    }

    /// The relay chain's finalizer and its knobs.
    pub fn finalizer(&self) -> &Arc<Finalizer> {
        &self.finalizer
    }

    /// The relay node: behaviour and faults of its RPC.
    pub fn relay_node(&self) -> &Arc<Node> {
        &self.relay_node
    }

    /// The para node: behaviour and faults of its RPC.
    pub fn para_node(&self) -> &Arc<Node> {
        &self.para_node
    }

    /// Serves the relay chain's RPC; port 0 takes any free one.
    pub async fn serve_relay(&self, addr: SocketAddr) -> std::io::Result<RpcServer> {
        RpcServer::start(self.relay_node.clone(), addr).await
    }

    /// Serves the parachain's RPC; port 0 takes any free one.
    pub async fn serve_para(&self, addr: SocketAddr) -> std::io::Result<RpcServer> {
        RpcServer::start(self.para_node.clone(), addr).await
    }

    /// Changes what the next blocks do.
    pub fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock::mutex(&self.schedule).orders);
    }

    /// From the next block on so many strangers, at most [`Config::crowd`], keep a transaction with a tip in the
    /// parachain's pool. With as many as the pool has room for, it refuses everybody without a tip.
    pub fn crowd(&self, size: u32) {
        lock::mutex(&self.schedule).crowd.size = size.min(self.config.crowd);
    }

    /// Builds no para blocks until called with `false`.
    pub fn pause_para(&self, paused: bool) {
        lock::mutex(&self.schedule).para_paused = paused;
    }

    /// Key of this parachain's head in the relay state.
    pub fn head_key(&self) -> Vec<u8> {
        let id = self.config.para.para_id.encode();
        let prefix = hex::decode(PARAS_HEADS).expect("a hex literal");
        [&prefix[..], &sp_crypto_hashing::twox_64(&id), &id].concat()
    }

    /// The para header in `Paras.Heads` after a relay block.
    pub fn included_head(&self, relay_block: H256) -> Option<Header> {
        let head: Vec<u8> = self.relay.read_as(&self.head_key(), Some(relay_block))?;
        Header::decode(&mut &head[..]).ok()
    }

    /// Makes the next relay block, the para block on it if it is one's turn, and what finality follows.
    pub fn step(&self) -> Result<Step, AuthorError> {
        let mut schedule = lock::mutex(&self.schedule);
        let number = self.relay.best().header.number + 1;
        let relay = self.author_relay(&mut schedule, number)?;
        self.finalizer.advance();
        self.finalize_para();
        let due = number > self.config.para_start && number.is_multiple_of(self.config.para_every.max(1));
        let para = if due && !schedule.para_paused {
            Some(self.author_para(&mut schedule, &relay.header)?)
        } else {
            None
        };
        Ok(Step { relay, para })
    }

    /// Makes `n` steps.
    pub fn steps(&self, n: u32) -> Result<(), AuthorError> {
        (0..n).try_for_each(|_| self.step().map(drop))
    }

    /// Makes steps until the parachain's finalized head is at or above `number`, at most `limit`.
    /// Returns whether it got there.
    pub fn step_until_para_finalized(&self, number: u32, limit: u32) -> Result<bool, AuthorError> {
        for _ in 0..limit {
            if self.para.finalized_number() >= number {
                return Ok(true);
            }
            self.step()?;
        }
        Ok(self.para.finalized_number() >= number)
    }

    /// Makes a step every `block_time` of real time until `shutdown` is done; fewer where the machine is too busy to
    /// leave those who follow the chains twice the time that a step takes.
    pub async fn run(
        self: Arc<Self>,
        block_time: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), AuthorError> {
        on_time(block_time, shutdown, move || self.step().map(drop)).await
    }

    /// Leaves the newest `depth` relay blocks (finalized ones stay) for a fork that the next steps build, and with
    /// them the para blocks built on them. Returns how many relay and para blocks were abandoned.
    pub fn reorganize(&self, depth: u32) -> (u32, u32) {
        let mut schedule = lock::mutex(&self.schedule);
        let old = (self.relay.best().header.number, self.para.best().header.number);
        let relay = old.0.saturating_sub(depth).max(self.relay.finalized_number());
        self.relay.abandon_above(relay);
        schedule.forks += 1;
        let mut para = old.1;
        while para > self.para.finalized_number() && self.relay_parent(para) > Some(relay) {
            para -= 1;
        }
        self.para.abandon_above(para);
        let included = self.included_head(self.relay.best().hash).map_or(0, |head| head.number);
        let delay = self.config.inclusion_delay.max(1);
        schedule.candidates = (included + 1..=para)
            .filter_map(|number| {
                let at = (self.relay_parent(number)? + delay).max(relay + 1);
                Some((at, self.para.block_at(number)?.header.encode()))
            })
            .collect();
        (old.0 - relay, old.1 - para)
    }

    /// The relay block that the para block at `number` was built on.
    pub fn relay_parent(&self, number: u32) -> Option<u32> {
        let key = hex::decode(VALIDATION_DATA).expect("a hex literal");
        let block = self.para.block_at(number)?;
        let data: PersistedValidationData = self.para.read_as(&key, Some(block.hash))?;
        Some(data.relay_parent_number)
    }

    /// The edition of the runtime that the next para block is made with.
    fn edition(&self) -> Edition {
        if self.para.runtime().name == UPGRADED { para::upgraded::EDITION } else { para::EDITION }
    }

    fn now_ms(&self, relay_number: u32) -> u64 {
        self.config.genesis_time_ms + u64::from(relay_number) * RELAY_BLOCK_MS
    }

    fn author_relay(&self, schedule: &mut Schedule, number: u32) -> Result<Arc<Block>, AuthorError> {
        let id = self.config.para.para_id;
        let mut heads = Vec::new();
        if number == self.config.para_start {
            let genesis = self.para.block_at(0).expect("block 0 always exists");
            heads.push((id, genesis.header.encode()));
        }
        while schedule.candidates.front().is_some_and(|(at, _)| *at <= number) {
            heads.extend(schedule.candidates.pop_front().map(|(_, head)| (id, head)));
        }
        let inputs = relay::BlockInputs {
            now_ms: self.now_ms(number),
            heads,
            rotation: schedule.orders.rotation.take(),
            control: std::mem::take(&mut schedule.orders.relay),
        };
        let slot = self.now_ms(number) / RELAY_BLOCK_MS;
        // A BABE secondary-plain pre-digest: variant 2, authority index, slot.
        let pre = [&[2][..], &schedule.forks.to_le_bytes(), &slot.to_le_bytes()].concat();
        self.relay.author_block(&BlockInput {
            inherents: inputs.inherents().iter().map(Encode::encode).collect(),
            digest: vec![DigestItem::PreRuntime(*b"BABE", pre)],
            seal: Some(author_seal(*b"BABE", number)),
            ..BlockInput::default()
        })
    }

    fn author_para(&self, schedule: &mut Schedule, relay: &Header) -> Result<Arc<Block>, AuthorError> {
        let parent = self.para.best();
        let number = parent.header.number + 1;
        let edition = self.edition();
        let mut control = std::mem::take(&mut schedule.orders.para);
        let ordered = std::mem::take(&mut schedule.orders.upgrade) || self.config.upgrade_at == Some(number);
        let upgrade = (ordered && self.para.runtime().name == FIRST).then(|| {
            control.spec_version = Some(para::upgraded::VERSION.spec_version);
            Runtime { name: UPGRADED, dispatch: para::upgraded::dispatch }
        });
        let inputs = para::BlockInputs {
            now_ms: self.now_ms(relay.number) + RELAY_BLOCK_MS,
            validation_data: PersistedValidationData {
                parent_head: parent.header.encode(),
                relay_parent_number: relay.number,
                relay_parent_storage_root: relay.state_root,
                max_pov_size: MAX_POV_SIZE,
            },
            control,
        };
        let mut extra = schedule.load.transfers(&self.para, &edition, self.config.transfers_per_block);
        extra.extend(schedule.gatekeeper.as_mut().and_then(|keeper| keeper.report(&self.para, &edition)));
        let block = self.para.author_block(&BlockInput {
            inherents: (edition.inherents)(&inputs),
            extra,
            upgrade,
            digest: vec![DigestItem::PreRuntime(*b"aura", u64::from(number).to_le_bytes().to_vec())],
            seal: Some(author_seal(*b"aura", number)),
            ..BlockInput::default()
        })?;
        schedule.crowd.fill(&self.para, &self.edition());
        let included_at = relay.number + self.config.inclusion_delay.max(1);
        schedule.candidates.push_back((included_at, block.header.encode()));
        Ok(block)
    }

    /// The parachain has no finality of its own: what a finalized relay block names is final.
    fn finalize_para(&self) {
        let Some(head) = self.included_head(self.relay.finalized().hash) else { return };
        if self.para.canonical(head.hash()).is_some() {
            self.para.finalize(head.number);
        }
    }
}

/// A genesis with its seed.
fn seeded(mut genesis: Storage, seed: u64) -> Storage {
    if seed != 0 {
        genesis.top.insert(SEED_KEY.to_vec(), seed.encode());
    }
    genesis
}

/// Makes a step every `block_time` until `shutdown` is done.
async fn on_time(
    block_time: Duration,
    shutdown: impl Future<Output = ()>,
    step: impl Fn() -> Result<(), AuthorError> + Send + Sync + 'static,
) -> Result<(), AuthorError> {
    let step = Arc::new(step);
    tokio::pin!(shutdown);
    loop {
        let (begun, step) = (Instant::now(), step.clone());
        let stepped = tokio::task::spawn_blocking(move || step()).await;
        stepped.map_err(|error| AuthorError::State(format!("step did not finish: {error}")))??;
        let rest = block_time.saturating_sub(begun.elapsed()).max(LEISURE * begun.elapsed());
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = &mut shutdown => return Ok(()),
        }
    }
}

/// How many times as long as a step takes there is none. A chain that takes the machine for itself is one that nobody
/// can follow.
const LEISURE: u32 = 2;

/// A stand-in for the author's signature over the header: nothing that follows these chains checks it.
fn author_seal(engine: [u8; 4], number: u32) -> DigestItem {
    let half = sp_crypto_hashing::blake2_256(&(engine, number).encode());
    DigestItem::Seal(engine, [half, half].concat())
}
