//! The worker's key: where it came from, what is sealed with it, and how it signs.

use codec::{Decode, Encode};
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
