//! A trader of its own, reached through a real Redis server.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod port;
mod redis_server;
mod trader_support;

use prb_chain::{
    journal::{Journal, Record, Stand},
    redis_queue::{Lease, Look, RedisSink, ServiceOptions, Space, Standing, TraderService},
    trader::Trader,
};
use prb_core::{
    id::Height,
    port::{CallResult, Outcome, SinkError, TxSink},
    testkit::{Observed, conform::sink::tx_sink},
};
use redis_server::Redis;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};
use trader_support::*;

/// Longer than a loaded machine keeps a test waiting; where it has to end, [`end_lease`] ends it.
const LEASE: Duration = Duration::from_secs(6);

fn quick() -> ServiceOptions {
    ServiceOptions { lease: LEASE, poll: Duration::from_millis(20) }
}

/// Ends the trader's lease, as time would.
fn end_lease(redis: &Redis) {
    assert!([":0", ":1"].contains(&redis.command("DEL test:lease:trader").as_str()));
}

/// A journal that was at work at some time.
async fn named(journal: &Journal) -> String {
    static JOURNALS: AtomicU8 = AtomicU8::new(1);
    let name = [JOURNALS.fetch_add(1, Ordering::SeqCst); 16];
    journal.write(vec![Record::Name(name)]).await.unwrap();
    hex::encode(journal.read(|image| image.name()).unwrap())
}

/// The journal was at work last, as Redis tells it, so that it need not wait for others.
async fn last_at_work(redis: &Redis, journal: &Journal) {
    let name = named(journal).await;
    assert_eq!(redis.command(&format!("SET test:journal {name}")), "+OK");
}

/// One that was, in memory.
async fn at_work_before(redis: &Redis) -> Arc<Journal> {
    let journal = Journal::memory();
    last_at_work(redis, &journal).await;
    journal
}

/// One that was before another was, in memory.
async fn at_work_long_ago() -> Arc<Journal> {
    let journal = Journal::memory();
    named(&journal).await;
    journal
}

/// A trader process.
struct Process {
    trader: Arc<Trader>,
    service: TraderService,
}

impl Process {
    fn start(net: &Net, space: &Space, journal: &Arc<Journal>) -> Self {
        let trader = Arc::new(net.trader(journal));
        let service = TraderService::start(space, trader.clone(), quick());
        Self { trader, service }
    }

    /// Ends it without a word: its lease is not given back.
    async fn crash(self) {
        let Self { trader, service } = self;
        let gone = Arc::downgrade(&trader);
        drop((service, trader));
        eventually(|| gone.strong_count() == 0).await;
    }

