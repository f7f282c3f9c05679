//! Several nodes as one.

use super::node::{ChainNode, NodeError, TxStatus};
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// The first of several nodes that works, until it does not; then the next.
///
/// Requests are asked of the others in turn when a node is lost. A submission goes to one node only: whether the
/// lost one had it, blocks tell.
pub struct Nodes {
    nodes: Vec<Arc<dyn ChainNode>>,
    /// Those that were found to be of another chain, while not all are.
    foreign: Vec<AtomicBool>,
    current: AtomicUsize,
}

impl Nodes {
    /// Some nodes of one chain, the preferred first. None answers every request with [`NodeError::Lost`].
    pub fn new(nodes: Vec<Arc<dyn ChainNode>>) -> Self {
        let foreign = nodes.iter().map(|_| AtomicBool::new(false)).collect();
        Self { nodes, foreign, current: AtomicUsize::new(0) }
    }

    fn current(&self) -> Result<(usize, &dyn ChainNode), NodeError> {
        let turn = self.current.load(Ordering::Relaxed);
        let node = self.nodes.get(turn % self.nodes.len().max(1));
        let node = node.ok_or_else(|| NodeError::Lost("no node is configured".into()))?;
        Ok((turn, node.as_ref()))
    }

    /// Leaves the node that was current in `turn`. Of many who notice, one moves on.
    fn leave(&self, turn: usize, cause: &NodeError) {
        // Alone, it is asked again: there is nobody to go to.
        let len = self.nodes.len();
        if len < 2 {
            return;
        }
        let fits = |turn: &usize| !self.foreign[turn % len].load(Ordering::Relaxed);
        let Some(next) = (turn + 1..turn + len).find(fits) else { return };
        let moved = self.current.compare_exchange(turn, next, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_ok() {
            let name = |turn: usize| self.nodes[turn % len].endpoint();
            tracing::warn!(from = name(turn), to = name(next), %cause, "transactions go through another node");
            metrics::counter!("prb_tx_node_changes_total").increment(1);
        }
    }
}

#[async_trait]
impl ChainNode for Nodes {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let mut lost = NodeError::Lost("no node is configured".into());
        for _ in 0..self.nodes.len() {
            let (turn, node) = self.current()?;
            match node.request(method, params.clone()).await {
                Err(error @ (NodeError::Lost(_) | NodeError::Moved | NodeError::Nonsense(_))) => {
                    self.leave(turn, &error);
                    lost = error;
                }
                answer => return answer,
            }
        }
        Err(lost)
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        let (turn, node) = self.current()?;
        let answer = node.submit(extrinsic).await;
        if let Err(error @ (NodeError::Lost(_) | NodeError::Moved)) = &answer {
            self.leave(turn, error);
        }
        answer
    }

    fn connection(&self) -> u64 {
        // Each of them only grows, so the sum stays only if all do.
        let turn = self.current.load(Ordering::Relaxed) as u64;
        self.nodes.iter().fold(turn, |sum, node| sum.wrapping_add(node.connection()))
    }

    fn doubt(&self, why: &NodeError) {
        if let Ok((turn, node)) = self.current() {
            node.doubt(why);
            self.leave(turn, why);
        }
    }

    fn disown(&self) -> bool {
        let Ok((turn, _)) = self.current() else { return false };
        let set = |foreign: &AtomicBool, value| foreign.store(value, Ordering::Relaxed);
        set(&self.foreign[turn % self.nodes.len()], true);
        let all = self.foreign.iter().all(|foreign| foreign.load(Ordering::Relaxed));
        if all {
            // Whichever comes right again is to be found.
            self.foreign.iter().for_each(|foreign| set(foreign, false));
        }
        self.leave(turn, &NodeError::Nonsense("it is of another chain".to_owned()));
        !all
    }

    fn endpoint(&self) -> String {
        self.current().map_or_else(|error| error.to_string(), |(_, node)| node.endpoint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use serde_json::json;

    struct Node {
        name: &'static str,
        up: AtomicBool,
        submissions: AtomicUsize,
    }

    #[async_trait]
    impl ChainNode for Node {
        async fn request(&self, _: &str, _: Value) -> Result<Value, NodeError> {
            match self.up.load(Ordering::Relaxed) {
                true => Ok(json!(self.name)),
                false => Err(NodeError::Lost("down".into())),
            }
        }

        async fn submit(&self, _: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
            self.submissions.fetch_add(1, Ordering::Relaxed);
            match self.up.load(Ordering::Relaxed) {
                true => Ok(futures::stream::empty().boxed()),
                false => Err(NodeError::Lost("down".into())),
            }
        }
    }

    fn pair() -> ([Arc<Node>; 2], Nodes) {
        let node =
            |name| Arc::new(Node { name, up: AtomicBool::new(true), submissions: AtomicUsize::new(0) });
        let pair = [node("a"), node("b")];
        let nodes = Nodes::new(pair.iter().map(|node| node.clone() as Arc<dyn ChainNode>).collect());
        (pair, nodes)
    }

    async fn who(nodes: &Nodes) -> Value {
        nodes.request("any", json!([])).await.unwrap()
    }

    #[tokio::test]
    async fn a_lost_node_is_left_and_not_gone_back_to_at_once() {
        let ([a, _], nodes) = pair();
        assert_eq!(who(&nodes).await, "a");
        let connection = nodes.connection();
        a.up.store(false, Ordering::Relaxed);
        assert_eq!(who(&nodes).await, "b");
        assert!(nodes.connection() > connection, "another node is another connection");
        a.up.store(true, Ordering::Relaxed);
        assert_eq!(who(&nodes).await, "b");
        nodes.doubt(&NodeError::Lost("doubted".into()));
        assert_eq!(who(&nodes).await, "a");
    }

    #[tokio::test]
    async fn a_node_of_another_chain_is_passed_over_until_all_are() {
        let ([a, b], nodes) = pair();
        assert!(nodes.disown());
        assert_eq!(who(&nodes).await, "b");
        // Better one that is down than one of another chain.
        b.up.store(false, Ordering::Relaxed);
        assert!(nodes.request("any", json!([])).await.is_err());
        b.up.store(true, Ordering::Relaxed);
        assert_eq!(who(&nodes).await, "b");
        assert!(!nodes.disown(), "nobody is left");
        assert_eq!(who(&nodes).await, "a");
        a.up.store(false, Ordering::Relaxed);
        assert_eq!(who(&nodes).await, "b");
    }

    #[tokio::test]
    async fn a_submission_goes_to_one_node_even_when_it_is_lost() {
        let ([a, b], nodes) = pair();
        a.up.store(false, Ordering::Relaxed);
        assert!(matches!(nodes.submit(&[1]).await, Err(NodeError::Lost(_))));
        assert_eq!((a.submissions.load(Ordering::Relaxed), b.submissions.load(Ordering::Relaxed)), (1, 0));
        assert!(nodes.submit(&[2]).await.is_ok());
        assert_eq!(b.submissions.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn no_nodes_are_lost() {
        let nodes = Nodes::new(vec![]);
        assert!(matches!(nodes.request("any", json!([])).await, Err(NodeError::Lost(_))));
    }
}
