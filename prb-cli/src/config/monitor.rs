//! Section `[monitor]`: pages at addresses of their own, and the managers that they show.

use super::{Api, ConfigError, Purpose};
use prb_core::fault::remedy;
use prb_worker::{BadEndpoint, Endpoint, Tcp, Tls};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// Where the monitor is unless the configuration says otherwise: the port of the monitors of PRB v2 and v3, on this machine only.
pub const DEFAULT_MONITOR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// Where the page of the queue is: the port of PRB v2's arena, on this machine only.
pub const DEFAULT_QUEUE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4567);

/// What stands for the program itself in a list of managers.
pub(crate) const THIS: &str = "this";

/// Most managers.
const MOST: usize = 64;
/// Longest name of one, characters.
const LONGEST: usize = 64;
/// Largest file of managers, bytes.
const MAX_FILE: u64 = 1 << 20;

/// The monitor: pages that show and change what the API tells. The API has them under `/monitor/` in any case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Whether it has addresses of its own. Without it: where the API is at its default address, or where they are named.
    pub enabled: Option<bool>,
    /// An address whose `/` are the pages, with the API beside them for the same callers. One that is named here and cannot be had
    /// ends the program; without it `127.0.0.1:3000` is tried, and if it is taken that is said.
    pub listen: Option<SocketAddr>,
    /// An address whose `/` is the page of transactions; likewise, with `127.0.0.1:4567`.
    pub queue_listen: Option<SocketAddr>,
    /// Managers elsewhere that the pages show too: what is asked below `/managers/NAME/` is forwarded.
    pub managers: Vec<Manager>,
    /// A YAML file with more of them: the `wm.yml` of PRB v3's monitor.
    pub managers_file: Option<PathBuf>,
    /// PEM file of the certificates that vouch for `https` managers, or of their own; the system's are believed without it.
    pub ca_file: Option<PathBuf>,
}

/// A management API elsewhere: `prb run`, `prb lifecycle`, or the manager of PRB v3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    /// What it is called in the pages. In addresses it is [`key`] of that.
    pub name: String,
    /// Its address: `http://10.0.0.5:3001`.
    pub url: String,
    /// File that holds the token which it wants. Without it what a browser shows is passed on.
    pub token_file: Option<PathBuf>,
}

/// An entry of PRB v3's `wm.yml`. Whether it is `proxied` makes no difference: what browsers ask of it always goes through here.
#[derive(Deserialize)]
struct Listed {
    name: String,
    endpoint: String,
    token_file: Option<PathBuf>,
}

impl Manager {
    /// Whom to connect to; an address that holds a user or a password is not repeated.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, String> {
        self.url.parse().map_err(|error| match error {
            BadEndpoint::Scheme { .. } => "must begin with http:// or https://".to_owned(),
            BadEndpoint::Credentials => "holds a user or a password: a token goes into token_file".to_owned(),
            BadEndpoint::Malformed { text, cause } => {
                format!("{text:?}: {cause}; write it like http://10.0.0.5:3001")
            }
        })
    }
}

/// What a name is in addresses, as PRB v3 has it: in lower case, `-` for space, without whatever else is no letter or digit.
pub fn key(name: &str) -> String {
    let lower = name.to_lowercase();
    let spaced = lower.chars().map(|c| if c.is_whitespace() { '-' } else { c });
    spaced.filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-').collect()
}

impl Monitor {
    /// One that has no addresses of its own.
    pub fn off() -> Self {
        Self { enabled: Some(false), ..Self::default() }
    }

    /// Whether its default addresses are tried beside an API whose address somebody `named`, or nobody did.
    pub(crate) fn is_default_on(&self, named: bool) -> bool {
        self.enabled.unwrap_or(!named)
    }

    /// Whether it has addresses of its own at all.
    pub(crate) const fn is_off(&self) -> bool {
        matches!(self.enabled, Some(false))
    }

    /// All managers, those of the file too.
    pub fn all(&self) -> Result<Vec<Manager>, ConfigError> {
        let mut all = self.managers.clone();
        if let Some(path) = &self.managers_file {
            let listed = listed(path).map_err(|cause| ConfigError::Invalid {
                key: "monitor.managers_file",
                cause: format!("{}: {cause}", path.display()),
            })?;
            all.extend(listed.into_iter().map(|Listed { name, endpoint, token_file }| Manager {
                name,
                url: endpoint,
                token_file,
            }));
        }
        check_managers(&all)?;
        Ok(all)
    }

