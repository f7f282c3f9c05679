use super::*;
use codec::Encode;
use prb_core::{
    id::Hash,
    types::grandpa::{Commit, SignedPrecommit},
};

/// How many equivocate in a justification with these votes, each by voter, target and signature.
fn equivocating(votes: &[(u8, u8, u8)]) -> usize {
    let precommits = votes.iter().map(|(voter, target, signature)| SignedPrecommit {
        target_hash: Hash([*target; 32]),
        target_number: 7,
        signature: [*signature; 64],
        id: [*voter; 32],
    });
    let commit = Commit { target_hash: Hash([1; 32]), target_number: 7, precommits: precommits.collect() };
    equivocators(&Justification { round: 3, commit, votes_ancestries: vec![] }.encode())
}

#[test]
fn equivocators_are_voters_with_different_votes() {
    assert_eq!(equivocating(&[]), 0);
    assert_eq!(equivocating(&[(1, 1, 1), (2, 1, 2), (3, 2, 3)]), 0, "three voters");
    assert_eq!(equivocating(&[(1, 1, 1), (1, 1, 1)]), 0, "a repetition");
    assert_eq!(equivocating(&[(1, 1, 1), (2, 1, 1), (1, 2, 1)]), 1, "another block");
    assert_eq!(equivocating(&[(1, 1, 1), (1, 1, 2)]), 1, "another signature");
    assert_eq!(equivocating(&[(1, 1, 1), (1, 2, 1), (1, 3, 1), (2, 1, 1), (2, 2, 1)]), 2);
    assert_eq!(equivocators(b"no justification"), 0);
}

#[test]
fn addresses_that_differ_in_their_secrets_alone_get_names_of_their_own() {
    let mut taken = BTreeMap::new();
    let mut names = |urls: &[&str]| -> Vec<String> {
        let connections = connections(urls, SourceOptions::default(), &mut taken);
        connections.iter().map(|rpc| rpc.endpoint().to_owned()).collect()
    };
    let relay = names(&["wss://node.example/key1", "ws://10.0.0.1:9944", "wss://node.example/key2"]);
    assert_eq!(relay, ["wss://node.example", "ws://10.0.0.1:9944", "wss://node.example (2)"]);
    // Nodes of both chains at one host differ in their paths alone.
    assert_eq!(names(&["wss://node.example/para"]), ["wss://node.example (3)"]);
}
