//! Items that are asked for again and again, ready to be sent.

use super::Shared;
use crate::{
    cache::{Cache, Kept},
    extent::covered,
};
use bytes::Bytes;
use prb_core::{
    port::{Blob, Coverage, StoreError, Stream},
    span::Span,
    wire::FrameHead,
};
use std::sync::{MutexGuard, PoisonError};

/// An item with the head of its frame.
#[derive(Clone)]
pub(super) struct Framed {
    pub(super) blob: Blob,
    pub(super) head: [u8; FrameHead::LEN],
}

impl Framed {
    fn new(stream: Stream, blob: Blob) -> Self {
        Self { head: FrameHead::of(stream, &blob).encode(), blob }
    }
}

impl Kept for Framed {
    fn bytes(&self) -> &Bytes {
        &self.blob.bytes
    }
}

impl Shared {
    /// Items of `span`, as [`BlobStore::read`](prb_core::port::BlobStore::read) answers them.
    ///
    /// Only streams with an item at every height are kept: those items never change, while what is at the open tip of
    /// the others is replaced.
    pub(super) async fn items(
        &self,
        stream: Stream,
        span: Span,
        max_bytes: usize,
        coverage: Option<&Coverage>,
    ) -> Result<Vec<Framed>, StoreError> {
        let known = coverage.and_then(|coverage| covered(coverage, stream));
        let (kept, rest) = match known {
            Some(known) if known.contains(span.first()) => self.hot().prefix(stream, span, max_bytes),
            _ => (Vec::new(), Some(span)),
        };
        let mut items: Vec<Framed> = kept.into_iter().map(|(_, item)| item).collect();
        let mut left = max_bytes.saturating_sub(items.iter().map(|item| item.blob.bytes.len()).sum());
        let Some(rest) = rest.filter(|_| left > 0 || items.is_empty()) else { return Ok(items) };
        let blobs = match self.store.read(stream, rest, left).await {
            // The items before the damaged one are still an answer.
            Err(StoreError::Damaged { .. }) if !items.is_empty() => return Ok(items),
            found => found?,
        };
        for blob in blobs {
            // The first of an answer may exceed its limit, which only counts if nothing came before it.
            match left.checked_sub(blob.bytes.len()) {
                Some(rest) => left = rest,
                None if items.is_empty() => left = 0,
                None => break,
            }
            let item = Framed::new(stream, blob);
            if known.is_some_and(|known| known.contains(item.blob.height)) {
                self.hot().insert(stream, item.blob.height, item.clone());
            }
            items.push(item);
        }
        Ok(items)
    }

    fn hot(&self) -> MutexGuard<'_, Cache<Framed>> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
