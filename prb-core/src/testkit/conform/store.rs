//! The suite of [`BlobStore`] and [`NodeStore`].
//!
//! `conform::store::blob_store(MemoryStore::new).await` is all an adapter's test needs.
//!
//! What only a store's own tests can show is left to them: that damaged bytes are found, and that a crash leaves all
//! of an append or nothing.

mod synthetic;

pub use synthetic::Synthetic;

use crate::{
    id::{Hash, Height},
    port::{Append, Blob, BlobStore, Coverage, Cursor, NodeChange, NodeStore, Rung, StoreError, Stream},
    span::Span,
};
use bytes::Bytes;
use codec::Encode;
use std::sync::Arc;
use tokio::task::yield_now;

/// Checks every clause of the contract of [`BlobStore`]; `make` opens an empty store.
pub async fn blob_store<S: BlobStore + 'static>(make: impl Fn() -> S) {
    an_empty_store_answers_nothing(&make()).await;
    the_first_append_carries_the_genesis(&make()).await;
    another_chain_is_refused(&make()).await;
    what_was_appended_is_read(&make()).await;
    gaps_and_overlaps_are_refused(&make()).await;
    contradictions_are_refused(&make()).await;
    the_open_tip_is_replaced_and_closed_sets_stay(&make()).await;
    reads_answer_a_prefix_within_their_limit(&make()).await;
    waiting_ends_with_the_next_append(Arc::new(make())).await;
    readers_see_before_or_after(Arc::new(make())).await;
}

/// Checks what [`NodeStore`] promises; `make` opens an empty store.
pub async fn node_store<S: BlobStore + NodeStore>(make: impl Fn() -> S) {
    nodes_are_counted(&make()).await;
    counts_below_zero_are_refused(&make()).await;
    a_cursor_without_state_drops_the_nodes(&make()).await;
}

/// Checks that everything is there when the store is opened again; `open` opens the same place each time, after the
/// store before was dropped.
pub async fn durable_store<S: BlobStore>(open: impl Fn() -> S) {
    let mut chain = Synthetic::new(7);
    let store = open();
    add(&store, chain.begin()).await;
    add(&store, chain.relay(5, 3, true)).await;
    add(&store, chain.relay(2, 1, false)).await;
    add(&store, chain.changes(2, 50)).await;
    let before = snapshot(&store).await;
    drop(store);

    let store = open();
    assert_eq!(snapshot(&store).await, before, "reopening changes nothing");
    assert_eq!(store.cursor().await.expect("cursor reads").as_ref(), Some(chain.cursor()));
    add(&store, chain.relay(1, 0, false)).await;
    let rungs = store.rungs(Height(0), 10).await.expect("rungs read");
    assert_eq!(heights_of(&rungs), [105, 108], "the open tip of an earlier life is replaced");
}

async fn an_empty_store_answers_nothing(store: &impl BlobStore) {
    assert!(store.genesis().await.expect("genesis reads").is_none());
    assert_eq!(store.coverage().await.expect("coverage reads"), None);
    assert_eq!(store.cursor().await.expect("cursor reads"), None);
    assert_eq!(store.rungs(Height(0), 9).await.expect("rungs read"), []);
    for stream in Stream::ALL {
        assert_eq!(heights(store, stream, 0, u32::MAX).await, [], "{stream}");
    }
}

async fn the_first_append_carries_the_genesis(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    let begin = chain.begin();
    let refused = store.append(chain.clone().relay(1, 0, false)).await;
    assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "no genesis: {refused:?}");

    add(store, begin).await;

    let genesis = store.genesis().await.expect("genesis reads");
    assert_eq!(genesis.as_deref(), Some(chain.genesis()));
    let coverage = store.coverage().await.expect("coverage reads").expect("the store has begun");
    assert_eq!(coverage.identity, chain.genesis().identity());
    assert_eq!((coverage.relay, coverage.para, coverage.changes), (None, None, None));
    assert!(coverage.parachain && !coverage.state_verified);
    chain.keep_state(true);
    add(store, chain.relay(1, 1, false)).await;
    let coverage = store.coverage().await.expect("coverage reads").expect("the store has begun");
    assert!(coverage.state_verified, "the cursor has a state");
}

async fn another_chain_is_refused(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    let before = snapshot(store).await;

    let refused = store.append(Synthetic::new(2).begin()).await;

    assert!(matches!(refused, Err(StoreError::ForeignChain { .. })), "{refused:?}");
    assert_eq!(snapshot(store).await, before);
    add(store, chain.relay(1, 1, false)).await;
}

