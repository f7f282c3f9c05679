//! The calls of a worker's way that the chain charges for, and when each may be paid for again.

use crate::{
    backoff::{Backoff, Pace},
    moment::Moment,
};
use std::{collections::BTreeMap, time::Duration};

/// How much longer the pauses after calls that cost a fee and failed are: the first, and the longest. With the typical
/// pace that is 4 s and 15 min.
pub const PAID_PAUSE: (u32, u32) = (8, 30);

/// How long the effect of a call must last before its undoing counts as something of its own.
const HELD: Duration = Duration::from_secs(3600);

/// A call of a worker's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Register the worker for the pool's owner.
    Register,
    /// Add it to the pool.
    Join,
    /// Start computing.
    Start,
    /// Restart computing with a higher stake.
    Restake,
    /// Reclaim the stake after a cool-down.
    Reclaim,
}

impl Step {
    /// A short name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Join => "join",
            Self::Start => "start",
            Self::Restake => "restake",
            Self::Reclaim => "reclaim",
        }
    }

    /// What is told of a call whose effect was undone soon after.
    const fn undone(self) -> &'static str {
        match self {
            Self::Register => {
                "another program registers this worker for another owner; stop one of the two, for both pay"
            }
            Self::Join => {
                "somebody removed it from the pool; to keep it out, disable it here or make it sync only"
            }
            Self::Start | Self::Reclaim => {
                "somebody stopped it; to keep it so, disable it here or make it sync only"
            }
            Self::Restake => "somebody lowered its stake; change the one that is configured here",
        }
    }
}

/// What is remembered of each call, also while the worker is away or elsewhere on its way.
#[derive(Clone, Debug)]
pub(super) struct PaidCalls {
    pace: Pace,
    seed: u64,
    calls: BTreeMap<Step, PaidCall>,
    /// The call that was found undone last, until somebody asks.
    undone: Option<Step>,
}

#[derive(Clone, Debug)]
struct PaidCall {
    backoff: Backoff,
    not_before: Moment,
    cause: Option<String>,
    /// When it succeeded last, unless it has been wanted since.
    done: Option<Moment>,
}

impl PaidCalls {
    pub(super) fn new(pace: Pace, seed: u64) -> Self {
        let pace = Pace {
            first: pace.first.saturating_mul(PAID_PAUSE.0),
            longest: pace.longest.saturating_mul(PAID_PAUSE.1),
        };
        Self { pace, seed, calls: BTreeMap::new(), undone: None }
    }

    /// Whether the call may be made now. It is wanted: if it succeeded before, its effect is gone, unless it `holds`
    /// all the same.
    pub(super) fn may(&mut self, now: Moment, step: Step, holds: bool) -> bool {
        let call = self.call(step);
        if let Some(done) = call.done.take() {
            if now.since(done) >= HELD {
                call.backoff.succeeded();
            } else if !holds {
                call.not_before = now + call.backoff.failed();
                call.cause = Some(step.undone().to_owned());
                self.undone = Some(step);
            }
        }
        now >= self.call(step).not_before
    }

    pub(super) fn succeeded(&mut self, now: Moment, step: Step) {
        let call = self.call(step);
        (call.done, call.cause, call.not_before) = (Some(now), None, Moment::default());
    }

    pub(super) fn failed(&mut self, now: Moment, step: Step, why: String) {
        let call = self.call(step);
        call.not_before = now + call.backoff.failed();
        call.cause = Some(why);
    }

    /// Why the call does not succeed, if it was made or undone.
    pub(super) fn cause(&self, step: Step) -> Option<&str> {
        self.calls.get(&step)?.cause.as_deref()
    }

    /// The call whose effect was found undone since this was asked last.
    pub(super) fn take_undone(&mut self) -> Option<Step> {
        self.undone.take()
    }

    pub(super) fn forget(&mut self) {
        self.calls.clear();
    }

    fn call(&mut self, step: Step) -> &mut PaidCall {
        let (pace, seed) = (self.pace, self.seed);
        self.calls.entry(step).or_insert_with(|| PaidCall {
            backoff: Backoff::new(pace, seed),
            not_before: Moment::default(),
            cause: None,
            done: None,
        })
    }
}
