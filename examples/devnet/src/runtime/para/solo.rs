//! The runtime of a chain that finalizes itself: the parachain's pallets and GRANDPA, and no relay chain.

use super::{
    AccountId, Act, Address, Balance, BlockInputs, CarriesMessage, CheckMqSequence, EXISTENTIAL_DEPOSIT,
    Edition, GenesisConfig, Header, Nonce, ProxyType, RuntimeBlockLength, RuntimeBlockWeights, SS58_PREFIX,
    Signature, Signing, UNIT, assets, base_pool, computation, control, edition, info, mq, proxy_type,
    registry, stake_pool, switches, types,
};
use crate::runtime::relay::{self, rotation};
use crate::runtime::{authority_list, storage_of};
use codec::Encode;
use frame_support::derive_impl;
use frame_support::traits::{BuildGenesisConfig, ConstU8, ConstU16, ConstU32, ConstU64, ConstU128, Get};
use frame_support::weights::IdentityFee;
use sp_core::H256;
use sp_core::storage::Storage;
use sp_inherents::InherentData;
use sp_runtime::generic::{self, Era};
use sp_runtime::traits::BlakeTwo256;
use sp_version::RuntimeVersion;
use std::borrow::Cow;

edition! {
    spec_version: 1282,
    transaction_version: 6,
    pallets: {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 1,
        Utility: pallet_utility = 3,
        Proxy: pallet_proxy = 5,
        Grandpa: pallet_grandpa = 10,
        ParachainInfo: info = 20,
        Balances: pallet_balances = 40,
        TransactionPayment: pallet_transaction_payment = 41,
        PhalaMq: mq = 85,
        PhalaRegistry: registry = 86,
        PhalaComputation: computation = 87,
        Assets: assets = 89,
        PhalaStakePoolv2: stake_pool = 93,
        PhalaBasePool: base_pool = 96,
        DevRotation: rotation = 200,
        DevControl: control = 201,
        DevSwitches: switches = 202,
    }
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<{ relay::MAX_AUTHORITIES }>;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = ConstU64<0>;
    type KeyOwnerProof = sp_core::Void;
    type EquivocationReportSystem = ();
}

impl rotation::Config for Runtime {}

/// The inherents of a block. There is no relay chain to tell of.
pub fn inherents(inputs: &BlockInputs) -> Vec<UncheckedExtrinsic> {
    let mut calls: Vec<RuntimeCall> = vec![pallet_timestamp::Call::set { now: inputs.now_ms }.into()];
    if !inputs.control.is_empty() {
        calls.push(control::Call::apply { control: inputs.control.clone() }.into());
    }
    calls.into_iter().map(UncheckedExtrinsic::new_bare).collect()
}

/// What a transaction carries beside its call.
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

fn implicit(version: &RuntimeVersion, genesis: H256) -> impl Encode {
    ((), version.spec_version, version.transaction_version, genesis, genesis, (), (), (), ())
}

/// The storage of block 0: that of the parachain, and the authorities of a relay chain.
pub fn genesis(config: &GenesisConfig, finality: &relay::GenesisConfig) -> Storage {
    let mut storage = super::genesis(config);
    let authorities = finality.authorities.max(1);
    let grandpa = storage_of(|| {
        pallet_grandpa::GenesisConfig::<Runtime> {
            authorities: authority_list(finality.set_id, authorities),
            ..Default::default()
        }
        .build();
        pallet_grandpa::CurrentSetId::<Runtime>::put(finality.set_id);
        rotation::Period::<Runtime>::put(finality.rotation_period);
        rotation::Delay::<Runtime>::put(finality.rotation_delay);
        rotation::AuthorityCount::<Runtime>::put(authorities);
        rotation::LegacyAuthorities::<Runtime>::put(finality.legacy_authorities);
        if finality.legacy_authorities {
            rotation::Pallet::<Runtime>::mirror();
        }
    });
    storage.top.extend(grandpa.top);
    storage
}
