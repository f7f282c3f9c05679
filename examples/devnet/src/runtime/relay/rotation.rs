//! Rotation of the GRANDPA authority set.
//!
//! A live relay chain rotates in its session pallet, which calls `pallet-grandpa` and raises the set
//! id beside it: at the block that *signals* the change. With delay 0, as on live chains, that block is
//! also the last one of the outgoing set: its header carries `ScheduledChange`, its post-state already
//! holds the new list and id, and the outgoing set justifies it. With a longer delay the authorities
//! change at signal + delay, and that block is the last one of the outgoing set.

pub use pallet::*;

use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// Inherent identifier of a [`Rotation`] to begin in this block.
pub const INHERENT_IDENTIFIER: sp_inherents::InherentIdentifier = *b"grandrot";

/// An order to change the authority set in this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Rotation {
    /// Blocks between the signal and the change; live chains use 0.
    pub delay: u32,
    /// Members of the new set; `None` keeps the configured number.
    pub authorities: Option<u32>,
    /// `Some(median)` signals a `ForcedChange` instead of a `ScheduledChange`, with this median last
    /// finalized block. No bridge or worker can follow one; for negative tests.
    pub forced: Option<u32>,
}

/// The well-known key under which runtimes before `Grandpa.Authorities` kept the list: `01` and then
/// the SCALE authority list (sp-consensus-grandpa's former `GRANDPA_AUTHORITIES_KEY`).
pub const LEGACY_AUTHORITIES_KEY: &[u8] = b":grandpa_authorities";

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items of the pallet macros")]
#[frame_support::pallet]
pub mod pallet {
    use super::{INHERENT_IDENTIFIER, LEGACY_AUTHORITIES_KEY, Rotation};
    use crate::runtime::authority_list;
    use frame_support::pallet_prelude::*;
    use frame_support::storage::unhashed;
    use frame_system::pallet_prelude::*;
    use sp_inherents::{InherentData, InherentIdentifier, MakeFatalError};
    use sp_runtime::traits::Zero;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_grandpa::Config {}

    /// Rotate in every block whose number is a multiple of this; 0 = only on order.
    #[pallet::storage]
    pub type Period<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Delay of periodic rotations, in blocks.
    #[pallet::storage]
    pub type Delay<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Members of the next set.
    #[pallet::storage]
    pub type AuthorityCount<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Whether the list is mirrored under the legacy key.
    #[pallet::storage]
    pub type LegacyAuthorities<T: Config> = StorageValue<_, bool, ValueQuery>;

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            let period = Period::<T>::get();
            if period != 0 && (now % period.into()).is_zero() {
                Self::begin(Rotation { delay: Delay::<T>::get(), authorities: None, forced: None });
            }
            Weight::zero()
        }

        // Runs after the finalization of Grandpa, which comes first in the runtime's pallet list and
        // enacts the change.
        fn on_finalize(_: BlockNumberFor<T>) {
            if LegacyAuthorities::<T>::get() {
                Self::mirror();
            }
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Begins a change of the authority set in this block. Ignored while one is pending.
        #[pallet::call_index(0)]
        #[pallet::weight((Weight::zero(), DispatchClass::Mandatory))]
        pub fn rotate(origin: OriginFor<T>, rotation: Rotation) -> DispatchResult {
            ensure_none(origin)?;
            Self::begin(rotation);
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        fn begin(rotation: Rotation) {
            let next_id = pallet_grandpa::CurrentSetId::<T>::get().wrapping_add(1);
            let count = rotation.authorities.unwrap_or_else(AuthorityCount::<T>::get).max(1);
            let scheduled = pallet_grandpa::Pallet::<T>::schedule_change(
                authority_list(next_id, count),
                rotation.delay.into(),
                rotation.forced.map(Into::into),
            );
            if scheduled.is_ok() {
                pallet_grandpa::CurrentSetId::<T>::put(next_id);
                AuthorityCount::<T>::put(count);
            }
        }

        /// Writes the current list under the legacy key if it differs from what is there.
        pub fn mirror() {
            let list = pallet_grandpa::Authorities::<T>::get();
            let value = (1u8, &*list).encode();
            if unhashed::get_raw(LEGACY_AUTHORITIES_KEY).as_ref() != Some(&value) {
                unhashed::put_raw(LEGACY_AUTHORITIES_KEY, &value);
            }
        }
    }

    #[pallet::inherent]
    impl<T: Config> ProvideInherent for Pallet<T> {
        type Call = Call<T>;
        type Error = MakeFatalError<()>;
        const INHERENT_IDENTIFIER: InherentIdentifier = INHERENT_IDENTIFIER;

        fn create_inherent(data: &InherentData) -> Option<Self::Call> {
            let rotation = data.get_data(&INHERENT_IDENTIFIER).ok().flatten()?;
            Some(Call::rotate { rotation })
        }

        fn is_inherent(call: &Self::Call) -> bool {
            matches!(call, Call::rotate { .. })
        }
    }
}
