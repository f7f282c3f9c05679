//! What a node answered, to be answered again without waiting.

use async_trait::async_trait;
use prb_chain::node_source::NodeSource;
use prb_core::{
    Bytes,
    id::{BlockRef, Height},
    port::{Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Tips},
    span::Span,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The answers.
#[derive(Default)]
pub(super) struct Tape {
    genesis: Option<Genesis>,
    tips: Tips,
    batches: BTreeMap<Height, RelayBatch>,
    heads: BTreeMap<Height, ParaHead>,
    headers: BTreeMap<Height, Bytes>,
    changes: BTreeMap<Height, Bytes>,
}

impl Tape {
    /// Storage changes of all parachain blocks.
    pub(super) fn changes(&self) -> Vec<Bytes> {
        self.changes.values().cloned().collect()
    }

    /// Its last blocks.
    pub(super) fn tips(&self) -> Tips {
        self.tips
    }
}

/// A node whose answers are kept.
pub(super) struct Recorder {
    inner: NodeSource,
    tape: Mutex<Tape>,
}

impl Recorder {
    pub(super) fn new(inner: NodeSource) -> Self {
        Self { inner, tape: Mutex::default() }
    }

    /// What was answered so far; it begins anew.
    pub(super) fn take(&self) -> Tape {
        std::mem::take(&mut *self.tape())
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlockSource for Recorder {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        let genesis = self.inner.genesis().await?;
        self.tape().genesis = Some(genesis.value.clone());
        Ok(genesis)
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        self.inner.tips().await
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        let batch = self.inner.relay_batch(from).await?;
        if let Some(batch) = &batch.value {
            let mut tape = self.tape();
            tape.tips.relay = Height(from.0 + batch.headers.len() as u32 - 1);
            tape.batches.insert(from, batch.clone());
        }
        Ok(batch)
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        let head = self.inner.para_head(at, para_id).await?;
        self.tape().heads.extend(head.value.clone().map(|head| (at.height, head)));
        Ok(head)
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let headers = self.inner.para_headers(span).await?;
        let mut tape = self.tape();
        tape.tips.para = span.last();
        tape.headers.extend(span.heights().zip(headers.value.iter().cloned()));
        Ok(headers)
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let changes = self.inner.changes(first, last).await?;
        let heights = (first.height.0..).map(Height);
        self.tape().changes.extend(heights.zip(changes.value.iter().cloned()));
        Ok(changes)
    }

    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError> {
        self.inner.wait_for_tip(known).await
    }

    fn expect(&self, chain: &ChainIdentity) {
        self.inner.expect(chain);
    }

    fn endpoint(&self) -> String {
        self.inner.endpoint()
    }
}

/// A source that answers from a tape at once.
pub(super) struct Replay {
    tape: Arc<Tape>,
    has_changes: bool,
}

impl Replay {
    pub(super) fn new(tape: Arc<Tape>) -> Self {
        Self { tape, has_changes: true }
    }

    /// One that has no storage changes.
    pub(super) fn headers_only(tape: Arc<Tape>) -> Self {
        Self { tape, has_changes: false }
    }

    fn answer<T>(&self, value: T) -> Result<Answer<T>, SourceError> {
        Ok(Answer::new(value, Origin::new(self.endpoint())))
    }

    fn missing(what: &str) -> SourceError {
        SourceError::Missing { endpoint: "tape".to_owned(), what: what.to_owned() }
    }
}

#[async_trait]
impl BlockSource for Replay {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        self.answer(self.tape.genesis.clone().ok_or_else(|| Self::missing("genesis"))?)
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        Ok(self.tape.tips)
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        self.answer(self.tape.batches.get(&from).cloned())
    }

    async fn para_head(&self, at: BlockRef, _para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        self.answer(self.tape.heads.get(&at.height).cloned())
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let headers = span.heights().map(|height| self.tape.headers.get(&height).cloned());
        let headers: Option<Vec<Bytes>> = headers.collect();
        self.answer(headers.ok_or_else(|| Self::missing("parachain headers"))?)
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        if !self.has_changes {
            return Err(Self::missing("changes"));
        }
        let heights = first.height.0..=last.height.0;
        let changes: Option<Vec<Bytes>> =
            heights.map(|height| self.tape.changes.get(&Height(height)).cloned()).collect();
        self.answer(changes.ok_or_else(|| Self::missing("changes"))?)
    }

    async fn wait_for_tip(&self, _known: Tips) -> Result<(), SourceError> {
        Ok(())
    }

    /// A tape is of one chain.
    fn expect(&self, _chain: &ChainIdentity) {}

    fn endpoint(&self) -> String {
        "tape".to_owned()
    }
}
