//! A parachain node that is a plain Substrate node.

use crate::world::{World, in_time};
use codec::DecodeAll;
use prb_chain::node_source::SourceOptions;
use prb_core::id::Height;
use prb_core::port::{BlobStore, Stream};
use prb_core::span::Span;
use prb_core::types::sync::{ChangesForm, StorageChanges};
use prb_devnet::network;
use prb_store::{LmdbOptions, LmdbStore};

fn plain() -> network::Config {
    network::Config { phala_extension: false, archive: true, ..network::Config::default().rotate_every(12) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_comes_from_nothing_to_working_over_a_plain_node() {
    let mut world = World::new(plain(), 30, 1).await;
    world.run_chains();
    let deployment = world.deploy().await;
    world.until_working(&deployment).await;
    assert_eq!(deployment.transactions().failed, 0);
    world.halt_chains().await;
    world.until_stored(async || deployment.cursor().await.unwrap()).await;
    in_time("the bridge stops", deployment.stop()).await;

    let store = LmdbStore::open(world.config().blobs_dir(), LmdbOptions::default()).unwrap();
    let coverage = store.coverage().await.unwrap().unwrap();
    assert!(coverage.state_verified);
    assert_eq!(coverage.changes_form, Some(ChangesForm::Diff));
    let para = world.network.para();
    let span = Span::new(Height(1), Height(para.finalized_number())).unwrap();
    assert_eq!(coverage.changes, Some(span));
    // What is stored is what the blocks wrote, without what was there already.
    let mut left_out = 0;
    for blob in store.read(Stream::Changes, span, usize::MAX).await.unwrap() {
        let block = para.block_at(blob.height.0).unwrap();
        let mut expected = block.changes.main.clone();
        expected.retain(|(key, value)| para.read(key, Some(block.header.parent_hash)).unwrap() != *value);
        expected.sort();
        left_out += block.changes.main.len() - expected.len();
        let stored = StorageChanges::decode_all(&mut blob.bytes.as_ref()).unwrap();
        assert_eq!(stored.main_storage_changes, expected, "block {}", blob.height);
        assert!(stored.child_storage_changes.is_empty());
    }
    assert!(left_out > 0);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_fed_by_both_kinds_of_node_says_so() {
    let world = World::new(network::Config::default(), 40, 0).await;
    let (bridge, store) = world.ingest(SourceOptions::default()).await;
    world.until_stored(async || store.cursor().await.unwrap()).await;
    let form = async || store.coverage().await.unwrap().unwrap().changes_form;
    assert_eq!(form().await, Some(ChangesForm::Written));
    // The node is exchanged for a plain one.
    world.asked.play(|_, method, _| {
        method.starts_with("pha_").then(|| prb_devnet::rpc::Fault::error(-32601, "Method not found"))
    });
    let network = world.network.clone();
    tokio::task::spawn_blocking(move || network.steps(12)).await.unwrap().unwrap();
    world.until_stored(async || store.cursor().await.unwrap()).await;
    assert_eq!(form().await, Some(ChangesForm::Mixed));
    in_time("the bridge stops", bridge.stop()).await;
}
