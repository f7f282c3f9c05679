//! Both chains together: lockstep, finality through the relay chain, storage changes, load, scale.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::{Decode, Encode};
use prb_devnet::chain::Header;
use prb_devnet::chain::TxStatus::{Finalized, InBlock, Ready, Retracted};
use prb_devnet::network::{Config, Devnet, sign_para_call};
use prb_devnet::runtime::{authorities_for, relay};
use sp_consensus_grandpa::{ConsensusLog, GRANDPA_ENGINE_ID, GrandpaJustification};
use sp_core::{Pair, storage::StateVersion};
use sp_keyring::Sr25519Keyring;
use sp_runtime::DigestItem;
use sp_runtime::traits::BlakeTwo256;

const VALIDATION_DATA: &str = "45323df7cc47150b3930e2666b0aa313d422e17d2affdce4a912d187a734dd67";
const TIMESTAMP: &str = "f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

fn shared<T: Send + Sync + 'static>(_: &T) {}

#[test]
fn para_blocks_are_final_when_a_finalized_relay_block_names_them() {
    let net = Devnet::new(Config::default()).unwrap();
    shared(&net);
    net.steps(60).unwrap();
    let (relay, para) = (net.relay(), net.para());
    assert_eq!((relay.best().header.number, para.best().header.number), (60, 28));
    // Built on relay parent 58, included in 60.
    assert_eq!((relay.finalized_number(), para.finalized_number()), (60, 27));
    assert_eq!(net.included_head(relay.finalized().hash).unwrap(), para.finalized().header);
    let genesis = para.block_at(0).unwrap();
    let registered = |number| net.included_head(relay.block_at(number).unwrap().hash);
    assert_eq!(registered(4), None);
    assert_eq!(registered(5).unwrap(), genesis.header);

    let (data, now) = (hex::decode(VALIDATION_DATA).unwrap(), hex::decode(TIMESTAMP).unwrap());
    assert_eq!(para.read(&data, Some(genesis.hash)).unwrap(), None);
    for number in 1..=28 {
        let block = para.block_at(number).unwrap();
        let relay_parent = relay.block_at(4 + 2 * number).unwrap();
        let (parent_head, relay_number, root, _): (Vec<u8>, u32, sp_core::H256, u32) =
            para.read_as(&data, Some(block.hash)).unwrap();
        assert_eq!((relay_number, root), (relay_parent.header.number, relay_parent.header.state_root));
        assert_eq!(parent_head, para.block_at(number - 1).unwrap().header.encode());
        let time: u64 = para.read_as(&now, Some(block.hash)).unwrap();
        assert_eq!(time, 1_700_000_000_000 + 6000 * u64::from(5 + 2 * number));
    }
}

#[test]
fn a_seed_makes_other_chains_and_the_same_seed_the_same() {
    let genesis = |seed| {
        let net = Devnet::new(Config { seed, ..Config::default() }).unwrap();
        net.steps(30).unwrap();
        [net.relay().genesis_hash(), net.para().genesis_hash(), net.relay().best().hash]
    };
    let [none, one, two] = [0, 1, 2].map(genesis);
    assert_eq!(one, genesis(1));
    for (one, other) in [(none, one), (one, two), (none, two)] {
        assert!((0..3).all(|at| one[at] != other[at]), "{one:?} {other:?}");
    }
}

#[test]
fn equal_configurations_make_equal_chains() {
    let [one, two] = [0, 1].map(|_| {
        let net = Devnet::new(Config::default()).unwrap();
        net.steps(30).unwrap();
        (net.relay().best().hash, net.para().best().hash)
    });
    assert_eq!(one, two);
}

#[test]
fn storage_changes_replayed_from_genesis_give_every_version_0_root() {
    let net = Devnet::new(Config { transfers_per_block: 20, ..Config::default() }).unwrap();
    net.steps(40).unwrap();
    assert_eq!(net.para().state_version(), StateVersion::V0);
    assert_eq!(net.relay().state_version(), StateVersion::V1);
    let mut main: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for number in 0..=net.para().best().header.number {
        let block = net.para().block_at(number).unwrap();
        assert_eq!(block.extrinsics.len(), if number == 0 { 0 } else { 22 });
        assert!(block.changes.child.is_empty());
        for (key, value) in block.changes.main.clone() {
            match value {
                Some(value) => main.insert(key, value),
                None => main.remove(&key),
            };
        }
        use sp_trie::TrieConfiguration as _;
        assert_eq!(sp_trie::LayoutV0::<BlakeTwo256>::trie_root(&main), block.header.state_root, "{number}");
    }
}

