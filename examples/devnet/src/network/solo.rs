//! A chain that finalizes itself: one node, no relay chain.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sp_core::Pair as _;
use sp_runtime::DigestItem;

use super::gatekeeper::{self, Gatekeeper};
use super::load::{self, Load};
use super::{Config, RELAY_BLOCK_MS, author_seal, on_time, seeded};
use crate::chain::{AuthorError, Block, BlockInput, CallError, Chain, Runtime, lock};
use crate::finality::Finalizer;
use crate::rpc::{Node, NodeConfig, RpcServer};
use crate::runtime::authorities_for;
use crate::runtime::para::types::PersistedValidationData;
use crate::runtime::para::{self, solo};

/// The chain, and what drives it.
pub struct Solo {
    config: Config,
    chain: Arc<Chain>,
    finalizer: Arc<Finalizer>,
    node: Arc<Node>,
    schedule: Mutex<(Load, Option<Gatekeeper>)>,
}

impl Solo {
    /// The chain at genesis. Of the configuration everything counts that is not about two chains; its authorities are
    /// those of [`Config::relay`].
    pub fn new(config: Config) -> Result<Self, CallError> {
        let mut genesis = config.para.clone();
        genesis.load_accounts = genesis.load_accounts.max(load::accounts(config.transfers_per_block, 0));
        let gatekeeper = (config.challenge_deadline > 0).then(|| Gatekeeper::new(config.challenge_deadline));
        if gatekeeper.is_some() {
            genesis.gatekeeper_master_pubkey = Some(gatekeeper::master_key().public());
        }
        let runtime = Runtime { name: "solo", dispatch: solo::dispatch };
        let genesis = seeded(solo::genesis(&genesis, &config.relay), config.seed);
        let chain = Arc::new(Chain::new(runtime, &genesis, config.pool)?);
        let finalizer = Arc::new(Finalizer::new(chain.clone(), authorities_for, config.finality.clone()));
        let node = NodeConfig {
            chain_name: "prb dev solo".to_owned(),
            ss58_format: para::SS58_PREFIX,
            token: "PHA".to_owned(),
            phala_extension: config.phala_extension,
            archive: config.archive,
        };
        let node = Arc::new(Node::new(chain.clone(), Some(finalizer.clone()), node));
        Ok(Self { config, chain, finalizer, node, schedule: Mutex::new((Load::default(), gatekeeper)) })
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// Its finalizer and its knobs.
    pub fn finalizer(&self) -> &Arc<Finalizer> {
        &self.finalizer
    }

    /// Serves its RPC; port 0 takes any free one.
    pub async fn serve(&self, addr: SocketAddr) -> std::io::Result<RpcServer> {
        RpcServer::start(self.node.clone(), addr).await
    }

    /// Makes the next block and what finality follows.
    pub fn step(&self) -> Result<Arc<Block>, AuthorError> {
        let mut schedule = lock::mutex(&self.schedule);
        let (load, gatekeeper) = &mut *schedule;
        let number = self.chain.best().header.number + 1;
        let inputs = para::BlockInputs {
            now_ms: self.config.genesis_time_ms + u64::from(number) * RELAY_BLOCK_MS,
            validation_data: PersistedValidationData::default(),
            control: Default::default(),
        };
        let mut extra = load.transfers(&self.chain, &solo::EDITION, self.config.transfers_per_block);
        extra.extend(gatekeeper.as_mut().and_then(|keeper| keeper.report(&self.chain, &solo::EDITION)));
        let block = self.chain.author_block(&BlockInput {
            inherents: (solo::EDITION.inherents)(&inputs),
            extra,
            digest: vec![DigestItem::PreRuntime(*b"aura", u64::from(number).to_le_bytes().to_vec())],
            seal: Some(author_seal(*b"aura", number)),
            ..BlockInput::default()
        })?;
        self.finalizer.advance();
        Ok(block)
    }

    /// Makes `n` steps.
    pub fn steps(&self, n: u32) -> Result<(), AuthorError> {
        (0..n).try_for_each(|_| self.step().map(drop))
    }

    /// Makes a step every `block_time` of real time until `shutdown` is done; see [`Devnet::run`](super::Devnet::run).
    pub async fn run(
        self: Arc<Self>,
        block_time: Duration,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), AuthorError> {
        on_time(block_time, shutdown, move || self.step().map(drop)).await
    }
}
