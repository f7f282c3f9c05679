//! The relay runtime: System, Timestamp, Balances, TransactionPayment, Grandpa and `Paras`.
//!
//! Pallet indices are those of Kusama where it has the pallet. State version 1: values longer than
//! 32 bytes are separate trie nodes, as on live relay chains.

pub mod paras;
pub mod rotation;

mod apis;
mod genesis;
#[cfg(test)]
mod tests;

pub use apis::dispatch;
pub use genesis::{GenesisConfig, genesis};
pub use rotation::Rotation;

use super::control::{self, Control};
use super::{AccountId, Address, Balance, Nonce, Signature};
use frame_support::traits::{ConstU8, ConstU32, ConstU64, ConstU128, Get};
use frame_support::weights::Weight;
use frame_support::{derive_impl, parameter_types, weights::IdentityFee};
use frame_system::limits::{BlockLength, BlockWeights};
use sp_inherents::InherentData;
use sp_runtime::generic;
use sp_version::RuntimeVersion;
use std::borrow::Cow;

pub use super::Header;

/// Version in the code. What a block really runs under is [`DevVersion`]: the author may raise it.
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("prb-dev-relay"),
    impl_name: Cow::Borrowed("prb-dev-relay"),
    authoring_version: 1,
    spec_version: 1_000_000,
    impl_version: 0,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

/// [`VERSION`] with the spec version that [`control`] stored, if any.
#[derive(Debug)]
pub struct DevVersion;

impl Get<RuntimeVersion> for DevVersion {
    fn get() -> RuntimeVersion {
        let mut version = VERSION;
        if let Some(spec_version) = control::SpecVersion::<Runtime>::get() {
            version.spec_version = spec_version;
        }
        version
    }
}

/// Smallest balance of an account, in planck (Kusama's order of magnitude).
pub const EXISTENTIAL_DEPOSIT: Balance = 333_333_333;

/// Largest authority set.
pub const MAX_AUTHORITIES: u32 = 10_000;

parameter_types! {
    /// Generous: a block is bounded by what its author puts in.
    pub RuntimeBlockWeights: BlockWeights =
        BlockWeights::simple_max(Weight::from_parts(4_000_000_000_000, u64::MAX));
    /// 5 MiB of extrinsics, FRAME's default.
    pub RuntimeBlockLength: BlockLength = BlockLength::default();
}

// The macro generates the runtime's types (Runtime, RuntimeCall, RuntimeEvent, ..) without documentation.
#[allow(missing_docs, unreachable_pub, reason = "generated items")]
mod runtime_items {
    use super::*;

    frame_support::construct_runtime!(
        pub enum Runtime {
            System: frame_system = 0,
            Timestamp: pallet_timestamp = 2,
            Balances: pallet_balances = 4,
            Grandpa: pallet_grandpa = 14,
            TransactionPayment: pallet_transaction_payment = 33,
            Paras: paras = 56,
            DevRotation: rotation = 200,
            DevControl: control = 201,
        }
    );

    // The trait these methods come from is private to the module that the macro expands in.

    pub(super) fn create_inherents(data: &InherentData) -> Vec<UncheckedExtrinsic> {
        data.create_extrinsics()
    }

    pub(super) fn check_inherents(
        block: &<Block as sp_runtime::traits::Block>::LazyBlock,
        data: &InherentData,
    ) -> sp_inherents::CheckInherentsResult {
        data.check_extrinsics(block)
    }
}
pub use runtime_items::*;

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type BlockWeights = RuntimeBlockWeights;
    type BlockLength = RuntimeBlockLength;
    type BlockHashCount = ConstU32<4096>;
    type AccountData = pallet_balances::AccountData<Balance>;
    type Version = DevVersion;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = ();
    type MinimumPeriod = ConstU64<1>;
    type WeightInfo = ();
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Runtime {
    type AccountStore = System;
    type Balance = Balance;
    type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = pallet_transaction_payment::FungibleAdapter<Balances, ()>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightToFee = IdentityFee<Balance>;
    type LengthToFee = IdentityFee<Balance>;
    type FeeMultiplierUpdate = ();
    type WeightInfo = ();
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = ConstU64<0>;
    type KeyOwnerProof = sp_core::Void;
    type EquivocationReportSystem = ();
}

impl paras::Config for Runtime {}
impl rotation::Config for Runtime {}
impl control::Config for Runtime {}

/// What a transaction carries beside its call, in order.
pub type TxExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
);

/// A transaction or inherent.
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// The block executor.
pub type Executive = frame_executive::Executive<
    Runtime,
    Block,
    frame_system::ChainContext<Runtime>,
    Runtime,
    AllPalletsWithSystem,
>;

/// Everything a block's author decides besides transactions.
#[derive(Clone, Debug, Default)]
pub struct BlockInputs {
    /// Block time in milliseconds since the Unix epoch; at least 1 ms after the parent's.
    pub now_ms: u64,
    /// Parachain heads to install: para id and SCALE header bytes.
    pub heads: Vec<(u32, Vec<u8>)>,
    /// Authority change to begin in this block.
    pub rotation: Option<Rotation>,
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
        data.put_data(paras::INHERENT_IDENTIFIER, &self.heads).expect(once);
        if let Some(rotation) = &self.rotation {
            data.put_data(rotation::INHERENT_IDENTIFIER, rotation).expect(once);
        }
        data.put_data(control::INHERENT_IDENTIFIER, &self.control).expect(once);
        data
    }

    /// The inherents themselves, for an author that builds its extrinsics without the runtime API.
    pub fn inherents(&self) -> Vec<UncheckedExtrinsic> {
        let mut calls: Vec<RuntimeCall> = vec![
            pallet_timestamp::Call::set { now: self.now_ms }.into(),
            paras::Call::enter { heads: self.heads.clone() }.into(),
        ];
        if let Some(rotation) = self.rotation {
            calls.push(rotation::Call::rotate { rotation }.into());
        }
        if !self.control.is_empty() {
            calls.push(control::Call::apply { control: self.control.clone() }.into());
        }
        calls.into_iter().map(UncheckedExtrinsic::new_bare).collect()
    }
}
