//! Reading everything there is, to know whether it is whole.

use super::{
    Inner, LmdbStore,
    env::{Tables, meta, table},
    pack::Dictionaries,
    read,
    value::{self, Table},
    write::Failure,
};
use crate::{compress::Unpacker, extent::Root};
use codec::DecodeAll;
use heed::{Database, RoTxn, WithoutTls, types::Bytes as Raw};
use prb_core::{
    port::{Cursor, Genesis, StoreError, Stream},
    types::sync::ChangesForm,
};
use std::{fmt, ops::Bound};

/// A part of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Genesis, cursor and the like.
    Records,
    /// Items of a stream.
    Stream(Stream),
    /// Which relay blocks are justified.
    Rungs,
    /// Nodes of the state copy.
    Nodes,
    /// What streams are compressed with.
    Dictionaries,
    /// By which items are known again when they have to be repaired.
    Digests,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Records,
        Self::Stream(Stream::RelayHeaders),
        Self::Stream(Stream::Justifications),
        Self::Stream(Stream::ParaHeads),
        Self::Stream(Stream::SetChanges),
        Self::Stream(Stream::ParaHeaders),
        Self::Stream(Stream::Changes),
        Self::Rungs,
        Self::Nodes,
        Self::Dictionaries,
        Self::Digests,
    ];

    pub(super) fn database(self, tables: &Tables) -> Database<Raw, Raw> {
        match self {
            Self::Records => tables.meta.remap_key_type(),
            Self::Stream(stream) => tables.stream(stream).remap_key_type(),
            Self::Rungs => tables.rungs.remap_key_type(),
            Self::Nodes => tables.nodes,
            Self::Dictionaries => tables.dictionaries,
            Self::Digests => tables.digests,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "records",
            Self::Stream(stream) => stream.name(),
            Self::Rungs => "rungs",
            Self::Nodes => "nodes",
            Self::Dictionaries => "dictionaries",
            Self::Digests => "digests",
        })
    }
}

/// How far [`LmdbStore::verify`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where it is.
    pub part: Part,
    /// Items checked, of all parts.
    pub done: u64,
    /// Items there were when it began, of all parts.
    pub of: u64,
    /// Stored bytes checked.
    pub bytes: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub part: Part,
    /// Which: a height, a hash, a name.
    pub item: String,
    /// Whether it is gone altogether.
    pub missing: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.missing { "missing" } else { "damaged" };
        write!(f, "{} at {} is {how}", self.part, self.item)
    }
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Which part.
    pub part: Part,
    /// Whole items.
    pub items: u64,
    /// Their bytes as they travel.
    pub plain_bytes: u64,
    /// Their bytes on disk, without what LMDB needs around them.
    pub stored_bytes: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// One per part, in the order of [`Part::ALL`].
    pub tallies: Vec<Tally>,
    /// The first [`Verification::NAMED`] damages.
    pub damaged: Vec<Damage>,
    /// How many damages there are in all.
    pub damages: u64,
}

impl Verification {
    /// Most damages that are named.
    pub const NAMED: usize = 1000;

    fn add(&mut self, damage: Damage) {
        self.damages += 1;
        if self.damaged.len() < Self::NAMED {
            self.damaged.push(damage);
        }
    }
}

impl LmdbStore {
    /// Reads every item, checks and decompresses it, and looks for holes. What is added meanwhile may be left out.
    ///
    /// This blocks, for as long as reading all of the file takes. It reads in many short transactions, so that a
    /// writer's file does not grow.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Verification, StoreError> {
        let of = self.inner.read(|tables, txn| {
            let counts = Part::ALL.map(|part| part.database(tables).len(txn));
            counts.into_iter().try_fold(0, |sum, count| Ok(sum + count?))
        })?;
        let mut found = Verification::default();
        let mut seen = Progress { part: Part::Records, done: 0, of, bytes: 0 };
        for part in Part::ALL {
            seen.part = part;
            self.inner.verify_part(part, &mut found, &mut seen, progress)?;
        }
        Ok(found)
    }
}

