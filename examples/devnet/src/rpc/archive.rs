//! `archive_v1_*` of the JSON-RPC specification, as far as a bridge can use it (`sc-rpc-spec-v2`).

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::Encode;
use jsonrpsee::core::{RegisterMethodError, to_json_raw_value};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, RpcModule};
use serde_json::{Value, json};
use sp_core::H256;

use super::fault::{self, Fault};
use super::json::{self, Outcome};
use super::{Method, Node, StateErrorOr};

pub(super) const METHODS: &[(&str, Method)] = &[
    ("archive_v1_genesisHash", genesis_hash),
    ("archive_v1_finalizedHeight", finalized_height),
    ("archive_v1_hashByHeight", hash_by_height),
    ("archive_v1_header", header),
];

/// What is asked, how its events are named, and how it is stopped.
const DIFF: (&str, &str, &str) =
    ("archive_v1_storageDiff", "archive_v1_storageDiffEvent", "archive_v1_stopStorageDiff");

fn genesis_hash(node: &Node, _: &[Value]) -> Outcome {
    Ok(json::hash(node.chain.genesis_hash()))
}

fn finalized_height(node: &Node, _: &[Value]) -> Outcome {
    Ok(node.chain.finalized_number().into())
}

fn hash_by_height(node: &Node, params: &[Value]) -> Outcome {
    let height = json::given(params, 0).ok_or_else(|| json::invalid("a height is needed"))?;
    let block = u32::try_from(json::number(height)?).ok().and_then(|number| node.chain.block_at(number));
    Ok(block.iter().map(|block| json::hash(block.hash)).collect())
}

fn header(node: &Node, params: &[Value]) -> Outcome {
    let block = node.chain.block(json::need_hash(params, 0)?);
    Ok(block.map(|block| json::hex_of(block.header.encode())).into())
}

/// One element of `items`: a key prefix, in the main trie or in a child trie.
struct Item {
    prefix: Vec<u8>,
    by_hash: bool,
    child: Option<Vec<u8>>,
}

/// A question for a difference.
struct Question {
    at: H256,
    items: Vec<Item>,
    previous: Option<H256>,
}

impl Question {
    fn read(params: &[Value]) -> Result<Self, ErrorObjectOwned> {
        let at = json::need_hash(params, 0)?;
        let previous = json::maybe_hash(params, 2)?;
        let Some(items) = json::given(params, 1) else {
            let all = Item { prefix: Vec::new(), by_hash: false, child: None };
            return Ok(Self { at, items: vec![all], previous });
        };
        let items = items.as_array().ok_or_else(|| json::invalid("parameter 1: a list is needed"))?;
        let bytes = |item: &Value, field: &str| match &item[field] {
            Value::Null => Ok(None),
            Value::String(text) => json::unhex(text).map(Some),
            _ => Err(json::invalid(format!("{field}: hex is needed"))),
        };
        let read = |item: &Value| {
            let by_hash = match item["returnType"].as_str() {
                Some("value") => false,
                Some("hash") => true,
                _ => return Err(json::invalid("returnType is value or hash")),
            };
            let prefix = bytes(item, "key")?.unwrap_or_default();
            Ok(Item { prefix, by_hash, child: bytes(item, "childTrieKey")? })
        };
        Ok(Self { at, items: items.iter().map(read).collect::<Result<_, _>>()?, previous })
    }
}

/// All events that answer `question` but the last.
fn differences(node: &Node, question: &Question) -> Result<Vec<Value>, StateErrorOr> {
    let block = node.chain.block_or_best(Some(question.at))?;
    let previous = question.previous.unwrap_or(block.header.parent_hash);
    for at in [question.at, previous] {
        node.check_pruned(Some(at))?;
    }
    let mut events = Vec::new();
    for item in &question.items {
        let (before, after) = (state(node, item, previous)?, state(node, item, question.at)?);
        let mut tell = |key: &Vec<u8>, value: &Vec<u8>, how: &str| {
            let mut event = json!({ "event": "storageDiff", "key": json::hex_of(key), "type": how });
            if item.by_hash {
                event["hash"] = json::hex_of(sp_crypto_hashing::blake2_256(value)).into();
            } else {
                event["value"] = json::hex_of(value).into();
            }
            if let Some(child) = &item.child {
                event["childTrieKey"] = json::hex_of(child).into();
            }
            events.push(event);
        };
        for (key, value) in &after {
            match before.get(key) {
                None => tell(key, value, "added"),
                Some(old) if old != value => tell(key, value, "modified"),
                Some(_) => {}
            }
        }
        // As `sc-rpc-spec-v2`: last, and with the values that are gone.
        before
            .iter()
            .filter(|(key, _)| !after.contains_key(*key))
            .for_each(|(key, old)| tell(key, old, "deleted"));
    }
    Ok(events)
}

/// What `item` is about, after block `at`.
fn state(node: &Node, item: &Item, at: H256) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StateErrorOr> {
    let Some(child) = &item.child else {
        return Ok(node.chain.pairs(&item.prefix, Some(at))?.into_iter().collect());
    };
    let keys = node.chain.keys_paged(Some(child), &item.prefix, usize::MAX, None, Some(at))?;
    let read = |key: Vec<u8>| {
        let value = node.chain.read_child(child, &key, Some(at))?;
        Ok((key, value.unwrap_or_default()))
    };
    keys.into_iter().map(read).collect()
}

pub(super) fn register(module: &mut RpcModule<Node>) -> Result<(), RegisterMethodError> {
    let (name, _, stop) = DIFF;
    module.register_subscription(name, DIFF.1, stop, move |params, pending, node, _| {
        let params = super::parse(&params);
        serve(params, pending, node)
    })?;
    Ok(())
}

async fn serve(
    params: Result<Vec<Value>, ErrorObjectOwned>,
    pending: PendingSubscriptionSink,
    node: Arc<Node>,
) {
    let (name, notification, _) = DIFF;
    let begun = async {
        let params = params?;
        let fault = node.fault_for(name, &params);
        fault::play(fault, async { Ok(Value::Null) }).await?;
        Question::read(&params)
    };
    let question = match begun.await {
        Ok(question) => question,
        Err(error) => return pending.reject(error).await,
    };
    let Ok(sink) = pending.accept().await else { return };
    let asked = node.clone();
    let found = tokio::task::spawn_blocking(move || differences(&asked, &question)).await;
    let failed = |cause: String| vec![json!({ "event": "storageDiffError", "error": cause })];
    let events = match found {
        Ok(Ok(mut events)) => {
            events.push(json!({ "event": "storageDiffDone" }));
            events
        }
        Ok(Err(cause)) => failed(cause.to_string()),
        Err(cause) => failed(cause.to_string()),
    };
    for event in events {
        let fault = node.fault_for(notification, std::slice::from_ref(&event));
        if matches!(fault, Some(Fault::Drop)) {
            continue;
        }
        let Ok(event) = fault::play(fault, async { Ok(event) }).await else { return };
        let Ok(message) = to_json_raw_value(&event) else { return };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
