//! `author_*`.

use jsonrpsee::core::{RegisterMethodError, to_json_raw_value};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use jsonrpsee::{PendingSubscriptionSink, RpcModule};
use serde_json::{Value, json};
use std::sync::Arc;

use super::fault;
use super::json::{self, Outcome};
use super::{Method, Node};
use crate::chain::{PoolError, TxStatus};

pub(super) const METHODS: &[(&str, Method)] =
    &[("author_submitExtrinsic", submit), ("author_pendingExtrinsics", pending)];

const WATCH: &str = "author_submitAndWatchExtrinsic";
const UPDATE: &str = "author_extrinsicUpdate";

impl From<PoolError> for ErrorObjectOwned {
    fn from(error: PoolError) -> Self {
        ErrorObject::owned(error.code(), error.to_string(), error.data())
    }
}

fn submit(node: &Node, params: &[Value]) -> Outcome {
    Ok(json::hash(node.chain.submit(json::bytes(params, 0)?)?))
}

fn pending(node: &Node, _: &[Value]) -> Outcome {
    Ok(node.chain.pending().iter().map(json::hex_of).collect())
}

fn status(status: &TxStatus) -> Value {
    match status {
        TxStatus::Future => "future".into(),
        TxStatus::Ready => "ready".into(),
        TxStatus::InBlock(hash) => json!({ "inBlock": json::hash(*hash) }),
        TxStatus::Retracted(hash) => json!({ "retracted": json::hash(*hash) }),
        TxStatus::FinalityTimeout(hash) => json!({ "finalityTimeout": json::hash(*hash) }),
        TxStatus::Finalized(hash) => json!({ "finalized": json::hash(*hash) }),
        TxStatus::Usurped(hash) => json!({ "usurped": json::hash(*hash) }),
        TxStatus::Dropped => "dropped".into(),
        TxStatus::Invalid => "invalid".into(),
    }
}

pub(super) fn register(module: &mut RpcModule<Node>) -> Result<(), RegisterMethodError> {
    module.register_subscription(WATCH, UPDATE, "author_unwatchExtrinsic", |params, pending, node, _| {
        let params = super::parse(&params);
        watch(params, pending, node)
    })?;
    Ok(())
}

async fn watch(
    params: Result<Vec<Value>, ErrorObjectOwned>,
    pending: PendingSubscriptionSink,
    node: Arc<Node>,
) {
    let submitted = async {
        let params = params?;
        let fault = node.fault_for(WATCH, &params);
        let raw = json::bytes(&params, 0)?;
        fault::play(fault, async { Ok(Value::Null) }).await?;
        let chain = node.chain.clone();
        let task = tokio::task::spawn_blocking(move || chain.submit_and_watch(raw));
        Ok::<_, ErrorObjectOwned>(task.await.map_err(|error| json::internal(&error))??)
    };
    let (_, mut statuses) = match submitted.await {
        Ok(watched) => watched,
        Err(error) => return pending.reject(error).await,
    };
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let next = tokio::select! {
            next = statuses.recv() => next,
            () = sink.closed() => return,
        };
        let Some(next) = next else { return };
        let payload = status(&next);
        let fault = node.fault_for(UPDATE, std::slice::from_ref(&payload));
        if matches!(fault, Some(fault::Fault::Drop)) {
            continue;
        }
        let Ok(payload) = fault::play(fault, async { Ok(payload) }).await else { return };
        let Ok(message) = to_json_raw_value(&payload) else { return };
        if sink.send(message).await.is_err() || next.is_last() {
            return;
        }
    }
}
