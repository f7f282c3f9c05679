//! Everything a worker may do to a call, and what the driver says of it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{sync::Arc, time::Duration};

use prb_core::{
    Bytes,
    fault::Fault,
    id::{AccountId, Height, PoolId, WorkerName},
    lifecycle::Goal,
    pipeline::{Bridge, Event, Worker},
    port::worker::{BlockItem, Refusal, WorkerDriver, WorkerError},
    testkit::Observed,
};
use prb_worker::{MinimumRate, Options, PrpcDriver};
use support::{Act, Refuse, Stub, answer, headers, para_headers, prpc_error};
use tokio::time::Instant;

const AT: &str = "http://worker.test:8000/base";

async fn error_of(act: Act) -> WorkerError {
    Stub::new([act]).driver().sync_headers(headers()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn statuses_become_variants() {
    let endpoint = || AT.to_owned();
    let method = "SyncHeader";
    // Field header 2, count 1, headers 3 + 3, options 2, length 1, justification 7.
    let size = 19;
    let cases = [
        (
            Act::Reply(400, prpc_error("DecodeError(x)")),
            WorkerError::BadRequest { endpoint: endpoint(), method, message: "DecodeError(x)".into() },
        ),
        (Act::Reply(403, vec![]), WorkerError::NotOffered { endpoint: endpoint(), method }),
        (
            Act::Reply(404, prpc_error("Method Not Found")),
            WorkerError::NotOffered { endpoint: endpoint(), method },
        ),
        (
            Act::Reply(413, b"Entity too large".to_vec()),
            WorkerError::TooLarge { endpoint: endpoint(), method, bytes: size },
        ),
        (
            Act::Reply(500, prpc_error("BlockNumberMismatch")),
            WorkerError::Refused {
                endpoint: endpoint(),
                method,
                message: "BlockNumberMismatch".into(),
                refusal: Refusal::OutOfStep,
            },
        ),
        (
            Act::Reply(500, b"not a message".to_vec()),
            WorkerError::Refused {
                endpoint: endpoint(),
                method,
                message: "not a message".into(),
                refusal: Refusal::Other,
            },
        ),
        (
            Act::Reply(503, b"Read body failed".to_vec()),
            WorkerError::Refused {
                endpoint: endpoint(),
                method,
                message: "503 Read body failed".into(),
                refusal: Refusal::Busy,
            },
        ),
    ];
    for (act, expected) in cases {
        assert_eq!(error_of(act).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_instead_of_an_answer_points_at_the_address() {
    for page in [&b"<!DOCTYPE html><html><body>404 Not Found</body></html>"[..], b"Not Found", b""] {
        let error = error_of(Act::Reply(404, page.to_vec())).await;
        assert!(
            matches!(&error, WorkerError::BadReply { cause, .. } if cause.contains("address")),
            "{error}"
        );
        assert_ne!(error.fault(), Fault::Stop);
    }
    let error = error_of(Act::Reply(502, b"<html>".to_vec())).await;
    assert!(matches!(&error, WorkerError::BadReply { cause, .. } if cause.contains("502")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_workers_text_cannot_forge_log_lines_or_fill_logs() {
    let text = format!("Busy\n2030-01-01 INFO all is well{}", "x".repeat(10_000));
    match error_of(Act::Reply(500, prpc_error(&text))).await {
        WorkerError::Refused { message, .. } => {
            assert!(message.starts_with("Busy 2030"));
            assert_eq!(message.len(), 2048);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn broken_connections_are_told_apart_from_bad_answers() {
    for act in [
        Act::Close,
        Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789".to_vec()),
        Act::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01".to_vec()),
    ] {
        let error = error_of(act.clone()).await;
        assert!(matches!(error, WorkerError::Broken { .. }), "{act:?} became {error:?}");
        assert_eq!(error.fault(), Fault::Reread);
    }
    for act in [
        Act::Raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()),
        Act::Reply(200, vec![0xff; 12]),
        // A string where a number is due.
        Act::Reply(200, vec![0x0a, 1, b'x']),
    ] {
        let error = error_of(act.clone()).await;
        assert!(matches!(error, WorkerError::BadReply { .. }), "{act:?} became {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn oversize_replies_are_not_read() {
    let started = Instant::now();
    // Announced: refused from the head alone.
    let error =
        error_of(Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec())).await;
    assert!(matches!(&error, WorkerError::BadReply { cause, .. } if cause.contains("65536")), "{error}");
    // Not announced: read up to the cap.
    let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let error = error_of(Act::Flood(head, chunk)).await;
    assert!(matches!(&error, WorkerError::BadReply { cause, .. } if cause.contains("65536")), "{error}");
    // A head without end.
    let error =
        error_of(Act::Flood(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-a: aaaaaaaaaaaaaaaa\r\n".to_vec())).await;
    assert!(matches!(error, WorkerError::BadReply { .. }), "{error}");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn runtime_calls_may_answer_more_than_others() {
    let large = vec![0; 70 << 10];
    // Field 9 is unknown and skipped; what counts is the size.
    let body = [
        &[0x4a][..],
        &{
            let mut len = Vec::new();
            prost::encoding::encode_varint(large.len() as u64, &mut len);
            len
        },
        &large,
        &[0x0a, 1, 0],
    ]
    .concat();
    let stub = Stub::new([Act::Reply(200, body.clone()), Act::Reply(200, body)]);
    let driver = stub.driver();
    assert_eq!(driver.egress_messages().await, Ok(vec![]));
    assert!(matches!(driver.info().await, Err(WorkerError::BadReply { .. })));
}

#[tokio::test(start_paused = true)]
async fn v2_f039_a_hung_worker_costs_one_deadline_of_the_calls_kind() {
    type Call = fn(&PrpcDriver) -> futures::future::BoxFuture<'_, WorkerError>;
    let calls: [(Call, u64); 4] = [
        (|driver| Box::pin(async { driver.info().await.unwrap_err() }), 30),
        (|driver| Box::pin(async { driver.sync_headers(headers()).await.unwrap_err() }), 180),
        (|driver| Box::pin(async { driver.runtime_info(false, None).await.unwrap_err() }), 180),
        (
            |driver| Box::pin(async { driver.load_chain_state(Height(1), Bytes::new()).await.unwrap_err() }),
            1800,
        ),
    ];
    for (call, seconds) in calls {
        let stub = Stub::new([Act::Stall(vec![])]);
        let started = Instant::now();
        let error = call(&stub.driver()).await;
        assert!(matches!(error, WorkerError::Timeout { seconds: told, .. } if told == seconds), "{error:?}");
        assert_eq!(started.elapsed(), Duration::from_secs(seconds));
        assert_eq!(error.fault(), Fault::Reread);
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_may_work_up_to_the_deadline() {
    let stub = Stub::new([Act::Work(Duration::from_secs(179), vec![0x08, 0x66])]);
    assert_eq!(stub.driver().sync_headers(headers()).await, Ok(Some(Height(102))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_byte_a_second_is_cut_off_early() {
    let started = Instant::now();
    let error = Stub::new([Act::Trickle(vec![0; 400])]).driver().egress_messages().await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert!(matches!(error, WorkerError::Timeout { seconds: 10, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_reads_one_byte_a_second_is_cut_off_early() {
    let state = Bytes::from(vec![1; 8 << 20]);
    let started = Instant::now();
    let error = Stub::new([Act::SlowReader]).driver().load_chain_state(Height(7), state).await.unwrap_err();
    assert!(matches!(error, WorkerError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() <= Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_limit_told_before_the_body_is_read_is_heard() {
    let item = BlockItem { header: "h".into(), changes: Bytes::from(vec![2; 4 << 20]) };
    let stub = Stub::new([Act::Early(413, b"Entity too large".to_vec())]);
    let driver = stub.driver();
    match driver.dispatch(vec![item]).await {
        Err(WorkerError::TooLarge { bytes, .. }) => assert!(bytes > 4 << 20),
        other => panic!("{other:?}"),
    }
    assert!(driver.info().await.is_ok());
    assert_eq!(stub.connections(), [1, 2], "the half-sent request is not followed by another");
}

#[tokio::test(start_paused = true)]
async fn unreachable_workers_are_told_with_the_reason() {
    let stub = Stub::default();
    stub.refuse(Refuse::Error);
    let error = stub.driver().info().await.unwrap_err();
    assert!(matches!(&error, WorkerError::Unreachable { cause, .. } if cause.contains("refused")), "{error}");
    assert_eq!(error.fault(), Fault::Reread);

    stub.refuse(Refuse::Hang);
    let started = Instant::now();
    let error = stub.driver().info().await.unwrap_err();
    assert!(matches!(&error, WorkerError::Unreachable { cause, .. } if cause.contains("5 s")), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_before_the_request_is_no_sign_that_a_worker_stopped() {
    let stub = Stub::default();
    stub.refuse(Refuse::CloseAtOnce);
    assert!(matches!(stub.driver().info().await, Err(WorkerError::Unreachable { .. })));
    assert!(matches!(stub.driver().stop(false).await, Err(WorkerError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_window_of_no_length_does_not_stop_the_clock() {
    let minimum_rate = MinimumRate { bytes: 0, window: Duration::ZERO };
    let driver = Stub::new([Act::Stall(vec![])]).driver_with(Options { minimum_rate, ..Options::default() });
    assert!(matches!(driver.info().await, Err(WorkerError::Timeout { seconds: 30, .. })));
}

#[tokio::test]
async fn a_closed_port_is_unreachable_over_real_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let driver = PrpcDriver::new(&url, Options::default()).unwrap();
    let error = driver.info().await.unwrap_err();
    assert!(matches!(&error, WorkerError::Unreachable { endpoint, .. } if *endpoint == url), "{error}");
}

#[tokio::test(start_paused = true)]
async fn stop_succeeds_by_a_broken_connection_and_only_by_that_or_an_answer() {
    for act in [Act::Close, Act::Reply(200, vec![]), Act::Raw(b"HTTP/1.1 2".to_vec())] {
        let stub = Stub::new([act]);
        assert_eq!(stub.driver().stop(true).await, Ok(()));
        assert_eq!(stub.seen()[0].body, [0x08, 0x01]);
    }
    let error = Stub::new([Act::Stall(vec![])]).driver().stop(false).await.unwrap_err();
    assert!(matches!(error, WorkerError::Timeout { seconds: 30, .. }));
    let stub = Stub::default();
    stub.refuse(Refuse::Error);
    assert!(matches!(stub.driver().stop(false).await, Err(WorkerError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_number_before_zero_is_none() {
    let nothing = vec![0x08, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let both = [&nothing[..], &[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let stub = Stub::new([
        Act::Reply(200, nothing.clone()),
        Act::Reply(200, vec![]),
        Act::Reply(200, vec![0x08, 0x67, 0x10, 0x02]),
        Act::Reply(200, both),
        Act::Reply(200, nothing),
    ]);
    let driver = stub.driver();
    assert_eq!(driver.sync_headers(headers()).await, Ok(None));
    assert_eq!(driver.sync_para_headers(para_headers()).await, Ok(Some(Height(0))));
    let combined = driver.sync_combined(headers(), para_headers()).await;
    assert_eq!(combined, Ok((Some(Height(103)), Some(Height(2)))));
    assert_eq!(driver.sync_combined(headers(), para_headers()).await, Ok((None, None)));
    assert!(matches!(driver.take_checkpoint().await, Err(WorkerError::BadReply { .. })));
}

/// What a worker does to its first call, as it is counted and told; after it the worker is well.
#[tokio::test(start_paused = true)]
async fn x8_each_fault_of_a_worker_is_counted_and_told_with_its_cause_and_got_over() {
    for (act, result, told) in [
        (Act::Reply(500, prpc_error("something")), "refused", "refused GetInfo: something"),
        (Act::Reply(400, prpc_error("DecodeError(x)")), "bad_request", "could not decode GetInfo"),
        (Act::Reply(404, prpc_error("Method Not Found")), "not_offered", "does not offer GetInfo"),
        (Act::Reply(413, vec![]), "too_large", "is too large"),
        (Act::Reply(503, vec![]), "refused", "refused GetInfo: 503"),
        (
            Act::Reply(200, vec![0x0a, 0xff]),
            "bad_reply",
            "answered GetInfo with a body that is not its protobuf",
        ),
        (Act::Raw(b"not http".to_vec()), "bad_reply", "what is not HTTP/1.1"),
        (Act::Close, "broken", "broke the connection during GetInfo"),
        (Act::Stall(vec![]), "timeout", "did not answer GetInfo within 30 s"),
        (Act::Trickle(vec![b'x'; 4096]), "timeout", "did not answer GetInfo within"),
    ] {
        let observed = Observed::begin();
        let stub = Stub::new([act]);
        let bridge = Bridge::builder()
            .store(Arc::new(prb_store::MemoryStore::new()))
            .worker(worker(), stub.driver())
            .start()
            .await
            .unwrap();
        let mut events = bridge.events();
        let Some(Event::WorkerTrouble { cause, .. }) = events.next().await else { panic!("no trouble") };
        assert!(cause.contains(told) && cause.contains(AT), "{cause}");
        let counter = format!("prb_worker_calls_total{{method=GetInfo,result={result}}}");
        assert_eq!(observed.counter(&counter), 1, "{counter}");
        assert_eq!(observed.counter(&format!("prb_feed_failures_total{{cause={result}}}")), 1);
        assert_eq!(observed.lines(&["WARN", "worker is not fed, trying again", told]).len(), 1, "{told}");
        let Some(Event::WorkerRecovered { .. }) = events.next().await else { panic!("no recovery") };
        assert_eq!(observed.counter(&counter), 1, "{counter}");
        assert_eq!(observed.counter("prb_worker_calls_total{method=GetInfo,result=ok}"), 1);
        assert_eq!(observed.lines(&["INFO", "fed again"]).len(), 1);
        bridge.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn x8_a_worker_that_cannot_be_reached_is_counted_and_told() {
    let observed = Observed::begin();
    let stub = Stub::default();
    stub.refuse(Refuse::Error);
    let bridge = Bridge::builder()
        .store(Arc::new(prb_store::MemoryStore::new()))
        .worker(worker(), stub.driver())
        .start()
        .await
        .unwrap();
    let Some(Event::WorkerTrouble { .. }) = bridge.events().next().await else { panic!("no trouble") };
    assert!(observed.counter("prb_worker_calls_total{method=GetInfo,result=unreachable}") >= 1);
    assert_eq!(observed.lines(&["WARN", "worker is not fed", AT, "is not reachable"]).len(), 1);
    bridge.stop().await;
}

fn worker() -> Worker {
    let goal = Goal { sync_only: true, ..Goal::new(PoolId(1), AccountId([1; 32]), 0) };
    Worker { name: WorkerName::new("w").unwrap(), goal, debug_key: None }
}

#[test]
fn answers_of_the_stub_are_well_formed() {
    assert_eq!(answer(200, b"x"), b"HTTP/1.1 200 Any\r\ncontent-length: 1\r\n\r\nx");
}
