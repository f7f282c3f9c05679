//! The metrics of the code, beside their table: each has a line there, under a name as Prometheus wants it.

use super::macros::{calls, code};
use metrics::Unit;
use prb_cli::telemetry::{Kind, METRICS, Metric};
use std::collections::{BTreeMap, BTreeSet};

/// Labels of each metric in the code, and how it moves.
pub(super) fn of_the_code() -> BTreeMap<String, (Kind, BTreeSet<String>)> {
    let macros = [("counter", Kind::Counter), ("gauge", Kind::Gauge), ("histogram", Kind::Histogram)];
    let mut found = BTreeMap::<String, (Kind, BTreeSet<String>)>::new();
    for (path, text) in code() {
        for (name, kind) in macros {
            for call in calls(&text, name) {
                let is_literal = call.arguments.trim_start().starts_with("\"prb_");
                assert!(is_literal, "{path}: a metric whose name cannot be looked up: {}", call.arguments);
                let (known, labels) =
                    found.entry(call.texts[0].clone()).or_insert_with(|| (kind, BTreeSet::new()));
                assert_eq!(*known, kind, "{path}: {} is something else elsewhere", call.texts[0]);
                labels.extend(labels_of(call.before, call.arguments));
            }
        }
    }
    found
}

/// Names of the labels in a call, or in the last `let labels = [("name", value), …];` before it.
fn labels_of(before: &str, arguments: &str) -> Vec<String> {
    if arguments.contains("&labels") {
        let (_, array) = before.rsplit_once("let labels = [").expect("labels are made where they are used");
        let (array, _) = array.split_once("];").unwrap();
        let names = array.split("(\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        return names.map(str::to_owned).collect();
    }
    let mut parts: Vec<&str> = arguments.split("\" =>").collect();
    parts.pop();
    parts.into_iter().filter_map(|part| Some(part.rsplit_once('"')?.1.to_owned())).collect()
}

/// What speaks against a metric, by the rules of `promtool check metrics`.
fn faults(metric: &Metric) -> Vec<String> {
    const TYPES: [&str; 4] = ["counter", "gauge", "histogram", "summary"];
    const OTHER_UNITS: [&str; 22] = [
        "milliseconds",
        "microseconds",
        "nanoseconds",
        "minutes",
        "hours",
        "days",
        "weeks",
        "bits",
        "kilobytes",
        "megabytes",
        "gigabytes",
        "kibibytes",
        "mebibytes",
        "gibibytes",
        "percent",
        "ms",
        "us",
        "ns",
        "sec",
        "kb",
        "mb",
        "mib",
    ];
    let Metric { name, kind, unit, help } = *metric;
    let words: Vec<&str> = name.split('_').collect();
    let has = |word: &str| words.contains(&word);
    let is_of_histograms = ["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end));
    let is_plain = name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_line = !help.is_empty() && !help.contains('\n') && !help.ends_with('.');
    let checks = [
        (name.starts_with("prb_") && is_plain, "has a name like prb_a_b"),
        (name.ends_with("_total") == (kind == Kind::Counter), "ends in _total if it is a counter"),
        (!is_of_histograms, "does not end as parts of a histogram do"),
        (!TYPES.iter().any(|word| has(word)), "does not name its type"),
        (!OTHER_UNITS.iter().any(|word| has(word)), "is in a base unit"),
        (has("seconds") == (unit == Unit::Seconds), "says whether it is in seconds"),
        (has("bytes") == (unit == Unit::Bytes), "says whether it is in bytes"),
        (is_line, "has a help text of one line"),
    ];
    checks.iter().filter(|(holds, _)| !holds).map(|(_, rule)| format!("{name}: not so: it {rule}")).collect()
}

#[test]
fn every_metric_has_a_line_in_the_table() {
    let code: BTreeMap<String, Kind> =
        of_the_code().into_iter().map(|(name, (kind, _))| (name, kind)).collect();
    let table: BTreeMap<String, Kind> =
        METRICS.iter().map(|metric| (metric.name.to_owned(), metric.kind)).collect();
    assert_eq!(table.len(), METRICS.len(), "a metric has two lines");
    for (name, kind) in &code {
        assert_eq!(
            table.get(name),
            Some(kind),
            "{name} is in the code and not, or otherwise, in telemetry/table.rs"
        );
    }
    for name in table.keys() {
        assert!(code.contains_key(name), "{name} is in telemetry/table.rs and not in the code");
    }
}

#[test]
fn every_metric_is_named_as_prometheus_wants_it() {
    let found: Vec<String> = METRICS.iter().flat_map(faults).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_speaks_against_a_metric_is_found() {
    let good = Metric { name: "prb_x_total", kind: Kind::Counter, unit: Unit::Count, help: "Things" };
    assert!(faults(&good).is_empty());
    for bad in [
        Metric { name: "x_total", ..good },
        Metric { name: "prb_X_total", ..good },
        Metric { name: "prb_x", ..good },
        Metric { kind: Kind::Gauge, ..good },
        Metric { name: "prb_x_count", kind: Kind::Gauge, ..good },
        Metric { name: "prb_x_counter_total", ..good },
        Metric { name: "prb_x_ms_total", ..good },
        Metric { name: "prb_seconds_total", ..good },
        Metric { unit: Unit::Bytes, ..good },
        Metric { help: "", ..good },
        Metric { help: "Things.", ..good },
    ] {
        assert_eq!(faults(&bad).len(), 1, "{bad:?}: {:?}", faults(&bad));
    }
}

#[test]
fn labels_are_found_at_the_call_and_before_it() {
    for (before, arguments, labels) in [
        ("", "\"prb_x\"", ""),
        ("", "\"prb_x\", \"a\" => \"v\", \"b\" => c.d()", "a,b"),
        (
            "let labels = [(\"z\", 1)]; let labels = [(\"c\", x.y()), (\"d\", z)];",
            "\"prb_x\", &labels",
            "c,d",
        ),
    ] {
        assert_eq!(labels_of(before, arguments).join(","), labels, "{arguments}");
    }
}
