//! A bridge repairs what is damaged on disk, from its source.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use prb_core::{
    id::Height,
    pipeline::Bridge,
    port::{BlobStore, StoreError, Stream},
    span::Span,
    testkit::{Corruption, FakeChain, FakeSource, SourceCall, SourceFault, ToyVerifier},
};
use prb_store::{LmdbOptions, LmdbStore};
use std::{fs, sync::Arc};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_items_of_all_streams_are_fetched_again() {
    let world = World::new().await;
    let all = world.all().await;
    for stream in Stream::ALL {
        assert!(all.iter().any(|item| item.0 == stream), "the chain has {stream}");
    }
    // The newest rung is replaced by the next append, and is not repaired.
    let last = world.chain.tips().relay;
    let damaged: Vec<_> = all.iter().filter(|item| is_kept(item, last)).collect();
    world.damage(damaged.iter().copied());

    let store = world.open();
    let found = store.verify(&mut |_| {}).unwrap();
    assert_eq!(found.damages, damaged.len() as u64, "{:?}", found.damaged);
    let bridge = world.bridge(store.clone()).await;
    for (stream, height, bytes) in &all {
        let read = bridge.store().read(*stream, Span::one(*height), 0).await.unwrap();
        assert_eq!(read[0].bytes, bytes, "{stream} at {height}");
    }
    bridge.stop().await;
    assert_eq!(bridge.failure(), None);
    assert_eq!(store.verify(&mut |_| {}).unwrap().damages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_source_answers_wrongly_is_not_stored() {
    for (stream, corruption) in
        [(Stream::ParaHeaders, Corruption::Garbage), (Stream::Changes, Corruption::ChangesValue)]
    {
        let world = World::new().await;
        let item = world.all().await.into_iter().find(|item| item.0 == stream).unwrap();
        world.damage([&item]);
        let store = world.open();
        let asked = move |call: &SourceCall| match stream {
            Stream::Changes => matches!(call, SourceCall::Changes(_)),
            _ => matches!(call, SourceCall::ParaHeaders(_)),
        };
        world.source.hook().always(asked, SourceFault::Corrupt(corruption));
        let bridge = world.bridge(store.clone()).await;

        let answer = bridge.store().read(stream, Span::one(item.1), 0).await;
        let shown = format!("{answer:?}");
        match answer {
            Err(StoreError::Damaged { .. }) if stream == Stream::Changes => {}
            Err(StoreError::Backend(_)) if stream == Stream::ParaHeaders => {}
            _ => panic!("{stream}: {shown}"),
        }
        assert_eq!(store.verify(&mut |_| {}).unwrap().damages, 1);
        bridge.stop().await;
    }
}

type Item = (Stream, Height, Bytes);

fn is_kept(item: &Item, newest: Height) -> bool {
    !matches!(item.0, Stream::Justifications | Stream::ParaHeads | Stream::SetChanges) || item.1 != newest
}

struct World {
    chain: FakeChain,
    source: FakeSource,
    folder: tempfile::TempDir,
}

impl World {
    /// A chain with everything in the store.
    async fn new() -> Self {
        let chain = FakeChain::builder(1).padding(60).build();
        chain.advance(33);
        let world = Self { source: FakeSource::new(&chain), chain, folder: tempfile::tempdir().unwrap() };
        let store = world.open();
        let bridge = world.bridge(store.clone()).await;
        loop {
            let known = store.coverage().await.unwrap();
            let (relay, changes) = known.map_or((None, None), |known| (known.relay, known.changes));
            let tips = world.chain.tips();
            if relay.map(Span::last) == Some(tips.relay) && changes.map(Span::last) == Some(tips.para) {
                break;
            }
            store.wait(known).await.unwrap();
        }
        bridge.stop().await;
        store.close().await.unwrap();
        world
    }

    fn open(&self) -> Arc<LmdbStore> {
        // Plain, so that the test finds items in the file.
        let options = LmdbOptions { compress: false, ..LmdbOptions::default() };
        Arc::new(LmdbStore::open(self.folder.path(), options).unwrap())
    }

    async fn bridge(&self, store: Arc<LmdbStore>) -> Bridge {
        let builder = Bridge::builder().source(self.source.clone(), ToyVerifier::new());
        builder.store(store).start().await.unwrap()
    }

    /// Everything stored.
    async fn all(&self) -> Vec<Item> {
        let store = self.open();
        let mut all = Vec::new();
        for stream in Stream::ALL {
            for height in 0..=self.chain.tips().relay.0 {
                let read = store.read(stream, Span::one(Height(height)), 0).await.unwrap();
                all.extend(read.into_iter().map(|blob| (stream, blob.height, blob.bytes)));
            }
        }
        store.close().await.unwrap();
        all
    }

    /// Flips a bit of each item, wherever its value lies in the file.
    fn damage<'i>(&self, items: impl IntoIterator<Item = &'i Item>) {
        let path = self.folder.path().join("data.mdb");
        let mut data = fs::read(&path).unwrap();
        for (stream, height, bytes) in items {
            // The layout of a plain value: encoding, checksum with table and key, bytes.
            let sum = [&[*stream as u8, 0], &height.0.to_be_bytes()[..], bytes].concat();
            let value = [&[0], &crc32c::crc32c(&sum).to_le_bytes()[..], bytes].concat();
            let found = data.windows(value.len()).enumerate().filter(|(_, found)| *found == value);
            let places: Vec<_> = found.map(|(at, _)| at).collect();
            assert!(!places.is_empty(), "{stream} at {height} is in the file");
            for at in places {
                data[at + value.len() - 1] ^= 1;
            }
        }
        fs::write(path, data).unwrap();
    }
}
