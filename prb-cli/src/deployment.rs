//! The reference deployment in one process: LMDB, in-process trader, workers of the inventory.

mod keys;
mod providers;
mod roster;
mod sources;
mod turn;

pub(crate) use self::providers::{Finder, ProviderAccess, ReadFrom};
pub(crate) use self::{keys::Keys, roster::declare};
pub use self::{
    providers::{ProvidersError, fed_by},
    sources::SourceStatus,
};

use self::{
    providers::{Providers, Reloads, Trust},
    roster::{Reach, Roster},
    turn::Turn,
};
use crate::{
    api::{Api, ApiError},
    commands::CommandError,
    config::{Config, ConfigError},
    identity::{IdentityError, Keyring},
    inventory::{Inventory, InventoryError, Snapshot},
    ptp::{Membership, PtpError},
    queue::orders,
    roster::Unfit,
    source::block_source,
    supervise,
    webhook::{Notifier, Stand},
};
use prb_chain::{
    chain_state::{CopyChainState, RpcChainState},
    journal::{Dropped, Entry, Journal, JournalError, Record, Totals},
    keys::Operators,
    redis_queue::RedisSink,
    trader::{ChainNode, DryRun, Nodes, RpcNode, Trader, TraderConfig},
    verify::CryptoVerifier,
};
use prb_core::{
    fault::unusable,
    id::{Hash, JobId},
    pipeline::{Bridge, BridgeError, bridge::BridgeOptions},
    port::{BlobStore, ChainState, Cursor, StoreError, Stream},
};
use prb_store::{LmdbOptions, LmdbStore, SharedOptions, SharedStore};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tracing::{info, warn};

/// Why a deployment does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The inventory cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The inventory of the configuration cannot be used.
    #[error(transparent)]
    Declared(#[from] CommandError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Transactions cannot be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The bridge refuses.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// A worker of the inventory cannot be used.
    #[error("worker {worker}: {cause}")]
    Worker {
        /// Which.
        worker: String,
        /// Why not.
        cause: String,
    },
    /// The data directory cannot be used.
    #[error("{}", unusable("make data_dir", Path::new(path), cause))]
    DataDir {
        /// The folder.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The store and the transaction journal were made for different networks.
    #[error(
        "data directory {path}: the store holds parachain {store}, the transaction journal {journal}; put back the \
         files that belong together"
    )]
    Mixed {
        /// The folder.
        path: String,
        /// Hash of block 0.
        store: Hash,
        /// Hash of block 0.
        journal: Hash,
    },
    /// Going on is useless.
    #[error("data directory {path}: {cause}")]
    Ended {
        /// The folder.
        path: String,
        /// Why.
        cause: String,
    },
    /// Data providers cannot be used.
    #[error(transparent)]
    Providers(#[from] ProvidersError),
    /// The API cannot listen.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The peer-to-peer network cannot be joined.
    #[error(transparent)]
    Ptp(#[from] PtpError),
}

/// What is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Relay headers.
    pub relay_headers: u64,
    /// Parachain headers.
    pub para_headers: u64,
    /// Blocks of storage changes.
    pub changes: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
}

/// A running deployment.
pub struct Deployment {
    bridge: Bridge,
    data: Data,
    /// None where it is a process of its own.
    trader: Option<Arc<Trader>>,
    /// The way to a trader that is a process of its own.
    queue: Option<Arc<RedisSink>>,
    /// Where a person's orders to the trader are put.
    orders: PathBuf,
    inventory: Inventory,
    keyring: Arc<Keyring>,
    roster: tokio::sync::Mutex<Roster>,
    unfit: Mutex<BTreeMap<String, Unfit>>,
    /// How workers are reached.
    reach: Reach,
    /// None where nobody is to be told anything.
    notifier: Option<Notifier>,
    /// The inventory as it was read last.
    known: Mutex<Option<Arc<Snapshot>>>,
    /// The data directory, for errors.
    path: String,
}

/// Where data comes from.
enum Data {
    /// What this process ingests.
    Own(Arc<LmdbStore>),
    /// What others have verified.
    Providers(Providers),
}

/// Time for the trader to finish what it is at.
const TRADER_GRACE: Duration = Duration::from_secs(20);

impl Deployment {
    /// Starts everything `config` describes.
    pub async fn start(config: &Config) -> Result<Self, DeploymentError> {
        Self::begin(config, None).await
    }

