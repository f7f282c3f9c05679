//! Switches of the dev parachain that live chains fix in code.

pub use pallet::*;

use codec::{Decode, Encode};
use scale_info::TypeInfo;
use sp_core::U256;

/// The switches, one storage value (`DevSwitches.Current`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Switches {
    /// Accept registrations without attestation, as the development node does (live chains do not).
    pub none_attestation_enabled: bool,
    /// Accept only relay start blocks on `RelaychainGenesisBlockHashAllowList` (live chains do).
    pub verify_relaychain_genesis: bool,
    /// Accept only reports whose certificate field is on `PRuntimeAllowList`; a dev report carries the
    /// worker program's measurement there.
    pub verify_pruntime: bool,
    /// A heartbeat challenge in every block whose number is a multiple of this; 0 = never.
    pub challenge_interval: u32,
    /// Target of every challenge (`U256::MAX` = every worker answers); `None` = the chain's own rule:
    /// [`ExpectedHeartbeatCount`](super::computation::ExpectedHeartbeatCount) answers per block, and
    /// about two per worker and hour at most.
    pub challenge_target: Option<[u64; 4]>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            none_attestation_enabled: true,
            verify_relaychain_genesis: false,
            verify_pruntime: false,
            challenge_interval: 1,
            challenge_target: None,
        }
    }
}

impl Switches {
    /// Every challenge is for every worker.
    pub fn challenge_everyone(mut self) -> Self {
        self.challenge_target = Some(U256::MAX.0);
        self
    }

    /// The raw storage write that installs these switches, for
    /// [`Control`](crate::runtime::control::Control).
    pub fn write(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        (Current::<super::Runtime>::hashed_key().to_vec(), Some(self.encode()))
    }
}

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items of the pallet macros")]
#[frame_support::pallet]
pub mod pallet {
    use super::Switches;
    use frame_support::pallet_prelude::*;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    /// The switches in force.
    #[pallet::storage]
    pub type Current<T: Config> = StorageValue<_, Switches, ValueQuery>;
}
