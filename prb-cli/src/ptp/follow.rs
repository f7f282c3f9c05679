//! Finding data providers: peers that are one are asked again and again where they serve.

use super::{
    found::{Found, MOST, Ours, Providers, admit, forget},
    trust::Trust,
};
use futures::{StreamExt as _, stream};
use prb_p2p::{
    Network, Peer, PeerId,
    message::{ProviderInfo, Role},
    method::Method,
};
use prost::Message;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

/// How often peers are asked: what changes of a provider is known so much later, at most.
const PERIOD: Duration = Duration::from_secs(3);

/// How long after a peer came or went it is looked again.
const SOON: Duration = Duration::from_millis(500);

/// Longest time for an answer of a few bytes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Peers that are asked at once.
const AT_ONCE: usize = 16;

/// Peers that are asked in a round though as many are known as may be: one of them may take another's place.
const MORE: usize = 8;

/// Strangers that are told. Whoever likes makes more of them.
const TOLD: usize = 16;

/// Looks for providers for ever, and tells `found` each time whom there are; that says which addresses are of no use.
pub(crate) async fn follow(network: Network, ours: Ours, found: impl Fn(&Providers) -> BTreeSet<String>) {
    let mut changes = network.changes();
    let (mut known, mut useless) = (Providers::new(), BTreeSet::new());
    let (mut foreign, mut strangers) = (BTreeSet::new(), BTreeSet::new());
    for round in 0.. {
        let (providers, others): (Vec<_>, Vec<_>) = network
            .peers()
            .into_iter()
            .filter(is_provider)
            .partition(|peer| ours.includes(&peer.chain_identity, &peer.bridge_identity));
        tell_foreign(&mut foreign, &others);
        known.retain(|id, _| !others.iter().any(|peer| peer.id == *id));
        let (providers, untrusted): (Vec<_>, Vec<_>) =
            providers.into_iter().partition(|peer| ours.trusted.trust(&peer.id) != Trust::Stranger);
        tell_strangers(&mut strangers, &untrusted);
        let is_first = |peer: &Peer| known.contains_key(&peer.id) || ours.trusted.is_listed(&peer.id);
        let asked: Vec<_> =
            turn(providers, is_first, round).into_iter().map(|peer| ask(&network, peer)).collect();
        let said: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        for (id, said) in said.into_iter().flatten() {
            let (address, port) = (said.address.clone(), said.port);
            if admit(&mut known, id, said, &ours, &useless) {
                info!(peer = %id, %address, port, "a data provider is found");
            }
        }
        forget(&mut known, Instant::now());
        useless = found(&known);
        tokio::select! {
            () = sleep(PERIOD) => {}
            Ok(()) = changes.changed() => sleep(SOON).await,
        }
    }
}

/// Whom to ask in a round: those that are known or listed, and of the others each in its turn, so that no crowd stands before
/// them.
fn turn<T>(peers: Vec<T>, is_first: impl Fn(&T) -> bool, round: usize) -> Vec<T> {
    let (mut asked, mut others): (Vec<_>, Vec<_>) = peers.into_iter().partition(is_first);
    let places = MOST.saturating_sub(asked.len()).max(MORE);
    let first = round.wrapping_mul(places) % others.len().max(1);
    others.rotate_left(first);
    asked.extend(others.into_iter().take(places));
    asked
}

fn is_provider(peer: &Peer) -> bool {
    peer.role == Role::DataProvider as i32
}

/// Where a peer serves, none if it does not say.
async fn ask(network: &Network, peer: Peer) -> Option<(PeerId, Found)> {
    let method = Method::GetDataProviderInfo.name();
    let answer = timeout(PATIENCE, network.call(&peer.id, method, prost::bytes::Bytes::new())).await;
    let cause = match answer {
        Ok(Ok(answer)) => match answer.result.map(ProviderInfo::decode) {
            Ok(Ok(info)) => {
                let port = info.blob_server_port.and_then(|port| u16::try_from(port).ok());
                let now = Instant::now();
                let found = Found {
                    address: peer.address,
                    hostname: peer.hostname,
                    port: port.unwrap_or_default(),
                    tls: info.blob_server_tls.unwrap_or_default(),
                    at: now,
                    since: now,
                };
                return Some((peer.id, found));
            }
            Ok(Err(cause)) => cause.to_string(),
            Err(error) => error.to_string(),
        },
        Ok(Err(cause)) => cause.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    debug!(peer = %peer.id, cause, "a data provider does not say where it serves");
    None
}

/// Says once of each provider that it is not one of ours.
fn tell_foreign(told: &mut BTreeSet<PeerId>, others: &[Peer]) {
    told.retain(|id| others.iter().any(|peer| peer.id == *id));
    for peer in others {
        if told.insert(peer.id) {
            debug!(
                peer = %peer.id,
                chain_identity = peer.chain_identity,
                bridge_identity = peer.bridge_identity,
                "a data provider is not read from: it is of another chain, or of another p2p.bridge_identity"
            );
        }
    }
}

/// Says once of each provider that anybody could be it, as long as these are few.
fn tell_strangers(told: &mut BTreeSet<PeerId>, strangers: &[Peer]) {
    for peer in strangers {
        if told.len() < TOLD && told.insert(peer.id) {
            warn!(
                peer = %peer.id,
                address = %peer.address,
                hostname = peer.hostname,
                "a data provider is found and not read from: anybody could be it. If it is yours, add its id to p2p.members, \
                 or let all of yours have one p2p.pre_shared_key_file"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x18_a_crowd_of_peers_keeps_nobody_from_being_asked() {
        let crowd: Vec<u32> = (0..1000).collect();
        let mut asked = BTreeSet::new();
        for round in 0..20 {
            let turn = turn(crowd.clone(), |peer| *peer == 999, round);
            assert!(turn.len() <= MOST && turn.contains(&999), "who is known is asked each time");
            asked.extend(turn);
        }
        assert_eq!(asked.len(), crowd.len(), "everybody has a turn");
        assert_eq!(turn(vec![1, 2, 3], |_| false, 7).len(), 3);
        assert!(turn(Vec::<u32>::new(), |_| false, 7).is_empty());
    }
}
