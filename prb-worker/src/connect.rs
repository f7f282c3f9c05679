//! How a driver gets a connection to its worker.

use std::io;

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{endpoint::Endpoint, tls::Tls};

/// A byte stream to a worker.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to workers: TCP by default, something in between (a tunnel, an in-memory pipe) by choice.
///
/// # Contract
///
/// - Each call opens a connection of its own; nothing is pooled behind it.
/// - The driver drops the returned future when its time for connecting is over.
#[async_trait]
pub trait Connect: Send + Sync {
    /// A new connection to `endpoint`.
    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>>;
}

/// TCP without Nagle's delay, with TLS for `https`. Names are looked up at each connect, so a worker may move.
#[derive(Clone, Debug, Default)]
pub struct Tcp {
    tls: Option<Tls>,
}

impl Tcp {
    /// Believes whom `tls` believes, where the default is whom the system believes.
    pub fn with_tls(tls: Tls) -> Self {
        Self { tls: Some(tls) }
    }
}

#[async_trait]
impl Connect for Tcp {
    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
        stream.set_nodelay(true)?;
        if !endpoint.is_secure() {
            return Ok(Box::new(stream));
        }
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => Tls::system().map_err(io::Error::other)?,
        };
        tls.connect(endpoint.host(), stream).await
    }
}
