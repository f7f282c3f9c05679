//! Giving the key to another worker on the same machine, and taking one.
//!
//! The worker with the key (server) makes a challenge, the other one (client) answers it with a key to encrypt for,
//! the server encrypts, the client seals what it got in place of its own key and uses it after a restart.
//!
//! A real worker outside an enclave aborts here unless its key was injected. A dev worker without attestation
//! behaves like one in an enclave that nobody asks for reports.

use codec::{Decode, Encode};
use ring::rand::{SecureRandom, SystemRandom};
use sp_crypto_hashing::blake2_256;

use super::super::config::AttestationMode;
use super::super::error::{Error, Result};
use super::super::identity::{Identity, Sealed};
use super::super::local_report::{self, Disbelief};
use super::super::scale::{
    AttestationProvider, AttestationReport, ChallengeHandlerInfo, DcapChallengeHandlerInfo,
    DcapHandoverChallenge, EncryptedKey, EncryptedWorkerKey, HandoverChallenge, Key,
};
use super::super::{keys, pb};
use super::init::attestation;
use super::runtime::Runtime;
use super::{Phactory, scale};

/// Blocks after which a challenge is not good any more.
const CHALLENGE_BLOCKS: u32 = 150;
/// Seconds after which one between workers that attest with DCAP is not.
const CHALLENGE_SECONDS: u64 = 60;

/// What a process remembers of handovers.
#[derive(Default)]
pub(super) struct Handover {
    /// The challenge that may be answered, once.
    challenge: Option<Vec<u8>>,
    /// The key to encrypt for.
    ecdh: Option<Identity>,
    /// The sealed key was replaced: what runs has nothing to register any more.
    pub(super) received: bool,
}

impl Phactory {
    pub(super) fn create_challenge(&mut self) -> Result<pb::HandoverChallenge> {
        let runtime = self.runtime()?;
        let challenge = HandoverChallenge {
            sgx_target_info: self.target_info(),
            block_number: runtime.last_block(),
            now: runtime.block_time,
            dev_mode: runtime.dev_mode,
            nonce: random()?,
        };
        Ok(self.challenged(challenge.encode()))
    }

    pub(super) fn create_dcap_challenge(&mut self) -> Result<pb::HandoverChallenge> {
        let runtime = self.dcap_runtime()?;
        let challenge = DcapHandoverChallenge {
            sgx_target_info: self.target_info(),
            block_number: runtime.last_block(),
            now: runtime.block_time,
            dev_mode: runtime.dev_mode,
            nonce: random()?,
            ntp_time_secs: self.now,
        };
        Ok(self.challenged(challenge.encode()))
    }

    pub(super) fn accept_challenge(
        &mut self,
        request: &pb::HandoverChallenge,
    ) -> Result<pb::HandoverChallengeResponse> {
        let challenge: HandoverChallenge = scale(&request.encoded_challenge)?;
        let ecdh = Identity::generate();
        let attests = self.is_asked(challenge.dev_mode);
        let mut handler =
            ChallengeHandlerInfo { challenge, sgx_local_report: Vec::new(), ecdh_pubkey: ecdh.public() };
        if attests {
            handler.sgx_local_report = self.local_report(&handler.ecdh_pubkey);
        }
        let encoded_challenge_handler = handler.encode();
        let attestation = attests.then(|| self.vouch(&ecdh, &encoded_challenge_handler));
        self.handover.ecdh = Some(ecdh);
        Ok(pb::HandoverChallengeResponse { encoded_challenge_handler, attestation })
    }

    pub(super) fn accept_dcap_challenge(
        &mut self,
        request: &pb::HandoverChallenge,
    ) -> Result<pb::DcapHandoverChallengeResponse> {
        let challenge: DcapHandoverChallenge = scale(&request.encoded_challenge)?;
        let ecdh = Identity::generate();
        let encoded_challenge_handler =
            DcapChallengeHandlerInfo { challenge, ecdh_pubkey: ecdh.public() }.encode();
        let la_report = self.local_report(&encoded_challenge_handler);
        self.handover.ecdh = Some(ecdh);
        Ok(pb::DcapHandoverChallengeResponse { encoded_challenge_handler, la_report })
    }

