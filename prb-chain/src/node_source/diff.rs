//! Storage changes put together from what differs between the tries before and after a block.
//!
//! A key that was written with the value it had is not among them; under state version 0 that leaves the state root
//! alone. A child trie has changed if its root, which the main trie holds, has.

use crate::state_copy::CHILD_ROOT_PREFIX;
use codec::Encode;
use prb_core::{
    Bytes,
    types::sync::{StorageChanges, StorageCollection},
};
use std::collections::BTreeMap;

/// What a state keeps of child tries in its main trie, of whatever kind they are.
const ANY_CHILD_PREFIX: &[u8] = b":child_storage:";

/// Most child tries that one block may change.
const MAX_CHILDREN: usize = 10_000;

/// Keys that differ with what they have afterwards; none where they are gone.
pub(super) type Differences = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Un-prefixed keys of the child tries whose roots are among `main`.
pub(super) fn child_tries(main: &Differences) -> Result<Vec<Vec<u8>>, String> {
    let roots = main.range(ANY_CHILD_PREFIX.to_vec()..).map(|(key, _)| key);
    let mut children = Vec::new();
    for key in roots.take_while(|key| key.starts_with(ANY_CHILD_PREFIX)) {
        let child = key.strip_prefix(CHILD_ROOT_PREFIX);
        let child =
            child.ok_or_else(|| format!("0x{} is the root of no known kind of trie", hex::encode(key)))?;
        children.push(child.to_vec());
    }
    if children.len() > MAX_CHILDREN {
        return Err(format!("more than {MAX_CHILDREN} child tries"));
    }
    Ok(children)
}

/// SCALE storage changes: keys ascend, child tries by their un-prefixed key.
pub(super) fn changes(mut main: Differences, children: Vec<(Vec<u8>, Differences)>) -> Result<Bytes, String> {
    let mut child_storage_changes = Vec::with_capacity(children.len());
    for (child, changed) in children {
        if changed.is_empty() {
            let child = hex::encode(child);
            return Err(format!("child trie 0x{child} has another root and no changes"));
        }
        // The root follows from the changes.
        main.remove(&[CHILD_ROOT_PREFIX, &child].concat());
        child_storage_changes.push((child, StorageCollection::from_iter(changed)));
    }
    let main_storage_changes = StorageCollection::from_iter(main);
    Ok(StorageChanges { main_storage_changes, child_storage_changes }.encode().into())
}
