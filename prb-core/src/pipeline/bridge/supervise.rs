//! Tasks that start anew after a crash, and end in a bounded time.

use crate::pipeline::events::{Announcer, Event};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// What is told of a crash.
pub(super) const CRASHED: &str = "a task of this program crashed; it is started again";

/// Pause before what crashed is started again.
const AFTER_CRASH: Duration = Duration::from_secs(10);

/// Time for a task to end by itself when asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Time for a task that is cut off to let go of what it holds.
const CUT: Duration = Duration::from_secs(1);

/// A task to look after.
pub(super) struct Ward {
    name: String,
    stop: CancellationToken,
    announcer: Announcer,
    /// Told of a crash, and of the new start.
    events: Option<(Event, Event)>,
}

impl Ward {
    pub(super) fn new(name: &str, stop: &CancellationToken, announcer: &Announcer) -> Self {
        Self { name: name.to_owned(), stop: stop.clone(), announcer: announcer.clone(), events: None }
    }

    pub(super) fn telling(mut self, crashed: Event, restarted: Event) -> Self {
        self.events = Some((crashed, restarted));
        self
    }
}

/// Runs a task, and runs it anew if it crashes: a bug in an adapter must not silence a pipeline for ever.
pub(super) fn supervised<F>(ward: Ward, task: impl Fn() -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while AssertUnwindSafe(Box::pin(task())).catch_unwind().await.is_err() {
            error!(task = %ward.name, "a task crashed and is started again; please report this with the log");
            metrics::counter!("prb_crashes_total").increment(1);
            if let Some((crashed, _)) = &ward.events {
                ward.announcer.tell(crashed.clone());
            }
            tokio::select! {
                () = ward.stop.cancelled() => return,
                () = tokio::time::sleep(AFTER_CRASH) => {}
            }
            if let Some((_, restarted)) = &ward.events {
                ward.announcer.tell(restarted.clone());
            }
        }
    })
}

/// Waits for tasks that were asked to end; those that do not end in time are cut off.
pub(super) async fn join(tasks: Vec<JoinHandle<()>>) {
    let ended = tasks.into_iter().map(|mut task| async move {
        match timeout(GRACE, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => error!(%cause, "a task crashed; please report this with the log"),
            Err(_) => {
                warn!("a task did not end in time and is cut off");
                task.abort();
                // Ends at its next wait; how does not matter any more.
                let _ = timeout(CUT, task).await;
            }
        }
    });
    futures::future::join_all(ended).await;
}
