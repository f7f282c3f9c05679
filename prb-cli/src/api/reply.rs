//! What is answered, before it becomes HTTP.

use super::answers::Failure;
use futures::StreamExt;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::{Body, Bytes},
    header::{self, HeaderName, HeaderValue},
};
use prb_core::pipeline::CancellationToken;
use serde::Serialize;
use std::error::Error;

const JSON: &str = "application/json";
/// PRB v3 answers the JSON of configuration commands as text.
const TEXT: &str = "text/plain; charset=utf-8";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The kind of an answer that has no end.
pub(super) const EVENTS: &str = "text/event-stream";

/// Why a stream broke off.
pub(super) type Broken = Box<dyn Error + Send + Sync>;

/// What is sent of an answer, at once or bit by bit.
pub(super) type Sent = UnsyncBoxBody<Bytes, Broken>;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// All of it, unless it is a stream.
    pub(super) body: Bytes,
    stream: Option<Sent>,
    kind: Option<HeaderValue>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// A status, and nothing else.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, body: Bytes::new(), stream: None, kind: None, headers: Vec::new() }
    }

    /// A body of a kind, whole.
    pub(super) fn whole(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let kind = Some(HeaderValue::from_static(kind));
        Self { body: body.into(), kind, ..Self::empty(StatusCode::OK) }
    }

    /// A body that comes bit by bit. Where it tells events, its connection lasts longer than others (`Limits::stream`).
    pub(super) fn stream<B>(status: StatusCode, kind: Option<HeaderValue>, body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Broken>,
    {
        let stream = body.map_err(Into::into).boxed_unsync();
        Self { stream: Some(stream), kind, ..Self::empty(status) }
    }

    /// Whether it goes on for as long as somebody listens.
    pub(super) fn has_no_end(&self) -> bool {
        self.stream.is_some() && tells_events(self.kind.as_ref())
    }

    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { status, ..Self::whole(JSON, body) },
            Err(cause) => Self::broken(&cause),
        }
    }

    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// JSON as v3 answers that of configuration commands.
    pub(super) fn pretty(body: &impl Serialize) -> Self {
        match serde_json::to_vec_pretty(body) {
            Ok(body) => Self::whole(TEXT, body),
            Err(cause) => Self::broken(&cause),
        }
    }

    pub(super) fn metrics(text: String) -> Self {
        Self::whole(METRICS, text)
    }

    /// Text of a kind.
    pub(super) fn text(kind: &'static str, body: &'static str) -> Self {
        Self::whole(kind, body)
    }

    /// A refusal with its reason.
    pub(super) fn error(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::json(status, &Failure { error: true, code: code.to_owned(), message, backtrace: None })
    }

    /// A failure in the form that v3 gives to all of them.
    #[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub(super) fn server_error(message: impl ToString) -> Self {
        let message = message.to_string();
        let code = "ServerError".to_owned();
        let body = Failure { error: true, code, message, backtrace: Some("") };
        Self::json(StatusCode::INTERNAL_SERVER_ERROR, &body)
    }

    /// Something that cannot happen: all that is answered has a form in JSON.
    fn broken(cause: &serde_json::Error) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..Self::whole(TEXT, cause.to_string()) }
    }

    pub(super) fn with(self, name: HeaderName, value: &'static str) -> Self {
        self.with_value(name, HeaderValue::from_static(value))
    }

    pub(super) fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The connection ends with it.
    pub(super) fn closing(self) -> Self {
        self.with(header::CONNECTION, "close")
    }

    /// As HTTP. What has no end of its own ends in order once `ended` is cancelled, and its connection with it; of all else a part
    /// never looks like the whole.
    pub(super) fn into_response(self, ended: &CancellationToken) -> Response<Sent> {
        let has_no_end = self.has_no_end();
        let body = match self.stream {
            Some(stream) if !has_no_end => stream,
            Some(stream) => {
                let frames = BodyStream::new(stream).take_until(ended.clone().cancelled_owned());
                StreamBody::new(frames).boxed_unsync()
            }
            None => Full::new(self.body).map_err(|never| match never {}).boxed_unsync(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(kind) = self.kind {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        if has_no_end {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Whether a content type is that of events.
pub(super) fn tells_events(kind: Option<&HeaderValue>) -> bool {
    kind.is_some_and(|kind| kind.as_bytes().starts_with(EVENTS.as_bytes()))
}
