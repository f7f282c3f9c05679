//! Faults of the trader with all that shows them: outcome, metric, log line.
//!
//! Each test runs on one thread, so that what is logged and counted is its own.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod trader_support;

use async_trait::async_trait;
use futures::stream::BoxStream;
use prb_chain::{
    chain_state::RpcChainState,
    journal::{Dropped, Journal},
    keys::{Operator, Operators, Signer},
    trader::{ChainNode, DryRun, NodeError, Nodes, Rivalry, TipBudget, Trader, TraderConfig, TxStatus},
};
use prb_core::testkit::Observed;
use prb_core::{
    backoff::Pace,
    id::Hash,
    port::{CallResult, ChainState, JobState, Outcome, StateError, TxSink},
    tx::Limits,
};
use prb_devnet::{
    network::{Devnet, Orders, sign_para_call},
    rpc::Fault,
};
use serde_json::{Value, json};
use sp_core::Pair;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use trader_support::*;

/// A node whose finality stands still at a block. Asked for blocks above that, it names those of another fork.
struct Behind {
    wire: Arc<Wire>,
    at: Mutex<Option<(u32, String)>>,
}

#[async_trait]
impl ChainNode for Behind {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let at = self.at.lock().unwrap().clone();
        if let Some((height, hash)) = at {
            match method {
                "chain_getFinalizedHead" => return Ok(json!(hash)),
                "chain_getBlockHash" if params[0].as_u64().is_some_and(|asked| asked > height.into()) => {
                    return Ok(json!(hash));
                }
                _ => {}
            }
        }
        self.wire.request(method, params).await
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        self.wire.submit(extrinsic).await
    }

    fn endpoint(&self) -> String {
        "second".to_owned()
    }
}

/// The first node goes away with an extrinsic under way; the second one is far behind what the first had finalized.
#[tokio::test]
async fn x03_a_node_that_is_behind_settles_nothing_and_nothing_is_sent_twice() {
    let observed = Observed::begin();
    let net = Net::new();
    let finalized = net.devnet.para().finalized_number();
    let hash = Hash(net.devnet.para().block_at(finalized).unwrap().hash.0).to_string();
    net.devnet.steps(24).unwrap();
    let second = Arc::new(Behind { wire: Wire::to(&net.devnet), at: Mutex::new(Some((finalized, hash))) });
    let nodes = Arc::new(Nodes::new(vec![net.wire.clone(), second.clone()]));
    let trader = Trader::start(nodes, both_pools(Operator::new(alice())), Journal::memory(), config());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.wire.cut.store(true, Ordering::SeqCst);
    // Past its mortality, for whoever would believe the second node's blocks.
    net.devnet.steps(50).unwrap();
    eventually(|| observed.counter("prb_tx_node_behind_total") >= 3).await;
    assert_eq!(trader.outcome(id(1)).await.unwrap(), Some(JobState::Pending));
    *second.at.lock().unwrap() = None;
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 1);
    let given = net.wire.submissions.load(Ordering::SeqCst) + second.wire.submissions.load(Ordering::SeqCst);
    assert_eq!(given, 1);
    assert!(observed.counter("prb_tx_node_changes_total") >= 1);
    assert!(!observed.lines(&["WARN", "transactions go through another node", "to=\"second\""]).is_empty());
    // And back again, once it is the only one that works.
    net.wire.cut.store(false, Ordering::SeqCst);
    second.wire.cut.store(true, Ordering::SeqCst);
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
    trader.stop().await;
}

