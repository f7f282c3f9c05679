//! A manager's answer on its way to who asked.

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, Sleep, sleep},
};

/// A body that is passed back as it comes, with an end to its size and to its silence. Who gets it sees that it broke off.
pub(super) struct Passing {
    body: Incoming,
    /// Bytes that may still come.
    left: u64,
    silence: Duration,
    until: Pin<Box<Sleep>>,
    _connection: Connection,
}

/// A connection that is carried on for as long as this is kept.
pub(super) struct Connection(JoinHandle<()>);

impl Connection {
    pub(super) fn drive<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> Self {
        // What goes wrong with it is told by what is read from it.
        Self(tokio::spawn(async move { drop(connection.await) }))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Passing {
    pub(super) fn new(body: Incoming, most: u64, silence: Duration, connection: Connection) -> Self {
        Self { body, left: most, silence, until: Box::pin(sleep(silence)), _connection: connection }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            ready!(this.until.as_mut().poll(cx));
            return Poll::Ready(Some(Err(io::Error::other("the manager fell silent"))));
        };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(io::Error::other)?;
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = this.left.checked_sub(bytes) else {
            return Poll::Ready(Some(Err(io::Error::other("the manager's answer has no end"))));
        };
        this.left = left;
        this.until.as_mut().reset(Instant::now() + this.silence);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
