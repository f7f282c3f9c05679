//! Genesis of the parachain.

use super::types::TokenomicParams;
use super::{
    AccountId, Balance, ProxyType, Runtime, RuntimeGenesisConfig, Switches, UNIT, assets, base_pool,
    computation, info, registry, stake_pool, switches, tokenomic,
};
use crate::runtime::{dev_accounts, load_account, storage_of};
use frame_support::traits::BuildGenesisConfig;
use sp_core::storage::Storage;
use sp_core::{H256, sr25519};

/// A stake pool that exists from the start.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Owner; must be an endowed account to pay fees.
    pub owner: AccountId,
    /// Free stake, in planck.
    pub free_stake: Balance,
}

/// What a parachain begins with.
#[derive(Clone, Debug)]
pub struct GenesisConfig {
    /// Id on the relay chain.
    pub para_id: u32,
    /// Balance of each development account, in planck; as much wrapped again.
    pub endowment: Balance,
    /// Further endowed accounts, see [`load_account`].
    pub load_accounts: u32,
    /// Pools, numbered from 1.
    pub pools: Vec<PoolConfig>,
    /// Proxy relations: (real, delegate, type).
    pub proxies: Vec<(AccountId, AccountId, ProxyType)>,
    /// Blocks a worker measures its speed for.
    pub benchmark_duration: u32,
    /// No heartbeat challenges.
    pub heartbeat_paused: bool,
    /// Heartbeats per block the chain aims at; `None` = its default of 20.
    pub expected_heartbeat_count: Option<u32>,
    /// Seconds between stop and reclaim.
    pub cool_down_period: u64,
    /// Parameters of the economy.
    pub tokenomic: TokenomicParams,
    /// Relay headers a worker may start from; enforced by a switch.
    pub relaychain_genesis_hashes: Vec<H256>,
    /// Measurements of accepted worker programs; enforced by a switch.
    pub pruntime_allow_list: Vec<Vec<u8>>,
    /// Gatekeepers.
    pub gatekeepers: Vec<sr25519::Public>,
    /// Key of the gatekeepers together; a test that holds it can report workers offline.
    pub gatekeeper_master_pubkey: Option<sr25519::Public>,
    /// Switches.
    pub switches: Switches,
}

impl Default for GenesisConfig {
    fn default() -> Self {
        let alice = sp_keyring::Sr25519Keyring::Alice.to_account_id();
        Self {
            para_id: 2035,
            endowment: 10_000_000 * UNIT,
            load_accounts: 0,
            pools: vec![PoolConfig { owner: alice, free_stake: 10_000_000 * UNIT }],
            proxies: Vec::new(),
            benchmark_duration: 2,
            heartbeat_paused: false,
            expected_heartbeat_count: None,
            // The live chains wait seven days.
            cool_down_period: 604_800,
            tokenomic: tokenomic::default_params(),
            relaychain_genesis_hashes: Vec::new(),
            pruntime_allow_list: Vec::new(),
            gatekeepers: Vec::new(),
            gatekeeper_master_pubkey: None,
            switches: Switches::default(),
        }
    }
}

/// The storage of block 0.
pub fn genesis(config: &GenesisConfig) -> Storage {
    let accounts: Vec<AccountId> = dev_accounts();
    let everyone = accounts.iter().cloned().chain((0..config.load_accounts).map(load_account));
    let balances = everyone.map(|account| (account, config.endowment)).collect();
    storage_of(|| {
        RuntimeGenesisConfig {
            balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
            ..Default::default()
        }
        .build();
        info::ParachainId::<Runtime>::put(config.para_id);
        switches::Current::<Runtime>::put(&config.switches);
        for account in &accounts {
            assets::Pallet::<Runtime>::set_balance(account, config.endowment);
        }
        build_registry(config);
        build_computation(config);
        build_pools(config);
        for (real, delegate, proxy_type) in &config.proxies {
            pallet_proxy::Pallet::<Runtime>::add_proxy_delegate(real, delegate.clone(), *proxy_type, 0)
                .expect("a proxied account of the configuration is endowed and names each delegate once");
        }
    })
}

fn build_registry(config: &GenesisConfig) {
    registry::BenchmarkDuration::<Runtime>::put(config.benchmark_duration);
    registry::RelaychainGenesisBlockHashAllowList::<Runtime>::put(&config.relaychain_genesis_hashes);
    registry::PRuntimeAllowList::<Runtime>::put(&config.pruntime_allow_list);
    for measurement in &config.pruntime_allow_list {
        registry::PRuntimeAddedAt::<Runtime>::insert(measurement, 0);
    }
    registry::Gatekeeper::<Runtime>::put(&config.gatekeepers);
    if let Some(key) = config.gatekeeper_master_pubkey {
        registry::GatekeeperMasterPubkey::<Runtime>::put(key);
    }
}

fn build_computation(config: &GenesisConfig) {
    computation::TokenomicParameters::<Runtime>::put(&config.tokenomic);
    computation::HeartbeatPaused::<Runtime>::put(config.heartbeat_paused);
    computation::CoolDownPeriod::<Runtime>::put(config.cool_down_period);
    if let Some(count) = config.expected_heartbeat_count {
        computation::ExpectedHeartbeatCount::<Runtime>::put(count);
    }
}

fn build_pools(config: &GenesisConfig) {
    base_pool::PoolCount::<Runtime>::put(1);
    for pool in &config.pools {
        let created = base_pool::Pallet::<Runtime>::create_stake_pool(&pool.owner);
        let account = &created.basepool.pool_account_id;
        assets::Pallet::<Runtime>::set_balance(account, pool.free_stake);
        stake_pool::Pallet::<Runtime>::credit(created, pool.free_stake);
    }
}
