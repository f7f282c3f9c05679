//! Nodes that are away, come back, or fall silent.

use crate::asked::Side;
use crate::world::{Heard, World, event, in_time, until, works};
use prb_chain::node_source::SourceOptions;
use prb_core::pipeline::Event;
use prb_core::port::BlobStore;
use prb_devnet::network;
use prb_devnet::rpc::Fault;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_down_at_the_start_are_waited_for() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.down(Side::Relay).await;
    world.down(Side::Para).await;
    let deployment = world.deploy().await;
    let mut events = deployment.bridge().events();
    let trouble = |event: &Event| match event {
        Event::IngestTrouble { cause } => Some(cause.clone()),
        _ => None,
    };
    let cause = event("the parachain's node is missed", &mut events, trouble).await;
    assert!(cause.contains(&world.url(Side::Para)), "{cause}");
    assert_eq!(deployment.bridge().failure(), None);

    world.up(Side::Para).await;
    let relay = world.url(Side::Relay);
    let missed = |event: &Event| trouble(event).filter(|cause| cause.contains(&relay));
    event("the relay chain's node is missed", &mut events, missed).await;
    world.up(Side::Relay).await;
    world.run_chains();
    world.until_working(&deployment).await;
    assert_eq!(deployment.transactions().failed, 0);
    world.halt_chains().await;
    in_time("the bridge stops", deployment.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_stops_while_nodes_are_down_does_not_wait_for_them() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.down(Side::Relay).await;
    world.down(Side::Para).await;
    let deployment = world.deploy().await;
    in_time("the bridge stops", deployment.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_restart_interrupt_nothing_for_long() {
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let deployment = world.deploy().await;
    world.until_working(&deployment).await;
    let heard = Heard::from_now(deployment.bridge());
    for sides in [&[Side::Relay][..], &[Side::Para], &[Side::Relay, Side::Para]] {
        for side in sides {
            world.down(*side).await;
        }
        let away = world.network.relay().finalized_number();
        until("blocks pass meanwhile, and they are missed", async || {
            world.network.relay().finalized_number() > away + 4
                && heard.any(|event| matches!(event, Event::IngestTrouble { .. }))
        })
        .await;
        for side in sides {
            world.up(*side).await;
        }
        let back = world.network.relay().finalized_number();
        until("the bridge follows again", async || {
            let cursor = deployment.cursor().await.unwrap().unwrap();
            cursor.relay.height.0 > back && cursor.changes.0 * 2 > back - 10
        })
        .await;
    }
    let tip = world.network.para().finalized_number();
    until("the workers follow", async || world.workers.iter().all(|worker| worker.info().blocknum > tip))
        .await;
    assert!(deployment.bridge().workers_status().iter().all(works));
    assert_eq!(deployment.transactions().failed, 0);
    world.halt_chains().await;
    in_time("the bridge stops", deployment.stop()).await;
}

/// A source that notices silence soon, if not so soon that a busy machine is taken for it.
fn impatient() -> SourceOptions {
    let mut options = SourceOptions { tip_patience: Duration::from_millis(300), ..SourceOptions::default() };
    options.rpc.answer_timeout = Duration::from_secs(5);
    options.rpc.long_answer_timeout = Duration::from_secs(5);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_stalls_is_not_relied_on() {
    let mut world = World::new(network::Config::default(), 40, 0).await;
    for silent in ["chain_finalizedHead", "chain_subscribeFinalizedHeads"] {
        // The relay node takes the subscription and announces nothing, or does not even answer.
        world.asked.play(move |_, method, _| (method == silent).then_some(Fault::Drop));
        let (bridge, store) = world.ingest(impatient()).await;
        world.until_stored(async || store.cursor().await.unwrap()).await;
        world.run_chains();
        let begun = world.network.relay().finalized_number();
        until("the bridge follows", async || {
            store.cursor().await.unwrap().unwrap().relay.height.0 > begun + 10
        })
        .await;
        world.halt_chains().await;
        world.until_stored(async || store.cursor().await.unwrap()).await;
        in_time("the bridge stops", bridge.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_falls_silent_is_named_and_asked_again() {
    let world = World::new(network::Config::default(), 70, 0).await;
    for side in [Side::Relay, Side::Para] {
        world.asked.play(move |asked, _, _| (asked == side).then_some(Fault::Drop));
        let (bridge, store) = world.ingest(impatient()).await;
        let mut events = bridge.events();
        let url = world.url(side);
        event("the silence is noticed", &mut events, |event| match event {
            Event::IngestTrouble { cause } if cause.contains(&url) => Some(()),
            _ => None,
        })
        .await;
        assert_eq!(store.cursor().await.unwrap(), None);
        world.asked.be_honest();
        event("ingest recovers", &mut events, |event| matches!(event, Event::IngestRecovered).then_some(()))
            .await;
        world.until_stored(async || store.cursor().await.unwrap()).await;
        in_time("the bridge stops", bridge.stop()).await;
    }
}
