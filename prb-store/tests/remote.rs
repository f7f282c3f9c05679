//! Providers that stop, start, lie, hang and follow other chains.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use prb_core::{
    fault::Fault,
    id::{Height, WorkerName},
    lifecycle::Goal,
    pipeline::{Bridge, Worker},
    port::{BlobStore, StoreError, Stream},
    span::Span,
    testkit::{FakeChain, FakeWorker, ScriptedStore, StoreCall},
};
use prb_store::{
    LmdbOptions, LmdbStore, MemoryStore, RemoteOptions, RemoteStore, ServerOptions, server::Token,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{Running, all, ingest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, timeout},
};

/// Longest time that anything may take. Generous: machines that test are busy.
const SOON: Duration = Duration::from_secs(120);

/// Tries again soon. Nobody is given up because the machine is slow.
fn quick() -> RemoteOptions {
    let mut options = RemoteOptions {
        connect_deadline: SOON,
        answer_deadline: SOON,
        stall_deadline: SOON,
        hedge_after: SOON,
        ..RemoteOptions::default()
    };
    options.pace.first = Duration::from_millis(20);
    options.pace.longest = Duration::from_millis(100);
    options
}

async fn stored(chain: &FakeChain) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    ingest(chain, store.clone()).await;
    store
}

fn grown(seed: u64) -> FakeChain {
    let chain = FakeChain::builder(seed).padding(500).build();
    chain.advance(45);
    chain
}

fn span(first: u32, last: u32) -> Span {
    Span::new(Height(first), Height(last)).unwrap()
}

/// Waits for what only time brings.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn without_a_provider_everything_is_worth_another_try() {
    let store = RemoteStore::new(quick());
    let error = store.coverage().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)));
    assert_eq!(error.fault(), Fault::Retry);
    for refused in [
        store.genesis().await.err(),
        store.rungs(Height(0), 1).await.err(),
        store.read(Stream::Changes, span(1, 2), 1).await.err(),
    ] {
        assert_eq!(refused.unwrap().fault(), Fault::Retry);
    }
    assert!(matches!(store.append(Default::default()).await, Err(StoreError::ReadOnly)));

    // One that is down, then comes up at the port that is kept for it.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    store.add_provider(&format!("http://{address}")).unwrap();
    until("the cause is told", async || {
        store.coverage().await.is_err_and(|error| error.to_string().contains("refused"))
    })
    .await;
    let listener = socket.listen(1024).unwrap();
    let running = Running::start_on(stored(&grown(1)).await, ServerOptions::default(), listener);
    timeout(SOON, store.ready()).await.unwrap();
    assert!(store.coverage().await.unwrap().is_some());
    assert!(store.providers()[0].usable);
    running.stop().await;
}

