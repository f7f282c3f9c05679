//! The worker's key: where it came from, what is sealed with it, and how it signs.

use codec::{Decode, Encode};
use curve25519_dalek::{ristretto::CompressedRistretto, scalar::Scalar};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sp_core::{H256, Pair, sr25519};

use super::error::{Error, Result};
use super::scale::Key;

/// First byte of everything signed that is not a message-queue message: the index of the reserved
/// origin, so that such bytes never read as a message.
const RESERVED: u8 = 0xff;
/// Kind byte of a signed RPC response.
pub(crate) const KIND_RPC_RESPONSE: u8 = 1;
/// Kind byte of a signed endpoint list.
pub(crate) const KIND_ENDPOINTS: u8 = 2;

/// An sr25519 key pair; its public key is also the ecdh public key.
#[derive(Clone)]
pub(crate) struct Identity(sr25519::Pair);

impl Identity {
    /// From a 32-byte mini secret (Ed25519-style expansion) or a 64-byte expanded secret.
    pub(crate) fn from_seed(seed: &[u8]) -> Result<Self> {
        sr25519::Pair::from_seed_slice(seed).map(Self).map_err(|error| Error::App(format!("{error:?}")))
    }

    /// A fresh random key.
    #[must_use]
    pub(crate) fn generate() -> Self {
        Self(sr25519::Pair::generate().0)
    }

    /// The public key.
    #[must_use]
    pub(crate) fn public(&self) -> Key {
        self.0.public().0
    }

    /// The 64-byte expanded secret.
    #[must_use]
    pub(crate) fn secret(&self) -> Vec<u8> {
        self.0.to_raw_vec()
    }

    /// Whether `signature` is that of `key` over `message`.
    pub(crate) fn signed(key: &Key, message: &[u8], signature: &[u8]) -> bool {
        sr25519::Signature::try_from(signature).is_ok_and(|signature| {
            sr25519::Pair::verify(&signature, message, &sr25519::Public::from_raw(*key))
        })
    }

    /// What this key and that of the other side have in common and nobody else can know: secret times public point of
    /// the Ristretto group, compressed.
    fn agree(&self, other: &Key) -> Result<[u8; 32]> {
        let bad = || Error::app("EcdhInvalidPublicKey");
        let mut scalar = [0; 32];
        scalar.copy_from_slice(&self.secret()[..32]);
        let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(scalar)).ok_or_else(bad)?;
        let point = CompressedRistretto(*other).decompress().ok_or_else(bad)?;
        Ok((scalar * point).compress().to_bytes())
    }

    /// Encrypts for the holder of `other`. The nonce must not be used twice between these two.
    pub(crate) fn encrypt(&self, other: &Key, nonce: [u8; 12], mut text: Vec<u8>) -> Result<Vec<u8>> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        cipher(&self.agree(other)?)?
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut text)
            .map_err(|_| Error::app("Encrypt failed"))?;
        Ok(text)
    }

    /// Decrypts what the holder of `other` encrypted for this key.
    pub(crate) fn decrypt(&self, other: &Key, nonce: [u8; 12], mut text: Vec<u8>) -> Result<Vec<u8>> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plain = cipher(&self.agree(other)?)?
            .open_in_place(nonce, Aad::empty(), &mut text)
            .map_err(|_| Error::app("Decrypt failed"))?;
        Ok(plain.to_vec())
    }

    /// Signs bytes as they are.
    #[must_use]
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).0.to_vec()
    }

    /// Signs bytes with the prefix of `kind`.
    #[must_use]
    pub(crate) fn sign_kind(&self, kind: u8, message: &[u8]) -> Vec<u8> {
        self.sign(&[&[RESERVED, kind], message].concat())
    }
}

/// AES-256-GCM.
fn cipher(key: &[u8; 32]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::app("Bad key length"))?;
    Ok(LessSafeKey::new(key))
}

/// What the worker seals to its machine: it survives a restart, even one that loses all state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Sealed {
    /// 64-byte expanded secret.
    pub secret: Vec<u8>,
    /// Relay genesis the key belongs to.
    pub genesis_hash: H256,
    /// Parachain the key belongs to.
    pub para_id: u32,
    /// The key was injected.
    pub dev_mode: bool,
    /// The key was generated inside and never left.
    pub trusted: bool,
}

impl Sealed {
    /// The key pair.
    pub(crate) fn identity(&self) -> Result<Identity> {
        Identity::from_seed(&self.secret)
    }

    /// Refuses to serve another chain than the one the key was sealed for.
    pub(crate) fn check(&self, genesis_hash: H256, para_id: u32) -> Result<()> {
        if self.genesis_hash != genesis_hash {
            return Err(Error::app(format!(
                "Genesis block hash mismatches with saved keys, expected {:?}",
                self.genesis_hash
            )));
        }
        if self.para_id != para_id {
            return Err(Error::app(format!(
                "Parachain id mismatches, saved: {}, in state: {para_id}",
                self.para_id
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_f89_what_is_encrypted_for_one_key_opens_with_that_key_only() {
        let [sender, receiver, other] = [1, 2, 3].map(|seed| Identity::from_seed(&[seed; 32]).unwrap());
        assert_eq!(sender.agree(&receiver.public()), receiver.agree(&sender.public()));
        let sealed = sender.encrypt(&receiver.public(), [7; 12], sender.secret()).unwrap();
        assert_eq!(sealed.len(), 64 + 16);
        let secret = sender.secret();
        assert!(!sealed.windows(8).any(|part| secret.windows(8).any(|plain| plain == part)));
        assert_eq!(receiver.decrypt(&sender.public(), [7; 12], sealed.clone()), Ok(secret.clone()));
        assert_eq!(Identity::from_seed(&secret).unwrap().public(), sender.public());
        let failed = Err(Error::app("Decrypt failed"));
        assert_eq!(other.decrypt(&sender.public(), [7; 12], sealed.clone()), failed);
        assert_eq!(receiver.decrypt(&sender.public(), [8; 12], sealed.clone()), failed);
        assert!(receiver.decrypt(&[0xff; 32], [7; 12], sealed).is_err());
    }
}
