//! Two providers, a third, and workers that depend on them: none may be missed.

use crate::asked::Side;
use crate::world::{World, in_time, until, until_or};
use prb_cli::config::{Config, Providers};
use prb_cli::data_provider::DataProvider;
use prb_cli::deployment::Deployment;
use prb_core::port::BlobStore;
use prb_devnet::network;
use prb_devnet::worker::WorkerHandle;
use prb_store::{RemoteOptions, RemoteStore};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest time that a worker may lack what some provider has, on a machine that does nothing else.
const LONGEST_STALL: Duration = Duration::from_secs(2);

/// What a busy machine may add. With it the limit is still below the ten seconds of silence (thirty without any
/// answer) after which a provider is given up: a worker that waits for that is seen.
const ROOM: Duration = Duration::from_secs(7);

/// The limit on this machine. How long a worker stands while nothing happens tells how slow the machine is, as far
/// as it stays so.
fn limit(undisturbed: Duration) -> Duration {
    LONGEST_STALL.max(10 * undisturbed) + ROOM
}

/// A provider with its own folder, at an address that outlives it, behind a gate that can be shut.
struct Site {
    folder: TempDir,
    gate: Gate,
    provider: Option<DataProvider>,
}

impl Site {
    async fn start(world: &World) -> Self {
        let mut site = Self { folder: tempfile::tempdir().unwrap(), gate: Gate::new().await, provider: None };
        site.resume(world).await;
        site
    }

    async fn resume(&mut self, world: &World) {
        let folder = self.folder.path().to_owned();
        let mut config = Config::for_nodes(folder, world.url(Side::Relay), world.url(Side::Para));
        config.serve.listen = crate::world::ANY;
        let provider = DataProvider::start(&config).await.unwrap();
        self.gate.to.send_replace(Way::Open(provider.address()));
        self.provider = Some(provider);
    }

    /// Ends it in order; who connects is refused.
    async fn stop(&mut self) {
        self.gate.to.send_replace(Way::Closed);
        in_time("a provider stops", self.provider.take().unwrap().stop()).await;
    }

    /// Waits until it has what is final by now. How long that takes is no matter of those who read from others.
    async fn catch_up(&self, world: &World) {
        let reader = RemoteStore::connect([self.gate.url.as_str()], RemoteOptions::default()).unwrap();
        let final_now = world.network.para().finalized_number();
        until("the provider has caught up", async || {
            let coverage = reader.coverage().await.ok().flatten();
            coverage.and_then(|coverage| coverage.changes).is_some_and(|span| span.last().0 >= final_now)
        })
        .await;
    }

    /// Lets nothing through any more, and keeps every connection: a process that is stopped, a cable that is pulled.
    fn freeze(&self) {
        let address = self.provider.as_ref().unwrap().address();
        self.gate.to.send_replace(Way::Frozen(address));
    }

    fn thaw(&self) {
        let address = self.provider.as_ref().unwrap().address();
        self.gate.to.send_replace(Way::Open(address));
    }
}

#[derive(Clone, Copy)]
enum Way {
    Open(std::net::SocketAddr),
    Frozen(std::net::SocketAddr),
    Closed,
}

struct Gate {
    url: String,
    to: watch::Sender<Way>,
}

impl Gate {
    async fn new() -> Self {
        let listener = TcpListener::bind(crate::world::ANY).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (to, way) = watch::channel(Way::Closed);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let present = *way.borrow();
                let (Way::Open(to) | Way::Frozen(to)) = present else { continue };
                let Ok(far) = TcpStream::connect(to).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, way.clone()));
                tokio::spawn(carry(far_in, near_out, way.clone()));
            }
        });
        Self { url, to }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut some = vec![0; 64 << 10];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut some).await else { return };
        let Ok(present) = way.wait_for(|way| !matches!(way, Way::Frozen(_))).await.map(|way| *way) else {
            return;
        };
        if matches!(present, Way::Closed) || to.write_all(&some[..bytes]).await.is_err() {
            return;
        }
    }
}

/// Measures for how long the worker has not had what the chain has.
///
/// Progress is what counts: a worker that lags by a block and moves on is no stall.
struct Gauge {
    longest: Arc<Mutex<Duration>>,
    task: JoinHandle<()>,
}

impl Gauge {
    fn start(world: &World, worker: &Arc<WorkerHandle>) -> Self {
        let longest = Arc::<Mutex<Duration>>::default();
        let (kept, network, worker) = (longest.clone(), world.network.clone(), worker.clone());
        let task = tokio::spawn(async move {
            let (mut stood, mut since) = (0, Instant::now());
            loop {
                let at = worker.info().blocknum;
                // Nothing to do is no stall either.
                if at != stood || at > network.para().finalized_number() {
                    (stood, since) = (at, Instant::now());
                }
                {
                    let mut longest = kept.lock().unwrap();
                    *longest = (*longest).max(since.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self { longest, task }
    }

    /// The longest stall since this was asked last.
    fn take(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets the worker take `blocks` more.
async fn blocks(worker: &WorkerHandle, blocks: u32, deployment: &Deployment) {
    let goal = worker.info().blocknum + blocks;
    let stand = || format!("{:#?}", deployment.bridge().workers_status());
    until_or("the worker goes on", async || worker.info().blocknum >= goal, stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_stop_hang_start_and_lag_stall_no_worker() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let (mut one, mut two) = (Site::start(&world).await, Site::start(&world).await);
    let urls = [one.gate.url.clone(), two.gate.url.clone()];
    let mut config = world.config();
    config.providers = Some(Providers { urls: urls.to_vec(), ..Providers::default() });
    let deployment = Deployment::start(&config).await.unwrap();
    // `prb lifecycle` does this by itself once a provider has answered.
    deployment.apply_inventory().await.unwrap();
    world.until_working(&deployment).await;
    let worker = Arc::new(world.workers.remove(0));

    let gauge = Gauge::start(&world, &worker);
    blocks(&worker, 20, &deployment).await;
    let undisturbed = gauge.take();
    let limit = limit(undisturbed);
    let judge = |what: &str| {
        let stall = gauge.take();
        println!("{what}: {stall:?}, undisturbed {undisturbed:?}, promised {LONGEST_STALL:?}");
        assert!(stall <= limit, "{what}: {stall:?}, undisturbed {undisturbed:?}, limit {limit:?}");
    };

    one.stop().await;
    blocks(&worker, 10, &deployment).await;
    judge("one stops");
    one.resume(&world).await;
    blocks(&worker, 10, &deployment).await;
    judge("it comes back, behind at first");

    one.catch_up(&world).await;
    two.freeze();
    blocks(&worker, 10, &deployment).await;
    judge("two hangs");
    two.thaw();
    blocks(&worker, 5, &deployment).await;
    judge("it goes on");

    let mut three = Site::start(&world).await;
    let urls = [urls[0].clone(), urls[1].clone(), three.gate.url.clone()];
    deployment.set_providers(&urls).unwrap();
    blocks(&worker, 10, &deployment).await;
    judge("a third starts from nothing");
    three.catch_up(&world).await;
    one.stop().await;
    two.stop().await;
    blocks(&worker, 10, &deployment).await;
    judge("only the third is left");

    assert_eq!(deployment.transactions().failed, 0);
    world.halt_chains().await;
    in_time("the deployment stops", deployment.stop()).await;
    three.stop().await;
}
