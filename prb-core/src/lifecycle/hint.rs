//! What to do about errors of the chain.

use crate::port::sink::DispatchError;

/// An error of the chain with what to do about it, where that is known.
pub fn with_hint(error: &DispatchError) -> String {
    let hint = match (error.pallet.as_deref().unwrap_or_default(), error.error.as_str()) {
        ("PhalaStakePoolv2", "InsufficientFreeStake") => "add stake to the pool or lower the worker's stake",
        ("PhalaStakePoolv2", "UnauthorizedPoolOwner") => {
            "the operator's account (or the proxied one) must own the pool"
        }
        ("PhalaStakePoolv2", "UnauthorizedOperator") => {
            "the worker is registered for another operator; it must be registered for this one first"
        }
        ("PhalaStakePoolv2", "FailedToBindSessionAndWorker") => {
            "the worker is bound elsewhere, still cooling down, or registered before the gatekeepers' launch"
        }
        ("PhalaStakePoolv2", "WorkersExceedLimit") => "the pool is full; use another pool",
        ("PhalaBasePool", "PoolDoesNotExist") => "check the pool id",
        ("PhalaBasePool", "PoolTypeNotMatch") => "the id belongs to a vault, not to a stake pool",
        ("PhalaComputation", "InsufficientStake") => {
            "the stake is below the chain's minimum for this worker's score"
        }
        ("PhalaComputation", "TooMuchStake") => {
            "the stake is above the chain's maximum for this worker's score"
        }
        ("PhalaComputation", "BenchmarkTooLow") => {
            "the worker's score is below 50; it is too slow or too busy"
        }
        ("PhalaRegistry", "GenesisBlockHashRejected") => {
            "the worker was initialised with a start block the chain does not allow"
        }
        ("PhalaRegistry", "PRuntimeRejected") => {
            "the worker's version is not on the chain's list; update pRuntime"
        }
        ("PhalaRegistry", "NoneAttestationDisabled") => {
            "this chain wants attested workers; check SGX on the worker"
        }
        ("PhalaRegistry", "UnsupportedAttestationType") => {
            "the chain wants DCAP attestation with its collateral; configure where to get it, or let the worker attest \
             by IAS"
        }
        ("PhalaStakePoolv2", "WorkerInAnotherPool") => "the worker is in another pool; remove it there",
        ("PhalaStakePoolv2", "WithdrawQueueNotEmpty") => {
            "delegators wait for their withdrawals; a stake can be raised once the pool's queue is empty"
        }
        ("PhalaComputation", "CoolDownNotReady") => {
            "the cool-down is not over; the stake can be reclaimed once it is"
        }
        ("PhalaMq" | "PhalaRegistry", "InvalidSignature" | "MalformedSignature") => {
            "the chain knows the sender by another key, so it will never take this; see the worker's version and log"
        }
        ("PhalaRegistry", "InvalidEndpointSigningTime") => {
            "the worker's clock and the chain's differ; set the worker's clock right"
        }
        ("PhalaRegistry", "OutdatedIASReport") => {
            "the attestation is too old; another registration asks for a fresh one"
        }
        ("Proxy", "NotProxy") => "the operator's account is no proxy of the pool owner",
        ("System", "CallFiltered") => {
            "the proxy type does not allow this call; use type StakePoolManager or Any"
        }
        _ => return error.to_string(),
    };
    format!("{error}: {hint}")
}
