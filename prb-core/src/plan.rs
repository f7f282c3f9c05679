//! What to send to a worker next.
//!
//! A worker's three counters, what the store covers and the two justified relay blocks around the worker decide
//! the next request; nothing else does, so the same question always has the same answer.

mod load;
mod portion;

pub use load::{load_at, may_load};
pub use portion::Portion;

use crate::{
    id::{Hash, Height},
    port::{Coverage, Rung, WorkerInfo},
    span::Span,
};

/// Where a worker stands: the next numbers it expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Next relay header (of a standalone chain: next header).
    pub header: Height,
    /// Next parachain header.
    pub para: Height,
    /// Next block.
    pub block: Height,
    /// Whether it holds a relay state root for which parachain headers can still be sent.
    pub waiting: bool,
}

impl From<&WorkerInfo> for Position {
    fn from(info: &WorkerInfo) -> Self {
        Self {
            header: info.headernum,
            para: info.para_headernum,
            block: info.blocknum,
            waiting: info.waiting_for_paraheaders,
        }
    }
}

/// The justified relay blocks that matter to a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rungs {
    /// The one at exactly `header - 1`, where the worker stands.
    pub here: Option<Rung>,
    /// The first one at or after `header`.
    pub ahead: Option<Rung>,
}

impl Rungs {
    /// Picks them from the rungs at or after `header - 1`, ascending; two are enough.
    pub fn around(header: Height, rungs: &[Rung]) -> Self {
        Self {
            here: rungs.iter().find(|rung| rung.at.next() == header).copied(),
            ahead: rungs.iter().find(|rung| rung.at >= header).copied(),
        }
    }
}

/// The next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Storage changes of these blocks, or of a prefix of them that fits the budget.
    Blocks(Span),
    /// These parachain headers with the proof at relay block `at`, where the worker stands.
    ParaHeaders {
        /// Parachain headers; all of them, for the proof shows the last.
        headers: Span,
        /// Relay block of the proof.
        at: Height,
    },
    /// These relay headers; all of them, for the last is justified.
    Headers(Span),
    /// Both: relay headers, then parachain headers with the proof at the last of them.
    Combined {
        /// Relay headers.
        relay: Span,
        /// Parachain headers.
        para: Span,
    },
    /// The worker has everything there is.
    AtTip,
    /// Data is on its way to the store.
    Wait(Wait),
    /// The worker cannot be fed.
    Cannot(Cannot),
}

/// For what to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Storage changes of this block are not in the store yet.
    Changes(Height),
    /// The store is behind the worker, which another bridge fed before.
    Store {
        /// What the worker expects next.
        worker: Height,
        /// The store's last relay header.
        store: Height,
    },
    /// The store is empty.
    Empty,
}

/// Why a worker cannot be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cannot {
    /// It belongs to another network.
    #[error(
        "worker was initialised for the chain that starts at {worker}, this store follows the one that starts at {store}; point it at its own network, or reset the worker"
    )]
    ForeignChain {
        /// Start header it was initialised with.
        worker: Hash,
        /// Start header of the store.
        store: Hash,
    },
    /// It needs data from before the store's beginning.
    #[error(
        "worker needs block {needed}, the store begins at {first}; feed it from a complete store, or reset it and sync fast"
    )]
    BehindStore {
        /// What it expects next.
        needed: Height,
        /// First stored height.
        first: Height,
    },
}

/// The next request for a worker at `position` that was initialised with `start` (hash of its start header).
pub fn plan(start: Option<Hash>, position: Position, coverage: Option<&Coverage>, rungs: Rungs) -> Plan {
    let Some(coverage) = coverage else { return Plan::Wait(Wait::Empty) };
    if let Some(worker) = start.filter(|start| *start != coverage.identity.start) {
        return Plan::Cannot(Cannot::ForeignChain { worker, store: coverage.identity.start });
    }
    // Blocks first: each relay batch is followed by its parachain headers and then its blocks, so a worker never
    // queues more state roots than one batch brings.
    let headers_end = if coverage.parachain { position.para } else { position.header };
    if position.block < headers_end {
        return blocks(position.block, headers_end, coverage.changes);
    }
    let planned = match para_headers(position, coverage, rungs.here) {
        Ok(None) => relay_headers(position, coverage, rungs.ahead),
        Ok(Some(plan)) => Ok(plan),
        Err(cannot) => Err(cannot),
    };
    planned.unwrap_or_else(Plan::Cannot)
}

/// Whether a worker at `position` lacks no more than the last `near` relay blocks and the last `near` blocks of what
/// is stored: what it is sent next is small, and somebody waits for what it makes of it.
pub fn is_near_tip(position: Position, coverage: &Coverage, near: u32) -> bool {
    let lacks = |next: Height, stored: Option<Span>| {
        stored.map_or(0, |stored| stored.last().next().0.saturating_sub(next.0))
    };
    lacks(position.header, coverage.relay) <= near && lacks(position.block, coverage.changes) <= near
}

fn blocks(next: Height, headers_end: Height, stored: Option<Span>) -> Plan {
    let Some(stored) = stored else { return Plan::Wait(Wait::Changes(next)) };
    if next < stored.first() {
        return Plan::Cannot(Cannot::BehindStore { needed: next, first: stored.first() });
    }
    let last = headers_end.prev().unwrap_or_default().min(stored.last());
    Span::new(next, last).map_or(Plan::Wait(Wait::Changes(next)), Plan::Blocks)
}

/// Parachain headers that the relay block the worker stands at proves and that it does not have yet.
fn para_headers(position: Position, coverage: &Coverage, here: Option<Rung>) -> Result<Option<Plan>, Cannot> {
    let Some(here) = here.filter(|_| position.waiting) else { return Ok(None) };
    let headers = provable(position.para, coverage, here)?;
    Ok(headers.map(|headers| Plan::ParaHeaders { headers, at: here.at }))
}

fn relay_headers(position: Position, coverage: &Coverage, ahead: Option<Rung>) -> Result<Plan, Cannot> {
    let Some(stored) = coverage.relay else { return Ok(Plan::Wait(Wait::Empty)) };
    // A standalone worker counts headers from 0 and takes a leading copy of the genesis header.
    if position.header < stored.first() {
        return Err(Cannot::BehindStore { needed: position.header, first: stored.first() });
    }
    if position.header > stored.last() {
        return Ok(if position.header == stored.last().next() {
            Plan::AtTip
        } else {
            Plan::Wait(Wait::Store { worker: position.header, store: stored.last() })
        });
    }
    let Some((ahead, relay)) = ahead.and_then(|rung| Some((rung, Span::new(position.header, rung.at)?)))
    else {
        return Ok(Plan::AtTip);
    };
    Ok(match provable(position.para, coverage, ahead)? {
        Some(para) => Plan::Combined { relay, para },
        None => Plan::Headers(relay),
    })
}

/// The parachain headers from `next` up to the head proven at `rung`, if there are any and all are stored. A store
/// that was pruned past `next` would lead the worker to headers whose parachain headers it could never have.
fn provable(next: Height, coverage: &Coverage, rung: Rung) -> Result<Option<Span>, Cannot> {
    let Some(span) = rung.para.and_then(|head| Span::new(next, head)) else { return Ok(None) };
    match coverage.para {
        Some(stored) if next < stored.first() => {
            Err(Cannot::BehindStore { needed: next, first: stored.first() })
        }
        stored => Ok(stored.filter(|stored| stored.covers(span)).map(|_| span)),
    }
}

#[cfg(test)]
mod tests;
