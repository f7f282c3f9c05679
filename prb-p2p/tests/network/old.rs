//! Nodes of PRB v2: mplex alone, and a connection per call that is closed right after it.

use super::{
    rogue::{Answering, Muxer, Rogue, always, request, who},
    *,
};
use futures::AsyncWriteExt as _;
use libp2p::identity::Keypair;
use prb_p2p::message::ResponseWrapper;
use prost::Message as _;

#[tokio::test(flavor = "multi_thread")]
async fn v2_f059_a_node_of_v2_is_found_and_called_while_it_calls() {
    let key = Keypair::generate_ed25519();
    let hello = who(&key.public().to_peer_id().to_string()).encode_to_vec();
    let old = Rogue::with_key(key, Muxer::Mplex, always(hello.clone())).await;
    let node = join(Options { boot_nodes: vec![old.address.clone()], ..options() }).await;
    let found = find(&node, old.id).await;
    assert_eq!((found.hostname.as_str(), found.role), ("old", Role::DataProvider as i32));

    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    let theirs = async {
        for _ in 0..40 {
            let answer = old.call(node.peer_id(), &at, "Hello").await;
            assert_eq!((answer.request_nonce(), answer.has_error()), ("n", false));
        }
    };
    let ours = async {
        // One after the other: libp2p's own streams, unlike v2, are dropped when several arrive at once.
        for _ in 0..100 {
            let answer = node.call(&old.id, "GetDataProviderInfo", Bytes::new()).await.unwrap();
            assert_eq!(answer.result.unwrap(), hello);
        }
    };
    tokio::join!(theirs, ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_v2_answers_16_mib_in_frames_of_its_size() {
    let key = Keypair::generate_ed25519();
    let hello = who(&key.public().to_peer_id().to_string()).encode_to_vec();
    let all: Answering = Arc::new(move |mut stream| {
        let hello = hello.clone();
        Box::pin(async move {
            let Some(request) = request(&mut stream).await else { return };
            let data = if request.method() == "Hello" { hello } else { vec![7; 16 << 20] };
            let answer = ResponseWrapper {
                request_nonce: request.nonce,
                data: Some(data.into()),
                ..ResponseWrapper::default()
            };
            let _ = stream.write_all(&answer.encode_to_vec()).await;
            let _ = stream.close().await;
        })
    });
    let old = Rogue::with_key(key, Muxer::MplexOfLargeFrames, all).await;
    let node = join(Options { boot_nodes: vec![old.address.clone()], ..options() }).await;
    find(&node, old.id).await;
    let answer = node.call(&old.id, "GetBlobByKey", Bytes::new()).await.unwrap();
    assert!(answer.result.unwrap() == vec![7; 16 << 20]);
    let small = node.call(&old.id, "GetDataProviderInfo", Bytes::new()).await;
    assert_eq!(small, Err(prb_p2p::CallError::TooLarge), "x19: only blobs and lists may be large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_v2_that_dials_first_is_dialled_back() {
    let key = Keypair::generate_ed25519();
    let hello = who(&key.public().to_peer_id().to_string()).encode_to_vec();
    let old = Rogue::with_key(key, Muxer::Mplex, always(hello)).await;
    let node = join(options()).await;
    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    old.connect(node.peer_id(), &at).await.unwrap();
    assert_eq!(find(&node, old.id).await.address, old.address.clone().with_p2p(old.id).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_v2_gets_errors_it_understands() {
    let old = Rogue::start(Muxer::Mplex, always(Vec::new())).await;
    let node = join(options()).await;
    let at: Multiaddr = node.listening()[0].iter().take(2).collect();
    for (method, kind) in [("GetWorkerStatus", ErrorKind::NotFound), ("Nothing", ErrorKind::Server)] {
        let answer = old.call(node.peer_id(), &at, method).await;
        assert_eq!((answer.request_nonce(), answer.has_error()), ("n", true));
        assert_eq!(answer.error.unwrap().kind(), kind);
    }
}
