//! Reference counts of trie nodes.

use crate::extent::inconsistent;
use bytes::Bytes;
use prb_core::{
    id::Hash,
    port::{NodeChange, StoreError},
};

/// All changes of one node in one append, added up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Net<'a> {
    pub(crate) hash: Hash,
    pub(crate) references: i64,
    pub(crate) node: Option<&'a Bytes>,
}

/// Adds up `changes` per node, in ascending order of hash, so that a tree is written page by page.
pub(crate) fn net(changes: &[NodeChange]) -> Result<Vec<Net<'_>>, StoreError> {
    let mut sorted: Vec<&NodeChange> = changes.iter().collect();
    sorted.sort_by_key(|change| change.hash);
    let mut nets: Vec<Net<'_>> = Vec::with_capacity(sorted.len());
    for change in sorted {
        if change.references > 0 && change.node.is_none() {
            return Err(inconsistent(format!(
                "node {} gains references but does not come along",
                change.hash
            )));
        }
        match nets.last_mut() {
            Some(net) if net.hash == change.hash => {
                net.references += i64::from(change.references);
                net.node = net.node.or(change.node.as_ref());
            }
            _ => nets.push(Net {
                hash: change.hash,
                references: i64::from(change.references),
                node: change.node.as_ref(),
            }),
        }
    }
    nets.retain(|net| net.references != 0);
    Ok(nets)
}

impl Net<'_> {
    /// The count after this change of a node counted `before`.
    pub(crate) fn count(&self, before: u32) -> Result<u32, StoreError> {
        u32::try_from(i64::from(before) + self.references).map_err(|_| {
            inconsistent(format!(
                "node {} has {before} references and cannot change by {}",
                self.hash, self.references
            ))
        })
    }
}
