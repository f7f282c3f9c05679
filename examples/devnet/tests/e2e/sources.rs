//! Two nodes of each chain: what one gets wrong is taken from the other, and nobody has to act.

use crate::asked::{Side, hash, height_of};
use crate::lies::{asks_for_head, bytes, text};
use crate::world::{ANY, World, event, in_time, until, works};
use codec::Encode;
use prb_chain::node_source::{NodeSource, SourceOptions};
use prb_cli::deployment::Deployment;
use prb_core::pipeline::Event;
use prb_core::port::{BlobStore, BlockSource};
use prb_core::testkit::Observed;
use prb_devnet::finality::FinalityProof;
use prb_devnet::network::{self, Devnet};
use prb_devnet::rpc::{Fault, RpcServer};
use serde_json::Value;
use std::time::Duration;

/// Relay blocks up to here are told honestly.
const HONEST: u32 = 25;

/// The nodes of `world`, which may lie, and beside them honest nodes with the same blocks.
pub struct Two {
    pub world: World,
    honest: [RpcServer; 2],
}

impl Two {
    pub async fn new(history: u32) -> Self {
        let world = World::new(network::Config::default(), history, 0).await;
        let other = Devnet::new(network::Config::default()).unwrap();
        other.steps(history).unwrap();
        let honest = [other.serve_relay(ANY).await.unwrap(), other.serve_para(ANY).await.unwrap()];
        Self { world, honest }
    }

    pub fn urls(&self, side: Side) -> [String; 2] {
        let [relay, para] = &self.honest;
        [self.world.url(side), if side == Side::Relay { relay.url() } else { para.url() }]
    }

    fn source(&self) -> NodeSource {
        let options = SourceOptions { survey: Duration::from_millis(100), ..never_slow() };
        NodeSource::at(&self.urls(Side::Relay), &self.urls(Side::Para), options)
    }

    /// Everything is stored though the preferred node of one chain goes on lying; `check` is what it is refused for.
    async fn is_got_over(
        &self,
        side: Side,
        check: &str,
        trick: impl Fn(Side, &str, &[Value]) -> Option<Fault> + Send + Sync + 'static,
    ) {
        let observed = Observed::begin();
        let world = &self.world;
        world.asked.play(trick);
        let (bridge, store) = world.ingest_from(self.source()).await;
        let mut events = bridge.events();
        let liar = world.url(side);
        let cause = event("the lie is refused", &mut events, |event| match event {
            Event::Refused { endpoint, cause } => {
                assert_eq!(*endpoint, liar);
                Some(cause.clone())
            }
            _ => None,
        })
        .await;
        assert!(cause.starts_with(&format!("{check} at ")), "{cause}");
        event("ingest recovers", &mut events, |event| matches!(event, Event::IngestRecovered).then_some(()))
            .await;
        world.until_stored(async || store.cursor().await.unwrap()).await;
        let cursor = store.cursor().await.unwrap().unwrap();
        assert_eq!(cursor.relay.hash.0, world.network.relay().finalized().hash.0);
        assert_eq!(cursor.state.unwrap().1.0, world.network.para().finalized().header.state_root.0);
        assert_eq!(bridge.failure(), None);
        in_time("the bridge stops", bridge.stop()).await;

        let times = times_left(&observed, side, &liar, "refused", "an answer was refused");
        assert!(!observed.lines(&["WARN", "endpoint left", &liar, &cause]).is_empty(), "{cause}");
        assert!(observed.counter(&format!("prb_ingest_refused_total{{check={check}}}")) >= times, "{check}");
        let told = observed.lines(&["WARN", "refused an answer", &liar]);
        assert!(!told.is_empty() && told.len() as u64 <= times && told[0].contains(&cause), "{told:?}");
    }
}

/// No endpoint is taken for slow because the machine is.
pub fn never_slow() -> SourceOptions {
    SourceOptions { hedge_after: Duration::from_secs(600), ..SourceOptions::default() }
}

/// How often an endpoint was left for a reason (in metrics, and in words): once, and once more each time that its pause
/// was over and it was used again. Each time is counted and told.
pub fn times_left(observed: &Observed, side: Side, endpoint: &str, reason: &str, words: &str) -> u64 {
    let chain = if side == Side::Relay { "relay chain" } else { "parachain" };
    let labels = format!("chain={chain},endpoint={endpoint},reason={reason}");
    let times = observed.counter(&format!("prb_source_left_total{{{labels}}}"));
    let endpoint = format!("endpoint={endpoint}");
    let told =
        |level: &str, what: &str| observed.lines(&[level, what, &endpoint, &format!("reason={words}")]);
    let (left, again) = (told("WARN", "endpoint left"), told("INFO", "endpoint is used again"));
    assert_eq!(left.len() as u64, times, "{left:?}");
    assert!(times >= 1 && left.len() <= again.len() + 1, "{left:?} {again:?}");
    times
}

/// X2, X6: a justification with a wrong signature.
#[tokio::test]
async fn x6_an_invalid_justification_is_taken_from_another_node() {
    let two = Two::new(70).await;
    let trick = crate::lies::proof(|proof| {
        let at = proof.justification.len() - 40;
        proof.justification[at] ^= 1;
    });
    two.is_got_over(Side::Relay, "justification", trick).await;
}

