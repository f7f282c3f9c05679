//! A node of the network: finds peers, calls them and answers them.

mod address;
mod behaviour;
mod book;
mod boot;
mod client;
mod dials;
mod frame;
mod limits;
mod meter;
mod names;
mod node;
mod peer;
mod rooms;
mod seats;
mod server;
mod shared;
mod streams;
mod transport;
mod words;

pub use address::TcpAddress;
pub use libp2p::{Multiaddr, PeerId};
pub use limits::Limits;
pub use peer::Peer;

use crate::{
    identity::Identity,
    message::{ResponseError, Role, SystemInfo},
    method::Method,
    psk::PreSharedKey,
};
use async_trait::async_trait;
use bytes::Bytes;
use client::Client;
use libp2p::StreamProtocol;
use node::Node;
use prost::Message as _;
use shared::Shared;
use std::{collections::BTreeSet, io, net::TcpListener, sync::Arc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How a node joins.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its key pair.
    pub identity: Identity,
    /// What it says of itself.
    pub me: Me,
    /// Where it listens: IP addresses with a TCP port, 0 for any ([`TcpAddress::socket`]). Nodes that nobody can dial find others and are not
    /// found.
    pub listen: Vec<Multiaddr>,
    /// Nodes it begins with: a host and a TCP port, with `/p2p/` and an id or without ([`TcpAddress::is_dialable`]). They
    /// are dialled for ever.
    pub boot_nodes: Vec<Multiaddr>,
    /// Whether to find nodes in the same network by mDNS, and be found.
    pub mdns: bool,
    /// Keeps out everybody who does not have it, nodes of PRB v2 too.
    pub pre_shared_key: Option<PreSharedKey>,
    /// Keeps out everybody else.
    pub allowed: Option<BTreeSet<PeerId>>,
    /// What peers may cost.
    pub limits: Limits,
}

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Me {
    /// What it is.
    pub role: Role,
    /// Name of its machine.
    pub hostname: String,
    /// Hash of its parachain's first block, 0x and hex; `client` if it has no chain.
    pub chain_identity: String,
    /// What its operator calls the bridge it belongs to.
    pub bridge_identity: String,
}

/// Why a node cannot join.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen there.
    #[error("cannot listen for peers on {address}: {reason}")]
    Listen {
        /// Where.
        address: Multiaddr,
        /// Why not.
        reason: String,
    },
    /// No such boot node can be dialled.
    #[error(
        "{0} is no address of a boot node: it must be like /ip4/10.0.0.2/tcp/28888 or /dns4/host/tcp/28888, with \
         /p2p/ and the node's peer id behind it or without"
    )]
    BootNode(Multiaddr),
    /// Its identity cannot be used.
    #[error("the peer identity cannot be used: {0}")]
    Identity(String),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// When it was made, Unix milliseconds by the peer's clock.
    pub created_at: u64,
    /// Nonce of the call.
    pub request_nonce: String,
    /// Nonce of the answer.
    pub nonce: String,
    /// What was asked for, encoded, or why there is none.
    pub result: Result<Bytes, ResponseError>,
}

/// Why there is no answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing is known of the peer.
    #[error("no such peer is known; it is found by a boot node or mDNS, or it is gone")]
    UnknownPeer,
    /// It cannot be reached, or the connection broke.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the peer did not answer in time")]
    Timeout,
    /// It is larger than is read.
    #[error("the peer's answer is too large")]
    TooLarge,
    /// It is none.
    #[error("the peer's answer cannot be used: {0}")]
    BadAnswer(String),
    /// The node was stopped.
    #[error("the peer-to-peer network was stopped")]
    Stopped,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its id, proven by the connection.
    pub peer: PeerId,
    /// Where it calls from, as seen here.
    pub address: Multiaddr,
    /// Whether that is this machine (127.0.0.0/8, ::1).
    pub is_local: bool,
    /// Whether it is in [`Options::allowed`].
    pub is_listed: bool,
}

/// Answers the calls of peers.
#[async_trait]
pub trait Service: Send + Sync {
    /// The answer, encoded. `Hello` never comes here. What is not answered is
    /// [`NotFound`](crate::message::ErrorKind::NotFound). Dropped after [`Limits::service`].
    async fn answer(&self, caller: &Caller, method: Method, data: Bytes) -> Result<Bytes, ResponseError>;
}

/// A node that has joined. All clones are the same one; it leaves with [`stop`](Self::stop), or when the last clone is
/// dropped.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    own: PeerId,
    client: Client,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Options {
    /// Listens on a port of the system's choice on all addresses, finds neighbours by mDNS and keeps nobody out.
    pub fn new(identity: Identity, me: Me) -> Self {
        Self {
            identity,
            me,
            listen: everywhere(),
            boot_nodes: Vec::new(),
            mdns: true,
            pre_shared_key: None,
            allowed: None,
            limits: Limits::default(),
        }
    }
}

impl Me {
    fn told(&self, own: PeerId) -> Bytes {
        let told = SystemInfo {
            hostname: Some(self.hostname.clone()),
            peer_id: Some(own.to_string()),
            role: Some(self.role.into()),
            chain_identity: Some(self.chain_identity.clone()),
            bridge_identity: Some(self.bridge_identity.clone()),
            auth: None,
        };
        told.encode_to_vec().into()
    }
}

impl Network {
    /// Joins. Calls of peers are answered from here on, and peers are looked for.
    pub async fn start(options: Options, service: Arc<dyn Service>) -> Result<Self, StartError> {
        let (own, stop) = (options.identity.peer_id(), CancellationToken::new());
        let shared = Arc::new(Shared::default());
        let (node, client) = Node::start(&options, service, shared.clone(), stop.clone()).await?;
        tokio::spawn(node.run());
        Ok(Self(Arc::new(Inner { own, client, shared, stop })))
    }

    /// What others know this node by.
    pub fn peer_id(&self) -> PeerId {
        self.0.own
    }

    /// Where it listens, with its id.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.0
            .shared
            .listening()
            .into_iter()
            .map(|address| address::with_peer(&address, self.0.own))
            .collect()
    }

    /// Peers that said who they are, of all identities, ordered by id.
    pub fn peers(&self) -> Vec<Peer> {
        self.0.shared.peers()
    }

    /// Counts the changes of [`peers`](Self::peers).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.shared.changes()
    }

    /// Calls a method of a peer. Waits for its turn if there are many calls; a call that changes nothing, or never left,
    /// is tried twice.
    pub async fn call(&self, peer: &PeerId, method: &str, data: Bytes) -> Result<Answer, CallError> {
        self.0.client.call(*peer, method, data).await
    }

    /// Leaves. Returns when all connections are closed.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.shared.ended().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All addresses of the machine; those of IPv6 if it has any.
fn everywhere() -> Vec<Multiaddr> {
    let mut all =
        vec![Multiaddr::from(std::net::Ipv4Addr::UNSPECIFIED).with(libp2p::multiaddr::Protocol::Tcp(0))];
    let v6: io::Result<TcpListener> = TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0));
    if v6.is_ok() {
        let any = Multiaddr::from(std::net::Ipv6Addr::UNSPECIFIED);
        all.push(any.with(libp2p::multiaddr::Protocol::Tcp(0)));
    }
    all
}

/// The RPC that PRB v2 calls Walkie.
const PROTOCOL: StreamProtocol = StreamProtocol::new("/pb");
