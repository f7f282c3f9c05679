//! Workers that fail in every way a worker can, and what that does to others: nothing.

use crate::calls;
use crate::world::{Heard, World, in_time, name, until, until_or, works};
use prb_cli::deployment::Deployment;
use prb_core::id::WorkerName;
use prb_core::pipeline::{Event, Worker};
use prb_devnet::network;
use prb_devnet::worker::pb::SyncedTo;
use prb_devnet::worker::{AttestationMode, Fault, FaultRule, Restart, WorkerConfig, WorkerHandle};
use prb_worker::{Deadlines, Options, PrpcDriver};
use prost::Message;
use std::time::Duration;

/// Two workers that work, on chains that run.
async fn two_working() -> (World, Deployment) {
    let mut world = World::new(network::Config::default(), 30, 2).await;
    world.run_chains();
    let deployment = world.deploy().await;
    world.until_working(&deployment).await;
    (world, deployment)
}

/// Waits until a worker works and has taken blocks made from now on.
async fn until_it_goes_on(world: &World, deployment: &Deployment, index: usize) {
    let begun = world.network.para().finalized_number();
    let stand = || format!("{:#?}", deployment.bridge().workers_status()[index]);
    let on = async || {
        let status = &deployment.bridge().workers_status()[index];
        works(status) && status.trouble.is_none() && world.workers[index].info().blocknum > begun + 2
    };
    until_or("the worker goes on", on, stand).await;
}

