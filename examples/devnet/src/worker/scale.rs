//! SCALE types of the worker protocol. They are declared here and not shared with the bridge, so that
//! a mistake in one side's layout cannot be confirmed by the other.
#![allow(missing_docs, reason = "fields carry the names of the protocol's types")]

use codec::{Decode, Encode};
use sp_core::{H256, U256};
use sp_runtime::generic;
use sp_runtime::traits::BlakeTwo256;

/// Relay-chain or parachain header; its hash is BLAKE2b-256 of the encoding.
pub type Header = generic::Header<u32, BlakeTwo256>;
/// Raw ed25519 (authority) or sr25519 (worker) public key.
pub type Key = [u8; 32];
/// GRANDPA voters with their weights, in on-chain order.
pub type AuthorityList = Vec<(Key, u64)>;
/// Key and value pairs of a whole main trie, as `state_getPairs` returns them.
pub type StorageState = Vec<(Vec<u8>, Vec<u8>)>;
/// Changed keys; `None` deletes.
pub type StorageCollection = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthoritySet {
    pub list: AuthorityList,
    pub id: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthoritySetChange {
    pub authority_set: AuthoritySet,
    pub authority_proof: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GenesisBlockInfo {
    pub block_header: Header,
    pub authority_set: AuthoritySet,
    pub proof: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeaderToSync {
    pub header: Header,
    pub justification: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct StorageChanges {
    pub main_storage_changes: StorageCollection,
    /// Child trie key without the `:child_storage:default:` prefix, and its changes.
    pub child_storage_changes: Vec<(Vec<u8>, StorageCollection)>,
}

/// A block for `DispatchBlocks`. Only the number of the header is read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlockHeaderWithChanges {
    pub block_header: Header,
    pub storage_changes: StorageChanges,
}

/// Body of `/bin_api/sync_header`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SyncHeaderReq {
    pub headers: Vec<HeaderToSync>,
    pub authority_set_change: Option<AuthoritySetChange>,
}

/// Body of `/bin_api/sync_para_header`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SyncParachainHeaderReq {
    pub headers: Vec<Header>,
    pub proof: Vec<Vec<u8>>,
}

/// Body of `/bin_api/sync_combined_headers`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SyncCombinedHeadersReq {
    pub relaychain_headers: Vec<HeaderToSync>,
    pub authority_set_change: Option<AuthoritySetChange>,
    pub parachain_headers: Vec<Header>,
    pub proof: Vec<Vec<u8>>,
}

/// Log of the GRANDPA engine inside a `Consensus(FRNK, ..)` digest item. Only the variants a light
/// client meets are listed; others do not decode and are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ConsensusLog {
    #[codec(index = 1)]
    ScheduledChange { next_authorities: AuthorityList, delay: u32 },
    #[codec(index = 2)]
    ForcedChange { median: u32, next_authorities: AuthorityList, delay: u32 },
    #[codec(index = 3)]
    OnDisabled(u64),
    #[codec(index = 4)]
    Pause(u32),
    #[codec(index = 5)]
    Resume(u32),
}

/// Who makes the attestation of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AttestationProvider {
    Root,
    Ias,
    Dcap,
}

/// What a worker registers on chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerRegistrationInfoV2 {
    /// major * 65536 + minor * 256 + patch.
    pub version: u32,
    pub machine_id: Vec<u8>,
    pub pubkey: Key,
    pub ecdh_pubkey: Key,
    pub genesis_block_hash: H256,
    /// Processor cores and processor feature level (1 to 3).
    pub features: Vec<u32>,
    pub operator: Option<[u8; 32]>,
    pub para_id: u32,
    pub max_consensus_version: u32,
}

/// The report inside an attestation. A worker never fills the collateral of a DCAP quote, so its
/// layout is not needed here: the option is always `None`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AttestationReport {
    SgxIas { ra_report: Vec<u8>, signature: Vec<u8>, raw_signing_cert: Vec<u8> },
    SgxDcap { quote: Vec<u8>, collateral: Option<()> },
}

