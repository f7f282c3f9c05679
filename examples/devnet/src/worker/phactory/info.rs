//! What a worker tells about itself.

use super::super::error::{Error, Result};
use super::super::pb;
use super::Phactory;

/// Seconds a contract query may take; 2.2.0 and later report it.
const QUERY_TIMEOUT: u32 = 10;
/// Contract runtime version a 2.2.0 worker reports.
const PINK_RUNTIME: &str = "1.2";

impl Phactory {
    /// The answer of `GetInfo`.
    #[must_use]
    pub fn info(&self) -> pb::PhactoryInfo {
        let new_style = self.config.version.is_new_style();
        let memory = self.config.nodes.bytes() as u64;
        let mut info = pb::PhactoryInfo {
            gatekeeper: Some(pb::GatekeeperStatus::default()),
            version: self.config.version.to_string(),
            git_revision: format!("{}-devnet", "0".repeat(40)),
            memory_usage: Some(pb::MemoryUsage {
                rust_used: memory,
                rust_peak_used: memory,
                total_peak_used: memory,
                ..Default::default()
            }),
            can_load_chain_state: self.can_load_chain_state,
            max_supported_pink_runtime_version: PINK_RUNTIME.to_owned(),
            supported_attestation_methods: if new_style {
                self.config.attestation.methods()
            } else {
                Vec::new()
            },
            query_timeout: if new_style { QUERY_TIMEOUT } else { 0 },
            ..Default::default()
        };
        let Some(runtime) = &self.runtime else { return info };
        let key = hex::encode(runtime.identity.public());
        info.initialized = true;
        info.registered = runtime.machine.registered;
        info.genesis_block_hash = Some(hex::encode(runtime.genesis_hash));
        info.public_key = Some(key.clone());
        info.ecdh_public_key = Some(key.clone());
        info.headernum = runtime.sync.header_next;
        info.para_headernum = runtime.sync.para_next;
        info.blocknum = runtime.sync.block_next;
        info.state_root = hex::encode(runtime.state.root());
        info.dev_mode = runtime.dev_mode;
        info.pending_messages = runtime.egress.pending();
        // The real worker has no estimate before its first benchmark.
        info.score = if runtime.machine.work.iterations() > 0 { self.config.score.into() } else { 0 };
        info.waiting_for_paraheaders = runtime.sync.relay_root.is_some();
        info.current_block_time = runtime.block_time;
        info.system = Some(pb::SystemInfo {
            registered: runtime.machine.registered,
            public_key: key.clone(),
            ecdh_public_key: key,
            gatekeeper: Some(pb::GatekeeperStatus::default()),
            genesis_block: runtime.genesis_block,
            ..Default::default()
        });
        info
    }

    pub(super) fn egress_messages(&self) -> pb::GetEgressMessagesResponse {
        let encoded = self.runtime.as_ref().map(|runtime| runtime.egress.encoded());
        // Before initialisation: the encoding of an empty list.
        pb::GetEgressMessagesResponse { encoded_messages: encoded.unwrap_or_else(|| vec![0]) }
    }

    /// Only this worker's own state is known: the dev worker is no gatekeeper.
    pub(super) fn worker_state(&self, request: &pb::GetWorkerStateRequest) -> Result<pb::WorkerState> {
        let runtime = self.runtime()?;
        if request.public_key != runtime.identity.public() {
            return Err(Error::app("Worker not found"));
        }
        let machine = &runtime.machine;
        Ok(pb::WorkerState {
            registered: machine.registered,
            unresponsive: machine.working.as_ref().is_some_and(|working| working.paused),
            bench_state: machine.bench.as_ref().map(|bench| pb::BenchState {
                start_block: bench.start_block,
                start_time: bench.start_time,
                duration: bench.duration,
            }),
            working_state: machine.working.as_ref().map(|working| pb::WorkingState {
                session_id: working.session_id,
                paused: working.paused,
                start_time: working.start_time,
            }),
            waiting_heartbeats: Vec::new(),
            stat: None,
        })
    }

    pub(super) fn statistics(&self) -> pb::StatisticsResponse {
        pb::StatisticsResponse { uptime: self.now - self.started, cores: self.config.features[0] }
    }
}
