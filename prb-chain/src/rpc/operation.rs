//! A question that is answered in notifications.

use super::{Question, RawNotifications, Rpc, error};
use futures::StreamExt;
use prb_core::port::SourceError;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, timeout_at},
};

/// The answer under way. It is one of the bounded calls for as long as it lives, and ends at the deadline of a long
/// answer. Dropping it tells the node.
pub(crate) struct Operation<'a> {
    rpc: &'a Rpc,
    question: Question,
    events: RawNotifications,
    patience: Duration,
    deadline: Instant,
    /// Bytes that may still come.
    left: usize,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Rpc {
    /// Asks a question whose answer comes as notifications; `stop` ends it early.
    pub(crate) async fn begin(&self, question: Question, stop: &str) -> Result<Operation<'_>, SourceError> {
        let options = &self.0.options;
        let params = serde_json::value::to_raw_value(&question.params)
            .map_err(|error| self.bad(question.what.as_str(), error))?;
        // The semaphore is never closed.
        let permit = self.0.permits.acquire().await.ok();
        let patience = options.long_answer_timeout;
        let deadline = Instant::now() + patience;
        let begun = self.subscribe_once(question.method, Some(params), stop, options.answer_timeout).await;
        let events = begun.map_err(|miss| error::meaning(self.endpoint(), &question, miss))?;
        let left = options.max_reply as usize;
        Ok(Operation { rpc: self, question, events, patience, deadline, left, _permit: permit })
    }
}

impl Operation<'_> {
    /// The next notification, as `T`. It is an error if none comes.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, SourceError> {
        let endpoint = || self.rpc.endpoint().to_owned();
        let what = || self.question.what.clone();
        let Ok(event) = timeout_at(self.deadline, self.events.next()).await else {
            let seconds = self.patience.as_secs();
            return Err(SourceError::Timeout { endpoint: endpoint(), what: what(), seconds });
        };
        let unreachable =
            |cause: String| SourceError::Unreachable { endpoint: endpoint(), what: what(), cause };
        let event = event.ok_or_else(|| unreachable("the answer broke off".to_owned()))?;
        let event = event.map_err(|error| unreachable(error::short(&error.to_string())))?;
        match self.left.checked_sub(event.get().len()) {
            Some(left) => self.left = left,
            None => return Err(SourceError::TooLarge { endpoint: endpoint(), what: what() }),
        }
        serde_json::from_str(event.get()).map_err(|error| self.rpc.bad(what(), error))
    }

    /// What an error that came as a notification means.
    pub(crate) fn failed(&self, cause: &str) -> SourceError {
        error::failure(self.rpc.endpoint(), &self.question, cause)
    }
}
