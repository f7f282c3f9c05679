//! What stored data takes, on real storage changes and on headers and justifications of real shape. Prints the
//! figures; `--nocapture` shows them.
//!
//! The real data is found through `PRB_TEST_DATA` (default: `../shared/data` beside the workspace).
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use codec::Encode;
use prb_core::{
    id::Height,
    port::{Append, Blob, BlobStore, RelayAppend, Stream},
    span::Span,
    testkit::conform::store::Synthetic,
    types::sync::{StorageChanges, StorageCollection},
};
use prb_store::{LmdbOptions, LmdbStore, Part, Tally};
use std::{io::Read, path::PathBuf};

#[tokio::test]
async fn real_storage_changes_take_at_most_45_percent() {
    let Some(blocks) = real_changes() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, true);
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    // One append per block, as at the tip.
    for block in &blocks {
        let mut append = chain.changes(1, 0);
        append.changes[0].bytes = block.clone().into();
        store.append(append).await.unwrap();
    }

    let (changes, dictionaries) = (tally(&store, Part::Stream(Stream::Changes)), dictionary_bytes(&store));
    let ratio = (changes.stored_bytes + dictionaries) as f64 / changes.plain_bytes as f64;
    eprintln!(
        "real changes: {} blocks, {} bytes as they travel, {} stored and {dictionaries} of dictionaries: {:.1} %",
        changes.items,
        changes.plain_bytes,
        changes.stored_bytes,
        100.0 * ratio
    );
    assert!(ratio <= 0.45, "{ratio}");
    let all = Span::new(Height(1), Height(u32::MAX)).unwrap();
    let read = store.read(Stream::Changes, all, usize::MAX).await.unwrap();
    assert!(read.iter().map(|blob| &blob.bytes).eq(&blocks));
}

/// Blocks of 38 KB that pack like real ones: alone to about 78 %, with earlier blocks to about 36 %.
#[tokio::test]
async fn large_blocks_take_at_most_45_percent_of_the_disk() {
    const BLOCKS: u32 = 800;
    let mut dice = Dice(7);
    let mut pool: Vec<Vec<u8>> = (0..220).map(|_| dice.bytes(80)).collect();
    let blocks: Vec<Vec<u8>> = (0..BLOCKS)
        .map(|_| {
            let mut changes = StorageCollection::new();
            // Blocks vary in length, so that pages are filled as they come.
            for index in 0..165 + dice.below(41) {
                let other = index + dice.below(pool.len() - index);
                pool.swap(index, other);
                let value = [dice.bytes(66), vec![0; 52]].concat();
                changes.push((pool[index].clone(), Some(value)));
            }
            StorageChanges { main_storage_changes: changes, child_storage_changes: Vec::new() }.encode()
        })
        .collect();
    let alone: usize = blocks.iter().map(|block| zstd::bulk::compress(block, 3).unwrap().len()).sum();
    let plain: usize = blocks.iter().map(Vec::len).sum();
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, true);
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    for chunk in blocks.chunks(20) {
        let mut append = chain.changes(chunk.len() as u32, 0);
        for (blob, block) in append.changes.iter_mut().zip(chunk) {
            blob.bytes = block.clone().into();
        }
        store.append(append).await.unwrap();
    }
    store.compact().await.unwrap();

    let disk = store.disk_bytes().await.unwrap();
    let (alone, ratio) = (alone as f64 / plain as f64, disk as f64 / plain as f64);
    let packed = tally(&store, Part::Stream(Stream::Changes)).stored_bytes as f64 / plain as f64;
    eprintln!(
        "made changes: {} bytes a block, {:.1} % packed alone, {:.1} % with dictionaries, {:.1} % on disk with pages \
         and dictionaries",
        plain / BLOCKS as usize,
        100.0 * alone,
        100.0 * packed,
        100.0 * ratio
    );
    assert!((0.74..0.82).contains(&alone), "packs like real blocks: {alone}");
    assert!((0.34..0.40).contains(&packed), "packs like real blocks with earlier ones: {packed}");
    assert!(ratio <= 0.45, "{ratio}");
}

#[tokio::test]
async fn relay_block_takes_at_most_800_bytes_with_1000_validators() {
    let bytes = relay_bytes(1000, 600, 4).await;
    assert!(bytes <= 800.0, "{bytes}");
}

#[tokio::test]
async fn relay_block_takes_at_most_450_bytes_with_300_validators_and_long_sets() {
    let bytes = relay_bytes(300, 2400, 2).await;
    assert!(bytes <= 450.0, "{bytes}");
}

