//! A node that lies: nothing of it is stored, and the truth is taken once it comes.

use crate::asked::{Side, hash};
use crate::world::{World, event, in_time, until};
use codec::{Decode, Encode};
use prb_chain::node_source::SourceOptions;
use prb_core::pipeline::{Bridge, Event, Events};
use prb_core::port::{BlobStore, Cursor};
use prb_devnet::chain::Header;
use prb_devnet::finality::FinalityProof;
use prb_devnet::network::{self, Devnet};
use prb_devnet::rpc::Fault;
use prb_store::MemoryStore;
use serde_json::{Value, json};
use sp_core::H256;
use std::sync::{Arc, Mutex};

/// Relay blocks below this are told honestly, so that a lie meets a bridge in mid-sync.
const HONEST: u32 = 25;

/// Lies about parachain blocks begin here.
const HONEST_PARA: u32 = 15;

/// What a refused answer must be named.
struct Named {
    /// Whose lie it is.
    side: Side,
    check: &'static str,
    /// The block the lie is about, where the lie decides it; else any above the honest ones.
    height: Option<u32>,
}

fn named(side: Side, check: &'static str, height: Option<u32>) -> Named {
    Named { side, check, height }
}

pub fn text(bytes: impl AsRef<[u8]>) -> Value {
    format!("0x{}", hex::encode(bytes)).into()
}

pub fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

/// Changes the finality proofs of blocks above the honest ones.
pub fn proof(
    lie: impl Fn(&mut FinalityProof) + Send + Sync + 'static,
) -> impl Fn(Side, &str, &[Value]) -> Option<Fault> {
    let lie = Arc::new(lie);
    move |side, method, params| {
        let matches = side == Side::Relay
            && method == "grandpa_proveFinality"
            && crate::asked::height_of(params) > HONEST;
        let lie = lie.clone();
        matches.then(|| {
            Fault::edit(move |answer| {
                let mut proof = FinalityProof::decode(&mut &bytes(answer)[..]).unwrap();
                lie(&mut proof);
                *answer = text(proof.encode());
            })
        })
    }
}

/// Lets the bridge meet a lie, looks that nothing of it is stored, lets it hear the truth.
async fn refused(
    world: &World,
    named: Named,
    trick: impl Fn(Side, &str, &[Value]) -> Option<Fault> + Send + Sync + 'static,
    stored_less: impl Fn(&Cursor) -> bool,
) {
    world.asked.play(trick);
    let (bridge, store) = world.ingest(SourceOptions::default()).await;
    let mut events = bridge.events();
    for _ in 0..3 {
        let (endpoint, cause) = event("the lie is refused", &mut events, |event| match event {
            Event::Refused { endpoint, cause } => Some((endpoint.clone(), cause.clone())),
            _ => None,
        })
        .await;
        assert_eq!(endpoint, world.url(named.side));
        let prefix = match named.height {
            Some(height) => format!("{} at {height}: ", named.check),
            None => format!("{} at ", named.check),
        };
        assert!(cause.starts_with(&prefix), "{cause}");
    }
    // What is no lie is stored meanwhile: both are to be of one moment.
    let (cursor, coverage) = loop {
        let cursor = store.cursor().await.unwrap();
        let coverage = store.coverage().await.unwrap();
        if cursor == store.cursor().await.unwrap() {
            break (cursor.unwrap(), coverage.unwrap());
        }
    };
    assert!(stored_less(&cursor), "{cursor:?}");
    assert_eq!(coverage.relay.map(|span| span.last()), Some(cursor.relay.height));
    assert_eq!(coverage.para.map(|span| span.last()), cursor.para.map(|head| head.height));
    assert_eq!(coverage.changes.map_or(0, |span| span.last().0), cursor.changes.0);

    world.asked.be_honest();
    completes(world, &bridge, &store, &mut events).await;
}

/// The bridge recovers and stores everything there is, exactly as the chains have it.
async fn completes(world: &World, bridge: &Bridge, store: &MemoryStore, events: &mut Events) {
    event("ingest recovers", events, |event| matches!(event, Event::IngestRecovered).then_some(())).await;
    world.until_stored(async || store.cursor().await.unwrap()).await;
    assert_eq!(bridge.failure(), None);
    let cursor = store.cursor().await.unwrap().unwrap();
    assert_eq!(cursor.relay.hash.0, world.network.relay().finalized().hash.0);
    assert_eq!(cursor.para.unwrap().hash.0, world.network.para().finalized().hash.0);
    assert_eq!(cursor.state.unwrap().1.0, world.network.para().finalized().header.state_root.0);
    in_time("the bridge stops", bridge.stop()).await;
}

