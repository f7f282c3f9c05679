//! Messages between workers and the chain (`phala-mq`).

use crate::id::{AccountId, Hash, WorkerKey};
use codec::{Decode, Encode};

/// Who sent a message (`phala_mq::MessageOrigin`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum MessageOrigin {
    /// A pallet, by name.
    #[codec(index = 0)]
    Pallet(Vec<u8>),
    /// A confidential contract.
    #[codec(index = 1)]
    Contract(Hash),
    /// A worker.
    #[codec(index = 2)]
    Worker(WorkerKey),
    /// A user account.
    #[codec(index = 3)]
    AccountId(AccountId),
    /// A location of another consensus system.
    #[codec(index = 4)]
    MultiLocation(Vec<u8>),
    /// The gatekeepers together.
    #[codec(index = 5)]
    Gatekeeper,
    /// A cluster of workers.
    #[codec(index = 6)]
    Cluster(Hash),
    /// Kept free so that `FF` can prefix other signed content.
    #[codec(index = 255)]
    Reserved,
}

/// A message (`phala_mq::Message`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    /// Who sent it.
    pub sender: MessageOrigin,
    /// Topic.
    pub destination: Vec<u8>,
    /// Content.
    pub payload: Vec<u8>,
}

/// A message with its place in the sender's sequence (`phala_mq::SignedMessage`).
///
/// Signed bytes are the encoding without the signature field.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedMessage {
    /// The message.
    pub message: Message,
    /// 0, 1, 2, … per sender; the chain takes them in this order only.
    pub sequence: u64,
    /// sr25519 signature, 64 bytes.
    pub signature: Vec<u8>,
}

/// What a worker wants to tell the chain: its messages by sender, each list in sequence order; lists may be empty.
pub type EgressMessages = Vec<(MessageOrigin, Vec<SignedMessage>)>;
