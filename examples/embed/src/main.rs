//! Embeds prb with one part of its own: a transaction sink that shows each call before it hands it on.
//! Chain, worker and inner sink are fakes; put `NodeSource`, `PrpcDriver` and `Trader` there for the real thing.
#![allow(clippy::print_stdout, reason = "showing is what it is for")]

use async_trait::async_trait;
use prb_core::{
    id::{Height, JobId, PoolId, WorkerName},
    lifecycle::{Goal, Stage},
    pipeline::{Bridge, Event, Worker},
    port::{JobState, SinkError, TxSink, Unsettled},
    testkit::{FakeChain, FakeSink, FakeSource, FakeState, FakeWorker, ToyVerifier},
    tx::Call,
};
use std::{error::Error, sync::Arc, time::Duration};

/// A sink in front of another one.
struct Showing<S>(S);

#[async_trait]
impl<S: TxSink> TxSink for Showing<S> {
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        calls.iter().for_each(|call| println!("pool {pool}: {}", call.names().1));
        self.0.submit(job, pool, calls).await
    }
    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError> {
        self.0.outcome(job).await
    }
    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError> {
        self.0.unsettled().await
    }
    async fn settled_at(&self) -> Result<Height, SinkError> {
        self.0.settled_at().await
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let chain = FakeChain::new(1);
    let _pulse = chain.pulse(Duration::from_secs(6)); // a block every six seconds
    let goal = Goal::new(PoolId(1), FakeChain::OWNER, 10u128.pow(15));
    let worker = Worker { name: WorkerName::new("rack1-07")?, goal, debug_key: None };
    let bridge = Bridge::builder()
        .source(FakeSource::new(&chain), ToyVerifier::default())
        .store(Arc::new(prb_store::MemoryStore::new()))
        .state(Arc::new(FakeState::new(&chain)))
        .sink(Arc::new(Showing(FakeSink::new(&chain))))
        .worker(worker, FakeWorker::new("rack1-07"))
        .start()
        .await?;
    let mut events = bridge.events();
    while let Some(event) = events.next().await {
        let Event::WorkerStage { worker, to, .. } = event else { continue };
        println!("{worker} is {to}");
        if to == Stage::Working {
            break;
        }
    }
    bridge.stop().await;
    Ok(())
}
