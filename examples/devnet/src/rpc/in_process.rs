//! A subxt transport without sockets.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use jsonrpsee::Methods;
use serde_json::value::RawValue;
use subxt_rpcs::Error;
use subxt_rpcs::client::{RawRpcFuture, RawRpcSubscription, RpcClientT};

use super::Node;

/// Notifications a subscription can be behind by before its source waits.
const BUFFER: usize = 1024;

/// Talks to a node's methods directly. Give it to `subxt_rpcs::RpcClient::new`.
pub struct InProcess {
    methods: Methods,
    requests: AtomicU64,
}

impl InProcess {
    /// A transport to `node` without any server.
    ///
    /// # Panics
    /// Never: the method names are distinct.
    pub fn new(node: std::sync::Arc<Node>) -> Self {
        Self::over(super::module(node).expect("method names are distinct").into())
    }

    pub(super) fn over(methods: Methods) -> Self {
        Self { methods, requests: AtomicU64::new(0) }
    }

    fn request(&self, method: &str, params: Option<&RawValue>) -> String {
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        let params = params.map_or("[]", RawValue::get);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    result: Option<Box<RawValue>>,
    error: Option<subxt_rpcs::UserError>,
}

#[derive(serde::Deserialize)]
struct Notification {
    params: Payload,
}

#[derive(serde::Deserialize)]
struct Payload {
    result: Box<RawValue>,
}

fn result_of(answer: &RawValue) -> Result<Box<RawValue>, Error> {
    let answer: Answer = serde_json::from_str(answer.get()).map_err(Error::Deserialization)?;
    match (answer.error, answer.result) {
        (Some(error), _) => Err(Error::User(error)),
        (None, Some(result)) => Ok(result),
        // A `null` result reads as absent.
        (None, None) => serde_json::value::to_raw_value(&()).map_err(Error::Deserialization),
    }
}

impl RpcClientT for InProcess {
    fn request_raw<'a>(
        &'a self,
        method: &'a str,
        params: Option<Box<RawValue>>,
    ) -> RawRpcFuture<'a, Box<RawValue>> {
        Box::pin(async move {
            let request = self.request(method, params.as_deref());
            let (answer, _) =
                self.methods.raw_json_request(&request, 1).await.map_err(Error::Deserialization)?;
            result_of(&answer)
        })
    }

    fn subscribe_raw<'a>(
        &'a self,
        sub: &'a str,
        params: Option<Box<RawValue>>,
        _unsub: &'a str,
    ) -> RawRpcFuture<'a, RawRpcSubscription> {
        Box::pin(async move {
            let request = self.request(sub, params.as_deref());
            let (answer, receiver) =
                self.methods.raw_json_request(&request, BUFFER).await.map_err(Error::Deserialization)?;
            let id = serde_json::from_str(result_of(&answer)?.get()).ok();
            let stream = futures::stream::unfold(receiver, |mut receiver| async {
                let raw: Box<RawValue> = receiver.recv().await?;
                let payload = serde_json::from_str::<Notification>(raw.get());
                Some((payload.map(|it| it.params.result).map_err(Error::Deserialization), receiver))
            });
            Ok(RawRpcSubscription { stream: stream.boxed(), id })
        })
    }
}
