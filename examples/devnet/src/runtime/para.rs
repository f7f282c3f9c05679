//! The para runtime: what a bridge and its workers see of a Phala-like parachain.
//!
//! Pallet indices are Khala's, error variants those of runtimes from spec version 1270 on. State
//! version 0: workers compute version-0 roots. The economy is simplified (see [`stake_pool`]); calls,
//! checks, errors, events, storage and messages are those of the live chain.

pub mod base_pool;
pub mod chain_pallets;
pub mod computation;
pub mod extension;
pub mod mq;
pub mod registry;
pub mod solo;
pub mod stake_pool;
pub mod switches;
pub mod tokenomic;
pub mod types;
pub mod upgraded;

mod edition;
mod genesis;
mod proxy_type;
#[cfg(test)]
mod tests;

pub use base_pool::session_account;
pub use chain_pallets::{assets, info, parachain_system};
pub use extension::{CarriesMessage, CheckMetadataHash, CheckMqSequence};
pub use genesis::{GenesisConfig, PoolConfig, genesis};
pub use proxy_type::ProxyType;
pub use switches::Switches;

use edition::edition;

use super::control::{self, Control};
use super::{AccountId, Address, Balance, Nonce, Signature, UNIT};
use codec::Encode;
use frame_support::traits::{ConstU8, ConstU16, ConstU32, ConstU64, ConstU128, Get};
use frame_support::weights::{IdentityFee, Weight};
use frame_support::{derive_impl, parameter_types};
use frame_system::limits::{BlockLength, BlockWeights};
use sp_core::{H256, Pair as _, sr25519};
use sp_inherents::InherentData;
use sp_runtime::generic::{self, Era};
use sp_runtime::traits::BlakeTwo256;
use sp_version::RuntimeVersion;
use std::borrow::Cow;
use types::PersistedValidationData;

pub use super::Header;

/// Weight of every call of the Phala pallets: the order of magnitude of the measured ones.
pub const CALL_WEIGHT: Weight = Weight::from_parts(100_000_000, 0);

/// Smallest balance of an account, in planck (as on Khala).
pub const EXISTENTIAL_DEPOSIT: Balance = UNIT / 100;

/// Network prefix of addresses.
pub const SS58_PREFIX: u16 = 30;

parameter_types! {
    /// Generous: a block is bounded by what its author puts in.
    pub RuntimeBlockWeights: BlockWeights =
        BlockWeights::simple_max(Weight::from_parts(4_000_000_000_000, u64::MAX));
    /// 5 MiB of extrinsics, FRAME's default.
    pub RuntimeBlockLength: BlockLength = BlockLength::default();
}

edition! {
    spec_version: 1282,
    transaction_version: 6,
    pallets: {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 1,
        Utility: pallet_utility = 3,
        Proxy: pallet_proxy = 5,
        ParachainInfo: info = 20,
        ParachainSystem: parachain_system = 21,
        Balances: pallet_balances = 40,
        TransactionPayment: pallet_transaction_payment = 41,
        PhalaMq: mq = 85,
        PhalaRegistry: registry = 86,
        PhalaComputation: computation = 87,
        Assets: assets = 89,
        PhalaStakePoolv2: stake_pool = 93,
        PhalaBasePool: base_pool = 96,
        DevControl: control = 201,
        DevSwitches: switches = 202,
    }
}

impl parachain_system::Config for Runtime {}

/// The inherents of a block.
pub fn inherents(inputs: &BlockInputs) -> Vec<UncheckedExtrinsic> {
    let mut calls: Vec<RuntimeCall> = vec![
        pallet_timestamp::Call::set { now: inputs.now_ms }.into(),
        parachain_system::Call::set_validation_data { data: inputs.validation_data.clone() }.into(),
    ];
    if !inputs.control.is_empty() {
        calls.push(control::Call::apply { control: inputs.control.clone() }.into());
    }
    calls.into_iter().map(UncheckedExtrinsic::new_bare).collect()
}

/// What a transaction carries beside its call, in the order of Khala and Phala.
pub type TxExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    CheckMqSequence,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
);

fn extension(nonce: Nonce, tip: Balance) -> TxExtension {
    (
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckMortality::from(Era::Immortal),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        CheckMqSequence,
        pallet_transaction_payment::ChargeTransactionPayment::from(tip),
    )
}

/// What the extensions sign beside themselves.
fn implicit(version: &RuntimeVersion, genesis: H256) -> impl Encode {
    ((), version.spec_version, version.transaction_version, genesis, genesis, (), (), (), ())
}

/// Everything a block's author decides besides transactions.
#[derive(Clone, Debug, Default)]
pub struct BlockInputs {
    /// Block time in milliseconds since the Unix epoch; at least 1 ms after the parent's.
    pub now_ms: u64,
    /// The relay parent; its number must be higher than the parent block's.
    pub validation_data: PersistedValidationData,
    /// Parameter changes.
    pub control: Control,
}

impl BlockInputs {
    /// The data from which `BlockBuilder_inherent_extrinsics` makes the block's inherents.
    ///
    /// # Panics
    /// Never: every identifier is put once.
    pub fn inherent_data(&self) -> InherentData {
        let mut data = InherentData::new();
        let once = "each identifier is put once into a fresh map";
        data.put_data(super::TIMESTAMP_INHERENT, &self.now_ms).expect(once);
        data.put_data(parachain_system::INHERENT_IDENTIFIER, &self.validation_data).expect(once);
        data.put_data(control::INHERENT_IDENTIFIER, &self.control).expect(once);
        data
    }

    /// The inherents themselves, for an author that builds its extrinsics without the runtime API.
    pub fn inherents(&self) -> Vec<UncheckedExtrinsic> {
        inherents(self)
    }
}

/// A transaction that the network itself makes.
#[derive(Clone, Debug)]
pub enum Act {
    /// A balance transfer.
    Transfer {
        /// To whom.
        dest: AccountId,
        /// How much, planck.
        value: Balance,
    },
    /// A queue message made off-chain.
    Message(types::SignedMessage),
}

/// Who signs an extrinsic, and for what.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// Version of the runtime that will apply it.
    pub version: &'a RuntimeVersion,
    /// Hash of block 0.
    pub genesis: H256,
    /// Whose account pays.
    pub signer: &'a sr25519::Pair,
    /// Transactions of the account before this one.
    pub nonce: Nonce,
    /// Tip, planck.
    pub tip: Balance,
}

impl Signing<'_> {
    /// Account and signature for a payload.
    fn sign(&self, mut payload: Vec<u8>) -> (AccountId, sr25519::Signature) {
        // Longer payloads are signed by their hash (extrinsic format 4).
        if payload.len() > 256 {
            payload = sp_crypto_hashing::blake2_256(&payload).to_vec();
        }
        (AccountId::new(self.signer.public().0), self.signer.sign(&payload))
    }
}

/// A runtime as those see it who handle several with equal storage.
#[derive(Clone)]
pub struct Edition {
    /// Version in its code.
    pub version: RuntimeVersion,
    /// Runs a runtime API call.
    pub dispatch: fn(&str, &[u8]) -> Option<Vec<u8>>,
    /// The encoded inherents of a block.
    pub inherents: fn(&BlockInputs) -> Vec<Vec<u8>>,
    /// The encoded transaction that does something.
    pub sign: fn(&Signing<'_>, Act) -> Vec<u8>,
}
