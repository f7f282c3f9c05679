//! Addresses: what is dialled and what is not.

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// An address over TCP, and whose it is if that is said: `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`, with `/p2p/ID` behind it
/// or without.
///
/// [`Network::start`](super::Network::start) takes what [`is_dialable`](Self::is_dialable) as a boot node, and listens on
/// what has a [`socket`](Self::socket).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpAddress {
    host: String,
    ip: Option<IpAddr>,
    port: u16,
    peer: Option<PeerId>,
    bare: Multiaddr,
}

impl TcpAddress {
    /// Reads an address; `None` if it is another kind.
    pub fn of(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let (first, second) = (parts.next()?, parts.next()?);
        let Protocol::Tcp(port) = second else { return None };
        let peer = match (parts.next(), parts.next()) {
            (None, None) => None,
            (Some(Protocol::P2p(peer)), None) => Some(peer),
            _ => return None,
        };
        let (host, ip) = host(&first)?;
        let bare = Multiaddr::empty().with(first).with(second);
        Some(Self { host, ip, port, peer, bare })
    }

    /// Reads the text of an address.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(|address| Self::of(&address))
    }

    /// IP address or name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The IP address; none where the host is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The port, 0 for any.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whose it is, if that is said.
    pub fn peer(&self) -> Option<PeerId> {
        self.peer
    }

    /// Host and port as a multiaddr, without whose it is.
    pub fn bare(&self) -> &Multiaddr {
        &self.bare
    }

    /// All of it.
    pub fn multiaddr(&self) -> Multiaddr {
        match self.peer {
            Some(peer) => self.bare.clone().with(Protocol::P2p(peer)),
            None => self.bare.clone(),
        }
    }

    /// Whether somebody can be there: a name, or the IP address of one machine, and a port.
    pub fn is_dialable(&self) -> bool {
        let is_one = |ip: IpAddr| !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast(ip);
        self.port != 0 && self.ip.is_none_or(|ip| is_one(ip.to_canonical()))
    }

    /// Where to listen, on an IP address and at any port if it is 0; `None` for names and addresses of peers.
    pub fn socket(&self) -> Option<SocketAddr> {
        let ip = self.ip.filter(|_| self.peer.is_none())?;
        Some((ip, self.port).into())
    }

    /// Host and another port as sockets and URLs have them.
    pub fn authority(&self, port: u16) -> String {
        match self.ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            _ => format!("{}:{port}", self.host),
        }
    }

    /// Whether it is one that only this machine has, or that is none.
    pub fn is_loopback(&self) -> bool {
        match self.ip.map(|ip| ip.to_canonical()) {
            Some(ip) => ip.is_loopback() || ip.is_unspecified(),
            None => {
                let name = self.host.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.multiaddr(), formatter)
    }
}

/// A host as text, and its IP address if it is one. A name that is an IP address is none.
fn host(part: &Protocol<'_>) -> Option<(String, Option<IpAddr>)> {
    match part {
        Protocol::Ip4(ip) => Some((ip.to_string(), Some((*ip).into()))),
        Protocol::Ip6(ip) => Some((ip.to_string(), Some((*ip).into()))),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
            let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.parse::<IpAddr>().is_err();
            is_name.then(|| (name.to_string(), None))
        }
        _ => None,
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// A host and a TCP port that can be dialled, and the peer that is there if the address says so.
pub(super) fn parse(address: &Multiaddr) -> Option<(Multiaddr, Option<PeerId>)> {
    let address = TcpAddress::of(address).filter(TcpAddress::is_dialable)?;
    Some((address.bare, address.peer))
}

/// What to listen on: an IP address and a TCP port, 0 for any.
pub(super) fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    TcpAddress::of(address)?.socket()
}

/// Host and port of what this peer is at; `None` if it is no such address, or of another peer.
pub(super) fn of(address: &Multiaddr, peer: &PeerId) -> Option<Multiaddr> {
    let (bare, named) = parse(address)?;
    named.is_none_or(|named| named == *peer).then_some(bare)
}

/// The same of an address that others told: an IP address, no name.
pub(super) fn numbered(address: &Multiaddr, peer: &PeerId) -> Option<Multiaddr> {
    TcpAddress::of(address)?.ip().and_then(|_| of(address, peer))
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
    let told: Vec<Multiaddr> = told.filter_map(|address| numbered(address, peer)).collect();
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
    fn hosts_ports_and_ids_are_told_apart() {
        for (text, authority, is_loopback, listens) in [
            ("/ip4/10.0.0.3/tcp/1", "10.0.0.3:9", false, Some("10.0.0.3:1")),
            ("/ip4/127.0.0.9/tcp/1", "127.0.0.9:9", true, Some("127.0.0.9:1")),
            ("/ip4/0.0.0.0/tcp/1", "0.0.0.0:9", true, Some("0.0.0.0:1")),
            ("/ip6/fd00::1/tcp/1", "[fd00::1]:9", false, Some("[fd00::1]:1")),
            ("/ip6/::ffff:127.0.0.1/tcp/1", "[::ffff:127.0.0.1]:9", true, Some("[::ffff:127.0.0.1]:1")),
            ("/dns4/a.example/tcp/1", "a.example:9", false, None),
            ("/dns/LocalHost./tcp/1", "LocalHost.:9", true, None),
        ] {
            let bare = TcpAddress::parse(text).unwrap();
            assert_eq!((bare.authority(9).as_str(), bare.is_loopback()), (authority, is_loopback), "{text}");
            assert_eq!(bare.socket().map(|socket| socket.to_string()).as_deref(), listens);
            assert_eq!((bare.port(), bare.peer(), bare.to_string().as_str()), (1, None, text));
            let whole = format!("{text}/p2p/{SOMEBODY}");
            let named = TcpAddress::parse(&whole).unwrap();
            assert_eq!((named.peer(), named.socket()), (SOMEBODY.parse().ok(), None));
            assert_eq!((named.to_string(), named.bare().to_string().as_str()), (whole, text));
        }
        for text in ["", "10.0.0.3:1", "/tcp/1", "/ip4/10.0.0.3", "/dns4/10.0.0.1/tcp/1", "/dns//tcp/1"] {
            assert_eq!(TcpAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_stranger_says_of_loopback_is_not_believed() {
        let peer = SOMEBODY.parse().unwrap();
        let told = ["/ip4/127.0.0.1/tcp/7", "/dns4/localhost/tcp/8", "/ip4/10.1.1.1/tcp/7"];
        let told: [Multiaddr; 3] = told.map(|text| text.parse().unwrap());
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
