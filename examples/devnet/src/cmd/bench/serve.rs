//! Serving, against bare sockets and against nginx with the same bytes in a file.
//!
//! All three are read by the same reader over the same number of connections; it throws bodies away.

mod nginx;
mod raw;

use super::{
    Scale,
    ingest::ingest_of,
    report::{Goal, Report},
    tape::{Replay, Tape},
};
use anyhow::Context;
use prb_chain::verify::CryptoVerifier;
use prb_core::{
    port::{BlobStore, Stream},
    wire,
};
use prb_store::{LmdbOptions, LmdbStore, Server, ServerOptions};
use raw::Raw;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Connections that read at the same time.
const CONNECTIONS: usize = 4;

/// Bytes of items asked for in one answer.
const ANSWER: usize = 8 << 20;

/// Most items of a range; so many fit an answer.
const ITEMS: usize = 200;

pub(super) async fn run(
    scale: &Scale,
    folder: &Path,
    tape: &Arc<Tape>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let store = Arc::new(filled(&folder.join("served"), tape).await?);
    let provider = Provider::start(store.clone()).await?;
    let last = tape.changes().len().min(ITEMS);
    let path = format!("{}/{}/1/{last}?max_bytes={ANSWER}", wire::BLOBS, Stream::Changes.name());
    let body = Reader::connect(provider.address).await?.get_body(&path).await?;
    report.part(&format!(
        "serving one range of {} bytes again and again over {CONNECTIONS} connections",
        body.len()
    ));
    let time = Duration::from_millis(scale.serve_ms);
    let raw = Raw::start(body.clone().into()).await?;
    let bare = raw.throughput(CONNECTIONS, time).await?;
    let ours = throughput(provider.address, &path, "", time).await?;
    let packed = throughput(provider.address, &path, "accept-encoding: zstd\r\n", time).await?;
    raw.stop().await;
    report.figure("serve.raw_loopback_mb_per_s", "bare sockets, MB/s", bare);
    report.figure("serve.mb_per_s", "prb, MB/s", ours);
    report.goal("serve.ratio_to_raw_loopback", "to bare sockets", ours / bare, Goal::AtLeast(0.7));
    // A packed body is the same range, so it stands for as many bytes.
    let shrunk = Reader::connect(provider.address).await?.get(&path, "accept-encoding: zstd\r\n").await?;
    let logical = packed * body.len() as f64 / shrunk.max(1) as f64;
    report.figure("serve.zstd_logical_mb_per_s", "as zstd, MB/s before packing", logical);
    report.figure("serve.zstd_ratio_to_raw_loopback", "as zstd, to bare sockets", logical / bare);
    match nginx::Nginx::start(&body).await? {
        Some(nginx) => {
            let theirs = throughput(nginx.address, nginx::PATH, "", time).await?;
            nginx.stop();
            report.figure("serve.nginx_mb_per_s", "nginx, MB/s", theirs);
            report.figure("serve.ratio_to_nginx", "to nginx", ours / theirs);
        }
        None => {
            report.say("SKIPPED: nginx is not installed (Debian: nginx-light), so there is no ratio to it");
            report.absent("serve.ratio_to_nginx");
        }
    }
    provider.stop().await;
    store.close().await?;
    Ok(())
}

/// A store that holds everything on the tape.
pub(super) async fn filled(folder: &Path, tape: &Arc<Tape>) -> anyhow::Result<LmdbStore> {
    let store = LmdbStore::open(folder, LmdbOptions::default())?;
    let source = Arc::new(Replay::new(tape.clone()));
    let verifier = Box::new(CryptoVerifier::without_state());
    let mut ingest = ingest_of(source, Arc::new(store.clone()), verifier);
    while ingest.step().await? {}
    Ok(store)
}

/// A server on a port of its own.
pub(super) struct Provider {
    server: Server,
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Provider {
    pub(super) async fn start(store: Arc<dyn BlobStore>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(crate::cmd::local(0)).await?;
        let address = listener.local_addr()?;
        let options =
            ServerOptions { connections: 4096, connections_per_peer: 4096, ..ServerOptions::default() };
        let server = Server::new(store, options);
        let serving = server.clone();
        let task = tokio::spawn(async move { serving.serve(listener).await });
        Ok(Self { server, address, task })
    }

    pub(super) async fn stop(self) {
        self.server.stop();
        let _ = self.task.await; // a crash has told of itself
    }
}

/// MB of bodies per second that several readers get together.
async fn throughput(address: SocketAddr, path: &str, headers: &str, time: Duration) -> anyhow::Result<f64> {
    let bytes = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (bytes, path, headers) = (bytes.clone(), path.to_owned(), headers.to_owned());
        readers.spawn(async move {
            let mut reader = Reader::connect(address).await?;
            while begun.elapsed() < time {
                bytes.fetch_add(reader.get(&path, &headers).await?, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = readers.join_next().await {
        ended.context("a reader crashed")??;
    }
    Ok(bytes.load(Ordering::Relaxed) as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

/// The least an HTTP reader can do: knows the length of a body, and throws it away.
struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; raw::BUFFER] })
    }

    /// Bytes of the body at `path`.
    async fn get(&mut self, path: &str, headers: &str) -> anyhow::Result<u64> {
        let (length, mut left) = self.head(path, headers).await?;
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            anyhow::ensure!(read > 0, "a body ended early");
            left = left.checked_sub(read as u64).context("more than a body")?;
        }
        Ok(length)
    }

    async fn get_body(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let (length, left) = self.head(path, "").await?;
        let begun = (length - left) as usize;
        let mut body = self.buffer[..begun].to_vec();
        body.resize(length as usize, 0);
        self.stream.read_exact(&mut body[begun..]).await?;
        Ok(body)
    }

    /// Asks, and reads up to the body: its length, and how much of it has not come yet. What has is in the buffer.
    async fn head(&mut self, path: &str, headers: &str) -> anyhow::Result<(u64, u64)> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            anyhow::ensure!(read > 0, "no answer to {path}");
            filled += read;
            let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
            anyhow::ensure!(head.starts_with("http/1.1 200 "), "{path} was answered {head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: u64 = length.context("an answer without a length")?.trim().parse()?;
            let come = filled - (end + 4);
            self.buffer.copy_within(end + 4..filled, 0);
            return Ok((length, length.checked_sub(come as u64).context("more than a body")?));
        }
    }
}
