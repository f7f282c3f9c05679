//! Calls of others.

use super::{
    Caller, Limits, Service, address,
    frame::{self, kib},
    meter,
    peer::clean,
    seats::{Seat, Seats},
    streams::Incoming,
};
use crate::{
    message::{ErrorKind, RequestWrapper, ResponseError, ResponseWrapper},
    method::Method,
};
use bytes::Bytes;
use futures::{AsyncWriteExt as _, FutureExt as _};
use libp2p::{PeerId, Stream, swarm::ConnectionId};
use prost::Message as _;
use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tracing::{debug, error};

/// Answers calls of peers.
pub(super) struct Server {
    service: Arc<dyn Service>,
    /// The answer to `Hello`.
    me: Bytes,
    allowed: Option<BTreeSet<PeerId>>,
    limits: Limits,
    waiting: Arc<Seats>,
    answering: Arc<Seats>,
    closing: Arc<Semaphore>,
    /// For answers on their way, KiB.
    room: Semaphore,
    /// Connections on which a call never ends.
    endless: mpsc::Sender<ConnectionId>,
}

impl Server {
    pub(super) fn new(
        service: Arc<dyn Service>,
        me: Bytes,
        allowed: Option<BTreeSet<PeerId>>,
        limits: &Limits,
        endless: mpsc::Sender<ConnectionId>,
    ) -> Arc<Self> {
        Arc::new(Self {
            service,
            me,
            allowed,
            limits: limits.clone(),
            waiting: Seats::new(limits.waiting, limits.waiting_per_peer),
            answering: Seats::new(limits.answers, limits.answers_per_peer),
            closing: Arc::new(Semaphore::new(MOST_CLOSING)),
            room: Semaphore::new(kib(limits.answer_bytes.max(limits.largest_answer)) as usize),
            endless,
        })
    }

    /// What is to be done with a stream; nothing if there are far too many.
    pub(super) fn accept(
        self: &Arc<Self>,
        incoming: Incoming,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let waiting = self.waiting.try_take(incoming.peer);
        let closing = if waiting.is_none() { self.closing.clone().try_acquire_owned().ok() } else { None };
        if waiting.is_none() {
            meter::answered("", "busy");
            closing.as_ref()?;
        }
        let server = self.clone();
        Some(async move {
            match waiting {
                Some(seat) => server.serve(incoming, seat).await,
                None => close(incoming.stream).await,
            }
            drop(closing);
        })
    }

    async fn serve(&self, Incoming { peer, connection, address, mut stream }: Incoming, _waiting: Seat) {
        let caller = Caller {
            peer,
            is_local: address::is_local(&address),
            is_listed: self.allowed.as_ref().is_some_and(|allowed| allowed.contains(&peer)),
            address,
        };
        let Ok(_seat) = timeout(self.limits.request, self.answering.take(peer)).await else {
            meter::answered("", "busy");
            return close(stream).await;
        };
        let read = timeout(self.limits.request, frame::read(&mut stream, self.limits.largest_request)).await;
        match read {
            Err(_) => {
                debug!(%peer, "a call did not arrive in time");
                meter::answered("", "timeout");
                close(stream).await;
            }
            Ok(Err(frame::Unread::Io(error))) => {
                debug!(%peer, %error, "a call was broken off");
                meter::answered("", "broken_off");
            }
            Ok(Err(frame::Unread::TooLarge)) => {
                let text = format!("a request must not be larger than {} bytes", self.limits.largest_request);
                self.reply(&mut stream, RequestWrapper::default(), failed(text)).await;
                // Its caller reads the answer once all is written. One that never ends is stopped.
                if timeout(self.limits.request, frame::skip(&mut stream)).await.is_err() {
                    debug!(%peer, "a call without end");
                    let _ = self.endless.try_send(connection);
                }
            }
            Ok(Ok(request)) => match RequestWrapper::decode(request) {
                Err(error) => {
                    let text = format!("this is no request: {error}");
                    self.reply(&mut stream, RequestWrapper::default(), failed(text)).await;
                }
                Ok(request) => {
                    let result = self.answer(&caller, &request).await;
                    self.reply(&mut stream, request, result).await;
                }
            },
        }
    }

