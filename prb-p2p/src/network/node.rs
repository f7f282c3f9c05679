//! The node itself: one task that owns the swarm, and tells the parts that decide what happens.

mod event;
mod greet;

use super::{
    Limits, Multiaddr, Options, PeerId, Service, Shared, StartError, address,
    behaviour::Behaviour,
    book::{Book, Pace},
    boot::Boot,
    client::{Client, Greeting, Wanted},
    dials::{Dials, Target},
    frame::kib,
    meter,
    seats::Seats,
    server::Server,
    streams::Refused,
    transport, words,
};
use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::{
    core::transport::ListenerId,
    kad::QueryId,
    swarm::{
        self, ConnectionId, DialError, Swarm, SwarmEvent, dial_opts::DialOpts, dial_opts::PeerCondition,
    },
};
use socket2::{Domain, Socket, Type};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(super) struct Node {
    swarm: Swarm<Behaviour>,
    own: PeerId,
    me: Bytes,
    has_key: bool,
    limits: Limits,
    book: Book,
    boots: Vec<Boot>,
    dials: Dials,
    /// Connections we opened, the latest last. Calls go on no others.
    links: BTreeMap<PeerId, Vec<ConnectionId>>,
    /// From where peers opened theirs.
    guests: HashMap<ConnectionId, Multiaddr>,
    /// Pings in a row that were not answered.
    unanswered: HashMap<ConnectionId, u32>,
    wanted: mpsc::Receiver<Wanted>,
    greeter: Arc<Client>,
    greetings: JoinSet<(PeerId, Greeting)>,
    server: Arc<Server>,
    endless: mpsc::Receiver<ConnectionId>,
    answers: JoinSet<()>,
    search: Option<QueryId>,
    next_search: Instant,
    searches: u32,
    /// When a handshake that failed was told last.
    told: Option<Instant>,
    is_full: bool,
    stop: CancellationToken,
    // Last, so that all else is gone when it says so.
    shared: Ending,
}

/// Says that the node is gone, however it went.
struct Ending(Arc<Shared>);

impl Node {
    /// Listens, and returns the node with what makes calls on it.
    pub(super) async fn start(
        options: &Options,
        service: Arc<dyn Service>,
        shared: Arc<Shared>,
        stop: CancellationToken,
    ) -> Result<(Self, Client), StartError> {
        let (own, limits, now) = (options.identity.peer_id(), options.limits.clone(), Instant::now());
        let key = options.pre_shared_key.as_ref();
        let boots = options.boot_nodes.iter().map(|address| Boot::new(now, address, &limits));
        let boots: Vec<Boot> = boots.collect::<Result<_, _>>()?;
        let transport =
            transport::build(&options.identity, key, boots.iter().map(|boot| boot.address.clone()), &limits)
                .map_err(|error| StartError::Identity(error.to_string()))?;
        let config = swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(limits.idle)
            .with_max_negotiating_inbound_streams(limits.streams_per_connection);
        let me = options.me.told(own);
        let (sender, wanted) = mpsc::channel(MOST_WANTED);
        let (ends, endless) = mpsc::channel(MOST_WANTED);
        let room = Arc::new(Semaphore::new(kib(limits.read_bytes.max(limits.largest_answer)) as usize));
        let client = |all, each| Client {
            wanted: sender.clone(),
            seats: Seats::new(all, each),
            room: room.clone(),
            limits: limits.clone(),
            stop: stop.clone(),
        };
        let mut node = Self {
            swarm: Swarm::new(transport, Behaviour::new(options), own, config),
            own,
            has_key: key.is_some(),
            book: Book::new(own, Pace::of(&limits)),
            boots,
            dials: Dials::default(),
            links: BTreeMap::new(),
            guests: HashMap::new(),
            unanswered: HashMap::new(),
            wanted,
            greeter: Arc::new(client(MOST_GREETINGS, 1)),
            greetings: JoinSet::new(),
            server: Server::new(service, me.clone(), options.allowed.clone(), &limits, ends),
            endless,
            answers: JoinSet::new(),
            search: None,
            next_search: now,
            searches: 0,
            told: None,
            is_full: false,
            stop: stop.clone(),
            shared: Ending(shared),
            me,
            limits: limits.clone(),
        };
        info!(id = %own, "Got my peer id as {}", words::role(options.me.role));
        if let Some(key) = key {
            info!(fingerprint = %key.fingerprint(), "peers need the pre-shared key");
        }
        meter::listed(&[]);
        node.listen(&options.listen).await?;
        Ok((node, client(limits.calls, limits.calls_per_peer)))
    }

