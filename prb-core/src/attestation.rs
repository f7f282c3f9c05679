//! How a worker attests, and what its report lacks before the chain takes it.
//!
//! A DCAP report comes from the worker with a quote alone. The chain also wants what vouches for the quote: lists of
//! revoked certificates, the state of the platform's TCB and of its quoting enclave. Which ones follows from the
//! platform's certificate inside the quote. Nothing here trusts the worker: whatever it answers, the worst is an error.

mod quote;

pub use quote::BadQuote;

use crate::types::attestation::{AttestationProvider, AttestationReport, Collateral, SgxV30QuoteCollateral};
use codec::{DecodeAll, Encode};
use std::fmt;

/// How a worker that supports `methods` attests: DCAP where its collateral can be had, else IAS on platforms that can or
/// that do not say (before 2.2.0), else DCAP, else not at all.
pub fn provider(methods: &[String], has_collateral: bool) -> Option<AttestationProvider> {
    let has = |method: &str| methods.iter().any(|supported| supported == method);
    if has("dcap") && has_collateral {
        Some(AttestationProvider::Dcap)
    } else if has("epid") || methods.is_empty() {
        Some(AttestationProvider::Ias)
    } else if has("dcap") {
        Some(AttestationProvider::Dcap)
    } else {
        None
    }
}

/// Who certified a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PckCa {
    /// `Intel SGX PCK Processor CA`: platforms of one processor.
    Processor,
    /// `Intel SGX PCK Platform CA`: platforms of several.
    Platform,
}

impl PckCa {
    /// Its name in a PCCS's addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }
}

/// Which collateral a quote needs: the same for all platforms of a kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformKind {
    /// Family, model, stepping, platform type and customised SKU.
    pub fmspc: [u8; 6],
    /// Who certified it.
    pub ca: PckCa,
}

impl fmt::Display for PlatformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FMSPC {} ({} CA)", hex::encode_upper(self.fmspc), self.ca.name())
    }
}

impl fmt::Debug for PlatformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which collateral a report (SCALE `Option<AttestationReport>`) lacks, none if it goes to the chain as it is: one
/// without a quote, or of a kind that this release does not know.
pub fn lacks(report: &[u8]) -> Result<Option<PlatformKind>, BadQuote> {
    match decode(report) {
        Some(AttestationReport::SgxDcap { quote, collateral: None }) => {
            quote::platform_kind(&quote).map(Some)
        }
        _ => Ok(None),
    }
}

/// A report that lacks collateral with it; any other as it is.
pub fn complete(report: &[u8], collateral: &SgxV30QuoteCollateral) -> Vec<u8> {
    match decode(report) {
        Some(AttestationReport::SgxDcap { quote, collateral: None }) => {
            let collateral = Some(Collateral::SgxV30(collateral.clone()));
            Some(AttestationReport::SgxDcap { quote, collateral }).encode()
        }
        _ => report.to_vec(),
    }
}

fn decode(report: &[u8]) -> Option<AttestationReport> {
    Option::<AttestationReport>::decode_all(&mut &*report).ok().flatten()
}

#[cfg(all(test, feature = "testkit"))]
mod tests;
