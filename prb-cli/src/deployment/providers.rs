//! A deployment that is fed by data providers.

use super::{Data, Deployment, DeploymentError};
use crate::{
    config::{self, Config, ConfigError, Purpose, Sources, place},
    logs,
    token::{TokenError, token_in},
};
use prb_chain::{node_source::start_point, trader::ChainNode};
use prb_core::{
    backoff::{Backoff, Pace},
    id::Hash,
    moment::Moment,
    port::{BlobStore, source::ChainIdentity},
    progress::{LOOK, PATIENCE, Stall, Waiting, Word},
};
use prb_store::{
    RemoteOptions, RemoteStore,
    remote::{BadAddress, ProviderStatus},
    server::Token,
    tls::{ClientTls, TlsError},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, interval, sleep, timeout},
};
use tracing::{info, warn};

/// Pauses before a provider, or the node that names the network, is asked again. Both are the operator's own, and
/// workers wait for them.
const PACE: Pace = Pace { first: Duration::from_millis(500), longest: Duration::from_secs(5) };

/// How long providers have to answer at the start before it is said that they are waited for.
const SOON: Duration = Duration::from_secs(3);

/// Why data providers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    /// An address is none.
    #[error("providers.urls: {0}")]
    Address(#[from] BadAddress),
    /// There is no token in the file.
    #[error("providers.token_file {path}: {cause}")]
    Token {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: TokenError,
    },
    /// The certificates cannot be used.
    #[error("providers.ca_file: {0}")]
    Authorities(#[from] TlsError),
    /// The node is one of the relay chain.
    #[error(
        "chain.para names a node of the relay chain that the providers follow; name a node of the parachain there"
    )]
    RelayNode,
    /// All providers follow other chains than the node.
    #[error(
        "every provider follows another network than chain.para, whose block 0 is {node}, or begins at another block \
         than chain.start or the built-in one; name providers and a node of one network"
    )]
    OtherNetwork {
        /// Hash of the node's block 0.
        node: Hash,
    },
}

/// What providers must be and should have done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trust {
    /// Hash of the pinned start block.
    start: Option<Hash>,
    /// Whether storage changes are to be checked against state roots.
    verify_state: bool,
}

impl Trust {
    pub(super) fn of(config: &Config) -> Result<Self, ConfigError> {
        let start = config.trusted_start()?.map(|start| start.hash);
        Ok(Self { start, verify_state: config.chain.verify_state })
    }

    /// Whether a chain begins where it must: at the pinned block, and at the built-in one of its network.
    fn begins_right(self, chain: &ChainIdentity) -> bool {
        let built_in = start_point(chain.relay_chain, chain.para_id).map(|point| point.hash);
        [self.start, built_in].into_iter().flatten().all(|start| start == chain.start)
    }
}

/// How providers are read.
pub(crate) struct ProviderAccess {
    options: RemoteOptions,
    trust: Trust,
}

impl ProviderAccess {
    /// As a configuration says.
    pub(crate) fn of(config: &Config, named: &config::Providers) -> Result<Self, DeploymentError> {
        Ok(Self::new(named, Trust::of(config)?)?)
    }

    fn new(named: &config::Providers, trust: Trust) -> Result<Self, ProvidersError> {
        let token = Self::token(named).map_err(|cause| {
            let path = named.token_file.clone().unwrap_or_default();
            ProvidersError::Token { path, cause }
        })?;
        let options = RemoteOptions {
            token,
            tls: Self::authorities(named)?,
            pace: PACE,
            cache_bytes: named.cache_mib << 20,
            cache_age: Duration::from_secs(named.cache_seconds),
            ..RemoteOptions::default()
        };
        Ok(Self { options, trust })
    }

    /// What is shown to them.
    pub(crate) fn token(named: &config::Providers) -> Result<Option<Token>, TokenError> {
        named.token_file.as_deref().map(token_in).transpose()
    }

    /// Who vouches for them.
    pub(crate) fn authorities(named: &config::Providers) -> Result<Option<ClientTls>, TlsError> {
        named.ca_file.as_deref().map(ClientTls::from_file).transpose()
    }

    pub(crate) fn options(&self) -> RemoteOptions {
        self.options.clone()
    }

    /// Makes a store read from providers only that begin where they must.
    pub(crate) fn require(&self, store: &RemoteStore) {
        let trust = self.trust;
        store.require_chain(move |chain| trust.begins_right(chain));
    }
}

/// The providers of a deployment.
pub(super) struct Providers {
    store: RemoteStore,
    joint: Arc<Joint>,
    joining: AbortHandle,
}

/// Providers are asked once it is known which network they must be of.
#[derive(Default)]
struct Joint(Mutex<Wanted>);

