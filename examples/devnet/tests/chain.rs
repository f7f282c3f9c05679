//! The engine on the relay runtime: authoring, states, proofs, pool, finality.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use codec::{Decode, Encode};
use finality_grandpa::Chain as _;
use prb_devnet::chain::{BlockInput, Chain, Event, Header, PoolConfig, PoolError, Runtime, TxStatus};
use prb_devnet::finality::{FinalityProof, Finalizer, Knobs, ProveError, Style};
use prb_devnet::runtime::{authorities_for, relay};
use sp_consensus_grandpa::{AuthorityId, AuthorityList, GRANDPA_ENGINE_ID, GrandpaJustification};
use sp_core::storage::StateVersion;
use sp_core::{H256, Pair, sr25519};
use sp_keyring::Sr25519Keyring;
use sp_runtime::generic::Era;
use sp_runtime::traits::BlakeTwo256;

const RELAY: Runtime = Runtime { name: "relay", dispatch: relay::dispatch };

fn chain_with(config: &relay::GenesisConfig, pool: PoolConfig) -> Arc<Chain> {
    Arc::new(Chain::new(RELAY, &relay::genesis(config), pool).unwrap())
}

fn chain(config: &relay::GenesisConfig) -> Arc<Chain> {
    chain_with(config, PoolConfig::default())
}

fn input(number: u32) -> BlockInput {
    let inputs =
        relay::BlockInputs { now_ms: 1_700_000_000_000 + u64::from(number) * 6000, ..Default::default() };
    let inherents = inputs.inherents().iter().map(Encode::encode).collect();
    BlockInput { inherents, ..BlockInput::default() }
}

fn step(chain: &Chain) -> Header {
    chain.author_block(&input(chain.best().header.number + 1)).unwrap().header.clone()
}

struct Tx {
    from: sr25519::Pair,
    nonce: u32,
    tip: u128,
    value: u128,
    era: Era,
}

impl Tx {
    fn alice(nonce: u32) -> Self {
        Self {
            from: Sr25519Keyring::Alice.pair(),
            nonce,
            tip: 0,
            value: 1_000_000_000_000,
            era: Era::Immortal,
        }
    }

    fn sign(&self, chain: &Chain) -> Vec<u8> {
        let call: relay::RuntimeCall = pallet_balances::Call::transfer_keep_alive {
            dest: Sr25519Keyring::Bob.to_account_id().into(),
            value: self.value,
        }
        .into();
        let extension: relay::TxExtension = (
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckMortality::from(self.era),
            frame_system::CheckNonce::from(self.nonce),
            frame_system::CheckWeight::new(),
            pallet_transaction_payment::ChargeTransactionPayment::from(self.tip),
        );
        let genesis = chain.genesis_hash();
        let birth = self.era.birth(chain.best().header.number.into());
        let checkpoint = chain.block_at(birth as u32).unwrap().hash;
        let version = chain.runtime_version(None).unwrap();
        let implicit =
            ((), version.spec_version, version.transaction_version, genesis, checkpoint, (), (), ());
        let payload = (&call, &extension, implicit).encode();
        let signature = if payload.len() > 256 {
            self.from.sign(&sp_crypto_hashing::blake2_256(&payload))
        } else {
            self.from.sign(&payload)
        };
        let signer = sp_runtime::AccountId32::new(self.from.public().0);
        relay::UncheckedExtrinsic::new_signed(call, signer.into(), signature.into(), extension).encode()
    }
}

fn free_balance(chain: &Chain, who: Sr25519Keyring) -> u128 {
    let account = who.to_account_id();
    let prefix = hex::decode("26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9").unwrap();
    let hashed = sp_crypto_hashing::blake2_128(account.as_ref());
    let key = [&prefix[..], &hashed, account.as_ref()].concat();
    let raw = chain.read(&key, None).unwrap().unwrap();
    u128::decode(&mut &raw[16..]).unwrap()
}

