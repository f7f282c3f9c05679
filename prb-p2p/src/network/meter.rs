//! Metrics. Labels are of a closed set: nothing that a peer chose becomes one.

use super::{Answer, CallError, Peer};
use crate::{message::Role, method::Method};

pub(super) fn called(method: &str, outcome: &Result<Answer, CallError>) {
    let outcome = match outcome {
        Ok(Answer { result: Ok(_), .. }) => "ok",
        Ok(_) => "error",
        Err(CallError::UnknownPeer) => "unknown_peer",
        Err(CallError::Unreachable(_)) => "unreachable",
        Err(CallError::Timeout) => "timeout",
        Err(CallError::TooLarge) => "too_large",
        Err(CallError::BadAnswer(_)) => "bad_answer",
        Err(CallError::Stopped) => "stopped",
    };
    metrics::counter!("prb_p2p_calls_total", "method" => name(method), "outcome" => outcome).increment(1);
}

pub(super) fn answered(method: &str, outcome: &'static str) {
    metrics::counter!("prb_p2p_answers_total", "method" => name(method), "outcome" => outcome).increment(1);
}

pub(super) fn refused(reason: &'static str) {
    metrics::counter!("prb_p2p_refused_total", "reason" => reason).increment(1);
}

pub(super) fn listed(peers: &[Peer]) {
    for (role, number) in ROLES {
        let of_it = peers.iter().filter(|peer| peer.reachable && peer.role == *number as i32).count();
        metrics::gauge!("prb_p2p_peers", "role" => *role).set(of_it as f64);
    }
}

fn name(method: &str) -> &'static str {
    Method::find(method).map_or("other", Method::name)
}

const ROLES: &[(&str, Role)] = &[
    ("client", Role::Client),
    ("data_provider", Role::DataProvider),
    ("data_provider_external", Role::DataProviderExternal),
    ("lifecycle_manager", Role::LifecycleManager),
    ("trader", Role::Trader),
];
