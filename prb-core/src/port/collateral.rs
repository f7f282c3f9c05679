//! What vouches for DCAP quotes.

use crate::{attestation::PlatformKind, fault::Fault, types::attestation::SgxV30QuoteCollateral};
use async_trait::async_trait;
use std::sync::Arc;

/// Where collateral for DCAP reports comes from: a PCCS (Intel's caching service for provisioning certificates).
///
/// # Contract
///
/// - `collateral` answers what vouches for quotes of platforms of that kind. It is not judged here: the chain checks
///   every signature in it.
/// - Many callers that ask for one kind at once cost one fetch. An answer may be kept for a while that is short
///   against what it is valid for (weeks).
/// - Every call ends within the source's own deadline.
#[async_trait]
pub trait CollateralSource: Send + Sync {
    /// The collateral for quotes of `kind`.
    async fn collateral(&self, kind: PlatformKind) -> Result<Arc<SgxV30QuoteCollateral>, CollateralError>;
}

/// Why there is no collateral.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollateralError {
    /// Nobody answered.
    #[error("the PCCS at {url} does not answer: {cause}; check `attestation.pccs_url` and that it runs")]
    Unreachable {
        /// Where.
        url: String,
        /// What the transport said.
        cause: String,
    },
    /// It refused.
    #[error(
        "the PCCS at {url} answered status {status} for {kind}; check `attestation.pccs_url` and what the PCCS knows"
    )]
    Refused {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// For what.
        kind: PlatformKind,
    },
    /// It answered something else.
    #[error(
        "the PCCS at {url} answered {cause}; check that `attestation.pccs_url` ends in its version, as in /sgx/certification/v4"
    )]
    BadAnswer {
        /// Where.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl CollateralError {
    /// What may be done about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::Retry,
            Self::Refused { status, .. } if *status == 429 || *status >= 500 => Fault::Retry,
            Self::Refused { .. } | Self::BadAnswer { .. } => Fault::Stop,
        }
    }
}
