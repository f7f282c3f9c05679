//! What is damaged on disk is fetched again.
//!
//! Whoever reads through a bridge and meets damage has the item refetched on the way. A header must be the one that
//! its successor (or the cursor) names by hash. Anything else must have the digest that the store recorded when the
//! item was verified, which the store checks.

use crate::{
    id::{BlockRef, Hash, Height},
    port::{
        Answer, Append, Blob, BlobStore, BlockSource, Coverage, Cursor, Genesis, RelayBatch, Rung,
        SourceError, StoreError, Stream, store::ProvenHead,
    },
    span::Span,
    types::header::Header,
};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::{info, warn};

/// Longest attempt to repair an item, those included that it depends on.
const PATIENCE: Duration = Duration::from_secs(60);
/// After a failure the source is left alone for so long, however many readers meet the damage.
const PAUSE: Duration = Duration::from_secs(5);
/// Most headers in a row that are repaired for the sake of one item.
const DEPTH: u32 = 64;

/// A store whose damage is repaired from a source as it is met.
pub(super) struct Repairing {
    store: Arc<dyn BlobStore>,
    source: Arc<dyn BlockSource>,
    /// Held by whoever repairs, so that one item is fetched once. When and why the last attempt failed.
    failed: Mutex<Option<(Instant, String)>>,
}

/// Why an item is not repaired.
#[derive(Debug, thiserror::Error)]
enum RepairError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} answers another header than the one that was verified")]
    Differs(String),
    #[error("{0} does not have it")]
    Missing(String),
    #[error("more than {DEPTH} headers in a row are damaged")]
    TooMany,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Stalled,
}

impl Repairing {
    /// `store`, repaired from `source`.
    pub(super) fn new(store: Arc<dyn BlobStore>, source: Arc<dyn BlockSource>) -> Self {
        Self { store, source, failed: Mutex::default() }
    }

