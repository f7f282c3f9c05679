//! The mail desk: posts workers' messages and follows them, for all workers of a bridge.

use crate::{
    backoff::{Backoff, Pace},
    id::{Height, JobId, PoolId},
    moment::Moment,
    outbox::{News, NotNext, Outbox, OutboxLimits, SenderStatus},
    pipeline::{
        Clock, STEP_LIMIT,
        events::{Announcer, Event},
    },
    port::{CallResult, JobState, Outcome, SinkError, TxSink},
    tx::{Call, CallKey},
    types::message::{EgressMessages, MessageOrigin},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Numbers of one life's jobs.
#[derive(Debug)]
pub struct JobNumbers {
    era: AtomicU64,
    next: AtomicU64,
}

impl JobNumbers {
    /// Numbers for a life that no other life shares `era` with, for example its start time in microseconds. A desk
    /// whose sink knows a later era, because the clock went back, takes the one after that.
    pub const fn new(era: u64) -> Self {
        Self { era: AtomicU64::new(era), next: AtomicU64::new(0) }
    }

    fn next(&self) -> JobId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        JobId { era: self.era.load(Ordering::Relaxed), number }
    }

    /// The sink remembers jobs of the era `last`: with one of its ids a new job would be taken as done.
    fn follow(&self, last: u64) {
        let era = self.era.load(Ordering::Relaxed);
        if let Some(next) = era_after(era, last) {
            warn!(
                clock = era,
                last,
                "the clock went back since the last start; jobs are numbered on from there. Check the machine's time"
            );
            metrics::counter!("prb_clock_went_back_total").increment(1);
            self.era.store(next, Ordering::Relaxed);
        }
    }
}

/// The era to take where the clock's does not come after the `last` one that the sink knows, none where it does.
const fn era_after(clock: u64, last: u64) -> Option<u64> {
    if clock > last { None } else { Some(last.saturating_add(1)) }
}

/// Shared by the workers of a bridge, for several workers may speak for one sender.
pub struct Desk {
    sink: Arc<dyn TxSink>,
    numbers: JobNumbers,
    announcer: Announcer,
    clock: Clock,
    ledger: Mutex<Ledger>,
    /// Held from the offer to the sink's answer, for jobs must reach the sink in the order of their messages.
    line: tokio::sync::Mutex<()>,
    recovered: AtomicBool,
}

#[derive(Default)]
struct Ledger {
    outbox: Outbox,
    jobs: BTreeMap<JobId, Posted>,
}

/// A message job under way.
struct Posted {
    pool: PoolId,
    /// The message of each call.
    messages: Vec<Option<(MessageOrigin, u64)>>,
    /// Its calls, while it is not known whether the sink has accepted it.
    unconfirmed: Option<Vec<Call>>,
}

impl Desk {
    /// A desk in front of `sink`. It posts nothing before it has learned what is under way there.
    pub fn new(
        sink: Arc<dyn TxSink>,
        numbers: JobNumbers,
        limits: OutboxLimits,
        announcer: Announcer,
    ) -> Self {
        let ledger = Mutex::new(Ledger { outbox: Outbox::new(limits), jobs: BTreeMap::new() });
        Self {
            sink,
            numbers,
            announcer,
            clock: Clock::start(),
            ledger,
            line: tokio::sync::Mutex::default(),
            recovered: AtomicBool::new(false),
        }
    }

    /// Learns, once, which messages of an earlier life are still under way. Posting and following do it by
    /// themselves; until the sink has answered, nothing is posted.
    pub async fn recover(&self) -> Result<(), SinkError> {
        let _line = self.line.lock().await;
        self.recover_in_line().await
    }

