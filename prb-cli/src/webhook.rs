//! Telling other programs what happens: a worker's status as PRB v3 posts it, alerts, and how far a worker is as pherry
//! posts it.
//!
//! What is told is decided from how everything stands, once a second ([`changes`], [`alerts`]), so nothing is told twice, and
//! what changes more often than that is told as it is then. Each address has a queue and a task of its own:
//! none waits for another one, and the bridge for none of them. Where a queue is full the oldest is dropped.

mod address;
pub mod alerts;
pub mod changes;
mod delivery;

pub use address::{Address, BadAddress};

use crate::{
    config::{Config, ConfigError, Notify},
    inventory::Snapshot,
    roster::Unfit,
    token::text_in,
};
use alerts::{Alerts, Heard};
use changes::Changes;
use delivery::{Delivery, Outlet};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use prb_core::{
    Bytes,
    pipeline::{Events, WorkerStatus},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::task::JoinHandle;

/// How everything stands at one moment.
#[derive(Clone, Copy, Default)]
pub struct Stand<'s> {
    /// The workers that run.
    pub workers: &'s [WorkerStatus],
    /// The inventory they are from.
    pub inventory: Option<&'s Snapshot>,
    /// Workers that are not at work as the inventory says, and why.
    pub unfit: Option<&'s BTreeMap<String, Unfit>>,
    /// What troubles the accounts that sign.
    pub accounts: &'s [String],
    /// Who keeps `prb trade` from getting on, and how.
    pub trader: &'s [(&'static str, String)],
}

/// Tells whoever wants to know.
pub struct Notifier {
    outlets: Vec<(Kind, String, Outlet)>,
    state: Mutex<State>,
    heard: Arc<Mutex<Heard>>,
    listening: Mutex<Vec<JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What an address is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Status,
    Alert,
    Pherry,
}

struct State {
    changes: Changes,
    alerts: Alerts,
}

/// Time for what waits to be delivered when everything stops.
const GRACE: Duration = Duration::from_secs(3);

impl Notifier {
    /// As the configuration says, inside a tokio runtime; none if nobody is to be told.
    pub fn start(config: &Config) -> Result<Option<Self>, ConfigError> {
        let notify = &config.notify;
        if !notify.is_wanted() {
            return Ok(None);
        }
        let token = token(notify)?.map(Arc::new);
        let connector = Arc::new(notify.connector()?);
        let mut tasks = Vec::new();
        let mut outlet = |attempts| {
            let delivery = Delivery {
                connector: connector.clone(),
                token: token.clone(),
                timeout: Duration::from_secs(notify.timeout_seconds),
                attempts,
            };
            let (outlet, task) = Outlet::start(delivery, notify.queue);
            tasks.push(task);
            outlet
        };
        let mut outlets = Vec::new();
        for (kind, urls, attempts) in [
            (Kind::Status, &notify.urls, notify.attempts),
            (Kind::Alert, &notify.alert_urls, notify.attempts),
            (Kind::Pherry, &notify.pherry_urls, 1),
        ] {
            outlets.extend(urls.iter().map(|url| (kind, url.clone(), outlet(attempts))));
        }
        let alerts = Alerts::new(Duration::from_secs(notify.after_seconds));
        Ok(Some(Self {
            outlets,
            state: Mutex::new(State { changes: Changes::default(), alerts }),
            heard: Arc::default(),
            listening: Mutex::default(),
            tasks: Mutex::new(tasks),
        }))
    }

    /// Hears what a bridge tells from now on.
    pub fn listen(&self, mut events: Events) {
        let heard = self.heard.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                locked(&heard).event(&event);
            }
        });
        locked(&self.listening).push(task);
    }

    /// Looks at how everything stands and tells what has changed. Waits for nobody.
    pub fn look(&self, stand: Stand<'_>) {
        let at = now();
        let (statuses, places, alerts) = {
            let mut state = locked(&self.state);
            let mut heard = locked(&self.heard);
            let (statuses, places) = state.changes.of(stand);
            (statuses, places, state.alerts.of(at, stand, &mut heard))
        };
        for status in statuses {
            self.tell(Kind::Status, &status);
        }
        for alert in alerts {
            self.tell(Kind::Alert, &alert.json().to_string());
        }
        for (worker, place) in places {
            self.tell_of(Kind::Pherry, &worker, &place.to_string());
        }
    }

    fn tell(&self, kind: Kind, body: &str) {
        self.tell_of(kind, "", body);
    }

    fn tell_of(&self, kind: Kind, worker: &str, body: &str) {
        let body = Bytes::from(body.to_owned());
        for (_, url, outlet) in self.outlets.iter().filter(|(of, ..)| *of == kind) {
            let url =
                if kind == Kind::Pherry { url.replace("{worker}", &encoded(worker)) } else { url.clone() };
            // Checked with the configuration; a name in it is encoded.
            if let Ok(address) = Address::parse(&url) {
                let replaces = (kind == Kind::Pherry).then(|| worker.to_owned());
                outlet.push(address, body.clone(), replaces);
            }
        }
    }

    /// Delivers what waits, within a short time, and stops.
    pub async fn stop(&self) {
        for (.., outlet) in &self.outlets {
            outlet.close();
        }
        let tasks = std::mem::take(&mut *locked(&self.tasks));
        let deadline = tokio::time::Instant::now() + GRACE;
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        for tasks in [&self.listening, &self.tasks] {
            locked(tasks).iter().for_each(JoinHandle::abort);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unix milliseconds.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What is shown to whoever is told, as header and value.
pub(crate) fn token(notify: &Notify) -> Result<Option<(HeaderName, HeaderValue)>, ConfigError> {
    let Some(path) = &notify.token_file else { return Ok(None) };
    let invalid = |key, cause: String| ConfigError::Invalid { key, cause };
    let bad_file = |cause: String| invalid("notify.token_file", format!("{}: {cause}", path.display()));
    let token = text_in(path).map_err(|cause| bad_file(cause.to_string()))?;
    if token.is_empty() {
        return Err(bad_file("it is empty".to_owned()));
    }
    let name = HeaderName::from_bytes(notify.token_header.as_bytes());
    let name = name.map_err(|cause| invalid("notify.token_header", cause.to_string()))?;
    let text = if name == AUTHORIZATION { format!("Bearer {token}") } else { token };
    let value = HeaderValue::from_str(&text);
    let mut value = value.map_err(|_| bad_file("a token is one line of printable characters".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(one).collect()
}

/// JSON of a worker's place, as pherry posts it.
type Place = Value;

#[cfg(test)]
mod tests;
