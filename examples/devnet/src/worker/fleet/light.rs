//! One light worker: counters, key, registration, jobs and messages.

use std::ops::Range;
use std::sync::Arc;

use codec::{Decode, Encode};
use prost::Message as _;
use sp_core::H256;
use sp_crypto_hashing::blake2_256;

use super::reading::{Block, Readings, Run};
use crate::worker::egress::Egress;
use crate::worker::error::{Error, NOT_INITIALIZED, Result};
use crate::worker::identity::Identity;
use crate::worker::machine::{BlockInfo, MINING_REPORT, Machine};
use crate::worker::scale::{
    AttestationReport, GenesisBlockInfo, MessageOrigin, WorkerRegistrationInfoV2, WorkingReportEvent,
};
use crate::worker::version::Version;
use crate::worker::{keys, pb};

/// A worker that believes what it is fed.
pub(super) struct Light {
    identity: Identity,
    score: u32,
    runtime: Option<Runtime>,
}

/// What exists once it is initialised.
struct Runtime {
    genesis_hash: H256,
    registration: WorkerRegistrationInfoV2,
    header_next: u32,
    para_next: u32,
    block_next: u32,
    waiting_for_para: bool,
    state_root: H256,
    block_time: u64,
    machine: Machine,
    egress: Egress,
    /// Storage key of the sequence of its own messages.
    ingress: Vec<u8>,
}

/// What a call did that is worth counting.
#[derive(Clone, Debug, Default)]
pub(super) struct Effect {
    pub(super) initialised: bool,
    /// Last relay header taken.
    pub(super) relay: Option<u32>,
    /// Blocks taken.
    pub(super) blocks: u32,
}

impl Light {
    pub(super) fn new(index: usize, score: u32) -> Self {
        let seed = blake2_256(&("light worker", index as u64).encode());
        let identity = Identity::from_seed(&seed).expect("32 bytes are a seed; qed");
        Self { identity, score, runtime: None }
    }

    pub(super) fn lose_state(&mut self) {
        self.runtime = None;
    }

