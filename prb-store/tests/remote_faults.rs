//! Providers that are silent, spoil what they send, or send what should do harm: what a reader gets, what is counted,
//! what is logged.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use prb_core::{
    fault::Fault,
    id::Height,
    port::{BlobStore, Stream},
    span::Span,
    testkit::{FakeChain, Observed},
};
use prb_store::{MemoryStore, RemoteOptions, RemoteStore, ServerOptions};
use std::{sync::Arc, time::Duration};
use support::{Running, all, ingest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(60);

/// Deadlines far beyond what a reader should wait, so that only asking another explains an answer in time.
fn patient() -> RemoteOptions {
    let mut options = RemoteOptions {
        answer_deadline: Duration::from_secs(120),
        stall_deadline: Duration::from_secs(120),
        // Long enough that only who is silent for good is hedged, on a busy machine too.
        hedge_after: Duration::from_secs(3),
        news_wait: Duration::from_secs(1),
        ..RemoteOptions::default()
    };
    options.pace.first = Duration::from_millis(20);
    options.pace.longest = Duration::from_millis(100);
    options
}

fn grown() -> FakeChain {
    let chain = FakeChain::builder(1).padding(500).build();
    chain.advance(45);
    chain
}

async fn stored(chain: &FakeChain) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    ingest(chain, store.clone()).await;
    store
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// In front of a provider; everything on its way stops while it is frozen, and connections stay, as with a process
/// that is stopped or a cable that is pulled.
struct Freezer {
    url: String,
    frozen: watch::Sender<bool>,
}

impl Freezer {
    async fn before(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (frozen, state) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&to).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, state.clone()));
                tokio::spawn(carry(far_in, near_out, state.clone()));
            }
        });
        Self { url, frozen }
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut some = [0; 4096];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut some).await else { return };
        if frozen.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&some[..bytes]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn x23_a_silent_provider_is_not_waited_for_when_there_is_another() {
    let data = stored(&grown()).await;
    let (one, two) = (
        Running::start(data.clone(), ServerOptions::default()).await,
        Running::start(data.clone(), ServerOptions::default()).await,
    );
    let freezer = Freezer::before(one.address.to_string()).await;
    let store = RemoteStore::connect([freezer.url.as_str(), two.url().as_str()], patient()).unwrap();
    until("both are known", || store.providers().iter().all(|provider| provider.usable)).await;
    freezer.frozen.send_replace(true);

    let observed = Observed::begin();
    let expected = all(&*data, Stream::Changes).await;
    assert_eq!(timeout(SOON, all(&store, Stream::Changes)).await.expect("the other answers"), expected);
    assert_eq!(observed.counter("prb_remote_hedges_total"), 1);
    let told = observed.lines(&["WARN", "provider is silent", "another is asked as well", &freezer.url]);
    assert_eq!(told.len(), 1, "{told:?}");
    // From now on it is asked last: nobody waits for it again.
    for stream in [Stream::RelayHeaders, Stream::ParaHeaders] {
        timeout(SOON, all(&store, stream)).await.unwrap();
    }
    timeout(SOON, store.rungs(Height(101), 2)).await.unwrap().unwrap();
    timeout(SOON, store.genesis()).await.unwrap().unwrap();
    assert_eq!(observed.counter("prb_remote_hedges_total"), 1);
    assert!(!store.providers()[0].usable && store.providers()[1].usable);
}

