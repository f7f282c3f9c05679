//! Where something is posted to.

use crate::config::place;
use hyper::Uri;
use prb_worker::Endpoint;
use std::fmt;

/// An `http` or `https` address. Shown without its path and query: they may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whom to connect to.
    pub(super) endpoint: Endpoint,
    /// What the `Host` header says.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
    shown: String,
}

/// A text that nothing can be posted to. It is not repeated: it may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write it like https://hooks.example/path")]
pub struct BadAddress(&'static str);

impl Address {
    /// Reads an address.
    pub fn parse(url: &str) -> Result<Self, BadAddress> {
        let uri: Uri = url.parse().map_err(|_| BadAddress("must be an address"))?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme,
            _ => return Err(BadAddress("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or(BadAddress("has no host"))?.as_str();
        if authority.contains('@') {
            return Err(BadAddress("holds a user name: use notify.token_file instead"));
        }
        let endpoint = format!("{scheme}://{authority}")
            .parse()
            .map_err(|_| BadAddress("has no usable host and port"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { endpoint, authority: authority.to_owned(), path, shown: place(url) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_what_may_be_a_key() {
        let address = Address::parse("https://hooks.example:8443/services/KEY?x=1").unwrap();
        assert_eq!((address.endpoint.port(), address.path.as_str()), (8443, "/services/KEY?x=1"));
        assert_eq!(address.authority, "hooks.example:8443");
        assert_eq!(address.to_string(), "https://hooks.example:8443/…");
        assert!(!format!("{address:?}").contains("KEY"));
        assert_eq!(Address::parse("http://h").unwrap().path, "/");
        for bad in ["h:1", "ftp://h", "http://", "http://u:p@h/", "http://h:99999/", "two words"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
