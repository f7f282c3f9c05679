//! A TEE worker (`pRuntime`).

use crate::{
    fault::Fault,
    id::{AccountId, Hash, Height, WorkerKey},
    types::{attestation::AttestationProvider, message::EgressMessages},
};
use async_trait::async_trait;
use bytes::Bytes;

/// Drives one worker.
///
/// # Contract
///
/// - One call is in flight at a time; a second one waits for the first.
/// - Every call ends within the driver's deadline, and no reply larger than its cap is read.
/// - Request bodies are assembled from the shared bytes of the request; blobs are not copied.
/// - An error says what happened as a variant; the worker's own words are kept for people.
/// - Counters in replies are the last accepted number; 4294967295 (what a worker answers when it has
///   accepted nothing at all) is answered as none.
#[async_trait]
pub trait WorkerDriver: Send + Sync {
    /// `GetInfo`.
    async fn info(&self) -> Result<WorkerInfo, WorkerError>;

    /// `InitRuntime`.
    async fn init(&self, request: InitRequest) -> Result<RuntimeInfo, WorkerError>;

    /// `SyncHeader`: last accepted relay header.
    async fn sync_headers(&self, request: HeadersRequest) -> Result<Option<Height>, WorkerError>;

    /// `SyncParaHeader`: last accepted parachain header.
    async fn sync_para_headers(&self, request: ParaHeadersRequest) -> Result<Option<Height>, WorkerError>;

    /// `SyncCombinedHeaders`: last accepted relay and parachain headers. Not atomic: relay progress stays when the
    /// parachain part is refused.
    async fn sync_combined(
        &self,
        headers: HeadersRequest,
        para: ParaHeadersRequest,
    ) -> Result<(Option<Height>, Option<Height>), WorkerError>;

    /// `DispatchBlocks`: last accepted block.
    async fn dispatch(&self, blocks: Vec<BlockItem>) -> Result<Option<Height>, WorkerError>;

    /// `LoadChainState`: `state` is SCALE [`StorageState`](crate::types::sync::StorageState) after `block`.
    async fn load_chain_state(&self, block: Height, state: Bytes) -> Result<(), WorkerError>;

    /// `GetRuntimeInfo`: registration info, with attestation once the worker can give one.
    async fn runtime_info(
        &self,
        refresh: bool,
        operator: Option<AccountId>,
    ) -> Result<RuntimeInfo, WorkerError>;

    /// `GetEgressMessages`.
    async fn egress_messages(&self) -> Result<EgressMessages, WorkerError>;

    /// `SignEndpointInfo`: encoded endpoint payload and its signature.
    async fn sign_endpoints(&self, endpoints: Vec<String>) -> Result<SignedEndpoints, WorkerError>;

    /// `TakeCheckpoint`: the last block in it.
    async fn take_checkpoint(&self) -> Result<Height, WorkerError>;

    /// `Stop`: the worker never answers; a broken connection is success.
    async fn stop(&self, remove_checkpoints: bool) -> Result<(), WorkerError>;

    /// Where the worker is, for errors and logs.
    fn endpoint(&self) -> String;
}

