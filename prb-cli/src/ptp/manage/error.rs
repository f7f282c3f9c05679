//! Why something is not done for a peer.

use crate::{
    account::BadAccount,
    identity::KeyringError,
    inventory::{InventoryError, Refusal},
    secret::SecretError,
    v3::ConfigError,
};
use prb_core::pipeline::BridgeError;
use prb_p2p::message::{ErrorKind, ResponseError};

/// The reason, with its remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManageError {
    #[error(
        "{method} changes something, and {peer} may not; name that id in p2p.managers of this lifecycle manager \
         (managers = [\"{peer}\"]), or call from its own machine"
    )]
    Unauthorized { peer: String, method: &'static str },
    #[error("{0} is not answered by a lifecycle manager")]
    NotAnswered(&'static str),
    #[error("{0} is not answered here: this lifecycle manager is in config mode and runs no workers")]
    NothingRuns(&'static str),
    #[error("the bridge starts, stops, or stands by for another one; ask again in a moment")]
    StandingBy,
    #[error("the request is not understood: {0}; send the message of its method")]
    Malformed(prost::DecodeError),
    #[error("{found} in one call are too many; send at most {most} and then the others")]
    TooMany { found: usize, most: usize },
    /// One of several.
    #[error("{list}[{at}]: {cause}")]
    Within { list: &'static str, at: usize, cause: Box<ManageError> },
    #[error("{0} is missing; send the whole record")]
    Wanted(&'static str),
    #[error("there is no {kind} {wanted}; see {list}")]
    Missing { kind: &'static str, wanted: String, list: &'static str },
    #[error("several pools are called {0}; say which one by its uuid or pid")]
    Ambiguous(String),
    #[error("there is a pool called {0} already; give this one another name")]
    NameTaken(String),
    #[error(
        "the pool has pid {present}, which stays; create one with pid {wanted} and move the workers there"
    )]
    OtherPid { present: u64, wanted: u64 },
    #[error("somebody else changed the pool meanwhile; send it again")]
    Overtaken,
    #[error("stake {0:?} is not a whole number of planck (10^-12 PHA)")]
    Stake(String),
    #[error("worker {worker}: {why}")]
    Idle { worker: String, why: String },
    #[error("{cause}; {told} other workers were told before that")]
    NotCommanded { told: usize, cause: BridgeError },
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Account(#[from] BadAccount),
    #[error("it crashed: {0}; please report this with the log")]
    Crashed(String),
}

impl ManageError {
    pub(super) fn within(self, list: &'static str, at: usize) -> Self {
        Self::Within { list, at, cause: self.into() }
    }

    /// What kind it is for who called.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::NotAnswered(_) | Self::NothingRuns(_) | Self::Missing { .. } => ErrorKind::NotFound,
            Self::NameTaken(_) => ErrorKind::Duplicated,
            Self::Inventory(InventoryError::Refused(refused)) => match refused.why {
                Refusal::Missing { .. } => ErrorKind::NotFound,
                Refusal::Exists { .. } | Refusal::EndpointInUse { .. } => ErrorKind::Duplicated,
                _ => ErrorKind::Server,
            },
            Self::Within { cause, .. } => cause.kind(),
            _ => ErrorKind::Server,
        }
    }
}

impl From<ManageError> for ResponseError {
    fn from(error: ManageError) -> Self {
        // It may repeat what was sent, and that may be long.
        let text = error.to_string().chars().take(MAX_TEXT).collect::<String>();
        Self::new(error.kind(), text)
    }
}

/// Most characters of a reason.
const MAX_TEXT: usize = 1_000;