/// The second node of the list is of another chain: a mistake that must not cost the first.
#[tokio::test]
async fn x01_a_spare_node_of_another_chain_is_passed_over() {
    let observed = Observed::begin();
    let net = Net::new();
    let other = Net::with(|config| config.para.pools.truncate(1));
    other.devnet.steps(80).unwrap();
    let nodes = || Arc::new(Nodes::new(vec![net.wire.clone(), other.wire.clone()]));
    let state = RpcChainState::new(nodes()).fresh_for(Duration::ZERO);
    let key = prb_core::storage_key::system_account(&account(&alice())).to_vec();
    let read = state.read(std::slice::from_ref(&key), None).await.unwrap();
    let trader = Trader::start(nodes(), both_pools(Operator::new(alice())), Journal::memory(), config());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.wire.cut.store(true, Ordering::SeqCst);
    eventually(|| observed.counter("prb_tx_foreign_nodes_total") == 1).await;
    for _ in 0..4 {
        assert!(matches!(
            state.read(std::slice::from_ref(&key), None).await,
            Err(StateError::Unreachable(_))
        ));
    }
    assert_eq!(trader.failure(), None);
    assert_eq!(trader.outcome(id(1)).await.unwrap(), Some(JobState::Pending));
    net.wire.cut.store(false, Ordering::SeqCst);
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    let again = state.read(&[key], None).await.unwrap();
    assert!(again.0.height > read.0.height && again.0.height.0 <= net.devnet.para().finalized_number());
    assert_eq!(other.wire.submissions.load(Ordering::SeqCst), 0);
    assert_eq!(observed.lines(&["WARN", "a node of another chain is passed over"]).len(), 1);
    trader.stop().await;
}

/// What was signed for the old runtime and is not included before the upgrade never will be.
#[tokio::test]
async fn x04_an_upgrade_ends_what_was_signed_before_it_and_what_follows_is_signed_for_the_new_runtime() {
    let observed = Observed::begin();
    let (net, journal) = (Net::new(), Journal::memory());
    let trader = net.trader(&journal);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    // The node takes nothing, and says nothing about it.
    net.devnet.para_node().set_fault(Some(Arc::new(|method, _| {
        method.starts_with("author_").then(|| Fault::error(-32000, "try later"))
    })));
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    eventually(|| journal.read(|image| image.sent().count()) == 1).await;
    net.devnet.order(|orders: &mut Orders| orders.para.spec_version = Some(9_999));
    net.devnet.steps(4).unwrap();
    net.devnet.para_node().set_fault(None);
    assert_eq!(net.outcome(&trader, id(2)).await, Outcome::Expired);
    trader.submit(id(3), POOL, vec![register(2)]).await.unwrap();
    assert_eq!(net.results(&trader, id(3)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
    assert_eq!(observed.counter("prb_tx_runtime_upgrades_total"), 1);
    assert_eq!(observed.counter("prb_tx_ended_total{fate=expired}"), 1);
    assert_eq!(observed.counter("prb_tx_ended_total{fate=finalized}"), 2);
    assert_eq!(observed.lines(&["INFO", "the runtime was upgraded", "spec_version=9999"]).len(), 1);
    assert_eq!(observed.lines(&["WARN", "not included", "fate=\"expired\""]).len(), 1);
    trader.stop().await;
}

/// What became of it is read with the runtime that its block was built with.
#[tokio::test]
async fn x04_what_was_included_before_an_upgrade_is_read_after_it() {
    let observed = Observed::begin();
    let net = Net::new();
    net.devnet.finalizer().adjust(|knobs| knobs.hold = true);
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1), stop(9)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.devnet.steps(4).unwrap();
    assert_eq!(net.signed().len(), 1);
    net.devnet.order(|orders: &mut Orders| orders.para.spec_version = Some(9_999));
    net.devnet.steps(4).unwrap();
    // Signed for the new runtime while the upgrade itself is not final.
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.devnet.finalizer().adjust(|knobs| knobs.hold = false);
    let missing = failed("PhalaStakePoolv2", "WorkerDoesNotExist");
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok, missing]);
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
    assert_eq!(observed.counter("prb_tx_runtime_upgrades_total"), 1);
    assert_eq!(observed.lines(&["the runtime was upgraded"]).len(), 1);
    trader.stop().await;
}

