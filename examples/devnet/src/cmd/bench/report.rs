//! Figures, for people as they come and as JSON at the end.

use crate::cmd::say;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Figures by path, `ingest.relay_headers_per_s`.
pub(super) struct Report(Value);

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    pub(super) fn new() -> Self {
        let machine = json!({
            "cores": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            "cpu": cpu(),
            "optimised": !cfg!(debug_assertions),
        });
        Self(json!({ "machine": machine }))
    }

    /// A headline for what follows.
    pub(super) fn part(&self, text: &str) {
        say(&format!("\n{text}"));
    }

    /// A figure without a goal.
    pub(super) fn figure(&mut self, path: &str, text: &str, value: f64) {
        say(&format!("  {text}: {}", shown(value)));
        self.note(path, value);
    }

    /// A figure with a goal.
    pub(super) fn goal(&mut self, path: &str, text: &str, value: f64, goal: Goal) {
        let (met, sign, bound) = match goal {
            Goal::AtLeast(bound) => (value >= bound, ">=", bound),
            Goal::AtMost(bound) => (value <= bound, "<=", bound),
        };
        let verdict = if met { "met" } else { "MISSED" };
        say(&format!("  {text}: {} (goal {sign} {}: {verdict})", shown(value), shown(bound)));
        self.note(path, value);
    }

    /// Something that people should know.
    pub(super) fn say(&self, text: &str) {
        say(&format!("  {text}"));
    }

    /// A figure for programs only.
    pub(super) fn note(&mut self, path: &str, value: f64) {
        self.put(path, json!((value * 1000.0).round() / 1000.0));
    }

    /// A value that could not be measured.
    pub(super) fn absent(&mut self, path: &str) {
        self.put(path, Value::Null);
    }

    pub(super) fn write(&self, path: Option<&Path>) -> anyhow::Result<()> {
        let Some(path) = path else { return Ok(()) };
        std::fs::write(path, format!("{:#}\n", self.0)).with_context(|| format!("writing {}", path.display()))
    }

    fn put(&mut self, path: &str, value: Value) {
        let mut place = &mut self.0;
        for name in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[name];
        }
        *place = value;
    }
}

fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_land_where_their_path_says() {
        let mut report = Report::new();
        report.note("serve.ratio", 1.23456);
        report.note("serve.other", 2.0);
        report.absent("serve.nginx");
        assert_eq!(report.0["serve"], json!({ "ratio": 1.235, "other": 2.0, "nginx": null }));
    }
}
