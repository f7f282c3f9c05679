//! `prb data-provider`: ingest and a server of what it stores, for the workers' machines and for other tools.

use crate::{
    args::DataProviderArgs,
    config::{Config, ConfigError, Purpose, Serve, Sources, Urls},
    deployment::{bridge_options, interrupted, para_nodes},
    ptp::{Knows, Membership, Prepared, Providing, PtpError},
    source::block_source,
    supervise, telemetry,
    token::{TokenError, token_in},
    webhook::{Notifier, Stand},
};
use prb_chain::{trader::ChainNode, verify::CryptoVerifier};
use prb_core::{
    fault::unusable,
    pipeline::{Bridge, BridgeError},
    port::StoreError,
};
use prb_p2p::message::Role;
use prb_store::{
    LmdbOptions, LmdbStore, Server, ServerOptions,
    server::Token,
    tls::{ServerTls, TlsError},
};
use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tracing::{info, warn};

/// How often is looked whether ingest has ended for good.
const FAILURE_INTERVAL: Duration = Duration::from_secs(1);

/// Why a data provider does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum DataProviderError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error("{}", unusable("make data_dir", Path::new(path), cause))]
    DataDir {
        /// The folder.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The token cannot be read.
    #[error("serve.token_file {path}: {cause}")]
    TokenFile {
        /// The file.
        path: String,
        /// Why not.
        cause: TokenError,
    },
    /// TLS cannot be spoken.
    #[error("serve.tls_certificate, serve.tls_key: {0}")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {cause}; choose another address with --listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The address for metrics cannot be listened on.
    #[error(
        "serve.metrics_listen: cannot listen on {listen}: {cause}; stop who listens there, or choose another address"
    )]
    ListenForMetrics {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bridge refuses.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The peer-to-peer network cannot be joined.
    #[error(transparent)]
    Ptp(#[from] PtpError),
    /// Ingest has ended for good.
    #[error("data directory {path}: {cause}")]
    Ended {
        /// The folder.
        path: String,
        /// Why.
        cause: String,
    },
}

/// The configuration with what the command line says. With both nodes or a mirror on the command line the file may be
/// missing.
pub fn configured(sources: &Sources, args: &DataProviderArgs) -> Result<Config, ConfigError> {
    let DataProviderArgs { relay, para, mirror, headers_cache, listen, data_dir } = args.clone();
    let named = !relay.is_empty() && !para.is_empty();
    let mut config = if mirror.is_some() || named {
        Config::read_or_default(sources, Purpose::DataProvider)?
    } else {
        Config::read(sources, Purpose::DataProvider)?
    };
    let chain = &mut config.chain;
    if mirror.is_some() {
        // The command line wins: no nodes then.
        (chain.relay, chain.para, chain.headers_cache) = (Urls::default(), Urls::default(), None);
        chain.mirror = mirror;
    } else if named {
        (chain.mirror, chain.mirror_token_file) = (None, None);
    }
    if !relay.is_empty() {
        chain.relay = relay.into();
    }
    if !para.is_empty() {
        chain.para = para.into();
    }
    chain.headers_cache = headers_cache.or(chain.headers_cache.take());
    config.serve.listen = listen.unwrap_or(config.serve.listen);
    config.data_dir = data_dir.unwrap_or(config.data_dir);
    config.check_for(Purpose::DataProvider)?;
    Ok(config)
}

/// A running data provider.
pub struct DataProvider {
    bridge: Bridge,
    store: Arc<LmdbStore>,
    server: Server,
    address: SocketAddr,
    serving: JoinHandle<()>,
    /// Answers about metrics elsewhere, and where.
    watched: Option<(Server, SocketAddr, JoinHandle<()>)>,
    notifier: Option<Notifier>,
    /// None where it is not to be found by others.
    peers: Option<Membership>,
    /// The data directory, for errors.
    path: String,
}

impl DataProvider {
    /// Starts to ingest and to serve.
    pub async fn start(config: &Config) -> Result<Self, DataProviderError> {
        config.check_for(Purpose::DataProvider)?;
        let options = server_options(&config.serve)?;
        let listen = config.serve.listen;
        // First, so that a second provider fails before it touches anything.
        let failed = |cause| DataProviderError::Listen { listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let watched = metrics_listener(&config.serve).await?;
        fs::create_dir_all(&config.data_dir).map_err(|cause| DataProviderError::DataDir {
            path: config.data_dir.display().to_string(),
            cause,
        })?;
        // Its keys are read, or made, before anything runs.
        let prepared = Prepared::of(config, Role::DataProvider)?;
        let store = Arc::new(LmdbStore::open(config.blobs_dir(), LmdbOptions::default())?);
        let verifier = if config.chain.verify_state {
            CryptoVerifier::with_state(store.clone())
        } else {
            warn!("state verification is off: a lying node can poison workers");
            CryptoVerifier::without_state()
        };
        let source = block_source(&config.chain)?;
        let notifier = Notifier::start(config)?;
        let bridge = Bridge::builder()
            .source(source, verifier)
            .store(store.clone())
            .options(bridge_options(config)?)
            .start()
            .await?;
        if let Some(notifier) = &notifier {
            notifier.listen(bridge.events());
        }
        // The bridge's view of the store: what a reader finds damaged is fetched again.
        let server = Server::beside_ingest(bridge.store().clone(), options, bridge.following());
        let serving = served(&server, listener);
        let watched = watched.map(|(listener, at)| {
            let server = Server::beside_ingest(bridge.store().clone(), health_options(), bridge.following());
            let serving = served(&server, listener);
            info!(address = %at, "metrics are answered");
            (server, at, serving)
        });
        if !address.ip().is_loopback() && config.serve.token_file.is_none() {
            info!("whoever reaches the port may read; name a serve.token_file to change that");
        }
        let tls = config.serve.tls_key.is_some();
        let peers = prepared.map(|prepared| {
            let knows = Knows { store: Some(bridge.store().clone()), node: Self::node(config) };
            let providing = Providing::new(bridge.store().clone(), bridge.following(), address.port(), tls);
            Membership::provide(prepared, knows, providing)
        });
        if peers.is_some() && address.ip().is_loopback() {
            warn!(
                "serve.listen is this machine's alone: peers elsewhere find this provider and cannot read from it"
            );
        }
        info!(%address, tls, "serving");
        let path = config.data_dir.display().to_string();
        Ok(Self { bridge, store, server, address, serving, watched, notifier, peers, path })
    }

    /// A node that knows the chain where the store does not yet, or no more.
    fn node(config: &Config) -> Option<Arc<dyn ChainNode>> {
        (!config.chain.para.is_empty()).then(|| para_nodes(config))
    }

    /// Its part in the peer-to-peer network; none without a section `[p2p]`.
    pub fn peers(&self) -> Option<&Membership> {
        self.peers.as_ref()
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics have an address of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.watched.as_ref().map(|(_, address, _)| *address)
    }

    /// Returns when ingest has ended for good; the error says why.
    pub async fn ended(&self) -> DataProviderError {
        loop {
            if let Some(cause) = self.bridge.failure() {
                return DataProviderError::Ended { path: self.path.clone(), cause };
            }
            if let Some(notifier) = &self.notifier {
                notifier.look(Stand::default());
            }
            sleep(FAILURE_INTERVAL).await;
        }
    }

    /// Stops everything in order. The data directory is free for another process then.
    pub async fn stop(self) {
        let Self { bridge, store, server, serving, watched, notifier, peers, .. } = self;
        if let Some(peers) = peers {
            // Drops its view of the store.
            peers.stop().await;
        }
        server.stop();
        let mut tasks = vec![serving];
        if let Some((watched, _, serving)) = watched {
            watched.stop();
            tasks.push(serving);
        }
        bridge.stop().await;
        if let Some(notifier) = notifier {
            notifier.stop().await;
        }
        for serving in tasks {
            if let Err(cause) = serving.await {
                warn!(%cause, "serving crashed; please report this with the log");
            }
        }
        drop((bridge, server));
        if let Err(cause) = store.close().await {
            warn!(%cause, "the store is not closed in order");
        }
    }
}

/// Runs until SIGINT or SIGTERM, or until going on is useless.
pub async fn run(config: &Config) -> Result<(), DataProviderError> {
    let _alive = supervise::keep_alive();
    let provider = DataProvider::start(config).await?;
    supervise::ready("serving");
    let ended = tokio::select! {
        () = interrupted() => None,
        cause = provider.ended() => Some(cause),
    };
    info!("stopping");
    supervise::stopping();
    provider.stop().await;
    info!("stopped");
    ended.map_or(Ok(()), Err)
}

fn server_options(serve: &Serve) -> Result<ServerOptions, DataProviderError> {
    let token = token(serve).map_err(|cause| {
        let path = serve.token_file.iter().map(|path| path.display().to_string()).collect();
        DataProviderError::TokenFile { path, cause }
    })?;
    let tls = tls(serve)?;
    Ok(ServerOptions {
        response_bytes: serve.response_mib << 20,
        memory_bytes: serve.memory_mib << 20,
        session_memory_bytes: serve.session_memory_mib << 20,
        cache_bytes: serve.cache_mib << 20,
        connections: serve.connections,
        connections_per_peer: serve.connections_per_peer,
        token,
        tls,
        metrics: (serve.metrics && serve.metrics_listen.is_none()).then_some(telemetry::render as _),
        ..ServerOptions::default()
    })
}

/// Of a server for whoever watches over this one: few ask, and little.
fn health_options() -> ServerOptions {
    ServerOptions {
        memory_bytes: 16 << 20,
        session_memory_bytes: 4 << 20,
        cache_bytes: 0,
        connections: 32,
        connections_per_peer: 16,
        metrics: Some(telemetry::render),
        only_health: true,
        ..ServerOptions::default()
    }
}

async fn metrics_listener(serve: &Serve) -> Result<Option<(TcpListener, SocketAddr)>, DataProviderError> {
    let Some(listen) = serve.metrics_listen else { return Ok(None) };
    let failed = |cause| DataProviderError::ListenForMetrics { listen, cause };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, address)))
}

fn served(server: &Server, listener: TcpListener) -> JoinHandle<()> {
    let server = server.clone();
    tokio::spawn(async move { server.serve(listener).await })
}

/// What readers must show.
pub(crate) fn token(serve: &Serve) -> Result<Option<Token>, TokenError> {
    serve.token_file.as_deref().map(token_in).transpose()
}

/// What is shown to readers.
pub(crate) fn tls(serve: &Serve) -> Result<Option<ServerTls>, TlsError> {
    match (&serve.tls_certificate, &serve.tls_key) {
        (Some(certificate), Some(key)) => ServerTls::from_files(certificate, key).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
