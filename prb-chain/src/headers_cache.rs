//! Finalized blocks from a headers-cache server.

mod cache;
mod genesis;
mod passed_over;
mod records;

use self::{cache::Cache, passed_over::PassedOver};
use crate::http::{BadUrl, HttpOptions};
use async_trait::async_trait;
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    port::{
        Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Tips,
        source::Peer,
    },
    span::Span,
    types::sync::ChangesForm,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long an answer about which chain the cache is about is believed.
const CHECKED_FOR: Duration = Duration::from_secs(60);

/// How often a cache without nodes beside it is asked for its heights while its tip is waited for.
const POLL: Duration = Duration::from_secs(1);

/// [`BlockSource`] over the HTTP read API of a headers-cache server (the original, or another prb data provider).
///
/// Nothing is trusted that a node would not be trusted with. A cache does not have everything:
///
/// - It may end up to a thousand blocks below the tip, and may hold relay headers only.
/// - It does not say which relay chain it is about, nor the parachain's id. Both are known for networks that are built
///   in ([`start_point`](crate::node_source::start_point)). The parachain's first state is what it has as storage changes
///   of block 0, if it has those.
/// - Parachain heads are kept for justified blocks only.
///
/// What it lacks, or cannot answer at present, is asked of the nodes beside it; without nodes it is
/// [`SourceError::Missing`]. A cache that fails, hangs or is about another chain is passed over for a while if there are
/// nodes. The form of its storage changes is not told, so it counts as [`ChangesForm::Mixed`].
pub struct HeadersCacheSource {
    cache: Cache,
    origin: Origin,
    expected: Mutex<Expected>,
    passed_over: PassedOver,
    nodes: Option<Arc<dyn BlockSource>>,
    patience: Duration,
}

/// Which chain the cache must be about.
#[derive(Default)]
struct Expected {
    chain: Option<ChainIdentity>,
    /// When it was last found to be.
    checked: Option<Instant>,
}

impl HeadersCacheSource {
    /// The cache at `url`, for example `http://10.0.0.6:21111`. Nothing is asked before the first call.
    ///
    /// `patience` is the longest wait for a new finalized head before the caller is told to look anyway; typical: 12 s.
    pub fn new(url: &str, options: HttpOptions, patience: Duration) -> Result<Self, BadUrl> {
        let cache = Cache::new(url, options)?;
        Ok(Self {
            origin: Origin::new(cache.endpoint()),
            cache,
            expected: Mutex::default(),
            passed_over: PassedOver::new(),
            nodes: None,
            patience,
        })
    }

    /// With nodes that are asked for what the cache lacks.
    pub fn with_nodes(self, nodes: impl BlockSource + 'static) -> Self {
        Self { nodes: Some(Arc::new(nodes)), ..self }
    }

    /// What the cache has; none if that is to be asked of the nodes.
    async fn cached<T>(
        &self,
        asked: impl Future<Output = Result<Option<T>, SourceError>>,
    ) -> Result<Option<Answer<T>>, SourceError> {
        if self.nodes.is_some() && self.passed_over.is_on() {
            return Ok(None);
        }
        let found = match self.check_chain().await {
            Ok(()) => asked.await,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => Ok(found.map(|found| Answer::new(found, self.origin.clone()))),
            Err(error) if self.nodes.is_none() => Err(error),
            Err(error) => {
                self.passed_over.failed(&error);
                Ok(None)
            }
        }
    }

    /// The nodes, which have what the cache lacks.
    fn beyond(&self, what: impl FnOnce() -> String) -> Result<&dyn BlockSource, SourceError> {
        self.nodes.as_deref().ok_or_else(|| self.cache.http.missing(what()))
    }

