//! What the chain tells the worker to do, block by block: benchmarks, sessions, heartbeats.

use codec::{Decode, Encode};
use sp_core::U256;
use sp_crypto_hashing::blake2_256;

use super::scale::{
    Key, Message, MessageOrigin, RegistryEvent, SystemEvent, WorkerEvent, WorkingReportEvent,
};

/// Topic of events for workers.
pub const SYSTEM_EVENT: &[u8] = b"phala/system/event";
/// Topic of benchmark reports; `^` marks a topic that only the chain consumes.
pub const REGISTRY_EVENT: &[u8] = b"^phala/registry/event";
/// Topic of heartbeats.
pub const MINING_REPORT: &[u8] = b"phala/mining/report";

/// A message to send: topic and payload.
pub type Outgoing = (&'static [u8], Vec<u8>);

/// State of the worker's jobs.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub struct Machine {
    /// A `Registered` event for this worker's key was processed.
    pub registered: bool,
    /// The running benchmark.
    pub bench: Option<Bench>,
    /// The running session.
    pub working: Option<Working>,
    /// The counter behind benchmarks and heartbeats.
    pub work: Work,
}

/// A benchmark asked for by the chain.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Bench {
    /// Block of the request.
    pub start_block: u32,
    /// Timestamp of that block, milliseconds.
    pub start_time: u64,
    /// Counter at that time.
    pub start_iter: u64,
    /// Blocks until the report.
    pub duration: u32,
}

/// A working session.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Working {
    /// Session id.
    pub session_id: u32,
    /// Marked unresponsive: heartbeats are withheld.
    pub paused: bool,
    /// Timestamp of the block that started it, milliseconds.
    pub start_time: u64,
    /// Counter at that time.
    pub start_iter: u64,
}

/// Work done, derived from chain time: a worker with score `s` makes `s` iterations per six seconds
/// between block timestamps, however fast the blocks come. The chain computes
/// `iterations / seconds * 6`, and so finds about `s` again.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub struct Work {
    /// Milliseconds times score; 6000 of these are one iteration.
    units: u128,
    last_time: u64,
}

impl Work {
    fn advance(&mut self, score: u32, now: u64, running: bool) {
        if running {
            self.units += u128::from(now.saturating_sub(self.last_time)) * u128::from(score);
        }
        self.last_time = now;
    }

    /// Iterations so far.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        u64::try_from(self.units / 6000).unwrap_or(u64::MAX)
    }
}

/// A block as the machine sees it.
#[derive(Debug, Clone, Copy)]
pub struct BlockInfo {
    /// Number.
    pub number: u32,
    /// Timestamp, milliseconds.
    pub time: u64,
}

impl Machine {
    /// Processes the messages of a block and its end; returns what the worker says, in order.
    pub fn handle_block(
        &mut self,
        score: u32,
        pubkey: &Key,
        block: BlockInfo,
        messages: &[Message],
    ) -> Vec<Outgoing> {
        let mut out = Vec::new();
        self.work.advance(score, block.time, self.bench.is_some() || self.working.is_some());
        for message in messages {
            let from_pallet = matches!(message.sender, MessageOrigin::Pallet(_));
            if message.destination != SYSTEM_EVENT || !from_pallet {
                continue;
            }
            match SystemEvent::decode(&mut &message.payload[..]) {
                Ok(SystemEvent::WorkerEvent { pubkey: of, event }) if of == *pubkey => {
                    self.handle_event(block, &event);
                }
                Ok(SystemEvent::HeartbeatChallenge { seed, online_target }) => {
                    out.extend(self.heartbeat(pubkey, block, seed, online_target));
                }
                Ok(SystemEvent::WorkerEvent { .. }) | Err(_) => {}
            }
        }
        out.extend(self.finish_bench(block));
        out
    }

    fn handle_event(&mut self, block: BlockInfo, event: &WorkerEvent) {
        let start_iter = self.work.iterations();
        match *event {
            WorkerEvent::Registered { .. } => self.registered = true,
            WorkerEvent::BenchStart { duration } => {
                self.bench =
                    Some(Bench { start_block: block.number, start_time: block.time, start_iter, duration });
            }
            WorkerEvent::BenchScore(_) => {}
            WorkerEvent::Started { session_id, .. } => {
                self.working =
                    Some(Working { session_id, paused: false, start_time: block.time, start_iter });
            }
            WorkerEvent::Stopped => self.working = None,
            WorkerEvent::EnterUnresponsive => self.pause(true),
            WorkerEvent::ExitUnresponsive => self.pause(false),
        }
    }

    fn pause(&mut self, paused: bool) {
        if let Some(working) = &mut self.working {
            working.paused = paused;
        }
    }

    fn heartbeat(&self, pubkey: &Key, block: BlockInfo, seed: U256, target: U256) -> Option<Outgoing> {
        let working = self.working.as_ref().filter(|working| self.registered && !working.paused)?;
        let id = U256::from_big_endian(&blake2_256(pubkey));
        if (id ^ seed) > target {
            return None;
        }
        let heartbeat = WorkingReportEvent::HeartbeatV2 {
            session_id: working.session_id,
            challenge_block: block.number,
            challenge_time: block.time,
            iterations: self.work.iterations() - working.start_iter,
            n_clusters: 0,
            n_contracts: 0,
        };
        Some((MINING_REPORT, heartbeat.encode()))
    }

    fn finish_bench(&mut self, block: BlockInfo) -> Option<Outgoing> {
        let due = |bench: &mut Bench| block.number - bench.start_block >= bench.duration;
        let bench = self.bench.take_if(due)?;
        let report = RegistryEvent::BenchReport {
            start_time: bench.start_time,
            iterations: self.work.iterations() - bench.start_iter,
        };
        Some((REGISTRY_EVENT, report.encode()))
    }
}
