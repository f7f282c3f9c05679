//! Managers elsewhere: what is asked below `/managers/NAME/` is asked of them.
//!
//! Whom a browser reaches so is in the configuration, never in what it asks. What is passed on is a list: of a request what an
//! API understands, of an answer what a page needs. Whatever an answer is, no browser takes it for a page of this address.

mod answer;

use super::{
    ApiError,
    answers::{self, ManagerHere},
    elsewhere::Elsewhere,
    reply::{self, Reply},
    route::{Route, is_read},
};
use crate::{
    config::{self, ConfigError, THIS, key},
    token::text_in,
};
use answer::{Connection, Passing};
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use prb_core::fault::{described, remedy};
use prb_worker::{Connect, Endpoint, Tcp};
use std::{path::Path, time::Duration};
use tokio::time::timeout;

/// How much a manager is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Time to connect, and to begin an answer.
    pub(super) begin: Duration,
    /// Longest silence within an answer. What tells of events says something every 15 s.
    pub(super) silence: Duration,
    /// Largest answer, bytes: statuses of ten thousand workers fit in.
    pub(super) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // A manager has 10 s to answer; v3's monitor waited for 12.
        Self { begin: Duration::from_secs(12), silence: Duration::from_secs(45), bytes: 64 << 20 }
    }
}

/// What of a request is passed on. Neither `Origin` nor `Cookie`: who may ask is decided here.
const PASSED_ON: [HeaderName; 4] =
    [header::ACCEPT, header::CONTENT_TYPE, header::IF_NONE_MATCH, HeaderName::from_static("last-event-id")];

/// What of an answer is passed back.
const PASSED_BACK: [HeaderName; 5] =
    [header::ALLOW, header::CACHE_CONTROL, header::ETAG, header::RETRY_AFTER, header::WWW_AUTHENTICATE];

/// What a browser may do with an answer: nothing but read it.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The manager of this name, as addresses have it.
    Named(String),
    /// The manager at this address, as PRB v3's monitor has it in paths.
    At(String),
}

/// What is asked of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) whom: Whom,
    /// The path there, as it was sent.
    path: String,
    /// Whether it may be more than reading.
    pub(super) changes: bool,
}

impl Way {
    /// Of the rest of a path; none if somebody tries to leave it.
    pub(super) fn new(method: &Method, whom: Whom, segments: &[&str]) -> Option<Self> {
        let is_plain = |segment: &&str| {
            let decoded = percent_decode_str(segment).collect::<Vec<u8>>();
            !matches!(decoded.as_slice(), b"." | b"..")
                && !decoded.contains(&b'/')
                && !decoded.contains(&b'\\')
        };
        segments.iter().all(is_plain).then(|| Self {
            whom,
            path: format!("/{}", segments.join("/")),
            changes: changes(method, segments),
        })
    }
}

/// Whether what is asked may be more than reading where it arrives, however many managers pass it on.
///
/// Peers take any HTTP method, so theirs says nothing. Of all else a manager may make more than this program does.
fn changes(method: &Method, segments: &[&str]) -> bool {
    // As a proxy on the way may make them.
    let segments = segments.iter().filter(|segment| !segment.is_empty());
    let segments: Vec<_> = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let mut rest = segments.as_slice();
    while let ["managers", _, there @ ..] | ["api", "p", _, there @ ..] = rest {
        rest = there;
    }
    match Route::find(method, &format!("/{}", rest.join("/"))) {
        Ok(Route::Elsewhere(Elsewhere::Peer(call))) => call.changes(),
        Ok(Route::Elsewhere(Elsewhere::Discover)) => false,
        route => !is_read(method) || route.is_ok_and(|route| route.changes()),
    }
}

/// One of them.
struct Manager {
    name: String,
    key: String,
    /// As errors show it.
    shown: String,
    endpoint: Endpoint,
    authority: String,
    /// What goes before every path.
    base: String,
    token: Option<HeaderValue>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Managers {
    all: Vec<Manager>,
    connector: Tcp,
    pub(super) limits: Limits,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    #[error("its answer has {0} bytes, which is too much")]
    TooLarge(u64),
}

impl Managers {
    /// Those of a configuration, with their tokens.
    pub(crate) fn open(monitor: &config::Monitor) -> Result<Self, ApiError> {
        let all = monitor.all()?.into_iter().map(Manager::open).collect::<Result<_, _>>()?;
        Ok(Self { all, connector: monitor.connector()?, limits: Limits::default() })
    }

    /// What they are called.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.all.iter().map(|manager| manager.name.as_str()).collect()
    }

    /// What `GET /v1/managers` answers; `own` if there is one here.
    pub(super) fn list(&self, own: bool) -> answers::Managers {
        let own = own.then(|| ManagerHere { name: THIS.to_owned(), base: "/".to_owned() });
        let others = self.all.iter().map(|manager| ManagerHere {
            name: manager.name.clone(),
            base: format!("/managers/{}/", manager.key),
        });
        answers::Managers { managers: own.into_iter().chain(others).collect() }
    }

