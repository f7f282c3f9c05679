//! Finalized blocks from a headers-cache server.

mod records;

use self::records::Block;
use crate::{
    http::{BadUrl, Budget, Http, HttpOptions, MAX_CHANGES, MAX_HEADERS},
    node_source::{genesis::check_start, start_point_of},
};
use async_trait::async_trait;
use codec::{DecodeAll, Encode};
use prb_core::{
    Bytes,
    backoff::{Backoff, Pace},
    id::{BlockRef, Hash, Height},
    port::{
        Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Tips,
        source::Peer, store::ProvenHead,
    },
    span::Span,
    types::{
        header::Header,
        sync::{ChangesForm, GenesisBlockInfo, StorageChanges},
    },
    wire,
};
use serde::Deserialize;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

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

/// How long an answer about which chain the cache is about is believed.
const CHECKED_FOR: Duration = Duration::from_secs(60);

/// How long the nodes are preferred after an answer of the cache was refused.
const DISTRUST: Duration = Duration::from_secs(30);

/// How long the nodes are asked instead after the cache failed: growing, for an answer that never comes costs
/// [`HttpOptions::answer_timeout`] each time.
const PASSED_OVER: Pace = Pace { first: Duration::from_secs(10), longest: Duration::from_secs(600) };

/// A failure so long after the one before is the first again.
const FORGOTTEN: Duration = Duration::from_secs(600);

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
    http: Http,
    origin: Origin,
    expected: Mutex<Expected>,
    passed_over: Mutex<PassedOver>,
    nodes: Option<Arc<dyn BlockSource>>,
    patience: Duration,
    /// The head at the end of the last batch. By the time it is asked for, a cache that follows the tip may have
    /// replaced it.
    head: Mutex<Option<(BlockRef, Option<ProvenHead>)>>,
}

/// Whether the nodes are asked instead.
struct PassedOver {
    /// Until then: the cache failed, or an answer of it was refused.
    until: Option<Instant>,
    backoff: Backoff,
}

/// Which chain the cache must be about.
#[derive(Default)]
struct Expected {
    chain: Option<ChainIdentity>,
    /// When it was last found to be.
    checked: Option<Instant>,
}

/// What is read of `/state`.
#[derive(Deserialize)]
struct StateJson {
    #[serde(default)]
    genesis: Vec<u32>,
    /// Spelled so by headers-cache.
    higest: HeightsJson,
}

#[derive(Deserialize)]
struct HeightsJson {
    header: Option<u32>,
    para_header: Option<u32>,
}

