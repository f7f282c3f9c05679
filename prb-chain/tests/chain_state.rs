//! Both chain states against the dev network's parachain.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use async_trait::async_trait;
use codec::Encode;
use prb_chain::{
    chain_state::{CopyChainState, RpcChainState},
    state_copy::StateCopy,
    trader::RpcNode,
};
use prb_core::{
    Bytes,
    accept::BlockChanges,
    id::{BlockRef, Hash, Height},
    port::{
        Append, Blob, BlobStore, ChainState, Coverage, Cursor, Genesis, NodeChange, NodeStore, Rung,
        StateError, StoreError, Stream,
    },
    span::Span,
    testkit::conform::chain_state::{StateBench, chain_state},
    types::{grandpa::AuthoritySet, sync::StorageChanges},
};
use prb_devnet::{
    network::{Config, Devnet},
    rpc::{Fault, InProcess},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use subxt_rpcs::RpcClient;

fn network() -> Devnet {
    let devnet = Devnet::new(Config::default()).unwrap();
    devnet.steps(30).unwrap();
    devnet
}

fn truth(devnet: &Devnet, at: Height) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let block = devnet.para().block_at(at.0).unwrap();
    devnet.para().pairs(&[], Some(block.hash)).unwrap().into_iter().collect()
}

struct RpcBench {
    devnet: Devnet,
    state: RpcChainState,
    pruned: Option<Height>,
}

impl RpcBench {
    fn new() -> Self {
        let devnet = network();
        let client = RpcClient::new(InProcess::new(devnet.para_node().clone()));
        let node = Arc::new(RpcNode::over(client).deadline(Duration::from_secs(10)));
        Self { devnet, state: RpcChainState::new(node).fresh_for(Duration::ZERO), pruned: None }
    }
}

#[async_trait]
impl StateBench for RpcBench {
    fn state(&self) -> &dyn ChainState {
        &self.state
    }

    fn truth(&self, at: Height) -> BTreeMap<Vec<u8>, Vec<u8>> {
        truth(&self.devnet, at)
    }

    fn newest(&self) -> Height {
        Height(self.devnet.para().finalized_number())
    }

    fn forgotten(&self) -> Option<Height> {
        self.pruned
    }