/// The silent one was further; what only it has is not had, and nobody waits for it.
#[tokio::test]
async fn x23_a_silent_provider_that_was_further_holds_nobody_up() {
    let chain = grown();
    let near = stored(&chain).await;
    chain.advance(12);
    let far = stored(&chain).await;
    let (ahead, behind) = (
        Running::start(far.clone(), ServerOptions::default()).await,
        Running::start(near.clone(), ServerOptions::default()).await,
    );
    let freezer = Freezer::before(ahead.address.to_string()).await;
    let store = RemoteStore::connect([freezer.url.as_str(), behind.url().as_str()], patient()).unwrap();
    until("both are known", || store.providers().iter().all(|provider| provider.usable)).await;
    let (far, near) = (far.coverage().await.unwrap(), near.coverage().await.unwrap());
    assert_eq!(store.coverage().await.unwrap(), far);
    let observed = Observed::begin();
    freezer.frozen.send_replace(true);
    let tip = far.unwrap().changes.unwrap().last();
    let read = timeout(SOON, store.read(Stream::Changes, Span::one(tip), usize::MAX)).await;
    assert!(read.expect("an answer in time").is_ok_and(|items| items.is_empty()));
    assert_eq!(store.coverage().await.unwrap(), near, "what can be read is what is told");
    assert_eq!(observed.counter("prb_remote_hedges_total"), 1);
    let told = ["WARN", "provider is silent", "another is asked as well", &freezer.url];
    assert_eq!(observed.lines(&told).len(), 1);

    freezer.frozen.send_replace(false);
    let span = Span::one(tip);
    until("it is asked again where nobody else has it", || store.providers()[0].trouble.is_none()).await;
    assert_eq!(store.read(Stream::Changes, span, usize::MAX).await.unwrap().len(), 1);
}

/// Who answers nothing but what a script says, `{...}` aside.
async fn scripted(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let head = String::from_utf8(head).unwrap();
                match answer(head.split(' ').nth(1).unwrap()) {
                    Some(bytes) => drop(stream.write_all(&bytes).await),
                    // Words without end.
                    None => {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
                        while stream
                            .write_all(b"x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
                            .await
                            .is_ok()
                        {}
                    }
                }
            });
        }
    });
    url
}

