//! From what happened on the wire to what the port answers.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use prb_core::port::worker::{Refusal, WorkerError};

use crate::{
    endpoint::Endpoint,
    exchange::{Failure, Reply},
    method::Method,
    refusal, reply,
};

/// The body of a 200 reply, or the error its status stands for. `bytes` is the size of the request.
pub(super) fn of(
    endpoint: &Endpoint,
    method: Method,
    bytes: u64,
    reply: Reply,
) -> Result<Bytes, WorkerError> {
    let endpoint = endpoint.to_string();
    let method = method.name;
    let Reply { status, body } = reply;
    Err(match status {
        StatusCode::OK if is_page(&body) => {
            let cause = format!("a web page; {NO_WORKER}");
            WorkerError::BadReply { endpoint, method, cause }
        }
        StatusCode::OK => return Ok(body),
        StatusCode::BAD_REQUEST => WorkerError::BadRequest { endpoint, method, message: words(&body) },
        StatusCode::FORBIDDEN => WorkerError::NotOffered { endpoint, method },
        // The worker says in protobuf that it has no such method; a page means there is no worker at that path.
        StatusCode::NOT_FOUND => match reply::error_message(&body) {
            Some(message) if !message.is_empty() => WorkerError::NotOffered { endpoint, method },
            _ => WorkerError::BadReply { endpoint, method, cause: format!("a 404 page; {NO_WORKER}") },
        },
        StatusCode::PAYLOAD_TOO_LARGE => WorkerError::TooLarge { endpoint, method, bytes },
        StatusCode::INTERNAL_SERVER_ERROR => {
            let message = words(&body);
            let refusal = refusal::classify(&message);
            WorkerError::Refused { endpoint, method, message, refusal }
        }
        // The body could not be read, or the worker is not up to answering: nothing is known to be wrong with it.
        StatusCode::SERVICE_UNAVAILABLE => WorkerError::Refused {
            endpoint,
            method,
            message: format!("503 {}", words(&body)).trim_end().to_owned(),
            refusal: Refusal::Busy,
        },
        // Data providers only answer GET, RPC ports of nodes only take JSON.
        other @ (StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
            let who = if other == StatusCode::METHOD_NOT_ALLOWED { "a data provider" } else { "a node" };
            let cause = format!("status {}, as from {who} or a web server; {NO_WORKER}", other.as_u16());
            WorkerError::BadReply { endpoint, method, cause }
        }
        other => WorkerError::BadReply {
            endpoint,
            method,
            cause: format!(
                "status {}, which workers do not use; is something between us and the worker?",
                other.as_u16()
            ),
        },
    })
}

/// What to do where something else than a worker answers.
const NO_WORKER: &str = "check that the address and its base path are those of a worker's private port";

/// Whether a body is a page for people.
fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The error of an exchange that gave no reply, `elapsed` after its turn began.
pub(super) fn failed(
    endpoint: &Endpoint,
    method: Method,
    failure: Failure,
    elapsed: Duration,
) -> WorkerError {
    let broken = |cause| WorkerError::Broken { endpoint: endpoint.to_string(), method: method.name, cause };
    match failure {
        Failure::Unsent => WorkerError::Unreachable {
            endpoint: endpoint.to_string(),
            cause: "it closed the connection before the request was written".into(),
        },
        Failure::NoReply(cause) if elapsed >= SILENCE => {
            broken(format!("it had not answered for {} s, then {cause}", elapsed.as_secs()))
        }
        Failure::NoReply(cause) | Failure::Cut(cause) => broken(cause),
        Failure::Stalled => timed_out(endpoint, method, elapsed),
        Failure::Unusable(cause) => {
            WorkerError::BadReply { endpoint: endpoint.to_string(), method: method.name, cause }
        }
    }
}

/// A worker that was silent for so long before the connection broke did not crash over the call: it hung.
const SILENCE: Duration = Duration::from_secs(10);

/// No answer within `time`, told in whole seconds, rounded up.
pub(super) fn timed_out(endpoint: &Endpoint, method: Method, time: Duration) -> WorkerError {
    WorkerError::Timeout {
        endpoint: endpoint.to_string(),
        method: method.name,
        seconds: time.as_secs_f64().ceil() as u64,
    }
}

/// Longest text kept of a worker's error, in characters.
const MAX_WORDS: usize = 2048;

/// What the worker said: the message of a `PrpcError`, else the body as text. Control characters become spaces, so
/// that a worker cannot write lines of its own into logs.
fn words(body: &[u8]) -> String {
    reply::error_message(body)
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
        .chars()
        .take(MAX_WORDS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::GET_INFO;

    #[test]
    fn a_worker_that_hung_before_its_connection_broke_is_told_by_that() {
        let endpoint: Endpoint = "http://h:8000".parse().unwrap();
        let told = |seconds| {
            let failure = Failure::NoReply("connection closed".to_owned());
            failed(&endpoint, GET_INFO, failure, Duration::from_secs(seconds)).to_string()
        };
        assert!(told(25).contains("it had not answered for 25 s, then connection closed"), "{}", told(25));
        assert!(!told(1).contains("had not answered"), "{}", told(1));
    }

    #[test]
    fn who_is_no_worker_is_told_by_what_it_answers() {
        let endpoint: Endpoint = "http://h:8000".parse().unwrap();
        let told = |status, body: &'static [u8]| {
            let reply = Reply { status, body: Bytes::from_static(body) };
            of(&endpoint, GET_INFO, 0, reply).unwrap_err().to_string()
        };
        for (status, body, words) in [
            (StatusCode::OK, &b"\n<!DOCTYPE html>"[..], "a web page"),
            (StatusCode::NOT_FOUND, b"<html>", "a 404 page"),
            (StatusCode::METHOD_NOT_ALLOWED, b"", "a data provider"),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, b"", "a node"),
        ] {
            let told = told(status, body);
            assert!(told.contains(words) && told.contains("worker's private port"), "{told}");
        }
    }
}
