//! Genesis of the relay chain.

use super::{Balance, GrandpaConfig, Runtime, RuntimeGenesisConfig, rotation};
use crate::runtime::{UNIT, authority_list, dev_accounts, load_account, storage_of};
use frame_support::traits::BuildGenesisConfig;
use sp_core::storage::Storage;

/// What a relay chain begins with.
#[derive(Clone, Debug)]
pub struct GenesisConfig {
    /// Members of the GRANDPA set.
    pub authorities: u32,
    /// Id of the first set.
    pub set_id: u64,
    /// Change the set every so many blocks; 0 = only on order.
    pub rotation_period: u32,
    /// Delay of periodic changes, in blocks.
    pub rotation_delay: u32,
    /// Mirror the authority list under the legacy key, for workers of 2.1.0 and before.
    pub legacy_authorities: bool,
    /// Parachain heads known at genesis: para id and SCALE header bytes.
    pub heads: Vec<(u32, Vec<u8>)>,
    /// Balance of each development account, in planck.
    pub endowment: Balance,
    /// Further endowed accounts, see [`load_account`].
    pub load_accounts: u32,
}

impl Default for GenesisConfig {
    fn default() -> Self {
        Self {
            authorities: 4,
            set_id: 0,
            rotation_period: 0,
            rotation_delay: 0,
            legacy_authorities: false,
            heads: Vec::new(),
            endowment: 10_000_000 * UNIT,
            load_accounts: 0,
        }
    }
}

/// The storage of block 0.
pub fn genesis(config: &GenesisConfig) -> Storage {
    let accounts = dev_accounts().into_iter().chain((0..config.load_accounts).map(load_account));
    let balances = accounts.map(|account| (account, config.endowment)).collect();
    storage_of(|| {
        RuntimeGenesisConfig {
            balances: pallet_balances::GenesisConfig { balances, ..Default::default() },
            grandpa: GrandpaConfig {
                authorities: authority_list(config.set_id, config.authorities.max(1)),
                ..Default::default()
            },
            ..Default::default()
        }
        .build();
        pallet_grandpa::CurrentSetId::<Runtime>::put(config.set_id);
        rotation::Period::<Runtime>::put(config.rotation_period);
        rotation::Delay::<Runtime>::put(config.rotation_delay);
        rotation::AuthorityCount::<Runtime>::put(config.authorities.max(1));
        rotation::LegacyAuthorities::<Runtime>::put(config.legacy_authorities);
        if config.legacy_authorities {
            rotation::Pallet::<Runtime>::mirror();
        }
        for (para_id, head) in &config.heads {
            super::paras::Heads::<Runtime>::insert(para_id, head);
        }
    })
}
