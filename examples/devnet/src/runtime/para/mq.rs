//! `PhalaMq`: the message queue between pallets and workers.

pub use pallet::*;

use super::types::{Message, MessageOrigin};
use codec::Encode;
use frame_support::dispatch::DispatchResult;

/// Knows the keys of off-chain senders (the registry).
pub trait KeyRing {
    /// Checks the signature of a message from outside.
    fn check(message: &super::types::SignedMessage) -> DispatchResult;
}

/// Receives every message the chain accepts.
pub trait Subscriber {
    /// Handles a message of a topic it knows. An error is the sender's loss: nothing is reverted.
    fn on_message(message: &Message) -> DispatchResult;
}

impl<A: Subscriber, B: Subscriber> Subscriber for (A, B) {
    fn on_message(message: &Message) -> DispatchResult {
        A::on_message(message)?;
        B::on_message(message)
    }
}

/// The tag that orders queue messages in the pool:
/// SCALE of (`"PhalaMqOffchainMessages"`, sender, sequence).
pub fn pool_tag(sender: &MessageOrigin, sequence: u64) -> Vec<u8> {
    ("PhalaMqOffchainMessages", sender, sequence).encode()
}

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items of the pallet macros")]
#[frame_support::pallet]
pub mod pallet {
    use super::super::types::{Message, MessageOrigin, SignedMessage};
    use super::{KeyRing, Subscriber};
    use crate::runtime::AccountId;
    use crate::runtime::para::CALL_WEIGHT;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use sp_core::H256;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId> {
        /// Who knows the senders' keys.
        type KeyRing: KeyRing;
        /// Who handles messages.
        type Subscriber: Subscriber;
    }

    /// Next expected sequence of each off-chain sender.
    #[pallet::storage]
    pub type OffchainIngress<T: Config> = StorageMap<_, Twox64Concat, MessageOrigin, u64>;

    /// Messages to send with the next block.
    #[pallet::storage]
    pub type QueuedOutboundMessage<T: Config> = StorageValue<_, Vec<Message>>;

    /// Messages of this block; workers read them from the block's storage.
    #[pallet::storage]
    pub type OutboundMessages<T: Config> = StorageValue<_, Vec<Message>, ValueQuery>;

    #[pallet::error]
    pub enum Error<T> {
        /// The origin does not send from outside.
        BadSender,
        /// Not the expected sequence.
        BadSequence,
        /// Not a valid topic.
        BadDestination,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            OutboundMessages::<T>::kill();
            for message in QueuedOutboundMessage::<T>::take().unwrap_or_default() {
                Self::dispatch(&message);
            }
            Weight::zero()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Brings in a message made off-chain.
        #[pallet::call_index(0)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn sync_offchain_message(origin: OriginFor<T>, signed_message: SignedMessage) -> DispatchResult {
            ensure_signed(origin)?;
            let message = &signed_message.message;
            ensure!(message.sender.is_offchain(), Error::<T>::BadSender);
            ensure!(message.destination_is_valid(), Error::<T>::BadDestination);
            let expected = Self::expected_sequence(&message.sender);
            ensure!(signed_message.sequence == expected, Error::<T>::BadSequence);
            T::KeyRing::check(&signed_message)?;
            OffchainIngress::<T>::insert(&message.sender, expected.saturating_add(1));
            Self::dispatch(message);
            Ok(())
        }

        /// Sends a message from the signer's account.
        #[pallet::call_index(1)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn push_message(origin: OriginFor<T>, destination: Vec<u8>, payload: Vec<u8>) -> DispatchResult {
            let who: [u8; 32] = ensure_signed(origin)?.into();
            let message = Message { sender: MessageOrigin::AccountId(H256(who)), destination, payload };
            ensure!(message.destination_is_valid(), Error::<T>::BadDestination);
            Self::dispatch(&message);
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// The sequence the next message of a sender must have.
        pub fn expected_sequence(sender: &MessageOrigin) -> u64 {
            OffchainIngress::<T>::get(sender).unwrap_or(0)
        }

        /// Sends a message of a pallet with this block.
        pub fn push<P: frame_support::traits::PalletInfoAccess>(destination: &[u8], payload: &impl Encode) {
            Self::dispatch(&Self::message::<P>(destination, payload));
        }

        /// Sends a message of a pallet with the next block.
        pub fn queue<P: frame_support::traits::PalletInfoAccess>(destination: &[u8], payload: &impl Encode) {
            QueuedOutboundMessage::<T>::append(Self::message::<P>(destination, payload));
        }

        fn message<P: frame_support::traits::PalletInfoAccess>(
            destination: &[u8],
            payload: &impl Encode,
        ) -> Message {
            Message {
                sender: MessageOrigin::Pallet(P::name().as_bytes().to_vec()),
                destination: destination.to_vec(),
                payload: payload.encode(),
            }
        }

        fn dispatch(message: &Message) {
            // In a transaction of its own, so that a handler that fails half-way leaves nothing.
            let handled = frame_support::storage::with_storage_layer(|| T::Subscriber::on_message(message));
            if let Err(error) = handled {
                tracing::debug!(?error, sender = ?message.sender, "queue message not handled");
            }
            if !message.is_on_chain_only() {
                OutboundMessages::<T>::append(message);
            }
        }
    }
}
