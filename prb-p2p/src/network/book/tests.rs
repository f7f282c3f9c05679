use super::*;
use crate::message::SystemInfo;

const HERE: &str = "/ip4/10.0.0.1/tcp/1";
const THERE: &str = "/ip4/10.0.0.2/tcp/2";

#[test]
fn a_peer_that_was_heard_of_is_asked_at_once_and_then_now_and_then() {
    let (mut book, now) = book(9);
    let peer = PeerId::random();
    assert!(book.heard(now, peer, &[at(HERE)]));
    assert_eq!(book.due(now, 9), [peer]);
    assert_eq!(book.due(now, 9), [], "it is asked once at a time");
    assert_eq!(book.answered(now, told(peer, HERE)), News::Found);
    assert_eq!(book.due(now + secs(29), 9), []);
    assert_eq!(book.due(now + secs(30), 9), [peer]);
    assert_eq!(book.answered(now + secs(30), told(peer, HERE)), News::Same);
    assert_eq!(book.peers(), [told(peer, HERE)]);
}

#[test]
fn a_peer_that_moved_is_asked_at_once() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    book.heard(now + secs(5), peer, &[at(HERE)]);
    assert_eq!(book.due(now + secs(5), 9), [], "that was known");
    book.heard(now + secs(5), peer, &[at(THERE)]);
    assert_eq!(book.due(now + secs(5), 9), [peer]);
    assert_eq!(book.answered(now + secs(5), told(peer, THERE)), News::Changed);
    assert_eq!(book.addresses(&peer), Some((Some(at(THERE)), vec![at(HERE)])));
}

#[test]
fn a_peer_that_is_gone_is_lost_once_asked_ever_more_rarely_and_forgotten() {
    let (mut book, start) = book(9);
    let peer = found(&mut book, start);
    let mut now = start;
    assert!(book.failed(now, &peer));
    assert!(!book.peers()[0].reachable);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let before = now;
        while book.due(now, 9).is_empty() {
            now += secs(1);
        }
        pauses.push((now - before).as_secs());
        assert!(!book.failed(now, &peer), "it is lost once");
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(book.forget(start + secs(599)), (vec![], false));
    assert_eq!(book.forget(start + secs(600)), (vec![peer], true));
    assert_eq!(book.peers(), []);
}

#[test]
fn a_peer_that_comes_back_is_back() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    book.failed(now, &peer);
    assert_eq!(book.answered(now + secs(9), told(peer, HERE)), News::Back);
    assert_eq!(book.forget(now + secs(700)), (vec![], false));
}

#[test]
fn who_is_told_of_again_and_again_is_not_dialled_more_often() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    for _ in 0..5 {
        book.failed(now, &peer);
    }
    for port in 10..90 {
        book.heard(now, peer, &[at(&format!("/ip4/10.0.0.1/tcp/{port}"))]);
    }
    assert_eq!(book.due(now, 9), []);
    assert_eq!(book.due(now + secs(1), 9), [peer], "but it may be where they say");
    let (good, others) = book.addresses(&peer).unwrap();
    assert_eq!((good, others.len()), (Some(at(HERE)), address::MOST));
}

#[test]
fn a_liar_is_told_once_and_not_listed() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    assert!(book.lied(now, &peer));
    assert_eq!(book.peers(), []);
    book.heard(now, peer, &[at(THERE)]);
    book.linked(now, peer, &at(THERE));
    assert_eq!(book.due(now + secs(599), 9), [], "its word is asked for again much later");
    assert_eq!(book.due(now + secs(600), 9), [peer]);
    assert!(!book.lied(now + secs(600), &peer));
    assert_eq!(book.forget(now + secs(1799)), (vec![], false));
    assert_eq!(book.forget(now + secs(1800)), (vec![peer], false));
}

#[test]
fn x18_a_flood_of_peers_leaves_those_that_answered() {
    let (mut book, now) = book(4);
    let good = found(&mut book, now);
    for _ in 0..1000 {
        let peer = PeerId::random();
        assert!(book.heard(now, peer, &[at(THERE)]));
        assert!(book.entries.len() <= 4);
    }
    assert_eq!(book.peers(), [told(good, HERE)]);
    for _ in 0..3 {
        book.due(now, 1)
            .iter()
            .for_each(|peer| assert_eq!(book.answered(now, told(*peer, THERE)), News::Found));
    }
    assert!(!book.heard(now, PeerId::random(), &[at(THERE)]), "all others answered");
}

