//! Bodies in and out.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use prost::Message;

use crate::worker::error::Error;
use crate::worker::pb::PrpcError;
use crate::worker::phactory::Mode;

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Time in which a request body must have arrived, seconds.
const BODY_DEADLINE: Duration = Duration::from_secs(180);
/// What is read of a body that is too large, so that the client can finish sending and read the answer.
const DISCARD_LIMIT: usize = 16 << 20;
/// Time between two pieces of a slow answer.
const SLOW_STEP: Duration = Duration::from_millis(100);

/// Why there is no body.
pub(crate) enum BodyError {
    TooLarge,
    Failed,
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body<B>(body: B, limit: usize) -> Result<Vec<u8>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let read = tokio::time::timeout(BODY_DEADLINE, read_within(body, limit));
    read.await.unwrap_or(Err(BodyError::Failed))
}

async fn read_within<B>(mut body: B, limit: usize) -> Result<Vec<u8>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = Vec::new();
    let mut discarded = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Failed)?;
        let Some(data) = frame.data_ref() else { continue };
        if discarded == 0 && bytes.len() + data.len() <= limit {
            bytes.extend_from_slice(data);
            continue;
        }
        discarded += data.len();
        bytes = Vec::new();
        if discarded > DISCARD_LIMIT {
            break;
        }
    }
    if discarded > 0 { Err(BodyError::TooLarge) } else { Ok(bytes) }
}

/// An answer with a content type.
pub(crate) fn reply(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type.parse().expect("a literal media type; qed"));
    reply
}

/// The answer to a call that failed with a status.
pub(crate) fn error_reply(mode: Mode, status: StatusCode, message: String) -> Reply {
    let body = match mode {
        Mode::Binary => PrpcError { message }.encode_to_vec(),
        Mode::Json => {
            let error = serde_json::json!({ "error": message });
            serde_json::to_vec_pretty(&error).expect("a JSON value always has a text; qed")
        }
    };
    reply(status, "application/octet-stream", body)
}

/// The text inside an error answer: the error's own, except that JSON shows the debug form.
pub(crate) fn error_text(mode: Mode, error: &Error) -> String {
    match mode {
        Mode::Binary => error.to_string(),
        Mode::Json => format!("{error:?}"),
    }
}

/// The same answer, its body sent in pieces at a given speed.
pub(super) async fn slowed(answer: Reply, bytes_per_second: u32) -> Reply {
    let (head, body) = answer.into_parts();
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(never) => match never {},
    };
    let step = (bytes_per_second / 10).max(1) as usize;
    let pause =
        if bytes_per_second < 10 { Duration::from_secs(1) / bytes_per_second.max(1) } else { SLOW_STEP };
    let pieces = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(step.min(rest.len()));
        Some((Ok::<_, Infallible>(Frame::data(piece)), rest))
    });
    Response::from_parts(head, StreamBody::new(pieces).boxed_unsync())
}
