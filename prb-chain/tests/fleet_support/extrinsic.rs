//! Extrinsics as the model chain reads them, and the events it answers with. It reads them with the dev network's runtime,
//! which shares nothing with what writes them.

use codec::{Compact, Decode, DecodeAll, Encode};
use prb_core::{
    id::{AccountId, Hash, Height, PoolId, WorkerKey},
    port::{CallResult, sink::DispatchError},
    tx::Call,
    types::{
        attestation::{WorkerEndpointPayload, WorkerRegistrationInfoV2},
        message::SignedMessage,
    },
};
use prb_devnet::runtime::para::{self, RuntimeCall, UncheckedExtrinsic};
use serde_json::Value;
use sp_core::{Pair, sr25519};
use sp_runtime::{
    MultiAddress, MultiSignature,
    generic::{Era, Preamble},
};
use std::sync::OnceLock;
use subxt::Metadata;

/// A signed extrinsic whose signature holds.
#[derive(Clone, Debug)]
pub struct Extrinsic {
    pub hash: Hash,
    pub bytes: Vec<u8>,
    pub signer: AccountId,
    pub nonce: u32,
    /// The block whose hash is signed.
    pub birth: Height,
    /// The last block that may include it.
    pub last_valid: Height,
    pub batched: bool,
    pub calls: Vec<Call>,
}

/// The runtime's metadata, decoded and as a node tells it.
pub struct Language {
    pub metadata: Metadata,
    pub text: Value,
}

pub fn language() -> &'static Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    LANGUAGE.get_or_init(|| {
        let told = sp_io::TestExternalities::new_empty()
            .execute_with(|| para::dispatch("Metadata_metadata", &[]))
            .unwrap();
        let bytes = Vec::<u8>::decode(&mut &told[..]).unwrap();
        let text = Value::String(hexed(&bytes));
        Language { metadata: Metadata::decode(&mut &bytes[..]).unwrap(), text }
    })
}

pub fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Reads an extrinsic that would be included in block `next`; `hash_at` knows the chain so far.
pub fn read(
    bytes: &[u8],
    next: Height,
    genesis: Hash,
    hash_at: impl Fn(Height) -> Option<Hash>,
) -> Result<Extrinsic, &'static str> {
    let decoded = UncheckedExtrinsic::decode_all(&mut &bytes[..]).map_err(|_| "it does not decode")?;
    let Preamble::Signed(MultiAddress::Id(account), MultiSignature::Sr25519(signature), extension) =
        &decoded.preamble
    else {
        return Err("it is not signed with sr25519");
    };
    let (era, nonce) = (extension.4.0, extension.5.0);
    let Era::Mortal(period, _) = era else { return Err("it is immortal") };
    let birth = Height(era.birth(next.0.into()) as u32);
    let birth_hash = hash_at(birth).ok_or("its birth is not on the chain")?;
    let call = decoded.function.encode();
    let versions = (para::VERSION.spec_version, para::VERSION.transaction_version);
    let mut payload = [call.clone(), extension.encode(), (versions, genesis, birth_hash).encode()].concat();
    if payload.len() > 256 {
        payload = Hash::of(&payload).0.to_vec();
    }
    let signer: [u8; 32] = *account.as_ref();
    if !sr25519::Pair::verify(signature, &payload, &sr25519::Public::from_raw(signer)) {
        return Err("its signature does not hold");
    }
    let batched = call[..2] == number_of("Utility", "force_batch");
    let calls = match batched {
        true => Vec::<RuntimeCall>::decode_all(&mut &call[2..])
            .map_err(|_| "its batch does not decode")?
            .iter()
            .map(|call| understand(&call.encode()))
            .collect::<Option<_>>(),
        false => understand(&call).map(|call| vec![call]),
    };
    Ok(Extrinsic {
        hash: Hash::of(bytes),
        bytes: bytes.to_vec(),
        signer: AccountId(signer),
        nonce,
        birth,
        last_valid: Height(birth.0 + period as u32 - 1),
        batched,
        calls: calls.ok_or("it has a call that nobody expects")?,
    })
}

