//! What the trader asks its node, understood and remembered as long as it stays true.

use super::{
    node::{ChainNode, NodeError, TxStatus},
    outcome::{self, Wrapping},
};
use crate::{calls::Runtime, node_source::json::HeaderJson};
use codec::Decode;
use futures::stream::BoxStream;
use prb_core::{
    id::{AccountId, BlockRef, Hash, Height},
    port::CallResult,
    storage_key,
    types::header::Header,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use subxt::{Metadata, utils::AccountId32};
use tokio::time::Instant;

/// A finalized block, as far as settlement needs it.
#[derive(Debug)]
pub(crate) struct Block {
    pub at: BlockRef,
    pub parent: Hash,
    pub extrinsics: Vec<Hash>,
}

/// The parachain through a node.
pub(crate) struct Chain {
    node: Arc<dyn ChainNode>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Block 0 of the right chain, and the number of the connection that was last found to be of it.
    trusted: Option<(Hash, u64)>,
    finalized: Option<Head>,
    /// When the finalized head was seen moving.
    moved: Option<Instant>,
    blocks: BTreeMap<Height, Arc<Block>>,
    /// By `spec_version`.
    runtimes: BTreeMap<u32, Runtime>,
    /// The highest `spec_version` met.
    newest_runtime: Option<u32>,
}

/// The highest finalized head that a node told.
#[derive(Clone, Copy)]
struct Head {
    block: BlockRef,
    /// When a node was asked last.
    at: Instant,
    /// The connection on which it was told. Another node may be behind, so it is asked before anything is read by height.
    connection: u64,
}

/// A node that is so many finalized blocks behind another one is left at once; less is caught up within seconds.
const FAR_BEHIND: u32 = 8;

/// Blocks remembered for lanes that look at them a little later.
const BLOCKS_KEPT: usize = 256;

/// A node whose finality stands still for so long is doubted.
const STALL: Duration = Duration::from_secs(120);

/// How often block 0 is asked for until one connection lasts: the first question may make it.
const IDENTIFICATIONS: usize = 4;

/// Runtimes remembered: the one in force, the one before, and one more for a node that lags.
const RUNTIMES_KEPT: usize = 3;

/// Why the fate of an included extrinsic is not known.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It may be read later.
    Node(NodeError),
    /// It will not be readable.
    Never(String),
}

impl Chain {
    /// Nothing is answered but what a connection says that is [trusted](Self::trust). After another connection was made,
    /// and be it in the middle of a question, everything is [`NodeError::Moved`] until that is trusted.
    pub(crate) fn new(node: Arc<dyn ChainNode>) -> Self {
        Self { node, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hash of block 0, as the node says, and the number of the connection on which it does.
    pub(crate) async fn identify(&self) -> Result<(Hash, u64), NodeError> {
        for _ in 0..IDENTIFICATIONS {
            let connection = self.node.connection();
            let genesis = hash_in(&self.node.request("chain_getBlockHash", json!([0])).await?)?;
            if self.is_on(connection) {
                return Ok((genesis, connection));
            }
        }
        Err(NodeError::Moved)
    }

    /// What is said on this connection counts: it is of the right chain, whose block 0 is this.
    pub(crate) fn trust(&self, genesis: Hash, connection: u64) {
        self.known().trusted = Some((genesis, connection));
    }

    /// Whether what is said on the present connection counts.
    pub(crate) fn is_trusted(&self) -> bool {
        let trusted = self.known().trusted;
        trusted.is_some_and(|(_, connection)| self.is_on(connection))
    }

    /// The node is of another chain: whether there is another to ask.
    pub(crate) fn disown(&self) -> bool {
        self.node.disown()
    }

    /// Whether this is still the connection.
    pub(crate) fn is_on(&self, connection: u64) -> bool {
        self.node.connection() == connection
    }

    /// Hash of block 0 of the right chain.
    pub(crate) fn genesis(&self) -> Result<Hash, NodeError> {
        self.known().trusted.map(|(genesis, _)| genesis).ok_or(NodeError::Moved)
    }

    /// The number of the connection, if what is said on it counts.
    fn connection(&self) -> Result<u64, NodeError> {
        let connection = self.node.connection();
        let trusted = self.known().trusted.is_some_and(|(_, trusted)| trusted == connection);
        if trusted { Ok(connection) } else { Err(NodeError::Moved) }
    }

    /// What came back, refusals too, if the connection is still the one on which it was asked.
    fn said<T>(&self, answer: Result<T, NodeError>, connection: u64) -> Result<T, NodeError> {
        match answer {
            Err(error @ (NodeError::Lost(_) | NodeError::Moved)) => Err(error),
            _ if !self.is_on(connection) => Err(NodeError::Moved),
            answer => answer,
        }
    }

    /// Calls `method`.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let connection = self.connection()?;
        let answer = self.node.request(method, params).await;
        self.said(answer, connection)
    }

    /// Gives an extrinsic to the node.
    pub(crate) async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        let connection = self.connection()?;
        let answer = self.node.submit(extrinsic).await;
        self.said(answer, connection)
    }

