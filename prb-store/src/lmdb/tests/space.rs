use super::*;
use prb_core::port::StoreError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_map_grows_under_readers() {
    const BLOCKS: u32 = 20;
    let folder = tempfile::tempdir().unwrap();
    let store = open_plain(folder.path());
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                let held = store.read(Stream::Changes, whole(Stream::Changes), usize::MAX).await.unwrap();
                assert_eq!(held.len() % 2, 0, "whole appends only");
                if held.len() == 2 * BLOCKS as usize {
                    break;
                }
            }
        }
    });

    for _ in 0..BLOCKS {
        store.append(chain.changes(2, 200_000)).await.unwrap();
    }

    reading.await.unwrap();
    assert!(store.disk_bytes().await.unwrap() > 4 * small().map_bytes);
    let counts = store.counts().await.unwrap();
    assert!(counts.streams.contains(&(Stream::Changes, 2 * u64::from(BLOCKS))));
    let before = content(&store).await;
    drop(store);
    assert_eq!(content(&open(folder.path())).await, before, "a grown file opens with a small map");
}

#[tokio::test]
async fn map_at_its_limit_refuses_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let options = LmdbOptions { max_map_bytes: 1 << 20, compress: false, ..small() };
    let store = LmdbStore::open(folder.path(), options).unwrap();
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    store.append(chain.changes(1, 1000)).await.unwrap();
    let before = content(&store).await;

    let refused = store.append(chain.clone().changes(1, 2 << 20)).await;

    assert!(matches!(refused, Err(StoreError::MapFull { bytes }) if bytes == 1 << 20), "{refused:?}");
    assert_eq!(content(&store).await, before);
    store.append(chain.changes(1, 1000)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_gives_space_back_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut chain = Synthetic::new(1);
    chain.keep_state(true);
    store.append(chain.begin()).await.unwrap();
    store.append(chain.relay(50, 20, true)).await.unwrap();
    let node = |number: u8, references| prb_core::port::NodeChange {
        hash: prb_core::id::Hash([number; 32]),
        references,
        node: (references > 0).then(|| vec![number; 100_000].into()),
    };
    store.append(chain.nodes((0..30).map(|number| node(number, 1)).collect())).await.unwrap();
    store.append(chain.nodes((0..30).map(|number| node(number, -1)).collect())).await.unwrap();
    let (before, size) = (content(&store).await, store.disk_bytes().await.unwrap());

    let reading = tokio::spawn({
        let (store, before) = (store.clone(), before.clone());
        async move {
            for _ in 0..20 {
                assert_eq!(content(&store).await, before);
            }
        }
    });
    store.compact().await.unwrap();
    reading.await.unwrap();

    assert!(store.disk_bytes().await.unwrap() < size / 4);
    assert_eq!(content(&store).await, before);
    store.append(chain.relay(1, 1, false)).await.unwrap();
    drop(store);
    assert_eq!(open(folder.path()).cursor().await.unwrap().as_ref(), Some(chain.cursor()));
}

#[tokio::test]
async fn file_is_not_exchanged_while_another_process_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();

    let reading = crate::lmdb::space::lock_reading(folder.path()).unwrap();
    assert!(matches!(store.compact().await, Err(StoreError::Locked { .. })));
    store.append(chain.changes(3, 100)).await.unwrap();
    drop(reading);
    store.compact().await.unwrap();
}

#[tokio::test]
async fn a_store_that_could_not_be_opened_again_recovers_with_the_next_append() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    let (data, aside) = (folder.path().join("data.mdb"), folder.path().join("aside"));
    let exchanged = store.inner.exchange(&mut store.inner.gate.write().unwrap(), || {
        std::fs::rename(&data, &aside)?;
        std::fs::write(&data, [7; 8192])
    });
    assert!(exchanged.is_err());
    assert!(store.cursor().await.is_err());
    let append = chain.relay(1, 1, false);
    assert!(store.append(append.clone()).await.is_err(), "the cause is still there");

    std::fs::rename(&aside, &data).unwrap();
    store.append(append).await.unwrap();

    assert_eq!(store.cursor().await.unwrap().as_ref(), Some(chain.cursor()));
    store.close().await.unwrap();
    assert!(store.append(chain.relay(1, 1, false)).await.is_err(), "closed stays closed");
}
