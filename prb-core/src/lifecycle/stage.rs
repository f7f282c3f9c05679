//! Where a worker is, from what is observed.

use super::{Facts, Goal};
use crate::{
    port::WorkerInfo,
    types::facts::{SessionState, WorkerEntry},
};
use std::fmt;

/// Where a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Switched off by its operator; it is sent nothing.
    Disabled,
    /// Not heard of yet, or not reachable.
    Starting,
    /// It has no runtime state.
    Initializing,
    /// It catches up with the chain.
    Syncing,
    /// At the tip; nothing else is wanted, but that its messages get through.
    SyncOnly,
    /// It is not registered, or not for this pool's owner.
    Registering,
    /// A registered gatekeeper; nothing else is wanted.
    Gatekeeper,
    /// Registered; its benchmark result is not on chain yet, or too low to put it to work.
    AwaitingScore,
    /// It is not in the pool.
    JoiningPool,
    /// It is in the pool and does not compute.
    StartingComputing,
    /// It computes.
    Working,
    /// It computes, but the chain marked it as silent.
    Unresponsive,
    /// It was stopped and its stake is locked for a while.
    CoolingDown,
    /// It is in another pool; somebody must remove it there.
    InAnotherPool,
}

impl Stage {
    /// All of them, in the order of a worker's life.
    pub const ALL: [Self; 14] = [
        Self::Disabled,
        Self::Starting,
        Self::Initializing,
        Self::Syncing,
        Self::SyncOnly,
        Self::Registering,
        Self::Gatekeeper,
        Self::AwaitingScore,
        Self::JoiningPool,
        Self::StartingComputing,
        Self::Working,
        Self::Unresponsive,
        Self::CoolingDown,
        Self::InAnotherPool,
    ];

    /// Its name in status, logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Starting => "Starting",
            Self::Initializing => "Initializing",
            Self::Syncing => "Syncing",
            Self::SyncOnly => "SyncOnly",
            Self::Registering => "Registering",
            Self::Gatekeeper => "Gatekeeper",
            Self::AwaitingScore => "AwaitingScore",
            Self::JoiningPool => "JoiningPool",
            Self::StartingComputing => "StartingComputing",
            Self::Working => "Working",
            Self::Unresponsive => "Unresponsive",
            Self::CoolingDown => "CoolingDown",
            Self::InAnotherPool => "InAnotherPool",
        }
    }

    /// The stage that follows from what is observed.
    pub fn of(goal: &Goal, info: Option<&WorkerInfo>, at_tip: bool, facts: Option<&Facts>) -> Self {
        if goal.disabled {
            return Self::Disabled;
        }
        let Some(info) = info else { return Self::Starting };
        if !info.initialized {
            return Self::Initializing;
        }
        if at_tip && goal.sync_only {
            return Self::SyncOnly;
        }
        let Some(facts) = facts.filter(|_| at_tip) else { return Self::Syncing };
        let entry = facts.entry.as_ref().filter(|_| info.registered);
        if goal.gatekeeper {
            return if entry.is_some() { Self::Gatekeeper } else { Self::Registering };
        }
        let entry = entry.filter(|entry| entry.operator == Some(goal.operator));
        let too_low = |entry: &WorkerEntry| entry.initial_score.is_none_or(|score| is_too_low(goal, score));
        match (entry, facts.assignment, facts.state()) {
            // Its stake is locked until the cool-down has passed, whatever else changed.
            (_, Some(pool), Some(SessionState::WorkerCoolingDown)) if pool == goal.pool => Self::CoolingDown,
            // A registration would take it over from the other pool's owner, at a fee and for nothing.
            (_, Some(pool), _) if pool != goal.pool => Self::InAnotherPool,
            (None, ..) => Self::Registering,
            (_, Some(_), Some(SessionState::WorkerIdle | SessionState::Active)) => Self::Working,
            (_, Some(_), Some(SessionState::WorkerUnresponsive)) => Self::Unresponsive,
            (_, Some(_), Some(SessionState::WorkerCoolingDown)) => Self::CoolingDown,
            (Some(entry), ..) if too_low(entry) => Self::AwaitingScore,
            (_, None, _) => Self::JoiningPool,
            (_, Some(_), None | Some(SessionState::Ready)) => Self::StartingComputing,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn is_too_low(goal: &Goal, score: u32) -> bool {
    goal.min_score.is_some_and(|least| score < least)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does not compile where a stage is new, and names its place among all.
    fn place(stage: Stage) -> usize {
        match stage {
            Stage::Disabled => 0,
            Stage::Starting => 1,
            Stage::Initializing => 2,
            Stage::Syncing => 3,
            Stage::SyncOnly => 4,
            Stage::Registering => 5,
            Stage::Gatekeeper => 6,
            Stage::AwaitingScore => 7,
            Stage::JoiningPool => 8,
            Stage::StartingComputing => 9,
            Stage::Working => 10,
            Stage::Unresponsive => 11,
            Stage::CoolingDown => 12,
            Stage::InAnotherPool => 13,
        }
    }

    #[test]
    fn all_stages_are_listed_once_each() {
        let places: Vec<usize> = Stage::ALL.into_iter().map(place).collect();
        // As many as there are: the last place of `place` must be the last one here.
        assert_eq!(places, (0..=place(Stage::InAnotherPool)).collect::<Vec<_>>());
    }
}
