//! What the monitor's pages compute, in `monitor.mjs`, run by Node.js.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Release of Node.js whose test runner has all that is used.
const OLDEST: u32 = 18;

#[test]
#[allow(clippy::print_stderr)]
fn what_the_pages_of_the_monitor_compute() {
    let release = release();
    if release.is_none_or(|release| release < OLDEST) {
        let why = format!("Node.js {OLDEST} or newer is wanted, found: {release:?}");
        assert!(std::env::var_os("PRB_NEED_NODE").is_none(), "{why}");
        eprintln!("SKIPPED: {why} (Debian: apt-get install nodejs)");
        return;
    }
    // Beside a file that says so, releases that cannot tell modules from scripts by themselves read modules.
    let copy = tempfile::tempdir().unwrap();
    fs::write(copy.path().join("package.json"), "{\"type\":\"module\"}").unwrap();
    for folder in ["src/api/monitor", "tests"] {
        fs::create_dir_all(copy.path().join(folder)).unwrap();
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "js" || kind == "mjs") {
                fs::copy(&path, copy.path().join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let run = Command::new("node").args(["--test", "tests/monitor.mjs"]).current_dir(&copy).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    let passed = said.lines().find_map(|line| line.split_once("pass ")?.1.trim().parse::<u32>().ok());
    assert!(passed.is_some_and(|passed| passed > 20), "tests were run: {said}");
}

/// The first number of Node's release, if there is one.
fn release() -> Option<u32> {
    let run = Command::new("node").arg("--version").stderr(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&run.stdout).trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}
