//! The state as a node tells it.

use crate::trader::{ChainNode, NodeError, chain::Chain, hexed};
use async_trait::async_trait;
use codec::{Compact, Encode};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    port::{ChainState, StateError},
    storage_key::StorageKey,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Keys asked for in one request.
const KEYS_PER_REQUEST: usize = 256;

/// Requests under way for one read.
const REQUESTS: usize = 4;

/// Keys in one page; nodes refuse more (`STORAGE_KEYS_PAGED_MAX_COUNT` of `sc-rpc`).
const PAGE: usize = 1000;

/// Most bytes of all pairs: live states are some hundred megabytes.
const MAX_PAIRS: usize = 2 << 30;

/// [`ChainState`] through the safe methods of a node. What a node answers is not proven; it is checked only to be of
/// one block.
pub struct RpcChainState {
    chain: Chain,
    /// Block 0 of the chain that was met first.
    genesis: OnceLock<Hash>,
    fresh: Duration,
}

impl RpcChainState {
    /// The state of the chain of `node`: that of the first connection. What another chain is found behind later tells
    /// nothing.
    pub fn new(node: Arc<dyn ChainNode>) -> Self {
        Self { chain: Chain::new(node), genesis: OnceLock::new(), fresh: Duration::from_secs(1) }
    }

    /// For how long the finalized head is not asked for again. Longer spares the node, shorter sees new blocks sooner.
    /// Typical: 1 s.
    pub fn fresh_for(mut self, fresh: Duration) -> Self {
        self.fresh = fresh;
        self
    }

    /// Asks a connection that was not asked before whose chain it is of.
    async fn same_chain(&self) -> Result<(), StateError> {
        if self.chain.is_trusted() {
            return Ok(());
        }
        let (node, connection) = self.chain.identify().await.map_err(|error| unreachable(&error))?;
        let ours = *self.genesis.get_or_init(|| node);
        if node != ours {
            self.chain.disown();
            return Err(StateError::Unreachable(format!(
                "the node is of the parachain with block 0 {node}, {ours} was read before; name a node of that chain in \
                 chain.para, or restart prb with another data_dir if the chain was started anew"
            )));
        }
        self.chain.trust(node, connection);
        Ok(())
    }

    /// The block meant by `at`.
    async fn block(&self, at: Option<Height>) -> Result<BlockRef, StateError> {
        self.same_chain().await?;
        let head = self.chain.finalized(self.fresh).await.map_err(|error| unreachable(&error))?;
        match at {
            None => Ok(head),
            Some(height) if height == head.height => Ok(head),
            // Above it a height names nothing yet.
            Some(height) if height > head.height => {
                self.chain.finality_moved();
                let head = self.chain.finalized(self.fresh).await.map_err(|error| unreachable(&error))?;
                if height > head.height {
                    return Err(StateError::Unreachable(format!(
                        "block {height} is not final on this node yet; wait until it is, or name a node at the tip first in chain.para"
                    )));
                }
                self.named(height).await
            }
            Some(height) => self.named(height).await,
        }
    }

    async fn named(&self, height: Height) -> Result<BlockRef, StateError> {
        Ok(BlockRef { height, hash: self.chain.hash(height).await.map_err(|error| unreachable(&error))? })
    }

    /// Values of any number of keys, asked for in portions.
    async fn all_values(
        &self,
        keys: &[StorageKey],
        block: BlockRef,
    ) -> Result<Vec<Option<Bytes>>, StateError> {
        let asks: Vec<BoxFuture<'_, _>> =
            keys.chunks(KEYS_PER_REQUEST).map(|keys| self.values(keys, block).boxed()).collect();
        let values: Vec<Vec<Option<Bytes>>> = stream::iter(asks).buffered(REQUESTS).try_collect().await?;
        Ok(values.into_iter().flatten().collect())
    }

    /// Values of a few keys.
    async fn values(&self, keys: &[StorageKey], block: BlockRef) -> Result<Vec<Option<Bytes>>, StateError> {
        let texts: Vec<String> = keys.iter().map(|key| hexed(key)).collect();
        let asked = self.chain.ask("state_queryStorageAt", json!([texts, block.hash.to_string()])).await;
        let answer = match asked {
            Ok(answer) => answer,
            // Some nodes offer it to themselves only.
            Err(NodeError::Refused { code, ref message, .. })
                if code == -32601 || message.contains("unsafe") =>
            {
                return self.values_one_by_one(&texts, block).await;
            }
            Err(error) => return Err(failed(&error, block.height)),
        };
        let sets = answer.as_array().ok_or_else(|| damaged("storage that is no list"))?;
        let mut found: HashMap<&str, &Value> = HashMap::with_capacity(keys.len());
        for set in sets {
            if set["block"].as_str().and_then(|text| text.parse::<Hash>().ok()) != Some(block.hash) {
                return Err(damaged("storage of another block"));
            }
            for change in set["changes"].as_array().into_iter().flatten() {
                if let Some(key) = change[0].as_str() {
                    found.insert(key, &change[1]);
                }
            }
        }
        // A node names every key it was asked for; one it left out is not the same as one without a value.
        texts
            .iter()
            .map(|key| match found.get(key.as_str()) {
                Some(value) => value_in(value),
                None => Err(damaged("storage without a key that was asked for")),
            })
            .collect()
    }

