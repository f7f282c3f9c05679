use super::*;
use prb_p2p::StartError;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

#[tokio::test(flavor = "multi_thread")]
async fn v2_f065_a_boot_node_is_dialled_with_its_id_and_without() {
    let boot = join(options()).await;
    let address = boot.listening().remove(0);
    let bare: Multiaddr = address.iter().take(2).collect();
    for address in [address, bare] {
        let node = join(Options { boot_nodes: vec![address], ..options() }).await;
        find(&node, boot.peer_id()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_node_that_is_no_tcp_address_is_refused() {
    for bad in ["/ip4/10.0.0.1/udp/1/quic-v1", "/dnsaddr/example.com", "/ip4/10.0.0.1"] {
        let options = Options { boot_nodes: vec![bad.parse().unwrap()], ..options() };
        let refused = Network::start(options, Arc::new(Tester)).await.err().unwrap();
        assert!(matches!(refused, StartError::BootNode(_)), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_node_that_is_up_later_is_found() {
    let identity = Identity::random();
    let (_reserved, address) = reserved();
    let node = join(Options { boot_nodes: vec![address.clone()], ..options() }).await;
    let refused = async { node.call(&identity.peer_id(), "Hello", Bytes::new()).await };
    assert!(refused.await.is_err());
    let boot = join(Options { identity, listen: vec![address], ..options() }).await;
    find(&node, boot.peer_id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_node_of_another_id_is_not_taken_for_the_one_named() {
    let boot = join(options()).await;
    let bare: Multiaddr = boot.listening()[0].iter().take(2).collect();
    let named = bare.clone().with_p2p(PeerId::random()).unwrap();
    let node = join(Options { boot_nodes: vec![named], ..options() }).await;
    // Whoever is named by its own id is found, so the other one was tried too by then.
    let witness = join(Options { boot_nodes: node.listening(), ..options() }).await;
    find(&node, witness.peer_id()).await;
    assert!(node.peers().iter().all(|peer| peer.id == witness.peer_id()), "{:?}", node.peers());
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_find_each_other_through_one_boot_node() {
    let boot = join(options()).await;
    let nodes = [join(beside(&boot)).await, join(beside(&boot)).await, join(beside(&boot)).await];
    for node in &nodes {
        for other in nodes.iter().filter(|other| other.peer_id() != node.peer_id()) {
            find(node, other.peer_id()).await;
        }
        find(&boot, node.peer_id()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_moves_or_restarts_is_followed() {
    let boot = join(options()).await;
    let identity = Identity::random();
    let first = join(Options { identity: identity.clone(), ..beside(&boot) }).await;
    let before = find(&boot, identity.peer_id()).await.address;
    first.stop().await;
    until(&boot, |peers| peers.len() == 1 && !peers[0].reachable).await;

    let moved = join(Options { identity: identity.clone(), ..beside(&boot) }).await;
    let after = find(&boot, identity.peer_id()).await.address;
    assert_ne!(before, after);
    assert_eq!(vec![after], moved.listening());
    let answer = boot.call(&identity.peer_id(), "GetBlobByKey", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(answer.result.unwrap(), "x");

    // At the same port, and nobody tells.
    let listen = vec![moved.listening()[0].iter().take(2).collect()];
    moved.stop().await;
    let me = Me { hostname: "renamed".into(), ..options().me };
    let _same = join(Options { identity, listen, me, ..options() }).await;
    until(&boot, |peers| peers[0].reachable && peers[0].hostname == "renamed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_node_that_restarts_with_another_id_is_found_again() {
    let (_reserved, address) = reserved();
    let first = join(Options { listen: vec![address.clone()], ..options() }).await;
    let node = join(Options { boot_nodes: vec![address.clone()], ..options() }).await;
    find(&node, first.peer_id()).await;
    first.stop().await;
    let second = join(Options { listen: vec![address], ..options() }).await;
    find(&node, second.peer_id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_gone_is_shown_so_and_dropped_in_the_end() {
    let boot = join(options()).await;
    let node = join(beside(&boot)).await;
    find(&boot, node.peer_id()).await;
    node.stop().await;
    until(&boot, |peers| peers.len() == 1 && !peers[0].reachable).await;
    until(&boot, |peers| peers.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f063_peers_of_other_bridges_are_listed_with_what_they_are() {
    let boot = join(options()).await;
    let me = Me {
        role: Role::LifecycleManager,
        hostname: "theirs\u{1b}[2J".into(),
        chain_identity: "0xff".into(),
        bridge_identity: "b".repeat(10_000),
    };
    let foreign = join(Options { me, ..beside(&boot) }).await;
    let found = find(&boot, foreign.peer_id()).await;
    assert_eq!((found.role, found.chain_identity.as_str()), (Role::LifecycleManager as i32, "0xff"));
    assert_eq!((found.hostname.as_str(), found.bridge_identity.len()), ("theirs[2J", 255));
}

#[tokio::test]
async fn a_boot_node_that_is_the_node_itself_is_dropped_without_a_warning() {
    let (log, _guard) = Log::begin();
    let (_reserved, address) = reserved();
    let identity = Identity::random();
    let named = address.clone().with_p2p(identity.peer_id()).unwrap();
    let boot_nodes = vec![address.clone(), named];
    let node = join(Options { identity, listen: vec![address], boot_nodes, ..options() }).await;
    log.until("this boot node is this node itself", 2).await;
    assert_well(&node).await;
    assert!(!log.text().contains("cannot be reached"), "{}", log.text());
}

/// A port where nobody listens yet. It is given to nobody who wants any port while the socket is there.
fn reserved() -> (Socket, Multiaddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap())
}
