//! JSON-RPC of one chain, as a Substrate node serves it (`sc-rpc`, the `archive_v1_*` methods, and Phala's
//! `pha_*` extension).
//!
//! WebSocket and HTTP on one port, or in process ([`InProcess`]). A [`FaultHook`] can make the node lie.

mod archive;
mod author;
mod blocks;
mod fault;
mod in_process;
mod json;
mod pha;
mod state;
mod subscriptions;
mod system;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};

use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::{RandomStringIdProvider, ServerBuilder, ServerConfig, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Methods, RpcModule};
use serde_json::Value;
use sp_core::H256;

use crate::chain::{Chain, StateError, lock};
use crate::finality::Finalizer;

pub use fault::{Fault, FaultHook};
pub use in_process::InProcess;

/// Largest request, response and notification: whole-state dumps and long finality proofs are hundreds of MB.
const MAX_MESSAGE: u32 = 1 << 30;

/// A method: parameters in, result out.
type Method = fn(&Node, &[Value]) -> Result<Value, ErrorObjectOwned>;

/// What a server serves, and how it behaves.
pub struct Node {
    chain: Arc<Chain>,
    finalizer: Option<Arc<Finalizer>>,
    config: NodeConfig,
    behaviour: RwLock<Behaviour>,
    fault: Mutex<Option<FaultHook>>,
}

/// The fixed part of a [`Node`].
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Answer of `system_chain`.
    pub chain_name: String,
    /// SS58 prefix shown in `system_properties`.
    pub ss58_format: u16,
    /// Token symbol shown in `system_properties`; 12 decimals.
    pub token: String,
    /// Serve Phala's `pha_*` methods.
    pub phala_extension: bool,
    /// Serve the `archive_v1_*` methods.
    pub archive: bool,
}

/// What tests change about a [`Node`] while it runs.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Refuse unsafe methods (`state_getPairs`, `state_queryStorage`).
    pub deny_unsafe: bool,
    /// States of blocks below this height read as discarded.
    pub pruned_below: u32,
    /// `highestBlock` of `system_syncState`: `None` = the best block.
    pub highest_block: Option<u32>,
}

impl Node {
    /// A node over `chain`; `finalizer` is what `grandpa_*` ask, if there is one.
    pub fn new(chain: Arc<Chain>, finalizer: Option<Arc<Finalizer>>, config: NodeConfig) -> Self {
        let behaviour = Behaviour { deny_unsafe: false, pruned_below: 0, highest_block: None };
        Self { chain, finalizer, config, behaviour: RwLock::new(behaviour), fault: Mutex::new(None) }
    }

    /// Changes the node's behaviour from the next request on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock::write(&self.behaviour));
    }

    /// Sets or clears what makes this node lie.
    pub fn set_fault(&self, hook: Option<FaultHook>) {
        *lock::mutex(&self.fault) = hook;
    }

    fn behaviour(&self) -> Behaviour {
        lock::read(&self.behaviour).clone()
    }

    /// Refuses blocks whose state this node pretends to have pruned.
    fn check_pruned(&self, at: Option<H256>) -> Result<(), StateErrorOr> {
        let block = self.chain.block_or_best(at).map_err(StateErrorOr::State)?;
        if block.header.number < self.behaviour().pruned_below {
            return Err(StateErrorOr::Discarded(block.hash));
        }
        Ok(())
    }
}

/// A state error, or a state this node says it does not have any more.
enum StateErrorOr {
    State(StateError),
    Discarded(H256),
}

impl std::fmt::Display for StateErrorOr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::State(error @ StateError::Call(_)) => write!(f, "Execution failed: {error}"),
            Self::State(error @ StateError::UnknownBlock(_)) => write!(f, "UnknownBlock: {error}"),
            Self::State(error) => write!(f, "{error}"),
            Self::Discarded(hash) => write!(f, "UnknownBlock: State already discarded for {hash:?}"),
        }
    }
}

/// A running server. Stops when dropped.
pub struct RpcServer {
    addr: SocketAddr,
    handle: ServerHandle,
    node: Arc<Node>,
    methods: Methods,
}

impl RpcServer {
    /// Serves `node` on `addr` (port 0: any free one).
    pub async fn start(node: Arc<Node>, addr: SocketAddr) -> std::io::Result<Self> {
        let methods: Methods = module(node.clone()).map_err(std::io::Error::other)?.into();
        let config = ServerConfig::builder()
            .max_request_body_size(MAX_MESSAGE)
            .max_response_body_size(MAX_MESSAGE)
            .max_connections(4096)
            .max_subscriptions_per_connection(4096)
            .set_message_buffer_capacity(1024)
            .set_id_provider(RandomStringIdProvider::new(16))
            .build();
        let server = ServerBuilder::with_config(config).build(addr).await?;
        let addr = server.local_addr()?;
        let handle = server.start(methods.clone());
        Ok(Self { addr, handle, node, methods })
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `ws://` URL of the server.
    pub fn url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// What is served.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// A client transport that needs no socket, to the same node.
    pub fn in_process(&self) -> InProcess {
        InProcess::over(self.methods.clone())
    }

    /// Closes every connection and waits until the port is free.
    pub async fn stop(self) {
        let _ = self.handle.stop();
        self.handle.clone().stopped().await;
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        let _ = self.handle.stop();
    }
}

/// Every method of `node`.
fn module(node: Arc<Node>) -> Result<RpcModule<Node>, RegisterMethodError> {
    let phala = node.config.phala_extension;
    let archive = node.config.archive;
    let grandpa = node.finalizer.is_some();
    let mut module = RpcModule::from_arc(node);
    let tables = [
        blocks::METHODS,
        state::METHODS,
        system::METHODS,
        author::METHODS,
        if grandpa { blocks::GRANDPA_METHODS } else { &[] },
        if phala { pha::METHODS } else { &[] },
        if archive { archive::METHODS } else { &[] },
    ];
    for (name, method) in tables.into_iter().flatten().copied() {
        module.register_async_method(name, move |params, node, _| async move {
            let params = parse(&params)?;
            answer(node, name, params, method).await
        })?;
    }
    subscriptions::register(&mut module, grandpa)?;
    author::register(&mut module)?;
    if archive {
        archive::register(&mut module)?;
    }
    let mut names: Vec<_> = module.method_names().chain(["rpc_methods"]).collect();
    names.sort_unstable();
    module.register_method("rpc_methods", move |_, _, _| serde_json::json!({ "methods": names }))?;
    Ok(module)
}

/// Runs a method off the async threads, with what the fault hook makes of it.
async fn answer(
    node: Arc<Node>,
    name: &'static str,
    params: Vec<Value>,
    method: Method,
) -> Result<Value, ErrorObjectOwned> {
    let fault = node.fault_for(name, &params);
    let work = async {
        let task = tokio::task::spawn_blocking(move || method(&node, &params));
        task.await.unwrap_or_else(|error| Err(json::internal(&error)))
    };
    fault::play(fault, work).await
}

fn parse(params: &Params<'_>) -> Result<Vec<Value>, ErrorObjectOwned> {
    Ok(params.parse::<Option<Vec<Value>>>()?.unwrap_or_default())
}