#[test]
fn read_proofs_of_both_chains_verify() {
    let net = Devnet::new(Config::default().authorities(50)).unwrap();
    net.steps(20).unwrap();
    let keys = [net.head_key(), hex::decode(TIMESTAMP).unwrap(), hex::decode(VALIDATION_DATA).unwrap()];
    for chain in [net.relay(), net.para()] {
        for number in [1, 6, chain.best().header.number] {
            let block = chain.block_at(number).unwrap();
            let proof = sp_trie::StorageProof::new(chain.prove_read(&keys, Some(block.hash)).unwrap());
            let root = block.header.state_root;
            let read = sp_state_machine::read_proof_check::<BlakeTwo256, _>(root, proof, &keys).unwrap();
            for key in &keys {
                assert_eq!(read[key], chain.read(key, Some(block.hash)).unwrap());
            }
        }
    }
}

/// Follows the relay chain as a light client would, from genesis keys only.
#[test]
fn a_light_client_can_follow_a_thousand_rotating_authorities() {
    let n = 1000;
    let net = Devnet::new(Config::default().authorities(n).rotate_every(4)).unwrap();
    net.steps(13).unwrap();
    let mut set_id = 0u64;
    let mut voters: Vec<_> = authorities_for(0, n).iter().map(|pair| pair.public()).collect();
    for number in 1..=13 {
        let block = net.relay().block_at(number).unwrap();
        if let Some((engine, bytes)) = net.relay().justifications(number).first() {
            assert_eq!(*engine, GRANDPA_ENGINE_ID);
            let decoded = GrandpaJustification::<Header>::decode(&mut &bytes[..]).unwrap();
            assert_eq!(decoded.commit.target_hash, block.hash);
            assert_eq!(decoded.commit.precommits.len(), 667);
            for signed in &decoded.commit.precommits {
                let message = finality_grandpa::Message::Precommit(signed.precommit.clone());
                let payload = sp_consensus_grandpa::localized_payload(decoded.round, set_id, &message);
                let id = sp_core::ed25519::Public::from(signed.id.clone());
                assert!(voters.contains(&id));
                assert!(sp_core::ed25519::Pair::verify(&signed.signature.clone().into(), payload, &id));
            }
        }
        let change = block.header.digest.logs.iter().find_map(|item| match item {
            DigestItem::Consensus(GRANDPA_ENGINE_ID, data) => {
                match ConsensusLog::<u32>::decode(&mut &data[..]).unwrap() {
                    ConsensusLog::ScheduledChange(change) => Some(change),
                    _ => None,
                }
            }
            _ => None,
        });
        if let Some(change) = change {
            assert_eq!(number % 4, 0);
            voters = change.next_authorities.into_iter().map(|(id, _)| id.into()).collect();
            set_id += 1;
        }
    }
    assert_eq!(set_id, 3);
    assert_eq!(net.finalizer().current_set().0, 3);
}

#[test]
fn held_finality_lets_the_best_chains_run_ahead_and_catches_up_through_every_set_change() {
    let net = Devnet::new(Config::default().rotate_every(5)).unwrap();
    net.steps(8).unwrap();
    net.finalizer().adjust(|knobs| knobs.hold = true);
    net.steps(20).unwrap();
    assert_eq!((net.relay().finalized_number(), net.relay().best().header.number), (8, 28));
    assert!(net.para().finalized_number() <= 1 && net.para().best().header.number == 12);
    net.finalizer().adjust(|knobs| knobs.hold = false);
    net.step().unwrap();
    assert_eq!(net.relay().finalized_number(), 29);
    for end in [5, 10, 15, 20, 25] {
        assert_eq!(net.relay().justifications(end).len(), 1, "{end}");
    }
    assert_eq!(net.para().finalized_number(), 11);
}

#[test]
fn a_reorganization_replaces_unfinalized_blocks_of_both_chains_and_everything_lands_again() {
    let net = Devnet::new(Config::default()).unwrap();
    net.steps(10).unwrap();
    net.finalizer().adjust(|knobs| knobs.hold = true);
    net.steps(7).unwrap();
    let raw = sign_transfer(&net, 0);
    let (_, mut watcher) = net.para().submit_and_watch(raw).unwrap();
    net.steps(3).unwrap();
    let (lost_relay, lost_para) = (net.relay().best(), net.para().best());
    assert_eq!((lost_relay.header.number, lost_para.header.number), (20, 8));
    assert_eq!(net.reorganize(4), (4, 2));
    assert_eq!(net.reorganize(50), (6, 3));
    assert_eq!((net.relay().best().header.number, net.para().best().header.number), (10, 3));
    net.finalizer().adjust(|knobs| knobs.hold = false);
    net.steps(14).unwrap();
    assert_eq!((net.relay().finalized_number(), net.para().finalized_number()), (24, 9));
    assert_ne!(net.relay().block_at(20).unwrap().hash, lost_relay.hash);
    assert_ne!(net.para().block_at(8).unwrap().hash, lost_para.hash);
    for number in 1..=10 {
        assert_eq!(net.relay_parent(number), Some(4 + 2 * number));
    }
    let mut statuses = Vec::new();
    while let Ok(status) = watcher.try_recv() {
        statuses.push(status);
    }
    assert!(
        matches!(statuses[..], [Ready, InBlock(a), Retracted(b), Ready, InBlock(c), Finalized(d)]
        if a == b && c == d && a != c),
        "{statuses:?}"
    );
}

