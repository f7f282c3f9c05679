//! The fakes keep the contracts of their ports, or tests on them would prove nothing.

use crate::world::POOL;
use async_trait::async_trait;
use codec::{Decode, Encode};
use prb_core::{
    id::{Height, JobId, PoolId, WorkerKey},
    port::{
        ChainState, TxSink, WorkerDriver, WorkerError,
        worker::{BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest, Refusal},
    },
    storage_key::StorageKey,
    testkit::{FakeChain, FakeSink, FakeSource, FakeState, FakeWorker, WorkerFault, conform, toy},
    tx::Call,
    types::{
        message::{Message, MessageOrigin, SignedMessage},
        sync::StorageState,
    },
};
use std::{collections::BTreeMap, sync::Arc};

#[tokio::test(start_paused = true)]
async fn the_source_keeps_its_contract() {
    for chain in [
        FakeChain::new(1),
        FakeChain::builder(2).rotate_every(3).para_after(0).build(),
        FakeChain::builder(3).solo().build(),
    ] {
        chain.advance(45);
        conform::source::block_source(&FakeSource::new(&chain)).await;
    }
}

struct Sink {
    chain: FakeChain,
    sink: FakeSink,
}

#[async_trait]
impl conform::sink::SinkBench for Sink {
    async fn open(&mut self) -> Arc<dyn TxSink> {
        Arc::new(self.sink.clone())
    }

    fn pool(&self) -> PoolId {
        POOL
    }

    fn ownerless_pool(&self) -> Option<PoolId> {
        Some(PoolId(404))
    }

    fn calls(&self, n: u64) -> Vec<Call> {
        (0..3).map(|call| Call::CheckWithdraw { pool: PoolId(1000 + 10 * n + call) }).collect()
    }

