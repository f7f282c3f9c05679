//! Peers of the server that mean harm or are half gone, over both protocols: what happens, what is counted, what is
//! logged. HTTP/2 frames are written by hand where a well-behaved client would not send them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prb_core::testkit::{FakeChain, Observed, ScriptedStore, StoreCall, StoreFault};
use prb_store::{MemoryStore, Server, ServerOptions, server::Token};
use std::{sync::Arc, time::Duration};
use support::{Reply, Running, counted, ingest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
    time::{Instant, timeout},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `GET / ` of authority `x` in HPACK: three entries of the static table, one literal.
const QUESTION: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

/// Longest time for what should happen at once.
const SOON: Duration = Duration::from_secs(60);

async fn stored(padding: usize) -> Arc<MemoryStore> {
    let chain = FakeChain::builder(3).padding(padding).build();
    chain.advance(35);
    let store = Arc::new(MemoryStore::new());
    ingest(&chain, store.clone()).await;
    store
}

async fn served(padding: usize, options: ServerOptions) -> Running {
    Running::start(stored(padding).await, options).await
}

/// A connection to the server by a pipe that holds 64 KiB.
fn connect(server: &Server) -> DuplexStream {
    let (near, far) = duplex(64 << 10);
    let server = server.clone();
    tokio::spawn(async move { server.serve_connection(far).await });
    near
}

struct Http2(http2::SendRequest<Empty<Bytes>>);

impl Http2 {
    async fn over(
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        // No more than the protocol's least comes before it is read.
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(65_535)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn connect(running: &Running) -> Self {
        Self::over(TcpStream::connect(running.address).await.unwrap()).await
    }

    async fn ask(&mut self, path: &str) -> Result<Response<Incoming>, hyper::Error> {
        self.0.ready().await?;
        let request = Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
        self.0.send_request(request).await
    }
}

async fn body(response: Response<Incoming>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn both_protocols_answer_the_same() {
    let running = served(2000, ServerOptions::default()).await;
    let mut http2 = Http2::connect(&running).await;
    for path in [
        "/v1/coverage",
        "/v1/genesis",
        "/v1/rungs?from=0",
        "/v1/blobs/changes/1/9",
        "/headers/101",
        "/parachain-headers/0/3",
        "/storage-changes/1/9",
        "/state",
        "/genesis/100",
        "/header/999",
        "/v1/blobs/changes/9/1",
    ] {
        let one = running.get(path).await;
        let two = http2.ask(path).await.unwrap();
        assert_eq!(two.status(), one.status, "{path}");
        for name in ["etag", "content-type", "prb-chain", "prb-end"] {
            let header = two.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header, one.header(name), "{path} {name}");
        }
        assert_eq!(body(two).await, one.body, "{path}");
    }
}

/// The session memory of the guides, made real: what one connection has under way is bounded, others are not hurt.
#[tokio::test]
async fn v2_f022_memory_of_one_connection_is_bounded_counted_and_told_once() {
    let options = ServerOptions {
        response_bytes: 1 << 20,
        session_memory_bytes: 2 << 20,
        memory_wait: Duration::from_millis(100),
        ..ServerOptions::default()
    };
    let observed = Observed::begin();
    let running = served(200_000, options).await;
    let mut greedy = Http2::connect(&running).await;
    let mut held = Vec::new();
    // Nobody reads the bodies; each is larger than what the protocol lets wait on the way.
    for _ in 0..8 {
        held.push(greedy.ask("/v1/blobs/changes/1/5").await.unwrap());
    }
    let refused: Vec<_> = held.iter().filter(|response| response.status() == 429).collect();
    assert_eq!(refused.len(), 6, "two fit");
    assert!(refused.iter().all(|response| response.headers()["retry-after"] == "1"));
    assert_eq!(observed.counter("prb_server_refused_questions_total{cause=session_memory}"), 6);
    let told = observed.lines(&["WARN", "a question is refused", "127.0.0.1", "all of 2097152 bytes"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(running.get("/v1/blobs/changes/1/5").await.status, 200, "another connection has its own");
    drop(held);
    let again = async { while greedy.ask("/v1/blobs/changes/1/5").await.unwrap().status() == 429 {} };
    timeout(SOON, again).await.expect("it comes back with the answers");
}

/// An item that is larger than what was asked for is answered alone, and counts with all its bytes.
#[tokio::test]
async fn memory_is_bounded_for_items_larger_than_asked_for() {
    let options = ServerOptions {
        response_bytes: 1 << 20,
        session_memory_bytes: 1 << 20,
        memory_wait: Duration::from_millis(100),
        ..ServerOptions::default()
    };
    let running = served(600_000, options).await;
    let mut greedy = Http2::connect(&running).await;
    let path = "/v1/blobs/changes/1/1?max_bytes=0";
    let first = greedy.ask(path).await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(greedy.ask(path).await.unwrap().status(), 429, "the first one is still under way");
    drop(first);
    let again = async { while greedy.ask(path).await.unwrap().status() == 429 {} };
    timeout(SOON, again).await.expect("it comes back with the answers");
}

#[tokio::test]
async fn an_http2_connection_ends_after_its_share_and_loses_no_answer() {
    let options = ServerOptions { session_bytes: 10_000, ..ServerOptions::default() };
    let running = served(2000, options).await;
    let mut http2 = Http2::connect(&running).await;
    let expected = running.get("/v1/blobs/changes/1/9").await.body;
    let last = http2.ask("/v1/blobs/changes/1/9").await.unwrap();
    assert_eq!(body(last).await, expected);
    let ended = async { while http2.ask("/v1/coverage").await.is_ok() {} };
    timeout(SOON, ended).await.unwrap();
}

/// The memory of all connections together.
#[tokio::test(start_paused = true)]
async fn memory_of_all_connections_is_bounded_counted_and_told_once() {
    let observed = Observed::begin();
    let options = ServerOptions {
        response_bytes: 1 << 20,
        memory_bytes: 1 << 20,
        stall_window: Duration::from_secs(20),
        ..ServerOptions::default()
    };
    let server = Server::new(stored(200_000).await, options);
    let mut sleeper = connect(&server);
    sleeper.write_all(b"GET /v1/blobs/changes/1/5 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleeper.read_u8().await.unwrap();
    let mut other = Http2::over(connect(&server)).await;
    for _ in 0..3 {
        assert_eq!(other.ask("/v1/blobs/changes/1/1").await.unwrap().status(), 429);
    }
    assert_eq!(other.ask("/v1/coverage").await.unwrap().status(), 200, "small things are always answered");
    assert_eq!(observed.counter("prb_server_refused_questions_total{cause=memory}"), 3);
    let told = ["WARN", "a question is refused", "on all connections take all of 1048576 bytes"];
    assert_eq!(observed.lines(&told).len(), 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mut other = Http2::over(connect(&server)).await;
    let answer = other.ask("/v1/blobs/changes/1/1").await.unwrap();
    assert_eq!(answer.status(), 200, "the sleeper was cut off");
}

/// A store that fails must not let its readers fill the log.
#[tokio::test]
async fn a_store_that_fails_is_counted_at_every_question_and_told_once() {
    let observed = Observed::begin();
    let scripted = ScriptedStore::new(stored(10).await);
    scripted.hook().always(|call| matches!(call, StoreCall::Read(..)), StoreFault::Damaged);
    let running = Running::start(Arc::new(scripted), ServerOptions::default()).await;
    for _ in 0..5 {
        let reply = running.get("/v1/blobs/changes/1/2").await;
        assert_eq!((reply.status, reply.body.as_slice()), (500, &b"changes at 1 is damaged here"[..]));
    }
    assert_eq!(observed.counter("prb_server_refused_questions_total{cause=store}"), 5);
    assert_eq!(observed.lines(&["WARN", "a question is refused", "changes at 1 is damaged"]).len(), 1);
}

/// X20: peers that begin and never finish, or never begin.
#[tokio::test(start_paused = true)]
async fn x20_who_never_says_what_he_wants_is_cut_off_counted_and_told_once() {
    for beginning in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM", b"GET /v1/info HTT"] {
        let observed = Observed::begin();
        let server = Server::new(stored(10).await, ServerOptions::default());
        let (mut one, mut two) = (connect(&server), connect(&server));
        let begun = Instant::now();
        for peer in [&mut one, &mut two] {
            peer.write_all(beginning).await.unwrap();
        }
        for peer in [&mut one, &mut two] {
            let _ = peer.read_to_end(&mut Vec::new()).await;
        }
        assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());
        assert_eq!(observed.counter("prb_server_cut_connections_total{cause=head}"), 2, "{beginning:?}");
        assert_eq!(observed.lines(&["WARN", "a reader is cut off", "head"]).len(), 1, "{beginning:?}");
    }
}

/// X20, slowloris: a head that comes byte by byte and never ends.
#[tokio::test(start_paused = true)]
async fn x20_who_never_finishes_a_question_is_cut_off_counted_and_told() {
    let observed = Observed::begin();
    let server = Server::new(stored(10).await, ServerOptions::default());
    let mut peer = connect(&server);
    let mut other = Http2::over(connect(&server)).await;
    let begun = Instant::now();
    let head = b"GET /v1/info HTTP/1.1\r\nhost: x\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for byte in head.iter().cycle() {
        if peer.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert_eq!(other.ask("/v1/coverage").await.unwrap().status(), 200, "others are served");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() <= Duration::from_secs(17), "{:?}", begun.elapsed());
    }
    assert_eq!(observed.counter("prb_server_cut_connections_total{cause=head}"), 1);
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "head"]).len(), 1);
}

