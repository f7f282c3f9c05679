//! A gatekeeper: it watches who answers the chain's heartbeat challenges, and reports who does not.
//!
//! It reads finalized blocks only, so that no fork misleads it. A worker whose answer is not on chain within the
//! deadline is reported offline; an answer that comes later reports it back, as on the live chains.

use std::collections::{BTreeMap, VecDeque};

use codec::{Decode, Encode};
use sp_core::{Pair as _, U256, sr25519};
use sp_crypto_hashing::blake2_256;
use sp_keyring::Sr25519Keyring;

use crate::chain::Chain;
use crate::runtime::para::types::{
    Message, MessageOrigin, SYSTEM_EVENT_TOPIC, SessionInfo, SignedMessage, SystemEvent,
    WORKING_REPORT_TOPIC, WORKING_UPDATE_TOPIC, WorkerEvent, WorkerPublicKey, WorkerState,
    WorkingInfoUpdateEvent, WorkingReportEvent,
};
use crate::runtime::para::{Act, Edition, Runtime, Signing, computation, mq};

/// The account that brings reports in.
const SIGNER: Sr25519Keyring = Sr25519Keyring::Ferdie;

/// The gatekeepers' common key.
pub(super) fn master_key() -> sr25519::Pair {
    sr25519::Pair::from_seed(&blake2_256(b"prb dev gatekeeper"))
}

/// What it knows of the workers that compute.
pub(super) struct Gatekeeper {
    /// Blocks from a challenge until its answer is late.
    deadline: u32,
    /// The next block to read.
    next: u32,
    workers: BTreeMap<WorkerPublicKey, Watched>,
}

#[derive(Default)]
struct Watched {
    /// Blocks with challenges that wait for an answer, oldest first.
    waiting: VecDeque<u32>,
    /// An answer is late, and none came since.
    late: bool,
    /// It was late once: its state on chain may need a report.
    known_late: bool,
    /// The worker was told that it is unresponsive: it answers no challenge.
    paused: bool,
}

impl Gatekeeper {
    pub(super) fn new(deadline: u32) -> Self {
        Self { deadline, next: 1, workers: BTreeMap::new() }
    }

    /// A transaction with the report that is due in the next block of `chain`, if one is.
    pub(super) fn report(&mut self, chain: &Chain, edition: &Edition) -> Option<Vec<u8>> {
        while self.next <= chain.finalized_number() {
            let block = chain.block_at(self.next)?;
            let key = mq::OutboundMessages::<Runtime>::hashed_key();
            let messages: Vec<Message> = chain.read_as(&key, Some(block.hash)).unwrap_or_default();
            self.read(self.next, &messages);
            self.next += 1;
        }
        let best = chain.best();
        let (mut offline, mut recovered_to_online) = (Vec::new(), Vec::new());
        for (worker, watched) in self.workers.iter().filter(|(_, watched)| watched.known_late) {
            match (state(chain, worker), watched.late) {
                (Some(WorkerState::WorkerIdle), true) => offline.push(*worker),
                (Some(WorkerState::WorkerUnresponsive), false) => recovered_to_online.push(*worker),
                _ => {}
            }
        }
        if offline.is_empty() && recovered_to_online.is_empty() {
            return None;
        }
        let timestamp = pallet_timestamp::Now::<Runtime>::hashed_key();
        let update = WorkingInfoUpdateEvent {
            block_number: best.header.number,
            timestamp_ms: chain.read_as(&timestamp, Some(best.hash))?,
            offline,
            recovered_to_online,
            settle: Vec::new(),
        };
        let ingress = mq::OffchainIngress::<Runtime>::hashed_key_for(MessageOrigin::Gatekeeper);
        let sequence: u64 = chain.read_as(&ingress, Some(best.hash)).unwrap_or_default();
        let message = Message {
            sender: MessageOrigin::Gatekeeper,
            destination: WORKING_UPDATE_TOPIC.to_vec(),
            payload: update.encode(),
        };
        let mut signed_message = SignedMessage { message, sequence, signature: Vec::new() };
        signed_message.signature = master_key().sign(&signed_message.signed_bytes()).0.to_vec();
        let nonce = chain.call_typed("AccountNonceApi_account_nonce", &SIGNER.to_account_id(), None).ok()?;
        let (version, signer) = (&chain.runtime_version(None).ok()?, &SIGNER.pair());
        let signing = Signing { version, genesis: chain.genesis_hash(), signer, nonce, tip: 0 };
        Some((edition.sign)(&signing, Act::Message(signed_message)))
    }

    /// Takes in the messages of a block.
    fn read(&mut self, number: u32, messages: &[Message]) {
        for message in messages {
            let payload = &mut &message.payload[..];
            match &message.sender {
                MessageOrigin::Pallet(_) if message.destination == SYSTEM_EVENT_TOPIC => {
                    match SystemEvent::decode(payload) {
                        Ok(SystemEvent::WorkerEvent { pubkey, event }) => self.told(pubkey, &event),
                        Ok(SystemEvent::HeartbeatChallenge { seed, online_target }) => {
                            self.challenged(number, seed, online_target);
                        }
                        Err(_) => {}
                    }
                }
                MessageOrigin::Worker(worker) if message.destination == WORKING_REPORT_TOPIC => {
                    if let Ok(report) = WorkingReportEvent::decode(payload) {
                        self.answered(worker, &report);
                    }
                }
                _ => {}
            }
        }
        for watched in self.workers.values_mut() {
            let late = |challenge: &u32| number.saturating_sub(*challenge) > self.deadline;
            if watched.waiting.front().is_some_and(late) {
                watched.waiting.clear();
                (watched.late, watched.known_late) = (true, true);
            }
        }
    }

