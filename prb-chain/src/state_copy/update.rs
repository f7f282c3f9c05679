//! Applying many changes to a trie at once.
//!
//! The changes are sorted, so every node on the way to some of them is read once, rebuilt once and hashed once.
//! `trie-db`'s `TrieDBMut` would do too, but it panics on some removals of absent keys (release 0.31 takes a key that
//! ends where a branch with a partial key begins for that branch's key), it can only be told that a node is missing
//! when the store fails, and it follows any depth. What is applied here comes from a source that may lie.

use super::{StateCopyError, overlay::Overlay};
use crate::verify::layout::{self, Codec, NodeHash, empty_root};
use prb_core::{Bytes, id::Hash};
use std::collections::BTreeMap;
use trie_db::{
    NodeCodec,
    node::{NibbleSlicePlan, NodeHandlePlan, NodePlan, ValuePlan},
};

/// Deepest nesting of nodes that is followed. FRAME hashes what users choose, so real tries nest some ten deep;
/// a source that makes up keys must not exhaust the stack.
const MAX_DEPTH: usize = 400;

/// Longest key, in bytes: nodes with more nibbles in their partial key do not decode.
const MAX_KEY: usize = 32_767;

/// Changed keys with their new values; none deletes.
pub(super) type Delta = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Applies `delta` to the trie with this root; the root after it.
pub(super) fn update(
    overlay: &mut Overlay<'_>,
    root: NodeHash,
    delta: Delta,
) -> Result<NodeHash, StateCopyError> {
    if let Some(key) = delta.keys().find(|key| key.len() > MAX_KEY) {
        return Err(StateCopyError::LongKey { len: key.len() });
    }
    let changes: Vec<Change> = delta
        .into_iter()
        .map(|(key, value)| Change { key: nibbles(&key), value: value.map(Bytes::from) })
        .collect();
    let mut update = Update { overlay };
    let before = (root != empty_root()).then_some(Child::Hash(root));
    match update.descend(before, &changes, 0, 0)? {
        (false, _) => Ok(root),
        (true, None) => Ok(empty_root()),
        (true, Some(child)) => {
            let node = update.take(child)?;
            Ok(update.store(node))
        }
    }
}

/// A change, its key as nibbles.
struct Change {
    key: Vec<u8>,
    value: Option<Bytes>,
}

/// A node taken apart. Without children it is a leaf.
#[derive(Clone, Default)]
struct Node {
    partial: Vec<u8>,
    value: Option<Bytes>,
    children: Option<Box<[Option<Child>; 16]>>,
}

/// Where a child is.
#[derive(Clone)]
enum Child {
    /// In the store.
    Hash(NodeHash),
    /// Encoded in its parent.
    Inline(Bytes),
    /// Rebuilt, not encoded yet.
    Open(Box<Node>),
}

struct Update<'u, 'o> {
    overlay: &'u mut Overlay<'o>,
}

impl Update<'_, '_> {
    /// Applies changes whose keys lead to `child` after `at` nibbles. Whether something changed, and what is there
    /// afterwards.
    fn descend(
        &mut self,
        child: Option<Child>,
        changes: &[Change],
        at: usize,
        depth: usize,
    ) -> Result<(bool, Option<Child>), StateCopyError> {
        if depth > MAX_DEPTH {
            return Err(StateCopyError::TooDeep { depth });
        }
        let Some(child) = child else {
            let Some(first) = changes.iter().find(|change| change.value.is_some()) else {
                return Ok((false, None));
            };
            let leaf = Node { partial: first.key[at..].to_vec(), value: first.value.clone(), children: None };
            let (_, node) = self.apply(leaf, changes, at, depth)?;
            return Ok((true, node.map(|node| Child::Open(Box::new(node)))));
        };
        let (closed, node) = match child {
            Child::Open(node) => (None, *node),
            closed => {
                let node = self.open(&closed)?;
                (Some(closed), node)
            }
        };
        let (changed, node) = self.apply(node, changes, at, depth)?;
        if !changed && closed.is_some() {
            return Ok((false, closed));
        }
        if let Some(Child::Hash(hash)) = closed {
            self.overlay.drop_reference(&hash);
        }
        Ok((changed, node.map(|node| Child::Open(Box::new(node)))))
    }

    /// Applies changes to a node; none if nothing is left of it.
    fn apply(
        &mut self,
        mut node: Node,
        changes: &[Change],
        at: usize,
        depth: usize,
    ) -> Result<(bool, Option<Node>), StateCopyError> {
        let mut changed = false;
        let inserts = changes.iter().filter(|change| change.value.is_some());
        let fork = inserts.map(|change| common(&change.key[at..], &node.partial)).min();
        if let Some(fork) = fork.filter(|fork| *fork < node.partial.len()) {
            node = node.moved_below(fork);
            changed = true;
        }
        // Every insertion goes through the whole partial key now; what does not is the removal of an absent key.
        let below = at + node.partial.len();
        let first = changes.partition_point(|change| change.key[at..] < node.partial[..]);
        let through = &changes[first..];
        let count = through.iter().take_while(|change| change.key[at..].starts_with(&node.partial)).count();
        let mut rest = &through[..count];
        if let Some((change, longer)) = rest.split_first()
            && change.key.len() == below
        {
            changed |= node.value != change.value;
            node.value.clone_from(&change.value);
            rest = longer;
        }
        while let Some(change) = rest.first() {
            let nibble = change.key[below];
            let (group, others) = rest.split_at(rest.partition_point(|change| change.key[below] == nibble));
            rest = others;
            let child = node.children.as_mut().and_then(|children| children[usize::from(nibble)].take());
            let (child_changed, child) = self.descend(child, group, below + 1, depth + 1)?;
            changed |= child_changed;
            if child.is_some() {
                node.children.get_or_insert_default()[usize::from(nibble)] = child;
            }
        }
        if !changed {
            return Ok((false, Some(node)));
        }
        Ok((true, self.normal(node)?))
    }

