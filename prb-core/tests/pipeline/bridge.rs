//! Everything joined: many workers, changes while running, and the end.

use crate::world::{BLOCK, Diary, World, all_working, is_at_tip, seconds, stage_of, worker};
use prb_core::{
    id::WorkerName,
    lifecycle::Stage,
    pipeline::{Bridge, BridgeError, Event},
    port::worker::Refusal,
    testkit::{
        Corruption, FakeWorker, SinkFault, SourceCall, SourceFault, StateFault, StoreFault, WorkerFault,
        eventually,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

fn fakes<const N: usize>() -> [FakeWorker; N] {
    std::array::from_fn(|number| FakeWorker::new(&format!("w{number}")))
}

#[tokio::test(start_paused = true)]
async fn several_workers_come_to_work_together() {
    let world = World::grown(25);
    let fakes: [FakeWorker; 10] = fakes();
    let all: Vec<&FakeWorker> = fakes.iter().collect();
    let bridge = world.bridge(1, &all).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &all, seconds(600)).await;
    assert_eq!(world.source.refetched(), [], "ten workers, one fetch");
    for fake in &fakes {
        assert_eq!(fake.refused(), Vec::<String>::new());
    }
    assert_eq!(bridge.failure(), None);
    assert!(!diary.has(|event| matches!(event, Event::WorkerTrouble { .. } | Event::IngestTrouble { .. })));
    bridge.stop().await;
    world.assert_stored_is_honest().await;
}

#[tokio::test(start_paused = true)]
async fn lives_that_are_not_told_an_era_do_not_share_job_ids() {
    let world = World::grown(25);
    let _pulse = world.chain.pulse(BLOCK);
    for life in 0..2 {
        let fake = FakeWorker::new(&format!("w{life}"));
        let bridge = world.builder().worker(worker(&format!("w{life}")), fake.clone()).start().await.unwrap();
        all_working(&bridge, &[&fake], seconds(600)).await;
        bridge.stop().await;
    }
    let jobs = world.sink.jobs();
    let eras: BTreeSet<u64> = jobs.iter().map(|(job, ..)| job.era).collect();
    assert_eq!(eras.len(), 2, "the second life's first job is number 0 again, so the eras must differ");
}

#[tokio::test(start_paused = true)]
async fn workers_come_and_go_while_the_others_go_on() {
    let world = World::grown(25);
    let fakes: [FakeWorker; 3] = fakes();
    let [a, b, c] = &fakes;
    let bridge = world.bridge(1, &[a, b]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[a, b], seconds(600)).await;

    bridge.add_worker(worker("w2"), c.clone()).unwrap();
    assert!(matches!(bridge.add_worker(worker("w2"), c.clone()), Err(BridgeError::Exists(_))));
    all_working(&bridge, &[a, b, c], seconds(600)).await;

    let name = WorkerName::new("w1").unwrap();
    let diary = Diary::of(bridge.events());
    bridge.remove_worker(&name).await.unwrap();
    assert!(matches!(bridge.remove_worker(&name).await, Err(BridgeError::Unknown(_))));
    let calls = b.calls().len();
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(b.calls().len(), calls, "nothing is sent to a worker that was let go");
    assert_eq!(diary.stages("w0"), []);
    assert_eq!(diary.stages("w2"), []);
    assert_eq!(bridge.workers_status().len(), 2);

    bridge.add_worker(worker("w1"), b.clone()).unwrap();
    all_working(&bridge, &[a, b, c], seconds(60)).await;
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v2_f035_one_bad_worker_never_disturbs_another() {
    for fault in [
        WorkerFault::Unreachable,
        WorkerFault::Break,
        WorkerFault::Hang(seconds(180)),
        WorkerFault::Slow(seconds(30)),
        WorkerFault::Refuse(Refusal::BadData, "StateRootMismatch"),
        WorkerFault::Reboot,
        WorkerFault::Lie,
    ] {
        let world = World::grown(25);
        let fakes: [FakeWorker; 3] = fakes();
        let [bad, a, b] = &fakes;
        bad.hook().always(|call| *call != "GetInfo", fault.clone());
        let bridge = world.bridge(1, &[bad, a, b]).await;
        let diary = Diary::of(bridge.events());
        let _pulse = world.chain.pulse(BLOCK);
        let begun = Instant::now();
        all_working(&bridge, &[a, b], seconds(300)).await;
        assert!(begun.elapsed() < seconds(200), "{fault:?}: {:?}", begun.elapsed());
        for _ in 0..20 {
            tokio::time::sleep(BLOCK).await;
            assert_eq!(stage_of(&bridge, a), Some(Stage::Working));
        }
        assert_eq!(diary.troubles("w1"), Vec::<String>::new(), "{fault:?}");
        assert_eq!(diary.troubles("w2"), Vec::<String>::new(), "{fault:?}");
        bad.hook().clear();
        all_working(&bridge, &[bad, a, b], seconds(900)).await;
        bridge.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_is_told_and_driven_again() {
    for method in ["DispatchBlocks", "GetRuntimeInfo", "GetEgressMessages"] {
        let world = World::grown(25);
        let fakes: [FakeWorker; 2] = fakes();
        let [bad, good] = &fakes;
        bad.hook().times(2, move |call| *call == method, WorkerFault::Panic);
        let bridge = world.bridge(1, &[bad, good]).await;
        let diary = Diary::of(bridge.events());
        let _pulse = world.chain.pulse(BLOCK);
        all_working(&bridge, &[bad, good], seconds(600)).await;
        assert!(diary.troubles("w0").iter().any(|cause| cause.contains("crashed")), "{method}");
        assert_eq!(diary.troubles("w1"), Vec::<String>::new());
        assert_eq!(world.sink.violations(), Vec::<String>::new());
        bridge.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_is_bounded_whatever_hangs() {
    let world = World::grown(25);
    let fakes: [FakeWorker; 3] = fakes();
    let bridge = world.bridge(1, &fakes.each_ref()).await;
    let _pulse = world.chain.pulse(BLOCK);
    tokio::time::sleep(seconds(30)).await;
    let for_ever = Duration::from_secs(1_000_000);
    world.source.hook().always(|_| true, SourceFault::Hang(for_ever));
    world.sink.hook().always(|_| true, SinkFault::Hang(for_ever));
    world.state.hook().always(|_| true, StateFault::Hang(for_ever));
    world.store.hook().always(|_| true, StoreFault::Slow(for_ever));
    for fake in &fakes {
        fake.hook().always(|_| true, WorkerFault::Hang(for_ever));
    }
    tokio::time::sleep(seconds(60)).await;
    let begun = Instant::now();
    bridge.stop().await;
    assert!(begun.elapsed() <= seconds(11), "{:?}", begun.elapsed());
    let calls: Vec<usize> = fakes.iter().map(|fake| fake.calls().len()).collect();
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(calls, fakes.iter().map(|fake| fake.calls().len()).collect::<Vec<_>>());
    bridge.stop().await;
    assert_eq!(bridge.workers_status(), []);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_bridge_stops_it() {
    let world = World::grown(25);
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    tokio::time::sleep(seconds(30)).await;
    drop(bridge);
    tokio::time::sleep(seconds(1)).await;
    let calls = fake.calls().len();
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(fake.calls().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn v2_f042_a_second_life_goes_on_where_the_first_was_cut() {
    let world = World::grown(25);
    let fakes: [FakeWorker; 3] = fakes();
    let all = fakes.each_ref();
    let _pulse = world.chain.pulse(BLOCK);
    // Lives of all lengths, so that every step of the way is cut somewhere.
    for life in 1..40u64 {
        let bridge = world.bridge(life, &all).await;
        tokio::time::sleep(Duration::from_millis(700 * life)).await;
        bridge.stop().await;
    }
    let bridge = world.bridge(1000, &all).await;
    all_working(&bridge, &all, seconds(900)).await;
    for fake in &fakes {
        assert_eq!(fake.refused(), Vec::<String>::new());
    }
    bridge.stop().await;
    world.assert_stored_is_honest().await;
}

#[tokio::test(start_paused = true)]
async fn a_lying_source_holds_new_data_and_workers_keep_what_they_have() {
    let world = World::grown(25);
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let diary = Diary::of(bridge.events());
    let pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], seconds(300)).await;
    world.source.hook().always(
        |call| matches!(call, SourceCall::RelayBatch(_)),
        SourceFault::Corrupt(Corruption::Justification),
    );
    tokio::time::sleep(seconds(300)).await;
    assert!(diary.has(|event| matches!(event, Event::Refused { endpoint, cause }
        if endpoint == "fake-node" && cause.starts_with("justification at"))));
    assert_eq!(fake.refused(), Vec::<String>::new(), "nothing unverified was sent");
    assert!(!is_at_tip(&world.chain, &fake));
    assert_eq!(stage_of(&bridge, &fake), Some(Stage::Working), "it computes on");
    world.source.hook().clear();
    drop(pulse);
    eventually("the worker is at the tip again", seconds(60), || is_at_tip(&world.chain, &fake)).await;
    eventually("recovery is told", seconds(60), || diary.has(|event| *event == Event::IngestRecovered)).await;
    bridge.stop().await;
    world.assert_stored_is_honest().await;
}

#[tokio::test(start_paused = true)]
async fn a_bridge_says_what_it_lacks() {
    let world = World::grown(5);
    let nothing = Bridge::builder().start().await;
    assert!(matches!(nothing, Err(BridgeError::NoStore)));
    let half = Bridge::builder()
        .store(Arc::new(world.store.clone()))
        .sink(Arc::new(world.sink.clone()))
        .start()
        .await;
    assert!(matches!(half, Err(BridgeError::HalfAnOperator)));
}

#[tokio::test(start_paused = true)]
async fn v3_f86_a_bridge_starts_while_everything_around_it_is_down() {
    let world = World::grown(25);
    world.source.hook().always(|_| true, SourceFault::Unreachable);
    world.store.hook().always(|_| true, StoreFault::Unreachable);
    world.sink.hook().always(|_| true, SinkFault::Unreachable);
    world.state.hook().always(|_| true, StateFault::Unreachable);
    let fake = FakeWorker::new("w");
    fake.hook().always(|_| true, WorkerFault::Unreachable);
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    tokio::time::sleep(seconds(600)).await;
    // They come back one after the other.
    world.source.hook().clear();
    tokio::time::sleep(seconds(60)).await;
    world.store.hook().clear();
    tokio::time::sleep(seconds(60)).await;
    fake.hook().clear();
    tokio::time::sleep(seconds(60)).await;
    world.state.hook().clear();
    tokio::time::sleep(seconds(60)).await;
    world.sink.hook().clear();
    all_working(&bridge, &[&fake], seconds(600)).await;
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn ingest_that_ended_for_good_is_told() {
    let world = World::ingested(15).await;
    world.chain.advance(5);
    world
        .store
        .hook()
        .always(|call| matches!(call, prb_core::testkit::StoreCall::Read(..)), StoreFault::Damaged);
    let bridge = world.bridge(1, &[]).await;
    eventually("the failure is kept", seconds(60), || bridge.failure().is_some()).await;
    assert!(bridge.failure().unwrap().contains("damaged"));
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v2_f056_a_source_and_a_sink_that_panic_are_told_and_asked_again() {
    let world = World::grown(25);
    let fakes: [FakeWorker; 1] = fakes();
    let [fake] = &fakes;
    let mut panics = 3;
    world.source.hook().set(move |_| {
        panics -= 1;
        assert!(panics < 0, "scripted panic of the source");
        None
    });
    let mut panics = 3;
    world.sink.hook().set(move |_| {
        panics -= 1;
        assert!(panics < 0, "scripted panic of the sink");
        None
    });
    let bridge = world.bridge(1, &[fake]).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[fake], seconds(600)).await;
    assert!(diary.has(|event| matches!(event, Event::IngestTrouble { cause } if cause.contains("crashed"))));
    let before = world.chain.taken(&crate::world::own(fake));
    world.chain.prompt(crate::world::own(fake), 20);
    eventually("messages are followed", seconds(600), || {
        world.chain.taken(&crate::world::own(fake)) >= before + 20
    })
    .await;
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn adapters_of_operate_that_never_answer_do_not_stop_a_worker_for_ever() {
    let for_ever = seconds(u32::MAX.into());
    for name in ["sink", "state"] {
        let world = World::grown(25);
        let fakes: [FakeWorker; 1] = fakes();
        let [fake] = &fakes;
        match name {
            "sink" => world.sink.hook().times(4, |_| true, SinkFault::Hang(for_ever)),
            _ => world.state.hook().times(1, |_| true, StateFault::Hang(for_ever)),
        }
        let bridge = world.bridge(1, &[fake]).await;
        let pulse = world.chain.pulse(Duration::from_secs(600));
        all_working(&bridge, &[fake], seconds(100 * 3600)).await;
        drop(pulse);
        bridge.stop().await;
    }
}
