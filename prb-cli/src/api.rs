//! The management API of `prb run` and `prb lifecycle`: paths, JSON and status codes of PRB v3's, prb's own under `/v1`, and
//! what watches over services: `/healthz`, `/readyz`, `/metrics`. Beside it the monitor, pages that use it. `prb trade` has
//! what there is of it for transactions (`trader`).
//!
//! What a path means (`route`), what is asked (`ask`), who may ask it (`access`) and how things are written (`v3`, `v1`)
//! are functions of what is there; `act` asks a [`Deployment`], and `serve` has the sockets. What managers and peers are asked goes
//! another way (`elsewhere`), and `prb monitor` is the same without a deployment (`subject`).

mod access;
mod act;
mod answers;
mod ask;
mod bulk;
mod elsewhere;
mod events;
mod fleet;
mod health;
mod history;
mod managers;
mod monitor;
mod openapi;
mod overview;
mod pace;
mod ptp;
mod queue;
mod reply;
mod route;
mod serve;
mod stall;
mod subject;
mod times;
mod trader;
mod v1;
mod v3;

pub(crate) use self::managers::Managers;
use self::{
    access::Access,
    act::{Attached, Resting},
    events::Hub,
    health::Watch,
    queue::Queue,
    serve::{Limits, Root, Shared, serve},
    subject::Subject,
};
use crate::{
    config::{self, Config, ConfigError, DEFAULT_MONITOR, DEFAULT_QUEUE},
    deployment::Deployment,
    identity::Keyring,
    inventory::Inventory,
    token::{TokenError, token_in},
    trade::Desk,
};
use prb_chain::redis_queue::Space;
use prb_core::pipeline::CancellationToken;
use prb_store::server::{Seats, Token, Troubles};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{net::TcpListener, sync::RwLock, task::JoinHandle};
use tracing::{info, warn};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The token cannot be read.
    #[error("api.token_file {path}: {cause}")]
    TokenFile {
        /// The file.
        path: String,
        /// Why not.
        cause: TokenError,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {listen}: {cause}; stop who listens there, or choose another address")]
    Listen {
        /// Where it is said.
        key: &'static str,
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// An API that listens. It stands by until there is a deployment.
pub struct Api {
    shared: Arc<Shared>,
    bound: Bound,
    stop: CancellationToken,
    serving: Mutex<Vec<JoinHandle<()>>>,
    announced: AtomicBool,
}

/// Where it listens, and where it could not.
#[derive(Default)]
struct Bound {
    /// Where that is said.
    key: &'static str,
    addresses: Vec<SocketAddr>,
    /// The monitor's own address.
    monitor: Option<SocketAddr>,
    /// The address of the page of transactions.
    queue: Option<SocketAddr>,
    missed: Option<(SocketAddr, io::Error)>,
    /// Default addresses of pages that could not be had.
    missed_pages: Vec<(SocketAddr, io::Error)>,
}

/// An address beside those of the API.
struct Page {
    root: Root,
    key: &'static str,
    listen: SocketAddr,
    /// Whether somebody named it: it must be had then.
    named: bool,
}

impl Api {
    /// Listens where the configuration says. Where it says nothing and the default address is taken, there is none, which is
    /// told when there is a deployment.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(config: &Config) -> Result<Self, ApiError> {
        let pages = pages(Listen::of(&config.api), &config.monitor, config.redis.is_some());
        Self::at(Listen::of(&config.api), &config.api, &config.monitor, pages, Limits::default())
    }

    /// The same for `prb trade`, which has addresses of its own: it often has its lifecycle's configuration.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn of_trader(config: &Config) -> Result<Self, ApiError> {
        let at = Listen::of_trader(&config.api);
        let pages = pages(at, &config.monitor, false).into_iter().filter(|page| page.root == Root::Queue);
        Self::at(at, &config.api, &config::Monitor::default(), pages.collect(), Limits::default())
    }

    /// The monitor alone, at its own address.
    ///
    /// Must be called within a tokio runtime.
    pub fn monitor_alone(config: &Config) -> Result<Self, ApiError> {
        let listen = config.monitor.listen.unwrap_or(DEFAULT_MONITOR);
        let page = Page { root: Root::Monitor, key: "monitor.listen", listen, named: true };
        Self::alone(config, page, Subject::Monitor)
    }

    /// The page of transactions alone, with what is known of a trader that is reached through Redis.
    ///
    /// Must be called within a tokio runtime.
    pub fn queue_alone(config: &Config, space: &Space) -> Result<Self, ApiError> {
        let listen = config.monitor.queue_listen.unwrap_or(DEFAULT_QUEUE);
        let page = Page { root: Root::Queue, key: "monitor.queue_listen", listen, named: true };
        Self::alone(config, page, Subject::Queue(Box::new(Queue::new(space))))
    }

    fn alone(config: &Config, page: Page, subject: Subject) -> Result<Self, ApiError> {
        let managers = Managers::open(&config.monitor)?;
        Self::listen(
            &config.api,
            Vec::new(),
            Bound::default(),
            vec![page],
            subject,
            managers,
            Limits::default(),
        )
    }

    #[cfg(test)]
    fn begin(config: &config::Api, monitor: &config::Monitor, limits: Limits) -> Result<Self, ApiError> {
        let at = Listen::of(config);
        Self::at(at, config, monitor, pages(at, monitor, false), limits)
    }

    fn at(
        at: Listen<'_>,
        config: &config::Api,
        monitor: &config::Monitor,
        pages: Vec<Page>,
        limits: Limits,
    ) -> Result<Self, ApiError> {
        let (listeners, bound) = match config.enabled {
            true => listeners(at)?,
            false => Default::default(),
        };
        let managers = if config.enabled { Managers::open(monitor)? } else { Managers::default() };
        let pages = if config.enabled { pages } else { Vec::new() };
        Self::listen(config, listeners, bound, pages, Subject::Bridge, managers, limits)
    }

    fn listen(
        config: &config::Api,
        listeners: Vec<TcpListener>,
        mut bound: Bound,
        pages: Vec<Page>,
        subject: Subject,
        managers: Managers,
        limits: Limits,
    ) -> Result<Self, ApiError> {
        let is_on = config.enabled || !pages.is_empty();
        let token = if is_on { token(config)? } else { None };
        let mut listeners: Vec<_> = listeners.into_iter().map(|listener| (listener, Root::Nothing)).collect();
        for page in pages {
            listeners.extend(bound.page(&page)?.map(|listener| (listener, page.root)));
        }
        let shared = Arc::new(Shared {
            access: Access {
                token,
                unauthenticated: config.allow_unauthenticated,
                from: config.allow_from.clone(),
                hosts: config.allow_hosts.clone(),
            },
            limits,
            seats: Seats::new(limits.connections.0, limits.connections.1),
            troubles: Troubles::default(),
            attached: RwLock::new(None),
            desk: RwLock::new(None),
            subject,
            managers,
            network: Mutex::new(None),
            joining: OnceLock::new(),
            resting: OnceLock::new(),
        });
        let stop = CancellationToken::new();
        let serving = listeners
            .into_iter()
            .map(|(listener, root)| tokio::spawn(serve(listener, root, shared.clone(), stop.clone())))
            .collect();
        Ok(Self { shared, bound, stop, serving: Mutex::new(serving), announced: AtomicBool::new(false) })
    }

    /// Where it listens; nowhere if it is switched off or its default address was taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.bound.addresses
    }

    /// Where the monitor has an address of its own.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.bound.monitor
    }

    /// Where the page of transactions has an address of its own.
    pub fn queue(&self) -> Option<SocketAddr> {
        self.bound.queue
    }

    /// Asks these peers from now on (`/ptp`).
    pub fn join(&self, network: prb_p2p::Network) {
        *self.shared.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
    }

    /// Tells this of the peers until there are any to ask.
    pub(crate) fn joining(&self, trouble: tokio::sync::watch::Receiver<String>) {
        // Whoever joins does so once.
        let _ = self.shared.joining.set(trouble);
    }

    /// Answers for this deployment from now on.
    pub async fn attach(&self, deployment: Arc<Deployment>) {
        let watch = Watch::on(&deployment);
        let hub = Hub::on(&deployment, watch.heard().clone());
        *self.shared.attached.write().await = Some(Attached { deployment, watch, hub });
        self.announce_once();
    }

    /// Says where it is, if nobody has yet.
    pub fn announce_once(&self) {
        if !self.announced.swap(true, Ordering::Relaxed) {
            self.announce();
            self.announce_monitor();
        }
    }

    /// Answers for this trader from now on.
    pub(crate) async fn attach_trader(&self, desk: Arc<Desk>) {
        *self.shared.desk.write().await = Some(desk);
        if !self.announced.swap(true, Ordering::Relaxed) {
            self.announce();
        }
    }

    /// Answers for this inventory alone while nothing is run.
    pub fn rest(&self, inventory: Inventory, keyring: Arc<Keyring>) {
        // Whoever rests does so until the end.
        let _ = self.shared.resting.set(Resting { inventory, keyring });
        self.announce();
    }

    /// Says where it is. Not before something runs: why a bridge does not start stands alone in the log.
    fn announce(&self) {
        let Bound { key, addresses, monitor, queue, missed, missed_pages } = &self.bound;
        for address in addresses {
            info!(%address, "the API listens");
        }
        if let Some(address) = queue {
            info!("the page of transactions is at http://{address}/");
        }
        let all = addresses.iter().chain(monitor).chain(queue);
        let away = all.into_iter().any(|address| !address.ip().is_loopback());
        if self.shared.access.unauthenticated && away {
            warn!("api.allow_unauthenticated: whoever reaches the port of the API may change everything");
        }
        let Access { token, unauthenticated, .. } = &self.shared.access;
        if token.is_none() && !unauthenticated && away {
            warn!(
                "whoever reaches the port of the API may read everything that it tells; api.token_file ends that"
            );
        }
        if let Some((listen, cause)) = missed {
            warn!(
                %listen,
                %cause,
                "there is no API: its default address cannot be had, another bridge or PRB v3 may have it; name a free one \
                 like {key} = [\"127.0.0.1:PORT\"], or say api.enabled = false"
            );
        }
        if let Some((_, cause)) = missed_pages.first() {
            let listen: Vec<String> = missed_pages.iter().map(|(listen, _)| listen.to_string()).collect();
            warn!(
                listen = listen.join(", "),
                %cause,
                "the monitor is only at the API's address: its default addresses cannot be had, another bridge or a monitor of PRB \
                 v2 or v3 may have them; name free ones in [monitor] listen and queue_listen, or say enabled = false"
            );
        }
    }

    fn announce_monitor(&self) {
        let Bound { addresses, monitor, .. } = &self.bound;
        if let Some(address) = monitor.as_ref().or(addresses.first()) {
            let path = if monitor.is_some() { "" } else { "monitor/" };
            info!("the monitor is at http://{address}/{path}");
        }
    }

    /// Stands by from now on. Nobody asks the deployment any more, and nothing holds it.
    pub async fn detach(&self) {
        if let Some(Attached { deployment, watch, hub }) = self.shared.attached.write().await.take() {
            hub.end().await;
            watch.end().await;
            drop(deployment);
        }
        *self.shared.desk.write().await = None;
    }

    /// Ends it in order, within a bounded time.
    pub async fn stop(&self) {
        self.stop.cancel();
        // A network ends with its last handle.
        self.shared.network.lock().unwrap_or_else(PoisonError::into_inner).take();
        let serving = std::mem::take(&mut *self.serving.lock().unwrap_or_else(PoisonError::into_inner));
        for task in serving {
            if let Err(cause) = task.await {
                warn!(%cause, "the API crashed; please report this with the log");
            }
        }
        self.detach().await;
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bound {
    /// Listens at the address of a page, unless it is a default one that cannot be had.
    fn page(&mut self, page: &Page) -> Result<Option<TcpListener>, ApiError> {
        let &Page { root, key, listen, named } = page;
        match bind(listen) {
            Ok((listener, address)) => {
                let place = if root == Root::Queue { &mut self.queue } else { &mut self.monitor };
                *place = Some(address);
                Ok(Some(listener))
            }
            Err(cause) if named => Err(ApiError::Listen { key, listen, cause }),
            Err(cause) => {
                self.missed_pages.push((listen, cause));
                Ok(None)
            }
        }
    }
}

/// Which pages have addresses of their own beside an API. Where `prb trade` makes the transactions, it has their page.
fn pages(at: Listen<'_>, monitor: &config::Monitor, trades_elsewhere: bool) -> Vec<Page> {
    if monitor.is_off() {
        return Vec::new();
    }
    let by_default = monitor.is_default_on(at.named);
    let all = [
        (Root::Monitor, "monitor.listen", monitor.listen, DEFAULT_MONITOR),
        (Root::Queue, "monitor.queue_listen", monitor.queue_listen, DEFAULT_QUEUE),
    ];
    let page = |(root, key, named, default): (Root, _, Option<SocketAddr>, _)| {
        let listen = named.or(by_default.then_some(default))?;
        Some(Page { root, key, listen, named: named.is_some() })
    };
    let mut pages: Vec<Page> = all.into_iter().filter_map(page).collect();
    pages.retain(|page| !(trades_elsewhere && page.root == Root::Queue));
    pages
}

/// What changes from elsewhere must show.
pub(crate) fn token(config: &config::Api) -> Result<Option<Token>, ApiError> {
    let token = config.token_file.as_deref().map(|path| {
        token_in(path).map_err(|cause| ApiError::TokenFile { path: path.display().to_string(), cause })
    });
    token.transpose()
}

/// Where to listen.
#[derive(Clone, Copy)]
struct Listen<'a> {
    key: &'static str,
    addresses: &'a [SocketAddr],
    /// Whether somebody said so.
    named: bool,
}

impl<'a> Listen<'a> {
    fn of(config: &'a config::Api) -> Self {
        Self { key: "api.listen", addresses: config.addresses(), named: config.listen.is_some() }
    }

    fn of_trader(config: &'a config::Api) -> Self {
        let (addresses, named) = (config.trader_addresses(), config.trade_listen.is_some());
        Self { key: "api.trade_listen", addresses, named }
    }
}

/// Listens at all of these. One that cannot be had is an error if somebody named it.
fn listeners(at: Listen<'_>) -> Result<(Vec<TcpListener>, Bound), ApiError> {
    let Listen { key, addresses, named } = at;
    let (mut listeners, mut bound) = (Vec::new(), Bound { key, ..Bound::default() });
    for &listen in addresses {
        match bind(listen) {
            Ok((listener, address)) => {
                listeners.push(listener);
                bound.addresses.push(address);
            }
            Err(cause) if named => return Err(ApiError::Listen { key, listen, cause }),
            Err(cause) => bound.missed = Some((listen, cause)),
        }
    }
    Ok((listeners, bound))
}

/// Listens at an address, and says at which. One of IPv6 is only that: beside `[::]`, `0.0.0.0` with the same port can be had, too.
fn bind(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // After a restart, connections of the last life must not keep the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests;