#[test]
fn x18_peers_that_never_answer_keep_no_other_from_being_asked() {
    let (mut book, mut now) = book(1024);
    let mut ids: Vec<PeerId> = (0..201).map(|_| PeerId::random()).collect();
    ids.sort_unstable();
    let high = ids.pop().unwrap();
    for peer in &ids {
        book.heard(now, *peer, &[at(THERE)]);
    }
    book.heard(now, high, &[at(HERE)]);
    let mut rounds = 1;
    loop {
        let round = book.due(now, 32);
        if round.contains(&high) {
            break;
        }
        now += secs(20);
        round.iter().for_each(|peer| assert!(!book.failed(now, peer)));
        rounds += 1;
    }
    // 24 seats of 32: each is asked once before any is asked twice.
    assert_eq!(rounds, 201_usize.div_ceil(24));
}

#[test]
fn x18_seats_are_kept_for_peers_that_answer_and_for_those_that_did_not_yet() {
    let (mut book, now) = book(1024);
    let good = found(&mut book, now);
    let boot = PeerId::random();
    for _ in 0..100 {
        book.heard(now, PeerId::random(), &[at(THERE)]);
    }
    assert_eq!(book.due(now, 16).len(), 12);
    assert_eq!(book.due(now, 16), [], "four seats are not for them");
    book.linked(now, boot, &at("/dns4/boot.example/tcp/1"));
    book.boots(&boot);
    let mut known = book.due(now + secs(30), 16);
    known.sort_unstable();
    let mut expected = [good, boot];
    expected.sort_unstable();
    assert_eq!(known, expected);
}

#[test]
fn x18_a_name_that_others_tell_is_not_believed() {
    let (mut book, now) = book(9);
    let peer = PeerId::random();
    assert!(book.heard(now, peer, &[at("/dns4/evil.example/tcp/1"), at("/dns/localhost/tcp/1")]));
    assert!(book.entries.is_empty());
    book.heard(now, peer, &[at("/dns4/evil.example/tcp/1"), at(HERE)]);
    assert_eq!(book.addresses(&peer), Some((None, vec![at(HERE)])));
}

#[test]
fn an_address_where_another_is_is_forgotten() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    book.wrong(&peer, &at(HERE));
    assert_eq!(book.addresses(&peer), Some((None, vec![])));
}

#[test]
fn a_lost_connection_is_a_reason_to_ask() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    book.unlinked(now, &peer);
    assert_eq!(book.due(now + secs(1), 9), [peer]);
}

#[test]
fn only_peers_of_the_dht_that_answer_are_routed_to() {
    let (mut book, now) = book(9);
    let peer = found(&mut book, now);
    assert_eq!(book.route(&peer), None);
    book.routes(&peer);
    assert_eq!(book.route(&peer), Some(&at(HERE)));
    book.failed(now, &peer);
    assert_eq!(book.route(&peer), None);
}

#[test]
fn a_node_is_no_peer_of_its_own() {
    let (mut book, now) = book(9);
    let own = book.own;
    book.heard(now, own, &[at(HERE)]);
    assert!(book.entries.is_empty());
}

fn book(room: usize) -> (Book, Instant) {
    let limits = Limits { peers: room, ..Limits::default() };
    (Book::new(PeerId::random(), Pace::of(&limits)), Instant::now())
}

fn found(book: &mut Book, now: Instant) -> PeerId {
    let peer = PeerId::random();
    book.heard(now, peer, &[at(HERE)]);
    assert_eq!(book.due(now, 1), [peer]);
    book.answered(now, told(peer, HERE));
    peer
}

fn told(peer: PeerId, address: &str) -> Peer {
    let told = SystemInfo { peer_id: Some(peer.to_string()), ..SystemInfo::default() };
    Peer::told(peer, &told, &at(address)).unwrap()
}

fn at(address: &str) -> Multiaddr {
    address.parse().unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
