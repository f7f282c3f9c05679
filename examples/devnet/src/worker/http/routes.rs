//! Routes of the private listener.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::faults::Fault;
use super::reply::{BodyError, Reply, error_reply, error_text, read_body, reply, slowed};
use super::{Shared, legacy};
use crate::worker::error::{Error, Result};
use crate::worker::methods::{self, BIN_API_LIMIT, UNKNOWN_LIMIT};
use crate::worker::phactory::Mode;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer is given")]
pub(super) struct NoAnswer;

/// Counts a request as in progress while it exists.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn new(shared: &Arc<Shared>) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.peak_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(shared.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers one request.
pub(super) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> std::result::Result<Reply, NoAnswer> {
    let began = Instant::now();
    let id = shared.next_request.fetch_add(2, Ordering::Relaxed);
    let _counted = InFlight::new(&shared);
    let mut answer = route(&shared, request).await?;
    let headers = answer.headers_mut();
    headers.insert("X-Request-Id", HeaderValue::from(id));
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    headers.insert("X-Cost-Time", HeaderValue::from(micros));
    Ok(answer)
}

async fn route(shared: &Arc<Shared>, request: Request<Incoming>) -> std::result::Result<Reply, NoAnswer> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    if let Some(name) = path.strip_prefix("/prpc/")
        && (method == Method::POST || method == Method::GET)
    {
        return prpc(shared, name, request).await;
    }
    match (&method, path.as_str()) {
        (&Method::GET, "/info") => {
            let text = serde_json::to_vec_pretty(&info(shared).await?).map_err(|_| NoAnswer)?;
            Ok(reply(StatusCode::OK, "text/plain; charset=utf-8", text))
        }
        (&Method::GET, "/help") => {
            let text = include_bytes!("../pb.rs").to_vec();
            Ok(reply(StatusCode::OK, "text/plain; charset=utf-8", text))
        }
        (&Method::GET | &Method::POST, "/get_info") => {
            let body = if method == Method::POST { Some(request.into_body()) } else { None };
            legacy::get_info(shared, body).await
        }
        (&Method::POST, _) if path.starts_with("/bin_api/") => {
            let Some(call) = legacy::BinCall::find(&path["/bin_api/".len()..]) else { return Ok(no_route()) };
            match read_body(request.into_body(), BIN_API_LIMIT).await {
                Ok(body) => legacy::bin_api(shared, call, body).await,
                Err(BodyError::TooLarge) => Ok(legacy::plain_error("Entity too large")),
                Err(BodyError::Failed) => Ok(legacy::plain_error("Io error: Read input data failed")),
            }
        }
        _ => Ok(no_route()),
    }
}

fn no_route() -> Reply {
    let page = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head>\
        <body><h1>404: Not Found</h1></body></html>";
    reply(StatusCode::NOT_FOUND, "text/html; charset=utf-8", page.to_vec())
}

async fn prpc(
    shared: &Arc<Shared>,
    path: &str,
    request: Request<Incoming>,
) -> std::result::Result<Reply, NoAnswer> {
    let mode = mode(&request);
    // Another service name is no method of ours either.
    let method = path.strip_prefix("PhactoryAPI.").unwrap_or_default().to_owned();
    shared.count(&method);
    let limit = methods::find(shared.version(), &method).map_or(UNKNOWN_LIMIT, |method| method.limit);
    let body = if request.method() == Method::GET {
        Vec::new()
    } else {
        match read_body(request.into_body(), limit).await {
            Ok(body) => body,
            Err(BodyError::TooLarge) => {
                let text = b"Entity too large".to_vec();
                return Ok(reply(StatusCode::PAYLOAD_TOO_LARGE, "text/plain; charset=utf-8", text));
            }
            Err(BodyError::Failed) => {
                let text = b"Read body failed".to_vec();
                return Ok(reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text));
            }
        }
    };
    let fault = shared.faults.take(&method);
    match &fault {
        Some(Fault::Hang) => {
            shared.faults.until_cleared().await;
            return Err(NoAnswer);
        }
        Some(Fault::Drop) => return Err(NoAnswer),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Error { status, message }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(error_reply(mode, status, message.clone()));
        }
        Some(Fault::Garbage(bytes)) => {
            return Ok(reply(StatusCode::OK, "application/octet-stream", bytes.clone()));
        }
        Some(Fault::Abort) => {
            let abort = |_: &mut _| Err::<(), _>(Error::Abort("a test asked for it".into()));
            blocking(shared, move |shared| shared.run("", false, abort)).await?.map_err(|_| NoAnswer)?;
        }
        Some(Fault::Slow { .. } | Fault::DropAnswer) | None => {}
    }
    let result = blocking(shared, move |shared| shared.handle(mode, &method, &body)).await?;
    if fault == Some(Fault::DropAnswer) {
        return Err(NoAnswer);
    }
    let answer = match result {
        Ok(bytes) => reply(StatusCode::OK, "application/octet-stream", bytes),
        Err(error) => {
            let status = error.status().ok_or(NoAnswer)?;
            let status = StatusCode::from_u16(status).map_err(|_| NoAnswer)?;
            error_reply(mode, status, error_text(mode, &error))
        }
    };
    match fault {
        Some(Fault::Slow { bytes_per_second }) => Ok(slowed(answer, bytes_per_second).await),
        _ => Ok(answer),
    }
}

fn mode(request: &Request<Incoming>) -> Mode {
    let switched = request.uri().query().is_some_and(|query| {
        query.split('&').any(|pair| matches!(pair, "json" | "json=true" | "json=yes" | "json=on"))
    });
    let typed =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.split(';').next().is_some_and(|kind| kind.trim() == "application/json")
        });
    if request.method() == Method::GET || switched || typed { Mode::Json } else { Mode::Binary }
}

pub(super) async fn info(
    shared: &Arc<Shared>,
) -> std::result::Result<crate::worker::pb::PhactoryInfo, NoAnswer> {
    blocking(shared, |shared| shared.lock().phactory.info()).await
}

/// Runs work that may take long off the async threads. A panic ends the worker's process as an abort
/// does.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> T + Send + 'static,
) -> std::result::Result<T, NoAnswer> {
    let worker = shared.clone();
    match tokio::task::spawn_blocking(move || work(&worker)).await {
        Ok(done) => Ok(done),
        Err(error) => {
            tracing::error!(%error, "a call panicked");
            shared.rcu.store(false, Ordering::Release);
            shared.restart_after_abort(&mut shared.lock().phactory);
            Err(NoAnswer)
        }
    }
}

/// A call through [`Shared::run`], off the async threads; never in copy-and-replace mode.
pub(super) async fn run<T: Send + 'static>(
    shared: &Arc<Shared>,
    method: &'static str,
    call: impl FnOnce(&mut crate::worker::phactory::Phactory) -> Result<T> + Send + 'static,
) -> std::result::Result<Result<T>, NoAnswer> {
    shared.count(method);
    blocking(shared, move |shared| shared.run(method, false, call)).await
}
