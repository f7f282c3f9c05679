//! X19: nodes and servers whose answers are made to do harm. Nothing is stored of them, they are named, and what was wanted
//! is taken from others, or from them once they have become honest.

use crate::asked::{Side, height_of};
use crate::between::{Does, between};
use crate::feeds::{Provider, caught_up, filled, ingest, nodes, world};
use crate::sources::{Two, never_slow, times_left};
use crate::world::{in_time, until};
use prb_chain::node_source::NodeSource;
use prb_chain::{HttpOptions, headers_cache::HeadersCacheSource, mirror::MirrorSource};
use prb_core::port::BlobStore;
use prb_core::testkit::Observed;
use prb_devnet::rpc::Fault;
use prb_store::MemoryStore;
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

/// Largest reply that a node may give here.
const MAX_REPLY: u32 = 4 << 20;

#[tokio::test]
async fn x19_a_node_that_answers_huge_or_deep_json_is_left_for_another() {
    let huge = Value::String("0".repeat(2 * MAX_REPLY as usize));
    // Far deeper than anything honest.
    let deep = (0..1000).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    for (harm, reason, words, cause) in [
        (huge, "unable", "does not serve relay headers", "too large"),
        (deep, "failing", "fails for relay headers", "bad answer"),
    ] {
        let observed = Observed::begin();
        let two = Two::new(70).await;
        two.world.asked.play(move |side, method, params| {
            let asked = side == Side::Relay && method == "grandpa_proveFinality" && height_of(params) > 25;
            asked.then(|| Fault::Result(harm.clone()))
        });
        let mut options = never_slow();
        options.rpc.max_reply = MAX_REPLY;
        let (relay, para) = (two.urls(Side::Relay), two.urls(Side::Para));
        let (bridge, store) = two.world.ingest_from(NodeSource::at(&relay, &para, options)).await;
        two.world.until_stored(async || store.cursor().await.unwrap()).await;
        assert_eq!(bridge.failure(), None);
        in_time("the bridge stops", bridge.stop()).await;
        // An answer that is too large ends the connection, and other questions with it: that may be told too.
        let times = times_left(&observed, Side::Relay, &relay[0], reason, words);
        let told = observed.lines(&["WARN", "endpoint left", &relay[0], words, cause]);
        assert_eq!(told.len() as u64, times, "{told:?}");
    }
}

/// Answers that would fill the memory, or nest without end.
fn harms() -> [(&'static str, Does); 5] {
    let say = |words: &str| words.as_bytes().to_vec();
    let deep = "[".repeat(60_000);
    let deep = format!("HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: {}\r\n\r\n{deep}", deep.len());
    let mut bomb =
        say("HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n");
    bomb.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    [
        ("a claim", Does::Say(say("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n"))),
        (
            "a body without end",
            Does::Repeat(say("HTTP/1.1 200 OK\r\netag: \"a\"\r\n\r\n"), vec![0; 64 << 10]),
        ),
        (
            "a head without end",
            Does::Repeat(say("HTTP/1.1 200 OK\r\n"), say("x-more: aaaaaaaaaaaaaaaaaaaa\r\n")),
        ),
        ("deep JSON", Does::Say(deep.into_bytes())),
        ("a packed answer", Does::Say(bomb)),
    ]
}

/// A server that does harm until it is told to be honest.
async fn harmful(provider: &Provider, harm: Does) -> (String, Arc<AtomicBool>) {
    let honest = Arc::<AtomicBool>::default();
    let is_honest = honest.clone();
    let address = provider.url.trim_start_matches("http://").to_owned();
    let does = move |_: &str| if is_honest.load(Ordering::SeqCst) { Does::Pass } else { harm.clone() };
    (between(address, does).await, honest)
}

#[tokio::test]
async fn x19_a_mirror_that_does_harm_is_named_and_followed_once_it_is_honest() {
    let world = world(40).await;
    let original = filled(&world).await;
    let provider = Provider::of(original.clone()).await;
    for (name, harm) in harms() {
        let observed = Observed::begin();
        let (url, honest) = harmful(&provider, harm).await;
        let copy = Arc::new(MemoryStore::new());
        let mirror = MirrorSource::new(&url, HttpOptions::default(), Duration::from_millis(500)).unwrap();
        let bridge = ingest(mirror, copy.clone()).await;
        until(name, async || observed.counter("prb_ingest_failures_total") >= 3).await;
        assert_eq!(copy.cursor().await.unwrap(), None, "{name}");
        assert_eq!(observed.lines(&["WARN", "ingest has trouble", &url]).len(), 1, "{name}: once");
        honest.store(true, Ordering::SeqCst);
        caught_up(name, &copy, &original).await;
        until(name, async || !observed.lines(&["INFO", "ingest recovered"]).is_empty()).await;
        in_time("the bridge stops", bridge.stop()).await;
    }
    provider.stop().await;
}

#[tokio::test]
async fn x19_a_headers_cache_that_does_harm_is_passed_over() {
    let world = world(40).await;
    let original = filled(&world).await;
    let provider = Provider::of(original.clone()).await;
    for (name, harm) in harms() {
        let observed = Observed::begin();
        let (url, _) = harmful(&provider, harm).await;
        let copy = Arc::new(MemoryStore::new());
        let cache =
            HeadersCacheSource::new(&url, HttpOptions::default(), Duration::from_millis(500)).unwrap();
        let bridge = ingest(cache.with_nodes(nodes(&world)), copy.clone()).await;
        caught_up(name, &copy, &original).await;
        in_time("the bridge stops", bridge.stop()).await;
        assert!(observed.counter("prb_headers_cache_passed_over_total") >= 1, "{name}");
        assert_eq!(observed.lines(&["WARN", "the headers-cache fails", &url]).len(), 1, "{name}: once");
    }
    provider.stop().await;
}
