use super::*;
use crate::types::{
    grandpa::AuthoritySetChange,
    header::{DigestItem, GRANDPA_ENGINE},
};

/// Believes signatures and proofs that say so themselves.
struct Gullible {
    state: bool,
}

const GOOD: &[u8] = b"good";

impl Verifier for Gullible {
    fn justification(
        &self,
        set: &AuthoritySet,
        target: BlockRef,
        justification: &[u8],
    ) -> Result<(), Refusal> {
        let expected = (GOOD, set.id).encode();
        if justification == expected {
            Ok(())
        } else {
            Err(failed("justification", target.height, "not good"))
        }
    }

    fn authorities(&self, genesis: &GenesisBlockInfo) -> Result<(), Refusal> {
        if genesis.proof == [GOOD] {
            Ok(())
        } else {
            Err(failed("authority proof", genesis.block_header.height(), "bad"))
        }
    }

    fn read_proof(&self, _root: Hash, proof: &[Bytes], _key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(proof.first().map(|node| node.to_vec()))
    }

    fn verifies_state(&self) -> bool {
        self.state
    }

    fn load_state(&mut self, pairs: &[u8]) -> Result<(Hash, Vec<NodeChange>), Refusal> {
        Ok((Hash::of(pairs), Vec::new()))
    }

    fn apply_changes(&mut self, root: Hash, blocks: &[BlockChanges]) -> Result<Vec<NodeChange>, Refusal> {
        let mut root = root;
        for block in blocks {
            root = Hash::of(&(root, block.changes.as_ref()).encode());
            if root != block.root {
                return Err(failed("state root", block.height, "differs"));
            }
        }
        Ok(Vec::new())
    }
}

const VERIFIER: Gullible = Gullible { state: true };

fn header(parent: BlockRef, digest: Vec<DigestItem>) -> Header {
    Header { parent_hash: parent.hash, digest, ..Header::numbered(parent.height.next()) }
}

fn change_to(list: Vec<([u8; 32], u64)>, delay: u32) -> DigestItem {
    DigestItem::Consensus(GRANDPA_ENGINE, ScheduledChange { next_authorities: list, delay }.to_log())
}

fn genesis_of(pairs: &[u8]) -> Genesis {
    Genesis {
        relay_chain: Hash([1; 32]),
        relay: GenesisBlockInfo {
            block_header: Header::numbered(Height(100)),
            authority_set: AuthoritySet { list: vec![([1; 32], 1)], id: 7 },
            proof: vec![GOOD.to_vec()],
        },
        para_header: Header { state_root: Hash::of(pairs), ..Header::numbered(Height(0)) },
        para_state: Bytes::copy_from_slice(pairs),
        para_id: 2035,
        parachain: true,
    }
}

fn start() -> Cursor {
    genesis(genesis_of(b"pairs"), None, &mut Gullible { state: true }).unwrap().cursor.unwrap()
}

fn chain(after: BlockRef, count: usize, last: &[DigestItem]) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for index in 0..count {
        let parent = headers.last().map_or(after, Header::block_ref);
        let digest = if index + 1 == count { last.to_vec() } else { Vec::new() };
        headers.push(header(parent, digest));
    }
    headers
}

fn encoded(headers: &[Header]) -> Vec<Bytes> {
    headers.iter().map(|header| header.encode().into()).collect()
}

fn batch(headers: &[Header]) -> RelayBatch {
    RelayBatch { headers: encoded(headers), justification: (GOOD, 7u64).encode().into(), set_change: None }
}

fn check(refusal: Refusal) -> (&'static str, u32) {
    match refusal {
        Refusal::Failed { check, height, .. } => (check, height.0),
        other => panic!("{other}"),
    }
}

#[test]
fn genesis_starts_at_the_start_block_with_the_proven_set() {
    let cursor = start();
    assert_eq!((cursor.relay.height, cursor.authorities.id, cursor.para), (Height(100), 7, None));
    assert_eq!(cursor.state, Some((Height(0), Hash::of(b"pairs"))));
}

#[test]
fn genesis_with_other_pairs_than_its_header_is_refused() {
    let mut wrong = genesis_of(b"pairs");
    wrong.para_state = Bytes::from_static(b"other");
    assert_eq!(
        check(genesis(wrong, None, &mut Gullible { state: true }).unwrap_err()),
        ("parachain genesis state", 0)
    );
}

