//! What happens on chain beside a bridge's calls: gatekeepers, upgrades, crowded pools, proxies.

use crate::calls;
use crate::world::{Heard, World, in_time, name, until, until_or, works};
use prb_cli::commands;
use prb_cli::config::DeclaredPool;
use prb_cli::deployment::Deployment;
use prb_cli::inventory::{Change, Inventory, Operator};
use prb_core::id::{AccountId, WorkerName};
use prb_core::lifecycle::Stage;
use prb_core::pipeline::{Event, Worker};
use prb_devnet::chain::PoolConfig;
use prb_devnet::network;
use prb_devnet::runtime::UNIT;
use prb_devnet::runtime::para::types::{SessionInfo, WorkerPublicKey, WorkerState};
use prb_devnet::runtime::para::{
    self, ProxyType, Runtime, Switches, computation, registry, session_account, stake_pool,
};
use prb_devnet::worker::{Fault, FaultRule, WorkerConfig};
use prb_worker::{Deadlines, Options, PrpcDriver};
use sp_keyring::Sr25519Keyring;
use std::time::Duration;

/// Every worker answers every challenge.
fn challenging() -> network::Config {
    let mut config = network::Config::default();
    config.para.switches = Switches::default().challenge_everyone();
    config
}

fn stand(deployment: &Deployment) -> String {
    format!("{:#?} {:?}", deployment.bridge().workers_status(), deployment.transactions())
}

/// Public key of a worker.
fn key(world: &World, index: usize) -> WorkerPublicKey {
    let key = world.workers[index].info().public_key.unwrap();
    let key: [u8; 32] = hex::decode(key).unwrap().try_into().unwrap();
    key.into()
}

fn session(world: &World, pool: u64, index: usize) -> SessionInfo {
    let account = session_account(pool, &key(world, index));
    let para = world.network.para();
    para.read_as(&computation::Sessions::<Runtime>::hashed_key_for(account), None).unwrap()
}

/// A worker that the inventory does not know, given up soon when it hangs.
async fn add_impatiently(world: &mut World, deployment: &Deployment) {
    world.add_worker(WorkerConfig::default()).await;
    let index = world.workers.len() - 1;
    // Long enough for a worker that does not hang, on a machine that is busy.
    let limit = Duration::from_secs(4);
    let deadlines = Deadlines { read: limit, work: limit, ..Deadlines::default() };
    let driver =
        PrpcDriver::new(&world.workers[index].url(), Options { deadlines, ..Options::default() }).unwrap();
    let goal = deployment.bridge().workers_status()[0].worker.goal.clone();
    let worker = Worker { name: WorkerName::new(name(index)).unwrap(), goal, debug_key: None };
    deployment.bridge().add_worker(worker, driver).unwrap();
}