/// Two traders with journals of their own on one account: goal I5 as well.
#[tokio::test]
async fn x09_two_traders_on_one_account_rest_and_say_why() {
    let observed = Observed::begin();
    let net = Net::new();
    let rest = Pace { first: Duration::from_millis(100), longest: Duration::from_millis(200) };
    let rivalry = Rivalry { nonces: 3, within: Duration::from_secs(6), rest };
    let config = TraderConfig { limits: Limits { calls: 1, bytes: 1 << 20 }, rivalry, ..config() };
    let operators = || both_pools(Operator::new(alice()));
    let one = net.trader_with(&Journal::memory(), operators(), config);
    let other = net.trader_with(&Journal::memory(), operators(), config);
    let mut number = 0;
    net.step_until(async || {
        number += 1;
        one.submit(id(number), POOL, vec![register(number as u8)]).await.unwrap();
        other.submit(id(number), POOL, vec![register(100 + number as u8)]).await.unwrap();
        assert!(number < 100, "neither rests");
        !one.troubles().is_empty() && !other.troubles().is_empty()
    })
    .await;
    let text = format!("account {} is used by another program; stop one of them", account(&alice()));
    assert_eq!(one.troubles(), std::slice::from_ref(&text));
    assert!(observed.lines(&["WARN", &text]).len() >= 2);
    assert!(observed.counter("prb_tx_rests_total") >= 2);
    assert!(observed.counter("prb_tx_nonces_taken_total") >= 6);
    // Every job ends once, and never in two extrinsics.
    let mut included = std::collections::BTreeSet::new();
    for job in 1..=number {
        for trader in [&one, &other] {
            if let Outcome::Finalized { extrinsic, .. } = net.outcome(trader, id(job)).await {
                assert!(included.insert(extrinsic));
            }
        }
    }
    assert_eq!(net.signed().len(), included.len());
    other.stop().await;
    net.step_until(async || {
        number += 1;
        one.submit(id(number), POOL, vec![register(number as u8)]).await.unwrap();
        one.troubles().is_empty()
    })
    .await;
    assert!(!observed.lines(&["INFO", "nobody else signs with this account any more"]).is_empty());
    one.stop().await;
}

/// A transaction of somebody else, on the parachain.
fn of_another(net: &Net, uri: &str, nonce: u32, tip: u128) {
    give(&net.devnet, uri, nonce, tip);
}

fn give(devnet: &Devnet, uri: &str, nonce: u32, tip: u128) {
    let pair = sp_core::sr25519::Pair::from_string(uri, None).unwrap();
    let remark: prb_devnet::runtime::para::RuntimeCall =
        codec::Decode::decode(&mut &[0u8, 0, 4, 42][..]).unwrap();
    let rival = sign_para_call(devnet.para(), &pair, nonce, tip, remark).unwrap();
    devnet.para().submit(rival).unwrap();
}

#[tokio::test]
async fn x10_a_pool_that_is_full_is_waited_for() {
    let observed = Observed::begin();
    let net = Net::with(|config| config.pool.ready = 1);
    of_another(&net, "//Bob", 0, 0);
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| observed.counter("prb_tx_refused_total{reason=pool_full}") >= 2).await;
    assert_eq!(trader.outcome(id(1)).await.unwrap(), Some(JobState::Pending));
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
    let told =
        observed.lines(&["WARN", "the node refuses a transaction", "pool is full", "sent again later"]);
    assert_eq!(told.len(), 1, "once, however often it is refused");
    assert_eq!(observed.counter("prb_tx_ended_total{fate=finalized}"), 1);
    trader.stop().await;
}

#[tokio::test]
async fn x10_a_full_pool_is_outbid_within_the_budget_and_not_beyond() {
    let observed = Observed::begin();
    let net = Net::with(|config| config.pool.ready = 1);
    let journal = Journal::memory();
    let budget = TipBudget { first: 1_000_000_000, most: 2_000_000_000, daily: 1_500_000_000 };
    let config = TraderConfig { budget: Some(budget), ..config() };
    let trader = net.trader_with(&journal, both_pools(Operator::new(alice())), config);
    of_another(&net, "//Bob", 0, 0);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    // Without a single block.
    eventually(|| !observed.lines(&["a higher tip is offered"]).is_empty()).await;
    assert_eq!(observed.counter("prb_tx_refused_total{reason=pool_full}"), 1);
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(tips(&journal), 1_000_000_000);
    // Bob's was dropped for it; his next offer is beyond what is left for the day.
    of_another(&net, "//Bob", 0, 100_000_000_000);
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    eventually(|| observed.counter("prb_tx_refused_total{reason=pool_full}") >= 4).await;
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert!(tips(&journal) <= budget.daily);
    assert!(observed.counter("prb_tx_tips_planck_total") <= 1_500_000_000);
    trader.stop().await;
}

