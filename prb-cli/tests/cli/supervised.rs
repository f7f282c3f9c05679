//! `prb` under systemd: it says when it is ready, alive, and stopping.

use crate::place::Place;
use crate::world::in_time;
use std::process::Stdio;
use tokio::net::UnixDatagram;
use tokio::process::Command;

/// What is told next.
async fn told(socket: &UnixDatagram) -> String {
    let mut text = vec![0; 4096];
    let length = in_time("systemd is told something", socket.recv(&mut text)).await.unwrap();
    String::from_utf8(text[..length].to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_f53_systemd_is_told_when_a_service_is_ready_alive_and_stopping() {
    let provider = &["data-provider", "--listen", "127.0.0.1:0"][..];
    for (arguments, config_mode) in [(provider, "false"), (&["run"], "false"), (&["run"], "true")] {
        let place = Place::new();
        let path = place.path("notify.socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        // As systemd does: half a second between two signs of life, of this very process.
        let mut service = Command::new("sh")
            .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh", env!("CARGO_BIN_EXE_prb")])
            .args(arguments)
            .current_dir(place.path("."))
            // Variables of whoever tests must not count.
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("PHALA_LIFECYCLE_CONFIG_MODE", config_mode)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000000")
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (mut ready, mut alive) = (false, 0);
        while !ready || alive < 2 {
            let told = told(&socket).await;
            ready |= told.contains("READY=1");
            alive += u32::from(told.contains("WATCHDOG=1"));
        }
        let id = service.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        while !told(&socket).await.contains("STOPPING=1") {}
        assert!(in_time("it ends", service.wait()).await.unwrap().success());
    }
}