/// Sender of a message-queue message. The order of variants is the order of egress groups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum MessageOrigin {
    #[codec(index = 0)]
    Pallet(Vec<u8>),
    #[codec(index = 1)]
    Contract(H256),
    #[codec(index = 2)]
    Worker(Key),
    #[codec(index = 3)]
    AccountId(H256),
    #[codec(index = 4)]
    MultiLocation(Vec<u8>),
    #[codec(index = 5)]
    Gatekeeper,
    #[codec(index = 6)]
    Cluster(H256),
    #[codec(index = 255)]
    Reserved,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    pub sender: MessageOrigin,
    pub destination: Vec<u8>,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedMessage {
    pub message: Message,
    pub sequence: u64,
    pub signature: Vec<u8>,
}

/// Messages on topic `phala/system/event`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SystemEvent {
    WorkerEvent { pubkey: Key, event: WorkerEvent },
    HeartbeatChallenge { seed: U256, online_target: U256 },
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WorkerEvent {
    Registered { confidence_level: u8 },
    BenchStart { duration: u32 },
    BenchScore(u32),
    Started { session_id: u32, init_v: u128, init_p: u32 },
    Stopped,
    EnterUnresponsive,
    ExitUnresponsive,
}

/// Messages on topic `^phala/registry/event`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RegistryEvent {
    BenchReport { start_time: u64, iterations: u64 },
    MasterPubkey { master_pubkey: Key },
}

/// Messages on topic `phala/mining/report`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WorkingReportEvent {
    Heartbeat {
        session_id: u32,
        challenge_block: u32,
        challenge_time: u64,
        iterations: u64,
    },
    HeartbeatV2 {
        session_id: u32,
        challenge_block: u32,
        challenge_time: u64,
        iterations: u64,
        n_clusters: u32,
        n_contracts: u32,
    },
}

/// What a worker that gives its key away wants to see answered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HandoverChallenge {
    pub sgx_target_info: Vec<u8>,
    pub block_number: u32,
    /// Timestamp of that block, milliseconds.
    pub now: u64,
    pub dev_mode: bool,
    pub nonce: [u8; 32],
}

/// The answer, with the key to encrypt for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ChallengeHandlerInfo {
    pub challenge: HandoverChallenge,
    pub sgx_local_report: Vec<u8>,
    pub ecdh_pubkey: Key,
}

/// [`HandoverChallenge`] between workers that attest with DCAP.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DcapHandoverChallenge {
    pub sgx_target_info: Vec<u8>,
    pub block_number: u32,
    /// Timestamp of that block, milliseconds.
    pub now: u64,
    pub dev_mode: bool,
    pub nonce: [u8; 32],
    /// Wall clock, seconds since 1970.
    pub ntp_time_secs: u64,
}

/// [`ChallengeHandlerInfo`] between workers that attest with DCAP.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DcapChallengeHandlerInfo {
    pub challenge: DcapHandoverChallenge,
    pub ecdh_pubkey: Key,
}

/// A 64-byte secret, encrypted for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EncryptedKey {
    /// Of the sender.
    pub ecdh_pubkey: Key,
    /// AES-256-GCM, the tag appended.
    pub encrypted_key: Vec<u8>,
    pub iv: [u8; 12],
}

/// A worker's key on its way to another worker.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EncryptedWorkerKey {
    pub genesis_block_hash: H256,
    pub para_id: u32,
    pub dev_mode: bool,
    pub encrypted_key: EncryptedKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum EndpointType {
    I2p,
    Http,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum VersionedWorkerEndpoints {
    V1(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerEndpointPayload {
    pub pubkey: Key,
    pub versioned_endpoints: VersionedWorkerEndpoints,
    /// Timestamp of the worker's last processed block, milliseconds.
    pub signing_time: u64,
}