fn sign_transfer(net: &Devnet, nonce: u32) -> Vec<u8> {
    let dest = Sr25519Keyring::Bob.to_account_id().into();
    let call = pallet_balances::Call::transfer_keep_alive { dest, value: 1_000_000_000_000 };
    sign_para_call(net.para(), &Sr25519Keyring::Alice.pair(), nonce, 0, call).unwrap()
}

#[test]
fn orders_rotate_pause_and_upgrade() {
    let net = Devnet::new(Config::default().rotate_every(0)).unwrap();
    net.steps(10).unwrap();
    net.order(|orders| {
        orders.rotation = Some(relay::Rotation { delay: 0, authorities: Some(9), forced: None });
        orders.para.spec_version = Some(9999);
    });
    net.pause_para(true);
    net.steps(4).unwrap();
    assert_eq!(net.finalizer().current_set().0, 1);
    assert_eq!(net.finalizer().current_set().1.len(), 9);
    assert_eq!(net.para().best().header.number, 3);
    net.pause_para(false);
    net.steps(2).unwrap();
    assert_eq!(net.para().runtime_version(None).unwrap().spec_version, 9999);
    assert!(net.step_until_para_finalized(4, 10).unwrap());
    assert!(!net.step_until_para_finalized(400, 3).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_steps_until_told_to_stop() {
    let net = Arc::new(Devnet::new(Config::default()).unwrap());
    let mut events = net.relay().events();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(net.clone().run(std::time::Duration::from_millis(1), async {
        let _ = stopped.await;
    }));
    while net.relay().best().header.number < 10 {
        events.recv().await.unwrap();
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

/// X4: storage stays, indices move, and one extension is new.
#[test]
fn an_upgrade_changes_version_metadata_and_extrinsics_and_leaves_storage() {
    use prb_devnet::runtime::para::{self, upgraded};
    let config = Config { transfers_per_block: 2, upgrade_at: Some(6), ..Config::default() };
    let net = Devnet::new(config).unwrap();
    net.steps(40).unwrap();
    let para = net.para();
    let at = |number| para.block_at(number).unwrap();
    let version = |number| para.runtime_version(Some(at(number).hash)).unwrap();
    assert_eq!((version(5).spec_version, version(5).transaction_version), (1282, 6));
    assert_eq!((version(6).spec_version, version(6).transaction_version), (1290, 7));
    let upgrades: Vec<_> = (1..=para.best().header.number)
        .filter(|number| at(*number).header.digest.logs.contains(&DigestItem::RuntimeEnvironmentUpdated))
        .collect();
    assert_eq!(upgrades, [6]);
    let metadata = |number| para.call("Metadata_metadata", &[], Some(at(number).hash)).unwrap();
    assert_eq!(metadata(4), metadata(5));
    assert_ne!(metadata(5), metadata(6));
    // Inherents and transfers are there before and after, each as its runtime reads it.
    for raw in &at(6).extrinsics {
        para::UncheckedExtrinsic::decode(&mut &raw[..]).unwrap();
    }
    for number in 7..=para.best().header.number {
        assert_eq!(at(number).extrinsics.len(), 4, "{number}");
        for raw in &at(number).extrinsics {
            let extrinsic = upgraded::UncheckedExtrinsic::decode(&mut &raw[..]).unwrap();
            assert_eq!(extrinsic.encode(), *raw);
        }
    }
}

/// X10.
#[test]
fn a_crowd_keeps_the_pool_full_and_outbids_others() {
    use prb_devnet::chain::PoolConfig;
    let pool = PoolConfig { ready: 3, future: 3 };
    let net = Devnet::new(Config { crowd: 3, pool, ..Config::default() }).unwrap();
    net.steps(20).unwrap();
    assert_eq!(net.para().pending().len(), 3);
    let call = || pallet_balances::Call::transfer_keep_alive {
        dest: Sr25519Keyring::Bob.to_account_id().into(),
        value: 1,
    };
    let submit = || {
        let raw = sign_para_call(net.para(), &Sr25519Keyring::Alice.pair(), 0, 0, call()).unwrap();
        net.para().submit(raw)
    };
    let refused = submit().unwrap_err();
    assert_eq!((refused.code(), net.para().crowded_out()), (1016, 1));
    // More room, and the next one gets in.
    net.para().set_pool_limits(PoolConfig { ready: 4, future: 3 });
    submit().unwrap();
    assert_eq!(net.para().pending().len(), 4);
    net.crowd(0);
    net.steps(4).unwrap();
    assert!(net.para().pending().is_empty());
}