/// A provider that is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadFrom {
    pub(crate) url: String,
    /// Whether `providers.token_file` is for it.
    pub(crate) shows_token: bool,
}

impl ReadFrom {
    /// One that the operator named.
    pub(crate) fn named(url: &str) -> Self {
        Self { url: url.to_owned(), shows_token: true }
    }
}

#[derive(Default)]
struct Wanted {
    /// Those that are named.
    named: Vec<String>,
    /// Those and who was found.
    all: Vec<ReadFrom>,
    /// Whether others are looked for.
    finds: bool,
    /// Whom nobody reads from though they were found.
    refused: BTreeSet<String>,
    network: Option<Hash>,
}

impl Providers {
    /// Reads from the providers that are named, once `node` has told its network.
    pub(super) fn open(
        named: &config::Providers,
        finds: bool,
        trust: Trust,
        node: Arc<dyn ChainNode>,
    ) -> Result<Self, ProvidersError> {
        let access = ProviderAccess::new(named, trust)?;
        let store = RemoteStore::new(access.options());
        access.require(&store);
        let joint = Arc::new(Joint(Mutex::new(Wanted { finds, ..Wanted::default() })));
        let joining = tokio::spawn(join(store.clone(), joint.clone(), trust, node)).abort_handle();
        let providers = Self { store, joint, joining };
        providers.set(&named.urls)?;
        Ok(providers)
    }

    pub(super) fn store(&self) -> &RemoteStore {
        &self.store
    }

    /// Reads from these from now on, and no others but those that are found. An address that cannot be used changes nothing.
    pub(super) fn set(&self, urls: &[String]) -> Result<(), ProvidersError> {
        urls.iter().try_for_each(|url| self.store.check_provider(url))?;
        let mut wanted = self.joint.wanted();
        let found =
            wanted.all.iter().filter(|from| !wanted.named.contains(&from.url) && !urls.contains(&from.url));
        wanted.all = urls.iter().map(|url| ReadFrom::named(url)).chain(found.cloned()).collect();
        wanted.named = urls.to_vec();
        if wanted.network.is_some() {
            use_only(&self.store, &wanted.all)?;
        }
        Ok(())
    }

    /// Adds who is found to those that are named.
    pub(super) fn finder(&self) -> Finder {
        Finder { store: self.store.clone(), joint: self.joint.clone() }
    }

    /// Why nothing is read from any of them, if nothing is.
    pub(super) fn trouble(&self) -> Option<String> {
        let known = self.store.providers();
        let well = |provider: &ProviderStatus| provider.usable && provider.trouble.is_none();
        if self.store.is_ready() && known.iter().any(well) {
            return None;
        }
        let causes = known.iter().map(|provider| {
            format!("{}: {}", provider.url, provider.trouble.as_deref().unwrap_or("no answer yet"))
        });
        let causes: Vec<_> = causes.collect();
        Some(if causes.is_empty() {
            let others = if self.joint.wanted().finds {
                "let one that p2p.members lists join the network of [p2p] (or any, if strangers are kept out of it), or name"
            } else {
                "name"
            };
            format!(
                "no data provider is asked; {others} one in providers.urls, and a node in chain.para that answers"
            )
        } else {
            format!("no data provider is well: {}", causes.join("; "))
        })
    }

    /// Why going on is useless: there are providers, and none was ever of the right network.
    pub(super) fn failure(&self) -> Option<ProvidersError> {
        let (node, finds) = {
            let wanted = self.joint.wanted();
            (wanted.network?, wanted.finds)
        };
        let known = self.store.providers();
        // Where some are found, another may come at any time, and whoever likes calls himself one.
        let foreign = !finds && !known.is_empty() && known.iter().all(|provider| provider.foreign);
        if !foreign || self.store.is_ready() {
            return None;
        }
        let mut chains = known.iter().filter_map(|provider| provider.coverage).map(|known| known.identity);
        let is_relay = chains.all(|chain| chain.relay_chain == node);
        Some(if is_relay { ProvidersError::RelayNode } else { ProvidersError::OtherNetwork { node } })
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.joining.abort();
    }
}

impl Joint {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells a deployment of the providers that were found.
pub(crate) struct Finder {
    store: RemoteStore,
    joint: Arc<Joint>,
}

impl Finder {
    /// Reads from what `of` makes of those that are named, from now on. What cannot be used of it is left out and told.
    pub(crate) fn find(&self, of: impl FnOnce(&[String]) -> Vec<ReadFrom>) {
        let mut wanted = self.joint.wanted();
        let found = of(&wanted.named);
        let known = std::mem::take(&mut wanted.refused);
        let mut all = Vec::new();
        for from in found {
            match self.store.check_provider(&from.url) {
                Ok(()) => all.push(from),
                Err(cause) => {
                    if !known.contains(&from.url) {
                        warn!(%cause, "a data provider that was found is not used");
                    }
                    wanted.refused.insert(from.url);
                }
            }
        }
        if all == wanted.all {
            return;
        }
        let (added, dropped) = (beyond(&all, &wanted.all), beyond(&wanted.all, &all));
        info!(added, dropped, "data providers are others");
        wanted.all = all;
        if wanted.network.is_some()
            && let Err(cause) = use_only(&self.store, &wanted.all)
        {
            warn!(%cause, "a provider is not used");
        }
    }

