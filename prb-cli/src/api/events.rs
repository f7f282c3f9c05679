//! What changes, told as it does, as server-sent events (`GET /v1/events`).
//!
//! One task looks for all who listen, once a second, and not at all while nobody does. What has changed is written once, and
//! all get the same bytes. Each listener has a queue of its own; one whose queue is full gets no more, and learns by the end of
//! the stream that it has to ask again.

mod news;

use self::news::{Look, News};
use super::{act, fleet::Fleet, health::Heard, overview, reply::Reply, v1};
use crate::{deployment::Deployment, inventory::InventoryError};
use futures::stream;
use http_body_util::StreamBody;
use hyper::{
    StatusCode,
    body::{Bytes, Frame},
    header::{HeaderName, HeaderValue},
};
use prb_chain::journal::Entry;
use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::debug;

/// Most who listen at a time. Fewer than connections of one address, so that who opens many pages still gets answers.
pub(super) const MOST: usize = 24;

/// Messages that wait for one listener: at least eight seconds of them.
const QUEUE: usize = 32;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// Shortest pause between two looks, however many come.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest time for a look.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often something is sent at least, so that whoever is between does not take the stream for dead.
const BEAT: Duration = Duration::from_secs(15);

/// First words: how long to wait before asking again, milliseconds.
const HELLO: &str = "retry: 2000\n\n";
/// A comment.
const HEARTBEAT: &str = ": all is well\n\n";

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

    /// A stream of what changes from now on, beginning with how everything is; refused if too many listen already.
    pub(super) fn listen(&self, topics: Topics) -> Reply {
        let Some(messages) = self.listeners.add(topics) else {
            let message =
                format!("{MOST} listen already; close a page, or ask the other routes now and then");
            return Reply::error(StatusCode::SERVICE_UNAVAILABLE, "TooManyListeners", message);
        };
        let frames = stream::unfold(messages, |mut messages| async {
            let message = messages.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(message)), messages))
        });
        let kind = HeaderValue::from_static("text/event-stream");
        Reply::stream(StatusCode::OK, Some(kind), StreamBody::new(frames))
            // Else nginx keeps what comes until it has much of it.
            .with(HeaderName::from_static("x-accel-buffering"), "no")
            .closing()
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
        self.listeners.all().clear();
    }
}

/// Who listens.
#[derive(Debug, Default)]
struct Listeners {
    all: Mutex<Vec<Listener>>,
    /// Somebody has come.
    came: Notify,
    #[cfg(test)]
    looks: std::sync::atomic::AtomicU64,
}

#[derive(Debug)]
struct Listener {
    topics: Topics,
    /// Whether it was told how everything is.
    greeted: bool,
    queue: mpsc::Sender<Bytes>,
}

impl Listeners {
    fn all(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, topics: Topics) -> Option<mpsc::Receiver<Bytes>> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let mut all = self.all();
        all.retain(|listener| !listener.queue.is_closed());
        if all.len() >= MOST {
            return None;
        }
        // There is room: it is the first.
        let _ = queue.try_send(Bytes::from_static(HELLO.as_bytes()));
        all.push(Listener { topics, greeted: false, queue });
        drop(all);
        self.came.notify_one();
        Some(messages)
    }

    /// What those who still listen want, and whether somebody is new; none if nobody listens.
    fn wanted(&self) -> Option<(Topics, bool)> {
        let mut all = self.all();
        all.retain(|listener| !listener.queue.is_closed());
        metrics::gauge!("prb_api_listeners").set(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let topics = all.iter().map(|listener| listener.topics).reduce(Topics::and)?;
        Some((topics, all.iter().any(|listener| !listener.greeted)))
    }

    fn tell(&self, news: &News) {
        self.all().retain_mut(|listener| {
            let messages = if listener.greeted { &news.changes } else { &news.all };
            listener.greeted = true;
            let topics = listener.topics;
            let wanted = messages.iter().filter(|(topic, _)| topics.has(*topic));
            listener.send(wanted.map(|(_, message)| message.clone()))
        });
    }

    fn beat(&self) {
        let beat = Bytes::from_static(HEARTBEAT.as_bytes());
        self.all().retain_mut(|listener| listener.send([beat.clone()]));
    }
}

impl Listener {
    /// False if it is gone, or too slow.
    fn send(&self, messages: impl IntoIterator<Item = Bytes>) -> bool {
        for message in messages {
            match self.queue.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(_)) => {
                    metrics::counter!("prb_api_cut_listeners_total").increment(1);
                    debug!("who listens over the API is too slow and is cut off");
                    return false;
                }
            }
        }
        true
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
        match looked {
            Ok(Ok(look)) => {
                listeners.tell(&News::of(&last, &look, anybody_new));
                last = look;
            }
            Ok(Err(cause)) => debug!(%cause, "nothing can be told to who listens over the API"),
            Err(_) => debug!("nothing can be told to who listens over the API in time"),
        }
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

    fn news(text: &'static str) -> News {
        let message = || vec![(Topic::Workers, Bytes::from_static(text.as_bytes()))];
        News { changes: message(), all: message() }
    }

    fn read(messages: &mut mpsc::Receiver<Bytes>) -> Vec<Bytes> {
        std::iter::from_fn(|| messages.try_recv().ok()).collect()
    }

    #[test]
    fn x20_who_does_not_read_is_left_behind_and_who_does_misses_nothing() {
        let listeners = Listeners::default();
        assert_eq!(listeners.wanted(), None, "nobody");
        let (mut silent, mut reader) =
            (listeners.add(Topics::ALL).unwrap(), listeners.add(Topics::of(Topic::Workers)).unwrap());
        assert_eq!(listeners.wanted(), Some((Topics::ALL, true)));
        let mut heard = Vec::new();
        for _ in 0..2 * QUEUE {
            listeners.tell(&news("row"));
            heard.extend(read(&mut reader));
        }
        assert_eq!((heard.len(), &heard[0]), (1 + 2 * QUEUE, &Bytes::from_static(HELLO.as_bytes())));
        // What it was sent before is still there, and then the end.
        assert_eq!(read(&mut silent).len(), QUEUE);
        assert!(silent.is_closed());
        assert_eq!(listeners.wanted(), Some((Topics::of(Topic::Workers), false)));
        listeners.beat();
        assert_eq!(read(&mut reader), [HEARTBEAT.as_bytes()]);
        drop(reader);
        assert_eq!(listeners.wanted(), None);
        let all: Vec<_> = (0..MOST).filter_map(|_| listeners.add(Topics::ALL)).collect();
        assert!(all.len() == MOST && listeners.add(Topics::ALL).is_none());
        drop(all);
        assert!(listeners.add(Topics::ALL).is_some());
    }

    #[test]
    fn topics_are_told_to_who_wants_them_alone() {
        let listeners = Listeners::default();
        let mut messages = listeners.add(Topics::of(Topic::Overview)).unwrap();
        listeners.tell(&news("row"));
        assert_eq!(read(&mut messages).len(), 1, "the greeting alone");
        for topic in Topic::ALL {
            assert!(Topics::ALL.has(topic) && Topics::named(topic.name()).unwrap().has(topic));
        }
        assert!(!Topics::of(Topic::Overview).has(Topic::Workers));
        assert!(Topics::named("workers").unwrap().has(Topic::Inventory));
    }
}
