//! How fast a hot range is served, against a raw tokio socket that writes the same bytes in the same run:
//! `cargo run --release -p prb-store --example serve_throughput`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use async_trait::async_trait;
use bytes::Bytes;
use prb_core::{
    id::{Hash, Height},
    port::{
        Append, Blob, BlobStore, Coverage, Cursor, Genesis, Rung, StoreError, Stream, source::ChainIdentity,
    },
    span::Span,
};
use prb_store::{Server, ServerOptions};
use std::{sync::Arc, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Bytes of an item, about as much as the storage changes of a live block.
const ITEM: usize = 38 << 10;

/// Items in one answer.
const ITEMS: u32 = 400;

/// Answers in one measurement.
const ANSWERS: usize = 400;

/// Storage changes in memory.
struct Fixed(Vec<Bytes>);

impl Fixed {
    fn coverage() -> Coverage {
        let hash = Hash([7; 32]);
        let identity = ChainIdentity { relay_chain: hash, start: hash, para_genesis: hash, para_id: 1 };
        let changes = Span::new(Height(1), Height(ITEMS));
        Coverage {
            identity,
            parachain: true,
            relay: None,
            para: None,
            changes,
            state_verified: true,
            changes_form: None,
        }
    }
}

#[async_trait]
impl BlobStore for Fixed {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        Ok(None)
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        Ok(Some(Self::coverage()))
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        Ok(None)
    }

    async fn rungs(&self, _: Height, _: usize) -> Result<Vec<Rung>, StoreError> {
        Ok(Vec::new())
    }

    async fn read(&self, _: Stream, span: Span, _: usize) -> Result<Vec<Blob>, StoreError> {
        let item = |height: Height| Some(Blob { height, bytes: self.0.get(height.0 as usize - 1)?.clone() });
        Ok(span.heights().map_while(item).collect())
    }

    async fn append(&self, _: Append) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn wait(&self, _: Option<Coverage>) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

/// Bytes per second of a reader that asks with `question` again and again.
async fn read(address: std::net::SocketAddr, question: &[u8], answer: usize, with_head: bool) -> f64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut buffer = vec![0; 1 << 20];
    let begun = Instant::now();
    for _ in 0..ANSWERS {
        stream.write_all(question).await.unwrap();
        let (mut left, mut filled, mut in_head) = (answer, 0, with_head);
        while in_head {
            let more = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(more > 0, "the answer broke off");
            filled += more;
            if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                left -= filled - (end + 4);
                in_head = false;
            }
        }
        while left > 0 {
            let room = left.min(buffer.len());
            let more = stream.read(&mut buffer[..room]).await.unwrap();
            assert!(more > 0, "the answer broke off");
            left -= more;
        }
    }
    (answer * ANSWERS) as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    let items: Vec<Bytes> = (0..ITEMS).map(|item| vec![item as u8; ITEM].into()).collect();
    let question = format!("GET /v1/blobs/changes/1/{ITEMS} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = listener.local_addr().unwrap();
    let server =
        Server::new(Arc::new(Fixed(items)), ServerOptions { session_bytes: u64::MAX, ..Default::default() });
    tokio::spawn(async move { server.serve(listener).await });
    // One answer to learn its size.
    let mut stream = TcpStream::connect(served).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let text = String::from_utf8(head.clone()).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let body: usize = length.parse().unwrap();
    drop(stream);

    let raw = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let raw_address = raw.local_addr().unwrap();
    tokio::spawn(async move {
        let answer = vec![7; body];
        loop {
            let (mut stream, _) = raw.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut byte = [0; 64];
                while stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });

    println!("head of {} bytes, body of {body}", head.len());
    for round in 1..=5 {
        let http = read(served, &question, body, true).await;
        let plain = read(raw_address, b"x", body, false).await;
        println!(
            "round {round}: served {:.2} GB/s, raw {:.2} GB/s, ratio {:.2}",
            http / 1e9,
            plain / 1e9,
            http / plain
        );
    }
}
