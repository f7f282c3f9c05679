//! The headers-cache API, judged by decoders of its own: nothing here uses prb's types to read an answer.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use prb_core::{
    id::Height,
    port::{BlobStore, Stream},
    span::Span,
    testkit::FakeChain,
};
use prb_store::{MemoryStore, ServerOptions};
use std::sync::Arc;
use support::{Reply, Running, ingest};

/// Reads SCALE byte by byte.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn compact(&mut self) -> usize {
        let first = self.0[0];
        match first & 3 {
            0 => usize::from(self.u8() >> 2),
            1 => usize::from(u16::from_le_bytes(self.take(2).try_into().unwrap()) >> 2),
            2 => (self.u32() >> 2) as usize,
            _ => panic!("no number here is that large"),
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let count = self.compact();
        self.take(count)
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match self.u8() {
            0 => None,
            1 => Some(read(self)),
            other => panic!("{other} is no option"),
        }
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.compact()).map(|_| read(self)).collect()
    }

    fn header(&mut self) -> Header {
        let parent = self.take(32).to_vec();
        let number = self.compact() as u32;
        let (state_root, extrinsics_root) = (self.take(32).to_vec(), self.take(32).to_vec());
        let digest = self.list(|reader| {
            let kind = reader.u8();
            match kind {
                0 => drop(reader.bytes()),
                4..=6 => {
                    reader.take(4);
                    reader.bytes();
                }
                8 => {}
                other => panic!("{other} is no digest item"),
            }
            kind
        });
        Header { parent, number, state_root, extrinsics_root, digest: digest.len() }
    }

    fn authority_set(&mut self) -> (usize, u64) {
        let list = self.list(|reader| reader.take(40).len());
        (list.len(), u64::from_le_bytes(self.take(8).try_into().unwrap()))
    }

    fn block_info(&mut self) -> BlockInfo {
        let header = self.header();
        let justification = self.option(|reader| reader.bytes().to_vec());
        let para_header = self.option(|reader| (reader.u32(), reader.list(|reader| reader.bytes().to_vec())));
        let set_change = self.option(|reader| {
            let set = reader.authority_set();
            (set, reader.list(|reader| reader.bytes().to_vec()).len())
        });
        BlockInfo { header, justification, para_header, set_change }
    }

    fn changes(&mut self) -> usize {
        let collection = |reader: &mut Self| {
            reader
                .list(|reader| {
                    reader.bytes();
                    reader.option(|reader| reader.bytes().len());
                })
                .len()
        };
        let main = collection(self);
        self.list(|reader| {
            reader.bytes();
            collection(reader)
        });
        main
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{} bytes left over", self.0.len());
    }
}

#[derive(Debug, PartialEq)]
struct Header {
    parent: Vec<u8>,
    number: u32,
    state_root: Vec<u8>,
    extrinsics_root: Vec<u8>,
    digest: usize,
}

#[derive(Debug, PartialEq)]
struct BlockInfo {
    header: Header,
    justification: Option<Vec<u8>>,
    para_header: Option<(u32, Vec<Vec<u8>>)>,
    set_change: Option<((usize, u64), usize)>,
}

/// A chain from block 100 with a set change every 10 relay blocks, and a server of it.
async fn served(blocks: u32, options: ServerOptions) -> (FakeChain, Arc<MemoryStore>, Running) {
    let chain = FakeChain::builder(3).padding(300).build();
    chain.advance(blocks);
    let store = Arc::new(MemoryStore::new());
    ingest(&chain, store.clone()).await;
    let running = Running::start(store.clone(), options).await;
    (chain, store, running)
}

async fn item(store: &MemoryStore, stream: Stream, at: u32) -> Option<Vec<u8>> {
    let found = store.read(stream, Span::one(Height(at)), usize::MAX).await.unwrap();
    found.first().map(|blob| blob.bytes.to_vec())
}

fn binary(reply: &Reply) {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    assert!(reply.header("x-cost-time").unwrap().parse::<u64>().is_ok());
}

