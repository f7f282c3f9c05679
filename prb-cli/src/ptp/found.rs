//! Which data providers are read from: those that are named, and those that peers turned out to be.

use super::trust::{Trust, Trusted};
use crate::deployment::ReadFrom;
use prb_p2p::{Multiaddr, PeerId, TcpAddress};
use std::{
    collections::{BTreeMap, BTreeSet},
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
    /// Who may be read from.
    pub(crate) trusted: Trusted,
    /// Names of hosts that the operator gave. What strangers call a host is not looked up.
    pub(crate) hosts: BTreeSet<String>,
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
    /// When it was found.
    pub(crate) since: Instant,
}

impl Found {
    /// Where it serves, none if it cannot be told.
    ///
    /// An address of this machine alone is taken only from a peer on it: what a tunnel ends at is elsewhere.
    fn url(&self, ours: &Ours) -> Option<String> {
        let place = TcpAddress::of(&self.address)?;
        let is_known = place.ip().is_some() || ours.hosts.contains(place.host());
        if self.port == 0 || !is_known || (place.is_loopback() && self.hostname != ours.hostname) {
            return None;
        }
        let scheme = if self.tls { "https" } else { "http" };
        Some(format!("{scheme}://{}", place.authority(self.port)))
    }
}

/// The providers among the peers.
pub(crate) type Providers = BTreeMap<PeerId, Found>;

/// Whom to read from, each once: who is named first, then who is of this cluster, then who else may be.
pub(crate) fn providers_of(named: &[String], found: &Providers, ours: &Ours) -> Vec<ReadFrom> {
    let mut all: Vec<_> = named.iter().map(|url| ReadFrom::named(url)).collect();
    let most = all.len() + MOST;
    for trust in [Trust::Own, Trust::Read] {
        let trusted = found.iter().filter(|(id, _)| ours.trusted.trust(id) == trust);
        for url in trusted.filter_map(|(_, found)| found.url(ours)) {
            let is_there = all.iter().any(|known| known.url.trim_end_matches('/') == url);
            if !is_there && all.len() < most {
                all.push(ReadFrom { url, shows_token: trust == Trust::Own });
            }
        }
    }
    all
}

/// Takes in what a provider said; true if it is one that was not known. It must be of use: where there are [`MOST`], it comes
/// in the place of one of which `useless` addresses say that it is not, or of a stranger if it is of this cluster.
pub(crate) fn admit(
    found: &mut Providers,
    id: PeerId,
    said: Found,
    ours: &Ours,
    useless: &BTreeSet<String>,
) -> bool {
    if said.url(ours).is_none() {
        found.remove(&id);
        return false;
    }
    if let Some(known) = found.get_mut(&id) {
        *known = Found { since: known.since, ..said };
        return false;
    }
    if found.len() >= MOST {
        let Some(leaving) = leaving(found, &id, ours, useless) else { return false };
        found.remove(&leaving);
    }
    found.insert(id, said);
    true
}

