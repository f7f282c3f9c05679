//! Which values are compressed, and with which dictionary.
//!
//! A stream's dictionary is made of its latest items and stored as an item of its own, numbered from 1 within the
//! stream, with a checksum; values carry the number. So one read needs one dictionary, which stays in memory, and
//! nothing depends on a chain of other items. It is renewed as the stream grows.

use super::{
    env::{Tables, meta, table},
    read,
    value::{self, Table},
    write::Failure,
};
use crate::compress::{PackDictionary, Packer, UnpackDictionary, Unpacker};
use codec::{Decode, Encode};
use heed::{RoTxn, RwTxn, WithoutTls};
use prb_core::port::{StoreError, Stream};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::{debug, warn};

/// How a stream gets dictionaries.
struct Policy {
    /// The first one is made when the stream holds this many bytes.
    first: u64,
    /// Longest dictionary, bytes. Longer ones find more and take longer to load.
    longest: usize,
    /// A dictionary at its longest is renewed after this many bytes.
    renewed_after: u64,
}

/// While dictionaries are short, each is made after this many times the length of the one before.
const GROWTH: u64 = 2;

/// The streams that have dictionaries. What stands at rungs is large and rare, and packs alone.
const STREAMS: [Stream; 3] = [Stream::RelayHeaders, Stream::ParaHeaders, Stream::Changes];

fn policy(stream: Stream) -> Policy {
    match stream {
        // Headers differ in hashes and signatures, which nothing helps; what repeats fits a few of them.
        Stream::RelayHeaders | Stream::ParaHeaders => {
            Policy { first: 4 << 10, longest: 4 << 10, renewed_after: 1 << 20 }
        }
        // A stored dictionary takes about half its length, so this costs about 1 % of the plain bytes.
        _ => Policy { first: 4 << 10, longest: 112 << 10, renewed_after: 8 << 20 },
    }
}

/// Where a stream stands with its dictionaries; a record of `meta`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Lineage {
    /// Number of the one in use, 0 before the first.
    number: u32,
    /// CRC-32C of its bytes.
    sum: u32,
    /// Its length.
    len: u32,
    /// Plain bytes added since it was made.
    since: u64,
}

impl Lineage {
    fn is_due(&self, policy: &Policy) -> bool {
        let after = match self.len {
            0 => policy.first,
            len if len as usize >= policy.longest => policy.renewed_after,
            len => GROWTH * u64::from(len),
        };
        self.since >= after
    }
}

/// What the writer keeps between appends.
#[derive(Debug, Default)]
pub(super) struct Press {
    packer: Packer,
    /// By stream: number, checksum, and what they are of. A transaction that fails may leave one that nobody needs.
    ready: [Option<(u32, u32, PackDictionary)>; STREAMS.len()],
}

/// Compression in one write transaction.
#[derive(Debug)]
pub(super) struct Packing<'p> {
    press: MutexGuard<'p, Press>,
    lineages: [Lineage; STREAMS.len()],
    enabled: bool,
}

impl<'p> Packing<'p> {
    pub(super) fn begin(
        press: &'p Mutex<Press>,
        tables: &Tables,
        txn: &RwTxn<'_>,
        enabled: bool,
    ) -> Result<Self, Failure> {
        let lineages = match read::record(tables, txn, meta::PACKING) {
            // Without the record a new dictionary is made, and nothing is lost.
            Err(Failure::Store(StoreError::Broken { .. })) | Ok(None) => Default::default(),
            answer => answer?.unwrap_or_default(),
        };
        Ok(Self { press: press.lock().unwrap_or_else(PoisonError::into_inner), lineages, enabled })
    }

    /// Has dictionaries read from disk again.
    pub(super) fn forget(&mut self) {
        self.press.ready = Default::default();
    }

