//! `Paras`: the parachain heads a relay block commits to.

pub use pallet::*;

/// Inherent identifier of the heads: SCALE `Vec<(para id: u32, head: Vec<u8>)>`, where a head is the
/// SCALE encoding of a parachain header.
pub const INHERENT_IDENTIFIER: sp_inherents::InherentIdentifier = *b"paraheds";

/// The pallet behind the module. Name, item, hasher and value are those of the relay chains' `Paras`
/// pallet (polkadot-runtime-parachains); how heads get in is not.
#[allow(missing_docs, reason = "generated items of the pallet macros")]
#[frame_support::pallet]
pub mod pallet {
    use super::INHERENT_IDENTIFIER;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use sp_inherents::{InherentData, InherentIdentifier, MakeFatalError};

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {}

    /// Newest head of each parachain. The value is `HeadData`: a byte vector that holds a header.
    #[pallet::storage]
    pub type Heads<T: Config> = StorageMap<_, Twox64Concat, u32, Vec<u8>>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A parachain's head was replaced.
        CurrentHeadUpdated {
            /// The parachain.
            para_id: u32,
        },
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Replaces the given heads.
        #[pallet::call_index(0)]
        #[pallet::weight((Weight::zero(), DispatchClass::Mandatory))]
        pub fn enter(origin: OriginFor<T>, heads: Vec<(u32, Vec<u8>)>) -> DispatchResult {
            ensure_none(origin)?;
            for (para_id, head) in heads {
                Heads::<T>::insert(para_id, head);
                Self::deposit_event(Event::CurrentHeadUpdated { para_id });
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
            let heads = data.get_data(&INHERENT_IDENTIFIER).ok().flatten().unwrap_or_default();
            Some(Call::enter { heads })
        }

        fn is_inherent(call: &Self::Call) -> bool {
            matches!(call, Call::enter { .. })
        }
    }
}
