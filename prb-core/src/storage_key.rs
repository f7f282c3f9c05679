//! Storage keys of the items prb reads, as FRAME builds them: `twox128(pallet) ‖ twox128(item)`, then for maps
//! the hashed key.

use crate::{
    id::{AccountId, PoolId, WorkerKey},
    types::message::MessageOrigin,
};
use codec::Encode;
use std::hash::Hasher;
use twox_hash::XxHash64;

/// Well-known key of the authority list on older relay runtimes: raw ASCII, not hashed; value `01` ‖ list.
pub const LEGACY_GRANDPA_AUTHORITIES: &[u8] = b":grandpa_authorities";

/// A storage key.
pub type StorageKey = Vec<u8>;

/// `twox128(pallet) ‖ twox128(item)`: the key of a plain item, or the prefix of a map.
pub fn plain(pallet: &str, item: &str) -> StorageKey {
    let mut key = Vec::with_capacity(64);
    key.extend(twox128(pallet.as_bytes()));
    key.extend(twox128(item.as_bytes()));
    key
}

/// Key of a map entry hashed with `Twox64Concat`.
pub fn twox64_concat(pallet: &str, item: &str, entry: &impl Encode) -> StorageKey {
    let mut key = plain(pallet, item);
    let entry = entry.encode();
    key.extend(xxh64(&entry, 0));
    key.extend(entry);
    key
}

/// Key of a map entry hashed with `Blake2_128Concat`.
pub fn blake2_128_concat(pallet: &str, item: &str, entry: &impl Encode) -> StorageKey {
    let mut key = plain(pallet, item);
    let entry = entry.encode();
    key.extend(blake2b_simd::Params::new().hash_length(16).hash(&entry).as_bytes());
    key.extend(entry);
    key
}

/// `Grandpa.Authorities` of the relay chain.
pub fn grandpa_authorities() -> StorageKey {
    plain("Grandpa", "Authorities")
}

/// `Grandpa.CurrentSetId` of the relay chain.
pub fn grandpa_current_set_id() -> StorageKey {
    plain("Grandpa", "CurrentSetId")
}

/// `Paras.Heads(para_id)` of the relay chain.
pub fn para_head(para_id: u32) -> StorageKey {
    twox64_concat("Paras", "Heads", &para_id)
}

/// `ParachainInfo.ParachainId`.
pub fn parachain_id() -> StorageKey {
    plain("ParachainInfo", "ParachainId")
}

/// `ParachainSystem.ValidationData`.
pub fn validation_data() -> StorageKey {
    plain("ParachainSystem", "ValidationData")
}

/// `System.Account(account)`.
pub fn system_account(account: &AccountId) -> StorageKey {
    blake2_128_concat("System", "Account", account)
}

/// `System.Events`.
pub fn system_events() -> StorageKey {
    plain("System", "Events")
}

/// `Timestamp.Now`.
pub fn timestamp_now() -> StorageKey {
    plain("Timestamp", "Now")
}

/// `PhalaMq.OffchainIngress(origin)`: the next sequence the chain takes.
pub fn offchain_ingress(origin: &MessageOrigin) -> StorageKey {
    twox64_concat("PhalaMq", "OffchainIngress", origin)
}

/// `PhalaRegistry.Workers(worker)`.
pub fn registry_worker(worker: &WorkerKey) -> StorageKey {
    twox64_concat("PhalaRegistry", "Workers", worker)
}

/// `PhalaRegistry.WorkerAddedAt(worker)`.
pub fn worker_added_at(worker: &WorkerKey) -> StorageKey {
    twox64_concat("PhalaRegistry", "WorkerAddedAt", worker)
}

/// `PhalaComputation.WorkerBindings(worker)`: its session account.
pub fn worker_binding(worker: &WorkerKey) -> StorageKey {
    twox64_concat("PhalaComputation", "WorkerBindings", worker)
}

/// `PhalaComputation.Sessions(session)`.
pub fn session(session: &AccountId) -> StorageKey {
    twox64_concat("PhalaComputation", "Sessions", session)
}

/// `PhalaComputation.Stakes(session)`: planck, while computing or cooling down.
pub fn stake(session: &AccountId) -> StorageKey {
    twox64_concat("PhalaComputation", "Stakes", session)
}

/// `PhalaComputation.CoolDownPeriod`: seconds.
pub fn cool_down_period() -> StorageKey {
    plain("PhalaComputation", "CoolDownPeriod")
}

/// `PhalaStakePoolv2.WorkerAssignments(worker)`: the pool it was added to.
pub fn worker_assignment(worker: &WorkerKey) -> StorageKey {
    twox64_concat("PhalaStakePoolv2", "WorkerAssignments", worker)
}

/// `PhalaBasePool.Pools(pool)`.
pub fn pool(pool: PoolId) -> StorageKey {
    twox64_concat("PhalaBasePool", "Pools", &pool)
}

/// Session account of a worker in a pool: first 32 bytes of `spm/` ‖ blake2_256(pid ‖ worker).
pub fn session_account(pool: PoolId, worker: &WorkerKey) -> AccountId {
    let digest = crate::id::Hash::of(&(pool, worker).encode());
    let mut account = [0; 32];
    account[..4].copy_from_slice(b"spm/");
    account[4..].copy_from_slice(&digest.0[..28]);
    AccountId(account)
}

fn twox128(bytes: &[u8]) -> [u8; 16] {
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&xxh64(bytes, 0));
    digest[8..].copy_from_slice(&xxh64(bytes, 1));
    digest
}

fn xxh64(bytes: &[u8], seed: u64) -> [u8; 8] {
    let mut hasher = XxHash64::with_seed(seed);
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}
