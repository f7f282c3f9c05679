//! Which data providers are read from: those that are named, and those that peers turned out to be.

use super::address::Tcp;
use prb_p2p::{Multiaddr, PeerId};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Most providers that are found and read from.
pub(crate) const MOST: usize = 64;

/// How long a provider that does not answer is kept.
const KEPT: Duration = Duration::from_secs(120);

/// Who works together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// `0x` and the hash of parachain block 1 in hexadecimal digits.
    pub(crate) chain: String,
    /// The name of what belongs together, none where any will do.
    pub(crate) bridge: Option<String>,
    /// The name of this machine.
    pub(crate) hostname: String,
}

impl Ours {
    /// Whether data may be read from a peer that tells these of itself.
    pub(crate) fn includes(&self, chain: &str, bridge: &str) -> bool {
        self.chain == chain && self.bridge.as_ref().is_none_or(|ours| ours == bridge)
    }
}

/// A data provider among the peers, as it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where the peer was reached.
    pub(crate) address: Multiaddr,
    /// The name of its machine.
    pub(crate) hostname: String,
    /// The port on which it serves.
    pub(crate) port: u16,
    /// Whether it speaks TLS there.
    pub(crate) tls: bool,
    /// When it said so.
    pub(crate) at: Instant,
}

impl Found {
    /// Where it serves, none if it cannot be told.
    ///
    /// An address of this machine alone is taken only from a peer on it: what a tunnel ends at is elsewhere.
    fn url(&self, ours: &Ours) -> Option<String> {
        let place = Tcp::of(&self.address)?;
        if self.port == 0 || (place.is_loopback() && self.hostname != ours.hostname) {
            return None;
        }
        let scheme = if self.tls { "https" } else { "http" };
        Some(format!("{scheme}://{}", place.authority(self.port)))
    }
}

/// The providers among the peers.
pub(crate) type Providers = BTreeMap<PeerId, Found>;

