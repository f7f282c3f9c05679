//! Fast sync: fresh workers that are loaded with a state.

use crate::{
    porter::{Porter, Scale},
    world::{World, is_at_tip, name_of, seconds, worker},
};
use prb_core::{
    id::Height,
    lifecycle::Goal,
    pipeline::{Bridge, bridge::BridgeOptions, feed::FeedOptions},
    port::worker::Refusal,
    testkit::{FakeWorker, StateCall, StateFault, WorkerFault, eventually},
};
use std::{collections::BTreeSet, sync::Arc};

async fn loading(world: &World, fast_sync: Option<u32>, porters: &[Porter]) -> Bridge {
    let feed = FeedOptions { fast_sync, ..FeedOptions::default() };
    let bridge = Bridge::builder()
        .store(Arc::new(world.store.clone()))
        .sink(Arc::new(world.sink.clone()))
        .state(Arc::new(world.state.clone()))
        .options(BridgeOptions { feed, ..BridgeOptions::default() })
        .start()
        .await
        .unwrap();
    for porter in porters {
        bridge.add_worker(worker(&name_of(&porter.fake)), porter.clone()).unwrap();
    }
    eventually("all are at the tip", seconds(300), || {
        porters.iter().all(|porter| is_at_tip(&world.chain, &porter.fake))
    })
    .await;
    bridge
}

fn porter(name: &str) -> Porter {
    Porter::new(FakeWorker::new(name), &Arc::new(Scale::default()))
}

fn loads(porter: &Porter) -> usize {
    porter.fake.calls().iter().filter(|call| **call == "LoadChainState").count()
}

/// v3_f16
#[tokio::test(start_paused = true)]
async fn v3_f87_fresh_workers_are_loaded_with_one_state_that_they_share() {
    let world = World::ingested(65).await;
    let porters: Vec<Porter> = (0..20).map(|number| porter(&format!("w{number}"))).collect();
    let bridge = loading(&world, Some(20), &porters).await;
    let newest = world.chain.tips().para;
    let mut places = BTreeSet::new();
    for porter in &porters {
        assert_eq!((loads(porter), porter.fake.peek().genesis_block), (1, newest));
        assert_eq!(porter.fake.refused(), Vec::<String>::new());
        assert!(porter.book.lock().unwrap().blocks.is_empty(), "no block before the state is sent");
        places.insert(porter.book.lock().unwrap().states[1]);
    }
    assert_eq!(places.len(), 1, "the state is in memory once");
    // They follow the chain like any other.
    world.chain.advance(10);
    world.ingest_all().await;
    eventually("all follow", seconds(30), || {
        porters.iter().all(|porter| is_at_tip(&world.chain, &porter.fake))
    })
    .await;
    assert!(porters.iter().all(|porter| porter.fake.refused().is_empty()));
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v3_f87_workers_get_every_block_where_no_state_is_loaded() {
    let world = World::ingested(65).await;
    // Switched off; too few blocks saved.
    for fast_sync in [None, Some(1_000)] {
        let porter = porter("w");
        loading(&world, fast_sync, std::slice::from_ref(&porter)).await.stop().await;
        assert_eq!((loads(&porter), porter.fake.peek().genesis_block), (0, Height(0)));
    }
    // The state cannot be read.
    for fault in [StateFault::Unreachable, StateFault::Damaged] {
        world.state.hook().always(|call| matches!(call, StateCall::Pairs(_)), fault);
        let porter = porter("w");
        loading(&world, Some(20), std::slice::from_ref(&porter)).await.stop().await;
        assert_eq!((loads(&porter), porter.fake.peek().genesis_block), (0, Height(0)));
    }
    world.state.hook().clear();
    // The worker refuses it once, or breaks each time.
    for (fault, tries) in [
        (WorkerFault::Refuse(Refusal::Other, "Can not load chain state"), 1),
        (WorkerFault::Break, 3),
        (WorkerFault::Hang(seconds(10)), 3),
    ] {
        let porter = porter("w");
        porter.fake.hook().always(|call| *call == "LoadChainState", fault);
        loading(&world, Some(20), std::slice::from_ref(&porter)).await.stop().await;
        assert_eq!((loads(&porter), porter.fake.peek().genesis_block), (tries, Height(0)));
        assert_eq!(porter.fake.refused(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn v3_f87_a_load_whose_answer_is_lost_is_not_made_twice() {
    let world = World::ingested(65).await;
    let porter = porter("w");
    porter.fake.hook().times(1, |call| *call == "LoadChainState", WorkerFault::BreakAfter);
    let bridge = loading(&world, Some(20), std::slice::from_ref(&porter)).await;
    assert_eq!((loads(&porter), porter.fake.peek().genesis_block), (1, world.chain.tips().para));
    assert_eq!(porter.fake.refused(), Vec::<String>::new());
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_to_be_a_gatekeeper_by_the_time_of_its_turn_gets_every_block() {
    let world = World::ingested(65).await;
    let (first, second) = (FakeWorker::new("first"), FakeWorker::new("second"));
    // It is initialised, and sent nothing more.
    second.hook().always(|call| !["GetInfo", "InitRuntime"].contains(call), WorkerFault::Unreachable);
    let fed = Bridge::builder().store(Arc::new(world.store.clone())).worker(worker("second"), second.clone());
    let fed = fed.start().await.unwrap();
    eventually("it is initialised", seconds(60), || second.peek().initialized).await;
    fed.stop().await;
    second.hook().clear();

    let feed = FeedOptions { fast_sync: Some(20), load_bytes: 1, ..FeedOptions::default() };
    let bridge = Bridge::builder()
        .store(Arc::new(world.store.clone()))
        .sink(Arc::new(world.sink.clone()))
        .state(Arc::new(world.state.clone()))
        .options(BridgeOptions { feed, ..BridgeOptions::default() })
        .start()
        .await
        .unwrap();
    first.hook().always(|call| *call == "LoadChainState", WorkerFault::Slow(seconds(3600)));
    bridge.add_worker(worker("first"), first.clone()).unwrap();
    eventually("the gate is taken", seconds(60), || first.calls().contains(&"LoadChainState")).await;
    bridge.add_worker(worker("second"), second.clone()).unwrap();
    eventually("it waits", seconds(60), || bridge.workers_status()[1].waits.is_some()).await;
    let goal = Goal { gatekeeper: true, ..worker("second").goal };
    bridge.change_worker(&worker("second").name, goal).unwrap();
    eventually("it is at the tip", seconds(2 * 3600), || is_at_tip(&world.chain, &second)).await;
    assert!(!second.calls().contains(&"LoadChainState"));
    bridge.stop().await;
}
