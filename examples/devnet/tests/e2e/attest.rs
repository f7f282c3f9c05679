//! Workers that attest with DCAP, and who vouches for them.

use crate::calls;
use crate::metered::counters;
use crate::world::{ANY, Heard, World, in_time, until, until_or, works};
use codec::Encode;
use prb_cli::deployment::Deployment;
use prb_core::handover::{Means, Situation, means};
use prb_core::id::WorkerName;
use prb_core::lifecycle::Stage;
use prb_core::pipeline::{Event, Worker, hand_over};
use prb_core::port::WorkerDriver;
use prb_devnet::network;
use prb_devnet::pccs::{self, PccsStub};
use prb_devnet::runtime::para::{Runtime, registry};
use prb_devnet::worker::{AttestationMode, WorkerConfig};
use prb_worker::PrpcDriver;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn v3_f22_workers_that_attest_with_dcap_register_once_a_pccs_is_there_and_work() {
    let counters = counters();
    let mut config = network::Config::default();
    // As live chains: nobody registers without a report.
    config.para.switches.none_attestation_enabled = false;
    let mut world = World::new(config, 30, 0).await;
    for _ in 0..2 {
        let attestation = AttestationMode::Dcap;
        world.add_worker(WorkerConfig { attestation, ..WorkerConfig::default() }).await;
    }
    world.run_chains();
    // An address at which nobody is.
    let address = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let url = format!("http://{address}/sgx/certification/v4");
    let mut config = world.config();
    config.attestation.pccs_url = Some(url.clone());
    let failed = || counters.sum("prb_collateral_total", ("result", "failed"));
    let before = failed();
    let deployment = Deployment::start(&config).await.unwrap();
    let heard = Heard::from_now(deployment.bridge());

    let told = async || {
        let words = format!("the PCCS at {url} does not answer");
        deployment.bridge().workers_status().iter().all(|worker| {
            worker.stage == Stage::Registering
                && worker.trouble.as_ref().is_some_and(|trouble| trouble.contains(&words))
        })
    };
    let stand = || format!("{:#?}", deployment.bridge().workers_status());
    until_or("the outage is told of each worker", told, stand).await;
    let said = |event: &Event| matches!(event, Event::WorkerTrouble { cause, .. } if cause.contains("check `attestation.pccs_url`"));
    until("there is an event", async || heard.any(said)).await;
    assert!(failed() > before, "it is counted");
    // Chains go on, and nothing is paid.
    let later = world.network.para().finalized_number() + 10;
    until("the chain goes on", async || world.network.para().finalized_number() > later).await;
    assert_eq!(calls::made(world.network.para()).len(), 0);
    assert_eq!(deployment.transactions().submitted, 0);

    let stub = PccsStub::default();
    let listener = TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(stub.clone().serve(listener));
    world.until_working(&deployment).await;
    let asked = stub.asked();
    let path = "/sgx/certification/v4/tcb?fmspc=00906EA10000".to_owned();
    assert!(asked.contains(&path), "{asked:?}");

    world.halt_chains().await;
    in_time("the bridge stops", deployment.stop()).await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (2, 2, 2), "{made:?}");
    let vouched = calls::collateral(world.network.para());
    assert_eq!(vouched.len(), 2);
    for collateral in vouched.into_iter().map(Option::unwrap) {
        assert_eq!(collateral.tcb_info, pccs::TCB_INFO);
        assert_eq!(collateral.qe_identity, pccs::QE_IDENTITY);
        assert_eq!(collateral.pck_crl_issuer_chain, pccs::CHAIN);
    }
    serving.abort();
}

/// A program that the chain allows takes over from one that it allowed before, on a chain as strict as live ones.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f89_a_key_moves_between_workers_that_attest_with_dcap_to_what_was_allowed_later() {
    let measurements = [vec![1; 32], vec![2; 32]];
    let mut config = network::Config::default();
    config.para.pruntime_allow_list = vec![measurements[0].clone()];
    config.para.switches.none_attestation_enabled = false;
    config.para.switches.verify_pruntime = true;
    let mut world = World::new(config, 30, 0).await;
    for measurement in measurements.clone() {
        let attestation = AttestationMode::Dcap;
        world.add_worker(WorkerConfig { attestation, measurement, ..WorkerConfig::default() }).await;
    }
    world.run_chains();
    let listener = TcpListener::bind(ANY).await.unwrap();
    let mut config = world.config();
    config.inventory.workers.truncate(1);
    config.attestation.pccs_url = Some(format!("http://{}/v4", listener.local_addr().unwrap()));
    let serving = tokio::spawn(PccsStub::default().serve(listener));
    let deployment = Deployment::start(&config).await.unwrap();
    let bridge = deployment.bridge();
    let stand = || format!("{:#?}", bridge.workers_status());
    let work = async || bridge.workers_status().iter().all(works);
    until_or("the worker works", &work, stand).await;

    let [old, new] = [0, 1].map(|index: usize| {
        PrpcDriver::new(&world.workers[index].url(), prb_worker::Options::default()).unwrap()
    });
    let Worker { name, goal, .. } = bridge.workers_status()[0].worker.clone();
    bridge.remove_worker(&name).await.unwrap();
    let key = old.info().await.unwrap().public_key.unwrap();
    let (of_old, of_new) = (old.info().await.unwrap(), new.info().await.unwrap());
    let situation = Situation { old: &of_old, new: &of_new, tip: of_old.blocknum, new_is_registered: false };
    assert_eq!(means(situation), Ok(Means::Dcap));
    // The worker with the key asks the chain, as far as it has followed it.
    let early = hand_over(&old, &new, Means::Dcap).await.unwrap_err().to_string();
    assert!(early.contains("Client pRuntime not allowed on chain"), "{early}");
    let allowed_at = registry::PRuntimeAddedAt::<Runtime>::hashed_key_for(&measurements[1]);
    world.network.order(|orders| {
        let list = registry::PRuntimeAllowList::<Runtime>::hashed_key().to_vec();
        orders.para.set_storage.push((list, Some(measurements.to_vec().encode())));
        orders.para.set_storage.push((allowed_at.clone(), Some(10u32.encode())));
    });
    let para = world.network.para();
    let is_allowed = async || para.read(&allowed_at, Some(para.finalized().hash)).unwrap().is_some();
    until("the new program is allowed", is_allowed).await;
    let allowed = para.finalized_number();
    let worker = |name: &WorkerName| Worker { name: name.clone(), goal: goal.clone(), debug_key: None };
    bridge.add_worker(worker(&name), PrpcDriver::new(&old.endpoint(), Default::default()).unwrap()).unwrap();
    until_or("the old one has seen it", async || world.workers[0].info().blocknum > allowed, stand).await;
    bridge.remove_worker(&name).await.unwrap();
    hand_over(&old, &new, Means::Dcap).await.unwrap();

    bridge.add_worker(worker(&WorkerName::new("new").unwrap()), new).unwrap();
    until_or("the new one works", &work, stand).await;
    assert_eq!(world.workers[1].info().public_key, Some(hex::encode(key.0)));
    assert!(!world.workers[0].info().initialized);
    world.halt_chains().await;
    in_time("the bridge stops", deployment.stop()).await;
    let made = calls::once_each(world.network.para());
    assert_eq!((made["register"], made["add"], made["start"]), (1, 1, 1), "{made:?}");
    serving.abort();
}
