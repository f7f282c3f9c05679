//! The relay chain's node: justified header batches, authority sets, parachain heads.

use super::{SourceOptions, chain::ChainNode, finality::Proof, json::HeaderJson};
use crate::rpc::{HexBytes, Notifications, Question, Rpc};
use codec::{Decode, DecodeAll};
use futures::{StreamExt, stream};
use prb_core::{
    Bytes,
    fault::Fault,
    id::{BlockRef, Hash, Height},
    port::{ParaHead, RelayBatch, SourceError},
    span::Span,
    storage_key,
    types::{
        grandpa::{AuthorityList, AuthoritySet, AuthoritySetChange, StorageProof},
        header::Header,
    },
};
use serde_json::json;
use std::{
    sync::{Mutex as StdMutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};

/// Most headers that are added to a finality proof whose list was cut (Substrate cuts at 100,000).
const MAX_APPENDED: u32 = 200_000;

/// Blocks that one search for a justification looks at. Twice the period at which nodes commonly keep one.
const MAX_SEARCHED: u32 = 1024;

/// Of these, how many at the same time: each answer holds the block's body too.
const SEARCHED_AT_ONCE: usize = 4;

/// A node of the chain that finalizes.
pub struct RelayNode {
    chain: ChainNode,
    heads: Mutex<Option<Notifications>>,
    searched: StdMutex<Option<Span>>,
    patience: Duration,
}

impl RelayNode {
    /// The node behind this connection.
    pub fn new(rpc: Rpc, options: SourceOptions) -> Self {
        Self {
            chain: ChainNode::new(rpc, "relay", options.headers_in_flight),
            heads: Mutex::new(None),
            searched: StdMutex::default(),
            patience: options.tip_patience,
        }
    }

    /// Name of the node, without credentials.
    pub fn endpoint(&self) -> &str {
        self.chain.rpc.endpoint()
    }

    /// The finalized height.
    pub async fn tip(&self) -> Result<Height, SourceError> {
        Ok(self.head().await?.height)
    }

    /// The finalized head.
    pub async fn head(&self) -> Result<BlockRef, SourceError> {
        self.chain.finalized().await
    }

    /// Hash of block 0: which chain this is.
    pub async fn chain_id(&self) -> Result<Hash, SourceError> {
        self.chain.need_hash(Height(0)).await
    }

    /// Id of the parachain that this node follows; none if it is of a relay chain, as it should be.
    pub(super) async fn para_id(&self) -> Result<Option<u32>, SourceError> {
        self.chain.para_id().await
    }

    /// The canonical header at `height`.
    pub async fn header(&self, height: Height) -> Result<Header, SourceError> {
        Ok(self.chain.header_at(height).await?.0)
    }

    /// The authority set that finalizes the blocks after `at`, with its proof.
    ///
    /// The proof covers all three keys, so that it shows the absence of those that the runtime does not have.
    pub async fn authorities(&self, at: BlockRef) -> Result<(AuthoritySet, StorageProof), SourceError> {
        let keys = [
            storage_key::LEGACY_GRANDPA_AUTHORITIES.to_vec(),
            storage_key::grandpa_current_set_id(),
            storage_key::grandpa_authorities(),
        ];
        let (legacy, id, list, proof) = futures::try_join!(
            self.chain.storage(&keys[0], at, ":grandpa_authorities"),
            self.chain.storage(&keys[1], at, "Grandpa.CurrentSetId"),
            self.chain.storage(&keys[2], at, "Grandpa.Authorities"),
            self.chain.read_proof(&keys, at, "proof of the authority set"),
        )?;
        let what = || format!("authority set at relay block {}", at.height);
        // The legacy value has a version byte in front.
        let list = list.or_else(|| legacy.filter(|value| !value.is_empty()).map(|value| value[1..].to_vec()));
        let list = list.ok_or_else(|| self.chain.rpc.missing(what()))?;
        let list =
            AuthorityList::decode(&mut list.as_slice()).map_err(|error| self.chain.rpc.bad(what(), error))?;
        let id = match id {
            Some(id) => u64::decode(&mut id.as_slice()).map_err(|error| self.chain.rpc.bad(what(), error))?,
            None => 0,
        };
        Ok((AuthoritySet { list, id }, proof))
    }

    /// The headers from `from` up to a justified one, none if nothing is justified there yet.
    pub async fn batch(&self, from: Height) -> Result<Option<RelayBatch>, SourceError> {
        let Some(hash) = self.chain.hash(from).await? else { return Ok(None) };
        let Some(mut proof) = self.finality_proof(from).await? else { return Ok(None) };
        let (first, first_bytes) = self.chain.header(hash).await?;
        let what = || format!("finality proof of relay block {from}");
        if first.height() != from {
            return Err(self
                .chain
                .rpc
                .bad(format!("relay header {from}"), format!("its number is {}", first.number)));
        }
        let target = proof.target().map_err(|error| self.chain.rpc.bad(what(), error))?;
        if target.height < from {
            // The justification trails the request: nothing at or above it is justified yet.
            return Ok(None);
        }
        let mut last = first;
        let mut headers = vec![first_bytes];
        // The list may go on above the justified block.
        while last.height() < target.height {
            let next = proof.next_header().map_err(|error| self.chain.rpc.bad(what(), error))?;
            let Some((header, bytes)) = next else { break };
            headers.push(bytes);
            last = header;
        }
        if last.height() < target.height {
            last = self.append(&mut headers, last.height(), target.height).await?;
        }
        if last.block_ref() != target {
            let cause = format!("it justifies {target}, its headers end at {}", last.block_ref());
            return Err(self.chain.rpc.bad(what(), cause));
        }
        let set_change = match last.scheduled_change() {
            Some(_) => self.set_change(target).await?,
            None => None,
        };
        Ok(Some(RelayBatch { headers, justification: proof.justification, set_change }))
    }

    /// The parachain head in the state after `at`, with its proof.
    pub async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Option<ParaHead>, SourceError> {
        let key = storage_key::para_head(para_id);
        let what = format!("head of parachain {para_id}");
        let keys = [key];
        let (head, proof) = futures::try_join!(
            self.chain.storage(&keys[0], at, &what),
            self.chain.read_proof(&keys, at, &what),
        )?;
        let Some(head) = head else { return Ok(None) };
        let header = Vec::<u8>::decode_all(&mut head.as_slice())
            .map_err(|error| self.chain.rpc.bad(format!("{what} at relay block {}", at.height), error))?;
        Ok(Some(ParaHead { header: header.into(), proof: proof.into_iter().map(Bytes::from).collect() }))
    }

    /// Returns when a finalized head above `known` was announced, or after the patience.
    pub async fn wait_for_tip(&self, known: Height) -> Result<(), SourceError> {
        match timeout(self.patience, self.announced(known)).await {
            Ok(outcome) => outcome,
            Err(_) => self.replace_stalled(known).await,
        }
    }

    /// Ends a subscription that has not announced what is there; the next wait subscribes anew.
    async fn replace_stalled(&self, known: Height) -> Result<(), SourceError> {
        let tip = self.tip().await?;
        if tip > known && self.heads.lock().await.take().is_some() {
            let endpoint = self.endpoint();
            tracing::warn!(endpoint, %tip, "the node does not announce its finalized heads; subscribing anew");
            metrics::counter!("prb_source_stalled_total", "endpoint" => endpoint.to_owned()).increment(1);
        }
        Ok(())
    }

    async fn announced(&self, known: Height) -> Result<(), SourceError> {
        let mut heads = self.heads.lock().await;
        if heads.is_none() {
            let (method, unsubscribe) = ("chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads");
            *heads = Some(self.chain.rpc.subscribe(method, unsubscribe).await?);
            // What was finalized before is not announced.
            if self.tip().await? > known {
                return Ok(());
            }
        }
        let Some(stream) = heads.as_mut() else { return Ok(()) };
        loop {
            match stream.next().await {
                Some(Ok(head)) => {
                    let head: Result<HeaderJson, _> = serde_json::from_str(head.get());
                    match head.map_err(|error| error.to_string()).and_then(HeaderJson::header) {
                        Ok(head) if head.height() <= known => {}
                        // A head that does not decode is a hint too: the caller looks for itself.
                        _ => return Ok(()),
                    }
                }
                Some(Err(error)) => {
                    *heads = None;
                    return Err(error);
                }
                // The connection ended: the next call subscribes anew, on another one.
                None => {
                    *heads = None;
                    return Ok(());
                }
            }
        }
    }

    /// A justification at or above `from`, with what the node adds of the headers up to it.
    async fn finality_proof(&self, from: Height) -> Result<Option<Proof>, SourceError> {
        let what = format!("finality proof of relay block {from}");
        let question = Question::new("grandpa_proveFinality", vec![json!(from.0)], what.as_str()).long();
        let answer: Option<HexBytes> = match self.chain.rpc.ask(question).await {
            // "Block not yet finalized".
            Err(SourceError::Missing { .. }) => return Ok(None),
            answer => answer?,
        };
        match answer {
            Some(HexBytes(proof)) => {
                let proof = Proof::read(&proof.into());
                proof.map(Some).map_err(|error| self.chain.rpc.bad(what, error))
            }
            None => Ok(self.search(from).await?.map(Proof::alone)),
        }
    }

    /// The first justification kept with a block from `from` on, for a node that has none where it looks itself (it
    /// keeps one at every change of authorities and every 512 blocks or so); none if no finalized block has one.
    ///
    /// Blocks that were found without one are not asked for again.
    async fn search(&self, from: Height) -> Result<Option<Bytes>, SourceError> {
        let tip = self.tip().await?;
        let searched = *self.searched();
        let next = searched.filter(|span| span.first() == from).map_or(from, |span| span.last().next());
        let Some(span) = Span::new(next, tip) else { return Ok(None) };
        let heights: Vec<Height> = span.take(MAX_SEARCHED).heights().collect();
        let hashes = self.chain.hashes(&heights).await?;
        let mut blocks =
            stream::iter(hashes).map(|hash| self.chain.justified(hash)).buffered(SEARCHED_AT_ONCE);
        for height in heights {
            let Some(block) = blocks.next().await else { break };
            let (header, justification) = block?;
            if let Some(justification) = justification {
                return Ok(Some(justification));
            }
            if header.scheduled_change().is_some() {
                let what = format!("justification of relay block {height}, which changes the authorities");
                return Err(self.chain.rpc.missing(what));
            }
            *self.searched() = Span::new(from, height);
        }
        let searched = Span::new(from, tip).filter(|span| span.count() > u64::from(MAX_SEARCHED));
        match searched {
            Some(_) => {
                let what = format!("justification of any of the relay blocks {from}..={tip}");
                Err(self.chain.rpc.missing(what))
            }
            None => Ok(None),
        }
    }

    /// Finalized blocks known to have no justification of their own.
    fn searched(&self) -> MutexGuard<'_, Option<Span>> {
        self.searched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the headers that a cut list lacks; the last of them.
    async fn append(
        &self,
        headers: &mut Vec<Bytes>,
        after: Height,
        target: Height,
    ) -> Result<Header, SourceError> {
        let what = || format!("relay headers {}..={target}", after.next());
        let span = Span::new(after.next(), target).filter(|span| span.count() <= u64::from(MAX_APPENDED));
        let span = span.ok_or_else(|| self.chain.rpc.bad(what(), "more than a batch may hold"))?;
        headers.extend(self.chain.headers(span).await?);
        let last = headers.last().ok_or_else(|| self.chain.rpc.missing(what()))?;
        Header::decode(&mut last.as_ref()).map_err(|error| self.chain.rpc.bad(what(), error))
    }

    /// The incoming set with its proof, none where the node does not keep that state.
    async fn set_change(&self, at: BlockRef) -> Result<Option<AuthoritySetChange>, SourceError> {
        match self.authorities(at).await {
            Ok((authority_set, authority_proof)) => {
                Ok(Some(AuthoritySetChange { authority_set, authority_proof }))
            }
            Err(error) if error.fault() == Fault::Stop => {
                tracing::debug!(%error, "no proof of the authority set change for workers up to 2.1.0");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
