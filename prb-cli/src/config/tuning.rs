//! How workers are reached, fed and attested: sections `[feed]`, `[workers]` and `[attestation]`.

use super::{Config, ConfigError};
use prb_worker::{BadEndpoint, Deadlines, Pccs, PccsOptions, Tcp, Tls, TlsError};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// How workers are fed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feed {
    /// Most MiB of storage changes in one request.
    ///
    /// More is faster while catching up; the worker is deaf for as long as it works on a request, so a slow one gets
    /// less by itself. Typical: 4.
    pub request_mib: usize,
    /// How often a worker is asked how it is, seconds.
    ///
    /// More hides for longer that a worker is down. Typical: 5.
    pub info_seconds: u64,
    /// Load a fresh worker with the parachain's newest state where that saves it enough blocks.
    ///
    /// Off, every worker gets every block from the first. The state comes from the verified copy, so nobody is loaded
    /// with `chain.verify_state = false` or by `prb lifecycle`.
    pub fast_sync: bool,
    /// How many blocks are enough for that. Typical: 2000.
    pub fast_sync_blocks: u32,
    /// Most MiB under way at once to all workers that catch up.
    ///
    /// Less makes them wait for each other; more takes memory and network from those at the tip. Typical: 256.
    pub catch_up_mib: usize,
    /// Most MiB under way at once to all workers that are initialised or loaded with a state. Typical: 1024.
    pub load_mib: usize,
    /// MiB of what was read lately, kept in memory for workers at the same place; 0 keeps nothing. Typical: 64.
    pub cache_mib: usize,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            request_mib: 4,
            info_seconds: 5,
            fast_sync: true,
            fast_sync_blocks: 2000,
            catch_up_mib: 128,
            load_mib: 1024,
            cache_mib: 64,
        }
    }
}

/// How workers are reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// Longest time to open a connection, seconds.
    ///
    /// Longer delays the notice that a worker is down, shorter gives up on far or busy machines. Typical: 5.
    pub connect_seconds: u64,
    /// Longest time for a worker to say how it is or hand out its messages, seconds. Typical: 30.
    pub read_seconds: u64,
    /// Longest time for a worker to take headers or blocks, or to attest, seconds.
    ///
    /// Longer hides a hung worker, shorter breaks a busy one. Typical: 180.
    pub work_seconds: u64,
    /// Longest time for a worker to be initialised or loaded with a state, seconds. Typical: 1800.
    pub load_seconds: u64,
    /// How long an idle connection is used again, seconds. Workers close them after 5; 0 opens one for each call.
    pub idle_reuse_seconds: u64,
    /// PEM file of the certificates that vouch for workers at `https` addresses; the system's are believed without it.
    pub ca_file: Option<PathBuf>,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            connect_seconds: 5,
            read_seconds: 30,
            work_seconds: 180,
            load_seconds: 1800,
            idle_reuse_seconds: 4,
            ca_file: None,
        }
    }
}

impl Config {
    /// From how many blocks on a fresh worker is loaded with a state, none if never: a state that only a node vouches for
    /// would be found out by the worker, which would then have to be reset.
    pub(crate) fn fast_sync(&self) -> Option<u32> {
        let is_verified = self.providers.is_none() && self.chain.verify_state;
        (self.feed.fast_sync && is_verified).then_some(self.feed.fast_sync_blocks)
    }

    pub(crate) fn fast_sync_meaning(&self) -> String {
        match self.fast_sync() {
            Some(blocks) => format!("where a fresh worker is spared {blocks} blocks"),
            None if self.feed.fast_sync => "no: no verified state is kept here".to_owned(),
            None => "no: fresh workers get every block".to_owned(),
        }
    }
}

impl Workers {
    pub(crate) fn meaning(&self) -> String {
        format!(
            "{} s to connect, {} s to say how they are, {} s to take blocks, {} s to take a state",
            self.connect_seconds, self.read_seconds, self.work_seconds, self.load_seconds
        )
    }

    pub(crate) fn options(&self) -> prb_worker::Options {
        prb_worker::Options {
            connect_timeout: Duration::from_secs(self.connect_seconds),
            deadlines: Deadlines {
                read: Duration::from_secs(self.read_seconds),
                work: Duration::from_secs(self.work_seconds),
                load: Duration::from_secs(self.load_seconds),
            },
            idle_reuse: Duration::from_secs(self.idle_reuse_seconds),
            ..prb_worker::Options::default()
        }
    }

    pub(crate) fn connector(&self) -> Result<Tcp, ConfigError> {
        let tls = tls("workers.ca_file", self.ca_file.as_ref())?;
        Ok(tls.map(Tcp::with_tls).unwrap_or_default())
    }
}

/// How workers that attest with DCAP are vouched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attestation {
    /// Where the addresses of a PCCS begin, for example `https://pccs.example:8081/sgx/certification/v4`. Without it
    /// workers that can attest with DCAP alone are not registered.
    pub pccs_url: Option<String>,
    /// Longest time of one fetch from it, seconds. Typical: 20.
    pub timeout_seconds: u64,
    /// PEM file of the certificates that vouch for the PCCS, or its own if that names its host and is no authority's
    /// (`CA:FALSE`); the system's are believed without it.
    pub ca_file: Option<PathBuf>,
}

