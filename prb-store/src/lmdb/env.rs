//! The environment, its tables and their format.

use super::{options::LmdbOptions, read, space::no_store, value::Table, write::Failure};
use heed::{
    Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, RwTxn, WithoutTls,
    byteorder::BE,
    types::{Bytes as Raw, Str, U32},
};
use prb_core::{
    id::Height,
    port::{StoreError, Stream},
};
use std::path::Path;

/// The format this release reads and writes. Older ones are brought to it when they are opened.
pub const FORMAT: u32 = 1 + MIGRATIONS.len() as u32;

/// Room for tables, with some to spare.
const TABLES: u32 = 16;

/// What brings one format to the next.
pub(super) type Migration = fn(&Tables, &mut RwTxn<'_>) -> Result<(), Failure>;

/// The element `n` brings format `n + 1` to `n + 2`. Elements are only ever added.
const MIGRATIONS: &[Migration] = &[packed_values];

/// Format 2 knows packed values and dictionaries. What format 1 wrote stays as it is.
fn packed_values(_: &Tables, _: &mut RwTxn<'_>) -> Result<(), Failure> {
    Ok(())
}

/// Keys of the table `meta`.
pub(super) mod meta {
    /// Format u32 LE ‖ CRC-32C of it u32 LE, the one entry that every release lays out alike.
    pub(in crate::lmdb) const FORMAT: &str = "format";
    /// SCALE [`Root`](crate::extent::Root).
    pub(in crate::lmdb) const ROOT: &str = "root";
    /// SCALE [`Genesis`](prb_core::port::Genesis).
    pub(in crate::lmdb) const GENESIS: &str = "genesis";
    /// SCALE [`Cursor`](prb_core::port::Cursor).
    pub(in crate::lmdb) const CURSOR: &str = "cursor";
    /// SCALE [`ChangesForm`](prb_core::types::sync::ChangesForm); absent where there are no changes, and in stores of
    /// releases that knew no other than `pha`.
    pub(in crate::lmdb) const CHANGES_FORM: &str = "changes-form";
    /// SCALE: which dictionary each stream uses, see [`pack`](super::super::pack).
    pub(in crate::lmdb) const PACKING: &str = "packing";
}

/// A table keyed by block number, big-endian u32.
pub(super) type HeightTable = Database<U32<BE>, Raw>;

/// The open environment.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) env: Env<WithoutTls>,
    pub(super) meta: Database<Str, Raw>,
    streams: [HeightTable; Stream::ALL.len()],
    /// SCALE para number `Option<u32>` ‖ closes set `bool`, at rungs.
    pub(super) rungs: HeightTable,
    /// By hash: references u32 LE ‖ node.
    pub(super) nodes: Database<Raw, Raw>,
    /// By table u8 ‖ number u32 BE: bytes of a dictionary.
    pub(super) dictionaries: Database<Raw, Raw>,
    /// By table u8 ‖ height u32 BE: BLAKE2b-256 of an item as it was verified, to know it again when it has to be
    /// repaired. Headers have none: their hashes are in their successors.
    pub(super) digests: Database<Raw, Raw>,
}

impl Tables {
    /// The table of a stream.
    pub(super) fn stream(&self, stream: Stream) -> HeightTable {
        self.streams[table(stream) as usize]
    }
}

/// Key of an item's digest, none for streams whose items are known by their hash.
pub(super) fn digest_key(stream: Stream, height: Height) -> Option<[u8; 5]> {
    let [a, b, c, d] = height.0.to_be_bytes();
    match stream {
        Stream::RelayHeaders | Stream::ParaHeaders => None,
        _ => Some([table(stream) as u8, a, b, c, d]),
    }
}

/// A stream's table as checksums know it.
pub(super) fn table(stream: Stream) -> Table {
    match stream {
        Stream::RelayHeaders => Table::RelayHeaders,
        Stream::Justifications => Table::Justifications,
        Stream::ParaHeads => Table::ParaHeads,
        Stream::SetChanges => Table::SetChanges,
        Stream::ParaHeaders => Table::ParaHeaders,
        Stream::Changes => Table::Changes,
    }
}

/// Opens or creates the environment in `folder` and brings it to the present format.
pub(super) fn open(folder: &Path, options: &LmdbOptions) -> Result<Tables, Failure> {
    let mut map_bytes = options.map_bytes.min(options.max_map_bytes);
    loop {
        match open_with(folder, options, map_bytes, MIGRATIONS) {
            Err(Failure::Heed(heed::Error::Mdb(MdbError::MapFull))) => {
                map_bytes = larger(map_bytes, options)?;
            }
            answer => return answer,
        }
    }
}

/// The size after `map_bytes`.
pub(super) fn larger(map_bytes: u64, options: &LmdbOptions) -> Result<u64, StoreError> {
    const LARGEST_STEP: u64 = 64 << 30;
    let size = (map_bytes + map_bytes.clamp(1, LARGEST_STEP)).min(options.max_map_bytes);
    if size <= map_bytes { Err(StoreError::MapFull { bytes: map_bytes }) } else { Ok(size) }
}

/// `bytes` as LMDB takes a map size: a multiple of every page size in use.
pub(super) fn map_size(bytes: u64) -> usize {
    const UNIT: u64 = 64 << 10;
    usize::try_from(bytes.div_ceil(UNIT) * UNIT).unwrap_or(usize::MAX / UNIT as usize * UNIT as usize)
}

