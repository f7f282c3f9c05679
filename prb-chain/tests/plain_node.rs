//! Storage changes of a plain Substrate node, on real tries.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod nodes;

use codec::{Decode, DecodeAll, Encode};
use nodes::Nodes;
use prb_chain::{
    node_source::{ParaNode, SourceOptions},
    rpc::Rpc,
    state_copy::StateCopy,
};
use prb_core::{
    Bytes,
    accept::BlockChanges,
    id::{BlockRef, Hash, Height},
    port::SourceError,
    types::sync::{ChangesForm, StorageChanges},
};
use prb_devnet::{
    chain::{BlockInput, Chain, Header, PoolConfig, Runtime},
    network::{Config, Devnet},
    rpc::{Fault, InProcess, Node, NodeConfig, RpcServer},
    runtime::relay,
};
use serde_json::{Value, json};
use sp_core::{H256, storage::StateVersion};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use subxt_rpcs::RpcClient;

/// A runtime of a few lines of state version 0, with child tries that come, change, go and come back.
fn with_children(method: &str, args: &[u8]) -> Option<Vec<u8>> {
    match method {
        "Core_version" => Some(sp_version::RuntimeVersion { system_version: 0, ..relay::VERSION }.encode()),
        "Core_initialize_block" => {
            sp_io::storage::set(b"header", args);
            let number = Header::decode(&mut &args[..]).unwrap().number;
            // Written in every block with the value it has.
            sp_io::storage::set(b"constant", b"always the same");
            sp_io::storage::set(b"number", &number.to_be_bytes());
            sp_io::storage::clear(format!("block {}", number - 1).as_bytes());
            sp_io::storage::set(format!("block {number}").as_bytes(), &[7; 50]);
            sp_io::default_child_storage::set(b"steady", b"constant", b"the same");
            sp_io::default_child_storage::set(b"moving", &number.to_be_bytes(), &[7; 40]);
            sp_io::default_child_storage::clear(b"moving", &(number - 1).to_be_bytes());
            if number.is_multiple_of(3) {
                sp_io::default_child_storage::set(b"now and then", b"a", &number.to_be_bytes());
                sp_io::default_child_storage::set(b"now and then", b"b", &[1; 64]);
            } else if number % 3 == 2 {
                sp_io::default_child_storage::storage_kill(b"now and then", None);
            }
            Some(sp_runtime::ExtrinsicInclusionMode::OnlyInherents.encode())
        }
        "BlockBuilder_finalize_block" => {
            let mut header = Header::decode(&mut &sp_io::storage::get(b"header").unwrap()[..]).unwrap();
            header.state_root = H256::from_slice(&sp_io::storage::root(StateVersion::V0));
            Some(header.encode())
        }
        _ => None,
    }
}

/// A chain of `blocks` blocks and a plain node of it.
fn chain(blocks: u32) -> (Arc<Chain>, Arc<Node>) {
    let runtime = Runtime { name: "children", dispatch: with_children };
    let chain = Arc::new(Chain::new(runtime, &Default::default(), PoolConfig::default()).unwrap());
    for _ in 0..blocks {
        chain.author_block(&BlockInput::default()).unwrap();
    }
    (chain.clone(), Arc::new(Node::new(chain, None, plain())))
}

/// A node with the archive methods and without Phala's.
fn plain() -> NodeConfig {
    NodeConfig {
        chain_name: "plain".into(),
        ss58_format: 42,
        token: "T".into(),
        phala_extension: false,
        archive: true,
    }
}

fn options() -> SourceOptions {
    let mut options = SourceOptions::default();
    options.rpc.answer_timeout = Duration::from_secs(120);
    options.rpc.long_answer_timeout = Duration::from_secs(120);
    options
}

fn asked(node: &Arc<Node>) -> ParaNode {
    let node = node.clone();
    let connect = move || Ok::<_, String>(RpcClient::new(InProcess::new(node.clone())));
    ParaNode::new(Rpc::over("plain node", connect, options().rpc), options())
}