    pub(super) fn computes(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.machine.working.is_some())
    }

    pub(super) fn next_block(&self) -> u32 {
        self.runtime.as_ref().map_or(0, |runtime| runtime.block_next)
    }

    /// Answers a call.
    pub(super) fn handle(
        &mut self,
        readings: &Readings,
        now: u64,
        method: &str,
        body: &[u8],
    ) -> Result<(Vec<u8>, Effect)> {
        let mut effect = Effect::default();
        let answer = match method {
            "GetInfo" => self.info().encode_to_vec(),
            "InitRuntime" => {
                effect.initialised = true;
                self.init(readings, &decoded(body)?)?.encode_to_vec()
            }
            "SyncHeader" => {
                let request: pb::HeadersToSync = decoded(body)?;
                let synced_to = self.runtime()?.relay(readings, &request.encoded_headers)?;
                effect.relay = Some(synced_to);
                pb::SyncedTo { synced_to }.encode_to_vec()
            }
            "SyncParaHeader" => {
                let request: pb::ParaHeadersToSync = decoded(body)?;
                let synced_to = self.runtime()?.para(readings, &request.encoded_headers)?;
                pb::SyncedTo { synced_to }.encode_to_vec()
            }
            "SyncCombinedHeaders" => {
                let request: pb::CombinedHeadersToSync = decoded(body)?;
                let runtime = self.runtime()?;
                let relay = runtime.relay(readings, &request.encoded_relaychain_headers)?;
                let para = runtime.para(readings, &request.encoded_parachain_headers)?;
                effect.relay = Some(relay);
                pb::HeadersSyncedTo { relaychain_synced_to: relay, parachain_synced_to: para }.encode_to_vec()
            }
            "DispatchBlocks" => {
                let request: pb::Blocks = decoded(body)?;
                let blocks = readings.blocks(&request.encoded_blocks)?;
                effect.blocks = self.dispatch(&blocks)?;
                pb::SyncedTo { synced_to: self.next_block().wrapping_sub(1) }.encode_to_vec()
            }
            "GetRuntimeInfo" => {
                let request: pb::GetRuntimeInfoRequest = decoded(body)?;
                self.runtime_info(now, &request)?.encode_to_vec()
            }
            "GetEgressMessages" => {
                // Before initialisation: the encoding of an empty list.
                let encoded = self.runtime.as_ref().map_or(vec![0], |runtime| runtime.egress.encoded());
                pb::GetEgressMessagesResponse { encoded_messages: encoded }.encode_to_vec()
            }
            "Echo" => body.to_vec(),
            _ => return Err(Error::app(format!("{method} is not supported by a light worker"))),
        };
        Ok((answer, effect))
    }

    pub(super) fn info(&self) -> pb::PhactoryInfo {
        let mut info = pb::PhactoryInfo {
            gatekeeper: Some(pb::GatekeeperStatus::default()),
            version: Version::CURRENT.to_string(),
            git_revision: format!("{}-light", "0".repeat(40)),
            memory_usage: Some(pb::MemoryUsage::default()),
            supported_attestation_methods: vec!["none".to_owned()],
            ..Default::default()
        };
        let Some(runtime) = &self.runtime else { return info };
        let key = hex::encode(self.identity.public());
        let registered = runtime.machine.registered;
        info.initialized = true;
        info.registered = registered;
        info.genesis_block_hash = Some(hex::encode(runtime.genesis_hash));
        info.public_key = Some(key.clone());
        info.ecdh_public_key = Some(key.clone());
        info.headernum = runtime.header_next;
        info.para_headernum = runtime.para_next;
        info.blocknum = runtime.block_next;
        info.state_root = hex::encode(runtime.state_root);
        info.pending_messages = runtime.egress.pending();
        info.score = if runtime.machine.work.iterations() > 0 { self.score.into() } else { 0 };
        info.waiting_for_paraheaders = runtime.waiting_for_para;
        info.current_block_time = runtime.block_time;
        info.system = Some(pb::SystemInfo {
            registered,
            public_key: key.clone(),
            ecdh_public_key: key,
            gatekeeper: Some(pb::GatekeeperStatus::default()),
            ..Default::default()
        });
        info
    }

    /// Queues heartbeats; returns their sequences.
    pub(super) fn queue_heartbeats(&mut self, count: usize) -> Result<Range<u64>> {
        let origin = MessageOrigin::Worker(self.identity.public());
        let runtime = self.runtime.as_mut().ok_or_else(|| Error::app(NOT_INITIALIZED))?;
        let working =
            runtime.machine.working.as_ref().ok_or_else(|| Error::app("the worker does not compute"))?;
        let heartbeat = WorkingReportEvent::HeartbeatV2 {
            session_id: working.session_id,
            challenge_block: runtime.block_next.wrapping_sub(1),
            challenge_time: runtime.block_time,
            iterations: runtime.machine.work.iterations() - working.start_iter,
            n_clusters: 0,
            n_contracts: 0,
        };
        let first = runtime.egress.next_sequence(&origin);
        for _ in 0..count {
            runtime.egress.push(&self.identity, origin.clone(), MINING_REPORT, heartbeat.encode());
        }
        Ok(first..runtime.egress.next_sequence(&origin))
    }

    fn init(
        &mut self,
        readings: &Readings,
        request: &pb::InitRuntimeRequest,
    ) -> Result<pb::InitRuntimeResponse> {
        let genesis: GenesisBlockInfo = scale(&request.encoded_genesis_info)?;
        let operator = request.encoded_operator.as_deref().map(scale).transpose()?;
        if self.runtime.is_some() {
            return Err(Error::app("Runtime already initialized"));
        }
        if request.debug_set_key.is_some() {
            return Err(Error::app("a light worker takes no key from outside"));
        }
        if !request.is_parachain {
            return Err(Error::app("a light worker follows parachains only"));
        }
        let para_id = readings.para_id(&request.encoded_genesis_state)?;
        let (genesis_hash, pubkey) = (genesis.block_header.hash(), self.identity.public());
        let runtime = Runtime {
            genesis_hash,
            registration: WorkerRegistrationInfoV2 {
                version: Version::CURRENT.number(),
                machine_id: Vec::new(),
                pubkey,
                ecdh_pubkey: pubkey,
                genesis_block_hash: genesis_hash,
                features: vec![8, 1],
                operator,
                para_id,
                max_consensus_version: 0,
            },
            header_next: genesis.block_header.number.wrapping_add(1),
            para_next: 0,
            block_next: 1,
            waiting_for_para: false,
            state_root: H256::zero(),
            block_time: 0,
            machine: Machine::default(),
            egress: Egress::default(),
            ingress: keys::offchain_ingress(&MessageOrigin::Worker(pubkey)),
        };
        let response = runtime.response(None);
        self.runtime = Some(runtime);
        Ok(response)
    }

    fn runtime(&mut self) -> Result<&mut Runtime> {
        self.runtime.as_mut().ok_or_else(|| Error::app(NOT_INITIALIZED))
    }

    fn dispatch(&mut self, blocks: &Arc<[Block]>) -> Result<u32> {
        let (identity, score) = (&self.identity, self.score);
        let runtime = self.runtime.as_mut().ok_or_else(|| Error::app(NOT_INITIALIZED))?;
        let (mut taken, next) = (0, runtime.block_next);
        for block in blocks.iter().skip_while(|block| block.number < next) {
            runtime.apply(identity, score, block)?;
            taken += 1;
        }
        Ok(taken)
    }

    fn runtime_info(
        &mut self,
        now: u64,
        request: &pb::GetRuntimeInfoRequest,
    ) -> Result<pb::InitRuntimeResponse> {
        let operator: Option<[u8; 32]> = request.encoded_operator.as_deref().map(scale).transpose()?;
        let runtime = self.runtime()?;
        if operator.is_some() {
            runtime.registration.operator = operator;
        }
        let attestation = pb::Attestation {
            version: 1,
            provider: "null".to_owned(),
            payload: None,
            encoded_report: None::<AttestationReport>.encode(),
            timestamp: now,
        };
        // Like a worker that checks: not before the first block.
        Ok(runtime.response((runtime.block_next > 1).then_some(attestation)))
    }
}

