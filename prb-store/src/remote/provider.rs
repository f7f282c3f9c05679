//! One provider: what it covers and how it is.

use super::{
    RemoteOptions,
    client::{Address, Client, Reply},
    hedge::Pulse,
};
use crate::{extent::covered, tls::ClientTls};
use bytes::Bytes;
use hyper::StatusCode;
use prb_core::{
    id::Height,
    port::{Blob, Coverage, Genesis, Rung, Stream, source::ChainIdentity},
    progress::Stall,
    span::Span,
    wire::{self, End, FrameHead},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Largest record that is no list of items: a genesis carries the parachain's whole first state.
const MAX_RECORD: usize = 512 << 20;

/// Largest coverage record with its framing.
const MAX_COVERAGE: usize = 1 << 10;

/// Largest list of rungs.
const MAX_RUNGS_RECORD: usize = 16 * wire::MAX_RUNGS + 64;

pub(super) struct Provider {
    pub(super) url: String,
    client: Client,
    chunk: usize,
    health: Mutex<Health>,
}

/// How a provider is.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    /// Whether it has answered lately.
    pub(super) alive: bool,
    /// Its answers failed a check; it is asked last until then.
    pub(super) distrusted_until: Option<Instant>,
    /// How many of its answers failed a check.
    pub(super) lies: u32,
    /// It follows other chains.
    pub(super) foreign: bool,
    pub(super) coverage: Option<Coverage>,
    /// Why it is not used.
    pub(super) cause: Option<String>,
    /// When it last said what it covers, or that this is still so.
    pub(super) heard: Option<Instant>,
    /// Whether it says nothing.
    pub(super) silence: Stall<Option<Instant>>,
    /// Whether it says the same again and again.
    pub(super) standstill: Stall<Option<Height>>,
}

impl Health {
    pub(super) fn usable(&self) -> bool {
        self.alive && !self.foreign && self.distrusted_until.is_none_or(|until| until <= Instant::now())
    }
}

/// Why a provider's answer is not used.
#[derive(Debug)]
pub(super) enum Failure {
    /// It did not answer, or says that it cannot.
    Silent(String),
    /// Its answer failed a check.
    Lied(String),
}

/// The items a provider has answered.
pub(super) struct Items {
    pub(super) blobs: Vec<Blob>,
    /// Whether the next one is damaged there.
    pub(super) damaged: bool,
}

