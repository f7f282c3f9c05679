//! `system_*`.

use codec::Encode;
use serde_json::{Value, json};
use sp_core::crypto::Ss58Codec;
use sp_runtime::AccountId32;

use super::json::{self, Outcome};
use super::{Method, Node};

pub(super) const METHODS: &[(&str, Method)] = &[
    ("system_name", |_, _| Ok("prb-devnet".into())),
    ("system_version", |_, _| Ok(env!("CARGO_PKG_VERSION").into())),
    ("system_chain", |node, _| Ok(node.config.chain_name.clone().into())),
    ("system_chainType", |_, _| Ok("Development".into())),
    ("system_nodeRoles", |_, _| Ok(json!(["Full"]))),
    ("system_properties", properties),
    ("system_health", health),
    ("system_syncState", sync_state),
    ("system_accountNextIndex", next_index),
    ("account_nextIndex", next_index),
];

fn properties(node: &Node, _: &[Value]) -> Outcome {
    let config = &node.config;
    Ok(json!({ "ss58Format": config.ss58_format, "tokenDecimals": 12, "tokenSymbol": config.token }))
}

fn health(node: &Node, _: &[Value]) -> Outcome {
    let behind = node.behaviour().highest_block.is_some_and(|best| best > node.chain.best().header.number);
    Ok(json!({ "peers": 0, "isSyncing": behind, "shouldHavePeers": false }))
}

fn sync_state(node: &Node, _: &[Value]) -> Outcome {
    let best = node.chain.best().header.number;
    let highest = node.behaviour().highest_block.unwrap_or(best);
    Ok(json!({ "startingBlock": 0, "currentBlock": best, "highestBlock": highest }))
}

/// The nonce at the best block, moved past ready pool transactions.
fn next_index(node: &Node, params: &[Value]) -> Outcome {
    let (account, _) =
        AccountId32::from_ss58check_with_version(json::text(params, 0)?).map_err(json::invalid)?;
    let nonce: u32 = node
        .chain
        .call_typed("AccountNonceApi_account_nonce", &account, None)
        .map_err(|_| json::error(1, "Unable to query nonce."))?;
    let run = node.chain.ready_run(nonce.into(), |nonce| (&account, nonce as u32).encode());
    Ok((u64::from(nonce) + run).into())
}
