//! Read proofs of both state versions: the published vectors, and agreement with `sp-trie`.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod vectors;

use codec::{Decode, Encode};
use prb_chain::verify::{
    CryptoVerifier,
    proof::{self, AuthorityError, ProofError},
};
use prb_core::{
    Bytes,
    accept::{Refusal, Verifier},
    id::Hash,
    storage_key,
    types::{grandpa::AuthoritySet, header::Header, sync::GenesisBlockInfo},
};
use proptest::prelude::*;
use sp_core::Blake2Hasher;
use sp_trie::{LayoutV0, LayoutV1, MemoryDB, TrieConfiguration, trie_types::TrieDBMutBuilderV1};
use std::collections::BTreeMap;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn genesis() -> GenesisBlockInfo {
    GenesisBlockInfo::decode(&mut bytes(vectors::GENESIS_INFO).as_slice()).unwrap()
}

fn head_proof() -> Vec<Bytes> {
    [vectors::HEAD_PROOF_1, vectors::HEAD_PROOF_2, vectors::HEAD_PROOF_3]
        .map(|node| bytes(node).into())
        .to_vec()
}

fn root_103() -> Hash {
    vectors::ROOT_103.parse().unwrap()
}

#[test]
fn the_genesis_vector_proves_its_authority_set() {
    let genesis = genesis();
    assert_eq!(genesis.authority_set.id, 7);
    assert_eq!(proof::genesis(&genesis), Ok(()));
    CryptoVerifier::without_state().authorities(&genesis).unwrap();
}

#[test]
fn another_list_or_id_or_a_missing_node_is_refused() {
    let mut other = genesis();
    other.authority_set.list[0].1 = 2;
    assert_eq!(proof::genesis(&other), Err(AuthorityError::OtherList { given: 4 }));

    let mut other = genesis();
    other.authority_set.id = 8;
    assert_eq!(proof::genesis(&other), Err(AuthorityError::OtherId { proven: 7, given: 8 }));

    for node in 0..genesis().proof.len() {
        let mut lacking = genesis();
        lacking.proof.remove(node);
        let answer = proof::genesis(&lacking);
        let hides_the_id_only = answer.is_ok();
        assert!(
            hides_the_id_only || matches!(answer, Err(AuthorityError::Proof(ProofError::MissingNode(_))))
        );
    }
}

#[test]
fn the_parachain_head_vector_proves_header_2() {
    let headers = Vec::<Header>::decode(&mut bytes(vectors::PARA_HEADERS).as_slice()).unwrap();
    let verifier = CryptoVerifier::without_state();
    let value = verifier.read_proof(root_103(), &head_proof(), &storage_key::para_head(2035)).unwrap();
    assert_eq!(value, Some(headers[2].encode().encode()));
}

#[test]
fn absence_is_proven_but_a_missing_node_is_an_error() {
    assert_eq!(proof::read(root_103(), &head_proof(), &storage_key::para_head(2004)), Ok(None));

    let without_value = &head_proof()[..2];
    let refused = proof::read(root_103(), without_value, &storage_key::para_head(2035));
    assert!(matches!(refused, Err(ProofError::MissingNode(_))), "{refused:?}");

    let refused =
        CryptoVerifier::without_state().read_proof(Hash([1; 32]), &head_proof(), b"key").unwrap_err();
    assert!(matches!(refused, Refusal::Failed { check: "read proof", .. }), "{refused}");
}

#[test]
fn order_and_unused_nodes_do_not_matter() {
    let mut nodes = head_proof();
    nodes.reverse();
    nodes.insert(1, Bytes::from_static(b"not a node at all"));
    assert!(proof::read(root_103(), &nodes, &storage_key::para_head(2035)).unwrap().is_some());
}