    async fn reply(
        &self,
        stream: &mut Stream,
        request: RequestWrapper,
        result: Result<Bytes, ResponseError>,
    ) {
        let good = if result.is_ok() { "ok" } else { "error" };
        let size = result.as_ref().map_or(0, Bytes::len);
        let write = async {
            let _room = self.room.acquire_many(kib(size)).await;
            let answer = wrap(request.nonce.unwrap_or_default(), result).encode_to_vec();
            frame::write(stream, &answer).await
        };
        let outcome = match timeout(self.limits.answer, write).await {
            Ok(Ok(())) => good,
            Ok(Err(_)) => "broken_off",
            Err(_) => "timeout",
        };
        meter::answered(request.method.as_deref().unwrap_or_default(), outcome);
    }

    async fn answer(&self, caller: &Caller, request: &RequestWrapper) -> Result<Bytes, ResponseError> {
        let Some(method) = Method::find(request.method()) else {
            return failed(format!("there is no method {:?}", clean(request.method())));
        };
        if method == Method::Hello {
            return Ok(self.me.clone());
        }
        let data = request.data.clone().unwrap_or_default();
        let answer = AssertUnwindSafe(self.service.answer(caller, method, data)).catch_unwind();
        match timeout(self.limits.service, answer).await {
            Ok(Ok(Ok(answer)))
                if answer.len() > self.limits.largest_answer.saturating_sub(LARGEST_WRAPPING) =>
            {
                failed(format!("the answer is larger than {} bytes", self.limits.largest_answer))
            }
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                error!(method = method.name(), "answering a peer panicked; this is a fault of the program");
                failed("answering failed; the log of this node says more".into())
            }
            Err(_) => failed(late(method, self.limits.service)),
        }
    }
}

/// What is told of an answer that takes too long. What was asked for may go on.
fn late(method: Method, within: Duration) -> String {
    let text = format!("there was no answer within {} s", within.as_secs());
    if !method.manages() {
        return text;
    }
    format!("{text}; it may still be done, so look with ListPool or ListWorker before asking again")
}

fn failed(text: String) -> Result<Bytes, ResponseError> {
    Err(ResponseError::new(ErrorKind::Server, text))
}

fn wrap(request_nonce: String, result: Result<Bytes, ResponseError>) -> ResponseWrapper {
    let (data, error) = match result {
        Ok(data) => (Some(data), None),
        Err(error) => (None, Some(error)),
    };
    ResponseWrapper {
        created_at: Some(frame::timestamp()),
        request_nonce: Some(request_nonce),
        nonce: Some(frame::nonce()),
        data,
        has_error: Some(error.is_some()),
        error,
    }
}

/// Ends a stream without an answer. Callers of v2 hang for ever if it is only dropped.
async fn close(mut stream: Stream) {
    // One that does not take even this is dropped.
    let _ = timeout(CLOSING, stream.close()).await;
}

/// Longest time to end a stream.
const CLOSING: Duration = Duration::from_secs(5);

/// Streams that are ended without an answer at once; more are dropped.
const MOST_CLOSING: usize = 256;

/// What is around an answer, bytes: a nonce may be as long as a request, but those are of our size.
const LARGEST_WRAPPING: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_still_be_done_is_to_be_looked_for_before_it_is_asked_again() {
        let within = Duration::from_secs(60);
        assert_eq!(late(Method::ListPool, within), "there was no answer within 60 s");
        let text = late(Method::CreatePool, within);
        assert!(text.contains("may still be done") && text.contains("ListPool or ListWorker"), "{text}");
    }
}
