//! Worker registration and attestation (`phala-types`).

use crate::id::{AccountId, Hash, WorkerKey};
use codec::{Decode, Encode};

/// Who vouches for a worker (`phala_types::AttestationProvider`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AttestationProvider {
    /// Root account of the chain.
    #[codec(index = 0)]
    Root,
    /// Intel Attestation Service.
    #[codec(index = 1)]
    Ias,
    /// Intel DCAP; workers from 2.2.0 on.
    #[codec(index = 2)]
    Dcap,
}

/// What a worker says of itself to be registered (`phala_types::WorkerRegistrationInfo`), for `register_worker`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerRegistrationInfo {
    /// major · 65536 + minor · 256 + patch.
    pub version: u32,
    /// Empty in practice.
    pub machine_id: Vec<u8>,
    /// Identity key.
    pub pubkey: WorkerKey,
    /// Key for key agreement, equal to the identity key's point.
    pub ecdh_pubkey: [u8; 32],
    /// Hash of the relay start header given at init.
    pub genesis_block_hash: Hash,
    /// CPU cores and feature level.
    pub features: Vec<u32>,
    /// Owner of the pool the worker is meant for.
    pub operator: Option<AccountId>,
}

/// [`WorkerRegistrationInfo`] with the fields `register_worker_v2` adds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerRegistrationInfoV2 {
    /// major · 65536 + minor · 256 + patch.
    pub version: u32,
    /// Empty in practice.
    pub machine_id: Vec<u8>,
    /// Identity key.
    pub pubkey: WorkerKey,
    /// Key for key agreement, equal to the identity key's point.
    pub ecdh_pubkey: [u8; 32],
    /// Hash of the relay start header given at init.
    pub genesis_block_hash: Hash,
    /// CPU cores and feature level.
    pub features: Vec<u32>,
    /// Owner of the pool the worker is meant for.
    pub operator: Option<AccountId>,
    /// `ParachainInfo.ParachainId` of the state given at init.
    pub para_id: u32,
    /// Highest consensus version the worker knows.
    pub max_consensus_version: u32,
}

/// Evidence (`phala_types::AttestationReport`); the chain takes `Option<AttestationReport>`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AttestationReport {
    /// EPID report signed by Intel.
    #[codec(index = 0)]
    SgxIas {
        /// Report text.
        ra_report: Vec<u8>,
        /// Signature over it.
        signature: Vec<u8>,
        /// Certificate, DER.
        raw_signing_cert: Vec<u8>,
    },
    /// DCAP quote; the worker leaves the collateral out and the bridge fills it in.
    #[codec(index = 1)]
    SgxDcap {
        /// Quote.
        quote: Vec<u8>,
        /// What is needed to check the quote.
        collateral: Option<Collateral>,
    },
}

/// DCAP collateral by format.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Collateral {
    /// For version 3 quotes.
    #[codec(index = 0)]
    SgxV30(SgxV30QuoteCollateral),
}

/// Collateral of a version 3 quote (`sgx_attestation::dcap::SgxV30QuoteCollateral`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SgxV30QuoteCollateral {
    /// PEM chain of the PCK CRL.
    pub pck_crl_issuer_chain: String,
    /// Root CA CRL.
    pub root_ca_crl: String,
    /// PCK CRL.
    pub pck_crl: String,
    /// PEM chain of the TCB info.
    pub tcb_info_issuer_chain: String,
    /// TCB info, the exact text signed.
    pub tcb_info: String,
    /// Signature over it.
    pub tcb_info_signature: Vec<u8>,
    /// PEM chain of the QE identity.
    pub qe_identity_issuer_chain: String,
    /// QE identity, the exact text signed.
    pub qe_identity: String,
    /// Signature over it.
    pub qe_identity_signature: Vec<u8>,
}

/// Endpoints a worker announces (`phala_types::VersionedWorkerEndpoints`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum VersionedWorkerEndpoints {
    /// Plain URLs.
    #[codec(index = 0)]
    V1(Vec<String>),
}

/// What a worker signs (after `FF 02`) to announce its endpoints (`phala_types::WorkerEndpointPayload`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerEndpointPayload {
    /// Identity key.
    pub pubkey: WorkerKey,
    /// The endpoints.
    pub versioned_endpoints: VersionedWorkerEndpoints,
    /// Timestamp of the worker's last processed block, ms.
    pub signing_time: u64,
}
