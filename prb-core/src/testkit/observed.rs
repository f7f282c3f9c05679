//! What a test's thread logs and counts.

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, LocalRecorderGuard, Recorder, SharedString, Unit,
    set_default_local_recorder,
};
use std::{
    collections::BTreeMap,
    fmt::{Debug, Write},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, set_default},
};

/// Everything that its thread logs at INFO or above, and everything that it counts, while this lives.
///
/// A runtime of one thread does all its asynchronous work there; what is done on blocking threads is not seen.
pub struct Observed {
    log: Log,
    numbers: &'static Numbers,
    _guards: (DefaultGuard, LocalRecorderGuard<'static>),
}

/// Holds nothing, but makes the log one of two: for a single one, `tracing` decides whether a line is wanted at all by
/// the thread that comes to it first, and that may be another test's.
static SECOND: OnceLock<Dispatch> = OnceLock::new();

impl Observed {
    /// Begins to observe this thread.
    pub fn begin() -> Self {
        SECOND.get_or_init(|| Dispatch::new(Log::default()));
        let log = Log::default();
        // One per test: what is leaked is small.
        let numbers: &'static Numbers = Box::leak(Box::default());
        let guards = (set_default(log.clone()), set_default_local_recorder(numbers));
        Self { log, numbers, _guards: guards }
    }

    /// Lines that hold all of `parts`. A line is `LEVEL target: message field=value ...`.
    pub fn lines(&self, parts: &[&str]) -> Vec<String> {
        let log = locked(&self.log.0);
        log.iter().filter(|line| parts.iter().all(|part| line.contains(part))).cloned().collect()
    }

    /// A counter, as `name` or `name{label=value,...}`; 0 if it was never counted.
    pub fn counter(&self, name: &str) -> u64 {
        locked(&self.numbers.0).get(name).map_or(0, |number| number.load(Ordering::SeqCst))
    }

    /// Names of all metrics so far, with their labels.
    pub fn metrics(&self) -> Vec<String> {
        locked(&self.numbers.0).keys().cloned().collect()
    }

    /// A gauge, named likewise; none if it was never set.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        locked(&self.numbers.0).get(name).map(|number| f64::from_bits(number.load(Ordering::SeqCst)))
    }
}

/// The lines so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{} {}:", event.metadata().level(), event.metadata().target());
        event.record(&mut Words(&mut line));
        locked(&self.0).push(line);
    }

    // Spans are not shown.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Writes fields behind each other.
struct Words<'l>(&'l mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A string takes whatever is written.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// Metrics by name and labels.
#[derive(Default)]
struct Numbers(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Numbers {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = match labels.as_slice() {
            [] => key.name().to_owned(),
            labels => format!("{}{{{}}}", key.name(), labels.join(",")),
        };
        locked(&self.0).entry(name).or_default().clone()
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &metrics::Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &metrics::Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &metrics::Metadata<'_>) -> Histogram {
        // Its name is kept, its samples are not.
        let _ = self.of(key);
        Histogram::noop()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_and_counted_is_seen_while_it_is_observed() {
        let work = || {
            tracing::warn!(height = 7, cause = %"torn", "damaged");
            tracing::debug!("not shown");
            metrics::counter!("found_total", "stream" => "changes").increment(2);
            metrics::gauge!("full").set(1.0);
            metrics::histogram!("took", "by" => "b").record(1.0);
        };
        work();
        let observed = Observed::begin();
        work();
        let line = format!("WARN {}: damaged height=7 cause=torn", module_path!());
        assert_eq!(observed.lines(&[]), [line]);
        assert_eq!(observed.lines(&["damaged", "other"]), Vec::<String>::new());
        assert_eq!(observed.counter("found_total{stream=changes}"), 2);
        assert_eq!(observed.metrics(), ["found_total{stream=changes}", "full", "took{by=b}"]);
        assert_eq!((observed.gauge("full"), observed.gauge("empty")), (Some(1.0), None));
        assert_eq!(Observed::begin().lines(&[]), Vec::<String>::new(), "another one begins anew");
        assert_eq!(observed.lines(&[]).len(), 1);
    }
}
