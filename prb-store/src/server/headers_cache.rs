//! The read API of headers-cache, byte for byte, computed from the streams: its clients (pherry, PRB v3) can use a
//! provider unchanged.
//!
//! The records are SCALE (`headers-cache`'s `BlockInfo`, `ParaHeader`, `GenesisBlockInfo`,
//! `BlockHeaderWithChanges`); what is not there is answered 404. Two things differ from the original: an answer
//! larger than the server's limit is refused with 413 instead of being built, and writing is not offered.

use super::{
    Shared,
    answer::{Answer, BINARY, Refusal, TEXT},
    body::Pieces,
    native::tag,
    session::Session,
};
use crate::extent::covered;
use bytes::Bytes;
use codec::{Compact, DecodeAll, Encode};
use hyper::StatusCode;
use prb_core::{
    id::Height,
    port::{Blob, Stream},
    span::Span,
    types::sync::{StorageChanges, StorageState},
};
use serde_json::json;

/// Most records that `/headers` looks through for a justification (headers-cache's own limit).
const MAX_SCAN: u32 = 10_000;

/// How often `/headers` starts again when the justification at the tip was replaced under it.
const ATTEMPTS: usize = 3;

impl Shared {
    pub(super) async fn headers_cache(
        &self,
        segments: &[&str],
        session: &Session,
    ) -> Result<Answer, Refusal> {
        match segments {
            ["state"] => self.state().await,
            ["genesis", number] => self.genesis_record(number).await,
            ["header", number] => self.header(number).await,
            ["headers", start] => self.headers(start, session).await,
            ["parachain-headers", start, count] => self.parachain_headers(start, count, session).await,
            ["storage-changes", start, count] => self.storage_changes(start, count, session).await,
            _ => Err(Refusal::missing("no such route")),
        }
    }

    /// The keys are headers-cache's, `higest` included.
    async fn state(&self) -> Result<Answer, Refusal> {
        let coverage = self.store.coverage().await?;
        let start = self.store.genesis().await?.map(|genesis| genesis.start().height.0);
        let last = |span: Option<Span>| span.map(|span| span.last().0);
        let heights = json!({
            "header": coverage.and_then(|coverage| last(coverage.relay)),
            "para_header": coverage.and_then(|coverage| last(coverage.para)),
            "storage_changes": coverage.and_then(|coverage| last(coverage.changes)),
        });
        let genesis: Vec<u32> = start.into_iter().collect();
        let state =
            json!({ "genesis": genesis, "recent_imported": heights, "higest": heights, "checked": heights });
        let text = serde_json::to_vec_pretty(&state).map_err(|error| Refusal::broken(error.to_string()))?;
        let mut answer = Answer::new(TEXT, Pieces::one(text));
        answer.volatile = true;
        Ok(answer)
    }

    async fn genesis_record(&self, number: &str) -> Result<Answer, Refusal> {
        let number = block_number(number)?;
        let genesis = self.store.genesis().await?.filter(|genesis| genesis.start().height == number);
        let Some(genesis) = genesis else { return Err(Refusal::missing("genesis not found")) };
        self.found(Pieces::one(genesis.relay.encode())).await
    }

    async fn header(&self, number: &str) -> Result<Answer, Refusal> {
        let number = block_number(number)?;
        let Some(header) = self.one(Stream::RelayHeaders, number).await? else {
            return Err(Refusal::missing("header not found"));
        };
        let mut pieces = Pieces::one(header.bytes);
        if !self.justified(&mut pieces, number).await? {
            bare(&mut pieces);
        }
        self.found(pieces).await
    }

    async fn headers(&self, start: &str, session: &Session) -> Result<Answer, Refusal> {
        let start = block_number(start)?;
        let share = self.share(session, self.options.response_bytes).await?;
        for _ in 0..ATTEMPTS {
            let Some(rung) = self.store.rungs(start, 1).await?.into_iter().next() else { break };
            let whole = Span::new(start, rung.at).ok_or_else(nothing)?;
            let span = whole.take(MAX_SCAN);
            let headers = self.whole(Stream::RelayHeaders, span).await?;
            let mut pieces = Pieces::default();
            pieces.copy(&count(headers.len()));
            for header in headers {
                let last = header.height == rung.at;
                pieces.share(header.bytes);
                if !last {
                    bare(&mut pieces);
                }
            }
            if span == whole && !self.justified(&mut pieces, rung.at).await? {
                continue; // the tip has moved meanwhile
            }
            let mut answer = self.found(pieces).await?;
            answer.share = Some(share);
            return Ok(answer);
        }
        Err(nothing())
    }

    async fn parachain_headers(
        &self,
        start: &str,
        items: &str,
        session: &Session,
    ) -> Result<Answer, Refusal> {
        let share = self.share(session, self.options.response_bytes).await?;
        let headers = match range(start, items)? {
            Some(span) => self.whole(Stream::ParaHeaders, span).await?,
            None => Vec::new(),
        };
        let mut pieces = Pieces::default();
        pieces.copy(&count(headers.len()));
        for header in headers {
            pieces.share(header.bytes);
        }
        let mut answer = self.found(pieces).await?;
        answer.share = Some(share);
        Ok(answer)
    }

