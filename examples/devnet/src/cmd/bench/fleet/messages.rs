//! Many messages at once: in how many blocks the chain has them.

use super::{Scale, until, world::World};
use crate::cmd::bench::report::{Goal, Report};
use anyhow::Context;
use codec::{Decode, Encode};
use prb_devnet::{
    chain::Chain,
    runtime::para::{RuntimeCall, UncheckedExtrinsic, mq, types::MessageOrigin},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Blocks a message was in, by sender and sequence.
type Landed = BTreeMap<(Vec<u8>, u64), Vec<u32>>;

pub(super) async fn drain(
    world: &World,
    scale: &Scale,
    workers: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.part(&format!("{} messages wait at once", scale.messages));
    world.at_tip(0..workers).await?;
    let para = world.network.para();
    let (before, begun) = (para.best().header.number, Instant::now());
    let mut queued = BTreeSet::new();
    for worker in 0..workers {
        let key = world.fleet.info(worker).public_key.context("a worker without a key")?;
        let key: [u8; 32] = hex::decode(key)?.try_into().ok().context("a key has 32 bytes")?;
        let sender = MessageOrigin::Worker(key.into()).encode();
        let share = scale.messages / workers + usize::from(worker < scale.messages % workers);
        let sequences = world.fleet.queue_heartbeats(worker, share)?;
        queued.extend(sequences.map(|sequence| (sender.clone(), sequence)));
    }
    // Counted where nothing can be taken back.
    let waiting = || {
        let landed = landed(para, before, para.finalized_number());
        queued.iter().filter(|message| landed.contains_key(*message)).count()
    };
    until("messages are final", queued.len(), waiting).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let landed = landed(para, before, para.best().header.number);
    let duplicates = landed.values().map(|blocks| blocks.len() - 1).sum::<usize>();
    let blocks: BTreeSet<u32> =
        queued.iter().filter_map(|message| landed.get(message)?.first().copied()).collect();
    let spread = blocks.last().zip(blocks.first()).map_or(0, |(last, first)| last - first + 1);
    report.goal(
        "drain_blocks",
        "blocks from the first to the last of them",
        f64::from(spread),
        Goal::AtMost(2.0),
    );
    report.goal("duplicates", "messages sent twice", duplicates as f64, Goal::AtMost(0.0));
    report.figure("drain_s", "from queueing until all are final, s", seconds);
    Ok(())
}

/// Messages in the blocks `after + 1` to `last`.
fn landed(chain: &Chain, after: u32, last: u32) -> Landed {
    let mut landed = Landed::new();
    for number in after + 1..=last {
        let Some(block) = chain.block_at(number) else { continue };
        for raw in &block.extrinsics {
            if let Ok(extrinsic) = UncheckedExtrinsic::decode(&mut &raw[..]) {
                note(&extrinsic.function, number, &mut landed);
            }
        }
    }
    landed
}

fn note(call: &RuntimeCall, number: u32, landed: &mut Landed) {
    match call {
        RuntimeCall::Utility(
            pallet_utility::Call::force_batch { calls } | pallet_utility::Call::batch { calls },
        ) => calls.iter().for_each(|call| note(call, number, landed)),
        RuntimeCall::PhalaMq(mq::Call::sync_offchain_message { signed_message }) => {
            let key = (signed_message.message.sender.encode(), signed_message.sequence);
            landed.entry(key).or_default().push(number);
        }
        _ => {}
    }
}
