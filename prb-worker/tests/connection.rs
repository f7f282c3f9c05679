//! One connection, one call at a time, and when a call may be made again.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use prb_core::port::worker::{WorkerDriver, WorkerError};
use prb_worker::{Options, PrpcDriver};
use support::{Act, Stub, headers};
use tokio::time::{advance, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn calls_go_to_the_methods_path_with_length_and_type() {
    let stub = Stub::default();
    let driver = stub.driver();
    driver.info().await.unwrap();
    driver.sync_headers(headers()).await.unwrap();
    let seen = stub.seen();
    assert!(seen[0].head.starts_with("POST /base/prpc/PhactoryAPI.GetInfo HTTP/1.1\r\n"), "{}", seen[0].head);
    let head = seen[0].head.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-length: 0\r\n"), "{head}");
    assert!(head.contains("\r\nhost: worker.test:8000\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/octet-stream\r\n"), "{head}");
    let head = seen[1].head.to_ascii_lowercase();
    assert!(head.starts_with("post /base/prpc/phactoryapi.syncheader "), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", seen[1].body.len())), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn v2_f040_a_connection_is_used_again_until_it_was_idle_for_too_long() {
    let stub = Stub::default();
    let driver = stub.driver();
    for wait in [0, 3, 3, 5, 0] {
        advance(Duration::from_secs(wait)).await;
        driver.info().await.unwrap();
    }
    assert_eq!(stub.connections(), [1, 1, 1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn refused_calls_keep_the_connection() {
    let stub = Stub::new([Act::Reply(500, support::prpc_error("no")), Act::Reply(404, vec![])]);
    let driver = stub.driver();
    driver.info().await.unwrap_err();
    driver.info().await.unwrap_err();
    driver.info().await.unwrap();
    assert_eq!(stub.connections(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_the_worker_has_closed_is_replaced_unnoticed() {
    let stub = Stub::new([Act::ReplyAndClose(200, vec![]), Act::ReplyAndClose(200, vec![])]);
    let driver = stub.driver();
    driver.info().await.unwrap();
    sleep(Duration::from_millis(1)).await;
    driver.sync_headers(headers()).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    driver.dispatch(vec![]).await.unwrap();
    assert_eq!(stub.connections(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_meets_the_idle_close_is_made_again_once() {
    let stub = Stub::new([Act::Reply(200, vec![]), Act::Close, Act::Reply(200, vec![])]);
    let driver = stub.driver();
    driver.info().await.unwrap();
    driver.info().await.unwrap();
    assert_eq!(stub.connections(), [1, 1, 2]);

    let stub = Stub::new([Act::Reply(200, vec![]), Act::Close, Act::Close, Act::Reply(200, vec![])]);
    let driver = stub.driver();
    driver.info().await.unwrap();
    assert!(matches!(driver.info().await, Err(WorkerError::Broken { .. })));
    assert_eq!(stub.connections(), [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_read_on_a_fresh_connection_is_not_made_again() {
    let stub = Stub::new([Act::Close]);
    assert!(matches!(stub.driver().info().await, Err(WorkerError::Broken { .. })));
    assert_eq!(stub.connections(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_changes_the_worker_is_never_made_again() {
    let stub = Stub::new([Act::Reply(200, vec![]), Act::Close]);
    let driver = stub.driver();
    driver.info().await.unwrap();
    let answer = driver.sync_headers(headers()).await;
    assert!(matches!(answer, Err(WorkerError::Broken { .. })), "{answer:?}");
    assert_eq!(stub.connections(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn stop_never_meets_a_connection_that_closes_by_itself() {
    let stub = Stub::new([Act::Reply(200, vec![]), Act::Close]);
    let driver = stub.driver();
    driver.info().await.unwrap();
    driver.stop(false).await.unwrap();
    assert_eq!(stub.connections(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_are_made_one_after_the_other() {
    let work = Act::Work(Duration::from_secs(20), vec![]);
    let stub = Stub::new(vec![work; 5]);
    let driver = stub.driver();
    let started = tokio::time::Instant::now();
    let answers = join_all((0..5).map(|_| driver.info())).await;
    assert!(answers.iter().all(Result::is_ok), "waiting in line does not count against the deadline");
    assert_eq!(stub.peak_in_flight(), 1);
    assert_eq!(started.elapsed(), Duration::from_secs(100));
    assert_eq!(stub.connections(), [1; 5]);
}

#[tokio::test(start_paused = true)]
async fn calls_behind_a_hung_one_are_served_on_a_new_connection() {
    let stub = Stub::new([Act::Stall(vec![])]);
    let driver = stub.driver();
    let (first, second) = futures::join!(driver.take_checkpoint(), driver.info());
    assert!(matches!(first, Err(WorkerError::Timeout { .. })));
    second.unwrap();
    assert_eq!(stub.connections(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_closes_its_connection_and_gives_up_its_turn() {
    let stub = Stub::new([Act::Stall(vec![])]);
    let driver = Arc::new(stub.driver());
    timeout(Duration::from_secs(1), driver.take_checkpoint()).await.unwrap_err();
    driver.info().await.unwrap();
    assert_eq!(stub.connections(), [1, 2]);
}

#[test]
fn other_schemes_are_refused_when_the_driver_is_made() {
    let error = PrpcDriver::new("ftp://worker:8000", Options::default()).unwrap_err();
    assert!(error.to_string().contains("workers speak http"), "{error}");
}
