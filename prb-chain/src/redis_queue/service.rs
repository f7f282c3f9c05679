//! The side that answers.

mod takeover;

use super::{
    BLOCK, Health, Lease, PACE, Space, Standing, random,
    wire::{Answer, Ask, Refused},
};
use crate::{journal::JournalError, trader::Trader};
use ::redis::{RedisError, aio::MultiplexedConnection, streams::StreamReadReply};
use codec::{Decode, Encode};
use futures::future::join_all;
use prb_core::{backoff::Backoff, moment::Moment, progress::Causes};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use takeover::Wait;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

/// The consumer group, and its one consumer: the lease lets nobody else read.
pub(super) const GROUP: &str = "trader";

/// Entries taken at once.
const PORTION: usize = 128;

/// Age at which nobody waits for the answer to an entry any more. It is not acted upon then: whoever asked may have
/// asked again, and may know better by now.
const STALE: Duration = Duration::from_secs(30);

/// How long answers are kept for whoever asked.
const KEPT: Duration = Duration::from_secs(60);

/// Answers kept for one asker.
const ANSWERS: usize = 4096;

/// How a trader serves.
#[derive(Clone, Copy, Debug)]
pub struct ServiceOptions {
    /// For how long the lease is kept at a time. Shorter takes over sooner, longer survives longer pauses. Typical: 10 s.
    pub lease: Duration,
    /// How often finality is asked for while it is waited for. Typical: 2 s.
    pub poll: Duration,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10), poll: Duration::from_secs(2) }
    }
}

/// A trader at work in a namespace, or standing by. Without it the trader settles and sends nothing.
#[derive(Debug)]
pub struct TraderService {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    trader: Weak<Trader>,
}

impl TraderService {
    /// Serves the trader in `space`. It sends nothing before the lease is its own.
    pub fn start(space: &Space, trader: Arc<Trader>, options: ServiceOptions) -> Self {
        trader.hold(Some("the lease of the namespace is sought".to_owned()));
        let (stop, stopped) = watch::channel(false);
        let weak = Arc::downgrade(&trader);
        let name = trader.journal().read(|image| image.name()).unwrap_or_else(random);
        let service = Service { space: space.clone(), trader, options, ready: false, name, made: false };
        Self { stop, task: tokio::spawn(service.run(stopped)), trader: weak }
    }

    /// Stops after the entries that are being answered, and gives the lease back.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        // If it panicked it has stopped as well.
        let _ = (&mut self.task).await;
    }
}

impl Drop for TraderService {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(trader) = self.trader.upgrade() {
            trader.hold(Some(STOPPED.to_owned()));
        }
    }
}

/// Why a trader without its service sends nothing.
const STOPPED: &str = "its service is stopped";

struct Service {
    space: Space,
    trader: Arc<Trader>,
    options: ServiceOptions,
    /// Whether what others did is settled, and nobody else was at work since.
    ready: bool,
    /// The journal's name, written into it when it comes to work for the first time.
    name: [u8; 16],
    /// Whether the stream was there before.
    made: bool,
}

/// Why a session ended.
enum Ended {
    Redis(RedisError),
    Journal(JournalError),
}

impl From<RedisError> for Ended {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<JournalError> for Ended {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl Service {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let lease = Lease::seek(&self.space, GROUP, self.options.lease);
        let standing = lease.standing();
        let mut health = Health::new("service");
        let mut backoff = Backoff::new(PACE, u64::from(std::process::id()));
        let (mut causes, begun) = (Causes::default(), Instant::now());
        loop {
            let now = standing.borrow().clone();
            let ended = match now.clone() {
                Standing::Held => {
                    let mut changed = standing.clone();
                    tokio::select! {
                        ended = self.session(&mut health, stop.clone()) => Some(ended),
                        _ = changed.wait_for(|standing| *standing != Standing::Held) => None,
                    }
                }
                Standing::Other(holder) => {
                    self.ready = false;
                    self.trader.hold(Some(format!("standing by for the {holder}")));
                    None
                }
                Standing::Doubtful => {
                    self.ready = false;
                    self.trader.hold(Some("the lease of the namespace may be another's".to_owned()));
                    None
                }
                Standing::Asking => None,
            };
            let failed = match ended {
                Some(Ok(())) => break,
                Some(Err(Ended::Redis(cause))) => {
                    health.down(&cause);
                    true
                }
                Some(Err(Ended::Journal(error))) => {
                    if causes.tell(Moment(begun.elapsed()), &error.to_string()) {
                        tracing::warn!(%error, "journal cannot be written");
                    }
                    true
                }
                None => false,
            };
            let pause = if failed {
                backoff.failed()
            } else {
                backoff.succeeded();
                causes.forget();
                Duration::MAX
            };
            let mut changed = standing.clone();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = changed.wait_for(|standing| *standing != now) => {}
                _ = sleep(pause) => {}
            }
        }
        self.trader.hold(Some(STOPPED.to_owned()));
        lease.release().await;
    }