#[tokio::test]
async fn headers_come_up_to_the_next_justification() {
    let (chain, store, running) = served(35, ServerOptions::default()).await;
    let changes: Vec<u32> = chain.set_changes().iter().map(|height| height.0).collect();
    assert!(changes.len() >= 3, "{changes:?}");
    let tip = chain.tips().relay.0;
    let mut start = 101;
    let mut seen = Vec::new();
    while start <= tip {
        let reply = running.get(&format!("/headers/{start}")).await;
        binary(&reply);
        let mut reader = Reader(&reply.body);
        let blocks = reader.list(Reader::block_info);
        reader.end();
        let (last, before) = blocks.split_last().unwrap();
        for (block, number) in before.iter().zip(start..) {
            assert_eq!(block.header.number, number);
            assert_eq!((&block.justification, &block.para_header, &block.set_change), (&None, &None, &None));
        }
        let at = last.header.number;
        assert_eq!(last.justification, item(&store, Stream::Justifications, at).await, "{at}");
        let head = item(&store, Stream::ParaHeads, at).await.unwrap();
        let (number, proof) = last.para_header.as_ref().unwrap();
        assert_eq!(head[..4], number.to_le_bytes());
        assert!(!proof.is_empty());
        let closes = changes.contains(&at);
        assert_eq!(last.set_change.is_some(), closes, "{at}");
        seen.push(at);
        start = at + 1;
    }
    changes.iter().for_each(|change| assert!(seen.contains(change), "{change} in {seen:?}"));
    assert_eq!(seen.last(), Some(&tip));
    // From inside a batch only the rest of it comes.
    let reply = running.get(&format!("/headers/{}", changes[0])).await;
    assert_eq!(Reader(&reply.body).list(Reader::block_info).len(), 1);
    for missing in [tip + 1, 100, 0, u32::MAX] {
        let reply = running.get(&format!("/headers/{missing}")).await;
        assert_eq!((reply.status, reply.body.len()), (404, 0), "{missing}");
    }
}

#[tokio::test]
async fn a_single_record_is_the_same_as_in_the_list() {
    let (chain, store, running) = served(25, ServerOptions::default()).await;
    let change = chain.set_changes()[0].0;
    for number in [101, change - 1, change, chain.tips().relay.0] {
        let reply = running.get(&format!("/header/{number}")).await;
        binary(&reply);
        let mut reader = Reader(&reply.body);
        let block = reader.block_info();
        reader.end();
        assert_eq!(block.header.number, number);
        assert_eq!(block.justification, item(&store, Stream::Justifications, number).await);
        let header = item(&store, Stream::RelayHeaders, number).await.unwrap();
        assert_eq!(reply.body[..header.len()], header, "the exact bytes");
    }
    for missing in ["100", "99999", "x", "-1", "4294967296"] {
        let reply = running.get(&format!("/header/{missing}")).await;
        assert_eq!(reply.status, 404, "{missing}");
    }
    assert!(!running.get("/header/99999").await.body.is_empty(), "a short text");
}

#[tokio::test]
async fn the_genesis_is_there_at_its_number_only() {
    let (chain, _, running) = served(5, ServerOptions::default()).await;
    let reply = running.get("/genesis/100").await;
    binary(&reply);
    let mut reader = Reader(&reply.body);
    let header = reader.header();
    let (_, set_id) = reader.authority_set();
    let proof = reader.list(|reader| reader.bytes().to_vec());
    reader.end();
    assert_eq!(header.number, 100);
    assert_eq!(set_id, chain.genesis().relay.authority_set.id);
    assert_eq!(proof, chain.genesis().relay.proof);
    let reply = running.get("/genesis/101").await;
    assert_eq!(reply.status, 404);
    assert!(!reply.body.is_empty(), "a short text");
}

#[tokio::test]
async fn parachain_records_come_all_or_not_at_all() {
    let (chain, _, running) = served(35, ServerOptions::default()).await;
    let last = chain.tips().para.0;
    let reply = running.get(&format!("/parachain-headers/0/{}", last + 1)).await;
    binary(&reply);
    let mut reader = Reader(&reply.body);
    let headers = reader.list(Reader::header);
    reader.end();
    assert_eq!(headers.len() as u32, last + 1);
    assert!(headers.iter().zip(0..).all(|(header, number)| header.number == number));

    let reply = running.get(&format!("/storage-changes/1/{last}")).await;
    binary(&reply);
    let mut reader = Reader(&reply.body);
    let blocks = reader.list(|reader| (reader.header(), reader.changes()));
    reader.end();
    assert_eq!(blocks.len() as u32, last);
    for ((dummy, changes), real) in blocks.iter().zip(&headers[1..]) {
        assert_eq!((dummy.number, &dummy.state_root), (real.number, &real.state_root));
        assert_eq!((&dummy.parent, &dummy.extrinsics_root, dummy.digest), (&vec![0; 32], &vec![0; 32], 0));
        assert!(*changes > 0);
    }
    for (path, status) in [
        (format!("/parachain-headers/0/{}", last + 2), 404),
        (format!("/parachain-headers/{}/1", last + 1), 404),
        (format!("/storage-changes/1/{}", last + 1), 404),
        ("/parachain-headers/4294967295/2".to_owned(), 404),
        ("/parachain-headers/1".to_owned(), 404),
        ("/parachain-headers/1/0".to_owned(), 200),
        ("/storage-changes/1/0".to_owned(), 200),
    ] {
        let reply = running.get(&path).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.body == [0], status == 200, "{path}");
    }
}

