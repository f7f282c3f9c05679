//! What a data provider answers its peers.

use async_trait::async_trait;
use prb_core::{
    port::{BlobStore, Coverage, StoreError, Tips},
    progress::Following,
    span::Span,
};
use prb_p2p::{
    Caller, Service,
    message::{ErrorKind, GetBlobByKey, ProviderInfo, ProviderStatus, RawBlob, ResponseError},
    method::Method,
};
use prost::Message;
use prost::bytes::Bytes;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::watch;
use tracing::warn;

/// Blocks that a provider may be behind and still be at the tip, as in PRB v2.
const NEAR: u32 = 3;

/// What v2 says where it does not know.
const UNKNOWN: i32 = -1;

/// A data provider to its peers.
pub(crate) struct Providing {
    store: Arc<dyn BlobStore>,
    following: Option<watch::Receiver<Following>>,
    /// Number of the block that the store starts from.
    start: OnceLock<u32>,
    /// Whether it was told that the genesis cannot be read.
    unread: AtomicBool,
    port: u16,
    tls: bool,
}

impl Providing {
    /// One that serves a store on a port.
    pub(crate) fn new(
        store: Arc<dyn BlobStore>,
        following: Option<watch::Receiver<Following>>,
        port: u16,
        tls: bool,
    ) -> Self {
        Self { store, following, start: OnceLock::new(), unread: AtomicBool::new(false), port, tls }
    }

    async fn info(&self) -> Result<ProviderInfo, StoreError> {
        let coverage = self.store.coverage().await?;
        let start = if coverage.is_some() { self.start().await } else { None };
        let tips = self.following.as_ref().and_then(|following| following.borrow().tips);
        Ok(info(coverage.as_ref(), start, tips, self.port, self.tls))
    }

    /// Number of the block that the store starts from, none while there is none or it cannot be read.
    async fn start(&self) -> Option<u32> {
        if let Some(start) = self.start.get() {
            return Some(*start);
        }
        match self.store.genesis().await {
            // The genesis is large, and never another one.
            Ok(genesis) => {
                let start = genesis?.start().height.0;
                Some(*self.start.get_or_init(|| start))
            }
            Err(cause) => {
                if !self.unread.swap(true, Ordering::Relaxed) {
                    warn!(%cause, "peers are not told where this data provider begins: its genesis cannot be read");
                }
                None
            }
        }
    }
}

#[async_trait]
impl Service for Providing {
    async fn answer(&self, _: &Caller, method: Method, data: Bytes) -> Result<Bytes, ResponseError> {
        match method {
            Method::GetDataProviderInfo => {
                let info = self
                    .info()
                    .await
                    .map_err(|cause| ResponseError::new(ErrorKind::Server, cause.to_string()))?;
                Ok(info.encode_to_vec().into())
            }
            Method::GetBlobByKey => {
                let asked = GetBlobByKey::decode(data);
                let asked =
                    asked.map_err(|cause| ResponseError::new(ErrorKind::Server, cause.to_string()))?;
                // Keys are of v2's database; what it held is served in another form.
                Ok(RawBlob { key: asked.key, empty: Some(true), data: None }.encode_to_vec().into())
            }
            _ => Err(ResponseError::new(ErrorKind::NotFound, "a data provider has no such method")),
        }
    }
}

