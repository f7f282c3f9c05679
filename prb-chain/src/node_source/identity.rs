//! Which chain a node is of.

use super::json::HashText;
use crate::rpc::{Question, Rpc};
use prb_core::{id::Hash, port::SourceError};
use serde_json::json;
use std::sync::{Mutex, PoisonError};

/// Hash of a node's block 0, asked once per connection: behind an address that was there before may be another node.
pub(super) struct Identity {
    rpc: Rpc,
    /// `relay chain` or `parachain`, for errors.
    chain: &'static str,
    /// What it was, and on which connection.
    seen: Mutex<Option<(u64, Hash)>>,
}

impl Identity {
    pub(super) fn new(rpc: Rpc, chain: &'static str) -> Self {
        Self { rpc, chain, seen: Mutex::default() }
    }

    /// An answer of the node, unless the node is of another chain than `expected`.
    pub(super) async fn vouched<T>(
        &self,
        expected: Option<Hash>,
        answer: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let Some(expected) = expected else { return answer.await };
        // Read before the check: one made anew after it may be to another node.
        let connection = self.rpc.connection();
        self.check(expected).await?;
        let answer = answer.await;
        if self.rpc.connection() != connection {
            // It connected anew meanwhile, perhaps to another node.
            self.check(expected).await?;
        }
        answer
    }

    /// Fails if the node is of another chain.
    pub(super) async fn check(&self, expected: Hash) -> Result<(), SourceError> {
        let found = self.hash().await?;
        if found == expected {
            return Ok(());
        }
        let endpoint = self.rpc.endpoint().to_owned();
        Err(SourceError::Foreign { endpoint, chain: self.chain, found, expected })
    }

    async fn hash(&self) -> Result<Hash, SourceError> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((connection, hash)) = seen
            && connection == self.rpc.connection()
        {
            return Ok(hash);
        }
        let what = format!("hash of {} block 0", self.chain);
        let question = Question::new("chain_getBlockHash", vec![json!(0)], what.as_str());
        let before = self.rpc.connection();
        let answer: Option<HashText> = self.rpc.ask(question).await?;
        let hash = answer.ok_or_else(|| self.rpc.missing(what))?.0;
        let after = self.rpc.connection();
        // Of two connections nobody knows which brought it; the next call asks again.
        if after == before.max(1) {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((after, hash));
        }
        Ok(hash)
    }
}
