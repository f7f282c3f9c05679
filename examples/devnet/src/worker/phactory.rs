//! The worker as a state machine without I/O: bytes of a call in, bytes of the answer out.

mod checkpoint;
mod endpoints;
mod handover;
mod info;
mod init;
mod runtime;
mod syncing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use codec::Decode;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::endpoints::Endpoints;
use self::handover::Handover;
use self::runtime::Runtime;
use super::config::WorkerConfig;
use super::error::{Error, NOT_INITIALIZED, Result};
use super::identity::{Identity, Sealed};
use super::version::Version;
use super::{methods, pb};

/// Form of request and answer bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Protobuf.
    Binary,
    /// JSON with the proto field names.
    Json,
}

/// How a worker comes back after its process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// With the newest checkpoint, if there is one, as a supervised process does.
    FromCheckpoint,
    /// Without any state; the sealed key is kept.
    LoseState,
}

/// One worker.
pub struct Phactory {
    config: WorkerConfig,
    /// Wall clock, seconds since 1970; set by whoever drives the machine.
    now: u64,
    started: u64,
    sealed: Option<Sealed>,
    runtime: Option<Runtime>,
    can_load_chain_state: bool,
    endpoints: Endpoints,
    handover: Handover,
    network: Option<pb::NetworkConfig>,
    /// Block number and bytes, oldest first.
    checkpoints: VecDeque<(u32, Arc<[u8]>)>,
    last_checkpoint: u64,
}

impl Phactory {
    /// A worker that was never initialised. `now` is in seconds since 1970.
    #[must_use]
    pub fn new(config: WorkerConfig, now: u64) -> Self {
        Self {
            config,
            now,
            started: now,
            sealed: None,
            runtime: None,
            can_load_chain_state: true,
            endpoints: Endpoints::default(),
            handover: Handover::default(),
            network: None,
            checkpoints: VecDeque::new(),
            last_checkpoint: now,
        }
    }

