//! The method table of the service: request limits and where a method is allowed.

use super::version::Version;

/// Limits and permissions of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Name after `PhactoryAPI.`.
    pub name: &'static str,
    /// Largest request body, bytes.
    pub limit: usize,
    /// Allowed while a copy-and-replace dispatch runs.
    pub during_rcu: bool,
    /// Exists since 2.2.0 only.
    new_style_only: bool,
}

/// Limit for a method that is not in the table.
pub const UNKNOWN_LIMIT: usize = MIB;
/// Limit of `/bin_api/*`.
pub const BIN_API_LIMIT: usize = 100 * MIB;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The method of that name in that version, if it has it.
#[must_use]
pub fn find(version: Version, name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name && (version.is_new_style() || !method.new_style_only))
}

const fn method(name: &'static str, limit: usize, during_rcu: bool) -> Method {
    Method { name, limit, during_rcu, new_style_only: false }
}

const fn since_2_2(name: &'static str, limit: usize, during_rcu: bool) -> Method {
    Method { name, limit, during_rcu, new_style_only: true }
}

/// Compiled-in limits of pRuntime, except `InitRuntime`: its packaged configuration raises the 10 MiB
/// to 100 MiB.
const METHODS: &[Method] = &[
    method("GetInfo", KIB, true),
    method("SyncHeader", 100 * MIB, false),
    method("SyncParaHeader", 100 * MIB, false),
    method("SyncCombinedHeaders", 100 * MIB, false),
    method("DispatchBlocks", 100 * MIB, false),
    method("InitRuntime", 100 * MIB, false),
    method("GetRuntimeInfo", KIB, true),
    method("GetEgressMessages", KIB, true),
    method("ContractQuery", 500 * KIB, true),
    method("GetWorkerState", KIB, true),
    method("AddEndpoint", 10 * KIB, false),
    method("RefreshEndpointSigningTime", 10 * KIB, false),
    method("GetEndpointInfo", KIB, true),
    method("SignEndpointInfo", 32 * KIB, true),
    method("DerivePhalaI2pKey", 10 * KIB, true),
    method("Echo", MIB, true),
    method("HandoverCreateChallenge", 10 * KIB, false),
    method("HandoverStart", 10 * KIB, false),
    method("HandoverAcceptChallenge", 10 * KIB, false),
    method("HandoverReceive", 10 * KIB, false),
    since_2_2("DcapHandoverCreateChallenge", 10 * KIB, false),
    since_2_2("DcapHandoverStart", 10 * KIB, false),
    since_2_2("DcapHandoverAcceptChallenge", 10 * KIB, false),
    since_2_2("DcapHandoverReceive", 10 * KIB, false),
    method("ConfigNetwork", 10 * KIB, false),
    method("HttpFetch", 100 * MIB, true),
    method("GetContractInfo", 100 * KIB, true),
    method("GetClusterInfo", KIB, true),
    method("UploadSidevmCode", 32 * MIB, true),
    method("CalculateContractId", KIB, true),
    method("GetNetworkConfig", KIB, true),
    method("LoadChainState", 500 * MIB, false),
    method("Stop", KIB, true),
    method("LoadStorageProof", 10 * MIB, false),
    method("TakeCheckpoint", KIB, false),
    method("Statistics", 100 * KIB, true),
    method("GenerateClusterStateRequest", KIB, true),
    method("SaveClusterState", KIB, false),
    method("LoadClusterState", KIB, false),
    since_2_2("TryUpgradePinkRuntime", KIB, true),
];
