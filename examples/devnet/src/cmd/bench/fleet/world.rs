//! Chains, their clock, and the workers.

use super::{Scale, until};
use crate::cmd::local;
use anyhow::Context;
use prb_devnet::{
    chain::{AuthorError, Event},
    network::{Config, Devnet},
    rpc::RpcServer,
    worker::{Fleet, FleetConfig},
};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinHandle,
};

/// Relay blocks before the first bridge starts.
const HISTORY: u32 = 50;

/// Signed transfers in every parachain block.
const TRANSFERS: u32 = 5;

/// Workers of a pool: the chain takes no more.
const POOL_WORKERS: usize = 200;

/// Pools that so many workers need, by their pids from 1 on.
pub(super) fn pools(workers: usize) -> usize {
    workers.div_ceil(POOL_WORKERS)
}

/// The pid of a worker's pool.
pub(super) fn pool_of(worker: usize) -> u64 {
    (worker / POOL_WORKERS) as u64 + 1
}

/// Everything but the bridge.
pub(super) struct World {
    pub(super) network: Arc<Devnet>,
    pub(super) relay: RpcServer,
    pub(super) para: RpcServer,
    pub(super) fleet: Fleet,
    pub(super) clock: Clock,
    /// Where the bridges keep their data, one after the other.
    pub(super) folder: TempDir,
}

impl World {
    /// New chains that stand still, and new workers.
    pub(super) async fn start(workers: usize, scale: &Scale) -> anyhow::Result<Self> {
        let mut config = Config::default().authorities(scale.authorities).rotate_every(scale.set_blocks);
        config.transfers_per_block = TRANSFERS;
        let alike = config.para.pools.first().context("the dev network has no pool")?.clone();
        config.para.pools = vec![alike; pools(workers)];
        let network = Arc::new(Devnet::new(config).context("starting the chains")?);
        network.steps(HISTORY).context("making the first blocks")?;
        let relay = network.serve_relay(local(0)).await.context("serving the relay chain")?;
        let para = network.serve_para(local(0)).await.context("serving the parachain")?;
        let config = FleetConfig { workers, ..FleetConfig::default() };
        let fleet = Fleet::start(config, local(0)).await.context("starting the workers")?;
        let clock = Clock::start(network.clone());
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        Ok(Self { network, relay, para, fleet, clock, folder })
    }

    /// Waits until workers have every block that was final at the call.
    pub(super) async fn at_tip(&self, workers: Range<usize>) -> anyhow::Result<()> {
        let tip = self.network.para().finalized_number();
        let there = || workers.clone().filter(|worker| self.fleet.next_block(*worker) > tip).count();
        until("workers have the last block", workers.len(), there).await?;
        Ok(())
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.clock.stop().await?;
        self.fleet.stop().await;
        self.relay.stop().await;
        self.para.stop().await;
        Ok(())
    }
}

/// Makes blocks, at a pace that changes, and notes when relay heads become final.
pub(super) struct Clock {
    pace: watch::Sender<Option<Duration>>,
    finals: Arc<Mutex<Vec<(u32, Instant)>>>,
    steps: JoinHandle<Result<(), AuthorError>>,
}

impl Clock {
    fn start(network: Arc<Devnet>) -> Self {
        let (pace, paced) = watch::channel(None);
        let finals = Arc::<Mutex<Vec<_>>>::default();
        let (noted, mut events) = (finals.clone(), network.relay().events());
        // A thread of its own, which no other work delays. It ends with the chain.
        std::thread::spawn(move || {
            loop {
                match events.blocking_recv() {
                    Ok(Event::Finalized(block)) => {
                        let final_now = (block.header.number, Instant::now());
                        noted.lock().unwrap_or_else(PoisonError::into_inner).push(final_now);
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        let steps = tokio::spawn(run(network, paced));
        Self { pace, finals, steps }
    }

    /// Time between relay blocks from now on; `None`: the chains stand still.
    pub(super) fn pace(&self, pace: Option<Duration>) {
        self.pace.send_replace(pace);
    }

    /// Relay heads that became final since `since`, with the time.
    pub(super) fn finals(&self, since: Instant) -> Vec<(u32, Instant)> {
        let finals = self.finals.lock().unwrap_or_else(PoisonError::into_inner);
        finals.iter().filter(|(_, at)| *at >= since).copied().collect()
    }

    async fn stop(self) -> anyhow::Result<()> {
        drop(self.pace);
        self.steps.await.context("the chains crashed")?.context("making blocks")
    }
}

/// Makes blocks until nobody can change the pace any more.
async fn run(network: Arc<Devnet>, mut pace: watch::Receiver<Option<Duration>>) -> Result<(), AuthorError> {
    loop {
        let time = *pace.borrow_and_update();
        let due = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            changed = pace.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Ok(()),
            },
        }
        let network = network.clone();
        let stepped = tokio::task::spawn_blocking(move || network.step()).await;
        stepped.map_err(|error| AuthorError::State(format!("step did not finish: {error}")))??;
    }
}
