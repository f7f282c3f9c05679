//! What the fake parachain does with calls: the parts of Phala's pallets that a bridge meets.

use super::{
    chain::Meddling,
    toy::{self, ToyEvent},
};
use crate::{
    id::{AccountId, Hash, PoolId, WorkerKey},
    port::{CallResult, sink::DispatchError},
    storage_key::{self, StorageKey},
    tx::Call,
    types::{
        attestation::WorkerRegistrationInfoV2,
        facts::{Session, SessionState, WorkerEntry},
        message::{MessageOrigin, SignedMessage},
    },
};
use bytes::Bytes;
use codec::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

pub(super) type State = BTreeMap<StorageKey, Bytes>;

/// One block while it is built.
pub(super) struct Runtime<'a> {
    pub(super) state: State,
    pub(super) changes: BTreeMap<StorageKey, Option<Vec<u8>>>,
    pub(super) events: Vec<ToyEvent>,
    pub(super) start: Hash,
    pub(super) now: u64,
    pub(super) owners: &'a BTreeMap<PoolId, AccountId>,
    pub(super) free_stake: u128,
    pub(super) poison: &'a BTreeSet<(MessageOrigin, u64)>,
}

impl Runtime<'_> {
    pub(super) fn put(&mut self, key: StorageKey, value: Vec<u8>) {
        self.state.insert(key.clone(), value.clone().into());
        self.changes.insert(key, Some(value));
    }

    fn remove(&mut self, key: StorageKey) {
        self.state.remove(&key);
        self.changes.insert(key, None);
    }

    fn get<T: Decode>(&self, key: &StorageKey) -> Option<T> {
        self.state.get(key).and_then(|value| T::decode(&mut value.as_ref()).ok())
    }

    pub(super) fn dispatch(&mut self, call: &Call) -> CallResult {
        match self.execute(call) {
            Ok(()) => CallResult::Ok,
            Err(full) => {
                let (pallet, error) = full.split_once('.').unwrap_or(("", full));
                CallResult::Failed(DispatchError { pallet: Some(pallet.into()), error: error.into() })
            }
        }
    }

    fn execute(&mut self, call: &Call) -> Result<(), &'static str> {
        match call {
            Call::RegisterWorkerV2 { worker, runtime_info, .. } => self.register(*worker, runtime_info),
            Call::RegisterWorker { .. } => Err("PhalaRegistry.PRuntimeRejected"),
            Call::UpdateEndpoint { worker, .. } => {
                self.entry(worker).map(|_| ()).ok_or("PhalaRegistry.WorkerNotFound")
            }
            Call::SyncMessage(message) => self.message(message),
            Call::AddWorker { pool, worker } => self.add_worker(*pool, worker),
            Call::RemoveWorker { pool, worker } => {
                self.assigned(*pool, worker)?;
                self.session_in(*pool, worker, |state| state == SessionState::Ready)
                    .ok_or("PhalaComputation.WorkerIsNotReady")?;
                self.remove(storage_key::worker_assignment(worker));
                self.remove(storage_key::session(&storage_key::session_account(*pool, worker)));
                Ok(())
            }
            Call::StartComputing { pool, worker, stake } => self.start(*pool, worker, *stake),
            Call::StopComputing { pool, worker } => {
                self.assigned(*pool, worker)?;
                let session = self
                    .session_in(*pool, worker, is_computing)
                    .ok_or("PhalaComputation.WorkerNotComputing")?;
                let cool_down_start = self.now / 1000;
                let session = Session { state: SessionState::WorkerCoolingDown, cool_down_start, ..session };
                self.put_session(*pool, worker, &session);
                self.events.push(ToyEvent::Stopped(*worker));
                Ok(())
            }
            Call::ReclaimWorker { pool, worker } => {
                let period: u64 = self.get(&storage_key::cool_down_period()).unwrap_or_default();
                let session = self
                    .session_in(*pool, worker, |state| state == SessionState::WorkerCoolingDown)
                    .filter(|session| self.now / 1000 - session.cool_down_start >= period)
                    .ok_or("PhalaComputation.CoolDownNotReady")?;
                self.remove(storage_key::stake(&storage_key::session_account(*pool, worker)));
                self.put_session(*pool, worker, &Session { state: SessionState::Ready, ..session });
                Ok(())
            }
            Call::RestartComputing { pool, worker, stake } => {
                self.assigned(*pool, worker)?;
                let session = self
                    .session_in(*pool, worker, is_computing)
                    .ok_or("PhalaComputation.WorkerNotComputing")?;
                let key = storage_key::stake(&storage_key::session_account(*pool, worker));
                let old: u128 = self.get(&key).unwrap_or_default();
                if *stake <= old {
                    return Err("PhalaStakePoolv2.CannotRestartWithLessStake");
                }
                if *stake - old > self.free_stake {
                    return Err("PhalaStakePoolv2.InsufficientFreeStake");
                }
                self.put(key, stake.encode());
                self.put_session(*pool, worker, &Session { state: SessionState::WorkerIdle, ..session });
                Ok(())
            }
            Call::CheckWithdraw { .. } | Call::Unbind { .. } => Ok(()),
        }
    }

    fn register(&mut self, worker: WorkerKey, info: &[u8]) -> Result<(), &'static str> {
        let info = WorkerRegistrationInfoV2::decode(&mut &*info).map_err(|_| "PhalaRegistry.InvalidInput")?;
        if info.pubkey != worker {
            return Err("PhalaRegistry.InvalidPubKey");
        }
        if info.genesis_block_hash != self.start {
            return Err("PhalaRegistry.GenesisBlockHashRejected");
        }
        let initial_score = self.entry(&worker).and_then(|entry| entry.initial_score);
        let entry = WorkerEntry {
            pubkey: worker,
            ecdh_pubkey: info.ecdh_pubkey,
            runtime_version: info.version,
            last_updated: self.now / 1000,
            operator: info.operator,
            attestation_provider: None,
            confidence_level: 128,
            initial_score,
        };
        self.put(storage_key::registry_worker(&worker), entry.encode());
        self.events.push(ToyEvent::Registered { worker, benchmark: initial_score.is_none() });
        Ok(())
    }

    fn message(&mut self, signed: &SignedMessage) -> Result<(), &'static str> {
        let sender = &signed.message.sender;
        let key = storage_key::offchain_ingress(sender);
        let next: u64 = self.get(&key).unwrap_or_default();
        if signed.sequence != next {
            return Err("PhalaMq.BadSequence");
        }
        if !toy::is_signed(signed) || self.poison.contains(&(sender.clone(), signed.sequence)) {
            return Err("PhalaMq.InvalidSignature");
        }
        self.put(key, (next + 1).encode());
        if let (MessageOrigin::Worker(worker), true) =
            (sender, signed.message.destination == toy::BENCHMARK_TOPIC)
        {
            // As on chain, a handler that fails does not take the sequence back.
            if let (Some(mut entry), Ok(score)) =
                (self.entry(worker), u32::decode(&mut signed.message.payload.as_slice()))
            {
                entry.initial_score = Some(score);
                self.put(storage_key::registry_worker(worker), entry.encode());
            }
        }
        Ok(())
    }

    fn add_worker(&mut self, pool: PoolId, worker: &WorkerKey) -> Result<(), &'static str> {
        let owner = self.owners.get(&pool).ok_or("PhalaBasePool.PoolDoesNotExist")?;
        let entry = self.entry(worker).ok_or("PhalaStakePoolv2.WorkerNotRegistered")?;
        if entry.operator != Some(*owner) {
            return Err("PhalaStakePoolv2.UnauthorizedOperator");
        }
        if entry.initial_score.is_none() {
            return Err("PhalaStakePoolv2.BenchmarkMissing");
        }
        let key = storage_key::worker_assignment(worker);
        match self.get::<PoolId>(&key) {
            Some(assigned) if assigned == pool => Err("PhalaStakePoolv2.WorkerExists"),
            Some(_) => Err("PhalaStakePoolv2.FailedToBindSessionAndWorker"),
            None => {
                self.put(key, pool.encode());
                let session = new_session(SessionState::Ready, self.now);
                self.put_session(pool, worker, &session);
                Ok(())
            }
        }
    }

    fn start(&mut self, pool: PoolId, worker: &WorkerKey, stake: u128) -> Result<(), &'static str> {
        self.assigned(pool, worker)?;
        if stake > self.free_stake {
            return Err("PhalaStakePoolv2.InsufficientFreeStake");
        }
        let key = storage_key::session(&storage_key::session_account(pool, worker));
        match self.get::<Session>(&key).map(|session| session.state) {
            Some(SessionState::Ready) => {
                let session = new_session(SessionState::WorkerIdle, self.now);
                self.put_session(pool, worker, &session);
                self.put(storage_key::stake(&storage_key::session_account(pool, worker)), stake.encode());
                self.events.push(ToyEvent::Started(*worker));
                Ok(())
            }
            Some(_) => Err("PhalaComputation.WorkerNotReady"),
            None => Err("PhalaComputation.SessionNotFound"),
        }
    }

    fn entry(&self, worker: &WorkerKey) -> Option<WorkerEntry> {
        self.get(&storage_key::registry_worker(worker))
    }

    fn assigned(&self, pool: PoolId, worker: &WorkerKey) -> Result<(), &'static str> {
        match self.get::<PoolId>(&storage_key::worker_assignment(worker)) {
            Some(assigned) if assigned == pool => Ok(()),
            Some(_) => Err("PhalaStakePoolv2.WorkerInAnotherPool"),
            None => Err("PhalaStakePoolv2.WorkerDoesNotExist"),
        }
    }

    /// A worker's session in a pool, if its state is one of those.
    fn session_in(
        &self,
        pool: PoolId,
        worker: &WorkerKey,
        state: impl Fn(SessionState) -> bool,
    ) -> Option<Session> {
        let session =
            self.get::<Session>(&storage_key::session(&storage_key::session_account(pool, worker)))?;
        state(session.state).then_some(session)
    }

    fn put_session(&mut self, pool: PoolId, worker: &WorkerKey, session: &Session) {
        self.put(storage_key::session(&storage_key::session_account(pool, worker)), session.encode());
    }

    /// What others do.
    pub(super) fn meddle(&mut self, meddling: &Meddling) {
        match meddling {
            Meddling::Call(call) => drop(self.dispatch(call)),
            Meddling::Silent { pool, worker, silent } => {
                let state = if *silent { SessionState::WorkerUnresponsive } else { SessionState::WorkerIdle };
                if let Some(session) = self.session_in(*pool, worker, is_computing) {
                    self.put_session(*pool, worker, &Session { state, ..session });
                }
            }
            Meddling::Score { worker, score } => {
                if let Some(entry) = self.entry(worker) {
                    let entry = WorkerEntry { initial_score: Some(*score), ..entry };
                    self.put(storage_key::registry_worker(worker), entry.encode());
                }
            }
        }
    }
}

fn is_computing(state: SessionState) -> bool {
    matches!(state, SessionState::WorkerIdle | SessionState::WorkerUnresponsive)
}

fn new_session(state: SessionState, now: u64) -> Session {
    Session {
        state,
        ve: 0,
        v: 0,
        v_updated_at: now / 1000,
        p_init: 0,
        p_instant: 0,
        iterations: 0,
        working_start_time: now / 1000,
        challenge_time_last: 0,
        cool_down_start: 0,
        total_reward: 0,
    }
}