    /// Until it is stopped.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(wanted) = self.wanted.recv() => self.open(wanted),
                Some(Ok((peer, greeting))) = self.greetings.join_next() => self.greeted(peer, greeting),
                Some(_) = self.answers.join_next() => {}
                Some(connection) = self.endless.recv() => drop(self.swarm.close_connection(connection)),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    async fn listen(&mut self, addresses: &[Multiaddr]) -> Result<(), StartError> {
        let mut waiting: HashMap<ListenerId, Multiaddr> = HashMap::new();
        let failed = |address: &Multiaddr, reason| StartError::Listen { address: address.clone(), reason };
        for address in addresses {
            let socket = address::socket(address).ok_or_else(|| failed(address, NO_SOCKET.into()))?;
            try_port(socket).map_err(|error| failed(address, error.to_string()))?;
        }
        for address in addresses {
            let listener = self.swarm.listen_on(address.clone());
            waiting.insert(listener.map_err(|error| failed(address, words::root(&error)))?, address.clone());
        }
        let end = Instant::now() + LISTENING;
        while !waiting.is_empty() {
            let Ok(event) = timeout_at(end, self.swarm.select_next_some()).await else {
                warn!("this machine has no address that peers could reach yet");
                return Ok(());
            };
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    waiting.remove(listener_id);
                }
                SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. }
                | SwarmEvent::ListenerError { listener_id, error } => {
                    if let Some(address) = waiting.remove(listener_id) {
                        return Err(StartError::Listen { address, reason: words::root(error) });
                    }
                }
                _ => {}
            }
            self.on_event(event);
        }
        Ok(())
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for place in 0..self.boots.len() {
            let links = &self.links;
            if self.boots[place].is_due(now, |peer| links.contains_key(peer)) {
                self.dial_boot(now, place);
            }
        }
        self.greet(now);
        self.forget(now);
        self.search(now);
    }

    fn dial_boot(&mut self, now: Instant, place: usize) {
        let boot = &self.boots[place];
        let address = boot.address.clone();
        let options = match boot.named {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::Always)
                .addresses(vec![address])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(address).allocate_new_port().build(),
        };
        let dial = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => self.dials.flies(dial, Target::Boot(place)),
            Err(error) => self.boot_failed(now, place, &error),
        }
    }

    fn boot_failed(&mut self, now: Instant, place: usize, error: &DialError) {
        let boot = &mut self.boots[place];
        // libp2p takes away the address it is given if this node listens there.
        if let DialError::LocalPeerId { .. } | DialError::NoAddresses = error {
            // One list of boot nodes is often given to all, those in it too.
            debug!(address = %boot.address, "this boot node is this node itself");
            boot.give_up();
        } else if boot.failed(now) {
            let reason = words::dial(error, self.has_key);
            warn!(address = %boot.address, reason, "boot node cannot be reached; it is tried again and again");
        }
    }

    /// Opens a stream for whoever wants one, on a connection that we opened or open.
    fn open(&mut self, Wanted { peer, reply }: Wanted) {
        if let Some(link) = self.links.get(&peer).and_then(|links| links.last()) {
            return self.swarm.behaviour_mut().streams.open(peer, *link, reply);
        }
        let Some(reply) = self.dials.wait(&peer, reply) else { return };
        match self.book.addresses(&peer) {
            None => {
                let _ = reply.send(Err(Refused::Unknown));
            }
            Some((good, others)) => {
                self.dials.begin(peer, reply, others);
                self.dial(peer, good.into_iter().collect());
            }
        }
    }

    /// Dials these addresses, and others if none of them can be.
    fn dial(&mut self, peer: PeerId, mut wave: Vec<Multiaddr>) {
        loop {
            for address in wave {
                let options = DialOpts::peer_id(peer)
                    .condition(PeerCondition::Always)
                    .addresses(vec![address.clone()])
                    .allocate_new_port()
                    .build();
                let dial = options.connection_id();
                match self.swarm.dial(options) {
                    Ok(()) => self.dials.flies(dial, Target::Peer(peer, address)),
                    Err(error) => self.dials.grounded(&peer, words::dial(&error, self.has_key)),
                }
            }
            wave = self.dials.next_wave(&peer);
            if wave.is_empty() {
                return self.dials.give_up(&peer);
            }
        }
    }

    /// Somebody says that this peer is at these addresses.
    fn hear(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        if !self.book.heard(Instant::now(), peer, addresses) {
            meter::refused("no_room");
            if !std::mem::replace(&mut self.is_full, true) {
                warn!(peers = self.limits.peers, "too many peers; those found from here on are left out");
            }
        }
    }

    fn publish(&self) {
        self.shared.0.list(self.book.peers());
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Finds out whether another program listens there: libp2p would share the port with it, and connections would go to
/// either.
fn try_port(socket: SocketAddr) -> io::Result<()> {
    let probe = Socket::new(Domain::for_address(socket), Type::STREAM, None)?;
    if socket.is_ipv6() {
        probe.set_only_v6(true)?;
    }
    #[cfg(unix)]
    probe.set_reuse_address(true)?;
    probe.bind(&socket.into())?;
    probe.listen(1)
}

/// What is wrong with an address to listen on.
const NO_SOCKET: &str = "it must be an IP address and a TCP port, like /ip4/0.0.0.0/tcp/28888";

/// How often it looks at what is due.
const TICK: Duration = Duration::from_millis(100);

/// Longest wait for the first address of a listener.
const LISTENING: Duration = Duration::from_secs(5);

/// Streams that are asked for and not looked at yet.
const MOST_WANTED: usize = 256;

/// Peers that are asked at once who they are.
const MOST_GREETINGS: usize = 32;