    /// Hash of a block at or below the finalized head.
    pub(crate) async fn hash(&self, height: Height) -> Result<Hash, NodeError> {
        hash_in(&self.ask("chain_getBlockHash", json!([height.0])).await?)
    }

    /// The finalized head, not older than `age`. It never goes back, whatever a node says, and it is known to the node
    /// that answers: one that is behind what another one told is no use until it has caught up, as its blocks above its
    /// own finalized head may not be those of the chain.
    pub(crate) async fn finalized(&self, age: Duration) -> Result<BlockRef, NodeError> {
        let connection = self.node.connection();
        if let Some(head) = self.known().finalized
            && head.connection == connection
            && head.at.elapsed() < age
        {
            return Ok(head.block);
        }
        let hash = hash_in(&self.ask("chain_getFinalizedHead", json!([])).await?)?;
        // The first question may be what makes the connection.
        let connection = self.node.connection();
        {
            let mut known = self.known();
            if let Some(head) = known.finalized.as_mut().filter(|head| head.block.hash == hash) {
                (head.at, head.connection) = (Instant::now(), connection);
                let block = head.block;
                drop(known);
                self.watch_stall();
                return Ok(block);
            }
        }
        let answer = self.ask("chain_getHeader", json!([hash.to_string()])).await?;
        // One wrong number would be believed for ever, so it must be the one that the hash covers.
        let block = BlockRef { height: header_in(&answer, hash)?.height(), hash };
        let mut known = self.known();
        let head = match known.finalized {
            // Of two questions on one connection the older answer may come last.
            Some(newest) if newest.block.height >= block.height && newest.connection == connection => newest,
            Some(newest) if newest.block.height > block.height => {
                drop(known);
                return Err(self.behind(block.height, newest.block.height));
            }
            _ => {
                known.moved = Some(Instant::now());
                Head { block, at: Instant::now(), connection }
            }
        };
        known.finalized = Some(Head { at: Instant::now(), ..head });
        drop(known);
        self.watch_stall();
        Ok(head.block)
    }

    /// The node has not finalized what another one has.
    fn behind(&self, node: Height, seen: Height) -> NodeError {
        metrics::counter!("prb_tx_node_behind_total").increment(1);
        let error = NodeError::Behind { node, seen };
        if seen.since(node) >= FAR_BEHIND {
            self.node.doubt(&error);
        } else {
            self.watch_stall();
        }
        error
    }

    /// Doubts a node whose finalized head has not moved for long: it may be cut off from its peers while it answers.
    fn watch_stall(&self) {
        let mut known = self.known();
        let since = *known.moved.get_or_insert_with(Instant::now);
        if since.elapsed() >= STALL {
            known.moved = Some(Instant::now());
            drop(known);
            self.node.doubt(&NodeError::Stalled(STALL));
        }
    }

