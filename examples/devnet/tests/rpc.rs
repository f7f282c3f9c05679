//! JSON-RPC of the dev chains: shapes, errors, subscriptions, faults, in process and over a socket.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../prb-chain/tests/port/mod.rs"]
mod port;

use std::sync::Arc;
use std::time::Duration;

use codec::Decode;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use port::Port;
use prb_devnet::chain::{Header, StorageChanges};
use prb_devnet::finality::FinalityProof;
use prb_devnet::network::{Config, Devnet, sign_para_call};
use prb_devnet::rpc::{Fault, InProcess, RpcServer};
use prb_devnet::runtime::para::types::{Message, MessageOrigin, SignedMessage};
use prb_devnet::runtime::para::{RuntimeCall, mq};
use serde_json::{Value, json};
use sp_core::H256;
use sp_keyring::Sr25519Keyring;
use sp_runtime::DigestItem;

const WAIT: Duration = Duration::from_secs(240);

struct Net {
    net: Arc<Devnet>,
    relay: WsClient,
    para: WsClient,
    servers: [RpcServer; 2],
}

async fn net(config: Config) -> Net {
    let net = Arc::new(Devnet::new(config).unwrap());
    let any = ([127, 0, 0, 1], 0).into();
    let servers = [net.serve_relay(any).await.unwrap(), net.serve_para(any).await.unwrap()];
    let client = |server: &RpcServer| {
        WsClientBuilder::new()
            .max_response_size(u32::MAX)
            .max_buffer_capacity_per_subscription(1024)
            .build(server.url())
    };
    let (relay, para) = (client(&servers[0]).await.unwrap(), client(&servers[1]).await.unwrap());
    Net { net, relay, para, servers }
}

async fn stepped(n: u32) -> Net {
    let it = net(Config::default()).await;
    it.net.steps(n).unwrap();
    it
}

fn array(params: Value) -> ArrayParams {
    let mut built = ArrayParams::new();
    let Value::Array(params) = params else { panic!("parameters are a list") };
    for param in params {
        built.insert(param).unwrap();
    }
    built
}

async fn ask(client: &WsClient, method: &str, params: Value) -> Value {
    tokio::time::timeout(WAIT, client.request(method, array(params))).await.unwrap().unwrap()
}

async fn refusal(client: &WsClient, method: &str, params: Value) -> (i32, String) {
    let asked = client.request::<Value, _>(method, array(params));
    match tokio::time::timeout(WAIT, asked).await.unwrap().unwrap_err() {
        ClientError::Call(error) => (error.code(), error.message().to_owned()),
        other => panic!("{method}: {other}"),
    }
}

async fn subscribe(client: &WsClient, name: &str, params: Value, end: &str) -> Subscription<Value> {
    client.subscribe(name, array(params), end).await.unwrap()
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    tokio::time::timeout(WAIT, subscription.next()).await.unwrap().unwrap().unwrap()
}

