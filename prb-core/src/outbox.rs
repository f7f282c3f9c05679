//! Which of the workers' messages to submit, and which are under way.
//!
//! The chain takes each sender's messages in sequence, one after the other, and charges for those it refuses. So
//! per sender the outbox offers only what continues an unbroken run from the chain's next sequence, and offers a
//! message again only when its earlier submission can no longer be included.
//!
//! What failed for nothing (rejected, expired) is offered again soon. A message that the chain refused was paid for:
//! its sender pauses for longer each time, and then only that message is offered, at the price of one fee, until the
//! chain has passed it. `BadSequence` says nothing about a message: the sequence is read anew.
//!
//! Senders, not workers, own sequences: several gatekeepers share one.

use crate::{
    backoff::Pace,
    id::{Height, JobId},
    lifecycle::{PAID_PAUSE, with_hint},
    moment::Moment,
    port::{CallResult, Outcome, sink::DispatchError},
    types::message::{EgressMessages, MessageOrigin, SignedMessage},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Bounds of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Most messages of one sender under way at a time. Typical: 500.
    pub per_sender: usize,
    /// Most messages in one job. Typical: 100.
    pub per_job: usize,
    /// Pauses before a message that failed without a fee is offered again. After a fee they are as much longer as
    /// those of a worker's other calls: with the typical pace 4 s to 15 min.
    pub pace: Pace,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { per_sender: 500, per_job: 100, pace: Pace::default() }
    }
}

/// Messages of all senders and what became of them.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    limits: OutboxLimits,
    senders: BTreeMap<MessageOrigin, Sender>,
}

/// How a sender stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderStatus {
    /// Next sequence the finalized chain takes, which is how many it has taken.
    pub accepted: u64,
    /// Messages under way.
    pub under_way: usize,
    /// Messages whose fate nobody can tell yet.
    pub unknown: usize,
    /// Failures in a row of its next message that cost nothing.
    pub failures: u32,
    /// Failures in a row of its next message that cost a fee.
    pub paid_failures: u32,
    /// Its next message was set aside with [`Outbox::set_aside`]: nothing of the sender is submitted.
    pub is_set_aside: bool,
    /// Why its messages do not get through, if they do not.
    pub trouble: Option<String>,
}

/// What is worth telling about a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its messages do not get through. Told once for each cause.
    Trouble {
        /// Whose.
        sender: MessageOrigin,
        /// The message that all others wait behind.
        sequence: u64,
        /// Why, with what may be done about it.
        cause: String,
    },
    /// They get through again.
    Recovered {
        /// Whose.
        sender: MessageOrigin,
    },
}

/// Why a message cannot be set aside or offered again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNext {
    /// The chain has taken it.
    #[error("the chain has taken message {sequence} of {sender:?} already")]
    Taken {
        /// Whose.
        sender: MessageOrigin,
        /// Which.
        sequence: u64,
    },
    /// Others come first.
    #[error(
        "message {sequence} of {sender:?} is not the next one: the chain takes a sender's messages in sequence, \
         and {next} comes first"
    )]
    Later {
        /// Whose.
        sender: MessageOrigin,
        /// Which.
        sequence: u64,
        /// The chain's next.
        next: u64,
    },
    /// No worker has shown anything of this sender.
    #[error("nothing is known of messages of {0:?}")]
    Unknown(MessageOrigin),
}

#[derive(Clone, Debug, Default)]
struct Sender {
    /// Next sequence at the finalized head.
    accepted: u64,
    /// Submitted without an outcome, and those of unknown fate.
    under_way: BTreeMap<u64, Way>,
    /// Failures in a row for nothing.
    failures: u32,
    /// Failures in a row at a fee.
    paid: u32,
    /// `BadSequence` in a row that no failure of our own explains.
    contested: u32,
    not_before: Moment,
    /// The message that failed.
    stuck: Option<u64>,
    /// The sequence must be read at this block or later before anything is offered.
    reread: Option<Height>,
    /// Not to be offered until the operator says otherwise.
    aside: Option<u64>,
    cause: Option<String>,
    told: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Job(JobId),
    /// State at or after this block shows whether it was taken; without one only the chain's passing it does.
    Unknown(Option<Height>),
}

impl Outbox {
    /// Nothing is under way.
    pub const fn new(limits: OutboxLimits) -> Self {
        Self { limits, senders: BTreeMap::new() }
    }

    /// The finalized chain takes `next` of this sender next, as of block `at`. Going back is ignored: facts may arrive
    /// out of order.
    pub fn chain_takes(
        &mut self,
        now: Moment,
        origin: &MessageOrigin,
        next: u64,
        at: Height,
    ) -> Option<News> {
        let pace = self.limits.pace;
        let sender = self.senders.entry(origin.clone()).or_default();
        if next > sender.accepted {
            sender.accepted = next;
            if sender.stuck.is_some_and(|failed| failed < next) {
                (sender.stuck, sender.failures, sender.paid) = (None, 0, 0);
                sender.not_before = Moment::default();
                sender.cause = None;
            }
            sender.aside = sender.aside.filter(|sequence| *sequence >= next);
            sender.under_way = sender.under_way.split_off(&next);
        }
        sender.reread = sender.reread.filter(|block| at < *block);
        // The state from which on their fate is decided is here, and the chain still waits for them.
        let decided = |way: &Way| matches!(way, Way::Unknown(Some(block)) if *block <= at);
        if let Some(first) = sender.under_way.iter().find(|(_, way)| decided(way)).map(|(first, _)| *first) {
            sender.under_way.retain(|_, way| !decided(way));
            sender.paid_failure(now, pace, first, "it was sent, and the chain has not taken it".to_owned());
        }
        sender.news(origin)
    }