#[tokio::test]
async fn stopping_and_starting_providers_fails_no_reader() {
    let chain = grown(1);
    let data = stored(&chain).await;
    let expected = all(&*data, Stream::Changes).await;
    let one = Running::start(data.clone(), ServerOptions::default()).await;
    let two = Running::start(data.clone(), ServerOptions::default()).await;
    let no_cache = RemoteOptions { cache_bytes: 0, ..quick() };
    let store = RemoteStore::connect([one.url().as_str(), two.url().as_str()], no_cache).unwrap();
    until("both are known", async || store.providers().iter().all(|provider| provider.usable)).await;
    let rounds = Arc::new(AtomicUsize::new(0));
    let reading = tokio::spawn({
        let (store, rounds, expected) = (store.clone(), rounds.clone(), expected.clone());
        async move {
            loop {
                assert_eq!(all(&store, Stream::Changes).await, expected);
                assert!(!store.rungs(Height(101), 2).await.unwrap().is_empty());
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let some_rounds = async || {
        let before = rounds.load(Ordering::Relaxed);
        until("reading goes on", async || {
            assert!(!reading.is_finished(), "a read failed");
            rounds.load(Ordering::Relaxed) > before + 5
        })
        .await;
    };
    some_rounds().await;
    one.stop().await;
    some_rounds().await;
    let three = Running::start(data.clone(), ServerOptions::default()).await;
    store.add_provider(&three.url()).unwrap();
    until("the third is known", async || store.providers()[2].usable).await;
    two.stop().await;
    some_rounds().await;
    assert!(!reading.is_finished());
    reading.abort();
    three.stop().await;
    let error = store.read(Stream::Changes, span(1, 2), 1).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Retry, "{error}");
    assert!(store.coverage().await.unwrap().is_some(), "what was verified stays true");
}

#[tokio::test]
async fn only_the_chain_that_is_required_is_read() {
    let (one, two) = (stored(&grown(1)).await, stored(&grown(2)).await);
    let wanted = two.coverage().await.unwrap().unwrap().identity;
    let first = Running::start(one, ServerOptions::default()).await;
    let second = Running::start(two, ServerOptions::default()).await;
    let store = RemoteStore::new(quick());
    store.require_chain(move |chain| *chain == wanted);
    store.add_provider(&first.url()).unwrap();
    until("the other chain is seen", async || store.providers()[0].foreign).await;
    assert!(!store.is_ready());
    store.add_provider(&second.url()).unwrap();
    timeout(SOON, store.ready()).await.unwrap();
    assert_eq!(store.coverage().await.unwrap().unwrap().identity, wanted);
}

#[tokio::test]
async fn the_provider_that_is_furthest_is_followed() {
    let chain = grown(1);
    let behind = stored(&chain).await;
    let first = Running::start(behind.clone(), ServerOptions::default()).await;
    chain.advance(20);
    let ahead = stored(&chain).await;
    let second = Running::start(ahead.clone(), ServerOptions::default()).await;
    let store = RemoteStore::connect([first.url().as_str(), second.url().as_str()], quick()).unwrap();
    let (near, far) = (behind.coverage().await.unwrap(), ahead.coverage().await.unwrap());
    until("the further one is followed", async || store.coverage().await.is_ok_and(|seen| seen == far)).await;
    assert_eq!(all(&store, Stream::RelayHeaders).await, all(&*ahead, Stream::RelayHeaders).await);
    second.stop().await;
    until("the other is", async || store.coverage().await.unwrap() == near).await;
    let tip = near.unwrap().relay.unwrap().last();
    assert_eq!(store.rungs(tip, 1).await.unwrap(), behind.rungs(tip, 1).await.unwrap());
    chain.advance(30);
    ingest(&chain, behind.clone()).await;
    until("news arrive", async || store.coverage().await.unwrap() == behind.coverage().await.unwrap()).await;
}

#[tokio::test]
async fn a_pruned_provider_that_is_a_little_ahead_does_not_hide_a_full_one() {
    let chain = grown(1);
    let full = stored(&chain).await;
    chain.advance(2);
    let folder = tempfile::tempdir().unwrap();
    let pruned = Arc::new(LmdbStore::open(folder.path(), LmdbOptions::default()).unwrap());
    ingest(&chain, pruned.clone()).await;
    let last = pruned.coverage().await.unwrap().unwrap().changes.unwrap().last();
    pruned.prune(&pruned.plan_prune(last).unwrap(), &mut |_| {}).unwrap();
    let first = Running::start(pruned.clone(), ServerOptions::default()).await;
    let second = Running::start(full.clone(), ServerOptions::default()).await;
    let no_cache = RemoteOptions { cache_bytes: 0, ..quick() };
    let store = RemoteStore::connect([first.url().as_str(), second.url().as_str()], no_cache).unwrap();
    let whole = full.coverage().await.unwrap();
    until("the full one is told", async || store.coverage().await.is_ok_and(|seen| seen == whole)).await;
    assert_eq!(all(&store, Stream::Changes).await, all(&*full, Stream::Changes).await);

    // Who has fallen far behind holds nobody up.
    chain.advance(60);
    ingest(&chain, pruned.clone()).await;
    let ahead = pruned.coverage().await.unwrap();
    until("the pruned one is told", async || store.coverage().await.unwrap() == ahead).await;
    let old = store.read(Stream::Changes, span(1, 1), usize::MAX).await.unwrap();
    assert_eq!(old.len(), 1, "and who has old blocks is asked for them");
}

#[tokio::test]
async fn another_chain_is_not_mixed_in() {
    let right = Running::start(stored(&grown(1)).await, ServerOptions::default()).await;
    let further = grown(2);
    further.advance(100);
    let wrong = Running::start(stored(&further).await, ServerOptions::default()).await;
    let store = RemoteStore::connect([right.url().as_str()], quick()).unwrap();
    store.ready().await;
    let before = store.coverage().await.unwrap();
    store.add_provider(&wrong.url()).unwrap();
    until("it is recognised", async || {
        store.providers()[1]
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.contains("follows other chains: block 0"))
    })
    .await;
    assert_eq!(store.coverage().await.unwrap(), before);
    right.stop().await;
    let error = store.read(Stream::Changes, span(1, 3), usize::MAX).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)));
}

