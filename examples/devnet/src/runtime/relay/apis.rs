//! Runtime APIs of the relay runtime.

use super::{
    AccountId, Balance, Block, DevVersion, Executive, Grandpa, Nonce, Runtime, System, TransactionPayment,
};
use frame_support::traits::Get;
use frame_support::weights::Weight;
use pallet_transaction_payment::{FeeDetails, RuntimeDispatchInfo};
use sp_api::impl_runtime_apis;
use sp_consensus_grandpa::{AuthorityId, AuthorityList, SetId};
use sp_core::OpaqueMetadata;
use sp_inherents::{CheckInherentsResult, InherentData};
use sp_runtime::traits::{Block as BlockT, NumberFor};
use sp_runtime::transaction_validity::{TransactionSource, TransactionValidity};
use sp_runtime::{ApplyExtrinsicResult, ExtrinsicInclusionMode};
use sp_version::RuntimeVersion;

// The macro generates public items without documentation.
#[allow(missing_docs, unreachable_pub, reason = "generated items")]
mod generated {
    use super::*;

    impl_runtime_apis! {
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
                super::super::create_inherents(&data)
            }
            fn check_inherents(
                block: <Block as BlockT>::LazyBlock,
                data: InherentData,
            ) -> CheckInherentsResult {
                super::super::check_inherents(&block, &data)
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

        impl sp_consensus_grandpa::GrandpaApi<Block> for Runtime {
            fn grandpa_authorities() -> AuthorityList {
                Grandpa::grandpa_authorities()
            }
            fn current_set_id() -> SetId {
                Grandpa::current_set_id()
            }
            fn submit_report_equivocation_unsigned_extrinsic(
                _: sp_consensus_grandpa::EquivocationProof<<Block as BlockT>::Hash, NumberFor<Block>>,
                _: sp_consensus_grandpa::OpaqueKeyOwnershipProof,
            ) -> Option<()> {
                None
            }
            fn generate_key_ownership_proof(
                _: SetId,
                _: AuthorityId,
            ) -> Option<sp_consensus_grandpa::OpaqueKeyOwnershipProof> {
                None
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
pub(super) use generated::RUNTIME_API_VERSIONS;
pub use generated::dispatch;
