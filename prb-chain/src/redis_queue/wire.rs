//! Questions and answers as bytes: SCALE, as in the journal.

use codec::{Decode, Encode};
use prb_core::{
    id::{Height, JobId, PoolId},
    port::{JobState, SinkError, TxSink, Unsettled},
    tx::{Call, CallKey},
};

/// One call of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Ask {
    #[codec(index = 0)]
    Submit { job: JobId, pool: PoolId, calls: Vec<Call> },
    #[codec(index = 1)]
    Outcome(JobId),
    #[codec(index = 2)]
    Unsettled,
    #[codec(index = 3)]
    SettledAt,
    #[codec(index = 4)]
    DecidedAt(JobId),
    #[codec(index = 5)]
    LastEra,
}

/// What it gave.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Answer {
    #[codec(index = 0)]
    Accepted,
    #[codec(index = 1)]
    State(Option<JobState>),
    #[codec(index = 2)]
    Unsettled(Vec<(JobId, PoolId, Vec<CallKey>)>),
    #[codec(index = 3)]
    SettledAt(Height),
    #[codec(index = 4)]
    Refused(Refused),
    #[codec(index = 5)]
    DecidedAt(Option<Height>),
    #[codec(index = 6)]
    LastEra(Option<u64>),
}

/// A [`SinkError`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Refused {
    #[codec(index = 0)]
    Busy(u64),
    #[codec(index = 1)]
    NoOperator(PoolId),
    #[codec(index = 2)]
    Bad(String),
    #[codec(index = 3)]
    Journal(String),
    #[codec(index = 4)]
    Unreachable(String),
}

impl From<SinkError> for Refused {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Busy { waiting } => Self::Busy(waiting as u64),
            SinkError::NoOperator(pool) => Self::NoOperator(pool),
            SinkError::Bad(why) => Self::Bad(why),
            SinkError::Journal(why) => Self::Journal(why),
            SinkError::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

impl From<Refused> for SinkError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy(waiting) => Self::Busy { waiting: usize::try_from(waiting).unwrap_or(usize::MAX) },
            Refused::NoOperator(pool) => Self::NoOperator(pool),
            Refused::Bad(why) => Self::Bad(why),
            Refused::Journal(why) => Self::Journal(why),
            Refused::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

impl Ask {
    /// Its name in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "submit",
            Self::Outcome(_) => "outcome",
            Self::Unsettled => "unsettled",
            Self::SettledAt => "settled_at",
            Self::DecidedAt(_) => "decided_at",
            Self::LastEra => "last_era",
        }
    }

    /// Asks `sink`.
    pub(super) async fn of(self, sink: &dyn TxSink) -> Answer {
        let answer = match self {
            Self::Submit { job, pool, calls } => {
                sink.submit(job, pool, calls).await.map(|()| Answer::Accepted)
            }
            Self::Outcome(job) => sink.outcome(job).await.map(Answer::State),
            Self::Unsettled => sink.unsettled().await.map(|jobs| {
                Answer::Unsettled(jobs.into_iter().map(|job| (job.job, job.pool, job.keys)).collect())
            }),
            Self::SettledAt => sink.settled_at().await.map(Answer::SettledAt),
            Self::DecidedAt(job) => sink.decided_at(job).await.map(Answer::DecidedAt),
            Self::LastEra => sink.last_era().await.map(Answer::LastEra),
        };
        answer.unwrap_or_else(|error| Answer::Refused(error.into()))
    }
}

/// Jobs as a sink lists them.
pub(super) fn unsettled(jobs: Vec<(JobId, PoolId, Vec<CallKey>)>) -> Vec<Unsettled> {
    jobs.into_iter().map(|(job, pool, keys)| Unsettled { job, pool, keys }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_through_as_it_was() {
        let refusals = [
            SinkError::Busy { waiting: 7 },
            SinkError::NoOperator(PoolId(3)),
            SinkError::Bad("a".into()),
            SinkError::Journal("b".into()),
            SinkError::Unreachable("c".into()),
        ];
        for refusal in refusals {
            let text = refusal.to_string();
            let bytes = Answer::Refused(refusal.into()).encode();
            let Ok(Answer::Refused(back)) = Answer::decode(&mut &bytes[..]) else { panic!("refused") };
            assert_eq!(SinkError::from(back).to_string(), text);
        }
    }
}