    /// The value for an item, in `scratch`.
    pub(super) fn seal<'s>(
        &mut self,
        tables: &Tables,
        txn: &RwTxn<'_>,
        (stream, key): (Stream, &[u8]),
        plain: &[u8],
        scratch: &'s mut Vec<u8>,
    ) -> Result<&'s [u8], Failure> {
        let target = table(stream);
        if !self.enabled {
            return Ok(value::seal(scratch, target, key, &[plain]));
        }
        if let Some(dictionary) = self.ready(tables, txn, stream)? {
            let (number, sum, ready) = dictionary;
            if let Some(frame) = self.press.packer.pack(plain, Some(&ready)) {
                let sealed = value::seal_packed_with(scratch, target, key, &frame, (number, sum));
                self.keep(stream, (number, sum, ready));
                return Ok(sealed);
            }
            self.keep(stream, (number, sum, ready));
        } else if let Some(frame) = self.press.packer.pack(plain, None) {
            return Ok(value::seal_packed(scratch, target, key, &frame));
        }
        Ok(value::seal(scratch, target, key, &[plain]))
    }

    /// The value for a large record, in `scratch`.
    pub(super) fn seal_record<'s>(
        &mut self,
        target: Table,
        key: &[u8],
        plain: &[u8],
        scratch: &'s mut Vec<u8>,
    ) -> &'s [u8] {
        match self.enabled.then(|| self.press.packer.pack(plain, None)).flatten() {
            Some(frame) => value::seal_packed(scratch, target, key, &frame),
            None => value::seal(scratch, target, key, &[plain]),
        }
    }

    /// Takes note that an item of `len` bytes was added, and makes a dictionary if it is time.
    pub(super) fn added(
        &mut self,
        tables: &Tables,
        txn: &mut RwTxn<'_>,
        stream: Stream,
        len: usize,
    ) -> Result<(), Failure> {
        let Some(index) = index(stream).filter(|_| self.enabled) else { return Ok(()) };
        self.lineages[index].since += len as u64;
        let policy = policy(stream);
        if !self.lineages[index].is_due(&policy) {
            return Ok(());
        }
        let bytes = latest(tables, txn, stream, policy.longest)?;
        let number = 1 + newest(tables, txn, table(stream))?;
        let mut scratch = Vec::new();
        let key = key(table(stream), number);
        let sealed = self.seal_record(Table::Dictionaries, &key, &bytes, &mut scratch);
        tables.dictionaries.put(txn, &key, sealed)?;
        let sum = crc32c::crc32c(&bytes);
        self.lineages[index] = Lineage { number, sum, len: bytes.len() as u32, since: 0 };
        debug!(%stream, number, bytes = bytes.len(), stored = sealed.len(), "dictionary made");
        Ok(())
    }

    /// The record that the transaction has to write.
    pub(super) fn record(&self) -> impl Encode + use<> {
        self.lineages
    }

    /// The stream's dictionary, taken out of what is kept.
    fn ready(
        &mut self,
        tables: &Tables,
        txn: &RwTxn<'_>,
        stream: Stream,
    ) -> Result<Option<(u32, u32, PackDictionary)>, Failure> {
        let Some(index) = index(stream) else { return Ok(None) };
        let Lineage { number, sum, .. } = self.lineages[index];
        if number == 0 {
            return Ok(None);
        }
        let kept = self.press.ready[index].take();
        if let Some(kept) = kept.filter(|kept| (kept.0, kept.1) == (number, sum)) {
            return Ok(Some(kept));
        }
        match load(tables, txn, table(stream), number)?.filter(|bytes| crc32c::crc32c(bytes) == sum) {
            Some(bytes) => Ok(Some((number, sum, PackDictionary::new(&bytes)))),
            None => {
                warn!(%stream, number, "dictionary is damaged on disk, another one is made");
                self.lineages[index] = Lineage { since: self.lineages[index].since, ..Lineage::default() };
                Ok(None)
            }
        }
    }

    fn keep(&mut self, stream: Stream, dictionary: (u32, u32, PackDictionary)) {
        if let Some(index) = index(stream) {
            self.press.ready[index] = Some(dictionary);
        }
    }
}

