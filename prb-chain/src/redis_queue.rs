//! A trader of its own, reached through Redis.
//!
//! [`RedisSink`] is a [`TxSink`](prb_core::port::TxSink) whose every call is an entry of a stream; [`TraderService`] reads
//! the entries as a consumer group, asks its [`Trader`](crate::trader::Trader), and answers on a stream of the asker.
//! Nothing in Redis is authoritative: what is lost there is asked again, jobs by the same id, and what became of a job is
//! in the trader's journal alone. So Redis needs no persistence and may be flushed at any moment.
//!
//! A [`Lease`] per role keeps a second lifecycle and a second trader of one namespace standing by. It is the first line
//! only; what may never happen twice is fenced by the journal, the nonce, and the wait of whoever takes over from a
//! trader with another journal, or finds a Redis that does not say whose journal was in use last.
//!
//! Keys, below the namespace: `asks` (stream, group `trader`), `answers:ASKER` (streams, which expire), `lease:ROLE`,
//! `journal` (the journal of the trader that was last at work).

mod lease;
mod look;
mod service;
mod sink;
mod wire;

pub use lease::{Lease, Standing};
pub use look::{Look, about};
pub use service::{ServiceOptions, TraderService};
pub use sink::RedisSink;

use ::redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, aio::MultiplexedConnection};
use std::{fmt, time::Duration};

/// How long Redis may take for an answer, or a connection.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long a read waits for entries on the side of Redis.
const BLOCK: Duration = Duration::from_secs(2);

/// Pauses before Redis is asked again.
const PACE: prb_core::backoff::Pace =
    prb_core::backoff::Pace { first: Duration::from_millis(100), longest: Duration::from_secs(2) };

/// A namespace in a Redis server: one lifecycle and one trader work in it at a time.
#[derive(Clone)]
pub struct Space {
    client: Client,
    name: String,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("Space").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSpace {
    /// The address is none.
    #[error(
        "not the address of a Redis server: {0}; write redis://127.0.0.1:6379 or redis://:password@host:6379/0"
    )]
    Address(String),
    /// The name is none.
    #[error("a namespace is 1 to 64 letters, digits, '-', '_' or '.', not {0:?}")]
    Name(String),
}

impl Space {
    /// The namespace `name` of the server at `url`. Nothing is connected yet.
    pub fn new(url: &str, name: &str) -> Result<Self, BadSpace> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(BadSpace::Name(name.to_owned()));
        }
        let client = Client::open(url).map_err(|error| BadSpace::Address(error.to_string()))?;
        Ok(Self { client, name: name.to_owned() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fails, with what to do about it, unless the server lets us in as it must for everything else here.
    pub async fn ping(&self) -> Result<(), String> {
        let said = async {
            let mut connection = self.writer().await?;
            ::redis::cmd("PING").query_async::<()>(&mut connection).await
        };
        said.await.map_err(|error: RedisError| {
            let is_refusal = error.kind() == ErrorKind::AuthenticationFailed || is_refusal(error.code());
            let remedy =
                if is_refusal { REFUSED } else { "check the address and that the Redis server runs" };
            format!("{error}; {remedy}")
        })
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.name)
    }

    fn lease(&self, role: &str) -> String {
        self.key(&format!("lease:{role}"))
    }

    fn asks(&self) -> String {
        self.key("asks")
    }

    fn answers(&self, asker: &str) -> String {
        self.key(&format!("answers:{asker}"))
    }

    /// A connection that reads entries as they come.
    async fn reader(&self) -> Result<MultiplexedConnection, RedisError> {
        self.connect(BLOCK + DEADLINE).await
    }

    /// A connection for everything that is answered at once.
    async fn writer(&self) -> Result<MultiplexedConnection, RedisError> {
        self.connect(DEADLINE).await
    }

    async fn connect(&self, patience: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(patience));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// What to do where a server does not let us in.
const REFUSED: &str =
    "write the user and password that it wants, like redis://user:password@host or redis://:password@host";

/// Whether a code of Redis says that it does not let us in.
fn is_refusal(code: Option<&str>) -> bool {
    matches!(code, Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

/// Sixteen random bytes, as hex.
fn random_name() -> String {
    hex::encode(random())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness the time and the process tell lives apart.
        let now = crate::journal::now().to_le_bytes();
        bytes[..8].copy_from_slice(&now);
        bytes[8..12].copy_from_slice(&std::process::id().to_le_bytes());
    }
    bytes
}

/// Tells once that Redis is gone and once that it is back.
#[derive(Debug)]
struct Health {
    role: &'static str,
    /// None before the first answer.
    up: Option<bool>,
}

impl Health {
    const fn new(role: &'static str) -> Self {
        Self { role, up: None }
    }

    fn up(&mut self) {
        if self.up.replace(true) == Some(false) {
            tracing::info!(role = self.role, "redis answers again");
        }
        metrics::gauge!("prb_redis_up", "role" => self.role).set(1.0);
    }

    fn down(&mut self, cause: &RedisError) {
        if self.up.replace(false) != Some(false) {
            tracing::warn!(role = self.role, %cause, "redis is not reachable, trying again");
        }
        metrics::gauge!("prb_redis_up", "role" => self.role).set(0.0);
        metrics::counter!("prb_redis_failures_total", "role" => self.role).increment(1);
    }
}
