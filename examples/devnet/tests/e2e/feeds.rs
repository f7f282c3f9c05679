//! Other sources of blocks than nodes: another data provider, and a headers-cache server. Neither is trusted.

use crate::asked::Side;
use crate::world::{ANY, World, event, in_time, until};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Decode, Encode};
use prb_chain::node_source::{NodeSource, SourceOptions};
use prb_chain::verify::CryptoVerifier;
use prb_chain::{HttpOptions, headers_cache::HeadersCacheSource, mirror::MirrorSource};
use prb_cli::config::Config;
use prb_cli::data_provider::DataProvider;
use prb_core::backoff::Pace;
use prb_core::id::{Hash, Height};
use prb_core::pipeline::bridge::BridgeOptions;
use prb_core::pipeline::{Bridge, Event};
use prb_core::port::{
    Append, Blob, BlobStore, BlockSource, Coverage, Cursor, Genesis, Rung, StoreError, Stream,
    store::ProvenHead,
};
use prb_core::span::Span;
use prb_core::testkit::conform;
use prb_core::types::header::Header;
use prb_core::types::sync::{ChangesForm, StorageChanges};
use prb_devnet::network;
use prb_store::{MemoryStore, RemoteOptions, RemoteStore, Server, ServerOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_millis(500);

/// A data provider's server.
pub struct Provider {
    pub url: String,
    server: Server,
    serving: JoinHandle<()>,
}

impl Provider {
    pub async fn of(store: Arc<dyn BlobStore>) -> Self {
        // Several answers under way, each of them of several chunks.
        let options = ServerOptions { response_bytes: 20_000, ..ServerOptions::default() };
        let server = Server::new(store, options);
        let listener = TcpListener::bind(ANY).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        Self { url, server, serving }
    }

    fn mirror(&self) -> MirrorSource {
        MirrorSource::new(&self.url, HttpOptions::default(), PATIENCE).unwrap()
    }

    fn cache(&self) -> HeadersCacheSource {
        HeadersCacheSource::new(&self.url, HttpOptions::default(), PATIENCE).unwrap()
    }

    pub async fn stop(self) {
        self.server.stop();
        self.serving.await.unwrap();
    }
}

pub async fn ingest(source: impl BlockSource + 'static, store: Arc<MemoryStore>) -> Bridge {
    let mut options = BridgeOptions::default();
    options.ingest.pace = Pace { first: Duration::from_millis(20), longest: Duration::from_millis(200) };
    Bridge::builder()
        .source(source, CryptoVerifier::with_state(store.clone()))
        .store(store)
        .options(options)
        .start()
        .await
        .unwrap()
}

pub fn nodes(world: &World) -> NodeSource {
    NodeSource::new(&world.url(Side::Relay), &world.url(Side::Para), SourceOptions::default())
}

pub async fn world(history: u32) -> World {
    World::new(network::Config::default().rotate_every(12), history, 0).await
}

/// A store of everything that is final.
pub async fn filled(world: &World) -> Arc<MemoryStore> {
    let (bridge, store) = world.ingest(SourceOptions::default()).await;
    world.until_stored(async || store.cursor().await.unwrap()).await;
    in_time("the bridge stops", bridge.stop()).await;
    world.asked.forget();
    store
}

/// Both hold the same, to the last byte.
async fn same(one: &MemoryStore, other: &MemoryStore) {
    assert_eq!(one.genesis().await.unwrap(), other.genesis().await.unwrap());
    assert_eq!(one.cursor().await.unwrap(), other.cursor().await.unwrap());
    let rungs = async |store: &MemoryStore| store.rungs(Height(0), usize::MAX).await.unwrap();
    assert_eq!(rungs(one).await, rungs(other).await);
    for stream in Stream::ALL {
        let first = match stream {
            Stream::RelayHeaders => one.coverage().await.unwrap().unwrap().relay.unwrap().first(),
            Stream::Changes => Height(1),
            _ => Height(0),
        };
        let all = Span::new(first, Height(u32::MAX)).unwrap();
        let items = async |store: &MemoryStore| store.read(stream, all, usize::MAX).await.unwrap();
        let (ours, theirs) = (items(one).await, items(other).await);
        assert!(!ours.is_empty(), "{stream}");
        assert_eq!(ours.len(), theirs.len(), "{stream}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{stream} at {}", ours.height);
        }
    }
}

