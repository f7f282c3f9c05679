//! [`PrpcDriver`].

mod outcome;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use prb_core::{
    fault::described,
    handover::{Challenge, ChallengeResponse, Means, SealedKey},
    id::{AccountId, Height},
    port::KeyHandover,
    port::worker::{
        BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest, RuntimeInfo, SignedEndpoints,
        WorkerDriver, WorkerError, WorkerInfo,
    },
    types::message::EgressMessages,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::debug;

use crate::{
    connect::{Connect, Tcp},
    endpoint::{BadEndpoint, Endpoint},
    exchange::{Connection, Failure, Reply},
    method::{self, Method},
    options::Options,
    reply::{self, BadReply},
    request::{self, Body},
};

/// Drives one worker over pRPC.
///
/// Calls wait in line, first come first served; a call's deadline starts with its turn. One connection is kept and
/// used again while it is younger than [`Options::idle_reuse`]; a call that ends in an error, or whose future is
/// dropped, takes its connection with it.
pub struct PrpcDriver {
    endpoint: Endpoint,
    options: Options,
    connector: Arc<dyn Connect>,
    /// The turn, and the idle connection that goes with it.
    line: Mutex<Option<Connection>>,
}

impl PrpcDriver {
    /// A driver for the worker at `endpoint` (`http[s]://host[:port][/base]`). Nothing is connected yet.
    pub fn new(endpoint: &str, options: Options) -> Result<Self, BadEndpoint> {
        Self::with_connector(endpoint, options, Arc::new(Tcp::default()))
    }

    /// A driver that gets its connections from `connector`.
    pub fn with_connector(
        endpoint: &str,
        options: Options,
        connector: Arc<dyn Connect>,
    ) -> Result<Self, BadEndpoint> {
        Ok(Self { endpoint: endpoint.parse()?, options, connector, line: Mutex::new(None) })
    }

    /// Makes one call when its turn comes, and counts how it ended.
    async fn call<T>(
        &self,
        method: Method,
        body: Body,
        read: impl FnOnce(Bytes) -> Result<T, BadReply>,
    ) -> Result<T, WorkerError> {
        let answer = self.exchange(method, body).await.and_then(|body| {
            read(body).map_err(|bad| WorkerError::BadReply {
                endpoint: self.endpoint(),
                method: method.name,
                cause: bad.to_string(),
            })
        });
        let result = answer.as_ref().map_or_else(WorkerError::kind, |_| "ok");
        metrics::counter!("prb_worker_calls_total", "method" => method.name, "result" => result).increment(1);
        if let Err(cause) = &answer {
            debug!(endpoint = %self.endpoint, method = method.name, result, %cause, "call failed");
        }
        answer
    }

    /// The body of a 200 reply, or what else happened.
    async fn exchange(&self, method: Method, body: Body) -> Result<Bytes, WorkerError> {
        let mut idle = self.line.lock().await;
        let started = Instant::now();
        let deadline = method.deadline(&self.options);
        let size = body.len();
        let (reply, connection) = timeout(deadline, Box::pin(self.perform(method, body, idle.take())))
            .await
            .map_err(|_| outcome::timed_out(&self.endpoint, method, deadline))?
            .map_err(|broken| match broken {
                Broken::Connect(cause) => WorkerError::Unreachable { endpoint: self.endpoint(), cause },
                Broken::Exchange(failure) => {
                    outcome::failed(&self.endpoint, method, failure, started.elapsed())
                }
            })?;
        debug!(
            endpoint = %self.endpoint,
            method = method.name,
            status = reply.status.as_u16(),
            sent = size,
            received = reply.body.len(),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "called"
        );
        *idle = connection;
        outcome::of(&self.endpoint, method, size, reply)
    }

    /// One exchange, on `idle` if that is still good, else on a connection of its own.
    async fn perform(
        &self,
        method: Method,
        body: Body,
        idle: Option<Connection>,
    ) -> Result<(Reply, Option<Connection>), Broken> {
        let path = self.endpoint.path(method.name);
        let cap = method.reply_cap(&self.options);
        let rate = &self.options.minimum_rate;
        // `Stop` succeeds when the connection breaks, so it must not meet one that is about to break anyway.
        let idle = idle.filter(|connection| {
            method.name != method::STOP.name && connection.reusable(self.options.idle_reuse)
        });
        if let Some(connection) = idle {
            match connection.exchange(&self.endpoint, &path, body.clone(), cap, rate).await {
                Err(Failure::Unsent) => {}
                // The worker closed the idle connection just as we wrote. For a call that changes nothing it does
                // not matter whether it was seen.
                Err(Failure::NoReply(cause)) if method.repeatable => {
                    debug!(endpoint = %self.endpoint, method = method.name, cause, "asking again on a new connection");
                }
                other => return Ok(other?),
            }
        }
        let connection = self.connect().await.map_err(Broken::Connect)?;
        Ok(connection.exchange(&self.endpoint, &path, body, cap, rate).await?)
    }