    async fn advance(&mut self) {
        self.chain.advance(1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_sink_keeps_its_contract() {
    let chain = FakeChain::new(1);
    let sink = FakeSink::new(&chain);
    conform::sink::tx_sink(&mut Sink { chain, sink }).await;
}

struct State {
    chain: FakeChain,
    state: FakeState,
}

#[async_trait]
impl conform::chain_state::StateBench for State {
    fn state(&self) -> &dyn ChainState {
        &self.state
    }

    fn truth(&self, at: Height) -> BTreeMap<StorageKey, Vec<u8>> {
        let pairs = self.chain.pairs(at).unwrap();
        StorageState::decode(&mut pairs.as_ref()).unwrap().into_iter().collect()
    }

    fn newest(&self) -> Height {
        self.chain.tips().para
    }

    fn forgotten(&self) -> Option<Height> {
        None
    }

    async fn advance(&mut self) {
        self.chain.advance(2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_chain_state_keeps_its_contract() {
    let chain = FakeChain::new(1);
    chain.advance(4);
    let messages = (0..6).map(|sender| {
        let sender = MessageOrigin::Worker(WorkerKey([sender; 32]));
        let message = Message { sender, destination: b"t".to_vec(), payload: vec![1] };
        let mut signed = SignedMessage { message, sequence: 0, signature: Vec::new() };
        toy::sign(&mut signed);
        Call::SyncMessage(signed)
    });
    FakeSink::new(&chain).submit(JobId { era: 1, number: 1 }, POOL, messages.collect()).await.unwrap();
    chain.advance(10);
    let state = FakeState::new(&chain);
    conform::chain_state::chain_state(&mut State { chain, state }).await;
}

/// A worker after init, with what it is to be sent first: headers 101..=110, parachain headers 0..=4.
async fn initialised() -> (FakeChain, FakeWorker, HeadersRequest, ParaHeadersRequest) {
    use prb_core::port::BlockSource;
    let chain = FakeChain::new(1);
    chain.advance(35);
    let (source, worker) = (FakeSource::new(&chain), FakeWorker::new("w"));
    worker.init(init(&chain)).await.unwrap();
    let batch = source.relay_batch(Height(101)).await.unwrap().value.unwrap();
    let last = prb_core::id::BlockRef {
        height: Height(110),
        hash: prb_core::id::Hash::of(batch.headers.last().unwrap()),
    };
    let head = source.para_head(last, chain.genesis().para_id).await.unwrap().value.unwrap();
    let headers =
        HeadersRequest { headers: batch.headers, justification: batch.justification, set_change: None };
    let para = (0..=4).map(|height| chain.para_header(Height(height)).unwrap()).collect();
    (chain, worker, headers, ParaHeadersRequest { headers: para, proof: head.proof })
}

fn init(chain: &FakeChain) -> InitRequest {
    let genesis = chain.genesis();
    InitRequest {
        genesis_info: genesis.relay.encode().into(),
        genesis_state: genesis.para_state,
        operator: None,
        is_parachain: genesis.parachain,
        attestation_provider: None,
        debug_key: None,
    }
}

fn block(chain: &FakeChain, height: u32) -> BlockItem {
    let height = Height(height);
    BlockItem { header: chain.para_header(height).unwrap(), changes: chain.changes(height).unwrap() }
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, WorkerError>) -> (String, Refusal) {
    match answer {
        Err(WorkerError::Refused { message, refusal, .. }) => (message, refusal),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_worker_takes_what_fits_and_counts_it() {
    let (chain, worker, headers, para) = initialised().await;
    assert_eq!(refusal(worker.init(init(&chain)).await).0, "Runtime already initialized");
    assert_eq!(worker.runtime_info(true, None).await.unwrap().attestation, None);
    assert_eq!(worker.sync_headers(headers.clone()).await.unwrap(), Some(Height(110)));
    assert!(worker.peek().waiting_for_paraheaders);
    assert_eq!(worker.sync_para_headers(para).await.unwrap(), Some(Height(4)));
    let blocks = (1..=4).map(|height| block(&chain, height)).collect();
    assert_eq!(worker.dispatch(blocks).await.unwrap(), Some(Height(4)));
    assert!(worker.runtime_info(true, None).await.unwrap().attestation.is_some());
    // What it knows already is ignored, whatever it is.
    assert_eq!(worker.sync_headers(headers).await.unwrap(), Some(Height(110)));
    assert_eq!(worker.dispatch(vec![block(&chain, 2)]).await.unwrap(), Some(Height(4)));
    assert_eq!(worker.refused().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_worker_refuses_what_a_pruntime_refuses() {
    let (chain, worker, headers, para) = initialised().await;
    let out_of_step = |text: &str| (text.to_owned(), Refusal::OutOfStep);
    assert_eq!(
        refusal(worker.sync_para_headers(para.clone()).await),
        out_of_step("RelaychainHeaderNotSynced")
    );
    assert_eq!(refusal(worker.dispatch(vec![block(&chain, 1)]).await), out_of_step("NoStateRoot"));

    let gap = HeadersRequest { headers: headers.headers[1..].to_vec(), ..headers.clone() };
    assert_eq!(refusal(worker.sync_headers(gap).await), out_of_step("BlockNumberMismatch"));
    let mut cut = headers.clone();
    cut.headers.pop();
    let (text, kind) = refusal(worker.sync_headers(cut).await);
    assert!(text.contains("invalid commit target") && kind == Refusal::BadData, "{text}");
    let other = FakeChain::new(2);
    other.advance(35);
    let mut foreign = headers.clone();
    foreign.headers[4] = other.relay_header(Height(105)).unwrap();
    assert_eq!(refusal(worker.sync_headers(foreign).await).0, "HeaderHashMismatch");
    let mut detached = headers.clone();
    detached.headers = (101..=110).map(|height| other.relay_header(Height(height)).unwrap()).collect();
    assert!(refusal(worker.sync_headers(detached).await).0.contains("invalid ancestry proof"));

    worker.sync_headers(headers).await.unwrap();
    let mut unproven = para.clone();
    unproven.headers.pop();
    assert!(refusal(worker.sync_para_headers(unproven).await).0.starts_with("StorageProofFailed"));
    worker.sync_para_headers(para).await.unwrap();

    assert_eq!(refusal(worker.dispatch(vec![block(&chain, 2)]).await), out_of_step("BlockNumberMismatch"));
    let forged = BlockItem { changes: chain.changes(Height(2)).unwrap(), ..block(&chain, 1) };
    let (text, kind) = refusal(worker.dispatch(vec![forged]).await);
    assert!(text.starts_with("StateRootMismatch block=1") && kind == Refusal::BadData, "{text}");
    // Not atomic: what came before the refused block stays.
    let over = (1..=5).map(|height| block(&chain, height)).collect();
    assert_eq!(refusal(worker.dispatch(over).await), out_of_step("NoStateRoot"));
    assert_eq!(worker.peek().blocknum, Height(5));
}

#[tokio::test(start_paused = true)]
async fn the_worker_is_loaded_with_a_later_state() {
    let (chain, ..) = initialised().await;
    let worker = FakeWorker::new("fast");
    worker.init(init(&chain)).await.unwrap();
    worker.load_chain_state(Height(9), chain.pairs(Height(9)).unwrap()).await.unwrap();
    let info = worker.peek();
    assert_eq!((info.headernum, info.para_headernum, info.blocknum), (Height(101), Height(9), Height(10)));
    assert!(!info.can_load_chain_state);
    let again = worker.load_chain_state(Height(9), chain.pairs(Height(9)).unwrap()).await;
    assert_eq!(refusal(again).0, "Can not load chain state");
}

#[tokio::test(start_paused = true)]
async fn the_worker_forgets_what_a_reboot_forgets() {
    let (chain, worker, headers, _) = initialised().await;
    let key = worker.key();
    worker.take_checkpoint().await.unwrap();
    worker.sync_headers(headers).await.unwrap();
    worker.restore();
    assert_eq!(worker.peek().headernum, Height(101));
    worker.reboot();
    assert!(!worker.peek().initialized);
    assert_eq!(worker.key(), key);
    let elsewhere = FakeChain::new(2);
    assert!(refusal(worker.init(init(&elsewhere)).await).0.starts_with("Genesis block hash mismatches"));
    worker.init(init(&chain)).await.unwrap();
    worker.hook().times(1, |_| true, WorkerFault::Reboot);
    assert!(matches!(worker.info().await, Err(WorkerError::Broken { .. })));
    assert!(!worker.info().await.unwrap().initialized);
    worker.replace_key();
    assert_ne!(worker.key(), key);
}
