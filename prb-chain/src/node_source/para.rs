//! The parachain's node: headers, storage changes, whole states.

use super::{
    SourceOptions, archive,
    chain::ChainNode,
    json::{ChangeSetJson, ChangesJson},
    proofs,
};
use crate::rpc::{HexBytes, Question, Rpc};
use codec::{Decode, Encode};
use futures::{StreamExt, TryStreamExt, stream};
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    port::SourceError,
    span::Span,
    types::{
        header::Header,
        sync::{ChangesForm, StorageState},
    },
};
use serde_json::json;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

/// Keys per page; nodes refuse more than 1000.
const KEYS_PER_PAGE: usize = 1000;
/// Values asked for in one call.
const VALUES_PER_CALL: usize = 256;
/// Most keys of a state read page by page.
const MAX_KEYS: usize = 50_000_000;

/// How a node gives storage changes, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Phala's RPC extension re-executes blocks and answers what they wrote.
    Extension,
    /// The archive methods compare all keys of two states.
    Archive,
    /// Read proofs, of which we compare the nodes.
    Proofs,
}

impl Way {
    const ALL: [Self; 3] = [Self::Extension, Self::Archive, Self::Proofs];

    const fn method(self) -> &'static str {
        match self {
            Self::Extension => "pha_getStorageChanges",
            Self::Archive => archive::METHOD,
            Self::Proofs => proofs::METHOD,
        }
    }

    const fn form(self) -> ChangesForm {
        match self {
            Self::Extension => ChangesForm::Written,
            Self::Archive | Self::Proofs => ChangesForm::Diff,
        }
    }
}

/// A node of the parachain.
pub struct ParaNode {
    chain: ChainNode,
    /// Blocks per call of storage changes that went well lately, at most `most_per_call`.
    per_call: AtomicU32,
    most_per_call: u32,
    in_flight: usize,
    /// The best way to storage changes that the node has not refused.
    way: Mutex<Way>,
    /// Form of the storage changes answered so far.
    form: Mutex<Option<ChangesForm>>,
}

impl ParaNode {
    /// The node behind this connection.
    pub fn new(rpc: Rpc, options: SourceOptions) -> Self {
        let most = options.changes_per_call.clamp(1, 1000);
        Self {
            chain: ChainNode::new(rpc, "parachain", options.headers_in_flight),
            per_call: AtomicU32::new(most),
            most_per_call: most,
            in_flight: options.changes_in_flight.max(1),
            way: Mutex::new(Way::Extension),
            form: Mutex::default(),
        }
    }

    /// Name of the node, without credentials.
    pub fn endpoint(&self) -> &str {
        self.chain.rpc.endpoint()
    }

    /// The finalized head.
    pub async fn head(&self) -> Result<BlockRef, SourceError> {
        self.chain.finalized().await
    }

    /// The canonical header at `height`.
    pub async fn header(&self, height: Height) -> Result<Header, SourceError> {
        Ok(self.chain.header_at(height).await?.0)
    }

    /// SCALE headers of `span`.
    pub async fn headers(&self, span: Span) -> Result<Vec<Bytes>, SourceError> {
        self.chain.headers(span).await
    }

    /// A value that must decode as `T`; none where the key is absent.
    pub async fn value<T: Decode>(
        &self,
        key: &[u8],
        at: BlockRef,
        what: &str,
    ) -> Result<Option<T>, SourceError> {
        let Some(value) = self.chain.storage(key, at, what).await? else { return Ok(None) };
        T::decode(&mut value.as_slice()).map(Some).map_err(|error| self.chain.rpc.bad(what, error))
    }

    /// This node lacks something.
    pub(super) fn missing(&self, what: &str) -> SourceError {
        self.chain.rpc.missing(what)
    }

    /// SCALE storage changes of `first..=last`, one per block: what the blocks wrote, if the node has Phala's RPC
    /// extension, else what differs between the states around them.
    pub async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Vec<Bytes>, SourceError> {
        let what = || format!("storage changes of parachain blocks {}..={}", first.height, last.height);
        let span = Span::new(first.height, last.height)
            .ok_or_else(|| self.chain.rpc.bad(what(), "the range is empty"))?;
        let known = *self.way();
        for way in Way::ALL.into_iter().filter(|way| *way >= known) {
            let answer = match way {
                Way::Extension => self.written(span, first.hash, last.hash).await,
                Way::Archive | Way::Proofs => self.differing(way, span, first.hash, last.hash).await,
            };
            match answer {
                Ok(changes) => {
                    *self.way() = way;
                    self.note(way.form());
                    return Ok(changes);
                }
                // Some servers take a question for differences and never come to its end.
                Err(SourceError::Refused { .. } | SourceError::Timeout { .. }) if way == Way::Archive => {}
                Err(SourceError::Refused { .. }) if way == Way::Extension => {}
                Err(SourceError::Refused { endpoint, cause, .. }) => {
                    // Another node may be behind the address next time.
                    *self.way() = Way::Extension;
                    let method = Way::ALL.map(Way::method).join(", ");
                    return Err(SourceError::Refused { endpoint, method, cause });
                }
                Err(error) => return Err(error),
            }
            tracing::info!(
                endpoint = self.endpoint(),
                "no answer to {}, trying what else there is",
                way.method()
            );
        }
        Err(self.missing(&what()))
    }

