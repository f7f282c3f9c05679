//! Storage changes of a Substrate node that has nothing for it but read proofs, as every one has.
//!
//! The tries before and after a block are compared node by node. `state_getReadProof` answers the nodes on the way to
//! given keys, so each level of the tries costs one call for either state, and only places that differ are visited.

mod walk;

use self::walk::Walk;
use super::{
    chain::ChainNode,
    diff::{self, Differences},
    json::ReadProofJson,
};
use crate::{
    rpc::{HexBytes, Question},
    state_copy::CHILD_ROOT_PREFIX,
    verify::layout::empty_root,
};
use prb_core::{
    Bytes,
    id::{BlockRef, Hash},
    port::SourceError,
};
use serde_json::json;
use std::collections::BTreeSet;

pub(super) const METHOD: &str = "state_getReadProof";
const CHILD_METHOD: &str = "state_getChildReadProof";

/// Keys proven in one call.
const KEYS_PER_CALL: usize = 500;

/// A trie: the main one, or the one with this un-prefixed key.
type Child<'a> = Option<&'a [u8]>;

/// SCALE storage changes of the block with this hash.
pub(super) async fn changes(chain: &ChainNode, block: BlockRef) -> Result<Bytes, SourceError> {
    let what = format!("storage changes of parachain block {}", block.height);
    let bad = |cause: String| chain.rpc.bad(&*what, cause);
    let (header, _) = chain.header(block.hash).await?;
    let (parent, _) = chain.header(header.parent_hash).await?;
    let states = [header.parent_hash, block.hash];
    let roots = [parent.state_root, header.state_root];
    let (main, roots_before) = trie(chain, states, roots, None, &what).await?;
    let mut children = Vec::new();
    for child in diff::child_tries(&main).map_err(bad)? {
        let key = [CHILD_ROOT_PREFIX, &child].concat();
        let root = |value: Option<&Vec<u8>>| match value {
            None => Ok(Hash(empty_root())),
            Some(value) => {
                let root = value.as_slice().try_into().map(Hash);
                root.map_err(|_| bad(format!("a child trie's root of {} bytes", value.len())))
            }
        };
        let before = root(roots_before.get(&key).and_then(Option::as_ref))?;
        let after = root(main.get(&key).and_then(Option::as_ref))?;
        let (changed, _) = trie(chain, states, [before, after], Some(&child), &what).await?;
        children.push((child, changed));
    }
    diff::changes(main, children).map_err(bad)
}

/// What differs in one trie, and what the roots of child tries were.
async fn trie(
    chain: &ChainNode,
    states: [Hash; 2],
    [before, after]: [Hash; 2],
    child: Child<'_>,
    what: &str,
) -> Result<(Differences, Differences), SourceError> {
    let mut walk = Walk::new(before, after, CHILD_ROOT_PREFIX);
    // Every round goes at least one nibble deeper, and the walk bounds those.
    loop {
        let wanted = walk.go_on().map_err(|cause| chain.rpc.bad(what, cause))?;
        if wanted.is_empty() {
            return Ok(walk.finish());
        }
        let mut nodes = Vec::new();
        for (keys, at) in [(&wanted.before, states[0]), (&wanted.after, states[1])] {
            nodes.extend(proof(chain, keys, at, child, what).await?);
        }
        walk.take(&wanted, nodes).map_err(|cause| chain.rpc.bad(what, cause))?;
    }
}

/// Nodes on the way to `keys`.
async fn proof(
    chain: &ChainNode,
    keys: &BTreeSet<Vec<u8>>,
    at: Hash,
    child: Child<'_>,
    what: &str,
) -> Result<Vec<Vec<u8>>, SourceError> {
    let keys: Vec<String> = keys.iter().map(HexBytes::text).collect();
    let mut nodes = Vec::new();
    for keys in keys.chunks(KEYS_PER_CALL) {
        let question = match child {
            None => Question::new(METHOD, vec![json!(keys), json!(at.to_string())], what),
            Some(child) => {
                let child = HexBytes::text([CHILD_ROOT_PREFIX, child].concat());
                Question::new(CHILD_METHOD, vec![json!(child), json!(keys), json!(at.to_string())], what)
            }
        };
        let answer: ReadProofJson = chain.rpc.ask(question.long()).await?;
        nodes.extend(answer.proof.into_iter().map(|node| node.0));
    }
    Ok(nodes)
}
