//! Gives other machines what a store holds, over HTTP/1.1 and HTTP/2 with prior knowledge (h2c), or both over TLS.
//!
//! One port answers the routes of [`prb_core::wire`] and the read API of headers-cache. Nothing is trusted of who
//! asks: heads, connections, answers under way and the time a slow reader may take are all bounded
//! ([`ServerOptions`]). Reading changes nothing, so a token is optional.

mod answer;
mod body;
mod connection;
mod guard;
mod headers_cache;
mod health;
mod hot;
mod meter;
mod native;
mod options;
mod seats;
mod session;
mod sniff;
mod troubles;

pub use options::{BadToken, ServerOptions, Token};
pub use seats::{Seat, Seats};
pub use troubles::Troubles;

use crate::cache::Cache;
use answer::{Refusal, put};
use body::Payload;
use hot::Framed;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Body, Incoming},
    header::{self, HeaderName},
};
use meter::Meter;
use native::Query;
use prb_core::{
    port::{BlobStore, Coverage, source::Peer},
    progress::Following,
    span::Span,
    types::sync::ChangesForm,
    wire,
};
use serde_json::{Value, json};
use session::{Session, Share};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, field::display, info, warn};

/// Pause after accepting failed, for example for want of file descriptors.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(200);

/// Answer to a connection that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves a store. Clones share limits and counters.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn BlobStore>,
    options: ServerOptions,
    /// What the process follows, where it follows the chain itself.
    following: Option<watch::Receiver<Following>>,
    /// KiB left for answers under way.
    memory: Arc<Semaphore>,
    hot: Mutex<Cache<Framed>>,
    seats: Arc<Seats>,
    meter: Meter,
    served: AtomicU64,
    troubles: Troubles,
    stop: CancellationToken,
}

impl Server {
    /// A server of `store`.
    pub fn new(store: Arc<dyn BlobStore>, options: ServerOptions) -> Self {
        Self::beside_ingest(store, options, None)
    }

    /// A server that also tells what an ingest into its store follows: the finalized heads it is heading for, and how
    /// those stand whom it asks. They are named without credentials.
    pub fn beside_ingest(
        store: Arc<dyn BlobStore>,
        options: ServerOptions,
        following: Option<watch::Receiver<Following>>,
    ) -> Self {
        let shared = Shared {
            store,
            following,
            memory: Arc::new(Semaphore::new(kib(options.memory_bytes) as usize)),
            hot: Mutex::new(Cache::new(options.cache_bytes, Duration::MAX)),
            seats: Seats::new(options.connections, options.connections_per_peer),
            meter: Meter::default(),
            served: AtomicU64::new(0),
            troubles: Troubles::default(),
            stop: CancellationToken::new(),
            options,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves everybody who connects until [`Self::stop`], then lets answers under way end within
    /// [`ServerOptions::grace`].
    pub async fn serve(&self, listener: TcpListener) {
        let shared = &self.shared;
        let mut tasks = JoinSet::new();
        tasks.spawn(shared.clone().measure());
        loop {
            tokio::select! {
                () = shared.stop.cancelled() => break,
                Some(_) = tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(seat) = shared.admit(peer, &stream) {
                            let server = self.clone();
                            tasks.spawn(async move {
                                let _ = stream.set_nodelay(true); // only slower without
                                server.serve_accepted(stream, peer).await;
                                drop(seat);
                            });
                        }
                    }
                    Err(cause) => {
                        metrics::counter!("prb_server_accept_failures_total").increment(1);
                        if shared.troubles.begins("accept") {
                            warn!(%cause, "cannot accept readers; raise the limit on open files if it is that");
                        }
                        sleep(AFTER_ACCEPT_FAILED).await;
                    }
                },
            }
        }
        drop(listener);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(shared.options.grace + Duration::from_secs(1), ended).await.is_err() {
            warn!("readers are cut off");
        }
    }

