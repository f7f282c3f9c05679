//! The trader against the dev network's parachain.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod port;
mod trader_support;

use port::Port;
use prb_chain::{
    journal::{Journal, Record, Sent},
    keys::{Operator, Operators, Signer},
    trader::{RpcNode, Trader, TraderConfig},
};
use prb_core::testkit::{Observed, conform::sink::tx_sink};
use prb_core::{
    id::{Hash, Height, PoolId},
    port::{CallResult, JobState, Outcome, SinkError, TxSink},
    tx::{Call, CallKey, Limits},
};
use prb_devnet::{
    network::{Orders, sign_para_call},
    rpc::Fault,
    runtime::para::ProxyType,
};
use sp_core::Pair;
use sp_keyring::Sr25519Keyring;
use std::{sync::Arc, sync::atomic::Ordering, time::Duration};
use trader_support::*;

/// Lives of a trader on one journal file.
struct OneFile(tempfile::TempDir);

#[async_trait::async_trait]
impl Lives for OneFile {
    async fn next(&mut self, net: &Net) -> Arc<dyn TxSink> {
        Arc::new(net.trader(&reopen(&self.0.path().join("journal")).await))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f034_the_trader_keeps_the_contract_of_a_sink() {
    let lives = OneFile(tempfile::tempdir().unwrap());
    tx_sink(&mut Bench { net: Net::new(), lives }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f051_a_single_call_ends_finalized() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(trader.unsettled().await.unwrap()[0].keys, [CallKey::Register(worker(1))]);

    let Outcome::Finalized { block, extrinsic, results } = net.outcome(&trader, id(1)).await else {
        panic!("finalized")
    };
    assert_eq!(results, [CallResult::Ok]);
    assert_eq!(net.signed(), [(block.height.0, extrinsic)]);
    assert_eq!(net.devnet.para().block_at(block.height.0).unwrap().hash.0, block.hash.0);
    assert!(net.devnet.para().finalized_number() >= block.height.0);
    assert!(trader.unsettled().await.unwrap().is_empty());
    assert_eq!(trader.outcome(id(2)).await.unwrap(), None);
    trader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_call_that_fails_says_why_by_name() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![stop(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [failed("PhalaStakePoolv2", "WorkerDoesNotExist")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_item_does_not_touch_the_others_of_its_batch() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1), stop(9), register(2)]).await.unwrap();
    assert_eq!(
        net.results(&trader, id(1)).await,
        [CallResult::Ok, failed("PhalaStakePoolv2", "WorkerDoesNotExist"), CallResult::Ok]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f35_jobs_that_come_close_together_share_an_extrinsic_and_get_their_own_results() {
    let net = Net::new();
    let config = TraderConfig { window: Duration::from_millis(300), ..config() };
    let trader = net.trader_with(&Journal::memory(), both_pools(Operator::new(alice())), config);
    // Nothing goes out before all are there.
    net.wire.cut.store(true, Ordering::SeqCst);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    trader.submit(id(2), OTHER_POOL, vec![stop(8), register(2)]).await.unwrap();
    trader.submit(id(3), POOL, vec![stop(9)]).await.unwrap();
    net.wire.cut.store(false, Ordering::SeqCst);
    eventually(|| net.in_pool() == 1).await;
    let missing = failed("PhalaStakePoolv2", "WorkerDoesNotExist");
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.results(&trader, id(2)).await, [missing.clone(), CallResult::Ok]);
    assert_eq!(net.results(&trader, id(3)).await, [missing]);
    assert_eq!(net.signed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f047_a_proxy_acts_for_the_owner_and_sends_endpoints_for_itself() {
    let net = Net::with(|config| {
        let (real, delegate) = (Sr25519Keyring::Alice.to_account_id(), Sr25519Keyring::Bob.to_account_id());
        config.para.proxies.push((real, delegate, ProxyType::StakePoolManager));
    });
    let operators = both_pools(Operator::proxy(bob(), account(&alice())));
    let config = TraderConfig { window: Duration::from_millis(300), ..config() };
    let trader = net.trader_with(&Journal::memory(), operators, config);
    let endpoint =
        Call::UpdateEndpoint { worker: worker(1), payload: endpoint_payload(), signature: vec![1; 64] };
    trader.submit(id(1), POOL, vec![register(1), stop(9)]).await.unwrap();
    trader.submit(id(2), POOL, vec![endpoint.clone()]).await.unwrap();
    trader.submit(id(3), POOL, vec![register(3)]).await.unwrap();

    let missing = failed("PhalaStakePoolv2", "WorkerDoesNotExist");
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok, missing]);
    // The call got through, the signature is none: `System.CallFiltered` would mean that it went through the proxy.
    let results = net.results(&trader, id(2)).await;
    assert!(
        matches!(&results[..], [CallResult::Failed(error)] if error.pallet.as_deref() == Some("PhalaRegistry")),
        "{results:?}"
    );
    assert_eq!(net.results(&trader, id(3)).await, [CallResult::Ok]);
    assert_eq!(net.nonce(&bob()), 3);
    let mixed = trader.submit(id(4), POOL, vec![register(1), endpoint]).await;
    assert!(matches!(mixed, Err(SinkError::Bad(_))), "{mixed:?}");
}

fn endpoint_payload() -> Vec<u8> {
    use codec::Encode;
    use prb_core::types::attestation::{VersionedWorkerEndpoints, WorkerEndpointPayload};
    WorkerEndpointPayload {
        pubkey: worker(1),
        versioned_endpoints: VersionedWorkerEndpoints::V1(vec!["http://a.b".into()]),
        signing_time: 1_700_000_000_000,
    }
    .encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_proxy_relation_every_call_fails_with_its_name() {
    let net = Net::new();
    let operators = both_pools(Operator::proxy(bob(), account(&alice())));
    let trader = net.trader_with(&Journal::memory(), operators, config());
    trader.submit(id(1), POOL, vec![register(1), register(2)]).await.unwrap();
    let not_proxy = failed("Proxy", "NotProxy");
    assert_eq!(net.results(&trader, id(1)).await, [not_proxy.clone(), not_proxy]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_share_an_account_share_its_nonces() {
    let net = Net::new();
    let config = TraderConfig { limits: Limits { calls: 1, bytes: 1 << 20 }, ..config() };
    let trader = net.trader_with(&Journal::memory(), both_pools(Operator::new(alice())), config);
    for number in 0..12 {
        let pool = if number % 2 == 0 { POOL } else { OTHER_POOL };
        trader.submit(id(number), pool, vec![register(number as u8)]).await.unwrap();
    }
    // All are in the pool before any block takes one, none waits for a nonce.
    eventually(|| net.in_pool() == 12).await;
    let mut places = Vec::new();
    for number in 0..12 {
        let Outcome::Finalized { block, extrinsic, results } = net.outcome(&trader, id(number)).await else {
            panic!("finalized")
        };
        assert_eq!(results, [CallResult::Ok]);
        places.push((block.height.0, extrinsic));
    }
    assert_eq!(net.signed(), places, "in the order they were submitted");
    assert_eq!(net.nonce(&alice()), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f44_two_accounts_do_not_take_up_the_same_thing_at_once() {
    let net = Net::new();
    let operators: Operators =
        [(POOL, Operator::new(alice())), (OTHER_POOL, Operator::new(bob()))].into_iter().collect();
    let trader = net.trader_with(&Journal::memory(), operators, config());
    let (one, other) = tokio::join!(
        trader.submit(id(1), POOL, vec![register(1)]),
        trader.submit(id(2), OTHER_POOL, vec![register(1)])
    );
    one.unwrap();
    other.unwrap();
    net.step_until(async || {
        let (open, ended) = trader.journal().read(|image| (image.sent().count(), image.ended().count()));
        assert!(open <= 1, "both are under way");
        ended == 2
    })
    .await;
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!((net.nonce(&alice()), net.nonce(&bob())), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_take_two_blocks() {
    use prb_core::types::message::{Message, MessageOrigin, SignedMessage};
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    let message = |sequence| {
        let message = Message {
            sender: MessageOrigin::Worker(worker(1)),
            destination: b"phala/x".to_vec(),
            payload: vec![7; 100],
        };
        Call::SyncMessage(SignedMessage { message, sequence, signature: vec![1; 64] })
    };
    for number in 0..50 {
        let calls = (0..20).map(|k| message(number * 20 + k)).collect();
        trader.submit(id(number), POOL, calls).await.unwrap();
    }
    let mut blocks = std::collections::BTreeSet::new();
    eventually(|| trader.journal().read(|image| image.waiting_len()) == 0).await;
    for number in 0..50 {
        let Outcome::Finalized { block, results, .. } = net.outcome(&trader, id(number)).await else {
            panic!("finalized")
        };
        assert_eq!(results.len(), 20);
        blocks.insert(block.height);
    }
    assert!(blocks.len() <= 2, "{blocks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_submission_and_finality_settles_without_sending_again() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    let trader = net.trader(&journal);
    trader.submit(id(1), POOL, vec![register(1), stop(2)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    drop((trader, journal));

    let journal = reopen(&path).await;
    let trader = net.trader(&journal);
    assert_eq!(trader.outcome(id(1)).await.unwrap(), Some(JobState::Pending));
    let unsettled = trader.unsettled().await.unwrap();
    assert_eq!((unsettled[0].job, unsettled[0].pool, unsettled.len()), (id(1), POOL, 1));
    trader.submit(id(1), POOL, vec![register(1), stop(2)]).await.unwrap();
    // About the same worker: waits until the first is settled.
    trader.submit(id(2), POOL, vec![register(1)]).await.unwrap();
    let missing = failed("PhalaStakePoolv2", "WorkerDoesNotExist");
    net.step_until(async || {
        let submissions = net.wire.submissions.load(Ordering::SeqCst);
        let pending = trader.outcome(id(1)).await.unwrap() == Some(JobState::Pending);
        assert!(!pending || submissions == 1, "sent again");
        !pending
    })
    .await;
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok, missing]);
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
    let ended = trader.outcome(id(1)).await.unwrap();
    drop((trader, journal));
    let trader = net.trader(&reopen(&path).await);
    assert_eq!(trader.outcome(id(1)).await.unwrap(), ended, "an outcome never changes");
}

async fn reopen(path: &std::path::Path) -> Arc<Journal> {
    let mut opened = None;
    eventually(|| {
        opened = Journal::open(path).ok();
        opened.is_some()
    })
    .await;
    opened.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_before_the_node_had_it_sends_the_same_bytes() {
    let net = Net::new();
    let journal = Journal::memory();
    let trader = net.trader(&journal);
    net.refuse(1000, -32000, "connection limit", "");
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| journal.read(|image| image.sent().count()) == 1).await;
    drop(trader);
    net.devnet.para_node().set_fault(None);
    let hash = journal.read(|image| image.sent().next().unwrap().hash);
    let trader = net.trader(&journal);
    let Outcome::Finalized { extrinsic, .. } = net.outcome(&trader, id(1)).await else { panic!("finalized") };
    assert_eq!(extrinsic, hash);
    assert_eq!(net.signed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_settled_by_the_chain() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    net.wire.lose_answers.store(true, Ordering::SeqCst);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.wire.cut.store(true, Ordering::SeqCst);
    net.devnet.steps(6).unwrap();
    net.wire.cut.store(false, Ordering::SeqCst);
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 1);
    assert_eq!(net.wire.submissions.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_is_found_again_over_its_socket() {
    let (net, port) = (Net::new(), Port::keep());
    let server = net.devnet.serve_para(port.addr).await.unwrap();
    let node = Arc::new(RpcNode::new(&server.url()).deadline(Duration::from_secs(60)));
    let operators = both_pools(Operator::new(alice()));
    let trader = Trader::start(node, operators, Journal::memory(), config());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    server.stop().await;
    net.devnet.steps(6).unwrap();
    let _server = net.devnet.serve_para(port.addr).await.unwrap();
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_included_expires_with_its_mortality_and_frees_its_nonce() {
    let net = Net::new();
    let journal = Journal::memory();
    let trader = net.trader(&journal);
    // The node takes nothing, and says nothing about it.
    net.devnet.para_node().set_fault(Some(Arc::new(|method, _| {
        method.starts_with("author_").then(|| Fault::error(-32000, "try later"))
    })));
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| journal.read(|image| image.sent().count()) == 1).await;
    let last = journal.read(|image| image.sent().next().unwrap().mortality().unwrap().last_valid());
    let mut early = true;
    net.step_until(async || {
        let finalized = net.devnet.para().finalized_number();
        let state = trader.outcome(id(1)).await.unwrap().unwrap();
        early &= state == JobState::Pending || finalized >= last.0;
        state == JobState::Ended(Outcome::Expired)
    })
    .await;
    assert!(early, "expired before block {last} was final");
    net.devnet.para_node().set_fault(None);
    trader.submit(id(2), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!(net.nonce(&alice()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_pass_are_outlived_with_one_inclusion() {
    let cases = [
        (2, 1010, "Invalid Transaction", "Transaction is outdated"),
        (2, 1010, "Invalid Transaction", "Transaction will be valid in the future"),
        (1, 1010, "Invalid Transaction", "Transaction has a bad signature"),
        (2, 1010, "Invalid Transaction", "Transaction has an ancient birth block"),
        (1, 1010, "Invalid Transaction", "Transaction call is not expected"),
        (3, 1011, "Unknown Transaction Validity", ""),
        (2, 1012, "Transaction is temporarily banned", ""),
        (3, 1014, "Priority is too low: (1 vs 1)", ""),
        (3, 1015, "Cycle Detected", ""),
        (6, 1016, "Immediately Dropped", "The transaction couldn't enter the pool because of the limit."),
        (2, 1002, "Verification Error: Runtime error", ""),
    ];
    for (times, code, message, data) in cases {
        let net = Net::new();
        let trader = net.trader(&Journal::memory());
        net.refuse(times, code, message, data);
        trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
        assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok], "{code} {data}");
        assert_eq!(net.wire.submissions.load(Ordering::SeqCst), times + 1, "{code} {data}");
        assert_eq!(net.signed().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_stay_end_the_job_with_advice() {
    let cases = [
        (1010, "Transaction has a bad signature", "bad signature"),
        (1010, "Inability to pay some fees (e.g. account balance too low)", "top it up"),
        (1010, "Transaction would exhaust the block limits", "fewer calls"),
        (1010, "Custom error: 7", "Custom error: 7"),
        (1001, "", "invalid format"),
    ];
    for (code, data, advice) in cases {
        let net = Net::new();
        let trader = net.trader(&Journal::memory());
        net.refuse(1000, code, "Invalid Transaction", data);
        trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
        let Outcome::Rejected(why) = net.outcome(&trader, id(1)).await else { panic!("rejected") };
        assert!(why.contains(advice), "{why}");
        assert!(net.signed().is_empty());
        net.devnet.para_node().set_fault(None);
        trader.submit(id(2), POOL, vec![register(1)]).await.unwrap();
        assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    }
}

#[tokio::test]
async fn a_refusal_is_told_once_with_its_remedy_until_something_is_taken() {
    let observed = Observed::begin();
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    let told = || observed.lines(&["WARN", "the node refuses a transaction"]);
    for round in 1..=2 {
        net.refuse(
            1000,
            1010,
            "Invalid Transaction",
            "Inability to pay some fees (e.g. account balance too low)",
        );
        for number in 0..5 {
            let job = id(10 * round + number);
            trader.submit(job, POOL, vec![register(1)]).await.unwrap();
            let ended = net.outcome(&trader, job).await;
            assert!(matches!(ended, Outcome::Rejected(_)), "{ended:?}");
        }
        assert_eq!(told().len() as u64, round, "{:?}", told());
        net.devnet.para_node().set_fault(None);
        trader.submit(id(10 * round + 9), POOL, vec![register(1)]).await.unwrap();
        assert_eq!(net.results(&trader, id(10 * round + 9)).await, [CallResult::Ok]);
    }
    let line = &told()[0];
    assert!(line.contains("remedy=given up: the operator account cannot pay the fee: top it up"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_too_heavy_is_halved_until_it_fits() {
    let net = Net::new();
    let config = TraderConfig { window: Duration::from_millis(200), ..config() };
    let trader = net.trader_with(&Journal::memory(), both_pools(Operator::new(alice())), config);
    net.refuse(2, 1010, "Invalid Transaction", "Transaction would exhaust the block limits");
    // Nothing goes out before all are there.
    net.wire.cut.store(true, Ordering::SeqCst);
    for number in 0..8 {
        trader.submit(id(number), POOL, vec![register(number as u8)]).await.unwrap();
    }
    net.wire.cut.store(false, Ordering::SeqCst);
    let mut extrinsics = std::collections::BTreeSet::new();
    for number in 0..8 {
        let Outcome::Finalized { extrinsic, results, .. } = net.outcome(&trader, id(number)).await else {
            panic!("finalized")
        };
        assert_eq!(results, [CallResult::Ok]);
        extrinsics.insert(extrinsic);
    }
    assert!(extrinsics.len() >= 2, "{}", extrinsics.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_money_is_named() {
    let net = Net::new();
    let poor = Signer::from_seed(&[5; 32]).unwrap();
    let trader = net.trader_with(&Journal::memory(), both_pools(Operator::new(poor)), config());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    let Outcome::Rejected(why) = net.outcome(&trader, id(1)).await else { panic!("rejected") };
    assert!(why.contains("top it up"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_upgrade_under_way_is_followed() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    net.results(&trader, id(1)).await;
    net.devnet.order(|orders: &mut Orders| orders.para.spec_version = Some(9_999));
    net.devnet.steps(4).unwrap();
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    let metadata = |method: &String| method == "state_getMetadata";
    assert_eq!(net.wire.requests.lock().unwrap().iter().filter(|m| metadata(m)).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_used_by_another_program_rejects_the_job_and_the_lane_goes_on() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    // The same account, the same nonce, a better tip.
    let pair = sp_core::sr25519::Pair::from_string("//Alice", None).unwrap();
    let remark = frame_remark();
    let rival = sign_para_call(net.devnet.para(), &pair, 0, 1_000_000_000_000, remark).unwrap();
    net.devnet.para().submit(rival).unwrap();
    let Outcome::Rejected(why) = net.outcome(&trader, id(1)).await else { panic!("rejected") };
    assert!(why.contains("another program"), "{why}");
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
}

fn frame_remark() -> prb_devnet::runtime::para::RuntimeCall {
    codec::Decode::decode(&mut &[0u8, 0, 4, 42][..]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_drops_the_block_does_not_make_it_happen_twice() {
    let net = Net::new();
    net.devnet.finalizer().adjust(|knobs| knobs.hold = true);
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.devnet.steps(4).unwrap();
    assert_eq!(net.in_pool(), 0);
    net.devnet.reorganize(4);
    net.devnet.finalizer().adjust(|knobs| knobs.hold = false);
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inclusion_whose_state_is_pruned_is_unknown_not_repeated() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;
    net.devnet.para_node().behave(|node| node.pruned_below = u32::MAX);
    let Outcome::Unknown(why) = net.outcome(&trader, id(1)).await else { panic!("unknown") };
    assert!(why.contains("included in block"), "{why}");
    assert_eq!(net.signed().len(), 1);
    assert!(trader.decided_at(id(1)).await.unwrap() > Some(prb_core::id::Height(0)), "state decides it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_at_once() {
    let net = Net::new();
    let config = TraderConfig { waiting: 2, ..config() };
    let trader = net.trader_with(&Journal::memory(), both_pools(Operator::new(alice())), config);
    net.wire.cut.store(true, Ordering::SeqCst);
    assert!(matches!(trader.submit(id(1), POOL, vec![]).await, Err(SinkError::Bad(_))));
    assert!(matches!(
        trader.submit(id(1), PoolId(77), vec![register(1)]).await,
        Err(SinkError::NoOperator(PoolId(77)))
    ));
    let many = vec![stop(1); 1001];
    assert!(matches!(trader.submit(id(1), POOL, many).await, Err(SinkError::Bad(_))));
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    assert!(matches!(
        trader.submit(id(3), POOL, vec![register(3)]).await,
        Err(SinkError::Busy { waiting: 2 })
    ));
    assert_eq!(trader.outcome(id(3)).await.unwrap(), None, "a refused job is not kept");
    net.wire.cut.store(false, Ordering::SeqCst);
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_changed_on_the_way_signs_what_is_left() {
    let net = Net::new();
    let operators: Operators = [(POOL, Operator::new(alice()))].into_iter().collect();
    let trader = net.trader_with(&Journal::memory(), operators.clone(), config());
    net.wire.cut.store(true, Ordering::SeqCst);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    operators.set(POOL, Operator::new(bob()));
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    net.wire.cut.store(false, Ordering::SeqCst);
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    assert_eq!(net.nonce(&alice()), 0);
    assert!(net.nonce(&bob()) >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_lane_takes_over_the_jobs_of_an_operator_that_changed() {
    let net = Net::new();
    let operators = both_pools(Operator::new(bob()));
    operators.set(POOL, Operator::new(alice()));
    let trader = net.trader_with(&Journal::memory(), operators.clone(), config());
    // Bob's lane has had work and sleeps.
    trader.submit(id(1), OTHER_POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    net.wire.cut.store(true, Ordering::SeqCst);
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    operators.set(POOL, Operator::new(bob()));
    net.wire.cut.store(false, Ordering::SeqCst);
    let start = std::time::Instant::now();
    assert_eq!(net.results(&trader, id(2)).await, [CallResult::Ok]);
    // By itself it sleeps for a minute.
    assert!(start.elapsed() < Duration::from_secs(50), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_crashed_is_started_again() {
    let net = Net::new();
    let trader = net.trader(&Journal::memory());
    net.wire.crash.store(true, Ordering::SeqCst);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    assert_eq!(net.signed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalized_header_with_a_wrong_number_is_not_believed() {
    let net = Net::new();
    let lies = std::sync::atomic::AtomicUsize::new(3);
    net.devnet.para_node().set_fault(Some(Arc::new(move |method, _| {
        let due = method == "chain_getHeader"
            && lies.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        due.then(|| Fault::edit(|header| header["number"] = "0xffffff00".into()))
    })));
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
}

#[tokio::test]
async fn what_is_of_another_chain_is_neither_settled_nor_sent() {
    let observed = Observed::begin();
    let (net, journal) = (Net::new(), Journal::memory());
    let other = Hash([9; 32]);
    let job = |number| Record::Accepted { job: id(number), pool: POOL, calls: vec![register(number as u8)] };
    // Long past its mortality, if this were its chain.
    let sent = Sent {
        hash: Hash([1; 32]),
        signer: account(&alice()),
        nonce: 0,
        birth: Height(1),
        period: 4,
        bytes: vec![1; 40],
        proxied: false,
        batched: false,
        jobs: vec![(id(1), 1)],
    };
    journal.write(vec![Record::Chain(other), job(1), job(2), Record::Sent(sent)]).await.unwrap();
    let trader = net.trader(&journal);
    eventually(|| trader.failure().is_some()).await;
    net.devnet.steps(20).unwrap();
    net.breathe().await;
    let node = net.devnet.para().block_at(0).unwrap().hash.0;
    let cause = format!(
        "the transaction journal holds parachain {other}, the node is {}; choose another data_dir or the right node",
        Hash(node)
    );
    assert_eq!(trader.failure(), Some(cause.clone()));
    for number in [1, 2] {
        assert_eq!(trader.outcome(id(number)).await.unwrap(), Some(JobState::Pending));
    }
    assert_eq!(net.wire.submissions.load(Ordering::SeqCst), 0);
    assert!(net.wire.requests.lock().unwrap().iter().all(|method| method == "chain_getBlockHash"));
    assert_eq!(observed.lines(&["ERROR", &cause]).len(), 1);
    assert_eq!(observed.counter("prb_tx_other_chain_total"), 1);
    trader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_behind_the_same_address_ends_nothing_until_the_right_one_is_back() {
    let net = Net::new();
    let other = Net::with(|config| config.para.pools.truncate(1));
    let block_0 = |net: &Net| net.devnet.para().block_at(0).unwrap().hash.0;
    assert_ne!(block_0(&net), block_0(&other));
    let trader = net.trader(&Journal::memory());
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    eventually(|| net.in_pool() == 1).await;

    // Long past its mortality, if this were its chain.
    other.devnet.steps(80).unwrap();
    net.wire.connect(Some(&other.wire));
    eventually(|| trader.failure().is_some()).await;
    trader.submit(id(2), POOL, vec![register(2)]).await.unwrap();
    net.breathe().await;
    for number in [1, 2] {
        assert_eq!(trader.outcome(id(number)).await.unwrap(), Some(JobState::Pending));
    }
    assert_eq!(other.wire.submissions.load(Ordering::SeqCst), 0);

    net.wire.connect(None);
    for number in [1, 2] {
        assert_eq!(net.results(&trader, id(number)).await, [CallResult::Ok]);
    }
    assert_eq!(trader.failure(), None);
    assert_eq!(net.signed().len(), 2);
    trader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_journal_is_about_the_first_chain_it_meets() {
    let (net, journal) = (Net::new(), Journal::memory());
    let trader = net.trader(&journal);
    trader.submit(id(1), POOL, vec![register(1)]).await.unwrap();
    assert_eq!(net.results(&trader, id(1)).await, [CallResult::Ok]);
    let chain = net.devnet.para().block_at(0).unwrap().hash.0;
    assert_eq!(journal.read(|image| image.chain()), Some(Hash(chain)));
    assert_eq!(trader.failure(), None);
    trader.stop().await;
}
