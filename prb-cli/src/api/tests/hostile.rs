//! Peers that do what they should not.

use super::{PATIENCE, Place, answered, here, send};
use crate::api::serve::Limits;
use prb_core::testkit::Observed;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

fn short() -> Limits {
    Limits { head: Duration::from_millis(300), body: Duration::from_millis(300), ..Limits::default() }
}

/// Who asks orderly is answered.
async fn is_well(place: &Place) {
    let begun = Instant::now();
    while place.get("/workers/status").await.status != 200 {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn x19_huge_and_deep_bodies_and_huge_heads_are_refused_and_the_api_goes_on() {
    let observed = Observed::begin();
    let place = Place::new().await;
    let host = place.address();
    let post = format!("POST /wm/config HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
    // One that says its size is refused unread, one that does not once it is too large.
    let said = format!("{post}content-length: 99999999999\r\n\r\n");
    let refused = send(host, said.as_bytes()).await;
    assert!(refused.status == 413 && refused.message().contains("bytes"), "{refused:?}");
    assert!(observed.counter("prb_api_answers_total{status=413}") >= 1);
    let mut chunked = format!("{post}transfer-encoding: chunked\r\n\r\n");
    for _ in 0..80 {
        chunked += &format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    }
    chunked += "0\r\n\r\n";
    let status = send(host, chunked.as_bytes()).await.status;
    // The reset may overtake the answer of who goes on sending.
    assert!(status == 413 || status == 0, "{status}");
    for body in
        ["[".repeat(500_000), format!("{{\"AddPool\":{}", "{\"a\":".repeat(100_000)), "\u{0}".repeat(1000)]
    {
        let refused = place.post("/wm/config", &body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    let head = format!("GET /wm/status HTTP/1.1\r\nhost: {host}\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    let status = send(host, head.as_bytes()).await.status;
    assert!([0, 431].contains(&status), "{status}");
    for nonsense in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_ne!(answered(&mut stream).await.status, 200, "{nonsense:?}");
    }
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn x20_who_says_nothing_or_half_of_it_is_cut_off() {
    let observed = Observed::begin();
    let place = Place::with(&here(), short()).await;
    let host = place.address();
    for (words, expected) in [
        (String::new(), [0, 408]),
        (format!("GET /wm/status HTTP/1.1\r\nhost: {host}\r\n"), [0, 408]),
        (
            format!(
                "POST /wm/config HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n\"Get"
            ),
            [408, 408],
        ),
    ] {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let answer = answered(&mut stream).await;
        assert!(expected.contains(&answer.status), "{words:?}: {answer:?}");
    }
    assert!(observed.counter("prb_api_cut_connections_total") >= 1);
    assert!(observed.counter("prb_api_answers_total{status=408}") >= 1);
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn x20_a_flood_of_connections_is_turned_away_and_over_when_it_is_over() {
    let observed = Observed::begin();
    let place = Place::with(&here(), Limits { connections: (8, 4), ..Limits::default() }).await;
    let mut flood = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(place.address()).await.unwrap();
        // Answered, so it has a place.
        let request = format!("GET /wm/status HTTP/1.1\r\nhost: {}\r\n\r\n", place.address());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut some = [0; 16];
        timeout(PATIENCE, stream.read_exact(&mut some)).await.unwrap().unwrap();
        flood.push(stream);
    }
    let status = place.get("/wm/status").await.status;
    assert!([0, 503].contains(&status), "{status}");
    assert!(observed.counter("prb_api_refused_connections_total") >= 1);
    assert_eq!(observed.lines(&["WARN", "too many connections to the API"]).len(), 1, "told once");
    drop(flood);
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn x20_who_asks_much_and_reads_nothing_is_cut_off() {
    let observed = Observed::begin();
    let place = Place::with(&here(), Limits { stall: Duration::from_millis(300), ..Limits::default() }).await;
    let mut greedy = TcpStream::connect(place.address()).await.unwrap();
    let request = format!("GET /v1/openapi.json HTTP/1.1\r\nhost: {}\r\n\r\n", place.address());
    let begun = Instant::now();
    while observed.counter("prb_api_cut_connections_total") == 0 {
        assert!(begun.elapsed() < PATIENCE, "more was asked than fits between two programs");
        // Once nobody reads it any more, or it is cut off.
        let _ = timeout(Duration::from_millis(20), greedy.write_all(request.as_bytes())).await;
    }
    is_well(&place).await;
    place.end().await;
}

#[tokio::test]
async fn x20_a_connection_does_not_last_for_ever_and_ends_with_the_api() {
    let limits =
        Limits { life: Duration::from_millis(200), grace: Duration::from_millis(200), ..Limits::default() };
    let place = Place::with(&here(), limits).await;
    let mut stream = TcpStream::connect(place.address()).await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it ends by itself").unwrap();
    let _kept = TcpStream::connect(place.address()).await.unwrap();
    timeout(PATIENCE, place.end()).await.expect("nobody keeps it");
}
