//! The side that asks.

use super::{
    BLOCK, Health, PACE, Space, random_name,
    wire::{Answer, Ask, unsettled},
};
use ::redis::{RedisError, streams::StreamReadReply};
use async_trait::async_trait;
use codec::{Decode, Encode};
use prb_core::{
    backoff::Backoff,
    id::{Height, JobId, PoolId},
    port::{JobState, SinkError, TxSink, Unsettled},
    tx::Call,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// How long an answer may take, of all parts together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls that may be under way.
const UNDER_WAY: usize = 1024;

/// Entries that may stand in the stream: what is older was given up by whoever asked.
const ENTRIES: usize = 20_000;

/// Submissions without an answer that are remembered.
const UNANSWERED: usize = 10_000;

/// A sink whose trader is another process, reached through Redis. Dropping it stops its task.
#[derive(Debug)]
pub struct RedisSink {
    asks: mpsc::Sender<Waiting>,
    /// Whether the trader left the last question unanswered.
    silent: AtomicBool,
    known: Mutex<Known>,
    away: watch::Receiver<Away>,
    task: JoinHandle<()>,
}

/// Since when Redis does not answer, and why; none while it does.
type Away = Option<(Instant, String)>;

/// What must be known of the trader before a job is submitted once more.
#[derive(Debug, Default)]
struct Known {
    /// The journal of the trader that answered last.
    journal: Option<String>,
    /// Submissions without an answer, each with the journal that was known when it was made. Whoever made one makes it
    /// again or asks for its outcome.
    unanswered: BTreeMap<JobId, Option<String>>,
}

/// An answer, and the journal of the trader that gave it.
type Told = Result<(Answer, String), String>;

/// A question with whoever waits for its answer.
struct Waiting {
    ask: Ask,
    tell: oneshot::Sender<Told>,
}

impl RedisSink {
    /// The trader of a namespace. It connects by itself, now and whenever Redis comes back.
    pub fn new(space: &Space) -> Self {
        let (asks, asked) = mpsc::channel(UNDER_WAY);
        let (tell, away) = watch::channel(None);
        let asker = Asker {
            space: space.clone(),
            name: random_name(),
            asked,
            waiting: HashMap::new(),
            number: 0,
            away: tell,
        };
        let task = tokio::spawn(asker.run());
        Self { asks, silent: AtomicBool::new(false), known: Mutex::default(), away, task }
    }

    /// Why Redis does not answer, if it has not for ten seconds.
    pub fn trouble(&self) -> Option<String> {
        let away = self.away.borrow();
        let (_, cause) = away.as_ref().filter(|(since, _)| since.elapsed() >= PATIENCE)?;
        Some(format!("redis does not answer: {cause}; check redis.url and that the Redis server runs"))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a submission without an answer must not be made again, `journal` being the trader's when it was made: the
    /// trader has it, or it went to another one, which may have done it. That one knows its outcome and nobody else does,
    /// so whoever asks for that looks at the chain, as far as the present trader has waited for it.
    async fn is_past(&self, job: JobId, journal: Option<String>) -> Result<bool, SinkError> {
        if self.outcome(job).await?.is_some() {
            return Ok(true);
        }
        let known = self.known();
        let moved = journal.is_some() && known.journal != journal;
        if moved {
            tracing::warn!(%job, "submitted to a trader that another one took over from; not submitted again");
        }
        Ok(moved)
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, SinkError> {
        let (tell, told) = oneshot::channel();
        let answer = timeout(PATIENCE, async {
            self.asks.send(Waiting { ask, tell }).await.ok()?;
            told.await.ok()
        });
        match answer.await {
            Ok(Some(Ok((answer, journal)))) => {
                self.known().journal = Some(journal);
                if self.silent.swap(false, Ordering::Relaxed) {
                    tracing::info!("the trader answers again");
                }
                match answer {
                    Answer::Refused(refused) => Err(refused.into()),
                    answer => Ok(answer),
                }
            }
            Ok(Some(Err(cause))) => Err(SinkError::Unreachable(format!("redis: {cause}"))),
            Ok(None) => Err(SinkError::Unreachable("the connection to redis ended".to_owned())),
            Err(_) => {
                metrics::counter!("prb_redis_unanswered_total").increment(1);
                let cause = format!("no trader answered within {PATIENCE:?}; is `prb trade` running?");
                if !self.silent.swap(true, Ordering::Relaxed) {
                    tracing::warn!(cause, "transactions wait");
                }
                Err(SinkError::Unreachable(cause))
            }
        }
    }
}

impl Drop for RedisSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn strange(answer: &Answer) -> SinkError {
    SinkError::Unreachable(format!("the trader answers {answer:?} to another question"))
}

#[async_trait]
impl TxSink for RedisSink {
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        let before = self.known().unanswered.get(&job).cloned();
        if let Some(journal) = before
            && self.is_past(job, journal).await?
        {
            self.known().unanswered.remove(&job);
            return Ok(());
        }
        {
            let mut known = self.known();
            let journal = known.journal.clone();
            known.unanswered.entry(job).or_insert(journal);
            while known.unanswered.len() > UNANSWERED {
                known.unanswered.pop_first();
            }
        }
        let answer = self.ask(Ask::Submit { job, pool, calls }).await;
        if !matches!(answer, Err(SinkError::Unreachable(_) | SinkError::Journal(_))) {
            self.known().unanswered.remove(&job);
        }
        match answer? {
            Answer::Accepted => Ok(()),
            other => Err(strange(&other)),
        }
    }

    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError> {
        match self.ask(Ask::Outcome(job)).await? {
            Answer::State(state) => Ok(state),
            other => Err(strange(&other)),
        }
    }

    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError> {
        match self.ask(Ask::Unsettled).await? {
            Answer::Unsettled(jobs) => Ok(unsettled(jobs)),
            other => Err(strange(&other)),
        }
    }

    async fn settled_at(&self) -> Result<Height, SinkError> {
        match self.ask(Ask::SettledAt).await? {
            Answer::SettledAt(height) => Ok(height),
            other => Err(strange(&other)),
        }
    }

    async fn decided_at(&self, job: JobId) -> Result<Option<Height>, SinkError> {
        match self.ask(Ask::DecidedAt(job)).await? {
            Answer::DecidedAt(height) => Ok(height),
            other => Err(strange(&other)),
        }
    }

    async fn last_era(&self) -> Result<Option<u64>, SinkError> {
        match self.ask(Ask::LastEra).await? {
            Answer::LastEra(era) => Ok(era),
            other => Err(strange(&other)),
        }
    }
}

/// The task behind a sink.
struct Asker {
    space: Space,
    name: String,
    asked: mpsc::Receiver<Waiting>,
    waiting: HashMap<u64, oneshot::Sender<Told>>,
    number: u64,
    away: watch::Sender<Away>,
}

impl Asker {
    async fn run(mut self) {
        let mut health = Health::new("sink");
        let mut backoff = Backoff::new(PACE, u64::from(std::process::id()));
        while !self.asked.is_closed() {
            let before = self.number;
            let Err(cause) = self.session(&mut health).await else { return };
            if self.number > before {
                backoff.succeeded();
            }
            health.down(&cause);
            self.away.send_modify(|away| {
                let since = away.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                *away = Some((since, cause.to_string()));
            });
            // Whether they were heard nobody knows; whoever asked asks again.
            for (_, tell) in self.waiting.drain() {
                let _ = tell.send(Err(cause.to_string()));
            }
            while let Ok(asked) = self.asked.try_recv() {
                let _ = asked.tell.send(Err(cause.to_string()));
            }
            sleep(backoff.failed()).await;
        }
    }

    /// Asks and hears answers until Redis fails, or nobody can ask any more.
    async fn session(&mut self, health: &mut Health) -> Result<(), RedisError> {
        let mut writer = self.space.writer().await?;
        let (answers, mut heard) = mpsc::channel(64);
        let reading = read(self.space.clone(), self.name.clone(), answers);
        let mut reading = std::pin::pin!(reading);
        // The server itself is asked: a connection alone proves little.
        ::redis::cmd("PING").query_async::<()>(&mut writer).await?;
        health.up();
        self.away.send_replace(None);
        loop {
            tokio::select! {
                cause = &mut reading => return Err(cause),
                Some((number, answer, journal)) = heard.recv() => {
                    if let Some(tell) = self.waiting.remove(&number) {
                        let _ = tell.send(Ok((answer, journal)));
                    }
                }
                asked = self.asked.recv() => {
                    let Some(asked) = asked else { return Ok(()) };
                    self.waiting.retain(|_, tell| !tell.is_closed());
                    let mut pipe = ::redis::pipe();
                    let mut next = Some(asked);
                    while let Some(asked) = next {
                        self.write(&mut pipe, asked);
                        next = self.asked.try_recv().ok();
                    }
                    pipe.query_async::<()>(&mut writer).await?;
                }
            }
        }
    }

    fn write(&mut self, pipe: &mut ::redis::Pipeline, asked: Waiting) {
        self.number += 1;
        pipe.cmd("XADD").arg(self.space.asks()).arg("MAXLEN").arg("~").arg(ENTRIES).arg("*");
        pipe.arg("to").arg(&self.name).arg("n").arg(self.number);
        if let Ask::Submit { job, .. } = &asked.ask {
            pipe.arg("job").arg(job.to_string());
        }
        pipe.arg("ask").arg(asked.ask.encode()).ignore();
        metrics::counter!("prb_redis_asks_total", "ask" => asked.ask.name()).increment(1);
        self.waiting.insert(self.number, asked.tell);
    }
}

/// Reads answers until Redis fails.
async fn read(space: Space, name: String, answers: mpsc::Sender<(u64, Answer, String)>) -> RedisError {
    let stream = space.answers(&name);
    // Ids are times: what comes after a flush follows as well.
    let mut last = "0".to_owned();
    let mut connection = match space.reader().await {
        Ok(connection) => connection,
        Err(cause) => return cause,
    };
    loop {
        let mut command = ::redis::cmd("XREAD");
        command.arg("COUNT").arg(256).arg("BLOCK").arg(BLOCK.as_millis() as u64);
        command.arg("STREAMS").arg(&stream).arg(&last);
        let reply: Option<StreamReadReply> = match command.query_async(&mut connection).await {
            Ok(reply) => reply,
            Err(cause) => return cause,
        };
        for entry in reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
            let number = entry.get::<u64>("n");
            let answer =
                entry.get::<Vec<u8>>("answer").and_then(|bytes| Answer::decode(&mut &bytes[..]).ok());
            let journal = entry.get::<String>("journal");
            last = entry.id;
            let (Some(number), Some(answer), Some(journal)) = (number, answer, journal) else {
                tracing::warn!(stream, "an answer is not understood; is the trader of another release?");
                continue;
            };
            // Its receiver lives as long as this.
            let _ = answers.send((number, answer, journal)).await;
        }
    }
}