/// What a worker says of itself (`PhactoryInfo`). Counters are the next expected numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Whether a runtime state exists.
    pub initialized: bool,
    /// Whether it has seen its own registration on chain.
    pub registered: bool,
    /// Hash of its relay start header, none before init.
    pub genesis_block_hash: Option<Hash>,
    /// Its identity key, none before init.
    pub public_key: Option<WorkerKey>,
    /// Next relay header.
    pub headernum: Height,
    /// Next parachain header.
    pub para_headernum: Height,
    /// Next block.
    pub blocknum: Height,
    /// Whether it holds a relay state root that no parachain headers have used.
    pub waiting_for_paraheaders: bool,
    /// Whether it would take a chain state (fast sync).
    pub can_load_chain_state: bool,
    /// Messages queued for the chain.
    pub pending_messages: u64,
    /// Benchmark estimate.
    pub score: u64,
    /// Whether its key was injected.
    pub dev_mode: bool,
    /// Version text, for example `2.2.0`.
    pub version: String,
    /// Commit text.
    pub git_revision: String,
    /// 0, 1 or 2.
    pub safe_mode_level: u32,
    /// Timestamp of its last processed block, ms.
    pub current_block_time: u64,
    /// `none`, `epid`, `dcap`; empty on workers before 2.2.0.
    pub supported_attestation_methods: Vec<String>,
    /// Its key for key agreement, none before init.
    pub ecdh_public_key: Option<[u8; 32]>,
    /// Root of its state of the parachain, none before init.
    pub state_root: Option<Hash>,
    /// What it is among the gatekeepers.
    pub gatekeeper: Gatekeeper,
    /// Its memory.
    pub memory: MemoryUsage,
    /// Clusters it runs.
    pub clusters: u64,
    /// Contracts it runs.
    pub contracts: u64,
    /// Newest consensus version it supports.
    pub max_consensus_version: u32,
    /// Block whose state it was loaded with, 0 if it was not.
    pub genesis_block: Height,
    /// Newest contract runtime it supports, for example `1.2`.
    pub max_pink_runtime: String,
    /// Side programs of contracts that run in it; 0 on workers before 2.2.0.
    pub live_sidevms: u32,
    /// How long a contract query may take, s; 0 on workers before 2.2.0.
    pub query_timeout: u32,
}

/// What a worker is among the gatekeepers (`GatekeeperStatus`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gatekeeper {
    /// Its role.
    pub role: GatekeeperRole,
    /// The gatekeepers' master key, none if it is none of them.
    pub master_key: Option<[u8; 32]>,
}

/// Role of a worker among the gatekeepers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GatekeeperRole {
    /// None, or one that this release does not know.
    #[default]
    None,
    /// Follows the gatekeepers without their key.
    Dummy,
    /// One of them.
    Active,
}

/// Memory of a worker, bytes (`MemoryUsage`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// In use inside the enclave.
    pub used: u64,
    /// Most that was ever in use inside the enclave.
    pub peak: u64,
    /// Most that was in use lately inside the enclave.
    pub spike: u64,
    /// Most that the process ever took.
    pub process_peak: u64,
    /// Free inside the enclave.
    pub free: u64,
}

impl WorkerInfo {
    /// Whether the worker (up to 2.1.0) needs authority-set changes in the request; newer ones read the digest.
    /// Versions that do not parse count as new.
    pub fn needs_set_change(&self) -> bool {
        let mut parts = self.version.split(['.', '-']).map(str::parse::<u32>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (2, 2),
            _ => false,
        }
    }
}

/// What `InitRuntime` takes.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// SCALE [`GenesisBlockInfo`](crate::types::sync::GenesisBlockInfo).
    pub genesis_info: Bytes,
    /// SCALE [`StorageState`](crate::types::sync::StorageState) of parachain block 0.
    pub genesis_state: Bytes,
    /// Pool owner.
    pub operator: Option<AccountId>,
    /// Whether the chain has a relay chain.
    pub is_parachain: bool,
    /// How to attest, none for not at all.
    pub attestation_provider: Option<AttestationProvider>,
    /// Key to inject into a development worker.
    pub debug_key: Option<[u8; 32]>,
}

/// A run of relay headers that ends at a justified one.
#[derive(Clone, Debug)]
pub struct HeadersRequest {
    /// SCALE headers in ascending order.
    pub headers: Vec<Bytes>,
    /// Encoded justification of the last of them.
    pub justification: Bytes,
    /// SCALE authority-set change, for workers that need it.
    pub set_change: Option<Bytes>,
}

/// A run of parachain headers with the proof of the last one.
#[derive(Clone, Debug)]
pub struct ParaHeadersRequest {
    /// SCALE headers in ascending order.
    pub headers: Vec<Bytes>,
    /// Trie nodes that prove the last one at relay block `headernum - 1`.
    pub proof: Vec<Bytes>,
}

/// One block for `DispatchBlocks`.
#[derive(Clone, Debug)]
pub struct BlockItem {
    /// SCALE header of the block.
    pub header: Bytes,
    /// SCALE storage changes.
    pub changes: Bytes,
}

