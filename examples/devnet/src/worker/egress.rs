//! Outgoing messages: one numbered channel per origin, signed when queued, kept until the chain
//! shows that it took them.

use std::collections::{BTreeMap, VecDeque};

use codec::{Decode, Encode};

use super::identity::Identity;
use super::scale::{Message, MessageOrigin, SignedMessage};

/// All channels of a worker.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub(crate) struct Egress {
    channels: BTreeMap<MessageOrigin, Channel>,
}

#[derive(Debug, Clone, Default, Encode, Decode)]
struct Channel {
    next: u64,
    queue: VecDeque<SignedMessage>,
}

impl Egress {
    /// Numbers, signs and queues a message. The signature covers the encoding of a signed message
    /// without its last field, and has no prefix.
    pub(crate) fn push(
        &mut self,
        identity: &Identity,
        sender: MessageOrigin,
        destination: &[u8],
        payload: Vec<u8>,
    ) {
        let channel = self.channels.entry(sender.clone()).or_default();
        let message = Message { sender, destination: destination.to_vec(), payload };
        let sequence = channel.next;
        let signature = identity.sign(&(&message, sequence).encode());
        channel.next += 1;
        channel.queue.push_back(SignedMessage { message, sequence, signature });
    }

    /// The number of the next message of an origin.
    pub(crate) fn next_sequence(&self, origin: &MessageOrigin) -> u64 {
        self.channels.get(origin).map_or(0, |channel| channel.next)
    }

    /// Drops what the chain has: `ingress` gives the next sequence it expects of an origin.
    pub(crate) fn purge(&mut self, ingress: impl Fn(&MessageOrigin) -> u64) {
        for (origin, channel) in &mut self.channels {
            let expected = ingress(origin);
            channel.queue.retain(|message| message.sequence >= expected);
        }
    }

    /// Queued messages of all origins.
    #[must_use]
    pub(crate) fn pending(&self) -> u64 {
        self.channels.values().map(|channel| channel.queue.len() as u64).sum()
    }

    /// SCALE `EgressMessages`: groups in the order of origins, messages in sequence; a group whose
    /// messages were all taken stays as an empty list.
    #[must_use]
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let groups: Vec<_> =
            self.channels.iter().map(|(origin, channel)| (origin, Vec::from_iter(&channel.queue))).collect();
        groups.encode()
    }
}
