//! The para runtime after an upgrade: another version, other pallet indices, one more extension, the same storage.
//!
//! Whoever took an index from the metadata of the runtime before makes calls that mean something else, or nothing.

use super::{
    AccountId, Act, Address, Balance, BlockInputs, CarriesMessage, CheckMetadataHash, CheckMqSequence,
    EXISTENTIAL_DEPOSIT, Edition, Header, Nonce, ProxyType, RuntimeBlockLength, RuntimeBlockWeights,
    SS58_PREFIX, Signature, Signing, UNIT, assets, base_pool, computation, control, edition, info, mq,
    parachain_system, proxy_type, registry, stake_pool, switches, types,
};
use codec::Encode;
use frame_support::derive_impl;
use frame_support::traits::{ConstU8, ConstU16, ConstU32, ConstU64, ConstU128, Get};
use frame_support::weights::IdentityFee;
use sp_core::H256;
use sp_inherents::InherentData;
use sp_runtime::generic::{self, Era};
use sp_runtime::traits::BlakeTwo256;
use sp_version::RuntimeVersion;
use std::borrow::Cow;

edition! {
    spec_version: 1290,
    transaction_version: 7,
    pallets: {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 2,
        Utility: pallet_utility = 4,
        Proxy: pallet_proxy = 6,
        ParachainInfo: info = 21,
        ParachainSystem: parachain_system = 22,
        Balances: pallet_balances = 41,
        TransactionPayment: pallet_transaction_payment = 42,
        // Where the mail was, there is the registry now.
        PhalaRegistry: registry = 85,
        PhalaMq: mq = 86,
        PhalaComputation: computation = 88,
        Assets: assets = 91,
        PhalaStakePoolv2: stake_pool = 89,
        PhalaBasePool: base_pool = 97,
        DevControl: control = 203,
        DevSwitches: switches = 204,
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

/// What a transaction carries beside its call: since spec version 1290 also the hash of the metadata.
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
    CheckMetadataHash,
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
        CheckMetadataHash::default(),
    )
}

fn implicit(version: &RuntimeVersion, genesis: H256) -> impl Encode {
    let none = None::<[u8; 32]>;
    ((), version.spec_version, version.transaction_version, genesis, genesis, (), (), (), (), none)
}
