//! Store → worker. The bridges here have no source: the store is filled before, or by the test.

use crate::world::{Diary, World, goal, is_at_tip, name_of, own, seconds, worker};
use prb_core::{
    id::WorkerName,
    lifecycle::Goal,
    pipeline::{Bridge, Event, Worker, bridge::BridgeOptions, feed::FeedOptions},
    port::{BlobStore, Stream, WorkerDriver, worker::Refusal},
    testkit::{FakeChain, FakeWorker, Observed, StoreCall, StoreFault, WorkerFault, eventually},
};
use std::{sync::Arc, time::Duration};

/// A bridge that only feeds.
async fn feeding(world: &World, workers: &[&FakeWorker], options: FeedOptions) -> (Bridge, Diary) {
    let mut builder = Bridge::builder()
        .store(Arc::new(world.store.clone()))
        .options(BridgeOptions { feed: options, ..BridgeOptions::default() });
    for fake in workers {
        builder = builder.worker(worker(&name_of(fake)), (*fake).clone());
    }
    let bridge = builder.start().await.unwrap();
    let diary = Diary::of(bridge.events());
    (bridge, diary)
}

async fn at_tip(world: &World, worker: &FakeWorker, patience: Duration) {
    eventually("the worker is at the tip", patience, || is_at_tip(&world.chain, worker)).await;
}

