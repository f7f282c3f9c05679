//! Telling other programs what happens: section `[notify]`.

use super::ConfigError;
use crate::webhook::Address;
use prb_worker::{Tcp, Tls};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Addresses that something is posted to, as JSON. A bridge never waits for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// A worker's status as PRB v3 posts it, each time its state or its last message changes.
    pub urls: Vec<String>,
    /// What needs a person, once when it begins and once when it is over: workers that do not get on, chains that stand
    /// still, low balances; and each failed transaction.
    pub alert_urls: Vec<String>,
    /// How far a worker is, as pherry posts it. `{worker}` in an address is the worker's name: the JSON has none.
    pub pherry_urls: Vec<String>,
    /// File that holds a token for all of them.
    pub token_file: Option<PathBuf>,
    /// Header that shows the token; `Authorization` shows it as `Bearer ...`, others as it is.
    pub token_header: String,
    /// PEM file of the certificates that vouch for `https` addresses; the system's are believed without it.
    pub ca_file: Option<PathBuf>,
    /// How long something must last before it is an alert, seconds.
    ///
    /// Shorter tells of every hiccup. What has stood still is told at once: it was waited for already. Typical: 60.
    pub after_seconds: u64,
    /// Longest time of one attempt, seconds. Typical: 10.
    pub timeout_seconds: u64,
    /// How often something is tried before it is given up. What pherry posts is tried once. Typical: 5.
    pub attempts: u32,
    /// Most that waits for one address; the oldest is dropped for what comes later. Typical: 1000.
    pub queue: usize,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            alert_urls: Vec::new(),
            pherry_urls: Vec::new(),
            token_file: None,
            token_header: "Authorization".to_owned(),
            ca_file: None,
            after_seconds: 60,
            timeout_seconds: 10,
            attempts: 5,
            queue: 1000,
        }
    }
}

impl Notify {
    /// Whether anybody is told anything.
    pub(crate) fn is_wanted(&self) -> bool {
        ![&self.urls, &self.alert_urls, &self.pherry_urls].into_iter().all(Vec::is_empty)
    }

    /// How they are reached.
    pub(crate) fn connector(&self) -> Result<Tcp, ConfigError> {
        let bad = |cause: String| ConfigError::Invalid { key: "notify.ca_file", cause };
        let tls = self.ca_file.as_deref().map(Tls::from_file).transpose();
        Ok(tls.map_err(|cause| bad(cause.to_string()))?.map(Tcp::with_tls).unwrap_or_default())
    }

    /// Checks what types cannot; files are not looked into.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, cause| Err(ConfigError::Invalid { key, cause });
        for (key, urls) in [
            ("notify.urls", &self.urls),
            ("notify.alert_urls", &self.alert_urls),
            ("notify.pherry_urls", &self.pherry_urls),
        ] {
            for url in urls {
                if let Err(cause) = Address::parse(&url.replace("{worker}", "worker")) {
                    return invalid(key, cause.to_string());
                }
            }
        }
        for (key, value, range) in [
            ("notify.after_seconds", self.after_seconds, 0..=86_400),
            ("notify.timeout_seconds", self.timeout_seconds, 1..=300),
            ("notify.attempts", u64::from(self.attempts), 1..=100),
            ("notify.queue", self.queue as u64, 1..=100_000),
        ] {
            if !range.contains(&value) {
                return invalid(key, format!("must be {} to {}, is {value}", range.start(), range.end()));
            }
        }
        if hyper::header::HeaderName::from_bytes(self.token_header.as_bytes()).is_err() {
            return invalid(
                "notify.token_header",
                "must be the name of a header, like Authorization".to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_the_key() {
        for (text, expected) in [
            ("urls = [\"hooks.example\"]", "notify.urls"),
            ("urls = [\"ftp://hooks.example\"]", "notify.urls"),
            ("alert_urls = [\"https://user:secret@h.example\"]", "notify.alert_urls"),
            ("pherry_urls = [\"http://\"]", "notify.pherry_urls"),
            ("timeout_seconds = 0", "notify.timeout_seconds: must be 1 to 300, is 0"),
            ("queue = 0", "notify.queue"),
            ("attempts = 0", "notify.attempts"),
            ("token_header = \"two words\"", "notify.token_header"),
        ] {
            let notify: Notify = toml::from_str(text).unwrap();
            let error = notify.check().unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
        let fine: Notify = toml::from_str("pherry_urls = [\"http://h/{worker}?key=1\"]").unwrap();
        assert!(fine.check().is_ok() && fine.is_wanted() && !Notify::default().is_wanted());
    }
}
