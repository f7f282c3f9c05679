//! The management API of `prb run` and `prb lifecycle`: paths, JSON and status codes of PRB v3's, prb's own under `/v1`, and
//! what watches over services: `/healthz`, `/readyz`, `/metrics`. Beside it the monitor, pages that use it. `prb trade` has
//! what there is of it for transactions (`trader`).
//!
//! What a path means (`route`), what is asked (`ask`), who may ask it (`access`) and how things are written (`v3`, `v1`)
//! are functions of what is there; `act` asks a [`Deployment`], and `serve` has the sockets.

mod access;
mod act;
mod ask;
mod fleet;
mod health;
mod monitor;
mod overview;
mod pace;
mod reply;
mod route;
mod serve;
mod times;
mod trader;
mod v1;
mod v3;

use self::{
    access::Access,
    act::Attached,
    health::Watch,
    serve::{Limits, Root, Shared, serve},
};
use crate::{
    config::{self, Config},
    deployment::Deployment,
    token::{TokenError, token_in},
    trade::Desk,
};
use prb_core::pipeline::CancellationToken;
use prb_store::server::{Seats, Token, Troubles};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
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
    missed: Option<(SocketAddr, io::Error)>,
}

impl Api {
    /// Listens where the configuration says. Where it says nothing and the default address is taken, there is none, which is
    /// told when there is a deployment.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(config: &Config) -> Result<Self, ApiError> {
        Self::begin(&config.api, &config.monitor, Limits::default())
    }

    /// The same for `prb trade`, which has addresses of its own: it often has its lifecycle's configuration.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn of_trader(config: &Config) -> Result<Self, ApiError> {
        let at = Listen::of_trader(&config.api);
        Self::at(at, &config.api, &config::Monitor::default(), Limits::default())
    }

    fn begin(config: &config::Api, monitor: &config::Monitor, limits: Limits) -> Result<Self, ApiError> {
        Self::at(Listen::of(config), config, monitor, limits)
    }

    fn at(
        at: Listen<'_>,
        config: &config::Api,
        monitor: &config::Monitor,
        limits: Limits,
    ) -> Result<Self, ApiError> {
        let token = if config.enabled { token(config)? } else { None };
        let (listeners, mut bound) = match config.enabled {
            true => listeners(at)?,
            false => Default::default(),
        };
        let mut listeners: Vec<_> = listeners.into_iter().map(|listener| (listener, Root::Nothing)).collect();
        if let Some(listen) = monitor.listen.filter(|_| config.enabled) {
            let (listener, address) =
                bind(listen).map_err(|cause| ApiError::Listen { key: "monitor.listen", listen, cause })?;
            listeners.push((listener, Root::Monitor));
            bound.monitor = Some(address);
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

    /// Answers for this deployment from now on.
    pub async fn attach(&self, deployment: Arc<Deployment>) {
        let watch = Watch::on(&deployment);
        *self.shared.attached.write().await = Some(Attached { deployment, watch });
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

    /// Says where it is. Not before something runs: why a bridge does not start stands alone in the log.
    fn announce(&self) {
        let Bound { key, addresses, monitor, missed } = &self.bound;
        for address in addresses {
            info!(%address, "the API listens");
        }
        let away = addresses.iter().chain(monitor).any(|address| !address.ip().is_loopback());
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
        if let Some(Attached { deployment, watch }) = self.shared.attached.write().await.take() {
            watch.end().await;
            drop(deployment);
        }
        *self.shared.desk.write().await = None;
    }

    /// Ends it in order, within a bounded time.
    pub async fn stop(&self) {
        self.stop.cancel();
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
