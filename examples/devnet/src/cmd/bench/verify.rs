//! Justifications, against single verification of their signatures as the runtime does it.

use super::{
    Scale,
    report::{Goal, Report},
};
use anyhow::Context;
use codec::Decode;
use prb_chain::verify::justification;
use prb_core::{
    id::{BlockRef, Hash, Height},
    types::grandpa::{AuthoritySet, Justification, precommit_payload},
};
use prb_devnet::{
    chain::Header,
    finality::{JustificationSpec, make_justification},
    runtime::{authorities_for, authority_list},
};
use sp_core::{H256, Pair as _, ed25519};
use std::time::{Duration, Instant};

pub(super) fn run(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    report.part("verification: a justification signed by n validators, against n single verifications");
    for validators in scale.validators {
        let validators = *validators;
        let target = (H256([7; 32]), 1000);
        let spec = JustificationSpec::new(1, 3, target).voted_by(&authorities_for(3, validators));
        let no_headers: &[Header] = &[];
        let bytes = make_justification(no_headers, &spec);
        let list = authority_list(3, validators);
        let list = list.into_iter().map(|(id, weight)| (ed25519::Public::from(id).0, weight)).collect();
        let set = AuthoritySet { id: 3, list };
        let target = BlockRef { height: Height(target.1), hash: Hash(target.0.0) };
        let decoded = Justification::decode(&mut &bytes[..]).context("a justification of our own")?;
        // In turns, so that both see the same machine.
        let (mut batched, mut single) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..scale.verifications {
            let begun = Instant::now();
            justification::check(&set, target, &bytes)?;
            batched += begun.elapsed();
            let begun = Instant::now();
            anyhow::ensure!(all_valid(&decoded, set.id), "a signature of our own is refused");
            single += begun.elapsed();
        }
        let speedup = single.as_secs_f64() / batched.as_secs_f64();
        let each = 1000.0 * batched.as_secs_f64() / f64::from(scale.verifications);
        let text = format!("{validators} validators, {each:.1} ms each, times faster");
        let path = format!("verify.speedup_{validators}");
        if validators == 667 {
            report.goal(&path, &text, speedup, Goal::AtLeast(2.0));
        } else {
            report.figure(&path, &text, speedup);
        }
        report.note(&format!("verify.ms_{validators}"), each);
    }
    Ok(())
}

fn all_valid(justification: &Justification, set_id: u64) -> bool {
    justification.commit.precommits.iter().all(|vote| {
        let payload = precommit_payload(vote.target_hash, vote.target_number, justification.round, set_id);
        let signature = ed25519::Signature::from_raw(vote.signature);
        ed25519::Pair::verify(&signature, payload, &ed25519::Public::from_raw(vote.id))
    })
}
