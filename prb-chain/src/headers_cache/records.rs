//! Records of headers-cache, cut out of an answer without a copy.
//!
//! SCALE (`headers-cache`'s `BlockInfo`, `BlockHeaderWithChanges` and parachain headers). A list is a compact count
//! and its records; each begins with a header.

use crate::http::MAX_HEADER;
use codec::{Compact, Decode, Error};
use prb_core::{
    Bytes,
    id::Height,
    port::store::ProvenHead,
    types::{grandpa::AuthoritySetChange, header::Header, sync::StorageChanges},
};

/// A relay block as the cache keeps it.
pub(super) struct Block {
    /// Its exact SCALE header.
    pub(super) header: Bytes,
    pub(super) more: More,
}

/// What follows the header: all of it absent at most blocks.
#[derive(Decode)]
pub(super) struct More {
    pub(super) justification: Option<Vec<u8>>,
    /// The parachain's head in the block's state; only where there is a justification.
    pub(super) para_head: Option<ProvenHead>,
    pub(super) set_change: Option<AuthoritySetChange>,
}

/// A single relay block; `number` is its height.
pub(super) fn block(mut body: Bytes, number: Height) -> Result<Block, Error> {
    let block = take_block(&mut body, number)?;
    ended(&body, block)
}

/// Relay blocks from `first` on.
pub(super) fn blocks(body: Bytes, first: Height) -> Result<Vec<Block>, Error> {
    list(body, first, take_block)
}

/// Parachain headers from `first` on, in their exact SCALE form.
pub(super) fn headers(body: Bytes, first: Height) -> Result<Vec<Bytes>, Error> {
    list(body, first, take_header)
}

/// Storage changes of the blocks from `first` on, in their exact SCALE form.
///
/// The headers before them have a number and at best a state root, and are left out.
pub(super) fn changes(body: Bytes, first: Height) -> Result<Vec<Bytes>, Error> {
    list(body, first, |body, number| {
        take_header(body, number)?;
        Ok(take::<StorageChanges>(body, usize::MAX)?.1)
    })
}

fn list<T>(
    mut body: Bytes,
    first: Height,
    take_one: impl Fn(&mut Bytes, Height) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let (Compact(count), _) = take::<Compact<u32>>(&mut body, usize::MAX)?;
    let mut records = Vec::new();
    for index in 0..count {
        let number = first.0.checked_add(index).ok_or("more records than numbers")?;
        records.push(take_one(&mut body, Height(number))?);
    }
    ended(&body, records)
}

fn take_block(body: &mut Bytes, number: Height) -> Result<Block, Error> {
    let header = take_header(body, number)?;
    let (more, _) = take(body, usize::MAX)?;
    Ok(Block { header, more })
}

fn take_header(body: &mut Bytes, number: Height) -> Result<Bytes, Error> {
    // Decoded, a header of one-byte digest items takes 32 times its encoding.
    let (header, bytes) = take::<Header>(body, MAX_HEADER)?;
    if header.height() == number { Ok(bytes) } else { Err("a record of another block".into()) }
}

/// The next value, with its bytes, of which it may have `most`.
fn take<T: Decode>(body: &mut Bytes, most: usize) -> Result<(T, Bytes), Error> {
    let mut rest = &body[..body.len().min(most)];
    let before = rest.len();
    let value = T::decode(&mut rest)?;
    let len = before - rest.len();
    Ok((value, body.split_to(len)))
}

fn ended<T>(body: &Bytes, value: T) -> Result<T, Error> {
    if body.is_empty() { Ok(value) } else { Err("bytes are left over".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;
    use prb_core::types::sync::BlockHeaderWithChanges;

    fn header(number: u32) -> Header {
        Header::numbered(Height(number))
    }

    fn sample() -> Vec<u8> {
        let head = ProvenHead { number: Height(3), proof: vec![vec![1, 2], vec![3]] };
        let bare = (header(7), None::<Vec<u8>>, None::<ProvenHead>, None::<AuthoritySetChange>);
        let justified = (header(8), Some(vec![9u8; 70]), Some(head), None::<AuthoritySetChange>);
        let records = [bare.encode(), justified.encode()].concat();
        [vec![2 << 2], records].concat()
    }

    #[test]
    fn relay_blocks_are_taken_apart_as_they_were_put_together() {
        let blocks = blocks(sample().into(), Height(7)).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].header, header(7).encode());
        assert!(blocks[0].more.justification.is_none());
        assert_eq!(blocks[1].more.justification.as_deref(), Some(&[9; 70][..]));
        assert_eq!(blocks[1].more.para_head.as_ref().unwrap().number, Height(3));
    }

    #[test]
    fn changes_keep_their_bytes() {
        let storage_changes = StorageChanges {
            main_storage_changes: vec![(vec![1], Some(vec![2])), (vec![3], None)],
            child_storage_changes: vec![(vec![4], vec![(vec![5], None)])],
        };
        let records = vec![
            BlockHeaderWithChanges { block_header: header(4), storage_changes: storage_changes.clone() },
            BlockHeaderWithChanges { block_header: header(5), storage_changes: StorageChanges::default() },
        ];
        let found = changes(records.encode().into(), Height(4)).unwrap();
        assert_eq!(found, [storage_changes.encode(), StorageChanges::default().encode()]);
        assert!(changes(records.encode().into(), Height(5)).is_err(), "other blocks");
    }

    #[test]
    fn answers_that_are_cut_or_too_long_are_errors() {
        let whole = Bytes::from(sample());
        for len in 0..whole.len() {
            assert!(blocks(whole.slice(..len), Height(7)).is_err(), "cut at {len}");
        }
        assert!(blocks([&whole[..], &[0]].concat().into(), Height(7)).is_err());
        assert!(headers(Compact(u32::MAX).encode().into(), Height(0)).is_err());
        assert!(block((header(7), [0u8; 3]).encode().into(), Height(7)).is_ok());
    }
}
