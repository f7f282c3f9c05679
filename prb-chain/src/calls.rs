//! Calls and extrinsics as bytes, laid out for the runtime at hand.
//!
//! Pallets and calls are found by name in live metadata; their numbers differ between Khala, Phala and releases.
//! Arguments are SCALE bytes passed through untouched (registration info is committed to in the attestation,
//! byte by byte) and are checked against the argument types of the metadata, so a runtime whose call has another
//! shape is refused instead of being sent something it would misread.

pub mod extrinsic;
mod shape;

use codec::{Compact, Encode};
use prb_core::{id::AccountId, tx::Call};
use subxt::Metadata;

pub use extrinsic::{Runtime, SignedExtrinsic, Terms};
pub(crate) use shape::{fits, is_zero_sized, measure};

/// Why something cannot be encoded for a runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The runtime has no such call.
    #[error("runtime has no call {pallet}.{call}; is this a Phala-like parachain?")]
    Missing {
        /// Pallet by name.
        pallet: &'static str,
        /// Call by name.
        call: &'static str,
    },
    /// The call takes other arguments.
    #[error("{pallet}.{call} of this runtime takes ({found}), prb knows ({known}); upgrade prb")]
    Arguments {
        /// Pallet by name.
        pallet: &'static str,
        /// Call by name.
        call: &'static str,
        /// Argument names of the runtime.
        found: String,
        /// Argument names as prb knows them.
        known: String,
    },
    /// An argument does not have the type that the runtime expects.
    #[error("{pallet}.{call}: argument {argument} does not fit its type in this runtime: {reason}")]
    Argument {
        /// Pallet by name.
        pallet: &'static str,
        /// Call by name.
        call: &'static str,
        /// Argument by name.
        argument: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The runtime wants something signed that prb does not know.
    #[error("transaction extension {0} of this runtime is not known; upgrade prb")]
    Extension(String),
    /// A known extension has another layout.
    #[error("transaction extension {extension} has another layout in this runtime ({reason}); upgrade prb")]
    ExtensionLayout {
        /// Its identifier.
        extension: String,
        /// What the decoder says.
        reason: String,
    },
    /// The runtime takes no extrinsics of version 4.
    #[error("runtime takes extrinsic versions {0:?}, prb writes version 4; upgrade prb")]
    ExtrinsicVersion(Vec<u8>),
}

/// `call` as the runtime of `metadata` wants it: pallet index, call index, arguments.
pub fn encode(call: &Call, metadata: &Metadata) -> Result<Vec<u8>, CallError> {
    let arguments: Vec<(&'static str, Vec<u8>)> = match call {
        Call::RegisterWorker { runtime_info, attestation, .. }
        | Call::RegisterWorkerV2 { runtime_info, attestation, .. } => {
            vec![("pruntime_info", runtime_info.clone()), ("attestation", attestation.clone())]
        }
        Call::UpdateEndpoint { payload, signature, .. } => {
            vec![("endpoint_payload", payload.clone()), ("signature", signature.encode())]
        }
        Call::SyncMessage(signed) => vec![("signed_message", signed.encode())],
        Call::AddWorker { pool, worker } => vec![("pid", pool.encode()), ("pubkey", worker.encode())],
        Call::RemoveWorker { pool, worker }
        | Call::StopComputing { pool, worker }
        | Call::ReclaimWorker { pool, worker } => {
            vec![("pid", pool.encode()), ("worker", worker.encode())]
        }
        Call::StartComputing { pool, worker, stake } | Call::RestartComputing { pool, worker, stake } => {
            vec![("pid", pool.encode()), ("worker", worker.encode()), ("stake", stake.encode())]
        }
        Call::CheckWithdraw { pool } => vec![("pid", pool.encode())],
        Call::Unbind { session } => vec![("session", session.encode())],
    };
    let (pallet, name) = call.names();
    assemble(metadata, pallet, name, &arguments)
}

/// `Utility.force_batch` of encoded calls: each is dispatched, whatever became of those before it.
pub fn force_batch(calls: &[Vec<u8>], metadata: &Metadata) -> Result<Vec<u8>, CallError> {
    let mut list = Compact(calls.len() as u32).encode();
    calls.iter().for_each(|call| list.extend(call));
    assemble(metadata, "Utility", "force_batch", &[("calls", list)])
}

/// `Proxy.proxy`: dispatches `call` as `real`, whose proxy the signer is, whatever the type of the relation.
pub fn proxy(real: &AccountId, call: Vec<u8>, metadata: &Metadata) -> Result<Vec<u8>, CallError> {
    assemble(
        metadata,
        "Proxy",
        "proxy",
        &[("real", extrinsic::address(real)), ("force_proxy_type", vec![0]), ("call", call)],
    )
}

/// Looks the call up, checks its arguments, joins the parts.
fn assemble(
    metadata: &Metadata,
    pallet: &'static str,
    call: &'static str,
    arguments: &[(&'static str, Vec<u8>)],
) -> Result<Vec<u8>, CallError> {
    let missing = CallError::Missing { pallet, call };
    let found = metadata.pallet_by_name(pallet).ok_or_else(|| missing.clone())?;
    let variant = found.call_variant_by_name(call).ok_or(missing)?;
    let names = || variant.fields.iter().map(|field| field.name.as_deref().unwrap_or("_"));
    if !names().eq(arguments.iter().map(|(name, _)| *name)) {
        return Err(CallError::Arguments {
            pallet,
            call,
            found: names().collect::<Vec<_>>().join(", "),
            known: arguments.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        });
    }
    let mut bytes = vec![found.call_index(), variant.index];
    for (field, (argument, value)) in variant.fields.iter().zip(arguments) {
        fits(value, field.ty.id, metadata).map_err(|reason| CallError::Argument {
            pallet,
            call,
            argument,
            reason,
        })?;
        bytes.extend(value);
    }
    Ok(bytes)
}