/// Registration info (`InitRuntimeResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// SCALE registration info; goes to the chain byte by byte, for its hash is attested.
    pub encoded_runtime_info: Bytes,
    /// Hash of the relay start header.
    pub genesis_block_hash: Hash,
    /// Identity key.
    pub public_key: WorkerKey,
    /// Attestation, none while the worker cannot give one.
    pub attestation: Option<Attestation>,
}

/// How a worker proves what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attestation {
    /// SCALE `Option<AttestationReport>`, for `register_worker_v2`.
    Report(Bytes),
    /// Older workers: parts of an IAS report, for `register_worker`.
    Legacy {
        /// Report text.
        report: Bytes,
        /// Signature.
        signature: Bytes,
        /// Certificate, DER.
        signing_cert: Bytes,
    },
}

/// Endpoints signed by the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEndpoints {
    /// SCALE [`WorkerEndpointPayload`](crate::types::attestation::WorkerEndpointPayload).
    pub payload: Bytes,
    /// sr25519 signature.
    pub signature: [u8; 64],
}

/// What went wrong with a worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// No connection could be made.
    #[error("{endpoint} is not reachable: {cause}; check the address and that the worker runs")]
    Unreachable {
        /// The worker.
        endpoint: String,
        /// What the transport said.
        cause: String,
    },
    /// The connection broke while the worker was working: it aborts instead of answering some errors.
    #[error(
        "{endpoint} broke the connection during {method}: {cause}; the worker may have crashed, see its log"
    )]
    Broken {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
        /// What the transport said.
        cause: String,
    },
    /// No answer within the deadline.
    #[error("{endpoint} did not answer {method} within {seconds} s; see its log, and restart it if it hangs")]
    Timeout {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// The worker refused the call with an application error (500).
    #[error("{endpoint} refused {method}: {message}")]
    Refused {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
        /// The worker's words.
        message: String,
        /// What kind of refusal that is.
        refusal: Refusal,
    },
    /// The worker could not decode the request (400).
    #[error("{endpoint} could not decode {method}: {message}")]
    BadRequest {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
        /// The worker's words.
        message: String,
    },
    /// The method does not exist there (404) or is not allowed on that port (403).
    #[error("{endpoint} does not offer {method}; use the worker's private port and a version that has it")]
    NotOffered {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
    },
    /// The request exceeds the worker's limit (413).
    #[error(
        "{endpoint} refused {method}: request of {bytes} bytes is too large; raise the worker's limit for it"
    )]
    TooLarge {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
        /// Size of the body.
        bytes: u64,
    },
    /// The reply is not what the method answers.
    #[error("{endpoint} answered {method} with {cause}")]
    BadReply {
        /// The worker.
        endpoint: String,
        /// pRPC method.
        method: &'static str,
        /// What is wrong with it.
        cause: String,
    },
}

/// Application errors of a worker, by what may be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `BlockNumberMismatch`, `NoStateRoot`, `RelaychainHeaderNotSynced`, `Runtime already initialized`: our view of
    /// the worker is stale.
    OutOfStep,
    /// `Runtime not initialized`: it lost its state.
    NotInitialized,
    /// `MissingJustification`, `HeaderHashMismatch`, `HeaderValidateFailed`, `StorageProofFailed`,
    /// `StateRootMismatch`, `ChainModeMismatch`: it does not accept our data.
    BadData,
    /// `RCU in progress`: ask again soon.
    Busy,
    /// Any other.
    Other,
}

impl WorkerError {
    /// What kind it is, for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Broken { .. } => "broken",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::BadRequest { .. } => "bad_request",
            Self::NotOffered { .. } => "not_offered",
            Self::TooLarge { .. } => "too_large",
            Self::BadReply { .. } => "bad_reply",
        }
    }

    /// What may be done about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Timeout { .. } => Fault::Reread,
            Self::Refused { refusal, .. } => match refusal {
                Refusal::OutOfStep | Refusal::NotInitialized => Fault::Reread,
                Refusal::Busy | Refusal::Other => Fault::Retry,
                Refusal::BadData => Fault::Stop,
            },
            Self::BadReply { .. } => Fault::Reread,
            Self::BadRequest { .. } | Self::NotOffered { .. } | Self::TooLarge { .. } => Fault::Stop,
        }
    }
}