    /// Ends it in order, and frees its journal.
    async fn stop(self) {
        self.service.stop().await;
        let mut trader = self.trader;
        loop {
            match Arc::try_unwrap(trader) {
                Ok(trader) => return trader.stop().await,
                Err(shared) => trader = shared,
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Lives of a trader process on one journal file.
struct Processes {
    redis: Redis,
    folder: tempfile::TempDir,
    running: Option<Process>,
}

#[async_trait::async_trait]
impl Lives for Processes {
    async fn next(&mut self, net: &Net) -> Arc<dyn TxSink> {
        if let Some(process) = self.running.take() {
            process.stop().await;
        }
        let space = Space::new(&self.redis.url(), "test").unwrap();
        let journal = Journal::open(self.folder.path().join("journal")).unwrap();
        last_at_work(&self.redis, &journal).await;
        self.running = Some(Process::start(net, &space, &journal));
        Arc::new(RedisSink::new(&space))
    }
}

async fn done(net: &Net, sink: &dyn TxSink, number: u64) {
    assert_eq!(net.results(sink, id(number)).await, [CallResult::Ok], "job {number}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f052_the_sink_keeps_its_contract_through_redis() {
    let Some(redis) = Redis::start() else { return };
    let lives = Processes { redis, folder: tempfile::tempdir().unwrap(), running: None };
    tx_sink(&mut Bench { net: Net::new(), lives }).await;
}

/// Flushed at every step of the way: v2_f055 as well, as nothing in Redis has to last.
#[tokio::test]
async fn x22_a_flush_at_any_step_loses_nothing_and_doubles_nothing() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let process = Process::start(&net, &space, &at_work_before(&redis).await);
    let sink = RedisSink::new(&space);
    net.submit(&sink, id(1), &[register(1)]).await;
    for number in 2..6 {
        assert_eq!(redis.command("FLUSHALL"), "+OK");
        net.submit(&sink, id(number), &[register(number as u8)]).await;
        assert_eq!(redis.command("FLUSHALL"), "+OK");
        // Nobody knows whether it came through: by the same id it does no harm.
        net.submit(&sink, id(number), &[register(number as u8)]).await;
        assert!(sink.unsettled().await.unwrap().iter().any(|job| job.job == id(number)));
        net.devnet.step().unwrap();
    }
    for number in 1..6 {
        done(&net, &sink, number).await;
    }
    assert_eq!(process.trader.journal().read(|image| image.ended().count()), 5);
    assert!(sink.settled_at().await.unwrap() > Height(0));
    assert!(observed.counter("prb_redis_flushes_total") >= 4);
    assert!(observed.lines(&["WARN", "redis was flushed or started anew"]).len() >= 4);
    process.stop().await;
}

#[tokio::test]
async fn x22_redis_that_goes_away_and_comes_back_empty_is_told_and_got_over() {
    let Some(mut redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let process = Process::start(&net, &space, &at_work_before(&redis).await);
    let sink = RedisSink::new(&space);
    net.submit(&sink, id(1), &[register(1)]).await;
    eventually(|| net.in_pool() == 1).await;
    redis.down();
    let refused = sink.submit(id(2), POOL, vec![register(2)]).await;
    assert!(matches!(refused, Err(SinkError::Unreachable(_))), "{refused:?}");
    eventually(|| {
        ["sink", "service", "trader"]
            .iter()
            .all(|role| observed.gauge(&format!("prb_redis_up{{role={role}}}")) == Some(0.0))
    })
    .await;
    // What is under way goes on to its end.
    net.step_until(async || process.trader.journal().read(|image| image.ended().count()) == 1).await;
    redis.up();
    done(&net, &sink, 1).await;
    net.submit(&sink, id(2), &[register(2)]).await;
    done(&net, &sink, 2).await;
    assert_eq!(net.signed().len(), 2);
    for role in ["sink", "service", "trader"] {
        assert!(observed.counter(&format!("prb_redis_failures_total{{role={role}}}")) >= 1, "{role}");
        let role_is = format!("role=\"{role}\"");
        assert!(!observed.lines(&["WARN", "redis is not reachable", &role_is]).is_empty(), "{role}");
        assert!(!observed.lines(&["INFO", "redis answers again", &role_is]).is_empty(), "{role}");
        assert_eq!(observed.gauge(&format!("prb_redis_up{{role={role}}}")), Some(1.0), "{role}");
    }
    process.stop().await;
}

/// The second one stands by, says so, and takes over from the first with an extrinsic of that under way.
#[tokio::test]
async fn v2_f054_a_second_trader_stands_by_and_takes_over_without_doing_anything_twice() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let sink = RedisSink::new(&space);
    let first = Process::start(&net, &space, &at_work_before(&redis).await);
    net.submit(&sink, id(1), &[register(1)]).await;
    let second = Process::start(&net, &space, &at_work_long_ago().await);
    let standing_by = ["WARN", "another one is at work in this namespace; standing by"];
    eventually(|| !observed.lines(&standing_by).is_empty()).await;
    done(&net, &sink, 1).await;
    net.submit(&sink, id(2), &[register(2)]).await;
    eventually(|| net.in_pool() == 1).await;
    // It crashes: its lease is not given back.
    first.crash().await;
    end_lease(&redis);
    // What went to the first is not known to the second, which says so only once it can no longer happen unseen.
    assert_eq!(net.end(&sink, id(2)).await, None);
    assert_eq!(net.signed().len(), 2, "the first one's extrinsic was included");
    let settled = sink.settled_at().await.unwrap();
    assert!(settled.0 >= net.signed()[1].0, "whoever decides anew sees it");
    net.submit(&sink, id(3), &[register(3)]).await;
    done(&net, &sink, 3).await;
    assert_eq!(net.signed().len(), 3);
    assert_eq!(observed.counter("prb_redis_takeovers_total"), 1);
    assert_eq!(observed.lines(&["WARN", "took over from a trader with another journal"]).len(), 1);
    assert_eq!(observed.counter("prb_redis_standing_by_total{role=trader}"), 1);
    second.stop().await;
}

/// Steps nothing until the trader says that it waits for a block.
async fn waits(sink: &RedisSink, number: u64) {
    let start = Instant::now();
    loop {
        match sink.outcome(id(number)).await {
            Err(SinkError::Unreachable(cause)) if cause.contains("until block") => return,
            Err(SinkError::Unreachable(_)) => assert!(start.elapsed() < PATIENCE, "it does not wait"),
            other => panic!("it does not wait: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn x22_redis_that_forgets_everything_does_not_cut_the_wait_of_a_takeover_short() {
    let Some(mut redis) = Redis::start() else { return };
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let sink = RedisSink::new(&space);
    let first = Process::start(&net, &space, &at_work_before(&redis).await);
    net.submit(&sink, id(1), &[register(1)]).await;
    eventually(|| net.in_pool() == 1).await;
    first.crash().await;
    end_lease(&redis);
    let second = Process::start(&net, &space, &at_work_long_ago().await);
    waits(&sink, 1).await;
    redis.down();
    redis.up();
    waits(&sink, 1).await;
    assert_eq!(net.end(&sink, id(1)).await, None);
    assert_eq!(net.signed().len(), 1, "the first one's extrinsic was included");
    second.stop().await;
}

/// An empty Redis tells a new journal nothing about who was at work before.
#[tokio::test]
async fn x22_a_new_journal_waits_once_where_redis_tells_of_nobody() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let (sink, journal) = (RedisSink::new(&space), Journal::memory());
    // A restart in the middle of it begins it anew.
    for _ in 0..2 {
        let process = Process::start(&net, &space, &journal);
        waits(&sink, 1).await;
        process.stop().await;
    }
    let process = Process::start(&net, &space, &journal);
    assert_eq!(net.end(&sink, id(1)).await, None);
    process.stop().await;
    let before = observed.lines(&["INFO", "this journal was never at work"]).len();
    let process = Process::start(&net, &space, &journal);
    net.submit(&sink, id(2), &[register(2)]).await;
    done(&net, &sink, 2).await;
    assert_eq!(observed.lines(&["INFO", "this journal was never at work"]).len(), before);
    assert!(observed.lines(&["redis has forgotten"]).is_empty());
    assert_eq!(observed.counter("prb_redis_takeovers_total"), 0);
    process.stop().await;
}

/// One that was at work itself knows as little about who was at work since.
#[tokio::test]
async fn x22_a_journal_that_was_at_work_waits_where_redis_has_forgotten_who_was_last() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let (sink, own) = (RedisSink::new(&space), at_work_before(&redis).await);
    let first = Process::start(&net, &space, &own);
    net.submit(&sink, id(1), &[register(1)]).await;
    done(&net, &sink, 1).await;
    first.stop().await;
    // Waits in its journal when another one takes over.
    own.write(vec![Record::Accepted { job: id(2), pool: POOL, calls: vec![register(2)] }]).await.unwrap();
    let second = Process::start(&net, &space, &at_work_long_ago().await);
    // Once it answers: what was asked of the first is not asked of it.
    assert_eq!(net.end(&sink, id(3)).await, None);
    net.submit(&sink, id(3), &[register(2)]).await;
    eventually(|| net.in_pool() == 1).await;
    second.crash().await;
    assert_eq!(redis.command("FLUSHALL"), "+OK");

    let again = Process::start(&net, &space, &own);
    waits(&sink, 3).await;
    assert_eq!(net.end(&sink, id(3)).await, None);
    assert_eq!(net.signed().len(), 2, "the other one's extrinsic was included");
    assert!(sink.settled_at().await.unwrap().0 >= net.signed()[1].0, "whoever decides anew sees it");
    assert!(matches!(net.outcome(&sink, id(2)).await, Outcome::Rejected(_)), "it was the other one's turn");
    let forgotten = ["WARN", "redis has forgotten which trader was at work last"];
    assert_eq!(observed.lines(&forgotten).len(), 1);
    again.stop().await;
}

/// One that restarts on its own journal has nothing to wait for.
#[tokio::test]
async fn v2_f053_a_trader_that_restarts_goes_on_at_once_and_repeats_nothing() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    let (sink, journal) = (RedisSink::new(&space), at_work_before(&redis).await);
    for number in 1..5 {
        let process = Process::start(&net, &space, &journal);
        net.submit(&sink, id(number), &[register(number as u8)]).await;
        if number % 2 == 0 {
            process.stop().await;
        } else {
            process.crash().await;
            end_lease(&redis);
        }
    }
    let process = Process::start(&net, &space, &journal);
    for number in 1..5 {
        done(&net, &sink, number).await;
    }
    assert_eq!(observed.counter("prb_redis_takeovers_total"), 0);
    let submitted = net.wire.submissions.load(Ordering::SeqCst);
    assert_eq!(net.signed().len(), submitted);
    process.stop().await;
}

#[tokio::test]
async fn v2_f054_of_two_lifecycles_one_works_and_the_other_takes_over() {
    let Some(redis) = Redis::start() else { return };
    let space = Space::new(&redis.url(), "test").unwrap();
    let ttl = LEASE;
    let first = Lease::seek(&space, "lifecycle", ttl);
    first.standing().wait_for(|standing| *standing == Standing::Held).await.unwrap();
    let second = Lease::seek(&space, "lifecycle", ttl);
    let other =
        |standing: &Standing| matches!(standing, Standing::Other(holder) if holder.starts_with("lifecycle"));
    second.standing().wait_for(other).await.unwrap();
    // Another role, or another namespace, is another lease.
    let elsewhere = Lease::seek(&Space::new(&redis.url(), "elsewhere").unwrap(), "lifecycle", ttl);
    elsewhere.standing().wait_for(|standing| *standing == Standing::Held).await.unwrap();
    assert_eq!(*first.standing().borrow(), Standing::Held);
    first.release().await;
    second.standing().wait_for(|standing| *standing == Standing::Held).await.unwrap();
    // One that is gone without a word is waited for.
    let third = Lease::seek(&space, "lifecycle", ttl);
    third.standing().wait_for(other).await.unwrap();
    drop(second);
    third.standing().wait_for(|standing| *standing == Standing::Held).await.unwrap();
}

/// Questions that nobody waits for any more are left alone: whoever asked may know better by now.
#[tokio::test]
async fn x22_old_and_foreign_entries_are_left_alone() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    assert_eq!(redis.command("XADD test:asks 1000-0 to x n 1 ask \"\\x02\""), "$6");
    assert_eq!(redis.command("XADD test:asks * to x n 2 ask nonsense"), "$15");
    let process = Process::start(&net, &space, &at_work_before(&redis).await);
    let sink = RedisSink::new(&space);
    net.submit(&sink, id(1), &[register(1)]).await;
    done(&net, &sink, 1).await;
    assert_eq!(observed.counter("prb_redis_stale_total"), 1);
    assert_eq!(observed.lines(&["INFO", "nobody waits for this entry any more"]).len(), 1);
    assert_eq!(observed.counter("prb_redis_unread_total"), 1);
    assert_eq!(observed.lines(&["WARN", "an entry is not understood"]).len(), 1);
    assert_eq!(redis.command("EXISTS test:answers:x"), ":0");
    process.stop().await;
}

/// Whoever looks at a queue takes nothing out of it.
#[tokio::test]
async fn v2_f057_what_stands_in_a_queue_is_seen_and_left_there() {
    let Some(redis) = Redis::start() else { return };
    let net = Net::new();
    let space = Space::new(&redis.url(), "test").unwrap();
    assert_eq!(space.look(100).await.unwrap(), Look::default());
    assert_eq!(redis.command("XADD test:asks * to x n 2 ask nonsense"), "$15");
    let sink = Arc::new(RedisSink::new(&space));
    let asking = sink.clone();
    let asked = tokio::spawn(async move { asking.submit(id(1), POOL, vec![register(1)]).await });
    let start = Instant::now();
    let seen = loop {
        let seen = space.look(100).await.unwrap();
        if seen.entries == 2 {
            break seen;
        }
        assert!(start.elapsed() < PATIENCE, "nothing is seen: {seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let [job] = &seen.waiting[..] else { panic!("{seen:?}") };
    assert_eq!((job.job, job.pool, job.stand), (id(1), Some(POOL), Stand::Waiting));
    assert!(job.description.contains("register worker") && job.accepted.is_some(), "{job:?}");
    assert_eq!(seen.trader, None);
    assert_eq!(space.look(100).await.unwrap(), seen, "it is still there");
    assert_eq!(space.look(1).await.unwrap().waiting, [], "no more is read than wanted");

    let process = Process::start(&net, &space, &at_work_before(&redis).await);
    // If the trader came too late for the first question, it is asked again.
    let _ = asked.await.unwrap();
    net.submit(sink.as_ref(), id(1), &[register(1)]).await;
    let seen = space.look(100).await.unwrap();
    assert!(seen.trader.is_some_and(|trader| trader.starts_with("trader of process")));
    assert_eq!((seen.entries, seen.waiting), (0, Vec::new()));
    done(&net, sink.as_ref(), 1).await;
    process.stop().await;
    assert!(Space::new("redis://127.0.0.1:9", "test").unwrap().look(1).await.is_err());
}

#[tokio::test]
async fn x22_a_sink_without_a_trader_says_so() {
    let Some(redis) = Redis::start() else { return };
    let observed = Observed::begin();
    let sink = RedisSink::new(&Space::new(&redis.url(), "test").unwrap());
    let error = sink.outcome(id(1)).await.unwrap_err();
    assert!(error.to_string().contains("is `prb trade` running?"), "{error}");
    assert_eq!(observed.counter("prb_redis_unanswered_total"), 1);
    assert_eq!(observed.lines(&["WARN", "transactions wait", "no trader answered"]).len(), 1);
    let bad = |url: &str, name: &str| Space::new(url, name).unwrap_err().to_string();
    assert!(bad("127.0.0.1", "a").contains("redis://"));
    assert!(bad(&redis.url(), "a b").contains("namespace"));
}
