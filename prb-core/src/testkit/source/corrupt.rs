//! Ways in which an answer can be wrong.

use crate::{
    id::{Hash, Height},
    port::{Genesis, ParaHead, RelayBatch},
    testkit::{FakeChain, toy},
    types::{header::Header, sync::StorageChanges},
};
use bytes::Bytes;
use codec::{Decode, Encode};

/// How an answer is wrong. Each kind fits some calls and leaves the answers of others as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// Genesis: the authority list is another one.
    GenesisAuthorities,
    /// Genesis: the proof does not belong to the header.
    GenesisProof,
    /// Genesis: a pair of the parachain's state is missing.
    GenesisState,
    /// Genesis: the parachain's header is not block 0.
    GenesisNotZero,
    /// Relay batch, parachain headers: an item in the middle belongs to another parent.
    Link,
    /// Relay batch, parachain headers: an item does not decode.
    Garbage,
    /// Relay batch, parachain headers, changes: the last item is missing.
    Short,
    /// Relay batch, parachain headers: the first item is missing.
    Hole,
    /// Relay batch: no headers at all.
    Empty,
    /// Relay batch: the last header's content was altered, its justification not.
    Altered,
    /// Relay batch: from the middle on, blocks of a fork that was never finalized, well linked; the justification is that
    /// of the chain.
    Fork,
    /// Relay batch: a byte of the justification is flipped.
    Justification,
    /// Relay batch: the justification is of the next authority set.
    OtherSet,
    /// Relay batch: the justification is of the block before.
    OtherTarget,
    /// Relay batch: it goes on after a change of authorities.
    PastChange,
    /// Relay batch: the proven set is not the announced one.
    SetChange,
    /// Relay batch: the proof of the set is of another state.
    SetChangeProof,
    /// Parachain head: another header than the proven one.
    Head,
    /// Parachain head: the proof is empty.
    HeadProof,
    /// Parachain head: proof and header of another relay block.
    HeadElsewhere,
    /// Changes: an item does not decode.
    ChangesGarbage,
    /// Changes: a value of the first block is another one.
    ChangesValue,
    /// Changes: one item too many.
    ChangesLong,
}

impl Corruption {
    /// Those that fit a genesis.
    pub const GENESIS: [Self; 4] =
        [Self::GenesisAuthorities, Self::GenesisProof, Self::GenesisState, Self::GenesisNotZero];
    /// Those that fit any relay batch of at least three headers.
    pub const BATCH: [Self; 10] = [
        Self::Link,
        Self::Garbage,
        Self::Short,
        Self::Hole,
        Self::Empty,
        Self::Altered,
        Self::Fork,
        Self::Justification,
        Self::OtherSet,
        Self::OtherTarget,
    ];
    /// Those that fit a relay batch that ends with a change of authorities.
    pub const SET_CHANGE: [Self; 3] = [Self::PastChange, Self::SetChange, Self::SetChangeProof];
    /// Those that fit a parachain head.
    pub const HEAD: [Self; 3] = [Self::Head, Self::HeadProof, Self::HeadElsewhere];
    /// Those that fit parachain headers, at least three.
    pub const PARA_HEADERS: [Self; 4] = [Self::Link, Self::Garbage, Self::Short, Self::Hole];
    /// Those that fit storage changes.
    pub const CHANGES: [Self; 4] = [Self::ChangesGarbage, Self::ChangesValue, Self::ChangesLong, Self::Short];

    pub(super) fn genesis(self, genesis: &mut Genesis) {
        match self {
            Self::GenesisAuthorities => genesis.relay.authority_set.list[0].0[0] ^= 1,
            Self::GenesisProof => genesis.relay.proof[0][0] ^= 1,
            Self::GenesisState => {
                let mut pairs = Vec::<(Vec<u8>, Vec<u8>)>::decode(&mut genesis.para_state.as_ref())
                    .expect("encoded by the chain itself");
                pairs.pop();
                genesis.para_state = pairs.encode().into();
            }
            Self::GenesisNotZero => genesis.para_header.number = 1,
            _ => {}
        }
    }

