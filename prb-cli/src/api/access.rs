//! Who may read and who may change.
//!
//! Whoever is on this machine may do both, and whoever shows the token. But a browser on this machine is here too, whatever
//! page it shows, so nothing is answered that was asked of a name which only pretends to be this machine (`Host`: a name that its
//! owner points here, DNS rebinding), and no change is made that a page of somebody else asks for (`Origin`); what that page reads
//! no browser gives it. Whoever shows the token is no such page.

use super::reply::Reply;
use crate::config::Network;
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{self, HeaderName, HeaderValue},
    http::uri::Authority,
};
use prb_store::server::Token;
use std::net::IpAddr;

/// Who may do what.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub(super) token: Option<Token>,
    /// Whether everybody may change things.
    pub(super) unauthenticated: bool,
    /// Who may without a token.
    pub(super) from: Vec<Network>,
    /// Names by which browsers may come, and whose pages may ask.
    pub(super) hosts: Vec<String>,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To see whether it is well. What watches over services has names for them that nobody has listed, and is told nothing that a
    /// page could use.
    Probe,
    Read,
    /// What may be more than reading.
    Change,
}

/// What a proxy puts in for whom it asks: whoever that is, he is not on this machine.
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-real-ip"];
/// The beginning of what else it may put in.
const FORWARDED_TOO: &str = "x-forwarded-";

impl Access {
    /// Whether somebody at `peer` may ask with these headers.
    pub(super) fn check(&self, peer: IpAddr, headers: &HeaderMap, aim: Aim) -> Result<(), Reply> {
        let shown = headers.get(header::AUTHORIZATION).map(|value| as_tokens_are_shown(value.as_bytes()));
        if self.token.as_ref().is_some_and(|token| token.is_shown(shown.as_deref())) {
            return Ok(());
        }
        let peer = peer.to_canonical();
        let forwarded = headers.keys().map(HeaderName::as_str).any(is_forwarded);
        let known = (peer.is_loopback() && !forwarded) || self.from.iter().any(|net| net.contains(peer));
        // Who may change everything may read it.
        let changes = aim == Aim::Change;
        let open = self.unauthenticated || (!changes && self.token.is_none());
        if !known && !open {
            return Err(unauthorized(if changes { "changes" } else { "this" }));
        }
        match aim {
            Aim::Probe => Ok(()),
            Aim::Read => self.hosts_of(headers).map(drop),
            Aim::Change => self.check_page(headers),
        }
    }

    /// By which names it is asked; refuses those that are not its own.
    fn hosts_of(&self, headers: &HeaderMap) -> Result<Vec<Authority>, Reply> {
        let host = |value: &HeaderValue| {
            let host = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
            host.filter(|host| self.is_ours(host.host())).ok_or_else(|| foreign("Host", value.as_bytes()))
        };
        headers.get_all(header::HOST).iter().map(host).collect()
    }

    /// Refuses what a browser asks for the page of somebody else.
    fn check_page(&self, headers: &HeaderMap) -> Result<(), Reply> {
        let hosts = self.hosts_of(headers)?;
        for value in headers.get_all(header::ORIGIN) {
            let origin = value.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
            let origin = origin.as_ref().and_then(Uri::authority);
            let same = |origin: &Authority| hosts.iter().any(|host| host == origin);
            if !origin.is_some_and(|origin| same(origin) || self.is_listed(origin.host())) {
                return Err(foreign("Origin", value.as_bytes()));
            }
        }
        Ok(())
    }

    /// Whether a name cannot be one that somebody else points here.
    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost") || self.is_listed(host)
    }

    fn is_listed(&self, host: &str) -> bool {
        self.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
    }
}

fn is_forwarded(name: &str) -> bool {
    FORWARDED.contains(&name) || name.starts_with(FORWARDED_TOO)
}

/// What shows a token, with the scheme's name in its usual case: any is meant.
fn as_tokens_are_shown(value: &[u8]) -> Vec<u8> {
    const SCHEME: &[u8] = b"Bearer ";
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            [SCHEME, token.trim_ascii_start()].concat()
        }
        _ => value.to_vec(),
    }
}

fn unauthorized(what: &str) -> Reply {
    let message = format!(
        "{what} from another machine needs the token (`Authorization: Bearer ...`, api.token_file) or a place in \
         api.allow_from"
    );
    Reply::error(StatusCode::UNAUTHORIZED, "Unauthorized", message).with(header::WWW_AUTHENTICATE, "Bearer")
}