async fn what_was_appended_is_read(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    let relay = chain.relay(3, 4, true);
    let changes = chain.changes(2, 30);
    let expected = [&relay, &changes].map(Clone::clone);
    add(store, relay).await;
    add(store, changes).await;

    let [relay, changes] = expected;
    assert_eq!(all(store, Stream::ParaHeaders).await, relay.para_headers);
    assert_eq!(all(store, Stream::Changes).await, changes.changes);
    let relay = relay.relay.expect("made with a relay part");
    let one = |bytes: Bytes| vec![Blob { height: Height(103), bytes }];
    assert_eq!(all(store, Stream::RelayHeaders).await, relay.headers);
    assert_eq!(all(store, Stream::Justifications).await, one(relay.justification));
    assert_eq!(
        all(store, Stream::ParaHeads).await,
        one(relay.para_head.expect("the parachain has begun").encode().into())
    );
    assert_eq!(all(store, Stream::SetChanges).await, one(relay.set_change.expect("the set closes")));
    assert_eq!(store.cursor().await.expect("cursor reads").as_ref(), Some(chain.cursor()));
    let coverage = store.coverage().await.expect("coverage reads").expect("the store has begun");
    assert_eq!(coverage.relay, Span::new(Height(101), Height(103)));
    assert_eq!(coverage.para, Span::new(Height(0), Height(3)));
    assert_eq!(coverage.changes, Span::new(Height(1), Height(2)));
    let rungs = store.rungs(Height(0), 9).await.expect("rungs read");
    assert_eq!(rungs, [Rung { at: Height(103), para: Some(Height(3)), closes_set: true }]);
}

async fn gaps_and_overlaps_are_refused(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    let (earlier_relay, earlier_changes) = (chain.relay(2, 3, false), chain.changes(2, 10));
    add(store, earlier_relay.clone()).await;
    add(store, earlier_changes.clone()).await;
    let before = snapshot(store).await;
    let mut skipped = chain.clone();
    let (_, _) = (skipped.relay(1, 1, false), skipped.changes(1, 10));
    let (ahead_relay, ahead_changes) = (skipped.relay(1, 1, false), skipped.changes(1, 10));
    let mut holed = chain.clone().relay(3, 0, false);
    if let Some(relay) = &mut holed.relay {
        relay.headers.remove(1);
    }
    let para_only = |append: &Append| Append { relay: None, ..append.clone() };

    for (append, stream, expected, offered) in [
        (para_only(&earlier_relay), Stream::ParaHeaders, 3, 0),
        (para_only(&ahead_relay), Stream::ParaHeaders, 3, 4),
        (earlier_relay, Stream::RelayHeaders, 103, 101),
        (ahead_relay, Stream::RelayHeaders, 103, 104),
        (holed, Stream::RelayHeaders, 104, 105),
        (earlier_changes, Stream::Changes, 3, 1),
        (ahead_changes, Stream::Changes, 3, 4),
    ] {
        match store.append(append).await {
            Err(StoreError::Gap { stream: named, expected: next, offered: first }) => {
                assert_eq!((named, next.0, first.0), (stream, expected, offered));
            }
            other => panic!("{stream}: expected a gap at {expected}, got {other:?}"),
        }
        assert_eq!(snapshot(store).await, before, "a refused append leaves nothing");
    }
    add(store, chain.relay(1, 1, false)).await;
    add(store, chain.changes(1, 10)).await;
}

async fn contradictions_are_refused(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    add(store, chain.relay(2, 2, false)).await;
    let before = snapshot(store).await;
    let next = chain.clone().relay(2, 1, true);
    let with = |change: fn(&mut Append)| {
        let mut append = next.clone();
        change(&mut append);
        append
    };
    let cursor = |append: &mut Append, change: fn(&mut Cursor)| {
        change(append.cursor.as_mut().expect("made with a cursor"));
    };
    let mut wrong_relay = next.clone();
    cursor(&mut wrong_relay, |cursor| cursor.relay.height = Height(103));
    let mut wrong_para = next.clone();
    cursor(&mut wrong_para, |cursor| cursor.para = None);
    let mut wrong_changes = next.clone();
    cursor(&mut wrong_changes, |cursor| cursor.changes = Height(1));

    for (what, append) in [
        ("no cursor", with(|append| append.cursor = None)),
        ("relay cursor", wrong_relay),
        ("para cursor", wrong_para),
        ("changes cursor", wrong_changes),
        ("no header", with(|append| append.relay.iter_mut().for_each(|relay| relay.headers.clear()))),
        (
            "open set change",
            with(|append| append.relay.iter_mut().for_each(|relay| relay.closes_set = false)),
        ),
        ("nodes without state", with(|append| append.nodes = vec![change(1, 1)])),
    ] {
        let refused = store.append(append).await;
        assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "{what}: {refused:?}");
        assert_eq!(snapshot(store).await, before, "{what}");
    }
    add(store, next).await;
}

