//! Section `[api]`: the management API of `prb run` and `prb lifecycle`.

use super::ConfigError;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// Where it listens unless the configuration says otherwise: the port of PRB v3, on this machine only.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3001);

/// Likewise for `prb trade`, which may be beside its lifecycle.
pub const DEFAULT_TRADE_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3003);

/// Most addresses to listen on.
const MOST: usize = 16;

/// Who may ask what runs, and change it.
///
/// `GET` reads, everything else changes something, but for what peers are asked: that is as its name says, by any HTTP method.
/// Whoever is on this machine may do both.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Whether there is one at all.
    pub enabled: bool,
    /// Addresses to listen on; port 0 is any free one. An address that is named here and cannot be had ends the program.
    ///
    /// Without it `127.0.0.1:3001` is tried, and if it is taken the bridge runs without an API and says so.
    pub listen: Option<Vec<SocketAddr>>,
    /// The same for `prb trade`, which often has its lifecycle's configuration and so does not listen at [`Self::listen`]. Without
    /// it `127.0.0.1:3003` is tried.
    pub trade_listen: Option<Vec<SocketAddr>>,
    /// File that holds a token of at least 16 characters. Who shows it may change things from anywhere; with it, who is not on
    /// this machine must show it to read, too.
    pub token_file: Option<PathBuf>,
    /// Whoever reaches the port may change things, with neither token nor a place in [`Self::allow_from`]: operators, stakes,
    /// endpoints. Only for networks where everybody may.
    pub allow_unauthenticated: bool,
    /// Addresses that may read and change things without a token: `"10.0.0.4"` or `"10.0.0.0/24"`.
    pub allow_from: Vec<Network>,
    /// Names by which the API may be reached without the token, and whose pages may change things, without a port: `"monitor.lan"`.
    /// This machine's own name `localhost` and addresses need not be listed.
    pub allow_hosts: Vec<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: None,
            trade_listen: None,
            token_file: None,
            allow_unauthenticated: false,
            allow_from: Vec::new(),
            allow_hosts: Vec::new(),
        }
    }
}

impl Api {
    /// An API that is switched off.
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    /// Where to listen.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.listen.as_deref().unwrap_or(&[DEFAULT_LISTEN])
    }

    /// Where `prb trade` listens.
    pub fn trader_addresses(&self) -> &[SocketAddr] {
        self.trade_listen.as_deref().unwrap_or(&[DEFAULT_TRADE_LISTEN])
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, cause: &str| Err(ConfigError::Invalid { key, cause: cause.to_owned() });
        for (key, listen) in [("api.listen", self.addresses()), ("api.trade_listen", self.trader_addresses())]
        {
            if !(1..=MOST).contains(&listen.len()) {
                return invalid(key, "must be 1 to 16 socket addresses; `enabled = false` listens on none");
            }
            let twice =
                |(at, address): (usize, &SocketAddr)| address.port() != 0 && listen[..at].contains(address);
            if listen.iter().enumerate().any(twice) {
                return invalid(key, "names an address twice; remove one");
            }
        }
        if self.allow_hosts.iter().any(|host| host.is_empty() || host.contains([':', '/', '*'])) {
            return invalid(
                "api.allow_hosts",
                "are names alone, like monitor.lan: no scheme, port or wildcard",
            );
        }
        Ok(())
    }
}

/// A network of addresses, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address is in it. An IPv4 address is the same in both of its forms.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = address.or_else(|_| text.parse::<IpNet>());
        network.map(Self).map_err(|_| {
            format!("{text:?} is neither an address like 10.0.0.4 nor a network like 10.0.0.0/24")
        })
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Api, String> {
        let api: Api = toml::from_str(text).map_err(|error| error.to_string())?;
        api.check().map_err(|error| error.to_string())?;
        Ok(api)
    }

    #[test]
    fn v3_f48_one_address_or_several_may_be_listened_on_and_the_default_is_this_machine() {
        assert_eq!(parse("").unwrap().addresses(), [DEFAULT_LISTEN]);
        assert!(DEFAULT_LISTEN.ip().is_loopback());
        let api = parse("listen = [\"0.0.0.0:3001\", \"[::1]:3001\"]").unwrap();
        assert_eq!(api.addresses().len(), 2);
        assert_eq!(parse("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]").unwrap().addresses().len(), 2);
    }

    #[test]
    fn mistakes_name_the_key_and_the_remedy() {
        for (text, expected) in [
            ("listen = []", "`enabled = false`"),
            ("listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]", "twice"),
            ("trade_listen = []", "api.trade_listen"),
            ("listen = [\"localhost:1\"]", "socket address"),
            ("listen = \"127.0.0.1:1\"", "sequence"),
            ("allow_from = [\"10.0.0.0/33\"]", "a network like 10.0.0.0/24"),
            ("allow_from = [\"rack\"]", "an address like 10.0.0.4"),
            ("allow_hosts = [\"http://monitor\"]", "no scheme"),
            ("port = 1", "unknown field `port`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses_however_they_are_written() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for (net, address, inside) in [
            ("10.0.0.4", "10.0.0.4", true),
            ("10.0.0.4", "10.0.0.5", false),
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("10.0.0.0/24", "::ffff:10.0.0.7", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "10.0.0.1", false),
        ] {
            assert_eq!(network(net).contains(at(address)), inside, "{net} {address}");
        }
    }
}
