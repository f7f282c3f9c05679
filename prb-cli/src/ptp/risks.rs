//! What is told of a network that strangers can join.

use crate::config::{P2p, Providers};

/// What anybody may do who joins, and whom nothing is read from for that reason.
pub(crate) fn risks(p2p: &P2p, reads: Option<&Providers>) -> Vec<&'static str> {
    let mut risks = Vec::new();
    if p2p.allow_unauthenticated {
        risks.push("p2p.allow_unauthenticated: whoever joins the peer-to-peer network may change everything");
    }
    let Some(reads) = reads.filter(|_| !p2p.is_closed()) else { return risks };
    if p2p.trust_found {
        risks.push(
            "p2p.trust_found: data is read from whoever joins the peer-to-peer network as a data provider, as in PRB v2, and \
             what he lies poisons workers; keep strangers out with p2p.pre_shared_key_file or p2p.only_members, or list \
             your data providers in p2p.members and switch p2p.trust_found off",
        );
    } else if reads.urls.is_empty() && p2p.members.is_empty() && p2p.managers.is_empty() {
        risks.push(
            "no data provider that is found is read from: anybody can join the peer-to-peer network and call himself one; \
             list yours in p2p.members, or keep strangers out with p2p.pre_shared_key_file or p2p.only_members",
        );
    }
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x18_what_anybody_may_do_is_told_with_its_remedy() {
        let (nothing, named) =
            (Providers::default(), Providers { urls: vec!["http://a:1".into()], ..Providers::default() });
        let listed = P2p { members: vec!["12D3".to_owned()], ..P2p::default() };
        let key = P2p { pre_shared_key_file: Some("swarm.key".into()), ..P2p::default() };
        let trusting = |p2p: P2p| P2p { trust_found: true, ..p2p };
        for (p2p, reads, told) in [
            (P2p::default(), None, None),
            (P2p::default(), Some(&nothing), Some("no data provider that is found is read from")),
            (P2p::default(), Some(&named), None),
            (listed.clone(), Some(&nothing), None),
            (key.clone(), Some(&nothing), None),
            (trusting(P2p::default()), Some(&nothing), Some("p2p.trust_found")),
            (trusting(listed), Some(&named), Some("p2p.trust_found")),
            (trusting(key), Some(&nothing), None),
            (trusting(P2p::default()), None, None),
            (P2p { allow_unauthenticated: true, ..P2p::default() }, None, Some("p2p.allow_unauthenticated")),
        ] {
            let risks = risks(&p2p, reads);
            assert_eq!(risks.len(), usize::from(told.is_some()), "{p2p:?}: {risks:?}");
            assert!(told.is_none_or(|told| risks[0].starts_with(told)), "{risks:?}");
        }
    }
}
