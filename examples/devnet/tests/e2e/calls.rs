//! What was done on chain, read off the blocks themselves.

use codec::{Decode, Encode};
use prb_devnet::chain::Chain;
use prb_devnet::runtime::para::types::{AttestationReport, Collateral, SgxV30QuoteCollateral};
use prb_devnet::runtime::para::{RuntimeCall, UncheckedExtrinsic, mq, registry, stake_pool};
use std::collections::BTreeMap;

/// Calls of the bridge in all blocks, by what must not happen twice: the same registration, pool entry, start, message.
pub fn made(chain: &Chain) -> BTreeMap<(&'static str, Vec<u8>), u32> {
    let mut made = BTreeMap::new();
    for number in 1..=chain.best().header.number {
        for raw in &chain.block_at(number).unwrap().extrinsics {
            let extrinsic = UncheckedExtrinsic::decode(&mut &raw[..]).unwrap();
            count(&extrinsic.function, &mut made);
        }
    }
    made
}

fn count(call: &RuntimeCall, made: &mut BTreeMap<(&'static str, Vec<u8>), u32>) {
    let what = match call {
        RuntimeCall::Utility(
            pallet_utility::Call::force_batch { calls } | pallet_utility::Call::batch { calls },
        ) => return calls.iter().for_each(|call| count(call, made)),
        RuntimeCall::PhalaRegistry(registry::Call::register_worker_v2 { pruntime_info, .. }) => {
            ("register", pruntime_info.pubkey.encode())
        }
        RuntimeCall::PhalaRegistry(registry::Call::register_worker { pruntime_info, .. }) => {
            ("register", pruntime_info.pubkey.encode())
        }
        RuntimeCall::PhalaStakePoolv2(stake_pool::Call::add_worker { pubkey, .. }) => {
            ("add", pubkey.encode())
        }
        RuntimeCall::PhalaStakePoolv2(stake_pool::Call::start_computing { worker, .. }) => {
            ("start", worker.encode())
        }
        RuntimeCall::PhalaMq(mq::Call::sync_offchain_message { signed_message }) => {
            ("message", (&signed_message.message.sender, signed_message.sequence).encode())
        }
        _ => return,
    };
    *made.entry(what).or_default() += 1;
}

/// How many calls of each kind were made; none may have been made twice.
pub fn once_each(chain: &Chain) -> BTreeMap<&'static str, u32> {
    let mut kinds = BTreeMap::new();
    for ((kind, what), times) in made(chain) {
        assert_eq!(times, 1, "{kind} {} was sent {times} times", hex::encode(what));
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// The collateral of every registration with a DCAP quote; none where there was none.
pub fn collateral(chain: &Chain) -> Vec<Option<SgxV30QuoteCollateral>> {
    let extrinsics = (1..=chain.best().header.number)
        .flat_map(|number| chain.block_at(number).unwrap().extrinsics.clone());
    let calls = extrinsics.map(|raw| UncheckedExtrinsic::decode(&mut &raw[..]).unwrap().function);
    let calls = calls.flat_map(|call| match call {
        RuntimeCall::Utility(
            pallet_utility::Call::force_batch { calls } | pallet_utility::Call::batch { calls },
        ) => calls,
        call => vec![call],
    });
    let collateral = calls.filter_map(|call| match call {
        RuntimeCall::PhalaRegistry(registry::Call::register_worker_v2 {
            attestation: Some(AttestationReport::SgxDcap { collateral, .. }),
            ..
        }) => Some(collateral.map(|Collateral::SgxV30(collateral)| collateral)),
        _ => None,
    });
    collateral.collect()
}

/// Registrations in these extrinsics.
pub fn registrations(extrinsics: &[Vec<u8>]) -> usize {
    let mut made = BTreeMap::new();
    for raw in extrinsics {
        count(&UncheckedExtrinsic::decode(&mut &raw[..]).unwrap().function, &mut made);
    }
    made.keys().filter(|(kind, _)| *kind == "register").count()
}