#[test]
fn genesis_with_an_unproven_set_or_another_start_than_pinned_is_refused() {
    let mut wrong = genesis_of(b"pairs");
    wrong.relay.proof.clear();
    assert_eq!(
        check(genesis(wrong, None, &mut Gullible { state: true }).unwrap_err()),
        ("authority proof", 100)
    );

    let pinned = BlockRef { height: Height(100), hash: Hash([3; 32]) };
    let refused = genesis(genesis_of(b"pairs"), Some(pinned), &mut Gullible { state: true }).unwrap_err();
    assert_eq!(check(refused), ("start block", 100));
}

#[test]
fn a_linked_and_justified_batch_is_accepted() {
    let cursor = start();
    let headers = chain(cursor.relay, 3, &[]);
    let accepted = relay(&cursor, batch(&headers), &VERIFIER).unwrap();
    assert_eq!(accepted.last, headers[2].block_ref());

    let append = relay_append(&cursor, &genesis_of(b"pairs"), accepted, None, Vec::new()).unwrap();
    let next = append.cursor.unwrap();
    assert_eq!((next.relay, next.authorities), (headers[2].block_ref(), cursor.authorities));
    assert!(!append.relay.unwrap().closes_set);
}

#[test]
fn a_broken_link_names_its_height() {
    let cursor = start();
    let mut headers = chain(cursor.relay, 3, &[]);
    headers[1].parent_hash = Hash([9; 32]);
    assert_eq!(check(relay(&cursor, batch(&headers), &VERIFIER).unwrap_err()), ("header link", 102));
}

#[test]
fn a_hole_and_an_empty_batch_are_refused() {
    let cursor = start();
    let headers = chain(cursor.relay, 3, &[]);
    assert_eq!(check(relay(&cursor, batch(&headers[1..]), &VERIFIER).unwrap_err()), ("header link", 101));
    assert_eq!(check(relay(&cursor, batch(&[]), &VERIFIER).unwrap_err()), ("header link", 101));
}

#[test]
fn a_justification_of_another_set_is_refused() {
    let cursor = start();
    let mut forged = batch(&chain(cursor.relay, 2, &[]));
    forged.justification = (GOOD, 8u64).encode().into();
    assert_eq!(check(relay(&cursor, forged, &VERIFIER).unwrap_err()), ("justification", 102));
}

#[test]
fn a_set_change_in_the_last_header_takes_over_with_the_next_id() {
    let cursor = start();
    let next_list = vec![([2; 32], 1)];
    let headers = chain(cursor.relay, 2, &[change_to(next_list.clone(), 0)]);
    let accepted = relay(&cursor, batch(&headers), &VERIFIER).unwrap();
    let append = relay_append(&cursor, &genesis_of(b"pairs"), accepted, None, Vec::new()).unwrap();
    assert_eq!(append.cursor.unwrap().authorities, AuthoritySet { list: next_list, id: 8 });
    assert!(append.relay.unwrap().closes_set);
}

#[test]
fn a_set_change_before_the_end_or_with_a_delay_is_refused() {
    let cursor = start();
    let change = change_to(vec![([2; 32], 1)], 0);
    let mut headers = chain(cursor.relay, 1, &[change]);
    headers.extend(chain(headers[0].block_ref(), 1, &[]));
    assert_eq!(check(relay(&cursor, batch(&headers), &VERIFIER).unwrap_err()), ("set change", 101));

    let delayed = chain(cursor.relay, 1, &[change_to(vec![([2; 32], 1)], 3)]);
    assert_eq!(check(relay(&cursor, batch(&delayed), &VERIFIER).unwrap_err()), ("set change", 101));
}

#[test]
fn a_set_change_proof_of_another_set_or_without_proof_nodes_is_refused() {
    let cursor = start();
    let list = vec![([2; 32], 1)];
    let headers = chain(cursor.relay, 1, &[change_to(list.clone(), 0)]);
    for (id, proof, expected) in
        [(8, vec![], "authority proof"), (9, vec![GOOD.to_vec()], "set change proof")]
    {
        let mut offered = batch(&headers);
        let authority_set = AuthoritySet { list: list.clone(), id };
        offered.set_change = Some(AuthoritySetChange { authority_set, authority_proof: proof });
        assert_eq!(check(relay(&cursor, offered, &VERIFIER).unwrap_err()), (expected, 101));
    }
}

fn proven(header: &Header) -> ParaHead {
    ParaHead { header: header.encode().into(), proof: vec![header.encode().encode().into()] }
}

