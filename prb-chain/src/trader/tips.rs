//! How much may be offered to outbid others.

use crate::journal::{self, Record};

/// Milliseconds of a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Tips on top of the usual one, where a node refuses a transaction because it prefers others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TipBudget {
    /// Planck after the first refusal; doubled by every further one.
    pub first: u128,
    /// Most planck for one transaction.
    pub most: u128,
    /// Most planck on one day (UTC), of all accounts together.
    pub daily: u128,
}

impl TipBudget {
    /// What to offer after so many refusals in a row, `spent` having been offered today.
    pub fn tip(&self, refusals: u32, spent: u128) -> u128 {
        let Some(doublings) = refusals.checked_sub(1) else { return 0 };
        let wanted = self.first.saturating_mul(1u128 << doublings.min(100));
        wanted.min(self.most).min(self.daily.saturating_sub(spent))
    }
}

/// What is offered on top of the usual tip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raised {
    /// Days since 1970, UTC.
    day: u64,
    pub(super) planck: u128,
}

impl Raised {
    /// What may be offered now, after so many refusals; `spent` says how much was on a day.
    pub(super) fn today(budget: Option<TipBudget>, refusals: u32, spent: impl FnOnce(u64) -> u128) -> Self {
        let day = day(journal::now());
        Self { day, planck: budget.map_or(0, |budget| budget.tip(refusals, spent(day))) }
    }

    /// To be written down together with the extrinsic, before it is sent.
    pub(super) fn offered(self) -> Option<Record> {
        let Self { day, planck } = self;
        (planck > 0).then_some(Record::Tip { day, planck })
    }

    /// To be written down where the extrinsic has reached nobody.
    pub(super) fn returned(self) -> Option<Record> {
        let Self { day, planck } = self;
        (planck > 0).then_some(Record::TipReturned { day, planck })
    }
}

/// The day of a time in milliseconds since 1970, UTC.
const fn day(milliseconds: u64) -> u64 {
    milliseconds / DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tips_double_within_both_limits() {
        let budget = TipBudget { first: 10, most: 50, daily: 100 };
        let tips: Vec<u128> = (0..6).map(|refusals| budget.tip(refusals, 0)).collect();
        assert_eq!(tips, [0, 10, 20, 40, 50, 50]);
        assert_eq!(budget.tip(4, 80), 20);
        assert_eq!(budget.tip(1, 100), 0);
        assert_eq!(budget.tip(u32::MAX, 0), 50);
        assert_eq!((day(DAY - 1), day(DAY)), (0, 1));
    }
}
