//! JSON-RPC to one node: deadlines, size caps, bounded load, reconnection, and errors that say what may be done.

mod connect;
mod error;
mod hex;
mod operation;

pub use connect::{Connect, WsConnect};
pub(crate) use error::{Miss, short, without_credentials};
pub use hex::HexBytes;

use futures::{StreamExt, stream::BoxStream};
use prb_core::{
    backoff::{Backoff, Pace},
    id::Hash,
    port::SourceError,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use subxt_rpcs::RpcClient;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, error::Elapsed, timeout},
};

/// Calls that miss their deadline in a row before the connection is given up as dead.
const DEAD_AFTER: u32 = 3;

/// Replies of at least this many bytes are parsed off the async threads.
const PARSE_APART: usize = 256 << 10;

/// How one node is talked to.
#[derive(Clone, Copy, Debug)]
pub struct RpcOptions {
    /// Longest time to wait for an ordinary answer. Typical: 30 s.
    pub answer_timeout: Duration,
    /// Longest time to wait for whole states, long header lists and re-executed blocks. Typical: 5 min.
    pub long_answer_timeout: Duration,
    /// Longest time to wait for a connection. Typical: 10 s.
    pub connect_timeout: Duration,
    /// Largest reply that is accepted, bytes. A whole state takes hundreds of MB. Typical: 1 GiB.
    pub max_reply: u32,
    /// Calls in flight at the same time; more wait. Typical: 32.
    pub in_flight: usize,
    /// Pauses between failed attempts to connect. The first attempt after a break is made at once.
    pub reconnect: Pace,
}

impl Default for RpcOptions {
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(30),
            long_answer_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            max_reply: 1 << 30,
            in_flight: 32,
            reconnect: Pace::default(),
        }
    }
}

/// One question to a node.
#[derive(Clone, Debug)]
pub struct Question {
    /// RPC method.
    pub method: &'static str,
    /// Its positional parameters.
    pub params: Vec<Value>,
    /// What is asked for, in errors: `relay header 123`.
    pub what: String,
    /// Whether the answer may be large and slow.
    pub long: bool,
}

impl Question {
    /// An ordinary question.
    pub fn new(method: &'static str, params: Vec<Value>, what: impl Into<String>) -> Self {
        Self { method, params, what: what.into(), long: false }
    }

    /// The answer may be large and slow.
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }
}

/// Notifications of a subscription; ends when the connection does.
pub type Notifications = BoxStream<'static, Result<Box<RawValue>, SourceError>>;

/// As the transport gives them.
pub(crate) type RawNotifications = BoxStream<'static, Result<Box<RawValue>, subxt_rpcs::Error>>;

/// A node, connected when first asked. Clones share the connection.
///
/// A broken connection is replaced once, by whoever asks next; a call that it took down is repeated once. While a
/// node cannot be reached, calls fail at once until the pause after the last attempt is over.
#[derive(Clone)]
pub struct Rpc(Arc<Inner>);

struct Inner {
    endpoint: String,
    connect: Box<dyn Connect>,
    options: RpcOptions,
    permits: Semaphore,
    link: Mutex<Link>,
    /// [`Link::generation`], to be read without waiting.
    generation: AtomicU64,
    late: AtomicU32,
}

/// The connection and its history.
struct Link {
    client: Option<RpcClient>,
    /// Number of the connection, so that of many who see one break only the first ends it.
    generation: u64,
    backoff: Backoff,
    not_before: Option<(Instant, String)>,
}

impl Rpc {
    /// A node at a `ws://` or `wss://` address.
    pub fn new(url: &str, options: RpcOptions) -> Self {
        Self::named(error::without_credentials(url), url, options)
    }

    /// A node at an address, under another name in errors.
    pub(crate) fn named(endpoint: String, url: &str, options: RpcOptions) -> Self {
        Self::over(endpoint, WsConnect::new(url, &options), options)
    }

    /// A node behind another transport; `endpoint` names it in errors.
    pub fn over(endpoint: impl Into<String>, connect: impl Connect + 'static, options: RpcOptions) -> Self {
        let endpoint = endpoint.into();
        let seed =
            Hash::of(endpoint.as_bytes()).0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let link = Link {
            client: None,
            generation: 0,
            backoff: Backoff::new(options.reconnect, seed),
            not_before: None,
        };
        Self(Arc::new(Inner {
            endpoint,
            connect: Box::new(connect),
            permits: Semaphore::new(options.in_flight.max(1)),
            options,
            link: Mutex::new(link),
            generation: AtomicU64::new(0),
            late: AtomicU32::new(0),
        }))
    }

    /// Name of the node, without credentials.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Number of the last connection, 0 before the first.
    pub(crate) fn connection(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Asks, and reads the answer as `T`.
    pub async fn ask<T>(&self, question: Question) -> Result<T, SourceError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let what = question.what.clone();
        let raw = self.ask_raw(question).await?;
        let parsed = if raw.get().len() < PARSE_APART {
            serde_json::from_str(raw.get()).map_err(|error| error.to_string())
        } else {
            tokio::task::spawn_blocking(move || {
                serde_json::from_str(raw.get()).map_err(|error| error.to_string())
            })
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
        };
        parsed.map_err(|cause| self.bad(what, cause))
    }