    /// Answers until Redis fails or the service is stopped.
    async fn session(&mut self, health: &mut Health, mut stop: watch::Receiver<bool>) -> Result<(), Ended> {
        let mut reader = self.space.reader().await?;
        let mut writer = self.space.writer().await?;
        let mut wait = self.inherit(&mut writer).await?;
        health.up();
        let mut from = "0".to_owned();
        loop {
            if *stop.borrow() {
                return Ok(());
            }
            wait = self.await_finality(wait).await?;
            let block = if wait == Wait::Nothing { BLOCK } else { self.options.poll.min(BLOCK) };
            if wait == Wait::Nothing && !self.ready {
                self.take_over(&mut writer).await?;
            }
            let entries = tokio::select! {
                entries = self.read(&mut reader, &from, block) => entries,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            let entries = match entries {
                // Flushed, or never made.
                Err(cause) if matches!(cause.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                    if std::mem::replace(&mut self.made, true) {
                        tracing::warn!(
                            "redis was flushed or started anew; whoever waits for an answer asks again"
                        );
                        metrics::counter!("prb_redis_flushes_total").increment(1);
                    }
                    self.make_group(&mut writer).await?;
                    if self.ready {
                        self.sign(&mut writer).await?;
                    }
                    continue;
                }
                entries => entries?,
            };
            // What an earlier life of this consumer took and did not answer comes first.
            if from == "0" && entries.is_empty() {
                from = ">".to_owned();
            }
            self.made = true;
            self.answer(&mut writer, entries, wait).await?;
        }
    }

    async fn make_group(&self, writer: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let mut make = ::redis::cmd("XGROUP");
        make.arg("CREATE").arg(self.space.asks()).arg(GROUP).arg("0").arg("MKSTREAM");
        match make.query_async::<()>(writer).await {
            Err(cause) if cause.code() == Some("BUSYGROUP") => Ok(()),
            outcome => outcome,
        }
    }

    async fn read(
        &self,
        reader: &mut MultiplexedConnection,
        from: &str,
        block: Duration,
    ) -> Result<Vec<Entry>, RedisError> {
        let mut command = ::redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(GROUP).arg("COUNT").arg(PORTION);
        command
            .arg("BLOCK")
            .arg(block.as_millis().max(1) as u64)
            .arg("STREAMS")
            .arg(self.space.asks())
            .arg(from);
        let reply: Option<StreamReadReply> = command.query_async(reader).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        Ok(entries
            .map(|entry| Entry {
                to: entry.get("to"),
                number: entry.get("n"),
                ask: entry.get::<Vec<u8>>("ask").and_then(|bytes| Ask::decode(&mut &bytes[..]).ok()),
                id: entry.id,
            })
            .collect())
    }

    /// Answers entries in their order, and takes them out.
    async fn answer(
        &self,
        writer: &mut MultiplexedConnection,
        entries: Vec<Entry>,
        wait: Wait,
    ) -> Result<(), RedisError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (seconds, micros): (u64, u64) = ::redis::cmd("TIME").query_async(writer).await?;
        let now = seconds * 1000 + micros / 1000;
        let mut done = ::redis::pipe();
        let mut asks = Vec::new();
        for entry in entries {
            done.cmd("XACK").arg(self.space.asks()).arg(GROUP).arg(&entry.id).ignore();
            done.cmd("XDEL").arg(self.space.asks()).arg(&entry.id).ignore();
            let stale = entry.time().is_none_or(|at| now.saturating_sub(at) > STALE.as_millis() as u64);
            match (entry.to, entry.number, entry.ask) {
                (Some(to), Some(number), Some(ask)) if !stale => {
                    metrics::counter!("prb_redis_answers_total", "ask" => ask.name()).increment(1);
                    asks.push(async move { (to, number, self.ask(ask, wait).await) });
                }
                (_, _, Some(_)) => {
                    metrics::counter!("prb_redis_stale_total").increment(1);
                    tracing::info!(entry = entry.id, "nobody waits for this entry any more; left alone");
                }
                _ => {
                    metrics::counter!("prb_redis_unread_total").increment(1);
                    tracing::warn!(
                        entry = entry.id,
                        "an entry is not understood; is the lifecycle of another release?"
                    );
                }
            }
        }
        // They are polled in their order, so the journal gets jobs in the order they were submitted.
        for (to, number, answer) in join_all(asks).await {
            let stream = self.space.answers(&to);
            done.cmd("XADD").arg(&stream).arg("MAXLEN").arg("~").arg(ANSWERS).arg("*");
            done.arg("n").arg(number).arg("journal").arg(hex::encode(self.name));
            done.arg("answer").arg(answer.encode()).ignore();
            done.cmd("PEXPIRE").arg(&stream).arg(KEPT.as_millis() as u64).ignore();
        }
        done.query_async(writer).await
    }

    async fn ask(&self, ask: Ask, wait: Wait) -> Answer {
        let until = match wait {
            Wait::Nothing => return ask.of(self.trader.as_ref()).await,
            Wait::Head => String::new(),
            Wait::Until(until) => format!(", until block {until}"),
        };
        Answer::Refused(Refused::Unreachable(format!(
            "the trader waits for what another one may have sent to end{until}"
        )))
    }
}

/// What an entry says; parts that are not understood are absent.
struct Entry {
    id: String,
    to: Option<String>,
    number: Option<u64>,
    ask: Option<Ask>,
}

impl Entry {
    /// When it was written, by the clock of Redis: milliseconds since 1970.
    fn time(&self) -> Option<u64> {
        self.id.split('-').next()?.parse().ok()
    }
}