    pub(super) fn batch(self, batch: &mut RelayBatch, from: Height, chain: &FakeChain) {
        let last = batch.headers.len() - 1;
        match self {
            Self::Empty => batch.headers.clear(),
            Self::Altered => {
                alter(&mut batch.headers[last], |header| header.extrinsics_root = Hash([9; 32]));
            }
            Self::Fork => {
                let mut parent = None;
                for bytes in &mut batch.headers[last / 2..] {
                    alter(bytes, |header| {
                        header.extrinsics_root = Hash([9; 32]);
                        header.parent_hash = parent.unwrap_or(header.parent_hash);
                    });
                    parent = Some(Hash::of(bytes));
                }
            }
            Self::Justification => {
                let mut bytes = batch.justification.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                batch.justification = bytes.into();
            }
            Self::OtherSet | Self::OtherTarget => {
                let inner = chain.inner();
                let at = Height(from.0 + last as u32);
                let (Some(block), Some(before)) =
                    (inner.relay_block(at), at.prev().and_then(|before| inner.relay_block(before)))
                else {
                    return;
                };
                let mut set = (*block.signers).clone();
                let mut target = block.at;
                if self == Self::OtherSet {
                    set.id += 1;
                } else {
                    target = before.at;
                }
                batch.justification = toy::justification(&set, target);
            }
            Self::PastChange => {
                let inner = chain.inner();
                if let Some(beyond) = inner.relay_block(Height(from.0 + last as u32 + 1)) {
                    batch.headers.push(beyond.header.clone());
                    batch.justification = toy::justification(&beyond.signers, beyond.at);
                    batch.set_change = None;
                }
            }
            Self::SetChange => {
                if let Some(change) = &mut batch.set_change {
                    change.authority_set.list[0].0[0] ^= 1;
                }
            }
            Self::SetChangeProof => {
                if let Some(change) = &mut batch.set_change {
                    change.authority_proof[0][0] ^= 1;
                }
            }
            _ => self.items(&mut batch.headers),
        }
    }

    pub(super) fn head(self, head: &mut ParaHead, chain: &FakeChain) {
        match self {
            Self::Head => alter(&mut head.header, |header| header.extrinsics_root = Hash([9; 32])),
            Self::HeadProof => head.proof.clear(),
            Self::HeadElsewhere => {
                let inner = chain.inner();
                if let Some((block, number)) =
                    inner.relay.iter().find_map(|block| block.head.map(|number| (block, number)))
                {
                    head.header = inner.blocks[number as usize].header.clone();
                    head.proof = vec![block.state.clone()];
                }
            }
            _ => {}
        }
    }

    pub(super) fn items(self, items: &mut Vec<Bytes>) {
        if items.is_empty() {
            return;
        }
        let middle = items.len() / 2;
        match self {
            Self::Link => alter(&mut items[middle], |header| header.parent_hash = Hash([9; 32])),
            Self::Garbage => items[middle] = Bytes::from_static(&[0xff; 7]),
            Self::Short => drop(items.pop()),
            Self::Hole => drop(items.remove(0)),
            _ => {}
        }
    }

    pub(super) fn changes(self, changes: &mut Vec<Bytes>) {
        match self {
            Self::ChangesGarbage => changes[0] = Bytes::from_static(&[0xff; 7]),
            Self::ChangesValue => {
                let mut decoded =
                    StorageChanges::decode(&mut changes[0].as_ref()).expect("encoded by the chain itself");
                decoded.main_storage_changes[0].1 = Some(b"forged".to_vec());
                changes[0] = decoded.encode().into();
            }
            Self::ChangesLong => changes.push(StorageChanges::default().encode().into()),
            Self::Short => drop(changes.pop()),
            _ => {}
        }
    }
}

fn alter(bytes: &mut Bytes, change: impl FnOnce(&mut Header)) {
    let mut header = Header::decode(&mut bytes.as_ref()).expect("encoded by the chain itself");
    change(&mut header);
    *bytes = header.encode().into();
}
