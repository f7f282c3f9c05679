//! Chains, workers and a data directory of one test.

use crate::asked::{Asked, Side};
use crate::port::{Port, freed};
use prb_chain::node_source::{NodeSource, SourceOptions};
use prb_chain::verify::CryptoVerifier;
use prb_cli::{
    config::{Config, DeclaredOperator, DeclaredPool, DeclaredWorker},
    deployment::Deployment,
};
use prb_core::backoff::Pace;
use prb_core::lifecycle::Stage;
use prb_core::pipeline::bridge::BridgeOptions;
use prb_core::pipeline::{Bridge, Event, Events, WorkerStatus};
use prb_core::port::Cursor;
use prb_devnet::chain::AuthorError;
use prb_devnet::network::{self, Devnet};
use prb_devnet::rpc::RpcServer;
use prb_devnet::worker::{WorkerConfig, WorkerHandle, WorkerServer};
use prb_store::MemoryStore;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Time between relay blocks while the chains run.
const BLOCK_TIME: Duration = Duration::from_millis(120);

/// Longest time that anything may take. Generous: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// A free port.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A node's listener; down while there is no server.
struct Served {
    port: Port,
    server: Option<RpcServer>,
}

/// What makes blocks: how to halt it, and how it ends.
type Clockwork = (oneshot::Sender<()>, JoinHandle<Result<(), AuthorError>>);

/// Everything around the bridge.
pub struct World {
    pub network: Arc<Devnet>,
    pub asked: Arc<Asked>,
    relay: Served,
    para: Served,
    pub workers: Vec<WorkerHandle>,
    /// Those of all workers that there were.
    ports: Vec<Port>,
    folder: TempDir,
    chains: Option<Clockwork>,
}

impl World {
    /// Chains with `history` relay blocks that stand still, and `workers` new workers.
    pub async fn new(config: network::Config, history: u32, workers: u32) -> Self {
        let network = Arc::new(Devnet::new(config).unwrap());
        let made = network.clone();
        tokio::task::spawn_blocking(move || made.steps(history)).await.unwrap().unwrap();
        let asked = Asked::listen(&network);
        let (relay, para) = (Port::keep(), Port::keep());
        let mut world = Self {
            network,
            asked,
            relay: Served { port: relay, server: None },
            para: Served { port: para, server: None },
            workers: Vec::new(),
            ports: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            chains: None,
        };
        world.up(Side::Relay).await;
        world.up(Side::Para).await;
        for _ in 0..workers {
            world.add_worker(WorkerConfig::default()).await;
        }
        world
    }

    pub async fn add_worker(&mut self, config: WorkerConfig) {
        let port = Port::keep();
        self.workers.push(WorkerServer::start(config, port.addr).await.unwrap());
        self.ports.push(port);
    }

    pub fn url(&self, side: Side) -> String {
        format!("ws://{}", if side == Side::Relay { self.relay.port.addr } else { self.para.port.addr })
    }

    /// Ends a node's server with all its connections; the chain goes on.
    pub async fn down(&mut self, side: Side) {
        let served = if side == Side::Relay { &mut self.relay } else { &mut self.para };
        served.server.take().unwrap().stop().await;
        freed(served.port.addr).await;
    }

    /// Serves a node where it was.
    pub async fn up(&mut self, side: Side) {
        match side {
            Side::Relay => {
                self.relay.server = Some(self.network.serve_relay(self.relay.port.addr).await.unwrap());
            }
            Side::Para => {
                self.para.server = Some(self.network.serve_para(self.para.port.addr).await.unwrap());
            }
        }
    }

    /// Ends every connection with the nodes: what was asked by somebody who is gone by now is heard before this, or
    /// never.
    pub async fn hang_up(&mut self) {
        for side in [Side::Relay, Side::Para] {
            self.down(side).await;
            self.up(side).await;
        }
    }

    /// A bridge that only ingests, with short pauses.
    pub async fn ingest(&self, source: SourceOptions) -> (Bridge, Arc<MemoryStore>) {
        self.ingest_from(NodeSource::new(&self.url(Side::Relay), &self.url(Side::Para), source)).await
    }

