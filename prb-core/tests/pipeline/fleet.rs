//! What a bridge does for workers beyond bringing them to work: other goals, commands, and others who meddle.

use crate::world::{BLOCK, Diary, POOL, World, all_working, goal, own, quiet, seconds, stage_of, worker};
use futures::FutureExt;
use prb_core::{
    command::Command,
    id::{AccountId, PoolId, WorkerKey, WorkerName},
    lifecycle::{Goal, Stage},
    pipeline::{Bridge, BridgeError, CancellationToken, Event, events::Announcer, facts::Board},
    port::ChainState,
    surprise::Surprise,
    testkit::{
        FakeChain, FakeState, FakeWorker, JobFault, Meddling, Observed, SinkCall, SourceFault, StateCall,
        WorkerFault, eventually,
    },
    tx::Call,
    types::facts::SessionState,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const OTHER: AccountId = AccountId([0xbb; 32]);

fn name() -> WorkerName {
    WorkerName::new("w").unwrap()
}

/// A bridge whose only worker computes, on a chain that asks nothing of it.
async fn one_working(world: &World, fake: &FakeWorker) -> Bridge {
    let bridge = world.bridge(1, &[fake]).await;
    all_working(&bridge, &[fake], seconds(300)).await;
    bridge
}

fn made(world: &World, call: &str) -> usize {
    world.sink.calls().iter().filter(|(_, name)| *name == call).count()
}

/// How each command ended, in order.
fn ends(diary: &Diary) -> Vec<(&'static str, Result<String, String>)> {
    let ends = diary.events().into_iter().filter_map(|event| match event {
        Event::CommandEnded { command, result, .. } => Some((command, result)),
        _ => None,
    });
    ends.collect()
}

async fn obeyed(bridge: &Bridge, diary: &Diary, command: Command) -> Result<String, String> {
    let before = ends(diary).len();
    bridge.command(&name(), command).unwrap();
    eventually("the command ended", seconds(300), || ends(diary).len() > before).await;
    ends(diary).pop().unwrap().1
}

#[tokio::test(start_paused = true)]
async fn x12_a_poison_message_costs_little_is_told_once_and_all_behind_it_arrive_when_it_can() {
    let observed = Observed::begin();
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    let next = world.chain.taken(&own(&fake));
    world.chain.poison(own(&fake), next + 3);
    world.chain.prompt(own(&fake), 50);
    tokio::time::sleep(seconds(6 * 3600)).await;
    assert_eq!(world.chain.taken(&own(&fake)), next + 3);
    let sent = world.sink.sequences(&own(&fake)).iter().filter(|sequence| **sequence == next + 3).count();
    assert!((5..40).contains(&sent), "{sent} fees in six hours");
    let behind = world.sink.sequences(&own(&fake)).iter().filter(|sequence| **sequence == next + 4).count();
    let sequences = world.sink.sequences(&own(&fake));
    assert_eq!(behind, 1, "what waits behind it was sent with it once: {sequences:?}");
    let sender = &bridge.workers_status()[0].sender;
    assert!(sender.trouble.as_ref().unwrap().contains("InvalidSignature"), "{sender:?}");
    let told =
        |event: &Event| matches!(event, Event::MessageTrouble { sequence, .. } if *sequence == next + 3);
    assert_eq!(diary.events().iter().filter(|event| told(event)).count(), 1);
    let lines = observed.lines(&["WARN", "messages do not get through", "InvalidSignature"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let refused = "prb_messages_refused_total{error=PhalaMq.InvalidSignature}";
    assert_eq!(observed.counter(refused), sent as u64);
    assert_eq!(observed.counter("prb_messages_total{result=refused}"), sent as u64);
    assert_eq!(observed.counter("prb_messages_total{result=behind_a_failure}"), 46);

    // Set aside it costs nothing at all.
    bridge.set_message_aside(&own(&fake), next + 3).unwrap();
    let before = world.sink.sequences(&own(&fake)).len();
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(world.sink.sequences(&own(&fake)).len(), before);
    let later = bridge.set_message_aside(&own(&fake), next + 4);
    assert!(matches!(later, Err(BridgeError::NotNext(_))), "{later:?}");

    world.chain.heal();
    bridge.offer_message_again(&own(&fake), next + 3).unwrap();
    eventually("all messages are taken", seconds(120), || world.chain.taken(&own(&fake)) >= next + 50).await;
    assert!(diary.has(|event| matches!(event, Event::MessageRecovered { .. })));
    assert_eq!(bridge.workers_status()[0].sender.trouble, None);
}

#[tokio::test(start_paused = true)]
async fn v2_f122_a_worker_gets_the_stake_that_is_configured_while_it_works() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    let before = fake.calls().iter().filter(|call| **call == "InitRuntime").count();
    assert_eq!(world.chain.stake(POOL, &fake.key()), Some(1_000));
    bridge.change_worker(&name(), Goal { stake: 3_000, ..goal() }).unwrap();
    eventually("the stake is raised", seconds(60), || world.chain.stake(POOL, &fake.key()) == Some(3_000))
        .await;
    bridge.change_worker(&name(), Goal { stake: 2_000, ..goal() }).unwrap();
    let told = || {
        bridge.workers_status()[0]
            .last_message
            .as_ref()
            .is_some_and(|last| last.text.contains("never lowered"))
    };
    eventually("the lower stake is told", seconds(60), told).await;
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(world.chain.stake(POOL, &fake.key()), Some(3_000));
    assert_eq!(made(&world, "restart_computing"), 1);
    // v3_f31, v2_f043: all the while it was fed as before.
    assert_eq!(diary.stages("w"), []);
    assert_eq!(fake.calls().iter().filter(|call| **call == "InitRuntime").count(), before);
    let status = &bridge.workers_status()[0];
    assert_eq!(status.worker.goal.stake, 2_000);
    assert_eq!(status.facts.as_ref().unwrap().stake, Some(3_000));
}

#[tokio::test(start_paused = true)]
async fn v3_f31_a_worker_follows_its_pool_to_another_operator() {
    let world = World::new(FakeChain::builder(1).challenge_every(0).pool(PoolId(2), OTHER).build());
    world.chain.advance(25);
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    bridge.change_worker(&name(), Goal::new(PoolId(2), OTHER, 5)).unwrap();
    eventually("it says where it is", seconds(60), || stage_of(&bridge, &fake) == Some(Stage::InAnotherPool))
        .await;
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(made(&world, "register_worker_v2"), 1, "nothing is paid for before it is out of the old pool");
    assert!(bridge.workers_status()[0].trouble.as_ref().unwrap().contains("remove it there"));
    // Its old goal stops and removes it there; then the new one has it.
    bridge.change_worker(&name(), goal()).unwrap();
    eventually("works again", seconds(60), || stage_of(&bridge, &fake) == Some(Stage::Working)).await;
    obeyed(&bridge, &diary, Command::StopComputing).await.unwrap();
    let ready = || world.chain.session(POOL, &fake.key()) == Some(SessionState::Ready);
    eventually("its stake is reclaimed by itself", seconds(300), ready).await;
    obeyed(&bridge, &diary, Command::RemoveFromPool).await.unwrap();
    bridge.change_worker(&name(), Goal::new(PoolId(2), OTHER, 5)).unwrap();
    all_working(&bridge, &[&fake], seconds(600)).await;
    assert_eq!(world.chain.session(PoolId(2), &fake.key()), Some(SessionState::WorkerIdle));
}

#[tokio::test(start_paused = true)]
async fn v3_f21_a_worker_that_somebody_stopped_cools_down_and_works_again() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    let stop = Call::StopComputing { pool: POOL, worker: fake.key() };
    world.chain.meddle(Meddling::Call(stop));
    eventually("it cools down", seconds(60), || stage_of(&bridge, &fake) == Some(Stage::CoolingDown)).await;
    eventually("it says so", seconds(60), || {
        bridge.workers_status()[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("locked until"))
    })
    .await;
    all_working(&bridge, &[&fake], seconds(600)).await;
    assert_eq!((made(&world, "reclaim_pool_worker"), made(&world, "start_computing")), (1, 2));
    assert_eq!(diary.troubles("w").iter().filter(|cause| cause.contains("locked until")).count(), 1);

    let key = fake.key();
    world.chain.meddle(Meddling::Silent { pool: POOL, worker: key, silent: true });
    eventually("it is told", seconds(60), || stage_of(&bridge, &fake) == Some(Stage::Unresponsive)).await;
    assert!(diary.troubles("w").iter().any(|cause| cause.contains("unresponsive")));
    world.chain.meddle(Meddling::Silent { pool: POOL, worker: key, silent: false });
    all_working(&bridge, &[&fake], seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn v3_f29_v3_f30_gatekeepers_are_only_registered_and_disabled_workers_sent_nothing() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = world.builder().era(1).start().await.unwrap();
    let gatekeeper = Goal { gatekeeper: true, ..goal() };
    bridge
        .add_worker(prb_core::pipeline::Worker { goal: gatekeeper.clone(), ..worker("w") }, fake.clone())
        .unwrap();
    eventually("registered", seconds(300), || stage_of(&bridge, &fake) == Some(Stage::Gatekeeper)).await;
    tokio::time::sleep(seconds(300)).await;
    assert_eq!((made(&world, "register_worker_v2"), made(&world, "add_worker")), (1, 0));

    bridge.change_worker(&name(), Goal { disabled: true, ..gatekeeper }).unwrap();
    eventually("disabled", seconds(30), || stage_of(&bridge, &fake) == Some(Stage::Disabled)).await;
    tokio::time::sleep(seconds(10)).await;
    let calls = fake.calls().len();
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(fake.calls().len(), calls, "sent nothing");
    assert_eq!(bridge.workers_status().len(), 1, "and listed");
    bridge.change_worker(&name(), goal()).unwrap();
    all_working(&bridge, &[&fake], seconds(300)).await;
}

#[tokio::test(start_paused = true)]
async fn v2_f038_a_worker_with_a_low_score_is_held_and_told() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = world.builder().era(1).start().await.unwrap();
    let picky = Goal { min_score: Some(1001), ..goal() };
    bridge
        .add_worker(prb_core::pipeline::Worker { goal: picky.clone(), ..worker("w") }, fake.clone())
        .unwrap();
    let says = || {
        bridge.workers_status()[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("score of 1000"))
    };
    eventually("it says why", seconds(300), says).await;
    tokio::time::sleep(seconds(600)).await;
    assert_eq!((made(&world, "register_worker_v2"), made(&world, "add_worker")), (1, 0));
    bridge.change_worker(&name(), Goal { min_score: Some(1000), ..picky }).unwrap();
    all_working(&bridge, &[&fake], seconds(300)).await;
}

#[tokio::test(start_paused = true)]
async fn x09_two_programs_that_want_one_worker_do_not_pay_for_ever() {
    let observed = Observed::begin();
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    // The other program registers it for its own owner as soon as it is ours again.
    for _ in 0..3 * 600 {
        tokio::time::sleep(BLOCK).await;
        if world.chain.entry(&fake.key()).unwrap().operator == Some(FakeChain::OWNER) {
            world.chain.meddle(Meddling::Call(fake.registration(OTHER).unwrap()));
        }
    }
    let paid = made(&world, "register_worker_v2");
    assert!((3..25).contains(&paid), "{paid} registrations in three hours");
    assert!(diary.troubles("w").iter().any(|cause| cause.contains("another program registers")));
    assert!(!observed.lines(&["WARN", "worker does not get on", "another program registers"]).is_empty());
    assert!(observed.counter("prb_calls_undone_total{call=register}") >= 2);
    all_working(&bridge, &[&fake], seconds(3600)).await;
}

/// Each has a store, a view of the chain and a sink of its own, and does all it can for the worker. X12 as well: of two
/// that send a message, one sends a duplicate.
#[tokio::test(start_paused = true)]
async fn x09_two_managers_of_one_worker_say_so_and_neither_keeps_it_from_working() {
    let observed = Observed::begin();
    let one = World::grown(25);
    let other = World::new(one.chain.clone());
    let fake = FakeWorker::new("w");
    let _pulse = one.chain.pulse(BLOCK);
    let first = one_working(&one, &fake).await;
    let second = other.bridge(2, &[&fake]).await;
    all_working(&second, &[&fake], seconds(600)).await;
    let told = |words: &str| observed.lines(&["WARN", words]).len();
    // Of two that are as fast, whoever comes second is not told: the worker skips what it has.
    other.source.hook().always(|_| true, SourceFault::Slow(seconds(3)));
    for words in ["another program feeds it", "another program relays this sender's messages"] {
        eventually(words, seconds(3 * 3600), || told(words) > 0).await;
    }
    let taken = one.chain.taken(&own(&fake));
    tokio::time::sleep(seconds(6 * 3600)).await;
    // All that it has said has arrived, and it has answered each challenge.
    let arrived = one.chain.taken(&own(&fake)) - taken;
    assert!(arrived >= 300, "{arrived} messages in six hours");
    assert!(fake.peek().pending_messages < 10);
    all_working(&first, &[&fake], seconds(60)).await;
    all_working(&second, &[&fake], seconds(60)).await;
    let noticed = observed.counter("prb_worker_surprises_total{kind=moved_alone}");
    let lines = told("another program feeds it");
    assert!(lines <= 4 && noticed > lines as u64, "{lines} lines, noticed {noticed} times");
    let paid = observed.counter("prb_messages_total{result=bad_sequence}");
    assert!((2..arrived / 2).contains(&paid), "{paid} fees for nothing, {arrived} messages");
    first.stop().await;
    // The one that is left is told of nobody any more.
    tokio::time::sleep(seconds(3600)).await;
    let (paid, noticed) = (
        observed.counter("prb_messages_total{result=bad_sequence}"),
        observed.counter("prb_worker_surprises_total{kind=moved_alone}"),
    );
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(observed.counter("prb_messages_total{result=bad_sequence}"), paid);
    assert_eq!(observed.counter("prb_worker_surprises_total{kind=moved_alone}"), noticed);
    assert_eq!(second.workers_status()[0].sender.trouble, None);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v2_f026_a_worker_with_a_backlog_of_messages_is_put_to_work_all_the_same() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    obeyed(&bridge, &diary, Command::StopComputing).await.unwrap();
    let ready = || world.chain.session(POOL, &fake.key()) == Some(SessionState::Ready);
    eventually("its stake is reclaimed", seconds(300), ready).await;
    let is_message = |call: &SinkCall| matches!(call, SinkCall::Submit(_, _, calls) if calls.iter().any(|call| matches!(call, Call::SyncMessage(_))));
    world.sink.fate().always(is_message, JobFault::Expire);
    world.chain.prompt(own(&fake), 300);
    eventually("it holds them", seconds(60), || fake.peek().pending_messages >= 300).await;
    obeyed(&bridge, &diary, Command::Restart).await.unwrap();
    all_working(&bridge, &[&fake], seconds(300)).await;
    assert!(fake.peek().pending_messages >= 300);
    world.sink.fate().clear();
    eventually("they arrive", seconds(600), || fake.peek().pending_messages < 10).await;
}

#[tokio::test(start_paused = true)]
async fn v3_f23_v3_f27_commands_end_once_each_with_a_result_that_is_kept() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    let checkpoint = obeyed(&bridge, &diary, Command::TakeCheckpoint).await.unwrap();
    assert!(checkpoint.starts_with("checkpoint taken at block "), "{checkpoint}");
    let last = bridge.workers_status()[0].last_message.clone().unwrap();
    assert_eq!(last.text, format!("take checkpoint: {checkpoint}"));
    assert!(last.at > 0);
    obeyed(&bridge, &diary, Command::Register).await.unwrap();
    assert_eq!(made(&world, "register_worker_v2"), 2);
    let endpoints = Command::PublishEndpoints(vec!["http://10.0.0.1:8000".into()]);
    obeyed(&bridge, &diary, endpoints).await.unwrap();
    assert_eq!(made(&world, "update_worker_endpoint"), 1);
    let early = obeyed(&bridge, &diary, Command::Reclaim).await.unwrap_err();
    assert!(early.contains("not cooling down"), "{early}");
    assert_eq!(made(&world, "reclaim_pool_worker"), 0, "what cannot succeed is not paid for");
    obeyed(&bridge, &diary, Command::StopComputing).await.unwrap();
    let locked = obeyed(&bridge, &diary, Command::Reclaim).await.unwrap_err();
    assert!(locked.contains("locked until"), "{locked}");
    let ready = || world.chain.session(POOL, &fake.key()) == Some(SessionState::Ready);
    eventually("its stake is reclaimed by itself", seconds(300), ready).await;
    tokio::time::sleep(seconds(300)).await;
    assert!(ready(), "it stays stopped");
    obeyed(&bridge, &diary, Command::Restart).await.unwrap();
    all_working(&bridge, &[&fake], seconds(300)).await;
    let reboots = fake.calls().iter().filter(|call| **call == "InitRuntime").count();
    obeyed(&bridge, &diary, Command::StopWorker { remove_checkpoints: true }).await.unwrap();
    eventually("it is initialised again", seconds(60), || {
        fake.calls().iter().filter(|call| **call == "InitRuntime").count() > reboots
    })
    .await;
    assert!(diary.has(|event| matches!(event, Event::WorkerChanged { surprise: Surprise::LostState, .. })));
}

