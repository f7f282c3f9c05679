//! A test in a network of its own, which is not that of this machine: nothing gets out or in.

use std::process::Stdio;
use tokio::process::Command;

/// The one address there that is not the loopback's.
pub const ADDRESS: &str = "10.99.4.1";

const INSIDE: &str = "PRB_TEST_INSIDE";

/// What the shell answers where there is no such network.
const IMPOSSIBLE: i32 = 77;

/// Whether this process has one.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Where this is set such a network must be possible.
const NEEDED: &str = "PRB_NEED_NAMESPACES";

/// Runs a test of this program by its name in one. Where the system does not allow that it is left out, which is told; or fails,
/// if it must be possible.
pub async fn run(test: &str) {
    let script = format!(
        "ip link set lo up && ip addr add {ADDRESS}/32 dev lo && ip route add 224.0.0.0/4 dev lo || exit {IMPOSSIBLE}\n\
         exec \"$0\" --exact \"$1\" --nocapture"
    );
    let program = std::env::current_exe().unwrap();
    let run = Command::new("unshare")
        .args(["-Urn", "sh", "-c", &script])
        .arg(program)
        .arg(test)
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let output = match run {
        Ok(output) => output,
        Err(cause) => return left_out(test, &format!("there is no unshare: {cause}")),
    };
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    if output.status.code() == Some(IMPOSSIBLE) || said.starts_with("unshare: ") {
        return left_out(test, &format!("this system gives no network to tests: {said}"));
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn left_out(test: &str, why: &str) {
    assert!(std::env::var_os(NEEDED).is_none(), "{test}: {why}, and {NEEDED} is set");
    println!("LEFT OUT {test}: {why}");
}
