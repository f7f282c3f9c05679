//! Which chain this is to peers: the hash of parachain block 1, as in PRB v2.

use codec::Decode;
use prb_chain::trader::ChainNode;
use prb_core::{
    backoff::{Backoff, Pace},
    id::{Hash, Height},
    moment::Moment,
    port::{BlobStore, Stream},
    progress::{LOOK, PATIENCE, Stall, Waiting, Word},
    span::Span,
    types::header::Header,
};
use serde_json::json;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep},
};
use tracing::{info, warn};

/// Pauses until it is asked again.
const PACE: Pace = Pace { first: Duration::from_millis(300), longest: Duration::from_secs(5) };

/// Most bytes of a header.
const HEADER: usize = 1 << 20;

/// Why it is never known where there is nobody to ask.
const NOBODY: &str = "nothing tells which chain this is; name a node of the parachain in chain.para";

/// Who knows it.
#[derive(Clone, Default)]
pub(crate) struct Knows {
    /// What is stored.
    pub(crate) store: Option<Arc<dyn BlobStore>>,
    /// A node of the parachain.
    pub(crate) node: Option<Arc<dyn ChainNode>>,
}

impl Knows {
    /// `0x` and the hash in hexadecimal digits, once anybody tells it. Until then `trouble` has the reason, and what stands
    /// still is told. Where there is nobody to ask that is told, and this never returns.
    pub(crate) async fn identity(&self, trouble: &watch::Sender<String>) -> String {
        if self.store.is_none() && self.node.is_none() {
            warn!("the peer-to-peer network is not joined: {NOBODY}");
            trouble.send_replace(NOBODY.to_owned());
            return std::future::pending().await;
        }
        let begun = Instant::now();
        let mut asking = pin!(self.ask(trouble));
        let (mut stall, mut looks) = (Stall::default(), interval(LOOK));
        loop {
            tokio::select! {
                hash = &mut asking => {
                    if stall.is_told() {
                        let seconds = begun.elapsed().as_secs();
                        info!(seconds, "block 1 of the parachain is known; the peer-to-peer network is joined");
                    }
                    return text(hash);
                }
                _ = looks.tick() => {
                    let waiting = self.waiting(trouble.borrow().clone());
                    if let Some(Word::Stalled(still)) = stall.observe(Moment(begun.elapsed()), (), Some(&waiting)) {
                        let Waiting { endpoint, what: waiting_for, cause, remedy, .. } = waiting;
                        let seconds = still.as_secs();
                        warn!(
                            endpoint, waiting_for, cause, seconds, remedy,
                            "the peer-to-peer network is not joined yet"
                        );
                    }
                }
            }
        }
    }

    /// What is waited for.
    fn waiting(&self, cause: String) -> Waiting {
        let (endpoint, remedy) = match self.node {
            Some(_) => {
                ("chain.para", "see whether the node runs and can be reached, or name another in chain.para")
            }
            None => ("the store", "wait until it is ingested, or name a node of the parachain in chain.para"),
        };
        Waiting {
            endpoint: endpoint.to_owned(),
            there: None,
            what: "block 1 of the parachain".to_owned(),
            cause: Some(cause),
            remedy,
            patience: PATIENCE,
        }
    }

    async fn ask(&self, trouble: &watch::Sender<String>) -> Hash {
        let mut backoff = Backoff::new(PACE, 0);
        loop {
            let stored = self.stored().await;
            let told = match &self.node {
                Some(node) if stored.is_err() => of_node(&**node).await,
                _ => stored,
            };
            match told {
                Ok(hash) => return hash,
                Err(cause) => trouble.send_replace(cause),
            };
            sleep(backoff.failed()).await;
        }
    }

    async fn stored(&self) -> Result<Hash, String> {
        let none = || "block 1 of the parachain is not stored yet".to_owned();
        let store = self.store.as_ref().ok_or_else(none)?;
        let read = store.read(Stream::ParaHeaders, Span::one(Height(1)), HEADER).await;
        let blobs = read.map_err(|cause| format!("the store: {cause}"))?;
        let header = Header::decode(&mut &blobs.first().ok_or_else(none)?.bytes[..]);
        Ok(header.map_err(|cause| format!("the store: parachain block 1: {cause}"))?.hash())
    }
}

async fn of_node(node: &dyn ChainNode) -> Result<Hash, String> {
    let answer = node.request("chain_getBlockHash", json!([1])).await;
    let answer = answer.map_err(|cause| format!("chain.para: {cause}"))?;
    let hash = answer.as_str().and_then(|hash| hash.parse().ok());
    hash.ok_or_else(|| "chain.para: the node has no block 1 yet".to_owned())
}

fn text(hash: Hash) -> String {
    format!("0x{}", hex::encode(hash.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_store::MemoryStore;

    #[test]
    fn it_is_written_as_nodes_write_hashes() {
        assert_eq!(text(Hash([0xab; 32])), format!("0x{}", "ab".repeat(32)));
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_knows_it_the_reason_is_told() {
        let store: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
        for (knows, cause, endpoint) in [
            (Knows::default(), NOBODY, None),
            (Knows { store: Some(store), node: None }, "not stored yet", Some("the store")),
        ] {
            let (telling, mut trouble) = watch::channel(String::new());
            let identity = knows.identity(&telling);
            tokio::select! {
                identity = identity => panic!("{identity}"),
                told = trouble.wait_for(|told| told.contains(cause)) => assert!(told.is_ok()),
            }
            let waiting = knows.waiting(cause.to_owned());
            assert!(endpoint.is_none_or(|endpoint| waiting.endpoint == endpoint), "{waiting}");
        }
    }
}
