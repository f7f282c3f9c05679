//! One request and its reply over one HTTP/1.1 connection, capped and watched.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    vec,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    Request, StatusCode,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use prb_core::fault::described;
use tokio::{
    task::AbortHandle,
    time::{Duration, Instant, timeout, timeout_at},
};

use crate::{connect::Stream, endpoint::Endpoint, options::MinimumRate, request::Body};

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why nothing usable came back.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection was gone before anything was written; the worker has seen nothing.
    Unsent,
    /// The connection broke before the first byte of a reply: the worker may or may not have acted.
    NoReply(String),
    /// The connection broke inside the reply.
    Cut(String),
    /// Fewer bytes than the minimum moved within a window.
    Stalled,
    /// The reply is larger than its cap, or not HTTP.
    Unusable(String),
}

/// A kept-alive connection. Dropping it closes it, whatever it is doing.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Upload>,
    task: AbortHandle,
    idle_since: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Starts HTTP on a fresh stream.
    pub(crate) async fn new(stream: Box<dyn Stream>) -> Result<Self, String> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| described(&error))?;
        let task = tokio::spawn(async move {
            // The call in flight gets the error; between calls the worker may close as it likes.
            let _ = connection.await;
        });
        Ok(Self { sender, task: task.abort_handle(), idle_since: Instant::now() })
    }

    /// Whether the connection is open and was idle for less than `limit`.
    pub(crate) fn reusable(&self, limit: Duration) -> bool {
        !self.sender.is_closed() && self.idle_since.elapsed() < limit
    }

    /// Sends one request and reads the whole reply, at most `cap` bytes of it. The connection comes back if another
    /// request may follow on it.
    pub(crate) async fn exchange(
        mut self,
        endpoint: &Endpoint,
        path: &str,
        body: Body,
        cap: usize,
        rate: &MinimumRate,
    ) -> Result<(Reply, Option<Self>), Failure> {
        let total = body.len();
        let handed_over = Arc::new(AtomicU64::new(0));
        let request = request(endpoint, path, Upload::new(body, handed_over.clone()));
        if self.sender.ready().await.is_err() {
            return Err(Failure::Unsent);
        }
        let mut sending = pin!(self.sender.try_send_request(request));
        let mut before = 0;
        let response = loop {
            match timeout(window(rate), &mut sending).await {
                Ok(Ok(response)) => break response,
                Ok(Err(mut error)) => {
                    if error.take_message().is_some() {
                        return Err(Failure::Unsent);
                    }
                    let error = error.into_error();
                    return Err(if error.is_parse() {
                        Failure::Unusable(format!("what is not HTTP/1.1: {}", described(&error)))
                    } else {
                        Failure::NoReply(described(&error))
                    });
                }
                // Once everything is handed over the worker may take its time, up to the deadline.
                Err(_) => {
                    let now = handed_over.load(Ordering::Relaxed);
                    if now < total && now - before < rate.bytes {
                        return Err(Failure::Stalled);
                    }
                    before = now;
                }
            }
        };
        let status = response.status();
        let body = read(response.into_body(), cap, rate).await?;
        // A worker that answers before it has read the request leaves the connection in the middle of it.
        let complete = handed_over.load(Ordering::Relaxed) == total;
        self.idle_since = Instant::now();
        Ok((Reply { status, body }, complete.then_some(self)))
    }
}

fn request(endpoint: &Endpoint, path: &str, body: Upload) -> Request<Upload> {
    Request::post(path)
        .header(HOST, endpoint.authority())
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, body.left)
        .body(body)
        .expect("path and authority come out of a parsed URI, the rest is constant")
}

async fn read(mut body: Incoming, cap: usize, rate: &MinimumRate) -> Result<Bytes, Failure> {
    let too_large = || Failure::Unusable(format!("more than {cap} bytes"));
    if body.size_hint().lower() > cap as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    let mut window_end = Instant::now() + window(rate);
    let mut in_window = 0;
    loop {
        match timeout_at(window_end, body.frame()).await {
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                if data.len() > cap - whole.len() {
                    return Err(too_large());
                }
                in_window += data.len() as u64;
                whole.extend_from_slice(&data);
            }
            Ok(Some(Err(error))) => return Err(Failure::Cut(described(&error))),
            Err(_) if in_window < rate.bytes => return Err(Failure::Stalled),
            Err(_) => {
                window_end = Instant::now() + window(rate);
                in_window = 0;
            }
        }
    }
}

/// The rate's window; one of no length would never let time pass.
fn window(rate: &MinimumRate) -> Duration {
    rate.window.max(Duration::from_millis(1))
}

/// A request body on its way, in slices of the shared parts.
struct Upload {
    parts: vec::IntoIter<Bytes>,
    current: Bytes,
    left: u64,
    handed_over: Arc<AtomicU64>,
}

impl Upload {
    /// Largest slice handed over at once, so that progress on a large part is seen.
    const SLICE: usize = 64 << 10;

    fn new(body: Body, handed_over: Arc<AtomicU64>) -> Self {
        let left = body.len();
        Self { parts: body.into_parts().into_iter(), current: Bytes::new(), left, handed_over }
    }

    fn next_slice(&mut self) -> Option<Bytes> {
        if self.current.is_empty() {
            self.current = self.parts.next()?;
        }
        let slice = self.current.split_to(self.current.len().min(Self::SLICE));
        self.left -= slice.len() as u64;
        self.handed_over.fetch_add(slice.len() as u64, Ordering::Relaxed);
        Some(slice)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_slice().map(|slice| Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::port::worker::BlockItem;

    #[test]
    fn large_parts_leave_as_slices_of_the_same_memory() {
        let changes = Bytes::from(vec![7; 3 * Upload::SLICE + 5]);
        let from = changes.as_ptr() as usize;
        let header = Bytes::from_static(b"header");
        let body =
            crate::request::blocks(vec![BlockItem { header: header.clone(), changes: changes.clone() }]);
        let total = body.len();
        let handed_over = Arc::new(AtomicU64::new(0));
        let mut upload = Upload::new(body, handed_over.clone());

        let slices: Vec<_> = std::iter::from_fn(|| upload.next_slice()).collect();

        assert!(slices.iter().any(|slice| slice.as_ptr() == header.as_ptr()));
        let mut at = from;
        for slice in
            slices.iter().filter(|slice| (from..from + changes.len()).contains(&(slice.as_ptr() as usize)))
        {
            assert_eq!(slice.as_ptr() as usize, at);
            at += slice.len();
        }
        assert_eq!(at, from + changes.len());
        assert!(upload.is_end_stream());
        assert_eq!(handed_over.load(Ordering::Relaxed), total);
    }
}
