//! A bridge that ends and starts again goes on where it was.

use crate::asked::{Side, height_of};
use crate::calls;
use crate::world::{World, in_time, until};
use prb_devnet::network;
use prb_devnet::rpc::Fault;
use serde_json::Value;

/// Relay blocks before the bridge starts.
const HISTORY: u32 = 300;

/// The nodes do not answer for relay blocks above this one.
const GATE: u32 = 180;

fn gate(side: Side, method: &str, params: &[Value]) -> Option<Fault> {
    let above = side == Side::Relay && method == "grandpa_proveFinality" && height_of(params) > GATE;
    above.then_some(Fault::Drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_restarts_in_mid_sync_asks_for_nothing_twice() {
    let mut world = World::new(network::Config::default(), HISTORY, 2).await;
    world.asked.play(gate);
    let first = world.deploy().await;
    // What comes next is asked for while what came is stored.
    until("the bridge stands at the gate", async || {
        let stored = first.cursor().await.unwrap().map_or(0, |cursor| cursor.relay.height.0);
        world.asked.proofs().into_iter().any(|height| height > GATE && height == stored + 1)
    })
    .await;
    // Its turn waits for the answer, so nothing more is stored.
    let cursor = first.cursor().await.unwrap().unwrap();
    in_time("the first bridge stops", first.stop()).await;
    world.hang_up().await;
    let before = world.asked.changes(&world.network);

    world.asked.be_honest();
    world.asked.forget();
    world.run_chains();
    let second = world.deploy().await;
    let (relay, para, changes) = (cursor.relay.height.0, cursor.para.unwrap().height.0, cursor.changes.0);
    assert!(relay > GATE / 2 && relay < HISTORY - 20, "{relay} is in mid-sync");
    assert!(changes > 0, "{before:?}");
    world.until_working(&second).await;
    in_time("the second bridge stops", second.stop()).await;

    let asked = &world.asked;
    assert_eq!(asked.proofs().into_iter().min(), Some(relay + 1));
    let headers = |side| asked.headers(side, &world.network).into_iter().min().unwrap();
    assert!(headers(Side::Relay) > relay);
    assert!(headers(Side::Para) > para);
    assert_eq!(asked.changes(&world.network).into_iter().map(|(first, _)| first).min(), Some(changes + 1));
    assert!(asked.of(Side::Para, "state_getPairs").is_empty(), "the first state is stored");
    let mut ranges = asked.changes(&world.network);
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "no block twice: {ranges:?}");
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (2, 2, 2), "{made:?}");
    world.halt_chains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_under_way_at_the_restart_is_not_sent_again() {
    let mut world = World::new(network::Config::default(), 60, 2).await;
    // The chain stands still: registrations get no further than the pool.
    let first = world.deploy().await;
    until("both registrations are in the pool", async || {
        calls::registrations(&world.network.para().pending()) == 2
    })
    .await;
    let pending = world.network.para().pending();
    in_time("the first bridge stops", first.stop()).await;

    world.run_chains();
    let second = world.deploy().await;
    world.until_working(&second).await;
    in_time("the second bridge stops", second.stop()).await;
    world.halt_chains().await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (2, 2, 2), "{made:?}");
    for raw in pending {
        let included = |number| world.network.para().block_at(number).unwrap().extrinsics.contains(&raw);
        assert!((1..=world.network.para().finalized_number()).any(included), "the pending one was the one");
    }
}
