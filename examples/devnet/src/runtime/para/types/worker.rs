//! Workers: registration, attestation, endpoints (`phala-types`).

use crate::runtime::AccountId;
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;
use sp_core::H256;
use sp_core::sr25519::Public;

/// Identity of a worker: its sr25519 public key.
pub type WorkerPublicKey = Public;

/// Kind of proof behind a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum AttestationProvider {
    /// Registered by governance.
    #[codec(index = 0)]
    Root,
    /// Intel Attestation Service.
    #[codec(index = 1)]
    Ias,
    /// Data center attestation primitives.
    #[codec(index = 2)]
    Dcap,
}

/// What a worker says of itself when it registers, first generation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WorkerRegistrationInfo {
    /// `major << 16 | minor << 8 | patch`.
    pub version: u32,
    /// Empty today.
    pub machine_id: Vec<u8>,
    /// Identity.
    pub pubkey: WorkerPublicKey,
    /// Key agreement key.
    pub ecdh_pubkey: WorkerPublicKey,
    /// Hash of the relay header the worker started from.
    pub genesis_block_hash: H256,
    /// CPU cores and CPU feature level.
    pub features: Vec<u32>,
    /// Account that may add the worker to a pool.
    pub operator: Option<AccountId>,
}

/// What a worker says of itself when it registers, second generation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WorkerRegistrationInfoV2 {
    /// `major << 16 | minor << 8 | patch`.
    pub version: u32,
    /// Empty today.
    pub machine_id: Vec<u8>,
    /// Identity.
    pub pubkey: WorkerPublicKey,
    /// Key agreement key.
    pub ecdh_pubkey: WorkerPublicKey,
    /// Hash of the relay header the worker started from.
    pub genesis_block_hash: H256,
    /// CPU cores and CPU feature level.
    pub features: Vec<u32>,
    /// Account that may add the worker to a pool.
    pub operator: Option<AccountId>,
    /// Parachain the worker follows.
    pub para_id: u32,
    /// Highest consensus version the worker knows.
    pub max_consensus_version: u32,
}

/// Attestation of the first registration call.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Attestation {
    /// Report of the Intel Attestation Service.
    #[codec(index = 0)]
    SgxIas {
        /// Report text.
        ra_report: Vec<u8>,
        /// Signature of the report.
        signature: Vec<u8>,
        /// Certificate of the signer.
        raw_signing_cert: Vec<u8>,
    },
}

/// Attestation of the second registration call.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum AttestationReport {
    /// Report of the Intel Attestation Service.
    #[codec(index = 0)]
    SgxIas {
        /// Report text.
        ra_report: Vec<u8>,
        /// Signature of the report.
        signature: Vec<u8>,
        /// Certificate of the signer.
        raw_signing_cert: Vec<u8>,
    },
    /// A DCAP quote.
    #[codec(index = 1)]
    SgxDcap {
        /// The quote.
        quote: Vec<u8>,
        /// Its collateral, which the bridge adds.
        collateral: Option<Collateral>,
    },
}

/// Collateral of a DCAP quote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Collateral {
    /// For version-3 quotes.
    #[codec(index = 0)]
    SgxV30(SgxV30QuoteCollateral),
}

/// Collateral of a version-3 quote, as a provisioning certificate caching service gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct SgxV30QuoteCollateral {
    /// PEM chain.
    pub pck_crl_issuer_chain: String,
    /// Root certificate revocation list.
    pub root_ca_crl: String,
    /// Processor certificate revocation list.
    pub pck_crl: String,
    /// PEM chain.
    pub tcb_info_issuer_chain: String,
    /// JSON text.
    pub tcb_info: String,
    /// Signature of the text.
    pub tcb_info_signature: Vec<u8>,
    /// PEM chain.
    pub qe_identity_issuer_chain: String,
    /// JSON text.
    pub qe_identity: String,
    /// Signature of the text.
    pub qe_identity_signature: Vec<u8>,
}

/// Where a worker can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum VersionedWorkerEndpoints {
    /// Addresses.
    #[codec(index = 0)]
    V1(Vec<String>),
}

/// Endpoints as the worker signs them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WorkerEndpointPayload {
    /// The worker.
    pub pubkey: WorkerPublicKey,
    /// Its endpoints.
    pub versioned_endpoints: VersionedWorkerEndpoints,
    /// Chain time of the signature, in milliseconds.
    pub signing_time: u64,
}

/// A registered worker (`PhalaRegistry.Workers`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct WorkerInfoV2 {
    /// Identity.
    pub pubkey: WorkerPublicKey,
    /// Key agreement key of the first registration.
    pub ecdh_pubkey: WorkerPublicKey,
    /// Version of the last registration.
    pub runtime_version: u32,
    /// Unix seconds of the last registration.
    pub last_updated: u64,
    /// Account that may add the worker to a pool.
    pub operator: Option<AccountId>,
    /// Kind of proof of the first registration.
    pub attestation_provider: Option<AttestationProvider>,
    /// 1 to 5, 128 = none.
    pub confidence_level: u8,
    /// Set by the first benchmark report.
    pub initial_score: Option<u32>,
    /// CPU cores and CPU feature level.
    pub features: Vec<u32>,
}
