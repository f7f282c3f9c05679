//! How long verifier and store work, as opposed to waiting for a node.

use async_trait::async_trait;
use prb_core::{
    Bytes,
    accept::{BlockChanges, Refusal, Verifier},
    id::{BlockRef, Hash, Height},
    port::{Append, Blob, BlobStore, Coverage, Cursor, Genesis, NodeChange, Rung, StoreError, Stream},
    span::Span,
    types::{grandpa::AuthoritySet, sync::GenesisBlockInfo},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Adds up the time in which at least one of those who share it works.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    working: u32,
    since: Option<Instant>,
    total: Duration,
}

impl Busy {
    pub(super) fn total(&self) -> Duration {
        self.state().total
    }

    fn work(&self) -> Working<'_> {
        let mut state = self.state();
        state.working += 1;
        state.since.get_or_insert_with(Instant::now);
        Working(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody works until it is dropped.
struct Working<'a>(&'a Busy);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.working -= 1;
        if state.working == 0
            && let Some(since) = state.since.take()
        {
            state.total += since.elapsed();
        }
    }
}

/// A part whose work is timed.
pub(super) struct Timed<T> {
    pub(super) inner: T,
    pub(super) busy: Busy,
}

impl<V: Verifier> Verifier for Timed<V> {
    fn justification(
        &self,
        set: &AuthoritySet,
        target: BlockRef,
        justification: &[u8],
    ) -> Result<(), Refusal> {
        let _working = self.busy.work();
        self.inner.justification(set, target, justification)
    }

    fn authorities(&self, genesis: &GenesisBlockInfo) -> Result<(), Refusal> {
        let _working = self.busy.work();
        self.inner.authorities(genesis)
    }

    fn read_proof(&self, root: Hash, proof: &[Bytes], key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let _working = self.busy.work();
        self.inner.read_proof(root, proof, key)
    }

    fn verifies_state(&self) -> bool {
        self.inner.verifies_state()
    }

    fn load_state(&mut self, pairs: &[u8]) -> Result<(Hash, Vec<NodeChange>), Refusal> {
        let _working = self.busy.work();
        self.inner.load_state(pairs)
    }

    fn apply_changes(&mut self, root: Hash, blocks: &[BlockChanges]) -> Result<Vec<NodeChange>, Refusal> {
        let _working = self.busy.work();
        self.inner.apply_changes(root, blocks)
    }
}

#[async_trait]
impl<S: BlobStore> BlobStore for Timed<Arc<S>> {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        let _working = self.busy.work();
        self.inner.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.inner.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        let _working = self.busy.work();
        self.inner.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        let _working = self.busy.work();
        self.inner.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        let _working = self.busy.work();
        self.inner.read(stream, span, max_bytes).await
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        let _working = self.busy.work();
        self.inner.append(append).await
    }

    async fn repair(&self, stream: Stream, blob: Blob) -> Result<(), StoreError> {
        self.inner.repair(stream, blob).await
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.inner.wait(known).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_several_work_counts_once() {
        let busy = Busy::default();
        let begun = Instant::now();
        {
            let _one = busy.work();
            let _other = busy.work();
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(busy.total() >= Duration::from_millis(5));
        assert!(busy.total() <= begun.elapsed());
        assert_eq!(busy.state().working, 0);
    }
}
