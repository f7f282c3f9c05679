//! Attestation of the dev network: no enclave, but a real commitment and a real signature.
//!
//! * An IAS report is `ra_report` = BLAKE2b-256 of the registration info (32 bytes), `signature` = the
//!   worker key's sr25519 signature over these bytes, `raw_signing_cert` = the program's measurement.
//! * A DCAP quote has the layout of real ones (Intel, `sgx_quote_3.h`): the same hash begins the report data, the
//!   signature is where that of the enclave's report is, the measurement is the authentication data. It counts only with
//!   collateral, of which no part may be missing; whether that vouches for the quote is not judged.

use super::super::switches;
use super::super::types::{
    AttestationProvider, AttestationReport, Collateral, SgxV30QuoteCollateral, WorkerPublicKey,
};
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
        Some(AttestationReport::SgxDcap { quote, collateral: Some(Collateral::SgxV30(collateral)) }) => {
            ensure!(is_complete(collateral), Error::<T>::InvalidDCAPQuote);
            let (hash, signature, measurement) = parts(quote).ok_or(Error::<T>::InvalidDCAPQuote)?;
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

/// Hash, signature and measurement of a quote.
fn parts(quote: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const VERSION_3: &[u8] = &[3, 0];
    const HASH: usize = 48 + 320;
    const SIGNATURE: usize = 48 + 384 + 4;
    const MEASUREMENT: usize = SIGNATURE + 64 + 64 + 384 + 64;
    let at = |start: usize, length: usize| quote.get(start..start + length);
    at(0, 2).filter(|version| *version == VERSION_3)?;
    let length = u16::from_le_bytes(at(MEASUREMENT, 2)?.try_into().ok()?);
    Some((at(HASH, 32)?, at(SIGNATURE, 64)?, at(MEASUREMENT + 2, length.into())?))
}

fn is_complete(collateral: &SgxV30QuoteCollateral) -> bool {
    let texts = [
        &collateral.pck_crl_issuer_chain,
        &collateral.root_ca_crl,
        &collateral.pck_crl,
        &collateral.tcb_info_issuer_chain,
        &collateral.tcb_info,
        &collateral.qe_identity_issuer_chain,
        &collateral.qe_identity,
    ];
    let signatures = [&collateral.tcb_info_signature, &collateral.qe_identity_signature];
    texts.iter().all(|text| !text.is_empty()) && signatures.iter().all(|signature| !signature.is_empty())
}
