//! Finalized blocks from another data provider.

use crate::{
    http::{BadUrl, Budget, Http, HttpOptions, MAX_CHANGES, MAX_HEADER, MAX_HEADERS, Reply},
    node_source::genesis::{VALIDATION_DATA, ValidationData, check_start},
};
use async_trait::async_trait;
use codec::{Decode, DecodeAll};
use prb_core::{
    Bytes,
    id::{BlockRef, Height},
    port::{
        Answer, BlockSource, ChainIdentity, Coverage, Genesis, Origin, ParaHead, RelayBatch, Rung,
        SourceError, Stream, Tips, store::ProvenHead,
    },
    span::Span,
    storage_key,
    types::{
        grandpa::AuthoritySetChange,
        sync::{ChangesForm, StorageChanges, StorageState},
    },
    wire::{self, End, WireError},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Bytes of items asked for in one call.
const CHUNK: usize = 16 << 20;

/// Largest record of a coverage or a rung.
const MAX_RECORD: usize = 4 << 10;

/// Largest genesis: it carries the parachain's whole first state.
const MAX_GENESIS: usize = 512 << 20;

/// Most that stands around the items of one answer.
const MAX_FRAMING: usize = 16 << 20;

/// Most headers of a batch. Sets of the live networks have 600 to 2,400 blocks.
const MAX_BATCH: u64 = 200_000;

/// How often a batch is asked for again whose end was replaced by a later one meanwhile.
const ATTEMPTS: usize = 5;

/// Longest wait for storage changes of blocks whose headers the provider has: it stores them a moment later.
const CHANGES_PATIENCE: Duration = Duration::from_secs(5);

/// Pause after an answer without news, in case the provider does not hold such answers back.
const UNCHANGED: Duration = Duration::from_millis(50);

/// Most news that are waited for in one call: each says of something, and a provider decides how often that is.
const MAX_NEWS: usize = 1000;

/// [`BlockSource`] over the native routes of another prb data provider ([`prb_core::wire`]).
///
/// Nothing is trusted that a node would not be trusted with: headers, justifications, proofs and storage changes are
/// for the caller to verify, and the start block must follow from the parachain's block 1. Of a chain that is not built
/// in ([`start_point`](crate::node_source::start_point)) the name of the relay chain is taken as told, as are the start
/// block and its set id on first use, unless the start block is pinned.
pub struct MirrorSource {
    http: Http,
    origin: Origin,
    expected: Mutex<Option<ChainIdentity>>,
    patience: Duration,
    seen: Mutex<Seen>,
}

/// What the provider said last.
#[derive(Default)]
struct Seen {
    /// Its coverage, with the tag it is known by.
    coverage: Option<(String, Option<Coverage>)>,
    form: Option<ChangesForm>,
    /// The head at the end of the last batch. By the time it is asked for, the provider may have replaced it.
    head: Option<(Height, Option<ProvenHead>)>,
}

impl MirrorSource {
    /// The provider at `url`, for example `http://10.0.0.5:8012`. Nothing is asked before the first call.
    ///
    /// `patience` is the longest wait for a new finalized head before the caller is told to look anyway; typical: 12 s.
    pub fn new(url: &str, options: HttpOptions, patience: Duration) -> Result<Self, BadUrl> {
        let http = Http::new(url, options)?;
        let origin = Origin::new(http.endpoint());
        Ok(Self { http, origin, expected: Mutex::default(), patience, seen: Mutex::default() })
    }

    fn said<T>(&self, value: T) -> Answer<T> {
        Answer::new(value, self.origin.clone())
    }

    fn expected(&self) -> Option<ChainIdentity> {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn malformed(&self, what: &str) -> impl FnOnce(WireError) -> SourceError {
        let (endpoint, what) = (self.http.endpoint().to_owned(), what.to_owned());
        move |error| SourceError::Bad { endpoint, what, cause: error.to_string() }
    }

    /// Asks for `path`; an answer about another chain than the expected one is none.
    async fn ask(&self, path: &str, what: &str, cap: usize) -> Result<Reply, SourceError> {
        let reply = self.http.get(path, what, cap).await?;
        let expected = self.expected().map(|expected| wire::chain_tag(&expected));
        if let (Some(expected), Some(found)) = (expected, reply.header(wire::CHAIN))
            && expected != found
        {
            // It says more of itself than its tag.
            self.coverage(Duration::ZERO).await?;
            return Err(self.http.bad(what, "it is about another chain"));
        }
        Ok(reply)
    }

    /// Fails if the provider follows another chain than the expected one.
    fn check_chain(&self, found: &ChainIdentity) -> Result<(), SourceError> {
        let Some(expected) = self.expected().filter(|expected| expected != found) else { return Ok(()) };
        let pairs = [
            ("relay chain", found.relay_chain, expected.relay_chain),
            ("parachain", found.para_genesis, expected.para_genesis),
            ("chain that starts at", found.start, expected.start),
        ];
        match pairs.into_iter().find(|(_, found, expected)| found != expected) {
            Some((chain, found, expected)) => {
                let endpoint = self.http.endpoint().to_owned();
                Err(SourceError::Foreign { endpoint, chain, found, expected })
            }
            None => {
                let cause = format!("parachain {}, expected is {}", found.para_id, expected.para_id);
                Err(self.http.bad("coverage", cause))
            }
        }
    }

    /// What the provider covers. Returns at once, or if it is still what it was, after `wait`.
    async fn coverage(&self, wait: Duration) -> Result<Option<Coverage>, SourceError> {
        const WHAT: &str = "coverage";
        let wait = wait.min(Duration::from_secs(wire::MAX_WAIT_SECONDS));
        let known = self.seen().coverage.clone().filter(|_| !wait.is_zero());
        let path = match &known {
            Some((tag, _)) => format!("{}?known={tag}&wait={}", wire::COVERAGE, wait.as_secs().max(1)),
            None => wire::COVERAGE.to_owned(),
        };
        let reply = self.http.get_news(&path, WHAT, MAX_RECORD, wait).await;
        let reply = reply.map_err(|error| self.http.always_there(error))?;
        if let Some((_, coverage)) = known.filter(|_| reply.is_unchanged()) {
            sleep(UNCHANGED).await;
            return Ok(coverage);
        }
        // Who cannot say it may be somebody else. What can be read is not looked at for words: it begins with a checksum.
        let coverage: Option<Coverage> = wire::open(WHAT, &reply.body).map_err(|error| {
            let stranger = wire::stranger(200, &reply.body);
            stranger.map_or_else(|| self.malformed(WHAT)(error), |who| self.http.bad(WHAT, who))
        })?;
        let tag = reply.header("etag").map(|tag| tag.trim_matches('"').to_owned());
        let tag = tag.filter(|tag| tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let tag = tag.ok_or_else(|| self.http.bad(WHAT, "it has no entity tag"))?;
        if let Some(coverage) = &coverage {
            self.check_chain(&coverage.identity)?;
        }
        let mut seen = self.seen();
        if let Some(form) = coverage.and_then(|coverage| coverage.changes_form) {
            seen.form = Some(seen.form.map_or(form, |seen| seen.and(form)));
        }
        seen.coverage = Some((tag, coverage));
        Ok(coverage)
    }

    /// The coverage of a provider that holds something.
    async fn covered(&self) -> Result<Coverage, SourceError> {
        let coverage = self.coverage(Duration::ZERO).await?;
        coverage.ok_or_else(|| self.http.missing("data"))
    }

    /// The first justified block from `from` on.
    async fn rung(&self, from: Height) -> Result<Option<Rung>, SourceError> {
        let what = format!("justified relay blocks from {from}");
        let reply = self.ask(&format!("{}?from={from}&limit=1", wire::RUNGS), &what, MAX_RECORD).await?;
        let rungs: Vec<Rung> = wire::open("rungs", &reply.body).map_err(self.malformed(&what))?;
        match rungs.first() {
            Some(rung) if rung.at < from => Err(self.http.bad(what, format!("it answers block {}", rung.at))),
            rung => Ok(rung.copied()),
        }
    }

    /// All items of a stream that has one at every height.
    async fn items(&self, stream: Stream, span: Span) -> Result<Vec<Bytes>, SourceError> {
        let mut items = Vec::new();
        let of_headers = matches!(stream, Stream::RelayHeaders | Stream::ParaHeaders);
        let mut budget = Budget::new(if of_headers { MAX_HEADERS } else { MAX_CHANGES });
        let mut rest = Some(span);
        while let Some(span) = rest {
            let what = format!("{stream} {span}");
            let (first, last) = (span.first(), span.last());
            let path = format!("{}/{stream}/{first}/{last}?max_bytes={CHUNK}", wire::BLOBS);
            let reply =
                self.ask(&path, &what, CHUNK.max(wire::MAX_BLOB_BYTES as usize) + MAX_FRAMING).await?;
            let end = reply.header(wire::END).and_then(End::named);
            budget.take(reply.body.len()).map_err(|cause| self.http.bad(&*what, cause))?;
            let blobs = wire::decode_frames(stream, span, reply.body).map_err(self.malformed(&what))?;
            if let Some(blob) = blobs.iter().find(|blob| of_headers && blob.bytes.len() > MAX_HEADER) {
                let cause = format!("the header of block {} has {} bytes", blob.height, blob.bytes.len());
                return Err(self.http.bad(what, cause));
            }
            let Some(last) = blobs.last().map(|blob| blob.height) else {
                return Err(match end {
                    Some(End::Damaged) => self.http.missing(format!("undamaged {what}")),
                    _ => self.http.missing(what),
                });
            };
            items.extend(blobs.into_iter().map(|blob| blob.bytes));
            rest = last.0.checked_add(1).and_then(|next| Span::new(Height(next), span.last()));
        }
        Ok(items)
    }

    /// The item of a stream that has one at some heights, as `T`.
    async fn one<T: DecodeAll>(&self, stream: Stream, at: Height) -> Result<Option<T>, SourceError> {
        let what = format!("{stream} {at}");
        let Some(bytes) = self.raw(stream, at).await? else { return Ok(None) };
        T::decode_all(&mut bytes.as_ref()).map(Some).map_err(|error| self.http.bad(what, error))
    }

    async fn raw(&self, stream: Stream, at: Height) -> Result<Option<Bytes>, SourceError> {
        match self.items(stream, Span::one(at)).await {
            Ok(items) => Ok(items.into_iter().next()),
            Err(SourceError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The batch that ends at `rung`; none if the provider has replaced that meanwhile.
    async fn batch_to(&self, from: Height, rung: Rung) -> Result<Option<RelayBatch>, SourceError> {
        let what = || format!("relay headers {from}..={}", rung.at);
        let span = Span::new(from, rung.at).filter(|span| span.count() <= MAX_BATCH);
        let span = span.ok_or_else(|| self.http.bad(what(), "more than a batch may hold"))?;
        let (headers, justification, head) = futures::try_join!(
            self.items(Stream::RelayHeaders, span),
            self.raw(Stream::Justifications, rung.at),
            self.one::<ProvenHead>(Stream::ParaHeads, rung.at),
        )?;
        let Some(justification) = justification else { return Ok(None) };
        if rung.para.is_some() != head.is_some() {
            return Ok(None);
        }
        let set_change = match rung.closes_set {
            true => self.one::<AuthoritySetChange>(Stream::SetChanges, rung.at).await?,
            false => None,
        };
        self.seen().head = Some((rung.at, head));
        Ok(Some(RelayBatch { headers, justification, set_change }))
    }

    /// What the provider says the parachain's head was in the state of a justified block.
    async fn proven_head(&self, at: Height) -> Result<Option<ProvenHead>, SourceError> {
        if let Some((_, head)) = self.seen().head.clone().filter(|(height, _)| *height == at) {
            return Ok(head);
        }
        let head = self.one(Stream::ParaHeads, at).await?;
        if head.is_none() && self.rung(at).await?.is_none_or(|rung| rung.at != at || rung.para.is_some()) {
            return Err(self.http.missing(format!("parachain head at relay block {at}")));
        }
        Ok(head)
    }

    /// The start block that follows from the parachain's block 1.
    async fn derived_start(&self) -> Result<Height, SourceError> {
        let what = format!("{VALIDATION_DATA} in the storage changes of parachain block 1");
        let items = self.items(Stream::Changes, Span::one(Height(1))).await?;
        let changes = items.first().ok_or_else(|| self.http.missing(what.as_str()))?;
        let changes = StorageChanges::decode_all(&mut changes.as_ref())
            .map_err(|error| self.http.bad(&*what, error))?;
        let key = storage_key::validation_data();
        let data = changes.main_storage_changes.into_iter().find(|(written, _)| *written == key);
        let data = data.and_then(|(_, value)| value).ok_or_else(|| self.http.missing(what.as_str()))?;
        let data =
            ValidationData::decode(&mut data.as_slice()).map_err(|error| self.http.bad(&*what, error))?;
        data.start().ok_or_else(|| self.http.bad(what, "the relay parent is block 0"))
    }

    /// The id that the parachain's first state gives it.
    fn derived_id(&self, genesis: &Genesis) -> Result<Option<u32>, SourceError> {
        const WHAT: &str = "first state of the parachain";
        let pairs = StorageState::decode_all(&mut genesis.para_state.as_ref())
            .map_err(|error| self.http.bad(WHAT, error))?;
        let key = storage_key::parachain_id();
        let Some((_, id)) = pairs.into_iter().find(|(written, _)| *written == key) else { return Ok(None) };
        u32::decode_all(&mut id.as_slice()).map(Some).map_err(|error| self.http.bad(WHAT, error))
    }
}

#[async_trait]
impl BlockSource for MirrorSource {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        const WHAT: &str = "genesis";
        let reply = self.ask(wire::GENESIS, WHAT, MAX_GENESIS).await?;
        let genesis: Genesis = wire::open(WHAT, &reply.body).map_err(self.malformed(WHAT))?;
        let start = genesis.start();
        let id = self.derived_id(&genesis)?;
        if id.unwrap_or(0) != genesis.para_id {
            let cause = format!("its parachain has id {id:?} in its first state, not {}", genesis.para_id);
            return Err(self.http.bad(WHAT, cause));
        }
        if genesis.parachain {
            let derived = self.derived_start().await?;
            if derived != start.height {
                let cause = format!("it starts at {start}, from the parachain follows {derived}");
                return Err(self.http.bad(WHAT, cause));
            }
            check_start(self.http.endpoint(), genesis.relay_chain, genesis.para_id, &genesis.relay)?;
        } else if start != genesis.para_header.block_ref() || start.hash != genesis.relay_chain {
            return Err(self.http.bad(WHAT, "a chain without relay chain starts at its own block 0"));
        }
        Ok(self.said(genesis))
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        let coverage = self.covered().await?;
        let last = |span: Option<Span>| span.map_or(Height(0), Span::last);
        let (relay, para) = (last(coverage.relay), last(coverage.para));
        Ok(Tips { relay, para: if coverage.parachain { para } else { relay } })
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        for _ in 0..ATTEMPTS {
            let Some(rung) = self.rung(from).await? else { return Ok(self.said(None)) };
            if let Some(batch) = self.batch_to(from, rung).await? {
                return Ok(self.said(Some(batch)));
            }
        }
        Err(self.http.missing(format!("a justification of relay blocks from {from} that stays")))
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        let coverage = self.covered().await?;
        if !coverage.parachain || coverage.identity.para_id != para_id {
            return Ok(self.said(None));
        }
        let Some(head) = self.proven_head(at.height).await? else { return Ok(self.said(None)) };
        let header = self.items(Stream::ParaHeaders, Span::one(head.number)).await?;
        let what = format!("parachain header {}", head.number);
        let header = header.into_iter().next().ok_or_else(|| self.http.missing(what))?;
        let proof = head.proof.into_iter().map(Bytes::from).collect();
        Ok(self.said(Some(ParaHead { header, proof })))
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        Ok(self.said(self.items(Stream::ParaHeaders, span).await?))
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let what = || format!("storage changes of parachain blocks {}..={}", first.height, last.height);
        let span = Span::new(first.height, last.height)
            .ok_or_else(|| self.http.bad(what(), "the range is empty"))?;
        let until = Instant::now() + CHANGES_PATIENCE;
        let mut coverage = self.covered().await?;
        for _ in 0..MAX_NEWS {
            if coverage.changes.is_some_and(|changes| changes.covers(span)) {
                return Ok(self.said(self.items(Stream::Changes, span).await?));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            coverage = self.coverage(left).await?.ok_or_else(|| self.http.missing(what()))?;
        }
        Err(self.http.missing(what()))
    }

    fn changes_form(&self) -> ChangesForm {
        self.seen().form.unwrap_or(ChangesForm::Mixed)
    }

    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError> {
        let relay = |coverage: Option<Coverage>| coverage.and_then(|coverage| coverage.relay).map(Span::last);
        let until = Instant::now() + self.patience;
        let mut wait = Duration::ZERO;
        for _ in 0..MAX_NEWS {
            let tip = relay(self.coverage(wait).await?);
            wait = until.saturating_duration_since(Instant::now());
            if tip.is_some_and(|tip| tip > known.relay) || wait.is_zero() {
                break;
            }
        }
        Ok(())
    }

    fn expect(&self, chain: &ChainIdentity) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(*chain);
    }

    fn distrust(&self, who: &Origin, because: &str) {
        tracing::debug!(endpoint = %who, because, "distrusted");
    }

    fn endpoint(&self) -> String {
        self.http.endpoint().to_owned()
    }
}