    /// Addresses of those that are of no use so far: they do not answer, or follow another chain.
    pub(crate) fn useless(&self) -> BTreeSet<String> {
        let known = self.store.providers().into_iter();
        known.filter(|provider| !provider.usable).map(|provider| provider.url).collect()
    }
}

/// Those of `all` that are not among `others`, without what may be a secret.
fn beyond(all: &[ReadFrom], others: &[ReadFrom]) -> String {
    let those = all.iter().filter(|from| !others.contains(from)).map(|from| place(&from.url));
    those.collect::<Vec<_>>().join(", ")
}

fn use_only(store: &RemoteStore, all: &[ReadFrom]) -> Result<(), BadAddress> {
    store.set_providers(all.iter().map(|from| (from.url.as_str(), from.shows_token)))
}

/// Learns the network from the node, takes the providers on, and says once what is waited for.
async fn join(store: RemoteStore, joint: Arc<Joint>, trust: Trust, node: Arc<dyn ChainNode>) {
    let network = network(&*node).await;
    store.require_para_genesis(network);
    let (none, finds) = {
        let mut wanted = joint.wanted();
        wanted.network = Some(network);
        if let Err(cause) = use_only(&store, &wanted.all) {
            warn!(%cause, "a provider is not used");
        }
        (wanted.all.is_empty(), wanted.finds)
    };
    if none && finds {
        info!("no data provider that may be read from is found yet; workers wait until one is");
    } else if none {
        warn!(
            "no data provider is named; add one to providers.urls and send SIGHUP, or let them be found with a section [p2p]; \
             workers wait until then"
        );
    } else if timeout(SOON, store.ready()).await.is_err() {
        let causes: Vec<_> = store
            .providers()
            .into_iter()
            .map(|provider| {
                format!("{}: {}", provider.url, provider.trouble.as_deref().unwrap_or("no answer yet"))
            })
            .collect();
        warn!(cause = causes.join("; "), "no data provider answers; workers wait until one does");
    }
    store.ready().await;
    info!("a data provider answers; workers are fed");
    if trust.verify_state {
        tell_unverified(&store).await;
    }
}

/// Says once that a provider has not done what this deployment would do itself.
async fn tell_unverified(store: &RemoteStore) {
    loop {
        let known = store.coverage().await.ok().flatten();
        let lacks = |provider: &ProviderStatus| {
            !provider.foreign && provider.coverage.is_some_and(|coverage| !coverage.state_verified)
        };
        if let Some(provider) = store.providers().into_iter().find(lacks) {
            warn!(
                provider = %provider.url,
                "the provider has not checked storage changes against state roots, though chain.verify_state is on: it \
                 can poison workers; switch chain.verify_state on there, or use another provider"
            );
            return;
        }
        if store.wait(known).await.is_err() {
            return;
        }
    }
}

/// Hash of the node's block 0. While there is none it is told that it is waited for.
async fn network(node: &dyn ChainNode) -> Hash {
    let (begun, trouble) = (Instant::now(), Mutex::default());
    let now = || Moment(begun.elapsed());
    let mut asking = pin!(ask_network(node, &trouble));
    let mut stall = Stall::default();
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            network = &mut asking => {
                if stall.is_told() {
                    info!(seconds = begun.elapsed().as_secs(), "chain.para answers; providers are asked");
                }
                return network;
            }
            _ = looks.tick() => {
                let waiting = Waiting {
                    endpoint: "chain.para".to_owned(),
                    there: None,
                    what: "which network this is".to_owned(),
                    cause: trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                    remedy: "see whether the node runs and can be reached, or name another in chain.para",
                    patience: PATIENCE,
                };
                if let Some(Word::Stalled(still)) = stall.observe(now(), (), Some(&waiting)) {
                    let Waiting { endpoint, what: waiting_for, cause, remedy, .. } = waiting;
                    let seconds = still.as_secs();
                    warn!(endpoint, waiting_for, cause, seconds, remedy, "no provider is asked yet");
                }
            }
        }
    }
}

