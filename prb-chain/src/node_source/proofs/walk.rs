//! What differs between two tries, of which single nodes can be had.
//!
//! Both tries are walked from their roots at the same time. Where they have the same node, nothing below it differs; so
//! only the nodes on the way to what differs are needed. Pure: the caller brings nodes, which are known by their hash.

use crate::{
    node_source::diff::Differences,
    verify::layout::{Codec, NodeHash, empty_root},
};
use prb_core::{Bytes, id::Hash};
use std::collections::{BTreeSet, HashMap};
use trie_db::{
    NodeCodec,
    node::{NibbleSlicePlan, NodeHandlePlan, NodePlan, ValuePlan},
};

/// Deepest nesting that is followed, in nibbles. Keys of real chains have some hundred bytes.
const MAX_PATH: usize = 4096;

/// Most bytes of nodes that one block's changes may take.
const MAX_BYTES: usize = 512 << 20;

/// A walk under way.
pub(super) struct Walk {
    nodes: HashMap<NodeHash, Bytes>,
    /// Their size.
    bytes: usize,
    /// Places that may differ, with what is there.
    places: Vec<Place>,
    found: Differences,
    /// What keys that begin with `remembered` had before.
    before: Differences,
    remembered: &'static [u8],
}

/// Nodes that are needed: each trie's keys on whose way they lie, and the hashes.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) before: BTreeSet<Vec<u8>>,
    pub(super) after: BTreeSet<Vec<u8>>,
    hashes: BTreeSet<NodeHash>,
}

struct Place {
    /// Nibbles of the way here.
    path: Vec<u8>,
    before: Option<Link>,
    after: Option<Link>,
}

/// A link to a node.
#[derive(Clone, PartialEq)]
enum Link {
    Hash(NodeHash),
    Inline(Bytes),
    Open(Box<Node>),
}

/// A node taken apart. Without children it is a leaf.
#[derive(Clone, Default, PartialEq)]
struct Node {
    partial: Vec<u8>,
    value: Option<Bytes>,
    children: [Option<Link>; 16],
}

impl Walk {
    /// A walk between the tries with these roots. Of changed keys that begin with `remembered`, it is told what they had
    /// before, too.
    pub(super) fn new(before: Hash, after: Hash, remembered: &'static [u8]) -> Self {
        let link = |root: Hash| (root.0 != empty_root()).then_some(Link::Hash(root.0));
        let root = Place { path: Vec::new(), before: link(before), after: link(after) };
        Self {
            nodes: HashMap::new(),
            bytes: 0,
            places: vec![root],
            found: Differences::new(),
            before: Differences::new(),
            remembered,
        }
    }

    /// Goes as far as it can with the nodes there are; what it needs to go on. Nothing is needed at the end.
    pub(super) fn go_on(&mut self) -> Result<Wanted, String> {
        let mut wanted = Wanted::default();
        let mut waiting = Vec::new();
        while let Some(place) = self.places.pop() {
            if place.before == place.after {
                continue;
            }
            if place.path.len() > MAX_PATH {
                return Err(format!("a key of more than {} bytes", MAX_PATH / 2));
            }
            let mut complete = true;
            for (link, keys) in [(&place.before, &mut wanted.before), (&place.after, &mut wanted.after)] {
                if let Some(Link::Hash(hash)) = link
                    && !self.nodes.contains_key(hash)
                {
                    keys.insert(key_below(&place.path));
                    wanted.hashes.insert(*hash);
                    complete = false;
                }
            }
            if complete {
                self.compare(place)?;
            } else {
                waiting.push(place);
            }
        }
        self.places = waiting;
        Ok(wanted)
    }

