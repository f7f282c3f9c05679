//! Workers that wait at a gate for long, as many do that come at once.

use crate::world::{Diary, World, is_at_tip, name_of, seconds, worker};
use prb_core::{
    pipeline::{Bridge, WorkerStatus, bridge::BridgeOptions, feed::FeedOptions},
    testkit::{FakeWorker, WorkerFault, eventually},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// One at a time passes the gate, each takes so long, and so many are before the last one: more than the time after
/// which an adapter that does not answer is blamed.
const TURN: Duration = seconds(50 * 60);
const OTHERS: usize = 4;

fn status(bridge: &Bridge, fake: &FakeWorker) -> WorkerStatus {
    let all = bridge.workers_status();
    all.into_iter().find(|status| status.worker.name.as_str() == name_of(fake)).unwrap()
}

fn queues(bridge: &Bridge, fake: &FakeWorker) -> bool {
    status(bridge, fake).trouble.is_some_and(|trouble| trouble.contains("queue"))
}

async fn last_of_a_queue(options: FeedOptions) {
    let world = World::ingested(65).await;
    let options = BridgeOptions { feed: options, ..BridgeOptions::default() };
    let bridge =
        Bridge::builder().store(Arc::new(world.store.clone())).options(options).start().await.unwrap();
    let others: Vec<_> = (0..OTHERS).map(|number| FakeWorker::new(&format!("other{number}"))).collect();
    for fake in &others {
        fake.hook().always(|call| *call != "GetInfo", WorkerFault::Slow(TURN));
        bridge.add_worker(worker(&name_of(fake)), fake.clone()).unwrap();
    }
    let queued = || others.iter().filter(|fake| queues(&bridge, fake)).count();
    eventually("all others but one wait", TURN * 2, || queued() == OTHERS - 1).await;

    let (diary, last, begun) = (Diary::of(bridge.events()), FakeWorker::new("last"), Instant::now());
    bridge.add_worker(worker("last"), last.clone()).unwrap();
    eventually("the last one waits as well", seconds(60), || queues(&bridge, &last)).await;
    let asked = || last.calls().iter().filter(|call| **call == "GetInfo").count();
    for _ in 0..2 {
        let before = asked();
        sleep(TURN).await;
        assert!(asked() > before + 100, "it is asked how it is meanwhile");
        assert!(queues(&bridge, &last) && status(&bridge, &last).info.is_some());
    }
    while !is_at_tip(&world.chain, &last) {
        assert!(begun.elapsed() < TURN * 100, "its turn does not come");
        sleep(seconds(60)).await;
    }
    assert!(begun.elapsed() > seconds(2 * 3600), "{:?}", begun.elapsed());
    assert_eq!(diary.troubles("last"), Vec::<String>::new());
    sleep(seconds(60)).await;
    assert_eq!(status(&bridge, &last).trouble, None);
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_queues_for_hours_is_asked_how_it_is_and_nobody_is_blamed() {
    last_of_a_queue(FeedOptions { load_bytes: 1, ..FeedOptions::default() }).await;
    last_of_a_queue(FeedOptions { near: 2, catch_up_bytes: 1, ..FeedOptions::default() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_disabled_or_away_leaves_the_queue() {
    let world = World::ingested(65).await;
    let feed = FeedOptions { load_bytes: 1, ..FeedOptions::default() };
    let options = BridgeOptions { feed, ..BridgeOptions::default() };
    let bridge =
        Bridge::builder().store(Arc::new(world.store.clone())).options(options).start().await.unwrap();
    let [first, second, third] = ["first", "second", "third"].map(FakeWorker::new);
    first.hook().always(|call| *call == "InitRuntime", WorkerFault::Slow(seconds(3600)));
    bridge.add_worker(worker("first"), first.clone()).unwrap();
    eventually("the gate is taken", seconds(60), || first.calls().contains(&"InitRuntime")).await;
    for fake in [&second, &third] {
        bridge.add_worker(worker(&name_of(fake)), fake.clone()).unwrap();
        eventually("it waits", seconds(60), || queues(&bridge, fake)).await;
    }
    let mut disabled = worker("second").goal;
    disabled.disabled = true;
    bridge.change_worker(&worker("second").name, disabled).unwrap();
    eventually("it waits no more", seconds(5), || status(&bridge, &second).trouble.is_none()).await;
    let asked = second.calls().len();
    third.hook().always(|_| true, WorkerFault::Unreachable);
    eventually("it is away", seconds(60), || status(&bridge, &third).info.is_none()).await;
    third.hook().clear();
    eventually("it waits again", seconds(120), || queues(&bridge, &third)).await;
    eventually("its turn comes", seconds(2 * 3600), || is_at_tip(&world.chain, &third)).await;
    assert_eq!(second.calls().len(), asked, "nothing is sent to a disabled worker");
    bridge.stop().await;
}
