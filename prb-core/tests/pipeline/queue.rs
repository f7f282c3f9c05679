//! Workers that wait at a gate for long, as many do that come at once.

use crate::world::{Diary, World, is_at_tip, name_of, seconds, worker};
use futures::FutureExt;
use prb_core::{
    pipeline::{Bridge, WorkerStatus, bridge::BridgeOptions, feed::FeedOptions},
    testkit::{FakeWorker, Observed, WorkerFault, eventually},
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
    status(bridge, fake).waits.is_some_and(|waits| waits.contains("queue"))
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
        let last = status(&bridge, &last);
        assert!(last.waits.is_some() && last.info.is_some());
        assert_eq!(last.trouble, None, "a turn in a line is no trouble");
    }
    while !is_at_tip(&world.chain, &last) {
        assert!(begun.elapsed() < TURN * 100, "its turn does not come");
        sleep(seconds(60)).await;
    }
    assert!(begun.elapsed() > seconds(2 * 3600), "{:?}", begun.elapsed());
    assert_eq!(diary.troubles("last"), Vec::<String>::new());
    sleep(seconds(60)).await;
    assert_eq!((status(&bridge, &last).trouble, status(&bridge, &last).waits), (None, None));
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
    eventually("it waits no more", seconds(5), || !queues(&bridge, &second)).await;
    let asked = second.calls().len();
    third.hook().always(|_| true, WorkerFault::Unreachable);
    eventually("it is away", seconds(60), || status(&bridge, &third).info.is_none()).await;
    third.hook().clear();
    eventually("it waits again", seconds(120), || queues(&bridge, &third)).await;
    eventually("its turn comes", seconds(2 * 3600), || is_at_tip(&world.chain, &third)).await;
    assert_eq!(second.calls().len(), asked, "nothing is sent to a disabled worker");
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_planned_before_a_wait_is_planned_anew_for_the_chain_that_has_grown() {
    let observed = Observed::begin();
    let world = World::ingested(65).await;
    let feed = FeedOptions { near: 2, catch_up_bytes: 1, ..FeedOptions::default() };
    let options = BridgeOptions { feed, ..BridgeOptions::default() };
    let bridge =
        Bridge::builder().store(Arc::new(world.store.clone())).options(options).start().await.unwrap();
    let (slow, quick) = (FakeWorker::new("slow"), FakeWorker::new("quick"));
    slow.hook().always(|call| *call != "GetInfo" && *call != "InitRuntime", WorkerFault::Slow(seconds(600)));
    bridge.add_worker(worker("slow"), slow.clone()).unwrap();
    sleep(seconds(60)).await;
    let diary = Diary::of(bridge.events());
    bridge.add_worker(worker("quick"), quick.clone()).unwrap();
    // The last justified block is another one at every turn.
    for _ in 0..60 {
        sleep(seconds(200)).await;
        world.chain.advance(1);
        world.ingest_all().await;
    }
    slow.hook().clear();
    eventually("both are at the tip", seconds(3600), || {
        is_at_tip(&world.chain, &slow) && is_at_tip(&world.chain, &quick)
    })
    .await;
    assert!(observed.counter("prb_feed_waits_total{kind=catch-up}") > 3);
    assert_eq!((diary.troubles("slow"), diary.troubles("quick")), (vec![], vec![]));
    bridge.stop().await;
}

/// A bridge whose gate for fresh workers the first worker has, and two that wait there.
async fn two_behind_one(world: &World, takes: Duration) -> (Bridge, [FakeWorker; 3]) {
    let feed = FeedOptions { load_bytes: 1, ..FeedOptions::default() };
    let options = BridgeOptions { feed, ..BridgeOptions::default() };
    let bridge =
        Bridge::builder().store(Arc::new(world.store.clone())).options(options).start().await.unwrap();
    let all = ["first", "second", "third"].map(FakeWorker::new);
    all[0].hook().always(|call| *call == "InitRuntime", WorkerFault::Slow(takes));
    bridge.add_worker(worker("first"), all[0].clone()).unwrap();
    eventually("the gate is taken", seconds(60), || all[0].calls().contains(&"InitRuntime")).await;
    for fake in &all[1..] {
        bridge.add_worker(worker(&name_of(fake)), fake.clone()).unwrap();
        eventually("it waits", seconds(60), || queues(&bridge, fake)).await;
    }
    (bridge, all)
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_disabled_at_the_moment_its_turn_comes_is_sent_nothing() {
    let world = World::ingested(65).await;
    let (bridge, [_first, second, third]) = two_behind_one(&world, seconds(3600)).await;
    assert!(bridge.remove_worker(&worker("first").name).now_or_never().is_none());
    let mut disabled = worker("second").goal;
    disabled.disabled = true;
    bridge.change_worker(&worker("second").name, disabled).unwrap();
    eventually("the next one has its turn", seconds(60), || is_at_tip(&world.chain, &third)).await;
    assert!(!second.calls().contains(&"InitRuntime"));
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_when_its_turn_comes_lets_others_go_first() {
    let world = World::ingested(65).await;
    let (bridge, [_first, second, third]) = two_behind_one(&world, seconds(600)).await;
    second.hook().always(|call| *call == "GetInfo", WorkerFault::Slow(seconds(1800)));
    eventually("the next one has its turn", seconds(900), || is_at_tip(&world.chain, &third)).await;
    assert!(!second.calls().contains(&"InitRuntime"));
    second.hook().clear();
    eventually("it has a later one", seconds(3600), || is_at_tip(&world.chain, &second)).await;
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_leaves_the_queue_again_and_again_is_no_fault_of_the_store() {
    let world = World::ingested(65).await;
    let (bridge, [_first, second, _third]) = two_behind_one(&world, seconds(3600)).await;
    let diary = Diary::of(bridge.events());
    let name = worker("second").name;
    for _ in 0..5 {
        let mut disabled = worker("second").goal;
        disabled.disabled = true;
        bridge.change_worker(&name, disabled).unwrap();
        eventually("it waits no more", seconds(5), || !queues(&bridge, &second)).await;
        bridge.change_worker(&name, worker("second").goal).unwrap();
        eventually("it waits again", seconds(60), || queues(&bridge, &second)).await;
    }
    assert_eq!(diary.troubles("second"), Vec::<String>::new());
    bridge.stop().await;
}