/// X20: peers that ask for much over HTTP/1.1 and sleep, or take a byte now and then.
#[tokio::test(start_paused = true)]
async fn x20_who_does_not_read_the_answer_is_cut_off_counted_and_told_once() {
    let observed = Observed::begin();
    let server = Server::new(stored(200_000).await, ServerOptions::default());
    let mut other = Http2::over(connect(&server)).await;
    let mut peers = [connect(&server), connect(&server)];
    for peer in &mut peers {
        peer.write_all(b"GET /v1/blobs/changes/1/9 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    }
    let [_asleep, slow] = &mut peers;
    let begun = Instant::now();
    while observed.counter("prb_server_cut_connections_total{cause=stall}") < 2 {
        let _ = slow.read(&mut [0; 16]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(other.ask("/v1/coverage").await.unwrap().status(), 200, "others are served");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "stall", "the reader took"]).len(), 1);
}

/// X20: an HTTP/2 peer that is alive, answers pings and asks nothing.
#[tokio::test(start_paused = true)]
async fn x20_an_http2_peer_that_asks_nothing_is_let_go() {
    let observed = Observed::begin();
    let server = Server::new(stored(10).await, ServerOptions::default());
    let mut http2 = Http2::over(connect(&server)).await;
    assert_eq!(http2.ask("/v1/coverage").await.unwrap().status(), 200);
    let begun = Instant::now();
    while !http2.0.is_closed() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(observed.counter("prb_server_cut_connections_total{cause=idle}"), 1);
    assert!(observed.lines(&["cut off"]).is_empty(), "that is nobody's fault");
}

/// X20: an HTTP/2 peer that asks for much, answers pings, and gives no room for the answers.
#[tokio::test(start_paused = true)]
async fn x20_an_http2_peer_that_takes_no_answer_is_cut_off() {
    let observed = Observed::begin();
    let server = Server::new(stored(200_000).await, ServerOptions::default());
    let mut http2 = Http2::over(connect(&server)).await;
    let held = http2.ask("/v1/blobs/changes/1/9").await.unwrap();
    let begun = Instant::now();
    while !http2.0.is_closed() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    drop(held);
    assert_eq!(observed.counter("prb_server_cut_connections_total{cause=stall}"), 1);
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "stall"]).len(), 1);
    let mut other = Http2::over(connect(&server)).await;
    assert_eq!(other.ask("/v1/coverage").await.unwrap().status(), 200);
}

