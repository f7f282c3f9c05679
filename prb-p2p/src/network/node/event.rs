//! What the swarm tells.

use super::Node;
use crate::network::{
    Multiaddr, PROTOCOL, PeerId, address,
    behaviour::{BehaviourEvent, ROUTING},
    dials::Target,
    meter, streams, words,
};
use libp2p::{
    core::ConnectedPoint,
    identify, kad, mdns, ping,
    swarm::{ConnectionId, DialError, ListenError, SwarmEvent},
};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info, warn};

impl Node {
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => match endpoint {
                ConnectedPoint::Dialer { address, .. } => self.linked(peer_id, connection_id, &address),
                ConnectedPoint::Listener { send_back_addr, .. } => {
                    self.guests.insert(connection_id, send_back_addr);
                }
            },
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.unlinked(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.dial_failed(connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.guest_refused(&send_back_addr, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                info!(%address, "listening for peers");
                self.listens();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                info!(%address, "not listening for peers there any more");
                self.listens();
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                warn!(?addresses, ?reason, "stopped listening for peers");
                self.listens();
            }
            SwarmEvent::ListenerError { error, .. } => warn!(%error, "listening for peers failed once"),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(incoming) => self.accept(incoming),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, connection_id, info }) => {
                self.identified(peer_id, connection_id, &info);
            }
            BehaviourEvent::Ping(ping::Event { connection, result, .. }) => self.pinged(connection, &result),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.hear(peer, &[address]);
                }
            }
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. }) => {
                if step.last && self.search == Some(id) {
                    self.search = None;
                }
                self.searched(result);
            }
            _ => {}
        }
    }

    fn accept(&mut self, incoming: streams::Incoming) {
        if let Some(answer) = self.server.accept(incoming) {
            self.answers.spawn(answer);
        }
    }

    /// We opened a connection.
    fn linked(&mut self, peer: PeerId, link: ConnectionId, at: &Multiaddr) {
        let (now, mut is_boot) = (Instant::now(), false);
        match self.dials.landed(link) {
            Some(Target::Boot(place)) => {
                self.boots[place].connected(now, peer);
                is_boot = true;
            }
            Some(Target::Peer(..)) if self.links.contains_key(&peer) => {
                // Another address of it was faster.
                self.swarm.close_connection(link);
                return;
            }
            Some(Target::Peer(..)) | None => {}
        }
        self.links.entry(peer).or_default().push(link);
        for reply in self.dials.reached(&peer) {
            self.swarm.behaviour_mut().streams.open(peer, link, reply);
        }
        if let Some(at) = address::of(at, &peer)
            && !self.book.linked(now, peer, &at)
        {
            meter::refused("no_room");
        }
        if is_boot {
            self.book.boots(&peer);
        }
    }

    fn unlinked(&mut self, peer: PeerId, connection: ConnectionId) {
        self.guests.remove(&connection);
        self.unanswered.remove(&connection);
        if let Some(links) = self.links.get_mut(&peer) {
            links.retain(|link| *link != connection);
            if links.is_empty() {
                self.links.remove(&peer);
                self.book.unlinked(Instant::now(), &peer);
            }
        }
    }

    fn dial_failed(&mut self, dial: ConnectionId, error: &DialError) {
        let reason = words::dial(error, self.has_key);
        match self.dials.failed(dial, &reason) {
            Some(Target::Boot(place)) => self.boot_failed(Instant::now(), place, error),
            Some(Target::Peer(peer, at)) => {
                debug!(%peer, address = %at, reason, "dialling a peer failed");
                if let DialError::WrongPeerId { .. } | DialError::LocalPeerId { .. } = error {
                    self.book.wrong(&peer, &at);
                }
                self.dial(peer, Vec::new());
            }
            None => {}
        }
    }

    fn guest_refused(&mut self, from: &Multiaddr, error: &ListenError) {
        let (label, words) = words::incoming(error, self.has_key);
        meter::refused(label);
        let now = Instant::now();
        let told_lately = self.told.is_some_and(|told| now - told < TOLD_AGAIN);
        match words {
            Some(reason) if self.has_key && !told_lately => {
                self.told = Some(now);
                warn!(address = %from, reason, "a peer could not join");
            }
            reason => debug!(address = %from, label, reason, "a connection was refused"),
        }
    }

    fn listens(&self) {
        self.shared.0.listen(self.swarm.listeners().cloned().collect());
    }

    /// It told where it listens: peers that dialled us are dialled back there.
    fn identified(&mut self, peer: PeerId, connection: ConnectionId, info: &identify::Info) {
        if !info.protocols.contains(&PROTOCOL) {
            return;
        }
        if let Some(from) = self.guests.get(&connection) {
            self.hear(peer, &address::candidates(from, &info.listen_addrs, &peer));
        }
        if info.protocols.contains(&ROUTING) {
            self.book.routes(&peer);
            self.route(&peer);
        }
    }

    fn pinged(&mut self, connection: ConnectionId, result: &Result<Duration, ping::Failure>) {
        match result {
            Ok(_) | Err(ping::Failure::Unsupported) => {
                self.unanswered.remove(&connection);
            }
            Err(_) => {
                let count = self.unanswered.entry(connection).or_default();
                *count += 1;
                // Large answers on a slow line hold back pings, so one is no proof.
                if *count >= MOST_UNANSWERED {
                    self.swarm.close_connection(connection);
                }
            }
        }
    }

    /// Whether peers may be at this address as far as others say. On this machine only if some were found here.
    pub(super) fn may_be_at(&self, address: &Multiaddr) -> bool {
        !address::is_local(address) || self.book.has_local()
    }
}

/// How often handshakes that failed are told.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// Pings in a row without an answer, after which a connection is dead.
const MOST_UNANSWERED: u32 = 3;