    async fn storage_changes(&self, start: &str, items: &str, session: &Session) -> Result<Answer, Refusal> {
        let share = self.share(session, self.options.response_bytes).await?;
        let mut pieces = Pieces::default();
        let Some(span) = range(start, items)? else {
            pieces.copy(&count(0));
            return self.found(pieces).await;
        };
        pieces.copy(&count(usize::try_from(span.count()).unwrap_or(usize::MAX)));
        let mut stored = Some(span);
        if span.first() == Height(0) {
            let (header, state) = self.first_state().await?;
            pieces.copy(&dummy(&header)?);
            pieces.share(state);
            stored = span.skip(1);
        }
        let Some(span) = stored else { return self.found(pieces).await };
        let changes = self.whole(Stream::Changes, span).await?;
        let parachain = self.store.coverage().await?.is_some_and(|coverage| coverage.parachain);
        let stream = if parachain { Stream::ParaHeaders } else { Stream::RelayHeaders };
        let headers = self.whole(stream, span).await?;
        for (header, changes) in headers.into_iter().zip(changes) {
            pieces.copy(&dummy(&header)?);
            pieces.share(changes.bytes);
        }
        let mut answer = self.found(pieces).await?;
        answer.share = Some(share);
        Ok(answer)
    }

    /// Header and storage changes of block 0, which writes all of the first state (as `pha_getStorageChanges` answers).
    async fn first_state(&self) -> Result<(Blob, Bytes), Refusal> {
        let genesis = self.store.genesis().await?.ok_or_else(nothing)?;
        let limit = self.options.response_bytes;
        if genesis.para_state.len() > limit {
            let text = format!("the first state exceeds {limit} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        let pairs = StorageState::decode_all(&mut genesis.para_state.as_ref());
        let pairs = pairs.map_err(|error| Refusal::broken(error.to_string()))?;
        let main = pairs.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let changes = StorageChanges { main_storage_changes: main, ..StorageChanges::default() };
        let header = Blob { height: Height(0), bytes: genesis.para_header.encode().into() };
        Ok((header, changes.encode().into()))
    }

    /// Adds what a justified block carries after its header; false if the block is none.
    async fn justified(&self, pieces: &mut Pieces, at: Height) -> Result<bool, Refusal> {
        let Some(justification) = self.one(Stream::Justifications, at).await? else { return Ok(false) };
        pieces.copy(&[1]);
        pieces.copy(&count(justification.bytes.len()));
        pieces.share(justification.bytes);
        for stream in [Stream::ParaHeads, Stream::SetChanges] {
            match self.one(stream, at).await? {
                Some(item) => {
                    pieces.copy(&[1]);
                    pieces.share(item.bytes);
                }
                None => pieces.copy(&[0]),
            }
        }
        Ok(true)
    }

    async fn one(&self, stream: Stream, at: Height) -> Result<Option<Blob>, Refusal> {
        Ok(self.store.read(stream, Span::one(at), 0).await?.pop())
    }

    /// All items of `span`.
    async fn whole(&self, stream: Stream, span: Span) -> Result<Vec<Blob>, Refusal> {
        let coverage = self.store.coverage().await?.ok_or_else(nothing)?;
        if !covered(&coverage, stream).is_some_and(|covered| covered.covers(span)) {
            return Err(nothing());
        }
        let limit = self.options.response_bytes;
        let items = self.items(stream, span, limit, Some(&coverage)).await?;
        let blobs: Vec<Blob> = items.into_iter().map(|item| item.blob).collect();
        if blobs.len() as u64 == span.count() {
            return Ok(blobs);
        }
        let next = blobs.last().map_or(span.first(), |last| last.height.next());
        if self.one(stream, next).await?.is_some() {
            let text = format!("the answer exceeds {limit} bytes; ask for fewer blocks");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(nothing())
    }

    async fn found(&self, pieces: Pieces) -> Result<Answer, Refusal> {
        let mut answer = Answer::new(BINARY, pieces);
        answer.chain = tag(self.store.coverage().await?.as_ref());
        Ok(answer)
    }
}

/// `None` three times: no justification, no parachain head, no change of authorities.
fn bare(pieces: &mut Pieces) {
    pieces.copy(&[0, 0, 0]);
}

/// SCALE length of a vector.
fn count(items: usize) -> Vec<u8> {
    Compact(u64::try_from(items).unwrap_or(u64::MAX)).encode()
}

fn nothing() -> Refusal {
    Refusal::missing("")
}

/// headers-cache answers 404 to what is no number, too.
fn block_number(text: &str) -> Result<Height, Refusal> {
    text.parse().map(Height).map_err(|_| nothing())
}

/// The blocks asked for, none if there are none.
fn range(start: &str, items: &str) -> Result<Option<Span>, Refusal> {
    let (start, items) = (block_number(start)?, block_number(items)?.0);
    let Some(after_first) = items.checked_sub(1) else { return Ok(None) };
    let last = start.0.checked_add(after_first).ok_or_else(nothing)?;
    Ok(Span::new(start, Height(last)))
}

/// The header of a `BlockHeaderWithChanges`: number and state root of `header`, zeroes otherwise.
///
/// A header begins with the parent hash (32 bytes), the number (compact) and the state root (32 bytes).
fn dummy(header: &Blob) -> Result<Vec<u8>, Refusal> {
    const HASH: usize = 32;
    let number = Compact(header.height.0).encode();
    let root = header.bytes.get(HASH + number.len()..).and_then(|rest| rest.get(..HASH));
    let root = root.ok_or_else(|| Refusal::broken("a stored header is too short"))?;
    Ok([&[0; HASH], number.as_slice(), root, &[0; HASH], &[0]].concat())
}
