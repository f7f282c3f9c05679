//! What the pool tells: limits, refusals, statuses.

use sp_core::H256;
use sp_runtime::transaction_validity::{InvalidTransaction, UnknownTransaction};

/// Limits of the pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolConfig {
    /// Most ready transactions (Substrate's default: 8192).
    pub ready: usize,
    /// Most future transactions.
    pub future: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { ready: 8192, future: 819 }
    }
}

/// What a watcher hears (`author_extrinsicUpdate`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxStatus {
    /// Waits for other transactions.
    Future,
    /// May go into the next block.
    Ready,
    /// In this block.
    InBlock(H256),
    /// The block it was in was abandoned.
    Retracted(H256),
    /// No finality for 512 blocks.
    FinalityTimeout(H256),
    /// The block it is in is final.
    Finalized(H256),
    /// Replaced by this transaction.
    Usurped(H256),
    /// Dropped because of the pool's limits.
    Dropped,
    /// Not valid any more.
    Invalid,
}

impl TxStatus {
    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Future | Self::Ready | Self::InBlock(_) | Self::Retracted(_))
    }
}

/// Why the pool refused a transaction. Codes and texts are those of `sc-rpc-api`'s author errors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PoolError {
    /// Not an extrinsic at all.
    #[error("Extrinsic has invalid format: {0}")]
    BadFormat(codec::Error),
    /// The runtime panicked on it.
    #[error("Verification Error: {0}")]
    Verification(String),
    /// Refused by the runtime.
    #[error("Invalid Transaction")]
    Invalid(InvalidTransaction),
    /// The runtime cannot tell.
    #[error("Unknown Transaction Validity")]
    Unknown(UnknownTransaction),
    /// The same bytes were refused or dropped a moment ago.
    #[error("Transaction is temporarily banned")]
    Banned,
    /// The same bytes are in the pool.
    #[error("Transaction Already Imported")]
    AlreadyImported(H256),
    /// Its tag is taken by a transaction of equal or higher priority.
    #[error("Priority is too low: ({old} vs {new})")]
    PriorityTooLow {
        /// Priority of what is there.
        old: u64,
        /// Priority of the refused one.
        new: u64,
    },
    /// It provides a tag it requires.
    #[error("Cycle Detected")]
    Cycle,
    /// The pool is full.
    #[error("Immediately Dropped")]
    ImmediatelyDropped,
}

impl PoolError {
    /// JSON-RPC error code.
    pub fn code(&self) -> i32 {
        match self {
            Self::BadFormat(_) => 1001,
            Self::Verification(_) => 1002,
            Self::Invalid(_) => 1010,
            Self::Unknown(_) => 1011,
            Self::Banned => 1012,
            Self::AlreadyImported(_) => 1013,
            Self::PriorityTooLow { .. } => 1014,
            Self::Cycle => 1015,
            Self::ImmediatelyDropped => 1016,
        }
    }

    /// JSON-RPC error data, where the discriminating text is.
    pub fn data(&self) -> Option<String> {
        match self {
            Self::BadFormat(_) | Self::Banned | Self::Cycle => None,
            Self::Verification(text) => Some(format!("{text:?}")),
            Self::Invalid(InvalidTransaction::Custom(code)) => Some(format!("Custom error: {code}")),
            Self::Invalid(reason) => Some(<&str>::from(*reason).to_owned()),
            Self::Unknown(reason) => Some(<&str>::from(*reason).to_owned()),
            Self::AlreadyImported(hash) => Some(format!("{hash:?}")),
            Self::PriorityTooLow { .. } => Some(
                "The transaction has too low priority to replace another transaction already in the pool."
                    .to_owned(),
            ),
            Self::ImmediatelyDropped => {
                Some("The transaction couldn't enter the pool because of the limit.".to_owned())
            }
        }
    }
}