    /// Tells the time: seconds since 1970. It never runs backwards.
    pub fn set_time(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// Construction properties.
    #[must_use]
    pub fn config(&self) -> &WorkerConfig {
        &self.config
    }

    /// Ends the process and starts it anew. An error means that a checkpoint could not be read; the
    /// worker is then left without state.
    pub fn restart(&mut self, how: Restart) -> Result<()> {
        self.runtime = None;
        self.can_load_chain_state = true;
        self.endpoints = Endpoints::default();
        self.handover = Handover::default();
        self.network = None;
        self.started = self.now;
        self.last_checkpoint = self.now;
        match how {
            Restart::LoseState => Ok(()),
            Restart::FromCheckpoint => self.restore_checkpoint(),
        }
    }

    /// Replaces the sealed key, as a handover or a lost seal does, and ends the process. Checkpoints
    /// are gone with the old key.
    pub fn change_key(&mut self, seed: Option<[u8; 32]>) {
        self.config.key = seed;
        self.sealed = None;
        self.checkpoints.clear();
        self.restart(Restart::LoseState).expect("nothing is read when the state is dropped; qed");
    }

    /// Puts another binary in the worker's place and restarts it.
    pub fn change_version(&mut self, version: Version) -> Result<()> {
        self.config.version = version;
        self.restart(Restart::FromCheckpoint)
    }

    /// Handles a call: `method` is the name without `PhactoryAPI.`, `body` a protobuf message.
    pub fn handle(&mut self, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.handle_as(Mode::Binary, method, body)
    }

    /// Handles a call in either form.
    pub fn handle_as(&mut self, mode: Mode, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        methods::find(self.config.version, method).ok_or(Error::MethodNotFound)?;
        let call = Call { mode, body };
        match method {
            "GetInfo" => call.run(|_: &pb::Empty| Ok(self.info())),
            "InitRuntime" => call.run(|request| self.init_runtime(request)),
            "SyncHeader" => call.run(|request| self.rpc_sync_header(request)),
            "SyncParaHeader" => call.run(|request| self.rpc_sync_para_header(request)),
            "SyncCombinedHeaders" => call.run(|request| self.rpc_sync_combined(request)),
            "DispatchBlocks" => call.run(|request| self.rpc_dispatch_blocks(request)),
            "LoadChainState" => call.run(|request| self.load_chain_state(request)),
            "GetRuntimeInfo" => call.run(|request| self.runtime_info(request)),
            "GetEgressMessages" => call.run(|_: &pb::Empty| Ok(self.egress_messages())),
            "AddEndpoint" => call.run(|request| self.add_endpoint(request)),
            "RefreshEndpointSigningTime" => call.run(|_: &pb::Empty| self.refresh_endpoints()),
            "GetEndpointInfo" => call.run(|_: &pb::Empty| self.endpoint_info()),
            "SignEndpointInfo" => call.run(|request| self.sign_endpoint_list(request)),
            "TakeCheckpoint" => call.run(|_: &pb::Empty| self.take_checkpoint()),
            "Stop" => call.run(|request: &pb::StopOptions| self.stop(request.remove_checkpoints)),
            "Echo" => call.run(|request: &pb::EchoMessage| Ok(request.clone())),
            "GetWorkerState" => call.run(|request| self.worker_state(request)),
            "ConfigNetwork" => call.run(|request: &pb::NetworkConfig| {
                self.network = Some(request.clone());
                Ok(pb::Empty {})
            }),
            "GetNetworkConfig" => call.run(|_: &pb::Empty| {
                Ok(pb::NetworkConfigResponse { public_rpc_port: None, config: self.network.clone() })
            }),
            "GetContractInfo" => call.run(|_: &pb::GetContractInfoRequest| {
                self.runtime()?;
                Ok(pb::GetContractInfoResponse::default())
            }),
            // No cluster is ever deployed to a dev worker: the answer's only field stays absent.
            "GetClusterInfo" => call.run(|_: &pb::Empty| self.runtime().map(|_| pb::Empty {})),
            "HandoverCreateChallenge" => call.run(|_: &pb::Empty| self.create_challenge()),
            "HandoverAcceptChallenge" => call.run(|request| self.accept_challenge(request)),
            "HandoverStart" => call.run(|request| self.start_handover(request)),
            "HandoverReceive" => call.run(|request| self.receive_key(request)),
            "DcapHandoverCreateChallenge" => call.run(|_: &pb::Empty| self.create_dcap_challenge()),
            "DcapHandoverAcceptChallenge" => call.run(|request| self.accept_dcap_challenge(request)),
            "DcapHandoverStart" => call.run(|request| self.start_dcap_handover(request)),
            "DcapHandoverReceive" => call.run(|request| self.receive_dcap_key(request)),
            "Statistics" => call.run(|_: &pb::Empty| Ok(self.statistics())),
            "LoadStorageProof" => call.run(|_: &pb::StorageProof| {
                Err::<pb::Empty, _>(Error::app("Can not load storage proof when safe_mode_level < 2"))
            }),
            _ => Err(Error::app(format!("{method} is not supported by the dev worker"))),
        }
    }

    /// Whether a dispatch would run in copy-and-replace mode, during which other mutating calls are
    /// refused.
    #[must_use]
    pub fn dispatches_in_rcu(&self) -> bool {
        self.runtime.as_ref().is_none_or(|runtime| !runtime.syncing)
    }

    /// Signs the payload of a legacy answer; `None` before initialisation.
    pub(crate) fn sign_response(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let runtime = self.runtime.as_ref()?;
        Some(runtime.identity.sign_kind(super::identity::KIND_RPC_RESPONSE, payload))
    }

    fn stop(&mut self, remove_checkpoints: bool) -> Result<pb::Empty> {
        if remove_checkpoints {
            self.checkpoints.clear();
        }
        Err(Error::Abort("Stop was called".into()))
    }

    fn runtime(&self) -> Result<&Runtime> {
        self.runtime.as_ref().ok_or_else(|| Error::app(NOT_INITIALIZED))
    }

    fn runtime_mut(&mut self) -> Result<&mut Runtime> {
        self.runtime.as_mut().ok_or_else(|| Error::app(NOT_INITIALIZED))
    }

    pub(crate) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_ref()
    }

    pub(crate) fn checkpoints(&self) -> &VecDeque<(u32, Arc<[u8]>)> {
        &self.checkpoints
    }

    /// Puts back what a former process left on disk.
    pub(crate) fn put_back(&mut self, sealed: Option<Sealed>, checkpoints: BTreeMap<u32, Arc<[u8]>>) {
        self.sealed = sealed;
        self.checkpoints = checkpoints.into_iter().collect();
    }

    /// The key the worker would generate now.
    fn fresh_identity(&self) -> Result<Identity> {
        match &self.config.key {
            Some(seed) => Identity::from_seed(seed),
            None => Ok(Identity::generate()),
        }
    }
}

/// A call to decode, run and answer in one form.
struct Call<'a> {
    mode: Mode,
    body: &'a [u8],
}

impl Call<'_> {
    fn run<Q, R>(&self, handler: impl FnOnce(&Q) -> Result<R>) -> Result<Vec<u8>>
    where
        Q: Message + Default + DeserializeOwned,
        R: Message + Serialize,
    {
        match self.mode {
            Mode::Binary => Ok(handler(&Q::decode(self.body).map_err(Error::decode)?)?.encode_to_vec()),
            Mode::Json => {
                let request = match self.body {
                    [] => Q::default(),
                    body => serde_json::from_slice(body).map_err(Error::decode)?,
                };
                serde_json::to_vec(&handler(&request)?).map_err(|error| Error::App(error.to_string()))
            }
        }
    }
}

/// Decodes a SCALE field of a request. Bytes after the value are ignored.
fn scale<T: Decode>(bytes: &[u8]) -> Result<T> {
    T::decode(&mut &*bytes).map_err(Error::decode)
}

fn scale_opt<T: Decode>(bytes: Option<&Vec<u8>>) -> Result<Option<T>> {
    bytes.map(|bytes| scale(bytes)).transpose()
}