/// A call out of its bytes.
fn understand(bytes: &[u8]) -> Option<Call> {
    let pallet = language().metadata.pallet_by_call_index(*bytes.first()?)?;
    let call = pallet.call_variant_by_index(*bytes.get(1)?)?;
    let mut rest = &bytes[2..];
    let arguments = &mut rest;
    let call = match (pallet.name(), call.name.as_str()) {
        ("PhalaRegistry", "register_worker_v2") => {
            let info = WorkerRegistrationInfoV2::decode(arguments).ok()?;
            let attestation = std::mem::take(arguments).to_vec();
            Call::RegisterWorkerV2 { worker: info.pubkey, runtime_info: info.encode(), attestation }
        }
        ("PhalaRegistry", "update_worker_endpoint") => {
            let payload = WorkerEndpointPayload::decode(arguments).ok()?;
            let signature = Vec::decode(arguments).ok()?;
            Call::UpdateEndpoint { worker: payload.pubkey, payload: payload.encode(), signature }
        }
        ("PhalaMq", "sync_offchain_message") => Call::SyncMessage(SignedMessage::decode(arguments).ok()?),
        ("PhalaStakePoolv2", name) => {
            let (pool, worker) = <(PoolId, WorkerKey)>::decode(arguments).ok()?;
            match name {
                "add_worker" => Call::AddWorker { pool, worker },
                "remove_worker" => Call::RemoveWorker { pool, worker },
                "stop_computing" => Call::StopComputing { pool, worker },
                "reclaim_pool_worker" => Call::ReclaimWorker { pool, worker },
                "start_computing" => {
                    Call::StartComputing { pool, worker, stake: u128::decode(arguments).ok()? }
                }
                "restart_computing" => {
                    Call::RestartComputing { pool, worker, stake: u128::decode(arguments).ok()? }
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    rest.is_empty().then_some(call)
}

fn number_of(pallet: &str, call: &str) -> [u8; 2] {
    let pallet = language().metadata.pallet_by_name(pallet).unwrap();
    [pallet.call_index(), pallet.call_variant_by_name(call).unwrap().index]
}

/// An inherent: a block never begins with a transaction.
pub fn inherent(number: Height) -> Vec<u8> {
    // Version 4, unsigned, and some call.
    (vec![4u8, 1, 0], number).encode()
}

/// `System.Events` of a block.
#[derive(Default)]
pub struct Events {
    count: u32,
    bytes: Vec<u8>,
}

impl Events {
    pub fn encoded(self) -> Vec<u8> {
        [Compact(self.count).encode(), self.bytes].concat()
    }

    /// What the runtime says of an extrinsic with these results; they come back as it can say them.
    pub fn apply(&mut self, index: u32, extrinsic: &Extrinsic, results: Vec<CallResult>) -> Vec<CallResult> {
        // Weight, class and who pays are of no interest.
        let info = [0u8; 4];
        let told: Vec<(CallResult, Vec<u8>)> = results.into_iter().map(told).collect();
        let failed = |(result, _): &(CallResult, Vec<u8>)| *result != CallResult::Ok;
        let fee = (extrinsic.signer, 1_000u128, 0u128).encode();
        self.push(index, "TransactionPayment", "TransactionFeePaid", &fee);
        if extrinsic.batched {
            for (result, error) in &told {
                match result {
                    CallResult::Ok => self.push(index, "Utility", "ItemCompleted", &[]),
                    CallResult::Failed(_) => self.push(index, "Utility", "ItemFailed", error),
                }
            }
            let end = if told.iter().any(failed) { "BatchCompletedWithErrors" } else { "BatchCompleted" };
            self.push(index, "Utility", end, &[]);
        }
        match told.iter().find(|told| !extrinsic.batched && failed(told)) {
            Some((_, error)) => {
                self.push(index, "System", "ExtrinsicFailed", &[&error[..], &info].concat());
            }
            None => self.push(index, "System", "ExtrinsicSuccess", &info),
        }
        told.into_iter().map(|(result, _)| result).collect()
    }

    fn push(&mut self, index: u32, pallet: &str, event: &str, fields: &[u8]) {
        let pallet = language().metadata.pallet_by_name(pallet).unwrap();
        let event = pallet.event_variants().unwrap().iter().find(|variant| variant.name == event).unwrap();
        // Phase `ApplyExtrinsic`, event, topics.
        (0u8, index, pallet.event_index(), event.index).encode_to(&mut self.bytes);
        self.bytes.extend(fields);
        self.bytes.push(0);
        self.count += 1;
    }
}

/// A result as the runtime can say it, with its `DispatchError`.
fn told(result: CallResult) -> (CallResult, Vec<u8>) {
    let CallResult::Failed(error) = &result else { return (result, vec![]) };
    let pallet = error.pallet.as_deref().and_then(|name| language().metadata.pallet_by_name(name));
    let module = pallet.and_then(|pallet| {
        let variant = pallet.error_variants()?.iter().find(|variant| variant.name == error.error)?;
        Some((3u8, pallet.error_index(), [variant.index, 0, 0, 0]).encode())
    });
    match module {
        Some(bytes) => (result, bytes),
        // An error that this runtime has no name for.
        None => (CallResult::Failed(DispatchError { pallet: None, error: "Other".into() }), vec![0]),
    }
}
