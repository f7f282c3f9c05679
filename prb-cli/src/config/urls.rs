//! Addresses of the nodes of one chain.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use std::fmt;

/// WebSocket URLs of the nodes of one chain, the preferred one first. In a configuration one URL or a list.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Urls(Vec<String>);

/// Most nodes of one chain: all of them are asked for their heights every few seconds.
pub(super) const MOST: usize = 16;

impl Urls {
    /// All of them.
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The preferred one.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Why they cannot be used, if they cannot.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.0.len() > MOST {
            return Err(format!("must be 1 to {MOST} WebSocket URLs, not {}", self.0.len()));
        }
        for (index, url) in self.0.iter().enumerate() {
            if !(url.starts_with("ws://") || url.starts_with("wss://")) {
                const EXPECTED: &str = "must be a WebSocket URL like ws://127.0.0.1:9944, or a list of them";
                let is_web = url.starts_with("http://") || url.starts_with("https://");
                let provider = "; if that is a data provider, it belongs in chain.mirror or providers.urls";
                return Err(format!("{EXPECTED}{}", if is_web { provider } else { "" }));
            }
            if self.0[..index].contains(url) {
                return Err(format!("names the same node twice, as number {}", index + 1));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They may hold passwords.
        write!(f, "Urls({})", self.0.len())
    }
}

impl From<String> for Urls {
    fn from(url: String) -> Self {
        Self(vec![url])
    }
}

impl From<&str> for Urls {
    fn from(url: &str) -> Self {
        url.to_owned().into()
    }
}

impl From<Vec<String>> for Urls {
    fn from(urls: Vec<String>) -> Self {
        Self(urls)
    }
}

impl<'de> Deserialize<'de> for Urls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Urls;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a WebSocket URL or a list of them")
            }

            fn visit_str<E>(self, url: &str) -> Result<Urls, E> {
                Ok(url.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, urls: A) -> Result<Urls, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(urls)).map(Urls)
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}