/// What is told of a store. Blocks are fetched, verified and stored in one step here, so v2's heights of these steps are one.
fn info(
    coverage: Option<&Coverage>,
    start: Option<u32>,
    tips: Option<Tips>,
    port: u16,
    tls: bool,
) -> ProviderInfo {
    let number =
        |height: Option<u32>| Some(height.and_then(|height| i32::try_from(height).ok()).unwrap_or(UNKNOWN));
    let last = |span: fn(&Coverage) -> Option<Span>| coverage.and_then(span).map(|span| span.last().0);
    let (relay, para, changes) =
        (last(|coverage| coverage.relay), last(|coverage| coverage.para), last(|coverage| coverage.changes));
    let near =
        |target: u32, there: Option<u32>| there.is_some_and(|there| target.saturating_sub(there) < NEAR);
    let is_near = tips.is_some_and(|tips| near(tips.relay.0, relay) && near(tips.para.0, changes));
    let status = if is_near { ProviderStatus::Idle } else { ProviderStatus::Synching };
    ProviderInfo {
        status: Some(status as i32),
        para_id: number(coverage.map(|coverage| coverage.identity.para_id)),
        parent_start_header: number(start),
        parent_target: number(tips.map(|tips| tips.relay.0)),
        parent_fetched_height: number(relay),
        parent_processed_height: number(relay),
        parent_committed_height: number(relay),
        para_target: number(tips.map(|tips| tips.para.0)),
        para_fetched_height: number(para),
        para_processed_height: number(changes),
        para_committed_height: number(changes),
        blob_server_port: Some(port.into()),
        blob_server_tls: Some(tls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::{
        id::{Hash, Height},
        port::source::ChainIdentity,
        testkit::{ScriptedStore, StoreCall, StoreFault},
    };
    use prb_store::MemoryStore;

    fn coverage(relay: u32, para: u32, changes: u32) -> Coverage {
        let span = |last| Span::new(Height(1), Height(last));
        Coverage {
            identity: ChainIdentity {
                relay_chain: Hash([0; 32]),
                start: Hash([1; 32]),
                para_genesis: Hash([2; 32]),
                para_id: 2035,
            },
            parachain: true,
            relay: span(relay),
            para: span(para),
            changes: span(changes),
            state_verified: true,
            changes_form: None,
        }
    }

    fn tips(relay: u32, para: u32) -> Option<Tips> {
        Some(Tips { relay: Height(relay), para: Height(para) })
    }

    #[test]
    fn v2_f016_a_provider_tells_all_that_v2_tells_and_whether_it_speaks_tls() {
        let told = info(Some(&coverage(90, 45, 44)), Some(7), tips(100, 50), 8012, true);
        let expected = ProviderInfo {
            status: Some(ProviderStatus::Synching as i32),
            para_id: Some(2035),
            parent_start_header: Some(7),
            parent_target: Some(100),
            parent_fetched_height: Some(90),
            parent_processed_height: Some(90),
            parent_committed_height: Some(90),
            para_target: Some(50),
            para_fetched_height: Some(45),
            para_processed_height: Some(44),
            para_committed_height: Some(44),
            blob_server_port: Some(8012),
            blob_server_tls: Some(true),
        };
        assert_eq!(told, expected);
        let nothing = info(None, None, None, 1, false);
        assert_eq!(
            (nothing.para_id, nothing.parent_target, nothing.para_committed_height),
            (Some(-1), Some(-1), Some(-1))
        );
    }

    #[tokio::test]
    async fn a_start_that_cannot_be_read_is_unknown_and_asked_for_again() {
        let store = ScriptedStore::new(Arc::new(MemoryStore::new()));
        let providing = Providing::new(Arc::new(store.clone()), None, 1, false);
        assert_eq!(providing.start().await, None, "there is none yet");
        assert!(!providing.unread.load(Ordering::Relaxed), "which is no fault");
        store.hook().always(|call| *call == StoreCall::Genesis, StoreFault::Unreachable);
        assert_eq!(providing.start().await, None);
        assert!(providing.unread.load(Ordering::Relaxed), "it is told once");
        assert!(providing.info().await.is_ok(), "the rest is told to peers");
    }

    #[test]
    fn it_is_idle_at_the_tip_of_both_chains_only() {
        for (relay, changes, tips, idle) in [
            (98, 48, tips(100, 50), true),
            (97, 48, tips(100, 50), false),
            (98, 47, tips(100, 50), false),
            (101, 51, tips(100, 50), true),
            (98, 48, None, false),
        ] {
            let told = info(Some(&coverage(relay, changes, changes)), Some(0), tips, 1, false);
            assert_eq!(told.status == Some(ProviderStatus::Idle as i32), idle, "{relay} {changes} {tips:?}");
        }
    }
}
