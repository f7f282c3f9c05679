//! Section `[p2p]`: the network in which services find each other.

use super::{Config, ConfigError, Origin};
use prb_p2p::{Multiaddr, PeerId, TcpAddress};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// Most addresses of one kind, and most peers that are listed.
const MOST: usize = 256;

/// Longest bridge identity, bytes.
const LONGEST: usize = 128;

/// Finding other services, and being found. Without this section nothing listens and nobody is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct P2p {
    /// Whether the network is joined. `true` where there is this section.
    #[serde(default = "super::yes")]
    pub enabled: bool,
    /// Multiaddrs to listen on, TCP only; port 0 is any free one. Name a port that peers elsewhere have as a boot node.
    pub listen: Vec<String>,
    /// Multiaddrs that are dialled until they answer, and again when they are lost: `/ip4/10.0.0.3/tcp/28888/p2p/12D3...`. One
    /// of them is enough to find all others. Without `/p2p/...` whoever answers there is taken.
    pub boot_nodes: Vec<String>,
    /// Whether peers in the same local network are found by themselves.
    pub mdns: bool,
    /// Name of what belongs together: peers that tell another one are listed, and no data is read from them.
    pub bridge_identity: String,
    /// Read data from providers of any name.
    pub ignore_bridge_identity: bool,
    /// Folder of the keys that peers know this machine's services by, one file for each role (`DATA_PROVIDER`, `LIFECYCLE`),
    /// made at the first start. Those of PRB v2 may be there. Without it, `p2p` in `data_dir`.
    pub identity_dir: Option<PathBuf>,
    /// File with a key that all peers must have: who does not has no connection. The usual `swarm.key` format, or 64
    /// hexadecimal digits. Peers of PRB v2 have none.
    pub pre_shared_key_file: Option<PathBuf>,
    /// Ids of peers that belong to this cluster: data is read from the data providers among them.
    pub members: Vec<String>,
    /// Nobody but the peers in [`Self::members`] and [`Self::managers`] has a connection.
    pub only_members: bool,
    /// Ids of peers that may change pools and workers, and order workers.
    pub managers: Vec<String>,
    /// Whether peers on this machine may do that without being in [`Self::managers`]. A proxy or tunnel that ends here makes
    /// whoever comes through it one of them.
    pub local_manages: bool,
    /// Whoever has a connection may change pools and workers, as in PRB v2. Only for networks where everybody may.
    pub allow_unauthenticated: bool,
    /// Read data also from data providers that anybody could be: those that are found, in a network that strangers can join,
    /// and are not in [`Self::members`]. What they lie, workers are fed. `providers.token_file` is not shown to them.
    pub trust_found: bool,
}

impl Default for P2p {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: ["/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0"].map(str::to_owned).to_vec(),
            boot_nodes: Vec::new(),
            mdns: true,
            bridge_identity: "default".to_owned(),
            ignore_bridge_identity: false,
            identity_dir: None,
            pre_shared_key_file: None,
            members: Vec::new(),
            only_members: false,
            managers: Vec::new(),
            local_manages: true,
            allow_unauthenticated: false,
            trust_found: false,
        }
    }
}

impl P2p {
    /// Where to listen.
    pub fn listen(&self) -> Result<Vec<Multiaddr>, ConfigError> {
        let key = "p2p.listen";
        let found = all(key, &self.listen, |text| {
            let address = TcpAddress::parse(text).filter(|address| address.socket().is_some());
            let remedy = "write an IP address and a TCP port, for example /ip4/0.0.0.0/tcp/28888";
            address.map(|address| address.multiaddr()).ok_or_else(|| no_address(text, remedy))
        })?;
        Ok(found)
    }

    /// Who is dialled.
    pub fn boot_nodes(&self) -> Result<Vec<Multiaddr>, ConfigError> {
        all("p2p.boot_nodes", &self.boot_nodes, |text| {
            let remedy = "write for example /ip4/10.0.0.3/tcp/28888/p2p/12D3...; a service logs its own with `Got my peer id`";
            let address = TcpAddress::parse(text).ok_or_else(|| no_address(text, remedy))?;
            if !address.is_dialable() {
                return Err(format!("{text:?} is no address that can be dialled; {remedy}"));
            }
            Ok(address.multiaddr())
        })
    }

    /// Who may manage.
    pub fn managers(&self) -> Result<BTreeSet<PeerId>, ConfigError> {
        ids("p2p.managers", &self.managers)
    }

    /// Who belongs here: members, and managers too.
    pub fn listed(&self) -> Result<BTreeSet<PeerId>, ConfigError> {
        let members = ids("p2p.members", &self.members)?;
        Ok(members.into_iter().chain(self.managers()?).collect())
    }

    /// Whether strangers are kept out.
    pub const fn is_closed(&self) -> bool {
        self.only_members || self.pre_shared_key_file.is_some()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, cause: &str| Err(ConfigError::Invalid { key, cause: cause.to_owned() });
        self.listen()?;
        self.boot_nodes()?;
        if self.listed()?.is_empty() && self.only_members {
            return invalid("p2p.only_members", "nobody may connect then; list peer ids in p2p.members");
        }
        let name = &self.bridge_identity;
        if name.is_empty() || name.len() > LONGEST || name.contains(char::is_control) {
            return invalid(
                "p2p.bridge_identity",
                "must be 1 to 128 bytes of text, the same on all that belong together",
            );
        }
        Ok(())
    }
}