async fn ask_network(node: &dyn ChainNode, trouble: &Mutex<Option<String>>) -> Hash {
    let mut backoff = Backoff::new(PACE, 0);
    loop {
        let cause = match node.request("chain_getBlockHash", json!([0])).await {
            Ok(answer) => match answer.as_str().and_then(|hash| hash.parse().ok()) {
                Some(hash) => return hash,
                None => "it names no block 0".to_owned(),
            },
            Err(cause) => cause.to_string(),
        };
        if backoff.failures() == 0 {
            warn!(
                cause,
                "chain.para must tell which network this is before providers are asked; trying again"
            );
        }
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
        sleep(backoff.failed()).await;
    }
}

/// The configuration, whose data comes from the providers named there and from these.
pub fn fed_by(sources: &Sources, more: &[String]) -> Result<Config, ConfigError> {
    let mut sources = sources.clone();
    if !more.is_empty() || Config::read(&sources, Purpose::Lifecycle)?.p2p.enabled {
        sources.environment = sources.environment.fed();
    }
    let mut config = Config::read(&sources, Purpose::Lifecycle)?;
    let urls = &mut config.providers.get_or_insert_default().urls;
    for url in more {
        if !urls.contains(url) {
            urls.push(url.clone());
        }
    }
    config.check_for(Purpose::Lifecycle)?;
    Ok(config)
}

impl Deployment {
    /// Reads the configuration's log filter and the addresses of providers again. What cannot be used is told and changes
    /// nothing.
    pub(super) fn reload(&self, read: &impl Fn() -> Result<Config, ConfigError>) {
        let config = match read() {
            Ok(config) => config,
            Err(cause) if matches!(self.data, Data::Own(_)) => {
                return warn!(%cause, "logs stay as they were");
            }
            Err(cause) => return warn!(%cause, "providers stay as they were"),
        };
        match logs::follow(&config.log) {
            Ok(filter) => info!(filter, "logs follow the configuration again"),
            Err(cause) => warn!(%cause, "logs stay as they were"),
        }
        if matches!(self.data, Data::Own(_)) {
            return;
        }
        let urls = config.providers.unwrap_or_default().urls;
        match self.set_providers(&urls) {
            Ok(()) => {
                let urls: Vec<_> = urls.iter().map(|url| place(url)).collect();
                info!(urls = urls.join(", "), "providers are read again");
            }
            Err(cause) => warn!(%cause, "providers stay as they were"),
        }
    }
}

/// Requests to read the configuration again.
#[cfg(unix)]
pub(super) struct Reloads(Option<tokio::signal::unix::Signal>);

/// Listens to SIGHUP.
#[cfg(unix)]
pub(super) fn reloads() -> Reloads {
    use tokio::signal::unix::{SignalKind, signal};
    let listening = signal(SignalKind::hangup());
    Reloads(listening.map_or_else(
        |cause| {
            warn!(%cause, "SIGHUP cannot be handled; it ends the program");
            None
        },
        Some,
    ))
}

#[cfg(unix)]
impl Reloads {
    pub(super) async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// There is no such signal.
#[cfg(not(unix))]
pub(super) struct Reloads;

#[cfg(not(unix))]
pub(super) fn reloads() -> Reloads {
    Reloads
}

#[cfg(not(unix))]
impl Reloads {
    pub(super) async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_other_providers_is_what_changed_without_secrets() {
        let from = |url: &str, shows_token| ReadFrom { url: url.to_owned(), shows_token };
        let before =
            [from("http://a:1", true), from("http://b:1/key-of-mine", true), from("http://c:1", false)];
        let after = [from("http://a:1", true), from("http://c:1", true), from("http://d:1", true)];
        assert_eq!(beyond(&after, &before), "http://c:1, http://d:1");
        assert_eq!(beyond(&before, &after), "http://b:1/…, http://c:1");
    }

    #[test]
    fn a_chain_begins_at_the_pinned_block_and_at_the_built_in_one() {
        let polkadot: Hash =
            "91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3".parse().unwrap();
        let known = start_point(polkadot, 2035).unwrap().hash;
        let chain = |relay_chain, start| ChainIdentity {
            relay_chain,
            start,
            para_genesis: Hash([3; 32]),
            para_id: 2035,
        };
        let (own, other) = (Hash([1; 32]), Hash([2; 32]));
        let pinned = |start| Trust { start, verify_state: true };
        assert!(pinned(None).begins_right(&chain(own, other)), "nothing is known of this network");
        assert!(pinned(Some(other)).begins_right(&chain(own, other)));
        assert!(!pinned(Some(own)).begins_right(&chain(own, other)));
        assert!(pinned(None).begins_right(&chain(polkadot, known)));
        assert!(!pinned(None).begins_right(&chain(polkadot, other)));
        assert!(!pinned(Some(other)).begins_right(&chain(polkadot, other)));
    }
}