async fn the_open_tip_is_replaced_and_closed_sets_stay(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    add(store, chain.relay(1, 0, false)).await;
    add(store, chain.relay(1, 1, false)).await;
    let rungs = store.rungs(Height(0), 9).await.expect("rungs read");
    assert_eq!(rungs, [Rung { at: Height(102), para: Some(Height(0)), closes_set: false }]);
    add(store, chain.relay(2, 1, true)).await;
    add(store, chain.relay(1, 0, true)).await;
    add(store, chain.relay(3, 0, false)).await;
    add(store, chain.changes(1, 10)).await;

    for stream in [Stream::Justifications, Stream::ParaHeads] {
        assert_eq!(heights(store, stream, 0, u32::MAX).await, [104, 105, 108], "{stream}");
        assert_eq!(heights(store, stream, 105, 107).await, [105], "{stream}");
    }
    assert_eq!(heights(store, Stream::SetChanges, 0, u32::MAX).await, [104, 105]);
    assert_eq!(heights_of(&store.rungs(Height(105), 9).await.expect("rungs read")), [105, 108]);
    assert_eq!(heights_of(&store.rungs(Height(0), 2).await.expect("rungs read")), [104, 105]);
    assert_eq!(heights_of(&store.rungs(Height(0), 0).await.expect("rungs read")), []);
}

async fn reads_answer_a_prefix_within_their_limit(store: &impl BlobStore) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    add(store, chain.relay(4, 6, false)).await;
    let changes = chain.changes(5, 1000);
    let len = changes.changes[0].bytes.len();
    add(store, changes).await;

    assert_eq!(heights(store, Stream::Changes, 2, 4).await, [2, 3, 4]);
    assert_eq!(heights(store, Stream::Changes, 4, 9).await, [4, 5], "what is covered of it");
    assert_eq!(heights(store, Stream::Changes, 6, 9).await, [], "nothing is covered");
    assert_eq!(heights(store, Stream::Changes, 0, 9).await, [], "the first is not covered");
    assert_eq!(heights(store, Stream::RelayHeaders, 100, 102).await, [], "the start block is not stored");
    for (max_bytes, count) in
        [(0, 1), (1, 1), (len, 1), (2 * len - 1, 1), (2 * len, 2), (5 * len, 5), (usize::MAX, 5)]
    {
        let span = Span::new(Height(1), Height(5)).expect("not empty");
        let blobs = store.read(Stream::Changes, span, max_bytes).await.expect("changes read");
        assert_eq!(blobs.len(), count, "within {max_bytes} bytes of {len} each");
    }
}

async fn waiting_ends_with_the_next_append<S: BlobStore + 'static>(store: Arc<S>) {
    let mut chain = Synthetic::new(1);
    add(&*store, chain.begin()).await;
    store.wait(None).await.expect("what is known is old");
    let known = store.coverage().await.expect("coverage reads");

    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            while store.coverage().await.expect("coverage reads") == known {
                store.wait(known).await.expect("waiting works");
            }
        }
    });
    yield_now().await;
    add(&*store, chain.relay(1, 0, false)).await;
    waiting.await.expect("the waiter ends");
}

async fn readers_see_before_or_after<S: BlobStore + 'static>(store: Arc<S>) {
    const ROUNDS: u32 = 40;
    let mut chain = Synthetic::new(1);
    add(&*store, chain.begin()).await;
    add(&*store, chain.relay(3, 3, false)).await;

    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            let mut last = 103;
            while last < 103 + 3 * ROUNDS {
                let coverage = store.coverage().await.expect("coverage reads").expect("it has begun");
                let rungs = store.rungs(Height(0), 9).await.expect("rungs read");
                let justified = heights(&*store, Stream::Justifications, 0, u32::MAX).await;
                let headers = heights(&*store, Stream::RelayHeaders, 101, u32::MAX).await;
                assert_eq!(rungs.len(), 1, "one open tip, old or new");
                assert_eq!(justified.len(), 1, "its justification, old or new");
                assert_eq!(headers.len() % 3, 0, "whole appends only");
                let covered = coverage.relay.expect("it holds headers").last().0;
                assert!(last <= covered && covered <= rungs[0].at.0, "never backwards");
                assert!(rungs[0].at.0 <= justified[0] && justified[0] as usize <= 100 + headers.len());
                last = covered;
                yield_now().await;
            }
        }
    });
    for _ in 0..ROUNDS {
        add(&*store, chain.relay(3, 1, false)).await;
        yield_now().await;
    }
    reading.await.expect("the reader ends well");
}

