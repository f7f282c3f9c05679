//! A store in memory.

use crate::{
    extent::{Extent, Root},
    nodes,
};
use async_trait::async_trait;
use bytes::Bytes;
use codec::Encode;
use prb_core::{
    id::{Hash, Height},
    port::{
        Append, Blob, BlobStore, Coverage, Cursor, Genesis, NodeChange, NodeStore, Rung, StoreError, Stream,
    },
    span::Span,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// A store that lives as long as its last clone: for tests and small embeddings.
///
/// It keeps the contract of the port like the store on disk, except that nothing survives the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    coverage: watch::Sender<Option<Coverage>>,
}

#[derive(Debug, Default)]
struct State {
    extent: Extent,
    genesis: Option<Arc<Genesis>>,
    cursor: Option<Cursor>,
    streams: BTreeMap<Stream, BTreeMap<Height, Bytes>>,
    rungs: BTreeMap<Height, Rung>,
    nodes: BTreeMap<Hash, (u32, Bytes)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        Ok(self.state().genesis.clone())
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        Ok(*self.inner.coverage.borrow())
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        Ok(self.state().cursor.clone())
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        Ok(self.state().rungs.range(from..).take(limit).map(|(_, rung)| *rung).collect())
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        Ok(self.state().read(stream, span, max_bytes))
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        let mut state = self.state();
        state.append(append)?;
        let coverage = state.cursor.as_ref().and_then(|cursor| state.extent.coverage(cursor));
        self.inner.coverage.send_replace(coverage);
        Ok(())
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        changed(&self.inner.coverage, known).await;
        Ok(())
    }
}

impl NodeStore for MemoryStore {
    fn node(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().nodes.get(hash).map(|(_, node)| node.clone()))
    }
}

/// Returns when `coverage` differs from `known`, or after [`PATIENCE`].
pub(crate) async fn changed(coverage: &watch::Sender<Option<Coverage>>, known: Option<Coverage>) {
    let mut coverage = coverage.subscribe();
    // Neither running out of patience nor a store that goes away is an error: the caller looks again.
    let _ = tokio::time::timeout(PATIENCE, coverage.wait_for(|coverage| *coverage != known)).await;
}

/// Longest wait for news, so that no waiter depends on a writer that is gone.
const PATIENCE: Duration = Duration::from_secs(30);

impl State {
    fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Vec<Blob> {
        let Some(items) = self.streams.get(&stream) else { return Vec::new() };
        let sparse = matches!(stream, Stream::Justifications | Stream::ParaHeads | Stream::SetChanges);
        if !sparse && !items.contains_key(&span.first()) {
            return Vec::new();
        }
        let mut left = max_bytes;
        let mut blobs = Vec::new();
        for (height, bytes) in items.range(span.first()..=span.last()) {
            match left.checked_sub(bytes.len()) {
                Some(rest) => left = rest,
                None if blobs.is_empty() => left = 0,
                None => break,
            }
            blobs.push(Blob { height: *height, bytes: bytes.clone() });
        }
        blobs
    }

    fn append(&mut self, append: Append) -> Result<(), StoreError> {
        let extent = self.extent.after(&append)?;
        let counted = self.counted(&append.nodes)?;

        if append.cursor.as_ref().is_some_and(|cursor| cursor.state.is_none()) {
            self.nodes.clear();
        }
        for (hash, count, node) in counted {
            if count == 0 {
                self.nodes.remove(&hash);
            } else {
                let entry = self.nodes.entry(hash).or_insert_with(|| (0, node.unwrap_or_default()));
                entry.0 = count;
            }
        }
        if let (None, Some(genesis)) = (&self.genesis, append.genesis) {
            debug_assert_eq!(extent.root, Some(Root::of(&genesis)), "admitted above");
            self.genesis = Some(Arc::new(genesis));
        }
        if let Some(relay) = append.relay {
            if let Some(tip) = self.extent.open_tip {
                for stream in [Stream::Justifications, Stream::ParaHeads, Stream::SetChanges] {
                    self.stream(stream).remove(&tip);
                }
                self.rungs.remove(&tip);
            }
            let at = relay.headers.last().expect("checked to hold a header").height;
            let para = relay.para_head.as_ref().map(|head| head.number);
            self.rungs.insert(at, Rung { at, para, closes_set: relay.closes_set });
            self.stream(Stream::Justifications).insert(at, relay.justification);
            if let Some(head) = relay.para_head {
                self.stream(Stream::ParaHeads).insert(at, head.encode().into());
            }
            if let Some(change) = relay.set_change {
                self.stream(Stream::SetChanges).insert(at, change);
            }
            self.extend(Stream::RelayHeaders, relay.headers);
        }
        self.extend(Stream::ParaHeaders, append.para_headers);
        self.extend(Stream::Changes, append.changes);
        self.cursor = append.cursor;
        self.extent = extent;
        Ok(())
    }

    /// The new count of every node that changes, and its bytes if it came.
    #[allow(clippy::type_complexity, reason = "private, read in one place")]
    fn counted(&self, changes: &[NodeChange]) -> Result<Vec<(Hash, u32, Option<Bytes>)>, StoreError> {
        let counted = nodes::net(changes)?.into_iter().map(|net| {
            let before = self.nodes.get(&net.hash).map_or(0, |(count, _)| *count);
            Ok((net.hash, net.count(before)?, net.node.cloned()))
        });
        counted.collect()
    }

    fn stream(&mut self, stream: Stream) -> &mut BTreeMap<Height, Bytes> {
        self.streams.entry(stream).or_default()
    }

    fn extend(&mut self, stream: Stream, blobs: Vec<Blob>) {
        self.stream(stream).extend(blobs.into_iter().map(|blob| (blob.height, blob.bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::testkit::conform::store::{blob_store, node_store};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn store_in_memory_keeps_the_contract() {
        blob_store(MemoryStore::new).await;
        node_store(MemoryStore::new).await;
    }
}
