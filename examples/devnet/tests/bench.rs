//! The benchmark command as people and scripts meet it, on small amounts.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::process::Command;

#[test]
fn bench_data_measures_everything_and_reports_it() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_prb-devnet"));
    command.args(["bench", "data", "--quick", "--json"]).arg(&json).env("RUST_LOG", "error");
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");

    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for path in [
        "/verify/speedup_667",
        "/ingest/relay_headers_per_s",
        "/ingest/relay_not_waiting",
        "/ingest/para_blocks_per_s",
        "/ingest/para_blocks_per_s_verified",
        "/disk/bytes_per_relay_block",
        "/disk/changes_ratio",
        "/store/packed/append_to_lmdb",
        "/store/packed/random_read_to_memcpy",
        "/serve/ratio_to_raw_loopback",
        "/fanout/p50_to_raw",
        "/provider_rss_mb",
    ] {
        let figure = report.pointer(path).and_then(Value::as_f64);
        assert!(figure.is_some_and(|figure| figure > 0.0), "{path}: {figure:?}\n{out}");
    }
    // Not everybody has nginx; that it was left out is said then.
    let to_nginx = report.pointer("/serve/ratio_to_nginx").unwrap();
    assert!(to_nginx.as_f64().is_some_and(|ratio| ratio > 0.0) || out.contains("SKIPPED: nginx"), "{out}");
}

/// With few workers; the same program measures a thousand (X24 of the fault list, and the figures at the tip).
#[test]
fn x24_bench_fleet_measures_everything_and_reports_it() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("fleet.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_prb-devnet"));
    command
        .args(["bench", "fleet", "--quick", "--workers", "6", "--json"])
        .arg(&json)
        .env("RUST_LOG", "error");
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");

    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let figure = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name} is missing\n{out}"));
    let measured = [
        "first_p50_ms",
        "rss_mb",
        "cpu_share",
        "tip_p50_ms",
        "tip_p99_ms",
        "drain_blocks",
        "catchup_overhead",
        "catchup_blocks_per_s",
        "outage_drain_s",
        "outage_rss_mb",
        "outage_during_p99_ms",
    ];
    for name in measured {
        assert!(figure(name) > 0.0, "{name}: {}\n{out}", figure(name));
    }
    assert_eq!((figure("workers"), figure("duplicates")), (6.0, 0.0), "{out}");
    assert!(figure("tip_p99_ms") >= figure("tip_p50_ms"), "{out}");
}
