//! The providers of a remote store: who is asked, and what is believed of whom.

use super::{
    Entry, Inner, Published, Rungs,
    hedge::Asking,
    provider::{Failure, Provider},
};
use crate::{cache::Cache, extent::covered};
use bytes::Bytes;
use futures::FutureExt;
use prb_core::{
    id::Height,
    moment::Moment,
    port::{Blob, Coverage, Genesis, StoreError, Stream, source::ChainIdentity},
    span::Span,
};
use std::{
    cmp::Reverse,
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::time::Instant;
use tracing::warn;

/// How often the time of distrust doubles: from half a minute to half an hour.
const MOST_DOUBLINGS: u32 = 6;

/// How many blocks a provider that begins earlier may be behind the furthest one and still be followed. More delays new
/// blocks for longer where it does not keep up; less hides old ones whenever it is a little later.
const NEAR: u32 = 16;

impl Inner {
    /// Items from the first provider that has them; all that were answered are kept for others.
    pub(super) async fn fetch(
        &self,
        chain: &ChainIdentity,
        stream: Stream,
        span: Span,
        max_bytes: usize,
    ) -> Result<Vec<Blob>, String> {
        let mut causes = Vec::new();
        let mut best: Option<Vec<Blob>> = None;
        let mut asking = Asking::new(self, self.candidates(Some((stream, span))), |provider, pulse| {
            async move { provider.items(chain, stream, span, max_bytes, &pulse).await }.boxed()
        });
        while let Some((provider, answer)) = asking.next().await {
            let items = match answer {
                Ok(items) => items,
                Err(failure) => {
                    causes.push(self.failed(&provider, failure));
                    continue;
                }
            };
            let mut cache = self.cache();
            // The contents of a sparse stream are asked for one by one where they are asked for often.
            if !stream.is_sparse() || span.count() == 1 {
                items.blobs.iter().for_each(|blob| cache.insert(stream, blob.height, blob.bytes.clone()));
            }
            drop(cache);
            if !items.damaged && (!items.blobs.is_empty() || stream.is_sparse()) {
                return Ok(items.blobs);
            }
            if items.damaged {
                causes.push(format!("{}: {stream} is damaged there within {span}", provider.url));
            }
            if best.as_ref().is_none_or(|best| best.len() < items.blobs.len()) {
                best = Some(items.blobs);
            }
        }
        // Who had it is gone, and what the others have is told by now: it is not covered any more.
        let is_gone = || {
            let known = self.published.borrow().coverage.and_then(|known| covered(&known, stream));
            !stream.is_sparse() && !known.is_some_and(|known| known.contains(span.first()))
        };
        match best {
            Some(best) if causes.is_empty() || !best.is_empty() || is_gone() => Ok(best),
            _ => Err(told(causes)),
        }
    }

    /// Whom to ask, in this order: who is well before who is not, who covers the span before who does not, who covers
    /// what readers are told, who is furthest.
    pub(super) fn candidates(&self, about: Option<(Stream, Span)>) -> Vec<Arc<Provider>> {
        let published = self.published.borrow().coverage;
        let mut ranked: Vec<_> = self
            .providers()
            .iter()
            .filter_map(|entry| {
                let health = entry.provider.health();
                if health.foreign {
                    return None;
                }
                let covers = about.is_some_and(|(stream, span)| {
                    let known = health.coverage.and_then(|known| covered(&known, stream));
                    known.is_some_and(|known| known.contains(span.first()))
                });
                let rank = (
                    health.usable(),
                    covers,
                    health.coverage == published,
                    progress(health.coverage.as_ref()),
                );
                Some((rank, entry.provider.clone()))
            })
            .collect();
        ranked.sort_by(|(one, _), (other, _)| other.cmp(one));
        ranked.into_iter().map(|(_, provider)| provider).collect()
    }

    /// The chain, none while providers are empty; an error until one has answered.
    pub(super) fn chain(&self) -> Result<Option<ChainIdentity>, StoreError> {
        let published = *self.published.borrow();
        if !published.answered {
            return Err(self.unreachable());
        }
        Ok(published.coverage.map(|coverage| coverage.identity))
    }

    pub(super) fn unreachable(&self) -> StoreError {
        let cause = |entry: &Entry| {
            let health = entry.provider.health();
            format!("{}: {}", entry.provider.url, health.cause.as_deref().unwrap_or("not asked yet"))
        };
        let causes = self.providers().iter().map(cause).collect();
        StoreError::Unreachable(told(causes))
    }

    /// Notes what a provider has said of itself.
    pub(super) fn learned(&self, provider: &Provider, coverage: Option<Coverage>) {
        let required = *self.para_genesis.lock().unwrap_or_else(PoisonError::into_inner);
        let foreign = coverage.is_some_and(|coverage| {
            if required.is_some_and(|required| required != coverage.identity.para_genesis) {
                return true;
            }
            let wanted = self.required.lock().unwrap_or_else(PoisonError::into_inner);
            if wanted.as_ref().is_some_and(|is_wanted| !is_wanted(&coverage.identity)) {
                return true;
            }
            drop(wanted);
            let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
            *identity.get_or_insert(coverage.identity) != coverage.identity
        });
        {
            let mut health = provider.health();
            let cause = coverage.filter(|_| foreign).map(|coverage| self.strange(&coverage.identity));
            if let Some(cause) = cause.as_ref().filter(|_| !health.foreign) {
                warn!(
                    provider = %provider.url, cause,
                    remedy = "name providers and nodes of one network; if the chain was started anew, restart this, and those \
                              who ingest with another data_dir",
                    "provider follows other chains and is not used"
                );
            } else if !foreign && !health.alive && health.cause.is_some() {
                health.answers_again(&provider.url);
            }
            health.heard = Some(Instant::now());
            health.alive = true;
            health.foreign = foreign;
            health.coverage = coverage;
            health.cause = cause;
        }
        self.elect();
    }

    /// Why a provider of this chain is not read from.
    fn strange(&self, chain: &ChainIdentity) -> String {
        let required = *self.para_genesis.lock().unwrap_or_else(PoisonError::into_inner);
        let read = *self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = required.or(read.map(|read| read.para_genesis));
        match (ours, read) {
            (Some(ours), _) if ours != chain.para_genesis => format!(
                "it follows other chains: block 0 of its parachain is {}, that of the one read here is {ours}",
                chain.para_genesis
            ),
            (_, Some(read)) if read.relay_chain != chain.relay_chain => format!(
                "it follows other chains: block 0 of its relay chain is {}, that of the one read here is {}",
                chain.relay_chain, read.relay_chain
            ),
            _ => format!(
                "it follows other chains, or begins elsewhere: its first block is the one after {}",
                chain.start
            ),
        }
    }

    /// Notes that a provider still is as it was.
    pub(super) fn unchanged(&self, provider: &Provider) {
        let mut health = provider.health();
        health.heard = Some(Instant::now());
        if !health.alive {
            health.answers_again(&provider.url);
            (health.alive, health.cause) = (true, None);
            drop(health);
            self.elect();
        }
    }

    /// Notes that a provider failed; why, with its name.
    pub(super) fn failed(&self, provider: &Provider, failure: Failure) -> String {
        let cause = {
            let mut health = provider.health();
            let cause = match failure {
                Failure::Silent(cause) => {
                    let now = self.now();
                    if health.silence.tell(now, now) {
                        warn!(provider = %provider.url, %cause, "provider does not answer");
                    }
                    health.alive = false;
                    cause
                }
                Failure::Lied(cause) => {
                    // While it is distrusted anyway, it is only counted.
                    if health.distrusted_until.is_none_or(|until| until <= Instant::now()) {
                        warn!(provider = %provider.url, %cause, "answer of a provider refused");
                    }
                    metrics::counter!("prb_remote_refused_answers_total").increment(1);
                    // Once may be bad luck; who does it again and again is asked ever more rarely.
                    let longer = 1 << health.lies.min(MOST_DOUBLINGS);
                    health.lies = health.lies.saturating_add(1);
                    health.distrusted_until = Some(Instant::now() + self.options.distrust * longer);
                    cause
                }
            };
            metrics::counter!("prb_remote_failures_total").increment(1);
            health.cause = Some(cause.clone());
            format!("{}: {cause}", provider.url)
        };
        self.elect();
        cause
    }

    /// Notes that a provider keeps its readers waiting. It is asked last for a while.
    pub(super) fn slow(&self, provider: &Provider, patience: Duration) {
        metrics::counter!("prb_remote_hedges_total").increment(1);
        {
            let mut health = provider.health();
            if health.usable() {
                warn!(provider = %provider.url, "provider is silent for {patience:?}, another is asked as well");
                health.cause = Some(format!("silent for {patience:?} when asked"));
            }
            health.distrusted_until = Some(Instant::now() + self.options.distrust);
        }
        self.elect();
    }

    /// Items that were read lately, and what of `span` is left to ask for.
    pub(super) fn kept(&self, stream: Stream, span: Span, max_bytes: usize) -> (Vec<Blob>, Option<Span>) {
        let (kept, rest) = self.cache().prefix(stream, span, max_bytes);
        (kept.into_iter().map(|(height, bytes)| Blob { height, bytes }).collect(), rest)
    }

    /// Publishes the coverage of the provider that is furthest, or of one that is hardly behind and begins earlier: who
    /// was pruned must not hide what a worker still needs. While nobody is well, the last one stays: what was verified
    /// is still true, and reading says that nobody answers.
    pub(super) fn elect(&self) {
        // One that is distrusted is better than none: every answer is checked.
        let known: Vec<_> = self
            .providers()
            .iter()
            .map(|entry| entry.provider.health().clone())
            .filter(|health| health.alive && !health.foreign)
            .map(|health| (health.usable(), health.coverage))
            .collect();
        let furthest = known.iter().max_by_key(|(usable, coverage)| (*usable, progress(coverage.as_ref())));
        let Some(&(usable, furthest)) = furthest else { return };
        let earlier = known
            .iter()
            .filter(|(other, _)| *other == usable)
            .filter_map(|(_, coverage)| *coverage)
            .filter(|one| furthest.is_some_and(|furthest| stands_in(one, &furthest)))
            .max_by_key(|one| (Reverse(begin(one)), progress(Some(one))));
        let coverage = earlier.or(furthest);
        let published = Published { answered: true, coverage };
        if *self.published.borrow() == published {
            return;
        }
        {
            let mut rungs = self.rungs();
            rungs.version += 1;
            rungs.kept.clear();
        }
        self.published.send_replace(published);
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.begun.elapsed())
    }

    pub(super) fn providers(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache<Bytes>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rungs(&self) -> MutexGuard<'_, Rungs> {
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known_genesis(&self) -> MutexGuard<'_, Weak<Genesis>> {
        self.genesis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a coverage reaches, for comparison.
fn progress(coverage: Option<&Coverage>) -> [Option<Height>; 3] {
    let last = |span: Option<Span>| span.map(Span::last);
    coverage.map_or([None; 3], |coverage| [last(coverage.relay), last(coverage.para), last(coverage.changes)])
}

/// Where a coverage begins, for comparison.
fn begin(coverage: &Coverage) -> [Option<Height>; 3] {
    [coverage.changes, coverage.para, coverage.relay].map(|span| span.map(Span::first))
}

/// Whether `one` begins earlier than the furthest coverage and is hardly behind it.
fn stands_in(one: &Coverage, furthest: &Coverage) -> bool {
    let pairs = [(one.relay, furthest.relay), (one.para, furthest.para), (one.changes, furthest.changes)];
    let near = pairs.into_iter().all(|(one, furthest)| match (one, furthest) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(one), Some(furthest)) => {
            one.first() <= furthest.first() && one.last().0.saturating_add(NEAR) >= furthest.last().0
        }
    });
    near && begin(one) != begin(furthest)
}

#[allow(clippy::needless_pass_by_value, reason = "the list ends here")]
pub(super) fn told(causes: Vec<String>) -> String {
    if causes.is_empty() { "there is none yet; add one".to_owned() } else { causes.join("; ") }
}
