//! Addresses: what is dialled and what is not.

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::net::{IpAddr, SocketAddr};

/// A host and a TCP port, and the peer that is there if the address says so; `None` if it is no such address.
pub(super) fn parse(address: &Multiaddr) -> Option<(Multiaddr, Option<PeerId>)> {
    let mut parts = address.iter();
    let host = parts.next()?;
    let port = parts.next()?;
    let peer = match (parts.next(), parts.next()) {
        (None, None) => None,
        (Some(Protocol::P2p(peer)), None) => Some(peer),
        _ => return None,
    };
    let is_host = match &host {
        Protocol::Ip4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        Protocol::Ip6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
            !name.is_empty() && name.len() <= LONGEST_NAME
        }
        _ => false,
    };
    match port {
        Protocol::Tcp(port) if is_host && port != 0 => {
            Some((Multiaddr::empty().with(host).with(Protocol::Tcp(port)), peer))
        }
        _ => None,
    }
}

/// What to listen on: an IP address and a TCP port, 0 for any.
pub(super) fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (Some(Protocol::Tcp(port)), None) => Some((ip, port).into()),
        _ => None,
    }
}

/// Host and port of what this peer is at; `None` if it is no such address, or of another peer.
pub(super) fn of(address: &Multiaddr, peer: &PeerId) -> Option<Multiaddr> {
    let (bare, named) = parse(address)?;
    named.is_none_or(|named| named == *peer).then_some(bare)
}

/// With the peer at its end.
pub(super) fn with_peer(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    let bare = parse(address).map_or_else(|| address.clone(), |(bare, _)| bare);
    bare.clone().with_p2p(peer).unwrap_or(bare)
}

/// Whether it is of this machine only.
pub(super) fn is_local(address: &Multiaddr) -> bool {
    ip(address).is_some_and(|ip| ip.is_loopback())
}

/// Where a peer that called from `observed` and listens on `told` may be found. Its word about loopback is taken only
/// from this machine; the address it called from, with a port it listens on, is worth a try behind address translation.
pub(super) fn candidates(observed: &Multiaddr, told: &[Multiaddr], peer: &PeerId) -> Vec<Multiaddr> {
    let here = is_local(observed);
    let mut found: Vec<Multiaddr> = Vec::new();
    let told = told.iter().take(MOST_TOLD);
    let told: Vec<Multiaddr> = told.filter_map(|address| of(address, peer)).collect();
    let seen = ip(observed).map(|ip| Multiaddr::from(ip.to_canonical()));
    let ports = told.iter().filter_map(|address| address.iter().nth(1));
    let behind = ports.filter_map(|port| Some(seen.clone()?.with(port)));
    for address in told.iter().filter(|address| here || !is_local(address)).cloned().chain(behind) {
        if !found.contains(&address) && found.len() < MOST {
            found.push(address);
        }
    }
    found
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

/// Addresses of one peer that are remembered.
pub(super) const MOST: usize = 8;

/// Addresses of one peer that are looked at.
const MOST_TOLD: usize = 64;

/// Of names in DNS, bytes.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

    fn parsed(text: &str) -> Option<String> {
        parse(&text.parse().unwrap()).map(|(bare, _)| bare.to_string())
    }

    #[test]
    fn only_a_host_with_a_tcp_port_is_dialled() {
        for good in ["/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/65535", "/dns4/provider.example/tcp/28888"] {
            assert_eq!(parsed(good).as_deref(), Some(good));
            assert_eq!(parsed(&format!("{good}/p2p/{SOMEBODY}")).as_deref(), Some(good));
            assert_eq!(parsed(&format!("{good}/ws")), None);
        }
        for bad in [
            "/ip4/10.0.0.1",
            "/ip4/10.0.0.1/udp/1/quic-v1",
            "/ip4/10.0.0.1/tcp/0",
            "/ip4/0.0.0.0/tcp/1",
            "/ip6/::/tcp/1",
            "/ip4/224.0.0.1/tcp/1",
            "/memory/1",
            "/dnsaddr/bootstrap.example",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_stranger_says_of_loopback_is_not_believed() {
        let peer = SOMEBODY.parse().unwrap();
        let told = ["/ip4/127.0.0.1/tcp/7".parse().unwrap(), "/ip4/10.1.1.1/tcp/7".parse().unwrap()];
        let from = |observed: &str| -> Vec<String> {
            let found = candidates(&observed.parse().unwrap(), &told, &peer);
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(from("/ip4/9.9.9.9/tcp/5"), ["/ip4/10.1.1.1/tcp/7", "/ip4/9.9.9.9/tcp/7"]);
        assert_eq!(from("/ip4/127.0.0.1/tcp/5"), ["/ip4/127.0.0.1/tcp/7", "/ip4/10.1.1.1/tcp/7"]);
    }

    #[test]
    fn an_address_of_another_peer_is_not_this_ones() {
        let address: Multiaddr = format!("/ip4/10.0.0.1/tcp/1/p2p/{SOMEBODY}").parse().unwrap();
        assert!(of(&address, &SOMEBODY.parse().unwrap()).is_some());
        assert!(of(&address, &PeerId::random()).is_none());
    }
}