/// Verifies a justification without any of the engine's code: finality-grandpa's `validate_commit`, and then
/// the signatures and the ancestry set as sc-consensus-grandpa checks them.
fn verify(bytes: &[u8], set_id: u64, voters: &AuthorityList) -> Result<(H256, u32), &'static str> {
    struct Ancestry(Vec<Header>);
    impl finality_grandpa::Chain<H256, u32> for Ancestry {
        fn ancestry(&self, base: H256, block: H256) -> Result<Vec<H256>, finality_grandpa::Error> {
            let mut route = vec![block];
            while *route.last().unwrap() != base {
                let last = *route.last().unwrap();
                let header = self.0.iter().find(|header| header.hash() == last);
                route.push(header.ok_or(finality_grandpa::Error::NotDescendent)?.parent_hash);
            }
            route.remove(0);
            route.pop();
            Ok(route)
        }
    }
    let justification =
        GrandpaJustification::<Header>::decode(&mut &bytes[..]).map_err(|_| "does not decode")?;
    let chain = Ancestry(justification.votes_ancestries.clone());
    let set = finality_grandpa::voter_set::VoterSet::new(voters.iter().cloned()).ok_or("bad voters")?;
    let commit = &justification.commit;
    let valid = finality_grandpa::validate_commit(commit, &set, &chain).map_err(|_| "cannot be checked")?;
    if !valid.is_valid() {
        return Err("invalid commit");
    }
    let base = commit.precommits.iter().map(|p| &p.precommit).min_by_key(|p| p.target_number).unwrap();
    let mut visited = std::collections::HashSet::new();
    for signed in &commit.precommits {
        let message = finality_grandpa::Message::Precommit(signed.precommit.clone());
        let payload = sp_consensus_grandpa::localized_payload(justification.round, set_id, &message);
        assert_eq!(payload.len(), 53);
        use sp_runtime::RuntimeAppPublic as _;
        if !signed.id.verify(&payload, &signed.signature) {
            return Err("bad signature");
        }
        if signed.precommit.target_hash != base.target_hash {
            visited.insert(signed.precommit.target_hash);
            let route = chain.ancestry(base.target_hash, signed.precommit.target_hash);
            visited.extend(route.map_err(|_| "bad ancestry")?);
        }
    }
    let given = chain.0.iter().map(Header::hash).collect();
    if visited != given {
        return Err("unused headers");
    }
    Ok((commit.target_hash, commit.target_number))
}

fn voters(set_id: u64, n: u32) -> AuthorityList {
    authorities_for(set_id, n).iter().map(|pair| (AuthorityId::from(pair.public()), 1)).collect()
}

fn justification(chain: &Chain, number: u32) -> Option<Vec<u8>> {
    chain.justifications(number).into_iter().find(|(id, _)| *id == GRANDPA_ENGINE_ID).map(|(_, bytes)| bytes)
}

#[test]
fn fifty_blocks_of_transfers_move_money_and_every_root_is_right() {
    let chain = chain(&relay::GenesisConfig::default());
    let before = free_balance(&chain, Sr25519Keyring::Bob);
    for nonce in 0..50 {
        for offset in 0..4 {
            chain.submit(Tx::alice(nonce * 4 + offset).sign(&chain)).unwrap();
        }
        step(&chain);
        assert!(chain.pending().is_empty());
    }
    assert_eq!(free_balance(&chain, Sr25519Keyring::Bob) - before, 200 * 1_000_000_000_000);

    // Every state's pairs, put into a fresh trie, give the root in the header; and applying each block's
    // changes to the pairs of its parent gives its pairs.
    let mut pairs: std::collections::BTreeMap<_, _> = Default::default();
    for number in 0..=50 {
        let block = chain.block_at(number).unwrap();
        for (key, value) in &block.changes.main {
            match value {
                Some(value) => pairs.insert(key.clone(), value.clone()),
                None => pairs.remove(key),
            };
        }
        let root = sp_trie::LayoutV1::<BlakeTwo256>::default_root(&pairs);
        assert_eq!(block.header.state_root, root, "block {number}");
        let read: std::collections::BTreeMap<_, _> =
            chain.pairs(&[], Some(block.hash)).unwrap().into_iter().collect();
        assert_eq!(read, pairs);
    }
}