    /// Asks for the JSON text of the answer.
    pub async fn ask_raw(&self, question: Question) -> Result<Box<RawValue>, SourceError> {
        let options = &self.0.options;
        let patience = if question.long { options.long_answer_timeout } else { options.answer_timeout };
        let params = serde_json::value::to_raw_value(&question.params)
            .map_err(|error| self.bad(question.what.as_str(), error))?;
        let answer = self.call(question.method, params, patience).await;
        answer.map_err(|miss| error::meaning(&self.0.endpoint, &question, miss))
    }

    /// Calls a method that may be repeated: once more where the connection broke, for then it was perhaps broken
    /// before, and nothing is known about the node.
    pub(crate) async fn call(
        &self,
        method: &str,
        params: Box<RawValue>,
        patience: Duration,
    ) -> Result<Box<RawValue>, Miss> {
        // The semaphore is never closed.
        let _permit = self.0.permits.acquire().await;
        match self.call_once(method, params.clone(), patience).await {
            Err(Miss::Broken(_)) => self.call_once(method, params, patience).await,
            answer => answer,
        }
    }

    async fn call_once(
        &self,
        method: &str,
        params: Box<RawValue>,
        patience: Duration,
    ) -> Result<Box<RawValue>, Miss> {
        let (client, generation) = self.client().await?;
        let answer = timeout(patience, client.request_raw(method, Some(params))).await;
        self.judged(answer, patience, generation).await
    }

    /// Subscribes.
    pub async fn subscribe(
        &self,
        method: &'static str,
        unsubscribe: &'static str,
    ) -> Result<Notifications, SourceError> {
        let subscribed = self.subscribe_once(method, None, unsubscribe, self.0.options.answer_timeout).await;
        let stream = subscribed.map_err(|miss| {
            error::meaning(&self.0.endpoint, &Question::new(method, Vec::new(), method), miss)
        })?;
        let endpoint = self.0.endpoint.clone();
        Ok(stream
            .map(move |item| {
                item.map_err(|error| SourceError::Unreachable {
                    endpoint: endpoint.clone(),
                    what: method.to_owned(),
                    cause: error::short(&error.to_string()),
                })
            })
            .boxed())
    }

    /// Subscribes, and never a second time: some subscriptions do something.
    pub(crate) async fn subscribe_once(
        &self,
        method: &str,
        params: Option<Box<RawValue>>,
        unsubscribe: &str,
        patience: Duration,
    ) -> Result<RawNotifications, Miss> {
        let (client, generation) = self.client().await?;
        let answer = timeout(patience, client.subscribe_raw(method, params, unsubscribe)).await;
        Ok(self.judged(answer, patience, generation).await?.stream)
    }

    /// A complaint about an answer of this node.
    #[allow(clippy::needless_pass_by_value, reason = "an error ends in the words of this one")]
    pub fn bad(&self, what: impl Into<String>, cause: impl ToString) -> SourceError {
        let cause = error::short(&cause.to_string());
        SourceError::Bad { endpoint: self.0.endpoint.clone(), what: what.into(), cause }
    }

    /// This node does not have something (yet).
    pub fn missing(&self, what: impl Into<String>) -> SourceError {
        SourceError::Missing { endpoint: self.0.endpoint.clone(), what: what.into() }
    }

    /// What came of an attempt, and what it says about the connection.
    async fn judged<T>(
        &self,
        answer: Result<Result<T, subxt_rpcs::Error>, Elapsed>,
        patience: Duration,
        generation: u64,
    ) -> Result<T, Miss> {
        match answer {
            Ok(Ok(answer)) => {
                self.0.late.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                let (miss, ends_connection) = Miss::of(error);
                if ends_connection {
                    self.broken(generation).await;
                }
                Err(miss)
            }
            Err(_) => {
                if self.0.late.fetch_add(1, Ordering::Relaxed) + 1 >= DEAD_AFTER {
                    self.broken(generation).await;
                }
                Err(Miss::Late(patience))
            }
        }
    }

    /// The connection, made if there is none.
    async fn client(&self) -> Result<(RpcClient, u64), Miss> {
        let mut link = self.0.link.lock().await;
        if let Some(client) = &link.client {
            return Ok((client.clone(), link.generation));
        }
        if let Some((at, cause)) = &link.not_before
            && Instant::now() < *at
        {
            return Err(Miss::Unreachable(cause.clone()));
        }
        let patience = self.0.options.connect_timeout;
        let connected = match timeout(patience, self.0.connect.connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no connection within {} s", patience.as_secs())),
        };
        match connected {
            Ok(client) => {
                tracing::debug!(endpoint = self.endpoint(), "connected");
                link.client = Some(client.clone());
                link.generation += 1;
                self.0.generation.store(link.generation, Ordering::Release);
                link.backoff.succeeded();
                link.not_before = None;
                self.0.late.store(0, Ordering::Relaxed);
                Ok((client, link.generation))
            }
            Err(cause) => {
                let cause = error::short(&cause);
                let pause = link.backoff.failed();
                tracing::debug!(endpoint = self.endpoint(), cause, ?pause, "cannot connect");
                link.not_before = Some((Instant::now() + pause, cause.clone()));
                Err(Miss::Unreachable(cause))
            }
        }
    }

    async fn broken(&self, generation: u64) {
        let mut link = self.0.link.lock().await;
        if link.generation == generation && link.client.take().is_some() {
            tracing::debug!(endpoint = self.endpoint(), "connection ended");
        }
    }
}
