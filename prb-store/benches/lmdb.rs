//! The store on disk, against copies of the same bytes in memory: `cargo bench -p prb-store --bench lmdb`.
//!
//! `prb-devnet bench data` also compares it with a bare LMDB, on changes that pack like real ones.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod timed;

use criterion::{BatchSize, Criterion, Throughput};
use prb_core::{
    id::Height,
    port::{BlobStore, Stream},
    span::Span,
    testkit::conform::store::Synthetic,
};
use prb_store::{LmdbOptions, LmdbStore};
use std::{cell::RefCell, iter};
use timed::{tell, timed};
use tokio::runtime::Runtime;

/// Blocks of storage changes added or read together.
const BLOCKS: u32 = 64;
const SIZE: usize = 38_000;
/// Appends before reading is measured.
const APPENDS: u32 = 8;

fn main() {
    let runtime = Runtime::new().unwrap();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("lmdb");
    group.sample_size(10).throughput(Throughput::Bytes(u64::from(BLOCKS) * SIZE as u64));
    for (name, compress) in [("plain", false), ("packed", true)] {
        let folder = tempfile::tempdir().unwrap();
        let options = LmdbOptions { compress, ..LmdbOptions::default() };
        let store = LmdbStore::open(folder.path(), options).unwrap();
        let chain = RefCell::new(Synthetic::new(1));
        runtime.block_on(store.append(chain.borrow().begin())).unwrap();
        let next = || {
            let mut append = chain.borrow_mut().changes(BLOCKS, 0);
            append.changes.iter_mut().for_each(|blob| blob.bytes = content(blob.height).into());
            append
        };
        for _ in 0..APPENDS {
            runtime.block_on(store.append(next())).unwrap();
        }
        let span = Span::new(Height(1), Height(BLOCKS)).unwrap();
        let read = || runtime.block_on(store.read(Stream::Changes, span, usize::MAX)).unwrap();
        let items = read();
        let copies = timed(&mut group, &format!("{name}/copy"), || {
            items.iter().map(|item| item.bytes.to_vec()).collect::<Vec<_>>()
        });
        tell(
            &format!("{name}: reading {BLOCKS} blocks"),
            timed(&mut group, &format!("{name}/read"), read),
            copies,
        );
        let mut height = 0;
        let one = timed(&mut group, &format!("{name}/read-one"), || {
            height = height * 7919 % (APPENDS * BLOCKS) + 1;
            runtime.block_on(store.read(Stream::Changes, Span::one(Height(height)), usize::MAX)).unwrap()
        });
        tell(&format!("{name}: reading one block"), one, copies / f64::from(BLOCKS));
        group.bench_function(format!("{name}/append"), |bencher| {
            bencher.iter_batched(
                next,
                |append| runtime.block_on(store.append(append)).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    criterion.final_summary();
}

/// What packs about as real changes do: a third of it comes in every block, a fifth is empty, the rest is new.
fn content(height: Height) -> Vec<u8> {
    const PART: usize = 64;
    let mut content = Vec::with_capacity(SIZE);
    for index in 0.. {
        content.extend(noise(index).take(PART));
        content.extend(noise((u64::from(height.0) << 32) | index).take(PART));
        content.extend(iter::repeat_n(0, PART / 2));
        if content.len() >= SIZE {
            return content;
        }
    }
    content
}

/// Noise from a seed.
fn noise(mut seed: u64) -> impl Iterator<Item = u8> {
    iter::repeat_with(move || {
        // splitmix64, by Sebastiano Vigna.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u8
    })
}
