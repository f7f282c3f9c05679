//! The sockets of the API. Nothing is trusted of who asks: connections, heads, bodies and times are bounded.

use super::{
    access::Access,
    act::{self, Attached, Resting},
    ask::Asked,
    managers::Managers,
    ptp,
    reply::{Reply, Sent},
    route::Route,
    stall::Guarded,
    subject::Subject,
    trader,
};
use crate::trade::Desk;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prb_core::pipeline::CancellationToken;
use prb_p2p::Network;
use prb_store::server::{Seats, Troubles};
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::RwLock,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

/// How much is given to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Most connections, and most of one address.
    pub(super) connections: (usize, usize),
    /// Time for a request's head to arrive, and longest silence between requests.
    pub(super) head: Duration,
    /// Time for a body to arrive.
    pub(super) body: Duration,
    /// Largest body, bytes: commands to ten thousand workers fit in.
    pub(super) body_bytes: usize,
    /// Time to answer.
    pub(super) answer: Duration,
    /// How long a connection is kept, so that nobody keeps one by reading slowly.
    pub(super) life: Duration,
    /// How much longer one is kept on which events are told; then they end in order, and whoever wants more asks again.
    pub(super) stream: Duration,
    /// Longest time for which a reader takes nothing of what is there for it.
    pub(super) stall: Duration,
    /// Time for the answer under way when a connection's life is over: more than any takes.
    pub(super) last: Duration,
    /// Time for answers under way when everything is to end.
    pub(super) grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: (64, 32),
            head: Duration::from_secs(15),
            body: BODY,
            body_bytes: 2 << 20,
            answer: Duration::from_secs(10),
            life: Duration::from_secs(120),
            stream: Duration::from_secs(3600),
            stall: Duration::from_secs(30),
            // A peer takes longest; an answer that is passed on has what is left to be read.
            last: BODY.saturating_add(ptp::PATIENCE).saturating_add(MARGIN),
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Ends when the last answer of a connection may take no longer.
    async fn end(&self, stop: &CancellationToken) {
        let at_stop = async {
            stop.cancelled().await;
            sleep(self.grace).await;
        };
        tokio::select! {
            () = sleep(self.last) => {}
            () = at_stop => {}
        }
    }
}

/// Time for a body to arrive, unless told.
const BODY: Duration = Duration::from_secs(15);

/// Time to send an answer that took as long as it may.
const MARGIN: Duration = Duration::from_secs(15);

/// Most header lines of a request, and most bytes of its head.
const HEAD: (usize, usize) = (64, 16 << 10);

/// Pause after accepting failed, for example for want of file descriptors.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(200);

/// Answer to a connection that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What is at `/` of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// Nothing, as v3 has it.
    Nothing,
    /// The monitor.
    Monitor,
    /// Its page of transactions.
    Queue,
}

impl Root {
    /// The path that is meant.
    fn path(self, path: &str) -> &str {
        match self {
            Self::Monitor if path == "/" => "/monitor",
            Self::Queue if path == "/" => "/queue",
            _ => path,
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) seats: Arc<Seats>,
    pub(super) troubles: Troubles,
    /// What runs. Whoever answers holds it for reading, so whoever takes it away waits for answers under way.
    pub(super) attached: RwLock<Option<Attached>>,
    /// Likewise, in `prb trade`.
    pub(super) desk: RwLock<Option<Arc<Desk>>>,
    /// What is managed where nothing is run.
    pub(super) resting: OnceLock<Resting>,
    /// Who answers while nothing does.
    pub(super) subject: Subject,
    pub(super) managers: Managers,
    /// Where peers are found.
    pub(super) network: Mutex<Option<Network>>,
    /// Why they are not looked for yet.
    pub(super) joining: OnceLock<tokio::sync::watch::Receiver<String>>,
}

/// One connection.
struct Connection {
    peer: IpAddr,
    root: Root,
    /// Whether events are told on it.
    tells: AtomicBool,
    /// Events are to end.
    ended: CancellationToken,
}

/// Serves whoever connects until `stop`, then lets answers under way end.
pub(super) async fn serve(listener: TcpListener, root: Root, shared: Arc<Shared>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => shared.clone().admit(stream, peer, root, &stop, &mut tasks),
                Err(cause) => {
                    if shared.troubles.begins("accept") {
                        warn!(%cause, "the API cannot accept connections; raise the limit on open files if it is that");
                    }
                    sleep(AFTER_ACCEPT_FAILED).await;
                }
            },
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

impl Shared {
    fn admit(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        root: Root,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) {
        let Some(seat) = self.seats.take(peer.ip()) else {
            metrics::counter!("prb_api_refused_connections_total").increment(1);
            if self.troubles.begins("connections") {
                let (all, of_one) = self.limits.connections;
                warn!(%peer, all, of_one, "too many connections to the API, more are turned away (and only counted)");
            }
            let _ = stream.try_write(FULL); // a courtesy
            return;
        };
        let _ = stream.set_nodelay(true); // only slower without
        let stop = stop.clone();
        tasks.spawn(async move {
            self.speak(stream, peer.ip(), root, &stop).await;
            drop(seat);
        });
    }

