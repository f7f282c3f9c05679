//! `InitRuntime`, `LoadChainState`, and the registration info with its attestation.

use codec::Encode;
use sp_core::H256;
use sp_crypto_hashing::blake2_256;

use super::super::egress::Egress;
use super::super::error::{Error, Result};
use super::super::identity::{Identity, Sealed};
use super::super::light::LightClient;
use super::super::machine::Machine;
use super::super::scale::{
    AttestationProvider, AttestationReport, GenesisBlockInfo, StorageState, WorkerRegistrationInfoV2,
};
use super::super::state::ChainState;
use super::super::sync::Synchronizer;
use super::super::{keys, pb, quote};
use super::runtime::{Runtime, read};
use super::{Phactory, scale, scale_opt};

/// Age at which a cached attestation is made anew, seconds.
const ATTESTATION_AGE: u64 = 3600;

impl Phactory {
    pub(super) fn init_runtime(
        &mut self,
        request: &pb::InitRuntimeRequest,
    ) -> Result<pb::InitRuntimeResponse> {
        let genesis: GenesisBlockInfo = scale(&request.encoded_genesis_info)?;
        let pairs: StorageState = scale(&request.encoded_genesis_state)?;
        let operator: Option<[u8; 32]> = scale_opt(request.encoded_operator.as_ref())?;
        let provider: Option<AttestationProvider> = scale_opt(request.attestation_provider.as_ref())?;
        let version = self.config.version;
        if provider == Some(AttestationProvider::Dcap) && !version.is_new_style() {
            return Err(Error::decode("Could not decode `AttestationProvider`, variant doesn't exist"));
        }
        if self.runtime.is_some() {
            return Err(Error::app("Runtime already initialized"));
        }

        let genesis_hash = genesis.block_header.hash();
        let state = ChainState::from_pairs(&self.config.nodes, pairs).map_err(Error::App)?;
        let para_id: u32 = read(&state, &keys::para_id());
        let (identity, sealed) = self.unseal(request.debug_set_key.as_deref(), genesis_hash, para_id)?;
        if sealed.dev_mode && provider.is_some() {
            return Err(Error::app("RA is disallowed when debug_set_key is enabled"));
        }
        if let Some(provider) = provider
            && self.config.attestation.provider() != Some(provider)
        {
            return Err(Error::App(format!("Unsupported attestation provider: {provider:?}")));
        }
        let (number, state_root) = (genesis.block_header.number, genesis.block_header.state_root);
        let light = LightClient::new(version, genesis)
            .map_err(|error| Error::Abort(format!("genesis authorities: {error}")))?;
        if !request.is_parachain && state.root() != state_root {
            return Err(Error::app("state root mismatch"));
        }

        let pubkey = identity.public();
        let runtime = Runtime {
            genesis_hash,
            para_id,
            dev_mode: sealed.dev_mode,
            trusted: sealed.trusted,
            identity,
            provider,
            registration: WorkerRegistrationInfoV2 {
                version: version.number(),
                machine_id: Vec::new(),
                pubkey,
                ecdh_pubkey: pubkey,
                genesis_block_hash: genesis_hash,
                features: self.config.features.to_vec(),
                operator,
                para_id,
                max_consensus_version: 0,
            },
            attestation: None,
            sync: Synchronizer::new(light, request.is_parachain, number),
            state,
            machine: Machine::default(),
            egress: Egress::default(),
            genesis_block: 0,
            block_time: 0,
            syncing: false,
        };
        let response = runtime.response(None);
        self.runtime = Some(runtime);
        Ok(response)
    }

    /// The key of this run: injected, sealed before, or new. A new or injected key is sealed at once,
    /// whatever becomes of the call.
    fn unseal(&mut self, injected: Option<&[u8]>, genesis: H256, para_id: u32) -> Result<(Identity, Sealed)> {
        let (identity, dev_mode) = match (injected, &self.sealed) {
            (Some(seed), _) => (Identity::from_seed(seed)?, true),
            (None, Some(sealed)) => {
                sealed.check(genesis, para_id)?;
                return Ok((sealed.identity()?, sealed.clone()));
            }
            (None, None) => (self.fresh_identity()?, false),
        };
        let secret = identity.secret();
        let sealed = Sealed { secret, genesis_hash: genesis, para_id, dev_mode, trusted: !dev_mode };
        self.sealed = Some(sealed.clone());
        Ok((identity, sealed))
    }