/// What a man in the middle does to answers about items.
#[derive(Clone, Copy, Debug)]
enum Mischief {
    Flip,
    Cut,
    Empty,
    Stall,
    Status,
    Flood,
    NotHttp,
}

/// Passes everything on to `to`, and spoils answers about items. Counts those.
async fn proxy(to: String, mischief: Mischief) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let spoiled = Arc::new(AtomicUsize::new(0));
    let count = spoiled.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(pass(stream, to.clone(), mischief, count.clone()));
        }
    });
    (url, spoiled)
}

async fn pass(mut stream: TcpStream, to: String, mischief: Mischief, count: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut upstream = TcpStream::connect(&to).await.unwrap();
    upstream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await.unwrap();
    if head.contains("/v1/blobs/changes") {
        count.fetch_add(1, Ordering::Relaxed);
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        match mischief {
            Mischief::Flip => {
                let middle = (body + answer.len()) / 2;
                answer[middle] ^= 1;
            }
            Mischief::Cut => answer.truncate(answer.len() - 5),
            Mischief::Empty => {
                let head = String::from_utf8_lossy(&answer[..body]).to_string();
                let kept: Vec<_> =
                    head.split("\r\n").filter(|line| !line.starts_with("content-length")).collect();
                answer = kept.join("\r\n").replacen("\r\n", "\r\ncontent-length: 0\r\n", 1).into_bytes();
            }
            Mischief::Stall => {
                stream.write_all(&answer[..body + 3]).await.unwrap();
                let _ = stream.read_u8().await; // until the reader hangs up
                return;
            }
            Mischief::Status => {
                answer = b"HTTP/1.1 500 Oops\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n".to_vec();
            }
            Mischief::Flood => {
                answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
            }
            Mischief::NotHttp => answer = b"SSH-2.0-OpenSSH\r\n".to_vec(),
        }
    }
    let _ = stream.write_all(&answer).await;
}

#[tokio::test]
async fn a_spoiled_answer_is_refused_and_another_provider_asked() {
    let chain = grown(1);
    let data = stored(&chain).await;
    let expected = all(&*data, Stream::Changes).await;
    let honest = Running::start(data.clone(), ServerOptions::default()).await;
    for mischief in [
        Mischief::Flip,
        Mischief::Cut,
        Mischief::Empty,
        Mischief::Stall,
        Mischief::Status,
        Mischief::Flood,
        Mischief::NotHttp,
    ] {
        let (spoiler, spoiled) = proxy(honest.address.to_string(), mischief).await;
        // Who says nothing more is given up in time.
        let options = match mischief {
            Mischief::Stall => RemoteOptions { stall_deadline: Duration::from_secs(3), ..quick() },
            _ => quick(),
        };
        // Alone: an error, and nothing of it is used.
        let alone = RemoteStore::connect([spoiler.as_str()], options.clone()).unwrap();
        alone.ready().await;
        let error = alone.read(Stream::Changes, span(1, 9), usize::MAX).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Retry, "{mischief:?}");
        assert!(error.to_string().contains(&spoiler), "{error} names who it was");

        // With another: no error, and the culprit is asked last from then on.
        let both = RemoteStore::connect([spoiler.as_str(), honest.url().as_str()], options).unwrap();
        until("both are known", async || both.providers().iter().all(|provider| provider.usable)).await;
        spoiled.store(0, Ordering::Relaxed);
        assert_eq!(all(&both, Stream::Changes).await, expected, "{mischief:?}");
        assert_eq!(spoiled.load(Ordering::Relaxed), 1, "{mischief:?}: asked first, and spoiled it");
    }
}

#[tokio::test]
async fn readers_who_want_the_same_ask_once() {
    let chain = grown(1);
    let scripted = ScriptedStore::new(stored(&chain).await);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    scripted.hook().set(move |call| {
        if matches!(call, StoreCall::Read(Stream::Changes, _)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        None
    });
    let running = Running::start(Arc::new(scripted), ServerOptions::default()).await;
    let store = RemoteStore::connect([running.url().as_str()], quick()).unwrap();
    store.ready().await;
    let reads = (0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.read(Stream::Changes, span(1, 9), usize::MAX).await.unwrap() })
    });
    let answers: Vec<_> = futures_of(reads.collect()).await;
    assert!(answers.iter().all(|answer| answer.len() == 9));
    let first = answers[0][0].bytes.as_ptr();
    assert!(answers.iter().all(|answer| answer[0].bytes.as_ptr() == first), "all share the same bytes");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // A longer range only asks for what is new.
    assert_eq!(store.read(Stream::Changes, span(1, 12), usize::MAX).await.unwrap().len(), 12);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

