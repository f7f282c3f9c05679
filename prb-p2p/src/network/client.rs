//! Calls of ours.

use super::{
    Answer, CallError, Limits, Peer,
    frame::{self, kib},
    meter,
    seats::Seats,
    streams::{Opened, Refused, Reply},
};
use crate::{
    message::{RequestWrapper, ResponseError, ResponseWrapper, SystemInfo},
    method::{Method, SMALL_ANSWER},
};
use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use prost::Message as _;
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Makes calls on streams that the node opens for it.
pub(super) struct Client {
    pub(super) wanted: mpsc::Sender<Wanted>,
    pub(super) seats: Arc<Seats>,
    /// For answers that are not small, KiB.
    pub(super) room: Arc<Semaphore>,
    pub(super) limits: Limits,
    pub(super) stop: CancellationToken,
}

/// A stream somebody wants.
pub(super) struct Wanted {
    pub(super) peer: PeerId,
    pub(super) reply: Reply,
}

/// What became of a `Hello`.
pub(super) enum Greeting {
    Told(Peer),
    /// It says it is this one.
    Lied(String),
    Failed(CallError),
}

/// A failure, and whether the peer may have got the call.
struct Failed {
    error: CallError,
    sent: bool,
}

impl Client {
    /// One call. What changes nothing is tried twice, and so is what never left.
    pub(super) async fn call(&self, peer: PeerId, method: &str, data: Bytes) -> Result<Answer, CallError> {
        let outcome = self.ended(timeout(self.limits.call, self.attempts(peer, method, data))).await;
        let outcome = outcome.map(|(answer, _)| answer);
        meter::called(method, &outcome);
        outcome
    }

    /// Asks a peer who it is.
    pub(super) async fn greet(&self, peer: PeerId, me: Bytes) -> Greeting {
        let greeting = async {
            let _seat = self.seats.take(peer).await;
            // Once: its turn comes again, and others wait for theirs.
            self.attempt(peer, Method::Hello.name(), me).await.map_err(|failed| failed.error)
        };
        match self.ended(timeout(self.limits.hello, greeting)).await {
            Err(error) => Greeting::Failed(error),
            Ok((Answer { result: Err(error), .. }, _)) => {
                Greeting::Failed(CallError::BadAnswer(error.to_string()))
            }
            Ok((Answer { result: Ok(told), .. }, address)) => match SystemInfo::decode(told) {
                Ok(told) => Peer::told(peer, &told, &address).map_or_else(Greeting::Lied, Greeting::Told),
                Err(error) => Greeting::Failed(CallError::BadAnswer(error.to_string())),
            },
        }
    }

    async fn ended<T>(
        &self,
        work: impl Future<Output = Result<Result<T, CallError>, tokio::time::error::Elapsed>>,
    ) -> Result<T, CallError> {
        self.stop
            .run_until_cancelled(work)
            .await
            .ok_or(CallError::Stopped)?
            .map_err(|_| CallError::Timeout)?
    }

    async fn attempts(
        &self,
        peer: PeerId,
        method: &str,
        data: Bytes,
    ) -> Result<(Answer, Multiaddr), CallError> {
        let _seat = self.seats.take(peer).await;
        let may_repeat = Method::find(method).is_none_or(|method| !method.manages());
        match self.attempt(peer, method, data.clone()).await {
            Err(Failed { error, sent }) if (may_repeat || !sent) && may_pass(&error) => {
                self.attempt(peer, method, data).await.map_err(|failed| failed.error)
            }
            outcome => outcome.map_err(|failed| failed.error),
        }
    }

    async fn attempt(&self, peer: PeerId, method: &str, data: Bytes) -> Result<(Answer, Multiaddr), Failed> {
        let request = RequestWrapper {
            created_at: Some(frame::timestamp()),
            nonce: Some(frame::nonce()),
            data: Some(data),
            method: Some(method.into()),
        };
        let most = most_of(method, &self.limits);
        // All that it may be, so that no two wait for each other half way.
        let _room = self.room.acquire_many(if most > SMALL_ANSWER { kib(most) } else { 0 }).await;
        let (mut stream, address) = self.open(peer).await.map_err(|error| Failed { error, sent: false })?;
        let sent = |error| Failed { error, sent: true };
        let exchange = async {
            // A peer that does not want all of it may have answered nevertheless.
            let written = frame::write(&mut stream, &request.encode_to_vec()).await;
            match frame::read(&mut stream, most).await {
                Err(frame::Unread::TooLarge) => Err(CallError::TooLarge),
                Err(frame::Unread::Io(error)) => {
                    Err(CallError::Unreachable(written.err().unwrap_or(error).to_string()))
                }
                Ok(bytes) => read(&bytes, request.nonce()).map_err(CallError::BadAnswer),
            }
        };
        let answer = timeout(self.limits.answer, exchange).await.unwrap_or(Err(CallError::Timeout));
        answer.map(|answer| (answer, address)).map_err(sent)
    }

