//! Old worker → new worker: the key, and who may use it from then on.

use crate::{
    handover::Means,
    port::{KeyHandover, WorkerError, worker::Refusal},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::info;

/// Why a key did not move, or only half of what belongs to that was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// One of the two refused, or was not reachable.
    #[error("{0}; nothing has changed: the old worker has its key, and the new one has not got it")]
    NotGiven(WorkerError),
    /// The new worker answered something else than it was asked.
    #[error(
        "{endpoint} answered another challenge than it was given; nothing has changed: the old worker has its key, and the \
         new one has not got it"
    )]
    OtherChallenge {
        /// The new worker.
        endpoint: String,
    },
    /// Whether the new worker took the key is not known.
    #[error(
        "{0}; whether the new worker has the key is not known, and the old one has it still: hand it over again before \
         either is fed"
    )]
    Unsure(WorkerError),
    /// The new worker has the key and uses its own.
    #[error(
        "the new worker has the key, and could not be restarted, without which it does not use it: {0}; restart it without \
         its checkpoints, stop the old one and never feed that again, and have the inventory name the new one's address before \
         you enable its entry"
    )]
    NotRestarted(WorkerError),
    /// Both can use the key.
    #[error(
        "the new worker has the key, and the old one could not be stopped: {0}; stop it, and never feed it again: two \
         workers with one key harm each other; have the inventory name the new one's address before you enable its entry"
    )]
    NotStopped(WorkerError),
}

/// How long a worker may be busy with what was sent to it before.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause before a busy worker is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Gives the key of `old` to `new`, restarts `new` so that it uses it, and stops `old`. Nobody may feed either of them
/// meanwhile, and nobody `old` ever again. Whether it may be done at all is for [`crate::handover::means`] to say, and how.
///
/// Until `new` has the key nothing has changed, and the whole may be repeated; afterwards it is for `new` alone.
pub async fn hand_over(
    old: &dyn KeyHandover,
    new: &dyn KeyHandover,
    means: Means,
) -> Result<(), HandoverError> {
    use HandoverError::{NotGiven, NotRestarted, NotStopped, OtherChallenge, Unsure};
    let challenge = patiently(|| old.create_challenge(means)).await.map_err(NotGiven)?;
    let response = patiently(|| new.accept_challenge(challenge.clone())).await.map_err(NotGiven)?;
    if !response.answers(&challenge) {
        return Err(OtherChallenge { endpoint: new.endpoint() });
    }
    let key = patiently(|| old.start_handover(response.clone())).await.map_err(NotGiven)?;
    let received = patiently(|| new.receive_key(key.clone())).await;
    received.map_err(|error| if is_refusal(&error) { NotGiven(error) } else { Unsure(error) })?;
    info!(old = old.endpoint(), new = new.endpoint(), "the key was handed over");
    // Its checkpoints tell of another key's messages and registration.
    patiently(|| new.stop(true)).await.map_err(NotRestarted)?;
    patiently(|| old.stop(false)).await.map_err(NotStopped)
}

/// Asks again while the worker is busy.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, WorkerError>) -> Result<T, WorkerError> {
    let begun = Instant::now();
    loop {
        match call().await {
            Err(WorkerError::Refused { refusal: Refusal::Busy, .. }) if begun.elapsed() < PATIENCE => {
                sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// Whether the worker has said that it did nothing.
fn is_refusal(error: &WorkerError) -> bool {
    matches!(
        error,
        WorkerError::Unreachable { .. }
            | WorkerError::Refused { .. }
            | WorkerError::BadRequest { .. }
            | WorkerError::NotOffered { .. }
            | WorkerError::TooLarge { .. }
    )
}
