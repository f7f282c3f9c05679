//! What the tests share: fakes joined to a bridge, a diary of its events, and what must always hold.

use prb_core::{
    id::{Height, PoolId, WorkerName},
    lifecycle::{Goal, Stage},
    pipeline::{
        Bridge, BridgeBuilder, CancellationToken, Event, Events, Worker,
        events::Announcer,
        ingest::{Ingest, IngestError, IngestOptions},
    },
    port::{BlobStore, Stream},
    span::Span,
    testkit::{
        FakeChain, FakeSink, FakeSource, FakeState, FakeWorker, ScriptedStore, ToyVerifier, eventually,
        store::read_all,
    },
    types::message::MessageOrigin,
};
use prb_store::MemoryStore;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;

pub const HOUR: Duration = Duration::from_secs(3600);
pub const BLOCK: Duration = Duration::from_secs(6);
pub const POOL: PoolId = PoolId(1);

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn goal() -> Goal {
    Goal::new(POOL, FakeChain::OWNER, 1_000)
}

pub fn worker(name: &str) -> Worker {
    Worker { name: WorkerName::new(name).unwrap(), goal: goal(), debug_key: None }
}

pub fn own(worker: &FakeWorker) -> MessageOrigin {
    MessageOrigin::Worker(worker.key())
}

/// A chain that asks working workers nothing, so that no calls come besides those of the way.
pub fn quiet() -> World {
    let chain = FakeChain::builder(1).challenge_every(0).build();
    chain.advance(25);
    World::new(chain)
}

/// All fakes of one network.
#[derive(Clone)]
pub struct World {
    pub chain: FakeChain,
    pub source: FakeSource,
    pub store: ScriptedStore,
    pub sink: FakeSink,
    pub state: FakeState,
}

impl World {
    pub fn new(chain: FakeChain) -> Self {
        Self {
            source: FakeSource::new(&chain),
            store: ScriptedStore::new(Arc::new(MemoryStore::new())),
            sink: FakeSink::new(&chain),
            state: FakeState::new(&chain),
            chain,
        }
    }

    /// A chain of so many relay blocks.
    pub fn grown(blocks: u32) -> Self {
        let chain = FakeChain::new(1);
        chain.advance(blocks);
        Self::new(chain)
    }

    /// A world whose store has everything already.
    pub async fn ingested(blocks: u32) -> Self {
        let world = Self::grown(blocks);
        world.ingest_all().await;
        world
    }

    /// Ingests until there is nothing left, without faults.
    pub async fn ingest_all(&self) {
        let mut ingest = self.ingest(&Announcer::default());
        while ingest.step().await.unwrap() {}
    }

    pub fn ingest(&self, announcer: &Announcer) -> Ingest {
        self.ingest_with(IngestOptions::default(), announcer)
    }

    pub fn ingest_with(&self, options: IngestOptions, announcer: &Announcer) -> Ingest {
        Ingest::new(
            Arc::new(self.source.clone()),
            Arc::new(self.store.clone()),
            Box::new(ToyVerifier::new()),
            options,
            announcer.clone(),
        )
    }

    /// Ingest running by itself.
    pub fn ingesting(&self) -> Ingesting {
        let announcer = Announcer::default();
        let diary = Diary::of(announcer.events());
        let stop = CancellationToken::new();
        let (mut ingest, token) = (self.ingest(&announcer), stop.clone());
        let task = tokio::spawn(async move { ingest.run(token).await });
        Ingesting { diary, stop, task }
    }

    pub async fn bridge(&self, era: u64, workers: &[&FakeWorker]) -> Bridge {
        let mut builder = self.builder().era(era);
        for fake in workers {
            builder = builder.worker(worker(&name_of(fake)), (*fake).clone());
        }
        builder.start().await.unwrap()
    }

    /// A bridge on this world's fakes, without workers.
    pub fn builder(&self) -> BridgeBuilder {
        Bridge::builder()
            .source(self.source.clone(), ToyVerifier::new())
            .store(Arc::new(self.store.clone()))
            .sink(Arc::new(self.sink.clone()))
            .state(Arc::new(self.state.clone()))
    }

    pub async fn cursor_heights(&self) -> (u32, Option<u32>, u32) {
        let cursor = self.store.cursor().await.unwrap().unwrap();
        (cursor.relay.height.0, cursor.para.map(|para| para.height.0), cursor.changes.0)
    }

    /// Whether the store has all of the chain.
    pub async fn is_complete(&self) -> bool {
        let tips = self.chain.tips();
        match self.store.cursor().await {
            Ok(Some(cursor)) => cursor.relay.height == tips.relay && cursor.changes == tips.para,
            _ => false,
        }
    }

