//! One question to a PCCS on a connection of its own.

use crate::{connect::Stream, endpoint::Endpoint};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Request,
    client::conn::http1,
    header::{CONNECTION, HOST},
};
use hyper_util::rt::TokioIo;
use prb_core::fault::described;

/// Largest answer, bytes: real ones are some ten kilobytes.
const MAX_BODY: usize = 1 << 20;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The connection broke.
    Broken(String),
    /// What came is not an answer.
    Unusable(String),
}

pub(super) async fn get(stream: Box<dyn Stream>, endpoint: &Endpoint, path: &str) -> Result<Answer, Failure> {
    let broken = |error: hyper::Error| {
        if error.is_parse() {
            Failure::Unusable(format!("what is not HTTP/1.1: {}", described(&error)))
        } else {
            Failure::Broken(described(&error))
        }
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(format!("{}{path}", endpoint.base()))
        .header(HOST, endpoint.authority())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::Unusable(error.to_string()))?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
            match error.downcast_ref::<LengthLimitError>() {
                Some(_) => Failure::Unusable(format!("more than {MAX_BODY} bytes")),
                None => Failure::Broken(error.to_string()),
            }
        })?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() })
    };
    // The connection does its work here, and ends with this call.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}
