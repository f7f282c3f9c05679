//! Limits of a server.

use crate::tls::ServerTls;
use prb_core::id::Hash;
use std::{fmt, time::Duration};

/// How much a server gives to whom. The defaults suit a provider that feeds some hundred machines.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Most bytes of items in one answer. Larger saves round trips, smaller keeps memory free. A single item that is
    /// larger is still answered, alone. Typical: 16 MiB.
    pub response_bytes: usize,
    /// Most bytes of answers under way on all connections together; who comes later waits a moment and then is
    /// answered 429. Typical: 256 MiB.
    pub memory_bytes: usize,
    /// The same for one connection. Over HTTP/1.1 answers come one at a time; over HTTP/2 this bounds what one reader
    /// may have under way. Typical: 64 MiB.
    pub session_memory_bytes: usize,
    /// How long a request waits for its share of [`Self::memory_bytes`] and [`Self::session_memory_bytes`].
    pub memory_wait: Duration,
    /// Bytes of items kept for readers that ask for the same. They are sent as they are, without reading the store,
    /// unpacking or summing up again. 0 keeps none. Typical: 128 MiB.
    pub cache_bytes: usize,
    /// Bytes after which a connection is closed, so that load spreads anew. Typical: 64 GiB.
    pub session_bytes: u64,
    /// Most connections.
    pub connections: usize,
    /// Most connections of one address.
    pub connections_per_peer: usize,
    /// Most questions under way on one HTTP/2 connection.
    pub streams: u32,
    /// Time for a request's head to arrive, for a TLS handshake, and longest silence between requests.
    pub head_deadline: Duration,
    /// Largest head of a request, bytes; larger ones are answered 431.
    pub head_bytes: usize,
    /// A reader that takes less than [`Self::stall_bytes`] within this time is cut off.
    pub stall_window: Duration,
    /// See [`Self::stall_window`].
    pub stall_bytes: u64,
    /// Time for answers under way when the server stops.
    pub grace: Duration,
    /// Level of zstd for readers that ask for it. 1 keeps up with a fast network.
    pub zstd_level: i32,
    /// Who does not know it is answered 401. None lets everybody read who reaches the port.
    pub token: Option<Token>,
    /// Speak TLS, and nothing else.
    pub tls: Option<ServerTls>,
    /// What `/metrics` answers: the metrics of the process as text for Prometheus, where they are recorded. None: the path is
    /// not there.
    pub metrics: Option<fn() -> Option<String>>,
    /// Answer `/healthz`, `/readyz` and `/metrics`, and nothing of the store.
    pub only_health: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            response_bytes: 16 << 20,
            memory_bytes: 256 << 20,
            session_memory_bytes: 64 << 20,
            memory_wait: Duration::from_secs(5),
            cache_bytes: 128 << 20,
            session_bytes: 64 << 30,
            connections: 512,
            connections_per_peer: 64,
            streams: 32,
            head_deadline: Duration::from_secs(15),
            head_bytes: 8 << 10,
            stall_window: Duration::from_secs(10),
            stall_bytes: 64 << 10,
            grace: Duration::from_secs(5),
            zstd_level: 1,
            token: None,
            tls: None,
            metrics: None,
            only_health: false,
        }
    }
}

/// A bearer token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of at least 16 visible ASCII characters.
    pub fn new(token: impl Into<String>) -> Result<Self, BadToken> {
        let token = token.into();
        if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadToken);
        }
        Ok(Self(token))
    }

    /// Value of the `Authorization` header that shows it.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a request's header shows it. Hashes are compared, so the time taken tells nothing of the token.
    pub fn is_shown(&self, header: Option<&[u8]>) -> bool {
        header.is_some_and(|header| Hash::of(header) == Hash::of(self.header().as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has at least 16 visible ASCII characters and no spaces")]
pub struct BadToken;