    /// The same with the keys of one that was [ended](Self::end): nobody may be there to unlock them again.
    async fn begin(config: &Config, keys: Option<Keys>) -> Result<Self, DeploymentError> {
        config.check()?;
        if config.chain.para.is_empty() {
            let cause = "transactions go through a node of the parachain; name one beside chain.mirror";
            return Err(ConfigError::Invalid { key: "chain.para", cause: cause.to_owned() }.into());
        }
        make_data_dir(config)?;
        let inventory = Inventory::open(&config.inventory_dir())?;
        declare(config, &inventory)?;

        let keys = match keys {
            Some(keys) => keys,
            None => Keys::new(config, &inventory, Operators::default())?,
        };
        let (operators, keyring) = (keys.operators().clone(), keys.keyring().clone());
        let roster = tokio::sync::Mutex::new(Roster::new(keys, config.fleet.clone()));
        let node = para_nodes(config);
        let builder = Bridge::builder().options(bridge_options(config)?);
        let from_node = || RpcChainState::new(node.clone());
        let (builder, data) = if let Some(named) = &config.providers {
            let providers = Providers::open(named, config.p2p.enabled, Trust::of(config)?, node.clone())?;
            let builder = builder.store(Arc::new(providers.store().clone())).state(Arc::new(from_node()));
            (builder, Data::Providers(providers))
        } else {
            let store = Arc::new(LmdbStore::open(config.blobs_dir(), LmdbOptions::default())?);
            let (verifier, state): (_, Arc<dyn ChainState>) = if config.chain.verify_state {
                let state = CopyChainState::new(store.clone(), store.clone());
                (CryptoVerifier::with_state(store.clone()), Arc::new(state))
            } else {
                warn!("state verification is off: a lying node can poison workers");
                (CryptoVerifier::without_state(), Arc::new(from_node()))
            };
            let source = block_source(&config.chain)?;
            let cache =
                SharedOptions { cache_bytes: config.feed.cache_mib << 20, ..SharedOptions::default() };
            let shared = Arc::new(SharedStore::new(store.clone(), cache));
            (builder.source(source, verifier).store(shared).state(state), Data::Own(store))
        };
        let (builder, trader, queue) = match config.space()? {
            Some(space) if !config.transactions.dry_run => {
                let queue = Arc::new(RedisSink::new(&space));
                (builder.sink(queue.clone()), None, Some(queue))
            }
            _ => {
                let journal = journal(config)?;
                if let Data::Own(store) = &data {
                    one_chain(config, store, &journal).await?;
                }
                let trader = Arc::new(start_trader(config, node, operators, journal)?);
                (builder.sink(trader.clone()), Some(trader), None)
            }
        };
        let builder = match config.attestation.pccs()? {
            Some(pccs) => builder.collateral(Arc::new(pccs)),
            None => builder,
        };
        let notifier = Notifier::start(config)?;
        let bridge = builder.start().await?;
        if let Some(notifier) = &notifier {
            notifier.listen(bridge.events());
        }
        let path = config.data_dir.display().to_string();
        let (orders, unfit) = (config.orders_dir(), Mutex::default());
        let reach = Reach::of(&config.workers)?;
        let known = Mutex::default();
        let deployment = Self {
            bridge,
            data,
            trader,
            queue,
            orders,
            inventory,
            keyring,
            roster,
            unfit,
            reach,
            notifier,
            known,
            path,
        };
        deployment.catch_up().await?;
        Ok(deployment)
    }

