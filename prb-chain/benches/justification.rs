//! Verification of justifications, against single verification of each signature as the runtime does it:
//! `cargo bench -p prb-chain --bench justification`.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod timed;

use codec::Decode;
use criterion::Criterion;
use prb_chain::verify::justification;
use prb_core::{
    id::{BlockRef, Hash, Height},
    types::grandpa::{AuthoritySet, Justification, precommit_payload},
};
use prb_devnet::{
    chain::Header,
    finality::{JustificationSpec, make_justification},
    runtime::authorities_for,
};
use sp_core::{H256, Pair, ed25519};
use timed::{tell, timed};

const SET: u64 = 3;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("justification");
    group.sample_size(10);
    for validators in [100, 300, 667, 1000] {
        let signers = authorities_for(SET, validators);
        let no_headers: &[Header] = &[];
        let spec = JustificationSpec::new(1, SET, (H256([7; 32]), 1000)).voted_by(&signers);
        let bytes = make_justification(no_headers, &spec);
        let list = signers.iter().map(|signer| (signer.public().0, 1)).collect();
        let set = AuthoritySet { id: SET, list };
        let target = BlockRef { height: Height(1000), hash: Hash([7; 32]) };
        let decoded = Justification::decode(&mut &bytes[..]).unwrap();

        let ours = timed(&mut group, &format!("check/{validators}"), || {
            justification::check(&set, target, &bytes).unwrap();
        });
        let single = timed(&mut group, &format!("single/{validators}"), || {
            for vote in &decoded.commit.precommits {
                let payload = precommit_payload(vote.target_hash, vote.target_number, decoded.round, SET);
                let signature = ed25519::Signature::from_raw(vote.signature);
                assert!(ed25519::Pair::verify(&signature, payload, &ed25519::Public::from_raw(vote.id)));
            }
        });
        tell(&format!("a justification of {validators}"), ours, single);
    }
    group.finish();
    criterion.final_summary();
}
