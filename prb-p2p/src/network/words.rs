//! Why a connection failed, in words.

use crate::message::Role;
use libp2p::{
    allow_block_list::NotAllowed,
    connection_limits::Exceeded,
    swarm::{ConnectionDenied, DialError, ListenError},
};
use std::{error::Error, io};

/// Why a dial failed. Keys that differ show as nothing in particular, so that is said.
pub(super) fn dial(error: &DialError, has_key: bool) -> String {
    match error {
        DialError::LocalPeerId { .. } => "it is this node itself".into(),
        DialError::WrongPeerId { obtained, .. } => format!("another peer is there: {obtained}"),
        DialError::Denied { cause } => format!("this node does not allow it ({})", denied(cause)),
        DialError::Transport(errors) => match errors.last() {
            Some((_, error)) => with_hint(error, has_key),
            None => "no address could be dialled".into(),
        },
        other => other.to_string(),
    }
}

/// What is wrong with a connection that a peer began, as a label, and in words if it broke in the handshake.
pub(super) fn incoming(error: &ListenError, has_key: bool) -> (&'static str, Option<String>) {
    match error {
        ListenError::Denied { cause } => (denied(cause), None),
        ListenError::LocalPeerId { .. } => ("own", None),
        ListenError::Transport(error) if causes(error).any(is_full) => ("limit", None),
        ListenError::Transport(error) => ("handshake", Some(with_hint(error, has_key))),
        ListenError::Aborted | ListenError::WrongPeerId { .. } => ("handshake", None),
    }
}

/// The name of a role in `Got my peer id as`, that of its identity file in v2.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Client => "CLIENT",
        Role::DataProvider => "DATA_PROVIDER",
        Role::DataProviderExternal => "DATA_PROVIDER_EXT",
        Role::LifecycleManager => "LIFECYCLE",
        Role::Trader => "TRADE",
    }
}

/// What is at the bottom of an error.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

fn denied(cause: &ConnectionDenied) -> &'static str {
    if cause.downcast_ref::<Exceeded>().is_some() {
        "limit"
    } else if cause.downcast_ref::<NotAllowed>().is_some() {
        "not_allowed"
    } else {
        "denied"
    }
}

fn with_hint(error: &(dyn Error + 'static), has_key: bool) -> String {
    let root = root(error);
    if causes(error).any(|cause| is_no_connection(cause) || is_full(cause)) {
        return root;
    }
    let hint = if has_key { "has another pre-shared key, or none," } else { "wants a pre-shared key" };
    format!("{root} (a peer that {hint} shows like this)")
}

/// Whether it failed before a byte was exchanged.
fn is_no_connection(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable)
    })
}

/// Whether there is no room for it.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::QuotaExceeded)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // An I/O error passes over what it wraps when it is asked for its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::TransportError;

    fn failed(error: io::Error) -> DialError {
        DialError::Transport(vec![("/ip4/10.0.0.1/tcp/1".parse().unwrap(), TransportError::Other(error))])
    }

    #[test]
    fn a_handshake_that_fails_names_the_key_and_a_refusal_does_not() {
        let silent = || failed(io::Error::other(io::Error::other("nothing came")));
        assert_eq!(
            dial(&silent(), true),
            "nothing came (a peer that has another pre-shared key, or none, shows like this)"
        );
        assert_eq!(
            dial(&silent(), false),
            "nothing came (a peer that wants a pre-shared key shows like this)"
        );
        let refused = failed(io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert_eq!(dial(&refused, true), "connection refused");
    }
}
