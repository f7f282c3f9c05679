//! A chain without a relay chain.

use crate::world::{ANY, in_time, until, until_or, works};
use prb_cli::config::{Config, DeclaredOperator, DeclaredPool, DeclaredWorker};
use prb_cli::deployment::Deployment;
use prb_devnet::network::{self, Solo};
use prb_devnet::worker::{WorkerConfig, WorkerServer};
use std::sync::Arc;
use std::time::Duration;

/// F85, F88, F90 of the third generation's features: standalone mode.
#[tokio::test(flavor = "multi_thread")]
async fn v3_f85_workers_of_a_chain_that_finalizes_itself_come_from_nothing_to_working() {
    let chain = Arc::new(Solo::new(network::Config::default().rotate_every(12)).unwrap());
    let made = chain.clone();
    tokio::task::spawn_blocking(move || made.steps(30)).await.unwrap().unwrap();
    let node = chain.serve(ANY).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..2 {
        workers.push(WorkerServer::start(WorkerConfig::default(), ANY).await.unwrap());
    }
    let (halt, halted) = tokio::sync::oneshot::channel::<()>();
    let running =
        tokio::spawn(chain.clone().run(Duration::from_millis(200), async move { drop(halted.await) }));

    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_nodes(folder.path().to_owned(), node.url(), node.url());
    config.chain.relay = Default::default();
    config.chain.parachain = false;
    config.transactions.gather_ms = 100;
    config.feed.info_seconds = 1;
    let operator = DeclaredOperator { name: "alice".into(), development_uri: "//Alice".into() };
    config.inventory.operators.push(operator);
    config.inventory.pools.push(DeclaredPool { pid: 1, operator: "alice".into(), sync_only: false });
    let declared = workers.iter().enumerate().map(|(index, worker)| DeclaredWorker {
        name: crate::world::name(index),
        endpoint: worker.url(),
        pool: 1,
        stake: "5000".into(),
    });
    config.inventory.workers = declared.collect();
    let deployment = Deployment::start(&config).await.unwrap();
    let stand = || format!("{:#?}", deployment.bridge().workers_status());
    let working = async || deployment.bridge().workers_status().iter().all(works);
    until_or("every worker works", working, stand).await;
    let crossed = async || {
        let start = deployment.start_set_id().await.unwrap();
        let cursor = deployment.cursor().await.unwrap();
        start.zip(cursor).is_some_and(|(start, cursor)| cursor.authorities.id >= start + 3)
    };
    until("three set changes are crossed", crossed).await;
    halt.send(()).unwrap();
    running.await.unwrap().unwrap();
    let last = chain.chain().finalized();
    for worker in &workers {
        let at_tip = async || worker.info().blocknum == last.header.number + 1;
        until_or("the worker has the last block", at_tip, stand).await;
        let info = worker.info();
        assert_eq!(info.state_root, hex::encode(last.header.state_root));
        assert_eq!((info.headernum, info.para_headernum), (last.header.number + 1, 0));
    }
    assert_eq!(deployment.transactions().failed, 0);
    in_time("the bridge stops", deployment.stop()).await;
}
