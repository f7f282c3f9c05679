//! What the tests of server and remote store share.
#![allow(dead_code, unreachable_pub, unused_imports)] // every test file uses another part of it

use async_trait::async_trait;
use bytes::Bytes;
use prb_core::{
    id::Height,
    pipeline::{
        events::Announcer,
        ingest::{Ingest, IngestOptions},
    },
    port::{Append, Blob, BlobStore, Coverage, Cursor, Genesis, Rung, StoreError, Stream},
    span::Span,
    testkit::{FakeChain, FakeSource, Observed, ToyVerifier},
};
use prb_store::{RemoteStore, Server, ServerOptions};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A server on a port of its own, stopped when dropped.
pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl Running {
    pub async fn start(store: Arc<dyn BlobStore>, options: ServerOptions) -> Self {
        Self::start_at(store, options, "127.0.0.1:0").await
    }

    pub async fn start_at(store: Arc<dyn BlobStore>, options: ServerOptions, at: &str) -> Self {
        Self::start_on(store, options, TcpListener::bind(at).await.unwrap())
    }

    pub fn start_on(store: Arc<dyn BlobStore>, options: ServerOptions, listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let server = Server::new(store, options);
        let serving = server.clone();
        let task = Some(tokio::spawn(async move { serving.serve(listener).await }));
        Self { server, address, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends in order; the port is free afterwards.
    pub async fn stop(mut self) {
        self.server.stop();
        self.task.take().unwrap().await.unwrap();
    }

    /// One question on a connection of its own.
    pub async fn get(&self, path: &str) -> Reply {
        self.get_with(path, "").await
    }

    /// The same with more header lines, each ended with CRLF.
    pub async fn get_with(&self, path: &str, headers: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Reply::parse(&bytes)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.stop();
    }
}

/// An answer, taken apart by hand.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let reply = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if let (Some(length), true) = (reply.header("content-length"), status != 304) {
            assert_eq!(length.parse::<usize>().unwrap(), reply.body.len());
        }
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Brings everything of `chain` into `store`.
pub async fn ingest(chain: &FakeChain, store: Arc<dyn BlobStore>) {
    let source = Arc::new(FakeSource::new(chain));
    let verifier = Box::new(ToyVerifier::new());
    let mut ingest = Ingest::new(source, store, verifier, IngestOptions::default(), Announcer::default());
    while ingest.step().await.unwrap() {}
}

/// Waits until these counters have come to `times` together, and no further: some things are counted when the peer knows
/// of them already.
pub async fn counted(observed: &Observed, names: &[&str], times: u64) {
    let sum = || names.iter().map(|name| observed.counter(name)).sum::<u64>();
    let all = async {
        while sum() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), all).await;
    assert!(in_time.is_ok(), "{} of {times} {names:?}", sum());
    assert_eq!(sum(), times, "{names:?}");
}

/// Writes to a store and reads it through a remote one: what is appended is seen by the reader before `append`
/// returns, so that the suite of the port can judge the reader.
pub struct Pair<S> {
    pub writer: Arc<S>,
    pub reader: RemoteStore,
}

#[async_trait]
impl<S: BlobStore> BlobStore for Pair<S> {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        self.reader.ready().await;
        self.reader.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.reader.ready().await;
        self.reader.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.writer.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.reader.ready().await;
        self.reader.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        self.reader.ready().await;
        self.reader.read(stream, span, max_bytes).await
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.writer.append(append).await?;
        self.reader.ready().await;
        let written = self.writer.coverage().await?;
        loop {
            let seen = self.reader.coverage().await?;
            if seen == written {
                return Ok(());
            }
            self.reader.wait(seen).await?;
        }
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.reader.wait(known).await
    }
}

/// All items of a range.
pub async fn all(store: &dyn BlobStore, stream: Stream) -> Vec<Bytes> {
    let Some(coverage) = store.coverage().await.unwrap() else { return Vec::new() };
    let first = match stream {
        Stream::RelayHeaders => coverage.relay.map(Span::first),
        Stream::Changes => coverage.changes.map(Span::first),
        _ => Some(Height(0)),
    };
    let span = Span::new(first.unwrap_or_default(), Height(u32::MAX)).unwrap();
    let blobs = store.read(stream, span, usize::MAX).await.unwrap();
    blobs.into_iter().map(|blob| blob.bytes).collect()
}
