//! Where a worker is.

use std::{fmt, str::FromStr};

use hyper::Uri;

/// Address of a worker's private listener: `http://host[:port][/base]`, or `https://…` where a reverse proxy in front of
/// it speaks TLS.
///
/// The base path is what a reverse proxy puts before `/prpc`; without one it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    authority: String,
    base: String,
    secure: bool,
}

impl Endpoint {
    /// Name or address to connect to, without the brackets of IPv6 literals.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port to connect to; 80 (`https`: 443) where the address has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// What goes before every path.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Path of a pRPC method.
    pub(crate) fn path(&self, method: &str) -> String {
        format!("{}/prpc/PhactoryAPI.{method}", self.base)
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        // A password in an address would end up in every log line that names the worker, so such text is not
        // repeated here either.
        if text.contains('@') {
            return Err(BadEndpoint::Credentials);
        }
        let bad = |cause: String| BadEndpoint::Malformed { text: text.to_owned(), cause };
        let secure = match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => false,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => true,
            Some((scheme, _)) => return Err(BadEndpoint::Scheme { scheme: scheme.to_owned() }),
            None => return Err(bad("it has no scheme; write http://host:port".into())),
        };
        if text.contains(['?', '#']) {
            return Err(bad("it has a query or fragment".into()));
        }
        let uri: Uri = text.parse().map_err(|error| bad(format!("{error}")))?;
        let authority = uri.authority().ok_or_else(|| bad("it has no host".into()))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("it has no host".into()));
        }
        // `Uri` accepts `host:` and `host:99999` and then answers no port.
        let tail = &authority.as_str()[authority.host().len()..];
        let port = match tail.strip_prefix(':') {
            None if secure => 443,
            None => 80,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port != 0 => port,
                _ => return Err(bad(format!("its port {port:?} is not 1 to 65535"))),
            },
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            base: uri.path().trim_end_matches('/').to_owned(),
            secure,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

/// A worker address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Workers speak HTTP.
    #[error(
        "scheme {scheme:?} is not supported: workers speak http, or https behind a reverse proxy; write http://host:port"
    )]
    Scheme {
        /// The scheme found.
        scheme: String,
    },
    /// The address carries a user name or password.
    #[error("worker address contains '@': workers have no authentication; remove user and password")]
    Credentials,
    /// The address does not parse.
    #[error("worker address {text:?} is not usable: {cause}")]
    Malformed {
        /// The address.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, BadEndpoint> {
        text.parse()
    }

    #[test]
    fn host_port_and_base_path_are_taken_apart() {
        let endpoint = parse("http://10.0.0.17:8000/workers/a/").unwrap();
        assert_eq!((endpoint.host(), endpoint.port()), ("10.0.0.17", 8000));
        assert_eq!(endpoint.path("GetInfo"), "/workers/a/prpc/PhactoryAPI.GetInfo");
        assert_eq!(endpoint.to_string(), "http://10.0.0.17:8000/workers/a");
    }

    #[test]
    fn an_address_without_port_or_path_means_port_80_and_the_root() {
        let endpoint = parse("HTTP://worker.example").unwrap();
        assert_eq!(endpoint.port(), 80);
        assert_eq!(endpoint.path("Stop"), "/prpc/PhactoryAPI.Stop");
        assert_eq!(endpoint.to_string(), "http://worker.example");
    }

    #[test]
    fn v3_f46_https_is_spoken_on_port_443_unless_told() {
        let endpoint = parse("HTTPS://worker.example/a").unwrap();
        assert_eq!((endpoint.port(), endpoint.is_secure()), (443, true));
        assert_eq!(endpoint.to_string(), "https://worker.example/a");
        assert_eq!(parse("https://worker.example:8443").unwrap().port(), 8443);
        assert!(!parse("http://worker.example").unwrap().is_secure());
    }

    #[test]
    fn ipv6_addresses_lose_their_brackets_for_connecting_only() {
        let endpoint = parse("http://[::1]:8000").unwrap();
        assert_eq!(endpoint.host(), "::1");
        assert_eq!(endpoint.authority(), "[::1]:8000");
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        assert_eq!(parse("ftp://a:1"), Err(BadEndpoint::Scheme { scheme: "ftp".into() }));
        assert!(matches!(parse("10.0.0.1:8000"), Err(BadEndpoint::Malformed { .. })));
    }

    #[test]
    fn an_address_with_a_password_is_refused_without_repeating_it() {
        let error = parse("http://user:secret@a:1").unwrap_err();
        assert_eq!(error, BadEndpoint::Credentials);
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://a:1/?x",
            "http://a b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