fn at(chain: &Chain, number: u32) -> BlockRef {
    BlockRef { height: Height(number), hash: Hash(chain.block_at(number).unwrap().hash.0) }
}

type Tries = BTreeMap<Option<Vec<u8>>, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// What a block wrote, without what it wrote with the value that was there.
fn differing(chain: &Chain, number: u32) -> Tries {
    let (before, block) = (chain.block_at(number - 1).unwrap().hash, chain.block_at(number).unwrap());
    let mut tries = Tries::new();
    for (key, value) in &block.changes.main {
        if chain.read(key, Some(before)).unwrap() != *value {
            tries.entry(None).or_default().insert(key.clone(), value.clone());
        }
    }
    for (child, changes) in &block.changes.child {
        for (key, value) in changes {
            if chain.read_child(child, key, Some(before)).unwrap() != *value {
                tries.entry(Some(child.clone())).or_default().insert(key.clone(), value.clone());
            }
        }
    }
    tries
}

/// The changes as answered, which must be in order.
fn answered(bytes: &Bytes) -> Tries {
    let changes = StorageChanges::decode_all(&mut bytes.as_ref()).unwrap();
    let main = (None, changes.main_storage_changes);
    let children = changes.child_storage_changes.into_iter().map(|(key, delta)| (Some(key), delta));
    let tries: Vec<_> = [main].into_iter().chain(children).collect();
    assert!(tries.windows(2).all(|pair| pair[0].0 < pair[1].0), "child tries ascend");
    tries
        .into_iter()
        .map(|(child, delta)| {
            assert!(delta.windows(2).all(|pair| pair[0].0 < pair[1].0), "keys ascend");
            (child, delta.into_iter().collect())
        })
        .collect()
}