impl Runtime {
    fn response(&self, attestation: Option<pb::Attestation>) -> pb::InitRuntimeResponse {
        let pubkey = self.registration.pubkey.to_vec();
        pb::InitRuntimeResponse {
            encoded_runtime_info: self.registration.encode(),
            encoded_genesis_block_hash: self.genesis_hash.as_bytes().to_vec(),
            encoded_public_key: pubkey.clone(),
            encoded_ecdh_public_key: pubkey,
            attestation,
        }
    }

    /// Takes relay headers; returns the last one it has.
    fn relay(&mut self, readings: &Readings, headers: &[u8]) -> Result<u32> {
        let run = readings.relay_headers(headers)?;
        if let Some(run) = ahead(run, self.header_next)? {
            if !run.justified {
                return Err(Error::app("MissingJustification"));
            }
            self.header_next = run.last.wrapping_add(1);
            self.waiting_for_para = true;
        }
        Ok(self.header_next.wrapping_sub(1))
    }

    /// Takes parachain headers; returns the last one it has.
    fn para(&mut self, readings: &Readings, headers: &[u8]) -> Result<u32> {
        let run = readings.para_headers(headers)?;
        if let Some(run) = ahead(run, self.para_next)? {
            if !self.waiting_for_para {
                return Err(Error::app("RelaychainHeaderNotSynced"));
            }
            self.para_next = run.last.wrapping_add(1);
            self.waiting_for_para = false;
        }
        Ok(self.para_next.wrapping_sub(1))
    }

    fn apply(&mut self, identity: &Identity, score: u32, block: &Block) -> Result<()> {
        if block.number != self.block_next {
            return Err(Error::app("BlockNumberMismatch"));
        }
        if block.number >= self.para_next {
            return Err(Error::app("NoStateRoot"));
        }
        if let Some(next) = block.taken.get(&self.ingress) {
            self.egress.purge(|_| *next);
        }
        let pubkey = self.registration.pubkey;
        self.block_time = block.time.unwrap_or(self.block_time);
        let info = BlockInfo { number: block.number, time: self.block_time };
        for (topic, payload) in self.machine.handle_block(score, &pubkey, info, &block.messages) {
            self.egress.push(identity, MessageOrigin::Worker(pubkey), topic, payload);
        }
        self.state_root = block.state_root;
        self.block_next = self.block_next.wrapping_add(1);
        Ok(())
    }
}

/// What is left of a run for somebody who waits for `next`; a gap before it is an error.
fn ahead(run: Option<Run>, next: u32) -> Result<Option<Run>> {
    match run.filter(|run| run.last >= next) {
        Some(run) if run.first > next => Err(Error::app("BlockNumberMismatch")),
        run => Ok(run),
    }
}

fn decoded<T: prost::Message + Default>(body: &[u8]) -> Result<T> {
    T::decode(body).map_err(Error::decode)
}

fn scale<T: Decode>(mut bytes: &[u8]) -> Result<T> {
    T::decode(&mut bytes).map_err(Error::decode)
}
