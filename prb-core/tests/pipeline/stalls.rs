//! What stands still is told, whoever is silent, and told to be over.

use crate::world::{BLOCK, Diary, HOUR, World, name_of, seconds, worker};
use prb_core::{
    id::{BlockRef, Hash, Height},
    lifecycle::Goal,
    pipeline::{Bridge, Event},
    port::{BlobStore, Tips},
    progress::{Following, REPEAT},
    testkit::{FakeWorker, Observed, SourceCall, SourceFault, eventually},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Whether and why something stands still.
fn stalled(event: &Event, of: &str) -> Option<String> {
    match event {
        Event::Stalled { what, cause } if *what == of => Some(cause.clone()),
        _ => None,
    }
}

fn causes(diary: &Diary, of: &str) -> Vec<String> {
    diary.events().iter().filter_map(|event| stalled(event, of)).collect()
}

/// Waits until it is told that something stands still; why, and how long it took.
async fn told(diary: &Diary, of: &str) -> (String, Duration) {
    let begun = Instant::now();
    eventually("it is told", HOUR, || !causes(diary, of).is_empty()).await;
    (causes(diary, of).remove(0), begun.elapsed())
}

async fn over(diary: &Diary, of: &str, patience: Duration) {
    let over = |event: &Event| matches!(event, Event::Resumed { what } if *what == of);
    eventually("it is told to be over", patience, || diary.has(over)).await;
    assert_eq!(diary.events().iter().filter(|event| over(event)).count(), 1);
}

const HEADERS: &str = "relay headers";
const CHANGES: &str = "storage changes";

#[tokio::test(start_paused = true)]
async fn a_lone_node_that_hangs_is_told_within_seconds_whatever_it_was_asked() {
    let hang = || SourceFault::Hang(seconds(300));
    // At the tip, in mid-sync, and before there is anything.
    for stored in [Some(135), Some(120), None] {
        let world = World::grown(35);
        if let Some(height) = stored {
            world.source.lag(135 - height);
            world.ingest_all().await;
            world.source.lag(0);
        }
        world.source.hook().always(|_| true, hang());
        let ingesting = world.ingesting();
        let (cause, after) = told(&ingesting.diary, HEADERS).await;
        assert!(cause.contains("fake-node: waiting for an answer"), "{cause}");
        assert!(after >= seconds(10) && after < seconds(15), "{after:?}");
        world.source.hook().clear();
        let pulse = world.chain.pulse(BLOCK);
        over(&ingesting.diary, HEADERS, seconds(400)).await;
        drop(pulse);
        world.complete(seconds(60)).await;
        ingesting.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_standing_still_is_told_every_few_minutes() {
    let world = World::ingested(20).await;
    world.source.hook().always(|_| true, SourceFault::Hang(seconds(30)));
    let ingesting = world.ingesting();
    sleep(HOUR).await;
    let told = causes(&ingesting.diary, HEADERS).len() as u64;
    assert!((11..=12).contains(&told), "{told} times, once in {REPEAT:?}");
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_ingest_that_is_stopped_stands_still_no_longer() {
    let observed = Observed::begin();
    let gauge = || observed.gauge("prb_stalled{what=relay headers}");
    let world = World::ingested(20).await;
    world.source.hook().always(|_| true, SourceFault::Hang(seconds(300)));
    let ingesting = world.ingesting();
    told(&ingesting.diary, HEADERS).await;
    assert_eq!(gauge(), Some(1.0));
    let diary = ingesting.diary.clone();
    ingesting.stop().await;
    over(&diary, HEADERS, seconds(5)).await;
    assert_eq!(gauge(), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_behind_the_store_is_told_with_both_heights() {
    let world = World::ingested(30).await;
    world.source.lag(20);
    let ingesting = world.ingesting();
    let (cause, after) = told(&ingesting.diary, HEADERS).await;
    assert!(cause.contains("to catch up with what is stored"), "{cause}");
    assert!(after < seconds(15), "{after:?}");
    assert_eq!(world.source.judged(), [], "its block 110 is the stored one");
    world.source.lag(0);
    world.chain.advance(5);
    over(&ingesting.diary, HEADERS, seconds(60)).await;
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_fork_is_told_as_such() {
    for height in [Height(110), Height(130)] {
        let world = World::ingested(30).await;
        let (other, ours) = (Hash([7; 32]), Hash::of(&world.chain.relay_header(height).unwrap()));
        world.source.claim(BlockRef { height, hash: other });
        let ingesting = world.ingesting();
        let (cause, _) = told(&ingesting.diary, HEADERS).await;
        let found = format!("its block {height} is {other}, the store holds {ours}");
        assert!(cause.starts_with("fake-node: ") && cause.ends_with(&found), "{cause}");
        assert_eq!(world.source.judged(), [Some(found)], "judged once");
        ingesting.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn storage_changes_that_do_not_come_are_told_while_headers_go_on() {
    let world = World::ingested(20).await;
    world.source.hook().always(|call| matches!(call, SourceCall::Changes(_)), SourceFault::Pruned);
    let ingesting = world.ingesting();
    let pulse = world.chain.pulse(BLOCK);
    let (cause, after) = told(&ingesting.diary, CHANGES).await;
    assert!(cause.contains("storage changes of block") && cause.contains("is pruned there"), "{cause}");
    assert!(after < seconds(40), "{after:?}");
    assert_eq!(causes(&ingesting.diary, HEADERS), Vec::<String>::new());
    world.source.hook().clear();
    over(&ingesting.diary, CHANGES, seconds(90)).await;
    drop(pulse);
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_an_ingest_that_gets_on() {
    let world = World::grown(60);
    world.source.limit_batches(3);
    world.source.hook().always(|_| true, SourceFault::Slow(seconds(2)));
    let ingesting = world.ingesting();
    let pulse = world.chain.pulse(BLOCK);
    sleep(HOUR).await;
    drop(pulse);
    let events = ingesting.stop().await;
    assert!(events.iter().all(|event| matches!(event, Event::Ingested { .. })), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_finalizes_nothing_is_told_after_minutes() {
    let world = World::ingested(20).await;
    let ingesting = world.ingesting();
    let (cause, after) = told(&ingesting.diary, HEADERS).await;
    assert!(cause.contains("fake-node: waiting for finalized relay block 121"), "{cause}");
    assert!(after >= seconds(120) && after < seconds(125), "{after:?}");
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_is_there_for_status_pages() {
    let world = World::grown(30);
    let bridge = world.builder().start().await.unwrap();
    let following = bridge.following().unwrap();
    world.complete(seconds(60)).await;
    sleep(seconds(10)).await;
    let Following { tips, source, peers, stalled } = following.borrow().clone();
    assert_eq!((tips, source.as_str(), stalled), (Some(world.chain.tips()), "fake-node", None));
    assert_eq!(peers[0].head.unwrap().height, Height(130));
    world.source.hook().always(|_| true, SourceFault::Hang(seconds(60)));
    sleep(seconds(60)).await;
    let stalled = following.borrow().stalled.clone().unwrap();
    assert!(stalled.contains("fake-node"), "{stalled}");
    assert_eq!(following.borrow().tips.unwrap(), Tips { relay: Height(130), para: world.chain.tips().para });
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workers_ahead_of_the_store_are_told_together_and_once() {
    let world = World::ingested(60).await;
    let workers = ["a", "b", "c"].map(FakeWorker::new);
    let feed = async |world: &World| {
        let mut builder = Bridge::builder().store(Arc::new(world.store.clone()));
        for fake in &workers {
            builder = builder.worker(worker(&name_of(fake)), fake.clone());
        }
        builder.start().await.unwrap()
    };
    let first = feed(&world).await;
    eventually("they are at the tip", seconds(60), || {
        workers.iter().all(|worker| worker.peek().headernum == Height(161))
    })
    .await;
    first.stop().await;

    // Another deployment, whose store is behind.
    let behind = World::new(world.chain.clone());
    behind.source.lag(30);
    behind.ingest_all().await;
    let second = feed(&behind).await;
    let diary = Diary::of(second.events());
    let (cause, after) = told(&diary, "workers").await;
    assert!(cause.contains("relay block 161: the store is behind the worker"), "{cause}");
    assert!(after < seconds(20), "{after:?}");
    let status = second.workers_status()[0].clone();
    let trouble = status.trouble.unwrap();
    assert!(trouble.contains("the store is behind the worker"), "{trouble}");
    assert!(!status.starved, "each may be ahead of the store for a reason of its own");
    sleep(seconds(120)).await;
    assert_eq!(causes(&diary, "workers").len(), 1);
    behind.source.lag(0);
    behind.ingest_all().await;
    over(&diary, "workers", seconds(30)).await;
    assert!(second.workers_status().iter().all(|status| status.trouble.is_none() && !status.starved));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workers_of_an_empty_store_are_told() {
    let world = World::grown(10);
    let fake = FakeWorker::new("w");
    let bridge = Bridge::builder().store(Arc::new(world.store.clone())).worker(worker("w"), fake.clone());
    let bridge = bridge.start().await.unwrap();
    let (cause, after) = told(&Diary::of(bridge.events()), "workers").await;
    assert!(cause.contains("the store is empty") && after < seconds(20), "{cause} {after:?}");
    assert!(bridge.workers_status()[0].starved, "whoever comes lacks the same");
    assert_eq!(world.store.coverage().await.unwrap(), None);
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workers_that_wait_stand_still_no_longer_once_they_are_disabled_or_removed() {
    let observed = Observed::begin();
    let gauge = || observed.gauge("prb_stalled{what=workers}");
    let world = World::grown(10);
    let bridge = Bridge::builder().store(Arc::new(world.store.clone())).start().await.unwrap();
    for removed_last in [true, false] {
        let diary = Diary::of(bridge.events());
        for name in ["a", "b"] {
            bridge.add_worker(worker(name), FakeWorker::new(name)).unwrap();
        }
        told(&diary, "workers").await;
        assert_eq!(gauge(), Some(1.0));
        let [a, b] = ["a", "b"].map(|name| worker(name).name);
        let disable = || bridge.change_worker(&a, Goal { disabled: true, ..worker("a").goal }).unwrap();
        if removed_last {
            disable();
        } else {
            bridge.remove_worker(&b).await.unwrap();
        }
        sleep(seconds(30)).await;
        assert_eq!(gauge(), Some(1.0), "one waits still");
        if removed_last {
            bridge.remove_worker(&b).await.unwrap();
        } else {
            disable();
        }
        over(&diary, "workers", seconds(5)).await;
        assert_eq!(gauge(), Some(0.0));
        bridge.remove_worker(&a).await.unwrap();
    }
}