    async fn speak(self: Arc<Self>, stream: TcpStream, peer: IpAddr, root: Root, stop: &CancellationToken) {
        let limits = self.limits;
        let this = Connection { peer, root, tells: AtomicBool::new(false), ended: CancellationToken::new() };
        let this = &this;
        let service = service_fn(|request| {
            let shared = self.clone();
            async move { Ok::<_, Infallible>(shared.answer(request, this).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_headers(HEAD.0)
            .max_header_size(HEAD.1)
            .serve_connection(TokioIo::new(Guarded::new(stream, limits.stall)), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = this.life(&limits) => None,
            () = stop.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended.map_err(|cause| cause.to_string()),
            None => {
                this.ended.cancel();
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended.map_err(|cause| cause.to_string()),
                    () = limits.end(stop) => Err("an answer took too long".to_owned()),
                }
            }
        };
        if let Err(cause) = ended {
            metrics::counter!("prb_api_cut_connections_total").increment(1);
            debug!(%peer, %cause, "a connection to the API ended before its time");
        }
    }

    async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Sent> {
        let (parts, body) = request.into_parts();
        let Connection { peer, root, .. } = *connection;
        let reply = self.handle(&parts, body, peer, root).await.unwrap_or_else(|refusal| refusal);
        let status = reply.status.as_str().to_owned();
        debug!(%peer, method = %parts.method, path = parts.uri.path(), status, "answered over the API");
        metrics::counter!("prb_api_answers_total", "status" => status).increment(1);
        if reply.has_no_end() {
            connection.tells.store(true, Ordering::Relaxed);
        }
        reply.into_response(&connection.ended)
    }

    async fn handle(&self, parts: &Parts, body: Incoming, peer: IpAddr, root: Root) -> Result<Reply, Reply> {
        let route = Route::find(&parts.method, root.path(parts.uri.path()))?;
        let access = match route.is_public() {
            true => Ok(()),
            false => self.access.check(peer, &parts.headers, route.aim()),
        };
        access.inspect_err(|refusal| {
            let kind = if refusal.status == StatusCode::FORBIDDEN { "page" } else { "stranger" };
            if self.troubles.begins(kind) {
                let (path, status) = (parts.uri.path(), refusal.status.as_u16());
                warn!(%peer, path, status, "refused over the API; more of the kind are only counted");
            }
        })?;
        if let Route::Elsewhere(what) = route {
            return self.ask_elsewhere(what, parts, body).await;
        }
        let body =
            if route.has_body() { self.read(body, self.limits.body_bytes).await? } else { Bytes::new() };
        let asked = Asked::read(route, parts.uri.query(), &parts.headers, &body)?;
        let answer = async {
            let asked = match act::alone(asked) {
                Ok(reply) => return reply,
                Err(asked) => asked,
            };
            match self.attached.read().await.as_ref() {
                Some(attached) => act::answer(asked, attached).await,
                None => match (self.desk.read().await.as_ref(), self.resting.get()) {
                    (Some(desk), _) => trader::answer(asked, desk).await,
                    (None, Some(resting)) => act::rest(asked, resting).await,
                    (None, None) => self.subject.answer(asked).await,
                },
            }
        };
        timeout(self.limits.answer, answer).await.map_err(|_| {
            let message = "not done in time; it may still be done, ask again to see";
            Reply::error(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
        })
    }

    /// A body of no more than `most` bytes.
    pub(super) async fn read(&self, body: Incoming, most: usize) -> Result<Bytes, Reply> {
        let too_large = || {
            let message = format!("the body has more than {most} bytes");
            Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message).closing()
        };
        if body.size_hint().lower() > most as u64 {
            return Err(too_large());
        }
        match timeout(self.limits.body, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(cause)) => {
                let message = format!("the body did not arrive: {cause}");
                Err(Reply::error(StatusCode::BAD_REQUEST, "BadRequest", message).closing())
            }
            Err(_) => {
                let message = "the body did not arrive in time";
                Err(Reply::error(StatusCode::REQUEST_TIMEOUT, "Timeout", message).closing())
            }
        }
    }
}

impl Connection {
    /// Ends when the connection is to end.
    async fn life(&self, limits: &Limits) {
        sleep(limits.life).await;
        if self.tells.load(Ordering::Relaxed) {
            sleep(limits.stream).await;
        }
    }
}
