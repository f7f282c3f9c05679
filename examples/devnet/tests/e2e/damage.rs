//! X17: a byte that is another one, on a provider's disk and on the way to its reader.

use crate::asked::Side;
use crate::between::{Does, between};
use crate::world::{ANY, World, in_time, until};
use prb_cli::config::Config;
use prb_cli::data_provider::DataProvider;
use prb_core::id::Height;
use prb_core::port::{Blob, BlobStore, StoreError, Stream};
use prb_core::span::Span;
use prb_core::testkit::Observed;
use prb_devnet::network;
use prb_devnet::rpc::Fault;
use prb_store::{LmdbOptions, LmdbStore, RemoteOptions, RemoteStore};
use std::path::Path;

const STREAM: Stream = Stream::Changes;
const AT: Height = Height(7);

#[tokio::test]
async fn x17_a_flipped_byte_is_never_served_and_a_running_provider_repairs_it() {
    let world = World::new(network::Config::default(), 50, 0).await;
    let mut config =
        Config::for_nodes(world.data_dir().to_owned(), world.url(Side::Relay), world.url(Side::Para));
    config.serve.listen = ANY;
    let provider = DataProvider::start(&config).await.unwrap();
    let reader = reader([format!("http://{}", provider.address())]).await;
    let last = Some(Height(world.network.para().finalized_number()));
    until("everything is stored", async || {
        let coverage = reader.coverage().await.unwrap();
        coverage.and_then(|coverage| coverage.changes).map(Span::last) == last
    })
    .await;
    in_time("the provider stops", provider.stop()).await;
    let item = damage(&config.blobs_dir()).await;

    // As long as the node cannot help, the reader gets an error.
    let observed = Observed::begin();
    world.asked.play(|_, method, _| {
        (method == "pha_getStorageChanges").then(|| Fault::error(1, "not at the moment"))
    });
    let provider = DataProvider::start(&config).await.unwrap();
    let url = format!("http://{}", provider.address());
    let reader = self::reader([url.clone()]).await;
    let refused = read(&reader).await.unwrap_err();
    assert!(refused.to_string().contains(&url), "{refused}");
    assert_eq!(observed.counter("prb_store_damaged_total{stream=changes}"), 1);
    assert_eq!(observed.counter("prb_store_repair_failures_total{stream=changes}"), 1);
    let told = |words: &[&str]| observed.lines(words).len();
    assert_eq!(told(&["WARN", "damaged on disk", "stream=changes", "height=7"]), 1);
    assert_eq!(told(&["WARN", "damage is not repaired yet", "height=7", "not at the moment"]), 1);
    assert_eq!(told(&["WARN", "a question is refused", "changes at 7 is damaged on disk"]), 1);

    // Once it can, the item is fetched again: that one, and nothing else.
    world.asked.be_honest();
    world.asked.forget();
    until("it is repaired", async || match read(&reader).await {
        Ok(read) => {
            assert_eq!(read, std::slice::from_ref(&item), "wrong bytes are served");
            true
        }
        Err(_) => false,
    })
    .await;
    assert_eq!(observed.counter("prb_store_repaired_total{stream=changes}"), 1);
    assert_eq!(told(&["INFO", "repaired", "stream=changes", "height=7"]), 1);
    let fetched = world.asked.changes(&world.network);
    assert!(!fetched.is_empty() && fetched.iter().all(|blocks| *blocks == (7, 7)), "{fetched:?}");

    // On the way: noticed by the reader, which takes it from somebody else where it can.
    let address = provider.address().to_string();
    let does = |head: &str| if head.contains("/v1/blobs/") { Does::Spoil } else { Does::Pass };
    let spoiler = between(address, does).await;
    let alone = self::reader([spoiler.clone()]).await;
    let refused = read(&alone).await.unwrap_err().to_string();
    assert!(refused.contains(&spoiler) && refused.contains("checksum"), "{refused}");
    assert_eq!(observed.counter("prb_remote_refused_answers_total"), 1);
    assert_eq!(told(&["WARN", "answer of a provider refused", &spoiler, "checksum"]), 1);
    let both = self::reader([spoiler, url]).await;
    until("both are known", async || both.providers().iter().all(|provider| provider.usable)).await;
    assert_eq!(read(&both).await.unwrap(), [item]);
    drop((reader, alone, both));
    in_time("the provider stops", provider.stop()).await;
    let store = LmdbStore::open(config.blobs_dir(), LmdbOptions::default()).unwrap();
    assert_eq!(store.verify(&mut |_| {}).unwrap().damages, 0);
}

async fn reader(urls: impl IntoIterator<Item = String>) -> RemoteStore {
    let urls: Vec<String> = urls.into_iter().collect();
    let reader = RemoteStore::connect(urls.iter().map(String::as_str), RemoteOptions::default()).unwrap();
    in_time("a provider answers", reader.ready()).await;
    reader
}

async fn read(reader: &RemoteStore) -> Result<Vec<Blob>, StoreError> {
    reader.read(STREAM, Span::one(AT), 0).await
}

/// Flips a bit of an item in a store that is not in use; the item as it was.
async fn damage(folder: &Path) -> Blob {
    // Stored as it is, so that it is found in the file.
    let options = LmdbOptions { compress: false, ..LmdbOptions::default() };
    let plain = LmdbStore::open(folder, options).unwrap();
    let item = plain.read(STREAM, Span::one(AT), 0).await.unwrap().remove(0);
    plain.repair(STREAM, item.clone()).await.unwrap();
    plain.close().await.unwrap();
    let file = folder.join("data.mdb");
    let mut data = std::fs::read(&file).unwrap();
    let at = data.windows(item.bytes.len()).position(|found| found == item.bytes).unwrap();
    data[at + item.bytes.len() / 2] ^= 1;
    std::fs::write(file, data).unwrap();
    item
}