fn hex_of(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

/// A header from JSON by the rules of the reference: re-encoding it must give the block's hash.
fn header_of(value: &Value) -> Header {
    let hash = |name: &str| H256::from_slice(&unhex(&value[name]));
    let number = value["number"].as_str().unwrap().strip_prefix("0x").unwrap();
    let logs = value["digest"]["logs"].as_array().unwrap();
    let logs = logs.iter().map(|log| DigestItem::decode(&mut &unhex(log)[..]).unwrap()).collect();
    Header {
        parent_hash: hash("parentHash"),
        number: u32::from_str_radix(number, 16).unwrap(),
        state_root: hash("stateRoot"),
        extrinsics_root: hash("extrinsicsRoot"),
        digest: sp_runtime::Digest { logs },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn block_hashes_answer_numbers_hex_lists_and_null() {
    let it = stepped(21).await;
    let hash = |n| hex_of(it.net.relay().block_at(n).unwrap().hash);
    assert_eq!(ask(&it.relay, "chain_getBlockHash", json!([3])).await, hash(3));
    assert_eq!(ask(&it.relay, "chain_getBlockHash", json!(["0x11"])).await, hash(17));
    assert_eq!(
        ask(&it.relay, "chain_getBlockHash", json!([[1, "0x2", 99]])).await,
        json!([hash(1), hash(2), null])
    );
    assert_eq!(ask(&it.relay, "chain_getBlockHash", json!([null])).await, hash(21));
    assert_eq!(ask(&it.relay, "chain_getBlockHash", json!([])).await, hash(21));
    assert_eq!(ask(&it.relay, "chain_getBlockHash", json!([5_000_000_000u64])).await, Value::Null);
    assert_eq!(ask(&it.relay, "chain_getFinalizedHead", json!([])).await, hash(21));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_blocks_have_the_shapes_of_a_node() {
    let it = stepped(21).await;
    let set_change = it.net.relay().block_at(20).unwrap();
    let header = ask(&it.relay, "chain_getHeader", json!([hex_of(set_change.hash)])).await;
    assert_eq!(header["number"], "0x14");
    assert_eq!(header_of(&header), set_change.header);
    assert_eq!(header_of(&header).hash(), set_change.hash);
    let logs: Vec<_> = header["digest"]["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| log.as_str().unwrap().to_owned())
        .collect();
    assert!(logs[0].starts_with("0x0642414245") && logs[1].starts_with("0x0446524e4b"), "{logs:?}");
    assert!(logs[2].starts_with("0x0542414245"), "{logs:?}");
    assert_eq!(ask(&it.relay, "chain_getHeader", json!([hex_of([9u8; 32])])).await, Value::Null);

    let block = ask(&it.relay, "chain_getBlock", json!([hex_of(set_change.hash)])).await;
    let pairs = block["justifications"].as_array().unwrap();
    assert_eq!(pairs[0][0], json!([70, 82, 78, 75]));
    let bytes: Vec<u8> = serde_json::from_value(pairs[0][1].clone()).unwrap();
    assert_eq!(bytes, it.net.relay().justifications(20)[0].1);
    assert_eq!(block["block"]["extrinsics"].as_array().unwrap().len(), set_change.extrinsics.len());
    let plain = ask(&it.relay, "chain_getBlock", json!([])).await;
    assert_eq!(plain["justifications"], Value::Null);
    assert_eq!(plain["block"]["header"]["number"], "0x15");
}

#[tokio::test(flavor = "multi_thread")]
async fn finality_proofs_are_hex_scale_or_an_error_with_code_4() {
    let it = stepped(25).await;
    let proof = unhex(&ask(&it.relay, "grandpa_proveFinality", json!([7])).await);
    let proof = FinalityProof::decode(&mut &proof[..]).unwrap();
    assert_eq!(proof.block, it.net.relay().block_at(20).unwrap().hash);
    assert_eq!(proof.unknown_headers.len(), 13);
    assert_eq!(
        refusal(&it.relay, "grandpa_proveFinality", json!([26])).await,
        (4, "GRANDPA prove finality rpc failed: Block not yet finalized".into())
    );
    assert_eq!(refusal(&it.para, "grandpa_proveFinality", json!([1])).await.0, -32601);
    it.net.relay().forget_justifications(20);
    assert_eq!(ask(&it.relay, "grandpa_proveFinality", json!([7])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_methods_read_page_prove_and_refuse() {
    let it = stepped(15).await;
    let best = hex_of(it.net.para().best().hash);
    let pairs = ask(&it.para, "state_getPairs", json!(["0x", best])).await;
    let pairs = pairs.as_array().unwrap();
    let mut start = Value::Null;
    let mut keys = Vec::new();
    loop {
        let page = ask(&it.para, "state_getKeysPaged", json!(["0x", 40, start, best])).await;
        let page = page.as_array().unwrap().clone();
        let Some(last) = page.last() else { break };
        start = last.clone();
        keys.extend(page);
    }
    assert_eq!(keys, pairs.iter().map(|pair| pair[0].clone()).collect::<Vec<_>>());
    assert_eq!(
        refusal(&it.para, "state_getKeysPaged", json!(["0x", 1001, null])).await,
        (4002, "count exceeds maximum value. value: 1001, max: 1000".into())
    );
    for pair in pairs.iter().take(5) {
        assert_eq!(ask(&it.para, "state_getStorage", json!([pair[0], best])).await, pair[1]);
    }
    let some: Vec<_> = pairs.iter().take(5).map(|pair| pair[0].clone()).collect();
    let queried = ask(&it.para, "state_queryStorageAt", json!([some, best])).await;
    assert_eq!(queried, json!([{ "block": best, "changes": pairs[..5].to_vec() }]));
    let proof = ask(&it.para, "state_getReadProof", json!([some])).await;
    assert_eq!(proof["at"], best);
    let nodes = proof["proof"].as_array().unwrap().iter().map(unhex);
    let root = it.net.para().best().header.state_root;
    let read = sp_state_machine::read_proof_check::<sp_runtime::traits::BlakeTwo256, _>(
        root,
        sp_trie::StorageProof::new(nodes),
        some.iter().map(unhex),
    )
    .unwrap();
    for pair in &pairs[..5] {
        assert_eq!(read[&unhex(&pair[0])], Some(unhex(&pair[1])));
    }
    assert_eq!(ask(&it.para, "state_getStorage", json!(["0x1234"])).await, Value::Null);

    let unknown = hex_of([7u8; 32]);
    let (code, text) = refusal(&it.para, "state_getStorage", json!(["0x00", unknown])).await;
    assert_eq!(code, 4003);
    assert!(text.starts_with("Client error: UnknownBlock: "), "{text}");
    it.net.para_node().behave(|behaviour| {
        behaviour.pruned_below = 3;
        behaviour.deny_unsafe = true;
    });
    let old = hex_of(it.net.para().block_at(2).unwrap().hash);
    assert_eq!(
        refusal(&it.para, "state_getStorage", json!(["0x00", old])).await,
        (4003, format!("Client error: UnknownBlock: State already discarded for {old}"))
    );
    assert_eq!(
        refusal(&it.para, "state_getPairs", json!(["0x"])).await,
        (4003, "RPC call is unsafe to be called externally".into())
    );
    let prefix = some[0].as_str().unwrap();
    assert_eq!(ask(&it.para, "state_getKeys", json!([prefix])).await, json!([prefix]), "is not unsafe");
    let (code, text) = refusal(&it.para, "pha_getStorageChangesAt", json!([old])).await;
    assert_eq!(code, 10000);
    assert!(text.contains("State already discarded for"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runtime_calls_versions_and_metadata_answer_and_panics_are_errors() {
    let it = stepped(8).await;
    for client in [&it.relay, &it.para] {
        let version = ask(client, "state_getRuntimeVersion", json!([])).await;
        let raw = unhex(&ask(client, "state_call", json!(["Core_version", "0x"])).await);
        let decoded = sp_version::RuntimeVersion::decode(&mut &raw[..]).unwrap();
        assert_eq!(version["specVersion"], decoded.spec_version);
        assert_eq!(version["specName"], *decoded.spec_name);
        let metadata = ask(client, "state_getMetadata", json!([])).await;
        assert!(metadata.as_str().unwrap().starts_with("0x6d657461"));
        let wrapped = unhex(&ask(client, "state_call", json!(["Metadata_metadata", "0x"])).await);
        assert_eq!(Vec::<u8>::decode(&mut &wrapped[..]).unwrap(), unhex(&metadata));
        let (code, text) = refusal(client, "state_call", json!(["No_such", "0x"])).await;
        assert_eq!((code, text.contains("No_such")), (4003, true));
        assert_eq!(refusal(client, "state_call", json!(["Core_initialize_block", "0x"])).await.0, 4003);
    }
    assert_eq!(ask(&it.para, "state_getRuntimeVersion", json!([])).await["stateVersion"], 0);
    assert_eq!(ask(&it.relay, "state_getRuntimeVersion", json!([])).await["stateVersion"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn system_methods_describe_the_node() {
    let it = stepped(9).await;
    let sync = json!({ "startingBlock": 0, "currentBlock": 9, "highestBlock": 9 });
    assert_eq!(ask(&it.relay, "system_syncState", json!([])).await, sync);
    it.net.relay_node().behave(|behaviour| behaviour.highest_block = Some(100));
    assert_eq!(ask(&it.relay, "system_syncState", json!([])).await["highestBlock"], 100);
    assert_eq!(ask(&it.relay, "system_health", json!([])).await["isSyncing"], true);
    assert_eq!(ask(&it.para, "system_properties", json!([])).await["ss58Format"], 30);
    assert_eq!(ask(&it.para, "system_chain", json!([])).await, "prb dev para");
    let methods = ask(&it.para, "rpc_methods", json!([])).await;
    let methods: Vec<String> = serde_json::from_value(methods["methods"].clone()).unwrap();
    for name in ["pha_getStorageChanges", "author_submitAndWatchExtrinsic", "chain_subscribeFinalizedHeads"] {
        assert!(methods.iter().any(|method| method == name), "{name}");
    }
    let relay = ask(&it.relay, "rpc_methods", json!([])).await.to_string();
    assert!(!relay.contains("pha_") && relay.contains("grandpa_proveFinality"));
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_changes_have_phala_shapes_and_limits() {
    let it = stepped(20).await;
    let para = it.net.para();
    let hash = |n| hex_of(para.block_at(n).unwrap().hash);
    let changes = ask(&it.para, "pha_getStorageChanges", json!([hash(2), hash(5)])).await;
    assert_eq!(changes.as_array().unwrap().len(), 4);
    let with_root = ask(&it.para, "pha_getStorageChangesWithRoot", json!([hash(2), hash(5)])).await;
    for (index, element) in with_root.as_array().unwrap().iter().enumerate() {
        assert_eq!(element["changes"], changes[index]);
        let root: Vec<u8> = serde_json::from_value(element["stateRoot"].clone()).unwrap();
        assert_eq!(root, para.block_at(index as u32 + 2).unwrap().header.state_root.as_bytes());
    }
    let one = unhex(&ask(&it.para, "pha_getStorageChangesAt", json!([hash(3)])).await);
    let one = StorageChanges::decode(&mut &one[..]).unwrap();
    let main = changes[1]["mainStorageChanges"].as_array().unwrap();
    assert_eq!(main.len(), one.main.len());
    for (json, (key, value)) in main.iter().zip(&one.main) {
        assert_eq!(*json, json!([hex_of(key), value.as_ref().map(hex_of)]));
    }
    assert!(main.iter().any(|pair| pair[1].is_null()) && changes[1]["childStorageChanges"] == json!([]));
    let genesis = ask(&it.para, "pha_getStorageChanges", json!([hash(0), hash(0)])).await;
    assert_eq!(
        genesis[0]["mainStorageChanges"],
        ask(&it.para, "state_getPairs", json!(["0x", hash(0)])).await
    );

    let (code, text) = refusal(&it.para, "pha_getStorageChanges", json!([hash(3), hash(2)])).await;
    assert_eq!((code, text.starts_with("Cannot resolve a block range")), (10000, true), "{text}");
    let unknown = hex_of([1u8; 32]);
    assert_eq!(refusal(&it.para, "pha_getStorageChanges", json!([unknown, hash(2)])).await.0, 10000);

    let sender = format!("02{}", hex::encode([0x11; 32]));
    assert_eq!(ask(&it.para, "pha_getMqNextSequence", json!([sender])).await, 0);
    assert_eq!(ask(&it.para, "pha_getMqNextSequence", json!(["05"])).await, 0);
    for bad in [format!("0x{sender}"), "09".to_owned()] {
        let refused = refusal(&it.para, "pha_getMqNextSequence", json!([bad])).await;
        assert_eq!(refused, (10000, "invalid sender".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_subscriptions_begin_with_the_current_head_and_follow() {
    let it = stepped(3).await;
    let mut best =
        subscribe(&it.relay, "chain_subscribeNewHeads", json!([]), "chain_unsubscribeNewHeads").await;
    let mut all =
        subscribe(&it.relay, "chain_subscribeAllHeads", json!([]), "chain_unsubscribeAllHeads").await;
    let mut finalized =
        subscribe(&it.relay, "chain_subscribeFinalizedHeads", json!([]), "chain_unsubscribeFinalizedHeads")
            .await;
    let mut justified = subscribe(
        &it.relay,
        "grandpa_subscribeJustifications",
        json!([]),
        "grandpa_unsubscribeJustifications",
    )
    .await;
    it.net.finalizer().adjust(|knobs| knobs.every = 2);
    for subscription in [&mut best, &mut all, &mut finalized] {
        assert_eq!(next(subscription).await["number"], "0x3");
    }
    it.net.steps(3).unwrap();
    for number in ["0x4", "0x5", "0x6"] {
        assert_eq!(next(&mut best).await["number"], number);
        assert_eq!(next(&mut all).await["number"], number);
    }
    assert_eq!(next(&mut finalized).await["number"], "0x4");
    assert_eq!(next(&mut finalized).await["number"], "0x6");
    next(&mut justified).await;
    let newest = unhex(&next(&mut justified).await);
    assert_eq!(Some((6, newest)), it.net.finalizer().latest_justification());
}

#[tokio::test(flavor = "multi_thread")]
async fn runtime_version_subscribers_hear_at_once_and_of_upgrades_only() {
    let it = stepped(8).await;
    let name = "state_subscribeRuntimeVersion";
    let mut versions = subscribe(&it.para, name, json!([]), "state_unsubscribeRuntimeVersion").await;
    let old = next(&mut versions).await["specVersion"].as_u64().unwrap();
    it.net.steps(4).unwrap();
    it.net.order(|orders| orders.para.spec_version = Some(old as u32 + 8));
    it.net.steps(4).unwrap();
    assert_eq!(next(&mut versions).await["specVersion"], old + 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_alter_answers_errors_and_notifications() {
    let it = stepped(4).await;
    it.net.relay_node().set_fault(Some(Arc::new(|method, params| match method {
        "chain_getHeader" => Some(Fault::edit(|header| header["number"] = "0xff".into())),
        "chain_getBlockHash" if params == [json!(2)] => Some(Fault::error(3000, "Client error: no")),
        "system_name" => Some(Fault::Drop),
        "system_chain" => Some(Fault::Result("lies".into())),
        "chain_finalizedHead" if params[0]["number"] == "0x5" => Some(Fault::Drop),
        _ => None,
    })));
    assert_eq!(ask(&it.relay, "chain_getHeader", json!([])).await["number"], "0xff");
    assert_eq!(refusal(&it.relay, "chain_getBlockHash", json!([2])).await, (3000, "Client error: no".into()));
    assert!(ask(&it.relay, "chain_getBlockHash", json!([3])).await.is_string());
    assert_eq!(ask(&it.relay, "system_chain", json!([])).await, "lies");
    let silent = it.relay.request::<Value, _>("system_name", ArrayParams::new());
    assert!(tokio::time::timeout(Duration::from_millis(50), silent).await.is_err());
    let mut finalized =
        subscribe(&it.relay, "chain_subscribeFinalizedHeads", json!([]), "chain_unsubscribeFinalizedHeads")
            .await;
    assert_eq!(next(&mut finalized).await["number"], "0x4");
    it.net.steps(2).unwrap();
    assert_eq!(next(&mut finalized).await["number"], "0x6");
    it.net.relay_node().set_fault(None);
    assert_eq!(ask(&it.relay, "chain_getHeader", json!([])).await["number"], "0x6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_frees_its_port() {
    let (it, port) = (stepped(1).await, Port::keep());
    let mut clients = Vec::new();
    for _ in 0..2 {
        let server = it.net.serve_relay(port.addr).await.unwrap();
        assert_eq!(server.addr(), port.addr);
        clients.push(WsClientBuilder::new().build(server.url()).await.unwrap());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_queue_sequence_counts_ready_top_level_messages_only() {
    let it = stepped(8).await;
    let para = it.net.para();
    let worker = sp_core::sr25519::Public::from_raw([0x11; 32]);
    let message = |sequence| {
        let signed_message = SignedMessage {
            message: Message {
                sender: MessageOrigin::Worker(worker),
                destination: b"phala/mining/report".to_vec(),
                payload: vec![1, 2],
            },
            sequence,
            signature: vec![0xaa; 64],
        };
        RuntimeCall::from(mq::Call::sync_offchain_message { signed_message })
    };
    let submit = |nonce, call: RuntimeCall| {
        let raw = sign_para_call(para, &Sr25519Keyring::Alice.pair(), nonce, 0, call).unwrap();
        para.submit(raw).map(drop).map_err(|error| error.code())
    };
    let sender = format!("02{}", hex::encode([0x11; 32]));
    let next = || ask(&it.para, "pha_getMqNextSequence", json!([sender]));
    submit(0, message(0)).unwrap();
    assert_eq!(next().await, 1);
    submit(2, message(1)).unwrap();
    assert_eq!(next().await, 1);
    let nested = vec![message(2)];
    submit(1, pallet_utility::Call::force_batch { calls: nested }.into()).unwrap();
    assert_eq!(next().await, 2);
    let bob = sign_para_call(para, &Sr25519Keyring::Bob.pair(), 0, 0, message(1)).unwrap();
    assert_eq!(para.submit(bob).unwrap_err().code(), 1014);
    // Nobody registered this worker, so the first call fails in the block, the chain still expects sequence 0,
    // and the message after it goes back to waiting.
    it.net.steps(2).unwrap();
    assert_eq!((para.pending().len(), next().await), (1, json!(0)));
}

mod with_subxt {
    use super::*;
    use subxt::dynamic::{storage, transaction};
    use subxt::{OnlineClient, PolkadotConfig};
    use subxt_signer::sr25519::dev;

    /// Connects, reads a map entry dynamically, and carries a transfer and a remark to finality while the network
    /// runs by itself.
    async fn transfers(net: Arc<Devnet>, api: OnlineClient<PolkadotConfig>) {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(net.clone().run(Duration::from_millis(20), async {
            let _ = stopped.await;
        }));
        let at = api.at_current_block().await.unwrap();
        let now = at.storage().fetch(storage::<(), u64>("Timestamp", "Now"), ()).await.unwrap();
        assert!(now.decode().unwrap() > net.config().genesis_time_ms);
        let bob = dev::bob().public_key();
        let call =
            transaction("Balances", "transfer_keep_alive", (bob.to_address::<()>(), 12_000_000_000_000u128));
        let progress =
            at.transactions().sign_and_submit_then_watch_default(&call, &dev::alice()).await.unwrap();
        let hash = progress.extrinsic_hash();
        let done = tokio::time::timeout(WAIT, progress.wait_for_finalized()).await.unwrap().unwrap();
        let events = done.wait_for_success().await.unwrap();
        let names: Vec<_> = events
            .iter()
            .map(|event| {
                let event = event.unwrap();
                format!("{}.{}", event.pallet_name(), event.event_name())
            })
            .collect();
        assert!(names.contains(&"Balances.Transfer".to_owned()), "{names:?}");
        let block = net.para().block(done.block_hash().0.into()).unwrap();
        let landed = |raw: &Vec<u8>| sp_crypto_hashing::blake2_256(raw) == hash.0;
        assert!(block.extrinsics.iter().any(landed));
        assert!(block.header.number <= net.para().finalized_number());

        let at = api.at_current_block().await.unwrap();
        let remark = transaction("System", "remark_with_event", (b"hello".to_vec(),));
        let progress =
            at.transactions().sign_and_submit_then_watch_default(&remark, &dev::alice()).await.unwrap();
        tokio::time::timeout(WAIT, progress.wait_for_finalized_success()).await.unwrap().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn subxt_reads_and_finalizes_transactions_over_a_socket() {
        let it = stepped(12).await;
        let api = OnlineClient::from_insecure_url(it.servers[1].url()).await.unwrap();
        transfers(it.net.clone(), api).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn subxt_reads_and_finalizes_transactions_in_process() {
        let it = Arc::new(Devnet::new(Config::default()).unwrap());
        it.steps(12).unwrap();
        let client = subxt_rpcs::RpcClient::new(InProcess::new(it.para_node().clone()));
        let api = OnlineClient::from_rpc_client(client).await.unwrap();
        transfers(it, api).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watched_transactions_report_json_statuses_and_refusals_have_node_codes() {
    let it = stepped(12).await;
    let bad = refusal(&it.para, "author_submitExtrinsic", json!(["0x0c01"])).await;
    assert_eq!((bad.0, bad.1.starts_with("Extrinsic has invalid format")), (1001, true));
    let watched = it.para.subscribe::<Value, _>(
        "author_submitAndWatchExtrinsic",
        array(json!(["0x0c01"])),
        "author_unwatchExtrinsic",
    );
    assert!(matches!(watched.await, Err(ClientError::Call(error)) if error.code() == 1001));

    use subxt::dynamic::transaction;
    use subxt_signer::sr25519::dev;
    let api =
        subxt::OnlineClient::<subxt::PolkadotConfig>::from_insecure_url(it.servers[1].url()).await.unwrap();
    let at = api.at_current_block().await.unwrap();
    let call = transaction("System", "remark", (b"hello".to_vec(),));
    let mut transactions = at.transactions();
    let signed = transactions.create_signed(&call, &dev::alice(), Default::default()).await.unwrap();
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    assert_eq!(ask(&it.para, "system_accountNextIndex", json!([alice])).await, 0);
    let hex = hex_of(signed.encoded());
    let mut statuses =
        subscribe(&it.para, "author_submitAndWatchExtrinsic", json!([hex]), "author_unwatchExtrinsic").await;
    assert_eq!(next(&mut statuses).await, "ready");
    assert_eq!(ask(&it.para, "system_accountNextIndex", json!([alice])).await, 1);
    assert_eq!(ask(&it.para, "author_pendingExtrinsics", json!([])).await, json!([hex]));
    assert_eq!(refusal(&it.para, "author_submitExtrinsic", json!([hex])).await.0, 1013);
    it.net.steps(6).unwrap();
    let block = next(&mut statuses).await;
    let at = block["inBlock"].as_str().unwrap().to_owned();
    assert_eq!(next(&mut statuses).await, json!({ "finalized": at }));
    let body = ask(&it.para, "chain_getBlock", json!([at])).await;
    assert!(body["block"]["extrinsics"].as_array().unwrap().contains(&json!(hex)));
    assert_eq!(refusal(&it.para, "author_submitExtrinsic", json!([hex])).await.0, 1010);
    assert_eq!(refusal(&it.para, "author_submitExtrinsic", json!([hex])).await.0, 1012);
    assert_eq!(ask(&it.para, "account_nextIndex", json!([alice])).await, 1);
}
