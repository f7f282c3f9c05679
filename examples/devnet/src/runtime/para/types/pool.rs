//! Pools, and the link to the relay chain.

use super::WorkerPublicKey;
use crate::runtime::AccountId;
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;
use sp_core::H256;

/// A queued withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct WithdrawInfo {
    /// Who withdraws.
    pub user: AccountId,
    /// Unix seconds.
    pub start_time: u64,
    /// The shares.
    pub nft_id: u32,
}

/// What stake pools and vaults have in common.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct BasePool {
    /// Number of the pool.
    pub pid: u64,
    /// Owner.
    pub owner: AccountId,
    /// Shares issued.
    pub total_shares: u128,
    /// Stake, free and locked, in planck.
    pub total_value: u128,
    /// Withdrawals that wait for free stake, oldest first.
    pub withdraw_queue: Vec<WithdrawInfo>,
    /// Vaults that hold shares.
    pub value_subscribers: Vec<u64>,
    /// Collection of the pool's share tokens.
    pub cid: u32,
    /// Account that holds the free stake.
    pub pool_account_id: AccountId,
}

/// A stake pool.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct StakePool {
    /// Common part.
    pub basepool: BasePool,
    /// Owner's share of rewards, parts per million.
    pub payout_commission: Option<sp_runtime::Permill>,
    /// Most stake the pool accepts, in planck.
    pub cap: Option<u128>,
    /// Workers of the pool.
    pub workers: Vec<WorkerPublicKey>,
    /// Workers that cool down.
    pub cd_workers: Vec<WorkerPublicKey>,
    /// Account that holds locked stake.
    pub lock_account: AccountId,
    /// Account that holds the owner's rewards.
    pub owner_reward_account: AccountId,
}

/// A vault.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Vault {
    /// Common part.
    pub basepool: BasePool,
    /// Share price when the owner was last paid.
    pub last_share_price_checkpoint: u128,
    /// Owner's share of rewards, parts per million.
    pub commission: Option<sp_runtime::Permill>,
    /// Shares of the owner.
    pub owner_shares: u128,
    /// Pools the vault invests in.
    pub invest_pools: Vec<u64>,
}

/// A pool of either kind (`PhalaBasePool.Pools`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub enum PoolProxy {
    /// A stake pool.
    #[codec(index = 0)]
    StakePool(StakePool),
    /// A vault.
    #[codec(index = 1)]
    Vault(Vault),
}

/// What the relay chain promised about the parachain block's context
/// (`polkadot_primitives::PersistedValidationData`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct PersistedValidationData {
    /// SCALE bytes of the parent header.
    pub parent_head: Vec<u8>,
    /// Height of the relay block the para block builds on.
    pub relay_parent_number: u32,
    /// State root of that relay block.
    pub relay_parent_storage_root: H256,
    /// Largest proof, in bytes.
    pub max_pov_size: u32,
}
