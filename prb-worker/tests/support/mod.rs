//! A scripted worker at the other end of an in-memory pipe: every byte and the clock are the test's.
#![allow(dead_code, unreachable_pub)] // every test file uses another part of it

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use prb_core::port::worker::{HeadersRequest, ParaHeadersRequest};
use prb_worker::{Connect, Endpoint, Options, PrpcDriver, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::sleep,
};

/// What the worker does with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers and keeps the connection.
    Reply(u16, Vec<u8>),
    /// Answers, then closes the connection.
    ReplyAndClose(u16, Vec<u8>),
    /// Answers after working for a while.
    Work(Duration, Vec<u8>),
    /// Writes these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Writes these bytes over and over.
    Flood(Vec<u8>, Vec<u8>),
    /// Answers 200 with this body, one byte a second.
    Trickle(Vec<u8>),
    /// Writes these bytes, then nothing.
    Stall(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Answers when it has seen the head, without reading the body, and closes.
    Early(u16, Vec<u8>),
    /// Reads the body at one byte a second.
    SlowReader,
}

/// A request the worker has read.
#[derive(Clone, Debug)]
pub struct Seen {
    pub connection: usize,
    pub head: String,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    acts: VecDeque<Act>,
    seen: Vec<Seen>,
    connections: usize,
    in_flight: usize,
    peak: usize,
}

/// The scripted worker. Without an act left it answers 200 and nothing.
#[derive(Clone, Default)]
pub struct Stub {
    state: Arc<Mutex<State>>,
    refuse: Arc<Mutex<Option<Refuse>>>,
}

/// How connecting fails.
#[derive(Clone, Copy, Debug)]
pub enum Refuse {
    Error,
    Hang,
    /// The connection is made, and closed at once.
    CloseAtOnce,
}

impl Stub {
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let stub = Self::default();
        stub.state.lock().unwrap().acts.extend(acts);
        stub
    }

    pub fn refuse(&self, how: Refuse) {
        *self.refuse.lock().unwrap() = Some(how);
    }

    pub fn driver(&self) -> PrpcDriver {
        self.driver_with(Options::default())
    }

    pub fn driver_with(&self, options: Options) -> PrpcDriver {
        PrpcDriver::with_connector("http://worker.test:8000/base", options, Arc::new(self.clone())).unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The connection each request came on.
    pub fn connections(&self) -> Vec<usize> {
        self.seen().iter().map(|seen| seen.connection).collect()
    }

    pub fn peak_in_flight(&self) -> usize {
        self.state.lock().unwrap().peak
    }

    async fn serve(self, connection: usize, mut stream: DuplexStream) -> io::Result<()> {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8(head).unwrap();
            let length = content_length(&head);
            let act = {
                let mut state = self.state.lock().unwrap();
                state.in_flight += 1;
                state.peak = state.peak.max(state.in_flight);
                state.acts.pop_front().unwrap_or(Act::Reply(200, Vec::new()))
            };
            let mut body = vec![0; length];
            match act {
                Act::Early(..) => body.clear(),
                Act::SlowReader => {
                    for byte in &mut body {
                        *byte = stream.read_u8().await?;
                        sleep(Duration::from_secs(1)).await;
                    }
                }
                _ => {
                    stream.read_exact(&mut body).await?;
                }
            }
            self.state.lock().unwrap().seen.push(Seen { connection, head, body });
            let keep = act.perform(&mut stream).await;
            self.state.lock().unwrap().in_flight -= 1;
            if !keep? {
                return Ok(());
            }
        }
    }
}

impl Act {
    /// Whether the connection stays open.
    async fn perform(self, stream: &mut DuplexStream) -> io::Result<bool> {
        match self {
            Self::Reply(status, body) => stream.write_all(&answer(status, &body)).await.map(|()| true),
            Self::ReplyAndClose(status, body) | Self::Early(status, body) => {
                stream.write_all(&answer(status, &body)).await.map(|()| false)
            }
            Self::Work(time, body) => {
                sleep(time).await;
                stream.write_all(&answer(200, &body)).await.map(|()| true)
            }
            Self::Raw(bytes) => stream.write_all(&bytes).await.map(|()| false),
            Self::Flood(head, bytes) => {
                stream.write_all(&head).await?;
                loop {
                    stream.write_all(&bytes).await?;
                }
            }
            Self::Trickle(body) => {
                let answer = answer(200, &body);
                let (head, body) = answer.split_at(answer.len() - body.len());
                stream.write_all(head).await?;
                for byte in body {
                    stream.write_all(&[*byte]).await?;
                    sleep(Duration::from_secs(1)).await;
                }
                Ok(true)
            }
            Self::Stall(bytes) => {
                stream.write_all(&bytes).await?;
                // Until the driver hangs up.
                stream.read_u8().await.map(|_| false)
            }
            Self::SlowReader => stream.write_all(&answer(200, &[])).await.map(|()| true),
            Self::Close => Ok(false),
        }
    }
}

#[async_trait]
impl Connect for Stub {
    async fn connect(&self, _: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let refuse = *self.refuse.lock().unwrap();
        match refuse {
            Some(Refuse::Error) => return Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
            Some(Refuse::Hang) => std::future::pending().await,
            Some(Refuse::CloseAtOnce) => return Ok(Box::new(tokio::io::duplex(1).0)),
            None => {}
        }
        let (near, far) = tokio::io::duplex(64 << 10);
        let connection = {
            let mut state = self.state.lock().unwrap();
            state.connections += 1;
            state.connections
        };
        let stub = self.clone();
        // Ends with an error when the driver hangs up, which is the driver's right.
        tokio::spawn(async move { stub.serve(connection, far).await.ok() });
        Ok(Box::new(near))
    }
}

/// An HTTP answer with its length.
pub fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} Any\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Body of a `PrpcError`.
pub fn prpc_error(message: &str) -> Vec<u8> {
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(message.len() as u64, &mut body);
    body.extend_from_slice(message.as_bytes());
    body
}

pub fn headers() -> HeadersRequest {
    HeadersRequest {
        headers: vec!["one".into(), "two".into()],
        justification: "because".into(),
        set_change: None,
    }
}

pub fn para_headers() -> ParaHeadersRequest {
    ParaHeadersRequest { headers: vec!["three".into()], proof: vec!["node".into()] }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap())
        })
        .expect("every request has its length")
}
