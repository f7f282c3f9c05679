//! Peers that answer as they should not.

use super::{
    rogue::{Answering, Muxer, Rogue, always, request, who},
    *,
};
use futures::AsyncWriteExt as _;
use libp2p::{Stream, identity::Keypair};
use prb_p2p::{
    CallError,
    message::{RequestWrapper, ResponseWrapper},
};
use prost::Message as _;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn x18_a_peer_that_says_it_is_another_is_not_listed() {
    let (log, _guard) = Log::begin();
    let victim = PeerId::random();
    let liar = Rogue::start(Muxer::Yamux, always(who(&victim.to_string()).encode_to_vec())).await;
    let node = join(Options { boot_nodes: vec![liar.address.clone()], ..options() }).await;
    let witness = join(beside(&node)).await;
    find(&node, witness.peer_id()).await;
    log.until("refused a peer that says it is another one", 1).await;
    assert!(node.peers().iter().all(|peer| peer.id == witness.peer_id()), "{:?}", node.peers());
    assert_well(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x18_an_answer_that_is_none_is_not_taken_for_one() {
    type Reply = fn(RequestWrapper) -> Vec<u8>;
    let cases: [(&str, Reply); 4] = [
        ("empty", |_| Vec::new()),
        ("garbage", |_| vec![0xff; 100]),
        ("no nonce", |_| {
            ResponseWrapper { data: Some(Bytes::from_static(b"x")), ..answer() }.encode_to_vec()
        }),
        ("another nonce", |request| {
            let nonce = request.nonce().chars().rev().collect();
            ResponseWrapper { request_nonce: Some(nonce), ..answer() }.encode_to_vec()
        }),
    ];
    for (name, reply) in cases {
        let outcome = call(move |request, mut stream| async move {
            stream.write_all(&reply(request)).await.unwrap();
            stream.close().await.unwrap();
        });
        let outcome = outcome.await;
        assert!(matches!(outcome, Err(CallError::BadAnswer(_))), "{name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x19_an_answer_without_end_is_cut_off() {
    let outcome = call(|_, mut stream| async move { while stream.write_all(&[8; 65536]).await.is_ok() {} });
    assert_eq!(outcome.await, Err(CallError::TooLarge));
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_an_answer_that_drips_costs_one_deadline() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let outcome = call(move |_, mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            while stream.write_all(&[8]).await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    assert_eq!(outcome.await, Err(CallError::Timeout));
    assert_eq!(calls.load(Ordering::Relaxed), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_is_an_error_and_what_changes_nothing_is_tried_twice() {
    for (method, expected) in [("GetDataProviderInfo", 2), ("CreatePool", 1)] {
        let (sender, mut calls) = tokio::sync::mpsc::channel(9);
        let outcome = call_method(method, move |_, stream| {
            let sender = sender.clone();
            async move {
                drop(stream);
                sender.send(()).await.unwrap();
            }
        });
        let outcome = outcome.await;
        assert!(matches!(outcome, Err(CallError::Unreachable(_) | CallError::BadAnswer(_))), "{outcome:?}");
        let mut count = 0;
        while calls.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, expected, "{method}");
    }
}

/// What comes of a call to somebody who answers `Hello` well and everything else like this.
async fn call<F: Future<Output = ()> + Send + 'static>(
    answering: impl Fn(RequestWrapper, Stream) -> F + Send + Sync + 'static,
) -> Result<Bytes, CallError> {
    call_method("GetDataProviderInfo", answering).await
}

async fn call_method<F: Future<Output = ()> + Send + 'static>(
    method: &str,
    answering: impl Fn(RequestWrapper, Stream) -> F + Send + Sync + 'static,
) -> Result<Bytes, CallError> {
    let key = Keypair::generate_ed25519();
    let hello = who(&key.public().to_peer_id().to_string()).encode_to_vec();
    let answering = Arc::new(answering);
    let all: Answering = Arc::new(move |mut stream| {
        let (hello, answering) = (hello.clone(), answering.clone());
        Box::pin(async move {
            let Some(request) = request(&mut stream).await else { return };
            if request.method() != "Hello" {
                return answering(request, stream).await;
            }
            let answer =
                ResponseWrapper { request_nonce: request.nonce, data: Some(hello.into()), ..answer() };
            let _ = stream.write_all(&answer.encode_to_vec()).await;
            let _ = stream.close().await;
        })
    });
    let rogue = Rogue::with_key(key, Muxer::Yamux, all).await;
    let limits = Limits { answer: Duration::from_secs(2), largest_answer: 1 << 20, ..quick() };
    let node = join(Options { boot_nodes: vec![rogue.address.clone()], limits, ..options() }).await;
    find(&node, rogue.id).await;
    let outcome = node.call(&rogue.id, method, Bytes::new()).await;
    assert_well(&node).await;
    outcome.map(|answer| answer.result.unwrap())
}

fn answer() -> ResponseWrapper {
    ResponseWrapper { created_at: Some(1), ..ResponseWrapper::default() }
}
