//! SIGKILL at any moment loses nothing and repeats nothing.

use crate::asked::{Side, height_of};
use crate::calls;
use crate::place::Place;
use crate::run::until_computing;
use crate::world::{World, until, until_or};
use prb_core::port::{BlobStore, Cursor};
use prb_devnet::network;
use prb_devnet::rpc::Fault;
use prb_store::{LmdbOptions, LmdbStore};

/// Relay blocks before the bridge starts.
const HISTORY: u32 = 400;

/// What is stored, while nothing runs there.
pub async fn stored(place: &Place) -> Option<Cursor> {
    let folder = place.path("data/blobs");
    if !folder.exists() {
        return None;
    }
    let store = LmdbStore::open(folder, LmdbOptions::default()).unwrap();
    let cursor = store.cursor().await.unwrap();
    store.close().await.unwrap();
    cursor
}

/// Nothing that was stored before has been asked for.
pub fn nothing_again(world: &World, before: &Cursor) {
    let least = |asked: Vec<u32>| asked.into_iter().min().unwrap_or(u32::MAX);
    assert!(least(world.asked.proofs()) > before.relay.height.0, "{before:?}");
    assert!(least(world.asked.headers(Side::Relay, &world.network)) > before.relay.height.0, "{before:?}");
    if let Some(para) = before.para {
        assert!(least(world.asked.headers(Side::Para, &world.network)) > para.height.0, "{before:?}");
    }
    let changes = world.asked.changes(&world.network).into_iter().map(|(first, _)| first).collect();
    assert!(least(changes) > before.changes.0, "{before:?}");
    assert!(world.asked.of(Side::Para, "state_getPairs").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bridge_goes_on_where_it_was() {
    let mut world = World::new(network::Config::default(), HISTORY, 2).await;
    let place = Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para));
    place.add_alice().await;
    for (index, worker) in world.workers.iter().enumerate() {
        place.add_worker(&crate::world::name(index), &worker.url()).await;
    }
    let mut before: Option<Cursor> = None;
    // Each life ends at a moment of its own: after so many questions for relay headers. None gets past its gate.
    for (life, questions) in [1, 2, 3, 4, 2].into_iter().enumerate() {
        let gate = 75 * (life as u32 + 1);
        world.asked.forget();
        world.asked.play(move |side, method, params| {
            let proof = side == Side::Relay && method == "grandpa_proveFinality";
            (proof && height_of(params) > gate).then_some(Fault::Drop)
        });
        let running = place.run("info");
        let begun = async || {
            let proofs = world.asked.proofs();
            proofs.len() >= questions || proofs.iter().any(|height| *height > gate)
        };
        until_or("the bridge has begun", begun, || running.log().join("\n")).await;
        running.kill().await;
        world.hang_up().await;
        if let Some(before) = &before {
            nothing_again(&world, before);
        }
        let after = stored(&place).await.unwrap();
        assert!(after.relay.height.0 < HISTORY - 10, "killed in mid-sync: {after:?}");
        before = Some(after);
    }

    world.asked.be_honest();
    world.asked.forget();
    world.run_chains();
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    nothing_again(&world, &before.unwrap());
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (2, 2, 2), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_under_way_at_a_kill_are_not_sent_again() {
    let mut world = World::new(network::Config::default(), 40, 2).await;
    let place = Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para));
    place.add_alice().await;
    for (index, worker) in world.workers.iter().enumerate() {
        place.add_worker(&crate::world::name(index), &worker.url()).await;
    }
    // The chain stands still: registrations get no further than the pool. Then they are included while nobody looks.
    let running = place.run("info");
    let sent = async || calls::registrations(&world.network.para().pending()) == 2;
    until_or("both registrations are in the pool", sent, || running.log().join("\n")).await;
    running.kill().await;
    world.network.steps(6).unwrap();

    // Killed again and again on the way to work.
    world.run_chains();
    for kind in ["register", "add", "start"] {
        let running = place.run("info");
        let made = async || {
            let made = calls::made(world.network.para());
            made.keys().any(|(made, _)| *made == kind)
        };
        until_or(kind, made, || running.log().join("\n")).await;
        running.kill().await;
    }
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    until("every message is taken", async || {
        world.workers.iter().all(|worker| worker.info().pending_messages == 0)
    })
    .await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (2, 2, 2), "{made:?}");
}