    async fn values_one_by_one(
        &self,
        keys: &[String],
        block: BlockRef,
    ) -> Result<Vec<Option<Bytes>>, StateError> {
        let hash = block.hash.to_string();
        let asks: Vec<BoxFuture<'_, _>> =
            keys.iter().map(|key| self.chain.ask("state_getStorage", json!([key, hash])).boxed()).collect();
        stream::iter(asks)
            .buffered(REQUESTS * 4)
            .map(|answer| value_in(&answer.map_err(|error| failed(&error, block.height))?))
            .try_collect()
            .await
    }

    async fn page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        count: usize,
        block: BlockRef,
    ) -> Result<Vec<StorageKey>, StateError> {
        let params = json!([hexed(prefix), count, after.map(hexed), block.hash.to_string()]);
        let answer = self.chain.ask("state_getKeysPaged", params).await;
        let answer = answer.map_err(|error| failed(&error, block.height))?;
        let keys: Vec<StorageKey> = answer
            .as_array()
            .ok_or_else(|| damaged("keys that are no list"))?
            .iter()
            .map(|key| bytes_in(key).map(|key| key.to_vec()))
            .collect::<Result<_, _>>()?;
        let follows = |pair: &[StorageKey]| pair[0] < pair[1];
        let in_order = keys.windows(2).all(follows) && keys.first().is_none_or(|key| after < Some(key));
        if keys.len() > count || !in_order || !keys.iter().all(|key| key.starts_with(prefix)) {
            return Err(damaged("a page of keys that nobody asked for"));
        }
        Ok(keys)
    }
}

#[async_trait]
impl ChainState for RpcChainState {
    async fn read(
        &self,
        keys: &[StorageKey],
        at: Option<Height>,
    ) -> Result<(BlockRef, Vec<Option<Bytes>>), StateError> {
        let block = self.block(at).await?;
        Ok((block, self.all_values(keys, block).await?))
    }

    async fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        at: Option<Height>,
    ) -> Result<Vec<StorageKey>, StateError> {
        let block = self.block(at).await?;
        let mut keys: Vec<StorageKey> = Vec::new();
        while keys.len() < limit {
            let count = PAGE.min(limit - keys.len());
            let after = keys.last().map(Vec::as_slice).or(after);
            let page = self.page(prefix, after, count, block).await?;
            let last = page.len() < count;
            keys.extend(page);
            if last {
                break;
            }
        }
        Ok(keys)
    }

    async fn pairs(&self, at: Height) -> Result<Bytes, StateError> {
        let block = self.block(Some(at)).await?;
        let (mut count, mut encoded) = (0u32, Vec::new());
        let mut after: Option<StorageKey> = None;
        loop {
            let keys = self.page(&[], after.as_deref(), PAGE, block).await?;
            let values = self.all_values(&keys, block).await?;
            for (key, value) in keys.iter().zip(values) {
                let value = value.ok_or_else(|| damaged("a key without a value"))?;
                key.encode_to(&mut encoded);
                value.as_ref().encode_to(&mut encoded);
                count += 1;
            }
            if encoded.len() > MAX_PAIRS {
                return Err(StateError::Damaged(format!(
                    "the state of block {at} has more than {MAX_PAIRS} bytes"
                )));
            }
            if keys.len() < PAGE {
                break;
            }
            after = keys.into_iter().next_back();
        }
        let mut pairs = Compact(count).encode();
        pairs.append(&mut encoded);
        Ok(pairs.into())
    }
}

fn value_in(value: &Value) -> Result<Option<Bytes>, StateError> {
    match value {
        Value::Null => Ok(None),
        value => bytes_in(value).map(Some),
    }
}

fn bytes_in(value: &Value) -> Result<Bytes, StateError> {
    let bytes = value.as_str().and_then(|text| hex::decode(text.strip_prefix("0x")?).ok());
    bytes.map(Bytes::from).ok_or_else(|| damaged("no bytes where some should be"))
}

fn damaged(what: &str) -> StateError {
    StateError::Damaged(format!("the node answers {what}"))
}

fn unreachable(error: &NodeError) -> StateError {
    StateError::Unreachable(format!("{error}; {}", error.remedy()))
}

fn failed(error: &NodeError, at: Height) -> StateError {
    if error.is_pruned() { StateError::NotKept { at } } else { unreachable(error) }
}
