//! Subscriptions to heads, justifications, runtime versions and storage.

use std::sync::Arc;

use jsonrpsee::core::{RegisterMethodError, to_json_raw_value};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, RpcModule};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::fault::{self, Fault};
use super::{Node, json};
use crate::chain::Event;

/// What a subscriber hears because of an event; `None` as event: at once, when subscribing.
type Feed = fn(&Node, &[Value], Option<&Event>) -> Result<Option<Value>, ErrorObjectOwned>;

const FEEDS: &[(&str, &str, &str, Feed)] = &[
    ("chain_subscribeNewHeads", "chain_newHead", "chain_unsubscribeNewHeads", best),
    ("chain_subscribeNewHead", "chain_newHead", "chain_unsubscribeNewHead", best),
    ("chain_subscribeAllHeads", "chain_allHead", "chain_unsubscribeAllHeads", best),
    ("chain_subscribeFinalizedHeads", "chain_finalizedHead", "chain_unsubscribeFinalizedHeads", finalized),
    ("state_subscribeRuntimeVersion", "state_runtimeVersion", "state_unsubscribeRuntimeVersion", version),
    ("chain_subscribeRuntimeVersion", "chain_runtimeVersion", "chain_unsubscribeRuntimeVersion", version),
    ("state_subscribeStorage", "state_storage", "state_unsubscribeStorage", storage),
];

const GRANDPA_FEEDS: &[(&str, &str, &str, Feed)] = &[(
    "grandpa_subscribeJustifications",
    "grandpa_justifications",
    "grandpa_unsubscribeJustifications",
    justifications,
)];

pub(super) fn register(module: &mut RpcModule<Node>, grandpa: bool) -> Result<(), RegisterMethodError> {
    let more = if grandpa { GRANDPA_FEEDS } else { &[] };
    for (name, notification, end, feed) in FEEDS.iter().chain(more).copied() {
        module.register_subscription(name, notification, end, move |params, pending, node, _| {
            let params = super::parse(&params);
            serve(name, notification, params, pending, node, feed)
        })?;
    }
    Ok(())
}

async fn serve(
    name: &'static str,
    notification: &'static str,
    params: Result<Vec<Value>, ErrorObjectOwned>,
    pending: PendingSubscriptionSink,
    node: Arc<Node>,
    feed: Feed,
) {
    // Listening begins before the first value is read, so nothing falls in between.
    let mut events = node.chain.events();
    let begun = async {
        let params = params?;
        let fault = node.fault_for(name, &params);
        fault::play(fault, async { Ok(Value::Null) }).await?;
        Ok::<_, ErrorObjectOwned>((feed(&node, &params, None)?, params))
    };
    let (mut next, params) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return pending.reject(error).await,
    };
    let Ok(sink) = pending.accept().await else { return };
    let mut last = Value::Null;
    loop {
        if let Some(payload) = next.take().filter(|payload| *payload != last) {
            last.clone_from(&payload);
            let fault = node.fault_for(notification, std::slice::from_ref(&payload));
            if !matches!(fault, Some(Fault::Drop)) {
                let Ok(payload) = fault::play(fault, async { Ok(payload) }).await else { return };
                let Ok(message) = to_json_raw_value(&payload) else { return };
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        }
        let event = tokio::select! {
            event = events.recv() => event,
            () = sink.closed() => return,
        };
        next = match event {
            Ok(event) => feed(&node, &params, Some(&event)).ok().flatten(),
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => return,
        };
    }
}

fn best(node: &Node, _: &[Value], event: Option<&Event>) -> Result<Option<Value>, ErrorObjectOwned> {
    Ok(match event {
        None => Some(json::header(&node.chain.best().header)),
        Some(Event::Best(block)) => Some(json::header(&block.header)),
        Some(_) => None,
    })
}

fn finalized(node: &Node, _: &[Value], event: Option<&Event>) -> Result<Option<Value>, ErrorObjectOwned> {
    Ok(match event {
        None => Some(json::header(&node.chain.finalized().header)),
        Some(Event::Finalized(block)) => Some(json::header(&block.header)),
        Some(_) => None,
    })
}

fn justifications(_: &Node, _: &[Value], event: Option<&Event>) -> Result<Option<Value>, ErrorObjectOwned> {
    Ok(match event {
        Some(Event::Justification(bytes)) => Some(json::hex_of(&**bytes).into()),
        _ => None,
    })
}

/// Asked at every new best block; equal answers in a row are sent once.
fn version(node: &Node, _: &[Value], event: Option<&Event>) -> Result<Option<Value>, ErrorObjectOwned> {
    let at = match event {
        None => node.chain.best().hash,
        Some(Event::Best(block)) => block.hash,
        Some(_) => return Ok(None),
    };
    Ok(Some(json::version(&node.chain.runtime_version(Some(at)).map_err(json::state_error)?)))
}

fn storage(node: &Node, params: &[Value], event: Option<&Event>) -> Result<Option<Value>, ErrorObjectOwned> {
    let keys = json::byte_lists(params, 0)?;
    let (block, wanted) = match event {
        None => (node.chain.best(), keys),
        Some(Event::Best(block)) => {
            let changed = |key: &Vec<u8>| block.changes.main.iter().any(|(written, _)| written == key);
            (block.clone(), keys.into_iter().filter(changed).collect())
        }
        Some(_) => return Ok(None),
    };
    if wanted.is_empty() {
        return Ok(None);
    }
    let read = |key: Vec<u8>| node.chain.read(&key, Some(block.hash)).map(|value| (key, value));
    let values = wanted.into_iter().map(read).collect::<Result<_, _>>().map_err(json::state_error)?;
    Ok(Some(json!({ "block": json::hash(block.hash), "changes": json::changes(&values) })))
}
