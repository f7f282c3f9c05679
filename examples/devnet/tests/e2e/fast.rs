//! Workers that are loaded with a state instead of every block.

use crate::world::{World, until, until_or};
use prb_cli::deployment::Deployment;
use prb_devnet::network;

/// v3_f87: against workers that check the state's root and every proof.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f16_fresh_workers_are_loaded_with_a_state_and_come_to_work() {
    let mut world = World::new(network::Config::default().rotate_every(20), 60, 2).await;
    let mut config = world.config();
    let workers = std::mem::take(&mut config.inventory.workers);
    let filling = Deployment::start(&config).await.unwrap();
    world.until_stored(async || filling.cursor().await.unwrap()).await;
    filling.stop().await;

    config.inventory.workers = workers;
    config.feed.fast_sync_blocks = 10;
    let newest = world.network.para().finalized_number();
    assert!(newest > 20);
    let deployment = Deployment::start(&config).await.unwrap();
    let at_tip = async || world.workers.iter().all(|worker| worker.info().blocknum == newest + 1);
    until_or("the workers are at the tip", at_tip, || format!("{:#?}", deployment.bridge().workers_status()))
        .await;
    for worker in &world.workers {
        assert_eq!(worker.calls()["LoadChainState"], 1);
        assert_eq!(worker.calls().get("DispatchBlocks"), None, "no block before the state was sent");
        assert_eq!(worker.info().system.unwrap().genesis_block, newest);
    }
    world.run_chains();
    world.until_working(&deployment).await;
    world.halt_chains().await;
    let para = world.network.para();
    for worker in &world.workers {
        let last = async || worker.info().blocknum == para.finalized_number() + 1;
        until("the worker has the last block", last).await;
        assert_eq!(worker.info().state_root, hex::encode(para.finalized().header.state_root));
    }
    deployment.stop().await;
}