/// A way to the node that notes, of each extrinsic given to it, whether the journal has it and how much it has of tips.
struct Watched {
    wire: Arc<Wire>,
    journal: Arc<Journal>,
    seen: Mutex<Vec<(bool, u128)>>,
}

/// Tips of the day, whichever that is by now.
fn tips(journal: &Journal) -> u128 {
    let day = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    journal.read(|image| (day - 1..=day + 1).map(|day| image.tips_on(day)).sum())
}

#[async_trait]
impl ChainNode for Watched {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        self.wire.request(method, params).await
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        let hash = Hash::of(extrinsic);
        let written = self.journal.read(|image| image.sent().any(|sent| sent.hash == hash));
        self.seen.lock().unwrap().push((written, tips(&self.journal)));
        self.wire.submit(extrinsic).await
    }

    fn connection(&self) -> u64 {
        self.wire.connection()
    }
}

#[tokio::test]
async fn x10_no_tip_is_offered_that_is_not_written_down_and_none_counts_that_reached_nobody() {
    let observed = Observed::begin();
    let net = Net::with(|config| config.pool.ready = 1);
    let journal = Journal::memory();
    let seen = Mutex::default();
    let node = Arc::new(Watched { wire: net.wire.clone(), journal: journal.clone(), seen });
    let (first, most) = (1_000, 8_000);
    let budget = TipBudget { first, most, daily: 1_000_000 };
    let config = TraderConfig { budget: Some(budget), ..config() };
    // The pool is full of somebody who offers more than ever may be offered here.
    of_another(&net, "//Bob", 0, 100_000_000_000);
    let operators = both_pools(Operator::new(alice()));
    let trader = Trader::start(node.clone(), operators, journal.clone(), config);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| observed.counter("prb_tx_refused_total{reason=pool_full}") >= 4).await;
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    let seen = node.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(written, _)| *written), "{seen:?}");
    // What was refused is free again before more is offered.
    let offered: Vec<u128> = seen.iter().take(4).map(|(_, tips)| *tips).collect();
    assert_eq!(offered, [0, first, 2 * first, 4 * first]);
    // The one that was taken counts.
    assert_eq!(tips(&journal), seen.last().unwrap().1);
    assert_eq!(u128::from(observed.counter("prb_tx_tips_planck_total")), tips(&journal));
    trader.stop().await;
}

#[tokio::test]
async fn x10_a_nonce_that_another_takes_at_the_last_moment_costs_nothing_but_a_second_try() {
    let observed = Observed::begin();
    let net = Arc::new(Net::new());
    let (rival, done) = (Arc::downgrade(&net), AtomicBool::new(false));
    net.devnet.para_node().set_fault(Some(Arc::new(move |method, _| {
        if method == "author_submitAndWatchExtrinsic"
            && !done.swap(true, Ordering::SeqCst)
            && let Some(net) = rival.upgrade()
        {
            give(&net.devnet, "//Alice", 0, 1_000_000_000_000);
        }
        None
    })));
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
    assert_eq!(observed.counter("prb_tx_refused_total{reason=priority_too_low}"), 1);
    assert_eq!(observed.lines(&["WARN", "the node refuses a transaction", "priority is too low"]).len(), 1);
    trader.stop().await;
}

/// What a node says, how it is counted, and what the line says; all of it passes.
async fn passes(cases: &[(i32, &str, &str, &str, &str)]) {
    for (code, message, data, reason, words) in cases {
        let observed = Observed::begin();
        let net = Net::new();
        let trader = net.trader(&Journal::memory());
        net.refuse(2, *code, message, data);
        trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
        assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok], "{reason}");
        assert_eq!(net.signed().len(), 1, "{reason}");
        assert_eq!(observed.counter(&format!("prb_tx_refused_total{{reason={reason}}}")), 2);
        assert_eq!(observed.lines(&["WARN", "the node refuses a transaction", words]).len(), 1, "{reason}");
        assert_eq!(observed.counter("prb_tx_ended_total{fate=finalized}"), 1);
        trader.stop().await;
    }
}

