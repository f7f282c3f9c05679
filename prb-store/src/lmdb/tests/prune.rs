use super::*;
use crate::{PruneError, PrunePlan, Pruning};

/// A store with four sets of ten relay blocks, each of which proves five more parachain headers, with their changes.
async fn filled(store: &LmdbStore) -> Synthetic {
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    for _ in 0..4 {
        store.append(chain.relay(10, 5, true)).await.unwrap();
        let missing = chain.cursor().para.unwrap().height.since(chain.cursor().changes);
        store.append(chain.changes(missing, 3000)).await.unwrap();
    }
    store.append(chain.relay(3, 2, false)).await.unwrap();
    chain
}

fn span(first: u32, last: u32) -> Option<Span> {
    Span::new(Height(first), Height(last))
}

#[tokio::test]
async fn plan_keeps_what_a_worker_that_has_passed_needs() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert!(matches!(store.plan_prune(Height(1)), Err(PruneError::Nothing)));
    filled(&store).await;
    // Sets end at relay blocks 110, 120, 130 and 140; the parachain heads there are 4, 9, 14 and 19.
    let plan = |below| store.plan_prune(Height(below)).unwrap();
    let expected = |below: u32, relay: Option<Span>| PrunePlan {
        below: Height(below),
        changes: span(1, below.saturating_sub(1)),
        para: span(0, below.saturating_sub(1)),
        relay,
    };
    assert_eq!(plan(1), PrunePlan { changes: None, ..expected(1, None) });
    assert_eq!(plan(5), expected(5, None), "who waits for block 5 may stand right behind relay block 110");
    assert_eq!(plan(6), expected(6, span(101, 110)));
    assert_eq!(plan(10), expected(10, span(101, 110)));
    assert_eq!(plan(11), expected(11, span(101, 120)));
    assert_eq!(plan(19), expected(19, span(101, 130)));
    assert!(matches!(store.plan_prune(Height(20)), Err(PruneError::TooMuch { last: Height(19) })));
    assert!(plan(0).is_empty());
}

#[tokio::test]
async fn what_is_left_reads_as_before_and_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_plain(folder.path());
    let mut chain = filled(&store).await;
    let before = content(&store).await;
    let size = store.stat().unwrap();

    let plan = store.plan_prune(Height(16)).unwrap();
    let mut told = 0;
    let mut watch = |at: Pruning| {
        told = at.done;
        if at.stream == Stream::Changes {
            let coverage = store.inner.coverage.borrow().unwrap();
            assert_eq!((coverage.changes, coverage.para), (span(16, 19), span(0, 21)), "told at once");
        }
    };
    store.prune(&plan, &mut watch).unwrap();

    assert_eq!(told, plan.blocks());
    let coverage = store.coverage().await.unwrap().unwrap();
    assert_eq!(
        (coverage.relay, coverage.para, coverage.changes),
        (span(131, 143), span(16, 21), span(16, 19))
    );
    let after = content_from(&store, &coverage).await;
    let was = |stream: Stream| &before.streams[stream as usize];
    for (stream, first) in [(Stream::RelayHeaders, 131), (Stream::ParaHeaders, 16), (Stream::Changes, 16)] {
        let kept: Vec<_> = was(stream).iter().filter(|blob| blob.height.0 >= first).cloned().collect();
        assert_eq!(after[stream as usize], kept, "{stream}");
    }
    for stream in [Stream::Justifications, Stream::ParaHeads, Stream::SetChanges] {
        assert_eq!(after[stream as usize], *was(stream), "{stream} stays");
    }
    assert_eq!(store.rungs(Height(0), usize::MAX).await.unwrap(), before.rungs);
    assert_eq!(store.cursor().await.unwrap(), before.cursor);
    let now = store.stat().unwrap();
    assert!(now.free_bytes > size.free_bytes, "{now:?} {size:?}");
    store.append(chain.relay(10, 5, true)).await.unwrap();
    store.append(chain.changes(7, 3000)).await.unwrap();
    store.compact().await.unwrap();
    assert!(store.stat().unwrap().file_bytes < size.file_bytes);
    assert!(store.plan_prune(Height(16)).unwrap().is_empty());
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.cursor().await.unwrap().as_ref(), Some(chain.cursor()));
    let found = store.verify(&mut |_| {}).unwrap();
    assert_eq!((found.damages, found.damaged), (0, Vec::new()));
}

#[tokio::test]
async fn a_plan_that_leaves_a_hole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    filled(&store).await;
    let hole = PrunePlan { below: Height(9), changes: span(5, 8), para: None, relay: None };
    let refused = store.prune(&hole, &mut |_| {});
    assert!(matches!(refused, Err(prb_core::port::StoreError::Gap { .. })), "{refused:?}");
    assert_eq!(store.coverage().await.unwrap().unwrap().changes, span(1, 19));
}

/// X14: whatever moment it ends at, the store is whole, and the rest can be dropped later.
#[tokio::test]
async fn interrupted_pruning_leaves_whole_streams() {
    for ended in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        filled(&store).await;
        let plan = store.plan_prune(Height(16)).unwrap();
        let mut calls = 0;
        let pruned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.prune(&plan, &mut |_| {
                calls += 1;
                assert!(calls < ended, "ended on purpose");
            })
        }));
        assert!(pruned.is_err());
        drop(store);
        let store = open(folder.path());
        assert_eq!(store.verify(&mut |_| {}).unwrap().damages, 0, "{ended}");
        let rest = store.plan_prune(Height(16)).unwrap();
        assert!(rest.blocks() < plan.blocks());
        store.prune(&rest, &mut |_| {}).unwrap();
        assert_eq!(store.coverage().await.unwrap().unwrap().relay, span(131, 143));
    }
}

/// All items of each stream from where it begins.
async fn content_from(store: &LmdbStore, coverage: &Coverage) -> Vec<Vec<Blob>> {
    let mut streams = Vec::new();
    for stream in Stream::ALL {
        let first = match stream {
            Stream::RelayHeaders => coverage.relay.unwrap().first(),
            Stream::ParaHeaders => coverage.para.unwrap().first(),
            Stream::Changes => coverage.changes.unwrap().first(),
            _ => Height(0),
        };
        let span = Span::new(first, Height(u32::MAX)).unwrap();
        streams.push(store.read(stream, span, usize::MAX).await.unwrap());
    }
    streams
}