/// X20: a peer that is gone without a word while the server waits to tell it news.
#[tokio::test(start_paused = true)]
async fn x20_a_half_open_http2_peer_is_noticed_counted_and_told() {
    let observed = Observed::begin();
    let server = Server::new(stored(10).await, ServerOptions::default());
    let mut peer = connect(&server);
    let told = Http2::over(connect(&server)).await.ask("/v1/coverage").await.unwrap();
    let etag = told.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
    drop(told);
    // Settings, one question about news that do not come, then silence: no ping is answered.
    let path = format!("/v1/coverage?known={etag}&wait=60");
    let length = u8::try_from(path.len()).unwrap();
    let question = [&QUESTION[..2], &[0x04, length], path.as_bytes(), &QUESTION[3..]].concat();
    let question = frame(1, 0x5, 1, &question);
    peer.write_all(&[PREFACE, &frame(4, 0, 0, &[]), &question].concat()).await.unwrap();
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let _ = peer.read_to_end(&mut bytes).await;
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    let (mut rest, mut kinds) = (bytes.as_slice(), Vec::new());
    while let [high, middle, low, kind, tail @ ..] = rest {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        rest = tail.get(5 + length..).unwrap_or_default();
    }
    assert!(kinds.contains(&6) && !kinds.contains(&1), "a ping and no answer: {kinds:?}");
    assert_eq!(observed.counter("prb_server_cut_connections_total{cause=gone}"), 1);
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "gone", "it answers no ping"]).len(), 1);
}

