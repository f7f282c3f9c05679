//! What the bridge asks the nodes, and what they answer instead of the truth.

use prb_devnet::network::Devnet;
use prb_devnet::rpc::{Fault, FaultHook};
use serde_json::Value;
use sp_core::H256;
use std::sync::{Arc, Mutex};

/// Which chain a question went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Relay,
    Para,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Question {
    pub side: Side,
    pub method: String,
    pub params: Vec<Value>,
}

/// Decides about a request or notification; `None` tells the truth.
pub type Trick = Arc<dyn Fn(Side, &str, &[Value]) -> Option<Fault> + Send + Sync>;

/// Every request to both nodes, and the trick played on the asker.
#[derive(Default)]
pub struct Asked {
    questions: Mutex<Vec<Question>>,
    trick: Mutex<Option<Trick>>,
}

impl Asked {
    /// Listens to both nodes of `network`.
    pub fn listen(network: &Devnet) -> Arc<Self> {
        let asked = Arc::new(Self::default());
        for (side, node) in [(Side::Relay, network.relay_node()), (Side::Para, network.para_node())] {
            let asked = asked.clone();
            let hook: FaultHook = Arc::new(move |method, params| asked.hear(side, method, params));
            node.set_fault(Some(hook));
        }
        asked
    }

    fn hear(&self, side: Side, method: &str, params: &[Value]) -> Option<Fault> {
        self.questions.lock().unwrap().push(Question {
            side,
            method: method.to_owned(),
            params: params.to_vec(),
        });
        let trick = self.trick.lock().unwrap().clone();
        trick.and_then(|trick| trick(side, method, params))
    }

    /// From now on the nodes answer what `trick` says.
    pub fn play(&self, trick: impl Fn(Side, &str, &[Value]) -> Option<Fault> + Send + Sync + 'static) {
        *self.trick.lock().unwrap() = Some(Arc::new(trick));
    }

    /// From now on the nodes are honest.
    pub fn be_honest(&self) {
        *self.trick.lock().unwrap() = None;
    }

    /// Forgets the questions so far.
    pub fn forget(&self) {
        self.questions.lock().unwrap().clear();
    }

    /// How many questions there were.
    #[allow(dead_code)] // the tests of the program use it
    pub fn count(&self) -> usize {
        self.questions.lock().unwrap().len()
    }

    /// All questions to this side.
    #[allow(dead_code)] // the tests of the program use it
    pub fn all(&self, side: Side) -> Vec<Question> {
        self.questions.lock().unwrap().iter().filter(|asked| asked.side == side).cloned().collect()
    }

    /// The questions with this method to this side.
    pub fn of(&self, side: Side, method: &str) -> Vec<Question> {
        let questions = self.questions.lock().unwrap();
        questions.iter().filter(|asked| asked.side == side && asked.method == method).cloned().collect()
    }

    /// Heights whose finality was to be proven.
    pub fn proofs(&self) -> Vec<u32> {
        let heights = self.of(Side::Relay, "grandpa_proveFinality");
        heights.iter().map(|asked| height_of(&asked.params)).collect()
    }

    /// Heights of the headers asked for by hash.
    pub fn headers(&self, side: Side, network: &Devnet) -> Vec<u32> {
        let chain = if side == Side::Relay { network.relay() } else { network.para() };
        let number = |asked: &Question| Some(chain.block(hash(asked.params.first()?)?)?.header.number);
        self.of(side, "chain_getHeader").iter().filter_map(number).collect()
    }

    /// First and last block of each range of storage changes asked for.
    pub fn changes(&self, network: &Devnet) -> Vec<(u32, u32)> {
        let number = |value: &Value| network.para().block(hash(value)?).map(|block| block.header.number);
        let ends = |asked: &Question| Some((number(asked.params.first()?)?, number(asked.params.get(1)?)?));
        self.of(Side::Para, "pha_getStorageChanges").iter().filter_map(ends).collect()
    }
}

/// The height a finality proof is asked for.
pub fn height_of(params: &[Value]) -> u32 {
    u32::try_from(params[0].as_u64().unwrap()).unwrap()
}

/// A hash as nodes write it.
pub fn hash(value: &Value) -> Option<H256> {
    let bytes: [u8; 32] = hex::decode(value.as_str()?.strip_prefix("0x")?).ok()?.try_into().ok()?;
    Some(H256(bytes))
}
