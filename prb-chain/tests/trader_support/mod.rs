//! A dev network with a trader beside it.
// Each test program uses a part of it.
#![allow(dead_code)]

use async_trait::async_trait;
use codec::Encode;
use futures::stream::BoxStream;
use prb_chain::{
    journal::Journal,
    keys::{Operator, Operators, Signer},
    trader::{ChainNode, NodeError, RpcNode, Trader, TraderConfig, TxStatus},
};
use prb_core::{
    backoff::Pace,
    id::{AccountId, Hash, JobId, PoolId, WorkerKey},
    port::{CallResult, JobState, Outcome, SinkError, TxSink, sink::DispatchError},
    testkit::conform::sink::SinkBench,
    tx::{Call, Period},
    types::attestation::WorkerRegistrationInfoV2,
};
use prb_devnet::{
    network::{Config, Devnet},
    rpc::{Fault, InProcess},
};
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use subxt_rpcs::RpcClient;

pub const POOL: PoolId = PoolId(1);
pub const OTHER_POOL: PoolId = PoolId(2);

/// How long anything may take in real time. Generous: machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// How long a step waits for a trader that does not look at the chain.
const BREATH: Duration = Duration::from_millis(200);

pub struct Net {
    pub devnet: Devnet,
    pub wire: Arc<Wire>,
}

/// The way to the node, which can be cut.
pub struct Wire {
    node: RpcNode,
    /// Give submissions to the node, but lose its answer.
    pub lose_answers: AtomicBool,
    /// Lose requests altogether.
    pub cut: AtomicBool,
    /// Panic at the next request.
    pub crash: AtomicBool,
    /// What is behind the address instead.
    pub elsewhere: Mutex<Option<Arc<Wire>>>,
    pub connection: AtomicU64,
    pub submissions: AtomicUsize,
    pub requests: Mutex<Vec<String>>,
}

#[async_trait]
impl ChainNode for Wire {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        self.check()?;
        let elsewhere = self.elsewhere.lock().unwrap().clone();
        if let Some(wire) = elsewhere {
            return wire.request(method, params).await;
        }
        assert!(!self.crash.swap(false, Ordering::SeqCst), "crash on purpose");
        self.requests.lock().unwrap().push(method.to_owned());
        self.node.request(method, params).await
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        self.check()?;
        let elsewhere = self.elsewhere.lock().unwrap().clone();
        if let Some(wire) = elsewhere {
            return wire.submit(extrinsic).await;
        }
        self.submissions.fetch_add(1, Ordering::SeqCst);
        let answer = self.node.submit(extrinsic).await;
        if self.lose_answers.load(Ordering::SeqCst) {
            return Err(NodeError::Lost("connection reset".into()));
        }
        answer
    }

    fn connection(&self) -> u64 {
        self.connection.load(Ordering::SeqCst)
    }
}

impl Wire {
    /// A way to the parachain's node.
    pub fn to(devnet: &Devnet) -> Arc<Self> {
        let client = RpcClient::new(InProcess::new(devnet.para_node().clone()));
        Arc::new(Self {
            node: RpcNode::over(client).deadline(Duration::from_secs(60)),
            lose_answers: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            crash: AtomicBool::new(false),
            elsewhere: Mutex::default(),
            connection: AtomicU64::new(1),
            submissions: AtomicUsize::new(0),
            requests: Mutex::default(),
        })
    }

    /// From now on another connection is in use, to this node or to one elsewhere.
    pub fn connect(&self, elsewhere: Option<&Arc<Self>>) {
        *self.elsewhere.lock().unwrap() = elsewhere.cloned();
        self.connection.fetch_add(1, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), NodeError> {
        match self.cut.load(Ordering::SeqCst) {
            true => Err(NodeError::Lost("connection reset".into())),
            false => Ok(()),
        }
    }
}

impl Net {
    /// The default network, past the parachain's first finalized blocks.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        let pool = config.para.pools[0].clone();
        config.para.pools.push(pool);
        change(&mut config);
        let devnet = Devnet::new(config).unwrap();
        devnet.steps(20).unwrap();
        let wire = Wire::to(&devnet);
        Self { devnet, wire }
    }

    pub fn trader(&self, journal: &Arc<Journal>) -> Trader {
        self.trader_with(journal, both_pools(Operator::new(alice())), config())
    }

    pub fn trader_with(&self, journal: &Arc<Journal>, operators: Operators, config: TraderConfig) -> Trader {
        Trader::start(self.wire.clone(), operators, journal.clone(), config)
    }

    /// Steps the chains until `done`; none of the patience is spent on anything else.
    pub async fn step_until(&self, mut done: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while !done().await {
            assert!(start.elapsed() < PATIENCE, "nothing came of {PATIENCE:?} of steps");
            self.devnet.step().unwrap();
            self.breathe().await;
        }
    }

