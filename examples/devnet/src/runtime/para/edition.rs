//! What an edition of the para runtime is made of: everything that depends on its pallet indices and extensions.

/// Defines a runtime in the module it is used in: its types, its configuration, its APIs, and how an author makes
/// extrinsics for it. The module must have `TxExtension`, `extension`, `implicit` and `inherents`.
macro_rules! edition {
    (
        spec_version: $spec_version:literal,
        transaction_version: $transaction_version:literal,
        pallets: { $($pallet:ident: $path:ident = $index:tt,)+ }
    ) => {
        /// Version in the code. What a block really runs under is [`DevVersion`]: the author may raise it.
        pub const VERSION: RuntimeVersion = RuntimeVersion {
            spec_name: Cow::Borrowed("prb-dev-para"),
            impl_name: Cow::Borrowed("prb-dev-para"),
            authoring_version: 1,
            spec_version: $spec_version,
            impl_version: 0,
            apis: apis::RUNTIME_API_VERSIONS,
            transaction_version: $transaction_version,
            system_version: 0,
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

        // The macro generates the runtime's types (Runtime, RuntimeCall, RuntimeEvent, ..) without documentation.
        #[allow(missing_docs, unreachable_pub, reason = "generated items")]
        mod runtime_items {
            use super::*;

            frame_support::construct_runtime!(
                pub enum Runtime {
                    $($pallet: $path = $index,)+
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
            type BlockHashCount = ConstU32<1200>;
            type AccountData = pallet_balances::AccountData<Balance>;
            type SS58Prefix = ConstU16<SS58_PREFIX>;
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

        impl pallet_utility::Config for Runtime {
            type RuntimeEvent = RuntimeEvent;
            type RuntimeCall = RuntimeCall;
            type PalletsOrigin = OriginCaller;
            type WeightInfo = ();
        }

        impl pallet_proxy::Config for Runtime {
            type RuntimeEvent = RuntimeEvent;
            type RuntimeCall = RuntimeCall;
            type Currency = Balances;
            type ProxyType = ProxyType;
            // Khala's deposits.
            type ProxyDepositBase = ConstU128<552_400_000_000>;
            type ProxyDepositFactor = ConstU128<330_000_000_000>;
            type MaxProxies = ConstU32<32>;
            type WeightInfo = ();
            type MaxPending = ConstU32<32>;
            type CallHasher = BlakeTwo256;
            type AnnouncementDepositBase = ConstU128<630_800_000_000>;
            type AnnouncementDepositFactor = ConstU128<660_000_000_000>;
            type BlockNumberProvider = System;
        }

        impl info::Config for Runtime {}
        impl assets::Config for Runtime {}
        impl base_pool::Config for Runtime {}
        impl control::Config for Runtime {}
        impl switches::Config for Runtime {}
        impl registry::Config for Runtime {}

        impl mq::Config for Runtime {
            type KeyRing = PhalaRegistry;
            type Subscriber = (PhalaRegistry, PhalaComputation);
        }

        impl computation::Config for Runtime {
            type OnUnbound = PhalaStakePoolv2;
        }

        impl stake_pool::Config for Runtime {
            type MinContribution = ConstU128<{ UNIT / 100 }>;
            type GracePeriod = ConstU64<{ 7 * 24 * 3600 }>;
            type MaxPoolWorkers = ConstU32<200>;
        }

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

        impl CarriesMessage for RuntimeCall {
            fn message(&self) -> Option<&types::SignedMessage> {
                match self {
                    Self::PhalaMq(mq::Call::sync_offchain_message { signed_message }) => Some(signed_message),
                    _ => None,
                }
            }
        }

        impl frame_support::traits::InstanceFilter<RuntimeCall> for ProxyType {
            fn filter(&self, call: &RuntimeCall) -> bool {
                match self {
                    Self::Any => true,
                    Self::NonTransfer => !matches!(call, RuntimeCall::Balances(_)),
                    Self::CancelProxy => {
                        matches!(call, RuntimeCall::Proxy(pallet_proxy::Call::reject_announcement { .. }))
                    }
                    Self::Governance => matches!(call, RuntimeCall::Utility(_)),
                    Self::Collator => false,
                    Self::StakePoolManager => match call {
                        RuntimeCall::Utility(_) => true,
                        RuntimeCall::PhalaStakePoolv2(call) => proxy_type::manages_pool(call),
                        RuntimeCall::PhalaRegistry(call) => proxy_type::registers(call),
                        RuntimeCall::PhalaMq(call) => proxy_type::relays(call),
                        _ => false,
                    },
                }
            }

            fn is_superset(&self, other: &Self) -> bool {
                self.covers(other)
            }
        }

        /// The complete extrinsic of a call: immortal, signed for a runtime version.
        pub fn sign(signing: &Signing<'_>, call: RuntimeCall) -> Vec<u8> {
            let extension = extension(signing.nonce, signing.tip);
            let payload = (&call, &extension, implicit(signing.version, signing.genesis)).encode();
            let (account, signature) = signing.sign(payload);
            UncheckedExtrinsic::new_signed(call, account.into(), signature.into(), extension).encode()
        }

        /// This edition, for those who handle several.
        pub const EDITION: Edition = Edition {
            version: VERSION,
            dispatch: apis::dispatch,
            inherents: |inputs| inherents(inputs).iter().map(Encode::encode).collect(),
            sign: |signing, act| {
                let call: RuntimeCall = match act {
                    Act::Transfer { dest, value } => {
                        pallet_balances::Call::transfer_keep_alive { dest: dest.into(), value }.into()
                    }
                    Act::Message(signed_message) => mq::Call::sync_offchain_message { signed_message }.into(),
                };
                sign(signing, call)
            },
        };

        /// Runtime APIs. The macro generates public items without documentation.
        #[allow(missing_docs, unreachable_pub, reason = "generated items")]
        mod apis {
            use super::*;
            use frame_support::weights::Weight;
            use pallet_transaction_payment::{FeeDetails, RuntimeDispatchInfo};
            use sp_core::OpaqueMetadata;
            use sp_inherents::CheckInherentsResult;
            use sp_runtime::traits::Block as BlockT;
            use sp_runtime::transaction_validity::{TransactionSource, TransactionValidity};
            use sp_runtime::{ApplyExtrinsicResult, ExtrinsicInclusionMode};

            sp_api::impl_runtime_apis! {
                impl sp_api::Core<Block> for Runtime {
                    fn version() -> RuntimeVersion {
                        DevVersion::get()
                    }
                    fn execute_block(block: <Block as BlockT>::LazyBlock) {
                        Executive::execute_block(block);
                    }
                    fn initialize_block(header: &<Block as BlockT>::Header) -> ExtrinsicInclusionMode {
                        Executive::initialize_block(header)
                    }
                }

                impl sp_api::Metadata<Block> for Runtime {
                    fn metadata() -> OpaqueMetadata {
                        OpaqueMetadata::new(Runtime::metadata().into())
                    }
                    fn metadata_at_version(version: u32) -> Option<OpaqueMetadata> {
                        Runtime::metadata_at_version(version)
                    }
                    fn metadata_versions() -> Vec<u32> {
                        Runtime::metadata_versions()
                    }
                }

                impl sp_block_builder::BlockBuilder<Block> for Runtime {
                    fn apply_extrinsic(extrinsic: <Block as BlockT>::Extrinsic) -> ApplyExtrinsicResult {
                        Executive::apply_extrinsic(extrinsic)
                    }
                    fn finalize_block() -> <Block as BlockT>::Header {
                        Executive::finalize_block()
                    }
                    fn inherent_extrinsics(data: InherentData) -> Vec<<Block as BlockT>::Extrinsic> {
                        super::create_inherents(&data)
                    }
                    fn check_inherents(
                        block: <Block as BlockT>::LazyBlock,
                        data: InherentData,
                    ) -> CheckInherentsResult {
                        super::check_inherents(&block, &data)
                    }
                }

                impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
                    fn validate_transaction(
                        source: TransactionSource,
                        tx: <Block as BlockT>::Extrinsic,
                        block_hash: <Block as BlockT>::Hash,
                    ) -> TransactionValidity {
                        Executive::validate_transaction(source, tx, block_hash)
                    }
                }

                impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId, Nonce> for Runtime {
                    fn account_nonce(account: AccountId) -> Nonce {
                        System::account_nonce(account)
                    }
                }

                impl pallet_transaction_payment_rpc_runtime_api::TransactionPaymentApi<Block, Balance> for Runtime {
                    fn query_info(uxt: <Block as BlockT>::Extrinsic, len: u32) -> RuntimeDispatchInfo<Balance> {
                        TransactionPayment::query_info(uxt, len)
                    }
                    fn query_fee_details(uxt: <Block as BlockT>::Extrinsic, len: u32) -> FeeDetails<Balance> {
                        TransactionPayment::query_fee_details(uxt, len)
                    }
                    fn query_weight_to_fee(weight: Weight) -> Balance {
                        TransactionPayment::weight_to_fee(weight)
                    }
                    fn query_length_to_fee(length: u32) -> Balance {
                        TransactionPayment::length_to_fee(length)
                    }
                }
            }

            /// Runs one runtime API call (for example `Core_version`) with SCALE arguments inside the
            /// externalities in scope and returns the SCALE result; `None` if there is no such method.
            ///
            /// # Panics
            /// On undecodable arguments and wherever a wasm runtime would trap.
            pub fn dispatch(method: &str, arguments: &[u8]) -> Option<Vec<u8>> {
                api::dispatch(method, arguments)
            }
        }
        pub use apis::dispatch;
    };
}
pub(super) use edition;
