//! A store on other machines, read over HTTP.

mod client;
mod hedge;
mod info;
mod inner;
mod look;
mod options;
mod provider;

pub use client::BadAddress;
pub use info::{InfoError, info};
pub use options::RemoteOptions;

use crate::{
    cache::{Cache, extend_within},
    flight::Flights,
    tls::ClientTls,
};
use async_trait::async_trait;
use bytes::Bytes;
use client::Address;
use futures::FutureExt;
use hedge::Asking;
use inner::told;
use look::follow;
use prb_core::{
    id::{Hash, Height},
    port::{
        Append, Blob, BlobStore, Coverage, Cursor, Genesis, Rung, StoreError, Stream, source::ChainIdentity,
    },
    span::Span,
    wire,
};
use provider::Provider;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout},
};

/// Longest wait for news of the coverage.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers about rungs kept until the coverage changes.
const KEPT_RUNGS: usize = 1024;

/// Reads what providers serve ([`Server`](crate::server::Server)). Clones share it.
///
/// Providers may come and go at any time, and there may be none at first: until one has answered, everything is
/// [`StoreError::Unreachable`], which is worth another try. A question goes to the provider that is furthest, or to one
/// that is hardly behind and begins earlier, and within the same call to the others if that one fails, or is silent for
/// [`RemoteOptions::hedge_after`]. All of one answer comes from one provider or from what was read before. Every item's checksum is verified, as is which chain
/// it belongs to. That the provider has verified the chain itself is trusted, so name only providers of your own; who
/// wants to verify everything ingests from a provider, as from a node, into a store of his own.
///
/// It must be made within a tokio runtime. It is read-only and keeps no cursor.
#[derive(Clone)]
pub struct RemoteStore {
    inner: Arc<Inner>,
}

/// Whether a chain is one that may be read.
type Requirement = Box<dyn Fn(&ChainIdentity) -> bool + Send + Sync>;

struct Inner {
    begun: Instant,
    options: RemoteOptions,
    providers: Mutex<Vec<Entry>>,
    published: watch::Sender<Published>,
    identity: Mutex<Option<ChainIdentity>>,
    /// What the parachain's block 0 must be, where that is known from elsewhere.
    para_genesis: Mutex<Option<Hash>>,
    /// What else a chain must be.
    required: Mutex<Option<Requirement>>,
    genesis: Mutex<Weak<Genesis>>,
    cache: Mutex<Cache<Bytes>>,
    rungs: Mutex<Rungs>,
    flights: Flights,
}

struct Entry {
    provider: Arc<Provider>,
    task: AbortHandle,
    /// Whether the token is for it.
    shows_token: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What readers are told.
#[derive(Clone, Copy, Default, PartialEq)]
struct Published {
    /// Whether any provider has ever answered.
    answered: bool,
    coverage: Option<Coverage>,
}

/// Answers that hold for one coverage.
#[derive(Default)]
struct Rungs {
    version: u64,
    kept: HashMap<(Height, usize), Vec<Rung>>,
}

/// How a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// Its address.
    pub url: String,
    /// Whether it is asked like any other.
    pub usable: bool,
    /// Whether it follows other chains, so that it is not asked for anything.
    pub foreign: bool,
    /// What it covers, as far as it has said.
    pub coverage: Option<Coverage>,
    /// What was wrong with it last, none while all is well.
    pub trouble: Option<String>,
}

/// Whether a text is the address of a provider, without asking anybody.
pub fn check_address(url: &str) -> Result<(), BadAddress> {
    Address::parse(url).map(drop)
}

impl RemoteStore {
    /// A store without providers.
    pub fn new(options: RemoteOptions) -> Self {
        let cache = Cache::new(options.cache_bytes, options.cache_age);
        let inner = Inner {
            begun: Instant::now(),
            identity: Mutex::new(options.identity),
            para_genesis: Mutex::default(),
            required: Mutex::default(),
            providers: Mutex::default(),
            published: watch::Sender::default(),
            genesis: Mutex::default(),
            cache: Mutex::new(cache),
            rungs: Mutex::default(),
            flights: Flights::default(),
            options,
        };
        Self { inner: Arc::new(inner) }
    }

