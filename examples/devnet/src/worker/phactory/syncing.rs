//! The calls that bring a worker forward.

use super::super::error::{Error, NOT_INITIALIZED, Result};
use super::super::pb;
use super::super::scale::{AuthoritySetChange, BlockHeaderWithChanges, Header, HeaderToSync};
use super::{Phactory, scale, scale_opt};

impl Phactory {
    pub(super) fn rpc_sync_header(&mut self, request: &pb::HeadersToSync) -> Result<pb::SyncedTo> {
        let headers = scale(&request.encoded_headers)?;
        let change = scale_opt(request.encoded_authority_set_change.as_ref())?;
        Ok(pb::SyncedTo { synced_to: self.sync_header(headers, change)? })
    }

    pub(super) fn rpc_sync_para_header(&mut self, request: &pb::ParaHeadersToSync) -> Result<pb::SyncedTo> {
        let headers = scale(&request.encoded_headers)?;
        Ok(pb::SyncedTo { synced_to: self.sync_para_header(headers, &request.proof)? })
    }

    pub(super) fn rpc_sync_combined(
        &mut self,
        request: &pb::CombinedHeadersToSync,
    ) -> Result<pb::HeadersSyncedTo> {
        let relay = scale(&request.encoded_relaychain_headers)?;
        let change = scale_opt(request.authority_set_change.as_ref())?;
        let para = scale(&request.encoded_parachain_headers)?;
        let (relay, para) = self.sync_combined(relay, change, para, &request.proof)?;
        Ok(pb::HeadersSyncedTo { relaychain_synced_to: relay, parachain_synced_to: para })
    }

    pub(super) fn rpc_dispatch_blocks(&mut self, request: &pb::Blocks) -> Result<pb::SyncedTo> {
        let blocks = scale(&request.encoded_blocks)?;
        Ok(pb::SyncedTo { synced_to: self.dispatch_blocks(blocks)? })
    }

    pub(crate) fn sync_header(
        &mut self,
        headers: Vec<HeaderToSync>,
        change: Option<AuthoritySetChange>,
    ) -> Result<u32> {
        self.can_load_chain_state = false;
        let version = self.config.version;
        self.runtime_mut()?.sync.sync_header(version, headers, change)
    }

    pub(crate) fn sync_para_header(&mut self, headers: Vec<Header>, proof: &[Vec<u8>]) -> Result<u32> {
        let runtime = self.runtime_mut()?;
        runtime.sync.sync_para_header(runtime.para_id, headers, proof)
    }

    /// Not atomic: relay headers stay accepted when the parachain headers are refused.
    pub(crate) fn sync_combined(
        &mut self,
        relay: Vec<HeaderToSync>,
        change: Option<AuthoritySetChange>,
        para: Vec<Header>,
        proof: &[Vec<u8>],
    ) -> Result<(u32, u32)> {
        let relay = self.sync_header(relay, change)?;
        let para = if para.is_empty() {
            self.runtime()?.sync.para_next.wrapping_sub(1)
        } else {
            self.sync_para_header(para, proof)?
        };
        Ok((relay, para))
    }

    /// Not atomic: blocks before a refused one stay applied.
    pub(crate) fn dispatch_blocks(&mut self, mut blocks: Vec<BlockHeaderWithChanges>) -> Result<u32> {
        let runtime = self.runtime_mut()?;
        let next = runtime.sync.block_next;
        blocks.retain(|block| block.block_header.number >= next);
        let Some(last) = blocks.last() else {
            return Ok(next.wrapping_sub(1));
        };
        let last = last.block_header.number;
        for block in &blocks {
            let now = self.now;
            let runtime = self.runtime.as_mut().ok_or_else(|| Error::app(NOT_INITIALIZED))?;
            runtime.dispatch(&self.config, now, block)?;
            self.checkpoint_if_due();
        }
        Ok(last)
    }
}