impl Provider {
    pub(super) fn new(address: Address, tls: Option<ClientTls>, options: RemoteOptions) -> Self {
        let (url, chunk) = (address.url(), options.chunk_bytes.max(1));
        Self { url, client: Client::new(address, tls, options), chunk, health: Mutex::default() }
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coverage and its tag; none if it is still `known` after `wait`.
    pub(super) async fn news(
        &self,
        known: Option<&str>,
        wait: Duration,
    ) -> Result<Option<(String, Option<Coverage>)>, Failure> {
        let path = match known {
            Some(known) => format!("{}?known={known}&wait={}", wire::COVERAGE, wait.as_secs()),
            None => wire::COVERAGE.to_owned(),
        };
        let wait = known.map_or(Duration::ZERO, |_| wait);
        let reply = self.client.ask_for_news(&path, MAX_COVERAGE, wait).await.map_err(Failure::Silent)?;
        if known.is_some() && reply.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let reply = found(reply)?;
        // Who cannot say it may be somebody else. What can be read is not looked at for words: it begins with a checksum.
        let coverage = wire::open("coverage", &reply.body).map_err(|error| {
            let stranger = wire::stranger(reply.status.as_u16(), &reply.body);
            stranger.map_or_else(|| lied(error), |who| Failure::Silent(who.to_owned()))
        })?;
        let etag = reply.header("etag").map(|etag| etag.trim_matches('"').to_owned());
        let etag = etag.filter(|etag| etag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let etag = etag.ok_or_else(|| Failure::Lied("its coverage has no entity tag".to_owned()))?;
        Ok(Some((etag, coverage)))
    }

    pub(super) async fn genesis(
        &self,
        chain: &ChainIdentity,
        pulse: &Pulse,
    ) -> Result<Option<Genesis>, Failure> {
        let reply = self.client.ask(wire::GENESIS, MAX_RECORD, pulse).await.map_err(Failure::Silent)?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let genesis: Genesis = wire::open("genesis", &found(reply)?.body).map_err(lied)?;
        if genesis.identity() != *chain {
            return Err(Failure::Lied("its genesis is another chain's".to_owned()));
        }
        Ok(Some(genesis))
    }

    pub(super) async fn rungs(
        &self,
        chain: &ChainIdentity,
        mut from: Height,
        limit: usize,
        pulse: &Pulse,
    ) -> Result<Vec<Rung>, Failure> {
        let mut rungs: Vec<Rung> = Vec::new();
        while rungs.len() < limit {
            let ask = (limit - rungs.len()).min(wire::MAX_RUNGS);
            let path = format!("{}?from={from}&limit={ask}", wire::RUNGS);
            let reply = self.client.ask(&path, MAX_RUNGS_RECORD, pulse).await.map_err(Failure::Silent)?;
            let reply = found(reply)?;
            let got: Vec<Rung> = wire::open("rungs", &reply.body).map_err(lied)?;
            let ascending = got.windows(2).all(|pair| pair[0].at < pair[1].at);
            if got.len() > ask || !ascending || got.first().is_some_and(|rung| rung.at < from) {
                return Err(Failure::Lied("its rungs are not those asked for".to_owned()));
            }
            same_chain(&reply, chain, got.is_empty())?;
            let (full, last) = (got.len() == ask, got.last().map(|rung| rung.at));
            rungs.extend(got);
            match last.and_then(|last| last.0.checked_add(1)) {
                Some(next) if full => from = Height(next),
                _ => break,
            }
        }
        Ok(rungs)
    }

    /// Items of `span` that fit `max_bytes`, at least one if the first is there.
    pub(super) async fn items(
        &self,
        chain: &ChainIdentity,
        stream: Stream,
        span: Span,
        max_bytes: usize,
        pulse: &Pulse,
    ) -> Result<Items, Failure> {
        let mut items = Items { blobs: Vec::new(), damaged: false };
        let claimed = self.health().coverage.and_then(|coverage| covered(&coverage, stream));
        let mut left = max_bytes;
        let mut rest = Some(span);
        while let Some(part) = rest {
            let ask = left.min(self.chunk);
            let (blobs, end) = self.chunk(chain, stream, part, ask, pulse).await?;
            let Some(last) = blobs.last().map(|blob| blob.height) else {
                items.damaged = end == End::Damaged;
                break;
            };
            for blob in blobs {
                match left.checked_sub(blob.bytes.len()) {
                    Some(rest) => left = rest,
                    None if items.blobs.is_empty() => left = 0,
                    None => return Ok(items),
                }
                items.blobs.push(blob);
            }
            match end {
                End::Complete => break,
                End::Budget if ask == max_bytes => break,
                End::Budget | End::Cut => {}
                End::Damaged => {
                    items.damaged = true;
                    break;
                }
            }
            rest = last.0.checked_add(1).and_then(|next| Span::new(Height(next), span.last()));
        }
        let last = items.blobs.last().map(|blob| blob.height);
        if !items.damaged && owes(claimed, span, last, left) {
            return Err(Failure::Lied(format!("it covers {stream} {span} and does not answer them")));
        }
        Ok(items)
    }

    async fn chunk(
        &self,
        chain: &ChainIdentity,
        stream: Stream,
        span: Span,
        max_bytes: usize,
        pulse: &Pulse,
    ) -> Result<(Vec<Blob>, End), Failure> {
        let (first, last) = (span.first(), span.last());
        let path = format!("{}/{stream}/{first}/{last}?max_bytes={max_bytes}", wire::BLOBS);
        let items = usize::try_from(span.count()).unwrap_or(usize::MAX);
        // Empty items are not stored, so no more frames than bytes fit.
        let frames = FrameHead::LEN * items.min(max_bytes.saturating_add(1));
        let cap = max_bytes.max(wire::MAX_BLOB_BYTES as usize).saturating_add(frames);
        let reply = found(self.client.ask(&path, cap, pulse).await.map_err(Failure::Silent)?)?;
        let end = reply.header(wire::END).and_then(End::named);
        let end = end.ok_or_else(|| Failure::Lied("it does not say why it ends".to_owned()))?;
        same_chain(&reply, chain, reply.body.is_empty())?;
        let mut blobs = wire::decode_frames(stream, span, reply.body).map_err(lied)?;
        if blobs.len() > 1 {
            // One kept item must not keep the whole answer in memory.
            for blob in &mut blobs {
                blob.bytes = Bytes::copy_from_slice(&blob.bytes);
            }
        }
        Ok((blobs, end))
    }
}

/// Whether an answer that ends with `last`, with `left` bytes to spare, lacks what was `claimed` before it was asked
/// for.
fn owes(claimed: Option<Span>, span: Span, last: Option<Height>, left: usize) -> bool {
    match (claimed, last) {
        (None, _) => false,
        (Some(claimed), None) => claimed.contains(span.first()),
        // What does not fit any more may be of any size; only an answer that leaves room for all is suspect.
        (Some(claimed), Some(last)) => {
            last < span.last().min(claimed.last()) && left > wire::MAX_BLOB_BYTES as usize
        }
    }
}

fn found(reply: Reply) -> Result<Reply, Failure> {
    if reply.status == StatusCode::OK {
        return Ok(reply);
    }
    let text: String =
        String::from_utf8_lossy(&reply.body).chars().filter(|c| !c.is_control()).take(200).collect();
    // Pages are for people with browsers.
    let text = if text.trim_start().starts_with('<') { "" } else { &text };
    if let Some(who) = wire::stranger(reply.status.as_u16(), &reply.body) {
        return Err(Failure::Silent(format!("{} {text}: {who}", reply.status)));
    }
    Err(Failure::Silent(format!("{} {text}", reply.status)))
}

/// An answer that is empty need not say whose it is.
fn same_chain(reply: &Reply, chain: &ChainIdentity, empty: bool) -> Result<(), Failure> {
    match reply.header(wire::CHAIN) {
        Some(tag) if tag == wire::chain_tag(chain) => Ok(()),
        None if empty => Ok(()),
        _ => Err(Failure::Lied("its answer is about another chain".to_owned())),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn lied(error: wire::WireError) -> Failure {
    Failure::Lied(error.to_string())
}
