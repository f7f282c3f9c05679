//! Faults on request: how a test makes a worker misbehave.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A way to misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Never answer. The call has no effect; the connection drops when the faults are cleared.
    Hang,
    /// Wait before the call takes effect.
    Delay(Duration),
    /// Answer the call at this speed.
    Slow {
        /// Bytes per second, at least 1.
        bytes_per_second: u32,
    },
    /// Answer with this status and a `PrpcError` instead of running the call.
    Error {
        /// HTTP status.
        status: u16,
        /// Text of the error.
        message: String,
    },
    /// Answer with these bytes and status 200 instead of running the call.
    Garbage(Vec<u8>),
    /// Close the connection instead of running the call.
    Drop,
    /// Run the call, then close the connection instead of answering.
    DropAnswer,
    /// End the process instead of running the call; it restarts from its newest checkpoint.
    Abort,
}

/// When a fault acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// Name of the method, such as `GetInfo`; `None`: every method.
    pub method: Option<String>,
    /// Calls after which the rule is gone; `None`: until the faults are cleared.
    pub times: Option<u32>,
    /// What happens.
    pub fault: Fault,
}

impl FaultRule {
    /// A fault of every call, until cleared.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { method: None, times: None, fault }
    }

    /// A fault of the next call of `method`.
    #[must_use]
    pub fn once(method: &str, fault: Fault) -> Self {
        Self { method: Some(method.to_owned()), times: Some(1), fault }
    }
}

/// The rules of a worker.
pub(super) struct Faults {
    rules: Mutex<Vec<FaultRule>>,
    cleared: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: Mutex::default(), cleared: watch::channel(0).0 }
    }
}

impl Faults {
    pub(super) fn add(&self, rule: FaultRule) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    pub(super) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.cleared.send_modify(|times| *times += 1);
    }

    /// The fault of a call of `method`, using up one of its times.
    pub(super) fn take(&self, method: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let matches = |rule: &FaultRule| {
            rule.times != Some(0) && rule.method.as_deref().is_none_or(|name| name == method)
        };
        let at = rules.iter().position(matches)?;
        let fault = rules[at].fault.clone();
        if let Some(times) = &mut rules[at].times {
            *times -= 1;
            if *times == 0 {
                rules.remove(at);
            }
        }
        Some(fault)
    }

    /// Waits until the faults are cleared.
    pub(super) async fn until_cleared(&self) {
        let mut cleared = self.cleared.subscribe();
        // The sender lives as long as `self`.
        let _ = cleared.changed().await;
    }
}