async fn futures_of<T>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_token_opens_a_provider_and_its_lack_is_told() {
    let token = Token::new("a-token-of-some-length").unwrap();
    let options = ServerOptions { token: Some(token.clone()), ..ServerOptions::default() };
    let running = Running::start(stored(&grown(1)).await, options).await;
    let store = RemoteStore::connect([running.url().as_str()], quick()).unwrap();
    until("it is told", async || {
        store.coverage().await.is_err_and(|error| error.to_string().contains("wants its token"))
    })
    .await;
    let knowing = RemoteOptions { token: Some(token), ..quick() };
    let store = RemoteStore::connect([running.url().as_str()], knowing).unwrap();
    timeout(SOON, store.ready()).await.unwrap();
    assert!(!all(&store, Stream::Changes).await.is_empty());
}

#[tokio::test]
async fn x18_the_token_is_shown_to_those_only_that_it_is_for() {
    let token = Token::new("a-token-of-some-length").unwrap();
    let options = ServerOptions { token: Some(token.clone()), ..ServerOptions::default() };
    let running = Running::start(stored(&grown(1)).await, options).await;
    let store = RemoteStore::new(RemoteOptions { token: Some(token), ..quick() });
    let (url, same) = (running.url(), format!("{}/", running.url()));
    store.set_providers([(url.as_str(), false)]).unwrap();
    until("it is told that a token is wanted", async || {
        store.coverage().await.is_err_and(|error| error.to_string().contains("wants its token"))
    })
    .await;
    assert!(store.set_providers([(url.as_str(), true), ("no address", true)]).is_err() && !store.is_ready());
    // The first word of two on the same one counts.
    store.set_providers([(same.as_str(), true), (url.as_str(), false)]).unwrap();
    timeout(SOON, store.ready()).await.unwrap();
    assert_eq!(store.providers().len(), 1);
    store.set_providers([]).unwrap();
    assert!(store.providers().is_empty());
}

#[tokio::test]
async fn the_genesis_is_fetched_once_and_belongs_to_the_chain() {
    let chain = grown(1);
    let running = Running::start(stored(&chain).await, ServerOptions::default()).await;
    let store = RemoteStore::connect([running.url().as_str()], quick()).unwrap();
    store.ready().await;
    let genesis = store.genesis().await.unwrap().unwrap();
    assert_eq!(*genesis, chain.genesis());
    assert!(Arc::ptr_eq(&genesis, &store.genesis().await.unwrap().unwrap()));
}

#[tokio::test]
async fn a_worker_is_fed_from_a_remote_store_while_providers_come_and_go() {
    let chain = FakeChain::builder(7).padding(200).build();
    chain.advance(35);
    let data = stored(&chain).await;
    let store = RemoteStore::new(quick());
    let goal = Goal { sync_only: true, ..Goal::new(prb_core::id::PoolId(1), FakeChain::OWNER, 1) };
    let worker = Worker { name: WorkerName::new("w").unwrap(), goal, debug_key: None };
    let fake = FakeWorker::new("w");
    let bridge =
        Bridge::builder().store(Arc::new(store.clone())).worker(worker, fake.clone()).start().await.unwrap();
    let at_tip = async || {
        let (info, tips) = (fake.peek(), chain.tips());
        info.initialized && info.headernum == tips.relay.next() && info.blocknum == tips.para.next()
    };
    let one = Running::start(data.clone(), ServerOptions::default()).await;
    store.add_provider(&one.url()).unwrap();
    until("the worker is at the tip", at_tip).await;
    chain.advance(13);
    ingest(&chain, data.clone()).await;
    until("it follows", at_tip).await;
    let two = Running::start(data.clone(), ServerOptions::default()).await;
    store.add_provider(&two.url()).unwrap();
    one.stop().await;
    for _ in 0..10 {
        chain.advance(3);
        ingest(&chain, data.clone()).await;
        until("it follows the other provider", at_tip).await;
    }
    assert_eq!(fake.refused(), Vec::<String>::new());
    bridge.stop().await;
}