    pub(super) fn start_handover(
        &mut self,
        request: &pb::HandoverChallengeResponse,
    ) -> Result<pb::HandoverWorkerKey> {
        let runtime = self.runtime()?;
        let asks = !runtime.dev_mode && runtime.provider == Some(AttestationProvider::Ias);
        let handler: ChallengeHandlerInfo = scale(&request.encoded_challenge_handler)?;
        let client = match asks {
            true => {
                let attestation = request.attestation.as_ref();
                let encoded = &request.encoded_challenge_handler;
                Some(vouched("client", attestation, &handler.ecdh_pubkey, encoded)?)
            }
            false => None,
        };
        self.take_challenge(&handler.challenge.encode())?;
        if asks {
            let report = &handler.sgx_local_report;
            match local_report::verify(&self.config.machine, report, &handler.ecdh_pubkey) {
                Ok(_) => {}
                Err(Disbelief::OtherMachine) => return Err(Error::app("No remote handover")),
                Err(_) => return Err(Error::app("Invalid client LA report")),
            }
        }
        self.check_age(handler.challenge.block_number)?;
        if let Some(client) = client {
            self.check_binaries(&client)?;
        }
        let encoded_worker_key = self.encrypted_key(&handler.ecdh_pubkey)?.encode();
        let attestation = match asks {
            true => Some(self.vouch(&self.runtime()?.identity, &encoded_worker_key)),
            false => None,
        };
        Ok(pb::HandoverWorkerKey { encoded_worker_key, attestation })
    }

    pub(super) fn start_dcap_handover(
        &mut self,
        request: &pb::DcapHandoverChallengeResponse,
    ) -> Result<pb::DcapHandoverWorkerKey> {
        self.dcap_runtime()?;
        let handler: DcapChallengeHandlerInfo = scale(&request.encoded_challenge_handler)?;
        self.take_challenge(&handler.challenge.encode())?;
        if self.now > handler.challenge.ntp_time_secs + CHALLENGE_SECONDS {
            return Err(Error::app("Invalid NTP time"));
        }
        let about = &request.encoded_challenge_handler;
        let client = self.recognised(&request.la_report, about, "Invalid challenge handler")?.to_vec();
        // That the chain's time is the world's, to within a week, is not checked: on a dev network it is not.
        self.check_age(handler.challenge.block_number)?;
        self.check_binaries(&client)?;
        let encoded_worker_key = self.encrypted_key(&handler.ecdh_pubkey)?.encode();
        let la_report = self.local_report(&encoded_worker_key);
        Ok(pb::DcapHandoverWorkerKey { encoded_worker_key, la_report })
    }

    pub(super) fn receive_key(&mut self, request: &pb::HandoverWorkerKey) -> Result<pb::Empty> {
        let key: EncryptedWorkerKey = scale(&request.encoded_worker_key)?;
        if self.is_asked(key.dev_mode) {
            let sender = &key.encrypted_key.ecdh_pubkey;
            vouched("server", request.attestation.as_ref(), sender, &request.encoded_worker_key)?;
        }
        self.seal_received(key)
    }

    pub(super) fn receive_dcap_key(&mut self, request: &pb::DcapHandoverWorkerKey) -> Result<pb::Empty> {
        let key: EncryptedWorkerKey = scale(&request.encoded_worker_key)?;
        self.recognised(&request.la_report, &request.encoded_worker_key, "Invalid key received")?;
        self.seal_received(key)
    }

    fn challenged(&mut self, encoded_challenge: Vec<u8>) -> pb::HandoverChallenge {
        self.handover.challenge = Some(encoded_challenge.clone());
        pb::HandoverChallenge { encoded_challenge }
    }

    /// The first attempt uses a challenge up, right or wrong.
    fn take_challenge(&mut self, answered: &[u8]) -> Result<()> {
        match self.handover.challenge.take() {
            Some(challenge) if challenge == answered => Ok(()),
            _ => Err(Error::app("Invalid challenge")),
        }
    }

    fn check_age(&self, block: u32) -> Result<()> {
        if self.runtime()?.last_block() > block.saturating_add(CHALLENGE_BLOCKS) {
            return Err(Error::app("Outdated challenge"));
        }
        Ok(())
    }

