//! Protobuf messages of `pruntime_rpc` (package of pRuntime's `PhactoryAPI`), as far as prb uses them.
//!
//! Requests that carry blobs are not here: [`crate::request`] frames them around shared bytes.

use bytes::Bytes;
use prost::Message;

/// `PhactoryInfo`. Numbers 3, 17, 19, 20, 22 are retired.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PhactoryInfo {
    #[prost(bool, tag = "1")]
    pub(crate) initialized: bool,
    /// Deprecated: `system.registered`.
    #[prost(bool, tag = "2")]
    pub(crate) registered: bool,
    #[prost(string, optional, tag = "4")]
    pub(crate) genesis_block_hash: Option<String>,
    /// Deprecated: `system.public_key`.
    #[prost(string, optional, tag = "5")]
    pub(crate) public_key: Option<String>,
    /// Deprecated: `system.ecdh_public_key`.
    #[prost(string, optional, tag = "6")]
    pub(crate) ecdh_public_key: Option<String>,
    #[prost(uint32, tag = "7")]
    pub(crate) headernum: u32,
    #[prost(uint32, tag = "8")]
    pub(crate) para_headernum: u32,
    #[prost(uint32, tag = "9")]
    pub(crate) blocknum: u32,
    #[prost(string, tag = "10")]
    pub(crate) state_root: String,
    #[prost(bool, tag = "11")]
    pub(crate) dev_mode: bool,
    #[prost(uint64, tag = "12")]
    pub(crate) pending_messages: u64,
    #[prost(uint64, tag = "13")]
    pub(crate) score: u64,
    /// Deprecated: `system.gatekeeper`.
    #[prost(message, optional, tag = "14")]
    pub(crate) gatekeeper: Option<GatekeeperStatus>,
    #[prost(string, tag = "15")]
    pub(crate) version: String,
    #[prost(string, tag = "16")]
    pub(crate) git_revision: String,
    #[prost(message, optional, tag = "18")]
    pub(crate) memory_usage: Option<MemoryUsage>,
    #[prost(bool, tag = "21")]
    pub(crate) waiting_for_paraheaders: bool,
    #[prost(message, optional, tag = "23")]
    pub(crate) system: Option<SystemInfo>,
    #[prost(bool, tag = "24")]
    pub(crate) can_load_chain_state: bool,
    #[prost(uint32, tag = "25")]
    pub(crate) safe_mode_level: u32,
    #[prost(uint64, tag = "26")]
    pub(crate) current_block_time: u64,
    #[prost(string, tag = "27")]
    pub(crate) max_supported_pink_runtime_version: String,
    #[prost(string, repeated, tag = "28")]
    pub(crate) supported_attestation_methods: Vec<String>,
    #[prost(uint32, tag = "29")]
    pub(crate) live_sidevm_instances: u32,
    #[prost(uint32, tag = "30")]
    pub(crate) query_timeout: u32,
}

/// `GatekeeperStatus`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GatekeeperStatus {
    /// None 0, dummy 1, active 2.
    #[prost(int32, tag = "1")]
    pub(crate) role: i32,
    #[prost(string, tag = "2")]
    pub(crate) master_public_key: String,
}

/// `MemoryUsage`, bytes.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct MemoryUsage {
    #[prost(uint64, tag = "1")]
    pub(crate) rust_used: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) rust_peak_used: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) total_peak_used: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) free: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) rust_spike: u64,
}

/// `SystemInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SystemInfo {
    #[prost(bool, tag = "1")]
    pub(crate) registered: bool,
    #[prost(string, tag = "2")]
    pub(crate) public_key: String,
    #[prost(string, tag = "3")]
    pub(crate) ecdh_public_key: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) gatekeeper: Option<GatekeeperStatus>,
    #[prost(uint64, tag = "5")]
    pub(crate) number_of_clusters: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) number_of_contracts: u64,
    #[prost(uint32, tag = "7")]
    pub(crate) max_supported_consensus_version: u32,
    #[prost(uint32, tag = "8")]
    pub(crate) genesis_block: u32,
}

/// `SyncedTo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SyncedTo {
    #[prost(uint32, tag = "1")]
    pub(crate) synced_to: u32,
}

/// `HeadersSyncedTo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeadersSyncedTo {
    #[prost(uint32, tag = "1")]
    pub(crate) relaychain_synced_to: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) parachain_synced_to: u32,
}

/// `GetRuntimeInfoRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetRuntimeInfoRequest {
    #[prost(bool, tag = "1")]
    pub(crate) force_refresh_ra: bool,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) encoded_operator: Option<Bytes>,
}

/// `InitRuntimeResponse`, also the answer of `GetRuntimeInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct InitRuntimeResponse {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) encoded_runtime_info: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) encoded_genesis_block_hash: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) encoded_public_key: Bytes,
    #[prost(message, optional, tag = "5")]
    pub(crate) attestation: Option<Attestation>,
}

/// `Attestation`. The numbering is real: the report follows the timestamp's number.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attestation {
    /// Retired: workers up to late 2022.
    #[prost(message, optional, tag = "3")]
    pub(crate) payload: Option<AttestationReport>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) encoded_report: Bytes,
}

/// `AttestationReport`: an IAS report in parts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttestationReport {
    #[prost(string, tag = "1")]
    pub(crate) report: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) signing_cert: Bytes,
}

/// `GetEgressMessagesResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetEgressMessagesResponse {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) encoded_messages: Bytes,
}

/// `SignEndpointsRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignEndpointsRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) encoded_endpoints: Bytes,
}

/// `GetEndpointResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetEndpointResponse {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) encoded_endpoint_payload: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) signature: Option<Bytes>,
}

/// `HandoverChallenge`, `HandoverChallengeResponse`, `HandoverWorkerKey` and their DCAP forms, which are laid out alike.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Handover {
    /// `encoded_challenge`, `encoded_challenge_handler` or `encoded_worker_key`.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) encoded: Bytes,
    /// `attestation` (a message, which has the form of bytes) or `la_report`: it is passed on as it came.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) evidence: Option<Bytes>,
}

/// `StopOptions`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StopOptions {
    #[prost(bool, tag = "1")]
    pub(crate) remove_checkpoints: bool,
}

/// `prpc.PrpcError`, the body of statuses 400, 404 (unknown method) and 500.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PrpcError {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
}
