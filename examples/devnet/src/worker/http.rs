//! The worker's private listener.

mod faults;
mod legacy;
mod reply;
mod routes;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::faults::Faults;
pub use self::faults::{Fault, FaultRule};
pub(super) use self::reply::{BodyError, Reply, error_reply, error_text, read_body, reply};
use super::config::WorkerConfig;
use super::error::{Error, Result};
use super::methods;
use super::pb::PhactoryInfo;
use super::phactory::{Mode, Phactory, Restart};
use super::vault::Vault;
use super::version::Version;

/// Connections served at once; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 64;
const RCU: &str = "RCU in progress, please try the request again later";

/// Starts dev workers.
pub struct WorkerServer;

impl WorkerServer {
    /// Starts a worker on `addr` (port 0: any free port), on the current tokio runtime. A data folder
    /// is read first; a checkpoint in it that can not be loaded fails the start.
    pub async fn start(config: WorkerConfig, addr: SocketAddr) -> io::Result<WorkerHandle> {
        let (dir, keep_alive, version) = (config.data_dir.clone(), config.keep_alive, config.version);
        let mut phactory = Phactory::new(config, unix_time());
        let vault = dir.map(|dir| Vault::open(&dir, &mut phactory)).transpose()?;
        phactory.restart(Restart::FromCheckpoint).map_err(io::Error::other)?;
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (life, lives) = watch::channel(Life::default());
        let shared = Arc::new(Shared {
            machine: Mutex::new(Guarded { phactory, vault }),
            keep_alive,
            version: Mutex::new(version),
            faults: Faults::default(),
            life,
            rcu: AtomicBool::new(false),
            next_request: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            peak_in_flight: AtomicUsize::new(0),
            calls: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, shared.clone(), lives));
        Ok(WorkerHandle { addr, shared, task: Some(task) })
    }
}

/// A running worker. Dropping it stops the worker without waiting.
pub struct WorkerHandle {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Where the worker listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base URL: `/prpc/PhactoryAPI.GetInfo` and the others are below it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What `GetInfo` would answer. Waits for a running call.
    #[must_use]
    pub fn info(&self) -> PhactoryInfo {
        self.shared.lock().phactory.info()
    }

    /// Adds a rule about how coming calls go wrong. The first matching rule acts.
    pub fn add_fault(&self, rule: FaultRule) {
        self.shared.faults.add(rule);
    }

    /// Removes all rules; calls that hang lose their connection.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Ends the worker's process and starts it again: all connections drop.
    pub fn reboot(&self, how: Restart) -> Result<()> {
        self.shared.change(|phactory| phactory.restart(how))
    }

    /// Replaces the worker's key and loses its state. `None`: a random key.
    pub fn change_key(&self, seed: Option<[u8; 32]>) {
        let changed = self.shared.change(|phactory| {
            phactory.change_key(seed);
            Ok(())
        });
        changed.expect("the closure returns Ok; qed");
    }

    /// Puts another binary in the worker's place and restarts it from its newest checkpoint.
    pub fn change_version(&self, version: Version) -> Result<()> {
        self.shared.change(|phactory| phactory.change_version(version))
    }

    /// Takes a checkpoint, as the call does; returns its block.
    pub fn take_checkpoint(&self) -> Result<u32> {
        let bytes = self.shared.handle(Mode::Binary, "TakeCheckpoint", &[])?;
        let reply: super::pb::SyncedTo = prost::Message::decode(&bytes[..]).map_err(Error::decode)?;
        Ok(reply.synced_to)
    }

    /// Calls received so far, by method name.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The most requests that were ever in progress at once. A bridge that treats workers as strictly
    /// serial keeps this at 1.
    #[must_use]
    pub fn peak_in_flight(&self) -> usize {
        self.shared.peak_in_flight.load(Ordering::Relaxed)
    }

    /// Stops listening, drops all connections and waits until they are gone.
    pub async fn stop(mut self) {
        self.shared.life.send_modify(|life| life.stopped = true);
        if let Some(task) = self.task.take() {
            // The only error is a panic of the accept task, which leaves nothing to wait for.
            let _ = task.await;
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.shared.life.send_modify(|life| life.stopped = true);
    }
}

/// What connections watch: a new process means that they are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Life {
    process: u64,
    stopped: bool,
}

/// State behind all connections of a worker.
struct Shared {
    /// Held as long as a call runs: only threads that may block take it.
    machine: Mutex<Guarded>,
    keep_alive: Duration,
    /// That of the machine, for those that must not wait for it.
    version: Mutex<Version>,
    faults: Faults,
    life: watch::Sender<Life>,
    /// A dispatch in copy-and-replace mode is running.
    rcu: AtomicBool,
    next_request: AtomicU64,
    in_flight: AtomicUsize,
    peak_in_flight: AtomicUsize,
    calls: Mutex<BTreeMap<String, u64>>,
}

