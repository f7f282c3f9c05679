//! A model worker that enforces a pRuntime's rules on what it is sent.

mod handover;
mod machine;

use super::hook::Hook;
use crate::{
    id::{AccountId, Hash, Height, WorkerKey},
    port::{
        WorkerDriver, WorkerError, WorkerInfo,
        worker::{
            BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest, Refusal, RuntimeInfo, SignedEndpoints,
        },
    },
    tx::Call,
    types::{
        attestation::{VersionedWorkerEndpoints, WorkerEndpointPayload},
        message::{EgressMessages, MessageOrigin},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use codec::Encode;
use machine::{Broke, Machine};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A call of a [`FakeWorker`], as its hook sees it: the pRPC method.
pub type WorkerCall = &'static str;

/// What goes wrong with a call of a [`FakeWorker`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerFault {
    /// No connection can be made.
    Unreachable,
    /// The worker refuses with these words.
    Refuse(Refusal, &'static str),
    /// The connection breaks before the worker has done anything.
    Break,
    /// The worker does what is asked; then the connection breaks.
    BreakAfter,
    /// No answer for so long; then the driver gives up. Nothing is done.
    Hang(Duration),
    /// The worker does what is asked and answers too late.
    HangAfter(Duration),
    /// The answer takes so long.
    Slow(Duration),
    /// The worker dies and comes back without its state, with its key.
    Reboot,
    /// The worker claims success and does nothing.
    Lie,
    /// The driver itself panics.
    Panic,
}

/// [`WorkerDriver`] of a worker in memory. Its key follows from its name.
///
/// It checks what a pRuntime 2.2 checks: counters, links, justifications under the set it tracks itself, parachain
/// head proofs under its relay root, state roots. Workers with an older version want set changes in the request.
#[derive(Clone)]
pub struct FakeWorker {
    shared: Arc<Shared>,
    /// How often it had moved when this handle was made.
    address: u32,
}

struct Shared {
    name: String,
    hook: Hook<WorkerCall, WorkerFault>,
    /// Held for the length of a call: one is in flight at a time.
    line: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// How often it has moved.
    address: u32,
    machine: Machine,
    checkpoint: Option<Machine>,
    latency: Duration,
    calls: Vec<WorkerCall>,
    refused: Vec<String>,
}

impl FakeWorker {
    /// A fresh worker.
    pub fn new(name: &str) -> Self {
        let key = WorkerKey(Hash::of(name.as_bytes()).0);
        let shared = Shared {
            name: name.to_owned(),
            hook: Hook::default(),
            line: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                address: 0,
                machine: Machine::new(key, "2.2.0".into()),
                checkpoint: None,
                latency: Duration::from_millis(1),
                calls: Vec::new(),
                refused: Vec::new(),
            }),
        };
        Self { shared: Arc::new(shared), address: 0 }
    }

    /// The same worker with another version, for example `2.0.1`, which wants set changes in the request.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.state().machine.version = version.to_owned();
        self
    }

    /// The same worker, speaking for this sender too (a gatekeeper, a cluster).
    #[must_use]
    pub fn speaks_for(self, sender: MessageOrigin) -> Self {
        self.state().machine.others.push(sender);
        self
    }

    /// How long each call takes; 1 ms unless told.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        self.state().latency = latency;
        self
    }

    /// What goes wrong.
    pub fn hook(&self) -> &Hook<WorkerCall, WorkerFault> {
        &self.shared.hook
    }

    /// Its identity key.
    pub fn key(&self) -> WorkerKey {
        self.state().machine.key
    }

    /// What it would say of itself.
    pub fn peek(&self) -> WorkerInfo {
        self.state().machine.info()
    }

    /// The call that registers it for `operator`, as another program would make it. None before it is initialised.
    pub fn registration(&self, operator: AccountId) -> Option<Call> {
        let mut machine = self.state().machine.clone();
        let info = machine.runtime_info(Some(operator)).ok()?;
        let runtime_info = info.encoded_runtime_info.to_vec();
        Some(Call::RegisterWorkerV2 { worker: info.public_key, runtime_info, attestation: vec![0] })
    }

    /// It dies and comes back without its state; its key stays.
    pub fn reboot(&self) {
        let mut state = self.state();
        state.machine = state.machine.fresh();
    }

    /// It comes back without its state and with another key.
    pub fn replace_key(&self) {
        let mut state = self.state();
        state.machine = state.machine.fresh();
        state.machine.key = WorkerKey(Hash::of(&state.machine.key.0).0);
        state.machine.sealed = None;
        state.checkpoint = None;
    }

    /// It dies and comes back from its last checkpoint; without one, without its state.
    pub fn restore(&self) {
        let mut state = self.state();
        state.machine = state.checkpoint.clone().unwrap_or_else(|| state.machine.fresh());
        state.machine.can_load = false;
    }

    /// It is behind another endpoint from now on: the handle in the answer reaches it, others do not any more.
    #[must_use]
    pub fn move_away(&self) -> Self {
        let mut state = self.state();
        state.address += 1;
        Self { shared: self.shared.clone(), address: state.address }
    }

    /// All calls so far, by method.
    pub fn calls(&self) -> Vec<WorkerCall> {
        self.state().calls.clone()
    }

    /// What it refused by itself (not by script). Without faults this stays empty.
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: script, latency, then the machine.
    async fn call<T>(
        &self,
        method: WorkerCall,
        lie: impl FnOnce(&Machine) -> Option<T>,
        work: impl FnOnce(&mut Machine) -> Result<T, Broke>,
    ) -> Result<T, WorkerError> {
        let _line = self.shared.line.lock().await;
        let endpoint = self.endpoint();
        let latency = {
            let mut state = self.state();
            if state.address != self.address {
                return Err(WorkerError::Unreachable { endpoint, cause: "it has moved".into() });
            }
            if state.calls.len() < 100_000 {
                state.calls.push(method);
            }
            state.latency
        };
        tokio::time::sleep(latency).await;
        let broken = || WorkerError::Broken { endpoint: endpoint.clone(), method, cause: "scripted".into() };
        let late = |time: Duration| WorkerError::Timeout {
            endpoint: endpoint.clone(),
            method,
            seconds: time.as_secs(),
        };
        let fault = self.shared.hook.ask(&method);
        match &fault {
            Some(WorkerFault::Unreachable) => {
                return Err(WorkerError::Unreachable { endpoint, cause: "scripted".into() });
            }
            Some(WorkerFault::Refuse(refusal, message)) => {
                let (refusal, message) = (*refusal, (*message).to_owned());
                return Err(WorkerError::Refused { endpoint, method, message, refusal });
            }
            Some(WorkerFault::Break) => return Err(broken()),
            Some(WorkerFault::Hang(time)) => {
                tokio::time::sleep(*time).await;
                return Err(late(*time));
            }
            Some(WorkerFault::Reboot) => {
                self.reboot();
                return Err(broken());
            }
            Some(WorkerFault::Slow(time)) => tokio::time::sleep(*time).await,
            Some(WorkerFault::Lie) => {
                if let Some(lie) = lie(&self.state().machine) {
                    return Ok(lie);
                }
            }
            Some(WorkerFault::Panic) => panic!("scripted panic in {method}"),
            Some(WorkerFault::BreakAfter | WorkerFault::HangAfter(_)) | None => {}
        }
        let done = self.work(method, work);
        match fault {
            Some(WorkerFault::BreakAfter) => Err(broken()),
            Some(WorkerFault::HangAfter(time)) => {
                tokio::time::sleep(time).await;
                Err(late(time))
            }
            _ => done,
        }
    }

    fn work<T>(
        &self,
        method: WorkerCall,
        work: impl FnOnce(&mut Machine) -> Result<T, Broke>,
    ) -> Result<T, WorkerError> {
        let endpoint = self.endpoint();
        let mut state = self.state();
        work(&mut state.machine).map_err(|broke| match broke {
            Broke::Refused(message, refusal) => {
                state.refused.push(format!("{method}: {message}"));
                WorkerError::Refused { endpoint, method, message, refusal }
            }
            Broke::Undecodable(message) => {
                state.refused.push(format!("{method}: {message}"));
                WorkerError::BadRequest { endpoint, method, message }
            }
            Broke::Aborted(cause) => {
                state.refused.push(format!("{method}: aborted: {cause}"));
                state.machine = state.machine.fresh();
                WorkerError::Broken { endpoint, method, cause }
            }
        })
    }
}

