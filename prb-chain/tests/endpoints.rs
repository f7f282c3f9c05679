//! Several endpoints per chain: two dev networks with equal blocks are two nodes of each chain.
//!
//! Where no socket is involved, time is virtual: it stands still while somebody is at work.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod port;

use codec::Decode;
use port::Port;
use prb_chain::{
    node_source::{NodeSource, SourceOptions},
    rpc::{Rpc, RpcOptions},
    verify::CryptoVerifier,
};
use prb_core::{
    accept::Verifier,
    backoff::Pace,
    id::{BlockRef, Hash, Height},
    port::{Answer, BlockSource, Genesis, Origin, RelayBatch, SourceError, Tips, source::Side},
    span::Span,
    testkit::{Observed, conform},
    types::header::Header,
};
use prb_devnet::{
    finality::Style,
    network::{Config, Devnet},
    rpc::{Fault, InProcess, Node, RpcServer},
};
use serde_json::{Value, json, value::RawValue};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use subxt_rpcs::{
    RpcClient,
    client::{RawRpcFuture, RawRpcSubscription, RpcClientT},
};

/// How long anything may take in real time.
const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config::default().authorities(4).rotate_every(7)
}

fn options() -> SourceOptions {
    SourceOptions {
        rpc: RpcOptions {
            answer_timeout: Duration::from_secs(20),
            long_answer_timeout: Duration::from_secs(20),
            reconnect: Pace { first: Duration::ZERO, longest: Duration::ZERO },
            ..RpcOptions::default()
        },
        tip_patience: Duration::from_secs(10),
        survey: Duration::from_millis(50),
        slack: 5,
        ..SourceOptions::default()
    }
}

/// Two nodes of each chain, `relay-a` and `para-a` preferred.
struct Two {
    a: Devnet,
    b: Devnet,
    source: NodeSource,
}

fn rpc(name: &str, node: &Arc<Node>) -> Rpc {
    let node = node.clone();
    let connect = move || Ok::<_, String>(RpcClient::new(InProcess::new(node.clone())));
    Rpc::over(name, connect, options().rpc)
}

fn network(config: Config, steps: u32) -> Devnet {
    let network = Devnet::new(config).unwrap();
    network.steps(steps).unwrap();
    network
}

impl Two {
    fn new() -> Self {
        Self::with(options())
    }

    fn with(options: SourceOptions) -> Self {
        Self::of(network(config(), 40), network(config(), 40), options)
    }

    fn of(a: Devnet, b: Devnet, options: SourceOptions) -> Self {
        let relay = vec![rpc("relay-a", a.relay_node()), rpc("relay-b", b.relay_node())];
        let para = vec![rpc("para-a", a.para_node()), rpc("para-b", b.para_node())];
        Self { source: NodeSource::among(relay, para, options), a, b }
    }

    async fn genesis(&self) -> Genesis {
        let genesis = self.source.genesis().await.unwrap().value;
        self.source.expect(&genesis.identity());
        genesis
    }

    fn block(&self, height: u32) -> BlockRef {
        BlockRef { height: Height(height), hash: Hash(self.b.para().block_at(height).unwrap().hash.0) }
    }

    async fn batch(&self, from: u32) -> Answer<RelayBatch> {
        self.source.relay_batch(Height(from)).await.unwrap().map(Option::unwrap)
    }
}

/// Waits for what a source does by itself.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn by(name: &str) -> Origin {
    Origin::new(name)
}

