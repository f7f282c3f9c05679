//! What a running `prb` tells other programs.

use crate::hooks::Hooks;
use crate::place::Place;
use crate::provider;
use crate::run::until_computing;
use crate::world::{World, until_or};
use prb_devnet::network;
use prb_devnet::worker::{Fault, FaultRule};

#[tokio::test(flavor = "multi_thread")]
async fn v3_f50_v3_f90_states_alerts_and_places_are_posted_while_it_runs() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let (statuses, alerts, places) = (Hooks::serve().await, Hooks::serve().await, Hooks::serve().await);
    let place: Place = provider::place(&world);
    let text = std::fs::read_to_string(place.path("prb.toml")).unwrap();
    place.configure(&format!(
        "{text}[notify]\nurls = [\"{}\"]\nalert_urls = [\"{}\"]\npherry_urls = [\"{}/{{worker}}\"]\nafter_seconds = 0\n",
        statuses.url, alerts.url, places.url
    ));
    place.add_alice().await;
    place.add_worker("w", &world.workers[0].url()).await;
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    let log = || running.log().join("\n");
    let works = async || statuses.posted().last().is_some_and(|last| last.json()["state"] == "Working");
    until_or("that it works is posted", works, || format!("{:?}\n{}", statuses.posted(), log())).await;
    let last = statuses.posted().last().unwrap().json();
    assert_eq!((&last["worker"]["name"], &last["worker"]["pid"]), (&"w".into(), &1.into()));
    assert_eq!(last["session_info"]["state"], "WorkerIdle");
    assert_eq!(last["phactory_info"]["initialized"], true);

    let finished = async || places.posted().iter().any(|place| place.json()["initial_sync_finished"] == true);
    until_or("its place is posted", finished, || format!("{:?}\n{}", places.posted(), log())).await;
    assert!(places.posted().iter().all(|place| place.line == "POST /w HTTP/1.1"));

    // The worker fails, and is well again.
    world.workers[0].add_fault(FaultRule::always(Fault::Drop));
    let about = |state: &str| {
        alerts.posted().iter().any(|alert| alert.json()["state"] == state && alert.json()["subject"] == "w")
    };
    until_or(
        "the trouble is posted",
        async || about("raised"),
        || format!("{:?}\n{}", alerts.posted(), log()),
    )
    .await;
    let has_error = async || statuses.posted().iter().any(|one| one.json()["state"]["HasError"].is_string());
    until_or("so is its state", has_error, || format!("{:?}\n{}", statuses.posted(), log())).await;
    world.workers[0].clear_faults();
    until_or("its end is posted", async || about("over"), || format!("{:?}\n{}", alerts.posted(), log()))
        .await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}
