//! One connection, from its first byte to its end.

use super::{
    Server, Shared,
    body::Payload,
    guard::Guarded,
    session::{Over, SILENCE, Session},
    sniff::{Beginning, beginning},
};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prb_core::fault::described;
use std::{
    convert::Infallible,
    error::Error,
    fmt, io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, field::display, warn};

/// Most header lines of a request.
const MAX_HEADERS: usize = 64;

/// Bytes of one HTTP/2 answer that wait inside the connection.
const STREAM_BUFFER: usize = 256 << 10;

/// What HTTP/2 calls a peer that sends more than makes sense: streams that are cancelled at once, heads without end.
const EXCESS: &str = "excessive load";

/// Why a connection ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It asked nothing, or did not say what, in time.
    Head,
    /// It took no answer.
    Stall,
    /// TLS could not be agreed on.
    Tls,
    /// It does not speak HTTP, or not as it should.
    Malformed,
    /// It sent frames that cost work and ask nothing.
    Flood,
    /// It answers no ping: it is gone without a word.
    Gone,
    /// It broke, or the reader went away in the middle.
    Broken,
    /// Nothing was asked any more. That is not the reader's fault.
    Idle,
}

impl Cut {
    const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Stall => "stall",
            Self::Tls => "tls",
            Self::Malformed => "malformed",
            Self::Flood => "flood",
            Self::Gone => "gone",
            Self::Broken => "broken",
            Self::Idle => "idle",
        }
    }
}

impl Server {
    /// Serves one connection until it or the server ends: for listeners of your own. TLS is yours too, then.
    pub async fn serve_connection(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        self.speak(stream, None).await;
    }

    pub(super) async fn serve_accepted(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(tls) = &self.shared.options.tls else { return self.speak(stream, Some(peer)).await };
        let patience = self.shared.options.head_deadline;
        match timeout(patience, TlsAcceptor::from(tls.0.clone()).accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, Some(peer)).await,
            Ok(Err(cause)) => self.shared.cut(Cut::Tls, Some(peer), &cause),
            Err(_) => self.shared.cut(Cut::Head, Some(peer), &"no TLS handshake in time"),
        }
    }

    async fn speak(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Option<SocketAddr>,
    ) {
        let (shared, options) = (&self.shared, &self.shared.options);
        let begun = tokio::select! {
            begun = timeout(options.head_deadline, beginning(&mut stream)) => begun,
            () = shared.stop.cancelled() => return,
        };
        let session = Arc::new(Session::new(options, peer));
        let guarded = |begun| {
            let limits = (options.stall_window, options.stall_bytes);
            TokioIo::new(Guarded::new(stream, begun, session.clone(), limits))
        };
        match begun {
            Ok(Ok(Beginning::Http1(begun))) => self.speak_http1(guarded(begun), &session).await,
            Ok(Ok(Beginning::Http2(begun))) => self.speak_http2(guarded(begun), &session).await,
            Ok(Ok(Beginning::Nothing)) => {}
            Ok(Err(cause)) => shared.cut(Cut::Broken, peer, &cause),
            Err(_) => shared.cut(Cut::Head, peer, &"no request in time"),
        }
    }

    async fn speak_http1<I>(&self, io: TokioIo<Guarded<I>>, session: &Arc<Session>)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let options = &self.shared.options;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.head_deadline)
            .max_headers(MAX_HEADERS)
            .max_header_size(options.head_bytes)
            .serve_connection(io, service_fn(|request| self.clone().serve_request(request, session.clone())));
        self.drive(connection, http1::Connection::graceful_shutdown, session, false).await;
    }

    async fn speak_http2<I>(&self, io: TokioIo<Guarded<I>>, session: &Arc<Session>)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let options = &self.shared.options;
        let (server, asked) = (self.clone(), session.clone());
        let service = service_fn(move |request| server.clone().serve_request(request, asked.clone()));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(options.streams)
            .max_header_list_size(u32::try_from(options.head_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(STREAM_BUFFER)
            .keep_alive_interval(options.head_deadline)
            // The session is sooner, and says why.
            .keep_alive_timeout(SILENCE * options.head_deadline)
            .serve_connection(io, service);
        self.drive(connection, http2::Connection::graceful_shutdown, session, true).await;
    }

    async fn serve_request(
        self,
        request: Request<Incoming>,
        session: Arc<Session>,
    ) -> Result<hyper::Response<Payload>, Infallible> {
        Ok(self.shared.answer(&request, &session).await)
    }

    /// Lets a connection run until it ends, should end or must.
    async fn drive<C>(&self, connection: C, end: impl Fn(Pin<&mut C>), session: &Session, many_at_once: bool)
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let (shared, options, peer) = (&self.shared, &self.shared.options, session.peer);
        let mut connection = pin!(connection);
        let over = async {
            // With one answer at a time the connection itself knows.
            if many_at_once { session.over(options).await } else { std::future::pending().await }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            over = over => {
                match over {
                    Over::Stalled => return shared.cut(Cut::Stall, peer, &"answers are not taken"),
                    Over::Gone => return shared.cut(Cut::Gone, peer, &"it answers no ping"),
                    Over::Idle => shared.cut(Cut::Idle, peer, &"nothing was asked"),
                    Over::Spent => {}
                }
                end(connection.as_mut());
                // Answers under way may still end, within what a slow reader is allowed.
                tokio::select! {
                    ended = connection => ended,
                    () = session.stalled(options.stall_window, options.stall_bytes) => {
                        return shared.cut(Cut::Stall, peer, &"answers are not taken");
                    }
                    () = shared.stop.cancelled() => Ok(()),
                }
            }
            () = shared.stop.cancelled() => {
                end(connection.as_mut());
                timeout(options.grace, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(cause) = ended {
            shared.cut(judged(&cause, session, many_at_once), peer, &described(&cause));
        }
    }
}

impl Shared {
    /// Counts that a connection was cut off, and tells of it once while there are more.
    fn cut(&self, cut: Cut, peer: Option<SocketAddr>, cause: &dyn fmt::Display) {
        let (kind, peer) = (cut.name(), peer.map(display));
        metrics::counter!("prb_server_cut_connections_total", "cause" => kind).increment(1);
        if !matches!(cut, Cut::Idle | Cut::Broken) && self.troubles.begins(kind) {
            warn!(peer, kind, %cause, "a reader is cut off; more of the kind are only counted");
        } else {
            debug!(peer, kind, %cause, "a reader's connection ended");
        }
    }
}

/// Why a connection ended with an error; `many_at_once` in HTTP/2.
fn judged(error: &hyper::Error, session: &Session, many_at_once: bool) -> Cut {
    let mut broke = false;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            if error.kind() == io::ErrorKind::TimedOut {
                return Cut::Stall;
            }
            broke = true;
        }
        cause = inner.source();
    }
    if broke {
        Cut::Broken
    } else if error.is_timeout() {
        // A connection that is kept for later looks the same, but for the part of a question.
        if session.is_asking() { Cut::Head } else { Cut::Idle }
    } else if many_at_once && described(error).contains(EXCESS) {
        Cut::Flood
    } else if many_at_once || error.is_parse() || error.is_parse_too_large() {
        Cut::Malformed
    } else {
        Cut::Broken
    }
}
