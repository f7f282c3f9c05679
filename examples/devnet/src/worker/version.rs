//! The worker version, which decides between the old and the new style of several rules.

use std::fmt;
use std::str::FromStr;

use codec::{Decode, Encode};

/// Version a worker claims, such as 2.2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Version {
    /// Major part.
    pub major: u8,
    /// Minor part.
    pub minor: u8,
    /// Patch part.
    pub patch: u8,
}

impl Version {
    /// The version whose rules are the current ones.
    pub const CURRENT: Self = Self { major: 2, minor: 2, patch: 0 };

    /// Whether authority changes come from digests, proofs may use `Grandpa.Authorities` and DCAP
    /// exists (2.2.0 and later).
    #[must_use]
    pub fn is_new_style(self) -> bool {
        (self.major, self.minor) >= (2, 2)
    }

    /// The number inside the registration info: major * 65536 + minor * 256 + patch.
    #[must_use]
    pub fn number(self) -> u32 {
        (u32::from(self.major) << 16) | (u32::from(self.minor) << 8) | u32::from(self.patch)
    }

    /// Format number of this version's checkpoints: 2 up to 2.1, then (major << 16) + minor.
    #[must_use]
    pub fn checkpoint_format(self) -> u32 {
        if self.is_new_style() { (u32::from(self.major) << 16) + u32::from(self.minor) } else { 2 }
    }

    /// As the triple the chain stores for its minimum version.
    #[must_use]
    pub fn triple(self) -> (u32, u32, u32) {
        (self.major.into(), self.minor.into(), self.patch.into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is not `major.minor.patch` with parts below 256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("worker version `{0}` is not of the form 2.2.0")]
pub struct BadVersion(String);

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.to_owned());
        let mut parts = text.split('.').map(|part| part.parse::<u8>().map_err(|_| bad()));
        let mut next = || parts.next().ok_or_else(bad)?;
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(bad()) } else { Ok(version) }
    }
}
