//! What workers and stores start from, read off the chains.

use super::{ParaNode, RelayNode, start_point};
use codec::Decode;
use prb_core::{
    id::{BlockRef, Hash, Height},
    port::{Genesis, SourceError},
    storage_key,
    types::sync::GenesisBlockInfo,
};

/// Its name in errors.
pub(crate) const VALIDATION_DATA: &str = "ParachainSystem.ValidationData";

/// First fields of `cumulus_primitives_core::PersistedValidationData`.
#[derive(Decode)]
pub(crate) struct ValidationData {
    _parent_head: Vec<u8>,
    /// The relay parent's number.
    pub(crate) relay_parent_number: u32,
    /// Its state root.
    pub(crate) relay_parent_storage_root: Hash,
}

impl ValidationData {
    /// The start block, if this is the data of parachain block 1: the block before its relay parent.
    pub(crate) fn start(&self) -> Option<Height> {
        Height(self.relay_parent_number).prev()
    }
}

/// Start block = relay parent of parachain block 1, minus 1.
pub(super) async fn of_parachain(relay: &RelayNode, para: &ParaNode) -> Result<Genesis, SourceError> {
    let para_header = para.header(Height(0)).await?;
    let first = para.header(Height(1)).await?.block_ref();
    let data: Option<ValidationData> =
        para.value(&storage_key::validation_data(), first, VALIDATION_DATA).await?;
    let data = data.ok_or_else(|| para.missing(VALIDATION_DATA))?;
    let start =
        data.start().ok_or_else(|| para.missing("relay block before the first relay parent, which is 0"))?;

    let relay_chain = relay.chain_id().await?;
    let genesis = para_header.block_ref();
    let id: Option<u32> =
        para.value(&storage_key::parachain_id(), genesis, "ParachainInfo.ParachainId").await?;
    let para_id = id.ok_or_else(|| para.missing("ParachainInfo.ParachainId"))?;
    let (info, para_state) = futures::try_join!(start_info(relay, start), para.pairs(genesis))?;
    check_start(relay.endpoint(), relay_chain, para_id, &info)?;
    Ok(Genesis {
        relay_chain,
        relay: info,
        para_header,
        para_state: para_state.into(),
        para_id,
        parachain: true,
    })
}

/// A chain that finalizes itself starts at its own block 0.
pub(super) async fn of_solo(node: &RelayNode, para: &ParaNode) -> Result<Genesis, SourceError> {
    let para_header = para.header(Height(0)).await?;
    let genesis = para_header.block_ref();
    let id: Option<u32> =
        para.value(&storage_key::parachain_id(), genesis, "ParachainInfo.ParachainId").await?;
    let (info, para_state) = futures::try_join!(start_info(node, Height(0)), para.pairs(genesis))?;
    Ok(Genesis {
        relay_chain: genesis.hash,
        relay: info,
        para_header,
        para_state: para_state.into(),
        para_id: id.unwrap_or(0),
        parachain: false,
    })
}

async fn start_info(relay: &RelayNode, start: Height) -> Result<GenesisBlockInfo, SourceError> {
    let block_header = relay.header(start).await?;
    let (authority_set, proof) = relay.authorities(block_header.block_ref()).await?;
    Ok(GenesisBlockInfo { block_header, authority_set, proof })
}

/// The start of a live network is built in and must come out.
pub(crate) fn check_start(
    endpoint: &str,
    relay_chain: Hash,
    para_id: u32,
    info: &GenesisBlockInfo,
) -> Result<(), SourceError> {
    let Some(known) = start_point(relay_chain, para_id) else { return Ok(()) };
    let expected = BlockRef { height: known.height, hash: known.hash };
    let found = info.block_header.block_ref();
    if (found, info.authority_set.id) == (expected, known.set_id) {
        return Ok(());
    }
    Err(SourceError::Bad {
        endpoint: endpoint.to_owned(),
        what: format!("start block of {}", known.network),
        cause: format!(
            "it is {found} with set id {}, known is {expected} with set id {}",
            info.authority_set.id, known.set_id
        ),
    })
}