    /// Ends [`Self::serve`] in order. Readers that wait for news are answered at once.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    /// A place for a connection, none if there are too many.
    fn admit(&self, peer: SocketAddr, stream: &TcpStream) -> Option<Seat> {
        let peer = peer.ip().to_canonical();
        let seat = self.seats.take(peer);
        if seat.is_none() {
            metrics::counter!("prb_server_refused_connections_total").increment(1);
            if self.troubles.begins("connections") {
                let (all, of_one) = (self.options.connections, self.options.connections_per_peer);
                warn!(
                    %peer,
                    all,
                    of_one,
                    "too many connections, readers are turned away (more are only counted); raise connections or \
                     connections_per_peer if they are yours"
                );
            }
            let _ = stream.try_write(FULL); // a courtesy
        }
        seat
    }

    async fn answer(&self, request: &Request<Incoming>, session: &Arc<Session>) -> Response<Payload> {
        let _question = session.question();
        let begun = Instant::now();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let found = match self.route(request, session).await {
            Ok(mut answer) => self.account(session, &mut answer).await.map(|()| answer),
            Err(refusal) => Err(refusal),
        };
        let mut response = match found {
            Ok(answer) => answer.into_response(path, request.headers(), self.options.zstd_level).await,
            Err(refusal) => {
                self.tell(&refusal, session);
                refusal.into_response()
            }
        };
        let (status, bytes) = (response.status(), response.body().left());
        debug!(path, status = status.as_u16(), bytes, "answered");
        metrics::counter!("prb_server_answers_total", "status" => status.as_str().to_owned()).increment(1);
        metrics::counter!("prb_server_bytes_total").increment(bytes);
        self.served.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 {
            response.body_mut().on(session.sending());
        }
        if session.spend(bytes, self.options.session_bytes) {
            put(&mut response, header::CONNECTION, "close");
        }
        if request.version() == Version::HTTP_2 {
            // There a connection ends by a frame of its own.
            response.headers_mut().remove(header::CONNECTION);
        }
        let cost = begun.elapsed().as_micros().to_string();
        put(&mut response, HeaderName::from_static("x-cost-time"), &cost);
        response
    }

    /// Counts a refusal, and tells of it once while there are more.
    fn tell(&self, refusal: &Refusal, session: &Session) {
        let Some(kind) = refusal.kind else { return };
        metrics::counter!("prb_server_refused_questions_total", "cause" => kind).increment(1);
        let (peer, cause) = (session.peer.map(display), refusal.cause.as_ref().unwrap_or(&refusal.text));
        if self.troubles.begins(kind) {
            warn!(peer, kind, %cause, "a question is refused; more of the kind are only counted");
        } else {
            debug!(peer, kind, %cause, "a question is refused");
        }
    }

