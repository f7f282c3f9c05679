//! Dropping what nobody needs any more, from the front.

use super::{
    Inner, LmdbStore,
    env::{HeightTable, Tables, digest_key},
    read,
    write::Failure,
};
use crate::extent::Extent;
use heed::{RwTxn, types::DecodeIgnore};
use prb_core::{
    id::Height,
    port::{StoreError, Stream},
    span::Span,
};
use std::sync::PoisonError;

/// Items dropped in one transaction: few enough that it stays small, many enough that syncing does not dominate.
const STEP: u32 = 2048;

/// What [`LmdbStore::prune`] drops.
///
/// A worker that has dispatched every block below [`PrunePlan::below`] needs nothing of it: it has its parachain headers up to
/// there, and its relay headers past every rung whose parachain head comes before. Rungs stay: they prove the chain
/// of authority sets. So do the genesis and the state copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunePlan {
    /// The first block that workers can still be given.
    pub below: Height,
    /// Storage changes.
    pub changes: Option<Span>,
    /// Parachain headers.
    pub para: Option<Span>,
    /// Relay headers.
    pub relay: Option<Span>,
}

impl PrunePlan {
    /// Whether there is nothing to drop.
    pub fn is_empty(&self) -> bool {
        self.blocks() == 0
    }

    /// How many items it drops.
    pub fn blocks(&self) -> u64 {
        self.parts().into_iter().filter_map(|(_, span)| span).map(Span::count).sum()
    }

    /// What it drops, in the order in which that is done: what stands on other items goes before them.
    pub fn parts(&self) -> [(Stream, Option<Span>); 3] {
        [
            (Stream::Changes, self.changes),
            (Stream::ParaHeaders, self.para),
            (Stream::RelayHeaders, self.relay),
        ]
    }
}

/// How far [`LmdbStore::prune`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// Which stream it is at.
    pub stream: Stream,
    /// Items dropped.
    pub done: u64,
    /// Items to drop.
    pub of: u64,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Too much was asked for.
    #[error(
        "storage changes are stored up to block {last}; at least the last one has to stay, so prune below {last} at most"
    )]
    TooMuch {
        /// Last stored block of storage changes.
        last: Height,
    },
    /// There is nothing.
    #[error("the store holds no storage changes yet, there is nothing to prune")]
    Nothing,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LmdbStore {
    /// What [`Self::prune`] would drop so that every worker which has dispatched all blocks below `below` can still be
    /// fed. This blocks.
    pub fn plan_prune(&self, below: Height) -> Result<PrunePlan, PruneError> {
        let (extent, sets) = self.inner.read(|tables, txn| {
            let extent = read::extent(tables, txn)?;
            // The last set whose blocks all come before `below - 1`: who has dispatched that one is past it.
            let mut passed = None;
            for rung in read::rungs(tables, txn, Height(0), usize::MAX)? {
                if !rung.closes_set || rung.para.is_some_and(|para| para.next() >= below) {
                    break;
                }
                passed = Some(rung.at);
            }
            Ok((extent, passed))
        })?;
        plan(&extent, sets, below)
    }

    /// Drops what `plan` says, in many short transactions: killed at any moment, the store is whole and holds less. What
    /// is dropped is free space within the file, which later appends use; [`Self::compact`] gives it back to the disk.
    /// Readers are told after each transaction. This blocks.
    pub fn prune(&self, plan: &PrunePlan, progress: &mut dyn FnMut(Pruning)) -> Result<(), StoreError> {
        let mut seen = Pruning { stream: Stream::Changes, done: 0, of: plan.blocks() };
        for (stream, span) in plan.parts() {
            let Some(span) = span else { continue };
            seen.stream = stream;
            let mut rest = Some(span);
            while let Some(left) = rest {
                self.inner.drop_items(stream, left.take(STEP))?;
                seen.done += left.take(STEP).count();
                rest = left.skip(STEP);
                progress(seen);
            }
        }
        Ok(())
    }
}

fn plan(extent: &Extent, passed: Option<Height>, below: Height) -> Result<PrunePlan, PruneError> {
    let (Some(changes), Some(root)) = (extent.changes, extent.root) else { return Err(PruneError::Nothing) };
    if below > changes.last() {
        return Err(PruneError::TooMuch { last: changes.last() });
    }
    let before = |span: Option<Span>, end: Option<Height>| {
        let span = span?;
        Span::new(span.first(), end?.min(span.last().prev()?))
    };
    Ok(PrunePlan {
        below,
        changes: before(Some(changes), below.prev()),
        para: before(extent.para, below.prev()),
        relay: before(extent.relay, if root.parachain { passed } else { below.prev() }),
    })
}

impl Inner {
    fn drop_items(&self, stream: Stream, span: Span) -> Result<(), StoreError> {
        // Kept until readers are told, so that an older coverage never follows a newer one.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = self.write_under(&writer, |tables, txn| drop_items(tables, txn, stream, span));
        // A commit that failed in its very last write may still have reached the disk.
        let told = self.read(read::coverage).map(|coverage| {
            self.coverage.send_replace(coverage);
        });
        dropped.and(told)
    }
}

fn drop_items(tables: &Tables, txn: &mut RwTxn<'_>, stream: Stream, span: Span) -> Result<(), Failure> {
    let table = tables.stream(stream);
    // What a plan names was there when it was made; no more than the front of the stream may go.
    if first(table, txn)?.is_some_and(|first| first < span.first()) {
        let (expected, offered) = (first(table, txn)?.unwrap_or_default(), span.first());
        return Err(StoreError::Gap { stream, expected, offered }.into());
    }
    table.delete_range(txn, &(span.first().0..=span.last().0))?;
    if let (Some(from), Some(to)) = (digest_key(stream, span.first()), digest_key(stream, span.last())) {
        let range = (std::ops::Bound::Included(&from[..]), std::ops::Bound::Included(&to[..]));
        tables.digests.delete_range(txn, &range)?;
    }
    Ok(())
}

fn first(table: HeightTable, txn: &RwTxn<'_>) -> Result<Option<Height>, Failure> {
    Ok(table.remap_data_type::<DecodeIgnore>().first(txn)?.map(|(key, ())| Height(key)))
}