impl Config {
    /// Where the keys are that peers know this machine by.
    pub fn peer_keys_dir(&self) -> PathBuf {
        self.p2p.identity_dir.clone().unwrap_or_else(|| self.data_dir.join("p2p"))
    }

    /// Whether it is said where something may be kept: a program that needs no such place is not to make one.
    pub(crate) fn keeps_data(&self) -> bool {
        self.p2p.identity_dir.is_some() || *self.origins.of("data_dir") != Origin::Default
    }
}

fn ids(key: &'static str, texts: &[String]) -> Result<BTreeSet<PeerId>, ConfigError> {
    let remedy = "write what its service logs after `Got my peer id`, like 12D3...";
    let found = all(key, texts, |text| {
        text.parse::<PeerId>().map_err(|_| format!("{text:?} is no peer id; {remedy}"))
    })?;
    Ok(found.into_iter().collect())
}

fn no_address(text: &str, remedy: &str) -> String {
    format!("{text:?} is no TCP multiaddr; {remedy}")
}

/// Each of a list, or what is wrong with one of them.
fn all<T>(
    key: &'static str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfigError> {
    let invalid = |cause| ConfigError::Invalid { key, cause };
    if texts.len() > MOST {
        return Err(invalid(format!("must be at most {MOST}")));
    }
    texts.iter().map(|text| parse(text).map_err(invalid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(section: &str) -> Result<P2p, String> {
        let p2p: P2p = toml::from_str(section).map_err(|error| error.to_string())?;
        p2p.check().map_err(|error| error.to_string())?;
        Ok(p2p)
    }

    const ID: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn v2_f066_the_default_is_any_port_everywhere_and_a_section_joins() {
        assert!(!P2p::default().enabled);
        let p2p = parse("").unwrap();
        assert!(p2p.enabled && p2p.mdns && p2p.boot_nodes.is_empty());
        let listen: Vec<_> = p2p.listen().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0"]);
        assert!(!parse("enabled = false").unwrap().enabled);
    }

    #[test]
    fn v2_f065_boot_nodes_are_tcp_multiaddrs_with_and_without_an_id() {
        for address in ["/ip4/10.0.0.3/tcp/28888", "/ip6/fd00::1/tcp/1", "/dns4/a.example/tcp/28888"] {
            for id in [String::new(), format!("/p2p/{ID}")] {
                let p2p = parse(&format!("boot_nodes = [\"{address}{id}\"]")).unwrap();
                assert_eq!(p2p.boot_nodes().unwrap()[0].to_string(), format!("{address}{id}"));
            }
        }
    }

    #[test]
    fn what_cannot_be_dialled_listened_on_or_allowed_is_named_with_its_remedy() {
        for (section, words) in [
            ("boot_nodes = [\"10.0.0.3:28888\"]", &["p2p.boot_nodes", "\"10.0.0.3:28888\"", "/tcp/"][..]),
            ("boot_nodes = [\"/ip4/10.0.0.3/udp/28888/quic-v1\"]", &["p2p.boot_nodes", "no TCP multiaddr"]),
            ("boot_nodes = [\"/ip4/10.0.0.3/tcp/28888/ws\"]", &["p2p.boot_nodes", "no TCP multiaddr"]),
            ("boot_nodes = [\"/ip4/0.0.0.0/tcp/28888\"]", &["p2p.boot_nodes", "dialled"]),
            ("boot_nodes = [\"/ip4/10.0.0.3/tcp/0\"]", &["p2p.boot_nodes", "dialled"]),
            ("boot_nodes = [\"/ip4/10.0.0.3/tcp/1/p2p/Qm\"]", &["p2p.boot_nodes", "no TCP multiaddr"]),
            ("listen = [\"/dns4/a.example/tcp/1\"]", &["p2p.listen", "/ip4/0.0.0.0/tcp/28888"]),
            ("listen = [\"0.0.0.0:1\"]", &["p2p.listen", "\"0.0.0.0:1\""]),
            ("members = [\"me\"]", &["p2p.members", "\"me\"", "Got my peer id"]),
            ("managers = [\"me\"]", &["p2p.managers", "\"me\"", "Got my peer id"]),
            ("only_members = true", &["p2p.only_members", "p2p.members"]),
            ("bridge_identity = \"\"", &["p2p.bridge_identity"]),
            ("bridge_identiy = \"x\"", &["unknown field"]),
        ] {
            let error = parse(section).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{section}: {error}");
        }
        for list in ["members", "managers"] {
            let p2p = parse(&format!("{list} = [\"{ID}\"]\nonly_members = true")).unwrap();
            assert_eq!(p2p.listed().unwrap().len(), 1, "a manager may connect too");
            assert_eq!(p2p.managers().unwrap().len(), usize::from(list == "managers"));
        }
    }

    #[test]
    fn x18_a_network_is_closed_by_a_key_of_all_or_a_list_of_all() {
        assert!(!parse(&format!("members = [\"{ID}\"]")).unwrap().is_closed());
        assert!(parse(&format!("members = [\"{ID}\"]\nonly_members = true")).unwrap().is_closed());
        assert!(parse("pre_shared_key_file = \"swarm.key\"").unwrap().is_closed());
        let open = parse("").unwrap();
        assert!(!open.trust_found && open.local_manages && !open.allow_unauthenticated);
    }
}
