//! Bodies of replies: from protobuf and SCALE to what the port answers. Nothing here trusts the worker.

use bytes::{Buf, Bytes};
use codec::{Compact, Decode};
use prb_core::{
    handover::{Challenge, ChallengeResponse, Means, SealedKey},
    id::{Hash, Height, WorkerKey},
    port::worker::{
        Attestation, Gatekeeper, GatekeeperRole, MemoryUsage, RuntimeInfo, SignedEndpoints, WorkerInfo,
    },
    types::message::{EgressMessages, MessageOrigin, SignedMessage},
};
use prost::Message;

use crate::message;

/// What a worker answers when it has accepted nothing at all: 0 − 1 in 32 bits.
const NOTHING_ACCEPTED: u32 = u32::MAX;

/// A reply that is not what the method answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// The body is not the protobuf message.
    #[error("a body that is not its protobuf message: {0}")]
    Protobuf(String),
    /// A field is missing.
    #[error("no {0}")]
    Missing(&'static str),
    /// A field is not hex of 32 bytes.
    #[error("a {field} that is not 64 hex digits but {text:?}")]
    Hex {
        /// The field.
        field: &'static str,
        /// Its text, shortened.
        text: String,
    },
    /// A field has the wrong size.
    #[error("a {field} of {found} bytes where {expected} are due")]
    Size {
        /// The field.
        field: &'static str,
        /// Bytes due.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A field is not the SCALE value it should be.
    #[error("a {field} that is not SCALE: {cause}")]
    Scale {
        /// The field.
        field: &'static str,
        /// What the decoder said.
        cause: String,
    },
    /// Decoded, the messages would take more memory than allowed.
    #[error("egress messages that would take more than {budget} bytes of memory")]
    TooMany {
        /// Bytes allowed.
        budget: usize,
    },
}

/// `PhactoryInfo`. What is new in a later worker and unknown here is left out.
pub fn info(body: &[u8]) -> Result<WorkerInfo, BadReply> {
    let info: message::PhactoryInfo = protobuf(body)?;
    let system = info.system.unwrap_or_default();
    let hash = |field, texts: [Option<String>; 2]| -> Result<Option<[u8; 32]>, BadReply> {
        texts.into_iter().find_map(text).map(|hash| hex32(field, &hash)).transpose()
    };
    let gatekeeper = system.gatekeeper.or(info.gatekeeper).unwrap_or_default();
    let memory = info.memory_usage.unwrap_or_default();
    Ok(WorkerInfo {
        initialized: info.initialized,
        registered: system.registered || info.registered,
        genesis_block_hash: hash("genesis_block_hash", [info.genesis_block_hash, None])?.map(Hash),
        public_key: hash("public_key", [Some(system.public_key), info.public_key])?.map(WorkerKey),
        headernum: Height(info.headernum),
        para_headernum: Height(info.para_headernum),
        blocknum: Height(info.blocknum),
        waiting_for_paraheaders: info.waiting_for_paraheaders,
        can_load_chain_state: info.can_load_chain_state,
        pending_messages: info.pending_messages,
        score: info.score,
        dev_mode: info.dev_mode,
        version: info.version,
        git_revision: info.git_revision,
        safe_mode_level: info.safe_mode_level,
        current_block_time: info.current_block_time,
        supported_attestation_methods: info.supported_attestation_methods,
        ecdh_public_key: shown(&system.ecdh_public_key).or(info.ecdh_public_key.as_deref().and_then(shown)),
        state_root: shown(&info.state_root).map(Hash),
        gatekeeper: Gatekeeper {
            role: match gatekeeper.role {
                1 => GatekeeperRole::Dummy,
                2 => GatekeeperRole::Active,
                _ => GatekeeperRole::None,
            },
            master_key: shown(&gatekeeper.master_public_key),
        },
        memory: MemoryUsage {
            used: memory.rust_used,
            peak: memory.rust_peak_used,
            spike: memory.rust_spike,
            process_peak: memory.total_peak_used,
            free: memory.free,
        },
        clusters: system.number_of_clusters,
        contracts: system.number_of_contracts,
        max_consensus_version: system.max_supported_consensus_version,
        genesis_block: Height(system.genesis_block),
        max_pink_runtime: info.max_supported_pink_runtime_version,
        live_sidevms: info.live_sidevm_instances,
        query_timeout: info.query_timeout,
    })
}

/// `InitRuntimeResponse`. Byte fields share `body`.
pub fn runtime_info(body: Bytes) -> Result<RuntimeInfo, BadReply> {
    let info: message::InitRuntimeResponse = protobuf(body)?;
    if info.encoded_runtime_info.is_empty() {
        return Err(BadReply::Missing("encoded_runtime_info"));
    }
    let attestation = match info.attestation {
        None => None,
        Some(message::Attestation { payload: Some(payload), .. }) => Some(Attestation::Legacy {
            report: payload.report.into(),
            signature: payload.signature,
            signing_cert: payload.signing_cert,
        }),
        // Even "no provider" is one byte, so nothing is not a report.
        Some(attestation) if attestation.encoded_report.is_empty() => {
            return Err(BadReply::Missing("encoded_report"));
        }
        Some(attestation) => Some(Attestation::Report(attestation.encoded_report)),
    };
    Ok(RuntimeInfo {
        genesis_block_hash: Hash(sized("encoded_genesis_block_hash", &info.encoded_genesis_block_hash)?),
        public_key: WorkerKey(sized("encoded_public_key", &info.encoded_public_key)?),
        encoded_runtime_info: info.encoded_runtime_info,
        attestation,
    })
}

/// `SyncedTo`: the last accepted number, none if nothing was accepted yet.
pub fn synced_to(body: &[u8]) -> Result<Option<Height>, BadReply> {
    let reply: message::SyncedTo = protobuf(body)?;
    Ok(accepted(reply.synced_to))
}

/// `HeadersSyncedTo`: last accepted relay and parachain headers.
pub fn headers_synced_to(body: &[u8]) -> Result<(Option<Height>, Option<Height>), BadReply> {
    let reply: message::HeadersSyncedTo = protobuf(body)?;
    Ok((accepted(reply.relaychain_synced_to), accepted(reply.parachain_synced_to)))
}

/// `GetEgressMessagesResponse`. `budget` bounds the memory of the decoded messages in bytes: two encoded bytes can
/// stand for a group that takes fifty.
pub fn egress_messages(body: Bytes, budget: usize) -> Result<EgressMessages, BadReply> {
    let reply: message::GetEgressMessagesResponse = protobuf(body)?;
    if reply.encoded_messages.is_empty() {
        return Err(BadReply::Missing("encoded_messages"));
    }
    let mut rest = &reply.encoded_messages[..];
    let messages = decode_egress(&mut rest, &mut Budget { total: budget, left: budget })?;
    if rest.is_empty() { Ok(messages) } else { Err(scale(&format!("{} bytes too many", rest.len()))) }
}

/// `GetEndpointResponse` of `SignEndpointInfo`.
pub fn signed_endpoints(body: Bytes) -> Result<SignedEndpoints, BadReply> {
    let reply: message::GetEndpointResponse = protobuf(body)?;
    let payload = reply.encoded_endpoint_payload.ok_or(BadReply::Missing("encoded_endpoint_payload"))?;
    let signature = reply.signature.ok_or(BadReply::Missing("signature"))?;
    Ok(SignedEndpoints { payload, signature: sized("signature", &signature)? })
}

/// `SyncedTo` of `TakeCheckpoint`: the last block in it.
pub fn checkpoint(body: &[u8]) -> Result<Height, BadReply> {
    synced_to(body)?.ok_or(BadReply::Missing("block number of the checkpoint"))
}

/// `HandoverChallenge` or its DCAP form.
pub fn challenge(means: Means, body: Bytes) -> Result<Challenge, BadReply> {
    let (encoded, _) = handover("encoded_challenge", body)?;
    Ok(Challenge { means, encoded })
}

/// `HandoverChallengeResponse` or its DCAP form.
pub fn challenge_response(means: Means, body: Bytes) -> Result<ChallengeResponse, BadReply> {
    let (encoded, evidence) = handover("encoded_challenge_handler", body)?;
    Ok(ChallengeResponse { means, encoded, evidence })
}

/// `HandoverWorkerKey` or its DCAP form.
pub fn sealed_key(means: Means, body: Bytes) -> Result<SealedKey, BadReply> {
    let (encoded, evidence) = handover("encoded_worker_key", body)?;
    Ok(SealedKey { means, encoded, evidence })
}

fn handover(field: &'static str, body: Bytes) -> Result<(Bytes, Option<Bytes>), BadReply> {
    let message::Handover { encoded, evidence } = protobuf(body)?;
    if encoded.is_empty() { Err(BadReply::Missing(field)) } else { Ok((encoded, evidence)) }
}

/// `PrpcError`, none if the body is not one.
pub fn error_message(body: &[u8]) -> Option<String> {
    message::PrpcError::decode(body).ok().map(|error| error.message)
}

fn protobuf<M: Message + Default>(body: impl Buf) -> Result<M, BadReply> {
    M::decode(body).map_err(|error| BadReply::Protobuf(error.to_string()))
}

/// Texts that say something: workers answer empty ones for keys they do not have.
fn text(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

fn hex32(field: &'static str, text: &str) -> Result<[u8; 32], BadReply> {
    let hash: Result<Hash, _> = text.parse();
    hash.map(|hash| hash.0).map_err(|_| BadReply::Hex { field, text: text.chars().take(80).collect() })
}

/// A hash that is only shown to people: one that cannot be read is no reason to refuse the rest.
fn shown(text: &str) -> Option<[u8; 32]> {
    text.parse::<Hash>().ok().map(|hash| hash.0)
}

fn sized<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], BadReply> {
    bytes.try_into().map_err(|_| BadReply::Size { field, expected: N, found: bytes.len() })
}

fn accepted(number: u32) -> Option<Height> {
    (number != NOTHING_ACCEPTED).then_some(Height(number))
}

fn scale(cause: &impl ToString) -> BadReply {
    BadReply::Scale { field: "encoded_messages", cause: cause.to_string() }
}

/// SCALE [`EgressMessages`], item by item so that each one is paid for before it is kept.
fn decode_egress(input: &mut &[u8], budget: &mut Budget) -> Result<EgressMessages, BadReply> {
    let mut groups = EgressMessages::new();
    for _ in 0..count(input)? {
        budget.take(size_of::<(MessageOrigin, Vec<SignedMessage>)>())?;
        let origin = MessageOrigin::decode(input).map_err(|error| scale(&error))?;
        let mut messages = Vec::new();
        for _ in 0..count(input)? {
            budget.take(size_of::<SignedMessage>())?;
            messages.push(SignedMessage::decode(input).map_err(|error| scale(&error))?);
        }
        groups.push((origin, messages));
    }
    Ok(groups)
}

fn count(input: &mut &[u8]) -> Result<u32, BadReply> {
    Compact::<u32>::decode(input).map(|count| count.0).map_err(|error| scale(&error))
}

struct Budget {
    total: usize,
    left: usize,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<(), BadReply> {
        self.left = self.left.checked_sub(bytes).ok_or(BadReply::TooMany { budget: self.total })?;
        Ok(())
    }
}
