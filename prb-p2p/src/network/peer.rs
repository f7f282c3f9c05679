//! A peer, as others are shown it.

use super::address;
use crate::message::SystemInfo;
use libp2p::{Multiaddr, PeerId};
use serde::{Serialize, Serializer};

/// A peer that answered `Hello`. What it says of itself is not proven, but for its id.
///
/// As JSON it is what PRB v2 shows: `{peerId, hostname, role, chainIdentity, bridgeIdentity, remoteAddr}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its id, proven by the connection.
    #[serde(rename = "peerId", serialize_with = "text")]
    pub id: PeerId,
    /// Name of its machine.
    pub hostname: String,
    /// Number of its [`Role`](crate::message::Role), as sent.
    pub role: i32,
    /// Hash of its parachain's first block, 0x and hex; `client` of one that has no chain.
    pub chain_identity: String,
    /// What its operator calls the bridge it belongs to.
    pub bridge_identity: String,
    /// Where it was reached last, with its id. Its host is a name only if it is one of
    /// [`Options::boot_nodes`](super::Options::boot_nodes).
    #[serde(rename = "remoteAddr", serialize_with = "text")]
    pub address: Multiaddr,
    /// Whether it answered when it was asked last.
    #[serde(skip)]
    pub reachable: bool,
}

impl Peer {
    /// The peer at `address`, by what it told; what else it says it is, if that is not its id.
    pub(super) fn told(id: PeerId, told: &SystemInfo, address: &Multiaddr) -> Result<Self, String> {
        if told.peer_id.as_deref().and_then(|text| text.parse().ok()) != Some(id) {
            return Err(clean(told.peer_id()));
        }
        Ok(Self {
            id,
            hostname: clean(told.hostname()),
            role: told.role.unwrap_or_default(),
            chain_identity: clean(told.chain_identity()),
            bridge_identity: clean(told.bridge_identity()),
            address: address::with_peer(address, id),
            reachable: true,
        })
    }
}

/// Without what could break a line or turn it around, and not longer than a name of a host.
pub(super) fn clean(text: &str) -> String {
    let is_odd = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(|letter| !is_odd(*letter)).take(LONGEST).collect()
}

fn text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// Of what a peer says of itself, letters.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str) -> SystemInfo {
        SystemInfo {
            hostname: Some("dp1\n\u{202e}x".into()),
            peer_id: Some(id.into()),
            ..SystemInfo::default()
        }
    }

    #[test]
    fn what_a_peer_says_of_itself_is_cleaned_and_cut() {
        let id = PeerId::random();
        let long = SystemInfo { bridge_identity: Some("ä".repeat(100_000)), ..said(&id.to_string()) };
        let peer = Peer::told(id, &long, &"/ip4/10.0.0.1/tcp/1".parse().unwrap()).unwrap();
        assert_eq!(peer.hostname, "dp1x");
        assert_eq!(peer.bridge_identity, "ä".repeat(LONGEST));
    }

    #[test]
    fn a_peer_that_says_it_is_another_is_no_peer() {
        let address = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let other = PeerId::random().to_string();
        assert_eq!(Peer::told(PeerId::random(), &said(&other), &address), Err(other));
        assert!(Peer::told(PeerId::random(), &SystemInfo::default(), &address).is_err());
    }

    #[test]
    fn json_is_that_of_v2() {
        let id: PeerId = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5".parse().unwrap();
        let peer = Peer::told(id, &said(&id.to_string()), &"/ip4/10.0.0.1/tcp/1".parse().unwrap()).unwrap();
        assert_eq!(
            serde_json::to_value(&peer).unwrap(),
            serde_json::json!({
                "peerId": id.to_string(), "hostname": "dp1x", "role": 0, "chainIdentity": "", "bridgeIdentity": "",
                "remoteAddr": format!("/ip4/10.0.0.1/tcp/1/p2p/{id}"),
            })
        );
    }
}
