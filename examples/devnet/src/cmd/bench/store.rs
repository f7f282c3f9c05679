//! The store, against `memcpy` and a bare LMDB that keeps the same values.

use super::{
    Scale,
    report::Report,
    tape::{Replay, Tape},
    world::content::Dice,
};
use heed::{
    Database, Env, EnvOpenOptions, PutFlags,
    byteorder::BE,
    types::{Bytes as Raw, U32},
};
use prb_chain::verify::CryptoVerifier;
use prb_core::{
    Bytes,
    id::Height,
    port::{Append, Blob, BlobStore, Stream},
    span::Span,
};
use prb_store::{LmdbOptions, LmdbStore};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Items that are added or read together.
const TOGETHER: u32 = 64;

pub(super) async fn run(
    scale: &Scale,
    folder: &Path,
    tape: &Arc<Tape>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let items = tape.changes();
    let bytes: usize = items.iter().map(Bytes::len).sum();
    report.part(&format!(
        "store: {} items of {} bytes, {TOGETHER} together",
        items.len(),
        bytes / items.len()
    ));
    let memcpy = copied(&items);
    let bare = Bare::open(&folder.join("bare"))?;
    let begun = Instant::now();
    bare.append(&items)?;
    let bare_append = begun.elapsed();

    let mut packed = None;
    for (name, compress) in [("plain", false), ("packed", true)] {
        let options = LmdbOptions { compress, ..LmdbOptions::default() };
        let store = LmdbStore::open(folder.join(format!("store-{name}")), options)?;
        let append = appended(&store, tape, &items).await?;
        let (sequential, random) =
            (sequential(&store, items.len()).await?, random(&store, scale, items.len()).await?);
        for (what, time, base, count) in [
            ("append", append, bare_append, bytes),
            ("sequential_read", sequential, bare.sequential(items.len())?, bytes),
            (
                "random_read",
                random,
                bare.random(scale, items.len())?,
                bytes / items.len() * scale.reads as usize,
            ),
        ] {
            let (rate, base, copy) = (mb_per_s(count, time), mb_per_s(count, base), mb_per_s(bytes, memcpy));
            report.say(&format!(
                "{what}, {name}: {rate:.0} MB/s, bare LMDB {base:.0} MB/s, ratio {:.2}; to memcpy ({copy:.0} MB/s) {:.3}",
                rate / base,
                rate / copy
            ));
            report.note(&format!("store.{name}.{what}_mb_per_s"), rate);
            report.note(&format!("store.{name}.{what}_to_lmdb"), rate / base);
            report.note(&format!("store.{name}.{what}_to_memcpy"), rate / copy);
        }
        packed = Some(store);
    }
    if let Some(store) = packed {
        store.close().await?;
    }
    Ok(())
}

/// Time to append all items. Headers are there before, so that only the items are measured.
async fn appended(store: &LmdbStore, tape: &Arc<Tape>, items: &[Bytes]) -> anyhow::Result<Duration> {
    let source = Arc::new(Replay::headers_only(tape.clone()));
    let verifier = Box::new(CryptoVerifier::without_state());
    let mut ingest = super::ingest::ingest_of(source, Arc::new(store.clone()), verifier);
    let mut cursor = loop {
        // Each step but the first fails for want of storage changes, and stores headers all the same.
        let stepped = ingest.step().await;
        let cursor = store.cursor().await?.filter(|cursor| cursor.relay.height >= tape.tips().relay);
        match (cursor, stepped) {
            (Some(cursor), _) => break cursor,
            (None, Ok(false)) => anyhow::bail!("the tape has no more headers"),
            (None, _) => {}
        }
    };
    let begun = Instant::now();
    for chunk in items.chunks(TOGETHER as usize) {
        let first = cursor.changes.0 + 1;
        let changes: Vec<Blob> = (first..)
            .zip(chunk)
            .map(|(height, bytes)| Blob { height: Height(height), bytes: bytes.clone() })
            .collect();
        cursor.changes = Height(cursor.changes.0 + chunk.len() as u32);
        store.append(Append { changes, cursor: Some(cursor.clone()), ..Append::default() }).await?;
    }
    Ok(begun.elapsed())
}

async fn sequential(store: &LmdbStore, items: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut rest = Span::new(Height(1), Height(items as u32));
    while let Some(span) = rest {
        let blobs = store.read(Stream::Changes, span.take(TOGETHER), usize::MAX).await?;
        rest = span.skip(blobs.len() as u32);
    }
    Ok(begun.elapsed())
}

async fn random(store: &LmdbStore, scale: &Scale, items: usize) -> anyhow::Result<Duration> {
    let mut dice = Dice(5);
    let begun = Instant::now();
    for _ in 0..scale.reads {
        let at = Height(1 + dice.below(items as u32));
        store.read(Stream::Changes, Span::one(at), usize::MAX).await?;
    }
    Ok(begun.elapsed())
}

/// Time to copy all items once, into memory of their own.
fn copied(items: &[Bytes]) -> Duration {
    let begun = Instant::now();
    for item in items {
        std::hint::black_box(item.to_vec());
    }
    begun.elapsed()
}

fn mb_per_s(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

/// LMDB and nothing else: plain values by number, commits as durable as the store's.
struct Bare {
    env: Env,
    table: Database<U32<BE>, Raw>,
}

impl Bare {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(16 << 30).max_dbs(1);
        // SAFETY: the file is in a folder of this process alone, and opened once.
        #[allow(unsafe_code, reason = "heed leaves it to the caller that nobody changes the file")]
        let env = unsafe { options.open(folder)? };
        let mut txn = env.write_txn()?;
        let table = env.create_database(&mut txn, Some("items"))?;
        txn.commit()?;
        Ok(Self { env, table })
    }

    fn append(&self, items: &[Bytes]) -> anyhow::Result<()> {
        let mut height = 0;
        for chunk in items.chunks(TOGETHER as usize) {
            let mut txn = self.env.write_txn()?;
            for item in chunk {
                height += 1;
                self.table.put_with_flags(&mut txn, PutFlags::APPEND, &height, item)?;
            }
            txn.commit()?;
        }
        Ok(())
    }

    fn sequential(&self, items: usize) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut next = 1;
        while next <= items as u32 {
            let txn = self.env.read_txn()?;
            let range = self.table.range(&txn, &(next..next + TOGETHER))?;
            let read: Vec<Vec<u8>> =
                range.map(|item| item.map(|(_, value)| value.to_vec())).collect::<Result<_, _>>()?;
            std::hint::black_box(read);
            next += TOGETHER;
        }
        Ok(begun.elapsed())
    }

    fn random(&self, scale: &Scale, items: usize) -> anyhow::Result<Duration> {
        let mut dice = Dice(5);
        let begun = Instant::now();
        for _ in 0..scale.reads {
            let txn = self.env.read_txn()?;
            let value = self.table.get(&txn, &(1 + dice.below(items as u32)))?;
            std::hint::black_box(value.map(<[u8]>::to_vec));
        }
        Ok(begun.elapsed())
    }
}