/// Whom to read from: who is named first, each once.
pub(crate) fn providers_of(named: &[String], found: &Providers, ours: &Ours) -> Vec<String> {
    let mut urls = named.to_vec();
    for url in found.values().filter_map(|found| found.url(ours)).take(MOST) {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// Forgets who has not answered for long, unless nobody else would be left: whether an old address is of use is found by
/// asking it.
pub(crate) fn forget(found: &mut Providers, now: Instant) {
    let is_gone = |found: &Found| now.saturating_duration_since(found.at) > KEPT;
    if found.values().any(|found| !is_gone(found)) {
        found.retain(|_, found| !is_gone(found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(bridge: Option<&str>) -> Ours {
        Ours { chain: "0x01".to_owned(), bridge: bridge.map(str::to_owned), hostname: "here".to_owned() }
    }

    fn found(address: &str, hostname: &str, port: u16, tls: bool) -> Found {
        Found {
            address: address.parse().unwrap(),
            hostname: hostname.to_owned(),
            port,
            tls,
            at: Instant::now(),
        }
    }

    fn peers(all: impl IntoIterator<Item = Found>) -> Providers {
        all.into_iter().map(|found| (PeerId::random(), found)).collect()
    }

    #[test]
    fn v2_f016_a_provider_is_at_the_address_of_its_peer_and_the_port_that_it_tells() {
        let ours = ours(None);
        for (address, hostname, port, tls, url) in [
            ("/ip4/10.0.0.3/tcp/28888", "there", 8012, false, Some("http://10.0.0.3:8012")),
            ("/ip4/10.0.0.3/tcp/28888", "there", 8013, true, Some("https://10.0.0.3:8013")),
            ("/ip6/fd00::1/tcp/28888", "there", 8012, false, Some("http://[fd00::1]:8012")),
            ("/dns4/a.example/tcp/28888", "there", 8012, true, Some("https://a.example:8012")),
            ("/ip4/10.0.0.3/tcp/28888", "here", 8012, false, Some("http://10.0.0.3:8012")),
            // Whoever is reached through a tunnel is not at this machine's port.
            ("/ip4/127.0.0.1/tcp/28888", "there", 8012, false, None),
            ("/ip4/127.0.0.1/tcp/28888", "here", 8012, false, Some("http://127.0.0.1:8012")),
            ("/ip4/0.0.0.0/tcp/28888", "there", 8012, false, None),
            ("/ip4/10.0.0.3/tcp/28888", "there", 0, false, None),
            ("/ip4/10.0.0.3/udp/28888", "there", 8012, false, None),
        ] {
            let urls = providers_of(&[], &peers([found(address, hostname, port, tls)]), &ours);
            assert_eq!(urls, url.into_iter().collect::<Vec<_>>(), "{address}");
        }
    }

    #[test]
    fn who_is_named_comes_first_and_nobody_twice() {
        let named = ["http://b:1".to_owned(), "http://10.0.0.3:8012".to_owned()];
        let all = peers([
            found("/ip4/10.0.0.3/tcp/1", "c", 8012, false),
            found("/ip4/10.0.0.4/tcp/1", "d", 8012, false),
            // Started anew with another key at the same place.
            found("/ip4/10.0.0.4/tcp/2", "d", 8012, false),
        ]);
        let urls = providers_of(&named, &all, &ours(None));
        assert_eq!(urls, [&named[0], &named[1], "http://10.0.0.4:8012"]);
        assert_eq!(providers_of(&named, &Providers::new(), &ours(None)), named);
    }

    #[test]
    fn x18_no_crowd_of_peers_makes_more_providers_than_are_asked() {
        let crowd = (1..=200).map(|port| found("/ip4/10.0.0.3/tcp/1", "c", port, false));
        assert_eq!(providers_of(&[], &peers(crowd), &ours(None)).len(), MOST);
    }

    #[test]
    fn a_provider_that_moves_is_read_from_at_its_new_place_only() {
        let mut all = peers([found("/ip4/10.0.0.3/tcp/1", "c", 8012, false)]);
        for (address, port, url) in [
            ("/ip4/10.0.0.3/tcp/9", 8012, "http://10.0.0.3:8012"),
            ("/ip4/10.0.0.3/tcp/9", 8099, "http://10.0.0.3:8099"),
            ("/ip4/10.0.0.7/tcp/9", 8099, "http://10.0.0.7:8099"),
        ] {
            let known = all.values_mut().next().unwrap();
            (known.address, known.port) = (address.parse().unwrap(), port);
            assert_eq!(providers_of(&[], &all, &ours(None)), [url]);
        }
    }

    #[test]
    fn who_is_gone_is_forgotten_after_a_while_but_the_last_ones_stay() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut all = peers([
            found("/ip4/10.0.0.3/tcp/1", "c", 8012, false),
            found("/ip4/10.0.0.4/tcp/1", "d", 8012, false),
        ]);
        let (gone, there) = (*all.keys().next().unwrap(), *all.keys().last().unwrap());
        all.values_mut().for_each(|found| found.at = begun);
        all.get_mut(&there).unwrap().at = at(100);
        forget(&mut all, at(119));
        assert_eq!(all.len(), 2);
        forget(&mut all, at(121));
        assert!(!all.contains_key(&gone) && all.contains_key(&there));
        forget(&mut all, at(9999));
        assert_eq!(all.len(), 1, "somebody has to be asked");
    }

    #[test]
    fn v2_f131_only_peers_of_our_chain_and_bridge_are_read_from() {
        for (bridge, chain, name, expected) in [
            (Some("a"), "0x01", "a", true),
            (Some("a"), "0x01", "b", false),
            (Some("a"), "0x02", "a", false),
            (None, "0x01", "b", true),
            (None, "0x02", "b", false),
        ] {
            assert_eq!(ours(bridge).includes(chain, name), expected, "{bridge:?} {chain} {name}");
        }
    }
}
