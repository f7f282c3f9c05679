//! `/ptp`: peers and their methods over HTTP, as PRB v2's monitor has them: any HTTP method, the same JSON and status codes.
//!
//! Nobody but a peer whose greeting was answered is asked, and only what the protocol has. What changes something is a change
//! here too, whatever HTTP method it comes with.

use super::{reply::Reply, route::is_read};
use hyper::{HeaderMap, StatusCode, header};
use prb_p2p::{Answer, CallError, Network, Peer, PeerId, message::Role, method::Method};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// Largest body, bytes: what Express takes unless told.
pub(super) const MAX_BODY: usize = 100 << 10;

/// How long a peer may take. The connection of who asks outlasts it (`Limits::last`).
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A method that is asked of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    peer: String,
    method: String,
}

impl Call {
    pub(super) const fn new(peer: String, method: String) -> Self {
        Self { peer, method }
    }

    /// Whether it may be more than reading; of what is not known here, another one may know that it is.
    pub(super) fn changes(&self) -> bool {
        Method::find(&self.method).is_none_or(Method::manages)
    }

    fn manages(&self) -> bool {
        Method::find(&self.method).is_some_and(Method::manages)
    }

    /// Asks the peer, with a request's body.
    pub(super) async fn ask(
        &self,
        network: &Network,
        by: &hyper::Method,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Reply> {
        // A browser may be made to send a request without a body for whatever page, and does not say for which.
        if self.manages() && body.is_empty() && is_read(by) {
            return Err(Reply::empty(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, "POST"));
        }
        let request = self.request(headers, body)?;
        let peer = self.peer.parse::<PeerId>().ok();
        let peer = peer.filter(|id| network.peers().iter().any(|peer| peer.id == *id));
        let Some(peer) = peer else { return Ok(unknown_peer()) };
        let Some(method) = Method::find(&self.method) else {
            return Ok(failed("there is no such method"));
        };
        let request = match method.request_from_json(&request) {
            Ok(request) => request,
            Err(cause) => return Ok(failed(&cause.to_string())),
        };
        let call = network.call(&peer, method.name(), request);
        Ok(match timeout(PATIENCE, call).await.unwrap_or(Err(CallError::Timeout)) {
            Ok(answer) => answered(method, answer),
            Err(CallError::UnknownPeer) => unknown_peer(),
            Err(cause) => failed(&cause.to_string()),
        })
    }

    /// The body as Express reads it: JSON if it is said to be, else nothing.
    fn request(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Reply> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is_json = kind.eq_ignore_ascii_case("application/json");
        if !is_json && !body.is_empty() && self.manages() {
            // In v2 a change of nothing, which helped nobody.
            let message = "the body must be JSON, with `Content-Type: application/json`";
            return Err(Reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
        }
        if !is_json || body.is_empty() {
            return Ok(json!({}));
        }
        let bad = |cause: &str| Reply::error(StatusCode::BAD_REQUEST, "BadRequest", cause);
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            bad(&format!("the body is no JSON, at line {} column {}", error.line(), error.column()))
        })?;
        let is_fine = value.is_object() || value.is_array();
        if is_fine { Ok(value) } else { Err(bad("the body must be a JSON object")) }
    }
}

/// What `/ptp/discover` answers.
pub(super) fn discovered(peers: &[Peer]) -> Value {
    let of = |role: Role| peers.iter().filter(|peer| peer.role == role as i32).collect::<Vec<_>>();
    json!({ "dataProviders": of(Role::DataProvider), "lifecycleManagers": of(Role::LifecycleManager) })
}

/// There is nobody to ask: the network is not joined for this reason, or never.
pub(super) fn no_network(trouble: Option<String>) -> Reply {
    let off = || "the peer-to-peer network is off here; a section [p2p] joins it".to_owned();
    let message =
        trouble.map_or_else(off, |cause| format!("the peer-to-peer network is not joined yet: {cause}"));
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", &message)
}

fn answered(method: Method, answer: Answer) -> Reply {
    let Answer { created_at, request_nonce, nonce, result } = answer;
    let mut meta = json!({
        "createdAt": created_at.to_string(),
        "requestNonce": request_nonce,
        "nonce": nonce,
        "hasError": result.is_err(),
    });
    match result {
        Ok(bytes) => match method.answer_to_json(&bytes) {
            Ok(data) => Reply::ok(&json!({ "data": data, "hasError": false, "meta": meta })),
            Err(cause) => failed(&format!("the answer is not understood: {cause}")),
        },
        Err(error) => {
            meta["error"] = json!({ "type": error.kind().name(), "message": error.message() });
            let error = json!({ "type": error.kind.unwrap_or_default(), "message": error.message() });
            Reply::ok(&json!({ "hasError": true, "error": error, "meta": meta }))
        }
    }
}

/// Nothing came of it. v2 answers so too; its errors had no words, and readers of `error.message` want some.
fn failed(message: &str) -> Reply {
    Reply::ok(&json!({ "hasError": true, "error": { "message": message }, "meta": null }))
}

fn unknown_peer() -> Reply {
    Reply::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({}))
}
