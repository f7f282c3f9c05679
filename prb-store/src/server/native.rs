//! The routes of `prb_core::wire`.

use super::{
    Shared,
    answer::{Answer, BINARY, JSON, Refusal, short},
    body::Pieces,
    hot::Framed,
    session::Session,
};
use hyper::StatusCode;
use prb_core::{
    id::{Hash, Height},
    port::{Coverage, StoreError, Stream},
    span::Span,
    wire::{self, End, FrameHead},
};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Parameters behind the question mark.
#[derive(Clone, Copy)]
pub(super) struct Query<'a>(pub(super) &'a str);

impl<'a> Query<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, v)| v)
    }

    fn number(self, name: &str) -> Result<Option<u64>, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| Refusal::bad(format!("{name} must be a number")));
        self.text(name).map(parse).transpose()
    }
}

/// A height in a path.
pub(super) fn height(text: &str) -> Result<Height, Refusal> {
    text.parse().map(Height).map_err(|_| Refusal::bad("block numbers are decimal, up to 4294967295"))
}

impl Shared {
    pub(super) async fn native(
        &self,
        segments: &[&str],
        query: Query<'_>,
        session: &Session,
    ) -> Result<Answer, Refusal> {
        match segments {
            ["info"] => self.info().await,
            ["coverage"] => self.covered(query).await,
            ["genesis"] => self.genesis(session).await,
            ["rungs"] => self.rungs(query).await,
            ["blobs", stream, first, last] => self.blobs(stream, (first, last), query, session).await,
            _ => Err(Refusal::missing("no such route")),
        }
    }

    async fn info(&self) -> Result<Answer, Refusal> {
        let coverage = self.store.coverage().await?;
        let text = serde_json::to_vec_pretty(&self.status(coverage.as_ref()))
            .map_err(|error| Refusal::broken(error.to_string()))?;
        let mut answer = Answer::new(JSON, Pieces::one(text));
        answer.volatile = true;
        answer.chain = tag(coverage.as_ref());
        Ok(answer)
    }

    async fn covered(&self, query: Query<'_>) -> Result<Answer, Refusal> {
        let known = query.text("known").map(|known| known.trim_matches('"'));
        let wait = query.number("wait")?.unwrap_or(0).min(wire::MAX_WAIT_SECONDS);
        let end = Instant::now() + Duration::from_secs(wait);
        loop {
            let coverage = self.store.coverage().await?;
            let record = wire::seal(&coverage);
            let etag = short(&Hash::of(&record).0);
            let news = known != Some(etag.as_str());
            if news || wait == 0 || Instant::now() >= end || self.stop.is_cancelled() {
                if !news {
                    let refusal = Refusal::new(StatusCode::NOT_MODIFIED, "");
                    return Err(refusal);
                }
                let mut answer = Answer::new(BINARY, Pieces::one(record));
                answer.etag = Some(etag);
                answer.chain = tag(coverage.as_ref());
                return Ok(answer);
            }
            tokio::select! {
                waited = self.store.wait(coverage) => waited?,
                () = sleep_until(end) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn genesis(&self, session: &Session) -> Result<Answer, Refusal> {
        let share = self.share(session, self.options.response_bytes).await?;
        let Some(genesis) = self.store.genesis().await? else {
            return Err(Refusal::missing("nothing is stored yet"));
        };
        let mut answer = Answer::new(BINARY, Pieces::one(wire::seal(&*genesis)));
        answer.chain = Some(wire::chain_tag(&genesis.identity()));
        answer.share = Some(share);
        Ok(answer)
    }

    async fn rungs(&self, query: Query<'_>) -> Result<Answer, Refusal> {
        let from = query.number("from")?.unwrap_or(0);
        let from = u32::try_from(from).map_err(|_| Refusal::bad("from must be a block number"))?;
        let limit = query.number("limit")?.unwrap_or(u64::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(wire::MAX_RUNGS);
        let rungs = self.store.rungs(Height(from), limit).await?;
        let mut answer = Answer::new(BINARY, Pieces::one(wire::seal(&rungs)));
        answer.chain = tag(self.store.coverage().await?.as_ref());
        Ok(answer)
    }

    async fn blobs(
        &self,
        stream: &str,
        (first, last): (&str, &str),
        query: Query<'_>,
        session: &Session,
    ) -> Result<Answer, Refusal> {
        let stream = wire::stream_named(stream).ok_or_else(|| Refusal::missing("no such stream"))?;
        let span = Span::new(height(first)?, height(last)?)
            .ok_or_else(|| Refusal::bad("the last height is before the first"))?;
        let asked = query.number("max_bytes")?.unwrap_or(u64::MAX);
        let asked = usize::try_from(asked).unwrap_or(usize::MAX);
        let limit = asked.min(self.options.response_bytes);
        let share = self.share(session, limit).await?;
        let coverage = self.store.coverage().await?;
        let items = self.items(stream, span, limit, coverage.as_ref()).await?;
        let end = self.end(stream, span, &items, asked, coverage.as_ref()).await?;
        let (mut pieces, mut heads) = (Pieces::default(), Vec::with_capacity(items.len() * FrameHead::LEN));
        for item in items {
            pieces.copy(&item.head);
            heads.extend_from_slice(&item.head);
            pieces.share(item.blob.bytes);
        }
        pieces.known_by(heads);
        let mut answer = Answer::new(BINARY, pieces);
        answer.chain = tag(coverage.as_ref());
        answer.end = Some(end);
        answer.share = Some(share);
        Ok(answer)
    }

    async fn is_there(&self, stream: Stream, at: Height) -> Result<bool, Refusal> {
        Ok(!self.store.read(stream, Span::one(at), 0).await?.is_empty())
    }

    /// Why `items` ends where it does, when `asked` bytes were asked for.
    async fn end(
        &self,
        stream: Stream,
        span: Span,
        items: &[Framed],
        asked: usize,
        coverage: Option<&Coverage>,
    ) -> Result<End, Refusal> {
        let Some(last) = items.last().map(|item| item.blob.height) else { return Ok(End::Complete) };
        let rest = last.0.checked_add(1).and_then(|next| Span::new(Height(next), span.last()));
        let Some(rest) = rest else { return Ok(End::Complete) };
        match self.items(stream, rest, 1, coverage).await {
            // What was the open tip may be replaced since; it was the last there was.
            Ok(next) if stream.is_sparse() && !next.is_empty() && !self.is_there(stream, last).await? => {
                Ok(End::Complete)
            }
            Ok(next) => {
                let size: usize = items.iter().map(|item| item.blob.bytes.len()).sum();
                Ok(match next.first() {
                    None => End::Complete,
                    Some(next) if next.blob.bytes.len() <= asked.saturating_sub(size) => End::Cut,
                    Some(_) => End::Budget,
                })
            }
            Err(StoreError::Damaged { .. }) => Ok(End::Damaged),
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn tag(coverage: Option<&Coverage>) -> Option<String> {
    coverage.map(|coverage| wire::chain_tag(&coverage.identity))
}
