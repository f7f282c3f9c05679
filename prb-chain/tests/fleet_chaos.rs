//! The whole bridge through everything at once, from a seed and in virtual time: the real pipelines over the real trader and
//! its journal, a model chain whose unfinalized blocks are taken back, a node that refuses, drops and forgets, connections
//! that break at every step, workers that lose their state, their key or their address, and a bridge that is killed.
//!
//! `PRB_SEED=n` plays one seed only; with `--nocapture` it says what the bridge tells meanwhile. A seed decides the faults, not
//! which of several tasks that are ready comes first (that is tokio's) nor signatures: `PRB_TIMES=m` plays the seed m times.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, unreachable_pub)]

mod fleet_support;

use fleet_support::{
    node::Node,
    plague::Plague,
    proof::Proof,
    sink::Recorder,
    tally::Tally,
    wire::{Way, Wire},
};
use prb_chain::{
    chain_state::RpcChainState,
    journal::Journal,
    keys::{Operator, Operators, Signer},
    trader::{Trader, TraderConfig},
};
use prb_core::{
    command::Command,
    id::{AccountId, PoolId, WorkerName},
    lifecycle::{Goal, Stage},
    pipeline::{Bridge, Worker, bridge::BridgeOptions, operate::OperateOptions},
    testkit::{Dice, FakeChain, FakeSource, FakeWorker, Meddling, ScriptedStore, ToyVerifier, eventually},
    tx::{Call, Limits, Period},
    types::message::MessageOrigin,
};
use prb_store::MemoryStore;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

const SEEDS: u64 = 200;

const POOLS: [PoolId; 2] = [PoolId(1), PoolId(2)];

/// Relay blocks, each 6 s after the one before.
const BLOCK: Duration = Duration::from_secs(6);

/// Relay blocks until everything is to be well again.
const UNREST: u32 = 150;

/// So many faults there must be in all seeds together: fewer would prove less than the test says.
const MANY: u64 = 5_000;

/// What must have happened, each at least once. More is not asked of each: some are rare, and which of several tasks comes
/// first is another one in each run.
const MUST_HAPPEN: [(&str, &str); 55] = [
    ("block", "fork"),
    ("block", "authors that leave everything out"),
    ("bridge", "killed"),
    ("bridge", "stopped"),
    ("chain", "message refused"),
    ("chain", "others meddled"),
    ("journal", "write cut off"),
    ("sink", "answer lost"),
    ("sink", "no answer in time"),
    ("sink", "question lost"),
    ("source", "connection lost"),
    ("source", "no answer in time"),
    ("source", "wrong data"),
    ("state", "answer lost"),
    ("state", "connection lost"),
    ("state", "no answer in time"),
    ("state", "node behind"),
    ("state", "request refused"),
    ("state", "state not kept"),
    ("status", "stream broke off"),
    ("status", "wrong"),
    ("store", "answer lost"),
    ("store", "unreachable"),
    ("submission refused", "1001"),
    ("submission refused", "1002"),
    ("submission refused", "1010 ancient birth"),
    ("submission refused", "1010 bad signature"),
    ("submission refused", "1010 cannot pay"),
    ("submission refused", "1010 future"),
    ("submission refused", "1010 stale"),
    ("submission refused", "1010 too heavy"),
    ("submission refused", "1011"),
    ("submission refused", "1012"),
    ("submission refused", "1014"),
    ("submission refused", "1015"),
    ("submission refused", "1016"),
    ("trader", "another connection"),
    ("trader", "answer lost"),
    ("trader", "connection lost"),
    ("trader", "dropped at once"),
    ("trader", "error after acceptance"),
    ("trader", "no answer in time"),
    ("trader", "node behind"),
    ("trader", "submission lost"),
    ("trader", "submission's answer lost"),
    ("transaction", "dropped from the pool"),
    ("transaction", "expired"),
    ("transaction", "lost in a fork"),
    ("transaction", "taken back by a fork"),
    ("worker", "answer lost"),
    ("worker", "key lost"),
    ("worker", "moved"),
    ("worker", "rebooted"),
    ("worker", "rebooted in a call"),
    ("worker", "restored from a checkpoint"),
];

/// What a worker may refuse after it lost its state or an answer got lost: our view of it was stale. Never data.
const STALE: [&str; 5] = [
    "BlockNumberMismatch",
    "NoStateRoot",
    "RelaychainHeaderNotSynced",
    "Runtime not initialized",
    "Runtime already initialized",
];