    async fn route(&self, request: &Request<Incoming>, session: &Session) -> Result<answer::Answer, Refusal> {
        if let Some(token) = &self.options.token {
            let shown = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
            if !token.is_shown(shown) {
                let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "this provider wants its token");
                return Err(refusal.with(header::WWW_AUTHENTICATE, "Bearer").told("token").closing());
            }
        }
        if request.method() != Method::GET {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this provider only answers GET");
            return Err(refusal.with(header::ALLOW, "GET").told("method").closing());
        }
        if !request.body().is_end_stream() {
            let refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "questions have no body");
            return Err(refusal.told("body").closing());
        }
        let path = request.uri().path().strip_prefix('/').unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["metrics"] if self.options.metrics.is_none() => Err(nothing_here()),
            ["healthz" | "readyz" | "metrics"] => self.health(segments[0]).await,
            _ if self.options.only_health => Err(nothing_here()),
            ["v1", native @ ..] => {
                self.native(native, Query(request.uri().query().unwrap_or("")), session).await
            }
            others => self.headers_cache(others, session).await,
        }
    }

    /// A share of the memory for answers.
    async fn share(&self, session: &Session, bytes: usize) -> Result<Share, Refusal> {
        let options = &self.options;
        let wanted = kib(bytes.min(options.memory_bytes).min(options.session_memory_bytes));
        let until = Instant::now() + options.memory_wait;
        let refused = |kind, cause| {
            let text = "too much is asked at once, come back in a moment";
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, text).with(header::RETRY_AFTER, "1");
            refusal.told(kind).because(cause)
        };
        let Ok(Ok(own)) = timeout_at(until, session.memory.clone().acquire_many_owned(wanted)).await else {
            let most = options.session_memory_bytes;
            let cause = format!(
                "answers under way on its connection take all of {most} bytes; raise session_memory \
                 (serve.session_memory_mib in prb.toml) if it may have more"
            );
            return Err(refused("session_memory", cause));
        };
        let Ok(Ok(of_all)) = timeout_at(until, self.memory.clone().acquire_many_owned(wanted)).await else {
            let most = options.memory_bytes;
            let cause = format!(
                "answers under way on all connections take all of {most} bytes; raise memory \
                 (serve.memory_mib in prb.toml) if there is more"
            );
            return Err(refused("memory", cause));
        };
        Ok(Share { own, of_all })
    }

    /// Makes an answer's share as large as the answer: one item may be larger than what was set aside when its size was
    /// not known. It is given back before more is waited for, so that answers do not wait for each other.
    async fn account(&self, session: &Session, answer: &mut answer::Answer) -> Result<(), Refusal> {
        let (size, options) = (answer.pieces.len(), &self.options);
        let needed = kib(size.min(options.memory_bytes).min(options.session_memory_bytes)) as usize;
        if answer.share.take_if(|share| share.of_all.num_permits() < needed).is_some() {
            answer.share = Some(self.share(session, size).await?);
        }
        Ok(())
    }

    async fn measure(self: Arc<Self>) {
        loop {
            match self.store.coverage().await {
                Ok(Some(coverage)) => self.meter.sample(&coverage),
                Ok(None) => {}
                Err(cause) if self.troubles.begins("heights") => info!(%cause, "heights are not known"),
                Err(cause) => debug!(%cause, "heights are not known still"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(meter::INTERVAL) => {}
            }
        }
    }

    /// What `/v1/info` says.
    fn status(&self, coverage: Option<&Coverage>) -> Value {
        let span = |span: Option<Span>| span.map(|span| json!([span.first().0, span.last().0]));
        let chain = coverage.map(|coverage| {
            json!({
                "tag": wire::chain_tag(&coverage.identity),
                "relay_chain": coverage.identity.relay_chain.to_string(),
                "start": coverage.identity.start.to_string(),
                "para_genesis": coverage.identity.para_genesis.to_string(),
                "para_id": coverage.identity.para_id,
                "parachain": coverage.parachain,
                "state_verified": coverage.state_verified,
                "changes_form": coverage.changes_form.map(ChangesForm::name),
            })
        });
        let following = self.following.as_ref().map(|following| following.borrow().clone());
        let targets = following.as_ref().and_then(|following| following.tips);
        let source = |peer: &Peer| {
            json!({
                "name": peer.name,
                "chain": peer.side.name(),
                "height": peer.head.map(|head| head.height.0),
                "in_use": peer.in_use,
                "trouble": peer.trouble,
            })
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "chain": chain,
            "heights": {
                "relay": coverage.and_then(|coverage| span(coverage.relay)),
                "para": coverage.and_then(|coverage| span(coverage.para)),
                "changes": coverage.and_then(|coverage| span(coverage.changes)),
            },
            "targets": targets.map(|tips| json!({ "relay": tips.relay.0, "para": tips.para.0 })),
            "blocks_per_second": self.meter.rates(),
            "source": following.as_ref().map(|following| following.source.as_str()),
            "sources": following.as_ref().map(|following| following.peers.iter().map(source).collect::<Vec<_>>()),
            "stalled": following.as_ref().and_then(|following| following.stalled.as_deref()),
            "bytes_served": self.served.load(Ordering::Relaxed),
        })
    }
}

fn nothing_here() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is no such path here")
}

/// KiB that `bytes` need, at least one.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX / 4).clamp(1, u32::MAX / 4)
}
