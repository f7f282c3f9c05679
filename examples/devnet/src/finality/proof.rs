//! Finality proofs of past blocks, as `grandpa_proveFinality` gives them (`sc-consensus-grandpa`).

use codec::{Decode, Encode};
use sp_consensus_grandpa::GRANDPA_ENGINE_ID;
use sp_core::H256;

use crate::chain::{Chain, Header};

/// Most headers in one proof (`MAX_UNKNOWN_HEADERS` of `sc-consensus-grandpa`).
pub const MAX_UNKNOWN_HEADERS: usize = 100_000;

/// A justified block and the headers between the block asked for and that one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FinalityProof {
    /// The block the justification is for.
    pub block: H256,
    /// SCALE justification.
    pub justification: Vec<u8>,
    /// Headers above the block asked for, up to the justified one.
    pub unknown_headers: Vec<Header>,
}

/// Why there is no proof. The texts are those of `sc-consensus-grandpa`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// Above the finalized head.
    #[error("Block not yet finalized")]
    NotYetFinalized,
    /// The node does not know which set was in force.
    #[error("Block not covered by authority set changes")]
    NotCovered,
}

pub(super) fn prove(
    chain: &Chain,
    completed: &[(u64, u32)],
    latest: Option<&(u32, Vec<u8>)>,
    first_set: u64,
    number: u32,
) -> Result<Option<FinalityProof>, ProveError> {
    if number > chain.finalized_number() {
        return Err(ProveError::NotYetFinalized);
    }
    let position = completed.partition_point(|(_, last)| *last < number);
    let (last, justification) = match completed.get(position) {
        // The first set this node knows the end of may have begun after `number`.
        Some((set_id, _)) if position == 0 && *set_id != first_set => return Err(ProveError::NotCovered),
        Some((_, last)) => {
            let stored = chain.justifications(*last);
            match stored.into_iter().find(|(engine, _)| *engine == GRANDPA_ENGINE_ID) {
                Some((_, justification)) => (*last, justification),
                None => return Ok(None),
            }
        }
        None => match latest {
            Some((last, justification)) => (*last, justification.clone()),
            None => return Ok(None),
        },
    };
    let unknown_headers = (number.saturating_add(1)..=last)
        .take(MAX_UNKNOWN_HEADERS)
        .filter_map(|number| chain.block_at(number))
        .map(|block| block.header.clone())
        .collect();
    let block = chain.block_at(last).map(|block| block.hash).unwrap_or_default();
    Ok(Some(FinalityProof { block, justification, unknown_headers }))
}