    /// Likewise, from a source of the test's own.
    pub async fn ingest_from(&self, source: NodeSource) -> (Bridge, Arc<MemoryStore>) {
        let store = Arc::new(MemoryStore::new());
        let mut options = BridgeOptions::default();
        options.ingest.pace = Pace { first: Duration::from_millis(20), longest: Duration::from_millis(200) };
        let bridge = Bridge::builder()
            .source(source, CryptoVerifier::with_state(store.clone()))
            .store(store.clone())
            .options(options)
            .start()
            .await
            .unwrap();
        (bridge, store)
    }

    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// What an operator would write for this world.
    pub fn config(&self) -> Config {
        let data_dir = self.data_dir().to_owned();
        let mut config = Config::for_nodes(data_dir, self.url(Side::Relay), self.url(Side::Para));
        config.transactions.gather_ms = 100;
        config.feed.info_seconds = 1;
        let operator = DeclaredOperator { name: "alice".into(), development_uri: "//Alice".into() };
        config.inventory.operators.push(operator);
        config.inventory.pools.push(DeclaredPool { pid: 1, operator: "alice".into(), sync_only: false });
        let worker = |(index, worker): (usize, &WorkerHandle)| DeclaredWorker {
            name: name(index),
            endpoint: worker.url(),
            pool: 1,
            stake: "5000".into(),
        };
        config.inventory.workers = self.workers.iter().enumerate().map(worker).collect();
        config
    }

    /// A bridge for this world.
    pub async fn deploy(&self) -> Deployment {
        Deployment::start(&self.config()).await.unwrap()
    }

    /// Lets the chains make blocks.
    pub fn run_chains(&mut self) {
        let (halt, halted) = oneshot::channel::<()>();
        let run = self.network.clone().run(BLOCK_TIME, async move { drop(halted.await) });
        self.chains = Some((halt, tokio::spawn(run)));
    }

    /// Makes the chains stand still.
    pub async fn halt_chains(&mut self) {
        let Some((halt, chains)) = self.chains.take() else { return };
        let _ = halt.send(());
        chains.await.unwrap().unwrap();
    }

    /// Waits until every worker works and the chain has taken a message of each.
    pub async fn until_working(&self, deployment: &Deployment) {
        let working = async || {
            let status = deployment.bridge().workers_status();
            status.len() == self.workers.len() && status.iter().all(works)
        };
        let stand = || format!("{:#?}", deployment.bridge().workers_status());
        until_or("every worker works", working, stand).await;
    }

    /// Waits until the store ends where the chains do.
    pub async fn until_stored(&self, cursor: impl AsyncFn() -> Option<Cursor>) {
        let stored = async || {
            let (relay, para) =
                (self.network.relay().finalized_number(), self.network.para().finalized_number());
            cursor().await.is_some_and(|cursor| {
                cursor.relay.height.0 == relay
                    && cursor.para.is_some_and(|head| head.height.0 == para)
                    && cursor.changes.0 == para
            })
        };
        until("everything is stored", stored).await;
    }
}

/// Name of a worker in the inventory.
pub fn name(index: usize) -> String {
    format!("dev-{:02}", index + 1)
}

pub fn works(worker: &WorkerStatus) -> bool {
    worker.stage == Stage::Working && worker.messages_synced > 0
}

/// Polls until `done`.
pub async fn until(what: &str, done: impl AsyncFnMut() -> bool) {
    until_or(what, done, String::new).await;
}

/// Polls until `done`; `stand` tells what there is instead.
pub async fn until_or(what: &str, mut done: impl AsyncFnMut() -> bool, stand: impl Fn() -> String) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < PATIENCE, "after {PATIENCE:?} not yet: {what}\n{}", stand());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A future that must end in time.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.unwrap_or_else(|_| panic!("after {PATIENCE:?} not yet: {what}"))
}

/// The first event that is wanted.
pub async fn event<T>(what: &str, events: &mut Events, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(&events.next().await.unwrap()) {
                return found;
            }
        }
    };
    in_time(what, found).await
}

/// Every event of a bridge from a moment on.
pub struct Heard {
    events: Arc<Mutex<Vec<Event>>>,
    listener: JoinHandle<()>,
}

impl Heard {
    pub fn from_now(bridge: &Bridge) -> Self {
        let (mut news, events) = (bridge.events(), Arc::<Mutex<Vec<Event>>>::default());
        let kept = events.clone();
        let listener = tokio::spawn(async move {
            while let Some(event) = news.next().await {
                kept.lock().unwrap().push(event);
            }
        });
        Self { events, listener }
    }

    pub fn any(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(wanted)
    }

    /// What happened to the worker of this name: its troubles and its changes of stage.
    pub fn about(&self, name: &str) -> Vec<Event> {
        let about = |event: &&Event| match event {
            Event::WorkerStage { worker, .. } | Event::WorkerTrouble { worker, .. } => {
                worker.as_str() == name
            }
            Event::Missed(_) => true,
            _ => false,
        };
        self.events.lock().unwrap().iter().filter(about).cloned().collect()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
