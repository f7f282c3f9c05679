//! Peers made of libp2p alone: they speak what they are told to, and behave as ours never would.

use super::loopback;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, Transport as _,
    core::{ConnectedPoint, muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    identify,
    identity::Keypair,
    noise,
    swarm::{
        self, ConnectionId, NetworkBehaviour, SwarmEvent, dial_opts::DialOpts, dial_opts::PeerCondition,
    },
    tcp, yamux,
};
use prb_p2p::message::{RequestWrapper, ResponseWrapper, Role, SystemInfo};
use prost::Message as _;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// What it does with a stream of others.
pub(crate) type Answering = Arc<dyn Fn(Stream) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Muxer {
    Mplex,
    /// As v2's: frames of up to 1 MiB.
    MplexOfLargeFrames,
    Yamux,
}

/// Ends when it is dropped.
pub(crate) struct Rogue {
    pub(crate) id: PeerId,
    pub(crate) address: Multiaddr,
    control: libp2p_stream::Control,
    orders: mpsc::Sender<Order>,
}

enum Order {
    Dial(PeerId, Multiaddr, oneshot::Sender<Option<ConnectionId>>),
    Close(ConnectionId, oneshot::Sender<()>),
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    stream: libp2p_stream::Behaviour,
}

impl Rogue {
    pub(crate) async fn start(muxer: Muxer, answering: Answering) -> Self {
        Self::with_key(Keypair::generate_ed25519(), muxer, answering).await
    }

    pub(crate) async fn with_key(key: Keypair, muxer: Muxer, answering: Answering) -> Self {
        let id = key.public().to_peer_id();
        let stream = libp2p_stream::Behaviour::new();
        let mut control = stream.new_control();
        let mut incoming = control.accept(PB).unwrap();
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.next().await {
                tokio::spawn(answering(stream));
            }
        });
        let identify = identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".into(), key.public()));
        let config =
            swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
        let mut swarm = Swarm::new(transport(&key, muxer), Behaviour { identify, stream }, id, config);
        swarm.listen_on(loopback()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let (orders, received) = mpsc::channel(16);
        tokio::spawn(drive(swarm, received));
        Self { id, address, control, orders }
    }

    /// Opens a connection, if the other lets it.
    pub(crate) async fn connect(&self, peer: PeerId, address: &Multiaddr) -> Option<ConnectionId> {
        let (reply, done) = oneshot::channel();
        self.orders.send(Order::Dial(peer, address.clone(), reply)).await.ok().unwrap();
        done.await.unwrap()
    }

    pub(crate) async fn disconnect(&self, connection: ConnectionId) {
        let (reply, done) = oneshot::channel();
        self.orders.send(Order::Close(connection, reply)).await.ok().unwrap();
        // Gone already, if nobody answers.
        let _ = done.await;
    }

    /// Opens a stream on a connection that is there.
    pub(crate) async fn open(&self, peer: PeerId) -> Option<Stream> {
        self.control.clone().open_stream(peer, PB).await.ok()
    }

    /// A call as v2 makes it: a connection for it alone.
    pub(crate) async fn call(&self, peer: PeerId, address: &Multiaddr, method: &str) -> ResponseWrapper {
        let connection = self.connect(peer, address).await.unwrap();
        let mut stream = self.open(peer).await.unwrap();
        let request = RequestWrapper {
            created_at: Some(1),
            nonce: Some("n".into()),
            data: Some(self.hello().encode_to_vec().into()),
            method: Some(method.into()),
        };
        stream.write_all(&request.encode_to_vec()).await.unwrap();
        stream.close().await.unwrap();
        let answer = to_end(&mut stream).await.unwrap();
        self.disconnect(connection).await;
        ResponseWrapper::decode(answer.as_slice()).unwrap()
    }

    fn hello(&self) -> SystemInfo {
        who(&self.id.to_string())
    }
}

/// What somebody says of itself who says this is its id.
pub(crate) fn who(id: &str) -> SystemInfo {
    SystemInfo {
        hostname: Some("old".into()),
        peer_id: Some(id.into()),
        role: Some(Role::DataProvider.into()),
        chain_identity: Some("0x00".into()),
        bridge_identity: Some("bridge".into()),
        auth: None,
    }
}

/// Answers every call with this.
pub(crate) fn always(data: Vec<u8>) -> Answering {
    Arc::new(move |mut stream| {
        let data = data.clone();
        Box::pin(async move {
            let Some(request) = request(&mut stream).await else { return };
            let answer = ResponseWrapper {
                created_at: Some(1),
                request_nonce: request.nonce,
                nonce: Some("m".into()),
                data: Some(data.into()),
                has_error: None,
                error: None,
            };
            let _ = stream.write_all(&answer.encode_to_vec()).await;
            let _ = stream.close().await;
        })
    })
}

pub(crate) async fn request(stream: &mut Stream) -> Option<RequestWrapper> {
    RequestWrapper::decode(to_end(stream).await?.as_slice()).ok()
}

/// Reads to the end; none if it breaks off.
pub(crate) async fn to_end(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok().map(|_| bytes)
}

async fn drive(mut swarm: Swarm<Behaviour>, mut orders: mpsc::Receiver<Order>) {
    let mut dials: HashMap<ConnectionId, oneshot::Sender<Option<ConnectionId>>> = HashMap::new();
    let mut closing: HashMap<ConnectionId, oneshot::Sender<()>> = HashMap::new();
    loop {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished {
                    connection_id, endpoint: ConnectedPoint::Dialer { .. }, ..
                } => {
                    let _ = dials.remove(&connection_id).map(|reply| reply.send(Some(connection_id)));
                }
                SwarmEvent::ConnectionClosed { connection_id, .. } => {
                    let _ = closing.remove(&connection_id).map(|reply| reply.send(()));
                }
                SwarmEvent::OutgoingConnectionError { connection_id, .. } => {
                    let _ = dials.remove(&connection_id).map(|reply| reply.send(None));
                }
                _ => {}
            },
            order = orders.recv() => match order {
                None => return,
                Some(Order::Close(connection, reply)) => {
                    if swarm.close_connection(connection) {
                        closing.insert(connection, reply);
                    }
                }
                Some(Order::Dial(peer, address, reply)) => {
                    let options = DialOpts::peer_id(peer)
                        .condition(PeerCondition::Always)
                        .addresses(vec![address])
                        .allocate_new_port()
                        .build();
                    dials.insert(options.connection_id(), reply);
                    swarm.dial(options).unwrap();
                }
            },
        }
    }
}

fn transport(key: &Keypair, muxer: Muxer) -> Boxed<(PeerId, StreamMuxerBox)> {
    let secure = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(key).unwrap());
    match muxer {
        Muxer::Mplex => secure.multiplex(libp2p_mplex::Config::new()).boxed(),
        Muxer::MplexOfLargeFrames => {
            let mut config = libp2p_mplex::Config::new();
            config.set_split_send_size(1 << 20);
            secure.multiplex(config).boxed()
        }
        Muxer::Yamux => secure.multiplex(yamux::Config::default()).boxed(),
    }
}

pub(crate) const PB: StreamProtocol = StreamProtocol::new("/pb");
