//! How far a long command has come: a bar on a terminal, now and then a line elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// How far a command has come.
pub(super) struct Step {
    /// What it is at.
    pub(super) what: String,
    /// What it counts, for example `items checked`.
    pub(super) did: &'static str,
    /// How many are done.
    pub(super) done: u64,
    /// How many there are.
    pub(super) of: u64,
    /// Bytes that went with them.
    pub(super) bytes: u64,
}

/// Shows progress.
pub(super) struct Meter {
    started: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(5);

impl Meter {
    /// Shows it on standard error.
    pub(super) fn on_standard_error() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            const STYLE: &str = "{prefix:14} {wide_bar} {percent:>3} %  {msg}  ETA {eta}";
            let style = ProgressStyle::with_template(STYLE).expect("the template has no unknown parts");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
        });
        let started = Instant::now();
        Self { started, shown: started, bar }
    }

    pub(super) fn show(&mut self, step: &Step) {
        let elapsed = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.set_length(step.of.max(step.done));
            bar.set_position(step.done);
            bar.set_prefix(step.what.clone());
            bar.set_message(rate(step, elapsed));
        } else if self.shown.elapsed() >= LINES {
            self.shown = Instant::now();
            // Nobody misses a line that cannot be written.
            let _ = writeln!(io::stderr(), "{}", line(step, elapsed));
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(step: &Step, elapsed: Duration) -> String {
    let Step { what, did, done, of, .. } = step;
    let eta = match (of.saturating_sub(*done), *done) {
        (left, done) if done > 0 => {
            format!("{} s", (elapsed.as_secs_f64() * left as f64 / done as f64).ceil())
        }
        _ => "unknown".to_owned(),
    };
    format!("{what}: {done} of {of} {did}, {}, ETA {eta}", rate(step, elapsed))
}

fn rate(step: &Step, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let (items, bytes) = (step.done as f64 / seconds, step.bytes as f64 / seconds / 1e6);
    let unit = step.did.split(' ').next().unwrap_or_default();
    format!("{items:.0} {unit}/s, {bytes:.1} MB/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_names_part_count_rate_and_what_is_left() {
        let step = Step { what: "rungs".into(), did: "items checked", done: 50, of: 200, bytes: 4_000_000 };
        assert_eq!(
            line(&step, Duration::from_secs(2)),
            "rungs: 50 of 200 items checked, 25 items/s, 2.0 MB/s, ETA 6 s"
        );
    }
}
