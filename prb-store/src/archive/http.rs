//! Files of an archive over HTTP, with or without TLS.

use super::ArchiveError;
use crate::tls::{ClientTls, handshake_failed};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, StatusCode, Uri,
    body::{Body, Incoming},
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use prb_core::{
    backoff::{Backoff, Pace},
    fault::described,
};
use rustls::pki_types::ServerName;
use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tracing::debug;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence before or within an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Slowest answer that is waited for, bytes per second, after [`SILENCE`].
const SLOWEST: u64 = 16 << 10;
/// How often a file is asked for before it is given up.
const ATTEMPTS: u32 = 6;
/// Pauses between them.
const PACE: Pace = Pace { first: Duration::from_millis(250), longest: Duration::from_secs(8) };
/// Most redirections that are followed.
const REDIRECTIONS: usize = 5;
/// Most idle connections that are kept.
const IDLE: usize = 4;

/// A base URL.
pub(super) struct Web {
    base: Uri,
    name: String,
    idle: Mutex<Vec<Connection>>,
    /// Who vouches for servers; the system's list is read when it is first needed.
    tls: OnceLock<Result<ClientTls, String>>,
}

/// A connection to an origin (scheme and authority).
struct Connection {
    origin: String,
    sender: SendRequest<Empty<Bytes>>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of one attempt.
enum Answer {
    Found(Bytes),
    NotThere,
    Elsewhere(Uri),
}

/// Why an attempt failed.
enum Failure {
    /// May be better next time.
    Passing(String),
    /// Will not.
    Lasting(String),
    /// More bytes than the file may have.
    TooLarge,
}

/// A URL for errors and logs, without what may be a password or a token.
pub(crate) fn shown(url: &str) -> String {
    let (plain, hidden) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let (scheme, rest) = plain.split_at(plain.find("://").map_or(0, |at| at + 3));
    // Where an `@` comes later, the signs before it may be a password's own.
    let host = if hidden.contains('@') { "..." } else { rest.rsplit('@').next().unwrap_or_default() };
    format!("{scheme}{host}")
}

impl Web {
    pub(super) fn parse(url: &str, tls: Option<ClientTls>) -> Result<Self, ArchiveError> {
        let shown = shown(url);
        let bad = |cause: &str| ArchiveError::BadPlace { place: shown.clone(), cause: cause.to_owned() };
        let base: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        if !matches!(base.scheme_str(), Some("http" | "https")) {
            return Err(bad("it must begin with http:// or https://, or be a folder"));
        }
        let authority = base.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') || base.query().is_some() {
            return Err(bad("user names and parameters are not taken"));
        }
        let name = shown.trim_end_matches('/').to_owned();
        let tls = tls.map_or_else(OnceLock::new, |tls| OnceLock::from(Ok(tls)));
        Ok(Self { base, name, idle: Mutex::default(), tls })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn get(&self, name: &str, cap: usize) -> Result<Option<Bytes>, ArchiveError> {
        let unreachable =
            |cause| ArchiveError::Unreachable { place: self.name.clone(), name: name.to_owned(), cause };
        let url: Uri = format!("{}/{name}", self.base.to_string().trim_end_matches('/'))
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| unreachable(error.to_string()))?;
        let mut backoff = Backoff::new(PACE, cap as u64);
        loop {
            match self.follow(&url, cap).await {
                Ok(found) => return Ok(found),
                Err(Failure::TooLarge) => {
                    let (place, name) = (self.name.clone(), name.to_owned());
                    return Err(ArchiveError::TooLarge { place, name, cap });
                }
                Err(Failure::Lasting(cause)) => return Err(unreachable(cause)),
                Err(Failure::Passing(cause)) => {
                    metrics::counter!("prb_archive_retries_total").increment(1);
                    let pause = backoff.failed();
                    if backoff.failures() >= ATTEMPTS {
                        return Err(unreachable(cause));
                    }
                    debug!(name, %cause, ?pause, "archive does not answer, trying again");
                    sleep(pause).await;
                }
            }
        }
    }

