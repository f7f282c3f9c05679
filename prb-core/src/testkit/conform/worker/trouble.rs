//! A worker that misbehaves.

use super::{
    Bench, Trouble,
    session::{headers, init},
    vectors::T3_HEADERS,
};
use crate::{
    id::Height,
    port::worker::{Refusal, WorkerError},
};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::Instant;

/// How much later than its deadline a call may return. Generous: machines that test are busy, and a call without
/// deadline never returns.
const SLACK: Duration = Duration::from_secs(30);

pub(super) async fn calls_wait_for_each_other(bench: &impl Bench) {
    let driver = bench.driver();
    let answers = join_all((0..16).map(|_| driver.info())).await;
    assert!(answers.iter().all(Result::is_ok), "every waiting call is served in the end");
    assert_eq!(bench.peak_in_flight(), 1, "one call is in flight at a time");
}

pub(super) async fn every_trouble_ends_in_time_with_its_own_error(bench: &impl Bench) {
    type Check = fn(&WorkerError) -> bool;
    let cases: [(Trouble, Check); 7] = [
        (Trouble::Hang, |error| matches!(error, WorkerError::Timeout { .. })),
        (Trouble::Break, |error| matches!(error, WorkerError::Broken { .. })),
        (Trouble::Refuse("anything"), |error| matches!(error, WorkerError::Refused { .. })),
        (Trouble::BadRequest, |error| matches!(error, WorkerError::BadRequest { .. })),
        (Trouble::NoMethod, |error| matches!(error, WorkerError::NotOffered { .. })),
        (Trouble::Garbage, |error| matches!(error, WorkerError::BadReply { .. })),
        (Trouble::Oversize, |error| matches!(error, WorkerError::BadReply { .. })),
    ];
    let driver = bench.driver();
    driver.init(init()).await.expect("InitRuntime succeeds");
    for (trouble, expected) in cases {
        bench.next(trouble.clone());
        let started = Instant::now();
        // A call that may not be repeated by the driver; it has no effect, for the worker stands further.
        let error = driver.take_checkpoint().await.expect_err("trouble is an error");
        assert!(expected(&error), "{trouble:?} ended in {error:?}");
        assert!(
            started.elapsed() <= bench.deadline() + SLACK,
            "{trouble:?} took {:?}, the deadline is {:?}",
            started.elapsed(),
            bench.deadline()
        );
        assert!(error.to_string().contains(&driver.endpoint()), "{error} names the worker");
        driver.info().await.unwrap_or_else(|error| panic!("after {trouble:?} the next call failed: {error}"));
    }
}

pub(super) async fn a_trickle_is_cut_off_in_time(bench: &impl Bench) {
    let driver = bench.driver();
    bench.next(Trouble::Trickle);
    let started = Instant::now();
    let answer = driver.info().await;
    assert!(matches!(answer, Err(WorkerError::Timeout { .. })), "a trickle times out, not {answer:?}");
    assert!(started.elapsed() <= bench.deadline() + SLACK, "it took {:?}", started.elapsed());
    driver.info().await.expect("the next call is served");
}

pub(super) async fn refusals_are_told_by_their_text(bench: &impl Bench) {
    let driver = bench.driver();
    let cases = [
        ("BlockNumberMismatch", Refusal::OutOfStep),
        ("NoStateRoot", Refusal::OutOfStep),
        ("RelaychainHeaderNotSynced", Refusal::OutOfStep),
        ("Runtime already initialized", Refusal::OutOfStep),
        ("Runtime not initialized", Refusal::NotInitialized),
        ("MissingJustification", Refusal::BadData),
        ("HeaderHashMismatch", Refusal::BadData),
        ("HeaderValidateFailed(invalid ancestry proof)", Refusal::BadData),
        ("StorageProofFailed(storage value mismatch)", Refusal::BadData),
        ("StateRootMismatch block=7 expected=0x00 actual=0x01", Refusal::BadData),
        ("ChainModeMismatch", Refusal::BadData),
        ("RCU in progress, please try the request again later", Refusal::Busy),
        ("This RPC is disabled in safe mode", Refusal::Other),
    ];
    for (text, kind) in cases {
        bench.next(Trouble::Refuse(text));
        match driver.sync_headers(headers(T3_HEADERS)).await {
            Err(WorkerError::Refused { message, refusal, .. }) => {
                assert_eq!((message.as_str(), refusal), (text, kind), "kind and words are told");
            }
            other => panic!("{text:?} became {other:?}"),
        }
    }
}

pub(super) async fn a_call_behind_a_hung_one_is_served(bench: &impl Bench) {
    let driver = bench.driver();
    bench.next(Trouble::Hang);
    let started = Instant::now();
    let (first, second) = futures::join!(driver.take_checkpoint(), driver.info());
    assert!(matches!(first, Err(WorkerError::Timeout { .. })), "the hung call times out, not {first:?}");
    assert!(second.is_ok(), "the call behind it is served, not {second:?}");
    assert!(started.elapsed() <= bench.deadline() * 2 + SLACK, "both end within their deadlines");
}

pub(super) async fn a_dropped_call_leaves_the_driver_usable(bench: &impl Bench) {
    let driver = bench.driver();
    bench.next(Trouble::Hang);
    let dropped = tokio::time::timeout(bench.deadline() / 4, driver.take_checkpoint()).await;
    assert!(dropped.is_err(), "the worker hangs for longer than we wait");
    driver.info().await.expect("the next call is served");
}

pub(super) async fn a_call_without_answer_may_have_acted(bench: &impl Bench) {
    let driver = bench.driver();
    driver.init(init()).await.expect("InitRuntime succeeds");
    bench.next(Trouble::BreakAfter);
    let answer = driver.sync_headers(headers(T3_HEADERS)).await;
    assert!(matches!(answer, Err(WorkerError::Broken { .. })), "no answer is no success: {answer:?}");
    let info = driver.info().await.expect("GetInfo answers");
    assert_eq!(info.headernum, Height(103), "the worker's position tells what became of the call");
}

pub(super) async fn stopping_succeeds_when_the_connection_breaks(bench: &impl Bench) {
    let driver = bench.driver();
    driver.info().await.expect("the worker runs");
    bench.next(Trouble::Break);
    driver.stop(false).await.expect("a broken connection means that the worker has stopped");
    bench.next(Trouble::Refuse("no"));
    assert!(
        matches!(driver.stop(false).await, Err(WorkerError::Refused { .. })),
        "a refusal to stop is an error"
    );
}
