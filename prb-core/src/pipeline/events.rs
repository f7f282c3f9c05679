//! What a bridge tells its application.

use crate::{
    id::{Height, JobId, PoolId, WorkerName},
    lifecycle::Stage,
    port::Outcome,
    surprise::Surprise,
    types::message::MessageOrigin,
};
use tokio::sync::broadcast;

/// Something an application may want to know. All of it is also logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Verified data was stored.
    Ingested {
        /// Last relay block.
        relay: Height,
        /// Last parachain header.
        para: Option<Height>,
        /// Last block of storage changes.
        changes: Height,
    },
    /// An answer of a source failed a check and was not stored.
    Refused {
        /// Who answered.
        endpoint: String,
        /// Which check, at which height, and why.
        cause: String,
    },
    /// Ingest does not get on; it keeps trying.
    IngestTrouble {
        /// Why.
        cause: String,
    },
    /// Ingest gets on again.
    IngestRecovered,
    /// Something has stood still for longer than it should, be it that nobody fails. Told again while it lasts.
    Stalled {
        /// What: `relay headers`, `storage changes`, `workers` or `chain state`.
        what: &'static str,
        /// Whom and what it waits for.
        cause: String,
    },
    /// It gets on again.
    Resumed {
        /// What.
        what: &'static str,
    },
    /// A worker moved to another stage.
    WorkerStage {
        /// Which.
        worker: WorkerName,
        /// From where.
        from: Stage,
        /// To where.
        to: Stage,
    },
    /// A worker does not get on; it is tried again.
    WorkerTrouble {
        /// Which.
        worker: WorkerName,
        /// Why.
        cause: String,
    },
    /// A worker gets on again.
    WorkerRecovered {
        /// Which.
        worker: WorkerName,
    },
    /// A worker is not as it was left.
    WorkerChanged {
        /// Which.
        worker: WorkerName,
        /// What changed, and what comes of it.
        surprise: Surprise,
    },
    /// A command to a worker ended.
    CommandEnded {
        /// Which worker.
        worker: WorkerName,
        /// The command's name.
        command: &'static str,
        /// What came of it, or why nothing did.
        result: Result<String, String>,
    },
    /// A sender's messages do not get through: all of them wait behind this one. Told once for each cause.
    MessageTrouble {
        /// Whose.
        sender: MessageOrigin,
        /// The chain's next.
        sequence: u64,
        /// Why.
        cause: String,
    },
    /// A sender's messages get through again.
    MessageRecovered {
        /// Whose.
        sender: MessageOrigin,
    },
    /// A job ended.
    JobEnded {
        /// Which.
        job: JobId,
        /// Whose.
        pool: PoolId,
        /// How.
        outcome: Outcome,
    },
    /// The listener was slower than the events: so many are gone. Read the status.
    Missed(u64),
}

/// Events kept for a slow listener.
const KEPT: usize = 1024;

/// Where events are told.
#[derive(Clone, Debug)]
pub struct Announcer(broadcast::Sender<Event>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::channel(KEPT).0)
    }
}

impl Announcer {
    /// Tells everybody who listens.
    pub fn tell(&self, event: Event) {
        // Nobody listening is fine.
        let _ = self.0.send(event);
    }

    /// A listener for what is told from now on.
    pub fn events(&self) -> Events {
        Events(self.0.subscribe())
    }
}

/// A listener.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event, none once the bridge has ended.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
