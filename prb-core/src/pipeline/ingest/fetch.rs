//! What comes next: fetching it from the source, and having it checked.

use super::{Ingest, IngestError, ahead::Ahead, watch::locked};
use crate::{
    accept::{self, BlockChanges, Refusal, Verifier},
    id::{BlockRef, Hash, Height},
    port::{
        Answer, Append, BlobStore, BlockSource, Cursor, Genesis, Origin, RelayBatch, SourceError, StoreError,
        Stream,
    },
    span::Span,
    types::header::Header,
};
use bytes::Bytes;
use codec::{Decode, DecodeAll};
use std::sync::Arc;
use tracing::{info, warn};

impl Ingest {
    /// The next relay batch with what belongs to its last block, checked. `ahead` is the batch that was asked for before,
    /// and becomes the one after.
    pub(super) async fn next_relay(
        &self,
        cursor: &Cursor,
        genesis: &Arc<Genesis>,
        ahead: &mut Option<RelayAhead>,
    ) -> Result<Option<Append>, IngestError> {
        let Answer { value: batch, by } = self.relay_batch(cursor.relay.height.next(), ahead).await?;
        locked(&self.notes).unjustified = batch.is_none();
        let Some(batch) = batch else { return Ok(None) };
        let at = cursor.clone();
        let relay = self.check(&by, move |verifier| accept::relay(&at, batch, verifier)).await?;
        // Who is to blame if the parts do not fit: what came before the last part was proven.
        let (mut head, mut headers, mut last) = (None, Vec::new(), by);
        if genesis.parachain {
            let Answer { value: found, by } = self.source.para_head(relay.last, genesis.para_id).await?;
            match found {
                Some(found) => {
                    let (at, accepted, para_id) = (cursor.clone(), relay.clone(), genesis.para_id);
                    let checked = self
                        .check(&by, move |verifier| {
                            accept::para_head(&at, para_id, &accepted, &found, verifier)
                        })
                        .await?;
                    last = by;
                    if let Some(span) = accept::missing_para_headers(cursor, &checked) {
                        Answer { value: headers, by: last } = self.source.para_headers(span).await?;
                    }
                    head = Some(checked);
                }
                None if cursor.para.is_some() => {
                    let cause = "the parachain's head is gone".to_owned();
                    let height = relay.last.height;
                    return Err(
                        self.refused(&by, Refusal::Failed { check: "para head proof", height, cause })
                    );
                }
                None => {}
            }
        }
        let (at, genesis) = (cursor.clone(), genesis.clone());
        self.check(&last, move |_| accept::relay_append(&at, &genesis, relay, head, headers)).await.map(Some)
    }

    /// The relay batch from `from`. One that closes a set has another behind it sooner or later, which is asked for
    /// meanwhile.
    async fn relay_batch(
        &self,
        from: Height,
        ahead: &mut Option<RelayAhead>,
    ) -> Result<Answer<Option<RelayBatch>>, IngestError> {
        let answer = match ahead.take() {
            Some(ahead) => ahead.answer(&from).await,
            None => None,
        };
        let answer = match answer {
            Some(Ok(answer)) if answer.value.is_some() => answer,
            // That there was nothing yet, or no answer to be had, may have changed since.
            _ => self.source.relay_batch(from).await?,
        };
        if let Some(next) = answer.value.as_ref().and_then(|batch| after_set(from, batch)) {
            let source = self.source.clone();
            *ahead = Some(Ahead::ask(next, async move { source.relay_batch(next).await }));
        }
        Ok(answer)
    }

    pub(super) async fn checked_changes(
        &self,
        cursor: Cursor,
        blocks: Result<Option<Answer<Vec<BlockChanges>>>, IngestError>,
    ) -> Result<Option<Append>, IngestError> {
        let Some(Answer { value: blocks, by }) = blocks? else { return Ok(None) };
        let append = self.check(&by, move |verifier| accept::changes(&cursor, blocks, verifier)).await?;
        Ok(Some(Append { changes_form: Some(self.source.changes_form()), ..append }))
    }

    pub(super) async fn begin(&mut self) -> Result<(), IngestError> {
        let Answer { value: genesis, by } = self.source.genesis().await?;
        let start = genesis.start();
        if self.options.trusted_start.is_none() {
            warn!(
                %start,
                "start block is not pinned by chain.start (IngestOptions::trusted_start): unless the source knows this \
                 network, it is trusted on first use"
            );
        }
        let trusted = self.options.trusted_start;
        let append = self.check(&by, move |verifier| accept::genesis(genesis, trusted, verifier)).await?;
        self.store.append(append).await?;
        info!(%start, "store begins");
        Ok(())
    }