trait DefaultRoot {
    fn default_root(pairs: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>) -> H256;
}

impl DefaultRoot for sp_trie::LayoutV1<BlakeTwo256> {
    fn default_root(pairs: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>) -> H256 {
        use sp_trie::TrieConfiguration as _;
        Self::trie_root(pairs.iter())
    }
}

#[test]
fn read_proofs_of_old_states_verify_against_their_roots() {
    let chain = chain(&relay::GenesisConfig { authorities: 40, ..Default::default() });
    for _ in 0..10 {
        step(&chain);
    }
    let authorities =
        hex::decode("5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d").unwrap();
    let now = hex::decode("f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb").unwrap();
    let keys = vec![authorities, now, b"absent".to_vec()];
    for number in [0, 3, 10] {
        let block = chain.block_at(number).unwrap();
        let proof = chain.prove_read(&keys, Some(block.hash)).unwrap();
        let proof = sp_trie::StorageProof::new(proof);
        let read =
            sp_state_machine::read_proof_check::<BlakeTwo256, _>(block.header.state_root, proof, &keys)
                .unwrap();
        for key in &keys {
            assert_eq!(read[key], chain.read(key, Some(block.hash)).unwrap());
        }
        assert!(read[&keys[0]].as_ref().unwrap().len() > 40 * 32 && read[&keys[2]].is_none());
    }
}

