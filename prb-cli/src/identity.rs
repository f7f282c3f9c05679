//! The bridge's identity: one key per data directory, from which the key for secrets at rest is derived.

mod file;
mod keyring;
mod passphrase;

pub use keyring::{Keyring, KeyringError, Locked, Rotated, Shown};
pub use passphrase::Passphrase;

use crate::inventory::Operator;
use prb_core::fault::unusable;
use std::{
    io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The identity key.
pub struct Identity(Zeroizing<[u8; 32]>);

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read or written.
    #[error("{}", unusable("use identity file", path, cause))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others can read it.
    #[error(
        "{path} can be read by others (mode {mode:o}); run `chmod 600 {path}` and consider the secrets in this data directory known"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no identity.
    #[error(
        "identity file {0} must hold 64 hex digits, or what a passphrase made of them; restore it from a backup"
    )]
    Malformed(PathBuf),
    /// The system has no randomness.
    #[error("no randomness for a new identity: {0}")]
    Randomness(String),
    /// There is none and none is needed.
    #[error("there is no identity in {0} yet; the first `prb operator add` makes one")]
    None(PathBuf),
    /// It is not there, and what was sealed with it is.
    #[error(
        "identity file {path} is missing, and {secrets} operator secrets are sealed with it; put it back with \
         `prb identity restore FILE`; if there is no copy, `prb identity rotate --lose-secrets` makes another one, and \
         `prb operator set NAME --secret` gives it each secret again"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// How many secrets it is needed for.
        secrets: usize,
    },
    /// It is another one than the secrets were sealed with.
    #[error(
        "identity {fingerprint} in {path} opens none of the {secrets} operator secrets in the inventory; put back the one \
         they were sealed with, with `prb identity restore FILE`; if there is no copy, `prb identity rotate \
         --lose-secrets` begins anew, and `prb operator set NAME --secret` gives it each secret again"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it holds.
        fingerprint: String,
        /// How many secrets it should open.
        secrets: usize,
    },
    /// The one in use is needed.
    #[error(
        "identity {fingerprint} in {path} opens secrets in the inventory and is kept; there is nothing to restore"
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// What it holds.
        fingerprint: String,
    },
    /// It is protected, and there is nobody to ask.
    #[error(
        "identity file {0} is protected by a passphrase; name a file that holds it with --passphrase-file (or \
         PRB_PASSPHRASE_FILE, or passphrase_file in the configuration; /dev/fd/3 for a descriptor), or run this on a terminal"
    )]
    Locked(PathBuf),
    /// The passphrase is another one.
    #[error(
        "the passphrase does not open identity file {0}; if it is lost, move the file away and give the operators their \
         secrets again after `prb identity rotate --lose-secrets`"
    )]
    WrongPassphrase(PathBuf),
    /// The file with the passphrase is of no use.
    #[error("passphrase file {path}: {cause}")]
    PassphraseFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The two passphrases that were typed differ, or are empty.
    #[error("no new passphrase: {0}; give it again")]
    NoPassphrase(&'static str),
}

impl IdentityError {
    /// What kind it is, for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Open { .. } => "open_to_others",
            Self::Malformed(_) => "malformed",
            Self::Randomness(_) => "randomness",
            Self::None(_) | Self::Missing { .. } => "missing",
            Self::Foreign { .. } | Self::InUse { .. } => "foreign",
            Self::Locked(_) => "locked",
            Self::WrongPassphrase(_) => "wrong_passphrase",
            Self::PassphraseFile { .. } | Self::NoPassphrase(_) => "passphrase_file",
        }
    }
}

impl Identity {
    /// A new one.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|error| IdentityError::Randomness(error.to_string()))?;
        Ok(Self(key))
    }

    /// A key for one purpose: BLAKE2b-256 of purpose ‖ identity key.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut input = Zeroizing::new(purpose.as_bytes().to_vec());
        input.extend_from_slice(self.0.as_slice());
        Zeroizing::new(prb_core::id::Hash::of(&input).0)
    }

    /// What people compare to tell which identity this is: 16 hex digits that say nothing about the key.
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.derive("prb identity fingerprint v1")[..8])
    }

    /// Whether it is the identity of an inventory with these operators: it opens one of their secrets, or there is none.
    fn fits(&self, operators: &[Operator]) -> bool {
        let mut sealed = operators.iter().filter(|operator| !operator.secret.is_lost()).peekable();
        sealed.peek().is_none() || sealed.any(|operator| operator.secret.open(self, &operator.name).is_ok())
    }

    /// What a file holds: the key as 64 hex digits, or sealed with `passphrase`.
    fn to_text(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>, IdentityError> {
        match passphrase {
            None => Ok(Zeroizing::new(hex::encode(self.0.as_slice()))),
            Some(passphrase) => passphrase::protect(&self.0, passphrase),
        }
    }

    fn from_text(path: &Path, text: &str, passphrase: &Passphrase) -> Result<Self, IdentityError> {
        let malformed = || IdentityError::Malformed(path.to_owned());
        if passphrase::is_protected(text) {
            return passphrase.open(path, text).map(Self);
        }
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice()).map_err(|_| malformed())?;
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests;