    /// Fails if the cache is about another chain than the expected one. A cache that has neither the parachain's first
    /// header nor a genesis record cannot be told; what it answers is verified all the same.
    async fn check_chain(&self) -> Result<(), SourceError> {
        let chain = {
            let expected = locked(&self.expected);
            let known = expected.checked.is_some_and(|checked| checked.elapsed() < CHECKED_FOR);
            expected.chain.filter(|_| !known)
        };
        let Some(chain) = chain else { return Ok(()) };
        let foreign = |what, found, expected| {
            let endpoint = self.cache.endpoint().to_owned();
            Err(SourceError::Foreign { endpoint, chain: what, found, expected })
        };
        let headers = self.cache.headers(Span::one(Height(0))).await?.unwrap_or_default();
        if let Some(found) =
            headers.first().map(|header| Hash::of(header)).filter(|found| *found != chain.para_genesis)
        {
            return foreign("parachain", found, chain.para_genesis);
        }
        if let Some(info) = self.cache.genesis_record().await? {
            let found = info.block_header.hash();
            if found != chain.start {
                return foreign("chain that starts at", found, chain.start);
            }
        }
        let mut expected = locked(&self.expected);
        if expected.chain == Some(chain) {
            expected.checked = Some(Instant::now());
        }
        Ok(())
    }

    /// The head with its header. The outer none: the cache lacks either.
    async fn head_with_header(
        &self,
        at: BlockRef,
        para_id: u32,
    ) -> Result<Option<Option<ParaHead>>, SourceError> {
        // It keeps the heads of one parachain.
        if locked(&self.expected).chain.is_some_and(|chain| chain.para_id != para_id) {
            return Ok(Some(None));
        }
        let head = match self.cache.proven_head(at).await? {
            None => return Ok(None),
            Some(None) => return Ok(Some(None)),
            Some(Some(head)) => head,
        };
        let Some(headers) = self.cache.headers(Span::one(head.number)).await? else { return Ok(None) };
        let proof = head.proof.into_iter().map(Bytes::from).collect();
        Ok(headers.into_iter().next().map(|header| Some(ParaHead { header, proof })))
    }
}

