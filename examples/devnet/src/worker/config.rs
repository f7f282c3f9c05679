//! How a dev worker is made.

use std::path::PathBuf;
use std::time::Duration;

use super::scale::AttestationProvider;
use super::state::NodeStore;
use super::version::Version;

/// Properties of one worker, fixed at construction.
#[derive(Clone)]
pub struct WorkerConfig {
    /// Seed of the key the worker "generates" at its first `InitRuntime`; such a key counts as
    /// generated inside (trusted). `None`: a random key.
    pub key: Option<[u8; 32]>,
    /// Version the worker claims; before 2.2.0 it follows the old rules for authority changes and
    /// genesis proofs.
    pub version: Version,
    /// The platform's attestation, if it has one.
    pub attestation: AttestationMode,
    /// What stands for the enclave's measurement: it ends attestations, and the chain may allow it.
    pub measurement: Vec<u8>,
    /// The machine it is on: keys are handed over within one only.
    pub machine: String,
    /// Iterations per six seconds of chain time, which is the score the chain computes from a
    /// benchmark report.
    pub score: u32,
    /// Processor cores and processor feature level (1 to 3), as in the registration info.
    pub features: [u32; 2],
    /// Folder of the sealed key and of checkpoints; both are read at the start. `None` keeps them in
    /// memory.
    pub data_dir: Option<PathBuf>,
    /// Time between automatic checkpoints, taken during dispatch; `None` takes none.
    pub checkpoint_interval: Option<Duration>,
    /// Where trie nodes live. Clones of one store share equal nodes among workers.
    pub nodes: NodeStore,
    /// How long an idle connection is kept open.
    pub keep_alive: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            key: None,
            version: Version::CURRENT,
            attestation: AttestationMode::None,
            measurement: Vec::new(),
            machine: String::new(),
            score: 800,
            features: [8, 1],
            data_dir: None,
            checkpoint_interval: None,
            nodes: NodeStore::default(),
            keep_alive: Duration::from_secs(5),
        }
    }
}

/// Kind of enclave the worker pretends to run in.
///
/// Dev attestations carry BLAKE2b-256 of the registration info where the real ones do, and an sr25519
/// signature of these 32 bytes by the worker's key where the real ones have that of an enclave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttestationMode {
    /// No enclave: only "no provider" works.
    #[default]
    None,
    /// EPID enclave: `SgxIas { ra_report: digest, signature, raw_signing_cert: measurement }`.
    Ias,
    /// DCAP enclave (2.2.0 and later): `SgxDcap { quote, collateral: None }`, the quote in the layout of real ones.
    Dcap,
}

impl AttestationMode {
    /// The provider this platform can serve.
    #[must_use]
    pub fn provider(self) -> Option<AttestationProvider> {
        match self {
            Self::None => None,
            Self::Ias => Some(AttestationProvider::Ias),
            Self::Dcap => Some(AttestationProvider::Dcap),
        }
    }

    pub(crate) fn methods(self) -> Vec<String> {
        let own = match self {
            Self::None => None,
            Self::Ias => Some("epid"),
            Self::Dcap => Some("dcap"),
        };
        ["none"].into_iter().chain(own).map(str::to_owned).collect()
    }
}