#[test]
fn parachain_headers_lead_from_genesis_to_the_proven_head() {
    let (cursor, genesis) = (start(), genesis_of(b"pairs"));
    let relay = relay(&cursor, batch(&chain(cursor.relay, 1, &[])), &VERIFIER).unwrap();
    let mut headers = vec![genesis.para_header.clone()];
    headers.extend(chain(genesis.para_header.block_ref(), 3, &[]));
    let head = para_head(&cursor, 2035, &relay, &proven(&headers[3]), &VERIFIER).unwrap();
    assert_eq!(missing_para_headers(&cursor, &head).unwrap().count(), 4);

    let append =
        relay_append(&cursor, &genesis, relay.clone(), Some(head.clone()), encoded(&headers)).unwrap();
    assert_eq!(append.para_headers.len(), 4);
    assert_eq!(append.cursor.unwrap().para, Some(headers[3].block_ref()));

    let short = relay_append(&cursor, &genesis, relay.clone(), Some(head.clone()), encoded(&headers[..3]))
        .unwrap_err();
    assert_eq!(check(short), ("parachain header link", 2));
    let foreign = relay_append(&cursor, &genesis, relay, Some(head), encoded(&headers[1..])).unwrap_err();
    assert_eq!(check(foreign), ("parachain header link", 0));
}

#[test]
fn a_head_that_its_proof_does_not_hold_or_that_goes_back_is_refused() {
    let mut cursor = start();
    let relay = relay(&cursor, batch(&chain(cursor.relay, 1, &[])), &VERIFIER).unwrap();
    let genesis = genesis_of(b"pairs");
    let headers = chain(genesis.para_header.block_ref(), 2, &[]);
    let mut lying = proven(&headers[1]);
    lying.header = headers[0].encode().into();
    assert_eq!(
        check(para_head(&cursor, 2035, &relay, &lying, &VERIFIER).unwrap_err()),
        ("para head proof", 101)
    );

    cursor.para = Some(headers[1].block_ref());
    let back = para_head(&cursor, 2035, &relay, &proven(&headers[0]), &VERIFIER).unwrap_err();
    assert_eq!(check(back), ("para head proof", 101));
}

fn block(height: u32, parent_root: Hash) -> BlockChanges {
    let changes = Bytes::from(StorageChanges::default().encode());
    BlockChanges {
        height: Height(height),
        root: Hash::of(&(parent_root, changes.as_ref()).encode()),
        changes,
    }
}

#[test]
fn changes_must_lead_to_the_roots_of_their_headers() {
    let cursor = start();
    let first = block(1, Hash::of(b"pairs"));
    let second = block(2, first.root);
    let append =
        changes(&cursor, vec![first.clone(), second.clone()], &mut Gullible { state: true }).unwrap();
    let next = append.cursor.unwrap();
    assert_eq!((next.changes, next.state), (Height(2), Some((Height(2), second.root))));

    let wrong = BlockChanges { root: Hash([5; 32]), ..second };
    let refused = changes(&cursor, vec![first, wrong], &mut Gullible { state: true }).unwrap_err();
    assert_eq!(check(refused), ("state root", 2));
}

#[test]
fn changes_with_a_hole_or_garbage_are_refused() {
    let cursor = start();
    let hole =
        changes(&cursor, vec![block(2, Hash::of(b"pairs"))], &mut Gullible { state: true }).unwrap_err();
    assert_eq!(check(hole), ("storage changes", 2));

    let garbage = BlockChanges { changes: Bytes::from_static(&[0xff, 0xff]), ..block(1, Hash::of(b"pairs")) };
    let refused = changes(&cursor, vec![garbage], &mut Gullible { state: false }).unwrap_err();
    assert_eq!(check(refused), ("storage changes", 1));
}

#[test]
fn without_state_verification_the_state_copy_is_given_up() {
    let cursor = start();
    let unchecked = BlockChanges { root: Hash([5; 32]), ..block(1, Hash::of(b"pairs")) };
    let append = changes(&cursor, vec![unchecked], &mut Gullible { state: false }).unwrap();
    let next = append.cursor.unwrap();
    assert_eq!(next.state, None);

    let refused = changes(&next, vec![block(2, Hash([5; 32]))], &mut Gullible { state: true }).unwrap_err();
    assert!(matches!(refused, Refusal::NoStateCopy { at: Height(1) }), "{refused}");
}
