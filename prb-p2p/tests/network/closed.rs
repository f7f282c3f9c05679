use super::*;
use prb_p2p::PreSharedKey;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_pre_shared_key_keeps_out_whoever_has_another_or_none() {
    let (log, _guard) = Log::begin();
    let with = |key: Option<&str>, options: Options| Options {
        pre_shared_key: key.map(|digit| PreSharedKey::parse(&digit.repeat(64)).unwrap()),
        ..options
    };
    let node = join(with(Some("1"), options())).await;
    let other = join(with(Some("2"), beside(&node))).await;
    let none = join(with(None, beside(&node))).await;
    let member = join(with(Some("1"), beside(&node))).await;
    find(&member, node.peer_id()).await;
    find(&node, member.peer_id()).await;
    // The others were refused.
    log.until("boot node cannot be reached", 2).await;
    assert!(other.peers().is_empty() && none.peers().is_empty());
    assert_eq!(node.peers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_keeps_out_whoever_is_not_in_it() {
    let (friend, stranger) = (Identity::random(), Identity::random());
    let allowed = BTreeSet::from([friend.peer_id()]);
    let node = join(Options { allowed: Some(allowed), ..options() }).await;
    let stranger = join(Options { identity: stranger, ..beside(&node) }).await;
    let friend = join(Options { identity: friend, ..beside(&node) }).await;
    find(&friend, node.peer_id()).await;
    find(&node, friend.peer_id()).await;
    let told = friend.call(&node.peer_id(), "ListPool", Bytes::new()).await.unwrap().result.unwrap();
    assert_eq!(told, format!("{} true true", friend.peer_id()));
    assert!(stranger.call(&node.peer_id(), "ListPool", Bytes::new()).await.is_err());
    assert!(stranger.peers().iter().all(|peer| peer.id != node.peer_id()), "{:?}", stranger.peers());
    assert_eq!(node.peers().len(), 1);
}