    /// Brings nodes. An error if one is missing that was wanted.
    pub(super) fn take(
        &mut self,
        wanted: &Wanted,
        nodes: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), String> {
        for node in nodes {
            let hash = Hash::of(&node).0;
            // What is not wanted is on the way to what is, and was had before.
            if wanted.hashes.contains(&hash) && !self.nodes.contains_key(&hash) {
                self.bytes += node.len();
                if self.bytes > MAX_BYTES {
                    return Err(format!("trie nodes of more than {MAX_BYTES} bytes"));
                }
                self.nodes.insert(hash, node.into());
            }
        }
        match wanted.hashes.iter().find(|hash| !self.nodes.contains_key(*hash)) {
            Some(hash) => Err(format!("no trie node {}", Hash(*hash))),
            None => Ok(()),
        }
    }

    /// What differs, once nothing is wanted; and what keys had before of which that is remembered.
    pub(super) fn finish(self) -> (Differences, Differences) {
        (self.found, self.before)
    }

    fn compare(&mut self, Place { path, before, after }: Place) -> Result<(), String> {
        let before = before.map(|link| self.open(link)).transpose()?;
        let after = after.map(|link| self.open(link)).transpose()?;
        let (mut before, mut after) = match (before, after) {
            (Some(before), Some(after)) => (before, after),
            // One of them has nothing here: as if it ended in a node without anything.
            (Some(before), None) => {
                let nothing = Node { partial: before.partial.clone(), ..Node::default() };
                (before, nothing)
            }
            (None, Some(after)) => (Node { partial: after.partial.clone(), ..Node::default() }, after),
            (None, None) => return Ok(()),
        };
        let common =
            before.partial.iter().zip(&after.partial).take_while(|(one, other)| one == other).count();
        before.shorten(common);
        after.shorten(common);
        let here = [path, before.partial].concat();
        if before.value != after.value {
            let key = key_of(&here)?;
            if key.starts_with(self.remembered) {
                self.before.insert(key.clone(), before.value.map(|value| value.to_vec()));
            }
            self.found.insert(key, after.value.map(|value| value.to_vec()));
        }
        for (nibble, (before, after)) in (0u8..).zip(before.children.into_iter().zip(after.children)) {
            self.places.push(Place { path: [&here[..], &[nibble]].concat(), before, after });
        }
        Ok(())
    }

    fn open(&self, link: Link) -> Result<Node, String> {
        match link {
            Link::Open(node) => Ok(*node),
            Link::Inline(bytes) => Node::decode(&bytes),
            Link::Hash(hash) => match self.nodes.get(&hash) {
                Some(bytes) => Node::decode(bytes),
                None => Err(format!("no trie node {}", Hash(hash))),
            },
        }
    }
}

impl Wanted {
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

impl Node {
    fn decode(bytes: &Bytes) -> Result<Self, String> {
        let partial = |plan: NibbleSlicePlan| plan.build(bytes).iter().collect();
        let value = |plan: ValuePlan| match plan {
            ValuePlan::Inline(range) => Ok(bytes.slice(range)),
            ValuePlan::Node(_) => Err("a state of version 1, of which no copy can be kept".to_owned()),
        };
        match Codec::decode_plan(bytes).map_err(|error| error.to_string())? {
            NodePlan::Leaf { partial: key, value: plan } => {
                Ok(Self { partial: partial(key), value: Some(value(plan)?), ..Self::default() })
            }
            NodePlan::NibbledBranch { partial: key, value: plan, children } => {
                let link = |child: Option<NodeHandlePlan>| match child? {
                    NodeHandlePlan::Hash(range) => bytes[range].first_chunk().copied().map(Link::Hash),
                    NodeHandlePlan::Inline(range) => Some(Link::Inline(bytes.slice(range))),
                };
                let value = plan.map(value).transpose()?;
                Ok(Self { partial: partial(key), value, children: children.map(link) })
            }
            _ => Err("a trie node of another kind".to_owned()),
        }
    }

