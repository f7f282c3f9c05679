//! The two runtimes of the dev network, executed natively.
//!
//! Both are ordinary FRAME runtimes. [`relay`] has the pallets a relay chain shows to a bridge
//! (GRANDPA and `Paras`), [`para`] those a Phala-like parachain shows. Neither is generic and neither
//! is compiled to wasm: `dispatch(method, arguments)` runs a runtime API call inside whatever
//! externalities the caller has set, so a chain engine needs nothing else.

pub mod authorities;
pub mod control;
pub mod para;
pub mod relay;

pub use authorities::{authorities_for, authority_list, authority_pair};

use sp_core::storage::Storage;
use sp_core::{Pair, sr25519};
use sp_runtime::{AccountId32, MultiAddress, MultiSignature, generic, traits::BlakeTwo256};

/// Account of both chains: 32 bytes, here always an sr25519 public key or a derived account.
pub type AccountId = AccountId32;
/// Balance in planck (10^12 planck are one token on both chains).
pub type Balance = u128;
/// Block height.
pub type BlockNumber = u32;
/// Transaction count of an account.
pub type Nonce = u32;
/// Block and extrinsic hash: BLAKE2b-256.
pub type Hash = sp_core::H256;
/// Header of both chains, in the SCALE layout of `sp_runtime::generic::Header`.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// Address of a transaction: the `Id` form is what clients send.
pub type Address = MultiAddress<AccountId, ()>;
/// Signature of a transaction.
pub type Signature = MultiSignature;

/// One token in planck.
pub const UNIT: Balance = 1_000_000_000_000;

/// Inherent identifier of `pallet-timestamp`: a `u64` of milliseconds since the Unix epoch.
pub const TIMESTAMP_INHERENT: [u8; 8] = *b"timstap0";

/// Runs `build` over an empty storage and returns what it wrote.
///
/// FRAME's own `BuildStorage` would do, but the pallets here are filled through their typed storage
/// items, which needs the externalities in scope anyway.
pub(crate) fn storage_of(build: impl FnOnce()) -> Storage {
    let mut storage = Storage::default();
    sp_state_machine::BasicExternalities::execute_with_storage(&mut storage, build);
    storage
}

/// The endowed development accounts, `//Alice` to `//Ferdie`.
pub fn dev_accounts() -> Vec<AccountId> {
    use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie, Dave, Eve, Ferdie};
    [Alice, Bob, Charlie, Dave, Eve, Ferdie].iter().map(|key| key.to_account_id()).collect()
}

/// Development account number `index` for load; [`load_pair`] is its key.
pub fn load_account(index: u32) -> AccountId {
    AccountId::new(load_pair(index).public().0)
}

/// The sr25519 key of [`load_account`], from the seed [`load_seed`].
pub fn load_pair(index: u32) -> sr25519::Pair {
    sr25519::Pair::from_seed(&load_seed(index))
}

/// BLAKE2b-256 of a fixed label and the index (`u32` LE). A seed phrase would cost thousands of hash
/// rounds per account.
pub fn load_seed(index: u32) -> [u8; 32] {
    let mut label = b"prb-devnet load account ".to_vec();
    label.extend_from_slice(&index.to_le_bytes());
    sp_crypto_hashing::blake2_256(&label)
}
