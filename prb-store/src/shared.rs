//! A store that many read at once, in front of another.

use crate::{
    cache::{Cache, extend_within},
    extent::covered,
    flight::Flights,
};
use async_trait::async_trait;
use bytes::Bytes;
use prb_core::{
    id::Height,
    port::{Append, Blob, BlobStore, Coverage, Cursor, Genesis, Rung, StoreError, Stream},
    span::Span,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How much is kept of what was read.
#[derive(Clone, Copy, Debug)]
pub struct SharedOptions {
    /// Most bytes of items kept. Less reads from disk again what the next worker wants; 0 keeps nothing. Typical:
    /// 64 MiB.
    pub cache_bytes: usize,
    /// How long an item is kept. Longer serves workers that are further apart. Typical: 60 s.
    pub cache_age: Duration,
}

impl Default for SharedOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, cache_age: Duration::from_secs(60) }
    }
}

/// Reads for many what they all want: workers at the same place share one read, and the bytes it gave.
///
/// Only streams with an item at every height are kept: those items never change, while what is at the open tip of the
/// others is replaced. Everything else goes to the store behind.
pub struct SharedStore {
    inner: Arc<dyn BlobStore>,
    cache: Mutex<Cache<Bytes>>,
    flights: Flights,
}

impl SharedStore {
    /// In front of `inner`.
    pub fn new(inner: Arc<dyn BlobStore>, options: SharedOptions) -> Self {
        let cache = Mutex::new(Cache::new(options.cache_bytes, options.cache_age));
        Self { inner, cache, flights: Flights::default() }
    }

    fn kept(&self, stream: Stream, span: Span, max_bytes: usize) -> (Vec<Blob>, Option<Span>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, rest) = cache.prefix(stream, span, max_bytes);
        (kept.into_iter().map(|(height, bytes)| Blob { height, bytes }).collect(), rest)
    }

    fn keep(&self, stream: Stream, blobs: &[Blob]) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.iter().for_each(|blob| cache.insert(stream, blob.height, blob.bytes.clone()));
    }

    async fn is_covered(&self, stream: Stream, height: Height) -> Result<bool, StoreError> {
        let coverage = self.inner.coverage().await?;
        let span = coverage.and_then(|coverage| covered(&coverage, stream));
        Ok(span.is_some_and(|span| span.contains(height)))
    }
}

#[async_trait]
impl BlobStore for SharedStore {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        self.inner.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.inner.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.inner.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.inner.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        // What was pruned meanwhile is not answered from memory.
        if stream.is_sparse() || !self.is_covered(stream, span.first()).await? {
            return self.inner.read(stream, span, max_bytes).await;
        }
        if let (kept, None) = self.kept(stream, span, max_bytes) {
            return Ok(kept);
        }
        let _turn = self.flights.turn((stream as u8, span.first())).await;
        let (mut blobs, rest) = self.kept(stream, span, max_bytes);
        let left = max_bytes.saturating_sub(blobs.iter().map(|blob| blob.bytes.len()).sum());
        let Some(rest) = rest.filter(|_| left > 0 || blobs.is_empty()) else { return Ok(blobs) };
        let found = self.inner.read(stream, rest, left).await?;
        self.keep(stream, &found);
        extend_within(&mut blobs, found, left);
        Ok(blobs)
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.inner.append(append).await
    }

    async fn repair(&self, stream: Stream, blob: Blob) -> Result<(), StoreError> {
        self.inner.repair(stream, blob).await
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.inner.wait(known).await
    }
}
