//! Which waiting jobs travel together.

use super::CallKey;
use crate::id::{AccountId, PoolId};
use std::collections::BTreeSet;

/// What one extrinsic may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls. Typical: 100; a runtime takes some ten thousand.
    pub calls: usize,
    /// Bytes of their encodings. Typical: 256 KiB; a block takes some megabytes.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 100, bytes: 256 * 1024 }
    }
}

impl Limits {
    /// Half of them, for a batch that was too heavy for a block; none below one call.
    pub fn halved(self) -> Option<Self> {
        (self.calls > 1).then(|| Self { calls: self.calls / 2, bytes: (self.bytes / 2).max(1) })
    }
}

/// A waiting job, as far as composition is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose it is.
    pub pool: PoolId,
    /// The account the calls are for, none when the signer acts for itself.
    pub via: Option<AccountId>,
    /// How many calls.
    pub calls: usize,
    /// Bytes of their encodings.
    pub bytes: usize,
    /// What they are about.
    pub keys: BTreeSet<CallKey>,
}

/// Picks from `waiting` (oldest first) the positions of the jobs that form the next extrinsic, ascending.
///
/// - They share one `via`, that of the first that may go.
/// - No job overtakes an earlier one of its pool.
/// - No job goes while one of its keys is in `busy` or in an earlier job, picked or not.
/// - They stay within `limits`, except that a single job may exceed them: jobs are not divided.
pub fn compose(waiting: &[Part], busy: &BTreeSet<CallKey>, limits: Limits) -> Vec<usize> {
    let mut picked = Vec::new();
    let mut held: BTreeSet<PoolId> = BTreeSet::new();
    let mut keys: BTreeSet<&CallKey> = busy.iter().collect();
    let mut via = None;
    let (mut calls, mut bytes) = (0usize, 0usize);
    for (position, part) in waiting.iter().enumerate() {
        let free = !held.contains(&part.pool) && !part.keys.iter().any(|key| keys.contains(key));
        let fits = match via {
            None => true,
            Some(via) => {
                via == part.via && calls + part.calls <= limits.calls && bytes + part.bytes <= limits.bytes
            }
        };
        if !(free && fits) {
            held.insert(part.pool);
            // What is held back still holds back later jobs about the same things, whatever their pool.
            keys.extend(&part.keys);
            continue;
        }
        via = Some(part.via);
        calls += part.calls;
        bytes += part.bytes;
        keys.extend(&part.keys);
        picked.push(position);
        if calls >= limits.calls {
            break;
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerKey;
    use proptest::prelude::*;

    fn part(pool: u64, via: Option<u8>, worker: u8) -> Part {
        Part {
            pool: PoolId(pool),
            via: via.map(|byte| AccountId([byte; 32])),
            calls: 1,
            bytes: 50,
            keys: BTreeSet::from([CallKey::Session(WorkerKey([worker; 32]))]),
        }
    }

    fn all(waiting: &[Part]) -> Vec<usize> {
        compose(waiting, &BTreeSet::new(), Limits::default())
    }

    #[test]
    fn jobs_of_several_pools_travel_together() {
        assert_eq!(all(&[part(1, None, 1), part(2, None, 2), part(1, None, 3)]), [0, 1, 2]);
    }

    #[test]
    fn the_proxied_and_the_unproxied_travel_apart_without_overtaking() {
        let waiting = [part(1, Some(9), 1), part(1, None, 2), part(1, Some(9), 3), part(2, Some(9), 4)];
        assert_eq!(all(&waiting), [0, 3]);
        assert_eq!(all(&waiting[1..3]), [0]);
    }

    #[test]
    fn a_key_under_way_holds_its_job_and_what_follows_in_its_pool() {
        let busy = BTreeSet::from([CallKey::Session(WorkerKey([1; 32]))]);
        let waiting = [part(1, None, 1), part(1, None, 2), part(2, None, 3)];
        assert_eq!(compose(&waiting, &busy, Limits::default()), [2]);
    }

    #[test]
    fn two_jobs_about_one_worker_do_not_share_a_batch() {
        assert_eq!(all(&[part(1, None, 7), part(2, None, 7)]), [0]);
    }

    #[test]
    fn a_single_job_may_be_larger_than_a_batch() {
        let big = Part { calls: 500, bytes: 10_000_000, ..part(1, None, 1) };
        assert_eq!(all(&[big, part(1, None, 2)]), [0]);
    }

    #[test]
    fn halving_ends_at_one_call() {
        let mut limits = Limits::default();
        let mut steps = 0;
        while let Some(half) = limits.halved() {
            limits = half;
            steps += 1;
        }
        assert_eq!((limits.calls, steps), (1, 6));
    }

    proptest! {
        #[test]
        fn every_batch_keeps_every_rule(
            parts in prop::collection::vec((1u64..4, prop::option::of(1u8..3), 0u8..20, 1usize..60), 0..40),
            busy in prop::collection::btree_set(0u8..20, 0..5),
        ) {
            let waiting: Vec<Part> = parts
                .into_iter()
                .map(|(pool, via, worker, calls)| Part { calls, ..part(pool, via, worker) })
                .collect();
            let busy: BTreeSet<CallKey> = busy.into_iter().map(|w| CallKey::Session(WorkerKey([w; 32]))).collect();
            let picked = compose(&waiting, &busy, Limits::default());
            let calls: usize = picked.iter().map(|&at| waiting[at].calls).sum();
            prop_assert!(picked.len() <= 1 || calls <= 100);
            prop_assert!(picked.windows(2).all(|pair| pair[0] < pair[1]));
            let mut keys = busy.clone();
            for &at in &picked {
                prop_assert_eq!(waiting[at].via, waiting[picked[0]].via);
                for key in &waiting[at].keys {
                    prop_assert!(keys.insert(key.clone()));
                }
                let overtaken = (0..at).any(|early| waiting[early].pool == waiting[at].pool && !picked.contains(&early));
                prop_assert!(!overtaken);
            }
            prop_assert!(!picked.is_empty() || all_are_held(&waiting, &busy));
        }
    }

    /// Whether every job has a busy key, or stands behind such a one of its pool or about the same thing.
    fn all_are_held(waiting: &[Part], busy: &BTreeSet<CallKey>) -> bool {
        let mut held: Vec<&Part> = Vec::new();
        for part in waiting {
            let behind = |early: &&Part| early.pool == part.pool || !early.keys.is_disjoint(&part.keys);
            if part.keys.is_disjoint(busy) && !held.iter().any(behind) {
                return false;
            }
            held.push(part);
        }
        true
    }

    #[test]
    fn what_is_held_back_holds_back_what_comes_later_about_the_same_thing() {
        let busy = BTreeSet::from([CallKey::Session(WorkerKey([9; 32]))]);
        let waiting =
            [part(2, None, 9), part(2, None, 8), part(1, None, 8), part(1, None, 0), part(3, None, 7)];
        assert_eq!(compose(&waiting, &busy, Limits::default()), [4]);
    }

    #[test]
    fn an_empty_queue_gives_an_empty_batch() {
        assert!(all(&[]).is_empty());
    }
}