fn trie_v1(pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> (Hash, Vec<Vec<u8>>) {
    use sp_trie::TrieMut;
    let (mut db, mut root) = (MemoryDB::<Blake2Hasher>::default(), Default::default());
    {
        let mut trie = TrieDBMutBuilderV1::<Blake2Hasher>::new(&mut db, &mut root).build();
        for (key, value) in pairs {
            trie.insert(key, value).unwrap();
        }
    }
    let nodes = db.drain().into_values().map(|(node, _)| node).collect();
    (Hash(root.0), nodes)
}

#[test]
fn a_list_under_the_legacy_key_is_accepted_where_the_new_one_is_proven_absent() {
    let set = AuthoritySet { list: vec![([3; 32], 1)], id: 2 };
    let legacy = [vec![1], set.list.encode()].concat();
    let mut pairs = BTreeMap::from([
        (storage_key::LEGACY_GRANDPA_AUTHORITIES.to_vec(), legacy),
        (storage_key::grandpa_current_set_id(), 2u64.encode()),
    ]);
    let (root, nodes) = trie_v1(&pairs);
    assert_eq!(proof::authorities(root, &set, &nodes), Ok(()));

    pairs.insert(storage_key::grandpa_authorities(), vec![0]);
    let (root, nodes) = trie_v1(&pairs);
    assert_eq!(proof::authorities(root, &set, &nodes), Err(AuthorityError::OtherList { given: 1 }));

    pairs.remove(&storage_key::grandpa_authorities());
    pairs.remove(storage_key::LEGACY_GRANDPA_AUTHORITIES);
    let (root, nodes) = trie_v1(&pairs);
    assert_eq!(proof::authorities(root, &set, &nodes), Err(AuthorityError::Absent));
}

#[test]
fn a_proven_set_without_weight_is_refused() {
    let set = AuthoritySet { list: vec![([3; 32], 0)], id: 2 };
    let (root, nodes) = trie_v1(&BTreeMap::from([(storage_key::grandpa_authorities(), set.list.encode())]));
    assert_eq!(proof::authorities(root, &set, &nodes), Err(AuthorityError::BadWeights));
}

fn pairs() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    // Few distinct bytes, so that keys share prefixes and some are prefixes of others.
    let key = prop::collection::vec(prop_oneof![Just(0x11u8), Just(0x12), Just(0xf1), any::<u8>()], 0..6);
    let value = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 30..100),
    ];
    prop::collection::btree_map(key, value, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proofs_of_both_versions_answer_what_the_trie_holds(pairs in pairs(), asked in prop::collection::vec(any::<prop::sample::Index>(), 1..4), absent in prop::collection::vec(any::<u8>(), 0..7), drop in any::<prop::sample::Index>()) {
        let mut keys: Vec<Vec<u8>> = asked.iter().filter(|_| !pairs.is_empty()).map(|index| {
            pairs.keys().nth(index.index(pairs.len())).unwrap().clone()
        }).collect();
        keys.push(absent);
        for version in [0, 1] {
            let mut db = MemoryDB::<Blake2Hasher>::default();
            let mut root = Default::default();
            {
                use sp_trie::TrieMut;
                if version == 0 {
                    let mut trie = sp_trie::trie_types::TrieDBMutBuilderV0::new(&mut db, &mut root).build();
                    pairs.iter().for_each(|(key, value)| { trie.insert(key, value).unwrap(); });
                } else {
                    let mut trie = TrieDBMutBuilderV1::new(&mut db, &mut root).build();
                    pairs.iter().for_each(|(key, value)| { trie.insert(key, value).unwrap(); });
                }
            }
            // All nodes serve as a proof, and the root is that of the closed form.
            let expected = if version == 0 {
                LayoutV0::<Blake2Hasher>::trie_root(pairs.iter())
            } else {
                LayoutV1::<Blake2Hasher>::trie_root(pairs.iter())
            };
            prop_assert_eq!(root, expected);
            let mut nodes: Vec<Vec<u8>> = db.clone().drain().into_values().filter(|(_, count)| *count > 0).map(|(node, _)| node).collect();
            for key in pairs.keys().chain(&keys) {
                prop_assert_eq!(proof::read(Hash(root.0), &nodes, key), Ok(pairs.get(key).cloned()));
            }
            // With a node less the answer is the same or an error, never another.
            if !nodes.is_empty() {
                nodes.remove(drop.index(nodes.len()));
                for key in pairs.keys() {
                    let answer = proof::read(Hash(root.0), &nodes, key);
                    prop_assert!(answer == Ok(pairs.get(key).cloned()) || matches!(answer, Err(ProofError::MissingNode(_))), "{:?}", answer);
                }
            }
        }
    }

    #[test]
    fn garbage_never_panics(root_node in prop::collection::vec(any::<u8>(), 0..80), others in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4), key in prop::collection::vec(any::<u8>(), 0..40)) {
        let root = Hash::of(&root_node);
        let mut nodes = others;
        nodes.push(root_node);
        let _ = proof::read(root, &nodes, &key);
    }
}
