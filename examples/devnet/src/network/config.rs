//! What a dev network is made of.

#[cfg(doc)]
use super::Devnet;
use crate::chain::PoolConfig;
use crate::finality::Knobs;
use crate::runtime::{para, relay};

/// What a [`Devnet`] is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Relay genesis: authorities, set rotation, legacy authority list. Its heads are left alone: the parachain
    /// is registered in block [`Config::para_start`].
    pub relay: relay::GenesisConfig,
    /// Para genesis: para id, accounts, pools, switches.
    pub para: para::GenesisConfig,
    /// What tells these chains from others of the same configuration: kept in the state of blocks 0, unless it is 0.
    pub seed: u64,
    /// Chain time of relay block 0, in milliseconds since the Unix epoch.
    pub genesis_time_ms: u64,
    /// Relay blocks per para block.
    pub para_every: u32,
    /// The relay block that registers the parachain with its genesis head. Para block 1 is built on the first
    /// relay parent after it that [`Config::para_every`] divides, so the bridge's start block is above 0.
    pub para_start: u32,
    /// Relay blocks from a para block's relay parent to the block that includes it. 2 = backed, then available.
    pub inclusion_delay: u32,
    /// Signed balance transfers put into every para block.
    pub transfers_per_block: u32,
    /// Strangers that each keep a transaction with a tip in the parachain's pool, see [`Devnet::crowd`].
    pub crowd: u32,
    /// Finality of the relay chain.
    pub finality: Knobs,
    /// Para blocks in which a worker must have answered a heartbeat challenge, or a gatekeeper reports it offline
    /// (the live chains: 10). 0 = there is no gatekeeper.
    pub challenge_deadline: u32,
    /// The para block that upgrades the runtime to [`para::upgraded`]; the next one is the first made with it.
    pub upgrade_at: Option<u32>,
    /// Pool limits of both chains.
    pub pool: PoolConfig,
    /// Whether the parachain's node has Phala's `pha_*` methods; without them it is a plain Substrate node.
    pub phala_extension: bool,
    /// Whether the parachain's node has the `archive_v1_*` methods that tell storage changes. Off unless wanted: clients
    /// that see some of these methods expect all of them.
    pub archive: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            relay: relay::GenesisConfig { rotation_period: 20, ..Default::default() },
            para: para::GenesisConfig::default(),
            seed: 0,
            genesis_time_ms: 1_700_000_000_000,
            para_every: 2,
            para_start: 5,
            inclusion_delay: 2,
            transfers_per_block: 0,
            crowd: 0,
            finality: Knobs::default(),
            challenge_deadline: 0,
            upgrade_at: None,
            pool: PoolConfig::default(),
            phala_extension: true,
            archive: false,
        }
    }
}

impl Config {
    /// A set of `n` authorities.
    pub fn authorities(mut self, n: u32) -> Self {
        self.relay.authorities = n;
        self
    }

    /// A new authority set every `blocks` relay blocks; 0 = only on order.
    pub fn rotate_every(mut self, blocks: u32) -> Self {
        self.relay.rotation_period = blocks;
        self
    }
}
