//! A TEE worker that can give its key to another one, or take it.

use super::worker::{WorkerDriver, WorkerError};
use crate::handover::{Challenge, ChallengeResponse, Means, SealedKey};
use async_trait::async_trait;

/// The calls by which a key moves from the worker that uses it to another one on the same machine.
///
/// # Contract
///
/// - That of [`WorkerDriver`].
/// - What comes from one worker goes to the other as it came, byte for byte, and is not logged.
/// - None of the calls is made twice by itself: a challenge is spent by the first attempt to answer it.
#[async_trait]
pub trait KeyHandover: WorkerDriver {
    /// `HandoverCreateChallenge`, asked of the worker that has the key. It replaces the challenge before it.
    async fn create_challenge(&self, means: Means) -> Result<Challenge, WorkerError>;

    /// `HandoverAcceptChallenge`, asked of the worker that is to get the key. It need not be initialised.
    async fn accept_challenge(&self, challenge: Challenge) -> Result<ChallengeResponse, WorkerError>;

    /// `HandoverStart`, asked of the worker that has the key.
    async fn start_handover(&self, response: ChallengeResponse) -> Result<SealedKey, WorkerError>;

    /// `HandoverReceive`: the worker keeps the key in place of its own, and uses it once it was restarted.
    async fn receive_key(&self, key: SealedKey) -> Result<(), WorkerError>;
}
