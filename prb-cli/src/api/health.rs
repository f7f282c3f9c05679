//! Whether the bridge gets on, from what it tells.

use super::{
    history::Histories,
    pace::{LOOK, Pace},
    v1,
};
use crate::{deployment::Deployment, lasting::Lasting};
use prb_core::{
    lifecycle::Stage,
    moment::Moment,
    pipeline::{Event, WorkerStatus},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// What was told and is not over.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What stands still, and whom it waits for; none: why ingest does not get on.
    lasting: Lasting<Option<&'static str>>,
    pub(super) pace: Pace,
    pub(super) histories: Histories,
}

/// How often it is looked for what has happened to workers.
const GLANCE: Duration = Duration::from_secs(1);

impl Told {
    fn hear(&mut self, event: Event) {
        match event {
            Event::IngestTrouble { cause } => self.lasting.begin(None, &cause),
            Event::IngestRecovered => self.lasting.end(&None),
            Event::Stalled { what, cause } => self.lasting.begin(Some(what), &cause),
            Event::Resumed { what } => self.lasting.end(&Some(what)),
            Event::Missed(_) => self.lasting.missed(),
            _ => {}
        }
    }

    /// Why the bridge does not get on; nothing if it does. `data` is what is known otherwise of why no data comes.
    pub(super) fn reasons(&self, data: Option<String>) -> Vec<String> {
        let reason = |(what, cause): (&Option<&str>, &str)| match what {
            Some(what) => format!("{what} stand still: {cause}"),
            None => cause.to_owned(),
        };
        let mut reasons: Vec<String> = self.lasting.iter().map(reason).collect();
        if let Some(data) = data.filter(|data| !reasons.iter().any(|reason| reason.contains(data.as_str()))) {
            reasons.push(data);
        }
        reasons
    }
}

/// What was told, for several to read.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Told>>);

impl Heard {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens to a bridge until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    heard: Heard,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn on(deployment: &Arc<Deployment>) -> Self {
        let watched = Heard::default();
        let (heard, mut events) = (watched.clone(), deployment.bridge().events());
        let weak = Arc::downgrade(deployment);
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let mut next = begun;
            let mut glances = interval(GLANCE);
            glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    event = events.next() => match event {
                        Some(event) => heard.told().hear(event),
                        None => return,
                    },
                    at = glances.tick() => {
                        let Some(deployment) = weak.upgrade() else { return };
                        let workers = deployment.bridge().workers_status();
                        if at < next {
                            heard.told().histories.hear(unix(), &workers);
                            continue;
                        }
                        next = at + LOOK;
                        // Events wait meanwhile.
                        let coverage = timeout(GLANCE, deployment.bridge().store().coverage()).await;
                        let coverage = coverage.ok().and_then(Result::ok).flatten();
                        drop(deployment);
                        look(workers, v1::tip(coverage.as_ref()), &heard, Moment(begun.elapsed()));
                    }
                }
            }
        });
        Self { heard: watched, task }
    }

    /// Ends it; nothing of the deployment is held any more then.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // It was aborted, or had ended.
        let _ = (&mut self.task).await;
    }

    pub(super) fn heard(&self) -> &Heard {
        &self.heard
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.heard.told()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes in where the workers are, and counts them by stage.
fn look(workers: Vec<WorkerStatus>, tip: Option<u32>, heard: &Heard, now: Moment) {
    for stage in Stage::ALL {
        let count = workers.iter().filter(|worker| worker.stage == stage).count();
        metrics::gauge!("prb_workers", "stage" => stage.name()).set(u32::try_from(count).unwrap_or(u32::MAX));
    }
    let troubled = workers.iter().filter(|worker| worker.trouble.is_some()).count();
    metrics::gauge!("prb_workers_in_trouble").set(u32::try_from(troubled).unwrap_or(u32::MAX));
    let mut told = heard.told();
    told.histories.look(unix(), tip, &workers);
    let heights = workers.into_iter().filter_map(|worker| {
        let height = worker.info.as_ref()?.blocknum;
        Some((worker.worker.name.to_string(), height))
    });
    told.lasting.look(now);
    told.pace.look(now, heights);
}

/// Seconds since 1970 by this machine's clock.
fn unix() -> u32 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(passed).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_get_on_is_a_reason_until_it_is_over() {
        let mut told = Told::default();
        assert_eq!(told.reasons(None), Vec::<String>::new());
        let stalled = |what| Event::Stalled { what, cause: "ws://a: waiting for block 7".to_owned() };
        for event in
            [Event::IngestTrouble { cause: "node away".to_owned() }, stalled("workers"), stalled("workers")]
        {
            told.hear(event);
        }
        let workers = "workers stand still: ws://a: waiting for block 7";
        assert_eq!(told.reasons(None), ["node away", workers]);
        assert_eq!(told.reasons(Some("ws://a: waiting for block 7".to_owned())).len(), 2, "known already");
        assert_eq!(told.reasons(Some("no provider answers".to_owned())).len(), 3);
        told.hear(Event::IngestRecovered);
        assert_eq!(told.reasons(None), [workers]);
        told.hear(Event::Resumed { what: "workers" });
        assert_eq!(told.reasons(None), Vec::<String>::new());
        told.hear(stalled("storage changes"));
        told.hear(Event::Missed(9));
        assert_eq!(told.reasons(None).len(), 1, "nobody has told that it is over");
        let at = |seconds| Moment(std::time::Duration::from_secs(seconds));
        told.lasting.look(at(0));
        told.lasting.look(at(360));
        assert_eq!(told.reasons(None), Vec::<String>::new(), "what lasts is told again");
    }
}
