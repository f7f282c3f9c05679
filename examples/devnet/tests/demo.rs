//! The program `prb-devnet` as people and scripts meet it: output, exit codes, the JSON report.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::process::{Command, Output};
#[cfg(unix)]
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Seconds until the program gives up. Generous: machines that test are busy.
const LONG: &str = "600";

/// Longest time until something is seen that comes by itself.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(300);

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prb-devnet"));
    command.args(args).env_remove("RUST_LOG");
    command
}

fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

/// Asks an HTTP server on a connection of its own.
#[cfg(unix)]
fn ask(at: &str, what: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "connection: close\r\ncontent-type: application/json";
    let length = body.len();
    write!(stream, "{what} HTTP/1.1\r\nhost: {at}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn told(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[cfg(unix)]
fn terminate(child: &Child) {
    let sent = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
}

/// A program that ends with the test, also if that fails.
#[cfg(unix)]
struct Running(Child);

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names of an object, which must have no others.
fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_demo_brings_workers_to_work_and_reports_it() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("demo.json");
    let demo = ["demo", "--workers", "2", "--block-time-ms", "60", "--timeout", LONG];
    let output = run(&[&demo[..], &["--json", json.to_str().unwrap()]].concat());
    let (out, err) = (told(&output.stdout), told(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("dev-02: Working, ") && out.contains("\ndone in "), "{out}");
    assert_eq!(err, "", "nothing here needs a person's eye");

    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let parts = ["para", "relay", "seconds", "store", "transactions", "workers"];
    assert_eq!(names(&report), parts.into());
    assert_eq!(names(&report["relay"]), ["authority_set_id", "finalized"].into());
    assert_eq!(names(&report["para"]), ["finalized"].into());
    assert_eq!(names(&report["store"]), ["bytes_on_disk", "changes", "para_headers", "relay_headers"].into());
    assert_eq!(names(&report["transactions"]), ["failed", "finalized", "submitted"].into());
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["relay"]["finalized"].as_u64().unwrap() >= 50);
    assert!(report["relay"]["authority_set_id"].as_u64().unwrap() >= 2);
    assert!(report["store"]["bytes_on_disk"].as_u64().unwrap() > 0);
    assert!(report["transactions"]["finalized"].as_u64().unwrap() > 0);
    let workers = report["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2);
    let mut keys = BTreeSet::new();
    for (worker, name) in workers.iter().zip(["dev-01", "dev-02"]) {
        let fields =
            ["blocknum", "headernum", "messages_synced", "name", "para_headernum", "public_key", "state"];
        assert_eq!(names(worker), fields.into());
        assert_eq!((&worker["name"], &worker["state"]), (&name.into(), &"Working".into()));
        for number in ["blocknum", "headernum", "para_headernum", "messages_synced"] {
            assert!(worker[number].as_u64().unwrap() > 0, "{number}");
        }
        assert_eq!(worker["public_key"].as_str().unwrap().len(), 2 + 64);
        keys.insert(worker["public_key"].as_str().unwrap());
    }
    assert_eq!(keys.len(), 2);
}

#[test]
fn v3_f22_the_demo_brings_workers_that_attest_with_dcap_to_work() {
    let output = run(&["demo", "--workers", "1", "--dcap", "--set-changes", "0", "--block-time-ms", "60"]);
    let (out, err) = (told(&output.stdout), told(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("workers attest with DCAP, PCCS http://127.0.0.1:"), "{out}");
    assert!(out.contains("dev-01: Working, "), "{out}");
    assert_eq!(err, "", "nothing here needs a person's eye");
}

#[test]
fn a_demo_that_is_late_says_why_and_still_reports() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("demo.json");
    let path = json.to_str().unwrap();
    let args = ["demo", "--workers", "1", "--set-changes", "1000", "--timeout", "1", "--json", path];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(1));
    let err = told(&output.stderr);
    assert!(err.contains("not done after 1 s: ") && err.contains(" of 1000 authority-set changes"), "{err}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["workers"][0]["name"], "dev-01");
}

#[cfg(unix)]
#[test]
fn a_demo_that_is_stopped_early_fails_and_names_what_the_workers_lack() {
    // The chain lets nobody this slow compute.
    let mut command =
        program(&["demo", "--workers", "2", "--score", "40", "--block-time-ms", "60", "--timeout", LONG]);
    let mut demo = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("WARN") && line.contains("BenchmarkTooLow")));
    terminate(&demo);
    let last = lines.last().unwrap();
    let expected = "prb-devnet: interrupted: dev-01";
    assert!(last.starts_with(expected) && last.contains("BenchmarkTooLow"), "{last}");
    assert_eq!(demo.wait().unwrap().code(), Some(1));
}

#[test]
fn data_of_another_run_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("something"), "").unwrap();
    let output = run(&["demo", "--data-dir", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output.stderr).contains("is not empty"));
    assert!(output.stdout.is_empty());
}

#[test]
fn arguments_that_make_no_sense_are_exit_code_2() {
    let speed = ["demo", "--block-time-ms", "0"];
    for args in
        [&["demo", "--workers", "0"][..], &speed, &["demo", "--pccs", "127.0.0.1:0"], &["nothing"], &[]]
    {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn up_serves_the_monitor_until_told_to_stop_and_then_ends_well() {
    let free = ["--monitor-port", "0", "--api-port", "0"];
    let up = ["up", "--workers", "1", "--spare", "1", "--block-time-ms", "60", "--timeout", LONG];
    let mut command = program(&[&up[..], &free].concat());
    let mut up = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(up.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told =
        |wanted: &str| lines.find_map(|line| line.split_once(wanted).map(|(_, rest)| rest.to_owned()));
    let page = told("Open in a browser   http://").unwrap();
    let api = told("The API beside it   http://").unwrap();
    let spare = told("          http://").unwrap();
    let monitor = page.trim_end_matches('/');
    assert!(ask(monitor, "GET /", "").contains("location: monitor/"));
    assert!(ask(monitor, "GET /monitor/", "").contains("<!doctype html>"));
    let (at, overview) = api.split_once('/').unwrap();
    assert!(ask(at, &format!("GET /{overview}"), "").contains("\"stages\""));
    // The worker that is left to be added is one, and what is added is taken on.
    let worker = json!({
        "name": "spare", "endpoint": format!("http://{spare}"), "pid": 1, "stake": "5000000000000000",
        "disabled": false, "sync_only": false, "gatekeeper": false
    });
    let add = json!({ "AddWorker": worker });
    ask(at, "POST /wm/config", &add.to_string());
    let reached = |answer: &str| answer.contains("\"public_key\":\"0x");
    let begun = Instant::now();
    loop {
        let answer = ask(at, "GET /v1/workers/spare", "");
        if reached(&answer) {
            break;
        }
        assert_eq!(up.0.try_wait().unwrap(), None);
        assert!(begun.elapsed() < PATIENCE, "it is not taken on: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(lines.any(|line| line.starts_with("everything works after ")));
    assert_eq!(up.0.try_wait().unwrap(), None);
    terminate(&up.0);
    assert!(lines.any(|line| line.starts_with("done in ")));
    assert_eq!(up.0.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_port_that_another_program_has_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for ports in [["--monitor-port", &port, "--api-port", "0"], ["--monitor-port", "0", "--api-port", &port]]
    {
        let output = run(&[&["up"][..], &ports].concat());
        let err = told(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        for part in [&*port, "--monitor-port and --api-port, 0 takes a free one", "listen"] {
            assert!(err.contains(part), "{part}: {err}");
        }
    }
}
