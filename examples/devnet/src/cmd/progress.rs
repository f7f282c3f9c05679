//! The live view of a running bridge: bars on a terminal, plain lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use prb_core::{lifecycle::Stage, pipeline::WorkerStatus, port::Cursor};
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

pub(super) struct Progress {
    begun: Instant,
    view: View,
}

enum View {
    Bars { bars: MultiProgress, chain: ProgressBar, workers: BTreeMap<String, ProgressBar> },
    Lines { last: Option<Instant>, interval: Duration, stages: BTreeMap<String, Stage> },
}

/// Standard error, above the bars that are drawn there: a log line among them would leave remains of both.
#[derive(Clone)]
pub(super) struct Above(pub(super) MultiProgress);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Workers shown with a bar of their own; more would not fit a terminal.
const MOST_BARS: usize = 20;

/// Time between plain lines about the chains.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The same once there is nothing left to wait for.
const CALM_INTERVAL: Duration = Duration::from_secs(60);

impl Progress {
    /// Draws into `bars` if standard error is a terminal.
    pub(super) fn new(begun: Instant, bars: MultiProgress) -> Self {
        let view = if io::stderr().is_terminal() {
            let chain = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                chain.set_style(style);
            }
            chain.enable_steady_tick(Duration::from_millis(120));
            View::Bars { bars, chain, workers: BTreeMap::new() }
        } else {
            View::Lines { last: None, interval: LINE_INTERVAL, stages: BTreeMap::new() }
        };
        Self { begun, view }
    }

    pub(super) fn show(&mut self, status: &[WorkerStatus], cursor: Option<&Cursor>) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let chains = cursor.map_or_else(|| "chains: nothing stored yet".to_owned(), chains_line);
        match &mut self.view {
            View::Bars { bars, chain, workers } => {
                chain.set_message(format!("{seconds:5.1} s  {chains}"));
                for worker in status.iter().take(MOST_BARS) {
                    let name = worker.worker.name.to_string();
                    let bar = workers.entry(name.clone()).or_insert_with(|| new_bar(bars, name));
                    bar.set_length(cursor.map_or(0, |cursor| u64::from(cursor.changes.0)));
                    bar.set_position(
                        worker.info.as_ref().map_or(0, |info| u64::from(info.blocknum.0.saturating_sub(1))),
                    );
                    bar.set_message(worker_line(worker));
                }
            }
            View::Lines { last, interval, stages } => {
                if last.is_none_or(|last| last.elapsed() >= *interval) {
                    *last = Some(Instant::now());
                    super::say(&format!("{seconds:6.1} s  {chains}"));
                }
                for worker in status {
                    let name = worker.worker.name.to_string();
                    if stages.get(&name) != Some(&worker.stage) {
                        super::say(&format!("{seconds:6.1} s  {name}: {}", worker_line(worker)));
                        stages.insert(name, worker.stage);
                    }
                }
            }
        }
    }

    /// Tells that everything was reached; what follows is for those who go on watching.
    pub(super) fn reached(&mut self, text: &str) {
        match &mut self.view {
            View::Bars { bars, .. } => bars.suspend(|| super::say(text)),
            View::Lines { interval, .. } => {
                *interval = CALM_INTERVAL;
                super::say(text);
            }
        }
    }

    /// Leaves the bars as they are.
    pub(super) fn finish(&self) {
        if let View::Bars { chain, workers, .. } = &self.view {
            chain.finish();
            workers.values().for_each(ProgressBar::abandon);
        }
    }
}

fn new_bar(bars: &MultiProgress, name: String) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(0)).with_prefix(name);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>10} [{bar:24}] {pos}/{len}  {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn chains_line(cursor: &Cursor) -> String {
    let para = cursor.para.map_or(0, |para| para.height.0);
    format!(
        "relay {} (authority set {}), parachain {para}, blocks {}",
        cursor.relay.height, cursor.authorities.id, cursor.changes
    )
}

/// How far a worker is, and what keeps it from getting further.
pub(super) fn worker_line(worker: &WorkerStatus) -> String {
    let trouble = worker.trouble.as_deref().map(|trouble| format!(" - {trouble}")).unwrap_or_default();
    let relayed = super::counted(worker.messages_synced, "message");
    format!("{}, {relayed} relayed{trouble}", worker.stage)
}
