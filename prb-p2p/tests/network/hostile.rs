//! Peers that want a node to fall over. It answers an honest one while they do, or right after.

use super::{
    rogue::{Muxer, Rogue, always, to_end},
    *,
};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::join_all};
use prb_p2p::message::{RequestWrapper, ResponseWrapper};
use prost::Message as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn x20_connections_that_stop_at_any_step_are_closed_and_keep_nobody_out() {
    let node = join(options()).await;
    // Said first: nothing, half a line, all of the negotiation, and the first half of Noise.
    let steps: [&[u8]; 4] = [
        b"",
        b"\x13/multistream/1.",
        b"\x13/multistream/1.0.0\n\x07/noise\n",
        b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20abc",
    ];
    let mut silent = Vec::new();
    for step in steps.iter().cycle().take(60) {
        let mut stream = TcpStream::connect(socket(&node)).await.unwrap();
        stream.write_all(step).await.unwrap();
        silent.push(stream);
    }
    assert_well(&node).await;
    let ended = silent.into_iter().map(|mut stream| async move {
        // An end and a reset are both an end.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("it stays open");
    });
    join_all(ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_a_flood_of_connections_keeps_nobody_out_once_it_is_over() {
    let limits = Limits { connections: 20, connections_per_peer: 8, connections_pending: 16, ..quick() };
    let node = join(Options { limits, ..options() }).await;
    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    let mut rogues = Vec::new();
    for _ in 0..4 {
        rogues.push(Rogue::start(Muxer::Yamux, always(Vec::new())).await);
    }
    for rogue in &rogues {
        for _ in 0..20 {
            // Being let in and being alone are both fine.
            let _ = timeout(Duration::from_secs(3), rogue.connect(node.peer_id(), &at)).await;
        }
    }
    let sockets = join_all((0..300).map(|_| TcpStream::connect(socket(&node)))).await;
    drop((rogues, sockets));
    assert_well(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_streams_that_are_silent_or_drip_end_at_their_deadline() {
    let node = join(options()).await;
    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    let mut rogues = Vec::new();
    for _ in 0..4 {
        let rogue = Rogue::start(Muxer::Yamux, always(Vec::new())).await;
        rogue.connect(node.peer_id(), &at).await.unwrap();
        rogues.push(rogue);
    }
    let slow = (0..40).map(|number| {
        let (rogue, node) = (&rogues[number / 10], &node);
        async move {
            let mut stream = rogue.open(node.peer_id()).await.unwrap();
            let mut byte = [0];
            let ended = async {
                if number % 2 == 0 {
                    return stream.read(&mut byte).await;
                }
                let (mut reading, mut writing) = stream.split();
                let drip = async {
                    while writing.write_all(&[8]).await.is_ok() && writing.flush().await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! { read = reading.read(&mut byte) => read, () = drip => unreachable!() }
            };
            let ended = timeout(PATIENCE, ended).await.expect("it stays open");
            assert!(!matches!(ended, Ok(1)), "nothing was asked, so nothing is answered");
        }
    });
    tokio::join!(join_all(slow), assert_well(&node));
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_an_answer_that_nobody_takes_ends_at_its_deadline() {
    let (node, rogue) =
        attacked(Limits { answer: Duration::from_secs(1), answers_per_peer: 2, ..quick() }).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut stream = rogue.open(node.peer_id()).await.unwrap();
        stream.write_all(&call("GetBlobWithToken", b"20000000")).await.unwrap();
        stream.close().await.unwrap();
        kept.push(stream);
    }
    // Its turn comes when those before it have lost theirs.
    let mut stream = rogue.open(node.peer_id()).await.unwrap();
    stream.write_all(&call("GetBlobByKey", b"me too")).await.unwrap();
    stream.close().await.unwrap();
    let answer = timeout(PATIENCE, to_end(&mut stream)).await.unwrap();
    // Its own wait may have been too long; it is told so by the end.
    assert!(answer.is_some_and(|answer| answer.is_empty() || decoded(&answer).data() == b"me too"));
    assert_well(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x19_a_request_that_is_too_large_is_refused() {
    let (node, rogue) = attacked(quick()).await;
    let mut stream = rogue.open(node.peer_id()).await.unwrap();
    let _ = stream.write_all(&call("GetBlobByKey", &vec![1; 5 << 20])).await;
    let _ = stream.close().await;
    let answer = timeout(PATIENCE, to_end(&mut stream)).await.expect("it hangs");
    if let Some(answer) = answer.filter(|answer| !answer.is_empty()) {
        assert!(decoded(&answer).error.unwrap().message().contains("4194304 bytes"));
    }
    assert_well(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x19_a_request_without_end_is_cut_off() {
    for muxer in [Muxer::Yamux, Muxer::Mplex] {
        let (node, rogue) = attacked_by(muxer, quick()).await;
        let mut stream = rogue.open(node.peer_id()).await.unwrap();
        let endless = async { while stream.write_all(&[8; 65536]).await.is_ok() {} };
        timeout(PATIENCE, endless).await.expect("it is read for ever");
        assert_well(&node).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_a_flood_of_streams_is_bounded_and_those_within_bounds_are_answered() {
    for muxer in [Muxer::Yamux, Muxer::Mplex] {
        let limits = Limits { waiting_per_peer: 64, answers_per_peer: 4, ..quick() };
        let (node, rogue) = attacked_by(muxer, limits).await;
        let calls = (0..500).map(|_| async {
            let mut stream = timeout(Duration::from_secs(5), rogue.open(node.peer_id())).await.ok()??;
            stream.write_all(&call("GetBlobByKey", b"x")).await.ok()?;
            stream.close().await.ok()?;
            let answer = timeout(PATIENCE, to_end(&mut stream)).await.expect("it hangs")?;
            (!answer.is_empty()).then(|| assert_eq!(decoded(&answer).data(), b"x"))
        });
        let (answered, ()) = tokio::join!(join_all(calls), assert_well(&node));
        // A connection with yamux is ended by too many streams, one with mplex loses those.
        assert!(muxer == Muxer::Yamux || answered.iter().flatten().count() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_mplex_frames_that_nobody_reads_stop_at_their_bound() {
    // Two streams have the seats, and nothing is read of those that wait for one.
    let limits = Limits { answers_per_peer: 2, request: Duration::from_secs(10), ..quick() };
    let (node, rogue) = attacked_by(Muxer::MplexOfLargeFrames, limits).await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(rogue.open(node.peer_id()).await.unwrap());
    }
    let _seated: Vec<_> = streams.drain(..2).collect();
    let sent = AtomicUsize::new(0);
    let floods = streams.into_iter().map(|mut stream| {
        let (sent, frame) = (&sent, vec![8_u8; 1 << 20]);
        async move {
            while stream.write_all(&frame).await.is_ok() && stream.flush().await.is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let (_, ()) = tokio::join!(timeout(Duration::from_secs(4), join_all(floods)), assert_well(&node));
    // Two frames of each and what is on its way; the rest are buffers of the system's.
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 32, "{sent} MiB were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_connections_beyond_the_room_for_what_is_not_read_are_refused() {
    // For two with mplex.
    let limits = Limits { unread_bytes: 80 << 20, ..quick() };
    let node = join(Options { limits, ..options() }).await;
    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    let mut rogues = Vec::new();
    for _ in 0..4 {
        let rogue = Rogue::start(Muxer::Mplex, always(Vec::new())).await;
        let _ = rogue.connect(node.peer_id(), &at).await;
        rogues.push(rogue);
    }
    let mut open = 0;
    for rogue in &rogues {
        let stream = timeout(Duration::from_secs(5), rogue.open(node.peer_id())).await;
        open += usize::from(matches!(stream, Ok(Some(_))));
    }
    assert_eq!(open, 2);
    drop(rogues);
    assert_well(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x18_garbage_is_answered_with_an_error() {
    let (node, rogue) = attacked(quick()).await;
    let huge_name = RequestWrapper { method: Some("\u{1b}x".repeat(100_000)), ..wrapper() };
    let cases = [
        Vec::new(),
        vec![0xff; 1000],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        // A field that says it is longer than everything.
        b"\x1a\xff\xff\xff\xff\x0f".to_vec(),
        b"\x12\x02\xff\xfe".to_vec(),
        vec![0x0b; 10_000],
        wrapper().encode_to_vec(),
        huge_name.encode_to_vec(),
    ];
    for case in cases {
        let mut stream = rogue.open(node.peer_id()).await.unwrap();
        stream.write_all(&case).await.unwrap();
        stream.close().await.unwrap();
        let answer = timeout(PATIENCE, to_end(&mut stream)).await.expect("it hangs").unwrap();
        let answer = decoded(&answer);
        assert!(
            answer.has_error() && answer.error.clone().unwrap().kind() == ErrorKind::Server,
            "{answer:?}"
        );
        assert!(answer.error.unwrap().message().len() < 1000);
    }
    assert_well(&node).await;
}

/// A node, and a peer that is connected to it.
async fn attacked(limits: Limits) -> (Network, Rogue) {
    attacked_by(Muxer::Yamux, limits).await
}

async fn attacked_by(muxer: Muxer, limits: Limits) -> (Network, Rogue) {
    let node = join(Options { limits, ..options() }).await;
    let rogue = Rogue::start(muxer, always(Vec::new())).await;
    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    rogue.connect(node.peer_id(), &at).await.unwrap();
    (node, rogue)
}

fn call(method: &str, data: &[u8]) -> Vec<u8> {
    RequestWrapper { method: Some(method.into()), data: Some(data.to_vec().into()), ..wrapper() }
        .encode_to_vec()
}

fn wrapper() -> RequestWrapper {
    RequestWrapper { created_at: Some(1), nonce: Some("n".into()), data: None, method: None }
}

fn decoded(answer: &[u8]) -> ResponseWrapper {
    ResponseWrapper::decode(answer).unwrap()
}

fn socket(node: &Network) -> String {
    let address = node.listening()[0].to_string();
    let port = address.split('/').nth(4).unwrap();
    format!("127.0.0.1:{port}")
}
