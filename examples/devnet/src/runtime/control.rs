//! The dev network's remote control: raw storage writes and spec-version bumps by the block author.
//!
//! A live chain changes parameters by governance and upgrades by new code. Here the author of a block
//! orders both through an inherent, so every change is part of a block, appears among its storage
//! changes and can be followed by a light client.

pub use pallet::*;

use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// Inherent identifier of [`Control`].
pub const INHERENT_IDENTIFIER: sp_inherents::InherentIdentifier = *b"devctrl0";

/// What a block's author orders beside transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Control {
    /// Raw main-trie writes in order; `None` deletes.
    pub set_storage: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The spec version every later block runs under.
    pub spec_version: Option<u32>,
}

impl Control {
    /// Whether there is nothing to do; the inherent is then left out of the block.
    pub fn is_empty(&self) -> bool {
        self.set_storage.is_empty() && self.spec_version.is_none()
    }
}

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items of the pallet macros")]
#[frame_support::pallet]
pub mod pallet {
    use super::{Control, INHERENT_IDENTIFIER};
    use frame_support::pallet_prelude::*;
    use frame_support::storage::unhashed;
    use frame_system::pallet_prelude::*;
    use sp_inherents::{InherentData, InherentIdentifier, MakeFatalError};
    use sp_runtime::generic::DigestItem;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    /// Spec version in force, if it was ever changed.
    #[pallet::storage]
    pub type SpecVersion<T: Config> = StorageValue<_, u32>;

    /// Spec version in force from the next block on. A code upgrade too takes effect after the block
    /// that carries it, and the transactions of that block were signed for the old version.
    #[pallet::storage]
    pub type NextSpecVersion<T: Config> = StorageValue<_, u32>;

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_finalize(_: BlockNumberFor<T>) {
            if let Some(version) = NextSpecVersion::<T>::take() {
                SpecVersion::<T>::put(version);
            }
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Carries out the author's orders.
        #[pallet::call_index(0)]
        #[pallet::weight((Weight::zero(), DispatchClass::Mandatory))]
        pub fn apply(origin: OriginFor<T>, control: Control) -> DispatchResult {
            ensure_none(origin)?;
            for (key, value) in control.set_storage {
                match value {
                    Some(value) => unhashed::put_raw(&key, &value),
                    None => unhashed::kill(&key),
                }
            }
            if let Some(version) = control.spec_version {
                NextSpecVersion::<T>::put(version);
                frame_system::Pallet::<T>::deposit_log(DigestItem::RuntimeEnvironmentUpdated);
            }
            Ok(())
        }
    }

    #[pallet::inherent]
    impl<T: Config> ProvideInherent for Pallet<T> {
        type Call = Call<T>;
        type Error = MakeFatalError<()>;
        const INHERENT_IDENTIFIER: InherentIdentifier = INHERENT_IDENTIFIER;

        fn create_inherent(data: &InherentData) -> Option<Self::Call> {
            let control = data.get_data::<Control>(&INHERENT_IDENTIFIER).ok().flatten()?;
            (!control.is_empty()).then_some(Call::apply { control })
        }

        fn is_inherent(call: &Self::Call) -> bool {
            matches!(call, Call::apply { .. })
        }
    }
}
