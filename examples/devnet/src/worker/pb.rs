//! Protobuf messages of the worker service, declared by hand (package `pruntime_rpc`, service
//! `PhactoryAPI`; [`PrpcError`] is of package `prpc`). Field names and numbers are those of pRuntime's
//! proto file; the JSON mode uses the same names.
#![allow(missing_docs, reason = "the fields are those of the public proto file and mean what it says")]

use serde::{Deserialize, Serialize};

/// Answer of `GetInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct PhactoryInfo {
    #[prost(bool, tag = "1")]
    pub initialized: bool,
    #[prost(bool, tag = "2")]
    pub registered: bool,
    #[prost(string, optional, tag = "4")]
    pub genesis_block_hash: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub public_key: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub ecdh_public_key: Option<String>,
    #[prost(uint32, tag = "7")]
    pub headernum: u32,
    #[prost(uint32, tag = "8")]
    pub para_headernum: u32,
    #[prost(uint32, tag = "9")]
    pub blocknum: u32,
    #[prost(string, tag = "10")]
    pub state_root: String,
    #[prost(bool, tag = "11")]
    pub dev_mode: bool,
    #[prost(uint64, tag = "12")]
    pub pending_messages: u64,
    #[prost(uint64, tag = "13")]
    pub score: u64,
    #[prost(message, optional, tag = "14")]
    pub gatekeeper: Option<GatekeeperStatus>,
    #[prost(string, tag = "15")]
    pub version: String,
    #[prost(string, tag = "16")]
    pub git_revision: String,
    #[prost(message, optional, tag = "18")]
    pub memory_usage: Option<MemoryUsage>,
    #[prost(bool, tag = "21")]
    pub waiting_for_paraheaders: bool,
    #[prost(message, optional, tag = "23")]
    pub system: Option<SystemInfo>,
    #[prost(bool, tag = "24")]
    pub can_load_chain_state: bool,
    #[prost(uint32, tag = "25")]
    pub safe_mode_level: u32,
    #[prost(uint64, tag = "26")]
    pub current_block_time: u64,
    #[prost(string, tag = "27")]
    pub max_supported_pink_runtime_version: String,
    #[prost(string, repeated, tag = "28")]
    pub supported_attestation_methods: Vec<String>,
    #[prost(uint32, tag = "29")]
    pub live_sidevm_instances: u32,
    #[prost(uint32, tag = "30")]
    pub query_timeout: u32,
}

/// Part of [`PhactoryInfo`] that exists once the runtime does.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemInfo {
    #[prost(bool, tag = "1")]
    pub registered: bool,
    #[prost(string, tag = "2")]
    pub public_key: String,
    #[prost(string, tag = "3")]
    pub ecdh_public_key: String,
    #[prost(message, optional, tag = "4")]
    pub gatekeeper: Option<GatekeeperStatus>,
    #[prost(uint64, tag = "5")]
    pub number_of_clusters: u64,
    #[prost(uint64, tag = "6")]
    pub number_of_contracts: u64,
    #[prost(uint32, tag = "7")]
    pub max_supported_consensus_version: u32,
    #[prost(uint32, tag = "8")]
    pub genesis_block: u32,
}

/// Role (0 none, 1 dummy, 2 active) and master key of a gatekeeper.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GatekeeperStatus {
    #[prost(int32, tag = "1")]
    pub role: i32,
    #[prost(string, tag = "2")]
    pub master_public_key: String,
}

/// Bytes used by the worker process.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryUsage {
    #[prost(uint64, tag = "1")]
    pub rust_used: u64,
    #[prost(uint64, tag = "2")]
    pub rust_peak_used: u64,
    #[prost(uint64, tag = "3")]
    pub total_peak_used: u64,
    #[prost(uint64, tag = "4")]
    pub free: u64,
    #[prost(uint64, tag = "5")]
    pub rust_spike: u64,
}

/// No fields.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Empty {}

/// Last accepted number.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncedTo {
    #[prost(uint32, tag = "1")]
    pub synced_to: u32,
}

/// Request of `SyncHeader`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadersToSync {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_headers: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub encoded_authority_set_change: Option<Vec<u8>>,
}

/// Request of `SyncParaHeader`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ParaHeadersToSync {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_headers: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub proof: Vec<Vec<u8>>,
}

/// Request of `SyncCombinedHeaders`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct CombinedHeadersToSync {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_relaychain_headers: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub authority_set_change: Option<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    pub encoded_parachain_headers: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub proof: Vec<Vec<u8>>,
}

/// Answer of `SyncCombinedHeaders`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadersSyncedTo {
    #[prost(uint32, tag = "1")]
    pub relaychain_synced_to: u32,
    #[prost(uint32, tag = "2")]
    pub parachain_synced_to: u32,
}

/// Request of `DispatchBlocks`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Blocks {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_blocks: Vec<u8>,
}

/// Request of `InitRuntime`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct InitRuntimeRequest {
    #[prost(bool, tag = "1")]
    pub skip_ra: bool,
    #[prost(bytes = "vec", tag = "2")]
    pub encoded_genesis_info: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub debug_set_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_genesis_state: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub encoded_operator: Option<Vec<u8>>,
    #[prost(bool, tag = "6")]
    pub is_parachain: bool,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub attestation_provider: Option<Vec<u8>>,
}

/// Request of `GetRuntimeInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetRuntimeInfoRequest {
    #[prost(bool, tag = "1")]
    pub force_refresh_ra: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub encoded_operator: Option<Vec<u8>>,
}

