//! `state_*` and `childstate_*`.

use std::collections::HashMap;

use codec::Decode;
use serde_json::{Value, json};
use sp_core::H256;
use sp_core::storage::well_known_keys::DEFAULT_CHILD_STORAGE_KEY_PREFIX;

use super::json::{self, Outcome};
use super::{ErrorObjectOwned, Method, Node};

/// Most keys in one page (`STORAGE_KEYS_PAGED_MAX_COUNT` of `sc-rpc`).
const MAX_PAGE: u64 = 1000;

pub(super) const METHODS: &[(&str, Method)] = &[
    ("state_getStorage", storage),
    ("state_getStorageAt", storage),
    ("state_getStorageHash", storage_hash),
    ("state_getStorageSize", storage_size),
    ("state_getReadProof", read_proof),
    ("state_getKeys", keys),
    ("state_getKeysPaged", keys_paged),
    ("state_getKeysPagedAt", keys_paged),
    ("state_getPairs", pairs),
    ("state_queryStorageAt", query_at),
    ("state_queryStorage", query),
    ("state_getRuntimeVersion", runtime_version),
    ("chain_getRuntimeVersion", runtime_version),
    ("state_getMetadata", metadata),
    ("state_call", call),
    ("state_callAt", call),
    ("childstate_getKeysPaged", child_keys_paged),
    ("childstate_getStorage", child_storage),
    ("state_getChildReadProof", child_read_proof),
];

/// The block asked about, if the node still has its state.
fn at(node: &Node, params: &[Value], index: usize) -> Result<Option<H256>, ErrorObjectOwned> {
    let at = json::maybe_hash(params, index)?;
    node.check_pruned(at)?;
    Ok(at)
}

fn deny_unsafe(node: &Node) -> Result<(), ErrorObjectOwned> {
    if node.behaviour().deny_unsafe {
        return Err(json::error(4003, "RPC call is unsafe to be called externally"));
    }
    Ok(())
}

fn value(node: &Node, params: &[Value]) -> Result<Option<Vec<u8>>, ErrorObjectOwned> {
    let key = json::bytes(params, 0)?;
    node.chain.read(&key, at(node, params, 1)?).map_err(json::state_error)
}

fn storage(node: &Node, params: &[Value]) -> Outcome {
    Ok(json::optional(value(node, params)?))
}

fn storage_hash(node: &Node, params: &[Value]) -> Outcome {
    let hash = value(node, params)?.map(|value| sp_crypto_hashing::blake2_256(&value).to_vec());
    Ok(json::optional(hash))
}

fn storage_size(node: &Node, params: &[Value]) -> Outcome {
    Ok(value(node, params)?.map(|value| value.len()).into())
}

fn proof(node: &Node, at: Option<H256>, nodes: &[Vec<u8>]) -> Outcome {
    let block = node.chain.block_or_best(at).map_err(json::state_error)?;
    let nodes: Vec<_> = nodes.iter().map(json::hex_of).collect();
    Ok(json!({ "at": json::hash(block.hash), "proof": nodes }))
}

fn read_proof(node: &Node, params: &[Value]) -> Outcome {
    let keys = json::byte_lists(params, 0)?;
    let at = Some(at(node, params, 1)?.unwrap_or_else(|| node.chain.best().hash));
    proof(node, at, &node.chain.prove_read(&keys, at).map_err(json::state_error)?)
}

fn child_read_proof(node: &Node, params: &[Value]) -> Outcome {
    let child = child_id(params)?;
    let keys = json::byte_lists(params, 1)?;
    let at = Some(at(node, params, 2)?.unwrap_or_else(|| node.chain.best().hash));
    proof(node, at, &node.chain.prove_child_read(&child, &keys, at).map_err(json::state_error)?)
}

fn hexes(list: &[Vec<u8>]) -> Value {
    list.iter().map(json::hex_of).collect()
}

fn keys(node: &Node, params: &[Value]) -> Outcome {
    let prefix = json::bytes(params, 0)?;
    let at = at(node, params, 1)?;
    node.chain
        .keys_paged(None, &prefix, usize::MAX, None, at)
        .map(|keys| hexes(&keys))
        .map_err(json::state_error)
}

/// Count and start key of a page at `index` and the one after.
fn page(params: &[Value], index: usize) -> Result<(usize, Option<Vec<u8>>), ErrorObjectOwned> {
    let count = json::given(params, index).and_then(Value::as_u64);
    let count = count.ok_or_else(|| json::invalid("a key count is needed"))?;
    if count > MAX_PAGE {
        let text = format!("count exceeds maximum value. value: {count}, max: {MAX_PAGE}");
        return Err(json::error(4002, text));
    }
    let start = json::given(params, index + 1).map(|_| json::bytes(params, index + 1)).transpose()?;
    Ok((count as usize, start))
}