/// Bytes on disk per relay block, all that belongs to it included.
async fn relay_bytes(validators: usize, set: u32, sets: u32) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, true);
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    let mut dice = Dice(3);
    let ids: Vec<Vec<u8>> = (0..validators).map(|_| dice.bytes(32)).collect();
    let mut parent = dice.bytes(32);
    for _ in 0..sets {
        let append = chain.relay(set, 0, true);
        let relay = append.relay.as_ref().unwrap();
        let headers = relay.headers.iter().map(|blob| {
            let bytes = header(&mut dice, &parent, blob.height);
            parent = dice.bytes(32);
            Blob { height: blob.height, bytes: bytes.into() }
        });
        let headers: Vec<_> = headers.collect();
        let last = headers.last().unwrap().height;
        let relay = RelayAppend {
            justification: justification(&mut dice, &ids, last).into(),
            set_change: Some(set_change(&mut dice, &ids).into()),
            headers,
            ..relay.clone()
        };
        store.append(Append { relay: Some(relay), ..append }).await.unwrap();
    }
    store.compact().await.unwrap();
    let disk = store.disk_bytes().await.unwrap() as f64 / f64::from(set * sets);
    let headers = tally(&store, Part::Stream(Stream::RelayHeaders));
    eprintln!(
        "{validators} validators, sets of {set}: {disk:.0} bytes of disk per relay block; headers {} plain, {} stored",
        headers.plain_bytes / headers.items,
        headers.stored_bytes / headers.items
    );
    disk
}

/// A relay header: three hashes, number, and a digest of a BABE pre-runtime digest with its VRF and a seal.
fn header(dice: &mut Dice, parent: &[u8], height: Height) -> Vec<u8> {
    let mut bytes = parent.to_vec();
    bytes.extend(codec::Compact(height.0).encode());
    bytes.extend(dice.bytes(64));
    bytes.push(2 << 2);
    bytes.extend(b"\x06BABE");
    let claim = [vec![1], dice.bytes(2), vec![0; 2], vec![8, 9, 5, 16, 0, 0, 0, 0], dice.bytes(96)].concat();
    bytes.extend(claim.encode());
    bytes.extend(b"\x05BABE");
    bytes.extend(dice.bytes(64).encode());
    bytes
}

/// A justification signed by two thirds and one of `ids`: round, target, and precommits.
fn justification(dice: &mut Dice, ids: &[Vec<u8>], at: Height) -> Vec<u8> {
    let votes = ids.len() * 2 / 3 + 1;
    let target = dice.bytes(32);
    let mut bytes = (1234u64, at.0).encode();
    bytes.extend(&target);
    bytes.extend(codec::Compact(votes as u32).encode());
    for id in &ids[..votes] {
        bytes.extend(&target);
        bytes.extend(at.0.encode());
        bytes.extend(dice.bytes(64));
        bytes.extend(id);
    }
    bytes.push(0);
    bytes
}

/// An authority-set change: the list, and a read proof that holds the list once more.
fn set_change(dice: &mut Dice, ids: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<(Vec<u8>, u64)> = ids.iter().map(|id| (id.clone(), 1)).collect();
    let list: Vec<u8> = list.iter().flat_map(|(id, weight)| [id.clone(), weight.encode()].concat()).collect();
    let path: Vec<Vec<u8>> = (0..6).map(|_| dice.bytes(400)).collect();
    (list.clone(), 7u64, list, path).encode()
}

fn open(folder: &tempfile::TempDir, compress: bool) -> LmdbStore {
    LmdbStore::open(folder.path(), LmdbOptions { compress, ..LmdbOptions::default() }).unwrap()
}

fn tally(store: &LmdbStore, part: Part) -> Tally {
    let found = store.verify(&mut |_| {}).unwrap();
    assert_eq!(found.damages, 0);
    found.tallies.into_iter().find(|tally| tally.part == part).unwrap()
}

/// What the dictionaries of storage changes take; the synthetic headers beside them have none.
fn dictionary_bytes(store: &LmdbStore) -> u64 {
    tally(store, Part::Dictionaries).stored_bytes
}

fn real_changes() -> Option<Vec<Vec<u8>>> {
    const NAME: &str = "phala-dev-storage-changes.json.gz";
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let folder = std::env::var_os("PRB_TEST_DATA").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let Ok(file) = std::fs::File::open(folder.join(NAME)) else {
        eprintln!("SKIPPED: no {NAME} in {}; set PRB_TEST_DATA", folder.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let hex = |value: &serde_json::Value| hex::decode(&value.as_str().unwrap()[2..]).unwrap();
    // The first one repeats the genesis.
    let blocks = answer["result"].as_array().unwrap().iter().skip(1);
    let encode = |block: &serde_json::Value| {
        let pairs = block["mainStorageChanges"].as_array().unwrap().iter();
        let pairs = pairs.map(|pair| (hex(&pair[0]), (!pair[1].is_null()).then(|| hex(&pair[1]))));
        let changes =
            StorageChanges { main_storage_changes: pairs.collect(), child_storage_changes: Vec::new() };
        changes.encode()
    };
    Some(blocks.map(encode).collect())
}

/// Noise from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // splitmix64, by Sebastiano Vigna.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