#[tokio::test(start_paused = true)]
async fn endpoints_signed_with_another_key_than_the_one_judged_are_not_published() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    // It comes back with another key and is initialised again while slow commands are carried out one after the other.
    let (twin, mut first) = (fake.clone(), true);
    fake.hook().set(move |call| {
        let slow = *call == "TakeCheckpoint";
        if slow && std::mem::take(&mut first) {
            twin.replace_key();
        }
        slow.then_some(WorkerFault::Slow(seconds(10)))
    });
    let slow = std::iter::repeat_n(Command::TakeCheckpoint, 6);
    for command in slow.chain([Command::PublishEndpoints(vec!["http://10.0.0.1:8000".into()])]) {
        bridge.command(&name(), command).unwrap();
    }
    let mut end = None;
    eventually("it ends", seconds(600), || {
        end = diary.events().into_iter().find_map(|event| match event {
            Event::CommandEnded { command: "publish endpoints", result, .. } => Some(result),
            _ => None,
        });
        end.is_some()
    })
    .await;
    let why = end.unwrap().unwrap_err();
    assert!(why.contains("another key"), "{why}");
    assert_eq!(made(&world, "update_worker_endpoint"), 0);
}

#[tokio::test(start_paused = true)]
async fn v3_f24_v3_f26_commands_to_a_worker_that_is_away_fail_but_its_place_can_be_given_up() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    fake.hook().always(|_| true, WorkerFault::Unreachable);
    eventually("it is away", seconds(60), || bridge.workers_status()[0].info.is_none()).await;
    for command in [Command::TakeCheckpoint, Command::Register, Command::PublishEndpoints(vec!["a".into()])] {
        let why = obeyed(&bridge, &diary, command).await.unwrap_err();
        assert!(why.contains("not reachable"), "{why}");
    }
    obeyed(&bridge, &diary, Command::StopComputing).await.unwrap();
    tokio::time::sleep(seconds(120)).await;
    obeyed(&bridge, &diary, Command::Reclaim).await.unwrap();
    obeyed(&bridge, &diary, Command::RemoveFromPool).await.unwrap();
    assert_eq!(world.chain.session(POOL, &fake.key()), None);
    // What is not done when the worker is let go is told to have ended.
    for _ in 0..16 {
        bridge.command(&name(), Command::TakeCheckpoint).unwrap();
    }
    let full = bridge.command(&name(), Command::TakeCheckpoint);
    assert!(matches!(full, Err(BridgeError::TooManyCommands(_))), "{full:?}");
    let before = ends(&diary).len();
    bridge.remove_worker(&name()).await.unwrap();
    eventually("all of them ended", seconds(5), || ends(&diary).len() == before + 16).await;
    assert!(matches!(bridge.command(&name(), Command::Restart), Err(BridgeError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn x07_a_worker_that_changes_under_the_bridge_is_told_once_each() {
    let observed = Observed::begin();
    let world = quiet();
    let fake = FakeWorker::new("w");
    let pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    obeyed(&bridge, &diary, Command::TakeCheckpoint).await.unwrap();
    tokio::time::sleep(seconds(120)).await;
    drop(pulse);
    tokio::time::sleep(seconds(60)).await;
    fake.restore();
    tokio::time::sleep(seconds(60)).await;
    fake.replace_key();
    tokio::time::sleep(seconds(60)).await;
    let kinds: Vec<_> = diary
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::WorkerChanged { surprise, .. } => Some(surprise.kind()),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["went_back", "lost_state", "other_key"]);
    for (kind, line) in [
        ("went_back", "it went back from block"),
        ("lost_state", "it lost its state"),
        ("other_key", "its key is"),
    ] {
        assert_eq!(observed.counter(&format!("prb_worker_surprises_total{{kind={kind}}}")), 1);
        assert_eq!(observed.lines(&["WARN", "worker has changed", line]).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn x15_a_clock_that_went_back_repeats_no_job() {
    let observed = Observed::begin();
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    one_working(&world, &fake).await.stop().await;
    // The next life begins before the last one, and with its very era.
    for era in [1, 0] {
        let bridge = world.bridge(era, &[&fake]).await;
        all_working(&bridge, &[&fake], seconds(300)).await;
        let before = world.chain.taken(&own(&fake));
        world.chain.prompt(own(&fake), 5);
        eventually("messages get through", seconds(300), || world.chain.taken(&own(&fake)) >= before + 5)
            .await;
        bridge.stop().await;
    }
    let eras: std::collections::BTreeSet<u64> = world.sink.jobs().iter().map(|(job, ..)| job.era).collect();
    assert_eq!(eras.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(observed.counter("prb_clock_went_back_total"), 2);
    assert_eq!(observed.lines(&["WARN", "the clock went back"]).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn x24_the_facts_of_a_thousand_workers_take_a_few_reads_per_block() {
    let observed = Observed::begin();
    let chain = FakeChain::new(1);
    chain.advance(30);
    let state = FakeState::new(&chain);
    let (reads, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, large) = (reads.clone(), keys.clone());
    state.hook().set(move |call| {
        if let StateCall::Read(keys) = call {
            counted.fetch_add(usize::from(*keys > 2), Ordering::Relaxed);
            large.fetch_max(*keys, Ordering::Relaxed);
        }
        None
    });
    let board = Arc::new(Board::new(Arc::new(state.clone()) as Arc<dyn ChainState>, Announcer::default()));
    let subject = |number: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        (WorkerKey(key), POOL)
    };
    let interests: Vec<_> = (0..1000).map(|number| board.want(subject(number))).collect();
    let stop = CancellationToken::new();
    let (reader, token) = (board.clone(), stop.clone());
    let task = tokio::spawn(async move { reader.run(seconds(1), token).await });
    let mut posted = board.watch();
    let mut blocks = 0;
    for _ in 0..10 {
        posted.changed().await.unwrap();
        let page = posted.borrow_and_update().clone().unwrap().unwrap();
        for interest in &interests {
            let row = page.row(interest.subject()).unwrap().unwrap();
            assert_eq!(row.facts.block, chain.tips().para);
        }
        blocks += 1;
        tokio::time::sleep(seconds(20)).await;
        chain.advance(2);
    }
    assert_eq!(reads.load(Ordering::Relaxed), blocks * 4);
    assert_eq!(observed.counter("prb_facts_reads_total"), blocks as u64 * 4);
    assert!(keys.load(Ordering::Relaxed) <= 1250, "each read is bounded");
    // Whom nobody wants any more is not read.
    drop(interests);
    let before = reads.load(Ordering::Relaxed);
    chain.advance(10);
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(reads.load(Ordering::Relaxed), before);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn v3_f27_commands_end_though_nobody_waits_until_the_worker_is_let_go() {
    let world = quiet();
    let fake = FakeWorker::new("w");
    let _pulse = world.chain.pulse(BLOCK);
    let bridge = one_working(&world, &fake).await;
    let diary = Diary::of(bridge.events());
    let hang = WorkerFault::Hang(seconds(600));
    fake.hook().always(|call| *call == "TakeCheckpoint", hang);
    bridge.command(&name(), Command::TakeCheckpoint).unwrap();
    eventually("it is carried out", seconds(60), || fake.calls().contains(&"TakeCheckpoint")).await;
    bridge.command(&name(), Command::Restart).unwrap();
    // Whoever lets the worker go gives up at once.
    assert!(bridge.remove_worker(&name()).now_or_never().is_none());
    assert!(matches!(bridge.command(&name(), Command::Restart), Err(BridgeError::Unknown(_))));
    tokio::time::sleep(seconds(1200)).await;
    let let_go = || Err("the worker was let go first".to_owned());
    assert_eq!(ends(&diary), [("take checkpoint", let_go()), ("restart", let_go())]);

    // A bridge that is dropped ends them likewise.
    bridge.add_worker(worker("w"), fake.clone()).unwrap();
    bridge.command(&name(), Command::TakeCheckpoint).unwrap();
    drop(bridge);
    eventually("it ended", seconds(60), || ends(&diary).len() == 3).await;
}
