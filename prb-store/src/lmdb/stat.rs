//! What a store takes, and what lies where.

use super::{FORMAT, LmdbStore, env::table, read, value, verify::Part};
use crate::compress::Unpacker;
use bytes::Bytes;
use prb_core::{
    id::Height,
    port::{Coverage, Cursor, StoreError, Stream},
};

/// What a store takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its format.
    pub format: u32,
    /// Size of the data file, bytes.
    pub file_bytes: u64,
    /// Of it, bytes in free pages, which are used again.
    pub free_bytes: u64,
    /// Address space, bytes; it grows by itself.
    pub map_bytes: u64,
    /// Reads under way, in all processes.
    pub readers: u32,
    /// What is contiguous and verified, none while the store is empty.
    pub coverage: Option<Coverage>,
    /// How far verification has come, none while the store is empty.
    pub cursor: Option<Cursor>,
    /// One per part, in the order of [`Part::ALL`].
    pub tables: Vec<TableStat>,
}

/// What a part takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStat {
    /// Which part.
    pub part: Part,
    /// How many items it has.
    pub items: u64,
    /// The pages it takes, bytes.
    pub bytes: u64,
}

/// One item with how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// The bytes that travel.
    pub bytes: Bytes,
    /// How many bytes it takes on disk, with its checksum, without what LMDB needs around it.
    pub stored_bytes: usize,
    /// `plain`, `packed` or `packed with a dictionary`.
    pub encoding: &'static str,
    /// Number of the dictionary it needs.
    pub dictionary: Option<u32>,
}

impl LmdbStore {
    /// What it takes. This blocks, for a moment.
    pub fn stat(&self) -> Result<Stat, StoreError> {
        self.inner.read(|tables, txn| {
            let mut stats = Vec::new();
            let mut used = 0;
            for part in Part::ALL {
                let stat = part.database(tables).stat(txn)?;
                let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
                let bytes = pages as u64 * u64::from(stat.page_size);
                used += bytes;
                stats.push(TableStat { part, items: stat.entries as u64, bytes });
            }
            let (info, file_bytes) = (tables.env.info(), tables.env.real_disk_size()?);
            Ok(Stat {
                format: FORMAT,
                file_bytes,
                free_bytes: file_bytes.saturating_sub(used),
                map_bytes: info.map_size as u64,
                readers: info.number_of_readers,
                coverage: read::coverage(tables, txn)?,
                cursor: read::cursor(tables, txn)?,
                tables: stats,
            })
        })
    }

    /// The item at `height`, none if there is none. This blocks, for a moment.
    pub fn inspect(&self, stream: Stream, height: Height) -> Result<Option<StoredItem>, StoreError> {
        self.inner.read(|tables, txn| {
            let Some(stored) = tables.stream(stream).get(txn, &height.0)? else { return Ok(None) };
            let key = height.0.to_be_bytes();
            let checked = read::check(tables, txn, &self.inner.dictionaries, table(stream), &key, stored)?;
            let bytes = checked.and_then(|checked| checked.bytes(&mut Unpacker::default()));
            Ok(Some(StoredItem {
                bytes: bytes.ok_or(StoreError::Damaged { stream, height })?,
                stored_bytes: stored.len(),
                encoding: value::encoding(stored),
                dictionary: value::dictionary(stored),
            }))
        })
    }
}
