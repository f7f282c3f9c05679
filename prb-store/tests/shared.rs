//! A store that many read at once.
#![allow(clippy::unwrap_used, missing_docs)]

use prb_core::{
    id::Height,
    port::{BlobStore, StoreError, Stream},
    span::Span,
    testkit::{
        ScriptedStore, StoreCall, StoreFault,
        conform::store::{Synthetic, blob_store},
    },
};
use prb_store::{LmdbOptions, LmdbStore, MemoryStore, SharedOptions, SharedStore};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

fn span(first: u32, last: u32) -> Span {
    Span::new(Height(first), Height(last)).unwrap()
}

/// A store of a few blocks with a script and a count of reads.
async fn counted() -> (ScriptedStore, Arc<AtomicUsize>) {
    let store = MemoryStore::new();
    let mut chain = Synthetic::new(7);
    store.append(chain.begin()).await.unwrap();
    store.append(chain.relay(30, 20, true)).await.unwrap();
    store.append(chain.changes(20, 100)).await.unwrap();
    let (store, reads) = (ScriptedStore::new(Arc::new(store)), Arc::new(AtomicUsize::new(0)));
    let count = reads.clone();
    store.hook().set(move |call| {
        let is_read = matches!(call, StoreCall::Read(..));
        count.fetch_add(usize::from(is_read), Relaxed);
        is_read.then_some(StoreFault::Slow(Duration::from_secs(1)))
    });
    (store, reads)
}

#[tokio::test]
async fn the_contract_is_kept() {
    let shared = |store, options| SharedStore::new(store, options);
    blob_store(|| shared(Arc::new(MemoryStore::new()), SharedOptions::default())).await;
    let none = SharedOptions { cache_bytes: 0, ..SharedOptions::default() };
    blob_store(|| shared(Arc::new(MemoryStore::new()), none)).await;
    let folder = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    blob_store(|| {
        let path = folder.path().join(number.fetch_add(1, Relaxed).to_string());
        shared(Arc::new(LmdbStore::open(path, LmdbOptions::default()).unwrap()), SharedOptions::default())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn x24_many_readers_at_one_place_cost_one_read_and_share_its_bytes() {
    let (store, reads) = counted().await;
    let shared = SharedStore::new(Arc::new(store), SharedOptions::default());
    let read = |last| shared.read(Stream::Changes, span(1, last), 100_000);
    let all = futures::future::join_all((0..100).map(|_| read(10))).await;
    assert_eq!(reads.load(Relaxed), 1);
    let places: std::collections::BTreeSet<_> =
        all.iter().map(|blobs| blobs.as_ref().unwrap()[0].bytes.as_ptr()).collect();
    assert_eq!(places.len(), 1);
    // Who wants more reads only what is missing.
    let more = read(20).await.unwrap();
    assert_eq!((more.len(), reads.load(Relaxed)), (20, 2));
    assert_eq!(read(20).await.unwrap(), more);
    assert_eq!(reads.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_tried_again_by_the_next_and_never_kept() {
    let (store, _) = counted().await;
    store.hook().times(2, |call| matches!(call, StoreCall::Read(..)), StoreFault::Damaged);
    let shared = SharedStore::new(Arc::new(store), SharedOptions::default());
    let read = || shared.read(Stream::Changes, span(1, 10), 100_000);
    let all = futures::future::join_all((0..5).map(|_| read())).await;
    assert_eq!(all.iter().filter(|read| matches!(read, Err(StoreError::Damaged { .. }))).count(), 2);
    assert!(all.iter().flatten().all(|blobs| blobs.len() == 10));
}
