//! What is answered, before it becomes HTTP.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::json;

const JSON: &str = "application/json";
/// PRB v3 answers the JSON of configuration commands as text.
const TEXT: &str = "text/plain; charset=utf-8";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    kind: &'static str,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Reply {
    /// A status, and nothing else.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, body: Vec::new(), kind: "", headers: Vec::new() }
    }

    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { body, kind: JSON, ..Self::empty(status) },
            Err(cause) => Self::broken(&cause),
        }
    }

    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// JSON as v3 answers that of configuration commands.
    pub(super) fn pretty(body: &impl Serialize) -> Self {
        match serde_json::to_vec_pretty(body) {
            Ok(body) => Self { body, kind: TEXT, ..Self::empty(StatusCode::OK) },
            Err(cause) => Self::broken(&cause),
        }
    }

    pub(super) fn metrics(text: String) -> Self {
        Self { body: text.into_bytes(), kind: METRICS, ..Self::empty(StatusCode::OK) }
    }

    /// Text of a kind.
    pub(super) fn text(kind: &'static str, body: &str) -> Self {
        Self { body: body.as_bytes().to_vec(), kind, ..Self::empty(StatusCode::OK) }
    }

    /// A refusal with its reason.
    pub(super) fn error(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::json(status, &json!({ "error": true, "code": code, "message": message }))
    }

    /// A failure in the form that v3 gives to all of them.
    #[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub(super) fn server_error(message: impl ToString) -> Self {
        let message = message.to_string();
        let body = json!({ "error": true, "code": "ServerError", "message": message, "backtrace": "" });
        Self::json(StatusCode::INTERNAL_SERVER_ERROR, &body)
    }

    /// Something that cannot happen: all that is answered has a form in JSON.
    fn broken(cause: &serde_json::Error) -> Self {
        let body = cause.to_string().into_bytes();
        Self { body, kind: TEXT, ..Self::empty(StatusCode::INTERNAL_SERVER_ERROR) }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The connection ends with it.
    pub(super) fn closing(self) -> Self {
        self.with(header::CONNECTION, "close")
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if !self.kind.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