    /// How they are reached.
    pub(crate) fn connector(&self) -> Result<Tcp, ConfigError> {
        let bad = |cause: String| ConfigError::Invalid { key: "monitor.ca_file", cause };
        let tls = self.ca_file.as_deref().map(Tls::from_file).transpose();
        Ok(tls.map_err(|cause| bad(cause.to_string()))?.map(Tcp::with_tls).unwrap_or_default())
    }

    /// Whether it goes together with the API; files are not looked into.
    pub(super) fn check(&self, api: &Api, purpose: Purpose) -> Result<(), ConfigError> {
        check_managers(&self.managers)?;
        for (key, listen) in [("monitor.listen", self.listen), ("monitor.queue_listen", self.queue_listen)] {
            let Some(listen) = listen.filter(|_| !self.is_off()) else { continue };
            let invalid = |cause: &str| Err(ConfigError::Invalid { key, cause: cause.to_owned() });
            // By itself it needs none.
            if purpose != Purpose::Monitor {
                if !api.enabled {
                    return invalid("the monitor is nothing without the API; remove api.enabled = false");
                }
                if listen.port() != 0 && api.addresses().contains(&listen) {
                    return invalid(
                        "is an address of api.listen, which has the monitor under /monitor/ already",
                    );
                }
            }
            if listen.port() != 0 && key == "monitor.queue_listen" && self.listen == Some(listen) {
                return invalid("is the address of monitor.listen; choose another one");
            }
        }
        Ok(())
    }
}

fn check_managers(managers: &[Manager]) -> Result<(), ConfigError> {
    let invalid = |cause: String| Err(ConfigError::Invalid { key: "monitor.managers", cause });
    if managers.len() > MOST {
        return invalid(format!("are at most {MOST}, not {}", managers.len()));
    }
    for (at, manager) in managers.iter().enumerate() {
        let name: String = manager.name.chars().take(LONGEST).collect();
        let key = key(&manager.name);
        if key.is_empty() || manager.name.chars().count() > LONGEST {
            return invalid(format!(
                "a name is 1 to {LONGEST} characters with a letter or digit, not {name:?}"
            ));
        }
        if key == THIS {
            return invalid(format!("{name:?} stands for this program itself; choose another name"));
        }
        if let Some(other) = managers[..at].iter().find(|other| self::key(&other.name) == key) {
            let other = &other.name;
            return invalid(format!("{name:?} and {other:?} are both {key:?} in addresses; rename one"));
        }
        if let Err(cause) = manager.endpoint() {
            return invalid(format!("url of {name:?} {cause}"));
        }
    }
    Ok(())
}

