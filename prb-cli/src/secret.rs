//! Secrets at rest: XChaCha20-Poly1305 under a key derived from the identity.

use crate::identity::Identity;
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use prb_chain::keys::{BadKey, Signer};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// A secret that can only be opened with the identity it was sealed with, for the owner it was sealed for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system has no randomness.
    #[error("no randomness to seal a secret: {0}")]
    Randomness(String),
    /// Another identity, another owner, or changed bytes.
    #[error(
        "the secret of {owner} does not open with this identity; restore the identity file it was added with (`prb identity restore`), or give it again with `prb operator set {owner} --secret`"
    )]
    Unopenable {
        /// Whose secret.
        owner: String,
    },
    /// Given up when its identity was lost.
    #[error(
        "the secret of {owner} was given up with the identity it was sealed with; give it again with `prb operator set {owner} --secret`"
    )]
    Lost {
        /// Whose secret.
        owner: String,
    },
    /// It opens, and is no key.
    #[error(
        "the secret of {owner} is no key: {cause}; give it again with `prb operator set {owner} --secret`"
    )]
    NoKey {
        /// Whose secret.
        owner: String,
        /// Why not.
        cause: BadKey,
    },
}

const PURPOSE: &str = "prb operator secrets v1";
const NONCE_LEN: usize = 24;

impl Sealed {
    /// Seals `secret` for `owner`.
    pub fn seal(identity: &Identity, owner: &str, secret: &[u8]) -> Result<Self, SecretError> {
        let mut sealed = vec![0; NONCE_LEN];
        getrandom::fill(&mut sealed).map_err(|error| SecretError::Randomness(error.to_string()))?;
        let payload = Payload { msg: secret, aad: owner.as_bytes() };
        let ciphertext = cipher(identity)
            .encrypt(XNonce::from_slice(&sealed), payload)
            .map_err(|_| SecretError::Unopenable { owner: owner.to_owned() })?;
        sealed.extend(ciphertext);
        Ok(Self(hex::encode(sealed)))
    }

    /// What stands for a secret that was given up.
    pub fn lost() -> Self {
        Self(String::new())
    }

    /// Whether it was given up.
    pub fn is_lost(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that it is: a mnemonic, a seed, a derivation URI or the hex of a secret key.
    pub fn signer(&self, identity: &Identity, owner: &str) -> Result<Signer, SecretError> {
        let secret = self.open(identity, owner)?;
        Signer::from_text(&secret).map_err(|cause| SecretError::NoKey { owner: owner.to_owned(), cause })
    }

    /// Opens it.
    pub fn open(&self, identity: &Identity, owner: &str) -> Result<Zeroizing<String>, SecretError> {
        if self.is_lost() {
            return Err(SecretError::Lost { owner: owner.to_owned() });
        }
        let unopenable = || SecretError::Unopenable { owner: owner.to_owned() };
        let bytes = hex::decode(&self.0).map_err(|_| unopenable())?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN).ok_or_else(unopenable)?;
        let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
        let secret =
            cipher(identity).decrypt(XNonce::from_slice(nonce), payload).map_err(|_| unopenable())?;
        String::from_utf8(secret).map(Zeroizing::new).map_err(|_| unopenable())
    }
}

fn cipher(identity: &Identity) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(identity.derive(PURPOSE).as_slice().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_f048_a_secret_opens_only_with_its_identity_and_for_its_owner() {
        let (identity, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let sealed = Sealed::seal(&identity, "alice", b"//Alice").unwrap();
        assert_eq!(sealed.open(&identity, "alice").unwrap().as_str(), "//Alice");
        assert!(sealed.open(&identity, "bob").is_err());
        assert!(sealed.open(&other, "alice").is_err());
        assert_eq!(format!("{sealed:?}"), "Sealed");
    }

    #[test]
    fn what_was_given_up_or_is_no_key_is_told_with_the_remedy() {
        let identity = Identity::generate().unwrap();
        let no_key = Sealed::seal(&identity, "bob", b"hunter2").unwrap();
        for (sealed, reason) in [(Sealed::lost(), "given up"), (no_key, "no key")] {
            let refused = sealed.signer(&identity, "bob").unwrap_err().to_string();
            assert!(
                refused.contains(reason) && refused.contains("prb operator set bob --secret"),
                "{refused}"
            );
            assert!(!refused.contains("hunter2"));
        }
    }
}