    async fn advance(&mut self) {
        let next = self.devnet.para().finalized_number() + 1;
        assert!(self.devnet.step_until_para_finalized(next, 50).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_node_keeps_the_contract() {
    let mut bench = RpcBench::new();
    bench.devnet.para_node().behave(|node| node.pruned_below = 5);
    bench.pruned = Some(Height(3));
    chain_state(&mut bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_refuses_many_keys_is_asked_one_by_one() {
    let mut bench = RpcBench::new();
    bench.devnet.para_node().behave(|node| node.deny_unsafe = true);
    bench.devnet.para_node().set_fault(Some(Arc::new(|method, _| {
        (method == "state_queryStorageAt").then(|| Fault::error(-32601, "Method not found"))
    })));
    chain_state(&mut bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_block_is_read_at_that_block() {
    let bench = RpcBench::new();
    let now = prb_core::storage_key::plain("Timestamp", "Now");
    for height in [Height(1), Height(4), bench.newest()] {
        let (block, values) = bench.state.read(std::slice::from_ref(&now), Some(height)).await.unwrap();
        assert_eq!(block.hash.0, bench.devnet.para().block_at(height.0).unwrap().hash.0);
        assert_eq!(values[0].as_deref(), truth(&bench.devnet, height).get(&now).map(Vec::as_slice));
    }
    let future = bench.state.read(&[], Some(Height(bench.newest().0 + 1))).await;
    assert!(matches!(future, Err(StateError::Unreachable(_))), "{future:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_another_block_or_out_of_order_are_refused() {
    let bench = RpcBench::new();
    let key = prb_core::storage_key::plain("Timestamp", "Now");
    let node = bench.devnet.para_node();
    node.set_fault(Some(Arc::new(|method, _| {
        (method == "state_queryStorageAt")
            .then(|| Fault::edit(|answer| answer[0]["block"] = serde_json::json!(Hash([1; 32]).to_string())))
    })));
    let other = bench.state.read(std::slice::from_ref(&key), None).await;
    assert!(matches!(other, Err(StateError::Damaged(_))), "{other:?}");
    node.set_fault(Some(Arc::new(|method, _| {
        (method == "state_getKeysPaged")
            .then(|| Fault::edit(|answer| answer.as_array_mut().unwrap().reverse()))
    })));
    let reversed = bench.state.keys(&[], None, 100, None).await;
    assert!(matches!(reversed, Err(StateError::Damaged(_))), "{reversed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalized_head_that_moves_back_is_not_believed() {
    let mut bench = RpcBench::new();
    let (before, _) = bench.state.read(&[], None).await.unwrap();
    let old = bench.devnet.para().block_at(2).unwrap().hash;
    bench.devnet.para_node().set_fault(Some(Arc::new(move |method, _| {
        (method == "chain_getFinalizedHead").then(|| Fault::Result(serde_json::json!(format!("{old:?}"))))
    })));
    bench.advance().await;
    let (after, _) = bench.state.read(&[], None).await.unwrap();
    assert_eq!(after, before);
}

type Hook = Box<dyn FnOnce() + Send>;

/// A store that holds what a state copy needs, and drops nodes as soon as nothing refers to them.
#[derive(Default)]
struct CopyStore {
    nodes: Mutex<HashMap<Hash, (i64, Bytes)>>,
    cursor: Mutex<Option<Cursor>>,
    headers: Mutex<BTreeMap<Height, Bytes>>,
    reads: AtomicUsize,
    /// Runs before the n-th read of a node.
    at_read: Mutex<Option<(usize, Hook)>>,
}

impl CopyStore {
    fn take(&self, changes: Vec<NodeChange>) {
        let mut nodes = self.nodes.lock().unwrap();
        for change in changes {
            let entry = nodes.entry(change.hash).or_insert((0, Bytes::new()));
            entry.0 += i64::from(change.references);
            if let Some(node) = change.node {
                entry.1 = node;
            }
            if entry.0 <= 0 {
                nodes.remove(&change.hash);
            }
        }
    }
}

impl NodeStore for CopyStore {
    fn node(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        let due = {
            let mut at_read = self.at_read.lock().unwrap();
            at_read.take_if(|(n, _)| *n == read)
        };
        if let Some((_, run)) = due {
            run();
        }
        Ok(self.nodes.lock().unwrap().get(hash).map(|(_, node)| node.clone()))
    }
}

#[async_trait]
impl BlobStore for CopyStore {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        Ok(None)
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        Ok(None)
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        Ok(self.cursor.lock().unwrap().clone())
    }

    async fn rungs(&self, _: Height, _: usize) -> Result<Vec<Rung>, StoreError> {
        Ok(vec![])
    }

    async fn read(&self, stream: Stream, span: Span, _: usize) -> Result<Vec<Blob>, StoreError> {
        assert_eq!(stream, Stream::ParaHeaders);
        let headers = self.headers.lock().unwrap();
        let height = span.first();
        Ok(headers.get(&height).map(|bytes| Blob { height, bytes: bytes.clone() }).into_iter().collect())
    }

    async fn append(&self, _: Append) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn wait(&self, _: Option<Coverage>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The dev network's parachain, ingested block by block into a copy.
struct Ingest {
    devnet: Devnet,
    copy: Mutex<StateCopy>,
    store: Arc<CopyStore>,
}

impl Ingest {
    fn new() -> Arc<Self> {
        let devnet = network();
        let store = Arc::new(CopyStore::default());
        let mut copy = StateCopy::new(store.clone());
        let genesis = truth(&devnet, Height(0)).into_iter().collect();
        let (root, changes) = copy.load(genesis).unwrap();
        store.take(changes);
        let ingest = Self { devnet, copy: Mutex::new(copy), store };
        ingest.stand(Height(0), root);
        while ingest.position().0 < ingest.devnet.para().finalized_number() {
            ingest.follow();
        }
        Arc::new(ingest)
    }

    fn position(&self) -> Height {
        self.store.cursor.lock().unwrap().as_ref().unwrap().changes
    }

    fn stand(&self, height: Height, root: Hash) {
        let block = self.devnet.para().block_at(height.0).unwrap();
        self.store.headers.lock().unwrap().insert(height, block.header.encode().into());
        *self.store.cursor.lock().unwrap() = Some(Cursor {
            relay: BlockRef { height: Height(0), hash: Hash::default() },
            authorities: AuthoritySet { list: vec![], id: 0 },
            para: Some(BlockRef { height, hash: Hash(block.hash.0) }),
            changes: height,
            state: Some((height, root)),
        });
    }

    /// Takes the next finalized block in.
    fn follow(&self) {
        let height = self.position().next();
        while self.devnet.para().finalized_number() < height.0 {
            self.devnet.step().unwrap();
        }
        let before = self.store.cursor.lock().unwrap().as_ref().unwrap().state.unwrap().1;
        let block = self.devnet.para().block_at(height.0).unwrap();
        let changes = StorageChanges {
            main_storage_changes: block.changes.main.clone(),
            child_storage_changes: block.changes.child.clone(),
        };
        let root = Hash(block.header.state_root.0);
        let changes = BlockChanges { height, root, changes: changes.encode().into() };
        let nodes = self.copy.lock().unwrap().apply(before, &[changes]).unwrap();
        self.store.take(nodes);
        self.stand(height, root);
    }
}

struct CopyBench {
    ingest: Arc<Ingest>,
    state: CopyChainState,
}

impl CopyBench {
    fn new() -> Self {
        let ingest = Ingest::new();
        let state = CopyChainState::new(ingest.store.clone(), ingest.store.clone());
        Self { ingest, state }
    }
}

#[async_trait]
impl StateBench for CopyBench {
    fn state(&self) -> &dyn ChainState {
        &self.state
    }

    fn truth(&self, at: Height) -> BTreeMap<Vec<u8>, Vec<u8>> {
        truth(&self.ingest.devnet, at)
    }

    fn newest(&self) -> Height {
        self.ingest.position()
    }

    fn forgotten(&self) -> Option<Height> {
        self.ingest.position().prev()
    }

    async fn advance(&mut self) {
        self.ingest.follow();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_copy_keeps_the_contract() {
    chain_state(&mut CopyBench::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_overtaken_by_the_next_block_begins_anew_there() {
    let bench = CopyBench::new();
    let height = bench.newest();
    let keys: Vec<Vec<u8>> = truth(&bench.ingest.devnet, height).into_keys().collect();
    for after_reads in [0, 1, 5, 60] {
        let ingest = bench.ingest.clone();
        let before = bench.newest();
        let start = ingest.store.reads.load(Ordering::SeqCst);
        let hook = ingest.clone();
        *ingest.store.at_read.lock().unwrap() = Some((start + after_reads, Box::new(move || hook.follow())));
        let (block, values) = bench.state.read(&keys, None).await.unwrap();
        assert_eq!(block.height, before.next());
        let truth = truth(&ingest.devnet, block.height);
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value.as_deref(), truth.get(key).map(Vec::as_slice));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_really_gone_is_damage() {
    let bench = CopyBench::new();
    let root = bench.ingest.store.cursor.lock().unwrap().as_ref().unwrap().state.unwrap().1;
    bench.ingest.store.nodes.lock().unwrap().remove(&root);
    let answer = bench.state.read(&[b"any".to_vec()], None).await;
    assert!(matches!(answer, Err(StateError::Damaged(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_a_position_is_empty() {
    let store = Arc::new(CopyStore::default());
    let state = CopyChainState::new(store.clone(), store);
    assert!(matches!(state.read(&[], None).await, Err(StateError::Empty)));
    assert!(matches!(state.pairs(Height(3)).await, Err(StateError::Empty)));
}
