//! From TCP to streams: names, the pre-shared key, Noise, and the muxers of nodes old and new.

use super::{
    Limits, Multiaddr,
    names::Named,
    rooms::{Rooms, mplex_streams},
};
use crate::{identity::Identity, psk::PreSharedKey};
use futures::{
    TryFutureExt as _,
    future::{Either, ready},
};
use libp2p::{
    PeerId, Transport as _,
    core::{
        muxing::StreamMuxerBox,
        transport::Boxed,
        upgrade::{SelectUpgrade, Version},
    },
    dns, noise, tcp, yamux,
};
use libp2p_mplex as mplex;
use std::io;

pub(super) type Transport = Boxed<(PeerId, StreamMuxerBox)>;

/// Yamux is preferred; nodes of PRB v2 speak mplex only. No names are dialled but those of boot nodes.
pub(super) fn build(
    identity: &Identity,
    key: Option<&PreSharedKey>,
    boots: impl Iterator<Item = Multiaddr>,
    limits: &Limits,
) -> Result<Transport, noise::Error> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    let named = dns::tokio::Transport::system(tcp()).unwrap_or_else(|_| {
        // A machine without name servers still reaches addresses.
        dns::tokio::Transport::custom(tcp(), dns::ResolverConfig::default(), dns::ResolverOpts::default())
    });
    let key = key.map(PreSharedKey::config);
    let secret = Named::new(named, boots).and_then(move |socket, _| match key {
        Some(key) => Either::Left(key.handshake(socket).map_ok(Either::Left).map_err(io::Error::other)),
        None => Either::Right(ready(Ok(Either::Right(socket)))),
    });
    let muxers = SelectUpgrade::new(yamux_config(limits), mplex_config(limits));
    let rooms = Rooms::new(limits);
    Ok(secret
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(identity.keypair())?)
        .multiplex(muxers)
        .timeout(limits.setup)
        .and_then(move |(peer, muxer), end| ready(rooms.hold(muxer, &end).map(|held| (peer, held))))
        .boxed())
}

fn yamux_config(limits: &Limits) -> yamux::Config {
    let mut config = yamux::Config::default();
    // Of a stream that is not read no more than 256 KiB are sent; only one that is read fast, one that is served, gets more.
    config.set_max_num_streams(limits.streams_per_connection);
    config
}

fn mplex_config(limits: &Limits) -> mplex::Config {
    let mut config = mplex::Config::new();
    // A stream that is full stops its connection and no other. It is not reset, as an honest peer sends faster than it is
    // read: mplex has no windows.
    config
        .set_max_num_streams(mplex_streams(limits))
        .set_max_buffer_size(1)
        .set_max_buffer_behaviour(mplex::MaxBufferBehaviour::Block);
    config
}