#[tokio::test]
async fn the_changes_of_block_0_are_the_first_state() {
    let (chain, store, running) = served(12, ServerOptions::default()).await;
    let reply = running.get("/storage-changes/0/3").await;
    binary(&reply);
    let mut reader = Reader(&reply.body);
    assert_eq!(reader.compact(), 3);
    let header = reader.header();
    assert_eq!((header.number, &header.parent, header.digest), (0, &vec![0; 32], 0));
    assert_eq!(header.state_root, chain.genesis().para_header.state_root.0);
    let pairs = reader.list(|reader| {
        let key = reader.bytes().to_vec();
        (key, reader.option(|reader| reader.bytes().to_vec()).unwrap())
    });
    assert_eq!(reader.compact(), 0, "no child tries");
    let state = chain.genesis().para_state;
    let mut expected = Reader(&state);
    assert_eq!(pairs, expected.list(|reader| (reader.bytes().to_vec(), reader.bytes().to_vec())));
    expected.end();
    for number in [1, 2] {
        assert_eq!(reader.header().number, number);
        let changes = item(&store, Stream::Changes, number).await.unwrap();
        assert_eq!(reader.take(changes.len()), changes);
    }
    reader.end();
}

#[tokio::test]
async fn what_exceeds_the_limit_of_an_answer_is_refused() {
    let options = ServerOptions { response_bytes: 2000, ..ServerOptions::default() };
    let (_, _, running) = served(35, options).await;
    assert_eq!(running.get("/storage-changes/1/2").await.status, 200);
    let reply = running.get("/storage-changes/1/12").await;
    assert_eq!(reply.status, 413);
    assert!(String::from_utf8(reply.body).unwrap().contains("fewer blocks"));
}

#[tokio::test]
async fn the_state_is_the_originals_json() {
    let (chain, _, running) = served(35, ServerOptions::default()).await;
    let reply = running.get("/state").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
    let state: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(state["genesis"], serde_json::json!([100]));
    for key in ["recent_imported", "higest", "checked"] {
        assert_eq!(state[key]["header"], chain.tips().relay.0, "{key}");
        assert_eq!(state[key]["para_header"], chain.tips().para.0, "{key}");
        assert_eq!(state[key]["storage_changes"], chain.tips().para.0, "{key}");
    }
    assert!(reply.body.windows(5).any(|five| five == b"\n    "), "pretty");

    let empty = Running::start(Arc::new(MemoryStore::new()), ServerOptions::default()).await;
    let state: serde_json::Value = serde_json::from_slice(&empty.get("/state").await.body).unwrap();
    assert_eq!(state["genesis"], serde_json::json!([]));
    assert!(state["higest"]["header"].is_null());
    for path in ["/genesis/100", "/header/1", "/headers/1", "/parachain-headers/0/1", "/storage-changes/1/1"]
    {
        assert_eq!(empty.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_standalone_chain_has_its_state_roots_in_its_own_headers() {
    let chain = FakeChain::builder(5).solo().build();
    chain.advance(12);
    let store = Arc::new(MemoryStore::new());
    ingest(&chain, store.clone()).await;
    let running = Running::start(store.clone(), ServerOptions::default()).await;
    let reply = running.get("/storage-changes/1/12").await;
    binary(&reply);
    let mut reader = Reader(&reply.body);
    let blocks = reader.list(|reader| (reader.header(), reader.changes()));
    reader.end();
    for ((dummy, _), number) in blocks.iter().zip(1..) {
        let header = item(&store, Stream::RelayHeaders, number).await.unwrap();
        assert_eq!(dummy.state_root, Reader(&header).header().state_root);
    }
    assert_eq!(running.get("/parachain-headers/0/1").await.status, 404);
}