/// Ends a test: nothing happened to the other worker, nothing was sent twice.
async fn the_other_noticed_nothing(mut world: World, deployment: Deployment, heard: &Heard) {
    assert_eq!(heard.about(&name(1)), []);
    assert!(works(&deployment.bridge().workers_status()[1]));
    assert_eq!(world.workers[1].calls()["InitRuntime"], 1);
    assert_eq!(world.workers[1].peak_in_flight(), 1);
    world.halt_chains().await;
    let para = world.network.para();
    world.until_stored(async || deployment.cursor().await.unwrap()).await;
    for worker in &world.workers {
        let at_tip = async || worker.info().blocknum == para.finalized_number() + 1;
        until("the worker has the last block", at_tip).await;
        assert_eq!(worker.info().state_root, hex::encode(para.finalized().header.state_root));
    }
    in_time("the bridge stops", deployment.stop()).await;
    calls::once_each(para);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_loses_its_state_is_brought_back() {
    let (world, deployment) = two_working().await;
    let heard = Heard::from_now(deployment.bridge());
    world.workers[0].reboot(Restart::LoseState).unwrap();
    until("it is initialised again", async || world.workers[0].calls()["InitRuntime"] == 2).await;
    until_it_goes_on(&world, &deployment, 0).await;
    assert_eq!(calls::once_each(world.network.para())["register"], 2, "it is registered already");
    the_other_noticed_nothing(world, deployment, &heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f33_a_worker_that_restarts_from_a_checkpoint_is_fed_from_there() {
    let (world, deployment) = two_working().await;
    let heard = Heard::from_now(deployment.bridge());
    world.workers[0].take_checkpoint().unwrap();
    until_it_goes_on(&world, &deployment, 0).await;
    world.workers[0].reboot(Restart::FromCheckpoint).unwrap();
    until_it_goes_on(&world, &deployment, 0).await;
    assert_eq!(world.workers[0].calls()["InitRuntime"], 1);
    the_other_noticed_nothing(world, deployment, &heard).await;
}

/// Waits until a one-time fault of `method` has acted.
async fn until_called(worker: &WorkerHandle, method: &str) {
    let calls = |worker: &WorkerHandle| worker.calls().get(method).copied().unwrap_or_default();
    let begun = calls(worker);
    until("the faulty call is made", async || calls(worker) > begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_break_off_or_answer_nonsense_are_made_good() {
    let (world, deployment) = two_working().await;
    let heard = Heard::from_now(deployment.bridge());
    let error = |status, message: &str| Fault::Error { status, message: message.into() };
    let faults = [
        ("DispatchBlocks", Fault::Drop),
        ("DispatchBlocks", Fault::DropAnswer),
        ("DispatchBlocks", Fault::Abort),
        ("DispatchBlocks", Fault::Garbage(vec![0xff; 40])),
        // Well-formed and untrue: neither was anything done, nor is there such a block.
        ("DispatchBlocks", Fault::Garbage(SyncedTo { synced_to: 999_999 }.encode_to_vec())),
        ("DispatchBlocks", error(500, "BlockNumberMismatch")),
        ("SyncCombinedHeaders", error(500, "something of its own")),
        ("SyncCombinedHeaders", Fault::DropAnswer),
        ("GetInfo", Fault::Garbage(b"<html>".to_vec())),
        ("GetInfo", error(503, "busy")),
    ];
    for (method, fault) in faults {
        world.workers[0].add_fault(FaultRule::once(method, fault.clone()));
        until_called(&world.workers[0], method).await;
        until_it_goes_on(&world, &deployment, 0).await;
    }
    let troubles = heard.about(&name(0));
    let endpoint = world.workers[0].url();
    let named =
        |event: &&Event| matches!(event, Event::WorkerTrouble { cause, .. } if cause.contains(&endpoint));
    assert!(troubles.iter().filter(named).count() >= 5, "{troubles:#?}");
    the_other_noticed_nothing(world, deployment, &heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_gone_is_taken_on_again_when_it_is_back() {
    let (mut world, deployment) = two_working().await;
    let heard = Heard::from_now(deployment.bridge());
    let gone = world.workers.remove(0);
    let (addr, key) = (gone.addr(), gone.info().public_key);
    in_time("the worker ends", gone.stop()).await;
    crate::port::freed(addr).await;
    let missed = async || {
        heard.any(|event| matches!(event, Event::WorkerTrouble { worker, .. } if worker.as_str() == name(0)))
    };
    until("the worker is missed", missed).await;
    // Another one at the same address, without a state and with a key of its own.
    let new = prb_devnet::worker::WorkerServer::start(WorkerConfig::default(), addr).await.unwrap();
    world.workers.insert(0, new);
    until_it_goes_on(&world, &deployment, 0).await;
    assert_ne!(world.workers[0].info().public_key, key);
    assert_eq!(calls::once_each(world.network.para())["register"], 3);
    the_other_noticed_nothing(world, deployment, &heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_is_given_up_after_its_deadline() {
    let (mut world, deployment) = two_working().await;
    world.add_worker(WorkerConfig::default()).await;
    // Long enough for a worker that does not hang, on a machine that is busy.
    let limit = Duration::from_secs(4);
    let deadlines = Deadlines { read: limit, work: limit, ..Deadlines::default() };
    let driver =
        PrpcDriver::new(&world.workers[2].url(), Options { deadlines, ..Options::default() }).unwrap();
    let mut goal = deployment.bridge().workers_status()[0].worker.goal.clone();
    goal.stake += 1;
    let worker = Worker { name: WorkerName::new(name(2)).unwrap(), goal, debug_key: None };
    deployment.bridge().add_worker(worker, driver).unwrap();
    until_it_goes_on(&world, &deployment, 2).await;

    let heard = Heard::from_now(deployment.bridge());
    for method in ["DispatchBlocks", "SyncCombinedHeaders", "GetInfo"] {
        world.workers[2].add_fault(FaultRule::once(method, Fault::Hang));
        until_called(&world.workers[2], method).await;
        until_it_goes_on(&world, &deployment, 2).await;
    }
    let late =
        |event: &&Event| matches!(event, Event::WorkerTrouble { cause, .. } if cause.contains("within 4 s"));
    let troubles = heard.about(&name(2));
    assert!(troubles.iter().filter(late).count() >= 2, "{troubles:#?}");
    the_other_noticed_nothing(world, deployment, &heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f028_a_worker_of_2_1_0_gets_set_changes_with_their_proofs_and_works() {
    let mut config = network::Config::default().rotate_every(12);
    config.relay.legacy_authorities = true;
    let mut world = World::new(config, 40, 1).await;
    let old = WorkerConfig {
        version: "2.1.0".parse().unwrap(),
        attestation: AttestationMode::Ias,
        ..WorkerConfig::default()
    };
    world.add_worker(old).await;
    world.run_chains();
    let deployment = world.deploy().await;
    world.until_working(&deployment).await;
    let versions: Vec<_> = world.workers.iter().map(|worker| worker.info().version).collect();
    assert_eq!(versions, ["2.2.0", "2.1.0"]);
    let start = deployment.start_set_id().await.unwrap().unwrap();
    assert!(deployment.cursor().await.unwrap().unwrap().authorities.id >= start + 3);
    assert_eq!(deployment.transactions().failed, 0);
    let quiet = Heard::from_now(deployment.bridge());
    until_it_goes_on(&world, &deployment, 1).await;
    the_other_noticed_nothing(world, deployment, &quiet).await;
}