#[test]
fn whatever_goes_wrong_no_message_is_sent_twice_every_job_ends_once_and_all_workers_work() {
    let seeds: Vec<u64> = alone().map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed; times()]);
    let (total, failed) = (Tally::default(), AtomicBool::new(false));
    let (next, jobs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let play_some = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
            let tally = Tally::default();
            match catch_unwind(AssertUnwindSafe(|| Play::new(*seed, tally.clone()).run())) {
                _ if failed.load(Ordering::SeqCst) => return,
                Ok(ended) => {
                    jobs.fetch_add(ended, Ordering::SeqCst);
                    total.add(&tally);
                }
                Err(_) => {
                    failed.store(true, Ordering::SeqCst);
                    panic!("seed {seed} (PRB_SEED={seed} plays it alone), after{tally}");
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
        (0..threads).for_each(|_| drop(scope.spawn(play_some)));
    });
    let jobs = jobs.into_inner();
    eprintln!("{} faults over {} seeds, {jobs} jobs:{total}", total.total(), seeds.len());
    if alone().is_none() {
        for (who, what) in MUST_HAPPEN {
            assert!(total.of(who, what) >= 1, "{who}: {what} never happened");
        }
        assert!(total.total() >= MANY, "{} faults in all", total.total());
    }
}

/// One seed's world, which outlives the bridges in it.
struct Play {
    dice: Dice,
    tally: Tally,
    once_in: u64,
    /// The relay block from which on nothing goes wrong any more.
    calm: u32,
    node: Node,
    proof: Proof,
    source: FakeSource,
    store: ScriptedStore,
    fleet: Vec<FakeWorker>,
    folder: tempfile::TempDir,
}

impl Play {
    fn new(seed: u64, tally: Tally) -> Self {
        let mut dice = Dice::new(seed);
        let accounts = [account(0), account(1)];
        let chain = FakeChain::builder(seed)
            .rotate_every(3 + dice.below(12) as u32)
            .para_every(1 + dice.below(2) as u32)
            .para_after(dice.below(4) as u32)
            .pool(POOLS[0], accounts[0])
            .pool(POOLS[1], accounts[1])
            .authored()
            .build();
        let node = Node::new(chain.clone(), &accounts, dice.roll(), tally.clone());
        (0..dice.below(30)).for_each(|_| node.step(false));
        let (source, store) = (FakeSource::new(&chain), ScriptedStore::new(Arc::new(MemoryStore::new())));
        source.limit_batches(1 + dice.below(20) as u32);
        let versions = ["2.2.0", "2.0.1", "2.3.0"];
        let fleet: Vec<FakeWorker> = (0..1 + dice.below(4))
            .map(|number| FakeWorker::new(&format!("w{number}")).version(versions[dice.below(3) as usize]))
            .collect();
        let (once_in, calm) = (4 + dice.below(20), chain.tips().relay.0 + UNREST);
        let mut plague = Plague { dice: Dice::new(dice.roll()), tally: tally.clone(), once_in, calm, chain };
        plague.source(&source);
        plague.store(&store);
        fleet.iter().for_each(|fake| plague.worker(fake));
        let proof = Proof::new(node.clone());
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { dice, tally, once_in, calm, node, proof, source, store, fleet, folder: folder.unwrap() }
    }

