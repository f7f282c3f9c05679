//! Checkpoints: the whole runtime as bytes.

use codec::{Decode, Encode};
use sp_core::H256;

use super::super::egress::Egress;
use super::super::error::{Error, Result};
use super::super::machine::Machine;
use super::super::pb;
use super::super::scale::{AttestationProvider, StorageState, WorkerRegistrationInfoV2};
use super::super::state::ChainState;
use super::super::sync::Synchronizer;
use super::Phactory;
use super::endpoints::Endpoints;
use super::runtime::Runtime;

/// Checkpoints kept.
const KEEP: usize = 5;
/// Oldest format that is read.
const OLDEST_FORMAT: u32 = 2;

#[derive(Encode, Decode)]
struct Checkpoint {
    format: u32,
    genesis_hash: H256,
    para_id: u32,
    provider: Option<AttestationProvider>,
    registration: WorkerRegistrationInfoV2,
    sync: Synchronizer,
    main: StorageState,
    children: Vec<(Vec<u8>, StorageState)>,
    machine: Machine,
    egress: Egress,
    genesis_block: u32,
    block_time: u64,
    syncing: bool,
    endpoints: Endpoints,
    network: Option<(String, String)>,
}

impl Phactory {
    pub(super) fn take_checkpoint(&mut self) -> Result<pb::SyncedTo> {
        let runtime = self.runtime()?;
        let block = runtime.sync.block_next.wrapping_sub(1);
        let checkpoint = Checkpoint {
            format: self.config.version.checkpoint_format(),
            genesis_hash: runtime.genesis_hash,
            para_id: runtime.para_id,
            provider: runtime.provider,
            registration: runtime.registration.clone(),
            sync: runtime.sync.clone(),
            main: runtime.state.pairs(),
            children: runtime.state.child_pairs(),
            machine: runtime.machine.clone(),
            egress: runtime.egress.clone(),
            genesis_block: runtime.genesis_block,
            block_time: runtime.block_time,
            syncing: runtime.syncing,
            endpoints: self.endpoints.clone(),
            network: self.network.clone().map(|network| (network.all_proxy, network.i2p_proxy)),
        };
        let bytes = checkpoint.encode();
        self.checkpoints.retain(|(at, _)| *at != block);
        self.checkpoints.push_back((block, bytes.into()));
        self.checkpoints.make_contiguous().sort_by_key(|(at, _)| *at);
        while self.checkpoints.len() > KEEP {
            self.checkpoints.pop_front();
        }
        self.last_checkpoint = self.now;
        Ok(pb::SyncedTo { synced_to: block })
    }

    pub(super) fn checkpoint_if_due(&mut self) {
        let due = self
            .config
            .checkpoint_interval
            .is_some_and(|interval| self.now >= self.last_checkpoint + interval.as_secs());
        if due {
            self.take_checkpoint().expect("called right after a dispatch, so the runtime exists; qed");
        }
    }

    /// Loads the newest checkpoint, if there are a sealed key and a checkpoint.
    pub(super) fn restore_checkpoint(&mut self) -> Result<()> {
        let (Some(sealed), Some((block, bytes))) = (&self.sealed, self.checkpoints.back()) else {
            return Ok(());
        };
        let broken = |why: &str| Error::App(format!("checkpoint of block {block} can not be loaded: {why}"));
        let checkpoint = Checkpoint::decode(&mut &bytes[..]).map_err(|error| broken(&error.to_string()))?;
        let newest = self.config.version.checkpoint_format();
        if !(OLDEST_FORMAT..=newest).contains(&checkpoint.format) {
            return Err(broken(&format!(
                "its format is {}, this version reads 2 to {newest}",
                checkpoint.format
            )));
        }
        sealed.check(checkpoint.genesis_hash, checkpoint.para_id)?;
        let state = ChainState::restore(&self.config.nodes, checkpoint.main, checkpoint.children)
            .map_err(|error| broken(&error))?;
        let mut registration = checkpoint.registration;
        // A newer binary registers its own version.
        registration.version = self.config.version.number();
        self.runtime = Some(Runtime {
            genesis_hash: checkpoint.genesis_hash,
            para_id: checkpoint.para_id,
            dev_mode: sealed.dev_mode,
            trusted: sealed.trusted,
            identity: sealed.identity()?,
            provider: checkpoint.provider,
            registration,
            attestation: None,
            sync: checkpoint.sync,
            state,
            machine: checkpoint.machine,
            egress: checkpoint.egress,
            genesis_block: checkpoint.genesis_block,
            block_time: checkpoint.block_time,
            syncing: checkpoint.syncing,
        });
        self.endpoints = checkpoint.endpoints;
        self.network =
            checkpoint.network.map(|(all_proxy, i2p_proxy)| pb::NetworkConfig { all_proxy, i2p_proxy });
        self.can_load_chain_state = false;
        Ok(())
    }
}