    /// Lets the next [`Self::finalized`] ask.
    pub(crate) fn finality_moved(&self) {
        if let Some(head) = &mut self.known().finalized {
            head.at = head.at.checked_sub(Duration::from_secs(3600)).unwrap_or(head.at);
        }
    }

    /// The finalized block at `height`, none if the node does not keep its body.
    pub(crate) async fn block(&self, height: Height) -> Result<Option<Arc<Block>>, NodeError> {
        if let Some(block) = self.known().blocks.get(&height) {
            return Ok(Some(block.clone()));
        }
        let hash = self.hash(height).await?;
        let answer = self.ask("chain_getBlock", json!([hash.to_string()])).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let block = &answer["block"];
        let header = header_in(&block["header"], hash)?;
        if header.height() != height {
            return Err(NodeError::Nonsense(format!("block {hash} is not number {height}")));
        }
        let extrinsics =
            block["extrinsics"].as_array().ok_or_else(|| nonsense("a block without extrinsics"))?;
        let extrinsics = extrinsics
            .iter()
            .map(|bytes| bytes_in(bytes).map(|bytes| Hash::of(&bytes)))
            .collect::<Result<_, _>>()?;
        let block = Arc::new(Block { at: BlockRef { height, hash }, parent: header.parent_hash, extrinsics });
        let mut known = self.known();
        known.blocks.insert(height, block.clone());
        while known.blocks.len() > BLOCKS_KEPT {
            known.blocks.pop_first();
        }
        Ok(Some(block))
    }

    /// The runtime that the next block is built with.
    pub(crate) async fn runtime(&self) -> Result<Runtime, NodeError> {
        let best = hash_in(&self.ask("chain_getBlockHash", json!([])).await?)?;
        self.runtime_at(best).await
    }

    /// Forgets all runtimes, so that they are fetched again.
    pub(crate) fn forget_runtimes(&self) {
        self.known().runtimes.clear();
    }