fn reply(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"abc\"\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// X19: answers that would fill the memory, or nest without end. The reader gets an error that names the provider;
/// a metric and one line of the log tell.
#[tokio::test]
async fn x19_answers_made_to_do_harm_are_refused_counted_and_told() {
    let bomb = zstd::stream::encode_all(&vec![0; 64 << 20][..], 3).unwrap();
    assert!(bomb.len() < 16 << 10);
    let deep = "[".repeat(900);
    // A list of 2^30 - 1 rungs in four bytes, and of coverage spans.
    let huge_list = prb_core::wire::seal(&codec::Compact((1u32 << 30) - 1));
    type Answer = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;
    let cases: [(&str, Answer, &str); 6] = [
        ("bomb", Box::new(move |_| Some(reply("content-encoding: zstd\r\n", &bomb))), "more than"),
        ("deep JSON", Box::new(move |_| Some(reply("", deep.as_bytes()))), "checksum"),
        ("a list without end", Box::new(move |_| Some(reply("", &huge_list))), "does not decode"),
        ("a long answer", Box::new(|_| Some(reply("", &[0; 1 << 20]))), "more than"),
        (
            "a claim",
            Box::new(|_| Some(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n".to_vec())),
            "",
        ),
        ("a head without end", Box::new(|_| None), ""),
    ];
    for (name, answer, cause) in cases {
        let observed = Observed::begin();
        let url = scripted(answer).await;
        let options = RemoteOptions { zstd: true, ..patient() };
        let store = RemoteStore::connect([url.as_str()], options).unwrap();
        until(name, || store.providers()[0].trouble.is_some()).await;
        let error = store.coverage().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Retry, "{name}");
        let text = error.to_string();
        assert!(text.contains(&url) && text.contains(cause), "{name}: {text}");
        assert!(observed.counter("prb_remote_failures_total") > 0, "{name}");
        let told = observed.lines(&["WARN", "provider", &url]);
        assert!(!told.is_empty() && told[0].contains(cause), "{name}: {told:?}");
    }
}

/// X17: one flipped bit in transit. With another provider the reader notices nothing; the culprit is named.
#[tokio::test]
async fn x17_a_bit_flipped_in_transit_is_noticed_counted_and_told() {
    let data = stored(&grown()).await;
    let honest = Running::start(data.clone(), ServerOptions::default()).await;
    let spoiler = flipping(honest.address.to_string()).await;
    let observed = Observed::begin();
    let alone = RemoteStore::connect([spoiler.as_str()], patient()).unwrap();
    alone.ready().await;
    let span = Span::new(Height(1), Height(9)).unwrap();
    let error = alone.read(Stream::Changes, span, usize::MAX).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Retry);
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(observed.counter("prb_remote_refused_answers_total"), 1);
    let told = observed.lines(&["WARN", "answer of a provider refused", &spoiler, "checksum"]);
    assert_eq!(told.len(), 1, "{told:?}");
    // Its readers try again and again: that is counted, and fills no log.
    for _ in 0..5 {
        alone.read(Stream::Changes, span, usize::MAX).await.unwrap_err();
    }
    assert_eq!(observed.counter("prb_remote_refused_answers_total"), 6);
    assert_eq!(observed.lines(&["answer of a provider refused"]).len(), 1);

    let both = RemoteStore::connect([spoiler.as_str(), honest.url().as_str()], patient()).unwrap();
    until("both are known", || both.providers().iter().all(|provider| provider.usable)).await;
    assert_eq!(all(&both, Stream::Changes).await, all(&*data, Stream::Changes).await);
    assert_eq!(observed.counter("prb_remote_refused_answers_total"), 7);
    assert!(!both.providers()[0].usable, "it is asked last for a while");
}

/// X18: a provider that says it has more than it has. It is not followed, and not used for what it lacks.
#[tokio::test]
async fn x18_a_provider_that_brags_is_not_believed() {
    let chain = grown();
    let near = stored(&chain).await;
    chain.advance(12);
    let far = stored(&chain).await;
    let honest = Running::start(near.clone(), ServerOptions::default()).await;
    let further = Running::start(far.clone(), ServerOptions::default()).await;
    let (items, coverage) = (honest.address.to_string(), further.address.to_string());
    let braggart = between(
        move |head| if head.contains(" /v1/coverage") { coverage.clone() } else { items.clone() },
        |_, _| {},
    )
    .await;
    let observed = Observed::begin();
    let store = RemoteStore::connect([braggart.as_str(), honest.url().as_str()], patient()).unwrap();
    until("both are known", || store.providers().iter().all(|provider| provider.usable)).await;
    let (near, far) = (near.coverage().await.unwrap(), far.coverage().await.unwrap());
    assert_eq!(store.coverage().await.unwrap(), far, "so far it is believed");
    let span = Span::one(far.unwrap().changes.unwrap().last());
    let read = store.read(Stream::Changes, span, usize::MAX).await.unwrap();
    assert!(read.is_empty(), "nobody has it");
    assert_eq!(store.coverage().await.unwrap(), near);
    assert_eq!(observed.counter("prb_remote_refused_answers_total"), 1);
    let told = observed.lines(&["WARN", "answer of a provider refused", &braggart, "does not answer them"]);
    assert_eq!(told.len(), 1, "{told:?}");
}

/// Passes everything on and flips a bit in the last byte of answers about items.
async fn flipping(to: String) -> String {
    let flip = |head: &str, answer: &mut Vec<u8>| {
        if head.contains("/v1/blobs/") {
            *answer.last_mut().unwrap() ^= 1;
        }
    };
    between(move |_| to.clone(), flip).await
}

/// A man in the middle: `to` says who is asked, `spoil` may change the answer.
async fn between(
    to: impl Fn(&str) -> String + Send + Sync + 'static,
    spoil: impl Fn(&str, &mut Vec<u8>) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let both = Arc::new((to, spoil));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let both = both.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let head = String::from_utf8(head).unwrap().replacen("\r\n", "\r\nconnection: close\r\n", 1);
                let mut upstream = TcpStream::connect(both.0(&head)).await.unwrap();
                upstream.write_all(head.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                upstream.read_to_end(&mut answer).await.unwrap();
                both.1(&head, &mut answer);
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    url
}
