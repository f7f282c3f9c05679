//! `PhalaBasePool`: the records of all pools.

pub use pallet::*;

use crate::runtime::AccountId;
use codec::Encode;

/// An account derived from a tag and BLAKE2b-256 of what it belongs to, cut to 32 bytes.
fn derived(tag: &[u8], of: &impl Encode) -> AccountId {
    let hash = of.using_encoded(sp_crypto_hashing::blake2_256);
    let mut account = [0; 32];
    let (head, tail) = account.split_at_mut(tag.len());
    head.copy_from_slice(tag);
    tail.copy_from_slice(&hash[..32 - tag.len()]);
    AccountId::new(account)
}

/// Account that holds a pool's free stake.
pub fn pool_account(pid: u64, owner: &AccountId) -> AccountId {
    derived(b"bp/", &(pid, owner))
}

/// Account that holds a pool owner's rewards.
pub fn reward_account(pid: u64, owner: &AccountId) -> AccountId {
    derived(b"so/", &(pid, owner))
}

/// Account that holds a pool's locked stake.
pub fn lock_account(pid: u64, owner: &AccountId) -> AccountId {
    derived(b"sl/", &(pid, owner))
}

/// Account of a worker's session in a pool.
pub fn session_account(pid: u64, worker: &super::types::WorkerPublicKey) -> AccountId {
    derived(b"spm/", &(pid, worker))
}

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items, and names of the live pallet that say what they are")]
#[frame_support::pallet]
pub mod pallet {
    use super::super::types::{BasePool, PoolProxy, StakePool};
    use super::{lock_account, pool_account, reward_account};
    use crate::runtime::AccountId;
    use frame_support::pallet_prelude::*;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId> {}

    /// Number of the next pool.
    #[pallet::storage]
    pub type PoolCount<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Number of the next share collection.
    #[pallet::storage]
    pub type CollectionIndex<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Pool of each share collection.
    #[pallet::storage]
    pub type PoolCollections<T: Config> = StorageMap<_, Twox64Concat, u32, u64>;

    #[pallet::storage]
    pub type Pools<T: Config> = StorageMap<_, Twox64Concat, u64, PoolProxy>;

    #[pallet::error]
    pub enum Error<T> {
        MissCollectionId,
        PoolBankrupt,
        InvalidShareToWithdraw,
        InvalidWithdrawalAmount,
        RmrkError,
        PoolDoesNotExist,
        PoolTypeNotMatch,
        NftIdNotFound,
        InvalidSharePrice,
        AttrLocked,
        UnauthorizedPoolOwner,
        AlreadyInContributeWhitelist,
        NotInContributeWhitelist,
        ExceedWhitelistMaxLen,
        NoWhitelistCreated,
        ExceedMaxDescriptionLen,
        NotMigrationRoot,
        BurnNftFailed,
        TransferSharesAmountInvalid,
    }

    impl<T: Config> Pallet<T> {
        /// The stake pool of this number.
        pub fn stake_pool(pid: u64) -> Result<StakePool, Error<T>> {
            match Pools::<T>::get(pid).ok_or(Error::<T>::PoolDoesNotExist)? {
                PoolProxy::StakePool(pool) => Ok(pool),
                PoolProxy::Vault(_) => Err(Error::<T>::PoolTypeNotMatch),
            }
        }

        /// Stores a stake pool.
        pub fn put(pool: StakePool) {
            Pools::<T>::insert(pool.basepool.pid, PoolProxy::StakePool(pool));
        }

        /// Makes an empty stake pool. The first number is 1.
        pub fn create_stake_pool(owner: &AccountId) -> StakePool {
            let pid = PoolCount::<T>::get().max(1);
            PoolCount::<T>::put(pid + 1);
            let cid = CollectionIndex::<T>::get();
            CollectionIndex::<T>::put(cid + 1);
            PoolCollections::<T>::insert(cid, pid);
            let pool = StakePool {
                basepool: BasePool {
                    pid,
                    total_shares: 0,
                    total_value: 0,
                    withdraw_queue: Vec::new(),
                    value_subscribers: Vec::new(),
                    cid,
                    pool_account_id: pool_account(pid, owner),
                    owner: owner.clone(),
                },
                payout_commission: None,
                cap: None,
                workers: Vec::new(),
                cd_workers: Vec::new(),
                lock_account: lock_account(pid, owner),
                owner_reward_account: reward_account(pid, owner),
            };
            Self::put(pool.clone());
            pool
        }
    }
}