/// By stream and number: when it was last used, counted in uses, and what it is.
type Held = BTreeMap<(Table, u32), (u64, Arc<UnpackDictionary>)>;

/// Dictionaries that readers use.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    held: Mutex<Held>,
}

impl Dictionaries {
    /// Most dictionaries held in memory; each takes up to 150 KB.
    const MOST: usize = 64;

    /// The dictionary with this number, none if it is missing or damaged. `txn` must be a reader's: what it finds
    /// is kept.
    pub(super) fn get(
        &self,
        tables: &Tables,
        txn: &RoTxn<'_, WithoutTls>,
        table: Table,
        number: u32,
    ) -> Result<Option<Arc<UnpackDictionary>>, Failure> {
        if let Some(found) = self.find(table, number) {
            return Ok(Some(found));
        }
        let Some(bytes) = load(tables, txn, table, number)? else { return Ok(None) };
        let dictionary = Arc::new(UnpackDictionary::new(&bytes));
        let mut held = self.held();
        if held.len() >= Self::MOST
            && let Some(oldest) = held.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key)
        {
            held.remove(&oldest);
        }
        let tick = next_tick(&held);
        held.insert((table, number), (tick, dictionary.clone()));
        Ok(Some(dictionary))
    }

    /// Forgets all of them: another file may hold others.
    pub(super) fn clear(&self) {
        self.held().clear();
    }

    fn find(&self, table: Table, number: u32) -> Option<Arc<UnpackDictionary>> {
        let mut held = self.held();
        let tick = next_tick(&held);
        let (used, dictionary) = held.get_mut(&(table, number))?;
        *used = tick;
        Some(dictionary.clone())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_tick(held: &Held) -> u64 {
    held.values().map(|(used, _)| *used).max().unwrap_or(0) + 1
}

fn index(stream: Stream) -> Option<usize> {
    STREAMS.iter().position(|with| *with == stream)
}

/// Key of a dictionary: table u8 ‖ number u32 BE.
fn key(table: Table, number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [table as u8, a, b, c, d]
}

/// Number of the last dictionary of `table`, 0 if there is none.
fn newest(tables: &Tables, txn: &RoTxn<'_, WithoutTls>, table: Table) -> Result<u32, Failure> {
    let last = tables.dictionaries.rev_prefix_iter(txn, &[table as u8])?.next().transpose()?;
    let number = last.and_then(|(key, _)| key.last_chunk().copied());
    Ok(number.map_or(0, u32::from_be_bytes))
}

/// The bytes of a dictionary, none if it is missing or damaged.
fn load(
    tables: &Tables,
    txn: &RoTxn<'_, WithoutTls>,
    table: Table,
    number: u32,
) -> Result<Option<bytes::Bytes>, Failure> {
    let key = key(table, number);
    let Some(stored) = tables.dictionaries.get(txn, &key)? else { return Ok(None) };
    let checked = value::check(Table::Dictionaries, &key, stored, None);
    Ok(checked.and_then(|checked| checked.bytes(&mut Unpacker::default())))
}

/// The bytes of the stream's latest items in their order, the last `longest` of them. A damaged item ends them.
fn latest(tables: &Tables, txn: &RwTxn<'_>, stream: Stream, longest: usize) -> Result<Vec<u8>, Failure> {
    // Not those that readers share: this transaction may have made a dictionary that will never be.
    let dictionaries = Dictionaries::default();
    let mut unpacker = Unpacker::default();
    let (mut items, mut len) = (Vec::new(), 0);
    for item in tables.stream(stream).rev_iter(txn)? {
        let (number, stored) = item?;
        let checked = read::check(tables, txn, &dictionaries, table(stream), &number.to_be_bytes(), stored)?;
        let Some(bytes) = checked.and_then(|checked| checked.bytes(&mut unpacker)) else { break };
        len += bytes.len();
        items.push(bytes);
        if len >= longest {
            break;
        }
    }
    items.reverse();
    let mut bytes = items.concat();
    bytes.drain(..bytes.len().saturating_sub(longest));
    Ok(bytes)
}