    fn find(&self, whom: &Whom) -> Option<&Manager> {
        self.all.iter().find(|manager| match whom {
            Whom::Named(name) => manager.key == *name,
            Whom::At(url) => manager.shown == url.trim_end_matches('/'),
        })
    }

    /// Asks a manager, and gives its answer as it comes. `with_token` if what the request shows may be shown to it too.
    pub(super) async fn ask(
        &self,
        way: &Way,
        parts: &Parts,
        body: Bytes,
        with_token: bool,
    ) -> Result<Reply, Reply> {
        let manager = self.find(&way.whom).ok_or_else(|| unknown(&way.whom))?;
        let request = manager.request(way, parts, body, with_token)?;
        self.exchange(manager, request).await.map_err(|failure| {
            let Manager { name, shown, .. } = manager;
            let message =
                format!("manager {name} ({shown}): {failure}; see whether it runs and is reached from here");
            Reply::error(StatusCode::BAD_GATEWAY, "BadGateway", message)
        })
    }

    async fn exchange(&self, manager: &Manager, request: Request<Full<Bytes>>) -> Result<Reply, Failure> {
        let Limits { begin, silence, bytes } = self.limits;
        let broken = |error: hyper::Error| Failure::Unreachable(described(&error));
        let answer = async {
            let stream = self.connector.connect(&manager.endpoint).await;
            let stream = stream.map_err(|error| Failure::Unreachable(error.to_string()))?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
            let connection = Connection::drive(connection);
            let answer: hyper::Response<Incoming> = sender.send_request(request).await.map_err(broken)?;
            Ok((answer, connection))
        };
        let (answer, connection) = timeout(begin, answer).await.map_err(|_| Failure::Late(begin))??;
        let (parts, body) = answer.into_parts();
        let least = body.size_hint().lower();
        if least > bytes {
            return Err(Failure::TooLarge(least));
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).cloned();
        // Events are gone as soon as they are passed on.
        let most = if reply::tells_events(kind.as_ref()) { u64::MAX } else { bytes };
        let body = Passing::new(body, most, silence, connection);
        let reply = Reply::stream(parts.status, kind, body).with(header::CONTENT_SECURITY_POLICY, POLICY);
        Ok(passed_back(&parts.headers).fold(reply, |reply, (name, value)| reply.with_value(name, value)))
    }
}

impl Manager {
    fn open(manager: config::Manager) -> Result<Self, ApiError> {
        let invalid = |cause: String| ConfigError::Invalid { key: "monitor.managers", cause };
        let unfit = |cause: String| invalid(format!("url of {:?} {cause}", manager.name));
        let endpoint = manager.endpoint().map_err(unfit)?;
        let uri: Uri = manager.url.parse().map_err(|_| unfit("is no address".to_owned()))?;
        let authority = uri.authority().ok_or_else(|| unfit("has no host".to_owned()))?.as_str().to_owned();
        let token = manager.token_file.as_deref().map(token).transpose();
        let token = token.map_err(|cause| invalid(format!("token_file of {:?}: {cause}", manager.name)))?;
        Ok(Self {
            key: key(&manager.name),
            name: manager.name,
            shown: endpoint.to_string(),
            base: uri.path().trim_end_matches('/').to_owned(),
            endpoint,
            authority,
            token,
        })
    }

    fn request(
        &self,
        way: &Way,
        parts: &Parts,
        body: Bytes,
        with_token: bool,
    ) -> Result<Request<Full<Bytes>>, Reply> {
        let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = format!("{}{}{query}", self.base, way.path).parse().map_err(|_| {
            Reply::error(StatusCode::BAD_REQUEST, "BadRequest", "the path cannot be passed on")
        })?;
        let headers = request.headers_mut();
        for name in PASSED_ON {
            if let Some(value) = parts.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        // v3's monitor says so of whatever it passes on.
        if matches!(way.whom, Whom::At(_)) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let shown = parts.headers.get(header::AUTHORIZATION).filter(|_| with_token);
        if let Some(token) = self.token.as_ref().or(shown) {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        let host = HeaderValue::try_from(self.authority.as_str());
        headers.insert(header::HOST, host.unwrap_or(HeaderValue::from_static("")));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers
            .insert(header::USER_AGENT, HeaderValue::from_static(concat!("prb/", env!("CARGO_PKG_VERSION"))));
        Ok(request)
    }
}

/// What a manager is shown, from a file.
fn token(path: &Path) -> Result<HeaderValue, String> {
    let shown = path.display();
    let token = text_in(path).map_err(|cause| format!("{shown}: {cause}; {}", remedy(&cause)))?;
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty());
    let mut value = value.ok_or_else(|| format!("{shown} holds no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What of an answer's head is passed back.
fn passed_back(answered: &HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    PASSED_BACK.into_iter().filter_map(|name| Some((name.clone(), answered.get(&name)?.clone())))
}

fn unknown(whom: &Whom) -> Reply {
    let (Whom::Named(whom) | Whom::At(whom)) = whom;
    let shown: String = whom.chars().take(128).collect();
    let message =
        format!("there is no manager {shown:?}; [monitor] managers names them, /v1/managers lists them");
    Reply::error(StatusCode::NOT_FOUND, "ManagerNotFound", message)
}
