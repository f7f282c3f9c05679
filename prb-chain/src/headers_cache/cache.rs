//! What a headers-cache is asked.

use super::{
    locked,
    records::{self, Block},
};
use crate::http::{BadUrl, Budget, Http, HttpOptions, MAX_CHANGES, MAX_HEADERS};
use codec::DecodeAll;
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    port::{RelayBatch, SourceError, store::ProvenHead},
    span::Span,
    types::sync::GenesisBlockInfo,
    wire,
};
use serde::Deserialize;
use std::sync::Mutex;

/// Parachain headers asked for in one call.
const HEADERS_PER_CALL: u32 = 500;

/// Blocks whose storage changes are asked for in one call; fewer where the server finds them too large.
const CHANGES_PER_CALL: u32 = 16;

/// Largest list of records.
const MAX_RECORDS: usize = 128 << 20;

/// Largest `/state`.
const MAX_STATE: usize = 64 << 10;

/// Most headers of a batch. Sets of the live networks have 600 to 2,400 blocks.
const MAX_BATCH: usize = 200_000;

/// A cache. What it does not have is none, not an error.
pub(super) struct Cache {
    pub(super) http: Http,
    /// The head at the end of the last batch. By the time it is asked for, a cache that follows the tip may have
    /// replaced it.
    head: Mutex<Option<(BlockRef, Option<ProvenHead>)>>,
}

/// What is read of `/state`.
#[derive(Deserialize)]
pub(super) struct StateJson {
    #[serde(default)]
    genesis: Vec<u32>,
    /// Spelled so by headers-cache.
    pub(super) higest: HeightsJson,
}

#[derive(Deserialize)]
pub(super) struct HeightsJson {
    pub(super) header: Option<u32>,
    pub(super) para_header: Option<u32>,
}

impl Cache {
    pub(super) fn new(url: &str, options: HttpOptions) -> Result<Self, BadUrl> {
        Ok(Self { http: Http::new(url, options)?, head: Mutex::default() })
    }

    pub(super) fn endpoint(&self) -> &str {
        self.http.endpoint()
    }