    /// A store on these providers.
    pub fn connect<'a>(
        urls: impl IntoIterator<Item = &'a str>,
        options: RemoteOptions,
    ) -> Result<Self, BadAddress> {
        let store = Self::new(options);
        for url in urls {
            store.add_provider(url)?;
        }
        Ok(store)
    }

    /// Takes a provider on; one that is known already is left as it is.
    pub fn add_provider(&self, url: &str) -> Result<(), BadAddress> {
        let address = Address::parse(url)?;
        let tls = address.tls(&self.inner.options)?;
        let mut providers = self.inner.providers();
        if providers.iter().any(|entry| entry.provider.url == address.url()) {
            return Ok(());
        }
        providers.push(self.entry(address, tls, true));
        Ok(())
    }

    /// Lets a provider go; answers under way are still used. False if it was not known.
    pub fn remove_provider(&self, url: &str) -> Result<bool, BadAddress> {
        let url = Address::parse(url)?.url();
        let gone = {
            let mut providers = self.inner.providers();
            let before = providers.len();
            providers.retain(|entry| entry.provider.url != url);
            providers.len() < before
        };
        self.inner.elect();
        Ok(gone)
    }

    /// Reads from these providers from now on and from no others; those with `false` are not shown the token. Of two that
    /// are the same one the first counts. An address that cannot be used changes nothing.
    pub fn set_providers<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Result<(), BadAddress> {
        let mut all: Vec<(Address, Option<ClientTls>, bool)> = Vec::new();
        for (url, shows_token) in wanted {
            let address = Address::parse(url)?;
            let tls = address.tls(&self.inner.options)?;
            if all.iter().all(|(known, ..)| known.url() != address.url()) {
                all.push((address, tls, shows_token));
            }
        }
        let mut providers = self.inner.providers();
        let is = |entry: &Entry, (address, _, shows_token): &(Address, Option<ClientTls>, bool)| {
            entry.provider.url == address.url() && entry.shows_token == *shows_token
        };
        providers.retain(|entry| all.iter().any(|wanted| is(entry, wanted)));
        for wanted in all {
            if !providers.iter().any(|entry| is(entry, &wanted)) {
                let (address, tls, shows_token) = wanted;
                providers.push(self.entry(address, tls, shows_token));
            }
        }
        drop(providers);
        self.inner.elect();
        Ok(())
    }

    fn entry(&self, address: Address, tls: Option<ClientTls>, shows_token: bool) -> Entry {
        let mut options = self.inner.options.clone();
        options.token = options.token.filter(|_| shows_token);
        let provider = Arc::new(Provider::new(address, tls, options));
        let following = follow(provider.clone(), Arc::downgrade(&self.inner));
        let task = tokio::spawn(following).abort_handle();
        Entry { provider, task, shows_token }
    }

    /// Whether a provider at that address could be taken on.
    pub fn check_provider(&self, url: &str) -> Result<(), BadAddress> {
        Address::parse(url)?.tls(&self.inner.options).map(drop)
    }

    /// From now on only providers whose parachain has this block 0 are read from. Say it before the first provider is
    /// taken on: until then the chain is that of whoever answers first.
    pub fn require_para_genesis(&self, hash: Hash) {
        *self.inner.para_genesis.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
    }

    /// From now on only providers of chains that `is_wanted` says yes to are read from. Say it before the first provider
    /// is taken on.
    pub fn require_chain(&self, is_wanted: impl Fn(&ChainIdentity) -> bool + Send + Sync + 'static) {
        *self.inner.required.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(is_wanted));
    }

    /// Whether a provider has answered.
    pub fn is_ready(&self) -> bool {
        self.inner.published.borrow().answered
    }

    /// Returns once a provider has answered, whatever time that takes.
    pub async fn ready(&self) {
        // The sender lives as long as this store.
        let _ = self.inner.published.subscribe().wait_for(|published| published.answered).await;
    }

    /// How all providers are.
    pub fn providers(&self) -> Vec<ProviderStatus> {
        let status = |entry: &Entry| {
            let health = entry.provider.health();
            ProviderStatus {
                url: entry.provider.url.clone(),
                usable: health.usable(),
                foreign: health.foreign,
                coverage: health.coverage,
                trouble: health.cause.clone(),
            }
        };
        self.inner.providers().iter().map(status).collect()
    }
}