    /// Lets the trader come up with what it has to do, so that the chain does not run away from it on a busy machine:
    /// one that waits for blocks looks at the head, does what follows from it, and looks again.
    pub async fn breathe(&self) {
        let looks = || {
            let requests = self.wire.requests.lock().unwrap();
            requests.iter().filter(|method| *method == "chain_getFinalizedHead").count()
        };
        let (start, before) = (Instant::now(), looks());
        tokio::time::sleep(Duration::from_millis(15)).await;
        while looks() < before + 2 && start.elapsed() < BREATH {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Steps until the sink has taken a job. One that is out of reach is asked again, as the pipelines do.
    pub async fn submit(&self, sink: &dyn TxSink, job: JobId, calls: &[Call]) {
        self.step_until(async || match sink.submit(job, POOL, calls.to_vec()).await {
            Ok(()) => true,
            Err(SinkError::Unreachable(_)) => false,
            Err(error) => panic!("job {job}: {error}"),
        })
        .await;
    }

    /// Steps until the sink knows that the job has ended, or that it does not know it.
    pub async fn end(&self, sink: &dyn TxSink, job: JobId) -> Option<Outcome> {
        let mut end = None;
        self.step_until(async || match sink.outcome(job).await {
            Ok(Some(JobState::Ended(outcome))) => {
                end = Some(outcome);
                true
            }
            Ok(None) => true,
            Ok(Some(JobState::Pending)) | Err(SinkError::Unreachable(_)) => false,
            Err(error) => panic!("job {job}: {error}"),
        })
        .await;
        end
    }

    /// Steps until the job has ended.
    pub async fn outcome(&self, sink: &dyn TxSink, job: JobId) -> Outcome {
        self.end(sink, job).await.unwrap_or_else(|| panic!("job {job} is not known"))
    }

    /// Results of a job that must be in a finalized block.
    pub async fn results(&self, sink: &dyn TxSink, job: JobId) -> Vec<CallResult> {
        match self.outcome(sink, job).await {
            Outcome::Finalized { results, .. } => results,
            other => panic!("job {job}: {other:?}"),
        }
    }

    /// Signed extrinsics of the parachain's best chain, as (block, hash, nonce).
    pub fn signed(&self) -> Vec<(u32, Hash)> {
        let para = self.devnet.para();
        (0..=para.best().header.number)
            .flat_map(|number| {
                para.block_at(number).unwrap().extrinsics.clone().into_iter().map(move |x| (number, x))
            })
            .filter(|(_, bytes)| is_signed(bytes))
            .map(|(number, bytes)| (number, Hash::of(&bytes)))
            .collect()
    }

    pub fn nonce(&self, signer: &Signer) -> u32 {
        let key = prb_core::storage_key::system_account(&signer.account());
        self.devnet.para().read_as::<u32>(&key, None).unwrap_or(0)
    }

    pub fn in_pool(&self) -> usize {
        self.devnet.para().pending().len()
    }

    /// Answers the next `times` submissions with this error.
    pub fn refuse(&self, times: usize, code: i32, message: &str, data: &str) {
        let left = AtomicUsize::new(times);
        let error =
            Fault::Error { code, message: message.to_owned(), data: Some(Value::String(data.to_owned())) };
        self.devnet.para_node().set_fault(Some(Arc::new(move |method, _| {
            let due = method == "author_submitAndWatchExtrinsic"
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            due.then(|| error.clone())
        })));
    }
}

/// Lives of a sink on one journal.
#[async_trait]
pub trait Lives: Send + Sync {
    /// Ends the life before, if there was one, and begins the next.
    async fn next(&mut self, net: &Net) -> Arc<dyn TxSink>;
}

/// What a sink on the dev network is checked with.
pub struct Bench<L> {
    pub net: Net,
    pub lives: L,
}

#[async_trait]
impl<L: Lives> SinkBench for Bench<L> {
    async fn open(&mut self) -> Arc<dyn TxSink> {
        self.lives.next(&self.net).await
    }

    fn pool(&self) -> PoolId {
        POOL
    }

    fn ownerless_pool(&self) -> Option<PoolId> {
        Some(PoolId(99))
    }

    fn calls(&self, n: u64) -> Vec<Call> {
        vec![register(3 * n as u8), stop(3 * n as u8 + 1), register(3 * n as u8 + 2)]
    }

    async fn advance(&mut self) {
        self.net.devnet.step().unwrap();
        self.net.breathe().await;
    }
}

/// Waits for something the trader does by itself.
pub async fn eventually(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn is_signed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let _: codec::Compact<u32> = codec::Decode::decode(&mut rest).unwrap();
    rest.first() == Some(&0x84)
}

pub fn config() -> TraderConfig {
    TraderConfig {
        period: Period::new(16).unwrap(),
        window: Duration::ZERO,
        poll: Duration::from_millis(8),
        pace: Pace { first: Duration::from_millis(5), longest: Duration::from_millis(40) },
        ..TraderConfig::default()
    }
}

pub fn alice() -> Signer {
    Signer::from_uri("//Alice").unwrap()
}

pub fn bob() -> Signer {
    Signer::from_uri("//Bob").unwrap()
}

pub fn both_pools(operator: Operator) -> Operators {
    [(POOL, operator.clone()), (OTHER_POOL, operator)].into_iter().collect()
}

pub fn id(number: u64) -> JobId {
    JobId { era: 1, number }
}

pub fn worker(byte: u8) -> WorkerKey {
    WorkerKey([byte; 32])
}

/// A registration the dev chain accepts.
pub fn register(byte: u8) -> Call {
    let info = WorkerRegistrationInfoV2 {
        version: 0x0002_0200,
        machine_id: vec![],
        pubkey: worker(byte),
        ecdh_pubkey: [byte; 32],
        genesis_block_hash: Hash([7; 32]),
        features: vec![4, 1],
        operator: Some(alice().account()),
        para_id: 2035,
        max_consensus_version: 1,
    };
    Call::RegisterWorkerV2 { worker: worker(byte), runtime_info: info.encode(), attestation: vec![0] }
}

/// A call that fails on the dev chain.
pub fn stop(byte: u8) -> Call {
    Call::StopComputing { pool: POOL, worker: worker(byte) }
}

pub fn failed(pallet: &str, error: &str) -> CallResult {
    CallResult::Failed(DispatchError { pallet: Some(pallet.into()), error: error.into() })
}

pub fn account(signer: &Signer) -> AccountId {
    signer.account()
}