    /// Keys go to programs that were allowed later than this one only.
    fn check_binaries(&self, client: &[u8]) -> Result<()> {
        let state = &self.runtime()?.state;
        let allowed_at = |measurement: &[u8], who: &str| {
            let value = state.get(&keys::allowed_at(measurement));
            value
                .and_then(|value| u32::decode(&mut &value[..]).ok())
                .ok_or_else(|| Error::App(format!("{who} pRuntime not allowed on chain")))
        };
        let server = allowed_at(&self.config.measurement, "Server")?;
        if allowed_at(client, "Client")? <= server {
            return Err(Error::app("No handover for old pRuntime"));
        }
        Ok(())
    }

    fn encrypted_key(&self, receiver: &Key) -> Result<EncryptedWorkerKey> {
        let runtime = self.runtime()?;
        let iv = random()?;
        let encrypted_key = runtime.identity.encrypt(receiver, iv, runtime.identity.secret())?;
        Ok(EncryptedWorkerKey {
            genesis_block_hash: runtime.genesis_hash,
            para_id: runtime.para_id,
            dev_mode: runtime.dev_mode,
            encrypted_key: EncryptedKey { ecdh_pubkey: runtime.identity.public(), encrypted_key, iv },
        })
    }

    fn seal_received(&mut self, key: EncryptedWorkerKey) -> Result<pb::Empty> {
        let ecdh = self.handover.ecdh.as_ref();
        let ecdh = ecdh.ok_or_else(|| Error::app("Handover ecdhkey not initialized"))?;
        let EncryptedKey { ecdh_pubkey, encrypted_key, iv } = key.encrypted_key;
        let secret = ecdh.decrypt(&ecdh_pubkey, iv, encrypted_key)?;
        Identity::from_seed(&secret)?;
        self.sealed = Some(Sealed {
            secret,
            genesis_hash: key.genesis_block_hash,
            para_id: key.para_id,
            dev_mode: key.dev_mode,
            trusted: false,
        });
        self.handover = Handover { received: true, ..Handover::default() };
        Ok(pb::Empty {})
    }

    fn dcap_runtime(&self) -> Result<&Runtime> {
        let runtime = self.runtime()?;
        match runtime.provider {
            Some(AttestationProvider::Dcap) => Ok(runtime),
            _ => Err(Error::app("DCAP not enabled")),
        }
    }

    /// Whether this side of a handover needs the attestation service.
    fn is_asked(&self, dev_mode: bool) -> bool {
        !dev_mode && self.config.attestation == AttestationMode::Ias
    }

    fn vouch(&self, signer: &Identity, content: &[u8]) -> pb::Attestation {
        let provider = Some(AttestationProvider::Ias);
        attestation(provider, signer, content, &self.config.measurement, self.now)
    }

    fn local_report(&self, content: &[u8]) -> Vec<u8> {
        local_report::report(&self.config.machine, &self.config.measurement, content)
    }

    /// The measurement of who made the report.
    fn recognised<'a>(&self, report: &'a [u8], content: &[u8], other: &str) -> Result<&'a [u8]> {
        local_report::verify(&self.config.machine, report, content).map_err(|disbelief| match disbelief {
            Disbelief::OtherContent => Error::app(other),
            Disbelief::Malformed | Disbelief::OtherMachine => Error::app("Invalid LA report"),
        })
    }

    fn target_info(&self) -> Vec<u8> {
        blake2_256(&self.config.measurement).to_vec()
    }
}

impl Runtime {
    fn last_block(&self) -> u32 {
        self.sync.block_next.saturating_sub(1)
    }
}

/// The measurement of the program for whose key and `content` an attestation vouches.
fn vouched(
    who: &str,
    attestation: Option<&pb::Attestation>,
    signer: &Key,
    content: &[u8],
) -> Result<Vec<u8>> {
    let title = if who == "client" { "Client" } else { "Server" };
    let attestation = attestation.ok_or_else(|| Error::App(format!("{title} attestation not found")))?;
    let report = Option::<AttestationReport>::decode(&mut &attestation.encoded_report[..]);
    match report.map_err(|_| Error::App(format!("Decode {who} attestation failed")))? {
        Some(AttestationReport::SgxIas { ra_report, signature, raw_signing_cert })
            if ra_report == blake2_256(content) && Identity::signed(signer, &ra_report, &signature) =>
        {
            Ok(raw_signing_cert)
        }
        _ => Err(Error::App(format!("Invalid {who} RA report"))),
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::app("No randomness"))?;
    Ok(bytes)
}
