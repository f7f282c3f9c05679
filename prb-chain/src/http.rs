//! Questions over HTTP: deadlines, size caps, bounded load, and errors that say what may be done.

use crate::rpc::{short, without_credentials};
use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::{Body, Incoming},
    header::{self, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use prb_core::{Bytes, fault::described, port::SourceError, wire};
use std::{error::Error, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

/// A connection idle for longer is not used again: the other side is about to close it.
const IDLE: Duration = Duration::from_secs(10);

/// Most memory that is taken on a server's word.
const RESERVED: usize = 16 << 20;

/// Largest header that is taken. One that announces 1,000 authorities takes 40 KB.
pub(crate) const MAX_HEADER: usize = 1 << 20;

/// Most bytes of headers that are taken together: what a batch of the live networks takes many times over.
pub(crate) const MAX_HEADERS: usize = 256 << 20;

/// Most bytes of storage changes that are taken together.
pub(crate) const MAX_CHANGES: usize = 1 << 30;

/// Longest time that an answer in several parts may take as a whole. A slow link takes minutes for the largest ones.
const WHOLE: Duration = Duration::from_secs(20 * 60);

/// What the parts of an answer may take together that is asked for in several calls.
pub(crate) struct Budget {
    most: usize,
    left: usize,
    until: Instant,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, left: most, until: Instant::now() + WHOLE }
    }

    /// Takes a part of so many bytes off; the cause if that is too much or too late.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), String> {
        let most = self.most;
        self.left = self.left.checked_sub(bytes).ok_or_else(|| format!("more than {most} bytes together"))?;
        match Instant::now() <= self.until {
            true => Ok(()),
            false => Err(format!("it takes more than {} s in all its parts", WHOLE.as_secs())),
        }
    }
}

/// What it may be where the answer is none.
const NO_HTTP: &str = "; what it answers is no HTTP: if it speaks TLS, it cannot be used here";

/// Whether an answer came that is no HTTP.
fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// How a server is talked to.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Longest time to wait for a connection. Typical: 5 s.
    pub connect_timeout: Duration,
    /// Longest time to wait for a whole answer. Typical: 60 s.
    pub answer_timeout: Duration,
    /// Longest silence inside an answer. Typical: 10 s.
    pub stall_timeout: Duration,
    /// Largest answer that is accepted, bytes. The first state of the parachain comes in one. Typical: 512 MiB.
    pub max_reply: usize,
    /// Questions at the same time; more wait. Typical: 8.
    pub in_flight: usize,
    token: Option<HeaderValue>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(10),
            max_reply: 512 << 20,
            in_flight: 8,
            token: None,
        }
    }
}

impl HttpOptions {
    /// With a bearer token that is shown to the server.
    pub fn with_token(self, token: &str) -> Result<Self, BadToken> {
        let mut value: HeaderValue = format!("Bearer {token}").parse().map_err(|_| BadToken)?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), ..self })
    }
}

/// A token that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is one line of printable characters")]
pub struct BadToken;

/// A text that is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no address to read from: {cause}; write for example http://10.0.0.5:8012")]
pub struct BadUrl {
    /// The text, without credentials.
    pub url: String,
    /// Why not.
    pub cause: String,
}

/// One server. Its connections are kept and used again.
pub(crate) struct Http {
    endpoint: String,
    /// Path in front of all others, without a slash at its end.
    base: String,
    authority: String,
    client: Client<HttpConnector, Empty<Bytes>>,
    options: HttpOptions,
    slots: Semaphore,
}

/// What came back.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the answer is still what the question named.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }
}

