//! The example does what it says and stays small.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn it_brings_a_worker_to_work_and_shows_the_calls() {
    let output = Command::new(env!("CARGO_BIN_EXE_prb-embed")).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["register_worker_v2", "add_worker", "start_computing", "sync_offchain_message"] {
        assert!(shown.contains(&format!("pool 1: {line}")), "{line} missing in\n{shown}");
    }
    assert!(shown.ends_with("rack1-07 is Working\n"), "{shown}");
}

#[test]
fn it_has_at_most_sixty_lines() {
    assert!(include_str!("../src/main.rs").lines().count() <= 60);
}
