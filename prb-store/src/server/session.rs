//! What one connection costs, and when it is over.

use super::{ServerOptions, kib};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// A peer is pinged when it was silent for a while, and gone when it was for so many times as long.
pub(super) const SILENCE: u32 = 2;

/// One connection. Its numbers only steer and tell; nothing else hangs on their order.
pub(super) struct Session {
    /// Who is at its other end, where that is known.
    pub(super) peer: Option<SocketAddr>,
    /// KiB left for answers under way on it.
    pub(super) memory: Arc<Semaphore>,
    /// Bytes that have come.
    pub(super) read: AtomicU64,
    /// Bytes that had come with the last question.
    asked_at: AtomicU64,
    /// Questions so far.
    questions: AtomicU64,
    /// Questions without an answer yet.
    open: AtomicUsize,
    /// Bodies that are being sent.
    sending: AtomicUsize,
    /// Bodies that are done with.
    ended: AtomicU64,
    /// Bytes of bodies handed to the connection.
    moved: AtomicU64,
    /// Bytes of all its answers.
    answered: AtomicU64,
    spent: CancellationToken,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Nothing was asked for too long.
    Idle,
    /// Answers are not taken.
    Stalled,
    /// Nothing comes any more, not even answers to pings.
    Gone,
    /// It has had its share.
    Spent,
}

/// A share of the memory for answers.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) own: OwnedSemaphorePermit,
    pub(super) of_all: OwnedSemaphorePermit,
}

impl Share {
    /// What `bytes` need of it; the rest is free for others at once.
    pub(super) fn shrunk(mut self, bytes: usize) -> Self {
        let needed = kib(bytes) as usize;
        // Nothing to split off: it is larger than what was set aside, as a single item may be.
        let part = |permit: &mut OwnedSemaphorePermit| permit.split(needed);
        if let (Some(own), Some(of_all)) = (part(&mut self.own), part(&mut self.of_all)) {
            return Self { own, of_all };
        }
        self
    }
}

/// A question that is being answered.
pub(super) struct Question<'a>(&'a Session);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// A body that is being sent.
pub(super) struct Sending(Arc<Session>);

impl Sending {
    pub(super) fn moved(&self, bytes: usize) {
        self.0.moved.fetch_add(bytes as u64, Relaxed);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Relaxed);
        self.0.ended.fetch_add(1, Relaxed);
    }
}

impl Session {
    pub(super) fn new(options: &ServerOptions, peer: Option<SocketAddr>) -> Self {
        Self {
            peer,
            memory: Arc::new(Semaphore::new(kib(options.session_memory_bytes) as usize)),
            read: AtomicU64::new(0),
            asked_at: AtomicU64::new(0),
            questions: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            spent: CancellationToken::new(),
        }
    }

    pub(super) fn question(&self) -> Question<'_> {
        self.open.fetch_add(1, Relaxed);
        self.questions.fetch_add(1, Relaxed);
        self.asked_at.store(self.read.load(Relaxed), Relaxed);
        Question(self)
    }

    pub(super) fn sending(self: &Arc<Self>) -> Sending {
        self.sending.fetch_add(1, Relaxed);
        Sending(self.clone())
    }

    /// Counts an answer; whether the connection has had its share of `limit` bytes with it.
    pub(super) fn spend(&self, bytes: u64, limit: u64) -> bool {
        let spent = self.answered.fetch_add(bytes, Relaxed) + bytes >= limit;
        if spent {
            self.spent.cancel();
        }
        spent
    }

    /// Whether part of a question has come since the last whole one.
    pub(super) fn is_asking(&self) -> bool {
        self.read.load(Relaxed) > self.asked_at.load(Relaxed)
    }

    /// Returns when a connection that carries many answers at a time should end.
    ///
    /// What the connection itself sees is not enough there: a peer that answers pings and takes no body, or asks
    /// nothing, looks alive.
    pub(super) async fn over(&self, options: &ServerOptions) -> Over {
        tokio::select! {
            () = self.spent.cancelled() => Over::Spent,
            () = self.idle(options.head_deadline) => Over::Idle,
            () = self.stalled(options.stall_window, options.stall_bytes) => Over::Stalled,
            () = self.silent(SILENCE * options.head_deadline) => Over::Gone,
        }
    }

    /// Returns when nothing has come for so long.
    async fn silent(&self, silence: Duration) {
        let mut heard = (self.read.load(Relaxed), Instant::now());
        loop {
            sleep(silence / 4).await;
            let read = self.read.load(Relaxed);
            if read != heard.0 {
                heard = (read, Instant::now());
            } else if heard.1.elapsed() >= silence {
                return;
            }
        }
    }

    async fn idle(&self, window: Duration) {
        loop {
            let questions = self.questions.load(Relaxed);
            sleep(window).await;
            let busy = self.open.load(Relaxed) > 0 || self.sending.load(Relaxed) > 0;
            if !busy && self.questions.load(Relaxed) == questions {
                return;
            }
        }
    }

    pub(super) async fn stalled(&self, window: Duration, least: u64) {
        loop {
            let (sending, ended, moved) =
                (self.sending.load(Relaxed), self.ended.load(Relaxed), self.moved.load(Relaxed));
            sleep(window).await;
            let is_same = sending > 0 && self.sending.load(Relaxed) > 0 && self.ended.load(Relaxed) == ended;
            if is_same && self.moved.load(Relaxed) - moved < least {
                return;
            }
        }
    }
}
