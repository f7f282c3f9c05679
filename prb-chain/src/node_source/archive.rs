//! Storage changes of a plain Substrate node with `archive_v1_storageDiff` (JSON-RPC specification, `sc-rpc-spec-v2`).
//!
//! It answers what differs in one trie of one block, as notifications: the main trie is asked for first, then each
//! child trie that changed.

use super::diff::{self, Differences};
use crate::rpc::{HexBytes, Question, Rpc};
use prb_core::{Bytes, id::BlockRef, port::SourceError};
use serde::Deserialize;
use serde_json::json;

pub(super) const METHOD: &str = "archive_v1_storageDiff";
const STOP: &str = "archive_v1_stopStorageDiff";

/// A notification.
#[derive(Deserialize)]
#[serde(tag = "event")]
enum Event {
    #[serde(rename = "storageDiff", rename_all = "camelCase")]
    Diff {
        key: HexBytes,
        /// Of a deleted key, what it was.
        value: Option<HexBytes>,
        #[serde(rename = "type")]
        kind: Kind,
        #[serde(default)]
        child_trie_key: Option<HexBytes>,
    },
    #[serde(rename = "storageDiffDone")]
    Done,
    #[serde(rename = "storageDiffError")]
    Failed { error: String },
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Added,
    Modified,
    Deleted,
}

/// SCALE storage changes of `block`.
pub(super) async fn changes(rpc: &Rpc, block: BlockRef) -> Result<Bytes, SourceError> {
    let what = format!("storage changes of parachain block {}", block.height);
    let main = trie(rpc, block, None, &what).await?;
    let mut children = Vec::new();
    for child in diff::child_tries(&main).map_err(|cause| rpc.bad(&*what, cause))? {
        let changed = trie(rpc, block, Some(&child), &what).await?;
        children.push((child, changed));
    }
    diff::changes(main, children).map_err(|cause| rpc.bad(what, cause))
}

/// What differs in one trie; `child` is an un-prefixed child trie key.
async fn trie(
    rpc: &Rpc,
    block: BlockRef,
    child: Option<&[u8]>,
    what: &str,
) -> Result<Differences, SourceError> {
    // Servers differ in what they make of absent items and keys; all take the empty prefix for everything.
    let mut item = json!({ "key": "0x", "returnType": "value" });
    if let Some(child) = child {
        item["childTrieKey"] = HexBytes::text(child).into();
    }
    // Without another hash it is the parent that the block is compared with.
    let params = vec![json!(block.hash.to_string()), json!([item])];
    let mut answer = rpc.begin(Question::new(METHOD, params, what).long(), STOP).await?;
    let mut found = Differences::new();
    loop {
        match answer.next::<Event>().await? {
            Event::Diff { key, value, kind, child_trie_key } => {
                if child_trie_key.as_ref().map(|key| key.0.as_slice()) != child {
                    return Err(rpc.bad(what, "changes of another trie than was asked for"));
                }
                let value = match (kind, value) {
                    (Kind::Deleted, _) => None,
                    (_, Some(value)) => Some(value.0),
                    (_, None) => {
                        return Err(rpc.bad(what, format!("no value for key {}", HexBytes::text(&key.0))));
                    }
                };
                if found.contains_key(&key.0) {
                    return Err(rpc.bad(what, format!("key {} comes twice", HexBytes::text(&key.0))));
                }
                found.insert(key.0, value);
            }
            Event::Done => return Ok(found),
            Event::Failed { error } => return Err(answer.failed(&error)),
        }
    }
}