    /// The messages to submit now, out of what a worker holds: per sender an unbroken run from the chain's next
    /// sequence that skips what is under way. The caller submits them as one job and says so with
    /// [`submitted`](Self::submitted), or not at all.
    pub fn offer(&self, now: Moment, held: &EgressMessages) -> Vec<SignedMessage> {
        let mut offered = Vec::new();
        for (origin, messages) in held {
            let known = self.senders.get(origin);
            let (mut next, mut under_way) =
                known.map_or((0, 0), |sender| (sender.accepted, sender.under_way.len()));
            if known.is_some_and(|sender| sender.must_wait(now)) {
                continue;
            }
            let most = if known.is_some_and(|sender| sender.paid > 0) { 1 } else { self.limits.per_sender };
            for message in messages {
                if offered.len() >= self.limits.per_job {
                    return offered;
                }
                if message.sequence < next || message.message.sender != *origin {
                    continue;
                }
                while known.is_some_and(|sender| sender.under_way.contains_key(&next)) {
                    next += 1;
                }
                if message.sequence < next {
                    continue;
                }
                if message.sequence > next || under_way >= most {
                    break;
                }
                offered.push(message.clone());
                next += 1;
                under_way += 1;
            }
        }
        offered
    }

    /// `sequence` of `sender` is part of `job` from now on.
    pub fn submitted(&mut self, job: JobId, sender: &MessageOrigin, sequence: u64) {
        let sender = self.senders.entry(sender.clone()).or_default();
        if sequence >= sender.accepted {
            sender.under_way.insert(sequence, Way::Job(job));
        }
    }

    /// A job ended; `messages` are its messages' senders and sequences, in the order of its calls, none for calls
    /// that are no messages. `decided` is the block from whose state on an unknown outcome is decided, if anybody
    /// knows.
    pub fn ended(
        &mut self,
        now: Moment,
        job: JobId,
        messages: &[Option<(MessageOrigin, u64)>],
        outcome: &Outcome,
        decided: Option<Height>,
    ) -> Vec<News> {
        let pace = self.limits.pace;
        // Behind the first failure of a sender its others fail with it: together they are one.
        let mut failed = BTreeSet::new();
        for (index, message) in messages.iter().enumerate() {
            let Some((origin, sequence)) = message else { continue };
            let Some(sender) = self.senders.get_mut(origin) else { continue };
            if sender.under_way.get(sequence) != Some(&Way::Job(job)) {
                continue; // the chain has passed it already
            }
            match outcome {
                // The chain's counter will say so too; until then the message must not be offered again.
                Outcome::Finalized { results, .. } if results.get(index) == Some(&CallResult::Ok) => {
                    if std::mem::take(&mut sender.contested) > 1 {
                        sender.cause = None;
                    }
                    continue;
                }
                Outcome::Unknown(_) => {
                    sender.under_way.insert(*sequence, Way::Unknown(decided));
                    continue;
                }
                _ => sender.under_way.remove(sequence),
            };
            if !failed.insert(origin) {
                continue;
            }
            match outcome {
                Outcome::Finalized { block, results, .. } => match results.get(index) {
                    Some(CallResult::Failed(error)) if error.is("PhalaMq", "BadSequence") => {
                        sender.bad_sequence(now, pace, block.height);
                    }
                    Some(CallResult::Failed(error)) => {
                        sender.paid_failure(now, pace, *sequence, refusal(error))
                    }
                    _ => sender.free_failure(
                        now,
                        pace,
                        *sequence,
                        "the message is missing from its own batch".to_owned(),
                    ),
                },
                Outcome::Rejected(why) => sender.free_failure(now, pace, *sequence, why.clone()),
                _ => sender.free_failure(
                    now,
                    pace,
                    *sequence,
                    "the transaction was not included in time; it is sent again".to_owned(),
                ),
            }
        }
        let senders = &mut self.senders;
        failed.into_iter().filter_map(|origin| senders.get_mut(origin)?.news(origin)).collect()
    }

    /// Stops submitting the sender's next message. The chain takes a sender's messages in sequence and without gaps,
    /// so a message that it refuses cannot be left out: all behind it wait with it. What this saves is the fees of
    /// trying; it ends with [`Self::offer_again`], or when the chain takes the message from somebody else.
    pub fn set_aside(&mut self, sender: &MessageOrigin, sequence: u64) -> Result<(), NotNext> {
        self.next_message(sender, sequence)?.aside = Some(sequence);
        Ok(())
    }