pub(super) fn open_with(
    folder: &Path,
    options: &LmdbOptions,
    map_bytes: u64,
    migrations: &[Migration],
) -> Result<Tables, Failure> {
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(map_size(map_bytes)).max_dbs(TABLES).max_readers(options.max_readers);
    // SAFETY: no one else maps or changes the file while we do: the lock file keeps other stores out, and LMDB's own
    // lock table (no flag turns it off) other programs.
    #[allow(unsafe_code, reason = "mapping a file is unsafe in Rust's eyes, and LMDB maps its file")]
    let env = unsafe { open.open(folder) }?;
    env.clear_stale_readers()?;

    let mut txn = env.write_txn()?;
    let meta = env.create_database(&mut txn, Some("meta"))?;
    let found = read_format(&meta, &txn)?;
    let known = 1 + migrations.len() as u32;
    if found.is_some_and(|found| found > known) {
        return Err(StoreError::NewerFormat { found: found.unwrap_or_default(), known }.into());
    }
    let mut height_table = |name| env.create_database(&mut txn, Some(name));
    let streams = [
        height_table("relay-headers")?,
        height_table("justifications")?,
        height_table("para-heads")?,
        height_table("set-changes")?,
        height_table("para-headers")?,
        height_table("changes")?,
    ];
    let rungs = height_table("rungs")?;
    let nodes = env.create_database(&mut txn, Some("nodes"))?;
    let dictionaries = env.create_database(&mut txn, Some("dictionaries"))?;
    let digests = env.create_database(&mut txn, Some("digests"))?;
    let tables = Tables { env: env.clone(), meta, streams, rungs, nodes, dictionaries, digests };
    migrate(&tables, &mut txn, found.unwrap_or(known), migrations)?;
    if let (Some(root), Some(identity)) = (read::root(&tables, &txn)?, options.identity) {
        root.admit(identity)?;
    }
    txn.commit()?;
    Ok(tables)
}

/// Opens the environment in `folder` for reading, as another process may be writing it.
pub(super) fn open_read_only(folder: &Path, options: &LmdbOptions) -> Result<Tables, Failure> {
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(map_size(options.map_bytes)).max_dbs(TABLES).max_readers(options.max_readers);
    // SAFETY: the flag only takes rights away; the file is changed by LMDB alone, and the caller holds the lock that
    // keeps it from being exchanged.
    #[allow(unsafe_code, reason = "mapping a file is unsafe in Rust's eyes, and LMDB maps its file")]
    let env = unsafe { open.flags(EnvFlags::READ_ONLY).open(folder) }?;
    let txn = env.read_txn()?;
    let nothing = || no_store(folder);
    let meta = env.open_database(&txn, Some("meta"))?.ok_or_else(nothing)?;
    let found = read_format(&meta, &txn)?.ok_or_else(nothing)?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { found, known: FORMAT }.into());
    }
    if found < FORMAT {
        let why = format!(
            "{} has format {found}; start `prb run` or `prb data-provider` on it once, which brings it to {FORMAT}",
            folder.display()
        );
        return Err(StoreError::Backend(why).into());
    }
    let missing = |name: &str| StoreError::Broken { what: format!("table {name} of the store") };
    let height_table = |name: &str| -> Result<HeightTable, Failure> {
        Ok(env.open_database(&txn, Some(name))?.ok_or_else(|| missing(name))?)
    };
    let hash_table = |name: &str| -> Result<Database<Raw, Raw>, Failure> {
        Ok(env.open_database(&txn, Some(name))?.ok_or_else(|| missing(name))?)
    };
    let streams = [
        height_table("relay-headers")?,
        height_table("justifications")?,
        height_table("para-heads")?,
        height_table("set-changes")?,
        height_table("para-headers")?,
        height_table("changes")?,
    ];
    let (rungs, nodes) = (height_table("rungs")?, hash_table("nodes")?);
    let (dictionaries, digests) = (hash_table("dictionaries")?, hash_table("digests")?);
    // The handles outlive the transaction only if it is committed.
    txn.commit()?;
    let tables = Tables { env, meta, streams, rungs, nodes, dictionaries, digests };
    if let Some(identity) = options.identity {
        let txn = tables.env.read_txn()?;
        if let Some(root) = read::root(&tables, &txn)? {
            root.admit(identity)?;
        }
    }
    Ok(tables)
}

/// Takes over the map size that another process has set; the caller knows that there is no transaction.
pub(super) fn adopt_map_size(tables: &Tables) -> Result<(), Failure> {
    // SAFETY: LMDB asks that no transaction is active, which is the caller's promise. Zero stands for the size in
    // the file.
    #[allow(unsafe_code, reason = "heed leaves it to the caller that no transaction is active")]
    Ok(unsafe { tables.env.resize(0) }?)
}

/// Takes the steps from format `found` to the last one.
fn migrate(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    found: u32,
    migrations: &[Migration],
) -> Result<(), Failure> {
    for migration in migrations.iter().skip(found.saturating_sub(1) as usize) {
        migration(tables, txn)?;
    }
    let known = (1 + migrations.len() as u32).to_le_bytes();
    let entry = [known, crc32c::crc32c(&known).to_le_bytes()].concat();
    if tables.meta.get(txn, meta::FORMAT)? != Some(entry.as_slice()) {
        tables.meta.put(txn, meta::FORMAT, &entry)?;
    }
    Ok(())
}

fn read_format(meta: &Database<Str, Raw>, txn: &RoTxn<'_, WithoutTls>) -> Result<Option<u32>, Failure> {
    let Some(entry) = meta.get(txn, meta::FORMAT)? else { return Ok(None) };
    let (format, sum) = entry.split_at_checked(4).unwrap_or_default();
    if crc32c::crc32c(format).to_le_bytes() != sum {
        return Err(StoreError::Broken { what: "the format of the store".to_owned() }.into());
    }
    Ok(format.try_into().ok().map(u32::from_le_bytes))
}
