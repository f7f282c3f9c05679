//! What systemd is told, where it started a service: that it is ready, alive, and stopping.

use tokio::task::JoinHandle;

/// Shows that the program's tasks are carried out, as long as it is kept.
pub(crate) struct Alive(Option<JoinHandle<()>>);

impl Drop for Alive {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The service does what it is there for.
pub(crate) fn ready(status: &str) {
    tell(&[State::Ready, State::Status(status)]);
}

/// The service ends in order.
pub(crate) fn stopping() {
    tell(&[State::Stopping]);
}

enum State<'s> {
    Ready,
    Status(&'s str),
    Stopping,
    Watchdog,
}

#[cfg(unix)]
fn tell(states: &[State<'_>]) {
    use sd_notify::NotifyState;
    let states: Vec<_> = states
        .iter()
        .map(|state| match state {
            State::Ready => NotifyState::Ready,
            State::Status(text) => NotifyState::Status(text),
            State::Stopping => NotifyState::Stopping,
            State::Watchdog => NotifyState::Watchdog,
        })
        .collect();
    if let Err(cause) = sd_notify::notify(false, &states) {
        tracing::debug!(%cause, "systemd is not told");
    }
}

#[cfg(not(unix))]
fn tell(_: &[State<'_>]) {}

/// Tells the watchdog, if there is one, twice in its time.
#[cfg(unix)]
pub(crate) fn keep_alive() -> Alive {
    let mut microseconds = 0;
    if !sd_notify::watchdog_enabled(false, &mut microseconds) {
        return Alive(None);
    }
    let pause = std::time::Duration::from_micros((microseconds / 2).max(1));
    Alive(Some(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(pause);
        loop {
            ticks.tick().await;
            tell(&[State::Watchdog]);
        }
    })))
}

/// There is no such watchdog.
#[cfg(not(unix))]
pub(crate) fn keep_alive() -> Alive {
    Alive(None)
}
