//! The suite of the port, read through a server.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use prb_core::{port::BlobStore, testkit::conform::store::blob_store};
use prb_store::{LmdbOptions, LmdbStore, MemoryStore, RemoteOptions, RemoteStore, Server, ServerOptions};
use std::sync::Arc;
use support::Pair;

fn pair<S: BlobStore + 'static>(store: S, server: ServerOptions, remote: RemoteOptions) -> Pair<S> {
    let writer = Arc::new(store);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let server = Server::new(writer.clone(), server);
    tokio::spawn(async move { server.serve(listener).await });
    Pair { writer, reader: RemoteStore::connect([url.as_str()], remote).unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_store_over_one_in_memory_keeps_the_contract() {
    blob_store(|| pair(MemoryStore::new(), ServerOptions::default(), RemoteOptions::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_store_over_one_on_disk_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    let open = || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        LmdbStore::open(folder.path().join(number.to_string()), LmdbOptions::default()).unwrap()
    };
    blob_store(|| pair(open(), ServerOptions::default(), RemoteOptions::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_answers_and_compression_change_nothing() {
    let server = ServerOptions { response_bytes: 700, ..ServerOptions::default() };
    let remote = RemoteOptions { zstd: true, chunk_bytes: 900, ..RemoteOptions::default() };
    blob_store(|| pair(MemoryStore::new(), server.clone(), remote.clone())).await;
    let no_cache = RemoteOptions { cache_bytes: 0, ..RemoteOptions::default() };
    blob_store(|| pair(MemoryStore::new(), server.clone(), no_cache.clone())).await;
}
