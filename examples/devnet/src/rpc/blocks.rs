//! `chain_*` and `grandpa_proveFinality`.

use serde_json::{Value, json};

use super::json::{self, Outcome};
use super::{Method, Node};
use crate::chain::Block;

pub(super) const METHODS: &[(&str, Method)] = &[
    ("chain_getBlockHash", block_hash),
    ("chain_getHead", block_hash),
    ("chain_getHeader", header),
    ("chain_getBlock", block),
    ("chain_getFinalizedHead", finalized_head),
    ("chain_getFinalisedHead", finalized_head),
];

pub(super) const GRANDPA_METHODS: &[(&str, Method)] = &[("grandpa_proveFinality", prove_finality)];

fn block_hash(node: &Node, params: &[Value]) -> Outcome {
    let one = |value: &Value| -> Outcome {
        let number = u32::try_from(json::number(value)?).ok();
        let block = number.and_then(|number| node.chain.block_at(number));
        Ok(block.map_or(Value::Null, |block| json::hash(block.hash)))
    };
    match json::given(params, 0) {
        None => Ok(json::hash(node.chain.best().hash)),
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        Some(value) => one(value),
    }
}

fn wanted(node: &Node, params: &[Value]) -> Result<Option<std::sync::Arc<Block>>, super::ErrorObjectOwned> {
    Ok(match json::maybe_hash(params, 0)? {
        None => Some(node.chain.best()),
        Some(hash) => node.chain.block(hash),
    })
}

fn header(node: &Node, params: &[Value]) -> Outcome {
    Ok(wanted(node, params)?.map_or(Value::Null, |block| json::header(&block.header)))
}

fn block(node: &Node, params: &[Value]) -> Outcome {
    let Some(block) = wanted(node, params)? else { return Ok(Value::Null) };
    let canonical = node.chain.canonical(block.hash).is_some();
    let stored = if canonical { node.chain.justifications(block.header.number) } else { Vec::new() };
    // Byte vectors without a hex wrapper: serde writes them as arrays of numbers.
    let justifications = (!stored.is_empty()).then(|| json!(stored));
    let extrinsics: Vec<_> = block.extrinsics.iter().map(json::hex_of).collect();
    Ok(json!({
        "block": { "header": json::header(&block.header), "extrinsics": extrinsics },
        "justifications": justifications,
    }))
}

fn finalized_head(node: &Node, _: &[Value]) -> Outcome {
    Ok(json::hash(node.chain.finalized().hash))
}

fn prove_finality(node: &Node, params: &[Value]) -> Outcome {
    let number = json::number(json::given(params, 0).unwrap_or(&Value::Null))?;
    let number = u32::try_from(number).map_err(json::invalid)?;
    let finalizer = node.finalizer.as_ref().ok_or_else(|| json::error(1, "endpoint not ready"))?;
    match finalizer.prove(number) {
        Ok(proof) => Ok(json::optional(proof)),
        Err(error) => Err(json::error(4, format!("GRANDPA prove finality rpc failed: {error}"))),
    }
}
