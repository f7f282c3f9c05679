//! Faults of workers, source and store.

use super::tally::Tally;
use prb_core::{
    port::worker::Refusal,
    testkit::{
        Corruption, Dice, FakeChain, FakeSource, FakeWorker, ScriptedStore, SourceCall, SourceFault,
        StoreCall, StoreFault, WorkerFault,
    },
};
use std::time::Duration;

/// A fault in one call of so many, until the relay chain is at `calm`.
#[derive(Clone)]
pub struct Plague {
    pub dice: Dice,
    pub tally: Tally,
    pub once_in: u64,
    pub calm: u32,
    pub chain: FakeChain,
}

impl Plague {
    fn strike(&mut self) -> bool {
        self.chain.tips().relay.0 < self.calm && self.dice.once_in(self.once_in)
    }

    /// One with dice of its own, so that one fake's calls do not change another's faults.
    fn fork(&mut self) -> Self {
        Self { dice: Dice::new(self.dice.roll()), ..self.clone() }
    }

    pub fn worker(&mut self, worker: &FakeWorker) {
        let mut plan = self.fork();
        worker.hook().set(move |_| {
            if !plan.strike() {
                return None;
            }
            let time = Duration::from_secs(1 + plan.dice.below(60));
            let (what, fault) = match plan.dice.below(10) {
                0 => ("unreachable", WorkerFault::Unreachable),
                1 => ("connection lost", WorkerFault::Break),
                2 => ("answer lost", WorkerFault::BreakAfter),
                3 => ("no answer in time", WorkerFault::Hang(time)),
                4 => ("answer too late", WorkerFault::HangAfter(time)),
                5 => ("slow", WorkerFault::Slow(time)),
                6 => ("busy", WorkerFault::Refuse(Refusal::Busy, "RCU in progress, please try again later")),
                7 => ("refused", WorkerFault::Refuse(Refusal::Other, "scripted")),
                8 => ("did nothing", WorkerFault::Lie),
                _ => ("rebooted in a call", WorkerFault::Reboot),
            };
            plan.tally.count("worker", what);
            Some(fault)
        });
    }

    pub fn source(&mut self, source: &FakeSource) {
        let mut plan = self.fork();
        source.hook().set(move |call| {
            if !plan.strike() {
                return None;
            }
            let corruptions: &[Corruption] = match call {
                SourceCall::Genesis => &Corruption::GENESIS,
                SourceCall::RelayBatch(_) => &Corruption::BATCH,
                SourceCall::ParaHead(_) => &Corruption::HEAD,
                SourceCall::ParaHeaders(_) => &Corruption::PARA_HEADERS,
                SourceCall::Changes(_) => &Corruption::CHANGES,
                SourceCall::Tips | SourceCall::WaitForTip => &[],
            };
            let (what, fault) = match plan.dice.below(4) {
                0 => ("no answer in time", SourceFault::Hang(Duration::from_secs(1 + plan.dice.below(30)))),
                1 => ("block missing", SourceFault::Missing),
                2 if !corruptions.is_empty() => {
                    ("wrong data", SourceFault::Corrupt(plan.dice.pick(corruptions)))
                }
                _ => ("connection lost", SourceFault::Unreachable),
            };
            plan.tally.count("source", what);
            Some(fault)
        });
    }

    pub fn store(&mut self, store: &ScriptedStore) {
        let mut plan = self.fork();
        store.hook().set(move |call| {
            if !plan.strike() {
                return None;
            }
            let (what, fault) = match (call, plan.dice.below(3)) {
                (StoreCall::Append, 0) => ("answer lost", StoreFault::LostReply),
                (StoreCall::Append, 1) => ("disk full", StoreFault::DiskFull),
                (_, 2) => ("slow", StoreFault::Slow(Duration::from_millis(plan.dice.below(3000)))),
                _ => ("unreachable", StoreFault::Unreachable),
            };
            plan.tally.count("store", what);
            Some(fault)
        });
    }
}