impl Http {
    /// The server at a `http://` address.
    pub(crate) fn new(url: &str, options: HttpOptions) -> Result<Self, BadUrl> {
        let bad = |cause: &str| {
            // A text without a scheme is shown without one.
            let shown = match url.contains("://") {
                true => without_credentials(url),
                false => without_credentials(&format!("http://{url}")).replacen("http://", "", 1),
            };
            BadUrl { url: shown, cause: cause.to_owned() }
        };
        let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(&error.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(bad("TLS is not supported yet")),
            _ => return Err(bad("it must begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?.to_string();
        if authority.contains('@') || uri.query().is_some() {
            return Err(bad("user names and parameters are not taken"));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.connect_timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.in_flight.max(1))
            .build(connector);
        Ok(Self {
            endpoint: format!("http://{authority}"),
            base: uri.path().trim_end_matches('/').to_owned(),
            authority,
            client,
            slots: Semaphore::new(options.in_flight.max(1)),
            options,
        })
    }

    /// Name of the server.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A complaint about an answer.
    #[allow(clippy::needless_pass_by_value, reason = "an error ends in the words of this one")]
    pub(crate) fn bad(&self, what: impl Into<String>, cause: impl ToString) -> SourceError {
        let cause = short(&cause.to_string());
        SourceError::Bad { endpoint: self.endpoint.clone(), what: what.into(), cause }
    }

    /// The server does not have something (yet).
    pub(crate) fn missing(&self, what: impl Into<String>) -> SourceError {
        SourceError::Missing { endpoint: self.endpoint.clone(), what: what.into() }
    }

    /// Asks for `path`, `what` in errors. The answer may have `cap` bytes.
    pub(crate) async fn get(&self, path: &str, what: &str, cap: usize) -> Result<Reply, SourceError> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        self.exchange(path, what, Duration::ZERO, cap).await
    }

    /// Asks for news, which the server may hold back for `wait`. Does not count among the questions in flight.
    pub(crate) async fn get_news(
        &self,
        path: &str,
        what: &str,
        cap: usize,
        wait: Duration,
    ) -> Result<Reply, SourceError> {
        self.exchange(path, what, wait, cap).await
    }

    async fn exchange(
        &self,
        path: &str,
        what: &str,
        wait: Duration,
        cap: usize,
    ) -> Result<Reply, SourceError> {
        let cap = cap.min(self.options.max_reply);
        let patience = self.options.answer_timeout + wait;
        let deadline = Instant::now() + patience;
        let late = || SourceError::Timeout {
            endpoint: self.endpoint.clone(),
            what: what.to_owned(),
            seconds: patience.as_secs(),
        };
        let request = self.request(path).map_err(|error| self.bad(what, error))?;
        let answered = timeout_at(deadline, self.client.request(request)).await.map_err(|_| late())?;
        let response = answered.map_err(|error| {
            let hint = if is_no_http(&error) { NO_HTTP } else { "" };
            self.unreachable(what, &format!("{}{hint}", described(&error)))
        })?;
        let (head, body) = response.into_parts();
        let body = timeout_at(deadline, self.collect(body, what, cap)).await.map_err(|_| late())??;
        let reply = Reply { status: head.status, headers: head.headers, body };
        match reply.status {
            StatusCode::OK | StatusCode::NOT_MODIFIED => Ok(reply),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Err(SourceError::TooLarge { endpoint: self.endpoint.clone(), what: what.to_owned() })
            }
            // Data providers and headers-caches answer so too, in words and not with pages.
            StatusCode::NOT_FOUND if !reply.body.trim_ascii_start().starts_with(b"<") => {
                Err(self.missing(what))
            }
            status => {
                if let Some(who) = wire::stranger(status.as_u16(), &reply.body) {
                    return Err(self.bad(what, format!("{status}: {who}")));
                }
                let text = short(&String::from_utf8_lossy(&reply.body));
                let cause = format!("{status} {text}");
                if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                    return Err(self.unreachable(what, &cause));
                }
                Err(self.bad(what, cause))
            }
        }
    }

    /// What it means that something is missing which the right kind of server always has.
    pub(crate) fn always_there(&self, error: SourceError) -> SourceError {
        match (error, wire::stranger(StatusCode::NOT_FOUND.as_u16(), b"")) {
            (SourceError::Missing { what, .. }, Some(who)) => self.bad(what, format!("404: {who}")),
            (error, _) => error,
        }
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
        let mut request = Request::get(format!("http://{}{}{path}", self.authority, self.base))
            .header(header::USER_AGENT, concat!("prb/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.options.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        request.body(Empty::new())
    }

    async fn collect(&self, mut body: Incoming, what: &str, cap: usize) -> Result<Bytes, SourceError> {
        let too_large = || SourceError::TooLarge { endpoint: self.endpoint.clone(), what: what.to_owned() };
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if expected > cap {
            return Err(too_large());
        }
        let patience = self.options.stall_timeout;
        let mut whole = Vec::with_capacity(expected.min(RESERVED));
        loop {
            let Ok(frame) = timeout(patience, body.frame()).await else {
                return Err(self.unreachable(what, &format!("the answer stopped for {patience:?}")));
            };
            match frame {
                None => return Ok(whole.into()),
                Some(Err(error)) => return Err(self.unreachable(what, &described(&error))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if data.len() > cap - whole.len() {
                        return Err(too_large());
                    }
                    whole.extend_from_slice(&data);
                }
            }
        }
    }

    fn unreachable(&self, what: &str, cause: &str) -> SourceError {
        SourceError::Unreachable {
            endpoint: self.endpoint.clone(),
            what: what.to_owned(),
            cause: short(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain_http_and_hold_no_secrets() {
        let http = Http::new("http://[::1]:8012/base/", HttpOptions::default()).unwrap();
        assert_eq!((http.endpoint(), http.base.as_str()), ("http://[::1]:8012", "/base"));
        let cases = [
            ("https://x", "TLS"),
            ("ws://10.0.0.1:80", "http://"),
            ("10.0.0.1:80", "http://"),
            ("http://a:secret@x", "user"),
            ("http://x?key=secret", "parameters"),
            ("", ""),
        ];
        for (bad, why) in cases {
            let error = Http::new(bad, HttpOptions::default()).err().unwrap().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
        let shown = |url: &str| Http::new(url, HttpOptions::default()).err().unwrap().url;
        assert_eq!(shown("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(shown("user:secret@10.0.0.1:80/path"), "10.0.0.1:80");
        assert_eq!(shown("https://10.0.0.1:80"), "https://10.0.0.1:80");
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_counts_all_parts_and_ends() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.take(4), Ok(()));
        assert_eq!(budget.take(6), Ok(()));
        assert_eq!(budget.take(1), Err("more than 10 bytes together".to_owned()));
        let mut late = Budget::new(10);
        tokio::time::advance(WHOLE + Duration::from_secs(1)).await;
        assert!(late.take(1).unwrap_err().contains("1200 s"));
    }

    #[test]
    fn a_token_is_not_shown() {
        let options = HttpOptions::default().with_token("a-secret-token").unwrap();
        assert!(!format!("{options:?}").contains("secret"));
        assert_eq!(HttpOptions::default().with_token("two\nlines").unwrap_err(), BadToken);
    }
}
