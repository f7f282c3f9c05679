//! Bytes over bare sockets: what a loopback connection can carry at best.

use anyhow::Context;
use bytes::Bytes;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What readers read with.
pub(super) const BUFFER: usize = 256 << 10;

/// Sends the same bytes for each byte that it gets.
pub(super) struct Raw {
    address: SocketAddr,
    length: usize,
    task: JoinHandle<()>,
}

impl Raw {
    pub(super) async fn start(body: Bytes) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(crate::cmd::local(0)).await?;
        let (address, length) = (listener.local_addr()?, body.len());
        let task = tokio::spawn(async move {
            let mut answers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let body = body.clone();
                answers.spawn(async move { answer(stream, &body).await });
            }
        });
        Ok(Self { address, length, task })
    }

    /// MB per second that several readers get together.
    pub(super) async fn throughput(&self, connections: usize, time: Duration) -> anyhow::Result<f64> {
        let (address, length) = (self.address, self.length);
        let begun = Instant::now();
        let mut readers = JoinSet::new();
        for _ in 0..connections {
            readers.spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let mut buffer = vec![0; BUFFER];
                let mut bytes = 0;
                while begun.elapsed() < time {
                    stream.write_all(&[1]).await?;
                    let mut left = length;
                    while left > 0 {
                        let read = stream.read(&mut buffer).await?;
                        anyhow::ensure!(read > 0, "a bare connection ended early");
                        left -= read;
                    }
                    bytes += length;
                }
                Ok(bytes)
            });
        }
        let mut bytes = 0;
        while let Some(read) = readers.join_next().await {
            bytes += read.context("a reader crashed")??;
        }
        Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
    }

    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await; // aborted
    }
}

async fn answer(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut question = [0];
    while stream.read(&mut question).await? > 0 {
        stream.write_all(body).await?;
    }
    Ok(())
}
