//! Made-up data of a pair of chains, in the shape a store sees it: linked headers, invented justifications.

use crate::{
    id::{BlockRef, Hash, Height},
    port::{Append, Blob, Cursor, Genesis, NodeChange, RelayAppend, store::ProvenHead},
    types::{
        grandpa::AuthoritySet,
        header::Header,
        sync::{GenesisBlockInfo, StorageChanges},
    },
};
use bytes::Bytes;
use codec::Encode;

/// A pair of chains that grows append by append. Equal seeds give equal chains.
#[derive(Clone, Debug)]
pub struct Synthetic {
    seed: u8,
    genesis: Genesis,
    cursor: Cursor,
}

impl Synthetic {
    /// Height of the start block on the relay chain.
    pub const START: Height = Height(100);

    /// The pair of chains number `seed`.
    pub fn new(seed: u8) -> Self {
        let start = Header { parent_hash: Hash([seed; 32]), ..Header::numbered(Self::START) };
        let para_header = Header { parent_hash: Hash([0; 32]), ..Header::numbered(Height(0)) };
        let set = AuthoritySet { list: vec![([seed; 32], 1)], id: 0 };
        let cursor = Cursor {
            relay: start.block_ref(),
            authorities: set.clone(),
            para: None,
            changes: Height(0),
            state: None,
        };
        let relay = GenesisBlockInfo { block_header: start, authority_set: set, proof: vec![vec![seed; 40]] };
        let genesis = Genesis {
            relay_chain: Hash([seed; 32]),
            relay,
            para_header,
            para_state: vec![(vec![1], vec![seed])].encode().into(),
            para_id: 2000 + u32::from(seed),
            parachain: true,
        };
        Self { seed, genesis, cursor }
    }

    /// Its genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// How far it has grown.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Lets the following appends keep a state copy, or not.
    pub fn keep_state(&mut self, keep: bool) {
        self.cursor.state = keep.then_some((self.cursor.changes, Hash([self.seed; 32])));
    }

    /// What a store begins with.
    pub fn begin(&self) -> Append {
        Append { genesis: Some(self.genesis.clone()), cursor: Some(self.cursor.clone()), ..Append::default() }
    }

    /// The next `blocks` relay blocks with the next `para` parachain headers, whose last one is proven by the last
    /// relay block.
    pub fn relay(&mut self, blocks: u32, para: u32, closes_set: bool) -> Append {
        let headers = (0..blocks.max(1)).map(|_| grow(&mut self.cursor.relay)).collect();
        let at = self.cursor.relay.height;
        let para_headers: Vec<_> = (0..para).map(|_| self.para_header()).collect();
        let relay = RelayAppend {
            headers,
            justification: self.filler(b'j', at, 200),
            para_head: self.cursor.para.map(|para| ProvenHead {
                number: para.height,
                proof: vec![self.filler(b'p', at, 100).to_vec()],
            }),
            set_change: closes_set.then(|| self.filler(b's', at, 120)),
            closes_set,
        };
        self.cursor.authorities.id += u64::from(closes_set);
        Append { relay: Some(relay), para_headers, cursor: Some(self.cursor.clone()), ..Append::default() }
    }

    /// Storage changes of the next `blocks` parachain blocks, about `size` bytes each.
    pub fn changes(&mut self, blocks: u32, size: usize) -> Append {
        let changes = (0..blocks).map(|_| {
            let height = self.cursor.changes.next();
            self.cursor.changes = height;
            let value = self.filler(b'c', height, size).to_vec();
            let changes = StorageChanges {
                main_storage_changes: vec![(b"key".to_vec(), Some(value))],
                ..StorageChanges::default()
            };
            Blob { height, bytes: changes.encode().into() }
        });
        let changes = changes.collect();
        if let Some((height, _)) = &mut self.cursor.state {
            *height = self.cursor.changes;
        }
        Append { changes, cursor: Some(self.cursor.clone()), ..Append::default() }
    }

    /// An append of nothing but changes of nodes; [`Self::keep_state`] comes first.
    pub fn nodes(&self, nodes: Vec<NodeChange>) -> Append {
        Append { nodes, cursor: Some(self.cursor.clone()), ..Append::default() }
    }

    fn para_header(&mut self) -> Blob {
        match &mut self.cursor.para {
            Some(last) => grow(last),
            none => {
                *none = Some(self.genesis.para_header.block_ref());
                Blob { height: Height(0), bytes: self.genesis.para_header.encode().into() }
            }
        }
    }

    fn filler(&self, kind: u8, at: Height, len: usize) -> Bytes {
        let mark = [[kind, self.seed].as_slice(), at.0.to_be_bytes().as_slice()].concat();
        mark.into_iter().cycle().take(len).collect()
    }
}

/// A child of `last`, which it becomes.
fn grow(last: &mut BlockRef) -> Blob {
    let header = Header { parent_hash: last.hash, ..Header::numbered(last.height.next()) };
    let bytes = Bytes::from(header.encode());
    *last = BlockRef { height: header.height(), hash: Hash::of(&bytes) };
    Blob { height: last.height, bytes }
}
