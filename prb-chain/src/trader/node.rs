//! The node that transactions go through.

use crate::rpc::{Connect, HexBytes, Miss, RawNotifications, Rpc, RpcOptions};
use async_trait::async_trait;
use futures::{Stream, StreamExt, stream::BoxStream};
use prb_core::id::{Hash, Height};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use std::time::Duration;
use subxt_rpcs::RpcClient;

/// JSON-RPC access to a parachain node.
///
/// # Contract
///
/// - Every request ends: an answer, or [`NodeError::Lost`] after a deadline.
/// - `submit` gives the extrinsic to one node once. It is never repeated behind the caller's back: the refusal of a
///   repetition ("already imported", "outdated") would say nothing about the first.
/// - After a lost connection the next request connects again, and [`ChainNode::connection`] tells so.
#[async_trait]
pub trait ChainNode: Send + Sync {
    /// Calls `method` with positional `params`.
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError>;

    /// `author_submitAndWatchExtrinsic`: the stream of its statuses. It may end at any time.
    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError>;

    /// Number of the connection that answers. It grows whenever another node may be the one that answers from now on:
    /// behind the same address may be another network then, so the chain is checked anew. Whoever never connects again
    /// leaves it alone.
    fn connection(&self) -> u64 {
        0
    }

    /// The caller finds that the node does not follow the chain, though it answers. Whoever has another asks that.
    fn doubt(&self, why: &NodeError) {
        let _ = why;
    }

    /// The caller finds that the node is of another chain. Whoever has another that may be of the right one asks that, and
    /// answers yes.
    fn disown(&self) -> bool {
        false
    }

    /// Its address, without what is secret in it.
    fn endpoint(&self) -> String {
        "node".to_owned()
    }
}

/// What a node says about an extrinsic it watches. A hint: it may be wrong about everything but `Finalized`, and the
/// stream may break off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// Waits for a lower nonce.
    Future,
    /// In the pool.
    Ready,
    /// Given to peers.
    Broadcast,
    /// In a block of the best chain.
    InBlock(Hash),
    /// That block left the best chain.
    Retracted(Hash),
    /// The node no longer watches the block's finality.
    FinalityTimeout(Hash),
    /// In a finalized block.
    Finalized(Hash),
    /// Another extrinsic took its place in the pool.
    Usurped(Hash),
    /// Removed from the pool for its limits.
    Dropped,
    /// Removed from the pool as invalid.
    Invalid,
}

impl TxStatus {
    /// Understands an `author_extrinsicUpdate`; none if it is unknown.
    pub fn parse(update: &Value) -> Option<Self> {
        if let Some(name) = update.as_str() {
            return Some(match name {
                "future" => Self::Future,
                "ready" => Self::Ready,
                "dropped" => Self::Dropped,
                "invalid" => Self::Invalid,
                _ => return None,
            });
        }
        let (name, content) = update.as_object()?.iter().next()?;
        let hash = || content.as_str()?.parse::<Hash>().ok();
        Some(match name.as_str() {
            "broadcast" => Self::Broadcast,
            "inBlock" => Self::InBlock(hash()?),
            "retracted" => Self::Retracted(hash()?),
            "finalityTimeout" => Self::FinalityTimeout(hash()?),
            "finalized" => Self::Finalized(hash()?),
            "usurped" => Self::Usurped(hash()?),
            _ => return None,
        })
    }
}

/// Why a node gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Nobody knows what became of the request.
    #[error("node is not reachable: {0}")]
    Lost(String),
    /// It is not known which chain is behind the connection; nobody knows what became of the request.
    #[error("another connection was made, and its chain is checked before anything else is asked")]
    Moved,
    /// The node answered with an error.
    #[error("node answers error {code}: {message} {data}")]
    Refused {
        /// JSON-RPC code.
        code: i64,
        /// Its text.
        message: String,
        /// Its data, as text.
        data: String,
    },
    /// The answer makes no sense.
    #[error("node answers nonsense: {0}")]
    Nonsense(String),
    /// It has not finalized what another node has: what it says about heights in between may be wrong.
    #[error("node is behind: its finalized head is {node}, {seen} was finalized before")]
    Behind {
        /// Its finalized head.
        node: Height,
        /// The highest one seen.
        seen: Height,
    },
    /// Its finalized head does not move.
    #[error("finality of the node did not move for {0:?}")]
    Stalled(Duration),
}

impl NodeError {
    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Moved => "that takes a moment, and nothing need be done",
            Self::Lost(_) => "check that the node runs and can be reached, or name another in chain.para",
            Self::Refused { .. } | Self::Nonsense(_) => {
                "check that it is a node of the parachain, an archive node, or name another in chain.para"
            }
            Self::Behind { .. } => "wait until it has caught up, or name another in chain.para",
            Self::Stalled(_) => "check that the chain finalizes blocks, or name another node in chain.para",
        }
    }

    /// Whether the state or block asked for is not kept by the node any more.
    pub fn is_pruned(&self) -> bool {
        let Self::Refused { message, data, .. } = self else { return false };
        [message, data].iter().any(|text| {
            let text = text.to_ascii_lowercase();
            text.contains("state already discarded")
                || text.contains("unknownblock")
                || text.contains("unknown block")
        })
    }
}

/// One node, over [`Rpc`]. Requests are repeated once where a connection breaks, submissions are not.
pub struct RpcNode {
    rpc: Rpc,
    deadline: Duration,
}

impl RpcNode {
    /// The node at `url` (`ws://` or `wss://`). Nothing is connected yet.
    pub fn new(url: &str) -> Self {
        Self::on(Rpc::new(url, RpcOptions::default()))
    }

