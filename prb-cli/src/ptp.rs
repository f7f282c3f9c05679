//! The peer-to-peer network of services: who finds whom, what is answered there, and what is read from whom it finds.
//!
//! What a section `[p2p]` says is made into a node of `prb-p2p` ([`join`]); [`Membership`] is that of a service which runs.

mod chain;
mod desk;
mod follow;
mod found;
mod keys;
pub(crate) mod manage;
mod provide;
mod risks;
mod trust;

pub(crate) use self::{chain::Knows, keys::key_file, provide::Providing, risks::risks};

use self::{desk::Desk, found::Ours, keys::identity, manage::Management, trust::Trusted};
use crate::{
    config::{Config, ConfigError, P2p},
    deployment::{Deployment, para_nodes},
    identity::Keyring,
    inventory::Inventory,
};
use prb_core::backoff::{Backoff, Pace};
use prb_p2p::{
    IdentityError, Me, Multiaddr, Network, Options, PreSharedKey, PreSharedKeyError, Service, StartError,
    TcpAddress, message::Role,
};
use std::{
    net::{Ipv6Addr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::AbortHandle, time::sleep};
use tracing::{info, warn};

/// Pauses before it is tried again to listen.
const PACE: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// Why the network is not joined.
#[derive(Debug, thiserror::Error)]
pub enum PtpError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no key that peers could know this machine by.
    #[error("p2p.identity_dir: {0}")]
    Identity(#[from] IdentityError),
    /// The key that all peers have cannot be read.
    #[error("p2p.pre_shared_key_file: {0}")]
    PreSharedKey(#[from] PreSharedKeyError),
    /// The node does not start.
    #[error("p2p: {0}")]
    Start(#[from] StartError),
}

/// Joins the network, if the configuration says so. `service` answers everything but `Hello`.
pub async fn join(
    config: &Config,
    role: Role,
    chain_identity: String,
    service: Arc<dyn Service>,
) -> Result<Option<Network>, PtpError> {
    let Some(prepared) = Prepared::of(config, role)? else { return Ok(None) };
    Ok(Some(Network::start(prepared.options(chain_identity), service).await?))
}

/// Everything that joining needs but the chain.
pub(crate) struct Prepared {
    options: Options,
    ours: Ours,
}

impl Prepared {
    /// That of a service; none where the configuration says nothing of the network. Keys and files are read, or made.
    pub(crate) fn of(config: &Config, role: Role) -> Result<Option<Self>, PtpError> {
        let p2p = &config.p2p;
        if !p2p.enabled {
            return Ok(None);
        }
        let identity = identity(config, role)?;
        // v2's monitors belong to nothing, and list all.
        let bridge_identity =
            if role == Role::Client { "client".to_owned() } else { p2p.bridge_identity.clone() };
        let me = Me { role, hostname: hostname(), chain_identity: String::new(), bridge_identity };
        let (boot_nodes, listed) = (p2p.boot_nodes()?, p2p.listed()?);
        let names = boot_nodes.iter().filter_map(TcpAddress::of).filter(|node| node.ip().is_none());
        let ours = Ours {
            chain: String::new(),
            bridge: (!p2p.ignore_bridge_identity).then(|| p2p.bridge_identity.clone()),
            hostname: me.hostname.clone(),
            trusted: Trusted::of(p2p)?,
            hosts: names.map(|node| node.host().to_owned()).collect(),
        };
        let options = Options {
            listen: listening(p2p)?,
            boot_nodes,
            mdns: p2p.mdns,
            pre_shared_key: p2p.pre_shared_key_file.as_deref().map(PreSharedKey::open).transpose()?,
            allowed: p2p.only_members.then_some(listed),
            ..Options::new(identity, me)
        };
        Ok(Some(Self { options, ours }))
    }

    fn options(&self, chain_identity: String) -> Options {
        let mut options = self.options.clone();
        options.me.chain_identity = chain_identity;
        options
    }
}

/// The network, and the chain that was told there.
#[derive(Clone)]
struct Joined {
    network: Network,
    chain: String,
}

/// A service's part in the network, from when its chain is known until it ends.
///
/// A lifecycle manager is managed by peers, and reads from the data providers among them, while it has a deployment
/// ([`Self::attach`]).
pub struct Membership {
    joined: watch::Receiver<Option<Joined>>,
    /// Why it is not joined yet.
    trouble: watch::Receiver<String>,
    joining: AbortHandle,
    ours: Ours,
    desk: Option<Arc<Desk>>,
    finding: Mutex<Option<AbortHandle>>,
}

impl Membership {
    /// That of a lifecycle manager; none where the configuration says nothing of the network.
    ///
    /// Must be called within a tokio runtime.
    pub fn open(config: &Config) -> Result<Option<Self>, PtpError> {
        let Some(prepared) = Prepared::of(config, Role::LifecycleManager)? else { return Ok(None) };
        for risk in risks(&config.p2p, config.providers.as_ref()) {
            warn!("{risk}");
        }
        let node = (!config.chain.para.is_empty()).then(|| para_nodes(config));
        let desk = Arc::new(Desk::of(&config.p2p)?);
        let mut membership = Self::begin(prepared, Knows { store: None, node }, desk.clone());
        membership.desk = Some(desk);
        Ok(Some(membership))
    }

    /// That of a data provider.
    pub(crate) fn provide(prepared: Prepared, knows: Knows, providing: Providing) -> Self {
        Self::begin(prepared, knows, Arc::new(providing))
    }

    fn begin(prepared: Prepared, knows: Knows, service: Arc<dyn Service>) -> Self {
        let ours = prepared.ours.clone();
        let (told, joined) = watch::channel(None);
        let (telling, trouble) = watch::channel("it is about to be".to_owned());
        let joining = tokio::spawn(async move {
            let chain = knows.identity(&telling).await;
            drop(knows);
            let network = start(&prepared, &chain, service, &telling).await;
            told.send_replace(Some(Joined { network, chain }));
            // The channels are open as long as this lasts.
            std::future::pending::<()>().await;
        });
        let joining = joining.abort_handle();
        Self { joined, trouble, joining, ours, desk: None, finding: Mutex::default() }
    }

    /// Why the network is not joined yet, for as long as it is not.
    pub(crate) fn trouble(&self) -> watch::Receiver<String> {
        self.trouble.clone()
    }

    /// The network, once it is joined.
    pub async fn joined(&self) -> Network {
        joined(self.joined.clone()).await.network
    }

    /// The network, if it is joined.
    pub fn network(&self) -> Option<Network> {
        self.joined.borrow().as_ref().map(|joined| joined.network.clone())
    }

    /// Lets peers manage this deployment from now on, and the deployment read from the data providers among them.
    pub async fn attach(&self, deployment: &Arc<Deployment>) {
        if let Some(desk) = &self.desk {
            desk.open(Management::Running(deployment.clone())).await;
        }
        let Some(finder) = deployment.finder() else { return };
        let (waiting, ours) = (joined(self.joined.clone()), self.ours.clone());
        let finding = tokio::spawn(async move {
            let Joined { network, chain } = waiting.await;
            let ours = Ours { chain, ..ours };
            let told = ours.clone();
            follow::follow(network, ours, move |found| {
                finder.find(|named| found::providers_of(named, found, &told));
                finder.useless()
            })
            .await;
        });
        self.find_by(Some(finding.abort_handle()));
    }

    /// Lets peers manage this inventory from now on, while nothing is run.
    pub async fn rest(&self, inventory: Inventory, keyring: Arc<Keyring>) {
        if let Some(desk) = &self.desk {
            desk.open(Management::Resting { inventory, keyring }).await;
        }
    }

    /// Nobody manages a deployment from now on, and nothing holds it.
    pub async fn detach(&self) {
        self.find_by(None);
        if let Some(desk) = &self.desk {
            desk.close().await;
        }
    }

    fn find_by(&self, task: Option<AbortHandle>) {
        let before =
            std::mem::replace(&mut *self.finding.lock().unwrap_or_else(PoisonError::into_inner), task);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Leaves the network.
    pub async fn stop(&self) {
        self.detach().await;
        self.joining.abort();
        if let Some(network) = self.network() {
            network.stop().await;
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.find_by(None);
        self.joining.abort();
    }
}

async fn joined(mut joined: watch::Receiver<Option<Joined>>) -> Joined {
    loop {
        if let Some(joined) = joined.borrow_and_update().clone() {
            return joined;
        }
        if joined.changed().await.is_err() {
            // It was left before it was joined.
            std::future::pending::<()>().await;
        }
    }
}

/// Starts a node, for as long as that takes: who had its port may let go of it.
async fn start(
    prepared: &Prepared,
    chain: &str,
    service: Arc<dyn Service>,
    trouble: &watch::Sender<String>,
) -> Network {
    let mut backoff = Backoff::new(PACE, 0);
    loop {
        match Network::start(prepared.options(chain.to_owned()), service.clone()).await {
            Ok(network) => {
                info!(
                    chain,
                    bridge = prepared.options.me.bridge_identity,
                    "the peer-to-peer network is joined"
                );
                return network;
            }
            Err(cause) => {
                if backoff.failures() == 0 {
                    warn!(%cause, "the peer-to-peer network is not joined, trying again");
                }
                trouble.send_replace(cause.to_string());
                sleep(backoff.failed()).await;
            }
        }
    }
}

/// Where a service of this machine listens.
pub(crate) fn listening(p2p: &P2p) -> Result<Vec<Multiaddr>, ConfigError> {
    Ok(addresses(p2p.listen()?, has_ipv6()))
}

/// Where to listen: all addresses of IPv6 are those of a machine that has any.
fn addresses(mut listen: Vec<Multiaddr>, has_ipv6: bool) -> Vec<Multiaddr> {
    let is_any_of_ipv6 = |address: &Multiaddr| address.to_string().starts_with("/ip6/::/");
    if !has_ipv6 && !listen.iter().all(is_any_of_ipv6) {
        listen.retain(|address| !is_any_of_ipv6(address));
    }
    listen
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// What this machine calls itself.
fn hostname() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_f066_a_machine_without_ipv6_listens_where_it_can() {
        let parse =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Multiaddr>>();
        let both = parse(&["/ip4/0.0.0.0/tcp/28888", "/ip6/::/tcp/28889"]);
        assert_eq!(addresses(both.clone(), true), both);
        assert_eq!(addresses(both.clone(), false), both[..1]);
        // What is named and cannot be had is told by who tries.
        for named in [parse(&["/ip6/::/tcp/1"]), parse(&["/ip6/fd00::1/tcp/1", "/ip4/0.0.0.0/tcp/1"])] {
            assert_eq!(addresses(named.clone(), false), named);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_ends_the_start_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
        assert!(Membership::open(&config).unwrap().is_none(), "nothing listens without the section");
        assert!(!config.peer_keys_dir().exists());
        config.p2p.enabled = true;
        config.p2p.pre_shared_key_file = Some(folder.path().join("none"));
        let refused = Membership::open(&config).err().unwrap().to_string();
        assert!(refused.contains("p2p.pre_shared_key_file") && refused.contains("none"), "{refused}");
        config.p2p.pre_shared_key_file = None;
        std::fs::write(config.peer_keys_dir().join("LIFECYCLE"), "x").unwrap();
        let refused = Membership::open(&config).err().unwrap().to_string();
        assert!(refused.contains("p2p.identity_dir") && refused.contains("LIFECYCLE"), "{refused}");
    }

    #[tokio::test]
    async fn while_no_node_tells_the_chain_the_network_is_not_joined_and_can_be_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
        config.p2p = P2p { enabled: true, mdns: false, ..P2p::default() };
        let membership = Membership::open(&config).unwrap().unwrap();
        assert!(membership.network().is_none());
        let mut trouble = membership.trouble();
        let told = tokio::time::timeout(
            Duration::from_secs(60),
            trouble.wait_for(|cause| cause.contains("chain.para")),
        );
        assert!(told.await.is_ok_and(|told| told.is_ok()));
        membership.stop().await;
    }
}
