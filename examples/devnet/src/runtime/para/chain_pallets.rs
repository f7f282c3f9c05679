//! `ParachainInfo`, `ParachainSystem` and `Assets`: the parts of the surroundings a bridge reads.

/// `ParachainInfo`: the parachain's id (cumulus `parachain-info`).
pub mod info {
    pub use pallet::*;

    /// The pallet behind the module.
    #[allow(missing_docs, reason = "generated items of the pallet macros")]
    #[frame_support::pallet]
    pub mod pallet {
        use frame_support::pallet_prelude::*;

        #[pallet::pallet]
        pub struct Pallet<T>(_);

        #[pallet::config]
        pub trait Config: frame_system::Config {}

        /// The parachain's id on the relay chain.
        #[pallet::storage]
        pub type ParachainId<T: Config> = StorageValue<_, u32, ValueQuery>;
    }
}

/// `ParachainSystem`: the link to the relay chain (cumulus `parachain-system`).
pub mod parachain_system {
    pub use pallet::*;

    /// Inherent identifier of the validation data.
    pub const INHERENT_IDENTIFIER: sp_inherents::InherentIdentifier = *b"valdata0";

    /// The pallet behind the module.
    #[allow(missing_docs, reason = "generated items of the pallet macros")]
    #[frame_support::pallet]
    pub mod pallet {
        use super::super::super::types::PersistedValidationData;
        use super::INHERENT_IDENTIFIER;
        use frame_support::pallet_prelude::*;
        use frame_system::pallet_prelude::*;
        use sp_inherents::{InherentData, InherentIdentifier, MakeFatalError};

        #[pallet::pallet]
        #[pallet::without_storage_info]
        pub struct Pallet<T>(_);

        #[pallet::config]
        pub trait Config: frame_system::Config {}

        /// Context of this block; absent in the genesis block.
        #[pallet::storage]
        pub type ValidationData<T: Config> = StorageValue<_, PersistedValidationData>;

        /// Relay parent of this block.
        #[pallet::storage]
        pub type LastRelayChainBlockNumber<T: Config> = StorageValue<_, u32, ValueQuery>;

        #[pallet::error]
        pub enum Error<T> {
            /// The relay parent is not higher than the parent block's.
            RelayParentNotIncreasing,
            /// A block has one validation data.
            ValidationDataAlreadySet,
        }

        #[pallet::hooks]
        impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
            fn on_initialize(_: BlockNumberFor<T>) -> Weight {
                ValidationData::<T>::kill();
                Weight::zero()
            }

            // As in cumulus: a block without the inherent is no block.
            fn on_finalize(_: BlockNumberFor<T>) {
                assert!(
                    ValidationData::<T>::exists(),
                    "set_validation_data inherent needs to be present in every block"
                );
            }
        }

        #[pallet::call]
        impl<T: Config> Pallet<T> {
            /// Sets the context of this block.
            #[pallet::call_index(0)]
            #[pallet::weight((Weight::zero(), DispatchClass::Mandatory))]
            pub fn set_validation_data(
                origin: OriginFor<T>,
                data: PersistedValidationData,
            ) -> DispatchResult {
                ensure_none(origin)?;
                ensure!(!ValidationData::<T>::exists(), Error::<T>::ValidationDataAlreadySet);
                ensure!(
                    data.relay_parent_number > LastRelayChainBlockNumber::<T>::get(),
                    Error::<T>::RelayParentNotIncreasing
                );
                LastRelayChainBlockNumber::<T>::put(data.relay_parent_number);
                ValidationData::<T>::put(data);
                Ok(())
            }
        }

        #[pallet::inherent]
        impl<T: Config> ProvideInherent for Pallet<T> {
            type Call = Call<T>;
            type Error = MakeFatalError<()>;
            const INHERENT_IDENTIFIER: InherentIdentifier = INHERENT_IDENTIFIER;

            fn create_inherent(data: &InherentData) -> Option<Self::Call> {
                let data = data.get_data(&INHERENT_IDENTIFIER).ok().flatten()?;
                Some(Call::set_validation_data { data })
            }

            fn is_inherent(call: &Self::Call) -> bool {
                matches!(call, Call::set_validation_data { .. })
            }
        }
    }
}

/// `Assets`: balances of wrapped PHA, in the layout of `pallet-assets`. There are no calls: stake moves
/// through the stake pool pallet.
pub mod assets {
    pub use pallet::*;

    /// Asset id of wrapped PHA on Khala and Phala.
    pub const WPHA: u32 = 10_000;

    /// The pallet behind the module.
    #[allow(missing_docs, reason = "generated items of the pallet macros")]
    #[frame_support::pallet]
    pub mod pallet {
        use super::WPHA;
        use crate::runtime::AccountId;
        use frame_support::pallet_prelude::*;

        #[pallet::pallet]
        pub struct Pallet<T>(_);

        #[pallet::config]
        pub trait Config:
            frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>>
        {
        }

        /// Whether an account may move its asset.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
        pub enum AccountStatus {
            /// It may.
            Liquid,
            /// It may only receive.
            Frozen,
            /// It may do nothing.
            Blocked,
        }

        /// Why the account exists.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
        pub enum ExistenceReason {
            /// It holds a consumer reference.
            Consumer,
            /// The asset is self-sufficient.
            Sufficient,
        }

        /// One account's holding of one asset.
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
        pub struct AssetAccount {
            /// In the asset's smallest unit.
            pub balance: u128,
            /// Whether it may be moved.
            pub status: AccountStatus,
            /// Why the account exists.
            pub reason: ExistenceReason,
            /// Nothing.
            pub extra: (),
        }

        /// Holdings.
        #[pallet::storage]
        pub type Account<T: Config> =
            StorageDoubleMap<_, Blake2_128Concat, u32, Blake2_128Concat, AccountId, AssetAccount>;

        #[pallet::event]
        #[pallet::generate_deposit(pub(super) fn deposit_event)]
        pub enum Event<T: Config> {
            /// An asset moved.
            #[codec(index = 2)]
            Transferred {
                /// Which.
                asset_id: u32,
                /// From whom.
                from: AccountId,
                /// To whom.
                to: AccountId,
                /// How much.
                amount: u128,
            },
        }

        #[pallet::error]
        pub enum Error<T> {
            /// The account holds less.
            BalanceLow,
        }

        impl<T: Config> Pallet<T> {
            /// Wrapped PHA of an account.
            pub fn balance(who: &AccountId) -> u128 {
                Account::<T>::get(WPHA, who).map_or(0, |account| account.balance)
            }

            /// Sets the wrapped PHA of an account; an empty account is removed.
            pub fn set_balance(who: &AccountId, balance: u128) {
                if balance == 0 {
                    Account::<T>::remove(WPHA, who);
                    return;
                }
                let account = AssetAccount {
                    balance,
                    status: AccountStatus::Liquid,
                    reason: ExistenceReason::Sufficient,
                    extra: (),
                };
                Account::<T>::insert(WPHA, who, account);
            }

            /// Moves wrapped PHA.
            pub fn transfer(from: &AccountId, to: &AccountId, amount: u128) -> DispatchResult {
                let left = Self::balance(from).checked_sub(amount).ok_or(Error::<T>::BalanceLow)?;
                Self::set_balance(from, left);
                Self::set_balance(to, Self::balance(to).saturating_add(amount));
                Self::deposit_event(Event::Transferred {
                    asset_id: WPHA,
                    from: from.clone(),
                    to: to.clone(),
                    amount,
                });
                Ok(())
            }
        }
    }
}