    /// Offers the sender's next message at once, whatever pauses its failures have earned, also if it was set aside.
    pub fn offer_again(&mut self, sender: &MessageOrigin, sequence: u64) -> Result<(), NotNext> {
        let sender = self.next_message(sender, sequence)?;
        (sender.aside, sender.not_before) = (None, Moment::default());
        Ok(())
    }

    fn next_message(&mut self, origin: &MessageOrigin, sequence: u64) -> Result<&mut Sender, NotNext> {
        let sender = self.senders.get_mut(origin).ok_or_else(|| NotNext::Unknown(origin.clone()))?;
        match sequence.cmp(&sender.accepted) {
            std::cmp::Ordering::Less => Err(NotNext::Taken { sender: origin.clone(), sequence }),
            std::cmp::Ordering::Equal => Ok(sender),
            std::cmp::Ordering::Greater => {
                Err(NotNext::Later { sender: origin.clone(), sequence, next: sender.accepted })
            }
        }
    }

    /// How a sender stands.
    pub fn status(&self, sender: &MessageOrigin) -> SenderStatus {
        self.senders.get(sender).map(Sender::status).unwrap_or_default()
    }

    /// All senders with their standing, in order.
    pub fn senders(&self) -> impl Iterator<Item = (&MessageOrigin, SenderStatus)> {
        self.senders.iter().map(|(origin, sender)| (origin, sender.status()))
    }
}

impl Sender {
    /// After a failure: until its pause is over, and until everything submitted behind the failed message has
    /// ended, for that can only fail too. With a message of unknown fate: until that is decided, for what comes behind
    /// it can only fail (and be paid for) if it never lands.
    fn must_wait(&self, now: Moment) -> bool {
        let failing = self.failures > 0 || self.paid > 0;
        self.is_unsure()
            || self.reread.is_some()
            || self.aside.is_some()
            || now < self.not_before
            || (failing && !self.under_way.is_empty())
    }

    fn is_unsure(&self) -> bool {
        self.under_way.values().any(|way| matches!(way, Way::Unknown(_)))
    }

    fn free_failure(&mut self, now: Moment, pace: Pace, sequence: u64, why: String) {
        self.stuck = Some(sequence);
        self.failures = self.failures.saturating_add(1);
        self.pause(now, pace, self.failures);
        // One that passes by itself is nobody's business.
        if self.failures >= TOLD_FAILURES && self.paid == 0 {
            self.cause = Some(why);
        }
    }

    fn paid_failure(&mut self, now: Moment, pace: Pace, sequence: u64, why: String) {
        self.stuck = Some(sequence);
        self.paid = self.paid.saturating_add(1);
        self.pause(now, paid(pace), self.paid);
        self.cause = Some(why);
    }

    /// Somebody else was faster, or what came before it failed: the sequence is read at that block or later.
    fn bad_sequence(&mut self, now: Moment, pace: Pace, block: Height) {
        self.reread = self.reread.max(Some(block));
        if self.failures > 0 || self.paid > 0 || self.is_unsure() {
            return; // fails with what failed before it
        }
        self.contested = self.contested.saturating_add(1);
        if self.contested > 1 {
            self.pause(now, paid(pace), self.contested - 1);
            self.cause = Some(CONTESTED.to_owned());
        }
    }

    fn pause(&mut self, now: Moment, pace: Pace, failures: u32) {
        let pause = pace.first.saturating_mul(1 << (failures.max(1) - 1).min(20)).min(pace.longest);
        self.not_before = self.not_before.max(now + pause);
    }

    fn news(&mut self, origin: &MessageOrigin) -> Option<News> {
        if self.cause == self.told {
            return None;
        }
        self.told = self.cause.clone();
        let sender = origin.clone();
        Some(match self.cause.clone() {
            Some(cause) => News::Trouble { sender, sequence: self.stuck.unwrap_or(self.accepted), cause },
            None => News::Recovered { sender },
        })
    }

    fn status(&self) -> SenderStatus {
        let unknown = self.under_way.values().filter(|way| matches!(way, Way::Unknown(_))).count();
        SenderStatus {
            accepted: self.accepted,
            under_way: self.under_way.len() - unknown,
            unknown,
            failures: self.failures,
            paid_failures: self.paid,
            is_set_aside: self.aside.is_some(),
            trouble: self.cause.clone(),
        }
    }
}

/// The pace of what costs a fee.
fn paid(pace: Pace) -> Pace {
    let longer = |pause: Duration, times| pause.saturating_mul(times);
    Pace { first: longer(pace.first, PAID_PAUSE.0), longest: longer(pace.longest, PAID_PAUSE.1) }
}

fn refusal(error: &DispatchError) -> String {
    format!("the chain refuses it: {}", with_hint(error))
}

/// Failures in a row that cost nothing, from which on they are told.
const TOLD_FAILURES: u32 = 3;

/// Told when the sequence goes on without us again and again.
const CONTESTED: &str = "another program relays this sender's messages, and each one that comes second is paid for; \
     let one program operate the worker";

#[cfg(test)]
mod tests;
