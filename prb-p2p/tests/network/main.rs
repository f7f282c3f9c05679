//! Nodes that talk to each other, on loopback.
#![allow(clippy::unwrap_used)]

mod closed;
mod conversation;
mod discovery;
mod hostile;
mod liars;
mod mdns;
mod old;
mod rogue;

use async_trait::async_trait;
use bytes::Bytes;
use prb_p2p::{
    Caller, Identity, Limits, Me, Multiaddr, Network, Options, Peer, PeerId, Service,
    message::{ErrorKind, ResponseError, Role},
    method::Method,
};
use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// A service whose methods do what tests need.
struct Tester;

#[async_trait]
impl Service for Tester {
    async fn answer(&self, caller: &Caller, method: Method, data: Bytes) -> Result<Bytes, ResponseError> {
        match method {
            // What was sent.
            Method::GetBlobByKey => Ok(data),
            // As many bytes as are asked for, in decimal.
            Method::GetBlobWithToken => {
                let size = std::str::from_utf8(&data).unwrap().parse().unwrap();
                Ok(vec![7; size].into())
            }
            // Who called.
            Method::ListPool => {
                let Caller { peer, is_local, is_listed, .. } = caller;
                Ok(format!("{peer} {is_local} {is_listed}").into())
            }
            Method::RestartWorker => Err(ResponseError::new(ErrorKind::Unauthorized, "not you")),
            Method::WantBlob => std::future::pending().await,
            Method::KickWorker => panic!("a fault of the service"),
            _ => Err(ResponseError::new(ErrorKind::NotFound, "not here")),
        }
    }
}

/// Joins at a port of its own on loopback.
async fn join(options: Options) -> Network {
    Network::start(options, Arc::new(Tester)).await.unwrap()
}

fn options() -> Options {
    let me = Me {
        role: Role::DataProvider,
        hostname: "host".into(),
        chain_identity: "0x00".into(),
        bridge_identity: "bridge".into(),
    };
    Options { listen: vec![loopback()], mdns: false, limits: quick(), ..Options::new(Identity::random(), me) }
}

/// One that begins with these.
fn beside(boot: &Network) -> Options {
    Options { boot_nodes: boot.listening(), ..options() }
}

fn loopback() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0".parse().unwrap()
}

/// Deadlines and pauses that end while a test waits.
fn quick() -> Limits {
    Limits {
        setup: Duration::from_secs(1),
        open: Duration::from_secs(3),
        request: Duration::from_secs(1),
        service: Duration::from_secs(1),
        answer: Duration::from_secs(10),
        call: Duration::from_secs(20),
        hello: Duration::from_secs(2),
        refresh: Duration::from_millis(500),
        search: Duration::from_millis(300),
        first_pause: Duration::from_millis(100),
        longest_pause: Duration::from_millis(500),
        forget: Duration::from_secs(3),
        ..Limits::default()
    }
}

/// Waits until the peers are as wanted.
async fn until(network: &Network, wanted: impl Fn(&[Peer]) -> bool) -> Vec<Peer> {
    let mut changes = network.changes();
    let met = timeout(PATIENCE, changes.wait_for(|_| wanted(&network.peers()))).await;
    assert!(met.is_ok(), "the peers are {:#?}", network.peers());
    network.peers()
}

/// Waits until this peer is found.
async fn find(network: &Network, peer: PeerId) -> Peer {
    let found = |peers: &[Peer]| peers.iter().find(|known| known.id == peer && known.reachable).cloned();
    found(&until(network, |peers| found(peers).is_some()).await).unwrap()
}

/// A call that must be answered: nothing is wrong with the node.
async fn assert_well(network: &Network) {
    let honest = join(beside(network)).await;
    find(&honest, network.peer_id()).await;
    let answer = honest.call(&network.peer_id(), "GetBlobByKey", Bytes::from_static(b"well?")).await.unwrap();
    assert_eq!(answer.result.unwrap(), "well?");
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        // While there is one alone, a place that another thread is the first to pass, without any, is taken to be of interest to
        // nobody.
        static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| tracing::Dispatch::new(Self::default().subscriber()));
        let log = Self::default();
        let subscriber = log.subscriber();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let writer = self.clone();
        let format = tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG);
        format.with_writer(move || writer.clone()).finish()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits until so many lines have these words.
    async fn until(&self, words: &str, lines: usize) {
        let end = Instant::now() + PATIENCE;
        while self.text().matches(words).count() < lines {
            assert!(Instant::now() < end, "no {words:?} in {}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