async fn world() -> World {
    World::new(network::Config::default(), 70, 0).await
}

fn relay_is_honest(cursor: &Cursor) -> bool {
    cursor.relay.height.0 <= 40 && cursor.relay.height.0 >= 20
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_relay_header_is_refused() {
    let world = world().await;
    let forged = Arc::new(Mutex::new(0));
    let seen = forged.clone();
    let trick = proof(move |proof| {
        let middle = proof.unknown_headers.len() / 2;
        proof.unknown_headers[middle].extrinsics_root = H256::repeat_byte(7);
        // The header after it does not name it any more.
        *seen.lock().unwrap() = proof.unknown_headers[middle].number + 1;
    });
    // Sets end every 20 blocks, so the batch after the honest ones is the same each time.
    let after = {
        let (first, last) = (41, 60);
        let unknown = last - first;
        first + 1 + unknown / 2 + 1
    };
    refused(&world, named(Side::Relay, "header link", Some(after)), trick, relay_is_honest).await;
    assert_eq!(*forged.lock().unwrap(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_justification_with_a_wrong_signature_is_refused() {
    let world = world().await;
    let trick = proof(|proof| {
        // The end: voter of the last vote (32 bytes) and no ancestry (1); before it that vote's signature.
        let at = proof.justification.len() - 40;
        proof.justification[at] ^= 1;
    });
    refused(&world, named(Side::Relay, "justification", Some(60)), trick, relay_is_honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_justification_of_another_set_is_refused() {
    let world = world().await;
    let (earlier, relay) = (world.network.relay().justifications(20), world.network.relay().clone());
    let trick = proof(move |proof| {
        // A true one, for a block that is not there.
        proof.justification = earlier[0].1.clone();
        let target = relay.block_at(20).unwrap();
        proof.block = target.hash;
    });
    // A justification for less than was asked is as good as none: the bridge waits, and stores nothing.
    world.asked.play(trick);
    let (bridge, store) = world.ingest(SourceOptions::default()).await;
    let asked = async || world.asked.proofs().iter().filter(|height| **height > HONEST).count() >= 2;
    until("the bridge has asked again", asked).await;
    assert!(relay_is_honest(&store.cursor().await.unwrap().unwrap()));
    in_time("the bridge stops", bridge.stop()).await;
}

/// Whether this asks for the parachain's head in the state of a relay block above the honest ones.
pub fn asks_for_head(network: &Devnet, side: Side, wanted: &str, method: &str, params: &[Value]) -> bool {
    let key = text(network.head_key());
    let keys = params.first().is_some_and(|first| *first == key || *first == json!([key]));
    let at = || params.get(1).and_then(hash).and_then(|hash| network.relay().block(hash));
    side == Side::Relay
        && method == wanted
        && keys
        && at().is_some_and(|block| block.header.number > HONEST + 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_proof_of_the_parachain_head_is_refused() {
    let world = world().await;
    let network = world.network.clone();
    let trick = move |side, method: &str, params: &[Value]| {
        asks_for_head(&network, side, "state_getReadProof", method, params).then(|| {
            Fault::edit(|answer| {
                let node = answer["proof"].as_array_mut().unwrap().last_mut().unwrap();
                let mut damaged = bytes(node);
                *damaged.last_mut().unwrap() ^= 1;
                *node = text(damaged);
            })
        })
    };
    refused(&world, named(Side::Relay, "para head proof", Some(60)), trick, relay_is_honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parachain_head_that_its_proof_does_not_hold_is_refused() {
    let world = world().await;
    let network = world.network.clone();
    let other = network.para().block_at(3).unwrap().header.encode();
    let trick = move |side, method: &str, params: &[Value]| {
        let asked = asks_for_head(&network, side, "state_getStorage", method, params);
        asked.then(|| Fault::Result(text(other.encode())))
    };
    refused(&world, named(Side::Relay, "para head proof", Some(60)), trick, relay_is_honest).await;
}

fn json_of(header: &Header) -> Value {
    let logs: Vec<_> = header.digest.logs.iter().map(|item| text(item.encode())).collect();
    json!({
        "parentHash": text(header.parent_hash),
        "number": format!("{:#x}", header.number),
        "stateRoot": text(header.state_root),
        "extrinsicsRoot": text(header.extrinsics_root),
        "digest": { "logs": logs },
    })
}

/// Puts a forged header in the place of parachain block `number`, wherever it is asked for by number or by the
/// forged hash.
fn in_place_of(number: u32, header: &Header) -> impl Fn(Side, &str, &[Value]) -> Option<Fault> + use<> {
    let (forged, answer) = (text(header.hash()), json_of(header));
    move |side, method, params| {
        if side != Side::Para {
            return None;
        }
        match (method, params.first()?) {
            ("chain_getHeader", asked) if *asked == forged => Some(Fault::Result(answer.clone())),
            ("chain_getBlockHash", Value::Array(numbers)) => {
                let at = numbers.iter().position(|asked| asked.as_u64() == Some(number.into()))?;
                let forged = forged.clone();
                Some(Fault::edit(move |answer| answer[at] = forged.clone()))
            }
            _ => None,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_parachain_header_is_refused() {
    let world = world().await;
    let mut header = world.network.para().block_at(HONEST_PARA + 5).unwrap().header.clone();
    header.state_root = H256::repeat_byte(9);
    let trick = in_place_of(HONEST_PARA + 5, &header);
    let check = named(Side::Para, "parachain header link", Some(HONEST_PARA + 6));
    refused(&world, check, trick, |cursor| cursor.para.unwrap().height.0 < HONEST_PARA + 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_storage_change_is_refused_and_headers_go_on() {
    let world = world().await;
    let network = world.network.clone();
    let number = |network: &Devnet, value: &Value| {
        hash(value).and_then(|hash| network.para().block(hash)).map(|block| block.header.number)
    };
    let poisoned = HONEST_PARA + 3;
    let trick = move |side, method: &str, params: &[Value]| {
        if side != Side::Para || method != "pha_getStorageChanges" {
            return None;
        }
        let (first, last) = (number(&network, &params[0])?, number(&network, &params[1])?);
        let at = (first..=last).position(|number| number == poisoned)?;
        Some(Fault::edit(move |answer| {
            let change = answer[at]["mainStorageChanges"].as_array_mut().unwrap().last_mut().unwrap();
            change[1] = text(b"more than there is");
        }))
    };
    let tip = world.network.relay().finalized_number();
    let (store_ends, relay_ends) = (poisoned, tip);
    // Relay headers do not wait for the changes: they reach the tip all the same.
    world.asked.play(trick);
    let (bridge, store) = world.ingest(SourceOptions::default()).await;
    let mut events = bridge.events();
    let cause = event("the lie is refused", &mut events, |event| match event {
        Event::Refused { cause, .. } => Some(cause.clone()),
        _ => None,
    })
    .await;
    assert!(cause.starts_with(&format!("state root at {poisoned}: ")), "{cause}");
    let stood = async || store.cursor().await.unwrap().is_some_and(|it| it.relay.height.0 == relay_ends);
    until("headers reach the tip", stood).await;
    let cursor = store.cursor().await.unwrap().unwrap();
    assert!(cursor.changes.0 < store_ends, "{cursor:?}");
    world.asked.be_honest();
    completes(&world, &bridge, &store, &mut events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_even_plausible_names_endpoint_and_block() {
    let world = world().await;
    let forged = HONEST_PARA + 5;
    let genuine = text(world.network.para().block_at(forged).unwrap().hash);
    // The right hash, another header: the source itself sees that.
    let trick = move |side, method: &str, params: &[Value]| {
        (side == Side::Para && method == "chain_getHeader" && params.first() == Some(&genuine))
            .then(|| Fault::edit(|answer| answer["extrinsicsRoot"] = text([3; 32])))
    };
    world.asked.play(trick);
    let (bridge, store) = world.ingest(SourceOptions::default()).await;
    let mut events = bridge.events();
    let cause = event("the lie makes trouble", &mut events, |event| match event {
        Event::IngestTrouble { cause } => Some(cause.clone()),
        _ => None,
    })
    .await;
    let header = world.network.para().block_at(forged).unwrap().hash;
    assert!(cause.contains(&world.url(Side::Para)), "{cause}");
    assert!(cause.contains(&format!("parachain header {header:?}")), "{cause}");
    assert!(store.cursor().await.unwrap().unwrap().para.unwrap().height.0 < forged);
    world.asked.be_honest();
    completes(&world, &bridge, &store, &mut events).await;
}
