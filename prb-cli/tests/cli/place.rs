//! A folder with a configuration, and `prb` in it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Longest time of a command that only reads and writes files.
///
/// Generous: machines that test are busy.
const SOON: Duration = Duration::from_secs(180);

/// Where an operator works.
pub struct Place {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// With nodes that nobody serves.
    pub fn new() -> Self {
        Self::with_nodes("ws://127.0.0.1:9", "ws://127.0.0.1:9")
    }

    pub fn with_nodes(relay: &str, para: &str) -> Self {
        let place = Self::without_file();
        place.use_nodes(relay, para);
        place
    }

    /// Without a configuration.
    pub fn without_file() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// From now on every command has these variables, and no others.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        self.environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    pub fn use_nodes(&self, relay: &str, para: &str) {
        self.configure(&format!(
            "data_dir = \"data\"\n\
             [chain]\nrelay = \"{relay}\"\npara = \"{para}\"\n\
             [api]\nenabled = false\n[feed]\ninfo_seconds = 1\n\
             [transactions]\ngather_ms = 100\n"
        ));
    }

    pub fn configure(&self, text: &str) {
        fs::write(self.path("prb.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prb"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            // Some systems find their certificates by it, and programs their homes.
            .envs(
                ["PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"]
                    .into_iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end with `stdin` as its standard input.
    pub async fn prb_with(&self, arguments: &[&str], stdin: &str) -> Done {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that does not read leaves the pipe broken, which is its right.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes()).await;
        let output = tokio::time::timeout(SOON, child.wait_with_output()).await.unwrap().unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub async fn prb(&self, arguments: &[&str]) -> Done {
        self.prb_with(arguments, "").await
    }

    /// A command that must succeed and complain about nothing; its standard output.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let done = self.prb(arguments).await;
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        done.stdout
    }

    /// Adds operator `alice` with her development key and her pool 1.
    pub async fn add_alice(&self) {
        let added = self.prb_with(&["operator", "add", "alice"], "//Alice\n").await;
        assert_eq!(added.code, Some(0), "{added:?}");
        self.ok(&["pool", "add", "1", "--operator", "alice"]).await;
    }

    pub async fn add_worker(&self, name: &str, endpoint: &str) {
        self.ok(&["worker", "add", name, "--endpoint", endpoint, "--pool", "1", "--stake", "5000"]).await;
    }

    /// Starts `prb run` with this log filter.
    pub fn run(&self, log: &str) -> Running {
        self.start(&["run"], log)
    }

    /// Starts a command that goes on until it is ended.
    pub fn start(&self, arguments: &[&str], log: &str) -> Running {
        let mut child = self.command(arguments).env("RUST_LOG", log).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let kept = log.clone();
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        Running { child, log, reader }
    }

    /// Every file below the folder.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = fs::read(&path).unwrap();
                    files.push((path, content));
                }
            }
        }
        files
    }
}

/// A `prb` that goes on, and is killed when dropped.
pub struct Running {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Running {
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn logged(&self, words: &[&str]) -> bool {
        self.log.lock().unwrap().iter().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Tells it something.
    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, and waits for that; its exit code and whole log.
    pub async fn end(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        self.signal(signal).await;
        let status = tokio::time::timeout(SOON, self.child.wait()).await.unwrap().unwrap();
        self.reader.await.unwrap();
        (status.code(), self.log.lock().unwrap().clone())
    }
}