    async fn connect(&self) -> Result<Connection, String> {
        let limit = self.options.connect_timeout;
        match timeout(limit, self.connector.connect(&self.endpoint)).await {
            Ok(Ok(stream)) => Connection::new(stream).await,
            Ok(Err(error)) => Err(described(&error)),
            Err(_) => Err(format!("no connection within {} s", limit.as_secs_f64())),
        }
    }
}

impl fmt::Debug for PrpcDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrpcDriver").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[async_trait]
impl WorkerDriver for PrpcDriver {
    async fn info(&self) -> Result<WorkerInfo, WorkerError> {
        self.call(method::GET_INFO, request::empty(), |body| reply::info(&body)).await
    }

    async fn init(&self, request: InitRequest) -> Result<RuntimeInfo, WorkerError> {
        self.call(method::INIT_RUNTIME, request::init(request), reply::runtime_info).await
    }

    async fn sync_headers(&self, request: HeadersRequest) -> Result<Option<Height>, WorkerError> {
        self.call(method::SYNC_HEADER, request::headers(request), |body| reply::synced_to(&body)).await
    }

    async fn sync_para_headers(&self, request: ParaHeadersRequest) -> Result<Option<Height>, WorkerError> {
        self.call(method::SYNC_PARA_HEADER, request::para_headers(request), |body| reply::synced_to(&body))
            .await
    }

    async fn sync_combined(
        &self,
        headers: HeadersRequest,
        para: ParaHeadersRequest,
    ) -> Result<(Option<Height>, Option<Height>), WorkerError> {
        self.call(method::SYNC_COMBINED_HEADERS, request::combined(headers, para), |body| {
            reply::headers_synced_to(&body)
        })
        .await
    }

    async fn dispatch(&self, blocks: Vec<BlockItem>) -> Result<Option<Height>, WorkerError> {
        self.call(method::DISPATCH_BLOCKS, request::blocks(blocks), |body| reply::synced_to(&body)).await
    }

    async fn load_chain_state(&self, block: Height, state: Bytes) -> Result<(), WorkerError> {
        self.call(method::LOAD_CHAIN_STATE, request::chain_state(block, state), |_| Ok(())).await
    }

    async fn runtime_info(
        &self,
        refresh: bool,
        operator: Option<AccountId>,
    ) -> Result<RuntimeInfo, WorkerError> {
        self.call(method::GET_RUNTIME_INFO, request::runtime_info(refresh, operator), reply::runtime_info)
            .await
    }

    async fn egress_messages(&self) -> Result<EgressMessages, WorkerError> {
        let method = method::GET_EGRESS_MESSAGES;
        let budget = method.reply_cap(&self.options);
        self.call(method, request::empty(), |body| reply::egress_messages(body, budget)).await
    }

    async fn sign_endpoints(&self, endpoints: Vec<String>) -> Result<SignedEndpoints, WorkerError> {
        self.call(method::SIGN_ENDPOINT_INFO, request::endpoints(&endpoints), reply::signed_endpoints).await
    }

    async fn take_checkpoint(&self) -> Result<Height, WorkerError> {
        self.call(method::TAKE_CHECKPOINT, request::empty(), |body| reply::checkpoint(&body)).await
    }

    async fn stop(&self, remove_checkpoints: bool) -> Result<(), WorkerError> {
        match self.call(method::STOP, request::stop(remove_checkpoints), |_| Ok(())).await {
            Ok(()) | Err(WorkerError::Broken { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }
}

#[async_trait]
impl KeyHandover for PrpcDriver {
    async fn create_challenge(&self, means: Means) -> Result<Challenge, WorkerError> {
        let method = method::handover(means).create_challenge;
        self.call(method, request::empty(), |body| reply::challenge(means, body)).await
    }

    async fn accept_challenge(&self, challenge: Challenge) -> Result<ChallengeResponse, WorkerError> {
        let Challenge { means, encoded } = challenge;
        let method = method::handover(means).accept_challenge;
        self.call(method, request::handover(encoded, None), |body| reply::challenge_response(means, body))
            .await
    }

    async fn start_handover(&self, response: ChallengeResponse) -> Result<SealedKey, WorkerError> {
        let ChallengeResponse { means, encoded, evidence } = response;
        let method = method::handover(means).start;
        self.call(method, request::handover(encoded, evidence), |body| reply::sealed_key(means, body)).await
    }

    async fn receive_key(&self, key: SealedKey) -> Result<(), WorkerError> {
        let SealedKey { means, encoded, evidence } = key;
        self.call(method::handover(means).receive, request::handover(encoded, evidence), |_| Ok(())).await
    }
}

/// Where a call broke.
enum Broken {
    Connect(String),
    Exchange(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Exchange(failure)
    }
}