fn keys_paged(node: &Node, params: &[Value]) -> Outcome {
    let prefix = json::given(params, 0).map(|_| json::bytes(params, 0)).transpose()?.unwrap_or_default();
    let (count, start) = page(params, 1)?;
    let at = at(node, params, 3)?;
    let keys = node.chain.keys_paged(None, &prefix, count, start.as_deref(), at);
    keys.map(|keys| hexes(&keys)).map_err(json::state_error)
}

/// The child-trie id in a prefixed child key, as `childstate_*` takes it.
fn child_id(params: &[Value]) -> Result<Vec<u8>, ErrorObjectOwned> {
    let key = json::bytes(params, 0)?;
    let id = key.strip_prefix(DEFAULT_CHILD_STORAGE_KEY_PREFIX).map(<[u8]>::to_vec);
    id.ok_or_else(|| json::error(4003, "Client error: Invalid child storage key"))
}

fn child_keys_paged(node: &Node, params: &[Value]) -> Outcome {
    let child = child_id(params)?;
    let prefix = json::bytes(params, 1)?;
    let (count, start) = page(params, 2)?;
    let at = at(node, params, 4)?;
    let keys = node.chain.keys_paged(Some(&child), &prefix, count, start.as_deref(), at);
    keys.map(|keys| hexes(&keys)).map_err(json::state_error)
}

fn child_storage(node: &Node, params: &[Value]) -> Outcome {
    let child = child_id(params)?;
    let key = json::bytes(params, 1)?;
    let value = node.chain.read_child(&child, &key, at(node, params, 2)?).map_err(json::state_error)?;
    Ok(json::optional(value))
}

fn pairs(node: &Node, params: &[Value]) -> Outcome {
    deny_unsafe(node)?;
    let prefix = json::bytes(params, 0)?;
    let pairs = node.chain.pairs(&prefix, at(node, params, 1)?).map_err(json::state_error)?;
    Ok(pairs.iter().map(|(key, value)| json!([json::hex_of(key), json::hex_of(value)])).collect())
}

type Values = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn change_set(block: H256, values: &Values) -> Value {
    json!({ "block": json::hash(block), "changes": json::changes(values) })
}

fn values(node: &Node, keys: &[Vec<u8>], at: H256) -> Result<Values, ErrorObjectOwned> {
    let read = |key: &Vec<u8>| Ok((key.clone(), node.chain.read(key, Some(at))?));
    keys.iter().map(read).collect::<Result<_, _>>().map_err(json::state_error)
}

fn query_at(node: &Node, params: &[Value]) -> Outcome {
    let keys = json::byte_lists(params, 0)?;
    let at = at(node, params, 1)?.unwrap_or_else(|| node.chain.best().hash);
    Ok(json!([change_set(at, &values(node, &keys, at)?)]))
}

fn query(node: &Node, params: &[Value]) -> Outcome {
    deny_unsafe(node)?;
    let keys = json::byte_lists(params, 0)?;
    let from = json::need_hash(params, 1)?;
    node.check_pruned(Some(from))?;
    let to = json::maybe_hash(params, 2)?.unwrap_or_else(|| node.chain.best().hash);
    let blocks = node
        .chain
        .changes_between(from, to)
        .map_err(|error| json::error(4001, format!("Cannot resolve a block range: {error}")))?;
    let mut known: HashMap<Vec<u8>, Option<Vec<u8>>> = HashMap::new();
    let mut sets = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let mut changed = values(node, &keys, block.hash)?;
        changed.retain(|(key, value)| known.insert(key.clone(), value.clone()).as_ref() != Some(value));
        if index == 0 || !changed.is_empty() {
            sets.push(change_set(block.hash, &changed));
        }
    }
    Ok(sets.into())
}

fn runtime_version(node: &Node, params: &[Value]) -> Outcome {
    let version = node.chain.runtime_version(at(node, params, 0)?).map_err(json::state_error)?;
    Ok(json::version(&version))
}

fn metadata(node: &Node, params: &[Value]) -> Outcome {
    let at = at(node, params, 0)?;
    let wrapped = node.chain.call("Metadata_metadata", &[], at).map_err(json::state_error)?;
    let bytes = Vec::<u8>::decode(&mut &wrapped[..]).map_err(|error| json::internal(&error))?;
    Ok(json::hex_of(bytes).into())
}

fn call(node: &Node, params: &[Value]) -> Outcome {
    let method = json::text(params, 0)?;
    let args = json::bytes(params, 1)?;
    let result = node.chain.call(method, &args, at(node, params, 2)?).map_err(json::state_error)?;
    Ok(json::hex_of(result).into())
}