    /// The next storage changes whose headers are stored; none where there are none. `ahead` are those that were asked
    /// for before, and become those after.
    pub(super) async fn next_changes(
        &self,
        cursor: &Cursor,
        parachain: bool,
        ahead: &mut Option<ChangesAhead>,
    ) -> Result<Option<Answer<Vec<BlockChanges>>>, IngestError> {
        let (stream, end) = if parachain {
            (Stream::ParaHeaders, cursor.para.map(|para| para.height))
        } else {
            (Stream::RelayHeaders, Some(cursor.relay.height))
        };
        let Some(wanted) = end.and_then(|end| Span::new(cursor.changes.next(), end)) else {
            return Ok(None);
        };
        let fetch = |wanted: Span| {
            let (source, store) = (self.source.clone(), self.store.clone());
            let span = wanted.take(self.options.changes_per_step);
            async move { changes_of(&*source, &*store, stream, span).await }
        };
        let answer = match ahead.take() {
            Some(ahead) => ahead.answer(&wanted.first()).await,
            None => None,
        };
        let answer = match answer {
            Some(Ok(Some(answer))) => Some(answer),
            _ => fetch(wanted).await?,
        };
        let Some((blocks, Answer { value: changes, by })) = answer else { return Ok(None) };
        if changes.len() != blocks.len() {
            let cause = format!("asked for {} blocks, got {}", blocks.len(), changes.len());
            let (check, height) = ("storage changes", wanted.first());
            return Err(self.refused(&by, Refusal::Failed { check, height, cause }));
        }
        if let Some(rest) = wanted.skip(blocks.len() as u32) {
            *ahead = Some(Ahead::ask(rest.first(), fetch(rest)));
        }
        let joined = blocks.into_iter().zip(changes);
        let blocks = joined
            .map(|((block, root), changes)| BlockChanges { height: block.height, root, changes })
            .collect();
        Ok(Some(Answer::new(blocks, by)))
    }

    /// Runs a check of an answer of `by` off the async threads.
    async fn check<T: Send + 'static>(
        &self,
        by: &Origin,
        check: impl FnOnce(&mut dyn Verifier) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, IngestError> {
        let verifier = self.verifier.clone();
        let run = move || {
            verifier.lock().map(|mut verifier| check(verifier.as_mut())).map_err(|_| IngestError::Crashed)
        };
        let checked = tokio::task::spawn_blocking(run).await.map_err(|_| IngestError::Crashed)??;
        checked.map_err(|refusal| self.refused(by, refusal))
    }

    /// What a refusal of an answer of `by` means; one that is their fault scores them down.
    fn refused(&self, by: &Origin, refusal: Refusal) -> IngestError {
        match refusal {
            Refusal::Failed { check, .. } => {
                metrics::counter!("prb_ingest_refused_total", "check" => check).increment(1);
                self.source.distrust(by, &refusal.to_string());
                IngestError::Refused { by: by.clone(), refusal }
            }
            Refusal::Store(error) => IngestError::Store(error),
            Refusal::NoStateCopy { .. } => IngestError::Unverifiable(refusal),
        }
    }
}

/// The relay batch that begins at a height.
pub(super) type RelayAhead = Ahead<Height, Result<Answer<Option<RelayBatch>>, SourceError>>;

/// The storage changes that begin at a height.
pub(super) type ChangesAhead = Ahead<Height, Result<Option<Fetched>, IngestError>>;

/// Blocks with the roots in their headers, and what a source says of their storage changes.
type Fetched = (Vec<(BlockRef, Hash)>, Answer<Vec<Bytes>>);

/// The storage changes of `span`, as far as headers are stored; none where they are not.
async fn changes_of(
    source: &dyn BlockSource,
    store: &dyn BlobStore,
    stream: Stream,
    span: Span,
) -> Result<Option<Fetched>, IngestError> {
    let headers = store.read(stream, span, usize::MAX).await?;
    let blocks = headers.iter().map(|blob| block_and_root(stream, blob.height, &blob.bytes));
    let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
    let (Some((first, _)), Some((last, _))) = (blocks.first(), blocks.last()) else {
        return Ok(None);
    };
    let answer = source.changes(*first, *last).await?;
    Ok(Some((blocks, answer)))
}

/// Where the batch after `batch` begins, if that closes a set. Nothing is proven yet, so this is only a guess.
fn after_set(from: Height, batch: &RelayBatch) -> Option<Height> {
    let last = Header::decode(&mut batch.headers.last()?.as_ref()).ok()?;
    last.scheduled_change()?;
    Some(from + batch.headers.len() as u32)
}

fn block_and_root(stream: Stream, height: Height, header: &Bytes) -> Result<(BlockRef, Hash), StoreError> {
    let decoded =
        Header::decode_all(&mut header.as_ref()).map_err(|_| StoreError::Damaged { stream, height })?;
    Ok((BlockRef { height, hash: Hash::of(header) }, decoded.state_root))
}