pub async fn caught_up(what: &str, behind: &MemoryStore, ahead: &MemoryStore) {
    let caught_up = async || behind.cursor().await.unwrap() == ahead.cursor().await.unwrap();
    until(what, caught_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_mirrors_another_ends_with_the_same_items() {
    let mut world = world(60).await;
    let (first, original) = world.ingest(SourceOptions::default()).await;
    let provider = Provider::of(original.clone()).await;
    let copy = Arc::new(MemoryStore::new());
    let second = ingest(provider.mirror(), copy.clone()).await;
    world.run_chains();
    let tip = world.network.relay().finalized_number();
    until("the mirror follows the tip", async || {
        copy.cursor().await.unwrap().is_some_and(|cursor| cursor.relay.height.0 > tip + 15)
    })
    .await;
    world.halt_chains().await;
    world.until_stored(async || original.cursor().await.unwrap()).await;
    caught_up("the mirror has everything", &copy, &original).await;
    same(&original, &copy).await;
    let coverage = copy.coverage().await.unwrap().unwrap();
    assert_eq!(coverage, original.coverage().await.unwrap().unwrap());
    assert!(coverage.state_verified);
    assert_eq!(coverage.changes_form, Some(ChangesForm::Written), "the provider said so");
    assert_eq!(second.failure(), None);
    in_time("the bridges stop", async { tokio::join!(first.stop(), second.stop()) }).await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_provider_needs_no_more_than_another_one() {
    let world = world(60).await;
    let original = filled(&world).await;
    let provider = Provider::of(original.clone()).await;
    let mut config = Config::for_mirror(world.data_dir().join("mirror"), provider.url.clone());
    config.serve.listen = ANY;
    let second = DataProvider::start(&config).await.unwrap();
    let served = format!("http://{}", second.address());
    let remote = RemoteStore::connect([served.as_str()], RemoteOptions::default()).unwrap();
    let expected = original.coverage().await.unwrap();
    until("everything is served on", async || remote.coverage().await.is_ok_and(|found| found == expected))
        .await;
    in_time("the provider stops", second.stop()).await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror_and_cache_keep_the_contract_of_a_source() {
    let world = world(60).await;
    let provider = Provider::of(filled(&world).await).await;
    conform::source::block_source(&provider.mirror()).await;
    conform::source::block_source(&provider.cache().with_nodes(nodes(&world))).await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_synced_from_a_headers_cache_holds_the_same_items() {
    let world = world(60).await;
    let original = filled(&world).await;
    let provider = Provider::of(original.clone()).await;
    let copy = Arc::new(MemoryStore::new());
    let bridge = ingest(provider.cache().with_nodes(nodes(&world)), copy.clone()).await;
    caught_up("everything is copied", &copy, &original).await;
    in_time("the bridge stops", bridge.stop()).await;
    same(&original, &copy).await;
    // The nodes were asked for the start, and for what is above the cache's end.
    let tip = world.network.relay().finalized_number();
    assert!(world.asked.proofs().iter().all(|height| *height > tip), "{:?}", world.asked.proofs());
    assert!(world.asked.changes(&world.network).is_empty());
    assert_eq!(copy.coverage().await.unwrap().unwrap().changes_form, Some(ChangesForm::Mixed));
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headers_cache_alone_continues_a_store_and_follows_the_tip() {
    let mut world = world(30).await;
    // What a cache does not have: the start.
    let copy = filled(&world).await;
    let (first, original) = world.ingest(SourceOptions::default()).await;
    let provider = Provider::of(original.clone()).await;
    world.run_chains();
    let second = ingest(provider.cache(), copy.clone()).await;
    let tip = world.network.relay().finalized_number();
    until("the tip is followed", async || {
        copy.cursor().await.unwrap().is_some_and(|cursor| cursor.relay.height.0 > tip + 15)
    })
    .await;
    world.halt_chains().await;
    world.until_stored(async || original.cursor().await.unwrap()).await;
    caught_up("everything is copied", &copy, &original).await;
    same(&original, &copy).await;
    in_time("the bridges stop", async { tokio::join!(first.stop(), second.stop()) }).await;

    let error = provider.cache().genesis().await.unwrap_err().to_string();
    assert!(error.contains(&provider.url) && error.contains("name nodes beside it"), "{error}");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_take_over_from_a_cache_that_goes_away_and_from_one_that_lies() {
    let world = world(60).await;
    let original = filled(&world).await;
    // Away.
    let provider = Provider::of(original.clone()).await;
    let source = provider.cache().with_nodes(nodes(&world));
    provider.stop().await;
    let copy = Arc::new(MemoryStore::new());
    let bridge = ingest(source, copy.clone()).await;
    caught_up("the nodes give everything", &copy, &original).await;
    in_time("the bridge stops", bridge.stop()).await;
    // Lying: refused once, then passed over.
    let provider = Provider::of(Arc::new(Lying { store: original.clone(), lie: changed_state })).await;
    let copy = Arc::new(MemoryStore::new());
    let bridge = ingest(provider.cache().with_nodes(nodes(&world)), copy.clone()).await;
    caught_up("the nodes give the truth", &copy, &original).await;
    in_time("the bridge stops", bridge.stop()).await;
    same(&original, &copy).await;
    provider.stop().await;
}

/// What a provider answers in the place of an item, none to tell the truth.
type Lie = fn(Stream, Height, &Bytes) -> Option<Vec<u8>>;

/// A provider's store that lies. What it answers matches its checksums.
struct Lying {
    store: Arc<MemoryStore>,
    lie: Lie,
}

#[async_trait]
impl BlobStore for Lying {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        self.store.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.store.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.store.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.store.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        let mut blobs = self.store.read(stream, span, max_bytes).await?;
        for blob in &mut blobs {
            if let Some(lie) = (self.lie)(stream, blob.height, &blob.bytes) {
                blob.bytes = lie.into();
            }
        }
        Ok(blobs)
    }

    async fn append(&self, _: Append) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.store.wait(known).await
    }
}

/// Relay blocks and parachain blocks that lies are about.
const RELAY: Height = Height(30);
const PARA: Height = Height(8);

fn header(bytes: &[u8], change: impl Fn(&mut Header)) -> Option<Vec<u8>> {
    let mut header = Header::decode(&mut &*bytes).unwrap();
    change(&mut header);
    Some(header.encode())
}

fn forged_relay_header(stream: Stream, at: Height, bytes: &Bytes) -> Option<Vec<u8>> {
    let here = stream == Stream::RelayHeaders && at == RELAY;
    here.then(|| header(bytes, |header| header.extrinsics_root = Hash([7; 32]))).flatten()
}

fn forged_justification(stream: Stream, at: Height, bytes: &Bytes) -> Option<Vec<u8>> {
    let here = stream == Stream::Justifications && at >= RELAY;
    here.then(|| {
        // The end: voter of the last vote (32 bytes) and no ancestry (1); before it that vote's signature.
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - 40;
        bytes[at] ^= 1;
        bytes
    })
}

fn another_head(stream: Stream, at: Height, bytes: &Bytes) -> Option<Vec<u8>> {
    let here = stream == Stream::ParaHeads && at >= RELAY;
    here.then(|| {
        let head = ProvenHead::decode(&mut bytes.as_ref()).unwrap();
        ProvenHead { number: head.number.prev().unwrap(), ..head }.encode()
    })
}

fn forged_para_header(stream: Stream, at: Height, bytes: &Bytes) -> Option<Vec<u8>> {
    let here = stream == Stream::ParaHeaders && at == PARA;
    here.then(|| header(bytes, |header| header.state_root = Hash([9; 32]))).flatten()
}

fn changed_state(stream: Stream, at: Height, bytes: &Bytes) -> Option<Vec<u8>> {
    let here = stream == Stream::Changes && at == PARA;
    here.then(|| {
        let mut changes = StorageChanges::decode(&mut bytes.as_ref()).unwrap();
        changes.main_storage_changes.last_mut().unwrap().1 = Some(b"more than there is".to_vec());
        changes.encode()
    })
}

/// The refusal names the provider, the check and the block, and nothing of the lie is stored.
async fn refused(store: &Arc<MemoryStore>, lie: Lie, named: &[&str], stored_less: fn(&Cursor) -> bool) {
    let provider = Provider::of(Arc::new(Lying { store: store.clone(), lie })).await;
    for (source, kind) in [
        (Arc::new(provider.mirror()) as Arc<dyn BlockSource>, "mirror"),
        (Arc::new(provider.cache()), "cache"),
    ] {
        let copy = Arc::new(MemoryStore::new());
        // A cache does not have the start.
        let begun = store.genesis().await.unwrap().unwrap();
        let mut verifier = CryptoVerifier::with_state(copy.clone());
        let append = prb_core::accept::genesis(Genesis::clone(&begun), None, &mut verifier).unwrap();
        copy.append(append).await.unwrap();
        let bridge = ingest(source, copy.clone()).await;
        let mut events = bridge.events();
        let (endpoint, cause) = event("the lie is refused", &mut events, |event| match event {
            Event::Refused { endpoint, cause } => Some((endpoint.clone(), cause.clone())),
            _ => None,
        })
        .await;
        assert_eq!(endpoint, provider.url, "{kind}: {cause}");
        assert!(named.iter().any(|named| cause.starts_with(named)), "{kind}: {cause}");
        let cursor = copy.cursor().await.unwrap().unwrap();
        assert!(stored_less(&cursor), "{kind}: {cursor:?}");
        in_time("the bridge stops", bridge.stop()).await;
    }
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_provider_is_refused_with_its_name_the_check_and_the_block() {
    let world = world(60).await;
    let store = filled(&world).await;
    let relay = |cursor: &Cursor| cursor.relay.height < RELAY;
    let para = |cursor: &Cursor| cursor.para.is_some_and(|head| head.height < PARA);
    let changes = |cursor: &Cursor| cursor.changes < PARA;
    refused(&store, forged_relay_header, &["header link at 31: "], relay).await;
    refused(&store, forged_justification, &["justification at 36: "], relay).await;
    refused(&store, another_head, &["para head proof at 36: "], relay).await;
    let links = ["parachain header link at 9: ", "para head proof at "];
    refused(&store, forged_para_header, &links, para).await;
    refused(&store, changed_state, &["state root at 8: "], changes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_another_network_ends_ingest_with_the_remedy() {
    let world = world(40).await;
    let store = filled(&world).await;
    let mut other = network::Config::default().rotate_every(12);
    other.genesis_time_ms += 1;
    other.para.para_id += 1;
    let other = World::new(other, 40, 0).await;
    let provider = Provider::of(filled(&other).await).await;
    for source in [Arc::new(provider.mirror()) as Arc<dyn BlockSource>, Arc::new(provider.cache())] {
        let bridge = ingest(source, store.clone()).await;
        until("ingest has ended", async || bridge.failure().is_some()).await;
        let failure = bridge.failure().unwrap();
        assert!(failure.contains(&provider.url) && failure.contains("choose another data_dir"), "{failure}");
        in_time("the bridge stops", bridge.stop()).await;
    }
    provider.stop().await;
}
