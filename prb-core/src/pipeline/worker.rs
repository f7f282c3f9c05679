//! A worker as the pipelines share it.

use crate::{
    command::Command,
    id::{Hash, WorkerName},
    lifecycle::{Facts, Goal, Stage},
    outbox::SenderStatus,
    port::{WorkerDriver, WorkerInfo},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, watch};

/// A worker to bring to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub name: WorkerName,
    /// What is wanted of it.
    pub goal: Goal,
    /// Key to inject at init. Development workers only: it makes an attested registration impossible.
    pub debug_key: Option<[u8; 32]>,
}

/// What feeding has seen of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its latest words, none while it is not reachable.
    pub info: Option<WorkerInfo>,
    /// Whether it has everything there is, or had a moment ago and is taking what has come since.
    pub at_tip: bool,
    /// Why it is not fed, if it is not.
    pub trouble: Option<String>,
    /// Whether that is only what the store lacks for every worker: told once for all, as [`Event::Stalled`](super::Event::Stalled).
    /// A worker that is ahead of the store is not starved: that is about itself.
    pub starved: bool,
    /// What its turn waits for, if it has for long: nothing is wrong.
    pub waits: Option<String>,
}

/// How a worker stands, for status pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The worker.
    pub worker: Worker,
    /// Where it is reached.
    pub endpoint: String,
    /// Its stage.
    pub stage: Stage,
    /// Its latest words, none while it is not reachable.
    pub info: Option<WorkerInfo>,
    /// Whether it has everything there is, or had a moment ago and is taking what has come since.
    pub at_tip: bool,
    /// Why it does not get on, if it does not.
    pub trouble: Option<String>,
    /// Whether that is only what the store lacks for every worker, which nobody can mend at this one.
    pub starved: bool,
    /// What its turn to be fed waits for, if it has for long: many workers want data at once, and nothing is wrong.
    pub waits: Option<String>,
    /// Its messages that the finalized chain has taken.
    pub messages_synced: u64,
    /// What the chain said of it last: registration, score, session, stake. None until it was at the tip once.
    pub facts: Option<Facts>,
    /// How its own messages stand.
    pub sender: SenderStatus,
    /// The last thing that was worth telling of it.
    pub last_message: Option<Message>,
    /// Commands that wait, or are being carried out.
    pub commands: usize,
}

/// Something told of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When, Unix milliseconds by this machine's clock.
    pub at: u64,
    /// What.
    pub text: String,
}

/// One worker's driver and what the pipelines know of it.
pub struct WorkerCell {
    /// The worker as it was taken on. What is wanted of it by now is [`Self::goal`].
    pub worker: Worker,
    /// How it is driven.
    pub driver: Arc<dyn WorkerDriver>,
    goal: watch::Sender<Goal>,
    seen: watch::Sender<Seen>,
    operated: Mutex<Operated>,
    orders: Mutex<Orders>,
    /// There is something to do for whoever operates it.
    ordered: Notify,
    /// It is to be asked anew.
    nudge: Notify,
}

/// What operating knows of a worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Operated {
    pub(super) stage: Option<Stage>,
    pub(super) trouble: Option<String>,
    pub(super) facts: Option<Facts>,
    pub(super) sender: SenderStatus,
}

/// Commands in the order they were given, and what was told last.
#[derive(Debug, Default)]
struct Orders {
    waiting: VecDeque<Command>,
    running: Option<Command>,
    last_message: Option<Message>,
    /// Nobody carries out commands any more.
    closed: bool,
}

/// Why a command is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOrdered {
    /// Too many wait.
    Full,
    /// The worker was let go.
    Gone,
}

/// Most commands of a worker that wait.
const MAX_ORDERS: usize = 16;

impl WorkerCell {
    /// A worker nobody has heard of yet.
    pub fn new(worker: Worker, driver: Arc<dyn WorkerDriver>) -> Self {
        Self {
            goal: watch::channel(worker.goal.clone()).0,
            worker,
            driver,
            seen: watch::channel(Seen::default()).0,
            operated: Mutex::default(),
            orders: Mutex::default(),
            ordered: Notify::new(),
            nudge: Notify::new(),
        }
    }

    /// What is wanted of it.
    pub fn goal(&self) -> Goal {
        self.goal.borrow().clone()
    }

    /// From now on something else is wanted of it.
    pub(super) fn set_goal(&self, goal: Goal) {
        let changed = self.goal.send_if_modified(|old| {
            let differs = *old != goal;
            *old = goal;
            differs
        });
        if changed {
            self.nudge.notify_one();
        }
    }

    pub(super) fn watch_goal(&self) -> watch::Receiver<Goal> {
        self.goal.subscribe()
    }