    fn told(&mut self, worker: WorkerPublicKey, event: &WorkerEvent) {
        match event {
            WorkerEvent::Started { .. } => drop(self.workers.insert(worker, Watched::default())),
            WorkerEvent::Stopped => drop(self.workers.remove(&worker)),
            WorkerEvent::EnterUnresponsive | WorkerEvent::ExitUnresponsive => {
                if let Some(watched) = self.workers.get_mut(&worker) {
                    watched.paused = *event == WorkerEvent::EnterUnresponsive;
                    watched.waiting.clear();
                }
            }
            _ => {}
        }
    }

    fn challenged(&mut self, number: u32, seed: U256, target: U256) {
        for (worker, watched) in &mut self.workers {
            let id = U256::from_big_endian(&blake2_256(&worker.0));
            if !watched.paused && !watched.late && (id ^ seed) <= target {
                watched.waiting.push_back(number);
            }
        }
    }

    fn answered(&mut self, worker: &WorkerPublicKey, report: &WorkingReportEvent) {
        let Some(watched) = self.workers.get_mut(worker) else { return };
        let (WorkingReportEvent::Heartbeat { challenge_block, .. }
        | WorkingReportEvent::HeartbeatV2 { challenge_block, .. }) = *report;
        watched.waiting.retain(|challenge| *challenge > challenge_block);
        watched.late = false;
    }
}

/// State of a worker's session in the best block.
fn state(chain: &Chain, worker: &WorkerPublicKey) -> Option<WorkerState> {
    let binding = computation::WorkerBindings::<Runtime>::hashed_key_for(worker);
    let session: crate::runtime::AccountId = chain.read_as(&binding, None)?;
    let info: SessionInfo =
        chain.read_as(&computation::Sessions::<Runtime>::hashed_key_for(&session), None)?;
    Some(info.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker() -> WorkerPublicKey {
        sr25519::Public::from_raw([7; 32])
    }

    fn from_chain(event: &SystemEvent) -> Message {
        Message {
            sender: MessageOrigin::Pallet(b"PhalaComputation".to_vec()),
            destination: SYSTEM_EVENT_TOPIC.to_vec(),
            payload: event.encode(),
        }
    }

    fn told(event: WorkerEvent) -> Message {
        from_chain(&SystemEvent::WorkerEvent { pubkey: worker(), event })
    }

    fn challenge() -> Message {
        from_chain(&SystemEvent::HeartbeatChallenge { seed: U256::zero(), online_target: U256::MAX })
    }

    fn answer(challenge_block: u32) -> Message {
        let report = WorkingReportEvent::Heartbeat {
            session_id: 0,
            challenge_block,
            challenge_time: 0,
            iterations: 0,
        };
        Message {
            sender: MessageOrigin::Worker(worker()),
            destination: WORKING_REPORT_TOPIC.to_vec(),
            payload: report.encode(),
        }
    }

    fn watching() -> Gatekeeper {
        let mut gatekeeper = Gatekeeper::new(3);
        gatekeeper.read(1, &[told(WorkerEvent::Started { session_id: 0, init_v: 0, init_p: 0 })]);
        gatekeeper
    }

    #[test]
    fn a_worker_is_late_once_its_answer_is_not_there_after_the_deadline_and_an_answer_makes_it_good() {
        let mut gatekeeper = watching();
        gatekeeper.read(2, &[challenge()]);
        for block in 3..=5 {
            gatekeeper.read(block, &[]);
            assert!(!gatekeeper.workers[&worker()].late, "block {block}");
        }
        gatekeeper.read(6, &[]);
        assert!(gatekeeper.workers[&worker()].late);
        gatekeeper.read(7, &[answer(2)]);
        assert!(!gatekeeper.workers[&worker()].late);
    }

    #[test]
    fn an_answer_in_time_counts_for_all_challenges_up_to_its_own() {
        let mut gatekeeper = watching();
        gatekeeper.read(2, &[challenge()]);
        gatekeeper.read(3, &[challenge()]);
        gatekeeper.read(5, &[answer(3)]);
        (6..20).for_each(|block| gatekeeper.read(block, &[]));
        assert!(!gatekeeper.workers[&worker()].late);
    }

    #[test]
    fn a_worker_that_is_told_to_pause_or_to_stop_owes_no_answers() {
        for event in [WorkerEvent::EnterUnresponsive, WorkerEvent::Stopped] {
            let mut gatekeeper = watching();
            gatekeeper.read(2, &[challenge(), told(event)]);
            (3..20).for_each(|block| gatekeeper.read(block, &[challenge()]));
            assert!(gatekeeper.workers.get(&worker()).is_none_or(|watched| !watched.late));
        }
    }
}
