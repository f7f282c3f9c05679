//! Faults from a seed.

use super::{
    Dice, FakeSink, FakeSource, FakeState, FakeWorker, ScriptedStore,
    sink::{JobFault, SinkCall, SinkFault},
    source::{Corruption, SourceCall, SourceFault},
    state::StateFault,
    store::{StoreCall, StoreFault},
    worker::WorkerFault,
};
use crate::{
    port::{sink::DispatchError, worker::Refusal},
    tx::Call,
};
use std::time::Duration;
use tokio::time::Instant;

/// A plan of faults: until some time each call of the fakes it is given to meets one with some probability, as
/// the seed decides. After that everything is honest.
///
/// Print the seed with a failing test: the same seed on the paused clock gives the same run.
#[derive(Clone, Debug)]
pub struct Faults {
    dice: Dice,
    once_in: u64,
    until: Instant,
}

impl Faults {
    /// Faults in one call of eight, for ten minutes from now.
    pub fn seeded(seed: u64) -> Self {
        Self { dice: Dice::new(seed), once_in: 8, until: Instant::now() + Duration::from_secs(600) }
    }

    /// A fault in one call of `calls` on average.
    #[must_use]
    pub fn once_in(mut self, calls: u64) -> Self {
        self.once_in = calls.max(1);
        self
    }

    /// Faults for so long from now.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.until = Instant::now() + time;
        self
    }

    /// Makes a source unreliable and lying.
    pub fn plague_source(&mut self, source: &FakeSource) {
        let mut plan = self.fork();
        source.hook().set(move |call| {
            let dice = plan.strike()?;
            let corruptions: &[Corruption] = match call {
                SourceCall::Genesis => &Corruption::GENESIS,
                SourceCall::RelayBatch(_) => &Corruption::BATCH,
                SourceCall::ParaHead(_) => &Corruption::HEAD,
                SourceCall::ParaHeaders(_) => &Corruption::PARA_HEADERS,
                SourceCall::Changes(_) => &Corruption::CHANGES,
                SourceCall::Tips | SourceCall::WaitForTip => &[],
            };
            let fault = match dice.below(8) {
                0 => SourceFault::Unreachable,
                1 => SourceFault::Hang(Duration::from_secs(1 + dice.below(30))),
                2 => SourceFault::Missing,
                3 => SourceFault::TooLarge,
                4 => SourceFault::Nothing,
                5 => SourceFault::Slow(Duration::from_secs(dice.below(10))),
                _ if corruptions.is_empty() => SourceFault::Pruned,
                _ => SourceFault::Corrupt(dice.pick(corruptions)),
            };
            Some(fault)
        });
    }

    /// Makes a store fail sometimes. Damage is left out: a store that keeps damaged data ends ingest for good.
    pub fn plague_store(&mut self, store: &ScriptedStore) {
        let mut plan = self.fork();
        store.hook().set(move |call| {
            let dice = plan.strike()?;
            Some(match (call, dice.below(4)) {
                (StoreCall::Append, 0) => StoreFault::LostReply,
                (StoreCall::Append, 1) => StoreFault::MapFull,
                (StoreCall::Append, 2) => StoreFault::DiskFull,
                (_, 3) => StoreFault::Slow(Duration::from_millis(dice.below(3000))),
                _ => StoreFault::Unreachable,
            })
        });
    }

    /// Makes a worker break, hang, refuse, lie and lose its state.
    pub fn plague_worker(&mut self, worker: &FakeWorker) {
        let mut plan = self.fork();
        worker.hook().set(move |_| {
            let dice = plan.strike()?;
            let time = Duration::from_secs(1 + dice.below(60));
            Some(match dice.below(10) {
                0 => WorkerFault::Unreachable,
                1 => WorkerFault::Break,
                2 => WorkerFault::BreakAfter,
                3 => WorkerFault::Hang(time),
                4 => WorkerFault::HangAfter(time),
                5 => WorkerFault::Slow(time),
                6 => {
                    WorkerFault::Refuse(Refusal::Busy, "RCU in progress, please try the request again later")
                }
                7 => WorkerFault::Refuse(Refusal::Other, "scripted"),
                8 => WorkerFault::Lie,
                _ => WorkerFault::Reboot,
            })
        });
    }

    /// Makes a sink fail, and jobs end in every way.
    pub fn plague_sink(&mut self, sink: &FakeSink) {
        let mut plan = self.fork();
        sink.hook().set(move |call| {
            let dice = plan.strike()?;
            Some(match (call, dice.below(5)) {
                (SinkCall::Submit(..), 0) => SinkFault::Busy,
                (SinkCall::Submit(..), 1) => SinkFault::LostReply,
                (SinkCall::Submit(..), 2) => SinkFault::Journal,
                (_, 3) => SinkFault::Hang(Duration::from_secs(1 + dice.below(20))),
                _ => SinkFault::Unreachable,
            })
        });
        let mut plan = self.fork();
        sink.fate().set(move |call| {
            let dice = plan.strike()?;
            let messages = matches!(call, SinkCall::Submit(_, _, calls)
                if calls.iter().any(|call| matches!(call, Call::SyncMessage(_))));
            let lands_after = (!messages || dice.below(2) == 0).then(|| dice.below(6) as u32);
            let error = DispatchError { pallet: Some("Scripted".into()), error: "Failure".into() };
            Some(match dice.below(5) {
                0 => JobFault::Slow(1 + dice.below(5) as u32),
                1 => JobFault::Expire,
                2 => JobFault::Reject("scripted".into()),
                3 => JobFault::Fail(error),
                _ => JobFault::Unknown { lands_after },
            })
        });
    }

    /// Makes a chain state fail sometimes.
    pub fn plague_state(&mut self, state: &FakeState) {
        let mut plan = self.fork();
        state.hook().set(move |_| {
            let dice = plan.strike()?;
            Some(match dice.below(4) {
                0 => StateFault::Empty,
                1 => StateFault::Hang(Duration::from_secs(1 + dice.below(20))),
                2 => StateFault::Damaged,
                _ => StateFault::Unreachable,
            })
        });
    }

    /// A plan of its own for each fake, so that one fake's calls do not change another's faults.
    fn fork(&mut self) -> Self {
        Self { dice: Dice::new(self.dice.roll()), ..self.clone() }
    }

    fn strike(&mut self) -> Option<&mut Dice> {
        (Instant::now() < self.until && self.dice.once_in(self.once_in)).then_some(&mut self.dice)
    }
}
