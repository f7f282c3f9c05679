//! A worker's key that is handed over beside a running bridge.

use crate::asked::Side;
use crate::calls;
use crate::inventory::parsed;
use crate::mistakes::one_line;
use crate::place::{Place, Running};
use crate::run::{computes, until_computing};
use crate::world::{World, until, until_or};
use prb_core::id::WorkerKey;
use prb_core::storage_key;
use prb_core::types::message::MessageOrigin;
use prb_devnet::network;
use prb_devnet::worker::{WorkerConfig, WorkerHandle};
use serde_json::json;
use std::collections::BTreeMap;

/// A worker at work beside a fresh one, on chains that stand still.
async fn one_at_work() -> (World, Place, Running) {
    let mut world = World::new(network::Config::default(), 30, 1).await;
    world.run_chains();
    let place = Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para));
    place.add_alice().await;
    place.add_worker("one", &world.workers[0].url()).await;
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    let said = async || taken(&world, &key(&world.workers[0])) > 1;
    until_or("the chain has taken messages", said, || running.log().join("\n")).await;
    world.halt_chains().await;
    let para = world.network.para();
    let at_tip = async || world.workers[0].info().blocknum == para.finalized_number() + 1;
    until_or("the worker has the last block", at_tip, || running.log().join("\n")).await;
    world.add_worker(WorkerConfig::default()).await;
    (world, place, running)
}

fn key(worker: &WorkerHandle) -> WorkerKey {
    WorkerKey(hex::decode(worker.info().public_key.unwrap()).unwrap().try_into().unwrap())
}

/// The sequence of the next message that the chain takes.
fn taken(world: &World, worker: &WorkerKey) -> u64 {
    let sequence = storage_key::offchain_ingress(&MessageOrigin::Worker(*worker));
    let para = world.network.para();
    para.read_as(&sequence, Some(para.finalized().hash)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f89_a_worker_hands_its_key_over_and_the_new_one_goes_on_with_it() {
    let (mut world, place, running) = one_at_work().await;
    let (old, new) = (world.workers[0].url(), world.workers[1].url());
    let (one, messages) = (key(&world.workers[0]), taken(&world, &key(&world.workers[0])));
    let handover = ["worker", "handover", "one", &new, "--watch", "1"];
    one_line(&place.prb(&handover).await, &["worker one is enabled", "prb worker disable one"]);
    assert_eq!(place.ok(&["worker", "disable", "one"]).await, "worker one changed: enabled true -> false\n");
    until("the bridge follows", async || running.logged(&["worker left out", "one", "it is disabled"])).await;

    let dry = place.ok(&[&handover[..], &["--dry-run", "--json"]].concat()).await;
    let expected = json!({ "can_be_handed_over": { "key": one.to_string(), "old": old, "new": new } });
    assert_eq!(parsed(&dry), expected);
    assert!(!world.workers[1].calls().keys().any(|call| call.contains("Handover")), "only asked what it is");
    let told = place.ok(&handover).await;
    let expected = format!(
        "key {one} handed over from one ({old}) to {new}\n\
         worker one changed: endpoint {old} -> {new}\n\
         put it to work: prb worker enable one\n"
    );
    assert_eq!(told, expected);
    let left = world.workers[0].calls();
    assert!(!world.workers[0].info().initialized, "it was stopped, and has nothing to sign with");
    let shown = parsed(&place.ok(&["worker", "show", "one", "--json"]).await);
    assert_eq!((&shown["endpoint"], &shown["enabled"]), (&json!(new), &json!(false)));

    // Once more, it is refused for what has come of it.
    let again = place.prb(&["worker", "handover", &old, "one", "--watch", "0"]).await;
    one_line(&again, &["the old worker is not initialised"]);

    world.run_chains();
    place.ok(&["worker", "enable", "one"]).await;
    let goes_on = async || {
        let info = world.workers[1].info();
        info.registered && computes(&world.network, &world.workers[1]) && taken(&world, &one) > messages + 2
    };
    until_or("the new worker goes on", goes_on, || running.log().join("\n")).await;
    assert_eq!(key(&world.workers[1]), one);
    let sent = |calls: &BTreeMap<String, u64>| -> u64 {
        calls.iter().filter(|(name, _)| *name != "GetInfo").map(|(_, times)| times).sum()
    };
    assert_eq!(sent(&world.workers[0].calls()), sent(&left), "nobody feeds the old one");
    assert_eq!(world.workers.iter().map(WorkerHandle::peak_in_flight).max(), Some(1), "one call at a time");
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    // Each message once, in sequence, or the chain had refused it; one registration, pool entry and start.
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (1, 1, 1), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f89_a_handover_that_would_do_harm_is_refused_before_anything_is_asked() {
    let (mut world, place, running) = one_at_work().await;
    let (old, new) = (world.workers[0].url(), world.workers[1].url());
    // A second worker at work: it has a key of its own.
    place.add_worker("two", &new).await;
    world.run_chains();
    until_computing(&world, &world.workers, || running.log()).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    place.ok(&["worker", "disable", "one", "two"]).await;
    let refused = async |arguments: &[&str], words: &[&str]| {
        let command = [&["worker", "handover", "--watch", "1"][..], arguments].concat();
        one_line(&place.prb(&command).await, words);
    };
    let two = key(&world.workers[1]).to_string();
    refused(&["one", "two"], &["the new worker is registered", &two]).await;
    refused(&["one", "http://127.0.0.1:9"], &["http://127.0.0.1:9", "nothing has changed"]).await;
    refused(&["one", "three"], &["there is no worker three"]).await;

    world.add_worker(WorkerConfig::default()).await;
    let fresh = world.workers[2].url();
    refused(&[&fresh, "one"], &["the old worker is not initialised"]).await;
    let network = world.network.clone();
    tokio::task::spawn_blocking(move || network.steps(320)).await.unwrap().unwrap();
    refused(&["one", &fresh], &["the old worker has block", "enable it until it has caught up"]).await;

    // Somebody feeds it, of whom this inventory knows nothing.
    let elsewhere = Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para));
    elsewhere.add_alice().await;
    elsewhere.add_worker("one", &old).await;
    world.run_chains();
    let other = elsewhere.run("info");
    let fed = async || world.workers[0].info().blocknum + 20 > world.network.para().finalized_number();
    until_or("another bridge is at work on it", fed, || other.log().join("\n")).await;
    let watched = place.prb(&["worker", "handover", "one", &fresh, "--watch", "5"]).await;
    one_line(&watched, &["another program feeds it"]);
    assert_eq!(other.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
    for worker in &world.workers {
        assert!(!worker.calls().keys().any(|call| call.contains("Handover")), "{:?}", worker.calls());
    }
}
