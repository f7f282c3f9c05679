//! The way to the node, on which anything may go wrong.

use super::{
    node::{Node, refusal},
    proof::Proof,
    tally::Tally,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use prb_chain::{
    journal::Journal,
    trader::{ChainNode, NodeError, TxStatus},
};
use prb_core::{id::Hash, testkit::Dice};
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Refusals that prove that the node did not take the transaction.
const REFUSALS: [(i64, &str, &str); 14] = [
    (1001, "Extrinsic has invalid format", "1001"),
    (1002, "Verification Error: Runtime error", "1002"),
    (1010, "Transaction is outdated", "1010 stale"),
    (1010, "Transaction will be valid in the future", "1010 future"),
    (1010, "Transaction has a bad signature", "1010 bad signature"),
    (1010, "Transaction has an ancient birth block", "1010 ancient birth"),
    (1010, "Transaction would exhaust the block limits", "1010 too heavy"),
    (1010, "Inability to pay some fees (e.g. account balance too low)", "1010 cannot pay"),
    (1011, "Unknown Transaction Validity", "1011"),
    (1012, "Transaction is temporarily banned", "1012"),
    (1014, "Priority is too low: (1 vs 2)", "1014"),
    (1014, "Priority is too low: (2 vs 2)", "1014"),
    (1015, "Cycle Detected", "1015"),
    (1016, "Immediately Dropped", "1016"),
];

/// A fault in one submission of so many: there are few of them.
const SUBMISSIONS: u64 = 3;

/// What a wire belongs to.
pub struct Way {
    pub node: Node,
    /// Who uses it, for the tally.
    pub who: &'static str,
    pub tally: Tally,
    /// A fault in one other request of so many, until the relay chain is at `calm`.
    pub once_in: u64,
    pub calm: u32,
}

/// One life's connection to the node.
pub struct Wire {
    way: Way,
    dice: Mutex<Dice>,
    connection: AtomicU64,
    /// Finalized blocks that the node behind it lacks.
    lag: AtomicU32,
    /// Who is told what is sent.
    proof: Option<(Proof, Arc<Journal>)>,
}

impl Wire {
    pub fn new(way: Way, seed: u64, proof: Option<(Proof, Arc<Journal>)>) -> Self {
        let (dice, connection) = (Mutex::new(Dice::new(seed)), AtomicU64::new(1));
        Self { way, dice, connection, lag: AtomicU32::new(0), proof }
    }

    fn below(&self, end: u64) -> u64 {
        self.dice.lock().unwrap().below(end)
    }

    fn is_restless(&self) -> bool {
        self.way.node.chain.tips().relay.0 < self.way.calm
    }

    /// Which of so many faults this request meets, if any. A node that lags is asked no more once all is calm.
    fn strike(&self, once_in: u64, faults: u64) -> Option<u64> {
        if !self.is_restless() {
            if self.lag.load(Ordering::Relaxed) > 0 {
                self.connect();
            }
            return None;
        }
        (self.below(once_in) == 0).then(|| self.below(faults))
    }

    fn count(&self, what: &'static str) {
        self.way.tally.count(self.way.who, what);
    }

    /// From now on another connection answers, perhaps of a node that is behind.
    fn connect(&self) {
        let lag = if self.is_restless() && self.below(3) == 0 { 1 + self.below(4) as u32 } else { 0 };
        if lag > 0 {
            self.count("node behind");
        }
        self.lag.store(lag, Ordering::Relaxed);
        self.connection.fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&self, what: &'static str) -> NodeError {
        self.count(what);
        self.connect();
        NodeError::Lost(what.to_owned())
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, NodeError> {
        self.way.node.answer(method, params, self.lag.load(Ordering::Relaxed))
    }

    async fn pass(&self, longest: u64) {
        let time = Duration::from_millis(100 + 1000 * self.below(longest));
        tokio::time::sleep(time).await;
    }
}

#[async_trait]
impl ChainNode for Wire {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match self.strike(self.way.once_in, 8) {
            None => {}
            Some(0 | 1) => return Err(self.lost("connection lost")),
            Some(2) => {
                let _ = self.answer(method, &params);
                return Err(self.lost("answer lost"));
            }
            Some(3) => {
                self.pass(40).await;
                return Err(self.lost("no answer in time"));
            }
            Some(4) => {
                self.count("slow answer");
                self.pass(8).await;
            }
            Some(5) => {
                self.count("another connection");
                self.connect();
            }
            Some(6) if method == "chain_getBlock" => {
                self.count("body not kept");
                return Ok(Value::Null);
            }
            Some(6) if method.starts_with("state_") => {
                self.count("state not kept");
                return Err(refusal(4003, "UnknownBlock: State already discarded"));
            }
            Some(_) => {
                self.count("request refused");
                return Err(refusal(-32000, "too many requests"));
            }
        }
        self.answer(method, &params)
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let hash = Hash::of(extrinsic);
        let (proof, journal) = self.proof.as_ref().expect("only the trader submits");
        proof.attempt(extrinsic, journal);
        let node = &self.way.node;
        match self.strike(SUBMISSIONS, 12) {
            None => {}
            Some(0) => return Err(self.lost("submission lost")),
            Some(1) => {
                let _ = node.give(extrinsic);
                return Err(self.lost("submission's answer lost"));
            }
            Some(2) => {
                let _ = node.give(extrinsic);
                self.pass(40).await;
                return Err(self.lost("submission not answered in time"));
            }
            Some(3) => {
                // An error about something else: it says nothing about the transaction.
                let _ = node.give(extrinsic);
                self.count("error after acceptance");
                return Err(refusal(-32000, "subscription limit"));
            }
            Some(4) if node.give(extrinsic).is_ok() => {
                self.count("submission refused, 1013");
                return Err(refusal(1013, "Already imported"));
            }
            Some(5) if node.give(extrinsic).is_ok() => {
                self.count("dropped at once");
                let statuses = node.watch(hash);
                node.drop_pooled(hash);
                return Ok(statuses);
            }
            Some(_) => {
                let (code, text, name) = REFUSALS[self.below(REFUSALS.len() as u64) as usize];
                self.way.tally.count("submission refused", name);
                proof.refused(hash);
                return Err(refusal(code, text));
            }
        }
        match node.give(extrinsic) {
            Ok(()) => Ok(node.watch(hash)),
            Err(error) => {
                self.count("submission refused for a reason");
                proof.refused(hash);
                Err(error)
            }
        }
    }

    fn connection(&self) -> u64 {
        self.connection.load(Ordering::Relaxed)
    }

    fn endpoint(&self) -> String {
        self.way.who.to_owned()
    }
}
