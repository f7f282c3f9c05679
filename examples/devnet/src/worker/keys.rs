//! Storage keys the worker reads. Names are those of the pallets and their storage items; a plain
//! value lives at `twox128(pallet) ++ twox128(item)`, maps append `twox64(key) ++ key`.

use codec::Encode;
use sp_crypto_hashing::{twox_64, twox_128};

use super::scale::{Key, MessageOrigin};

/// Legacy well-known key of the GRANDPA authorities: version byte 1 and the list.
pub(crate) const GRANDPA_AUTHORITIES: &[u8] = b":grandpa_authorities";
/// Where the main trie keeps the roots of child tries (`sp_core::storage::well_known_keys`).
pub(crate) const CHILD_STORAGE_DEFAULT: &[u8] = b":child_storage:default:";

pub(crate) fn plain(pallet: &str, item: &str) -> Vec<u8> {
    [twox_128(pallet.as_bytes()), twox_128(item.as_bytes())].concat()
}

fn map(pallet: &str, item: &str, key: &[u8]) -> Vec<u8> {
    let mut full = plain(pallet, item);
    full.extend(twox_64(key));
    full.extend(key);
    full
}

pub(crate) fn authorities() -> Vec<u8> {
    plain("Grandpa", "Authorities")
}

/// Relay-chain storage of the head of one parachain.
pub(crate) fn para_head(para_id: u32) -> Vec<u8> {
    map("Paras", "Heads", &para_id.encode())
}

pub(crate) fn para_id() -> Vec<u8> {
    plain("ParachainInfo", "ParachainId")
}

pub(crate) fn timestamp() -> Vec<u8> {
    plain("Timestamp", "Now")
}

pub(crate) fn outbound_messages() -> Vec<u8> {
    plain("PhalaMq", "OutboundMessages")
}

pub(crate) fn offchain_ingress(origin: &MessageOrigin) -> Vec<u8> {
    map("PhalaMq", "OffchainIngress", &origin.encode())
}

pub(crate) fn worker(pubkey: &Key) -> Vec<u8> {
    map("PhalaRegistry", "Workers", pubkey)
}

pub(crate) fn minimum_version() -> Vec<u8> {
    plain("PhalaRegistry", "MinimumPRuntimeVersion")
}

pub(crate) fn consensus_version() -> Vec<u8> {
    plain("PhalaRegistry", "PRuntimeConsensusVersion")
}

/// Block at which a program was allowed.
pub(crate) fn allowed_at(measurement: &[u8]) -> Vec<u8> {
    map("PhalaRegistry", "PRuntimeAddedAt", &measurement.encode())
}

pub(crate) fn allow_list() -> Vec<u8> {
    plain("PhalaRegistry", "PRuntimeAllowList")
}
