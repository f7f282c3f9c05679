//! Requests out of what is stored.

use super::{FeedError, FeedOptions, depot::Pass};
use crate::{
    id::Height,
    plan::{Plan, Position, Rungs, is_near_tip, plan},
    port::{
        Blob, BlobStore, Coverage, StoreError, Stream, WorkerInfo,
        store::ProvenHead,
        worker::{BlockItem, HeadersRequest, ParaHeadersRequest},
    },
    span::Span,
};
use bytes::Bytes;
use codec::{DecodeAll, Encode};
use std::sync::Arc;

/// Largest run of headers sent in one request; workers take up to 100 MiB.
const MAX_HEADER_BYTES: usize = 96 << 20;

/// What a header counts for at the gate before it is read, bytes.
const HEADER_BYTES: usize = 512;

/// What justifications and proofs count for at the gate before they are read, bytes.
const PROOF_BYTES: usize = 64 << 10;

/// Plans and assembles requests. Blobs are shared with the store and with everybody who reads them.
#[derive(Clone)]
pub(super) struct Assembly {
    pub(super) store: Arc<dyn BlobStore>,
    pub(super) options: FeedOptions,
}

/// A request and what it is for.
pub(super) struct Request {
    pub(super) plan: Plan,
    pub(super) parachain: bool,
    pub(super) body: Body,
    /// Its place among those under way, none at the tip.
    pub(super) pass: Option<Pass>,
}

/// What is sent.
pub(super) enum Body {
    Blocks(Vec<BlockItem>),
    ParaHeaders(ParaHeadersRequest),
    Headers(HeadersRequest),
    Combined(HeadersRequest, ParaHeadersRequest),
}

/// The last numbers that a worker accepts or has accepted, of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accepted {
    pub(super) header: Option<Height>,
    pub(super) para: Option<Height>,
    pub(super) block: Option<Height>,
}

impl Body {
    /// All that travels of it, but for a few bytes.
    fn bytes(&self) -> usize {
        let sum = |parts: &[Bytes]| parts.iter().map(Bytes::len).sum::<usize>();
        let headers = |request: &HeadersRequest| {
            let set_change = request.set_change.as_ref().map_or(0, Bytes::len);
            sum(&request.headers) + request.justification.len() + set_change
        };
        let para = |request: &ParaHeadersRequest| sum(&request.headers) + sum(&request.proof);
        match self {
            Self::Blocks(items) => items.iter().map(|item| item.header.len() + item.changes.len()).sum(),
            Self::ParaHeaders(request) => para(request),
            Self::Headers(request) => headers(request),
            Self::Combined(request, para_request) => headers(request) + para(para_request),
        }
    }
}

impl Accepted {
    /// Whether a worker that stood at `info` has moved.
    pub(super) fn is_progress(self, info: &WorkerInfo) -> bool {
        let moved = |last: Option<Height>, next: Height| last.is_some_and(|last| last >= next);
        moved(self.header, info.headernum)
            || moved(self.para, info.para_headernum)
            || moved(self.block, info.blocknum)
    }

    /// Where a worker stands after it.
    pub(super) fn note(self, info: &mut WorkerInfo, parachain: bool) {
        if let Some(last) = self.header {
            info.headernum = last.next();
            info.waiting_for_paraheaders = parachain;
        }
        if let Some(last) = self.para {
            info.para_headernum = last.next();
            info.waiting_for_paraheaders = false;
        }
        if let Some(last) = self.block {
            info.blocknum = last.next();
        }
    }
}

impl Request {
    /// Bytes of storage changes in it, none in a request of headers.
    pub(super) fn block_bytes(&self) -> Option<usize> {
        match &self.body {
            Body::Blocks(items) => Some(items.iter().map(|item| item.changes.len()).sum()),
            _ => None,
        }
    }

    /// What a worker accepts that takes all of it.
    pub(super) fn expected(&self) -> Accepted {
        let none = Accepted::default();
        match (self.plan, &self.body) {
            (Plan::Blocks(span), Body::Blocks(items)) => {
                let last = span.first().0.saturating_add(items.len() as u32).saturating_sub(1);
                Accepted { block: Some(Height(last)), ..none }
            }
            (Plan::ParaHeaders { headers, .. }, _) => Accepted { para: Some(headers.last()), ..none },
            (Plan::Headers(span), _) => Accepted { header: Some(span.last()), ..none },
            (Plan::Combined { relay, para }, _) => {
                Accepted { header: Some(relay.last()), para: Some(para.last()), ..none }
            }
            _ => none,
        }
    }
}

impl Assembly {
    /// What a worker is to be sent next.
    pub(super) async fn plan(
        &self,
        info: &WorkerInfo,
        coverage: Option<&Coverage>,
    ) -> Result<Plan, FeedError> {
        let mut position = Position::from(info);
        if is_before_standalone_genesis(info, coverage) {
            // The store begins after the genesis header; the request puts that in front.
            position.header = Height(1);
        }
        let rungs = self.store.rungs(position.header.prev().unwrap_or_default(), 2).await?;
        Ok(plan(info.genesis_block_hash, position, coverage, Rungs::around(position.header, &rungs)))
    }

