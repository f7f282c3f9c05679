//! Many workers at once, and how what they are sent is shared out.

use crate::{
    porter::{Porter, Scale},
    world::{World, is_at_tip, name_of, seconds, worker},
};
use prb_core::{
    pipeline::{Bridge, bridge::BridgeOptions, feed::FeedOptions},
    port::{BlobStore, Stream},
    testkit::{FakeChain, FakeWorker, Observed, StoreCall, StoreFault, eventually},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A chain of so many relay blocks whose storage changes are of `padding` bytes each, all of it stored.
async fn padded(blocks: u32, padding: usize) -> World {
    let chain = FakeChain::builder(1).padding(padding).build();
    chain.advance(blocks);
    let world = World::new(chain);
    world.ingest_all().await;
    world
}

async fn bridge(world: &World, options: FeedOptions) -> Bridge {
    let options = BridgeOptions { feed: options, ..BridgeOptions::default() };
    Bridge::builder().store(Arc::new(world.store.clone())).options(options).start().await.unwrap()
}

fn add(bridge: &Bridge, porter: &Porter) {
    bridge.add_worker(worker(&name_of(&porter.fake)), porter.clone()).unwrap();
}

fn crowd(count: usize, name: &str, latency: Duration, scale: &Arc<Scale>) -> Vec<Porter> {
    let fake = |number| FakeWorker::new(&format!("{name}{number}")).latency(latency);
    (0..count).map(|number| Porter::new(fake(number), scale)).collect()
}

async fn all_at_tip(world: &World, porters: &[Porter], patience: Duration) {
    eventually("all are at the tip", patience, || {
        porters.iter().all(|porter| is_at_tip(&world.chain, &porter.fake))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn x24_a_thousand_workers_that_return_at_once_are_fed_within_bounds() {
    const BUDGET: usize = 2 << 20;
    let observed = Observed::begin();
    let world = padded(65, 20_000).await;
    let genesis = world.store.genesis().await.unwrap().unwrap();
    let load_bytes = 100 * 1024;
    let options = FeedOptions { near: 2, catch_up_bytes: BUDGET, load_bytes, ..FeedOptions::default() };
    let bridge = bridge(&world, options).await;
    let (calm, rush) = (Arc::new(Scale::default()), Arc::new(Scale::beyond(2)));
    let settled = crowd(10, "settled", Duration::from_millis(10), &calm);
    settled.iter().for_each(|porter| add(&bridge, porter));
    all_at_tip(&world, &settled, seconds(10)).await;

    let returning = crowd(1_000, "returning", seconds(1), &rush);
    returning.iter().for_each(|porter| add(&bridge, porter));
    // Those at the tip stay there while the others catch up.
    for _ in 0..5 {
        tokio::time::sleep(seconds(12)).await;
        assert!(returning.iter().any(|porter| !is_at_tip(&world.chain, &porter.fake)));
        world.chain.advance(2);
        world.ingest_all().await;
        all_at_tip(&world, &settled, Duration::from_millis(500)).await;
    }
    all_at_tip(&world, &returning, seconds(3600)).await;
    // The last two blocks of those that come to the tip are not counted.
    assert!(rush.most() <= BUDGET + BUDGET / 4, "{} bytes under way at once", rush.most());
    assert!(rush.most() > BUDGET / 4, "the room is used");
    // All but the first to come had to wait for their turn: counted each time, told once.
    for (kind, at_least) in [("catch-up", 900), ("load", 500)] {
        let waits = observed.counter(&format!("prb_feed_waits_total{{kind={kind}}}"));
        assert!(waits >= at_least, "{kind}: {waits}");
        let told = observed.lines(&["INFO", "many workers want data at once", &format!("kind=\"{kind}\"")]);
        assert_eq!(told.len(), 1, "{told:?}");
        let gauge = format!("prb_feed_under_way_bytes{{kind={kind}}}");
        eventually("all of it is given back", seconds(60), || observed.gauge(&gauge) == Some(0.0)).await;
    }
    // The state they start from is in memory once.
    let states = |porter: &Porter| porter.book.lock().unwrap().states.clone();
    let places: BTreeSet<usize> = returning.iter().flat_map(states).collect();
    assert_eq!(places, BTreeSet::from([genesis.para_state.as_ptr() as usize]));
    for porter in settled.iter().chain(&returning) {
        assert_eq!(porter.fake.refused(), Vec::<String>::new());
    }
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v3_f92_the_next_request_is_read_while_the_worker_is_at_the_one_before() {
    let world = padded(65, 1_000).await;
    let read = Duration::from_millis(400);
    world
        .store
        .hook()
        .always(|call| matches!(call, StoreCall::Read(Stream::Changes, _)), StoreFault::Slow(read));
    let porter = Porter::new(FakeWorker::new("w").latency(seconds(1)), &Arc::default());
    let bridge = bridge(&world, FeedOptions { blocks: 2, ..FeedOptions::default() }).await;
    let started = Instant::now();
    add(&bridge, &porter);
    all_at_tip(&world, std::slice::from_ref(&porter), seconds(120)).await;
    let (calls, requests) =
        (porter.fake.calls().len() as u32, porter.book.lock().unwrap().blocks.len() as u32);
    assert!(requests > 10, "{requests}");
    let took = started.elapsed();
    assert!(took < seconds(1) * calls + read * requests / 4, "{calls} calls took {took:?}");
    assert_eq!(porter.fake.refused(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn v3_f92_what_was_made_ready_is_dropped_where_the_worker_comes_out_elsewhere() {
    let world = padded(65, 1_000).await;
    let porter = Porter::new(FakeWorker::new("w"), &Arc::default()).half();
    let bridge = bridge(&world, FeedOptions::default()).await;
    add(&bridge, &porter);
    all_at_tip(&world, std::slice::from_ref(&porter), seconds(60)).await;
    assert_eq!(porter.fake.refused(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_slow_worker_gets_less_at_once_and_a_quick_one_more() {
    let world = padded(65, 100_000).await;
    let options = FeedOptions { block_bytes: 2 << 20, ..FeedOptions::default() };
    for (latency, expected) in [(seconds(10), 1), (Duration::from_millis(10), 5)] {
        let porter = Porter::new(FakeWorker::new("w").latency(latency), &Arc::default());
        let bridge = bridge(&world, options).await;
        add(&bridge, &porter);
        all_at_tip(&world, std::slice::from_ref(&porter), seconds(3600)).await;
        let blocks = porter.book.lock().unwrap().blocks.clone();
        let last = blocks.iter().rev().skip(1).max().unwrap();
        assert!(last / 100_000 >= expected, "{blocks:?}");
        let tail = &blocks[blocks.len() / 2..];
        if expected == 1 {
            assert!(tail.iter().all(|bytes| *bytes < 300_000), "{blocks:?}");
        }
        bridge.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn v3_f37_a_worker_that_catches_up_is_asked_how_it_is() {
    let world = padded(65, 1_000).await;
    let porter = Porter::new(FakeWorker::new("w").latency(seconds(2)), &Arc::default());
    let bridge = bridge(&world, FeedOptions { blocks: 1, ..FeedOptions::default() }).await;
    add(&bridge, &porter);
    all_at_tip(&world, std::slice::from_ref(&porter), seconds(600)).await;
    let calls = porter.fake.calls();
    let between = calls.split(|call| *call == "GetInfo").map(<[_]>::len).max().unwrap();
    assert!((2..=3).contains(&between), "{calls:?}");
}
