//! Record files of headers-cache.
#![allow(clippy::unwrap_used, missing_docs)]

use codec::{Decode, Encode};
use prb_core::pipeline::{
    events::Announcer,
    ingest::{Ingest, IngestOptions},
};
use prb_core::{
    id::Height,
    port::{BlobStore, Stream},
    span::Span,
    testkit::{FakeChain, FakeSource, ToyVerifier},
    types::{header::Header, sync::GenesisBlockInfo},
};
use prb_store::{
    MemoryStore,
    records::{self, Kind, Records, RecordsError, RelayRecord},
};
use std::{fs, path::Path, sync::Arc};

async fn filled(blocks: u32) -> (FakeChain, Arc<MemoryStore>) {
    let chain = FakeChain::builder(1).build();
    chain.advance(blocks);
    let store = Arc::new(MemoryStore::new());
    follow(&chain, &store).await;
    (chain, store)
}

async fn follow(chain: &FakeChain, store: &Arc<MemoryStore>) {
    let source = Arc::new(FakeSource::new(chain));
    let verifier = Box::new(ToyVerifier::new());
    let mut ingest =
        Ingest::new(source, store.clone(), verifier, IngestOptions::default(), Announcer::default());
    while ingest.step().await.unwrap() {}
}

/// Records of a file, taken apart by hand.
fn by_hand(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut records) = (bytes.as_slice(), Vec::new());
    while let Some((len, tail)) = rest.split_first_chunk::<4>() {
        let (record, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
        records.push(record.to_vec());
        rest = tail;
    }
    records
}

