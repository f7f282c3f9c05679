//! What is on the parachain now: from a node, or from the verified copy beside the store.

mod copy;
mod rpc;

pub use copy::CopyChainState;
pub use rpc::RpcChainState;