    /// The node behind a client that takes care of its connection itself.
    pub fn over(client: RpcClient) -> Self {
        Self::with(move || Ok::<_, String>(client.clone()))
    }

    /// The node behind another transport.
    pub fn with(connect: impl Connect + 'static) -> Self {
        Self::on(Rpc::over("node", connect, RpcOptions::default()))
    }

    /// The node behind this connection, which others may use too.
    pub fn on(rpc: Rpc) -> Self {
        Self { rpc, deadline: Duration::from_secs(30) }
    }

    /// Longest time for an answer. Longer hides a hung node, shorter breaks large answers. Typical: 30 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

#[async_trait]
impl ChainNode for RpcNode {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let params = to_raw_value(&params).map_err(nonsense)?;
        let answer = self.rpc.call(method, params, self.deadline).await.map_err(understand)?;
        serde_json::from_str(answer.get()).map_err(nonsense)
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        let (method, unwatch) = ("author_submitAndWatchExtrinsic", "author_unwatchExtrinsic");
        let params = to_raw_value(&[HexBytes::text(extrinsic)]).map_err(nonsense)?;
        let updates = self.rpc.subscribe_once(method, Some(params), unwatch, self.deadline).await;
        Ok(statuses(updates.map_err(understand)?).boxed())
    }

    fn connection(&self) -> u64 {
        self.rpc.connection()
    }

    fn endpoint(&self) -> String {
        self.rpc.endpoint().to_owned()
    }
}

/// Statuses until the stream breaks; unknown ones are left out.
fn statuses(updates: RawNotifications) -> impl Stream<Item = TxStatus> + Send {
    updates.take_while(|update| std::future::ready(update.is_ok())).filter_map(|update| {
        let update = update.ok().and_then(|update| serde_json::from_str(update.get()).ok());
        std::future::ready(update.and_then(|update| TxStatus::parse(&update)))
    })
}

fn understand(miss: Miss) -> NodeError {
    match miss {
        Miss::Refused(error) => NodeError::Refused {
            code: error.code.into(),
            message: error.message,
            data: error.data.as_deref().map(text_of).unwrap_or_default(),
        },
        Miss::Unreachable(cause) | Miss::Broken(cause) => NodeError::Lost(cause),
        Miss::Late(patience) => NodeError::Lost(format!("no answer within {patience:?}")),
        // The connection is given up with it, so nobody knows what became of the request.
        Miss::TooLarge(cause) => NodeError::Lost(cause),
        Miss::Unusable(cause) => NodeError::Nonsense(cause),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "an error ends in the words of this one")]
fn nonsense(error: serde_json::Error) -> NodeError {
    NodeError::Nonsense(error.to_string())
}

fn text_of(data: &RawValue) -> String {
    serde_json::from_str::<String>(data.get()).unwrap_or_else(|_| data.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_status_of_a_node_is_understood() {
        let hash = Hash([0xab; 32]);
        let text = hash.to_string();
        assert_eq!(TxStatus::parse(&json!("future")), Some(TxStatus::Future));
        assert_eq!(TxStatus::parse(&json!("ready")), Some(TxStatus::Ready));
        assert_eq!(TxStatus::parse(&json!("dropped")), Some(TxStatus::Dropped));
        assert_eq!(TxStatus::parse(&json!("invalid")), Some(TxStatus::Invalid));
        assert_eq!(TxStatus::parse(&json!({"broadcast": ["a", "b"]})), Some(TxStatus::Broadcast));
        assert_eq!(TxStatus::parse(&json!({"inBlock": text})), Some(TxStatus::InBlock(hash)));
        assert_eq!(TxStatus::parse(&json!({"retracted": text})), Some(TxStatus::Retracted(hash)));
        assert_eq!(TxStatus::parse(&json!({"finalityTimeout": text})), Some(TxStatus::FinalityTimeout(hash)));
        assert_eq!(TxStatus::parse(&json!({"finalized": text})), Some(TxStatus::Finalized(hash)));
        assert_eq!(TxStatus::parse(&json!({"usurped": text})), Some(TxStatus::Usurped(hash)));
        assert_eq!(TxStatus::parse(&json!("tomorrow")), None);
        assert_eq!(TxStatus::parse(&json!({"finalized": 7})), None);
    }

    #[test]
    fn a_pruned_state_is_told_from_other_errors() {
        let refused = |data: &str| NodeError::Refused {
            code: 4003,
            message: "Client error".into(),
            data: data.to_owned(),
        };
        assert!(refused("UnknownBlock: State already discarded for 0x12").is_pruned());
        assert!(!refused("Execution failed").is_pruned());
        assert!(!NodeError::Lost("gone".into()).is_pruned());
    }

    #[test]
    fn each_error_says_what_to_do() {
        for (error, words) in [
            (NodeError::Moved, "nothing need be done"),
            (NodeError::Lost("refused".into()), "name another in chain.para"),
            (NodeError::Nonsense("no hash".into()), "an archive node"),
            (NodeError::Behind { node: Height(1), seen: Height(2) }, "caught up"),
            (NodeError::Stalled(Duration::from_secs(9)), "finalizes blocks"),
        ] {
            assert!(error.remedy().contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn an_unreachable_node_is_lost_not_hung() {
        let node = RpcNode::new("ws://127.0.0.1:1").deadline(Duration::from_secs(5));
        assert!(matches!(node.request("chain_getHeader", json!([])).await, Err(NodeError::Lost(_))));
    }
}
