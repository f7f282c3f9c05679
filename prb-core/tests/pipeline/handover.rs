//! A key that moves from one worker to another.

use crate::world::{BLOCK, POOL, World, all_working, own, quiet, seconds, worker};
use prb_core::{
    handover::Means,
    id::WorkerName,
    pipeline::{HandoverError, hand_over},
    port::worker::Refusal,
    testkit::{FakeWorker, WorkerFault, eventually},
    types::{facts::SessionState, message::MessageOrigin},
};

/// A worker at work that is fed no more, and the key it has.
async fn let_go(world: &World, old: &FakeWorker) -> prb_core::pipeline::Bridge {
    let bridge = world.bridge(1, &[old]).await;
    all_working(&bridge, &[old], seconds(300)).await;
    bridge.remove_worker(&WorkerName::new("old").unwrap()).await.unwrap();
    bridge
}

fn registrations(world: &World) -> usize {
    world.sink.calls().iter().filter(|call| call.1 == "register_worker_v2").count()
}

#[tokio::test(start_paused = true)]
async fn v3_f89_a_worker_with_anothers_key_goes_on_where_that_one_was() {
    let world = quiet();
    let _pulse = world.chain.pulse(BLOCK);
    let (old, new) = (FakeWorker::new("old"), FakeWorker::new("new"));
    let bridge = let_go(&world, &old).await;
    let (key, sender) = (old.key(), own(&old));
    world.chain.prompt(sender.clone(), 3);

    hand_over(&old, &new, Means::Ias).await.unwrap();
    assert_eq!(new.key(), key);
    assert!(!old.peek().initialized, "it was stopped");
    assert_eq!(
        new.calls(),
        ["HandoverAcceptChallenge", "HandoverReceive", "Stop"],
        "it was asked for nothing else"
    );
    assert!(old.calls().ends_with(&["HandoverCreateChallenge", "HandoverStart", "Stop"]));

    bridge.add_worker(worker("new"), new.clone()).unwrap();
    all_working(&bridge, &[&new], seconds(300)).await;
    eventually("its messages are taken", seconds(300), || world.chain.taken(&sender) >= 4).await;
    let sequences = world.sink.sequences(&sender);
    assert_eq!(sequences, (0..world.chain.taken(&sender)).collect::<Vec<_>>(), "without gaps, once each");
    assert_eq!(world.chain.session(POOL, &key), Some(SessionState::WorkerIdle));
    assert_eq!(registrations(&world), 1, "the chain knows the key");
    assert_ne!(sender, MessageOrigin::Worker(FakeWorker::new("new").key()));
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v3_f89_whatever_fails_is_told_by_what_has_changed() {
    use HandoverError::{NotGiven, NotRestarted, NotStopped, OtherChallenge, Unsure};
    type Is = fn(&HandoverError) -> bool;
    let refuse = || WorkerFault::Refuse(Refusal::Other, "no");
    let late = || WorkerFault::Hang(seconds(30));
    // Who fails at what, and how; how that is told; whether the new worker has the key, and whether the old one runs.
    let cases: [(&str, &'static str, WorkerFault, Is, bool, bool); 12] = [
        ("old", "HandoverCreateChallenge", refuse(), |e| matches!(e, NotGiven(_)), false, true),
        ("new", "HandoverAcceptChallenge", refuse(), |e| matches!(e, NotGiven(_)), false, true),
        (
            "new",
            "HandoverAcceptChallenge",
            WorkerFault::Lie,
            |e| matches!(e, OtherChallenge { .. }),
            false,
            true,
        ),
        ("old", "HandoverStart", WorkerFault::BreakAfter, |e| matches!(e, NotGiven(_)), false, true),
        ("new", "HandoverReceive", refuse(), |e| matches!(e, NotGiven(_)), false, true),
        ("new", "HandoverReceive", WorkerFault::Break, |e| matches!(e, Unsure(_)), false, true),
        ("new", "HandoverReceive", WorkerFault::BreakAfter, |e| matches!(e, Unsure(_)), true, true),
        ("new", "Stop", WorkerFault::Unreachable, |e| matches!(e, NotRestarted(_)), true, true),
        ("new", "Stop", late(), |e| matches!(e, NotRestarted(_)), true, true),
        ("new", "Stop", WorkerFault::HangAfter(seconds(30)), |e| matches!(e, NotRestarted(_)), true, true),
        ("old", "Stop", WorkerFault::Unreachable, |e| matches!(e, NotStopped(_)), true, false),
        ("old", "Stop", late(), |e| matches!(e, NotStopped(_)), true, false),
    ];
    for (who, method, fault, is, has_key, repeats) in cases {
        let world = quiet();
        let _pulse = world.chain.pulse(BLOCK);
        let (old, new) = (FakeWorker::new("old"), FakeWorker::new("new"));
        let bridge = let_go(&world, &old).await;
        let faulty = if who == "old" { &old } else { &new };
        faulty.hook().times(1, move |call| *call == method, fault.clone());
        let error = hand_over(&old, &new, Means::Ias).await.unwrap_err();
        assert!(is(&error), "{method} {fault:?}: {error:?}");
        // Fed at the address of the old one, the entry would be that of a worker that must not be fed.
        let moves = matches!(error, NotRestarted(_) | NotStopped(_));
        assert_eq!(error.to_string().contains("have the inventory name the new one's address"), moves);
        assert!(old.peek().initialized, "the old one has its key until all is done");
        new.reboot();
        assert_eq!(new.key() == old.key(), has_key, "{method} {fault:?}");
        if repeats {
            hand_over(&old, &new, Means::Ias).await.unwrap();
            assert_eq!((new.key(), old.peek().initialized), (old.key(), false));
        }
        bridge.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn v3_f89_a_busy_worker_is_waited_for_but_not_for_ever() {
    let world = quiet();
    let _pulse = world.chain.pulse(BLOCK);
    let (old, new) = (FakeWorker::new("old"), FakeWorker::new("new"));
    let bridge = let_go(&world, &old).await;
    let busy = || WorkerFault::Refuse(Refusal::Busy, "RCU in progress, please try the request again later");
    old.hook().always(|call| *call == "DcapHandoverCreateChallenge", busy());
    let error = hand_over(&old, &new, Means::Dcap).await.unwrap_err();
    assert!(matches!(error, HandoverError::NotGiven(_)), "{error:?}");
    old.hook().clear();
    old.hook().times(20, |call| *call == "DcapHandoverCreateChallenge", busy());
    hand_over(&old, &new, Means::Dcap).await.unwrap();
    assert_eq!(new.key(), old.key());
    assert_eq!(new.calls(), ["DcapHandoverAcceptChallenge", "DcapHandoverReceive", "Stop"]);
    bridge.stop().await;
}