    /// Leaves `len` nibbles in the partial key: what was here is then one of the children.
    fn shorten(&mut self, len: usize) {
        if len >= self.partial.len() {
            return;
        }
        let lower = self.partial.split_off(len);
        let mut here = Self { partial: std::mem::take(&mut self.partial), ..Self::default() };
        let below = Self { partial: lower[1..].to_vec(), ..std::mem::take(self) };
        if below.value.is_some() || below.children.iter().any(Option::is_some) {
            here.children[usize::from(lower[0])] = Some(Link::Open(Box::new(below)));
        }
        *self = here;
    }
}

/// A key whose way goes through the place after these nibbles.
fn key_below(path: &[u8]) -> Vec<u8> {
    path.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or_default()).collect()
}

fn key_of(path: &[u8]) -> Result<Vec<u8>, String> {
    if path.len().is_multiple_of(2) { Ok(key_below(path)) } else { Err("a key of half a byte".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_copy::StateCopy;
    use prb_core::port::{NodeStore, StoreError};
    use proptest::prelude::*;
    use std::{collections::BTreeMap, sync::Arc};

    struct Nothing;

    impl NodeStore for Nothing {
        fn node(&self, _: &Hash) -> Result<Option<Bytes>, StoreError> {
            Ok(None)
        }
    }

    type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Root and nodes of a trie.
    fn trie(pairs: &Pairs) -> (Hash, Vec<Vec<u8>>) {
        let pairs = pairs.clone().into_iter().collect();
        let (root, nodes) = StateCopy::new(Arc::new(Nothing)).load(pairs).unwrap();
        (root, nodes.into_iter().filter_map(|change| change.node.map(|node| node.to_vec())).collect())
    }

    /// The plain answer.
    fn differences(before: &Pairs, after: &Pairs) -> Differences {
        let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        let changed = changed.map(|(key, value)| (key.clone(), Some(value.clone())));
        changed.chain(gone.map(|key| (key.clone(), None))).collect()
    }

    fn walked(before: &Pairs, after: &Pairs) -> (Differences, usize) {
        let ((old, old_nodes), (new, new_nodes)) = (trie(before), trie(after));
        let mut walk = Walk::new(old, new, b"none");
        let mut had = 0;
        loop {
            let wanted = walk.go_on().unwrap();
            if wanted.is_empty() {
                return (walk.finish().0, had);
            }
            had += wanted.hashes.len();
            let nodes: Vec<_> = old_nodes.iter().chain(&new_nodes).cloned().collect();
            walk.take(&wanted, nodes).unwrap();
        }
    }

    fn pairs() -> impl Strategy<Value = Pairs> {
        let key = prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x10, 0x11, 0xff]), 0..5);
        let value = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::btree_map(key, value, 0..30)
    }

    proptest! {
        #[test]
        fn a_walk_finds_what_comparing_every_pair_finds(
            before in pairs(),
            after in pairs(),
            kept in any::<u32>(),
        ) {
            // Some of what was there stays.
            let stays = before.iter().enumerate().filter(|(index, _)| kept >> (index % 32) & 1 == 1);
            let mut after = after;
            after.extend(stays.map(|(_, (key, value))| (key.clone(), value.clone())));
            prop_assert_eq!(walked(&before, &after).0, differences(&before, &after));
        }
    }

    #[test]
    fn only_the_nodes_on_the_way_to_what_differs_are_needed() {
        let pair = |index: u32| (Hash::of(&index.to_le_bytes()).0.to_vec(), vec![7; 40]);
        let before: Pairs = (0..5000).map(pair).collect();
        let mut after = before.clone();
        after.insert(pair(17).0, vec![8; 40]);
        let (found, nodes) = walked(&before, &after);
        assert_eq!(found, differences(&before, &after));
        assert!(nodes < 20, "{nodes}");
    }

    #[test]
    fn a_node_that_is_not_brought_is_missed() {
        let pairs = Pairs::from([(vec![1], vec![2; 40])]);
        let mut walk = Walk::new(Hash(empty_root()), trie(&pairs).0, b"none");
        let wanted = walk.go_on().unwrap();
        assert!(wanted.before.is_empty() && wanted.after.contains(&vec![]));
        assert!(walk.take(&wanted, [vec![1, 2, 3]]).unwrap_err().contains("no trie node"));
    }
}
