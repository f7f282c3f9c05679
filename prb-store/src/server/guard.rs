//! Cuts off readers that do not read.

use super::session::Session;
use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// A connection whose writes fail once fewer than `least` bytes were taken within `window`.
///
/// Time counts only while something is to be written, so waiting for a request is no stall.
pub(super) struct Guarded<T> {
    io: T,
    /// What was read already to learn which protocol it is.
    begun: Vec<u8>,
    session: Arc<Session>,
    window: Duration,
    least: u64,
    /// End of the present window, none while nothing waits to be written.
    end: Option<Pin<Box<Sleep>>>,
    taken: u64,
}

impl<T> Guarded<T> {
    pub(super) fn new(
        io: T,
        begun: Vec<u8>,
        session: Arc<Session>,
        (window, least): (Duration, u64),
    ) -> Self {
        let window = window.max(Duration::from_millis(1));
        Self { io, begun, session, window, least, end: None, taken: 0 }
    }

    /// Fails when a window ends without enough taken; called while the peer does not take more.
    fn check(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let window = self.window;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + window)));
        loop {
            ready!(end.as_mut().poll(cx));
            if self.taken < self.least {
                let cause = format!("the reader took {} bytes in {window:?}", self.taken);
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, cause));
            }
            self.taken = 0;
            end.as_mut().reset(Instant::now() + window);
        }
    }

    fn watched<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match written {
            Poll::Pending => self.check(cx).map(Err),
            done => done,
        }
    }

    fn count(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.taken += *bytes as u64;
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.begun.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        } else {
            let some = buf.remaining().min(self.begun.len());
            buf.put_slice(&self.begun[..some]);
            self.begun.drain(..some);
        }
        let read = buf.filled().len() - before;
        self.session.read.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.count(&written);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.count(&written);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() {
            (self.end, self.taken) = (None, 0);
        }
        self.watched(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watched(cx, ended)
    }
}