impl Default for Attestation {
    fn default() -> Self {
        Self { pccs_url: None, timeout_seconds: 20, ca_file: None }
    }
}

impl Attestation {
    pub(crate) fn meaning(&self) -> String {
        match &self.pccs_url {
            Some(url) => format!("DCAP with collateral of {url}, at most {} s", self.timeout_seconds),
            None => "no PCCS: workers that attest with DCAP alone are not registered".to_owned(),
        }
    }

    /// The PCCS, none if there is none.
    pub(crate) fn pccs(&self) -> Result<Option<Pccs>, ConfigError> {
        let Some(url) = &self.pccs_url else { return Ok(None) };
        let tls = tls("attestation.ca_file", self.ca_file.as_ref())?;
        let options =
            PccsOptions { timeout: Duration::from_secs(self.timeout_seconds), ..PccsOptions::default() };
        let bad = |cause: BadEndpoint| ConfigError::Invalid {
            key: "attestation.pccs_url",
            cause: format!("{cause}; write it like https://pccs.example:8081/sgx/certification/v4"),
        };
        Pccs::new(url, tls, options).map(Some).map_err(bad)
    }
}

fn tls(key: &'static str, file: Option<&PathBuf>) -> Result<Option<Tls>, ConfigError> {
    let bad = |cause: TlsError| ConfigError::Invalid { key, cause: cause.to_string() };
    file.map(|file| Tls::from_file(file).map_err(bad)).transpose()
}

/// Checks what types cannot; files are not looked into.
pub(super) fn check(feed: &Feed, workers: &Workers, attestation: &Attestation) -> Result<(), ConfigError> {
    let minutes = 1..=3600;
    for (key, value, range) in [
        ("feed.request_mib", feed.request_mib as u64, 1..=64),
        ("feed.info_seconds", feed.info_seconds, minutes.clone()),
        ("feed.catch_up_mib", feed.catch_up_mib as u64, 1..=1 << 20),
        ("feed.load_mib", feed.load_mib as u64, 1..=1 << 20),
        ("feed.fast_sync_blocks", u64::from(feed.fast_sync_blocks), 1..=u64::from(u32::MAX)),
        ("feed.cache_mib", feed.cache_mib as u64, 0..=1 << 20),
        ("workers.connect_seconds", workers.connect_seconds, 1..=300),
        ("workers.read_seconds", workers.read_seconds, minutes.clone()),
        ("workers.work_seconds", workers.work_seconds, minutes.clone()),
        ("workers.load_seconds", workers.load_seconds, minutes),
        ("workers.idle_reuse_seconds", workers.idle_reuse_seconds, 0..=60),
        ("attestation.timeout_seconds", attestation.timeout_seconds, 1..=300),
    ] {
        if !range.contains(&value) {
            let cause = format!("must be {} to {}, is {value}", range.start(), range.end());
            return Err(ConfigError::Invalid { key, cause });
        }
    }
    Attestation { ca_file: None, ..attestation.clone() }.pccs().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// v2_f037
    #[test]
    fn v2_f039_calls_to_workers_have_the_deadlines_that_are_configured() {
        let text = "connect_seconds = 1\nread_seconds = 2\nwork_seconds = 3\nload_seconds = 4\nidle_reuse_seconds = 0\n";
        let options = toml::from_str::<Workers>(text).unwrap().options();
        let seconds = Duration::from_secs;
        assert_eq!((options.connect_timeout, options.idle_reuse), (seconds(1), seconds(0)));
        let deadlines = Deadlines { read: seconds(2), work: seconds(3), load: seconds(4) };
        assert_eq!(options.deadlines, deadlines);
        assert_eq!(Workers::default().options(), prb_worker::Options::default());
    }

    #[test]
    fn v3_f87_workers_are_loaded_with_verified_states_only() {
        const NODES: &str = "[chain]\nrelay = \"ws://127.0.0.1:1\"\npara = \"ws://127.0.0.1:2\"\n";
        for (text, expected) in [
            ("", Some(2000)),
            ("[feed]\nfast_sync_blocks = 7\n", Some(7)),
            ("[feed]\nfast_sync = false\n", None),
            ("verify_state = false\n", None),
            ("[providers]\n", None),
        ] {
            let config: Config = toml::from_str(&format!("{NODES}{text}")).unwrap();
            assert_eq!(config.fast_sync(), expected, "{text}");
        }
    }

    #[test]
    fn v3_f22_files_of_certificates_that_cannot_be_read_are_named_with_their_key() {
        let missing = Some(PathBuf::from("no such folder/ca.pem"));
        let workers = Workers { ca_file: missing.clone(), ..Workers::default() };
        assert!(
            workers.connector().unwrap_err().to_string().contains("workers.ca_file: no such folder/ca.pem")
        );
        let url = Some("https://pccs.example/sgx/certification/v4".to_owned());
        let attestation = Attestation { pccs_url: url, ca_file: missing, ..Attestation::default() };
        assert!(attestation.pccs().unwrap_err().to_string().contains("attestation.ca_file"));
    }
}
