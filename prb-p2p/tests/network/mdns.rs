use super::*;
use std::process::Command;

#[test]
#[allow(clippy::print_stderr)]
fn v2_f064_peers_find_each_other_by_mdns() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let apart = |program: &std::ffi::OsStr| {
        let mut command = Command::new("unshare");
        command.arg("-Urn").arg(program);
        command
    };
    let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let missing = if !works(&mut apart("true".as_ref())) {
        Some("`unshare -Urn true` fails, so there is no network of its own")
    } else if !works(Command::new("ip").arg("-V")) {
        Some("there is no program `ip` to set up a network of its own")
    } else {
        None
    };
    if let Some(missing) = missing {
        assert!(std::env::var_os(NEEDED).is_none(), "{NEEDED} is set, and {missing}");
        eprintln!("SKIPPED: mDNS is not tested: {missing}");
        return;
    }
    let mut command = apart(std::env::current_exe().unwrap().as_ref());
    command.args(["--exact", "mdns::v2_f064_peers_find_each_other_by_mdns", "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(FOUND),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// In a network that has nothing but this machine.
#[allow(clippy::print_stdout)]
fn inside() {
    for line in ["link set lo up", "addr add 10.99.4.1/32 dev lo", "route add 224.0.0.0/4 dev lo"] {
        assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "ip {line}");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let everywhere = || Options { listen: vec!["/ip4/0.0.0.0/tcp/0".parse().unwrap()], ..options() };
        let silent = join(everywhere()).await;
        let (first, second) = (
            join(Options { mdns: true, ..everywhere() }).await,
            join(Options { mdns: true, ..everywhere() }).await,
        );
        find(&first, second.peer_id()).await;
        find(&second, first.peer_id()).await;
        assert!(silent.peers().is_empty(), "it neither asks nor answers");
        println!("{FOUND}");
    });
}

/// Set where this test must not be skipped.
const NEEDED: &str = "PRB_NEED_NAMESPACES";

/// Set in the program that runs apart.
const INSIDE: &str = "PRB_P2P_TEST_INSIDE";

/// What it says if all went well.
const FOUND: &str = "both were found";