#[tokio::test]
async fn files_are_what_headers_cache_reads_and_are_continued() {
    let (chain, store) = filled(60).await;
    let root = tempfile::tempdir().unwrap();
    let done = records::export(&*store, root.path(), &mut |_, _, _, _| {}).await.unwrap();
    assert!(done.records > 60);
    let genesis = store.genesis().await.unwrap().unwrap();
    let written = fs::read(root.path().join("genesis.bin")).unwrap();
    assert_eq!(
        GenesisBlockInfo::decode(&mut written.as_slice()).unwrap(),
        genesis.relay,
        "bare, without a length"
    );

    let mut last_set = None;
    for (index, record) in by_hand(&root.path().join("headers.bin")).iter().enumerate() {
        let mut rest = record.as_slice();
        let header = Header::decode(&mut rest).unwrap();
        assert_eq!(header.number, genesis.start().height.0 + 1 + index as u32);
        type Tail =
            (Option<Vec<u8>>, Option<(u32, Vec<Vec<u8>>)>, Option<(Vec<([u8; 32], u64)>, u64, Vec<Vec<u8>>)>);
        let (justification, head, _) = Tail::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(justification.is_some(), header.scheduled_change().is_some(), "one per set");
        if justification.is_some() {
            last_set = head.map(|(number, _)| number);
        }
    }
    let para = by_hand(&root.path().join("parachain-headers.bin"));
    assert_eq!(para.len() as u32, last_set.unwrap() + 1);
    let changes = by_hand(&root.path().join("storage-changes.bin"));
    assert_eq!(changes.len() as u32, last_set.unwrap());
    for (index, (record, header)) in changes.iter().zip(&para[1..]).enumerate() {
        let (found, header) = (
            Header::decode(&mut record.as_slice()).unwrap(),
            Header::decode(&mut header.as_slice()).unwrap(),
        );
        assert_eq!((found.number, found.state_root), (header.number, header.state_root));
        let stored = store.read(Stream::Changes, Span::one(Height(index as u32 + 1)), 0).await.unwrap();
        assert_eq!(record[found.encoded_size()..], stored[0].bytes);
    }

    // Cut in the middle of a record, as a kill may leave it; then there is more.
    let path = root.path().join("headers.bin");
    let before = fs::read(&path).unwrap();
    fs::write(&path, &before[..before.len() - 3]).unwrap();
    chain.advance(40);
    follow(&chain, &store).await;
    records::export(&*store, root.path(), &mut |_, _, _, _| {}).await.unwrap();
    let after = fs::read(&path).unwrap();
    assert!(after.len() > before.len() && after.starts_with(&before));
    let fresh = tempfile::tempdir().unwrap();
    records::export(&*store, fresh.path(), &mut |_, _, _, _| {}).await.unwrap();
    for name in ["genesis.bin", "headers.bin", "parachain-headers.bin", "storage-changes.bin"] {
        assert!(
            fs::read(root.path().join(name)).unwrap() == fs::read(fresh.path().join(name)).unwrap(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_folder_that_is_in_use_or_of_an_unknown_chain_is_left_alone() {
    let (_, store) = filled(60).await;
    let root = tempfile::tempdir().unwrap();
    records::export(&*store, root.path(), &mut |_, _, _, _| {}).await.unwrap();
    let headers = fs::read(root.path().join("headers.bin")).unwrap();
    let lock = fs::File::open(root.path().join(".export.lock")).unwrap();
    lock.lock().unwrap();
    let refused = records::export(&*store, root.path(), &mut |_, _, _, _| {}).await;
    assert!(matches!(refused, Err(RecordsError::Busy { .. })), "{refused:?}");
    drop(lock);
    records::export(&*store, root.path(), &mut |_, _, _, _| {}).await.unwrap();

    fs::remove_file(root.path().join("genesis.bin")).unwrap();
    let refused = records::export(&*store, root.path(), &mut |_, _, _, _| {}).await;
    assert!(matches!(refused, Err(RecordsError::Unnamed { .. })), "{refused:?}");
    assert!(!root.path().join("genesis.bin").exists());
    assert!(fs::read(root.path().join("headers.bin")).unwrap() == headers);
}

#[tokio::test]
async fn records_are_found_in_whole_and_in_split_files() {
    let (_, store) = filled(60).await;
    let root = tempfile::tempdir().unwrap();
    records::export(&*store, root.path(), &mut |_, _, _, _| {}).await.unwrap();
    let whole = Records::open(root.path(), Kind::Headers).unwrap();
    let span = whole.span();
    let all = whole.read(span).unwrap().unwrap();
    assert_eq!(all.len() as u64, span.count());
    for record in &all {
        let decoded = RelayRecord::decode(record).unwrap();
        assert_eq!(decoded.encode(), *record);
    }

    let parts = tempfile::tempdir().unwrap();
    let records = by_hand(&root.path().join("headers.bin"));
    for (index, part) in records.chunks(17).enumerate() {
        let bytes: Vec<u8> = part
            .iter()
            .flat_map(|record| [&(record.len() as u32).to_be_bytes()[..], record].concat())
            .collect();
        // Names need not sort as numbers do.
        fs::write(parts.path().join(format!("headers.bin_{}", 9 - index)), bytes).unwrap();
    }
    let split = Records::open(parts.path(), Kind::Headers).unwrap();
    assert_eq!(split.span(), span);
    for height in span.heights() {
        let two = Span::new(height, height.next()).unwrap();
        assert_eq!(split.read(two).unwrap(), whole.read(two).unwrap());
    }
    fs::remove_file(parts.path().join("headers.bin_8")).unwrap();
    let refused = Records::open(parts.path(), Kind::Headers).unwrap_err();
    assert!(matches!(refused, RecordsError::Gap { .. }), "{refused:?}");
    let refused = Records::open(parts.path(), Kind::Changes).unwrap_err();
    assert!(matches!(refused, RecordsError::None { .. }), "{refused:?}");
}

/// X19: a length is not believed.
#[test]
fn nonsense_is_no_record_file() {
    let root = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(root.path().join("storage-changes.bin"), bytes).unwrap();
        Records::open(root.path(), Kind::Changes).unwrap_err().to_string()
    };
    assert!(refused(&[0xff; 64]).contains("claims 4294967295 bytes"));
    assert!(refused(&[0, 0, 0, 3, 1, 2, 3]).contains("no header"));
    assert!(refused(&[0, 0, 1, 0, 1, 2, 3]).contains("holds no storage-changes.bin"), "cut off: not there");
    assert!(refused(&[]).contains("headers-cache grab"));
}