    /// The bridge.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// What it follows.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Everything in it, read again only if it has changed.
    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, InventoryError> {
        let revision = self.inventory.revision()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.revision == revision) {
            return Ok(known.clone());
        }
        let read = Arc::new(self.inventory.snapshot()?);
        *known = Some(read.clone());
        Ok(read)
    }

    /// The identity that secrets are sealed with; nobody is asked for its passphrase.
    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Why no data comes, if it does not and that is known.
    pub fn data_trouble(&self) -> Option<String> {
        match &self.data {
            Data::Own(_) => self.bridge.following()?.borrow().stalled.clone(),
            Data::Providers(providers) => providers.trouble(),
        }
    }

    /// Why no transaction reaches the trader, if it is a process of its own and Redis has not answered for ten seconds.
    pub(crate) fn queue_trouble(&self) -> Option<String> {
        self.queue.as_ref()?.trouble()
    }

    /// The transactions that are known, and whether they are paused; none where the trader is a process of its own.
    pub fn journal(&self) -> Option<(bool, Vec<Entry>)> {
        let trader = self.trader.as_ref()?;
        Some(trader.journal().read(|image| (image.paused(), image.entries())))
    }

    /// Sends no transactions from now on, or sends them again; false where the trader is a process of its own.
    pub async fn pause(&self, paused: bool) -> Result<bool, JournalError> {
        match &self.trader {
            Some(trader) => trader.pause(paused).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Ends a transaction that waits as rejected; none where the trader is a process of its own.
    pub async fn drop_job(&self, job: JobId) -> Result<Option<Dropped>, JournalError> {
        match &self.trader {
            Some(trader) => trader.drop_job(job).await.map(Some),
            None => Ok(None),
        }
    }

    /// Why going on is useless, if it is.
    pub fn failure(&self) -> Option<DeploymentError> {
        let trader = || self.trader.as_ref().and_then(|trader| trader.failure());
        if let Some(cause) = self.bridge.failure().or_else(trader) {
            return Some(DeploymentError::Ended { path: self.path.clone(), cause });
        }
        match &self.data {
            Data::Own(_) => None,
            Data::Providers(providers) => providers.failure().map(DeploymentError::from),
        }
    }

    /// Reads from these providers from now on, and no others. Without effect on a deployment that ingests by itself.
    pub fn set_providers(&self, urls: &[String]) -> Result<(), DeploymentError> {
        match &self.data {
            Data::Own(_) => Ok(()),
            Data::Providers(providers) => Ok(providers.set(urls)?),
        }
    }

    /// Tells it of data providers that were found; none where it ingests by itself.
    pub(crate) fn finder(&self) -> Option<Finder> {
        match &self.data {
            Data::Own(_) => None,
            Data::Providers(providers) => Some(providers.finder()),
        }
    }

    /// How far verification has come; none where data comes from providers.
    pub async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.bridge.store().cursor().await
    }

    /// Authority set at the start block, once known.
    pub async fn start_set_id(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.bridge.store().genesis().await?.map(|genesis| genesis.relay.authority_set.id))
    }

    /// What is in the store here: nothing where data comes from providers.
    pub async fn stored(&self) -> Result<Stored, StoreError> {
        let Data::Own(store) = &self.data else { return Ok(Stored::default()) };
        let counts = store.counts().await?;
        let items =
            |stream| counts.streams.iter().find(|(of, _)| *of == stream).map_or(0, |(_, items)| *items);
        Ok(Stored {
            relay_headers: items(Stream::RelayHeaders),
            para_headers: items(Stream::ParaHeaders),
            changes: items(Stream::Changes),
            bytes_on_disk: store.disk_bytes().await?,
        })
    }

    /// Extrinsics of this run; none are counted where the trader is a process of its own.
    pub fn transactions(&self) -> Totals {
        let totals = |trader: &Arc<Trader>| trader.journal().read(|image| image.totals());
        self.trader.as_ref().map(totals).unwrap_or_default()
    }

    /// Carries out a person's orders to the trader.
    async fn obey(&self) {
        if let Some(trader) = &self.trader {
            orders::carry_out(&self.orders, trader).await;
        }
    }

    /// Tells whoever wants to know what has changed.
    fn tell(&self) {
        let Some(notifier) = &self.notifier else { return };
        // Why it cannot be read is told by who follows it.
        let inventory = self.snapshot().ok();
        let accounts = self.trader.as_ref().map(|trader| trader.troubles()).unwrap_or_default();
        notifier.look(Stand {
            workers: &self.bridge.workers_status(),
            inventory: inventory.as_deref(),
            unfit: Some(&self.unfit()),
            accounts: &accounts,
            ..Stand::default()
        });
    }

    /// Stops everything in order. The data directory is free for another deployment then.
    pub async fn stop(self) {
        drop(self.end().await);
    }

    /// The same; its keys, for the next one.
    async fn end(self) -> Keys {
        let Self { bridge, trader, data, roster, notifier, .. } = self;
        bridge.stop().await;
        if let Some(notifier) = notifier {
            notifier.stop().await;
        }
        drop(bridge);
        if let Some(trader) = trader {
            stop_trader(trader).await;
        }
        if let Data::Own(store) = data
            // A check that was cut off may still read.
            && let Err(cause) = store.close().await
        {
            warn!(%cause, "the store is not closed in order");
        }
        roster.into_inner().into_keys()
    }
}