/// Answer of `InitRuntime` and `GetRuntimeInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct InitRuntimeResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_runtime_info: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub encoded_genesis_block_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub encoded_public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_ecdh_public_key: Vec<u8>,
    #[serde(skip)]
    #[prost(message, optional, tag = "5")]
    pub attestation: Option<Attestation>,
}

/// Attestation of the registration info.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Attestation {
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(string, tag = "2")]
    pub provider: String,
    #[prost(message, optional, tag = "3")]
    pub payload: Option<AttestationReport>,
    #[prost(bytes = "vec", tag = "5")]
    pub encoded_report: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub timestamp: u64,
}

/// Retired report message; workers of this module never set it.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct AttestationReport {
    #[prost(string, tag = "1")]
    pub report: String,
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signing_cert: Vec<u8>,
}

/// Answer of `GetEgressMessages`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetEgressMessagesResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_messages: Vec<u8>,
}

/// Request of `AddEndpoint`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct AddEndpointRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_endpoint_type: Vec<u8>,
    #[prost(string, tag = "2")]
    pub endpoint: String,
}

/// A signed endpoint list.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetEndpointResponse {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub encoded_endpoint_payload: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub signature: Option<Vec<u8>>,
}

/// Request of `SignEndpointInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SignEndpointsRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_endpoints: Vec<u8>,
}

/// Request and answer of `Echo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct EchoMessage {
    #[prost(bytes = "vec", tag = "1")]
    pub echo_msg: Vec<u8>,
}

/// Request of `LoadChainState`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainState {
    #[prost(uint32, tag = "1")]
    pub block_number: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub encoded_state: Vec<u8>,
}

/// Request of `Stop`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct StopOptions {
    #[prost(bool, tag = "1")]
    pub remove_checkpoints: bool,
}

/// Request of `LoadStorageProof`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageProof {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub proof: Vec<Vec<u8>>,
}

/// Challenge of the server worker (both handover kinds).
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HandoverChallenge {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_challenge: Vec<u8>,
}

/// Answer of the client worker to a challenge.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HandoverChallengeResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_challenge_handler: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub attestation: Option<Attestation>,
}

/// The sealed key on its way to the client worker.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HandoverWorkerKey {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_worker_key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub attestation: Option<Attestation>,
}

/// [`HandoverChallengeResponse`] with a report for the same machine.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DcapHandoverChallengeResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_challenge_handler: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub la_report: Vec<u8>,
}

/// [`HandoverWorkerKey`] with a report for the same machine.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DcapHandoverWorkerKey {
    #[prost(bytes = "vec", tag = "1")]
    pub encoded_worker_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub la_report: Vec<u8>,
}

/// Proxies of the worker.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkConfig {
    #[prost(string, tag = "2")]
    pub all_proxy: String,
    #[prost(string, tag = "3")]
    pub i2p_proxy: String,
}

/// Answer of `GetNetworkConfig`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkConfigResponse {
    #[prost(uint32, optional, tag = "1")]
    pub public_rpc_port: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub config: Option<NetworkConfig>,
}

/// Request of `GetWorkerState`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetWorkerStateRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub public_key: Vec<u8>,
}

/// Heartbeat statistics a gatekeeper keeps.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerStat {
    #[prost(uint32, tag = "1")]
    pub last_heartbeat_for_block: u32,
    #[prost(uint32, tag = "2")]
    pub last_heartbeat_at_block: u32,
    #[prost(int32, tag = "3")]
    pub last_gk_responsive_event: i32,
    #[prost(uint32, tag = "4")]
    pub last_gk_responsive_event_at_block: u32,
}

/// Answer of `GetWorkerState`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerState {
    #[prost(bool, tag = "1")]
    pub registered: bool,
    #[prost(bool, tag = "2")]
    pub unresponsive: bool,
    #[prost(message, optional, tag = "3")]
    pub bench_state: Option<BenchState>,
    #[prost(message, optional, tag = "4")]
    pub working_state: Option<WorkingState>,
    #[prost(uint32, repeated, tag = "5")]
    pub waiting_heartbeats: Vec<u32>,
    #[prost(message, optional, tag = "11")]
    pub stat: Option<WorkerStat>,
}

/// A running benchmark.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct BenchState {
    #[prost(uint32, tag = "1")]
    pub start_block: u32,
    #[prost(uint64, tag = "2")]
    pub start_time: u64,
    #[prost(uint32, tag = "4")]
    pub duration: u32,
}

/// A running working session.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkingState {
    #[prost(uint32, tag = "1")]
    pub session_id: u32,
    #[prost(bool, tag = "2")]
    pub paused: bool,
    #[prost(uint64, tag = "3")]
    pub start_time: u64,
}

/// Request of `GetContractInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetContractInfoRequest {
    #[prost(string, repeated, tag = "1")]
    pub contracts: Vec<String>,
}

/// Answer of `GetContractInfo`: a worker without a cluster has none.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct GetContractInfoResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub contracts: Vec<Vec<u8>>,
}

/// Answer of `Statistics`, without the per-contract parts.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct StatisticsResponse {
    #[prost(uint64, tag = "1")]
    pub uptime: u64,
    #[prost(uint32, tag = "2")]
    pub cores: u32,
}

/// Body of every 400, 404 (method) and 500 answer.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct PrpcError {
    #[prost(string, tag = "1")]
    pub message: String,
}
