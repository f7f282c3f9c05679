//! Finding data providers: peers that are one are asked again and again where they serve.

use super::found::{Found, MOST, Ours, Providers, forget};
use futures::future::join_all;
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
use tracing::{debug, info};

/// How often peers are asked: what changes of a provider is known so much later, at most.
const PERIOD: Duration = Duration::from_secs(3);

/// How long after a peer came or went it is looked again.
const SOON: Duration = Duration::from_millis(500);

/// Longest time for an answer of a few bytes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks for providers for ever, and tells `found` each time whom there are.
pub(crate) async fn follow(network: Network, ours: Ours, found: impl Fn(&Providers)) {
    let mut changes = network.changes();
    let (mut known, mut foreign) = (Providers::new(), BTreeSet::new());
    for round in 0.. {
        let (providers, others): (Vec<_>, Vec<_>) = network
            .peers()
            .into_iter()
            .filter(is_provider)
            .partition(|peer| ours.includes(&peer.chain_identity, &peer.bridge_identity));
        tell_foreign(&mut foreign, &others);
        known.retain(|id, _| !others.iter().any(|peer| peer.id == *id));
        let asked = turn(providers, |peer| known.contains_key(&peer.id), round);
        let asked = asked.into_iter().map(|peer| ask(&network, peer));
        for (id, said) in join_all(asked).await.into_iter().flatten() {
            if !known.contains_key(&id) {
                if known.len() >= MOST {
                    continue;
                }
                info!(peer = %id, address = %said.address, port = said.port, "a data provider is found");
            }
            known.insert(id, said);
        }
        forget(&mut known, Instant::now());
        found(&known);
        tokio::select! {
            () = sleep(PERIOD) => {}
            Ok(()) = changes.changed() => sleep(SOON).await,
        }
    }
}

/// Whom to ask in a round: those that are known, and of the others each in its turn, so that no crowd stands before them.
fn turn<T>(peers: Vec<T>, is_known: impl Fn(&T) -> bool, round: usize) -> Vec<T> {
    let (mut asked, mut others): (Vec<_>, Vec<_>) = peers.into_iter().partition(is_known);
    let places = MOST.saturating_sub(asked.len()).max(1);
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
                let found = Found {
                    address: peer.address,
                    hostname: peer.hostname,
                    port: port.unwrap_or_default(),
                    tls: info.blob_server_tls.unwrap_or_default(),
                    at: Instant::now(),
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
