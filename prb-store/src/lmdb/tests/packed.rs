use super::*;
use crate::{
    Part,
    lmdb::{env, space},
};
use prb_core::port::StoreError;

#[tokio::test]
async fn dictionaries_are_made_and_every_item_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (packed, plain) = (folder.path().join("packed"), folder.path().join("plain"));
    let (packed, plain) = (open(&packed), open_plain(&plain));
    fill(&packed).await;
    fill(&plain).await;

    assert_eq!(content(&packed).await, content(&plain).await);
    assert_eq!(content(&open_again(packed)).await, content(&plain).await);
    let stored = |store: &LmdbStore| {
        let found = store.verify(&mut |_| {}).unwrap();
        assert_eq!(found.damaged, []);
        found.tallies.iter().map(|tally| tally.stored_bytes).sum::<u64>()
    };
    let again = open(&folder.path().join("packed"));
    assert!(stored(&again) < stored(&plain) / 2);
    assert!(dictionaries(&again) >= 3);
    let item = again.inspect(Stream::Changes, Height(60)).unwrap().unwrap();
    assert_eq!((item.encoding, item.dictionary.is_some()), ("packed with a dictionary", true));
}

#[tokio::test]
async fn store_of_the_first_format_is_read_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Synthetic::new(1);
    {
        // What format 1 wrote: plain values, no dictionaries.
        let _writer = space::lock(folder.path()).unwrap();
        drop(env::open_with(folder.path(), &small(), 1 << 20, &[]).unwrap());
    }
    let old = open_plain(folder.path());
    old.append(chain.begin()).await.unwrap();
    old.append(chain.changes(30, 400)).await.unwrap();
    old.inner
        .write(|tables, txn| {
            tables.meta.delete(txn, env::meta::PACKING)?;
            tables.meta.delete(txn, env::meta::FORMAT)?;
            let one = 1u32.to_le_bytes();
            let entry = [one, crc32c::crc32c(&one).to_le_bytes()].concat();
            Ok(tables.meta.put(txn, env::meta::FORMAT, &entry)?)
        })
        .unwrap();
    let before = content(&old).await;
    drop(old);

    let store = open(folder.path());
    assert_eq!(content(&store).await, before);
    store.append(chain.changes(30, 400)).await.unwrap();
    assert_eq!(store.inspect(Stream::Changes, Height(1)).unwrap().unwrap().encoding, "plain");
    assert_eq!(store.read(Stream::Changes, whole(Stream::Changes), usize::MAX).await.unwrap().len(), 60);
    assert!(dictionaries(&store) > 0);
}

#[tokio::test]
async fn damaged_dictionary_damages_its_items_until_they_are_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut chain = fill(&store).await;
    let blobs = store.read(Stream::Changes, whole(Stream::Changes), usize::MAX).await.unwrap();
    damage_dictionaries(&store);
    let store = open_again(store);

    let held = store.read(Stream::Changes, whole(Stream::Changes), usize::MAX).await.unwrap();
    let first = Height(held.len() as u32 + 1);
    let found = store.verify(&mut |_| {}).unwrap();
    let names: Vec<_> = found.damaged.iter().map(ToString::to_string).collect();
    assert!(names.contains(&format!("changes at {first} is damaged")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("dictionaries at 0x")), "{names:?}");
    let answer = store.read(Stream::Changes, Span::one(first), 0).await;
    assert!(
        matches!(answer, Err(StoreError::Damaged { stream: Stream::Changes, height }) if height == first)
    );

    for blob in &blobs[held.len()..] {
        store.repair(Stream::Changes, blob.clone()).await.unwrap();
    }
    store.append(chain.changes(40, 400)).await.unwrap();
    let store = open_again(store);
    let healed = store.read(Stream::Changes, whole(Stream::Changes), usize::MAX).await.unwrap();
    assert_eq!(healed[..blobs.len()], blobs);
    assert_eq!(healed.len(), blobs.len() + 40, "what was added later does not need the damaged one");
}

#[tokio::test]
async fn append_that_fails_after_making_a_dictionary_leaves_nothing_behind() {
    use crate::{FailPoint, Failing, Step};
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    let folder = tempfile::tempdir().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    let decide = armed.clone();
    let fail_point = FailPoint::new(move |step| {
        (step == Step::Changes && decide.load(Ordering::SeqCst)).then_some(Failing::Broken)
    });
    let store =
        LmdbStore::open(folder.path(), LmdbOptions { fail_point: Some(fail_point), ..small() }).unwrap();
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();

    armed.store(true, Ordering::SeqCst);
    let mut other = chain.clone();
    store.append(other.changes(40, 900)).await.unwrap_err();
    armed.store(false, Ordering::SeqCst);
    assert_eq!(dictionaries(&store), 0);
    let append = chain.changes(40, 500);
    store.append(append.clone()).await.unwrap();

    let read = store.read(Stream::Changes, whole(Stream::Changes), usize::MAX).await.unwrap();
    assert_eq!(read, append.changes);
    assert!(dictionaries(&store) > 0);
}

/// Fills every stream so that dictionaries are made in the middle of appends.
async fn fill(store: &LmdbStore) -> Synthetic {
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    for _ in 0..4 {
        store.append(chain.relay(60, 60, true)).await.unwrap();
        store.append(chain.changes(25, 400)).await.unwrap();
    }
    chain
}

fn open_again(store: LmdbStore) -> LmdbStore {
    let folder = store.folder().to_owned();
    drop(store);
    open(&folder)
}

fn dictionaries(store: &LmdbStore) -> u64 {
    let stat = store.stat().unwrap();
    stat.tables.iter().find(|table| table.part == Part::Dictionaries).unwrap().items
}

fn damage_dictionaries(store: &LmdbStore) {
    store
        .inner
        .write(|tables, txn| {
            let all: Result<Vec<_>, _> = tables.dictionaries.iter(txn)?.collect();
            let all: Vec<_> = all?.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            for (key, mut value) in all {
                *value.last_mut().unwrap() ^= 1;
                tables.dictionaries.put(txn, &key, &value)?;
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn repair_takes_only_what_was_verified() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store).await;
    for (stream, height) in [(Stream::Changes, 7), (Stream::Justifications, 160), (Stream::ParaHeads, 160)] {
        let span = Span::one(Height(height));
        let right = store.read(stream, span, 0).await.unwrap().remove(0);
        let wrong = Blob { bytes: [&right.bytes[..], b"!"].concat().into(), ..right.clone() };
        let refused = store.repair(stream, wrong).await;
        assert!(matches!(refused, Err(StoreError::Unrepairable { .. })), "{stream}: {refused:?}");
        store.repair(stream, right.clone()).await.unwrap();
        assert_eq!(store.read(stream, span, 0).await.unwrap(), [right]);
    }
}
