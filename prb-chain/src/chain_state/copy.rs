//! The state as the verified copy holds it.

use crate::state_copy::{StateCopyError, StateReader};
use async_trait::async_trait;
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    port::{BlobStore, ChainState, NodeStore, StateError, StoreError, Stream},
    span::Span,
    storage_key::StorageKey,
};
use std::sync::Arc;

/// How often a read is begun anew because the copy moved on below it.
const ATTEMPTS: usize = 16;

/// Most bytes of all pairs: live states are some hundred megabytes.
const MAX_PAIRS: usize = 2 << 30;

/// A header is far below this.
const HEADER_BYTES: usize = 1 << 20;

/// [`ChainState`] of the verified copy: every value is bound to a finalized header's state root, and no node is
/// asked. Only the newest state is kept.
#[derive(Clone)]
pub struct CopyChainState {
    store: Arc<dyn BlobStore>,
    reader: StateReader,
}

/// A question to the trie with a given root.
type Ask<T> = Arc<dyn Fn(&StateReader, Hash) -> Result<T, StateCopyError> + Send + Sync>;

impl CopyChainState {
    /// The copy whose position is in `store`'s cursor and whose nodes are in `nodes`.
    pub fn new(store: Arc<dyn BlobStore>, nodes: Arc<dyn NodeStore>) -> Self {
        Self { store, reader: StateReader::new(nodes) }
    }

    /// Where the copy stands.
    async fn position(&self) -> Result<(Height, Hash), StateError> {
        let cursor = self.store.cursor().await.map_err(|error| stored(&error))?;
        cursor.and_then(|cursor| cursor.state).ok_or(StateError::Empty)
    }

    /// Asks the newest state, or that of `at` if it is the newest.
    ///
    /// The copy drops nodes of old states while it is read. A read that misses one begins anew at the new position; if
    /// there is no new position, the node is really gone.
    async fn ask<T: Send + 'static>(
        &self,
        at: Option<Height>,
        ask: Ask<T>,
    ) -> Result<(Height, T), StateError> {
        let mut missed: Option<((Height, Hash), StateCopyError)> = None;
        for _ in 0..ATTEMPTS {
            let position = self.position().await?;
            let (height, root) = position;
            if at.is_some_and(|at| at != height) {
                return Err(not_kept(at.unwrap_or(height), height));
            }
            if let Some((before, error)) = missed.take()
                && before == position
            {
                return Err(StateError::Damaged(error.to_string()));
            }
            let (reader, ask) = (self.reader.clone(), ask.clone());
            let answer = tokio::task::spawn_blocking(move || ask(&reader, root)).await;
            match answer.map_err(|error| StateError::Damaged(format!("a read did not finish: {error}")))? {
                Ok(answer) => return Ok((height, answer)),
                Err(error @ StateCopyError::MissingNode { .. }) => missed = Some((position, error)),
                Err(StateCopyError::Store(error)) => return Err(stored(&error)),
                Err(error) => return Err(StateError::Damaged(error.to_string())),
            }
        }
        Err(StateError::Unreachable("the state moves on faster than it is read".into()))
    }

    /// Hash of a block of the store.
    async fn hash(&self, height: Height) -> Result<Hash, StateError> {
        let coverage = self.store.coverage().await.map_err(|error| stored(&error))?;
        // A chain without a relay chain is stored as one that finalizes itself.
        let solo = coverage.is_some_and(|coverage| !coverage.parachain);
        let stream = if solo { Stream::RelayHeaders } else { Stream::ParaHeaders };
        let blobs =
            self.store.read(stream, Span::one(height), HEADER_BYTES).await.map_err(|error| stored(&error))?;
        let header = blobs.first().filter(|blob| blob.height == height);
        let header = header
            .ok_or_else(|| StateError::Damaged(format!("the store lacks header {height} of {stream}")))?;
        Ok(Hash::of(&header.bytes))
    }
}

#[async_trait]
impl ChainState for CopyChainState {
    async fn read(
        &self,
        keys: &[StorageKey],
        at: Option<Height>,
    ) -> Result<(BlockRef, Vec<Option<Bytes>>), StateError> {
        let keys: Arc<[StorageKey]> = keys.into();
        let (height, values) = self.ask(at, Arc::new(move |reader, root| reader.get(root, &keys))).await?;
        Ok((BlockRef { height, hash: self.hash(height).await? }, values))
    }

    async fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        at: Option<Height>,
    ) -> Result<Vec<StorageKey>, StateError> {
        let (prefix, after) = (prefix.to_vec(), after.map(<[u8]>::to_vec));
        let ask: Ask<_> = Arc::new(move |reader, root| reader.keys(root, &prefix, after.as_deref(), limit));
        Ok(self.ask(at, ask).await?.1)
    }

    async fn pairs(&self, at: Height) -> Result<Bytes, StateError> {
        Ok(self.ask(Some(at), Arc::new(|reader, root| reader.pairs(root, MAX_PAIRS))).await?.1)
    }
}

/// The copy holds one state only: a later one may come, an earlier one will not.
fn not_kept(at: Height, newest: Height) -> StateError {
    if at > newest {
        StateError::Unreachable(format!("block {at} is not synced yet, the state copy stands at {newest}"))
    } else {
        StateError::NotKept { at }
    }
}

fn stored(error: &StoreError) -> StateError {
    use prb_core::fault::Fault;
    match error.fault() {
        Fault::Stop => StateError::Damaged(error.to_string()),
        Fault::Retry | Fault::Reread => StateError::Unreachable(error.to_string()),
    }
}