fn foreign(name: &str, value: &[u8]) -> Reply {
    let value: String = String::from_utf8_lossy(value).chars().take(100).collect();
    let message = format!(
        "{name} {value:?} is not this API: a page from elsewhere may not ask it; name it in api.allow_hosts if it may"
    );
    Reply::error(StatusCode::FORBIDDEN, "Forbidden", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = [(&'static str, &'static str)];

    const TOKEN: &str = "Bearer a-token-of-some-length";
    const HERE: &str = "127.0.0.1";
    const AWAY: &str = "10.0.0.9";

    fn access(token: bool) -> Access {
        let token = token.then(|| Token::new("a-token-of-some-length").unwrap());
        Access { token, ..Access::default() }
    }

    fn asked(access: &Access, peer: &str, changes: bool, headers: &Headers) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let aim = if changes { Aim::Change } else { Aim::Read };
        access.check(peer.parse().unwrap(), &map, aim).map_or_else(|reply| reply.status.as_u16(), |()| 200)
    }

    #[test]
    fn who_is_elsewhere_changes_nothing_without_a_token_or_a_place_in_the_list() {
        let listed = Access { from: vec!["10.0.0.0/24".parse().unwrap()], ..access(true) };
        let everybody = Access { unauthenticated: true, ..access(false) };
        let shown = [("authorization", TOKEN)];
        let wrong = [("authorization", "Bearer b-token-of-some-length")];
        let other_case = [("authorization", "bearer a-token-of-some-length")];
        let proxied = [("x-forwarded-for", "10.0.0.9")];
        let everybody_or_token = Access { unauthenticated: true, ..access(true) };
        let cases: &[(&Access, &str, bool, &Headers, u16)] = &[
            (&access(false), HERE, true, &[], 200),
            (&access(false), "::1", true, &[], 200),
            (&access(false), "::ffff:127.0.0.1", true, &[], 200),
            (&access(false), AWAY, true, &[], 401),
            (&access(false), AWAY, false, &[], 200),
            (&access(false), AWAY, true, &shown, 401),
            (&access(true), AWAY, true, &shown, 200),
            (&access(true), AWAY, true, &wrong, 401),
            (&access(true), AWAY, false, &[], 401),
            (&access(true), AWAY, false, &shown, 200),
            (&access(true), HERE, true, &[], 200),
            (&access(false), HERE, true, &proxied, 401),
            (&access(true), HERE, false, &proxied, 401),
            (&listed, AWAY, true, &[], 200),
            (&listed, AWAY, false, &[], 200),
            (&listed, "10.0.1.9", true, &[], 401),
            (&everybody, AWAY, true, &[], 200),
            (&everybody_or_token, AWAY, true, &[], 200),
            (&everybody_or_token, AWAY, false, &[], 200),
            (&access(true), AWAY, true, &other_case, 200),
            (&access(false), HERE, true, &[("via", "1.1 proxy")], 401),
            (&access(false), HERE, true, &[("x-real-ip", "10.0.0.9")], 401),
            (&access(false), HERE, true, &[("forwarded", "for=10.0.0.9")], 401),
            (&access(false), HERE, true, &[("x-forwarded-proto", "https")], 401),
            (&access(false), HERE, true, &[("x-forwarded-host", "prb.example")], 401),
        ];
        for (case, (access, peer, changes, headers, expected)) in cases.iter().enumerate() {
            assert_eq!(asked(access, peer, *changes, headers), *expected, "case {case}");
        }
    }

    #[test]
    fn a_page_from_elsewhere_changes_nothing_through_the_browser_of_who_may() {
        let plain = access(true);
        let monitor = Access { hosts: vec!["Monitor.lan".to_owned()], ..access(false) };
        let cases: &[(&Access, bool, &Headers, u16)] = &[
            (&plain, true, &[("host", "127.0.0.1:3001")], 200),
            (&plain, true, &[("host", "[::1]:3001")], 200),
            (&plain, true, &[("host", "LocalHost:3001")], 200),
            (&plain, true, &[("host", "localhost.evil.example:3001")], 403),
            (&plain, true, &[("host", "evil.example:3001")], 403),
            (&plain, true, &[("host", "127.0.0.1:3001"), ("host", "evil.example")], 403),
            (&plain, true, &[("host", "evil.example:3001"), ("origin", "http://evil.example:3001")], 403),
            (&plain, true, &[("host", "127.0.0.1:3001"), ("origin", "http://127.0.0.1:3001")], 200),
            (&plain, true, &[("host", "127.0.0.1:3001"), ("origin", "http://127.0.0.1:8080")], 403),
            (&plain, true, &[("host", "127.0.0.1:3001"), ("origin", "https://evil.example")], 403),
            (&plain, true, &[("host", "127.0.0.1:3001"), ("origin", "null")], 403),
            (&plain, true, &[("origin", "http://127.0.0.1:3001")], 403),
            (&plain, true, &[("host", "evil.example"), ("authorization", TOKEN)], 200),
            (&plain, false, &[("host", "127.0.0.1:3001"), ("origin", "https://evil.example")], 200),
            (&plain, false, &[("host", "evil.example"), ("origin", "https://evil.example")], 403),
            (&plain, false, &[("host", "evil.example:3001")], 403),
            (&plain, false, &[("host", "evil.example"), ("authorization", TOKEN)], 200),
            (&plain, false, &[("host", "[::1]:3001")], 200),
            (&plain, false, &[], 200),
            (&monitor, false, &[("host", "monitor.lan:3000")], 200),
            (&monitor, false, &[("host", "evil.example:3000")], 403),
            (&monitor, true, &[("host", "monitor.lan:3000"), ("origin", "http://monitor.lan:3000")], 200),
            (&monitor, true, &[("host", "127.0.0.1:3001"), ("origin", "http://monitor.lan:3000")], 200),
            (&monitor, true, &[("host", "monitor.lan"), ("origin", "http://evil.example")], 403),
        ];
        for (case, (access, changes, headers, expected)) in cases.iter().enumerate() {
            assert_eq!(asked(access, HERE, *changes, headers), *expected, "case {case}");
        }
        let open = Access { unauthenticated: true, ..Access::default() };
        let page = [("host", "127.0.0.1:3001"), ("origin", "https://evil.example")];
        assert_eq!(asked(&open, AWAY, true, &page), 403, "who lets everybody in does not mean pages");
        assert_eq!(asked(&open, AWAY, false, &[("host", "evil.example")]), 403, "nor to read");
    }

    #[test]
    fn what_watches_over_services_asks_by_whatever_name_but_shows_the_token_where_there_is_one() {
        let named = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("prb:3001"))]);
        let away = AWAY.parse().unwrap();
        assert!(access(false).check(away, &named, Aim::Probe).is_ok());
        assert!(access(true).check(away, &named, Aim::Probe).is_err());
    }
}
