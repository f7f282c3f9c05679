//! Messages of the queue (`phala-mq`).

use super::WorkerPublicKey;
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;
use sp_core::H256;

/// Who sent a queue message (`phala_mq::MessageOrigin`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, PartialOrd, Ord)]
pub enum MessageOrigin {
    /// A pallet, by its name in the runtime.
    #[codec(index = 0)]
    Pallet(Vec<u8>),
    /// A contract.
    #[codec(index = 1)]
    Contract(H256),
    /// A worker.
    #[codec(index = 2)]
    Worker(WorkerPublicKey),
    /// An account of this chain.
    #[codec(index = 3)]
    AccountId(H256),
    /// An account elsewhere.
    #[codec(index = 4)]
    MultiLocation(Vec<u8>),
    /// The gatekeepers together.
    #[codec(index = 5)]
    Gatekeeper,
    /// A cluster of workers.
    #[codec(index = 6)]
    Cluster(H256),
    /// No origin: keeps other signed content from being mistaken for a message.
    #[codec(index = 255)]
    Reserved,
}

impl MessageOrigin {
    /// Whether messages of this origin are made off-chain and brought in by transactions.
    pub fn is_offchain(&self) -> bool {
        matches!(self, Self::Contract(_) | Self::Worker(_) | Self::Gatekeeper | Self::Cluster(_))
    }
}

/// A queue message (`phala_mq::Message`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Message {
    /// Who sent it.
    pub sender: MessageOrigin,
    /// The topic.
    pub destination: Vec<u8>,
    /// SCALE bytes whose type the topic decides.
    pub payload: Vec<u8>,
}

impl Message {
    /// Whether the topic may be used: not empty, and no punctuation first (`^` is allowed).
    pub fn destination_is_valid(&self) -> bool {
        const FORBIDDEN: &[u8] = b"~!@#$%&*_+-=|<>?,./;:'";
        self.destination.first().is_some_and(|first| !FORBIDDEN.contains(first))
    }

    /// Whether only the chain itself reads the topic.
    pub fn is_on_chain_only(&self) -> bool {
        self.destination.first() == Some(&b'^')
    }
}

/// A queue message brought in from outside (`phala_mq::SignedMessage`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct SignedMessage {
    /// The message.
    pub message: Message,
    /// Its number in the sender's channel, from 0.
    pub sequence: u64,
    /// sr25519 signature over [`signed_bytes`](Self::signed_bytes), 64 bytes.
    pub signature: Vec<u8>,
}

impl SignedMessage {
    /// What the signature covers: SCALE of message and sequence, without any wrapper.
    pub fn signed_bytes(&self) -> Vec<u8> {
        (&self.message, self.sequence).encode()
    }
}
