//! Cuts off readers that do not read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// A connection whose writes fail once nothing was taken for `patience`.
///
/// Time counts only while something is to be written: who waits for an event does not stall.
pub(super) struct Guarded<T> {
    io: T,
    patience: Duration,
    /// When it is over, none while nothing waits to be written.
    end: Option<Pin<Box<Sleep>>>,
}

impl<T> Guarded<T> {
    pub(super) const fn new(io: T, patience: Duration) -> Self {
        Self { io, patience, end: None }
    }

    fn watched<R>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if done.is_ready() {
            self.end = None;
            return done;
        }
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        ready!(end.as_mut().poll(cx));
        let cause = format!("the reader took nothing for {patience:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, cause)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watched(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watched(cx, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn x20_only_a_reader_that_takes_nothing_is_cut_off() {
        const PATIENCE: Duration = Duration::from_millis(100);
        let (near, mut far) = duplex(4);
        let mut near = Guarded::new(near, PATIENCE);
        near.write_all(b"four").await.unwrap();
        // Nothing is to be written meanwhile.
        tokio::time::sleep(3 * PATIENCE).await;
        let mut read = [0; 8];
        let (written, taken) = tokio::join!(near.write_all(b"more"), far.read_exact(&mut read));
        written.unwrap();
        taken.unwrap();
        let cut = near.write_all(b"much more").await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        assert!(cut.to_string().contains("100ms"), "{cut}");
    }
}