    /// Repairs the damage that a read of `span` met, and reads again.
    async fn read_repaired(
        &self,
        stream: Stream,
        span: Span,
        max_bytes: usize,
    ) -> Result<Vec<Blob>, StoreError> {
        let mut failed = self.failed.lock().await;
        // Somebody else may have repaired it while we waited for our turn.
        let height = match self.store.read(stream, span, max_bytes).await {
            Err(StoreError::Damaged { height, .. }) => height,
            read => return read,
        };
        if let Some((_, cause)) = failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(pending(stream, height, cause));
        }
        metrics::counter!("prb_store_damaged_total", "stream" => stream.name()).increment(1);
        warn!(%stream, %height, "damaged on disk, fetching it again");
        let mended =
            timeout(PATIENCE, self.mend(stream, height, 0)).await.unwrap_or(Err(RepairError::Stalled));
        match mended {
            Ok(()) => {
                *failed = None;
                self.store.read(stream, span, max_bytes).await
            }
            // The store cannot or will not take it, and will not next time.
            Err(RepairError::Store(cause @ (StoreError::ReadOnly | StoreError::Unrepairable { .. }))) => {
                warn!(%stream, %height, %cause, "damage cannot be repaired");
                Err(StoreError::Damaged { stream, height })
            }
            Err(cause) => {
                metrics::counter!("prb_store_repair_failures_total", "stream" => stream.name()).increment(1);
                let cause = cause.to_string();
                warn!(%stream, %height, %cause, "damage is not repaired yet");
                let answer = pending(stream, height, &cause);
                *failed = Some((Instant::now(), cause));
                Err(answer)
            }
        }
    }

    async fn mend(&self, stream: Stream, height: Height, depth: u32) -> Result<(), RepairError> {
        let Answer { value: bytes, by } = self.fetch(stream, height, depth).await?;
        let bytes = bytes.ok_or_else(|| RepairError::Missing(by.to_string()))?;
        if matches!(stream, Stream::RelayHeaders | Stream::ParaHeaders)
            && self.named(stream, height, depth).await? != Some(Hash::of(&bytes))
        {
            self.source.distrust(&by, "a header fetched again is not the one that was verified");
            return Err(RepairError::Differs(by.to_string()));
        }
        self.store.repair(stream, Blob { height, bytes }).await?;
        metrics::counter!("prb_store_repaired_total", "stream" => stream.name()).increment(1);
        info!(%stream, %height, "repaired");
        Ok(())
    }

    /// What the source has.
    async fn fetch(
        &self,
        stream: Stream,
        height: Height,
        depth: u32,
    ) -> Result<Answer<Option<Bytes>>, RepairError> {
        let source = &self.source;
        // A batch that begins at a block which closes a set ends there too.
        let closing = |batch: Option<RelayBatch>| batch.filter(|batch| batch.headers.len() == 1);
        Ok(match stream {
            Stream::RelayHeaders => {
                source.relay_batch(height).await?.map(|batch| batch?.headers.into_iter().next())
            }
            Stream::ParaHeaders => {
                source.para_headers(Span::one(height)).await?.map(|headers| headers.into_iter().next())
            }
            Stream::Justifications => {
                source.relay_batch(height).await?.map(|batch| Some(closing(batch)?.justification))
            }
            Stream::SetChanges => source
                .relay_batch(height)
                .await?
                .map(|batch| closing(batch)?.set_change.map(|change| change.encode().into())),
            Stream::ParaHeads => {
                let genesis = self.genesis_of_store().await?;
                let at = self.block(Stream::RelayHeaders, height, depth).await?;
                source.para_head(at, genesis.para_id).await?.map(|head| {
                    let head = head?;
                    let number = Header::decode(&mut head.header.as_ref()).ok()?.height();
                    let proof = head.proof.iter().map(|node| node.to_vec()).collect();
                    Some(ProvenHead { number, proof }.encode().into())
                })
            }
            Stream::Changes => {
                let headers = if self.genesis_of_store().await?.parachain {
                    Stream::ParaHeaders
                } else {
                    Stream::RelayHeaders
                };
                let block = self.block(headers, height, depth).await?;
                source.changes(block, block).await?.map(|changes| changes.into_iter().next())
            }
        })
    }

    /// The hash that a header must have: its successor names it, or the cursor.
    async fn named(&self, stream: Stream, height: Height, depth: u32) -> Result<Option<Hash>, RepairError> {
        let cursor = self.store.cursor().await?;
        let tip = cursor.and_then(|cursor| match stream {
            Stream::RelayHeaders => Some(cursor.relay),
            _ => cursor.para,
        });
        if let Some(tip) = tip.filter(|tip| tip.height == height) {
            return Ok(Some(tip.hash));
        }
        let next = self.header(stream, height.next(), depth).await?;
        Ok(Header::decode_all(&mut next.as_ref()).ok().map(|next| next.parent_hash))
    }

    async fn block(&self, stream: Stream, height: Height, depth: u32) -> Result<BlockRef, RepairError> {
        Ok(BlockRef { height, hash: Hash::of(&self.header(stream, height, depth).await?) })
    }

    /// A stored header, which is repaired first if it is damaged itself.
    async fn header(&self, stream: Stream, height: Height, depth: u32) -> Result<Bytes, RepairError> {
        let read = match self.store.read(stream, Span::one(height), 0).await {
            Err(StoreError::Damaged { .. }) if depth >= DEPTH => return Err(RepairError::TooMany),
            Err(StoreError::Damaged { .. }) => {
                Box::pin(self.mend(stream, height, depth + 1)).await?;
                self.store.read(stream, Span::one(height), 0).await?
            }
            read => read?,
        };
        Ok(read.into_iter().next().ok_or_else(|| self.missing())?.bytes)
    }

    async fn genesis_of_store(&self) -> Result<Arc<Genesis>, RepairError> {
        self.store.genesis().await?.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> RepairError {
        RepairError::Missing(self.source.endpoint())
    }
}

/// What a reader is told while an item waits for its repair; it may try again.
fn pending(stream: Stream, height: Height, cause: &str) -> StoreError {
    StoreError::Backend(format!("{stream} at {height} is damaged on disk, and not repaired yet: {cause}"))
}

#[async_trait]
impl BlobStore for Repairing {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        self.store.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.store.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.store.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.store.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        match self.store.read(stream, span, max_bytes).await {
            Err(StoreError::Damaged { .. }) => self.read_repaired(stream, span, max_bytes).await,
            read => read,
        }
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.store.append(append).await
    }

    async fn repair(&self, stream: Stream, blob: Blob) -> Result<(), StoreError> {
        self.store.repair(stream, blob).await
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.store.wait(known).await
    }
}
