//! How Substrate's state tries are hashed and encoded (`sp_trie::NodeCodec`, both state versions).
//!
//! A node is: header ‖ partial key nibbles, left-padded to bytes ‖ (branch only) bitmap u16 of children ‖ value ‖
//! (branch only) children. The header holds the kind in its upper bits and the number of nibbles below; numbers that
//! do not fit go on in bytes of 255. A value is compact length ‖ bytes, or its BLAKE2b-256 hash alone (state
//! version 1, values over 32 bytes). A child is compact length ‖ its encoding (under 32 bytes) or its hash.

use codec::{Compact, Decode, Encode};
use prb_core::id::Hash;
use std::{borrow::Borrow, collections::hash_map::DefaultHasher, ops::Range, sync::LazyLock};
use trie_db::{
    ChildReference, NodeCodec, TrieLayout,
    nibble_ops::{NIBBLE_LENGTH, NIBBLE_PER_BYTE, number_padding, pad_left},
    node::{NibbleSlicePlan, NodeHandlePlan, NodePlan, Value, ValuePlan},
};

/// Kinds of nodes, as the header byte tells them: (upper bits, how many bits they take).
const LEAF: (u8, u32) = (0b0100_0000, 2);
const BRANCH: (u8, u32) = (0b1000_0000, 2);
const BRANCH_WITH_VALUE: (u8, u32) = (0b1100_0000, 2);
const LEAF_WITH_HASHED_VALUE: (u8, u32) = (0b0010_0000, 3);
const BRANCH_WITH_HASHED_VALUE: (u8, u32) = (0b0001_0000, 4);
const EMPTY: u8 = 0;

/// Longest partial key that is believed, in nibbles; keys of real chains are some hundred bytes long.
const MAX_NIBBLES: usize = 65_535;

/// A node hash as `trie-db` wants it.
pub(crate) type NodeHash = [u8; 32];

/// BLAKE2b-256.
pub(crate) struct Blake2b256;

impl hash_db::Hasher for Blake2b256 {
    type Out = NodeHash;
    type StdHasher = DefaultHasher;
    const LENGTH: usize = 32;

    fn hash(bytes: &[u8]) -> NodeHash {
        Hash::of(bytes).0
    }
}

/// State version 0 for writing (all values inline); for reading it serves both versions.
pub(crate) struct Layout;

impl TrieLayout for Layout {
    const USE_EXTENSION: bool = false;
    const ALLOW_EMPTY: bool = true;
    const MAX_INLINE_VALUE: Option<u32> = None;
    type Hash = Blake2b256;
    type Codec = Codec;
}

/// Root of a trie without keys: the hash of the one byte that encodes it.
pub(crate) fn empty_root() -> NodeHash {
    static ROOT: LazyLock<NodeHash> = LazyLock::new(|| Hash::of(EMPTY_NODE).0);
    *ROOT
}

/// The encoding of a trie without keys.
pub(crate) const EMPTY_NODE: &[u8] = &[EMPTY];

/// A node that does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trie node does not decode: {0}")]
pub struct BadNode(&'static str);

/// See the module.
pub(crate) struct Codec;

impl NodeCodec for Codec {
    type Error = BadNode;
    type HashOut = NodeHash;

    fn hashed_null_node() -> NodeHash {
        empty_root()
    }

    fn decode_plan(data: &[u8]) -> Result<NodePlan, BadNode> {
        let mut reader = Reader { data, at: 0 };
        let header = reader.byte()?;
        let (kind, hashed_value, has_value) = match header {
            EMPTY => return Ok(NodePlan::Empty),
            _ if header & 0b1100_0000 == LEAF.0 => (LEAF, false, true),
            _ if header & 0b1100_0000 == BRANCH.0 => (BRANCH, false, false),
            _ if header & 0b1100_0000 == BRANCH_WITH_VALUE.0 => (BRANCH_WITH_VALUE, false, true),
            _ if header & 0b1110_0000 == LEAF_WITH_HASHED_VALUE.0 => (LEAF_WITH_HASHED_VALUE, true, true),
            _ if header & 0b1111_0000 == BRANCH_WITH_HASHED_VALUE.0 => (BRANCH_WITH_HASHED_VALUE, true, true),
            _ => return Err(BadNode("unknown kind")),
        };
        let partial = reader.partial(header, kind.1)?;
        if kind == LEAF || kind == LEAF_WITH_HASHED_VALUE {
            return Ok(NodePlan::Leaf { partial, value: reader.value(hashed_value)? });
        }
        let bitmap = reader.take(2)?;
        let bitmap = u16::from_le_bytes([data[bitmap.start], data[bitmap.start + 1]]);
        if bitmap == 0 {
            return Err(BadNode("branch without children"));
        }
        let value = if has_value { Some(reader.value(hashed_value)?) } else { None };
        let mut children: [Option<NodeHandlePlan>; NIBBLE_LENGTH] = Default::default();
        for (index, child) in children.iter_mut().enumerate() {
            if bitmap & (1 << index) != 0 {
                let range = reader.counted()?;
                *child = Some(if range.len() == 32 {
                    NodeHandlePlan::Hash(range)
                } else {
                    NodeHandlePlan::Inline(range)
                });
            }
        }
        Ok(NodePlan::NibbledBranch { partial, value, children })
    }

    fn is_empty_node(data: &[u8]) -> bool {
        data == EMPTY_NODE
    }

    fn empty_node() -> &'static [u8] {
        EMPTY_NODE
    }

    fn leaf_node(partial: impl Iterator<Item = u8>, nibbles: usize, value: Value<'_>) -> Vec<u8> {
        let kind = match value {
            Value::Inline(_) => LEAF,
            Value::Node(_) => LEAF_WITH_HASHED_VALUE,
        };
        let mut node = head(kind, nibbles, partial);
        put_value(&mut node, &value);
        node
    }

    fn extension_node(
        _partial: impl Iterator<Item = u8>,
        _nibbles: usize,
        _child: ChildReference<NodeHash>,
    ) -> Vec<u8> {
        unreachable!("the layout has no extension nodes")
    }

    fn branch_node(
        _children: impl Iterator<Item = impl Borrow<Option<ChildReference<NodeHash>>>>,
        _value: Option<Value<'_>>,
    ) -> Vec<u8> {
        unreachable!("without extension nodes every branch has a partial key")
    }

    fn branch_node_nibbled(
        partial: impl Iterator<Item = u8>,
        nibbles: usize,
        children: impl Iterator<Item = impl Borrow<Option<ChildReference<NodeHash>>>>,
        value: Option<Value<'_>>,
    ) -> Vec<u8> {
        let kind = match value {
            None => BRANCH,
            Some(Value::Inline(_)) => BRANCH_WITH_VALUE,
            Some(Value::Node(_)) => BRANCH_WITH_HASHED_VALUE,
        };
        let mut node = head(kind, nibbles, partial);
        let bitmap_at = node.len();
        node.extend([0, 0]);
        if let Some(value) = value {
            put_value(&mut node, &value);
        }
        let mut bitmap = 0u16;
        for (index, child) in children.enumerate() {
            match child.borrow() {
                Some(ChildReference::Hash(hash)) => hash.as_slice().encode_to(&mut node),
                Some(ChildReference::Inline(bytes, len)) => bytes[..*len].encode_to(&mut node),
                None => continue,
            }
            bitmap |= 1 << index;
        }
        node[bitmap_at..bitmap_at + 2].copy_from_slice(&bitmap.to_le_bytes());
        node
    }
}

