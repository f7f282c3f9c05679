//! What nodes say of themselves, for those who check a configuration.

use super::{
    ParaNode, RelayNode, SourceOptions,
    chain::ChainNode,
    same_network::{self, Unfit},
};
use crate::rpc::{Question, Rpc};
use prb_core::{
    id::{Hash, Height},
    port::SourceError,
};

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Name of its chain, `system_chain`.
    pub name: String,
    /// Hash of its block 0.
    pub block_0: Hash,
    /// Its finalized height.
    pub finalized: Height,
    /// Id of the parachain, none on a chain that is none: `ParachainInfo.ParachainId` at the finalized head.
    pub para_id: Option<u32>,
}

/// Asks the node at `url` what it is.
pub async fn node_facts(url: &str, options: SourceOptions) -> Result<NodeFacts, SourceError> {
    let rpc = Rpc::new(url, options.rpc);
    let name: String = rpc.ask(Question::new("system_chain", Vec::new(), "name of the chain")).await?;
    let node = ChainNode::new(rpc, "chain's", options.headers_in_flight);
    let block_0 = node.need_hash(Height(0)).await?;
    let (finalized, para_id) = (node.finalized().await?.height, node.para_id().await?);
    Ok(NodeFacts { name, block_0, finalized, para_id })
}

/// Hash of a block that the node at `url` has finalized.
pub async fn node_hash(url: &str, at: Height, options: SourceOptions) -> Result<Hash, SourceError> {
    ChainNode::new(Rpc::new(url, options.rpc), "chain's", options.headers_in_flight).need_hash(at).await
}

/// Fails unless the parachain of the node at `para` belongs to the relay chain of the node at `relay`.
pub async fn check_same_network(relay: &str, para: &str, options: SourceOptions) -> Result<(), SourceError> {
    let relay = RelayNode::new(Rpc::new(relay, options.rpc), options);
    let para = ParaNode::new(Rpc::new(para, options.rpc), options);
    same_network::check(&relay, &para).await.map_err(|unfit| match unfit {
        Unfit::Node(error) => error,
        Unfit::Pair(apart) => apart.by_relay(),
    })
}
