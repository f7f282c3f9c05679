//! Attestation of the dev network: no enclave, but a real commitment and a real signature.
//!
//! * An IAS report is `ra_report` = BLAKE2b-256 of the registration info (32 bytes), `signature` = the
//!   worker key's sr25519 signature over these bytes, `raw_signing_cert` = the program's measurement.
//! * A DCAP quote is the same hash (32 bytes), the signature (64 bytes) and the measurement (the rest);
//!   it counts only with collateral, whose content is not judged.

use super::super::switches;
use super::super::types::{AttestationProvider, AttestationReport, WorkerPublicKey};
use super::pallet::{Config, Error, PRuntimeAllowList, Pallet};
use frame_support::ensure;
use sp_runtime::DispatchError;

/// Confidence level of a dev report: the best.
const DEV_CONFIDENCE: u8 = 1;
/// Confidence level without attestation.
const NO_CONFIDENCE: u8 = 128;

/// What an attestation proved.
pub(super) struct Proof {
    pub(super) provider: Option<AttestationProvider>,
    pub(super) confidence: u8,
}

/// Checks an attestation of `info`, the SCALE registration info of the worker with this key.
pub(super) fn check<T: Config>(
    report: Option<&AttestationReport>,
    info: &[u8],
    key: &WorkerPublicKey,
) -> Result<Proof, DispatchError> {
    let switches = switches::Current::<T>::get();
    let (provider, hash, measurement) = match report {
        None => {
            ensure!(switches.none_attestation_enabled, Error::<T>::NoneAttestationDisabled);
            return Ok(Proof { provider: None, confidence: NO_CONFIDENCE });
        }
        Some(AttestationReport::SgxIas { ra_report, signature, raw_signing_cert }) => {
            ensure!(ra_report.len() == 32, Error::<T>::InvalidReport);
            let signed = Pallet::<T>::verify(signature, ra_report, key);
            ensure!(signed.is_ok(), Error::<T>::InvalidIASSigningCert);
            (AttestationProvider::Ias, &ra_report[..], &raw_signing_cert[..])
        }
        Some(AttestationReport::SgxDcap { collateral: None, .. }) => {
            return Err(Error::<T>::UnsupportedAttestationType.into());
        }
        Some(AttestationReport::SgxDcap { quote, collateral: Some(_) }) => {
            ensure!(quote.len() >= 96, Error::<T>::InvalidDCAPQuote);
            let (hash, rest) = quote.split_at(32);
            let (signature, measurement) = rest.split_at(64);
            let signed = Pallet::<T>::verify(signature, hash, key);
            ensure!(signed.is_ok(), Error::<T>::InvalidDCAPQuote);
            (AttestationProvider::Dcap, hash, measurement)
        }
    };
    let accepted = PRuntimeAllowList::<T>::get().iter().any(|known| known == measurement);
    ensure!(!switches.verify_pruntime || accepted, Error::<T>::PRuntimeRejected);
    let expected = sp_crypto_hashing::blake2_256(info);
    ensure!(hash == expected, Error::<T>::InvalidRuntimeInfoHash);
    Ok(Proof { provider: Some(provider), confidence: DEV_CONFIDENCE })
}
