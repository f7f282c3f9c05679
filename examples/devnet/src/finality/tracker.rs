//! Which set finalizes the next block, and where that ends: read from header digests.

use codec::Decode;
use sp_consensus_grandpa::{AuthorityList, ConsensusLog, GRANDPA_ENGINE_ID, ScheduledChange};
use sp_core::H256;
use sp_runtime::DigestItem;

use crate::chain::{Block, Chain, Header};

/// `Grandpa.CurrentSetId` and `Grandpa.Authorities` of the relay runtime.
const CURRENT_SET_ID: &str = "5f9cc45b7a00c5899361e1c6099678dc8a2d09463effcc78a22d75b9cb87dffc";
const AUTHORITIES: &str = "5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d";

/// The set in force above the last set end.
pub(super) struct Tracker {
    pub(super) first_set: u64,
    pub(super) set_id: u64,
    pub(super) voters: AuthorityList,
    /// Height and hash up to which headers were read.
    scanned: (u32, H256),
    set_start: u32,
    pending: Option<SetEnd>,
}

/// Where a set ends and what follows.
#[derive(Debug, Clone)]
pub(super) struct SetEnd {
    /// The last block of the outgoing set; with a forced change, the median it names.
    pub(super) last_block: u32,
    pub(super) forced: bool,
    enacted_at: u32,
    next: AuthorityList,
}

impl Tracker {
    pub(super) fn from_state(chain: &Chain, head: &Block) -> Self {
        let key = |text| hex::decode(text).expect("a hex literal");
        let set_id = chain.read_as(&key(CURRENT_SET_ID), Some(head.hash)).unwrap_or(0);
        let voters = chain.read_as(&key(AUTHORITIES), Some(head.hash)).unwrap_or_default();
        Self {
            first_set: set_id,
            set_id,
            voters,
            scanned: (head.header.number, head.hash),
            set_start: head.header.number,
            pending: None,
        }
    }

    /// The end of the current set if it is at or below `reach`.
    pub(super) fn end_of_set(&mut self, chain: &Chain, reach: u32) -> Option<SetEnd> {
        if chain.block_at(self.scanned.0).is_none_or(|block| block.hash != self.scanned.1) {
            // The headers read last were abandoned: read those of this set again.
            self.pending = None;
            self.scanned = (self.set_start, chain.block_at(self.set_start)?.hash);
        }
        while self.pending.is_none() && self.scanned.0 < chain.best().header.number {
            let block = chain.block_at(self.scanned.0 + 1)?;
            self.scanned = (block.header.number, block.hash);
            self.pending = signalled(&block.header);
        }
        self.pending.clone().filter(|end| end.enacted_at <= reach)
    }

    /// No member of the current set votes above this height.
    pub(super) fn limit(&self) -> Option<u32> {
        self.pending.as_ref().map(|end| end.enacted_at)
    }

    pub(super) fn enter(&mut self, end: SetEnd) {
        self.set_id += 1;
        self.set_start = end.enacted_at;
        self.voters = end.next;
        self.pending = None;
    }
}

/// The first set change a header announces.
fn signalled(header: &Header) -> Option<SetEnd> {
    let end = |change: ScheduledChange<u32>, median: Option<u32>| {
        let enacted_at = header.number + change.delay;
        SetEnd {
            last_block: median.unwrap_or(enacted_at),
            forced: median.is_some(),
            enacted_at,
            next: change.next_authorities,
        }
    };
    header.digest.logs.iter().find_map(|item| {
        let DigestItem::Consensus(GRANDPA_ENGINE_ID, data) = item else { return None };
        match ConsensusLog::<u32>::decode(&mut &data[..]).ok()? {
            ConsensusLog::ScheduledChange(change) => Some(end(change, None)),
            ConsensusLog::ForcedChange(median, change) => Some(end(change, Some(median))),
            _ => None,
        }
    })
}
