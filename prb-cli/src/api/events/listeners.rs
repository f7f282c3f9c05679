//! Who listens, and what each of them is sent.

use super::{
    Topics,
    news::{Look, News},
};
use hyper::body::Bytes;
use prb_store::server::Troubles;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    time::Instant,
};
use tracing::{debug, warn};

/// Most who listen at a time. Fewer than connections of one address, so that who opens many pages still gets answers.
pub(in crate::api) const MOST: usize = 24;

/// Messages that wait for one listener: at least eight seconds of them.
const QUEUE: usize = 32;

/// First words: how long to wait before asking again, milliseconds.
const HELLO: &str = "retry: 2000\n\n";
/// A comment. It says no more than that somebody is there.
const HEARTBEAT: &str = ": still here\n\n";

/// So many looks in a row that fail are no mishap: whoever listens is let go then, to ask the other routes, which say why.
const FAILURES: u32 = 3;
/// For how long nobody is let in after that.
const REST: Duration = Duration::from_secs(15);

/// Who listens.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: Mutex<Vec<Listener>>,
    sight: Mutex<Sight>,
    troubles: Troubles,
    /// Somebody has come.
    pub(super) came: Notify,
    #[cfg(test)]
    pub(super) looks: std::sync::atomic::AtomicU64,
}

/// Whether anything is seen.
#[derive(Debug, Default)]
struct Sight {
    /// Looks that failed since one did not.
    failures: u32,
    /// Nobody is let in before.
    rest: Option<Instant>,
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// So many listen already.
    Full,
    /// Nothing could be told.
    Blind,
}

#[derive(Debug)]
struct Listener {
    topics: Topics,
    /// Whether the look under way is for it, too.
    counted: bool,
    /// Whether it was told how everything is.
    greeted: bool,
    queue: mpsc::Sender<Bytes>,
}

impl Listeners {
    fn all(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sight(&self) -> MutexGuard<'_, Sight> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody in, with what is sent to it from now on.
    pub(super) fn add(&self, topics: Topics) -> Result<mpsc::Receiver<Bytes>, Refused> {
        if self.sight().rest.is_some_and(|until| Instant::now() < until) {
            return Err(Refused::Blind);
        }
        let (queue, messages) = mpsc::channel(QUEUE);
        let mut all = self.all();
        all.retain(|listener| !listener.queue.is_closed());
        if all.len() >= MOST {
            return Err(Refused::Full);
        }
        // There is room: it is the first.
        let _ = queue.try_send(Bytes::from_static(HELLO.as_bytes()));
        all.push(Listener { topics, counted: false, greeted: false, queue });
        drop(all);
        self.came.notify_one();
        Ok(messages)
    }

    /// What those who still listen want, and whether somebody is new; none if nobody listens.
    pub(super) fn wanted(&self) -> Option<(Topics, bool)> {
        let mut all = self.all();
        all.retain(|listener| !listener.queue.is_closed());
        metrics::gauge!("prb_api_listeners").set(u32::try_from(all.len()).unwrap_or(u32::MAX));
        all.iter_mut().for_each(|listener| listener.counted = true);
        let topics = all.iter().map(|listener| listener.topics).reduce(Topics::and)?;
        Some((topics, all.iter().any(|listener| !listener.greeted)))
    }

    /// Tells what was seen, or lets everybody go once nothing was for too long. Gives what the next look is compared with.
    pub(super) fn hear(&self, last: Look, looked: Result<Look, String>, anybody_new: bool) -> Look {
        let cause = match looked {
            Ok(look) => {
                *self.sight() = Sight::default();
                self.tell(&News::of(&last, &look, anybody_new));
                return look;
            }
            Err(cause) => cause,
        };
        if self.troubles.begins("look") {
            warn!(%cause, "nothing can be told to who listens over the API; pages ask for themselves meanwhile");
        }
        let mut sight = self.sight();
        sight.failures += 1;
        if sight.failures >= FAILURES {
            *sight = Sight { failures: 0, rest: Some(Instant::now() + REST) };
            self.let_go();
        }
        last
    }

    /// Ends all streams, in order.
    pub(super) fn let_go(&self) {
        self.all().clear();
    }

    fn tell(&self, news: &News) {
        self.all().retain_mut(|listener| {
            if !listener.counted {
                return true; // it came meanwhile: the next look is for it
            }
            let messages = if listener.greeted { &news.changes } else { &news.all };
            listener.greeted = true;
            let topics = listener.topics;
            let wanted = messages.iter().filter(|(topic, _)| topics.has(*topic));
            listener.send(wanted.map(|(_, message)| message.clone()))
        });
    }

    pub(super) fn beat(&self) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::events::Topic;
    use prb_core::testkit::Observed;
    use tokio::time::advance;

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
        let all: Vec<_> = (0..MOST).filter_map(|_| listeners.add(Topics::ALL).ok()).collect();
        assert_eq!((all.len(), listeners.add(Topics::ALL).unwrap_err()), (MOST, Refused::Full));
        drop(all);
        assert!(listeners.add(Topics::ALL).is_ok());
    }

    /// The first look that fails is told; it may be the only one.
    #[tokio::test(start_paused = true)]
    async fn who_listens_is_let_go_where_nothing_can_be_told_and_somebody_is_told_why_once() {
        let observed = Observed::begin();
        let listeners = Listeners::default();
        let seen = || Look { transactions: Some(1), ..Look::default() };
        let failed = |last| listeners.hear(last, Err("the inventory is gone".to_owned()), false);
        let mut messages = listeners.add(Topics::ALL).unwrap();
        listeners.wanted();
        let mut last = listeners.hear(Look::default(), Ok(seen()), true);
        read(&mut messages);
        for _ in 0..2 {
            for _ in 1..FAILURES {
                last = failed(last);
            }
            assert!(!messages.is_closed(), "it may be over soon");
            last = listeners.hear(last, Ok(seen()), false);
        }
        assert_eq!(read(&mut messages).len(), 0, "what is as it was is no news");
        for _ in 0..FAILURES {
            last = failed(last);
        }
        assert!(messages.recv().await.is_none(), "the stream ends, and the page asks");
        assert_eq!(listeners.add(Topics::ALL).unwrap_err(), Refused::Blind);
        let told = observed.lines(&["WARN", "nothing can be told to who listens", "the inventory is gone"]);
        assert_eq!(told.len(), 1, "{told:?}");
        advance(REST).await;
        assert!(listeners.add(Topics::ALL).is_ok(), "it is tried again");
    }

    #[test]
    fn topics_are_told_to_who_wants_them_alone() {
        let listeners = Listeners::default();
        let mut messages = listeners.add(Topics::of(Topic::Overview)).unwrap();
        listeners.wanted();
        listeners.tell(&news("row"));
        assert_eq!(read(&mut messages).len(), 1, "the greeting alone");
    }

    #[test]
    fn who_comes_during_a_look_is_told_everything_by_the_next() {
        let listeners = Listeners::default();
        let mut messages = listeners.add(Topics::ALL).unwrap();
        listeners.tell(&News::default());
        assert_eq!(read(&mut messages).len(), 1, "the greeting alone");
        assert_eq!(listeners.wanted(), Some((Topics::ALL, true)));
        listeners.tell(&news("row"));
        assert_eq!(read(&mut messages), ["row"]);
        assert_eq!(listeners.wanted(), Some((Topics::ALL, false)));
    }
}
