//! What is asked of either chain: hashes, headers, storage, proofs.

use super::json::{BlockJson, HashText, HeaderJson, ReadProofJson};
use crate::rpc::{HexBytes, Question, Rpc};
use codec::Encode;
use futures::{StreamExt, TryStreamExt, stream};
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    port::SourceError,
    span::Span,
    storage_key::{self, StorageKey},
    types::header::{GRANDPA_ENGINE, Header},
};
use serde_json::json;

/// Heights whose hashes are asked for in one call.
const HASHES_PER_CALL: usize = 256;

/// One chain through one node.
pub(super) struct ChainNode {
    pub(super) rpc: Rpc,
    /// `relay` or `parachain`, for errors.
    pub(super) name: &'static str,
    headers_in_flight: usize,
}

impl ChainNode {
    pub(super) fn new(rpc: Rpc, name: &'static str, headers_in_flight: usize) -> Self {
        Self { rpc, name, headers_in_flight: headers_in_flight.max(1) }
    }

    /// Hash of the canonical block, none above the best one.
    pub(super) async fn hash(&self, height: Height) -> Result<Option<Hash>, SourceError> {
        let what = format!("hash of {} block {height}", self.name);
        let answer: Option<HashText> =
            self.rpc.ask(Question::new("chain_getBlockHash", vec![json!(height.0)], what)).await?;
        Ok(answer.map(|hash| hash.0))
    }

    /// Hash of a canonical block that must be there.
    pub(super) async fn need_hash(&self, height: Height) -> Result<Hash, SourceError> {
        let hash = self.hash(height).await?;
        hash.ok_or_else(|| self.rpc.missing(format!("{} block {height}", self.name)))
    }

    /// Hashes of canonical blocks that must be there.
    pub(super) async fn hashes(&self, heights: &[Height]) -> Result<Vec<Hash>, SourceError> {
        let mut hashes = Vec::with_capacity(heights.len());
        for chunk in heights.chunks(HASHES_PER_CALL) {
            let (first, last) = (chunk[0], chunk[chunk.len() - 1]);
            let what = format!("hashes of {} blocks {first}..={last}", self.name);
            let numbers: Vec<u32> = chunk.iter().map(|height| height.0).collect();
            let question = Question::new("chain_getBlockHash", vec![json!(numbers)], what.as_str());
            let answer: Vec<Option<HashText>> = self.rpc.ask(question).await?;
            if answer.len() != chunk.len() {
                return Err(self
                    .rpc
                    .bad(what, format!("{} hashes for {} heights", answer.len(), chunk.len())));
            }
            for (height, hash) in chunk.iter().zip(answer) {
                let hash = hash.ok_or_else(|| self.rpc.missing(format!("{} block {height}", self.name)))?;
                hashes.push(hash.0);
            }
        }
        Ok(hashes)
    }

    /// The header with this hash, which its SCALE form must have.
    pub(super) async fn header(&self, hash: Hash) -> Result<(Header, Bytes), SourceError> {
        let what = format!("{} header {hash}", self.name);
        let question = Question::new("chain_getHeader", vec![json!(hash.to_string())], what.as_str());
        let answer: Option<HeaderJson> = self.rpc.ask(question).await?;
        let json = answer.ok_or_else(|| self.rpc.missing(what.as_str()))?;
        self.hashed(json, hash, &what)
    }

    /// The header of the block with this hash, and the GRANDPA justification that the node keeps with the block.
    pub(super) async fn justified(&self, hash: Hash) -> Result<(Header, Option<Bytes>), SourceError> {
        let what = format!("{} block {hash}", self.name);
        let question = Question::new("chain_getBlock", vec![json!(hash.to_string())], what.as_str()).long();
        let answer: Option<BlockJson> = self.rpc.ask(question).await?;
        let json = answer.ok_or_else(|| self.rpc.missing(what.as_str()))?;
        let (header, _) = self.hashed(json.block.header, hash, &what)?;
        let mut justifications = json.justifications.into_iter().flatten();
        let grandpa = justifications.find(|(engine, _)| *engine == GRANDPA_ENGINE);
        Ok((header, grandpa.map(|(_, justification)| justification.into())))
    }

