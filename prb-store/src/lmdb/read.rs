//! Reading, in a transaction of the caller.

use super::{
    Counts,
    env::{HeightTable, Tables, meta, table},
    pack::Dictionaries,
    value::{self, Checked, Table},
    write::Failure,
};
use crate::{
    compress::Unpacker,
    extent::{Extent, Root},
};
use bytes::Bytes;
use codec::{Decode, DecodeAll};
use heed::{RoTxn, WithoutTls};
use prb_core::{
    id::{Hash, Height},
    port::{Blob, Coverage, Cursor, Genesis, Rung, StoreError, Stream},
    span::Span,
    types::sync::ChangesForm,
};

type Txn<'t> = RoTxn<'t, WithoutTls>;

/// The items of `span` that fit `max_bytes`, at least one if the first is there. Of a contiguous stream they are
/// consecutive from the first of `span`. What is damaged ends the answer, and fails it if it would be empty.
pub(super) fn items(
    tables: &Tables,
    txn: &Txn<'_>,
    dictionaries: &Dictionaries,
    stream: Stream,
    span: Span,
    max_bytes: usize,
) -> Result<Vec<Blob>, Failure> {
    let sparse = matches!(stream, Stream::Justifications | Stream::ParaHeads | Stream::SetChanges);
    let source = tables.stream(stream);
    let mut left = max_bytes;
    let mut unpacker = Unpacker::default();
    let mut blobs: Vec<Blob> = Vec::new();
    let mut expected = span.first();
    for item in source.range(txn, &(span.first().0..=span.last().0))? {
        let (key, stored) = item?;
        let height = Height(key);
        if !sparse && height != expected {
            break;
        }
        let checked = check(tables, txn, dictionaries, table(stream), &key.to_be_bytes(), stored)?;
        let Some(checked) = checked else { break };
        match left.checked_sub(checked.len) {
            Some(rest) => left = rest,
            None if blobs.is_empty() => left = 0,
            None => return Ok(blobs),
        }
        let Some(bytes) = checked.bytes(&mut unpacker) else { break };
        blobs.push(Blob { height, bytes });
        expected = height.next();
    }
    if blobs.is_empty()
        && let Some(height) = damaged(source, txn, sparse, span)?
    {
        return Err(StoreError::Damaged { stream, height }.into());
    }
    Ok(blobs)
}

/// Checks the value under `key`, with its dictionary if it needs one; none if either is damaged.
pub(super) fn check<'v>(
    tables: &Tables,
    txn: &Txn<'_>,
    dictionaries: &Dictionaries,
    table: Table,
    key: &[u8],
    stored: &'v [u8],
) -> Result<Option<Checked<'v>>, Failure> {
    let dictionary = match value::dictionary(stored) {
        Some(number) => dictionaries.get(tables, txn, table, number)?,
        None => None,
    };
    Ok(value::check(table, key, stored, dictionary))
}

/// The first height of `span` that should have been answered, if nothing was.
fn damaged(source: HeightTable, txn: &Txn<'_>, sparse: bool, span: Span) -> Result<Option<Height>, Failure> {
    if sparse {
        let first = source.range(txn, &(span.first().0..=span.last().0))?.next().transpose()?;
        return Ok(first.map(|(key, _)| Height(key)));
    }
    let held = ends(source, txn)?;
    Ok(held.filter(|held| held.contains(span.first())).map(|_| span.first()))
}

/// The rungs from `from`.
pub(super) fn rungs(
    tables: &Tables,
    txn: &Txn<'_>,
    from: Height,
    limit: usize,
) -> Result<Vec<Rung>, Failure> {
    tables.rungs.range(txn, &(from.0..))?.take(limit).map(|item| rung(item?)).collect()
}

pub(super) fn rung((key, stored): (u32, &[u8])) -> Result<Rung, Failure> {
    let decoded = value::open(Table::Rungs, &key.to_be_bytes(), stored)
        .and_then(|mut bytes| <(Option<Height>, bool)>::decode_all(&mut bytes).ok());
    let damaged = StoreError::Damaged { stream: Stream::Justifications, height: Height(key) };
    let (para, closes_set) = decoded.ok_or(damaged)?;
    Ok(Rung { at: Height(key), para, closes_set })
}