/// A node of state version 0: its partial key as nibbles, its value, and for a branch its children, each as hash or
/// (under 32 bytes) as encoding.
pub(crate) fn encode(
    partial: &[u8],
    value: Option<&[u8]>,
    children: Option<&[Option<&[u8]>; NIBBLE_LENGTH]>,
) -> Vec<u8> {
    let kind = match (children, value) {
        (None, _) => LEAF,
        (Some(_), None) => BRANCH,
        (Some(_), Some(_)) => BRANCH_WITH_VALUE,
    };
    let (odd, pairs) = partial.split_at(partial.len() % NIBBLE_PER_BYTE);
    let packed = odd.iter().copied().chain(pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    let mut node = head(kind, partial.len(), packed);
    if let Some(children) = children {
        let bitmap = children.iter().rev().fold(0u16, |bits, child| bits << 1 | u16::from(child.is_some()));
        node.extend(bitmap.to_le_bytes());
    }
    if let Some(value) = value {
        value.encode_to(&mut node);
    }
    for child in children.into_iter().flatten().flatten() {
        child.encode_to(&mut node);
    }
    node
}

/// Header and partial key. `partial` yields the padded bytes.
fn head((mask, bits): (u8, u32), nibbles: usize, partial: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut node = Vec::with_capacity(128);
    let most = 0xff_u8 >> bits;
    if nibbles < usize::from(most) {
        node.push(mask | nibbles as u8);
    } else {
        node.push(mask | most);
        let mut rest = nibbles - usize::from(most);
        while rest >= 255 {
            node.push(255);
            rest -= 255;
        }
        node.push(rest as u8);
    }
    node.extend(partial);
    node
}

fn put_value(node: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Inline(bytes) => bytes.encode_to(node),
        Value::Node(hash) => node.extend_from_slice(hash),
    }
}

/// Cuts a node into ranges.
struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, BadNode> {
        let byte = *self.data.get(self.at).ok_or(BadNode("cut short"))?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, count: usize) -> Result<Range<usize>, BadNode> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.data.len());
        let range = self.at..end.ok_or(BadNode("cut short"))?;
        self.at = range.end;
        Ok(range)
    }

    fn counted(&mut self) -> Result<Range<usize>, BadNode> {
        let mut rest = &self.data[self.at..];
        let before = rest.len();
        let count = Compact::<u32>::decode(&mut rest).map_err(|_| BadNode("bad length"))?.0;
        self.at += before - rest.len();
        self.take(count as usize)
    }

    fn value(&mut self, hashed: bool) -> Result<ValuePlan, BadNode> {
        Ok(if hashed { ValuePlan::Node(self.take(32)?) } else { ValuePlan::Inline(self.counted()?) })
    }

    fn partial(&mut self, header: u8, bits: u32) -> Result<NibbleSlicePlan, BadNode> {
        let most = 0xff_u8 >> bits;
        let mut nibbles = usize::from(header & most);
        if nibbles == usize::from(most) {
            loop {
                let more = self.byte()?;
                nibbles += usize::from(more);
                if nibbles > MAX_NIBBLES {
                    return Err(BadNode("partial key too long"));
                }
                if more < 255 {
                    break;
                }
            }
        }
        let range = self.take(nibbles.div_ceil(NIBBLE_PER_BYTE))?;
        if nibbles % NIBBLE_PER_BYTE != 0 && pad_left(self.data[range.start]) != 0 {
            return Err(BadNode("padding is not zero"));
        }
        Ok(NibbleSlicePlan::new(range, number_padding(nibbles)))
    }
}
