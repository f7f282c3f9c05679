//! What exists once a worker is initialised.

use codec::Decode;
use sp_core::H256;

use super::super::config::WorkerConfig;
use super::super::egress::Egress;
use super::super::error::{Error, Result};
use super::super::identity::Identity;
use super::super::keys;
use super::super::machine::{BlockInfo, Machine};
use super::super::pb;
use super::super::scale::{
    AttestationProvider, BlockHeaderWithChanges, Message, MessageOrigin, WorkerRegistrationInfoV2,
};
use super::super::state::ChainState;
use super::super::sync::Synchronizer;

pub(super) struct Runtime {
    pub(super) genesis_hash: H256,
    pub(super) para_id: u32,
    pub(super) dev_mode: bool,
    pub(super) trusted: bool,
    pub(super) identity: Identity,
    pub(super) provider: Option<AttestationProvider>,
    pub(super) registration: WorkerRegistrationInfoV2,
    pub(super) attestation: Option<pb::Attestation>,
    pub(super) sync: Synchronizer,
    pub(super) state: ChainState,
    pub(super) machine: Machine,
    pub(super) egress: Egress,
    /// 0, or the block given to `LoadChainState`.
    pub(super) genesis_block: u32,
    /// Timestamp of the last processed block, milliseconds.
    pub(super) block_time: u64,
    /// The last processed block was more than an hour old.
    pub(super) syncing: bool,
}

/// Blocks older than this count as history, seconds.
const SYNCING_AGE: u64 = 3600;

impl Runtime {
    /// Applies a block and does what its messages ask for. The block stays applied if the second
    /// part fails.
    pub(super) fn dispatch(
        &mut self,
        config: &WorkerConfig,
        now: u64,
        block: &BlockHeaderWithChanges,
    ) -> Result<()> {
        self.sync.check_number(block)?;
        self.sync.apply_block(&mut self.state, &block.storage_changes)?;
        let state = &self.state;
        self.egress.purge(|origin| read(state, &keys::offchain_ingress(origin)));
        self.check_requirements(config)?;
        let messages: Vec<Message> = match self.state.get(&keys::outbound_messages()) {
            None => Vec::new(),
            Some(value) => Decode::decode(&mut &value[..])
                .map_err(|_| Error::app("Can not get mq messages from storage"))?,
        };
        let info =
            BlockInfo { number: block.block_header.number, time: read(&self.state, &keys::timestamp()) };
        let pubkey = self.identity.public();
        for (topic, payload) in self.machine.handle_block(config.score, &pubkey, info, &messages) {
            self.egress.push(&self.identity, MessageOrigin::Worker(pubkey), topic, payload);
        }
        self.block_time = info.time;
        self.syncing = info.time / 1000 + SYNCING_AGE <= now;
        Ok(())
    }

    /// The chain may demand a newer worker; the real one then ends itself.
    fn check_requirements(&self, config: &WorkerConfig) -> Result<()> {
        let version = config.version;
        let minimum: (u32, u32, u32) = read(&self.state, &keys::minimum_version());
        let allowed = || {
            let list: Vec<Vec<u8>> = read(&self.state, &keys::allow_list());
            list.contains(&config.measurement)
        };
        if version.triple() < minimum && !allowed() {
            return Err(Error::Abort(format!("the chain requires version {minimum:?}, this is {version}")));
        }
        let consensus: u32 = read(&self.state, &keys::consensus_version());
        if consensus > 0 {
            return Err(Error::Abort(format!(
                "the chain requires consensus version {consensus}, this has 0"
            )));
        }
        Ok(())
    }
}

/// A storage value, or its default if it is missing.
pub(super) fn read<T: Decode + Default>(state: &ChainState, key: &[u8]) -> T {
    state.get(key).and_then(|value| T::decode(&mut &value[..]).ok()).unwrap_or_default()
}