/// X5: a batch that reaches past a change of authorities, justified by the set after it.
#[tokio::test]
async fn x5_a_batch_that_spans_a_set_change_is_refused_and_taken_from_another_node() {
    let two = Two::new(90).await;
    let relay = two.world.network.relay().clone();
    let trick = move |side, method: &str, params: &[Value]| {
        let from = (side == Side::Relay && method == "grandpa_proveFinality").then(|| height_of(params))?;
        if !(HONEST + 1..60).contains(&from) {
            return None;
        }
        // Sets end every 20 blocks.
        let block = |number| relay.block_at(number).unwrap();
        let proof = FinalityProof {
            block: block(80).hash,
            justification: relay.justifications(80)[0].1.clone(),
            unknown_headers: (from + 1..=80).map(|number| block(number).header.clone()).collect(),
        };
        Some(Fault::Result(text(proof.encode())))
    };
    two.is_got_over(Side::Relay, "set change", trick).await;
}

/// X2: a damaged proof of the parachain's head.
#[tokio::test]
async fn x2_a_damaged_head_proof_is_taken_from_another_node() {
    let two = Two::new(70).await;
    let network = two.world.network.clone();
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
    two.is_got_over(Side::Relay, "para head proof", trick).await;
}

/// X2: storage changes that lead to another state.
#[tokio::test]
async fn x2_changed_storage_changes_are_taken_from_another_node() {
    let two = Two::new(70).await;
    let network = two.world.network.clone();
    let trick = move |side, method: &str, params: &[Value]| {
        if side != Side::Para || method != "pha_getStorageChanges" {
            return None;
        }
        let first = network.para().block(hash(&params[0])?)?.header.number;
        (first > 8).then(|| {
            Fault::edit(|answer| {
                let change = answer[0]["mainStorageChanges"].as_array_mut().unwrap().last_mut().unwrap();
                change[1] = text(b"more than there is");
            })
        })
    };
    two.is_got_over(Side::Para, "state root", trick).await;
}

/// X6: the preferred node has no finality proof at all.
#[tokio::test]
async fn x6_a_missing_justification_is_taken_from_another_node() {
    let observed = Observed::begin();
    let two = Two::new(70).await;
    two.world.asked.play(|side, method, params| match method {
        "grandpa_proveFinality" if side == Side::Relay && height_of(params) > HONEST => {
            Some(Fault::Result(Value::Null))
        }
        "chain_getBlock" if side == Side::Relay => {
            Some(Fault::edit(|block| block["justifications"] = Value::Null))
        }
        _ => None,
    });
    let source = two.source();
    let [lacking, _] = two.urls(Side::Relay);
    // Who has not told its height yet cannot be known to lack a block below it.
    source.tips().await.unwrap();
    let height = format!("prb_source_height{{chain=relay chain,endpoint={lacking}}}");
    until("its height is known", async || observed.gauge(&height).is_some()).await;
    let (bridge, store) = two.world.ingest_from(source).await;
    two.world.until_stored(async || store.cursor().await.unwrap()).await;
    assert_eq!(bridge.failure(), None);
    in_time("the bridge stops", bridge.stop()).await;
    assert_eq!(observed.lines(&["refused an answer"]), Vec::<String>::new(), "nobody lied");
    let cause = "it has no relay headers at ";
    let told = observed.lines(&["WARN", "endpoint left", &lacking, cause, "another has"]);
    let times = times_left(&observed, Side::Relay, &lacking, "failing", "fails for relay headers");
    assert_eq!(told.len() as u64, times, "{told:?}");
}

/// X1: nodes die and come back under a whole deployment; the others carry on.
#[tokio::test(flavor = "multi_thread")]
async fn x1_workers_are_fed_while_either_node_of_a_chain_is_down() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    let relay = world.network.serve_relay(ANY).await.unwrap();
    let para = world.network.serve_para(ANY).await.unwrap();
    let mut config = world.config();
    config.chain.relay = vec![world.url(Side::Relay), relay.url()].into();
    // Transactions go through the first one, which stays.
    config.chain.para = vec![para.url(), world.url(Side::Para)].into();
    world.run_chains();
    let deployment = Deployment::start(&config).await.unwrap();
    world.until_working(&deployment).await;

    let follows = async |world: &World, what: &str| {
        let goal = world.network.para().finalized_number() + 6;
        until(what, async || world.workers[0].info().blocknum > goal).await;
    };
    world.down(Side::Relay).await;
    world.down(Side::Para).await;
    follows(&world, "the worker follows without the first relay and the second para node").await;
    world.up(Side::Relay).await;
    world.up(Side::Para).await;
    relay.stop().await;
    follows(&world, "the worker follows without the second relay node").await;
    assert!(deployment.bridge().workers_status().iter().all(works));
    assert_eq!(deployment.transactions().failed, 0);
    assert!(deployment.failure().is_none());
    world.halt_chains().await;
    in_time("the bridge stops", deployment.stop()).await;
    para.stop().await;
}