fn never<T>(_: &Machine) -> Option<T> {
    None
}

#[async_trait]
impl WorkerDriver for FakeWorker {
    async fn info(&self) -> Result<WorkerInfo, WorkerError> {
        self.call("GetInfo", never, |machine| Ok(machine.info())).await
    }

    async fn init(&self, request: InitRequest) -> Result<RuntimeInfo, WorkerError> {
        let lie = |machine: &Machine| {
            Some(RuntimeInfo {
                encoded_runtime_info: Bytes::new(),
                genesis_block_hash: Hash::default(),
                public_key: machine.key,
                attestation: None,
            })
        };
        self.call("InitRuntime", lie, |machine| machine.init(&request)).await
    }

    async fn sync_headers(&self, request: HeadersRequest) -> Result<Option<Height>, WorkerError> {
        let lie = |machine: &Machine| Some(machine.header.prev());
        self.call("SyncHeader", lie, |machine| machine.sync_headers(&request)).await
    }

    async fn sync_para_headers(&self, request: ParaHeadersRequest) -> Result<Option<Height>, WorkerError> {
        let lie = |machine: &Machine| Some(machine.para.prev());
        self.call("SyncParaHeader", lie, |machine| machine.sync_para_headers(&request)).await
    }

    async fn sync_combined(
        &self,
        headers: HeadersRequest,
        para: ParaHeadersRequest,
    ) -> Result<(Option<Height>, Option<Height>), WorkerError> {
        let lie = |machine: &Machine| Some((machine.header.prev(), machine.para.prev()));
        self.call("SyncCombinedHeaders", lie, |machine| {
            // Not atomic: relay progress stays.
            let header = machine.sync_headers(&headers)?;
            Ok((header, machine.sync_para_headers(&para)?))
        })
        .await
    }

