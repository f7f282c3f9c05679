//! Posting to one address, from a bounded queue.

use super::Address;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use prb_core::{
    Bytes,
    backoff::{Backoff, Pace},
    fault::described,
};
use prb_worker::{Connect, Tcp};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tracing::{info, warn};

/// Pauses after an attempt that failed.
const PACE: Pace = Pace { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

/// Most bytes of an answer that are read: only its status counts.
const MAX_ANSWER: usize = 1 << 16;

/// How something is delivered.
pub(super) struct Delivery {
    pub(super) connector: Arc<Tcp>,
    pub(super) token: Option<Arc<(HeaderName, HeaderValue)>>,
    /// Longest time of an attempt.
    pub(super) timeout: Duration,
    /// How often something is tried.
    pub(super) attempts: u32,
}

/// One that waits.
struct Letter {
    to: Address,
    body: Bytes,
    /// What it is about, if a later one about the same replaces it.
    about: Option<String>,
}

/// What waits to be posted.
#[derive(Clone)]
pub(super) struct Outlet(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
    most: usize,
}

#[derive(Default)]
struct Queue {
    letters: VecDeque<Letter>,
    closed: bool,
    /// Something was dropped since it was empty.
    drops: bool,
}

/// Why an attempt failed.
enum Failure {
    /// Another attempt may do.
    Again(String),
    /// None will.
    Final(String),
}

impl Outlet {
    /// An empty one, and the task that delivers what is put into it until it is closed.
    pub(super) fn start(delivery: Delivery, most: usize) -> (Self, JoinHandle<()>) {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Notify::new(), most });
        let outlet = Self(shared.clone());
        (outlet, tokio::spawn(delivery.run(shared)))
    }

    /// Puts something into the queue, at the cost of the oldest where it is full.
    pub(super) fn push(&self, to: Address, body: Bytes, about: Option<String>) {
        let mut queue = self.0.queue();
        if about.is_some() {
            queue.letters.retain(|letter| letter.about != about);
        }
        if queue.letters.len() >= self.0.most {
            queue.letters.pop_front();
            metrics::counter!("prb_notify_dropped_total", "reason" => "full").increment(1);
            if !std::mem::replace(&mut queue.drops, true) {
                warn!(
                    %to,
                    queue = self.0.most,
                    "notifications wait for who listens there, and more come: the oldest are dropped, and only counted; check \
                     who listens, or raise notify.queue"
                );
            }
        }
        queue.letters.push_back(Letter { to, body, about });
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.0.queue().closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one, none once it is closed and empty.
    async fn next(&self) -> Option<Letter> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(letter) = queue.letters.pop_front() {
                    queue.drops &= !queue.letters.is_empty();
                    return Some(letter);
                }
                if queue.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}

impl Delivery {
    async fn run(self, shared: Arc<Shared>) {
        // The same words for every letter would bury the others.
        let mut told = false;
        while let Some(letter) = shared.next().await {
            let to = letter.to.to_string();
            match self.deliver(&letter).await {
                Ok(()) => {
                    metrics::counter!("prb_notify_sent_total", "to" => to.clone()).increment(1);
                    if std::mem::take(&mut told) {
                        info!(to, "notifications are delivered again");
                    }
                }
                Err(cause) => {
                    metrics::counter!("prb_notify_dropped_total", "reason" => "failed").increment(1);
                    if !std::mem::replace(&mut told, true) {
                        warn!(
                            to,
                            cause, "a notification is not delivered; check [notify] and who listens there"
                        );
                    }
                }
            }
        }
    }

    async fn deliver(&self, letter: &Letter) -> Result<(), String> {
        let mut backoff = Backoff::new(PACE, letter.body.len() as u64);
        loop {
            let late = || Err(Failure::Again(format!("no answer within {} s", self.timeout.as_secs())));
            let cause = match timeout(self.timeout, self.post(letter)).await.unwrap_or_else(|_| late()) {
                Ok(()) => return Ok(()),
                Err(Failure::Final(cause)) => return Err(cause),
                Err(Failure::Again(cause)) => cause,
            };
            metrics::counter!("prb_notify_failures_total", "to" => letter.to.to_string()).increment(1);
            let pause = backoff.failed();
            if backoff.failures() >= self.attempts {
                return Err(cause);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt, on a connection of its own.
    async fn post(&self, letter: &Letter) -> Result<(), Failure> {
        let again = |error: hyper::Error| Failure::Again(described(&error));
        let to = &letter.to;
        let stream = self.connector.connect(&to.endpoint).await;
        let stream = stream.map_err(|error| Failure::Again(error.to_string()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(again)?;
        let mut request = Request::post(&to.path)
            .header(HOST, &to.authority)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("prb/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(letter.body.clone()))
            .map_err(|error| Failure::Final(error.to_string()))?;
        if let Some((name, value)) = self.token.as_deref() {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let exchange = async {
            let (parts, body) = sender.send_request(request).await.map_err(again)?.into_parts();
            // Read so that the other side sees its answer taken; what it says does not matter.
            let _ = Limited::new(body, MAX_ANSWER).collect().await;
            accepted(parts.status)
        };
        // The connection does its work here, and ends with this call.
        let (mut connection, mut exchange) = (std::pin::pin!(connection), std::pin::pin!(exchange));
        let mut is_open = true;
        loop {
            tokio::select! {
                biased;
                answer = &mut exchange => return answer,
                _ = &mut connection, if is_open => is_open = false,
            }
        }
    }
}

/// Whether an answer says that it was taken; if not, whether asking again may help.
fn accepted(status: StatusCode) -> Result<(), Failure> {
    let cause = format!("status {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(Failure::Again(cause))
        }
        status if status.is_server_error() => Err(Failure::Again(cause)),
        _ => Err(Failure::Final(cause)),
    }
}