/// What every append is checked against, none while the store is empty.
pub(super) fn root(tables: &Tables, txn: &Txn<'_>) -> Result<Option<Root>, Failure> {
    record(tables, txn, meta::ROOT)
}

/// The genesis, none while the store is empty.
pub(super) fn genesis(tables: &Tables, txn: &Txn<'_>) -> Result<Option<Genesis>, Failure> {
    record(tables, txn, meta::GENESIS)
}

/// The cursor, none while the store is empty.
pub(super) fn cursor(tables: &Tables, txn: &Txn<'_>) -> Result<Option<Cursor>, Failure> {
    record(tables, txn, meta::CURSOR)
}

/// The ends of every stream.
pub(super) fn extent(tables: &Tables, txn: &Txn<'_>) -> Result<Extent, Failure> {
    let open_tip = tables.rungs.last(txn)?.map(rung).transpose()?.filter(|rung| !rung.closes_set);
    let changes = ends(tables.stream(Stream::Changes), txn)?;
    let changes_form = match changes {
        Some(_) => Some(record(tables, txn, meta::CHANGES_FORM)?.unwrap_or(ChangesForm::Written)),
        None => None,
    };
    Ok(Extent {
        root: root(tables, txn)?,
        relay: ends(tables.stream(Stream::RelayHeaders), txn)?,
        para: ends(tables.stream(Stream::ParaHeaders), txn)?,
        changes,
        changes_form,
        open_tip: open_tip.map(|rung| rung.at),
    })
}

/// What to tell readers, none while the store is empty.
pub(super) fn coverage(tables: &Tables, txn: &Txn<'_>) -> Result<Option<Coverage>, Failure> {
    let Some(cursor) = cursor(tables, txn)? else { return Ok(None) };
    Ok(extent(tables, txn)?.coverage(&cursor))
}

/// A node of the state copy.
pub(super) fn node(tables: &Tables, txn: &Txn<'_>, hash: &Hash) -> Result<Option<Bytes>, Failure> {
    Ok(counted_node(tables, txn, hash)?.map(|(_, node)| Bytes::copy_from_slice(node)))
}

/// A node of the state copy with its references.
pub(super) fn counted_node<'t>(
    tables: &Tables,
    txn: &'t Txn<'_>,
    hash: &Hash,
) -> Result<Option<(u32, &'t [u8])>, Failure> {
    let Some(stored) = tables.nodes.get(txn, &hash.0)? else { return Ok(None) };
    let counted = value::open(Table::Nodes, &hash.0, stored).and_then(|bytes| bytes.split_first_chunk());
    let broken = || StoreError::Broken { what: format!("node {hash} of the state copy") };
    let (references, node) = counted.ok_or_else(broken)?;
    Ok(Some((u32::from_le_bytes(*references), node)))
}

/// How many items there are.
pub(super) fn counts(tables: &Tables, txn: &Txn<'_>) -> Result<Counts, Failure> {
    let mut streams = Stream::ALL.map(|stream| (stream, 0));
    for (stream, count) in &mut streams {
        *count = tables.stream(*stream).len(txn)?;
    }
    Ok(Counts { streams, rungs: tables.rungs.len(txn)?, nodes: tables.nodes.len(txn)? })
}

/// First and last key of a contiguous stream.
fn ends(source: HeightTable, txn: &Txn<'_>) -> Result<Option<Span>, Failure> {
    let keys = source.remap_data_type::<heed::types::DecodeIgnore>();
    let (Some((first, ())), Some((last, ()))) = (keys.first(txn)?, keys.last(txn)?) else { return Ok(None) };
    Ok(Span::new(Height(first), Height(last)))
}

/// A record of `meta`.
pub(super) fn record<T: Decode>(tables: &Tables, txn: &Txn<'_>, key: &str) -> Result<Option<T>, Failure> {
    let Some(stored) = tables.meta.get(txn, key)? else { return Ok(None) };
    let decoded = value::check(Table::Meta, key.as_bytes(), stored, None)
        .and_then(|checked| checked.bytes(&mut Unpacker::default()))
        .and_then(|bytes| T::decode_all(&mut bytes.as_ref()).ok());
    let broken = || StoreError::Broken { what: format!("the {key} record of the store") };
    Ok(Some(decoded.ok_or_else(broken)?))
}
