//! Which chain this is to peers: the hash of parachain block 1, as in PRB v2.

use codec::Decode;
use prb_chain::trader::ChainNode;
use prb_core::{
    backoff::{Backoff, Pace},
    id::{Hash, Height},
    port::{BlobStore, Stream},
    span::Span,
    types::header::Header,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tracing::info;

/// Pauses until it is asked again.
const PACE: Pace = Pace { first: Duration::from_millis(300), longest: Duration::from_secs(5) };

/// Most bytes of a header.
const HEADER: usize = 1 << 20;

/// Who knows it.
#[derive(Clone, Default)]
pub(crate) struct Knows {
    /// What is stored.
    pub(crate) store: Option<Arc<dyn BlobStore>>,
    /// A node of the parachain.
    pub(crate) node: Option<Arc<dyn ChainNode>>,
}

impl Knows {
    /// `0x` and the hash in hexadecimal digits, once anybody tells it.
    pub(crate) async fn identity(&self) -> String {
        let mut backoff = Backoff::new(PACE, 0);
        loop {
            let hash = match self.stored().await {
                Some(hash) => Some(hash),
                None => self.of_node().await,
            };
            if let Some(hash) = hash {
                return text(hash);
            }
            if backoff.failures() == 0 {
                info!("the peer-to-peer network is joined once block 1 of the parachain is known");
            }
            sleep(backoff.failed()).await;
        }
    }

    async fn stored(&self) -> Option<Hash> {
        let first = Span::one(Height(1));
        let blobs = self.store.as_ref()?.read(Stream::ParaHeaders, first, HEADER).await.ok()?;
        let header = Header::decode(&mut &blobs.first()?.bytes[..]).ok()?;
        Some(header.hash())
    }

    async fn of_node(&self) -> Option<Hash> {
        let answer = self.node.as_ref()?.request("chain_getBlockHash", json!([1])).await.ok()?;
        answer.as_str()?.parse().ok()
    }
}

fn text(hash: Hash) -> String {
    format!("0x{}", hex::encode(hash.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_nodes_write_hashes() {
        assert_eq!(text(Hash([0xab; 32])), format!("0x{}", "ab".repeat(32)));
    }
}