#[test]
fn keys_are_paged_in_order_with_the_start_key_left_out() {
    let chain = chain(&relay::GenesisConfig::default());
    let all: Vec<_> = chain.pairs(&[], None).unwrap().into_iter().map(|(key, _)| key).collect();
    let mut paged = Vec::new();
    loop {
        let page = chain.keys_paged(None, &[], 7, paged.last().map(Vec::as_slice), None).unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert!(paged.is_sorted());
}

#[test]
fn the_pool_orders_by_nonce_parks_gaps_and_reports_every_status() {
    let chain = chain(&relay::GenesisConfig::default());
    let (_, mut second) = chain.submit_and_watch(Tx::alice(1).sign(&chain)).unwrap();
    assert_eq!(second.try_recv().unwrap(), TxStatus::Future);
    step(&chain);
    assert_eq!(chain.best().extrinsics.len(), 2);
    let (_, mut first) = chain.submit_and_watch(Tx::alice(0).sign(&chain)).unwrap();
    assert_eq!(first.try_recv().unwrap(), TxStatus::Ready);
    assert_eq!(second.try_recv().unwrap(), TxStatus::Ready);
    step(&chain);
    let block = chain.best();
    assert_eq!(block.extrinsics.len(), 4);
    chain.finalize(block.header.number);
    for watcher in [&mut first, &mut second] {
        assert_eq!(watcher.try_recv().unwrap(), TxStatus::InBlock(block.hash));
        assert_eq!(watcher.try_recv().unwrap(), TxStatus::Finalized(block.hash));
        assert!(watcher.try_recv().is_err());
    }
}

fn refusal(result: Result<H256, PoolError>) -> (i32, String, String) {
    let error = result.unwrap_err();
    (error.code(), error.to_string(), error.data().unwrap_or_default())
}

#[test]
fn the_pool_refuses_with_the_codes_and_texts_of_a_node() {
    let chain = chain_with(&relay::GenesisConfig::default(), PoolConfig { ready: 3, future: 1 });
    step(&chain);
    let invalid = |data: &str| (1010, "Invalid Transaction".to_owned(), data.to_owned());

    let mut forged = Tx::alice(0).sign(&chain);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(refusal(chain.submit(forged.clone())), invalid("Transaction has a bad signature"));
    assert_eq!(refusal(chain.submit(forged)).0, 1012);
    assert_eq!(refusal(chain.submit(vec![12, 1])).0, 1001);
    assert_eq!(refusal(chain.submit(vec![8, 99, 99])).0, 1002);

    let pauper = Tx { from: sr25519::Pair::from_seed(&[9; 32]), ..Tx::alice(0) };
    let poor = "Inability to pay some fees (e.g. account balance too low)";
    assert_eq!(refusal(chain.submit(pauper.sign(&chain))), invalid(poor));

    let cheap = Tx::alice(0).sign(&chain);
    let hash = chain.submit(cheap.clone()).unwrap();
    assert_eq!(hash, H256(sp_crypto_hashing::blake2_256(&cheap)));
    let again = refusal(chain.submit(cheap));
    assert_eq!(again, (1013, "Transaction Already Imported".into(), format!("{hash:?}")));
    let (code, message, _) = refusal(chain.submit(Tx { value: 5, ..Tx::alice(0) }.sign(&chain)));
    assert_eq!(code, 1014);
    assert!(message.starts_with("Priority is too low: ("), "{message}");
    let (_, mut watcher) =
        chain.submit_and_watch(Tx { tip: 1_000_000_000, ..Tx::alice(0) }.sign(&chain)).unwrap();
    assert_eq!(chain.pending().len(), 1);
    assert_eq!(watcher.try_recv().unwrap(), TxStatus::Ready);

    chain.submit(Tx::alice(8).sign(&chain)).unwrap();
    assert_eq!(refusal(chain.submit(Tx::alice(9).sign(&chain))).0, 1016);
    for nonce in 1..3 {
        chain.submit(Tx::alice(nonce).sign(&chain)).unwrap();
    }
    let full = refusal(chain.submit(Tx::alice(3).sign(&chain)));
    assert_eq!((full.0, &full.1[..]), (1016, "Immediately Dropped"));

    step(&chain);
    assert_eq!(
        refusal(chain.submit(Tx { value: 6, ..Tx::alice(0) }.sign(&chain))),
        invalid("Transaction is outdated")
    );
}

#[test]
fn transactions_of_an_abandoned_block_are_retracted_and_land_again() {
    let chain = chain(&relay::GenesisConfig::default());
    step(&chain);
    let (_, mut watcher) = chain.submit_and_watch(Tx::alice(0).sign(&chain)).unwrap();
    let lost = chain.author_block(&input(2)).unwrap();
    chain.abandon_above(1);
    assert_eq!(chain.best().header.number, 1);
    let found = chain.author_block(&input(3)).unwrap();
    assert_ne!(found.hash, lost.hash);
    assert!(chain.block(lost.hash).is_some() && chain.canonical(lost.hash).is_none());
    let mut statuses = Vec::new();
    while let Ok(status) = watcher.try_recv() {
        statuses.push(status);
    }
    use TxStatus::{InBlock, Ready, Retracted};
    assert_eq!(statuses, [Ready, InBlock(lost.hash), Retracted(lost.hash), Ready, InBlock(found.hash)]);
}

#[test]
fn a_transaction_that_was_good_for_an_abandoned_fork_only_ends_as_invalid() {
    let chain = chain(&relay::GenesisConfig::default());
    step(&chain);
    step(&chain);
    let born_in_2 = Tx { era: Era::mortal(4, 2), ..Tx::alice(0) };
    let (_, mut watcher) = chain.submit_and_watch(born_in_2.sign(&chain)).unwrap();
    let lost = chain.author_block(&input(3)).unwrap();
    assert_eq!(lost.extrinsics.len(), 3);
    chain.abandon_above(1);
    let statuses: Vec<_> = std::iter::from_fn(|| watcher.try_recv().ok()).collect();
    use TxStatus::{InBlock, Invalid, Ready, Retracted};
    assert_eq!(statuses, [Ready, InBlock(lost.hash), Retracted(lost.hash), Invalid]);
    assert!(chain.pending().is_empty());
}

#[test]
fn finality_follows_rotations_and_every_justification_verifies() {
    for delay in [0, 2] {
        let chain = chain(&relay::GenesisConfig {
            rotation_period: 5,
            rotation_delay: delay,
            authorities: 7,
            ..Default::default()
        });
        let finalizer = Finalizer::new(chain.clone(), authorities_for, Knobs::default());
        let mut events = chain.events();
        for number in 1..=22 {
            step(&chain);
            finalizer.advance();
            assert_eq!(chain.finalized_number(), number);
            let set = u64::from(number.saturating_sub(delay + 1) / 5);
            let (height, bytes) = finalizer.latest_justification().unwrap();
            assert_eq!(height, number);
            assert_eq!(verify(&bytes, set, &voters(set, 7)), Ok((chain.best().hash, number)), "{number}");
            assert_eq!(verify(&bytes, set + 1, &voters(set, 7)), Err("bad signature"));
            let keep = number > delay && (number - delay).is_multiple_of(5);
            assert_eq!(justification(&chain, number).is_some(), keep, "{number}");
        }
        let ends: Vec<_> = (0..4u32).map(|set| (u64::from(set), (set + 1) * 5 + delay)).collect();
        assert_eq!(finalizer.completed_sets(), ends);
        let heard = std::iter::from_fn(|| events.try_recv().ok());
        assert_eq!(heard.filter(|event| matches!(event, Event::Justification(_))).count(), 22);
    }
}

#[test]
fn every_style_of_justification_is_valid_or_refused_as_it_says() {
    let expected = [
        (Style::Plain, None),
        (Style::Everyone, None),
        (Style::Descendants, None),
        (Style::Equivocation, None),
        (Style::ExtraNonMember, None),
        (Style::ExtraNonMemberBadSignature, Some("bad signature")),
        (Style::BadSignature, Some("bad signature")),
        (Style::TooFewVotes, Some("invalid commit")),
        (Style::WrongSet, Some("bad signature")),
        (Style::UnusedHeader, Some("unused headers")),
    ];
    for (style, refusal) in expected {
        let chain = chain(&relay::GenesisConfig { rotation_period: 9, ..Default::default() });
        let knobs = Knobs { style, lag: 4, every: 2, ..Knobs::default() };
        let finalizer = Finalizer::new(chain.clone(), authorities_for, knobs);
        let mut ancestries = 0;
        for number in 1..=30u32 {
            step(&chain);
            finalizer.advance();
            let reach = number.saturating_sub(4);
            assert_eq!(chain.finalized_number(), (reach - reach % 2).max(reach - reach % 9));
            let Some((height, bytes)) = finalizer.latest_justification() else { continue };
            let set = u64::from(height.saturating_sub(1) / 9);
            let target = (chain.block_at(height).unwrap().hash, height);
            assert_eq!(verify(&bytes, set, &voters(set, 4)), refusal.map_or(Ok(target), Err), "{style:?}");
            let decoded = GrandpaJustification::<Header>::decode(&mut &bytes[..]).unwrap();
            ancestries += decoded.votes_ancestries.len();
        }
        assert_eq!(
            ancestries > 0,
            matches!(style, Style::Descendants | Style::Equivocation | Style::UnusedHeader)
        );
    }
}

#[test]
fn finality_proofs_cover_completed_and_current_sets_and_say_when_they_cannot() {
    let chain = chain(&relay::GenesisConfig { rotation_period: 10, ..Default::default() });
    let finalizer = Finalizer::new(chain.clone(), authorities_for, Knobs { every: 4, ..Knobs::default() });
    for _ in 0..27 {
        step(&chain);
        finalizer.advance();
    }
    let prove = |number| {
        let proof = finalizer.prove(number).unwrap().unwrap();
        let proof = FinalityProof::decode(&mut &proof[..]).unwrap();
        let numbers: Vec<_> = proof.unknown_headers.iter().map(|header| header.number).collect();
        (proof, numbers)
    };
    for (number, last) in [(1, 10), (10, 10), (11, 20), (20, 20), (21, 24), (24, 24)] {
        let (proof, numbers) = prove(number);
        assert_eq!(numbers, (number + 1..=last).collect::<Vec<_>>());
        let target = (chain.block_at(last).unwrap().hash, last);
        assert_eq!(proof.block, target.0);
        let set = u64::from((last - 1) / 10);
        assert_eq!(verify(&proof.justification, set, &voters(set, 4)), Ok(target));
    }
    assert_eq!(finalizer.prove(25), Err(ProveError::NotYetFinalized));

    finalizer.adjust(|knobs| knobs.forget_set_changes = true);
    for _ in 0..5 {
        step(&chain);
        finalizer.advance();
    }
    assert_eq!(finalizer.prove(29), Ok(None));
    assert!(finalizer.prove(31).unwrap().is_some());
    finalizer.forget_history(0);
    assert_eq!(finalizer.prove(3), Err(ProveError::NotCovered));
    finalizer.adjust(|knobs| knobs.hold = true);
    step(&chain);
    finalizer.advance();
    assert_eq!(chain.finalized_number(), 32);
}

#[test]
fn a_spec_version_order_shows_from_the_next_block_on() {
    let chain = chain(&relay::GenesisConfig::default());
    let old = chain.runtime_version(None).unwrap().spec_version;
    let stale = Tx::alice(0).sign(&chain);
    let mut inputs = relay::BlockInputs { now_ms: 1_700_000_000_000, ..Default::default() };
    inputs.control.spec_version = Some(old + 1);
    let inherents = inputs.inherents().iter().map(Encode::encode).collect();
    chain.author_block(&BlockInput { inherents, ..BlockInput::default() }).unwrap();
    assert_eq!(chain.runtime_version(None).unwrap().spec_version, old + 1);
    assert_eq!(chain.runtime_version(Some(chain.genesis_hash())).unwrap().spec_version, old);
    let refused = refusal(chain.submit(stale));
    assert_eq!((refused.0, &refused.2[..]), (1010, "Transaction has a bad signature"));
    chain.submit(Tx::alice(0).sign(&chain)).unwrap();
}

/// A runtime of two lines of state: a child trie that changes every block, under a state version 0 root.
fn with_children(method: &str, args: &[u8]) -> Option<Vec<u8>> {
    let number_key = b"number";
    match method {
        "Core_version" => Some(sp_version::RuntimeVersion { system_version: 0, ..relay::VERSION }.encode()),
        "Core_initialize_block" => {
            sp_io::storage::set(b"header", args);
            let number = Header::decode(&mut &args[..]).unwrap().number;
            sp_io::storage::set(number_key, &number.encode());
            sp_io::default_child_storage::set(b"child", &number.to_be_bytes(), &[7; 40]);
            sp_io::default_child_storage::clear(b"child", &(number - 1).to_be_bytes());
            Some(sp_runtime::ExtrinsicInclusionMode::OnlyInherents.encode())
        }
        "BlockBuilder_finalize_block" => {
            let mut header = Header::decode(&mut &sp_io::storage::get(b"header").unwrap()[..]).unwrap();
            let root = sp_io::storage::root(StateVersion::V0);
            header.state_root = H256::from_slice(&root);
            Some(header.encode())
        }
        _ => None,
    }
}

#[test]
fn child_trie_changes_are_recorded_by_unprefixed_id_and_child_states_stay_provable() {
    let runtime = Runtime { name: "children", dispatch: with_children };
    let chain = Chain::new(runtime, &Default::default(), PoolConfig::default()).unwrap();
    for number in 1..=3u32 {
        let block = chain.author_block(&BlockInput::default()).unwrap();
        let [(id, changes)] = &block.changes.child[..] else { panic!("one child trie") };
        assert_eq!(id, b"child");
        let gone = ((number - 1).to_be_bytes().to_vec(), None);
        assert_eq!(changes[..], [gone, (number.to_be_bytes().to_vec(), Some(vec![7; 40]))]);
        assert!(block.changes.main.iter().all(|(key, _)| !key.starts_with(b":child_storage:")));
    }
    for number in 1..=3u32 {
        let at = Some(chain.block_at(number).unwrap().hash);
        let keys = chain.keys_paged(Some(b"child"), &[], 10, None, at).unwrap();
        assert_eq!(keys, [number.to_be_bytes()]);
        let proof = sp_trie::StorageProof::new(chain.prove_child_read(b"child", &keys, at).unwrap());
        let info = sp_core::storage::ChildInfo::new_default(b"child");
        let root = chain.block_at(number).unwrap().header.state_root;
        let read =
            sp_state_machine::read_child_proof_check::<BlakeTwo256, _>(root, proof, &info, &keys).unwrap();
        assert_eq!(read[&keys[0]], Some(vec![7; 40]));
    }
}