struct Guarded {
    phactory: Phactory,
    vault: Option<Vault>,
}

impl Guarded {
    /// Writes to the folder what changed. A full disk is told in the log: the worker itself goes on.
    fn save(&mut self) {
        if let Some(vault) = &mut self.vault
            && let Err(error) = vault.save(&self.phactory)
        {
            tracing::error!(%error, "worker folder can not be written");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Guarded> {
        let mut guard = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        guard.phactory.set_time(unix_time());
        guard
    }

    /// Runs a call to its end; the caller's thread may block for long.
    fn handle(&self, mode: Mode, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.run(method, method == "DispatchBlocks", |phactory| phactory.handle_as(mode, method, body))
    }

    /// Runs something that counts as the call `method`, with the worker's lock and life around it.
    /// `may_rcu`: it runs in copy-and-replace mode if the worker is in the state for that.
    fn run<T>(
        &self,
        method: &str,
        may_rcu: bool,
        call: impl FnOnce(&mut Phactory) -> Result<T>,
    ) -> Result<T> {
        if self.rcu.load(Ordering::Acquire)
            && methods::find(Version::CURRENT, method).is_some_and(|m| !m.during_rcu)
        {
            return Err(Error::app(RCU));
        }
        let mut machine = self.lock();
        let rcu = may_rcu && machine.phactory.dispatches_in_rcu();
        self.rcu.store(rcu, Ordering::Release);
        let result = call(&mut machine.phactory);
        self.rcu.store(false, Ordering::Release);
        machine.save();
        if let Err(Error::Abort(why)) = &result {
            tracing::warn!(%why, "dev worker aborts and restarts");
            self.restart_after_abort(&mut machine.phactory);
        }
        result
    }

    fn restart_after_abort(&self, phactory: &mut Phactory) {
        if let Err(error) = phactory.restart(Restart::FromCheckpoint) {
            tracing::error!(%error, "dev worker restarts without state");
        }
        self.life.send_modify(|life| life.process += 1);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Phactory) -> Result<T>) -> Result<T> {
        let mut machine = self.lock();
        let result = change(&mut machine.phactory);
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = machine.phactory.config().version;
        machine.save();
        self.life.send_modify(|life| life.process += 1);
        result
    }

    fn version(&self) -> Version {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, method: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // Only names of the service: a client must not grow this map.
        let name = if methods::find(Version::CURRENT, method).is_some() { method } else { "unknown" };
        *calls.entry(name.to_owned()).or_default() += 1;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut lives: watch::Receiver<Life>) {
    let mut connections = JoinSet::new();
    while !lives.borrow_and_update().stopped {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, shared.clone(), lives.clone()));
                }
                // Out of file descriptors, most likely: wait for connections to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            changed = lives.changed() => if changed.is_err() { break },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut lives: watch::Receiver<Life>) {
    let keep_alive = shared.keep_alive;
    // Small answers must not wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| routes::serve(shared.clone(), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    lives.mark_unchanged();
    tokio::select! {
        // An error is a client that went away, or an answer that is meant never to come.
        _ = served => {}
        _ = lives.changed() => {}
    }
}

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_long_call_holds_up_nobody_but_its_worker() {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let worker = WorkerServer::start(WorkerConfig::default(), any_port).await.unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let shared = worker.shared.clone();
        let call = std::thread::spawn(move || {
            let _busy = shared.lock();
            begin.send(()).unwrap();
            ended.recv_timeout(Duration::from_secs(60))
        });
        begun.await.unwrap();
        let mut stream = TcpStream::connect(worker.addr()).await.unwrap();
        let request = b"POST /prpc/PhactoryAPI.GetInfo HTTP/1.1\r\nhost: worker\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // The request is taken in while the worker is busy, and this thread goes on.
        while worker.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // An error: the call has given up already, which is what the next line tells.
        let _ = end.send(());
        assert_eq!(call.join().unwrap(), Ok(()), "the runtime stood still until the call gave up");
    }

    #[tokio::test]
    async fn calls_that_change_the_worker_are_refused_while_a_dispatch_runs_in_rcu_mode() {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let worker = WorkerServer::start(WorkerConfig::default(), any_port).await.unwrap();
        let call = |method| worker.shared.handle(Mode::Binary, method, &[]);
        worker.shared.rcu.store(true, Ordering::Release);
        assert_eq!(call("TakeCheckpoint"), Err(Error::app(RCU)));
        assert_eq!(call("SyncHeader"), Err(Error::app(RCU)));
        assert!(call("GetInfo").is_ok());
        assert!(call("Echo").is_ok());
        worker.shared.rcu.store(false, Ordering::Release);
        assert_ne!(call("TakeCheckpoint"), Err(Error::app(RCU)));
    }
}
