//! The trader through lost answers, cut connections, refusals, forks, rivals and restarts, from a seed.
//!
//! `PRB_SEED=n` plays one seed only.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, unreachable_pub)]

mod trader_support;

use prb_chain::{
    journal::Journal,
    keys::{Operator, Operators},
    trader::{Trader, TraderConfig},
};
use prb_core::{
    id::{Hash, JobId},
    port::{JobState, Outcome, SinkError, TxSink},
    testkit::Dice,
    tx::{Limits, Period},
};
use prb_devnet::{network::sign_para_call, rpc::Fault};
use sp_core::Pair;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, atomic::Ordering},
};
use trader_support::*;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_every_job_ends_once_and_says_the_truth() {
    let seeds: Vec<u64> = match std::env::var("PRB_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=3).collect(),
    };
    for seed in seeds {
        eprintln!("seed {seed}");
        Play::new(seed).run().await;
    }
}

struct Play {
    net: Net,
    dice: Dice,
    folder: tempfile::TempDir,
    trader: Option<Trader>,
    jobs: Vec<JobId>,
    rivals: BTreeSet<Hash>,
    /// Outcomes as they were first seen.
    seen: BTreeMap<JobId, Outcome>,
}

impl Play {
    fn new(seed: u64) -> Self {
        Self {
            net: Net::new(),
            dice: Dice::new(seed),
            folder: tempfile::tempdir().unwrap(),
            trader: None,
            jobs: vec![],
            rivals: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    async fn run(mut self) {
        self.restart().await;
        for _ in 0..120 {
            self.event().await;
            self.look().await;
        }
        self.heal();
        let start = std::time::Instant::now();
        while self.seen.len() < self.jobs.len() {
            assert!(start.elapsed().as_secs() < 300, "{} jobs do not end", self.jobs.len() - self.seen.len());
            self.net.devnet.step().unwrap();
            self.net.breathe().await;
            self.look().await;
        }
        // Long enough for anything that was sent to be included if it still could.
        self.net.devnet.steps(60).unwrap();
        self.compare();
    }

    async fn event(&mut self) {
        match self.dice.below(20) {
            0..=5 => self.submit().await,
            6..=12 => {
                self.net.devnet.step().unwrap();
            }
            13 => {
                let lose = self.dice.below(2) == 0;
                self.net.wire.lose_answers.store(lose, Ordering::SeqCst);
            }
            14 => {
                let cut = self.dice.below(3) == 0;
                self.net.wire.cut.store(cut, Ordering::SeqCst);
            }
            15 => self.refuse(),
            16 => self.restart().await,
            17 => drop(self.net.devnet.reorganize(self.dice.below(4) as u32)),
            18 => self.rival(),
            _ => self.net.devnet.para_node().set_fault(None),
        }
        if self.dice.below(3) == 0 {
            self.net.breathe().await;
        }
    }

    async fn submit(&mut self) {
        let number = self.jobs.len() as u64;
        let calls = (0..1 + self.dice.below(3)).map(|_| register(self.dice.below(40) as u8)).collect();
        let pool = if self.dice.below(2) == 0 { POOL } else { OTHER_POOL };
        match self.trader.as_ref().unwrap().submit(id(number), pool, calls).await {
            Ok(()) => self.jobs.push(id(number)),
            Err(SinkError::Busy { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn refuse(&mut self) {
        let cases = [
            (1010, "Transaction is outdated"),
            (1010, "Transaction has a bad signature"),
            (1010, "Transaction would exhaust the block limits"),
            (1012, ""),
            (1014, ""),
            (1016, ""),
            (-32000, "connection limit"),
        ];
        let (code, data) = cases[self.dice.below(cases.len() as u64) as usize];
        let error = Fault::Error {
            code,
            message: "refused".into(),
            data: Some(serde_json::Value::String(data.into())),
        };
        self.net.devnet.para_node().set_fault(Some(Arc::new(move |method, _| {
            method.starts_with("author_submit").then(|| error.clone())
        })));
    }

    /// Another program signs with the same account.
    fn rival(&mut self) {
        let pair = sp_core::sr25519::Pair::from_string("//Alice", None).unwrap();
        let call: prb_devnet::runtime::para::RuntimeCall =
            codec::Decode::decode(&mut &[0u8, 0, 4, 42][..]).unwrap();
        let tip = u128::from(self.dice.below(2)) * 1_000_000_000_000;
        let rival =
            sign_para_call(self.net.devnet.para(), &pair, self.net.nonce(&alice()), tip, call).unwrap();
        self.rivals.insert(Hash::of(&rival));
        // It may well be refused.
        let _ = self.net.devnet.para().submit(rival);
    }

    async fn restart(&mut self) {
        if let Some(trader) = self.trader.take() {
            match self.dice.below(2) {
                0 => trader.stop().await,
                _ => drop(trader),
            }
        }
        let journal = reopen(&self.folder.path().join("journal")).await;
        let config = TraderConfig {
            period: Period::new(8).unwrap(),
            limits: Limits { calls: 4, bytes: 1 << 20 },
            in_flight: 4,
            ..config()
        };
        let operators: Operators =
            [(POOL, Operator::new(alice())), (OTHER_POOL, Operator::new(bob()))].into_iter().collect();
        self.trader = Some(self.net.trader_with(&journal, operators, config));
    }

    /// Notes new outcomes, and that old ones stay.
    async fn look(&mut self) {
        let trader = self.trader.as_ref().unwrap();
        for job in &self.jobs {
            let state = trader.outcome(*job).await.unwrap().expect("an accepted job is known");
            match (state, self.seen.get(job)) {
                (JobState::Ended(now), Some(before)) => assert_eq!(now, *before),
                (JobState::Ended(now), None) => drop(self.seen.insert(*job, now)),
                (JobState::Pending, before) => assert_eq!(before, None),
            }
        }
    }

    fn heal(&self) {
        self.net.wire.cut.store(false, Ordering::SeqCst);
        self.net.wire.lose_answers.store(false, Ordering::SeqCst);
        self.net.devnet.para_node().set_fault(None);
    }

    /// What the jobs say against what is in the chain.
    fn compare(&self) {
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for outcome in self.seen.values() {
            *ends
                .entry(match outcome {
                    Outcome::Finalized { block, extrinsic, .. } => {
                        told.insert((block.height.0, *extrinsic));
                        "finalized"
                    }
                    Outcome::Rejected(_) => "rejected",
                    Outcome::Expired => "expired",
                    Outcome::Unknown(why) => panic!("nothing is hidden here, and yet unknown: {why}"),
                })
                .or_default() += 1;
        }
        let included = self.net.signed();
        let distinct: BTreeSet<(u32, Hash)> =
            included.iter().filter(|(_, hash)| !self.rivals.contains(hash)).copied().collect();
        assert_eq!(distinct, told, "what was included is what was said to be");
        let hashes: BTreeSet<Hash> = included.iter().map(|(_, hash)| *hash).collect();
        assert_eq!(hashes.len(), included.len(), "nothing was included twice");
        eprintln!(
            "{} jobs: {ends:?}, {} extrinsics, {} of rivals",
            self.jobs.len(),
            told.len(),
            self.rivals.len()
        );
        assert!(ends.get("finalized").copied().unwrap_or_default() > 0);
    }
}

async fn reopen(path: &Path) -> Arc<Journal> {
    let mut opened = None;
    eventually(|| {
        opened = Journal::open(path).ok();
        opened.is_some()
    })
    .await;
    opened.unwrap()
}