/// The parachain's nodes as one, for transactions and for chain state that no copy gives.
pub(crate) fn para_nodes(config: &Config) -> Arc<dyn ChainNode> {
    let node = |url: &String| Arc::new(RpcNode::new(url)) as Arc<dyn ChainNode>;
    Arc::new(Nodes::new(config.chain.para.all().iter().map(node).collect()))
}

/// Makes the folder of everything that is kept.
pub(crate) fn make_data_dir(config: &Config) -> Result<(), DeploymentError> {
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|cause| DeploymentError::DataDir { path: config.data_dir.display().to_string(), cause })
}

/// The journal that transactions are written down in.
fn journal(config: &Config) -> Result<Arc<Journal>, JournalError> {
    // What is only tried must not be taken for something that was sent.
    if config.transactions.dry_run { Ok(Journal::memory()) } else { Journal::open(config.journal_file()) }
}

/// The trader that `config` describes.
pub(crate) fn start_trader(
    config: &Config,
    node: Arc<dyn ChainNode>,
    operators: Operators,
    journal: Arc<Journal>,
) -> Result<Trader, ConfigError> {
    let options = TraderConfig {
        period: config.period()?,
        window: Duration::from_millis(config.transactions.gather_ms),
        tip: config.tip()?,
        budget: config.tip_budget()?,
        low_balance: config.low_balance()?,
        ..TraderConfig::default()
    };
    let node: Arc<dyn ChainNode> = if config.transactions.dry_run {
        warn!("dry run: no transaction is sent");
        Arc::new(DryRun::new(node))
    } else {
        node
    };
    Ok(Trader::start(node, operators, journal, options))
}

/// Stops a trader in order, within its time.
pub(crate) async fn stop_trader(trader: Arc<Trader>) {
    match Arc::try_unwrap(trader) {
        Ok(trader) => {
            if tokio::time::timeout(TRADER_GRACE, trader.stop()).await.is_err() {
                warn!("the trader did not end in time and is cut off; its journal tells the next run");
            }
        }
        Err(_) => warn!("the trader is still in use and ends with the process"),
    }
}

/// Fails if store and journal are about different chains. A journal that does not say what it is about belongs to the
/// store beside it.
async fn one_chain(config: &Config, store: &LmdbStore, journal: &Journal) -> Result<(), DeploymentError> {
    let Some(genesis) = store.genesis().await? else { return Ok(()) };
    let stored = genesis.identity().para_genesis;
    match journal.read(|image| image.chain()) {
        None => drop(journal.write(vec![Record::Chain(stored)]).await?),
        Some(chain) if chain == stored => {}
        Some(chain) => {
            let path = config.data_dir.display().to_string();
            return Err(DeploymentError::Mixed { path, store: stored, journal: chain });
        }
    }
    Ok(())
}

/// `prb run` and `prb lifecycle`: until SIGINT or SIGTERM, or until going on is useless. At SIGHUP the log filter and the
/// addresses of providers are read again with `read`.
pub async fn run(
    config: &Config,
    read: impl Fn() -> Result<Config, ConfigError>,
) -> Result<(), DeploymentError> {
    // First of all: a signal that comes while things are opened ends the program in order too.
    let mut interrupted = std::pin::pin!(interrupted());
    let mut reloads = providers::reloads();
    let _alive = supervise::keep_alive();
    if config.redis.is_some() {
        // Whose turn it is may take as long as another one lives.
        supervise::ready("standing by");
    }
    // Also while another one has its turn: whoever watches over services must not take standing by for being dead.
    let api = Api::start(config)?;
    let peers = Membership::open(config)?;
    let ended = tokio::select! {
        ended = run_beside(&api, peers.as_ref(), config, read, interrupted.as_mut(), &mut reloads) => ended,
        () = show_peers(&api, peers.as_ref()) => Ok(()),
    };
    if let Some(peers) = peers {
        peers.stop().await;
    }
    api.stop().await;
    ended
}

/// Lets the API tell of the peer-to-peer network once it is joined; never ends.
async fn show_peers(api: &Api, peers: Option<&Membership>) {
    if let Some(peers) = peers {
        api.joining(peers.trouble());
        api.join(peers.joined().await);
    }
    std::future::pending().await
}

