//! The listener of a fleet.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Feeding, Member, Request, Shared};
use crate::worker::error::Result;
use crate::worker::http::{BodyError, Reply, error_reply, error_text, read_body, reply, unix_time};
use crate::worker::methods;
use crate::worker::phactory::Mode;
use crate::worker::version::Version;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer is given")]
struct NoAnswer;

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    // A worker has one connection, and another for a moment.
    let most = 2 * shared.members.len() + 16;
    while !*stopped.borrow_and_update() {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < most => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, shared.clone()));
                }
                // Out of file descriptors, most likely: wait for connections to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            changed = stopped.changed() => if changed.is_err() { break },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.keep_alive)
        .serve_connection(TokioIo::new(stream), service_fn(|request| serve(shared.clone(), request)));
    // An error is a client that went away, or a worker that is away.
    let _ = served.await;
}

async fn serve(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> std::result::Result<Reply, NoAnswer> {
    let arrived = Instant::now();
    let path = request.uri().path().to_owned();
    let worker = path.trim_start_matches('/').split_once("/prpc/PhactoryAPI.");
    let found = worker.and_then(|(index, method)| {
        Some((shared.members.get(index.parse::<usize>().ok()?)?, methods::find(Version::CURRENT, method)?))
    });
    let Some((member, method)) = found.filter(|_| request.method() == Method::POST) else {
        return Ok(error_reply(Mode::Binary, StatusCode::NOT_FOUND, "Method Not Found".to_owned()));
    };
    if member.away.load(Ordering::Acquire) {
        return Err(NoAnswer);
    }
    let body = match read_body(request.into_body(), method.limit).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => {
            let text = b"Entity too large".to_vec();
            return Ok(reply(StatusCode::PAYLOAD_TOO_LARGE, "text/plain; charset=utf-8", text));
        }
        Err(BodyError::Failed) => return Err(NoAnswer),
    };
    match perform(&shared, member, &Request { method: method.name, body: &body, arrived }).await {
        Ok(answer) => Ok(reply(StatusCode::OK, "application/octet-stream", answer)),
        Err(error) => {
            let status = error.status().and_then(|status| StatusCode::from_u16(status).ok());
            Ok(error_reply(Mode::Binary, status.ok_or(NoAnswer)?, error_text(Mode::Binary, &error)))
        }
    }
}

/// Performs a call and writes down what it did. The worker's own work on blocks is waiting here, so that a thousand of
/// them need no thousand processors.
async fn perform(shared: &Shared, member: &Member, request: &Request<'_>) -> Result<Vec<u8>> {
    let handled = member.light().handle(&shared.readings, unix_time(), request.method, request.body);
    let (answer, effect) = handled?;
    let work = member.work() * effect.blocks;
    let begun = Instant::now();
    if !work.is_zero() {
        tokio::time::sleep(work).await;
    }
    let now = Instant::now();
    let mut account = member.account();
    account.requests += 1;
    account.bytes_in += request.body.len() as u64;
    account.bytes_out += answer.len() as u64;
    if let Some(relay) = effect.relay {
        account.arrival(relay, request.arrived);
    }
    if effect.initialised {
        account.feeding = Some(Feeding::from_now());
    }
    if let Some(feeding) = &mut account.feeding
        && effect.blocks > 0
    {
        feeding.ended = now;
        feeding.worked += now - begun;
        feeding.blocks += effect.blocks;
    }
    Ok(answer)
}
