//! Worker and chain facts → transactions, on a whole bridge with one worker.

use crate::world::{BLOCK, Diary, POOL, World, all_working, own, quiet, seconds, stage_of, worker};
use prb_core::{
    id::{AccountId, PoolId, WorkerName},
    lifecycle::{Goal, Stage},
    pipeline::{Bridge, Event, Worker},
    port::{CallResult, Outcome, sink::DispatchError, worker::Refusal},
    testkit::{
        FakeChain, FakeState, FakeWorker, JobFault, Observed, SinkCall, SinkFault, StateFault, ToyVerifier,
        WorkerFault, eventually,
    },
    tx::Call,
    types::{facts::SessionState, message::MessageOrigin},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Long enough for registration, benchmark, pool and start, with pauses after some failures.
const AGES: std::time::Duration = seconds(1800);

const WAY: [(&str, &str); 4] = [
    ("PhalaRegistry", "register_worker_v2"),
    ("PhalaMq", "sync_offchain_message"),
    ("PhalaStakePoolv2", "add_worker"),
    ("PhalaStakePoolv2", "start_computing"),
];

fn is_submit(call: &SinkCall, name: &str) -> bool {
    matches!(call, SinkCall::Submit(_, _, calls) if calls.iter().any(|call| call.names().1 == name))
}

#[tokio::test(start_paused = true)]
async fn v2_f026_a_worker_goes_from_nothing_to_working_with_four_calls() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], seconds(300)).await;
    assert_eq!(world.sink.calls(), WAY);
    assert_eq!(world.chain.session(POOL, &fake.key()), Some(SessionState::WorkerIdle));
    assert_eq!(
        diary.stages("w"),
        [
            Stage::Initializing,
            Stage::Syncing,
            Stage::Registering,
            Stage::AwaitingScore,
            Stage::JoiningPool,
            Stage::StartingComputing,
            Stage::Working
        ]
    );
    assert_eq!(fake.refused(), Vec::<String>::new());
    let ended = |event: &&Event| {
        matches!(event, Event::JobEnded { pool: POOL, outcome: Outcome::Finalized { results, .. }, .. }
            if results == &[CallResult::Ok])
    };
    eventually("four jobs ended well", seconds(30), || diary.events().iter().filter(ended).count() >= 4)
        .await;
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_working_worker_stays_working_while_the_chain_advances() {
    let world = quiet();
    let fake = FakeWorker::new("w").latency(std::time::Duration::from_millis(200));
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], seconds(300)).await;
    let diary = Diary::of(bridge.events());
    for _ in 0..6000 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(stage_of(&bridge, &fake), Some(Stage::Working));
    }
    assert_eq!(diary.stages("w"), [], "the stage flapped");
    assert_eq!(diary.troubles("w"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn v2_f027_messages_are_relayed_once_each_and_in_order() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], seconds(300)).await;
    world.chain.prompt(own(&fake), 1000);
    let before = world.chain.taken(&own(&fake));
    eventually("all messages are taken", seconds(600), || world.chain.taken(&own(&fake)) >= before + 1000)
        .await;
    tokio::time::sleep(seconds(120)).await;
    let sequences = world.sink.sequences(&own(&fake));
    assert_eq!(sequences, (0..sequences.len() as u64).collect::<Vec<_>>());
    assert_eq!(world.chain.taken(&own(&fake)), sequences.len() as u64);
    assert_eq!(bridge.workers_status()[0].messages_synced, sequences.len() as u64);
    assert!(fake.peek().pending_messages <= 1, "{} left", fake.peek().pending_messages);
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_the_sink_is_got_over_on_every_step_of_the_way() {
    for fault in [
        SinkFault::Busy,
        SinkFault::Unreachable,
        SinkFault::LostReply,
        SinkFault::Journal,
        SinkFault::Hang(seconds(30)),
        SinkFault::NoOperator,
    ] {
        for (_, name) in WAY {
            let world = quiet();
            world.sink.hook().times(3, move |call| is_submit(call, name), fault);
            let fake = FakeWorker::new("w");
            let bridge = world.bridge(1, &[&fake]).await;
            let _pulse = world.chain.pulse(BLOCK);
            all_working(&bridge, &[&fake], AGES).await;
            bridge.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_answers_nothing_is_waited_for() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    world.sink.hook().always(|_| true, SinkFault::Unreachable);
    tokio::time::sleep(seconds(600)).await;
    assert!(diary.troubles("w").iter().any(|cause| cause.contains("sink is not reachable")));
    world.sink.hook().clear();
    all_working(&bridge, &[&fake], AGES).await;
    assert!(diary.has(|event| matches!(event, Event::WorkerRecovered { .. })));
    // What was not accepted was not counted either: each call was made once.
    assert_eq!(world.sink.calls(), WAY);
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_job_leads_on_at_every_step_of_the_way() {
    let failure = DispatchError { pallet: Some("Scripted".into()), error: "Failure".into() };
    for fault in [
        JobFault::Slow(10),
        JobFault::Expire,
        JobFault::Reject("1010: scripted".into()),
        JobFault::Fail(failure),
        JobFault::Unknown { lands_after: Some(4) },
    ] {
        for (_, name) in WAY {
            let world = quiet();
            world.sink.fate().times(1, move |call| is_submit(call, name), fault.clone());
            let fake = FakeWorker::new("w");
            let bridge = world.bridge(1, &[&fake]).await;
            let diary = Diary::of(bridge.events());
            let _pulse = world.chain.pulse(BLOCK);
            all_working(&bridge, &[&fake], AGES).await;
            if !matches!(fault, JobFault::Slow(_)) {
                assert!(
                    diary.has(|event| matches!(event, Event::JobEnded { outcome, .. }
                        if !matches!(outcome, Outcome::Finalized { results, .. } if results == &[CallResult::Ok]))),
                    "{fault:?} at {name} was not told"
                );
            }
            bridge.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_call_is_repeated_ever_more_seldom_though_blocks_go_on() {
    let world = quiet();
    world.chain.set_free_stake(10);
    let fake = FakeWorker::new("w").latency(std::time::Duration::from_millis(300));
    let bridge = world.bridge(1, &[&fake]).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    tokio::time::sleep(seconds(3600)).await;
    let tried = world.sink.calls().iter().filter(|(_, name)| *name == "start_computing").count();
    assert!((6..20).contains(&tried), "{tried} paid failures in an hour");
    let status = &bridge.workers_status()[0];
    assert_eq!(status.stage, Stage::StartingComputing);
    assert!(status.trouble.as_ref().unwrap().contains("add stake to the pool"), "{status:?}");
    assert!(diary.troubles("w").len() < 2 * tried + 10);
    world.chain.set_free_stake(u128::MAX);
    all_working(&bridge, &[&fake], seconds(1200)).await;
    assert!(diary.has(|event| matches!(event, Event::WorkerRecovered { .. })));
    assert_eq!(bridge.workers_status()[0].trouble, None);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_sink_forgot_is_submitted_again() {
    let world = quiet();
    world.sink.fate().times(1, |call| is_submit(call, "register_worker_v2"), JobFault::Slow(1000));
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    eventually("registration is submitted", seconds(60), || !world.sink.jobs().is_empty()).await;
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(world.sink.jobs().len(), 1);
    let job = world.sink.jobs()[0].0;
    world.sink.forget(job);
    all_working(&bridge, &[&fake], AGES).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_repeat_what_is_under_way() {
    for (_, name) in WAY {
        let world = quiet();
        world.sink.fate().times(1, move |call| is_submit(call, name), JobFault::Slow(20));
        let fake = FakeWorker::new("w");
        let _pulse = world.chain.pulse(BLOCK);
        let first = world.bridge(1, &[&fake]).await;
        let submitted = || world.sink.calls().iter().any(|(_, call)| *call == name);
        eventually("the slow job is submitted", seconds(300), submitted).await;
        first.stop().await;
        let second = world.bridge(2, &[&fake]).await;
        let diary = Diary::of(second.events());
        all_working(&second, &[&fake], AGES).await;
        // The fake sink panics if anything is sent twice; in the end each call was made once.
        assert_eq!(world.sink.calls(), WAY);
        assert!(diary.has(|event| matches!(event, Event::JobEnded { job, .. } if job.era == 1)), "{name}");
        second.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn chain_state_that_cannot_be_read_is_waited_for() {
    for fault in
        [StateFault::Empty, StateFault::Unreachable, StateFault::Damaged, StateFault::Hang(seconds(30))]
    {
        let world = quiet();
        world.state.hook().times(10, |_| true, fault);
        let fake = FakeWorker::new("w");
        let bridge = world.bridge(1, &[&fake]).await;
        let _pulse = world.chain.pulse(BLOCK);
        all_working(&bridge, &[&fake], AGES).await;
        assert_eq!(world.sink.calls(), WAY);
        bridge.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn chain_state_that_lags_does_not_repeat_calls() {
    let world = quiet();
    world.state.lag(3);
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], AGES).await;
    assert_eq!(world.sink.calls(), WAY);
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_repeat_what_the_state_is_too_old_to_show() {
    for (_, name) in WAY {
        let mut world = quiet();
        let fake = FakeWorker::new("w");
        let _pulse = world.chain.pulse(BLOCK);
        let first = world.bridge(1, &[&fake]).await;
        let ended = || {
            let jobs = world.sink.jobs();
            let job = jobs.iter().find(|(_, _, calls)| calls[0].names().1 == name);
            job.is_some_and(|(job, ..)| world.chain.outcome(*job).is_some())
        };
        eventually("the job is final", seconds(300), ended).await;
        first.stop().await;
        // The second life begins with state from before the job, as a store has that is still catching up.
        world.state = FakeState::new(&world.chain);
        world.state.lag(8);
        let second = world.bridge(2, &[&fake]).await;
        all_working(&second, &[&fake], AGES).await;
        assert_eq!(world.sink.calls(), WAY, "stopped after {name}");
        second.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_attest_or_is_away_is_asked_again() {
    for fault in [WorkerFault::Unreachable, WorkerFault::Hang(seconds(60)), WorkerFault::Reboot] {
        for method in ["GetRuntimeInfo", "GetEgressMessages"] {
            let world = quiet();
            let fake = FakeWorker::new("w");
            fake.hook().times(2, move |call| *call == method, fault.clone());
            let bridge = world.bridge(1, &[&fake]).await;
            let _pulse = world.chain.pulse(BLOCK);
            all_working(&bridge, &[&fake], AGES).await;
            assert_eq!(world.sink.calls(), WAY, "{fault:?} at {method}");
            bridge.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_a_new_key_is_registered_anew() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], seconds(300)).await;
    let old = fake.key();
    fake.replace_key();
    eventually("the new key computes", AGES, || {
        world.chain.session(POOL, &fake.key()) == Some(SessionState::WorkerIdle)
    })
    .await;
    assert_ne!(old, fake.key());
    all_working(&bridge, &[&fake], seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn v3_f31_a_worker_registered_for_another_owner_is_registered_again() {
    let owner = AccountId([0xbb; 32]);
    let world = World::new(FakeChain::builder(1).pool(PoolId(2), owner).build());
    world.chain.advance(25);
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let first = world.bridge(1, &[]).await;
    // Held before it is in the other pool.
    let held = Goal { min_score: Some(u32::MAX), ..Goal::new(PoolId(2), owner, 5) };
    let name = WorkerName::new("w").unwrap();
    first.add_worker(Worker { name: name.clone(), goal: held, debug_key: None }, fake.clone()).unwrap();
    eventually("registered for the other owner", seconds(300), || {
        world.chain.entry(&fake.key()).is_some_and(|entry| entry.initial_score.is_some())
    })
    .await;
    first.remove_worker(&name).await.unwrap();
    first.add_worker(worker("w"), fake.clone()).unwrap();
    all_working(&first, &[&fake], AGES).await;
    assert_eq!(world.chain.entry(&fake.key()).unwrap().operator, Some(FakeChain::OWNER));
}

#[tokio::test(start_paused = true)]
async fn workers_that_only_sync_send_nothing() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let bridge = Bridge::builder()
        .source(world.source.clone(), ToyVerifier::new())
        .store(Arc::new(world.store.clone()))
        .sink(Arc::new(world.sink.clone()))
        .state(Arc::new(world.state.clone()))
        .worker(Worker { goal: Goal { sync_only: true, ..worker("w").goal }, ..worker("w") }, fake.clone())
        .start()
        .await
        .unwrap();
    let _pulse = world.chain.pulse(BLOCK);
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(stage_of(&bridge, &fake), Some(Stage::SyncOnly));
    assert_eq!(world.sink.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn v3_f28_a_worker_that_only_syncs_has_its_messages_carried_once_the_chain_knows_it() {
    let chain = FakeChain::builder(1).challenge_every(2).build();
    chain.advance(25);
    let world = World::new(chain);
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], AGES).await;
    let name = WorkerName::new("w").unwrap();
    let only_synced = Goal { sync_only: true, ..worker("w").goal };

    // What it computes with is left alone, and its heartbeats arrive.
    bridge.change_worker(&name, only_synced.clone()).unwrap();
    let other_calls = || world.sink.calls().iter().filter(|call| call.1 != "sync_offchain_message").count();
    let (taken, others) = (world.chain.taken(&own(&fake)), other_calls());
    world.chain.prompt(own(&fake), 5);
    eventually("its messages are taken", AGES, || world.chain.taken(&own(&fake)) >= taken + 10).await;
    assert_eq!(stage_of(&bridge, &fake), Some(Stage::SyncOnly));
    assert_eq!(other_calls(), others);

    // Where nobody can sign, nothing is tried.
    bridge.change_worker(&name, Goal { unsigned: true, ..only_synced }).unwrap();
    tokio::time::sleep(seconds(300)).await;
    let sent = world.sink.calls().len();
    world.chain.prompt(own(&fake), 5);
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(world.sink.calls().len(), sent);
    assert_eq!(bridge.workers_status()[0].trouble, None);
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_workers_that_speak_for_one_sender_share_its_sequence() {
    let world = quiet();
    let fakes = ["a", "b"].map(|name| FakeWorker::new(name).speaks_for(MessageOrigin::Gatekeeper));
    let [a, b] = &fakes;
    let bridge = world.bridge(1, &[a, b]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[a, b], seconds(600)).await;
    world.chain.prompt(MessageOrigin::Gatekeeper, 300);
    eventually("the gatekeepers' messages are taken", seconds(600), || {
        world.chain.taken(&MessageOrigin::Gatekeeper) == 300
    })
    .await;
    tokio::time::sleep(seconds(60)).await;
    let sequences = world.sink.sequences(&MessageOrigin::Gatekeeper);
    assert_eq!(sequences, (0..300).collect::<Vec<_>>(), "each once, though both hold them");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_unknown_fate_is_not_sent_again_before_it_lands() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let bridge = world.bridge(1, &[&fake]).await;
    let _pulse = world.chain.pulse(BLOCK);
    all_working(&bridge, &[&fake], seconds(300)).await;
    let unknown = JobFault::Unknown { lands_after: Some(10) };
    world.sink.fate().times(1, |call| is_submit(call, "sync_offchain_message"), unknown);
    let before = world.chain.taken(&own(&fake));
    world.chain.prompt(own(&fake), 20);
    eventually("messages get through", AGES, || world.chain.taken(&own(&fake)) >= before + 20).await;
    // The benchmark's message and those of challenges come besides; no other call was made.
    assert!(world.sink.jobs().iter().all(|(_, _, calls)| {
        calls.iter().all(|call| matches!(call, Call::SyncMessage(_))) || calls.len() == 1
    }));
}

/// A bridge whose worker's first registration is under way in the way that `begin` has it, and is then wanted in another
/// pool; the pools that its registrations were signed for, and those that their ends were told of.
async fn moved_meanwhile(
    world: &World,
    begin: impl FnOnce(&FakeWorker),
    has_begun: impl Fn(&FakeWorker) -> bool,
) {
    let fake = FakeWorker::new("w");
    begin(&fake);
    let bridge = world.bridge(1, &[&fake]).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    eventually("it is being registered", seconds(120), || has_begun(&fake)).await;
    let moved = Goal::new(PoolId(2), AccountId([0xbb; 32]), 1_000);
    bridge.change_worker(&WorkerName::new("w").unwrap(), moved).unwrap();
    tokio::time::sleep(seconds(60)).await;
    world.sink.hook().clear();
    fake.hook().clear();
    let registered = |pool| world.chain.entry(&fake.key()).is_some_and(|entry| entry.operator == Some(pool));
    eventually("it is the other owner's", AGES, || registered(AccountId([0xbb; 32]))).await;
    let signed: Vec<PoolId> = world
        .sink
        .jobs()
        .iter()
        .filter(|(_, _, calls)| calls[0].names().1 == "register_worker_v2")
        .map(|(_, pool, _)| *pool)
        .collect();
    assert_eq!(signed, [POOL, PoolId(2)]);
    let first = world.sink.jobs()[0].0;
    assert!(diary.has(|event| matches!(event, Event::JobEnded { job, pool: POOL, .. } if *job == first)));
    bridge.stop().await;
}

fn two_pools() -> World {
    let builder = FakeChain::builder(1).challenge_every(0).pool(PoolId(2), AccountId([0xbb; 32]));
    let world = World::new(builder.build());
    world.chain.advance(25);
    world
}

#[tokio::test(start_paused = true)]
async fn a_call_is_signed_for_the_pool_it_was_decided_for() {
    // Wanted elsewhere while the worker attests.
    let world = two_pools();
    let slow = |fake: &FakeWorker| {
        fake.hook().always(|call| *call == "GetRuntimeInfo", WorkerFault::Slow(seconds(30)));
    };
    moved_meanwhile(&world, slow, |fake| fake.calls().contains(&"GetRuntimeInfo")).await;
    // While the sink is out of reach, or does not say whether it has it.
    for fault in [SinkFault::Unreachable, SinkFault::LostReply, SinkFault::Hang(seconds(10))] {
        let world = two_pools();
        let tried = Arc::new(AtomicBool::new(false));
        let seen = tried.clone();
        world.sink.hook().set(move |call| {
            let register = is_submit(call, "register_worker_v2");
            seen.fetch_or(register, Ordering::SeqCst);
            register.then_some(fault)
        });
        moved_meanwhile(&world, |_| (), |_| tried.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_trouble_whose_heights_change_is_logged_once_in_five_minutes() {
    let observed = Observed::begin();
    let world = quiet();
    let fake = FakeWorker::new("w");
    let mut height = 1_000_000;
    fake.hook().set(move |call| {
        (*call == "GetRuntimeInfo").then(|| {
            height += 1;
            WorkerFault::Refuse(Refusal::Other, format!("block {height} is not there").leak())
        })
    });
    let bridge = world.bridge(1, &[&fake]).await;
    let diary = Diary::of(bridge.events());
    let _pulse = world.chain.pulse(BLOCK);
    tokio::time::sleep(seconds(600)).await;
    let logged = observed.lines(&["WARN", "worker does not get on", "is not there"]).len();
    assert!((1..=2).contains(&logged), "{logged} lines");
    assert!(diary.troubles("w").len() > 2, "all of it is told to who listens");
    fake.hook().clear();
    all_working(&bridge, &[&fake], AGES).await;
    bridge.stop().await;
}