/// X20: more connections than are taken.
#[tokio::test]
async fn x20_a_flood_of_connections_is_turned_away_counted_and_told_once() {
    let observed = Observed::begin();
    let options = ServerOptions { connections_per_peer: 3, ..ServerOptions::default() };
    let running = served(10, options).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut http2 = Http2::connect(&running).await;
        assert_eq!(http2.ask("/v1/coverage").await.unwrap().status(), 200);
        held.push(http2);
    }
    for _ in 0..20 {
        let mut bytes = Vec::new();
        let _ = TcpStream::connect(running.address).await.unwrap().read_to_end(&mut bytes).await;
        assert!(bytes.is_empty() || Reply::parse(&bytes).status == 503);
    }
    counted(&observed, &["prb_server_refused_connections_total"], 20).await;
    assert_eq!(observed.lines(&["WARN", "too many connections"]).len(), 1);
    assert_eq!(held[0].ask("/v1/coverage").await.unwrap().status(), 200, "those who are in are served");
    held.clear();
    let again =
        async {
            loop {
                let stream = TcpStream::connect(running.address).await.unwrap();
                let (mut sender, connection) =
                    match http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
                        .await
                    {
                        Ok(pair) => pair,
                        Err(_) => continue,
                    };
                let connection = tokio::spawn(connection);
                let request = Request::get("http://x/v1/coverage").body(Empty::new()).unwrap();
                let answered = sender.send_request(request).await;
                connection.abort();
                if answered.is_ok() {
                    return;
                }
            }
        };
    timeout(SOON, again).await.expect("places become free again");
}

/// So many connections were cut for these causes together.
async fn cut(observed: &Observed, causes: &[&str], times: u64) {
    let names: Vec<String> =
        causes.iter().map(|cause| format!("prb_server_cut_connections_total{{cause={cause}}}")).collect();
    counted(observed, &names.iter().map(String::as_str).collect::<Vec<_>>(), times).await;
}

/// What a hostile HTTP/2 peer sends, until the server ends the connection. Answers what came back.
async fn hostile(running: &Running, words: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let (mut read, mut write) = TcpStream::connect(running.address).await.unwrap().into_split();
    let reading = tokio::spawn(async move {
        let mut back = Vec::new();
        let _ = read.read_to_end(&mut back).await;
        back
    });
    write.write_all(PREFACE).await.unwrap();
    write.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    for word in words {
        if write.write_all(&word).await.is_err() {
            break;
        }
    }
    timeout(SOON, reading).await.expect("the connection is ended").unwrap()
}

/// Whether a GOAWAY frame is among these.
fn says_goodbye(mut frames: &[u8]) -> bool {
    while frames.len() >= 9 {
        if frames[3] == 7 {
            return true;
        }
        let length = u32::from_be_bytes([0, frames[0], frames[1], frames[2]]) as usize;
        frames = frames.get(9 + length..).unwrap_or_default();
    }
    false
}

/// X18, X20, rapid reset: a peer that opens streams and cancels them at once, each of which costs the server work.
#[tokio::test]
async fn x20_a_flood_of_cancelled_questions_ends_the_connection_counted_and_told() {
    let observed = Observed::begin();
    let running = served(10, ServerOptions::default()).await;
    let flood = (0..20_000u32).map(|number| {
        let stream = 2 * number + 1;
        [frame(1, 0x5, stream, QUESTION), frame(3, 0, stream, &[0, 0, 0, 8])].concat()
    });
    let back = hostile(&running, flood).await;
    assert!(says_goodbye(&back) || back.is_empty());
    assert_eq!(running.get("/v1/coverage").await.status, 200);
    cut(&observed, &["flood"], 1).await;
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "127.0.0.1", "flood"]).len(), 1);
}

