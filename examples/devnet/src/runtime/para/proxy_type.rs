//! Proxy types and what each may call.

use super::{mq, registry, stake_pool};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// What a proxy may do, in Khala's order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum ProxyType {
    /// Everything.
    #[default]
    Any,
    /// Everything but moving tokens.
    NonTransfer,
    /// Rejecting announcements.
    CancelProxy,
    /// Governance, of which this chain has only batching.
    Governance,
    /// Collator matters, of which this chain has none.
    Collator,
    /// What a bridge needs for a pool.
    StakePoolManager,
}

impl ProxyType {
    /// Whether a proxy of this type may make one of the other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (one, same) if one == same => true,
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (Self::NonTransfer, _) => true,
            _ => false,
        }
    }
}

/// What the manager of a stake pool may do with the pool.
pub(super) fn manages_pool<T: stake_pool::Config>(call: &stake_pool::Call<T>) -> bool {
    matches!(
        call,
        stake_pool::Call::create { .. }
            | stake_pool::Call::add_worker { .. }
            | stake_pool::Call::remove_worker { .. }
            | stake_pool::Call::start_computing { .. }
            | stake_pool::Call::stop_computing { .. }
            | stake_pool::Call::restart_computing { .. }
            | stake_pool::Call::reclaim_pool_worker { .. }
    )
}

/// Likewise in the registry.
pub(super) fn registers<T: registry::Config>(call: &registry::Call<T>) -> bool {
    matches!(call, registry::Call::register_worker { .. } | registry::Call::register_worker_v2 { .. })
}

/// Likewise in the queue.
pub(super) fn relays<T: mq::Config>(call: &mq::Call<T>) -> bool {
    matches!(call, mq::Call::sync_offchain_message { .. })
}