    pub async fn complete(&self, patience: Duration) {
        let end = tokio::time::Instant::now() + patience;
        while !self.is_complete().await {
            assert!(tokio::time::Instant::now() < end, "the store is not complete within {patience:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything stored is the honest chain's, byte by byte.
    pub async fn assert_stored_is_honest(&self) {
        self.store.hook().clear();
        let Some(coverage) = self.store.coverage().await.unwrap() else { return };
        assert_eq!(coverage.identity, self.chain.genesis().identity());
        let honest = |stream, height: Height| match stream {
            Stream::RelayHeaders => self.chain.relay_header(height),
            Stream::ParaHeaders => self.chain.para_header(height),
            _ => self.chain.changes(height),
        };
        for (stream, span) in [
            (Stream::RelayHeaders, coverage.relay),
            (Stream::ParaHeaders, coverage.para),
            (Stream::Changes, coverage.changes),
        ] {
            let Some(span) = span else { continue };
            let stored = read_all(&self.store, stream, span).await.unwrap();
            assert_eq!(stored.len() as u64, span.count(), "{stream} has a hole");
            for (height, bytes) in span.heights().zip(stored) {
                assert_eq!(Some(bytes), honest(stream, height), "{stream} at {height}");
            }
        }
        // Each rung's justification is stored, and no set change lies between two rungs.
        let rungs = self.store.rungs(Height(0), usize::MAX).await.unwrap();
        let closing: Vec<Height> = rungs.iter().filter(|rung| rung.closes_set).map(|rung| rung.at).collect();
        let reached = coverage.relay.map_or(Height(0), Span::last);
        let announced: Vec<Height> =
            self.chain.set_changes().into_iter().filter(|at| *at <= reached).collect();
        assert_eq!(closing, announced);
        for rung in rungs {
            let stored = self.store.read(Stream::Justifications, Span::one(rung.at), usize::MAX).await;
            assert_eq!(stored.unwrap().len(), 1, "justification at {}", rung.at);
        }
    }
}

/// A running ingest.
pub struct Ingesting {
    pub diary: Diary,
    stop: CancellationToken,
    pub task: JoinHandle<Result<(), IngestError>>,
}

impl Ingesting {
    pub async fn stop(self) -> Vec<Event> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.diary.events()
    }
}

/// Everything that was told, kept by a task of its own.
#[derive(Clone)]
pub struct Diary(Arc<Mutex<Vec<Event>>>);

impl Diary {
    pub fn of(mut events: Events) -> Self {
        let pages = Arc::new(Mutex::new(Vec::new()));
        let kept = pages.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                kept.lock().unwrap().push(event);
            }
        });
        Self(pages)
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(wanted)
    }

    /// The stages a worker moved to.
    pub fn stages(&self, name: &str) -> Vec<Stage> {
        let events = self.events();
        let stages = events.iter().filter_map(|event| match event {
            Event::WorkerStage { worker, to, .. } if worker.as_str() == name => Some(*to),
            _ => None,
        });
        stages.collect()
    }

    /// The causes of a worker's trouble.
    pub fn troubles(&self, name: &str) -> Vec<String> {
        let events = self.events();
        let causes = events.iter().filter_map(|event| match event {
            Event::WorkerTrouble { worker, cause } if worker.as_str() == name => Some(cause.clone()),
            _ => None,
        });
        causes.collect()
    }
}

pub fn name_of(fake: &FakeWorker) -> String {
    use prb_core::port::WorkerDriver;
    fake.endpoint().trim_start_matches("fake-worker:").to_owned()
}

pub fn stage_of(bridge: &Bridge, fake: &FakeWorker) -> Option<Stage> {
    let name = name_of(fake);
    let status = bridge.workers_status();
    status.iter().find(|status| status.worker.name.as_str() == name).map(|status| status.stage)
}

/// Waits until all of `workers` compute.
pub async fn all_working(bridge: &Bridge, workers: &[&FakeWorker], patience: Duration) {
    eventually("all workers are working", patience, || {
        workers.iter().all(|worker| stage_of(bridge, worker) == Some(Stage::Working))
    })
    .await;
}

/// Whether a worker has everything the chain has.
pub fn is_at_tip(chain: &FakeChain, worker: &FakeWorker) -> bool {
    let (info, tips) = (worker.peek(), chain.tips());
    info.initialized && info.headernum == tips.relay.next() && info.blocknum == tips.para.next()
}