    /// A header whose SCALE form has this hash.
    fn hashed(&self, json: HeaderJson, hash: Hash, what: &str) -> Result<(Header, Bytes), SourceError> {
        let header = json.header().map_err(|cause| self.rpc.bad(what, cause))?;
        let bytes = Bytes::from(header.encode());
        match Hash::of(&bytes) {
            actual if actual == hash => Ok((header, bytes)),
            actual => Err(self.rpc.bad(what, format!("the header's hash is {actual}"))),
        }
    }

    /// The canonical header at a height that must be there.
    pub(super) async fn header_at(&self, height: Height) -> Result<(Header, Bytes), SourceError> {
        let (header, bytes) = self.header(self.need_hash(height).await?).await?;
        if header.number != height.0 {
            let what = format!("{} header {height}", self.name);
            return Err(self.rpc.bad(what, format!("its number is {}", header.number)));
        }
        Ok((header, bytes))
    }

    /// SCALE headers of all blocks of `span`.
    pub(super) async fn headers(&self, span: Span) -> Result<Vec<Bytes>, SourceError> {
        let heights: Vec<Height> = span.heights().collect();
        let hashes = self.hashes(&heights).await?;
        stream::iter(heights.into_iter().zip(hashes))
            .map(|(height, hash)| async move {
                let (header, bytes) = self.header(hash).await?;
                if header.number == height.0 {
                    return Ok(bytes);
                }
                let what = format!("{} header {height}", self.name);
                Err(self.rpc.bad(what, format!("its number is {}", header.number)))
            })
            .buffered(self.headers_in_flight)
            .try_collect()
            .await
    }

    /// The finalized head.
    pub(super) async fn finalized(&self) -> Result<BlockRef, SourceError> {
        let what = format!("finalized {} head", self.name);
        let hash: HashText = self.rpc.ask(Question::new("chain_getFinalizedHead", Vec::new(), what)).await?;
        let (header, _) = self.header(hash.0).await?;
        Ok(BlockRef { height: header.height(), hash: hash.0 })
    }

    /// `ParachainInfo.ParachainId` at the finalized head; a chain that is no parachain has none.
    pub(super) async fn para_id(&self) -> Result<Option<u32>, SourceError> {
        let head = self.finalized().await?;
        let id = self.storage(&storage_key::parachain_id(), head, "ParachainInfo.ParachainId").await?;
        Ok(id.and_then(|id| Some(u32::from_le_bytes(id.try_into().ok()?))))
    }

    /// Value of a storage key after a block; `what` names it in errors.
    pub(super) async fn storage(
        &self,
        key: &[u8],
        at: BlockRef,
        what: &str,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        let params = vec![json!(HexBytes::text(key)), json!(at.hash.to_string())];
        let what = format!("{what} at {} block {}", self.name, at.height);
        let value: Option<HexBytes> = self.rpc.ask(Question::new("state_getStorage", params, what)).await?;
        Ok(value.map(|value| value.0))
    }

    /// Nodes that prove the values (or absence) of `keys` after a block.
    pub(super) async fn read_proof(
        &self,
        keys: &[StorageKey],
        at: BlockRef,
        what: &str,
    ) -> Result<Vec<Vec<u8>>, SourceError> {
        let keys: Vec<String> = keys.iter().map(HexBytes::text).collect();
        let what = format!("{what} at {} block {}", self.name, at.height);
        let question =
            Question::new("state_getReadProof", vec![json!(keys), json!(at.hash.to_string())], what);
        let answer: ReadProofJson = self.rpc.ask(question).await?;
        Ok(answer.proof.into_iter().map(|node| node.0).collect())
    }
}
