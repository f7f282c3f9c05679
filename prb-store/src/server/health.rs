//! What watches over services asks: whether the process lives, whether it gets on, and what it counts.

use super::{
    Shared,
    answer::{Answer, JSON, METRICS, Refusal},
    body::Pieces,
};
use hyper::{StatusCode, header};
use serde_json::{Value, json};

impl Shared {
    /// `/healthz`, `/readyz` and `/metrics`.
    pub(super) async fn health(&self, what: &str) -> Result<Answer, Refusal> {
        match what {
            "healthz" => Ok(said(&json!({ "ok": true }))),
            "readyz" => self.ready().await,
            _ => match self.options.metrics.and_then(|metrics| metrics()) {
                Some(text) => Ok(volatile(METRICS, text)),
                None => Err(unavailable("metrics are not recorded by this program")),
            },
        }
    }

    async fn ready(&self) -> Result<Answer, Refusal> {
        let following = self.following.as_ref().map(|following| following.borrow().clone());
        let stalled = following.and_then(|following| following.stalled);
        match (self.store.coverage().await?, stalled) {
            (Some(_), None) => Ok(said(&json!({ "ready": true, "reasons": [] }))),
            (None, None) => Err(unready("there is no data yet")),
            (_, Some(stalled)) => Err(unready(&stalled)),
        }
    }
}

fn said(what: &Value) -> Answer {
    volatile(JSON, what.to_string())
}

fn volatile(kind: &'static str, text: String) -> Answer {
    let mut answer = Answer::new(kind, Pieces::one(text.into_bytes()));
    answer.volatile = true;
    answer
}

fn unready(reason: &str) -> Refusal {
    let body = json!({ "ready": false, "reasons": [reason] });
    unavailable(&body.to_string()).with(header::CONTENT_TYPE, JSON)
}

fn unavailable(text: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text)
}
