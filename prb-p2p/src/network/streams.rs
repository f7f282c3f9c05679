//! Streams of `/pb`, as a behaviour of the swarm: those that peers open, with where they come from, and ours on a
//! connection of our choice.
//!
//! Nodes of PRB v2 open a connection per call and close it right after it, so a stream of ours on such a connection
//! fails: whoever opens one names a connection that we opened.

use super::PROTOCOL;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use std::{
    collections::VecDeque,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// A stream, and where the peer at its other end is.
pub(super) type Opened = (Stream, Multiaddr);

/// Who waits for a stream. Dropped if the connection ends first.
pub(super) type Reply = oneshot::Sender<Result<Opened, Refused>>;

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Refused {
    /// Nothing is known of the peer.
    Unknown,
    /// It cannot be reached, or does not want one.
    Failed(String),
}

/// A stream that a peer opened.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) address: Multiaddr,
    pub(super) stream: Stream,
}

#[derive(Default)]
pub(super) struct Behaviour {
    events: VecDeque<ToSwarm<Incoming, Reply>>,
}

impl Behaviour {
    /// Opens a stream on this connection.
    pub(super) fn open(&mut self, peer_id: PeerId, connection: ConnectionId, reply: Reply) {
        let handler = NotifyHandler::One(connection);
        self.events.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: reply });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Incoming;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(remote))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(remote))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        (stream, address): THandlerOutEvent<Self>,
    ) {
        self.events.push_back(ToSwarm::GenerateEvent(Incoming { peer, connection, address, stream }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Incoming, THandlerInEvent<Self>>> {
        // What is added from outside is added by whoever polls the swarm.
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// One connection.
pub(super) struct Handler {
    remote: Multiaddr,
    wanted: VecDeque<Reply>,
    incoming: VecDeque<Stream>,
}

impl Handler {
    fn new(remote: &Multiaddr) -> Self {
        Self { remote: remote.clone(), wanted: VecDeque::new(), incoming: VecDeque::new() }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Reply;
    type ToBehaviour = Opened;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Reply, Opened>> {
        if let Some(stream) = self.incoming.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour((stream, self.remote.clone())));
        }
        while let Some(reply) = self.wanted.pop_front() {
            if !reply.is_closed() {
                let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), reply);
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, reply: Reply) {
        self.wanted.push_back(reply);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol, (), Reply>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.incoming.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                // Whoever waited may have given up.
                let _ = info.send(Ok((protocol, self.remote.clone())));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let reason = match error {
                    StreamUpgradeError::Timeout => "the peer does not open a stream".into(),
                    StreamUpgradeError::NegotiationFailed => format!("the peer does not speak {PROTOCOL}"),
                    StreamUpgradeError::Io(error) => error.to_string(),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _ = info.send(Err(Refused::Failed(reason)));
            }
            _ => {}
        }
    }
}
