//! Many light workers behind one listener, for measurements of a bridge with a thousand of them.
//!
//! A light worker keeps what a bridge sees: three counters, a key, its registration, its jobs and its signed messages.
//! It takes blocks in order and refuses gaps as a worker does, and believes everything else: no justification, proof or
//! state root is checked, no trie is kept. What a request says is read once, however many workers get the same bytes.
//! Its own base path leads to it: `http://address/7` is the eighth worker.

mod account;
mod light;
mod reading;
mod server;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::account::{Account, Arrival, Feeding};
use self::light::Light;
use self::reading::Readings;
use super::error::Result;
use super::pb::PhactoryInfo;

/// Properties of all workers of a fleet.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// How many.
    pub workers: usize,
    /// Iterations per six seconds of chain time, as in [`WorkerConfig`](super::WorkerConfig).
    pub score: u32,
    /// How long an idle connection is kept open.
    pub keep_alive: Duration,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self { workers: 1, score: 800, keep_alive: Duration::from_secs(5) }
    }
}

/// A running fleet. Dropping it stops it without waiting.
pub struct Fleet {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stopped: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    members: Vec<Member>,
    readings: Readings,
    keep_alive: Duration,
}

struct Member {
    light: Mutex<Light>,
    account: Mutex<Account>,
    /// Connections end without an answer.
    away: AtomicBool,
    /// Time it works on one block, microseconds.
    work: AtomicU64,
}

impl Member {
    fn light(&self) -> MutexGuard<'_, Light> {
        self.light.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> Duration {
        Duration::from_micros(self.work.load(Ordering::Relaxed))
    }
}

impl Fleet {
    /// Starts new workers on `addr` (port 0: any free port), on the current tokio runtime. Worker `n` has the same key
    /// in every fleet.
    pub async fn start(config: FleetConfig, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let member = |index| Member {
            light: Mutex::new(Light::new(index, config.score)),
            account: Mutex::default(),
            away: AtomicBool::new(false),
            work: AtomicU64::new(0),
        };
        let shared = Arc::new(Shared {
            members: (0..config.workers).map(member).collect(),
            readings: Readings::default(),
            keep_alive: config.keep_alive,
        });
        let (stopped, watched) = watch::channel(false);
        let task = tokio::spawn(server::accept(listener, shared.clone(), watched));
        Ok(Self { addr, shared, stopped, task: Some(task) })
    }

    /// How many workers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.members.len()
    }

    /// Whether there is no worker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Base URL of a worker.
    #[must_use]
    pub fn url(&self, worker: usize) -> String {
        format!("http://{}/{worker}", self.addr)
    }

    /// What `GetInfo` of a worker would answer.
    #[must_use]
    pub fn info(&self, worker: usize) -> PhactoryInfo {
        self.member(worker).light().info()
    }

    /// Whether a worker computes: it was told to start and not to stop.
    #[must_use]
    pub fn computes(&self, worker: usize) -> bool {
        self.member(worker).light().computes()
    }

    /// The next block a worker expects; 0 before it is initialised.
    #[must_use]
    pub fn next_block(&self, worker: usize) -> u32 {
        self.member(worker).light().next_block()
    }

    /// What a worker got and gave.
    #[must_use]
    pub fn account(&self, worker: usize) -> Account {
        self.member(worker).account().clone()
    }

    /// Bytes of all requests so far.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.shared.members.iter().map(|member| member.account().bytes_in).sum()
    }

    /// Workers that answer nobody: whoever calls one loses the connection, at once.
    pub fn leave(&self, workers: Range<usize>) {
        self.set_away(workers, true);
    }

    /// The workers answer again, all at once, where they stood.
    pub fn come_back(&self, workers: Range<usize>) {
        self.set_away(workers, false);
    }

    /// Workers forget everything but their key.
    pub fn lose_state(&self, workers: Range<usize>) {
        for member in &self.shared.members[workers] {
            member.light().lose_state();
            member.account().feeding = None;
        }
    }

    /// A worker works so long on every block from its next request on.
    pub fn set_work(&self, worker: usize, per_block: Duration) {
        let micros = u64::try_from(per_block.as_micros()).unwrap_or(u64::MAX);
        self.member(worker).work.store(micros, Ordering::Relaxed);
    }

    /// Puts `count` heartbeats into the queue of a worker. An error: it does not compute.
    pub fn queue_heartbeats(&self, worker: usize, count: usize) -> Result<Range<u64>> {
        self.member(worker).light().queue_heartbeats(count)
    }

    /// Stops listening, drops all connections and waits until they are gone.
    pub async fn stop(mut self) {
        self.stopped.send_replace(true);
        if let Some(task) = self.task.take() {
            // The only error is a panic of the accept task, which leaves nothing to wait for.
            let _ = task.await;
        }
    }

    fn member(&self, worker: usize) -> &Member {
        &self.shared.members[worker]
    }

    fn set_away(&self, workers: Range<usize>, away: bool) {
        for member in &self.shared.members[workers] {
            member.away.store(away, Ordering::Release);
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stopped.send_replace(true);
    }
}

/// A worker's request from its first byte on.
struct Request<'a> {
    method: &'a str,
    body: &'a [u8],
    arrived: Instant,
}