    async fn dispatch(&self, blocks: Vec<BlockItem>) -> Result<Option<Height>, WorkerError> {
        let lie = |machine: &Machine| Some(machine.block.prev());
        self.call("DispatchBlocks", lie, |machine| machine.dispatch(&blocks)).await
    }

    async fn load_chain_state(&self, block: Height, state: Bytes) -> Result<(), WorkerError> {
        self.call("LoadChainState", never, |machine| machine.load_chain_state(block, &state)).await
    }

    async fn runtime_info(
        &self,
        _refresh: bool,
        operator: Option<AccountId>,
    ) -> Result<RuntimeInfo, WorkerError> {
        self.call("GetRuntimeInfo", never, |machine| machine.runtime_info(operator)).await
    }

    async fn egress_messages(&self) -> Result<EgressMessages, WorkerError> {
        self.call("GetEgressMessages", never, |machine| Ok(machine.egress_messages())).await
    }

    async fn sign_endpoints(&self, endpoints: Vec<String>) -> Result<SignedEndpoints, WorkerError> {
        self.call("SignEndpointInfo", never, |machine| {
            machine.initialized()?;
            let payload = WorkerEndpointPayload {
                pubkey: machine.key,
                versioned_endpoints: VersionedWorkerEndpoints::V1(endpoints),
                signing_time: machine.time,
            };
            let payload = payload.encode();
            let digest = Hash::of(&payload).0;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&digest);
            Ok(SignedEndpoints { payload: payload.into(), signature })
        })
        .await
    }

    async fn take_checkpoint(&self) -> Result<Height, WorkerError> {
        let taken = self.call("TakeCheckpoint", never, |machine| {
            machine.initialized()?;
            Ok(machine.clone())
        });
        let machine = taken.await?;
        let last = machine.block.prev().unwrap_or_default();
        self.state().checkpoint = Some(machine);
        Ok(last)
    }

    async fn stop(&self, remove_checkpoints: bool) -> Result<(), WorkerError> {
        self.call("Stop", never, |_| Ok(())).await?;
        if remove_checkpoints {
            self.state().checkpoint = None;
        }
        self.restore();
        Ok(())
    }

    fn endpoint(&self) -> String {
        match self.address {
            0 => format!("fake-worker:{}", self.shared.name),
            moved => format!("fake-worker:{}@{moved}", self.shared.name),
        }
    }
}