fn play(node: &Node, method: &'static str, fault: Fault) {
    node.set_fault(Some(Arc::new(move |asked, _| (asked == method).then(|| fault.clone()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_a_source_holds_over_several_endpoints() {
    let two = Two::with(SourceOptions { tip_patience: Duration::from_millis(200), ..options() });
    conform::source::block_source(&two.source).await;
}

/// X1: a node restarts while it is in use.
#[tokio::test]
async fn x1_a_node_that_goes_away_is_left_within_the_call_and_used_again_when_it_is_back() {
    let observed = Observed::begin();
    let (a, b) = (network(config(), 40), network(config(), 40));
    let port = Port::keep();
    let server = a.serve_relay(port.addr).await.unwrap();
    let url = server.url();
    let relay = vec![Rpc::new(&url, options().rpc), rpc("relay-b", b.relay_node())];
    let source = NodeSource::among(relay, vec![rpc("para-a", a.para_node())], options());
    let genesis = source.genesis().await.unwrap().value;
    source.expect(&genesis.identity());
    let first = genesis.start().height.next();
    let whole = source.relay_batch(first).await.unwrap();
    assert_eq!(whole.by, by(&url));

    server.stop().await;
    let answer = source.relay_batch(first).await.unwrap();
    assert_eq!((answer.by, &answer.value), (by("relay-b"), &whole.value));
    assert_eq!(observed.lines(&["WARN", "endpoint left", &url, "not reachable"]).len(), 1);
    let left = format!("prb_source_left_total{{chain=relay chain,endpoint={url},reason=away}}");
    assert_eq!(observed.counter(&left), 1);
    assert!(observed.counter(&left.replace("left", "failures")) >= 1);
    assert_eq!(observed.gauge("prb_source_in_use{chain=relay chain,endpoint=relay-b}"), Some(1.0));

    let _server = RpcServer::start(a.relay_node().clone(), port.addr).await.unwrap();
    eventually("it is used again", async || source.relay_batch(first).await.unwrap().by == by(&url)).await;
    assert_eq!(observed.lines(&["INFO", "endpoint is used again", &url]).len(), 1);
    assert_eq!(observed.gauge(&format!("prb_source_in_use{{chain=relay chain,endpoint={url}}}")), Some(1.0));
    assert_eq!(observed.gauge("prb_source_in_use{chain=relay chain,endpoint=relay-b}"), Some(0.0));
    assert_eq!(observed.lines(&["endpoint left"]).len(), 1);
}

/// X2: what a node answers is wrong, as the caller finds out.
#[tokio::test(start_paused = true)]
async fn x2_a_liar_is_left_for_everything_and_nobody_else_is() {
    let observed = Observed::begin();
    let two = Two::new();
    two.genesis().await;
    let answer = two.source.changes(two.block(1), two.block(4)).await.unwrap();
    assert_eq!(answer.by, by("para-a"));
    two.source.distrust(&answer.by, "state root at 2: lied");
    for _ in 0..3 {
        let headers = two.source.para_headers(Span::one(Height(3))).await.unwrap();
        let changes = two.source.changes(two.block(1), two.block(4)).await.unwrap();
        assert_eq!((headers.by, changes.by), (by("para-b"), by("para-b")));
        assert_eq!(changes.value, answer.value);
    }
    assert_eq!(two.batch(10).await.by, by("relay-a"));
    assert_eq!(observed.lines(&["endpoint left", "para-a", "refused", "state root at 2: lied"]).len(), 1);
    let counted = "prb_source_left_total{chain=parachain,endpoint=para-a,reason=refused}";
    assert_eq!(observed.counter(counted), 1);
}

/// X2: an answer that is wrong in itself.
#[tokio::test(start_paused = true)]
async fn x2_a_corrupt_answer_is_taken_from_another_within_the_call() {
    let observed = Observed::begin();
    let two = Two::new();
    two.genesis().await;
    let asked = json!(two.block(5).hash.to_string());
    two.a.para_node().set_fault(Some(Arc::new(move |method, params| {
        let wrong = || Fault::edit(|header| header["stateRoot"] = json!(format!("0x{}", "11".repeat(32))));
        (method == "chain_getHeader" && params[0] == asked).then(wrong)
    })));
    let answer = two.source.para_headers(Span::new(Height(1), Height(9)).unwrap()).await.unwrap();
    assert_eq!((answer.by, answer.value.len()), (by("para-b"), 9));
    let line = &observed.lines(&["endpoint left", "para-a", "the header's hash is"]);
    assert_eq!(line.len(), 1);
    assert!(line[0].contains("fails for parachain headers"), "{line:?}");
    let counted = "prb_source_left_total{chain=parachain,endpoint=para-a,reason=failing}";
    assert_eq!(observed.counter(counted), 1);
    // It goes on with what it can do.
    assert_eq!(two.source.changes(two.block(1), two.block(2)).await.unwrap().by, by("para-a"));
}

/// X19: JSON that nests a million times, and answers that end nowhere near what was asked for.
#[tokio::test(start_paused = true)]
async fn x19_deep_json_is_refused_and_the_answer_taken_from_another() {
    let lists = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let maps = format!("{}0{}", r#"{"digest":"#.repeat(1_000_000), "}".repeat(1_000_000));
    for text in [lists, maps] {
        let observed = Observed::begin();
        let (a, b) = (network(config(), 40), network(config(), 40));
        let node = a.para_node().clone();
        let connect = move || {
            let harmful = Harmful { node: InProcess::new(node.clone()), text: text.clone() };
            Ok::<_, String>(RpcClient::new(harmful))
        };
        let para = vec![Rpc::over("para-a", connect, options().rpc), rpc("para-b", b.para_node())];
        let source = NodeSource::among(vec![rpc("relay-a", a.relay_node())], para, options());
        let genesis = source.genesis().await.unwrap().value;
        source.expect(&genesis.identity());
        let block = |height| BlockRef {
            height: Height(height),
            hash: Hash(b.para().block_at(height).unwrap().hash.0),
        };
        let changes = source.changes(block(1), block(4)).await.unwrap();
        assert_eq!((changes.by, changes.value.len()), (by("para-b"), 4));
        let told = ["WARN", "endpoint left", "para-a", "fails for storage changes", "bad answer"];
        assert_eq!(observed.lines(&told).len(), 1, "{:?}", observed.lines(&["endpoint left"]));
        let counted = "prb_source_left_total{chain=parachain,endpoint=para-a,reason=failing}";
        assert_eq!(observed.counter(counted), 1);
        assert_eq!(
            source.para_headers(Span::one(Height(3))).await.unwrap().by,
            by("para-a"),
            "what it can do"
        );
    }
}

/// A transport to a node that answers this when it is asked for storage changes.
struct Harmful {
    node: InProcess,
    text: String,
}

impl RpcClientT for Harmful {
    fn request_raw<'a>(
        &'a self,
        method: &'a str,
        params: Option<Box<RawValue>>,
    ) -> RawRpcFuture<'a, Box<RawValue>> {
        if method != "pha_getStorageChanges" {
            return self.node.request_raw(method, params);
        }
        let answer = RawValue::from_string(self.text.clone());
        Box::pin(async move { answer.map_err(subxt_rpcs::Error::Deserialization) })
    }

    fn subscribe_raw<'a>(
        &'a self,
        method: &'a str,
        params: Option<Box<RawValue>>,
        unsubscribe: &'a str,
    ) -> RawRpcFuture<'a, RawRpcSubscription> {
        self.node.subscribe_raw(method, params, unsubscribe)
    }
}

/// X3: what a node calls final moves back.
#[tokio::test(start_paused = true)]
async fn x3_a_node_whose_finality_goes_back_is_not_used_until_it_has_caught_up() {
    let observed = Observed::begin();
    let two = Two::new();
    let genesis = two.genesis().await;
    let tip = two.source.tips().await.unwrap().relay;
    let back = format!("0x{}", hex::encode(two.a.relay().block_at(12).unwrap().hash.0));
    two.a.relay_node().set_fault(Some(Arc::new(move |method, params| match method {
        "chain_getFinalizedHead" => Some(Fault::Result(json!(back))),
        "grandpa_proveFinality" if params[0].as_u64() > Some(12) => {
            Some(Fault::error(4, "GRANDPA prove finality rpc failed: Block not yet finalized"))
        }
        _ => None,
    })));
    eventually("it is found behind", async || {
        !observed
            .lines(&["endpoint left", "relay-a", "behind the others", "its finalized head is 12"])
            .is_empty()
    })
    .await;
    let mut from = genesis.start().height.next();
    while from <= tip {
        let answer = two.source.relay_batch(from).await.unwrap();
        assert_eq!(answer.by, by("relay-b"));
        from = from + answer.value.unwrap().headers.len() as u32;
    }
    assert_eq!(two.source.tips().await.unwrap().relay, tip, "tips do not go back with it");
    assert_eq!(observed.gauge("prb_source_height{chain=relay chain,endpoint=relay-a}"), Some(12.0));
    assert_eq!(
        observed.counter("prb_source_left_total{chain=relay chain,endpoint=relay-a,reason=behind}"),
        1
    );

    two.a.relay_node().set_fault(None);
    eventually("it has caught up", async || two.batch(10).await.by == by("relay-a")).await;
    assert_eq!(observed.lines(&["endpoint is used again", "relay-a", "behind"]).len(), 1);
}

/// X3: what a node calls final is not there.
#[tokio::test(start_paused = true)]
async fn x3_a_finalized_head_that_is_too_high_keeps_nobody_from_the_blocks_of_the_others() {
    let observed = Observed::begin();
    let two = Two::new();
    two.genesis().await;
    let honest = Height(two.b.relay().finalized_number());
    let claimed = Header::numbered(Height(1_000_000));
    let hash = claimed.hash().to_string();
    let header = json!({
        "parentHash": claimed.parent_hash.to_string(),
        "number": claimed.number,
        "stateRoot": claimed.state_root.to_string(),
        "extrinsicsRoot": claimed.extrinsics_root.to_string(),
        "digest": { "logs": [] },
    });
    two.a.relay_node().set_fault(Some(Arc::new(move |method, params| match method {
        "chain_getFinalizedHead" => Some(Fault::Result(json!(hash))),
        "chain_getHeader" if params[0] == json!(hash) => Some(Fault::Result(header.clone())),
        "chain_getBlockHash" if params[0] != json!(0) => Some(Fault::Result(Value::Null)),
        _ => None,
    })));
    let behind = ["endpoint left", "relay-b", "behind the others", "others have 1000000"];
    eventually("the other is found behind", async || !observed.lines(&behind).is_empty()).await;
    assert_eq!(two.batch(10).await.by, by("relay-b"));
    let left = ["endpoint left", "relay-a", "it has no relay headers at 10, another has"];
    assert_eq!(observed.lines(&left).len(), 1);
    let counted = |endpoint: &str, reason: &str| {
        let labels = format!("chain=relay chain,endpoint={endpoint},reason={reason}");
        observed.counter(&format!("prb_source_left_total{{{labels}}}"))
    };
    assert_eq!((counted("relay-a", "failing"), counted("relay-b", "behind")), (1, 1));
    // Its claim is not believed while it rests for that.
    eventually("the head is that of the other", async || {
        let batch = two.batch(10).await;
        let tip = two.source.tips().await.unwrap().relay;
        let returned = observed.lines(&["INFO", "endpoint is used again", "relay-b", "behind"]);
        (batch.by, tip) == (by("relay-b"), honest) && !returned.is_empty()
    })
    .await;
}

/// X5: whoever is asked, a batch ends where the authorities change.
#[tokio::test(start_paused = true)]
async fn x5_batches_end_at_set_changes_when_their_parts_come_from_different_endpoints() {
    let two = Two::new();
    let genesis = two.genesis().await;
    let verifier = CryptoVerifier::without_state();
    let (mut set, mut last) = (genesis.relay.authority_set.clone(), genesis.start());
    let (mut closed, mut answered) = (0, std::collections::BTreeSet::new());
    let tip = two.source.tips().await.unwrap().relay;
    while last.height < tip {
        // The endpoint that answers is another one each time.
        let Answer { value, by } = two.source.relay_batch(last.height.next()).await.unwrap();
        let batch = value.unwrap();
        let headers: Vec<Header> =
            batch.headers.iter().map(|bytes| Header::decode(&mut bytes.as_ref()).unwrap()).collect();
        let (end, before) = headers.split_last().unwrap();
        assert!(before.iter().all(|header| header.scheduled_change().is_none()));
        last = end.block_ref();
        verifier.justification(&set, last, &batch.justification).unwrap();
        if let Some(change) = end.scheduled_change() {
            set.list = change.next_authorities;
            set.id += 1;
            closed += 1;
        }
        answered.insert(by.to_string());
        let [here, there] = if by.to_string() == "relay-a" { [&two.a, &two.b] } else { [&two.b, &two.a] };
        play(here.relay_node(), "grandpa_proveFinality", Fault::error(1, "out of order"));
        there.relay_node().set_fault(None);
    }
    assert!(closed >= 4, "{closed} sets");
    assert_eq!(answered.len(), 2);
}

/// Justifications of this shape; the blocks are the same.
fn style(style: Style) -> Config {
    let mut config = config();
    config.finality.style = style;
    config
}

/// X6: equivocations are no reason to refuse, and a justification without is preferred.
#[tokio::test(start_paused = true)]
async fn x6_a_justification_without_equivocations_is_preferred_and_one_with_them_is_not_refused() {
    let observed = Observed::begin();
    let equivocating = || network(style(Style::Equivocation), 40);
    let two = Two::of(equivocating(), network(config(), 40), options());
    let genesis = two.genesis().await;
    let first = genesis.start().height.next();
    let preferred = two.batch(first.0).await;
    assert_eq!(preferred.by, by("relay-b"));
    let lines = observed.lines(&["WARN", "justification with equivocations", "relay-a", "relay-b"]);
    assert_eq!(lines.len(), 1);
    assert_eq!(observed.counter("prb_source_equivocations_total"), 1);

    // Where every endpoint has them, it is as good as any, and nobody is blamed.
    let two = Two::of(equivocating(), equivocating(), options());
    two.genesis().await;
    let taken = two.batch(first.0).await;
    assert_eq!((taken.by, &taken.value.headers), (by("relay-a"), &preferred.value.headers));
    assert_ne!(taken.value.justification, preferred.value.justification);
    let last = Header::decode(&mut taken.value.headers.last().unwrap().as_ref()).unwrap().block_ref();
    let verifier = CryptoVerifier::without_state();
    verifier.justification(&genesis.relay.authority_set, last, &taken.value.justification).unwrap();
    assert_eq!(observed.lines(&["endpoint left"]), Vec::<String>::new());
}

/// X6: a justification that one endpoint does not have is taken from another.
#[tokio::test(start_paused = true)]
async fn x6_a_justification_that_is_missing_is_taken_from_another_endpoint() {
    let observed = Observed::begin();
    let two = Two::new();
    two.genesis().await;
    let all = two.batch(10).await;
    // Heights are known to both.
    eventually("heights are known", async || {
        observed.gauge("prb_source_height{chain=relay chain,endpoint=relay-b}").is_some()
    })
    .await;
    two.a.relay_node().set_fault(Some(Arc::new(|method, _| match method {
        "grandpa_proveFinality" => Some(Fault::Result(Value::Null)),
        "chain_getBlock" => Some(Fault::edit(|block| block["justifications"] = Value::Null)),
        _ => None,
    })));
    let answer = two.batch(10).await;
    assert_eq!((answer.by, answer.value), (by("relay-b"), all.value));
    let told =
        observed.lines(&["WARN", "endpoint left", "relay-a", "it has no relay headers at 10, another has"]);
    assert_eq!(told.len(), 1);
    let counted = "prb_source_left_total{chain=relay chain,endpoint=relay-a,reason=failing}";
    assert_eq!(observed.counter(counted), 1);
}

/// X23: the stream is healthy, the calls hang.
#[tokio::test(start_paused = true)]
async fn x23_a_zombie_that_announces_heads_and_hangs_is_left_for_what_hangs() {
    let observed = Observed::begin();
    let two = Two::with(SourceOptions { hedge_after: Duration::from_secs(1), ..options() });
    two.genesis().await;
    play(two.a.relay_node(), "grandpa_proveFinality", Fault::Drop);
    let begun = tokio::time::Instant::now();
    let answer = two.batch(10).await;
    assert_eq!(answer.by, by("relay-b"));
    assert!(begun.elapsed() < Duration::from_secs(2), "the patience with one node is 20 s");
    let lines =
        observed.lines(&["endpoint left", "relay-a", "fails for relay headers", "slower than another"]);
    assert_eq!(lines.len(), 1);
    let counted = "prb_source_left_total{chain=relay chain,endpoint=relay-a,reason=failing}";
    assert_eq!(observed.counter(counted), 1);
    // From then on nobody waits for it, and its stream is as good as before.
    let begun = tokio::time::Instant::now();
    assert_eq!(two.batch(10).await.by, by("relay-b"));
    assert!(begun.elapsed() < Duration::from_secs(1));
    two.source.wait_for_tip(Tips::default()).await.unwrap();
    assert_eq!(observed.lines(&["endpoint left"]).len(), 1);
}

/// X23: nobody's height waits for that of another.
#[tokio::test(start_paused = true)]
async fn one_that_hangs_does_not_keep_the_heights_of_the_others_from_being_known() {
    let observed = Observed::begin();
    let two = Two::new();
    play(two.a.relay_node(), "chain_getFinalizedHead", Fault::Drop);
    two.genesis().await;
    let height = two.b.relay().finalized_number();
    eventually("the other's height is known", async || {
        observed.gauge("prb_source_height{chain=relay chain,endpoint=relay-b}") == Some(f64::from(height))
    })
    .await;
    let failed = "prb_source_failures_total{chain=relay chain,endpoint=relay-a,reason=failing}";
    assert_eq!(observed.counter(failed), 0, "the patience with it is not over");
}

/// X23: behind, while it claims to be at the tip of its own view.
#[tokio::test(start_paused = true)]
async fn x23_a_node_that_is_behind_and_claims_to_be_synced_does_not_hold_anybody_up() {
    let observed = Observed::begin();
    let two = Two::of(network(config(), 20), network(config(), 40), options());
    two.genesis().await;
    eventually("it is found behind", async || !observed.lines(&["endpoint left", "relay-a"]).is_empty())
        .await;
    eventually("on the parachain too", async || !observed.lines(&["endpoint left", "para-a"]).is_empty())
        .await;
    let high = two.b.relay().finalized_number();
    assert_eq!(two.batch(high - 2).await.by, by("relay-b"));
    let para = two.b.para().finalized_number();
    let headers = two.source.para_headers(Span::one(Height(para))).await.unwrap();
    assert_eq!(headers.by, by("para-b"));
    let known = Tips { relay: Height(two.a.relay().finalized_number()), para: Height(0) };
    two.source.wait_for_tip(known).await.unwrap();
    for (chain, endpoint) in [("relay chain", "relay-a"), ("parachain", "para-a")] {
        let counted = format!("prb_source_left_total{{chain={chain},endpoint={endpoint},reason=behind}}");
        assert_eq!(observed.counter(&counted), 1);
        assert_eq!(observed.lines(&["WARN", "endpoint left", endpoint, "behind the others"]).len(), 1);
    }
}

#[tokio::test]
async fn an_endpoint_of_another_network_is_set_aside_in_one_line() {
    let observed = Observed::begin();
    let two = Two::of(network(config().authorities(5), 40), network(config(), 40), options());
    let identity =
        NodeSource::over(rpc("relay-b", two.b.relay_node()), rpc("para-b", two.b.para_node()), options())
            .genesis()
            .await
            .unwrap()
            .value
            .identity();
    two.source.expect(&identity);
    for from in 10..15 {
        assert_eq!(two.batch(from).await.by, by("relay-b"));
    }
    eventually("several looks at it", async || {
        observed.counter("prb_source_requests_total{chain=relay chain,endpoint=relay-a}") >= 5
    })
    .await;
    let found = Hash(two.a.relay().block_at(0).unwrap().hash.0);
    let names = [found.to_string(), identity.relay_chain.to_string()];
    let lines = observed.lines(&["WARN", "relay-a", &names[0], &names[1]]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("of another chain"), "{lines:?}");

    // Where nobody is of the chain, that is the answer.
    let all_foreign = NodeSource::among(
        vec![rpc("relay-a", two.a.relay_node()), rpc("relay-c", two.a.relay_node())],
        vec![rpc("para-b", two.b.para_node())],
        options(),
    );
    all_foreign.expect(&identity);
    let error = all_foreign.relay_batch(Height(10)).await.unwrap_err();
    assert!(matches!(error, SourceError::Foreign { .. }), "{error}");
    // One that cannot be reached may be of the right chain.
    let one_away = || {
        let source = NodeSource::among(
            vec![rpc("relay-a", two.a.relay_node()), Rpc::new("ws://127.0.0.1:9", options().rpc)],
            vec![rpc("para-b", two.b.para_node())],
            options(),
        );
        source.expect(&identity);
        source
    };
    let error = one_away().relay_batch(Height(10)).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    let error = one_away().genesis().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_one_endpoint_cannot_serve_is_asked_of_another_and_the_rest_is_not() {
    for (fault, cause) in [
        (Fault::error(-32601, "Method not found"), "Method not found"),
        (Fault::error(4003, "RPC call is unsafe to be called externally"), "unsafe"),
        (Fault::error(4003, "UnknownBlock: State already discarded for 0x12"), "pruned"),
        (Fault::error(-32008, "Response is too big"), "too large"),
    ] {
        let observed = Observed::begin();
        let two = Two::new();
        two.genesis().await;
        // Whatever way to storage changes it is asked for.
        two.a.para_node().set_fault(Some(Arc::new(move |asked, _| {
            let ways = ["pha_getStorageChanges", "archive_v1_storageDiff", "state_getReadProof"];
            ways.contains(&asked).then(|| fault.clone())
        })));
        for _ in 0..2 {
            let changes = two.source.changes(two.block(1), two.block(8)).await.unwrap();
            assert_eq!((changes.by, changes.value.len()), (by("para-b"), 8));
            let headers = two.source.para_headers(Span::one(Height(3))).await.unwrap();
            assert_eq!(headers.by, by("para-a"));
        }
        let parts = ["endpoint left", "para-a", "does not serve storage changes", cause];
        assert_eq!(observed.lines(&parts).len(), 1, "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn x23_a_stream_that_stalls_is_replaced() {
    let observed = Observed::begin();
    let network = network(config(), 30);
    let source =
        NodeSource::over(rpc("relay", network.relay_node()), rpc("para", network.para_node()), options());
    let tips = source.tips().await.unwrap();
    source.wait_for_tip(tips).await.unwrap();
    play(network.relay_node(), "chain_finalizedHead", Fault::Drop);
    network.steps(3).unwrap();
    source.wait_for_tip(tips).await.unwrap();
    assert_eq!(observed.lines(&["does not announce its finalized heads", "relay"]).len(), 1);
    assert_eq!(observed.counter("prb_source_stalled_total{endpoint=relay}"), 1);
    // The next one works.
    network.relay_node().set_fault(None);
    let tips = source.tips().await.unwrap();
    let begun = tokio::time::Instant::now();
    let (waited, ()) = tokio::join!(source.wait_for_tip(tips), async {
        // Virtual: the stream stands before this is over.
        tokio::time::sleep(Duration::from_secs(1)).await;
        network.steps(3).unwrap();
    });
    waited.unwrap();
    assert!(begun.elapsed() < options().tip_patience, "the head is announced");
    assert_eq!(observed.counter("prb_source_stalled_total{endpoint=relay}"), 1);
}

#[tokio::test]
async fn a_genesis_is_taken_from_nodes_that_belong_together() {
    let observed = Observed::begin();
    let two = Two::of(network(config().authorities(5), 40), network(config(), 40), options());
    let para = vec![rpc("para-b", two.b.para_node())];
    let relay = vec![rpc("relay-a", two.a.relay_node()), rpc("relay-b", two.b.relay_node())];
    let genesis = NodeSource::among(relay, para, options()).genesis().await.unwrap();
    assert_eq!(genesis.by, by("relay-b").and(&by("para-b")));
    assert_eq!(genesis.value.relay_chain.0, two.b.relay().block_at(0).unwrap().hash.0);
    let line = observed.lines(&["WARN", "endpoint left", "relay-a", "para-b", "of different networks"]);
    assert_eq!(line.len(), 1);
    // It may be the node of the parachain that does not belong.
    let para = vec![rpc("para-a", two.a.para_node()), rpc("para-b", two.b.para_node())];
    let relay = vec![rpc("relay-b", two.b.relay_node())];
    let genesis = NodeSource::among(relay, para, options()).genesis().await.unwrap();
    assert_eq!(genesis.by, by("relay-b").and(&by("para-b")));
    let line =
        observed.lines(&["WARN", "endpoint left", "endpoint=para-a", "relay-b", "of different networks"]);
    assert_eq!(line.len(), 1);
    assert_eq!(observed.lines(&["endpoint left", "endpoint=relay-b"]), Vec::<String>::new());
    let apart =
        NodeSource::over(rpc("relay-a", two.a.relay_node()), rpc("para-b", two.b.para_node()), options());
    let error = apart.genesis().await.unwrap_err().to_string();
    assert!(
        error.starts_with("relay-a: bad answer for relay block ") && error.contains("belong together"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_another_fork_is_set_aside_in_one_line_and_used_again_when_it_is_not() {
    let observed = Observed::begin();
    // Equal in block 0 alone.
    let mut other = config();
    other.genesis_time_ms += 6000;
    let (a, b) = (network(other, 40), network(config(), 60));
    assert_eq!(a.relay().genesis_hash(), b.relay().genesis_hash());
    let two = Two::of(a, b, options());
    two.genesis().await;
    let heads = async || {
        let peers = two.source.peers();
        let head = |name: &str| peers.iter().find(|peer| peer.name == name)?.head.map(|_| peers.clone());
        head("relay-a").and_then(|_| head("relay-b"))
    };
    eventually("heads are known", async || heads().await.is_some()).await;
    let peers = heads().await.unwrap();
    let a = peers.iter().find(|peer| peer.name == "relay-a").unwrap();
    let (height, found) = (a.head.unwrap().height, a.head.unwrap().hash);
    assert_eq!((height, a.side), (Height(two.a.relay().finalized_number()), Side::Relay));
    let stored = Hash(two.b.relay().block_at(height.0).unwrap().hash.0);
    assert_ne!(found, stored);

    let because = format!("its block {height} is {found}, the store holds {stored}");
    two.source.judge(a, Some(&because));
    for from in 10..15 {
        assert_eq!(two.batch(from).await.by, by("relay-b"));
    }
    let requests = "prb_source_requests_total{chain=relay chain,endpoint=relay-a}";
    let before = observed.counter(requests);
    eventually("several looks at it", async || observed.counter(requests) >= before + 5).await;
    let told = observed.lines(&["endpoint left", "relay-a", "of another fork"]);
    assert!(told.len() == 1 && told[0].contains(&because), "{told:?}");
    let peers = two.source.peers();
    let trouble = peers.iter().find(|peer| peer.name == "relay-a").unwrap().trouble.clone().unwrap();
    assert!(trouble.starts_with("of another fork for "), "{trouble}");
    assert_eq!(observed.lines(&["endpoint left", "endpoint=relay-a"]).len(), told.len() + behind(&observed));
    two.source.judge(a, None);
    assert_eq!(observed.lines(&["INFO", "endpoint is used again", "relay-a", "of another fork"]).len(), 1);
}

/// How often it was told, before it was judged, that the endpoint is behind.
fn behind(observed: &Observed) -> usize {
    let told = observed.lines(&["endpoint left", "endpoint=relay-a", "behind the others"]).len();
    assert!(told <= 1, "{told} times");
    told
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_holds_up_the_survey_of_nobody_else() {
    let observed = Observed::begin();
    let two = Two::new();
    two.genesis().await;
    eventually("both chains are looked at", async || {
        ["relay chain,endpoint=relay-a", "parachain,endpoint=para-b"]
            .iter()
            .all(|whom| observed.gauge(&format!("prb_source_height{{chain={whom}}}")).is_some())
    })
    .await;
    two.a.relay_node().set_fault(Some(Arc::new(|_, _| Some(Fault::Drop))));
    // The patience with it is 15 s.
    let begun = tokio::time::Instant::now();
    for network in [&two.a, &two.b] {
        network.steps(8).unwrap();
    }
    let (relay, para) = (two.b.relay().finalized_number(), two.b.para().finalized_number());
    let heights = [
        ("relay chain,endpoint=relay-b", relay),
        ("parachain,endpoint=para-a", para),
        ("parachain,endpoint=para-b", para),
    ];
    eventually("the others are looked at again", async || {
        heights.iter().all(|(whom, height)| {
            observed.gauge(&format!("prb_source_height{{chain={whom}}}")) == Some(f64::from(*height))
        })
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let peers = two.source.peers();
    let open = peers.iter().find(|peer| peer.name == "relay-a").unwrap().open.unwrap();
    assert_eq!(open.0, "finalized head");
}