    async fn recover_in_line(&self) -> Result<(), SinkError> {
        if self.recovered.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(last) = self.sink.last_era().await? {
            self.numbers.follow(last);
        }
        for unsettled in self.sink.unsettled().await? {
            let messages: Vec<_> = unsettled.keys.into_iter().map(message_of).collect();
            if messages.iter().any(Option::is_some) {
                self.ledger().enter(unsettled.job, unsettled.pool, messages, None);
            }
        }
        self.recovered.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Follows the jobs until stopped.
    pub async fn run(&self, interval: Duration, stop: CancellationToken) {
        let mut backoff = Backoff::new(Pace { first: interval, ..Pace::default() }, 0);
        let mut pause = interval;
        loop {
            let settled = tokio::select! {
                () = stop.cancelled() => return,
                settled = async {
                    tokio::time::sleep(pause).await;
                    tokio::time::timeout(STEP_LIMIT, self.settle()).await
                } => settled,
            };
            let cause = match settled {
                Ok(Ok(())) => {
                    backoff.succeeded();
                    pause = interval;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("the transaction sink has not answered for {} s", STEP_LIMIT.as_secs()),
            };
            if backoff.failures() == 0 {
                warn!(%cause, "cannot follow message jobs, trying again");
            }
            pause = backoff.failed();
        }
    }

    /// A job number of this life. Only after [`Self::recover`], which settles the era.
    pub fn next_job(&self) -> JobId {
        self.numbers.next()
    }

    /// The finalized chain takes `next` of this sender next, as of block `at`.
    pub fn chain_takes(&self, sender: &MessageOrigin, next: u64, at: Height) {
        let now = self.clock.now();
        let news = self.ledger().outbox.chain_takes(now, sender, next, at);
        self.tell(news);
    }

    /// How this sender stands.
    pub fn status(&self, sender: &MessageOrigin) -> SenderStatus {
        self.ledger().outbox.status(sender)
    }

    /// See [`Outbox::set_aside`].
    pub fn set_aside(&self, sender: &MessageOrigin, sequence: u64) -> Result<(), NotNext> {
        self.ledger().outbox.set_aside(sender, sequence)
    }

    /// See [`Outbox::offer_again`].
    pub fn offer_again(&self, sender: &MessageOrigin, sequence: u64) -> Result<(), NotNext> {
        self.ledger().outbox.offer_again(sender, sequence)
    }

    fn tell(&self, news: impl IntoIterator<Item = News>) {
        for news in news {
            match news {
                News::Trouble { sender, sequence, cause } => {
                    warn!(?sender, sequence, %cause, "messages do not get through");
                    self.announcer.tell(Event::MessageTrouble { sender, sequence, cause });
                }
                News::Recovered { sender } => {
                    debug!(?sender, "messages get through again");
                    self.announcer.tell(Event::MessageRecovered { sender });
                }
            }
        }
    }

    /// Submits what can be submitted of the messages a worker holds.
    pub async fn post(&self, now: Moment, pool: PoolId, held: &EgressMessages) -> Result<(), SinkError> {
        let _line = self.line.lock().await;
        self.recover_in_line().await?;
        let job = self.next_job();
        // Entered before it is submitted: nobody else may offer these messages meanwhile.
        let calls: Vec<Call> = {
            let mut ledger = self.ledger();
            if ledger.is_unsure(pool, held) {
                return Ok(());
            }
            let offered = ledger.outbox.offer(now, held);
            if offered.is_empty() {
                return Ok(());
            }
            let calls: Vec<Call> = offered.into_iter().map(Call::SyncMessage).collect();
            let messages = calls.iter().map(|call| message_of(call.key())).collect();
            ledger.enter(job, pool, messages, Some(calls.clone()));
            calls
        };
        debug!(%job, messages = calls.len(), "posting messages");
        self.submit(job, pool, calls).await
    }

    /// Hands a job to the sink. Where the sink may have accepted it in spite of an error, the same job is handed in
    /// again later: another one with the same messages would be a second sending.
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        match self.sink.submit(job, pool, calls).await {
            Ok(()) => {
                if let Some(posted) = self.ledger().jobs.get_mut(&job) {
                    posted.unconfirmed = None;
                }
                Ok(())
            }
            Err(error) if may_be_accepted(&error) => Err(error),
            Err(error) => {
                self.end(job, &Outcome::Rejected(error.to_string()), None);
                Err(error)
            }
        }
    }

    /// Looks once at every job. One that cannot be followed does not keep the others from it.
    async fn settle(&self) -> Result<(), SinkError> {
        self.recover().await?;
        let jobs: Vec<JobId> = self.ledger().jobs.keys().copied().collect();
        let mut failed = None;
        for job in jobs {
            if let Err(error) = self.follow(job).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn follow(&self, job: JobId) -> Result<(), SinkError> {
        let outcome = match self.sink.outcome(job).await? {
            Some(JobState::Pending) => return Ok(()),
            Some(JobState::Ended(outcome)) => outcome,
            None => {
                let unconfirmed = self
                    .ledger()
                    .jobs
                    .get(&job)
                    .and_then(|posted| posted.unconfirmed.clone().map(|calls| (posted.pool, calls)));
                if let Some((pool, calls)) = unconfirmed {
                    return self.submit(job, pool, calls).await;
                }
                Outcome::Rejected("the transaction sink does not know the job".into())
            }
        };
        let decided = match &outcome {
            Outcome::Unknown(_) => self.sink.decided_at(job).await?,
            _ => None,
        };
        let pool = self.end(job, &outcome, decided);
        if let Some(pool) = pool {
            if let Outcome::Unknown(cause) = &outcome {
                warn!(
                    %job, %pool, %cause, decided = decided.map(|block| block.0),
                    "nobody knows yet what became of these messages; their sender waits until the chain's state shows it"
                );
            }
            self.announcer.tell(Event::JobEnded { job, pool, outcome });
        }
        Ok(())
    }

    /// Takes note of a job's end; whose it was, if it is the desk's.
    fn end(&self, job: JobId, outcome: &Outcome, decided: Option<Height>) -> Option<PoolId> {
        let now = self.clock.now();
        let (pool, news) = self.ledger().end(now, job, outcome, decided)?;
        self.tell(news);
        Some(pool)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // The ledger is changed by single calls that do not panic half-way.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn enter(
        &mut self,
        job: JobId,
        pool: PoolId,
        messages: Vec<Option<(MessageOrigin, u64)>>,
        unconfirmed: Option<Vec<Call>>,
    ) {
        for (origin, sequence) in messages.iter().flatten() {
            self.outbox.submitted(job, origin, *sequence);
        }
        self.jobs.insert(job, Posted { pool, messages, unconfirmed });
    }

    /// Whether an earlier job of this pool or of one of these senders may not have been accepted. What follows it
    /// must wait, or it might overtake.
    fn is_unsure(&self, pool: PoolId, held: &EgressMessages) -> bool {
        self.jobs.values().filter(|posted| posted.unconfirmed.is_some()).any(|posted| {
            let mut senders = posted.messages.iter().flatten().map(|(sender, _)| sender);
            posted.pool == pool || senders.any(|sender| held.iter().any(|(origin, _)| origin == sender))
        })
    }

    fn end(
        &mut self,
        now: Moment,
        job: JobId,
        outcome: &Outcome,
        decided: Option<Height>,
    ) -> Option<(PoolId, Vec<News>)> {
        let posted = self.jobs.remove(&job)?;
        let mut before = None;
        for (index, message) in posted.messages.iter().enumerate() {
            if let Some((sender, _)) = message {
                count(outcome, index, before == Some(sender));
                before = Some(sender);
            }
        }
        let news = self.outbox.ended(now, job, &posted.messages, outcome, decided);
        Some((posted.pool, news))
    }
}

/// Counts what became of one message. `follows` another of its sender in the same job: a `BadSequence` then comes of
/// that one's failure.
fn count(outcome: &Outcome, index: usize, follows: bool) {
    let result = match outcome {
        Outcome::Finalized { results, .. } => match results.get(index) {
            Some(CallResult::Ok) => "taken",
            Some(CallResult::Failed(error)) if error.is("PhalaMq", "BadSequence") => {
                if follows {
                    "behind_a_failure"
                } else {
                    "bad_sequence"
                }
            }
            Some(CallResult::Failed(error)) => {
                metrics::counter!("prb_messages_refused_total", "error" => error.to_string()).increment(1);
                "refused"
            }
            None => "missing",
        },
        Outcome::Rejected(_) => "rejected",
        Outcome::Expired => "expired",
        Outcome::Unknown(_) => "unknown",
    };
    metrics::counter!("prb_messages_total", "result" => result).increment(1);
}

/// Errors of `submit` after which the sink may have the job all the same.
pub(super) fn may_be_accepted(error: &SinkError) -> bool {
    matches!(error, SinkError::Unreachable(_) | SinkError::Journal(_))
}

fn message_of(key: CallKey) -> Option<(MessageOrigin, u64)> {
    match key {
        CallKey::Message(origin, sequence) => Some((origin, sequence)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x15_a_clock_that_went_back_does_not_repeat_an_era() {
        for (clock, last, expected) in
            [(9, 8, None), (8, 8, Some(9)), (0, 8, Some(9)), (1, u64::MAX, Some(u64::MAX))]
        {
            assert_eq!(era_after(clock, last), expected, "{clock} after {last}");
        }
        let numbers = JobNumbers::new(5);
        numbers.follow(4);
        assert_eq!(numbers.next(), JobId { era: 5, number: 0 });
        numbers.follow(7);
        assert_eq!(numbers.next(), JobId { era: 8, number: 1 });
    }
}