impl Inner {
    fn verify_part(
        &self,
        part: Part,
        found: &mut Verification,
        seen: &mut Progress,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        const ITEMS: usize = 256;
        const BYTES: usize = 8 << 20;
        let mut tally = Tally { part, items: 0, plain_bytes: 0, stored_bytes: 0 };
        let mut after: Option<Vec<u8>> = None;
        progress(*seen);
        loop {
            let more = self.read(|tables, txn| {
                let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let range: (Bound<&[u8]>, Bound<&[u8]>) = (from, Bound::Unbounded);
                let (mut items, mut bytes) = (0, 0);
                let mut last = None;
                for item in part.database(tables).range(txn, &range)? {
                    let (key, stored) = item?;
                    let before = last.as_deref().or(after.as_deref());
                    if let Some(missing) = hole(part, before, key) {
                        found.add(missing);
                    }
                    match plain_len(tables, txn, &self.dictionaries, part, key, stored)? {
                        Some(len) => {
                            tally.items += 1;
                            tally.plain_bytes += len as u64;
                            tally.stored_bytes += stored.len() as u64;
                        }
                        None => found.add(Damage { part, item: shown(part, key), missing: false }),
                    }
                    last = Some(key.to_vec());
                    items += 1;
                    bytes += stored.len();
                    if items >= ITEMS || bytes >= BYTES {
                        break;
                    }
                }
                seen.done += items as u64;
                seen.bytes += bytes as u64;
                Ok(last)
            })?;
            progress(*seen);
            let Some(last) = more else { break };
            after = Some(last);
        }
        found.tallies.push(tally);
        Ok(())
    }
}

/// How long an item is when it travels, none if it is damaged.
fn plain_len(
    tables: &Tables,
    txn: &RoTxn<'_, WithoutTls>,
    dictionaries: &Dictionaries,
    part: Part,
    key: &[u8],
    stored: &[u8],
) -> Result<Option<usize>, Failure> {
    let alone = |table| {
        let checked = value::check(table, key, stored, None)?;
        checked.bytes(&mut Unpacker::default())
    };
    Ok(match part {
        Part::Stream(stream) => {
            let checked = read::check(tables, txn, dictionaries, table(stream), key, stored)?;
            checked.and_then(|checked| checked.bytes(&mut Unpacker::default())).map(|bytes| bytes.len())
        }
        Part::Rungs => match <[u8; 4]>::try_from(key) {
            Ok(key) => read::rung((u32::from_be_bytes(key), stored)).is_ok().then_some(stored.len()),
            Err(_) => None,
        },
        Part::Nodes => alone(Table::Nodes).filter(|node| node.len() >= 4).map(|node| node.len() - 4),
        Part::Dictionaries => alone(Table::Dictionaries).map(|bytes| bytes.len()),
        Part::Digests => alone(Table::Digests).filter(|digest| digest.len() == 32).map(|digest| digest.len()),
        Part::Records => match str::from_utf8(key) {
            // Has a layout of its own, and was checked when the store was opened.
            Ok(meta::FORMAT) => Some(stored.len()),
            Ok(name) => alone(Table::Meta).filter(|bytes| decodes(name, bytes)).map(|bytes| bytes.len()),
            Err(_) => None,
        },
    })
}

fn decodes(record: &str, mut bytes: &[u8]) -> bool {
    match record {
        meta::ROOT => Root::decode_all(&mut bytes).is_ok(),
        meta::GENESIS => Genesis::decode_all(&mut bytes).is_ok(),
        meta::CURSOR => Cursor::decode_all(&mut bytes).is_ok(),
        meta::CHANGES_FORM => ChangesForm::decode_all(&mut bytes).is_ok(),
        _ => true,
    }
}

/// What is missing between two items of a contiguous stream.
fn hole(part: Part, before: Option<&[u8]>, key: &[u8]) -> Option<Damage> {
    let Part::Stream(Stream::RelayHeaders | Stream::ParaHeaders | Stream::Changes) = part else {
        return None;
    };
    let before = u32::from_be_bytes(before?.try_into().ok()?);
    let present = u32::from_be_bytes(key.try_into().ok()?);
    let missing = before.checked_add(1).filter(|missing| *missing != present)?;
    let item =
        if missing + 1 == present { missing.to_string() } else { format!("{missing}..={}", present - 1) };
    Some(Damage { part, item, missing: true })
}

fn shown(part: Part, key: &[u8]) -> String {
    match part {
        Part::Records => String::from_utf8_lossy(key).into_owned(),
        Part::Stream(_) | Part::Rungs if key.len() == 4 => {
            key.iter().fold(0, |height: u32, byte| height << 8 | u32::from(*byte)).to_string()
        }
        _ => key.iter().fold("0x".to_owned(), |shown, byte| format!("{shown}{byte:02x}")),
    }
}