    async fn open(&self, peer: PeerId) -> Result<Opened, CallError> {
        let (reply, opened) = oneshot::channel();
        let asked = async {
            self.wanted.send(Wanted { peer, reply }).await.map_err(|_| CallError::Stopped)?;
            match opened.await {
                Ok(Ok(opened)) => Ok(opened),
                Ok(Err(Refused::Unknown)) => Err(CallError::UnknownPeer),
                Ok(Err(Refused::Failed(reason))) => Err(CallError::Unreachable(reason)),
                Err(_) => Err(CallError::Unreachable("the connection was closed".into())),
            }
        };
        timeout(self.limits.open, asked).await.unwrap_or(Err(CallError::Timeout))
    }
}

/// Most that is read of an answer, bytes.
fn most_of(method: &str, limits: &Limits) -> usize {
    let own = Method::find(method).map_or(usize::MAX, Method::largest_answer);
    own.min(limits.largest_answer)
}

/// Whether it may go better the next time.
fn may_pass(error: &CallError) -> bool {
    matches!(error, CallError::Unreachable(_) | CallError::BadAnswer(_))
}

/// The answer to the call with this nonce. One that is empty, or of another call, is that of a peer whose call failed
/// without its saying so.
fn read(bytes: &Bytes, nonce: &str) -> Result<Answer, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    let answer = ResponseWrapper::decode(bytes.clone()).map_err(|error| error.to_string())?;
    let failed = answer.has_error().then(|| answer.error.clone().unwrap_or_default());
    if answer.request_nonce() != nonce {
        // A peer that could not read the call cannot name it.
        let reason = failed.filter(|_| answer.request_nonce().is_empty()).map(|error| error.to_string());
        return Err(reason.unwrap_or_else(|| "it is the answer to another call".into()));
    }
    Ok(Answer {
        created_at: answer.created_at(),
        request_nonce: nonce.into(),
        nonce: answer.nonce.unwrap_or_default(),
        result: match failed {
            Some(error) => Err(readable(error)),
            None => Ok(answer.data.unwrap_or_default()),
        },
    })
}

/// Without what could break a line of a log.
fn readable(error: ResponseError) -> ResponseError {
    let message = error.message.map(|text| {
        text.chars().filter(|letter| !letter.is_control() || *letter == '\n').take(LONGEST_REASON).collect()
    });
    ResponseError { message, ..error }
}

/// Of an error's text, letters.
const LONGEST_REASON: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ErrorKind;

    fn encoded(answer: &ResponseWrapper) -> Bytes {
        answer.encode_to_vec().into()
    }

    fn good() -> ResponseWrapper {
        ResponseWrapper {
            request_nonce: Some("n".into()),
            data: Some(Bytes::from_static(b"d")),
            ..ResponseWrapper::default()
        }
    }

    #[test]
    fn an_answer_must_repeat_the_nonce() {
        assert_eq!(read(&encoded(&good()), "n").unwrap().result, Ok(Bytes::from_static(b"d")));
        assert!(read(&encoded(&good()), "other").is_err());
        assert!(read(&encoded(&ResponseWrapper { request_nonce: None, ..good() }), "n").is_err());
    }

    #[test]
    fn an_empty_answer_and_garbage_are_no_answers() {
        assert!(read(&Bytes::new(), "n").is_err());
        assert!(read(&Bytes::from_static(b"\xff\xff\xff"), "n").is_err());
    }

    #[test]
    fn an_error_is_one_whatever_else_is_there() {
        let error = Some(ResponseError::new(ErrorKind::NotFound, "not\u{7} here"));
        let answer = ResponseWrapper { has_error: Some(true), error, ..good() };
        let told = read(&encoded(&answer), "n").unwrap().result.unwrap_err();
        assert_eq!((told.kind(), told.message()), (ErrorKind::NotFound, "not here"));
        let unsaid = ResponseWrapper { has_error: Some(true), ..good() };
        assert!(read(&encoded(&unsaid), "n").unwrap().result.is_err());
    }
}