    pub(super) fn load_chain_state(&mut self, request: &pb::ChainState) -> Result<pb::Empty> {
        let pairs: StorageState = scale(&request.encoded_state)?;
        let number = request.block_number;
        if !self.can_load_chain_state {
            return Err(Error::app("Can not load chain state"));
        }
        if number == 0 {
            return Err(Error::app("Can not load chain state from block 0"));
        }
        let runtime = self.runtime.as_mut().ok_or_else(|| Error::app("System is uninitialized"))?;
        let state = ChainState::from_pairs(&self.config.nodes, pairs).map_err(Error::App)?;
        let para_id: u32 = read(&state, &keys::para_id());
        if para_id != runtime.para_id {
            return Err(Error::App(format!(
                "Loading different parachain state, loading={para_id}, init={}",
                runtime.para_id
            )));
        }
        if state.get(&keys::worker(&runtime.identity.public())).is_some() {
            return Err(Error::App(format!(
                "Failed to load state: the worker is already registered at block {number}"
            )));
        }
        runtime.sync.load_state_at(number)?;
        runtime.state = state;
        runtime.genesis_block = number;
        self.can_load_chain_state = false;
        Ok(pb::Empty {})
    }

    pub(super) fn runtime_info(
        &mut self,
        request: &pb::GetRuntimeInfoRequest,
    ) -> Result<pb::InitRuntimeResponse> {
        let operator: Option<[u8; 32]> = scale_opt(request.encoded_operator.as_ref())?;
        let (now, measurement) = (self.now, self.config.measurement.clone());
        let received = self.handover.received;
        let runtime = self.runtime_mut()?;
        if received {
            return Err(Error::app("Uninitiated runtime info"));
        }
        if operator.is_some() {
            runtime.registration.operator = operator;
            runtime.attestation = None;
        }
        let expired = |attestation: &pb::Attestation| now > attestation.timestamp + ATTESTATION_AGE;
        if request.force_refresh_ra || runtime.attestation.as_ref().is_some_and(expired) {
            runtime.attestation = None;
        }
        let may_attest = runtime.trusted || runtime.machine.registered || runtime.provider.is_none();
        if runtime.attestation.is_none() && runtime.sync.genesis_validated && may_attest {
            runtime.attestation = Some(runtime.attest(now, &measurement));
        }
        Ok(runtime.response(runtime.attestation.clone()))
    }
}

impl Runtime {
    fn response(&self, attestation: Option<pb::Attestation>) -> pb::InitRuntimeResponse {
        pb::InitRuntimeResponse {
            encoded_runtime_info: self.registration.encode(),
            encoded_genesis_block_hash: self.genesis_hash.as_bytes().to_vec(),
            encoded_public_key: self.identity.public().to_vec(),
            encoded_ecdh_public_key: self.identity.public().to_vec(),
            attestation,
        }
    }

    fn attest(&self, now: u64, measurement: &[u8]) -> pb::Attestation {
        attestation(self.provider, &self.identity, &self.registration.encode(), measurement, now)
    }
}

/// What vouches for `content`: its hash, signed by `identity`.
pub(super) fn attestation(
    provider: Option<AttestationProvider>,
    identity: &Identity,
    content: &[u8],
    measurement: &[u8],
    now: u64,
) -> pb::Attestation {
    let digest = blake2_256(content);
    let signature = identity.sign(&digest);
    let (provider, report) = match provider {
        None | Some(AttestationProvider::Root) => ("null", None),
        Some(AttestationProvider::Ias) => {
            let (ra_report, raw_signing_cert) = (digest.to_vec(), measurement.to_vec());
            ("\"ias\"", Some(AttestationReport::SgxIas { ra_report, signature, raw_signing_cert }))
        }
        Some(AttestationProvider::Dcap) => {
            let quote = quote::quote(&digest, &signature, measurement);
            ("\"dcap\"", Some(AttestationReport::SgxDcap { quote, collateral: None }))
        }
    };
    pb::Attestation {
        version: 1,
        provider: provider.to_owned(),
        payload: None,
        encoded_report: report.encode(),
        timestamp: now,
    }
}