impl HeadersCacheSource {
    /// The cache at `url`, for example `http://10.0.0.6:21111`. Nothing is asked before the first call.
    ///
    /// `patience` is the longest wait for a new finalized head before the caller is told to look anyway; typical: 12 s.
    pub fn new(url: &str, options: HttpOptions, patience: Duration) -> Result<Self, BadUrl> {
        let http = Http::new(url, options)?;
        Ok(Self {
            origin: Origin::new(http.endpoint()),
            http,
            expected: Mutex::default(),
            passed_over: Mutex::new(PassedOver { until: None, backoff: Backoff::new(PASSED_OVER, 0) }),
            nodes: None,
            patience,
            head: Mutex::default(),
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
        let until = locked(&self.passed_over).until;
        if self.nodes.is_some() && until.is_some_and(|until| Instant::now() < until) {
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
                self.failed(&error);
                Ok(None)
            }
        }
    }

    /// Passes the cache over for a while if this may happen again at every question.
    fn failed(&self, error: &SourceError) {
        let lasting = matches!(
            error,
            SourceError::Timeout { .. }
                | SourceError::Unreachable { .. }
                | SourceError::Bad { .. }
                | SourceError::TooLarge { .. }
                | SourceError::Foreign { .. }
        );
        let now = Instant::now();
        let mut passed_over = locked(&self.passed_over);
        // Of several questions that failed together one counts.
        if !lasting || passed_over.until.is_some_and(|until| now < until) {
            tracing::debug!(%error, "asking the nodes instead");
            return;
        }
        if passed_over.until.is_some_and(|until| now.saturating_duration_since(until) > FORGOTTEN) {
            passed_over.backoff.succeeded();
        }
        let pause = passed_over.backoff.failed();
        passed_over.until = Some(now + pause);
        metrics::counter!("prb_headers_cache_passed_over_total").increment(1);
        match passed_over.backoff.failures() {
            1 => {
                tracing::warn!(cause = %error, "the headers-cache fails; the nodes are asked instead for a while")
            }
            failures => tracing::debug!(%error, failures, ?pause, "the headers-cache fails still"),
        }
    }

    /// The nodes, which have what the cache lacks.
    fn beyond(&self, what: impl FnOnce() -> String) -> Result<&dyn BlockSource, SourceError> {
        self.nodes.as_deref().ok_or_else(|| self.http.missing(what()))
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
            let endpoint = self.http.endpoint().to_owned();
            Err(SourceError::Foreign { endpoint, chain: what, found, expected })
        };
        let headers = self.headers(Span::one(Height(0))).await?.unwrap_or_default();
        if let Some(found) =
            headers.first().map(|header| Hash::of(header)).filter(|found| *found != chain.para_genesis)
        {
            return foreign("parachain", found, chain.para_genesis);
        }
        if let Some(info) = self.genesis_record().await? {
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

    /// A record, none if the cache does not have it.
    async fn get(&self, path: &str, what: &str) -> Result<Option<Bytes>, SourceError> {
        match self.http.get(path, what, MAX_RECORDS).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(SourceError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn state(&self) -> Result<StateJson, SourceError> {
        const WHAT: &str = "state of the cache";
        let reply = self.http.get("/state", WHAT, MAX_STATE).await;
        let reply = reply.map_err(|error| self.http.always_there(error))?;
        if let Some(who) = wire::stranger(200, &reply.body) {
            return Err(self.http.bad(WHAT, who));
        }
        serde_json::from_slice(&reply.body).map_err(|error| self.http.bad(WHAT, error))
    }

    /// The records from `from` up to the next justification, none if there is none yet.
    async fn batch(&self, from: Height) -> Result<Option<RelayBatch>, SourceError> {
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
    async fn proven_head(&self, at: BlockRef) -> Result<Option<Option<ProvenHead>>, SourceError> {
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
        let head = match self.proven_head(at).await? {
            None => return Ok(None),
            Some(None) => return Ok(Some(None)),
            Some(Some(head)) => head,
        };
        let Some(headers) = self.headers(Span::one(head.number)).await? else { return Ok(None) };
        let proof = head.proof.into_iter().map(Bytes::from).collect();
        Ok(headers.into_iter().next().map(|header| Some(ParaHead { header, proof })))
    }

    /// Parachain headers, none if the cache lacks any.
    async fn headers(&self, span: Span) -> Result<Option<Vec<Bytes>>, SourceError> {
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
    async fn cached_changes(&self, span: Span) -> Result<Option<Vec<Bytes>>, SourceError> {
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
    async fn genesis_record(&self) -> Result<Option<GenesisBlockInfo>, SourceError> {
        const WHAT: &str = "genesis record";
        let Some(number) = self.state().await?.genesis.into_iter().min() else { return Ok(None) };
        let Some(body) = self.get(&format!("/genesis/{number}"), WHAT).await? else { return Ok(None) };
        let info =
            GenesisBlockInfo::decode_all(&mut body.as_ref()).map_err(|error| self.http.bad(WHAT, error))?;
        Ok(Some(info))
    }

    /// The genesis of a network that is built in; none where the cache lacks part of it.
    async fn own_genesis(&self) -> Result<Option<Genesis>, SourceError> {
        const WHAT: &str = "genesis record";
        let Some(number) = self.state().await?.genesis.into_iter().min() else { return Ok(None) };
        let Some(body) = self.get(&format!("/genesis/{number}"), WHAT).await? else { return Ok(None) };
        let relay =
            GenesisBlockInfo::decode_all(&mut body.as_ref()).map_err(|error| self.http.bad(WHAT, error))?;
        let Some(point) = start_point_of(relay.block_header.hash()) else { return Ok(None) };
        let zero = Span::one(Height(0));
        let headers = self.headers(zero).await?.and_then(|headers| headers.into_iter().next());
        let changes = self.cached_changes(zero).await?.and_then(|changes| changes.into_iter().next());
        let (Some(header), Some(changes)) = (headers, changes) else { return Ok(None) };
        let para_header = Header::decode_all(&mut header.as_ref())
            .map_err(|error| self.http.bad("parachain header 0", error))?;
        check_start(self.http.endpoint(), point.relay_chain, point.para_id, &relay)?;
        Ok(Some(Genesis {
            relay_chain: point.relay_chain,
            relay,
            para_header,
            para_state: first_state(&changes).map_err(|cause| self.http.bad("first state", cause))?,
            para_id: point.para_id,
            parachain: true,
        }))
    }
}

/// SCALE `StorageState`: all pairs of the first state, which are the changes of block 0.
fn first_state(changes: &[u8]) -> Result<Bytes, String> {
    let changes = StorageChanges::decode_all(&mut &*changes).map_err(|error| error.to_string())?;
    if !changes.child_storage_changes.is_empty() {
        return Err("it has child tries".to_owned());
    }
    let pairs = changes.main_storage_changes.into_iter().map(|(key, value)| value.map(|value| (key, value)));
    let mut pairs: Vec<_> = pairs.collect::<Option<_>>().ok_or("it deletes keys")?;
    pairs.sort_unstable();
    Ok(pairs.encode().into())
}

#[async_trait]
impl BlockSource for HeadersCacheSource {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        if let Some(genesis) = self.cached(self.own_genesis()).await? {
            return Ok(genesis);
        }
        let what = || "start of a store for a network that is not built in; name nodes beside it".to_owned();
        self.beyond(what)?.genesis().await
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        let state = self.cached(async { self.state().await.map(Some) }).await?;
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
        match (self.cached(self.batch(from)).await?, &self.nodes) {
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
        if let Some(headers) = self.cached(self.headers(span)).await? {
            return Ok(headers);
        }
        self.beyond(|| format!("parachain headers {span}"))?.para_headers(span).await
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let what = || format!("storage changes of parachain blocks {}..={}", first.height, last.height);
        let span = Span::new(first.height, last.height)
            .ok_or_else(|| self.http.bad(what(), "the range is empty"))?;
        if let Some(changes) = self.cached(self.cached_changes(span)).await? {
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
            if self.state().await?.higest.header.is_some_and(|tip| tip > known.relay.0) {
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
        if who.names().any(|name| name == self.http.endpoint()) {
            tracing::debug!(endpoint = %who, because, "distrusted");
            let until = Instant::now() + DISTRUST;
            let mut passed_over = locked(&self.passed_over);
            passed_over.until = passed_over.until.max(Some(until));
        }
        if let Some(nodes) = &self.nodes {
            nodes.distrust(who, because);
        }
    }

    fn endpoint(&self) -> String {
        match &self.nodes {
            Some(nodes) => format!("{} and {}", self.http.endpoint(), nodes.endpoint()),
            None => self.http.endpoint().to_owned(),
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
    use prb_core::{
        testkit::{FakeChain, FakeSource},
        types::sync::StorageState,
    };
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
        options.answer_timeout = Duration::from_millis(50);
        options
    }

    fn cache_beside_nodes(url: &str, chain: &FakeChain) -> HeadersCacheSource {
        let nodes = FakeSource::new(chain);
        HeadersCacheSource::new(url, short(), Duration::from_secs(1)).unwrap().with_nodes(nodes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_that_hangs_is_passed_over_where_there_are_nodes() {
        let (url, taken) = silent().await;
        let chain = FakeChain::new(1);
        chain.advance(20);
        let source = cache_beside_nodes(&url, &chain);
        for _ in 0..5 {
            let by = source.relay_batch(Height(101)).await.unwrap().by;
            assert_eq!(by.to_string(), "fake-node");
        }
        assert_eq!(taken.load(Ordering::SeqCst), 1, "it is asked once");

        let alone = HeadersCacheSource::new(&url, short(), Duration::from_secs(1)).unwrap();
        for _ in 0..2 {
            let error = alone.relay_batch(Height(101)).await.unwrap_err();
            assert!(matches!(error, SourceError::Timeout { .. }), "{error}");
        }
        assert_eq!(taken.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_and_failures_together_count_once() {
        let chain = FakeChain::new(1);
        let source = cache_beside_nodes("http://127.0.0.1:1", &chain);
        let pause = || locked(&source.passed_over).until.unwrap().saturating_duration_since(Instant::now());
        let late = SourceError::Timeout { endpoint: "cache".into(), what: "it".into(), seconds: 60 };
        source.failed(&late);
        source.failed(&late);
        assert_eq!(locked(&source.passed_over).backoff.failures(), 1);
        let first = pause();
        for _ in 0..3 {
            locked(&source.passed_over).until = Some(Instant::now());
            source.failed(&late);
        }
        assert!(pause() > first * 3, "{first:?}, {:?}", pause());
        // What it lacks is no failure.
        locked(&source.passed_over).until = None;
        source.failed(&SourceError::Missing { endpoint: "cache".into(), what: "it".into() });
        assert_eq!(locked(&source.passed_over).until, None);
        // Another chain is none that ends anything where there are nodes.
        let (chain, found, expected) = ("parachain", Hash([1; 32]), Hash([2; 32]));
        let foreign =
            async { Err(SourceError::Foreign { endpoint: "cache".into(), chain, found, expected }) };
        assert!(source.cached::<()>(foreign).await.unwrap().is_none());
        assert!(locked(&source.passed_over).until.is_some());
    }

    #[test]
    fn the_changes_of_block_0_are_the_first_state() {
        let main = |main| StorageChanges { main_storage_changes: main, ..StorageChanges::default() }.encode();
        let state = first_state(&main(vec![(vec![2], Some(vec![])), (vec![1], Some(vec![7]))])).unwrap();
        let pairs = StorageState::decode_all(&mut state.as_ref()).unwrap();
        assert_eq!(pairs, [(vec![1], vec![7]), (vec![2], vec![])]);
        assert!(first_state(&main(vec![(vec![1], None)])).is_err());
        assert!(first_state(&[1]).is_err());
    }
}