#[tokio::test]
async fn x10_refusals_of_the_pool_are_counted_told_and_outlived() {
    let invalid = "Invalid Transaction";
    passes(&[
        (1010, invalid, "Transaction has an ancient birth block", "ancient_birth", "mortality has passed"),
        (1012, "Transaction is temporarily banned", "", "banned", "temporarily banned"),
        (1014, "Priority is too low: (1 vs 1)", "", "priority_too_low", "priority is too low"),
        (1016, "Immediately Dropped", "the limit", "pool_full", "pool is full"),
    ])
    .await;
}

#[tokio::test]
async fn x11_stale_and_future_nonces_are_asked_for_again() {
    let invalid = "Invalid Transaction";
    passes(&[
        (1010, invalid, "Transaction is outdated", "stale", "nonce is used up"),
        (1010, invalid, "Transaction will be valid in the future", "future", "nonce is too high"),
    ])
    .await;
}

#[tokio::test]
async fn x11_a_lost_answer_is_counted_told_and_settled_by_blocks() {
    let observed = Observed::begin();
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    net.wire.lose_answers.store(true, Ordering::SeqCst);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!((net.signed().len(), net.wire.submissions.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(observed.counter("prb_tx_lost_answers_total"), 1);
    assert!(observed.counter("prb_tx_troubles_total") >= 1);
    assert_eq!(observed.lines(&["WARN", "sent, without an answer", "connection reset"]).len(), 1);
    trader.stop().await;
}

/// The first of two never reaches the node, so the second one waits there for a nonce that nobody has used.
#[tokio::test]
async fn x11_a_gap_in_the_nonces_is_filled_with_the_same_bytes() {
    let observed = Observed::begin();
    let net = Net::new();
    let config = TraderConfig { limits: Limits { calls: 1, bytes: 1 << 20 }, ..config() };
    let trader = net.trader_with(&Journal::memory(), both_pools(Operator::new(alice())), config);
    net.refuse(1, -32000, "connection limit", "");
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| observed.counter("prb_tx_refused_total{reason=other}") == 1).await;
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    let mut hashes = Vec::new();
    for job in [1, 2] {
        let Outcome::Finalized { extrinsic, results, .. } = net.outcome(&trader, id(job)).await else {
            panic!("finalized")
        };
        assert_eq!(results, [CallResult::Ok]);
        hashes.push(extrinsic);
    }
    assert_eq!(net.signed().into_iter().map(|(_, hash)| hash).collect::<Vec<_>>(), hashes);
    assert_eq!(observed.counter("prb_tx_sent_total"), 2);
    assert_eq!(observed.lines(&["WARN", "the node refuses a transaction", "connection limit"]).len(), 1);
    trader.stop().await;
}

#[tokio::test]
async fn v3_f36_a_pause_holds_what_waits_lasts_over_a_restart_and_ends() {
    let observed = Observed::begin();
    let (net, journal) = (Net::new(), Journal::memory());
    let trader = net.trader(&journal);
    assert!(trader.pause(true).await.unwrap());
    assert!(!trader.pause(true).await.unwrap(), "paused already");
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    net.devnet.steps(10).unwrap();
    net.breathe().await;
    trader.stop().await;
    let trader = net.trader(&journal);
    net.devnet.steps(10).unwrap();
    net.breathe().await;
    assert_eq!(net.wire.submissions.load(Ordering::SeqCst), 0);
    assert_eq!(trader.drop_job(id(9)).await.unwrap(), Dropped::Unknown);
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    assert_eq!(trader.drop_job(id(2)).await.unwrap(), Dropped::Yes);
    assert_eq!(trader.drop_job(id(2)).await.unwrap(), Dropped::Ended);
    let dropped = Outcome::Rejected("dropped by the operator".into());
    assert_eq!(trader.outcome(id(2)).await.unwrap(), Some(JobState::Ended(dropped)));
    trader.pause(false).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    assert_eq!(trader.drop_job(id(1)).await.unwrap(), Dropped::UnderWay);
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 1);
    assert_eq!(observed.lines(&["WARN", "transactions are paused"]).len(), 2);
    assert_eq!(observed.lines(&["INFO", "transactions are sent again"]).len(), 1);
    assert_eq!(observed.counter("prb_tx_dropped_total"), 1);
    trader.stop().await;
}

