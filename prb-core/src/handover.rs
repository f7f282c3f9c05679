//! Whether a worker may give its key to another one, and how.
//!
//! A key moves between two programs on one machine: from the one that uses it to one that takes its place. Neither the
//! bridge nor anybody else sees it; what the calls carry is encrypted by the one enclave for the other. The key that the
//! other one had is lost with that, which is why it must not be one that the chain knows.

use crate::{
    id::{Hash, Height, WorkerKey},
    port::WorkerInfo,
};
use bytes::Bytes;
use std::fmt;

/// In which of their two forms the four calls are made. The one who has the key decides: it is as it attests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// `HandoverCreateChallenge` and so on: workers that attest with IAS, and development workers.
    Ias,
    /// `DcapHandoverCreateChallenge` and so on: workers that attest with DCAP (from 2.2.0 on).
    Dcap,
}

/// What the worker with the key wants to see answered, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// How it was asked for.
    pub means: Means,
    /// SCALE `HandoverChallenge` or `DcapHandoverChallenge`.
    pub encoded: Bytes,
}

/// How the other one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeResponse {
    /// How it was asked for.
    pub means: Means,
    /// SCALE `ChallengeHandlerInfo` or `DcapChallengeHandlerInfo`: the challenge and the key to encrypt for.
    pub encoded: Bytes,
    /// What vouches for it, as it came: an attestation or a local report.
    pub evidence: Option<Bytes>,
}

impl ChallengeResponse {
    /// Whether it answers this challenge: it begins with it. The worker with the key checks that too, and its challenge
    /// is spent then.
    pub fn answers(&self, challenge: &Challenge) -> bool {
        self.means == challenge.means && self.encoded.starts_with(&challenge.encoded)
    }
}

/// The key, encrypted for the other one.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// How it was asked for.
    pub means: Means,
    /// SCALE `EncryptedWorkerKey`.
    pub encoded: Bytes,
    /// What vouches for it, as it came.
    pub evidence: Option<Bytes>,
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey").field("means", &self.means).finish_non_exhaustive()
    }
}

/// What is known before anything is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The worker that has the key.
    pub old: &'a WorkerInfo,
    /// The worker that is to get it.
    pub new: &'a WorkerInfo,
    /// Newest finalized block of the parachain.
    pub tip: Height,
    /// Whether the chain knows the key that the new worker has now.
    pub new_is_registered: bool,
}

/// Why a key cannot move now. Nothing was asked of either worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotHandOver {
    /// It has no key in use.
    #[error("the old worker is not initialised, so it has no key in use; enable it until it is at work")]
    OldNotInitialized,
    /// Done already, or one worker under two names.
    #[error(
        "both have the key {0} already: they are one worker, or it was handed over before; stop the old one, never feed it \
         again, and have the inventory name the new one's address before you enable its entry"
    )]
    SameKey(WorkerKey),
    /// The key would be of no use there.
    #[error(
        "the new worker was initialised for another network (start block {new}, the old one's is {old}); take one that was \
         not, or remove its data"
    )]
    OtherChain {
        /// Hash of the old one's start header.
        old: Hash,
        /// Hash of the new one's.
        new: Hash,
    },
    /// A key of value would be lost.
    #[error(
        "the new worker is registered with a key of its own, {0}, which it would lose with its score and its stake; take \
         one that never was registered"
    )]
    NewInUse(WorkerKey),
    /// It does not know by now what the chain allows.
    #[error(
        "the old worker has block {at} and the chain is at {tip}; it must know which programs the chain takes by now: enable \
         it until it has caught up"
    )]
    Behind {
        /// Its last block.
        at: Height,
        /// The chain's.
        tip: Height,
    },
    /// It keeps no state to judge by.
    #[error(
        "the old worker runs in safe mode {0}, in which it keeps no chain state; restart it in safe mode 0 or 1"
    )]
    SafeMode(u32),
    /// They are on different machines.
    #[error(
        "the old worker's platform attests with DCAP and the new one's does not (it says {0:?}); a key moves within one \
         machine only"
    )]
    OtherPlatform(Vec<String>),
}

/// How far behind the chain the old worker may be, blocks: as many as a challenge is good for.
pub const MAX_BEHIND: u32 = 150;

/// How the key is to move, if it may.
pub fn means(situation: Situation<'_>) -> Result<Means, CannotHandOver> {
    let Situation { old, new, tip, new_is_registered } = situation;
    let key = old.public_key.filter(|_| old.initialized).ok_or(CannotHandOver::OldNotInitialized)?;
    if new.public_key == Some(key) {
        return Err(CannotHandOver::SameKey(key));
    }
    if let (Some(old), Some(new)) = (old.genesis_block_hash, new.genesis_block_hash)
        && old != new
    {
        return Err(CannotHandOver::OtherChain { old, new });
    }
    if let Some(key) = new.public_key.filter(|_| new.registered || new_is_registered) {
        return Err(CannotHandOver::NewInUse(key));
    }
    if old.safe_mode_level >= 2 {
        return Err(CannotHandOver::SafeMode(old.safe_mode_level));
    }
    let at = old.blocknum.prev().unwrap_or_default();
    if at.0.saturating_add(MAX_BEHIND) < tip.0 {
        return Err(CannotHandOver::Behind { at, tip });
    }
    let attests = |info: &WorkerInfo| info.supported_attestation_methods.iter().any(|one| one == "dcap");
    match attests(old) && !old.dev_mode {
        true if !attests(new) => {
            Err(CannotHandOver::OtherPlatform(new.supported_attestation_methods.clone()))
        }
        true => Ok(Means::Dcap),
        false => Ok(Means::Ias),
    }
}

#[cfg(test)]
mod tests;
