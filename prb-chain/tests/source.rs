//! A node source on the dev network: real runtimes, tries, proofs and GRANDPA justifications.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod nodes;
mod port;

use codec::{Decode, Encode};
use nodes::Nodes;
use port::Port;
use prb_chain::{
    node_source::{NodeSource, SourceOptions},
    rpc::{Rpc, RpcOptions},
    verify::CryptoVerifier,
};
use prb_core::{
    Bytes,
    accept::{self, BlockChanges, Refusal},
    backoff::Pace,
    id::{BlockRef, Hash, Height},
    port::{Append, BlockSource, Cursor, Genesis, SourceError, Tips},
    span::Span,
    testkit::conform,
    types::{header::Header, sync::ChangesForm},
};
use prb_devnet::{
    network::{Config, Devnet},
    rpc::{Fault, InProcess, Node, RpcServer},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use subxt_rpcs::RpcClient;

fn network(config: Config, steps: u32) -> Devnet {
    let network = Devnet::new(config).unwrap();
    network.steps(steps).unwrap();
    network
}

fn small() -> Config {
    Config::default().authorities(4).rotate_every(7)
}

fn options() -> SourceOptions {
    SourceOptions {
        rpc: RpcOptions {
            answer_timeout: Duration::from_secs(120),
            long_answer_timeout: Duration::from_secs(120),
            reconnect: Pace { first: Duration::ZERO, longest: Duration::ZERO },
            ..RpcOptions::default()
        },
        tip_patience: Duration::from_secs(10),
        ..SourceOptions::default()
    }
}

fn in_process(name: &str, node: &Arc<Node>, options: SourceOptions) -> Rpc {
    let node = node.clone();
    let connect = move || Ok::<_, String>(RpcClient::new(InProcess::new(node.clone())));
    Rpc::over(name, connect, options.rpc)
}

fn source_with(network: &Devnet, options: SourceOptions) -> NodeSource {
    NodeSource::over(
        in_process("relay", network.relay_node(), options),
        in_process("para", network.para_node(), options),
        options,
    )
}

fn source(network: &Devnet) -> NodeSource {
    source_with(network, options())
}

/// What `method` answers is changed.
fn lie(node: &Node, method: &'static str, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
    let fault = Fault::edit(edit);
    node.set_fault(Some(Arc::new(move |asked, _| (asked == method).then(|| fault.clone()))));
}

/// A bridge's ingest in short: everything that a source answers is verified.
struct Ingest {
    genesis: Genesis,
    cursor: Cursor,
    nodes: Nodes,
    verifier: CryptoVerifier,
    /// Hash and state root of parachain blocks.
    headers: HashMap<u32, (Hash, Hash)>,
    sets_closed: u32,
    proven_changes: u32,
}

impl Ingest {
    async fn start(source: &NodeSource) -> Result<Self, Refusal> {
        let genesis = source.genesis().await.unwrap().value;
        let nodes = Nodes::default();
        let mut verifier = CryptoVerifier::with_state(nodes.shared());
        let append = accept::genesis(genesis.clone(), None, &mut verifier)?;
        nodes.commit(&append.nodes);
        Ok(Self {
            genesis,
            cursor: append.cursor.unwrap(),
            nodes,
            verifier,
            headers: HashMap::new(),
            sets_closed: 0,
            proven_changes: 0,
        })
    }

    /// One relay batch with its head and headers; whether there was one.
    async fn relay(&mut self, source: &NodeSource) -> Result<bool, Refusal> {
        let Some(batch) = source.relay_batch(self.cursor.relay.height.next()).await.unwrap().value else {
            return Ok(false);
        };
        self.proven_changes += u32::from(batch.set_change.is_some());
        let relay = accept::relay(&self.cursor, batch, &self.verifier)?;
        let id = self.genesis.para_id;
        let head = match source.para_head(relay.last, id).await.unwrap().value {
            Some(head) => Some(accept::para_head(&self.cursor, id, &relay, &head, &self.verifier)?),
            None => None,
        };
        let missing = head.as_ref().and_then(|head| accept::missing_para_headers(&self.cursor, head));
        let headers = match missing {
            Some(span) => source.para_headers(span).await.unwrap().value,
            None => Vec::new(),
        };
        self.take(accept::relay_append(&self.cursor, &self.genesis, relay, head, headers)?);
        Ok(true)
    }

    async fn changes(&mut self, source: &NodeSource) -> Result<(), Refusal> {
        let Some(head) = self.cursor.para else { return Ok(()) };
        let Some(span) = Span::new(self.cursor.changes.next(), head.height) else { return Ok(()) };
        let at = |height: Height| BlockRef { height, hash: self.headers[&height.0].0 };
        let answer = source.changes(at(span.first()), at(span.last())).await.unwrap().value;
        let blocks = span.heights().zip(answer);
        let blocks = blocks
            .map(|(height, changes)| BlockChanges { height, root: self.headers[&height.0].1, changes })
            .collect();
        let append = accept::changes(&self.cursor, blocks, &mut self.verifier)?;
        self.nodes.commit(&append.nodes);
        self.take(append);
        Ok(())
    }

    async fn all(&mut self, source: &NodeSource) -> Result<(), Refusal> {
        while self.relay(source).await? {
            self.changes(source).await?;
        }
        Ok(())
    }

    fn take(&mut self, append: Append) {
        for blob in &append.para_headers {
            let header = Header::decode(&mut blob.bytes.as_ref()).unwrap();
            self.headers.insert(blob.height.0, (Hash::of(&blob.bytes), header.state_root));
        }
        self.sets_closed += append.relay.as_ref().map_or(0, |relay| u32::from(relay.closes_set));
        self.cursor = append.cursor.unwrap();
    }
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Failed { check, .. } => check,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_a_source_holds() {
    let network = network(small(), 40);
    conform::source::block_source(&source_with(
        &network,
        SourceOptions { tip_patience: Duration::from_millis(200), ..options() },
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_a_source_holds_over_websockets() {
    let network = network(small(), 30);
    let relay = network.serve_relay("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let para = network.serve_para("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let options = SourceOptions { tip_patience: Duration::from_millis(200), ..options() };
    conform::source::block_source(&NodeSource::new(&relay.url(), &para.url(), options)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_node_keeps_the_contract_and_its_changes_verify() {
    let network = network(Config { phala_extension: false, archive: true, ..small() }, 40);
    let source =
        source_with(&network, SourceOptions { tip_patience: Duration::from_millis(200), ..options() });
    conform::source::block_source(&source).await;
    let mut ingest = Ingest::start(&source).await.unwrap();
    ingest.all(&source).await.unwrap();
    assert_eq!(ingest.cursor.changes.0, network.para().finalized_number());
    assert_eq!(source.changes_form(), ChangesForm::Diff);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_up_to_the_tip_is_served_and_verifies_across_set_changes() {
    let network = network(small(), 60);
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();
    assert_eq!(ingest.genesis.relay_chain.0, network.relay().block_at(0).unwrap().hash.0);
    assert_eq!(Some(ingest.genesis.start().height.0 + 1), network.relay_parent(1));
    ingest.all(&source).await.unwrap();

    let tips = source.tips().await.unwrap();
    assert_eq!(ingest.cursor.relay.height, tips.relay);
    assert_eq!(tips.relay.0, network.relay().finalized_number());
    assert_eq!(ingest.cursor.changes, tips.para);
    assert!(ingest.sets_closed >= 6, "{} sets", ingest.sets_closed);
    assert_eq!(ingest.proven_changes, ingest.sets_closed);
    let best = network.para().block_at(tips.para.0).unwrap();
    assert_eq!(ingest.cursor.state.unwrap().1.0, best.header.state_root.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_finality_proofs_the_justifications_of_single_blocks_serve() {
    let network = network(small(), 60);
    let asked = Arc::new(AtomicUsize::new(0));
    let blocks = asked.clone();
    network.relay_node().set_fault(Some(Arc::new(move |method, _| {
        blocks.fetch_add(usize::from(method == "chain_getBlock"), Ordering::SeqCst);
        (method == "grandpa_proveFinality").then(|| Fault::edit(|proof| *proof = Value::Null))
    })));
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();
    ingest.all(&source).await.unwrap();
    assert!(ingest.sets_closed >= 6, "{} sets", ingest.sets_closed);
    // What is above is finalized, yet no block there keeps a justification; that is found out once.
    let asked_before = asked.load(Ordering::SeqCst);
    assert_eq!(source.relay_batch(ingest.cursor.relay.height.next()).await.unwrap().value, None);
    assert_eq!(asked.load(Ordering::SeqCst), asked_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_change_without_justification_is_missing_and_not_passed_over() {
    let network = network(small(), 60);
    let source = source(&network);
    lie(network.relay_node(), "grandpa_proveFinality", |proof| *proof = Value::Null);
    let start = source.genesis().await.unwrap().value.start().height;
    for number in 0..=network.relay().finalized_number() {
        network.relay().forget_justifications(number);
    }
    let error = source.relay_batch(start.next()).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Missing { what, .. } if what.contains("changes the authorities")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genesis_is_read_page_by_page_where_unsafe_methods_are_refused() {
    let network = network(small(), 20);
    let whole = source(&network).genesis().await.unwrap().value;
    network.para_node().behave(|behaviour| behaviour.deny_unsafe = true);
    let paged = source(&network).genesis().await.unwrap().value;
    assert_eq!(paged, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_node_is_told_from_a_broken_one() {
    let network = network(small(), 40);
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();
    ingest.all(&source).await.unwrap();
    network.para_node().behave(|behaviour| behaviour.pruned_below = 10);
    let at = |height: u32| BlockRef { height: Height(height), hash: ingest.headers[&height].0 };
    let error = source.changes(at(2), at(3)).await.unwrap_err();
    assert!(matches!(error, SourceError::Pruned { .. }), "{error}");
    assert!(error.to_string().contains("2..=3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_prove_a_set_change_serves_the_batch_without_it() {
    let network = network(small(), 30);
    let source = source(&network);
    let genesis = source.genesis().await.unwrap().value;
    network.relay_node().behave(|behaviour| behaviour.pruned_below = 1_000);
    let batch = source.relay_batch(genesis.start().height.next()).await.unwrap().value.unwrap();
    let last = Header::decode(&mut batch.headers.last().unwrap().as_ref()).unwrap();
    assert!(last.scheduled_change().is_some() && batch.set_change.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_too_large_for_the_node_are_halved_until_they_fit() {
    let network = network(small(), 60);
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();
    ingest.all(&source).await.unwrap();
    let at = |height: u32| BlockRef { height: Height(height), hash: ingest.headers[&height].0 };
    let (first, last) = (at(1), at(20));
    let whole = source.changes(first, last).await.unwrap().value;

    // A node that answers at most two blocks.
    let heights: HashMap<String, u32> =
        ingest.headers.iter().map(|(height, (hash, _))| (hash.to_string(), *height)).collect();
    let too_many = Arc::new(AtomicUsize::new(0));
    let counted = too_many.clone();
    network.para_node().set_fault(Some(Arc::new(move |method, params| {
        if method != "pha_getStorageChanges" {
            return None;
        }
        let height = |index: usize| heights[params[index].as_str().unwrap()];
        let large = height(1) - height(0) >= 2;
        large.then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            Fault::error(-32008, "Response is too big")
        })
    })));
    assert_eq!(source.changes(first, last).await.unwrap().value, whole);
    assert!(too_many.load(Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_too_few_blocks_are_refused() {
    let network = network(small(), 40);
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();
    ingest.all(&source).await.unwrap();
    lie(network.para_node(), "pha_getStorageChanges", |value| {
        value.as_array_mut().unwrap().pop();
    });
    let at = |height: u32| BlockRef { height: Height(height), hash: ingest.headers[&height].0 };
    let error = source.changes(at(1), at(4)).await.unwrap_err();
    assert!(matches!(error, SourceError::Bad { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_in_headers_are_noticed_by_their_hash() {
    let network = network(small(), 20);
    let source = source(&network);
    lie(network.relay_node(), "chain_getHeader", |header| {
        header["stateRoot"] = json!(format!("0x{}", "11".repeat(32)))
    });
    let error = source.relay_batch(Height(3)).await.unwrap_err();
    assert!(matches!(error, SourceError::Bad { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_in_finality_proofs_proofs_and_changes_are_refused_by_the_verifier() {
    let network = network(small(), 40);
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();

    // One flipped bit near the end of the first signature.
    lie(network.relay_node(), "grandpa_proveFinality", |proof| {
        let mut bytes = hex::decode(&proof.as_str().unwrap()[2..]).unwrap();
        let mut finality = prb_core::types::grandpa::FinalityProof::decode(&mut bytes.as_slice()).unwrap();
        let mut justification =
            prb_core::types::grandpa::Justification::decode(&mut finality.justification.as_slice()).unwrap();
        justification.commit.precommits[0].signature[40] ^= 1;
        finality.justification = justification.encode();
        bytes = finality.encode();
        *proof = json!(format!("0x{}", hex::encode(bytes)));
    });
    assert_eq!(refused(ingest.relay(&source).await.unwrap_err()), "justification");

    lie(network.relay_node(), "state_getReadProof", |answer| {
        answer["proof"].as_array_mut().unwrap().pop();
    });
    while match ingest.relay(&source).await {
        Ok(more) => more,
        Err(refusal) => {
            let check = refused(refusal);
            assert!(check == "read proof" || check.contains("proof"), "{check}");
            false
        }
    } {}
    network.relay_node().set_fault(None);
    while ingest.cursor.para.is_none_or(|head| head.height < Height(3)) {
        assert!(ingest.relay(&source).await.unwrap());
    }

    lie(network.para_node(), "pha_getStorageChanges", |blocks| {
        blocks[1]["mainStorageChanges"][0][1] = json!("0xdead");
    });
    let refusal = ingest.changes(&source).await.unwrap_err();
    assert!(refusal.to_string().contains("block 2"), "{refusal}");
    assert_eq!(refused(refusal), "state root");
    network.para_node().set_fault(None);
    ingest.all(&source).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_the_genesis_is_refused() {
    let network = network(small(), 20);
    lie(network.para_node(), "state_getPairs", |pairs| pairs[3][1] = json!("0x00"));
    let refusal = Ingest::start(&source(&network)).await.err().unwrap();
    assert_eq!(refused(refusal), "parachain genesis state");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_final_is_no_batch_and_no_error() {
    let network = network(small(), 12);
    let source = source(&network);
    let tips = source.tips().await.unwrap();
    assert_eq!(source.relay_batch(tips.relay.next()).await.unwrap().value, None);
    network.finalizer().adjust(|knobs| knobs.hold = true);
    network.steps(3).unwrap();
    assert_eq!(source.relay_batch(tips.relay.next()).await.unwrap().value, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_finalized_head_ends_the_wait() {
    let network = Arc::new(network(small(), 12));
    let source = Arc::new(source_with(
        &network,
        SourceOptions { tip_patience: Duration::from_secs(600), ..options() },
    ));
    let tips = source.tips().await.unwrap();
    // Known is old: the wait ends at once.
    source.wait_for_tip(Tips::default()).await.unwrap();

    let waiting = tokio::spawn({
        let source = source.clone();
        async move { source.wait_for_tip(tips).await }
    });
    let stepper = network.clone();
    let stepped = tokio::task::spawn_blocking(move || stepper.steps(3));
    stepped.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(120), waiting).await.unwrap().unwrap().unwrap();
    assert!(source.tips().await.unwrap().relay > tips.relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_is_reconnected_without_the_caller_noticing() {
    let network = network(small(), 12);
    let port = Port::keep();
    let addr = port.addr;
    let relay = network.serve_relay(addr).await.unwrap();
    let source = NodeSource::over(
        Rpc::new(&format!("ws://user:secret@{addr}"), options().rpc),
        in_process("para", network.para_node(), options()),
        options(),
    );
    let before = source.tips().await.unwrap();
    relay.stop().await;

    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let _relay = RpcServer::start(network.relay_node().clone(), addr).await.unwrap();
    assert_eq!(source.tips().await.unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_a_timeout() {
    let network = network(small(), 12);
    let mut options = options();
    options.rpc.answer_timeout = Duration::from_millis(100);
    let source = source_with(&network, options);
    network
        .relay_node()
        .set_fault(Some(Arc::new(|method, _| (method == "chain_getFinalizedHead").then_some(Fault::Drop))));
    let error = source.tips().await.unwrap_err();
    assert!(matches!(error, SourceError::Timeout { .. }), "{error}");
    network.relay_node().set_fault(None);
    source.tips().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_above_our_own_cap_is_too_large_and_the_source_stays_usable() {
    let network = network(small(), 30);
    let para = network.serve_para("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut options = options();
    options.rpc.max_reply = 20_000;
    options.changes_per_call = 16;
    let source = NodeSource::over(
        in_process("relay", network.relay_node(), options),
        Rpc::new(&para.url(), options.rpc),
        options,
    );
    let reference = self::source(&network);
    let mut ingest = Ingest::start(&reference).await.unwrap();
    ingest.all(&reference).await.unwrap();
    let at = |height: u32| BlockRef { height: Height(height), hash: ingest.headers[&height].0 };
    let whole = reference.changes(at(1), at(8)).await.unwrap().value;
    let bytes: usize = whole.iter().map(Bytes::len).sum();
    assert!(bytes > 10_000, "{bytes}");
    assert_eq!(source.changes(at(1), at(8)).await.unwrap().value, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_method_names_the_remedy() {
    let network = network(small(), 30);
    let source = source(&network);
    let mut ingest = Ingest::start(&source).await.unwrap();
    ingest.all(&source).await.unwrap();
    network.para_node().set_fault(Some(Arc::new(|asked, _| {
        let methods = ["pha_getStorageChanges", "archive_v1_storageDiff", "state_getReadProof"];
        let refused = methods.contains(&asked);
        refused.then(|| Fault::error(-32601, "Method not found"))
    })));
    let at = |height: u32| BlockRef { height: Height(height), hash: ingest.headers[&height].0 };
    let error = source.changes(at(1), at(2)).await.unwrap_err();
    assert!(error.to_string().contains("Phala's RPC extension"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_chain_behind_the_same_address_answers_nothing() {
    let (own, other) = (network(small(), 30), network(small().authorities(5), 30));
    let source = source(&own);
    let genesis = source.genesis().await.unwrap().value;
    let first = genesis.start().height.next();
    source.expect(&genesis.identity());
    source.relay_batch(first).await.unwrap();

    let port = Port::keep();
    let addr = port.addr;
    let relay = own.serve_relay(addr).await.unwrap();
    let source = NodeSource::over(
        Rpc::new(&relay.url(), options().rpc),
        in_process("para", own.para_node(), options()),
        options(),
    );
    source.expect(&genesis.identity());
    source.relay_batch(first).await.unwrap();
    relay.stop().await;
    let _relay = RpcServer::start(other.relay_node().clone(), addr).await.unwrap();
    let error = source.relay_batch(first).await.unwrap_err();
    let (found, expected) = (other.relay().block_at(0).unwrap().hash.0, genesis.relay_chain);
    assert!(
        matches!(&error, SourceError::Foreign { chain: "relay chain", found: is, expected: wanted, .. }
            if is.0 == found && *wanted == expected),
        "{error}"
    );
    source.para_headers(Span::one(Height(1))).await.unwrap();
}