#[async_trait]
impl BlobStore for RemoteStore {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        let inner = &self.inner;
        if let Some(genesis) = inner.known_genesis().upgrade() {
            return Ok(Some(genesis));
        }
        let Some(chain) = inner.chain()? else { return Ok(None) };
        let mut turn = inner.flights.turn((u8::MAX, Height(0))).await;
        if let Some(genesis) = inner.known_genesis().upgrade() {
            return Ok(Some(genesis));
        }
        if let Some(cause) = turn.failed_meanwhile() {
            return Err(StoreError::Unreachable(cause));
        }
        let mut asking = Asking::new(inner, inner.candidates(None), |provider, pulse| {
            async move { provider.genesis(&chain, &pulse).await }.boxed()
        });
        let mut causes = Vec::new();
        while let Some((provider, answer)) = asking.next().await {
            match answer {
                Ok(Some(genesis)) => {
                    let genesis = Arc::new(genesis);
                    *inner.known_genesis() = Arc::downgrade(&genesis);
                    return Ok(Some(genesis));
                }
                Ok(None) => causes.push(format!("{}: has none", provider.url)),
                Err(failure) => causes.push(inner.failed(&provider, failure)),
            }
        }
        let cause = told(causes);
        turn.failed(&cause);
        Err(StoreError::Unreachable(cause))
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        let published = *self.inner.published.borrow();
        if published.answered { Ok(published.coverage) } else { Err(self.inner.unreachable()) }
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        Ok(None)
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        let inner = &self.inner;
        let Some(chain) = inner.chain()? else { return Ok(Vec::new()) };
        let mut turn = inner.flights.turn((u8::MAX - 1, from)).await;
        let version = {
            let rungs = inner.rungs();
            if let Some(kept) = rungs.kept.get(&(from, limit)) {
                return Ok(kept.clone());
            }
            rungs.version
        };
        if let Some(cause) = turn.failed_meanwhile() {
            return Err(StoreError::Unreachable(cause));
        }
        let mut asking = Asking::new(inner, inner.candidates(None), |provider, pulse| {
            async move { provider.rungs(&chain, from, limit, &pulse).await }.boxed()
        });
        let mut causes = Vec::new();
        while let Some((provider, answer)) = asking.next().await {
            match answer {
                Ok(found) => {
                    // What one that is behind says does not hold for what readers are told.
                    let holds = provider.health().coverage == inner.published.borrow().coverage;
                    let mut rungs = inner.rungs();
                    if holds
                        && rungs.version == version
                        && rungs.kept.len() < KEPT_RUNGS
                        && found.len() <= wire::MAX_RUNGS
                    {
                        rungs.kept.insert((from, limit), found.clone());
                    }
                    return Ok(found);
                }
                Err(failure) => causes.push(inner.failed(&provider, failure)),
            }
        }
        let cause = told(causes);
        turn.failed(&cause);
        Err(StoreError::Unreachable(cause))
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        let inner = &self.inner;
        let Some(chain) = inner.chain()? else { return Ok(Vec::new()) };
        let (kept, rest) = inner.kept(stream, span, max_bytes);
        if rest.is_none() {
            return Ok(kept);
        }
        let mut turn = inner.flights.turn((stream as u8, span.first())).await;
        let (mut blobs, rest) = inner.kept(stream, span, max_bytes);
        let Some(rest) = rest else { return Ok(blobs) };
        if let Some(cause) = turn.failed_meanwhile() {
            return Err(StoreError::Unreachable(cause));
        }
        let left = max_bytes.saturating_sub(blobs.iter().map(|blob| blob.bytes.len()).sum());
        if left == 0 && !blobs.is_empty() {
            return Ok(blobs);
        }
        match inner.fetch(&chain, stream, rest, left).await {
            Ok(found) => {
                extend_within(&mut blobs, found, left);
                Ok(blobs)
            }
            Err(cause) => {
                turn.failed(&cause);
                Err(StoreError::Unreachable(cause))
            }
        }
    }

    async fn append(&self, _: Append) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        let mut published = self.inner.published.subscribe();
        let news = published.wait_for(|published| published.answered && published.coverage != known);
        // Neither running out of patience nor a store that goes away is an error: the caller looks again.
        let _ = timeout(PATIENCE, news).await;
        Ok(())
    }
}