#[tokio::test]
async fn v3_f36_the_journal_tells_what_each_job_was_when_and_what_it_cost() {
    let observed = Observed::begin();
    let (net, journal) = (Net::new(), Journal::memory());
    let trader = net.trader(&journal);
    trader.submit(id(1), POOL, vec![register(1), stop(9)]).await.unwrap();
    net.results(&trader, id(1)).await;
    let entry = journal.read(|image| image.entry(&id(1))).unwrap();
    assert_eq!((entry.pool, entry.stand.name()), (Some(POOL), "failed"));
    assert_eq!(
        entry.description,
        format!("register worker {}; stop worker {} of pool 1", worker(1), worker(9))
    );
    let (accepted, sent, ended) = (entry.accepted.unwrap(), entry.sent.unwrap(), entry.ended.unwrap());
    assert!(accepted > 1_600_000_000_000 && accepted <= sent && sent <= ended);
    assert_eq!(entry.extrinsic, Some(net.signed()[0].1));
    let message = entry.message.unwrap();
    assert_eq!(message, "1 of 2 calls failed, the first with PhalaStakePoolv2.WorkerDoesNotExist");
    let fees = journal.read(|image| image.fees().clone());
    let paid = fees.accounts[&account(&alice())];
    assert!(paid > 0);
    assert_eq!(fees.pools[&POOL], paid);
    assert_eq!(observed.counter("prb_tx_fees_planck_total{pool=1}"), paid as u64);
    trader.stop().await;
}

#[tokio::test]
async fn a_low_balance_is_told_once_and_so_is_its_end() {
    let observed = Observed::begin();
    let net = Net::new();
    let poor = Signer::from_seed(&[5; 32]).unwrap();
    let config = TraderConfig {
        low_balance: 2_000_000_000_000,
        balance_interval: Duration::from_millis(10),
        ..config()
    };
    let operators: Operators = both_pools(Operator::new(poor.clone()));
    let trader = net.trader_with(&Journal::memory(), operators.clone(), config);
    let text = format!("account {} has 0 PHA left, less than 2 PHA", account(&poor));
    eventually(|| !trader.troubles().is_empty()).await;
    assert!(trader.troubles()[0].starts_with(&text));
    net.breathe().await;
    assert_eq!(observed.lines(&["WARN", &text]).len(), 1);
    assert_eq!(observed.counter("prb_account_low_total"), 1);
    let gauge = format!("prb_account_balance_pha{{account={}}}", account(&poor));
    assert_eq!(observed.gauge(&gauge), Some(0.0));
    // Somebody tops it up.
    let key = prb_core::storage_key::system_account(&account(&poor));
    let rich = prb_core::storage_key::system_account(&account(&alice()));
    let rich = net.devnet.para().read(&rich, None).unwrap().unwrap();
    net.devnet.order(|orders: &mut Orders| orders.para.set_storage.push((key.to_vec(), Some(rich))));
    net.step_until(async || trader.troubles().is_empty()).await;
    assert_eq!(observed.lines(&["INFO", "balance is sufficient again"]).len(), 1);
    assert!(observed.gauge(&gauge).unwrap() > 2.0);
    trader.stop().await;
}

#[tokio::test]
async fn a_dry_run_tells_what_it_would_send_and_sends_nothing() {
    let observed = Observed::begin();
    let (net, journal) = (Net::new(), Journal::memory());
    let node = Arc::new(DryRun::new(net.wire.clone()));
    let trader = Trader::start(node, both_pools(Operator::new(alice())), journal.clone(), config());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| observed.counter("prb_tx_dry_run_total") == 1).await;
    let hash = journal.read(|image| image.sent().next().unwrap().hash);
    let lines = observed.lines(&["INFO", "dry run: not submitted", &hash.to_string(), "fee_planck="]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let fee: u128 = lines[0].split("fee_planck=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(fee > 0);
    assert_eq!(net.outcome(&trader, id(1)).await, Outcome::Expired);
    assert!(net.signed().is_empty());
    assert_eq!((net.in_pool(), net.wire.submissions.load(Ordering::SeqCst)), (0, 0));
    let requests = net.wire.requests.lock().unwrap();
    assert!(requests.iter().all(|method| !method.starts_with("author_")));
}
