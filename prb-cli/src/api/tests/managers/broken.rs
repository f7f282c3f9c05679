//! Managers that are away, and answers that break off or take long.

use super::super::{Answer, PATIENCE, answered, here};
use super::{FINE, Fake, Limits, PATIENT, get, manager, managers, monitor, monitor_within};
use prb_core::testkit::Observed;
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify, time::sleep};

/// What is to be in vain is so soon.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn x20_a_manager_that_is_away_or_says_nothing_is_told_with_the_reason() {
    let silent = Fake::answering("").await;
    let half = Fake::answering("HTTP/1.1 200 OK\r\ncontent-le").await;
    let nonsense = Fake::answering("SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    let holding = Arc::new(Notify::new());
    let held = Fake::new("", b"x", holding).await;
    let all = vec![
        manager("away", "http://127.0.0.1:9"),
        manager("silent", &silent.url()),
        manager("half", &half.url()),
        manager("nonsense", &nonsense.url()),
    ];
    let api = monitor(&here(), all, PATIENT);
    let hasty = managers::Limits { begin: SHORT, ..PATIENT };
    let hasty = monitor(&here(), vec![manager("held", &held.url())], hasty);
    for (api, name, words) in [
        (&api, "away", "127.0.0.1:9"),
        (&api, "silent", ""),
        (&api, "half", ""),
        (&api, "nonsense", ""),
        (&hasty, "held", "no answer within 0.3 s"),
    ] {
        let answer = get(api, &format!("/managers/{name}/v1/overview")).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (502, &json!("BadGateway")),
            "{name}: {answer:?}"
        );
        let message = answer.message();
        assert!(
            message.contains(&format!("manager {name} (http://")) && message.contains(words),
            "{message}"
        );
    }
    api.stop().await;
    hasty.stop().await;
}

#[tokio::test]
async fn x18_answers_that_are_too_large_or_fall_silent_break_off_and_are_never_taken_for_whole() {
    let head =
        |length: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\n\r\n");
    let ready = || {
        let go = Arc::new(Notify::new());
        go.notify_one();
        go
    };
    let huge = Fake::answering(&head("content-length: 99999999999")).await;
    let endless = Fake::new(&head("connection: close"), &[b'1'; 4096], ready()).await;
    let chunked = Fake::new(&head("transfer-encoding: chunked"), b"4\r\n1111\r\n", ready()).await;
    let cut = Fake::answering(&format!("{}[1,2", head("content-length: 100"))).await;
    let silent = Fake::new(&format!("{}[1,2", head("content-length: 100")), b"x", Arc::default()).await;
    let all = [&huge, &endless, &chunked, &cut];
    let all = all.iter().enumerate().map(|(at, fake)| manager(&format!("m{at}"), &fake.url())).collect();
    let api = monitor(&here(), all, PATIENT);
    let hasty = managers::Limits { silence: SHORT, ..PATIENT };
    let hasty = monitor(&here(), vec![manager("m4", &silent.url())], hasty);
    let refused = get(&api, "/managers/m0/x").await;
    assert!(refused.status == 502 && refused.message().contains("99999999999 bytes"), "{refused:?}");
    for (api, at) in [(&api, 1), (&api, 2), (&api, 3), (&hasty, 4)] {
        let answer = broken_off(api.monitor().unwrap(), &format!("/managers/m{at}/x")).await;
        assert!(answer.body.len() < 16 << 20, "m{at}");
    }
    // Nobody else notices.
    assert_eq!(get(&api, "/healthz").await.status, 200);
    api.stop().await;
    hasty.stop().await;
}

/// Asks for what breaks off; neither its end nor its length make it look whole.
async fn broken_off(at: SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let answer = answered(&mut stream).await;
    assert_eq!(answer.status, 200, "{path}");
    assert!(!answer.body.ends_with("0\r\n\r\n"), "{path} ends as if it were whole");
    let head = answer.head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    match length {
        Some(length) => assert!(answer.body.len() < length, "{path} is whole"),
        None => assert!(head.contains("transfer-encoding: chunked"), "{path}: {head}"),
    }
    answer
}

#[tokio::test]
async fn x20_a_finite_answer_that_takes_longer_than_a_connection_lives_breaks_off_and_frees_its_place() {
    let observed = Observed::begin();
    let part = |kind: &str, length: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{length}\r\n\r\n4\r\n[1,2\r\n")
    };
    let chunked = part("application/json", "transfer-encoding: chunked");
    let chunked = Fake::new(&chunked, b"x", Arc::default()).await;
    let counted = part("application/json", "content-length: 100");
    let counted = Fake::new(&counted, b"x", Arc::default()).await;
    let all = vec![manager("chunked", &chunked.url()), manager("counted", &counted.url())];
    // What events may take is no concern of theirs.
    let own =
        Limits { life: Duration::from_secs(2), last: SHORT, stream: 10 * PATIENCE, ..Limits::default() };
    let api = monitor_within(&here(), all, PATIENT, own);
    for name in ["chunked", "counted"] {
        let answer = broken_off(api.monitor().unwrap(), &format!("/managers/{name}/x")).await;
        assert!(answer.body.contains("[1,2"), "what there was is there: {answer:?}");
    }
    assert!(observed.counter("prb_api_cut_connections_total") >= 2);
    api.stop().await;
}

#[tokio::test]
async fn an_answer_under_way_at_the_end_of_a_connections_life_is_awaited() {
    let go = Arc::new(Notify::new());
    let fake = Fake::new("", FINE.as_bytes(), go.clone()).await;
    let life = Duration::from_secs(2);
    let own = Limits { life, last: PATIENCE, grace: SHORT, ..Limits::default() };
    let api = monitor_within(&here(), vec![manager("a", &fake.url())], PATIENT, own);
    let (answer, ()) = tokio::join!(get(&api, "/managers/a/x"), async {
        // It is time itself that is to pass: the life, and more than what stopping would give.
        sleep(2 * life).await;
        go.notify_one();
    });
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"ok\":true}"), "{answer:?}");
    api.stop().await;
}