/// X8, as the chain sees it.
#[tokio::test(flavor = "multi_thread")]
async fn x08_a_worker_that_hangs_is_marked_unresponsive_and_works_again_once_it_answers() {
    // Long enough for the other one's answers, on a machine that is busy.
    let config = network::Config { challenge_deadline: 40, ..challenging() };
    let mut world = World::new(config, 30, 1).await;
    world.run_chains();
    let deployment = world.deploy().await;
    add_impatiently(&mut world, &deployment).await;
    world.until_working(&deployment).await;
    let heard = Heard::from_now(deployment.bridge());

    world.workers[1].add_fault(FaultRule::always(Fault::Hang));
    // The worker says nothing more, so its key is taken now.
    let account = session_account(1, &key(&world, 1));
    let session_key = computation::Sessions::<Runtime>::hashed_key_for(account);
    let session_now = || -> SessionInfo { world.network.para().read_as(&session_key, None).unwrap() };
    let marked = async || session_now().state == WorkerState::WorkerUnresponsive;
    until("the chain marks the hanging worker", marked).await;
    let missed = async || deployment.bridge().workers_status()[1].trouble.is_some();
    until_or("the worker is missed", missed, || stand(&deployment)).await;

    // Answers to the challenges that it slept through bring it back, and until they are on chain it is shown as what it is.
    world.workers[1].clear_faults();
    let back = async || {
        works(&deployment.bridge().workers_status()[1]) && session_now().state == WorkerState::WorkerIdle
    };
    until_or("it works again", back, || stand(&deployment)).await;
    let shown = |event: &Event| match event {
        Event::WorkerStage { worker, to, .. } => worker.as_str() == name(1) && *to == Stage::Unresponsive,
        _ => false,
    };
    assert!(heard.any(shown), "{:#?}", heard.about(&name(1)));
    assert_eq!(heard.about(&name(0)), [], "the other one noticed nothing");
    assert!(works(&deployment.bridge().workers_status()[0]));
    for index in 0..2 {
        // Heartbeats count: the chain has learnt of work done since the start.
        let benchmark = session(&world, 1, index).benchmark;
        assert!(benchmark.challenge_time_last > benchmark.working_start_time, "{benchmark:?}");
        assert!(benchmark.iterations > 0, "{benchmark:?}");
    }
    in_time("the bridge stops", deployment.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x04_workers_work_on_across_an_upgrade_that_moves_pallets_and_adds_an_extension() {
    let mut world = World::new(challenging(), 30, 2).await;
    world.run_chains();
    let deployment = world.deploy().await;
    world.until_working(&deployment).await;
    let heard = Heard::from_now(deployment.bridge());

    world.network.order(|orders| orders.upgrade = true);
    let para = world.network.para();
    let version = para::upgraded::VERSION.spec_version;
    let upgraded = async || {
        para.runtime_version(Some(para.finalized().hash)).is_ok_and(|found| found.spec_version == version)
    };
    until("the upgrade is final", upgraded).await;

    // Messages go on: each worker gets some through that it makes from now on.
    let relayed = || -> Vec<u64> {
        deployment.bridge().workers_status().iter().map(|worker| worker.messages_synced).collect()
    };
    let before = relayed();
    let on = async || relayed().iter().zip(&before).all(|(now, before)| *now > before + 3);
    until_or("messages are relayed after the upgrade", on, || stand(&deployment)).await;

    // And so do calls of all kinds: another worker comes from nothing to working.
    world.add_worker(WorkerConfig::default()).await;
    let driver = PrpcDriver::new(&world.workers[2].url(), Options::default()).unwrap();
    let goal = deployment.bridge().workers_status()[0].worker.goal.clone();
    let worker = Worker { name: WorkerName::new(name(2)).unwrap(), goal, debug_key: None };
    deployment.bridge().add_worker(worker, driver).unwrap();
    world.until_working(&deployment).await;

    assert_eq!(deployment.transactions().failed, 0, "{}", stand(&deployment));
    for index in 0..2 {
        let about = heard.about(&name(index));
        let moved = |event: &Event| matches!(event, Event::WorkerStage { .. });
        assert!(!about.iter().any(moved), "{about:#?}");
        assert!(works(&deployment.bridge().workers_status()[index]));
    }
    in_time("the bridge stops", deployment.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x10_calls_that_a_crowded_pool_refuses_are_made_once_there_is_room() {
    let pool = PoolConfig { ready: 6, future: 6 };
    let config = network::Config { crowd: 6, pool, ..network::Config::default() };
    let mut world = World::new(config, 30, 1).await;
    world.run_chains();
    let deployment = world.deploy().await;
    let refused = async || world.network.para().crowded_out() >= 2;
    until_or("the pool refuses calls", refused, || stand(&deployment)).await;
    world.network.crowd(0);
    world.until_working(&deployment).await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (1, 1, 1), "{made:?}");
    in_time("the bridge stops", deployment.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_served_through_a_proxy_of_its_owner_beside_a_pool_of_the_operators_own() {
    let (owner, proxy) = (Sr25519Keyring::Bob.to_account_id(), Sr25519Keyring::Ferdie.to_account_id());
    let mut network = network::Config::default();
    network.para.pools.push(para::PoolConfig { owner: owner.clone(), free_stake: 100_000 * UNIT });
    network.para.proxies.push((owner.clone(), proxy, ProxyType::StakePoolManager));
    let mut world = World::new(network, 30, 2).await;
    world.run_chains();
    let mut config = world.config();
    {
        let inventory = Inventory::open(&config.inventory_dir()).unwrap();
        let (identity, _locked) = config.keyring().open_to_seal(&inventory).unwrap();
        let (account, secret) = commands::seal(&identity, "ferdie", "//Ferdie").unwrap();
        let proxied = Some(AccountId(owner.clone().into()));
        let operator = Operator { name: "ferdie".into(), account, proxied, secret };
        inventory.apply(&[Change::AddOperator(operator)]).unwrap();
    }
    config.inventory.pools.push(DeclaredPool { pid: 2, operator: "ferdie".into(), sync_only: false });
    config.inventory.workers[1].pool = 2;
    let deployment = Deployment::start(&config).await.unwrap();
    world.until_working(&deployment).await;

    let para = world.network.para();
    for (index, (pool, owner)) in
        [(1u64, Sr25519Keyring::Alice.to_account_id()), (2, owner)].into_iter().enumerate()
    {
        let key = key(&world, index);
        let assigned: u64 =
            para.read_as(&stake_pool::WorkerAssignments::<Runtime>::hashed_key_for(key), None).unwrap();
        let info: para::types::WorkerInfoV2 =
            para.read_as(&registry::Workers::<Runtime>::hashed_key_for(key), None).unwrap();
        assert_eq!((assigned, info.operator), (pool, Some(owner)));
        let stake: u128 = para
            .read_as(&computation::Stakes::<Runtime>::hashed_key_for(session_account(pool, &key)), None)
            .unwrap();
        assert_eq!(stake, 5000 * UNIT);
        assert_eq!(session(&world, pool, index).state, WorkerState::WorkerIdle);
    }
    assert_eq!(deployment.transactions().failed, 0);
    in_time("the bridge stops", deployment.stop()).await;
}
