//! What a person, or the program around the trader, may order.

use super::{Shared, Trader, lane::send::Claim};
use crate::journal::{BY_OPERATOR, Dropped, Image, JournalError, Record};
use prb_core::{
    id::{AccountId, BlockRef, JobId},
    tx::Period,
};
use std::sync::PoisonError;

impl Trader {
    /// Sends nothing from now on, also across restarts, or sends again. What is under way is settled all the same. Answers
    /// whether that changes anything.
    pub async fn pause(&self, paused: bool) -> Result<bool, JournalError> {
        let told = self.shared.journal.write(vec![Record::Paused(paused)]).await?;
        let changed = told.first() == Some(&true);
        match (changed, paused) {
            (false, _) => {}
            (true, true) => tracing::warn!("transactions are paused; `prb tx resume` sends them again"),
            (true, false) => tracing::info!("transactions are sent again"),
        }
        self.shared.rouse();
        Ok(changed)
    }

    /// Sends nothing while there is a reason, which is told. Not remembered across restarts.
    pub fn hold(&self, reason: Option<String>) {
        let mut held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != reason {
            match &reason {
                Some(reason) => tracing::warn!(reason, "nothing is sent"),
                None => tracing::info!("transactions are sent again"),
            }
            *held = reason;
        }
        drop(held);
        self.shared.rouse();
    }

    /// Why nothing is sent, if that was ordered with [`Self::hold`].
    pub fn held(&self) -> Option<String> {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends a job that is in no extrinsic as rejected.
    pub async fn drop_job(&self, job: JobId) -> Result<Dropped, JournalError> {
        self.shared.drop_job(job, BY_OPERATOR).await
    }

    /// Ends all jobs that are in no extrinsic as rejected; how many.
    pub async fn drop_waiting(&self, why: &str) -> Result<usize, JournalError> {
        let waiting: Vec<JobId> =
            self.shared.journal.read(|image| image.waiting().map(|(job, _)| *job).collect());
        let mut dropped = 0;
        for job in waiting {
            dropped += usize::from(self.shared.drop_job(job, why).await? == Dropped::Yes);
        }
        Ok(dropped)
    }

    /// The finalized head, as the trader's node has it.
    pub async fn finalized(&self) -> Result<BlockRef, String> {
        let shared = &self.shared;
        shared.same_chain().await.map_err(|trouble| trouble.to_string())?;
        shared.chain.finalized(shared.config.poll).await.map_err(|error| error.to_string())
    }

    /// For how many blocks what it sends may be included.
    pub fn period(&self) -> Period {
        self.shared.config.period
    }

    /// What needs a person, of single accounts.
    pub fn troubles(&self) -> Vec<String> {
        let troubles = self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.values().cloned().collect()
    }
}

impl Shared {
    /// Why nothing is sent at present, if that was ordered.
    pub(super) fn rests(&self) -> Option<String> {
        if self.journal.read(Image::paused) {
            return Some("transactions are paused".to_owned());
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what troubles an account, or that it does not any more.
    pub(super) fn trouble(&self, account: AccountId, kind: &'static str, text: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => drop(troubles.insert((account, kind), text)),
            None => drop(troubles.remove(&(account, kind))),
        }
    }

    /// Lets every lane look.
    fn rouse(&self) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().for_each(|lane| lane.notify_one());
        self.call.notify_one();
    }

    async fn drop_job(&self, job: JobId, why: &str) -> Result<Dropped, JournalError> {
        let keys = self.journal.read(|image| image.job(&job).map(|job| job.keys.iter().cloned().collect()));
        // No lane may put it into an extrinsic meanwhile.
        let Some(_claim) = Claim::of(&self.claims, keys.unwrap_or_default()) else {
            return Ok(Dropped::UnderWay);
        };
        let dropped = self.journal.drop_job(job, why).await?;
        if dropped == Dropped::Yes {
            tracing::info!(%job, why, "job dropped");
            metrics::counter!("prb_tx_dropped_total").increment(1);
        }
        Ok(dropped)
    }
}