async fn nodes_are_counted<S: BlobStore + NodeStore>(store: &S) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    chain.keep_state(true);
    let (one, two) = (change(1, 1), change(2, 2));
    assert_eq!(store.node(&one.hash).expect("nodes read"), None);

    add(store, chain.nodes(vec![two.clone(), one.clone()])).await;
    assert_eq!(store.node(&one.hash).expect("nodes read"), one.node);
    add(store, chain.nodes(vec![change(1, -1), change(2, -1)])).await;
    assert_eq!(store.node(&one.hash).expect("nodes read"), None);
    assert_eq!(store.node(&two.hash).expect("nodes read"), two.node);
    add(store, chain.nodes(vec![change(2, -2), change(2, 3)])).await;
    assert_eq!(store.node(&two.hash).expect("nodes read"), two.node, "changes of one append add up");
    add(store, chain.nodes(vec![change(2, -2)])).await;
    assert_eq!(store.node(&two.hash).expect("nodes read"), None);
    add(store, chain.nodes(vec![change(3, 1), change(3, -1), change(4, 0)])).await;
    assert_eq!(store.node(&change(3, 0).hash).expect("nodes read"), None);
}

async fn counts_below_zero_are_refused<S: BlobStore + NodeStore>(store: &S) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    chain.keep_state(true);
    add(store, chain.nodes(vec![change(1, 1)])).await;
    let naked = NodeChange { node: None, ..change(2, 1) };

    for nodes in [vec![change(1, 5), change(2, -1)], vec![change(1, -2)], vec![change(1, -1), naked]] {
        let refused = store.append(chain.nodes(nodes)).await;
        assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "{refused:?}");
        assert_eq!(store.node(&change(1, 0).hash).expect("nodes read"), change(1, 1).node);
    }
    add(store, chain.nodes(vec![change(1, -1)])).await;
    assert_eq!(store.node(&change(1, 0).hash).expect("nodes read"), None, "refusals counted nothing");
}

async fn a_cursor_without_state_drops_the_nodes<S: BlobStore + NodeStore>(store: &S) {
    let mut chain = Synthetic::new(1);
    add(store, chain.begin()).await;
    chain.keep_state(true);
    add(store, chain.nodes(vec![change(1, 3)])).await;
    chain.keep_state(false);
    add(store, chain.relay(1, 1, false)).await;
    assert_eq!(store.node(&change(1, 0).hash).expect("nodes read"), None);
}

/// A change of the made-up node number `number`.
fn change(number: u8, references: i32) -> NodeChange {
    let node = Bytes::from(vec![number; 50]);
    NodeChange { hash: Hash::of(&node), references, node: (references > 0).then_some(node) }
}

/// Everything a reader can see, in a form that can be compared.
async fn snapshot(store: &impl BlobStore) -> (Option<Coverage>, Vec<Rung>, Vec<Vec<Blob>>) {
    let mut streams = Vec::new();
    for stream in Stream::ALL {
        streams.push(all(store, stream).await);
    }
    let coverage = store.coverage().await.expect("coverage reads");
    (coverage, store.rungs(Height(0), usize::MAX).await.expect("rungs read"), streams)
}

async fn all(store: &impl BlobStore, stream: Stream) -> Vec<Blob> {
    let first = match stream {
        Stream::RelayHeaders => Synthetic::START.next(),
        Stream::Changes => Height(1),
        _ => Height(0),
    };
    let span = Span::new(first, Height(u32::MAX)).expect("not empty");
    store.read(stream, span, usize::MAX).await.expect("items read")
}

async fn heights(store: &impl BlobStore, stream: Stream, first: u32, last: u32) -> Vec<u32> {
    let span = Span::new(Height(first), Height(last)).expect("not empty");
    let blobs = store.read(stream, span, usize::MAX).await.expect("items read");
    blobs.into_iter().map(|blob| blob.height.0).collect()
}

fn heights_of(rungs: &[Rung]) -> Vec<u32> {
    rungs.iter().map(|rung| rung.at.0).collect()
}

async fn add(store: &impl BlobStore, append: Append) {
    store.append(append).await.expect("a good append is taken");
}