#[async_trait]
impl BlockSource for HeadersCacheSource {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        if let Some(genesis) = self.cached(self.cache.genesis()).await? {
            return Ok(genesis);
        }
        let what = || "start of a store for a network that is not built in; name nodes beside it".to_owned();
        self.beyond(what)?.genesis().await
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        let state = self.cached(async { self.cache.state().await.map(Some) }).await?;
        let cached = state.map(|state| Tips {
            relay: Height(state.value.higest.header.unwrap_or_default()),
            para: Height(state.value.higest.para_header.unwrap_or_default()),
        });
        let Some(nodes) = &self.nodes else { return Ok(cached.unwrap_or_default()) };
        match (cached, nodes.tips().await) {
            (Some(cached), Ok(nodes)) => {
                Ok(Tips { relay: cached.relay.max(nodes.relay), para: cached.para.max(nodes.para) })
            }
            (Some(cached), Err(_)) => Ok(cached),
            (None, nodes) => nodes,
        }
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        match (self.cached(self.cache.batch(from)).await?, &self.nodes) {
            (Some(batch), _) => Ok(batch.map(Some)),
            (None, Some(nodes)) => nodes.relay_batch(from).await,
            (None, None) => Ok(Answer::new(None, self.origin.clone())),
        }
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        let cached = async {
            // A record without a head may only mean that nobody has looked.
            let head = self.head_with_header(at, para_id).await?;
            Ok(head.filter(|head| head.is_some() || self.nodes.is_none()))
        };
        if let Some(head) = self.cached(cached).await? {
            return Ok(head);
        }
        self.beyond(|| format!("parachain head at relay block {}", at.height))?.para_head(at, para_id).await
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        if let Some(headers) = self.cached(self.cache.headers(span)).await? {
            return Ok(headers);
        }
        self.beyond(|| format!("parachain headers {span}"))?.para_headers(span).await
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let what = || format!("storage changes of parachain blocks {}..={}", first.height, last.height);
        let span = Span::new(first.height, last.height)
            .ok_or_else(|| self.cache.http.bad(what(), "the range is empty"))?;
        if let Some(changes) = self.cached(self.cache.changes(span)).await? {
            return Ok(changes);
        }
        self.beyond(what)?.changes(first, last).await
    }

    fn changes_form(&self) -> ChangesForm {
        ChangesForm::Mixed
    }

    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError> {
        if let Some(nodes) = &self.nodes {
            return nodes.wait_for_tip(known).await;
        }
        let until = Instant::now() + self.patience;
        while Instant::now() < until {
            if self.cache.state().await?.higest.header.is_some_and(|tip| tip > known.relay.0) {
                break;
            }
            sleep(POLL.min(until.saturating_duration_since(Instant::now()))).await;
        }
        Ok(())
    }

    fn expect(&self, chain: &ChainIdentity) {
        *locked(&self.expected) = Expected { chain: Some(*chain), checked: None };
        if let Some(nodes) = &self.nodes {
            nodes.expect(chain);
        }
    }

    fn distrust(&self, who: &Origin, because: &str) {
        if who.names().any(|name| name == self.cache.endpoint()) {
            tracing::debug!(endpoint = %who, because, "distrusted");
            self.passed_over.distrust();
        }
        if let Some(nodes) = &self.nodes {
            nodes.distrust(who, because);
        }
    }

    fn endpoint(&self) -> String {
        match &self.nodes {
            Some(nodes) => format!("{} and {}", self.cache.endpoint(), nodes.endpoint()),
            None => self.cache.endpoint().to_owned(),
        }
    }

    fn peers(&self) -> Vec<Peer> {
        self.nodes.as_ref().map(|nodes| nodes.peers()).unwrap_or_default()
    }

    fn judge(&self, peer: &Peer, because: Option<&str>) {
        if let Some(nodes) = &self.nodes {
            nodes.judge(peer, because);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::testkit::{FakeChain, FakeSource};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    /// A server that takes connections and never answers, and how many it took.
    async fn silent() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                held.push(stream);
            }
        });
        (url, taken)
    }

    fn short() -> HttpOptions {
        let mut options = HttpOptions::default();
        options.answer_timeout = Duration::from_millis(200);
        options
    }

    fn cache_beside_nodes(url: &str, chain: &FakeChain) -> HeadersCacheSource {
        let nodes = FakeSource::new(chain);
        HeadersCacheSource::new(url, short(), Duration::from_secs(1)).unwrap().with_nodes(nodes)
    }

    /// So many connections were taken, and no more: a connection is taken a moment after it was made.
    async fn are_taken(taken: &AtomicUsize, count: usize) {
        let all = async {
            while taken.load(Ordering::SeqCst) < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
        assert_eq!(taken.load(Ordering::SeqCst), count);
    }

    // In real time: a socket's does not stand still with tokio's.
    #[tokio::test]
    async fn a_cache_that_hangs_is_passed_over_where_there_are_nodes() {
        let (url, taken) = silent().await;
        let chain = FakeChain::new(1);
        chain.advance(20);
        let source = cache_beside_nodes(&url, &chain);
        for _ in 0..5 {
            let by = source.relay_batch(Height(101)).await.unwrap().by;
            assert_eq!(by.to_string(), "fake-node");
        }
        are_taken(&taken, 1).await; // it is asked once

        let alone = HeadersCacheSource::new(&url, short(), Duration::from_secs(1)).unwrap();
        for _ in 0..2 {
            let error = alone.relay_batch(Height(101)).await.unwrap_err();
            assert!(matches!(error, SourceError::Timeout { .. }), "{error}");
        }
        are_taken(&taken, 3).await;
    }

    #[tokio::test]
    async fn a_cache_of_another_chain_ends_nothing_where_there_are_nodes() {
        let source = cache_beside_nodes("http://127.0.0.1:1", &FakeChain::new(1));
        let (chain, found, expected) = ("parachain", Hash([1; 32]), Hash([2; 32]));
        let foreign =
            async { Err(SourceError::Foreign { endpoint: "cache".into(), chain, found, expected }) };
        assert!(source.cached::<()>(foreign).await.unwrap().is_none());
        assert!(source.passed_over.is_on());
    }
}
