//! From nothing to Working.

use crate::calls;
use crate::world::{World, until, until_or};
use prb_core::id::PoolId;
use prb_core::lifecycle::Facts;
use prb_core::storage_key;
use prb_core::types::facts::SessionState;
use prb_core::types::message::MessageOrigin;
use prb_devnet::network;
use prb_devnet::runtime::UNIT;

#[tokio::test(flavor = "multi_thread")]
async fn v3_f21_three_workers_come_from_nothing_to_working_across_set_changes() {
    let mut config = network::Config::default().rotate_every(12);
    config.transfers_per_block = 3;
    let mut world = World::new(config, 30, 3).await;
    world.run_chains();
    let deployment = world.deploy().await;
    world.until_working(&deployment).await;
    let crossed = async || {
        let start = deployment.start_set_id().await.unwrap();
        let cursor = deployment.cursor().await.unwrap();
        start.zip(cursor).is_some_and(|(start, cursor)| cursor.authorities.id >= start + 2)
    };
    until("two set changes are crossed", crossed).await;

    // Everything that was sent comes to rest on chains that go on.
    let at_rest = async || {
        let sent = deployment.transactions();
        sent.submitted == sent.finalized + sent.failed
            && world.workers.iter().all(|worker| worker.info().pending_messages == 0)
    };
    until_or("every transaction is final", at_rest, || format!("{:?}", deployment.transactions())).await;
    world.halt_chains().await;
    let (relay, para) = (world.network.relay(), world.network.para());
    world.until_stored(async || deployment.cursor().await.unwrap()).await;
    let at_tip = async || {
        world.workers.iter().map(|worker| worker.info()).all(|info| {
            (info.headernum, info.para_headernum, info.blocknum)
                == (relay.finalized_number() + 1, para.finalized_number() + 1, para.finalized_number() + 1)
        })
    };
    until_or("every worker has the last block", at_tip, || {
        format!("{:#?}", deployment.bridge().workers_status())
    })
    .await;

    for (worker, status) in world.workers.iter().zip(deployment.bridge().workers_status()) {
        assert_eq!(worker.peak_in_flight(), 1, "one call at a time");
        assert_eq!(status.endpoint, worker.url());
        let info = worker.info();
        assert_eq!(info.state_root, hex::encode(para.finalized().header.state_root));
        let key = status.info.unwrap().public_key.unwrap();
        assert_eq!(info.public_key, Some(hex::encode(key.0)));
        assert!(info.registered);

        let at = Some(para.finalized().hash);
        let read = |key: &[u8]| para.read(key, at).unwrap().map(Into::into);
        let values: Vec<_> = Facts::keys(&key, PoolId(1)).iter().map(|key| read(key)).collect();
        let facts = Facts::decode(prb_core::id::Height(para.finalized_number()), &values).unwrap();
        assert_eq!(facts.session.unwrap().state, SessionState::WorkerIdle);
        assert_eq!(facts.assignment, Some(PoolId(1)));
        assert!(facts.entry.unwrap().initial_score.is_some_and(|score| score >= 50));
        let stake: Option<u128> =
            para.read_as(&storage_key::twox64_concat("PhalaComputation", "Stakes", &session(&key)), at);
        assert_eq!(stake, Some(5000 * UNIT));
        let taken: u64 =
            para.read_as(&storage_key::offchain_ingress(&MessageOrigin::Worker(key)), at).unwrap();
        assert!(taken > 0 && taken >= status.messages_synced, "{taken} {}", status.messages_synced);
    }

    let sent = deployment.transactions();
    assert!(sent.submitted > 0);
    assert_eq!(sent.failed, 0, "{sent:?}");
    let made = calls::once_each(para);
    assert_eq!((made["register"], made["add"], made["start"]), (3, 3, 3), "{made:?}");
    deployment.stop().await;
}

fn session(worker: &prb_core::id::WorkerKey) -> prb_core::id::AccountId {
    storage_key::session_account(PoolId(1), worker)
}
