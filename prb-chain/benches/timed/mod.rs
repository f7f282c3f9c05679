//! Criterion benchmarks whose times are also compared with each other.

use criterion::{BenchmarkGroup, measurement::WallTime};
use std::{cell::Cell, time::Instant};

/// Measures `work`; the best time of one call, seconds.
pub fn timed<T>(group: &mut BenchmarkGroup<'_, WallTime>, id: &str, mut work: impl FnMut() -> T) -> f64 {
    let best = Cell::new(f64::INFINITY);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|times| {
            let begun = Instant::now();
            for _ in 0..times {
                std::hint::black_box(work());
            }
            let took = begun.elapsed();
            best.set(best.get().min(took.as_secs_f64() / times as f64));
            took
        });
    });
    best.get()
}

/// Tells how `ours` compares with the baseline. A benchmark that was filtered out has no time.
pub fn tell(what: &str, ours: f64, baseline: f64) {
    if ours.is_finite() && baseline.is_finite() {
        println!("{what}: {:.2} times as fast as the baseline\n", baseline / ours);
    }
}
