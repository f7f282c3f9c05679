//! Whether another program signs with the account.

use crate::trader::Rivalry;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Nonces of the account that others used.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// The finalized nonce when it was looked at last.
    nonce: Option<u32>,
    /// When each of the nonces that count was seen to be taken; never more than decide.
    taken: VecDeque<Instant>,
    /// When the last one was.
    last: Option<Instant>,
    /// Rests since the account was last used by nobody else.
    rests: u32,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Nonces that others used since the last look.
    pub taken: u32,
    /// What to do.
    pub verdict: Verdict,
}

/// What to do about others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Nothing,
    /// Send nothing for so long.
    Rest(Duration),
    /// Whoever it was has stopped.
    Alone,
}

impl Rivals {
    /// Does not count what happens until the next look.
    pub(super) fn look_away(&mut self) {
        self.nonce = None;
    }

    /// Takes in the account's finalized nonce, `own` being nonces that extrinsics of this lane used.
    pub(super) fn observe(&mut self, now: Instant, nonce: u32, own: &[u32], rules: Rivalry) -> Seen {
        let before = self.nonce.replace(nonce).unwrap_or(nonce);
        let mine = own.iter().filter(|own| (before..nonce).contains(own)).count();
        let taken = nonce.saturating_sub(before).saturating_sub(u32::try_from(mine).unwrap_or(u32::MAX));
        let enough = rules.nonces.max(1);
        for _ in 0..enough.min(taken as usize) {
            self.taken.push_back(now);
        }
        if taken > 0 {
            self.last = Some(now);
        }
        while self.taken.len() > enough
            || self.taken.front().is_some_and(|at| now.duration_since(*at) > rules.within)
        {
            self.taken.pop_front();
        }
        let quiet = self.last.is_none_or(|last| now.duration_since(last) > rules.within);
        let verdict = if self.taken.len() >= enough {
            self.taken.clear();
            let rest = rules.rest.first.saturating_mul(1 << self.rests.min(20)).min(rules.rest.longest);
            self.rests = self.rests.saturating_add(1);
            Verdict::Rest(rest)
        } else if quiet && self.rests > 0 {
            self.rests = 0;
            Verdict::Alone
        } else {
            Verdict::Nothing
        };
        Seen { taken, verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::backoff::Pace;

    const RULES: Rivalry = Rivalry {
        nonces: 3,
        within: Duration::from_secs(100),
        rest: Pace { first: Duration::from_secs(10), longest: Duration::from_secs(25) },
    };

    /// What each look saw: seconds, nonce, own nonces.
    fn looks(rivals: &mut Rivals, looks: &[(u64, u32, &[u32])]) -> Vec<(u32, Verdict)> {
        let start = Instant::now();
        looks
            .iter()
            .map(|(at, nonce, own)| {
                let seen = rivals.observe(start + Duration::from_secs(*at), *nonce, own, RULES);
                (seen.taken, seen.verdict)
            })
            .collect()
    }

    #[tokio::test]
    async fn x09_own_nonces_and_those_of_long_ago_are_nobody_elses() {
        let mut rivals = Rivals::default();
        let seen = looks(&mut rivals, &[(0, 5, &[]), (1, 8, &[5, 6, 7]), (2, 9, &[]), (103, 11, &[9])]);
        assert_eq!(seen, [0, 0, 1, 1].map(|taken| (taken, Verdict::Nothing)));
        rivals.look_away();
        assert_eq!(looks(&mut rivals, &[(0, 99, &[])]), [(0, Verdict::Nothing)]);
    }

    #[tokio::test]
    async fn x09_rests_grow_until_nobody_else_signs() {
        let mut rivals = Rivals::default();
        let rest = |seconds| Verdict::Rest(Duration::from_secs(seconds));
        let seen = looks(
            &mut rivals,
            &[
                (0, 0, &[]),
                (1, 2, &[]),
                (2, 4, &[3]),
                (20, 9, &[]),
                (60, 20, &[]),
                (61, 20, &[]),
                (161, 21, &[20]),
            ],
        );
        let expected = [
            (0, Verdict::Nothing),
            (2, Verdict::Nothing),
            (1, rest(10)),
            (5, rest(20)),
            (11, rest(25)),
            (0, Verdict::Nothing),
            (0, Verdict::Alone),
        ];
        assert_eq!(seen, expected);
    }
}
