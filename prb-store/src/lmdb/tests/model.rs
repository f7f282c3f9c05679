//! Random operations against an obvious oracle; both stores play.

use super::*;
use crate::MemoryStore;
use prb_core::{
    id::Hash,
    port::{NodeChange, NodeStore, StoreError},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is done to the store.
#[derive(Clone, Debug)]
enum Op {
    /// A good append.
    Grow {
        relay: u32,
        para: u32,
        changes: u32,
        closes_set: bool,
    },
    /// An append that must be refused.
    Spoil(Spoiled),
    Read {
        stream: usize,
        first: u32,
        len: u32,
        max_bytes: usize,
    },
    Rungs {
        from: u32,
        limit: usize,
    },
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Spoiled {
    Repeated,
    Skipped,
    Holed,
    NoCursor,
    StaleCursor,
    Foreign,
}

/// The store as a model: per stream what is there.
#[derive(Default)]
struct Oracle {
    items: BTreeMap<(Stream, Height), Vec<u8>>,
    rungs: BTreeMap<Height, Rung>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn stores_do_what_the_oracle_does(ops in proptest::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            play(ops.clone(), open(folder.path()), |store| {
                drop(store);
                open(folder.path())
            })
            .await;
            play(ops, MemoryStore::new(), |store| store).await;
        });
    }

    #[test]
    fn nodes_are_there_while_their_references_add_up_to_more_than_none(
        appends in proptest::collection::vec(proptest::collection::vec((0u8..6, -3i32..5), 1..8), 1..20)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            count(&appends, open(folder.path())).await;
            count(&appends, MemoryStore::new()).await;
        });
    }
}

async fn play<S: BlobStore>(ops: Vec<Op>, mut store: S, reopen: impl Fn(S) -> S) {
    let mut chain = Synthetic::new(1);
    let mut oracle = Oracle::default();
    store.append(chain.begin()).await.unwrap();
    let mut last = None;
    for op in ops {
        match op {
            Op::Grow { relay, para, changes, closes_set } => {
                let mut append = chain.changes(changes, 300);
                if relay > 0 {
                    append = Append { changes: append.changes, ..chain.relay(relay, para, closes_set) };
                }
                oracle.add(&append);
                store.append(append.clone()).await.unwrap();
                last = Some(append);
            }
            Op::Spoil(how) => {
                let Some(append) = spoil(how, &chain, last.as_ref()) else { continue };
                let refused = store.append(append).await;
                match how {
                    Spoiled::Repeated | Spoiled::Skipped | Spoiled::Holed => {
                        assert!(matches!(refused, Err(StoreError::Gap { .. })), "{how:?}: {refused:?}");
                    }
                    Spoiled::NoCursor | Spoiled::StaleCursor => {
                        assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "{how:?}: {refused:?}");
                    }
                    Spoiled::Foreign => {
                        assert!(matches!(refused, Err(StoreError::ForeignChain { .. })), "{refused:?}");
                    }
                }
            }
            Op::Read { stream, first, len, max_bytes } => {
                let span = Span::new(Height(first), Height(first + len)).unwrap();
                let stream = Stream::ALL[stream];
                let answer = store.read(stream, span, max_bytes).await.unwrap();
                assert_eq!(answer, oracle.read(stream, span, max_bytes), "{stream} {span} {max_bytes}");
            }
            Op::Rungs { from, limit } => {
                let answer = store.rungs(Height(from), limit).await.unwrap();
                let expected: Vec<_> = oracle.rungs.range(Height(from)..).map(|(_, rung)| *rung).collect();
                assert_eq!(answer, expected[..limit.min(expected.len())]);
            }
            Op::Reopen => store = reopen(store),
        }
        assert_eq!(store.cursor().await.unwrap().as_ref(), Some(chain.cursor()));
        let coverage = store.coverage().await.unwrap().unwrap();
        for (stream, span) in [
            (Stream::RelayHeaders, coverage.relay),
            (Stream::ParaHeaders, coverage.para),
            (Stream::Changes, coverage.changes),
        ] {
            assert_eq!(span, oracle.span(stream), "{stream}");
        }
    }
}

impl Oracle {
    fn add(&mut self, append: &Append) {
        use codec::Encode;
        let mut put = |stream, height, bytes: Vec<u8>| self.items.insert((stream, height), bytes);
        for blob in &append.para_headers {
            put(Stream::ParaHeaders, blob.height, blob.bytes.to_vec());
        }
        for blob in &append.changes {
            put(Stream::Changes, blob.height, blob.bytes.to_vec());
        }
        let Some(relay) = &append.relay else { return };
        for blob in &relay.headers {
            put(Stream::RelayHeaders, blob.height, blob.bytes.to_vec());
        }
        let open: Vec<_> = self.rungs.values().filter(|rung| !rung.closes_set).map(|rung| rung.at).collect();
        for at in open {
            self.rungs.remove(&at);
            self.items.retain(|(stream, height), _| {
                matches!(stream, Stream::RelayHeaders | Stream::ParaHeaders | Stream::Changes)
                    || *height != at
            });
        }
        let at = relay.headers.last().unwrap().height;
        let para = relay.para_head.as_ref().map(|head| head.number);
        self.rungs.insert(at, Rung { at, para, closes_set: relay.closes_set });
        self.items.insert((Stream::Justifications, at), relay.justification.to_vec());
        if let Some(head) = &relay.para_head {
            self.items.insert((Stream::ParaHeads, at), head.encode());
        }
        if let Some(change) = &relay.set_change {
            self.items.insert((Stream::SetChanges, at), change.to_vec());
        }
    }

    fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Vec<Blob> {
        let sparse = matches!(stream, Stream::Justifications | Stream::ParaHeads | Stream::SetChanges);
        let (mut blobs, mut bytes) = (Vec::new(), 0);
        for height in span.heights() {
            match self.items.get(&(stream, height)) {
                Some(item) if blobs.is_empty() || bytes + item.len() <= max_bytes => {
                    bytes += item.len();
                    blobs.push(Blob { height, bytes: item.clone().into() });
                }
                None if sparse => {}
                _ => break,
            }
        }
        blobs
    }

    fn span(&self, stream: Stream) -> Option<Span> {
        let heights: Vec<_> = self.items.keys().filter(|key| key.0 == stream).map(|key| key.1).collect();
        Span::new(*heights.first()?, *heights.last()?)
    }
}

/// An append that must be refused, if one can be made here.
fn spoil(how: Spoiled, chain: &Synthetic, last: Option<&Append>) -> Option<Append> {
    let mut next = chain.clone();
    match how {
        Spoiled::Repeated => last.filter(|last| last.relay.is_some() || !last.changes.is_empty()).cloned(),
        Spoiled::Skipped => {
            let _ = next.relay(1, 1, false);
            Some(next.relay(1, 1, false))
        }
        Spoiled::Holed => {
            let mut append = next.changes(3, 20);
            append.changes.remove(1);
            Some(append)
        }
        Spoiled::NoCursor => Some(Append { cursor: None, ..next.relay(1, 1, true) }),
        Spoiled::StaleCursor => {
            Some(Append { cursor: Some(chain.cursor().clone()), ..next.relay(1, 1, false) })
        }
        Spoiled::Foreign => {
            Some(Append { genesis: Synthetic::new(2).begin().genesis, ..next.relay(1, 1, false) })
        }
    }
}

async fn count<S: BlobStore + NodeStore>(appends: &[Vec<(u8, i32)>], store: S) {
    let mut chain = Synthetic::new(1);
    chain.keep_state(true);
    store.append(chain.begin()).await.unwrap();
    let mut oracle = BTreeMap::<u8, i32>::new();
    for changes in appends {
        let mut after = oracle.clone();
        for (number, references) in changes {
            *after.entry(*number).or_default() += references;
        }
        let nodes = changes.iter().map(|(number, references)| node(*number, *references)).collect();
        match store.append(chain.nodes(nodes)).await {
            Ok(()) => oracle = after,
            Err(StoreError::Inconsistent(_)) => assert!(after.values().any(|count| *count < 0)),
            Err(error) => panic!("{error}"),
        }
        for number in 0..6 {
            let count = oracle.get(&number).copied().unwrap_or(0);
            assert!(count >= 0, "what adds up to less than none is refused");
            let expected = (count > 0).then(|| node(number, 1).node.unwrap());
            assert_eq!(store.node(&node(number, 0).hash).unwrap(), expected);
        }
    }
}

fn node(number: u8, references: i32) -> NodeChange {
    let node = vec![number; 30 + usize::from(number) * 400];
    NodeChange { hash: Hash([number; 32]), references, node: (references > 0).then(|| node.into()) }
}

fn op() -> impl Strategy<Value = Op> {
    let grow = (0u32..5, 0u32..4, 0u32..4, any::<bool>())
        .prop_map(|(relay, para, changes, closes_set)| Op::Grow { relay, para, changes, closes_set });
    let spoiled = prop_oneof![
        Just(Spoiled::Repeated),
        Just(Spoiled::Skipped),
        Just(Spoiled::Holed),
        Just(Spoiled::NoCursor),
        Just(Spoiled::StaleCursor),
        Just(Spoiled::Foreign),
    ];
    let read = (0..Stream::ALL.len(), prop_oneof![0u32..20, 95u32..140], 0u32..30, 0usize..3000)
        .prop_map(|(stream, first, len, max_bytes)| Op::Read { stream, first, len, max_bytes });
    prop_oneof![
        6 => grow,
        2 => spoiled.prop_map(Op::Spoil),
        4 => read,
        1 => (90u32..140, 0usize..5).prop_map(|(from, limit)| Op::Rungs { from, limit }),
        1 => Just(Op::Reopen),
    ]
}
