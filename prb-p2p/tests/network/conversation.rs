use super::*;
use futures::future::join_all;
use prb_p2p::{CallError, StartError};

#[tokio::test(flavor = "multi_thread")]
async fn v2_f067_two_nodes_say_who_they_are() {
    let first = join(options()).await;
    let second = join(beside(&first)).await;
    let found = find(&second, first.peer_id()).await;
    assert_eq!((found.hostname.as_str(), found.role), ("host", Role::DataProvider as i32));
    assert_eq!((found.chain_identity.as_str(), found.bridge_identity.as_str()), ("0x00", "bridge"));
    assert_eq!(vec![found.address], first.listening());
    // The one that was dialled dials back.
    assert_eq!(vec![find(&first, second.peer_id()).await.address], second.listening());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_and_errors_are_told() {
    let (asker, asked) = pair().await;
    let call = |method: &'static str, data: &'static str| {
        let (asker, asked) = (&asker, asked.peer_id());
        async move { asker.call(&asked, method, data.into()).await.unwrap() }
    };
    let answer = call("GetBlobByKey", "something").await;
    assert_eq!(answer.result.unwrap(), "something");
    assert!(
        answer.created_at > 1_600_000_000_000 && answer.nonce.len() == 36 && answer.request_nonce.len() == 36
    );

    let error = |answer: prb_p2p::Answer| {
        let error = answer.result.unwrap_err();
        (error.kind(), error.message().to_owned())
    };
    assert_eq!(error(call("GetWorkerStatus", "").await), (ErrorKind::NotFound, "not here".into()));
    assert_eq!(error(call("RestartWorker", "").await), (ErrorKind::Unauthorized, "not you".into()));
    let (kind, text) = error(call("hello", "").await);
    assert!(kind == ErrorKind::Server && text.contains("\"hello\""), "{text}");
    let (kind, text) = error(call("KickWorker", "").await);
    assert!(kind == ErrorKind::Server && text.contains("log"), "{text}");
    let (kind, text) = error(call("WantBlob", "").await);
    assert!(kind == ErrorKind::Server && text.contains("within 1 s"), "{text}");
    let told = call("ListPool", "").await.result.unwrap();
    assert_eq!(told, format!("{} true false", asker.peer_id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_16_mib_arrives() {
    let (asker, asked) = pair().await;
    let size = (16 << 20).to_string();
    let answer = asker.call(&asked.peer_id(), "GetBlobWithToken", size.into()).await.unwrap();
    let body = answer.result.unwrap();
    assert!(body.len() == 16 << 20 && body.iter().all(|byte| *byte == 7));
    let request = Bytes::from(vec![3; (4 << 20) - 1000]);
    let answer = asker.call(&asked.peer_id(), "GetBlobByKey", request.clone()).await.unwrap();
    assert!(answer.result.unwrap() == request);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_at_once_are_answered() {
    let (asker, asked) = pair().await;
    let calls = (0..100).map(|number| {
        let (asker, asked) = (&asker, asked.peer_id());
        async move {
            let data = format!("call {number}");
            assert_eq!(
                asker.call(&asked, "GetBlobByKey", data.clone().into()).await.unwrap().result.unwrap(),
                data
            );
        }
    });
    join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_who_is_not_known() {
    let alone = join(options()).await;
    let outcome = alone.call(&PeerId::random(), "ListPool", Bytes::new()).await;
    assert_eq!(outcome, Err(CallError::UnknownPeer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_stopped_answers_no_more() {
    let (asker, asked) = pair().await;
    let address = asked.listening();
    asked.stop().await;
    let outcome = asked.call(&asker.peer_id(), "ListPool", Bytes::new()).await;
    assert_eq!(outcome, Err(CallError::Stopped));
    until(&asker, |peers| peers.iter().all(|peer| !peer.reachable)).await;
    let outcome = asker.call(&asked.peer_id(), "ListPool", Bytes::new()).await;
    assert!(matches!(outcome, Err(CallError::Unreachable(_))), "{outcome:?}");
    // Its port is free.
    let port: Multiaddr = address[0].iter().take(2).collect();
    join(Options { listen: vec![port], ..options() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_last_handle_is_dropped_is_gone() {
    let (asker, asked) = pair().await;
    let clone = asked.clone();
    drop(asked);
    assert!(asker.call(&clone.peer_id(), "ListPool", Bytes::new()).await.is_ok());
    drop(clone);
    until(&asker, |peers| peers.iter().all(|peer| !peer.reachable)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_listened_on_is_an_error() {
    let first = join(options()).await;
    let taken: Multiaddr = first.listening()[0].iter().take(2).collect();
    for bad in [taken, "/ip4/9.9.9.9/tcp/0".parse().unwrap(), "/dns4/localhost/tcp/0".parse().unwrap()] {
        let options = Options { listen: vec![bad.clone()], ..options() };
        match Network::start(options, Arc::new(Tester)).await.err().unwrap() {
            StartError::Listen { address, .. } => assert_eq!(address, bad),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn v2_f061_the_own_id_is_in_the_log() {
    let (log, _guard) = Log::begin();
    let node = join(options()).await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("Got my peer id as DATA_PROVIDER")).expect(&text);
    assert!(line.contains(&format!("\"id\":\"{}\"", node.peer_id())), "{line}");
}

/// One that found the other.
async fn pair() -> (Network, Network) {
    let asked = join(options()).await;
    let asker = join(beside(&asked)).await;
    find(&asker, asked.peer_id()).await;
    (asker, asked)
}