    /// One attempt, redirections included.
    async fn follow(&self, url: &Uri, cap: usize) -> Result<Option<Bytes>, Failure> {
        let deadline = CONNECT + SILENCE + Duration::from_secs(cap as u64 / SLOWEST);
        let mut url = url.clone();
        for _ in 0..=REDIRECTIONS {
            let asked = timeout(deadline, self.ask(&url, cap)).await;
            let answer = asked.map_err(|_| Failure::Passing(format!("not there within {deadline:?}")))??;
            match answer {
                Answer::Found(bytes) => return Ok(Some(bytes)),
                Answer::NotThere => return Ok(None),
                Answer::Elsewhere(next) => {
                    if url.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                        return Err(Failure::Lasting("redirects from https to http".to_owned()));
                    }
                    url = next;
                }
            }
        }
        Err(Failure::Lasting(format!("redirects more than {REDIRECTIONS} times")))
    }

    async fn ask(&self, url: &Uri, cap: usize) -> Result<Answer, Failure> {
        let authority = url.authority().ok_or_else(|| Failure::Lasting("no host".to_owned()))?;
        let origin = format!("{}://{authority}", url.scheme_str().unwrap_or_default());
        // What was idle may be closed by now; then another one is tried.
        while let Some(mut connection) = self.reuse(&origin) {
            if let Ok(response) = send(&mut connection, url).await {
                return self.answer(connection, response, url, cap).await;
            }
        }
        let mut connection = connect(url, origin, &self.tls).await.map_err(Failure::Passing)?;
        let response = send(&mut connection, url).await.map_err(Failure::Passing)?;
        self.answer(connection, response, url, cap).await
    }

    async fn answer(
        &self,
        connection: Connection,
        response: hyper::Response<Incoming>,
        url: &Uri,
        cap: usize,
    ) -> Result<Answer, Failure> {
        let status = response.status();
        match status {
            StatusCode::OK => {
                if response.headers().contains_key(header::CONTENT_ENCODING) {
                    return Err(Failure::Lasting("comes in an encoding that nobody asked for".to_owned()));
                }
                let bytes = collect(response.into_body(), cap).await?;
                self.keep(connection);
                Ok(Answer::Found(bytes))
            }
            // Object stores answer 403 for what is not there to those who may not list.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => Ok(Answer::NotThere),
            status if status.is_redirection() => {
                let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
                let to = to.and_then(|to| resolve(url, to));
                to.map(Answer::Elsewhere).ok_or_else(|| Failure::Lasting(format!("{status} to nowhere")))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Passing(format!("status {status}")))
            }
            status => Err(Failure::Lasting(format!("status {status}"))),
        }
    }

    fn reuse(&self, origin: &str) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|connection| !connection.sender.is_closed());
        let index = idle.iter().position(|connection| connection.origin == origin)?;
        Some(idle.swap_remove(index))
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() >= IDLE {
            idle.remove(0);
        }
        idle.push(connection);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Web").field(&self.name).finish()
    }
}

async fn connect(
    url: &Uri,
    origin: String,
    tls: &OnceLock<Result<ClientTls, String>>,
) -> Result<Connection, String> {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let secure = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let connecting = async {
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !secure {
            return talk(stream, origin).await;
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let tls = tls.get_or_init(|| ClientTls::system().map_err(|error| error.to_string())).clone()?;
        let secured = TlsConnector::from(tls.0).connect(name, stream).await;
        let stream = secured.map_err(|error| handshake_failed(&error))?;
        talk(stream, origin).await
    };
    timeout(CONNECT, connecting).await.map_err(|_| format!("no connection within {CONNECT:?}"))?
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    origin: String,
) -> Result<Connection, String> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| described(&error))?;
    let task = tokio::spawn(async move {
        // Whoever asks on it gets the error.
        let _ = connection.await;
    });
    Ok(Connection { origin, sender, task: task.abort_handle() })
}

async fn send(connection: &mut Connection, url: &Uri) -> Result<hyper::Response<Incoming>, String> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("prb/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let asked = async {
        connection.sender.ready().await?;
        connection.sender.send_request(request).await
    };
    let answer = timeout(SILENCE, asked).await.map_err(|_| format!("no answer within {SILENCE:?}"))?;
    answer.map_err(|error| described(&error))
}

async fn collect(mut body: Incoming, cap: usize) -> Result<Bytes, Failure> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > cap {
        return Err(Failure::TooLarge);
    }
    let mut whole = BytesMut::with_capacity(expected);
    loop {
        let frame = timeout(SILENCE, body.frame()).await;
        match frame.map_err(|_| Failure::Passing(format!("stops for {SILENCE:?}")))? {
            None => return Ok(whole.freeze()),
            Some(Err(error)) => return Err(Failure::Passing(described(&error))),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if data.len() > cap - whole.len() {
                    return Err(Failure::TooLarge);
                }
                whole.extend_from_slice(&data);
            }
        }
    }
}

/// The URL that `to` names, seen from `from`.
fn resolve(from: &Uri, to: &str) -> Option<Uri> {
    let whole = if to.contains("://") {
        to.to_owned()
    } else if to.starts_with('/') && !to.starts_with("//") {
        format!("{}://{}{to}", from.scheme_str()?, from.authority()?)
    } else {
        return None;
    };
    let url: Uri = whole.parse().ok()?;
    matches!(url.scheme_str(), Some("http" | "https")).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_plain_urls_and_secrets_are_not_repeated() {
        assert_eq!(
            Web::parse("https://cdn.example/khala/", None).unwrap().name(),
            "https://cdn.example/khala"
        );
        for (bad, why) in [
            ("ftp://x/y", "http://"),
            ("http://user:hidden@x/y", "user names"),
            ("http://x/y?key=hidden", "parameters"),
        ] {
            let error = Web::parse(bad, None).unwrap_err().to_string();
            assert!(!error.contains("hidden"), "{error}");
            assert!(error.contains(why), "{bad}: {error}");
        }
        for bad in ["http://", "https:///x", "://"] {
            assert!(Web::parse(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirections_are_resolved() {
        let from: Uri = "https://a:1/b/c".parse().unwrap();
        let to = |to| resolve(&from, to).map(|url| url.to_string());
        assert_eq!(to("http://d/e").unwrap(), "http://d/e");
        assert_eq!(to("/e?f").unwrap(), "https://a:1/e?f");
        assert_eq!(
            [to("//d/e"), to("e"), to("ftp://d/e"), to("file:///etc/passwd")],
            [None, None, None, None]
        );
    }
}
