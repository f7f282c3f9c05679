//! Who is at work in a namespace.

use super::{Health, PACE, Space, random_name};
use ::redis::{RedisError, aio::MultiplexedConnection};
use prb_core::backoff::Backoff;
use std::time::Duration;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

/// Takes the lease if it is free, keeps it if it is ours; answers who holds it.
const HOLD: &str = "local held = redis.call('GET', KEYS[1]) \
    if not held then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return ARGV[1] end \
    if held == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
    return held";

/// Gives the lease back if it is ours.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0";

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has answered yet.
    Asking,
    /// It is ours.
    Held,
    /// Another has it.
    Other(String),
    /// It was ours, and Redis is out of reach for so long that another may have it.
    Doubtful,
}

/// A lease: who holds it is at work, everybody else stands by and takes over when it ends.
///
/// Best effort: a process that is stopped for longer than the lease does not know that it lost it. What must never
/// happen twice has to be safe without it.
#[derive(Debug)]
pub struct Lease {
    space: Space,
    key: String,
    token: String,
    standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Seeks the lease of `role` from now on, and keeps it for `ttl` at a time. Shorter takes over sooner, longer
    /// survives longer pauses. Typical: 10 s.
    pub fn seek(space: &Space, role: &'static str, ttl: Duration) -> Self {
        let token = format!("{role} of process {} ({})", std::process::id(), random_name());
        let key = space.lease(role);
        let (tell, standing) = watch::channel(Standing::Asking);
        let keeper = Keeper {
            space: space.clone(),
            role,
            key: key.clone(),
            token: token.clone(),
            ttl,
            renewed: None,
            tell,
        };
        let task = tokio::spawn(keeper.run());
        Self { space: space.clone(), key, token, standing, task }
    }

    /// How things stand, and how they change.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Gives it back, so that whoever stands by need not wait for its end.
    pub async fn release(self) {
        self.task.abort();
        let Ok(mut connection) = self.space.writer().await else { return };
        let mut release = ::redis::cmd("EVAL");
        release.arg(RELEASE).arg(1).arg(&self.key).arg(&self.token);
        // Else it ends by itself.
        let _: Result<(), RedisError> = release.query_async(&mut connection).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    space: Space,
    role: &'static str,
    key: String,
    token: String,
    ttl: Duration,
    /// When it was last known to be ours.
    renewed: Option<Instant>,
    tell: watch::Sender<Standing>,
}

impl Keeper {
    async fn run(mut self) {
        let mut health = Health::new(self.role);
        let mut backoff = Backoff::new(PACE, u64::from(std::process::id()));
        let mut connection = None;
        loop {
            let asked = Instant::now();
            let pause = match self.ask(&mut connection).await {
                Ok(holder) => {
                    health.up();
                    backoff.succeeded();
                    self.heard(asked, holder);
                    self.ttl / 4
                }
                Err(cause) => {
                    health.down(&cause);
                    connection = None;
                    if self.renewed.is_some_and(|at| at.elapsed() >= self.ttl) {
                        self.stand(&Standing::Doubtful);
                    }
                    backoff.failed().min(self.ttl / 4)
                }
            };
            sleep(pause).await;
        }
    }

    async fn ask(&self, connection: &mut Option<MultiplexedConnection>) -> Result<String, RedisError> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.space.writer().await?),
        };
        let mut hold = ::redis::cmd("EVAL");
        hold.arg(HOLD).arg(1).arg(&self.key).arg(&self.token).arg(self.ttl.as_millis() as u64);
        hold.query_async(connection).await
    }

    fn heard(&mut self, asked: Instant, holder: String) {
        if holder == self.token {
            self.renewed = Some(asked);
            self.stand(&Standing::Held);
        } else {
            self.renewed = None;
            self.stand(&Standing::Other(holder));
        }
    }

    /// Tells a change.
    fn stand(&self, standing: &Standing) {
        let (role, namespace) = (self.role, self.space.name());
        let before = self.tell.send_replace(standing.clone());
        metrics::gauge!("prb_redis_lease_held", "role" => role)
            .set(f64::from(u8::from(*standing == Standing::Held)));
        if before == *standing {
            return;
        }
        match standing {
            Standing::Held => tracing::info!(role, namespace, "at work in this namespace"),
            Standing::Other(holder) => {
                metrics::counter!("prb_redis_standing_by_total", "role" => role).increment(1);
                tracing::warn!(
                    role,
                    namespace,
                    holder,
                    "another one is at work in this namespace; standing by"
                );
            }
            Standing::Doubtful => tracing::warn!(
                role,
                namespace,
                "the lease could not be renewed: another one may be at work in this namespace"
            ),
            Standing::Asking => {}
        }
    }
}
