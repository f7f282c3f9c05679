//! A Redis server of a test's own, without persistence.
#![allow(dead_code)]

use crate::port::Port;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub struct Redis {
    port: Port,
    child: Option<Child>,
    folder: tempfile::TempDir,
}

impl Redis {
    /// None, with a word about it, where there is no `redis-server`; CI must have one.
    #[allow(clippy::print_stderr)]
    pub fn start() -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("PRB_NEED_REDIS").is_none(), "redis-server is not installed");
            eprintln!("SKIPPED: redis-server is not installed (Debian: apt-get install redis-server)");
            return None;
        }
        let mut redis = Self { port: Port::keep(), child: None, folder: tempfile::tempdir().unwrap() };
        redis.up();
        Some(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.port.addr)
    }

    /// Starts it, empty, at the same port as before.
    pub fn up(&mut self) {
        assert!(self.comes_up(), "redis-server does not start at {}", self.port.addr);
    }

    /// Whether it does.
    fn comes_up(&mut self) -> bool {
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let port = self.port.addr.port().to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .arg("--logfile")
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = self.child.insert(child);
        let start = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Ready to accept connections")) {
            if child.try_wait().unwrap().is_some() {
                self.child = None;
                return false;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "redis-server does not get ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.command("PING") == "+PONG"
    }

    /// Kills it; nothing is kept.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The first line of what an inline command answers, nothing if nobody does.
    pub fn command(&self, command: &str) -> String {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.port.addr)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.write_all(format!("{command}\r\n").as_bytes())?;
            let mut bytes = Vec::new();
            let mut byte = [0];
            while !bytes.ends_with(b"\r\n") && stream.read(&mut byte)? == 1 {
                bytes.push(byte[0]);
            }
            Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        ask().unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.down();
    }
}
