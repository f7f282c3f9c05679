//! Metrics of the program, as text for Prometheus.

mod table;

pub use table::{Kind, METRICS, Metric};

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{sync::OnceLock, thread, time::Duration};
use tracing::warn;

/// Where they are recorded, if they are.
static RECORDED: OnceLock<PrometheusHandle> = OnceLock::new();

/// How often what was measured is summed up; until then each measurement takes memory.
const SUM_UP: Duration = Duration::from_secs(5);

/// Upper bounds of what is measured in seconds.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Records all metrics of this process from now on. For the entry of a program alone: a library, or a test, leaves it to
/// whoever runs it. Whatever is recorded elsewhere already stays there.
pub fn install() {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let recorder = match PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS) {
        Ok(builder) => builder.build_recorder(),
        Err(cause) => return warn!(%cause, "metrics are not recorded"),
    };
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        return warn!("metrics are recorded by something else already; /metrics has none");
    }
    describe();
    metrics::gauge!("prb_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let summing = handle.clone();
    let summed = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            thread::sleep(SUM_UP);
            summing.run_upkeep();
        }
    });
    if let Err(cause) = summed {
        warn!(%cause, "metrics are not summed up while nobody reads them");
    }
    // Nobody else sets it: the recorder was taken.
    let _ = RECORDED.set(handle);
}

/// All metrics in the text format of Prometheus, none if they are not recorded here.
pub fn render() -> Option<String> {
    RECORDED.get().map(PrometheusHandle::render)
}

/// Says what each metric is to whoever records them.
fn describe() {
    for Metric { name, kind, unit, help } in METRICS.iter().copied() {
        match kind {
            Kind::Counter => describe_counter!(name, unit, help),
            Kind::Gauge => describe_gauge!(name, unit, help),
            Kind::Histogram => describe_histogram!(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_comes_with_its_help_and_under_its_own_name() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::counter!("prb_server_bytes_total").increment(7);
        });
        let text = recorder.handle().render();
        assert!(text.contains("# HELP prb_server_bytes_total Bytes of answers to readers\n"), "{text}");
        assert!(text.contains("\nprb_server_bytes_total 7\n"), "no unit is added to a name: {text}");
    }
}
