//! What a node does on its connections.

use super::{Limits, Options, streams};
use libp2p::{
    PeerId, StreamProtocol,
    allow_block_list::{self, AllowedPeers},
    connection_limits::{self, ConnectionLimits},
    identify,
    kad::{
        self,
        store::{MemoryStore, MemoryStoreConfig},
    },
    mdns, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};
use std::time::Duration;
use tracing::warn;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // First, so that strangers reach nothing else.
    allowed: Toggle<allow_block_list::Behaviour<AllowedPeers>>,
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) kad: kad::Behaviour<MemoryStore>,
    mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) streams: streams::Behaviour,
}

impl Behaviour {
    pub(super) fn new(options: &Options) -> Self {
        let own = options.identity.peer_id();
        let identify = identify::Config::new(VERSION.into(), options.identity.keypair().public())
            .with_agent_version(concat!("prb-p2p/", env!("CARGO_PKG_VERSION")).into())
            .with_push_listen_addr_updates(true)
            // Addresses are the book's.
            .with_cache_size(0);
        Self {
            allowed: options.allowed.as_ref().map(|peers| allowed(peers.iter().copied())).into(),
            limits: connection_limits::Behaviour::new(connections(&options.limits)),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new()),
            kad: routing(own),
            mdns: options.mdns.then(|| neighbours(own)).flatten().into(),
            streams: streams::Behaviour::default(),
        }
    }
}

fn allowed(peers: impl Iterator<Item = PeerId>) -> allow_block_list::Behaviour<AllowedPeers> {
    let mut list = allow_block_list::Behaviour::default();
    for peer in peers {
        list.allow_peer(peer);
    }
    list
}

fn connections(limits: &Limits) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.connections_pending))
        .with_max_pending_outgoing(Some(limits.connections_pending))
        .with_max_established_incoming(Some(limits.connections))
        .with_max_established_outgoing(Some(limits.connections))
        .with_max_established_per_peer(Some(limits.connections_per_peer))
}

/// The DHT, for finding peers of peers only: it keeps nothing that others put there, and those in it answered `Hello`.
fn routing(own: PeerId) -> kad::Behaviour<MemoryStore> {
    let nothing = MemoryStoreConfig { max_records: 0, max_provided_keys: 0, ..MemoryStoreConfig::default() };
    let mut config = kad::Config::new(ROUTING);
    config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_periodic_bootstrap_interval(None)
        .set_provider_publication_interval(None)
        .set_publication_interval(None)
        .set_replication_interval(None)
        .set_query_timeout(Duration::from_secs(20));
    let mut behaviour = kad::Behaviour::with_config(own, MemoryStore::with_config(own, nothing), config);
    behaviour.set_mode(Some(kad::Mode::Server));
    behaviour
}

fn neighbours(own: PeerId) -> Option<mdns::tokio::Behaviour> {
    let config = mdns::Config { query_interval: Duration::from_secs(60), ..mdns::Config::default() };
    mdns::tokio::Behaviour::new(config, own)
        .inspect_err(|error| warn!(%error, "no mDNS: peers of this network are found by boot nodes only"))
        .ok()
}

/// The DHT of a local network; nodes of PRB v2 take part in it.
pub(super) const ROUTING: StreamProtocol = StreamProtocol::new("/ipfs/lan/kad/1.0.0");

/// What nodes of PRB v2 name too.
const VERSION: &str = "ipfs/0.1.0";
