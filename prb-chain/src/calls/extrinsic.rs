//! Signed extrinsics of version 4.
//!
//! Layout: compact length ‖ `84` ‖ signer (`00` ‖ account) ‖ `01` ‖ sr25519 signature ‖ extra ‖ call. What is signed is
//! call ‖ extra ‖ additional, or its BLAKE2b-256 hash when longer than 256 bytes (`sp_runtime` `SignedPayload`).

use super::{CallError, fits, is_zero_sized};
use crate::keys::Signer;
use codec::{Compact, Encode};
use prb_core::{
    id::{AccountId, Hash},
    tx::Mortality,
};
use std::sync::Arc;
use subxt::Metadata;

/// A runtime: its metadata and the versions that signatures cover.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Metadata.
    pub metadata: Arc<Metadata>,
    /// `spec_version`.
    pub spec_version: u32,
    /// `transaction_version`.
    pub transaction_version: u32,
}

/// What a signature commits to besides the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Nonce of the signer.
    pub nonce: u32,
    /// For which blocks.
    pub mortality: Mortality,
    /// Hash of the birth block.
    pub birth_hash: Hash,
    /// Hash of the parachain's block 0.
    pub genesis: Hash,
    /// Planck on top of the fee.
    pub tip: u128,
}

/// A signed extrinsic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedExtrinsic {
    /// What is submitted, length prefix included.
    pub bytes: Vec<u8>,
    /// BLAKE2b-256 of `bytes`, the name that nodes give it.
    pub hash: Hash,
}

/// `MultiAddress::Id`.
pub(crate) fn address(account: &AccountId) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(account.0);
    bytes
}

/// Extra and additional bytes of the runtime's transaction extensions, in its order.
fn extensions(runtime: &Runtime, terms: &Terms) -> Result<(Vec<u8>, Vec<u8>), CallError> {
    let metadata = &runtime.metadata;
    let (mut extra, mut additional) = (Vec::new(), Vec::new());
    for extension in extensions_of_version_4(metadata)? {
        let (own_extra, own_additional): (Vec<u8>, Vec<u8>) = match extension.identifier() {
            "CheckSpecVersion" => (vec![], runtime.spec_version.encode()),
            "CheckTxVersion" => (vec![], runtime.transaction_version.encode()),
            "CheckGenesis" => (vec![], terms.genesis.encode()),
            "CheckMortality" | "CheckEra" => (terms.mortality.encode().to_vec(), terms.birth_hash.encode()),
            "CheckNonce" => (Compact(terms.nonce).encode(), vec![]),
            "ChargeTransactionPayment" => (Compact(terms.tip).encode(), vec![]),
            // The fee is paid in the native asset.
            "ChargeAssetTxPayment" => ((Compact(terms.tip), 0u8).encode(), vec![]),
            // Mode off, no hash.
            "CheckMetadataHash" => (vec![0], vec![0]),
            _ => (vec![], vec![]),
        };
        let known = !own_extra.is_empty() || !own_additional.is_empty();
        for (bytes, id) in [(&own_extra, extension.extra_ty()), (&own_additional, extension.additional_ty())]
        {
            if !known && !is_zero_sized(id, metadata) {
                return Err(CallError::Extension(extension.identifier().to_owned()));
            }
            fits(bytes, id, metadata).map_err(|reason| CallError::ExtensionLayout {
                extension: extension.identifier().to_owned(),
                reason,
            })?;
        }
        extra.extend(own_extra);
        additional.extend(own_additional);
    }
    Ok((extra, additional))
}

fn extensions_of_version_4(
    metadata: &Metadata,
) -> Result<impl Iterator<Item = subxt::metadata::TransactionExtensionMetadata<'_>>, CallError> {
    let extrinsic = metadata.extrinsic();
    let refused = || CallError::ExtrinsicVersion(extrinsic.supported_versions().to_vec());
    if !extrinsic.supported_versions().contains(&4) {
        return Err(refused());
    }
    // Version 4 names no version of its extensions and means version 0.
    extrinsic.transaction_extensions_by_version(0).ok_or_else(refused)
}

/// What is signed, unhashed: call ‖ extra ‖ additional.
pub fn signing_payload(call: &[u8], runtime: &Runtime, terms: &Terms) -> Result<Vec<u8>, CallError> {
    let (extra, additional) = extensions(runtime, terms)?;
    Ok([call, &extra, &additional].concat())
}

/// `call` signed by `signer`.
pub fn sign(
    call: &[u8],
    signer: &Signer,
    runtime: &Runtime,
    terms: &Terms,
) -> Result<SignedExtrinsic, CallError> {
    let (extra, additional) = extensions(runtime, terms)?;
    let payload = [call, &extra, &additional].concat();
    let signature = match payload.len() {
        0..=256 => signer.sign(&payload),
        _ => signer.sign(&Hash::of(&payload).0),
    };
    let mut body = vec![0x84];
    body.extend(address(&signer.account()));
    body.push(1);
    body.extend(signature);
    body.extend(extra);
    body.extend(call);
    let mut bytes = Compact(body.len() as u32).encode();
    bytes.extend(body);
    Ok(SignedExtrinsic { hash: Hash::of(&bytes), bytes })
}