async fn run_beside(
    api: &Api,
    peers: Option<&Membership>,
    config: &Config,
    read: impl Fn() -> Result<Config, ConfigError>,
    mut interrupted: Pin<&mut impl Future<Output = ()>>,
    reloads: &mut Reloads,
) -> Result<(), DeploymentError> {
    let mut keys = None;
    loop {
        let turn = tokio::select! {
            () = &mut interrupted => return Ok(()),
            turn = Turn::come(config) => turn?,
        };
        let deployment = Arc::new(Deployment::begin(config, keys.take()).await?);
        supervise::ready("running");
        api.attach(deployment.clone()).await;
        if let Some(peers) = peers {
            peers.attach(&deployment).await;
        }
        // Whatever ends it, it is stopped in order.
        let ended = if let Err(cause) = deployment.snapshot().map(|snapshot| announce(&snapshot)) {
            Some(Err(cause.into()))
        } else {
            // One for all rounds: it lets workers go, which is not to be cut off half-way.
            let mut follow = std::pin::pin!(deployment.follow());
            loop {
                tokio::select! {
                    () = &mut interrupted => break Some(Ok(())),
                    cause = &mut follow => break Some(Err(cause)),
                    () = turn.over() => break None,
                    () = reloads.next() => deployment.reload(&read),
                }
            }
        };
        info!("stopping");
        if ended.is_some() {
            supervise::stopping();
        }
        let stop = async {
            api.detach().await;
            if let Some(peers) = peers {
                peers.detach().await;
            }
            match Arc::into_inner(deployment) {
                Some(deployment) => Some(deployment.end().await),
                None => {
                    warn!("the bridge is still in use and ends with the process");
                    None
                }
            }
        };
        tokio::select! {
            kept = stop => {
                keys = kept;
                info!("stopped");
            }
            () = self::interrupted() => warn!("a second signal: what is under way is not waited for"),
        }
        turn.release().await;
        if let Some(ended) = ended {
            return ended;
        }
    }
}

/// Says what there is to work on.
fn announce(snapshot: &Snapshot) {
    info!(workers = snapshot.workers.len(), pools = snapshot.pools.len(), "running");
    if let Some(next) = snapshot.next_step() {
        warn!("the inventory has no workers, so chains are followed and nothing else is done; {next}");
    }
}

/// Runs nothing until SIGINT or SIGTERM: only the inventory is managed, over the API and by peers.
pub async fn rest(config: &Config) -> Result<(), DeploymentError> {
    let mut interrupted = std::pin::pin!(interrupted());
    let _alive = supervise::keep_alive();
    make_data_dir(config)?;
    let inventory = Inventory::open(&config.inventory_dir())?;
    declare(config, &inventory)?;
    let mut keyring = config.keyring();
    keyring.never_ask();
    let keyring = Arc::new(keyring);
    let api = Api::start(config)?;
    api.rest(inventory.clone(), keyring.clone());
    let peers = Membership::open(config)?;
    if let Some(peers) = &peers {
        peers.rest(inventory, keyring).await;
    }
    supervise::ready("nothing is run");
    tokio::select! {
        () = &mut interrupted => {}
        () = show_peers(&api, peers.as_ref()) => {}
    }
    supervise::stopping();
    if let Some(peers) = peers {
        peers.stop().await;
    }
    api.stop().await;
    Ok(())
}

pub(crate) fn bridge_options(config: &Config) -> Result<BridgeOptions, ConfigError> {
    let mut options = BridgeOptions::default();
    options.ingest.trusted_start = config.trusted_start()?;
    options.feed.block_bytes = config.feed.request_mib << 20;
    options.feed.info_interval = Duration::from_secs(config.feed.info_seconds);
    options.feed.catch_up_bytes = config.feed.catch_up_mib << 20;
    options.feed.load_bytes = config.feed.load_mib << 20;
    options.feed.fast_sync = config.fast_sync();
    Ok(options)
}

/// Listens from now on; done when the user (SIGINT) or the system (SIGTERM) wants the program to end.
#[cfg(unix)]
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn arrival(signal: io::Result<Signal>) {
        match signal {
            Ok(mut signal) => drop(signal.recv().await),
            Err(cause) => {
                warn!(%cause, "a signal cannot be handled; it ends the program at once");
                std::future::pending().await
            }
        }
    }
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        tokio::select! {
            () = arrival(interrupt) => {}
            () = arrival(terminate) => {}
        }
    }
}

/// Done when the user wants the program to end.
#[cfg(not(unix))]
pub(crate) async fn interrupted() {
    if let Err(cause) = tokio::signal::ctrl_c().await {
        warn!(%cause, "Ctrl-C cannot be handled; it ends the program at once");
        std::future::pending().await
    }
}