/// A copy of the state of block 0.
fn copy(chain: &Chain) -> (StateCopy, Nodes, Hash) {
    let nodes = Nodes::default();
    let mut copy = StateCopy::new(nodes.shared());
    let (root, loaded) = copy.load(chain.pairs(&[], Some(chain.genesis_hash())).unwrap()).unwrap();
    nodes.commit(&loaded);
    (copy, nodes, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_with_child_tries_lead_to_the_same_state_roots() {
    const BLOCKS: u32 = 12;
    let (chain, node) = chain(BLOCKS);
    let source = asked(&node);
    let changes = source.changes(at(&chain, 1), at(&chain, BLOCKS)).await.unwrap();
    assert_eq!(source.changes_form(), Some(ChangesForm::Diff));
    assert_eq!(changes.len(), BLOCKS as usize);
    let (mut copy, nodes, mut root) = copy(&chain);
    let mut kinds = [0; 3];
    for (number, changes) in (1..).zip(&changes) {
        let found = answered(changes);
        assert_eq!(found, differing(&chain, number), "block {number}");
        let now_and_then = found.get(&Some(b"now and then".to_vec()));
        kinds[0] += usize::from(now_and_then.is_some_and(|delta| delta.values().any(Option::is_some)));
        kinds[1] += usize::from(now_and_then.is_some_and(|delta| delta.values().all(Option::is_none)));
        kinds[2] += usize::from(found.contains_key(&Some(b"steady".to_vec())));
        let expected = Hash(chain.block_at(number).unwrap().header.state_root.0);
        let block = BlockChanges { height: Height(number), root: expected, changes: changes.clone() };
        nodes.commit(&copy.apply(root, &[block]).unwrap());
        root = expected;
    }
    assert_eq!(kinds, [4, 3, 1], "a trie that comes, goes, comes back; one that never changes again");
    // The same comes of comparing the nodes of read proofs, which every node answers.
    let config = NodeConfig { archive: false, ..plain() };
    let bare = asked(&Arc::new(Node::new(chain.clone(), None, config)));
    assert_eq!(bare.changes(at(&chain, 1), at(&chain, BLOCKS)).await.unwrap(), changes);
    assert_eq!(bare.changes_form(), Some(ChangesForm::Diff));
    // In pieces it is the same.
    assert_eq!(source.changes(at(&chain, 5), at(&chain, 5)).await.unwrap(), changes[4..5]);
    assert_eq!(source.changes(at(&chain, 5), at(&chain, 6)).await.unwrap(), changes[4..6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_changes_come_over_a_socket_one_by_one() {
    fn many(method: &str, args: &[u8]) -> Option<Vec<u8>> {
        if method == "Core_initialize_block" {
            let number = Header::decode(&mut &args[..]).unwrap().number;
            for index in 0..6000u32 {
                let value = sp_crypto_hashing::blake2_256(&(number, index).encode());
                sp_io::storage::set(&sp_crypto_hashing::twox_128(&index.encode()), &value);
            }
        }
        with_children(method, args)
    }
    let runtime = Runtime { name: "many", dispatch: many };
    let chain = Arc::new(Chain::new(runtime, &Default::default(), PoolConfig::default()).unwrap());
    chain.author_block(&BlockInput::default()).unwrap();
    let node = Arc::new(Node::new(chain.clone(), None, plain()));
    let server = RpcServer::start(node, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let source = ParaNode::new(Rpc::new(&server.url(), options().rpc), options());
    let changes = source.changes(at(&chain, 1), at(&chain, 1)).await.unwrap();
    assert_eq!(answered(&changes[0]), differing(&chain, 1));

    // A reply cap counts the whole of an answer.
    let mut small = options();
    small.rpc.max_reply = 100_000;
    let source = ParaNode::new(Rpc::new(&server.url(), small.rpc), small);
    let error = source.changes(at(&chain, 1), at(&chain, 1)).await.unwrap_err();
    assert!(matches!(error, SourceError::TooLarge { .. }), "{error}");
}

/// What comes of asking for block 4 while `trick` plays with the events.
async fn tricked(trick: impl Fn(&Value) -> Option<Fault> + Send + Sync + 'static) -> SourceError {
    let (chain, node) = chain(4);
    node.set_fault(Some(Arc::new(move |name, params| {
        (name == "archive_v1_storageDiffEvent").then(|| trick(&params[0])).flatten()
    })));
    let error = asked(&node).changes(at(&chain, 4), at(&chain, 4)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("plain node") && text.contains("block 4"), "{text}");
    error
}

fn hex(text: &str) -> Value {
    format!("0x{}", hex::encode(text)).into()
}

/// One event in the place of those that match.
fn instead(
    of: impl Fn(&Value) -> bool + Send + Sync + 'static,
    event: Value,
) -> impl Fn(&Value) -> Option<Fault> + Send + Sync + 'static {
    move |found| of(found).then(|| Fault::Result(event.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_right_are_refused_with_their_block() {
    let of_number = |event: &Value| event["key"] == hex("number");
    let diff =
        |key: &str| json!({ "event": "storageDiff", "key": hex(key), "value": "0x01", "type": "added" });
    let cases: [(Value, &str); 5] = [
        (diff("header"), "comes twice"),
        (diff(":child_storage:strange:x"), "no known kind"),
        (diff(":child_storage:default:steady"), "another root and no changes"),
        (json!({ "event": "storageDiff", "key": "0x01", "type": "modified" }), "no value"),
        (
            json!({ "event": "storageDiff", "key": "0x01", "value": "0x01", "type": "added", "childTrieKey": "0x02" }),
            "another trie",
        ),
    ];
    for (event, cause) in cases {
        let error = tricked(instead(of_number, event)).await;
        assert!(matches!(&error, SourceError::Bad { cause: found, .. } if found.contains(cause)), "{error}");
    }
    let error = tricked(instead(of_number, json!({ "event": "somethingElse" }))).await;
    assert!(matches!(error, SourceError::Bad { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_no_answer() {
    let done = |event: &Value| (event["event"] == "storageDiffDone").then_some(Fault::Drop);
    let error = tricked(done).await;
    assert!(
        matches!(&error, SourceError::Unreachable { cause, .. } if cause.contains("broke off")),
        "{error}"
    );
    let failed =
        json!({ "event": "storageDiffError", "error": "UnknownBlock: State already discarded for 0x12" });
    let error = tricked(instead(|event| event["event"] == "storageDiffDone", failed)).await;
    assert!(matches!(error, SourceError::Pruned { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_lack_a_node_or_hold_another_are_refused_with_their_block() {
    let (chain, _) = chain(4);
    let node = Arc::new(Node::new(chain.clone(), None, NodeConfig { archive: false, ..plain() }));
    let lies: [fn(&mut Value); 2] = [
        |answer| answer["proof"] = json!([]),
        |answer| {
            let nodes = answer["proof"].as_array_mut().unwrap();
            nodes.iter_mut().for_each(|node| *node = json!("0x1234"));
        },
    ];
    for (method, lie) in ["state_getReadProof", "state_getChildReadProof"]
        .into_iter()
        .flat_map(|method| lies.map(|lie| (method, lie)))
    {
        node.set_fault(Some(Arc::new(move |name, _| (name == method).then(|| Fault::edit(lie)))));
        let error = asked(&node).changes(at(&chain, 4), at(&chain, 4)).await.unwrap_err();
        assert!(
            matches!(&error, SourceError::Bad { cause, .. } if cause.contains("no trie node")),
            "{method}: {error}"
        );
        assert!(error.to_string().contains("block 4"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_plain_node_is_told_from_a_broken_one() {
    let (chain, node) = chain(4);
    node.behave(|behaviour| behaviour.pruned_below = 4);
    let error = asked(&node).changes(at(&chain, 4), at(&chain, 4)).await.unwrap_err();
    assert!(matches!(error, SourceError::Pruned { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_is_preferred_and_the_form_of_both_together_is_mixed() {
    let network = Devnet::new(Config::default()).unwrap();
    network.steps(20).unwrap();
    let (chain, node) = (network.para(), network.para_node());
    let refusals = Arc::new(AtomicU32::new(0));
    let source = asked(node);
    let written = source.changes(at(chain, 1), at(chain, 3)).await.unwrap();
    assert_eq!(source.changes_form(), Some(ChangesForm::Written));
    let counted = refusals.clone();
    node.set_fault(Some(Arc::new(move |name, _| {
        (name == "pha_getStorageChanges").then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            Fault::error(-32601, "Method not found")
        })
    })));
    let differing = source.changes(at(chain, 1), at(chain, 3)).await.unwrap();
    assert_eq!(source.changes_form(), Some(ChangesForm::Mixed));
    assert_ne!(written, differing, "the parachain's blocks write what is there already");
    for (number, changes) in (1..).zip(&differing) {
        assert_eq!(answered(changes), self::differing(chain, number));
    }
    source.changes(at(chain, 4), at(chain, 5)).await.unwrap();
    assert_eq!(refusals.load(Ordering::Relaxed), 1, "it is remembered that the node is plain");

    let refuse = |methods: &'static [&'static str]| {
        node.set_fault(Some(Arc::new(move |name, _| {
            methods.contains(&name).then(|| Fault::error(-32601, "Method not found"))
        })));
    };
    refuse(&["pha_getStorageChanges", "archive_v1_storageDiff"]);
    assert_eq!(source.changes(at(chain, 1), at(chain, 3)).await.unwrap(), differing, "by read proofs");
    refuse(&["pha_getStorageChanges", "archive_v1_storageDiff", "state_getReadProof"]);
    let error = source.changes(at(chain, 1), at(chain, 3)).await.unwrap_err().to_string();
    assert!(error.contains("pha_getStorageChanges, archive_v1_storageDiff, state_getReadProof"), "{error}");
    // Another node is behind the address.
    node.set_fault(None);
    assert_eq!(source.changes(at(chain, 1), at(chain, 3)).await.unwrap(), written);
}