    /// A node as a trie may hold it: a branch has a value or two children, a leaf has a value.
    fn normal(&mut self, mut node: Node) -> Result<Option<Node>, StateCopyError> {
        let Some(children) = &mut node.children else { return Ok(node.value.is_some().then_some(node)) };
        let mut present = (0..16usize).filter(|index| children[*index].is_some());
        match (present.next(), present.next(), &node.value) {
            (None, _, _) => {
                node.children = None;
                Ok(node.value.is_some().then_some(node))
            }
            (Some(index), None, None) => {
                let Some(child) = children[index].take() else { return Ok(None) };
                let lower = self.take(child)?;
                let mut partial = node.partial;
                partial.push(index as u8);
                partial.extend(&lower.partial);
                Ok(Some(Node { partial, ..lower }))
            }
            _ => Ok(Some(node)),
        }
    }

    /// A copy of a child's node.
    fn open(&mut self, child: &Child) -> Result<Node, StateCopyError> {
        match child {
            Child::Open(node) => Ok((**node).clone()),
            Child::Inline(bytes) => Node::decode(bytes),
            Child::Hash(hash) => match self.overlay.find(hash) {
                Some(bytes) => Node::decode(&bytes),
                None => Err(self.overlay.lacks(hash)),
            },
        }
    }

    /// A child's node, which takes another place.
    fn take(&mut self, child: Child) -> Result<Node, StateCopyError> {
        if let Child::Open(node) = child {
            return Ok(*node);
        }
        let node = self.open(&child)?;
        if let Child::Hash(hash) = child {
            self.overlay.drop_reference(&hash);
        }
        Ok(node)
    }

    /// Stores a node and what is open below it.
    fn store(&mut self, node: Node) -> NodeHash {
        let encoded = self.encode(node);
        let hash = Hash::of(&encoded).0;
        self.overlay.add_reference(hash, encoded);
        hash
    }

    fn encode(&mut self, mut node: Node) -> Vec<u8> {
        for slot in node.children.iter_mut().flat_map(|children| children.iter_mut()) {
            if let Some(Child::Open(open)) = slot {
                let encoded = self.encode(std::mem::take(open));
                *slot = Some(if encoded.len() < 32 {
                    Child::Inline(encoded.into())
                } else {
                    let hash = Hash::of(&encoded).0;
                    self.overlay.add_reference(hash, encoded);
                    Child::Hash(hash)
                });
            }
        }
        let children = node.children.as_ref().map(|children| {
            children.each_ref().map(|child| match child {
                Some(Child::Hash(hash)) => Some(&hash[..]),
                Some(Child::Inline(bytes)) => Some(&bytes[..]),
                Some(Child::Open(_)) | None => None,
            })
        });
        layout::encode(&node.partial, node.value.as_deref(), children.as_ref())
    }
}

impl Node {
    fn decode(bytes: &Bytes) -> Result<Self, StateCopyError> {
        let bad = |error: String| StateCopyError::BadTrie(error);
        let partial = |plan: NibbleSlicePlan| plan.build(bytes).iter().collect();
        let value = |plan: ValuePlan| match plan {
            ValuePlan::Inline(range) => Ok(bytes.slice(range)),
            ValuePlan::Node(_) => Err(bad("a hashed value, but the state has version 0".to_owned())),
        };
        match Codec::decode_plan(bytes).map_err(|error| bad(error.to_string()))? {
            NodePlan::Leaf { partial: key, value: plan } => {
                Ok(Self { partial: partial(key), value: Some(value(plan)?), children: None })
            }
            NodePlan::NibbledBranch { partial: key, value: plan, children } => {
                let mut slots = Box::<[Option<Child>; 16]>::default();
                for (slot, child) in slots.iter_mut().zip(children) {
                    *slot = match child {
                        Some(NodeHandlePlan::Hash(range)) => {
                            bytes[range].first_chunk().copied().map(Child::Hash)
                        }
                        Some(NodeHandlePlan::Inline(range)) => Some(Child::Inline(bytes.slice(range))),
                        None => None,
                    };
                }
                let value = plan.map(value).transpose()?;
                Ok(Self { partial: partial(key), value, children: Some(slots) })
            }
            _ => Err(bad("a node of another kind".to_owned())),
        }
    }

    /// A branch with the first `fork` nibbles of the partial key, and this node with the rest below it.
    fn moved_below(mut self, fork: usize) -> Self {
        let lower = self.partial.split_off(fork);
        let upper = std::mem::replace(&mut self.partial, lower[1..].to_vec());
        let mut branch = Self { partial: upper, ..Self::default() };
        branch.children.get_or_insert_default()[usize::from(lower[0])] = Some(Child::Open(Box::new(self)));
        branch
    }
}

fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

/// How many nibbles two paths share.
fn common(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}
