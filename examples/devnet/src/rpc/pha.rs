//! Phala's RPC extension (`phala-node-rpc-ext`): storage changes and queue sequences.

use codec::{Decode, Encode};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};
use std::sync::Arc;

use super::json::{self, Outcome};
use super::{Method, Node};
use crate::chain::{Block, StorageChanges};
use crate::runtime::para::types::MessageOrigin;

/// Every error of the extension has this code and no data.
const CODE: i32 = 10_000;

/// `PhalaMq.OffchainIngress`.
const OFFCHAIN_INGRESS: &str = "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cf";

/// Prefix of the pool tags of queue messages (`CheckMqSequence` of pallet-mq).
const TAG_PREFIX: &str = "PhalaMqOffchainMessages";

pub(super) const METHODS: &[(&str, Method)] = &[
    ("pha_getStorageChanges", changes),
    ("pha_getStorageChangesWithRoot", changes_with_root),
    ("pha_getStorageChangesAt", changes_at),
    ("pha_getMqNextSequence", next_sequence),
];

fn refuse(what: impl std::fmt::Display) -> ErrorObjectOwned {
    json::error(CODE, what.to_string())
}

fn shape(changes: &StorageChanges) -> Value {
    let child: Vec<_> =
        changes.child.iter().map(|(key, list)| json!([json::hex_of(key), json::changes(list)])).collect();
    json!({ "mainStorageChanges": json::changes(&changes.main), "childStorageChanges": child })
}

/// The blocks asked for. A real node re-executes each on its parent's state, so that one must be there too.
fn range(node: &Node, params: &[Value]) -> Result<Vec<Arc<Block>>, ErrorObjectOwned> {
    let (from, to) = (json::need_hash(params, 0)?, json::need_hash(params, 1)?);
    let blocks = node.chain.changes_between(from, to).map_err(refuse)?;
    for block in &blocks {
        let parent = if block.header.number == 0 { block.hash } else { block.header.parent_hash };
        node.check_pruned(Some(parent)).map_err(refuse)?;
    }
    Ok(blocks)
}

fn changes(node: &Node, params: &[Value]) -> Outcome {
    Ok(range(node, params)?.iter().map(|block| shape(&block.changes)).collect())
}

fn changes_with_root(node: &Node, params: &[Value]) -> Outcome {
    let with_root = |block: &Arc<Block>| {
        // The root is a plain byte array, which serde writes as numbers.
        json!({ "changes": shape(&block.changes), "stateRoot": block.header.state_root.as_bytes() })
    };
    Ok(range(node, params)?.iter().map(with_root).collect())
}

fn changes_at(node: &Node, params: &[Value]) -> Outcome {
    let at = json::need_hash(params, 0)?;
    let both = [json::hash(at), json::hash(at)];
    let blocks = range(node, &both)?;
    Ok(blocks.first().map_or(Value::Null, |block| json::hex_of(block.changes.encode()).into()))
}

fn next_sequence(node: &Node, params: &[Value]) -> Outcome {
    let invalid = || refuse("invalid sender");
    let sender = hex::decode(json::text(params, 0)?).map_err(|_| invalid())?;
    MessageOrigin::decode(&mut &sender[..]).map_err(|_| invalid())?;
    let prefix = hex::decode(OFFCHAIN_INGRESS).expect("a hex literal");
    let key = [&prefix[..], &sp_crypto_hashing::twox_64(&sender), &sender].concat();
    let expected: u64 = node.chain.read_as(&key, None).unwrap_or(0);
    let tag = |sequence: u64| [TAG_PREFIX.encode(), sender.clone(), sequence.encode()].concat();
    Ok((expected + node.chain.ready_run(expected, tag)).into())
}