    /// Form of the storage changes that the node has answered so far, none before the first.
    pub fn changes_form(&self) -> Option<ChangesForm> {
        *self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, form: ChangesForm) {
        let mut noted = self.form.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = Some(noted.map_or(form, |noted| noted.and(form)));
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn differing(
        &self,
        way: Way,
        span: Span,
        first: Hash,
        last: Hash,
    ) -> Result<Vec<Bytes>, SourceError> {
        let mut heights: Vec<Height> = span.heights().collect();
        let ends = [(span.first(), first), (span.last(), last)];
        heights.retain(|height| ends.iter().all(|(end, _)| end != height));
        let between = self.chain.hashes(&heights).await?;
        let mut hashes = vec![first];
        hashes.extend(between);
        if span.count() > 1 {
            hashes.push(last);
        }
        let blocks = span.heights().zip(hashes).map(|(height, hash)| BlockRef { height, hash });
        stream::iter(blocks)
            .map(|block| async move {
                match way {
                    Way::Proofs => proofs::changes(&self.chain, block).await,
                    _ => archive::changes(&self.chain.rpc, block).await,
                }
            })
            .buffered(self.in_flight)
            .try_collect()
            .await
    }

    async fn written(&self, span: Span, first: Hash, last: Hash) -> Result<Vec<Bytes>, SourceError> {
        let calls = self.calls(span, first, last).await?;
        let parts: Vec<Vec<Bytes>> = stream::iter(calls)
            .map(|(from, to)| self.changes_split(from, to))
            .buffered(self.in_flight)
            .try_collect()
            .await?;
        Ok(parts.concat())
    }

    /// Cuts `span` into calls, each by its first and last block.
    async fn calls(
        &self,
        span: Span,
        first: Hash,
        last: Hash,
    ) -> Result<Vec<(BlockRef, BlockRef)>, SourceError> {
        let step = self.per_call.load(Ordering::Relaxed).max(1);
        let mut cuts = Vec::new();
        let mut rest = Some(span);
        while let Some(span) = rest {
            cuts.push(span.take(step));
            rest = span.skip(step);
        }
        // The outer ends are known; those between must be asked for.
        let ends: Vec<Height> = cuts.iter().flat_map(|cut| [cut.first(), cut.last()]).collect();
        let inner = &ends[1..ends.len() - 1];
        let mut hashes = vec![first];
        hashes.extend(self.chain.hashes(inner).await?);
        hashes.push(last);
        let refs: Vec<BlockRef> =
            ends.iter().zip(hashes).map(|(height, hash)| BlockRef { height: *height, hash }).collect();
        Ok(refs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }

    /// One call, halved as long as the node finds it too large or too slow.
    async fn changes_split(&self, first: BlockRef, last: BlockRef) -> Result<Vec<Bytes>, SourceError> {
        let mut done = Vec::new();
        let mut todo = vec![(first, last)];
        while let Some((first, last)) = todo.pop() {
            let count = last.height.since(first.height) + 1;
            match self.changes_call(first, last).await {
                Ok(blocks) => {
                    done.extend(blocks);
                    let grown = (count + 1).min(self.most_per_call);
                    self.per_call.fetch_max(grown, Ordering::Relaxed);
                }
                Err(SourceError::TooLarge { .. } | SourceError::Timeout { .. }) if count > 1 => {
                    let half = count / 2;
                    self.per_call.fetch_min(half, Ordering::Relaxed);
                    let middle = [first.height + (half - 1), first.height + half];
                    let hashes = self.chain.hashes(&middle).await?;
                    let end = BlockRef { height: middle[0], hash: hashes[0] };
                    let start = BlockRef { height: middle[1], hash: hashes[1] };
                    todo.push((start, last));
                    todo.push((first, end));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn changes_call(&self, first: BlockRef, last: BlockRef) -> Result<Vec<Bytes>, SourceError> {
        let what = format!("storage changes of parachain blocks {}..={}", first.height, last.height);
        let params = vec![json!(first.hash.to_string()), json!(last.hash.to_string())];
        let question = Question::new(Way::Extension.method(), params, what.as_str()).long();
        let blocks: Vec<ChangesJson> = self.chain.rpc.ask(question).await?;
        let expected = last.height.since(first.height) as usize + 1;
        if blocks.len() != expected {
            return Err(self.chain.rpc.bad(what, format!("{} blocks instead of {expected}", blocks.len())));
        }
        Ok(blocks.into_iter().map(|block| block.0).collect())
    }

    /// SCALE `StorageState`: all pairs of the main trie after a block. In one call where the node allows that, else
    /// page by page.
    pub async fn pairs(&self, at: BlockRef) -> Result<Vec<u8>, SourceError> {
        let what = format!("all state of parachain block {}", at.height);
        let params = vec![json!("0x"), json!(at.hash.to_string())];
        let answer: Result<Vec<(HexBytes, HexBytes)>, _> =
            self.chain.rpc.ask(Question::new("state_getPairs", params, what).long()).await;
        let pairs: StorageState = match answer {
            Ok(pairs) => pairs.into_iter().map(|(key, value)| (key.0, value.0)).collect(),
            Err(
                error @ (SourceError::Refused { .. }
                | SourceError::TooLarge { .. }
                | SourceError::Timeout { .. }),
            ) => {
                tracing::debug!(%error, "reading the state page by page");
                self.pairs_paged(at).await?
            }
            Err(error) => return Err(error),
        };
        Ok(pairs.encode())
    }

    async fn pairs_paged(&self, at: BlockRef) -> Result<StorageState, SourceError> {
        let mut keys: Vec<HexBytes> = Vec::new();
        loop {
            let what = format!("keys of the state of parachain block {} after {}", at.height, keys.len());
            let after = keys.last().map(|key| HexBytes::text(&key.0));
            let params = vec![json!("0x"), json!(KEYS_PER_PAGE), json!(after), json!(at.hash.to_string())];
            let page: Vec<HexBytes> =
                self.chain.rpc.ask(Question::new("state_getKeysPaged", params, what.as_str()).long()).await?;
            let Some(first) = page.first() else { break };
            let ascends = page.windows(2).all(|pair| pair[0].0 < pair[1].0);
            if !ascends || keys.last().is_some_and(|last| first.0 <= last.0) {
                return Err(self.chain.rpc.bad(what, "the keys do not ascend"));
            }
            keys.extend(page);
            if keys.len() > MAX_KEYS {
                return Err(self.chain.rpc.bad(what, format!("more than {MAX_KEYS} keys")));
            }
        }
        let calls: Vec<_> = keys.chunks(VALUES_PER_CALL).map(|keys| self.values(keys, at)).collect();
        let parts: Vec<StorageState> = stream::iter(calls).buffered(self.in_flight).try_collect().await?;
        Ok(parts.concat())
    }

    /// Values of keys that exist, in fewer calls or more, as the node can take them.
    async fn values(&self, keys: &[HexBytes], at: BlockRef) -> Result<StorageState, SourceError> {
        let mut done = Vec::with_capacity(keys.len());
        let mut todo = vec![keys];
        while let Some(keys) = todo.pop() {
            let what = format!("{} values of parachain block {}", keys.len(), at.height);
            let texts: Vec<String> = keys.iter().map(|key| HexBytes::text(&key.0)).collect();
            let params = vec![json!(texts), json!(at.hash.to_string())];
            let question = Question::new("state_queryStorageAt", params, what.as_str()).long();
            match self.chain.rpc.ask::<Vec<ChangeSetJson>>(question).await {
                Ok(sets) => {
                    let mut values: std::collections::HashMap<Vec<u8>, Vec<u8>> = sets
                        .into_iter()
                        .flat_map(|set| set.changes)
                        .filter_map(|(key, value)| Some((key.0, value?.0)))
                        .collect();
                    for HexBytes(key) in keys {
                        let value = values.remove(key);
                        let cause = || format!("no value for key {}", HexBytes::text(key));
                        done.push((
                            key.clone(),
                            value.ok_or_else(|| self.chain.rpc.bad(what.as_str(), cause()))?,
                        ));
                    }
                }
                Err(SourceError::TooLarge { .. } | SourceError::Timeout { .. }) if keys.len() > 1 => {
                    let (left, right) = keys.split_at(keys.len() / 2);
                    todo.push(right);
                    todo.push(left);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
