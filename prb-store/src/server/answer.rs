//! Answers and refusals, and how they become HTTP.

use super::{
    body::{Payload, Pieces},
    session::Share,
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use prb_core::{port::StoreError, wire};

pub(super) const BINARY: &str = "application/octet-stream";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
/// The text format of Prometheus.
pub(super) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers below this size are not compressed.
const WORTH_COMPRESSING: usize = 1 << 10;

/// Something found.
pub(super) struct Answer {
    pub(super) kind: &'static str,
    pub(super) pieces: Pieces,
    /// Which chain it is about.
    pub(super) chain: Option<String>,
    /// Set already by who knows it better.
    pub(super) etag: Option<String>,
    pub(super) end: Option<wire::End>,
    pub(super) share: Option<Share>,
    /// Whether it changes all the time: no entity tag then.
    pub(super) volatile: bool,
}

impl Answer {
    pub(super) fn new(kind: &'static str, pieces: Pieces) -> Self {
        Self { kind, pieces, chain: None, etag: None, end: None, share: None, volatile: false }
    }

    /// Its entity tag, without quotes.
    fn tag(&mut self, path: &str) -> Option<String> {
        if self.volatile {
            return None;
        }
        let (chain, pieces) = (self.chain.as_deref().unwrap_or_default(), &mut self.pieces);
        let end = self.end.map_or("", wire::End::name);
        let salt = format!("{chain} {path} {end} ");
        Some(self.etag.take().unwrap_or_else(|| short(&pieces.fingerprint(salt.as_bytes()).0)))
    }

    /// The response to a request with these headers.
    pub(super) async fn into_response(
        mut self,
        path: &str,
        asked: &HeaderMap,
        zstd_level: i32,
    ) -> Response<Payload> {
        let compress = self.pieces.len() >= WORTH_COMPRESSING && accepts_zstd(asked);
        let etag = self.tag(path).map(|tag| format!("\"{tag}{}\"", if compress { "-z" } else { "" }));
        let mut response = if etag.as_deref().is_some_and(|etag| matches(asked, etag)) {
            self.share = None;
            let mut response = Response::new(Payload::default());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let mut parts = self.pieces.into_parts();
            let mut encoded = false;
            if compress {
                let work = tokio::task::spawn_blocking(move || {
                    let packed = squeeze(&parts, zstd_level);
                    (parts, packed)
                });
                let Ok((plain, packed)) = work.await else {
                    return Refusal::broken("compression crashed").into_response();
                };
                parts = plain;
                if let Some(packed) = packed {
                    (parts, encoded) = (vec![packed.into()], true);
                }
            }
            let bytes = parts.iter().map(Bytes::len).sum();
            let share = self.share.take().map(|share| share.shrunk(bytes));
            let mut response = Response::new(Payload::new(parts, share));
            if encoded {
                put(&mut response, header::CONTENT_ENCODING, "zstd");
            }
            put(&mut response, header::CONTENT_TYPE, self.kind);
            response
        };
        put(&mut response, header::VARY, "accept-encoding");
        if let Some(etag) = etag {
            put(&mut response, header::ETAG, &etag);
        }
        if let Some(chain) = self.chain {
            put(&mut response, HeaderName::from_static(wire::CHAIN), &chain);
        }
        if let Some(end) = self.end {
            put(&mut response, HeaderName::from_static(wire::END), end.name());
        }
        response
    }
}

/// First 16 bytes in hex.
pub(super) fn short(hash: &[u8; 32]) -> String {
    hex::encode(&hash[..16])
}

pub(super) fn put(response: &mut Response<Payload>, name: HeaderName, value: &str) {
    // Everything put here is visible ASCII; a header that were not is better left out than the answer.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn squeeze(parts: &[Bytes], level: i32) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut packer = zstd::stream::write::Encoder::new(Vec::new(), level).ok()?;
    for part in parts {
        packer.write_all(part).ok()?;
    }
    packer.finish().ok()
}

fn accepts_zstd(asked: &HeaderMap) -> bool {
    listed(asked, &header::ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0f32));
        name.trim().eq_ignore_ascii_case("zstd") && !refused
    })
}

fn matches(asked: &HeaderMap, etag: &str) -> bool {
    listed(asked, &header::IF_NONE_MATCH).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag
    })
}

fn listed<'a>(asked: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    asked.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// Nothing can follow on this connection.
    pub(super) close: bool,
    pub(super) header: Option<(HeaderName, &'static str)>,
    /// What it is counted and told as, where a person may want to know.
    pub(super) kind: Option<&'static str>,
    /// What the log is told, if that is more than what the reader is.
    pub(super) cause: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), close: false, header: None, kind: None, cause: None }
    }

    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn broken(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text).told("internal")
    }

    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Counts it and tells it as one of this kind.
    pub(super) fn told(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Tells the log this of it.
    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(super) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(super) fn into_response(self) -> Response<Payload> {
        let parts = Pieces::one(self.text.into_bytes()).into_parts();
        let mut response = Response::new(Payload::new(parts, None));
        *response.status_mut() = self.status;
        put(&mut response, header::CONTENT_TYPE, TEXT);
        if let Some((name, value)) = self.header {
            put(&mut response, name, value);
        }
        if self.close {
            put(&mut response, header::CONNECTION, "close");
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let cause = error.to_string();
        // What the store says may name files; the reader learns only what helps it.
        let text = match error {
            StoreError::Damaged { stream, height } => format!("{stream} at {height} is damaged here"),
            _ => "the store cannot be read now".to_owned(),
        };
        Self::new(status, text).told("store").because(cause)
    }
}