#[tokio::test(start_paused = true)]
async fn v2_f025_a_worker_comes_from_nothing_to_the_tip_without_a_refusal() {
    let world = World::ingested(65).await;
    let fake = FakeWorker::new("w");
    let (bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    eventually("status says so", seconds(1), || bridge.workers_status()[0].at_tip).await;
    assert_eq!(fake.refused(), Vec::<String>::new());
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
    let calls = fake.calls();
    assert_eq!(calls.iter().filter(|call| **call == "InitRuntime").count(), 1);
    // One request per authority set, one for its blocks.
    assert!(calls.iter().filter(|call| **call == "SyncCombinedHeaders").count() <= 8, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_at_the_tip_is_kept_there_as_the_chain_advances() {
    let world = World::ingested(15).await;
    let fake = FakeWorker::new("w");
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    for _ in 0..60 {
        world.chain.advance(1);
        world.ingest_all().await;
        at_tip(&world, &fake, seconds(1)).await;
    }
    assert_eq!(fake.refused(), Vec::<String>::new());
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_silent_is_told_long_before_its_call_has_lasted_too_long() {
    let world = World::ingested(15).await;
    let fake = FakeWorker::new("w");
    let (bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    drop(fake.clone().latency(seconds(25)));
    let trouble = || bridge.workers_status()[0].trouble.clone();
    // Five seconds until it is asked, and ten of silence.
    let told = || {
        trouble().is_some_and(|trouble| trouble.contains("does not answer (how it is) for more than 10 s"))
    };
    eventually("its silence is told", seconds(16), told).await;
    eventually("it has answered", seconds(16), || trouble().is_none()).await;
    assert_eq!(diary.troubles("w"), Vec::<String>::new(), "nothing has failed");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_slow_at_every_call_is_logged_once_in_five_minutes() {
    let observed = Observed::begin();
    let world = World::ingested(15).await;
    let fake = FakeWorker::new("w");
    let (_bridge, _) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    drop(fake.clone().latency(seconds(12)));
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(observed.lines(&["WARN", "worker is silent", "how it is"]).len(), 2);
    assert_eq!(observed.lines(&["INFO", "worker has answered"]).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_is_asked_how_it_is_and_no_more() {
    let world = World::ingested(15).await;
    let fake = FakeWorker::new("w");
    let (_bridge, _) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    let before = fake.calls().len();
    tokio::time::sleep(seconds(600)).await;
    let calls = fake.calls();
    assert!(calls[before..].iter().all(|call| *call == "GetInfo"), "{calls:?}");
    assert!((100..=130).contains(&(calls.len() - before)), "{} calls", calls.len() - before);
}

#[tokio::test(start_paused = true)]
async fn an_older_worker_gets_the_set_changes_it_asks_for() {
    let world = World::ingested(45).await;
    let fake = FakeWorker::new("w").version("2.0.1");
    let (_bridge, _) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    assert_eq!(fake.refused(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn v3_f92_requests_keep_within_their_budgets() {
    let chain = FakeChain::builder(1).padding(10_000).build();
    chain.advance(45);
    let world = World::new(chain);
    world.ingest_all().await;
    let options = FeedOptions { block_bytes: 30_000, ..FeedOptions::default() };
    let fake = FakeWorker::new("w");
    let (_bridge, _) = feeding(&world, &[&fake], options).await;
    at_tip(&world, &fake, seconds(10)).await;
    let dispatches = fake.calls().iter().filter(|call| **call == "DispatchBlocks").count();
    assert!(
        (8..=15).contains(&dispatches),
        "{dispatches} requests for 21 blocks of 10 kB, two or three each"
    );
}

#[tokio::test(start_paused = true)]
async fn a_standalone_worker_is_fed_from_its_genesis() {
    let world = World::new(FakeChain::builder(5).solo().build());
    world.chain.advance(35);
    world.ingest_all().await;
    let fake = FakeWorker::new("w");
    let (_bridge, _) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    world.chain.advance(7);
    world.ingest_all().await;
    at_tip(&world, &fake, seconds(10)).await;
    assert_eq!(fake.refused(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_loses_its_state_is_fed_again_from_the_start() {
    let world = World::ingested(45).await;
    let fake = FakeWorker::new("w");
    let (_bridge, _) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    fake.reboot();
    at_tip(&world, &fake, seconds(30)).await;
    fake.take_checkpoint().await.unwrap();
    world.chain.advance(20);
    world.ingest_all().await;
    at_tip(&world, &fake, seconds(30)).await;
    fake.restore();
    at_tip(&world, &fake, seconds(30)).await;
    fake.replace_key();
    at_tip(&world, &fake, seconds(30)).await;
}

#[tokio::test(start_paused = true)]
async fn v3_f32_every_failure_of_a_worker_is_told_and_got_over() {
    for fault in [
        WorkerFault::Unreachable,
        WorkerFault::Break,
        WorkerFault::BreakAfter,
        WorkerFault::Hang(seconds(60)),
        WorkerFault::HangAfter(seconds(60)),
        WorkerFault::Reboot,
        WorkerFault::Refuse(Refusal::Busy, "RCU in progress, please try the request again later"),
        WorkerFault::Refuse(Refusal::OutOfStep, "BlockNumberMismatch"),
        WorkerFault::Refuse(Refusal::NotInitialized, "Runtime not initialized"),
        WorkerFault::Refuse(Refusal::BadData, "HeaderHashMismatch"),
        WorkerFault::Refuse(Refusal::Other, "something else"),
    ] {
        for method in ["GetInfo", "InitRuntime", "SyncHeader", "SyncCombinedHeaders", "DispatchBlocks"] {
            let world = World::new(FakeChain::builder(1).para_after(15).build());
            world.chain.advance(45);
            world.ingest_all().await;
            let fake = FakeWorker::new("w");
            let mut seen = 0;
            let scripted = fault.clone();
            // The first call of the kind is answered, the next three are not.
            fake.hook().set(move |call| {
                seen += u32::from(*call == method);
                let first = u32::from(method != "InitRuntime" && method != "SyncHeader");
                (*call == method && seen > first && seen <= first + 3).then(|| scripted.clone())
            });
            let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
            at_tip(&world, &fake, seconds(400)).await;
            eventually("recovery is told", seconds(10), || {
                let events = diary.events();
                let trouble = events.iter().rposition(|event| matches!(event, Event::WorkerTrouble { .. }));
                let recovered =
                    events.iter().rposition(|event| matches!(event, Event::WorkerRecovered { .. }));
                trouble.is_some() && trouble < recovered
            })
            .await;
            let troubles = diary.troubles("w");
            assert!(troubles.iter().all(|cause| cause.contains("fake-worker:w")), "{troubles:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_accepts_everything_and_gets_nowhere_is_not_hammered() {
    let world = World::ingested(45).await;
    let fake = FakeWorker::new("w");
    fake.hook().always(|call| *call == "SyncCombinedHeaders", WorkerFault::Lie);
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(600)).await;
    let calls = fake.calls().len();
    assert!(calls < 200, "{calls} calls in ten minutes");
    assert!(!diary.troubles("w").is_empty(), "nobody is told that it does not get on");
    fake.hook().clear();
    at_tip(&world, &fake, seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusing_worker_is_asked_ever_more_seldom() {
    let world = World::ingested(45).await;
    let fake = FakeWorker::new("w");
    fake.hook()
        .always(|call| *call == "DispatchBlocks", WorkerFault::Refuse(Refusal::BadData, "StateRootMismatch"));
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(3600)).await;
    let tried = fake.calls().iter().filter(|call| **call == "DispatchBlocks").count();
    assert!((90..200).contains(&tried), "{tried} requests in an hour");
    assert!(diary.troubles("w").last().unwrap().contains("StateRootMismatch"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_another_chain_gets_nothing_and_says_why() {
    let world = World::ingested(45).await;
    let elsewhere = World::new(FakeChain::new(99));
    elsewhere.chain.advance(45);
    elsewhere.ingest_all().await;
    let fake = FakeWorker::new("w");
    {
        let (bridge, _) = feeding(&elsewhere, &[&fake], FeedOptions::default()).await;
        at_tip(&elsewhere, &fake, seconds(10)).await;
        bridge.stop().await;
    }
    let before = fake.calls().len();
    let (bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(600)).await;
    assert!(fake.calls()[before..].iter().all(|call| *call == "GetInfo"), "{:?}", fake.calls());
    assert!(diary.troubles("w")[0].contains("point it at its own network"));
    assert!(bridge.workers_status()[0].trouble.as_ref().unwrap().contains("own network"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_ahead_of_the_store_waits_for_it() {
    let ahead = World::ingested(45).await;
    let fake = FakeWorker::new("w");
    {
        let (bridge, _) = feeding(&ahead, &[&fake], FeedOptions::default()).await;
        at_tip(&ahead, &fake, seconds(10)).await;
        bridge.stop().await;
    }
    // The same chain, ingested anew up to an earlier block.
    let world = World::new(ahead.chain.clone());
    world.source.lag(20);
    world.ingest_all().await;
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
    world.source.lag(0);
    world.chain.advance(5);
    world.ingest_all().await;
    at_tip(&world, &fake, seconds(30)).await;
    assert_eq!(fake.refused(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_makes_workers_wait_uninitialised() {
    let world = World::grown(25);
    let fake = FakeWorker::new("w");
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(60)).await;
    assert!(fake.calls().iter().all(|call| *call == "GetInfo"));
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
    world.ingest_all().await;
    at_tip(&world, &fake, seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_waited_for() {
    let world = World::ingested(45).await;
    world.store.hook().always(|call| matches!(call, StoreCall::Read(..)), StoreFault::Unreachable);
    let fake = FakeWorker::new("w");
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(60)).await;
    assert!(diary.troubles("w")[0].contains("no provider answers"));
    world.store.hook().clear();
    at_tip(&world, &fake, seconds(60)).await;
    assert_eq!(fake.refused(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lacks_what_it_promises_is_not_asked_without_pause() {
    let world = World::ingested(45).await;
    let fake = FakeWorker::new("w");
    let reads = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = reads.clone();
    world.store.hook().set(move |call| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        matches!(call, StoreCall::Read(Stream::Justifications, _)).then_some(StoreFault::Nothing)
    });
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(600)).await;
    let reads = reads.load(std::sync::atomic::Ordering::Relaxed);
    assert!(reads < 500, "{reads} calls in ten minutes");
    assert!(diary.troubles("w")[0].contains("lacks what its coverage promises"));
    world.store.hook().clear();
    at_tip(&world, &fake, seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn v3_f88_a_development_key_is_injected_without_attestation() {
    let world = World::ingested(25).await;
    let fake = FakeWorker::new("w");
    let dev = Worker {
        name: WorkerName::new("w").unwrap(),
        goal: Goal { sync_only: true, ..goal() },
        debug_key: Some([5; 32]),
    };
    let bridge = Bridge::builder()
        .store(Arc::new(world.store.clone()))
        .worker(dev, fake.clone())
        .start()
        .await
        .unwrap();
    at_tip(&world, &fake, seconds(10)).await;
    assert!(fake.peek().dev_mode);
    assert_ne!(own(&fake), own(&FakeWorker::new("w")));
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v2_f044_a_hundred_workers_are_fed_side_by_side() {
    let world = World::ingested(45).await;
    let fakes: Vec<FakeWorker> =
        (0..100).map(|number| FakeWorker::new(&format!("w{number}")).latency(seconds(1))).collect();
    let (bridge, _) = feeding(&world, &fakes.iter().collect::<Vec<_>>(), FeedOptions::default()).await;
    // Each takes about a dozen calls of a second; one after the other would take twenty minutes.
    eventually("all are at the tip", seconds(30), || fakes.iter().all(|fake| is_at_tip(&world.chain, fake)))
        .await;
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn feeding_fetches_nothing_from_the_source() {
    let world = World::ingested(25).await;
    let before = world.source.calls().len();
    let fake = FakeWorker::new("w");
    let (_bridge, _) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    assert_eq!(world.source.calls().len(), before);
    assert!(world.store.coverage().await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_could_not_be_fed_is_fed_once_it_is_reset() {
    let world = World::ingested(25).await;
    let elsewhere = World::new(FakeChain::new(99));
    elsewhere.chain.advance(25);
    elsewhere.ingest_all().await;
    let fake = FakeWorker::new("w");
    let (bridge, _) = feeding(&elsewhere, &[&fake], FeedOptions::default()).await;
    at_tip(&elsewhere, &fake, seconds(10)).await;
    bridge.stop().await;
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    eventually("the reason is told", seconds(10), || !diary.troubles("w").is_empty()).await;
    fake.replace_key();
    at_tip(&world, &fake, seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_only_says_it_was_initialised_is_not_hammered() {
    let world = World::ingested(25).await;
    let fake = FakeWorker::new("w");
    fake.hook().always(|call| *call == "InitRuntime", WorkerFault::Lie);
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    tokio::time::sleep(seconds(600)).await;
    let calls = fake.calls().len();
    assert!(calls < 200, "{calls} calls in ten minutes");
    assert!(diary.troubles("w")[0].contains("did not move"));
    fake.hook().clear();
    at_tip(&world, &fake, seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_hints_fail_is_looked_at_with_the_worker() {
    let world = World::ingested(25).await;
    let fake = FakeWorker::new("w");
    let looks = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = looks.clone();
    world.store.hook().set(move |call| {
        counter.fetch_add(usize::from(*call == StoreCall::Coverage), std::sync::atomic::Ordering::Relaxed);
        (*call == StoreCall::Wait).then_some(StoreFault::Unreachable)
    });
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, seconds(10)).await;
    tokio::time::sleep(seconds(600)).await;
    let looks = looks.load(std::sync::atomic::Ordering::Relaxed);
    assert!(looks < 300, "looked {looks} times in ten minutes");
    world.chain.advance(5);
    world.ingest_all().await;
    at_tip(&world, &fake, seconds(10)).await;
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_never_answers_does_not_stop_its_worker_for_ever() {
    let world = World::ingested(25).await;
    let fake = FakeWorker::new("w");
    fake.hook().times(1, |call| *call == "DispatchBlocks", WorkerFault::Hang(seconds(u32::MAX.into())));
    let (_bridge, diary) = feeding(&world, &[&fake], FeedOptions::default()).await;
    at_tip(&world, &fake, 3 * crate::world::HOUR).await;
    assert!(diary.troubles("w")[0].contains("has answered for 7200 s"), "{:?}", diary.troubles("w"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_only_syncs_shows_it_without_anybody_operating_it() {
    let world = World::ingested(25).await;
    let fake = FakeWorker::new("w");
    let mut worker = crate::world::worker("w");
    worker.goal.sync_only = true;
    let store = Arc::new(world.store.clone());
    let bridge = Bridge::builder().store(store).worker(worker, fake.clone()).start().await.unwrap();
    at_tip(&world, &fake, seconds(10)).await;
    eventually("its stage says so", seconds(10), || {
        bridge.workers_status()[0].stage == prb_core::lifecycle::Stage::SyncOnly
    })
    .await;
}
