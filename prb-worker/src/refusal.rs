//! What may be done about the texts a worker refuses calls with.

use prb_core::port::worker::Refusal;

/// Beginnings of pRuntime's error texts (its `phactory` and `phala-types` error enums and the strings of its RPC
/// handlers), in an order in which the first match is right.
const TEXTS: &[(&str, Refusal)] = &[
    ("BlockNumberMismatch", Refusal::OutOfStep),
    ("NoStateRoot", Refusal::OutOfStep),
    ("RelaychainHeaderNotSynced", Refusal::OutOfStep),
    ("Runtime already initialized", Refusal::OutOfStep),
    ("Runtime not initialized", Refusal::NotInitialized),
    ("System is uninitialized", Refusal::NotInitialized),
    ("Runtime is uninitialized", Refusal::NotInitialized),
    ("MissingJustification", Refusal::BadData),
    ("HeaderHashMismatch", Refusal::BadData),
    ("HeaderValidateFailed", Refusal::BadData),
    ("StorageProofFailed", Refusal::BadData),
    ("StateRootMismatch", Refusal::BadData),
    ("ChainModeMismatch", Refusal::BadData),
    // LoadChainState: the first is about what we sent, the others about a worker that has moved on.
    ("Can not load chain state from block 0", Refusal::BadData),
    ("Loading different parachain state", Refusal::BadData),
    ("Failed to load state: the worker is already registered", Refusal::BadData),
    ("Can not load chain state", Refusal::OutOfStep),
    ("Failed to set synchronizer state", Refusal::OutOfStep),
    // InitRuntime: the chain or the settings do not fit what the worker has sealed.
    ("Genesis block hash mismatches with saved keys", Refusal::BadData),
    ("Parachain id mismatches", Refusal::BadData),
    ("RA is disallowed when debug_set_key is enabled", Refusal::BadData),
    ("state root mismatch", Refusal::BadData),
    ("Endpoints too large", Refusal::BadData),
    // Key handover: what the other worker says, or is, is not accepted.
    ("Client attestation not found", Refusal::BadData),
    ("Decode client attestation failed", Refusal::BadData),
    ("Invalid client", Refusal::BadData),
    ("Server attestation not found", Refusal::BadData),
    ("Decode server attestation failed", Refusal::BadData),
    ("Invalid server", Refusal::BadData),
    ("Invalid challenge", Refusal::BadData),
    ("Invalid key received", Refusal::BadData),
    ("Invalid LA report", Refusal::BadData),
    ("No remote handover", Refusal::BadData),
    ("Server pRuntime not allowed on chain", Refusal::BadData),
    ("Client pRuntime not allowed on chain", Refusal::BadData),
    ("No handover for old pRuntime", Refusal::BadData),
    ("DCAP not enabled", Refusal::BadData),
    ("RCU in progress", Refusal::Busy),
];

/// Text inside a longer message.
const UNSUPPORTED_PROVIDER: &str = "Unsupported attestation provider";

/// What kind of refusal `message` is.
pub(crate) fn classify(message: &str) -> Refusal {
    let message = message.trim_start();
    match TEXTS.iter().find(|(text, _)| message.starts_with(text)) {
        Some((_, refusal)) => *refusal,
        None if message.contains(UNSUPPORTED_PROVIDER) => Refusal::BadData,
        None => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_by_how_they_begin() {
        let cases = [
            ("BlockNumberMismatch", Refusal::OutOfStep),
            ("NoStateRoot", Refusal::OutOfStep),
            ("RelaychainHeaderNotSynced", Refusal::OutOfStep),
            ("Runtime already initialized", Refusal::OutOfStep),
            ("Runtime not initialized", Refusal::NotInitialized),
            ("System is uninitialized", Refusal::NotInitialized),
            ("MissingJustification", Refusal::BadData),
            ("HeaderHashMismatch", Refusal::BadData),
            ("HeaderValidateFailed(invalid ancestry proof)", Refusal::BadData),
            ("StorageProofFailed(storage value mismatch)", Refusal::BadData),
            ("StateRootMismatch block=1 expected=0x00 actual=0x01", Refusal::BadData),
            ("ChainModeMismatch", Refusal::BadData),
            ("Can not load chain state", Refusal::OutOfStep),
            ("Can not load chain state from block 0", Refusal::BadData),
            ("Failed to set synchronizer state", Refusal::OutOfStep),
            ("Loading different parachain state, loading=1, init=2", Refusal::BadData),
            ("x: Unsupported attestation provider: Dcap", Refusal::BadData),
            ("RCU in progress, please try the request again later", Refusal::Busy),
            ("This RPC is disabled in safe mode", Refusal::Other),
            ("No handover for old pRuntime", Refusal::BadData),
            ("Invalid client RA report", Refusal::BadData),
            ("Failed to create attestation report: timeout", Refusal::Other),
            ("HeaderValidate", Refusal::Other),
            ("", Refusal::Other),
        ];
        for (text, refusal) in cases {
            assert_eq!(classify(text), refusal, "{text}");
        }
    }
}
