//! What changes, told as it does, as server-sent events (`GET /v1/events`).
//!
//! One task looks for all who listen, once a second, and not at all while nobody does. What has changed is written once, and
//! all get the same bytes. Each listener has a queue of its own; one whose queue is full gets no more, and learns by the end of
//! the stream that it has to ask again.

mod listeners;
mod news;

pub(super) use self::listeners::MOST;
use self::{
    listeners::{Listeners, Refused},
    news::Look,
};
use super::{
    act,
    fleet::Fleet,
    health::Heard,
    overview,
    reply::{EVENTS, Reply},
    v1,
};
use crate::{deployment::Deployment, inventory::InventoryError};
use futures::stream;
use http_body_util::StreamBody;
use hyper::{
    StatusCode,
    body::Frame,
    header::{HeaderName, HeaderValue},
};
use prb_chain::journal::Entry;
use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// Shortest pause between two looks, however many come.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest time for a look.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often something is sent at least, so that whoever is between does not take the stream for dead.
const BEAT: Duration = Duration::from_secs(15);

/// What may be listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Overview,
    Workers,
    Transactions,
    Inventory,
}

impl Topic {
    const ALL: [Self; 4] = [Self::Overview, Self::Workers, Self::Transactions, Self::Inventory];

    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Workers => "workers",
            Self::Transactions => "transactions",
            Self::Inventory => "inventory",
        }
    }
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Topics(u8);

impl Topics {
    pub(super) const ALL: Self = Self(0b1111);

    /// Those in a list with commas. Who listens for workers hears of the inventory, too: pools and operators are in it.
    pub(super) fn named(list: &str) -> Option<Self> {
        list.split(',').try_fold(Self::default(), |topics, name| {
            let topic = Topic::ALL.into_iter().find(|topic| topic.name() == name)?;
            let more = if topic == Topic::Workers { Self::of(Topic::Inventory) } else { Self::default() };
            Some(topics.and(Self::of(topic)).and(more))
        })
    }

    const fn of(topic: Topic) -> Self {
        Self(1 << topic as u8)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, topic: Topic) -> bool {
        self.0 & Self::of(topic).0 != 0
    }
}

/// Tells whoever listens, until it is dropped. Streams end with it.
#[derive(Debug)]
pub(super) struct Hub {
    listeners: Arc<Listeners>,
    task: JoinHandle<()>,
}

impl Hub {
    pub(super) fn on(deployment: &Arc<Deployment>, heard: Heard) -> Self {
        let listeners = Arc::<Listeners>::default();
        let task = tokio::spawn(tell(listeners.clone(), Arc::downgrade(deployment), heard));
        Self { listeners, task }
    }

    /// A stream of what changes from now on, beginning with how everything is; refused if too many listen already, or nothing can
    /// be told.
    pub(super) fn listen(&self, topics: Topics) -> Reply {
        let refused = |code, message: String| Reply::error(StatusCode::SERVICE_UNAVAILABLE, code, message);
        let messages = match self.listeners.add(topics) {
            Ok(messages) => messages,
            Err(Refused::Full) => {
                let message =
                    format!("{MOST} listen already; close a page, or ask the other routes now and then");
                return refused("TooManyListeners", message);
            }
            Err(Refused::Blind) => {
                let message =
                    "nothing can be told at the moment; ask the other routes, they say why, and again later";
                return refused("Unavailable", message.to_owned());
            }
        };
        let frames = stream::unfold(messages, |mut messages| async {
            let message = messages.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(message)), messages))
        });
        let kind = HeaderValue::from_static(EVENTS);
        Reply::stream(StatusCode::OK, Some(kind), StreamBody::new(frames))
            // Else nginx keeps what comes until it has much of it.
            .with(HeaderName::from_static("x-accel-buffering"), "no")
    }

    /// Ends it; nothing of the deployment is held any more then.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // It was aborted, or had ended.
        let _ = (&mut self.task).await;
    }

    #[cfg(test)]
    pub(super) fn looks(&self) -> u64 {
        self.listeners.looks.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
        self.listeners.let_go();
    }
}

async fn tell(listeners: Arc<Listeners>, deployment: Weak<Deployment>, heard: Heard) {
    let (mut last, mut beaten) = (Look::default(), Instant::now());
    loop {
        let Some((topics, anybody_new)) = listeners.wanted() else {
            last = Look::default();
            listeners.came.notified().await;
            continue;
        };
        let begun = Instant::now();
        let Some(running) = deployment.upgrade() else { return };
        #[cfg(test)]
        listeners.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let looked = timeout(PATIENCE, look(&running, &heard, topics)).await;
        drop(running);
        let looked = match looked {
            Ok(looked) => looked.map_err(|cause| cause.to_string()),
            Err(_) => Err(format!("looking took more than {} s", PATIENCE.as_secs())),
        };
        last = listeners.hear(last, looked, anybody_new);
        if beaten.elapsed() >= BEAT {
            listeners.beat();
            beaten = Instant::now();
        }
        tokio::select! {
            () = sleep_until(begun + LOOK) => {}
            () = listeners.came.notified() => sleep(PAUSE).await,
        }
    }
}

/// How everything is, as far as anybody wants to know.
async fn look(deployment: &Deployment, heard: &Heard, topics: Topics) -> Result<Look, InventoryError> {
    let mut look = Look { inventory: Some(deployment.inventory().revision()?), ..Look::default() };
    if topics.has(Topic::Transactions) {
        look.transactions = deployment.journal().map(|(paused, entries)| digest(paused, &entries));
    }
    if !topics.has(Topic::Overview) && !topics.has(Topic::Workers) {
        return Ok(look);
    }
    let seen = act::seen(deployment, heard).await;
    let fleet = Fleet::of(deployment)?;
    if topics.has(Topic::Workers) {
        let told = heard.told();
        let rows = fleet.rows().map(|row| v1::worker(row, seen.coverage.as_ref(), &told.pace));
        look.workers = rows.map(|row| (row.id.clone(), news::written(&row))).collect();
    }
    if topics.has(Topic::Overview) {
        look.overview = news::written(&overview::view(&fleet, seen));
    }
    Ok(look)
}

/// Another one where anything has changed about transactions.
fn digest(paused: bool, entries: &[Entry]) -> u64 {
    let mut hasher = DefaultHasher::new();
    paused.hash(&mut hasher);
    for Entry { job, stand, accepted, sent, ended, message, .. } in entries {
        (job.era, job.number, stand.name(), accepted, sent, ended, message).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_and_told_apart() {
        for topic in Topic::ALL {
            assert!(Topics::ALL.has(topic) && Topics::named(topic.name()).unwrap().has(topic));
        }
        assert!(!Topics::of(Topic::Overview).has(Topic::Workers));
        assert!(Topics::named("workers").unwrap().has(Topic::Inventory));
    }
}
