//! Whether a fresh worker gets a state instead of every block before it (fast sync).

use crate::{
    id::Height,
    port::{Coverage, WorkerInfo},
};

/// Whether a worker may be loaded with a state: it would take one, nothing was sent to it yet, and at least `ahead`
/// blocks lie before it. Gatekeepers need every block; the state of a standalone chain is not loaded.
pub fn may_load(info: &WorkerInfo, gatekeeper: bool, coverage: &Coverage, ahead: u32) -> bool {
    let stored = coverage.changes.map_or(Height(0), |stored| stored.last());
    info.can_load_chain_state
        && !gatekeeper
        && coverage.parachain
        && info.para_headernum == Height(0)
        && info.blocknum <= Height(1)
        && stored.0 >= ahead.max(1)
}

/// The block whose state to load, where `newest` is the newest one that can be read and `added` the one that
/// registered the worker: a worker refuses a state in which it is registered. None if too few blocks are saved.
pub fn load_at(newest: Height, added: Option<Height>, ahead: u32) -> Option<Height> {
    let block = added.map_or(Some(newest), Height::prev)?;
    (block <= newest && block.0 >= ahead.max(1)).then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Hash, port::ChainIdentity, span::Span};

    fn coverage(changes: u32, parachain: bool) -> Coverage {
        Coverage {
            identity: ChainIdentity {
                relay_chain: Hash([1; 32]),
                start: Hash([2; 32]),
                para_genesis: Hash([3; 32]),
                para_id: 2035,
            },
            parachain,
            relay: None,
            para: None,
            changes: Span::new(Height(1), Height(changes)),
            state_verified: true,
            changes_form: None,
        }
    }

    #[test]
    fn v3_f87_only_fresh_workers_far_behind_are_loaded() {
        // Takes a state, gatekeeper, next parachain header, next block, stored blocks, parachain: may it be loaded?
        for (takes, gatekeeper, para, block, stored, parachain, may) in [
            (true, false, 0, 1, 5_000, true, true),
            (true, false, 0, 1, 1_000, true, true),
            (true, false, 0, 1, 999, true, false),
            (true, false, 0, 1, 0, true, false),
            (false, false, 0, 1, 5_000, true, false),
            (true, true, 0, 1, 5_000, true, false),
            (true, false, 7, 1, 5_000, true, false),
            (true, false, 0, 2, 5_000, true, false),
            (true, false, 0, 1, 5_000, false, false),
        ] {
            let info = WorkerInfo {
                can_load_chain_state: takes,
                para_headernum: Height(para),
                blocknum: Height(block),
                ..WorkerInfo::default()
            };
            let case = (takes, gatekeeper, para, block, stored, parachain);
            assert_eq!(may_load(&info, gatekeeper, &coverage(stored, parachain), 1_000), may, "{case:?}");
        }
    }

    #[test]
    fn v3_f87_the_state_is_the_newest_one_without_the_worker() {
        // Newest readable block, block that registered the worker: the block to load.
        for (newest, added, block) in [
            (5_000, None, Some(5_000)),
            (5_000, Some(3_000), Some(2_999)),
            (5_000, Some(1_000), None),
            (5_000, Some(0), None),
            (5_000, Some(9_000), None),
            (999, None, None),
        ] {
            assert_eq!(load_at(Height(newest), added.map(Height), 1_000), block.map(Height));
        }
    }
}