/// Who makes room for another one: of those that may, who had the longest time to be of use.
fn leaving(found: &Providers, other: &PeerId, ours: &Ours, useless: &BTreeSet<String>) -> Option<PeerId> {
    let other = ours.trusted.trust(other);
    let rank = |(id, found): (&PeerId, &Found)| {
        let trust = ours.trusted.trust(id);
        let is_useless = found.url(ours).is_none_or(|url| useless.contains(&url));
        let may = trust < other || (is_useless && trust == other);
        may.then_some((trust, !is_useless, found.since, *id))
    };
    found.iter().filter_map(rank).min().map(|(.., id)| id)
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
    use crate::config::P2p;

    fn ours(bridge: Option<&str>) -> Ours {
        Ours {
            chain: "0x01".to_owned(),
            bridge: bridge.map(str::to_owned),
            hostname: "here".to_owned(),
            trusted: Trusted::of(&P2p { trust_found: true, ..P2p::default() }).unwrap(),
            hosts: ["a.example".to_owned(), "localhost".to_owned()].into(),
        }
    }

    /// The same, where these are of the cluster.
    fn with_members(members: &[PeerId], trust_found: bool) -> Ours {
        let members = members.iter().map(ToString::to_string).collect();
        let p2p = P2p { members, trust_found, ..P2p::default() };
        Ours { trusted: Trusted::of(&p2p).unwrap(), ..ours(None) }
    }

    fn urls_of(named: &[String], found: &Providers, ours: &Ours) -> Vec<String> {
        providers_of(named, found, ours).into_iter().map(|from| from.url).collect()
    }

    fn found(address: &str, hostname: &str, port: u16, tls: bool) -> Found {
        Found {
            address: address.parse().unwrap(),
            hostname: hostname.to_owned(),
            port,
            tls,
            at: Instant::now(),
            since: Instant::now(),
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
            // A name that the operator gave, and one that a stranger did.
            ("/dns4/a.example/tcp/28888", "there", 8012, true, Some("https://a.example:8012")),
            ("/dns4/b.example/tcp/28888", "there", 8012, true, None),
            ("/dns4/localhost/tcp/28888", "there", 8012, true, None),
            ("/ip4/10.0.0.3/tcp/28888", "here", 8012, false, Some("http://10.0.0.3:8012")),
            // Whoever is reached through a tunnel is not at this machine's port.
            ("/ip4/127.0.0.1/tcp/28888", "there", 8012, false, None),
            ("/ip4/127.0.0.1/tcp/28888", "here", 8012, false, Some("http://127.0.0.1:8012")),
            ("/ip4/0.0.0.0/tcp/28888", "there", 8012, false, None),
            ("/ip4/10.0.0.3/tcp/28888", "there", 0, false, None),
            ("/ip4/10.0.0.3/udp/28888", "there", 8012, false, None),
        ] {
            let urls = urls_of(&[], &peers([found(address, hostname, port, tls)]), &ours);
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
        let urls = urls_of(&named, &all, &ours(None));
        assert_eq!(urls, [&named[0], &named[1], "http://10.0.0.4:8012"]);
        assert_eq!(urls_of(&named, &Providers::new(), &ours(None)), named);
    }

    #[test]
    fn x18_the_token_is_for_who_is_named_or_of_the_cluster_and_strangers_are_not_read_from() {
        let named = ["http://10.0.0.1:8012/".to_owned()];
        let (member, stranger, same) = (PeerId::random(), PeerId::random(), PeerId::random());
        let all = Providers::from([
            (member, found("/ip4/10.0.0.2/tcp/1", "b", 8012, false)),
            (stranger, found("/ip4/10.0.0.3/tcp/1", "c", 8012, false)),
            (same, found("/ip4/10.0.0.1/tcp/1", "a", 8012, false)),
        ]);
        let read = |trust_found| {
            let read = providers_of(&named, &all, &with_members(&[member], trust_found));
            read.into_iter().map(|from| (from.url, from.shows_token)).collect::<Vec<_>>()
        };
        let mut expected = vec![(named[0].clone(), true), ("http://10.0.0.2:8012".to_owned(), true)];
        assert_eq!(read(false), expected);
        expected.push(("http://10.0.0.3:8012".to_owned(), false));
        assert_eq!(read(true), expected);
    }

    #[test]
    fn x18_a_crowd_that_is_of_no_use_locks_nobody_out() {
        let member = PeerId::random();
        let ours = with_members(&[member], true);
        let none = BTreeSet::new();
        let mut all = Providers::new();
        let place = |last: usize| found(&format!("/ip4/10.0.0.{last}/tcp/1"), "c", 8012, false);
        for _ in 0..200 {
            // No port, or a name that nobody here gave.
            for empty in [found("/ip4/10.0.0.3/tcp/1", "c", 0, false), found("/dns4/b/tcp/1", "c", 1, false)]
            {
                assert!(!admit(&mut all, PeerId::random(), empty, &ours, &none));
            }
        }
        assert!(all.is_empty());
        let crowd: Vec<PeerId> = (0..MOST).map(|_| PeerId::random()).collect();
        for (last, id) in crowd.iter().enumerate() {
            assert!(admit(&mut all, *id, place(last), &ours, &none));
        }
        let late = PeerId::random();
        assert!(!admit(&mut all, late, place(200), &ours, &none), "all others are of use");
        // Two follow another chain: who was there first has had his time.
        let useless = BTreeSet::from(["http://10.0.0.7:8012".to_owned(), "http://10.0.0.9:8012".to_owned()]);
        assert!(admit(&mut all, late, place(200), &ours, &useless));
        assert!(!all.contains_key(&crowd[7]) && all.contains_key(&crowd[9]) && all.len() == MOST);
        // Who is of the cluster needs no such place, and keeps his.
        assert!(admit(&mut all, member, place(201), &ours, &none));
        assert!(all.contains_key(&member) && all.len() == MOST);
        let useless = BTreeSet::from(["http://10.0.0.201:8012".to_owned()]);
        assert!(!admit(&mut all, PeerId::random(), place(202), &ours, &useless));
        // One that cannot be used any more makes room, and what is said anew is not found anew.
        assert!(!admit(&mut all, late, place(203), &ours, &none) && all[&late].address == place(203).address);
        assert!(!admit(&mut all, late, found("/ip4/10.0.0.3/tcp/1", "c", 0, false), &ours, &none));
        assert_eq!(all.len(), MOST - 1);
    }

    #[test]
    fn x18_no_crowd_of_peers_makes_more_providers_than_are_asked() {
        let crowd = (1..=200).map(|port| found("/ip4/10.0.0.3/tcp/1", "c", port, false));
        assert_eq!(urls_of(&[], &peers(crowd), &ours(None)).len(), MOST);
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
            assert_eq!(urls_of(&[], &all, &ours(None)), [url]);
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
