//! Native routes, limits, and peers that misbehave.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../prb-chain/tests/port/mod.rs"]
mod port;
mod support;

use port::Port;
use prb_core::{
    id::Height,
    port::{BlobStore, Coverage, Rung, Stream},
    span::Span,
    testkit::{FakeChain, ScriptedStore, StoreCall, StoreFault},
    wire,
};
use prb_store::{MemoryStore, Server, ServerOptions, server::Token};
use std::{sync::Arc, time::Duration};
use support::{Reply, Running, ingest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
    time::Instant,
};

async fn stored(blocks: u32, padding: usize) -> (FakeChain, Arc<MemoryStore>) {
    let chain = FakeChain::builder(3).padding(padding).build();
    chain.advance(blocks);
    let store = Arc::new(MemoryStore::new());
    ingest(&chain, store.clone()).await;
    (chain, store)
}

async fn served(options: ServerOptions) -> (FakeChain, Arc<MemoryStore>, Running) {
    let (chain, store) = stored(35, 2000).await;
    let running = Running::start(store.clone(), options).await;
    (chain, store, running)
}

fn span(first: u32, last: u32) -> Span {
    Span::new(Height(first), Height(last)).unwrap()
}

#[tokio::test]
async fn who_watches_over_services_is_told_whether_it_lives_gets_on_and_what_it_counts() {
    let (_, _, running) = served(ServerOptions::default()).await;
    for (path, status, words) in
        [("/healthz", 200, "true"), ("/readyz", 200, "true"), ("/metrics", 404, "no such path")]
    {
        let reply = running.get(path).await;
        let body = String::from_utf8_lossy(&reply.body);
        assert!(reply.status == status && body.contains(words), "{path}: {} {body}", reply.status);
    }
    let options = ServerOptions { metrics: Some(|| Some("made_total 7\n".to_owned())), ..Default::default() };
    let empty = Running::start(Arc::new(MemoryStore::new()), options).await;
    let ready = empty.get("/readyz").await;
    assert!(ready.status == 503 && String::from_utf8_lossy(&ready.body).contains("there is no data yet"));
    assert_eq!(ready.header("content-type"), Some("application/json"));
    assert_eq!(empty.get("/healthz").await.status, 200, "it lives all the same");
    let metrics = empty.get("/metrics").await;
    assert_eq!((metrics.status, &metrics.body[..]), (200, &b"made_total 7\n"[..]));
    let options = ServerOptions { metrics: Some(|| None), ..Default::default() };
    let silent = Running::start(Arc::new(MemoryStore::new()), options).await;
    assert_eq!(silent.get("/metrics").await.status, 503, "nothing records them");
}

