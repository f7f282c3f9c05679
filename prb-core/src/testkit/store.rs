//! Faults in front of a store.

use super::hook::Hook;
use crate::{
    id::Height,
    port::{Append, Blob, BlobStore, Coverage, Cursor, Genesis, Rung, StoreError, Stream},
    span::Span,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// A call of a [`ScriptedStore`], as its hook sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreCall {
    /// `genesis`.
    Genesis,
    /// `coverage`.
    Coverage,
    /// `cursor`.
    Cursor,
    /// `rungs`.
    Rungs,
    /// `read`.
    Read(Stream, Span),
    /// `append`.
    Append,
    /// `wait`.
    Wait,
}

/// What goes wrong with a call of a [`ScriptedStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// No space is left.
    DiskFull,
    /// The map is full.
    MapFull,
    /// Another machine's store is out of reach.
    Unreachable,
    /// The bytes do not match their checksum (`read` only).
    Damaged,
    /// There is nothing, though coverage says so (`read` only).
    Nothing,
    /// It takes so long.
    Slow(Duration),
    /// The append is done, and the answer is lost (`append` only).
    LostReply,
}

/// A store with a script in front. Clones share both.
#[derive(Clone)]
pub struct ScriptedStore {
    inner: Arc<dyn BlobStore>,
    hook: Hook<StoreCall, StoreFault>,
}

impl ScriptedStore {
    /// Puts a script in front of `inner`.
    pub fn new(inner: Arc<dyn BlobStore>) -> Self {
        Self { inner, hook: Hook::default() }
    }

    /// What goes wrong.
    pub fn hook(&self) -> &Hook<StoreCall, StoreFault> {
        &self.hook
    }

    /// Asks the hook; whether the call's own fault applies.
    async fn meet(&self, call: StoreCall) -> Result<bool, StoreError> {
        match self.hook.ask(&call) {
            None => Ok(false),
            Some(StoreFault::DiskFull) => Err(StoreError::DiskFull),
            Some(StoreFault::MapFull) => Err(StoreError::MapFull { bytes: 4096 }),
            Some(StoreFault::Unreachable) => Err(StoreError::Unreachable("scripted".into())),
            Some(StoreFault::Damaged) => match call {
                StoreCall::Read(stream, span) => Err(StoreError::Damaged { stream, height: span.first() }),
                _ => Ok(false),
            },
            Some(StoreFault::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(false)
            }
            Some(StoreFault::Nothing) => Ok(matches!(call, StoreCall::Read(..))),
            Some(StoreFault::LostReply) => Ok(call == StoreCall::Append),
        }
    }
}

#[async_trait]
impl BlobStore for ScriptedStore {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        self.meet(StoreCall::Genesis).await?;
        self.inner.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.meet(StoreCall::Coverage).await?;
        self.inner.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.meet(StoreCall::Cursor).await?;
        self.inner.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.meet(StoreCall::Rungs).await?;
        self.inner.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        if self.meet(StoreCall::Read(stream, span)).await? {
            return Ok(Vec::new());
        }
        self.inner.read(stream, span, max_bytes).await
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        let lost = self.meet(StoreCall::Append).await?;
        self.inner.append(append).await?;
        if lost { Err(StoreError::Backend("scripted loss of the reply".into())) } else { Ok(()) }
    }

    async fn repair(&self, stream: Stream, blob: Blob) -> Result<(), StoreError> {
        self.inner.repair(stream, blob).await
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.meet(StoreCall::Wait).await?;
        self.inner.wait(known).await
    }
}

/// All items of a range, whatever their size.
pub async fn read_all(store: &dyn BlobStore, stream: Stream, span: Span) -> Result<Vec<Bytes>, StoreError> {
    let mut items = Vec::new();
    let mut left = Some(span);
    while let Some(span) = left {
        let blobs = store.read(stream, span, 1 << 20).await?;
        let Some(last) = blobs.last().map(|blob| blob.height) else { break };
        items.extend(blobs.into_iter().map(|blob| blob.bytes));
        left = Span::new(last.next(), span.last());
    }
    Ok(items)
}