    /// Has the worker asked anew, whatever is being waited for.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Returns when the worker is to be asked anew.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Gives a command. One that is taken ends.
    pub(super) fn order(&self, command: Command) -> Result<(), NotOrdered> {
        let mut orders = self.orders();
        if orders.closed {
            return Err(NotOrdered::Gone);
        }
        if orders.waiting.len() >= MAX_ORDERS {
            return Err(NotOrdered::Full);
        }
        orders.waiting.push_back(command);
        drop(orders);
        self.ordered.notify_one();
        Ok(())
    }

    /// Returns when a command was given.
    pub(super) async fn ordered(&self) {
        self.ordered.notified().await;
    }

    /// The next command, which is being carried out from now on. While `busy`, one that needs no transaction.
    pub(super) fn next_order(&self, busy: bool) -> Option<Command> {
        let mut orders = self.orders();
        orders.waiting.front().filter(|command| !busy || !command.is_transaction())?;
        orders.running = orders.waiting.pop_front();
        orders.running.clone()
    }

    /// The command that is being carried out, if any.
    pub(super) fn running_order(&self) -> Option<Command> {
        self.orders().running.clone()
    }

    /// The command being carried out has ended.
    pub(super) fn end_order(&self) -> Option<Command> {
        self.orders().running.take()
    }

    /// All commands that have not ended, which never will; none is taken from now on.
    pub(super) fn drop_orders(&self) -> Vec<Command> {
        let mut orders = self.orders();
        orders.closed = true;
        let running = orders.running.take();
        running.into_iter().chain(std::mem::take(&mut orders.waiting)).collect()
    }

    /// Keeps what is told of it.
    pub(super) fn say(&self, text: String) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.orders().last_message = Some(Message { at, text });
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number of its own, for its pauses.
    pub(super) fn seed(&self) -> u64 {
        let mut seed = [0; 8];
        seed.copy_from_slice(&Hash::of(self.worker.name.as_str().as_bytes()).0[..8]);
        u64::from_le_bytes(seed)
    }

    /// What feeding has seen last.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// How it stands.
    pub fn status(&self) -> WorkerStatus {
        let seen = self.seen();
        let operated = self.operated();
        let goal = self.goal();
        let (last_message, commands) = {
            let orders = self.orders();
            (orders.last_message.clone(), orders.waiting.len() + usize::from(orders.running.is_some()))
        };
        WorkerStatus {
            stage: match operated.stage {
                Some(stage) if seen.info.is_some() && !goal.disabled => stage,
                _ => Stage::of(&goal, seen.info.as_ref(), seen.at_tip, None),
            },
            worker: Worker { goal, ..self.worker.clone() },
            endpoint: self.driver.endpoint(),
            at_tip: seen.at_tip,
            starved: seen.starved,
            trouble: seen.trouble.or(operated.trouble),
            waits: seen.waits,
            info: seen.info,
            messages_synced: operated.sender.accepted,
            facts: operated.facts,
            sender: operated.sender,
            last_message,
            commands,
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    pub(super) fn publish(&self, seen: Seen) {
        self.seen.send_if_modified(|old| {
            let differs = *old != seen;
            *old = seen;
            differs
        });
    }

    pub(super) fn operated(&self) -> Operated {
        self.operated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_operated(&self, operated: Operated) {
        *self.operated.lock().unwrap_or_else(PoisonError::into_inner) = operated;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::PoolId, testkit::FakeWorker};

    #[test]
    fn each_command_that_is_taken_can_be_ended_once() {
        let goal = Goal::new(PoolId(1), Default::default(), 0);
        let worker = Worker { name: WorkerName::new("w").unwrap(), goal, debug_key: None };
        let cell = WorkerCell::new(worker, Arc::new(FakeWorker::new("w")));
        for _ in 0..MAX_ORDERS {
            assert_eq!(cell.order(Command::TakeCheckpoint), Ok(()));
        }
        assert_eq!(cell.order(Command::Restart), Err(NotOrdered::Full));
        assert_eq!(cell.next_order(true), Some(Command::TakeCheckpoint));
        assert_eq!(cell.order(Command::Restart), Ok(()));
        // What runs comes first, and whoever carries it out does not end it again.
        let dropped = cell.drop_orders();
        assert_eq!((dropped.len(), dropped.last()), (MAX_ORDERS + 1, Some(&Command::Restart)));
        assert_eq!((cell.end_order(), cell.next_order(false)), (None, None));
        assert_eq!(cell.order(Command::Restart), Err(NotOrdered::Gone));
        assert_eq!(cell.drop_orders(), []);
    }
}