/// X18: peers that do not speak HTTP, or another version of it.
#[tokio::test]
async fn x18_who_does_not_speak_http_is_cut_off_counted_and_told_once() {
    let observed = Observed::begin();
    let running = served(10, ServerOptions::default()).await;
    let words = [&b"nonsense\r\n\r\n"[..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00], &[0xff; 64]];
    for words in words {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(words).await.unwrap();
        stream.write_all(b"\r\n\r\n").await.unwrap();
        let mut bytes = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the connection is ended");
        assert!(bytes.is_empty() || Reply::parse(&bytes).status == 400, "{words:?}");
    }
    cut(&observed, &["malformed"], 3).await;
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "127.0.0.1", "malformed"]).len(), 1);
    assert_eq!(running.get("/v1/coverage").await.status, 200);
}

/// X19: frames and heads larger than any may be, over HTTP/2.
#[tokio::test]
async fn x19_huge_frames_and_heads_end_the_connection_counted_and_told() {
    let observed = Observed::begin();
    let running = served(10, ServerOptions::default()).await;
    // A frame that claims 16 MiB.
    let huge = [&[0xff, 0xff, 0xff, 0, 0][..], &1u32.to_be_bytes(), &[0; 1024]].concat();
    let back = hostile(&running, [huge]).await;
    assert!(says_goodbye(&back));
    cut(&observed, &["malformed"], 1).await;
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "malformed", "invalid size"]).len(), 1);
    // A head that never ends: a literal header, then continuations.
    let literal = [&[0x00, 0x01, b'a', 0x7f, 0x80, 0x7f][..], &[b'b'; 10_000]].concat();
    let begin = frame(1, 0x1, 1, &[QUESTION, literal.as_slice()].concat());
    let more = (0..2_000).map(|_| frame(9, 0, 1, &literal));
    let back = hostile(&running, std::iter::once(begin).chain(more)).await;
    assert!(says_goodbye(&back) || back.is_empty());
    cut(&observed, &["malformed", "flood", "broken"], 2).await;
    assert_eq!(running.get("/v1/coverage").await.status, 200);
}

/// X19: heads larger than any may be, over HTTP/1.1.
#[tokio::test]
async fn x19_huge_heads_are_refused_counted_and_told_once() {
    let observed = Observed::begin();
    let running = served(10, ServerOptions::default()).await;
    let long = format!("x-long: {}\r\n", "a".repeat(20_000));
    let many: String = (0..80).map(|number| format!("x-{number}: 1\r\n")).collect();
    for headers in [long, many] {
        assert_eq!(running.get_with("/v1/info", &headers).await.status, 431);
    }
    cut(&observed, &["malformed"], 2).await;
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "127.0.0.1", "malformed"]).len(), 1);
}

/// X19: bodies are not read, whatever is in them; no route reads JSON.
#[tokio::test]
async fn x19_deep_json_and_other_bodies_are_refused_unread_counted_and_told_once() {
    let observed = Observed::begin();
    let running = served(10, ServerOptions::default()).await;
    let deep = "[".repeat(1 << 20);
    for (method, status, cause, text) in [
        ("GET", 413, "body", "questions have no body"),
        ("PUT", 405, "method", "only answers GET"),
        ("POST", 405, "method", "only answers GET"),
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let head = format!("{method} /v1/info HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", deep.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&deep.as_bytes()[..1000]).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        assert_eq!(Reply::parse(&bytes).status, status, "{method}");
        assert!(observed.counter(&format!("prb_server_answers_total{{status={status}}}")) > 0);
        assert!(observed.counter(&format!("prb_server_refused_questions_total{{cause={cause}}}")) > 0);
        assert_eq!(
            observed.lines(&["WARN", "a question is refused", "127.0.0.1", text]).len(),
            1,
            "{method}"
        );
    }
    assert_eq!(running.get("/v1/coverage").await.status, 200);
}

/// X18: who does not know the token.
#[tokio::test]
async fn x18_guesses_of_the_token_are_refused_counted_and_told_once() {
    let observed = Observed::begin();
    let token = Some(Token::new("0123456789abcdef").unwrap());
    let running = served(10, ServerOptions { token, ..ServerOptions::default() }).await;
    for guess in 0..20 {
        let header = format!("authorization: Bearer 0123456789abcd{guess:02}\r\n");
        assert_eq!(running.get_with("/v1/info", &header).await.status, 401);
    }
    assert_eq!(observed.counter("prb_server_refused_questions_total{cause=token}"), 20);
    let told = observed.lines(&["WARN", "a question is refused", "127.0.0.1", "wants its token"]);
    assert_eq!(told.len(), 1);
    assert!(!told[0].contains("0123456789"), "{told:?}");
}