    /// Two bridges in trouble, each with what the one before left on disk; the third sees the end of it.
    fn run(mut self) -> usize {
        let mut jobs = 0;
        for life in 1..=3 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            jobs = runtime.block_on(self.live(life));
            // Whatever still runs ends in the middle of what it is at.
        }
        jobs
    }

    async fn live(&mut self, life: u64) -> usize {
        let journal = Journal::open_inline(self.journal()).unwrap();
        let sink = Arc::new(self.sink(&journal));
        let bridge = self.bridge(life, sink.clone()).await;
        if alone().is_some() {
            speak(life, &bridge, self.node.clone());
        }
        let pulse = self.pulse();
        let end = match life {
            3 => self.calm,
            _ => self.height() + self.dice.below(60) as u32,
        };
        while self.height() < end.min(self.calm) {
            sleep(seconds(3 + self.dice.below(40))).await;
            self.event(&bridge).await;
        }
        if life < 3 {
            if self.dice.once_in(2) {
                self.tally.count("bridge", "stopped");
                bridge.stop().await;
                drop(bridge);
                Arc::into_inner(sink).expect("nobody else has it any more").trader.stop().await;
            } else {
                self.tally.count("bridge", "killed");
                if self.dice.once_in(2) {
                    self.tally.count("journal", "write cut off");
                    let torn: Vec<u8> =
                        (0..1 + self.dice.below(30)).map(|_| self.dice.roll() as u8).collect();
                    let mut file = std::fs::OpenOptions::new().append(true).open(self.journal()).unwrap();
                    std::io::Write::write_all(&mut file, &torn).unwrap();
                }
            }
            return 0;
        }
        self.heal(&bridge);
        self.all_is_well(&bridge, pulse).await;
        drop(bridge);
        self.everything_ends(&journal).await;
        self.proof.conclude(&journal)
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn height(&self) -> u32 {
        self.node.chain.tips().relay.0
    }

    /// A trader on the journal, behind a connection.
    fn sink(&mut self, journal: &Arc<Journal>) -> Recorder {
        let config = TraderConfig {
            period: Period::new(16 << self.dice.below(2)).unwrap(),
            limits: Limits { calls: 2 + self.dice.below(8) as usize, bytes: 1 << 20 },
            in_flight: 2 + self.dice.below(4) as usize,
            ..TraderConfig::default()
        };
        let operators: Operators =
            POOLS.iter().enumerate().map(|(at, pool)| (*pool, Operator::new(signer(at)))).collect();
        let wire =
            Wire::new(self.way("trader"), self.dice.roll(), Some((self.proof.clone(), journal.clone())));
        Recorder {
            trader: Trader::start(Arc::new(wire), operators, journal.clone(), config),
            proof: self.proof.clone(),
            tally: self.tally.clone(),
            dice: Mutex::new(Dice::new(self.dice.roll())),
            once_in: self.once_in,
            calm: self.calm,
            chain: self.node.chain.clone(),
        }
    }

    fn way(&self, who: &'static str) -> Way {
        let (node, tally) = (self.node.clone(), self.tally.clone());
        Way { node, who, tally, once_in: self.once_in, calm: self.calm }
    }

    async fn bridge(&mut self, life: u64, sink: Arc<Recorder>) -> Bridge {
        let state = Wire::new(self.way("state"), self.dice.roll(), None);
        let options = BridgeOptions {
            operate: OperateOptions { interval: seconds(3), ..OperateOptions::default() },
            ..BridgeOptions::default()
        };
        let mut builder = Bridge::builder()
            .source(self.source.clone(), ToyVerifier::new())
            .store(Arc::new(self.store.clone()))
            .sink(sink)
            .state(Arc::new(RpcChainState::new(Arc::new(state))))
            .options(options)
            .era(life);
        for (number, fake) in self.fleet.iter().enumerate() {
            builder = builder.worker(worker(number), fake.clone());
        }
        builder.start().await.unwrap()
    }

    /// Blocks, one after the other.
    fn pulse(&self) -> tokio::task::JoinHandle<()> {
        let (node, calm) = (self.node.clone(), self.calm);
        tokio::spawn(async move {
            loop {
                sleep(BLOCK).await;
                node.step(node.chain.tips().relay.0 < calm);
            }
        })
    }

    /// Something happens to one of the workers.
    async fn event(&mut self, bridge: &Bridge) {
        let number = self.dice.below(self.fleet.len() as u64) as usize;
        let fake = self.fleet[number].clone();
        let (name, pool, key) = (worker(number).name, goal(number).pool, fake.key());
        let chain = self.node.chain.clone();
        chain.prompt(own(&fake), self.dice.below(4) as u32);
        let happened = |what| self.tally.count("worker", what);
        match self.dice.below(16) {
            0 | 1 => {
                happened("rebooted");
                fake.reboot();
            }
            2 | 3 => {
                happened("restored from a checkpoint");
                fake.restore();
            }
            4 => {
                happened("key lost");
                fake.replace_key();
            }
            5 | 6 => {
                happened("moved");
                self.fleet[number] = fake.move_away();
                bridge.remove_worker(&name).await.unwrap();
                bridge.add_worker(worker(number), self.fleet[number].clone()).unwrap();
            }
            7 | 8 => {
                let goal = goal(number);
                let goal = match self.dice.below(4) {
                    0 => Goal { stake: 500 + u128::from(self.dice.below(1000)), ..goal },
                    1 => Goal { min_score: Some(self.dice.below(1200) as u32), ..goal },
                    2 => Goal { disabled: true, ..goal },
                    _ => Goal { sync_only: true, ..goal },
                };
                bridge.change_worker(&name, goal).unwrap();
            }
            9..=12 => {
                let command = self.dice.pick(&[
                    Command::Restart,
                    Command::Register,
                    Command::PublishEndpoints(vec!["http://10.0.0.1:8000".to_owned()]),
                    Command::TakeCheckpoint,
                    Command::TakeCheckpoint,
                    Command::StopComputing,
                    Command::Reclaim,
                    Command::RemoveFromPool,
                    Command::StopWorker { remove_checkpoints: false },
                ]);
                // Too many may wait already.
                let _ = bridge.command(&name, command);
            }
            13 => {
                self.tally.count("chain", "message refused");
                chain.poison(own(&fake), chain.taken(&own(&fake)) + self.dice.below(4));
            }
            _ => {
                self.tally.count("chain", "others meddled");
                chain.meddle(match self.dice.below(3) {
                    0 => Meddling::Call(Call::StopComputing { pool, worker: key }),
                    1 => Meddling::Silent { pool, worker: key, silent: true },
                    _ => Meddling::Score { worker: key, score: 100 + self.dice.below(1000) as u32 },
                });
            }
        }
    }

    /// Others leave everybody alone, and the operator wants the usual.
    fn heal(&self, bridge: &Bridge) {
        self.node.chain.heal();
        for (number, fake) in self.fleet.iter().enumerate() {
            let (Worker { name, goal, .. }, worker) = (worker(number), fake.key());
            self.node.chain.meddle(Meddling::Silent { pool: goal.pool, worker, silent: false });
            bridge.change_worker(&name, goal).unwrap();
        }
    }

    async fn all_is_well(&self, bridge: &Bridge, pulse: tokio::task::JoinHandle<()>) {
        let chain = &self.node.chain;
        // What commands stopped stays stopped until told otherwise, and commands are carried out in order.
        let (mut told, end) = (false, tokio::time::Instant::now() + seconds(600));
        while !told {
            assert!(tokio::time::Instant::now() < end, "commands are not carried out");
            sleep(seconds(1)).await;
            let names = (0..self.fleet.len()).map(|number| worker(number).name);
            told = names.map(|name| bridge.command(&name, Command::Restart)).all(|told| told.is_ok());
        }
        let stage = |number: usize| {
            let (status, name) = (bridge.workers_status(), worker(number).name);
            status.iter().find(|status| status.worker.name == name).map(|status| status.stage)
        };
        let all = |holds: &dyn Fn(usize, &FakeWorker) -> bool| {
            self.fleet.iter().enumerate().all(|(number, fake)| holds(number, fake))
        };
        eventually("all workers are working", seconds(4 * 3600), || {
            all(&|number, _| stage(number) == Some(Stage::Working))
        })
        .await;
        eventually("all have the stake that is wanted", seconds(3600), || {
            all(&|number, fake| chain.stake(goal(number).pool, &fake.key()) >= Some(goal(number).stake))
        })
        .await;
        // Working also means: messages get through, and everybody is at the tip.
        let before: Vec<u64> = self.fleet.iter().map(|fake| chain.taken(&own(fake))).collect();
        self.fleet.iter().for_each(|fake| chain.prompt(own(fake), 7));
        eventually("messages get through", seconds(3600), || {
            all(&|number, fake| chain.taken(&own(fake)) >= before[number] + 7)
        })
        .await;
        pulse.abort();
        let tips = chain.tips();
        eventually("all are at the tip", seconds(120), || {
            all(&|_, fake| {
                let info = fake.peek();
                info.headernum == tips.relay.next() && info.blocknum == tips.para.next()
            })
        })
        .await;
        assert_eq!(bridge.failure(), None);
        bridge.stop().await;
        for refusal in self.fleet.iter().flat_map(FakeWorker::refused) {
            assert!(STALE.iter().any(|stale| refusal.contains(stale)), "sent bad data: {refusal}");
        }
    }

    /// Every job has an outcome, and enough blocks come after it for anything that was sent to be included if it still
    /// could.
    async fn everything_ends(&self, journal: &Journal) {
        let pulse = self.pulse();
        let open = || journal.read(|image| image.open().count());
        eventually("every job ends", seconds(3600), || open() == 0).await;
        let end = self.node.finalized() + 34;
        eventually("the chain goes on", seconds(3600), || self.node.finalized() >= end).await;
        pulse.abort();
    }
}

