//! How values lie on disk.
//!
//! Layout: encoding u8 ‖ CRC-32C u32 LE ‖ body. The checksum covers the encoding, the table, the key and the body as
//! it is stored, so that a value under a wrong key is found too; and, where a dictionary is needed to read the value,
//! the CRC-32C (LE) of that dictionary.
//!
//! | Encoding | Body |
//! |---|---|
//! | 0 plain | the bytes as they travel |
//! | 1 packed | one zstd frame that says how long its content is |
//! | 2 packed with a dictionary | number of the dictionary u32 LE ‖ one zstd frame that says how long its content is |

use crate::compress::{self, UnpackDictionary, Unpacker};
use bytes::Bytes;
use std::sync::Arc;

const PLAIN: u8 = 0;
const PACKED: u8 = 1;
const PACKED_WITH: u8 = 2;

/// Length of what stands before the body.
pub(super) const HEADER_LEN: usize = 5;

/// The tables, as checksums know them. Numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Table {
    RelayHeaders = 0,
    Justifications = 1,
    ParaHeads = 2,
    SetChanges = 3,
    ParaHeaders = 4,
    Changes = 5,
    Rungs = 6,
    Nodes = 7,
    Meta = 8,
    Dictionaries = 9,
    Digests = 10,
}

/// Writes the value for `parts` (in a row) under `key` into `scratch`, which it empties first.
pub(super) fn seal<'s>(scratch: &'s mut Vec<u8>, table: Table, key: &[u8], parts: &[&[u8]]) -> &'s [u8] {
    finish(scratch, table, key, PLAIN, parts, None)
}

/// Writes the value for a zstd frame made without a dictionary.
pub(super) fn seal_packed<'s>(scratch: &'s mut Vec<u8>, table: Table, key: &[u8], frame: &[u8]) -> &'s [u8] {
    finish(scratch, table, key, PACKED, &[frame], None)
}

/// Writes the value for a zstd frame made with dictionary `number`, whose checksum is `sum`.
pub(super) fn seal_packed_with<'s>(
    scratch: &'s mut Vec<u8>,
    table: Table,
    key: &[u8],
    frame: &[u8],
    (number, sum): (u32, u32),
) -> &'s [u8] {
    finish(scratch, table, key, PACKED_WITH, &[&number.to_le_bytes(), frame], Some(sum))
}

fn finish<'s>(
    scratch: &'s mut Vec<u8>,
    table: Table,
    key: &[u8],
    encoding: u8,
    parts: &[&[u8]],
    dictionary: Option<u32>,
) -> &'s [u8] {
    scratch.clear();
    scratch.extend_from_slice(&[encoding, 0, 0, 0, 0]);
    for part in parts {
        scratch.extend_from_slice(part);
    }
    let sum = checksum(table, key, encoding, &scratch[HEADER_LEN..], dictionary);
    scratch[1..HEADER_LEN].copy_from_slice(&sum.to_le_bytes());
    scratch
}

/// The bytes of a plain value, none if it is damaged.
pub(super) fn open<'v>(table: Table, key: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    let (encoding, sum, body) = split(value)?;
    (encoding == PLAIN && checksum(table, key, PLAIN, body, None) == sum).then_some(body)
}

/// The number of the dictionary that is needed to read `value`.
pub(super) fn dictionary(value: &[u8]) -> Option<u32> {
    let (encoding, _, body) = split(value)?;
    let (number, _) = body.split_first_chunk()?;
    (encoding == PACKED_WITH).then_some(u32::from_le_bytes(*number))
}

/// How `value` says it is encoded.
pub(super) fn encoding(value: &[u8]) -> &'static str {
    match value.first() {
        Some(&PLAIN) => "plain",
        Some(&PACKED) => "packed",
        Some(&PACKED_WITH) => "packed with a dictionary",
        _ => "unknown",
    }
}

/// A value of any encoding whose checksum holds.
#[derive(Debug)]
pub(super) struct Checked<'v> {
    body: &'v [u8],
    packed: bool,
    dictionary: Option<Arc<UnpackDictionary>>,
    /// How long its bytes are when they travel.
    pub(super) len: usize,
}

/// Checks `value`, none if it is damaged; `held` is the dictionary that it needs.
pub(super) fn check<'v>(
    table: Table,
    key: &[u8],
    value: &'v [u8],
    held: Option<Arc<UnpackDictionary>>,
) -> Option<Checked<'v>> {
    let (encoding, sum, body) = split(value)?;
    let (frame, packed, dictionary) = match encoding {
        PLAIN => (body, false, None),
        PACKED => (body, true, None),
        PACKED_WITH => (body.get(4..)?, true, Some(held?)),
        _ => return None,
    };
    if checksum(table, key, encoding, body, dictionary.as_ref().map(|held| held.sum)) != sum {
        return None;
    }
    let len = if packed { compress::plain_len(frame)? } else { frame.len() };
    Some(Checked { body: frame, packed, dictionary, len })
}

impl Checked<'_> {
    /// The bytes as they travel, none if they are damaged after all.
    pub(super) fn bytes(&self, unpacker: &mut Unpacker) -> Option<Bytes> {
        if self.packed {
            return unpacker.unpack(self.body, self.dictionary.as_deref()).map(Bytes::from);
        }
        Some(Bytes::copy_from_slice(self.body))
    }
}

fn split(value: &[u8]) -> Option<(u8, u32, &[u8])> {
    let (header, body) = value.split_first_chunk::<HEADER_LEN>()?;
    let [encoding, sum @ ..] = *header;
    Some((encoding, u32::from_le_bytes(sum), body))
}

fn checksum(table: Table, key: &[u8], encoding: u8, body: &[u8], dictionary: Option<u32>) -> u32 {
    let mut sum = crc32c::crc32c(&[table as u8, encoding]);
    sum = crc32c::crc32c_append(sum, key);
    sum = crc32c::crc32c_append(sum, body);
    match dictionary {
        Some(dictionary) => crc32c::crc32c_append(sum, &dictionary.to_le_bytes()),
        None => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_opens_only_under_its_own_key_and_table() {
        let mut scratch = vec![9; 40];
        let value = seal(&mut scratch, Table::Changes, b"key", &[b"by", b"tes"]).to_vec();

        assert_eq!(open(Table::Changes, b"key", &value), Some(b"bytes".as_slice()));
        assert_eq!(open(Table::Changes, b"kex", &value), None);
        assert_eq!(open(Table::Meta, b"key", &value), None);
        assert_eq!(open(Table::Changes, b"key", &value[..4]), None);
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let mut scratch = Vec::new();
        let value = seal(&mut scratch, Table::Nodes, &[7; 32], &[b"some node"]).to_vec();

        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(Table::Nodes, &[7; 32], &damaged), None, "bit {bit}");
        }
    }
}
