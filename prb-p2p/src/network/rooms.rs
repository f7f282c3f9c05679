//! Memory for what peers sent and nobody read yet: each connection takes what it may hold at most, or is refused.

use super::{Limits, frame::kib};
use futures::future::Either;
use libp2p::core::{
    ConnectedPoint,
    muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB that are left for connections of peers, and for ours: theirs take nothing from ours.
#[derive(Clone)]
pub(super) struct Rooms {
    theirs: Arc<Semaphore>,
    ours: Arc<Semaphore>,
    limits: Limits,
}

/// A connection with its room.
struct Held {
    muxer: StreamMuxerBox,
    _room: OwnedSemaphorePermit,
}

impl Rooms {
    pub(super) fn new(limits: &Limits) -> Self {
        let room = || Arc::new(Semaphore::new(kib(limits.unread_bytes) as usize));
        Self { theirs: room(), ours: room(), limits: limits.clone() }
    }

    /// Gives a connection with yamux or mplex its room, if there is some.
    pub(super) fn hold<Y, M>(&self, muxer: Either<Y, M>, end: &ConnectedPoint) -> io::Result<StreamMuxerBox>
    where
        Y: StreamMuxer + Send + 'static,
        Y::Substream: Send + 'static,
        Y::Error: Send + Sync + 'static,
        M: StreamMuxer + Send + 'static,
        M::Substream: Send + 'static,
        M::Error: Send + Sync + 'static,
    {
        let (most, muxer) = match muxer {
            Either::Left(muxer) => (of_yamux(&self.limits), StreamMuxerBox::new(muxer)),
            Either::Right(muxer) => (of_mplex(&self.limits), StreamMuxerBox::new(muxer)),
        };
        let room = self.take(most, end.is_dialer())?;
        Ok(StreamMuxerBox::new(Held { muxer, _room: room }))
    }

    fn take(&self, most: usize, is_ours: bool) -> io::Result<OwnedSemaphorePermit> {
        let rooms = if is_ours { &self.ours } else { &self.theirs };
        let room = rooms.clone().try_acquire_many_owned(kib(most));
        room.map_err(|_| io::Error::new(io::ErrorKind::QuotaExceeded, FULL))
    }
}

impl StreamMuxer for Held {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.muxer).poll_inbound(context)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.muxer).poll_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.muxer).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.muxer).poll(context)
    }
}

/// Most that a connection with yamux holds unread, bytes: a window of each stream.
fn of_yamux(limits: &Limits) -> usize {
    limits.streams_per_connection * (256 << 10)
}

/// Most that a connection with mplex holds unread, bytes: of each stream a frame that is being read and one that waits,
/// one more of the stream that stops the connection by it, and two for the one that is arriving.
fn of_mplex(limits: &Limits) -> usize {
    (mplex_streams(limits) * 2 + 3) * LARGEST_FRAME
}

/// Streams on a connection with mplex.
pub(super) fn mplex_streams(limits: &Limits) -> usize {
    limits.streams_per_connection.min(16)
}

/// Of mplex, bytes.
const LARGEST_FRAME: usize = 1 << 20;

/// Why a connection is refused.
const FULL: &str = "there are too many connections";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x20_connections_take_what_they_may_hold_and_theirs_nothing_from_ours() {
        let limits = Limits::default();
        let (rooms, mplex) = (Rooms::new(&limits), of_mplex(&limits));
        assert_eq!((mplex, of_yamux(&limits)), (35 << 20, 8 << 20));
        let mut held = Vec::new();
        while let Ok(room) = rooms.take(mplex, false) {
            held.push(room);
        }
        assert_eq!(held.len(), limits.unread_bytes / mplex);
        assert!(rooms.take(mplex, true).is_ok(), "a node is not kept from peers by strangers");
        held.pop();
        assert!(rooms.take(mplex, false).is_ok());
    }
}
