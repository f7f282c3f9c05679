//! Source → store.

use crate::world::{BLOCK, HOUR, World, seconds};
use prb_core::{
    id::{BlockRef, Hash, Height},
    pipeline::{
        Event,
        events::Announcer,
        ingest::{Ingest, IngestError, IngestOptions},
    },
    port::{BlobStore, Rung, Stream},
    span::Span,
    testkit::{
        Corruption, FakeChain, FakeSource, Observed, SourceCall, SourceFault, StoreCall, StoreFault,
        ToyVerifier, eventually,
    },
};
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn an_empty_store_is_filled_to_the_tip_across_set_changes() {
    let world = World::grown(35);
    let ingesting = world.ingesting();
    world.complete(seconds(60)).await;
    assert_eq!(world.cursor_heights().await, (135, Some(16), 16));
    assert_eq!(world.chain.set_changes(), [110, 120, 130].map(Height));
    world.assert_stored_is_honest().await;
    assert_eq!(world.source.refetched(), []);
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_next_is_fetched_while_what_came_is_stored() {
    let is_relay = |call: &SourceCall| matches!(call, SourceCall::RelayBatch(_));
    let is_changes = |call: &SourceCall| matches!(call, SourceCall::Changes(_));
    // Twelve sets, or 59 parachain blocks two by two.
    for (slow, changes_per_step, turns) in [(is_relay as fn(&_) -> _, 64, 12), (is_changes, 2, 30)] {
        let world = World::grown(120);
        world.source.hook().always(slow, SourceFault::Slow(seconds(10)));
        world.store.hook().always(|call| *call == StoreCall::Append, StoreFault::Slow(seconds(10)));
        let options = IngestOptions { changes_per_step, ..IngestOptions::default() };
        let mut ingest = world.ingest_with(options, &Announcer::default());
        let begun = tokio::time::Instant::now();
        while !world.is_complete().await {
            ingest.step().await.unwrap();
        }
        // One after the other it would be twice as long. The first answer and the genesis have nothing to hide behind.
        let least = seconds(10) * turns;
        assert!(begun.elapsed() >= least && begun.elapsed() < least * 3 / 2, "{:?}", begun.elapsed());
        assert_eq!(world.source.refetched(), []);
        world.assert_stored_is_honest().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_fetch_ahead_is_none_of_the_turn_that_wants_it() {
    let is_relay = |call: &SourceCall| *call == SourceCall::RelayBatch(Height(111));
    let is_changes =
        |call: &SourceCall| matches!(call, SourceCall::Changes(span) if span.first() == Height(3));
    for asks in [is_relay as fn(&SourceCall) -> bool, is_changes] {
        let world = World::grown(35);
        world.source.hook().times(1, asks, SourceFault::Unreachable);
        let options = IngestOptions { changes_per_step: 2, ..IngestOptions::default() };
        let mut ingest = world.ingest_with(options, &Announcer::default());
        while !world.is_complete().await {
            ingest.step().await.unwrap();
        }
        assert_eq!(world.source.calls().iter().filter(|call| asks(call)).count(), 2);
        world.assert_stored_is_honest().await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_nothing_that_was_fetched_ahead_is_used() {
    let world = World::grown(35);
    let (mut lie, mut lie_ahead) = (true, true);
    world.source.hook().set(move |call| match call {
        SourceCall::Changes(span) if span.first() == Height(1) && std::mem::take(&mut lie) => {
            Some(SourceFault::Corrupt(Corruption::ChangesValue))
        }
        SourceCall::RelayBatch(Height(121)) if std::mem::take(&mut lie_ahead) => {
            Some(SourceFault::Corrupt(Corruption::Justification))
        }
        _ => None,
    });
    let mut ingest = world.ingest(&Announcer::default());
    let mut refused = Vec::new();
    while !world.is_complete().await {
        refused.extend(ingest.step().await.err().map(|error| error.to_string()));
    }
    assert!(matches!(&refused[..], [cause] if cause.contains("state root at 1")), "{refused:?}");
    let asked = SourceCall::RelayBatch(Height(121));
    assert_eq!(world.source.calls().iter().filter(|call| **call == asked).count(), 2);
    world.assert_stored_is_honest().await;
}

#[tokio::test(start_paused = true)]
async fn relay_blocks_before_the_parachain_are_stored_without_a_head() {
    let world = World::new(FakeChain::builder(3).para_after(15).build());
    world.chain.advance(12);
    world.ingest_all().await;
    assert_eq!(world.cursor_heights().await, (112, None, 0));
    world.chain.advance(20);
    world.ingest_all().await;
    assert!(world.is_complete().await);
    let rungs = world.store.rungs(Height(110), 2).await.unwrap();
    assert_eq!(rungs[0], Rung { at: Height(110), para: None, closes_set: true });
    assert!(rungs[1].para.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_tip_is_followed_block_by_block() {
    let world = World::grown(0);
    let ingesting = world.ingesting();
    let pulse = world.chain.pulse(BLOCK);
    for _ in 0..50 {
        tokio::time::sleep(BLOCK).await;
        let (tip, (stored, ..)) = (world.chain.tips().relay.0, world.cursor_heights().await);
        assert!(stored + 1 >= tip, "stored {stored}, tip {tip}");
    }
    drop(pulse);
    world.complete(seconds(60)).await;
    assert_eq!(world.source.refetched(), []);
    world.assert_stored_is_honest().await;
    let events = ingesting.stop().await;
    assert!(events.iter().all(|event| matches!(event, Event::Ingested { .. })), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was_without_fetching_again() {
    let world = World::grown(25);
    let first = world.ingesting();
    world.complete(seconds(60)).await;
    first.stop().await;
    world.chain.advance(25);
    let second = world.ingesting();
    world.complete(seconds(60)).await;
    second.stop().await;
    assert_eq!(world.source.refetched(), []);
    let genesis = world.source.calls().iter().filter(|call| **call == SourceCall::Genesis).count();
    assert_eq!(genesis, 1);
    world.assert_stored_is_honest().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_in_the_middle_of_anything_loses_nothing() {
    for delay in 0..40 {
        let world = World::grown(25);
        let first = world.ingesting();
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        first.stop().await;
        world.store.coverage().await.unwrap();
        world.assert_stored_is_honest().await;
        let second = world.ingesting();
        world.complete(seconds(60)).await;
        second.stop().await;
        world.assert_stored_is_honest().await;
    }
}

/// Every way to be wrong at a call, the call, and the height that the refusal names.
async fn refused_then_recovers(
    world: World,
    applies: impl Fn(&SourceCall) -> bool + Clone + Send + 'static,
    how: Corruption,
) -> Vec<String> {
    let observed = Observed::begin();
    world.source.hook().always(applies, SourceFault::Corrupt(how));
    let ingesting = world.ingesting();
    tokio::time::sleep(seconds(120)).await;
    assert!(!world.is_complete().await, "{how:?} was not refused");
    let before = world.source.hook().clone();
    world.assert_stored_is_honest().await;
    before.clear();
    let honest_from = tokio::time::Instant::now();
    world.complete(seconds(60)).await;
    assert!(honest_from.elapsed() <= seconds(60));
    world.assert_stored_is_honest().await;
    tokio::time::sleep(seconds(1)).await;
    let distrusted = world.source.distrusted();
    assert!(!distrusted.is_empty(), "{how:?}: the source was not scored down");
    let events = ingesting.stop().await;
    let trouble = events.iter().rposition(|event| matches!(event, Event::IngestTrouble { .. }));
    let recovered = events.iter().rposition(|event| *event == Event::IngestRecovered);
    assert!(trouble < recovered, "{how:?}: trouble without recovery: {events:?}");
    let mut causes = Vec::new();
    for event in &events {
        if let Event::Refused { endpoint, cause } = event {
            assert_eq!(endpoint, "fake-node");
            causes.push(cause.clone());
        }
    }
    assert_eq!(distrusted, causes, "{how:?}");
    let (check, _) = causes[0].split_once(" at ").unwrap();
    let counted = observed.counter(&format!("prb_ingest_refused_total{{check={check}}}"));
    assert_eq!(counted, causes.len() as u64, "{how:?}");
    let told = observed.lines(&["WARN", "refused an answer", "endpoint=fake-node", &causes[0]]);
    assert_eq!(told.len(), 1, "{how:?}: once while it lasts");
    assert_eq!(observed.lines(&["INFO", "ingest recovered"]).len(), 1, "{how:?}");
    causes
}

#[tokio::test(start_paused = true)]
async fn x2_a_wrong_genesis_is_refused_before_anything_is_stored() {
    for (how, check) in Corruption::GENESIS.into_iter().zip([
        "authority proof at 100",
        "authority proof at 100",
        "parachain genesis state at 0",
        "parachain genesis at 1",
    ]) {
        let world = World::grown(15);
        world.source.hook().always(|call| *call == SourceCall::Genesis, SourceFault::Corrupt(how));
        let ingesting = world.ingesting();
        tokio::time::sleep(seconds(60)).await;
        assert!(world.store.genesis().await.unwrap().is_none(), "{how:?}");
        ingesting.stop().await;
        let world = World::grown(15);
        let causes = refused_then_recovers(world, |call| *call == SourceCall::Genesis, how).await;
        assert!(causes.iter().all(|cause| cause.starts_with(check)), "{how:?}: {causes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_a_wrong_relay_batch_is_refused_with_check_and_height() {
    for (how, check) in Corruption::BATCH.into_iter().zip([
        "header link at 116: parent is",
        "header link at 116: not a header",
        "justification at 119: invalid commit target",
        "header link at 111: got number 112",
        "header link at 111: no headers",
        "justification at 120: invalid commit target",
        "justification at 120: invalid commit target",
        "justification at 120: invalid signature",
        "justification at 120: invalid signature",
        "justification at 120: invalid commit target",
    ]) {
        relay_batch_is_refused(how, check).await;
    }
}

#[tokio::test(start_paused = true)]
async fn x3_blocks_of_a_fork_that_was_never_finalized_are_refused() {
    relay_batch_is_refused(Corruption::Fork, "justification at 120: invalid commit target").await;
}

#[tokio::test(start_paused = true)]
async fn x6_a_justification_that_is_bad_or_anothers_is_refused() {
    for (how, check) in [
        (Corruption::Justification, "justification at 120: invalid signature"),
        (Corruption::OtherSet, "justification at 120: invalid signature"),
        (Corruption::OtherTarget, "justification at 120: invalid commit target"),
    ] {
        relay_batch_is_refused(how, check).await;
    }
}

/// The batch of the second authority set is wrong in this way.
async fn relay_batch_is_refused(how: Corruption, check: &str) {
    let world = World::grown(35);
    let second = |call: &SourceCall| *call == SourceCall::RelayBatch(Height(111));
    let causes = refused_then_recovers(world, second, how).await;
    assert!(causes.iter().all(|cause| cause.starts_with(check)), "{how:?}: {causes:?}");
}

#[tokio::test(start_paused = true)]
async fn x5_a_batch_that_hides_or_forges_a_set_change_is_refused() {
    for (how, check) in Corruption::SET_CHANGE.into_iter().zip([
        "set change at 120",
        "set change proof at 120",
        "authority proof at 120",
    ]) {
        let world = World::grown(35);
        let second = |call: &SourceCall| *call == SourceCall::RelayBatch(Height(111));
        let causes = refused_then_recovers(world, second, how).await;
        assert!(causes.iter().all(|cause| cause.starts_with(check)), "{how:?}: {causes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_a_wrong_parachain_head_or_header_is_refused_with_check_and_height() {
    for how in Corruption::HEAD {
        let world = World::grown(35);
        let second = |call: &SourceCall| *call == SourceCall::ParaHead(Height(120));
        let causes = refused_then_recovers(world, second, how).await;
        assert!(
            causes.iter().all(|cause| cause.starts_with("para head proof at 120")),
            "{how:?}: {causes:?}"
        );
    }
    for (how, check) in Corruption::PARA_HEADERS.into_iter().zip([
        "parachain header link at 7: parent is",
        "parachain header link at 7: not a header",
        "parachain header link at 8: headers lead to 8",
        "parachain header link at 5: got number 6",
    ]) {
        let world = World::grown(35);
        let second =
            |call: &SourceCall| matches!(call, SourceCall::ParaHeaders(span) if span.first() == Height(5));
        let causes = refused_then_recovers(world, second, how).await;
        assert!(causes.iter().all(|cause| cause.starts_with(check)), "{how:?}: {causes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_wrong_storage_changes_are_refused_and_do_not_hold_back_headers() {
    for (how, check) in Corruption::CHANGES.into_iter().zip([
        "storage changes at 5: not storage changes",
        "state root at 5",
        "storage changes at 5: asked for",
        "storage changes at 5: asked for",
    ]) {
        let world = World::grown(35);
        let second =
            |call: &SourceCall| matches!(call, SourceCall::Changes(span) if span.first() == Height(5));
        world.source.hook().always(second, SourceFault::Corrupt(how));
        let ingesting = world.ingesting();
        tokio::time::sleep(seconds(60)).await;
        assert_eq!(world.cursor_heights().await, (135, Some(16), 4), "{how:?}");
        ingesting.stop().await;

        let causes = refused_then_recovers(World::grown(35), second, how).await;
        assert!(causes.iter().all(|cause| cause.starts_with(check)), "{how:?}: {causes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_a_head_that_disappears_is_refused() {
    let observed = Observed::begin();
    let world = World::ingested(15).await;
    world.chain.advance(10);
    world.source.hook().always(|call| matches!(call, SourceCall::ParaHead(_)), SourceFault::Nothing);
    let ingesting = world.ingesting();
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(world.cursor_heights().await.0, 115);
    assert!(world.source.distrusted()[0].contains("the parachain's head is gone"));
    assert!(observed.counter("prb_ingest_refused_total{check=para head proof}") > 0);
    assert_eq!(observed.lines(&["WARN", "refused an answer", "fake-node", "head is gone"]).len(), 1);
    world.source.hook().clear();
    world.complete(seconds(60)).await;
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_start_than_the_pinned_one_is_refused() {
    let world = World::grown(10);
    let pinned = BlockRef { height: Height(100), hash: Hash([3; 32]) };
    let options = IngestOptions { trusted_start: Some(pinned), ..IngestOptions::default() };
    let source = Arc::new(world.source.clone());
    let store = Arc::new(world.store.clone());
    let mut ingest = Ingest::new(source, store, Box::new(ToyVerifier::new()), options, Announcer::default());
    let refused = ingest.step().await.unwrap_err();
    assert!(matches!(&refused, IngestError::Refused { by, .. } if by.to_string() == "fake-node"));
    assert!(refused.to_string().contains("start block at 100"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_source_of_another_chain_ends_ingest_into_a_filled_store() {
    let mut world = World::ingested(15).await;
    let foreign = FakeChain::new(99);
    foreign.advance(40);
    world.source = FakeSource::new(&foreign);
    let ingesting = world.ingesting();
    let ended = tokio::time::timeout(seconds(60), ingesting.task).await.unwrap().unwrap();
    let cause = ended.unwrap_err().to_string();
    let (own, other) = (world.chain.genesis().relay_chain, foreign.genesis().relay_chain);
    let expected = format!(
        "it holds relay chain {own}, the nodes are {other} (fake-node); choose another data_dir or the right nodes"
    );
    assert_eq!(cause, expected);
    assert_eq!(world.cursor_heights().await, (115, Some(6), 6));
}

#[tokio::test(start_paused = true)]
async fn x1_silence_and_absence_are_waited_out_counted_and_told() {
    for (fault, cause) in [
        (SourceFault::Unreachable, "scripted"),
        (SourceFault::Hang(seconds(20)), "within 20 s"),
        (SourceFault::Missing, "fake-node"),
        (SourceFault::Pruned, "fake-node"),
        (SourceFault::TooLarge, "fake-node"),
    ] {
        let observed = Observed::begin();
        let world = World::grown(25);
        world.source.hook().times(6, |call| *call == SourceCall::Genesis, fault);
        let ingesting = world.ingesting();
        world.complete(seconds(300)).await;
        world.assert_stored_is_honest().await;
        // Recovery is told by the turn after.
        tokio::time::sleep(seconds(1)).await;
        let events = ingesting.stop().await;
        assert!(events.contains(&Event::IngestRecovered), "{fault:?}: {events:?}");
        assert_eq!(world.source.distrusted(), Vec::<String>::new(), "{fault:?}: nobody lied");
        assert_eq!(observed.counter("prb_ingest_failures_total"), 6, "{fault:?}");
        let told = observed.lines(&["WARN", "ingest has trouble", cause]);
        assert_eq!(told.len(), 1, "{fault:?}: once while it lasts: {told:?}");
        assert_eq!(observed.lines(&["INFO", "ingest recovered"]).len(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_only_slow_is_no_trouble() {
    let observed = Observed::begin();
    let world = World::grown(25);
    world.source.hook().times(6, |_| true, SourceFault::Slow(seconds(5)));
    let ingesting = world.ingesting();
    world.complete(seconds(300)).await;
    world.assert_stored_is_honest().await;
    ingesting.stop().await;
    assert_eq!(observed.counter("prb_ingest_failures_total"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_is_asked_ever_more_seldom() {
    let world = World::grown(25);
    world.source.hook().always(|_| true, SourceFault::Unreachable);
    let ingesting = world.ingesting();
    tokio::time::sleep(HOUR).await;
    let calls = world.source.calls().len();
    assert!((90..200).contains(&calls), "{calls} calls in an hour");
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failing_changes_are_not_asked_for_at_every_relay_batch_without_pause() {
    let world = World::grown(400);
    world.source.limit_batches(1);
    world.source.hook().always(|call| matches!(call, SourceCall::Changes(_)), SourceFault::Unreachable);
    let ingesting = world.ingesting();
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(world.cursor_heights().await.0, 500, "relay headers go on");
    let asked = world.source.calls().iter().filter(|call| matches!(call, SourceCall::Changes(_))).count();
    assert!(asked < 40, "asked {asked} times in two minutes");
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn x3_a_finalized_view_that_moves_back_is_waited_for() {
    let observed = Observed::begin();
    let world = World::ingested(30).await;
    world.source.lag(20);
    let ingesting = world.ingesting();
    world.chain.advance(10);
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(world.cursor_heights().await.0, 130);
    world.assert_stored_is_honest().await;
    let stalled = || observed.gauge("prb_stalled{what=relay headers}");
    assert_eq!(stalled(), Some(1.0));
    let told = observed.lines(&["WARN", "stand still"]);
    assert_eq!(told.len(), 1, "{told:?}");
    world.source.lag(0);
    world.complete(seconds(60)).await;
    world.assert_stored_is_honest().await;
    assert_eq!(world.source.refetched(), [], "nothing stored is asked for again");
    assert_eq!(world.source.distrusted(), Vec::<String>::new(), "nobody lied");
    // That it is over is told at the next look.
    eventually("it is told to be over", seconds(30), || stalled() == Some(0.0)).await;
    assert_eq!(observed.lines(&["INFO", "get on again"]).len(), 1);
    let events = ingesting.stop().await;
    let trouble = |event: &Event| matches!(event, Event::IngestTrouble { .. } | Event::Refused { .. });
    assert!(!events.iter().any(trouble), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn x13_a_full_disk_holds_ingest_until_there_is_space() {
    for (fault, cause) in [
        (StoreFault::DiskFull, "no space left"),
        (StoreFault::MapFull, "is full"),
        (StoreFault::Unreachable, "scripted"),
    ] {
        let observed = Observed::begin();
        let world = World::grown(35);
        world.store.hook().always(|call| *call == StoreCall::Append, fault);
        let ingesting = world.ingesting();
        tokio::time::sleep(seconds(60)).await;
        assert!(world.store.cursor().await.unwrap().is_none());
        world.store.hook().clear();
        world.complete(seconds(60)).await;
        world.assert_stored_is_honest().await;
        assert_eq!(world.source.distrusted(), Vec::<String>::new());
        let events = ingesting.stop().await;
        assert!(events.contains(&Event::IngestRecovered), "{events:?}");
        assert!(observed.counter("prb_ingest_failures_total") > 0, "{fault:?}");
        assert_eq!(observed.lines(&["WARN", "ingest has trouble", cause]).len(), 1, "{fault:?}");
        assert_eq!(observed.lines(&["INFO", "ingest recovered"]).len(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_of_unknown_fate_is_neither_repeated_nor_skipped() {
    let world = World::grown(35);
    let mut count = 0;
    world.store.hook().set(move |call| {
        count += u32::from(*call == StoreCall::Append);
        (*call == StoreCall::Append && count % 2 == 0).then_some(StoreFault::LostReply)
    });
    let ingesting = world.ingesting();
    world.complete(seconds(120)).await;
    world.assert_stored_is_honest().await;
    ingesting.stop().await;
    assert_eq!(world.source.refetched(), []);
}

#[tokio::test(start_paused = true)]
async fn damage_on_disk_ends_ingest_with_its_reason() {
    let world = World::ingested(15).await;
    world.chain.advance(10);
    world
        .store
        .hook()
        .always(|call| matches!(call, StoreCall::Read(Stream::ParaHeaders, _)), StoreFault::Damaged);
    let ingesting = world.ingesting();
    let ended = tokio::time::timeout(seconds(60), ingesting.task).await.unwrap().unwrap();
    assert!(ended.unwrap_err().to_string().contains("para-headers at 7 is damaged"));
}

#[tokio::test(start_paused = true)]
async fn without_state_verification_changes_are_only_decoded() {
    let world = World::grown(25);
    let how = SourceFault::Corrupt(Corruption::ChangesValue);
    world.source.hook().always(|call| matches!(call, SourceCall::Changes(_)), how);
    let mut ingest = Ingest::new(
        Arc::new(world.source.clone()),
        Arc::new(world.store.clone()),
        Box::new(ToyVerifier::without_state()),
        IngestOptions::default(),
        Announcer::default(),
    );
    while ingest.step().await.unwrap() {}
    assert!(!world.store.coverage().await.unwrap().unwrap().state_verified);
    let stored = world.store.read(Stream::Changes, Span::one(Height(1)), usize::MAX).await.unwrap();
    assert_ne!(Some(stored[0].bytes.clone()), world.chain.changes(Height(1)));
}

#[tokio::test(start_paused = true)]
async fn a_standalone_chain_is_ingested_without_parachain_headers() {
    let world = World::new(FakeChain::builder(5).solo().build());
    world.chain.advance(35);
    world.ingest_all().await;
    assert_eq!(world.cursor_heights().await, (35, None, 35));
    world.assert_stored_is_honest().await;
    assert_eq!(world.source.refetched(), []);
}

#[tokio::test(start_paused = true)]
async fn x23_a_source_that_announces_what_it_does_not_deliver_is_not_hammered() {
    let world = World::ingested(15).await;
    world.chain.advance(10);
    world.source.hook().always(|call| matches!(call, SourceCall::RelayBatch(_)), SourceFault::Nothing);
    let ingesting = world.ingesting();
    tokio::time::sleep(seconds(600)).await;
    let calls = world.source.calls().len();
    assert!(calls < 2000, "{calls} calls in ten minutes");
    world.source.hook().clear();
    world.complete(seconds(60)).await;
    ingesting.stop().await;
}

#[tokio::test(start_paused = true)]
async fn adapters_that_never_answer_do_not_stop_ingest_for_ever() {
    let for_ever = seconds(u32::MAX.into());
    let world = World::grown(25);
    world.source.hook().times(1, |call| matches!(call, SourceCall::Changes(_)), SourceFault::Hang(for_ever));
    world.store.hook().times(1, |call| *call == StoreCall::Append, StoreFault::Slow(for_ever));
    let ingesting = world.ingesting();
    world.complete(5 * HOUR).await;
    world.assert_stored_is_honest().await;
    let events = ingesting.stop().await;
    let told = |event: &Event| matches!(event, Event::IngestTrouble { cause } if cause.contains("7200 s"));
    assert!(events.iter().any(told), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn verification_switched_on_too_late_ends_ingest_and_blames_nobody() {
    let world = World::grown(25);
    let mut ingest = Ingest::new(
        Arc::new(world.source.clone()),
        Arc::new(world.store.clone()),
        Box::new(ToyVerifier::without_state()),
        IngestOptions::default(),
        Announcer::default(),
    );
    while ingest.step().await.unwrap() {}
    world.chain.advance(10);
    let ingesting = world.ingesting();
    let ended = tokio::time::timeout(seconds(60), ingesting.task).await.unwrap().unwrap();
    let cause = ended.unwrap_err().to_string();
    assert!(cause.contains("without verification") && !cause.contains("fake-node"), "{cause}");
    assert_eq!(world.source.distrusted(), Vec::<String>::new());
}
