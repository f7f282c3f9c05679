//! Questions to one provider over kept-alive connections.

use super::{RemoteOptions, hedge::Pulse};
use crate::{
    archive::shown,
    tls::{ClientTls, handshake_failed},
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::{Body, Incoming},
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use prb_core::fault::described;
use rustls::pki_types::ServerName;
use std::{
    io::Read,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    task::AbortHandle,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

/// A connection idle for longer is not used again: the provider is about to close it.
const IDLE: Duration = Duration::from_secs(10);

/// A body is a sign of life once in so many bytes: a provider that drips is as bad as one that is silent.
const BEAT_BYTES: usize = 64 << 10;

/// Largest window of a compressed answer, as a power of two: 16 MiB.
const ZSTD_WINDOW: u32 = 24;

/// What it may be where the answer is none.
const NO_HTTP: &str = "; what it answers is no HTTP: if it speaks TLS, write https://";

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    base: String,
}

/// A text that is not the address of a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no address of a data provider: {cause}; write for example http://10.0.0.5:8012")]
pub struct BadAddress {
    /// The text, without what may be a password or a token.
    pub url: String,
    /// Why not.
    pub cause: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, BadAddress> {
        let bad = |cause: &str| BadAddress { url: shown(url), cause: cause.to_owned() };
        let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some("ws" | "wss") => {
                return Err(bad(
                    "that is how nodes are named, in chain.relay and chain.para; it must begin with http:// or https://",
                ));
            }
            _ => return Err(bad("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(bad("user names and parameters are not taken; a token is an option of its own"));
        }
        Ok(Self {
            secure,
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.to_string(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.base)
    }

    fn is_secure(&self) -> bool {
        self.secure
    }

    /// How to speak to who is there, none without TLS.
    pub(super) fn tls(&self, options: &RemoteOptions) -> Result<Option<ClientTls>, BadAddress> {
        if !self.is_secure() {
            return Ok(None);
        }
        if let Some(tls) = &options.tls {
            return Ok(Some(tls.clone()));
        }
        let bad = |cause: crate::tls::TlsError| BadAddress { url: self.url(), cause: cause.to_string() };
        ClientTls::system().map(Some).map_err(bad)
    }
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Asks one provider.
pub(super) struct Client {
    address: Address,
    tls: Option<ClientTls>,
    options: RemoteOptions,
    idle: Mutex<Vec<Connection>>,
    slots: Semaphore,
}

struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    task: AbortHandle,
    since: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    pub(super) fn new(address: Address, tls: Option<ClientTls>, options: RemoteOptions) -> Self {
        let slots = Semaphore::new(options.connections.max(1));
        Self { address, tls, options, idle: Mutex::default(), slots }
    }

    /// A question for data: at most `cap` bytes of answer, one of a bounded number at a time.
    pub(super) async fn ask(&self, path: &str, cap: usize, pulse: &Pulse) -> Result<Reply, String> {
        let asked = async {
            let _slot = self.slots.acquire().await.map_err(|error| error.to_string())?;
            pulse.beat();
            self.exchange(path, cap, pulse).await
        };
        let patience = self.options.answer_deadline;
        timeout(patience, asked).await.unwrap_or_else(|_| Err(format!("no answer within {patience:?}")))
    }

    /// A question that the provider may hold for `wait`.
    pub(super) async fn ask_for_news(&self, path: &str, cap: usize, wait: Duration) -> Result<Reply, String> {
        let patience = wait + self.options.answer_deadline;
        let pulse = Pulse::new();
        let asked = self.exchange(path, cap, &pulse);
        timeout(patience, asked).await.unwrap_or_else(|_| Err(format!("no answer within {patience:?}")))
    }

    async fn exchange(&self, path: &str, cap: usize, pulse: &Pulse) -> Result<Reply, String> {
        // What was idle may be closed by now; questions change nothing, so they can be asked again.
        while let Some(connection) = self.reuse() {
            match self.exchange_on(connection, path, cap, pulse).await {
                Ok(reply) => return Ok(reply),
                Err(Failure::Connection(_)) => {}
                Err(Failure::Answer(cause)) => return Err(cause),
            }
        }
        let connection = self.connect().await?;
        self.exchange_on(connection, path, cap, pulse).await.map_err(|failure| match failure {
            Failure::Connection(cause) | Failure::Answer(cause) => cause,
        })
    }

    async fn connect(&self) -> Result<Connection, String> {
        let patience = self.options.connect_deadline;
        let connecting = timeout(patience, self.dial());
        connecting.await.map_err(|_| format!("no connection within {patience:?}"))?
    }

    async fn dial(&self) -> Result<Connection, String> {
        let host = self.address.host.as_str();
        let stream =
            TcpStream::connect((host, self.address.port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return begin(stream).await };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let secured = TlsConnector::from(tls.0.clone()).connect(name, stream).await;
        begin(secured.map_err(|error| handshake_failed(&error))?).await
    }

    async fn exchange_on(
        &self,
        mut connection: Connection,
        path: &str,
        cap: usize,
        pulse: &Pulse,
    ) -> Result<Reply, Failure> {
        let broken = |error: hyper::Error| {
            let hint = if error.is_parse() { NO_HTTP } else { "" };
            Failure::Connection(format!("{}{hint}", described(&error)))
        };
        connection.sender.ready().await.map_err(broken)?;
        let request = self.request(path).map_err(|error| Failure::Answer(error.to_string()))?;
        let response = connection.sender.send_request(request).await.map_err(broken)?;
        pulse.beat();
        let (head, body) = response.into_parts();
        let body = self.collect(body, cap, pulse).await.map_err(Failure::Answer)?;
        let body = match head.headers.get(header::CONTENT_ENCODING).map(|coding| coding.as_bytes()) {
            None => body,
            Some(b"zstd") if self.options.zstd => unpacked(body, cap).await.map_err(Failure::Answer)?,
            Some(_) => return Err(Failure::Answer("an encoding nobody asked for".to_owned())),
        };
        if !connection.sender.is_closed() {
            connection.since = Instant::now();
            self.idle().push(connection);
        }
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
        let mut request = Request::get(format!("{}{path}", self.address.base))
            .header(header::HOST, &self.address.authority)
            .header(header::USER_AGENT, concat!("prb/", env!("CARGO_PKG_VERSION")));
        if self.options.zstd {
            request = request.header(header::ACCEPT_ENCODING, "zstd");
        }
        if let Some(token) = &self.options.token {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        request.body(Empty::new())
    }

    async fn collect(&self, mut body: Incoming, cap: usize, pulse: &Pulse) -> Result<Bytes, String> {
        let too_large = || format!("an answer of more than {cap} bytes");
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if expected > cap {
            return Err(too_large());
        }
        let patience = self.options.stall_deadline;
        let mut whole = BytesMut::with_capacity(expected);
        let mut beat_at = BEAT_BYTES;
        loop {
            let frame = timeout(patience, body.frame()).await;
            match frame.map_err(|_| format!("an answer that stops for {patience:?}"))? {
                None => return Ok(whole.freeze()),
                Some(Err(error)) => return Err(described(&error)),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if data.len() > cap - whole.len() {
                        return Err(too_large());
                    }
                    whole.extend_from_slice(&data);
                    if whole.len() >= beat_at {
                        beat_at = whole.len() + BEAT_BYTES;
                        pulse.beat();
                    }
                }
            }
        }
    }

    fn reuse(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() && connection.since.elapsed() < IDLE {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn begin(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Connection, String> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| described(&error))?;
    let task = tokio::spawn(async move {
        // Whoever asks on it gets the error.
        let _ = connection.await;
    });
    Ok(Connection { sender, task: task.abort_handle(), since: Instant::now() })
}

enum Failure {
    /// Nothing of an answer has come.
    Connection(String),
    /// Something has come and is of no use.
    Answer(String),
}

/// The content of a zstd frame, at most `cap` bytes.
async fn unpacked(body: Bytes, cap: usize) -> Result<Bytes, String> {
    let work = tokio::task::spawn_blocking(move || {
        let mut unpacker = zstd::stream::read::Decoder::with_buffer(&*body)?.single_frame();
        unpacker.window_log_max(ZSTD_WINDOW)?;
        let mut whole = Vec::new();
        unpacker.take(cap as u64 + 1).read_to_end(&mut whole)?;
        Ok::<_, std::io::Error>(whole)
    });
    let whole = work.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    if whole.len() > cap { Err(format!("an answer of more than {cap} bytes")) } else { Ok(whole.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_with_or_without_tls() {
        let address = Address::parse("http://[::1]:8012/base/").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 8012));
        assert_eq!(address.url(), "http://[::1]:8012/base");
        assert_eq!(Address::parse("http://cache").unwrap().port, 80);
        let address = Address::parse("https://cache/").unwrap();
        assert_eq!((address.is_secure(), address.port, address.url().as_str()), (true, 443, "https://cache"));
        for (bad, why) in
            [("ws://x", "http://"), ("10.0.0.1:80", "http://"), ("http://a:b@x", "user"), ("", "")]
        {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_told() {
        for bad in [
            "https://user:hunter2@cache",
            "user:hunter2@cache",
            "https://cache/?token=hunter2",
            "https://cache/?token=hunter2@x",
            "https://cache#hunter2",
            "https://user:hunter2?x@cache",
            "ws://user:a@hunter2@cache",
        ] {
            if let Err(error) = Address::parse(bad) {
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
        assert_eq!(shown("https://user:hunter2@cache/base?x"), "https://cache/base");
        assert_eq!(shown("https://cache?token=a@hunter2"), "https://...");
    }

    #[tokio::test]
    async fn a_decompression_bomb_is_cut_off() {
        let bomb = zstd::stream::encode_all(&vec![0; 8 << 20][..], 3).unwrap();
        assert!(bomb.len() < 4096);
        let refused = unpacked(bomb.clone().into(), 1 << 20).await.unwrap_err();
        assert!(refused.contains("more than 1048576 bytes"), "{refused}");
        assert_eq!(unpacked(bomb.clone().into(), 8 << 20).await.unwrap().len(), 8 << 20);
        assert!(unpacked(bomb[..bomb.len() - 1].to_vec().into(), 8 << 20).await.is_err(), "cut");
    }
}