    /// The runtime in the state of a block, which the block after it is built with.
    async fn runtime_at(&self, hash: Hash) -> Result<Runtime, NodeError> {
        let version = self.ask("state_getRuntimeVersion", json!([hash.to_string()])).await?;
        let number = |name: &str| {
            let number = version[name].as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| nonsense(&format!("a runtime version without {name}")))
        };
        let (spec_version, transaction_version) = (number("specVersion")?, number("transactionVersion")?);
        if let Some(runtime) = self.known().runtimes.get(&spec_version) {
            return Ok(runtime.clone());
        }
        let bytes = bytes_in(&self.ask("state_getMetadata", json!([hash.to_string()])).await?)?;
        let metadata = Metadata::decode(&mut &bytes[..]).map_err(|error| {
            nonsense(&format!("metadata of spec {spec_version} does not decode: {error}"))
        })?;
        let runtime = Runtime { metadata: Arc::new(metadata), spec_version, transaction_version };
        let mut known = self.known();
        let before = known.newest_runtime.filter(|before| *before < spec_version);
        known.newest_runtime = known.newest_runtime.max(Some(spec_version));
        match before {
            Some(before) => {
                tracing::info!(before, spec_version, transaction_version, "the runtime was upgraded");
                metrics::counter!("prb_tx_runtime_upgrades_total").increment(1);
            }
            None => tracing::info!(spec_version, transaction_version, "runtime metadata fetched"),
        }
        known.runtimes.insert(spec_version, runtime.clone());
        while known.runtimes.len() > RUNTIMES_KEPT {
            known.runtimes.pop_first();
        }
        Ok(runtime)
    }

    /// The nonce that the node would take next, its pool counted.
    pub(crate) async fn next_index(&self, account: &AccountId) -> Result<u32, NodeError> {
        let address = AccountId32(account.0).to_string();
        let answer = self.ask("system_accountNextIndex", json!([address])).await?;
        let index = answer.as_u64().and_then(|index| u32::try_from(index).ok());
        index.ok_or_else(|| nonsense("an account index that is no number"))
    }

    /// What the account can spend or has reserved for nothing: its free balance, planck, at the finalized head.
    pub(crate) async fn free_balance(&self, account: &AccountId) -> Result<u128, NodeError> {
        let head = self.finalized(Duration::from_secs(10)).await?;
        let key = hexed(&storage_key::system_account(account));
        match self.ask("state_getStorage", json!([key, head.hash.to_string()])).await? {
            Value::Null => Ok(0),
            // `AccountInfo`: nonce and three counters of 32 bits, then the balances, the free one first.
            value => <([u32; 4], u128)>::decode(&mut &bytes_in(&value)?[..])
                .map(|(_, free)| free)
                .map_err(|_| nonsense("an account that does not decode")),
        }
    }

    /// The account's nonce after a block; none if the node has no state of it any more.
    pub(crate) async fn nonce_after(
        &self,
        account: &AccountId,
        hash: Hash,
    ) -> Result<Option<u32>, NodeError> {
        let key = hexed(&storage_key::system_account(account));
        match self.ask("state_getStorage", json!([key, hash.to_string()])).await {
            // An account that does not exist has used no nonce.
            Ok(Value::Null) => Ok(Some(0)),
            // The nonce is the first field of `System.Account`.
            Ok(value) => u32::decode(&mut &bytes_in(&value)?[..])
                .map(Some)
                .map_err(|_| nonsense("an account that does not decode")),
            Err(error) if error.is_pruned() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What became of the calls of the extrinsic at `index` of `block`, and the fee that was paid for it, planck, tip
    /// included, if the runtime tells.
    pub(super) async fn results(
        &self,
        block: &Block,
        index: u32,
        wrapping: Wrapping,
    ) -> Result<(Vec<CallResult>, Option<u128>), Unread> {
        let pruned = |error: NodeError| match error.is_pruned() {
            true => Unread::Never(format!(
                "included in block {}, whose state the node does not keep any more; ask an archive node",
                block.at
            )),
            false => Unread::Node(error),
        };
        // A block is built with the runtime in the state of its parent, and so are its events.
        let runtime = self.runtime_at(block.parent).await.map_err(pruned)?;
        let key = hexed(&storage_key::system_events());
        let events = self.ask("state_getStorage", json!([key, block.at.hash.to_string()])).await;
        let events = events.and_then(|value| match value {
            Value::Null => Ok(vec![0]),
            value => bytes_in(&value),
        });
        let unreadable = |why: String| Unread::Never(format!("included in block {}, but {why}", block.at));
        let events =
            outcome::events_of(&events.map_err(pruned)?, index, &runtime.metadata).map_err(unreadable)?;
        let results = outcome::results(&events, wrapping, &runtime.metadata).map_err(unreadable)?;
        Ok((results, outcome::fee(&events)))
    }
}

fn nonsense(what: &str) -> NodeError {
    NodeError::Nonsense(what.to_owned())
}

pub(crate) fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn bytes_in(value: &Value) -> Result<Vec<u8>, NodeError> {
    value
        .as_str()
        .and_then(|text| hex::decode(text.strip_prefix("0x")?).ok())
        .ok_or_else(|| nonsense("no bytes where some should be"))
}

fn hash_in(value: &Value) -> Result<Hash, NodeError> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| nonsense("no hash where one should be"))
}

/// The header with this hash.
fn header_in(value: &Value, hash: Hash) -> Result<Header, NodeError> {
    let header = HeaderJson::deserialize(value).map_err(|error| error.to_string());
    let header =
        header.and_then(HeaderJson::header).map_err(|why| nonsense(&format!("a bad header: {why}")))?;
    match header.hash() {
        actual if actual == hash => Ok(header),
        actual => Err(nonsense(&format!("a header with hash {actual} for {hash}"))),
    }
}