/// The only seed to play.
fn alone() -> Option<u64> {
    std::env::var("PRB_SEED").ok().map(|seed| seed.parse().unwrap())
}

/// How often to play it.
fn times() -> usize {
    std::env::var("PRB_TIMES").map_or(1, |times| times.parse().unwrap())
}

/// Says what the bridge tells.
fn speak(life: u64, bridge: &Bridge, node: Node) {
    let mut events = bridge.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let tips = node.chain.tips();
            eprintln!("life {life}, blocks {} and {}: {event:?}", tips.relay, tips.para);
        }
    });
}

/// The key of a pool's operator, from a seed: a phrase would cost thousands of hash rounds.
fn signer(number: usize) -> Signer {
    Signer::from_seed(&[number as u8 + 1; 32]).unwrap()
}

fn account(number: usize) -> AccountId {
    static ACCOUNTS: LazyLock<[AccountId; 2]> = LazyLock::new(|| [0, 1].map(|at| signer(at).account()));
    ACCOUNTS[number]
}

fn goal(number: usize) -> Goal {
    let at = number % POOLS.len();
    Goal::new(POOLS[at], account(at), 1_000)
}

fn worker(number: usize) -> Worker {
    Worker { name: WorkerName::new(format!("w{number}")).unwrap(), goal: goal(number), debug_key: None }
}

fn own(worker: &FakeWorker) -> MessageOrigin {
    MessageOrigin::Worker(worker.key())
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
