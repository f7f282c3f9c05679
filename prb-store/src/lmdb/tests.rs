mod crash;
mod damage;
mod limits;
mod model;
mod opening;
mod packed;
mod prune;
mod readers;
mod space;

use super::{LmdbOptions, LmdbStore};
use prb_core::{
    id::Height,
    port::{Append, Blob, BlobStore, Coverage, Cursor, Rung, Stream},
    span::Span,
    testkit::conform::store::{Synthetic, blob_store, durable_store, node_store},
};
use std::{cell::Cell, path::Path};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_on_disk_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let number = Cell::new(0);
    let make = || {
        number.set(number.get() + 1);
        open(&root.path().join(number.get().to_string()))
    };
    blob_store(make).await;
    node_store(make).await;
    durable_store(|| open(&root.path().join("kept"))).await;
}

/// Everything a reader can see.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    coverage: Option<Coverage>,
    cursor: Option<Cursor>,
    rungs: Vec<Rung>,
    streams: Vec<Vec<Blob>>,
}

async fn content(store: &impl BlobStore) -> Content {
    let mut streams = Vec::new();
    for stream in Stream::ALL {
        streams.push(store.read(stream, whole(stream), usize::MAX).await.unwrap());
    }
    Content {
        coverage: store.coverage().await.unwrap(),
        cursor: store.cursor().await.unwrap(),
        rungs: store.rungs(Height(0), usize::MAX).await.unwrap(),
        streams,
    }
}

/// From where the stream begins to the end of time.
fn whole(stream: Stream) -> Span {
    let first = match stream {
        Stream::RelayHeaders => Synthetic::START.next(),
        Stream::Changes => Height(1),
        _ => Height(0),
    };
    Span::new(first, Height(u32::MAX)).unwrap()
}

/// Both appends in one.
fn joined(relay: Append, changes: Append) -> Append {
    Append { changes: changes.changes, cursor: changes.cursor, ..relay }
}

fn open(folder: &Path) -> LmdbStore {
    LmdbStore::open(folder, small()).unwrap()
}

/// Opens a store that keeps values as they are, so that tests know what lies on disk.
fn open_plain(folder: &Path) -> LmdbStore {
    LmdbStore::open(folder, LmdbOptions { compress: false, ..small() }).unwrap()
}

/// Options of a store whose map begins small.
fn small() -> LmdbOptions {
    LmdbOptions { map_bytes: 512 << 10, max_map_bytes: 64 << 20, ..LmdbOptions::default() }
}