/// What a file of managers lists.
fn listed(path: &Path) -> Result<Vec<Listed>, String> {
    let unreadable = |cause: std::io::Error| format!("{cause}; {}", remedy(&cause));
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(format!("has more than {MAX_FILE} bytes"));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    serde_saphyr::from_str(&text).map_err(|error| {
        let error: String = error.to_string().lines().next().unwrap_or_default().chars().take(200).collect();
        format!("{error}; it is a list with a `name` and an `endpoint` each, like the wm.yml of PRB v3")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(text: &str) -> Monitor {
        toml::from_str(text).unwrap()
    }

    fn refused(text: &str, api: &Api) -> String {
        monitor(text).check(api, Purpose::Run).unwrap_err().to_string()
    }

    #[test]
    fn the_monitor_has_an_address_of_its_own_or_none() {
        let ours = |listen: &str| Api { listen: Some(vec![listen.parse().unwrap()]), ..Api::default() };
        let fine = |text: &str, api: &Api| monitor(text).check(api, Purpose::Run).is_ok();
        assert!(fine("", &Api::off()) && fine("listen = \"127.0.0.1:3000\"", &Api::default()));
        assert!(fine("listen = \"127.0.0.1:0\"\nqueue_listen = \"127.0.0.1:0\"", &ours("127.0.0.1:0")));
        assert!(fine("enabled = false\nlisten = \"127.0.0.1:3000\"", &Api::off()), "it says nothing then");
        for (key, text) in [("monitor.listen", "listen"), ("monitor.queue_listen", "queue_listen")] {
            for (listen, api, expected) in [
                ("127.0.0.1:3000", Api::off(), "nothing without the API"),
                ("127.0.0.1:3001", Api::default(), "api.listen"),
            ] {
                let error = refused(&format!("{text} = \"{listen}\""), &api);
                assert!(error.contains(key) && error.contains(expected), "{error}");
            }
        }
        let alone = monitor("listen = \"127.0.0.1:3001\"");
        assert!(alone.check(&Api::off(), Purpose::Monitor).is_ok(), "by itself it needs no API");
        let same = "listen = \"127.0.0.1:3000\"\nqueue_listen = \"127.0.0.1:3000\"";
        assert!(refused(same, &Api::default()).contains("monitor.queue_listen"));
    }

    #[test]
    fn default_addresses_go_with_the_default_address_of_the_api() {
        let named = Api { listen: Some(vec!["127.0.0.1:0".parse().unwrap()]), ..Api::default() };
        for (text, api, expected) in [
            ("", Api::default(), true),
            ("", named.clone(), false),
            ("enabled = true", named, true),
            ("enabled = false", Api::default(), false),
        ] {
            assert_eq!(monitor(text).is_default_on(api.listen.is_some()), expected, "{text}");
        }
    }

    #[test]
    fn v3_f60_names_are_what_v3_makes_of_them_in_addresses() {
        for (name, expected) in [
            ("local-prb", "local-prb"),
            ("Rack 1", "rack-1"),
            ("rack\t2", "rack-2"),
            ("Köln/7_x", "kln7x"),
            ("../..", ""),
            ("機", ""),
        ] {
            assert_eq!(key(name), expected, "{name}");
        }
    }

    #[test]
    fn v3_f60_managers_are_named_and_what_they_cannot_be_is_told() {
        let two = "[[managers]]\nname = \"Rack 1\"\nurl = \"http://10.0.0.5:3001\"\ntoken_file = \"t\"\n\
                   [[managers]]\nname = \"rack2\"\nurl = \"https://prb.example/api\"\n";
        assert_eq!(monitor(two).all().unwrap().len(), 2);
        let one = |name: &str, url: &str| format!("[[managers]]\nname = \"{name}\"\nurl = \"{url}\"\n");
        for (text, expected) in [
            (one("!", "http://a"), "letter or digit"),
            (one(&"a".repeat(65), "http://a"), "1 to 64 characters"),
            (one("This", "http://a"), "this program itself"),
            (one("a b", "http://a") + &one("A-B", "http://b"), "both \"a-b\" in addresses"),
            (one("a", "10.0.0.5:3001"), "url of \"a\""),
            (one("a", "ftp://10.0.0.5"), "url of \"a\""),
            (one("a", "http://user:hunter2@h"), "token_file"),
            ((0..65).map(|n| one(&format!("a{n}"), "http://a")).collect(), "at most 64"),
        ] {
            let error = refused(&text, &Api::default());
            assert!(error.contains("monitor.managers") && error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn v3_f60_managers_are_read_from_the_list_of_v3s_monitor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wm.yml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let own = Manager { name: "own".into(), url: "http://10.0.0.1:3001".into(), token_file: None };
            let monitor =
                Monitor { managers: vec![own], managers_file: Some(path.clone()), ..Monitor::default() };
            monitor.all().map_err(|error| error.to_string())
        };
        let all = read("- name: local-prb\n  endpoint: http://127.0.0.1:3001\n  proxied: true\n").unwrap();
        assert_eq!((all.len(), all[1].name.as_str()), (2, "local-prb"));
        assert_eq!((all[1].url.as_str(), &all[1].token_file), ("http://127.0.0.1:3001", &None));
        for (text, expected) in [
            ("- name: a\n", "endpoint"),
            ("name: a\n", "a list with"),
            ("- name: own\n  endpoint: http://b\n", "both \"own\""),
            ("- name: a\n  endpoint: b\n", "url of \"a\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let missing = Monitor { managers_file: Some(folder.path().join("none")), ..Monitor::default() };
        let error = missing.all().unwrap_err().to_string();
        assert!(error.contains("monitor.managers_file") && error.contains("none"), "{error}");
    }
}