    /// What a request counts for among those under way, before it is assembled; none for what is sent at the tip,
    /// which never waits.
    pub(super) fn cost(
        &self,
        plan: Plan,
        info: &WorkerInfo,
        coverage: &Coverage,
        block_bytes: usize,
    ) -> Option<usize> {
        if is_near_tip(Position::from(info), coverage, self.options.near) {
            return None;
        }
        let headers = |span: Span| HEADER_BYTES.saturating_mul(span.count() as usize).min(MAX_HEADER_BYTES);
        match plan {
            Plan::Blocks(_) => Some(block_bytes),
            Plan::ParaHeaders { headers: span, .. } | Plan::Headers(span) => {
                Some(headers(span) + PROOF_BYTES)
            }
            Plan::Combined { relay, para } => Some(headers(relay) + headers(para) + PROOF_BYTES),
            Plan::AtTip | Plan::Wait(_) | Plan::Cannot(_) => None,
        }
    }

    /// The request of a plan, none if what it needs was replaced meanwhile.
    pub(super) async fn request(
        &self,
        plan: Plan,
        info: &WorkerInfo,
        coverage: &Coverage,
        block_bytes: usize,
        mut pass: Option<Pass>,
    ) -> Result<Option<Request>, FeedError> {
        let parachain = coverage.parachain;
        let body = match plan {
            Plan::Blocks(span) => self.blocks(span, parachain, block_bytes).await?.map(Body::Blocks),
            Plan::ParaHeaders { headers, at } => self.para_headers(headers, at).await?.map(Body::ParaHeaders),
            Plan::Headers(span) => match self.headers(span, info).await? {
                Some(mut request) if is_before_standalone_genesis(info, Some(coverage)) => {
                    let Some(genesis) = self.store.genesis().await? else { return Ok(None) };
                    request.headers.insert(0, genesis.relay.block_header.encode().into());
                    Some(Body::Headers(request))
                }
                request => request.map(Body::Headers),
            },
            Plan::Combined { relay, para } => {
                let Some(headers) = self.headers(relay, info).await? else { return Ok(None) };
                self.para_headers(para, relay.last()).await?.map(|para| Body::Combined(headers, para))
            }
            Plan::AtTip | Plan::Wait(_) | Plan::Cannot(_) => None,
        };
        let Some(body) = body else { return Ok(None) };
        if let Some(pass) = &mut pass {
            pass.shrink(body.bytes());
        }
        Ok(Some(Request { plan, parachain, body, pass }))
    }

    async fn blocks(
        &self,
        span: Span,
        parachain: bool,
        bytes: usize,
    ) -> Result<Option<Vec<BlockItem>>, FeedError> {
        let span = span.take(self.options.blocks);
        let changes = self.store.read(Stream::Changes, span, bytes).await?;
        let Some(span) = changes.last().and_then(|last| Span::new(span.first(), last.height)) else {
            return Ok(None);
        };
        let stream = if parachain { Stream::ParaHeaders } else { Stream::RelayHeaders };
        let headers = self.whole(stream, span).await?;
        let items = |headers: Vec<Bytes>| {
            let pairs = headers.into_iter().zip(changes);
            pairs.map(|(header, changes)| BlockItem { header, changes: changes.bytes }).collect()
        };
        Ok(headers.map(items))
    }

    async fn headers(&self, span: Span, info: &WorkerInfo) -> Result<Option<HeadersRequest>, FeedError> {
        let Some(headers) = self.whole(Stream::RelayHeaders, span).await? else { return Ok(None) };
        let Some(justification) = self.one(Stream::Justifications, span.last()).await? else {
            return Ok(None);
        };
        let set_change =
            if info.needs_set_change() { self.one(Stream::SetChanges, span.last()).await? } else { None };
        Ok(Some(HeadersRequest { headers, justification, set_change }))
    }

    async fn para_headers(&self, span: Span, at: Height) -> Result<Option<ParaHeadersRequest>, FeedError> {
        let Some(headers) = self.whole(Stream::ParaHeaders, span).await? else { return Ok(None) };
        let Some(head) = self.one(Stream::ParaHeads, at).await? else { return Ok(None) };
        let head = ProvenHead::decode_all(&mut head.as_ref())
            .map_err(|_| StoreError::Damaged { stream: Stream::ParaHeads, height: at })?;
        if head.number != span.last() {
            return Ok(None);
        }
        Ok(Some(ParaHeadersRequest { headers, proof: head.proof.into_iter().map(Bytes::from).collect() }))
    }

    /// All items of `span`, none if the store has not all of them (any more).
    async fn whole(&self, stream: Stream, span: Span) -> Result<Option<Vec<Bytes>>, FeedError> {
        let blobs = self.store.read(stream, span, MAX_HEADER_BYTES).await?;
        if blobs.len() as u64 == span.count() {
            return Ok(Some(blobs.into_iter().map(|blob| blob.bytes).collect()));
        }
        if blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>() > MAX_HEADER_BYTES / 2 {
            return Err(FeedError::TooLarge { stream, span });
        }
        Ok(None)
    }

    async fn one(&self, stream: Stream, height: Height) -> Result<Option<Bytes>, FeedError> {
        let blobs: Vec<Blob> = self.store.read(stream, Span::one(height), usize::MAX).await?;
        Ok(blobs.into_iter().next().map(|blob| blob.bytes))
    }
}

/// Whether the worker still wants the genesis header: standalone workers count headers from 0.
fn is_before_standalone_genesis(info: &WorkerInfo, coverage: Option<&Coverage>) -> bool {
    info.headernum == Height(0) && coverage.is_some_and(|coverage| !coverage.parachain)
}
