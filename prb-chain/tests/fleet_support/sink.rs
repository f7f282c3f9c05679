//! The trader behind a connection, as one in a process of its own is.

use super::{proof::Proof, tally::Tally};
use async_trait::async_trait;
use prb_chain::trader::Trader;
use prb_core::{
    id::{Height, JobId, PoolId},
    port::{JobState, SinkError, TxSink, Unsettled},
    testkit::{Dice, FakeChain},
    tx::Call,
};
use std::{sync::Mutex, time::Duration};

/// Hands everything on to a trader, and tells the proof.
pub struct Recorder {
    pub trader: Trader,
    pub proof: Proof,
    pub tally: Tally,
    pub dice: Mutex<Dice>,
    pub once_in: u64,
    /// Faults end when the relay chain is there.
    pub calm: u32,
    pub chain: FakeChain,
}

impl Recorder {
    /// Whether the answer is to be lost; an error if the question is.
    async fn meet(&self) -> Result<bool, SinkError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let lost = || SinkError::Unreachable("connection reset".into());
        let (fault, seconds) = {
            let mut dice = self.dice.lock().unwrap();
            let strikes = self.chain.tips().relay.0 < self.calm && dice.once_in(self.once_in);
            (strikes.then(|| dice.below(3)), 1 + dice.below(20))
        };
        match fault {
            None => Ok(false),
            Some(0) => {
                self.tally.count("sink", "question lost");
                Err(lost())
            }
            Some(1) => {
                self.tally.count("sink", "no answer in time");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Err(lost())
            }
            Some(_) => {
                self.tally.count("sink", "answer lost");
                Ok(true)
            }
        }
    }

    async fn asked<T>(&self, answer: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
        let lost = self.meet().await?;
        let answer = answer.await;
        if lost { Err(SinkError::Unreachable("connection reset".into())) } else { answer }
    }
}

#[async_trait]
impl TxSink for Recorder {
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        self.asked(async {
            self.proof.offered(job, &calls, self.trader.journal());
            let answer = self.trader.submit(job, pool, calls.clone()).await;
            if answer.is_ok() {
                self.proof.accepted(job, calls);
            }
            answer
        })
        .await
    }

    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError> {
        let state = self.asked(self.trader.outcome(job)).await?;
        if let Some(JobState::Ended(outcome)) = &state {
            self.proof.told(job, outcome);
        }
        Ok(state)
    }

    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError> {
        self.asked(self.trader.unsettled()).await
    }

    async fn settled_at(&self) -> Result<Height, SinkError> {
        self.asked(self.trader.settled_at()).await
    }

    async fn decided_at(&self, job: JobId) -> Result<Option<Height>, SinkError> {
        self.asked(self.trader.decided_at(job)).await
    }

    async fn last_era(&self) -> Result<Option<u64>, SinkError> {
        self.asked(self.trader.last_era()).await
    }
}
