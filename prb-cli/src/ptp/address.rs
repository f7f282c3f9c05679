//! Multiaddrs as far as this network has them: a host, a TCP port, and perhaps whose it is.

use prb_p2p::Multiaddr;
use std::net::IpAddr;

/// An address over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    /// IP address or name.
    pub(crate) host: String,
    /// The address, none where it is a name.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: u16,
    /// Whose it is, if that is said.
    pub(crate) peer: Option<String>,
    /// All of it.
    pub(crate) whole: Multiaddr,
}

impl Tcp {
    /// `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT` with or without `/p2p/ID`, and nothing else.
    pub(crate) fn of(address: &Multiaddr) -> Option<Self> {
        let text = address.to_string();
        let parts: Vec<&str> = text.split('/').skip(1).collect();
        let (kind, host, port, rest) = match parts.as_slice() {
            [kind, host, "tcp", port, rest @ ..] => (*kind, *host, *port, rest),
            _ => return None,
        };
        let ip: Option<IpAddr> = host.parse().ok();
        match (kind, ip) {
            ("ip4", Some(IpAddr::V4(_))) | ("ip6", Some(IpAddr::V6(_))) | ("dns" | "dns4" | "dns6", None) => {
            }
            _ => return None,
        }
        let peer = match rest {
            [] => None,
            ["p2p", peer] => Some((*peer).to_owned()),
            _ => return None,
        };
        Some(Self { host: host.to_owned(), ip, port: port.parse().ok()?, peer, whole: address.clone() })
    }

    /// The same of a text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(|address| Self::of(&address))
    }

    /// Host and port as sockets and URLs have them.
    pub(crate) fn authority(&self, port: u16) -> String {
        match self.ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            _ => format!("{}:{port}", self.host),
        }
    }

    /// Whether it is one that only this machine has, or that is none.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.ip {
            Some(ip) => ip.to_canonical().is_loopback() || ip.to_canonical().is_unspecified(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_ids_are_told_apart_and_what_is_no_tcp_is_none() {
        let id = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        for (text, authority, is_loopback) in [
            ("/ip4/10.0.0.3/tcp/1", "10.0.0.3:9", false),
            ("/ip4/127.0.0.9/tcp/1", "127.0.0.9:9", true),
            ("/ip4/0.0.0.0/tcp/1", "0.0.0.0:9", true),
            ("/ip6/fd00::1/tcp/1", "[fd00::1]:9", false),
            ("/ip6/::1/tcp/1", "[::1]:9", true),
            ("/ip6/::ffff:127.0.0.1/tcp/1", "[::ffff:127.0.0.1]:9", true),
            ("/dns4/a.example/tcp/1", "a.example:9", false),
            ("/dns/localhost/tcp/1", "localhost:9", true),
        ] {
            for (peer, whole) in [(None, text.to_owned()), (Some(id), format!("{text}/p2p/{id}"))] {
                let tcp = Tcp::parse(&whole).unwrap();
                assert_eq!((tcp.port, tcp.peer.as_deref(), tcp.whole.to_string()), (1, peer, whole));
                assert_eq!(
                    (tcp.authority(9), tcp.is_loopback()),
                    (authority.to_owned(), is_loopback),
                    "{text}"
                );
            }
        }
        for text in
            ["", "10.0.0.3:1", "/ip4/10.0.0.3", "/ip4/10.0.0.3/udp/1", "/ip4/10.0.0.3/tcp/1/ws", "/tcp/1"]
        {
            assert_eq!(Tcp::parse(text), None, "{text}");
        }
    }
}