#[tokio::test]
async fn a_server_for_who_watches_over_services_gives_nothing_of_the_store() {
    let metrics: fn() -> Option<String> = || Some("made_total 7\n".to_owned());
    let options = ServerOptions { metrics: Some(metrics), only_health: true, ..Default::default() };
    let (_, _, running) = served(options).await;
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200)] {
        assert_eq!(running.get(path).await.status, status, "{path}");
    }
    for path in ["/v1/info", "/v1/blobs/relay-headers/101/102", "/v1/genesis", "/genesis/0", "/state", "/"] {
        assert_eq!(running.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn items_travel_as_they_are_stored() {
    let (_, store, running) = served(ServerOptions::default()).await;
    let tag = wire::chain_tag(&store.coverage().await.unwrap().unwrap().identity);
    for stream in Stream::ALL {
        let (first, last) = match stream {
            Stream::RelayHeaders => (101, 120),
            Stream::Changes => (1, 9),
            _ => (0, 200),
        };
        let reply = running.get(&format!("/v1/blobs/{stream}/{first}/{last}")).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header(wire::CHAIN), Some(tag.as_str()));
        assert_eq!(reply.header(wire::END), Some("complete"));
        let got = wire::decode_frames(stream, span(first, last), reply.body.into()).unwrap();
        assert!(!got.is_empty());
        assert_eq!(got, store.read(stream, span(first, last), usize::MAX).await.unwrap());
    }
}

#[tokio::test]
async fn an_answer_says_why_it_ends() {
    let options = ServerOptions { response_bytes: 5000, ..ServerOptions::default() };
    let (_, _, running) = served(options).await;
    for (query, items, end) in [
        ("1/9?max_bytes=0", 1, "budget"),
        ("1/9?max_bytes=4500", 2, "budget"),
        ("1/9", 2, "cut"),
        ("1/9?max_bytes=1000000", 2, "cut"),
        ("15/30", 2, "complete"),
        ("900/950", 0, "complete"),
    ] {
        let reply = running.get(&format!("/v1/blobs/changes/{query}")).await;
        assert_eq!(reply.header(wire::END), Some(end), "{query}");
        let first = query.split('/').next().unwrap().parse().unwrap();
        let got = wire::decode_frames(Stream::Changes, span(first, 10_000), reply.body.into()).unwrap();
        assert_eq!(got.len(), items, "{query}");
    }
}

#[tokio::test]
async fn records_decode_and_info_tells_heights() {
    let (chain, store, running) = served(ServerOptions::default()).await;
    let genesis: prb_core::port::Genesis =
        wire::open("genesis", &running.get(wire::GENESIS).await.body).unwrap();
    assert_eq!(genesis, chain.genesis());
    let coverage: Option<Coverage> = wire::open("coverage", &running.get(wire::COVERAGE).await.body).unwrap();
    assert_eq!(coverage, store.coverage().await.unwrap());
    let rungs: Vec<Rung> =
        wire::open("rungs", &running.get("/v1/rungs?from=105&limit=2").await.body).unwrap();
    assert_eq!(rungs, store.rungs(Height(105), 2).await.unwrap());
    assert_eq!(rungs.len(), 2);
    let reply = running.get(wire::INFO).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let info: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(info["heights"]["relay"], serde_json::json!([101, chain.tips().relay.0]));
    assert_eq!(info["heights"]["changes"], serde_json::json!([1, chain.tips().para.0]));
    assert_eq!(info["chain"]["para_id"], 2035);
    assert!(info["targets"].is_null(), "this server follows no chain");
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused() {
    let (_, _, running) = served(ServerOptions::default()).await;
    for (path, status) in [
        ("/v1/blobs/changes/9/1", 400),
        ("/v1/blobs/changes/a/1", 400),
        ("/v1/blobs/changes/1/4294967296", 400),
        ("/v1/blobs/changes/1/2?max_bytes=x", 400),
        ("/v1/blobs/other/1/2", 404),
        ("/v1/blobs/changes/1", 404),
        ("/v1/rungs?from=9999999999", 400),
        ("/v2/info", 404),
        ("/", 404),
        ("/../../etc/passwd", 404),
    ] {
        assert_eq!(running.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn what_a_reader_has_is_not_sent_again() {
    let (chain, store, running) = served(ServerOptions::default()).await;
    for path in ["/v1/blobs/changes/1/5", "/headers/101", "/v1/genesis", "/v1/rungs?from=0", "/header/105"] {
        let first = running.get(path).await;
        let etag = first.header("etag").unwrap().to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag} is strong");
        assert_eq!(running.get(path).await.header("etag"), Some(etag.as_str()), "{path}");
        let again = running.get_with(path, &format!("if-none-match: \"x\", {etag}\r\n")).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
        let packed = running.get_with(path, "accept-encoding: zstd\r\n").await;
        if packed.header("content-encoding").is_some() {
            assert_ne!(packed.header("etag"), Some(etag.as_str()), "another representation");
        }
    }
    let tip = format!("/headers/{}", chain.set_changes().last().unwrap().0 + 1);
    let before = running.get(&tip).await;
    chain.advance(1);
    ingest(&chain, store).await;
    let after =
        running.get_with(&tip, &format!("if-none-match: {}\r\n", before.header("etag").unwrap())).await;
    assert_eq!(after.status, 200, "the tip has moved");
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let (_, _, running) = served(ServerOptions::default()).await;
    for path in ["/v1/blobs/changes/1/9", "/storage-changes/1/9"] {
        let plain = running.get_with(path, "accept-encoding: gzip, zstd;q=0\r\n").await;
        assert_eq!(plain.header("content-encoding"), None);
        let packed = running.get_with(path, "accept-encoding: gzip, zstd\r\n").await;
        assert_eq!(packed.header("content-encoding"), Some("zstd"));
        assert!(packed.body.len() < plain.body.len() / 2);
        assert_eq!(zstd::stream::decode_all(&packed.body[..]).unwrap(), plain.body);
        assert_eq!(packed.header("vary"), Some("accept-encoding"));
    }
    let small = running.get_with("/v1/coverage", "accept-encoding: zstd\r\n").await;
    assert_eq!(small.header("content-encoding"), None, "not worth it");
}

#[tokio::test]
async fn news_of_the_coverage_end_a_wait() {
    let (chain, store, running) = served(ServerOptions::default()).await;
    let etag = running.get(wire::COVERAGE).await.header("etag").unwrap().trim_matches('"').to_owned();
    let path = format!("/v1/coverage?known={etag}&wait=60");
    assert_eq!(running.get(&format!("/v1/coverage?known={etag}")).await.status, 304);
    let (reply, ()) = tokio::join!(running.get(&path), async {
        chain.advance(10);
        ingest(&chain, store.clone()).await;
    });
    // What waits in vain is told 304.
    assert_eq!(reply.status, 200);
    let etag = running.get(wire::COVERAGE).await.header("etag").unwrap().trim_matches('"').to_owned();
    let begun = Instant::now();
    let path = format!("/v1/coverage?known={etag}&wait=1");
    assert_eq!(running.get(&path).await.status, 304);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn stopping_answers_those_who_wait_and_frees_the_port() {
    let ((_, store), port) = (stored(35, 2000).await, Port::keep());
    let address = port.addr.to_string();
    let running = Running::start_at(store.clone(), ServerOptions::default(), &address).await;
    let etag = running.get(wire::COVERAGE).await.header("etag").unwrap().trim_matches('"').to_owned();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let ask = format!("GET /v1/coverage?known={etag}&wait=60 HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    running.get(wire::INFO).await; // the question has arrived by now, or is refused below like any other
    let begun = Instant::now();
    running.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty() || Reply::parse(&rest).status == 304);
    Running::start_at(store, ServerOptions::default(), &address).await.stop().await;
}

#[tokio::test]
async fn v2_f058_a_token_is_asked_for_where_one_is_set() {
    let token = Token::new("0123456789abcdef").unwrap();
    assert!(
        !format!("{:?}", ServerOptions { token: Some(token.clone()), ..Default::default() }).contains("0123")
    );
    let (_, _, running) = served(ServerOptions { token: Some(token), ..ServerOptions::default() }).await;
    for path in ["/v1/info", "/state", "/v1/blobs/changes/1/2"] {
        let reply = running.get(path).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(running.get_with(path, "authorization: Bearer 0123456789abcdee\r\n").await.status, 401);
        assert_eq!(running.get_with(path, "authorization: Bearer 0123456789abcdef\r\n").await.status, 200);
    }
    assert!(Token::new("short").is_err());
}

#[tokio::test]
async fn what_is_no_question_is_turned_away() {
    let (_, _, running) = served(ServerOptions::default()).await;
    for (request, status) in [
        ("PUT /headers HTTP/1.1\r\nhost: x\r\ncontent-length: 10737418240\r\n\r\nabc", 405),
        ("POST /v1/info HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        ("GET /v1/info HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nabc", 413),
        ("GET /v1/info HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", 413),
        ("nonsense\r\n\r\n", 400),
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let reply = Reply::parse(&bytes);
        assert_eq!(reply.status, status, "{request:?}");
    }
}

#[tokio::test]
async fn connections_are_counted() {
    let options = ServerOptions { connections_per_peer: 3, ..ServerOptions::default() };
    let (_, _, running) = served(options).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        ask(&mut stream, "/v1/coverage").await;
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(running.address).await.unwrap();
    let mut bytes = Vec::new();
    let _ = fourth.read_to_end(&mut bytes).await;
    assert_eq!(Reply::parse(&bytes).status, 503);
    held.clear();
    // The server notices that they are gone when it reads.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        if stream.write_all(b"GET /v1/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.is_ok() {
            let mut bytes = Vec::new();
            let read = stream.read_to_end(&mut bytes).await;
            if read.is_ok() && bytes.starts_with(b"HTTP/1.1 200") {
                break;
            }
        }
        assert!(Instant::now() < deadline, "places become free again");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_connection_ends_after_its_share() {
    let options = ServerOptions { session_bytes: 10_000, ..ServerOptions::default() };
    let (_, _, running) = served(options).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(ask(&mut stream, "/v1/blobs/changes/1/1").await.header("connection"), None);
    assert_eq!(ask(&mut stream, "/v1/blobs/changes/1/9").await.header("connection"), Some("close"));
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

/// One question on a connection that stays.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), path: &str) -> Reply {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    bytes.extend(body);
    Reply::parse(&bytes)
}

// Peers that misbehave, over pipes in memory and on the paused clock.

/// A server of large items, and the far end of a connection to it that holds 1 KiB.
async fn piped(options: ServerOptions) -> (Server, DuplexStream) {
    let (_, store) = stored(35, 200_000).await;
    let server = Server::new(store, options);
    let end = connect(&server);
    (server, end)
}

fn connect(server: &Server) -> DuplexStream {
    let (near, far) = duplex(1 << 10);
    let server = server.clone();
    tokio::spawn(async move { server.serve_connection(far).await });
    near
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_cut_off() {
    let (_server, mut peer) = piped(ServerOptions::default()).await;
    ask(&mut peer, "/v1/coverage").await;
    let begun = Instant::now();
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(begun.elapsed() <= Duration::from_secs(16), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_the_answer_is_cut_off() {
    for pause in [Duration::from_secs(3600), Duration::from_secs(1)] {
        let (_server, mut peer) = piped(ServerOptions::default()).await;
        peer.write_all(b"GET /v1/blobs/changes/1/9 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let begun = Instant::now();
        let mut read = 0;
        // A reader of 1 KiB per second is as bad as one that has gone to sleep.
        loop {
            tokio::time::sleep(pause).await;
            match peer.read(&mut [0; 1 << 10]).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => read += bytes,
            }
        }
        assert!(read < 100_000, "{read} bytes of 1.8 MB, pausing {pause:?}");
        assert!(begun.elapsed() < Duration::from_secs(4 * 3600), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_reader_is_served() {
    let (_server, mut peer) = piped(ServerOptions::default()).await;
    peer.write_all(b"GET /v1/blobs/changes/1/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut some = [0; 1 << 10];
        match peer.read(&mut some).await.unwrap() {
            0 => break,
            read => bytes.extend_from_slice(&some[..read]),
        }
    }
    assert!(Reply::parse(&bytes).body.len() > 400_000, "10 KiB per second is enough");
}

#[tokio::test]
async fn a_store_that_fails_is_told_without_its_words() {
    let (_, store) = stored(35, 10).await;
    let scripted = ScriptedStore::new(store);
    scripted.hook().always(|call| matches!(call, StoreCall::Read(..)), StoreFault::Unreachable);
    let running = Running::start(Arc::new(scripted.clone()), ServerOptions::default()).await;
    for path in ["/v1/blobs/changes/1/2", "/header/101", "/parachain-headers/0/1"] {
        let reply = running.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        assert_eq!(reply.body, b"the store cannot be read now");
    }
    scripted.hook().clear();
    assert_eq!(running.get("/header/101").await.status, 200);
}
