//! `CheckMqSequence`: queue messages enter blocks in the order of their sequences.

use super::types::SignedMessage;
use super::{Runtime, mq};
use codec::{Decode, DecodeWithMemTracking, Encode};
use frame_support::weights::Weight;
use scale_info::TypeInfo;
use sp_runtime::impl_tx_ext_default;
use sp_runtime::traits::{
    DispatchInfoOf, DispatchOriginOf, Dispatchable, Implication, TransactionExtension, ValidateResult,
};
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidityError, UnknownTransaction, ValidTransaction,
};

/// Checks the sequence of a top-level `PhalaMq.sync_offchain_message`.
///
/// A message ahead of the chain waits in the pool's future queue for the one before it. Messages
/// inside batches or proxies are not seen here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct CheckMqSequence;

/// A call that may be a queue message.
pub trait CarriesMessage {
    /// The message of a top-level `PhalaMq.sync_offchain_message`.
    fn message(&self) -> Option<&SignedMessage>;
}

// All editions of the runtime keep the sequences at one place, so the first one reads them for all.
impl<C: CarriesMessage + Dispatchable> TransactionExtension<C> for CheckMqSequence {
    const IDENTIFIER: &'static str = "CheckMqSequence";
    type Implicit = ();
    type Val = ();
    type Pre = ();

    fn weight(&self, _: &C) -> Weight {
        Weight::zero()
    }

    fn validate(
        &self,
        origin: DispatchOriginOf<C>,
        call: &C,
        _: &DispatchInfoOf<C>,
        _: usize,
        (): (),
        _: &impl Implication,
        _: TransactionSource,
    ) -> ValidateResult<(), C> {
        let Some(SignedMessage { message, sequence, .. }) = call.message() else {
            return Ok((ValidTransaction::default(), (), origin));
        };
        let expected = mq::Pallet::<Runtime>::expected_sequence(&message.sender);
        if *sequence < expected {
            return Err(InvalidTransaction::Stale.into());
        }
        let requires =
            (*sequence > expected).then(|| mq::pool_tag(&message.sender, sequence.saturating_sub(1)));
        let valid = ValidTransaction {
            provides: vec![mq::pool_tag(&message.sender, *sequence)],
            requires: requires.into_iter().collect(),
            ..Default::default()
        };
        Ok((valid, (), origin))
    }

    fn prepare(
        self,
        (): (),
        _: &DispatchOriginOf<C>,
        call: &C,
        _: &DispatchInfoOf<C>,
        _: usize,
    ) -> Result<(), TransactionValidityError> {
        let Some(SignedMessage { message, sequence, .. }) = call.message() else {
            return Ok(());
        };
        match sequence.cmp(&mq::Pallet::<Runtime>::expected_sequence(&message.sender)) {
            std::cmp::Ordering::Less => Err(InvalidTransaction::Stale.into()),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(InvalidTransaction::Future.into()),
        }
    }
}

/// Whether the signer vouches for the metadata it used, and for which. Layout of `frame-metadata-hash-extension`; no
/// hash is known here, so that only "no" is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct CheckMetadataHash {
    mode: Mode,
}

/// Whether there is a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
enum Mode {
    #[default]
    Disabled,
    Enabled,
}

impl<C: Dispatchable> TransactionExtension<C> for CheckMetadataHash {
    const IDENTIFIER: &'static str = "CheckMetadataHash";
    type Implicit = Option<[u8; 32]>;
    type Val = ();
    type Pre = ();

    fn implicit(&self) -> Result<Self::Implicit, TransactionValidityError> {
        match self.mode {
            Mode::Disabled => Ok(None),
            Mode::Enabled => Err(UnknownTransaction::CannotLookup.into()),
        }
    }

    fn weight(&self, _: &C) -> Weight {
        Weight::zero()
    }

    impl_tx_ext_default!(C; validate prepare);
}