    /// A record, none if the cache does not have it.
    async fn get(&self, path: &str, what: &str) -> Result<Option<Bytes>, SourceError> {
        match self.http.get(path, what, MAX_RECORDS).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(SourceError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn state(&self) -> Result<StateJson, SourceError> {
        const WHAT: &str = "state of the cache";
        let reply = self.http.get("/state", WHAT, MAX_STATE).await;
        let reply = reply.map_err(|error| self.http.always_there(error))?;
        if let Some(who) = wire::stranger(200, &reply.body) {
            return Err(self.http.bad(WHAT, who));
        }
        serde_json::from_slice(&reply.body).map_err(|error| self.http.bad(WHAT, error))
    }

    /// The records from `from` up to the next justification, none if there is none yet.
    pub(super) async fn batch(&self, from: Height) -> Result<Option<RelayBatch>, SourceError> {
        let mut headers = Vec::new();
        let mut budget = Budget::new(MAX_HEADERS);
        let mut next = from;
        loop {
            let what = format!("relay headers from {next}");
            let Some(body) = self.get(&format!("/headers/{next}"), &what).await? else { return Ok(None) };
            budget.take(body.len()).map_err(|cause| self.http.bad(&*what, cause))?;
            let blocks = records::blocks(body, next).map_err(|error| self.http.bad(&*what, error))?;
            if blocks.is_empty() {
                return Err(self.http.bad(what, "no record"));
            }
            for Block { header, more } in blocks {
                headers.push(header);
                if let Some(justification) = more.justification {
                    let last = headers.last().map(|header| Hash::of(header)).unwrap_or_default();
                    let at = BlockRef { height: next, hash: last };
                    *locked(&self.head) = Some((at, more.para_head));
                    let justification = justification.into();
                    return Ok(Some(RelayBatch { headers, justification, set_change: more.set_change }));
                }
                if headers.len() == MAX_BATCH {
                    return Err(self.http.bad(what, format!("no justification in {MAX_BATCH} headers")));
                }
                next = next.next();
            }
        }
    }

    /// The head in the state of a justified block. The outer none: the cache has no such record.
    pub(super) async fn proven_head(&self, at: BlockRef) -> Result<Option<Option<ProvenHead>>, SourceError> {
        if let Some((_, head)) = locked(&self.head).clone().filter(|(block, _)| *block == at) {
            return Ok(Some(head));
        }
        let what = format!("record of relay block {}", at.height);
        let Some(body) = self.get(&format!("/header/{}", at.height), &what).await? else { return Ok(None) };
        let block = records::block(body, at.height).map_err(|error| self.http.bad(&*what, error))?;
        let hash = Hash::of(&block.header);
        if hash != at.hash {
            return Err(self.http.bad(what, format!("the header's hash is {hash}")));
        }
        Ok(block.more.justification.map(|_| block.more.para_head))
    }

    /// Parachain headers, none if the cache lacks any.
    pub(super) async fn headers(&self, span: Span) -> Result<Option<Vec<Bytes>>, SourceError> {
        let mut headers = Vec::new();
        let mut budget = Budget::new(MAX_HEADERS);
        let mut rest = Some(span);
        while let Some(span) = rest {
            let part = span.take(HEADERS_PER_CALL);
            let what = format!("parachain headers {part}");
            let path = format!("/parachain-headers/{}/{}", part.first(), part.count());
            let Some(body) = self.get(&path, &what).await? else { return Ok(None) };
            budget.take(body.len()).map_err(|cause| self.http.bad(&*what, cause))?;
            let found = records::headers(body, part.first()).map_err(|error| self.http.bad(&*what, error))?;
            self.check_count(&what, part, found.len())?;
            headers.extend(found);
            rest = span.skip(HEADERS_PER_CALL);
        }
        Ok(Some(headers))
    }

    /// Storage changes, none if the cache lacks any. Halves what the server finds too large.
    pub(super) async fn changes(&self, span: Span) -> Result<Option<Vec<Bytes>>, SourceError> {
        let mut changes = Vec::new();
        let mut budget = Budget::new(MAX_CHANGES);
        let mut rest = Some(span);
        let mut per_call = CHANGES_PER_CALL;
        while let Some(span) = rest {
            let part = span.take(per_call);
            let what = format!("storage changes of parachain blocks {part}");
            let path = format!("/storage-changes/{}/{}", part.first(), part.count());
            match self.get(&path, &what).await {
                Ok(Some(body)) => {
                    budget.take(body.len()).map_err(|cause| self.http.bad(&*what, cause))?;
                    let found =
                        records::changes(body, part.first()).map_err(|error| self.http.bad(&*what, error))?;
                    self.check_count(&what, part, found.len())?;
                    changes.extend(found);
                    rest = span.skip(per_call);
                }
                Ok(None) => return Ok(None),
                Err(SourceError::TooLarge { .. }) if part.count() > 1 => {
                    per_call = per_call.min(u32::try_from(part.count()).unwrap_or(per_call)) / 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(changes))
    }

    fn check_count(&self, what: &str, span: Span, found: usize) -> Result<(), SourceError> {
        if found as u64 == span.count() {
            return Ok(());
        }
        Err(self.http.bad(what, format!("{found} records instead of {}", span.count())))
    }

    /// Where workers start, none if the cache does not have that.
    pub(super) async fn genesis_record(&self) -> Result<Option<GenesisBlockInfo>, SourceError> {
        const WHAT: &str = "genesis record";
        let Some(number) = self.state().await?.genesis.into_iter().min() else { return Ok(None) };
        let Some(body) = self.get(&format!("/genesis/{number}"), WHAT).await? else { return Ok(None) };
        GenesisBlockInfo::decode_all(&mut body.as_ref()).map(Some).map_err(|error| self.http.bad(WHAT, error))
    }
}
