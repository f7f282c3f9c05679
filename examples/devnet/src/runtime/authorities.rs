//! Deterministic GRANDPA keys.
//!
//! Set `s` with `n` members holds keys `s, s + 1, .. s + n - 1` of one endless pool, so every rotation
//! drops one member and admits one: consecutive sets differ, and still overlap as those of a live
//! chain do. The finalizer derives the same keys and needs no key store.

use sp_consensus_grandpa::{AuthorityId, AuthorityList};
use sp_core::{Pair, ed25519};

/// Key number `index` of the pool. Its seed is BLAKE2b-256 of a fixed label and the index (`u64` LE).
pub fn authority_pair(index: u64) -> ed25519::Pair {
    let mut label = b"prb-devnet grandpa authority ".to_vec();
    label.extend_from_slice(&index.to_le_bytes());
    ed25519::Pair::from_seed(&sp_crypto_hashing::blake2_256(&label))
}

/// The keys of set `set_id` with `n` members, in the order of the authority list.
pub fn authorities_for(set_id: u64, n: u32) -> Vec<ed25519::Pair> {
    (0..u64::from(n)).map(|index| authority_pair(set_id.wrapping_add(index))).collect()
}

/// The authority list of set `set_id` with `n` members, each of weight 1.
pub fn authority_list(set_id: u64, n: u32) -> AuthorityList {
    authorities_for(set_id, n).iter().map(|pair| (AuthorityId::from(pair.public()), 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_sets_differ_and_overlap() {
        let (old, new) = (authority_list(7, 4), authority_list(8, 4));
        assert_ne!(old, new);
        assert_eq!(old[1..], new[..3]);
        assert_ne!(authority_list(7, 1), authority_list(8, 1));
    }
}
